"""The audit sample by hand and by simulation: everybody as likely to be drawn, and limits that hold the truth as often as they say."""

from __future__ import annotations

import doctest
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.forecast import sample
from firstbell.forecast.sample import Answers, Stratum, drawn, found, how_many, in_any_order, limits, share, strata_of

LISTED, NEAR, MIDDLE, FAR = Stratum


def test_the_examples_of_the_documentation_hold() -> None:
    assert doctest.testmod(sample).failed == 0


class TestDrawing:
    def test_everybody_of_a_stratum_is_as_likely_to_be_drawn(self) -> None:
        school = np.repeat([1, 2, 3], [9, 4, 2])
        who = np.arange(len(school)) + 100
        n = how_many(school, school)
        times = np.zeros(len(who))
        for seed in range(6000):
            times[drawn(seed, "far", who, school, school)] += 1
        expected = 6000 * n / len(who)
        assert np.abs(times - expected).max() < 4.5 * np.sqrt(expected)

    def test_the_same_seed_draws_the_same_students_whatever_order_they_come_in(self) -> None:
        school = np.repeat([5, 1, 3], 40)
        who = np.arange(120) * 7
        turned = np.random.default_rng(1).permutation(120)
        for seed in (0, 1, 2**62):
            one = {int(who[k]) for k in drawn(seed, "far", who, school, school)}
            two = {int(who[turned][k]) for k in drawn(seed, "far", who[turned], school[turned], school[turned])}
            assert one == two

    @given(
        st.lists(st.integers(0, 60), min_size=1, max_size=12),
        st.lists(st.integers(0, 3), min_size=12, max_size=12),
        st.integers(0, 2**63 - 1),
    )
    def test_no_school_and_no_desk_is_asked_for_more_than_its_time(
        self, sizes: list[int], desks: list[int], seed: int
    ) -> None:
        school = np.repeat(np.arange(len(sizes)), sizes)
        desk = np.array(desks)[school]
        chosen = drawn(seed, "near", np.arange(len(school)), school, desk)
        assert len(set(chosen.tolist())) == len(chosen) == how_many(school, desk)
        assert (len(chosen) > 0) == (len(school) > 0)
        if len(chosen):
            assert np.bincount(school[chosen]).max() <= sample.A_SCHOOL
            assert np.bincount(desk[chosen]).max() <= sample.A_DESK

    def test_strata_are_cut_by_the_chance_and_ties_go_below(self) -> None:
        names = strata_of(np.zeros(100, dtype=bool), np.arange(100.0))
        assert [int((names == s).sum()) for s in (NEAR, MIDDLE, FAR)] == [5, 15, 80]
        assert set(strata_of(np.zeros(100, dtype=bool), np.zeros(100)).tolist()) == {"far"}
        assert strata_of(np.array([True]), np.array([0.0])).tolist() == ["listed"]
        assert strata_of(np.zeros(0, dtype=bool), np.zeros(0)).tolist() == []

    def test_the_order_of_looks_says_nothing_of_the_stratum(self) -> None:
        who = np.arange(4)
        places = np.array([in_any_order(seed, who) for seed in range(2000)])
        assert np.abs(np.array([(places[:, 0] == k).mean() for k in range(4)]) - 0.25).max() < 0.05


class TestLimits:
    @pytest.mark.parametrize("size", [1, 2, 5, 9])
    def test_exact_limits_hold_every_truth_as_often_as_they_say(self, size: int) -> None:
        for n in range(1, size + 1):
            for truth in range(size + 1):
                held = Fraction(0)
                for hits in range(max(0, n - (size - truth)), min(n, truth) + 1):
                    low, high = limits(size, n, hits)
                    if low * size - 1e-9 <= truth <= high * size + 1e-9:
                        held += Fraction(comb(truth, hits) * comb(size - truth, n - hits), comb(size, n))
                assert held >= Fraction(95, 100), (size, n, truth)

    def test_of_a_great_many_they_are_clopper_and_pearsons(self) -> None:
        low, high = limits(10**7, 10, 3)
        assert (round(low, 3), round(high, 3)) == (0.067, 0.652)

    @given(st.integers(1, 4000), st.data())
    def test_they_lie_in_order_and_mirror(self, size: int, data: st.DataObject) -> None:
        n = data.draw(st.integers(1, min(size, 200)))
        hits = data.draw(st.integers(0, n))
        low, high = limits(size, n, hits)
        assert 0 <= low <= high <= 1
        other = limits(size, n, n - hits)
        assert (1 - high, 1 - low) == pytest.approx(other, abs=1.01 / size)
        wide = limits(size, n, hits, 0.99)
        assert wide[0] <= low
        assert high <= wide[1]

    def test_everybody_looked_at_leaves_no_doubt(self) -> None:
        assert limits(12, 12, 5) == (5 / 12, 5 / 12)


def week(stratum: Stratum, size: int, answered: int, act: int, drawn: int | None = None) -> Answers:
    return Answers(stratum, size, answered if drawn is None else drawn, answered, act)


@st.composite
def weeks_of_answers(draw: st.DrawFn) -> list[list[Answers]]:
    found_weeks = []
    for _ in range(draw(st.integers(1, 5))):
        strata = []
        for stratum in Stratum:
            size = draw(st.integers(1, 400))
            n = draw(st.integers(1, min(size, 12)))
            answered = draw(st.integers(0, n))
            strata.append(Answers(stratum, size, n, answered, draw(st.integers(0, answered))))
        found_weeks.append(strata)
    return found_weeks


