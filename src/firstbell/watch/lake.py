"""The register grid as Parquet: which columns, and a school of it as arrays. Pure: no Django, no Spark.

A *lake* is a folder with `calendars.parquet`, a row a school, and `registers/`, a row a student's register of the school year, in any number of
files and any order. `firstbell export-grid` writes one; docs/lake.md lists the columns for whoever keeps one of their own. People are named
by their source ids only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from firstbell.forecast.known import Carried, grade_band
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Before
from firstbell.register.grid import Grid
from firstbell.register.marks import LETTERS, NOT_EXPECTED
from firstbell.watch.ground import Ground, Registers

__all__ = [
    "CALENDARS",
    "CARRIED",
    "LAST_YEAR",
    "NEEDED",
    "REGISTERS",
    "BadLake",
    "Register",
    "ground_of",
    "read_school",
    "table_of",
]

#: the lines whose last year is carried along
_COUNTED = (Counted.UNEXCUSED,)
LAST_YEAR = {counted: {f.name: f"last_{counted}_{f.name}" for f in fields(Before)} for counted in _COUNTED}
CARRIED = {f.name: f"carried_{f.name}" for f in fields(Carried)}

CALENDARS = pa.schema(
    [
        ("school", pa.string()), ("year", pa.int32()), ("sessions", pa.int8()), ("dates", pa.list_(pa.date32())),
        ("through", pa.int32()), ("day", pa.date32()), ("known", pa.timestamp("us", "UTC")), ("folds", pa.int64()),
    ]
)  # fmt: skip
REGISTERS = pa.schema(
    [
        ("school", pa.string()), ("student", pa.string()), ("stay", pa.int32()), ("place", pa.int32()),
        ("grade", pa.string()), ("codes", pa.string()), ("last_absent", pa.int32()), ("last_possible", pa.int32()),
        *((name, pa.float64()) for names in LAST_YEAR.values() for name in names.values()),
        *((name, pa.float64()) for name in CARRIED.values()),
    ]
)  # fmt: skip
#: without these columns there is nothing to judge; the others may be left out
NEEDED = {
    "calendars.parquet": ("school", "year", "sessions", "dates", "through", "day"),
    "registers": ("school", "student", "grade", "codes"),
}
_KNOWN_LETTER = np.zeros(256, dtype=np.bool_)
_KNOWN_LETTER[[ord(letter) for letter in LETTERS]] = True


class BadLake(ValueError):
    """A school of the lake can't be read; the sentence says why. `student`: whose register it is about, if it is about one."""

    def __init__(self, sentence: str, student: str | None = None) -> None:
        super().__init__(sentence)
        self.student = student


@dataclass(frozen=True)
class Register:
    """A school of the lake: whose rows, and what is judged."""

    students: list[str]
    registers: Registers


