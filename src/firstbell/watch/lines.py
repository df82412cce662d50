"""The lines of the law in force of which somebody is told before they are reached: which they are, who is near one, and which one is said.

A line that a forecast may be asked about goes to `ground`; all others are arithmetic (`law.nearing`), which reads what a grid of letters does
not hold: minutes, terms, last year, a student's other school. Where no law is adopted the documentation's example is asked about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from firstbell import clock
from firstbell.forecast.lines import Counted, Line, UnknownLine, line_of
from firstbell.law.days import Stretch, unit_of
from firstbell.law.nearing import Near, nearing, told_ahead
from firstbell.law.overlays import by_days, with_overlay
from firstbell.law.packs import Count, InForce, Pack, PackError, Rule, in_force, versions
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, ages_of, applies
from firstbell.law.windows import months_before
from firstbell.register import rows
from firstbell.register.grid import Grid
from firstbell.register.models import District, SchoolYear, Student
from firstbell.register.rows import SchoolGrid
from firstbell.signals.told import told
from firstbell.watch.ground import KIND_NUMBERS, MOST_DAYS, SIMPLE_DAYS, Finding, Ground
from firstbell.watch.kinds import Kind
from firstbell.watch.models import Alert, LawInForce
from firstbell.watch.registers import Place, Stays
from firstbell.watch.standing import Look
from firstbell.watch.timelines import (
    asks_earlier_years,
    came_to,
    last_whole_day,
    some_of,
    stretch,
    terms_of,
    year_before,
)

__all__ = ["Laws", "Lines", "NearBy", "Told", "law_on"]

WHY = "alerts are evaluated"
#: what follows when a line is reached: the gravest is said first
GRAVER = {"punitive": 0, "compliance": 1, "supportive": 2}
LEAVES = "leaves:"


def law_on(day: date) -> LawInForce | None:
    """What is in force on a day, as casework says it (casework.adopting)."""
    return LawInForce.objects.filter(Q(last=None) | Q(last__gte=day), first__lte=day).first()


@dataclass(frozen=True)
class NearBy:
    """The timelines `Lines.near` asks, read beforehand: it asks the database nothing.

    Each with the grades, the rows of the registers by row of the timeline, and by row who came of one of the law's ages within these days.
    """

    of: tuple[tuple[Timeline, list[str], NDArray[np.int64], dict[int, date]], ...]


@dataclass(frozen=True)
class Lines:
    """law: the versions in force since the year began, oldest first; empty where none is adopted."""

    law: tuple[InForce, ...] = ()

    @classmethod
    def on(cls, year: SchoolYear, as_of: date | None = None) -> Lines:
        day = as_of
        if day is None:
            zone = District.objects.values_list("time_zone", flat=True).first()
            day = clock.today(ZoneInfo(zone)) if zone else clock.now().date()
        return cls.of(LawInForce.objects.filter(first__lte=day), year, day)

    @classmethod
    def of(cls, some: Iterable[LawInForce], year: SchoolYear, day: date) -> Lines:
        """some: what is in force on the day, and what was before."""
        found = sorted(some, key=lambda s: s.first)
        if not found or (found[-1].last is not None and found[-1].last < day):
            return cls()
        pack = found[-1].pack
        own = [(s.first, s.last, s.overlay) for s in found if s.pack == pack]
        return cls(tuple(by_days(pack, own, year.starts, day)))

    @property
    def pack(self) -> Pack:
        return self.law[-1].pack

    @cached_property
    def told(self) -> dict[str, Rule]:
        """Those somebody is told of ahead, by their name on an alert, in the pack's order. Of several rules about one line and the same
        students the one that would be said."""
        said: dict[object, Rule] = {}
        for rule in self.pack.rule if self.law else ():
            same = (rule.count, rule.threshold, rule.window, rule.near, rule.once, rule.applies)
            if told_ahead(rule) and (same not in said or _grave(rule) < _grave(said[same])):
                said[same] = rule
        return {f"{self.pack.id}/{r.id}": r for r in self.pack.rule if r in said.values()} if self.law else {}

    @cached_property
    def askable(self) -> dict[str, Line]:
        """Those a forecast can be asked about: so many whole days since the year began, counted all year as now, and at once."""
        found = {}
        for name, rule in self.told.items():
            count = self.pack.counts[rule.count or ""]
            same = count.pending == "never" and all(v.pack.counts.get(rule.count or "") == count for v in self.law)
            try:
                line = line_of(rule, self.pack)
            except UnknownLine:
                continue
            in_year = rule.window.kind == "school_year" and line.share is None
            if same and in_year and line.counted is Counted.UNEXCUSED:
                found[name] = line
        return found

    def key(self, today: date) -> tuple[object, ...]:
        """What a pass reads of the law: days leave some windows whether or not school is on."""
        return (today, *((v.pack.sha256, v.first) for v in self.law)) if self.told else ()

    def read(
        self, schools: Sequence[SchoolGrid], place: Place, stays: Stays, *, asked: Sequence[str] = (), only: Sequence[int] | None = None,
        as_of: date | None = None,
    ) -> NearBy:  # fmt: skip
        """Of these schools, which share their days; `asked`: lines a forecast speaks of instead."""
        rules = self._by_arithmetic(asked)
        if not rules or not place.through:
            return NearBy(())
        day = last_whole_day(place.days, place.today)
        terms = terms_of([place.calendar.school_year_id])
        minutes = any(_reads_minutes(self.pack.counts[r.count or ""]) for r in rules)
        earlier, entered = asks_earlier_years(self.law), any(r.window.kind == "since_enrolment" for r in rules)
        alike: dict[object, list[tuple[SchoolGrid, NDArray[np.int64]]]] = defaultdict(list)
        made: list[tuple[Timeline, list[str], NDArray[np.int64], NDArray[np.int64]]] = []
        at = 0
        for school in schools:
            own, first = _here(school, place.through), at
            at += len(school.student_ids)
            if only is not None:
                own = own[np.isin(school.student_ids[own], only)]
            several = np.isin(school.student_ids[own], list(stays)) if stays else np.zeros(len(own), dtype=np.bool_)
            for row in own[several].tolist():
                line = _of_stays(
                    stays[int(school.student_ids[row])], int(school.student_ids[row]), day, terms, minutes=minutes
                )
                if line is not None:
                    made.append((line, [school.grades[row]], np.array([first + row]), school.student_ids[[row]]))
            own = own[~several]
            if len(own):
                some = _with_minutes(school, own, read=minutes and as_of is None)
                key = (school.calendar.session_minutes, some.grid.minutes is None, school.calendar.pk if earlier else 0)
                alike[key].append((some, own + first))
        for group in alike.values():
            parts = [stretch(some, terms) for some, _rows in group]
            joined = replace(
                parts[0], codes=np.concatenate([s.codes for s in parts]),
                missed=None if parts[0].missed is None else np.concatenate([s.missed for s in parts if s.missed is not None]),
            )  # fmt: skip
            stretches = [joined]
            if earlier and (before := year_before(group[0][0])) is not None:
                stretches.insert(0, before)
            came = np.concatenate([came_to(some) for some, _rows in group]) if entered else None
            made.append(
                (Timeline(stretches, day, came), [g for some, _rows in group for g in some.grades], np.concatenate([r for _some, r in group]),
                 np.concatenate([some.student_ids for some, _rows in group]))
            )  # fmt: skip
        born = self._turning(made)
        return NearBy(tuple((line, grades, of, _by_row(ids, born)) for line, grades, of, ids in made))

    def _turning(self, made: Sequence[tuple[Timeline, Any, Any, NDArray[np.int64]]]) -> dict[int, date]:
        """Student -> the birth date, of who came of one of the law's ages within these days: the others are of it on all of them, or not now."""
        ages = {some.from_ for rule in self.told.values() if (some := ages_of(rule, self.pack))}
        if not ages or not made:
            return {}
        first, last = min(line.frame.day(0) for line, *_ in made), max(line.as_of for line, *_ in made)
        born = Q()
        for years in ages:
            born |= Q(birth_date__range=(months_before(first, 12 * years), months_before(last, 12 * years)))
        return _born(np.concatenate([ids for *_, ids in made]), born)

    def near(self, schools: Sequence[SchoolGrid], read: NearBy, *, asked: Sequence[str] = ()) -> Ground:
        """Who of them is near a line, one finding a student and line. What was counted long ago holds an alert, and raises none."""
        sizes = np.cumsum([0, *(len(s.student_ids) for s in schools)])
        rules, found = self._by_arithmetic(asked), []
        for line, grades, of, born in read.of:
            lately = line.frame.day(max(line.known - SIMPLE_DAYS, 0))
            for near in nearing(line, grades, self.law, rules, born):
                row = int(of[near.row])
                leaves = f"{LEAVES}{near.leaves}" if near.leaves else ""
                found.append(
                    Finding(
                        Kind.LINE_AHEAD, row, near.count, near.at, len(near.days), _letters(line, near), rule=f"{self.pack.id}/{near.rule.id}",
                        why=leaves, holds=near.days[-1] < lately, school=int(np.searchsorted(sizes, row, side="right")) - 1,
                    )
                )  # fmt: skip
        return Ground.of_findings(found)

    def _by_arithmetic(self, asked: Sequence[str]) -> list[Rule]:
        return [rule for name, rule in self.told.items() if name not in asked]

    def one_each(self, look: Look, found: Ground) -> Ground:
        """Of the lines ahead of a student the one to say: the gravest by what follows, then the nearest (decision 0022).

        Lines that are not about the student's age or grade are none of theirs. What only holds an alert stays beside it.
        """
        at = np.flatnonzero(found.kind == KIND_NUMBERS[Kind.LINE_AHEAD]) if self.law else np.zeros(0, dtype=np.int64)
        if not len(at):
            return found
        if look.only is not None:
            at = at[np.isin(look.students[found.row[at]], look.only)]
        dates = look.places[0].days.dates
        year = (dates[0], dates[-1])
        born = _born(look.students[found.row[at]], Q(birth_date__isnull=False))
        grades = [grade for school in look.schools for grade in school.grades]
        order = {name: k for k, name in enumerate(self.told)}
        best: dict[int, tuple[tuple[object, ...], int]] = {}
        kept = found.kind != KIND_NUMBERS[Kind.LINE_AHEAD]
        held: dict[int, list[int]] = defaultdict(list)
        for i in at.tolist():
            name, row = found.rule[i], int(found.row[i])
            rule = self.told[name]
            person = Person(born.get(int(look.students[row])), grades[row])
            if applies(rule, self.pack, person, look.today, year):
                continue
            if found.holds[i]:
                held[row].append(i)
                continue
            room = (int(found.of[i]) - int(found.count[i])) * _unit(self.pack, rule)
            rank = (_grave(rule), room, order[name])
            if row not in best or rank < best[row][0]:
                best[row] = (rank, i)
        kept[[i for _rank, i in best.values()]] = True
        kept[[i for row, some in held.items() if row not in best for i in some]] = True
        return found.only(kept)


