"""A delivery's way into the register, on a district of two schools and three students drawn in `files`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from firstbell.access.models import AuditEntry
from firstbell.intake.apply import NotApplied, accept_bounds, apply
from firstbell.intake.command import Imported, import_command, import_path
from firstbell.intake.mapping import map_code
from firstbell.intake.models import Import, KeptRow, MissingStudent, Source
from firstbell.intake.work import retry
from firstbell.register.actions import change_day
from firstbell.register.marks import LegalStatus, Mark, Presence
from firstbell.register.models import (
    Calendar,
    Contact,
    ContactLink,
    DayType,
    Enrolment,
    MarkEvent,
    RegisterRow,
    School,
    Section,
    Student,
)
from firstbell.register.rows import check
from tests.intake.files import SMALL, write

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"
HEAD = SMALL["attendance.csv"].splitlines()[0]


@pytest.fixture(autouse=True)
def _a_day_in_september(monkeypatch: pytest.MonkeyPatch, settings: object, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from firstbell import clock

    settings.HOME = tmp_path / "home"  # type: ignore[attr-defined]
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 21, 13, 40, tzinfo=UTC))


def bring(folder: Path, **changes: str | None) -> Imported:
    number = len(list(folder.parent.iterdir()))
    return import_path(write(folder / f"delivery{number}", **changes), "larch", yes=True)


def only(**files: str) -> dict[str, str | None]:
    """Just these files of the small district, and its source.toml."""
    left: dict[str, str | None] = dict.fromkeys((*SMALL, "calendar.csv"))
    left["source.toml"] = SMALL["source.toml"]
    return {**left, **{f"{name}.csv": text for name, text in files.items()}}


def squares(student: str) -> str:
    """A student's squares of the first three weeks, one group of letters a day."""
    row = RegisterRow.objects.system(WHY).select_related("calendar").get(student__source_id=student)
    n = row.calendar.sessions
    return " ".join(row.codes[i * n : i * n + n].replace(" ", ".") for i in range(14))


def test_a_district_comes_in_and_its_register_is_drawn(tmp_path: Path) -> None:
    done = bring(tmp_path)
    assert done.delivery.state == Import.State.APPLIED
    # Labor Day (7 September) is no column. s1: N became E on the first day's second session? No: session 1 is the first.
    assert squares("s1") == "PP EP UU .P PP PP PP PP PP PP PP PP PP PP".replace(".P", ".P", 1)
    assert squares("s2") == "## ## ## ## ## ## ## ## ## PP PT PP PP PP".replace("PT", "PT", 1)
    assert squares("s3").startswith("PPP PPP PUP")
    assert list(check()) == []


def test_every_row_read_is_accounted_for(tmp_path: Path) -> None:
    text = (
        SMALL["attendance.csv"]
        + "s1,alder,2026-13-01,1,U,,,,\ns1,alder,2026-09-04,1,Q,,,,\nnobody,alder,2026-09-04,1,U,,,,\n"
    )
    delivery = bring(tmp_path, attendance=text).delivery
    for tally in delivery.tallies.all():
        parts = tally.new + tally.changed + tally.unchanged + tally.refused + tally.waiting + tally.unused
        assert tally.read == parts, tally.file
    assert sum(t.read for t in delivery.tallies.filter(file="attendance.csv")) == 8
    kept = {(k.why, k.line, k.value) for k in delivery.kept_rows.all()}
    assert kept == {
        (KeptRow.Why.REFUSED, 7, "2026-13-01"),
        (KeptRow.Why.UNMAPPED, 8, "Q"),
        (KeptRow.Why.UNKNOWN_REFERENCE, 9, "nobody"),
    }


def test_a_piped_tally_cuts_no_file_s_name_and_no_notice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "piped", **{f"{'of one school ' * 9}.txt": "no file of OneRoster"})
    import_command(folder, source_name="larch", dry_run=True, yes=False, accept_bounds=[], complete_through=None)
    lines = capsys.readouterr().out.splitlines()
    assert any("academicSessions.csv" in line and "session" in line for line in lines)
    assert any(line.startswith("of one school") and line.endswith("left alone") for line in lines)


def test_the_same_delivery_twice_does_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "same")
    import_path(folder, "larch", yes=True)
    again = import_path(folder, "larch", yes=True)
    assert again.already
    assert Import.objects.count() == 1


def test_the_same_rows_in_another_delivery_change_nothing(tmp_path: Path) -> None:
    bring(tmp_path)
    before = sorted(RegisterRow.objects.system(WHY).values_list("pk", "codes", "version"))
    again = bring(tmp_path, **{"note.txt": "the same, with a note"})
    assert again.applied is not None
    assert again.applied.marks == 0
    assert sum(t.new + t.changed for t in again.delivery.tallies.all()) == 0
    assert sorted(RegisterRow.objects.system(WHY).values_list("pk", "codes", "version")) == before


