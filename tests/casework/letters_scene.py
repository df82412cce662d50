"""A school under the example law, and a student of it who has reached the line, with help on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from firstbell import clock
from firstbell.access.models import Role, User
from firstbell.casework.done import record_done
from firstbell.casework.letters import deeds
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Adoption
from firstbell.register.models import Calendar, Contact, ContactLink, School, Student
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

TODAY = FIRST_MONDAY + timedelta(days=7 * 2 + 1)  # the second school day after the tenth absence
WHY = "a test looks"
RULE = "ten-unexcused-days"

#: a district's own rule: a meeting after five days, signed by two, with contents of its own
OVERLAY = """
on = "example"
title = "Larch Valley's own"
effective_from = 2020-07-01

[[source]]
id = "own"
citation = "Board policy 5113"

[[rule]]
id = "five-days"
title = "5 unexcused days"
source = "own"
count = "unexcused"
threshold = { count = 5 }
window = { kind = "school_year" }
once = "year"

[rule.duty]
kind = "conference"
title = "Invite the family"
contents = ["dates", "date_time_and_place"]
forbidden_if = ["homeless"]
sign_off = { second_role = "principal" }
deadline = { value = 30, unit = "calendar_days", not_before = 2 }
"""


#: a rule that speaks of each parent: a warning to one asks for a talk with that one
WARNED = """
[[rule]]
id = "warned"
title = "A warning was given to a parent"
source = "example"
evidence = "warning"
threshold = { count = 1 }
window = { kind = "school_year" }
per = "parent"
[rule.duty]
kind = "conference"
title = "Talk with that parent"
"""


@dataclass
class Scene:
    school: School
    calendar: Calendar
    ana: Student
    officer: User
    lead: User

    def draft(self, rule: str = RULE) -> Letter:
        return deeds.draft(self.officer, self.again(), rule, TODAY)

    def again(self) -> Student:
        return Student.objects.system(WHY).get(pk=self.ana.pk)


def a_contact(
    student: Student,
    name: str = "Maria",
    *,
    language: str = "en",
    phone: str = "555-0100",
    no_contact: bool = False,
    address: str | None = None,
) -> Contact:
    """`address`: unless it is given, each has one of their own."""
    contact = Contact.objects.system(WHY).create(
        source_id=f"C-{name}-{student.pk}", given_name=name, family_name="Reyes", phone=phone, language=language,
        address=f"12 {name} Lane\nLarch Valley 00100" if address is None else address,
    )  # fmt: skip
    ContactLink.objects.system(WHY).create(student=student, contact=contact, relation="parent", no_contact=no_contact)
    return contact


def set_the_scene(
    monkeypatch: object, *, today: date = TODAY, squares: str = "UUUUU UUUUU P", overlay: str = ""
) -> Scene:
    monkeypatch.setattr(clock, "now", lambda: datetime(today.year, today.month, today.day, 22, tzinfo=UTC))  # type: ignore[attr-defined]
    Adoption.objects.create(
        pack="example", overlay=overlay, starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now()
    )
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=today)
    ana = a_student(school)
    draw(calendar, ana, squares)
    a_contact(ana)
    officer, lead = a_user(Role.OFFICER, school), a_user(Role.SCHOOL_LEAD, school)
    record_done(officer, ana, "support_offered", today, today, note="a bus ticket", key="help")
    return Scene(school, calendar, ana, officer, lead)
