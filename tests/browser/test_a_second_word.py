"""A report to the court that two people answer for: an officer puts it on record, the superintendent finds it among her steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from firstbell import clock
from firstbell.access.models import Role
from firstbell.access.people import give_role
from firstbell.casework.done import record_done
from firstbell.casework.models import Adoption, Done
from firstbell.register.models import Student
from tests.build import FIRST_MONDAY, PASSWORD, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]
TODAY = FIRST_MONDAY + timedelta(days=7 * 2 + 2)


@pytest.fixture
def ana(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Student:
    """Indiana, eleven days without a reason, and help was offered. Nobody is superintendent yet."""
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 15, tzinfo=UTC))
    Adoption.objects.create(pack="us-in", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school, grade="08")
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(calendar, ana, "UUUUU UUUUU U")
    officer = a_user(Role.OFFICER, school, email="officer@example.org")
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    return ana


def test_what_an_officer_put_on_record_waits_for_the_superintendent(ana: Student, somebody: Arrive) -> None:
    officer = somebody(width=390, height=844)
    page = officer.sign_in("officer@example.org")
    officer.open(f"/student/{ana.pk}/law/")
    ladder = page.locator("section.card", has_text="7 to 12: more than 10 days unexcused").first
    expect(
        ladder.get_by_text("Nobody holds the office of superintendent here: steps that need it wait.")
    ).to_be_visible()
    ladder.locator("summary", has_text="Put it on record").last.click()
    ladder.get_by_label("What happened, in a few words").last.fill("Report 14 to the intake officer.")
    ladder.get_by_role("button", name="Put it on record").last.click()
    expect(page.get_by_text("It counts once it is confirmed by: superintendent.").first).to_be_visible()
    expect(page.get_by_role("button", name="Confirm it")).to_have_count(0)
    assert officer.axe() == []
    officer.open("/steps/")
    expect(page.get_by_role("heading", name="Waits for another person, after you")).to_be_visible()
    assert officer.axe() == []

    give_role("ines@example.org", "school_lead", office="superintendent", name="Ines Marrow", password=PASSWORD)
    hers = somebody(width=390, height=844)
    page = hers.sign_in("ines@example.org")
    hers.open("/steps/")
    expect(page.get_by_role("heading", name="Waits for you")).to_be_visible()
    assert hers.axe() == []
    page.get_by_role("link", name="Read and answer").click()
    said = page.get_by_text("It counts once it is confirmed by: superintendent.")
    button = page.get_by_role("button", name="Confirm it")
    above, below = said.bounding_box(), button.bounding_box()
    assert above
    assert below
    assert below["y"] - (above["y"] + above["height"]) >= 8, "the button stands apart from its sentence"
    button.click()
    expect(page.get_by_text("confirmed by Ines Marrow, superintendent")).to_be_visible()
    assert Done.objects.system("a test looks").get(kind="report").waits_for == ""
    hers.open("/steps/")
    expect(page.get_by_role("heading", name="Waits for you")).to_have_count(0)
