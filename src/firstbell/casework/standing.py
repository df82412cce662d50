"""The law asked about students of the register: one of them in full, or a school at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import OuterRef

from firstbell import clock
from firstbell.access.models import User
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.models import Adoption, Done, DoneTo, Firing, Protection
from firstbell.casework.parents import GONE, LINK, Guardian, evidence_of, guardians_from, kinds_of_each, whom_word
from firstbell.law.clock import Evidence, Position, Status, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from firstbell.register import rows
from firstbell.register.gathered import at, day, gathered
from firstbell.register.models import ContactLink, Student
from firstbell.said import Said, said
from firstbell.watch.timelines import asks_earlier_years, finest, last_whole_day, stretch_of

__all__ = [
    "OnRecord",
    "Standing",
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
class Deed:
    """Something somebody did, as a page tells it; also what was taken back. about: "pack/rule", or nothing; to: the contacts it was done to."""

    pk: int
    kind: str
    about: str
    on: date
    note: str
    by: User
    recorded_at: datetime
    withdrawn_at: datetime | None
    to: tuple[int | None, ...]
    recorded_as: str
    waits_for: str
    confirmed_by: User | None
    confirmed_as: str
    signature: str


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What casework holds of one student that the law asks about. deeds: the latest first, also those after the day asked about."""

    deeds: list[Deed]
    evidence: list[Evidence]
    protections: list[Protected]
    firings: list[Before]
    guardians: list[Guardian]


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
    #: (sha256 of the pack, rule) -> guardian -> how it stands with them alone, of lines reached that are each parent's own
    of_each: Mapping[tuple[str, str], Mapping[int, Status]] = field(default_factory=dict)

    def of(self, firing: Firing) -> Position | None:
        """What answers for a line on record: of the version it was reached under, where its rule is seen under two."""
        some = [p for p in self.positions if p.rule == firing.rule]
        mine = (p for p in some if firing.fired_on in (p.fired_on, *(f.on for f in p.firings)))
        return next(mine, some[-1] if some else None)


def zone_of(student: Student) -> ZoneInfo:
    """The clock of the school the student came to last."""
    stays = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    return stays[-1].school.zone if stays else ZoneInfo("UTC")


def today_of(student: Student) -> date:
    """Today by that clock."""
    return clock.today(zone_of(student))


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


#: of a deed, what is brought along
DEED = (
    "on", "pk", "kind", "rule", "note", "recorded_by", "recorded_by__first_name", "recorded_by__last_name", "recorded_by__email", "recorded_at",
    "withdrawn_at", "recorded_as", "waits_for", "confirmed_as", "signature", "confirmed_by", "confirmed_by__first_name", "confirmed_by__last_name", "confirmed_by__email",
)  # fmt: skip


def on_record(student: int, through: date, law: Sequence[InForce]) -> OnRecord:
    """What was done through a day and not taken back, what protects, which lines of the pack were on record, who the family is: in one question."""
    done = Done.objects.system(WHY).filter(student=OuterRef("pk"))
    told = DoneTo.objects.system(WHY).filter(done__student=OuterRef("pk"))
    protections = Protection.objects.system(WHY).filter(student=OuterRef("pk"), withdrawn_at=None)
    pack = law[-1].pack.id if law else ""
    firings = Firing.objects.system(WHY).filter(student=OuterRef("pk"), pack=pack)
    links = ContactLink.objects.system(WHY).filter(student=OuterRef("pk"))
    lists = Student.objects.system(WHY).filter(pk=student).values_list(
        gathered(done, *DEED), gathered(told, "done", "contact"), gathered(protections, "pk", "flag", "starts", "ends"),
        gathered(firings, "rule", "fired_on", "found_at", "superseded_at"), gathered(links, *LINK),
    ).get()  # fmt: skip
    done_, names, protected, before, family = (some or [] for some in lists)
    to: dict[int, list[list[int | None]]] = defaultdict(list)
    for deed, contact in sorted(names, key=str):
        to[deed].append([contact])
    deeds, counts = [], []
    for (
        on, pk, kind, rule, note, user, given, name, email, recorded, gone, recorded_as, waits, confirmed_as, signature, *second
    ) in sorted(done_, reverse=True):  # fmt: skip
        by = User(pk=user, first_name=given, last_name=name, email=email)
        other = dict(zip(("pk", "first_name", "last_name", "email"), second, strict=True))
        deeds.append(
            Deed(
                pk, kind, rule, date.fromisoformat(on), note, by, at(recorded), at(gone) if gone else None,
                tuple(contact for (contact,) in to[pk]), recorded_as, waits, User(**other) if other["pk"] else None, confirmed_as, signature,
            )
        )  # fmt: skip
        if gone is None and not waits and deeds[-1].on <= through:
            counts.append((deeds[-1].on, kind, rule, to[pk]))
    return OnRecord(
        deeds, evidence_of(counts, pack, kinds_of_each(law)),
        [Protected(pk, flag, date.fromisoformat(starts), day(ends)) for pk, flag, starts, ends in sorted(protected)],
        sorted(
            (Before(rule, date.fromisoformat(on), at(found), at(gone) if gone else None) for rule, on, found, gone in before),
            key=lambda f: f.fired_on,
        ),
        guardians_from(family),
    )  # fmt: skip


