"""The course of a year: weeks, the usual, the change, the decisions; and its picture."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils.translation import override

from firstbell import clock
from firstbell.access.models import Role
from firstbell.desk.gridsvg import strip_svg, year_svg, year_table
from firstbell.register.models import Calendar, School
from firstbell.signals.metrics import Attendance
from firstbell.watch.course import course
from firstbell.watch.models import Alert
from firstbell.watch.passes import run_pass
from firstbell.watch.record import student_record
from firstbell.watch.verdicts import give_verdict, undo_verdict
from firstbell.watch.words import alert_days
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = pytest.mark.django_db
FRIDAY = FIRST_MONDAY + timedelta(days=7 * 5 + 4)


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(clock, "now", lambda: datetime(FRIDAY.year, FRIDAY.month, FRIDAY.day, 22, tzinfo=UTC))
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=8, covered=FRIDAY)


def test_each_week_is_its_missed_of_its_possible_days(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPUPP PUUPP PPPPP PPPPP PPPPP EEEEE")
    record = student_record(ana)
    weeks = course(record, record.years[0]).weeks
    assert [w.missed for w in weeks] == [
        Attendance(1, 5), Attendance(2, 5), Attendance(0, 5), Attendance(0, 5), Attendance(0, 5), Attendance(5, 5),
    ]  # fmt: skip
    assert weeks[1].monday == FIRST_MONDAY + timedelta(days=7)


def test_the_usual_lies_between_the_students_own_past_and_the_groups(calendar: Calendar, school: School) -> None:
    for n in range(20):
        draw(calendar, a_student(school, f"Kid{n}"), "PPPPP PPPPP PPPPP PPPPP PPPPP PPPPP")
    ana = a_student(school)
    draw(calendar, ana, "UPPPP UPPPP PPPPP PPPPP PPPPP PPPPP")
    record = student_record(ana)
    usual = course(record, record.years[0]).usual
    assert usual is not None
    assert 0.01 < usual < 0.2
    assert course(record, record.years[0]).usual_one_in == round(1 / usual)


def test_a_break_that_stands_is_where_its_first_day_lies(calendar: Calendar, school: School) -> None:
    for n in range(20):
        draw(calendar, a_student(school, f"Kid{n}"), "PPPPP PPPPP PPPPP PPPPP PPPPP PPPPP")
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PUUPU UPUPU")
    run_pass()
    record = student_record(ana)
    alert = Alert.objects.system("test").get(student=ana, kind="break")
    assert course(record, record.years[0]).changed == alert_days(alert)[0][0]


def test_a_decision_stands_on_its_day_until_it_is_taken_back(calendar: Calendar, school: School) -> None:
    ana, olive = a_student(school), a_user(Role.OFFICER, school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    alert = Alert.objects.system("test").get(student=ana, kind="streak")
    verdict = give_verdict(olive, alert, "act", "Called.", version=alert.version)
    record = student_record(ana)
    assert [s.on for s in course(record, record.years[0]).steps] == [FRIDAY]
    undo_verdict(olive, verdict)
    record = student_record(ana)
    assert course(record, record.years[0]).steps == ()


def test_as_known_on_a_past_day_nothing_of_later_is_drawn(calendar: Calendar, school: School) -> None:
    ana, olive = a_student(school), a_user(Role.OFFICER, school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    alert = Alert.objects.system("test").get(student=ana, kind="streak")
    give_verdict(olive, alert, "act", "Called.", version=alert.version)
    record = student_record(ana, as_of=FRIDAY - timedelta(days=10))
    then = course(record, record.years[0])
    assert (then.usual, then.changed, then.steps) == (None, None, ())
    assert len(then.weeks) == 5


def test_the_picture_has_a_square_a_day_its_letters_and_a_ring_a_highlight(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPUPP PTPPP")
    year = student_record(ana).years[0]
    picture = year_svg(year.codes, year.letters, year.dates, 1, year.through, {FIRST_MONDAY + timedelta(days=2)})
    assert picture.count('class="sq sq-U"') == 1
    assert picture.count('class="sq sq-T"') == 1
    assert picture.count("mark-ring") == 1
    assert picture.count('class="sq-out"') == 10  # two weeks to come
    months = year_table(year.letters, year.dates, year.through)
    assert [(d, letter) for _month, rows in months for d, letter, _words in rows] == [
        (FIRST_MONDAY + timedelta(days=2), "U"),
        (FIRST_MONDAY + timedelta(days=8), "T"),
    ]


def test_right_to_left_the_first_week_is_on_the_right(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "UPPPP")
    year = student_record(ana).years[0]

    def place(rtl: bool) -> float:
        picture = year_svg(year.codes, year.letters, year.dates, 1, year.through, rtl=rtl)
        return float(picture.split('class="sq sq-U" x="')[1].split('"')[0])

    assert place(rtl=True) > place(rtl=False)


def test_the_strip_says_its_days_away_in_words_too() -> None:
    dates = [FIRST_MONDAY + timedelta(days=n) for n in range(5)]
    assert "last 5 school days: away on 2" in strip_svg("PUPEP", dates)
    assert strip_svg("", []) == ""


@pytest.mark.parametrize(("language", "first"), [("en", "Aug"), ("ar", "سبتمبر")])
def test_a_months_name_that_would_run_into_the_next_is_left_out(language: str, first: str) -> None:
    """Two weeks of August are wide enough for its name in English, and not in Arabic."""
    days = [day for n in range(40) if (day := date(2026, 8, 17) + timedelta(days=n)).weekday() < 5]
    with override(language):
        picture = str(year_svg("P" * len(days), "P" * len(days), days, 1, len(days)))
    assert re.findall(r'<text class="month"[^>]*>([^<]*)</text>', picture)[0] == first
