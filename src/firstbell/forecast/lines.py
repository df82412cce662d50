"""The lines a forecast is asked about: so many days of a kind in the school year, or a share of the days enrolled.

Law packs will bring their own; the pack `example` stays as the documentation's example.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["HORIZONS", "PACKS", "YEAR_END", "Counted", "Line", "UnknownLine", "find_line"]

#: School days ahead a question may ask about; 0 stands for the year's end.
YEAR_END = 0
HORIZONS = (5, 10, 20, YEAR_END)


class Counted(StrEnum):
    """What kind of day a line counts."""

    #: every known session of the day missed, most of them unauthorised (law.md § 1.4, strategy 4 `full_day_only`)
    UNEXCUSED = "unexcused"
    #: at least half of the day missed for any reason (EDFacts FS195)
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Line:
    """`days` of a kind in the school year; or, where `share` is given, that share of the days enrolled."""

    counted: Counted
    title: str
    days: int = 0
    share: Fraction | None = None

    def reached_at(self, possible: NDArray[np.int64]) -> NDArray[np.int64]:
        """The count at which the line is reached when so many days were possible. Exact.

        >>> chronic = Line(Counted.ABSENT, "chronically absent", share=Fraction(1, 10))
        >>> chronic.reached_at(np.array([175, 180, 181]))
        array([18, 18, 19])
        """
        if self.share is None:
            return np.full(np.shape(possible), self.days, dtype=np.int64)
        return -(-possible.astype(np.int64) * self.share.numerator // self.share.denominator)


class UnknownLine(LookupError):
    """No such pack or rule; the sentence names those there are."""


PACKS: dict[str, dict[str, Line]] = {
    "example": {
        "ten-unexcused-days": Line(Counted.UNEXCUSED, "10 unexcused full days in the school year", days=10),
        "chronic-absence": Line(
            Counted.ABSENT, "a tenth or more of the days enrolled missed, for any reason", share=Fraction(1, 10)
        ),
    }
}


def find_line(pack: str, rule: str) -> Line:
    """
    >>> find_line("example", "ten-unexcused-days").days
    10
    """
    if pack not in PACKS:
        raise UnknownLine(f"There is no pack {pack!r}. There is: {', '.join(PACKS)}.")
    if rule not in PACKS[pack]:
        raise UnknownLine(f"The pack {pack!r} has no rule {rule!r}. It has: {', '.join(PACKS[pack])}.")
    return PACKS[pack][rule]
