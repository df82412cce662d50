"""The files a district would export: OneRoster 1.2 with calendar, attendance and rolls beside it.

Only exceptions are sent. A square's rows are its history in order of recordedAt: most absences are first N or U in the morning
and are explained days later. Files are written cluster by cluster, so memory doesn't grow with the district.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from firstbell.register.marks import Disciplinary, LegalStatus, Location, Mark, PartSession, Presence
from firstbell.simulator.behaviour import REASONS, USUAL, Options, Setting
from firstbell.simulator.calendars import SchoolYearCalendar
from firstbell.simulator.district import how_many_clusters, settings_on, simulate
from firstbell.simulator.history import MINUTES, STARTS, Entries, Rolls, entries, rolls
from firstbell.simulator.people import (
    FAMILY_NAMES,
    GIVEN_NAMES,
    GRADES,
    LANGUAGES,
    SECONDARY_SESSIONS,
    STREETS,
    Cluster,
)

__all__ = ["Summary", "make_district"]

ZONE = ZoneInfo("America/Chicago")
#: The district's codes; S, L and F are its own.
CODES = {
    "P": Mark(Presence.PRESENT),
    "T": Mark(Presence.PRESENT, part=PartSession.LATE),
    "E": Mark(Presence.ABSENT, LegalStatus.AUTHORISED),
    "U": Mark(Presence.ABSENT, LegalStatus.UNAUTHORISED),
    "N": Mark(Presence.ABSENT, LegalStatus.PENDING),
    "L": Mark(Presence.PRESENT, part=PartSession.LEFT_EARLY),
    "S": Mark(Presence.ABSENT, LegalStatus.AUTHORISED, disciplinary=Disciplinary.OUT_OF_SCHOOL_SUSPENSION),
    "F": Mark(Presence.PRESENT, location=Location.OFFSITE_APPROVED),
}
CHUNK = 200_000  # rows laid out at a time
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written."""

    students: int
    schools: int
    marks: int  # rows of attendance.csv
    today: date


#: file -> its header
HEADERS: dict[str, tuple[str, ...]] = {
    "orgs": ("sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId", "metadata.timeZone"),
    "academicSessions": (
        "sourcedId", "status", "dateLastModified", "title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear",
    ),
    "courses": ("sourcedId", "status", "dateLastModified", "schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId", "subjects", "subjectCodes"),
    "classes": (
        "sourcedId", "status", "dateLastModified", "title", "grades", "courseSourcedId", "classCode", "classType", "location",
        "schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes", "periods",
    ),
    "users": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName", "middleName",
        "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password", "userMasterIdentifier", "preferredGivenName",
        "preferredMiddleName", "preferredFamilyName", "primaryOrgSourcedId", "pronouns", "metadata.language", "metadata.noContact",
        "metadata.address",
    ),
    "roles": (
        "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate", "orgSourcedId",
        "userProfileSourcedId",
    ),
    "enrollments": (
        "sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary", "beginDate",
        "endDate",
    ),
    "demographics": ("sourcedId", "status", "dateLastModified", "birthDate"),
    "calendar": ("schoolSourcedId", "date", "type", "sessions", "startTimes", "minutes"),
    "attendance": (
        "studentSourcedId", "schoolSourcedId", "date", "session", "code", "minutesMissed", "reason", "recordedAt", "recordedBy",
    ),
    "rolls": ("schoolSourcedId", "classSourcedId", "date", "session", "taken", "takenAt", "takenBy"),
}  # fmt: skip


