"""The registers of students in a row, year after year and school after school, as one line of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from firstbell.law.days import Derived, Exceptions, Stretch, derive, exceptions, told
from firstbell.law.packs import Count, Window
from firstbell.law.windows import Frame, starts

__all__ = ["Few", "Timeline"]

#: a stretch, so many of its days that have come, those not attended in full, and where among all they go
_Part = tuple[Stretch, int, Exceptions, slice | NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Few:
    """The columns of n students' lines that are not days attended in full, in order, and what a count makes of them.

    begin     (n + 1,) int64: those of student i are begin[i] up to begin[i + 1]
    column    int32; counted, possible, stops as in `Derived`
    usual     (columns,) int64, possible on a day attended in full: every known column not among these is one, and a run ends before it
    """

    begin: NDArray[np.int64]
    column: NDArray[np.int32]
    counted: NDArray[np.int16]
    possible: NDArray[np.int16]
    stops: NDArray[np.uint8]
    usual: NDArray[np.int64]


class Timeline:
    """The stretches of n students in a row: earlier years first, and in a year the school they came from first.

    as_of    days after it have not come yet
    entered  (n,) datetime64[D], when each came to the school they are at; else the first day enrolled this year
    """

    def __init__(
        self, stretches: Sequence[Stretch], as_of: date, entered: NDArray[np.datetime64] | None = None
    ) -> None:
        self.stretches, self.as_of = tuple(stretches), as_of
        self.n = len(stretches[0].codes)
        dates = np.unique(np.concatenate([s.dates for s in stretches]))
        year = np.zeros(len(dates), dtype=np.int64)
        for s in self.stretches:
            year[np.searchsorted(dates, s.dates)] = s.year
        self.frame = Frame(dates, year, {s.year: s.terms for s in self.stretches if s.terms})
        self.known = self.frame.after(as_of)
        self.year = self.frame.year_of(as_of)
        first, last = self.frame.year_span(self.year)
        self.first, self.stop = first, last + 1
        self.squares = max(s.sessions for s in self.stretches)
        self.came = entered
        self._derived: dict[tuple[Count, bool], Derived] = {}
        self._few: dict[tuple[Count, bool], Few] = {}
        self._starts: dict[Window, tuple[NDArray[np.int64], int]] = {}

    @property
    def school_year(self) -> tuple[date, date]:
        """First and last school day of the year of `as_of`."""
        return self.frame.day(self.first), self.frame.day(self.stop - 1)

    def of(self, row: int) -> Timeline:
        """One student's own line."""
        some = [
            replace(s, codes=s.codes[row : row + 1], missed=None if s.missed is None else s.missed[row : row + 1])
            for s in self.stretches
        ]
        return Timeline(some, self.as_of, None if self.came is None else self.came[row : row + 1])

    @cached_property
    def _columns_entered(self) -> NDArray[np.int64]:
        if self.came is not None:
            return np.searchsorted(self.frame.dates, self.came).astype(np.int64)
        found = np.full(self.n, self.stop, dtype=np.int64)
        for s in self.stretches:
            if s.year == self.year and len(s.dates):
                there = s.codes != ord("#")
                first = np.searchsorted(self.frame.dates, s.dates)[there.argmax(axis=1) // s.sessions]
                found = np.where(there.any(axis=1), np.minimum(found, first), found)
        return np.where(found < self.stop, found, self.first)

    def entered(self) -> NDArray[np.int64]:
        """The column each student's present enrolment begins with."""
        return self._columns_entered

    def starts(self, window: Window) -> tuple[NDArray[np.int64], int]:
        """The column a window begins with: of each day's, and of the one that ends with the day asked about."""
        if window not in self._starts:
            at = np.append(self.frame.dates, np.datetime64(self.as_of))
            found = starts(window, self.frame, at)
            self._starts[window] = found[:-1], int(found[-1])
        return self._starts[window]

    def derived(self, count: Count, by_square: bool) -> Derived:
        """Counted days over the whole line; of two schools on a day, the one the student came to speaks."""
        if (count, by_square) not in self._derived:
            self._derived[count, by_square] = self._derive(count, by_square)
        return self._derived[count, by_square]

    def _waits(self, count: Count, s: Stretch) -> Count:
        """The count with its grace in school days of a stretch, as many as calendar days come to on the day asked about."""
        if count.grace_unit == "school_days":
            return count
        over, now = np.searchsorted(
            s.dates,
            np.array([self.as_of - timedelta(days=count.grace), self.as_of], dtype="datetime64[D]"),
            side="right",
        )
        return msgspec.structs.replace(count, grace=int(now - over), grace_unit="school_days")

    def few(self, count: Count, by_square: bool) -> Few:
        """What a count makes of the days that were not attended in full; of all known days, where two schools may speak of one, or cut it
        otherwise."""
        if (count, by_square) not in self._few:
            self._few[count, by_square] = self._told(count, by_square)
        return self._few[count, by_square]

    @cached_property
    def _in_turn(self) -> bool:
        """Whether each stretch ends before the next begins, and all have as many sessions a day."""
        ends = [(s.dates[0], s.dates[-1]) for s in self.stretches if len(s.dates)]
        return (
            len(ends) == len(self.stretches)
            and all(a[1] < b[0] for a, b in pairwise(ends))
            and len({s.sessions for s in self.stretches}) == 1
        )

    @cached_property
    def _found(self) -> list[tuple[Stretch, int, Exceptions]]:
        """The stretches, how many of the days of each have come, and those of them that were not attended in full."""
        known = [int(np.searchsorted(s.dates, np.datetime64(self.as_of), side="right")) for s in self.stretches]
        return [(s, n, exceptions(s, n)) for s, n in zip(self.stretches, known, strict=True)]

    @cached_property
    def _exceptions(self) -> tuple[NDArray[np.int64], NDArray[np.int32], list[_Part]]:
        """(where each student's begin, which columns of days they are, the stretches they are of)."""
        found = self._found
        begin: NDArray[np.int64] = np.sum([some.begin for _s, _known, some in found], axis=0)
        column = np.empty(begin[-1], dtype=np.int32)
        parts: list[_Part] = []
        ends = begin[:-1].copy()  # of each student, where the next stretch's go
        for s, known, some in found:
            place: slice | NDArray[np.int64] = slice(None)
            if len(found) > 1:
                place = np.arange(len(some.day)) + np.repeat(ends - some.begin[:-1], np.diff(some.begin))
                ends += np.diff(some.begin)
            column[place] = np.searchsorted(self.frame.dates, s.dates).astype(np.int32)[some.day]
            parts.append((s, known, some, place))
        return begin, column, parts

    def _told(self, count: Count, by_square: bool) -> Few:
        width = self.squares if by_square else 1
        if not self._in_turn:
            whole, known = self.derived(count, by_square), self.known * width
            return Few(
                np.arange(self.n + 1, dtype=np.int64) * known, np.tile(np.arange(known, dtype=np.int32), self.n),
                whole.counted[:, :known].reshape(-1), whole.possible[:, :known].reshape(-1), whole.stops[:, :known].reshape(-1),
                np.zeros(whole.counted.shape[1], dtype=np.int64),
            )  # fmt: skip
        begin, column, parts = self._exceptions
        usual = np.zeros((len(self.frame.dates), width), dtype=np.int64)
        found = []
        for s, known, some, _place in parts:
            made = told(self._waits(count, s), s, some, known, by_square=by_square)
            usual[np.searchsorted(self.frame.dates, s.dates)] = made.usual
            found.append((made.each.counted, made.each.possible, made.each.stops))
        counted, possible, stops = found[0]
        if len(parts) > 1:
            shape = len(column), width
            counted, possible, stops = (np.empty(shape, dtype=part.dtype) for part in found[0])
            for (_s, _known, _some, place), each in zip(parts, found, strict=True):
                counted[place], possible[place], stops[place] = each
        if width > 1:
            begin = begin * width
            column = np.repeat(column * np.int32(width), width) + np.tile(np.arange(width, dtype=np.int32), len(column))
        return Few(begin, column, counted.reshape(-1), possible.reshape(-1), stops.reshape(-1), usual.reshape(-1))

    def _derive(self, count: Count, by_square: bool) -> Derived:
        made = [
            derive(self._waits(count, s), s, known, by_square=by_square, some=some) for s, known, some in self._found
        ]
        if len(made) == 1:
            return made[0]
        width = self.squares if by_square else 1
        shape = (self.n, len(self.frame.dates), width)
        counted, possible = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int16)
        stops, unknown = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.bool_)
        pairs: tuple[tuple[str, NDArray[Any]], ...] = (
            ("counted", counted), ("possible", possible), ("stops", stops), ("unknown", unknown)
        )  # fmt: skip
        for s, of_it in zip(self.stretches, made, strict=True):
            own = s.sessions if by_square else 1
            at = np.searchsorted(self.frame.dates, s.dates)
            here = (s.codes != ord("#")).reshape(self.n, len(s.dates), s.sessions).any(axis=2)[:, :, None]
            for name, whole in pairs:
                part = getattr(of_it, name).reshape(self.n, len(s.dates), own)
                old = whole[:, at, :]
                old[:, :, own:] = np.where(here, 0, old[:, :, own:])
                old[:, :, :own] = np.where(here, part, old[:, :, :own])
                whole[:, at, :] = old
        return Derived(**{name: whole.reshape(self.n, -1) for name, whole in pairs})
