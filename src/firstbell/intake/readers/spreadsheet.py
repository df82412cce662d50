"""A plain sheet, CSV or XLSX: one row an absence. What most schools can export from PowerSchool, Infinite Campus, Aeries, Skyward, Synergy,
SIMS or Arbor. Columns are found by name, or as a person said; formulas are never evaluated, only their last value read.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from firstbell.intake.readers.archive import MAX_RATIO, Delivery
from firstbell.intake.readers.records import IntakeError, Item, MarkBatch, Notice, Refusal, UnreadBatch
from firstbell.intake.readers.table import MAX_COLUMNS, Row, Table, csv_line
from firstbell.intake.readers.values import (
    Bad,
    date_order,
    excel_date,
    is_ambiguous,
    parse_date,
    parse_minutes,
    parse_moment,
    text,
)
from firstbell.said import said

__all__ = ["FIELDS", "REQUIRED", "WORDS", "ColumnMapping", "SpreadsheetReader", "propose"]

#: What a sheet may say, with the headings vendors give it, folded to letters and digits.
FIELDS: dict[str, tuple[str, ...]] = {
    "student": (
        "studentid", "studentnumber", "student", "studentsourcedid", "pupilid", "upn", "admissionnumber", "admno", "localid", "stuid",
        "sisid", "otherid", "permid", "personid", "idestudiante", "idalumno", "matricula", "numerodematricula", "numerodeestudiante",
        "numeroestudiante", "schulernummer", "schulerid", "schulernr", "id",
    ),
    "date": ("date", "attendancedate", "attdate", "absencedate", "eventdate", "day", "fecha", "sessiondate", "datum"),
    "code": (
        "code", "attendancecode", "attcode", "mark", "status", "absencecode", "abscode", "attendancestatus", "type", "codigo",
        "attendancemark", "alldaycode", "estado", "kennzeichen", "kurzel",
    ),
    "excuse": ("excuse", "excusecode", "excused", "excusestatus"),
    "school": ("school", "schoolid", "schoolsourcedid", "schoolcode", "site", "campus", "escuela", "schoolnumber", "schule", "schulnummer"),
    "session": ("period", "session", "per", "ampm", "periodo", "sesion", "periodnumber", "stunde"),
    "minutes": ("minutes", "minutesmissed", "minuteslate", "minutesabsent", "absentminutes", "minutos", "minuten"),
    "reason": ("reason", "comment", "comments", "attendancereason", "absencereason", "motivo", "grund", "bemerkung", "notes"),
    "recorded_at": ("recordedat", "entered", "enteredat", "timestamp", "modified", "lastmodified"),
    "recorded_by": ("recordedby", "enteredby", "takenby", "teacher", "user"),
}  # fmt: skip
WORDS = {
    "student": said("the student's number"),
    "date": said("the date"),
    "code": said("the code"),
    "excuse": said("excused or not, where that has a column of its own"),
    "school": said("the school"),
    "session": said("the session or period"),
    "minutes": said("minutes missed"),
    "reason": said("the reason"),
    "recorded_at": said("when it was recorded"),
    "recorded_by": said("who recorded it"),
}
REQUIRED = ("student", "date", "code")
#: Where a vendor names the last day of an absence that runs over several. One row is one absence of one day here: what runs
#: longer is refused by its row, never cut to its first day.
_LAST_DAY = frozenset((
    "enddate", "dateto", "todate", "to", "until", "through", "thru", "lastday", "lastdate", "absenceenddate",
    "hasta", "fechahasta", "fechafin", "fechafinal", "bis", "enddatum", "datumbis",
))  # fmt: skip
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})$")
BATCH = 50_000
#: how far down a workbook's headings are looked for
_TITLE_ROWS = 20
_SHEETS = (".xlsx", ".xls", ".ods", ".xlsb")
_MAX_SHEET_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which column holds what: field -> heading. `date_order` for dates not written YYYY-MM-DD: dmy, mdy, ymd."""

    columns: Mapping[str, str]
    date_order: str = ""

    @classmethod
    def parse(cls, saved: str, order: str = "") -> ColumnMapping:
        """From "student=Pupil ID;date=Date"."""
        pairs = (part.split("=", 1) for part in saved.split(";") if "=" in part)
        return cls({field.strip(): heading.strip() for field, heading in pairs}, order)

    def saved(self) -> str:
        return ";".join(f"{field}={heading}" for field, heading in self.columns.items())


