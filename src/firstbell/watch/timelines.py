"""Registers as the law reads them: the database at one end, `law.timeline.Timeline` at the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.register import rows
from firstbell.register.grid import Grid
from firstbell.register.marks import NOT_EXPECTED
from firstbell.register.models import Calendar, Enrolment, Term
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.registers import whole_days

__all__ = [
    "asks_earlier_years", "before", "came_to", "finest", "last_whole_day", "some_of", "stretch", "stretch_of", "terms_of", "year_before",
]  # fmt: skip

WHY = "the law is asked about students of a school"
#: so many students are read by name, more by their school
FEW = 100


def last_whole_day(column: Column, today: date) -> date:
    """Today, unless school is on and its source has not said everything about it: then the day before."""
    through, at = whole_days(column.calendar, column.dates, today)
    return today - timedelta(days=1) if at is not None and through <= at else today


def terms_of(years: Sequence[int]) -> dict[int, tuple[tuple[date, date], ...]]:
    """School year (its key) -> its finest terms."""
    found: dict[int, list[tuple[str, date, date]]] = {}
    for year, *term in Term.objects.filter(school_year__in=years).values_list(
        "school_year_id", "kind", "starts", "ends"
    ):
        found.setdefault(year, []).append((term[0], term[1], term[2]))
    return {year: finest(terms) for year, terms in found.items()}


def finest(terms: Iterable[tuple[str, date, date]]) -> tuple[tuple[date, date], ...]:
    """The finest kind of a year's terms, in order: four quarters say where two semesters are, not the other way."""
    kinds: dict[str, list[tuple[date, date]]] = {}
    for kind, starts, ends in sorted(terms, key=lambda term: term[1:]):
        kinds.setdefault(kind, []).append((starts, ends))
    return tuple(max(kinds.values(), key=lambda spans: (len(spans) <= 4, len(spans)), default=()))


def stretch(school: SchoolGrid, terms: Mapping[int, tuple[tuple[date, date], ...]]) -> Stretch:
    """A school's register as the law reads it."""
    return stretch_of(school, terms.get(school.calendar.school_year_id, ()))


def stretch_of(school: SchoolGrid, terms: tuple[tuple[date, date], ...]) -> Stretch:
    calendar, grid = school.calendar, school.grid
    minutes = tuple(int(m) for m in calendar.session_minutes.split())
    return Stretch(
        calendar.school.source_id, calendar.school_year.ends_in, grid.dates, grid.sessions, grid.codes, grid.minutes,
        minutes if len(minutes) == grid.sessions else (), terms,
    )  # fmt: skip


def came_to(*schools: SchoolGrid) -> NDArray[np.datetime64]:
    """(n,) the day each student of these schools' registers, one after another, came there, or the year's first."""
    stays = np.concatenate([school.enrolment_ids for school in schools]).tolist()
    began = dict(Enrolment.objects.system(WHY).filter(pk__in=stays).values_list("pk", "starts"))
    first = schools[0].calendar.school_year.starts
    return np.array([max(began[stay], first) for stay in stays], dtype="datetime64[D]")


def asks_earlier_years(law: Sequence[InForce]) -> bool:
    return any(rule.window.across_years for version in law for rule in version.pack.rule)


def year_before(school: SchoolGrid) -> Stretch | None:
    """Last year's register of the students of this one, at the same school, in their order; who was not there is not expected."""
    found = Calendar.objects.filter(
        school=school.calendar.school_id, school_year__ends_in=school.calendar.school_year.ends_in - 1
    )
    calendar = found.select_related("school", "school_year").first()
    column = calendar and rows.columns(calendar)
    if calendar is None or column is None or not column.dates:
        return None
    few = school.student_ids.tolist() if len(school.student_ids) < FEW else None
    last = rows.school_grid(column, student_ids=few)
    return before([school], [last], column, terms_of([calendar.school_year_id]))


def before(
    schools: Sequence[SchoolGrid],
    last: Sequence[SchoolGrid],
    column: Column,
    terms: Mapping[int, tuple[tuple[date, date], ...]],
) -> Stretch:
    """Last year's registers of the students of these schools, each at the same school, in their order; who was not there is not expected.

    column: the days last year's registers share
    """
    by_school = {s.calendar.school_id: s for s in last}
    n, squares = sum(len(s.student_ids) for s in schools), len(column.dates) * column.calendar.sessions
    codes, missed = np.full((n, squares), ord(NOT_EXPECTED), dtype=np.uint8), None
    if any(s.grid.minutes is not None for s in last):
        missed = np.zeros(codes.shape, dtype=np.uint16)
    row = 0
    for school in schools:
        there = by_school.get(school.calendar.school_id)
        if there is not None and len(there.student_ids):
            at = np.searchsorted(there.student_ids, school.student_ids)
            had = np.flatnonzero(there.student_ids[np.minimum(at, len(there.student_ids) - 1)] == school.student_ids)
            codes[row + had] = there.grid.codes[at[had]]
            if missed is not None and there.grid.minutes is not None:
                missed[row + had] = there.grid.minutes[at[had]]
        row += len(school.student_ids)
    dates = np.array(column.dates, dtype="datetime64[D]")
    nobody = np.zeros(0, dtype=np.int64)
    shared = SchoolGrid(column.calendar, Grid(codes, dates, column.calendar.sessions, missed), nobody, nobody, [])
    return stretch(shared, terms)


def some_of(school: SchoolGrid, keep: NDArray[np.int64]) -> SchoolGrid:
    """A school's register with these of its rows."""
    if len(keep) == len(school.student_ids):
        return school
    grid = school.grid
    return replace(
        school, grid=Grid(grid.codes[keep], grid.dates, grid.sessions, None if grid.minutes is None else grid.minutes[keep]),
        student_ids=school.student_ids[keep], enrolment_ids=school.enrolment_ids[keep], grades=[school.grades[int(k)] for k in keep],
    )  # fmt: skip
