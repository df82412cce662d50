"""What any reader of the marks could know of the made-up districts, and no forecast on average exceed.

The *reader* knows the district's numbers as its maker does, and sees the marks of last year and of this one so far. What no mark shows (a
student's propensity, state, habit, when a change for the worse began) it weighs by Bayes, exactly but for the fineness of the places it
looks at; it draws from what is left and runs that forward as the oracles do (`bench.oracle`).

A little too good in three ways: it knows what the calendar and bad days did to the chances of the days gone by and how a school's children differ from
another's (a school of hundreds shows both well), and how every mark of the days gone by will end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import numba as nb
import numpy as np
from numpy.typing import NDArray

from bench.strangers import (
    ANEW,
    BEGINS_IN,
    CHANGES,
    DAYS,
    EVERY,
    LEAVE_IN,
    LONG,
    LONG_ENDS,
    MOVES,
    SHORT_ENDS,
    Hidden,
    Inclined,
    Propensities,
    States,
    propensity,
    share_of,
)
from firstbell.forecast.evidence import COUNTED, EXCUSED
from firstbell.forecast.lines import Counted
from firstbell.forecast.training import ClosedYear

__all__ = ["reader"]

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int32]
H = TypeVar("H", Propensities, States, Inclined)
DRAWN = 128  # from what is left open of a student on a day asked about
#: less likely than this, a place is not followed any more
NOTHING = 1e-7
HAIR = np.float32(1e-15)  # is added, since numbers too small for their type are slow


def reader(
    hidden: tuple[Hidden, Hidden], years: tuple[Sequence[ClosedYear], Sequence[ClosedYear]], seed: int = 0
) -> Hidden:
    """Of two years, and what made them, the second read."""
    marks = np.zeros((2, sum(len(y.student) for y in years[1]), DAYS), dtype=np.uint8)
    for of, into in zip(years, marks, strict=True):
        for year in of:
            into[year.student] = year.final[Counted.UNEXCUSED]
    rng = np.random.default_rng(seed)
    first, second = (((m == COUNTED) | (m == EXCUSED), m == COUNTED) for m in marks)
    before, now = hidden
    kinds: dict[type, Any] = {Propensities: OfPropensities, States: OfStates, Inclined: OfInclined}
    found: Hidden = kinds[type(now)].reading(before, now, first, second, rng)
    return found


@dataclass(frozen=True, slots=True)
class _Reader(Generic[H]):
    """What is open is drawn: places (n, days asked about, DRAWN), and more of the same shape."""

    year: H
    places: Places
    more: Places
    #: how long the absence going on lasts is drawn with the rest
    draws_spell: ClassVar[bool] = False

    def only(self, rows: NDArray[np.int64]) -> Self:
        return replace(self, year=self.year.only(rows), places=self.places[rows], more=self.more[rows])

    def drawn(self, rng: np.random.Generator, through: int) -> H:
        """Of each student, something that the marks of the first `through` days leave open."""
        raise NotImplementedError

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        return self.drawn(rng, through).ahead(rng, through, days, spell=self.draws_spell)

    def _one(self, rng: np.random.Generator, through: int) -> tuple[Places, Places]:
        one = np.arange(len(self.places)), through // EVERY - 1, rng.integers(0, DRAWN, len(self.places))
        return self.places[one], self.more[one]


def _every_day(of: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(of[:, None], (len(of), DAYS))


def _steps(places: Array, kept: float, noise: float) -> Array:
    """(from, to) the chances of an autoregression's step."""
    chance = np.exp(-0.5 * ((places - kept * places[:, None]) / noise) ** 2)
    found: Array = np.where(chance > 1e-9, chance, 0) / chance.sum(axis=1, keepdims=True)
    return found


def _normal(places: Array, spread: float = 1.0) -> Array:
    found: Array = np.exp(-0.5 * (places / spread) ** 2)
    return found / found.sum()