def test_a_dry_run_leaves_the_register_as_it_was(tmp_path: Path) -> None:
    done = import_path(write(tmp_path / "dry"), "larch", dry_run=True)
    assert done.applied is None
    assert done.delivery.state == Import.State.STAGED
    assert School.objects.count() == Student.objects.system(WHY).count() == MarkEvent.objects.system(WHY).count() == 0
    # What was shown is what applying does.
    shown = {(t.file, t.kind): (t.new, t.changed, t.unchanged) for t in done.delivery.tallies.all()}
    apply(done.delivery, "test")
    assert {(t.file, t.kind): (t.new, t.changed, t.unchanged) for t in done.delivery.tallies.all()} == shown


def test_marks_that_come_before_their_students_wait_and_then_stand(tmp_path: Path) -> None:
    first = bring(tmp_path, **only(attendance=SMALL["attendance.csv"]))
    assert first.delivery.kept_rows.filter(why=KeptRow.Why.UNKNOWN_REFERENCE).count() == 5
    bring(tmp_path, attendance=None)
    assert squares("s1").startswith("PP EP UU")
    assert KeptRow.objects.filter(settled_by=None).count() == 0


def test_an_unmapped_code_waits_until_a_person_says_what_it_means(tmp_path: Path) -> None:
    delivery = bring(tmp_path, attendance=f"{HEAD}\ns1,alder,2026-09-01,1,ZZ,,,2026-09-01T09:05:00-05:00,\n").delivery
    assert squares("s1").split()[1] == ".P"  # somebody said something: not known, and never present by default
    assert delivery.kept_rows.get().why == KeptRow.Why.UNMAPPED
    source = Source.objects.get(name="larch")
    map_code(source, "ZZ", Mark(Presence.ABSENT, LegalStatus.UNAUTHORISED), "test")
    again = retry(source, "test")
    assert again is not None
    assert again.name == "rows that waited"
    assert squares("s1").split()[1] == "UP"
    assert retry(source, "test") is None


def test_a_code_mapped_anew_leaves_the_marks_on_record_as_they_were_meant(tmp_path: Path) -> None:
    bring(tmp_path)
    map_code(Source.objects.get(name="larch"), "U", Mark(Presence.ABSENT, LegalStatus.AUTHORISED), "test")
    bring(tmp_path, attendance=SMALL["attendance.csv"] + "s1,alder,2026-09-10,1,U,,,2026-09-10T09:05:00-05:00,t1\n")
    assert squares("s1").split()[2] == "UU"
    assert squares("s1").split()[7] == "EP"


def test_a_row_that_does_not_say_when_is_the_days_word_then_a_correction_then_nothing_new(tmp_path: Path) -> None:
    row = f"{HEAD}\ns1,alder,2026-09-01,1,{{}},,,,\n"
    bring(tmp_path, attendance=row.format("N"))
    event = MarkEvent.objects.system(WHY).get()
    assert event.basis == MarkEvent.Basis.ASSUMED
    bring(tmp_path, **only(attendance=row.format("E")))
    assert [e.basis for e in MarkEvent.objects.system(WHY).order_by("recorded_at")] == ["assumed", "received"]
    assert squares("s1").split()[1] == "EP"
    again = bring(tmp_path, **only(attendance=row.format("E") + "\n"))
    assert again.applied is not None
    assert again.applied.marks == 0


def test_two_unstamped_rows_that_differ_are_both_refused(tmp_path: Path) -> None:
    done = bring(tmp_path, attendance=f"{HEAD}\ns1,alder,2026-09-01,1,N,,,,\ns1,alder,2026-09-01,1,E,,,,\n")
    assert sorted(k.line for k in done.delivery.kept_rows.filter(why=KeptRow.Why.REFUSED)) == [2, 3]
    assert MarkEvent.objects.system(WHY).count() == 0


def test_a_mark_on_a_sunday_is_kept_and_told_and_shown_by_no_square(tmp_path: Path) -> None:
    done = bring(tmp_path, attendance=f"{HEAD}\ns1,alder,2026-09-06,,U,,,2026-09-06T09:05:00-05:00,\n")
    assert MarkEvent.objects.system(WHY).count() == 2
    assert any("Sundays" in n.text for n in done.delivery.notices.all())
    assert "U" not in squares("s1")


