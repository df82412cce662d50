"""Who a tried rule would have reached, and when, beside the rule in force; and who may read it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstbell import clock
from firstbell.access.models import AuditEntry
from firstbell.casework.models import Adoption
from firstbell.casework.replay_students import Difference, Met, students_csv
from firstbell.casework.replaying import reached, replay, tried_pack
from firstbell.cli import app
from firstbell.register.models import Calendar, Enrolment, School, Student
from firstbell.register.rows import refold
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=25)
TEN = "ten-unexcused-days"


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="example", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=6, covered=TODAY)


def one(calendar: Calendar, squares: str, name: str = "Ana") -> Student:
    student = a_student(calendar.school, name)
    draw(calendar, student, squares)
    return student


def of(some: list[Met], student: Student) -> tuple[Difference, int, list[str], list[str]]:
    (found,) = [m for m in some if m.student == student.pk and m.rule.id == TEN]
    return found.difference, found.apart, [str(d) for d, _ in found.tried], [str(d) for d, _ in found.in_force]


def test_a_line_moved_down_reaches_some_earlier_and_others_besides(calendar: Calendar) -> None:
    """MTWTF MTWTF MTWTF MTWTF   the line in force is ten, the one tried eight
    Ana    UUUUU UUUUU PPPPP PPPPP   eight on the second Wednesday, ten on the Friday: two school days earlier
    Ben    UUUUU UUUPP PPPPP PPPPP   eight only
    Caro   UUUUU UUPPP PPPPP PPPPP   neither
    """
    ana, ben, caro = (one(calendar, f"{week} PPPPP PPPPP") for week in ("UUUUU UUUUU", "UUUUU UUUPP", "UUUUU UUPPP"))
    found = reached(tried_pack("example", rule=TEN, line="8"), 2027)
    assert of(found, ana) == (Difference.EARLIER, -2, ["2026-09-09"], ["2026-09-11"])
    assert of(found, ben) == (Difference.ONLY_TRIED, 0, ["2026-09-09"], [])
    assert caro.pk not in {m.student for m in found if m.rule.id == TEN}


def test_a_line_moved_up_reaches_later_and_the_same_line_on_the_same_day(calendar: Calendar) -> None:
    ana = one(calendar, "UUUUU UUUUU UUPPP PPPPP")
    ben = one(calendar, "UUUUU UUUUU PPPPP PPPPP")
    later = reached(tried_pack("example", rule=TEN, line="12"), 2027)
    assert of(later, ana) == (Difference.LATER, 2, ["2026-09-15"], ["2026-09-11"])
    assert of(later, ben) == (Difference.ONLY_IN_FORCE, 0, [], ["2026-09-11"])
    assert of(reached(tried_pack("example"), 2027), ana)[0] is Difference.SAME_DAY


def test_a_rule_that_has_none_beside_it_is_told_alone(calendar: Calendar) -> None:
    one(calendar, "UUUUU UUUUU PPPPP PPPPP")
    found = reached(tried_pack("us-fl"), 2027)
    assert {m.difference for m in found} == {Difference.ALONE}
    assert {TEN} < {m.rule.id for m in found}, "of the law in force as well"


def test_it_is_asked_of_these_students_and_of_one_rule(calendar: Calendar) -> None:
    ana, ben = one(calendar, "UUUUU UUUUU PPPPP PPPPP"), one(calendar, "UUUUU UUUUU PPPPP PPPPP")
    found = reached(tried_pack("example", rule=TEN, line="8"), 2027, [ben.pk], only=TEN)
    assert [(m.student, m.rule.id) for m in found] == [(ben.pk, TEN)]
    assert ana.pk in {m.student for m in reached(tried_pack("example"), 2027)}
    assert reached(tried_pack("example"), 2027, []) == []


def test_days_at_the_school_before_are_read_of_whoever_is_asked_about(calendar: Calendar) -> None:
    theirs = a_calendar(a_school("Birch Primary"), weeks=6, covered=TODAY)
    moved = a_student(calendar.school, ends=FIRST_MONDAY + timedelta(days=6))
    draw(calendar, moved, "UUUUU")
    Enrolment.objects.system("test").create(
        student=moved, school=theirs.school, starts=FIRST_MONDAY + timedelta(days=7), grade="03"
    )
    refold(theirs, [moved.pk])
    draw(theirs, moved, "PPPPP UUUUU PPPPP")
    one(theirs, "UUUUU UUUUU PPPPP PPPPP")
    (found,) = reached(tried_pack("example"), 2027, [moved.pk], only=TEN)
    assert (found.school, found.first) == (theirs.school, date(2026, 9, 11))


def test_who_and_the_sums_agree(calendar: Calendar) -> None:
    for n, week in ((12, "UUUUU UUUUU"), (15, "UUUUU UUUPP"), (20, "PPPPP PPPPP")):
        for _ in range(n):
            one(calendar, f"{week} PPPPP PPPPP")
    tried = tried_pack("example", rule=TEN, line="8")
    sums = next(r for r in replay(tried, 2027)["rules"] if r["id"] == TEN)["sides"]
    some = [m for m in reached(tried, 2027) if m.rule.id == TEN]
    assert (len([m for m in some if m.tried]), len([m for m in some if m.in_force])) == (27, 12)
    assert (sums["tried"]["students"], sums["in_force"]["students"]) == (27, 12)


def test_the_file_has_ids_and_days_no_name_and_no_formula(
    calendar: Calendar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstbell.cli._ready_database", lambda: None)
    ana = one(calendar, "UUUUU UUUUU PPPPP PPPPP", "Canary")
    file = tmp_path / "who.csv"
    asked = ["law", "replay", "--pack", "example", "--line", f"{TEN}=8", "--year", "2027", "--who", str(file)]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    assert [row for row in csv.reader(io.StringIO(file.read_text())) if TEN in row] == [
        [ana.source_id, "alder-primary", TEN, "tried", "1", "2026-09-09", "2", "earlier", "2"],
        [ana.source_id, "alder-primary", TEN, "in force", "1", "2026-09-11", "2", "earlier", "2"],
    ]
    assert "Canary" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    last = AuditEntry.objects.latest("id")
    assert (last.actor, last.action) == ("command line", "replayed_who")
    assert CliRunner().invoke(app, [*asked[:-1], "who.xlsx"]).exit_code == 2
    some = reached(tried_pack("example"), 2027)
    assert "'=1+1" in students_csv(some, {ana.pk: "=1+1"})
