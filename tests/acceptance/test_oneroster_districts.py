"""OneRoster districts as they come: laid out their own way, moving students about, correcting themselves."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from datetime import date
from pathlib import Path

import pytest

from firstbell.intake.apply import NotApplied
from firstbell.intake.command import import_path
from firstbell.intake.models import Import, MissingStudent
from firstbell.intake.receive import NotReceived
from firstbell.register.models import ContactLink, MarkEvent, SchoolYear, Student
from firstbell.register.rows import check
from tests.acceptance.district import (
    ENROLMENTS,
    USERS,
    WHY,
    bring,
    lines,
    marks,
    only,
    refused,
    register,
    squares,
    stays,
    taken,
)
from tests.intake.files import SMALL, calendar, write

pytestmark = pytest.mark.django_db
MANIFEST = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\n"


def test_an_export_laid_out_its_own_way_is_the_same_district(tmp_path: Path) -> None:
    """In a zip's top folder, in capitals, with BOM and CRLF, columns turned about, a column more, line breaks in cells."""
    bring(tmp_path / "plain")
    plain = register()
    people = list(csv.DictReader(io.StringIO(SMALL["users.csv"])))
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, ["homeroom note", *reversed(people[0])])
    out.writeheader()
    out.writerows({**row, "homeroom note": 'see\nthe "office", please'} for row in people)
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**SMALL, "calendar.csv": calendar(), "users.csv": text.getvalue()}.items():
            kept = content if name in ("users.csv", "source.toml") else content.replace("\n", "\r\n")
            mark = "" if name == "source.toml" else "\ufeff"
            archive.writestr(f"Export 2026/{name if '.toml' in name else name.upper()}", (mark + kept).encode())
        archive.writestr("__MACOSX/Export 2026/._users.csv", b"\0\5\x16\7")
        archive.writestr("Export 2026/.DS_Store", b"\0\1")
    done = taken(import_path(tmp_path / "odd.zip", "larch", yes=True))
    assert done.applied is not None
    assert done.applied.marks == 0
    assert refused(done) == set()
    assert register() == plain
    assert list(check()) == []


def test_1_2_takes_roles_and_preferred_names_from_where_they_now_stand(tmp_path: Path) -> None:
    users = lines(
        "sourcedId,status,dateLastModified,enabledUser,username,givenName,familyName,identifier,agentSourcedIds,grades,preferredGivenName",
        ["s1,,,true,a,Ana,Reyes,000101,g1,03,Anita", "s2,,,true,b,Ben,Oduya,000102,,03,", "s3,,,true,c,Cai,Reyes,000103,,09,",
         "t1,,,true,t,Tess,Ward,,,,", "g1,,,true,g,Rosa,Reyes,,,,"],
    )  # fmt: skip
    roles = lines(
        "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId",
        ["r1,,,s1,primary,student,,,alder,", "r2,,,s2,primary,student,,,alder,", "r3,,,s3,primary,student,,,birch,",
         "r4,,,t1,primary,teacher,,,alder,", "r5,,,g1,primary,guardian,,,alder,"],
    )  # fmt: skip
    manifest = "propertyName,value\noneroster.version,1.2\n"
    bring(tmp_path / "d", users=users, **{"roles.csv": roles, "manifest.csv": manifest})
    assert {s.name for s in Student.objects.system(WHY)} == {"Anita Reyes", "Ben Oduya", "Cai Reyes"}
    assert [(x.student.source_id, x.contact.source_id) for x in ContactLink.objects.system(WHY)] == [("s1", "g1")]
    assert squares("s1") == ["PP EP UU .P PP PP PP PP PP PP PP PP PP PP"]


