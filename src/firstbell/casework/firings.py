"""Everybody against every rule in force: which lines were reached, and which a corrected mark has undone since.

Schools that share their days are asked at once, some thousand students at a time; what is found is told by how often each line was reached and
the sum of the days, and only where the record says otherwise is a student looked at in full. What was found is kept, and never deleted: where
what is known now says a line was not reached, its firing is superseded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import QuerySet
from numpy.typing import NDArray

from firstbell import clock
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.batches import Batch, batches
from firstbell.casework.models import Done, Firing
from firstbell.casework.on_record import OPEN, never, on_record, outdated
from firstbell.casework.parents import deeds, evidence_of, kinds_of_each, parents_of
from firstbell.casework.standing import WHY, Standing, flags_of, standing_of
from firstbell.law.clock import Position, named_by, positions, shows
from firstbell.law.deeds import Deeds
from firstbell.law.packs import InForce, Pack, Rule
from firstbell.law.reaching import Reached, seals, standings
from firstbell.law.tally import Student as Tallied
from firstbell.law.tally import Tally
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, ages_of, applies, turned
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import SchoolGrid

__all__ = ["Looked", "look_at", "look_over", "since_evidence"]


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
    by_day: dict[tuple[date, int], list[Calendar]] = defaultdict(list)
    for calendar in calendars:
        today = on or clock.today(calendar.school.zone)
        if calendar.school_year.starts <= today <= calendar.school_year.ends:
            by_day[today, calendar.school_year_id].append(calendar)
    for (today, _year), some in by_day.items():
        law = law_of(adopted(today), some[0].school_year.starts, today)
        if law:
            night = _Night(law, today)
            for batch in batches(some, law, today, on):
                _look(batch, night, found)
    return found


def look_at(student: Student, day: date) -> Looked:
    """One student, at once: after a mark was corrected, or something was done."""
    found = Looked(students=1)
    found.standing = standing = standing_of(student, day)
    if standing.school is not None:
        _written({student.pk: standing.school}, standing.law, {student.pk: standing.positions}, found)
    return found


class _Night:
    """What a look at everybody reads once: the law, what protects students, and whom a rule is about."""

    def __init__(self, law: Sequence[InForce], today: date) -> None:
        self.law, self.today, self.pack = law, today, law[-1].pack.id
        self.flags = flags_of(None, today)
        said = Done.objects.system(WHY).filter(**Done.COUNTS, on__lte=today)
        kinds = {kind for v in law for r in v.pack.rule if r.evidence for kind, _of in shows(r.evidence, v.pack)}
        #: for whom something was done that a rule counts
        self.counted = np.array(
            sorted(set(said.filter(kind__in=kinds).values_list("student_id", flat=True))) if kinds else [],
            dtype=np.int64,
        )
        rules = [r for v in law for r in v.pack.rule]
        self.rules = {r.id for r in rules}
        #: rule -> those whose step waits for its own, from the day its line was first reached
        self.waiting = {name: {r.id for r in rules if name in named_by(law, {r.id})} - {name} for name in self.rules}
        self.beginnings = _beginnings(law)
        kinds = {kind for ways in self.beginnings.values() for kind, _of in ways}
        #: rule -> those that give way to it, each time its line is reached
        self.giving_way: dict[str, set[str]] = defaultdict(set)
        for rule in rules:
            self.giving_way[rule.gives_way_to].add(rule.id)
        #: for whom something was done that an open step asks about: with the days its window may pass, or a limit of it
        self.helped = set(said.filter(kind__in=_asked_about(law)).values_list("student_id", flat=True))
        self.begun = list(_told(said.filter(kind__in=kinds))) if kinds else []
        self.each = kinds_of_each(law)
        self._people: dict[tuple[str | None, str, frozenset[str]], int] = {}
        self.people: list[Person] = []
        self._about: dict[tuple[Any, ...], list[bool]] = defaultdict(list)

    def asks_who(self, rule: Rule, pack: Pack) -> bool:
        some = rule.applies
        return bool(some.ages or pack.ages or some.grades or some.flags or some.not_flags)

    def numbers(self, students: Sequence[int], grades: Sequence[str]) -> NDArray[np.int64]:
        """Each student's place among the kinds of people met so far: born on a day, in a grade, with what protects them."""
        born, nothing = _born(students), frozenset[str]()
        found = np.empty(len(students), dtype=np.int64)
        for k, (student, grade) in enumerate(zip(students, grades, strict=True)):
            kind = born.get(student), grade, self.flags.get(student, nothing)
            number = self._people.setdefault(kind, len(self.people))
            if number == len(self.people):
                self.people.append(Person(kind[0] and date.fromisoformat(kind[0]), *kind[1:]))  # type: ignore[arg-type]
            found[k] = number
        return found

    def about(self, rule: Rule, pack: Pack, at: date, year: tuple[date, date]) -> NDArray[np.bool_]:
        """Whether the rule is, or was when the year began, about each kind of people met so far: who grew out of it keeps what was reached,
        but for a rule that asks for the age at the step."""
        of_step = rule.applies.ages is not None and rule.applies.ages.of == "step"
        known = self._about[rule.applies, pack.ages, at]
        known += [
            not all(applies(rule, pack, person, day, year) for day in ((at,) if of_step else (at, year[0])))
            for person in self.people[len(known) :]
        ]
        return np.array(known, dtype=np.bool_)

    def turned(
        self, rule: Rule, pack: Pack, line: Timeline, rows: NDArray[np.int64], kind: NDArray[np.int64]
    ) -> Iterator[tuple[int, Person]]:
        """Of these rows whom a birthday moved. What begins with something done is looked at in full."""
        ages = ages_of(rule, pack)
        if ages is None or rule.window.after_evidence:
            return
        for row in rows.tolist():
            person = self.people[kind[row]]
            if person.birth_date is not None and turned(ages, person.birth_date, line):
                yield row, person


