"""Districts unlike the others: every chance is a number between 0 and 1, or the line is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, PENDING, PRESENT
from firstbell.forecast.forecasts import Band, forecast
from firstbell.forecast.known import Known
from firstbell.forecast.lines import YEAR_END, Counted, Line, find_line
from firstbell.forecast.training import ClosedYear, collect, fit_layer_two, learn_layer_one
from tests.forecast.district import closed_years

TEN, CHRONIC = find_line("example", "ten-unexcused-days"), find_line("example", "chronic-absence")
QUESTIONS: list[tuple[Line, int]] = [(TEN, 10), (TEN, YEAR_END), (CHRONIC, YEAR_END)]
Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

#: what each square becomes
CHANGES: dict[str, Change] = {
    "nobody is ever away": lambda kinds: np.minimum(kinds, PRESENT),
    "nothing is known": np.zeros_like,
    "everybody is away every day": lambda kinds: np.full_like(kinds, COUNTED),
    "no absence is excused": lambda kinds: np.where(kinds > PRESENT, COUNTED, kinds).astype(np.uint8),
    "no absence has a reason yet": lambda kinds: np.where(kinds > PRESENT, PENDING, kinds).astype(np.uint8),
}


def changed(year: ClosedYear, change: Change) -> ClosedYear:
    known = [replace(k, kinds={c: change(kinds) for c, kinds in k.kinds.items()}) for k in year.known]
    return replace(year, known=known, final={c: change(kinds) for c, kinds in year.final.items()})


def every_chance_is_one(known: Known, years: list[ClosedYear], *, first_year: bool = False) -> None:
    learned = {c: learn_layer_one(years, c) for c in Counted}
    examples = {} if first_year else collect(years, [TEN, CHRONIC], learned, horizons=(10, YEAR_END))
    two = fit_layer_two(examples, 300)
    for line, horizon in QUESTIONS:
        f = forecast(known, line, horizon, learned[line.counted], *two.of(line, horizon))
        open_ = f.band != Band.REACHED
        assert ((f.low >= 0) & (f.low <= f.chance) & (f.chance <= f.high) & (f.high <= 1))[open_].all()
        assert np.isnan(f.chance[~open_]).all()


@pytest.mark.parametrize("what", CHANGES)
def test_a_district_where(what: str) -> None:
    years = [changed(year, CHANGES[what]) for year in closed_years(schools=2, students=150, every=20)]
    every_chance_is_one(years[0].known[4], years)


@pytest.mark.parametrize("what", CHANGES)
def test_after_an_ordinary_year_comes_one_where(what: str) -> None:
    years = closed_years(schools=2, students=150, every=20)
    every_chance_is_one(changed(years[0], CHANGES[what]).known[4], years)


def test_a_school_of_one_student_and_one_of_none() -> None:
    years = closed_years(schools=2, students=150, every=20)
    for rows in ([3], []):
        every_chance_is_one(years[0].known[4].only(np.array(rows, dtype=np.int64)), years)


def test_the_days_before_the_first_closed_year() -> None:
    year = closed_years(schools=1, students=150, every=5)[0]
    first = replace(year, known=year.known[:1], final=year.known[0].kinds)
    every_chance_is_one(first.known[0], [first], first_year=True)
