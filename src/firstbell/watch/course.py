"""The course of a student's year: each week's share missed, what is usual for this student, where it changed, and what was decided.

The same numbers as the alerts': the baseline is the kernel's own, the break is the standing alert's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from firstbell.register import rows
from firstbell.register.grid import Grid
from firstbell.register.rows import SchoolGrid
from firstbell.signals import metrics
from firstbell.signals.kernel import context, marked, student_signals
from firstbell.signals.metrics import Attendance, CountedDay
from firstbell.watch.models import Kind, Verdict
from firstbell.watch.record import StudentRecord, Year
from firstbell.watch.registers import groups_of, whole_days
from firstbell.watch.words import alert_days

__all__ = ["Course", "Step", "Week", "course"]


@dataclass(frozen=True, slots=True)
class Week:
    monday: date
    missed: Attendance


@dataclass(frozen=True, slots=True)
class Step:
    """Somebody decided something on this day."""

    on: date
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Course:
    """`usual`: expected share of days missed, None where it isn't known. `changed`: first day of a break that stands."""

    weeks: tuple[Week, ...]
    usual: float | None
    changed: date | None
    steps: tuple[Step, ...]

    @property
    def usual_one_in(self) -> int | None:
        """The usual in words: a day away in so many, 2 to 200."""
        return None if self.usual is None else max(2, min(200, round(1 / max(self.usual, 0.005))))


def course(record: StudentRecord, year: Year, school: SchoolGrid | None = None) -> Course:
    """Of one of a record's years. As known on a past day there is no usual: that day's alerts are not rebuilt.

    school: the year's whole register, for who has it already.
    """
    zone = year.calendar.school.zone
    verdicts = [v for a in [*record.open, *record.past] for v in a.verdicts if v.undone_at is None]
    steps = sorted(
        (Step(v.given_at.astimezone(zone).date(), v) for v in verdicts), key=lambda s: (s.on, s.verdict.pk or 0)
    )
    changed = next((d for a in record.open if a.alert.kind == Kind.BREAK for d, _letters in alert_days(a.alert)), None)
    return Course(
        tuple(_weeks(year.days)),
        None if record.as_of else _usual(record, year, school or rows.school_grid(year.column)),
        None if record.as_of else changed,
        tuple(s for s in steps if year.dates[0] <= s.on <= (record.as_of or year.dates[-1])),
    )


def _weeks(days: Sequence[CountedDay]) -> list[Week]:
    by_monday: dict[date, list[CountedDay]] = defaultdict(list)
    for day in days:
        by_monday[day.date - timedelta(days=day.date.weekday())].append(day)
    return [Week(monday, metrics.attendance(found)) for monday, found in sorted(by_monday.items())]


def _usual(record: StudentRecord, year: Year, school: SchoolGrid) -> float | None:
    """The kernel's baseline of this student, seen against their school as the alerts see it."""
    at = np.flatnonzero(school.student_ids == record.student.pk)
    through, _today = whole_days(year.calendar, year.dates, record.today)
    if not len(at) or not through:
        return None
    group = groups_of(school)
    around = context(marked(school.grid, through), group)
    alone = Grid(school.grid.codes[at], school.grid.dates, school.grid.sessions)
    last = [
        metrics.attendance(y.days)
        for y in record.earlier
        if y.calendar.school_year.ends_in == year.calendar.school_year.ends_in - 1
    ]
    absent = np.array([sum(a.missed for a in last)], dtype=np.int32)
    possible = np.array([sum(a.possible for a in last)], dtype=np.int32)
    return float(student_signals(marked(alone, through), group[at], around, absent, possible).baseline[0])
