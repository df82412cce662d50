"""Made-up districts that owe nothing to the simulator: four other stories of why a student is away, to judge a forecast on.

- *A*  facts.md § 5 as written: a propensity, spells that grow with it, a weekly state, lasting changes for the worse, shocks
- *B*  four hidden states, from steady to in trouble; most spells short, some long
- *C*  truancy a day at a time by a wandering inclination, with a favourite weekday; illness in spells beside it
- *D*  A, where each day's mark is drawn by itself, not a spell's

A `p` behind the letter: of spells that end excused two in five are first entered unexcused, or without a reason, and corrected days later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, EXCUSED, PENDING, PRESENT, Fates
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before
from firstbell.forecast.training import ClosedYear

__all__ = ["STRANGERS", "Hidden", "Inclined", "Propensities", "States", "stranger"]

STRANGERS = ("A", "B", "C", "D", "Ap", "Bp", "Cp", "Dp")
SCHOOL, DAYS, EVERY = 500, 175, 5
#: facts.md § 1: England 2022/23, two Betas
MIXTURE = {False: (0.888, 1.38, 24.3, 0.37, 2.35), True: (0.766, 1.44, 21.9, 0.45, 1.66)}
WEEKDAY = np.array([1.05, 0.97, 0.95, 0.97, 1.06])
#: school days after which weeks without school follow: autumn, winter, February, spring
BREAKS = (62, 78, 112, 140)
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Hidden(Protocol):
    """What made a year's marks and shows in none of them."""

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        """A future drawn by chance from the state at the end of the first `through` days: (n, days) away, and counted.

        spell: how long the absence going on then really lasted is known too.
        """

    def only(self, rows: NDArray[np.int64]) -> Hidden:
        """Of these students."""


class _Students:
    """(n, ...) arrays of the same students, and what is the same for all."""

    def only(self, rows: NDArray[np.int64]) -> Self:
        fields = ((name, getattr(self, name)) for name in self.__dataclass_fields__)  # type: ignore[attr-defined]
        mine: Self = replace(self, **{name: of[rows] for name, of in fields if isinstance(of, np.ndarray)})  # type: ignore[type-var]
        return mine


@dataclass(frozen=True, slots=True)
class _Year:
    """(students, days) each: away; of the days away, those that count in the end; and the day on which the spell going on began."""

    away: Bools
    counted: Bools
    spell: NDArray[np.int64]
    hidden: Hidden


