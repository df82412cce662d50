"""Rows of another table, brought along in the same statement: a page that needs a few short lists asks once, not once a list."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Func, JSONField, QuerySet, Subquery
from django.db.models.functions import JSONArray

__all__ = ["at", "day", "gathered"]


class _All(Func):
    """Of every row of its query, one list. No Aggregate to Django, which would group the query by something."""

    function = "JSON_GROUP_ARRAY"
    output_field = JSONField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_AGG", **context)


def gathered(some: QuerySet[Any], *fields: str) -> Subquery:
    """The rows of `some` as a list of lists, in no order; None or empty where there is none. Days and moments come as text."""
    return Subquery(some.order_by().values_list(_All(JSONArray(*fields))))


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def at(text: str) -> datetime:
    """A moment. SQLite keeps them in UTC, and says no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
