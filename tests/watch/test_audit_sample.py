"""Looks: drawn by chance from listed and not, told alike, answered like anything, and counted."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from django.test import Client

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import Assignment, AuditEntry, Role, User
from firstbell.forecast.lines import Counted
from firstbell.forecast.model import Model, code_version
from firstbell.forecast.training import collect, fit_layer_two, learn_layer_one
from firstbell.jobs import queue
from firstbell.register.models import Calendar, Enrolment, School, Student
from firstbell.watch import asof, lists, live, verdicts
from firstbell.watch.drawing import draw_looks, this_week
from firstbell.watch.forecasting import shelf
from firstbell.watch.history import LastYear
from firstbell.watch.looks import what_looks_say
from firstbell.watch.models import Alert, Draw, DrawStratum, LookOver, Pass, Verdict
from firstbell.watch.passes import evaluate, run_pass
from firstbell.watch.treated import TREATED_DAYS
from firstbell.watch.words import sentence
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw, mark
from tests.forecast.district import closed_years
from tests.watch.scene import FRIDAY, a_year_of
from tests.watch.test_ahead import TEN

pytestmark = pytest.mark.django_db
MONDAY = FRIDAY + timedelta(days=3)
MONDAYS = "UPPPP UPPPP UPPPP UPPPP UPPPP UPPPP"  # a weekday pattern: it can wait
STREAK = "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU"  # it can't


@pytest.fixture
def calendar(school: School, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    on(monkeypatch, MONDAY)
    return a_year_of(school, 20)


@pytest.fixture
def officer(school: School) -> User:
    return a_user(school=school, email="officer@example.org")


def on(monkeypatch: pytest.MonkeyPatch, day: date, hour: int = 10) -> None:
    """By Chicago's clock five hours less: five in the morning."""
    monkeypatch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, hour, tzinfo=UTC))


def drawn_student(school: School, calendar: Calendar, squares: str, name: str = "Ana") -> Student:
    student = a_student(school, name)
    draw(calendar, student, squares)
    return student


def looks() -> list[LookOver]:
    return list(LookOver.objects.system("t").select_related("alert__student", "stratum").order_by("pk"))


def look_at(student: Student) -> Alert:
    return Alert.objects.system("t").select_related("student", "school").get(student=student, kind="look_over")


def answer(officer: User, alert: Alert, decision: str, **more: Any) -> Verdict:
    return verdicts.give_verdict(officer, alert, decision, "Read the record.", version=alert.version, **more)


def open_kinds(student: Student) -> set[str]:
    return set(Alert.objects.system("t").filter(student=student, state="open").values_list("kind", flat=True))


