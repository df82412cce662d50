"""Ed-Fi bulk interchange (XML), by local name, so that one reader serves the standard's versions.

Ed-Fi Data Standard 3 to 5: EducationOrganization, EducationOrgCalendar, MasterSchedule, StaffAssociation, Student, Contact (Parent before
version 5), StudentEnrollment, StudentAttendance, Descriptors. Each element under an interchange's root is a record, a refusal,
or counted by its name as not used.

What the standard leaves out is settled here, each time with a notice:

- a contact has a mailing address before that of their home, and none at work; one without any who lives with the student has the student's;
- a calendar that lists few or none of its days: the weekdays of the school's sessions are its days;
- no StudentEnrollment: a student is on a school's roll for the sessions in which an event names them there, marked as inferred;
- a school that sends attendance by the day and by the section: the day stands, the sections' events are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import IO, TypeVar
from xml.parsers import expat

from lxml import etree

from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.daytypes import day_type_of
from firstbell.intake.readers.records import (
    CalendarDayRecord,
    ClassRecord,
    ContactLink,
    ContactRecord,
    Coverage,
    EnrolmentRecord,
    IntakeError,
    Item,
    MarkBatch,
    Notice,
    OrgRecord,
    Refusal,
    SessionRecord,
    StaffRecord,
    StudentRecord,
    Unused,
    Where,
)
from firstbell.intake.readers.settings import settings_of
from firstbell.intake.readers.table import csv_line
from firstbell.intake.readers.values import Bad, Cache, parse_bool, parse_date, parse_minutes, text, text_lines
from firstbell.said import said

__all__ = ["EdFiReader"]

BATCH = 50_000
MAX_PROLOG = 2**20
#: No record of the standard comes near this; a larger one is a damaged file or an attack on memory.
MAX_ELEMENT = 4 * 2**20
MAX_WAITING = 100_000
_CHUNK = 2**16
#: The order in which interchanges name things before others use them.
_ORDER = (
    "EducationOrganization", "EducationOrgCalendar", "MasterSchedule", "StaffAssociation", "Student", "Contact", "Parent",
    "StudentEnrollment", "StudentAttendance", "Descriptors",
)  # fmt: skip
#: GradeLevelDescriptor's code values in CEDS 000100's terms, which OneRoster uses too.
_GRADES = {
    "infant/toddler": "IT", "preschool": "PR", "prekindergarten": "PK", "preschool/prekindergarten": "PK",
    "transitional kindergarten": "TK", "kindergarten": "KG", "first grade": "01", "second grade": "02", "third grade": "03",
    "fourth grade": "04", "fifth grade": "05", "sixth grade": "06", "seventh grade": "07", "eighth grade": "08",
    "ninth grade": "09", "tenth grade": "10", "eleventh grade": "11", "twelfth grade": "12", "grade 13": "13",
    "postsecondary": "PS", "ungraded": "UG",
}  # fmt: skip
#: Codes of a student who was there: an event's duration is then time attended, not missed.
_THERE = ("in attendance", "present")
#: AddressTypeDescriptor's code values where a letter about a child may be sent, the first first. Not where somebody works or is billed, and
#: not the kinds that say a family has no home of its own: such a letter is handed over.
_POST = ("mailing", "home", "physical", "temporary")
#: The leaves a refusal keeps of its element. Race, health, documents' numbers and addresses never leave the file.
_KEPT_LEAVES = frozenset(
    [
        "StudentUniqueId",
        "StaffUniqueId",
        "ContactUniqueId",
        "ParentUniqueId",
        "FirstName",
        "LastSurname",
        "SchoolId",
        "LocalEducationAgencyId",
        "NameOfInstitution",
        "SessionName",
        "SchoolYear",
        "BeginDate",
        "EndDate",
        "Date",
        "CalendarEvent",
        "CalendarCode",
        "SectionIdentifier",
        "LocalCourseCode",
        "ClassPeriodName",
        "EventDate",
        "AttendanceEventCategory",
        "AttendanceEventReason",
        "EventDuration",
        "SchoolAttendanceDuration",
        "SectionAttendanceDuration",
        "BirthDate",
        "EntryDate",
        "ExitWithdrawDate",
        "EntryGradeLevel",
        "Relation",
    ]
)

Element = etree._Element
Key = tuple[str, ...]
T = TypeVar("T")
_MONDAY_TO_FRIDAY = 5


@dataclass(frozen=True, slots=True)
class _Session:
    starts: date
    ends: date
    school_year: int
    at: Where
    instructional_days: int | None


@dataclass(frozen=True, slots=True)
class _Day:
    at: Where
    school: str
    day: date
    kind: str
    calendar: Key
    row: str


class _Refused(ValueError):
    """An element that can't be taken: the part to blame, its value and the reason."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        self.column, self.value, self.reason = column, value, reason
        super().__init__(reason)