def _together(follow: Callable[..., tuple[Array, ...]], *of: NDArray[Any]) -> list[Array]:
    """What is found of all students, some in each thread."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = np.array_split(np.arange(len(of[0])), max(len(of[0]) // 100, 1))
        found = threads.map(lambda part: follow(*(a[part[0] : part[-1] + 1] for a in of)), parts)
        return [np.concatenate(each) for each in zip(*found, strict=True)]


@nb.njit(cache=True, fastmath=True)
def _draw(weight, of, offset, places):  # type: ignore[no-untyped-def]
    """Places drawn evenly by weight: of[s, z] times weight[s]."""
    sums = np.zeros(len(weight))
    for s in range(len(weight)):
        if weight[s] > 0:
            sums[s] = weight[s] * of[s].sum()
    step = sums.sum() / len(places)
    before, at, last = 0.0, 0, 0
    for s in range(len(weight)):
        if (at + offset) * step < before + sums[s]:
            gone = before
            for z in range(of.shape[1]):
                if of[s, z] > 0:
                    gone += weight[s] * of[s, z]
                    last = s * of.shape[1] + z
                    while at < len(places) and (at + offset) * step < gone:
                        places[at] = last
                        at += 1
        before += sums[s]
    places[at:] = last


# --- A and D --------------------------------------------------------------------------------------------------------------------------------

#: where a student stands for itself, the weekly state, how much worse, and how much of an absence counts
OWN, WEEKS = np.linspace(-3.3, 3.3, 45), np.linspace(-1.68, 1.68, 9)
WORSE, LEAVE = np.linspace(3 + 5 / 6, 8 - 5 / 6, 3), np.linspace(0.02, 0.98, 25)
NEXT_WEEK, UP = _steps(WEEKS, 0.7, 0.4).astype(np.float32), np.exp(WEEKS - 0.15)
#: (row, column) of paths: in the first row a change has not come, is over, or has gone on for so long that it lasts (by how much worse); in the others,
#: by how much worse, one that began on a day, modulo `SHORT`
SHORT, NONE, PASSED, LASTS = 40, 0, 1, 2
PATHS = (1 + len(WORSE)) * SHORT
#: that a change goes on, by the days it has lasted with this one
_LASTED = 0.5 + 0.5 * np.clip((SHORT - 1.0 - np.arange(SHORT)) / 30, 0, 1)
GOES_ON = np.append(1.0, _LASTED[1:] / _LASTED[:-1]).astype(np.float32)


class OfPropensities(_Reader[Propensities]):
    @classmethod
    def reading(
        cls, before: Propensities, now: Propensities, first: tuple[Bools, Bools], second: tuple[Bools, Bools], rng: np.random.Generator
    ) -> Self:  # fmt: skip
        n, leave = len(now.begin), LEAVE**2 * (1 - LEAVE) ** 3
        latent = now.of_school[:, None] + np.sqrt(0.85) * OWN
        rate, begin, stay = np.where(
            now.rates[:, None] == 1, propensity(now.tables[1], latent), propensity(now.tables[0], latent)
        )
        offset = rng.random((n, DAYS // EVERY))
        known = np.broadcast_to(_normal(OWN)[:, None] * leave / leave.sum(), (n, len(OWN), len(LEAVE)))
        for year, marks, link in ((before, first, _steps(OWN, 0.75, np.sqrt(1 - 0.75**2))), (now, second, None)):
            away, counted = marks
            told = away if year.each_day else away & ~np.pad(away, ((0, 0), (1, 0)))[:, :-1]
            tally = np.stack([np.cumsum(told & counted, axis=1), np.cumsum(told & ~counted, axis=1)], axis=2)
            places, more = np.zeros((2, n, DAYS // EVERY if link is None else 0, DRAWN), dtype=np.int32)
            [after] = _together(
                _follow_propensities, away, year.shock, begin, stay, rate, known, tally, offset, places, more
            )
            if link is not None:
                known = np.einsum("nol,op->npl", after, link)
        return cls(now, places, more)

    def drawn(self, rng: np.random.Generator, through: int) -> Propensities:
        place, leave = self._one(rng, through)
        year, last = self.year, through - 1
        own, week, path = np.unravel_index(place, (len(OWN), len(WEEKS), PATHS))
        latent = year.of_school + np.sqrt(0.85) * OWN[own]
        rate, begin, stay = np.where(
            year.rates == 1, propensity(year.tables[1], latent), propensity(year.tables[0], latent)
        )
        row, began = np.divmod(path, SHORT)
        return replace(
            year, begin=begin, stay=stay, share=share_of(LEAVE[leave], rate), week=_every_day(WEEKS[week]),
            worse=WORSE[np.where(row > 0, row - 1, np.maximum(began - LASTS, 0))],
            onset=np.where(row > 0, last - (last - began) % SHORT, np.where(began == NONE, DAYS, last - SHORT)),
            over=np.where((row == 0) & (began == PASSED), 0, DAYS),
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, fastmath=True)
def _follow_propensities(away, shock, begin, stay, rate, known, tally, offset, places, more):  # type: ignore[no-untyped-def]
    """(n, own, leave) what is known after the year's days, of what was known before; and draws from it on the days asked about."""
    n = len(away)
    after = np.zeros(known.shape)
    for i in range(n):
        of = np.zeros((len(OWN), len(WEEKS), 1 + len(WORSE), SHORT), dtype=np.float32)
        mixed = np.zeros((len(WEEKS), PATHS), dtype=np.float32)
        mass, goes_on = np.zeros(len(OWN)), np.zeros(SHORT, dtype=np.float32)
        for o in range(len(OWN)):
            mass[o] = known[i, o].sum()
            of[o, len(WEEKS) // 2, 0, NONE] = mass[o]
        chance = np.zeros((len(WEEKS), len(WORSE) + 1), dtype=np.float32)
        counts, weight = np.zeros((len(OWN), len(LEAVE))), np.zeros((len(OWN), len(WEEKS)))
        for d in range(DAYS):
            total = mass.sum()
            for since in range(SHORT):
                goes_on[(d - since) % SHORT] = GOES_ON[since]
            for o in range(len(OWN)):
                if mass[o] <= NOTHING * total:
                    mass[o] = 0.0
                    continue
                for k in range(len(WORSE) + 1):
                    for w in range(len(WEEKS)):
                        p = stay[i, o]
                        if d == 0 or not away[i, d - 1]:
                            p = begin[i, o] if k == 0 else max(begin[i, o], 0.004) * WORSE[k - 1]
                            p = min(p * UP[w] * shock[i, d], 0.85)
                        chance[w, k] = (p if away[i, d] else 1 - p) / total
                mass[o] = _day_of_propensities(of[o], chance, d, goes_on, mixed)
            if len(places[i]) and (d + 1) % EVERY == 0:
                _counts(rate[i], known[i], tally[i, d], mass, counts)
                for o in range(len(OWN)):
                    weight[o] = counts[o].sum() if mass[o] > 0 else 0.0
                asked = d // EVERY
                _draw(weight.ravel(), of.reshape(-1, PATHS), offset[i, asked], places[i, asked])
                for j in range(DRAWN):
                    o = places[i, asked, j] // (PATHS * len(WEEKS))
                    place = counts[o].sum() * ((0.618034 * j + offset[i, asked]) % 1)
                    more[i, asked, j] = min(np.searchsorted(np.cumsum(counts[o]), place), len(LEAVE) - 1)
        _counts(rate[i], known[i], tally[i, DAYS - 1], mass, counts)
        for o in range(len(OWN)):
            after[i, o] = counts[o] * mass[o]
        after[i] /= after[i].sum()
    return (after,)


@nb.njit(cache=True, fastmath=True)
def _counts(rate, known, tally, mass, counts):  # type: ignore[no-untyped-def]
    """(own, leave) how much likelier the marks' fates make each share, times how likely it was given the student's own place."""
    yes, no = tally
    for o in range(len(OWN)):
        if mass[o] > 0:
            before = known[o].sum()
            for k in range(len(LEAVE)):
                share = min(max(LEAVE[k] + 0.5 * min(rate[o], 0.4), 0.02), 0.97)
                counts[o, k] = known[o, k] / before * math.exp(yes * math.log(share) + no * math.log(1 - share))


@nb.njit(cache=True, fastmath=True)
def _day_of_propensities(of, chance, d, goes_on, mixed):  # type: ignore[no-untyped-def]
    """One day further, in place; the sum. of: (weeks, paths). chance: of the day's mark, (weeks, not worse and how much worse)."""
    if d % 5 == 0:
        np.dot(NEXT_WEEK.T, of.reshape(len(WEEKS), PATHS), mixed)
        of[:] = mixed.reshape(of.shape)
    fresh = np.float32(CHANGES / DAYS / (1 - CHANGES * d / DAYS))
    total = np.float32(0)
    for w in range(len(WEEKS)):
        begins, passed = of[w, 0, NONE] * fresh, of[w, 0, PASSED]
        for k in range(1, 1 + len(WORSE)):
            p, on, before = chance[w, k], np.float32(0), np.float32(0)
            of[w, 0, LASTS + k - 1] = (of[w, 0, LASTS + k - 1] + of[w, k, d % SHORT]) * p
            of[w, k, d % SHORT] = begins / np.float32(len(WORSE))
            for j in range(SHORT):
                was = of[w, k, j]
                now = was * goes_on[j]
                before += was
                on += now
                of[w, k, j] = now * p + HAIR
            passed += before - on
            total += on * p + of[w, 0, LASTS + k - 1]
        of[w, 0, NONE] = (of[w, 0, NONE] - begins) * chance[w, 0]
        of[w, 0, PASSED] = passed * chance[w, 0]
        total += of[w, 0, NONE] + of[w, 0, PASSED]
    return total


# --- B ------------------------------------------------------------------------------------------------------------------------------------

#: what a student's own chance of an absence and habit are, on normal scales
OWNS, HABITS = np.linspace(-3, 3, 13), np.linspace(-3, 3, 13)
MOVE = np.diff(MOVES, prepend=0, axis=1)
MOVE[:, 3] = 1 - MOVE[:, :3].sum(axis=1)
OWN_CHANCE = np.repeat(np.exp(0.35 * OWNS), len(HABITS))
LEAVES = 1 / (1 + np.exp(-np.log(LEAVE_IN / (1 - LEAVE_IN))[:, None] - np.tile(0.6 * HABITS, len(OWNS))))
KINDS, NO_SPELL, LONG_ONE, SHORT_ONE = 3, 0, 1, 2
ENDS = np.array([1.0, LONG_ENDS, SHORT_ENDS])


class OfStates(_Reader[States]):
    draws_spell = True

    @classmethod
    def reading(
        cls, before: States, now: States, first: tuple[Bools, Bools], second: tuple[Bools, Bools], rng: np.random.Generator
    ) -> Self:  # fmt: skip
        n = len(now.own)
        offset = rng.random((n, DAYS // EVERY))
        known = now.settled[:, :, None] * np.outer(_normal(OWNS), _normal(HABITS)).ravel()
        for year, marks in ((before, first), (now, second)):
            known = (1 - ANEW) * known + ANEW * known.sum(axis=1, keepdims=True) * year.settled[:, :, None]
            places = np.zeros((n, DAYS // EVERY if year is now else 0, DRAWN), dtype=np.int32)
            [known] = _together(_follow_states, *marks, year.shock, known, offset, places)
        return cls(now, places, np.zeros_like(places))

    def drawn(self, rng: np.random.Generator, through: int) -> States:
        place, _ = self._one(rng, through)
        state, kind, own, habit = np.unravel_index(place, (len(BEGINS_IN), KINDS, len(OWNS), len(HABITS)))
        left = np.where(kind == NO_SPELL, 0, rng.geometric(ENDS[kind]) - 1)
        return replace(
            self.year,
            own=np.exp(0.35 * OWNS[own]),
            habit=0.6 * HABITS[habit],
            state=_every_day(state),
            left=_every_day(left),
        )


@nb.njit(cache=True, nogil=True, fastmath=True)
def _follow_states(away, counted, shock, known, offset, places):  # type: ignore[no-untyped-def]
    """(n, states, own and habit) what is known after the year's days, of what was known before; and draws from it on the days asked about."""
    n, days = away.shape
    after = np.zeros(known.shape)
    for i in range(n):
        of = np.zeros((known.shape[1], KINDS, known.shape[2]))
        of[:, NO_SPELL] = known[i]
        moved = np.zeros(of.shape)
        for d in range(days):
            same = d > 0 and away[i, d - 1] and counted[i, d - 1] == counted[i, d]
            moved[:] = 0
            for s in range(len(of)):
                for now in range(len(of)):
                    moved[now] += MOVE[s, now] * of[s]
            for s in range(len(of)):
                _day_of_states(of[s], moved[s], BEGINS_IN[s] * shock[i, d], LEAVES[s], away[i, d], counted[i, d], same)
            of /= of.sum()
            if len(places[i]) and (d + 1) % EVERY == 0:
                _draw(
                    np.ones(of.shape[0] * KINDS),
                    of.reshape(-1, of.shape[2]),
                    offset[i, d // EVERY],
                    places[i, d // EVERY],
                )
        after[i] = of.sum(axis=1)
    return (after,)


@nb.njit(cache=True, fastmath=True)
def _day_of_states(of, moved, begins_in, leaves, away, counted, same):  # type: ignore[no-untyped-def]
    """One day further in a state, which students have moved to. of, moved: (kinds of spell, own and habit). same: away the day before, and counted as today."""
    for s in range(of.shape[1]):
        free = moved[NO_SPELL, s] + LONG_ENDS * moved[LONG_ONE, s] + SHORT_ENDS * moved[SHORT_ONE, s]
        begins = min(begins_in * OWN_CHANCE[s], 0.8)
        if away:
            new = free * begins * (leaves[s] if counted else 1 - leaves[s])
            of[NO_SPELL, s] = 0.0
            of[LONG_ONE, s] = new * LONG + same * (1 - LONG_ENDS) * moved[LONG_ONE, s]
            of[SHORT_ONE, s] = new * (1 - LONG) + same * (1 - SHORT_ENDS) * moved[SHORT_ONE, s]
        else:
            of[NO_SPELL, s] = free * (1 - begins)
            of[LONG_ONE, s] = of[SHORT_ONE, s] = 0.0


# --- C ------------------------------------------------------------------------------------------------------------------------------------

#: how far a student's year is from what is usual, the wandering inclination, how frail on a normal scale; the favourite: a weekday, the last for none
APART, WANDER, FRAIL = np.linspace(-4.75, 4.75, 39), np.linspace(-2.4, 2.4, 25), np.linspace(-3, 3, 17)
BEGINS, FAVOURITE = _normal(WANDER, 0.8), np.array([0.06] * 5 + [0.7])
NEXT_DAY = _steps(WANDER, 0.97, 0.8 * np.sqrt(1 - 0.97**2)).astype(np.float32)
LASTING, OF_YEAR = 1.25**2, 0.4**2


class OfInclined(_Reader[Inclined]):
    @classmethod
    def reading(
        cls, before: Inclined, now: Inclined, first: tuple[Bools, Bools], second: tuple[Bools, Bools], rng: np.random.Generator
    ) -> Self:  # fmt: skip
        n, whole = len(now.usual), LASTING + OF_YEAR
        offset = rng.random((n, DAYS // EVERY))
        apart = np.broadcast_to(_normal(APART, np.sqrt(whole)), (n, len(APART)))
        frail = np.broadcast_to(_normal(FRAIL), (n, len(FRAIL)))
        link = _steps(APART, LASTING / whole, np.sqrt(whole * (1 - (LASTING / whole) ** 2)))
        for year, marks in ((before, first), (now, second)):
            places, more = np.zeros((2, n, DAYS // EVERY if year is now else 0, DRAWN), dtype=np.int32)
            away, truant = marks
            apart, frail = _together(
                _follow_inclined, away & ~truant, truant, year.shock, year.typical, apart, frail, offset, places, more
            )
            apart = apart @ link
        return cls(now, places, rng.permuted(more, axis=2))

    def drawn(self, rng: np.random.Generator, through: int) -> Inclined:
        place, frail = self._one(rng, through)
        wander, favourite, apart = np.unravel_index(place, (len(WANDER), len(FAVOURITE), len(APART)))
        return replace(
            self.year, usual=self.year.typical + APART[apart], favourite=favourite, wander=_every_day(WANDER[wander]),
            frail=np.exp(-4.3 + 0.6 * FRAIL[frail]),
        )  # fmt: skip


@nb.njit(cache=True, nogil=True, fastmath=True)
def _follow_inclined(ill, truant, shock, typical, apart, frail, offset, places, more):  # type: ignore[no-untyped-def]
    """What is known of each after the year's days, of what was known before; and draws from it on the days asked about."""
    n, days = ill.shape
    after, frailer = np.zeros(apart.shape), np.zeros(frail.shape)
    for i in range(n):
        of = np.zeros((len(WANDER), len(FAVOURITE), len(APART)), dtype=np.float32)
        mixed, flat = np.zeros(of.shape, dtype=np.float32), (len(WANDER), len(FAVOURITE) * len(APART))
        chance, lies = np.zeros((2, len(WANDER), len(APART)), dtype=np.float32), frail[i].copy().reshape(1, -1)
        for w in range(len(WANDER)):
            for f in range(len(FAVOURITE)):
                of[w, f] = apart[i] * FAVOURITE[f] * BEGINS[w]
            for a in range(len(APART)):
                for favourite in range(2):
                    chance[favourite, w, a] = 1 / (1 + math.exp(-typical[i] - APART[a] - WANDER[w] - 0.9 * favourite))
        for d in range(days):
            if d == 0 or not ill[i, d - 1]:
                for f in range(len(FRAIL)):
                    p = min(math.exp(-4.3 + 0.6 * FRAIL[f]) * shock[i, d], 0.6)
                    lies[0, f] *= p if ill[i, d] else 1 - p
                lies /= lies.sum()
            np.dot(NEXT_DAY.T, of.reshape(flat), mixed.reshape(flat))
            never, sign, total = np.float32(1 - truant[i, d]), np.float32(2 * truant[i, d] - 1.0), np.float32(0)
            if ill[i, d]:
                never, sign = np.float32(1), np.float32(0)
            for w in range(len(WANDER)):
                for f in range(len(FAVOURITE)):
                    favourite = 1 if f == d % 5 else 0
                    for a in range(len(APART)):
                        now = mixed[w, f, a] * (never + sign * chance[favourite, w, a]) + HAIR
                        of[w, f, a] = now
                        total += now
            of /= total
            if len(places[i]) and (d + 1) % EVERY == 0:
                asked = d // EVERY
                _draw(
                    np.ones(of.shape[0] * of.shape[1]), of.reshape(-1, len(APART)), offset[i, asked], places[i, asked]
                )
                _draw(np.ones(1), lies, offset[i, asked], more[i, asked])
        after[i] = of.sum(axis=0).sum(axis=0)
        frailer[i] = lies[0]
    return after, frailer
