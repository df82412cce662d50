"""How often a page asks the database, in a district of several schools: the bar is twelve, for a reader of every school too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from firstbell import clock
from firstbell.access.models import Assignment, Role, User
from firstbell.intake.models import Import, Source
from firstbell.register.models import Contact, ContactLink, Enrolment, School, Section, Student
from firstbell.register.rows import refold
from firstbell.watch.models import Alert
from firstbell.watch.passes import run_pass
from firstbell.watch.verdicts import give_verdict
from tests.build import FIRST_MONDAY, WHY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw

#: trust.md, Faults: "load, 2 cores: roll call at 8:00 … ≤ 12 queries a page"
BAR = 12
#: words that begin and end a transaction ask nothing
TRANSACTION = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")
TODAY = FIRST_MONDAY + timedelta(days=23)  # a Wednesday
MORNING = datetime(TODAY.year, TODAY.month, TODAY.day, 14, 5, tzinfo=UTC)  # 9:05 in Chicago
A_YEAR_BEFORE = FIRST_MONDAY - timedelta(days=364)


@dataclass
class District:
    sections: list[Section]
    student: Student
    officer: User
    teacher: User
    steward: User


def _a_school_full(name: str, students: int) -> tuple[School, Section, list[Student]]:
    """A school with last year behind it, a class, and students who have missed the last three days."""
    school = a_school(name)
    a_calendar(school, weeks=4, covered=A_YEAR_BEFORE + timedelta(days=25), start=A_YEAR_BEFORE)
    calendar = a_calendar(school, weeks=8, covered=TODAY - timedelta(days=1))
    roll = [a_student(school, f"Ana {n}", starts=A_YEAR_BEFORE) for n in range(students)]
    for student in roll:
        draw(calendar, student, "PPPPP PPPPP PPPPU UU")
    return school, a_section(calendar, *roll), roll


@pytest.fixture
def district(db: None, monkeypatch: pytest.MonkeyPatch) -> District:
    """Four schools; one officer for all of them; one student who moved between two, with contacts and a verdict."""
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    schools, sections, rolls = [], [], []
    for name in ("Alder Primary", "Birch Primary", "Cedar Middle", "Dogwood High"):
        school, section, roll = _a_school_full(name, 5)
        schools.append(school)
        sections.append(section)
        rolls.append(roll)
    student = rolls[0][0]
    moved = Enrolment.objects.system(WHY).create(
        student=student, school=schools[1], starts=FIRST_MONDAY, grade="03", primary=False
    )
    for calendar in moved.school.calendars.all():
        refold(calendar, [student.pk])
    for n in range(3):
        contact = Contact.objects.system(WHY).create(source_id=f"G{n}", given_name=f"Gil {n}", family_name="Reyes")
        ContactLink.objects.system(WHY).create(student=student, contact=contact)
    run_pass()
    officer = a_user(Role.OFFICER, schools[0])
    for school in schools[1:]:
        Assignment.objects.create(user=officer, role=Role.OFFICER, school=school, starts=A_YEAR_BEFORE)
    for some in rolls[0][1:3]:
        alert = Alert.objects.system(WHY).get(student=some, kind="streak")
        give_verdict(officer, alert, "act", "Called.", version=alert.version)
    teacher = a_teacher(schools[0], sections[0])
    source = Source.objects.create(name="sheet", kind=Source.Kind.SPREADSHEET)
    for n in range(12):
        Import.objects.create(
            source=source, name=f"day{n}.csv", digest=str(n), state=Import.State.CANCELLED, received_at=timezone.now(),
            received_by="test",
        )  # fmt: skip
    return District(sections, student, officer, teacher, a_user(Role.DATA_STEWARD))


def _questions(user: User, path: str) -> list[str]:
    """What a page asks when somebody opens it a second time."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(path).status_code == 200
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(path).status_code == 200
    return [q["sql"] for q in asked.captured_queries if not q["sql"].startswith(TRANSACTION)]


def _within_the_bar(user: User, path: str) -> None:
    asked = _questions(user, path)
    assert len(asked) <= BAR, f"{path} asks {len(asked)} times:\n" + "\n".join(asked)


def test_today_asks_no_more_than_twelve_times(district: District) -> None:
    _within_the_bar(district.officer, "/today/")


def test_the_student_page_asks_twelve_times_and_once_more_for_each_further_school_this_year(district: District) -> None:
    """The usual is set against a school's classmates (`watch.course`); on PostgreSQL the audit also takes its turn."""
    somebody_answered = Alert.objects.system(WHY).filter(state=Alert.State.ANSWERED).first()
    assert somebody_answered is not None
    one_school = _questions(district.officer, f"/student/{somebody_answered.student_id}/")
    two_schools = _questions(district.officer, f"/student/{district.student.pk}/")
    lock = connection.vendor == "postgresql"
    assert (len(one_school), len(two_schools)) == (BAR + lock, BAR + lock + 1)


def test_the_page_of_a_verdict_asks_no_more_than_twelve_times(district: District) -> None:
    alert = Alert.objects.system(WHY).filter(student=district.student, state=Alert.State.OPEN).first()
    assert alert is not None
    _within_the_bar(district.officer, f"/alert/{alert.pk}/")


def test_a_teachers_lessons_ask_no_more_than_twelve_times(district: District) -> None:
    _within_the_bar(district.teacher, "/roll/")


def test_a_roll_asks_no_more_than_twelve_times(district: District) -> None:
    _within_the_bar(district.teacher, f"/roll/{district.sections[0].pk}/{TODAY}/0/")


def test_intake_asks_no_more_than_twelve_times(district: District) -> None:
    _within_the_bar(district.steward, "/intake/")
