"""Layer 1, how often: each student's own rate of beginning an absence, partially pooled.

Rates are taken from a ladder of levels. How common each level is is learned from closed years without assuming a shape (the nonparametric
maximum-likelihood prior of Laird 1978; one Beta does not fit, facts.md § 1). A student's posterior over the ladder weighs the days seen
against that prior, which leans to their grade's part of the school and, where there is one, to their own last year: carried over by a Gaussian
copula with the correlation from year to year.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba as nb
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
_CORRELATIONS = np.arange(0.15, 0.96, 0.1)
#: how far a school's year may stray from the usual correlation before it has shown it, and of how many students it is read
CORRELATION_SPREAD, CORRELATION_STUDENTS = 0.2, 200
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
    stays        (bins,) chance that an absence that counts goes on another day, by level
    counted      (bins,) share of days away that end as counted, by level
    begun        (bins,) share of spells that begin with a day that counts, by level
    correlation  of a student's level from year to year
    """

    prior: Array
    edges: Array
    stays: Array
    counted: Array
    begun: Array
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
    found = np.empty((len(starts), len(LEVELS)))
    _posteriors(starts, exposed, np.atleast_2d(prior), _LOG_BEGIN, _LOG_NOT, found)
    return found


#: e^x as (e^(x/64))^64, the inner one by its series: nothing but products and sums, which the machine does several at a time
_SQUARINGS, _LOWEST = 6, -40.0


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def posterior_of(starts, exposed, prior, log_begin, log_not, out):  # type: ignore[no-untyped-def]
    """One student's posterior into `out` (levels,). Within 1e-9 of what `np.exp` gives."""
    levels = len(log_begin)
    top = -np.inf
    for z in range(levels):
        out[z] = starts * log_begin[z] + exposed * log_not[z]
        top = max(top, out[z])
    for z in range(levels):
        x = max(out[z] - top, _LOWEST) / 2.0**_SQUARINGS
        e = 1.0 + x * (1.0 / 11.0)
        e = 1.0 + e * (x * (1.0 / 10.0))
        e = 1.0 + e * (x * (1.0 / 9.0))
        e = 1.0 + e * (x * (1.0 / 8.0))
        e = 1.0 + e * (x * (1.0 / 7.0))
        e = 1.0 + e * (x * (1.0 / 6.0))
        e = 1.0 + e * (x * (1.0 / 5.0))
        e = 1.0 + e * (x * (1.0 / 4.0))
        e = 1.0 + e * (x * (1.0 / 3.0))
        e = 1.0 + e * (x * (1.0 / 2.0))
        e = 1.0 + e * x
        e *= e  # as often as `_SQUARINGS` says
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        out[z] = e * (prior[z] + 1e-12)
    total = 0.0
    for z in range(levels):
        total += out[z]
    share = 1.0 / total
    for z in range(levels):
        out[z] *= share


@nb.njit(cache=True, nogil=True)
def _posteriors(starts, exposed, prior, log_begin, log_not, out):  # type: ignore[no-untyped-def]
    each = len(prior) > 1
    for i in range(len(starts)):
        posterior_of(starts[i], exposed[i], prior[i if each else 0], log_begin, log_not, out[i])


def posteriors_by_span(
    starts: Array, exposed: Array, lean: Array, prior: Array, loosened: float
) -> tuple[Array, Array]:
    """(n, spans, levels), and the mean log level of each (n, spans).

    starts, exposed  (n, spans): of the whole span first, then of stretches within it
    lean, prior      (n, levels): the whole span's prior; the whole span's posterior, loosened by so much of `prior`, is the stretches'
    """
    n, spans = starts.shape
    found, mean = np.empty((n, spans, len(LEVELS))), np.empty((n, spans))
    _by_span(starts, exposed, lean, prior, loosened, _LOG_BEGIN, _LOG_NOT, found, mean)
    return found, mean


