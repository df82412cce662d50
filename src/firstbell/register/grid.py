"""The register grid: a row a student, a column a school day (times that day's sessions), a letter in each square.

Pure values, no database. `register.rows` fills them from the database; `signals` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MINUTES_WIDTH", "Grid", "decode_minutes", "encode_minutes"]

#: Characters a square takes in the minutes plane: decimal minutes missed, right-aligned; blank where none was sent.
MINUTES_WIDTH = 3


@dataclass(frozen=True, slots=True)
class Grid:
    """Many students of one school and year.

    codes    (n, days * sessions) uint8, ASCII letters of `register.marks.LETTERS`, day-major
             (all of day 0's sessions, then day 1's)
    dates    (days,) datetime64[D], ascending: the school days of this calendar, whether past or to come
    sessions sessions a day, the same every day of this calendar
    minutes  (n, days * sessions) uint16 minutes missed, or None where the source sends none
    """

    codes: NDArray[np.uint8]
    dates: NDArray[np.datetime64]
    sessions: int
    minutes: NDArray[np.uint16] | None = None

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.dates) * self.sessions:
            raise ValueError(
                f"a grid of {len(self.dates)} days and {self.sessions} sessions a day has "
                f"{len(self.dates) * self.sessions} squares a row; got {self.codes.shape}"
            )

    @property
    def days(self) -> int:
        return len(self.dates)

    def through(self, date: np.datetime64) -> int:
        """How many of the grid's days are on or before `date`."""
        return int(np.searchsorted(self.dates, date, side="right"))


def encode_minutes(minutes: NDArray[np.uint16], sent: NDArray[np.bool_]) -> list[str]:
    """Rows of the minutes plane: `MINUTES_WIDTH` characters a square, blank where `sent` is false. Capped at 999."""
    width = MINUTES_WIDTH
    table = np.array([b" " * width, *(str(m).rjust(width).encode() for m in range(10**width))], dtype=f"S{width}")
    cells = table[np.where(sent, np.minimum(minutes, 10**width - 1).astype(np.int32) + 1, 0)]
    return [row.tobytes().decode("ascii") for row in np.ascontiguousarray(cells)]


def decode_minutes(plane: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Minutes missed by square from an (n, squares * MINUTES_WIDTH) ASCII plane; a blank square is 0."""
    n = plane.shape[0]
    cells = plane.reshape(n, -1, MINUTES_WIDTH)
    digits = np.where(cells == 32, 0, cells - 48).astype(np.uint16)
    return digits @ np.array([100, 10, 1], dtype=np.uint16)