class _Unresolved(Exception):
    """A `ref` to an element that hasn't been read yet."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(ref)


class EdFiReader:
    """Reads one delivery of interchange files as of `today`: who has moved since lives elsewhere. An event carries no moment of recording,
    so no school's clock is asked for."""

    def __init__(self, delivery: Delivery, today: date) -> None:
        self.delivery, self._today = delivery, today
        self.files: dict[str, list[str]] = defaultdict(list)
        self._other: list[str] = []
        for name in sorted(delivery.names):
            root = _root_name(delivery, name) if name.lower().endswith(".xml") else ""
            kind = root.removeprefix("Interchange")
            if root.startswith("Interchange") and kind in _ORDER:
                self.files[kind].append(name)
            else:
                self._other.append(name)
        self._ids: dict[str, Key] = {}
        self._sessions: dict[str, list[_Session]] = defaultdict(list)
        self._days: list[_Day] = []
        self._own_calendars: set[Key] = set()  # made for one student, not for the school
        self._periods: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)  # school → period → start, end
        self._section_periods: dict[Key, str] = {}
        self._by_day: set[str] = set()
        self._by_section: set[str] = set()
        self._seen_in: dict[tuple[str, str], tuple[int, date, date, Where]] = {}
        self._restricted = 0
        self._no_post = 0  # contacts with addresses no letter may go to
        self._unaddressed: dict[str, ContactRecord] = {}  # held back until the students' own addresses are known
        self._lives_with: dict[str, list[str]] = defaultdict(list)
        self._asked: set[str] = set()  # students whom one of them lives with
        self._homes: dict[str, set[str]] = defaultdict(set)
        self._shared_with_barred: set[str] = set()

    def read(self) -> Iterator[Item]:
        settings = settings_of(self.delivery)
        for name in self._other:
            if name.rsplit("/", 1)[-1].lower() not in ("source.toml", "mapping.toml"):
                yield Notice(name, said("is not a file Firstbell knows how to read, and was left alone"))
        for kind in _ORDER:
            for name in self.files[kind]:
                yield Coverage(
                    name, kind, bulk=False, sends=str(settings.get("sends", "")), complete_through=settings.get("complete_through"),
                )  # fmt: skip
        yield from self._interchange(
            "EducationOrganization",
            {"School": self._school_, "LocalEducationAgency": self._district, "ClassPeriod": self._class_period},
        )
        yield from self._interchange(
            "EducationOrgCalendar",
            {"Session": self._session_, "Calendar": self._calendar, "CalendarDate": self._calendar_date},
        )
        self._look_at_attendance()
        yield from self._calendar_days()
        yield from self._interchange("MasterSchedule", {"CourseOffering": self._offering_, "Section": self._section_})
        yield from self._interchange("Student", {"Student": self._student_})
        yield from self._interchange(
            "StaffAssociation", {"Staff": self._staff_, "StaffSectionAssociation": self._teaching}
        )
        for kind in ("Contact", "Parent"):
            yield from self._interchange(
                kind, {kind: self._contact_, f"Student{kind}Association": self._link}
            )  # fmt: skip
        if self._restricted:
            yield Notice(
                self.files["Contact"][0] if self.files["Contact"] else self.files["Parent"][0],
                said(
                    "%(restricted)s contacts carry a restriction (ContactRestrictions); nothing is sent to them about that student",
                    restricted=self._restricted,
                ),
            )
        if self._no_post:
            yield Notice(
                self.files["Contact"][0] if self.files["Contact"] else self.files["Parent"][0],
                said(
                    "%(n)s contacts have only addresses that are past, at work or of other kinds; no letter is sent there",
                    n=f"{self._no_post:,}",
                ),
            )
        self._asked = {student for contact in self._unaddressed for student in self._lives_with[contact]}
        yield from self._interchange(
            "StudentEnrollment",
            {
                "StudentSchoolAssociation": self._enrolment,
                "StudentSectionAssociation": self._seat,
                "StudentEducationOrganizationAssociation": self._home,
            },
        )
        for contact in self._unaddressed.values():
            yield replace(contact, address=self._shared_home(contact))
        if not self.files["StudentEnrollment"]:
            yield from self._inferred_enrolments()
        yield from self._attendance()
        yield from self._interchange("Descriptors", {})

    # -- elements ------------------------------------------------------------------------------------------------

    def _interchange(
        self, kind: str, handlers: dict[str, Callable[[Where, Element], Iterable[Item]]]
    ) -> Iterator[Item]:
        for file in self.files[kind]:
            yield from self._file(file, handlers)

    def _file(self, file: str, handlers: dict[str, Callable[[Where, Element], Iterable[Item]]]) -> Iterator[Item]:
        """One file's elements through their handlers. An element whose `ref` comes later in the file waits for its end."""
        unused: Counter[str] = Counter()
        waiting: list[tuple[Where, str, Element]] = []
        for at, name, element in self._elements(file):
            handler = handlers.get(name)
            if handler is None:
                unused[name] += 1
                continue
            try:
                yield from list(handler(at, element))
            except _Unresolved as unresolved:
                if len(waiting) < MAX_WAITING:
                    waiting.append((at, name, deepcopy(element)))
                else:
                    yield _refusal(
                        at, name, element, _Refused("ref", unresolved.ref, said("is the id of nothing before it"))
                    )
            except _Refused as refused:
                yield _refusal(at, name, element, refused)
        for at, name, element in waiting:
            try:
                yield from list(handlers[name](at, element))
            except _Unresolved as unresolved:
                yield _refusal(
                    at, name, element, _Refused("ref", unresolved.ref, said("is the id of nothing in this file"))
                )
            except _Refused as refused:
                yield _refusal(at, name, element, refused)
        for name in sorted(unused):
            yield Unused(file, name, unused[name])
        if unused:
            counted = ", ".join(f"{n:,} {name}" for name, n in sorted(unused.items()))
            yield Notice(file, said("read, and nothing Firstbell keeps: %(counted)s", counted=counted))

    def heading(self, _kind: str, field: str) -> str:
        return field

    def as_sent(self, _lines: Mapping[str, Set[int]]) -> Iterator[tuple[str, int, str]]:
        return iter(())  # an element is no line: what was refused keeps its own leaves

    def _elements(self, file: str) -> Iterator[tuple[Where, str, Element]]:
        """The elements under a file's root, one after another, each gone when the next is asked for."""
        with self.delivery.open(file) as stream:
            root_name = _peek(file, stream)
        parser = etree.XMLPullParser(
            events=("start",), tag="{*}" + root_name, resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False,
            dtd_validation=False, remove_comments=True, remove_pis=True,
        )  # fmt: skip
        root: Element | None = None
        since = 0
        with self.delivery.open(file) as stream:
            while True:
                chunk = stream.read(_CHUNK)
                try:
                    if chunk:
                        parser.feed(chunk)
                    else:
                        parser.close()
                except etree.XMLSyntaxError as error:
                    raise IntakeError(
                        file, error.lineno or None, None, said("is not XML here (%(msg)s). Nothing was applied; send it again.", msg=error.msg)
                    ) from error  # fmt: skip
                if root is None:
                    root = next((found for _event, found in parser.read_events() if isinstance(found, Element)), None)
                    if root is not None and root.getroottree().docinfo.internalDTD is not None:
                        raise _doctype(file)
                if root is None:
                    continue
                # All but the last child are whole; while the file goes on the last may not be.
                whole = len(root) - (1 if chunk else 0)
                since = 0 if whole > 0 else since + len(chunk)
                if since > MAX_ELEMENT:
                    raise IntakeError(
                        file,
                        None,
                        None,
                        said(
                            "one element is larger than %(value)s MB. Nothing was applied.", value=MAX_ELEMENT // 2**20
                        ),
                    )
                for _ in range(whole):
                    element = root[0]
                    tag = element.tag
                    if isinstance(tag, str):
                        yield (
                            Where(file, line if isinstance(line := element.sourceline, int) else 0),
                            tag.rpartition("}")[2],
                            element,
                        )
                    root.remove(element)
                if not chunk:
                    return

    # -- keys and references -------------------------------------------------------------------------------------

    def _named(self, element: Element, key: Key) -> Key:
        if name := element.get("id"):
            self._ids[name] = key
        return key

    def _reference(self, element: Element, name: str, key: Callable[[Element], Key]) -> Key:
        """The natural key a reference states, whether by identity or by the id of an element of this file."""
        reference = element.find("{*}" + name + "Reference")
        if reference is None:
            raise _Refused(f"{name}Reference", "", said("is missing"))
        identity = reference.find("{*}" + name + "Identity")
        if identity is not None:
            return key(identity)
        if (ref := reference.get("ref")) is None:
            raise _Refused(f"{name}Reference", "", said("names nothing: it has neither an identity nor a ref"))
        if ref not in self._ids:
            raise _Unresolved(ref)
        return self._ids[ref]

    def _school(self, element: Element) -> str:
        return self._reference(element, "School", lambda i: (_id(i, "SchoolId"),))[0]

    def _session_key(self, element: Element) -> Key:
        return self._school(element), str(_school_year(element)), _id(element, "SessionName")

    def _offering_key(self, element: Element) -> Key:
        return (*self._reference(element, "Session", self._session_key), _id(element, "LocalCourseCode"))

    def _section_key(self, element: Element) -> Key:
        offering = self._reference(element, "CourseOffering", self._offering_key)
        return (*offering, _id(element, "SectionIdentifier"))

    def _person(self, element: Element, kind: str) -> str:
        return self._reference(element, kind, lambda i: (_id(i, f"{kind}UniqueId"),))[0]

    # -- organisations and calendars -----------------------------------------------------------------------------

    def _district(self, at: Where, element: Element) -> Iterable[Item]:
        number = _id(element, "LocalEducationAgencyId")
        self._named(element, (number,))
        yield OrgRecord(at, number, _text(element, "NameOfInstitution"), "district", "", number)

    def _school_(self, at: Where, element: Element) -> Iterable[Item]:
        number = _id(element, "SchoolId")
        self._named(element, (number,))
        parent = ""
        if element.find("{*}LocalEducationAgencyReference") is not None:
            parent = self._reference(
                element, "LocalEducationAgency", lambda i: (_id(i, "LocalEducationAgencyId"),)
            )[0]  # fmt: skip
        yield OrgRecord(at, number, _text(element, "NameOfInstitution"), "school", parent, number)

    def _class_period(self, at: Where, element: Element) -> Iterable[Item]:
        school, name = self._school(element), _id(element, "ClassPeriodName")
        self._named(element, (school, name))
        meeting = element.find("{*}MeetingTime")
        times = ("", "") if meeting is None else (_leaf(meeting, "StartTime")[:5], _leaf(meeting, "EndTime")[:5])
        self._periods[school][name] = times
        yield Unused(at.file, "ClassPeriod", 1)

    def _session_(self, at: Where, element: Element) -> Iterable[Item]:
        school, year, name = key = self._named(element, self._session_key(element))
        starts, ends = _date(element, "BeginDate"), _date(element, "EndDate")
        if ends < starts:
            raise _Refused("EndDate", _leaf(element, "EndDate"), said("lies before the start"))
        days = _leaf(element, "TotalInstructionalDays")
        self._sessions[school].append(
            _Session(starts, ends, int(year), at, int(days) if days.isascii() and days.isdigit() else None)
        )
        yield SessionRecord(
            at, "/".join(key), name, _tail(_leaf(element, "Term")) or "session", starts, ends, int(year)
        )

    def _calendar(self, at: Where, element: Element) -> Iterable[Item]:
        key = self._named(element, self._calendar_key(element))
        if _tail(_leaf(element, "CalendarType")).lower() == "student specific":
            self._own_calendars.add(key)
        yield Unused(at.file, "Calendar", 1)

    def _calendar_key(self, element: Element) -> Key:
        return self._school(element), str(_school_year(element)), _id(element, "CalendarCode")

    def _calendar_date(self, at: Where, element: Element) -> Iterable[Item]:
        calendar = self._reference(element, "Calendar", self._calendar_key)
        words = [(e.text or "").strip() for e in element.findall("{*}CalendarEvent")]
        words += [(e.text or "").strip() for e in element.findall("{*}CalendarEvent/{*}CalendarEvent")]  # version 3
        words = [w for w in words if w]
        kinds = {kind for w in words if (kind := day_type_of(w))}
        if not kinds:
            raise _Refused("CalendarEvent", ", ".join(words), said("is not a kind of day Firstbell knows"))
        kind = _day_kind(kinds)
        if kind is None:
            raise _Refused(
                "CalendarEvent", ", ".join(words), said("says both that there was school and that there was none")
            )
        day = _date(element, "Date")
        self._days.append(_Day(at, calendar[0], day, kind, calendar, _row("CalendarDate", element)))
        return ()

    def _calendar_days(self) -> Iterator[Item]:
        """Each school's days: those its calendar lists, and where it lists few, the weekdays of its sessions."""
        listed: dict[str, dict[date, str]] = defaultdict(dict)
        own: Counter[str] = Counter()
        sessions = {
            school: self._sessions_a_day(school) for school in {*self._sessions, *(d.school for d in self._days)}
        }
        for d in self._days:
            if d.calendar in self._own_calendars:
                own[d.at.file] += 1
                continue
            before = listed[d.school].setdefault(d.day, d.kind)
            if before != d.kind:
                yield Refusal(
                    d.at.file, d.at.line, "CalendarEvent", d.kind,
                    said("another calendar of this school says %(before)s of the same day", before=before), d.row, "calendar_day",
                )  # fmt: skip
                continue
            yield self._day(d.at, d.school, d.day, d.kind, "", sessions[d.school])
        for file, n in own.items():
            yield Unused(file, "CalendarDate of a student's own calendar", n)
            yield Notice(
                file,
                said(
                    "%(n)s days belong to calendars of single students, which say nothing of their school's days",
                    n=f"{n:,}",
                ),
            )
        for school, found in sorted(self._sessions.items()):
            weekdays = {
                s.starts + timedelta(days=n): s
                for s in sorted(found, key=lambda s: s.starts, reverse=True)
                for n in range((s.ends - s.starts).days + 1)
                if (s.starts + timedelta(days=n)).weekday() < _MONDAY_TO_FRIDAY
            }
            here = listed[school]
            if 2 * len(here) >= len(weekdays):
                continue
            for day, s in sorted(weekdays.items()):
                if day not in here:
                    yield self._day(
                        s.at, school, day, "instructional", "not in the calendar: a weekday of its session", sessions[school],
                    )  # fmt: skip
            stated = sum(s.instructional_days or 0 for s in found)
            against = (
                said(", though its sessions say %(n)s instructional days in all", n=f"{stated:,}") if stated else ""
            )
            yield Notice(
                found[0].at.file,
                said(
                    "the calendar of school %(school)s lists %(n)s days; the %(n2)s weekdays of its sessions were taken as school days%(against)s. Holidays among them are not known: send the school's calendar",
                    school=school,
                    n=f"{len(here):,}",
                    n2=f"{len(weekdays):,}",
                    against=against,
                ),
            )

    def _day(
        self, at: Where, school: str, day: date, kind: str, note: str, sessions: tuple[tuple[str, int], ...]
    ) -> Item:
        timed = bool(sessions) and all(start for start, _minutes in sessions)
        return CalendarDayRecord(
            at, school, day, kind, len(sessions) or 1, tuple(s for s, _m in sessions) if timed else (),
            tuple(m for _s, m in sessions) if timed else (), note,
        )  # fmt: skip

    def _sessions_a_day(self, school: str) -> tuple[tuple[str, int], ...]:
        """The class periods of a school that sends attendance by section only, as (start, minutes); else none: one session a day."""
        if not self._by_period(school):
            return ()
        return tuple((start, _minutes_between(start, end)) for _name, (start, end) in self._periods_in_order(school))

    def _by_period(self, school: str) -> bool:
        return school in self._by_section and school not in self._by_day and school in self._periods

    def _periods_in_order(self, school: str) -> list[tuple[str, tuple[str, str]]]:
        return sorted(self._periods[school].items(), key=lambda item: (item[1][0], item[0]))

    # -- sections and people -------------------------------------------------------------------------------------

    def _offering_(self, at: Where, element: Element) -> Iterable[Item]:
        self._named(element, self._offering_key(element))
        yield Unused(at.file, "CourseOffering", 1)

    def _section_(self, at: Where, element: Element) -> Iterable[Item]:
        key = self._named(element, self._section_key(element))
        school = key[0]
        names = []
        for reference in element.findall("{*}ClassPeriodReference"):
            name = reference.findtext("{*}ClassPeriodIdentity/{*}ClassPeriodName")
            names.append(text(name) if name else self._ids.get(reference.get("ref", ""), ("", ""))[-1])
        names = [n for n in names if n]
        periods: tuple[str, ...] = ()
        if self._by_period(school):
            order = [name for name, _times in self._periods_in_order(school)]
            periods = tuple(str(order.index(n) + 1) for n in names if n in order)
            if len(periods) == 1:
                self._section_periods[key] = periods[0]
        homeroom = _leaf(element, "OfficialAttendancePeriod").lower() in ("true", "1")
        yield ClassRecord(
            at, "/".join(key), school, _text(element, "SectionName", blank=True) or key[-2], "homeroom" if homeroom else "scheduled",
            periods, (), ("/".join(key[:3]),),
        )  # fmt: skip

    def _student_(self, at: Where, element: Element) -> Iterable[Item]:
        number = _id(element, "StudentUniqueId")
        self._named(element, (number,))
        given, family = _name(element)
        birth = element.find("{*}BirthData")
        yield StudentRecord(
            at, number, given, family, _text(element, "Name/PreferredFirstName", blank=True), number, "",
            None if birth is None or not _leaf(birth, "BirthDate") else _date(birth, "BirthDate", earliest=1900),
        )  # fmt: skip

    def _staff_(self, at: Where, element: Element) -> Iterable[Item]:
        number = _id(element, "StaffUniqueId")
        self._named(element, (number,))
        given, family = _name(element)
        yield StaffRecord(
            at, number, given, family, _leaf(element, "ElectronicMail/ElectronicMailAddress")[:200], "staff"
        )

    def _teaching(self, at: Where, element: Element) -> Iterable[Item]:
        person, section = self._person(element, "Staff"), self._reference(element, "Section", self._section_key)
        starts, ends = _span(element, "BeginDate", "EndDate")
        identifier = "/".join(section)
        yield EnrolmentRecord(
            at, f"{person} in {identifier}", person, section[0], identifier, "teacher", starts, ends
        )  # fmt: skip

    def _contact_(self, at: Where, element: Element) -> Iterable[Item]:
        kind = "Contact" if element.find("{*}ContactUniqueId") is not None else "Parent"
        number = _id(element, f"{kind}UniqueId")
        self._named(element, (number,))
        given, family = _name(element)
        phones = sorted(
            (order if (order := _leaf(t, "OrderOfPriority")).isdigit() else "9", i, _leaf(t, "TelephoneNumber"))
            for i, t in enumerate(element.findall("{*}Telephone"))
        )
        phone = next((p for _order, _i, p in phones if p), "")
        address = _address(element, self._today)
        contact = ContactRecord(
            at, number, given, family, text(phone)[:60], _leaf(element, "ElectronicMail/ElectronicMailAddress")[:200], address,
        )  # fmt: skip
        if address:
            yield contact
        else:
            self._no_post += address is None
            self._unaddressed[number] = contact

    def _link(self, at: Where, element: Element) -> Iterable[Item]:
        kind = "Contact" if element.find("{*}ContactReference") is not None else "Parent"
        student, contact = self._person(element, "Student"), self._person(element, kind)
        # Free text ("may not pick up the child"): what it forbids can't be read, so nothing is sent until a person has looked.
        restricted = bool(_leaf(element, "ContactRestrictions"))
        self._restricted += restricted
        if _leaf(element, "LivesWith").lower() in ("true", "1"):
            self._lives_with[contact].append(student)
            if restricted:
                self._shared_with_barred.add(student)
        yield ContactLink(at, student, contact, _tail(_text(element, "Relation", blank=True)), restricted)

    def _home(self, at: Where, element: Element) -> Iterable[Item]:
        """Where a student lives: nobody's address but theirs, unless the source says that a contact lives with them."""
        if (student := self._person(element, "Student")) in self._asked:
            self._homes[student].add(_address(element, self._today) or "")
        yield Unused(at.file, "StudentEducationOrganizationAssociation", 1)

    def _shared_home(self, contact: ContactRecord) -> str | None:
        """The one home of the students a contact lives with; "" where there is none, or several. None where the delivery speaks neither of an
        address of the contact's nor of the students'."""
        students = self._lives_with[contact.id]
        if self._shared_with_barred.intersection(students):
            return ""  # where somebody lives who may not be written to, nobody has post
        said_of = [self._homes[student] for student in students if student in self._homes]
        if students and not said_of and contact.address is not None:
            return None
        homes = set().union(*said_of) - {""}
        return homes.pop() if len(homes) == 1 else ""

    # -- enrolment -----------------------------------------------------------------------------------------------

    def _enrolment(self, at: Where, element: Element) -> Iterable[Item]:
        student, school = self._person(element, "Student"), self._school(element)
        starts, ends = _span(element, "EntryDate", "ExitWithdrawDate")
        if starts is None:
            raise _Refused("EntryDate", "", said("is missing"))
        primary = _leaf(element, "PrimarySchool")
        yield EnrolmentRecord(
            at, f"{student} at {school} from {starts}", student, school, "", "student", starts, ends,
            _GRADES.get(_tail(_leaf(element, "EntryGradeLevel")).lower(), ""), _take(parse_bool, "PrimarySchool", primary or "true"),
        )  # fmt: skip

    def _seat(self, at: Where, element: Element) -> Iterable[Item]:
        student, section = self._person(element, "Student"), self._reference(element, "Section", self._section_key)
        starts, ends = _span(element, "BeginDate", "EndDate")
        identifier = "/".join(section)
        yield EnrolmentRecord(
            at, f"{student} in {identifier}", student, section[0], identifier, "student", starts, ends
        )

    def _look_at_attendance(self) -> None:
        """A first reading of the attendance: who sends it by the day, who by section, and whom it names where and when."""
        infer = not self.files["StudentEnrollment"]
        for file in self.files["StudentAttendance"]:
            for at, name, element in self._elements(file):
                try:
                    if name == "StudentSectionAttendanceEvent":
                        self._by_section.add(self._reference(element, "Section", self._section_key)[0])
                    if name != "StudentSchoolAttendanceEvent":
                        continue
                    student, school = self._person(element, "Student"), self._school(element)
                    self._by_day.add(school)
                    if not infer:
                        continue
                    day = parse_date(_leaf(element, "AttendanceEvent/EventDate") or _leaf(element, "EventDate"))
                except (_Refused, Bad, _Unresolved):
                    continue  # said in the second reading
                within = 0
                for i, session in enumerate(self._sessions.get(school, ())):
                    if session.starts <= day <= session.ends:
                        within |= 1 << i
                had, first, last, where = self._seen_in.get((student, school), (0, day, day, at))
                self._seen_in[student, school] = (had | within, min(first, day), max(last, day), where)

    def _inferred_enrolments(self) -> Iterator[Item]:
        for (student, school), (within, first, last, at) in sorted(self._seen_in.items()):
            sessions = [s for i, s in enumerate(self._sessions.get(school, ())) if within >> i & 1]
            spans: dict[int, tuple[date, date]] = {}
            for s in sessions:
                low, high = spans.get(s.school_year, (s.starts, s.ends))
                spans[s.school_year] = (min(low, s.starts), max(high, s.ends))
            if not spans:
                spans[last.year + (last.month > 7)] = (first, last)
            for year, (starts, ends) in sorted(spans.items()):
                yield EnrolmentRecord(
                    at, f"{student} at {school} in {year}", student, school, "", "student", starts, ends, inferred=True
                )
        if self._seen_in:
            yield Notice(
                self.files["StudentAttendance"][0],
                said(
                    "no StudentEnrollment file is here: %(n)s students were taken to be on the roll of the school that sent an event of theirs, for the sessions it fell in. Students without an event are on no roll yet",
                    n=f"{len(self._seen_in):,}",
                ),
            )

    # -- marks ---------------------------------------------------------------------------------------------------

    def _attendance(self) -> Iterator[Item]:
        for file in self.files["StudentAttendance"]:
            batch = MarkBatch(file)
            dates: Cache[date] = Cache(parse_date)
            unused: Counter[str] = Counter()
            why: Counter[str] = Counter()
            for at, name, element in self._elements(file):
                try:
                    if name == "StudentSchoolAttendanceEvent":
                        self._mark(batch, at, element, dates, self._school(element), "", "SchoolAttendanceDuration")
                    elif name == "StudentSectionAttendanceEvent":
                        section = self._reference(element, "Section", self._section_key)
                        if (period := self._section_periods.get(section)) is None:
                            unused[name] += 1
                            why["by_day" if section[0] in self._by_day else "no_period"] += 1
                            continue
                        self._mark(batch, at, element, dates, section[0], period, "SectionAttendanceDuration")
                    else:
                        unused[name] += 1
                        why[name] += 1
                except _Refused as refused:
                    yield _refusal(at, name, element, refused)
                except _Unresolved as unresolved:
                    yield _refusal(
                        at, name, element, _Refused("ref", unresolved.ref, said("is the id of nothing before it"))
                    )
                if len(batch) >= BATCH:
                    yield batch
                    batch = MarkBatch(file)
            if len(batch):
                yield batch
            for name in sorted(unused):
                yield Unused(file, name, unused[name])
            if n := why.pop("by_day", 0):
                yield Notice(
                    file,
                    said(
                        "%(n)s events of sections were counted and not kept: their schools send the whole day's attendance too",
                        n=f"{n:,}",
                    ),
                )
            if n := why.pop("no_period", 0):
                yield Notice(
                    file,
                    said(
                        "%(n)s events of sections were counted and not kept: the one period each section meets in is not known. Send MasterSchedule and EducationOrganization with them",
                        n=f"{n:,}",
                    ),
                )
            for name, n in sorted(why.items()):
                yield Notice(file, said("read, and nothing Firstbell keeps: %(n)s %(name)s", n=f"{n:,}", name=name))

    def _mark(
        self, batch: MarkBatch, at: Where, element: Element, dates: Cache[date], school: str, session: str, duration: str
    ) -> None:  # fmt: skip
        student = self._person(element, "Student")
        event = element.find("{*}AttendanceEvent")
        event = element if event is None else event  # version 3 and 4 have its parts in the element itself
        day = dates[_leaf(event, "EventDate")]
        if day.__class__ is Bad:
            raise _Refused("EventDate", _leaf(event, "EventDate"), str(day))
        code = _text(event, "AttendanceEventCategory")
        share = _share(_leaf(event, "EventDuration"))
        minutes = _take(parse_minutes, duration, _leaf(element, duration))
        reason = _text(event, "AttendanceEventReason", blank=True)
        if _tail(code).lower() in _THERE:
            minutes = share = None
        batch.line.append(at.line)
        batch.student.append(student)
        batch.school.append(school)
        batch.date.append(day)
        batch.session.append(session)
        batch.code.append(code)
        batch.minutes.append(minutes)
        batch.duration.append(share)
        batch.reason.append(reason)
        batch.recorded_at.append(None)
        batch.recorded_by.append("")


