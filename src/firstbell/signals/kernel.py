"""The signal kernel: one pass over a register grid, exact counts for every student, chances only where chance is meant.

What a day is. A day is *possible* when at least one of its squares is expected and known; *absent* when at least half of those
squares are absent (EDFacts FS195 / CEDS 002022: "at least half the school day"); *unauthorised* or *pending* when absent and
more than half of its absent squares are U, or N; *suspended* when more than half are S. It is *late* when not absent and a square is T; *part* when
not absent and some of it was missed (T, L, H, or an absent square). Unknown squares (' ') are neither present nor absent, and
squares not expected ('#') never count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.register.grid import Grid
from firstbell.register.marks import ABSENT_LETTERS, PRESENT_LETTERS

__all__ = [
    "DAY",
    "Count",
    "GroupContext",
    "Marked",
    "Signals",
    "Window",
    "break_scores",
    "compute",
    "context",
    "day_matrix",
    "group_days",
    "marked",
    "student_signals",
]


class Window(IntEnum):
    """The last so many school days of the calendar, or the year to date."""

    LAST_5 = 0
    LAST_10 = 1
    LAST_20 = 2
    LAST_40 = 3
    YEAR = 4


class Count(IntEnum):
    """Days of a kind within a window."""

    POSSIBLE = 0
    ABSENT = 1
    UNAUTHORISED = 2
    PENDING = 3
    LATE = 4
    PART = 5


WINDOW_DAYS = (5, 10, 20, 40)
#: A student's baseline leaves out the days a break is looked for in.
BREAK_DAYS = 20
#: Prior worth so many days of the group's rate in a student's baseline: beta-binomial partial pooling (Gelman & Hill 2007,
#: ch. 12). 20 days halve the weight of the group after a month of school.
PRIOR_DAYS = 20.0
#: A day of last year tells half of what a day of this year tells (year-to-year correlation of students' rates about .75).
LAST_YEAR_WEIGHT = 0.5
#: Under so many expected students a group's day says nothing of a common cause.
SHOCK_MIN_STUDENTS = 15
#: The break's alternative: three times the usual, and at least so much more of the days.
BREAK_TIMES = 3.0
BREAK_PLUS = 0.25
#: Before anything is seen, who is away more often is likelier to break off: the odds go as the square of the usual, as measured by the
#: backtest (decision 0006). Even at `NO_HISTORY_RATE`.
BREAK_ODDS = 2.0
WEEKDAY_MIN_ABSENCES = 4
#: When neither group nor school has a day to go by.
NO_HISTORY_RATE = 0.06

# A day's facts, as bits. In `_LUT` a letter's bits are those of a day of one session.
_POSSIBLE, _ABSENT, _UNAUTH, _PENDING, _LATE, _PART, _SEEN, _SUSPENDED = 1, 2, 4, 8, 16, 32, 64, 128
_SKIPPED, _FIRST_ONLY, _LAST_ONLY, _UNKNOWN = 256, 512, 1024, 2048


class DAY(IntFlag):
    """What is known of a day, as `day_bits` and `day_matrix` give it; the module says what each means."""

    POSSIBLE = _POSSIBLE
    ABSENT = _ABSENT
    UNAUTHORISED = _UNAUTH
    PENDING = _PENDING
    LATE = _LATE
    PART = _PART
    SEEN = _SEEN
    SUSPENDED = _SUSPENDED
    UNKNOWN = _UNKNOWN


def _letter_table() -> NDArray[np.uint16]:
    table = np.zeros(256, dtype=np.uint16)
    for letter in PRESENT_LETTERS:
        table[ord(letter)] = _POSSIBLE | _SEEN
    for letter in "TtLlHh":
        table[ord(letter)] |= _PART
    for letter in "Tt":
        table[ord(letter)] |= _LATE
    for letter in ABSENT_LETTERS:
        table[ord(letter)] = _POSSIBLE | _ABSENT
    table[ord("U")] |= _UNAUTH
    table[ord("N")] |= _PENDING
    table[ord("S")] |= _SUSPENDED
    table[ord(" ")] = _UNKNOWN
    return table


_LUT = _letter_table()


# All of a window's counts in one 64-bit sum: nine bits a field hold up to 511 days.
_FIELD = 9


def _packed_table() -> NDArray[np.uint64]:
    """A day's bits -> one in each of its counts' fields: possible, absent, unauthorised, pending, late, part, unknown."""
    table = np.zeros(4096, dtype=np.uint64)
    for bits in range(4096):
        absent = bool(bits & _ABSENT)
        facts = (
            bits & _POSSIBLE, absent, bits & _UNAUTH, bits & _PENDING and not bits & _UNAUTH,
            bits & _LATE and not absent, bits & _PART and not absent, bits & _UNKNOWN,
        )  # fmt: skip
        table[bits] = sum(bool(fact) << (_FIELD * i) for i, fact in enumerate(facts))
    return table


_PACKED = _packed_table()
_LOG_FACTORIAL = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 400)))])


@dataclass(frozen=True, slots=True)
class GroupContext:
    """What a student is seen against: the group's usual rate and each day's shock; and each school's days. Small; one a calendar.

    rate   (groups,) float64, absent days per possible day before the last 20, or the school's where the group has none
    shock  (groups, through) float64 in 0–0.95, the share of the group away for a cause it shared that day; 0 on an ordinary day
    level  (groups,) float64, the median share of the group absent on a day
    away, expected  (schools, through) int32, students away, their school's own suspensions left out, and students expected, by day
    """

    rate: NDArray[np.float64]
    shock: NDArray[np.float64]
    level: NDArray[np.float64]
    away: NDArray[np.int32]
    expected: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Marked:
    """The first `through` days of a grid that were not plainly a day present: all that is told of a student but for how many the others were.

    first      (n + 1,) int64, where each row's days begin among all of them
    day, bits  uint16, ascending within a row: the day, and what is known of it (`DAY`)
    squares    (n, 2) int32, possible and missed squares
    """

    grid: Grid
    through: int
    first: NDArray[np.int64]
    day: NDArray[np.uint16]
    bits: NDArray[np.uint16]
    squares: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Signals:
    """Per student, as of the grid's first `through` days. Counts int32; day indexes are -1 where there is no such day.

    counts            (n, 5, 6) days by Window and Count
    possible_squares, missed_squares  sessions of the year
    streak, streak_start      absent days in a row up to the last known day, and the first of them
    days_since_seen, last_seen possible days since any present square, and that day
    spells, longest_spell     spells of absence this year, and the longest in days
    baseline          float64, usual absent days per possible day: own past, partially pooled
    break_score       float64, CUSUM of log-likelihood ratios over the last 20 days (Page 1954), the day's shock taken out, and the
                      log-odds with which a student of this usual breaks off
    break_start       first day of the run the score speaks of
    break_absent, break_possible  days away, and possible days, since then
    weekday           the weekday (Monday 0) with most absences, if at least four and two in five of all; -1 for none
    weekday_absent, weekday_possible, weekday_recent  on that weekday: away, of, and away of its last 10
    weekday_chance    float64, chance of so many there given all the absences (hypergeometric tail, times five looks)
    late_before       late days in the 20 days before the last 20
    oldest_pending    first day still without a reason
    skipped           of the last 10 days: there, then away without leave later the same day
    first_only, last_only     of the last 20 days: only the first, only the last session missed
    last_known        the latest day with any known square
    unknown_recent    of the last 5 days: with an expected square not known
    """

    counts: NDArray[np.int32]
    possible_squares: NDArray[np.int32]
    missed_squares: NDArray[np.int32]
    streak: NDArray[np.int32]
    streak_start: NDArray[np.int32]
    days_since_seen: NDArray[np.int32]
    last_seen: NDArray[np.int32]
    spells: NDArray[np.int32]
    longest_spell: NDArray[np.int32]
    break_start: NDArray[np.int32]
    break_absent: NDArray[np.int32]
    break_possible: NDArray[np.int32]
    weekday: NDArray[np.int32]
    weekday_absent: NDArray[np.int32]
    weekday_possible: NDArray[np.int32]
    weekday_recent: NDArray[np.int32]
    late_before: NDArray[np.int32]
    oldest_pending: NDArray[np.int32]
    skipped: NDArray[np.int32]
    first_only: NDArray[np.int32]
    last_only: NDArray[np.int32]
    last_known: NDArray[np.int32]
    unknown_recent: NDArray[np.int32]
    baseline: NDArray[np.float64]
    break_score: NDArray[np.float64]
    weekday_chance: NDArray[np.float64]

    def days(self, count: Count, window: Window) -> NDArray[np.int32]:
        """Days of a kind in a window, a number a student."""
        return self.counts[:, window, count]


#: Columns of the kernel's integer output: the dataclass's fields after `counts`, in their order.
_COLUMNS = 22


@nb.njit(cache=True, nogil=True)
def _day_facts(row, sessions, through, lut, out):  # type: ignore[no-untyped-def]
    """One student's days as bits, and the year's possible and missed squares."""
    possible_squares = 0
    missed_squares = 0
    if sessions == 1:
        for d in range(through):
            bits = lut[row[d]]
            out[d] = bits
            possible_squares += bits & 1
            missed_squares += (bits >> 1) & 1
        return possible_squares, missed_squares
    for d in range(through):
        known = 0
        missed = 0
        unauthorised = 0
        pending = 0
        suspended = 0
        bits = np.uint16(0)
        seen_before = False
        skipped = False
        first_missed = False
        last_missed = False
        for s in range(sessions):
            square = lut[row[d * sessions + s]]
            if square & 2048:
                bits |= np.uint16(2048)
            if not square & 1:
                continue
            known += 1
            if square & 2:
                missed += 1
                unauthorised += (square >> 2) & 1
                pending += (square >> 3) & 1
                suspended += (square >> 7) & 1
                if seen_before and square & 12:
                    skipped = True
                first_missed = first_missed or known == 1
                last_missed = True
            else:
                seen_before = True
                last_missed = False
                bits |= square & np.uint16(16 | 32 | 64)
        if known:
            bits |= np.uint16(1)
            if 2 * missed >= known and missed > 0:
                bits = (bits & np.uint16(2048 | 64 | 1)) | np.uint16(2)
                if 2 * suspended > missed:
                    bits |= np.uint16(128)
                elif 2 * unauthorised > missed:
                    bits |= np.uint16(4)
                elif 2 * pending > missed:
                    bits |= np.uint16(8)
            elif missed > 0:
                bits |= np.uint16(32)
            if skipped:
                bits |= np.uint16(256)
            if missed == 1 and known > 1:
                if first_missed:
                    bits |= np.uint16(512)
                elif last_missed:
                    bits |= np.uint16(1024)
        out[d] = bits
        possible_squares += known
        missed_squares += missed
    return possible_squares, missed_squares


#: a day present, and nothing else
_PLAIN = _POSSIBLE | _SEEN
_EVERY = np.arange(4096, dtype=np.int32)


def marked(grid: Grid, through: int) -> Marked:
    """What was marked in a grid's first `through` days."""
    n = grid.codes.shape[0]
    if not 0 <= through <= grid.days:
        raise ValueError(f"through is {through}, but the grid has {grid.days} days")
    first, squares = np.zeros(n + 1, dtype=np.int64), np.zeros((n, 2), dtype=np.int32)
    day, bits = np.empty(n * through + 1, dtype=np.uint16), np.empty(n * through + 1, dtype=np.uint16)
    _marked(np.ascontiguousarray(grid.codes), grid.sessions, through, _LUT, first, day, bits, squares)
    return Marked(grid, through, first, day[: first[-1]], bits[: first[-1]], squares)


