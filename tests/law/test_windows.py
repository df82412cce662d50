"""Which days count together, by the words of each window. Worked by hand from law.md § 2 and § 3."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from firstbell.law.days import NotEvaluable
from firstbell.law.packs import Window
from firstbell.law.windows import Frame, bounds, fixed, months_before, periods, starts
from tests.law.draw import school_days

LABOR_DAY, THANKSGIVING = date(2026, 9, 7), [date(2026, 11, 26), date(2026, 11, 27)]
#: Monday 31 August 2026 to Friday 28 May 2027, with a fortnight at Christmas
CHRISTMAS = [date(2026, 12, 21) + timedelta(days=k) for k in range(12)]
TERMS = ((date(2026, 8, 31), date(2026, 12, 18)), (date(2027, 1, 4), date(2027, 5, 28)))
QUARTERS = (
    (date(2026, 8, 31), date(2026, 10, 30)), (date(2026, 11, 2), date(2027, 1, 15)),
    (date(2027, 1, 18), date(2027, 3, 26)), (date(2027, 3, 29), date(2027, 5, 28)),
)  # fmt: skip


def a_year(first: date, last: date, closed: list[date]) -> list[date]:
    return [d for d in school_days(first, 400, closed) if d <= last]


THIS = a_year(date(2026, 8, 31), date(2027, 5, 28), [LABOR_DAY, *THANKSGIVING, *CHRISTMAS])
LAST = a_year(date(2025, 9, 1), date(2026, 7, 17), [])


def a_frame(*years: list[date], terms: tuple[tuple[date, date], ...] = TERMS) -> Frame:
    days = [d for year in years for d in year]
    of = [2027 - len(years) + k for k, year in enumerate(years) for _ in year]
    return Frame(np.array(days, dtype="datetime64[D]"), np.array(of, dtype=np.int64), {2026: terms})


def first_counted(kind: str, at: date, frame: Frame | None = None, **window: Any) -> date | None:
    """The first school day that counts together with day `at`; None where none does."""
    frame = frame or a_frame(THIS)
    column = int(starts(Window(kind=kind, **window), frame, np.array([at], dtype="datetime64[D]"))[0])
    return frame.day(column) if column < len(frame.dates) and frame.day(column) <= at else None


def test_a_school_year_begins_with_its_first_school_day_and_holds_through_the_summer() -> None:
    frame = a_frame(LAST, THIS)
    assert first_counted("school_year", date(2027, 5, 28), frame) == date(2026, 8, 31)
    assert first_counted("school_year", date(2026, 7, 17), frame) == date(2025, 9, 1)
    assert first_counted("school_year", date(2026, 8, 30), frame) == date(2025, 9, 1)
    assert bounds(Window(kind="school_year"), frame, date(2026, 10, 1)) == (date(2026, 8, 31), date(2027, 5, 28))


def test_a_calendar_month_begins_on_its_first_whether_or_not_that_is_a_school_day() -> None:
    assert first_counted("calendar_month", date(2026, 9, 30)) == date(2026, 9, 1)
    assert first_counted("calendar_month", date(2026, 8, 31)) == date(2026, 8, 31)
    assert first_counted("calendar_month", date(2026, 11, 2)) == date(2026, 11, 2)  # the first was a Sunday
    assert first_counted("calendar_month", date(2026, 11, 1)) is None
    assert first_counted("calendar_month", date(2027, 1, 3)) is None  # school begins on the fourth
    assert bounds(Window(kind="calendar_month"), a_frame(THIS), date(2027, 2, 10)) == (
        date(2027, 2, 1),
        date(2027, 2, 28),
    )


def test_the_february_of_a_leap_year_has_its_29th() -> None:
    leap = a_frame(a_year(date(2027, 9, 1), date(2028, 5, 26), []))
    assert bounds(Window(kind="calendar_month"), leap, date(2028, 2, 29)) == (date(2028, 2, 1), date(2028, 2, 29))
    assert first_counted("rolling_months", date(2028, 2, 29), leap, length=1) == date(
        2028, 1, 31
    )  # the 30th is a Sunday
    assert first_counted("rolling_months", date(2028, 3, 29), leap, length=1) == date(2028, 3, 1)
    assert first_counted("rolling_calendar_days", date(2028, 3, 1), leap, length=2) == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("at", "months", "before"),
    [
        (date(2026, 10, 15), 6, date(2026, 4, 15)),
        (date(2026, 8, 31), 6, date(2026, 2, 28)),
        (date(2024, 8, 31), 6, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2027, 1, 31), 1, date(2026, 12, 31)),
        (date(2027, 3, 31), 13, date(2026, 2, 28)),
    ],
)
def test_so_many_months_before_a_day_is_the_same_day_or_the_last_of_its_month(
    at: date, months: int, before: date
) -> None:
    assert months_before(at, months) == before


def test_within_six_months_is_to_the_day() -> None:
    frame = a_frame(a_year(date(2026, 1, 5), date(2026, 12, 18), []))
    assert first_counted("rolling_months", date(2026, 10, 15), frame, length=6) == date(2026, 4, 16)
    assert first_counted("rolling_months", date(2026, 8, 31), frame, length=6) == date(
        2026, 3, 2
    )  # the 1st is a Sunday
    assert bounds(Window(kind="rolling_months", length=6), frame, date(2026, 10, 15)) == (
        date(2026, 4, 16),
        date(2026, 10, 15),
    )


def test_ninety_calendar_days_are_the_day_and_the_89_before_it() -> None:
    at = date(2027, 1, 8)
    assert at - timedelta(days=89) == date(2026, 10, 11)  # a Sunday
    assert first_counted("rolling_calendar_days", at, length=90) == date(2026, 10, 12)
    assert first_counted("rolling_calendar_days", date(2027, 1, 9), length=90) == date(2026, 10, 12)
    assert first_counted("rolling_calendar_days", date(2027, 1, 11), length=90) == date(2026, 10, 14)
    assert bounds(Window(kind="rolling_calendar_days", length=90), a_frame(THIS), at) == (date(2026, 10, 11), at)


def test_four_weeks_hold_the_28_days_to_the_day_and_slide_through_holidays() -> None:
    assert first_counted("rolling_calendar_days", date(2026, 12, 18), length=28) == date(
        2026, 11, 23
    )  # 21st: a Saturday
    assert first_counted("rolling_calendar_days", date(2027, 1, 4), length=28) == date(2026, 12, 8)
    assert first_counted("rolling_calendar_days", date(2027, 1, 2), length=5) is None  # nothing but holidays


def test_so_many_school_days_are_counted_over_holidays() -> None:
    #   Thu 10, Wed 9, Tue 8, (Labor Day), Fri 4 September
    assert first_counted("rolling_school_days", date(2026, 9, 10), length=4) == date(2026, 9, 4)
    assert first_counted("rolling_school_days", date(2027, 1, 5), length=3) == date(2026, 12, 18)
    assert first_counted("rolling_school_days", date(2027, 1, 2), length=3) == date(2026, 12, 16)  # asked on a Saturday
    assert first_counted("rolling_school_days", date(2026, 9, 1), length=180) == date(2026, 8, 31)


def test_ten_school_weeks_skip_the_weeks_of_holidays() -> None:
    # the week of 4 January is the tenth after nine before Christmas: 19 Oct … 14 Dec
    assert first_counted("rolling_school_weeks", date(2027, 1, 4), length=10) == date(2026, 10, 19)
    assert first_counted("rolling_school_weeks", date(2027, 1, 8), length=10) == date(2026, 10, 19)
    # in the holidays the last school week is still the tenth
    assert first_counted("rolling_school_weeks", date(2026, 12, 30), length=10) == date(2026, 10, 12)
    # a week of three school days is a school week
    assert first_counted("rolling_school_weeks", date(2026, 12, 4), length=2) == date(2026, 11, 23)


def test_ten_school_weeks_span_the_summer_where_the_law_says_so() -> None:
    frame = a_frame(LAST, THIS)
    at = date(2026, 9, 4)  # the first week: nine more before the summer, back to 18 May
    assert first_counted("rolling_school_weeks", at, frame, length=10, across_years=True) == date(2026, 5, 18)
    assert first_counted("rolling_school_weeks", at, frame, length=10) == date(2026, 8, 31)


@pytest.mark.parametrize(
    ("kind", "length", "begins"),
    [
        ("rolling_calendar_days", 60, date(2026, 7, 7)),
        ("rolling_school_days", 10, date(2026, 7, 13)),
        ("rolling_months", 3, date(2026, 6, 5)),
        ("rolling_years", 1, date(2025, 9, 5)),
    ],
)
def test_a_sliding_window_ends_at_the_school_year_unless_it_reaches_across(
    kind: str, length: int, begins: date
) -> None:
    frame, at = a_frame(LAST, THIS), date(2026, 9, 4)
    assert first_counted(kind, at, frame, length=length, across_years=True) == begins
    assert first_counted(kind, at, frame, length=length) == date(2026, 8, 31)


def test_a_school_month_is_four_school_weeks_from_the_first_of_the_year() -> None:
    months = [first_counted("school_month", d, length=4) for d in THIS]
    assert list(dict.fromkeys(months))[:5] == [
        date(2026, 8, 31), date(2026, 9, 28), date(2026, 10, 26), date(2026, 11, 23), date(2027, 1, 4)
    ]  # fmt: skip
    window = Window(kind="school_month", length=4)
    assert bounds(window, a_frame(THIS), date(2026, 9, 28)) == (date(2026, 9, 28), date(2026, 10, 23))
    assert bounds(window, a_frame(THIS), date(2026, 12, 24)) == (date(2026, 11, 23), date(2026, 12, 18))
    assert bounds(window, a_frame(LAST, THIS), date(2026, 9, 28)) == (date(2026, 9, 28), date(2026, 10, 23))


def test_terms_semesters_and_quarters_are_those_of_the_calendar() -> None:
    assert first_counted("term", date(2026, 12, 18)) == date(2026, 8, 31)
    assert first_counted("term", date(2026, 12, 27)) is None  # between terms
    assert first_counted("term", date(2027, 1, 4)) == date(2027, 1, 4)
    assert first_counted("semester", date(2027, 5, 28)) == date(2027, 1, 4)
    by_quarter = a_frame(THIS, terms=QUARTERS)
    assert first_counted("semester", date(2027, 1, 15), by_quarter) == date(2026, 8, 31)
    assert first_counted("semester", date(2027, 4, 1), by_quarter) == date(2027, 1, 18)
    assert first_counted("quarter", date(2027, 4, 1), by_quarter) == date(2027, 3, 29)
    assert bounds(Window(kind="semester"), by_quarter, date(2026, 9, 9)) == (date(2026, 8, 31), date(2027, 1, 15))


def test_a_calendar_that_does_not_say_its_quarters_is_not_asked_for_them() -> None:
    with pytest.raises(NotEvaluable, match=r"when a quarter begins and ends: it has 2 terms"):
        first_counted("quarter", date(2026, 9, 9))
    with pytest.raises(NotEvaluable, match="when a term begins and ends"):
        periods("term", ())


def test_a_year_gone_by_that_nobody_divided_does_not_take_this_ones_quarters_away() -> None:
    both = a_frame(LAST, THIS)
    both.terms[2026] = QUARTERS
    assert first_counted("quarter", date(2027, 4, 1), both) == date(2027, 3, 29)
    assert first_counted("quarter", date(2026, 3, 2), both) is None
    del both.terms[2026]
    with pytest.raises(NotEvaluable, match=r"when a quarter begins and ends: it has 0 terms"):
        starts(Window(kind="quarter"), both, both.dates)


def test_consecutive_days_do_not_run_on_after_the_summer_unless_the_law_says_so() -> None:
    frame = a_frame(LAST, THIS)
    assert first_counted("consecutive", date(2026, 9, 4), frame) == date(2026, 8, 31)
    assert first_counted("consecutive", date(2026, 9, 4), frame, across_years=True) == date(2025, 9, 1)


def test_months_terms_and_years_begin_anew_and_windows_of_many_days_slide() -> None:
    anew = ["school_year", "since_enrolment", "calendar_month", "semester", "quarter", "term"]
    assert all(fixed(Window(kind=kind)) for kind in anew)
    assert fixed(Window(kind="school_month", length=4))
    assert fixed(Window(kind="rolling_calendar_days", length=1))  # each day by itself
    assert not fixed(Window(kind="rolling_calendar_days", length=28))
    assert not fixed(Window(kind="rolling_months", length=1))
    assert not fixed(Window(kind="rolling_years", length=1))
