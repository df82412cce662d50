"""Abuse of the way in: what a file may try, by the numbers of the trust paper."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from firstbell.access.audit import verify
from firstbell.access.models import AuditEntry, Role
from firstbell.intake.apply import NotApplied
from firstbell.intake.command import import_path
from firstbell.intake.models import Import
from firstbell.intake.receive import NotReceived, receive
from firstbell.intake.report import kept_rows_csv
from firstbell.register.models import MarkEvent, School, Student
from tests.build import a_user
from tests.intake.files import SMALL, write

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"


@pytest.fixture(autouse=True)
def _a_home_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"


class Upload(io.BytesIO):
    def __init__(self, name: str, content: bytes = b"sourcedId,name,type\n") -> None:
        super().__init__(content)
        self.name = name

    def chunks(self) -> Any:
        yield self.getvalue()


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_abuse_35_a_cell_that_is_a_formula_goes_back_as_text(tmp_path: Path, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    row = f"s1,alder,{quoted},,U,,,,\n"
    done = import_path(write(tmp_path / "in", attendance=SMALL["attendance.csv"] + row), "larch", dry_run=True)
    sent = kept_rows_csv(done.delivery).read().decode("utf-8-sig")
    found = list(csv.reader(io.StringIO(sent, newline="")))
    assert len(found) == 2
    for line in found[1:]:
        for value in line:
            assert value[:1] not in tuple("=+-@\t\r")


@pytest.mark.parametrize("name", ["orgs\r\nX-Evil: 1.csv", "orgs\n.csv", "a\u202egpj.csv", "\x00.csv", "..", ""])
def test_abuse_36_a_file_name_with_a_line_end_is_refused(name: str, settings: Any) -> None:
    with pytest.raises(NotReceived):
        receive([Upload(name)], "larch", "test")
    assert Import.objects.count() == 0
    assert not any((settings.HOME / "intake").iterdir())


@pytest.mark.parametrize("name", ["../../orgs.csv", "..\\..\\orgs.csv", "/etc/orgs.csv"])
def test_abuse_36_a_file_name_with_folders_in_it_stays_in_its_own_folder(name: str, settings: Any) -> None:
    delivery = receive([Upload(name)], "larch", "test")
    kept = [p for p in (settings.HOME / "intake").rglob("*") if p.is_file()]
    assert [p.relative_to(settings.HOME / "intake").as_posix() for p in kept] == [f"{delivery.pk}/received/orgs.csv"]


def test_abuse_42_a_name_in_reversed_order_is_read_without_its_marks_and_an_emoji_is_a_name(tmp_path: Path) -> None:
    head = SMALL["users.csv"].splitlines()[0]
    rows = (
        "u2,,,true,alder,student,,,\u202eanA,Reyes,,2,,,,,03,,\n"
        "u3,,,true,alder,student,,,Zoë 🌻,O'Brien-Nuñez,,3,,,,,03,,\n"
        "u4,,,true,alder,student,,,Ana,\u2066Reyes,,4,,,,,03,,\n"
    )
    import_path(
        write(tmp_path / "in", users=f"{head}\n{rows}", enrollments=None, attendance=None, rolls=None),
        "larch",
        yes=True,
    )
    found = Student.objects.system(WHY).order_by("source_id").values_list("given_name", "family_name")
    assert list(found) == [("anA", "Reyes"), ("Zoë 🌻", "O'Brien-Nuñez"), ("Ana", "Reyes")]


@pytest.mark.parametrize("file", ["users", "attendance"])
def test_abuse_42_a_file_with_a_null_in_it_is_damaged_and_refused_by_its_line(tmp_path: Path, file: str) -> None:
    text = SMALL[f"{file}.csv"]
    with pytest.raises(NotApplied, match=f"{file}.csv, line {text.count(chr(10)) + 1}"):
        import_path(write(tmp_path / "in", **{file: text + "s1\x00,,,,,,,,\n"}), "larch", yes=True)
    assert Student.objects.system(WHY).count() == 0


def test_abuse_42_a_reversed_order_in_a_mark_never_reaches_the_register(tmp_path: Path) -> None:
    rows = (
        "s1,alder,2026-09-04,1,\u202eU,,,,\n"
        "s1,alder,2026-09-04,1,U,,\u202elli,2026-09-04T09:00:00-05:00,\n"
        "\u202es1,alder,2026-09-04,1,U,,,,\n"
    )
    done = import_path(
        write(tmp_path / "in", attendance=SMALL["attendance.csv"] + rows), "larch", yes=True, accept=["refused_rows"]
    )
    for event in MarkEvent.objects.system(WHY).select_related("meaning"):
        assert "\u202e" not in event.reason + event.meaning.source_code
    assert sum(t.read for t in done.delivery.tallies.filter(file="attendance.csv")) == 8
    for kept in done.delivery.kept_rows.all():
        assert "\u202e" not in kept.value


def test_abuse_42_a_school_whose_name_runs_over_the_room_is_refused_on_both_databases(tmp_path: Path) -> None:
    orgs = SMALL["orgs.csv"].replace("Birch High", "B" * 201)
    done = import_path(write(tmp_path / "in", orgs=orgs), "larch", yes=True)
    assert not School.objects.filter(source_id="birch").exists()
    assert any(k.column == "name" for k in done.delivery.kept_rows.all())


def test_abuse_48_marks_in_bulk_are_in_the_audit_and_the_chain_holds(tmp_path: Path) -> None:
    done = import_path(write(tmp_path / "in"), "larch", yes=True, by="steward")
    lines = {e.subject: e.detail for e in AuditEntry.objects.filter(action="imported", actor="steward")}
    alder = School.objects.get(source_id="alder")
    assert lines[f"school:{alder.pk}"] == f"5 marks by import:{done.delivery.pk}"
    assert "5 mark new" in lines[f"import:{done.delivery.pk}"]
    assert set(MarkEvent.objects.system(WHY).values_list("delivery_id", flat=True)) == {done.delivery.pk}
    assert verify() is None


def test_abuse_33_a_script_in_a_refused_row_is_text_on_its_page(tmp_path: Path) -> None:
    row = "s1,alder,<script>alert(1)</script>,,U,,,,\n"
    done = import_path(write(tmp_path / "in", attendance=SMALL["attendance.csv"] + row), "larch", dry_run=True)
    client = Client()
    client.force_login(a_user(Role.DATA_STEWARD))
    page = client.get(reverse("intake_rows", args=[done.delivery.pk])).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
