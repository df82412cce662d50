"""Forecasts from the register: as known then, learned only from what had closed, a row a student."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import override_settings
from typer.testing import CliRunner

from firstbell import clock
from firstbell.cli import app
from firstbell.forecast.lines import YEAR_END, find_line
from firstbell.forecast.model import Model
from firstbell.forecast.within import TooFar
from firstbell.intake.command import import_path
from firstbell.law.packs import Window
from firstbell.register.models import Calendar, Enrolment, School, SchoolYear, Student
from firstbell.simulator.export import ZONE, make_district
from firstbell.watch import backtests, forecasting
from firstbell.watch.forecasting import NoYear, forecast_file, train
from firstbell.watch.kinds import BREAK_SCORE
from firstbell.watch.learning import learn_and_judge, stale
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, at, draw, mark

TEN = find_line("example", "ten-unexcused-days")
WHY = "a test looks at everything"
MONDAY = FIRST_MONDAY


def written(path: Path) -> dict[tuple[date, str], dict[str, Any]]:
    return {(row["as_of"], row["student"]): row for row in pq.read_table(path).to_pylist()}


def in_the_month(counted: list[date], days: list[date]) -> list[int]:
    return [sum(c <= d and (c.year, c.month) == (d.year, d.month) for c in counted) for d in days]


@pytest.fixture
def home(tmp_path: Path) -> Any:
    with override_settings(HOME=tmp_path):
        yield tmp_path


@pytest.mark.django_db
class TestOneSchool:
    def test_counts_are_those_known_at_the_end_of_the_day(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        ana = a_student(school)
        draw(calendar, ana, "UUU")
        mark(calendar, ana, MONDAY + timedelta(days=1), "E", recorded=at(MONDAY + timedelta(days=9)))
        days = [MONDAY + timedelta(days=n) for n in (0, 1, 2, 8, 9, 10)]
        assert forecast_file(days, TEN, 10, home / "f.parquet") == 6
        found = written(home / "f.parquet")
        assert [found[d, ana.source_id]["count"] for d in days] == [1, 2, 3, 3, 2, 2]
        assert [found[d, ana.source_id]["needed"] for d in days] == [9, 8, 7, 7, 8, 8]
        assert all(row["school"] == school.source_id for row in found.values())

    def test_what_comes_later_changes_nothing(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        students = [a_student(school, f"N{n}") for n in range(12)]
        for n, student in enumerate(students):
            draw(calendar, student, "PPUPPPUUPPPEPP"[n:] + "PPPPP")
        day = MONDAY + timedelta(days=18)
        forecast_file([day], TEN, 10, home / "before.parquet")
        for n, student in enumerate(students):
            mark(calendar, student, day + timedelta(days=3 + n % 4), "U")
            mark(calendar, student, MONDAY + timedelta(days=2), "E", recorded=at(day + timedelta(days=1)))
        forecast_file([day], TEN, 10, home / "after.parquet")
        assert written(home / "before.parquet") == written(home / "after.parquet")

    def test_ten_days_reach_the_line(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        ana = a_student(school)
        draw(calendar, ana, "U" * 10)
        forecast_file([MONDAY + timedelta(days=n) for n in (10, 11)], TEN, YEAR_END, home / "f.parquet")
        nine, ten = (written(home / "f.parquet")[MONDAY + timedelta(days=n), ana.source_id] for n in (10, 11))
        assert (nine["count"], nine["needed"], nine["band"]) == (9, 1, "cannot_tell")
        assert nine["chance"] > 0.5
        assert (ten["count"], ten["needed"], ten["band"], ten["chance"]) == (10, 0, "reached", None)

    def test_a_tenth_of_the_first_days_says_nothing(self, home: Path) -> None:
        """The law speaks of a share once ten days were possible: one day of three is no line reached."""
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        ana = a_student(school)
        draw(calendar, ana, "UPPPP PPPPU")
        days = [MONDAY + timedelta(days=n) for n in (2, 11)]
        forecast_file(days, find_line("example", "chronic-absence"), YEAR_END, home / "f.parquet")
        third, tenth = (written(home / "f.parquet")[day, ana.source_id] for day in days)
        assert (third["band"], third["count"]) == ("cannot_tell", 1)
        assert third["chance"] is not None
        assert (tenth["band"], tenth["count"], tenth["needed"], tenth["chance"]) == ("reached", 2, 0, None)

    def test_a_day_learns_from_what_had_closed_before_it_and_nothing_later(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        school = a_school()
        before = a_calendar(school, weeks=4, start=MONDAY - timedelta(days=364), covered=MONDAY - timedelta(days=300))
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        ana = a_student(school)
        draw(calendar, ana, "UPUPP UPPPP")
        asked: list[date] = []
        monkeypatch.setattr(forecasting, "train", lambda through, _say: asked.append(through))
        eve = calendar.school_year.starts - timedelta(days=1)
        closed = before.school_year.ends
        one, two = MONDAY + timedelta(days=4), MONDAY + timedelta(days=11)
        for days, through, learned in (
            ([one, two], None, [eve]),  # alike for each day of a year
            ([two], None, [eve]),
            ([one, two], closed, [closed]),
            ([one, two], two, [eve, two]),  # the first day may not know of the second
            ([closed - timedelta(days=1)], two, []),  # nothing had closed before it, whatever has since
        ):
            asked.clear()
            list(forecasting.forecasts(days, TEN, 10, through=through))
            assert sorted(set(asked)) == learned, (days, through)
        assert forecasting.untaught([closed - timedelta(days=1), one], two) == [closed - timedelta(days=1)]

    def test_before_the_first_school_day_nobody_is_asked_about(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=8)
        a_student(school)
        SchoolYear.objects.filter(pk=calendar.school_year_id).update(starts=MONDAY - timedelta(days=3))
        assert forecast_file([MONDAY - timedelta(days=2)], TEN, 10, home / "f.parquet") == 0

    def test_a_folder_is_no_file_and_says_so_at_once(self, home: Path) -> None:
        with pytest.raises(IsADirectoryError, match="is a folder"):
            forecast_file([MONDAY], TEN, 10, home)

    def test_days_in_a_row_and_in_a_month_are_counted_as_the_law_counts_them(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        ana = a_student(school)
        draw(calendar, ana, "UUUPUU")
        days = [MONDAY + timedelta(days=n) for n in (2, 3, 7, 8)]
        for pack, rule, counts in (
            ("gb-eng", "ENG-7-10", [3, 0, 2, 0]),
            ("us-co", "CO-1-month", in_the_month([MONDAY + timedelta(days=n) for n in (0, 1, 2, 4, 7)], days)),
            ("us-fl", "FL-2-90", [3, 3, 5, 5]),
        ):
            line = find_line(pack, rule)
            assert forecast_file(days, line, 10, home / "f.parquet") == 4
            found = written(home / "f.parquet")
            rows = [found[d, ana.source_id] for d in days]
            assert [row["count"] for row in rows] == counts, rule
            for row in rows:
                at_line = row["count"] >= line.days
                assert (row["band"] == "reached") == at_line
                assert (row["chance"] is None) == at_line
                assert row["needed"] == max(line.days - row["count"], 0)

    def test_so_far_ahead_that_days_to_come_leave_the_window_nothing_is_written(self, home: Path) -> None:
        school = a_school()
        calendar = a_calendar(school, weeks=12, covered=MONDAY + timedelta(days=70))
        draw(calendar, a_student(school), "UUU")
        line = replace(find_line("us-fl", "FL-2-90"), window=Window(kind="rolling_school_days", length=15))
        with pytest.raises(TooFar, match="15 school days at most"):
            forecast_file([MONDAY + timedelta(days=7)], line, YEAR_END, home / "f.parquet")
        assert list(home.glob("f.parquet*")) == []

    def test_who_they_are_changes_nothing(self, home: Path) -> None:
        """The same marks, another person: name, birth date, language, grade as the source writes it elsewhere."""
        school = a_school()
        calendar = a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        one, two = a_student(school), a_student(school, "Zoë", family="Abara")
        for student in (one, two):
            draw(calendar, student, "PUUPP PPPUP PPEPP NPPPP")
        Student.objects.system(WHY).filter(pk=two.pk).update(
            home_language="so", birth_date=date(2011, 1, 1), preferred_name="Z"
        )
        day = MONDAY + timedelta(days=30)
        forecast_file([day], TEN, 10, home / "f.parquet")
        found = written(home / "f.parquet")
        mine, theirs = (
            {k: v for k, v in found[day, s.source_id].items() if k != "student"} for s in (one, two)
        )  # fmt: skip
        assert mine == theirs

    def test_who_left_is_not_asked_about(self, home: Path) -> None:
        school = a_school()
        a_calendar(school, weeks=8, covered=MONDAY + timedelta(days=50))
        here, gone = a_student(school), a_student(school, ends=MONDAY + timedelta(days=4))
        for calendar in Calendar.objects.all():
            draw(calendar, here, "UP")
        days = [MONDAY + timedelta(days=4), MONDAY + timedelta(days=7)]
        forecast_file(days, TEN, 10, home / "f.parquet")
        assert {(d, s) for d, s in written(home / "f.parquet")} == {
            (days[0], here.source_id), (days[0], gone.source_id), (days[1], here.source_id),
        }  # fmt: skip

    def test_a_day_of_no_school_year_is_refused_and_nothing_is_left(self, home: Path) -> None:
        school = a_school()
        a_calendar(school)
        with pytest.raises(NoYear, match="2031-01-06"):
            forecast_file([date(2031, 1, 6)], TEN, 10, home / "f.parquet")
        assert list(home.iterdir()) == []

    def test_without_a_closed_year_there_is_nothing_to_train_on(self, home: Path) -> None:
        a_calendar(a_school())
        with pytest.raises(NoYear, match="alone until one has"):
            train(MONDAY)


@pytest.mark.django_db
def test_days_at_another_school_this_year_are_carried_along(home: Path) -> None:
    first, second = a_school("Alder Primary"), a_school("Birch High")
    calendars = [a_calendar(s, weeks=8, covered=MONDAY + timedelta(days=50)) for s in (first, second)]
    ana = a_student(first, ends=MONDAY + timedelta(days=11))
    draw(calendars[0], ana, "UUUUPPPPPP")
    Enrolment.objects.system(WHY).create(student=ana, school=second, starts=MONDAY + timedelta(days=14), grade="09")
    mark(calendars[1], ana, MONDAY + timedelta(days=15), "U")
    day = MONDAY + timedelta(days=16)
    forecast_file([day], TEN, 10, home / "f.parquet")
    row = written(home / "f.parquet")[day, ana.source_id]
    assert (row["school"], row["count"], row["needed"]) == (second.source_id, 5, 5)


@pytest.mark.django_db
def test_on_two_rolls_a_student_is_asked_about_once(home: Path) -> None:
    first, second = a_school("Alder Primary"), a_school("Birch High")
    calendars = [a_calendar(s, weeks=8, covered=MONDAY + timedelta(days=50)) for s in (first, second)]
    ana = a_student(first)
    Enrolment.objects.system(WHY).create(
        student=ana, school=second, starts=MONDAY + timedelta(days=7), grade="09", primary=False
    )
    for calendar in calendars:  # away from both on the same day: one day
        mark(calendar, ana, MONDAY + timedelta(days=8), "U")
    day = MONDAY + timedelta(days=16)
    assert forecast_file([day], TEN, 10, home / "f.parquet") == 1
    row = written(home / "f.parquet")[day, ana.source_id]
    assert (row["school"], row["count"]) == (first.source_id, 1)


@pytest.mark.django_db
def test_a_district_learns_from_the_year_that_closed(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = date(2026, 11, 20)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 20, 15, tzinfo=ZONE))
    make_district(tmp_path / "files", students=900, seed=3, today=today, hour=datetime(2026, 11, 20, 15).time())
    import_path(tmp_path / "files", "demo", yes=True, accept=[])
    closed = SchoolYear.objects.order_by("ends_in").first()
    assert closed is not None

    with pytest.raises(NoYear):
        train(closed.ends - timedelta(days=1))
    model = train(closed.ends)
    assert model.years == (closed.ends_in,)
    shelf = forecasting.shelf()
    assert shelf.keep(model) == 1

    days = [date(2026, 10, 16), date(2026, 11, 13)]
    one = forecast_file(days, TEN, 10, tmp_path / "one.parquet", through=closed.ends)
    found = written(tmp_path / "one.parquet")
    assert one == len(found) > 1500
    assert {row["school"] for row in found.values()} == set(School.objects.values_list("source_id", flat=True))
    for row in found.values():
        if row["band"] == "reached":
            assert row["chance"] is None
            assert row["count"] >= 10
        else:
            assert row["low"] <= row["chance"] <= row["high"]
            assert row["count"] + row["needed"] == 10
    # one day asked alone is answered as among others, and by the kept model as by one trained for the call
    forecast_file(days[1:], TEN, 10, tmp_path / "two.parquet", through=closed.ends)
    assert written(tmp_path / "two.parquet") == {k: v for k, v in found.items() if k[0] == days[1]}
    (home / "models" / "current").unlink()
    forecast_file(days[1:], TEN, 10, tmp_path / "three.parquet", through=closed.ends)
    assert written(tmp_path / "three.parquet") == written(tmp_path / "two.parquet")
    # a model that this version cannot read is no obstacle, and is told of among the others
    (home / "models" / "2.json").write_text(model.as_json().replace('"format": 3', '"format": 1'))
    (home / "models" / "current").write_text("2")
    with monkeypatch.context() as learned:
        learned.setattr(forecasting, "train", lambda _through, _say: model)
        forecast_file(days[1:], TEN, 10, tmp_path / "four.parquet", through=closed.ends)
    assert written(tmp_path / "four.parquet") == written(tmp_path / "two.parquet")
    listed = CliRunner().invoke(app, ["model", "list"]).output.splitlines()
    assert listed[0].startswith("1  made ")
    assert listed[1] == "2  The model is of format 1; this version reads format 3. Train anew.  in use"
    (home / "models" / "2.json").unlink()
    shelf.use(1)

    # judged on the year that runs, by the days whose end is known; what the verdict says is kept and in force
    steps: list[str] = []
    report, _judged = backtests.backtest(lambda words, _done, _total: steps.append(words))
    assert (report["learned_from"], report["judged_whole"]) == ([str(closed)], False)
    assert set(report["questions"]["example/ten-unexcused-days"]) == {"5", "10", "20", "year-end"}
    assert steps[-1] == "Judging"
    assert "Watching every evening" in steps
    assert report["breaks"]["students"] > 700
    assert report["breaks"]["detectors"][0]["bar"] == BREAK_SCORE
    json.dumps(report, allow_nan=False)
    # a model kept after it was judged says in its own file how it did
    told = Model.from_json(replace(_judged, metrics=backtests.in_short(report)).as_json()).metrics
    ten = report["questions"]["example/ten-unexcused-days"]["10"]
    assert told["questions"]["example/ten-unexcused-days"]["10"]["offered"] == ten["verdict"]["offered"]
    assert told["questions"]["example/ten-unexcused-days"]["10"]["reached"] == ten["reached"]
    backtests.keep(report)
    asked = [
        "forecast",
        "--as-of",
        str(days[1]),
        "--pack",
        "gb-eng",
        "--rule",
        "ENG-7-10",
        "--horizon",
        "10",
        "--out",
        str(tmp_path / "five.parquet"),
    ]
    assert "does not offer this question here" in CliRunner().invoke(app, asked).output
    learn_and_judge()
    assert not stale()
    assert backtests.kept() == json.loads(json.dumps(report))