def test_a_student_missing_from_a_full_delivery_is_kept_and_listed(tmp_path: Path) -> None:
    bring(tmp_path)
    users = "\n".join(line for line in SMALL["users.csv"].splitlines() if not line.startswith("s2")) + "\n"
    seats = "\n".join(line for line in SMALL["enrollments.csv"].splitlines() if not line.startswith("e2")) + "\n"
    done = bring(tmp_path, users=users, enrollments=seats)
    student = Student.objects.system(WHY).get(source_id="s2")
    assert student.missing_since == date(2026, 9, 21)
    assert MissingStudent.objects.get(delivery=done.delivery).student == student
    assert Enrolment.objects.system(WHY).get(student=student).ends == date(2026, 9, 20)
    bring(tmp_path, **{"back.txt": "s2 is named again"})
    student.refresh_from_db()
    assert student.missing_since is None
    assert Enrolment.objects.system(WHY).get(student=student).ends == date(2027, 6, 11)


def test_an_invalid_row_is_not_an_absent_row(tmp_path: Path) -> None:
    bring(tmp_path)
    users = SMALL["users.csv"].replace("s2,,,true,alder,student", "s2,,,true,alder,pupil?")
    seats = SMALL["enrollments.csv"].replace("s2,student,false,2026-09-14", "s2,student,false,14/14/2026")
    done = bring(tmp_path, users=users, enrollments=seats)
    assert done.applied is not None
    assert done.applied.missing == 0
    assert Student.objects.system(WHY).get(source_id="s2").missing_since is None
    assert Enrolment.objects.system(WHY).get(student__source_id="s2").ends == date(2027, 6, 11)


def test_a_no_contact_flag_is_not_lifted_by_a_file_that_does_not_repeat_it(tmp_path: Path) -> None:
    bring(tmp_path)
    ContactLink.objects.system(WHY).filter(student__source_id="s1").update(no_contact=True)
    bring(tmp_path, **{"again.txt": ""})
    assert ContactLink.objects.system(WHY).get(student__source_id="s1").no_contact


def with_addresses(address: str) -> str:
    """The small district's people, with the column a guardian's address comes in."""
    head, *rows = SMALL["users.csv"].splitlines()
    return (
        "\n".join([f"{head},metadata.address", *(f"{row},{address if row[:2] == 'g1' else ''}" for row in rows)]) + "\n"
    )


def test_an_address_is_put_right_by_a_later_delivery_and_kept_by_one_that_does_not_speak_of_it(tmp_path: Path) -> None:
    def rosa() -> tuple[str, str, str, str]:
        return Contact.objects.system(WHY).values_list("address", "phone", "email", "language").get()

    bring(tmp_path, users=with_addresses("12 Larch Lane; Larch Valley"))
    reached = ("+1 555 0100", "rosa@example.org", "es")
    assert rosa() == ("12 Larch Lane\nLarch Valley", *reached)
    done = bring(tmp_path, users=with_addresses("1 Elm Row; Larch Valley"))
    assert rosa()[0] == "1 Elm Row\nLarch Valley"
    assert done.delivery.tallies.get(kind="contact").changed == 1
    bare = "sourcedId,orgSourcedIds,role,givenName,familyName\ng1,alder,guardian,Rosa,Reyes\n"
    done = bring(tmp_path, users=bare)
    assert rosa() == ("1 Elm Row\nLarch Valley", *reached)
    assert done.delivery.tallies.get(kind="contact").unchanged == 1
    bring(tmp_path, users=with_addresses(""))
    assert rosa() == ("", *reached)


def test_a_gap_over_a_fortnight_parts_a_stay_in_two(tmp_path: Path) -> None:
    seats = SMALL["enrollments.csv"].replace(
        "e1,,,c3b,alder,s1,student,false,,", "e1,,,c3b,alder,s1,student,false,2026-08-31,2026-09-04"
    )
    seats += "e6,,,c3b,alder,s1,student,false,2026-09-21,\n"
    bring(tmp_path, enrollments=seats)
    stays = Enrolment.objects.system(WHY).filter(student__source_id="s1").order_by("starts")
    assert [(e.starts, e.ends) for e in stays] == [
        (date(2026, 8, 31), date(2026, 9, 4)), (date(2026, 9, 21), date(2027, 6, 11)),
    ]  # fmt: skip
    assert list(check()) == []


def test_a_list_of_changes_says_nothing_of_whom_it_does_not_name(tmp_path: Path) -> None:
    bring(tmp_path)
    manifest = (
        "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,delta\nfile.enrollments,delta\n"
    )
    head, row = SMALL["users.csv"].splitlines()[:2]
    changed = row.replace("s1,,", "s1,active,2026-09-20T00:00:00Z").replace("Ana", "Anna")
    done = bring(tmp_path, **only(manifest=manifest, users=f"{head}\n{changed}\n"))
    assert done.applied is not None
    assert done.applied.missing == 0
    assert Student.objects.system(WHY).get(source_id="s1").given_name == "Anna"
    assert Enrolment.objects.system(WHY).get(student__source_id="s2").ends == date(2027, 6, 11)


