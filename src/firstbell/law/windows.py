"""Which days count together: for any day, where the window that ends with it begins.

Every window of the statutes comes down to that one number. Fixed windows (a month, a term, a year) begin anew; rolling ones slide.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from firstbell.law.days import NotEvaluable
from firstbell.law.packs import Window
from firstbell.said import said

__all__ = ["Frame", "bounds", "by_itself", "fixed", "starts"]

_FIXED = frozenset({"school_year", "since_enrolment", "calendar_month", "school_month", "semester", "quarter", "term"})
_BY_THE_DAY = frozenset({"rolling_calendar_days", "rolling_school_days", "rolling_school_weeks"})
Span = tuple[date, date]


@dataclass(frozen=True)
class Frame:
    """The school days of one or more school years in a row.

    dates  (days,) datetime64[D], ascending; year (days,) which school year each is of
    terms  school year -> (first, last) of its terms, in order
    """

    dates: NDArray[np.datetime64]
    year: NDArray[np.int64]
    terms: Mapping[int, tuple[Span, ...]]

    @cached_property
    def days(self) -> list[date]:
        """`dates`, for who asks about one."""
        found: list[date] = self.dates.tolist()
        return found

    @cached_property
    def weeks(self) -> NDArray[np.int64]:
        """The school week of each day, numbered in order: a week without a school day is none."""
        monday = (self.dates.astype("int64") + 3) // 7  # 1970-01-01 was a Thursday
        return np.concatenate([[0], np.cumsum(np.diff(monday) != 0)]).astype(np.int64) if len(monday) else monday

    @cached_property
    def _spans(self) -> dict[int, tuple[int, int]]:
        columns = {year: np.flatnonzero(self.year == year).tolist() for year in set(self.year.tolist())}
        return {year: (some[0], some[-1]) for year, some in columns.items()}

    def day(self, column: int) -> date:
        return self.days[column]

    def column(self, at: date) -> int:
        """The first column on a day or after it."""
        return bisect_left(self.days, at)

    def after(self, at: date) -> int:
        """The first column after a day."""
        return bisect_right(self.days, at)

    def year_of(self, at: date) -> int:
        """The school year a day belongs to: that of the last school day on or before it, else the first there is."""
        return int(self.year[max(self.after(at) - 1, 0)])

    def year_span(self, year: int) -> tuple[int, int]:
        """First and last column of a school year."""
        return self._spans[year]


def fixed(window: Window) -> bool:
    """Whether a new window begins with nothing counted, so that a line can be reached again."""
    return window.kind in _FIXED or (window.kind in _BY_THE_DAY and window.length == 1)


def by_itself(window: Window) -> bool:
    """Whether each day is asked about by itself."""
    return window.kind == "rolling_school_days" and window.length == 1


def months_before(day: date, months: int) -> date:
    """The same day so many months before, or the last of its month.

    >>> months_before(date(2026, 8, 31), 6)
    datetime.date(2026, 2, 28)
    """
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def periods(kind: str, terms: Sequence[Span]) -> Sequence[Span]:
    """Semesters, quarters or terms, as far as a calendar's terms tell them. Raises NotEvaluable where they don't."""
    n = len(terms)
    if kind == "term" and n:
        return terms
    if kind == "semester" and n == 2:
        return terms
    if kind == "semester" and n == 4:
        return [(terms[0][0], terms[1][1]), (terms[2][0], terms[3][1])]
    if kind == "quarter" and n == 4:
        return terms
    if kind == "semester":
        raise NotEvaluable(said("The calendar doesn’t say when a semester begins and ends: it has %(n)s terms.", n=n))
    if kind == "quarter":
        raise NotEvaluable(said("The calendar doesn’t say when a quarter begins and ends: it has %(n)s terms.", n=n))
    raise NotEvaluable(said("The calendar doesn’t say when a term begins and ends."))


def starts(window: Window, frame: Frame, at: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """For each of the days `at`, the first column of the window that ends with it. An empty window begins after its end."""
    kind, length = window.kind, window.length or 1
    last = np.searchsorted(frame.dates, at, side="right") - 1  # the latest school day on or before
    held = np.maximum(last, 0)
    year_first = np.zeros_like(held)
    if frame.year[0] != frame.year[-1]:
        year_first = np.searchsorted(frame.year, frame.year[held])
    if kind == "consecutive" and window.across_years:
        found = np.zeros_like(held)
    elif kind in ("school_year", "since_enrolment", "consecutive"):
        found = year_first
    elif kind == "calendar_month":
        found = np.searchsorted(frame.dates, at.astype("datetime64[M]").astype("datetime64[D]"))
    elif kind in ("semester", "quarter", "term"):
        found = last + 1
        for year in np.unique(frame.year[held]):
            terms = frame.terms.get(int(year), ())
            if not terms and year != frame.year[-1]:
                continue  # of a year gone by that nobody divided, no window is known; this year's are
            for first, end in periods(kind, terms):
                inside = (at >= np.datetime64(first)) & (at <= np.datetime64(end)) & (frame.year[held] == year)
                found[inside] = np.searchsorted(frame.dates, np.datetime64(first))
    elif kind == "school_month":
        week = frame.weeks
        block = (week - week[np.searchsorted(frame.year, frame.year)]) // length
        key = frame.year * 1000 + block
        found = np.searchsorted(key, key[held])
    elif kind == "rolling_calendar_days":
        found = np.searchsorted(frame.dates, at - np.timedelta64(length - 1, "D"))
    elif kind == "rolling_school_days":
        found = last - length + 1
    elif kind == "rolling_school_weeks":
        week = frame.weeks
        found = np.searchsorted(week, week[held] - length + 1)
    else:
        months = length * (12 if kind == "rolling_years" else 1)
        month = at.astype("datetime64[M]")
        then = month - months  # as `months_before` has it
        same = then.astype("datetime64[D]") + (at - month.astype("datetime64[D]"))
        last_of_month = (then + 1).astype("datetime64[D]") - 1
        found = np.searchsorted(frame.dates, np.minimum(same, last_of_month) + 1)
    found = np.maximum(found, 0).astype(np.int64)
    return found if window.across_years else np.maximum(found, year_first)


def bounds(window: Window, frame: Frame, at: date) -> Span:
    """The window's own first and last day, as a person would say them."""
    year = frame.year_of(at)
    first, last = frame.year_span(year)
    kind, length = window.kind, window.length or 1
    if kind == "calendar_month":
        return at.replace(day=1), at.replace(day=monthrange(at.year, at.month)[1])
    if kind in ("semester", "quarter", "term"):
        for span in periods(kind, frame.terms.get(year, ())):
            if span[0] <= at <= span[1]:
                return span
        return at, at
    if kind in ("school_year", "since_enrolment"):
        return frame.day(first), frame.day(last)
    if kind == "rolling_calendar_days":
        opens = at - timedelta(days=length - 1)
    elif kind in ("rolling_months", "rolling_years"):
        opens = months_before(at, length * (12 if kind == "rolling_years" else 1)) + timedelta(days=1)
    else:
        begins = int(starts(window, frame, np.array([at], dtype="datetime64[D]"))[0])
        opens = frame.day(min(begins, len(frame.dates) - 1))
        if kind == "school_month":
            week = frame.weeks
            of_year = week - week[np.searchsorted(frame.year, frame.year)]
            block = of_year[min(begins, len(week) - 1)] // length
            return opens, frame.day(int(np.flatnonzero((frame.year == year) & (of_year // length == block))[-1]))
        return opens, at
    return (opens if window.across_years else max(opens, frame.day(first))), at
