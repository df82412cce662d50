"""Whose signature a rule asks for: the desk's roles, and offices given to a person."""

from __future__ import annotations

import pytest

from firstbell.casework.signatures import OFFICES, missing_after
from firstbell.law.packs import SignOff, built_in

#: offices that are no role of the desk's: signed for by whom the district has given them to
ELSEWHERE = {
    "Secretary", "legal officer", "superintendent", "division superintendent", "head of service", "local authority officer",
    "education authority officer", "Child and Family Agency", "Ministry of Education", "teamleider leerplicht",
}  # fmt: skip


def test_every_office_a_pack_names_is_a_role_of_the_desk_or_known_not_to_be() -> None:
    signs = [rule.duty.sign_off for some in built_in().values() for pack in some for rule in pack.rule if rule.duty]
    offices = {office for sign_off in signs for office in (sign_off.role, sign_off.second_role) if office}
    assert offices - set(OFFICES) == ELSEWHERE


@pytest.mark.parametrize(
    ("role", "second", "signed_as", "missing"),
    [
        ("attendance officer", "", "", ["attendance officer"]),
        ("attendance officer", "", "officer", []),
        ("attendance officer", "principal", "school_lead", ["attendance officer"]),
        ("attendance officer", "superintendent", "officer", ["superintendent"]),
        ("attendance officer", "superintendent", "school_lead", ["attendance officer", "superintendent"]),
        ("attendance officer", "superintendent", "Superintendent", ["attendance officer"]),
        ("superintendent", "Attendance  Officer", "officer", ["superintendent"]),
        ("Secretary", "legal officer", "school_lead", ["Secretary", "legal officer"]),
        ("Secretary", "legal officer", "legal officer", ["Secretary"]),
        ("principal", "principal", "school_lead", ["principal"]),
        ("principal", "principal", "officer", ["principal", "principal"]),
    ],
)  # fmt: skip
def test_a_signature_stands_for_the_office_it_was_given_in_and_no_other(
    role: str, second: str, signed_as: str, missing: list[str]
) -> None:
    assert missing_after(SignOff(role=role, second_role=second), signed_as) == missing
