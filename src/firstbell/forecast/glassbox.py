"""Layer 2: a sum of terms over layer 1's answers and a few plain signals; its curves are its explanation.

A logistic regression, each term's direction bounded where common sense has one, and shrunk. It was chosen by measurement over boosted
trees with and without limits and an EBM: decision 0013. The line asked about enters only through what is still needed and through layer
1's answers, so that any line is answered with no retraining.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, lsq_linear
from scipy.special import logit

from firstbell.forecast.evidence import Col
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Answers, Rates
from firstbell.said import said

__all__ = ["TERMS", "Box", "GlassBox", "Temper", "Term", "fit", "inputs", "venn_abers"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """One input: its name, what it is in words, and its direction (1: more never lowers the chance, -1: never raises it, 0: free)."""

    name: str
    meaning: str
    direction: int = 0


#: Everything the learned layer sees. Own marks, enrolment and grade only: see tests/forecast/test_inputs.py.
TERMS = (
    Term("chance_year", said("the chance if the rest of the year goes as this student's year did"), 1),
    Term("chance_45", said("the chance if it goes as the last two months did"), 1),
    Term("chance_15", said("the chance if it goes as the last weeks did"), 1),
    Term("chance_5", said("the chance if it goes as the last days did"), 1),
    Term("chance_new", said("the chance that a new absence reaches it, if the marks so far have not"), 1),
    Term("already", said("the chance that marks not yet settled have reached it already")),
    Term("needed", said("days still needed, as known"), -1),
    Term("needed_expected", said("days still needed when what is unsettled has been settled"), -1),
    Term("pending", said("absences without a reason yet")),
    Term("days", said("school days known of this student this year")),
    Term("streak", said("days away in a row")),
    Term("since", said("days since the last absence"), -1),
    Term("level", said("how often an absence begins, pooled over the year"), 1),
    Term("level_45", said("the last two months against the year"), 1),
    Term("level_15", said("the last weeks against the year"), 1),
    Term("level_5", said("the last days against the year"), 1),
    Term("stay", said("how long an absence lasts once begun"), 1),
    Term("share", said("share of absences that end as counted days"), 1),
    Term("current", said("the chance that the absence going on now is one of counted days"), 1),
    Term("counted_5", said("counted days of the last days"), 1),
    Term("away_5", said("days away of the last days"), 1),
    Term("away_15", said("days away of the last weeks"), 1),
    Term("part", said("days partly missed or late, the last weeks against the last months")),
    Term("begun", said("share of absences that begin with a counted day"), 1),
    Term("open", said("days of the absence going on whose marks are not settled"), 1),
    Term("one_more", said("how nearly one more counted day is enough"), 1),
    # two pairs, chosen by measurement: decision 0013
    Term(
        "needed_share",
        said("days still needed when what is unsettled has been settled, times the share of absences that count"),
        -1,
    ),
    Term("seldom_stay", said("how seldom an absence begins, times how long one lasts"), -1),
)


def inputs(known: Known, r: Rates, a: Answers, rows: NDArray[np.int64] | None = None) -> Array:
    """(n, len(TERMS)) float64, in the order of `TERMS`; `a` was asked for the same rows."""
    some: slice | NDArray[np.int64] = slice(None) if rows is None else rows
    x = np.empty((len(a.count), len(TERMS)))
    _inputs(
        np.ascontiguousarray((r.evidence if rows is None else r.evidence.only(rows)).columns.T), np.stack(list(a.chance.values())), a.already, a.count, a.line,
        np.stack([level[some] for level in r.mean.values()]), r.stay[some], r.share[some], r.begun[some], _LOG1P, x,
    )  # fmt: skip
    return x


#: of whole days, which most of the logarithms are of
_LOG1P = np.log1p(np.arange(512))


@nb.njit(cache=True, nogil=True)
def _log1p(days, table):  # type: ignore[no-untyped-def]
    """Of whole days."""
    return table[int(days)] if days < len(table) else np.log1p(days)


@nb.njit(cache=True, nogil=True)
def _inputs(e, chance, already, count, line, mean, stay, share, begun, log1p, out):  # type: ignore[no-untyped-def]
    """e (columns, n); chance, mean (spans, n), the year first; the rest (n,)."""
    for i in range(len(out)):
        x = out[i]
        before, new = already[i], 0.0
        for s in range(4):
            p = chance[s, i]
            x[s] = np.log(p / (1.0 - p))
            p = min(max((p - before) / max(1.0 - before, 1e-3), 1e-6), 1.0 - 1e-6)
            new += np.log(p / (1.0 - p))
        missing = max(line[i] - e[Col.EXPECTED, i] - (count[i] - e[Col.COUNT, i]), 0.0)
        needed = np.log1p(missing)
        year = mean[0, i]
        x[4] = new / 4.0
        x[5] = before
        x[6] = _log1p(max(line[i] - count[i], 0), log1p)
        x[7] = needed
        x[8] = _log1p(e[Col.PENDING, i], log1p)
        x[9] = _log1p(e[Col.POSSIBLE, i], log1p)
        x[10] = _log1p(e[Col.STREAK, i], log1p)
        x[11] = _log1p(e[Col.SINCE, i], log1p)
        x[12] = year
        x[13] = mean[1, i] - year
        x[14] = mean[2, i] - year
        x[15] = mean[3, i] - year
        x[16] = stay[i]
        x[17] = share[i]
        x[18] = e[Col.CURRENT, i]
        x[19] = e[Col.EVENTS_5, i] / max(e[Col.DAYS_5, i], 1e-9)
        x[20] = e[Col.AWAY_5, i] / max(e[Col.DAYS_5, i], 1e-9)
        x[21] = e[Col.AWAY_15, i] / max(e[Col.DAYS_15, i], 1e-9)
        x[22] = e[Col.PART_15, i] / max(e[Col.DAYS_15, i], 1e-9) - e[Col.PART_45, i] / max(e[Col.DAYS_45, i], 1e-9)
        x[23] = begun[i]
        x[24] = _log1p(e[Col.OPEN, i], log1p)
        x[25] = min(max(2.0 - missing, 0.0), 1.0)
        x[26] = needed * share[i]
        x[27] = -year * stay[i]


@dataclass(frozen=True, slots=True)
class GlassBox:
    """weights (terms,) per standard deviation of each input; middle, spread (terms,); bias; and by grade band a slope and a shift.

    cut, low, high  Venn-Abers: at a log-odds up to `cut`, the two isotonic chances an exchangeable next student would have
    """

    middle: Array
    spread: Array
    weights: Array
    bias: float
    by_band: Array
    cut: Array
    low: Array
    high: Array

    def score(self, x: Array | NDArray[np.float32], band: NDArray[np.int8]) -> Array:
        """(n,) log-odds."""
        weights = self.weights / self.spread
        # row by row: a product of matrices may round a row by its place among the others, and two equal students would differ
        raw = np.einsum("ij,j->i", x, weights) + (self.bias - self.middle @ weights)
        slope, shift = self.by_band[band].T
        score: Array = slope * raw + shift
        return score

    def parts(self, x: Array) -> Array:
        """(n, terms): what each term adds to the log-odds, against the usual student of the training."""
        parts: Array = ((x - self.middle) / self.spread) * self.weights
        return parts

    def interval(self, score: Array) -> tuple[Array, Array]:
        at = np.minimum(np.searchsorted(self.cut, score), len(self.cut) - 1)
        chance = 1 / (1 + np.exp(-score))
        return np.minimum(self.low[at], chance), np.maximum(self.high[at], chance)


@dataclass(frozen=True, slots=True)
class Temper:
    """Of lines within a window layer 2 says only how far layer 1's answers are to be believed: log-odds of slope × theirs + tilt × log of the days of the
    line + shift."""

    slope: float
    tilt: float
    shift: float

    @classmethod
    def fit(cls, chance: Array, line: NDArray[np.int64], y: NDArray[np.bool_]) -> Temper:
        z = np.column_stack([logit(chance), np.log(line)]).astype(np.float32)
        usual, free = np.array([1.0, 0.0, 0.0]), np.full(3, np.inf)
        return cls(*_logistic(z, y, np.ones(len(y)), usual, np.full(3, BAND_SHRINK), usual, (-free, free)).tolist())

    def chance(self, chance: Array, line: NDArray[np.int64]) -> Array:
        believed: Array = 1 / (1 + np.exp(-(self.slope * logit(chance) + self.tilt * np.log(line) + self.shift)))
        return believed


#: layer 2's part in an answer
Box = GlassBox | Temper

#: how strongly weights are shrunk, in rows' worth of evidence
SHRINK = 30.0
#: a grade band's own slope and shift are shrunk to the district's as if so many more rows had said "none"
BAND_SHRINK = 200.0
#: the search for the best weights ends where a step promises less than this share of the loss
_NEWTON_STEPS, _ENOUGH = 30, 1e-7
#: it begins on about so many of the rows, so that all of them are gone through twice, not ten times
_BEGIN_WITH = 50_000


def fit(
    x: NDArray[np.float32], y: NDArray[np.bool_], weight: Array, band: NDArray[np.int8], half: NDArray[np.int8]
) -> tuple[GlassBox, Array]:
    """Weights by penalised maximum likelihood within their directions; bands and intervals from scores of students not fitted on: these, (n,) log-odds, too.

    x (n, terms), y (n,), weight (n,); band (n,); half (n,) 0 or 1: which half of the students a row is of.
    """
    middle, spread = _moments(x, weight)
    z = x - middle.astype(np.float32)
    z /= spread.astype(np.float32)
    begin = slice(None, None, max(len(y) // _BEGIN_WITH, 1))
    best = _weights(z[begin], y[begin], weight[begin] * begin.step, np.zeros(z.shape[1] + 1))
    if begin.step > 1:
        best = _weights(z, y, weight, best)
    out = np.empty(len(y), dtype=np.float32)
    for side in (0, 1):
        of_others = _weights(z, y, np.where(half != side, weight, 0.0), best)
        np.copyto(out, np.einsum("ij,j->i", z, of_others[:-1]) + of_others[-1], where=half == side, casting="same_kind")
    by_band = np.array([_slope(out, y, np.where(band == k, weight, 0.0)) for k in range(3)])
    slope, shift = by_band[band].T
    unseen = slope * out + shift
    box = GlassBox(middle, spread, best[:-1], float(best[-1]), by_band, *venn_abers(unseen, y, weight))
    return box, unseen


def _weights(z: NDArray[np.float32], y: NDArray[np.bool_], weight: Array, start: Array) -> Array:
    """(terms + 1,), the last the bias, within the terms' directions."""
    direction = np.array([*(t.direction for t in TERMS), 0])
    bounds = np.where(direction > 0, 0.0, -np.inf), np.where(direction < 0, 0.0, np.inf)
    return _logistic(z, y, weight, start, np.append(np.full(z.shape[1], SHRINK), 1e-6), np.zeros(len(start)), bounds)


