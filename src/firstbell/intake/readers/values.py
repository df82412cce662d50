"""Single values as exports write them: dates, moments, booleans, lists, grades. Each parser returns a value or says why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from firstbell.said import said

__all__ = [
    "Bad",
    "Cache",
    "Refused",
    "date_order",
    "excel_date",
    "is_ambiguous",
    "parse_bool",
    "parse_date",
    "parse_minutes",
    "parse_moment",
    "split_list",
    "text",
    "text_lines",
]

T = TypeVar("T")
#: Years met in real files that no living student's record can hold: 0003, 1813, 2086, 6209.
EARLIEST, LATEST = 1990, 2045
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})$")
#: also with a time of day behind it, as spreadsheets write a date into a text file
_SLASHED = re.compile(
    r"(\d{1,4})[/.\-](\d{1,2})[/.\-](\d{1,4})(?:[ T]+\d{1,2}:\d{2}(?::\d{2})?(?: ?[AP]M)?)?$", re.IGNORECASE
)


class Bad(ValueError):
    """A value that can't be taken; the sentence says why."""


class Refused(ValueError):
    """A row that can't be taken because of one of its columns; readers turn it into a records.Refusal."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        self.column, self.value, self.reason = column, value, reason
        super().__init__(reason)


class Cache(dict[str, Any], Generic[T]):
    """A column's values parsed once each: `cache[text]` is the value, or the Bad that says why there is none."""

    def __init__(self, parse: Callable[[str], T]) -> None:
        super().__init__()
        self._parse = parse

    def __missing__(self, value: str) -> Any:
        try:
            found: Any = self._parse(value)
        except Bad as error:
            found = error
        if len(self) > 2_000_000:  # a column of all-different texts must not fill the memory
            self.clear()
        self[value] = found
        return found


def text(value: str) -> str:
    """A text as kept: outer space off, direction overrides out (they can make one name read as another).

    Raises Bad for control characters.
    """
    value = value.strip()
    if value.isascii() and value.isprintable():
        return value
    if _CONTROL.search(value):
        raise Bad(said("holds a control character"))
    return _BIDI.sub("", value)


def text_lines(value: str) -> str:
    """A block of lines, such as a postal address: each as `text` keeps it, empty ones out."""
    return "\n".join(filter(None, map(text, value.splitlines())))


def _year_in_reach(found: date, earliest: int) -> date:
    if not earliest <= found.year <= LATEST:
        raise Bad(said("the year %(year)s can't be right", year=f"{found.year:04d}"))
    return found


def parse_date(value: str, order: str = "", *, earliest: int = EARLIEST) -> date:
    """A date: ISO always; others only in the `order` ("dmy", "mdy", "ymd") found for the whole column."""
    value = value.strip()
    if match := _ISO.match(value[:10]):
        try:
            return _year_in_reach(date(int(match[1]), int(match[2]), int(match[3])), earliest)
        except ValueError as error:
            raise error if isinstance(error, Bad) else Bad(said("is no day of any month")) from error
    match = _SLASHED.match(value)
    if match and order:
        parts = dict(zip(order, (int(p) for p in match.groups()), strict=True))
        year = parts["y"] + (2000 if parts["y"] < 100 else 0)
        try:
            return _year_in_reach(date(year, parts["m"], parts["d"]), earliest)
        except ValueError as error:
            raise error if isinstance(error, Bad) else Bad(said("is no day of any month")) from error
    if match:
        raise Bad(said("could be read as more than one date; write it as YYYY-MM-DD"))
    raise Bad(said("is not a date (YYYY-MM-DD)"))


def date_order(values: Iterable[str]) -> str:
    """The one order in which all of a column's dates make sense: "dmy", "mdy" or "ymd"; "" when ISO, or when two would do."""
    orders = {"dmy", "mdy", "ymd"}
    seen = False
    for value in values:
        match = _SLASHED.match(value.strip())
        if not match or _ISO.match(value.strip()[:10]):
            continue
        seen = True
        a, b, c = (int(p) for p in match.groups())
        if len(match[1]) == 4:
            orders &= {"ymd"}
        else:
            orders -= {"ymd"}
            if a > 12:
                orders -= {"mdy"}
            if b > 12:
                orders -= {"dmy"}
        if c > 31 and len(match[1]) != 4:
            orders -= {"ymd"}
    return orders.pop() if seen and len(orders) == 1 else ""


def is_ambiguous(value: str) -> bool:
    """A date that is not ISO and whose parts alone don't say which is which; `date_order` asks the whole column."""
    value = value.strip()
    return bool(_SLASHED.match(value)) and not _ISO.match(value[:10])


def parse_moment(value: str, zone: ZoneInfo) -> int:
    """Seconds since 1970 UTC of an ISO 8601 moment; one without an offset is by the school's clock."""
    try:
        found = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise Bad(said("is not a moment (YYYY-MM-DDTHH:MM:SS with an offset)")) from error
    _year_in_reach(found.date(), EARLIEST)
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    return int(found.astimezone(UTC).timestamp())


def parse_bool(value: str) -> bool:
    folded = value.strip().lower()
    if folded in ("true", "1", "yes", "y", "t"):
        return True
    if folded in ("false", "0", "no", "n", "f", ""):
        return False
    raise Bad(said("is neither true nor false"))


def parse_minutes(value: str) -> int | None:
    value = value.strip()
    if not value:
        return None
    try:
        minutes = int(value)
    except ValueError as error:
        raise Bad(said("is not a whole number of minutes")) from error
    if not 0 <= minutes <= 999:
        raise Bad(said("is not a number of minutes a session can have"))
    return minutes


def split_list(value: str) -> tuple[str, ...]:
    """A list in one cell, comma separated; empty items are none."""
    return tuple(item for part in value.split(",") if (item := part.strip()))


def excel_date(serial: float) -> date:
    """A spreadsheet's day number (1900 system, whose 29 February 1900 never was)."""
    if not 20_000 <= serial <= 60_000:
        raise Bad(said("is not a spreadsheet's day number"))
    return (datetime.combine(date(1899, 12, 30), time()) + timedelta(days=int(serial))).date()
