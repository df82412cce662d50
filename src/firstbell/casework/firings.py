"""Everybody against every rule in force: which lines were reached, and which a corrected mark has undone since.

A school is asked at once; only students for whom something was reached, or had been, are looked at one by one. What was found is
kept, and never deleted: where what is known now says a line was not reached, its firing is superseded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from django.db import transaction

from firstbell import clock
from firstbell.casework.adopted import adopted, law_here
from firstbell.casework.models import Done, Firing
from firstbell.casework.standing import WHY, asks_earlier_years, evidence_of, standing_of, stretch, terms_of
from firstbell.law.clock import Person, Standing, Timeline, applies, standings
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.register import rows
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import SchoolGrid

__all__ = ["Looked", "look_at", "look_over", "since_evidence", "year_before"]


@dataclass
class Looked:
    """What a look found: students asked, lines newly reached, firings superseded, and rules that could not be asked, with why."""

    students: int = 0
    reached: int = 0
    superseded: int = 0
    not_evaluable: dict[str, str] = field(default_factory=dict)


def look_over(calendars: Iterable[Calendar] | None = None, *, on: date | None = None) -> Looked:
    """All students of these calendars (of the current year's, unless said), on a day (each school's today)."""
    found = Looked()
    if calendars is None:
        calendars = Calendar.objects.select_related("school", "school_year")
    by_day: dict[date, list[Calendar]] = defaultdict(list)
    for calendar in calendars:
        day = on or clock.today(calendar.school.zone)
        if calendar.school_year.starts <= day <= calendar.school_year.ends:
            by_day[day].append(calendar)
    for day, some in by_day.items():
        if adopted(day) is None:
            continue
        law = law_here(min(c.school_year.starts for c in some), day)
        columns = rows.columns_of(some)
        terms = terms_of(list({c.school_year_id for c in some}))
        for calendar in some:
            _school(rows.school_grid(columns[calendar.pk]), law, terms, day, found)
    return found


def look_at(student: Student, day: date) -> Looked:
    """One student, at once: after a mark was corrected, or something was done."""
    found = Looked(students=1)
    for calendar in Calendar.objects.filter(
        rows__student=student, school_year__starts__lte=day, school_year__ends__gte=day
    ).select_related("school")[:1]:
        _students([student.pk], calendar.school_id, day, found)
    return found


def _school(school: SchoolGrid, law: Sequence[InForce], terms: dict, day: date, found: Looked) -> None:  # type: ignore[type-arg]
    n = len(school.student_ids)
    if not n or not law:
        return
    found.students += n
    stretches = [stretch(school, terms)]
    if asks_earlier_years(law) and (before := year_before(school)) is not None:
        stretches.insert(0, before)
    line = Timeline(stretches, day)
    pack = law[-1].pack.id
    stood = standings(line, school.grades, law, since_evidence(school, law, pack))
    first = school.calendar.school_year.starts
    kept = Firing.objects.system(WHY).filter(
        pack=pack, superseded_at=None, fired_on__gte=first, fired_on__lte=day, student__in=school.student_ids.tolist()
    )
    asked = _changed(school, line, stood, kept.values_list("student_id", "rule", "fired_on"), law, found)
    asked |= set(  # rules that count what was done
        Done.objects.system(WHY).filter(
            student__in=school.student_ids.tolist(), on__gte=first, withdrawn_at=None,
            kind__in=[r.evidence for v in law for r in v.pack.rule if r.evidence],
        ).values_list("student_id", flat=True)
    )  # fmt: skip
    _students(sorted(asked), school.calendar.school_id, day, found)


def _changed(
    school: SchoolGrid, line: Timeline, stood: Sequence[Standing], kept: Iterable[tuple[int, str, date]],
    law: Sequence[InForce], found: Looked,
) -> set[int]:  # fmt: skip
    """The students whose firings are not those on record: how often a line was reached, and on which days, both tell."""
    n, place = len(school.student_ids), {int(s): k for k, s in enumerate(school.student_ids)}
    on_record: dict[str, np.ndarray] = {}  # type: ignore[type-arg]
    for student, rule, fired_on in kept:
        had = on_record.setdefault(rule, np.zeros((2, n), dtype=np.int64))
        had[0, place[student]] += 1
        had[1, place[student]] += int(np.searchsorted(line.frame.dates, np.datetime64(fired_on)))
    packs = {v.pack.version: v.pack for v in law}
    now: dict[str, np.ndarray] = {}  # type: ignore[type-arg]
    for standing in stood:
        if standing.why:
            found.not_evaluable[standing.rule.id] = standing.why
            continue
        if standing.rule.threshold.count == 0:  # what is owed to everybody is nobody's firing
            continue
        reached = standing.times > 0
        if standing.rule.once == "year":
            times, columns = reached.astype(np.int64), np.searchsorted(line.frame.dates, standing.first) * reached
        else:
            times, columns = standing.times.copy(), standing.columns.copy()
        people = {s.pk: s for s in Student.objects.system(WHY).filter(pk__in=school.student_ids[reached].tolist())}
        for k in np.flatnonzero(reached):
            student = people[int(school.student_ids[k])]
            if applies(
                standing.rule, packs[standing.version], Person(student.birth_date, school.grades[k]), line.as_of
            ):
                times[k] = columns[k] = 0
        so_far = now.setdefault(standing.rule.id, np.zeros((2, n), dtype=np.int64))
        so_far += np.stack([times, columns])
    other = np.zeros(n, dtype=np.bool_)
    for rule in on_record.keys() | now.keys():
        nothing = np.zeros((2, n), dtype=np.int64)
        other |= (on_record.get(rule, nothing) != now.get(rule, nothing)).any(axis=0)
    return set(school.student_ids[other].tolist())


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
    last = rows.school_grid(calendar)
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


def since_evidence(school: SchoolGrid, law: Sequence[InForce], pack: str) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """Of rules that begin with something done: since when, for each student."""
    rules = {r.id: r.window.after_evidence for v in law for r in v.pack.rule if r.window.after_evidence}
    if not rules:
        return {}
    place = {int(s): k for k, s in enumerate(school.student_ids)}
    found = {rule: np.full(len(place), "NaT", dtype="datetime64[D]") for rule in rules}
    done = Done.objects.system(WHY).filter(
        withdrawn_at=None, kind__in=set(rules.values()), on__gte=school.calendar.school_year.starts,
        student__in=list(place),
    )  # fmt: skip
    for deed in done.order_by("-on"):
        (said,) = evidence_of([deed], pack) or [None]
        for rule, kind in rules.items():
            if said is not None and said.kind == kind:
                found[rule][place[deed.student_id]] = np.datetime64(deed.on)
    return found


@transaction.atomic
def _students(students: Sequence[int], school: int, day: date, found: Looked) -> None:
    """Look at these one by one, and write what is new, and what is undone."""
    kept: dict[int, dict[tuple[str, date], Firing]] = defaultdict(dict)
    for firing in Firing.objects.system(WHY).filter(student__in=students, superseded_at=None):
        kept[firing.student_id][firing.rule, firing.fired_on] = firing
    new: list[Firing] = []
    gone: list[int] = []
    now = clock.now()
    people = Student.objects.system(WHY).filter(pk__in=students).prefetch_related("enrolments")
    for student in people:
        standing = standing_of(student, day)
        if not standing.law:
            continue
        pack = standing.law[-1].pack
        hashes = {v.pack.version: v.pack.sha256 for v in standing.law}
        had = {k: f for k, f in kept[student.pk].items() if f.pack == pack.id}
        for position in standing.positions:
            if position.threshold == 0:
                continue
            for fired in position.firings:
                if had.pop((position.rule, fired.on), None) is None:
                    new.append(
                        Firing(
                            student=student, school_id=school, pack=pack.id, version=position.version, rule=position.rule,
                            pack_sha256=hashes[position.version], fired_on=fired.on, threshold=str(position.threshold),
                            count=str(fired.count), marks=" ".join(d.isoformat() for d in fired.marks), found_at=now,
                        )
                    )  # fmt: skip
        since = min(v.first for v in standing.law)
        gone += [f.pk for (_rule, fired), f in had.items() if fired >= since]
    Firing.objects.system(WHY).bulk_create(new)
    Firing.objects.system(WHY).filter(pk__in=gone).update(superseded_at=now)
    found.reached += len(new)
    found.superseded += len(gone)