class _Files:
    """The open files of the export, each with its header."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._streams: dict[str, TextIOWrapper] = {}
        self.write: dict[str, Callable[[Iterator[tuple[object, ...]] | list[tuple[object, ...]]], None]] = {}
        self.marks = 0
        for name, header in HEADERS.items():
            stream = (out / f"{name}.csv").open("w", newline="", encoding="utf-8")
            self._streams[name] = stream
            writer = csv.writer(stream, lineterminator="\r\n")
            writer.writerow(header)
            self.write[name] = writer.writerows

    def write_columns(self, name: str, columns: Sequence[Sequence[tuple[NDArray[np.bytes_], NDArray[Any]]]]) -> None:
        """Rows from columns, each of pieces (texts, which of them by row) set side by side. A row is laid out as a record of padded
        pieces, and the padding dropped: a million rows a second, where csv.writer does a third."""
        layout: list[tuple[NDArray[np.bytes_], NDArray[Any] | None]] = []
        for k, column in enumerate(columns):
            layout += column
            layout.append((np.array([b"," if k < len(columns) - 1 else b"\r\n"]), None))
        record = np.dtype([(f"f{k}", texts.dtype) for k, (texts, _which) in enumerate(layout)])
        rows = len(columns[0][0][1])
        stream = self._streams[name]
        stream.flush()
        for start in range(0, rows, CHUNK):
            block = np.empty(min(CHUNK, rows - start), dtype=record)
            for k, (texts, which) in enumerate(layout):
                block[f"f{k}"] = texts[0] if which is None else texts[which[start : start + CHUNK]]
            padded = block.view(np.uint8)
            stream.buffer.write(padded[padded != 0].tobytes())

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()


def make_district(
    out: Path,
    *,
    students: int = 4000,
    seed: int = 1,
    today: date,
    hour: time = time(8, 40),
    options: Options = USUAL,
    progress: Progress | None = None,
) -> Summary:
    """Write the export of a district on the morning of `today`, a school day. Deterministic for a seed and its options."""
    settings = settings_on(today)
    clusters = how_many_clusters(students)
    files = _Files(out)
    try:
        files.write["orgs"](
            [("district", "", "", "Larch Valley School District", "district", "4801234", "", "America/Chicago")]
        )
        _sessions(files, settings)
        for k, simulated in enumerate(simulate(students=students, seed=seed, today=today, options=options)):
            cluster = simulated.cluster
            _roster(files, cluster, settings, np.random.default_rng([seed, k, 1]))
            for year in (0, 1):
                rng = np.random.default_rng([seed, k, 2 + year])
                clock = hour if year else None
                taken = rolls(simulated, year, clock, rng)
                _rolls(files, cluster, year, settings[year], taken)
                _attendance(files, cluster, settings[year], entries(simulated, year, clock, taken, rng))
            if progress:
                progress("Making the district", k + 1, clusters)
    finally:
        files.close()
    last_year, this_year = settings
    before = this_year.calendar.school_days[: this_year.through - 1]
    _manifest(out, last_full_day=before[-1] if before else last_year.calendar.last)
    return Summary(students, clusters * 6, files.marks, today)


def _manifest(out: Path, last_full_day: date) -> None:
    sent = {name for name in HEADERS if name not in ("calendar", "attendance", "rolls")}
    rows = [("manifest.version", "1.0"), ("oneroster.version", "1.2")]
    rows += [(f"file.{name}", "bulk") for name in sorted(sent)]
    rows += [
        (f"file.{name}", "absent")
        for name in ("categories", "classResources", "lineItems", "resources", "results", "userProfiles")
    ]
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(("propertyName", "value"))
        writer.writerows(rows)
    lines = ["# What the codes of attendance.csv mean, field by field as in the canonical mark."]
    for code, mark in CODES.items():
        lines.append(f"\n[codes.{code}]")
        lines += [f'{f.name} = "{value}"' for f in fields(mark) if (value := getattr(mark, f.name)) != f.default]
    (out / "mapping.toml").write_text("\n".join(lines) + "\n")
    (out / "source.toml").write_text(
        "# How this district's export is to be read\n"
        'sends = "exceptions"\n'
        f"complete_through = {last_full_day}\n"
        'code_set = "simple"\n'
    )


def _year_id(calendar: SchoolYearCalendar) -> str:
    return f"year-{calendar.ends_in}"


def _sessions(files: _Files, settings: tuple[Setting, Setting]) -> None:
    for setting in settings:
        calendar = setting.calendar
        year, ends_in = _year_id(calendar), calendar.ends_in
        middle = date(ends_in, 1, 10)
        files.write["academicSessions"](
            [
                (year, "", "", f"{ends_in - 1}-{ends_in}", "schoolYear", calendar.first, calendar.last, "", ends_in),
                (f"{year}-fall", "", "", f"Fall {ends_in - 1}", "semester", calendar.first, middle, year, ends_in),
                (
                    f"{year}-spring",
                    "",
                    "",
                    f"Spring {ends_in}",
                    "semester",
                    middle + timedelta(days=1),
                    calendar.last,
                    year,
                    ends_in,
                ),
            ]
        )


def _roster(files: _Files, cluster: Cluster, settings: tuple[Setting, Setting], rng: np.random.Generator) -> None:
    for s, school in enumerate(cluster.schools):
        files.write["orgs"](
            [(school.id, "", "", school.name, "school", f"{cluster.number:03d}{s}", "district", "America/Chicago")]
        )
        for setting in settings:
            n = school.sessions
            days = []
            for day, kind in sorted(setting.calendar.kinds.items()):
                taught = kind in ("Instructional day", "Make-up day", "Student late arrival/early dismissal")
                extra = (n, ";".join(STARTS[n]), ";".join(map(str, MINUTES[n]))) if taught else ("", "", "")
                days.append((school.id, day, kind, *extra))
            files.write["calendar"](days)
    _classes(files, cluster, settings)
    _people(files, cluster, settings[1].calendar.ends_in, rng)
    _enrolments(files, cluster, settings)


def _classes(files: _Files, cluster: Cluster, settings: tuple[Setting, Setting]) -> None:
    for s, school in enumerate(cluster.schools):
        files.write["courses"]([(f"crs-{school.id}", "", "", "", "Timetable", "", "", school.id, "", "")])
        for year, setting in enumerate(settings):
            term = _year_id(setting.calendar)
            rows: list[tuple[object, ...]] = []
            seats: list[tuple[object, ...]] = []
            for k, (where, grade, met, teacher, title) in enumerate(cluster.sections[year]):
                if where != s:
                    continue
                identifier = cluster.section_id(year, k)
                periods = ",".join(str(p + 1) for p in met)
                rows.append((
                    identifier, "", "", title, GRADES[grade], f"crs-{school.id}", title, "scheduled" if met else "homeroom", "",
                    school.id, term, "", "", periods,
                ))  # fmt: skip
                seats.append((
                    f"enr-{identifier}-t", "", "", identifier, school.id, cluster.teacher_id(teacher), "teacher", "true", "", "",
                ))  # fmt: skip
            files.write["classes"](rows)
            files.write["enrollments"](seats)


def _people(files: _Files, cluster: Cluster, ends_in: int, rng: np.random.Generator) -> None:
    users: list[tuple[object, ...]] = []
    roles: list[tuple[object, ...]] = []
    births: list[tuple[object, ...]] = []

    def user(
        identifier: str, given: str, family: str, *, number: str = "", email: str = "", phone: str = "", agents: str = "", grade: str = "",
        org: str = "", language: str = "", no_contact: str = "", address: str = "",
    ) -> None:  # fmt: skip
        users.append((
            identifier, "", "", "true", identifier, "", given, family, "", number, email, "", phone, agents, grade, "", "", "", "", "", org, "",
            language, no_contact, address,
        ))  # fmt: skip

    def role(identifier: str, name: str, org: str) -> None:
        roles.append((f"rol-{identifier}-{org}", "", "", identifier, "primary", name, "", "", org, ""))

    streets = rng.spawn(1)[0]
    children: dict[int, list[int]] = {}
    for i, family in enumerate(cluster.family.tolist()):
        children.setdefault(family, []).append(i)
    for family, kids in children.items():
        surname = FAMILY_NAMES[cluster.surname[family]]
        language = LANGUAGES[cluster.language[family]]
        homes = 1 + int(rng.random() < 0.45)
        barred = homes == 2 and rng.random() < 0.02
        guardians = [f"grd-{cluster.number:03d}-{family:05d}-{h}" for h in range(homes)]
        home = _address(streets)
        for h, guardian in enumerate(guardians):
            if h and (barred or streets.random() < 0.4):  # two who live apart
                home = _address(streets)
            given = GIVEN_NAMES[int(rng.integers(len(GIVEN_NAMES)))]
            phone = f"+1 312 555 {int(rng.integers(10_000)):04d}"
            user(
                guardian, given, surname if h == 0 else FAMILY_NAMES[int(rng.integers(len(FAMILY_NAMES)))], phone=phone,
                language=language, no_contact=";".join(cluster.student_id(k) for k in kids) if barred and h == 1 else "",
                address=home if streets.random() < 0.97 else "",
            )  # fmt: skip
            role(guardian, "guardian", "district")
        for k in kids:
            org = cluster.school[1, k] if cluster.school[1, k] >= 0 else cluster.school[0, k]
            if org < 0:
                continue
            level = int(np.clip(cluster.grade[k] - (cluster.school[1, k] < 0), 0, 12))
            identifier = cluster.student_id(k)
            where = cluster.schools[org].id
            user(
                identifier, GIVEN_NAMES[cluster.given[k]], surname, number=f"{cluster.number:03d}{k:05d}", agents=",".join(guardians),
                grade=GRADES[level], org=where, language=language,
            )  # fmt: skip
            role(identifier, "student", where)
            # A kindergartner of the year ending in 2027 was five on 1 September 2026.
            born = date(ends_in - 7 - int(cluster.grade[k]), 9, 1) + timedelta(days=1 + int(rng.integers(364)))
            births.append((identifier, "", "", born))
    teaches = {t: where for part in cluster.sections for where, _grade, _met, t, _title in part}
    for t in range(cluster.teachers):
        if t not in teaches:
            continue
        identifier = cluster.teacher_id(t)
        given, family_name = (
            GIVEN_NAMES[int(rng.integers(len(GIVEN_NAMES)))],
            FAMILY_NAMES[int(rng.integers(len(FAMILY_NAMES)))],
        )
        where = cluster.schools[teaches[t]].id
        user(identifier, given, family_name, email=f"{identifier}@example.org", org=where)
        role(identifier, "teacher", where)
    files.write["users"](users)
    files.write["roles"](roles)
    files.write["demographics"](births)


def _address(rng: np.random.Generator) -> str:
    """Somewhere in a town that is nowhere: no code of the post begins with 001."""
    door = f"{int(rng.integers(1, 400))} {STREETS[int(rng.integers(len(STREETS)))]}"
    flat = [f"Apt {int(rng.integers(1, 40))}"] if rng.random() < 0.3 else []
    return "; ".join([door, *flat, f"Larch Valley, TX 001{int(rng.integers(100)):02d}"])


def _enrolments(files: _Files, cluster: Cluster, settings: tuple[Setting, Setting]) -> None:
    for year, setting in enumerate(settings):
        days = setting.calendar.school_days
        through, section = setting.through, cluster.section[year]
        seat = section >= 0
        seat[:, 1:] &= section[:, 1:] != section[:, :-1]  # a homeroom is one class, whatever its sessions
        i, s = np.nonzero(seat & (cluster.school[year] >= 0)[:, None])
        first, last = cluster.first[year, i], cluster.last[year, i]
        moves = cluster.moved_on[i] if year else np.full(len(i), -1)
        # spans: [from column, to column), 0 and through where the session's own dates stand
        spans = [(i, section[i, s], cluster.school[year, i], first, np.where(moves >= 0, moves, last), 0)]
        if year:
            to = np.flatnonzero(cluster.moved_to >= 0)
            spans.append(
                (to, cluster.moved_section[to], cluster.moved_to[to], cluster.moved_on[to], cluster.last[1, to], 1)
            )
            there = np.flatnonzero(cluster.visits >= 0)
            school = np.array([cluster.sections[1][k][0] for k in cluster.visits[there].tolist()], dtype=np.int64)
            zeros = np.zeros(len(there), dtype=np.int64)
            spans.append((there, cluster.visits[there], school, zeros, zeros + through, 2))
        dates = _texts(("", *days))
        students = _texts(cluster.student_id(k) for k in range(cluster.n))
        sections = _texts(cluster.section_id(year, k) for k in range(len(cluster.sections[year])))
        schools = _texts(school.id for school in cluster.schools)
        for student, of, school, begins, ends, part in spans:
            same = np.zeros(len(student), dtype=np.int64)
            files.write_columns(
                "enrollments",
                [
                    [
                        (_texts(["enr-"]), same),
                        (sections, of),
                        (_texts(["-"]), same),
                        (students, student),
                        (_texts([f"-{part}"]), same),
                    ],
                    [(_texts([","]), same)],  # no status, no dateLastModified: the file is whole
                    [(sections, of)],
                    [(schools, school)],
                    [(students, student)],
                    [(_texts(["student"]), same)],
                    [(_texts(["false" if part == 2 else "true"]), same)],
                    [(dates, np.where(begins > 0, begins + 1, 0))],
                    [(dates, np.where(ends < through, ends, 0))],  # the day before column `ends`
                ],
            )


def _attendance(files: _Files, cluster: Cluster, setting: Setting, written: Entries) -> None:
    """attendance.csv from entries."""
    days = setting.calendar.school_days
    offsets = (datetime.combine(day, time(12), ZONE).strftime("%z") for day in days)
    zones = [f"{offset[:3]}:{offset[3:]}" for offset in offsets]
    dates = _texts(days)
    sessions = _texts(("", *range(1, SECONDARY_SESSIONS + 1)))
    minutes = _texts((*range(1000), ""))  # the last for none sent
    moments = _texts(f"T{m // 60:02d}:{m % 60:02d}:00" for m in range(1440))
    files.write_columns(
        "attendance",
        [
            [(_texts(cluster.student_id(i) for i in range(cluster.n)), written.student)],
            [(_texts(school.id for school in cluster.schools), written.school)],
            [(dates, written.day)],
            [(sessions, written.session)],
            [(_texts(chr(c) for c in range(128)), written.code)],
            [(minutes, written.missed)],
            [(_texts(REASONS), written.reason)],
            [(dates, written.on), (moments, written.minute), (_texts(zones), written.on)],
            [(_texts(("office", "teacher")), written.by)],
        ],
    )
    files.marks += len(written)


def _rolls(files: _Files, cluster: Cluster, year: int, setting: Setting, taken: Rolls) -> None:
    """Rolls that were not taken on days gone by, and those taken so far this morning."""
    days = setting.calendar.school_days
    sections = cluster.sections[year]
    rows: list[tuple[object, ...]] = []
    for k, d, session in np.argwhere(taken.missing).tolist():
        rows.append((
            cluster.schools[sections[k][0]].id, cluster.section_id(year, k), days[d], session + 1, "false", "", "",
        ))  # fmt: skip
    today = days[setting.through - 1]
    for k, session in np.argwhere(~np.isnan(taken.taken)).tolist():
        where, _grade, _met, teacher, _title = sections[k]
        at = datetime.combine(today, time(), ZONE) + timedelta(minutes=float(taken.taken[k, session]))
        rows.append((
            cluster.schools[where].id, cluster.section_id(year, k), today, session + 1, "true",
            at.replace(microsecond=0).isoformat(), cluster.teacher_id(teacher),
        ))  # fmt: skip
    files.write["rolls"](rows)


def _texts(values: Iterable[object]) -> NDArray[np.bytes_]:
    """Values as they stand in the file, padded with NUL to one width. None of ours needs quoting."""
    return np.array([str(value).encode() for value in values], dtype=np.bytes_)
