"""Journeys of real people in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from firstbell.access import audit
from firstbell.access.models import AuditEntry, User
from firstbell.register.models import MarkEvent, RollState
from firstbell.watch.models import Alert, Verdict
from tests.browser.scene import Scene, set_the_scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch)


def test_an_officer_reads_why_decides_and_it_is_on_record(scene: Scene, somebody: Arrive) -> None:
    officer = somebody()
    page = officer.sign_in("officer@example.org")
    expect(page.get_by_text("Ana has been away 3 school days in a row")).to_be_visible()
    page.locator("[data-row]", has_text="Ana").get_by_role("link", name="Decide").click()
    expect(page.get_by_text("Put it on record")).to_be_visible()
    page.get_by_label("Act").check()
    page.get_by_label("Why, in a few words").fill("Spoke to her mother; the bus was cancelled.")
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_text("Your verdict is on record.")).to_be_visible()
    expect(page.get_by_text("Ana has been away 3 school days in a row")).to_have_count(0)
    verdict = Verdict.objects.system("test").get()
    assert (verdict.decision, verdict.given_by.email) == ("act", "officer@example.org")
    assert AuditEntry.objects.filter(action="verdict", subject=f"student:{scene.ana.pk}").exists()
    assert audit.verify() is None


def test_a_verdict_can_be_taken_back_from_the_toast(scene: Scene, somebody: Arrive) -> None:
    page = somebody().sign_in("officer@example.org")
    page.locator("[data-row]", has_text="Ana").get_by_role("link", name="Decide").click()
    page.get_by_label("Not a concern").check()
    page.get_by_label("Why, in a few words").fill("Chickenpox, the doctor wrote.")
    page.get_by_role("button", name="Put it on record").click()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("button", name="Put it on record")).to_be_visible()
    assert Alert.objects.system("test").get(student=scene.ana, kind="streak").state == "open"


def test_a_verdict_by_keyboard_alone(scene: Scene, somebody: Arrive) -> None:
    page = somebody().sign_in("officer@example.org")
    for _ in range(6):
        page.keyboard.press("j")
        if "Ana" in page.locator(".row.current").inner_text():
            break
    page.keyboard.press("e")
    expect(page.get_by_text("What do you decide?")).to_be_visible()
    page.keyboard.press("w")
    expect(page.get_by_label("Watch until")).to_be_checked()
    page.keyboard.type("Her grandmother is ill.")
    page.get_by_label("Look again on").focus()
    page.keyboard.type("10012026")
    page.get_by_role("button", name="Put it on record").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your verdict is on record.")).to_be_visible()
    assert Verdict.objects.system("test").get().watch_until.isoformat() == "2026-10-01"


def test_a_roll_taken_on_a_phone_shows_on_the_officers_page_without_a_reload(scene: Scene, somebody: Arrive) -> None:
    office = somebody().sign_in("officer@example.org")
    expect(office.get_by_text("The roll of 3B, session 1, is not taken")).to_be_visible()
    office.evaluate("window.stillTheSamePage = true")
    phone = somebody(width=375, height=740, has_touch=True)
    page = phone.sign_in("teacher@example.org")
    page.get_by_role("link", name="Take the roll of 3B").click()
    page.locator("li", has_text="Ben Okoro").locator("label.away").click()
    page.get_by_role("button", name="Take the roll").click()
    expect(page.get_by_text("The roll is taken. Thank you.")).to_be_visible()
    expect(office.get_by_text("Ben is not here today, and nobody has said why.")).to_be_visible()
    expect(office.get_by_text("The roll of 3B, session 1, is not taken")).to_have_count(0)
    assert office.evaluate("window.stillTheSamePage")
    assert MarkEvent.objects.system("test").filter(student=scene.ben).get().meaning.letter == "N"


def test_a_roll_on_bad_radio_is_kept_and_sent_again_and_counts_once(scene: Scene, somebody: Arrive) -> None:
    phone = somebody(width=375, height=740)
    page = phone.sign_in("teacher@example.org")
    page.get_by_role("link", name="Take the roll of 3B").click()
    page.locator("li", has_text="Ben Okoro").locator("label.away").click()
    phone.context.set_offline(True)
    page.get_by_role("button", name="Take the roll").click()
    expect(page.get_by_text("No connection. Your roll is kept")).to_be_visible()
    phone.context.set_offline(False)
    expect(page.get_by_text("The roll is taken. Thank you.")).to_be_visible(timeout=15_000)
    assert RollState.objects.filter(section=scene.section, taken=True).exclude(key="yesterday").count() == 1
    assert MarkEvent.objects.system("test").filter(student=scene.ben).count() == 1


def test_a_teacher_says_in_two_taps_that_something_is_off(scene: Scene, somebody: Arrive) -> None:
    office = somebody().sign_in("officer@example.org")
    phone = somebody(width=375, height=740)
    page = phone.sign_in("teacher@example.org")
    page.get_by_role("link", name="Take the roll of 3B").click()
    row = page.locator("li", has_text="Ben Okoro")
    row.locator("label.late").click()
    row.get_by_role("button", name="Something is off with Ben Okoro").click()
    row.get_by_role("button", name="Tired or hungry").click()
    expect(row.get_by_text("The attendance officer knows.")).to_be_visible()
    expect(row.locator("label.late input")).to_be_checked()
    expect(office.get_by_text("A teacher says that something is off with Ben")).to_be_visible()
    assert phone.axe() == []
    row.get_by_role("button", name="Take it back").click()
    expect(row.get_by_role("button", name="Something is off with Ben Okoro")).to_be_visible()
    expect(office.locator("[data-row]", has_text="something is off with Ben")).to_have_count(0)


def test_sign_in_with_password_and_second_factor_by_keyboard(scene: Scene, somebody: Arrive) -> None:
    from allauth.mfa.totp.internal.auth import (
        TOTP,
        format_hotp_value,
        generate_totp_secret,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    user = User.objects.get(email="officer@example.org")
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    desk = somebody()
    page = desk.open("/account/login/")
    page.focus("#id_login")
    page.keyboard.type("officer@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url("**/2fa/authenticate/**")
    page.focus("#id_code")
    page.keyboard.type(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))
    page.keyboard.press("Enter")
    page.wait_for_url("**/today/")


def test_setting_up_a_second_factor_shows_its_code_under_the_strict_policy(scene: Scene, somebody: Arrive) -> None:
    page = somebody().sign_in("officer@example.org")
    page.goto(page.url.split("/today")[0] + "/account/2fa/totp/activate/")
    if "reauthenticate" in page.url:
        page.fill("input[type=password]", "correct horse battery")
        page.keyboard.press("Enter")
    picture = page.locator("img[src^='data:image/svg']")
    expect(picture).to_be_visible()
    assert picture.evaluate("i => i.naturalWidth") > 0


def test_a_passkey_is_made_and_opens_the_desk(scene: Scene, somebody: Arrive) -> None:
    desk = somebody()
    page = desk.sign_in("officer@example.org")
    devtools = desk.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                     "isUserVerified": True, "automaticPresenceSimulation": True}},
    )  # fmt: skip
    page.goto(desk.base + "/account/2fa/webauthn/add/")
    if "reauthenticate" in page.url:
        page.fill("input[type=password]", "correct horse battery")
        page.keyboard.press("Enter")
    page.fill("input[name=name]", "this machine")
    passwordless = page.locator("input[name=passwordless]")
    if passwordless.count():
        passwordless.check()
    page.click("#mfa_webauthn_add")
    page.wait_for_url(lambda url: "/add/" not in url)
    page.goto(desk.base + "/account/logout/")
    page.locator("main button").first.click()
    page.wait_for_load_state()
    page.goto(desk.base + "/account/login/")
    page.click("#passkey_login")
    page.wait_for_url("**/today/")
