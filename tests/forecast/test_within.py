"""Lines whose days count together in less than a year: by hand, against every possible course of the days, and against the year's own."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.forecast.evidence import ADDED, COUNTED, EXCUSED, NOT_POSSIBLE, PART, PENDING, PRESENT
from firstbell.forecast.forecasts import NO_BARS, Band, Forecasts, forecast
from firstbell.forecast.judging import calibration_slope
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Learned
from firstbell.forecast.lines import YEAR_END, Counted, Line, UnknownLine, find_line
from firstbell.forecast.pooling import LEVELS
from firstbell.forecast.runs import LOG_RATES, NODES, SHARES, SPREAD, STAYS, row_table
from firstbell.forecast.training import ClosedYear, LayerTwo, learn_layer_one, learn_tempers, outcome
from firstbell.forecast.within import TooFar, courses, going_on, reach, standing
from firstbell.law.packs import Window
from tests.forecast.district import DATES, closed_years

KINDS = {"P": PRESENT, "E": EXCUSED, "U": COUNTED, "N": PENDING, "T": PART, " ": NOT_POSSIBLE}


def line(days: int, kind: str, length: int | None = None, broken_by: str = "attendance") -> Line:
    return Line(Counted.UNEXCUSED, "a line", days, window=Window(kind=kind, length=length, broken_by=broken_by))  # type: ignore[arg-type]


def days(*rows: str) -> np.ndarray:
    return np.array([[KINDS[letter] for letter in row] for row in rows], dtype=np.uint8)


class TestByHand:
    def test_in_a_row_until_a_day_in_school(self) -> None:
        #                    U  U  E  U  N  U  P  U  ' ' U  T  U
        told = standing(line(5, "consecutive"), days("UUEUNUPU UTU"), DATES)
        assert told[0].tolist() == [1, 2, 2, 3, 3, 4, 0, 1, 1, 2, 0, 1]

    def test_in_a_row_until_any_other_day(self) -> None:
        told = standing(line(5, "consecutive", broken_by="any_other_day"), days("UUEUNUPU UTU"), DATES)
        assert told[0].tolist() == [1, 2, 0, 1, 0, 1, 0, 1, 1, 2, 0, 1]

    def test_a_day_without_a_reason_may_still_belong_to_the_run(self) -> None:
        rows = days("PUUN", "PUNU", "UUUP", "UEUN")
        assert going_on(line(5, "consecutive", broken_by="any_other_day"), rows).tolist() == [3, 3, 0, 2]
        assert standing(line(5, "consecutive", broken_by="any_other_day"), rows, DATES)[:, -1].tolist() == [0, 1, 0, 0]

    def test_a_month_begins_anew(self) -> None:
        # DATES begin on Monday, 18 August 2025: the tenth school day is Friday the 29th, the eleventh 1 September
        told = standing(line(4, "calendar_month"), days("UPPPPPPPUUUP"), DATES)
        assert told[0].tolist() == [1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 1, 1]

    def test_old_days_leave_a_window_that_slides(self) -> None:
        # seven calendar days: Monday the 18th counts through Sunday the 24th
        told = standing(line(4, "rolling_calendar_days", 7), days("UUPPPPPU"), DATES)
        assert told[0].tolist() == [1, 2, 2, 2, 2, 1, 0, 1]
        told = standing(line(4, "rolling_school_days", 3), days("UUPPPPPU"), DATES)
        assert told[0].tolist() == [1, 2, 2, 1, 0, 0, 0, 1]


@given(
    st.lists(st.sampled_from("PPPUUEN "), min_size=1, max_size=60), st.sampled_from(["calendar_month", "rolling_calendar_days", "rolling_school_days"]),
    st.integers(1, 40),
)  # fmt: skip
def test_what_counts_is_what_a_slow_reader_finds(letters: list[str], kind: str, length: int) -> None:
    some: list[date] = DATES[: len(letters)].tolist()
    told = standing(line(3, kind, None if kind == "calendar_month" else length), days("".join(letters)), DATES)
    for d, today in enumerate(some):
        if kind == "calendar_month":
            mine = [x for x in range(d + 1) if (some[x].year, some[x].month) == (today.year, today.month)]
        elif kind == "rolling_calendar_days":
            mine = [x for x in range(d + 1) if some[x] > today - timedelta(days=length)]
        else:
            mine = list(range(max(d + 1 - length, 0), d + 1))
        assert told[0, d] == sum(letters[x] == "U" for x in mine)


# -- against every course the days could take ----------------------------------------------------------------------------


def every_course(rate: float, stay: float, ahead: int, state: int, spread: float = SPREAD):  # type: ignore[no-untyped-def]
    """(chance, days counted or not) of each of the 2^days courses, over the spread of the rate. From 2 a student comes back on some day, and begins."""
    if state == 2:
        yield stay**ahead, (0,) * ahead
        for away in range(ahead):
            for chance, course in every_course(rate, stay, ahead - away - 1, 0, spread):
                yield stay**away * (1 - stay) * chance, (0,) * (away + 1) + course
        return
    for node, share in zip(NODES, SHARES, strict=True):
        begin = min(rate * np.exp(spread * node - spread**2 / 2), 0.95)
        for course in product((0, 1), repeat=ahead):
            chance, now = share, state
            for day in course:
                into = stay if now else begin
                chance *= into if day else 1 - into
                now = day
            yield chance, course


@pytest.mark.parametrize("state", [0, 1, 2])
@pytest.mark.parametrize("more", [1, 2, 3])
def test_the_table_of_days_in_a_row_is_the_sum_over_every_course(state: int, more: int) -> None:
    a, b, enough = 40, 6, 3
    expected = 0.0
    for chance, course in every_course(float(np.exp(LOG_RATES[a])), float(STAYS[b]), 6, state):
        run, reached = enough - more if state == 1 else 0, False
        for day in course:
            run = run + 1 if day else 0
            reached = reached or run >= enough
        expected += chance * reached
    assert row_table(6, enough)[state, more, a, b] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("state", [0, 1, 2])
@pytest.mark.parametrize(
    ("settled", "gone", "anew"),
    [
        (0, [0, 0, 0, 0, 0], []), (2, [0, 0, 0, 0, 0], []), (2, [0, 1, 1, 2, 2], []), (2, [0, 0, 0, 0, 0], [2]), (1, [0, 0, 0, 0, 0], [0]),
        (2, [0, 0, 0, 0, 0], [1, 3]),
    ],
)  # fmt: skip
def test_the_chance_of_a_window_is_the_sum_over_every_course(
    state: int, settled: int, gone: list[int], anew: list[int]
) -> None:
    enough, rate, stay = 3, 0.08, 0.6
    expected = 0.0
    for chance, course in every_course(rate, stay, 5, state, spread=0.0):
        new, old, reached = 0, settled, False
        for d, day in enumerate(course):
            if d in anew:
                new, old = 0, 0
            new += day
            left = max(settled - gone[d], 0) if old else 0
            reached = reached or left + new >= enough
        expected += chance * reached
    begins = np.zeros(5, dtype=np.bool_)
    begins[anew] = True
    assert courses(rate, stay, enough, settled, np.array(gone), begins)[state, 0] == pytest.approx(
        expected, rel=1e-6
    )  # SHARES has seven places


def test_marks_not_settled_are_weighed_with_the_days_to_come() -> None:
    """Two days of three in the window; a third, of a spell that is over, counts with a chance of a quarter; one day is still to come."""
    sure, added = np.zeros((1, 1, len(LEVELS))), np.zeros((1, ADDED))
    sure[0, 0, 14], added[0, :2] = 1, (0.75, 0.25)
    out, already = np.zeros((1, 1)), np.zeros(1)
    none = np.zeros(1)
    reach(
        LEVELS, sure, none, np.array([0.6]), none, none, none, added, np.array([2.0]), np.zeros((1, 1), dtype=np.int64), np.zeros(1, dtype=np.bool_),
        np.array([0]), 3, out, already,
    )  # fmt: skip
    begins = sum(
        share * min(np.exp(LEVELS[14] + SPREAD * node - SPREAD**2 / 2), 0.95)
        for node, share in zip(NODES, SHARES, strict=True)
    )
    assert already[0] == pytest.approx(0.25)
    assert out[0, 0] == pytest.approx(0.25 + 0.75 * begins, rel=0.01)  # looked up between rates


# -- of a whole district -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def district() -> list[ClosedYear]:
    return closed_years(schools=4, students=500)


@pytest.fixture(scope="module")
def learned(district: list[ClosedYear]) -> dict[Counted, Learned]:
    return {c: learn_layer_one(district, c) for c in Counted}


@pytest.fixture(scope="module")
def two(district: list[ClosedYear], learned: dict[Counted, Learned]) -> LayerTwo:
    return LayerTwo({}, {}, {}, learn_tempers(district, learned))


def asked(known: Known, of: Line, horizon: int, learned: dict[Counted, Learned], two: LayerTwo) -> Forecasts:
    return forecast(known, of, horizon, learned[of.counted], *two.of(of, horizon))


def test_a_window_longer_than_the_year_is_the_year(district: list[ClosedYear], learned: dict[Counted, Learned]) -> None:
    for known in district[0].known[4:12:3]:
        year, window = (
            forecast(known, of, 10, learned[of.counted], None, NO_BARS)
            for of in (Line(Counted.UNEXCUSED, "", days=5), line(5, "rolling_calendar_days", 400))
        )
        assert (year.count == window.count).all()
        assert (np.isnan(year.chance) == np.isnan(window.chance)).all()
        some = ~np.isnan(year.chance)
        assert (
            np.abs(year.chance - window.chance)[some].max() < 0.01
        )  # the year's are looked up between the rates of a table


@pytest.mark.parametrize(
    ("of", "horizon"),
    [
        (line(3, "consecutive"), 10), (line(4, "consecutive", broken_by="any_other_day"), YEAR_END), (line(3, "calendar_month"), 10),
        (line(4, "calendar_month"), YEAR_END), (line(5, "rolling_calendar_days", 90), 20),
    ],
)  # fmt: skip
def test_tempered_chances_are_as_often_true_as_they_say(
    of: Line, horizon: int, learned: dict[Counted, Learned], two: LayerTwo
) -> None:
    p, y = [], []
    for year in closed_years(schools=4, students=500, seed=5):
        for known in year.known[5:-3]:
            f, (reached, already) = asked(known, of, horizon, learned, two), outcome(year, known, of, horizon)
            some = ~np.isnan(f.chance) & ~already
            p.append(f.chance[some])
            y.append(reached[some])
    chance, came = np.concatenate(p), np.concatenate(y)
    assert came.sum() > 100
    assert 0.8 < chance.sum() / came.sum() < 1.25
    assert 0.75 < calibration_slope(came, chance) < 1.33  # what a backtest asks of a forecast to be offered


def test_who_stands_at_the_line_is_said_to(
    district: list[ClosedYear], learned: dict[Counted, Learned], two: LayerTwo
) -> None:
    of = line(2, "consecutive")
    known = district[0].known[8]
    f = asked(known, of, 10, learned, two)
    now = standing(of, known.kinds[Counted.UNEXCUSED], known.dates)[:, -1] >= 2
    assert now.any()
    assert ((f.band == Band.REACHED) == now).all()
    assert (f.needed[~now] == 2 - f.count[~now]).all()


def test_so_far_ahead_that_the_days_to_come_would_leave_again_is_refused(
    district: list[ClosedYear], learned: dict[Counted, Learned], two: LayerTwo
) -> None:
    of = line(3, "rolling_school_days", 12)
    known = district[0].known[5]
    asked(known, of, 12, learned, two)
    with pytest.raises(TooFar, match="12 school days at most"):
        asked(known, of, 13, learned, two)


class TestRulesOfTheLaw:
    @pytest.mark.parametrize(
        ("pack", "rule", "days", "window"),
        [
            ("gb-eng", "ENG-7-10", 10, "consecutive"), ("us-il", "IL-4-15", 15, "consecutive"), ("us-co", "CO-1-month", 4, "calendar_month"),
            ("us-fl", "FL-2-90", 10, "rolling_calendar_days"), ("us-in", "IN-1", 5, "rolling_calendar_days"),
            ("us-in", "IN-3-k6", 11, "school_year"), ("us-fl", "FL-5-petition", 16, "rolling_calendar_days"),
        ],
    )  # fmt: skip
    def test_a_rule_is_asked_about_as_it_stands(self, pack: str, rule: str, days: int, window: str) -> None:
        of = find_line(pack, rule)
        assert (of.counted, of.days, of.window.kind) == (Counted.UNEXCUSED, days, window)

    @pytest.mark.parametrize(
        ("pack", "rule"), [("us-ma", "MA-5"), ("us-il", "IL-2"), ("gb-eng", "ENG-3"), ("nl", "NL-1")]
    )
    def test_what_it_cannot_see_it_refuses(self, pack: str, rule: str) -> None:
        with pytest.raises(UnknownLine, match="in a row, in a month"):
            find_line(pack, rule)

    def test_more_than_a_share_is_not_at_it(self) -> None:
        tenth = Line(Counted.ABSENT, "", share=find_line("example", "chronic-absence").share, above=True)
        assert tenth.reached_at(np.array([175, 180, 181])).tolist() == [18, 19, 19]
