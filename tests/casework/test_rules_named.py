"""A rule that names another rule: what was done about that one, and since its line was reached."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.done import record_done
from firstbell.casework.firings import look_over
from firstbell.casework.models import Adoption, Firing
from firstbell.casework.standing import standing_of
from firstbell.desk.law_views import lines_of
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, at, draw, mark
from tests.casework.test_steps import OWN, TODAY

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture(autouse=True)
def scene(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(
        pack="example", overlay=OWN, starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now()
    )


def test_what_another_rule_asks_for_is_put_on_record_about_that_rule() -> None:
    """Of a step that waits for another rule's, the ladder records the other's: about the step itself it would open nothing."""
    overlay = OWN + ('[[change]]\nid = "ten-unexcused-days"\nrequires = ["two-days"]\nloosens = "A call first."\n')
    Adoption.objects.update(overlay=overlay)
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    officer, bo = a_user(Role.OFFICER, school), a_student(school, "Bo")
    draw(calendar, bo, "UUUUU UUUUU PPPPP PPPPP")
    client = Client()
    client.force_login(officer, backend="allauth.account.auth_backends.AuthenticationBackend")

    def rungs() -> dict[str, tuple[str, str]]:
        lines = lines_of(standing_of(bo, TODAY), [], TODAY, True)
        (ten,) = [line for line in lines if line.position.rule == "ten-unexcused-days"]
        return {rung.rule: (rung.kind, rung.state) for rung in ten.rungs[:-1]}

    assert rungs()["two-days"] == ("contact_attempt", "next")
    client.post(
        f"/student/{bo.pk}/law/record/",
        {"kind": "contact_attempt", "rule": "example/two-days", "on": TODAY, "key": "r"},
    )
    assert rungs()["two-days"] == ("contact_attempt", "done")


def test_a_notice_of_a_rule_begins_a_count_only_for_who_had_reached_it() -> None:
    """At night everybody is asked at once, and nobody's firings differ from the student's own page."""
    overlay = (
        OWN
        + """
[[rule]]
id = "again"
title = "Away again after the call"
source = "example"
count = "unexcused"
threshold = { count = 1 }
window = { kind = "school_year", after_evidence = "two-days" }
once = "year"
[rule.duty]
kind = "conference"
title = "Meet"
"""
    )
    Adoption.objects.update(overlay=overlay)
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    officer, ana, bo = a_user(Role.OFFICER, school), a_student(school, "Ana"), a_student(school, "Bo")
    draw(calendar, ana, "UUPPP PPUPP PPPPP PPPPP")
    draw(calendar, bo, "UPPPP PPUPP PPPPP PPPPP")
    for student in (ana, bo):  # Bo's call came before the second day: it was about something else
        record_done(officer, student, "contact", FIRST_MONDAY + timedelta(days=2), TODAY, key=student.given_name)
    Firing.objects.system("a test looks").all().delete()
    look_over()
    fired = Firing.objects.system("a test looks").filter(rule="again").values_list("student__given_name", "fired_on")
    assert list(fired) == [("Ana", FIRST_MONDAY + timedelta(days=9))]


def test_a_deadline_by_a_count_is_set_on_the_night_the_count_comes_to_it() -> None:
    """Nothing is newly reached then, and the firing on record is due all the same."""
    overlay = OWN.replace("deadline = { value = 1 }", 'deadline = { value = 4, unit = "counted", before = true }')
    Adoption.objects.update(overlay=overlay)
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school, "Ana")
    draw(calendar, ana, "UUPPP PPUPP PPPPP PPPPP")
    look_over()

    def due() -> date | None:
        return Firing.objects.system("a test looks").get(rule="two-days", superseded_at=None).due

    assert due() is None
    mark(calendar, ana, FIRST_MONDAY + timedelta(days=14), "U", recorded=at(FIRST_MONDAY + timedelta(days=14), 16))
    look_over()
    assert due() == FIRST_MONDAY + timedelta(days=11), "the Friday before"
    mark(calendar, ana, FIRST_MONDAY + timedelta(days=14), "E", recorded=at(FIRST_MONDAY + timedelta(days=15), 9))
    look_over()
    assert due() is None, "the fourth was excused since"
