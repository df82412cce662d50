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

from firstbell.simulator.calendars import LONG_WEEKEND, SchoolYearCalendar
from firstbell.simulator.people import PRIMARY_SESSIONS, SECONDARY_SESSIONS, Cluster

__all__ = ["USUAL", "Behaviour", "Hidden", "Options", "Setting", "behave"]

#: facts.md § 1: England 2022/23, a two-Beta mixture within .001 nat of the observed bands.
MIXTURE = {
    "primary": ((0.888, 1.38, 24.3), (0.112, 0.37, 2.35)),
    "secondary": ((0.766, 1.44, 21.9), (0.234, 0.45, 1.66)),
}
SCHOOL_SHARE = 0.15  # of the latent variance lies between schools (facts.md § 5)
FAMILY_SHARE = 0.35
YEAR_CORRELATION = 0.75
#: facts.md § 1, Connecticut: a U over the grades, with a jump at grade 9; shifts of the latent propensity.
GRADE_SHIFT = np.array([0.32, 0.12, 0.0, -0.06, -0.05, -0.02, -0.30, -0.20, -0.12, 0.09, 0.10, 0.12, 0.26])
GRADE_SHIFT[:6] -= GRADE_SHIFT[:6].mean()
GRADE_SHIFT[6:] -= GRADE_SHIFT[6:].mean()
#: facts.md § 1, "unclassified": of those who join late or leave early, so many are hardly ever seen (58.7 % miss 10 %, 33 % half).
SHORT_SHIFT, SHORT_EXTREME = 0.7, (0.18, 0.32)
#: Chances that an absence begins, by weekday; spells smooth them to facts.md § 2's ratios of absence.
WEEKDAY = {"primary": (1.38, 1.0, 0.82, 0.90, 1.42), "secondary": (1.08, 0.98, 0.94, 0.96, 1.36)}
#: facts.md § 2: what the last day before a break, and the first after it, do to a day's absence, by days to the next school day:
#: a long weekend, Thanksgiving, a week in spring, winter, summer. The weekday has its part beside.
BREAKS = ((4, 1.05, 1.03), (5, 2.0, 1.1), (9, 1.2, 1.18), (14, 1.65, 1.52), (60, 2.4, 1.0))
#: facts.md § 2: of a day's absence, so much comes of spells; the rest are single days, and what a city's or a school's bad day adds.
OF_SPELLS = 1.0
CITY_BAD_DAYS, CITY_BAD = 0.095, 0.75  # share of days; mean of what such a day adds to 1
SCHOOL_BAD_DAYS = 0.045
MEAN_SPELL = (2.8, 3.3, 4.0)  # by a propensity under 6 %, under 15 %, above; single days come beside

#: What of the propensity is left for spells of one's own, after siblings, trips, illness and breaks have their part.
BEGIN = (0.25, 0.70)  # of a low propensity, and of one half and more
TOGETHER = 0.017  # of a family's days begin an illness that goes round the home

#: Kinds of student, as stretches of a draw from 0 to 1. The rest are steady, by their propensity.
ON_IT = 0.35  # of their bad weekdays, so many are missed
FADES, BAD_WEEKDAY, TRIPS, LONG_ILLNESS, DRIFTS_LATE, SKIPS_ONE = (
    (0.02, 0.035), (0.05, 0.06), (0.07, 0.09), (0.11, 0.122), (0.13, 0.138), (0.15, 0.165),
)  # fmt: skip
BREAKS_OFF = 0.02  # of students, once a year, by hazards of three to six times their own; most come back
BREAKS_OFF_LATELY = 0.006  # of students, in this year's last weeks: what a morning list is for


