"""Deliveries as a district would send them, and the register as a reader of it would see it. Nothing here knows intake's insides."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from firstbell.intake.command import Imported, import_path
from firstbell.register.models import Enrolment, MarkEvent, RegisterRow
from tests.intake.files import SMALL, write

WHY = "a test looks at everything"
SOURCE_TOML = {"source.toml": SMALL["source.toml"]}
MARKS, ENROLMENTS, USERS = (SMALL[f"{name}.csv"].splitlines()[0] for name in ("attendance", "enrollments", "users"))


def lines(heading: str, rows: Iterable[str]) -> str:
    return "\n".join([heading, *rows, ""])


def marks(*rows: str) -> str:
    return lines(MARKS, rows)


def only(**files: str) -> dict[str, str | None]:
    """These files of the small district and none of its others."""
    left: dict[str, str | None] = {**dict.fromkeys((*SMALL, "calendar.csv")), **SOURCE_TOML}
    return {**left, **{name if "." in name else f"{name}.csv": text for name, text in files.items()}}


def bring(folder: Path, *, accept: Sequence[str] = (), **changes: str | None) -> Imported:
    """The small district with `changes`, delivered and applied; every row it read is accounted for."""
    folder.mkdir(exist_ok=True)
    place = write(folder / f"delivery{len(list(folder.iterdir()))}", **changes)
    return taken(import_path(place, "larch", yes=True, accept=list(accept)))


def taken(done: Imported) -> Imported:
    for t in done.delivery.tallies.all():
        assert t.read == t.new + t.changed + t.unchanged + t.refused + t.waiting + t.unused, t.file
    return done


def refused(done: Imported) -> set[tuple[str, int, str, str]]:
    """Every row that did not get in: its file, line, column and value."""
    return {(k.file, k.line, k.column, k.value) for k in done.delivery.kept_rows.all()}


def register() -> list[tuple[str, str, int, date, str, str]]:
    """The register in full, by what a school calls things, so that two databases can be compared."""
    rows = RegisterRow.objects.system(WHY).select_related(
        "student", "calendar__school", "calendar__school_year", "enrolment"
    )
    return sorted(
        (
            r.student.source_id, r.calendar.school.source_id, r.calendar.school_year.ends_in, r.enrolment.starts,
            r.codes, r.minutes,
        )
        for r in rows
    )  # fmt: skip


def squares(student: str, school: str = "alder", days: int = 14) -> list[str]:
    """The first three weeks at a school, a group of letters a day, over all of a student's stays there."""
    found = RegisterRow.objects.system(WHY).select_related("calendar")
    rows = found.filter(student__source_id=student, calendar__school__source_id=school).order_by("enrolment__starts")
    groups = []
    for row in rows:
        n = row.calendar.sessions
        groups.append(" ".join(row.codes[i * n : i * n + n].replace(" ", ".") for i in range(days)))
    return groups


def stays(student: str) -> list[tuple[str, date, date | None]]:
    found = Enrolment.objects.system(WHY).filter(student__source_id=student).order_by("starts", "school__source_id")
    return [(e.school.source_id, e.starts, e.ends) for e in found]


def absences() -> set[tuple[str, date, str]]:
    return {(e.student.source_id, e.date, e.meaning.letter) for e in MarkEvent.objects.system(WHY)}


def workbook(path: Path, rows: Sequence[Sequence[object]], *, from_1904: bool = False, top: int = 1) -> Path:
    """A workbook of one sheet, in its parts: texts as texts, dates as numbers that are styled as dates."""
    sheet = []
    for number, row in enumerate(rows, top):
        cells = []
        for column, value in enumerate(row):
            at = f'r="{chr(65 + column)}{number}"'
            if isinstance(value, date):
                days = (value - (date(1904, 1, 1) if from_1904 else date(1899, 12, 30))).days
                cells.append(f'<c {at} s="1"><v>{days}</v></c>')
            elif isinstance(value, int | float):
                cells.append(f"<c {at}><v>{value}</v></c>")
            elif value:
                cells.append(f'<c {at} t="inlineStr"><is><t>{value}</t></is></c>')
        sheet.append(f'<row r="{number}">{"".join(cells)}</row>' if cells else "")
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    since = ' date1904="1"' if from_1904 else ""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/><Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{links}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{links}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{links}/styles" Target="styles.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{links}"><workbookPr{since}/><sheets><sheet name="Absences" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/styles.xml": f'<styleSheet {main}><fonts count="1"><font/></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{''.join(sheet)}</sheetData></worksheet>",
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0"?>{content}')
    return path