@nb.njit(cache=True, nogil=True)
def _marked(codes, sessions, through, lut, first, day, bits, squares):  # type: ignore[no-untyped-def]
    days = np.zeros(max(through, 1), dtype=np.uint16)
    at = 0
    for i in range(codes.shape[0]):
        if sessions == 1:
            row = codes[i]
            for d in range(through):
                here = lut[row[d]]
                day[at] = d
                bits[at] = here
                at += here != _PLAIN
            possible = through
            missed = 0
            for k in range(first[i], at):
                possible -= 1 - (bits[k] & 1)
                missed += (bits[k] >> 1) & 1
            squares[i, 0], squares[i, 1] = possible, missed
        else:
            squares[i, 0], squares[i, 1] = _day_facts(codes[i], sessions, through, lut, days)
            for d in range(through):
                day[at] = d
                bits[at] = days[d]
                at += days[d] != _PLAIN
        first[i + 1] = at


#: a day's bits -> whether it counts as away where shared causes are looked for (a school's own suspensions do not); whether nobody was expected
_AWAY, _NOBODY = (_EVERY >> 1) & 1 & ~(_EVERY >> 7), 1 - (_EVERY & 1)


@nb.njit(cache=True, nogil=True)
def group_days(first, day, mark, away, nobody, through, group, groups):  # type: ignore[no-untyped-def]
    """(groups, through) int32 twice: students away, and students expected, by group and day. first, day, mark: as `Marked` has them; away, nobody: by
    mark, 1 or 0."""
    absent = np.zeros((groups, through), dtype=np.int32)
    possible = np.zeros((groups, through), dtype=np.int32)
    size = np.zeros(groups, dtype=np.int32)
    for g in group:
        size[g] += 1
    for g in range(groups):
        possible[g] = size[g]
    for i in range(len(group)):
        g = group[i]
        for k in range(first[i], first[i + 1]):
            possible[g, day[k]] -= nobody[mark[k]]
            absent[g, day[k]] += away[mark[k]]
    return absent, possible