# -- the beginning of a file ---------------------------------------------------------------------------------------


def _doctype(file: str) -> IntakeError:
    return IntakeError(
        file, 1, None, said("has a document type declaration, which no interchange needs and which can hide other files' text or a flood. "
        "Nothing was read."),
    )  # fmt: skip


class _Found(Exception):
    def __init__(self, root: str) -> None:
        self.root = root
        super().__init__(root)


def _peek(file: str, stream: IO[bytes]) -> str:
    """The local name of the root element, having seen that nothing before it declares a document type or an entity."""
    parser = expat.ParserCreate(namespace_separator=" ")

    def doctype(*_args: object) -> None:
        raise _doctype(file)

    def start(name: str, _attributes: object) -> None:
        raise _Found(name.rpartition(" ")[2])

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    seen = 0
    try:
        while chunk := stream.read(4096):
            seen += len(chunk)
            if seen > MAX_PROLOG:
                raise IntakeError(
                    file, None, None, said("has no root element in its first megabyte. Nothing was read.")
                )
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except _Found as found:
        return found.root
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, IntakeError):
            raise
        line = getattr(error, "lineno", None)
        raise IntakeError(
            file, line, None, said("is not XML (%(error)s). Nothing was read.", error=str(error))
        ) from error
    raise IntakeError(file, None, None, said("is not XML: it has no root element. Nothing was read."))


