"""Registers from the database, as the pass takes them: a school's beside others that share its days, with last year and other schools."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, kinds_of_days
from firstbell.forecast.known import Carried, Known, grade_band
from firstbell.forecast.lines import Counted
from firstbell.register import rows as register_rows
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, RegisterRow, SchoolYear
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.ground import Registers
from firstbell.watch.history import LastYear

__all__ = ["Elsewhere", "Place", "Stays", "groups_of", "known_now", "registers_of", "whole_days"]

WHY = "alerts are evaluated"
#: student -> each of their stays this year, as its calendar's columns and codes
Stays = dict[int, list[tuple[Column, str]]]


class Elsewhere:
    """Who is on more than one of a year's calendars: found once, their registers read as they are asked about."""

    def __init__(self, year: SchoolYear, students: Sequence[int] | None = None) -> None:
        """students: whom it will be asked about; None: everybody."""
        self._year = year
        self._columns: dict[int, Column] = {}
        self.students = np.zeros(0, dtype=np.int64)
        if students is not None and not students:
            return
        of_whom = "" if students is None else f"AND r.student_id IN ({', '.join(['%s'] * len(students))}) "
        with connection.cursor() as cursor:
            # the plus keeps SQLite from the index by calendar: the one by student gives them in order, with nothing to sort
            cursor.execute(
                "SELECT r.student_id FROM register_registerrow r "  # noqa: S608
                "WHERE +r.calendar_id IN (SELECT id FROM register_calendar WHERE school_year_id = %s) "
                f"{of_whom}GROUP BY r.student_id HAVING min(r.calendar_id) < max(r.calendar_id) "
                "ORDER BY r.student_id",
                [year.pk, *(students or ())],
            )
            self.students = np.array([student for (student,) in cursor], dtype=np.int64)

    def stays(self, students: NDArray[np.int64]) -> Stays:
        """Of those of these students who have several."""
        some = self.students[np.isin(self.students, students)].tolist()
        found: Stays = defaultdict(list)
        rows: list[tuple[int, int, str]] = []
        registers = RegisterRow.objects.system(WHY).filter(calendar__school_year=self._year)
        for part in (some[i : i + 500] for i in range(0, len(some), 500)):
            rows += registers.filter(student_id__in=part).values_list("student_id", "calendar_id", "codes")
        new = {calendar for _student, calendar, _codes in rows} - set(self._columns)
        if new:
            calendars = Calendar.objects.filter(pk__in=new).select_related("school", "school_year")
            self._columns |= register_rows.columns_of(calendars)
        for student, calendar, codes in rows:
            found[student].append((self._columns[calendar], codes))
        return dict(found)


@dataclass(frozen=True, slots=True)
class Place:
    """One school as a pass finds it on a day.

    upto     school days up to today, today included
    through  whole days that counts and patterns may read
    column   today's day column, if today is a school day
    """

    days: Column
    today: date
    upto: int
    through: int
    column: int | None

    @classmethod
    def of(cls, column: Column, today: date) -> Place:
        upto = column.through(today)
        return cls(column, today, upto, *whole_days(column.calendar, column.dates, today))

    @property
    def calendar(self) -> Calendar:
        return self.days.calendar


def whole_days(calendar: Calendar, dates: Sequence[date], today: date) -> tuple[int, int | None]:
    """How many whole days counts and patterns may read, and today's column if today is a school day.

    Today is not a whole day until its source has said everything about it: at nine o'clock an absence may still be a late bus.
    """
    upto = bisect_right(dates, today)
    is_today = upto > 0 and dates[upto - 1] == today
    whole = calendar.covered_through is not None and calendar.covered_through >= today
    return (upto if whole or not is_today else upto - 1), (upto - 1 if is_today else None)


def groups_of(school: SchoolGrid) -> NDArray[np.int32]:
    """Each row's group: its grade within the school."""
    return _grades(school)[1]


def _grades(school: SchoolGrid) -> tuple[list[str], NDArray[np.int32]]:
    """A school's grades in order, and each row's number among them."""
    grades = sorted(set(school.grades))
    number = {grade: k for k, grade in enumerate(grades)}
    return grades, np.array([number[grade] for grade in school.grades], dtype=np.int32)


def registers_of(
    schools: Sequence[SchoolGrid], through: int, today: int | None, last: LastYear, stays: Stays
) -> Registers:
    """Schools that share their days, side by side. through, today: as `Registers` takes them."""
    students = np.concatenate([s.student_ids for s in schools])
    groups, bands, number = [], [], 0
    for school in schools:
        grades, index = _grades(school)
        groups.append(index + number)
        number += len(grades)
        bands.append(np.array([grade_band(g) for g in grades], dtype=np.int8)[index])
    grid = schools[0].grid
    codes = grid.codes if len(schools) == 1 else np.concatenate([s.grid.codes for s in schools])
    carried = [_carried(s, through, stays) for s in schools] if stays else []
    absent, possible, before = last.of_students(students)
    return Registers(
        Grid(codes, grid.dates, grid.sessions), through, today,
        np.repeat(np.arange(len(schools), dtype=np.int32), [len(s.student_ids) for s in schools]),
        np.concatenate(groups), np.concatenate(bands), absent, possible, before,
        Carried(*(np.concatenate([getattr(c, name) for c in carried]) for name in Carried.__slots__)) if carried
        else Carried.nothing(len(students)),
    )  # fmt: skip


def known_now(school: SchoolGrid, through: int, last: LastYear, stays: Stays) -> Known:
    """A school's register as the forecast takes it, through its whole days."""
    return registers_of([school], through, None, last, stays).known()


def _carried(school: SchoolGrid, through: int, stays: Stays) -> Carried:
    """What students brought from other schools this year, days they also had here left out."""
    carried = Carried.nothing(len(school.student_ids))
    rows = [i for i, student in enumerate(school.student_ids.tolist()) if student in stays]
    if not rows or not through:
        return carried
    last = school.grid.dates[through - 1]
    mine = kinds_of_days(
        Grid(school.grid.codes[rows], school.grid.dates, school.grid.sessions), through, Counted.ABSENT
    )
    for i, days_here in zip(rows, mine, strict=True):
        here = set(school.grid.dates[:through][days_here > 0].tolist())
        for column, codes in stays[int(school.student_ids[i])]:
            if column.calendar.pk == school.calendar.pk or not column.dates:
                continue
            grid = Grid(
                np.frombuffer(codes.encode("ascii"), dtype=np.uint8).reshape(1, -1),
                column.days, column.calendar.sessions,
            )  # fmt: skip
            upto = grid.through(last)
            days = [d for d, day in enumerate(grid.dates[:upto].tolist()) if day not in here]
            absent = kinds_of_days(grid, upto, Counted.ABSENT)[0][days]
            carried.possible[i] += int((absent > 0).sum())
            carried.absent[i] += int((absent == COUNTED).sum())
            carried.count[i] += int((kinds_of_days(grid, upto, Counted.UNEXCUSED)[0][days] == COUNTED).sum())
    return carried
