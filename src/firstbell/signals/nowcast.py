"""What share of a school is away on a day, as it could be expected: from its own last days, the calendar, and the other schools that day.

On the log-odds scale a day is the sum of three parts. *Recent*: the school's own days before, each worth half of one `HALF_LIFE` days later,
begun at the
district's level on the year's first day, of which nothing better is known. *Calendar*: the weekday, the last day before a break and the first after it (`DayEffects`). *Others*: how much
the district's other schools, each against its own recent days and the calendar, are worse that same day. What is left is a surprise of
the school's own. Pure; a matrix of schools by days at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["DayEffects", "expected", "log_odds"]

Array = NDArray[np.float64]
Counts = NDArray[np.int32] | NDArray[np.int64]

HALF_LIFE = 5.0
#: the district's level counts as so many days at the beginning of a school's year
PRIOR_DAYS = 3.0
#: when nothing is known of the first day
NO_HISTORY = 0.06
#: a surprise of one school is told to its own next days, and to other schools, no larger than this
MOST = 2.0
#: what the others say is pooled with nothing as if one school more had been as expected
OTHERS_PRIOR = 1.0
#: of a day's surprise so much is not carried into the level: what the others share with it has passed tomorrow
SHARED_PASSES = 0.7
#: days from one school day to the next: a long weekend, some days, a week, two weeks
BREAKS = (4, 5, 8, 14)


@dataclass(frozen=True, slots=True)
class DayEffects:
    """Log-odds that the calendar adds to a day: (7,) by weekday from Monday; (5,) by the break that follows, and that went before: none, then
    as in BREAKS."""

    weekday: Array
    eve: Array
    after: Array

    @classmethod
    def published(cls) -> DayEffects:
        """NYC 2009–2017, 1.1 M school-days (facts.md, sec. 2): ratios to the days around. Weekdays against the middle of the week; eves of a
        long weekend 1.06, Thanksgiving 1.68, spring 1.27, winter 1.92; days after 1.05, 1.10, 1.17, 1.55."""
        return cls(
            np.log([1.056, 1.0, 0.964, 0.968, 1.073, 1.0, 1.0]), np.log([1.0, 1.06, 1.68, 1.27, 1.92]),
            np.log([1.0, 1.05, 1.10, 1.17, 1.55]),
        )  # fmt: skip

    def over(self, dates: NDArray[np.datetime64]) -> Array:
        """(days,) what the calendar adds to each."""
        weekday, eve, after = _kinds(dates)
        found: Array = self.weekday[weekday] + self.eve[eve] + self.after[after]
        return found


def _kinds(dates: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    days = dates.astype("datetime64[D]").astype(np.int64)
    eve = np.searchsorted(BREAKS, np.diff(days, append=days[-1:] + 1), side="right")
    after = np.concatenate([np.zeros(min(1, len(days)), dtype=np.int64), eve[:-1]])
    return (days + 3) % 7, eve, after  # 1970-01-01 was a Thursday


def log_odds(absent: Counts, possible: Counts) -> Array:
    """Of shares away, half a student added to both sides."""
    found: Array = np.log((absent + 0.5) / (np.maximum(possible - absent, 0) + 0.5))
    return found


def expected(
    absent: Counts, possible: Counts, dates: NDArray[np.datetime64], effects: DayEffects | None = None, *, others: bool = False, alone: bool = False
) -> Array:  # fmt: skip
    """(schools, days) float64: the share that could be expected to be away.

    absent, possible  (schools, days) students away, and expected, by school and day
    dates             (days,) the school days, of which those to come may be given too
    effects           of the calendar; else as published
    alone             whether each school is looked at by itself: nothing is known of the district's first day but its own
    others            whether the day is seen with the other schools' same day; else it is what could be expected the evening before
    """
    n, days = absent.shape
    calendar = (effects or DayEffects.published()).over(dates)[:days]
    out = np.zeros((n, days))
    away, there = absent.astype(np.float64), possible.astype(np.float64)
    for some in [slice(s, s + 1) for s in range(n)] if alone else [slice(n)]:
        if n and days:
            _expected(away[some], there[some], calendar, others, out[some])
    return out


@nb.njit(cache=True, nogil=True)
def _expected(absent, possible, calendar, others, out):  # type: ignore[no-untyped-def]
    n, days = absent.shape
    fade = 0.5 ** (1.0 / HALF_LIFE)
    start = 0.0
    begun = 0
    for s in range(n):
        if possible[s, 0] > 0:
            start += np.log((absent[s, 0] + 0.5) / (possible[s, 0] - absent[s, 0] + 0.5)) - calendar[0]
            begun += 1
    start = start / begun if begun else np.log(NO_HISTORY / (1.0 - NO_HISTORY))
    top = np.full(n, PRIOR_DAYS * start)
    weight = np.full(n, PRIOR_DAYS)
    surprise = np.zeros(n)
    for d in range(days):
        total = 0.0
        known = 0
        for s in range(n):
            surprise[s] = 0.0
            if possible[s, d] > 0:
                seen = np.log((absent[s, d] + 0.5) / (possible[s, d] - absent[s, d] + 0.5))
                surprise[s] = min(max(seen - top[s] / weight[s] - calendar[d], -MOST), MOST)
                total += surprise[s]
                known += 1
        for s in range(n):
            there = possible[s, d] > 0
            shared = (total - surprise[s]) / (max(known - there, 0) + OTHERS_PRIOR)
            level = top[s] / weight[s]
            z = level + calendar[d] + (shared if others else 0.0)
            out[s, d] = 1.0 / (1.0 + np.exp(-z))
            if there:
                top[s] = top[s] * fade + level + surprise[s] - SHARED_PASSES * shared
                weight[s] = weight[s] * fade + 1.0
