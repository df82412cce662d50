"""Six weeks into the year of one school: what the tests of alerts begin with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.register.models import Calendar, School
from tests.build import FIRST_MONDAY, a_calendar, a_student

#: Friday of the sixth week, the ninth of October: thirty school days are whole
FRIDAY = FIRST_MONDAY + timedelta(days=7 * 5 + 4)


def on(monkeypatch: pytest.MonkeyPatch, day: date, hour: int = 22) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, hour, tzinfo=UTC))


def a_year_of(school: School, classmates: int) -> Calendar:
    """Twelve weeks, complete through the Friday, and classmates who are always there."""
    calendar = a_calendar(school, weeks=12, covered=FRIDAY)
    for n in range(classmates):
        a_student(school, f"Kid{n}")
    return calendar
