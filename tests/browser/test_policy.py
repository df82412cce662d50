"""Two district leads and the law: from a wrong line to a rule in force, and a replay from the page to the export."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.models import Adoption
from firstbell.jobs.queue import lease_next, run_leased
from tests.browser.scene import Scene, set_the_scene
from tests.build import a_student, a_user, draw

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]
WRONG = """on = "example"
title = "Three days"
effective_from = 2026-08-01

[[change]]
id = "ten-unexcused-days"
threshold = { count = 12 }
"""


@pytest.fixture
def scene(live_desk: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = set_the_scene(monkeypatch)
    a_user(Role.DISTRICT_LEAD, email="board@example.org")
    Adoption.objects.create(pack="example", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return made


def test_own_rules_go_from_a_wrong_line_to_the_students_page(scene: Scene, somebody: Arrive) -> None:
    rosa = somebody()
    rosa.sign_in("district@example.org")
    page = rosa.open("/policy/")
    page.get_by_role("link", name="Propose", exact=True).click()
    page.select_option("#pack", "example")
    page.fill("#starts", "2026-08-01")
    page.fill("#overlay", WRONG)
    page.get_by_role("button", name="Look at what it changes").click()
    assert "your own rules, line 7" in page.get_by_role("alert").inner_text()
    assert page.input_value("#overlay") == WRONG

    page.fill("#overlay", WRONG.replace("12", "3"))
    page.get_by_role("button", name="Look at what it changes").click()
    assert page.get_by_text("The line was 10 days, and is 3 days.").first.is_visible()
    assert rosa.axe() == []
    page.get_by_role("button", name="Propose it").click()
    page.wait_for_url("**/policy/*/")
    assert page.get_by_role("button", name="Approve").count() == 0
    refused = page.evaluate(
        "fetch(location.href, {method: 'POST', headers: {'X-CSRFToken': document.querySelector('[name=csrfmiddlewaretoken]').value},"
        " body: new URLSearchParams({deed: 'approve'})}).then(r => r.status)"
    )
    assert refused == 422  # one's own approval, by whichever way it is sent

    tom = somebody()
    tom.sign_in("board@example.org")
    theirs = tom.open("/policy/")
    theirs.get_by_role("link", name="Read and answer").click()
    assert theirs.get_by_text("The line was 10 days, and is 3 days.").first.is_visible()
    assert tom.axe() == []
    theirs.get_by_role("button", name="Approve").click()
    theirs.get_by_text("Each student’s page goes by it now").wait_for()

    officer = somebody()
    officer.sign_in("officer@example.org")
    student = officer.open(f"/student/{scene.ana.pk}/law/")
    assert student.get_by_text("3 days counted; the line is 3.").first.is_visible()


def test_a_replay_is_asked_watched_and_taken_away(scene: Scene, somebody: Arrive) -> None:
    for _ in range(12):
        draw(scene.calendar, a_student(scene.school, "Fay"), "UUUUP PPPPP PPPPP PP")
    for _ in range(12):
        a_student(scene.school, "Gil")
    rosa = somebody()
    rosa.sign_in("district@example.org")
    page = rosa.open("/policy/replays/")
    page.fill("#rule", "ten-unexcused-days")
    page.fill("#line", "4")
    page.get_by_role("button", name="Replay it").click()
    page.get_by_text("Waiting for its turn.").wait_for()
    assert rosa.axe() == []
    job = lease_next()
    assert job is not None
    assert job.kind == "replay"
    run_leased(job)
    page.get_by_role("heading", name="Every rule").wait_for()
    rule = page.locator("tbody").filter(has_text="ten-unexcused-days")
    assert rule.get_by_role("row").filter(has_text="tried").get_by_role("cell").nth(1).inner_text() == "12"
    for summary in page.locator("main details summary").all():
        summary.click()
    assert rosa.axe() == []
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = list(csv.reader(Path(download.value.path()).read_text("utf-8").splitlines()))
    assert [
        "ten-unexcused-days",
        "students",
        "",
        "29",
        "12",
        "kept back",
    ] not in lines  # nobody reached ten: a nought is told
    assert ["ten-unexcused-days", "students", "", "29", "12", "0"] in lines
