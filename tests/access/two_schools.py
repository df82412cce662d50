"""Two schools that know nothing of each other, with everybody in the first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from firstbell import clock
from firstbell.access.models import Role, User
from firstbell.casework.done import protect, record_done
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Adoption, Done, Firing, Protection, ReplayRun
from firstbell.intake.models import Import, Source
from firstbell.register.models import School, Section, Student
from firstbell.watch.models import Alert, Verdict
from firstbell.watch.passes import run_pass
from firstbell.watch.verdicts import give_verdict
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw

TODAY = FIRST_MONDAY + timedelta(days=23)
MORNING = datetime(TODAY.year, TODAY.month, TODAY.day, 14, 5, tzinfo=UTC)


@dataclass
class Side:
    """One school's things."""

    school: School
    student: Student
    section: Section
    alert: Alert
    verdict: Verdict
    done: Done
    protection: Protection
    letter: Letter


@dataclass
class TwoSchools:
    own: Side
    theirs: Side
    people: dict[Role, User]
    no_role: User
    delivery: Import
    source: Source
    adoption: Adoption
    replay: ReplayRun
    extra: dict[str, object] = field(default_factory=dict)

    def value(self, name: str, whose: str) -> object:
        if name == "day":
            return TODAY.isoformat()
        if name == "session":
            return 0
        if name == "pack":
            return "example"
        if name in ("delivery", "source", "adoption", "replay"):
            return getattr(self, name).pk
        return getattr(getattr(self, whose), name).pk


def _side(name: str) -> tuple[School, Student, Student, Section]:
    school = a_school(name)
    calendar = a_calendar(school, weeks=8, covered=TODAY - timedelta(days=1))
    student, second = a_student(school, "Ana"), a_student(school, "Ben")
    section = a_section(calendar, student, second)
    for one in (student, second):
        draw(calendar, one, "PPPPP PPPPP PPPPU UU")
    return school, student, second, section


def a_signed_letter(student: Student, school: School, by: User) -> Letter:
    """As signing leaves it, without the law behind it."""
    firing = Firing.objects.system("test").create(
        student=student, school=school, pack="example", version="2020-07-01", rule="ten-unexcused-days", pack_sha256="0" * 64,
        fired_on=TODAY, count="1", threshold="10", marks=TODAY.isoformat(), found_at=MORNING,
    )  # fmt: skip
    letter: Letter = Letter.objects.system("test").create(
        student=student, firing=firing, kind="notify", language="en", marks=TODAY.isoformat(), count="1", body="Dear family",
        state="signed", drafted_by=by, drafted_at=MORNING, text=f"{school.name}\n{TODAY}\n\nDear family of {student.name}",
        annex="The rule", evidence=f"day {TODAY}", sha256="0" * 64, signed_by=by, signed_as="officer", signed_at=MORNING,
    )  # fmt: skip
    return letter


def two_schools(monkeypatch: pytest.MonkeyPatch) -> TwoSchools:
    monkeypatch.setattr(clock, "now", lambda: MORNING)
    parts = [_side("Alder Primary"), _side("Birch Primary")]
    run_pass()
    people: dict[Role, User] = {}
    sides: list[Side] = []
    for school, student, second, section in parts:
        officer = a_user(Role.OFFICER, school)
        people.setdefault(Role.OFFICER, officer)
        to_answer = Alert.objects.system("test").get(student=second, kind="streak")
        verdict = give_verdict(people[Role.OFFICER], to_answer, "act", "Called.", version=to_answer.version)
        alert = Alert.objects.system("test").get(student=student, kind="streak")
        done = record_done(people[Role.OFFICER], student, "conference", TODAY, TODAY, key="scene")
        protection = protect(people[Role.OFFICER], student, "iep", TODAY)
        letter = a_signed_letter(student, school, people[Role.OFFICER])
        sides.append(Side(school, student, section, alert, verdict, done, protection, letter))
    school = sides[0].school
    people[Role.SCHOOL_LEAD] = a_user(Role.SCHOOL_LEAD, school)
    people[Role.TEACHER] = a_teacher(school, sides[0].section)
    people[Role.DISTRICT_LEAD] = a_user(Role.DISTRICT_LEAD)
    people[Role.DATA_STEWARD] = a_user(Role.DATA_STEWARD)
    source = Source.objects.create(name="sheet", kind=Source.Kind.SPREADSHEET)
    delivery = Import.objects.create(
        source=source,
        name="day.csv",
        digest="0",
        state=Import.State.CANCELLED,
        received_at=timezone.now(),
        received_by="test",
    )
    adoption = Adoption.objects.create(
        pack="example", starts=date(2026, 8, 1), proposed_by=a_user(Role.DISTRICT_LEAD), proposed_at=clock.now()
    )
    replay = ReplayRun.objects.create(
        asked_by=people[Role.DISTRICT_LEAD],
        asked_at=clock.now(),
        key="scene",
        pack="example",
        version="2020-07-01",
        year=2027,
    )
    return TwoSchools(sides[0], sides[1], people, a_user(None), delivery, source, adoption, replay)
