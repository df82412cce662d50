"""Made-up districts that owe nothing to the simulator: four other stories of why a student is away, to judge a forecast on.

- *A*  facts.md § 5 as written: a propensity, spells that grow with it, a weekly state, lasting changes for the worse, shocks
- *B*  four hidden states, from steady to in trouble; most spells short, some long
- *C*  truancy a day at a time by a wandering inclination, with a favourite weekday; illness in spells beside it
- *D*  A, where each day's mark is drawn by itself, not a spell's

A `p` behind the letter: of spells that end excused two in five are first entered unexcused, or without a reason, and corrected days later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, EXCUSED, PENDING, PRESENT, Fates
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before
from firstbell.forecast.training import ClosedYear

__all__ = ["STRANGERS", "stranger"]

STRANGERS = ("A", "B", "C", "D", "Ap", "Bp", "Cp", "Dp")
SCHOOL, DAYS, EVERY = 500, 175, 5
#: facts.md § 1: England 2022/23, two Betas
MIXTURE = {False: (0.888, 1.38, 24.3, 0.37, 2.35), True: (0.766, 1.44, 21.9, 0.45, 1.66)}
WEEKDAY = np.array([1.05, 0.97, 0.95, 0.97, 1.06])
#: school days after which weeks without school follow: autumn, winter, February, spring
BREAKS = (62, 78, 112, 140)
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Year:
    """(students, days) each: away; of the days away, those that count in the end; and the day on which the spell going on began."""

    away: Bools
    counted: Bools
    spell: NDArray[np.int64]


def stranger(name: str, students: int, seed: int) -> tuple[list[ClosedYear], list[ClosedYear]]:
    """The first year to learn from, the second to judge on."""
    rng = np.random.default_rng([seed, *name.encode()])
    schools = max(students // SCHOOL, 1)
    n = schools * SCHOOL
    school = np.repeat(np.arange(schools), SCHOOL)
    grade = np.where(
        school % 2 == 0, rng.integers(0, 6, n), np.where(school % 4 == 1, rng.integers(6, 9, n), rng.integers(9, 13, n))
    )
    years = {"B": _hidden_states, "C": _inclined}.get(name[0], _propensities)(rng, school, grade, name[0] == "D")
    before = {c: Before.nothing(n) for c in Counted}
    found: tuple[list[ClosedYear], list[ClosedYear]] = ([], [])
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
    return found


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


def _shocks(rng: np.random.Generator, school: NDArray[np.int64]) -> Floats:
    """(n, days): what the calendar and a bad day do to the chance that an absence begins."""
    day = WEEKDAY[np.arange(DAYS) % 5] * np.exp(0.1 * rng.standard_normal(DAYS))
    day *= np.where(rng.random(DAYS) < 0.08, 1 + rng.exponential(0.6, DAYS), 1.0)
    for b in BREAKS:
        day[b - 1] *= 1.6
    schools = int(school.max()) + 1
    own = np.exp(0.2 * rng.standard_normal((schools, DAYS)))
    own *= np.where(rng.random((schools, DAYS)) < 0.05, 1 + rng.exponential(0.7, (schools, DAYS)), 1.0)
    shocks: Floats = day * own[school]
    return shocks


def _propensities(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], each_day: bool
) -> list[_Year]:
    n = len(school)
    high = grade >= 6
    table = np.empty((2, 20_000))
    for k, (w, a, b, c, d) in enumerate(MIXTURE.values()):
        table[k] = np.sort(np.where(rng.random(20_000) < w, rng.beta(a, b, 20_000), rng.beta(c, d, 20_000)))
    of_school = np.sqrt(0.15) * rng.standard_normal(int(school.max()) + 1)[school]
    lasting, leave = rng.standard_normal(n), rng.beta(3, 4, n)
    years = []
    for _ in range(2):
        own = np.sqrt(0.75) * lasting + np.sqrt(0.25) * rng.standard_normal(n)
        latent = of_school + np.sqrt(0.85) * own
        place = 0.5 * (
            1 + np.tanh(0.797885 * (latent + 0.044715 * latent**3))
        )  # the normal's distribution function, near enough
        rate = table[high.astype(int), np.clip(place * 20_000, 0, 19_999).astype(int)]
        length = np.where(rate < 0.06, 1.75, np.where(rate < 0.15, 2.2, 3.2))
        stay, begin = 1 - 1 / length, rate / np.maximum(1 - rate, 0.1) / length
        onset = np.where(rng.random(n) < 0.06, rng.integers(0, DAYS, n), DAYS)
        over = onset + np.where(rng.random(n) < 0.5, rng.integers(10, 40, n), DAYS)
        worse = rng.uniform(3, 8, n)
        shocks, week = _shocks(rng, school), np.zeros(n)
        away = np.zeros((n, DAYS), dtype=np.bool_)
        here = np.zeros(n, dtype=np.bool_)
        for d in range(DAYS):
            if d % 5 == 0:
                week = 0.7 * week + 0.4 * rng.standard_normal(n)
            change = np.where((d >= onset) & (d < over), worse, 1.0)
            start = np.clip(
                np.maximum(begin, 0.004 * (change > 1)) * change * np.exp(week - 0.15) * shocks[:, d], 0, 0.85
            )
            here = rng.random(n) < np.where(here, stay, start)
            away[:, d] = here
        spell = _spell_of(away)
        drawn = rng.random((n, DAYS))
        if not each_day:
            drawn = drawn[np.arange(n)[:, None], spell]
        share = np.clip(leave + 0.5 * np.minimum(rate, 0.4), 0.02, 0.97)
        years.append(_Year(away, away & (drawn < share[:, None]), spell))
    return years


def _hidden_states(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], _each_day: bool
) -> list[_Year]:
    n = len(school)
    begins, leave = np.array([0.014, 0.045, 0.1, 0.28]), np.array([0.25, 0.4, 0.6, 0.8])
    settle = np.cumsum([[0.82, 0.13, 0.04, 0.01], [0.65, 0.24, 0.08, 0.03]], axis=1)[(grade >= 6).astype(int)]
    moves = np.cumsum(
        [[0.9965, 0.003, 0.0005, 0.0], [0.015, 0.979, 0.0055, 0.0005], [0.003, 0.02, 0.97, 0.007], [0.0, 0.005, 0.02, 0.975]], axis=1
    )  # fmt: skip
    own, habit = np.exp(0.35 * rng.standard_normal(n)), 0.6 * rng.standard_normal(n)
    state = (rng.random(n)[:, None] > settle).sum(axis=1)
    years = []
    for _ in range(2):
        again = rng.random(n) < 0.4  # over the summer some begin anew
        state = np.where(again, (rng.random(n)[:, None] > settle).sum(axis=1), state)
        shocks = _shocks(rng, school)
        away, counted = np.zeros((n, DAYS), dtype=np.bool_), np.zeros((n, DAYS), dtype=np.bool_)
        spell, left = np.zeros((n, DAYS), dtype=np.int64), np.zeros(n, dtype=np.int64)
        since, counts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        for d in range(DAYS):
            state = np.minimum((rng.random(n)[:, None] > moves[state]).sum(axis=1), 3)
            new = (left == 0) & (rng.random(n) < np.clip(begins[state] * own * shocks[:, d], 0, 0.8))
            long = rng.random(n) < 0.15
            left = np.where(new, np.where(long, rng.geometric(0.17, n), rng.geometric(0.7, n)), left)
            odds = np.log(leave[state] / (1 - leave[state])) + habit
            counts = np.where(new, rng.random(n) < 1 / (1 + np.exp(-odds)), counts)
            since = np.where(new, d, since)
            away[:, d] = left > 0
            counted[:, d], spell[:, d] = away[:, d] & counts, np.where(away[:, d], since, 0)
            left = np.maximum(left - 1, 0)
        years.append(_Year(away, counted, spell))
    return years


def _inclined(
    rng: np.random.Generator, school: NDArray[np.int64], grade: NDArray[np.int64], _each_day: bool
) -> list[_Year]:
    n = len(school)
    usual = rng.normal(-4.6, 1.25, n) + np.where(grade >= 9, 0.5, 0.0)
    frail = np.exp(rng.normal(-4.3, 0.6, n))
    years = []
    for _ in range(2):
        year, wander = usual + 0.4 * rng.standard_normal(n), 0.8 * rng.standard_normal(n)
        favourite = np.where(rng.random(n) < 0.3, rng.integers(0, 5, n), -1)
        shocks = _shocks(rng, school)
        away, counted, ill = (
            np.zeros((n, DAYS), dtype=np.bool_),
            np.zeros((n, DAYS), dtype=np.bool_),
            np.zeros(n, dtype=np.bool_),
        )
        for d in range(DAYS):
            wander = 0.97 * wander + 0.8 * np.sqrt(1 - 0.97**2) * rng.standard_normal(n)
            ill = rng.random(n) < np.where(ill, 0.58, np.clip(frail * shocks[:, d], 0, 0.6))
            odds = year + wander + 0.9 * (favourite == d % 5)
            truant = ~ill & (rng.random(n) < 1 / (1 + np.exp(-odds)))
            away[:, d], counted[:, d] = ill | truant, truant
        years.append(_Year(away, counted, _spell_of(away)))
    return years
