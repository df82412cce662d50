"""The pages of the law, for district leads: proposing in two steps, answering, reading packs, replaying."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from firstbell import clock
from firstbell.access.models import AuditEntry, Role, User
from firstbell.casework.models import Adoption, ReplayRun
from firstbell.casework.replaying import replay, tried_pack
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=25)
OWN = """on = "example"
title = "Eight days"
effective_from = 2026-08-01
[[change]]
id = "ten-unexcused-days"
threshold = { count = 8 }
"""


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))


def of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def rosa(db: None) -> User:
    return a_user(Role.DISTRICT_LEAD)


@pytest.fixture
def tom(db: None) -> User:
    return a_user(Role.DISTRICT_LEAD)


def form(**more: str) -> dict[str, str]:
    return {
        "pack": "example",
        "starts": "2026-08-01",
        "overlay": OWN,
        "verified_by": "",
        "verified_on": "",
        "looked": "",
        "deed": "look",
        **more,
    }


def test_what_it_changes_is_read_before_it_is_proposed(rosa: User) -> None:
    client = of(rosa)
    wrong = client.post("/policy/propose/", form(overlay=OWN.replace("8 }", "12 }")))
    assert wrong.status_code == 422
    assert "your own rules, line 6" in wrong.content.decode()
    assert "{ count = 12 }" in wrong.content.decode()  # what was typed is kept
    unseen = client.post("/policy/propose/", form(deed="propose"))
    assert "nothing was proposed yet" in unseen.content.decode()
    assert not Adoption.objects.exists()
    look = client.post("/policy/propose/", form())
    assert "The line was 10 days, and is 8 days." in look.content.decode()
    looked = look.context["form"]["looked"]
    other = client.post("/policy/propose/", form(deed="propose", looked=looked, starts="2026-08-15"))
    assert "nothing was proposed yet" in other.content.decode()
    for _again in range(2):
        assert client.post("/policy/propose/", form(deed="propose", looked=looked)).status_code == 302
    assert Adoption.objects.get().overlay == OWN
    words = " ".join(client.get(f"/policy/{Adoption.objects.get().pk}/").content.decode().split())
    assert "on are judged by these rules; the days before, by what was in force then." in words


def test_a_file_takes_the_place_of_the_text_and_what_is_no_text_is_refused(rosa: User) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = of(rosa)
    page = client.post("/policy/propose/", {**form(overlay="x"), "file": SimpleUploadedFile("own.toml", OWN.encode())})
    assert "The line was 10 days, and is 8 days." in page.content.decode()
    page = client.post("/policy/propose/", {**form(), "file": SimpleUploadedFile("own.toml", b"\xff\xfe\x00")})
    assert page.status_code == 422
    assert "no text" in page.content.decode()
    page = client.post("/policy/propose/", {**form(), "file": SimpleUploadedFile("own.toml", b"x" * 100_001)})
    assert page.status_code == 422


def test_another_lead_answers_and_the_reason_is_kept_where_it_was_wrong(rosa: User, tom: User) -> None:
    made = Adoption.objects.create(
        pack="example", overlay=OWN, starts=date(2026, 8, 1), proposed_by=rosa, proposed_at=clock.now()
    )
    page = f"/policy/{made.pk}/"
    own = of(rosa).post(page, {"deed": "approve"})
    assert own.status_code == 422
    assert "Somebody else has to approve" in own.content.decode()
    assert of(tom).post(page, {"deed": "refuse", "why": ""}).status_code == 422
    assert of(tom).post(page, {"deed": "approve"}).status_code == 302
    assert "In force" in of(rosa).get(page).content.decode()
    past = of(rosa).post(page, {"deed": "end", "last": "2026-09-01", "why": "It is too strict."})
    assert past.status_code == 422
    assert "It is too strict." in past.content.decode()
    again = of(tom).post(page, {"deed": "refuse", "why": "too late"})
    assert again.status_code == 422


def test_the_page_says_who_asks_to_withdraw_and_lets_only_another_agree(rosa: User, tom: User) -> None:
    made = Adoption.objects.create(
        pack="example", starts=date(2026, 8, 1), proposed_by=rosa, proposed_at=clock.now(), approved_by=tom,
        approved_at=clock.now(),
    )  # fmt: skip
    page = f"/policy/{made.pk}/"
    assert "A second district lead has to agree." in of(rosa).get(page).content.decode()
    assert of(rosa).post(page, {"deed": "withdraw", "why": "Counsel says no."}).status_code == 302
    for reader, button in ((rosa, "Take this back"), (tom, "Agree")):
        text = of(reader).get(page).content.decode()
        assert "asks that it is withdrawn at once" in text
        assert "Counsel says no." in text
        assert f">{button}<" in text or f"{button}</button>" in text
    assert of(rosa).post(page, {"deed": "agree"}).status_code == 422
    assert of(tom).post(page, {"deed": "agree"}).status_code == 302
    assert "withdrawn" in of(tom).get(page).content.decode()


def test_a_pack_is_read_in_its_own_language_with_its_sources(rosa: User) -> None:
    text = of(rosa).get("/policy/packs/example/").content.decode()
    assert 'lang="en"' in text
    for words in (
        "Example Code § 1",
        "Not verified by counsel",
        "Reached at 10 days in the school year.",
        "Before it, on record: help offered.",
    ):
        assert words in text
    assert of(rosa).get("/policy/packs/nowhere/").status_code == 404
    assert of(rosa).get("/policy/packs/example/?version=1999-01-01").status_code == 404


def test_what_a_county_owes_stands_on_the_packs_page_and_is_no_students_step(rosa: User) -> None:
    page = of(rosa).get("/policy/packs/us-ga/").content.decode()
    assert "What the institution itself owes" in page
    assert "It is the duty of: county, and no student’s step." in page
    assert "By 2026-06-01." in page
    assert "At least 2 times in a school year." in page


def test_a_replay_is_asked_watched_read_and_taken_away(rosa: User) -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    for _ in range(12):
        draw(calendar, a_student(school, "Canary"), "UUUUU UUUUU PPPPP PPPPP")
    for _ in range(12):
        a_student(school)
    client = of(rosa)
    asked = {
        "pack": "example@2020-07-01",
        "year": "2027",
        "rule": "ten-unexcused-days",
        "line": "x",
        "overlay": "",
        "key": "k",
    }
    wrong = client.post("/policy/replays/", asked)
    assert wrong.status_code == 422
    assert 'value="x"' in wrong.content.decode()
    for more in (
        {"year": "²²²²"},
        {"year": ""},
        {"pack": "/etc/passwd@x"},
        {"key": ""},
        {"overlay": "x" * 100_001},
        {"rule": "\x00"},
    ):
        assert client.post("/policy/replays/", {**asked, "line": "8", **more}).status_code == 422
    assert client.post("/policy/replays/", {**asked, "line": "8"}).status_code == 302
    run = ReplayRun.objects.get()
    page = f"/policy/replays/{run.pk}/"
    assert "Waiting for its turn" in client.get(page).content.decode()
    assert client.get(f"{page}replay.csv").status_code == 302
    made = replay(tried_pack("example", rule="ten-unexcused-days", line="8"), 2027)
    ReplayRun.objects.update(state="done", result=json.dumps(made))
    assert client.get(f"{page}progress/")["HX-Refresh"] == "true"
    text = client.get(page).content.decode()
    assert "ten-unexcused-days" in text
    assert "Canary" not in text
    assert "Letters per officer and week" in text
    assert "There is no officer today" in text
    assert client.get(f"{page}replay.csv").content.decode().startswith("rule,what,of")
    export = client.get(f"{page}replay.json").json()
    assert (export["asked"]["rule"], export["asked"]["line"]) == ("ten-unexcused-days", "8")
    done = list(AuditEntry.objects.filter(action__contains="replay").order_by("id").values_list("action", flat=True))
    assert done == ["asked_replay", "saw_replay", "exported_replay", "exported_replay"]


@pytest.mark.parametrize(
    "path", ["/policy/", "/policy/propose/", "/policy/{pk}/", "/policy/packs/us-fl/", "/policy/replays/"]
)
def test_a_page_asks_the_database_a_dozen_things_at_most(rosa: User, tom: User, path: str) -> None:
    for day in range(1, 6):
        made = Adoption.objects.create(
            pack="example", overlay=OWN, starts=date(2026, 8, day), proposed_by=rosa, proposed_at=clock.now(), approved_by=tom,
            approved_at=clock.now(),
        )  # fmt: skip
    client = of(rosa)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(path.format(pk=made.pk)).status_code == 200
    assert len(asked) <= 12


def test_a_replay_kept_by_an_earlier_firstbell_says_so_and_its_export_stays(rosa: User) -> None:
    kept = ReplayRun.objects.create(
        asked_by=rosa, asked_at=clock.now(), key="old", pack="example", version="2020-01-01", year=2026,
        state=ReplayRun.State.DONE, result=json.dumps({"asked": {}, "rules": [], "load": {}}),
    )  # fmt: skip
    asked_anew = import_module("firstbell.casework.migrations.0011_replays_asked_anew")
    asked_anew.ask_anew(apps, None)
    words = of(rosa).get(f"/policy/replays/{kept.pk}/").content.decode()
    assert "It was reckoned by an earlier Firstbell, which told less." in words
    assert of(rosa).get(f"/policy/replays/{kept.pk}/replay.json").json()["rules"] == []
    assert of(rosa).get(f"/policy/replays/{kept.pk}/replay.csv").status_code == 302
    asked_anew.as_before(apps, None)
    kept.refresh_from_db()
    assert (kept.state, kept.problem) == (ReplayRun.State.DONE, "")


def test_among_arabic_words_the_day_of_a_version_is_not_turned_round(rosa: User, tom: User) -> None:
    Adoption.objects.create(
        pack="example", starts=date(2026, 8, 1), proposed_by=rosa, proposed_at=clock.now(), approved_by=tom, approved_at=clock.now()
    )  # fmt: skip
    rosa.language = "ar"
    rosa.save()
    assert '<bdi dir="ltr">2020-07-01</bdi>' in of(rosa).get("/policy/").content.decode()
