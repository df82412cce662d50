"""A plain sheet: a row an absence, by student number, into a register whose roster came by another way."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from firstbell import clock
from firstbell.access.models import Role
from firstbell.intake.apply import NotApplied
from firstbell.intake.command import import_path
from firstbell.intake.models import Import, Source
from firstbell.jobs import queue
from firstbell.register.models import MarkEvent, RegisterRow
from tests.build import a_user
from tests.intake.files import write

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"


@pytest.fixture(autouse=True)
def _a_roster(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HOME = tmp_path / "home"
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 21, 13, 40, tzinfo=UTC))
    import_path(write(tmp_path / "roster", attendance=None, rolls=None, **{"source.toml": None}), "larch", yes=True)


def sheet(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "absences.csv"
    path.write_text(text)
    return path


def test_a_sheet_without_a_school_finds_each_student_on_their_own_roll(tmp_path: Path) -> None:
    text = "Student Number,Attendance Date,Att Code\n000101,2026-09-10,U\n103,2026-09-10,E\n"
    done = import_path(sheet(tmp_path, text), "sheets", yes=True)
    found = {
        (e.student.source_id, e.calendar.school.source_id, e.meaning.letter) for e in MarkEvent.objects.system(WHY)
    }
    assert found == {("s1", "alder", "U"), ("s3", "birch", "E")}
    assert sum(t.read for t in done.delivery.tallies.all()) == 2
    # A sheet of absences says nothing of who was there; through its last day, no row means present.
    assert Source.objects.get(name="sheets").schools.count() == 2
    row = RegisterRow.objects.system(WHY).get(student__source_id="s1")
    assert row.codes[: 9 * 2].replace(" ", ".") == "PPPPPPPPPPPPPPUU.."


def test_a_sheet_names_its_school_by_name_or_number(tmp_path: Path) -> None:
    text = "Student Number,Date,Code,School\n000101,2026-09-10,U,Alder Primary\n000103,2026-09-10,E,102\n"
    import_path(sheet(tmp_path, text), "sheets", yes=True)
    assert {e.calendar.school.source_id for e in MarkEvent.objects.system(WHY)} == {"alder", "birch"}


def test_a_sheet_whose_columns_nobody_can_guess_is_mapped_by_a_person(tmp_path: Path) -> None:
    text = "Wer,Wann,Was\n000101,2026-09-10,U\n"
    with pytest.raises(NotApplied, match="no column was found for the student"):
        import_path(sheet(tmp_path, text), "sheets", yes=True)
    steward = Client()
    steward.force_login(a_user(Role.DATA_STEWARD))
    source = Source.objects.get(name="sheets")
    page = reverse("intake_columns", args=[source.pk])
    assert "Wann" in steward.get(page).content.decode()
    assert steward.post(page, {"student": "Wer", "date": "Wann"}).status_code == 200
    steward.post(page, {"student": "Wer", "date": "Wann", "code": "Was"})
    while job := queue.lease_next():
        queue.run_leased(job)
    delivery = Import.objects.latest("pk")
    assert delivery.state == Import.State.STAGED
    steward.post(reverse("intake_delivery", args=[delivery.pk]), {"deed": "apply"})
    while job := queue.lease_next():
        queue.run_leased(job)
    assert {e.student.source_id for e in MarkEvent.objects.system(WHY)} == {"s1"}


def test_an_open_document_sheet_is_a_sheet_and_no_archive_of_files(tmp_path: Path) -> None:
    office = "urn:oasis:names:tc:opendocument:xmlns"
    cell = "<table:table-cell office:value-type='string'><text:p>{}</text:p></table:table-cell>"
    rows = ""
    for row in ("Student Number,Date,Code", "000101,2026-09-10,U"):
        rows += f"<table:table-row>{''.join(map(cell.format, row.split(',')))}</table:table-row>"
    spaces = " ".join(f"xmlns:{name}='{office}:{name}:1.0'" for name in ("office", "table", "text"))
    path = tmp_path / "absences.ods"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr("META-INF/manifest.xml", f"<m:manifest xmlns:m='{office}:manifest:1.0'></m:manifest>")
        book.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet><table:table table:name='S'>{rows}"
            "</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    import_path(path, "sheets", yes=True)
    assert {e.student.source_id for e in MarkEvent.objects.system(WHY)} == {"s1"}


def test_a_number_nobody_has_waits_until_the_student_comes(tmp_path: Path) -> None:
    import_path(sheet(tmp_path, "Student Number,Date,Code\n000999,2026-09-10,U\n"), "sheets", yes=True)
    assert MarkEvent.objects.system(WHY).count() == 0
    assert Import.objects.latest("pk").kept_rows.get().value == "000999"


def test_a_sheet_dropped_on_the_page_is_taken(tmp_path: Path) -> None:
    upload = io.BytesIO(b"Student Number,Date,Code\n000101,2026-09-10,U\n")
    upload.name = "absences.csv"
    steward = Client()
    steward.force_login(a_user(Role.DATA_STEWARD))
    assert steward.post(reverse("intake"), {"files": [upload]}).status_code == 302
    assert Import.objects.latest("pk").source.kind == Source.Kind.SPREADSHEET
