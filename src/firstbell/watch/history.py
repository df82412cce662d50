"""What a closed school year said of each student, kept a calendar at a time so that no night reads last year's marks again.

A summary is made anew when its register was folded anew: late corrections reach it the next night.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import Fates
from firstbell.forecast.known import Known
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before
from firstbell.register import rows
from firstbell.register.models import Calendar, RegisterRow, SchoolYear
from firstbell.register.rows import SchoolGrid
from firstbell.watch.models import CalendarSummary

__all__ = ["LastYear", "kept_of", "last_year", "last_year_of"]

WHY = "last year's days are summed up"
#: as kept: little-endian. Whether an absence counts differs by line; how it comes in spells does not.
_ROW = np.dtype(
    [
        ("student", "<i8"),
        ("possible", "<i2"),
        ("starts", "<i2"),
        ("exposed", "<f4"),
        ("stayed", "<i2"),
        ("could_stay", "<i2"),
        ("counted", "<i2"),
        ("ended", "<i2"),
    ]
)
_CLOSED = Fates.of_a_closed_year()


@dataclass(frozen=True)
class LastYear:
    """A row a student, in order of their ids; who was at two schools has both schools' days. days: `_ROW`."""

    days: NDArray[np.void]

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.void]]) -> LastYear:
        every = np.concatenate([np.zeros(0, dtype=_ROW), *parts])
        if (np.diff(every["student"]) > 0).all():
            return cls(every)
        ids, where = np.unique(every["student"], return_inverse=True)
        if len(ids) == len(every):
            return cls(every[np.argsort(every["student"])])
        joined = np.zeros(len(ids), dtype=_ROW)
        joined["student"] = ids
        for name in (_ROW.names or ())[1:]:
            joined[name] = np.bincount(where, every[name], minlength=len(ids))
        return cls(joined)

    @classmethod
    def nothing(cls) -> LastYear:
        return cls.of(())

    def before(self, students: NDArray[np.int64]) -> dict[Counted, Before]:
        """By row of a register; empty where there was no last year."""
        return self.of_students(students)[2]

    def attendance(self, students: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(absent, possible) days by row of a register."""
        return self.of_students(students)[:2]

    def of_students(
        self, students: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], dict[Counted, Before]]:
        """`attendance` and `before` at once."""
        if not len(self.days):
            none = np.zeros(len(students), dtype=np.int32)
            return none, none, {}
        days, there = self._of(students)
        column = {name: days[name] * there.astype(np.float64) for name in (_ROW.names or ())[2:]}
        before = {
            Counted.UNEXCUSED: Before(**column),
            Counted.ABSENT: Before(**(column | {"counted": column["ended"]})),  # every absence counts
        }
        return (days["ended"] * there).astype(np.int32), (days["possible"] * there).astype(np.int32), before

    def _of(self, students: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(self.days["student"], students), len(self.days) - 1)
        return self.days[at], self.days["student"][at] == students


def summed(students: NDArray[np.int64], known: Known) -> NDArray[np.void]:
    """A school's closed year, a row a student, as it is kept."""
    found = np.zeros(len(students), dtype=_ROW)
    found["student"] = students
    found["possible"] = (known.kinds[Counted.UNEXCUSED] > 0).sum(axis=1)
    before = summary(known, Counted.UNEXCUSED, _CLOSED)
    for name in (_ROW.names or ())[2:]:
        found[name] = getattr(before, name)
    return found


def last_year(year: SchoolYear) -> LastYear:
    """What the year before `year` said, from the registers as they are now."""
    calendars = Calendar.objects.filter(school_year__ends_in=year.ends_in - 1).select_related("school")
    kept = {
        pk: (folds, days)
        for pk, folds, days in CalendarSummary.objects.filter(calendar__in=calendars).values_list("pk", "folds", "days")
    }
    stale = [c for c in calendars if c.folds != kept.get(c.pk, (-1,))[0]]
    for school in rows.school_grids(list(rows.columns_of(stale).values())):
        days = _of_school(school).tobytes()
        kept[school.calendar.pk] = (school.calendar.folds, days)
        CalendarSummary.objects.update_or_create(
            calendar=school.calendar, defaults={"folds": school.calendar.folds, "days": days}
        )
    return LastYear.of(np.frombuffer(days, dtype=_ROW) for _folds, days in kept.values())


def last_year_of(year: SchoolYear, students: Sequence[int]) -> LastYear:
    """The same of a few students, as the last night left it."""
    registers = RegisterRow.objects.system(WHY).filter(
        student_id__in=students, calendar__school_year__ends_in=year.ends_in - 1
    )
    return kept_of(
        (row.calendar for row in registers.select_related("calendar__school", "calendar__summary")), students
    )


def kept_of(calendars: Iterable[Calendar], students: Sequence[int]) -> LastYear:
    """Of these students from these closed calendars, each read with its summary; summed up here where no night has been yet."""
    parts = []
    for calendar in {calendar.pk: calendar for calendar in calendars}.values():
        try:
            days = np.frombuffer(calendar.summary.days, dtype=_ROW)
        except CalendarSummary.DoesNotExist:
            days = _of_school(rows.school_grid(calendar))
        parts.append(days[np.isin(days["student"], students)])
    return LastYear.of(parts)


def _of_school(school: SchoolGrid) -> NDArray[np.void]:
    n = len(school.student_ids)
    known = Known.of(
        school.grid, school.grid.days, np.zeros(n, np.int32), np.zeros(n, np.int8), counted=(Counted.UNEXCUSED,)
    )
    return summed(school.student_ids, known)