def test_a_transfer_a_return_and_two_schools_at_once_are_stays_of_their_own(tmp_path: Path) -> None:
    rows = [
        "e1,,,c3b,alder,s1,student,false,2026-08-31,2026-09-11", "e2,,,m9,birch,s1,student,false,2026-09-14,",
        "e3,,,c3b,alder,s2,student,false,2026-08-31,2026-09-04", "e4,,,c3b,alder,s2,student,false,2026-09-21,",
        "e5,,,m9,birch,s3,student,false,,", "e6,,,c3b,alder,s3,student,false,2026-09-08,",
    ]  # fmt: skip
    said = [
        "s1,alder,2026-09-11,,U,,,,", "s1,birch,2026-09-14,1,U,,,,", "s1,alder,2026-09-14,1,U,,,,",
        "s3,alder,2026-09-08,,U,,,,", "s3,birch,2026-09-08,,E,,,,",
    ]  # fmt: skip
    toml = {"source.toml": 'sends = "exceptions"\ncomplete_through = 2026-09-21\n'}
    done = bring(tmp_path / "d", rolls=None, enrollments=lines(ENROLMENTS, rows), attendance=marks(*said), **toml)
    assert stays("s1") == [
        ("alder", date(2026, 8, 31), date(2026, 9, 11)),
        ("birch", date(2026, 9, 14), date(2026, 12, 18)),
    ]
    assert squares("s1") == ["PP PP PP PP PP PP PP PP UU ## ## ## ## ##"]
    assert squares("s1", "birch") == ["### ### ### ### ### ### ### ### ### UPP PPP PPP PPP PPP"]
    assert squares("s2", days=15) == [
        "PP PP PP PP PP ## ## ## ## ## ## ## ## ## ##",
        "## ## ## ## ## ## ## ## ## ## ## ## ## ## PP",
    ]
    assert squares("s3") == ["## ## ## ## ## UU PP PP PP PP PP PP PP PP"]
    assert squares("s3", "birch")[0].split()[5] == "EEE"
    # The mark of a school s1 had left is on record, shown by no square, and said.
    assert MarkEvent.objects.system(WHY).filter(student__source_id="s1").count() == 4
    assert any("outside" in notice.text for notice in done.delivery.notices.all())


def test_two_school_years_with_their_own_sessions_come_in_one_delivery(tmp_path: Path) -> None:
    years = SMALL["academicSessions.csv"] + "y26,,,2025-26,schoolYear,2025-09-01,2026-06-12,,2026\n"
    last_year = "".join(f"alder,2025-09-0{day},Instructional day,1,,\n" for day in (1, 2, 3, 4, 5))
    bring(
        tmp_path / "d", academicSessions=years, calendar=calendar() + last_year,
        classes=SMALL["classes.csv"] + "c2b,,,2B,02,,2B,homeroom,,alder,y26,,,\n",
        enrollments=SMALL["enrollments.csv"] + "e0,,,c2b,alder,s1,student,false,,\n",
        attendance=marks("s1,alder,2025-09-02,,U,,,,", "s1,alder,2026-09-02,2,E,,,,"), rolls=None,
    )  # fmt: skip
    found = {(year, codes[:8]) for student, _school, year, _from, codes, _minutes in register() if student == "s1"}
    assert found == {(2026, "PUPPP"), (2027, "PPPPPEPP")}
    assert set(SchoolYear.objects.values_list("ends_in", flat=True)) == {2026, 2027}


def test_a_closure_and_a_make_up_day_sent_later_move_the_columns_under_the_marks(tmp_path: Path) -> None:
    late = "s1,alder,2026-09-18,2,U,,,2026-09-18T14:00:00Z,"
    bring(tmp_path / "d", attendance=marks("s1,alder,2026-09-03,1,E,,,2026-09-03T14:00:00Z,", late), rolls=None)
    assert squares("s1")[0].split()[3] == "EP"
    assert squares("s1")[0].split()[13] == "PU"
    changed = lines(
        "schoolSourcedId,date,type,sessions", ["alder,2026-09-03,Weather day,2", "alder,2026-09-12,Make-up day,2"]
    )
    bring(tmp_path / "d", **only(calendar=changed))
    assert squares("s1") == ["PP PP PP PP PP PP PP PP PP PP PP PP PP PU"]  # one day out, one in: Friday 18th stands
    bring(tmp_path / "d", **only(calendar=changed.replace("Weather day", "Instructional day")))
    assert squares("s1", days=15)[0].split()[3] == "EP"  # the mark was kept, and is back
    assert list(check()) == []


