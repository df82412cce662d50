"""Layer 1, how often: each student's own rate of beginning an absence, partially pooled.

Rates are taken from a ladder of levels. How common each level is is learned from closed years without assuming a shape (the nonparametric
maximum-likelihood prior of Laird 1978; one Beta does not fit, facts.md § 1). A student's posterior over the ladder weighs the days seen
against that prior, which leans to their grade's part of the school and, where there is one, to their own last year: carried over by a Gaussian
copula with the correlation from year to year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["LEVELS", "Before", "Pool", "day_weights", "learn_prior", "posterior"]

Array = NDArray[np.float64]

#: log of the daily chance that a spell begins
LEVELS = np.linspace(np.log(0.0008), np.log(0.6), 24)
_LOG_BEGIN, _LOG_NOT = LEVELS, np.log1p(-np.exp(LEVELS))
#: facts.md § 5: students' propensities from year to year, used until two closed years say otherwise
YEAR_CORRELATION = 0.75
_CORRELATIONS = np.arange(0.1, 0.96, 0.05)
#: how far a school's year may stray from the usual correlation before it has shown it, and of how many students it is read
CORRELATION_SPREAD, CORRELATION_STUDENTS = 0.2, 400
#: a group's own mix of levels is worth the district's after so many students
GROUP_STUDENTS = 60.0
#: a student's chance of staying away is pooled with what is usual at their level as if it were so many days
STAY_DAYS = 8.0
#: absences of last year weigh so much against this year's, for staying away and for habit: of 0, .15, .3 and .7 on two made-up districts,
#: .15 was within 1 % of the best average precision for every question (decision 0016)
LAST_YEAR = 0.2
#: a school's day is weighed against its usual as if so many more had been away as usual
SHOCK_STUDENTS = 8.0


@dataclass(frozen=True, slots=True)
class Before:
    """Last year of each student, zeros where there was none: (n,) float64 each."""

    starts: Array
    exposed: Array
    stayed: Array
    could_stay: Array
    counted: Array
    ended: Array

    @classmethod
    def nothing(cls, n: int) -> Before:
        return cls(*(np.zeros(n) for _ in range(6)))

    def rows(self, where: NDArray[np.int64]) -> Before:
        """By row of another order; -1 for who was not there."""
        found = where >= 0
        return Before(
            *(
                np.where(found, getattr(self, name)[np.maximum(where, 0)], 0.0)
                if len(self.starts)
                else np.zeros(len(where))
                for name in ("starts", "exposed", "stayed", "could_stay", "counted", "ended")
            )
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """What closed years taught of levels.

    prior        (levels,) how common each is
    edges        (bins - 1,) mean log level between the bins of the two below
    stays        (bins,) chance that an absence goes on another day, by level
    counted      (bins,) share of absences that end as counted, by level
    correlation  of a student's level from year to year
    """

    prior: Array
    edges: Array
    stays: Array
    counted: Array
    correlation: float


def day_weights(absent: NDArray[np.int64], possible: NDArray[np.int64]) -> Array:
    """(schools, days): how much likelier than usual an absence was on each day, 1 on an ordinary one.

    absent, possible: (schools, days) students. Shrunk to 1 where few were expected.
    """
    usual = absent.sum(axis=1) / np.maximum(possible.sum(axis=1), 1)
    expected = possible * usual[:, None]
    weights: Array = (absent + SHOCK_STUDENTS) / (expected + SHOCK_STUDENTS)
    return weights


def posterior(starts: Array, exposed: Array, prior: Array) -> Array:
    """(n, levels): how likely each level is, of who began so many spells in so many exposed days. `prior`: (levels,) or (n, levels)."""
    log = starts[:, None] * _LOG_BEGIN + exposed[:, None] * _LOG_NOT + np.log(prior + 1e-12)
    log -= log.max(axis=1, keepdims=True)
    chance: Array = np.exp(log)
    chance /= chance.sum(axis=1, keepdims=True)
    return chance


def learn_prior(starts: Array, exposed: Array, rounds: int = 60) -> Array:
    """The mix of levels that makes what was seen likeliest (EM), smoothed over neighbours."""
    log = starts[:, None] * _LOG_BEGIN + exposed[:, None] * _LOG_NOT
    likely = np.exp(log - log.max(axis=1, keepdims=True))
    prior: Array = np.full(len(LEVELS), 1 / len(LEVELS))
    for _ in range(rounds):
        weighed = likely * prior
        prior = (weighed / weighed.sum(axis=1, keepdims=True)).mean(axis=0)
    prior = np.convolve(np.concatenate([prior[:1], prior, prior[-1:]]), [0.25, 0.5, 0.25], "valid")
    smooth: Array = prior / prior.sum()
    return smooth


def group_priors(pool: Pool, starts: Array, exposed: Array, group: NDArray[np.int32]) -> Array:
    """(n, levels): the district's mix, leaning to each student's group by what the group has shown so far."""
    shown = posterior(starts, exposed, pool.prior)
    groups = int(group.max(initial=-1)) + 1
    mix = np.zeros((groups, len(LEVELS)))
    np.add.at(mix, group, shown)
    size = np.bincount(group, minlength=groups)[:, None]
    leaning = (mix + GROUP_STUDENTS * pool.prior) / (size + GROUP_STUDENTS)
    chosen: Array = leaning[group]
    return chosen


def carried_over(pool: Pool, last_year: Array, correlation: float) -> Array:
    """(n, levels): this year's levels, given each student's posterior of last year's."""
    return last_year @ _year_kernel(pool.prior, correlation)


