"""Figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.forecast.judging import (
    STANDS,
    Draws,
    Ranked,
    calibration_error,
    calibration_slope,
    opened,
    reliability,
    wilson,
)
from firstbell.watch.kinds import KINDS, Kind


def test_average_precision_by_hand() -> None:
    y = np.array([True, False, True, False])
    # looked at 1: 1 of 1; at 3: 2 of 3
    assert Ranked(y, np.array([0.9, 0.8, 0.7, 0.1])).average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_ties_are_looked_at_together() -> None:
    y = np.array([True, False, False, False])
    assert Ranked(y, np.ones(4)).average_precision == 0.25
    assert Ranked(y[::-1], np.ones(4)).average_precision == 0.25


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60))
def test_the_order_of_rows_means_nothing(rows: list[tuple[bool, int]]) -> None:
    y, p = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    one, two = Ranked(y, p).average_precision, Ranked(y[::-1], p[::-1]).average_precision
    assert one == pytest.approx(two, nan_ok=True)


def test_false_alarms_at_the_recall_of_the_baseline() -> None:
    y = np.array([True, True, False, False, False, False])
    baseline = np.array([3.0, 1.0, 3.0, 3.0, 0.0, 0.0])  # at 3: catches one of two, with two false alarms
    better = np.array([0.9, 0.1, 0.8, 0.2, 0.2, 0.2])  # catches the same one first: no false alarm
    assert Ranked(y, better).false_alarms_ratio(Ranked(y, baseline)) == {"0.50": 0.0}
    assert Ranked(y, baseline).false_alarms_ratio(Ranked(y, baseline))["0.50"] <= 1


def test_a_calibrated_forecast_has_no_error_and_a_slope_of_one() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 8, 80_000)
    y = rng.random(len(p)) < p
    assert calibration_error(y, p) < 0.005
    assert calibration_slope(y, p) == pytest.approx(1, abs=0.05)
    bold = p**2 / (p**2 + (1 - p) ** 2)
    assert calibration_slope(y, bold) == pytest.approx(0.5, abs=0.05)
    assert sum(n for _chance, _share, n in reliability(y, p)) == len(p)


def test_intervals_draw_students_not_rows() -> None:
    student = np.repeat(np.arange(40), 50)
    y = np.repeat(np.arange(40) < 20, 50)  # all of a student's rows agree: 40 stories, not 2,000
    p = np.ones(len(y))  # looked at all at once, the precision is the share
    drawn = Ranked(y, p).drawn_again(Draws.of(student, 200))
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.02)
    assert np.percentile(drawn, 97.5) - np.percentile(drawn, 2.5) > 0.2


def test_wilson_of_nobody_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(0, 20)
    assert low == pytest.approx(0, abs=1e-9)
    assert high == pytest.approx(0.161, abs=0.001)


@pytest.mark.parametrize(
    ("looks", "alerts"),
    [
        ("aaaa", 1),
        ("a-a-", 1),  # held while its student is to be watched …
        ("a?a?", 1),  # … and while nothing can be told
        ("a.a.", 2),  # it fell, and is another
        ("a---a", 1),  # 20 school days after the last look that said so it still stands …
        ("a----a", 2),  # … and then no longer
        ("-?.-", 0),
    ],
)
def test_alerts_are_counted_as_the_desk_opens_them(looks: str, alerts: int) -> None:
    """a: act, -: watch, ?: can't tell, .: clear; a look a week. Another student's looks before and after change nothing."""
    said = np.array([*"aa", *looks, *"aa"])
    student = np.repeat([1, 2, 3], [2, len(looks), 2])
    through = 5 * np.concatenate([[1, 2], np.arange(len(looks)), [1, 2]])
    assert opened(student, through, said == "a", said == ".") == 2 + alerts


def test_an_alert_stands_as_long_as_on_the_desk() -> None:
    assert KINDS[Kind.LINE_AHEAD].life == STANDS
