"""Staging: a delivery read once, kept beside its bytes in a SQLite file of its own, record by record.

`build` runs the reader and writes `stage.sqlite3` in the delivery's folder: one table a kind of record (`KINDS`), marks in
blocks (`MARK`), refusals, notices. It is written under another name and renamed when complete, so a stage is whole or is not
there; after a crash it is built again from the received bytes. `Stage` reads it in chunks. Rows that waited from earlier
deliveries of the source are staged with the new ones, so that a retry needs no way of its own.
"""

# Every name put into SQL here is a constant of KINDS; values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import csv
import io
import re
import sqlite3
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, time
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from django.db.models import Count, Max, QuerySet
from numpy.typing import NDArray

from firstbell.intake.models import Import, KeptRow, Source
from firstbell.intake.readers import records
from firstbell.intake.readers.archive import open_delivery
from firstbell.intake.reading import reader_for
from firstbell.intake.receive import folder_of, received
from firstbell.register.models import District, School
from firstbell.said import packed, said

_LIST = "\x1f"
_NOTHING = "\N{SYMBOL FOR NULL}"
_BATCH = 5000
#: Control characters, and the marks that make text read in another order than it is written (trust.md, abuse 42).
UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1e\x7f\u202a-\u202e\u2066-\u2069]")

#: One staged mark. Texts are numbers into the stage's `name` tables; -1 where the source is silent.
#: session: from 0, -1 the whole day, -2 - n the n-th session name. part: thousandths of the day missed. kept: a KeptRow.
MARK = np.dtype(
    [
        ("line", "<i8"), ("at", "<i8"), ("kept", "<i8"), ("student", "<i4"), ("date", "<i4"), ("code", "<i4"),
        ("reason", "<i4"), ("by", "<i4"), ("session", "<i2"), ("minutes", "<i2"), ("part", "<i2"), ("file", "<i2"),
    ]
)  # fmt: skip
#: in a mark's `kept`: it was refused, and only its square matters
UNREAD = -1
MARK_FIELDS = ("student", "school", "date", "session", "code", "minutes", "part", "reason", "at", "by")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record as staged: its table, its class, and what makes two records speak of the same thing."""

    name: str
    record: type
    key: tuple[str, ...]


KINDS: tuple[Kind, ...] = (
    Kind("org", records.OrgRecord, ("id",)),
    Kind("session", records.SessionRecord, ("id",)),
    Kind("calendar_day", records.CalendarDayRecord, ("school_id", "date")),
    Kind("student", records.StudentRecord, ("id",)),
    Kind("staff", records.StaffRecord, ("id",)),
    Kind("contact", records.ContactRecord, ("id",)),
    Kind("contact_link", records.ContactLink, ("student_id", "contact_id")),
    Kind("class", records.ClassRecord, ("id",)),
    Kind("enrolment", records.EnrolmentRecord, ("class_id", "person_id", "school_id", "role")),
    Kind("roll", records.RollRecord, ("school_id", "class_id", "date", "session", "taken", "recorded_at")),
)
#: What a reader calls the rows of a file it refused one of, where the rows are all of one kind.
FILE_KINDS = {
    "orgs": "org", "academicSessions": "session", "calendar": "calendar_day", "classes": "class",
    "enrollments": "enrolment", "rolls": "roll", "attendance": "mark",
}  # fmt: skip
_BY_RECORD = {kind.record: kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Staged:
    """A record with where it came from. `kept` is the KeptRow it waited in, or None."""

    record: Any
    file: str
    line: int
    kept: int | None


class Codec:
    """Between a record and the cells of a table row."""

    def __init__(self, record: type) -> None:
        self.record = record
        hints = typing.get_type_hints(record)
        self.names = tuple(f.name for f in fields(record) if hints[f.name] is not records.Where)
        self._decode = tuple(_decoder(hints[name]) for name in self.names)
        self._get = attrgetter(*self.names)

    def cells(self, record: object) -> list[Any]:
        return [_cell(value) for value in self._get(record)]

    def value(self, cells: Sequence[Any], where: records.Where) -> Any:
        given = {
            name: None if cell is None else decode(cell)
            for name, cell, decode in zip(self.names, cells, self._decode, strict=True)
        }
        return self.record(at=where, **given)


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool | Enum)):
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, tuple | list | frozenset):
        return _LIST.join("" if v is None else str(_cell(v)) for v in value)
    return str(value)


def _decoder(hint: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decoder(next(a for a in typing.get_args(hint) if a is not type(None)))
    if origin is tuple:
        inner = _decoder(typing.get_args(hint)[0])
        return lambda cell: tuple(inner(part) for part in cell.split(_LIST)) if cell else ()
    if hint is date:
        return date.fromisoformat
    if hint is time:
        return time.fromisoformat
    if hint is bool:
        return lambda cell: bool(int(cell))
    if hint is int:
        return int
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return lambda cell: cell


CODECS = {kind.name: Codec(kind.record) for kind in KINDS}


class _Names(dict[str, int]):
    """Texts numbered in order of first sight."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[tuple[int, str]] = []

    def __missing__(self, text: str) -> int:
        number = len(self)
        self[text] = number
        self.new.append((number, text))
        return number

    def column(self, texts: Iterable[str]) -> NDArray[np.int32]:
        return np.fromiter(map(self.__getitem__, texts), dtype=np.int32)


