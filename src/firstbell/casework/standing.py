"""The law asked about students of the register: one of them in full, or a school at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import OuterRef

from firstbell import clock
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.models import Adoption, Done, Firing, Protection
from firstbell.law.clock import Evidence, Position, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from firstbell.register import rows
from firstbell.register.gathered import at, day, gathered
from firstbell.register.models import Student
from firstbell.watch.timelines import asks_earlier_years, finest, last_whole_day, stretch_of

__all__ = [
    "OnRecord",
    "Standing",
    "evidence_of",
    "flags_of",
    "standing_of",
    "today_of",
    "zone_of",
]

WHY = "the law is asked about a student the reader was given"


@dataclass(frozen=True, slots=True)
class Protected:
    """What protects a student, as long as nobody took it back; also what is over, or has not begun."""

    pk: int
    flag: str
    starts: date
    ends: date | None

    def holds(self, day: date) -> bool:
        return self.starts <= day and (self.ends is None or self.ends >= day)


@dataclass(frozen=True, slots=True)
class Before:
    """A line that was on record as reached."""

    rule: str
    fired_on: date
    found_at: datetime
    superseded_at: datetime | None


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What casework holds of one student that the law asks about."""

    evidence: list[Evidence]
    protections: list[Protected]
    firings: list[Before]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a student stands at the end of `day`, the last whole one. `law`: the versions in force; empty where no pack is adopted.

    Beside it what was asked: the registers, what protects the student, the lines on record.
    """

    day: date
    adoption: Adoption | None
    law: list[InForce]
    positions: list[Position]
    on_record: OnRecord
    stretches: tuple[Stretch, ...] = ()
    flags: frozenset[str] = frozenset()
    #: which the student came to last; None where nothing was asked
    school: int | None = None


def zone_of(student: Student) -> ZoneInfo:
    """The clock of the school the student came to last."""
    stays = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    return stays[-1].school.zone if stays else ZoneInfo("UTC")


def today_of(student: Student) -> date:
    """Today by that clock."""
    return clock.today(zone_of(student))


def evidence_of(done: Sequence[Done], pack: str) -> list[Evidence]:
    """What was done, as the law reads it; what was done about another pack's rule says nothing about this one's."""
    return _evidence(((deed.on, deed.kind, deed.rule) for deed in done), pack)


def _evidence(done: Iterable[tuple[date, str, str]], pack: str) -> list[Evidence]:
    found = []
    for on, kind, about in done:
        of, _, rule = about.partition("/")
        if not about or of == pack:
            found.append(Evidence(kind, on, rule))
    return found


def flags_of(students: Collection[int] | None, on: date) -> dict[int, frozenset[str]]:
    """What protects these students (all, where none are named) on a day."""
    found: dict[int, set[str]] = {}
    some = Protection.objects.system(WHY).filter(withdrawn_at=None, starts__lte=on)
    if students is not None:
        some = some.filter(student__in=students)
    for student, flag, ends in some.values_list("student_id", "flag", "ends"):
        if ends is None or ends >= on:
            found.setdefault(student, set()).add(flag)
    return {student: frozenset(flags) for student, flags in found.items()}


def on_record(student: int, through: date, pack: str) -> OnRecord:
    """What was done through a day and not taken back, what protects, which lines of a pack were on record: in one question."""
    done = Done.objects.system(WHY).filter(student=OuterRef("pk"), withdrawn_at=None, on__lte=through)
    protections = Protection.objects.system(WHY).filter(student=OuterRef("pk"), withdrawn_at=None)
    firings = Firing.objects.system(WHY).filter(student=OuterRef("pk"), pack=pack)
    lists = Student.objects.system(WHY).filter(pk=student).values_list(
        gathered(done, "kind", "on", "rule"), gathered(protections, "pk", "flag", "starts", "ends"),
        gathered(firings, "rule", "fired_on", "found_at", "superseded_at"),
    ).get()  # fmt: skip
    deeds, protected, before = (some or [] for some in lists)
    return OnRecord(
        _evidence(sorted((date.fromisoformat(on), kind, rule) for kind, on, rule in deeds), pack),
        [Protected(pk, flag, date.fromisoformat(starts), day(ends)) for pk, flag, starts, ends in sorted(protected)],
        sorted(
            (Before(rule, date.fromisoformat(on), at(found), at(gone) if gone else None) for rule, on, found, gone in before),
            key=lambda f: f.fired_on,
        ),
    )  # fmt: skip


def standing_of(student: Student, today: date, *, as_known: bool = False, through: date | None = None) -> Standing:
    """Every rule in force here and one student, on a day. `as_known`: by what was known at the end of that day, not by what is now.

    Marks count through the last whole day (or `through`); what was done today counts at once.
    """
    found = adopted(today)
    registers = rows.registers_of(student.pk, today)
    year = registers[0].school.calendar.school_year if registers else None
    law = law_of(found, year.starts if year else today, today)
    mine = on_record(student.pk, today, law[-1].pack.id if law else "")
    if year is None or not law:
        return Standing(today, found, law, [], mine)
    wanted = [r for r in registers if r.school.calendar.school_year_id == year.pk]
    if asks_earlier_years(law):
        wanted += [r for r in registers if r.school.calendar.school_year.ends_in == year.ends_in - 1]
    stays = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    began = {stay.school_id: k for k, stay in enumerate(stays) if stay.starts <= today}
    wanted.sort(key=lambda r: (r.school.calendar.school_year.ends_in, began.get(r.school.calendar.school_id, -1)))
    as_of = today if as_known else through or last_whole_day(wanted[-1].column, today)
    grids = [
        (rows.grid_as_known(r.column, as_of, student_ids=[student.pk]) if as_known else r.school, finest(r.terms))
        for r in wanted
    ]
    stretches = [stretch_of(g, terms) for g, terms in grids if len(g.student_ids) and len(g.grid.dates)]
    if not stretches:
        return Standing(as_of, found, law, [], mine, school=wanted[-1].school.calendar.school_id)
    here = [stay for stay in stays if stay.starts <= as_of]
    entered = np.array([max(here[-1].starts, year.starts)], dtype="datetime64[D]") if here else None
    flags = frozenset(p.flag for p in mine.protections if p.holds(today))
    person = Person(student.birth_date, here[-1].grade if here else student.grade, flags)
    known = clock.moment(clock.end_of_day(as_of, wanted[-1].school.calendar.school.zone)) if as_known else None
    earlier = {
        f.rule: f.fired_on for f in mine.firings
        if year.starts <= f.fired_on <= as_of and (known is None or f.found_at <= known)
    }  # fmt: skip
    line = Timeline(stretches, as_of, entered)
    stood = positions(line, 0, person, law, mine.evidence, earlier)
    return Standing(as_of, found, law, stood, mine, line.stretches, flags, wanted[-1].school.calendar.school_id)
