"""Layer 0: what is known of each student on a day. Exact counts; the only chances here are of what an unsettled mark will turn out to be.

An absent day's mark is often provisional: entered unexcused or without a reason, and explained days later. `Fates` says, from closed years,
how often a day that bore such a mark so many school days ago ended as a day the line counts. A spell is explained as a whole, so
unsettled days in a row share one fate; each student's own habit of explaining moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.lines import Counted
from firstbell.register.grid import Grid
from firstbell.signals.kernel import DAY, Marked, day_matrix

__all__ = ["ADDED", "AGES", "KINDS_OF", "Col", "Days", "Evidence", "Fates", "gather", "kinds_of_days", "settled_days"]

#: a mark's age in school days is told apart up to so many
AGES = 30
#: a day this old is settled in nearly all schools: it may speak of a student's habit
SETTLED_AFTER = 8
#: spells are told apart by their length, one day, two, up to four, up to seven, longer; and by whether (second half) a day of them is excused
LENGTH_OF = np.array([0, 0, 1, 2, 2, 3, 3, 3, 4])
LONGEST, EXPLAINED, SPELLS = 8, 5, 10
#: unsettled days that may still be added to the settled count; more are one
ADDED = 12
#: a fate this near to certain is taken as settled
CERTAIN = 0.97
#: a student's habit of ending in counted days is worth so many of the school's absences at the start, and a school's so many of the district's
HABIT_DAYS, SCHOOL_DAYS = 5.0, 100.0


class Col(IntEnum):
    """Columns of `Evidence.columns`. Days are school days; "recent" sums halve every 5, 15 or 45 days."""

    COUNT = 0  # days the line counts, as known
    PENDING = 1  # absent, without a reason yet
    EXPECTED = 2  # days of all known that will end as counted, expected
    ABSENT = 3
    POSSIBLE = 4
    STREAK = 5  # absent days in a row up to the last known
    SINCE = 6  # possible days since the last absent one
    STARTS = 7  # spells begun
    EXPOSED = 8  # days a spell could begin on, each weighed by how bad the school's day was
    STAYED = 9  # days absent after an absent one …
    COULD_STAY = 10  # … of so many days after an absent one
    ENDED_COUNTED = 11  # settled absences that ended as counted …
    ENDED = 12  # … of so many settled
    STARTS_5 = 13
    EXPOSED_5 = 14
    STARTS_15 = 15
    EXPOSED_15 = 16
    STARTS_45 = 17
    EXPOSED_45 = 18
    EVENTS_5 = 19  # counted days, recent …
    DAYS_5 = 20  # … of so many
    AWAY_5 = 21
    AWAY_15 = 22
    DAYS_15 = 23
    PART_15 = 24  # days partly missed or late, recent
    PART_45 = 25
    DAYS_45 = 26
    CURRENT = 27  # chance that the spell going on now is one of counted days; 0 when present
    SETTLED = 28  # counted days nobody expects to change
    HABIT = 29  # this student's share of absences that end as counted, pooled
    UNKNOWN_5 = 30  # of the last 5 school days: with a square nobody knows
    STALE = 31  # school days since the last one known
    OPEN = 32  # unsettled days of the spell going on now: they end as it ends
    BEGUN_COUNTED = 33  # spells whose first day will end as counted, expected
    STAYED_COUNTED = 34  # days that count after one that counts, expected …
    COULD_STAY_COUNTED = 35  # … of so many days after one that counts


@dataclass(frozen=True, slots=True)
class Fates:
    """How unsettled days end: (3, AGES, SPELLS) float64 chance of ending as a counted day, by kind of mark (excused, counted, pending), its
    age, and the spell it is part of: a reason given for its first days will be given for the others, and a week away is often an illness.
    """

    chance: NDArray[np.float64]
    #: share of all settled absences that end as counted: what habit is pooled toward
    usual: float

    @classmethod
    def of_a_closed_year(cls) -> Fates:
        """Where it plays no part how unsettled marks end: a closed year's are taken as they are."""
        return cls(np.full((3, AGES, SPELLS), 0.5), 0.5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """columns (n, len(Col)) float64, a column's values beside each other; added (n, ADDED) float64: chance that so many unsettled days of spells that are
    over are added to SETTLED; of_school (schools, 2) float64 of `settled_days`."""

    columns: NDArray[np.float64]
    added: NDArray[np.float64]
    of_school: NDArray[np.float64]

    def __getitem__(self, col: Col) -> NDArray[np.float64]:
        return self.columns[:, col]

    def only(self, rows: NDArray[np.int64]) -> Evidence:
        return Evidence(np.take(self.columns.T, rows, axis=1).T, self.added[rows], self.of_school)


#: kinds of a day, as `gather` reads them
NOT_POSSIBLE, PRESENT, EXCUSED, COUNTED, PENDING, PART = 0, 1, 2, 3, 4, 5


def _kind_table(counted: Counted) -> NDArray[np.uint8]:
    """A day's bits (`DAY`) -> its kind."""
    bits = np.arange(4096)
    possible, absent = bits & DAY.POSSIBLE != 0, bits & DAY.ABSENT != 0
    kinds = np.zeros(4096, dtype=np.uint8)
    kinds[possible] = PRESENT
    kinds[possible & (bits & (DAY.PART | DAY.LATE) != 0)] = PART
    if counted is Counted.ABSENT:
        kinds[absent] = COUNTED
        return kinds
    kinds[absent] = EXCUSED
    full = absent & (bits & (DAY.SEEN | DAY.UNKNOWN) == 0)
    kinds[full & (bits & DAY.UNAUTHORISED != 0)] = COUNTED
    kinds[full & (bits & DAY.PENDING != 0)] = PENDING
    return kinds


#: what a line counts -> (4096,) a day's bits -> its kind
KINDS_OF = {counted: _kind_table(counted) for counted in Counted}


def kinds_of_days(grid: Grid, through: int, counted: Counted) -> NDArray[np.uint8]:
    """(n, through) uint8: each day as the line sees it. UNKNOWN squares make a day not possible, never present."""
    return day_matrix(grid, through, KINDS_OF[counted])


@nb.njit(cache=True, nogil=True)
def count_fates(kinds, final, hits, seen):  # type: ignore[no-untyped-def]
    """Adds each day away of `kinds` (n, through) to `seen` (3, AGES, SPELLS), and to `hits` if it counts in the end: by its mark, its age, and
    the kind of spell it is part of, as `_gather` has it. final: (n, days or more) of the whole year.
    """
    through = kinds.shape[1]
    for i in range(len(kinds)):
        length = first = 0
        explained = False
        for d in range(through + 1):
            k = kinds[i, d] if d < through else PRESENT
            if k >= EXCUSED and k <= PENDING:
                if length == 0:
                    first = d
                    explained = False
                length += 1
                explained = explained or k == EXCUSED
            elif k != NOT_POSSIBLE and length > 0:
                spell = LENGTH_OF[min(length, LONGEST)] + EXPLAINED * explained
                for of in range(first, d):
                    mark = kinds[i, of]
                    if mark != NOT_POSSIBLE:
                        age = min(through - 1 - of, AGES - 1)
                        seen[mark - EXCUSED, age, spell] += 1
                        hits[mark - EXCUSED, age, spell] += final[i, of] == COUNTED
                length = 0


@dataclass(frozen=True, slots=True)
class Days:
    """Each row's first `through` days, but for those plainly present.

    first      (n + 1,) int64, where each row's days begin among all of them
    day, mark  uint16, ascending within a row: the day, and what is known of it …
    kind       … which is a day of this kind: uint8, by mark
    """

    through: int
    first: NDArray[np.int64]
    day: NDArray[np.uint16]
    mark: NDArray[np.uint16]
    kind: NDArray[np.uint8]

    @classmethod
    def of(cls, kinds: NDArray[np.uint8]) -> Days:
        n, through = kinds.shape
        first, (day, mark) = np.zeros(n + 1, dtype=np.int64), np.empty((2, n * through + 1), dtype=np.uint16)
        _not_present(np.ascontiguousarray(kinds), first, day, mark)
        return cls(through, first, day[: first[-1]], mark[: first[-1]], np.arange(PART + 1, dtype=np.uint8))

    @classmethod
    def of_marked(cls, marked: Marked, counted: Counted) -> Days:
        return cls(marked.through, marked.first, marked.day, marked.bits, KINDS_OF[counted])


@nb.njit(cache=True, nogil=True)
def _not_present(kinds, first, day, mark):  # type: ignore[no-untyped-def]
    at = 0
    for i in range(kinds.shape[0]):
        row = kinds[i]
        for d in range(kinds.shape[1]):
            day[at] = d
            mark[at] = row[d]
            at += row[d] != PRESENT
        first[i + 1] = at


def settled_days(days: Days, school: NDArray[np.int32], schools: int) -> NDArray[np.float64]:
    """(schools, 2): each school's absences old enough to be settled, and those of them that count. school: (n,), each row's."""
    found = np.zeros((schools, 2))
    _settled(days.first, days.day, days.mark, days.kind, max(days.through - SETTLED_AFTER, 0), school, found)
    return found


@nb.njit(cache=True, nogil=True)
def _settled(first, day, mark, kind_of, old, school, found):  # type: ignore[no-untyped-def]
    for i in range(len(school)):
        ended = counted = 0
        for e in range(first[i], first[i + 1]):
            k = kind_of[mark[e]]
            settled = day[e] < old
            ended += settled & (k >= EXCUSED) & (k <= PENDING)
            counted += settled & (k == COUNTED)
        found[school[i], 0] += ended
        found[school[i], 1] += counted


def gather(
    days: Days, weights: NDArray[np.float64], group: NDArray[np.int32], fates: Fates,
    ended_before: NDArray[np.float64], counted_before: NDArray[np.float64], of_school: NDArray[np.float64] | None = None,
) -> Evidence:  # fmt: skip
    """Evidence of every row of `days`.

    weights         (groups, through) float64, how much likelier than usual an absence was that day (`pooling.day_weights`)
    group           (n,) int32, each row's row of `weights`
    ended_before, counted_before  (n,) float64, last year's absences and those of them that counted: habit carried over
    of_school       (schools, 2) float64 of `settled_days`, where these are not whole schools: a student's habit is pooled toward the school's, and that
                    toward the district's
    """
    n, through = len(group), days.through
    columns = np.empty((len(Col), n))
    added = np.zeros((n, ADDED))
    fade = np.array(HALVES)[:, None] ** np.arange(through + 1)
    known = np.concatenate([np.zeros((3, 1)), np.cumsum(fade, axis=1)], axis=1)  # what so many known days are worth
    if of_school is None:
        of_school = settled_days(days, group, len(weights))
    ended, counted = of_school.T
    school_usual = (fates.usual * SCHOOL_DAYS + counted) / (SCHOOL_DAYS + ended)
    _gather(  # type: ignore[call-arg]
        days.first, days.day, days.mark, days.kind, through, weights, *_exposures(weights), fade, known, group, fates.chance, fates.usual, school_usual,
        ended_before,
        counted_before, columns, added,
    )  # fmt: skip
    return Evidence(columns.T, added, of_school)


#: what a day's weight is multiplied with each day after it: halved in 5, 15 and 45 days
HALVES = (0.5 ** (1 / 5), 0.5 ** (1 / 15), 0.5 ** (1 / 45))


@nb.njit(cache=True, nogil=True)
def _exposures(weights):  # type: ignore[no-untyped-def]
    """Running sums of the days' weights: plain (groups, through + 1), and fading by each of `HALVES` (groups, 3, through + 1)."""
    groups, through = weights.shape
    plain = np.zeros((groups, through + 1))
    fading = np.zeros((groups, 3, through + 1))
    for g in range(groups):
        for d in range(through):
            plain[g, d + 1] = plain[g, d] + weights[g, d]
            for h in range(3):
                fading[g, h, d + 1] = fading[g, h, d] * HALVES[h] + weights[g, d]
    return plain, fading


@nb.njit(cache=True, nogil=True)
def _gather(  # type: ignore[no-untyped-def]
    first, marked, marks, kind_of, through, weights, plain, fading, fade, known, group, fate, usual, school_usual, ended_before, counted_before, out, added
):  # fmt: skip
    """Only the days that were not plainly present are gone through. What fades does so by known days: a day is summed as worth more than
    the first by as much as that one has faded since, and all together fade at the end. Days a spell could begin on are all days but those
    nobody knows and those after a day away.

    Days are kept unsigned: a signed index is asked each time whether it counts from the end.
    """
    against = (1.0 - fate) / np.maximum(fate, 1e-12)
    worth = 1.0 / fade.T
    day = np.zeros(through + 1, dtype=np.uint16)  # the days away, …
    nth = np.zeros(through + 1, dtype=np.uint16)  # … which of the known days each is …
    spell = np.zeros(through + 1, dtype=np.uint16)  # … of which kind of spell, …
    mark = np.zeros(through + 1, dtype=np.uint8)  # … by which mark, as `Fates` counts them
    start = np.zeros(through + 1, dtype=np.bool_)  # … and whether a spell begins with it
    partly = np.zeros(through + 1, dtype=np.uint16)  # which of the known days were missed in part
    gap = np.zeros(through + 1, dtype=np.uint16)  # the days nobody knows
    for i in range(len(group)):
        g = group[i]
        away = parts = gaps = ended = counted = 0
        for at in range(first[i], first[i + 1]):
            d = np.int64(marked[at])
            k = kind_of[marks[at]]
            absent = (k >= EXCUSED) & (k <= PENDING)
            old = d < through - SETTLED_AFTER
            day[away] = d
            nth[away] = d - gaps
            mark[away] = k - EXCUSED
            away += absent
            ended += absent & old
            counted += (k == COUNTED) & old
            partly[parts] = d - gaps
            parts += k == PART
            gap[gaps] = d
            gaps += k == NOT_POSSIBLE
        possible = through - gaps
        # each day away's spell, which days that nobody knows do not part: as long, and as well explained, as up to its last day
        length, explained, previous = 0, False, np.int64(-2)
        for e in range(away):
            goes_on = nth[e] == previous + 1
            length = length * goes_on + 1
            explained = (explained & goes_on) | (mark[e] == 0)
            previous = nth[e]
            start[e] = not goes_on
            spell[e] = LENGTH_OF[min(length, LONGEST)] + EXPLAINED * explained
        streak = length
        start[away], of = True, 0
        for e in range(away - 1, -1, -1):  # in numbers, not by branches: which way they go is chance
            of += (spell[e] - of) * start[e + 1]
            spell[e] = of
        habit = (school_usual[g] * HABIT_DAYS + counted + counted_before[i]) / (HABIT_DAYS + ended + ended_before[i])
        habit = min(max(habit, 0.01), 0.99)
        lean = (1.0 - habit) / habit * (usual / (1.0 - usual))  # what this student's habit does to the odds against
        if gaps == 0:
            exposed = plain[g, through]
            exposed_5, exposed_15, exposed_45 = fading[g, 0, through], fading[g, 1, through], fading[g, 2, through]
        else:
            exposed = exposed_5 = exposed_15 = exposed_45 = 0.0
            since = np.int64(0)  # the day after the last one that nobody knows
            for e in range(gaps + 1):
                d = np.int64(gap[e]) if e < gaps else through
                if d > since:
                    later, run = possible - (d - e), d - since
                    exposed += plain[g, d] - plain[g, since]
                    exposed_5 += (fading[g, 0, d] - fading[g, 0, since] * fade[0, run]) * fade[0, later]
                    exposed_15 += (fading[g, 1, d] - fading[g, 1, since] * fade[1, run]) * fade[1, later]
                    exposed_45 += (fading[g, 2, d] - fading[g, 2, since] * fade[2, run]) * fade[2, later]
                since = d + 1
        part_15 = part_45 = 0.0
        for e in range(parts):
            part_15 += worth[partly[e], 1]
            part_45 += worth[partly[e], 2]
        count = pending = settled = starts = 0
        expected = begun = stayed_counted = could_stay_counted = 0.0
        starts_5 = starts_15 = starts_45 = events_5 = away_5 = away_15 = after_5 = after_15 = after_45 = 0.0
        pmf = added[i]
        pmf[0] = 1.0
        spell_chance = p_last = 0.0
        spell_days = 0
        for e in range(away):
            d, k, q, begins = day[e], mark[e], nth[e], start[e]
            if begins and spell_days > 0:
                _add_block(pmf, spell_chance, spell_days)
                spell_days = 0
            age = min(through - 1 - d, AGES - 1)
            p = fate[k, age, spell[e]]
            if p > 1.0 - CERTAIN and p < CERTAIN:
                p = 1.0 / (1.0 + against[k, age, spell[e]] * lean)
            worth_5, worth_15, worth_45 = worth[q, 0], worth[q, 1], worth[q, 2]
            count += k == COUNTED - EXCUSED
            pending += k == PENDING - EXCUSED
            starts += begins
            starts_5 += begins * worth_5
            starts_15 += begins * worth_15
            starts_45 += begins * worth_45
            expected += p
            events_5 += p * worth_5
            away_5 += worth_5
            away_15 += worth_15
            begun += begins * p
            stayed_counted += 0.0 if begins else min(p, p_last)  # a spell shares one fate
            if q + 1 < possible:  # on the known day after this one no spell could begin
                after = np.int64(d) + 1
                passed = after - 1 - q  # days nobody knows before it
                while passed < gaps and gap[passed] == after:
                    passed += 1
                    after += 1
                w = weights[g, after]
                could_stay_counted += p
                exposed -= w
                after_5 += w * worth_5
                after_15 += w * worth_15
                after_45 += w * worth_45
            settled += p >= CERTAIN
            if p > 1.0 - CERTAIN and p < CERTAIN:
                spell_chance = (spell_chance * spell_days + p) / (spell_days + 1)
                spell_days += 1
            p_last = p
        stayed = away - starts
        last = max(possible - 1, 0)
        faded_5, faded_15, faded_45 = fade[0, last], fade[1, last], fade[2, last]
        since_away = possible - 1 - nth[away - 1] if away else possible
        could_stay = away - (away > 0 and since_away == 0)
        if since_away:  # the last spell is over
            if spell_days > 0:
                _add_block(pmf, spell_chance, spell_days)
                spell_days = 0
            p_last = 0.0
            streak = 0
        stale = 0
        while stale < gaps and gap[gaps - 1 - stale] == through - 1 - stale:
            stale += 1
        unknown = 0
        while unknown < gaps and gap[gaps - 1 - unknown] >= through - 5:
            unknown += 1
        out[Col.COUNT, i] = count
        out[Col.PENDING, i] = pending
        out[Col.EXPECTED, i] = expected
        out[Col.ABSENT, i] = away
        out[Col.POSSIBLE, i] = possible
        out[Col.STREAK, i] = streak
        out[Col.SINCE, i] = since_away
        out[Col.STARTS, i] = starts
        out[Col.EXPOSED, i] = max(exposed, 0.0)
        out[Col.STAYED, i] = stayed
        out[Col.COULD_STAY, i] = could_stay
        out[Col.ENDED_COUNTED, i] = counted
        out[Col.ENDED, i] = ended
        out[Col.STARTS_5, i] = starts_5 * faded_5
        out[Col.EXPOSED_5, i] = max(exposed_5 - after_5 * faded_5 / HALVES[0], 0.0)
        out[Col.STARTS_15, i] = starts_15 * faded_15
        out[Col.EXPOSED_15, i] = max(exposed_15 - after_15 * faded_15 / HALVES[1], 0.0)
        out[Col.STARTS_45, i] = starts_45 * faded_45
        out[Col.EXPOSED_45, i] = max(exposed_45 - after_45 * faded_45 / HALVES[2], 0.0)
        out[Col.EVENTS_5, i] = events_5 * faded_5
        out[Col.DAYS_5, i] = known[0, possible]
        out[Col.AWAY_5, i] = away_5 * faded_5
        out[Col.AWAY_15, i] = away_15 * faded_15
        out[Col.DAYS_15, i] = known[1, possible]
        out[Col.PART_15, i] = part_15 * faded_15
        out[Col.PART_45, i] = part_45 * faded_45
        out[Col.DAYS_45, i] = known[2, possible]
        out[Col.CURRENT, i] = spell_chance if spell_days > 0 and p_last < CERTAIN else p_last
        out[Col.SETTLED, i] = settled
        out[Col.HABIT, i] = habit
        out[Col.UNKNOWN_5, i] = unknown
        out[Col.STALE, i] = stale
        out[Col.OPEN, i] = spell_days
        out[Col.BEGUN_COUNTED, i] = begun
        out[Col.STAYED_COUNTED, i] = stayed_counted
        out[Col.COULD_STAY_COUNTED, i] = could_stay_counted


@nb.njit(cache=True, nogil=True)
def _add_block(pmf, chance, days):  # type: ignore[no-untyped-def]
    """One spell that counts as a whole or not at all, added to the distribution of what is added."""
    top = len(pmf) - 1
    for j in range(top, -1, -1):
        moved = pmf[j] * chance
        pmf[j] -= moved
        pmf[min(j + days, top)] += moved
