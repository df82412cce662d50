"""The pass on Spark gives the one-process pass's alerts, to the last letter, also when a machine dies under it.

A master and two workers run as processes of their own (tests/spark.py); the grid goes to them as files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.test import override_settings
from typer.testing import CliRunner

from firstbell import clock
from firstbell.cli import app
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
from firstbell.watch.models import Alert, LawInForce, Pass
from firstbell.watch.passes import run_pass
from tests.build import a_school, a_section, a_student, a_teacher, draw, mark
from tests.watch.test_ahead import model, report

pytest.importorskip("pyspark", reason="the pass on a cluster needs PySpark: make spark")
from firstbell.watch.spark import NotRun, run_pass_on_spark
from tests.spark import BRIEF, Cluster, a_cluster, a_port

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
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", BRIEF)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
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
    # ten days of the year are asked of the forecast, five in ten weeks are arithmetic
    LawInForce.objects.create(pack="us-in", first=date(2026, 8, 1))
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
    assert {a["rule"] for a in found} >= {"us-in/IN-1", "us-in/IN-3-10"}
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


def test_a_lake_somebody_else_keeps_gives_the_same(
    in_one_process: tuple[list[dict[str, Any]], Pass], tmp_path: Path
) -> None:
    """Rows in any order in several files, letters as bytes, no column that may be left out; one student's stays as rows of their own."""
    expected, _one = in_one_process
    export_grid(tmp_path / "ours")
    theirs = tmp_path / "theirs"
    (theirs / "registers").mkdir(parents=True)
    rows = pq.read_table(tmp_path / "ours" / "registers").drop_columns(["place"])
    shuffled = rows.take(np.random.default_rng(1).permutation(rows.num_rows))
    codes = shuffled["codes"].cast(pa.binary())
    shuffled = shuffled.set_column(shuffled.schema.get_field_index("codes"), "codes", codes)
    for n in range(3):
        pq.write_table(shuffled.slice(n * 450, 450), theirs / "registers" / f"part {n}.parquet")
    calendars = pq.read_table(tmp_path / "ours" / "calendars.parquet")
    pq.write_table(calendars.drop_columns(["known", "folds"]), theirs / "calendars.parquet")
    run_pass_on_spark("local[2]", str(theirs))
    assert alerts() == expected


class TestWhatCanGoWrong:
    """A sentence says it, and no alert is touched."""

    @pytest.fixture
    def grid(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        on(monkeypatch, TODAY)
        school = a_school()
        calendar = a_year(school, MONDAY, WEEKS, 1, TODAY - timedelta(days=1))
        for name in ("Ana", "Ben"):
            draw(calendar, a_student(school, name), "P" * 58 + "UUUUU")
        export_grid(tmp_path / "grid")
        return tmp_path / "grid"

    def refusal(self, grid: Path | str | None, master: str = "local[1]", **more: Any) -> str:
        with pytest.raises(NotRun) as told:
            run_pass_on_spark(master, None if grid is None else str(grid), **more)
        assert not Alert.objects.system(WHY).exists()
        assert not Pass.objects.exists()
        return str(told.value)

    def rewrite(self, file: Path, column: str, change: Any) -> None:
        table = pq.read_table(file)
        at = table.schema.get_field_index(column)
        values = pa.array(change(table[column].to_pylist()), table.schema.field(column).type)
        pq.write_table(table.set_column(at, column, values), file)

    def test_there_is_no_grid(self, grid: Path) -> None:
        said = self.refusal(grid.with_name("elsewhere"))
        assert "There is no grid at" in said
        assert "firstbell export-grid" in said

    def test_a_column_is_missing(self, grid: Path) -> None:
        file = next((grid / "registers").iterdir())
        pq.write_table(pq.read_table(file).drop_columns(["codes"]), file)
        assert "registers has no column codes." in self.refusal(grid)

    def test_a_register_of_the_wrong_length_is_named_with_its_school_and_file(self, grid: Path) -> None:
        self.rewrite(grid / "registers" / "00001.parquet", "codes", lambda codes: [codes[0], codes[1][:-2]])
        said = self.refusal(grid)
        ben = Student.objects.system(WHY).get(given_name="Ben").source_id
        assert f"The register of student {ben} at school alder-primary should have 70 letters" in said
        assert "and has 68." in said
        assert "It is in registers/00001.parquet. Alerts are as they were." in said

    def test_a_grid_of_another_day_is_not_taken_for_todays(self, grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        on(monkeypatch, TODAY + timedelta(days=1))
        assert f"was written for {TODAY}, and the pass is for {TODAY + timedelta(days=1)}" in self.refusal(grid)

    def test_a_school_the_register_does_not_have(self, grid: Path) -> None:
        self.rewrite(grid / "calendars.parquet", "school", lambda names: ["elsewhere"])
        assert "has school elsewhere" in self.refusal(grid)

    def test_no_master_answers(self, grid: Path) -> None:
        said = self.refusal(grid, f"spark://127.0.0.1:{a_port()}")
        assert said.startswith("No Spark master answers at spark://127.0.0.1:")

    def test_what_is_no_master(self, grid: Path) -> None:
        assert "it looks like spark://host:7077" in self.refusal(grid, "http://127.0.0.1")
        assert "it looks like spark://host:7077" in self.refusal(grid, "spark://nowhere")

    def test_a_cluster_of_other_machines_is_told_where_the_grid_is(self) -> None:
        assert "name it with --grid" in self.refusal(None, "spark://cluster.example:7077")

    def test_spark_is_not_installed(self, grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyspark", None)
        assert "make spark" in self.refusal(grid)

    def test_the_command_says_it_and_fails(self, grid: Path) -> None:
        at = f"spark://127.0.0.1:{a_port()}"
        ran = CliRunner().invoke(app, ["nightly", "--engine", "spark", "--master", at, "--grid", str(grid)])
        assert ran.exit_code == 1
        assert "No Spark master answers" in ran.stderr

    def test_marks_that_came_after_the_grid_was_written_are_not_forgotten(self, grid: Path) -> None:
        ben = Student.objects.system(WHY).get(given_name="Ben")
        mark(Calendar.objects.get(), ben, TODAY - timedelta(days=1), "P", recorded=clock.seconds(clock.now()))
        run_pass_on_spark("local[1]", str(grid))
        raised = Alert.objects.system(WHY).filter(kind="streak").values_list("student__given_name", flat=True)
        assert list(raised) == ["Ana"]

    def test_students_the_grid_does_not_hold_keep_their_alerts(self, grid: Path) -> None:
        run_pass()
        table = pq.read_table(grid / "registers" / "00001.parquet")
        pq.write_table(table.slice(0, 1), grid / "registers" / "00001.parquet")
        run_pass_on_spark("local[1]", str(grid))
        assert {a["state"] for a in alerts()} == {"open"}

    def test_a_past_day_is_judged_as_known_then(self, grid: Path) -> None:
        day = TODAY - timedelta(days=3)
        run_pass(as_of=day)
        expected = alerts()
        assert expected
        Alert.objects.system(WHY).all().delete()
        run_pass_on_spark("local[1]", as_of=day)
        assert alerts() == expected


def test_the_command_writes_the_grid_itself_and_says_how_it_went(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    on(monkeypatch, TODAY)
    school = a_school()
    calendar = a_year(school, MONDAY, WEEKS, 1, TODAY - timedelta(days=1))
    draw(calendar, a_student(school), "P" * 58 + "UUUUU")
    ran = CliRunner().invoke(app, ["nightly", "--engine", "spark", "--master", "local[1]"])
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.endswith("1 students; 1 alerts opened, 0 withdrawn.\n")
