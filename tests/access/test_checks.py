"""What must be so before Firstbell starts: a SQLite that keeps what it is given, under several writers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.db.backends.sqlite3.base import Database

from firstbell.access.checks import sqlite_version, wal_is_safe


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 6, 23), True), ((3, 7, 0), False), ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False),
        ((3, 50, 6), False), ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 53, 4), True),
    ],
)  # fmt: skip
def test_a_sqlite_that_can_corrupt_a_wal_database_is_refused(version: tuple[int, ...], safe: bool) -> None:
    assert wal_is_safe(version) is safe


@pytest.mark.django_db
def test_debians_own_sqlite_is_an_error_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        assert sqlite_version() == []
        return
    assert run_checks(tags=["firstbell"]) == []
    monkeypatch.setattr(Database, "sqlite_version_info", (3, 40, 1))
    (wrong,) = run_checks(tags=["firstbell"])
    assert (wrong.id, "pysqlite3" in wrong.hint) == ("firstbell.E001", True)


def test_the_command_does_not_start_on_it(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import pysqlite3
        pysqlite3.dbapi2.sqlite_version_info = pysqlite3.sqlite_version_info = (3, 40, 1)
        from firstbell.cli import main
        import sys; sys.argv = ["firstbell", "register", "check"]
        main()
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={"FIRSTBELL_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.returncode == 1
    assert "can corrupt a database" in ran.stderr
    assert not (tmp_path / "firstbell.sqlite3").exists() or (tmp_path / "firstbell.sqlite3").stat().st_size == 0


WRITER = """
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "firstbell.settings"
import django; django.setup()
from django.db import OperationalError, transaction
from firstbell.watch.models import SchoolChange
from firstbell.access import audit
until, wrote, locked = time.time() + 3, 0, 0
while time.time() < until:
    try:
        with transaction.atomic():  # reads first, then writes: what a deferred transaction is refused for
            audit.record("test", "wrote", "x")
        wrote += 1
    except OperationalError:
        locked += 1
print(wrote, locked)
"""


def test_eight_writers_at_once_are_never_told_that_the_database_is_locked(tmp_path: Path, empty_database: Path) -> None:
    environment = {
        "FIRSTBELL_HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "DJANGO_SETTINGS_MODULE": "firstbell.settings",
    }
    shutil.copy(empty_database, tmp_path / "firstbell.sqlite3")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    counts = [tuple(map(int, writer.communicate(timeout=60)[0].split())) for writer in writers]
    assert sum(locked for _wrote, locked in counts) == 0
    assert all(wrote for wrote, _locked in counts)
    verified = subprocess.run(
        [sys.executable, "-m", "firstbell.cli", "audit", "verify"], env=environment, capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stderr