def _born(students: Sequence[int]) -> dict[int, str | None]:
    """Student -> the day of birth, as text: most are met many times."""
    text = "birth_date::text" if connection.vendor == "postgresql" else "birth_date || ''"
    some = f"({', '.join(['%s'] * len(students))})"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {text} FROM register_student WHERE id IN {some}", list(students))  # noqa: S608
        return dict(cursor.fetchall())


def _look(batch: Batch, night: _Night, found: Looked) -> None:
    found.students += len(batch.students)
    line, law, ids = batch.line, night.law, batch.students.tolist()
    stood = standings(
        line, batch.grades, law, _since(ids, line.school_year[0], night.begun, night.beginnings, night.pack)
    )
    found.not_evaluable |= {standing.rule.id: standing.why for standing in stood if standing.why}
    changed = _changed(batch, stood, night)
    for student in batch.students[np.isin(batch.students, night.counted)].tolist():
        changed[student] = night.rules
    if not changed:
        return
    done: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for student, *deed in deeds(
        Done.objects.system(WHY).filter(**Done.COUNTS, student__in=changed, on__lte=night.today)
    ):
        done[student].append(tuple(deed))
    parents = parents_of(changed) if night.each else defaultdict(tuple)
    some = [k for k, student in enumerate(ids) if student in changed]
    numbers = night.numbers([ids[k] for k in some], [batch.grades[k] for k in some])
    looked = {
        ids[k]: positions(
            batch.of(k),
            0,
            replace(night.people[number], parents=parents[ids[k]]),
            law,
            evidence_of(done[ids[k]], night.pack, night.each),
            only=changed[ids[k]],
        )
        for k, number in zip(some, numbers.tolist(), strict=True)
    }
    _written(dict(zip(ids, batch.schools.tolist(), strict=True)), law, looked, found, changed)


