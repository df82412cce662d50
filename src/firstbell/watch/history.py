"""What a closed school year said of each student, kept a calendar at a time so that no night reads last year's marks again.

A summary is made anew when a row of its register has changed: late corrections reach it the next night.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Sum
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, Fates
from firstbell.forecast.known import Known
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before
from firstbell.register import rows
from firstbell.register.models import Calendar, RegisterRow, SchoolYear
from firstbell.watch.models import CalendarSummary

__all__ = ["LastYear", "kept_of", "last_year", "last_year_of"]

WHY = "last year's days are summed up"
_BEFORE = Before.__slots__
#: as kept: little-endian, in the order of the fields of `Before`, of each kind of line
_ROW = np.dtype(
    [
        ("student", "<i8"),
        ("absent", "<i4"),
        ("possible", "<i4"),
        *((f"{c}_{n}", "<f8") for c in Counted for n in _BEFORE),
    ]
)
# how unsettled marks end plays no part in a closed year: its counts are taken as they are
_CLOSED = Fates(np.full((3, 30), 0.5), 0.5)


@dataclass(frozen=True)
class LastYear:
    """A row a student, in order of their ids; who was at two schools has both schools' days. days: `_ROW`."""

    days: NDArray[np.void]

    @classmethod
    def of(cls, parts: Iterable[NDArray[np.void]]) -> LastYear:
        every = np.concatenate([np.zeros(0, dtype=_ROW), *parts])
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
        if not len(self.days):
            return {}
        days, there = self._of(students)
        return {c: Before(*(days[f"{c}_{name}"] * there for name in _BEFORE)) for c in Counted}

    def attendance(self, students: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(absent, possible) days by row of a register."""
        if not len(self.days):
            none = np.zeros(len(students), dtype=np.int32)
            return none, none
        days, there = self._of(students)
        return (days["absent"] * there).astype(np.int32), (days["possible"] * there).astype(np.int32)

    def _of(self, students: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(self.days["student"], students), len(self.days) - 1)
        return self.days[at], self.days["student"][at] == students


def summed(students: NDArray[np.int64], known: Known) -> NDArray[np.void]:
    """A school's closed year, a row a student, as it is kept."""
    found = np.zeros(len(students), dtype=_ROW)
    kinds = known.kinds[Counted.ABSENT]
    found["student"] = students
    found["absent"] = (kinds == COUNTED).sum(axis=1)
    found["possible"] = (kinds > 0).sum(axis=1)
    for c in Counted:
        before = summary(known, c, _CLOSED)
        for name in _BEFORE:
            found[f"{c}_{name}"] = getattr(before, name)
    return found


def last_year(year: SchoolYear) -> LastYear:
    """What the year before `year` said, from the registers as they are now."""
    calendars = Calendar.objects.filter(school_year__ends_in=year.ends_in - 1).select_related("school", "school_year")
    registers = RegisterRow.objects.system(WHY).filter(calendar__in=calendars)
    now = {
        pk: (count, versions)
        for pk, count, versions in registers.values_list("calendar").annotate(Count("pk"), Sum("version"))
    }
    kept = {s.calendar_id: s for s in CalendarSummary.objects.filter(calendar__in=list(now))}
    parts = []
    for calendar in calendars:
        if calendar.pk not in now:
            continue
        rows_, versions = now[calendar.pk]
        found = kept.get(calendar.pk)
        if found is None or (found.rows, found.versions) != (rows_, versions):
            found, _new = CalendarSummary.objects.update_or_create(
                calendar=calendar,
                defaults={"rows": rows_, "versions": versions, "days": _of_calendar(calendar).tobytes()},
            )
        parts.append(np.frombuffer(found.days, dtype=_ROW))
    return LastYear.of(parts)


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
            days = _of_calendar(calendar)
        parts.append(days[np.isin(days["student"], students)])
    return LastYear.of(parts)


def _of_calendar(calendar: Calendar) -> NDArray[np.void]:
    school = rows.school_grid(calendar)
    n = len(school.student_ids)
    return summed(
        school.student_ids, Known.of(school.grid, school.grid.days, np.zeros(n, np.int32), np.zeros(n, np.int8))
    )
