"""Who misses what, and when it is written down.

After facts.md § 5: a mixture-Beta propensity (DfE 2022/23 bands) with a school's part and a year-to-year correlation, spells whose length
grows with the propensity, weekday and pre-break effects, a weekly state of each student, city and school shocks, regime onsets, and kinds of
student (long illness, slow fade, sudden break, one bad weekday, family trips, skipping within the day). Siblings fall ill together. Marks are
first written N or U and corrected days later, by the family's habit and the school's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbell.simulator.calendars import SchoolYearCalendar
from firstbell.simulator.people import PRIMARY_SESSIONS, SECONDARY_SESSIONS, Cluster

__all__ = ["Behaviour", "Setting", "behave"]

#: facts.md § 1: England 2022/23, a two-Beta mixture within .001 nat of the observed bands.
MIXTURE = {
    "primary": ((0.888, 1.38, 24.3), (0.112, 0.37, 2.35)),
    "secondary": ((0.766, 1.44, 21.9), (0.234, 0.45, 1.66)),
}
SCHOOL_SHARE = 0.10  # of the latent variance lies between schools
FAMILY_SHARE = 0.25
YEAR_CORRELATION = 0.75
#: facts.md § 1, Connecticut: a U over the grades, with a jump at grade 9; shifts of the latent propensity.
GRADE_SHIFT = np.array([0.30, 0.12, 0.0, -0.05, -0.05, -0.02, -0.18, -0.08, 0.02, 0.10, 0.12, 0.14, 0.25])
#: Chances that an absence begins, by weekday; spells smooth them to facts.md § 2's ratios of absence.
WEEKDAY = {"primary": (1.30, 1.0, 0.86, 0.90, 1.24), "secondary": (1.12, 1.0, 0.94, 0.97, 1.26)}
BEFORE_BREAK, AFTER_BREAK = 2.2, 1.35
MEAN_SPELL = (1.75, 2.2, 3.2)  # by a propensity under 6 %, under 15 %, above

#: What of the propensity is left for spells of one's own, after siblings, trips, illness and breaks have their part.
BEGIN = 0.62

# Squares of a student's day.
PRESENT, ABSENT, LATE, LEFT_EARLY = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Setting:
    """What a school year does to everybody: by school day, and by school and school day."""

    calendar: SchoolYearCalendar
    through: int  # school days that have happened, the last of them perhaps just begun


@dataclass(slots=True)
class Behaviour:
    """A cluster's year, by student, school day and session.

    squares   (n, days, 7) uint8; primary uses the first two sessions
    whole     (n, days) bool, away the whole day
    excused   (n, days) bool, an absence that day ends excused
    lag       (n, days) int16, school days until the absence is explained; -1: the same day before the register closes
    first_u   (n, days) bool, first written U rather than N
    reason    (n, days) int8, index into REASONS; 0 none given
    suspended (n, days) bool
    minutes   (n, days) int16 minutes missed when late or leaving early
    propensity (n,) the long-run share of days missed drawn for this year
    """

    squares: NDArray[np.uint8]
    whole: NDArray[np.bool_]
    excused: NDArray[np.bool_]
    lag: NDArray[np.int16]
    first_u: NDArray[np.bool_]
    reason: NDArray[np.int8]
    suspended: NDArray[np.bool_]
    minutes: NDArray[np.int16]
    propensity: NDArray[np.float64]


REASONS = ("", "illness", "medical appointment", "family", "transport", "no reason given", "bereavement")


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ by the logistic approximation of Bowling et al. (2009), within .00014."""
    return 1.0 / (1.0 + np.exp(-(0.07056 * z**3 + 1.5976 * z)))


def _quantiles(phase: str, rng: np.random.Generator) -> NDArray[np.float64]:
    (w, a, b), (_, c, d) = MIXTURE[phase]
    m = 60_000
    heavy = rng.random(m) > w
    return np.sort(np.where(heavy, rng.beta(c, d, m), rng.beta(a, b, m)))