@nb.njit(cache=True, nogil=True)
def _weekday_tail(log_factorial, days, on_weekday, absences, here):  # type: ignore[no-untyped-def]
    """P(at least `here` of `absences` fall on a weekday that is `on_weekday` of `days`), hypergeometric."""
    whole = log_factorial[days] - log_factorial[absences] - log_factorial[days - absences]
    total = 0.0
    for k in range(here, min(on_weekday, absences) + 1):
        elsewhere = absences - k
        if elsewhere > days - on_weekday:
            continue
        total += np.exp(
            log_factorial[on_weekday] - log_factorial[k] - log_factorial[on_weekday - k]
            + log_factorial[days - on_weekday] - log_factorial[elsewhere]
            - log_factorial[days - on_weekday - elsewhere] - whole
        )  # fmt: skip
    return min(total, 1.0)


@nb.njit(cache=True, nogil=True)
def _break(days, through, usual, shock):  # type: ignore[no-untyped-def]
    """One student's (score, first day of its run, days away, possible days since then); no score where it is not above nought."""
    score = 0.0
    start = -1
    since_absent = since_possible = 0
    for d in range(max(0, through - BREAK_DAYS), through):
        bits = days[d]
        if not bits & 1 or bits & 128:
            continue
        # either the usual, or what took so many others too
        p0 = min(max(usual + (1.0 - usual) * shock[d], 0.005), 0.95)
        p1 = min(max(p0 * BREAK_TIMES, p0 + BREAK_PLUS), 0.98)
        if bits & 2:
            if score <= 0.0:
                score = 0.0
                start = d
                since_absent = since_possible = 0
            score += np.log(p1 / p0)
            since_absent += 1
            since_possible += 1
        elif score > 0.0:
            score += np.log((1.0 - p1) / (1.0 - p0))
            since_possible += 1
    if score > 0.0:
        score += BREAK_ODDS * np.log(max(usual, 0.005) / NO_HISTORY_RATE)
    if score > 0.0:
        return score, start, since_absent, since_possible
    return 0.0, -1, 0, 0


