"""The registers of students in a row, year after year and school after school, as one line of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from firstbell.law.days import Derived, Stretch, derive
from firstbell.law.packs import Count, Window
from firstbell.law.windows import Frame, starts

__all__ = ["Timeline"]


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
        self.known = int(np.searchsorted(dates, np.datetime64(as_of), side="right"))
        self.year = self.frame.year_of(as_of)
        first, last = self.frame.year_span(self.year)
        self.first, self.stop = first, last + 1
        self.squares = max(s.sessions for s in self.stretches)
        self._entered = entered
        self._derived: dict[tuple[Count, bool], Derived] = {}
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
        return Timeline(some, self.as_of, None if self._entered is None else self._entered[row : row + 1])

    def entered(self) -> NDArray[np.int64]:
        """The column each student's present enrolment begins with."""
        if self._entered is not None:
            return np.searchsorted(self.frame.dates, self._entered).astype(np.int64)
        there = np.zeros((self.n, len(self.frame.dates)), dtype=np.bool_)
        for s in self.stretches:
            at = np.searchsorted(self.frame.dates, s.dates)
            there[:, at] |= (s.codes != ord("#")).reshape(self.n, len(s.dates), s.sessions).any(axis=2)
        there[:, : self.first] = False
        return np.where(there.any(axis=1), there.argmax(axis=1), self.first).astype(np.int64)

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

    def _derive(self, count: Count, by_square: bool) -> Derived:
        if len(self.stretches) == 1:
            (only,) = self.stretches
            return derive(self._waits(count, only), only, min(self.known, len(only.dates)), by_square=by_square)
        width = self.squares if by_square else 1
        shape = (self.n, len(self.frame.dates), width)
        counted, possible = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.int16)
        stops, unknown = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.bool_)
        pairs: tuple[tuple[str, NDArray[Any]], ...] = (
            ("counted", counted), ("possible", possible), ("stops", stops), ("unknown", unknown)
        )  # fmt: skip
        for s in self.stretches:
            made = derive(
                self._waits(count, s),
                s,
                int(np.searchsorted(s.dates, np.datetime64(self.as_of), side="right")),
                by_square=by_square,
            )
            own = s.sessions if by_square else 1
            at = np.searchsorted(self.frame.dates, s.dates)
            here = (s.codes != ord("#")).reshape(self.n, len(s.dates), s.sessions).any(axis=2)[:, :, None]
            for name, whole in pairs:
                part = getattr(made, name).reshape(self.n, len(s.dates), own)
                old = whole[:, at, :]
                old[:, :, own:] = np.where(here, 0, old[:, :, own:])
                old[:, :, :own] = np.where(here, part, old[:, :, :own])
                whole[:, at, :] = old
        return Derived(**{name: whole.reshape(self.n, -1) for name, whole in pairs})
