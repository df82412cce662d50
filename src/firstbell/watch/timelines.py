"""Registers as the law reads them: the database at one end, `law.timeline.Timeline` at the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.register import rows
from firstbell.register.models import Calendar, Enrolment, Term
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.registers import whole_days

__all__ = [
    "asks_earlier_years", "came_to", "finest", "last_whole_day", "stretch", "stretch_of", "terms_of", "year_before",
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


def came_to(school: SchoolGrid) -> NDArray[np.datetime64]:
    """(n,) the day each student of a school's register came there, or the year's first."""
    stays = Enrolment.objects.system(WHY).filter(pk__in=school.enrolment_ids.tolist())
    began, first = dict(stays.values_list("pk", "starts")), school.calendar.school_year.starts
    return np.array([max(began[stay], first) for stay in school.enrolment_ids.tolist()], dtype="datetime64[D]")


def asks_earlier_years(law: Sequence[InForce]) -> bool:
    return any(rule.window.across_years for version in law for rule in version.pack.rule)


def year_before(school: SchoolGrid) -> Stretch | None:
    """Last year's register of the students of this one, at the same school, in their order; who was not there is not expected."""
    calendar = (
        Calendar.objects.filter(
            school=school.calendar.school_id, school_year__ends_in=school.calendar.school_year.ends_in - 1
        )
        .select_related("school", "school_year")
        .first()
    )
    if calendar is None:
        return None
    last = rows.school_grid(
        calendar, student_ids=school.student_ids.tolist() if len(school.student_ids) < FEW else None
    )
    if not len(last.grid.dates):
        return None
    made = stretch(last, terms_of([calendar.school_year_id]))
    place = {int(s): k for k, s in enumerate(last.student_ids)}
    at = np.array([place.get(int(s), -1) for s in school.student_ids])
    codes = np.full((len(at), last.grid.codes.shape[1]), ord("#"), dtype=np.uint8)
    codes[at >= 0] = last.grid.codes[at[at >= 0]]
    missed = None
    if made.missed is not None:
        missed = np.zeros(codes.shape, dtype=np.uint16)
        missed[at >= 0] = made.missed[at[at >= 0]]
    return Stretch(made.school, made.year, made.dates, made.sessions, codes, missed, made.minutes, made.terms)
