"""Why a chance is what it is, by taking evidence away: what is said to matter must move the chance when it is removed.

Reasons come from what a person can check on the register (layers 0 and 1), never from a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    school = r.prior[rows], r.correlation
    here, _low, _high = chances(alone, *_answered(alone, line, horizon, learned, school), box)
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
    found: list[list[Reason]] = [[] for _ in rows]
    for why, known_without, count, of in removals:
        chance, _low, _high = chances(known_without, *_answered(known_without, line, horizon, learned, school), box)
        least = 2 if why is Why.AWAY_NOW else 1
        for i in np.flatnonzero((count >= least) & (chance < MATTERS * here)).tolist():
            found[i].append(Reason(why, int(count[i]), int(of[i]), float(chance[i])))
    return [_chosen(of_one) for of_one in found]


def _answered(
    known: Known, line: Line, horizon: int, learned: Learned, school: tuple[NDArray[np.float64], float]
) -> tuple[Rates, Answers]:
    prior, correlation = school
    r = rates(known, line.counted, learned, prior=prior, correlation=correlation)
    return r, answers(known, line, horizon, learned, r)


def _last(seen: NDArray[np.bool_], days: int | NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, days): the last so many days a row knows."""
    after = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    return seen & (after <= (days if isinstance(days, int) else days[:, None]))


def _without(known: Known, line: Line, days: NDArray[np.bool_]) -> Known:
    kinds = dict(known.kinds)
    kinds[line.counted] = np.where(days, np.uint8(PRESENT), kinds[line.counted])
    return replace(known, kinds=kinds)


def _chosen(found: Sequence[Reason]) -> list[Reason]:
    """Most moving first. A run of days away now is not said twice, as days lately too, unless there were more."""
    kept: list[Reason] = []
    now = next((x for x in found if x.why is Why.AWAY_NOW), None)
    for reason in sorted(found, key=lambda x: (x.without, x.why)):
        if reason.why is Why.LATELY and now is not None and reason.count <= now.count:
            continue
        kept.append(reason)
    return kept[:MOST]
