"""From the squares of a register to counted days, by each of the ways statutes know (law.md § 1.4).

A student can be present for one rule and truant for another on the same day, so every count asks anew; but of all of them a day attended in
full says the same, and there are few others (`Exceptions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from firstbell.law.packs import MARKS, Count
from firstbell.register.marks import ABSENT_LETTERS, NOT_EXPECTED, PRESENT_LETTERS, UNKNOWN
from firstbell.said import said

__all__ = ["Derived", "Exceptions", "NotEvaluable", "Stretch", "Told", "derive", "exceptions", "told", "unit_of"]


class NotEvaluable(Exception):  # an answer, not a fault
    """A rule cannot be asked of what is known; the sentence says what is missing."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """n students' register at one school in one school year, as known on some day.

    school   whose it is; year counts school years, so that the days of one year belong together
    dates    (days,) datetime64[D], ascending: every school day of the year, also those to come
    codes    (n, days * sessions) uint8, letters of `register.marks.LETTERS`; '#' on days not enrolled there
    missed   (n, days * sessions) uint16 minutes missed of a square, 0 where not said; or None
    minutes  scheduled minutes of each session; empty where the calendar doesn't say
    terms    (first, last) of each term, in order
    """

    school: str
    year: int
    dates: NDArray[np.datetime64]
    sessions: int
    codes: NDArray[np.uint8]
    missed: NDArray[np.uint16] | None = None
    minutes: tuple[int, ...] = ()
    terms: tuple[tuple[date, date], ...] = ()

    def __post_init__(self) -> None:
        if self.codes.shape[1] != len(self.dates) * self.sessions:
            raise ValueError(
                f"{len(self.dates)} days of {self.sessions} sessions are {len(self.dates) * self.sessions} squares; got {self.codes.shape[1]}"
            )


@dataclass(frozen=True, slots=True)
class Derived:
    """Counted days. A column a day (or, by the square, a column a session).

    counted, possible   (n, columns) int16, in units of `unit_of`. A day that what nobody knows would decide is neither
    stops    (n, columns) uint8: attended, so that a run of absence ends here: ENDS_BEFORE what is counted, ENDS_AFTER, or both
    unknown  (n, columns) bool: expected, and nobody knows
    """

    counted: NDArray[np.int16]
    possible: NDArray[np.int16]
    stops: NDArray[np.uint8]
    unknown: NDArray[np.bool_]


@dataclass(frozen=True)
class Exceptions:
    """The known days of n students that were not attended in full: few, and the same whatever is counted.

    begin   (n + 1,) int64: those of student i are begin[i] up to begin[i + 1]
    day     int32 of the stretch, ascending for each student
    codes   (exceptions, sessions) their letters; missed: their minutes, or None
    """

    begin: NDArray[np.int64]
    day: NDArray[np.int32]
    codes: NDArray[np.uint8]
    missed: NDArray[np.uint16] | None

    @cached_property
    def row(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.begin) - 1), np.diff(self.begin))


@dataclass(frozen=True, slots=True)
class Told:
    """What a count makes of the exceptions of a stretch, and of every other known day: nothing counts there, and a run ends before it.

    each     (exceptions, columns a day) of all four
    usual    (columns a day,) int16, possible on a day attended in full
    """

    each: Derived
    usual: NDArray[np.int16]


#: who was late missed what came before, who left early what came after, who was there for a part of it nobody knows
ENDS_BEFORE, ENDS_AFTER = 1, 2
_LATE, _EARLY, _SOME = (tuple(map(ord, pair)) for pair in ("Tt", "Ll", "Hh"))
_PRESENT = ord("P")
_POSSIBLE, _AWAY, _COUNTS, _PART, _UNKNOWN, _PENDING = 1, 2, 4, 8, 16, 32
_STRATEGIES = (
    "any_period", "majority_of_periods", "min_fraction_present", "full_day_only", "snapshot", "sessions",
    "accumulate_minutes", "n_periods_unexcused",
)  # fmt: skip


def unit_of(count: Count) -> Fraction:
    """What one in `Derived.counted` is in the count's own unit: an hour is sixty minutes, half a day one of two sessions."""
    if count.strategy == "accumulate_minutes":
        return Fraction(1, 60)
    if count.strategy == "sessions" and count.unit == "days":
        return Fraction(1, count.per_day or 1)
    return Fraction(1)