def _slope(score: NDArray[np.float32], y: NDArray[np.bool_], weight: Array) -> Array:
    """A band's own slope and shift, shrunk to (1, 0)."""
    usual, free = np.array([1.0, 0.0]), np.full(2, np.inf)
    return _logistic(score[:, None], y, weight, usual, np.full(2, BAND_SHRINK), usual, (-free, free))


def _logistic(
    z: NDArray[np.float32], y: NDArray[np.bool_], weight: Array, start: Array, shrink: Array, toward: Array, bounds: tuple[Array, Array],
) -> Array:  # fmt: skip
    """Newton's method (iteratively reweighted least squares), each step the least squares within the bounds.

    There is one best answer, whatever `start` is: it only saves steps.
    """
    z = np.ascontiguousarray(z)

    def at(beta: Array) -> tuple[float, Array, Array]:
        loss, gradient, curve = _sums(z, y, weight, beta)
        off = beta - toward
        return loss + float(shrink @ off**2) / 2, gradient + shrink * off, curve + np.diag(shrink)

    beta = start
    now, gradient, curve = at(beta)
    for _ in range(_NEWTON_STEPS):
        root = np.linalg.cholesky(curve).T
        target = root @ beta - np.linalg.solve(root.T, gradient)
        step = lsq_linear(root, target, bounds=bounds, method="bvls").x - beta
        if -(gradient @ step + step @ curve @ step / 2) < _ENOUGH * now:
            beta = beta + step
            break
        size = 1.0
        while (found := at(beta + size * step))[0] > now and size > 1e-3:
            size /= 2
        beta = beta + size * step
        now, gradient, curve = found
    best: Array = np.clip(beta, *bounds)
    return best


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _sums(z, y, weight, beta):  # type: ignore[no-untyped-def]
    """Of a logistic regression at `beta`, the last of them the bias: its loss, gradient and curve, in one walk through the rows.

    A row of no weight plays no part. In one thread, so that the answer is the same however many cores there are.
    """
    terms = z.shape[1]
    gradient, curve = np.zeros(terms + 1), np.zeros((terms + 1, terms + 1))
    row = np.ones(terms + 1)
    loss = 0.0
    for i in range(len(z)):
        if weight[i] == 0.0:
            continue
        odds = beta[terms]
        for a in range(terms):
            row[a] = z[i, a]
            odds += row[a] * beta[a]
        e = np.exp(-abs(odds))
        loss += weight[i] * (np.log1p(e) + max(-odds if y[i] else odds, 0.0))
        p = (1.0 if odds >= 0.0 else e) / (1.0 + e)
        pull, sure = weight[i] * (p - y[i]), weight[i] * p * (1.0 - p)
        for a in range(terms + 1):
            gradient[a] += pull * row[a]
            part = sure * row[a]
            for b in range(a + 1):
                curve[a, b] += part * row[b]
    for a in range(terms + 1):
        for b in range(a):
            curve[b, a] = curve[a, b]
    return loss, gradient, curve


