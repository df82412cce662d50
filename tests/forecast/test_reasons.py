"""What is said to matter moves the chance when it is taken away."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from firstbell.forecast.evidence import COUNTED, EXCUSED, PENDING, PRESENT
from firstbell.forecast.forecasts import Bars, chances, forecast
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.layers import answers, rates
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.model import Model
from firstbell.forecast.pooling import Before
from firstbell.forecast.reasons import Reason, Why, reasons
from firstbell.forecast.training import collect, fit_layer_two, learn_layer_one
from tests.forecast.district import DATES, closed_years

TEN = find_line("example", "ten-unexcused-days")
KEY = (Counted.UNEXCUSED, False, 10)
LETTERS = {"P": PRESENT, "U": COUNTED, "E": EXCUSED, "N": PENDING}
CROWD = 60
DAYS = 40


@pytest.fixture(scope="module")
def model() -> Model:
    years = closed_years(schools=4)
    learned = {c: learn_layer_one(years, c) for c in Counted}
    two = fit_layer_two(collect(years, [TEN], learned, horizons=(10,)), 1000)
    return Model(learned, two, (2026,), "2026-08-01", "2026-08-01T04:00:00+00:00", "0+test", 1000, {})


def a_school(*drawn: str) -> Known:
    """These students first, forty days each, then sixty who are away now and then."""
    rng = np.random.default_rng(3)
    away = rng.random((CROWD, DAYS)) < 0.06
    crowd = np.where(away, np.where(rng.random((CROWD, DAYS)) < 0.4, COUNTED, EXCUSED), PRESENT)
    kinds = np.vstack([[[LETTERS[x] for x in squares.ljust(DAYS, "P")] for squares in drawn], crowd]).astype(np.uint8)
    n = len(kinds)
    missed = np.where(kinds > PRESENT, COUNTED, kinds).astype(np.uint8)
    return Known(
        DATES, DAYS, {Counted.UNEXCUSED: kinds, Counted.ABSENT: missed}, np.ones(n, dtype=bool), np.zeros(n, dtype=np.int32),
        np.ones(n, dtype=np.int8), Carried.nothing(n), {},
    )  # fmt: skip


def chance_of(known: Known, model: Model, row: int = 0) -> float:
    box = model.layer_two.boxes[KEY]
    return float(forecast(known, TEN, 10, model.learned[Counted.UNEXCUSED], box, Bars(0.2, 0.1)).chance[row])


def why(known: Known, model: Model, row: int = 0) -> list[Reason]:
    learned, box = model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY]
    r, rows = rates(known, TEN.counted, learned), np.array([row])
    here, _low, _high = chances(known, r, answers(known, TEN, 10, learned, r, rows), box, rows)
    return reasons(known.only(rows), here, TEN, 10, learned, box, r.among)[0]


def test_a_student_away_now_is_said_to_be_and_not_twice(model: Model) -> None:
    found = why(a_school("U" * 4 + "P" * 32 + "UUUU"), model)
    assert (found[0].why, found[0].count) == (Why.AWAY_NOW, 4)
    assert Why.LATELY not in [r.why for r in found]


def test_absences_lately_are_counted_over_ten_days(model: Model) -> None:
    found = why(a_school("UUU" + "P" * 27 + "UPUPUPUPUP"), model)
    assert (found[0].why, found[0].count, found[0].of) == (Why.LATELY, 5, 10)


def test_absences_without_a_reason(model: Model) -> None:
    found = why(a_school("UUUUUU" + "NNN" + "P" * 31), model)
    assert Reason(Why.UNEXPLAINED, 3, 0, found[0].without) == found[0]


def test_last_year_where_this_year_says_little(model: Model) -> None:
    known = a_school("UUUUU")
    heavy = Before.nothing(len(known.band))
    for counts, value in zip(
        (getattr(heavy, f.name) for f in fields(heavy)), (20, 110, 30, 60, 30, 40), strict=True
    ):  # begun 20 times in 110 days, …
        counts[0] = value
    with_past = replace(known, before={Counted.UNEXCUSED: heavy})
    assert chance_of(with_past, model) > chance_of(known, model)
    found = [r for r in why(with_past, model) if r.why is Why.LAST_YEAR]
    assert [(r.count, r.of) for r in found] == [(30, 40)]


def test_a_reason_is_what_its_removal_says(model: Model) -> None:
    """Redraw the days as present by hand: the chance falls to what the reason claimed, the school's own figures left as they were."""
    drawn = "UUU" + "P" * 27 + "UPUPUPUPUP"
    found = why(a_school(drawn), model)[0]
    without = chance_of(a_school("UUU"), model)  # here the school's pooled figures move too, by a hair
    assert found.without == pytest.approx(without, rel=0.15)
    assert found.without < 0.9 * chance_of(a_school(drawn), model)


def test_a_student_with_nothing_behind_them_has_no_reasons(model: Model) -> None:
    assert why(a_school(""), model) == []


def test_nobody_asked_about_nothing_said(model: Model) -> None:
    known = a_school("UU")
    learned = model.learned[Counted.UNEXCUSED]
    assert reasons(known, np.zeros(0, dtype=np.int64), TEN, 10, learned, None, rates(known, TEN.counted, learned)) == []