def behave(
    cluster: Cluster, settings: tuple[Setting, Setting], rng: np.random.Generator
) -> tuple[Behaviour, Behaviour]:
    """Last year and this year."""
    n = cluster.n
    families = int(cluster.family.max()) + 1
    own = 1.0 - SCHOOL_SHARE - FAMILY_SHARE
    by_family = rng.standard_normal(families)[cluster.family] * np.sqrt(FAMILY_SHARE)
    lasting = rng.standard_normal(n)
    by_school = _school_levels(cluster, rng)
    habits = rng.beta(5, 2, families)[cluster.family]
    kinds = rng.random(n)
    tardy = rng.gamma(0.6, 1 / 0.6, n)
    skip = rng.gamma(0.4, 1 / 0.4, n)
    tables = {phase: _quantiles(phase, rng) for phase in MIXTURE}
    years: list[Behaviour] = []
    stay = np.sqrt(YEAR_CORRELATION)
    for year, setting in enumerate(settings):
        individual = stay * lasting + np.sqrt(1 - stay**2) * rng.standard_normal(n)
        level = np.clip(cluster.grade - 1 + year, 0, 12)
        latent = by_family + np.sqrt(own) * individual + by_school[cluster.school[year]] + GRADE_SHIFT[level]
        latent /= np.sqrt(1 + GRADE_SHIFT[level].var())
        short = (cluster.first[year] > 0) | (cluster.last[year] < setting.through)
        latent = np.where(
            short, latent + 0.9, latent
        )  # facts.md § 1: late joiners and leavers are a group of their own
        share = _normal_cdf(latent)
        secondary = level > 5
        rate = np.where(
            secondary,
            np.quantile(tables["secondary"], np.clip(share, 0.0005, 0.9995)),
            np.quantile(tables["primary"], np.clip(share, 0.0005, 0.9995)),
        )
        years.append(_year(cluster, year, setting, rate, secondary, habits, kinds, tardy, skip, rng))
    return years[0], years[1]