def _fold(heading: str) -> str:
    """A heading's letters and digits, without case and accents: "Código" is "codigo"."""
    return "".join(c for c in unicodedata.normalize("NFKD", heading.lower()) if c.isalnum())


def propose(header: list[str]) -> ColumnMapping:
    """The columns found by name; the first heading a vendor uses for a field wins."""
    by_name = {_fold(h): h for h in reversed(header)}
    found: dict[str, str] = {}
    for field, names in FIELDS.items():
        heading = next((by_name[n] for n in names if n in by_name and by_name[n] not in found.values()), None)
        if heading is not None:
            found[field] = heading
    return ColumnMapping(found)


class SpreadsheetReader:
    """Reads one sheet. `known_students`: a student's number or source id -> source id, as the register has them."""

    def __init__(
        self, delivery: Delivery, zone_of: Callable[[str], ZoneInfo], known_students: Mapping[str, str], mapping: ColumnMapping
    ) -> None:  # fmt: skip
        self.delivery, self.file = delivery, delivery.names[0]
        self._zone_of, self._known, self._mapping = zone_of, known_students, mapping
        self._lengths = sorted({len(number) for number in known_students if number.isdigit()})
        self._header: Row | None = None

    def header(self) -> list[str]:
        """The sheet's headings, for the page that maps them."""
        return self._headings().cells

    def _headings(self) -> Row:
        """The row of headings. A workbook may have a title or empty rows above it, a CSV file may not."""
        if self._header is None:
            if self.file.lower().endswith(_SHEETS):
                self._header = self._headings_of_sheet()
            else:
                with self.delivery.open(self.file) as stream:
                    self._header = Row(1, Table(self.file, stream).header)
        return self._header

    def _headings_of_sheet(self) -> Row:
        """The first of the top rows that names all that is needed; else the first that holds anything."""
        top = [row for row in itertools.islice(self._sheet_rows(), _TITLE_ROWS) if any(c.strip() for c in row.cells)]
        for row in top:
            columns = {**propose(row.cells).columns, **self._mapping.columns}
            if all(columns.get(field) in row.cells for field in REQUIRED):
                return row
        if not top:
            raise IntakeError(self.file, 1, None, said("is empty: not even a header. Nothing was read."))
        return top[0]

    def read(self) -> Iterator[Item]:
        header = self.header()
        columns = {**propose(header).columns, **self._mapping.columns}
        for field in REQUIRED:
            if field not in columns or columns[field] not in header:
                raise IntakeError(
                    self.file, self._headings().line, None,
                    said("no column was found for %(field)s. The sheet has: %(value)s. Say which it is on the Intake page; nothing was read.", field=WORDS[field], value=', '.join(filter(None, header[:30]))),
                )  # fmt: skip
        at = {field: header.index(heading) for field, heading in columns.items() if heading in header}
        named = [
            said("%(field)s from %(heading)s", field=WORDS[field], heading=repr(heading))
            for field, heading in columns.items() if field in at
        ]  # fmt: skip
        yield Notice(self.file, said("columns were read so: %(named)s", named=named))
        order = self._mapping.date_order or date_order(
            row.cells[at["date"]] for row in self._rows(len(header)) if isinstance(row, Row)
        )
        if order:
            words = {"dmy": said("day/month/year"), "mdy": said("month/day/year"), "ymd": said("year/month/day")}[order]
            yield Notice(self.file, said("dates were read as %(words)s", words=words))
        self._ask_if_ambiguous(at["date"], order, len(header))
        last_day = next((i for i, h in enumerate(header) if _fold(h) in _LAST_DAY and i not in at.values()), None)
        batch = MarkBatch(self.file)
        restored = 0
        for row in self._rows(len(header)):
            if isinstance(row, Refusal):
                yield row
                continue
            if last_day is not None and (several := self._several_days(row, at["date"], last_day, order)):
                yield several
                continue
            refusal, was_restored = self._mark(row, at, order, batch)
            restored += was_restored
            if refusal is not None:
                yield refusal
                yield from self._unread(row, at, order)
            if len(batch) >= BATCH:
                yield batch
                batch = MarkBatch(self.file)
        if len(batch):
            yield batch
        if restored:
            yield Notice(
                self.file,
                said(
                    "%(restored)s student numbers had lost their leading zeros and were matched by their length",
                    restored=restored,
                ),
            )

    def _unread(self, row: Row, at: Mapping[str, int], order: str) -> Iterator[UnreadBatch]:
        """The square of a refused row that still says whom and which day it meant."""

        def cell(field: str) -> str:
            return row.cells[at[field]].strip() if field in at else ""

        try:
            student, _restored = self._student(text(cell("student")))
            day, school, session = _day(cell("date"), order), text(cell("school")), text(cell("session"))
        except Bad:
            return
        if student:
            yield UnreadBatch(self.file, [student], [school], [day], [session], [None])

    def heading(self, _kind: str, field: str) -> str:
        field = {"recordedAt": "recorded_at"}.get(field, field)
        return {**propose(self.header()).columns, **self._mapping.columns}.get(field, field)

    def as_sent(self, lines: Mapping[str, Set[int]]) -> Iterator[tuple[str, int, str]]:
        wanted = lines.get(self.file, frozenset())
        for row in self._rows(len(self.header())) if wanted else ():
            if isinstance(row, Row) and row.line in wanted:
                yield self.file, row.line, csv_line(row.cells)

    def _ask_if_ambiguous(self, column: int, order: str, width: int) -> None:
        if order:
            return
        for row in self._rows(width):
            if isinstance(row, Row) and is_ambiguous(row.cells[column]):
                raise IntakeError(
                    self.file, row.line, self.header()[column],
                    said("%(value)s and all other dates of the sheet could be day/month or month/day. Say which it is on the Intake page; nothing was read.", value=repr(row.cells[column])),
                )  # fmt: skip

    def _several_days(self, row: Row, first: int, last: int, order: str) -> Refusal | None:
        """The refusal of an absence that goes on after its first day, or whose last day can't be read."""
        start, end = row.cells[first].strip(), row.cells[last].strip()
        if not start or not end:
            return None
        try:
            if _day(end, order) == _day(start, order):
                return None
            why = str(said("runs over several days; send one row a day"))
        except Bad as error:
            why = str(error)
        return Refusal(self.file, row.line, self.header()[last], end[:300], why, csv_line(row.cells), "attendance")

    def _mark(self, row: Row, at: Mapping[str, int], order: str, batch: MarkBatch) -> tuple[Refusal | None, bool]:
        def cell(field: str) -> str:
            return row.cells[at[field]].strip() if field in at else ""

        def refused(field: str, why: str) -> tuple[Refusal, bool]:
            heading = self.header()[at[field]] if field in at else field
            return Refusal(
                self.file, row.line, heading, cell(field)[:300], why, csv_line(row.cells), "attendance"
            ), False

        for field in REQUIRED:
            if not cell(field):
                return refused(field, said("is empty"))
        student, restored = self._student(cell("student"))
        if student is None:
            return refused("student", said("could be more than one student once its leading zeros are put back"))
        field = "date"
        try:
            day = _day(cell("date"), order)
            field = "minutes"
            minutes = parse_minutes(cell("minutes"))
            field = "school"
            school = text(cell("school"))
            field = "recorded_at"
            recorded = parse_moment(cell("recorded_at"), self._zone_of(school)) if cell("recorded_at") else None
            field = "code"
            code = text(" ".join(filter(None, (cell("code"), cell("excuse")))))
            field = "reason"
            reason = text(cell("reason"))[:200]
            field = "recorded_by"
            by = text(cell("recorded_by"))[:120]
        except Bad as error:
            return refused(field, str(error))
        batch.line.append(row.line)
        batch.student.append(student)
        batch.school.append(school)
        batch.date.append(day)
        batch.session.append(cell("session"))
        batch.code.append(code)
        batch.minutes.append(minutes)
        batch.duration.append(None)
        batch.reason.append(reason)
        batch.recorded_at.append(recorded)
        batch.recorded_by.append(by)
        return None, restored

    def _student(self, value: str) -> tuple[str | None, bool]:
        """The source id for a number; whether zeros were put back. None when several students would fit."""
        value = value.removesuffix(".0")  # a number cell
        if value in self._known or not value.isdigit():
            return self._known.get(value, value), False
        fits = {self._known[v] for n in self._lengths if n > len(value) and (v := value.zfill(n)) in self._known}
        if len(fits) > 1:
            return None, False
        return (fits.pop(), True) if fits else (value, False)

    # -- rows --------------------------------------------------------------------------------------------------

    def _rows(self, width: int) -> Iterator[Row | Refusal]:
        if self.file.lower().endswith(_SHEETS):
            headings = self._headings().line
            for row in self._sheet_rows():
                if row.line <= headings:
                    continue
                cells = (row.cells + [""] * width)[:width]
                if any(cells):
                    yield Row(row.line, cells)
            return
        with self.delivery.open(self.file) as stream:
            yield from Table(self.file, stream).rows()

    def _sheet_rows(self) -> Iterator[Row]:
        from python_calamine import CalamineError, CalamineWorkbook

        self._check_size()
        try:
            with self.delivery.open(self.file) as stream:
                workbook = CalamineWorkbook.from_filelike(stream)
                for line, cells in enumerate(workbook.get_sheet_by_index(0).iter_rows(), 1):
                    if len(cells) > MAX_COLUMNS:
                        raise IntakeError(
                            self.file,
                            line,
                            None,
                            said(
                                "has %(n)s columns; %(max_columns)s is the most.",
                                n=f"{len(cells):,}",
                                max_columns=f"{MAX_COLUMNS:,}",
                            ),
                        )
                    yield Row(line, [_as_text(c) for c in cells])
        except (CalamineError, OSError, ValueError, IndexError) as error:
            if isinstance(error, IntakeError):
                raise
            raise IntakeError(
                self.file, None, None, said("is not a spreadsheet that can be read. Save it anew and send it again.")
            ) from error

    def _check_size(self) -> None:
        """An XLSX is a zip: refuse one that would swell."""
        with self.delivery.open(self.file) as stream:
            if stream.read(2) != b"PK":
                return
            try:
                entries = zipfile.ZipFile(stream).infolist()
            except zipfile.BadZipFile as error:
                raise IntakeError(self.file, None, None, said("is not a whole spreadsheet. Send it again.")) from error
        size, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
        if len(entries) > 2_000 or size > _MAX_SHEET_BYTES or (size > 10 * 2**20 and size > MAX_RATIO * max(packed, 1)):
            raise IntakeError(
                self.file, None, None, said("would unpack to %(size)s bytes. Nothing was read.", size=f"{size:,}")
            )


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(int(cell.total_seconds() // 60))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _day(value: str, order: str) -> date:
    """A date in words, as YYYYMMDD, or as a spreadsheet's day number."""
    if match := _COMPACT.match(value):
        return parse_date("-".join(match.groups()))
    if value.replace(".", "", 1).isdigit() and "." not in value[:4] and len(value) >= 5 and "-" not in value:
        return excel_date(float(value))
    return parse_date(value, order)
