"""Today, the Student page and the law page in a district of 100,000, and one new mark to a fresh list, on both databases: `python -m bench.pages_bench`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUESTS, MARKS = 200, 100
FULL, QUICK = 100_000, 1_400  # students; under ten thousand a tenth of the requests


@dataclass(frozen=True, slots=True)
class Result:
    students: int
    requests: int
    database: str
    today_p95: float
    today_queries: int
    student_p95: float
    student_queries: int
    law_p95: float
    law_queries: int
    mark_p99: float


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class _Count:
    """Counts the statements sent to the database (Django forgets its own list at every request)."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.number += 1
        return execute(*arguments)


def measure(students: int) -> None:
    """Against the database of the environment, which is empty."""
    from bench.district import KNOWN, build
    from bench.signals_bench import SCHOOL

    requests, words = (REQUESTS, MARKS) if students >= 10_000 else (REQUESTS // 10, MARKS // 10)
    build(students, plain=True)
    from datetime import date

    from django.db import connection
    from django.test import Client

    from firstbell import clock
    from firstbell.access.models import Assignment, Role, User
    from firstbell.casework.models import Adoption
    from firstbell.register import rows
    from firstbell.register.actions import NewMark, meaning_of, record_marks
    from firstbell.register.marks import LegalStatus, Mark, Presence
    from firstbell.register.models import Calendar, Student
    from firstbell.watch import lists, live
    from firstbell.watch.passes import run_pass

    calendars = list(Calendar.objects.filter(school_year=1).select_related("school", "school_year"))
    last = rows.columns(calendars[0]).dates[KNOWN - 1]
    end = clock.end_of_day(last, calendars[0].school.zone)
    clock.now = lambda: clock.moment(end)
    run_pass()
    calendar = calendars[len(calendars) // 2]
    officer = User.objects.create_user("officer@bench.example", "a long enough password")
    Assignment.objects.create(user=officer, role=Role.OFFICER, school=calendar.school, starts=date(2020, 1, 1))
    client = Client(SERVER_NAME="localhost")
    client.force_login(officer, backend="allauth.account.auth_backends.AuthenticationBackend")
    first = Student.objects.system("a benchmark").filter(enrolments__school=calendar.school).order_by("pk").first()
    Adoption.objects.create(pack="us-ca", starts=date(2020, 7, 1), proposed_at=clock.now(), approved_at=clock.now())
    found: list[float | int] = []
    for paths in (
        ["/today/"] * requests,
        [f"/student/{first.pk + n % SCHOOL}/" for n in range(requests)],
        [f"/student/{first.pk + n % SCHOOL}/law/" for n in range(requests)],
    ):
        client.get(paths[0])
        queries = _Count()
        with connection.execute_wrapper(queries):
            assert client.get(paths[1]).status_code == 200
        times = []
        for path in paths:
            began = time.perf_counter()
            answer = client.get(path)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 200
        found += [_percentile(times, 0.95), queries.number]
    meaning = meaning_of(Mark(Presence.ABSENT, LegalStatus.PENDING), "bench", "N")
    marks = []
    for n in range(words):
        word = NewMark(first.pk + n, last, 0, meaning.pk, end - 1000 + n)
        began = time.perf_counter()
        record_marks(calendar, [word], by="bench")
        live.marks_changed(calendar, [word.student_id])
        lists.change_number(officer)
        marks.append(time.perf_counter() - began)
    print(requests, *found, _percentile(marks, 0.99))


def run(students: int = FULL) -> list[Result]:
    results = []
    command = [sys.executable, "-m", "bench.pages_bench", "--measure", str(students)]
    for database, before in (("SQLite", []), ("PostgreSQL", [sys.executable, "-m", "tests.postgres"])):
        with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
            environment = {
                **os.environ,
                "FIRSTBELL_HOME": str(Path(place)),
                "DJANGO_SETTINGS_MODULE": "firstbell.settings",
            }
            environment.pop("DATABASE_URL", None)
            ran = subprocess.run([*before, *command], env=environment, check=True, stdout=subprocess.PIPE, text=True)
        requests, today, today_queries, student, student_queries, law, law_queries, mark = ran.stdout.split()[-8:]
        results.append(
            Result(
                students,
                int(requests),
                database,
                float(today),
                int(today_queries),
                float(student),
                int(student_queries),
                float(law),
                int(law_queries),
                float(mark),
            )
        )
    return results


def show(results: list[Result]) -> None:
    first = results[0]
    print(
        f"Pages at {first.students:,} students, an officer of one school of 700, {first.requests} requests one after another"
    )
    for r in results:
        print(
            f"  {r.database:11} Today p95 {r.today_p95 * 1000:6.0f} ms in {r.today_queries} queries   "
            f"Student p95 {r.student_p95 * 1000:6.0f} ms in {r.student_queries} queries   "
            f"Law p95 {r.law_p95 * 1000:6.0f} ms in {r.law_queries} queries   "
            f"one mark to a fresh list p99 {r.mark_p99 * 1000:6.0f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", type=int)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    else:
        show(run(QUICK if options.quick else options.students))
