"""Where a student stands under every rule, on any day, as known then.

`standings` asks all rules of a pack about many students at once, in whole numbers; `positions` says everything about one of
them: the marks counted, the room left, what is due, what is still missing. Both count with the same kernel.

The engine's laws (law.md § 3): a pure function of what was known, the calendar, the enrolments, the pack and the evidence; every day
is judged under the version in force on it; a punitive step stays locked until what it requires is on record; unknown is not present.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from firstbell.law.days import ENDS_AFTER, ENDS_BEFORE, Derived, NotEvaluable, Stretch, derive, unit_of
from firstbell.law.packs import Ages, Count, Duty, InForce, Pack, Rule, Window
from firstbell.law.sentences import named
from firstbell.law.windows import Frame, bounds, fixed, months_before, starts
from firstbell.said import said

__all__ = [
    "DONE_BY",
    "Evidence",
    "Fired",
    "Person",
    "Position",
    "Standing",
    "Status",
    "Timeline",
    "age",
    "applies",
    "positions",
    "shows",
    "standings",
]

#: what shows a duty done, where its pack doesn't say otherwise
DONE_BY: dict[str, tuple[str, ...]] = {
    "contact": ("contact_attempt", "contact", "notice", "conference"),
    "notify": ("notice",),
    "conference": ("conference",),
    "plan": ("plan",),
    "refer_support": ("support_offered", "referral"),
    "review": ("review", "conference"),
    "report_authority": ("report",),
    "consider_sanction": ("decision", "penalty_notice"),
    "petition": ("petition", "court_referral"),
    "classify": (),
}
#: a person decided not to go on, and said why
NOT_ESCALATED = "not_escalated"


class Status(StrEnum):
    CLEAR = "clear"
    NEAR = "near"
    REACHED = "reached"
    DUTY_OPEN = "duty_open"
    DUTY_DONE = "duty_done"
    SUPERSEDED = "superseded"
    LOCKED = "locked"
    FORBIDDEN = "forbidden"
    NOT_EVALUABLE = "not_evaluable"


@dataclass(frozen=True, slots=True)
class Person:
    birth_date: date | None = None
    grade: str = ""
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was done. `rule`: what it was done about, where that was said."""

    kind: str
    date: date
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Fired:
    """A line reached on a day: what the count came to then, and of which days."""

    on: date
    count: Fraction
    marks: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """One rule and one student on one day.

    count      exact, in `unit`; `possible` beside it where the rule is about a share
    threshold  in the same unit, or a share
    window     the days that count together: of the firing, where one is open, else now
    remaining  days of room: how many more until the line is reached (of a share: by the window's end)
    leaves     when the oldest counted day leaves a sliding window
    fired_on   the day the line was reached; `due` by when the duty is to be done
    firings    every time it was reached this year, by what is known now
    missing    what must be on record before the step; forbidden: why it may not be taken at all
    marks      the very days counted; `unknown` days in the window nobody knows about
    """

    rule: str
    title: str
    unit: str
    citation: str
    version: str
    status: Status
    count: Fraction = Fraction(0)
    possible: Fraction | None = None
    threshold: Fraction | None = None
    op: str = ">="
    window: tuple[date, date] | None = None
    remaining: Fraction | None = None
    leaves: date | None = None
    fired_on: date | None = None
    firings: tuple[Fired, ...] = ()
    due: date | None = None
    not_before: date | None = None
    missing: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    marks: tuple[date, ...] = ()
    unknown: int = 0
    why: str = ""
    duty: Duty | None = None


def age(birth: date, at: date) -> int:
    """Whole years; who is born on 29 February has a birthday on 1 March of other years.

    >>> age(date(2012, 2, 29), date(2026, 2, 28)), age(date(2012, 2, 29), date(2026, 3, 1))
    (13, 14)
    """
    return at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day))


