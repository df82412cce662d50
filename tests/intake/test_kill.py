"""kill -9 at any moment of an import: afterwards all of it is in the register or nothing, and it can go on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pysqlite3
import pytest

from tests.intake.files import SMALL, write

PROJECT = Path(__file__).resolve().parents[2]
COUNTS = (
    "register_school", "register_student", "register_enrolment", "register_markevent", "register_registerrow",
    "register_rollstate", "register_calendarday", "register_sectionenrolment", "register_contactlink",
)  # fmt: skip


def some_files(folder: Path) -> Path:
    """Eighty students and some thousands of marks: long enough to be struck in the middle."""
    users, seats, marks = SMALL["users.csv"], SMALL["enrollments.csv"], SMALL["attendance.csv"]
    chance = random.Random(7)
    for i in range(80):
        users += f"x{i},,,true,alder,student,,,Kim,Lee,,{i:06d},,,,,03,,\n"
        seats += f"ex{i},,,c3b,alder,x{i},student,false,,\n"
    for week in range(3):
        for day in range(5):
            for i in chance.sample(range(80), 30):
                date = f"2026-09-{8 + 7 * week + day:02d}"
                marks += f"x{i},alder,{date},,{chance.choice('NEU')},,,{date}T09:{i % 60:02d}:00-05:00,t1\n"
    return write(folder, users=users, enrollments=seats, attendance=marks)


def start(home: Path, folder: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "FIRSTBELL_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "firstbell.settings",
        "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}",
    }
    environment.pop("DATABASE_URL", None)
    running = subprocess.Popen(
        [sys.executable, str(PROJECT / "tests/intake/bring.py"), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=PROJECT,
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n", running.communicate()[1]
    return running


def counts(home: Path) -> tuple[int, ...]:
    database = pysqlite3.connect(home / "firstbell.sqlite3")
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return tuple(database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in COUNTS)
    finally:
        database.close()


def survive(tmp_path: Path, empty_database: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kill so many imports; how many were struck before, and how many after, everything was in."""
    home, folder = tmp_path / "home", some_files(tmp_path / "files")
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copy(empty_database, empty / "firstbell.sqlite3")
    shutil.copytree(empty, home)
    nothing = counts(home)
    began = time.monotonic()
    running = start(home, folder)
    began = time.monotonic()
    _out, trouble = running.communicate(timeout=120)
    assert running.returncode == 0, trouble
    lasts = time.monotonic() - began
    everything = counts(home)
    assert everything > nothing
    chance = random.Random(seed)
    before = after = 0
    for _kill in range(kills):
        shutil.rmtree(home)
        shutil.copytree(empty, home)
        running = start(home, folder)
        time.sleep(chance.uniform(0, lasts * 0.8))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        found = counts(home)
        assert found in (nothing, everything), "part of an import is in the register"
        if found == everything:
            after += 1
            continue
        before += 1
        running = start(home, folder)
        _out, trouble = running.communicate(timeout=120)
        assert running.returncode == 0, trouble
        assert counts(home) == everything
    return before, after


def test_an_import_killed_at_any_of_three_moments_is_all_there_or_not_at_all(
    tmp_path: Path, empty_database: Path
) -> None:
    before, _after = survive(tmp_path, empty_database, 3, seed=1)
    assert before >= 1


@pytest.mark.slow
def test_an_import_killed_at_any_of_a_hundred_moments_is_all_there_or_not_at_all(
    tmp_path: Path, empty_database: Path
) -> None:
    before, after = survive(tmp_path, empty_database, 100, seed=2)
    print(f"{before} killed before, {after} after the import was in")
    assert before >= 10  # the moments were spread over it
