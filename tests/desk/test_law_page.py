"""The page and the card of a student before the law: what they say when there is nothing to say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from firstbell import clock
from firstbell.access.models import Assignment, Role
from firstbell.casework.done import protect, record_done
from firstbell.casework.models import Adoption, Protection
from firstbell.register.models import RollState
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw
from tests.casework.letters_scene import TODAY as LETTERS_TODAY
from tests.casework.letters_scene import set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=7 * 3 + 4)
NOBODYS = "None of its lines is about this student now."


@pytest.mark.parametrize("view", ["law_lines", "student_law"])
def test_a_child_too_young_for_the_law_is_told_of_as_such(
    client: Client, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="us-tx", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    young, older = a_student(school), a_student(school)
    for student, born in ((young, date(2021, 3, 1)), (older, date(2012, 3, 1))):
        student.birth_date = born
        student.save()
        draw(calendar, student, "UUUPP PPPPP PPPPP PPPPP")
    client.force_login(a_user(Role.OFFICER, school))
    assert NOBODYS in client.get(reverse(view, args=[young.pk])).content.decode()
    assert NOBODYS not in client.get(reverse(view, args=[older.pk])).content.decode()


def test_as_known_on_an_earlier_day_the_page_asks_no_more_than_any_other(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = set_the_scene(monkeypatch)
    section = a_section(scene.calendar, scene.ana)
    RollState.objects.create(
        calendar=scene.calendar, section=section, date=LETTERS_TODAY, session=0, taken=True, recorded_at=1, key="roll"
    )
    client.force_login(scene.officer)
    page = reverse("student_law", args=[scene.ana.pk])
    for query in ("", f"?as_of={LETTERS_TODAY - timedelta(days=1)}"):
        client.get(page + query)
        with CaptureQueriesContext(connection) as asked:
            words = client.get(page + query).content.decode()
        assert "10 unexcused full days" in words
        mine = [q for q in asked.captured_queries if q["sql"].startswith(("SELECT", "INSERT", "UPDATE"))]
        assert len(mine) <= 12 + (connection.vendor == "postgresql"), query


def test_what_was_done_about_one_rule_stands_under_that_rule_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = FIRST_MONDAY + timedelta(days=7 * 7 + 4)
    monkeypatch.setattr(clock, "now", lambda: datetime(today.year, today.month, today.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="us-tx", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    school = a_school()
    calendar = a_calendar(school, weeks=12, covered=today)
    ana, olive = a_student(school), a_user(Role.OFFICER, school)
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(calendar, ana, "UUPPP PPPPP PPPPP PPPPP PPPPP UUUPP PPPPP PPPPP")
    record_done(olive, ana, "plan", today, today, rule="us-tx/TX-P1", key="a plan")
    client.force_login(olive)
    lines = client.get(reverse("student_law", args=[ana.pk])).context["lines"]
    told = {line.position.rule: [d.deed.kind for d in line.rungs[-1].done] for line in lines if line.rungs}
    assert (told["TX-P1"], told["TX-90"]) == (["plan"], [])


def test_what_protects_a_student_is_not_read_from_what_no_line_asks(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texas has two rules for the same day, and one is not about students with a plan for special education: the reason would tell who has one."""
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="us-tx", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    school = a_school()
    ana, officer, lead = a_student(school), a_user(Role.OFFICER, school), a_user(Role.SCHOOL_LEAD, school)
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(a_calendar(school, weeks=6, covered=TODAY), ana, "PPPPP PPPPP PPPPP PPPPP")
    protect(officer, ana, "iep", TODAY, None)
    page, told = reverse("student_law", args=[ana.pk]), "special education"
    client.force_login(officer)
    assert "not about students with" in client.get(page).content.decode()
    client.force_login(lead)
    words = client.get(page).content.decode()
    assert "The rule is not about this student." in words
    assert "students with:" not in words
    assert told not in words.lower()
    asked = {line.position.rule for line in client.get(page).context["lines"]}
    assert {"TX-W1", "TX-C1"} <= asked
    assert not {"TX-P1-disability", "TX-P1-counselling"} & asked


def test_who_only_teaches_a_student_has_no_more_of_them_for_being_a_lead_elsewhere(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = set_the_scene(monkeypatch)
    scene.ana.contacts.update(address="12 Larch Lane\nLarch Valley 00100")
    both = a_teacher(scene.school, a_section(scene.calendar, scene.ana))
    Assignment.objects.create(user=both, role=Role.SCHOOL_LEAD, school=a_school("Another"), starts=date(2026, 8, 1))
    client.force_login(both)
    page = client.get(reverse("student", args=[scene.ana.pk]))
    assert page.status_code == 200
    assert "12 Larch Lane" not in page.content.decode()
    for view in ("student_law", "law_lines"):
        assert client.get(reverse(view, args=[scene.ana.pk])).status_code == 404
    assert client.post(reverse("letter_draft", args=[scene.ana.pk]), {"rule": "x"}).status_code == 404


def test_an_officer_of_another_school_does_not_read_what_protects_a_student_they_see_as_a_lead(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = set_the_scene(monkeypatch)
    protect(scene.officer, scene.ana, "homeless", LETTERS_TODAY, None)
    kept = Protection.objects.system("a test looks").get()
    Assignment.objects.create(user=scene.lead, role=Role.OFFICER, school=a_school("Another"), starts=date(2026, 8, 1))
    page = reverse("student_law", args=[scene.ana.pk])
    client.force_login(scene.officer)
    assert "What protects this student" in client.get(page).content.decode()
    client.force_login(scene.lead)
    assert "What protects this student" not in client.get(page).content.decode()
    assert client.post(reverse("law_protect", args=[scene.ana.pk]), {"flag": "foster"}).status_code == 404
    assert client.post(reverse("law_unprotect", args=[kept.pk])).status_code == 404
    kept.refresh_from_db()
    assert kept.withdrawn_at is None
