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
from firstbell.signals.kernel import DAY, day_matrix

__all__ = ["ADDED", "AGES", "KINDS_OF", "Col", "Evidence", "Fates", "gather", "kinds_of_days"]

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
#: a student's habit of ending in counted days is worth so many of the district's absences at the start
HABIT_DAYS = 5.0


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
    """columns (n, len(Col)) float64; added (n, ADDED) float64: chance that so many unsettled days of spells that are over are added to SETTLED."""

    columns: NDArray[np.float64]
    added: NDArray[np.float64]

    def __getitem__(self, col: Col) -> NDArray[np.float64]:
        return self.columns[:, col]


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


def gather(
    kinds: NDArray[np.uint8], weights: NDArray[np.float64], group: NDArray[np.int32], fates: Fates,
    ended_before: NDArray[np.float64], counted_before: NDArray[np.float64],
) -> Evidence:  # fmt: skip
    """Evidence of every row, through the last column of `kinds`.

    kinds           (n, through) uint8 of `kinds_of_days`
    weights         (groups, through) float64, how much likelier than usual an absence was that day (`pooling.day_weights`)
    group           (n,) int32, each row's row of `weights`
    ended_before, counted_before  (n,) float64, last year's absences and those of them that counted: habit carried over
    """
    n, through = kinds.shape
    columns = np.zeros((n, len(Col)), dtype=np.float64)
    added = np.zeros((n, ADDED), dtype=np.float64)
    fade = np.array(HALVES)[:, None] ** np.arange(through + 1)
    known = np.concatenate(
        [np.zeros((3, 1)), np.cumsum(fade, axis=1)], axis=1
    )  # what so many known days in a row are worth
    _gather(  # type: ignore[call-arg]
        np.ascontiguousarray(kinds), weights, *_exposures(weights), fade, known, group, fates.chance, fates.usual, ended_before,
        counted_before, columns, added,
    )  # fmt: skip
    return Evidence(columns, added)


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
    kinds, weights, plain, fading, fade, known, group, fate, usual, ended_before, counted_before, out, added
):  # fmt: skip
    """A run of days present is taken in one step: what fades has a closed form, and nine days in ten are such."""
    d5, d15, d45 = HALVES
    n, through = kinds.shape
    base_odds = np.log(usual / (1.0 - usual))
    odds = np.log(fate / (1.0 - np.minimum(fate, 1.0 - 1e-12)))
    event = np.zeros(through + 1, dtype=np.int64)  # the days that were not plainly present …
    spell = np.zeros(through + 1, dtype=np.int64)  # … and of which kind of spell each is
    for i in range(n):
        row = out[i]
        days = kinds[i]
        g = group[i]
        # a first look, for the habit and for the spell each day is part of
        ended = counted = 0.0
        events = 0
        for d in range(through):
            event[events] = d
            events += days[d] != 1
        event[events] = through
        first_of = length = after = 0
        explained = False
        for e in range(events + 1):
            d = event[e]
            k = days[d] if d < through else 1
            away = k >= 2 and k <= 4
            if length > 0 and (d != after or (k != 0 and not away)):
                for before in range(first_of, e):
                    spell[before] = LENGTH_OF[min(length, LONGEST)] + EXPLAINED * explained
                length = 0
            if away:
                if length == 0:
                    first_of = e
                    explained = False
                length += 1
                explained = explained or k == 2
                if d < through - SETTLED_AFTER:
                    ended += 1.0
                    counted += k == 3
            after = d + 1
        habit = (usual * HABIT_DAYS + counted + counted_before[i]) / (HABIT_DAYS + ended + ended_before[i])
        habit = min(max(habit, 0.01), 0.99)
        lean = np.log(habit / (1.0 - habit)) - base_odds
        pmf = added[i]
        pmf[0] = 1.0
        was_absent = False
        spell_chance = 0.0
        spell_days = 0
        p_last = 0.0
        last_known = -1
        at = 0
        for e in range(events + 1):
            d = event[e]
            run = d - at
            if run:  # days present, from `at` to the day before `d`
                first = at
                if was_absent:
                    row[10] += 1.0
                    row[35] += p_last
                    first += 1
                row[4] += run
                row[5] = 0.0
                row[6] += run
                row[8] += plain[g, d] - plain[g, first]
                row[19] *= fade[0, run]
                row[20] = row[20] * fade[0, run] + known[0, run]
                row[21] *= fade[0, run]
                row[22] *= fade[1, run]
                row[23] = row[23] * fade[1, run] + known[1, run]
                row[24] *= fade[1, run]
                row[25] *= fade[2, run]
                row[26] = row[26] * fade[2, run] + known[2, run]
                for h in range(3):
                    row[13 + 2 * h] *= fade[h, run]
                    row[14 + 2 * h] *= fade[h, run]
                    row[14 + 2 * h] += fading[g, h, d] - fading[g, h, first] * fade[h, d - first]
                if spell_days > 0:
                    _add_block(pmf, spell_chance, spell_days)
                    spell_days = 0
                was_absent = False
                p_last = 0.0
                last_known = d - 1
            at = d + 1
            if d == through:
                break
            k = days[d]
            if k == 0:
                if d >= through - 5:
                    row[30] += 1.0
                continue
            last_known = d
            absent = k >= 2 and k <= 4
            start = absent and not was_absent
            row[4] += 1.0
            row[19] *= d5
            row[20] = row[20] * d5 + 1.0
            row[21] = row[21] * d5 + absent
            row[22] = row[22] * d15 + absent
            row[23] = row[23] * d15 + 1.0
            row[24] = row[24] * d15 + (k == 5)
            row[25] = row[25] * d45 + (k == 5)
            row[26] = row[26] * d45 + 1.0
            row[13] = row[13] * d5 + start
            row[15] = row[15] * d15 + start
            row[17] = row[17] * d45 + start
            row[14] *= d5
            row[16] *= d15
            row[18] *= d45
            if was_absent:
                row[10] += 1.0
                row[9] += absent
                row[35] += p_last
            else:
                w = weights[g, d]
                row[8] += w
                row[14] += w
                row[16] += w
                row[18] += w
            p = 0.0
            if absent:
                age = min(through - 1 - d, AGES - 1)
                p = fate[k - 2, age, spell[e]]
                if p > 1.0 - CERTAIN and p < CERTAIN:
                    p = 1.0 / (1.0 + np.exp(-odds[k - 2, age, spell[e]] - lean))
                row[0] += k == 3
                row[1] += k == 4
                row[2] += p
                row[3] += 1.0
                row[5] += 1.0
                row[6] = 0.0
                row[7] += start
                row[19] += p
                row[33] += start * p
                row[34] += was_absent * min(p, p_last)  # a spell shares one fate
                if p >= CERTAIN:
                    row[28] += 1.0
                elif p > 1.0 - CERTAIN:
                    spell_chance = (spell_chance * spell_days + p) / (spell_days + 1)
                    spell_days += 1
            else:
                row[5] = 0.0
                row[6] += 1.0
                if spell_days > 0:
                    _add_block(pmf, spell_chance, spell_days)
                    spell_days = 0
            was_absent = absent
            p_last = p
        row[11] = counted
        row[12] = ended
        row[27] = spell_chance if spell_days > 0 and p_last < CERTAIN else p_last
        row[32] = spell_days
        row[29] = habit
        row[31] = through - 1 - last_known


@nb.njit(cache=True, nogil=True)
def _add_block(pmf, chance, days):  # type: ignore[no-untyped-def]
    """One spell that counts as a whole or not at all, added to the distribution of what is added."""
    top = len(pmf) - 1
    for j in range(top, -1, -1):
        moved = pmf[j] * chance
        pmf[j] -= moved
        pmf[min(j + days, top)] += moved
