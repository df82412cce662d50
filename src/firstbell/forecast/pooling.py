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
_COUNT, _LOG_BEGIN, _LOG_NOT = len(LEVELS), LEVELS, np.log1p(-np.exp(LEVELS))
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
    _posteriors(starts, exposed, np.atleast_2d(prior), found)
    return found


#: e^x as (e^(x/1024))^1024, the inner one by its series: nothing but products and sums, which the machine does several at a time
_SQUARINGS, _LOWEST = 10, -40.0


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def posterior_of(starts, exposed, prior, out):  # type: ignore[no-untyped-def]
    """One student's posterior into `out` (levels,). Within 1e-9 of what `np.exp` gives."""
    top = -np.inf
    for z in range(_COUNT):
        top = max(top, starts * _LOG_BEGIN[z] + exposed * _LOG_NOT[z])
    total = 0.0
    for z in range(_COUNT):
        x = max(starts * _LOG_BEGIN[z] + exposed * _LOG_NOT[z] - top, _LOWEST) / 2.0**_SQUARINGS
        e = 1.0 / 120.0 + x * (1.0 / 720.0)
        e = 1.0 / 24.0 + x * e
        e = 1.0 / 6.0 + x * e
        e = 0.5 + x * e
        e = 1.0 + x * e
        e = 1.0 + x * e
        e *= e  # as often as `_SQUARINGS` says
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= prior[z] + 1e-12
        out[z] = e
        total += e
    share = 1.0 / total
    for z in range(_COUNT):
        out[z] *= share


@nb.njit(cache=True, nogil=True)
def _posteriors(starts, exposed, prior, out):  # type: ignore[no-untyped-def]
    each = len(prior) > 1
    for i in range(len(starts)):
        posterior_of(starts[i], exposed[i], prior[i if each else 0], out[i])


def posteriors_by_span(
    starts: Array, exposed: Array, usual: Array, group: NDArray[np.int32], last: tuple[Array, Array], pool: Pool, follows: Array,
    school: NDArray[np.int32], loosened: float,
) -> tuple[Array, Array]:  # fmt: skip
    """(n, spans, levels), and the mean log level of each (spans, n).

    starts, exposed  (spans, n): of the whole span first, then of stretches within it
    usual, group     (groups, levels) what is usual in each group, and each student's
    last             last year's (starts, exposed); who has any leans to them
    follows          (schools,) how closely this year follows the last, by each student's `school`
    loosened         the whole span's posterior, loosened by so much of what is usual, is the stretches' prior
    """
    spans, n = starts.shape
    found, mean = np.empty((n, spans, _COUNT)), np.empty((spans, n))
    kernels = year_kernels(pool.prior, follows)
    _by_span(starts, exposed, usual, group, *last, pool.prior, kernels, school, loosened, found, mean)
    return found, mean


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _by_span(  # type: ignore[no-untyped-def]
    starts, exposed, usual, group, last_starts, last_exposed, pool_prior, kernels, school, loosened, out, mean
):  # fmt: skip
    levels = kernels.shape[1]
    last, lean, loose = np.zeros(levels), np.zeros(levels), np.zeros(levels)
    for i in range(out.shape[0]):
        g = group[i]
        if last_exposed[i] > 0.0:
            posterior_of(last_starts[i], last_exposed[i], pool_prior, last)
            kernel = kernels[school[i]]
            for z in range(levels):
                lean[z] = 0.0
            for a in range(levels):
                if last[a] > 1e-12:
                    for z in range(levels):
                        lean[z] += last[a] * kernel[a, z]
        else:
            for z in range(levels):
                lean[z] = usual[g, z]
        for s in range(out.shape[1]):
            here = out[i, s]
            posterior_of(starts[s, i], exposed[s, i], loose if s else lean, here)
            middle = 0.0
            for z in range(levels):
                middle += here[z] * _LOG_BEGIN[z]
            mean[s, i] = middle
            if s == 0:
                for z in range(levels):
                    loose[z] = (1.0 - loosened) * here[z] + loosened * usual[g, z]


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


def group_mixes(pool: Pool, starts: Array, exposed: Array, group: NDArray[np.int32]) -> Array:
    """(groups, levels): the district's mix, leaning to each group's own by what it has shown so far."""
    groups = int(group.max(initial=-1)) + 1
    mix, size = np.zeros((groups, _COUNT)), np.bincount(group, minlength=groups)[:, None]
    _summed(starts, exposed, pool.prior, group, mix)
    leaning: Array = (mix + GROUP_STUDENTS * pool.prior) / (size + GROUP_STUDENTS)
    return leaning


@nb.njit(cache=True, nogil=True)
def _summed(starts, exposed, prior, group, mix):  # type: ignore[no-untyped-def]
    here = np.zeros(_COUNT)
    for i in range(len(starts)):
        posterior_of(starts[i], exposed[i], prior, here)
        for z in range(len(prior)):
            mix[group[i], z] += here[z]


def year_kernels(prior: Array, correlation: Array) -> Array:
    """(schools, levels, levels): this year's level given last year's, for each of these correlations.

    Between the two of `_CORRELATIONS` on either side: a school's is asked for every night.
    """
    kernels = _kernels(np.ascontiguousarray(prior).tobytes())
    at = (correlation - _CORRELATIONS[0]) / (_CORRELATIONS[1] - _CORRELATIONS[0])
    at = np.clip(at, 0.0, len(_CORRELATIONS) - 1.001)
    below = at.astype(np.int64)
    part = (at - below)[:, None, None]
    near: Array = (1 - part) * kernels[below] + part * kernels[below + 1]
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
    lean = np.zeros(levels)
    for i in range(len(last)):
        for r in range(len(kernels)):
            for b in range(levels):
                lean[b] = 0.0
            for a in range(levels):
                if last[i, a] >= 1e-6:
                    for b in range(levels):
                        lean[b] += last[i, a] * kernels[r, a, b]
            total = 1e-300
            for b in range(levels):
                total += lean[b] * this[i, b]
            out[school[i], r] += np.log(total)
