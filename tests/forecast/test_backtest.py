"""The backtest's figures by hand, and what it takes for a forecast to be offered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from firstbell.forecast.backtest import BASELINES, FEW, NEVER, Rows, backtest, beta_binomial, judge
from firstbell.forecast.evidence import COUNTED, PRESENT
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.training import ClosedYear, collect, fit_layer_two, learn_layer_one
from tests.forecast.district import DATES, DAYS, closed_years

TEN = find_line("example", "ten-unexcused-days")


def rows(
    chance: Any, reached: Any, *, student: Any = None, through: Any = None, week: Any = None, said: Any = "clear", count: Any = None, band: Any = 0
) -> Rows:  # fmt: skip
    chance, reached = np.asarray(chance, dtype=float), np.asarray(reached, dtype=bool)
    n = len(chance)
    rivals = {name: np.zeros(n) for name in BASELINES}
    rivals["count"] = np.zeros(n) if count is None else np.asarray(count, dtype=float)
    return Rows(
        np.arange(n) if student is None else np.asarray(student), np.broadcast_to(10 if through is None else through, n).copy(),
        np.broadcast_to((10 if through is None else through) if week is None else week, n).copy(), np.zeros(n, dtype=np.int64), np.broadcast_to(np.int8(band), n).copy(), reached, chance,
        np.broadcast_to(np.asarray(said), n).astype("U11"), rivals, np.full(n, np.nan),
    )  # fmt: skip


def figures(of: Rows, first: Any = None, **groups: Any) -> dict[str, Any]:
    most = int(of.student.max()) + 1
    named = {name: np.unique(which, return_inverse=True) for name, which in groups.items()}
    return judge(of, np.full(most, NEVER) if first is None else np.asarray(first), named)


def a_good_forecast(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    chance = rng.beta(0.4, 4, n)
    return chance, rng.random(n) < chance


def blurred(chance: np.ndarray, by: float) -> np.ndarray:
    return chance * np.random.default_rng(6).lognormal(0, by, len(chance))


class TestVerdict:
    def test_what_beats_the_simple_rules_and_holds_is_offered(self) -> None:
        verdict = figures(rows(*a_good_forecast()))["verdict"]
        assert (verdict["offered"], verdict["why"]) == (True, "beats")
        assert verdict["times"] > 1.5

    def test_what_the_count_does_as_well_is_not(self) -> None:
        chance, reached = a_good_forecast()
        verdict = figures(rows(chance, reached, count=chance))["verdict"]
        assert verdict == {"offered": False, "why": "not_beaten", "rule": "count"}

    def test_it_is_set_against_the_best_of_the_rules_one_could_keep_by_hand(self) -> None:
        chance, reached = a_good_forecast()
        of = rows(chance, reached, count=blurred(chance, 2))
        of.baselines["projection"] = blurred(chance, 1)
        verdict = figures(of)["verdict"]
        assert (verdict["offered"], verdict["rule"]) == (True, "projection")
        of.baselines["rate"] = chance
        assert figures(of)["verdict"] == {"offered": False, "why": "not_beaten", "rule": "rate"}

    def test_a_lead_that_may_be_luck_is_not_enough(self) -> None:
        chance, reached = a_good_forecast(600)
        noisy = blurred(chance, 0.2)  # a rule all but as good
        verdict = figures(rows(chance, reached, count=noisy))["verdict"]
        assert (verdict["offered"], verdict["why"]) == (False, "not_beaten")

    def test_chances_that_do_not_hold_are_not_offered(self) -> None:
        chance, reached = a_good_forecast()
        bold = chance**2 / (chance**2 + (1 - chance) ** 2)  # the same order, twice as sure of itself
        verdict = figures(rows(bold, reached))["verdict"]
        assert (verdict["offered"], verdict["why"]) == (False, "not_calibrated")
        assert verdict["slope"] == pytest.approx(0.5, abs=0.1)

    def test_of_too_few_nothing_is_said(self) -> None:
        reached = np.arange(500) < 29
        assert figures(rows(np.full(500, 0.06), reached)) == {
            "rows": 500, "reached": 29, "verdict": {"offered": False, "why": "too_few", "reached": 29},
        }  # fmt: skip


class TestFigures:
    def test_lead_is_from_the_first_alert_to_the_line(self) -> None:
        # four students asked on days 10, 20, 30: 0 flagged on day 10 and 20, line on day 25; 1 flagged on day 20, line on day 23;
        # 2 never flagged, line on day 29; 3 flagged on day 30, never there; and a crowd that nobody flags
        student = np.concatenate([np.tile([0, 1, 2, 3], 3), np.arange(4, 204)])
        through = np.concatenate([np.repeat([10, 20, 30], 4), np.full(200, 10)])
        said = np.full(len(student), "clear", dtype="U11")
        said[[0, 4, 5, 11]] = "act"
        reached = np.isin(np.arange(len(student)), [4, 5, 6]) | (np.arange(len(student)) >= 174)
        first = np.full(204, NEVER)
        first[:3] = 25, 23, 29
        found = figures(rows(np.where(reached, 0.5, 0.1), reached, student=student, through=through, said=said), first)
        lead = found["lead"]
        assert (lead["reached"], lead["median"]) == (3, (15 + 3) / 2)
        assert (lead["five_days"], lead["ten_days"]) == (1 / 3, 1 / 3)
        assert found["false_alarms"]["alerts"] == 3
        assert found["false_alarms"]["never_this_year"]["share"] == 1 / 3
        # three students were new on a list of three weeks; the second look at student 0 was no new alert
        assert found["alerts_a_week_per_100"] == pytest.approx(3 / 3 / 204 * 100)
        # {0}, then {0, 1}, then {3}: half shared, then nothing
        assert found["stability"] == pytest.approx((1 / 2 + 0) / 2)

    def test_schools_of_other_calendars_are_looked_at_in_the_same_weeks(self) -> None:
        """Two hundred students at each of two schools; the second began a day later, so that its days have other numbers."""
        student = np.tile(np.arange(400), 3)
        week = np.repeat([1, 2, 3], 400)
        through = 5 * week - (student >= 200)
        said = np.where(np.isin(student, [0, 1, 200, 201]), "act", "clear")
        reached = student % 5 == 0
        chance = np.where(reached, 0.4, 0.1)
        alike = figures(rows(chance, reached, student=student, through=5 * week, said=said))
        other = figures(rows(chance, reached, student=student, through=through, week=week, said=said))
        assert other["alerts_a_week_per_100"] == alike["alerts_a_week_per_100"] == pytest.approx(4 / 3 / 400 * 100)
        assert other["stability"] == alike["stability"] == 1
        assert other["at_capacity"] == alike["at_capacity"]

    def test_alerts_are_of_a_hundred_on_the_rolls(self) -> None:
        """Of 200 students in the year, half came when the others left."""
        reached = np.arange(200) % 5 == 0
        of = rows(np.where(reached, 0.4, 0.1), reached, said=np.where(np.arange(200) < 3, "act", "clear"))
        found = judge(of, np.full(200, NEVER), {}, on_roll=100)
        assert found["alerts_a_week_per_100"] == 3

    def test_at_capacity_ties_share_the_places_left(self) -> None:
        # 100 asked on one day: one place (CAPACITY of a hundred is small); 30 tied at the top, 30 reach it, of whom 15 are tied
        score = np.where(np.arange(100) < 30, 1.0, 0.0)
        reached = (np.arange(100) < 15) | (np.arange(100) >= 85)
        found = figures(rows(np.where(reached, 0.6, 0.2), reached, count=score))
        assert found["at_capacity"]["count"]["precision"] == pytest.approx(0.5)
        assert found["at_capacity"]["forecast"]["precision"] == 1

    def test_groups_have_their_misses_and_small_ones_stand_together(self) -> None:
        n = 200
        group = np.array(["en"] * 150 + ["es"] * 41 + ["so"] * 5 + ["vi"] * 4)
        reached = np.arange(n) % 4 == 0
        said = np.where(np.arange(n) % 8 == 0, "act", "clear")
        found = figures(rows(np.where(reached, 0.4, 0.2), reached, said=said), language=group)["groups"]["language"]
        assert [g["group"] for g in found] == ["en", "es", ""]
        assert [g["students"] for g in found] == [150, 41, 9]
        english = found[0]
        assert english["reached"] == 38  # 0, 4, … 148
        assert english["missed"]["share"] == 19 / 38  # those flagged are 0, 8, … 144
        assert english["precision"]["share"] == 1
        assert english["expected"] == pytest.approx(38 * 0.4 + 112 * 0.2)

    def test_nobody_reached_it_so_there_is_no_share_of_misses(self) -> None:
        reached = np.arange(100) < 40
        group = np.where(np.arange(100) < 60, "a", "b")
        found = figures(rows(np.where(reached, 0.5, 0.2), reached), school=group)["groups"]["school"]
        assert found[1]["missed"] is None
        assert found[1]["precision"] is None

    def test_of_students_like_this_so_many_came_true(self) -> None:
        chance = np.concatenate([np.full(500, 0.005), np.full(100, 0.2), np.full(FEW - 1, 0.5)])
        reached = np.concatenate([np.arange(500) < 5, np.arange(100) < 30, np.arange(FEW - 1) < 20])
        steps = figures(rows(chance, reached))["steps"]
        assert [(s["upto"], s["rows"], s["share"]) for s in steps] == [
            (0.01, 500, 0.01), (1.0, 100 + FEW - 1, 50 / (100 + FEW - 1)),
        ]  # fmt: skip

    def test_bands_are_judged_by_grade(self) -> None:
        chance, reached = a_good_forecast()
        band = np.where(np.arange(len(chance)) % 2, np.int8(0), np.int8(2))
        by_grade = figures(rows(chance, reached, band=band))["calibration"]["by_grade_band"]
        assert set(by_grade) == {"primary", "high"}
        assert all(0.8 < g["slope"] < 1.2 for g in by_grade.values())


def test_the_beta_binomial_is_scipys() -> None:
    needed, a, b = np.array([0, 1, 3, 10, 11]), np.array([0.5, 0.7, 2, 1, 1]), np.array([8.0, 9, 5, 1, 1])
    assert beta_binomial(needed, 10, a, b) == pytest.approx(stats.betabinom(10, a, b).sf(needed - 1), abs=1e-12)


@pytest.fixture(scope="module")
def learned() -> Any:
    years = closed_years(schools=3, students=200)
    layer_one = {c: learn_layer_one(years, c) for c in Counted}
    return years, layer_one, fit_layer_two(collect(years, [TEN], layer_one, horizons=(10,)), 600)


class TestWhole:
    def report(self, learned: Any, judged: list[ClosedYear], progress: Any = None) -> dict[str, Any]:
        years, layer_one, two = learned
        found = backtest(
            years, judged, layer_one, two, {"example/ten-unexcused-days": TEN}, lambda _rows: {},
            progress=progress,
        )  # fmt: skip
        return found["example/ten-unexcused-days"]

    def test_every_horizon_is_judged_with_progress(self, learned: Any) -> None:
        steps: list[tuple[int, int]] = []
        found = self.report(learned, closed_years(schools=3, students=200, seed=9), lambda d, t: steps.append((d, t)))
        assert set(found) == {"5", "10", "20", "year-end"}
        assert steps == [(n, 5) for n in range(1, 6)]  # three schools at once, then four questions
        assert [figures["learned"] for figures in found.values()] == [False, True, False, False]

    def test_who_is_past_the_line_or_was_helped_is_not_judged(self, learned: Any) -> None:
        n = 40
        final = np.full((n, DAYS), PRESENT, dtype=np.uint8)
        final[:10, :10] = COUNTED  # there on day 10
        final[10:20, 60:70] = COUNTED
        known = [
            Known(DATES, through, dict.fromkeys(Counted, final[:, :through]), np.ones(n, dtype=bool), np.zeros(n, dtype=np.int32),
                  np.zeros(n, dtype=np.int8), Carried.nothing(n), {})
            for through in (20, 50)
        ]  # fmt: skip
        helped = np.zeros((n, DAYS), dtype=bool)
        helped[30:, 40:60] = True  # somebody acted on them after day 40
        year = ClosedYear(2026, 1, known, dict.fromkeys(Counted, final), np.arange(n), helped)
        found = self.report(learned, [year])
        assert found["10"]["rows"] == (40 - 10) + (40 - 10 - 10)

    def test_days_whose_end_is_not_known_are_not_judged(self, learned: Any) -> None:
        whole = closed_years(schools=1, students=50, seed=4)[0]
        half = {c: final[:, :75] for c, final in whole.final.items()}
        part = ClosedYear(2026, 1, whole.known, half, whole.student, whole.left_out)
        asked = [k.through for k in whole.known if k.through + 10 <= 75]
        assert self.report(learned, [part])["10"]["rows"] <= 50 * len(asked)
        assert self.report(learned, [part])["year-end"]["rows"] == 0
