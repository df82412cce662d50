"""The grid as Parquet: what is written, and a school read back from rows in any order. No Spark here: that is test_spark.py."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firstbell import clock
from firstbell.forecast.lines import Counted, find_line
from firstbell.register.models import Calendar, Enrolment
from firstbell.watch import export
from firstbell.watch.executor import Told, judged, running
from firstbell.watch.export import NotWritten, export_grid
from firstbell.watch.lake import CALENDARS, LAST_YEAR, REGISTERS, BadLake, Register, from_bytes, read_school
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, draw

FRIDAY = FIRST_MONDAY + timedelta(days=11)
ASKED = ((("example/ten-unexcused-days",), find_line("example", "ten-unexcused-days"), 10, None),)
DAYS = [FIRST_MONDAY + timedelta(days=d) for d in (0, 1, 2, 3, 4)]


def read(*rows: dict[str, Any], sessions: int = 1, through: int = 5, day: date = DAYS[4]) -> Register:
    filled = [{**dict.fromkeys(REGISTERS.names), "grade": "03", **row} for row in rows]
    table = pa.Table.from_pylist(filled, REGISTERS)
    return read_school("alder", sessions, DAYS, through, day, table.to_struct_array().combine_chunks())


def squares(register: Register) -> list[str]:
    return [row.tobytes().decode() for row in register.registers.grid.codes]


class TestReading:
    def test_rows_stand_by_student_or_in_their_place(self) -> None:
        ana, ben = {"student": "a", "codes": "PPPPP"}, {"student": "b", "codes": "UUUUU"}
        assert read(ben, ana).students == ["a", "b"]
        assert read(ana | {"place": 1}, ben | {"place": 0}).students == ["b", "a"]

    def test_two_stays_are_read_as_one(self) -> None:
        first = {"student": "a", "codes": "PU###", "stay": 0, "grade": "03"}
        later = {"student": "a", "codes": "###EP", "stay": 1, "grade": "04"}
        for rows in ((first, later), (later, first)):
            register = read(*rows)
            assert (register.students, squares(register)) == (["a"], ["PU#EP"])

    def test_the_same_stay_twice_is_refused(self) -> None:
        with pytest.raises(BadLake, match="two registers of student a under the same stay"):
            read({"student": "a", "codes": "PPPPP"}, {"student": "a", "codes": "PPPPP"})

    @pytest.mark.parametrize(
        ("codes", "sentence"),
        [("PPPP", "should have 5 letters .* and has 4"), (None, "and has none"), ("PPPP?", "letters that Firstbell")],
    )
    def test_a_register_that_does_not_fit_its_calendar_is_refused_by_name(
        self, codes: str | None, sentence: str
    ) -> None:
        with pytest.raises(BadLake, match=sentence) as told:
            read({"student": "a", "codes": "PPPPP"}, {"student": "b", "codes": codes})
        assert told.value.student == "b"

    def test_a_calendar_that_is_none_is_refused(self) -> None:
        with pytest.raises(BadLake, match="is no calendar"):
            read({"student": "a", "codes": "PPPPP"}, through=6)

    def test_without_a_last_year_there_is_none(self) -> None:
        assert read({"student": "a", "codes": "PPPPP"}).registers.before == {}
        register = read(
            {"student": "a", "codes": "PPPPP"},
            {"student": "b", "codes": "PPPPP", LAST_YEAR[Counted.UNEXCUSED]["starts"]: 3.0},
        )
        assert register.registers.before[Counted.UNEXCUSED].starts.tolist() == [0.0, 3.0]

    def test_todays_column_and_none_on_a_day_off(self) -> None:
        register = read({"student": "a", "codes": "PPPPPPPPUN"}, sessions=2)
        assert register.registers.today == 4
        assert read({"student": "a", "codes": "PPPPP"}, day=DAYS[4] + timedelta(days=1)).registers.today is None


def test_another_version_on_a_machine_is_said_and_not_judged() -> None:
    plan = pa.RecordBatch.from_pylist([{"school": "alder"}])
    (answer,) = judged(Told("0.0.1+old", None, ASKED), iter([plan]))
    assert "runs another version of Firstbell" in answer["refused"][0].as_py()


def test_registers_without_a_calendar_are_refused() -> None:
    schema = pa.schema([CALENDARS.field(n) for n in ("school", "sessions", "dates", "through", "day")])
    plan = pa.RecordBatch.from_pylist([dict.fromkeys(schema.names) | {"school": "alder"}], schema)
    (answer,) = judged(Told(running(), None, ASKED), iter([plan]))
    assert answer["refused"][0].as_py() == "School alder has registers, and no calendar in calendars.parquet."


JUDGES = """
import sys, pyarrow as pa
from datetime import date, timedelta
from firstbell.forecast.lines import find_line
from firstbell.watch.executor import Told, judged, running
from firstbell.watch.lake import REGISTERS, from_bytes
days = [date(2026, 8, 31) + timedelta(days=7 * w + d) for w in range(6) for d in range(5)]
rows = [{**dict.fromkeys(REGISTERS.names), "student": f"s{i}", "grade": "3", "codes": "P" * (30 - i) + "U" * i} for i in range(6)]
plan = pa.table({"school": ["alder"], "sessions": [1], "dates": pa.array([days]), "through": [30], "day": pa.array([days[-1]]),
                 "registers": pa.array([rows], pa.list_(pa.struct(list(REGISTERS))))})
