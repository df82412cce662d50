"""A district in SQLite for the benches: schools of 700 with one session a day, 180 school days, and last year in numbers.

The simulator's district, or a *plain* one: letters drawn at a rate a student, as the benches had it before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.signals_bench import DAYS, SCHOOL, register
from firstbell.register.grid import Grid
from firstbell.signals.kernel import DAY, day_matrix
from firstbell.simulator.calendars import school_year
from firstbell.simulator.district import Simulated, simulate
from firstbell.simulator.registers import Register, registers

if TYPE_CHECKING:
    from firstbell.forecast.training import ClosedYear

__all__ = ["FIRST", "KNOWN", "a_day_comes", "build", "environment", "keep_model", "school_days", "set_up"]

FIRST = date(2026, 8, 17)
#: school days known on the first night; one more has come by the second
KNOWN = DAYS - 3
#: registers are drawn for so many schools and then used again: what a million is for is its size
DRAWN = 128
#: students of a simulated cluster: its schools, cut into parts of 700, are eight
CLUSTER, PARTS = 7000, 8
#: schools a model learns from, and how often it looks
LEARNED, EVERY = 8, 10


@dataclass(frozen=True)
class School:
    """known, tomorrow: (n, DAYS) letters as known on the first night and the next; grades; last: last year's days, by row (`history.summed`)."""

    known: NDArray[np.uint8]
    tomorrow: NDArray[np.uint8]
    grades: list[str]
    last: NDArray[np.void]


