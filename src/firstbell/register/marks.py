"""The canonical mark: what one square of a school register says, whatever the source called it.

A source's code ("UA", "uri://ed-fi.org/…#Tardy", "\\") is mapped once, by intake, to a `Mark`. Everything after
intake reads marks; nothing else reads source codes. The *letter* is a lossy, one-byte projection of a mark,
made for the register grid; law and disputes read the mark.

Field names and values: law.md § 4 of the founding papers, Ed-Fi AttendanceEventCategory, CEDS 000076.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ABSENT_LETTERS",
    "LETTERS",
    "NOT_EXPECTED",
    "PRESENT_LETTERS",
    "UNKNOWN",
    "Disciplinary",
    "Expected",
    "LegalStatus",
    "Location",
    "Mark",
    "PartSession",
    "Presence",
]


class Presence(StrEnum):
    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class PartSession(StrEnum):
    """How a student who was there for some of the session missed the rest of it."""

    NONE = "none"
    LATE = "late"
    LEFT_EARLY = "left_early"
    PART = "part"


class Expected(StrEnum):
    EXPECTED = "expected"
    NOT_EXPECTED = "not_expected"
    SCHOOL_CLOSED = "school_closed"
    NOT_ENROLLED = "not_enrolled"


class LegalStatus(StrEnum):
    NOT_APPLICABLE = "n/a"
    AUTHORISED = "authorised"
    UNAUTHORISED = "unauthorised"
    PENDING = "pending"
    EXEMPT = "exempt"


class Disciplinary(StrEnum):
    NONE = "none"
    IN_SCHOOL_SUSPENSION = "iss"
    OUT_OF_SCHOOL_SUSPENSION = "oss"
    EXPELLED = "expelled"


class Location(StrEnum):
    ONSITE = "onsite"
    OFFSITE_APPROVED = "offsite_approved"
    REMOTE_SYNC = "remote_sync"
    REMOTE_ASYNC = "remote_async"
    HOMEBOUND = "homebound"
    OTHER_SCHOOL = "other_school"


UNKNOWN = " "
NOT_EXPECTED = "#"

#: Every letter a grid square may hold, with its meaning. This table is the documentation of the projection.
LETTERS: dict[str, str] = {
    "P": "present",
    "F": "present at an approved place away from school, or taught at home or in hospital",
    "R": "present, taught remotely",
    "I": "present, suspended within school",
    "T": "present, came late",
    "L": "present, left early",
    "H": "present for part of the session",
    "t": "present, came late with leave (excused)",
    "l": "present, left early with leave (excused)",
    "h": "present for part of the session, with leave (excused)",
    "E": "absent, authorised (excused)",
    "U": "absent, unauthorised (unexcused)",
    "N": "absent, no reason yet",
    "X": "absent, exempt from the counts the law keeps",
    "S": "absent, suspended or excluded by the school",
    NOT_EXPECTED: "not expected here (not enrolled, or attendance not possible)",
    UNKNOWN: "not known (no roll taken, or not yet)",
}
PRESENT_LETTERS = "PFRITLHtlh"
ABSENT_LETTERS = "EUNXS"

_PART_LETTER = {PartSession.LATE: "T", PartSession.LEFT_EARLY: "L", PartSession.PART: "H"}
_PLACE_LETTER = {Location.ONSITE: "P", Location.REMOTE_SYNC: "R", Location.REMOTE_ASYNC: "R"}
_ABSENT_LETTER = {
    LegalStatus.AUTHORISED: "E",
    LegalStatus.UNAUTHORISED: "U",
    LegalStatus.EXEMPT: "X",
    LegalStatus.PENDING: "N",
    LegalStatus.NOT_APPLICABLE: "N",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One square's meaning. Minutes, times and who recorded it belong to the mark *event*, not to the mark."""

    presence: Presence
    legal_status: LegalStatus = LegalStatus.NOT_APPLICABLE
    part: PartSession = PartSession.NONE
    expected: Expected = Expected.EXPECTED
    reason: str = ""
    disciplinary: Disciplinary = Disciplinary.NONE
    location: Location = Location.ONSITE

    @property
    def letter(self) -> str:
        """The grid's one-byte projection of this mark; see `LETTERS`.

        >>> Mark(Presence.ABSENT, LegalStatus.PENDING).letter
        'N'
        >>> Mark(Presence.PRESENT, part=PartSession.LATE).letter
        'T'
        >>> Mark(Presence.PRESENT, LegalStatus.AUTHORISED, PartSession.LATE).letter
        't'
        >>> Mark(Presence.ABSENT, LegalStatus.UNAUTHORISED, PartSession.LATE).letter  # after the register closed
        'U'
        """
        if self.expected is not Expected.EXPECTED:
            return NOT_EXPECTED
        if self.presence is Presence.UNKNOWN:
            return UNKNOWN
        if self.presence is Presence.ABSENT:
            suspended = self.disciplinary in (Disciplinary.OUT_OF_SCHOOL_SUSPENSION, Disciplinary.EXPELLED)
            return "S" if suspended else _ABSENT_LETTER[self.legal_status]
        if self.part is not PartSession.NONE:
            letter = _PART_LETTER[self.part]
            return letter.lower() if self.legal_status in (LegalStatus.AUTHORISED, LegalStatus.EXEMPT) else letter
        if self.disciplinary is Disciplinary.IN_SCHOOL_SUSPENSION:
            return "I"
        return _PLACE_LETTER.get(self.location, "F")
