"""The signal kernel beside SQL and data frames on the same data: `python -m bench.signals_bench --students 1000000`.

Two comparisons. *Exceptions*: the marks that are sent (about 7 % of squares), with the possible days from the calendar; this favours the
peers, who read far fewer rows. *Every mark*: one row a square, present ones too, at a tenth of the students. The peers compute a
subset of what the kernel does: absent, unauthorised and late days in the last 5, 10, 20 and 40 days and the year, absences by
weekday, and the last day absent. The kernel's time is for all of its signals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.memory import peak_bytes
from firstbell.register.grid import Grid
from firstbell.signals.kernel import compute

DAYS, SCHOOL = 180, 700
#: days after which an absence has been explained, or never will be
SETTLES = 6
WINDOWS = (5, 10, 20, 40, DAYS)
FULL, QUICK = 1_000_000, 20_000  # students


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    seconds: float
    rows: int


def register(students: int, seed: int = 1) -> NDArray[np.uint8]:
    """Letters with the shares of a district: 7 % absent, unevenly, in spells, explained within days; 2 % late."""
    rng = np.random.default_rng(seed)
    codes = np.full((students, DAYS), ord("P"), dtype=np.uint8)
    for start in range(0, students, 50_000):
        part = codes[start : start + 50_000]
        rate = rng.beta(0.9, 12, len(part)).astype(np.float32)
        away = np.zeros(len(part), dtype=bool)
        for d in range(DAYS):
            away = rng.random(len(part), dtype=np.float32) < np.where(away, 0.55, rate * 0.5)
            settled = b"EEEEEUUU" if d < DAYS - SETTLES else b"EEEUUNNN"
            part[away, d] = rng.choice(np.frombuffer(settled, dtype=np.uint8), int(away.sum()))
        late = (rng.random(part.shape, dtype=np.float32) < 0.02) & (part == ord("P"))
        part[late] = ord("T")
    return codes


def school_days() -> NDArray[np.datetime64]:
    return np.busday_offset("2026-08-17", np.arange(DAYS), roll="forward").astype("datetime64[D]")


def time_of(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def kernel(codes: NDArray[np.uint8]) -> None:
    dates = school_days()
    grades = np.arange(SCHOOL, dtype=np.int32) % 6
    for start in range(0, len(codes), SCHOOL):
        part = codes[start : start + SCHOOL]
        compute(Grid(part, dates, 1), DAYS, grades[: len(part)])


def long_form(codes: NDArray[np.uint8], *, exceptions: bool) -> dict[str, NDArray[np.generic]]:
    student, day = np.nonzero(codes != ord("P")) if exceptions else np.divmod(np.arange(codes.size), DAYS)
    letters = codes[student, day]
    return {"student": student.astype(np.int32), "day": day.astype(np.int16), "letter": letters}


def duckdb_signals(long: dict[str, NDArray[np.generic]]) -> None:
    import duckdb
    import pyarrow as pa

    marks = pa.table(long)
    absent = "letter IN (69, 85, 78)"
    columns = [
        f"count(*) FILTER ({what} AND day >= {DAYS - window})"
        for window in WINDOWS
        for what in (absent, "letter = 85", "letter = 84")
    ]
    columns += [f"count(*) FILTER ({absent} AND day % 5 = {wd})" for wd in range(5)]
    columns.append(f"max(day) FILTER ({absent})")
    database = duckdb.connect()
    database.register("marks", marks)
    database.sql(f"SELECT student, {', '.join(columns)} FROM marks GROUP BY student").to_arrow_table()


def polars_signals(long: dict[str, NDArray[np.generic]]) -> None:
    import polars as pl

    absent = pl.col("letter").is_in([69, 85, 78])
    aggregates = [
        (what & (pl.col("day") >= DAYS - window)).sum().alias(f"{name}{window}")
        for window in WINDOWS
        for name, what in (("a", absent), ("u", pl.col("letter") == 85), ("t", pl.col("letter") == 84))
    ]
    aggregates += [(absent & (pl.col("day") % 5 == wd)).sum().alias(f"wd{wd}") for wd in range(5)]
    aggregates.append(pl.col("day").filter(absent).max().alias("last"))
    pl.DataFrame(long).lazy().group_by("student").agg(aggregates).collect()


def pandas_signals(long: dict[str, NDArray[np.generic]]) -> None:
    import pandas as pd

    frame = pd.DataFrame(long)
    absent = frame["letter"].isin([69, 85, 78])
    for window in WINDOWS:
        recent = frame["day"] >= DAYS - window
        for name, what in (("a", absent), ("u", frame["letter"] == 85), ("t", frame["letter"] == 84)):
            frame[f"{name}{window}"] = what & recent
    for wd in range(5):
        frame[f"wd{wd}"] = absent & (frame["day"] % 5 == wd)
    frame["last"] = frame["day"].where(absent)
    kept = frame.drop(columns=["day", "letter"])
    grouped = kept.groupby("student")
    grouped[[c for c in kept.columns if c not in ("student", "last")]].sum()
    grouped["last"].max()


def run(students: int = FULL) -> list[Row]:
    kernel(register(SCHOOL * 2))  # compiled before it is timed
    codes = register(students)
    rows = [
        Row("sum of the same bytes", min(time_of(codes.sum) for _ in range(3)), codes.size),
        Row("kernel, every signal, by school", time_of(lambda: kernel(codes)), codes.size),
    ]
    for name, part, exceptions in (
        ("exceptions only", codes, True),
        (f"every mark, {students // 10:,} students", codes[: students // 10], False),
    ):
        long = long_form(part, exceptions=exceptions)
        n = len(long["student"])
        if not exceptions:
            rows.append(Row(f"kernel, {name}", time_of(lambda part=part: kernel(part)), n))  # type: ignore[misc]
        for peer, signals in (("DuckDB", duckdb_signals), ("Polars", polars_signals), ("pandas", pandas_signals)):
            rows.append(Row(f"{peer}, {name}", time_of(lambda signals=signals, long=long: signals(long)), n))  # type: ignore[misc]
    return rows


def show(rows: list[Row]) -> None:
    console = Console(width=100)
    students = rows[1].rows // DAYS
    table = Table(title=f"Signals of {students:,} students x {DAYS} days", title_justify="left")
    for heading in ("what", "squares or rows", "seconds", "x sum of bytes", "x kernel"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    total, whole = rows[0].seconds, rows[1].seconds
    tenth = next((r.seconds for r in rows if r.what.startswith("kernel, every mark")), whole)
    for row in rows:
        against = tenth if "every mark," in row.what else whole
        table.add_row(
            row.what,
            f"{row.rows:,}",
            f"{row.seconds:.3f}",
            f"{row.seconds / total:.1f}",
            f"{row.seconds / against:.1f}",
        )
    console.print(table)
    console.print(f"peak memory of this process {peak_bytes() / 2**30:.2f} GiB (the peers' rows included)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    show(run(QUICK if options.quick else options.students))
