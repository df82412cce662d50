"""Layer 1: the chain against every possible course of the days, and the pooling against what it is made of."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.forecast.evidence import ADDED
from firstbell.forecast.pooling import (
    LEVELS,
    Before,
    Pool,
    day_weights,
    group_mixes,
    learn_prior,
    posterior,
    year_kernels,
    years_correlation,
)
from firstbell.forecast.runs import LOG_RATES, NODES, SHARES, SPREAD, STAYS, mixed, run_table


def by_every_course(rate: float, stay: float, days: int, state: int, least: int) -> float:
    """P(at least so many counted days): the sum over all 2^days courses, and over the spread of the rate.

    From away on days that do not count (2): for every day the student may come back on, the days after it.
    """
    if state == 2:
        stays = [stay**k * (1 - stay) * by_every_course(rate, stay, days - k - 1, 0, least) for k in range(days)]
        return sum(stays)
    total = 0.0
    for node, share in zip(NODES, SHARES, strict=True):
        begin = min(rate * np.exp(SPREAD * node - SPREAD**2 / 2), 0.95)
        for course in product((0, 1), repeat=days):
            chance, now = 1.0, state
            for day in course:
                into = stay if now else begin
                chance *= into if day else 1 - into
                now = day
            total += share * chance * (sum(course) >= least)
    return total


@pytest.mark.parametrize("state", [0, 1, 2])
@pytest.mark.parametrize("least", [1, 2, 4])
def test_the_table_is_the_sum_over_every_course_of_the_days(state: int, least: int) -> None:
    a, b = 40, 6
    expected = by_every_course(float(np.exp(LOG_RATES[a])), float(STAYS[b]), 6, state, least)
    assert run_table(6, 10)[state, least, a, b] == pytest.approx(expected, rel=1e-9)


def test_more_days_never_lower_a_chance_and_more_needed_never_raises_it() -> None:
    five, ten = run_table(5, 10), run_table(10, 10)
    assert (ten >= five - 1e-12).all()
    assert (np.diff(ten, axis=1) <= 1e-12).all()
    assert (np.diff(ten, axis=2) >= -1e-12).all()


def ask(
    line: int, added: list[float], current: float, level: int, days: int = 10, *, away: int = 0, open_: int = 0
) -> tuple[float, float]:
    unsettled = np.zeros((1, ADDED))
    unsettled[0, : len(added)] = added
    sure = np.zeros((1, 1, len(LEVELS)))
    sure[0, 0, level] = 1
    out, already = np.zeros((1, 1)), np.zeros(1)
    mixed(
        run_table(days, 10), LOG_RATES, STAYS, LEVELS, sure, np.zeros(1), np.array([0.5]), np.array([current]),
        np.array([float(away)]), np.array([float(open_)]), unsettled, np.array([0]), np.array([line]), out, already,
    )  # fmt: skip
    return float(out[0, 0]), float(already[0])


def test_marks_that_may_still_settle_are_weighed_with_the_days_to_come() -> None:
    at_once, later = ask(0, [1.0], 0, 12)[0], ask(1, [1.0], 0, 12)[0]
    half, already = ask(1, [0.5, 0.5], 0, 12)
    assert at_once == 1
    assert half == pytest.approx(0.5 * at_once + 0.5 * later)
    assert already == 0.5


def test_nothing_ahead_leaves_what_is_known() -> None:
    chance, already = ask(1, [0.25, 0.75], 0, 12, days=0)
    assert (chance, already) == (pytest.approx(0.75), 0.75)


def test_the_unsettled_days_of_the_spell_going_on_count_with_the_days_it_will_yet_last() -> None:
    """Three days without a reason, an even chance that they count, four needed: if they count one more day is enough, and away already."""
    chance, already = ask(4, [1.0], 0.5, 12, away=3, open_=3)
    if_so, if_not = ask(1, [1.0], 1, 12, away=3)[0], ask(4, [1.0], 0, 12, away=3)[0]
    assert chance == pytest.approx(0.5 * if_so + 0.5 * if_not)
    assert already == 0
    assert ask(3, [1.0], 0.5, 12, away=3, open_=3)[1] == 0.5


def test_nothing_new_begins_while_an_illness_lasts() -> None:
    ill, here = ask(1, [1.0], 0, 18, away=5)[0], ask(1, [1.0], 0, 18)[0]
    assert 0 < ill < here


@given(st.integers(0, 30), st.integers(1, 120))
def test_a_posterior_is_a_distribution_that_one_more_absence_never_lowers(starts: int, exposed: int) -> None:
    prior = np.full(len(LEVELS), 1 / len(LEVELS))
    fewer, more = posterior(np.array([starts, starts + 1.0]), np.array([exposed, exposed]).astype(float), prior)
    assert fewer.sum() == pytest.approx(1)
    assert more @ LEVELS >= fewer @ LEVELS


def test_a_prior_is_learned_from_many_who_share_a_level() -> None:
    rng = np.random.default_rng(1)
    starts = rng.binomial(160, np.exp(LEVELS[8]), 4000).astype(float)
    prior = learn_prior(starts, np.full(4000, 160.0))
    assert prior[6:11].sum() > 0.9


def test_last_year_leans_this_year_but_does_not_fix_it() -> None:
    pool = Pool(np.full(len(LEVELS), 1 / len(LEVELS)), np.zeros(0), np.zeros(1), np.zeros(1), np.zeros(1), 0.75)
    high = np.zeros((1, len(LEVELS)))
    high[0, 20] = 1
    this = high @ year_kernels(pool.prior, np.array([0.75]))[0]
    assert this.sum() == pytest.approx(1)
    usual = float(LEVELS.mean())
    assert usual < float((this @ LEVELS)[0]) < LEVELS[20]


def two_years(follows: float, days: float, n: int = 400) -> tuple[Pool, Before, np.ndarray, np.ndarray]:
    """Students whose level is the same again with this chance, and drawn anew otherwise; the first so many days of their second year."""
    rng = np.random.default_rng(4)
    first = rng.integers(0, len(LEVELS), n)
    second = np.where(rng.random(n) < follows, first, rng.integers(0, len(LEVELS), n))
    nothing = np.zeros(n)
    last = Before(rng.poisson(np.exp(LEVELS[first]) * 160), np.full(n, 160.0), nothing, nothing, nothing, nothing)
    pool = Pool(np.full(len(LEVELS), 1 / len(LEVELS)), np.zeros(0), np.zeros(1), np.zeros(1), np.zeros(1), 0.75)
    return pool, last, rng.poisson(np.exp(LEVELS[second]) * days).astype(float), np.full(n, days)


def follows_last(pool: Pool, last: Before, starts: np.ndarray, exposed: np.ndarray) -> float:
    """Of one school."""
    (found,) = years_correlation(pool, last, starts, exposed, np.zeros(len(starts), dtype=np.int32))
    return float(found)


def test_each_school_shows_its_own() -> None:
    pool, same, starts, exposed = two_years(1.0, 60)
    _pool, other, starts_2, exposed_2 = two_years(0.0, 60)
    both = Before(*(np.concatenate([getattr(same, f), getattr(other, f)]) for f in Before.__slots__))
    school = np.repeat(np.arange(2, dtype=np.int32), 400)
    found = years_correlation(pool, both, np.append(starts, starts_2), np.append(exposed, exposed_2), school)
    assert found.tolist() == [follows_last(pool, same, starts, exposed), follows_last(pool, other, starts_2, exposed_2)]


def test_how_closely_a_year_follows_the_last_is_what_its_days_show() -> None:
    anew, again = follows_last(*two_years(0.0, 60)), follows_last(*two_years(1.0, 60))
    assert anew < 0.35
    assert again > 0.85


def test_before_a_year_has_shown_anything_it_follows_the_last_as_usual() -> None:
    assert follows_last(*two_years(0.0, 0)) == pytest.approx(0.75, abs=0.06)
    pool, last, starts, exposed = two_years(0.0, 60)
    assert follows_last(pool, Before.nothing(len(starts)), starts, exposed) == 0.75
    few = follows_last(pool, last.rows(np.arange(5)), starts[:5], exposed[:5])
    assert abs(few - 0.75) < 0.25


def test_a_small_group_leans_little_from_the_district() -> None:
    pool = Pool(np.full(len(LEVELS), 1 / len(LEVELS)), np.zeros(0), np.zeros(1), np.zeros(1), np.zeros(1), 0.75)
    group = np.array([0] * 3 + [1] * 300, dtype=np.int32)
    few, many = group_mixes(pool, np.full(303, 40.0), np.full(303, 60.0), group)
    usual = float(LEVELS.mean())
    assert 0 < few @ LEVELS - usual < many @ LEVELS - usual


def test_a_bad_day_of_the_school_weighs_more() -> None:
    absent = np.array([[5, 5, 30, 5]])
    weights = day_weights(absent, np.full((1, 4), 100))
    # usual: 45 of 400, so 11.25 a day; eight more as usual are added on both sides
    assert weights[0].tolist() == pytest.approx([13 / 19.25, 13 / 19.25, 38 / 19.25, 13 / 19.25])