def read_school(
    name: str, sessions: int, dates: list[date], through: int, day: date, registers: pa.StructArray
) -> Register:
    """One school's calendar and the registers of its students, whatever order they come in.

    A student with several rows left and came back: they're read as one, and where the later `stay` does not expect the student, the
    earlier one speaks. Rows are put in order of `place`, where there is one, so that sums come out alike to the last bit.
    """
    days = np.array(dates, dtype="datetime64[D]")
    if sessions < 1 or not 0 <= through <= len(days) or (np.diff(days).astype(int) <= 0).any():
        raise BadLake(
            f"The calendar of school {name} is no calendar: {sessions} sessions a day, {through} whole days of {len(days)} "
            "school days, which have to be in order."
        )
    column = dict(zip((f.name for f in registers.type), registers.flatten(), strict=True))
    student = np.array(column["student"].to_pylist(), dtype=str)
    codes = _letters(name, column["codes"], student, len(days), sessions)
    stay = _whole(column["stay"])
    order = np.lexsort((stay, student))
    goes_on = student[order][1:] == student[order][:-1]
    if goes_on.any():
        codes = codes.copy()
        for at in np.flatnonzero(goes_on).tolist():
            before, after = order[at], order[at + 1]
            if stay[before] == stay[after]:
                raise BadLake(
                    f"School {name} has two registers of student {student[after]} under the same stay.", student[after]
                )
            codes[after] = np.where(codes[after] == ord(NOT_EXPECTED), codes[before], codes[after])
    rows = order[np.append(~goes_on, True)] if len(order) else order
    if len(rows) and not column["place"].null_count:
        rows = rows[np.argsort(_whole(column["place"])[rows], kind="stable")]
    at = int(np.searchsorted(days, np.datetime64(day)))
    is_school_day = at < len(days) and days[at] == np.datetime64(day)
    grades, group = np.unique(
        np.array(column["grade"].to_pylist(), dtype=object).astype(str)[rows], return_inverse=True
    )
    bands = np.array([grade_band(grade) for grade in grades.tolist()], dtype=np.int8)
    return Register(
        student[rows].tolist(),
        Registers(
            Grid(codes[rows], days, sessions), through, at if is_school_day else None, np.zeros(len(rows), dtype=np.int32),
            group.astype(np.int32), bands[group] if len(rows) else np.zeros(0, dtype=np.int8), _whole(column["last_absent"])[rows],
            _whole(column["last_possible"])[rows],
            {
                counted: Before(*(_days(column[name])[rows] for name in names.values()))
                for counted, names in LAST_YEAR.items()
                if any(column[name].null_count < len(student) for name in names.values())
            },
            Carried(*(_days(column[name])[rows] for name in CARRIED.values())),
        ),
    )  # fmt: skip


def _letters(name: str, codes: pa.Array, student: NDArray[np.str_], days: int, sessions: int) -> NDArray[np.uint8]:
    """(n, squares), straight from the column's own bytes."""
    squares, n = days * sessions, len(codes)
    lengths = pc.fill_null(pc.binary_length(codes), -1).to_numpy(zero_copy_only=False)
    if (wrong := np.flatnonzero(lengths != squares)).size:
        who = student[wrong[0]]
        has = "none" if lengths[wrong[0]] < 0 else f"{lengths[wrong[0]]}"
        raise BadLake(
            f"The register of student {who} at school {name} should have {squares} letters ({days} school days of {sessions} "
            f"sessions), and has {has}.",
            who,
        )
    if not n or not squares:
        return np.zeros((n, squares), dtype=np.uint8)
    text = codes.cast(pa.large_binary())
    _valid, offsets, data = text.buffers()
    first = int(np.frombuffer(offsets, dtype=np.int64)[text.offset])
    letters = np.frombuffer(data, dtype=np.uint8, offset=first, count=n * squares).reshape(n, squares)
    if not (known := _KNOWN_LETTER[letters].all(axis=1)).all():
        who = student[np.flatnonzero(~known)[0]]
        raise BadLake(f"The register of student {who} at school {name} has letters that Firstbell doesn't know.", who)
    return letters


def _whole(column: pa.Array) -> NDArray[np.int32]:
    whole: NDArray[np.int32] = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int32)
    return whole


def _days(column: pa.Array) -> NDArray[np.float64]:
    days: NDArray[np.float64] = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.float64)
    return days


#: findings of one school, as they come back: `watch.ground.Ground` but for the school
GROUND = pa.schema(
    [
        ("row", pa.int64()), ("kind", pa.int8()), ("count", pa.int32()), ("of", pa.int32()), ("measure", pa.int32()),
        ("usual_count", pa.int32()), ("usual_of", pa.int32()), ("weekday", pa.int32()), ("session", pa.int32()),
        ("section", pa.int64()), ("holds", pa.bool_()), ("days", pa.string()), ("rule", pa.string()), ("why", pa.string()),
    ]
)  # fmt: skip


def table_of(found: Ground) -> pa.Table:
    return pa.table({name: getattr(found, name) for name in GROUND.names}, schema=GROUND)


def ground_of(table: pa.Table) -> Ground:
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in GROUND.names}
    return Ground(school=np.zeros(table.num_rows, dtype=np.int32), **columns)


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def from_bytes(data: Any) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
