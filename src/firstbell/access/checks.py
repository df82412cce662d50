"""What must be so before Firstbell starts."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.db import connections


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """SQLite 3.7.0–3.51.2 can corrupt a WAL database used by several connections (the WAL-reset bug).

    Fixed in 3.51.3, and carried back to 3.44.6 and 3.50.7.
    """
    if version >= (3, 51, 3) or version < (3, 7, 0):
        return True
    return ((3, 44, 6) <= version < (3, 45, 0)) or ((3, 50, 7) <= version < (3, 51, 0))


@register("firstbell")
def sqlite_version(**_: Any) -> list[CheckMessage]:
    if connections["default"].vendor != "sqlite":
        return []
    from django.db.backends.sqlite3.base import Database

    if wal_is_safe(Database.sqlite_version_info):
        return []
    return [
        Error(
            f"SQLite {Database.sqlite_version} can corrupt a database in WAL mode that several connections write.",
            hint="Install the pysqlite3 wheel from the locks (make setup), or set DATABASE_URL to a PostgreSQL.",
            id="firstbell.E001",
        )
    ]
