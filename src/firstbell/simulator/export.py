"""The files a district would export: OneRoster 1.2 with calendar, attendance and rolls beside it.

Only exceptions are sent. A square's rows are its history in order of recordedAt: most absences are first N or U in the morning
and are explained days later. Files are written cluster by cluster, so memory doesn't grow with the district.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import numpy as np

from firstbell.simulator.behaviour import ABSENT, LATE, LEFT_EARLY, REASONS, Behaviour, Setting, behave
from firstbell.simulator.calendars import SchoolYearCalendar, school_year, snow_day
from firstbell.simulator.people import (
    CLUSTER_STUDENTS,
    FAMILY_NAMES,
    GIVEN_NAMES,
    GRADES,
    LANGUAGES,
    Cluster,
    make_cluster,
)

__all__ = ["Summary", "make_district"]

ZONE = ZoneInfo("America/Chicago")
STARTS = {2: ("08:15", "12:30"), 7: ("08:05", "09:00", "09:55", "10:50", "12:15", "13:10", "14:05")}
MINUTES = {2: (195, 165), 7: (50, 50, 50, 50, 50, 50, 50)}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written."""

    students: int
    schools: int
    marks: int
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
        self._streams: list[IO[str]] = []
        self.write: dict[str, Callable[[Iterator[tuple[object, ...]] | list[tuple[object, ...]]], None]] = {}
        self.marks = 0
        for name, header in HEADERS.items():
            stream = (out / f"{name}.csv").open("w", newline="", encoding="utf-8")
            self._streams.append(stream)
            writer = csv.writer(stream, lineterminator="\r\n")
            writer.writerow(header)
            self.write[name] = writer.writerows

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