@nb.njit(cache=True, nogil=True)
def _by_span(starts, exposed, lean, prior, loosened, log_begin, log_not, out, mean):  # type: ignore[no-untyped-def]
    levels = len(log_begin)
    loose = np.zeros(levels)
    for i in range(out.shape[0]):
        for s in range(out.shape[1]):
            here = out[i, s]
            posterior_of(starts[i, s], exposed[i, s], loose if s else lean[i], log_begin, log_not, here)
            middle = 0.0
            for z in range(levels):
                middle += here[z] * log_begin[z]
                if s == 0:
                    loose[z] = (1.0 - loosened) * here[z] + loosened * prior[i, z]
            mean[i, s] = middle


def learn_prior(starts: Array, exposed: Array, rounds: int = 60) -> Array:
    """The mix of levels that makes what was seen likeliest (EM), smoothed over neighbours."""
    log = starts[:, None] * _LOG_BEGIN + exposed[:, None] * _LOG_NOT
    likely = np.exp(log - log.max(axis=1, keepdims=True))
    prior: Array = np.full(len(LEVELS), 1 / len(LEVELS))
    for _ in range(rounds):
        prior = _mix(likely, prior)
    prior = np.convolve(np.concatenate([prior[:1], prior, prior[-1:]]), [0.25, 0.5, 0.25], "valid")
    smooth: Array = prior / prior.sum()
    return smooth


@nb.njit(cache=True, nogil=True)
def _mix(likely, prior):  # type: ignore[no-untyped-def]
    """The mean of the students' posteriors."""
    mix, here = np.zeros(len(prior)), np.zeros(len(prior))
    for i in range(len(likely)):
        total = 0.0
        for z in range(len(prior)):
            here[z] = likely[i, z] * prior[z]
            total += here[z]
        for z in range(len(prior)):
            mix[z] += here[z] / total
    return mix / len(likely)


def group_priors(pool: Pool, starts: Array, exposed: Array, group: NDArray[np.int32]) -> Array:
    """(n, levels): the district's mix, leaning to each student's group by what the group has shown so far."""
    shown = posterior(starts, exposed, pool.prior)
    groups = int(group.max(initial=-1)) + 1
    mix = _summed(shown, group, groups)
    size = np.bincount(group, minlength=groups)[:, None]
    leaning = (mix + GROUP_STUDENTS * pool.prior) / (size + GROUP_STUDENTS)
    chosen: Array = leaning[group]
    return chosen


@nb.njit(cache=True, nogil=True)
def _summed(rows, group, groups):  # type: ignore[no-untyped-def]
    found = np.zeros((groups, rows.shape[1]))
    for i in range(len(rows)):
        for z in range(rows.shape[1]):
            found[group[i], z] += rows[i, z]
    return found


def carried_over(pool: Pool, last_year: Array, correlation: Array, school: NDArray[np.int32]) -> Array:
    """(n, levels): this year's levels, given each student's posterior of last year's. correlation: (schools,)."""
    found = np.empty_like(last_year)
    for number, r in enumerate(correlation.tolist()):
        rows = slice(None) if len(correlation) == 1 else np.flatnonzero(school == number)
        found[rows] = last_year[rows] @ _kernel_near(pool.prior, r)
    return found


def _kernel_near(prior: Array, correlation: float) -> Array:
    """`_year_kernel`, between the two of `_CORRELATIONS` on either side: a school's is asked for every night."""
    kernels = _kernels(np.ascontiguousarray(prior).tobytes())
    at = (correlation - _CORRELATIONS[0]) / (_CORRELATIONS[1] - _CORRELATIONS[0])
    at = min(max(at, 0.0), len(_CORRELATIONS) - 1.001)
    below = int(at)
    near: Array = (1 - at + below) * kernels[below] + (at - below) * kernels[below + 1]
    return near


