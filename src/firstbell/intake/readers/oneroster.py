"""OneRoster 1.1 and 1.2 CSV, with the three files beside it that carry what OneRoster doesn't: calendar, attendance, rolls.

1EdTech OneRoster CSV: manifest, orgs, academicSessions, courses, classes, users, roles (1.2), enrollments, demographics. In *bulk* a file is the
whole truth; in *delta* a row says active or tobedeleted. Real files declare bulk and send a status all the same: it is believed,
with a notice. What OneRoster has no column for comes in columns of its own kind: metadata.language, metadata.noContact (whom a guardian
may not be contacted about) and metadata.address (a guardian's postal address, its lines apart by a semicolon or a line break).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.daytypes import day_type_of
from firstbell.intake.readers.records import (
    CalendarDayRecord,
    ClassRecord,
    ContactLink,
    ContactRecord,
    Coverage,
    EnrolmentRecord,
    Item,
    MarkBatch,
    Notice,
    OrgRecord,
    Refusal,
    RollRecord,
    SessionRecord,
    StaffRecord,
    Status,
    StudentRecord,
    UnreadBatch,
    Unused,
    Where,
)
from firstbell.intake.readers.settings import settings_of
from firstbell.intake.readers.table import Row, Table, csv_line
from firstbell.intake.readers.values import (
    Bad,
    Cache,
    Refused,
    date_order,
    parse_bool,
    parse_date,
    parse_minutes,
    parse_moment,
    split_list,
    text,
    text_lines,
)
from firstbell.said import said

__all__ = ["COLUMNS", "FILES", "OneRosterReader"]

BATCH = 50_000
#: Files of OneRoster that hold nothing Firstbell keeps; their rows are counted.
IGNORED = (
    "courses", "categories", "classResources", "courseResources", "lineItems", "lineItemLearningObjectiveIds",
    "lineItemScoreScales", "resources", "results", "resultLearningObjectiveIds", "resultScoreScales", "scoreScales",
    "userProfiles", "userResources",
)  # fmt: skip
FILES = (
    "manifest", "orgs", "academicSessions", "calendar", "classes", "users", "roles", "demographics", "enrollments",
    "rolls", "attendance", *IGNORED,
)  # fmt: skip
#: The columns looked for in each file: those it can't be read without, and the others. docs/files.md says what each means.
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "manifest": (("propertyName", "value"), ()),
    "orgs": (("sourcedId", "name", "type"), ("status", "identifier", "parentSourcedId", "metadata.timeZone")),
    "academicSessions": (
        ("sourcedId", "title", "type", "startDate", "endDate"), ("status", "parentSourcedId", "schoolYear"),
    ),
    "calendar": (("schoolSourcedId", "date", "type"), ("sessions", "startTimes", "minutes", "note")),
    "classes": (
        ("sourcedId", "title", "schoolSourcedId"), ("status", "grades", "classType", "termSourcedIds", "periods"),
    ),
    "users": (
        ("sourcedId", "givenName", "familyName"),
        (
            "status", "orgSourcedIds", "role", "identifier", "middleName", "email", "sms", "phone", "agentSourcedIds", "grades",
            "password", "preferredGivenName", "preferredMiddleName", "preferredFamilyName", "primaryOrgSourcedId",
            "metadata.language", "metadata.noContact", "metadata.address",
        ),
    ),
    "roles": (("userSourcedId", "role"), ("status", "orgSourcedId", "roleType")),
    "demographics": (("sourcedId",), ("status", "birthDate")),
    "enrollments": (
        ("sourcedId", "schoolSourcedId", "userSourcedId"),
        ("status", "dateLastModified", "classSourcedId", "role", "primary", "beginDate", "endDate"),
    ),
    "rolls": (("schoolSourcedId", "date", "taken"), ("classSourcedId", "session", "takenAt", "takenBy")),
    "attendance": (
        ("studentSourcedId", "schoolSourcedId", "date", "code"),
        ("session", "minutesMissed", "reason", "recordedAt", "recordedBy"),
    ),
}  # fmt: skip
_STAFF_ROLES = {
    "teacher",
    "aide",
    "proctor",
    "administrator",
    "principal",
    "siteadministrator",
    "districtadministrator",
    "counselor",
    "systemadministrator",
}
_CONTACT_ROLES = {"guardian", "parent", "relative"}
_MASKED = ("password",)
#: records' fields as OneRoster's headings; a kind's own before those all kinds share
_HEADINGS = {
    ("", "id"): "sourcedId", ("", "school_id"): "schoolSourcedId", ("", "class_id"): "classSourcedId", ("", "person_id"): "userSourcedId",
    ("", "term_ids"): "termSourcedIds", ("", "starts"): "beginDate", ("", "ends"): "endDate", ("", "time_zone"): "metadata.timeZone",
    ("", "given_name"): "givenName", ("", "family_name"): "familyName", ("", "preferred_name"): "preferredGivenName",
    ("", "number"): "identifier", ("", "grade"): "grades", ("", "parent_id"): "parentSourcedId", ("", "language"): "metadata.language",
    ("", "source_id"): "sourcedId", ("", "home_language"): "metadata.language", ("session", "starts"): "startDate",
    ("contact_link", "student_id"): "agentSourcedIds", ("contact_link", "contact_id"): "agentSourcedIds",
    ("mark", "student"): "studentSourcedId", ("mark", "school"): "schoolSourcedId",
}  # fmt: skip


class OneRosterReader:
    """Reads one delivery. `zone_of(school id)` gives the school's clock for moments written without an offset."""

    def __init__(self, delivery: Delivery, zone_of: Callable[[str], ZoneInfo] | None = None) -> None:
        self.delivery = delivery
        self._given_zone = zone_of
        self._zones: dict[str, ZoneInfo] = {}
        self._sent: Set[str] = frozenset()  # the columns of the file that is being read
        self.files: dict[str, str] = {}
        known = {name.lower(): name for name in FILES}
        for name in delivery.names:
            stem = name.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".csv")
            if stem in known and name.lower().endswith(".csv"):
                self.files[known[stem]] = name

    @classmethod
    def reads(cls, delivery: Delivery) -> bool:
        return bool({"users", "orgs", "enrollments", "attendance", "calendar", "classes"} & set(cls(delivery).files))

    # -- the whole ---------------------------------------------------------------------------------------------

    def read(self) -> Iterator[Item]:
        yield from self._manifest()
        unread = set(self.delivery.names) - set(self.files.values())
        for name in sorted(unread):
            if name.rsplit("/", 1)[-1].lower() not in ("source.toml", "mapping.toml"):
                yield Notice(name, said("is not a file Firstbell knows how to read, and was left alone"))
        yield from self._rows("orgs", self._org)
        yield from self._rows("academicSessions", self._session, dates=("startDate", "endDate"))
        yield from self._rows("calendar", self._calendar_day, dates=("date",))
        yield from self._rows("classes", self._class)
        yield from self._users()
        yield from self._rows("enrollments", self._enrolment, dates=("beginDate", "endDate"))
        yield from self._rows("rolls", self._roll, dates=("date",))
        yield from self._attendance()
        for name in IGNORED:
            if name in self.files:
                yield from self._count_only(name)

    def heading(self, kind: str, field: str) -> str:
        return _HEADINGS.get((kind, field)) or _HEADINGS.get(("", field), field)

    def as_sent(self, lines: Mapping[str, Set[int]]) -> Iterator[tuple[str, int, str]]:
        for file, wanted in lines.items():
            if file not in self.files.values():
                continue
            with self.delivery.open(file) as stream:
                table = Table(file, stream)
                masked = [i for i, h in enumerate(table.header) if h.lower() in _MASKED]
                for row in table.rows():
                    if isinstance(row, Row) and row.line in wanted:
                        for i in masked:
                            row.cells[i] = ""
                        yield file, row.line, csv_line(row.cells)

    # -- manifest and settings ---------------------------------------------------------------------------------

    def _manifest(self) -> Iterator[Item]:
        declared: dict[str, str] = {}
        if "manifest" in self.files:
            file = self.files["manifest"]
            with self.delivery.open(file) as stream:
                table = Table(file, stream, *COLUMNS["manifest"])
                key, value = table.columns["propertyName"], table.columns["value"]
                count = 0
                for row in table.rows():
                    count += 1
                    if isinstance(row, Row) and row.cells[key].lower().startswith("file."):
                        declared[row.cells[key][5:].strip().lower()] = row.cells[value].strip().lower()
                yield from table.notices
                yield Unused(file, "manifest", count)
        settings = settings_of(self.delivery)
        for name in FILES:
            word = declared.get(name.lower(), "")
            present = name in self.files
            if present and word == "absent":
                yield Notice(self.files[name], said("is here although the manifest says it is absent; it was read"))
            if not present and word in ("bulk", "delta"):
                yield Notice(
                    "manifest.csv",
                    said("says that %(name)s.csv is sent (%(word)s), but it is not here", name=name, word=word),
                )
            if present and name not in IGNORED and name != "manifest":
                yield Coverage(
                    self.files[name], name, bulk=word != "delta", sends=str(settings.get("sends", "")),
                    complete_through=settings.get("complete_through"),
                )  # fmt: skip

    # -- plain files -------------------------------------------------------------------------------------------

    def _rows(
        self, kind: str, make: Callable[[Where, Callable[[str], str], str], Iterator[Item] | Item],
        dates: tuple[str, ...] = (),
    ) -> Iterator[Item]:  # fmt: skip
        """A file row by row: `make` turns a row into records, or raises Refused naming the column."""
        if kind not in self.files:
            return
        file = self.files[kind]
        order = self._order_of(kind, dates) if dates else ""
        self._orders = dict.fromkeys(dates, order)
        if order:
            words = _ORDER_WORDS[order]
            yield Notice(
                file,
                said("dates were read as %(words)s: the only order in which all of the file's make sense", words=words),
            )
        with self.delivery.open(file) as stream:
            table = Table(file, stream, *COLUMNS[kind])
            yield from table.notices
            mask = [table.columns[c] for c in _MASKED if c in table.columns]
            mask += [i for i, h in enumerate(table.header) if h.lower() in _MASKED]
            statuses: Counter[str] = Counter()
            columns = table.columns
            self._sent = columns.keys()
            for row in table.rows():
                if isinstance(row, Refusal):
                    # A ragged row can't be masked by column, so a file that has passwords keeps none of its cells.
                    yield _with_kind(row, kind, "" if mask else row.row)
                    continue
                cells = row.cells
                for i in mask:
                    cells[i] = ""

                def cell(name: str, cells: list[str] = cells) -> str:
                    return cells[columns[name]] if name in columns else ""

                raw = csv_line(cells)
                at = Where(file, row.line)
                statuses[cell("status").strip().lower()] += 1
                try:
                    made = make(at, cell, file)
                    if isinstance(made, Iterator):
                        yield from list(made)
                    else:
                        yield made
                except Refused as refused:
                    yield Refusal(file, row.line, refused.column, refused.value[:300], refused.reason, raw, kind)
            if statuses["inactive"]:
                yield Notice(
                    file,
                    said(
                        "%(value)s rows have the status inactive, which OneRoster 1.2 does not know; they were read as gone",
                        value=statuses["inactive"],
                    ),
                )

    def _order_of(self, kind: str, columns: Sequence[str]) -> str:
        """The date order of a file, from a first reading of its date columns; "" where all is ISO or nothing can be decided."""
        file = self.files[kind]
        with self.delivery.open(file) as stream:
            table = Table(file, stream, *COLUMNS[kind])
            indexes = [table.columns[column] for column in columns if column in table.columns]
            values: set[str] = set()
            for row in table.rows():
                if isinstance(row, Row):
                    values.update(row.cells[i] for i in indexes if "-" not in row.cells[i])
            return date_order(values)

    def _count_only(self, kind: str) -> Iterator[Item]:
        file = self.files[kind]
        count = 0
        with self.delivery.open(file) as stream:
            for row in Table(file, stream).rows():
                if isinstance(row, Refusal):
                    yield _with_kind(row, kind, "")
                else:
                    count += 1
        yield Unused(file, kind, count)

    def _date(self, cell: Callable[[str], str], column: str) -> date:
        found: date = _take(lambda v: parse_date(v, self._orders.get(column, "")), cell, column)
        return found

    def _org(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        kind = cell("type").strip().lower()
        identifier = _id(cell, "sourcedId")
        if kind != "school" and identifier in self._named_as_school:
            kind = "school"
        zone = cell("metadata.timeZone").strip()
        if zone:
            try:
                self._zones[identifier] = ZoneInfo(zone)
            except (KeyError, ValueError, OSError) as error:
                raise Refused(
                    "metadata.timeZone", zone, said("is not a time zone (such as America/Chicago)")
                ) from error
        return OrgRecord(
            at, identifier, _text(cell, "name"), kind, cell("parentSourcedId").strip(), cell("identifier").strip(), zone,
            _status(cell),
        )  # fmt: skip

    @property
    def _named_as_school(self) -> set[str]:
        """Organisations classes name as their school, whatever type orgs.csv gives them."""
        cached: set[str] | None = getattr(self, "_schools_named", None)
        if cached is None:
            cached = set()
            if "classes" in self.files:
                with self.delivery.open(self.files["classes"]) as stream:
                    table = Table(self.files["classes"], stream, ("schoolSourcedId",))
                    column = table.columns["schoolSourcedId"]
                    cached = {row.cells[column].strip() for row in table.rows() if isinstance(row, Row)}
            self._schools_named = cached
        return cached

    def _session(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        starts, ends = self._date(cell, "startDate"), self._date(cell, "endDate")
        if ends < starts:
            raise Refused("endDate", cell("endDate"), said("lies before the start"))
        year = cell("schoolYear").strip()
        if year and not (year.isdigit() and 1990 <= int(year) <= 2046):
            raise Refused("schoolYear", year, said("is not the year a school year ends in"))
        return SessionRecord(
            at, _id(cell, "sourcedId"), _text(cell, "title"), cell("type").strip(), starts, ends,
            int(year) if year else ends.year + (ends.month > 7), cell("parentSourcedId").strip(), _status(cell),
        )  # fmt: skip

    def _calendar_day(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        kind = day_type_of(cell("type"))
        if kind is None:
            raise Refused(
                "type",
                cell("type"),
                said("is not a kind of day Firstbell knows (instructional, holiday, weather day, make-up day …)"),
            )
        sessions = cell("sessions").strip()
        if sessions and not (sessions.isdigit() and 1 <= int(sessions) <= 20):
            raise Refused("sessions", sessions, said("is not a number of sessions a day can have (1 to 20)"))
        minutes = [_take(parse_minutes, _just(part), "minutes") for part in cell("minutes").split(";") if part.strip()]
        return CalendarDayRecord(
            at, _id(cell, "schoolSourcedId"), self._date(cell, "date"), kind, int(sessions) if sessions else None,
            tuple(t.strip() for t in cell("startTimes").split(";") if t.strip()), tuple(m for m in minutes if m is not None),
            _text(cell, "note", blank=True)[:200],
        )  # fmt: skip

    def _class(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        kind = cell("classType").strip().lower()
        return ClassRecord(
            at, _id(cell, "sourcedId"), _id(cell, "schoolSourcedId"), _text(cell, "title"),
            "homeroom" if kind == "homeroom" else "scheduled", split_list(cell("periods")), split_list(cell("grades")),
            split_list(cell("termSourcedIds")), _status(cell),
        )  # fmt: skip

    def _enrolment(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        role = cell("role").strip().lower() or "student"
        starts = self._date(cell, "beginDate") if cell("beginDate").strip() else None
        ends = self._date(cell, "endDate") if cell("endDate").strip() else None
        if starts and ends and ends < starts:
            raise Refused("endDate", cell("endDate"), said("lies before the beginning"))
        return EnrolmentRecord(
            at, _id(cell, "sourcedId"), _id(cell, "userSourcedId"), _id(cell, "schoolSourcedId"),
            cell("classSourcedId").strip(), "student" if role == "student" else "teacher", starts, ends,
            primary=_take(parse_bool, cell, "primary"), status=_status(cell), gone_on=_gone_on(cell),
        )  # fmt: skip

    def _roll(self, at: Where, cell: Callable[[str], str], _file: str) -> Item:
        school = _id(cell, "schoolSourcedId")
        zone = self._zone(school)
        taken_at = cell("takenAt").strip()
        return RollRecord(
            at, school, cell("classSourcedId").strip(), self._date(cell, "date"), cell("session").strip(),
            _take(parse_bool, cell, "taken"), _take(lambda v: parse_moment(v, zone), cell, "takenAt") if taken_at else None,
            _text(cell, "takenBy", blank=True)[:120],
        )  # fmt: skip

    def _zone(self, school: str) -> ZoneInfo:
        found = self._zones.get(school)
        if found is None:
            found = self._given_zone(school) if self._given_zone else ZoneInfo("UTC")
            self._zones[school] = found
        return found

    # -- people ------------------------------------------------------------------------------------------------

    def _users(self) -> Iterator[Item]:
        if "users" not in self.files and "roles" not in self.files:
            return
        roles: dict[str, frozenset[str]] = defaultdict(frozenset)
        schools: dict[str, tuple[str, ...]] = {}
        if "roles" in self.files:
            yield from self._roles(roles, schools)
        births: dict[str, date] = {}
        if "demographics" in self.files:
            yield from self._demographics(births)

        def make(at: Where, cell: Callable[[str], str], file: str) -> Iterator[Item]:
            yield from self._user(at, cell, roles, schools, births)

        yield from self._rows("users", make)

    def _roles(self, roles: dict[str, frozenset[str]], schools: dict[str, tuple[str, ...]]) -> Iterator[Item]:
        sets: dict[frozenset[str], frozenset[str]] = {}  # a handful of combinations, shared by millions of users
        used = 0

        def make(at: Where, cell: Callable[[str], str], file: str) -> Iterator[Item]:
            nonlocal used
            user, role = _id(cell, "userSourcedId"), cell("role").strip().lower()
            used += 1
            if _status(cell) is Status.ACTIVE:
                combined = roles[user] | {role}
                roles[user] = sets.setdefault(combined, combined)
                if (school := cell("orgSourcedId").strip()) and school not in schools.get(user, ()):
                    schools[user] = (*schools.get(user, ()), school)
            return iter(())

        yield from self._rows("roles", make)
        yield Unused(self.files["roles"], "roles", used)

    def _demographics(self, births: dict[str, date]) -> Iterator[Item]:
        """Birth dates for ages under the law. Sex and race are for audits only and are not kept here."""
        used = 0

        def make(at: Where, cell: Callable[[str], str], file: str) -> Iterator[Item]:
            nonlocal used
            user = _id(cell, "sourcedId")
            if cell("birthDate").strip():
                births[user] = _take(
                    lambda v: parse_date(v, self._orders.get("birthDate", ""), earliest=1900), cell, "birthDate"
                )
            used += 1
            return iter(())

        yield from self._rows("demographics", make, dates=("birthDate",))
        yield Unused(self.files["demographics"], "demographics", used)

    def _user(
        self, at: Where, cell: Callable[[str], str], roles: Mapping[str, frozenset[str]], schools: Mapping[str, tuple[str, ...]],
        births: Mapping[str, date],
    ) -> Iterator[Item]:  # fmt: skip
        user = _id(cell, "sourcedId")
        held = set(roles.get(user, ())) | {r.lower() for r in split_list(cell("role"))}
        if not held:
            raise Refused(
                "role", "", said("no role says what this person is: neither users.csv nor roles.csv names one")
            )
        given, family, status = _text(cell, "givenName"), _text(cell, "familyName"), _status(cell)
        known = False
        if "student" in held:
            known = True
            grades = split_list(cell("grades"))
            preferred = _text(cell, "preferredGivenName", blank=True)
            yield StudentRecord(
                at, user, given, family, preferred, cell("identifier").strip(), grades[0] if grades else "", births.get(user),
                cell("metadata.language").strip().lower(),
                tuple(dict.fromkeys([*split_list(cell("orgSourcedIds")), *schools.get(user, ())])), status,
            )  # fmt: skip
            for agent in split_list(cell("agentSourcedIds")):
                yield ContactLink(at, user, agent)
        if held & _STAFF_ROLES:
            known = True
            yield StaffRecord(at, user, given, family, cell("email").strip(), sorted(held & _STAFF_ROLES)[0], status)
        if held & _CONTACT_ROLES:
            known = True
            # first: it holds whatever else cannot be read
            for student in split_list(cell("metadata.noContact").replace(";", ",")):
                yield ContactLink(at, student, user, no_contact=True)
            phone, email, language = (
                cell("phone").strip() or cell("sms").strip(),
                cell("email").strip(),
                cell("metadata.language"),
            )
            address: str = _take(lambda v: text_lines(v.replace(";", "\n")), cell, "metadata.address")
            yield ContactRecord(
                at, user, given, family, self._said(phone, "phone", "sms"), self._said(email, "email"),
                self._said(address, "metadata.address"), self._said(language.strip().lower(), "metadata.language"), status,
            )  # fmt: skip
        if not known:
            raise Refused(
                "role", ", ".join(sorted(held)), said("is not a role Firstbell knows (student, teacher, guardian, …)")
            )

    def _said(self, value: str, *columns: str) -> str | None:
        """A cell's value; None where the file has none of these columns."""
        return value if value or any(column in self._sent for column in columns) else None

    # -- marks -------------------------------------------------------------------------------------------------

    def _attendance(self) -> Iterator[Item]:
        if "attendance" not in self.files:
            return
        file = self.files["attendance"]
        order = ""
        with self.delivery.open(file) as stream:
            table = Table(file, stream, *COLUMNS["attendance"])
            sample = [
                row.cells[table.columns["date"]]
                for row, _ in zip(table.rows(), range(1000), strict=False)
                if isinstance(row, Row)
            ]
        if any(not v[:4].isdigit() for v in sample):
            order = self._order_of("attendance", ("date",))
            if order:
                yield Notice(
                    file,
                    said(
                        "dates were read as %(value)s: the only order in which all make sense",
                        value=_ORDER_WORDS[order],
                    ),
                )
        with self.delivery.open(file) as stream:
            table = Table(file, stream, *COLUMNS["attendance"])
            yield from table.notices
            dates: Cache[date] = Cache(lambda v: parse_date(v, order))
            minutes: Cache[int | None] = Cache(parse_minutes)
            texts: Cache[str] = Cache(lambda v: text(v)[:200])
            moments: dict[ZoneInfo, Cache[int]] = {}
            lines: list[int] = []
            rows: list[list[str]] = []
            for row in table.rows():
                if isinstance(row, Refusal):
                    yield _with_kind(row, "attendance", row.row)
                    continue
                lines.append(row.line)
                rows.append(row.cells)
                if len(rows) >= BATCH:
                    yield from self._marks(table, file, lines, rows, dates, minutes, texts, moments)
                    lines, rows = [], []
            if rows:
                yield from self._marks(table, file, lines, rows, dates, minutes, texts, moments)

    def _marks(
        self, table: Table, file: str, lines: list[int], rows: list[list[str]], dates: Cache[date],
        minutes: Cache[int | None], texts: Cache[str], moments: dict[ZoneInfo, Cache[int]],
    ) -> Iterator[Item]:  # fmt: skip
        """A chunk of rows, column by column; the few rows with a bad value are taken out one by one."""
        columns = list(zip(*rows, strict=True))
        n = len(rows)
        blank = ("",) * n

        def column(name: str) -> tuple[str, ...]:
            return columns[table.columns[name]] if name in table.columns else blank

        student = [texts[v] for v in column("studentSourcedId")]
        school = [texts[v] for v in column("schoolSourcedId")]
        day = [dates[v] for v in column("date")]
        missed = [minutes[v] for v in column("minutesMissed")] if "minutesMissed" in table.columns else [None] * n
        code = [texts[v] for v in column("code")]
        session = [texts[v] for v in column("session")] if "session" in table.columns else [""] * n
        reason = [texts[v] for v in column("reason")] if "reason" in table.columns else [""] * n
        by = [texts[v] for v in column("recordedBy")] if "recordedBy" in table.columns else [""] * n
        at: list[Any] = [None] * n
        if "recordedAt" in table.columns:
            for i, (value, where) in enumerate(zip(column("recordedAt"), school, strict=True)):
                if value:
                    zone = self._zone(where) if isinstance(where, str) else ZoneInfo("UTC")
                    cache = moments.get(zone)
                    if cache is None:
                        cache = moments[zone] = Cache(lambda v, zone=zone: parse_moment(v, zone))  # type: ignore[misc]
                    at[i] = cache[value]
        named = (
            ("studentSourcedId", student), ("schoolSourcedId", school), ("date", day), ("session", session), ("code", code),
            ("minutesMissed", missed), ("reason", reason), ("recordedAt", at), ("recordedBy", by),
        )  # fmt: skip
        refused: set[int] = set()
        for name, values in named:
            required = name in ("studentSourcedId", "schoolSourcedId", "code")
            for i, value in enumerate(values):
                if value.__class__ is Bad or (required and not value):
                    if i in refused:
                        continue
                    refused.add(i)
                    why = str(value) if value.__class__ is Bad else said("is empty")
                    yield Refusal(file, lines[i], name, column(name)[i][:300], why, csv_line(rows[i]), "attendance")
        if refused:
            yield from _unread(file, sorted(refused), student, school, day, session, at)
            keep = [i for i in range(n) if i not in refused]
            lines = [lines[i] for i in keep]
            student, school, day, session, code, missed, reason, at, by = (
                [values[i] for i in keep] for values in (student, school, day, session, code, missed, reason, at, by)
            )
        if lines:
            yield MarkBatch(
                file, lines, student, school, day, session, code, missed, [None] * len(lines), reason, at, by
            )


def _unread(
    file: str, rows: list[int], student: list[Any], school: list[Any], day: list[Any], session: list[Any], at: list[Any]
) -> Iterator[UnreadBatch]:
    """The squares of refused rows that still say whom and which day they meant."""
    meant = [
        i
        for i in rows
        if Bad not in (student[i].__class__, school[i].__class__, day[i].__class__) and student[i] and school[i]
    ]
    if meant:
        yield UnreadBatch(
            file, [student[i] for i in meant], [school[i] for i in meant], [day[i] for i in meant],
            ["" if session[i].__class__ is Bad else session[i] for i in meant],
            [None if at[i].__class__ is Bad else at[i] for i in meant],
        )  # fmt: skip


_ORDER_WORDS = {"dmy": said("day/month/year"), "mdy": said("month/day/year"), "ymd": said("year/month/day")}


def _just(value: str) -> Callable[[str], str]:
    """A cell reader that has only this value, for one part of a list in a cell."""
    return lambda _column: value


def _take(parse: Callable[[str], Any], cell: Callable[[str], str], column: str) -> Any:
    value = cell(column)
    try:
        return parse(value)
    except Bad as error:
        raise Refused(column, value, str(error)) from error


def _text(cell: Callable[[str], str], column: str, *, blank: bool = False) -> str:
    found: str = _take(text, cell, column)
    if not found and not blank:
        raise Refused(column, "", said("is empty"))
    if len(found) > 200:
        raise Refused(column, found, said("is longer than 200 characters"))
    return found


def _id(cell: Callable[[str], str], column: str) -> str:
    found = _text(cell, column)
    if len(found) > 100:
        raise Refused(column, found, said("is longer than 100 characters, which no id may be"))
    return found


def _status(cell: Callable[[str], str]) -> Status:
    word = cell("status").strip().lower()
    if word in ("", "active"):
        return Status.ACTIVE
    if word in ("tobedeleted", "inactive"):
        return Status.GONE
    raise Refused("status", word, said("is neither active nor tobedeleted"))


def _gone_on(cell: Callable[[str], str]) -> date | None:
    """The day a row was deleted; a date that can't be read is no reason to keep a stay that is over."""
    if _status(cell) is not Status.GONE:
        return None
    try:
        return parse_date(cell("dateLastModified").strip()[:10])
    except Bad:
        return None


def _with_kind(refusal: Refusal, kind: str, row: str) -> Refusal:
    return Refusal(refusal.file, refusal.line, refusal.column, refusal.value, refusal.reason, row, kind)
