"""Every page: axe finds nothing in either theme, nothing scrolls sideways at 320 px, right-to-left holds, the policy is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firstbell import clock
from firstbell.access.models import User
from firstbell.casework.done import record_done
from firstbell.casework.letters.deeds import draft
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Adoption, Done, ReplayRun
from firstbell.register.models import Contact
from firstbell.watch.models import Alert
from tests.access.two_schools import a_signed_letter
from tests.browser.scene import TODAY, Scene, set_the_scene, the_law
from tests.casework.letters_scene import WARNED, a_contact

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]


#: so that three absences ask for a letter
OVERLAY = """
on = "example"
title = "Larch Valley's own"
effective_from = 2020-07-01
[[rule]]
id = "three-days"
title = "3 unexcused days"
source = "example"
count = "unexcused"
threshold = { count = 3 }
window = { kind = "school_year" }
[rule.duty]
kind = "notify"
title = "Tell the family, and offer help"
contents = ["dates", "rule", "place"]
"""


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = set_the_scene(monkeypatch)
    the_law(scene)
    Adoption.objects.update(overlay=OVERLAY + WARNED)
    undone = a_signed_letter(scene.ana, scene.school, scene.officer)  # its line is not reached by any mark
    draft(scene.officer, scene.ana, "three-days", TODAY)
    assert Letter.objects.system("test").get(pk=undone.pk).undone
    a_signed_letter(scene.ana, scene.school, scene.officer)
    guardian = a_contact(scene.ana)  # who can be written to by e-mail
    Contact.objects.system("test").filter(pk=guardian.pk).update(email="maria@example.org")
    a_contact(scene.ana, "Victor", no_contact=True)
    jon = a_contact(scene.ana, "Jon")
    record_done(scene.officer, scene.ana, "warning", TODAY, TODAY, key="warning", to=[guardian.pk, jon.pk])
    record_done(scene.officer, scene.ana, "conference", TODAY, TODAY, rule="example/warned", key="talk", to=[jon.pk])
    Done.objects.system("test").create(
        student=scene.ana, kind="decision", on=TODAY, recorded_by=scene.officer, recorded_at=clock.now(), key="waits", waits_for="principal"
    )  # fmt: skip
    lead = User.objects.get(email="district@example.org")
    Adoption.objects.update(stop_asked_by=lead, stop_asked_at=clock.now(), stop_why="Counsel advises against it.")
    return scene


def letters(scene: Scene) -> list[str]:
    """A letter undone, a draft, what is looked at before it is signed, and a letter that holds."""
    pages = [f"/letter/{pk}/" for pk in Letter.objects.system("test").order_by("pk").values_list("pk", flat=True)]
    return [*pages, f"{pages[1]}check/", f"/student/{scene.ana.pk}/law/"]


def pages(scene: Scene) -> dict[str, list[str]]:
    streak = Alert.objects.system("test").get(student=scene.ana, kind="streak")
    student = f"/student/{scene.ana.pk}/"
    in_force, replayed = Adoption.objects.get().pk, ReplayRun.objects.get().pk
    return {
        "officer@example.org": [
            "/today/", "/steps/", "/steps/?all=1", "/steps/tried/", f"/steps/tried/{replayed}/?all=1", f"/alert/{streak.pk}/", student, f"{student}who/", f"{student}print/", f"{student}day/{TODAY}/", "/me/",
            f"{student}?as_of=2026-09-10", "/student/999999/", "/schools/", "/account/2fa/", "/account/password/change/", "/account/sessions/",
            *letters(scene), "/account/logout/",
        ],
        "lead@example.org": ["/steps/"],
        "teacher@example.org": ["/roll/", f"/roll/{scene.section.pk}/{TODAY}/0/"],
        "district@example.org": [
            "/schools/", "/model/", "/policy/", "/policy/propose/", f"/policy/{in_force}/", "/policy/packs/us-fl/", "/policy/replays/",
            f"/policy/replays/{replayed}/",
        ],
        "data@example.org": ["/intake/"],
    }  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(scene: Scene, somebody: Arrive, theme: str) -> None:
    wrong = []
    for email, paths in pages(scene).items():
        desk = somebody(color_scheme=theme)
        desk.open("/account/login/")
        wrong += [f"/account/login/ {w}" for w in desk.axe()]
        desk.sign_in(email)
        for path in paths:
            desk.open(path)
            wrong += [f"{path} {w}" for w in desk.axe()]
    assert wrong == []


def test_nothing_scrolls_sideways_at_320_pixels_in_either_direction(scene: Scene, somebody: Arrive) -> None:
    wide = []
    for language in ("en", "ar"):
        User.objects.update(language=language)
        for email, paths in pages(scene).items():
            desk = somebody(width=320, height=640)
            desk.sign_in(email)
            for path in paths:
                page = desk.open(path)
                assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
                if page.evaluate("document.documentElement.scrollWidth") > 320:
                    wide.append(f"{language} {path}")
    assert wide == []


def test_pages_hold_in_forced_colours_and_at_400_percent(scene: Scene, somebody: Arrive) -> None:
    desk = somebody(width=320, height=256, forced_colors="active")  # 1280 × 1024 at 400 %
    page = desk.sign_in("officer@example.org")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator("[data-row]").first.is_visible()
