"""The night's look at everybody under the law, from SQLite to stored firings: `python -m bench.law_night_bench --students 100000`.

Three nights, as the pass over signals and forecasts is timed beside it: the first finds all there is; the second is an ordinary one, a school
day later; the third is that night again, with nothing changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from datetime import time as time_of_day
from pathlib import Path

from bench.district import KNOWN, environment, school_days, set_up
from bench.memory import peak_bytes

FULL, QUICK = 100_000, 700  # students
PACK = "us-fl"
NIGHTS = ("the first night", "an ordinary night", "the same night again")


@dataclass(frozen=True, slots=True)
class Night:
    """Seconds the look at the law took, of them on a processor, and seconds of the pass; lines newly reached, and undone."""

    law: float
    cpu: float
    passing: float
    reached: int
    superseded: int


@dataclass(frozen=True, slots=True)
class Result:
    students: int
    nights: list[Night]
    peak: int


def measure(pack: str) -> None:
    """In a process of its own."""
    set_up()
    from firstbell import clock
    from firstbell.casework.firings import look_over
    from firstbell.casework.models import Adoption
    from firstbell.register.models import Calendar
    from firstbell.watch.passes import run_pass

    days = school_days()
    calendars = list(Calendar.objects.filter(school_year=1).select_related("school", "school_year"))
    zone = calendars[0].school.zone
    Adoption.objects.create(pack=pack, starts=days[0], proposed_at=clock.now(), approved_at=clock.now())

    def night(day: int) -> tuple[Night, int]:
        clock.now = lambda: datetime.combine(days[day], time_of_day(4, 30), zone)
        began = time.perf_counter()
        run_pass()
        passing = time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        looked = look_over()
        took = time.perf_counter() - began, time.process_time() - cpu
        return Night(*took, passing, looked.reached, looked.superseded), looked.students

    _warm(look_over, calendars)
    first, students = night(KNOWN)
    subprocess.run([sys.executable, "-m", "bench.pass_bench", "--day"], check=True)
    nights = [first, night(KNOWN + 1)[0], night(KNOWN + 1)[0]]
    print(json.dumps(asdict(Result(students, nights, peak_bytes()))))


def _warm(look_over: Callable[..., object], calendars: list) -> None:  # type: ignore[type-arg]
    """Compiled before it is timed: one school, taken back."""
    from django.db import transaction

    with transaction.atomic():
        look_over(calendars[:1], on=school_days()[KNOWN - 1])
        transaction.set_rollback(True)


def run(students: int = FULL, home: Path | None = None, *, pack: str = PACK) -> Result:
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        there = home or Path(place)
        if not (there / "firstbell.sqlite3").exists():
            there.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "bench.pass_bench", "--build", str(students)]
            subprocess.run(command, env=environment(there), check=True)
        command = [sys.executable, "-m", "bench.law_night_bench", "--measure", "--pack", pack]
        ran = subprocess.run(command, env=environment(there), check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(ran.stdout.splitlines()[-1])
        return Result(found["students"], [Night(**night) for night in found["nights"]], found["peak"])


def show(r: Result) -> None:
    print(f"The night's look at the law, {r.students:,} students x 180 days, {PACK}, SQLite to stored firings")
    for words, night in zip(NIGHTS, r.nights, strict=True):
        print(
            f"  {words:<22} {night.law:8.2f} s ({night.cpu:.2f} s of a processor), {r.students / night.law:,.0f} students a second; the pass "
            f"beside it {night.passing:.2f} s ({night.reached:,} lines reached, {night.superseded:,} undone)"
        )
    print(f"  peak memory            {r.peak / 2**30:8.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--pack", default=PACK)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if options.measure:
        measure(options.pack)
    else:
        show(run(QUICK if options.quick else options.students, options.home, pack=options.pack))
