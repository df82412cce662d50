"""The pass on Spark gives the one-process pass's alerts, to the last letter, also when a machine dies under it.

A master and two workers run as processes of their own (tests/spark.py); the grid goes to them as files.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from firstbell import clock
from firstbell.register.models import (
    Calendar,
    CalendarDay,
    DayType,
    Enrolment,
    RegisterRow,
    RollState,
    School,
    SchoolYear,
    Student,
)
from firstbell.watch import backtests, concerns
from firstbell.watch.export import export_grid
from firstbell.watch.forecasting import shelf
from firstbell.watch.models import Alert, Pass
from firstbell.watch.passes import run_pass
from tests.build import a_school, a_section, a_teacher
from tests.watch.test_ahead import model, report

pytest.importorskip("pyspark", reason="the pass on a cluster needs PySpark: make spark")
from firstbell.watch.spark import run_pass_on_spark
from tests.spark import Cluster, a_cluster

pytestmark = [pytest.mark.django_db, pytest.mark.spark]
__all__ = ["model"]

WHY = "a test sets the scene"
SCHOOLS, STUDENTS, WEEKS = 40, 30, 14
MONDAY = date(2026, 8, 31)
#: the fortnight before, a pass has run; today is a Thursday at noon
BEFORE, TODAY = date(2026, 11, 12), date(2026, 11, 26)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with override_settings(HOME=tmp_path):
        yield tmp_path


def on(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, 18, tzinfo=UTC))


def letters(rng: np.random.Generator, students: int, squares: int) -> np.ndarray:
    """Students of every kind: hardly ever away, often, in long spells, late."""
    codes = np.full((students, squares), ord("P"), dtype=np.uint8)
    rate = rng.beta(0.6, 6, students)
    away = np.zeros(students, dtype=bool)
    for square in range(squares):
        away = rng.random(students) < np.where(away, 0.6, rate)
        codes[away, square] = rng.choice(np.frombuffer(b"EEUUUUNNS", dtype=np.uint8), int(away.sum()))
    codes[(rng.random(codes.shape) < 0.04) & (codes == ord("P"))] = ord("T")
    codes[rng.random(codes.shape) < 0.01] = ord(" ")
    return codes


def a_year(school: School, monday: date, weeks: int, sessions: int, covered: date) -> Calendar:
    ends_in = monday.year + 1
    year, _new = SchoolYear.objects.get_or_create(
        ends_in=ends_in, defaults={"starts": monday, "ends": monday + timedelta(days=7 * weeks)}
    )
    calendar = Calendar.objects.create(school=school, school_year=year, sessions=sessions, covered_through=covered)
    CalendarDay.objects.bulk_create(
        CalendarDay(
            calendar=calendar, date=monday + timedelta(days=7 * w + d), day_type=DayType.INSTRUCTIONAL
        )
        for w in range(weeks)
        for d in range(5)
    )  # fmt: skip
    return calendar


def rows_of(calendar: Calendar) -> list[RegisterRow]:
    return list(RegisterRow.objects.system(WHY).filter(calendar=calendar).select_related("student").order_by("pk"))


@pytest.fixture
def district(monkeypatch: pytest.MonkeyPatch, model: Any) -> list[Calendar]:
    """Forty schools of one or three sessions; last year; who moved, who came back; a roll that was not taken; a teacher's word."""
    on(monkeypatch, BEFORE)
    rng = np.random.default_rng(7)
    now = []
    for s in range(SCHOOLS):
        school = a_school(f"School {s:02d}")
        sessions = 3 if s % 4 == 0 else 1
        last = a_year(school, date(2025, 9, 1), 36, sessions, date(2026, 6, 1))
        this = a_year(school, MONDAY, WEEKS, sessions, TODAY - timedelta(days=1))
        now.append(this)
        students = Student.objects.system(WHY).bulk_create(
            Student(source_id=f"x{(s * 997 + i * 31) % 10_007}", given_name="Ana", family_name="Reyes") for i in range(STUDENTS)
        )  # fmt: skip
        stays = Enrolment.objects.system(WHY).bulk_create(
            Enrolment(student=k, school=school, grade=f"{i % 3:02d}", starts=date(2025, 9, 1)) for i, k in enumerate(students)
        )  # fmt: skip
        for calendar in (last, this):
            squares = calendar.days.count() * sessions
            codes = letters(rng, STUDENTS, squares)
            if calendar is this:
                codes[:, squares - 5 * sessions :] = ord(" ")  # the week to come
            RegisterRow.objects.system(WHY).bulk_create(
                RegisterRow(enrolment=e, calendar=calendar, student=k, codes=bytes(c).decode())
                for e, k, c in zip(stays, students, codes, strict=True)
            )
    first, second = now[1], now[2]
    mover, comes_back = rows_of(first)[:2]
    for row, calendar in ((mover, second), (comes_back, first)):  # from the sixth week on
        again = Enrolment.objects.system(WHY).create(
            student=row.student, school=calendar.school, grade="02", starts=MONDAY + timedelta(days=35)
        )
        RegisterRow.objects.system(WHY).create(
            enrolment=again, calendar=calendar, student=row.student, codes="#" * 25 + row.codes[25:]
        )
        RegisterRow.objects.system(WHY).filter(pk=row.pk).update(codes=row.codes[:25] + "#" * 45)
    waits = rows_of(second)[3]
    RegisterRow.objects.system(WHY).filter(pk=waits.pk).update(codes=waits.codes[:63] + " " + waits.codes[64:])
    section = a_section(second, *(r.student for r in rows_of(second)[:5]))
    teacher = a_teacher(second.school, section)
    concerns.say(section, rows_of(second)[0].student, "tired", teacher)
    RollState.objects.create(
        calendar=second, section=section, date=BEFORE, taken=True, recorded_at=1, key="a roll of the fortnight before"
    )
    shelf().keep(model)
    backtests.keep(report())
    return now


