"""A student of the register before the law: what was reached, what a correction undoes, what opens a locked step."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.done import NotRecorded, record_done, take_back
from firstbell.casework.firings import look_at, look_over
from firstbell.casework.models import Adoption, Firing, Protection
from firstbell.casework.standing import standing_of
from firstbell.law.clock import Position, Status
from firstbell.law.packs import Flag
from firstbell.register.models import Calendar, School, Student
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, at, draw, mark

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=7 * 3 + 4)
WHY = "a test looks"


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="example", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=6, covered=TODAY)


def ten_days(student: Student, day: date = TODAY) -> Position:
    return next(p for p in standing_of(student, day).positions if p.rule == "ten-unexcused-days")


def test_nine_days_leave_one_of_room(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "UUUUU UUUUE PPPPP PPPPP")
    found = ten_days(ana)
    assert (found.count, found.remaining, found.status) == (9, 1, Status.NEAR)


def test_without_a_pack_nothing_is_asked(calendar: Calendar, school: School) -> None:
    Adoption.objects.update(withdrawn_at=clock.now())
    assert standing_of(a_student(school), TODAY).law == []


def test_the_tenth_day_opens_a_duty_that_waits_for_help_to_be_offered(calendar: Calendar, school: School) -> None:
    ana, officer = a_student(school), a_user(Role.OFFICER, school)
    draw(calendar, ana, "UUUUU UUUUU PPPPP PPPPP")
    found = ten_days(ana)
    assert (found.status, found.fired_on, found.missing) == (
        Status.LOCKED,
        FIRST_MONDAY + timedelta(days=11),
        ("support_offered",),
    )
    record_done(officer, ana, "support_offered", TODAY, TODAY, note="a bus ticket", key="1")
    assert ten_days(ana).status is Status.DUTY_OPEN
    record_done(officer, ana, "notice", TODAY, TODAY, key="2")
    assert ten_days(ana).status is Status.DUTY_DONE


def test_the_night_keeps_what_was_reached_and_a_late_note_undoes_it(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    a_student(school, "Bo")
    draw(calendar, ana, "UUUUU UUUUU PPPPP PPPPP")
    looked = look_over()
    assert (looked.students, looked.reached) == (2, 2)  # ten days, and a tenth of the days
    firing = Firing.objects.system(WHY).get(rule="ten-unexcused-days")
    assert (firing.rule, firing.fired_on, firing.count) == (
        "ten-unexcused-days",
        FIRST_MONDAY + timedelta(days=11),
        "10",
    )
    assert len(firing.marks.split()) == 10
    assert look_over().reached == 0

    mark(calendar, ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    assert look_over().superseded == 1
    firing.refresh_from_db()
    assert firing.superseded_at is not None
    assert ten_days(ana).status is Status.SUPERSEDED
    assert ten_days(ana, TODAY).count == 9


def test_one_student_is_looked_at_at_once(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "UUUUU UUUUU PPPPP PPPPP")
    assert look_at(ana, TODAY).reached == 2


def test_days_at_the_school_before_count_with_those_at_the_new_one(calendar: Calendar, school: School) -> None:
    other = a_school("Birch Primary")
    theirs = a_calendar(other, weeks=6, covered=TODAY)
    ana = a_student(school, ends=FIRST_MONDAY + timedelta(days=6))
    draw(calendar, ana, "UUUUU")
    from firstbell.register.models import Enrolment
    from firstbell.register.rows import refold

    Enrolment.objects.system(WHY).create(student=ana, school=other, starts=FIRST_MONDAY + timedelta(days=7), grade="03")
    refold(theirs, [ana.pk])
    draw(theirs, ana, "PPPPP UUUUU PPPPP")
    assert ten_days(Student.objects.system(WHY).get(pk=ana.pk)).count == 10
    assert look_over().reached == 2
    assert look_over().reached == 0


def test_as_known_then_is_what_was_known_then(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "UUUUU UUUUU PPPPP PPPPP")
    mark(calendar, ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    then = TODAY - timedelta(days=1)
    found = next(p for p in standing_of(ana, then, as_known=True).positions if p.rule == "ten-unexcused-days")
    assert found.count == 10


def test_a_record_is_one_however_often_it_is_sent_and_can_be_taken_back(school: School) -> None:
    ana, officer = a_student(school), a_user(Role.OFFICER, school)
    first = record_done(officer, ana, "conference", TODAY, TODAY, key="k")
    assert record_done(officer, ana, "conference", TODAY, TODAY, key="k").pk == first.pk
    take_back(officer, first)
    first.refresh_from_db()
    assert first.withdrawn_at is not None
    with pytest.raises(NotRecorded):
        take_back(a_user(Role.OFFICER, school), first)


def test_what_has_not_happened_yet_is_not_recorded_and_not_going_on_needs_a_reason(school: School) -> None:
    ana, officer = a_student(school), a_user(Role.OFFICER, school)
    with pytest.raises(NotRecorded):
        record_done(officer, ana, "conference", TODAY + timedelta(days=1), TODAY, key="a")
    with pytest.raises(NotRecorded):
        record_done(officer, ana, "not_escalated", TODAY, TODAY, key="b")


def test_what_a_pack_may_call_a_flag_is_what_can_be_on_record_of_a_student() -> None:
    assert set(get_args(Flag)) == set(Protection.Flag.values)