@dataclass(frozen=True, slots=True)
class Options:
    """How a district differs from the usual one. The defaults are the district that facts.md describes.

    spells            mean length of a spell beyond its first day, as a multiple of the usual; shorter spells are more often begun, so that as
                      many days are missed
    breaks            whether students break off from their own pattern (regime onsets)
    shock_shift       school days by which a city's and a school's bad days, and the eves of breaks, come later
    year_correlation  of a student's latent propensity from one year to the next, schools and families with it
    """

    spells: float = 1.0
    breaks: bool = True
    shock_shift: int = 0
    year_correlation: float = YEAR_CORRELATION

    def __post_init__(self) -> None:
        if self.spells <= 0:
            raise ValueError(f"spells is {self.spells}; it is a multiple of the usual length, so above 0")
        least = SCHOOL_SHARE + FAMILY_SHARE
        if not least <= self.year_correlation <= 1:
            raise ValueError(
                f"a year-to-year correlation of {self.year_correlation}: schools and families stay as they are, so it lies from "
                f"{least:g} to 1"
            )


USUAL = Options()
#: as the command line says them
SPELLS = {"weak": 0.45, "usual": 1.0, "strong": 1.8}
SHIFTED_DAYS = 3

# Squares of a student's day.
PRESENT, ABSENT, LATE, LEFT_EARLY = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Setting:
    """What a school year does to everybody: by school day, and by school and school day."""

    calendar: SchoolYearCalendar
    through: int  # school days that have happened, the last of them perhaps just begun


