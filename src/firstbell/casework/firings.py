"""Everybody against every rule in force: which lines were reached, and which a corrected mark has undone since.

A school is asked at once; only students for whom something was reached, or had been, are looked at one by one. What was found is
kept, and never deleted: where what is known now says a line was not reached, its firing is superseded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from django.db import transaction

from firstbell import clock
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.models import Done, Firing
from firstbell.casework.standing import WHY, Standing, evidence_of, flags_of, standing_of
from firstbell.law.clock import Person, Position, Status, applies, positions, shows
from firstbell.law.packs import InForce
from firstbell.law.reaching import Reached, standings
from firstbell.law.timeline import Timeline
from firstbell.register import rows
from firstbell.register.models import Calendar, RegisterRow, Student
from firstbell.register.rows import SchoolGrid
from firstbell.watch.timelines import asks_earlier_years, came_to, last_whole_day, stretch, terms_of, year_before

__all__ = ["Looked", "look_at", "look_over", "since_evidence"]

Terms = Mapping[int, tuple[tuple[date, date], ...]]


@dataclass
class Looked:
    """What a look found: students asked, lines newly reached, firings superseded, and rules that could not be asked, with why."""

    students: int = 0
    reached: int = 0
    superseded: int = 0
    not_evaluable: dict[str, str] = field(default_factory=dict)
    standing: Standing | None = None  # of the one student, where it was one


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
        law = law_of(adopted(day), min(c.school_year.starts for c in some), day)
        if not law:
            continue
        columns = rows.columns_of(some)
        terms = terms_of(list({c.school_year_id for c in some}))
        for calendar in some:
            column = columns[calendar.pk]
            _school(rows.school_grid(column), law, terms, day, on or last_whole_day(column, day), found)
    return found


def look_at(student: Student, day: date) -> Looked:
    """One student, at once: after a mark was corrected, or something was done."""
    found = Looked(students=1)
    found.standing = standing = standing_of(student, day)
    here = Calendar.objects.filter(rows__student=student, school_year__starts__lte=day).order_by(
        "-school_year__ends_in"
    )
    school = here.values_list("school_id", flat=True).first()
    if standing.law and school is not None:
        _written(school, standing.law, {student.pk: standing.positions}, found)
    return found


def _school(
    school: SchoolGrid, law: Sequence[InForce], terms: Terms, today: date, day: date, found: Looked
) -> None:  # fmt: skip
    n = len(school.student_ids)
    if not n:
        return
    found.students += n
    stretches = [stretch(school, terms)]
    if asks_earlier_years(law) and (before := year_before(school)) is not None:
        stretches.insert(0, before)
    line = Timeline(stretches, day, came_to(school))
    pack, ids = law[-1].pack.id, school.student_ids.tolist()
    stood = standings(line, school.grades, law, since_evidence(school, law, pack))
    kept = Firing.objects.system(WHY).filter(
        pack=pack, superseded_at=None, fired_on__gte=line.frame.day(0), fired_on__lte=day, student__in=ids
    )
    changed = _changed(school, line, stood, kept.values_list("student_id", "rule", "fired_on"), law, found)
    done: dict[int, list[Done]] = defaultdict(list)
    for deed in Done.objects.system(WHY).filter(student__in=ids, withdrawn_at=None, on__lte=today):
        done[deed.student_id].append(deed)
    counted_deeds = {kind for v in law for r in v.pack.rule if r.evidence for kind, _of in shows(r.evidence, v.pack)}
    changed |= {student for student, deeds in done.items() if any(d.kind in counted_deeds for d in deeds)}
    changed |= _due_by_now(ids, stood, pack)
    registers = RegisterRow.objects.system(WHY).filter(
        student__in=changed, calendar__school_year=school.calendar.school_year_id
    )
    several = set(registers.exclude(calendar=school.calendar).values_list("student_id", flat=True))
    looked: dict[int, list[Position]] = {  # at two schools this year: their days count together
        student.pk: standing_of(student, today, through=day).positions
        for student in Student.objects.system(WHY).filter(pk__in=several).prefetch_related("enrolments")
    }
    alone = np.isin(school.student_ids, list(changed - several))
    for k, person in _people(school, alone, today).items():
        looked[ids[k]] = positions(line.of(k), 0, person, law, evidence_of(done[ids[k]], pack))
    _written(school.calendar.school_id, law, looked, found)


def _changed(
    school: SchoolGrid, line: Timeline, stood: Sequence[Reached], kept: Iterable[tuple[int, str, date]],
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
    told = [standing for standing in stood if not standing.why]
    found.not_evaluable |= {standing.rule.id: standing.why for standing in stood if standing.why}
    people = _people(
        school, np.logical_or.reduce([np.zeros(n, dtype=np.bool_), *(s.times > 0 for s in told)]), line.as_of
    )
    now: dict[str, np.ndarray] = {}  # type: ignore[type-arg]
    for standing in told:
        reached = standing.times > 0
        if standing.rule.once == "year":
            times, columns = reached.astype(np.int64), np.searchsorted(line.frame.dates, standing.first) * reached
        else:
            times, columns = standing.times.copy(), standing.columns.copy()
        for k in np.flatnonzero(reached).tolist():
            if applies(standing.rule, packs[standing.version], people[k], line.as_of, line.school_year):
                times[k] = columns[k] = 0
        so_far = now.setdefault(standing.rule.id, np.zeros((2, n), dtype=np.int64))
        so_far += np.stack([times, columns])
    other = np.zeros(n, dtype=np.bool_)
    for rule in on_record.keys() | now.keys():
        nothing = np.zeros((2, n), dtype=np.int64)
        other |= (on_record.get(rule, nothing) != now.get(rule, nothing)).any(axis=0)
    return set(school.student_ids[other].tolist())


def _due_by_now(ids: Sequence[int], stood: Sequence[Reached], pack: str) -> set[int]:
    """Of whose open steps the deadline is a count, and the record's day is not that of the count now: no line was newly reached for it."""
    found: set[int] = set()
    for standing in stood:
        limit = standing.rule.duty.deadline if standing.rule.duty else None
        if standing.why or limit is None or limit.unit != "counted":
            continue
        come = standing.count * standing.unit.numerator >= limit.value * standing.unit.denominator
        there = {ids[k] for k in np.flatnonzero(come)}
        open_ = Firing.objects.system(WHY).filter(
            pack=pack, rule=standing.rule.id, superseded_at=None, student__in=ids,
            status__in=(Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN),
        )  # fmt: skip
        found |= {
            student for student, due in open_.values_list("student_id", "due") if (student in there) == (due is None)
        }
    return found