@nb.njit(cache=True, nogil=True)
def _moments(x, weight):  # type: ignore[no-untyped-def]
    """(terms,) weighted mean and spread of each input, with no array of the rows' size made for it."""
    middle, spread = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    total = weight.sum()
    for i in range(len(x)):
        for a in range(x.shape[1]):
            middle[a] += weight[i] * x[i, a]
    middle /= total
    for i in range(len(x)):
        for a in range(x.shape[1]):
            spread[a] += weight[i] * (x[i, a] - middle[a]) ** 2
    return middle, np.sqrt(spread / total) + 1e-9


def venn_abers(score: Array, y: NDArray[np.bool_], weight: Array, steps: int = 120) -> tuple[Array, Array, Array]:
    """(cut, low, high): inductive Venn-Abers predictors (Vovk, Petej & Fedorova 2015) over a grid of scores.

    For a student whose score falls in a step: the isotonic chance were their own outcome 0, and were it 1, added to all the others.
    """
    order = np.argsort(score, kind="stable")
    edges = np.unique(np.quantile(score, np.concatenate([np.linspace(0, 0.9, 30), 1 - np.geomspace(0.1, 2e-5, steps)])))
    step = np.searchsorted(edges, score[order])
    size = np.bincount(step, weight[order], minlength=len(edges) + 1)
    hits = np.bincount(step, (weight * y)[order], minlength=len(edges) + 1)
    low, high = np.empty(len(size)), np.empty(len(size))
    for k in range(len(size)):
        for outcome, into in ((0.0, low), (1.0, high)):
            n, h = size.copy(), hits.copy()
            n[k] += 1.0
            h[k] += outcome
            there = n > 0
            fitted = isotonic_regression(h[there] / n[there], weights=n[there]).x
            into[k] = fitted[np.flatnonzero(there).searchsorted(k)]
    return np.append(edges, np.inf), low, high
