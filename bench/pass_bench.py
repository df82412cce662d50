"""The nightly pass over a million students, from SQLite to stored alerts: `python -m bench.pass_bench --students 1000000`.

Builds the register once (kept under FIRSTBELL_HOME/bench, or a temporary folder), then runs the real pass in a process of its own, twice: the
first opens the alerts of a district nobody has looked at, the second is a night on which nothing changed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from bench.memory import peak_bytes

SCHOOL = 700
FULL, QUICK = 1_000_000, 7_000  # students
FIRST = date(2026, 8, 17)


@dataclass(frozen=True, slots=True)
class Result:
    students: int
    read: float
    signals: float
    first: float
    again: float
    opened: int
    summing: float
    peak: int


def _environment(home: Path) -> dict[str, str]:
    environment = {**os.environ, "FIRSTBELL_HOME": str(home), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    environment.pop("DATABASE_URL", None)
    return environment


def _set_up() -> None:
    import django

    django.setup()


def build(students: int) -> None:
    """Schools of 700 with one session a day, 180 school days, and a row a student."""
    import numpy as np

    _set_up()
    from django.core.management import call_command
    from django.db import connection

    from bench.signals_bench import DAYS, register

    call_command("migrate", verbosity=0)
    schools = max(1, students // SCHOOL)
    days: list[date] = []
    day = FIRST
    while len(days) < DAYS:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO register_district (id, source_id, name, time_zone) VALUES (1, 'd', 'Bench', 'UTC')")
        cursor.execute(
            "INSERT INTO register_schoolyear (id, ends_in, starts, ends) VALUES (1, 2027, %s, %s)", [days[0], days[-1]]
        )
        cursor.executemany(
            "INSERT INTO register_school (id, source_id, name, identifier, time_zone, district_id) VALUES (%s, %s, %s, '', 'UTC', 1)",
            [(s, f"s{s}", f"School {s}") for s in range(1, schools + 1)],
        )
        cursor.executemany(
            "INSERT INTO register_calendar (id, sessions, session_starts, session_minutes, covered_through, inferred, school_id, "
            "school_year_id) VALUES (%s, 1, '', '', %s, %s, %s, 1)",
            [(s, days[-1], False, s) for s in range(1, schools + 1)],
        )
        cursor.executemany(
            "INSERT INTO register_calendarday (date, day_type, note, calendar_id) VALUES (%s, 'instructional', '', %s)",
            [(d, s) for s in range(1, schools + 1) for d in days],
        )
        codes = register(schools * SCHOOL)
        for s in range(1, schools + 1):
            ids = range((s - 1) * SCHOOL + 1, s * SCHOOL + 1)
            cursor.executemany(
                "INSERT INTO register_student (id, source_id, number, given_name, family_name, preferred_name, home_language, grade) "
                "VALUES (%s, %s, '', 'Ana', 'Reyes', '', '', %s)",
                [(i, f"st{i}", f"{i % 6:02d}") for i in ids],
            )
            cursor.executemany(
                'INSERT INTO register_enrolment (id, grade, starts, "primary", inferred, school_id, student_id) '
                "VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [(i, f"{i % 6:02d}", days[0], True, False, s, i) for i in ids],
            )
            text = np.ascontiguousarray(codes[ids[0] - 1 : ids[-1]]).tobytes().decode("ascii")
            cursor.executemany(
                "INSERT INTO register_registerrow (id, codes, minutes, version, calendar_id, enrolment_id, student_id) "
                "VALUES (%s, %s, '', 0, %s, %s, %s)",
                [(i, text[k * DAYS : (k + 1) * DAYS], s, i, i) for k, i in enumerate(ids)],
            )


def measure() -> None:
    """In a process of its own: read alone, signals alone, and the pass as it runs at night."""
    import numpy as np

    _set_up()
    from firstbell.register import rows
    from firstbell.register.models import Calendar
    from firstbell.signals.kernel import compute
    from firstbell.watch.kinds import groups_of
    from firstbell.watch.passes import run_pass

    calendars = list(Calendar.objects.select_related("school", "school_year"))
    compute(rows.school_grid(calendars[0]).grid, 180, np.zeros(SCHOOL, dtype=np.int32))  # compiled before it is timed
    began = time.perf_counter()
    reading = summing = signals = 0.0
    for calendar in calendars:
        at = time.perf_counter()
        school = rows.school_grid(calendar)
        reading += time.perf_counter() - at
        at = time.perf_counter()
        school.grid.codes.sum()
        summing += time.perf_counter() - at
        at = time.perf_counter()
        compute(school.grid, school.grid.days, groups_of(school))
        signals += time.perf_counter() - at
    last = rows.columns(calendars[0]).dates[-1]
    from firstbell import clock

    clock.now = lambda: clock.moment(clock.end_of_day(last, calendars[0].school.zone))
    began = time.perf_counter()
    first = run_pass()
    one = time.perf_counter() - began
    began = time.perf_counter()
    run_pass()
    two = time.perf_counter() - began
    peak = peak_bytes()
    print(first.students, reading, signals, one, two, first.opened, summing, peak)


def run(students: int = FULL) -> Result:
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        environment = _environment(Path(place))
        command = [sys.executable, "-m", "bench.pass_bench"]
        subprocess.run([*command, "--build", str(students)], env=environment, check=True)
        ran = subprocess.run([*command, "--measure"], env=environment, check=True, stdout=subprocess.PIPE, text=True)
        n, read, signals, first, again, opened, summing, peak = ran.stdout.split()
        return Result(
            int(n), float(read), float(signals), float(first), float(again), int(opened), float(summing), int(peak)
        )


def show(result: Result) -> None:
    r = result
    print(f"Nightly pass, {r.students:,} students x 180 days, SQLite to stored alerts")
    print(f"  read              {r.read:8.2f} s")
    print(f"  signals           {r.signals:8.2f} s")
    print(
        f"  whole, first      {r.first:8.2f} s   ({r.opened:,} alerts opened; alerts {max(r.first - r.read - r.signals, 0):.2f} s)"
    )
    print(f"  whole, unchanged  {r.again:8.2f} s")
    print(
        f"  summing the bytes {r.summing:8.2f} s   whole / sum = {r.first / r.summing:.0f}, unchanged / sum = {r.again / r.summing:.0f}"
    )
    print(f"  peak memory       {r.peak / 2**30:8.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build", type=int)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if options.build:
        build(options.build)
    elif options.measure:
        measure()
    else:
        show(run(QUICK if options.quick else options.students))
