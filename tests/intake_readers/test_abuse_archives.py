"""What somebody means harm with: archives that swell or reach outside, XML that pulls things in."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from firstbell.intake.readers.archive import open_delivery
from firstbell.intake.readers.records import IntakeError
from tests.intake_readers.bring import edfi

PROJECT = Path(__file__).resolve().parents[2]
CHILD = """
import sys, time
from pathlib import Path
from firstbell.intake.readers.archive import open_delivery
from firstbell.intake.readers.records import IntakeError
began = time.perf_counter()
try:
    open_delivery(Path(sys.argv[1]))
except IntakeError as error:
    seconds = time.perf_counter() - began
    # the process's own peak: getrusage would count the parent it was forked from
    status = Path("/proc/self/status")
    own = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else ["0"]
    print(seconds, int(own[0]) * 1024)
"""


def refused_in(path: Path) -> tuple[float, int]:
    """Seconds and peak bytes of the refusal, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    seconds, peak = ran.stdout.split()
    return float(seconds), int(peak)


def test_abuse_38_a_zip_bomb_is_refused_at_once(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("users.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(400):
            member.write(bytes(2**20))
    seconds, peak = refused_in(bomb)
    assert seconds < 1
    assert peak < 200 * 2**20


def test_abuse_38_a_million_entries_are_refused_at_once(tmp_path: Path) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 1_000_000
    directory = entry * count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    many = tmp_path / "many.zip"
    many.write_bytes(b"PK\x03\x04" + directory + end)
    seconds, peak = refused_in(many)
    assert seconds < 1
    assert peak < 200 * 2**20


def test_a_member_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    lying = tmp_path / "lying.zip"
    with zipfile.ZipFile(lying, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.csv", b"a" * 100_000)
    content = lying.read_bytes().replace(struct.pack("<L", 100_000), struct.pack("<L", 10))
    lying.write_bytes(content)
    with open_delivery(lying).open("users.csv") as stream, pytest.raises((IntakeError, zipfile.BadZipFile)):
        stream.read()


@pytest.mark.parametrize(
    "name", ["../users.csv", "/etc/users.csv", "a/../../users.csv", "C:/users.csv", "..\\users.csv"]
)
def test_abuse_39_a_path_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "id\n")
    with pytest.raises(IntakeError, match="outside itself"):
        open_delivery(path)


def test_abuse_39_a_link_is_refused_in_a_zip_and_in_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    link = zipfile.ZipInfo("users.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(IntakeError, match="link"):
        open_delivery(path)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "users.csv").symlink_to("/etc/passwd")
    with pytest.raises(IntakeError, match="link"):
        open_delivery(folder)


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><InterchangeStudent><Student>&f;</Student></InterchangeStudent>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><InterchangeStudent/>',
        '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {b} "{"&" + a + ";" * 1}{("&" + a + ";") * 9}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
        + "]><InterchangeStudent><Student>&i;</Student></InterchangeStudent>",
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><InterchangeStudent/>').encode("utf-16"),
    ],
    ids=["external entity", "external DTD", "billion laughs", "in UTF-16"],
)  # fmt: skip
def test_abuse_40_entities_are_refused_before_anything_is_read(tmp_path: Path, content: str | bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(IntakeError):
        edfi(tmp_path / "d", Student=content)
    assert time.perf_counter() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