def stranger(name: str, students: int, seed: int) -> tuple[list[ClosedYear], list[ClosedYear], tuple[Hidden, Hidden]]:
    """The first year to learn from, the second to judge on, and what made each, a row a student's number."""
    rng = np.random.default_rng([seed, *name.encode()])
    schools = max(students // SCHOOL, 1)
    n = schools * SCHOOL
    school = np.repeat(np.arange(schools), SCHOOL)
    grade = np.where(
        school % 2 == 0, rng.integers(0, 6, n), np.where(school % 4 == 1, rng.integers(6, 9, n), rng.integers(9, 13, n))
    )
    years = {"B": _by_state, "C": _by_inclination}.get(name[0], _by_propensity)(rng, school, grade, name[0] == "D")
    before = {c: Before.nothing(n) for c in Counted}
    found: tuple[list[ClosedYear], list[ClosedYear]] = [], []
    for number, year in enumerate(years):
        final, first, settled = _marks(rng, year, provisional=name.endswith("p"))
        for s in range(schools):
            rows = np.flatnonzero(school == s)
            found[number].append(
                _closed(number, s, rows, grade[rows], final[rows], first[rows], settled[rows], before, n)
            )
        if number == 0:
            for closed in found[0]:
                end = replace(closed.known[-1], through=DAYS, kinds=closed.final)
                for c in Counted:
                    its = summary(end, c, Fates.of_a_closed_year())
                    for field in Before.__slots__:
                        getattr(before[c], field)[closed.student] = getattr(its, field)
    return *found, (years[0].hidden, years[1].hidden)


def _dates(year: int) -> NDArray[np.datetime64]:
    days = np.arange(np.datetime64(f"{2024 + year}-08-19"), np.datetime64(f"{2025 + year}-07-31"))
    days = days[(days.astype(np.int64) + 3) % 7 < 5]
    gone = np.concatenate([np.arange(b, b + 5) + 5 * k for k, b in enumerate(BREAKS)])
    return np.delete(days, gone)[:DAYS]


def _closed(
    number: int, school: int, rows: NDArray[np.int64], grade: NDArray[np.int64], final: NDArray[np.uint8], first: NDArray[np.uint8],
    settled: NDArray[np.int64], before: dict[Counted, Before], n: int,
) -> ClosedYear:  # fmt: skip
    band = np.where(grade < 6, 0, np.where(grade < 9, 1, 2)).astype(np.int8)
    group = np.unique(grade, return_inverse=True)[1].astype(np.int32)
    mine = {c: b.rows(rows) for c, b in before.items()} if number else {}

    def kinds(marks: NDArray[np.uint8]) -> dict[Counted, NDArray[np.uint8]]:
        return {Counted.UNEXCUSED: marks, Counted.ABSENT: np.where(marks > PRESENT, COUNTED, PRESENT).astype(np.uint8)}

    known = [
        Known(
            _dates(number), through, kinds(np.where(settled < through, final, first)[:, :through].astype(np.uint8)),
            np.ones(len(rows), dtype=np.bool_), group, band, Carried.nothing(len(rows)), mine,
        )
        for through in range(EVERY, DAYS, EVERY)
    ]  # fmt: skip
    return ClosedYear(2025 + number, school, known, kinds(final), rows, np.zeros((len(rows), DAYS), dtype=np.bool_))


def _marks(
    rng: np.random.Generator, year: _Year, *, provisional: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """(n, days) each: the mark in the end, the mark as first entered, and the school day after which it is the one in the end."""
    final = np.where(year.counted, COUNTED, np.where(year.away, EXCUSED, PRESENT)).astype(np.uint8)
    settled = np.broadcast_to(np.arange(DAYS), final.shape).copy()
    first = final.copy()
    if provisional:
        rows = np.arange(len(final))[:, None]
        late = (rng.random(final.shape) < 0.4)[rows, year.spell] & (final == EXCUSED)
        lag = np.minimum(rng.geometric(0.2, final.shape), 20)[rows, year.spell]
        as_if = np.where(rng.random(final.shape)[rows, year.spell] < 0.5, COUNTED, PENDING)
        first = np.where(late, as_if, final).astype(np.uint8)
        settled = np.where(late, year.spell + lag, settled)
        settled = np.maximum(settled, np.arange(DAYS) - 1)
    return final, first, settled


def _spell_of(away: Bools) -> NDArray[np.int64]:
    begins = away & ~np.concatenate([np.zeros((len(away), 1), dtype=np.bool_), away[:, :-1]], axis=1)
    return np.maximum(np.maximum.accumulate(np.where(begins, np.arange(DAYS), -1), axis=1), 0)


def _shocks(rng: np.random.Generator, schools: int) -> Floats:
    """(schools, days): what the calendar and a bad day do to the chance that an absence begins."""
    day = WEEKDAY[np.arange(DAYS) % 5] * np.exp(0.1 * rng.standard_normal(DAYS))
    day *= np.where(rng.random(DAYS) < 0.08, 1 + rng.exponential(0.6, DAYS), 1.0)
    for b in BREAKS:
        day[b - 1] *= 1.6
    own = np.exp(0.2 * rng.standard_normal((schools, DAYS)))
    own *= np.where(rng.random((schools, DAYS)) < 0.05, 1 + rng.exponential(0.7, (schools, DAYS)), 1.0)
    shocks: Floats = day * own
    return shocks


def days_left(away: Bools, through: int) -> NDArray[np.int64]:
    """(n,) how many more days the absence going on at the end of the first `through` days lasts; -1 for who was there."""
    rest = away[:, through:]
    until = np.where(rest.all(axis=1), rest.shape[1], np.argmin(rest, axis=1) if rest.shape[1] else 0)
    return np.where(away[:, through - 1], until, -1)


#: who changes for the worse in a year
CHANGES = 0.06


@dataclass(frozen=True, slots=True)
class Propensities(_Students):
    """Of A and D. A change for the worse goes on from `onset` to the day before `over`; week (n, weeks) a student's weekly state.

    shock (n, days) is what the days gone by did to their chances; rates, of the two tables of a grade's propensities, is the student's own.
    """

    school: NDArray[np.int64]
    shock: Floats
    rates: NDArray[np.int64]
    tables: tuple[Floats, Floats]
    of_school: Floats
    begin: Floats
    stay: Floats
    share: Floats
    each_day: bool
    onset: NDArray[np.int64]
    over: NDArray[np.int64]
    worse: Floats
    week: Floats
    away: Bools
    counted: Bools

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        n = len(self.begin)
        shocks = _shocks(rng, int(self.school.max()) + 1)
        onset, over, worse = self._changes(rng, through)
        week, here = self.week[:, (through - 1) // 5], self.away[:, through - 1]
        counts, left = self.counted[:, through - 1], days_left(self.away, through)
        away, counted = np.zeros((2, n, days), dtype=np.bool_)
        for j in range(days):
            d = through + j
            if d % 5 == 0:
                week = _next_week(rng, week)
            change = np.where((d >= onset) & (d < over), worse, 1.0)
            now = rng.random(n) < np.where(here, self.stay, _begins(self.begin, change, week, shocks[self.school, d]))
            if spell:
                now = (now & (j != left)) | (j < left)
            counts = np.where(now & (~here | self.each_day), rng.random(n) < self.share, counts)
            away[:, j], counted[:, j], here = now, now & counts, now
        return away, counted

    def _changes(self, rng: np.random.Generator, through: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Those to come are drawn anew, and when one that goes on will be over."""
        n, last = len(self.onset), through - 1
        to_come = self.onset > last
        share = CHANGES * (DAYS - through) / DAYS
        onset = np.where(rng.random(n) < share / (share + 1 - CHANGES), rng.integers(through, DAYS, n), DAYS)
        onset = np.where(to_come, onset, self.onset)
        least = np.where(to_come, 10, np.maximum(last - onset + 1, 10))
        passes = (40 - np.minimum(least, 40)) / 30  # how likely one that passes has lasted as long
        length = np.where(rng.random(n) < passes / (1 + passes), rng.integers(least, np.maximum(least + 1, 40)), DAYS)
        over = np.where(self.over <= last, self.over, onset + length)
        return onset, over, np.where(to_come, rng.uniform(3, 8, n), self.worse)


def propensity(table: Floats, latent: Floats) -> tuple[Floats, Floats, Floats]:
    """(rate, chance that an absence begins, that it goes on) of who stands so among all, on a normal scale."""
    place = 0.5 * (
        1 + np.tanh(0.797885 * (latent + 0.044715 * latent**3))
    )  # the normal's distribution function, near enough
    rate = table[np.clip(place * 20_000, 0, 19_999).astype(int)]
    length = np.where(rate < 0.06, 1.75, np.where(rate < 0.15, 2.2, 3.2))
    return rate, rate / np.maximum(1 - rate, 0.1) / length, 1 - 1 / length


def share_of(leave: Floats, rate: Floats) -> Floats:
    """Of absences, that count."""
    return np.clip(leave + 0.5 * np.minimum(rate, 0.4), 0.02, 0.97)


def _next_week(rng: np.random.Generator, week: Floats) -> Floats:
    return 0.7 * week + 0.4 * rng.standard_normal(len(week))


def _begins(begin: Floats, change: Floats, week: Floats, shock: Floats) -> Floats:
    return np.clip(np.maximum(begin, 0.004 * (change > 1)) * change * np.exp(week - 0.15) * shock, 0, 0.85)


def _by_propensity(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], each_day: bool
) -> list[_Year]:
    n = len(school)
    high = grade >= 6
    primary, later = (
        np.sort(np.where(rng.random(20_000) < w, rng.beta(a, b, 20_000), rng.beta(c, d, 20_000))) for w, a, b, c, d in MIXTURE.values()
    )  # fmt: skip
    of_school = np.sqrt(0.15) * rng.standard_normal(int(school.max()) + 1)[school]
    lasting, leave = rng.standard_normal(n), rng.beta(3, 4, n)
    years = []
    for _ in range(2):
        own = np.sqrt(0.75) * lasting + np.sqrt(0.25) * rng.standard_normal(n)
        latent = of_school + np.sqrt(0.85) * own
        rate, begin, stay = np.where(high, propensity(later, latent), propensity(primary, latent))
        onset = np.where(rng.random(n) < CHANGES, rng.integers(0, DAYS, n), DAYS)
        over = onset + np.where(rng.random(n) < 0.5, rng.integers(10, 40, n), DAYS)
        worse = rng.uniform(3, 8, n)
        shocks, week = _shocks(rng, int(school.max()) + 1), np.zeros(n)
        weeks = np.zeros((n, DAYS // 5))
        away = np.zeros((n, DAYS), dtype=np.bool_)
        here = np.zeros(n, dtype=np.bool_)
        for d in range(DAYS):
            if d % 5 == 0:
                week = weeks[:, d // 5] = _next_week(rng, week)
            change = np.where((d >= onset) & (d < over), worse, 1.0)
            start = _begins(begin, change, week, shocks[school, d])
            here = rng.random(n) < np.where(here, stay, start)
            away[:, d] = here
        spell = _spell_of(away)
        drawn = rng.random((n, DAYS))
        if not each_day:
            drawn = drawn[np.arange(n)[:, None], spell]
        share = share_of(leave, rate)
        counted = away & (drawn < share[:, None])
        hidden = Propensities(
            school, shocks[school], high.astype(np.int64), (primary, later), of_school, begin, stay, share, each_day, onset, over, worse,
            weeks, away, counted,
        )  # fmt: skip
        years.append(_Year(away, counted, spell, hidden))
    return years


#: chances that a spell of B is a long one, and that a long one and a short one end on any day
LONG, LONG_ENDS, SHORT_ENDS = 0.15, 0.17, 0.7
BEGINS_IN, LEAVE_IN = np.array([0.014, 0.045, 0.1, 0.28]), np.array([0.25, 0.4, 0.6, 0.8])
ANEW = 0.4  # of students, over the summer
MOVES = np.cumsum(
    [[0.9965, 0.003, 0.0005, 0.0], [0.015, 0.979, 0.0055, 0.0005], [0.003, 0.02, 0.97, 0.007], [0.0, 0.005, 0.02, 0.975]], axis=1
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class States(_Students):
    """Of B. state (n, days); lasted, left (n, days): days of the spell going on that are gone, and that are still to come.

    shock (n, days) is what the days gone by did to their chances; settled (n, states) the chances of each state to begin with.
    """

    school: NDArray[np.int64]
    shock: Floats
    settled: Floats
    own: Floats
    habit: Floats
    state: NDArray[np.int8]
    lasted: NDArray[np.int16]
    left: NDArray[np.int16]
    counts: Bools

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        n, last = len(self.own), through - 1
        shocks = _shocks(rng, int(self.school.max()) + 1)
        state, counts, left = self.state[:, last].astype(np.int64), self.counts[:, last], self.left[:, last]
        if not spell:
            gone = self.lasted[:, last]
            long, short = LONG * (1 - LONG_ENDS) ** (gone - 1.0), (1 - LONG) * (1 - SHORT_ENDS) ** (gone - 1.0)
            ends = np.where(rng.random(n) < long / (long + short), LONG_ENDS, SHORT_ENDS)
            left = np.where(gone > 0, rng.geometric(ends) - 1, 0)
        away, counted = np.zeros((2, n, days), dtype=np.bool_)
        for j in range(days):
            state, _new, left, counts = _next_day(
                rng, state, left, counts, self.own * shocks[self.school, through + j], self.habit
            )
            away[:, j] = left > 0
            counted[:, j] = away[:, j] & counts
            left = np.maximum(left - 1, 0)
        return away, counted


def _next_day(
    rng: np.random.Generator, state: NDArray[np.int64], left: NDArray[np.int64], counts: Bools, own: Floats, habit: Floats
) -> tuple[NDArray[np.int64], Bools, NDArray[np.int64], Bools]:  # fmt: skip
    """(state, whose spell begins, days left of each spell with this one, whether it counts)."""
    n = len(state)
    state = np.minimum((rng.random(n)[:, None] > MOVES[state]).sum(axis=1), 3)
    new = (left == 0) & (rng.random(n) < np.clip(BEGINS_IN[state] * own, 0, 0.8))
    long = rng.random(n) < LONG
    left = np.where(new, np.where(long, rng.geometric(LONG_ENDS, n), rng.geometric(SHORT_ENDS, n)), left)
    odds = np.log(LEAVE_IN[state] / (1 - LEAVE_IN[state])) + habit
    return state, new, left, np.where(new, rng.random(n) < 1 / (1 + np.exp(-odds)), counts)


def _by_state(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], _each_day: bool
) -> list[_Year]:
    n = len(school)
    settle = np.cumsum([[0.82, 0.13, 0.04, 0.01], [0.65, 0.24, 0.08, 0.03]], axis=1)[(grade >= 6).astype(int)]
    own, habit = np.exp(0.35 * rng.standard_normal(n)), 0.6 * rng.standard_normal(n)
    state = (rng.random(n)[:, None] > settle).sum(axis=1)
    years = []
    for _ in range(2):
        again = rng.random(n) < ANEW
        state = np.where(again, (rng.random(n)[:, None] > settle).sum(axis=1), state)
        shocks = _shocks(rng, int(school.max()) + 1)
        away, counted, fate = np.zeros((3, n, DAYS), dtype=np.bool_)
        spell, left = np.zeros((n, DAYS), dtype=np.int64), np.zeros(n, dtype=np.int64)
        since, counts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        states, lasted, lasts = np.zeros((n, DAYS), dtype=np.int8), *np.zeros((2, n, DAYS), dtype=np.int16)
        for d in range(DAYS):
            state, new, left, counts = _next_day(rng, state, left, counts, own * shocks[school, d], habit)
            since = np.where(new, d, since)
            away[:, d] = left > 0
            counted[:, d], spell[:, d] = away[:, d] & counts, np.where(away[:, d], since, 0)
            lasted[:, d] = np.where(away[:, d], d - since + 1, 0)
            left = np.maximum(left - 1, 0)
            states[:, d], lasts[:, d], fate[:, d] = state, left, counts
        hidden = States(school, shocks[school], np.diff(settle, prepend=0), own, habit, states, lasted, lasts, fate)
        years.append(_Year(away, counted, spell, hidden))
    return years


@dataclass(frozen=True, slots=True)
class Inclined(_Students):
    """Of C. wander (n, days), and who lies ill. A truant day is drawn by itself: of a spell only the illness goes on.

    shock (n, days) is what the days gone by did to their chances; typical, what is usual at the student's grade.
    """

    school: NDArray[np.int64]
    shock: Floats
    typical: Floats
    usual: Floats
    frail: Floats
    favourite: NDArray[np.int64]
    wander: NDArray[np.float32]
    ill: Bools

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        n = len(self.usual)
        shocks = _shocks(rng, int(self.school.max()) + 1)
        wander, ill, left = self.wander[:, through - 1], self.ill[:, through - 1], days_left(self.ill, through)
        away, counted = np.zeros((2, n, days), dtype=np.bool_)
        for j in range(days):
            d = through + j
            wander, ill, truant = self._day(rng, wander, ill, d, shocks[self.school, d])
            if spell:
                ill = (ill & (j != left)) | (j < left)
                truant &= ~ill
            away[:, j], counted[:, j] = ill | truant, truant
        return away, counted

    def _day(
        self, rng: np.random.Generator, wander: Floats, ill: Bools, d: int, shock: Floats
    ) -> tuple[Floats, Bools, Bools]:
        """(inclination, ill, truant)."""
        n = len(wander)
        wander = 0.97 * wander + 0.8 * np.sqrt(1 - 0.97**2) * rng.standard_normal(n)
        ill = rng.random(n) < np.where(ill, 0.58, np.clip(self.frail * shock, 0, 0.6))
        odds = self.usual + wander + 0.9 * (self.favourite == d % 5)
        return wander, ill, ~ill & (rng.random(n) < 1 / (1 + np.exp(-odds)))


def _by_inclination(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], _each_day: bool
) -> list[_Year]:
    n = len(school)
    typical = np.where(grade >= 9, -4.1, -4.6)
    usual = typical + rng.normal(0, 1.25, n)
    frail = np.exp(rng.normal(-4.3, 0.6, n))
    years = []
    for _ in range(2):
        year, wander = usual + 0.4 * rng.standard_normal(n), 0.8 * rng.standard_normal(n)
        favourite = np.where(rng.random(n) < 0.3, rng.integers(0, 5, n), -1)
        shocks = _shocks(rng, int(school.max()) + 1)
        away, counted, ills = np.zeros((3, n, DAYS), dtype=np.bool_)
        ill = np.zeros(n, dtype=np.bool_)
        hidden = Inclined(
            school, shocks[school], typical, year, frail, favourite, np.zeros((n, DAYS), dtype=np.float32), ills
        )  # fmt: skip
        for d in range(DAYS):
            wander, ill, truant = hidden._day(rng, wander, ill, d, shocks[school, d])
            away[:, d], counted[:, d] = ill | truant, truant
            hidden.wander[:, d], ills[:, d] = wander, ill
        years.append(_Year(away, counted, _spell_of(away), hidden))
    return years
