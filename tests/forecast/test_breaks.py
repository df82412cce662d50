"""Breaks and what sees them, worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from firstbell.forecast.breaks import (
    BELOW,
    LATEST,
    NO_MEASURE,
    Onsets,
    Watched,
    found,
    judge_breaks,
    onsets,
    unchanging,
    watched,
)
from firstbell.signals.kernel import DAY, break_scores, compute, day_matrix
from tests.signals.draw import a_grid


def days(*rows: str) -> np.ndarray:
    grid = a_grid(*rows)
    return day_matrix(grid, grid.days)


def breaks_of(*rows: str) -> list[tuple[int, int, int]]:
    o = onsets(days(*rows))
    return list(zip(o.row.tolist(), o.starts.tolist(), o.ends.tolist(), strict=True))


CALM = "PPPPP " * 4


class TestOnsets:
    def test_a_break_begins_with_the_first_day_away_of_a_bad_month(self) -> None:
        # 8 of the 20 days from day 22 are missed, none of the 22 before; on the evening of day 42 only seven of the last 20 were
        assert breaks_of(CALM + "PPUUP UPUUP UPPUP PPUPP PPPPP PPPPP") == [(0, 22, 41)]

    def test_seven_days_of_twenty_are_too_few(self) -> None:
        assert breaks_of(CALM + "PPUUP UPUUP UPPUP PPPPP PPPPP PPPPP") == []

    def test_who_is_often_away_must_miss_a_fifth_more(self) -> None:
        # 6 of 20 before: 30 %. 9 of 20 are 45 %: not a fifth more; 10 are
        often = "UPPUP PUPUP UPPPP UPPPP"
        assert breaks_of(often + "UUPUP UPUPU PUPUU PPPPP PPPPP") == []
        assert [b[1] for b in breaks_of(often + "UUPUP UPUPU PUPUU UPPPP PPPPP")] == [20]

    def test_a_lone_day_away_a_week_before_is_not_the_beginning(self) -> None:
        assert [b[1] for b in breaks_of(CALM + "UPPPP PUUUU UUUUP PPPPP PPPPP PPPPP")] == [26]

    def test_nothing_is_said_of_the_first_and_the_last_twenty_days(self) -> None:
        o = onsets(days("UUUUU " * 2 + CALM + "PPPPP " * 3 + "UUUUU " * 2))
        assert (len(o.row), o.first.tolist(), o.last.tolist()) == (0, [20], [35])

    def test_a_day_everybody_shares_is_nobodys_break(self) -> None:
        alone = CALM + "UUUUU UUUPP PPPPP PPPPP PPPPP"
        assert len(breaks_of(alone, *[CALM + "PPPPP " * 5] * 19)) == 1
        assert breaks_of(*[alone] * 10, *[CALM + "PPPPP " * 5] * 10) == []

    def test_a_suspension_is_not_one(self) -> None:
        assert breaks_of(CALM + "SSSSS SSSPP PPPPP PPPPP PPPPP PPPPP") == []

    def test_after_somebody_acted_nothing_is_said(self) -> None:
        bits = days(CALM + "PPUUP UPUUP UPPUP PPUPP PPPPP PPPPP")
        acted = np.zeros(bits.shape, dtype=bool)
        acted[:, 30:50] = True
        assert len(onsets(bits, acted).row) == 0


class TestFound:
    #: one break from day 22 to day 43 of a student judged from day 20 to 60
    BREAK = Onsets(*(np.array([n]) for n in (0, 22, 43, 20, 60)))

    def at(self, *evenings: int) -> Any:
        measure = np.zeros((1, 80), dtype=np.float32)
        measure[0, list(evenings)] = 1
        return found(measure, 1, self.BREAK)

    def test_the_delay_runs_to_the_first_evening_over_the_bar(self) -> None:
        assert self.at(22).delay.tolist() == [0]
        assert self.at(25, 30).delay.tolist() == [3]
        assert self.at(42).delay.tolist() == [20]
        assert self.at(43).delay.tolist() == [LATEST + 1]

    def test_an_alert_in_no_break_is_a_false_one_and_stands_ten_days(self) -> None:
        one = self.at(48, 50, 58)
        assert (one.alerts.tolist(), one.false.tolist()) == ([1], [1])
        again = self.at(44, 55)
        assert (again.alerts.tolist(), again.false.tolist()) == ([2], [2])
        assert self.at(30).false.tolist() == [0]

    def test_days_that_cannot_be_judged_raise_no_false_alarm(self) -> None:
        assert self.at(10, 61).alerts.tolist() == [0]


def test_the_score_of_every_evening_is_the_kernels() -> None:
    rng = np.random.default_rng(3)
    letters = np.array(list("PPPPPPPPPPPPPPPPPPPUUENTLS #"))
    away = rng.random((60, 90)) < rng.beta(1, 6, 60)[:, None]
    rows = np.where(away, "U", rng.choice(letters, (60, 90)))
    grid = a_grid(*("".join(row).replace(" ", "_") for row in rows))
    group = (np.arange(60) % 3).astype(np.int32)
    last = rng.integers(0, 30, 60).astype(np.int32), np.full(60, 170, dtype=np.int32)
    bits = day_matrix(grid, grid.days)
    for through in (1, 2, 19, 20, 21, 45, 90):
        signals = compute(grid, through, group, *last)
        score, absent = break_scores(bits, through, group, *last)
        assert np.array_equal(score, signals.break_score)
        assert np.array_equal(absent, signals.break_absent)


def a_school(seed: int = 1, n: int = 400) -> Watched:
    """Students seldom away, of whom every fourth misses half of the days for five weeks, each from a day of their own."""
    rng = np.random.default_rng(seed)
    usual = rng.beta(1, 20, n)[:, None] * np.ones(100)
    for i in range(0, n, 4):
        usual[i, 25 + i % 45 : 50 + i % 45] = 0.5
    bits = (DAY.POSSIBLE | (rng.random((n, 100)) < usual) * int(DAY.ABSENT)).astype(np.uint16)
    none = np.zeros(n, dtype=np.int32)
    return watched(unchanging(bits), bits, np.arange(n), none, none, none, least_away=3)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return judge_breaks([a_school(1), a_school(2)], 4.6)


class TestReport:
    def test_every_detector_has_its_figures_with_intervals(self, report: dict[str, Any]) -> None:
        assert [(d["name"], d["bar"]) for d in report["detectors"]] == [
            ("ours", 4.6), ("cusum", 2.0), ("last_5", 2.0), ("last_5", 3.0),
        ]  # fmt: skip
        for d in report["detectors"]:
            shares = [p["value"] for p in d["within"].values()]
            assert shares == sorted(shares)
            assert shares[-1] <= 1 - d["never"]["value"] + 1e-9
            for part in (*d["within"].values(), d["never"], d["false_alarms"]):
                assert part["low"] <= part["value"] <= part["high"]

    def test_a_break_of_half_the_days_is_seen_within_ten(self, report: dict[str, Any]) -> None:
        ours = report["detectors"][0]
        assert 150 <= report["breaks"] <= 260
        assert ours["within"]["10"]["value"] > 0.9
        assert ours["false_alarms"]["value"] < 15

    def test_set_against_a_rule_ours_cries_wolf_no_more_often(self, report: dict[str, Any]) -> None:
        rules = {(d["name"], d["bar"]): d for d in report["detectors"]}
        assert report["at_equal_false_alarms"]
        for of in report["at_equal_false_alarms"]:
            assert of["false_alarms"]["value"] <= rules[of["name"], of["than_bar"]]["false_alarms"]["value"]

    def test_a_higher_bar_is_later_and_cries_wolf_less(self, report: dict[str, Any]) -> None:
        for points in report["curve"].values():
            within = [seen for _false, seen in points]
            assert within == sorted(within)  # from the highest bar to the lowest
            false = [per_thousand for per_thousand, _seen in points]
            assert all(b >= 0.6 * a for a, b in zip(false, false[1:], strict=False))  # alerts that never end are few

    def test_students_are_the_same_in_every_school(self) -> None:
        moved = a_school(1)
        assert judge_breaks([moved, moved], 4.6)["students"] == 400

    def test_of_too_few_breaks_nothing_is_said(self) -> None:
        few = a_school(1, n=40)
        assert "detectors" not in judge_breaks([few], 4.6)

    def test_known_onsets_take_the_place_of_the_records(self) -> None:
        school = a_school(1)
        none = np.zeros(0, dtype=np.int64)
        record = onsets(school.final)
        truth = Onsets(none, none, none, record.first, record.last)
        assert judge_breaks([school], 4.6, [truth])["breaks"] == 0


def test_who_is_not_on_the_roll_has_no_measure() -> None:
    bits = days(CALM + "UUUUU #####")
    none = np.zeros(1, dtype=np.int32)
    measure = watched(unchanging(bits), bits, np.zeros(1, dtype=np.int64), none, none, none, least_away=3).measures
    assert measure["last_5"][0, 24] == 5
    assert measure["ours"][0, 24] > 4.6
    assert [m[0, 25] for m in measure.values()] == [NO_MEASURE] * 3


def test_with_fewer_days_away_than_an_alert_takes_only_a_bar_under_nought_lets_it_in() -> None:
    bits = days(CALM + "UUUPP")
    none = np.zeros(1, dtype=np.int32)
    ours = watched(unchanging(bits), bits, np.zeros(1, dtype=np.int64), none, none, none, least_away=3).measures[
        "ours"
    ][0]
    assert ours[20] == NO_MEASURE  # one day away is no run
    assert -BELOW < ours[21] < 0
    assert ours[22] > 4.6