def _people(school: SchoolGrid, some: np.ndarray, on: date) -> dict[int, Person]:  # type: ignore[type-arg]
    """Row -> what the law asks about the student there, of the rows that are true in `some`."""
    ids = school.student_ids[some].tolist()
    born = dict(Student.objects.system(WHY).filter(pk__in=ids).values_list("pk", "birth_date"))
    flags = flags_of(ids, on)
    return {
        k: Person(born[student], school.grades[k], flags.get(student, frozenset()))
        for k, student in zip(np.flatnonzero(some).tolist(), ids, strict=True)
    }


def since_evidence(school: SchoolGrid, law: Sequence[InForce], pack: str) -> dict[str, list[tuple[int, date, str]]]:
    """Of rules that begin with something done: what was done this year, as `reaching.standings` takes it."""
    rules = {r.id: shows(r.window.after_evidence, v.pack) for v in law for r in v.pack.rule if r.window.after_evidence}
    if not rules:
        return {}
    place = {int(s): k for k, s in enumerate(school.student_ids)}
    found: dict[str, list[tuple[int, date, str]]] = {rule: [] for rule in rules}
    done = Done.objects.system(WHY).filter(
        withdrawn_at=None, kind__in={kind for ways in rules.values() for kind, _of in ways}, on__gte=school.calendar.school_year.starts,
        student__in=list(place),
    )  # fmt: skip
    for deed in done:
        (said,) = evidence_of([deed], pack) or [None]
        for rule, ways in rules.items():
            found[rule] += [
                (place[deed.student_id], deed.on, of)
                for kind, of in ways
                if said is not None and said.kind == kind and (not of or said.rule in ("", of))
            ]
    return found


@transaction.atomic
def _written(school: int, law: Sequence[InForce], looked: Mapping[int, Sequence[Position]], found: Looked) -> None:
    """Set what was found against what is on record: new firings are kept, those no longer borne out are superseded."""
    pack = law[-1].pack.id
    hashes = {v.pack.version: v.pack.sha256 for v in law}
    since = min(v.first for v in law)
    kept: dict[int, dict[tuple[str, date], Firing]] = defaultdict(dict)
    for firing in Firing.objects.system(WHY).filter(student__in=looked, pack=pack, superseded_at=None):
        kept[firing.student_id][firing.rule, firing.fired_on] = firing
    new: list[Firing] = []
    changed: list[Firing] = []
    gone: list[int] = []
    now = clock.now()
    for student, some in looked.items():
        had = kept[student]
        for position in some:
            for fired in position.firings:
                asks = fired.on == position.fired_on
                status, due = (position.status.value, position.due) if asks else ("", None)
                firing = had.pop((position.rule, fired.on), None)
                if firing is None:
                    new.append(
                        Firing(
                            student_id=student, school_id=school, pack=pack, version=position.version, rule=position.rule,
                            pack_sha256=hashes[position.version], fired_on=fired.on, threshold=str(position.threshold),
                            count=str(fired.count), marks=" ".join(d.isoformat() for d in fired.marks), found_at=now,
                            status=status, due=due,
                        )
                    )  # fmt: skip
                elif (firing.status, firing.due) != (status, due):
                    firing.status, firing.due = status, due
                    changed.append(firing)
        gone += [f.pk for (_rule, fired_on), f in had.items() if fired_on >= since]
    Firing.objects.system(WHY).bulk_create(new, batch_size=1000)
    Firing.objects.system(WHY).bulk_update(changed, ["status", "due"], batch_size=500)
    Firing.objects.system(WHY).filter(pk__in=gone).update(superseded_at=now)
    found.reached += len(new)
    found.superseded += len(gone)
