"""Which lines are reached, by how many and when: the kernel that slides over the days of one student, or of many, in whole numbers.

A rule comes down to a few arrays: where each day's window begins, the line as a fraction (`Question`), what each day counts (`Asked`).
Of many students only the days are looked at that were not attended in full (`timeline.Few`), and of those, for most rules, only what counts:
a count grows on no other day. A share falls with every day attended, so it is asked on the day before too; of a window that slides, on every
day on which anything counts. One student is asked day by day (`counted`), and the tests hold the two ways against each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from firstbell.law.days import ENDS_AFTER, ENDS_BEFORE, Derived, NotEvaluable, unit_of
from firstbell.law.packs import Count, InForce, Rule, Threshold, Window
from firstbell.law.timeline import Few, Timeline
from firstbell.law.windows import fixed
from firstbell.said import said

__all__ = [
    "Asked",
    "Counted",
    "Question",
    "Reached",
    "asked_of",
    "at_line",
    "by_square",
    "counted",
    "needed",
    "same_before",
    "standings",
]


@dataclass(frozen=True, slots=True)
class Question:
    """A rule made ready: where windows begin, where the line is. By the day, or (`width` columns a day) by the square.

    start, floor   the column each column's window begins with, and the one no student's window begins before
    eligible       reached since, this year's first column, and the end of those in which it can be
    held           (n,) whose line was reached under the version before (`same_before`), and still was on its last day: where it is on the
                   first day of this version too, it is the same reaching, and not one more
    """

    rule: Rule
    unit: Fraction
    width: int
    start: NDArray[np.int64]
    start_now: int
    floor: NDArray[np.int64]
    num: NDArray[np.int64]
    den: NDArray[np.int64]
    share: bool
    minimum: int
    eligible: tuple[int, int, int]
    held: NDArray[np.bool_]

    @property
    def runs(self) -> bool:
        return self.rule.window.kind == "consecutive"

    @property
    def anew(self) -> bool:
        """Whether a new window begins with nothing counted, so that the line can be reached again."""
        return self.runs or fixed(self.rule.window)

    @property
    def strict(self) -> bool:
        return self.rule.threshold.op == ">"

    def at(self, count: NDArray[np.int64], possible: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`at_line`, of many."""
        whole = possible if self.share else 1
        reached: NDArray[np.bool_] = count >= needed(self.num * whole, self.den, self.strict)
        return reached & (possible >= max(self.minimum, 1)) if self.share else reached


@dataclass(frozen=True, slots=True)
class Asked(Question):
    """And what is counted of each day."""

    counted: NDArray[np.int16]
    possible: NDArray[np.int16]
    stops: NDArray[np.uint8]
    unknown: NDArray[np.bool_]


@njit(cache=True, nogil=True)
def at_line(c, p, num, den, share, strict, minimum):  # type: ignore[no-untyped-def]
    """Whether a count is at the line; of a share, by cross-multiplication."""
    if not share:
        return c * den > num if strict else c * den >= num
    return p >= minimum and p > 0 and (c * den > p * num if strict else c * den >= p * num)


def needed(num: Any, den: Any, strict: bool) -> Any:
    """The least whole number at the line num/den, or over it where the rule says more than; of ints or of arrays."""
    return num // den + 1 if strict else -(-num // den)


@njit(cache=True, nogil=True)
def _fires(out, i, column, seal):  # type: ignore[no-untyped-def]
    """Student i's line was reached on a column: the first and the last of them, how many, and the sum of their seals."""
    if out[4, i] == 0:
        out[2, i] = column
    out[3, i] = column
    out[4, i] += 1
    out[5, i] += seal


@njit(cache=True, nogil=True)
def _run_starts(stops, start):  # type: ignore[no-untyped-def]
    """A run is a window that begins, for each student by themselves, on the day something ended it: the first column each column counts with."""
    found = np.zeros(len(stops), dtype=np.int64)
    begin = 0
    for d in range(len(stops)):
        if stops[d] & ENDS_BEFORE or (d > 0 and (start[d] != start[d - 1] or stops[d - 1] & ENDS_AFTER)):
            begin = d
        found[d] = begin
    return found