def _root_name(delivery: Delivery, name: str) -> str:
    with delivery.open(name) as stream:
        return _peek(name, stream)


# -- single values -------------------------------------------------------------------------------------------------


def _leaf(element: Element, path: str) -> str:
    return (element.findtext("/".join("{*}" + part for part in path.split("/"))) or "").strip()


def _take(parse: Callable[[str], T], path: str, value: str) -> T:
    try:
        return parse(value)
    except Bad as error:
        raise _Refused(path, value, str(error)) from error


def _text(element: Element, path: str, *, blank: bool = False) -> str:
    found = _take(text, path, _leaf(element, path))
    if not found and not blank:
        raise _Refused(path, "", said("is missing"))
    if len(found) > 200:
        raise _Refused(path, found, said("is longer than 200 characters"))
    return found


def _id(element: Element, path: str) -> str:
    found = _text(element, path)
    if len(found) > 100:
        raise _Refused(path, found, said("is longer than 100 characters, which no id may be"))
    return found


def _date(element: Element, path: str, *, earliest: int | None = None) -> date:
    value = _leaf(element, path)
    if not value:
        raise _Refused(path, "", said("is missing"))
    return _take(parse_date if earliest is None else lambda v: parse_date(v, earliest=earliest), path, value)


def _span(element: Element, first: str, last: str) -> tuple[date | None, date | None]:
    starts = _date(element, first) if _leaf(element, first) else None
    ends = _date(element, last) if _leaf(element, last) else None
    if starts and ends and ends < starts:
        raise _Refused(last, _leaf(element, last), said("lies before the beginning"))
    return starts, ends


