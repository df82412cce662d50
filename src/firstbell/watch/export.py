"""Writes the register grid of a school year as a lake (watch.lake): a school at a time, in constant memory, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import Count, Sum

from firstbell import clock
from firstbell.forecast.evidence import kinds_of_days
from firstbell.forecast.known import Carried
from firstbell.forecast.lines import Counted
from firstbell.register import rows
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, RegisterRow, Student
from firstbell.register.rows import SchoolGrid
from firstbell.watch import ahead
from firstbell.watch.lake import CALENDARS, CARRIED, LAST_YEAR, REGISTERS
from firstbell.watch.passes import Around, current_year, whole_days

__all__ = ["Exported", "NotWritten", "export_grid", "versions"]

WHY = "the grid is written for the pass on a cluster"
#: students in a row group, and in a file: a reader takes a group at a time, and several files side by side
GROUP, FILE = 50_000, 200_000


class NotWritten(ValueError):
    """The grid can't be written; the sentence says why. What was there is as it was."""


@dataclass(frozen=True, slots=True)
class Exported:
    schools: int
    students: int


def export_grid(
    folder: Path, as_of: date | None = None, progress: Callable[[int, int], None] | None = None
) -> Exported:
    """The registers of the school year that holds today, or a past day as known at its end."""
    now = clock.now()
    year = current_year(as_of or now.date())
    if year is None:
        raise NotWritten(f"No school year had begun by {as_of or now.date()}. Nothing was written.")
    calendars = list(Calendar.objects.filter(school_year=year).select_related("school", "school_year").order_by("pk"))
    stands_at = versions(calendars)
    around = Around.of(year, as_of=as_of)
    told = []
    students = 0
    with _whole_or_not(folder) as place, _Files(place / "registers") as files:
        for done, calendar in enumerate(calendars, 1):
            zone = calendar.school.zone
            day = as_of or now.astimezone(zone).date()
            known = now if as_of is None else datetime.fromtimestamp(clock.end_of_day(as_of, zone), UTC)
            school = rows.school_grid(calendar) if as_of is None else rows.grid_as_known(calendar, as_of)
            through, _today = whole_days(calendar, school.grid, day)
            files.write(_registers(school, through, around))
            count, total = stands_at.get(calendar.pk, (0, 0)) if as_of is None else (None, None)
            told.append(
                {
                    "school": calendar.school.source_id, "year": year.ends_in, "sessions": calendar.sessions,
                    "dates": school.grid.dates.astype(object).tolist(), "through": through, "day": day, "known": known,
                    "rows": count, "versions": total,
                }
            )  # fmt: skip
            students += len(school.student_ids)
            if progress:
                progress(done, len(calendars))
        pq.write_table(pa.Table.from_pylist(told, CALENDARS), place / "calendars.parquet", compression="zstd")
    return Exported(len(calendars), students)


def versions(calendars: list[Calendar]) -> dict[int, tuple[int, int]]:
    """By calendar: how many rows its register has, and how often they have been written. It tells whether any has changed."""
    registers = RegisterRow.objects.system(WHY).filter(calendar__in=calendars).values_list("calendar")
    return {pk: (n, total) for pk, n, total in registers.annotate(Count("pk"), Sum("version"))}


def _registers(school: SchoolGrid, through: int, around: Around) -> pa.Table:
    ids = school.student_ids
    n = len(ids)
    names = dict(
        Student.objects.system(WHY).filter(rows__calendar=school.calendar).values_list("pk", "source_id").distinct()
    )
    squares = school.grid.codes.shape[1]
    ends = pa.py_buffer(np.arange(n + 1, dtype=np.int32) * squares)
    codes = pa.StringArray.from_buffers(n, ends, pa.py_buffer(np.ascontiguousarray(school.grid.codes)))
    absent, possible = around.last_year.attendance(ids)
    before = around.last_year.before(ids)
    carried = _carried(school, through, around)
    columns = {
        "school": pa.repeat(school.calendar.school.source_id, n), "student": [names[int(i)] for i in ids],
        "stay": np.zeros(n, dtype=np.int32), "place": np.arange(n, dtype=np.int32), "grade": school.grades, "codes": codes,
        "last_absent": absent, "last_possible": possible,
        **{
            column: getattr(before[counted], name) if counted in before else pa.nulls(n, pa.float64())
            for counted, names in LAST_YEAR.items()
            for name, column in names.items()
        },
        **{column: getattr(carried, name) for name, column in CARRIED.items()},
    }  # fmt: skip
    return pa.table(columns, schema=REGISTERS)


def _carried(school: SchoolGrid, through: int, around: Around) -> Carried:
    """What the few who were at another school this year brought from there."""
    carried = Carried.nothing(len(school.student_ids))
    few = np.flatnonzero([int(i) in around.elsewhere for i in school.student_ids]) if around.elsewhere else []
    if not len(few):
        return carried
    grid = school.grid
    some = SchoolGrid(
        school.calendar, Grid(grid.codes[few], grid.dates, grid.sessions), school.student_ids[few],
        school.enrolment_ids[few], [school.grades[i] for i in few],
    )  # fmt: skip
    kinds = {counted: kinds_of_days(some.grid, through, counted) for counted in Counted}
    brought = ahead._carried(some, through, kinds, around.elsewhere)
    for name in CARRIED:
        getattr(carried, name)[few] = getattr(brought, name)
    return carried


class _Files:
    """Parquet files in a folder, a row group whenever enough students have come, the next file when one is full."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._number = self._in_file = 0

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_error: object) -> None:
        self._flush()
        if self._writer is None:
            self._open()
        self._close()

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        if sum(t.num_rows for t in self._waiting) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting) if self._waiting else None
        self._waiting = []
        if table is None or not table.num_rows:
            return
        if self._writer is None:
            self._open()
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._in_file += table.num_rows
        if self._in_file >= FILE:
            self._close()

    def _open(self) -> None:
        self._number += 1
        self._writer = pq.ParquetWriter(
            self._folder / f"{self._number:05d}.parquet", REGISTERS, compression="zstd",
            use_dictionary=["school", "grade"],
        )  # fmt: skip

    def _close(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._writer, self._in_file = None, 0


@contextmanager
def _whole_or_not(folder: Path) -> Iterator[Path]:
    """A place to write in, which becomes `folder` when all is written. A grid that was there before is replaced."""
    was_there = folder.exists()
    if was_there and not _is_grid(folder):
        raise NotWritten(
            f"{folder} is there already and holds something other than a grid. Name a new folder. Nothing was written."
        )
    place, old = (folder.with_name(folder.name + end) for end in (".part", ".old"))
    for left_behind in (place, old):  # by a run that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
        if was_there:
            folder.rename(old)
        place.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _is_grid(folder: Path) -> bool:
    return folder.is_dir() and {p.name for p in folder.iterdir()} <= {"calendars.parquet", "registers"}
