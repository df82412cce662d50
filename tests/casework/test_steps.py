"""The officer's list of steps: what is due first, only of one's own students, and gone once it is done."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from firstbell import clock
from firstbell.access.models import Assignment, Role, User
from firstbell.casework.adopted import adopted
from firstbell.casework.done import confirm, record_done, take_back
from firstbell.casework.firings import look_over
from firstbell.casework.models import Adoption, Done, Firing, Letter
from firstbell.casework.steps import steps_for, waiting_for
from firstbell.law.clock import NOT_ESCALATED
from firstbell.register.models import Student
from firstbell.watch.treated import days_acted
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
WHY = "a test looks"
TODAY = FIRST_MONDAY + timedelta(days=7 * 3 + 4)
OWN = """
on = "example"
title = "Larch Valley's own"
effective_from = 2020-07-01
[[rule]]
id = "two-days"
title = "2 unexcused days: call"
source = "example"
count = "unexcused"
threshold = { count = 2 }
window = { kind = "school_year" }
[rule.duty]
kind = "contact"
title = "Call the family"
deadline = { value = 1 }
"""


@pytest.fixture(autouse=True)
def scene(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(
        pack="example", overlay=OWN, starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now()
    )


def test_what_is_due_first_stands_first_and_what_is_done_is_gone() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    officer = a_user(Role.OFFICER, school)
    ana, bo = a_student(school, "Ana"), a_student(school, "Bo")
    draw(calendar, bo, "UUUUU UUUUU PPPPP PPPPP")
    draw(calendar, ana, "PPPPP UUPPP PPPPP PPPPP")
    look_over()
    asked, total = steps_for(officer, adopted(TODAY), TODAY)
    assert [(a.student.given_name, [(s.firing.rule, s.firing.due, s.overdue) for s in a.steps]) for a in asked] == [
        ("Bo", [("two-days", FIRST_MONDAY + timedelta(days=2), True)]),
        ("Ana", [("two-days", FIRST_MONDAY + timedelta(days=9), True)]),
    ]  # the letter waits until help was offered, and is not asked for before
    assert total == 2
    record_done(officer, ana, "contact_attempt", TODAY, TODAY, key="1")
    record_done(officer, bo, "support_offered", TODAY, TODAY, key="2")
    asked, total = steps_for(officer, adopted(TODAY), TODAY)
    assert [(a.student.given_name, [s.firing.rule for s in a.steps]) for a in asked] == [
        ("Bo", ["two-days", "ten-unexcused-days"])
    ]


def test_nobody_elses_students_stand_on_it() -> None:
    school, other = a_school(), a_school("Birch Primary")
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school)
    draw(calendar, ana, "UUPPP PPPPP PPPPP PPPPP")
    look_over()
    assert steps_for(a_user(Role.OFFICER, school), adopted(TODAY), TODAY)[1] == 1
    assert steps_for(a_user(Role.OFFICER, other), adopted(TODAY), TODAY) == ([], 0)


def test_the_list_is_narrowed_to_a_school_and_to_a_step() -> None:
    school, other = a_school(), a_school("Birch Primary")
    officer = a_user(Role.OFFICER, school)
    Assignment.objects.create(user=officer, role=Role.OFFICER, school=other, starts=date(2020, 1, 1))
    for place, name in ((school, "Ana"), (other, "Bo")):
        draw(a_calendar(place, weeks=6, covered=TODAY), a_student(place, name), "UUUUU UUUUU PPPPP PPPPP")
    look_over()

    def names(**only: object) -> list[str]:
        asked, total = steps_for(officer, adopted(TODAY), TODAY, **only)  # type: ignore[arg-type]
        assert total == len(asked)
        return sorted(a.student.given_name for a in asked)

    assert names() == ["Ana", "Bo"]
    assert names(school=other.pk) == ["Bo"]
    assert names(rule="two-days") == ["Ana", "Bo"]
    assert names(rule="ten-unexcused-days") == []  # locked until help was offered
    assert names(rule="no-such-rule") == []


def test_the_forecast_does_not_learn_from_the_days_after_something_was_done() -> None:
    school = a_school()
    officer, ana, bo = a_user(Role.OFFICER, school), a_student(school, "Ana"), a_student(school, "Bo")
    meeting = record_done(officer, ana, "conference", FIRST_MONDAY, TODAY, key="1")
    Adoption.objects.update(overlay=OWN + "may = true\n")
    about = "example/two-days"
    record_done(officer, bo, NOT_ESCALATED, FIRST_MONDAY, TODAY, rule=about, note="her grandmother died", key="2")
    assert days_acted(FIRST_MONDAY, TODAY) == {ana.pk: [FIRST_MONDAY]}
    assert days_acted(FIRST_MONDAY + timedelta(days=1), TODAY) == {}
    take_back(officer, meeting)
    assert days_acted(FIRST_MONDAY, TODAY) == {}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> tuple[User, Student, Done]:
    """In Indiana an officer put a report on record that the superintendent has to confirm."""
    Adoption.objects.update(pack="us-in", overlay="")
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school, grade="08")
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(calendar, ana, "UUUUU UUUUU UUUUU PPPPP")
    olive = a_user(Role.OFFICER, school)
    record_done(olive, ana, "support_offered", TODAY, TODAY, key="help")
    return olive, ana, record_done(olive, ana, "report", TODAY, TODAY, rule="us-in/IN-3-7-12", key="report")


def test_what_waits_is_listed_for_who_may_confirm_it_and_for_who_put_it_there(
    waits: tuple[User, Student, Done],
) -> None:
    olive, ana, done = waits
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    ((mine,), more) = waiting_for(ines, adopted(TODAY), TODAY)
    assert (mine.what, mine.by, mine.office, mine.yours, more) == (done, olive, "superintendent", True, False)
    ((hers,), _more) = waiting_for(olive, adopted(TODAY), TODAY)
    assert (hers.what, hers.yours) == (done, False)
    elsewhere = a_user(Role.SCHOOL_LEAD, a_school("Birch Primary"), office="superintendent")
    for nobody in (a_user(Role.OFFICER, None), a_user(Role.SCHOOL_LEAD, ana.enrolments.get().school), elsewhere):
        assert waiting_for(nobody, adopted(TODAY), TODAY) == ([], False)
    confirm(ines, done, TODAY)
    assert (waiting_for(ines, adopted(TODAY), TODAY), waiting_for(olive, adopted(TODAY), TODAY)) == (
        ([], False),
        ([], False),
    )


def test_what_is_taken_back_waits_for_nobody(waits: tuple[User, Student, Done]) -> None:
    olive, _ana, done = waits
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    take_back(olive, done)
    assert (waiting_for(ines, adopted(TODAY), TODAY), waiting_for(olive, adopted(TODAY), TODAY)) == (
        ([], False),
        ([], False),
    )


def test_what_waits_for_the_reader_comes_first_and_the_longest_first_of_it(waits: tuple[User, Student, Done]) -> None:
    olive, ana, _done = waits
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    made = {"student": ana, "kind": "report", "on": TODAY}
    for key, by, office, days in (
        ("hers", ines, "superintendent", 9), ("old", olive, "Superintendent", 5), ("a lead's", olive, "principal", 7),
    ):  # fmt: skip
        at = clock.now() - timedelta(days=days)
        Done.objects.system(WHY).create(**made, key=key, recorded_by=by, recorded_at=at, waits_for=office)
    found, _more = waiting_for(ines, adopted(TODAY), TODAY)
    assert [(w.what.key, w.yours) for w in found] == [("old", True), ("report", True), ("hers", False)]  # type: ignore[union-attr]
    assert [(w.what.key, w.yours) for w in waiting_for(ines, adopted(TODAY), TODAY, most=2)[0]] == [
        ("old", True),
        ("report", True),
    ]  # type: ignore[union-attr]
    assert waiting_for(ines, adopted(TODAY), TODAY, most=2)[1]
    far = a_school("Birch Primary")
    assert waiting_for(ines, adopted(TODAY), TODAY, school=far.pk) == ([], False)
    assert len(waiting_for(ines, adopted(TODAY), TODAY, school=ana.enrolments.get().school_id)[0]) == 3


def test_a_letter_that_waits_for_a_second_signature_is_listed_too(waits: tuple[User, Student, Done]) -> None:
    olive, ana, done = waits
    confirm(a_user(Role.SCHOOL_LEAD, None, office="superintendent"), done, TODAY)
    firing = Firing.objects.system(WHY).get(student=ana, rule="IN-3-7-12")
    letter = Letter.objects.system(WHY).create(
        student=ana, firing=firing, kind="legal_step", language="en", count="15", body="Dear family", state="awaiting", version=1,
        drafted_by=olive, drafted_at=clock.now(), signed_by=olive, signed_as="officer", signed_at=clock.now(),
    )  # fmt: skip
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    ((waiting,), _more) = waiting_for(ines, adopted(TODAY), TODAY)
    assert (waiting.letter, waiting.office, waiting.yours) == (letter.pk, "superintendent", True)
    assert [(w.letter, w.yours) for w in waiting_for(olive, adopted(TODAY), TODAY)[0]] == [(letter.pk, False)]
    assert waiting_for(a_user(Role.SCHOOL_LEAD, None), adopted(TODAY), TODAY) == ([], False)


def test_what_an_institution_outside_signs_waits_for_any_other_person_but_a_letter_does_not(
    waits: tuple[User, Student, Done],
) -> None:
    olive, _ana, done = waits
    Done.objects.system(WHY).filter(pk=done.pk).update(waits_for="Ministry of Education")
    lead = a_user(Role.SCHOOL_LEAD, None)
    assert [w.yours for w in waiting_for(lead, adopted(TODAY), TODAY)[0]] == [True]
    assert [w.yours for w in waiting_for(olive, adopted(TODAY), TODAY)[0]] == [False]


def test_the_page_shows_what_waits_and_asks_no_more_than_twelve_times(waits: tuple[User, Student, Done]) -> None:
    olive, ana, _done = waits
    firing = Firing.objects.system(WHY).get(student=ana, rule="IN-3-7-12")
    Letter.objects.system(WHY).create(
        student=ana, firing=firing, kind="legal_step", language="en", count="15", body="Dear family", state="awaiting", version=1,
        drafted_by=olive, drafted_at=clock.now(), signed_by=olive, signed_as="officer", signed_at=clock.now(),
    )  # fmt: skip
    for reader, heading, answer in (
        (a_user(Role.SCHOOL_LEAD, None, office="superintendent"), "Waits for you", "Read and answer"),
        (olive, "Waits for another person, after you", "See it"),
    ):
        client = Client()
        client.force_login(reader, backend="allauth.account.auth_backends.AuthenticationBackend")
        client.get("/steps/")
        with CaptureQueriesContext(connection) as asked:
            page = client.get("/steps/").content.decode()
        said = [q["sql"] for q in asked.captured_queries if q["sql"].startswith(("SELECT", "INSERT", "UPDATE"))]
        assert len(said) <= 12, f"{len(said)} times:\n" + "\n".join(said)
        assert heading in page
        assert page.count(answer) == 2
        assert f"/student/{ana.pk}/law/#done" in page
        assert f"/letter/{firing.letters.get().pk}/" in page