def _year_kernel(prior: Array, correlation: float) -> Array:
    """(levels, levels): this year's level given last year's, by a Gaussian copula on the ladder's quantiles."""
    upper = np.cumsum(prior)
    middle = ndtri(np.clip(upper - prior / 2, 1e-4, 1 - 1e-4))
    edge = ndtri(np.clip(upper, 1e-6, 1 - 1e-6))
    below = ndtr((edge[None, :] - correlation * middle[:, None]) / np.sqrt(1 - correlation**2))
    below[:, -1] = 1.0
    kernel: Array = np.diff(np.concatenate([np.zeros((len(prior), 1)), below], axis=1), axis=1)
    return kernel


@lru_cache(maxsize=8)
def _kernels(prior: bytes) -> Array:
    """(correlations, levels, levels): `_year_kernel` for each of `_CORRELATIONS`."""
    return np.stack([_year_kernel(np.frombuffer(prior), float(r)) for r in _CORRELATIONS])


def learn_correlation(pool_prior: Array, before: Before, starts: Array, exposed: Array) -> float:
    """The year-to-year correlation that makes a later year likeliest given the one before, on a coarse grid."""
    there = np.flatnonzero(before.exposed > 0)
    if len(there) < 500:
        return YEAR_CORRELATION
    one = np.zeros(len(starts), dtype=np.int32)
    return float(_CORRELATIONS[int(np.argmax(_correlation_scores(pool_prior, before, starts, exposed, one, there)[0]))])


def years_correlation(pool: Pool, before: Before, starts: Array, exposed: Array, school: NDArray[np.int32]) -> Array:
    """(schools,): how closely this year follows the last, by the days each school's students have shown: `pool.correlation` until they have.

    The mean of the grid under what was seen and a normal around `pool.correlation` of spread `CORRELATION_SPREAD`. A district's first closed
    year has none before it and cannot teach this; and years differ: a new building, a merger, a year at home.
    """
    schools = int(school.max(initial=0)) + 1
    there = np.flatnonzero(before.exposed > 0)
    if not len(there):
        return np.full(schools, pool.correlation)
    # of each school every so many of those who were here last year
    of_school = school[there]
    size = np.bincount(of_school, minlength=schools)
    order = np.argsort(of_school, kind="stable")
    nth = np.arange(len(there)) - (np.cumsum(size) - size)[of_school[order]]
    every = np.maximum(-(-size // CORRELATION_STUDENTS), 1)
    chosen = there[order[nth % every[of_school[order]] == 0]]
    scores = _correlation_scores(pool.prior, before, starts, exposed, school, chosen, schools)
    scores -= ((_CORRELATIONS - pool.correlation) / CORRELATION_SPREAD) ** 2 / 2
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = (weight * _CORRELATIONS).sum(axis=1) / weight.sum(axis=1)
    found[size == 0] = pool.correlation
    return found


def _correlation_scores(
    prior: Array, before: Before, starts: Array, exposed: Array, school: NDArray[np.int32], there: NDArray[np.int64], schools: int = 1
) -> Array:  # fmt: skip
    """(schools, correlations): log likelihood of this year's days given last year's, of these rows, for each of `_CORRELATIONS`."""
    last = posterior(before.starts[there], before.exposed[there], prior)
    this = posterior(
        starts[there], exposed[there], np.ones(len(LEVELS))
    )  # how likely each level makes what was seen, but for a factor
    found = np.zeros((schools, len(_CORRELATIONS)))
    _scored(last, this, school[there], _kernels(np.ascontiguousarray(prior).tobytes()), found)
    return found


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _scored(last, this, school, kernels, out):  # type: ignore[no-untyped-def]
    levels = last.shape[1]
    for i in range(len(last)):
        for r in range(len(kernels)):
            total = 1e-300
            for a in range(levels):
                if last[i, a] < 1e-6:
                    continue
                met = 0.0
                for b in range(levels):
                    met += kernels[r, a, b] * this[i, b]
                total += last[i, a] * met
            out[school[i], r] += np.log(total)
