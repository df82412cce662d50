"""`forecast`: a model asked one question about a school's students, on what was known on a day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import Col
from firstbell.forecast.glassbox import Box, GlassBox, inputs
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Answers, Learned, Rates, answers, possible_days, rates
from firstbell.forecast.lines import Line

__all__ = ["NO_BARS", "Band", "Bars", "Forecasts", "forecast"]


class Band(StrEnum):
    """What a person is told in place of a number."""

    ACT = "act"
    WATCH = "watch"
    CLEAR = "clear"
    CANNOT_TELL = "cannot_tell"
    REACHED = "reached"


@dataclass(frozen=True, slots=True)
class Bars:
    """From which chance a forecast says act, and watch."""

    act: float
    watch: float


#: where no closed year says where an officer's time ends
NO_BARS = Bars(0.25, 0.12)
#: a line found to have been reached already counts so little beside one that may still be reached (decision 0013)
REACHED_UNSEEN = 0.15
#: fewer days known of a student say too little
ENOUGH_DAYS = 15
#: so many school days without any known square, or so many of the last five with an unknown one, and the marks are stale
STALE_DAYS, UNKNOWN_DAYS = 3, 3
#: a school's day with so many times its usual absence
SHOCKED = 2.0


@dataclass(frozen=True, slots=True)
class Forecasts:
    """(n,) each, a row a student of the school as given; `asked` says who was on the roll and so has an answer.

    needed  so many more reach it by the horizon's end; 0 where it is reached
    chance, low, high  float64; NaN where the line is reached
    """

    asked: NDArray[np.bool_]
    count: NDArray[np.int64]
    needed: NDArray[np.int64]
    chance: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    band: NDArray[np.str_]


def forecast(
    known: Known,
    line: Line,
    horizon: int,
    learned: Learned,
    box: Box | None,
    bars: Bars,
    *,
    r: Rates | None = None,
    a: Answers | None = None,
) -> Forecasts:
    """Chances of reaching `line` within `horizon` school days (`lines.YEAR_END`: by the year's end). Without a `box`, layer 1's alone.

    `r`, `a`: the school's rates, and layer 1's answers, where they were computed already.
    """
    r = r or rates(known, line.counted, learned)
    a = a or answers(known, line, horizon, learned, r)
    come = line.reached(a.count, possible_days(known, r.evidence))
    chance, low, high = chances(known, r, a, box)
    band = np.where(chance >= bars.act, Band.ACT, np.where(chance >= bars.watch, Band.WATCH, Band.CLEAR)).astype("U11")
    too_wide = (low < bars.watch) & (high >= bars.act)  # it may as well be clear as act
    band[_cannot_tell(known, r) | too_wide] = Band.CANNOT_TELL
    band[come] = Band.REACHED
    none = np.where(come, np.nan, 1.0)
    return Forecasts(
        known.here, a.count, np.where(come, 0, np.maximum(a.needed, 0)), chance * none, low * none, high * none, band
    )


def chances(
    known: Known, r: Rates, a: Answers, box: Box | None, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(chance, low, high), of the rows `a` was asked for. Layer 1 alone gives the span of its answers as its interval."""
    if not isinstance(box, GlassBox):
        unseen = REACHED_UNSEEN * a.already  # of reaching it from here: as layer 2 learns it
        spans = np.stack(list(a.chance.values())) - a.already + unseen
        spans = np.clip(spans / (1 - a.already + unseen), 1e-6, 1 - 1e-6)
        if box is not None:
            spans = box.chance(spans, a.line)
        return spans[list(a.chance).index("45")], spans.min(axis=0), spans.max(axis=0)
    score = box.score(inputs(known, r, a, rows), known.band if rows is None else known.band[rows])
    low, high = box.interval(score)
    return 1 / (1 + np.exp(-score)), low, high


def _cannot_tell(known: Known, r: Rates) -> NDArray[np.bool_]:
    e = r.evidence
    few = e[Col.POSSIBLE] + known.carried.possible < ENOUGH_DAYS
    stale = (e[Col.STALE] >= STALE_DAYS) | (e[Col.UNKNOWN_5] >= UNKNOWN_DAYS)
    shocked = known.weights[known.school, -1] >= SHOCKED if known.through else np.zeros(len(few), dtype=np.bool_)
    cannot: NDArray[np.bool_] = few | stale | shocked
    return cannot