class _Sessions(dict[str, int]):
    """A session as the file has it ("" the whole day, "1", "AM") as MARK keeps it."""

    def __init__(self, names: _Names) -> None:
        super().__init__({"": -1})
        self._names = names

    def __missing__(self, text: str) -> int:
        number = int(text) - 1 if text.isascii() and text.isdigit() and 0 < int(text) < 100 else -2 - self._names[text]
        self[text] = number
        return number


_NAMES = ("student", "school", "code", "reason", "by", "session", "file")


def _columns(kind: Kind) -> str:
    return ", ".join(f'"{name}"' for name in CODECS[kind.name].names)


class Writing:
    """A stage being written."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=OFF")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("BEGIN")
        for kind in KINDS:
            self.db.execute(
                f'CREATE TABLE "{kind.name}" (seq INTEGER PRIMARY KEY, file TEXT, line INTEGER, kept INTEGER, '
                f"{_columns(kind)})"
            )
        self.db.execute("CREATE TABLE mark (seq INTEGER PRIMARY KEY, school INTEGER, n INTEGER, data BLOB)")
        self.db.execute("CREATE TABLE name (of TEXT, id INTEGER, text TEXT, PRIMARY KEY (of, id)) WITHOUT ROWID")
        self.db.execute(
            "CREATE TABLE refusal (file TEXT, line INTEGER, col TEXT, value TEXT, reason TEXT, row TEXT, kind TEXT)"
        )
        self.db.execute("CREATE TABLE notice (file TEXT, text TEXT)")
        self.db.execute("CREATE TABLE unused (file TEXT, kind TEXT, n INTEGER)")
        self.db.execute("CREATE TABLE coverage (file TEXT, kind TEXT, bulk INTEGER, sends TEXT, through TEXT)")
        self.names = {of: _Names() for of in _NAMES}
        self.path = path
        self.zones: dict[str, str] = {}
        self._rows: dict[str, list[list[Any]]] = {kind.name: [] for kind in KINDS}
        self._sessions = _Sessions(self.names["session"])
        self._refusals: list[tuple[Any, ...]] = []
        self.rows = 0

    def add(self, record: records.Record) -> None:
        kind = _BY_RECORD[type(record)]
        cells = CODECS[kind.name].cells(record)
        self.rows += 1
        for name, cell in zip(CODECS[kind.name].names, cells, strict=True):
            if isinstance(cell, str) and (found := UNSAFE.search(cell)):
                self.refuse(
                    records.Refusal(
                        record.at.file, record.at.line, name, UNSAFE.sub("\N{REPLACEMENT CHARACTER}", cell),
                        unsafe_reason(found[0]), csv_line(UNSAFE.sub("", str(c)) if c is not None else "" for c in cells),
                        kind.name,
                    )
                )  # fmt: skip
                return
        rows = self._rows[kind.name]
        rows.append([record.at.file, record.at.line, None, *cells])
        if isinstance(record, records.OrgRecord) and record.time_zone:
            self.zones[record.id] = record.time_zone
        if len(rows) >= _BATCH:
            self._flush(kind)

    def add_cells(self, kind: Kind, cells: Sequence[Any], *, file: str, line: int, kept: int) -> None:
        """A record as it waited, already in cells."""
        self._rows[kind.name].append([file, line, kept, *cells])

    def _flush(self, kind: Kind) -> None:
        rows = self._rows[kind.name]
        if rows:
            holes = ", ".join("?" * len(rows[0]))
            self.db.executemany(
                f'INSERT INTO "{kind.name}" (file, line, kept, {_columns(kind)}) VALUES ({holes})', rows
            )
            rows.clear()

    def add_marks(self, batch: records.MarkBatch) -> None:
        n = len(batch.line)
        names = self.names
        marks = np.empty(n, dtype=MARK)
        marks["line"] = batch.line
        marks["student"] = names["student"].column(batch.student)
        marks["date"] = np.fromiter(map(date.toordinal, batch.date), dtype=np.int32, count=n)
        marks["code"] = names["code"].column(batch.code)
        marks["reason"] = names["reason"].column(batch.reason)
        marks["by"] = names["by"].column(batch.recorded_by)
        marks["at"] = [-1 if at is None else at for at in batch.recorded_at]
        marks["minutes"] = [-1 if m is None else min(m, 9999) for m in batch.minutes]
        marks["part"] = [-1 if d is None else round(d * 1000) for d in batch.duration]
        marks["session"] = np.fromiter(map(self._sessions.__getitem__, batch.session), dtype=np.int16, count=n)
        marks["file"] = names["file"][batch.file]
        marks["kept"] = 0
        self._add_blocks(names["school"].column(batch.school), marks)
        self.rows += n

    def add_unread(self, batch: records.UnreadBatch) -> None:
        """Squares of refused marks: staged among the marks, counted nowhere."""
        marks = np.zeros(len(batch.student), dtype=MARK)
        marks["student"] = self.names["student"].column(batch.student)
        marks["date"] = [day.toordinal() for day in batch.date]
        marks["code"], marks["file"] = self.names["code"][""], self.names["file"][batch.file]
        marks["at"] = [-1 if at is None else at for at in batch.recorded_at]
        marks["session"] = [self._sessions[session] for session in batch.session]
        marks["kept"] = UNREAD
        self._add_blocks(self.names["school"].column(batch.school), marks)

    def _add_blocks(self, school: NDArray[np.int32], marks: NDArray[Any]) -> None:
        order = np.argsort(school, kind="stable")
        school = school[order]
        marks = marks[order]
        edges = [0, *(np.flatnonzero(np.diff(school)) + 1).tolist(), len(school)]
        self.db.executemany(
            "INSERT INTO mark (school, n, data) VALUES (?, ?, ?)",
            [(int(school[a]), b - a, marks[a:b].tobytes()) for a, b in pairwise(edges) if b > a],
        )

    def add_waiting_marks(self, rows: list[tuple[int, str, int, list[str]]]) -> None:
        """Marks that waited: (KeptRow, file, line, cells in the order of MARK_FIELDS)."""
        names = self.names
        marks = np.zeros(len(rows), dtype=MARK)
        school = np.zeros(len(rows), dtype=np.int32)
        for i, (kept, file, line, cells) in enumerate(rows):
            given = dict(zip(MARK_FIELDS, cells, strict=True))
            school[i] = names["school"][given["school"]]
            marks[i]["session"] = self._sessions[given["session"]]
            for of in ("student", "code", "reason", "by"):
                marks[i][of] = names[of][given[of]]
            for number in ("minutes", "part", "at"):
                marks[i][number] = int(given[number])
            marks[i]["date"] = date.fromisoformat(given["date"]).toordinal()
            marks[i]["file"], marks[i]["line"], marks[i]["kept"] = names["file"][file], line, kept
        if rows:
            self._add_blocks(school, marks)

    def refuse(self, refusal: records.Refusal) -> None:
        self._refusals.append(
            (
                refusal.file, refusal.line, str(refusal.column or ""), str(refusal.value or "")[:300], packed(refusal.reason),
                row_text(refusal.row), FILE_KINDS.get(refusal.kind, refusal.kind),
            )
        )  # fmt: skip
        self.rows += 1
        if len(self._refusals) >= _BATCH:
            self._flush_refusals()

    def _flush_refusals(self) -> None:
        self.db.executemany("INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?, ?)", self._refusals)
        self._refusals.clear()

    def notice(self, file: str, text: str) -> None:
        self.db.execute("INSERT INTO notice VALUES (?, ?)", (file, packed(text)))

    def unused(self, unused: records.Unused) -> None:
        self.db.execute("INSERT INTO unused VALUES (?, ?, ?)", (unused.file, unused.kind, unused.count))

    def covers(self, coverage: records.Coverage) -> None:
        through = coverage.complete_through
        self.db.execute(
            "INSERT INTO coverage VALUES (?, ?, ?, ?, ?)",
            (coverage.file, coverage.kind, coverage.bulk, coverage.sends, through.isoformat() if through else None),
        )

    def finish(self) -> None:
        for kind in KINDS:
            self._flush(kind)
            keys = ", ".join(f'"{k}"' for k in kind.key)
            self.db.execute(f'CREATE INDEX "{kind.name}_key" ON "{kind.name}" ({keys}, seq)')
        self.db.execute("CREATE INDEX mark_school ON mark (school, seq)")
        self._flush_refusals()
        for of, names in self.names.items():
            self.db.executemany("INSERT INTO name VALUES (?, ?, ?)", ((of, i, text) for i, text in names.new))
        self.db.execute("COMMIT")
        self.db.close()


def unsafe_reason(character: str) -> str:
    if character >= "\u202a":
        return said("It holds a mark that reverses the reading order, with which a name can pose as another.")
    return said("It holds a control character, which no name or code has.")


def row_text(row: object) -> str:
    """A refused row as CSV: as it came, or its cells."""
    if row is None or isinstance(row, str):
        return row or ""
    return csv_line(typing.cast("Sequence[object]", row))


def csv_line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(["" if c is None else c for c in cells])
    return out.getvalue()


def waiting_line(cells: Iterable[object]) -> str:
    """Cells of a record that waits as one CSV line, from which `waited_cells` has them back exactly."""
    return csv_line(_NOTHING if c is None else c for c in cells)


def waited_cells(line: str) -> list[str | None]:
    return [None if c == _NOTHING else c for c in next(csv.reader(io.StringIO(line, newline="")))]


def stage_of(delivery: Import, *, progress: Callable[[str, int, int], None] | None = None) -> Stage:
    """The stage of a delivery, built from its received bytes where it isn't there whole. Raises IntakeError.

    Built anew, too, when other rows wait by now than when it was made.
    """
    file = folder_of(delivery) / "stage.sqlite3"
    if file.exists():
        stage = Stage(file)
        if stage.waited() == waiting_keys(delivery):
            return stage
        stage.close()
    build(delivery, file, progress=progress)
    return Stage(file)


def waiting_keys(delivery: Import) -> str:
    """Which rows wait, told from any other such set by how many and the last of them."""
    found = waiting_rows(delivery.source).aggregate(n=Count("pk"), last=Max("pk"))
    return f"{found['n']} {found['last']}"


def waiting_rows(source: Source) -> QuerySet[KeptRow]:
    """Rows of a source that wait for somebody to be known, or for a code to be mapped."""
    return KeptRow.objects.filter(
        delivery__source=source, delivery__state=Import.State.APPLIED, settled_by=None
    ).exclude(why=KeptRow.Why.REFUSED)


def build(delivery: Import, file: Path, *, progress: Callable[[str, int, int], None] | None = None) -> None:
    """Read a delivery once, from beginning to end, into a stage."""
    file.parent.mkdir(parents=True, exist_ok=True)
    writing = Writing(file.with_suffix(".building"))
    tell = progress or (lambda _step, _done, _total: None)
    told = 0
    try:
        _add_waiting(writing, delivery)
        if not delivery.retry:
            reading = reader_for(open_delivery(received(delivery)), delivery.source, _Zones(writing))
            for item in reading.read():
                if isinstance(item, records.MarkBatch):
                    writing.add_marks(item)
                elif isinstance(item, records.UnreadBatch):
                    writing.add_unread(item)
                elif isinstance(item, records.Refusal):
                    writing.refuse(item)
                elif isinstance(item, records.Notice):
                    writing.notice(item.file, item.text)
                elif isinstance(item, records.Unused):
                    writing.unused(item)
                elif isinstance(item, records.Coverage):
                    writing.covers(item)
                else:
                    writing.add(item)
                if writing.rows - told >= 20_000:
                    told = writing.rows
                    tell("read", told, 0)
        writing.finish()
    except BaseException:
        writing.db.close()
        raise
    writing.path.replace(file)


class _Zones:
    """The school's own clock, from this delivery's schools or the register's, else the district's."""

    def __init__(self, writing: Writing) -> None:
        self._stated = writing.zones
        self._known = dict(School.objects.values_list("source_id", "time_zone"))
        self._district = District.objects.values_list("time_zone", flat=True).first()

    def __call__(self, school: str) -> ZoneInfo:
        stated = self._stated.get(school) or self._known.get(school) or self._district
        if not stated:
            stated = next(iter(self._stated.values()), "UTC")
        try:
            return ZoneInfo(stated)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")


def _add_waiting(writing: Writing, delivery: Import) -> None:
    """Rows of the same source that still wait for somebody to be known or a code to be mapped."""
    writing.db.execute("CREATE TABLE waited (keys TEXT)")
    writing.db.execute("INSERT INTO waited VALUES (?)", (waiting_keys(delivery),))
    waiting = waiting_rows(delivery.source)
    marks: list[tuple[int, str, int, list[str]]] = []
    for pk, file, line, kind, record in (
        waiting.order_by("pk").values_list("pk", "file", "line", "kind", "record").iterator(chunk_size=5000)
    ):
        cells = waited_cells(record)
        if kind != "mark":
            writing.add_cells(BY_NAME[kind], cells, file=file, line=line, kept=pk)
            continue
        marks.append((pk, file, line, [c or "" for c in cells]))
        if len(marks) >= 20_000:
            writing.add_waiting_marks(marks)
            marks.clear()
    writing.add_waiting_marks(marks)


class Stage:
    """A complete stage, for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def waited(self) -> str:
        return str(self.db.execute("SELECT keys FROM waited").fetchone()[0])

    def count(self, kind: str) -> int:
        return int(self.db.execute(f'SELECT count(*) FROM "{kind}"').fetchone()[0])

    def marks(self) -> int:
        return int(self.db.execute("SELECT coalesce(sum(n), 0) FROM mark").fetchone()[0])

    def read_by_file(self) -> Counter[tuple[str, str]]:
        """How many records each file gave, by kind. Rows that waited are counted under their own heading."""
        found: Counter[tuple[str, str]] = Counter()
        for kind in KINDS:
            for file, waited, n in self.db.execute(
                f'SELECT file, kept IS NOT NULL, count(*) FROM "{kind.name}" GROUP BY 1, 2'
            ):
                found["" if waited else file, kind.name] += n
        return found

    def groups(self, kind: Kind | str, chunk: int = 4000) -> Iterator[list[list[Staged]]]:
        """The records of a kind in order of key, in chunks; each group is all that was said of one key, oldest first."""
        kind = BY_NAME[kind] if isinstance(kind, str) else kind
        codec = CODECS[kind.name]
        keys = ", ".join(f'"{k}"' for k in kind.key)
        at = [codec.names.index(k) + 3 for k in kind.key]
        groups: list[list[Staged]] = []
        last: object = object()
        for row in self.db.execute(
            f'SELECT file, line, kept, {_columns(kind)} FROM "{kind.name}" ORDER BY {keys}, seq'
        ):
            staged = Staged(codec.value(row[3:], records.Where(row[0], row[1])), row[0], row[1], row[2])
            key = [row[i] for i in at]
            if key == last:
                groups[-1].append(staged)
                continue
            if len(groups) >= chunk:
                yield groups
                groups = []
            last = key
            groups.append([staged])
        if groups:
            yield groups

    def texts(self, of: str) -> list[str]:
        return [t for (t,) in self.db.execute("SELECT text FROM name WHERE of = ? ORDER BY id", (of,))]

    def schools_with_marks(self) -> list[int]:
        return [s for (s,) in self.db.execute("SELECT DISTINCT school FROM mark ORDER BY school")]

    def marks_of(self, school: int) -> NDArray[Any]:
        """Every staged mark of one school (its number in `texts("school")`), in the order they were read."""
        blocks = [
            np.frombuffer(data, dtype=MARK)
            for (data,) in self.db.execute("SELECT data FROM mark WHERE school = ? ORDER BY seq", (school,))
        ]
        return np.concatenate(blocks) if blocks else np.empty(0, dtype=MARK)

    def blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        for school, data in self.db.execute("SELECT school, data FROM mark ORDER BY seq"):
            yield school, np.frombuffer(data, dtype=MARK)

    def refusals(self) -> Iterator[tuple[str, int, str, str, str, str]]:
        """File, line, column, value, reason as it is kept (`said.packed`), the row."""
        yield from self.db.execute("SELECT file, line, col, value, reason, row FROM refusal ORDER BY rowid")

    def refused_kinds(self) -> list[tuple[str, str, int]]:
        return list(self.db.execute("SELECT file, kind, count(*) FROM refusal GROUP BY 1, 2"))

    def refused_by_file(self) -> Counter[str]:
        return Counter(dict(self.db.execute("SELECT file, count(*) FROM refusal GROUP BY 1")))

    def notices(self) -> list[tuple[str, str]]:
        return list(self.db.execute("SELECT file, text FROM notice ORDER BY rowid"))

    def unused(self) -> list[tuple[str, str, int]]:
        return list(self.db.execute("SELECT file, kind, sum(n) FROM unused GROUP BY 1, 2"))

    def bulk_files(self) -> set[str]:
        """The files that are the whole truth of what they hold."""
        return {file for (file,) in self.db.execute("SELECT file FROM coverage WHERE bulk")}

    def empty_lists(self) -> set[str]:
        """Lists, by the source's own name, that are sent whole and hold no row."""
        lists = set(self.db.execute("SELECT file, kind FROM coverage WHERE bulk"))
        holding: set[str] = {file for (file,) in self.db.execute("SELECT DISTINCT file FROM refusal")}
        for kind in KINDS:
            holding |= self.files_of(kind.name)
        return {kind for file, kind in lists if file not in holding}

    def files_of(self, kind: str) -> set[str]:
        return {f for (f,) in self.db.execute(f'SELECT DISTINCT file FROM "{kind}" WHERE kept IS NULL')}

    def stated(self) -> tuple[str, date | None]:
        """What the delivery says of itself: what it sends, and through which day it is complete."""
        sends = self.db.execute("SELECT max(sends) FROM coverage").fetchone()[0] or ""
        through = self.db.execute("SELECT max(through) FROM coverage").fetchone()[0]
        return sends, date.fromisoformat(through) if through else None
