"""The officer's list of steps: what is due first, only of one's own students, and gone once it is done."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.access.models import Assignment, Role
from firstbell.casework.done import record_done, take_back
from firstbell.casework.firings import look_over
from firstbell.casework.models import Adoption
from firstbell.casework.steps import steps_for
from firstbell.law.clock import NOT_ESCALATED
from firstbell.watch.treated import days_acted
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
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
    asked, total = steps_for(officer, TODAY)
    assert [(a.student.given_name, [(s.firing.rule, s.firing.due, s.overdue) for s in a.steps]) for a in asked] == [
        ("Bo", [("two-days", FIRST_MONDAY + timedelta(days=2), True)]),
        ("Ana", [("two-days", FIRST_MONDAY + timedelta(days=9), True)]),
    ]  # the letter waits until help was offered, and is not asked for before
    assert total == 2
    record_done(officer, ana, "contact_attempt", TODAY, TODAY, key="1")
    record_done(officer, bo, "support_offered", TODAY, TODAY, key="2")
    asked, total = steps_for(officer, TODAY)
    assert [(a.student.given_name, [s.firing.rule for s in a.steps]) for a in asked] == [
        ("Bo", ["two-days", "ten-unexcused-days"])
    ]


def test_nobody_elses_students_stand_on_it() -> None:
    school, other = a_school(), a_school("Birch Primary")
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school)
    draw(calendar, ana, "UUPPP PPPPP PPPPP PPPPP")
    look_over()
    assert steps_for(a_user(Role.OFFICER, school), TODAY)[1] == 1
    assert steps_for(a_user(Role.OFFICER, other), TODAY) == ([], 0)


def test_the_list_is_narrowed_to_a_school_and_to_a_step() -> None:
    school, other = a_school(), a_school("Birch Primary")
    officer = a_user(Role.OFFICER, school)
    Assignment.objects.create(user=officer, role=Role.OFFICER, school=other, starts=date(2020, 1, 1))
    for place, name in ((school, "Ana"), (other, "Bo")):
        draw(a_calendar(place, weeks=6, covered=TODAY), a_student(place, name), "UUUUU UUUUU PPPPP PPPPP")
    look_over()

    def names(**only: object) -> list[str]:
        asked, total = steps_for(officer, TODAY, **only)  # type: ignore[arg-type]
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
