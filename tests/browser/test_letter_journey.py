"""A letter from the ladder to the printer, with a mark corrected in between and a note that comes late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from firstbell.access.models import User
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Done
from firstbell.casework.nightly import law
from tests.build import FIRST_MONDAY, at, mark
from tests.casework.letters_scene import TODAY, WHY, Scene, set_the_scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = set_the_scene(monkeypatch, squares="PUUUU UUUUU U")
    Done.objects.system(WHY).all().delete()  # help is still to be offered
    User.objects.filter(pk=scene.officer.pk).update(email="officer@example.org")
    return scene


@pytest.mark.parametrize("scripts", [True, False], ids=["", "without scripts"])
def test_from_the_ladder_to_the_printer_and_the_apology(scene: Scene, somebody: Arrive, scripts: bool) -> None:
    desk = somebody(width=390, height=844, java_script_enabled=scripts)
    page = desk.sign_in("officer@example.org")
    desk.open(f"/student/{scene.ana.pk}/law/")
    ladder = page.locator("section.card", has_text="10 unexcused full days").first
    expect(ladder.get_by_text("locked", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Draft the letter")).to_have_count(0)

    ladder.locator("summary", has_text="Put it on record").first.click()
    ladder.get_by_label("What happened, in a few words").first.fill("Offered a bus ticket.")
    ladder.get_by_role("button", name="Put it on record").first.click()
    page.get_by_role("button", name="Draft the letter").click()
    expect(page.get_by_text("Tuesday, September 1, 2026")).to_be_visible()

    # the school finds that Tuesday's absence was Monday's
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "U", recorded=at(TODAY, 16))
    mark(scene.calendar, scene.ana, FIRST_MONDAY + timedelta(days=1), "P", recorded=at(TODAY, 16))
    page.get_by_role("button", name="Save, and check before signing").click()
    expect(page.get_by_text("A mark was corrected since this was drafted")).to_be_visible()
    expect(page.get_by_role("button", name="Sign", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Back to the draft").click()
    page.get_by_role("button", name="Read the days again").click()
    expect(page.get_by_text("Monday, August 31, 2026")).to_be_visible()
    expect(page.get_by_text("Tuesday, September 1, 2026")).to_have_count(0)

    page.get_by_role("button", name="Save, and check before signing").click()
    expect(page.get_by_text("Nothing is in the way.")).to_be_visible()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_text("Signed and on record.")).to_be_visible()
    link = page.get_by_role("link", name="Open to print (PDF)").get_attribute("href")
    answer = desk.context.request.get(desk.base + link)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")

    # a week later a note comes in for a day that was counted
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 17))
    law("")
    page.reload()
    expect(page.get_by_text("A mark was corrected: since")).to_be_visible()
    page.get_by_role("link", name="The apology").click()
    expect(page.locator(".letter", has_text="We are sorry. Please put that letter away.")).to_be_visible()
    assert Letter.objects.system(WHY).filter(kind="correction").count() == 1