def test_the_latest_word_by_its_own_time_stands_whatever_the_offset_it_is_written_in(tmp_path: Path) -> None:
    rows = [
        "s1,alder,2026-09-01,1,N,,,2026-09-01T09:05:00-05:00,t1",
        "s1,alder,2026-09-01,1,E,,ill,2026-09-03T10:00:00-05:00,office",
        "s1,alder,2026-09-01,1,U,,,2026-09-02T10:00:00-05:00,office",
    ]
    bring(tmp_path / "d", attendance=marks(*rows), rolls=None)
    assert squares("s1")[0].split()[1] == "EP"
    bring(tmp_path / "d", **only(attendance=marks("s1,alder,2026-09-01,1,P,,,2026-09-03T15:30:00Z,office")))
    assert squares("s1")[0].split()[1] == "PP"  # 15:30 in London is 10:30 at the school
    bring(tmp_path / "d", **only(attendance=marks("s1,alder,2026-09-01,1,U,,,2026-09-03T17:15:00+02:00,office")))
    assert squares("s1")[0].split()[1] == "PP"  # 10:15 at the school: known earlier, come later


@pytest.mark.parametrize("order", list(itertools.permutations(("roster", "first", "second")))[1:])
def test_any_order_of_roster_marks_and_corrections_gives_the_same_register(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    first = ["s1,alder,2026-09-01,1,N,,,2026-09-01T14:05:00Z,t1", "s2,alder,2026-09-15,2,T,25,,2026-09-15T18:05:00Z,t1",
             "s3,birch,2026-09-02,,U,,,2026-09-02T18:05:00Z,"]  # fmt: skip
    second = [
        "s1,alder,2026-09-01,1,E,,ill,2026-09-03T14:05:00Z,office",
        "s3,birch,2026-09-02,2,P,,,2026-09-05T18:05:00Z,",
    ]
    parts = {
        "roster": {"attendance": None, "rolls": None},
        "first": only(attendance=marks(*first)),
        "second": only(attendance=marks(*second)),
    }
    for name in order:
        bring(tmp_path / "d", **parts[name])
    assert squares("s1") == ["PP EP PP PP PP PP PP PP PP PP PP PP PP PP"]
    assert squares("s2")[0].endswith("## PP PT PP PP PP")
    assert squares("s3", "birch")[0].startswith("PPP PPP UPU PPP")
    assert list(check()) == []


def test_every_row_that_cannot_be_taken_says_where_it_stands(tmp_path: Path) -> None:
    good = [f"s1,alder,2026-09-{day:02d},1,E,,,," for day in (1, 2, 3, 4, 8, 9, 10, 11)]
    bad = {
        "s9,alder,2026-09-01,1,U,,,,": "s9", "s1,nosuch,2026-09-01,1,U,,,,": "nosuch", "s1,alder,2026-09-31,1,U,,,,": "2026-09-31",
        "s1,alder,2026-09-14,3,U,,,,": "3", "s1,alder,2026-09-14,1,QQ,,,,": "QQ", "s1,alder,2026-09-14,1,T,-5,,,": "-5",
        "s1,alder,2026-09-15,1,U,,,soon,": "soon", "s1,alder,2030-09-16,1,U,,,,": "2030-09-16",
    }  # fmt: skip
    done = bring(tmp_path / "d", attendance=marks(*good, *bad), rolls=None)
    assert {(file, line, value) for file, line, _column, value in refused(done)} == {
        ("attendance.csv", number, value) for number, value in enumerate(bad.values(), 2 + len(good))
    }
    assert all(kept.column and kept.reason and kept.row for kept in done.delivery.kept_rows.all())


def test_a_list_of_changes_ends_one_stay_and_leaves_everybody_else(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    gone = lines(ENROLMENTS, ["e2,tobedeleted,2026-09-20T00:00:00Z,c3b,alder,s2,student,false,2026-09-14,"])
    user = lines(USERS, ["s2,tobedeleted,2026-09-20T00:00:00Z,true,alder,student,,,Ben,Oduya,,000102,,,,,03,,"])
    manifest = MANIFEST + "file.users,delta\nfile.enrollments,delta\n"
    bring(tmp_path / "d", **only(users=user, enrollments=gone, **{"manifest.csv": manifest}))
    assert stays("s2") == [("alder", date(2026, 9, 14), date(2026, 9, 20))]
    assert squares("s2")[0].endswith("PP PT PP PP PP")  # what was marked stays
    assert stays("s1") == [("alder", date(2026, 8, 31), date(2027, 6, 11))]
    assert MissingStudent.objects.count() == 0


def test_a_full_list_without_a_quarter_of_the_students_is_held_by_name_and_nothing_moves(tmp_path: Path) -> None:
    def district(n: int) -> dict[str, str | None]:
        people = [f"p{i},,,true,alder,student,,,N{i},F{i},,9{i:04d},,,,,03,," for i in range(n)]
        seats = [f"pe{i},,,c3b,alder,p{i},student,false,," for i in range(n)]
        return {
            "users": lines(USERS, people),
            "enrollments": lines(ENROLMENTS, seats),
            "attendance": None,
            "rolls": None,
        }

    bring(tmp_path / "d", **district(40))
    before = register()
    with pytest.raises(NotApplied, match="--accept-bound vanished_students"):
        bring(tmp_path / "d", **district(30))
    with pytest.raises(
        NotApplied, match="vanished_students"
    ):  # leave to pass another bound is not leave to pass this one
        bring(tmp_path / "d", accept=["rows_fewer"], **district(30))
    assert register() == before
    done = bring(tmp_path / "d", accept=["vanished_students"], **district(30))
    assert done.delivery.missing.count() == 10
    assert Student.objects.system(WHY).count() == 40
    bring(tmp_path / "d", **district(40))
    assert register() == before


def test_a_folder_without_anything_to_read_a_wrong_path_and_a_broken_zip_say_so_and_keep_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 and then nothing")
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**SMALL, "calendar.csv": calendar()}.items():
            archive.writestr(name, content)
    (tmp_path / "cut.zip").write_bytes(whole.read_bytes()[:-300])
    expected = {"nowhere": "no file or folder at", "empty": "no file in it", "scan.pdf": "holds no file Firstbell can read",
                "broken.zip": "not a whole zip archive", "cut.zip": "not a whole zip archive"}  # fmt: skip
    for name, words in expected.items():
        with pytest.raises(NotReceived, match=words):
            import_path(tmp_path / name, "larch", yes=True)
    assert Import.objects.count() == 0


def test_a_file_damaged_inside_its_zip_refuses_the_delivery_in_words(tmp_path: Path) -> None:
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**SMALL, "calendar.csv": calendar()}.items():
            archive.writestr(name, content)
    for at in (60, 100, 1200):  # bytes of its members
        broken = bytearray(whole.read_bytes())
        broken[at] ^= 0xFF
        (tmp_path / f"broken{at}.zip").write_bytes(broken)
        with pytest.raises((NotReceived, NotApplied), match="not a whole zip archive"):
            import_path(tmp_path / f"broken{at}.zip", "larch", yes=True)
    assert Student.objects.system(WHY).count() == 0


def test_a_dry_run_writes_nothing_into_the_register(tmp_path: Path) -> None:
    bring(tmp_path / "d")
    before, events = register(), MarkEvent.objects.system(WHY).count()
    place = write(tmp_path / "dry", attendance=marks("s1,alder,2026-09-16,,U,,,,"))
    done = import_path(place, "larch", dry_run=True)
    assert done.applied is None
    assert (register(), MarkEvent.objects.system(WHY).count()) == (before, events)
