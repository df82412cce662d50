"""Every rule of every pack asked of every student of a state: `python -m bench.law_bench --students 1000000`, or of one, `--pack us-oh`.

The rows are asked a batch at a time, as the night does, on every core: the kernels let go of the interpreter. Then one student's page:
everything about one of them under every rule, of those with most absences.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.memory import peak_bytes
from bench.signals_bench import DAYS, register, school_days, time_of
from firstbell.law import packs
from firstbell.law.clock import Evidence, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.reaching import standings
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person

FULL, QUICK = 1_000_000, 1_000  # students
BATCH = 20_000
MINUTES = 390
#: what a year with terms knows
TERMS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One pack: its rules that count marks; seconds for so many students, of all threads and of a processor; seconds for one; summing the bytes."""

    pack: str
    rules: int
    students: int
    seconds: float
    cpu: float
    one: float
    summing: float


def a_year(codes: NDArray[np.uint8]) -> Timeline:
    """Students on the last day of a year of 180."""
    dates = school_days()
    cuts = [dates[DAYS * k // TERMS] for k in range(TERMS)] + [dates[-1] + 1]
    terms: list[tuple[date, date]] = [
        (a.astype(object), (b - 1).astype(object)) for a, b in zip(cuts, cuts[1:], strict=False)
    ]
    return Timeline([Stretch("", 2026, dates, 1, codes, None, (MINUTES,), tuple(terms))], dates[-1].astype(object))


def law_of(pack: str, line: Timeline) -> list[InForce]:
    return packs.in_force(packs.versions(pack), line.frame.day(0), line.as_of)


def batches(codes: NDArray[np.uint8], law: Sequence[InForce], threads: int) -> int:
    """Students who reached some line: asked in batches, so many threads at a time."""
    grades = [f"{1 + k % 12:02}" for k in range(BATCH)]

    def some(start: int) -> int:
        part = codes[start : start + BATCH]
        reached = np.zeros(len(part), dtype=np.bool_)
        for standing in standings(a_year(part), grades[: len(part)], law):
            if not standing.why:
                reached |= ~np.isnat(standing.first)
        return int(reached.sum())

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(some, range(0, len(codes), BATCH)))


def page(codes: NDArray[np.uint8], law: Sequence[InForce], pages: int) -> float:
    """Seconds of a processor for one student's positions, with the register still to be read: the median of so many pages."""
    person = Person(date(2014, 3, 1), "06", frozenset({"iep"}))
    evidence = [Evidence("notice", date(2026, 11, 2)), Evidence("conference", date(2026, 12, 1))]
    took = []
    for k in np.argsort((codes == ord("U")).sum(axis=1))[-pages:]:
        began = time.process_time()
        positions(a_year(codes[k : k + 1]), 0, person, law, evidence)
        took.append(time.process_time() - began)
    return float(np.median(took))


def run(students: int = FULL, pack: str = "") -> list[Row]:
    codes = register(students)
    small = a_year(codes[:BATCH])
    threads = os.cpu_count() or 1
    summing = min(time_of(codes.sum) for _ in range(3))
    rows = []
    for name in [pack] if pack else packs.built_in():
        law = law_of(name, small)
        batches(codes[:100], law, 1)  # compiled before it is timed
        positions(a_year(codes[:1]), 0, Person(), law)
        cpu = time.process_time()
        seconds = time_of(lambda law=law: batches(codes, law, threads))  # type: ignore[misc]
        cpu = time.process_time() - cpu
        rules = sum(r.count is not None for v in law for r in v.pack.rule)
        rows.append(Row(name, rules, students, seconds, cpu, page(codes[:10_000], law, min(students, 20)), summing))
    return rows


def show(rows: list[Row]) -> None:
    console = Console(width=100)
    table = Table(
        title=f"The law asked of {rows[0].students:,} students x {DAYS} days, {os.cpu_count()} threads",
        title_justify="left",
    )
    for heading in ("pack", "rules", "seconds a million", "of a processor", "x sum of bytes", "one student, ms"):
        table.add_column(heading, justify="left" if heading == "pack" else "right")
    for row in rows:
        million = 1e6 / row.students
        table.add_row(
            row.pack, str(row.rules), f"{row.seconds * million:.2f}", f"{row.cpu * million:.2f}", f"{row.seconds / row.summing:.0f}",
            f"{row.one * 1e3:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"peak memory of this process {peak_bytes() / 2**30:.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--pack", default="", help="a built-in pack, or a path")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    show(run(QUICK if options.quick else options.students, options.pack))