@nb.njit(cache=True, nogil=True)
def _students(  # type: ignore[no-untyped-def]
    first, day, marks, squares, sessions, through, weekdays, group, rate, shock, last_absent, last_possible, packed, log_factorial,
    counts, ints, floats,
):  # fmt: skip
    days = np.zeros(max(through, 1), dtype=np.uint16)
    begins = np.array([max(through - window, 0) for window in WINDOW_DAYS])  # of the windows
    sums = np.zeros(4, dtype=np.uint64)  # their counts, packed
    plain = packed[_PLAIN]
    absent_day = np.zeros(through + 1, dtype=np.uint16)  # the absent days, in order, …
    absent_at = np.zeros(through + 1, dtype=np.uint16)  # … the possible days up to each …
    absent_bits = np.zeros(through + 1, dtype=np.uint16)  # … and what is known of it
    absent_on = np.zeros(7, dtype=np.int32)
    met_on = np.zeros((7, through + 1), dtype=np.uint16)  # each weekday's days, the last first
    of_weekday = np.zeros(7, dtype=np.int64)
    for back in range(through):
        wd = weekdays[through - 1 - back]
        met_on[wd, of_weekday[wd]] = through - 1 - back
        of_weekday[wd] += 1
    for i in range(len(first) - 1):
        begin, end = first[i], first[i + 1]
        # a count is of all days as if present, and of what the marked ones are instead
        total = np.uint64(through) * plain
        absences = gaps = 0
        for k in range(begin, end):
            bits = marks[k]
            total += packed[bits] - plain
            gaps += 1 - (bits & 1)
            absent_day[absences] = day[k]
            absent_at[absences] = day[k] + 1 - gaps
            absent_bits[absences] = bits
            absences += (bits >> 1) & 1
        possible = through - gaps
        k, upto, lately = end, through, np.uint64(0)
        for w in range(4):
            lately += np.uint64(upto - begins[w]) * plain
            upto = begins[w]
            while k > begin and day[k - 1] >= upto:
                k -= 1
                lately += packed[marks[k]] - plain
            sums[w] = lately
        for field in range(6):
            shift = np.uint64(9 * field)
            counts[i, 4, field] = np.int32((total >> shift) & np.uint64(511))
            for w in range(4):
                counts[i, w, field] = np.int32((sums[w] >> shift) & np.uint64(511))
        out = ints[i]
        out[0] = squares[i, 0]
        out[1] = squares[i, 1]
        out[3] = out[5] = out[8] = out[11] = out[16] = out[20] = -1
        floats[i, 2] = 1.0
        out[15] = counts[i, 3, 4] - counts[i, 2, 4]
        out[21] = np.int32((sums[0] >> np.uint64(54)) & np.uint64(511))

        since = 0
        d, k = through - 1, end
        while d >= 0:
            bits = _PLAIN
            if k > begin and day[k - 1] == d:
                k -= 1
                bits = np.int64(marks[k])
            if bits & 1:
                if out[20] < 0:
                    out[20] = d
                if bits & 64:
                    out[5] = d
                    break
                since += 1
            d -= 1
        out[4] = since
        if absences:
            run = 1
            longest = 1
            spells = 1
            for k in range(1, absences):
                goes_on = (
                    absent_at[k] == absent_at[k - 1] + 1
                )  # in numbers, not by branches: which way they go is chance
                run = run * goes_on + 1
                longest = max(longest, run)
                spells += not goes_on
            out[6] = spells
            out[7] = longest
            if absent_at[absences - 1] == possible:
                out[2] = run
                out[3] = absent_day[absences - run]
            if counts[i, 4, 3]:
                for k in range(absences):
                    if absent_bits[k] & 12 == 8:
                        out[16] = absent_day[k]
                        break
        if sessions > 1:
            k = end
            while k > begin and day[k - 1] >= through - 20:
                k -= 1
                bits = np.int64(marks[k])
                if bits & 256 and day[k] >= through - 10:
                    out[17] += 1
                if bits & 512:
                    out[18] += 1
                elif bits & 1024:
                    out[19] += 1
        base_possible = counts[i, 4, 0] - counts[i, 2, 0]
        base_absent = counts[i, 4, 1] - counts[i, 2, 1]

        weight = LAST_YEAR_WEIGHT
        usual = (PRIOR_DAYS * rate[group[i]] + base_absent + weight * last_absent[i]) / (
            PRIOR_DAYS + base_possible + weight * last_possible[i]
        )
        floats[i, 0] = usual

        # only somebody away twice in the last 20 days can have a break
        if counts[i, 2, 1] >= 2:
            days[max(through - BREAK_DAYS, 0) :] = _PLAIN
            k = end
            while k > begin and day[k - 1] >= through - BREAK_DAYS:
                k -= 1
                days[day[k]] = marks[k]
            floats[i, 1], out[8], out[9], out[10] = _break(days, through, usual, shock[group[i]])

        if absences >= WEEKDAY_MIN_ABSENCES:
            absent_on[:] = 0
            most = 0
            for k in range(absences):
                wd = weekdays[absent_day[k]]
                absent_on[wd] += 1
                most = max(most, absent_on[wd])
            # A weekday worth naming takes twice its even share: two in five of all the absences, or more.
            if most >= WEEKDAY_MIN_ABSENCES and 5 * most >= 2 * absences:
                for wd in range(7):
                    here = absent_on[wd]
                    if here < WEEKDAY_MIN_ABSENCES or here < most:
                        continue
                    days[:] = _PLAIN
                    for k in range(begin, end):
                        days[day[k]] = marks[k]
                    met = recent = 0
                    for back in range(of_weekday[wd]):
                        bits = days[met_on[wd, back]]
                        met += bits & 1
                        recent += (bits >> 1) & 1 & (met <= 10)
                    chance = min(1.0, 5.0 * _weekday_tail(log_factorial, possible, met, absences, here))
                    if out[11] < 0 or chance < floats[i, 2]:
                        floats[i, 2] = chance
                        out[11] = wd
                        out[12] = here
                        out[13] = met
                        out[14] = recent


