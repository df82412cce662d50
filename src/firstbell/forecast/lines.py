"""The lines a forecast is asked about: so many days of a kind in the school year, or in a window; or a share of the days enrolled.

A law pack's rule becomes a line where it counts such days; models are trained and judged on those of the pack `example`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstbell.law.packs import Count, Pack, PackError, Rule, Window, versions

__all__ = ["HORIZONS", "PACKS", "YEAR", "YEAR_END", "Counted", "Line", "UnknownLine", "find_line", "line_of"]

#: School days ahead a question may ask about; 0 stands for the year's end.
YEAR_END = 0
HORIZONS = (5, 10, 20, YEAR_END)
#: the days of the whole school year count together
YEAR = Window(kind="school_year")
#: windows that begin by dates alone, and hold no day of another year (terms are the calendar's, and not in a forecast's sight)
_WINDOWS = frozenset(
    {
        "consecutive",
        "calendar_month",
        "school_month",
        "rolling_calendar_days",
        "rolling_school_days",
        "rolling_school_weeks",
        "rolling_months",
    }
)


class Counted(StrEnum):
    """What kind of day a line counts."""

    #: every known session of the day missed, most of them unauthorised (law.md § 1.4, strategy 4 `full_day_only`)
    UNEXCUSED = "unexcused"
    #: at least half of the day missed for any reason (EDFacts FS195)
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Line:
    """`days` of a kind within a window; or, where `share` is given, that share of the days enrolled (`above` it: more than that share), once `minimum` of
    them have been."""

    counted: Counted
    title: str
    days: int = 0
    share: Fraction | None = None
    above: bool = False
    minimum: int = 0
    window: Window = YEAR

    @property
    def in_year(self) -> bool:
        return self.window == YEAR

    @property
    def in_a_row(self) -> bool:
        return self.window.kind == "consecutive"

    def reached(self, count: NDArray[Any], possible: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether so many counted of so many possible days are at the line."""
        at: NDArray[np.bool_] = (count > 0) & (count >= self.reached_at(possible)) & (possible >= self.minimum)
        return at

    def reached_at(self, possible: NDArray[np.int64]) -> NDArray[np.int64]:
        """The count at which the line is reached when so many days were possible. Exact.

        >>> chronic = Line(Counted.ABSENT, "chronically absent", share=Fraction(1, 10))
        >>> chronic.reached_at(np.array([175, 180, 181]))
        array([18, 18, 19])
        """
        if self.share is None:
            return np.full(np.shape(possible), self.days, dtype=np.int64)
        part = possible.astype(np.int64) * self.share.numerator
        return part // self.share.denominator + 1 if self.above else -(-part // self.share.denominator)


class UnknownLine(LookupError):
    """No such pack or rule, or one that a forecast cannot be asked about; the sentence says which there are."""


def line_of(rule: Rule, pack: Pack) -> Line:
    """A law's rule as a forecast asks about it. Raises UnknownLine for what counts other than days, or within a window it can't see."""
    counted = _counted(pack.counts[rule.count]) if rule.count else None
    window, threshold = rule.window, rule.threshold
    in_year = window.kind in ("school_year", "since_enrolment")
    seen = (in_year or (window.kind in _WINDOWS and threshold.share is None)) and not (
        window.after_evidence or window.across_years
    )
    if counted is None or not seen or threshold.by_grade or not (threshold.count or threshold.share):
        raise UnknownLine(
            f"{pack.id}/{rule.id} cannot be forecast: a forecast is asked about unexcused whole days, or days missed for any reason, of this school year: "
            "in all of it, in a row, in a month, or in the last days or weeks; or about a share of the days enrolled. "
            "Where the student stands today is exact all the same."
        )
    above = threshold.op == ">"
    if threshold.share is not None:
        return Line(counted, rule.title, share=Fraction(threshold.share), above=above, minimum=threshold.minimum)
    count = Fraction(threshold.count or 0)
    return Line(counted, rule.title, floor(count) + 1 if above else ceil(count), window=YEAR if in_year else window)


def _counted(count: Count) -> Counted | None:
    """The kind of day a pack's count is, if a forecast knows it."""
    if count.strategy == "full_day_only" and set(count.marks) == {"unexcused"}:
        return Counted.UNEXCUSED
    if (
        count.strategy == "min_fraction_present"
        and {"unexcused", "excused"} <= set(count.marks)
        and Fraction(count.missed) == Fraction(1, 2)
    ):
        return Counted.ABSENT
    return None


def find_line(pack: str, rule: str) -> Line:
    """The line of a built-in pack's latest version (or of a pack's file).

    >>> find_line("example", "ten-unexcused-days").days
    10
    """
    try:
        latest = versions(pack)[-1]
    except PackError as error:
        raise UnknownLine(str(error)) from error
    found = latest.rule_named(rule)
    if found is None:
        raise UnknownLine(f"The pack {pack!r} has no rule {rule!r}. It has: {', '.join(r.id for r in latest.rule)}.")
    return line_of(found, latest)


#: the lines models are trained and judged on: the documentation's example
PACKS = {"example": {rule: find_line("example", rule) for rule in ("ten-unexcused-days", "chronic-absence")}}
