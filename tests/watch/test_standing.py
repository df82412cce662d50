"""What is found, written: every figure stands in the database as it was found, whatever its size, and as it changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstbell import clock
from firstbell.register import rows
from firstbell.watch.ground import Finding, Ground
from firstbell.watch.kinds import Kind
from firstbell.watch.models import Alert
from firstbell.watch.passes import read_schools
from firstbell.watch.registers import Place
from firstbell.watch.standing import Look, write
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
MOST = 2**31 - 1  # of the database's own whole numbers


def test_every_figure_stands_as_it_was_found_and_as_it_changed() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=4, sessions=7)
    for name in ("Ana", "Bo", "Cy"):
        draw(calendar, a_student(school, name), "P")
    place = Place.of(rows.columns(calendar), FIRST_MONDAY)
    look = Look([place], read_schools([place], None), clock.now())
    day = str(FIRST_MONDAY)
    first = [
        Finding(Kind.NOT_IN_CLASS, 0, 0, 7, 1, f"{day}PPPPUU_", session=4),
        Finding(Kind.WEEKDAY, 0, 3, MOST, MOST, day, MOST, MOST, weekday=7),
        Finding(Kind.LINE_AHEAD, 1, MOST, 10, 3, f"{day}U2N", 4, 10, rule="us-xx/a-rule", why="lately:3/10 last_year:4/9"),
        Finding(Kind.HIGH_ABSENCE, 2, 12, 100, 12, ""),
        Finding(Kind.NOT_IN_CLASS, 2, 1, 7, 1, day, session=0),
    ]  # fmt: skip
    assert write(look, Ground.of_findings(first)).opened == 5
    assert standing(look) == sorted(map(figures, first), key=str)
    changed = [
        replace(f, count=f.count ^ 1, of=MOST - f.of, measure=MOST - f.measure, usual_count=5, usual_of=0, days=f.days + "1U") for f in first
    ]  # fmt: skip
    assert write(look, Ground.of_findings(changed)).opened == 0
    assert standing(look) == sorted(map(figures, changed), key=str)
    assert set(Alert.objects.system("a test").values_list("version", "state")) == {(1, "open")}


def figures(f: Finding) -> tuple[object, ...]:
    return (f.kind.value, f.row, f.count, f.of, f.measure, f.usual_count, f.usual_of, f.weekday, f.session, f.days, f.rule, f.why)  # fmt: skip


def standing(look: Look) -> list[tuple[object, ...]]:
    row_of = {student: row for row, student in enumerate(look.students.tolist())}
    found = Alert.objects.system("a test").values_list(
        "kind", "student", "count", "of", "measure", "usual_count", "usual_of", "weekday", "session", "days", "rule", "why"
    )  # fmt: skip
    return sorted(((kind, row_of[student], *rest) for kind, student, *rest in found), key=str)
