"""What was known of a school on a day: the input of every forecast, live, nightly or in a backtest alike."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import EXCUSED, NOT_POSSIBLE, PENDING, Days, kinds_of_days
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before, day_weights
from firstbell.register.grid import Grid
from firstbell.register.marks import NOT_EXPECTED
from firstbell.signals.kernel import Marked, group_days

__all__ = ["Ahead", "Carried", "Known", "grade_band"]

#: Days from one school day to the next that make a break follow: a long weekend, a few days, a week or more.
BREAKS = (4, 5, 8)
#: An effect of a weekday or an eve is pooled with "none" as if so many more had been away as usual.
_EFFECT_STUDENTS = 200.0


def grade_band(grade: str) -> int:
    """0 through grade 5 (and before it), 1 through grade 8, 2 above.

    >>> [grade_band(g) for g in ("KG", "05", "8", "12", "")]
    [0, 0, 1, 2, 0]
    """
    number = re.search(r"\d+", grade)
    if number is None:
        return 0
    return bisect_left([5, 8], int(number.group()))


@dataclass(frozen=True, slots=True)
class Carried:
    """What a student brought from other schools this year: (n,) float64 days each, zeros where nothing."""

    count: NDArray[np.float64]
    absent: NDArray[np.float64]
    possible: NDArray[np.float64]

    @classmethod
    def nothing(cls, n: int) -> Carried:
        return cls(np.zeros(n), np.zeros(n), np.zeros(n))

    def rows(self, rows: NDArray[np.int64]) -> Carried:
        return Carried(self.count[rows], self.absent[rows], self.possible[rows])


@dataclass(frozen=True)
class Known:
    """A school's register as known at the end of its school day number `through`; or several schools', who share their days.

    dates     (days,) datetime64[D], the school days of the whole year, past and to come
    through   whole school days known
    kinds     what a line may count -> (n, through) uint8, each day as that line sees it (`evidence.kinds_of_days`)
    here      (n,) bool, on this roll on the last day known
    group     (n,) int32, each row's grade within its school
    band      (n,) int8, grade band: 0 to grade 5, 1 to grade 8, 2 above
    carried, before  this year at other schools; last year
    schools   (n,) int32, each row's school, counted from 0; None where all are of one
    """

    dates: NDArray[np.datetime64]
    through: int
    kinds: dict[Counted, NDArray[np.uint8]]
    here: NDArray[np.bool_]
    group: NDArray[np.int32]
    band: NDArray[np.int8]
    carried: Carried
    before: dict[Counted, Before]
    schools: NDArray[np.int32] | None = None
    #: (schools, through) how bad each school's days were, where these rows are not whole schools
    school_weights: NDArray[np.float64] | None = None
    #: what was marked, where it was gone through already
    marked: Marked | None = None

    @classmethod
    def of(
        cls, grid: Grid, through: int, group: NDArray[np.int32], band: NDArray[np.int8], *,
        carried: Carried | None = None, before: dict[Counted, Before] | None = None,
        counted: Sequence[Counted] = tuple(Counted), schools: NDArray[np.int32] | None = None,
    ) -> Known:  # fmt: skip
        """From a register as it was known then; nothing after its first `through` days is read."""
        last = grid.codes[:, max(through - 1, 0) * grid.sessions : through * grid.sessions]
        return cls(
            grid.dates, through, {kind: kinds_of_days(grid, through, kind) for kind in counted},
            (last != ord(NOT_EXPECTED)).any(axis=1), group, band, carried or Carried.nothing(len(group)), before or {},
            schools,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Known]) -> Known:
        """Whole schools that share their days, as one."""

        def rows(values: Iterable[NDArray[Any]]) -> NDArray[Any]:
            return np.concatenate(list(values))

        def told_apart(numbers: list[NDArray[np.int32]]) -> NDArray[np.int32]:
            sizes = [int(of.max(initial=-1)) + 1 for of in numbers]
            return rows(of + np.int32(first) for of, first in zip(numbers, np.cumsum(sizes) - sizes, strict=True))

        before = {
            counted: [part.before.get(counted) or Before.nothing(len(part.group)) for part in parts]
            for counted in dict.fromkeys(counted for part in parts for counted in part.before)
        }
        first = parts[0]
        return cls(
            first.dates, first.through, {c: rows(part.kinds[c] for part in parts) for c in first.kinds},
            rows(part.here for part in parts), told_apart([part.group for part in parts]), rows(part.band for part in parts),
            Carried(*(rows(getattr(part.carried, name) for part in parts) for name in Carried.__slots__)),
            {c: Before(*(rows(getattr(b, name) for b in of) for name in Before.__slots__)) for c, of in before.items()},
            told_apart([part.school for part in parts]),
        )  # fmt: skip

    def only(self, rows: NDArray[np.int64]) -> Known:
        """These rows, against their whole schools' days."""
        return Known(
            self.dates, self.through, {c: kinds[rows] for c, kinds in self.kinds.items()}, self.here[rows], self.group[rows],
            self.band[rows], self.carried.rows(rows), {c: b.rows(rows) for c, b in self.before.items()},
            self.school[rows], self.weights,
        )  # fmt: skip

    @property
    def days_left(self) -> int:
        return len(self.dates) - self.through

    @cached_property
    def school(self) -> NDArray[np.int32]:
        return np.zeros(len(self.group), dtype=np.int32) if self.schools is None else self.schools

    def days(self, counted: Counted) -> Days:
        return Days.of(self.kinds[counted]) if self.marked is None else Days.of_marked(self.marked, counted)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(schools, through): how bad each school's days were."""
        if self.school_weights is not None:
            return self.school_weights
        days = self.days(next(iter(self.kinds), Counted.ABSENT))
        away, nobody = ((days.kind >= EXCUSED) & (days.kind <= PENDING), days.kind == NOT_POSSIBLE)
        schools = int(self.school.max(initial=0)) + 1
        return day_weights(
            *group_days(
                days.first, days.day, days.mark, away.astype(np.int32), nobody.astype(np.int32), days.through, self.school, schools
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the coming calendar does to a day's absence: (7,) by weekday, (len(BREAKS) + 1,) by the break that follows the day."""

    weekday: NDArray[np.float64]
    eve: NDArray[np.float64]

    @classmethod
    def nothing(cls) -> Ahead:
        return cls(np.ones(7), np.ones(len(BREAKS) + 1))

    def over(self, dates: NDArray[np.datetime64], through: int, days: int) -> float:
        """Mean effect on the `days` school days after the first `through`."""
        if days <= 0:
            return 1.0
        some = dates[through : through + days + 1]  # and the day after, which says whether the last is an eve
        return float((self.weekday[_weekdays(some)] * self.eve[_eves(some)])[:days].mean())


def learn_ahead(years: list[tuple[NDArray[np.datetime64], NDArray[np.int64], NDArray[np.int64]]]) -> Ahead:
    """From closed years' (dates, absent students a day, possible students a day), a tuple a school."""
    weekday, eve = np.zeros((2, 7)), np.zeros((2, len(BREAKS) + 1))
    for dates, absent, possible in years:
        usual = absent.sum() / max(possible.sum(), 1)
        np.add.at(weekday[0], _weekdays(dates), absent)
        np.add.at(weekday[1], _weekdays(dates), possible * usual)
        np.add.at(eve[0], _eves(dates), absent)
        np.add.at(eve[1], _eves(dates), possible * usual)
    return Ahead(*((seen + _EFFECT_STUDENTS) / (expected + _EFFECT_STUDENTS) for seen, expected in (weekday, eve)))


def _weekdays(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def _eves(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    days = dates.astype("datetime64[D]").astype(np.int64)
    return np.searchsorted(BREAKS, np.diff(days, append=days[-1:] + 1), side="right")