class TestEstimates:
    def test_by_hand(self) -> None:
        # two weeks alike: 1,000 students, of whom 50 listed (10 answered, 6 to act on); 50 near the line (10, 2 to act on), 900 far (20, none)
        one = [week(LISTED, 50, 5, 3), week(NEAR, 50, 5, 1), week(FAR, 900, 10, 0)]
        f = found([one, one])
        assert (f.weeks, f.drawn, f.answered, f.not_listed) == (2, 40, 40, 950)
        assert f.false_alarms.value == pytest.approx(0.4)
        assert f.missed.value == pytest.approx(50 / 950 * 0.2)  # 10 of the 950 a week
        assert f.miss_rate.value == pytest.approx(10 / (10 + 30))
        # far: none of 20 of 1,800 leaves room for as many as 16.4 %; near: 2 of 10 leaves room for 55 %
        far, near = limits(1800, 20, 0)[1], limits(100, 10, 2)[1]
        above = ((900 / 950 * far) ** 2 + (50 / 950 * (near - 0.2)) ** 2) ** 0.5
        assert f.missed.high == pytest.approx(50 / 950 * 0.2 + above)

    def test_a_week_weighs_as_many_students_as_it_had(self) -> None:
        s = share([week(FAR, 900, 5, 0), week(FAR, 100, 5, 5)])
        assert s.value == pytest.approx(0.1)
        # ten answers are worth six: (900 + 100)² / (900²/5 + 100²/5)
        assert (s.low, s.high) == (limits(1000, 6, 0)[0], limits(1000, 6, 1)[1])

    def test_who_did_not_answer_is_counted_and_what_they_could_change_is_said(self) -> None:
        f = found([[week(LISTED, 10, 1, 1), week(FAR, 100, 6, 0, drawn=10)]])
        assert (f.drawn, f.answered) == (11, 7)
        assert f.missed.value == 0
        assert (f.at_least, f.at_most) == (0, 0.4)

    def test_a_stratum_nobody_answered_leaves_all_open(self) -> None:
        f = found([[week(LISTED, 10, 2, 1), week(NEAR, 5, 0, 0, drawn=1), week(FAR, 100, 10, 0)]])
        assert (f.missed.value, f.missed.low, f.missed.high) == (None, 0, 1)
        assert f.miss_rate.value is None
        assert not f.missed.can_tell

    def test_few_answers_tell_nothing(self) -> None:
        assert not share([week(FAR, 1000, 19, 1)]).can_tell
        assert share([week(FAR, 1000, 20, 1)]).can_tell
        assert not found([]).missed.can_tell

    def test_what_cannot_be_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cannot be"):
            Answers(FAR, 10, 5, 6, 0)

    @settings(max_examples=60, deadline=None)
    @given(weeks_of_answers())
    def test_an_interval_holds_its_estimate_and_lies_between_none_and_all(self, weeks: list[list[Answers]]) -> None:
        f = found(weeks)
        for s in (f.missed, f.false_alarms, f.miss_rate, *(s for _a, s in f.strata.values())):
            assert 0 <= s.low <= s.high <= 1
            if s.value is not None:
                assert s.low - 1e-9 <= s.value <= s.high + 1e-9
        if f.missed.value is not None and f.at_least is not None and f.at_most is not None:
            assert f.at_least <= f.at_most

    @settings(max_examples=40, deadline=None)
    @given(weeks_of_answers())
    def test_the_order_of_weeks_and_strata_means_nothing(self, weeks: list[list[Answers]]) -> None:
        turned = [list(reversed(w)) for w in reversed(weeks)]
        one, two = found(weeks), found(turned)
        assert one.missed.high == pytest.approx(two.missed.high)
        assert one.false_alarms.low == pytest.approx(two.false_alarms.low)


#: to act on of the listed, the near, the middle, the far
TRUTHS = {"few": (0.5, 0.1, 0.02, 0.002), "many": (0.8, 0.4, 0.15, 0.05), "rare": (0.1, 0.02, 0.005, 0.001)}


@pytest.mark.parametrize(("truth", "weeks"), [("few", 4), ("many", 30), ("rare", 30)])
def test_the_truth_lies_within_as_often_as_said(truth: str, weeks: int) -> None:
    """A district of a few thousand, drawn and answered over and over: sizes change by the week, so that weights differ, and one look in six is
    not answered."""
    rng = np.random.default_rng(7)
    sizes = rng.integers((30, 120, 350, 1800), (90, 180, 500, 2400), (weeks, 4))
    n = np.array([3, 5, 5, 5])
    needs = np.round(sizes * np.array(TRUTHS[truth])).astype(int)
    listed, rest = needs[:, 0].sum(), needs[:, 1:].sum()
    true = {
        "missed": rest / sizes[:, 1:].sum(),
        "false_alarms": 1 - listed / sizes[:, 0].sum(),
        "miss_rate": rest / (rest + listed),
    }
    rounds = 150
    held = dict.fromkeys(true, 0)
    for _ in range(rounds):
        answered = rng.binomial(n, 5 / 6, sizes.shape)
        act = rng.hypergeometric(needs, sizes - needs, np.maximum(answered, 1))
        f = found(
            [
                [Answers(s, int(sizes[w, k]), int(n[k]), int(answered[w, k]), int(act[w, k] if answered[w, k] else 0)) for k, s in enumerate(Stratum)]
                for w in range(weeks)
            ]
        )  # fmt: skip
        for name, value in true.items():
            s = getattr(f, name)
            held[name] += s.low - 1e-12 <= value <= s.high + 1e-12
    assert min(held.values()) >= 0.95 * rounds - 2 * np.sqrt(rounds * 0.95 * 0.05), held
