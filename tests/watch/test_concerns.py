"""A teacher's word that something is off: seen at once, answered like any alert, taken back as easily as said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.access.models import AuditEntry, Role, User
from firstbell.register.models import Calendar, School, Section, Student
from firstbell.watch.concerns import NotSaid, said_of, say, take_back
from firstbell.watch.models import Alert, Concern
from firstbell.watch.passes import run_pass
from firstbell.watch.verdicts import give_verdict
from firstbell.watch.words import sentence
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user

pytestmark = pytest.mark.django_db
FRIDAY = FIRST_MONDAY + timedelta(days=18)


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    on(monkeypatch, 0)
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=8, covered=FRIDAY)


@pytest.fixture
def ana(calendar: Calendar, school: School) -> Student:
    return a_student(school)


@pytest.fixture
def section(calendar: Calendar, ana: Student) -> Section:
    return a_section(calendar, ana)


@pytest.fixture
def tess(school: School, section: Section) -> User:
    return a_teacher(school, section)


def on(monkeypatch: pytest.MonkeyPatch, days_later: int) -> None:
    day = FRIDAY + timedelta(days=days_later)
    monkeypatch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, 15, tzinfo=UTC))


def open_of(student: Student) -> list[Alert]:
    return list(Alert.objects.system("test").filter(student=student, state="open"))


def test_the_officer_has_it_at_once_without_the_word_itself(section: Section, ana: Student, tess: User) -> None:
    say(section, ana, "tired", tess)
    (alert,) = open_of(ana)
    assert sentence(alert) == "A teacher says that something is off with Ana, on 18 September."
    assert [c.get_word_display() for c in said_of(ana, alert.as_of)] == ["tired or hungry"]
    assert AuditEntry.objects.filter(action="said_something_is_off", subject=f"student:{ana.pk}").exists()


def test_said_twice_is_said_once(section: Section, ana: Student, tess: User) -> None:
    say(section, ana, "tired", tess)
    say(section, ana, "tired", tess)
    assert Concern.objects.system("test").count() == 1
    assert open_of(ana)[0].count == 1


def test_taken_back_the_alert_is_withdrawn_and_the_word_stays_on_record(
    section: Section, ana: Student, tess: User
) -> None:
    concern = say(section, ana, "alone", tess)
    take_back(concern, tess)
    assert open_of(ana) == []
    assert Alert.objects.system("test").get(student=ana).state == "withdrawn"
    assert Concern.objects.system("test").get().taken_back_at is not None


def test_nobody_takes_back_anothers_word(section: Section, ana: Student, tess: User, school: School) -> None:
    concern = say(section, ana, "alone", tess)
    take_back(concern, a_user(Role.OFFICER, school))
    assert len(open_of(ana)) == 1


def test_it_survives_the_nightly_pass_and_ends_after_a_week(
    section: Section, ana: Student, tess: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(section, ana, "ask_me", tess)
    for later, stands in ((3, True), (6, True), (7, False)):
        on(monkeypatch, later)
        run_pass()
        assert bool([a for a in open_of(ana) if a.kind == "concern"]) is stands, later


def test_answered_it_rests_until_a_teacher_says_so_again(
    section: Section, ana: Student, tess: User, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(section, ana, "tired", tess)
    (alert,) = open_of(ana)
    give_verdict(a_user(Role.OFFICER, school), alert, "act", "Talked to her.", version=alert.version)
    run_pass()
    assert open_of(ana) == []
    on(monkeypatch, 3)
    say(section, ana, "alone", tess)
    assert [a.count for a in open_of(ana)] == [2]


def test_a_word_that_is_none_is_not_taken(section: Section, ana: Student, tess: User) -> None:
    with pytest.raises(NotSaid):
        say(section, ana, "lazy", tess)
    assert open_of(ana) == []
