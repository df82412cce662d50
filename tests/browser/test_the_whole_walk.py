"""From a school system's export to a decision on record, in the browser, with nothing between done by hand."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import AuditEntry, Role
from firstbell.jobs import queue
from firstbell.register.models import School, Student
from firstbell.watch.models import Verdict
from tests.build import a_user
from tests.intake.files import SMALL, write

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Arrive = Callable[..., Any]
MORNING = datetime(2026, 9, 21, 13, 30, tzinfo=UTC)  # Monday, 8:30 in Chicago


def work_through() -> None:
    while job := queue.lease_next():
        queue.run_leased(job)


def test_from_a_district_export_to_a_verdict_on_record(
    live_desk: str, somebody: Arrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.HOME = tmp_path / "home"
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    a_user(Role.DATA_STEWARD, email="data@example.org")
    away = "".join(f"s1,alder,2026-09-{day},,U,,,2026-09-{day}T09:05:00-05:00,t1\n" for day in (15, 16, 17, 18))
    away += "s2,alder,2026-09-18,,ZZ,,,2026-09-18T09:05:00-05:00,t1\nnobody-such,alder,2026-13-40,,U,,,,\n"
    export = tmp_path / "export.zip"
    with zipfile.ZipFile(export, "w") as archive:
        folder = write(tmp_path / "files", attendance=SMALL["attendance.csv"] + away)
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)

    steward = somebody()
    page = steward.sign_in("data@example.org")
    page.get_by_role("button", name="Got it").click()
    page.get_by_label("Drop a zip or the files here").set_input_files(export)
    page.get_by_label("Which system is it from?").fill("larch")
    page.get_by_role("button", name="Send and look").click()
    expect(page.get_by_text("Being read")).to_be_visible()
    work_through()
    expect(page.get_by_role("heading", name="Ready to apply")).to_be_visible()  # by itself, without a reload
    assert not Student.objects.system("test").exists()
    page.get_by_role("button", name="Apply").click()
    work_through()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    expect(page.get_by_text("1 mark has a code nobody has mapped")).to_be_visible()

    page.get_by_role("link", name="See each with its reason").click()
    expect(page.get_by_text("2026-13-40").first).to_be_visible()
    with page.expect_download() as sent:
        page.get_by_role("link", name="A file to send back").click()
    assert "2026-13-40" in Path(sent.value.path()).read_text(encoding="utf-8-sig")

    page.go_back()
    page.get_by_role("link", name="Say what the codes mean").click()
    row = page.locator("li", has_text="ZZ")
    row.get_by_role("combobox").select_option(label="absent, authorised (excused)")
    row.get_by_role("button", name="Keep").click()
    work_through()
    assert steward.axe() == []

    a_user(Role.OFFICER, School.objects.get(source_id="alder"), email="officer@example.org")
    work_through()
    officer = somebody()
    page = officer.sign_in("officer@example.org")
    expect(page.get_by_text("Ana has been away 4 school days in a row")).to_be_visible()
    page.locator("[data-row]", has_text="Ana").get_by_role("link", name="Decide").click()
    page.get_by_label("Act").check()
    page.get_by_label("Why, in a few words").fill("Her mother rang; we meet on Tuesday.")
    page.get_by_role("button", name="Put it on record").click()
    expect(page.get_by_text("Your verdict is on record.")).to_be_visible()
    ana = Student.objects.system("test").get(source_id="s1")
    assert Verdict.objects.system("test").get().student_id == ana.pk
    done = AuditEntry.objects.values_list("action", flat=True)
    assert {"imported", "verdict"} <= set(done)
    assert AuditEntry.objects.filter(action="verdict", subject=f"student:{ana.pk}").exists()
    assert audit.verify() is None
    officer.open(f"/student/{ana.pk}/")
    expect(page.get_by_text("Her mother rang; we meet on Tuesday.")).to_be_visible()