asked = ((("example/ten-unexcused-days",), find_line("example", "ten-unexcused-days"), 10, None),)
(answer,) = judged(Told(running(), None, asked), iter(plan.to_batches()))
print(answer["refused"][0].as_py(), from_bytes(answer["ground"][0].as_py()).to_pylist())
"""


@pytest.mark.slow
def test_processes_beside_each_other_compile_once_and_find_the_same(tmp_path: Path) -> None:
    """As on a machine where nothing has been compiled yet."""
    fresh = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled"), "FIRSTBELL_HOME": str(tmp_path / "home")}
    fresh.pop("DJANGO_SETTINGS_MODULE", None)
    running = [
        subprocess.Popen([sys.executable, "-c", JUDGES], env=fresh, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [process.communicate(timeout=600)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert said[0].startswith("None [{")
    assert len(set(said)) == 1


@pytest.mark.django_db
class TestWriting:
    @pytest.fixture(autouse=True)
    def today(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clock, "now", lambda: datetime(FRIDAY.year, FRIDAY.month, FRIDAY.day, 22, tzinfo=UTC))

    @pytest.fixture
    def school(self) -> Any:
        school = a_school()
        calendar = a_calendar(school, weeks=2, covered=FRIDAY)
        for name in ("Ana", "Ben"):
            draw(calendar, a_student(school, name), "PPUUP PPTPE")
        return school

    def rows(self, grid: Path) -> list[dict[str, Any]]:
        return pq.read_table(grid / "registers").to_pylist()

    def test_it_holds_registers_and_calendars_and_no_names(self, school: Any, tmp_path: Path) -> None:
        done = export_grid(tmp_path / "grid")
        assert (done.schools, done.students) == (1, 2)
        assert [r["codes"] for r in self.rows(tmp_path / "grid")] == ["PPUUPPPTPE"] * 2
        (calendar,) = pq.read_table(tmp_path / "grid" / "calendars.parquet").to_pylist()
        assert (calendar["school"], calendar["year"], calendar["sessions"]) == ("alder-primary", 2027, 1)
        assert (calendar["through"], calendar["day"]) == (10, FRIDAY)
        assert calendar["folds"] == Calendar.objects.get().folds
        written = b"".join(p.read_bytes() for p in (tmp_path / "grid").rglob("*.parquet"))
        assert not any(name in written for name in (b"Ana", b"Ben", b"Reyes"))

    def test_as_known_on_a_past_day(self, school: Any, tmp_path: Path) -> None:
        export_grid(tmp_path / "grid", as_of=FIRST_MONDAY + timedelta(days=2))
        assert [r["codes"] for r in self.rows(tmp_path / "grid")] == ["PPU       "] * 2

    def test_days_at_another_school_go_along(self, school: Any, tmp_path: Path) -> None:
        other = a_school("Birch High")
        a_calendar(other, weeks=2, covered=FRIDAY)
        cal = a_student(other, "Cal", ends=FIRST_MONDAY + timedelta(days=4))
        draw(other.calendars.get(), cal, "UUUUP")
        Enrolment.objects.system("t").create(
            student=cal, school=school, starts=FIRST_MONDAY + timedelta(days=7), grade="03"
        )
        draw(school.calendars.get(), cal, "      PPPP")
        export_grid(tmp_path / "grid")
        carried = {
            (r["school"], r["student"]): (r["carried_count"], r["carried_possible"])
            for r in self.rows(tmp_path / "grid")
        }
        assert carried["alder-primary", cal.source_id] == (4.0, 5.0)
        assert sorted(set(carried.values())) == [(0.0, 0.0), (0.0, 5.0), (4.0, 5.0)]

    def test_it_comes_in_files_and_groups_of_a_size(
        self, school: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = a_school("Birch High")
        a_calendar(other, weeks=2, covered=FRIDAY)
        a_student(other, "Cal")
        monkeypatch.setattr(export, "GROUP", 1)
        monkeypatch.setattr(export, "FILE", 2)
        export_grid(tmp_path / "grid")
        assert sorted(p.name for p in (tmp_path / "grid" / "registers").iterdir()) == ["00001.parquet", "00002.parquet"]

    def test_a_grid_is_replaced_and_nothing_else_is(self, school: Any, tmp_path: Path) -> None:
        export_grid(tmp_path / "grid")
        export_grid(tmp_path / "grid")
        assert [p.name for p in tmp_path.iterdir()] == ["grid"]
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "letter.txt").write_text("dear")
        with pytest.raises(NotWritten, match="holds something other than a grid"):
            export_grid(tmp_path / "other")
        assert (tmp_path / "other" / "letter.txt").read_text() == "dear"

    def test_a_failure_leaves_the_grid_that_was_there(
        self, school: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export_grid(tmp_path / "grid")
        before = self.rows(tmp_path / "grid")

        def fails(*_: object) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(export, "_registers", fails)
        with pytest.raises(OSError, match="disk is full"):
            export_grid(tmp_path / "grid")
        assert self.rows(tmp_path / "grid") == before
        assert [p.name for p in tmp_path.iterdir()] == ["grid"]

    def test_an_executor_finds_what_the_pass_finds(self, school: Any, tmp_path: Path) -> None:
        calendar = school.calendars.get()
        draw(calendar, a_student(school, "Cal"), "PPPPP PUUUU")
        export_grid(tmp_path / "grid")
        (told,) = pq.read_table(tmp_path / "grid" / "calendars.parquet").to_pylist()
        table = pq.read_table(tmp_path / "grid" / "registers")
        plan = pa.table(
            {
                "school": ["alder-primary"], "sessions": [told["sessions"]], "dates": pa.array([told["dates"]]),
                "through": [told["through"]], "day": pa.array([told["day"]]), "registers": pa.array([table.to_pylist()]),
            }
        )  # fmt: skip
        (answer,) = judged(Told(running(), None, ASKED), iter(plan.to_batches()))
        assert answer["refused"][0].as_py() is None
        ground = from_bytes(answer["ground"][0].as_py())
        assert "2026-09-08U1U1U1U" in ground["days"].to_pylist()