def _grave(rule: Rule) -> int:
    assert rule.duty is not None  # or nobody is told of it ahead
    return GRAVER[rule.duty.severity]


def _unit(pack: Pack, rule: Rule) -> Fraction:
    return unit_of(pack.counts[rule.count or ""])


def _reads_minutes(count: Count) -> bool:
    return count.minutes_over is not None or count.strategy in ("accumulate_minutes", "min_fraction_present")


def _here(school: SchoolGrid, through: int) -> NDArray[np.int64]:
    """Rows still on this roll."""
    return np.flatnonzero(school.grid.codes[:, (through - 1) * school.grid.sessions] != ord("#"))


def _with_minutes(school: SchoolGrid, own: NDArray[np.int64], *, read: bool) -> SchoolGrid:
    """These rows of a school; with their minutes, where the law asks for them and they were not read."""
    ids = school.student_ids[own]
    if read:
        again = rows.school_grid(
            school.calendar, student_ids=ids.tolist() if len(ids) < len(school.student_ids) else None
        )
        school, own = again, np.flatnonzero(np.isin(again.student_ids, ids))
    return some_of(school, own)


def _of_stays(
    stays: Sequence[tuple[rows.Column, str]], student: int, day: date, terms: dict[int, tuple[tuple[date, date], ...]], *, minutes: bool
) -> Timeline | None:  # fmt: skip
    """A student's schools of this year in a row, the one they came to last."""
    made: list[tuple[date, Stretch]] = []
    for column, codes in stays:
        if not column.dates:
            continue
        if minutes:
            school = rows.school_grid(column, student_ids=[student])
        else:
            letters = np.frombuffer(codes.encode("ascii"), dtype=np.uint8).reshape(1, -1)
            grid = Grid(letters, np.array(column.dates, dtype="datetime64[D]"), column.calendar.sessions)
            school = SchoolGrid(column.calendar, grid, np.array([student]), np.zeros(1, dtype=np.int64), [""])
        one = stretch(school, terms)
        expected = np.flatnonzero((one.codes != ord("#")).any(axis=0))
        if len(expected):
            made.append((one.dates[expected[0] // one.sessions].astype(object), one))
    if not made:
        return None
    made.sort(key=lambda some: some[0])
    return Timeline([one for _began, one in made], day, np.array([made[-1][0]], dtype="datetime64[D]"))


def _letters(line: Timeline, near: Near) -> str:
    """The counted days with their letters, as an alert keeps them."""
    days = []
    for day in near.days[-MOST_DAYS:]:
        letters = ""
        for s in line.stretches:
            at = int(np.searchsorted(s.dates, np.datetime64(day)))
            if at < len(s.dates) and s.dates[at] == np.datetime64(day):
                squares = s.codes[near.row, at * s.sessions : (at + 1) * s.sessions].tobytes().decode("ascii")
                letters = squares if squares.strip("#") else letters
        days.append((day, letters))
    return told(days)


def _born(students: NDArray[np.int64], where: Q) -> dict[int, date]:
    """Of these students whose birth date is on record, and as said."""
    ids = np.unique(students).tolist()
    found: dict[int, date] = {}
    for part in (ids[i : i + 5000] for i in range(0, len(ids), 5000)):
        found |= dict(Student.objects.system(WHY).filter(where, pk__in=part).values_list("pk", "birth_date"))
    return found


def _by_row(ids: NDArray[np.int64], born: dict[int, date]) -> dict[int, date]:
    rows = np.flatnonzero(np.isin(ids, list(born))).tolist() if born else []
    return {row: born[int(ids[row])] for row in rows}


# -- in words ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A line as an alert speaks of it. share: the room is asked of the whole window; unit: what one in the alert's figures is."""

    rule: Rule
    pack: Pack

    @property
    def unit(self) -> Fraction:
        return _unit(self.pack, self.rule)


class Laws:
    """The lines that alerts name, looked up once a page, and only if one does."""

    @cached_property
    def _spans(self) -> list[LawInForce]:
        return list(LawInForce.objects.all())

    def of(self, alert: Alert) -> Told | None:
        """None for the documentation's example, and for a line that is in no pack any more."""
        name, _slash, rule_id = alert.rule.partition("/")
        span = next(
            (
                s
                for s in self._spans
                if s.pack == name and s.first <= alert.as_of and (s.last is None or alert.as_of <= s.last)
            ),
            None,
        )
        if span is None and name == "example":
            return None
        try:
            some = in_force(with_overlay(name, span.overlay if span else ""), alert.as_of, alert.as_of) or [
                InForce(versions(name)[-1], alert.as_of, alert.as_of)
            ]
        except PackError:
            return None
        rule = some[-1].pack.rule_named(rule_id)
        return Told(rule, some[-1].pack) if rule is not None else None
