"""Days with their letters, as one short text: "2026-11-02U2N12UU" is 2 November U, two days later N, and twelve after that UU.

An alert keeps the days behind it so: a night compares and writes some hundred thousand of these. A square nobody knows is an underscore; days
that have no letters are parted by a space. `day_text` writes the same of many rows of a register.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.signals.kernel import Marked, weekdays_of

__all__ = ["day_text", "days_told", "told"]

_ONE = re.compile(r"(\d{4}-\d\d-\d\d|\d+)(\D*)")


def told(days: Iterable[tuple[date, str]]) -> str:
    """These days, in their order, as text."""
    text, last, letters = "", None, ""
    for day, said in days:
        text += f"{'' if letters else ' '}{(day - last).days}" if last else str(day)
        last, letters = day, said.replace(" ", "_")
        text += letters
    return text


def days_told(text: str) -> list[tuple[date, str]]:
    """What `told` was given."""
    found: list[tuple[date, str]] = []
    for when, letters in _ONE.findall(text):
        day = found[-1][0] + timedelta(days=int(when)) if found else date.fromisoformat(when)
        found.append((day, letters.strip().replace("_", " ")))
    return found


def day_text(
    days: Marked, rows: NDArray[np.int64], table: NDArray[np.bool_], start: NDArray[np.int64], weekday: NDArray[np.int64], most: int,
) -> NDArray[np.object_]:  # fmt: skip
    """Marked days of some rows with their letters, as text (as `told` writes it); the last `most` of those that `table` (4096,) says yes to.

    start    (rows,) the first day each may begin with
    weekday  (rows,) only this weekday (Monday 0); -1 for any
    """
    n, grid = len(rows), days.grid
    told = np.zeros(n + 1, dtype=np.int64)
    which = np.empty(n * min(most, max(days.through, 1)), dtype=np.uint16)
    _told(days.first, days.day, days.bits, rows, table, start, weekday, weekdays_of(grid), most, told, which)
    written = np.empty(told[-1] * (10 + grid.sessions), dtype=np.uint8)  # no gap is longer than a date
    ends = np.zeros(n + 1, dtype=np.int64)
    _write_days(
        np.ascontiguousarray(grid.codes), grid.sessions, rows, _in_letters(grid.dates.tobytes(), str(grid.dates.dtype)),
        grid.dates.astype("datetime64[D]").astype(np.int64), told, which, written, ends,
    )  # fmt: skip
    text = written[: ends[-1]].tobytes().decode("ascii")
    found = np.empty(n, dtype=object)
    found[:] = [text[a:b] for a, b in pairwise(ends.tolist())]
    return found


@lru_cache(maxsize=32)
def _in_letters(dates: bytes, unit: str) -> NDArray[np.uint8]:
    """(days, 10) the letters of each date: a night asks for the same year's again and again."""
    days = np.frombuffer(dates, dtype=unit).astype("datetime64[D]")
    return np.frombuffer("".join(np.datetime_as_string(days)).encode(), dtype=np.uint8).reshape(-1, 10)


@nb.njit(cache=True, nogil=True)
def _told(first, day, bits, rows, table, start, weekday, weekdays, most, told, which):  # type: ignore[no-untyped-def]
    """Which days are told: of each row up to where the next one's begin."""
    some = np.zeros(len(weekdays) + 1, dtype=np.uint16)
    at = 0
    for r in range(len(rows)):
        i, wd = rows[r], weekday[r]
        n = 0
        for k in range(first[i], first[i + 1]):
            some[n] = day[k]
            n += table[bits[k]] & (day[k] >= start[r]) & ((wd < 0) | (weekdays[day[k]] == wd))
        for k in range(max(n - most, 0), n):
            which[at] = some[k]
            at += 1
        told[r + 1] = at


@nb.njit(cache=True, nogil=True)
def _write_days(codes, sessions, rows, dates, numbers, told, which, out, ends):  # type: ignore[no-untyped-def]
    at = 0
    for r in range(len(rows)):
        row = codes[rows[r]]
        for k in range(told[r], told[r + 1]):
            d = which[k]
            if k == told[r]:
                for c in range(10):
                    out[at + c] = dates[d, c]
                at += 10
            else:
                gap = numbers[d] - numbers[which[k - 1]]
                tens = 1
                while gap // tens >= 10:
                    tens *= 10
                while tens:
                    out[at] = 48 + gap // tens % 10
                    at += 1
                    tens //= 10
            for s in range(sessions):
                letter = row[d * sessions + s]
                out[at] = 95 if letter == 32 else letter
                at += 1
        ends[r + 1] = at
