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

from firstbell import clock
from firstbell.register import rows
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import SchoolGrid
from firstbell.watch.lake import CALENDARS, CARRIED, LAST_YEAR, REGISTERS
from firstbell.watch.passes import Around, current_year, read_schools
from firstbell.watch.registers import Place, registers_of

__all__ = ["Exported", "NotWritten", "export_grid"]

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
    columns = rows.columns_of(calendars)
    around = Around.of(year, as_of=as_of)
    told = []
    students = 0
    with _whole_or_not(folder) as place, _Files(place / "registers") as files:
        for done, calendar in enumerate(calendars, 1):
            zone = calendar.school.zone
            at = Place.of(columns[calendar.pk], as_of or now.astimezone(zone).date())
            known = now if as_of is None else datetime.fromtimestamp(clock.end_of_day(as_of, zone), UTC)
            for school in read_schools([at], as_of):
                files.write(_registers(school, at, around))
                students += len(school.student_ids)
            told.append(
                {
                    "school": calendar.school.source_id, "year": year.ends_in, "sessions": calendar.sessions,
                    "dates": at.days.dates, "through": at.through, "day": at.today, "known": known,
                    "folds": calendar.folds if as_of is None else None,
                }
            )  # fmt: skip
            if progress:
                progress(done, len(calendars))
        pq.write_table(pa.Table.from_pylist(told, CALENDARS), place / "calendars.parquet", compression="zstd")
    return Exported(len(calendars), students)


def _registers(school: SchoolGrid, place: Place, around: Around) -> pa.Table:
    ids = school.student_ids
    n = len(ids)
    names = dict(
        Student.objects.system(WHY).filter(rows__calendar=school.calendar).values_list("pk", "source_id").distinct()
    )
    r = registers_of([school], place.through, place.column, around.last_year, around.elsewhere.stays(ids))
    ends = pa.py_buffer(np.arange(n + 1, dtype=np.int32) * r.grid.codes.shape[1])
    codes = pa.StringArray.from_buffers(n, ends, pa.py_buffer(np.ascontiguousarray(r.grid.codes)))
    columns = {
        "school": pa.repeat(school.calendar.school.source_id, n), "student": [names[int(i)] for i in ids],
        "stay": np.zeros(n, dtype=np.int32), "place": np.arange(n, dtype=np.int32), "grade": school.grades, "codes": codes,
        "last_absent": r.absent, "last_possible": r.possible,
        **{
            column: getattr(r.before[counted], name) if counted in r.before else pa.nulls(n, pa.float64())
            for counted, names in LAST_YEAR.items()
            for name, column in names.items()
        },
        **{column: getattr(r.carried, name) for name, column in CARRIED.items()},
    }  # fmt: skip
    return pa.table(columns, schema=REGISTERS)


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
