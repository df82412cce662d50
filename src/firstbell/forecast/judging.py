"""How a forecast is judged: figures over past days, with baselines beside them. Floats; every figure is about chances.

y is whether the line was reached, p the chance or any score by which somebody would make a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtri

__all__ = [
    "Interval", "average_precision", "calibration_error", "calibration_slope", "clustered", "false_alarms_ratio", "reliability", "wilson",
]  # fmt: skip

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


def average_precision(y: Bools, p: Array) -> float:
    """Area under the precision-recall steps, ties taken together (Davis & Goadrich 2006). NaN where nobody reached the line.

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.5, 0.4]))
    0.8333333333333333
    """
    if not y.any():
        return float("nan")
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order])
    last = np.append(np.diff(p[order]) != 0, True)  # the last of each tie
    hits, looked = hits[last], np.flatnonzero(last) + 1
    recall = np.diff(hits, prepend=0) / hits[-1]
    return float((recall * hits / looked).sum())


def false_alarms_ratio(y: Bools, p: Array, baseline: Array) -> dict[str, float]:
    """False alarms of the forecast for one of the baseline's, at each recall the baseline's own thresholds give.

    Recalls of a coarse baseline that lie between .3 and .8; empty where it has none.
    """
    found: dict[str, float] = {}
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order])
    for bar in np.unique(baseline)[::-1]:
        flagged = baseline >= bar
        caught = int((flagged & y).sum())
        recall = caught / max(int(y.sum()), 1)
        if 0.3 <= recall <= 0.8:
            looked = int(np.searchsorted(hits, caught)) + 1
            false = int((flagged & ~y).sum())
            if false:
                found[f"{recall:.2f}"] = (looked - caught) / false
    return found


def reliability(y: Bools, p: Array, bins: int = 15) -> list[tuple[float, float, int]]:
    """(mean chance, share reached, n) by equally filled bins of the chance."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    at = np.searchsorted(edges, p, side="right")
    return [(float(p[at == k].mean()), float(y[at == k].mean()), int((at == k).sum())) for k in np.unique(at)]


def calibration_error(y: Bools, p: Array, bins: int = 15) -> float:
    """Expected calibration error over equally filled bins (Naeini et al. 2015)."""
    return sum(abs(chance - share) * n for chance, share, n in reliability(y, p, bins)) / max(len(y), 1)


def calibration_slope(y: Bools, p: Array) -> float:
    """Slope of a logistic regression of the outcome on the log-odds (Cox 1958): 1 where chances are neither too bold nor too timid."""
    z = np.log(p / (1 - p))
    sign = np.where(y, 1.0, -1.0)

    def loss(beta: Array) -> tuple[float, Array]:
        margin = sign * (beta[0] * z + beta[1])
        pull = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        return float(np.logaddexp(0, -margin).sum()), np.array([(pull * z).sum(), pull.sum()])

    return float(minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x[0])


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float


def clustered(
    of: Callable[[NDArray[np.int64]], float], student: NDArray[np.int64], rounds: int = 60, seed: int = 0
) -> Interval:
    """A figure with its 95 % bootstrap interval, students (not rows) drawn again: a student's days are one story.

    of: takes row numbers and gives the figure.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(student, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(student[order]) != 0))
    stops = np.append(starts[1:], len(order))
    drawn = []
    for _ in range(rounds):
        who = rng.integers(0, len(starts), len(starts))
        length = stops[who] - starts[who]
        rows = np.repeat(starts[who] - np.append(0, np.cumsum(length)[:-1]), length) + np.arange(length.sum())
        drawn.append(of(order[rows]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(of(np.arange(len(student))), float(low), float(high))


def wilson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share (Wilson 1927); (0, 1) where nobody was looked at.

    >>> tuple(round(x, 3) for x in wilson(8, 10))
    (0.49, 0.943)
    """
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - (1 - confidence) / 2))
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return middle - half, middle + half
