"""Every test starts in a home of its own; tests of models and actions run on SQLite and again on PostgreSQL."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A kernel is compiled within the first test that calls it.
settings.register_profile("firstbell", deadline=None)
settings.load_profile("firstbell")
# Chromium's synchronous Playwright runs a loop of its own, which Django would take for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`database` marks what the second run, on PostgreSQL, repeats."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or {"db", "transactional_db", "live_desk"} & set(names):
            item.add_marker(pytest.mark.database)


@pytest.fixture(autouse=True)
def _everybody_begins_in_english() -> Iterator[None]:
    """A page read in Spanish leaves Spanish to the thread; the next test is somebody else."""
    from django.utils import translation

    yield
    translation.deactivate()


@pytest.fixture(scope="session", autouse=True)
def _what_is_kept_can_be_emptied_between_tests(django_db_setup: None) -> None:
    """The audit and signed letters refuse DELETE; only emptying the test database between tests lifts that for a moment."""
    from django.db import connection
    from django.db.backends.base.operations import BaseDatabaseOperations

    guards = [
        importlib.import_module(name)
        for name in ("firstbell.access.migrations.0003_audit_append_only", "firstbell.casework.migrations.0002_letters")
    ]
    flush = BaseDatabaseOperations.execute_sql_flush

    def lifted(self: BaseDatabaseOperations, statements: list[str]) -> None:
        sqlite = connection.vendor == "sqlite"
        with connection.cursor() as cursor:
            for guard in guards:
                for statement in guard.UNDO_SQLITE if sqlite else guard.UNDO_POSTGRESQL:
                    cursor.execute(statement)
        flush(self, statements)
        with connection.cursor() as cursor:
            for guard in guards:
                for statement in guard.SQLITE if sqlite else guard.POSTGRESQL:
                    cursor.execute(statement)

    BaseDatabaseOperations.execute_sql_flush = lifted  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def empty_database(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SQLite's file after every migration, for a process of its own to begin with a copy of: migrating takes seven seconds."""
    from django.db import connection

    made = tmp_path_factory.mktemp("empty") / "firstbell.sqlite3"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(made)])
    return made
