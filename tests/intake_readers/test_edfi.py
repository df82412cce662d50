"""Ed-Fi contacts: where a letter about a child may be sent, and where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstbell.intake.readers.records import ContactRecord, Item, Notice, Unused
from tests.intake_readers.bring import edfi

HOME = """<Address><StreetNumberName>12 Larch Lane</StreetNumberName><ApartmentRoomSuiteNumber>Apt 4</ApartmentRoomSuiteNumber>
<City>Larch Valley</City><StateAbbreviation>uri://ed-fi.org/StateAbbreviationDescriptor#TX</StateAbbreviation><PostalCode>00123</PostalCode>
{period}<AddressType>uri://ed-fi.org/AddressTypeDescriptor#{kind}</AddressType></Address>"""
ROSA = "<Contact><ContactUniqueId>g1</ContactUniqueId><Name><FirstName>Rosa</FirstName><LastSurname>Reyes</LastSurname></Name>{}</Contact>"
TIE = """<StudentContactAssociation><StudentReference><StudentIdentity><StudentUniqueId>{student}</StudentUniqueId></StudentIdentity></StudentReference>
<ContactReference><ContactIdentity><ContactUniqueId>g1</ContactUniqueId></ContactIdentity></ContactReference><LivesWith>{lives}</LivesWith>
</StudentContactAssociation>"""
OF_STUDENT = """<StudentEducationOrganizationAssociation><StudentReference><StudentIdentity><StudentUniqueId>{}</StudentUniqueId></StudentIdentity>
</StudentReference>{}</StudentEducationOrganizationAssociation>"""
LINES = "12 Larch Lane, Apt 4\nLarch Valley, TX 00123"


def an_address(kind: str = "Home", period: str = "", street: str = "12 Larch Lane") -> str:
    return HOME.format(kind=kind, period=period).replace("12 Larch Lane", street)


def brought(tmp_path: Path, contacts: str, of_students: str | None = None) -> list[Item]:
    files = {"Contact": f"<InterchangeContact>{contacts}</InterchangeContact>"}
    if of_students is not None:
        files["StudentEnrollment"] = f"<InterchangeStudentEnrollment>{of_students}</InterchangeStudentEnrollment>"
    return edfi(tmp_path / "d", **files)


def address_of(items: list[Item]) -> str | None:
    (contact,) = (i for i in items if isinstance(i, ContactRecord))
    return contact.address


def test_an_address_is_read_as_the_lines_below_a_name(tmp_path: Path) -> None:
    assert address_of(brought(tmp_path, ROSA.format(an_address()))) == LINES


def test_one_abroad_keeps_its_own_lines(tmp_path: Path) -> None:
    abroad = """<InternationalAddress><AddressLine1>شارع السلام 7</AddressLine1><AddressLine2>عمان</AddressLine2>
    <Country>uri://ed-fi.org/CountryDescriptor#JO</Country><AddressType>uri://ed-fi.org/AddressTypeDescriptor#Home</AddressType></InternationalAddress>"""
    assert address_of(brought(tmp_path, ROSA.format(abroad))) == "شارع السلام 7\nعمان\nJO"


def test_a_mailing_address_goes_before_the_home(tmp_path: Path) -> None:
    both = an_address() + an_address("Mailing", street="PO Box 9")
    assert address_of(brought(tmp_path, ROSA.format(both))) == LINES.replace("12 Larch Lane", "PO Box 9")


@pytest.mark.parametrize(
    ("kind", "period"),
    [
        ("Work", ""), ("Billing", ""), ("Other", ""), ("Unsheltered", ""),
        ("Home", "<Period><BeginDate>2020-01-01</BeginDate><EndDate>2026-09-20</EndDate></Period>"),
        ("Home", "<Period><BeginDate>2026-09-22</BeginDate></Period>"),
    ],
)  # fmt: skip
def test_no_letter_goes_to_work_or_to_where_somebody_lived_or_will_live(tmp_path: Path, kind: str, period: str) -> None:
    items = brought(tmp_path, ROSA.format(an_address(kind, period)))
    assert address_of(items) == ""
    assert any("no letter is sent there" in i.text for i in items if isinstance(i, Notice))


def test_where_somebody_lives_until_a_later_day_they_live_today(tmp_path: Path) -> None:
    until = "<Period><BeginDate>2020-01-01</BeginDate><EndDate>2026-09-21</EndDate></Period>"
    assert address_of(brought(tmp_path, ROSA.format(an_address(period=until)))) == LINES


def test_a_contact_who_lives_with_the_student_has_the_student_s_address_and_another_has_none(tmp_path: Path) -> None:
    of_students = OF_STUDENT.format("s1", an_address())
    for lives, address in (("true", LINES), ("false", "")):
        items = brought(tmp_path / lives, ROSA.format("") + TIE.format(student="s1", lives=lives), of_students)
        assert address_of(items) == address
        assert Unused("StudentEnrollment.xml", "StudentEducationOrganizationAssociation", 1) in items


def test_their_own_address_stands_before_the_student_s(tmp_path: Path) -> None:
    of_students = OF_STUDENT.format("s1", an_address(street="1 Elm Row"))
    items = brought(tmp_path, ROSA.format(an_address()) + TIE.format(student="s1", lives="true"), of_students)
    assert address_of(items) == LINES


def test_of_two_homes_of_the_children_neither_is_guessed(tmp_path: Path) -> None:
    ties = TIE.format(student="s1", lives="true") + TIE.format(student="s2", lives="true")
    homes = OF_STUDENT.format("s1", an_address()) + OF_STUDENT.format("s2", an_address(street="1 Elm Row"))
    assert address_of(brought(tmp_path / "two", ROSA.format("") + ties, homes)) == ""
    homes = OF_STUDENT.format("s1", an_address()) + OF_STUDENT.format("s2", "")
    assert address_of(brought(tmp_path / "one", ROSA.format("") + ties, homes)) == LINES


def test_a_delivery_without_the_students_homes_says_nothing_of_where_they_live_together(tmp_path: Path) -> None:
    tie = TIE.format(student="s1", lives="true")
    assert address_of(brought(tmp_path / "silent", ROSA.format("") + tie)) is None
    assert address_of(brought(tmp_path / "moved", ROSA.format(an_address("Work")) + tie)) == "", (
        "it speaks of theirs, and they have left it"
    )


def test_where_somebody_lives_who_may_not_be_written_to_nobody_has_the_student_s_address(tmp_path: Path) -> None:
    victor = ROSA.replace("g1", "g2").replace("Rosa", "Victor").format(an_address("Mailing", street="PO Box 5"))
    tie = TIE.format(student="s1", lives="true")
    barred = tie.replace("g1", "g2").replace(
        "<LivesWith>", "<ContactRestrictions>Court order</ContactRestrictions><LivesWith>"
    )
    items = brought(tmp_path, ROSA.format("") + victor + tie + barred, OF_STUDENT.format("s1", an_address()))
    addresses = {i.given_name: i.address for i in items if isinstance(i, ContactRecord)}
    assert addresses["Rosa"] == ""


def test_of_two_homes_the_one_that_says_where_is_taken(tmp_path: Path) -> None:
    nowhere = "<Address><AddressType>uri://ed-fi.org/AddressTypeDescriptor#Home</AddressType></Address>"
    assert address_of(brought(tmp_path, ROSA.format(nowhere + an_address()))) == LINES
