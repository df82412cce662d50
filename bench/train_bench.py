"""How long learning and judging take: `python -m bench.train_bench --students 20000`.

Two whole school years of a simulated district, brought in through intake as files (once: in a temporary folder, or under --home and kept
there). Then, each in a process of its own, `firstbell train` on both years, and `firstbell backtest`: the first learned from, the
second judged. Wall seconds, and CPU seconds of all threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path

from bench.district import environment, set_up
from bench.memory import peak_bytes

FULL, QUICK = 20_000, 300  # students
#: the last school day of the second year
TODAY, EVENING = date(2026, 6, 12), time_of_day(16)


@dataclass(frozen=True, slots=True)
class Took:
    """Of one command: seconds, and the most bytes it held."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Result:
    students: int
    train: Took
    backtest: Took


def build(home: Path, students: int) -> None:
    set_up()
    from django.core.management import call_command

    from firstbell.intake.command import import_command
    from firstbell.simulator.export import ZONE, make_district

    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        make_district(Path(place), students=students, seed=41, today=TODAY, hour=EVENING)
        # the year is over a week after its last mark
        (home / "demo-clock").write_text(datetime.combine(date(2026, 6, 22), EVENING, ZONE).isoformat())
        if import_command(
            Path(place), source_name="bench", dry_run=False, yes=True, accept_bounds=[], complete_through=str(TODAY)
        ):
            raise SystemExit("The benchmark's district was not imported.")


def measure(command: str) -> None:
    """In a process of its own."""
    set_up()
    from firstbell import clock
    from firstbell.watch import backtests, forecasting

    began, used = time.perf_counter(), time.process_time()
    if command == "train":
        forecasting.train(clock.now().date())
    else:
        backtests.backtest()
    print(json.dumps(asdict(Took(time.perf_counter() - began, time.process_time() - used, peak_bytes()))))


def run(students: int = FULL, home: Path | None = None) -> Result:
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        there = home or Path(place)
        if not (there / "firstbell.sqlite3").exists():
            there.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "bench.train_bench", "--build", str(there), "--students", str(students)]
            subprocess.run(command, env=environment(there), check=True, stdout=subprocess.DEVNULL)

        def took(command: str) -> Took:
            ran = subprocess.run(
                [sys.executable, "-m", "bench.train_bench", "--measure", command], env=environment(there), check=True,
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            return Took(**json.loads(ran.stdout.splitlines()[-1]))

        return Result(students, took("train"), took("backtest"))


def show(r: Result) -> None:
    print(f"Learning and judging, {r.students:,} students x 2 whole school years, SQLite")
    for words, took in (("firstbell train", r.train), ("firstbell backtest", r.backtest)):
        print(f"  {words:<20} {took.wall:7.1f} s wall {took.cpu:7.1f} s CPU   peak memory {took.peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        build(options.build, options.students)
    elif options.measure:
        measure(options.measure)
    else:
        show(run(QUICK if options.quick else options.students, options.home))
