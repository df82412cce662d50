"""Why a chance is what it is, by taking evidence away: what is said to matter must move the chance when it is removed.

Reasons come from what a person can check on the register (layers 0 and 1), never from a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import EXCUSED, PENDING, PRESENT
from firstbell.forecast.forecasts import chances
from firstbell.forecast.glassbox import Box
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Among, Learned, answers, rates
from firstbell.forecast.lines import Line
from firstbell.forecast.pooling import Before

__all__ = ["Reason", "Why", "reasons"]

#: the days "lately" speaks of
LATELY = 10
#: a reason without which the chance would still be so much of itself is not worth a sentence
MATTERS = 0.9
#: reasons given at most
MOST = 2


class Why(StrEnum):
    AWAY_NOW = "away_now"
    LATELY = "lately"
    UNEXPLAINED = "unexplained"
    LAST_YEAR = "last_year"


@dataclass(frozen=True, slots=True)
class Reason:
    """count of the last `of` days (lately); days in a row (away_now); absences without a reason (unexplained); counted of last year's
    absences (last_year). `without`: the chance were it not so."""

    why: Why
    count: int
    of: int
    without: float


def reasons(
    known: Known, here: NDArray[np.float64], line: Line, horizon: int, learned: Learned, box: Box | None, among: Among
) -> list[list[Reason]]:
    """For each of these students, the reasons whose removal lowers the chance, most first.

    known: of these students only (`Known.only`); here: their chances
    among: what their whole school has shown. A removal changes a student's own days only: the school stays as it is.
    """
    if not len(here):
        return []
    taken, counts, streak = _taken_away(np.ascontiguousarray(known.kinds[line.counted]))
    before = known.before.get(line.counted) or Before.nothing(len(here))
    removals = (
        (Why.AWAY_NOW, taken[0], 2, streak, streak),
        (Why.LATELY, taken[1], 1, counts[0], counts[1]),
        (Why.UNEXPLAINED, taken[2], 1, counts[2], np.zeros_like(streak)),
        (Why.LAST_YEAR, known.kinds[line.counted], 1, before.counted.astype(np.int64), before.ended.astype(np.int64)),
    )
    # all removals are asked about at once, each student as often as there is something to take away
    who, which = np.nonzero(np.column_stack([count >= least for _why, _kinds, least, count, _of in removals]))
    last_year = np.array([why is Why.LAST_YEAR for why, *_ in removals])[which]
    left = replace(
        known.only(who), kinds={line.counted: np.stack([kinds for _why, kinds, *_ in removals])[which, who]},
        before={line.counted: before.rows(np.where(last_year, -1, who))},
    )  # fmt: skip
    of_left = rates(left, line.counted, learned, among=among)
    chance, _low, _high = chances(left, of_left, answers(left, line, horizon, learned, of_left), box)
    moves = chance < MATTERS * here[who]
    without = np.full((len(here), len(removals)), np.inf)
    without[who[moves], which[moves]] = chance[moves]
    # a run of days away now is not said twice, as days lately too, unless there were more
    now_told = np.isfinite(without[:, 0]) & (counts[0] <= streak)
    without[now_told, 1] = np.inf
    order = np.argsort(without, axis=1, kind="stable")[:, :MOST]
    found: list[list[Reason]] = []
    columns = [(why, count.tolist(), of.tolist()) for why, _kinds, _least, count, of in removals]
    for i, (best, chance_without) in enumerate(zip(order.tolist(), without.tolist(), strict=True)):
        found.append(
            [
                Reason(columns[k][0], columns[k][1][i], columns[k][2][i], chance_without[k])
                for k in best
                if chance_without[k] < np.inf
            ]
        )
    return found


@nb.njit(cache=True, nogil=True)
def _taken_away(kinds):  # type: ignore[no-untyped-def]
    """(3, n, days): each row's days with those away now, lately, or without a reason made days present; (3, n): days away lately, of so
    many days known, and days without a reason; (n,): days away in a row up to now."""
    n, through = kinds.shape
    taken = np.empty((3, n, through), dtype=np.uint8)
    counts = np.zeros((3, n), dtype=np.int64)
    streak = np.zeros(n, dtype=np.int64)
    for i in range(n):
        known = 0
        for d in range(through - 1, -1, -1):
            kind = kinds[i, d]
            taken[:, i, d] = kind
            if kind == 0:
                continue
            known += 1
            away = EXCUSED <= kind <= PENDING
            if known <= LATELY:
                counts[0, i] += away
                counts[1, i] += 1
            if away:
                if known == streak[i] + 1:
                    streak[i] += 1
                    taken[0, i, d] = PRESENT
                if known <= LATELY:
                    taken[1, i, d] = PRESENT
            if kind == PENDING:
                taken[2, i, d] = PRESENT
                counts[2, i] += 1
    return taken, counts, streak
