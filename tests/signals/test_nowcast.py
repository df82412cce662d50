"""What could be expected of a school's day, worked by hand; and judged on a made-up district."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from firstbell.signals.nowcast import BREAKS, MOST, DayEffects, expected, log_odds
from firstbell.simulator.district import simulate

NOTHING = DayEffects(np.zeros(7), np.zeros(5), np.zeros(5))
DATES = np.busday_offset("2026-08-31", np.arange(60), roll="forward").astype("datetime64[D]")


def odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


def school(*away: int, of: int = 99) -> tuple[np.ndarray, np.ndarray]:
    return np.array([away], dtype=np.int64), np.full((1, len(away)), of, dtype=np.int64)


def test_a_school_where_every_day_is_alike_is_expected_to_go_on_so() -> None:
    absent, possible = school(*[9] * 30)  # half a student added to both sides: 9.5 of 100
    assert expected(absent, possible, DATES, NOTHING)[0, 1:] == pytest.approx(0.095)


def test_a_worse_day_counts_a_quarter_of_its_surprise_after_three_days_of_beginning() -> None:
    # begun at 9.5 of 100 as if that had been three days; then 9 and, on the second day, 19 away: a surprise of u = odds(.195) - odds(.095).
    # alone, the others say nothing (they are none), so the level becomes (2^-1/5 · (3·2^-1/5 + 1) · a + a + u) / (… + 1)
    absent, possible = school(9, 19, 0)
    fade = 0.5 ** (1 / 5)
    before = 3 * fade + 1
    after = before * fade + 1
    level = odds(0.095) + (odds(0.195) - odds(0.095)) / after
    assert expected(absent, possible, DATES, NOTHING)[0, 2] == pytest.approx(1 / (1 + np.exp(-level)))


def test_no_day_later_than_the_one_asked_about_is_read() -> None:
    rng = np.random.default_rng(1)
    absent, possible = rng.integers(0, 60, (4, 30)), np.full((4, 30), 300)
    whole = expected(absent, possible, DATES)
    for through in (1, 7, 29):
        assert np.array_equal(expected(absent[:, :through], possible[:, :through], DATES), whole[:, :through])
    changed = absent.copy()
    changed[:, 29] = 200
    assert np.array_equal(
        expected(changed, possible, DATES)[:, 29], whole[:, 29]
    )  # nor, without the others, that day itself


def test_the_calendar_is_expected() -> None:
    effects = DayEffects.published()
    #                          Tue, Wed before Thanksgiving; the Monday after
    dates = np.array(["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-30", "2026-12-01"], dtype="datetime64[D]")
    assert effects.over(dates).tolist() == pytest.approx(
        [np.log(1.056), 0.0, np.log(0.964 * 1.68), np.log(1.056 * 1.10), 0.0]
    )
    assert len(BREAKS) + 1 == len(effects.eve) == len(effects.after)


def test_what_the_other_schools_have_that_day_is_expected_here_too() -> None:
    absent = np.full((5, 20), 9)
    absent[:4, 19] = 19  # a bad day everywhere but here
    possible = np.full((5, 20), 99)
    alone = expected(absent, possible, DATES, NOTHING)[4, 19]
    seen = expected(absent, possible, DATES, NOTHING, others=True)[4, 19]
    u = odds(0.195) - odds(0.095)  # four others, and one pooled that had nothing
    assert log_odds(np.array([9]), np.array([99]))[0] == pytest.approx(odds(0.095))
    assert alone == pytest.approx(0.095)
    assert odds(seen) == pytest.approx(odds(0.095) + 4 * u / 5)


def test_a_school_s_own_day_is_no_reason_to_expect_it() -> None:
    absent, possible = np.full((5, 20), 9), np.full((5, 20), 99)
    absent[4, 19] = 80
    assert expected(absent, possible, DATES, NOTHING, others=True)[4, 19] == pytest.approx(0.095)


def test_a_day_nobody_is_known_of_changes_nothing() -> None:
    absent, possible = school(*[9] * 20)
    gap_absent, gap_possible = np.insert(absent, 10, 0, axis=1), np.insert(possible, 10, 0, axis=1)
    assert expected(gap_absent, gap_possible, DATES, NOTHING)[0, 10:] == pytest.approx(0.095)
    assert expected(np.zeros((1, 3), dtype=int), np.zeros((1, 3), dtype=int), DATES).shape == (1, 3)
    assert expected(np.zeros((0, 3), dtype=int), np.zeros((0, 3), dtype=int), DATES).shape == (0, 3)


def test_one_day_however_bad_tells_the_next_no_more_than_so_much() -> None:
    closed, possible = school(*[9] * 10, 99, 9)
    bad, _ = school(*[9] * 10, 60, 9)
    assert odds(0.605) - odds(0.095) > MOST
    assert np.array_equal(expected(closed, possible, DATES, NOTHING), expected(bad, possible, DATES, NOTHING))


def test_it_is_nearer_than_the_mean_of_the_last_twenty_days(capsys: pytest.CaptureFixture[str]) -> None:
    """NYC (facts.md, sec. 2): mean of 20 days, error 2.87 points and R² .71; with the calendar 2.58 and .756; with the city's day 2.00 and .847.
    A made-up district of twelve schools; its own bad days and the sampling of 450 students can't be foreseen."""
    found: dict[str, list[tuple[float, float]]] = {
        "mean of 20 days": [],
        "evening before": [],
        "with the other schools": [],
    }
    for seed in (51, 52):
        absent, possible, dates = _schools(seed)
        running = (
            np.cumsum(np.pad(absent, ((0, 0), (1, 0))), axis=1),
            np.cumsum(np.pad(possible, ((0, 0), (1, 0))), axis=1),
        )
        twenty = [(r[:, 20:-1] - r[:, :-21]) for r in running]
        shares = {
            "mean of 20 days": (twenty[0] + 0.5) / (twenty[1] + 1),
            "evening before": expected(absent, possible, dates)[:, 20:],
            "with the other schools": expected(absent, possible, dates, others=True)[:, 20:],
        }
        a, n = absent[:, 20:], possible[:, 20:]
        x = log_odds(a, n)
        for name, p in shares.items():
            left = ((x - np.log(p / (1 - p))) ** 2).sum() / ((x - x.mean()) ** 2).sum()
            found[name].append((100 * float(np.abs(p - a / n).mean()), 1 - float(left)))
    error, fit = ({name: np.mean([v[k] for v in values]) for name, values in found.items()} for k in (0, 1))
    with capsys.disabled():
        print("\n" + "; ".join(f"{name}: {error[name]:.2f} points, R² {fit[name]:.3f}" for name in found))
    assert error["evening before"] < 0.93 * error["mean of 20 days"]
    assert error["with the other schools"] < error["evening before"]
    assert fit["mean of 20 days"] < fit["evening before"] - 0.03 < fit["with the other schools"] - 0.06


def _schools(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    absent, possible = [], []
    for s in simulate(students=8000, seed=seed, today=date(2026, 6, 12)):
        column = np.arange(s.settings[1].through)
        here = (column >= s.cluster.first[1][:, None]) & (column < s.cluster.last[1][:, None])
        for k in range(len(s.cluster.schools)):
            at = s.cluster.school[1] == k
            absent.append((s.years[1].whole & here)[at].sum(axis=0))
            possible.append(here[at].sum(axis=0))
    dates = np.array(s.settings[1].calendar.school_days[: s.settings[1].through], dtype="datetime64[D]")
    return np.array(absent), np.array(possible), dates
