"""How a forecast is judged: figures over past days, with baselines beside them. Floats; every figure is about chances.

y is whether the line was reached, p the chance or any score by which somebody would make a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtri

__all__ = [
    "STANDS", "Draws", "Ranked", "calibration_error", "calibration_slope", "opened", "reliability", "wilson",
]  # fmt: skip

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: school days an alert of a line ahead stands once raised, as on the desk (watch.kinds)
STANDS = 20


@dataclass(frozen=True, slots=True)
class Draws:
    """The students (not the rows: a student's days are one story) drawn again, alike for every list that is set against others.

    number  (rows,) whose each row is, counted from 0
    times   (rounds, students) how often each student is drawn
    """

    number: NDArray[np.int32]
    times: NDArray[np.int64]

    @classmethod
    def of(cls, student: NDArray[np.int64], rounds: int, seed: int = 0) -> Draws:
        rng = np.random.default_rng(seed)
        who, number = np.unique(student, return_inverse=True)
        n = len(who)
        times = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(rounds)]
        return cls(number.astype(np.int32), np.array(times))


class Ranked:
    """A list made by a score, most likely first, ties taken together: sorted once for every figure that reads it.

    caught, looked  (thresholds,) int64: at each threshold, from the highest, how many of those looked at reached the line
    """

    def __init__(self, y: Bools, score: Array) -> None:
        self.order = np.argsort(-score, kind="stable")
        self.y = y[self.order]
        self.last = np.append(np.diff(score[self.order]) != 0, True)
        ends = np.flatnonzero(self.last)
        self.caught = np.cumsum(self.y, dtype=np.int64)[ends]
        self.looked = ends.astype(np.int64) + 1
        self.reached = int(self.y.sum())

    @property
    def average_precision(self) -> float:
        """Area under the precision-recall steps (Davis & Goadrich 2006). NaN where nobody reached the line.

        >>> Ranked(np.array([True, False, True]), np.array([0.9, 0.5, 0.4])).average_precision
        0.8333333333333333
        """
        if not self.reached:
            return float("nan")
        return float((np.diff(self.caught, prepend=0) * self.caught / self.looked).sum() / self.reached)

    def false_alarms_ratio(self, baseline: Ranked) -> dict[str, float]:
        """False alarms of this list for one of the baseline's, where the baseline's own thresholds catch some .3, .4 … .8.

        At each tenth the threshold whose recall is nearest; a coarse baseline has few, and none may lie between .25 and .85: then empty.
        """
        found: dict[str, float] = {}
        for tenth in range(3, 9):
            at = int(np.argmin(np.abs(baseline.caught / max(self.reached, 1) - tenth / 10)))
            caught, false = int(baseline.caught[at]), int(baseline.looked[at] - baseline.caught[at])
            recall = caught / max(self.reached, 1)
            if 0.25 <= recall <= 0.85 and false:
                k = int(np.searchsorted(self.caught, caught))
                found[f"{recall:.2f}"] = float(self.looked[k] - self.caught[k]) / false
        return found

    def drawn_again(self, draws: Draws) -> Array:
        """(rounds,) average precisions with the students drawn again each round."""
        number = draws.number[self.order]
        return np.array([_drawn(self.y, number, self.last, times) for times in draws.times])

    def weighed(self, weight: Array) -> float:
        """Average precision where each row stands for so many.

        >>> Ranked(np.array([True, False, True]), np.array([0.9, 0.5, 0.4])).weighed(np.array([1.0, 2.0, 1.0]))
        0.75
        """
        return float(_drawn(self.y, self.order, self.last, weight))

    def curve(self, points: int = 40) -> list[tuple[float, float]]:
        """(recall, precision) at some places from the top of the list to its end."""
        places = np.searchsorted(self.caught, np.linspace(0.01, 1, points) * self.reached)
        some = np.unique(places.clip(0, len(self.caught) - 1))
        return [(float(self.caught[k] / self.reached), float(self.caught[k] / self.looked[k])) for k in some]


@nb.njit(cache=True, nogil=True)
def _drawn(y, number, last, times):  # type: ignore[no-untyped-def]
    """Average precision where the student (or row) of each `number` counts so many times."""
    hits = looked = before = area = 0.0
    for i in range(len(y)):
        n = times[number[i]]
        looked += n
        hits += n * y[i]
        if last[i] and hits > before:
            area += (hits - before) * hits / looked
            before = hits
    return area / max(hits, 1.0)


def opened(student: NDArray[np.int64], through: NDArray[np.int64], act: Bools, clear: Bools) -> int:
    """How many alerts the desk opens on these looks, a row each, in the order of student and day.

    One that stands is not opened again. It falls on a look that says its student is clear, and `STANDS` school days after the last that said *act*; what lies
    between, and what cannot be told, only holds it.
    """
    at = np.flatnonzero(act)
    stands = (np.diff(student[at]) == 0) & (np.diff(through[at]) <= STANDS) & (np.diff(np.cumsum(clear)[at]) == 0)
    return len(at) - int(stands.sum())


def reliability(y: Bools, p: Array, edges: Array | None = None, bins: int = 15) -> list[tuple[float, float, int]]:
    """(mean chance, share reached, n) by bins of the chance: between these edges, or equally filled."""
    if edges is None:
        edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    at = np.searchsorted(edges, p, side="right")
    return [(float(p[at == k].mean()), float(y[at == k].mean()), int((at == k).sum())) for k in np.unique(at)]


def calibration_error(y: Bools, p: Array) -> float:
    """Expected calibration error over equally filled bins (Naeini et al. 2015)."""
    return sum(abs(chance - share) * n for chance, share, n in reliability(y, p)) / max(len(y), 1)


def calibration_slope(y: Bools, p: Array) -> float:
    """Slope of a logistic regression of the outcome on the log-odds (Cox 1958): 1 where chances are neither too bold nor too timid."""
    z = np.log(p / (1 - p))
    sign = np.where(y, 1.0, -1.0)

    def loss(beta: Array) -> tuple[float, Array]:
        margin = sign * (beta[0] * z + beta[1])
        pull = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        return float(np.logaddexp(0, -margin).sum()), np.array([(pull * z).sum(), pull.sum()])

    return float(minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x[0])


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