def context(days: Marked, group: NDArray[np.int32], school: NDArray[np.int32] | None = None) -> GroupContext:
    """The groups' usual rates and each day's shock.

    group   (n,) int32, each student's group (school x grade), counted from 0
    school  (groups,) int32, each group's school, counted from 0; None where all are of one

    A day's shock is the share of the group that was away beyond its own median share and what chance alone would add to it (one
    standard deviation), shrunk by the worth of three students; groups of fewer than 15 expected that day take the school's, and a
    school of fewer than 15 takes none.
    """
    groups = int(group.max(initial=-1)) + 1
    of = np.zeros(groups, dtype=np.int32) if school is None else school
    absent, possible = group_days(days.first, days.day, days.bits, _AWAY, _NOBODY, days.through, group, groups)
    return _context(absent, possible, of)


def _context(absent: NDArray[np.int32], possible: NDArray[np.int32], of: NDArray[np.int32]) -> GroupContext:
    """From (groups, through) students away, and expected, by group and day; of: (groups,) each group's school."""
    school_absent, school_possible = np.zeros((2, int(of.max(initial=0)) + 1, absent.shape[1]), dtype=np.int32)
    for group, its in enumerate(of.tolist()):
        school_absent[its] += absent[group]
        school_possible[its] += possible[group]
    through = absent.shape[1]
    before = max(through - BREAK_DAYS, 0) or through
    school_rate = _ratio(
        school_absent[:, :before].sum(axis=1), school_possible[:, :before].sum(axis=1), np.array([NO_HISTORY_RATE])
    )
    rate = _ratio(absent[:, :before].sum(axis=1), possible[:, :before].sum(axis=1), school_rate[of])
    level, shock = _shock(absent, possible)
    _, school_shock = _shock(school_absent, school_possible)
    small = possible < SHOCK_MIN_STUDENTS
    return GroupContext(rate, np.where(small, school_shock[of], shock), level, school_absent, school_possible)


