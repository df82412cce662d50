"""Rates are exact fractions, and the lines the law draws are met to the day."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.signals.metrics import Attendance, Band, chronic, chronic_mask, day_letters, persistent, severe
from tests.signals.draw import a_grid


def test_m1_nine_of_ninety_is_chronic_and_moderate() -> None:
    assert chronic(Attendance(9, 90)) is True
    assert Attendance(9, 90).band is Band.MODERATE
    assert Attendance(9, 90).rate == Fraction(1, 10)


def test_m3_under_ten_days_is_not_evaluated() -> None:
    assert chronic(Attendance(9, 9)) is None
    assert chronic(Attendance(1, 10)) is True


@pytest.mark.parametrize(
    ("missed", "possible", "band"),
    [(4, 100, Band.SATISFACTORY), (5, 100, Band.AT_RISK), (9, 100, Band.AT_RISK), (10, 100, Band.MODERATE), (19, 100, Band.MODERATE),
     (20, 100, Band.SEVERE), (8, 89, Band.AT_RISK), (0, 0, None)],
)  # fmt: skip
def test_attendance_works_bands_at_their_edges(missed: int, possible: int, band: Band | None) -> None:
    assert Attendance(missed, possible).band is band


def test_england_persistent_and_severe() -> None:
    assert persistent(Attendance(38, 380)) is True
    assert persistent(Attendance(37, 380)) is False
    assert severe(Attendance(190, 380)) is True
    assert persistent(Attendance(0, 0)) is None


def test_more_missed_than_possible_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Attendance(3, 2)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1))
def test_many_at_once_agree_with_the_fraction(pairs: list[tuple[int, int]]) -> None:
    counts = [(min(a, b), max(a, b)) for a, b in pairs]
    missed, possible = (np.array(column, dtype=np.int32) for column in zip(*counts, strict=True))
    assert chronic_mask(missed, possible).tolist() == [chronic(Attendance(m, p)) is True for m, p in counts]


def test_a_days_letter_tells_most_of_it() -> None:
    grid = a_grid("EEU PPU TPP PPP #FF ___ U_U", sessions=3)
    assert day_letters(grid, 7, 0) == "EHTPF U"