class Timeline:
    """The stretches of n students in a row: earlier years first, and in a year the school they came from first.

    as_of    days after it have not come yet
    entered  (n,) datetime64[D], when each came to the school they are at; else the first day enrolled this year
    """

    def __init__(
        self, stretches: Sequence[Stretch], as_of: date, entered: NDArray[np.datetime64] | None = None
    ) -> None:
        self.stretches, self.as_of = tuple(stretches), as_of
        self.n = len(stretches[0].codes)
        dates = np.unique(np.concatenate([s.dates for s in stretches]))
        year = np.zeros(len(dates), dtype=np.int64)
        for s in self.stretches:
            year[np.searchsorted(dates, s.dates)] = s.year
        self.frame = Frame(dates, year, {s.year: s.terms for s in self.stretches if s.terms})
        self.known = int(np.searchsorted(dates, np.datetime64(as_of), side="right"))
        self.year = self.frame.year_of(as_of)
        first, last = self.frame.year_span(self.year)
        self.first, self.stop = first, last + 1
        self.squares = max(s.sessions for s in self.stretches)
        self._entered = entered
        self._derived: dict[tuple[Count, bool], Derived] = {}
        self._starts: dict[Window, tuple[NDArray[np.int64], int]] = {}

    @property
    def school_year(self) -> tuple[date, date]:
        """First and last school day of the year of `as_of`."""
        return self.frame.day(self.first), self.frame.day(self.stop - 1)

    def of(self, row: int) -> Timeline:
        """One student's own line."""
        some = [
            replace(s, codes=s.codes[row : row + 1], missed=None if s.missed is None else s.missed[row : row + 1])
            for s in self.stretches
        ]
        return Timeline(some, self.as_of, None if self._entered is None else self._entered[row : row + 1])

    def entered(self) -> NDArray[np.int64]:
        """The column each student's present enrolment begins with."""
        if self._entered is not None:
            return np.searchsorted(self.frame.dates, self._entered).astype(np.int64)
        there = np.zeros((self.n, len(self.frame.dates)), dtype=np.bool_)
        for s in self.stretches:
            at = np.searchsorted(self.frame.dates, s.dates)
            there[:, at] |= (s.codes != ord("#")).reshape(self.n, len(s.dates), s.sessions).any(axis=2)
        there[:, : self.first] = False
        return np.where(there.any(axis=1), there.argmax(axis=1), self.first).astype(np.int64)

    def starts(self, window: Window) -> tuple[NDArray[np.int64], int]:
        """The column a window begins with: of each day's, and of the one that ends with the day asked about."""
        if window not in self._starts:
            at = np.append(self.frame.dates, np.datetime64(self.as_of))
            found = starts(window, self.frame, at)
            self._starts[window] = found[:-1], int(found[-1])
        return self._starts[window]

    def derived(self, count: Count, by_square: bool) -> Derived:
        """Counted days over the whole line; of two schools on a day, the one the student came to speaks."""
        if (count, by_square) not in self._derived:
            self._derived[count, by_square] = self._derive(count, by_square)
        return self._derived[count, by_square]

    def _derive(self, count: Count, by_square: bool) -> Derived:
        if len(self.stretches) == 1:
            (only,) = self.stretches
            return derive(count, only, min(self.known, len(only.dates)), by_square=by_square)
        width = self.squares if by_square else 1
        shape = (self.n, len(self.frame.dates), width)
        counted, possible = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int16)
        stops, unknown = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.bool_)
        pairs: tuple[tuple[str, NDArray[Any]], ...] = (
            ("counted", counted), ("possible", possible), ("stops", stops), ("unknown", unknown)
        )  # fmt: skip
        for s in self.stretches:
            made = derive(
                count, s, int(np.searchsorted(s.dates, np.datetime64(self.as_of), side="right")), by_square=by_square
            )
            own = s.sessions if by_square else 1
            at = np.searchsorted(self.frame.dates, s.dates)
            here = (s.codes != ord("#")).reshape(self.n, len(s.dates), s.sessions).any(axis=2)[:, :, None]
            for name, whole in pairs:
                part = getattr(made, name).reshape(self.n, len(s.dates), own)
                old = whole[:, at, :]
                old[:, :, own:] = np.where(here, 0, old[:, :, own:])
                old[:, :, :own] = np.where(here, part, old[:, :, :own])
                whole[:, at, :] = old
        return Derived(**{name: whole.reshape(self.n, -1) for name, whole in pairs})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A rule made ready for the kernel: what is counted, where windows begin, where the line is."""

    rule: Rule
    unit: Fraction
    width: int  # columns a day
    counted: NDArray[np.int16]
    possible: NDArray[np.int16]
    stops: NDArray[np.uint8]
    unknown: NDArray[np.bool_]
    start: NDArray[np.int64]
    start_now: int
    floor: NDArray[np.int64]
    num: NDArray[np.int64]
    den: NDArray[np.int64]
    share: bool
    minimum: int
    eligible: tuple[int, int, int]  # reached since, this year's first column, and the end of those in which it can be

    @property
    def args(self) -> tuple[Any, ...]:
        r = self.rule
        return (
            self.counted, self.possible, self.stops, self.start, self.start_now, self.floor, self.num, self.den, self.share,
            r.threshold.op == ">", self.minimum, *self.eligible,
            fixed(r.window), r.window.kind == "consecutive",
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _reached(c, p, num, den, share, strict, minimum):  # type: ignore[no-untyped-def]
    """Whether a count is at the line; of a share, by cross-multiplication."""
    if not share:
        return c * den > num if strict else c * den >= num
    return p >= minimum and p > 0 and (c * den > p * num if strict else c * den >= p * num)


@njit(cache=True, nogil=True)
def _slide(  # type: ignore[no-untyped-def]
    i, counted, possible, stops, start, start_now, floor, num, den, share, strict, minimum, since, first, stop, fixed_, runs, fired,
):  # fmt: skip
    """One student through the days: (count now, possible now, so many firings); `fired` gets the columns they were on.

    A line reached in an earlier year, and ever since, is not reached anew on the first day of this one: it was reached then.
    """
    c = p = s = firings = carried = 0
    before = False
    low = floor[i]
    n, d_ = num[i], den[i]
    for d in range(stop):
        if runs:
            if stops[i, d] & ENDS_BEFORE or (d > 0 and (start[d] != start[d - 1] or stops[i, d - 1] & ENDS_AFTER)):
                c = p = 0
                before = False
            if d >= low:
                c += counted[i, d]
                p += possible[i, d]
        else:
            c += counted[i, d]
            p += possible[i, d]
            begin = max(start[d], low)
            while s < begin and s <= d:
                c -= counted[i, s]
                p -= possible[i, s]
                s += 1
            if fixed_ and d > 0 and start[d] != start[d - 1]:
                before = False
        if d < since:
            continue
        reached = _reached(c, p, n, d_, share, strict, minimum)
        if reached and not before:
            carried = d
        if reached and d >= first and (d == first or not before):
            fired[min(firings, len(fired) - 1)] = carried
            firings += 1
        before = reached
    if runs and stop > 0 and stops[i, stop - 1] & ENDS_AFTER:
        c = p = 0
    if not runs:
        begin = max(start_now, low)
        while s < begin and s < stop:
            c -= counted[i, s]
            p -= possible[i, s]
            s += 1
    return c, p, firings


@njit(cache=True, nogil=True)
def _all(  # type: ignore[no-untyped-def]
    counted, possible, stops, start, start_now, floor, num, den, share, strict, minimum, since, first, stop, fixed_, runs,
    width, out,
):  # fmt: skip
    fired = np.zeros(counted.shape[1] + 1, dtype=np.int64)
    for i in range(counted.shape[0]):
        c, p, firings = _slide(
            i, counted, possible, stops, start, start_now, floor, num, den, share, strict, minimum, since, first, stop, fixed_,
            runs, fired,
        )  # fmt: skip
        out[0, i], out[1, i] = c, p
        out[2, i] = fired[0] if firings else -1
        out[3, i] = fired[firings - 1] if firings else -1
        out[4, i] = firings
        out[5, i] = 0
        for k in range(firings):
            out[5, i] += fired[k] // width


@njit(cache=True, nogil=True)
def _counted_columns(counted):  # type: ignore[no-untyped-def]
    """The few columns that count: where each student's begin, and which they are."""
    n, columns = counted.shape
    begin = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        some = 0
        for d in range(columns):
            some += counted[i, d] != 0
        begin[i + 1] = begin[i] + some
    found = np.empty(begin[n], dtype=np.int32)
    k = 0
    for i in range(n):
        if begin[i + 1] > k:
            for d in range(columns):
                if counted[i, d] != 0:
                    found[k] = d
                    k += 1
    return begin, found


