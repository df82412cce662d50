"""Whom a tried rule would have reached, for those who may see the students: officers and school leads, and only of their own."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from firstbell import clock
from firstbell.access.models import Assignment, AuditEntry, Role, User
from firstbell.casework.done import protect
from firstbell.casework.models import Adoption, ReplayRun
from firstbell.casework.replaying import replay, tried_pack
from firstbell.register.models import Calendar, Enrolment, School, Student
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=25)
TEN = "ten-unexcused-days"
#: a rule about students with a plan, as Texas has
OWN = """on = "example"
title = "With a plan"
effective_from = 2026-08-01
[[rule]]
id = "with-a-plan"
title = "3 unexcused days, with a plan"
source = "example"
count = "unexcused"
threshold = { count = 3 }
window = { kind = "school_year" }
applies = { flags = ["iep"] }
"""


@pytest.fixture
def calendars(monkeypatch: pytest.MonkeyPatch) -> dict[str, Calendar]:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="example", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return {name: a_calendar(a_school(f"{name} Primary"), weeks=6, covered=TODAY) for name in ("Alder", "Birch")}


@pytest.fixture
def alder(calendars: dict[str, Calendar]) -> School:
    return calendars["Alder"].school


def reached(calendar: Calendar, name: str, squares: str = "UUUUU UUUUU PPPPP PPPPP") -> Student:
    student = a_student(calendar.school, name, family="Canarius")
    draw(calendar, student, squares)
    return student


def a_run(overlay: str = "", line: str = "8") -> ReplayRun:
    made = replay(tried_pack("example", overlay=overlay, rule=TEN, line=line), 2027)
    return ReplayRun.objects.create(
        asked_by=a_user(Role.DISTRICT_LEAD), asked_at=clock.now(), key="k", pack="example", version="2020-07-01", overlay=overlay,
        rule=TEN, line=line, year=2027, state=ReplayRun.State.DONE, result=json.dumps(made),
    )  # fmt: skip


def page(user: User, run: ReplayRun, **asked: object) -> str:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client.get(f"/steps/tried/{run.pk}/", asked).content.decode()


def status(user: User, run: ReplayRun, **asked: object) -> int:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client.get(f"/steps/tried/{run.pk}/", asked).status_code


def test_a_school_lead_reads_who_of_their_own_would_have_been_reached_and_when(
    calendars: dict[str, Calendar], alder: School
) -> None:
    reached(calendars["Alder"], "Ana")
    reached(calendars["Alder"], "Ben", "UUUUU UUUPP PPPPP PPPPP")
    reached(calendars["Birch"], "Theirs")
    run, lead = a_run(), a_user(Role.SCHOOL_LEAD, alder)
    text = page(lead, run)
    assert "Ana Canarius" in text
    assert "2 school days earlier" in text
    assert text.index("9 September 2026") < text.index("11 September 2026")
    assert "only under the tried law" in text
    assert "Theirs" not in text
    last = AuditEntry.objects.latest("id")
    assert (last.actor, last.action) == (f"user:{lead.pk}", "saw_who_was_reached")
    assert (last.subject, last.detail) == (f"replay:{run.pk}", f"school:{alder.pk} {TEN}")


def test_where_both_laws_come_to_the_same_days_a_student_is_shown_on_request(
    calendars: dict[str, Calendar], alder: School
) -> None:
    reached(calendars["Alder"], "Ana")
    run, lead = a_run(), a_user(Role.SCHOOL_LEAD, alder)
    text = page(lead, run, rule="chronic-absence")
    assert "Ana Canarius" not in text
    assert "Both laws come to the same days here" in text
    assert "On the same day: 1" in text
    assert "Ana Canarius" in page(lead, run, rule="chronic-absence", all="1")


def test_somebody_elses_school_is_refused_and_on_the_audit(calendars: dict[str, Calendar], alder: School) -> None:
    reached(calendars["Birch"], "Theirs")
    run, lead = a_run(), a_user(Role.SCHOOL_LEAD, alder)
    theirs = calendars["Birch"].school.pk
    assert status(lead, run, school=theirs) == 404
    assert AuditEntry.objects.latest("id").action == "refused"
    assert status(lead, run, school="²") == 404
    assert status(lead, run, school=alder.pk, page="0") == 400
    assert status(lead, run, school=alder.pk) == 200


def test_who_sets_policy_reads_sums_and_no_names(calendars: dict[str, Calendar]) -> None:
    reached(calendars["Alder"], "Ana")
    run = a_run()
    assert status(run.asked_by, run) == 403
    assert status(a_user(Role.DATA_STEWARD), run) == 403
    assert status(a_user(None), run) == 403


def test_a_teacher_who_leads_another_school_does_not_find_their_class_here(
    calendars: dict[str, Calendar], alder: School
) -> None:
    theirs = reached(calendars["Birch"], "Theirs")
    teacher = a_teacher(calendars["Birch"].school, a_section(calendars["Birch"], theirs))
    run = a_run()
    assert status(teacher, run) == 403
    Assignment.objects.create(user=teacher, role=Role.SCHOOL_LEAD, school=alder, starts=FIRST_MONDAY)
    assert "Theirs" not in page(teacher, run)
    assert status(teacher, run, school=calendars["Birch"].school.pk) == 404


def test_who_has_left_is_nobodys_to_see_any_more(calendars: dict[str, Calendar], alder: School) -> None:
    gone = reached(calendars["Alder"], "Gone")
    run, officer = a_run(), a_user(Role.OFFICER, alder)
    assert "Gone" in page(officer, run)
    Enrolment.objects.system("test").filter(student=gone).update(ends=TODAY - timedelta(days=1))
    text = page(officer, run)
    assert "Gone" not in text
    assert "Neither law would have reached anybody here" in text


def test_a_rule_that_tells_what_protects_a_student_is_for_officers_alone(
    calendars: dict[str, Calendar], alder: School
) -> None:
    officer, lead = a_user(Role.OFFICER, alder), a_user(Role.SCHOOL_LEAD, alder)
    ana = reached(calendars["Alder"], "Ana", "UUUPP PPPPP PPPPP PPPPP")
    protect(officer, ana, "iep", TODAY)
    run = a_run(OWN)
    for rule in ("", "with-a-plan"):
        assert "3 unexcused days, with a plan" in page(officer, run, rule=rule)
        text = page(lead, run, rule=rule)
        assert "with a plan" not in text
        assert "are left out" in text


def test_the_list_of_what_was_tried_names_only_what_is_done(calendars: dict[str, Calendar], alder: School) -> None:
    reached(calendars["Alder"], "Ana")
    run = a_run()
    lead = a_user(Role.SCHOOL_LEAD, alder)
    client = Client()
    client.force_login(lead, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert f"/steps/tried/{run.pk}/" in client.get("/steps/tried/").content.decode()
    assert "/steps/tried/" in client.get("/steps/").content.decode()
    ReplayRun.objects.update(state=ReplayRun.State.RUNNING, result="")
    assert f"/steps/tried/{run.pk}/" not in client.get("/steps/tried/").content.decode()
    assert status(lead, run) == 302


def test_a_long_list_comes_in_pages_and_asks_no_more_of_the_database(
    calendars: dict[str, Calendar], alder: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstbell.desk.tried_views.A_PAGE", 3)
    for n in range(5):
        reached(calendars["Alder"], f"Ana{n}")
    run, officer = a_run(), a_user(Role.OFFICER, alder)
    first, second = page(officer, run), page(officer, run, page=2)
    assert [n for n in range(5) if f"Ana{n}" in first] == [0, 1, 2]
    assert [n for n in range(5) if f"Ana{n}" in second] == [3, 4]
    few = queries(officer, run)
    for n in range(10):
        reached(calendars["Alder"], f"Bo{n}")
    assert queries(officer, run) == few


def queries(user: User, run: ReplayRun) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert "Ana0" in page(user, run)
    return len(asked)
