"""What once was wrong, seen from outside."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from firstbell.intake.apply import NotApplied
from firstbell.intake.command import import_path
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import school_grid
from firstbell.signals.metrics import attendance, counted_days
from firstbell.watch.registers import whole_days
from tests.acceptance.district import ENROLMENTS, USERS, WHY, bring, lines, marks, only, squares, stays
from tests.intake.files import calendar

pytestmark = pytest.mark.django_db


def days_of(student: str, school: str) -> list[tuple[int, int]]:
    c = Calendar.objects.get(school__source_id=school)
    g = school_grid(c)
    through, _ = whole_days(c, g.grid.dates.astype(object).tolist(), date(2026, 9, 21))

    pk = Student.objects.system(WHY).get(source_id=student).pk
    found = [attendance(counted_days(g.grid, through, i)) for i in np.flatnonzero(np.asarray(g.student_ids) == pk)]
    return [(a.missed, a.possible) for a in found]


def test_a_stay_that_a_full_list_no_longer_names_counts_as_vanished(tmp_path: Path) -> None:
    def district(seated: int) -> dict[str, str | None]:
        people = [f"p{i},,,true,alder,student,,,N{i},F{i},,9{i:04d},,,,,03,," for i in range(40)]
        seats = [f"pe{i},,,c3b,alder,p{i},student,false,," for i in range(seated)]
        return {
            "users": lines(USERS, people),
            "enrollments": lines(ENROLMENTS, seats),
            "attendance": None,
            "rolls": None,
        }

    bring(tmp_path / "d", **district(40))
    with pytest.raises(NotApplied, match="vanished_students"):
        bring(tmp_path / "d", **district(30))


def test_a_source_may_say_which_built_in_set_its_codes_are_of(tmp_path: Path) -> None:
    toml = {"source.toml": 'sends = "exceptions"\ncode_set = "dfe"\ncomplete_through = 2026-09-18\n'}
    bring(
        tmp_path / "d",
        rolls=None,
        attendance=marks("s1,alder,2026-09-01,1,S,,,,", "s1,alder,2026-09-01,2,G,,,,"),
        **toml,
    )
    assert squares("s1")[0].split()[1] == "EU"  # study leave, holiday not granted; in “simple” S is a suspension


def test_a_wrong_file_does_not_settle_what_its_source_sends(tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    with pytest.raises(NotApplied):
        import_path(tmp_path / "wrong.csv", "larch", yes=True)
    bring(tmp_path / "d")


def test_a_calendar_that_closes_every_day_is_held(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    with pytest.raises(NotApplied):
        bring(tmp_path / "d", **only(calendar=calendar().replace("Instructional day", "Holiday")))


def test_a_list_with_a_heading_and_no_rows_is_held(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    with pytest.raises(NotApplied):
        bring(tmp_path / "d", enrollments=ENROLMENTS + "\n")


def test_a_list_that_ends_a_stay_says_so(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    done = bring(
        tmp_path / "d",
        enrollments=lines(ENROLMENTS, ["e1,,,c3b,alder,s1,student,false,,", "e3,,,m9,birch,s3,student,false,,"]),
    )
    assert stays("s2")[0][2] == date(2026, 9, 20)
    assert (
        sum(t.changed for t in done.delivery.tallies.all())
        or list(done.delivery.missing.all())
        or list(done.delivery.notices.all())
    )


def test_a_students_days_at_one_school_are_counted_together_after_a_return(tmp_path: Path) -> None:
    rows = ["e1,,,c3b,alder,s2,student,false,2026-08-31,2026-09-01", "e2,,,c3b,alder,s2,student,false,2026-09-16,"]
    bring(
        tmp_path / "d",
        rolls=None,
        enrollments=lines(ENROLMENTS, rows),
        attendance=marks("s2,alder,2026-09-01,,U,,,,", "s2,alder,2026-09-16,,U,,,,"),
    )
    assert days_of("s2", "alder") == [(2, 5)]


def test_a_refused_row_names_the_senders_column_and_keeps_the_row_as_it_came(tmp_path: Path) -> None:
    row = "e9,,,nosuch,birch,s3,student,false,2026-09-08,"
    done = bring(tmp_path / "d", enrollments=lines(ENROLMENTS, [row]))
    kept = done.delivery.kept_rows.get(value="nosuch")
    assert (kept.column, kept.row) == ("classSourcedId", row)


def test_a_stay_ends_on_the_day_its_deletion_is_dated_not_the_day_it_arrives(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    gone = lines(ENROLMENTS, ["e2,tobedeleted,2026-09-16T12:00:00Z,c3b,alder,s2,student,false,2026-09-14,"])
    manifest = "propertyName,value\nmanifest.version,1.0\nfile.enrollments,delta\n"
    bring(tmp_path / "d", **only(enrollments=gone, **{"manifest.csv": manifest}))
    assert stays("s2")[0][2] in (date(2026, 9, 15), date(2026, 9, 16))
