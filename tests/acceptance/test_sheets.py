"""Sheets as offices really make them, over a roster that came by another way."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from firstbell.intake.apply import NotApplied
from firstbell.intake.command import Imported, import_path
from tests.acceptance.district import absences, bring, refused, taken, workbook

pytestmark = pytest.mark.django_db
HEADINGS = ("Student Number", "Date", "Code", "Period")


@pytest.fixture(autouse=True)
def _a_roster(_a_day_in_september: None, tmp_path: Path) -> None:
    bring(tmp_path / "roster", attendance=None, rolls=None, **{"source.toml": None})


def sheet(tmp_path: Path, content: str, *, encoding: str = "utf-8") -> Imported:
    path = tmp_path / "absences.csv"
    path.write_bytes(content.encode(encoding))
    return taken(import_path(path, "sheets", yes=True))


@pytest.mark.parametrize(
    "content",
    [
        "Student Number\tDate\tCode\n101\t9/15/2026\tU\n",
        "Schülernummer;Datum;Kennzeichen;Grund\n000101;15.09.2026;U;krank\n",
        "Matrícula;Fecha;Código;Motivo\n101;15/09/2026;U;médico\n",
        "Número de estudiante,Fecha,Código\n101,2026-09-15,U\n",
        "sep=;\nStudent Number;Date;Code\n000101;2026-09-15;U\n",
        '"Student_Number","Att_Date","Att_Code"\n"000101","2026-09-15 00:00:00","U"\n',
        "Student Number,Date,Code\n101,20260915,U\n",
        "Student Number,Date,Code\n101,9/15/2026 8:05:00 AM,U\n",
        "Student Number,Date,Code\n101,46280,U\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_same_absence_is_read_from_every_kind_of_sheet(tmp_path: Path, content: str, encoding: str) -> None:
    sheet(tmp_path, content, encoding=encoding)
    assert absences() == {("s1", date(2026, 9, 15), "U")}


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([HEADINGS, (101, date(2026, 9, 15), "U", 1)], {}),
        ([HEADINGS, ("000101", "09/15/2026", "U", "1")], {}),
        ([HEADINGS, (101, date(2026, 9, 15), "U", 1.0)], {"from_1904": True}),
        ([("Absences of the week",), (), HEADINGS, (101, date(2026, 9, 15), "U", 1)], {}),
        ([HEADINGS, (), (101, date(2026, 9, 15), "U", 1)], {"top": 4}),
    ],
)
def test_the_same_absence_is_read_from_every_kind_of_workbook(
    tmp_path: Path, rows: list[tuple[object, ...]], options: dict[str, bool | int]
) -> None:
    path = workbook(tmp_path / "absences.xlsx", rows, **options)  # type: ignore[arg-type]
    taken(import_path(path, "sheets", yes=True))
    assert absences() == {("s1", date(2026, 9, 15), "U")}


def test_a_refused_row_of_a_workbook_is_named_by_the_line_a_person_sees(tmp_path: Path) -> None:
    rows = [("Absences",), HEADINGS, (101, date(2026, 9, 15), "U", 1), (102, "yesterday", "U", 1)]
    done = taken(import_path(workbook(tmp_path / "absences.xlsx", rows), "sheets", yes=True))
    assert refused(done) == {("absences.xlsx", 4, "Date", "yesterday")}


def test_an_absence_over_several_days_is_refused_and_never_cut_to_its_first(tmp_path: Path) -> None:
    done = sheet(
        tmp_path,
        "Student ID,Date,End Date,Code\n101,2026-09-08,2026-09-10,E\n102,2026-09-15,2026-09-15,E\n102,2026-09-16,,E\n",
    )
    assert refused(done) == {("absences.csv", 2, "End Date", "2026-09-10")}
    assert absences() == {("s2", date(2026, 9, 15), "E"), ("s2", date(2026, 9, 16), "E")}


@pytest.mark.parametrize("day", ["04.09.2026", "9/8/2026", "08-09-2026"])
def test_dates_that_could_be_two_days_are_asked_about_however_they_are_written(tmp_path: Path, day: str) -> None:
    with pytest.raises(NotApplied, match="could be day/month or month/day"):
        sheet(tmp_path, f"Student Number,Date,Code\n101,{day},U\n")
    assert absences() == set()


def test_an_empty_workbook_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(NotApplied, match="is empty"):
        import_path(workbook(tmp_path / "absences.xlsx", []), "sheets", yes=True)
