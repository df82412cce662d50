"""School years of a made-up district in the United States: mid-August to mid-June, the usual breaks, one snow day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

__all__ = ["SchoolYearCalendar", "demo_day", "school_year"]

#: A demo opens with at least so many school days of its year behind it.
MIN_DAYS = 30
#: Days from one school day to the next: over a long weekend (three days off), and over the summer.
LONG_WEEKEND, SUMMER = 4, 70


@dataclass(frozen=True, slots=True)
class SchoolYearCalendar:
    """One school year. `kinds` gives every weekday between first and last its kind, in Ed-Fi's words."""

    ends_in: int
    kinds: dict[date, str]

    @property
    def first(self) -> date:
        return min(self.kinds)

    @property
    def last(self) -> date:
        return max(self.kinds)

    @property
    def school_days(self) -> list[date]:
        return [d for d, kind in sorted(self.kinds.items()) if kind in _SCHOOL]

    def gaps(self) -> NDArray[np.int64]:
        """By school day: days until the next one. 1 on most days, 3 over a weekend, 4 and more before a break."""
        days = self.school_days
        return np.array([(b - a).days for a, b in zip(days, days[1:], strict=False)] + [SUMMER])

    def before_break(self) -> NDArray[np.bool_]:
        """By school day: a long weekend or a break follows."""
        return self.gaps() >= LONG_WEEKEND

    def half_terms(self) -> NDArray[np.float64]:
        """By school day: how far through its stretch between two breaks, from 0 to 1."""
        ends = np.flatnonzero(self.gaps() > LONG_WEEKEND)
        place = np.empty(ends[-1] + 1)
        start = 0
        for end in ends.tolist():
            place[start : end + 1] = np.linspace(0, 1, end + 1 - start)
            start = end + 1
        return place


_SCHOOL = {"Instructional day", "Make-up day", "Student late arrival/early dismissal"}


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def school_year(ends_in: int, *, snow: date | None = None) -> SchoolYearCalendar:
    """The school year ending in June of `ends_in`. `snow`: a closure, made up on the first Monday after the last day."""
    start = _nth(ends_in - 1, 8, 0, 3)
    spring = _nth(ends_in, 4, 0, 1)
    last = _nth(ends_in, 6, 4, 2)
    thanksgiving = _nth(ends_in - 1, 11, 3, 4)
    memorial = date(ends_in, 5, 31) - timedelta(days=date(ends_in, 5, 31).weekday())
    off: dict[date, str] = {
        _nth(ends_in - 1, 9, 0, 1): "Holiday",
        _nth(ends_in - 1, 10, 0, 2): "Teacher only day",
        date(ends_in - 1, 11, 11): "Holiday",
        thanksgiving - timedelta(days=1): "Student late arrival/early dismissal",
        thanksgiving: "Holiday",
        thanksgiving + timedelta(days=1): "Holiday",
        _nth(ends_in, 1, 0, 3): "Holiday",
        _nth(ends_in, 2, 0, 3): "Holiday",
        _nth(ends_in, 3, 4, 2): "Teacher only day",
        memorial: "Holiday",
    }
    winter = date(ends_in - 1, 12, 21)
    winter += timedelta(days=-winter.weekday() % 7)
    for offset in range(14):
        off[winter + timedelta(days=offset)] = "Holiday"
    for offset in range(5):
        off[spring + timedelta(days=offset)] = "Holiday"
    if snow is not None:
        off[snow] = "Weather day"
        off[last + timedelta(days=3)] = "Make-up day"
    kinds: dict[date, str] = {}
    day = start
    while day <= max([last, *(d for d, kind in off.items() if kind == "Make-up day")]):
        if day.weekday() < 5:
            kinds[day] = off.get(day, "Instructional day" if day <= last else "Non-instructional day")
        day += timedelta(days=1)
    return SchoolYearCalendar(ends_in, kinds)


def snow_day(ends_in: int) -> date:
    """The day the snow came: a Wednesday late in January."""
    return _nth(ends_in, 1, 2, 4)


def demo_day(today: date) -> date:
    """The last school day up to `today` with enough of its year behind it to show something."""
    ends_in = today.year + (today >= date(today.year, 8, 1))
    for year in (ends_in, ends_in - 1):
        days = [d for d in school_year(year).school_days if d <= today]
        if len(days) > MIN_DAYS:
            return days[-1]
    raise ValueError(f"no school day found before {today}")