def _changed(batch: Batch, stood: Sequence[Reached], night: _Night) -> dict[int, set[str]]:
    """Students of whom the record is not what it would be now, and of which rules: how often a line was reached, and on which days, both tell
    for a rule and those that wait for it or give way to it; what a step stands as may also have changed by itself."""
    line, n = batch.line, len(batch.students)
    told = [standing for standing in stood if not standing.why]
    asked = [s for s in told if night.asks_who(s.rule, s.version.pack)]
    who = np.flatnonzero(np.logical_or.reduce([np.zeros(n, dtype=np.bool_), *((s.times > 0) | s.held for s in asked)]))
    kind = np.zeros(n, dtype=np.int64)
    if len(who):
        kind[who] = night.numbers(batch.students[who].tolist(), [batch.grades[k] for k in who.tolist()])
    now: dict[str, NDArray[np.int64]] = {}
    turned: dict[tuple[date, str], dict[int, tuple[Tally | None, str]]] = defaultdict(dict)
    had: dict[tuple[date, str], NDArray[np.bool_]] = {}  # who had reached it this year, by the end of a version
    for standing in told:
        r, pack = standing.rule, standing.version.pack
        reached = (standing.times > 0) | standing.held
        if night.asks_who(r, pack) and reached.any():
            reached &= night.about(r, pack, line.as_of, line.school_year)[kind]
        figures = np.stack([standing.times, standing.seal, standing.first.astype(np.int64)])
        figures = np.where(reached & (standing.times > 0), figures, never(n))
        for row, person in night.turned(r, pack, line, np.flatnonzero(reached), kind):
            tally, grown = Tallied(batch.of(row), 0, person, Deeds(())).tally(r, standing.version, night.law)
            fired = np.array([f.on for f in tally.fired] if tally else [], dtype="datetime64[D]")
            figures[:, row] = (
                (len(fired), seals(fired).sum(), fired[0].astype(np.int64)) if len(fired) else never(1)[:, 0]
            )
            turned[standing.version.first, r.id][row] = tally, grown
        before = standing.before and had[standing.before.version.first, r.id]
        had[standing.version.first, r.id] = figures[0] > 0 if before is None else before | (figures[0] > 0)
        if r.once == "year":
            figures = figures if before is None else np.where(before, never(n), figures)
            figures[0] = figures[0] > 0
            figures[1] = np.where(figures[0], seals(figures[2].astype("datetime64[D]")), 0)
        so_far = now.setdefault(r.id, never(n))
        so_far[:2] += figures[:2]
        so_far[2] = np.minimum(so_far[2], figures[2])
    kept = on_record(batch, night.pack)
    changed: dict[int, set[str]] = defaultdict(set)
    for rule in kept.keys() | now.keys():
        then = kept[rule].figures if rule in kept else never(n)
        times, seal, first = then != now.get(rule, never(n))
        for student in batch.students[times | seal].tolist():
            changed[student] |= {rule} | night.giving_way.get(rule, set())
        for student in batch.students[first].tolist():
            changed[student] |= night.waiting.get(rule, set())
    flags = {k: night.flags[s] for k, s in enumerate(batch.students.tolist()) if s in night.flags}
    come = {s.rule.id: _come(s) for s in stood}  # the last version's: another's count has ended with it
    for standing in told:
        name = standing.rule.id
        if name in kept:
            own, moved = kept[name].of(standing.version), turned[standing.version.first, name]
            for row in outdated(own, standing, line, flags, moved, come[name]):
                changed[int(batch.students[row])].add(name)
    opened = {int(batch.students[s.row]) for record in kept.values() for s in record.standing if s.status in OPEN}
    for student in opened & night.helped:
        changed[student] = night.rules
    return changed


def _come(standing: Reached) -> NDArray[np.bool_] | None:
    """(n,) whether the count is there by which a step is due; None where it is not due by one."""
    limit = standing.rule.duty.deadline if standing.rule.duty else None
    if standing.why or limit is None or limit.unit != "counted":
        return None
    come: NDArray[np.bool_] = standing.count * standing.unit.numerator >= limit.value * standing.unit.denominator
    return come