def _table(count: Count) -> NDArray[np.uint8]:
    """Letter -> what it is to this count."""
    table = np.zeros(256, dtype=np.uint8)
    for letter in PRESENT_LETTERS:
        table[ord(letter)] = _POSSIBLE
    for letter in ABSENT_LETTERS:
        table[ord(letter)] = _POSSIBLE | _AWAY
    table[ord(UNKNOWN)], table[ord(NOT_EXPECTED)] = _UNKNOWN, 0
    for mark in count.marks:
        if MARKS[mark] in "TLHtlh":
            table[ord(MARKS[mark])] |= _PART
        else:  # also a student taught remotely, where the law calls that absent
            table[ord(MARKS[mark])] |= _AWAY | _COUNTS
    if count.pending == "never":
        table[ord("N")] &= ~np.uint8(_COUNTS)
    else:
        table[ord("N")] |= _COUNTS | (_PENDING if count.pending == "after_grace" else 0)
    return table


def _weights(count: Count, n: int, minutes: tuple[int, ...]) -> NDArray[np.int32]:
    """What each of n squares of a day weighs: minutes, sessions as the law sees them, or one."""
    if count.strategy == "accumulate_minutes":
        if not minutes:
            raise NotEvaluable(said("The calendar doesn’t say how many minutes a school day has."))
        return np.array(minutes, dtype=np.int32)
    if count.strategy == "sessions":
        if n == count.per_day:
            return np.ones(n, dtype=np.int32)
        if n == 1 and count.per_day is not None:
            return np.array([count.per_day], dtype=np.int32)
        if n == 1:  # lesson hours of a day that has one mark
            if not minutes:
                raise NotEvaluable(said("The calendar doesn’t say how many lesson hours a school day has."))
            return np.array([minutes[0] // 60], dtype=np.int32)
        if count.per_day is None:
            return np.ones(n, dtype=np.int32)
        if n % count.per_day:
            raise NotEvaluable(
                said("A day of %(n)s sessions can’t be read as %(per_day)s.", n=n, per_day=count.per_day)
            )
        weights = np.zeros(n, dtype=np.int32)  # the register is called at the beginning of each half
        weights[:: n // count.per_day] = 1
        return weights
    if count.strategy == "min_fraction_present" and minutes:
        return np.array(minutes, dtype=np.int32)
    return np.ones(n, dtype=np.int32)


def exceptions(stretch: Stretch, known: int) -> Exceptions:
    """known: so many of its days have come."""
    begin = np.zeros(len(stretch.codes) + 1, dtype=np.int64)
    _count_exceptions(stretch.codes, stretch.sessions, known, begin)
    np.cumsum(begin, out=begin)
    day, codes = np.empty(begin[-1], dtype=np.int32), np.empty((begin[-1], stretch.sessions), dtype=np.uint8)
    _find_exceptions(stretch.codes, stretch.sessions, begin, day, codes)
    found = Exceptions(begin, day, codes, None)
    if stretch.missed is None:
        return found
    missed = stretch.missed.reshape(len(stretch.codes), -1, stretch.sessions)[found.row, day]
    return Exceptions(begin, day, codes, missed)


class _Reading:
    """A count made ready for days of so many sessions.

    usual     (columns a day,) int16, possible on a day attended in full
    letters   of days of one square: what each letter is, once settled and before
    """

    def __init__(self, count: Count, sessions: int, minutes: tuple[int, ...], by_square: bool) -> None:
        if by_square and count.strategy not in ("sessions", "accumulate_minutes"):
            raise ValueError("only sessions and minutes are counted by the square")
        share = Fraction(count.missed)
        self.weights, self.table, self.by_square = _weights(count, sessions, minutes), _table(count), by_square
        self.minutes = np.array(minutes or (0,) * sessions, dtype=np.int32)
        self.how = (
            _STRATEGIES.index(count.strategy), by_square, -1 if count.minutes_over is None else count.minutes_over,
            share.numerator, share.denominator, count.periods, min(count.session, sessions) - 1,
        )  # fmt: skip
        self.usual = self.of(np.full((1, sessions), _PRESENT, dtype=np.uint8), None, True).possible[0]
        if sessions == 1:
            self.letters = self.of(_LETTERS, None, True), self.of(_LETTERS, None, False)

    def of(self, codes: NDArray[np.uint8], missed: NDArray[np.uint16] | None, settled: bool) -> Derived:
        """Of days by themselves: (days, sessions) each. settled: what is unexplained on them has waited out its grace."""
        sessions = codes.shape[1]
        made = _nothing(len(codes), sessions if self.by_square else 1)
        _derive(
            codes, _NO_MINUTES if missed is None else missed, missed is not None, self.table, sessions, settled, self.weights,
            self.minutes, *self.how, *_parts(made),
        )  # fmt: skip
        return made


_reading = lru_cache(maxsize=256)(_Reading)  # the same for every student of a school


def told(count: Count, stretch: Stretch, some: Exceptions, known: int, *, by_square: bool = False) -> Told:
    """What a count makes of these exceptions.

    known      so many of its days have come; those after are neither counted nor possible
    by_square  a column a session, for runs that begin and end within a day

    Raises NotEvaluable where the stretch does not say what the strategy needs.
    """
    reading = _reading(count, stretch.sessions, stretch.minutes, by_square)
    codes, lost = some.codes, some.missed
    settled = min(max(known - count.grace, 0), known) if count.pending == "after_grace" else known
    if stretch.sessions > 1:
        made = reading.of(codes, lost, True)
        if settled < known:
            waits = some.day >= settled
            _put(made, waits, reading.of(codes[waits], None if lost is None else lost[waits], False))
        return Told(made, reading.usual)
    # of days of one square there are no more than there are letters, but for those of which minutes were written down
    made, (old, new) = _nothing(len(codes), 1), reading.letters
    _by_letter(codes, some.day, settled, *_parts(old), *_parts(new), *_parts(made))
    if lost is not None:
        for is_settled in (True, False):
            timed = (lost[:, 0] > 0) & ((some.day < settled) == is_settled)
            _put(made, timed, reading.of(codes[timed], lost[timed], is_settled))
    return Told(made, reading.usual)


def derive(
    count: Count, stretch: Stretch, known: int, *, by_square: bool = False, some: Exceptions | None = None
) -> Derived:
    """Counted days of a whole stretch, of every known day (see `told`); `some`: its exceptions, where they were found already."""
    n, width = len(stretch.codes), stretch.sessions if by_square else 1
    some = some or exceptions(stretch, known)
    found = told(count, stretch, some, known, by_square=by_square)
    made = _nothing(n, len(stretch.dates) * width)
    made.possible.reshape(n, -1, width)[:, :known] = found.usual
    made.stops.reshape(n, -1, width)[:, :known] = ENDS_BEFORE
    at = some.row, some.day
    for whole, part in zip(_parts(made), _parts(found.each), strict=True):
        whole.reshape(n, -1, width)[at] = part
    return made


_LETTERS = np.arange(256, dtype=np.uint8)[:, None]
_NO_MINUTES = np.zeros((1, 1), dtype=np.uint16)


def _nothing(n: int, columns: int) -> Derived:
    return Derived(
        np.zeros((n, columns), dtype=np.int16), np.zeros((n, columns), dtype=np.int16),
        np.zeros((n, columns), dtype=np.uint8), np.zeros((n, columns), dtype=np.bool_),
    )  # fmt: skip


def _parts(made: Derived) -> tuple[NDArray[Any], ...]:
    return made.counted, made.possible, made.stops, made.unknown


def _put(made: Derived, where: NDArray[np.bool_], some: Derived) -> None:
    for whole, part in zip(_parts(made), _parts(some), strict=True):
        whole[where] = part


@njit(cache=True, nogil=True)
def _count_exceptions(codes, sessions, known, found):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        some = 0
        if sessions == 1:
            for d in range(known):
                some += codes[i, d] != _PRESENT
        else:
            for d in range(known):
                other = False
                for q in range(d * sessions, (d + 1) * sessions):
                    other |= codes[i, q] != _PRESENT
                some += other
        found[i + 1] = some


@njit(cache=True, nogil=True)
def _find_exceptions(codes, sessions, begin, day, found):  # type: ignore[no-untyped-def]
    for i in range(codes.shape[0]):
        k, end = begin[i], begin[i + 1]
        d = 0
        while k < end:  # which day will be one nobody can guess: each is written down, and its place kept where it is
            other = False
            for s in range(sessions):
                letter = codes[i, d * sessions + s]
                found[k, s] = letter
                other |= letter != _PRESENT
            day[k] = d
            k += other
            d += 1


@njit(cache=True, nogil=True)
def _by_letter(  # type: ignore[no-untyped-def]
    codes, day, settled, counts, could, ends, nobody, counts_new, could_new, ends_new, nobody_new, counted, possible, stops, unknown
):  # fmt: skip
    for k in range(len(day)):
        letter = codes[k, 0]
        if day[k] < settled:
            counted[k, 0], possible[k, 0] = counts[letter, 0], could[letter, 0]
            stops[k, 0], unknown[k, 0] = ends[letter, 0], nobody[letter, 0]
        else:
            counted[k, 0], possible[k, 0] = counts_new[letter, 0], could_new[letter, 0]
            stops[k, 0], unknown[k, 0] = ends_new[letter, 0], nobody_new[letter, 0]


@njit(cache=True, nogil=True)
def _derive(  # type: ignore[no-untyped-def]
    codes, missed, has_missed, table, sessions, settled, weights, minutes, strategy, by_square, over, num, den, periods, snapshot,
    counted, possible, stops, unknown,
):  # fmt: skip
    """A row a day: it counts as its squares say. Unless settled, its pending squares have not waited out their grace."""
    for i in range(codes.shape[0]):
        could = could_weight = away = counts = part = attended = not_known = weight = 0
        for s in range(sessions):
            is_ = table[codes[i, s]]
            if is_ & _UNKNOWN:
                not_known += 1
                if by_square:
                    unknown[i, s] = True
            if not is_ & _POSSIBLE:
                continue
            if is_ & _PENDING and not settled:
                is_ &= ~_COUNTS
            m = missed[i, s] if has_missed else 0
            w = weights[s]
            could += 1
            could_weight += w
            square = 0
            if is_ & _AWAY:
                away += 1
                if is_ & _COUNTS and (over < 0 or minutes[s] == 0 or minutes[s] > over):
                    counts += 1
                    square = w
            else:
                attended += 1
            if is_ & _PART and (over < 0 or m > over):
                part += 1
                if strategy == 6 or (strategy == 2 and minutes[s] > 0):
                    square = min(m, w)
                elif strategy == 5 and over >= 0:  # so late that it is one session missed
                    square = min(w, 1)
            weight += square
            if by_square:
                counted[i, s], possible[i, s] = square, w
                if not is_ & _AWAY:
                    letter = codes[i, s]
                    stops[i, s] = (
                        ENDS_AFTER if letter in _LATE else ENDS_BEFORE | ENDS_AFTER if letter in _SOME else ENDS_BEFORE
                    )
            elif strategy == 4 and s == snapshot:
                counted[i, 0] = 1 if is_ & _COUNTS else 0
                possible[i, 0] = 1
        if by_square:
            continue
        unknown[i, 0] = not_known > 0 if strategy != 4 else table[codes[i, snapshot]] & _UNKNOWN > 0
        stops[i, 0] = ENDS_BEFORE if attended > 0 else 0
        if strategy == 5 or strategy == 6:
            counted[i, 0], possible[i, 0] = weight, could_weight
            continue
        if could == 0 or strategy == 4:
            continue
        if strategy == 0:
            hit = counts + part > 0
            might = not_known > 0
        elif strategy == 1:
            hit = counts * 2 > could + not_known
            might = (counts + not_known) * 2 > could + not_known
        elif strategy == 2:  # of what is known, as the signals have it
            hit = weight * den >= could_weight * num and weight > 0
            might = False
        elif strategy == 3:
            might = attended == 0 and (counts + not_known) * 2 > away + not_known
            hit = might and not_known == 0
        else:
            hit = counts >= periods
            might = counts + not_known >= periods
        counted[i, 0] = 1 if hit else 0
        possible[i, 0] = 1 if hit or not might else 0
