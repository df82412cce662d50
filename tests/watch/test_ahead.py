"""Lines ahead: exact where a student stands, the simple rule until a forecast has beaten it, alerts that keep their reasons."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstbell import clock
from firstbell.forecast.forecasts import Band
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.model import Model, code_version
from firstbell.forecast.training import collect, fit_layer_two, learn_layer_one
from firstbell.law.whom import Person
from firstbell.register import rows
from firstbell.register.models import Calendar, Enrolment, School, Student
from firstbell.watch import asof, backtests, live, verdicts
from firstbell.watch.ahead import RAISED, Forecaster, Position, page_lines, positions
from firstbell.watch.forecasting import shelf
from firstbell.watch.history import LastYear, last_year, last_year_of
from firstbell.watch.learning import stale, tonight
from firstbell.watch.lines import Lines
from firstbell.watch.models import Alert, CalendarSummary, Verdict
from firstbell.watch.passes import Around, evaluate, run_pass
from firstbell.watch.registers import known_now
from firstbell.watch.treated import TREATED_DAYS
from firstbell.watch.words import alert_days, sentence
from tests.build import FIRST_MONDAY, a_calendar, a_district, a_school, a_student, a_user, draw, mark
from tests.forecast.district import closed_years
from tests.watch.scene import FRIDAY, a_year_of, on

pytestmark = pytest.mark.django_db
TEN = find_line("example", "ten-unexcused-days")
LATELY = "UUUPP PPPPP PPPPP PPPPP PPPPP PPUUU"  # six, the last three now
LONG_AGO = "UUUUU UUPPP PPPPP PPPPP PPPPP PPPPP"  # seven, more than twenty days ago
SEVEN = "UUUUP PPPPP PPPPP PPUPP PUPPP PUPPP"


@pytest.fixture
def calendar(school: School, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    on(monkeypatch, FRIDAY)
    return a_year_of(school, 20)


@pytest.fixture(scope="module")
def model() -> Model:
    years = closed_years(schools=4, every=5)  # a look a week, as in a district
    learned = {c: learn_layer_one(years, c) for c in Counted}
    two = fit_layer_two(collect(years, [TEN], learned, horizons=(10,)), 1000)
    return Model(learned, two, (2026,), "2026-08-01", "2026-08-01T04:00:00+00:00", code_version(), 1000, {})


def report(*, offered: bool = True, code: str = "") -> dict[str, Any]:
    steps = [{"upto": upto, "rows": 100, "reached": 0, "share": upto / 2} for upto in (0.1, 0.4, 1.0)]
    verdict = {"verdict": {"offered": offered, "why": "beats"}, "steps": steps}
    return {
        "made_at": clock.now().isoformat(), "code": code or code_version(), "questions": {RAISED: {"10": verdict}},
    }  # fmt: skip


@pytest.fixture
def offered(model: Model, calendar: Calendar) -> None:
    """A model is in use, and the backtest of this version lets it speak."""
    shelf().keep(model)
    backtests.keep(report())


def a_student_drawn(school: School, calendar: Calendar, squares: str, **more: Any) -> Student:
    student = a_student(school, **more)
    draw(calendar, student, squares)
    return student


def standing(student: Student) -> Alert | None:
    return Alert.objects.system("test").filter(student=student, kind="line_ahead", state="open").first()


def stands(school: School, calendar: Calendar, student: Student) -> list[Position]:
    grid = rows.school_grid(calendar)
    around = Around.of(calendar.school_year)
    return positions(
        grid,
        known_now(grid, 30, around.last_year, around.elsewhere.stays(grid.student_ids)),
        student.pk,
        around.forecaster,
        page_lines(Lines(), Person()),
    )


class TestArithmetic:
    def test_where_a_student_stands_by_hand(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, "UUUEP PPNPP PPPPP PUPPP PPPPP PPPPN")
        ten, tenth = stands(school, calendar, ana)
        assert (ten.count, ten.unexplained, ten.room, ten.left) == (4, 2, 6, 30)
        assert ten.leaves == FIRST_MONDAY + timedelta(days=7 * 12 - 3)
        assert ten.days == tuple(FIRST_MONDAY + timedelta(days=n) for n in (0, 1, 2, 22))
        # seven days missed for any reason; a tenth of the year's sixty is six
        assert (tenth.count, tenth.room) == (7, 0)

    def test_a_tenth_of_the_whole_year_not_of_the_days_so_far(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, "EEEEP PPPPP PPPPP PPPPP PPPPP PPPPP")
        assert [(p.count, p.room) for p in stands(school, calendar, ana)] == [(0, 10), (4, 2)]

    def test_days_at_the_school_before_are_theirs_still(self, school: School, calendar: Calendar) -> None:
        other = a_school("Birch High")
        a_calendar(other, weeks=12, covered=FRIDAY)
        ana = a_student(other, ends=FIRST_MONDAY + timedelta(days=11))
        draw(other.calendars.get(), ana, "UUUUU")
        Enrolment.objects.system("t").create(
            student=ana, school=school, starts=FIRST_MONDAY + timedelta(days=14), grade="03"
        )
        mark(calendar, ana, FIRST_MONDAY + timedelta(days=15), "U")
        assert stands(school, calendar, ana)[0].count == 6

    def test_without_a_verdict_no_forecast_is_said(self, model: Model, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, LATELY)
        shelf().keep(model)
        assert stands(school, calendar, ana)[0].band is None
        backtests.keep(report(offered=False))
        assert stands(school, calendar, ana)[0].band is None
        backtests.keep(report(code="0.0.1+old"))
        assert stands(school, calendar, ana)[0].band is None
        backtests.keep(report())
        assert stands(school, calendar, ana)[0].band is not None

    def test_what_is_reached_has_no_forecast(self, offered: None, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, "UUUUU UUUUU")
        ten = stands(school, calendar, ana)[0]
        assert (ten.room, ten.band, ten.in_ten, ten.why) == (0, None, None, ())


class TestSimpleRule:
    """No forecast has been shown to beat it here: within three days of the line, and a counted day in the last twenty."""

    @pytest.mark.parametrize(
        ("register", "is_raised"),
        [
            (SEVEN, True),
            (SEVEN.replace("UUUU", "UUUP"), False),  # six
            (LONG_AGO, False),
            ("UUUUU UUUUP PPPPP PPUPP PPPPP PPPPP", False),  # ten: reached
            ("UUUUP PPPPP PPPPP PPNPP PNPPP PNPPP", False),  # nobody has said yet what these are
        ],
    )
    def test_near_the_line_and_lately(self, school: School, calendar: Calendar, register: str, is_raised: bool) -> None:
        ana = a_student_drawn(school, calendar, register)
        evaluate(calendar)
        assert (standing(ana) is not None) == is_raised

    def test_it_says_only_what_is_counted(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        evaluate(calendar)
        alert = standing(ana)
        assert alert is not None
        assert sentence(alert) == (
            "Ana has 7 unexcused days this year. At 10 a line of the law is reached: 3 days of room are left."
        )
        assert len(alert_days(alert)) == 7

    def test_it_stands_while_the_student_is_near_and_goes_when_a_day_is_explained(
        self, school: School, calendar: Calendar
    ) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        evaluate(calendar)
        for day, _letters in alert_days(Alert.objects.system("t").get(kind="line_ahead"))[-3:]:
            mark(calendar, ana, day, "E", recorded=clock.seconds(clock.now()))
        live.marks_changed(calendar, [ana.pk])
        assert standing(ana) is None
        assert Alert.objects.system("t").get(student=ana, kind="line_ahead").state == "withdrawn"


class TestForecastOffered:
    def test_an_alert_says_how_near_why_and_how_it_went_for_others(
        self, offered: None, school: School, calendar: Calendar
    ) -> None:
        ana = a_student_drawn(school, calendar, LATELY)
        calm = a_student_drawn(school, calendar, LONG_AGO, name="Calm")
        evaluate(calendar)
        alert = standing(ana)
        assert alert is not None
        assert alert.rule == RAISED
        words = sentence(alert)
        assert words.startswith(
            "Ana has 6 unexcused days this year. At 10 a line of the law is reached: 4 days of room"
        )
        assert "Away now, 3 days in a row." in words
        assert "Of students like this, " in words
        assert "chance" not in words
        assert "%" not in words
        assert standing(calm) is None  # seven days long ago: the count would have listed this one

    def test_the_words_are_those_of_the_share_that_came_true(
        self, offered: None, school: School, calendar: Calendar
    ) -> None:
        ana = a_student_drawn(school, calendar, LATELY)
        evaluate(calendar)
        alert = standing(ana)
        assert alert is not None
        here = stands(school, calendar, ana)[0]
        assert here.band is Band.ACT
        assert (here.in_ten, alert.usual_of) == (alert.usual_count, 10)
        assert alert.usual_count in (2, 5)  # halves of 0.4 and 1: the steps of this report

    def test_it_is_live(self, offered: None, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, LATELY.replace("PPUUU", "PPPPU"))
        evaluate(calendar)
        assert standing(ana) is None
        for n in (2, 3):
            mark(calendar, ana, FRIDAY - timedelta(days=4 - n), "U", recorded=clock.seconds(clock.now()))
        live.marks_changed(calendar, [ana.pk])
        by_mark = standing(ana)
        assert by_mark is not None
        said = (by_mark.count, by_mark.usual_count, by_mark.why, by_mark.days)
        Alert.objects.system("t").all().delete()
        run_pass()
        by_night = standing(ana)
        assert by_night is not None
        assert (by_night.count, by_night.usual_count, by_night.why, by_night.days) == said

    def test_reaching_the_line_withdraws_it(self, offered: None, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, LATELY)
        evaluate(calendar)
        for n in range(5):
            mark(calendar, ana, FIRST_MONDAY + timedelta(days=7 + n), "U", recorded=clock.seconds(clock.now()))
        evaluate(calendar)
        assert standing(ana) is None

    def test_an_alert_stands_through_a_doubt_that_would_not_raise_it(
        self, offered: None, school: School, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ana = a_student_drawn(school, calendar, LATELY)
        evaluate(calendar)
        on(monkeypatch, FRIDAY + timedelta(days=5))  # the next Wednesday: their marks of three days have not come
        draw(calendar, ana, " " * 30)
        Calendar.objects.filter(pk=calendar.pk).update(covered_through=FRIDAY)
        calendar.refresh_from_db()
        rows.refold(calendar)
        evaluate(calendar)
        assert standing(ana) is not None

    def test_a_model_of_later_marks_is_not_asked_about_an_earlier_day(self, offered: None) -> None:
        assert Forecaster.now(date(2026, 8, 1)).model is not None
        assert Forecaster.now(date(2026, 7, 31)).model is None

    def test_a_broken_model_file_leaves_the_simple_rule(
        self, offered: None, school: School, calendar: Calendar, home: Path
    ) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        for file in (home / "models").glob("*.json*"):
            file.write_bytes(b"{")
        (home / "models" / "current").write_text("77")
        run_pass()
        alert = standing(ana)
        assert alert is not None
        assert alert.usual_of == 0


class TestLastYear:
    @pytest.fixture
    def then(self, school: School, monkeypatch: pytest.MonkeyPatch) -> Calendar:
        """Last year's calendar, over."""
        return a_calendar(school, weeks=30, covered=date(2026, 6, 30), start=date(2025, 9, 1))

    def test_days_missed_are_those_the_signals_count(self, school: School, then: Calendar, calendar: Calendar) -> None:
        ana = a_student(school, starts=date(2025, 9, 1))
        draw(then, ana, "UUEPP PPNPP TPPPP")
        last = last_year(calendar.school_year)
        assert [x.tolist() for x in last.attendance(np.array([ana.pk, 999_999]))] == [[4, 0], [150, 0]]
        before = last.before(np.array([ana.pk]))[Counted.UNEXCUSED]
        # of four absences two were unexcused; the one nobody explained is not called so
        assert (before.counted[0], before.ended[0]) == (2, 4)

    def test_a_late_correction_reaches_it_the_next_night(
        self, school: School, then: Calendar, calendar: Calendar
    ) -> None:
        ana = a_student(school, starts=date(2025, 9, 1))
        draw(then, ana, "UUEPP")
        last_year(calendar.school_year)
        kept = CalendarSummary.objects.get(calendar=then)
        last_year(calendar.school_year)
        assert CalendarSummary.objects.get(calendar=then).folds == kept.folds
        mark(then, ana, date(2025, 9, 1), "P", recorded=clock.seconds(clock.now()))
        by_night = last_year_of(calendar.school_year, [ana.pk]).attendance(np.array([ana.pk]))
        assert by_night[0].tolist() == [3]  # live: as last night left it
        assert last_year(calendar.school_year).attendance(np.array([ana.pk]))[0].tolist() == [2]
        assert last_year_of(calendar.school_year, [ana.pk]).attendance(np.array([ana.pk]))[0].tolist() == [2]

    def test_before_any_night_it_is_summed_up_on_the_spot(
        self, school: School, then: Calendar, calendar: Calendar
    ) -> None:
        ana = a_student(school, starts=date(2025, 9, 1))
        draw(then, ana, "UUEPP")
        assert CalendarSummary.objects.count() == 0
        assert last_year_of(calendar.school_year, [ana.pk]).attendance(np.array([ana.pk]))[0].tolist() == [3]

    def test_two_schools_last_year_are_one_student(self, school: School, then: Calendar, calendar: Calendar) -> None:
        other = a_school("Birch High")
        theirs = a_calendar(other, weeks=30, covered=date(2026, 6, 30), start=date(2025, 9, 1))
        ana = a_student(school, starts=date(2025, 9, 1), ends=date(2025, 9, 12))
        Enrolment.objects.system("t").create(student=ana, school=other, starts=date(2025, 9, 15), grade="03")
        draw(then, ana, "UUPPP PPPPP")
        mark(theirs, ana, date(2025, 9, 16), "E")
        absent, possible = last_year(calendar.school_year).attendance(np.array([ana.pk]))
        assert (absent.tolist(), possible.tolist()) == ([3], [150])

    def test_nobody_was_here_last_year(self, calendar: Calendar) -> None:
        last = last_year(calendar.school_year)
        assert last.before(np.array([1, 2])) == {}
        assert LastYear.nothing().attendance(np.array([1, 2]))[1].tolist() == [0, 0]