@njit(cache=True, nogil=True)
def _few(  # type: ignore[no-untyped-def]
    where, columns, counted, possible, start, start_now, floor, num, den, strict, since, first, stop, fixed_, width, out
):  # fmt: skip
    """`_all` for lines that are counts: a count grows only on a day that counts, so that no other need be looked at."""
    for i in range(counted.shape[0]):
        k, end, s = where[i], where[i + 1], where[i]
        c = firings = carried = total = 0
        one = another = -1
        before = False
        low, n, d_ = floor[i], num[i], den[i]
        at = -1
        while True:
            d = columns[k] if k < end else stop
            if at < since < d:  # a version, and a year, begin with what is already counted
                d = since
            if at < first < d:
                d = first
            if d >= stop:
                break
            at = d
            if before:  # and still, on the day before?
                begin = max(start[d - 1], low)
                while s < k and columns[s] < begin:
                    c -= counted[i, columns[s]]
                    s += 1
                before = _reached(c, 0, n, d_, False, strict, 0) and not (fixed_ and start[d] != start[d - 1])
            if k < end and columns[k] == d:
                c += counted[i, d]
                k += 1
            begin = max(start[d], low)
            while s < k and columns[s] < begin:
                c -= counted[i, columns[s]]
                s += 1
            if d < since:
                continue
            reached = _reached(c, 0, n, d_, False, strict, 0)
            if reached and not before:
                carried = d
            if reached and d >= first and (d == first or not before):
                if firings == 0:
                    one = carried
                another = carried
                firings += 1
                total += carried // width
            before = reached
        begin = max(start_now, low)
        while s < k and columns[s] < begin:
            c -= counted[i, columns[s]]
            s += 1
        p = 0
        for d in range(begin, stop):
            p += possible[i, d]
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i], out[5, i] = c, p, one, another, firings, total


