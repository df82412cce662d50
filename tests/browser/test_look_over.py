"""A look in the browser: two students of whom one is listed, told alike, answered like anything, in every theme and direction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from firstbell.access.models import User
from firstbell.register.models import Student
from firstbell.watch.drawing import draw_looks
from firstbell.watch.models import Alert, LookOver, Verdict
from firstbell.watch.passes import evaluate
from tests.browser.scene import Scene, set_the_scene
from tests.build import draw

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> Scene:
    """Ben has three absences nobody has explained, and is listed for it; of the others one is drawn too."""
    settings.HOME = tmp_path
    made = set_the_scene(monkeypatch)
    draw(made.calendar, made.ben, "NPPPP NPPPP NPPPP PP")
    evaluate(made.calendar)
    draw_looks()
    return made


def look_at(student: Student) -> Alert:
    return Alert.objects.system("test").get(student=student, kind="look_over")


def other_drawn(scene: Scene) -> Student:
    return LookOver.objects.system("test").exclude(student=scene.ben).select_related("student").get().student


def test_an_officer_is_asked_about_both_alike_and_told_the_rest_after_answering(scene: Scene, somebody: Arrive) -> None:
    officer = somebody()
    page = officer.sign_in("officer@example.org")
    for student in (scene.ben, other_drawn(scene)):
        expect(page.get_by_text(f"Have a look at {student.given_name}: should somebody act?")).to_be_visible()
    expect(page.get_by_text("absences of Ben are still without a reason")).to_have_count(0)
    page.locator("[data-row]", has_text="Have a look at Ben").get_by_role("link", name="Decide").click()
    expect(page.get_by_text("What the list says of them waits until you have answered")).to_be_visible()
    expect(page.get_by_text("Missed this year: 3 of 17 days, the latest on 14 September; late: 0.")).to_be_visible()
    page.get_by_role("link", name="the whole record").click()
    expect(page.get_by_text("Drawn by chance for a look.")).to_be_visible()
    expect(page.get_by_text("absences of Ben are still without a reason")).to_have_count(0)
    page.get_by_role("link", name="Decide").click()
    expect(page.get_by_text("What do you decide?")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_label("Not a concern")).to_be_checked()
    page.get_by_label("Why, in a few words").fill("His mother rang each time.")
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_text("Your verdict is on record.")).to_be_visible()
    expect(page.get_by_text("3 absences of Ben are still without a reason")).to_be_visible()
    assert Verdict.objects.system("test").get().alert.kind == "look_over"


def test_a_look_watched_until_a_day_and_taken_back_is_asked_again(scene: Scene, somebody: Arrive) -> None:
    page = somebody().sign_in("officer@example.org")
    page.locator("[data-row]", has_text="Have a look at Ben").get_by_role("link", name="Decide").click()
    page.get_by_label("Watch until").check()
    page.get_by_label("Look again on").fill((scene.calendar.covered_through + timedelta(days=8)).isoformat())
    page.get_by_label("Why, in a few words").fill("A week more.")
    page.get_by_role("button", name="Put it on record").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("Have a look at Ben: should somebody act?")).to_be_visible()
    assert look_at(scene.ben).state == "open"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_a_look_or_beside_it(scene: Scene, somebody: Arrive, theme: str) -> None:
    desk = somebody(color_scheme=theme)
    desk.sign_in("officer@example.org")
    wrong = []
    for path in ("/today/", f"/alert/{look_at(scene.ben).pk}/", f"/student/{scene.ben.pk}/", "/model/"):
        desk.open(path)
        wrong += [f"{path} {w}" for w in desk.axe()]
    assert wrong == []


def test_a_look_fits_320_pixels_in_either_direction(scene: Scene, somebody: Arrive) -> None:
    for language in ("en", "ar"):
        User.objects.update(language=language)
        desk = somebody(width=320, height=640)
        desk.sign_in("officer@example.org")
        for path in (f"/alert/{look_at(scene.ben).pk}/", f"/student/{scene.ben.pk}/", "/model/"):
            page = desk.open(path)
            assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, f"{language} {path}"
