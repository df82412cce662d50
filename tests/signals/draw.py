"""A register drawn in text: `MTWTF MTWTF` weeks of letters, one a session, sessions side by side with '|' between days' squares left out."""

from __future__ import annotations

import numpy as np

from firstbell.register.grid import Grid

MONDAY = np.datetime64("2026-08-31")


def a_grid(*rows: str, sessions: int = 1) -> Grid:
    """Rows of letters; spaces part weeks and are no squares. An underscore is a square nobody knows."""
    squares = [row.replace(" ", "").replace("_", " ") for row in rows]
    codes = np.array([list(row.encode("ascii")) for row in squares], dtype=np.uint8).reshape(len(rows), -1)
    days = codes.shape[1] // sessions
    dates = np.busday_offset(MONDAY, np.arange(days), roll="forward").astype("datetime64[D]")
    return Grid(codes, dates, sessions)
