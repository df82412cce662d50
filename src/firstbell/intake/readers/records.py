"""What readers yield: canonical intake records, every id the source's own string. Field names: OneRoster and Ed-Fi."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from firstbell.said import said

__all__ = [
    "CalendarDayRecord",
    "ClassRecord",
    "ContactLink",
    "ContactRecord",
    "Coverage",
    "EnrolmentRecord",
    "IntakeError",
    "Item",
    "MarkBatch",
    "Notice",
    "OrgRecord",
    "Reader",
    "Refusal",
    "RollRecord",
    "SessionRecord",
    "StaffRecord",
    "Status",
    "StudentRecord",
    "UnreadBatch",
    "Unused",
    "Where",
]


class IntakeError(ValueError):
    """A file can't be read any further; nothing of the delivery is applied. Says where, and what to do."""

    def __init__(self, file: str, line: int | None, column: str | None, reason: str) -> None:
        self.file, self.line, self.column, self.reason = file, line, column, reason
        where = {"file": file, "line": line, "column": column, "reason": reason}
        if line and column:
            words = said("%(file)s, line %(line)s, column %(column)s: %(reason)s", **where)
        elif line:
            words = said("%(file)s, line %(line)s: %(reason)s", **where)
        elif column:
            words = said("%(file)s, column %(column)s: %(reason)s", **where)
        else:
            words = said("%(file)s: %(reason)s", **where)
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Where:
    file: str
    line: int


class Status(StrEnum):
    """A row's own word on itself: OneRoster's active and tobedeleted (1.1 also sent inactive)."""

    ACTIVE = "active"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class OrgRecord:
    at: Where
    id: str
    name: str
    kind: str  # "school", or a kind of organisation above schools ("district", …)
    parent_id: str = ""
    identifier: str = ""
    time_zone: str = ""
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """An academic session: school year, term, semester, grading period. `school_year` is the year it ends in."""

    at: Where
    id: str
    title: str
    kind: str
    starts: date
    ends: date
    school_year: int
    parent_id: str = ""
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class CalendarDayRecord:
    """One date of a school. `day_type` is a value of register.models.DayType."""

    at: Where
    school_id: str
    date: date
    day_type: str
    sessions: int | None = None
    start_times: tuple[str, ...] = ()
    minutes: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClassRecord:
    at: Where
    id: str
    school_id: str
    title: str
    kind: str = "scheduled"  # or "homeroom"
    periods: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    term_ids: tuple[str, ...] = ()
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class StudentRecord:
    at: Where
    id: str
    given_name: str
    family_name: str
    preferred_name: str = ""
    number: str = ""
    grade: str = ""
    birth_date: date | None = None
    language: str = ""
    school_ids: tuple[str, ...] = ()
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class StaffRecord:
    at: Where
    id: str
    given_name: str
    family_name: str
    email: str = ""
    role: str = "teacher"
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """How to reach somebody: "" where the source says there is nothing, None where it does not speak of it.

    address  the lines below the name, in the source's own order
    """

    at: Where
    id: str
    given_name: str
    family_name: str
    phone: str | None = None
    email: str | None = None
    address: str | None = None
    language: str | None = None
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class ContactLink:
    at: Where
    student_id: str
    contact_id: str
    relation: str = ""
    no_contact: bool = False


@dataclass(frozen=True, slots=True)
class EnrolmentRecord:
    """A person in a class or (class empty) on a school's roll. Blank dates mean the class's terms'."""

    at: Where
    id: str
    person_id: str
    school_id: str
    class_id: str = ""
    role: str = "student"  # or "teacher"
    starts: date | None = None
    ends: date | None = None
    grade: str = ""
    primary: bool = True
    inferred: bool = False
    status: Status = Status.ACTIVE
    #: the day the source says it was deleted, where it is gone and the source says
    gone_on: date | None = None


@dataclass(frozen=True, slots=True)
class RollRecord:
    """Whether a roll was taken. `session` as in MarkBatch; class empty: the whole school's."""

    at: Where
    school_id: str
    class_id: str
    date: date
    session: str
    taken: bool
    recorded_at: int | None
    recorded_by: str = ""


@dataclass(slots=True)
class MarkBatch:
    """Up to some tens of thousands of marks, in columns of one length, in the file's order.

    session      "" whole day, "1"… counted from 1, or a name ("AM", "PM", a period's own name)
    minutes      minutes missed, or None
    duration     share of the day missed (Ed-Fi eventDuration), or None
    recorded_at  seconds since 1970 UTC, or None where the source doesn't say
    raw          the row as it came, as one CSV line, for sending back
    """

    file: str
    line: list[int] = field(default_factory=list)
    student: list[str] = field(default_factory=list)
    school: list[str] = field(default_factory=list)
    date: list[date] = field(default_factory=list)
    session: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    minutes: list[int | None] = field(default_factory=list)
    duration: list[Fraction | None] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    recorded_at: list[int | None] = field(default_factory=list)
    recorded_by: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.line)


@dataclass(frozen=True, slots=True)
class UnreadBatch:
    """Squares of marks that were refused: who was meant and when can be read, what was said can't. Columns as in MarkBatch.

    Such a square is not known, whatever no mark would mean there.
    """

    file: str
    student: list[str]
    school: list[str]
    date: list[date]
    session: list[str]
    recorded_at: list[int | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that can't be taken, whole, with the reason. `column` and `value` name what is wrong with it."""

    file: str
    line: int
    column: str
    value: str
    reason: str
    row: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A remark that refuses nothing."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Unused:
    """So many rows or elements of a kind were read and understood, but are nothing Firstbell keeps."""

    file: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a file is to be read as a whole. bulk: it is the whole truth, who is not in it is gone; else changes only.

    `sends` and `complete_through` come from a source.toml beside the files, where there is one.
    """

    file: str
    kind: str
    bulk: bool
    sends: str = ""
    complete_through: date | None = None


Record = (
    OrgRecord | SessionRecord | CalendarDayRecord | ClassRecord | StudentRecord | StaffRecord | ContactRecord
    | ContactLink | EnrolmentRecord | RollRecord
)  # fmt: skip
Item = Record | MarkBatch | UnreadBatch | Refusal | Notice | Unused | Coverage


class Reader(Protocol):
    """The seam where a source plugs in: files today, a server's API later."""

    def read(self) -> Iterator[Item]:
        """Everything the source sends, in one stream, in an order that names things before they are used."""
        ...

    def heading(self, kind: str, field: str) -> str:
        """What the sender calls a field of a kind of record, so that they find it; the field itself where they have no word."""
        ...

    def as_sent(self, lines: Mapping[str, Set[int]]) -> Iterator[tuple[str, int, str]]:
        """These lines of these files as they came, each as one CSV line, for sending back: (file, line, row). None for what has no lines."""
        ...
