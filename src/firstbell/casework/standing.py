"""The law asked about students of the register: one of them in full, or a school at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from firstbell import clock
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.models import Adoption, Done, Firing, Protection
from firstbell.law.clock import Evidence, Person, Position, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.timeline import Timeline
from firstbell.register import rows
from firstbell.register.models import Calendar, Enrolment, Student, Term
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.registers import whole_days

__all__ = [
    "Standing",
    "asks_earlier_years",
    "came_to",
    "evidence_of",
    "flags_of",
    "last_whole_day",
    "standing_of",
    "stretch",
    "terms_of",
    "today_of",
]

WHY = "the law is asked about a student the reader was given"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a student stands at the end of `day`, the last whole one. `law`: the versions in force; empty where no pack is adopted.

    Beside it what was asked: the registers, what protects the student, all that was ever done (also what was taken back), and the firings
    on record.
    """

    day: date
    adoption: Adoption | None
    law: list[InForce]
    positions: list[Position]
    stretches: tuple[Stretch, ...] = ()
    flags: frozenset[str] = frozenset()
    done: Sequence[Done] = ()
    firings: Sequence[Firing] = ()


def today_of(student: Student) -> date:
    """Today by the clock of the school the student came to last."""
    stays = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    return clock.today(stays[-1].school.zone) if stays else clock.now().date()


def last_whole_day(column: Column, today: date) -> date:
    """Today, unless school is on and its source has not said everything about it: then the day before."""
    through, at = whole_days(column.calendar, column.dates, today)
    return today - timedelta(days=1) if at is not None and through <= at else today


def terms_of(years: Sequence[int]) -> dict[int, tuple[tuple[date, date], ...]]:
    """School year (its key) -> its finest terms, in order: four quarters say where two semesters are, not the other way."""
    found: dict[int, dict[str, list[tuple[date, date]]]] = {}
    for term in Term.objects.filter(school_year__in=years).order_by("starts"):
        found.setdefault(term.school_year_id, {}).setdefault(term.kind, []).append((term.starts, term.ends))
    return {
        year: tuple(max(kinds.values(), key=lambda spans: (len(spans) <= 4, len(spans))))
        for year, kinds in found.items()
    }


def stretch(school: SchoolGrid, terms: Mapping[int, tuple[tuple[date, date], ...]]) -> Stretch:
    """A school's register as the law reads it."""
    calendar, grid = school.calendar, school.grid
    minutes = tuple(int(m) for m in calendar.session_minutes.split())
    return Stretch(
        calendar.school.source_id, calendar.school_year.ends_in, grid.dates, grid.sessions, grid.codes, grid.minutes,
        minutes if len(minutes) == grid.sessions else (), terms.get(calendar.school_year_id, ()),
    )  # fmt: skip


def came_to(school: SchoolGrid) -> NDArray[np.datetime64]:
    """(n,) the day each student of a school's register came there, or the year's first."""
    stays = Enrolment.objects.system(WHY).filter(pk__in=school.enrolment_ids.tolist())
    began, first = dict(stays.values_list("pk", "starts")), school.calendar.school_year.starts
    return np.array([max(began[stay], first) for stay in school.enrolment_ids.tolist()], dtype="datetime64[D]")


def asks_earlier_years(law: Sequence[InForce]) -> bool:
    return any(rule.window.across_years for version in law for rule in version.pack.rule)


def evidence_of(done: Sequence[Done], pack: str) -> list[Evidence]:
    """What was done, as the law reads it; what was done about another pack's rule says nothing about this one's."""
    found = []
    for deed in done:
        of, _, rule = deed.rule.partition("/")
        if not deed.rule or of == pack:
            found.append(Evidence(deed.kind, deed.on, rule))
    return found


def flags_of(students: Collection[int], on: date) -> dict[int, frozenset[str]]:
    """What protects these students on a day."""
    found: dict[int, set[str]] = {}
    some = Protection.objects.system(WHY).filter(student__in=students, withdrawn_at=None, starts__lte=on)
    for student, flag, ends in some.values_list("student_id", "flag", "ends"):
        if ends is None or ends >= on:
            found.setdefault(student, set()).add(flag)
    return {student: frozenset(flags) for student, flags in found.items()}


def standing_of(student: Student, today: date, *, as_known: bool = False, through: date | None = None) -> Standing:
    """Every rule in force here and one student, on a day. `as_known`: by what was known at the end of that day, not by what is now.

    Marks count through the last whole day (or `through`); what was done today counts at once.
    """
    found = adopted(today)
    done = list(Done.objects.system(WHY).filter(student=student).select_related("recorded_by").order_by("-on", "-pk"))
    calendars = list(
        Calendar.objects.filter(rows__student=student, school_year__starts__lte=today)
        .select_related("school", "school_year")
        .distinct()
        .order_by("-school_year__ends_in", "pk")
    )
    year = calendars[0].school_year if calendars else None
    law = law_of(found, year.starts if year else today, today)
    if year is None or not law:
        return Standing(today, found, law, [], done=done)
    wanted = [c for c in calendars if c.school_year_id == year.pk]
    if asks_earlier_years(law):
        wanted += [c for c in calendars if c.school_year.ends_in == year.ends_in - 1]
    stays = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    began = {stay.school_id: k for k, stay in enumerate(stays) if stay.starts <= today}
    wanted.sort(key=lambda c: (c.school_year.ends_in, began.get(c.school_id, -1)))
    columns = rows.columns_of(wanted)
    as_of = today if as_known else through or last_whole_day(columns[wanted[-1].pk], today)
    terms = terms_of(list({c.school_year_id for c in wanted}))
    grids = [
        rows.grid_as_known(c, as_of, student_ids=[student.pk]) if as_known
        else rows.school_grid(columns[c.pk], student_ids=[student.pk])
        for c in wanted
    ]  # fmt: skip
    stretches = [stretch(g, terms) for g in grids if len(g.student_ids) and len(g.grid.dates)]
    if not stretches:
        return Standing(as_of, found, law, [], done=done)
    here = [stay for stay in stays if stay.starts <= as_of]
    entered = np.array([max(here[-1].starts, year.starts)], dtype="datetime64[D]") if here else None
    person = Person(
        student.birth_date, here[-1].grade if here else student.grade, flags_of([student.pk], today).get(student.pk, frozenset())
    )  # fmt: skip
    counted = [d for d in done if d.withdrawn_at is None and d.on <= today]
    pack = law[-1].pack.id
    firings = list(Firing.objects.system(WHY).filter(student=student, pack=pack).order_by("fired_on"))
    earlier = {f.rule: f.fired_on for f in firings if year.starts <= f.fired_on <= as_of}
    line = Timeline(stretches, as_of, entered)
    stood = positions(line, 0, person, law, evidence_of(counted, pack), earlier)
    return Standing(as_of, found, law, stood, line.stretches, person.flags, done, firings)
