"""The alerts follow the law the district has adopted: its lines, its words, one line a student, the same by night, live and as of a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import translation

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.adopting import agree, approve, end, propose, tell_watch, withdraw
from firstbell.casework.models import Adoption
from firstbell.forecast.lines import find_line
from firstbell.law.packs import Window
from firstbell.law.whom import Person
from firstbell.register.models import Calendar, Enrolment, School, Student
from firstbell.watch import backtests, live
from firstbell.watch.ahead import Forecaster, page_lines, told_how
from firstbell.watch.forecasting import shelf
from firstbell.watch.lines import Laws, Lines
from firstbell.watch.models import Alert, LawInForce
from firstbell.watch.passes import evaluate, run_pass
from firstbell.watch.verdicts import give_verdict
from firstbell.watch.words import sentence
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw, mark
from tests.casework.letters_scene import OVERLAY
from tests.watch.scene import FRIDAY, a_year_of, on
from tests.watch.test_ahead import model, report

pytestmark = [pytest.mark.django_db, pytest.mark.database]
__all__ = ["model"]
SEVEN = "UUUUP PPPPP PPPPP PPUPP PUPPP PUPPP"
#: two days and a late morning long ago, two parts of days in the last four weeks
TWO_LATELY = "PPPPP PPPPP PPPPP PUPPP PPPPP PPTPP"
EIGHT = "UUUPP PUUPP PPPPP PPPPP PPUPP PUUPP"


@pytest.fixture
def calendar(school: School, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    on(monkeypatch, FRIDAY)
    return a_year_of(school, 5)


def adopt(pack: str = "us-tx", overlay: str = "", starts: date = date(2026, 8, 1)) -> Adoption:
    rosa, tom = a_user(Role.DISTRICT_LEAD), a_user(Role.DISTRICT_LEAD)
    made = propose(rosa, pack, starts, overlay=overlay)
    approve(tom, made)
    made.refresh_from_db()
    return made


def stopped(adoption: Adoption, last: date | None = None) -> None:
    """One lead asks for it, another agrees."""
    rosa, tom = a_user(Role.DISTRICT_LEAD), a_user(Role.DISTRICT_LEAD)
    end(rosa, adoption, last, "not ours") if last else withdraw(rosa, adoption, "not ours")
    adoption.refresh_from_db()
    if adoption.stop_waits:
        agree(tom, adoption)


def a_student_drawn(
    school: School, calendar: Calendar, squares: str, *, born: date | None = None, **more: Any
) -> Student:
    student = a_student(school, **more)
    if born is not None:
        student.birth_date = born
        student.save()
    draw(calendar, student, squares)
    return student


def standing(student: Student) -> list[Alert]:
    return list(Alert.objects.system("test").filter(student=student, kind="line_ahead", state="open"))


def facts(alert: Alert) -> tuple[object, ...]:
    return alert.rule, alert.count, alert.of, alert.measure, alert.days, alert.why, alert.expires_on


class TestWhatIsSaid:
    def test_the_line_of_the_adopted_pack_in_its_words(self, school: School, calendar: Calendar) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, TWO_LATELY)
        evaluate(calendar)
        (alert,) = standing(ana)
        assert (alert.rule, alert.count, alert.of, alert.days) == ("us-tx/TX-W1", 2, 3, "2026-09-22U15T")
        words = sentence(alert)
        assert words == (
            '<bdi>Ana</bdi>: 2 days so far towards <q lang="en" dir="auto">3 days or parts of days without excuse in 4 weeks: tell the parents and ask for a '
            'meeting</q> (<bdi lang="en">Tex. Educ. Code § 25.095(b)</bdi>). 1 more such day reaches it. The oldest counted day leaves on '
            "20 October."
        )

    def test_a_name_is_never_markup(self, school: School, calendar: Calendar) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, TWO_LATELY, name="<b>Ana{}</b>")
        evaluate(calendar)
        assert sentence(standing(ana)[0]).startswith("<bdi>&lt;b&gt;Ana{}&lt;/b&gt;</bdi>: 2 days")

    @pytest.mark.parametrize("language", ["en", "es", "ar"])
    def test_a_page_of_them_asks_once_which_law_it_is(
        self, school: School, calendar: Calendar, language: str, django_assert_num_queries: Any
    ) -> None:
        adopt()
        for n in range(3):
            a_student_drawn(school, calendar, TWO_LATELY, name=f"Ana{n}")
        evaluate(calendar)
        some = list(Alert.objects.system("t").filter(kind="line_ahead").select_related("student"))
        assert len(some) == 3
        with django_assert_num_queries(1), translation.override(language):
            laws = Laws()
            assert all("25.095(b)" in sentence(alert, laws) for alert in some)

    def test_without_a_law_it_is_the_example_s_line(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        evaluate(calendar)
        assert [a.rule for a in standing(ana)] == ["example/ten-unexcused-days"]
        assert sentence(standing(ana)[0]).startswith("Ana has 7 unexcused days this year.")

    def test_a_share_is_asked_of_the_whole_year(
        self, school: School, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adopt("us-ga")
        later = FRIDAY + timedelta(days=28)
        on(monkeypatch, later)
        Calendar.objects.update(covered_through=later)
        calendar.refresh_from_db()
        ana = a_student_drawn(school, calendar, "PPPPP PPPPP PPPPP PPPPP PPPPP PPPPP PPPPP PPPPP EEPPP PPEEP")
        evaluate(calendar)
        (alert,) = standing(ana)
        # a tenth of sixty school days is six
        assert (alert.rule, alert.count, alert.of) == ("us-ga/GA-5", 4, 6)
        assert "2 more reach it by the year’s end." in sentence(alert)

    def test_a_line_that_left_every_pack_is_told_of_plainly(self, school: School, calendar: Calendar) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, TWO_LATELY)
        evaluate(calendar)
        Alert.objects.system("t").update(rule="us-tx/GONE")
        assert "At 3 a line of the law is reached" in sentence(standing(ana)[0])


class TestWhichLine:
    def test_the_gravest_by_what_follows_is_said_and_only_that(self, school: School, calendar: Calendar) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, EIGHT.replace("PPUPP PUUPP", "PPPPP PUUPP"), name="Seven")
        ben = a_student_drawn(school, calendar, EIGHT.replace("PPUPP PUUPP", "PPPPP UPPPU").replace("UUUPP", "UUUPU"))
        evaluate(calendar)
        assert [a.rule for a in standing(ana)] == ["us-tx/TX-W1"]  # seven in six months: three days off
        assert [(a.rule, a.count, a.of) for a in standing(ben)] == [("us-tx/TX-C1", 8, 10)]

    def test_a_line_that_is_not_about_the_student_s_age_is_none_of_theirs(
        self, school: School, calendar: Calendar
    ) -> None:
        adopt()
        eight = EIGHT.replace("PPUPP PUUPP", "PPPPP PUPPP").replace(
            "UUUPP PUUPP", "UUUPU UUUPP"
        )  # one of them in the last four weeks
        twelve, ten = (a_student_drawn(school, calendar, eight, born=date(born, 3, 1)) for born in (2014, 2016))
        two = TWO_LATELY
        six, five = (a_student_drawn(school, calendar, two, born=date(born, 3, 1)) for born in (2020, 2021))
        evaluate(calendar)
        # no truancy court under twelve; that a complaint against a parent may be filed is told nobody ahead
        assert [[a.rule for a in standing(s)] for s in (twelve, ten, six, five)] == [
            ["us-tx/TX-C1"],
            [],
            ["us-tx/TX-W1"],
            [],
        ]

    def test_what_was_missed_before_the_birthday_counts_for_nothing(self, school: School, calendar: Calendar) -> None:
        adopt()
        # eight days in six months, one of them in the last four weeks; truancy court is about those of twelve and older
        eight = EIGHT.replace("PPUPP PUUPP", "PPPPP PUPPP").replace("UUUPP PUUPP", "UUUPU UUUPP")
        before, lately = (
            a_student_drawn(school, calendar, eight, born=born) for born in (date(2014, 8, 1), date(2014, 9, 30))
        )
        evaluate(calendar)
        assert [a.rule for a in standing(before)] == ["us-tx/TX-C1"]
        assert standing(lately) == []

    def test_what_was_reached_stands_among_the_steps_and_is_not_told_ahead(
        self, school: School, calendar: Calendar
    ) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, "PPPPP PPPPP PPPPP PPPPP PPUPP PUUPP")
        evaluate(calendar)
        assert standing(ana) == []

    def test_a_district_s_own_rule_is_told_ahead(self, school: School, calendar: Calendar) -> None:
        adopt("example", OVERLAY)
        ana = a_student_drawn(school, calendar, "PPPPP PPPPP PPPPP PPPPP PUPPP PUUPP")
        evaluate(calendar)
        assert [a.rule for a in standing(ana)] == ["example/five-days"]
        assert "Board policy 5113" in sentence(standing(ana)[0])

    def test_days_at_the_school_before_count_with_those_here(self, school: School, calendar: Calendar) -> None:
        adopt()
        other = a_school("Birch High")
        a_calendar(other, weeks=12, covered=FRIDAY)
        ana = a_student(other, ends=FIRST_MONDAY + timedelta(days=25))
        mark(other.calendars.get(), ana, FIRST_MONDAY + timedelta(days=22), "U")
        Enrolment.objects.system("t").create(
            student=ana, school=school, starts=FIRST_MONDAY + timedelta(days=28), grade="03"
        )
        mark(calendar, ana, FIRST_MONDAY + timedelta(days=29), "U")
        evaluate(calendar)
        assert [(a.rule, a.days, a.school_id) for a in standing(ana)] == [("us-tx/TX-W1", "2026-09-22U7U", school.pk)]
        evaluate(other.calendars.get())
        assert len(standing(ana)) == 1  # at the school they left nobody is told

    def test_days_of_last_year_count_where_the_law_says_so(self, school: School, calendar: Calendar) -> None:
        """England's ten school weeks run across the summer: six of this year, and four of July's."""
        adopt("gb-eng")
        then = a_calendar(school, weeks=4, covered=date(2026, 7, 24), start=date(2026, 6, 29))
        ana = a_student(school, starts=date(2026, 6, 29))
        for day in (22, 23, 24):
            mark(then, ana, date(2026, 7, day), "U")
        mark(calendar, ana, date(2026, 10, 7), "U")
        evaluate(calendar)
        (alert,) = standing(ana)
        assert (alert.rule, alert.count, alert.of, alert.measure) == ("gb-eng/ENG-3", 8, 10, 4)
        assert alert.days == "2026-07-22U1U1U75U"
        assert "8 sessions so far" in sentence(alert)
        assert "2 more reach it." in sentence(alert)


class TestEveryWay:
    def test_night_live_and_as_of_a_day_say_the_same(
        self, school: School, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, TWO_LATELY.replace("T", "P"))
        evaluate(calendar)
        assert standing(ana) == []
        mark(calendar, ana, FRIDAY - timedelta(days=2), "T", recorded=clock.seconds(clock.now()))
        live.marks_changed(calendar, [ana.pk])
        by_mark = facts(standing(ana)[0])
        for judge in (run_pass, lambda: run_pass(everything=True), lambda: run_pass(as_of=FRIDAY)):
            Alert.objects.system("t").all().delete()
            judge()
            assert facts(standing(ana)[0]) == by_mark

    def test_alerts_of_the_line_before_end_with_the_next_night(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        run_pass()
        adopt()
        run_pass()
        old = Alert.objects.system("t").get(student=ana, rule="example/ten-unexcused-days")
        assert old.state == "withdrawn"

    def test_a_law_that_is_withdrawn_gives_the_line_before_back(self, school: School, calendar: Calendar) -> None:
        ana = a_student_drawn(school, calendar, SEVEN)
        made = adopt()
        run_pass()
        assert "example/ten-unexcused-days" not in [a.rule for a in standing(ana)]
        stopped(made)
        run_pass()
        assert [a.rule for a in standing(ana)] == ["example/ten-unexcused-days"]

    def test_a_day_leaves_a_window_of_four_weeks_though_no_mark_has_changed(
        self, school: School, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, "PPPPP PPPPP PUPPP PPPPP PPPPP PTPPP")  # 15 September and 6 October
        run_pass()
        assert len(standing(ana)) == 1
        on(monkeypatch, date(2026, 10, 12), 22)
        run_pass()
        assert len(standing(ana)) == 1
        on(monkeypatch, date(2026, 10, 13), 22)
        Calendar.objects.update(covered_through=date(2026, 10, 13))
        run_pass()
        assert [(a.rule, a.days, a.as_of) for a in standing(ana)] == []

    def test_an_answered_line_rests_until_two_more_days(self, school: School, calendar: Calendar) -> None:
        adopt()
        ana = a_student_drawn(school, calendar, TWO_LATELY)
        evaluate(calendar)
        alert = standing(ana)[0]
        give_verdict(a_user(school=school), alert, "act", "Called: the bus.", version=alert.version)
        run_pass()
        assert standing(ana) == []


class TestWatchIsTold:
    def test_of_every_turn_in_what_is_in_force(self) -> None:
        a_school()
        first, second = adopt(starts=date(2026, 8, 1)), adopt("us-ga", starts=date(2027, 1, 4))
        assert list(LawInForce.objects.order_by("first").values_list("pack", "first", "last")) == [
            ("us-tx", date(2026, 8, 1), date(2027, 1, 3)), ("us-ga", date(2027, 1, 4), None)
        ]  # fmt: skip
        stopped(second, date(2027, 2, 1))
        assert list(LawInForce.objects.order_by("first").values_list("pack", "first", "last")) == [
            ("us-tx", date(2026, 8, 1), date(2027, 1, 3)), ("us-ga", date(2027, 1, 4), date(2027, 2, 1)),
            ("us-tx", date(2027, 2, 2), None),
        ]  # fmt: skip
        stopped(first)
        assert list(LawInForce.objects.values_list("pack", flat=True)) == ["us-ga"]

    def test_and_asks_of_each_day_the_own_rules_of_that_day(self) -> None:
        calendar = a_calendar(a_school(), weeks=3)
        for day, days in ((date(2026, 9, 7), 8), (date(2026, 9, 21), 9)):
            own = f'on = "example"\ntitle = "own"\neffective_from = {day}\n[[change]]\nid = "ten-unexcused-days"\nthreshold = {{ count = {days} }}\n'
            Adoption.objects.create(
                pack="example", overlay=own, starts=day, proposed_at=clock.now(), approved_at=clock.now()
            )
        tell_watch()
        for day in (date(2026, 9, 4), date(2026, 9, 14), date(2026, 9, 25)):
            lines = Lines.on(calendar.school_year, day)
            assert lines.law == tuple(law_of(adopted(day), calendar.school_year.starts, day))
        lasts = [(v.last, v.pack.rule_named("ten-unexcused-days").threshold.count) for v in lines.law]  # type: ignore[union-attr]
        assert lasts == [(date(2026, 9, 6), 10), (date(2026, 9, 20), 8), (date(2026, 9, 25), 9)]


class TestForecast:
    def test_a_rule_that_asks_what_was_judged_is_asked_by_the_forecast(
        self, school: School, calendar: Calendar, model: Any
    ) -> None:
        """Indiana's ten unexcused days of the year are the example's question."""
        adopt("us-in")
        shelf().keep(model)
        assert Forecaster.now().askers(Lines.on(calendar.school_year)) == ()
        backtests.keep(report())
        (asker,) = Forecaster.now().askers(Lines.on(calendar.school_year))
        assert (asker.rules, asker.line.days) == (("us-in/IN-3-10",), 10)
        ana = a_student_drawn(school, calendar, "UUUPP PPPPP PPPPP PPPPP PPPPP PPUUU")
        evaluate(calendar)
        (alert,) = standing(ana)
        assert (alert.rule, alert.count, alert.of, alert.usual_of) == ("us-in/IN-3-10", 6, 10, 10)
        assert "4 more such days reach it. Away now, 3 days in a row." in sentence(alert)
        assert "Of students like this, " in sentence(alert)

    def test_a_rule_nobody_has_judged_is_arithmetic(self, school: School, calendar: Calendar, model: Any) -> None:
        """Pennsylvania's three and six days: the backtest has not been asked about them."""
        adopt("us-pa")
        shelf().keep(model)
        backtests.keep(report())
        assert Forecaster.now().askers(Lines.on(calendar.school_year)) == ()
        ana = a_student_drawn(school, calendar, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUP")
        evaluate(calendar)
        assert [(a.rule, a.count, a.of, a.usual_of) for a in standing(ana)] == [("us-pa/PA-1", 2, 3, 0)]

    def test_an_adopted_rule_that_was_judged_is_offered(self, calendar: Calendar, model: Any) -> None:
        adopt("us-pa")
        shelf().keep(model)
        judged = report()
        judged["questions"]["us-pa/PA-1"] = judged["questions"]["example/ten-unexcused-days"]
        judged["asked"] = {"us-pa/PA-1": "unexcused 3"}
        backtests.keep(judged)
        assert [a.rules for a in Forecaster.now().askers(Lines.on(calendar.school_year))] == [("us-pa/PA-1",)]
        assert backtests.offer("us-pa/PA-1", 10) is not None
        # so many days of a window, or more than so many, are another question
        three = find_line("us-pa", "PA-1")
        assert backtests.offer_of(three, 10) is not None
        assert backtests.offer_of(replace(three, window=Window(kind="calendar_month")), 10) is None

    def test_the_student_s_page_asks_about_the_law_s_lines_in_place_of_the_example_s(self, calendar: Calendar) -> None:
        """Ten days in Indiana; in Texas only a tenth of the days, which is no law's but the federal measure."""
        tenth = "example/chronic-absence"
        for pack, asked in (("us-in", ["us-in/IN-3-10", tenth]), ("us-tx", [tenth])):
            adopt(pack)
            assert list(page_lines(Lines.on(calendar.school_year, FRIDAY), Person(date(2014, 3, 1)))) == asked
        nineteen = Person(date(2007, 3, 1))
        assert list(page_lines(Lines.on(calendar.school_year, FRIDAY), nineteen)) == ["us-tx/TX-18-warn", tenth]

    def test_the_model_card_says_which_lines_are_forecast_and_which_are_counted(
        self, calendar: Calendar, model: Any
    ) -> None:
        adopt("us-in")
        shelf().keep(model)
        backtests.keep(report())
        told = {line.title: line.forecast for line in told_how(calendar.school_year)}
        assert [title[:13] for title, forecast in told.items() if forecast] == ["10 days unexc"]
        assert len(told) > 1
        backtests.keep(report(offered=False))
        assert not any(line.forecast for line in told_how(calendar.school_year))