@dataclass(frozen=True, slots=True)
class Spells:
    """Each student's chance that a spell begins on a usual day, and that it goes on: (n,). season (n, days): what the time of year at their
    school and the weekday do to the first. rate (n,): the long-run share of days missed."""

    rate: NDArray[np.float64]
    begin: NDArray[np.float64]
    on: NDArray[np.float64]
    season: NDArray[np.float64]

    def go_on(
        self, rng: np.random.Generator, day: int, here: NDArray[np.bool_], push: NDArray[np.floating], floor: NDArray[np.float64],
        together: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Who is in a spell on a day. here: who was the day before; push, floor: what lies upon `begin` that day; together: whose family falls
        ill."""
        season = self.season[:, day]
        start = np.clip(np.maximum(self.begin, floor) * season * push, 0, 0.9)
        start = np.where(together, np.maximum(start, 0.55 * np.minimum(self.rate / 0.05, 1.3)), start)
        keep = np.clip(self.on * np.minimum(season, 1.35) ** 0.25, 0, 0.93)
        return rng.random(len(here)) < np.where(here, keep, start)


@dataclass(frozen=True, slots=True)
class Hidden:
    """What made a year and is on no register, beside what `Behaviour` says; (n,) each but where it says otherwise.

    lies        (n, days) who is in a spell; the other days away are single ones, trips and long illnesses
    worse       what a break from their own pattern does to `spells.begin`
    fades       who fades slowly
    state       (n, weeks) each student's weekly state
    bad_weekday the weekday they miss, -1 for none
    trip        (n, 2) the days of their family's trip, [first, after the last); -1 for none
    excused     chance that a spell is
    part        chance that some classes are missed on a day in school
    """

    spells: Spells
    lies: NDArray[np.bool_]
    worse: NDArray[np.float32]
    fades: NDArray[np.bool_]
    state: NDArray[np.float32]
    bad_weekday: NDArray[np.int64]
    trip: NDArray[np.int64]
    excused: NDArray[np.float64]
    part: NDArray[np.float64]


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
    onset     (n, 2) int64, the day on which a break from the student's own pattern sets in, and on which a long illness does; -1 for none
    over      (n, 2) int64, the first day after it
    hidden    what made it
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
    onset: NDArray[np.int64]
    over: NDArray[np.int64]
    hidden: Hidden


REASONS = ("", "illness", "medical appointment", "family", "transport", "no reason given", "bereavement")


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ by the logistic approximation of Bowling et al. (2009), within .00014."""
    return 1.0 / (1.0 + np.exp(-(0.07056 * z**3 + 1.5976 * z)))


def next_week(rng: np.random.Generator, state: NDArray[np.floating]) -> NDArray[np.floating]:
    """A student's weekly state a week later."""
    return 0.6 * state + 0.45 * rng.standard_normal(len(state))


def fading(day: NDArray[np.int64] | int, days: int) -> NDArray[np.float64] | float:
    """What a slow fade does to the chance that a spell begins, through a year of so many days."""
    return 0.7 + 3 * (day / max(days, 1)) ** 2


def _of_kind(kinds: NDArray[np.float64], kind: tuple[float, float]) -> NDArray[np.bool_]:
    return (kinds > kind[0]) & (kinds < kind[1])


def _quantiles(phase: str, rng: np.random.Generator) -> NDArray[np.float64]:
    (w, a, b), (_, c, d) = MIXTURE[phase]
    m = 60_000
    heavy = rng.random(m) > w
    return np.sort(np.where(heavy, rng.beta(c, d, m), rng.beta(a, b, m)))


def behave(
    cluster: Cluster, settings: tuple[Setting, Setting], rng: np.random.Generator, options: Options = USUAL
) -> tuple[Behaviour, Behaviour]:
    """Last year and this year."""
    n = cluster.n
    families = int(cluster.family.max()) + 1
    own = 1.0 - SCHOOL_SHARE - FAMILY_SHARE
    by_family = rng.standard_normal(families)[cluster.family] * np.sqrt(FAMILY_SHARE)
    lasting = rng.standard_normal(n)
    by_school = _school_levels(cluster, rng)
    habits = rng.beta(5, 2, families)[cluster.family]  # of explaining: the family's, and the school's
    slack = 0.12 * rng.standard_normal(len(cluster.schools))
    habits = np.clip(habits + slack[cluster.school.max(axis=0)], 0.05, 0.98)
    kinds = rng.random(n)
    tardy = rng.gamma(0.6, 1 / 0.6, n)
    skip = rng.gamma(0.4, 1 / 0.4, n)
    tables = {phase: _quantiles(phase, rng) for phase in MIXTURE}
    years: list[Behaviour] = []
    stay = np.sqrt(
        (options.year_correlation - SCHOOL_SHARE - FAMILY_SHARE) / own
    )  # schools and families stay as they are
    for year, setting in enumerate(settings):
        individual = stay * lasting + np.sqrt(1 - stay**2) * rng.standard_normal(n)
        level = np.clip(cluster.grade - 1 + year, 0, 12)
        latent = by_family + np.sqrt(own) * individual + by_school[cluster.school[year]] + GRADE_SHIFT[level]
        latent /= np.sqrt(1 + GRADE_SHIFT.var())
        short = (cluster.first[year] > 0) | (cluster.last[year] < setting.through)
        latent = np.where(short, latent + SHORT_SHIFT, latent)
        share = _normal_cdf(latent)
        secondary = level > 5
        rate = np.where(
            secondary,
            np.quantile(tables["secondary"], np.clip(share, 0.0005, 0.9995)),
            np.quantile(tables["primary"], np.clip(share, 0.0005, 0.9995)),
        )
        rate = np.where(
            short & (rng.random(n) < np.where(secondary, SHORT_EXTREME[1], SHORT_EXTREME[0])),
            rng.beta(3.0, 2.0, n),
            rate,
        )
        years.append(_year(cluster, year, setting, rate, secondary, habits, kinds, tardy, skip, rng, options))
    return years[0], years[1]


def _school_levels(cluster: Cluster, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each school's part of the propensity. Primaries of a cluster are spread over the range, so that a small district
    too has a school that does well and one that struggles."""
    primaries = rng.permutation(np.array([-1.2, -0.4, 0.4, 1.2]))
    spread = np.concatenate([primaries, rng.standard_normal(2) * 0.4]) + rng.standard_normal() * 0.2
    return np.asarray(spread * np.sqrt(SCHOOL_SHARE))


def shocked(
    cluster: Cluster, setting: Setting, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(schools, days) twice, weekday aside: what the season does to the chance of falling ill, and what one day does to that
    day's absence. Drawn over the whole year, of which the days that have happened are kept. facts.md § 2."""
    calendar = setting.calendar
    days = len(calendar.school_days)
    position, place = np.arange(days) / days, calendar.half_terms()
    # from 3.8 % in the first week to 5.6 % before half-term, 4.7 % after it and 5.8 % in December (DfE weekly, primary)
    first_stretch = position < position[np.flatnonzero(place == 1.0)[0]] + 1e-9
    season = np.where(first_stretch, 0.68 + 0.38 * np.minimum(place * 1.5, 1), 0.97 + 0.11 * place)
    season = season * (1 + 0.16 * np.exp(-(((position - 0.52) / 0.05) ** 2))) * (1 + 0.12 * (position > 0.93))
    quiet = np.exp(0.08 * rng.standard_normal(days))
    city = quiet.copy()
    for gap, (least, before, after) in ((calendar.gaps(), b) for b in BREAKS):
        city = np.where(gap >= least, before * quiet, city)
        city[1:] = np.where(gap[:-1] >= least, after * quiet[1:], city[1:])
    city[-3:-1] = 1.6  # "last June days 17-31 %"
    bad = (rng.random(days) < CITY_BAD_DAYS) & (calendar.gaps() < LONG_WEEKEND) & (city < 1.3)
    bad[setting.through - 1] = False  # the day it is all seen from is an ordinary one
    city *= np.where(bad, 1 + rng.exponential(CITY_BAD, days), 1.0)
    schools = len(cluster.schools)
    drift = np.zeros((schools, days))
    step = 0.17 * np.sqrt(1 - 0.96**2)
    for d in range(1, days):
        drift[:, d] = 0.96 * drift[:, d - 1] + step * rng.standard_normal(schools)
    slow = season * np.exp(drift)
    own = np.exp(0.15 * rng.standard_normal((schools, days)))
    bad_here = rng.random((schools, days)) < SCHOOL_BAD_DAYS
    bad_here[:, setting.through - 1] = False
    own *= np.where(bad_here, 1.3 + rng.exponential(0.7, (schools, days)), 1.0)
    kept = slice(0, setting.through)
    return (slow / slow.mean())[:, kept], (city * own)[:, kept]


def _year(
    cluster: Cluster, year: int, setting: Setting, rate: NDArray[np.float64], secondary: NDArray[np.bool_],
    habits: NDArray[np.float64], kinds: NDArray[np.float64], tardy: NDArray[np.float64], skip: NDArray[np.float64],
    rng: np.random.Generator, options: Options,
) -> Behaviour:  # fmt: skip
    n, days = cluster.n, setting.through
    dates = setting.calendar.school_days[:days]
    slow, sudden = shocked(cluster, setting, rng)
    sudden = np.roll(sudden, options.shock_shift, axis=1)
    at_school = np.maximum(cluster.school[year], 0)
    weekday = np.array([d.weekday() for d in dates])
    by_weekday = np.stack([np.array(WEEKDAY[phase]) / np.mean(WEEKDAY[phase]) for phase in ("primary", "secondary")])
    shocks = slow[at_school] * by_weekday[secondary.astype(int)][:, weekday]
    mean_spell = np.where(rate < 0.06, MEAN_SPELL[0], np.where(rate < 0.15, MEAN_SPELL[1], MEAN_SPELL[2]))
    mean_spell = 1 + (mean_spell - 1) * options.spells
    # Half of all spells end after a day, yet some last: a student's chance of staying away varies from spell to spell.
    on = np.clip(1 - 1 / mean_spell, 0.1, 0.85)
    off = np.clip(rate / np.maximum(1 - rate, 0.05) / mean_spell, 0.0, 0.9)

    # Regime onsets and kinds of student, as multipliers of the chance that an absence begins.
    push = np.ones((n, days), dtype=np.float32)
    breaks = rng.random(n) < BREAKS_OFF
    onset = rng.integers(0, max(days, 1), n)
    recent = rng.random(n) < (BREAKS_OFF_LATELY if year == 1 else 0.0)
    onset = np.where(recent, days - rng.integers(4, 14, n), onset)
    length = np.where(rng.random(n) < 0.7, rng.integers(8, 30, n), days)
    column = np.arange(days)[None, :]
    if not options.breaks:
        breaks[:] = recent[:] = False
    broken = (
        ((breaks | recent) & (onset >= 0))[:, None] & (column >= onset[:, None]) & (column < (onset + length)[:, None])
    )
    worse = rng.uniform(3, 6, n).astype(np.float32)
    push = np.where(broken, worse[:, None], push)
    fade = _of_kind(kinds, FADES)
    push = np.where(fade[:, None], fading(column, days), push)
    # a weekly state of each student, AR(1)
    weeks = days // 5 + 1
    state = np.zeros((n, weeks), dtype=np.float32)
    for w in range(1, weeks):
        state[:, w] = next_week(rng, state[:, w - 1])
    push = push * np.exp(state - 0.16)[:, np.arange(days) // 5]

    ill_together = (rng.random((int(cluster.family.max()) + 1, days)) < TOGETHER)[cluster.family]
    begin = BEGIN[0] + (BEGIN[1] - BEGIN[0]) * np.minimum(rate / 0.5, 1)
    away = np.zeros((n, days), dtype=bool)
    floor = np.where(broken, 0.12, 0.0)
    here = rng.random(n) < 0.7 * rate  # away on the eve, so that the year doesn't begin better than it goes on
    spells = Spells(rate, off * begin, on, shocks)
    for d in range(days):
        here = spells.go_on(rng, d, here, push[:, d], floor[:, d], ill_together[:, d])
        away[:, d] = here
    lies = away.copy()
    single = (sudden[at_school] - OF_SPELLS) * shocks * rate[:, None]
    away |= rng.random((n, days)) < np.clip(single, 0, 0.8)
    # one bad weekday; family trips beside a break; a long illness
    bad_day = _of_kind(kinds, BAD_WEEKDAY)
    which = rng.integers(0, 5, n)
    on_it = bad_day[:, None] & (weekday[None, :] == which[:, None]) & (rng.random((n, days)) < ON_IT)
    away |= on_it
    trips = _of_kind(kinds, TRIPS)
    trip, their_trip = np.zeros((n, days), dtype=bool), np.full((n, 2), -1)
    edges = np.flatnonzero(setting.calendar.gaps()[:days] > LONG_WEEKEND)
    if len(edges):
        end = edges[rng.integers(0, len(edges), n)]
        their_trip = np.where(trips, [end - rng.integers(3, 6, n) + 1, end + 1], -1).T
        trip = (column >= their_trip[:, :1]) & (column < their_trip[:, 1:])
    ill = _of_kind(kinds, LONG_ILLNESS)
    fell_ill = rng.integers(0, max(days, 1), n)
    ill_for = rng.integers(8, 26, n)
    illness = ill[:, None] & (column >= fell_ill[:, None]) & (column < (fell_ill + ill_for)[:, None])
    away |= trip | illness

    # A spell is explained as a whole: excused or not is drawn where it begins.
    begins = away & ~np.concatenate([np.zeros((n, 1), dtype=bool), away[:, :-1]], axis=1)
    spell = np.maximum.accumulate(np.where(begins, column, -1), axis=1)
    target = np.where(secondary, 0.72, 0.775) - 0.55 * np.clip(rate - 0.08, 0, 0.5)
    chance = np.clip(target * (0.45 + 0.77 * habits), 0.03, 0.98)
    drawn = rng.random((n, days)) < chance[:, None]
    at = np.maximum(spell, 0)
    rows = np.arange(n)[:, None]
    suspended = away & (rng.random((n, days)) < np.where(secondary, 0.012, 0.002)[:, None])[rows, at]
    excused = (drawn[rows, at] | illness) & ~trip & ~on_it
    lags = np.minimum(rng.geometric(np.clip(0.7 * habits**1.5, 0.1, 0.9)[:, None], (n, days)) - 1, 15)
    lag = lags[rows, at].astype(np.int16)
    lag = np.where(rng.random((n, days)) < 0.015, -1, lag).astype(np.int16)
    first_u = rng.random((n, days)) < np.where(secondary, 0.45, 0.2)[:, None]
    # facts.md § 8: a reason is on record for 29 % of absences, here all of them excused ones
    given = excused & (rng.random((n, days)) < 0.43)
    what = np.where(rng.random((n, days)) < 0.7, 1, rng.integers(1, len(REASONS), (n, days)))
    reason = np.where(given, what, 0).astype(np.int8)

    squares = np.zeros((n, days, SECONDARY_SESSIONS), dtype=np.uint8)
    squares[away] = ABSENT
    level = np.clip(cluster.grade - 1 + year, 0, 12)
    part = _part_days(squares, away, secondary, level, kinds, tardy, skip, rate, rng)
    minutes = np.clip(rng.gamma(1.6, 11, (n, days)), 2, 170).astype(np.int16)
    enrolled = (column >= cluster.first[year][:, None]) & (column < cluster.last[year][:, None])
    enrolled &= (cluster.school[year] >= 0)[:, None]
    squares[~enrolled] = PRESENT
    away &= enrolled
    begun = np.stack([np.where((breaks | recent) & (onset >= 0), onset, -1), np.where(ill, fell_ill, -1)], axis=1)
    over = np.where(begun >= 0, np.minimum(begun + np.stack([length, ill_for], axis=1), days), -1)
    hidden = Hidden(spells, lies, worse, fade, state, np.where(bad_day, which, -1), their_trip, chance, part)
    return Behaviour(
        squares, away, excused & away, lag, first_u, reason, suspended & away, minutes, rate, begun, over, hidden
    )


def _part_days(
    squares: NDArray[np.uint8], away: NDArray[np.bool_], secondary: NDArray[np.bool_], level: NDArray[np.int64],
    kinds: NDArray[np.float64], tardy: NDArray[np.float64], skip: NDArray[np.float64], rate: NDArray[np.float64], rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Lateness, leaving early, and classes missed on days in school: (n,) the chance of the last. facts.md § 3 (Whitney & Liu; DfE)."""
    n, days, _ = squares.shape
    here = ~away
    # tardy : absence about 1 : 4 in primary, 1 : 2.7 in secondary
    late_chance = np.where(secondary, 0.045, 0.018) * tardy * (0.6 + 4 * np.minimum(rate, 0.4))
    column = np.arange(days)[None, :]
    drifts = _of_kind(kinds, DRIFTS_LATE)  # later and later, for the last five weeks or so of what is known
    since = days - rng.integers(18, 32, n)
    drift = drifts[:, None] & (column >= since[:, None])
    chance_late = np.where(drift, 0.15 + 0.015 * (column - since[:, None]), late_chance[:, None])
    late = here & (rng.random((n, days)) < np.clip(chance_late, 0, 0.6))
    early = here & ~late & (rng.random((n, days)) < 0.006)
    squares[..., 0][late] = LATE
    last = np.where(secondary, SECONDARY_SESSIONS - 1, PRIMARY_SESSIONS - 1)
    i, d = np.nonzero(early)
    squares[i, d, last[i]] = LEFT_EARLY
    # classes missed on part days in secondary: two or so, the first and the last period most; a jump at grade 9
    chance = np.where(secondary, np.where(level >= 9, 0.178, 0.12), 0.0) * skip * (0.7 + 3 * np.minimum(rate, 0.4))
    part = here & (rng.random((n, days)) < np.clip(chance, 0, 0.8)[:, None])
    # and those who skip one class, the same one
    skips = secondary & _of_kind(kinds, SKIPS_ONE)
    period = rng.integers(0, SECONDARY_SESSIONS, (n,))
    i, d = np.nonzero(here & skips[:, None] & (rng.random((n, days)) < 0.3))
    squares[i, d, period[i]] = ABSENT
    i, d = np.nonzero(part)
    how_many = rng.choice(np.array([1, 2, 3, 4]), size=len(i), p=[0.36, 0.30, 0.22, 0.12])
    # three ways: in late in the morning, gone early in the afternoon, or a class in between
    way = rng.random(len(i))
    inside = rng.integers(1, SECONDARY_SESSIONS - 1, len(i))
    start = np.where(way < 0.36, 0, np.where(way < 0.72, SECONDARY_SESSIONS - how_many, inside))
    for k in range(4):
        more = (k < how_many) & (start + k < SECONDARY_SESSIONS)
        squares[i[more], d[more], start[more] + k] = ABSENT
    return np.clip(chance, 0, 0.8)
