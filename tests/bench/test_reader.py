"""A reader that is wrong about its district, or too sure of a student, would call too little possible, or too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.reader import reader
from bench.strangers import BEGINS_IN, Inclined, Propensities, States, stranger
from firstbell.forecast.evidence import COUNTED
from firstbell.forecast.lines import Counted


def of_propensities(h: Propensities, last: int) -> Any:
    worse = np.where((h.onset <= last) & (last < h.over), h.worse, 1.0)
    return np.log(h.begin * worse) + h.week[:, last // 5]


def of_states(h: States, last: int) -> Any:
    return np.log(h.own * BEGINS_IN[h.state[:, last]])


def of_inclined(h: Inclined, last: int) -> Any:
    return h.usual + h.wander[:, last]


@pytest.mark.parametrize(
    ("name", "how_likely"),
    [pytest.param("A", of_propensities, marks=pytest.mark.slow), ("B", of_states), ("C", of_inclined)],
)
def test_students_are_on_average_as_inclined_to_be_away_as_the_reader_of_their_marks_thinks(
    name: str, how_likely: Callable[[Any, int], Any]
) -> None:
    first, second, hidden = stranger(name, 500, 7)
    read: Any = reader(hidden, (first, second))
    rng = np.random.default_rng(1)
    last_year, away = (np.concatenate([y.final[Counted.ABSENT] for y in years]) == COUNTED for years in (first, second))
    for through in (5, 60, 120):
        truth = how_likely(hidden[1], through - 1)
        drawn = np.array([how_likely(read.drawn(rng, through), through - 1) for _ in range(100)])
        guess, spread = drawn.mean(axis=0), drawn.std(axis=0)
        off = (truth - guess) / spread
        few = 4 / np.sqrt(len(truth))
        assert abs(off.mean()) < few, "right on average"
        assert abs(np.corrcoef(off, guess)[0, 1]) < few, "for those it thinks likely and for those it doesn't"
        assert abs((off**2).mean() - 1) < few * (off**2).std(), "and as sure as it may be"
        for told in (away[:, through - 5 : through].sum(axis=1), away[:, :through].sum(axis=1), last_year.sum(axis=1)):
            assert abs(np.corrcoef(off, np.sqrt(told))[0, 1]) < few, "of what marks tell nothing is left over"