@njit(cache=True, nogil=True)
def _slide(  # type: ignore[no-untyped-def]
    counted, possible, start, start_now, low, num, den, share, strict, minimum, since, first, stop, anew, held, fired
):  # fmt: skip
    """One student through the days: (count now, possible now, the column they begin with, whether the line was held and is reached on the
    first day, whether it is on the last, how many firings). `fired`: of each its column, the one its window began with, and what was
    counted and possible in it.

    A line reached in an earlier year, and ever since, is not reached anew on the first day of this one: it was reached then.
    """
    c = p = s = firings = d_carried = s_carried = c_carried = p_carried = 0
    before = stood = False
    for d in range(stop):
        c += counted[d]
        p += possible[d]
        begin = max(start[d], low)
        while s < begin and s <= d:
            c -= counted[s]
            p -= possible[s]
            s += 1
        opens = anew and d > 0 and start[d] != start[d - 1]
        if opens:
            before = False
        if d < since:
            continue
        reached = at_line(c, p, num, den, share, strict, minimum)
        if reached and not before:
            d_carried, s_carried, c_carried, p_carried = d, s, c, p
        if reached and held and d == first and not opens:
            stood = True
        elif reached and d >= first and (d == first or not before):
            fired[firings, 0], fired[firings, 1] = d_carried, s_carried
            fired[firings, 2], fired[firings, 3] = c_carried, p_carried
            firings += 1
        before = reached
    begin = max(start_now, low)
    while s < begin and s < stop:
        c -= counted[s]
        p -= possible[s]
        s += 1
    return c, p, s, stood, before, firings


def _nobody(n: int) -> NDArray[np.int64]:
    """The six figures of n students of whom nothing is known yet: counted, possible, and what `_fires` tells."""
    out = np.zeros((6, n), dtype=np.int64)
    out[2:4] = -1
    return out


class _Days(NamedTuple):
    """`Few`, and what it comes to.

    whole   possible before each column, had every day been attended in full; less: by how much each exception, with all before it, makes that less
    where, on, more   of the exceptions that count: where each student's begin, on what columns they are, and how much each counts
    in_all  what they come to before each of them
    """

    begin: NDArray[np.int64]
    column: NDArray[np.int32]
    counted: NDArray[np.int16]
    stops: NDArray[np.uint8]
    possible: NDArray[np.int16]
    usual: NDArray[np.int64]
    whole: NDArray[np.int64]
    less: NDArray[np.int64]
    where: NDArray[np.int64]
    on: NDArray[np.int32]
    more: NDArray[np.int16]
    in_all: NDArray[np.int64]