def _of_each(
    line: Timeline, person: Person, law: Sequence[InForce], evidence: Sequence[Evidence], stood: Sequence[Position]
) -> dict[tuple[str, str], dict[int, Status]]:
    """The law asked of each parent as if there were no other."""
    of_each = {r.id for v in law for r in v.pack.rule if r.per == "parent"}
    reached = of_each & {p.rule for p in stood if p.fired_on is not None}
    found: dict[tuple[str, str], dict[int, Status]] = defaultdict(dict)
    for who in person.parents if reached else ():
        alone = [e for e in evidence if e.to in ("", who)]
        for p in positions(line, 0, replace(person, parents=(who,)), law, alone, only=reached):
            had = bool(p.firings) and p.status in (
                Status.CLEAR,
                Status.NEAR,
            )  # and their window is over, or is of a day not over yet
            found[p.pack_sha256, p.rule][int(who)] = Status.DUTY_DONE if had else p.status
    return dict(found)


def _named(p: Position, guardians: Sequence[Guardian]) -> Position:
    """Parents by their names, where the law speaks of them; who may not be contacted is not named."""
    if not isinstance(p.why, Said) or not isinstance(some := p.why.values.get("who"), list):
        return p
    return replace(
        p, why=said(p.why.singular, who=[whom_word(int(who) if who != GONE else None, guardians) for who in some])
    )


def standing_of(student: Student, today: date, *, as_known: bool = False, through: date | None = None) -> Standing:
    """Every rule in force here and one student, on a day. `as_known`: by what was known at the end of that day, not by what is now.

    Marks count through the last whole day (or `through`); what was done today counts at once.
    """
    found = adopted(today)
    registers = rows.registers_of(student.pk, today)
    year = registers[0].school.calendar.school_year if registers else None
    law = law_of(found, year.starts if year else today, today)
    mine = on_record(student.pk, today, law)
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
        (rows.of_stays_as_known(r.column, as_of, stays) if as_known else r.school, finest(r.terms)) for r in wanted
    ]
    stretches = [stretch_of(g, terms) for g, terms in grids if len(g.student_ids) and len(g.grid.dates)]
    if not stretches:
        return Standing(as_of, found, law, [], mine, school=wanted[-1].school.calendar.school_id)
    here = [stay for stay in stays if stay.starts <= as_of]
    entered = np.array([max(here[-1].starts, year.starts)], dtype="datetime64[D]") if here else None
    flags = frozenset(p.flag for p in mine.protections if p.holds(today))
    parents = tuple(str(g.pk) for g in mine.guardians if not g.silent)
    person = Person(student.birth_date, here[-1].grade if here else student.grade, flags, parents)
    known = clock.moment(clock.end_of_day(as_of, wanted[-1].school.calendar.school.zone)) if as_known else None
    earlier = {
        f.rule: f.fired_on for f in mine.firings
        if year.starts <= f.fired_on <= as_of and (known is None or f.found_at <= known)
    }  # fmt: skip
    line = Timeline(stretches, as_of, entered)
    stood = positions(line, 0, person, law, mine.evidence, earlier)
    return Standing(
        as_of, found, law, [_named(p, mine.guardians) for p in stood], mine, line.stretches, flags, wanted[-1].school.calendar.school_id,
        _of_each(line, person, law, mine.evidence, stood),
    )  # fmt: skip