def _school_levels(cluster: Cluster, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each school's part of the propensity. Primaries of a cluster are spread over the range, so that a small district
    too has a school that does well and one that struggles."""
    primaries = rng.permutation(np.array([-1.2, -0.4, 0.4, 1.2]))
    spread = np.concatenate([primaries, rng.standard_normal(2) * 0.5]) + rng.standard_normal() * 0.3
    return np.asarray(spread * np.sqrt(SCHOOL_SHARE))


def _shocks(cluster: Cluster, setting: Setting, rng: np.random.Generator) -> NDArray[np.float64]:
    """(schools, days): weekday aside, what a day does to a whole school. facts.md § 2 and § 3."""
    days = setting.through
    city = np.ones(days)
    position = np.arange(days) / max(len(setting.calendar.school_days), 1)
    ramp = 0.86 + 0.22 * np.minimum(position * 3, 1) + 0.08 * position + 0.25 * np.clip(position - 0.93, 0, 1) / 0.07
    flu = 1 + 0.35 * np.exp(-(((position - 0.52) / 0.05) ** 2))
    city *= ramp * flu
    city *= np.where(setting.calendar.before_break()[:days], BEFORE_BREAK, 1.0)
    city *= np.where(setting.calendar.after_break()[:days], AFTER_BREAK, 1.0)
    bad = rng.random(days) < 0.02
    city *= np.where(bad, rng.uniform(1.6, 3.0, days), 1.0)
    school = np.empty((len(cluster.schools), days))
    for s in range(len(cluster.schools)):
        state, drift = 0.0, np.empty(days)
        for d in range(days):
            state = 0.9 * state + 0.05 * rng.standard_normal()
            drift[d] = state
        own = np.exp(drift + 0.06 * rng.standard_normal(days))
        own *= np.where(rng.random(days) < 0.014, rng.uniform(1.8, 2.8, days), 1.0)
        school[s] = city * own
    return school


def _year(
    cluster: Cluster, year: int, setting: Setting, rate: NDArray[np.float64], secondary: NDArray[np.bool_],
    habits: NDArray[np.float64], kinds: NDArray[np.float64], tardy: NDArray[np.float64], skip: NDArray[np.float64],
    rng: np.random.Generator,
) -> Behaviour:  # fmt: skip
    n, days = cluster.n, setting.through
    dates = setting.calendar.school_days[:days]
    shocks = _shocks(cluster, setting, rng)[np.maximum(cluster.school[year], 0)]
    weekday = np.array([d.weekday() for d in dates])
    by_weekday = np.where(
        secondary[:, None], np.array(WEEKDAY["secondary"])[weekday], np.array(WEEKDAY["primary"])[weekday]
    )
    shocks = shocks * by_weekday
    shocks /= shocks.mean()
    mean_spell = np.where(rate < 0.06, MEAN_SPELL[0], np.where(rate < 0.15, MEAN_SPELL[1], MEAN_SPELL[2]))
    # Half of all spells end after a day, yet some last: a student's chance of staying away varies from spell to spell.
    on = np.clip(1 - 1 / mean_spell, 0.1, 0.85)
    off = np.clip(rate / np.maximum(1 - rate, 0.05) / mean_spell, 0.0, 0.9)

    # Regime onsets and kinds of student, as multipliers of the chance that an absence begins.
    push = np.ones((n, days), dtype=np.float32)
    breaks = rng.random(n) < 0.02
    onset = rng.integers(0, max(days, 1), n)
    recent = rng.random(n) < (0.006 if year == 1 else 0.0)  # this year's last weeks: what a morning list is for
    onset = np.where(recent, days - rng.integers(4, 14, n), onset)
    length = np.where(rng.random(n) < 0.7, rng.integers(8, 30, n), days)
    column = np.arange(days)[None, :]
    broken = (
        ((breaks | recent) & (onset >= 0))[:, None] & (column >= onset[:, None]) & (column < (onset + length)[:, None])
    )
    push = np.where(broken, rng.uniform(3, 6, n).astype(np.float32)[:, None], push)
    fade = (kinds > 0.02) & (kinds < 0.035)
    push = np.where(fade[:, None], 0.7 + 3 * (column / max(days, 1)) ** 2, push)
    # a weekly state of each student, AR(1)
    weeks = days // 5 + 1
    state = np.zeros((n, weeks), dtype=np.float32)
    for w in range(1, weeks):
        state[:, w] = 0.6 * state[:, w - 1] + 0.45 * rng.standard_normal(n)
    push = push * np.exp(state - 0.16)[:, np.arange(days) // 5]

    ill_together = (rng.random((int(cluster.family.max()) + 1, days)) < 0.011)[cluster.family]
    begin = BEGIN + (1 - BEGIN) * np.minimum(rate / 0.35, 1)
    away = np.zeros((n, days), dtype=bool)
    floor = np.where(broken, 0.12, 0.0)
    here = np.zeros(n, dtype=bool)
    for d in range(days):
        start = np.clip(np.maximum(off * begin, floor[:, d]) * shocks[:, d] * push[:, d], 0, 0.9)
        start = np.where(ill_together[:, d], np.maximum(start, 0.55 * np.minimum(rate / 0.05, 1.3)), start)
        keep = np.clip(on * np.minimum(shocks[:, d], 1.35) ** 0.25, 0, 0.93)
        here = rng.random(n) < np.where(here, keep, start)
        away[:, d] = here
    # one bad weekday; family trips beside a break; a long illness
    bad_day = (kinds > 0.05) & (kinds < 0.06)
    which = rng.integers(0, 5, n)
    on_it = bad_day[:, None] & (weekday[None, :] == which[:, None]) & (rng.random((n, days)) < 0.35)
    away |= on_it
    trips = (kinds > 0.07) & (kinds < 0.09)
    trip = np.zeros((n, days), dtype=bool)
    edges = np.flatnonzero(setting.calendar.before_break()[:days])
    if len(edges):
        end = edges[rng.integers(0, len(edges), n)]
        trip = trips[:, None] & (column <= end[:, None]) & (column > (end - rng.integers(3, 6, n))[:, None])
    ill = (kinds > 0.11) & (kinds < 0.122)
    fell_ill = rng.integers(0, max(days, 1), n)
    illness = ill[:, None] & (column >= fell_ill[:, None]) & (column < (fell_ill + rng.integers(8, 26, n))[:, None])
    away |= trip | illness
    suspended = away & (rng.random((n, days)) < np.where(secondary, 0.012, 0.002)[:, None])

    # A spell is explained as a whole: excused or not is drawn where it begins.
    begins = away & ~np.concatenate([np.zeros((n, 1), dtype=bool), away[:, :-1]], axis=1)
    spell = np.maximum.accumulate(np.where(begins, column, -1), axis=1)
    target = np.where(secondary, 0.75, 0.775) - 0.55 * np.clip(rate - 0.08, 0, 0.5)
    chance = np.clip(target * (0.45 + 0.77 * habits), 0.03, 0.98)
    drawn = rng.random((n, days)) < chance[:, None]
    at = np.maximum(spell, 0)
    rows = np.arange(n)[:, None]
    excused = (drawn[rows, at] | illness) & ~trip & ~on_it
    lags = np.minimum(rng.geometric(np.clip(0.25 + 0.45 * habits, 0.1, 0.9)[:, None], (n, days)) - 1, 15)
    lag = lags[rows, at].astype(np.int16)
    lag = np.where(rng.random((n, days)) < 0.015, -1, lag).astype(np.int16)
    first_u = rng.random((n, days)) < np.where(secondary, 0.45, 0.2)[:, None]
    # facts.md § 8: a reason is on record for 29 % of absences
    reason = np.where(rng.random((n, days)) < 0.29, rng.integers(1, len(REASONS), (n, days)), 0)
    reason = np.where(excused & (reason > 0) & (rng.random((n, days)) < 0.7), 1, reason).astype(np.int8)

    squares = np.zeros((n, days, SECONDARY_SESSIONS), dtype=np.uint8)
    squares[away] = ABSENT
    level = np.clip(cluster.grade - 1 + year, 0, 12)
    _part_days(squares, away, secondary, level, tardy, skip, rate, rng)
    minutes = np.clip(rng.gamma(1.6, 11, (n, days)), 2, 170).astype(np.int16)
    enrolled = (column >= cluster.first[year][:, None]) & (column < cluster.last[year][:, None])
    enrolled &= (cluster.school[year] >= 0)[:, None]
    squares[~enrolled] = PRESENT
    away &= enrolled
    return Behaviour(squares, away, excused & away, lag, first_u, reason, suspended & away, minutes, rate)


def _part_days(
    squares: NDArray[np.uint8], away: NDArray[np.bool_], secondary: NDArray[np.bool_], level: NDArray[np.int64],
    tardy: NDArray[np.float64], skip: NDArray[np.float64], rate: NDArray[np.float64], rng: np.random.Generator,
) -> None:  # fmt: skip
    """Lateness, leaving early, and classes missed on days in school. facts.md § 3 (Whitney & Liu; DfE)."""
    n, days, _ = squares.shape
    here = ~away
    # tardy : absence about 1 : 4 in primary, 1 : 2.7 in secondary
    late_chance = np.where(secondary, 0.037, 0.018) * tardy * (0.6 + 4 * np.minimum(rate, 0.4))
    late = here & (rng.random((n, days)) < np.clip(late_chance, 0, 0.6)[:, None])
    early = here & ~late & (rng.random((n, days)) < 0.006)
    squares[..., 0][late] = LATE
    last = np.where(secondary, SECONDARY_SESSIONS - 1, PRIMARY_SESSIONS - 1)
    i, d = np.nonzero(early)
    squares[i, d, last[i]] = LEFT_EARLY
    # classes missed on part days in secondary: one to three, first and last period most; a jump at grade 9
    chance = np.where(secondary, np.where(level >= 9, 0.14, 0.085), 0.0) * skip * (0.7 + 3 * np.minimum(rate, 0.4))
    part = here & (rng.random((n, days)) < np.clip(chance, 0, 0.7)[:, None])
    i, d = np.nonzero(part)
    weight = np.array([0.23, 0.13, 0.10, 0.10, 0.11, 0.13, 0.20])
    how_many = 1 + (rng.random(len(i)) < 0.45).astype(int) + (rng.random(len(i)) < 0.25)
    start = rng.choice(SECONDARY_SESSIONS, size=len(i), p=weight)
    for k in range(3):
        more = k < how_many
        at = np.clip(np.where(start >= 4, start - k, start + k), 0, SECONDARY_SESSIONS - 1)
        squares[i[more], d[more], at[more]] = ABSENT
