"""The walk through a stage: every record is compared with the register, and, when the walk writes, written.

One walk serves both the preview and the applying, so that what was shown is what is done. A walk that doesn't write gives
what would be new a provisional number below zero, which no row has, so that later steps can name it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, models

from firstbell import clock
from firstbell.intake.mapping import CodeBook
from firstbell.intake.models import Import, KeptRow, Source
from firstbell.intake.readers.archive import open_delivery
from firstbell.intake.readers.records import Reader
from firstbell.intake.reading import reader_for
from firstbell.intake.receive import received
from firstbell.intake.staging import CODECS, UNSAFE, Kind, Stage, Staged, csv_line, waiting_line
from firstbell.register.models import Calendar, Enrolment, School, SchoolYear, UnreadMark
from firstbell.said import said

WHY = "a delivery is compared with the register"
#: rows that waited are tallied under this heading instead of a file
WAITED = "rows that waited"
NEW, CHANGED, UNCHANGED, REFUSED, WAITING = "new", "changed", "unchanged", "refused", "waiting"
_BATCH = 2000

Progress = Callable[[str, int, int], None]
"""Told the step, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Affected:
    """Whose register rows must be folded anew in one calendar; `everybody` after a change of its days."""

    students: set[int] = field(default_factory=set)
    everybody: bool = False