def _days(few: Few) -> _Days:
    where, less = np.zeros(len(few.begin), dtype=np.int64), np.zeros(len(few.column) + 1, dtype=np.int64)
    n = np.count_nonzero(few.counted)
    on, more = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int16)
    in_all = np.zeros(n + 1, dtype=np.int64)
    _what_counts(few.begin, few.column, few.counted, few.possible, few.usual, less, where, on, more, in_all)
    whole = np.concatenate([[0], np.cumsum(few.usual)])
    return _Days(
        few.begin, few.column, few.counted, few.stops, few.possible, few.usual, whole, less, where, on, more, in_all
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _what_counts(  # type: ignore[no-untyped-def]
    begin, column, counted, possible, usual, less, where, on, more, in_all
):  # fmt: skip
    some = 0
    for i in range(len(begin) - 1):
        for k in range(begin[i], begin[i + 1]):
            less[k + 1] = less[k] + usual[column[k]] - possible[k]
            if counted[k] != 0:
                on[some], more[some] = column[k], counted[k]
                in_all[some + 1] = in_all[some] + counted[k]
                some += 1
        where[i + 1] = some


@njit(cache=True, nogil=True)
def _from(column, k, end, first):  # type: ignore[no-untyped-def]
    """Where among column[k:end] those from `first` on begin."""
    if k == end or column[k] >= first:
        return k
    if column[end - 1] < first:
        return end
    while k < end:
        middle = (k + end) // 2
        if column[middle] < first:
            k = middle + 1
        else:
            end = middle
    return k


@njit(cache=True, nogil=True)
def _now(days, i, first, stop):  # type: ignore[no-untyped-def]
    """Counted and possible from a column up to another."""
    if first >= stop:
        return 0, 0
    a = _from(days.column, days.begin[i], days.begin[i + 1], first)
    b = _from(days.column, a, days.begin[i + 1], stop)
    j = _from(days.on, days.where[i], days.where[i + 1], first)
    k = _from(days.on, j, days.where[i + 1], stop)
    return days.in_all[k] - days.in_all[j], days.whole[stop] - days.whole[first] - (days.less[b] - days.less[a])


@njit(cache=True, nogil=True)
def _reached_on(  # type: ignore[no-untyped-def]
    days, runs, begin, floor, num, den, share, strict, minimum, stop, out, found
):  # fmt: skip
    """Whose line is reached on the column before `stop`, whose window begins with `begin`; of runs `out` says so already."""
    for i in range(len(floor)):
        c, p = (out[0, i], out[1, i]) if runs else _now(days, i, max(begin, floor[i]), stop)
        found[i] = at_line(c, p, num[i], den[i], share, strict, minimum)


@njit(cache=True, nogil=True)
def _counts(  # type: ignore[no-untyped-def]
    days, start, start_now, floor, num, den, strict, anew, since, first, stop, width, sealed, held, out
):  # fmt: skip
    """Lines that are counts."""
    for i in range(len(floor)):
        low, n, d_ = floor[i], num[i], den[i]
        carried = 0
        if at_line(days.in_all[days.where[i + 1]] - days.in_all[days.where[i]], 0, n, d_, False, strict, 0):
            k, end, s = days.where[i], days.where[i + 1], days.where[i]
            c, before, at = 0, False, -1
            while True:
                d = days.on[k] if k < end else stop
                if at < since < d:  # a version, and a year, begin with what is already counted
                    d = since
                if at < first < d:
                    d = first
                if d >= stop:
                    break
                at = d
                if before:  # and still, on the day before?
                    begin = max(start[d - 1], low)
                    while s < k and days.on[s] < begin:
                        c -= days.more[s]
                        s += 1
                    before = at_line(c, 0, n, d_, False, strict, 0) and not (anew and start[d] != start[d - 1])
                if k < end and days.on[k] == d:
                    c += days.more[k]
                    k += 1
                begin = max(start[d], low)
                while s < k and days.on[s] < begin:
                    c -= days.more[s]
                    s += 1
                if d < since:
                    continue
                reached = at_line(c, 0, n, d_, False, strict, 0)
                if reached and not before:
                    carried = d
                if reached and (
                    (d > first and not before) or (d == first and (not held[i] or (anew and start[d] != start[d - 1])))
                ):
                    _fires(out, i, carried, sealed[carried // width])
                before = reached
        c, p = _now(days, i, max(start_now, low), stop)
        out[0, i], out[1, i] = c, p


@njit(cache=True, nogil=True)
def _shares(  # type: ignore[no-untyped-def]
    days, start, turns, start_now, floor, num, den, strict, minimum, since, first, stop, width, sealed, held, out
):  # fmt: skip
    """Lines that are shares of windows which begin anew, at the columns `turns`. In such a window what is possible only grows: the line can
    be reached on the day enough is possible, and on a day that counts."""
    least = max(minimum, 1)
    for i in range(len(floor)):
        low, n, d_ = floor[i], num[i], den[i]
        carried = 0
        end, last = days.begin[i + 1], days.where[i + 1]
        if at_line(days.in_all[days.where[i + 1]] - days.in_all[days.where[i]], least, n, d_, True, strict, minimum):
            for w in range(len(turns) - 1):
                opens, closes = max(start[turns[w]], low), min(turns[w + 1], stop)
                d = max(turns[w], since, opens)
                if d >= closes:
                    continue
                q = _from(days.column, days.begin[i], end, opens)
                missing = days.whole[opens] - days.less[q]
                j = _from(days.on, days.where[i], last, opens)
                q = _from(days.column, q, end, d)
                while d < closes:  # until enough is possible, nothing is reached
                    here = q < end and days.column[q] == d
                    if days.whole[d + 1] - days.less[q + here] - missing >= least:
                        break
                    q += here
                    d += 1
                c, before, begun = 0, False, False
                while d < closes:
                    while q < end and days.column[q] < d:
                        q += 1
                    here = q < end and days.column[q] == d
                    if begun:
                        before = at_line(c, days.whole[d] - days.less[q] - missing, n, d_, True, strict, minimum)
                    begun = True
                    while j < last and days.on[j] <= d:
                        c += days.more[j]
                        j += 1
                    reached = at_line(
                        c, days.whole[d + 1] - days.less[q + here] - missing, n, d_, True, strict, minimum
                    )
                    if reached and not before:
                        carried = d
                    if reached and (
                        (d > first and not before) or (d == first and (not held[i] or start[d] != start[d - 1]))
                    ):
                        _fires(out, i, carried, sealed[carried // width])
                    after = days.on[j] if j < last else closes
                    d = first if d < first < after else after
        c, p = _now(days, i, max(start_now, low), stop)
        out[0, i], out[1, i] = c, p


@njit(cache=True, nogil=True)
def _sliding_shares(  # type: ignore[no-untyped-def]
    days, start, start_now, floor, num, den, strict, minimum, since, first, stop, width, sealed, held, out
):  # fmt: skip
    """Lines that are shares of windows which slide. What is possible rises and falls with every holiday: they are asked day by day, as long as
    anything counts."""
    least = max(minimum, 1)
    for i in range(len(floor)):
        low, n, d_ = floor[i], num[i], den[i]
        end, last = days.begin[i + 1], days.where[i + 1]
        a, q = days.begin[i], days.begin[i]  # the first exception of the window, and the first after it
        s, j = days.where[i], days.where[i]  # and of those that count
        if at_line(days.in_all[last] - days.in_all[j], least, n, d_, True, strict, minimum):
            c = carried = 0
            before, d = False, since
            while d < stop:
                while j < last and days.on[j] <= d:
                    c += days.more[j]
                    j += 1
                begin = max(start[d], low)
                while s < j and days.on[s] < begin:
                    c -= days.more[s]
                    s += 1
                if c == 0:
                    before = False
                    d = days.on[j] if j < last else stop
                    continue
                a, q = _from(days.column, a, end, begin), _from(days.column, q, end, d + 1)
                p = days.whole[d + 1] - days.whole[begin] - (days.less[q] - days.less[a])
                reached = at_line(c, p, n, d_, True, strict, minimum)
                if reached and not before:
                    carried = d
                if reached and ((d > first and not before) or (d == first and not held[i])):
                    _fires(out, i, carried, sealed[carried // width])
                before = reached
                d += 1
        out[0, i], out[1, i] = _now(days, i, max(start_now, low), stop)


@njit(cache=True, nogil=True)
def _runs(  # type: ignore[no-untyped-def]
    days, any_other_day, start, floor, num, den, share, strict, minimum, since, first, stop, width, sealed, held, out
):  # fmt: skip
    """Lines of runs, which every day attended in full ends."""
    for i in range(len(floor)):
        low, n, d_ = floor[i], num[i], den[i]
        c = p = carried = 0
        before, last, ended = False, -1, False
        for k in range(days.begin[i], days.begin[i + 1]):
            d = days.column[k]
            if d >= stop:
                break
            ends = days.stops[k] & ENDS_BEFORE != 0
            if any_other_day and days.possible[k] > 0 and days.counted[k] == 0:
                ends = True
            if d > 0 and start[d] != start[d - 1]:
                ends = True
            attended = d > last + 1  # the day before, in full
            opens = ends or ended or attended
            if opens:
                c, before = 0, False
                p = days.usual[d - 1] if attended and not ends and d > low else 0
            last, ended = d, days.stops[k] & ENDS_AFTER != 0
            if d >= low:
                c += days.counted[k]
                p += days.possible[k]
            if d < since:
                continue
            reached = at_line(c, p, n, d_, share, strict, minimum)
            if reached and not before:
                carried = d
            if reached and ((d > first and not before) or (d == first and (not held[i] or opens))):
                _fires(out, i, carried, sealed[carried // width])
            before = reached
        if ended:
            c = p = 0
        if last < stop - 1:
            c, p = 0, days.usual[stop - 1] if stop - 1 >= low else 0
        out[0, i], out[1, i] = c, p


def _question(
    rule: Rule,
    version: InForce,
    line: Timeline,
    grades: _Grades,
    after: NDArray[np.int64] | None,
    held: NDArray[np.bool_] | None,
) -> Question:
    """Raises NotEvaluable where the rule cannot be asked of these registers."""
    window, t = rule.window, rule.threshold
    assert rule.count is not None
    count = version.pack.counts[rule.count]
    unit, width = unit_of(count), line.squares if by_square(rule, count) else 1
    start, now = line.starts(window)
    if width > 1:
        start, now = np.repeat(start, width) * width, now * width
    floor = line.entered() * width if window.kind == "since_enrolment" else np.zeros(line.n, dtype=np.int64)
    if after is not None:
        floor = np.maximum(floor, after * width)
    num, den = _lines(t, window, unit, grades, line.n)
    begun = line.frame.column(version.first)
    first = max(line.first, begun)
    since = begun if window.across_years else first
    stop = min(line.known, line.frame.after(version.last))
    return Question(
        rule, unit, width, start, now, floor, num, den, t.share is not None and t.of != "window", math.ceil(t.minimum / unit),
        (since * width, first * width, stop * width), np.zeros(line.n, dtype=np.bool_) if held is None else held,
    )  # fmt: skip


class _Grades:
    """n students' grades, told apart once for all rules whose number depends on them."""

    def __init__(self, grades: Sequence[str]) -> None:
        self.all = grades

    @cached_property
    def which(self) -> tuple[list[str], NDArray[np.int64]]:
        """Each grade there is, and which of them each student's is."""
        names = {grade: k for k, grade in enumerate(dict.fromkeys(self.all))}
        return list(names), np.array([names[grade] for grade in self.all], dtype=np.int64)


def _lines(
    t: Threshold, window: Window, unit: Fraction, grades: _Grades, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numerators and denominators of n students' lines: shares, or in so many units. No pack's line is at nothing."""
    if t.share is None and t.count is None and not t.by_grade and len(grades.all):
        raise NotEvaluable(said("The law leaves this number to the district, and the district has not set it."))
    if not t.by_grade:
        value = _line(t, window, unit, "")
        return np.full(n, value.numerator), np.full(n, value.denominator)
    names, which = grades.which
    values = [_line(t, window, unit, grade).as_integer_ratio() for grade in names]
    lines = np.array(values, dtype=np.int64).reshape(-1, 2)
    return lines[which, 0], lines[which, 1]


@lru_cache(maxsize=1024)  # the same for every student
def _line(t: Threshold, window: Window, unit: Fraction, grade: str) -> Fraction:
    if t.share is not None:
        share = Fraction(t.share)
        return share if t.of != "window" else share * (window.length or 1) / unit
    value = t.count_for(grade)
    if value is None:
        raise NotEvaluable(
            said("The rule names no number for grade %(grade)s.", grade=grade)
            if grade
            else said("The rule’s number depends on the grade, and the student’s is not known.")
        )
    return value / unit


def by_square(rule: Rule, count: Count) -> bool:
    """Whether a rule is asked by the square: a run of sessions, or of minutes, begins and ends within a day."""
    return rule.window.kind == "consecutive" and count.strategy in ("sessions", "accumulate_minutes")


#: a count, and the columns of days that count as it says
_Spell = tuple[Count, int, int]


def _of_then(rule: Rule, version: InForce, others: Sequence[InForce], line: Timeline) -> tuple[_Spell, ...]:
    """Days of another version count as that version says, where it counts the same thing."""
    assert rule.count is not None
    count = version.pack.counts[rule.count]
    found = []
    for other in others:
        theirs = other.pack.counts.get(rule.count)
        if other is version or theirs is None or theirs == count or unit_of(theirs) != unit_of(count):
            continue
        if by_square(rule, count) and not by_square(rule, theirs):
            continue
        found.append((theirs, line.frame.column(other.first), line.frame.after(other.last)))
    return tuple(found)


def same_before(rule: Rule, version: InForce, law: Sequence[InForce]) -> tuple[Rule, InForce] | None:
    """The rule as the version had it that ended the day before this one began, where it asks for the same step.

    A line reached under it, and ever since, is reached once. Where another step follows, what was asked then is no answer to it.
    """
    for other in law:
        if other.last + timedelta(days=1) == version.first and (was := other.pack.rule_named(rule.id)) is not None:
            step, then = (r.duty.kind if r.duty else None for r in (rule, was))
            if step == then and (rule.count is None) == (was.count is None):
                return was, other
    return None


def asked_of(
    rule: Rule, version: InForce, others: Sequence[InForce], line: Timeline, grades: Sequence[str],
    after: NDArray[np.int64] | None = None, held: NDArray[np.bool_] | None = None,
) -> Asked:  # fmt: skip
    """Raises NotEvaluable where the rule cannot be asked of these registers."""
    assert rule.count is not None
    count = version.pack.counts[rule.count]
    squarely = by_square(rule, count)
    found = line.derived(count, squarely)
    asked = _question(rule, version, line, _Grades(grades), after, held)
    for theirs, a, b in _of_then(rule, version, others, line):
        of_then, days = line.derived(theirs, squarely), slice(a * asked.width, b * asked.width)
        found = Derived(found.counted.copy(), found.possible.copy(), found.stops.copy(), found.unknown.copy())
        found.counted[:, days], found.possible[:, days] = of_then.counted[:, days], of_then.possible[:, days]
        found.stops[:, days], found.unknown[:, days] = of_then.stops[:, days], of_then.unknown[:, days]
    stops = found.stops
    if rule.window.broken_by == "any_other_day":
        stops = stops | ((found.possible > 0) & (found.counted == 0)) * np.uint8(ENDS_BEFORE)
    ready = {name: getattr(asked, name) for name in Question.__slots__}
    return Asked(**ready, counted=found.counted, possible=found.possible, stops=stops, unknown=found.unknown)


def _few_of(line: Timeline, count: Count, by_square: bool, of_then: Sequence[_Spell]) -> _Days:
    """What counts where, of days not attended in full."""
    found = line.few(count, by_square)
    width = line.squares if by_square else 1
    for theirs, a, b in of_then:
        few = line.few(theirs, by_square)
        then = (few.column >= a * width) & (few.column < b * width)
        usual = found.usual.copy()
        usual[a * width : b * width] = few.usual[a * width : b * width]
        found = Few(
            few.begin, few.column, np.where(then, few.counted, found.counted), np.where(then, few.possible, found.possible),
            np.where(then, few.stops, found.stops), usual,
        )  # fmt: skip
    return _days(found)


@dataclass(frozen=True, slots=True)
class Reached:
    """One rule and n students: (n,) each. `first`, `last`: the days the line was first and last reached this year, NaT where not.

    count, possible   in units of `unit`, int64
    at     whether the line is reached now
    times, seal   how often it was reached, and the sum of `seals` of those days: together they tell whether anything changed since
          they were last written down
    held  (n,) whose line had been reached under the version before, and still was on its last day; before: what was said of that version
    why   where the rule cannot be asked of these registers, and then all else is empty
    """

    rule: Rule
    version: InForce
    unit: Fraction = Fraction(1)
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    possible: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    at: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    first: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    last: NDArray[np.datetime64] = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    seal: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    held: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    before: Reached | None = None
    why: str = ""


def seals(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(n,) days -> (n,) numbers whose sum, which may run over, stands for the set of them: the sum of the days themselves is the same for the
    19th and the 21st as for the 18th and the 22nd. Steele, Lea and Flood (2014), Fast Splittable Pseudorandom Number Generators: its mixing."""
    z = days.astype("datetime64[D]").astype(np.int64).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (z ^ z >> np.uint64(31)).view(np.int64)


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
    few: dict[tuple[Count, bool, tuple[_Spell, ...]], _Days] = {}
    told: dict[Any, _Answer] = {}  # several duties stand on one line
    told_of: dict[tuple[date, str], tuple[Any, Reached]] = {}
    told_apart = _Grades(grades)
    dates, sealed = np.append(line.frame.dates, np.datetime64("NaT")), seals(line.frame.dates)
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
            count, spells = version.pack.counts[rule.count], _of_then(rule, version, law, line)
            key = count, by_square(rule, count), spells
            was = same_before(rule, version, law)
            had, before = (None, None)
            if was is not None and _whom(*was) == _whom(rule, version):
                had, before = told_of.get((was[1].first, rule.id), (None, None))
            same = version.first, rule.count, rule.window, rule.threshold, had, "" if columns is None else rule.id
            if same not in told:
                try:
                    if key not in few:
                        few[key] = _few_of(line, *key)
                    held = None if had is None else _still(told[had])
                    question = _question(rule, version, line, told_apart, columns, held)
                    out = _asked_together(question, few[key], sealed)
                except NotEvaluable as why:
                    found.append(Reached(rule, version, why=str(why)))
                    continue
                told[same] = _Answer(question, few[key], out, *(dates[at // question.width] for at in out[2:4]))
            question, _few, out, first, last = told[same]
            c, p, *_columns, times, seal = out
            reached = Reached(
                rule, version, question.unit, c, p, question.at(c, p), first, last, times, seal, question.held, before
            )
            found.append(reached)
            told_of[version.first, rule.id] = same, reached
            opens = np.maximum(question.start[np.maximum(out[2], 0)], question.floor) // question.width
            begun[rule.id] = _begun(rule, first, line.frame.dates[np.minimum(opens, len(line.frame.dates) - 1)], begun)
    return found


class _Answer(NamedTuple):
    """What was asked of many, of which days, and what they were told: the six figures, and the first and last of the days."""

    question: Question
    days: _Days
    out: NDArray[np.int64]
    first: NDArray[np.datetime64]
    last: NDArray[np.datetime64]


def _whom(rule: Rule, version: InForce) -> tuple[Any, ...]:
    """Whom a rule is about. Of many it is not known: where that changes, all are asked anew, and looked at one by one."""
    return rule.applies, version.pack.ages


def _still(answer: _Answer) -> NDArray[np.bool_]:
    """Whose line is reached on the last day of those in which it can be."""
    q = answer.question
    _since, first, stop = q.eligible
    if first >= stop:  # in force over a holiday
        return q.held
    found, share = np.zeros(len(q.floor), dtype=np.bool_), (q.share, q.strict, q.minimum)
    _reached_on(answer.days, q.runs, q.start[stop - 1], q.floor, q.num, q.den, *share, stop, answer.out, found)
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


def _asked_together(q: Question, days: _Days, sealed: NDArray[np.int64]) -> NDArray[np.int64]:
    """The six figures of each student."""
    out = _nobody(len(q.floor))
    now, line, rest = (q.start_now, q.floor), (q.num, q.den), (*q.eligible, q.width, sealed, q.held, out)
    if q.runs:
        any_other_day = q.rule.window.broken_by == "any_other_day"
        _runs(days, any_other_day, q.start, q.floor, *line, q.share, q.strict, q.minimum, *rest)
    elif not q.share:
        _counts(days, q.start, *now, *line, q.strict, q.anew, *rest)
    elif q.anew:
        turns = np.flatnonzero(np.diff(q.start, prepend=-1, append=-1))
        _shares(days, q.start, turns, *now, *line, q.strict, q.minimum, *rest)
    else:
        _sliding_shares(days, q.start, *now, *line, q.strict, q.minimum, *rest)
    return out


@dataclass(frozen=True, slots=True)
class Counted:
    """One student under one rule, in whole numbers.

    count, possible, begin   what counts now, and from which column on
    stood   whether it was held, and is reached on the first day of those in which it can be; still: whether it is on the last
    fired   each time the line was reached: (its column, the first that counted with it, the count, what was possible)
    start   the column each column's window, or run, begins with
    """

    count: int
    possible: int
    begin: int
    stood: bool
    still: bool
    fired: list[tuple[int, int, int, int]]
    start: NDArray[np.int64]


def counted(asked: Asked, row: int) -> Counted:
    """One student, day by day."""
    start, now = asked.start, asked.start_now
    since, first, stop = asked.eligible
    if asked.runs:
        start = _run_starts(asked.stops[row], start)
        now = 0 if not stop else stop if asked.stops[row, stop - 1] & ENDS_AFTER else start[stop - 1]
    fired = np.empty((stop, 4), dtype=np.int64)
    c, p, begin, stood, still, n = _slide(
        asked.counted[row], asked.possible[row], start, now, asked.floor[row], asked.num[row], asked.den[row], asked.share, asked.strict,
        asked.minimum, since, first, stop, asked.anew, asked.held[row], fired,
    )  # fmt: skip
    if first >= stop:  # in force over a holiday, or since this morning
        stood = still = bool(asked.held[row])
    elif asked.runs and asked.stops[row, stop - 1] & ENDS_AFTER:
        still = False
    return Counted(c, p, begin, stood, still, [(d, s, held, could) for d, s, held, could in fired[:n].tolist()], start)