def _name(element: Element) -> tuple[str, str]:
    return _text(element, "Name/FirstName"), _text(element, "Name/LastSurname")


def _address(element: Element, today: date) -> str | None:
    """Where post reaches them today, in lines; "" where the source has no address, None where it has only others."""
    some = [*element.findall("{*}Address"), *element.findall("{*}InternationalAddress")]
    there = [(_tail(_leaf(a, "AddressType")).lower(), _address_lines(a)) for a in some if _holds(a, today)]
    return next((lines for post in _POST for kind, lines in there if kind == post and lines), None if some else "")


def _holds(address: Element, today: date) -> bool:
    """Whether they are known there today: within one of its periods, where it has any."""
    day = today.isoformat()
    parts = (address, *address.findall("{*}Period"))
    spans = [(_leaf(part, "BeginDate")[:10], _leaf(part, "EndDate")[:10]) for part in parts]
    spans = [span for span in spans if any(span)]
    return not spans or any(begins <= day <= (ends or day) for begins, ends in spans)


def _address_lines(address: Element) -> str:
    street = ", ".join(
        filter(
            None,
            (_leaf(address, name) for name in ("StreetNumberName", "BuildingSiteNumber", "ApartmentRoomSuiteNumber")),
        )
    )
    town = ", ".join(filter(None, (_leaf(address, "City"), _tail(_leaf(address, "StateAbbreviation")))))
    abroad = [_leaf(address, f"AddressLine{n}") for n in range(1, 5)]
    try:
        return text_lines(
            "\n".join([street, f"{town} {_leaf(address, 'PostalCode')}", *abroad, _tail(_leaf(address, "Country"))])
        )
    except Bad as error:
        raise _Refused("Address", "", str(error)) from error  # the address itself does not leave the file


