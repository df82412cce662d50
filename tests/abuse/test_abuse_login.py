"""Sign-in and sessions."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from django.urls import reverse

from firstbell.access.models import Role, User
from firstbell.outreach.models import Message
from tests.build import PASSWORD, a_school, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return a_user(Role.OFFICER, a_school(), email="olive@example.org")


def signed_in(email: str = "olive@example.org", password: str = PASSWORD, **more: object) -> Client:
    client = Client(**more)
    client.post("/account/login/", {"login": email, "password": password})
    return client


def test_abuse_24_a_disabled_user_is_out_at_the_next_request(user: User) -> None:
    client = signed_in()
    assert client.get("/today/").status_code == 200
    User.objects.update(is_active=False)
    assert client.get("/today/").status_code == 302
    assert client.get("/live/number/").status_code == 302


def test_abuse_24_and_their_open_stream_ends(user: User) -> None:
    from firstbell.desk.live_views import _still_welcome

    client = signed_in()
    client.get("/today/")
    assert _still_welcome(client.session.session_key) is not None
    User.objects.update(is_active=False)
    assert _still_welcome(client.session.session_key) is None


def test_abuse_25_a_new_password_ends_the_other_sessions(user: User) -> None:
    here, elsewhere = signed_in(), signed_in()
    assert elsewhere.get("/today/").status_code == 200
    new = "another correct horse"
    here.post(reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert here.get("/today/").status_code == 200
    assert elsewhere.get("/today/").status_code == 302


def test_abuse_26_the_session_gets_a_new_number_at_sign_in(user: User) -> None:
    client = Client()
    client.get("/account/login/")
    session = client.session
    session["planted"] = "1"
    session.save()
    client.cookies["firstbell_session"] = session.session_key
    client.post("/account/login/", {"login": "olive@example.org", "password": PASSWORD})
    assert client.session.session_key != session.session_key


def test_an_idle_session_ends_and_so_does_an_old_one(
    user: User, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in (settings.SESSION_IDLE_SECONDS + 5, settings.SESSION_COOKIE_AGE + 5):  # type: ignore[attr-defined]
        client = signed_in()
        assert client.get("/today/").status_code == 200
        now = time.time()
        monkeypatch.setattr(time, "time", lambda now=now, hours=hours: now + hours)
        assert client.get("/today/").status_code == 302
        monkeypatch.undo()


def test_a_page_that_watches_by_itself_keeps_no_session_awake(user: User) -> None:
    client = signed_in()
    client.get("/today/")
    session = client.session
    session["last_seen"] = int(time.time()) - 600
    session.save()
    client.get("/live/number/", headers={"X-Live": "1"})
    assert client.session["last_seen"] < time.time() - 500


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil.example"]
)
def test_abuse_30_next_never_leads_outside(user: User, target: str) -> None:
    client = Client()
    answer = client.post("/account/login/", {"login": "olive@example.org", "password": PASSWORD, "next": target})
    assert answer.status_code == 302
    assert answer["Location"] == "/"


def test_abuse_31_a_form_without_its_token_is_refused_by_htmx_too(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    for headers in ({}, {"HX-Request": "true"}):
        answer = client.post("/me/", {"language": "es", "daily_minutes": "10"}, headers=headers)
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.content.decode()
    assert User.objects.get(pk=user.pk).language == "en"


def test_wrong_passwords_slow_down_and_do_not_lock_the_owner_out(user: User) -> None:
    from django.core.cache import cache

    for _ in range(12):
        signed_in(password="wrong").get("/")
    blocked = Client().post("/account/login/", {"login": "olive@example.org", "password": "wrong"})
    assert blocked.status_code in (200, 429)
    assert "Too many" in blocked.content.decode() or blocked.status_code == 429
    cache.clear()  # the five minutes have passed
    assert signed_in().get("/today/").status_code == 200


def test_nobody_signs_themselves_up() -> None:
    answer = Client().post(
        "/account/signup/", {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert answer.status_code in (200, 403, 404)
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_reset_link_uses_the_configured_address_and_goes_through_the_outbox(user: User, settings: object) -> None:
    settings.EMAIL_BACKEND = "firstbell.outreach.mail.OutboxBackend"  # type: ignore[attr-defined]
    settings.PUBLIC_URL = "https://desk.larch.example"  # type: ignore[attr-defined]
    settings.ALLOWED_HOSTS = ["*"]  # type: ignore[attr-defined]
    Client().post("/account/password/reset/", {"email": "olive@example.org"}, headers={"host": "evil.example"})
    message = Message.objects.get()
    assert "https://desk.larch.example/account/password/reset/key/" in message.body
    assert "evil.example" not in message.body


def test_known_and_unknown_addresses_look_alike(user: User) -> None:
    answers = [
        Client().post("/account/password/reset/", {"email": e}) for e in ("olive@example.org", "nobody@example.org")
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0]["Location"] == answers[1]["Location"]


def test_an_account_with_a_second_factor_asks_for_it(user: User) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(user, generate_totp_secret())
    client = Client()
    answer = client.post("/account/login/", {"login": "olive@example.org", "password": PASSWORD})
    assert "2fa" in answer["Location"]
    assert client.get("/today/").status_code == 302
