"""The data steward's pages, as a browser without scripts uses them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from firstbell.access.models import AuditEntry, Role
from firstbell.intake import work  # noqa: F401  # registers the kinds of job
from firstbell.intake.models import Import, KeptRow, Source
from firstbell.jobs.worker import Worker
from firstbell.register.models import MarkEvent, Student
from tests.build import PASSWORD, a_school, a_user
from tests.intake.files import SMALL, write

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"


@pytest.fixture(autouse=True)
def _a_home_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def steward() -> Client:
    client = Client()
    user = a_user(Role.DATA_STEWARD, email="steward@example.org")
    assert user.check_password(PASSWORD)
    client.force_login(user)
    return client


def a_zip(tmp_path: Path, name: str = "export.zip", **changes: str | None) -> io.BytesIO:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for file in sorted(write(tmp_path / name, **changes).iterdir()):
            archive.write(file, file.name)
    held.seek(0)
    held.name = name
    return held


def work_through() -> None:
    worker = Worker()
    from firstbell.jobs import queue

    while job := queue.lease_next():
        queue.run_leased(job)
    del worker


def send(steward: Client, upload: io.BytesIO) -> Import:
    answer = steward.post(reverse("intake"), {"files": [upload], "source": "larch"})
    assert answer.status_code == 302, answer.content.decode()
    return Import.objects.latest("pk")


def test_a_zip_is_dropped_looked_at_and_applied(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path))
    page = reverse("intake_delivery", args=[delivery.pk])
    assert "Being read" in steward.get(page).content.decode()
    work_through()
    assert Student.objects.system(WHY).count() == 0
    shown = steward.get(page).content.decode()
    assert "Ready to apply" in shown
    assert "attendance.csv" in shown
    assert steward.post(page, {"deed": "apply"}).status_code == 302
    assert steward.post(page, {"deed": "apply"}).status_code == 302  # twice does nothing more
    work_through()
    delivery.refresh_from_db()
    assert delivery.state == Import.State.APPLIED
    assert MarkEvent.objects.system(WHY).count() == 6
    assert "What changed" in steward.get(page).content.decode()
    assert AuditEntry.objects.filter(action="imported", subject=f"import:{delivery.pk}").exists()


def test_progress_asks_for_the_page_anew_when_the_work_is_over(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path))
    fragment = reverse("intake_progress", args=[delivery.pk])
    assert "HX-Refresh" not in steward.get(fragment)
    work_through()
    assert steward.get(fragment)["HX-Refresh"] == "true"


def test_a_held_delivery_is_applied_only_with_a_reason(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path, attendance=SMALL["attendance.csv"] + "s1,alder,yesterday,,U,,,,\n" * 9))
    work_through()
    page = reverse("intake_delivery", args=[delivery.pk])
    assert "refused_rows" in steward.get(page).content.decode()
    assert steward.post(page, {"deed": "apply"}).status_code == 422
    assert steward.post(page, {"deed": "apply_all_the_same", "reason": " "}).status_code == 422
    assert Student.objects.system(WHY).count() == 0
    steward.post(page, {"deed": "apply_all_the_same", "reason": "They know; it is mended tomorrow."})
    work_through()
    delivery.refresh_from_db()
    assert delivery.state == Import.State.APPLIED
    assert AuditEntry.objects.filter(action="accepted_bound", detail__contains="mended tomorrow").exists()


def test_a_delivery_set_aside_changes_nothing(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path))
    work_through()
    steward.post(reverse("intake_delivery", args=[delivery.pk]), {"deed": "cancel"})
    delivery.refresh_from_db()
    assert delivery.state == Import.State.CANCELLED
    assert steward.post(reverse("intake_delivery", args=[delivery.pk]), {"deed": "apply"}).status_code == 302
    work_through()
    assert Student.objects.system(WHY).count() == 0


def test_refused_rows_are_shown_and_sent_back(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path, attendance=SMALL["attendance.csv"] + "s1,alder,yesterday,,U,,,,\n"))
    work_through()
    rows = steward.get(reverse("intake_rows", args=[delivery.pk])).content.decode()
    assert "attendance.csv, line 7" in rows
    file = b"".join(steward.get(reverse("intake_rows_csv", args=[delivery.pk])).streaming_content).decode("utf-8-sig")
    assert "attendance.csv,7,date,yesterday" in file


def test_a_code_is_mapped_on_its_page_and_the_rows_that_waited_come_in(steward: Client, tmp_path: Path) -> None:
    marks = SMALL["attendance.csv"].splitlines()[0] + "\ns1,alder,2026-09-01,1,ZZ,,,2026-09-01T09:05:00-05:00,\n"
    delivery = send(steward, a_zip(tmp_path, attendance=marks))
    work_through()
    steward.post(reverse("intake_delivery", args=[delivery.pk]), {"deed": "apply"})
    work_through()
    source = Source.objects.get(name="larch")
    page = reverse("intake_codes", args=[source.pk])
    assert "ZZ" in steward.get(page).content.decode()
    steward.post(page, {"code": "ZZ", "meaning": "U"})
    work_through()
    assert MarkEvent.objects.system(WHY).get().meaning.letter == "U"
    assert KeptRow.objects.filter(settled_by=None).count() == 0
    assert "absent, unauthorised" in steward.get(page).content.decode().lower()


def test_a_file_nobody_can_read_is_told_so_and_not_kept(steward: Client, settings: Any) -> None:
    upload = io.BytesIO(b"%PDF-1.4")
    upload.name = "letter.pdf"
    answer = steward.post(reverse("intake"), {"files": [upload]})
    assert answer.status_code == 422
    assert "Nothing was kept" in answer.content.decode()
    assert Import.objects.count() == 0
    assert list((settings.HOME / "intake").iterdir()) == []


def test_a_file_broken_inside_refuses_the_delivery_with_its_line(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path, users=SMALL["users.csv"] + 's9,,,true,alder,student,,,"Ana,Reyes\n'))
    work_through()
    delivery.refresh_from_db()
    assert delivery.state == Import.State.REFUSED
    assert "users.csv, line 7" in delivery.problem


def test_a_steward_of_one_school_does_not_see_another_schools_delivery(steward: Client, tmp_path: Path) -> None:
    delivery = send(steward, a_zip(tmp_path))
    work_through()
    steward.post(reverse("intake_delivery", args=[delivery.pk]), {"deed": "apply"})
    work_through()
    other = Client()
    other.force_login(a_user(Role.DATA_STEWARD, a_school("Cedar Primary"), email="cedar@example.org"))
    for name in ("intake_delivery", "intake_rows", "intake_rows_csv", "intake_progress"):
        assert other.get(reverse(name, args=[delivery.pk])).status_code == 404
    assert other.get(reverse("intake_codes", args=[delivery.source_id])).status_code == 404
    assert "export.zip" not in other.get(reverse("intake")).content.decode()


def test_an_officer_has_no_way_in(tmp_path: Path) -> None:
    client = Client()
    client.force_login(a_user(Role.OFFICER, a_school(), email="officer@example.org"))
    assert client.get(reverse("intake")).status_code == 403
