"""The one metric kernel: every rate and count shown anywhere comes from here, as an exact fraction.

Sources: EDFacts FS195 (chronic absence: 10 % or more of days enrolled, at least 10 days enrolled); Attendance Works bands; DfE
"pupil absence statistics" (persistent: 10 % or more of own possible sessions missed; severe: 50 % or more).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from firstbell.register.grid import Grid
from firstbell.register.marks import ABSENT_LETTERS, NOT_EXPECTED, UNKNOWN
from firstbell.signals.kernel import day_bits

__all__ = ["Attendance", "Band", "CountedDay", "attendance", "chronic", "chronic_mask", "counted_days"]

#: raised with every change of a definition below, and shown beside every figure
VERSION = "2026-11"
CHRONIC = Fraction(1, 10)
SEVERE_CHRONIC = Fraction(1, 5)
AT_RISK = Fraction(1, 20)
#: EDFacts FS195: fewer days enrolled are not evaluated
MINIMUM_DAYS = 10
PERSISTENT, SEVERE = Fraction(1, 10), Fraction(1, 2)


class Band(StrEnum):
    """Attendance Works' words for a share of days missed."""

    SATISFACTORY = "satisfactory"
    AT_RISK = "at_risk"
    MODERATE = "moderate_chronic"
    SEVERE = "severe_chronic"


@dataclass(frozen=True, slots=True)
class Attendance:
    """Days (or sessions) missed, of those possible."""

    missed: int
    possible: int

    def __post_init__(self) -> None:
        if not 0 <= self.missed <= self.possible:
            raise ValueError(f"{self.missed} missed of {self.possible} possible cannot be")

    @property
    def rate(self) -> Fraction | None:
        """Share missed; None where nothing was possible, which is not the same as nothing missed.

        >>> Attendance(9, 90).rate
        Fraction(1, 10)
        """
        return Fraction(self.missed, self.possible) if self.possible else None

    @property
    def band(self) -> Band | None:
        """The Attendance Works band, on the exact fraction: 10.000 % is chronic, 9.999 % is not."""
        rate = self.rate
        if rate is None:
            return None
        if rate >= SEVERE_CHRONIC:
            return Band.SEVERE
        if rate >= CHRONIC:
            return Band.MODERATE
        return Band.AT_RISK if rate >= AT_RISK else Band.SATISFACTORY


def chronic(days: Attendance) -> bool | None:
    """Federal chronic absence (EDFacts FS195): None, not evaluated, under 10 days enrolled.

    >>> chronic(Attendance(9, 90)), chronic(Attendance(9, 9)), chronic(Attendance(1, 10))
    (True, None, True)
    """
    if days.possible < MINIMUM_DAYS:
        return None
    return Fraction(days.missed, days.possible) >= CHRONIC


def chronic_mask(missed: NDArray[np.int32], possible: NDArray[np.int32]) -> NDArray[np.bool_]:
    """`chronic(…) is True` for many students at once, in whole numbers."""
    return (possible >= MINIMUM_DAYS) & (
        missed.astype(np.int64) * CHRONIC.denominator >= possible.astype(np.int64) * CHRONIC.numerator
    )


def persistent(sessions: Attendance) -> bool | None:
    """England: 10 % or more of a pupil's own possible sessions missed; None with no possible session."""
    return None if sessions.rate is None else sessions.rate >= PERSISTENT


def severe(sessions: Attendance) -> bool | None:
    """England: 50 % or more of a pupil's own possible sessions missed; None with no possible session."""
    return None if sessions.rate is None else sessions.rate >= SEVERE


@dataclass(frozen=True, slots=True)
class CountedDay:
    """One day of a count: the letters of its sessions, and whether it counts as missed."""

    date: date
    letters: str
    missed: bool


def counted_days(grid: Grid, through: int, row: int) -> list[CountedDay]:
    """The very days behind a count of absent days: every possible day of a row, missed or not."""
    bits = day_bits(grid, through, row)
    text = grid.codes[row].tobytes().decode("ascii")
    dates: list[date] = grid.dates[:through].astype(object).tolist()
    return [
        CountedDay(dates[d], text[d * grid.sessions : (d + 1) * grid.sessions], bool(bits[d] & 2))
        for d in range(through)
        if bits[d] & 1
    ]


def attendance(days: Sequence[CountedDay]) -> Attendance:
    """The count of the days shown: what a page prints and what it opens into are one."""
    return Attendance(sum(day.missed for day in days), len(days))


#: What a day in short shows where only part of it was missed, by what is most worth knowing.
_PART_LETTERS = "TtLlHhFRIP"


def day_letters(grid: Grid, through: int, row: int) -> str:
    """One letter a day, for a strip: the letter most absent squares bear on an absent day, else what tells most of it."""
    bits = day_bits(grid, through, row)
    text: str = grid.codes[row].tobytes().decode("ascii")
    if grid.sessions == 1:
        return text[:through]
    days = []
    for d in range(through):
        squares = text[d * grid.sessions : (d + 1) * grid.sessions]
        absent = [c for c in squares if c in ABSENT_LETTERS]
        if bits[d] & 2:
            days.append(max(dict.fromkeys(absent), key=absent.count))
        elif absent:
            days.append("H")
        else:
            days.append(
                next((c for c in _PART_LETTERS if c in squares), UNKNOWN if UNKNOWN in squares else NOT_EXPECTED)
            )
    return "".join(days)