def _school_year(element: Element) -> int:
    """The year a school year ends in, of "2021-2022" or "2022"."""
    value = _leaf(element, "SchoolYear")
    last = value[-4:]
    if not (last.isascii() and last.isdigit() and 1990 <= int(last) <= 2046):
        raise _Refused("SchoolYear", value, said("is not a school year (2021-2022)"))
    return int(last)


def _share(value: str) -> Fraction | None:
    """Ed-Fi eventDuration: the share of a day an event took."""
    if not value:
        return None
    try:
        share = Fraction(value) if len(value) <= 12 and "/" not in value else None
    except ValueError:
        share = None
    if share is None or not 0 < share <= 1:
        raise _Refused("EventDuration", value, said("is not a share of a day (above 0, at most 1)"))
    return share


def _tail(descriptor: str) -> str:
    return descriptor.rsplit("#", 1)[-1].strip()


def _day_kind(kinds: set[str]) -> str | None:
    """The one kind of a day that carries several events; None where they contradict each other."""
    school = [k for k in ("make_up", "late_or_early", "instructional") if k in kinds]
    closed = [
        k for k in ("weather", "emergency", "strike", "holiday", "teacher_only", "non_instructional") if k in kinds
    ]  # fmt: skip
    if school and closed:
        return None
    return next(iter([*school, *closed]), "other")


