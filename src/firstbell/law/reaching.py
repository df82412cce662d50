"""Which lines are reached, by how many and when: the kernel that slides over the days of one student, or of many, in whole numbers.

A rule comes down to a few arrays (`Asked`): what each day counts, where each day's window begins, the line as a fraction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from firstbell.law.days import ENDS_AFTER, ENDS_BEFORE, Derived, NotEvaluable, unit_of
from firstbell.law.packs import InForce, Rule
from firstbell.law.timeline import Timeline
from firstbell.law.windows import fixed
from firstbell.said import said

__all__ = ["Asked", "Reached", "asked_of", "at_line", "firings_of", "standings"]


@dataclass(frozen=True, slots=True)
class Asked:
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
def at_line(c, p, num, den, share, strict, minimum):  # type: ignore[no-untyped-def]
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
        reached = at_line(c, p, n, d_, share, strict, minimum)
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
                before = at_line(c, 0, n, d_, False, strict, 0) and not (fixed_ and start[d] != start[d - 1])
            if k < end and columns[k] == d:
                c += counted[i, d]
                k += 1
            begin = max(start[d], low)
            while s < k and columns[s] < begin:
                c -= counted[i, columns[s]]
                s += 1
            if d < since:
                continue
            reached = at_line(c, 0, n, d_, False, strict, 0)
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


def asked_of(
    rule: Rule, version: InForce, others: Sequence[InForce], line: Timeline, grades: Sequence[str],
    after: NDArray[np.int64] | None = None,
) -> Asked:  # fmt: skip
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
        if t.least is None:
            raise NotEvaluable(said("The law leaves this number to the district, and the district has not set it."))
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
    return Asked(
        rule, unit, width, found.counted, found.possible, stops, found.unknown, start, now, floor,
        np.ascontiguousarray(lines[:, 0]), np.ascontiguousarray(lines[:, 1]), any(s for _, s in of_grade.values()),
        math.ceil(t.minimum / unit), (since * width, first * width, stop * width),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reached:
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
    after: Mapping[str, Sequence[tuple[int, date, str]]] | None = None,
) -> list[Reached]:
    """Every rule that counts marks, asked about all students of a timeline.

    grades  (n,) of the students
    after   rule -> what was done that its marks begin to count after: a student's row, the day, and the rule whose duty it shows done
            ("": any), which then counts only since that rule's line was reached
    """
    found = []
    begun: dict[str, NDArray[np.datetime64]] = {}  # rule -> since when what is done shows its duty done
    few: dict[int, tuple[NDArray[Any], ...]] = {}  # the columns that count, of counts already asked about
    for version in law:
        for rule in version.pack.rule:
            if rule.count is None:
                continue
            columns = None
            if rule.window.after_evidence:
                columns = np.full(line.n, len(line.frame.dates), dtype=np.int64)
                for row, on, of in (after or {}).get(rule.id, ()):
                    if not of or of not in begun or begun[of][row] <= np.datetime64(on):  # not on a day that is NaT
                        at = int(np.searchsorted(line.frame.dates, np.datetime64(on), side="right"))
                        columns[row] = min(columns[row], at)
            try:
                asked = asked_of(rule, version, law, line, grades, columns)
            except NotEvaluable as why:
                found.append(Reached(rule, version.pack.version, why=str(why)))
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
                Reached(rule, version.pack.version, asked.unit, out[0], out[1], days[0], days[1], out[4], out[5])
            )
            opens = np.maximum(asked.start[np.maximum(out[2], 0)], asked.floor) // asked.width
            begun[rule.id] = _begun(
                rule, days[0], line.frame.dates[np.minimum(opens, len(line.frame.dates) - 1)], begun
            )
    return found


def _begun(
    rule: Rule, first: NDArray[np.datetime64], opens: NDArray[np.datetime64], begun: Mapping[str, NDArray[np.datetime64]]
) -> NDArray[np.datetime64]:  # fmt: skip
    """Since when what is done shows a rule's duty done, for each student, as `clock` has it for one.

    first  the day the line was reached; opens: where its window began then; begun: of the rules before, and of versions before
    """
    since = first
    if rule.duty is not None and rule.duty.done_from == "window":
        since = np.where(np.isnat(first), first, np.minimum(opens, first))
    elif rule.duty is not None and rule.duty.done_from in begun:
        since = np.fmin(begun[rule.duty.done_from], first)
    was = begun.get(rule.id)
    return since if was is None else np.where(np.isnat(was), since, was)


def firings_of(asked: Asked, row: int) -> tuple[int, int, list[int]]:
    fired = np.zeros(asked.counted.shape[1] + 1, dtype=np.int64)
    c, p, n = _slide(row, *asked.args, fired)  # type: ignore[call-arg]
    return int(c), int(p), [int(f) for f in fired[:n]]
