"""The one clock of the domain: what day and hour it is at a school.

A demo district lives at its own morning: `FIRSTBELL_HOME/demo-clock` holds that moment, and time runs on from it for as
long as the process does. Leases, sessions and the audit use real time (`django.utils.timezone.now`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings

_started = datetime.now(UTC)


@cache
def demo_start() -> datetime | None:
    """The demo district's morning, or None in a real one."""
    file = settings.HOME / "demo-clock"
    return datetime.fromisoformat(file.read_text().strip()) if file.exists() else None


def now() -> datetime:
    """This moment, aware, in UTC."""
    real = datetime.now(UTC)
    start = demo_start()
    return start + (real - _started) if start else real


def today(zone: ZoneInfo) -> date:
    """The date by a school's own clock."""
    return now().astimezone(zone).date()


def seconds(moment: datetime) -> int:
    """Seconds since 1970 UTC, as mark events keep them."""
    return int(moment.timestamp())


def moment(seconds_since_1970: int) -> datetime:
    return datetime.fromtimestamp(seconds_since_1970, UTC)


def end_of_day(day: date, zone: ZoneInfo) -> int:
    """The last second of a school's day: what 'as known on that day' includes."""
    return seconds(datetime.combine(day + timedelta(days=1), time(), zone)) - 1