def _year_kernel(prior: Array, correlation: float) -> Array:
    """(levels, levels): this year's level given last year's, by a Gaussian copula on the ladder's quantiles."""
    upper = np.cumsum(prior)
    middle = ndtri(np.clip(upper - prior / 2, 1e-4, 1 - 1e-4))
    edge = ndtri(np.clip(upper, 1e-6, 1 - 1e-6))
    below = ndtr((edge[None, :] - correlation * middle[:, None]) / np.sqrt(1 - correlation**2))
    below[:, -1] = 1.0
    kernel: Array = np.diff(np.concatenate([np.zeros((len(prior), 1)), below], axis=1), axis=1)
    return kernel


def learn_correlation(pool_prior: Array, before: Before, starts: Array, exposed: Array) -> float:
    """The year-to-year correlation that makes a later year likeliest given the one before, on a coarse grid."""
    there = np.flatnonzero(before.exposed > 0)
    if len(there) < 500:
        return YEAR_CORRELATION
    scores = _correlation_scores(pool_prior, before, starts, exposed, there)
    return float(_CORRELATIONS[int(np.argmax(scores))])


def years_correlation(pool: Pool, before: Before, starts: Array, exposed: Array) -> float:
    """How closely this year follows the last among these students, by the days they have shown so far: `pool.correlation` until they have.

    The mean of the grid under what was seen and a normal around `pool.correlation` of spread `CORRELATION_SPREAD`. A district's first closed
    year has none before it and cannot teach this; and years differ: a new building, a merger, a year at home.
    """
    there = np.flatnonzero(before.exposed > 0)
    if not len(there):
        return pool.correlation
    there = there[:: -(-len(there) // CORRELATION_STUDENTS)]
    scores = _correlation_scores(pool.prior, before, starts, exposed, there)
    scores -= ((_CORRELATIONS - pool.correlation) / CORRELATION_SPREAD) ** 2 / 2
    weight = np.exp(scores - scores.max())
    return float(weight @ _CORRELATIONS / weight.sum())


def _correlation_scores(prior: Array, before: Before, starts: Array, exposed: Array, there: NDArray[np.int64]) -> Array:
    """(correlations,): log likelihood of this year's days given last year's, of these rows, for each of `_CORRELATIONS`."""
    last = posterior(before.starts[there], before.exposed[there], prior)
    log = starts[there, None] * _LOG_BEGIN + exposed[there, None] * _LOG_NOT
    likely = np.exp(log - log.max(axis=1, keepdims=True))
    return np.array(
        [np.log(((last @ _year_kernel(prior, float(r))) * likely).sum(axis=1) + 1e-300).sum() for r in _CORRELATIONS]
    )
