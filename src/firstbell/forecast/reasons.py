"""Why a chance is what it is, by taking evidence away: what is said to matter must move the chance when it is removed.

Reasons come from what a person can check on the register (layers 0 and 1), never from a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import EXCUSED, PENDING, PRESENT, Col
from firstbell.forecast.forecasts import chances
from firstbell.forecast.glassbox import GlassBox
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Answers, Learned, Rates, answers, rates
from firstbell.forecast.lines import Line

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
    known: Known, rows: NDArray[np.int64], line: Line, horizon: int, learned: Learned, box: GlassBox | None, r: Rates
) -> list[list[Reason]]:
    """For each of these rows of a school, the reasons whose removal lowers the chance, most first.

    r: the school's rates. A removal changes a student's own days only: the school stays as it is.
    """
    if not len(rows):
        return []
    alone = known.only(rows)
    kinds = alone.kinds[line.counted]
    prior, lean = r.prior[rows], r.lean[rows]
    here, _low, _high = chances(alone, *_answered(alone, line, horizon, learned, (prior, lean)), box)
    away = (kinds >= EXCUSED) & (kinds <= PENDING)
    e = r.evidence.columns[rows]
    seen = kinds > 0
    lately = _last(seen, LATELY)
    streak = e[:, Col.STREAK].astype(np.int64)
    now = _last(seen, streak) & away
    before = alone.before.get(line.counted)
    removals: list[tuple[Why, Known, NDArray[np.int64], NDArray[np.int64]]] = [
        (Why.AWAY_NOW, _without(alone, line, now), streak, streak),
        (Why.LATELY, _without(alone, line, away & lately), (away & lately).sum(axis=1), (seen & lately).sum(axis=1)),
        (
            Why.UNEXPLAINED,
            _without(alone, line, kinds == PENDING),
            (kinds == PENDING).sum(axis=1),
            np.zeros(len(rows), dtype=np.int64),
        ),
    ]
    if before is not None:
        removals.append(
            (
                Why.LAST_YEAR, replace(alone, before={}), before.counted.astype(np.int64), before.ended.astype(np.int64)
            )
        )  # fmt: skip
    without = np.full((len(rows), len(removals)), np.inf)
    for k, (why, known_without, count, _of) in enumerate(removals):
        among = (prior, prior if why is Why.LAST_YEAR else lean)
        chance, _low, _high = chances(known_without, *_answered(known_without, line, horizon, learned, among), box)
        least = 2 if why is Why.AWAY_NOW else 1
        moves = (count >= least) & (chance < MATTERS * here)
        without[moves, k] = chance[moves]
    # a run of days away now is not said twice, as days lately too, unless there were more
    now_told = np.isfinite(without[:, 0]) & (removals[1][2] <= removals[0][2])
    without[now_told, 1] = np.inf
    order = np.argsort(without, axis=1, kind="stable")[:, :MOST]
    found: list[list[Reason]] = []
    columns = [(why, count.tolist(), of.tolist()) for why, _known, count, of in removals]
    for i, (best, chance_without) in enumerate(zip(order.tolist(), without.tolist(), strict=True)):
        found.append(
            [
                Reason(columns[k][0], columns[k][1][i], columns[k][2][i], chance_without[k])
                for k in best
                if chance_without[k] < np.inf
            ]
        )
    return found


def _answered(
    known: Known, line: Line, horizon: int, learned: Learned, among: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> tuple[Rates, Answers]:
    r = rates(known, line.counted, learned, among=among)
    return r, answers(known, line, horizon, learned, r)


def _last(seen: NDArray[np.bool_], days: int | NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, days): the last so many days a row knows."""
    after = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    return seen & (after <= (days if isinstance(days, int) else days[:, None]))


def _without(known: Known, line: Line, days: NDArray[np.bool_]) -> Known:
    kinds = dict(known.kinds)
    kinds[line.counted] = np.where(days, np.uint8(PRESENT), kinds[line.counted])
    return replace(known, kinds=kinds)