def test_a_class_meets_in_its_periods_and_has_its_teacher(tmp_path: Path) -> None:
    bring(tmp_path)
    assert Section.objects.get(source_id="e9").session_numbers == (1,)
    assert Section.objects.get(source_id="c3b").session_numbers == (0, 1)
    assert [t.email for t in Section.objects.get(source_id="c3b").teachers.all()] == ["tess@example.org"]
    assert Contact.objects.system(WHY).get().students.count() == 2


def test_a_closure_put_right_by_the_next_calendar_moves_the_columns(tmp_path: Path) -> None:
    bring(tmp_path)
    calendar = Calendar.objects.get(school__source_id="alder")
    change_day(calendar, date(2026, 9, 1), DayType.WEATHER, by="test")
    assert squares("s1").split()[1] == "UU"
    bring(tmp_path, **{"again.txt": "the file still says it was a school day"})
    assert squares("s1").split()[1:3] == ["EP", "UU"]
    assert list(check()) == []


# --- bounds ----------------------------------------------------------------------------------------------------------


def a_school_of(n: int, **changes: str | None) -> dict[str, str | None]:
    """The small district with `n` more students in 3B."""
    users, seats = SMALL["users.csv"], SMALL["enrollments.csv"]
    for i in range(n):
        users += f"x{i},,,true,alder,student,,,Kim,Lee,,{i:06d},,,,,03,,\n"
        seats += f"ex{i},,,c3b,alder,x{i},student,false,,\n"
    return {"users": users, "enrollments": seats, **changes}


def test_vanished_students_hold_a_delivery_before_anything_is_applied(tmp_path: Path) -> None:
    bring(tmp_path, **a_school_of(30))
    with pytest.raises(NotApplied, match="vanished_students"):
        bring(tmp_path, **a_school_of(20))
    delivery = Import.objects.latest("pk")
    assert delivery.state == Import.State.HELD
    assert "Alder Primary" in delivery.problem
    assert Student.objects.system(WHY).exclude(missing_since=None).count() == 0
    accept_bounds(delivery, [b.name for b in delivery.passed_bounds.all()], "A class moved to Cedar.", "test")
    assert apply(delivery, "test").missing == 10
    assert AuditEntry.objects.filter(action="accepted_bound", detail__contains="A class moved to Cedar").exists()


def test_a_day_on_which_everybody_is_absent_is_held(tmp_path: Path) -> None:
    rows = "".join(f"x{i},alder,2026-09-08,,U,,,2026-09-08T09:00:00-05:00,\n" for i in range(30))
    with pytest.raises(NotApplied, match="absent_day"):
        bring(tmp_path, **a_school_of(30, attendance=f"{HEAD}\n{rows}"))
    assert MarkEvent.objects.system(WHY).count() == 0


def test_many_refused_rows_are_held(tmp_path: Path) -> None:
    rows = "".join(f"x{i},alder,yesterday,,U,,,,\n" for i in range(8))
    with pytest.raises(NotApplied, match="refused_rows"):
        bring(tmp_path, attendance=SMALL["attendance.csv"] + rows)


def test_a_file_with_far_fewer_rows_than_last_time_is_held(tmp_path: Path) -> None:
    bring(tmp_path, **a_school_of(40))
    with pytest.raises(NotApplied, match="rows_fewer"):
        bring(tmp_path, **a_school_of(5))


def test_a_school_gone_from_the_list_is_held(tmp_path: Path) -> None:
    bring(tmp_path)
    orgs = "\n".join(line for line in SMALL["orgs.csv"].splitlines() if not line.startswith("birch")) + "\n"
    with pytest.raises(NotApplied, match="Birch High"):
        bring(tmp_path, **only(orgs=orgs))
    assert School.objects.filter(source_id="birch").exists()


@pytest.mark.parametrize(
    ("code", "minutes", "missed"),
    [
        ("T", 200, [150, 50]),
        ("T", 40, [40, 0]),
        ("T", 315, [150, 165]),
        ("T", 900, [150, 165]),
        ("L", 200, [35, 165]),
        ("L", 40, [0, 40]),
    ],
)
def test_the_minutes_of_a_whole_day_are_its_sessions_together(
    tmp_path: Path, code: str, minutes: int, missed: list[int]
) -> None:
    """Two sessions, of 150 and 165 minutes: who came 200 late (T) missed 50 of the second, and not 200 of each; who left early (L), of the last first."""
    row = f"s1,alder,2026-09-02,,{code},{minutes},,2026-09-02T09:05:00-05:00,t1\n"
    bring(tmp_path, attendance=f"{HEAD}\n{row}")
    found = MarkEvent.objects.system(WHY).filter(student__source_id="s1", date="2026-09-02").order_by("session")
    assert [m.minutes for m in found] == missed