def test_twenty_days_after_somebody_acted_are_left_out_of_learning_and_judging(
    school: School, calendar: Calendar
) -> None:
    ana, ben = a_student_drawn(school, calendar, SEVEN), a_student_drawn(school, calendar, SEVEN, name="Ben")
    evaluate(calendar)
    officer = a_user(school=school)
    for student, decision in ((ana, Verdict.Decision.ACT), (ben, Verdict.Decision.NO_CONCERN)):
        alert = standing(student)
        assert alert is not None
        verdicts.give_verdict(officer, alert, decision, "We spoke.", version=alert.version)
    Verdict.objects.system("t").update(given_at=datetime(2026, 9, 10, 15, tzinfo=UTC))  # the ninth school day
    schools = asof.schools_of(calendar.school_year)
    (year,) = asof.closed_year(calendar.school_year, schools, LastYear.nothing(), FRIDAY + timedelta(days=200))
    out = {int(s): np.flatnonzero(year.left_out[i]).tolist() for i, s in enumerate(year.student)}
    assert len(out[ana.pk]) == TREATED_DAYS
    assert out[ana.pk][0] in (8, 9)
    assert out[ben.pk] == []


class TestLearning:
    """Two hours before the night's pass, when something is out of date."""

    def closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        school = a_school()
        a_calendar(school, weeks=30, start=date(2024, 9, 2), covered=date(2025, 6, 30))
        a_calendar(school, weeks=30, start=date(2025, 9, 1), covered=date(2026, 6, 30))

    def test_it_is_due_before_the_nightly_pass_while_something_is_stale(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed(monkeypatch)
        on(monkeypatch, date(2026, 7, 15), 6)  # one at night in Chicago
        assert tonight() is None
        on(monkeypatch, date(2026, 7, 15), 8)  # three
        assert tonight() == "learn:2026-07-15"
        on(monkeypatch, date(2026, 7, 15), 10)  # five: the pass has begun
        assert tonight() is None

    def test_without_a_closed_year_there_is_nothing_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        a_district()
        on(monkeypatch, FRIDAY, 8)
        assert not stale()
        assert tonight() is None

    def test_what_makes_it_stale(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        from dataclasses import replace

        self.closed(monkeypatch)
        on(monkeypatch, date(2026, 7, 15), 8)
        shelf().keep(replace(model, years=(2025, 2026)))
        assert stale()  # never judged
        backtests.keep(report())
        assert not stale()
        on(monkeypatch, date(2026, 8, 13), 8)
        assert stale()  # judged more than four weeks ago
        backtests.keep(report())
        assert not stale()
        backtests.keep(report(code="another"))
        assert stale()
        backtests.keep(report())
        shelf().keep(replace(model, years=(2025,)))
        assert stale()  # another year has closed since
        shelf().keep(replace(model, years=(2025, 2026), code="another"))
        assert stale()
