"""The fold: mark events, rolls taken and enrolments in, register squares out. Pure; the only place that decides a square.

A square is settled in this order, later lines over earlier:

1. '#' where the student was not enrolled that day
2. 'P' where the calendar's source vouches for the day (it sends only exceptions, and has sent all through that day)
3. roll facts in order of when they were recorded: taken → 'P', not taken → ' '
4. marks in order of (recorded_at, fingerprint): the last word stands; one that nobody can read yet makes the square ' '

Everything else is ' ', not known. A mark on a day outside the enrolment is kept as an event and shown by no square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstbell.register.grid import MINUTES_WIDTH, encode_minutes
from firstbell.register.marks import NOT_EXPECTED, UNKNOWN

__all__ = ["Events", "Rolls", "Span", "fold", "letters"]

_NOT_EXPECTED, _UNKNOWN, _PRESENT = ord(NOT_EXPECTED), ord(UNKNOWN), ord("P")


@dataclass(frozen=True, slots=True)
class Span:
    """One enrolment within one calendar: the day columns [first, stop) the student was on the roll."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Events:
    """Mark events on school days of the calendar, oldest word first. All arrays of one length.

    row      index into the rows being folded (an event of a student with two rows is given for each)
    square   day column * sessions + session
    letter   uint8
    minutes  int32, -1 where none was sent
    """

    row: NDArray[np.int64]
    square: NDArray[np.int64]
    letter: NDArray[np.uint8]
    minutes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rolls:
    """Roll facts by row and square, oldest first: whether the roll covering that square was taken."""

    row: NDArray[np.int64]
    square: NDArray[np.int64]
    taken: NDArray[np.bool_]


def letters(
    spans: Sequence[Span], days: int, sessions: int, covered_days: int, rolls: Rolls, events: Events
) -> NDArray[np.uint8]:
    """(n, squares) the letter of every square.

    `covered_days`: the first so many day columns are vouched for by a source that sends only exceptions.
    """
    squares = days * sessions
    codes = np.full((len(spans), squares), _UNKNOWN, dtype=np.uint8)
    codes[:, : covered_days * sessions] = _PRESENT
    flat = codes.reshape(-1)
    # NumPy assigns repeated indices in order, so the last word stands.
    flat[rolls.row * squares + rolls.square] = np.where(rolls.taken, _PRESENT, _UNKNOWN)
    flat[events.row * squares + events.square] = events.letter
    _outside(codes, spans, sessions, _NOT_EXPECTED)
    return codes


def _outside(squares: NDArray[Any], spans: Sequence[Span], sessions: int, value: int) -> None:
    """Write `value` on the squares of each row that lie outside its span."""
    last = squares.shape[1] // max(sessions, 1)
    for i, span in enumerate(spans):  # most are on the roll the whole year
        if span.first > 0:
            squares[i, : span.first * sessions] = value
        if span.stop < last:
            squares[i, max(span.stop, 0) * sessions :] = value


def fold(
    spans: Sequence[Span], days: int, sessions: int, covered_days: int, rolls: Rolls, events: Events
) -> tuple[list[str], list[str]]:
    """`letters` as text, and the minutes planes: one string a span, '' for all when no event carries minutes."""
    n, squares = len(spans), days * sessions
    codes = letters(spans, days, sessions, covered_days, rolls, events)
    minutes = [""] * n
    if (events.minutes >= 0).any():
        sent = np.full((n, squares), -1, dtype=np.int32)
        sent[events.row, events.square] = events.minutes
        _outside(sent, spans, sessions, -1)
        planes = encode_minutes(np.maximum(sent, 0).astype(np.uint16), sent >= 0)
        minutes = [plane if (sent[i] >= 0).any() else "" for i, plane in enumerate(planes)]
    text = codes.tobytes().decode("ascii")
    return [text[i * squares : (i + 1) * squares] for i in range(n)], minutes


def blank_minutes(squares: int) -> str:
    return " " * (MINUTES_WIDTH * squares)