def _asked(
    rule: Rule, version: InForce, others: Sequence[InForce], line: Timeline, grades: Sequence[str],
    after: NDArray[np.int64] | None = None,
) -> _Asked:  # fmt: skip
    """Raises NotEvaluable where the rule cannot be asked of these registers."""
    pack, window = version.pack, rule.window
    assert rule.count is not None
    count = pack.counts[rule.count]
    runs = window.kind == "consecutive"
    by_square = runs and count.strategy in ("sessions", "accumulate_minutes")
    found, unit = line.derived(count, by_square), unit_of(count)
    width = line.squares if by_square else 1
    for other in others:  # days of another version count as that version says, where it counts the same thing
        theirs = other.pack.counts.get(rule.count)
        if other is version or theirs is None or theirs == count or unit_of(theirs) != unit:
            continue
        if by_square and theirs.strategy not in ("sessions", "accumulate_minutes"):
            continue
        a, b = np.searchsorted(
            line.frame.dates, [np.datetime64(other.first), np.datetime64(other.last + timedelta(days=1))]
        )
        of_then = line.derived(theirs, by_square)
        mixed = Derived(found.counted.copy(), found.possible.copy(), found.stops.copy(), found.unknown.copy())
        for mine, part in (
            (mixed.counted, of_then.counted), (mixed.possible, of_then.possible), (mixed.stops, of_then.stops),
            (mixed.unknown, of_then.unknown),
        ):  # fmt: skip
            mine[:, a * width : b * width] = part[:, a * width : b * width]
        found = mixed
    dates, stops = line.frame.dates, found.stops
    if window.broken_by == "any_other_day":
        stops = stops | ((found.possible > 0) & (found.counted == 0)) * np.uint8(ENDS_BEFORE)
    start, now = line.starts(window)
    start, now = np.repeat(start, width) * width, now * width
    floor = line.entered() * width if window.kind == "since_enrolment" else np.zeros(line.n, dtype=np.int64)
    if after is not None:
        floor = np.maximum(floor, after * width)
    t = rule.threshold
    of_grade: dict[str, tuple[Fraction, bool]] = {}
    for grade in dict.fromkeys(grades):
        share = t.share is not None
        value = Fraction(t.share) if t.share is not None else t.count_for(grade)
        if value is None:
            raise NotEvaluable(
                said("The rule names no number for grade %(grade)s.", grade=grade)
                if grade
                else said("The rule’s number depends on the grade, and the student’s is not known.")
            )
        if share and t.of == "window":
            value, share = value * (window.length or 1), False
        of_grade[grade] = (value if share else value / unit, share)
    values = np.array([(v.numerator, v.denominator) for v, _ in of_grade.values()], dtype=np.int64).reshape(-1, 2)
    if len(set(of_grade.values())) == 1:
        lines = np.broadcast_to(values[0], (line.n, 2))
    else:
        place = {g: k for k, g in enumerate(of_grade)}
        lines = values[[place[g] for g in grades]]
    begun = int(np.searchsorted(dates, np.datetime64(version.first)))
    first = max(line.first, begun)
    since = begun if window.across_years else first
    stop = min(line.known, int(np.searchsorted(dates, np.datetime64(version.last), side="right")))
    return _Asked(
        rule, unit, width, found.counted, found.possible, stops, found.unknown, start, now, floor,
        np.ascontiguousarray(lines[:, 0]), np.ascontiguousarray(lines[:, 1]), any(s for _, s in of_grade.values()),
        math.ceil(t.minimum / unit), (since * width, first * width, stop * width),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """One rule and n students: (n,) each. `first`, `last`: the days the line was first and last reached this year, NaT where not.

    count, possible   in units of `unit`, int64
    times, columns   how often it was reached, and the sum of the timeline's columns of those days: together they tell whether anything
          changed since they were last written down
    why   where the rule cannot be asked of these registers, and then all else is empty
    """

    rule: Rule
    version: str
    unit: Fraction = Fraction(1)
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    possible: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    first: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    last: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    columns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    why: str = ""


def standings(
    line: Timeline,
    grades: Sequence[str],
    law: Sequence[InForce],
    after: Mapping[str, NDArray[np.datetime64]] | None = None,
) -> list[Standing]:
    """Every rule that counts marks, asked about all students of a timeline.

    grades  (n,) of the students
    after   rule -> (n,) the day after which its marks count, for rules that begin with something done; NaT: not done
    """
    found = []
    few: dict[int, tuple[NDArray[Any], ...]] = {}  # the columns that count, of counts already asked about
    for version in law:
        for rule in version.pack.rule:
            if rule.count is None:
                continue
            columns = None
            if rule.window.after_evidence:
                done = (after or {}).get(rule.id, np.full(line.n, "NaT", dtype="datetime64[D]"))
                columns = np.searchsorted(line.frame.dates, done, side="right").astype(np.int64)
                columns[np.isnat(done)] = len(line.frame.dates)
            try:
                asked = _asked(rule, version, law, line, grades, columns)
            except NotEvaluable as why:
                found.append(Standing(rule, version.pack.version, why=str(why)))
                continue
            out = np.zeros((6, line.n), dtype=np.int64)
            if asked.share or rule.window.kind == "consecutive" or (asked.num <= 0).any():
                _all(*asked.args, asked.width, out)  # type: ignore[call-arg]  # a compiled one tells no signature
            else:
                key = id(asked.counted)
                if key not in few:
                    few[key] = (asked.counted, *_counted_columns(asked.counted))
                _few(
                    few[key][1], few[key][2], asked.counted, asked.possible, asked.start, asked.start_now, asked.floor, asked.num,
                    asked.den, rule.threshold.op == ">", *asked.eligible, fixed(rule.window), asked.width, out,
                )  # fmt: skip
            days = [
                np.where(at < 0, np.datetime64("NaT"), line.frame.dates[np.maximum(at, 0) // asked.width])
                for at in out[2:4]
            ]
            found.append(
                Standing(rule, version.pack.version, asked.unit, out[0], out[1], days[0], days[1], out[4], out[5])
            )
    return found


def _firings(asked: _Asked, row: int) -> tuple[int, int, list[int]]:
    fired = np.zeros(asked.counted.shape[1] + 1, dtype=np.int64)
    c, p, n = _slide(row, *asked.args, fired)  # type: ignore[call-arg]
    return int(c), int(p), [int(f) for f in fired[:n]]


def positions(
    line: Timeline, row: int, person: Person, law: Sequence[InForce], evidence: Sequence[Evidence] = (),
    earlier: Mapping[str, date] | None = None,
) -> list[Position]:  # fmt: skip
    """Where one student of a timeline stands under every rule in force this school year.

    evidence what was done so far; also after the timeline's last day
    law      the versions in force in the days the timeline covers (`packs.in_force`), oldest first
    earlier  rule -> the day it had fired by what was known before: where it has not now, it was superseded

    A version that has ended is answered for only where its line was reached while it was in force.
    """
    found = []
    asked = {
        (version.pack.version, rule.id): _position(line, row, person, version, law, rule, evidence)
        for version in law if version.last >= line.frame.day(line.first) for rule in version.pack.rule
    }  # fmt: skip
    reached = {rule: c.firings[0] for (_version, rule), (_base, c) in asked.items() if c is not None and c.firings}
    for version in law:
        if version.last < line.frame.day(line.first):
            continue
        over = version.last < line.as_of
        for rule in version.pack.rule:
            position, counted = asked[version.pack.version, rule.id]
            if counted is not None:
                position = _judged(line, person, rule, version.pack, evidence, position, counted, reached)
            gone = (earlier or {}).get(rule.id)
            if (
                gone is not None
                and position.fired_on is None
                and gone not in {f.on for f in position.firings}
                and version.first <= gone <= version.last
            ):
                words = said("The line had been reached by what was known before, and is not by what is known now.")
                position = replace(position, status=Status.SUPERSEDED, fired_on=gone, why=words)
            if not over or position.fired_on is not None:
                found.append(position)
    return found


def _of_age(ages: Ages, birth: date, at: date, year: tuple[date, date]) -> bool:
    begins = at
    if ages.by:
        month, day = map(int, ages.by.split("-"))
        by = date(
            year[0].year + (month < 7), month, day
        )  # the second half of a calendar year is where a school year begins
        begins = by if ages.cut_off else max(at, by)
    ends = year[0] if ages.until == "school_year_end" else at
    return age(birth, begins) >= ages.from_ and age(birth, ends) < ages.under


def applies(rule: Rule, pack: Pack, person: Person, at: date, year: tuple[date, date]) -> str:
    """Why a rule is not about this student; empty where it is. year: first and last day of the school year."""
    ages = rule.applies.ages or pack.ages
    if ages is not None and person.birth_date is not None:
        years = age(person.birth_date, at)
        if not _of_age(ages, person.birth_date, at, year):
            return said(
                "The rule is about ages %(first)s to %(last)s; this student is %(age)s.",
                first=ages.from_,
                last=ages.under - 1,
                age=years,
            )
    if rule.applies.grades and person.grade not in rule.applies.grades:
        return said("The rule is about grades %(grades)s.", grades=list(rule.applies.grades))
    if rule.applies.flags and not person.flags & set(rule.applies.flags):
        return said("The rule is about students with: %(flags)s.", flags=[named(f) for f in rule.applies.flags])
    if kept := person.flags & set(rule.applies.not_flags):
        return said("The rule is not about students with: %(flags)s.", flags=[named(f) for f in sorted(kept)])
    return ""


def _position(
    line: Timeline, row: int, person: Person, version: InForce, law: Sequence[InForce], rule: Rule, deeds: Sequence[Evidence]
) -> tuple[Position, _Counted | None]:  # fmt: skip
    """What is the same of every answer about a rule, and what it counts; None where it is not asked."""
    pack = version.pack
    unit = pack.counts[rule.count].unit if rule.count else "times"
    base = Position(
        rule.id, rule.title, unit, pack.cited(rule).citation, pack.version, Status.NOT_EVALUABLE, duty=rule.duty, op=rule.threshold.op,
    )  # fmt: skip
    if why := applies(rule, pack, person, line.as_of, line.school_year):
        return replace(base, why=why), None
    try:
        if rule.count is None:
            counted = _of_evidence(line, rule, version, deeds)
        else:
            counted = _of_marks(line, row, person, version, law, rule, deeds)
    except NotEvaluable as error:
        return replace(base, why=str(error)), None
    return base, counted


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a rule's count came to: now, and at each firing."""

    count: Fraction
    possible: Fraction | None
    threshold: Fraction
    total: Fraction | None  # of a share: what will have been possible by the window's end
    marks: list[date]
    window: tuple[date, date]
    firings: list[date]
    reached: bool
    at_firing: Any  # firing (, whether its window is asked too) -> (count, possible, marks, window)
    unknown: int = 0
    unit: Fraction = Fraction(1)  # the least there can be more of it
    known_on: Any = None  # firing -> the day its last mark had waited out its grace, where that was later


def _of_evidence(line: Timeline, rule: Rule, version: InForce, deeds: Sequence[Evidence]) -> _Counted:
    value = rule.threshold.count_for("")
    if value is None:
        raise NotEvaluable(said("The rule names no number of times."))
    need = int(value) + (rule.threshold.op == ">")
    done = sorted(e.date for e in deeds if e.kind in rule.evidence.split("|"))

    def within(at: date) -> tuple[date, date]:
        w = rule.window
        if w.kind == "rolling_years":
            return months_before(at, 12 * (w.length or 1)) + timedelta(days=1), at
        return bounds(w, line.frame, at)

    def held(at: date) -> list[date]:
        a, b = within(at)
        return [d for d in done if a <= d <= min(b, at)]

    since = version.first
    if not rule.window.across_years and rule.window.kind != "rolling_years":
        since = max(since, line.frame.day(line.first))
    # each thing done from the line on asks anew: it has a deadline of its own
    firings = [d for d in dict.fromkeys(done) if len(held(d)) >= need and since <= d <= version.last]
    now = held(line.as_of)
    return _Counted(
        Fraction(len(now)), None, value, None, now, within(line.as_of), firings, len(now) >= need,
        lambda d, spans=True: (Fraction(len(held(d))), None, held(d), within(d)),
    )  # fmt: skip


def _of_marks(
    line: Timeline, row: int, person: Person, version: InForce, law: Sequence[InForce], rule: Rule, deeds: Sequence[Evidence]
) -> _Counted:  # fmt: skip
    after = None
    if kind := rule.window.after_evidence:
        first = line.frame.day(line.first)
        since = min((e.date for e in deeds if e.kind in kind.split("|") and e.date >= first), default=None)
        column = len(line.frame.dates)
        if since is not None:
            column = int(np.searchsorted(line.frame.dates, np.datetime64(since), side="right"))
        after = np.full(line.n, column, dtype=np.int64)
    asked = _asked(rule, version, law, line, [person.grade] * line.n, after)
    c, p, fired = _firings(asked, row)
    dates, width = line.frame.dates, asked.width
    share = rule.threshold.share
    value = Fraction(int(asked.num[row]), int(asked.den[row]))
    runs = rule.window.kind == "consecutive"
    runs_by_square = runs and version.pack.counts[rule.count or ""].strategy in ("sessions", "accumulate_minutes")

    def days(begin: int, stop: int) -> list[date]:
        some = np.flatnonzero(asked.counted[row, begin:stop]) + begin
        return [line.frame.day(int(k)) for k in np.unique(some // width)]

    def begins(at: int) -> int:
        """The first column that counts with column `at`."""
        low = max(int(asked.start[at]), int(asked.floor[row]))
        if not runs:
            return low
        before = np.flatnonzero(asked.stops[row, : at + 1] & ENDS_BEFORE)
        after = np.flatnonzero(asked.stops[row, :at] & ENDS_AFTER)
        return max(low, int(before[-1]) if len(before) else 0, int(after[-1]) + 1 if len(after) else 0)

    first_at = {line.frame.day(f // width): f for f in reversed(fired)}

    def at_firing(day: date, spans: bool = True) -> tuple[Fraction, Fraction, list[date], tuple[date, date]]:
        at = first_at[day]
        b = begins(at)
        marks = days(b, at + 1)
        return (
            asked.unit * int(asked.counted[row, b : at + 1].sum()), asked.unit * int(asked.possible[row, b : at + 1].sum()),
            marks, (day, day) if not spans else (marks[0], day) if runs and marks else _opened(bounds(rule.window, line.frame, day), line, asked, row),
        )  # fmt: skip

    stop = min(line.known, int(np.searchsorted(dates, np.datetime64(version.last), side="right"))) * width

    def known_on(day: date) -> date:
        count = version.pack.counts[rule.count or ""]
        if count.pending != "after_grace":
            return day
        sure = line.derived(msgspec.structs.replace(count, pending="never"), runs_by_square)
        at = first_at[day]
        waited = np.flatnonzero(asked.counted[row, : at + 1] != sure.counted[row, : at + 1])
        waited = waited[waited >= begins(at)]
        if not len(waited):
            return day
        return max(day, line.frame.day(min(int(waited[-1]) // width + count.grace, len(dates) - 1)))

    if runs:
        b = 0 if not stop else stop if asked.stops[row, stop - 1] & ENDS_AFTER else begins(stop - 1)
    else:
        b = max(asked.start_now, int(asked.floor[row]))
    marks = days(b, stop)
    window = _opened(bounds(rule.window, line.frame, line.as_of), line, asked, row)
    if runs:
        window = (marks[0], line.as_of) if marks else (line.as_of, line.as_of)
    reached = bool(
        _reached(c, p, int(asked.num[row]), int(asked.den[row]), asked.share, rule.threshold.op == ">", asked.minimum)
    )
    total = None
    if asked.share:
        ahead = 0
        if rule.window.kind in ("school_year", "since_enrolment", "semester", "quarter", "term", "calendar_month"):
            end = int(
                np.searchsorted(dates, np.datetime64(bounds(rule.window, line.frame, line.as_of)[1]), side="right")
            )
            usual = int(asked.possible[row].max(initial=1))
            ahead = max(end - line.known, 0) * usual
        total = asked.unit * (p + ahead)
    return _Counted(
        asked.unit * c, asked.unit * p if share is not None else None,
        value if asked.share else value * asked.unit, total, marks, window,
        [line.frame.day(f // width) for f in fired], reached, at_firing, int(asked.unknown[row, b:stop].sum()),
        asked.unit, known_on,
    )  # fmt: skip


def _opened(window: tuple[date, date], line: Timeline, asked: _Asked, row: int) -> tuple[date, date]:
    """A window that began later for this student: with the enrolment, or with what was done."""
    low = int(asked.floor[row]) // asked.width
    if not low or low >= len(line.frame.dates):
        return window
    return max(window[0], line.frame.day(low)), window[1]


def _room(rule: Rule, c: _Counted) -> Fraction:
    """How many more until the line is reached; of a share, by the window's end (law.md § 3)."""
    if c.reached:
        return Fraction(0)
    line = (c.threshold if c.total is None else c.threshold * c.total) / c.unit
    need = math.floor(line) + 1 if rule.threshold.op == ">" else math.ceil(line)
    return max(need * c.unit - c.count, c.unit)


def _judged(
    line: Timeline, person: Person, rule: Rule, pack: Pack, deeds: Sequence[Evidence], base: Position, c: _Counted,
    reached: Mapping[str, date],
) -> Position:  # fmt: skip
    duty, year_first = rule.duty, line.frame.day(line.first)
    firings = c.firings[:1] if rule.once == "year" else c.firings
    done_by = () if duty is None else duty.done_by or DONE_BY[duty.kind]

    def done(day: date) -> bool:
        return any(
            e.date >= day and (e.rule in ("", rule.id)) and (e.kind in done_by or (e.kind == NOT_ESCALATED and duty is not None and duty.may))
            for e in deeds
        )  # fmt: skip

    open_ = [d for d in firings if duty is not None and duty.kind != "classify" and not done(d)]
    missing = () if duty is None else tuple(_missing(duty, pack, deeds, min(year_first, c.window[0]), reached))
    forbidden = () if duty is None else tuple(_forbidden(duty, person, deeds, line.as_of))
    count, possible, marks, window = c.count, c.possible, c.marks, c.window
    fired_on, why = None, ""
    if open_:
        fired_on = open_[0]
        if not c.reached or fired_on != firings[-1]:
            count, possible, marks, window = c.at_firing(fired_on)
            possible = possible if c.possible is not None else None
        status = Status.FORBIDDEN if forbidden else Status.LOCKED if missing else Status.DUTY_OPEN
    elif firings and (c.reached or rule.once == "year"):
        fired_on = firings[-1]
        status = Status.REACHED if duty is None or duty.kind == "classify" else Status.DUTY_DONE
        if duty is not None and duty.kind == "classify" and (forbidden or missing):
            status = Status.FORBIDDEN if forbidden else Status.LOCKED
    else:
        near = c.count > 0 and _room(rule, c) <= rule.near
        status = Status.NEAR if near else Status.CLEAR
    if status is Status.LOCKED:
        why = said("Before this step there must be on record: %(missing)s.", missing=[named(m) for m in missing])
    elif status is Status.FORBIDDEN:
        why = said("The law does not allow this step: %(why)s.", why=[named(f) for f in forbidden])
    due = not_before = None
    if fired_on is not None and duty is not None and duty.deadline is not None:
        due, not_before = _deadline(duty, c.known_on(fired_on) if c.known_on else fired_on, deeds, line)
    then = [(d, c.at_firing(d, False)) for d in firings]
    fired = tuple(Fired(d, at[0], tuple(at[2])) for d, at in then)
    leaves = None
    if marks and rule.window.kind.startswith("rolling") and not open_:
        leaves = _leaves(rule.window, marks[0], line)
    return replace(
        base, status=status, count=count, possible=possible, threshold=c.threshold, window=window,
        remaining=Fraction(0) if fired_on is not None else _room(rule, c), leaves=leaves, fired_on=fired_on, firings=fired, due=due,
        not_before=not_before, missing=missing, forbidden=forbidden, marks=tuple(marks), unknown=c.unknown, why=why,
    )  # fmt: skip


def shows(name: str, pack: Pack) -> dict[str, str]:
    """What shows a precondition met: kind of evidence -> the rule it must be about ("" for any). "a|b" is met by either."""
    found: dict[str, str] = {}
    for one in name.split("|"):
        other = pack.rule_named(one)
        if other is None or other.duty is None:
            found[one] = ""
        else:
            found |= dict.fromkeys(other.duty.done_by or DONE_BY[other.duty.kind], one)
    return found


def _missing(
    duty: Duty, pack: Pack, deeds: Sequence[Evidence], since: date, reached: Mapping[str, date]
) -> Iterable[str]:
    """What must be on record and is not: this year, or since the window began; of another rule's duty, since its line was reached."""
    for name in duty.requires:
        kinds = shows(name, pack)
        if not any(
            e.kind in kinds and e.date >= max(since, reached.get(kinds[e.kind], since))
            and (not kinds[e.kind] or e.rule in ("", kinds[e.kind]))
            for e in deeds
        ):  # fmt: skip
            yield " or ".join(name.split("|"))


def _forbidden(duty: Duty, person: Person, deeds: Sequence[Evidence], at: date) -> Iterable[str]:
    yield from sorted(person.flags & set(duty.forbidden_if))
    if (limit := duty.not_after) is not None:
        since = months_before(at, 12 * limit.years)
        if sum(e.kind in limit.evidence.split("|") and e.date > since for e in deeds) >= limit.times:
            yield f"{limit.evidence} {limit.times} times in {limit.years} years"


def _deadline(duty: Duty, fired_on: date, deeds: Sequence[Evidence], line: Timeline) -> tuple[date | None, date | None]:
    limit = duty.deadline
    assert limit is not None
    since: date | None = fired_on
    if limit.from_ == "year_end":
        since = line.school_year[1]
    elif limit.from_ != "trigger":
        since = min((e.date for e in deeds if e.kind in limit.from_.split("|") and e.date >= fired_on), default=None)
    if since is None:
        return None, None
    return _after(since, limit.value, limit.unit, line), (
        _after(since, limit.not_before, limit.unit, line) if limit.not_before else None
    )


def _after(day: date, n: int, unit: str, line: Timeline) -> date | None:
    """The n-th day of a kind after a day. None where the calendar does not reach so far."""
    if unit == "minutes" or n == 0:
        return day
    if unit == "calendar_days":
        return day + timedelta(days=n)
    if unit == "working_days":
        found: date = np.busday_offset(np.datetime64(day), n, roll="backward").astype(object)
        return found
    k = int(np.searchsorted(line.frame.dates, np.datetime64(day), side="right")) - 1 + n
    return line.frame.day(k) if k < len(line.frame.dates) else None


def _leaves(window: Window, oldest: date, line: Timeline) -> date | None:
    """The first day on which the oldest counted day no longer counts."""
    length = window.length or 1
    column = int(np.searchsorted(line.frame.dates, np.datetime64(oldest)))
    soonest = length  # in days
    if window.kind in ("rolling_months", "rolling_years"):
        months = length * (12 if window.kind == "rolling_years" else 1)
        soonest = 30 * months + months * 5 // 12 - 3
    elif window.kind == "rolling_school_weeks":
        soonest = 1
    at = np.datetime64(oldest) + np.arange(soonest, soonest + 40)
    while at[0] <= max(line.frame.dates[-1], np.datetime64(oldest) + soonest):
        gone = np.flatnonzero(starts(window, line.frame, at) > column)
        if len(gone):
            found: date = at[gone[0]].astype(object)
            return found
        at = at + 40
    return None
