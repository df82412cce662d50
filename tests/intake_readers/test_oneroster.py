"""OneRoster 1.1 and 1.2 with the habits of real exports."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.intake.readers.codes import CodeMapError, load_code_map, parse_code_map
from firstbell.intake.readers.records import (
    ContactLink,
    ContactRecord,
    Coverage,
    EnrolmentRecord,
    IntakeError,
    MarkBatch,
    Notice,
    Refusal,
    SessionRecord,
    StaffRecord,
    Status,
    StudentRecord,
    Unused,
)
from firstbell.intake.readers.values import date_order
from tests.intake_readers.bring import marks, oneroster, refusals, sheet

USERS_11 = "sourcedId,status,orgSourcedIds,role,givenName,familyName,agentSourcedIds,grades,password\n"


def kinds(items: list[object], kind: type) -> list[object]:
    return [i for i in items if isinstance(i, kind)]


def test_1_1_roles_stand_in_users_and_agents_are_contacts(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d",
        users=USERS_11
        + 's1,,sch,student,Ana,Reyes,"g1,g2",03,secret\ng1,,sch,guardian,Rosa,Reyes,,,\nt1,,sch,teacher,Tess,Ward,,,\n',
    )
    (student,) = kinds(items, StudentRecord)
    assert (student.id, student.grade, student.school_ids) == ("s1", "03", ("sch",))
    assert [link.contact_id for link in kinds(items, ContactLink)] == ["g1", "g2"]
    assert (len(kinds(items, ContactRecord)), len(kinds(items, StaffRecord))) == (1, 1)


def test_a_guardians_address_has_its_lines_and_a_file_without_the_column_does_not_speak_of_it(tmp_path: Path) -> None:
    users = USERS_11.replace("password", "metadata.address,email") + "g1,,sch,guardian,Rosa,Reyes,,,{},\n"
    for number, (cell, lines) in enumerate((
        ('"12 Larch Lane; Apt 4;Larch Valley, TX 00123"', "12 Larch Lane\nApt 4\nLarch Valley, TX 00123"),
        ('"12 Larch Lane\r\n\r\nLarch Valley"', "12 Larch Lane\nLarch Valley"), ("", ""),
    )):  # fmt: skip
        (rosa,) = kinds(oneroster(tmp_path / str(number), users=users.format(cell)), ContactRecord)
        assert (rosa.address, rosa.email, rosa.phone) == (lines, "", None)
    (rosa,) = kinds(oneroster(tmp_path / "d", users=USERS_11 + "g1,,sch,guardian,Rosa,Reyes,,,\n"), ContactRecord)
    assert (rosa.address, rosa.email, rosa.phone, rosa.language) == (None, None, None, None)


def test_1_2_roles_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d", users="sourcedId,givenName,familyName\nu1,Ana,Reyes\n",
        roles="sourcedId,userSourcedId,roleType,role,orgSourcedId\nr1,u1,primary,student,sch\n",
    )  # fmt: skip
    (student,) = kinds(items, StudentRecord)
    assert student.school_ids == ("sch",)


def test_a_password_is_kept_nowhere_not_even_in_a_refusal(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d",
        users=USERS_11 + "s1,,sch,pirate,Ana,Reyes,,03,hunter2\ns2,,sch,student,Ben\n,,,student,,,,,hunter2\n",
    )
    assert len(refusals(items)) == 3
    assert "hunter2" not in repr(items)


@pytest.mark.parametrize("year", ["0003", "1813", "2086", "6209"])
def test_years_no_record_can_have_are_refused(tmp_path: Path, year: str) -> None:
    items = oneroster(
        tmp_path / "d",
        enrollments=f"sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate\ne,c,s,u,student,{year}-09-01\n",
    )
    (refusal,) = refusals(items)
    assert (refusal.column, refusal.reason) == ("beginDate", f"the year {year} can't be right")


def test_bulk_and_delta_are_believed_and_an_absent_file_that_is_here_is_said(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d", manifest="propertyName,value\nfile.users,delta\nfile.orgs,absent\nfile.classes,bulk\n",
        orgs="sourcedId,name,type\ns,Alder,school\n", users=USERS_11 + "s1,tobedeleted,s,student,Ana,Reyes,,03,\n",
    )  # fmt: skip
    assert {c.kind: c.bulk for c in kinds(items, Coverage)} == {"orgs": True, "users": False}
    assert kinds(items, StudentRecord)[0].status is Status.GONE
    words = " ".join(n.text for n in kinds(items, Notice))
    assert "manifest says it is absent" in words
    assert "classes.csv is sent (bulk), but it is not here" in words


def test_dates_in_another_order_are_read_when_only_one_makes_sense(tmp_path: Path) -> None:
    head = "sourcedId,title,type,startDate,endDate,schoolYear\n"
    good = oneroster(tmp_path / "a", academicSessions=head + "y,Year,schoolYear,31/08/2026,11/06/2027,2027\n")
    assert kinds(good, SessionRecord)[0].starts == date(2026, 8, 31)
    unclear = oneroster(tmp_path / "b", academicSessions=head + "y,Year,schoolYear,01/09/2026,11/06/2027,2027\n")
    assert "more than one date" in refusals(unclear)[0].reason


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["31/08/2026"], "dmy"),
        (["08/31/2026"], "mdy"),
        (["01/02/2026"], ""),
        (["2026/08/31"], "ymd"),
        (["2026-08-31"], ""),
    ],
)
def test_the_order_of_a_column(values: list[str], order: str) -> None:
    assert date_order(values) == order


def test_attendance_comes_in_columns_and_bad_rows_one_by_one(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d",
        attendance="studentSourcedId,schoolSourcedId,date,session,code,minutesMissed,reason,recordedAt,recordedBy\n"
        "s1,sch,2026-10-01,1,U,,,2026-10-01T09:00:00-05:00,t1\n"
        "s1,sch,2026-13-01,1,U,,,,\n"
        ",sch,2026-10-01,1,U,,,,\n"
        "s2,sch,2026-10-01,,T,25,bus,2026-10-01T09:00:00,\n"
        "s2,sch,2026-10-01,,T,many,,,\n",
    )
    batch = marks(items)
    assert (batch.line, batch.student, batch.minutes, batch.session) == ([2, 5], ["s1", "s2"], [None, 25], ["1", ""])
    nine = int(datetime(2026, 10, 1, 14, tzinfo=UTC).timestamp())
    assert batch.recorded_at == [nine, nine], "a time without an offset is by the school's clock"
    assert [(r.line, r.column) for r in refusals(items)] == [(4, "studentSourcedId"), (3, "date"), (6, "minutesMissed")]


def test_every_row_of_a_file_that_is_not_kept_is_counted(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d", orgs="sourcedId,name,type\ns,Alder,school\n", courses="sourcedId,title\nc1,Art\nc2,Music\n"
    )
    assert [u.count for u in kinds(items, Unused)] == [2]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('sends = "exception"', "column sends: is none of these: exceptions, rolls, every_mark"),
        ("complete_trough = 2026-09-18", "column complete_trough: is none of these: complete_through"),
        ('code_set = "DfE"', "column code_set: is none of these: simple, edfi, ceds, dfe"),
        ('complete_through = "2026-09-18"', "is not a date"),
    ],
)
def test_a_setting_spelt_wrong_is_not_as_if_nothing_had_been_said(tmp_path: Path, toml: str, words: str) -> None:
    (tmp_path / "source.toml").write_text(toml)
    with pytest.raises(IntakeError, match=words):
        oneroster(tmp_path, orgs="sourcedId,name,type\ns,Alder,school\n")


def test_a_setting_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "source.toml").write_text('vendor = "Northwind SIS"\nsends = "exceptions"')
    assert oneroster(tmp_path, orgs="sourcedId,name,type\ns,Alder,school\n")


def test_an_enrolment_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    items = oneroster(
        tmp_path / "d",
        enrollments="sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,beginDate,endDate\ne,c,s,u,student,2026-10-02,2026-10-01\n",
    )
    assert refusals(items)[0].column == "endDate"
    assert kinds(items, EnrolmentRecord) == []


# -- sheets -------------------------------------------------------------------------------------------------------------


def test_a_sheets_columns_are_found_by_its_vendors_names(tmp_path: Path) -> None:
    batch = marks(
        sheet(tmp_path / "a.csv", "Student Number,Att Date,Att Code,Period\n0042,2026-10-01,U,3\n", {"0042": "s42"})
    )
    assert (batch.student, batch.date, batch.code, batch.session) == (["s42"], [date(2026, 10, 1)], ["U"], ["3"])


def test_lost_zeros_are_put_back_when_one_student_fits(tmp_path: Path) -> None:
    items = sheet(
        tmp_path / "a.csv", "ID,Date,Code\n42,2026-10-01,U\n7,2026-10-01,U\n", {"0042": "s42", "007": "x", "0007": "y"}
    )
    assert marks(items).student == ["s42"]
    assert "more than one student" in refusals(items)[0].reason
    assert any("leading zeros" in n.text for n in kinds(items, Notice))


def test_dates_that_could_be_read_two_ways_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="Say which it is"):
        sheet(tmp_path / "a.csv", "ID,Date,Code\n42,01/02/2026,U\n")


def test_a_sheet_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match=r"no column was found for the date\. The sheet has: ID, Quando"):
        sheet(tmp_path / "a.csv", "ID,Quando,Code\n42,2026-10-01,U\n")


# -- codes --------------------------------------------------------------------------------------------------------------


def test_a_code_nobody_mapped_stays_unmapped() -> None:
    dfe = load_code_map("dfe")
    assert [dfe.lookup(code) for code in ("H", "J", "Y", "u")] == [None] * 4
    assert (dfe.lookup("\\").letter, dfe.lookup("U").letter, dfe.lookup("N").letter, dfe.lookup("#").letter) == (
        "P",
        "U",
        "N",
        "#",
    )


def test_an_ed_fi_descriptor_counts_by_what_follows_the_hash() -> None:
    edfi = load_code_map("edfi")
    assert edfi.lookup("uri://ed-fi.org/AttendanceEventCategoryDescriptor#Unexcused Absence").letter == "U"
    assert edfi.lookup("uri://larch.example/AttendanceEventCategoryDescriptor#Bus late") is None


@pytest.mark.parametrize(
    ("toml", "words"),
    [('[codes.A]\nlegal_status="pending"', "says no presence"), ('[codes.A]\npresence="gone"', "one of present"), ('[codes.A]\npresence="absent"\ncolour="red"', "unknown key"), ("[codes", "is not TOML")],
)  # fmt: skip
def test_a_mapping_that_cannot_be_used_names_the_code_and_key(toml: str, words: str) -> None:
    with pytest.raises(CodeMapError, match=words):
        parse_code_map(toml, "local.toml")


# -- anything -----------------------------------------------------------------------------------------------------------

HEADER = b"studentSourcedId,schoolSourcedId,date,code\n"


@settings(max_examples=200, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=400),
        st.text(max_size=300).map(str.encode),
        st.lists(
            st.sampled_from(
                [b"s,x,2026-10-01,U\n", b"s,,2026-10-01,\n", b'"s', b'"', b",", b"\n", b"\r", b"\xff", b"a;b\n"]
            )
        ).map(b"".join),
    )
)
def test_any_bytes_become_items_or_one_clear_error(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    try:
        items = oneroster(folder, attendance=HEADER + body)
    except IntakeError as error:
        assert error.file == "attendance.csv"  # noqa: PT017 - most inputs raise nothing
        return
    read = sum(len(i) for i in items if isinstance(i, MarkBatch)) + len([i for i in items if isinstance(i, Refusal)])
    import csv

    text = body.decode("utf-8")
    rows = [
        row
        for row in csv.reader(
            text.splitlines(keepends=True)
            if not set(text) & set("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
            else text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        )
        if any(c.strip() for c in row) or len(row) > 1
    ]
    assert read == len(rows)