class TestDraw:
    def test_one_of_each_stratum_with_the_chance_each_had(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        drawn_student(school, calendar, MONDAYS)
        drawn_student(school, calendar, "UUUPP", "Ben")  # three unexcused days, long ago
        run_pass()
        this = draw_looks()
        assert this is not None
        assert (this.week, this.by, this.model) == (MONDAY, Draw.By.COUNT, None)
        sizes = {s.name: (s.taken, s.size, s.inclusion) for s in this.strata.all()}
        assert sizes == {
            "listed": (1, 1, Fraction(1)), "near": (1, 1, Fraction(1)), "far": (1, 20, Fraction(1, 20)),
        }  # fmt: skip
        assert Counter(k.stratum.name for k in looks()) == {"listed": 1, "near": 1, "far": 1}
        entry = AuditEntry.objects.get(action="drew_looks")
        assert entry.detail.startswith(f"seed {this.seed}: ")
        assert "far 1 of 20" in entry.detail
        assert audit.verify() is None

    def test_with_a_model_the_strata_are_of_its_chance_and_it_is_kept_for_the_audit_alone(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        years = closed_years(schools=4)
        learned = {c: learn_layer_one(years, c) for c in Counted}
        two = fit_layer_two(collect(years, [TEN], learned, horizons=(10,)), 1000)
        shelf().keep(Model(learned, two, (2026,), "2026-08-01", "2026-08-01T04:00:00+00:00", code_version(), 1000, {}))
        ben = drawn_student(school, calendar, "UUUUP PPPPP PPPPP PPPPP PPPPP PPPPP", "Ben")
        run_pass()
        this = draw_looks()
        assert this is not None
        assert (this.by, this.model) == (Draw.By.CHANCE, 1)
        near = next(k for k in looks() if k.stratum.name == "near")
        assert near.student_id == ben.pk
        assert near.chance is not None
        assert 0 < near.chance < 1
        assert near.band in ("clear", "watch", "act", "cannot_tell")
        client = Client()
        client.force_login(officer, backend="allauth.account.auth_backends.AuthenticationBackend")
        for path in ("/today/", f"/alert/{near.alert_id}/", f"/student/{ben.pk}/"):
            page = client.get(path).content.decode()
            assert "look" in page
            assert f"{near.chance:.2f}" not in page
            assert near.band not in re.sub(r"<[^>]+>", "", page)

    def test_drawing_twice_draws_nothing_twice(self, calendar: Calendar, officer: User) -> None:
        run_pass()
        assert draw_looks() is not None
        before = [(k.pk, k.alert_id) for k in looks()]
        assert draw_looks() is None
        assert [(k.pk, k.alert_id) for k in looks()] == before

    def test_the_same_seed_draws_the_same_students(
        self, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("firstbell.watch.drawing.secrets.randbits", lambda _bits: 77)
        run_pass()
        draw_looks()
        who = [k.student_id for k in looks()]
        Draw.objects.all().delete()
        Alert.objects.system("t").filter(kind="look_over").delete()
        draw_looks()
        assert [k.student_id for k in looks()] == who

    @pytest.mark.parametrize(
        ("why_not", "squares"),
        [("pressing", STREAK), ("past the line", "UUUUU UUUUU PPPPP PPPPP PPPPP PPPPP")],
    )
    def test_who_is_before_somebody_or_past_the_line_is_not_drawn(
        self, school: School, calendar: Calendar, officer: User, why_not: str, squares: str
    ) -> None:
        ana = drawn_student(school, calendar, squares)
        run_pass()
        this = draw_looks()
        assert this is not None
        assert sum(s.size for s in this.strata.all()) == 20
        assert not LookOver.objects.system("t").filter(student=ana).exists(), why_not

    def test_who_was_decided_about_or_has_left_or_came_just_now_is_not_drawn(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        ana = drawn_student(school, calendar, MONDAYS)
        run_pass()
        answer(officer, Alert.objects.system("t").get(student=ana, kind="weekday"), "no_concern")
        Alert.objects.system("t").filter(student=ana).update(state="answered")
        gone = a_student(school, "Gone", ends=FRIDAY - timedelta(days=7))
        new = a_student(school, "New", starts=FRIDAY - timedelta(days=7))
        draw_looks()
        assert sum(DrawStratum.objects.values_list("size", flat=True)) == 20
        assert not LookOver.objects.system("t").filter(student__in=[ana, gone, new]).exists()

    def test_who_was_drawn_rests_eight_weeks(
        self, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_pass()
        for n in range(4):
            on(monkeypatch, MONDAY + timedelta(days=7 * n))
            evaluate(calendar)
            assert draw_looks() is not None
        who = [k.student_id for k in looks()]
        assert len(who) == len(set(who)) == 4

    def test_a_school_without_an_officer_is_not_drawn_from(self, calendar: Calendar, officer: User) -> None:
        other = a_school("Birch High")
        theirs = a_calendar(other, weeks=12, covered=FRIDAY)
        for n in range(30):
            a_student(other, f"Other{n}")
        run_pass()
        draw_looks()
        assert {k.alert.calendar_id for k in looks()} == {calendar.pk}
        assert theirs.school_id != calendar.school_id

    def test_an_officer_of_many_schools_is_asked_for_two_of_a_stratum(self, calendar: Calendar, officer: User) -> None:
        for n in range(5):
            other = a_school(f"School {n}")
            a_calendar(other, weeks=12, covered=FRIDAY)
            Assignment.objects.create(user=officer, role=Role.OFFICER, school=other, starts=date(2020, 1, 1))
            for k in range(20):
                a_student(other, f"Other{k}")
        run_pass()
        this = draw_looks()
        assert this is not None
        assert [(s.taken, s.size) for s in this.strata.all()] == [(2, 120)]
        assert len({k.alert.school_id for k in looks()}) == 2

    def test_who_is_on_two_rolls_is_counted_once(self, school: School, calendar: Calendar, officer: User) -> None:
        other = a_school("Birch High")
        a_calendar(other, weeks=12, covered=FRIDAY)
        Assignment.objects.create(user=officer, role=Role.OFFICER, school=other, starts=date(2020, 1, 1))
        ana = a_student(school)
        Enrolment.objects.system("t").create(student=ana, school=other, starts=FIRST_MONDAY, grade="03", primary=False)
        from firstbell.register.rows import refold

        for each in (calendar, other.calendars.get()):
            refold(each, [ana.pk])
        draw_looks()
        assert sum(DrawStratum.objects.values_list("size", flat=True)) == 21

    def test_a_draw_broken_off_has_not_begun(
        self, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_pass()
        with monkeypatch.context() as broken:
            broken.setattr("firstbell.watch.drawing.bump", lambda _school: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                draw_looks()
        assert (Draw.objects.count(), len(looks())) == (0, 0)
        assert draw_looks() is not None

    def test_an_empty_district_draws_nobody(self) -> None:
        assert draw_looks() is None


class TestWeek:
    def test_it_is_due_once_after_the_nights_pass_while_the_week_has_school(
        self, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert this_week() is None  # the pass has not run yet
        run_pass()
        assert this_week() == f"looks:{MONDAY}"
        on(monkeypatch, MONDAY, 8)  # three in the morning
        assert this_week() is None
        on(monkeypatch, MONDAY, 15)
        draw_looks()
        assert this_week() is None
        on(monkeypatch, MONDAY + timedelta(days=8))
        assert this_week() is None  # that day's pass has not run
        run_pass()
        assert this_week() == f"looks:{MONDAY + timedelta(days=7)}"
        on(monkeypatch, MONDAY + timedelta(days=7 * 20))
        Pass.objects.update(finished_at=clock.now())
        assert this_week() is None  # no school any more

    def test_workers_that_ask_again_and_again_run_it_once(self, calendar: Calendar, officer: User) -> None:
        run_pass()
        for _ in range(3):
            queue.ask_for_what_is_due()
            while job := queue.lease_next():
                queue.run_leased(job)
        assert Draw.objects.count() == 1

    def test_looks_stand_to_the_weeks_last_school_day_and_then_expire_unanswered(
        self, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_pass()
        draw_looks()
        (look,) = looks()
        assert look.alert.expires_on == MONDAY + timedelta(days=4)
        on(monkeypatch, MONDAY + timedelta(days=4))
        run_pass()
        assert look_at(look.student).state == "open"
        assert what_looks_say(MONDAY) is None  # the week is not over
        on(monkeypatch, MONDAY + timedelta(days=5))
        run_pass()
        assert look_at(look.student).state == "expired"
        said = what_looks_say(MONDAY + timedelta(days=7))
        assert said is not None
        assert (said.weeks, said.drawn, said.answered) == (1, 1, 0)
        assert said.missed.value is None


class TestStands:
    def test_neither_night_nor_mark_nor_roll_withdraws_a_look_or_changes_its_words(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        run_pass()
        draw_looks()
        (look,) = looks()
        before = look_at(look.student)
        assert run_pass().withdrawn == 0
        mark(calendar, look.student, FRIDAY, "U", recorded=clock.seconds(clock.now()))
        live.marks_changed(calendar, [look.student_id])
        after = look_at(look.student)
        assert (after.state, after.version, sentence(after)) == ("open", before.version, sentence(before))

    def test_it_goes_with_the_student_and_counts_as_not_answered(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        run_pass()
        draw_looks()
        (look,) = looks()
        Enrolment.objects.system("t").filter(student=look.student).update(ends=FRIDAY - timedelta(days=1))
        from firstbell.register.rows import refold

        refold(calendar, [look.student_id])
        evaluate(calendar)
        assert look_at(look.student).state == "withdrawn"
        assert lists.today(officer).withdrawn == []
        said = what_looks_say(MONDAY + timedelta(days=7))
        assert said is not None
        assert (said.drawn, said.answered) == (1, 0)


class TestBlind:
    @pytest.fixture
    def two(self, school: School, calendar: Calendar, officer: User) -> tuple[Student, Student]:
        """Ana is listed; Ben has the very same marks and is not. Nobody else has a day to count: he is all there is near the line."""
        ana, ben = drawn_student(school, calendar, MONDAYS), drawn_student(school, calendar, MONDAYS, "Ben")
        run_pass()
        Alert.objects.system("t").filter(student=ben).delete()
        draw_looks()
        assert {k.stratum.name for k in looks() if k.student_id in (ana.pk, ben.pk)} == {"listed", "near"}
        return ana, ben

    def page(self, officer: User, path: str, student: Student) -> str:
        client = Client()
        client.force_login(officer, backend="allauth.account.auth_backends.AuthenticationBackend")
        response = client.get(path)
        assert response.status_code == 200
        html = response.content.decode()
        html = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html)
        html = re.sub(r"\b(Ana|Ben)\b", "NAME", html)
        html = re.sub(rf"/student/{student.pk}/", "/student/PK/", html)
        return re.sub(r"/alert/\d+/", "/alert/PK/", html)

    def test_todays_rows_differ_by_the_person_only_and_the_list_says_nothing_more(
        self, two: tuple[Student, Student], officer: User
    ) -> None:
        page = self.page(officer, "/today/", two[0])
        rows = re.findall(r'<li class="row".*?</li>', page, flags=re.S)
        assert len(rows) == 3
        rows = [row for row in rows if "Kid" not in row]
        told = {re.sub(r"/student/\d+/", "/student/PK/", re.sub(r'data-row="s\d+"', "", row)) for row in rows}
        assert len(told) == 1
        assert "weekday" not in page
        assert "NAME has missed" not in page

    def test_the_verdict_page_and_the_record_differ_by_the_person_only(
        self, two: tuple[Student, Student], officer: User
    ) -> None:
        for path in ("/alert/{alert}/", "/student/{student}/", "/student/{student}/print/"):
            told = {
                self.page(officer, path.format(alert=look_at(student).pk, student=student.pk), student)
                for student in two
            }
            assert len(told) == 1, path
            assert "Mondays" not in next(iter(told))

    def test_the_look_asks_a_question_and_gives_the_record(self, two: tuple[Student, Student]) -> None:
        assert sentence(look_at(two[0])) == (
            "Have a look at Ana: should somebody act? Missed this year: 6 of 30 days, the latest on 5 October; late: 0."
        )
        assert {getattr(look_at(s), "measure") for s in two} == {0}  # noqa: B009 - the one field lists are ordered by

    def test_numbers_and_order_say_nothing(self, two: tuple[Student, Student]) -> None:
        one, other = (Alert.objects.system("t").filter(pk=look_at(s).pk).values().get() for s in two)
        mine = {"id", "student_id", "enrolment_id"}
        assert {k: v for k, v in one.items() if k not in mine} == {k: v for k, v in other.items() if k not in mine}

    def test_what_waited_is_told_once_the_look_is_answered(self, two: tuple[Student, Student], officer: User) -> None:
        ana, _ben = two
        answer(officer, look_at(ana), "no_concern")
        told = [line.sentence for row in lists.today(officer).pattern for line in row.lines if row.student == ana]
        assert any("days that were a Monday" in words for words in told)

    def test_news_does_not_wait_for_a_look(
        self, two: tuple[Student, Student], school: School, calendar: Calendar, officer: User
    ) -> None:
        ana, ben = two
        for student in two:
            for n in range(3):
                mark(calendar, student, FRIDAY - timedelta(days=n), "U", recorded=clock.seconds(clock.now()))
        live.marks_changed(calendar, [ana.pk, ben.pk])
        for student in two:
            lines = [x.alert.kind for row in lists.today(officer).pattern for x in row.lines if row.student == student]
            assert {"look_over", "streak"} <= set(lines)

    def test_the_school_lead_of_a_district_sees_no_looks_in_a_schools_figures(
        self, two: tuple[Student, Student]
    ) -> None:
        lead = a_user(Role.DISTRICT_LEAD)
        (line,) = lists.school_lines(lead)
        assert line.pattern == Alert.objects.system("t").filter(state="open").exclude(kind="look_over").count()

    def test_a_teacher_and_another_schools_officer_are_not_shown_it(
        self, two: tuple[Student, Student], school: School, calendar: Calendar
    ) -> None:
        alert = look_at(two[0])
        teacher = a_teacher(school, a_section(calendar, *two))
        for user, status in ((teacher, 403), (a_user(school=a_school("Birch High")), 404)):
            client = Client()
            client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
            assert client.get(f"/alert/{alert.pk}/").status_code == status
        client = Client()
        client.force_login(teacher, backend="allauth.account.auth_backends.AuthenticationBackend")
        record = client.get(f"/student/{two[0].pk}/").content.decode()
        assert "Have a look" not in record
        assert "Drawn by chance" not in record


class TestAnswer:
    @pytest.fixture
    def look(self, calendar: Calendar, officer: User) -> LookOver:
        run_pass()
        draw_looks()
        (look,) = looks()
        return look

    def test_an_act_is_a_treatment_like_any_other(self, look: LookOver, calendar: Calendar, officer: User) -> None:
        answer(officer, look.alert, "act")
        Verdict.objects.system("t").update(given_at=datetime(2026, 9, 10, 15, tzinfo=UTC))
        schools = asof.schools_of(calendar.school_year)
        (year,) = asof.closed_year(calendar.school_year, schools, LastYear.nothing(), FRIDAY + timedelta(days=200))
        row = year.student.tolist().index(look.student_id)
        assert np.flatnonzero(year.left_out[row]).size == TREATED_DAYS

    def test_not_a_concern_silences_nothing_else(self, look: LookOver, calendar: Calendar, officer: User) -> None:
        answer(officer, look.alert, "no_concern")
        draw(calendar, look.student, STREAK)
        live.marks_changed(calendar, [look.student_id])
        assert "streak" in open_kinds(look.student)
        assert "look_over" not in open_kinds(look.student)

    def test_a_watch_comes_back_on_its_day_in_words_of_its_own(
        self, look: LookOver, calendar: Calendar, officer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer(officer, look.alert, "watch", until=MONDAY + timedelta(days=9))
        run_pass()
        assert open_kinds(look.student) == set()
        on(monkeypatch, MONDAY + timedelta(days=9))
        run_pass()
        assert open_kinds(look.student) == {"look_again"}
        again = Alert.objects.system("t").select_related("student").get(student=look.student, kind="look_again")
        assert sentence(again).startswith(f"{look.student.given_name} was to be looked at again now. Missed this year:")
        answer(officer, again, "no_concern")
        run_pass()
        assert open_kinds(look.student) == set()

    def test_taken_back_it_is_asked_again_and_counts_no_more(self, look: LookOver, officer: User) -> None:
        verdict = answer(officer, look.alert, "no_concern")
        verdicts.undo_verdict(officer, verdict)
        again = look_at(look.student)
        assert again.state == "open"
        answer(officer, again, "act")
        said = what_looks_say(MONDAY + timedelta(days=7))
        assert said is not None
        assert (said.drawn, said.answered) == (1, 0)

    def test_answers_are_counted_by_stratum_once_the_week_is_over(
        self, school: School, calendar: Calendar, officer: User
    ) -> None:
        ana = drawn_student(school, calendar, MONDAYS)
        run_pass()
        draw_looks()
        every = looks()
        assert len(every) == 2
        far = next(k for k in every if k.student_id != ana.pk)
        answer(officer, far.alert, "act")
        assert what_looks_say(MONDAY + timedelta(days=1)) is None
        answer(officer, look_at(ana), "watch", until=MONDAY + timedelta(days=20))
        said = what_looks_say(MONDAY + timedelta(days=1))
        assert said is not None
        assert {s.value: (a.size, a.answered, a.act) for s, (a, _share) in said.strata.items()} == {
            "listed": (1, 1, 0), "far": (20, 1, 1),
        }  # fmt: skip
        assert said.missed.value == 1
        assert not said.missed.can_tell
        assert said.false_alarms.value == 1
        assert what_looks_say(MONDAY + timedelta(days=400)) is None  # a year later it is another list
