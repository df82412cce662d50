"""Abuse that only a browser shows: two tabs, a session that ends, the back button, a script in a name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from firstbell.access.models import User
from firstbell.register.models import RollState, School, Section, Student
from firstbell.watch.models import Alert, Verdict
from tests.browser.scene import TODAY, Scene, set_the_scene
from tests.build import draw

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]
EVIL = '<script>document.title="owned"</script><svg onload="document.title=1">'


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch)


def everybody_was_idle() -> None:
    """As if nobody had touched anything for longer than a session may be idle."""
    from django.contrib.sessions.backends.db import SessionStore

    for session in Session.objects.all():
        store = SessionStore(session.session_key)
        if "last_seen" in store:
            store["last_seen"] = int(time.time()) - settings.SESSION_IDLE_SECONDS - 60
            store.save()


def streak_of(student: Student) -> Alert:
    return Alert.objects.system("test").get(student=student, kind="streak")


def test_abuse_18_two_tabs_two_students_and_nothing_is_saved_across(scene: Scene, somebody: Arrive) -> None:
    draw(scene.calendar, scene.ben, "PPPPP PPPPP PPPPU UU")
    from firstbell.watch.passes import run_pass

    run_pass()
    officer = somebody()
    first = officer.sign_in("officer@example.org")
    officer.open(f"/alert/{streak_of(scene.ana).pk}/")
    second = officer.new_page()
    second.goto(f"{officer.base}/alert/{streak_of(scene.ben).pk}/")
    first.get_by_label("Act").check()
    first.get_by_label("Why, in a few words").fill("About Ana.")
    second.get_by_label("Not a concern").check()
    second.get_by_label("Why, in a few words").fill("About Ben.")
    second.get_by_role("button", name="Put it on record").click()
    expect(second.get_by_text("Your verdict is on record.")).to_be_visible()
    first.get_by_role("button", name="Put it on record").click()
    expect(first.get_by_text("Your verdict is on record.")).to_be_visible()
    said = {
        (v.student.given_name, v.decision, v.reason) for v in Verdict.objects.system("test").select_related("student")
    }
    assert said == {("Ana", "act", "About Ana."), ("Ben", "no_concern", "About Ben.")}


def test_abuse_18_the_second_tab_on_one_alert_is_told_and_keeps_its_words(scene: Scene, somebody: Arrive) -> None:
    officer = somebody()
    first = officer.sign_in("officer@example.org")
    path = f"/alert/{streak_of(scene.ana).pk}/"
    officer.open(path)
    second = officer.new_page()
    second.goto(officer.base + path)
    for tab, words in ((first, "The first word."), (second, "The second word.")):
        tab.get_by_label("Act").check()
        tab.get_by_label("Why, in a few words").fill(words)
        tab.get_by_role("button", name="Put it on record").click()
        tab.wait_for_load_state()
    expect(second.get_by_text("While you were writing")).to_be_visible()
    expect(second.get_by_text("The second word.").first).to_be_visible()
    assert [v.reason for v in Verdict.objects.system("test")] == ["The first word."]


def test_abuse_27_an_idle_session_ends_and_the_draft_is_still_there_and_can_be_saved(
    scene: Scene, somebody: Arrive
) -> None:
    officer = somebody()
    page = officer.sign_in("officer@example.org")
    officer.open(f"/alert/{streak_of(scene.ana).pk}/")
    page.get_by_label("Act").check()
    page.get_by_label("Why, in a few words").fill("Long words, written slowly.")
    everybody_was_idle()
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_text("What you wrote is still here")).to_be_visible()
    expect(page.get_by_label("Why, in a few words")).to_have_value("Long words, written slowly.")
    assert not Verdict.objects.system("test").exists()
    with officer.context.expect_page() as opened:
        page.get_by_role("link", name="sign in in a new tab").click()
    tab = opened.value
    tab.fill("#id_login", "officer@example.org")
    tab.fill("#id_password", "correct horse battery")
    tab.press("#id_password", "Enter")
    tab.wait_for_url("**/today/")
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_text("Your verdict is on record.")).to_be_visible()
    assert Verdict.objects.system("test").get().reason == "Long words, written slowly."


def test_abuse_27_a_roll_tapped_before_the_time_out_is_kept_and_sent_after_signing_in(
    scene: Scene, somebody: Arrive
) -> None:
    phone = somebody(width=375, height=740)
    page = phone.sign_in("teacher@example.org")
    page.get_by_role("link", name="Take the roll of 3B").click()
    page.locator("li", has_text="Ben Okoro").locator("label.away").click()
    everybody_was_idle()
    page.get_by_role("button", name="Take the roll").click()
    expect(page.get_by_text("Your roll is still on this page")).to_be_visible()
    tab = phone.new_page()
    tab.goto(phone.base + "/account/login/")
    tab.fill("#id_login", "teacher@example.org")
    tab.fill("#id_password", "correct horse battery")
    tab.press("#id_password", "Enter")
    tab.wait_for_url("**/roll/")
    page.get_by_role("button", name="Take the roll").click()
    expect(page.get_by_text("The roll is taken. Thank you.")).to_be_visible()
    assert RollState.objects.filter(section=scene.section, taken=True).exclude(key="yesterday").count() == 1


def test_abuse_28_the_back_button_after_signing_out_shows_nothing(scene: Scene, somebody: Arrive) -> None:
    officer = somebody()
    page = officer.sign_in("officer@example.org")
    officer.open(f"/student/{scene.ana.pk}/")
    expect(page.get_by_role("heading", name="Ana Reyes")).to_be_visible()
    officer.open("/account/logout/")
    page.locator("main button").first.click()
    page.wait_for_load_state()
    for _ in range(3):
        page.go_back()
        page.wait_for_load_state()
        assert "Reyes" not in page.content()


def test_abuse_33_a_script_in_a_name_or_a_reason_is_text_everywhere(scene: Scene, somebody: Arrive) -> None:
    Student.objects.system("test").filter(pk=scene.ana.pk).update(given_name=EVIL, family_name="javascript:alert(1)")
    School.objects.update(name=f"Alder {EVIL}")
    Section.objects.update(title=EVIL[:40])
    User.objects.update(first_name=EVIL[:100])
    alert = streak_of(scene.ana)
    Verdict.objects.system("test").create(
        alert=alert, student=scene.ana, decision="act", reason=EVIL, given_by=scene.officer, given_at=alert.opened_at,
        measure=3,
    )  # fmt: skip
    student = f"/student/{scene.ana.pk}/"
    walks = {
        "officer@example.org": [
            "/today/", f"/alert/{alert.pk}/", student, f"{student}who/", f"{student}print/", f"{student}day/{TODAY}/", "/me/",
        ],
        "teacher@example.org": ["/roll/", f"/roll/{scene.section.pk}/{TODAY}/0/"],
        "district@example.org": ["/schools/", "/model/"],
    }  # fmt: skip
    for email, paths in walks.items():
        desk = somebody()  # which fails the test for any report of the content policy
        desk.sign_in(email)
        for path in paths:
            page = desk.open(path)
            assert "Firstbell" in page.title(), path
            assert page.locator("main script, main [onload], main a[href^='javascript']").count() == 0, path