def _ratio(part: NDArray[np.int32], whole: NDArray[np.int32], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1), otherwise)


def _medians(absent: NDArray[np.int32], possible: NDArray[np.int32]) -> NDArray[np.float64]:
    """By row: the median share of the days on which enough were expected; the usual of nobody in particular where there is none."""
    enough = possible >= SHOCK_MIN_STUDENTS
    n = enough.sum(axis=1)
    shares = np.sort(np.where(enough, absent / np.maximum(possible, 1), np.inf), axis=1)
    below, above = np.maximum(n - 1, 0) // 2, np.minimum(n // 2, max(absent.shape[1] - 1, 0))
    row = np.arange(len(n))
    middle = (shares[row, below] + shares[row, above]) / 2 if absent.shape[1] else np.zeros(len(n))
    return np.where(n > 0, middle, NO_HISTORY_RATE)


def _shock(absent: NDArray[np.int32], possible: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    enough = possible >= SHOCK_MIN_STUDENTS
    level = np.maximum(_medians(absent, possible), 0.01)
    expected = possible * level[:, None]
    beyond = absent - expected - np.sqrt(expected)
    return level, np.where(enough, np.clip(beyond / (possible + 3.0), 0.0, 0.95), 0.0)


def student_signals(
    days: Marked,
    group: NDArray[np.int32],
    around: GroupContext,
    last_absent: NDArray[np.int32],
    last_possible: NDArray[np.int32],
) -> Signals:
    """Signals of a grid's students, seen against a context computed before: one student or all of them alike.

    last_absent, last_possible: (n,) int32, absent and possible days of last year; zeros where not known.
    """
    n = len(days.first) - 1
    counts = np.zeros((n, 5, 6), dtype=np.int32)
    ints = np.zeros((n, _COLUMNS), dtype=np.int32)
    floats = np.zeros((n, 3), dtype=np.float64)
    _students(
        days.first, days.day, days.bits, days.squares, days.grid.sessions, days.through, weekdays_of(days.grid), group.astype(np.int32),
        around.rate, around.shock, last_absent.astype(np.int32), last_possible.astype(np.int32), _PACKED, _LOG_FACTORIAL,
        counts, ints, floats,
    )  # fmt: skip
    columns = [*(ints[:, c] for c in range(_COLUMNS)), *(floats[:, c] for c in range(3))]
    return Signals(
        counts,
        *columns,  # type: ignore[arg-type]  # int32 and float64 columns, in the order of the fields
    )


def weekdays_of(grid: Grid) -> NDArray[np.int64]:
    """(days,) Monday 0."""
    return (grid.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01: Thursday


def compute(
    grid: Grid,
    through: int,
    group: NDArray[np.int32],
    last_absent: NDArray[np.int32] | None = None,
    last_possible: NDArray[np.int32] | None = None,
) -> Signals:
    """`context` and `student_signals` together, for a whole school."""
    none = np.zeros(grid.codes.shape[0], dtype=np.int32)
    days = marked(grid, through)
    return student_signals(
        days,
        group,
        context(days, group),
        none if last_absent is None else last_absent,
        none if last_possible is None else last_possible,
    )


@nb.njit(cache=True, nogil=True)
def _group_bits(bits, through, group, absent, possible):  # type: ignore[no-untyped-def]
    for i in range(bits.shape[0]):
        for d in range(through):
            here = bits[i, d]
            possible[group[i], d] += np.int32(here & 1)
            absent[group[i], d] += np.int32((here >> 1) & 1 & ~(here >> 7))


@nb.njit(cache=True, nogil=True)
def _breaks(bits, through, group, rate, shock, last_absent, last_possible, score, away):  # type: ignore[no-untyped-def]
    before = max(through - BREAK_DAYS, 0)
    for i in range(bits.shape[0]):
        recent = 0
        for d in range(before, through):
            recent += (bits[i, d] >> 1) & 1
        if recent < 2:
            continue
        base_absent = base_possible = 0
        for d in range(before):
            base_possible += bits[i, d] & 1
            base_absent += (bits[i, d] >> 1) & 1
        usual = (PRIOR_DAYS * rate[group[i]] + base_absent + LAST_YEAR_WEIGHT * last_absent[i]) / (
            PRIOR_DAYS + base_possible + LAST_YEAR_WEIGHT * last_possible[i]
        )
        score[i], _start, away[i], _possible = _break(bits[i], through, usual, shock[group[i]])


def break_scores(
    bits: NDArray[np.uint16],
    through: int,
    group: NDArray[np.int32],
    last_absent: NDArray[np.int32],
    last_possible: NDArray[np.int32],
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(`break_score`, `break_absent`) of `compute`, of a whole school's days and nothing else: what a backtest asks every evening.

    bits: (n, days) uint16 of `DAY`, of which the first `through` are read; the rest as `compute` takes it.
    """
    groups = int(group.max(initial=-1)) + 1
    absent, possible = np.zeros((2, groups, through), dtype=np.int32)
    _group_bits(bits, through, group, absent, possible)
    around = _context(absent, possible, np.zeros(groups, dtype=np.int32))
    score, away = np.zeros(len(bits)), np.zeros(len(bits), dtype=np.int32)
    _breaks(bits, through, group, around.rate, around.shock, last_absent, last_possible, score, away)
    return score, away


def day_bits(grid: Grid, through: int, row: int) -> NDArray[np.uint16]:
    """One student's days as the kernel sees them, for the days behind an alert."""
    out = np.zeros(max(through, 1), dtype=np.uint16)
    _day_facts(np.ascontiguousarray(grid.codes)[row], grid.sessions, through, _LUT, out)
    return out[:through]


_BITS = np.arange(4096, dtype=np.uint16)


@nb.njit(cache=True, nogil=True)
def _all_days(codes, sessions, through, lut, table, out):  # type: ignore[no-untyped-def]
    days = np.zeros(max(through, 1), dtype=np.uint16)
    by_letter = np.zeros(256, dtype=out.dtype)
    for letter in range(256):
        by_letter[letter] = table[lut[letter]]
    for i in range(codes.shape[0]):
        row, found = codes[i], out[i]
        if sessions == 1:
            for d in range(through):
                found[d] = by_letter[row[d]]
        else:
            _day_facts(row, sessions, through, lut, days)
            for d in range(through):
                found[d] = table[days[d]]


def day_matrix(grid: Grid, through: int, table: NDArray[Any] = _BITS) -> NDArray[Any]:
    """(n, through): every student's days as the kernel sees them, each looked up in `table` (4096,) by its bits of `DAY`."""
    out = np.zeros((grid.codes.shape[0], through), dtype=table.dtype)
    _all_days(np.ascontiguousarray(grid.codes), grid.sessions, through, _LUT, table, out)
    return out
