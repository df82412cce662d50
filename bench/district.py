"""A district in SQLite for the benches: schools of 700 with one session a day, 180 school days, and last year in numbers."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.signals_bench import DAYS, SCHOOL, register

__all__ = ["FIRST", "KNOWN", "a_day_comes", "build", "environment", "keep_model", "school_days", "set_up"]

FIRST = date(2026, 8, 17)
#: school days known on the first night; one more has come by the second
KNOWN = DAYS - 3
#: registers are drawn for so many schools and then used again: what a million is for is its size
DRAWN = 300


def environment(home: Path) -> dict[str, str]:
    """Of a process that works on the district kept there."""
    found = {**os.environ, "FIRSTBELL_HOME": str(home), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    found.pop("DATABASE_URL", None)
    return found


def set_up() -> None:
    import django

    django.setup()


def school_days() -> list[date]:
    days: list[date] = []
    day = FIRST
    while len(days) < DAYS:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def build(students: int) -> None:
    """Rows written straight into the tables: an import of a million is another bench's."""
    set_up()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection, transaction

    call_command("migrate", verbosity=0)
    schools = max(1, students // SCHOOL)
    days = school_days()
    drawn = register(min(schools, DRAWN) * SCHOOL)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_tomorrow (id INTEGER PRIMARY KEY, letter TEXT)")
        cursor.execute("INSERT INTO register_district (id, source_id, name, time_zone) VALUES (1, 'd', 'Bench', 'UTC')")
        cursor.executemany(
            "INSERT INTO register_schoolyear (id, ends_in, starts, ends) VALUES (%s, %s, %s, %s)",
            [(1, 2027, days[0], days[-1]), (2, 2026, FIRST - timedelta(days=365), FIRST - timedelta(days=60))],
        )
        cursor.executemany(
            "INSERT INTO register_school (id, source_id, name, identifier, time_zone, district_id) VALUES (%s, %s, %s, '', 'UTC', 1)",
            [(s, f"s{s}", f"School {s}") for s in range(1, schools + 1)],
        )
        for year, first in ((1, 1), (2, schools + 1)):
            cursor.executemany(
                "INSERT INTO register_calendar (id, sessions, session_starts, session_minutes, covered_through, inferred, folds, "
                "school_id, school_year_id) VALUES (%s, 1, '', '', %s, %s, 1, %s, %s)",
                [(first + s, days[KNOWN - 1], False, s + 1, year) for s in range(schools)],
            )
        cursor.executemany(
            "INSERT INTO register_calendarday (date, day_type, note, calendar_id) VALUES (%s, 'instructional', '', %s)",
            [(d, s) for s in range(1, schools + 1) for d in days],
        )
        for s in range(1, schools + 1):
            _a_school(cursor, s, days, drawn[(s - 1) % DRAWN * SCHOOL : ((s - 1) % DRAWN + 1) * SCHOOL])
        _last_year(cursor, schools, drawn)
    keep_model(Path(settings.HOME))


def _a_school(cursor, s: int, days: list[date], codes: NDArray[np.uint8]) -> None:  # type: ignore[no-untyped-def]
    ids = range((s - 1) * SCHOOL + 1, s * SCHOOL + 1)
    cursor.executemany(
        "INSERT INTO register_student (id, source_id, number, given_name, family_name, preferred_name, home_language, grade) "
        "VALUES (%s, %s, '', 'Ana', 'Reyes', '', '', %s)",
        [(i, f"st{i}", f"{i % 6:02d}") for i in ids],
    )
    cursor.executemany(
        'INSERT INTO register_enrolment (id, grade, starts, "primary", inferred, school_id, student_id) VALUES (%s, %s, %s, %s, %s, %s, %s)',
        [(i, f"{i % 6:02d}", days[0], True, False, s, i) for i in ids],
    )
    known = codes.copy()
    known[:, KNOWN:] = ord(" ")
    text = known.tobytes().decode("ascii")
    cursor.executemany(
        "INSERT INTO register_registerrow (id, codes, minutes, version, calendar_id, enrolment_id, student_id) VALUES (%s, %s, '', 0, %s, %s, %s)",
        [(i, text[k * DAYS : (k + 1) * DAYS], s, i, i) for k, i in enumerate(ids)],
    )
    cursor.executemany(
        "INSERT INTO bench_tomorrow (id, letter) VALUES (%s, %s)",
        [(i, chr(codes[k, KNOWN])) for k, i in enumerate(ids)],
    )


def a_day_comes() -> None:
    """The next day's marks of every school, as an import leaves them."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE register_registerrow SET version = version + 1, codes = substr(codes, 1, {KNOWN}) || t.letter || substr(codes, {KNOWN + 2}) "
            "FROM bench_tomorrow t WHERE t.id = register_registerrow.id"
        )
        cursor.execute(
            "UPDATE register_calendar SET folds = folds + 1, covered_through = %s WHERE school_year_id = 1",
            [school_days()[KNOWN]],
        )


def keep_model(home: Path) -> None:
    """A model learned from the drawn registers, and a backtest that offers it: what a night of a district in its second year asks."""
    import json

    from firstbell.forecast.known import Known
    from firstbell.forecast.lines import PACKS, Counted
    from firstbell.forecast.model import Model, Shelf, code_version
    from firstbell.forecast.training import ClosedYear, collect, fit_layer_two, learn_layer_one
    from firstbell.register.grid import Grid

    codes, dates = register(8 * SCHOOL, seed=2), np.array(school_days(), dtype="datetime64[D]")
    codes[codes == ord("N")] = ord("U")
    years = []
    for s in range(8):
        grid = Grid(codes[s * SCHOOL : (s + 1) * SCHOOL], dates, 1)
        grade = np.arange(SCHOOL, dtype=np.int32) % 6
        known = [Known.of(grid, through, grade, np.zeros(SCHOOL, dtype=np.int8)) for through in range(5, DAYS, 5)]
        end = Known.of(grid, DAYS, grade, np.zeros(SCHOOL, dtype=np.int8))
        whose = np.arange(SCHOOL) + s * SCHOOL
        years.append(ClosedYear(2026, s, known, end.kinds, whose, np.zeros((SCHOOL, DAYS), dtype=np.bool_)))
    learned = {c: learn_layer_one(years, c) for c in Counted}
    line = PACKS["example"]["ten-unexcused-days"]
    two = fit_layer_two(collect(years, [line], learned, horizons=[10]), 8 * SCHOOL)
    now = f"{FIRST}T00:00:00+00:00"
    Shelf(home / "models").keep(Model(learned, two, (2026,), str(FIRST), now, code_version(), 8 * SCHOOL, {}))
    steps = [{"upto": upto, "share": upto / 2} for upto in (0.05, 0.2, 0.5, 1.0)]
    offered = {"verdict": {"offered": True}, "steps": steps}
    (home / "backtests").mkdir(exist_ok=True)
    report = {"code": code_version(), "made_at": now, "questions": {"example/ten-unexcused-days": {"10": offered}}}
    (home / "backtests" / "1.json").write_text(json.dumps(report))


def _last_year(cursor, schools: int, drawn: NDArray[np.uint8]) -> None:  # type: ignore[no-untyped-def]
    """Each school's last year, summed up as a night leaves it: the same students, another year of theirs."""
    from firstbell.forecast.known import Known
    from firstbell.register.grid import Grid
    from firstbell.watch.history import summed

    dates = np.array(school_days(), dtype="datetime64[D]")
    none = np.zeros(SCHOOL, dtype=np.int32)
    kept = []
    for s in range(min(schools, DRAWN)):
        codes = drawn[s * SCHOOL : (s + 1) * SCHOOL]
        kept.append(summed(np.arange(SCHOOL), Known.of(Grid(codes, dates, 1), DAYS, none, none.astype(np.int8))))
    for s in range(1, schools + 1):
        days = kept[(s - 1) % DRAWN].copy()
        days["student"] += (s - 1) * SCHOOL + 1
        cursor.execute(
            "INSERT INTO watch_calendarsummary (calendar_id, folds, days) VALUES (%s, 1, %s)",
            [schools + s, days.tobytes()],
        )
