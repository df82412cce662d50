"""The page and the card of a student before the law: what they say when there is nothing to say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.models import Adoption
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

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
