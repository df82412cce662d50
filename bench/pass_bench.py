"""The nightly pass over a million students, from SQLite to stored alerts: `python -m bench.pass_bench --students 1000000`.

Builds the register once (in a temporary folder, or under --home and kept there), then runs the real pass in a process of its own, three nights:
the first opens the alerts of a district nobody has looked at; the second is an ordinary night, a school day later; the third is that night
again, with nothing changed. The district is the simulator's, or --plain: letters drawn at a rate a student.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING

from bench.district import KNOWN, a_day_comes, build, environment, school_days, set_up
from bench.memory import peak_bytes
from bench.signals_bench import DAYS, time_of

if TYPE_CHECKING:
    from firstbell.register.models import Calendar

FULL, QUICK = 1_000_000, 1_400  # students


@dataclass(frozen=True, slots=True)
class Result:
    district: str
    students: int
    read: float
    first: float
    night: float
    again: float
    opened: int
    changed: int
    summing: float
    from_cache: float
    live_median: float
    live_p99: float
    peak: int


def measure() -> None:
    """In a process of its own: reading the bytes alone, reading the registers alone, and the pass as it runs at night."""
    import numpy as np

    set_up()
    from firstbell import clock
    from firstbell.register import rows
    from firstbell.register.models import Calendar, District
    from firstbell.watch.models import Alert
    from firstbell.watch.passes import run_pass

    columns = list(
        rows.columns_of(Calendar.objects.filter(school_year=1).select_related("school", "school_year")).values()
    )
    with tempfile.NamedTemporaryFile() as flat:
        reading = students = 0
        for some in (columns[i : i + 16] for i in range(0, len(columns), 16)):
            began = time.perf_counter()
            schools = rows.school_grids(some)
            reading += time.perf_counter() - began
            for school in schools:
                students += len(school.student_ids)
                flat.write(school.grid.codes.tobytes())
        flat.flush()

        def read_and_sum() -> None:  # in pieces, as any reader of ten million would
            with Path(flat.name).open("rb", buffering=0) as stream:
                piece = np.empty(2**22, dtype=np.uint8)
                while n := stream.readinto(piece):  # type: ignore[attr-defined]
                    piece[:n].sum(dtype=np.uint64)

        from_cache = min(time_of(read_and_sum) for _ in range(3))
    piece = np.zeros(2**22, dtype=np.uint8)
    summing = min(time_of(lambda: piece.sum(dtype=np.uint64)) for _ in range(5)) * students * DAYS / len(piece)
    zone, last = columns[0].calendar.school.zone, school_days()
    run_pass(calendars=[])  # nothing yet, but what a process sets up once

    def night(day: int) -> tuple[float, int, int]:
        """Half past four in the morning of a school day of which nothing is known yet."""
        clock.now = lambda: datetime.combine(last[day], time_of_day(4, 30), zone)
        began = time.perf_counter()
        found = run_pass()
        return time.perf_counter() - began, found.opened, found.withdrawn

    _warm(columns[0].calendar)
    first, opened, _gone = night(KNOWN)
    # the next day's import is another process's, and its memory too
    subprocess.run([sys.executable, "-m", "bench.pass_bench", "--day"], check=True)
    ordinary, new, gone = night(KNOWN + 1)
    changed = new + gone + Alert.objects.system("a benchmark counts").filter(version__gt=0, state="open").count()
    again, _opened, _gone = night(KNOWN + 1)
    live = _live([column.calendar for column in columns])
    found = Result(
        District.objects.get().name, students, reading, first, ordinary, again, opened, changed, summing, from_cache, live[len(live) // 2], live[int(len(live) * 0.99)],
        peak_bytes(),
    )  # fmt: skip
    print(json.dumps(asdict(found)))


def _live(calendars: list[Calendar], students: int = 200) -> list[float]:
    """Milliseconds to read one student's school, as it is now, and ask the forecast about that student."""
    import numpy as np

    from firstbell.forecast.lines import find_line
    from firstbell.register import rows
    from firstbell.watch.ahead import HORIZON, RAISED, Forecaster, positions
    from firstbell.watch.history import last_year_of
    from firstbell.watch.registers import known_now

    rng = np.random.default_rng(5)
    lines = {RAISED: (find_line(*RAISED.split("/")), HORIZON)}
    took = []
    for _ in range(students + 10):
        calendar = calendars[int(rng.integers(len(calendars)))]
        began = time.perf_counter()
        school = rows.school_grid(calendar)
        student = int(school.student_ids[int(rng.integers(len(school.student_ids)))])
        known = known_now(school, KNOWN + 1, last_year_of(calendar.school_year, [student]), {})
        positions(school, known, student, Forecaster.now(), lines)
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took[10:])


def _warm(calendar) -> None:  # type: ignore[no-untyped-def]
    """Compiled before it is timed: one school, taken back."""
    from django.db import transaction

    from firstbell.watch.passes import evaluate

    with transaction.atomic():
        evaluate(calendar)
        transaction.set_rollback(True)


def run(students: int = FULL, home: Path | None = None, *, plain: bool = False) -> Result:
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        there = home or Path(place)
        if not (there / "firstbell.sqlite3").exists():
            there.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "bench.pass_bench", "--build", str(students), *["--plain"][: int(plain)]]
            subprocess.run(command, env=environment(there), check=True)
        ran = subprocess.run(
            [sys.executable, "-m", "bench.pass_bench", "--measure"], env=environment(there), check=True, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        return Result(**json.loads(ran.stdout.splitlines()[-1]))


def show(r: Result) -> None:
    print(f"Nightly pass, {r.students:,} students x 180 days of {r.district}, SQLite to stored alerts")
    print(
        f"  summing the bytes          {r.summing:8.2f} s; reading them from the page cache and summing {r.from_cache:.2f} s"
    )
    print(f"  reading the registers      {r.read:8.2f} s")
    for words, seconds, more in (
        (
            "the first night",
            r.first,
            f"{r.opened:,} alerts opened, {1000 * r.opened / r.students:.0f} per thousand students",
        ),
        ("an ordinary night", r.night, f"{r.changed:,} alerts opened, changed or closed"),
        ("the same night again", r.again, "nothing changed"),
    ):
        print(
            f"  {words:<26} {seconds:8.2f} s   {seconds / r.from_cache:5.1f} x reading and summing, {seconds / r.summing:5.1f} x summing "
            f"({more})"
        )
    print(
        f"  one student, live          {r.live_median:8.1f} ms  (p99 {r.live_p99:.1f} ms: the school read, every line asked about)"
    )
    print(f"  peak memory                {r.peak / 2**30:8.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", type=int)
    parser.add_argument("--day", action="store_true")
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if options.build:
        build(options.build, plain=options.plain)
    elif options.day:
        set_up()
        a_day_comes()
    elif options.measure:
        measure()
    else:
        show(run(QUICK if options.quick else options.students, options.home, plain=options.plain))