class Walk:
    """What the steps share: where they are, what they found, and what they decided so far."""

    def __init__(self, delivery: Import, stage: Stage, *, write: bool, progress: Progress | None = None) -> None:
        self.delivery = delivery
        self.source: Source = delivery.source
        self.stage = stage
        self.write = write
        self.progress: Progress = progress or (lambda _step, _done, _total: None)
        self.now: datetime = clock.now()
        self.codes = CodeBook(self.source, delivery)
        self.tally: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.notices: Counter[tuple[str, str]] = Counter()
        self.affected: dict[int, Affected] = defaultdict(Affected)
        self.unmapped: Counter[str] = Counter()
        self.measures: dict[str, float] = {}
        self.marks_by_school: Counter[str] = Counter()
        self.bulk = stage.bulk_files()
        #: what the steps leave for one another
        self.org_outcome: dict[str, str] = {}
        self.new_rolls: list[Enrolment] = []
        self.changed_rolls: list[tuple[int, Any]] = []
        self.missing: list[tuple[int, int]] = []
        #: by school: days that were school days and are none any more, of how many
        self.closed: dict[int, tuple[int, int]] = {}
        #: (student, school) whose seats ended because a full list of enrolments no longer names them
        self.unseated: set[tuple[int, int]] = set()
        self.remarks: Counter[tuple[str, str]] = Counter()
        self.letters: Counter[int] = Counter()
        self.schools_marked: set[int] = set()
        self.absent_by_day: Counter[int] = Counter()
        self.absent_by_school_day: Counter[tuple[int, int]] = Counter()
        self._zones: dict[int, ZoneInfo] = {}
        self._years: dict[int, Year] | None = None
        self._calendars: dict[int, dict[int, CalendarFacts]] | None = None
        self._kept: list[KeptRow] = []
        self._unread: list[UnreadMark] = []
        #: kept rows whose own line is still to be fetched: by file and line
        self._to_fetch: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._settled: list[int] = []
        self._provisional = 0
        self._pks: dict[type[models.Model], dict[str, int]] = {}

    # --- numbers ------------------------------------------------------------------------------------------------

    def pks(self, model: type[models.Model]) -> dict[str, int]:
        """Source id → primary key of every row of a model, with what this walk adds."""
        if model not in self._pks:
            manager: Any = model._default_manager
            rows = manager.system(WHY) if hasattr(manager, "system") else manager.all()
            self._pks[model] = dict(rows.values_list("source_id", "pk"))
        return self._pks[model]

    def provisional(self) -> int:
        self._provisional -= 1
        return self._provisional

    # --- outcomes -----------------------------------------------------------------------------------------------

    def count(self, staged: Staged, kind: str, outcome: str) -> None:
        self.tally[WAITED if staged.kept else staged.file, kind][outcome] += 1
        if staged.kept and outcome != WAITING:
            self.settle(staged.kept)

    def settle(self, kept: int) -> None:
        self._settled.append(kept)
        if len(self._settled) >= _BATCH:
            self._flush()

    def wait(self, staged: Staged, kind: str, column: str, value: str, reason: str) -> None:
        """The record names somebody or something not known yet: it is kept, and tried again with every later delivery."""
        self.count(staged, kind, WAITING)
        if not staged.kept:
            cells = CODECS[kind].cells(staged.record)
            self.keep(
                KeptRow(
                    why=KeptRow.Why.UNKNOWN_REFERENCE, file=staged.file, line=staged.line, column=column, value=value,
                    reason=reason, row=csv_line(cells), kind=kind, record=waiting_line(cells),
                )
            )  # fmt: skip

    def refuse(self, staged: Staged, kind: str, column: str, value: str, reason: str) -> None:
        self.count(staged, kind, REFUSED)
        self.keep(
            KeptRow(
                why=KeptRow.Why.REFUSED, file=staged.file, line=staged.line, column=column, value=value, reason=reason,
                row=csv_line(CODECS[kind].cells(staged.record)), kind=kind,
            )
        )  # fmt: skip

    def keep(self, row: KeptRow) -> None:
        if not self.write:
            return
        row.delivery = self.delivery
        row.value = UNSAFE.sub("", row.value)[:300]
        row.column = self.reader.heading(row.kind, row.column)[:120]
        row.file = row.file[:200]
        self._kept.append(row)
        if len(self._kept) >= _BATCH:
            self._flush()

    def unread(self, calendar: CalendarFacts, student: int, day: date, session: int, at: int) -> None:
        """Something was said about a square that nobody can read: until it can be, the square is not known."""
        if not self.write:
            return
        self._unread.append(
            UnreadMark(calendar_id=calendar.pk, student_id=student, date=day, session=session, recorded_at=at)
        )
        self.affected[calendar.pk].students.add(student)
        if len(self._unread) >= _BATCH:
            self._flush()

    def notice(self, file: str, text: str, n: int = 1) -> None:
        self.notices[file, text] += n

    def _flush(self) -> None:
        if self.write:
            KeptRow.objects.bulk_create(self._kept)
            for row in self._kept:
                self._to_fetch[row.file][row.line].append(row.pk)
            UnreadMark.objects.system(WHY).bulk_create(self._unread, ignore_conflicts=True, batch_size=500)
            for start in range(0, len(self._settled), 500):
                KeptRow.objects.filter(pk__in=self._settled[start : start + 500]).update(settled_by=self.delivery)
        self._kept.clear()
        self._unread.clear()
        self._settled.clear()

    def finish(self) -> None:
        self._flush()
        lines = {file: frozenset(found) for file, found in self._to_fetch.items()}
        updates: list[tuple[str, int]] = []
        for file, line, row in self.reader.as_sent(lines) if lines else ():
            updates += [(row.replace("\x00", ""), pk) for pk in self._to_fetch[file][line]]
        if updates:
            with connection.cursor() as cursor:
                cursor.executemany("UPDATE intake_keptrow SET row = %s WHERE id = %s", updates)

    @cached_property
    def reader(self) -> Reader:
        """The delivery once more, for what a sender wants to know of a row: its own words and its own headings."""
        return reader_for(open_delivery(received(self.delivery)), self.source, lambda _school: ZoneInfo("UTC"))

    # --- rows ---------------------------------------------------------------------------------------------------

    def one(self, group: Sequence[Staged], kind: str) -> Staged:
        """Of all that was said of one thing, what stands: the delivery's own first word; what differs from it is refused."""
        own = [s for s in group if not s.kept] or [group[-1]]
        stands = own[0]
        cells = CODECS[kind].cells(stands.record)
        for other in group:
            if other is stands:
                continue
            if other.kept or CODECS[kind].cells(other.record) == cells:
                self.count(other, kind, UNCHANGED)
            else:
                self.refuse(
                    other, kind, "", "",
                    said("Line %(line)s of %(file)s says otherwise of the same one; that line stands.", line=stands.line, file=stands.file),
                )  # fmt: skip
        return stands

    def upsert(
        self, model: type[models.Model], key: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert, or update by `key`, many rows by one statement. `columns` are field attnames, `key` among them."""
        if not rows or not self.write:
            return
        fields = {f.attname: f.column for f in model._meta.concrete_fields}
        names = ", ".join(f'"{fields[c]}"' for c in columns)
        holes = ", ".join(["%s"] * len(columns))
        sets = ", ".join(f'"{fields[c]}" = excluded."{fields[c]}"' for c in columns if c not in key)
        target = ", ".join(f'"{fields[k]}"' for k in key)
        then = f"UPDATE SET {sets}" if sets else "NOTHING"
        # The names come from the models; every value is a parameter.
        sql = f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({holes}) ON CONFLICT ({target}) DO {then}'  # noqa: S608
        with connection.cursor() as cursor:
            cursor.executemany(sql, rows)

    def too_long(self, model: type[models.Model], values: dict[str, Any]) -> tuple[str, str] | None:
        """The first field whose text the register has no room for, with the reason."""
        for name, value in values.items():
            limit = _limits(model).get(name)
            if limit is not None and isinstance(value, str) and len(value) > limit:
                return name, said("%(n)s characters; there is room for %(limit)s.", n=len(value), limit=limit)
        return None

    def compare(
        self,
        kind: Kind | str,
        model: type[models.Model],
        values_of: Callable[[Staged], dict[str, Any] | None],
        *,
        unsaid: Sequence[str] = (),
        after: Callable[[list[tuple[Staged, int]]], None] | None = None,
    ) -> None:
        """The step of every kind whose rows are known by `source_id`: compare in chunks, write what differs.

        `values_of` gives the row's fields, or None when it settled the record itself (waits, refused). Of the texts in `unsaid`
        None means that the source does not speak of it: it stays as it is. `after` sees each chunk's records with their primary keys.
        """
        name = kind if isinstance(kind, str) else kind.name
        total = self.stage.count(name)
        done = 0
        pks = self.pks(model)
        manager: Any = model._default_manager
        for groups in self.stage.groups(name):
            self.progress(name, done, total)
            done += sum(map(len, groups))
            wanted: list[tuple[Staged, dict[str, Any]]] = []
            for group in groups:
                staged = self.one(group, name)
                values = values_of(staged)
                if values is None:
                    continue
                if long := self.too_long(model, {"source_id": staged.record.id, **values}):
                    self.refuse(staged, name, long[0], str(values.get(long[0], staged.record.id)), long[1])
                    continue
                wanted.append((staged, values))
            if not wanted:
                continue
            columns = list(wanted[0][1])
            known = [pks[s.record.id] for s, _values in wanted if pks.get(s.record.id, -1) > 0]
            rows = manager.system(WHY) if hasattr(manager, "system") else manager.all()
            had: dict[str, tuple[Any, ...]] = {}
            for some in chunks(known):
                for row in rows.filter(pk__in=some).values_list("source_id", *columns):
                    had[row[0]] = row[1:]
            write: list[tuple[Any, ...]] = []
            for staged, values in wanted:
                before = had.get(staged.record.id)
                for silent in unsaid:
                    if values[silent] is None:
                        values[silent] = before[columns.index(silent)] if before else ""
                if before == tuple(values.values()):
                    self.count(staged, name, UNCHANGED)
                    continue
                self.count(staged, name, NEW if before is None else CHANGED)
                write.append((staged.record.id, *values.values()))
            self.upsert(model, ["source_id"], ["source_id", *columns], write)
            fresh = [row[0] for row in write if row[0] not in had]
            if self.write:
                for some in chunks(fresh):
                    pks.update(rows.filter(source_id__in=some).values_list("source_id", "pk"))
            else:
                pks.update((source_id, self.provisional()) for source_id in fresh)
            if after:
                after([(staged, pks[staged.record.id]) for staged, _values in wanted])

    def touch_school(self, school_pk: int, student_pk: int) -> None:
        """A student's stay at a school changed: their rows in each of its calendars are folded anew."""
        for calendar in self.calendars(school_pk).values():
            self.affected[calendar.pk].students.add(student_pk)

    def yesterday(self, zone: ZoneInfo) -> date:
        """The last day somebody can have been on a roll that a full delivery of today no longer names them in."""
        return clock.today(zone) - timedelta(days=1)

    def zone_of(self, school_pk: int) -> ZoneInfo:
        if school_pk not in self._zones:
            found = School.objects.filter(pk=school_pk).values_list("time_zone", flat=True).first()
            self._zones[school_pk] = ZoneInfo(found or "UTC")
        return self._zones[school_pk]

    # --- years --------------------------------------------------------------------------------------------------

    def year(self, ends_in: int, starts: date, ends: date) -> int:
        """The school year of that number, made or widened so that it holds these days. Its primary key.

        A year is only ever widened: so it is the same whichever of several files is read first.
        """
        years = self.years()
        had = years.get(ends_in)
        if had is None:
            if self.write:
                pk = SchoolYear.objects.create(ends_in=ends_in, starts=starts, ends=ends).pk
            else:
                pk = self.provisional()
            years[ends_in] = Year(pk, ends_in, starts, ends)
        elif starts < had.starts or ends > had.ends:
            years[ends_in] = Year(had.pk, ends_in, min(starts, had.starts), max(ends, had.ends))
            if self.write:
                SchoolYear.objects.filter(pk=had.pk).update(starts=years[ends_in].starts, ends=years[ends_in].ends)
        return years[ends_in].pk

    def years(self) -> dict[int, Year]:
        if self._years is None:
            self._years = {y.ends_in: Year(y.pk, y.ends_in, y.starts, y.ends) for y in SchoolYear.objects.all()}
        return self._years

    def year_of(self, day: date) -> int:
        """The number of the school year a date lies in: by what is known of school years, else July to June."""
        for year in self.years().values():
            if year.starts <= day <= year.ends:
                return year.ends_in
        return day.year + (day.month >= 7)

    def calendar(self, school_pk: int, ends_in: int) -> CalendarFacts:
        """The calendar of a school's year, made without days where it is new."""
        found = self.calendars(school_pk).get(ends_in)
        if found is None:
            pk = self.provisional()
            if self.write and school_pk > 0:
                pk = Calendar.objects.create(school_id=school_pk, school_year_id=self.years()[ends_in].pk).pk
            found = CalendarFacts(pk, school_pk, ends_in, 1, frozenset(), None)
            self.calendars(school_pk)[ends_in] = found
        return found

    def calendars(self, school_pk: int) -> dict[int, CalendarFacts]:
        if self._calendars is None:
            self._calendars = defaultdict(dict)
            for row in Calendar.objects.values_list(
                "pk", "school_id", "school_year__ends_in", "sessions", "covered_through", "session_minutes"
            ):
                self._calendars[row[1]][row[2]] = CalendarFacts(
                    row[0], row[1], row[2], row[3], None, row[4], tuple(map(int, row[5].split()))
                )
        return self._calendars[school_pk]


@dataclass(frozen=True, slots=True)
class Year:
    pk: int
    ends_in: int
    starts: date
    ends: date


@dataclass(slots=True)
class CalendarFacts:
    """A calendar as the walk knows it. `days`: its school days, None until they are asked for; `minutes` of each session, where it says."""

    pk: int
    school_pk: int
    ends_in: int
    sessions: int
    days: frozenset[date] | None
    covered_through: date | None
    minutes: tuple[int, ...] = ()


def chunks(ids: Sequence[Any], size: int = 800) -> Iterator[Sequence[Any]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


_room: dict[type[models.Model], dict[str, int]] = {}


def _limits(model: type[models.Model]) -> dict[str, int]:
    if model not in _room:
        _room[model] = {
            f.attname: f.max_length for f in model._meta.concrete_fields if getattr(f, "max_length", None) is not None
        }  # type: ignore[misc]
    return _room[model]


def session_number(name: str, sessions: int) -> int | None:
    """The index of a session from the name a source gives it ("AM", "2", "Period 3", "P3"), or None.

    AM and PM are the first and last of a day of two sessions; elsewhere they name no single session.
    """
    folded = name.strip().casefold()
    if folded in ("am", "morning", "am session", "pm", "afternoon", "pm session"):
        if sessions == 2:
            return 0 if folded[0] in "m" or folded.startswith("am") else 1
        return None
    digits = "".join(c for c in folded if c.isascii() and c.isdigit())
    if digits and len(digits) <= 2 and int(digits) >= 1:
        return int(digits) - 1
    return None


def total(counts: Iterable[Counter[str]], outcome: str) -> int:
    return sum(c[outcome] for c in counts)