def environment(home: Path) -> dict[str, str]:
    """Of a process that works on the district kept there."""
    found = {**os.environ, "FIRSTBELL_HOME": str(home), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    found.pop("DATABASE_URL", None)
    return found


def set_up() -> None:
    import django

    django.setup()


@cache
def school_days() -> list[date]:
    return school_year(FIRST.year + 1).school_days[:DAYS]


def _dates() -> NDArray[np.datetime64]:
    return np.array(school_days(), dtype="datetime64[D]")


# -- the schools drawn --------------------------------------------------------------------------------------------------


def _letter_of_day() -> NDArray[np.uint8]:
    """A day's bits (`DAY`) -> the one letter of a school of one session."""
    bits, found = np.arange(4096), np.full(4096, ord("#"), dtype=np.uint8)
    for some, letter in (
        (DAY.UNKNOWN, " "), (DAY.POSSIBLE, "P"), (DAY.PART, "L"), (DAY.LATE, "T"), (DAY.ABSENT, "E"), (DAY.SUSPENDED, "S"),
        (DAY.UNAUTHORISED, "U"), (DAY.PENDING, "N"),
    ):  # fmt: skip
        found[bits & some != 0] = ord(letter)
    return found


def _day_letters(of: Register, evening: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    grid = of.grid(evening)
    return day_matrix(Grid(grid.codes[rows], grid.dates, grid.sessions), grid.days, _letter_of_day())


def _simulated(schools: int) -> Iterator[Simulated]:
    clusters = -(-schools // PARTS)
    today = school_year(FIRST.year + 1).school_days[DAYS]
    yield from simulate(students=clusters * CLUSTER, seed=7, today=today)


def _parts(of: Register) -> list[NDArray[np.int64]]:
    """Rows of a simulated school in schools of 700, anybody in any."""
    rows = np.random.default_rng(of.school).permutation(len(of.rows))
    return [np.sort(rows[k : k + SCHOOL]) for k in range(0, len(rows) - SCHOOL + 1, SCHOOL)]


def _usual_schools(schools: int) -> list[School]:
    """As the simulator has them: its marks come late and are corrected, and students come and go."""
    from firstbell.forecast.known import Known
    from firstbell.watch.history import _ROW, summed

    found: list[School] = []
    for simulated in _simulated(schools):
        last = np.zeros(simulated.cluster.n, dtype=_ROW)
        for of in registers(simulated, 0, 7):
            whole, none = np.arange(len(of.rows)), np.zeros(len(of.rows), dtype=np.int32)
            grid = Grid(_day_letters(of, len(of.dates) - 1, whole), of.dates, 1)
            last[of.rows] = summed(whole, Known.of(grid, grid.days, none, none.astype(np.int8)))
        for of in registers(simulated, 1, 7):
            for rows in _parts(of):
                known, tomorrow = (_day_letters(of, evening, rows)[:, :DAYS] for evening in (KNOWN - 1, KNOWN))
                grades = [f"{grade:02d}" if grade else "KG" for grade in of.grade[rows].tolist()]
                found.append(School(known, tomorrow, grades, last[of.rows[rows]]))
    return found[:schools]


def _plain_schools(schools: int) -> list[School]:
    from firstbell.forecast.known import Known
    from firstbell.watch.history import summed

    none = np.zeros(SCHOOL, dtype=np.int32)
    found = []
    for codes in register(schools * SCHOOL).reshape(schools, SCHOOL, DAYS):
        known, tomorrow = codes.copy(), codes.copy()
        known[:, KNOWN:] = tomorrow[:, KNOWN + 1 :] = ord(" ")
        last = summed(np.arange(SCHOOL), Known.of(Grid(codes, _dates(), 1), DAYS, none, none.astype(np.int8)))
        found.append(School(known, tomorrow, [f"{i % 6:02d}" for i in range(SCHOOL)], last))
    return found


# -- its rows -----------------------------------------------------------------------------------------------------------


def build(students: int, *, plain: bool = False) -> None:
    """Rows written straight into the tables: an import of a million is another bench's."""
    set_up()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection, transaction

    call_command("migrate", verbosity=0)
    schools = max(1, students // SCHOOL)
    days = school_days()
    drawn = (_plain_schools if plain else _usual_schools)(min(schools, DRAWN))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_tomorrow (id INTEGER PRIMARY KEY, codes TEXT)")
        cursor.execute(
            "INSERT INTO register_district (id, source_id, name, time_zone) VALUES (1, 'd', %s, 'UTC')",
            ["the plain district" if plain else "the simulator's district"],
        )
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
            _a_school(cursor, s, schools, drawn[(s - 1) % len(drawn)])
    keep_model(Path(settings.HOME), plain=plain)


def _a_school(cursor, s: int, schools: int, drawn: School) -> None:  # type: ignore[no-untyped-def]
    ids = range((s - 1) * SCHOOL + 1, s * SCHOOL + 1)
    cursor.executemany(
        "INSERT INTO register_student (id, source_id, number, given_name, family_name, preferred_name, home_language, grade) "
        "VALUES (%s, %s, '', 'Ana', 'Reyes', '', '', %s)",
        [(i, f"st{i}", grade) for i, grade in zip(ids, drawn.grades, strict=True)],
    )
    cursor.executemany(
        'INSERT INTO register_enrolment (id, grade, starts, "primary", inferred, school_id, student_id) VALUES (%s, %s, %s, %s, %s, %s, %s)',
        [(i, grade, FIRST, True, False, s, i) for i, grade in zip(ids, drawn.grades, strict=True)],
    )
    known, tomorrow = (codes.tobytes().decode("ascii") for codes in (drawn.known, drawn.tomorrow))
    cursor.executemany(
        "INSERT INTO register_registerrow (id, codes, minutes, version, calendar_id, enrolment_id, student_id) VALUES (%s, %s, '', 0, %s, %s, %s)",
        [(i, known[k * DAYS : (k + 1) * DAYS], s, i, i) for k, i in enumerate(ids)],
    )
    cursor.executemany(
        "INSERT INTO bench_tomorrow (id, codes) VALUES (%s, %s)",
        [(i, tomorrow[k * DAYS : (k + 1) * DAYS]) for k, i in enumerate(ids)],
    )
    last = drawn.last.copy()
    last["student"] = ids
    cursor.execute(
        "INSERT INTO watch_calendarsummary (calendar_id, folds, days) VALUES (%s, 1, %s)",
        [schools + s, last[last["possible"] > 0].tobytes()],
    )


def a_day_comes() -> None:
    """The next day's marks of every school, as an import leaves them."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE register_registerrow SET version = version + 1, codes = t.codes FROM bench_tomorrow t WHERE t.id = register_registerrow.id"
        )
        cursor.execute(
            "UPDATE register_calendar SET folds = folds + 1, covered_through = %s WHERE school_year_id = 1",
            [school_days()[KNOWN]],
        )


def keep_model(home: Path, *, plain: bool = False) -> None:
    """A model learned from a year drawn in the same way, and a backtest that offers it: what a night of a district in its second year asks."""
    import json

    from firstbell.forecast.lines import PACKS, Counted
    from firstbell.forecast.model import Model, Shelf, code_version
    from firstbell.forecast.training import collect, fit_layer_two, learn_layer_one

    years = _plain_years() if plain else _usual_years()
    learned = {c: learn_layer_one(years, c) for c in Counted}
    line = PACKS["example"]["ten-unexcused-days"]
    students = sum(len(year.student) for year in years)
    two = fit_layer_two(collect(years, [line], learned, horizons=[10]), students)
    now = f"{FIRST}T00:00:00+00:00"
    Shelf(home / "models").keep(Model(learned, two, (2026,), str(FIRST), now, code_version(), students, {}))
    steps = [{"upto": upto, "share": upto / 2} for upto in (0.05, 0.2, 0.5, 1.0)]
    offered = {"verdict": {"offered": True}, "steps": steps}
    (home / "backtests").mkdir(exist_ok=True)
    report = {"code": code_version(), "made_at": now, "questions": {"example/ten-unexcused-days": {"10": offered}}}
    (home / "backtests" / "1.json").write_text(json.dumps(report))


def _usual_years() -> list[ClosedYear]:
    """Last year of some of the simulated schools, as its evenings saw it."""
    from firstbell.forecast.known import Known
    from firstbell.forecast.training import ClosedYear

    years = []
    for simulated in _simulated(LEARNED):
        for of in registers(simulated, 0, 7):
            n, days = len(of.rows), len(of.dates)
            group = np.unique(of.grade, return_inverse=True)[1].astype(np.int32)
            band = np.digitize(of.grade, [6, 9]).astype(np.int8)

            def known(evening: int, of: Register = of, group=group, band=band) -> Known:  # type: ignore[no-untyped-def]
                return Known.of(
                    Grid(_day_letters(of, evening, np.arange(len(of.rows))), of.dates, 1), evening + 1, group, band
                )

            seen = [known(evening) for evening in range(EVERY - 1, days, EVERY)]
            end = known(days - 1).kinds
            years.append(ClosedYear(2026, of.school, seen, end, of.student, np.zeros((n, days), dtype=np.bool_)))
    return years


def _plain_years() -> list[ClosedYear]:
    from firstbell.forecast.known import Known
    from firstbell.forecast.training import ClosedYear

    codes = register(LEARNED * SCHOOL, seed=2)
    codes[codes == ord("N")] = ord("U")
    grade, band = np.arange(SCHOOL, dtype=np.int32) % 6, np.zeros(SCHOOL, dtype=np.int8)
    years = []
    for s in range(LEARNED):
        grid = Grid(codes[s * SCHOOL : (s + 1) * SCHOOL], _dates(), 1)
        known = [Known.of(grid, through, grade, band) for through in range(EVERY, DAYS, EVERY)]
        end = Known.of(grid, DAYS, grade, band)
        whose = np.arange(SCHOOL) + s * SCHOOL
        years.append(ClosedYear(2026, s, known, end.kinds, whose, np.zeros((SCHOOL, DAYS), dtype=np.bool_)))
    return years