def _minutes_between(start: str, end: str) -> int:
    try:
        a, b = (int(t[:2]) * 60 + int(t[3:5]) for t in (start, end))
    except ValueError:
        return 0
    return max(0, b - a)


#: What staging calls an element's record.
_KINDS = {
    "School": "org", "LocalEducationAgency": "org", "Session": "session", "CalendarDate": "calendar_day", "Section": "class",
    "Student": "student", "Staff": "staff", "StaffSectionAssociation": "enrolment", "Contact": "contact", "Parent": "contact",
    "StudentContactAssociation": "contact_link", "StudentParentAssociation": "contact_link", "StudentSchoolAssociation": "enrolment",
    "StudentSectionAssociation": "enrolment", "StudentSchoolAttendanceEvent": "mark", "StudentSectionAttendanceEvent": "mark",
}  # fmt: skip


def _row(name: str, element: Element) -> str:
    """What a refusal keeps of an element: its name and the leaves Firstbell reads, as one CSV line."""
    leaves = (
        (e.text or "").strip()[:200]
        for e in element.iter()
        if isinstance(e.tag, str) and not len(e) and e.tag.rpartition("}")[2] in _KEPT_LEAVES
    )
    return csv_line([name, *leaves])[:4000]


def _refusal(at: Where, name: str, element: Element, refused: _Refused) -> Refusal:
    return Refusal(
        at.file,
        at.line,
        refused.column,
        refused.value[:300],
        refused.reason,
        _row(name, element),
        _KINDS.get(name, name),
    )
