"""Every rule of a pack asked of every student of a state: `python -m bench.law_bench --pack us-oh --students 1000000`.

The rows are asked a batch at a time, as the watch asks a school at a time, on every core: the kernels let go of the interpreter. Then one
student's page: everything about one of them under every rule.
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
from bench.signals_bench import DAYS, register, school_days
from firstbell.law import packs
from firstbell.law.clock import Evidence, Person, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.reaching import standings
from firstbell.law.timeline import Timeline

FULL, QUICK = 1_000_000, 20_000  # students
BATCH = 20_000
MINUTES = 390
#: what a year with terms knows
TERMS = 4


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    rules: int
    seconds: float
    per: int  # students, or pages


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


def time_of(run: object) -> float:
    began = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - began


def page(codes: NDArray[np.uint8], law: Sequence[InForce], pages: int) -> float:
    """Seconds of one student's positions, with the register still to be read: the median of so many pages."""
    person = Person(date(2014, 3, 1), "06", frozenset({"iep"}))
    evidence = [Evidence("notice", date(2026, 11, 2)), Evidence("conference", date(2026, 12, 1))]
    worst = np.argsort((codes == ord("U")).sum(axis=1))[-pages:]
    took = [time_of(lambda k=k: positions(a_year(codes[k : k + 1]), 0, person, law, evidence)) for k in worst]
    return float(np.median(took))


def run(students: int = FULL, pack: str = "") -> list[Row]:
    pack = pack or next(p for p in ("us-oh", "us-fl") if p in packs.built_in())
    codes = register(students)
    small = a_year(codes[:BATCH])
    law = law_of(pack, small)
    batches(codes[:BATCH], law, 1)  # compiled before it is timed
    positions(a_year(codes[:1]), 0, Person(), law)
    rules = sum(r.count is not None for v in law for r in v.pack.rule)
    threads = os.cpu_count() or 1
    every = sum(len(v.pack.rule) for v in law)
    return [
        Row(f"{pack}: standings, {threads} threads", rules, time_of(lambda: batches(codes, law, threads)), students),
        Row(f"{pack}: standings, 1 thread, a tenth", rules, time_of(lambda: batches(codes[: students // 10], law, 1)), students // 10),
        Row(f"{pack}: positions of one student", every, page(codes[:10_000], law, 50), 1),
    ]  # fmt: skip


def show(rows: list[Row]) -> None:
    console = Console(width=100)
    table = Table(title=f"The law asked of students x {DAYS} days", title_justify="left")
    for heading in ("what", "rules", "students", "seconds", "ms", "ns a student and rule"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in rows:
        each = row.seconds / row.per / max(row.rules, 1) * 1e9
        table.add_row(
            row.what, str(row.rules), f"{row.per:,}", f"{row.seconds:.3f}", f"{row.seconds * 1e3:.1f}", f"{each:,.0f}"
        )
    console.print(table)
    console.print(f"peak memory of this process {peak_bytes() / 2**30:.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--pack", default="", help="a built-in pack, or a path")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    show(run(QUICK if options.quick else options.students, options.pack))