def since_evidence(school: SchoolGrid, law: Sequence[InForce], pack: str) -> dict[str, list[tuple[int, date, str]]]:
    """Of rules that begin with something done: what was done this year, as `reaching.standings` takes it."""
    beginnings, ids, first = _beginnings(law), school.student_ids.tolist(), school.calendar.school_year.starts
    kinds = {kind for ways in beginnings.values() for kind, _of in ways}
    done = Done.objects.system(WHY).filter(**Done.COUNTS, kind__in=kinds, on__gte=first, student__in=ids)
    return _since(ids, first, _told(done) if kinds else (), beginnings, pack)


def _asked_about(law: Sequence[InForce]) -> set[str]:
    """The kinds of evidence that steps require, may not follow, or are due from."""
    found: set[str] = set()
    for version in law:
        for duty in (rule.duty for rule in version.pack.rule if rule.duty):
            names = [
                *duty.requires,
                duty.deadline.from_ if duty.deadline else "",
                duty.not_after.evidence if duty.not_after else "",
            ]
            found |= {kind for name in names for kind, _of in shows(name, version.pack)}
    return found


def _told(done: QuerySet[Done]) -> Iterable[tuple[int, date, str, str]]:
    return done.values_list("student_id", "on", "kind", "rule")


def _beginnings(law: Sequence[InForce]) -> dict[str, list[tuple[str, str]]]:
    """Rule -> what shows done what it begins with, of those that begin with something done."""
    return {r.id: shows(r.window.after_evidence, v.pack) for v in law for r in v.pack.rule if r.window.after_evidence}


def _since(
    ids: list[int], first: date, done: Iterable[tuple[int, date, str, str]], beginnings: Mapping[str, list[tuple[str, str]]],
    pack: str,
) -> dict[str, list[tuple[int, date, str]]]:  # fmt: skip
    place = {student: k for k, student in enumerate(ids)} if beginnings else {}
    found: dict[str, list[tuple[int, date, str]]] = {rule: [] for rule in beginnings}
    for student, on, what, about in done:
        if student not in place or on < first:
            continue
        for said in evidence_of([(on, what, about, ())], pack, ()):
            for rule, ways in beginnings.items():
                found[rule] += [
                    (place[student], on, of)
                    for kind, of in ways
                    if said.kind == kind and (not of or said.rule in ("", of))
                ]
    return found


@transaction.atomic
def _written(
    schools: Mapping[int, int], law: Sequence[InForce], looked: Mapping[int, Sequence[Position]], found: Looked,
    of: Mapping[int, Collection[str]] | None = None,
) -> None:  # fmt: skip
    """Set what was found against what is on record: new firings are kept, those no longer borne out are superseded.

    of: student -> the rules asked; else all were
    """
    pack = law[-1].pack.id
    since = min(v.first for v in law)
    kept: dict[int, dict[tuple[str, date], Firing]] = defaultdict(dict)
    on_record = Firing.objects.system(WHY).filter(student__in=looked, pack=pack, superseded_at=None)
    if of is not None:
        on_record = on_record.filter(rule__in=set().union(*of.values()))
    for firing in on_record.only("student_id", "rule", "fired_on", "status", "due"):
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
                            student_id=student, school_id=schools[student], pack=pack, version=position.version, rule=position.rule,
                            pack_sha256=position.pack_sha256, fired_on=fired.on, threshold=str(position.threshold),
                            count=str(fired.count), marks=" ".join(d.isoformat() for d in fired.marks), found_at=now,
                            status=status, due=due,
                        )
                    )  # fmt: skip
                elif (firing.status, firing.due) != (status, due):
                    firing.status, firing.due = status, due
                    changed.append(firing)
        gone += [
            f.pk for (rule, fired_on), f in had.items() if fired_on >= since and (of is None or rule in of[student])
        ]
    Firing.objects.system(WHY).bulk_create(new, batch_size=1000)
    Firing.objects.system(WHY).bulk_update(changed, ["status", "due"], batch_size=500)
    Firing.objects.system(WHY).filter(pk__in=gone).update(superseded_at=now)
    found.reached += len(new)
    found.superseded += len(gone)
