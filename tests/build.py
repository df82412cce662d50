"""Builders: the smallest true thing of each kind. `a_student(school)`, `a_calendar(school, "MTWTF MTWTF")`, …"""

from __future__ import annotations

import itertools
import os
from datetime import UTC, date, datetime, timedelta

from firstbell.access.models import Assignment, Role, User
from firstbell.register.actions import NewMark, meaning_of, record_marks
from firstbell.register.marks import Disciplinary, LegalStatus, Location, Mark, PartSession, Presence
from firstbell.register.models import (
    Calendar,
    CalendarDay,
    DayType,
    District,
    Enrolment,
    School,
    SchoolYear,
    Section,
    SectionEnrolment,
    Staff,
    Student,
)
from firstbell.register.rows import refold

FIRST_MONDAY = date(2026, 8, 31)
PASSWORD = "correct horse battery"
_numbers = itertools.count(1)
WHY = "a test sets the scene"


def examples(most: int) -> int:
    """So many on SQLite, a third on PostgreSQL: the same ground is walked there a second time."""
    return max(2, most // 3) if os.environ.get("DATABASE_URL") else most


MARKS = {
    "P": Mark(Presence.PRESENT),
    "T": Mark(Presence.PRESENT, part=PartSession.LATE),
    "L": Mark(Presence.PRESENT, part=PartSession.LEFT_EARLY),
    "H": Mark(Presence.PRESENT, part=PartSession.PART),
    "F": Mark(Presence.PRESENT, location=Location.OFFSITE_APPROVED),
    "E": Mark(Presence.ABSENT, LegalStatus.AUTHORISED),
    "U": Mark(Presence.ABSENT, LegalStatus.UNAUTHORISED),
    "N": Mark(Presence.ABSENT, LegalStatus.PENDING),
    "X": Mark(Presence.ABSENT, LegalStatus.EXEMPT),
    "S": Mark(Presence.ABSENT, LegalStatus.AUTHORISED, disciplinary=Disciplinary.OUT_OF_SCHOOL_SUSPENSION),
}


def a_district(name: str = "Larch Valley") -> District:
    return District.objects.get_or_create(
        source_id="district", defaults={"name": name, "time_zone": "America/Chicago"}
    )[0]


def a_school(name: str = "Alder Primary") -> School:
    return School.objects.get_or_create(
        source_id=name.lower().replace(" ", "-"),
        defaults={"name": name, "district": a_district(), "time_zone": "America/Chicago"},
    )[0]


def a_calendar(
    school: School, weeks: int = 4, *, sessions: int = 1, covered: date | None = None, start: date = FIRST_MONDAY
) -> Calendar:
    """`weeks` weeks of five school days from a Monday. `covered`: only exceptions are sent, through that day."""
    end = start + timedelta(days=7 * weeks - 3)
    year, _ = SchoolYear.objects.get_or_create(
        ends_in=start.year + (start.month > 6), defaults={"starts": start, "ends": end}
    )
    calendar = Calendar.objects.create(school=school, school_year=year, sessions=sessions, covered_through=covered)
    CalendarDay.objects.bulk_create(
        CalendarDay(calendar=calendar, date=start + timedelta(days=7 * w + d), day_type=DayType.INSTRUCTIONAL)
        for w in range(weeks)
        for d in range(5)
    )
    return calendar


def a_student(
    school: School | None = None, name: str = "Ana", *, starts: date = FIRST_MONDAY, **more: object
) -> Student:
    number = next(_numbers)
    student = Student.objects.system(WHY).create(
        source_id=f"S{number:05d}", number=f"{number:06d}", given_name=name, family_name=more.pop("family", "Reyes")
    )
    if school is not None:
        Enrolment.objects.system(WHY).create(
            student=student, school=school, starts=starts, ends=more.pop("ends", None), grade=more.pop("grade", "03")
        )
        for calendar in school.calendars.all():
            refold(calendar, [student.pk])
    return student


def a_teacher(school: School, section: Section | None = None, email: str = "teacher@example.org") -> User:
    staff = Staff.objects.create(source_id=f"T{next(_numbers)}", given_name="Tess", family_name="Ward", email=email)
    if section is not None:
        section.teachers.add(staff)
    return a_user(Role.TEACHER, school, email=email, staff=staff)


def a_section(calendar: Calendar, *students: Student, sessions: str = "", title: str = "3B") -> Section:
    section = Section.objects.create(
        source_id=f"C{next(_numbers)}", calendar=calendar, title=title, sessions=sessions, kind="homeroom"
    )
    for student in students:
        SectionEnrolment.objects.system(WHY).create(section=section, student=student, starts=FIRST_MONDAY)
    return section


def a_user(
    role: Role | None = Role.OFFICER, school: School | None = None, *, email: str | None = None,
    staff: Staff | None = None, starts: date = date(2020, 1, 1), office: str = "",
) -> User:  # fmt: skip
    email = email or f"user{next(_numbers)}@example.org"
    user = User.objects.create_user(email, PASSWORD, first_name="Olive", last_name="Fairley")
    if role is not None:
        Assignment.objects.create(user=user, role=role, school=school, staff=staff, starts=starts, office=office)
    return user


def at(day: date, hour: int = 9, minute: int = 0) -> int:
    """Seconds since 1970 of a moment in UTC."""
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC).timestamp())


def mark(calendar: Calendar, student: Student, day: date, letter: str, *, session: int = 0, recorded: int | None = None,
         minutes: int | None = None) -> None:  # fmt: skip
    meaning = meaning_of(MARKS[letter], "test", letter)
    word = NewMark(student.pk, day, session, meaning.pk, at(day, 15) if recorded is None else recorded, minutes=minutes)
    record_marks(calendar, [word], by="test")


def draw(calendar: Calendar, student: Student, squares: str) -> None:
    """Marks from a drawing, one letter a day from the calendar's first: "PPUUP PPTPE"."""
    days = list(calendar.days.order_by("date").values_list("date", flat=True))
    words = [
        NewMark(student.pk, day, session, meaning_of(MARKS[letter], "test", letter).pk, at(day, 15))
        for day, letter in zip(days, squares.replace(" ", ""), strict=False)
        if letter in MARKS
        for session in range(calendar.sessions)
    ]
    record_marks(calendar, words, by="test")