def make_district(
    out: Path,
    *,
    students: int = 4000,
    seed: int = 1,
    today: date,
    hour: time = time(8, 40),
    progress: Progress | None = None,
) -> Summary:
    """Write the export of a district on the morning of `today`, a school day. Deterministic for a seed."""
    ends_in = today.year + (today >= date(today.year, 8, 1))
    last_year = school_year(ends_in - 1, snow=snow_day(ends_in - 1))
    snow = snow_day(ends_in)
    this_year = school_year(ends_in, snow=snow if snow < today else None)
    through = sum(day <= today for day in this_year.school_days)
    settings = (Setting(last_year, len(last_year.school_days)), Setting(this_year, through))
    if this_year.school_days[through - 1] != today:
        raise ValueError(f"{today} is no school day of this district; choose one with calendars.demo_day")
    clusters = max(1, round(students / CLUSTER_STUDENTS))
    files = _Files(out)
    try:
        files.write["orgs"](
            [("district", "", "", "Larch Valley School District", "district", "4801234", "", "America/Chicago")]
        )
        _sessions(files, settings)
        for k in range(clusters):
            rng = np.random.default_rng([seed, k])
            size = students // clusters + (k < students % clusters)
            cluster = make_cluster(k, size, (settings[0].through, through), rng)
            years = behave(cluster, settings, rng)
            _roster(files, cluster, settings, rng)
            for year in (0, 1):
                _attendance(files, cluster, year, settings[year], years[year], today if year else None, hour, rng)
            if progress:
                progress("Making the district", k + 1, clusters)
    finally:
        files.close()
    _manifest(out, last_full_day=this_year.school_days[through - 2] if through > 1 else last_year.last)
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
        org: str = "", language: str = "", no_contact: str = "",
    ) -> None:  # fmt: skip
        users.append((
            identifier, "", "", "true", identifier, "", given, family, "", number, email, "", phone, agents, grade, "", "", "", "", "", org, "",
            language, no_contact,
        ))  # fmt: skip

    def role(identifier: str, name: str, org: str) -> None:
        roles.append((f"rol-{identifier}-{org}", "", "", identifier, "primary", name, "", "", org, ""))

    children: dict[int, list[int]] = {}
    for i, family in enumerate(cluster.family.tolist()):
        children.setdefault(family, []).append(i)
    for family, kids in children.items():
        surname = FAMILY_NAMES[cluster.surname[family]]
        language = LANGUAGES[cluster.language[family]]
        homes = 1 + int(rng.random() < 0.45)
        barred = homes == 2 and rng.random() < 0.02
        guardians = [f"grd-{cluster.number:03d}-{family:05d}-{h}" for h in range(homes)]
        for h, guardian in enumerate(guardians):
            given = GIVEN_NAMES[int(rng.integers(len(GIVEN_NAMES)))]
            phone = f"+1 312 555 {int(rng.integers(10_000)):04d}"
            user(
                guardian, given, surname if h == 0 else FAMILY_NAMES[int(rng.integers(len(FAMILY_NAMES)))], phone=phone,
                language=language, no_contact=";".join(cluster.student_id(k) for k in kids) if barred and h == 1 else "",
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


def _enrolments(files: _Files, cluster: Cluster, settings: tuple[Setting, Setting]) -> None:
    for year, setting in enumerate(settings):
        days = setting.calendar.school_days
        rows: list[tuple[object, ...]] = []
        for i in np.flatnonzero(cluster.school[year] >= 0).tolist():
            first, last = int(cluster.first[year, i]), int(cluster.last[year, i])
            begin = days[first] if first else ""
            end: object = days[last - 1] if last < setting.through else ""
            where = int(cluster.school[year, i])
            stays = _stays(cluster, year, i, setting)
            for part, (school, starts, ends) in enumerate(stays or [(where, begin, end)]):
                for k in dict.fromkeys(cluster.section[year, i].tolist()):
                    if k < 0:
                        continue
                    section = (
                        cluster.section_id(year, k) if school == where else _other_homeroom(cluster, year, k, school)
                    )
                    if section:
                        rows.append((
                            f"enr-{section}-{cluster.student_id(i)}-{part}", "", "", section, cluster.schools[school].id,
                            cluster.student_id(i), "student", "true" if school == where else "false", starts, ends,
                        ))  # fmt: skip
        files.write["enrollments"](rows)


def _move_day(cluster: Cluster, i: int, setting: Setting) -> int:
    """The school-day column a student who moves starts at the new school."""
    return max(5, min(setting.through - 5, 20 + (i * 37) % max(setting.through - 25, 1)))


def _stays(cluster: Cluster, year: int, i: int, setting: Setting) -> list[tuple[int, object, object]]:
    """Where a student who moved was enrolled, from and through."""
    to = int(cluster.moved_to[i])
    if year == 0 or to < 0 or setting.through < 20:
        return []
    days, at = setting.calendar.school_days, _move_day(cluster, i, setting)
    return [(int(cluster.school[1, i]), "", days[at - 1]), (to, days[at], "")]


def _other_homeroom(cluster: Cluster, year: int, section: int, school: int) -> str | None:
    grade = cluster.sections[year][section][1]
    for k, (where, g, _met, _teacher, _title) in enumerate(cluster.sections[year]):
        if where == school and g == grade:
            return cluster.section_id(year, k)
    return None


def _attendance(
    files: _Files, cluster: Cluster, year: int, setting: Setting, behaviour: Behaviour, today: date | None, hour: time,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    days = setting.calendar.school_days[: setting.through]
    all_days = setting.calendar.school_days
    stamps = [_Stamps(day) for day in all_days]
    last_column = len(days) - 1
    morning = datetime.combine(today, hour, ZONE) if today else None
    rows: list[tuple[object, ...]] = []
    add = rows.append
    students = [cluster.student_id(i) for i in range(cluster.n)]
    interesting = (behaviour.squares != 0).any(axis=2)
    column_of_move = [
        _move_day(cluster, i, setting) if year and cluster.moved_to[i] >= 0 and setting.through >= 20 else -1
        for i in range(cluster.n)
    ]
    minute = rng.integers(0, 35, behaviour.whole.shape)
    slip = rng.random(behaviour.whole.shape)
    for i, d in zip(*(a.tolist() for a in np.nonzero(interesting)), strict=True):
        where = int(cluster.school[year, i])
        if column_of_move[i] >= 0 and d >= column_of_move[i]:
            where = int(cluster.moved_to[i])
        school = cluster.schools[where]
        student, stamp, day = students[i], stamps[d], days[d]
        is_today = morning is not None and d == last_column
        m = int(minute[i, d])
        if behaviour.whole[i, d]:
            if is_today:
                early = slip[i, d] < 0.35
                if m <= hour.minute - 12:
                    add((
                        student, school.id, day, 1, "E" if early and behaviour.excused[i, d] else "N", "",
                        "illness" if early and behaviour.excused[i, d] and m % 3 == 0 else "", stamp.at(8, 10 + m), "office",
                    ))  # fmt: skip
                continue
            code = "S" if behaviour.suspended[i, d] else "E" if behaviour.excused[i, d] else "U"
            reason = REASONS[behaviour.reason[i, d]] if code == "E" else ""
            lag = int(behaviour.lag[i, d])
            if code == "S" or (lag < 0 and code == "E"):
                add((student, school.id, day, "", code, "", reason, stamp.at(8, 10 + m), "office"))
                continue
            add(
                (
                    student,
                    school.id,
                    day,
                    "",
                    "U" if behaviour.first_u[i, d] else "N",
                    "",
                    "",
                    stamp.at(8, 25 + m),
                    "office",
                )
            )
            settled = d + (lag if code == "E" else 5)
            if (
                (code == "U" and behaviour.first_u[i, d])
                or settled > last_column
                or (is_today and settled >= last_column)
            ):
                continue
            if settled == last_column and morning is not None:
                continue  # explained later today; nobody knows yet
            later = stamps[settled]
            add((student, school.id, day, "", code, "", reason, later.at(13 if settled == d else 10, m), "office"))
            continue
        if is_today:
            if behaviour.squares[i, d, 0] == LATE and m < 20:
                add(
                    (
                        student,
                        school.id,
                        day,
                        1,
                        "T",
                        int(behaviour.minutes[i, d]),
                        "",
                        stamp.at(8, 20 + m % 18),
                        "office",
                    )
                )
            continue
        for session in range(school.sessions):
            square = behaviour.squares[i, d, session]
            if square == LATE:
                if slip[i, d] < 0.3:  # marked away when the roll was taken, late when they came
                    add((student, school.id, day, session + 1, "N", "", "", stamp.at(8, 12), "teacher"))
                add(
                    (
                        student,
                        school.id,
                        day,
                        session + 1,
                        "T",
                        int(behaviour.minutes[i, d]),
                        "",
                        stamp.at(8, 40 + m // 2),
                        "office",
                    )
                )
            elif square == LEFT_EARLY:
                add(
                    (
                        student,
                        school.id,
                        day,
                        session + 1,
                        "L",
                        int(behaviour.minutes[i, d]),
                        "",
                        stamp.at(14, m),
                        "office",
                    )
                )
            elif square == ABSENT:
                hours = 8 + session
                excused = slip[i, d] < 0.14
                add(
                    (
                        student,
                        school.id,
                        day,
                        session + 1,
                        "E" if excused else "U",
                        "",
                        "",
                        stamp.at(hours, 20 + m),
                        "teacher",
                    )
                )
                if slip[i, d] > 0.985:  # the roll was wrong: they were there
                    add((student, school.id, day, session + 1, "P", "", "", stamp.at(15, m), "teacher"))
    files.write["attendance"](rows)
    files.marks += len(rows)
    _rolls(files, cluster, year, setting, today, hour, rng)


class _Stamps:
    """Moments of one day as text with the zone's offset."""

    def __init__(self, day: date) -> None:
        offset = datetime.combine(day, time(12), ZONE).strftime("%z")
        self._day, self._zone = day.isoformat(), f"{offset[:3]}:{offset[3:]}"

    def at(self, hours: int, minutes: int) -> str:
        hours, minutes = hours + minutes // 60, minutes % 60
        return f"{self._day}T{hours:02d}:{minutes:02d}:00{self._zone}"


def _rolls(
    files: _Files, cluster: Cluster, year: int, setting: Setting, today: date | None, hour: time, rng: np.random.Generator
) -> None:  # fmt: skip
    """Rolls that were not taken on days gone by, and those taken so far this morning."""
    days = setting.calendar.school_days[: setting.through]
    before = len(days) - (today is not None)
    forgets = rng.gamma(0.35, 0.012, cluster.teachers)
    rows: list[tuple[object, ...]] = []
    for k, (where, _grade, met, teacher, _title) in enumerate(cluster.sections[year]):
        school = cluster.schools[where]
        section = cluster.section_id(year, k)
        for session in met or range(school.sessions):
            missed = np.flatnonzero(rng.random(before) < forgets[teacher])
            for d in missed.tolist():
                rows.append((school.id, section, days[d], session + 1, "false", "", ""))
            if today is None:
                continue
            start = time.fromisoformat(STARTS[school.sessions][session])
            minutes_in = (hour.hour - start.hour) * 60 + hour.minute - start.minute
            taken_after = 4 + rng.gamma(2.0, 3.0) + (40 if rng.random() < min(0.05 + 3 * forgets[teacher], 0.6) else 0)
            if taken_after <= minutes_in:
                at = datetime.combine(today, start, ZONE) + timedelta(minutes=float(taken_after))
                rows.append((
                    school.id, section, today, session + 1, "true", at.replace(microsecond=0).isoformat(),
                    cluster.teacher_id(teacher),
                ))  # fmt: skip
    files.write["rolls"](rows)