def alerts() -> list[dict[str, Any]]:
    """Every alert in full, but for its number."""
    found = Alert.objects.system(WHY).order_by("school", "student", "kind", "section", "session", "state", "opened_at")
    return [{k: v for k, v in alert.items() if k != "id"} for alert in found.values()]


def a_fortnight_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    Alert.objects.system(WHY).all().delete()
    on(monkeypatch, BEFORE)
    run_pass()
    on(monkeypatch, TODAY)


@pytest.fixture
def in_one_process(district: list[Calendar], monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], Pass]:
    """What the one-process pass makes of it; then all is again as it was a fortnight ago."""
    a_fortnight_ago(monkeypatch)
    done = run_pass()
    found = alerts()
    assert {a["kind"] for a in found} >= {"streak", "break", "high_absence", "unexplained", "line_ahead", "weekday"}
    assert {a["kind"] for a in found} >= {"unexplained_today", "roll_not_taken", "concern", "lateness"}
    assert {a["state"] for a in found} >= {"open", "withdrawn", "expired"}
    assert any(a["why"] for a in found)
    a_fortnight_ago(monkeypatch)
    return found, done


def test_a_worker_dies_in_the_middle_and_the_alerts_are_those_of_one_process(
    cluster: Cluster, in_one_process: tuple[list[dict[str, Any]], Pass], tmp_path: Path
) -> None:
    from pyspark import SparkContext

    killed: list[tuple[int, int]] = []

    def kill_when_both_are_at_work(words: str, done: int, total: int) -> None:
        if words != "Judging on Spark" or killed:
            return
        context = SparkContext._active_spark_context
        assert context is not None
        at_work = [e for e in context._jsc.sc().statusTracker().getExecutorInfos() if e.numRunningTasks()]
        if len(at_work) == 2:
            cluster.kill(1)
            killed.append((done, total))

    expected, one = in_one_process
    export_grid(tmp_path / "grid")
    done = run_pass_on_spark(cluster.master, str(tmp_path / "grid"), progress=kill_when_both_are_at_work)
    ((had_done, of),) = killed
    assert had_done < of
    assert alerts() == expected
    assert (done.students, done.opened, done.withdrawn) == (one.students, one.opened, one.withdrawn)
