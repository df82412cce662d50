"""A small school on a Wednesday morning, with a class, a teacher, an officer and somebody to worry about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from firstbell import clock
from firstbell.access.models import Role, User
from firstbell.casework.models import Adoption, ReplayRun
from firstbell.casework.replaying import replay, tried_pack
from firstbell.register.models import Calendar, RollState, School, Section, Student
from firstbell.watch.passes import run_pass
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw

TODAY = FIRST_MONDAY + timedelta(days=23)  # a Wednesday
MORNING = datetime(TODAY.year, TODAY.month, TODAY.day, 14, 5, tzinfo=UTC)  # 9:05 in Chicago


@dataclass
class Scene:
    school: School
    calendar: Calendar
    section: Section
    ana: Student
    ben: Student
    officer: User
    lead: User
    teacher: User
    district: User
    steward: User


OWN_RULES = """on = "example"
title = "Eight days"
effective_from = 2026-08-01
[[change]]
id = "ten-unexcused-days"
threshold = { count = 8 }
[[change]]
id = "chronic-absence"
threshold = { share = "1/8", minimum = 10 }
loosens = "The board asked for fewer letters."
"""


def the_law(scene: Scene) -> None:
    """Own rules in force, and what they come to over the year so far."""
    Adoption.objects.create(
        pack="example", overlay=OWN_RULES, starts=FIRST_MONDAY, proposed_by=scene.district, proposed_at=clock.now(), approved_by=scene.steward,
        approved_at=clock.now(),
    )  # fmt: skip
    made = replay(tried_pack("example"), scene.calendar.school_year.ends_in)
    ReplayRun.objects.create(
        asked_by=scene.district, asked_at=clock.now(), key="scene", pack="example", version="2020-07-01", year=made["asked"]["year"],
        state=ReplayRun.State.DONE, result=json.dumps(made),
    )  # fmt: skip


def set_the_scene(monkeypatch: object) -> Scene:
    monkeypatch.setattr(clock, "now", lambda: MORNING)  # type: ignore[attr-defined]
    school = a_school()
    calendar = a_calendar(school, weeks=8, covered=TODAY - timedelta(days=1))
    ana, ben = a_student(school, "Ana"), a_student(school, "Ben", family="Okoro")
    others = [a_student(school, name) for name in ("Caro", "Dia", "Eli")]
    draw(calendar, ana, "PPPPP PPPPP PPPPU UU")
    section = a_section(calendar, ana, ben, *others)
    RollState.objects.create(
        calendar=calendar,
        section=section,
        date=TODAY - timedelta(days=1),
        session=0,
        taken=True,
        recorded_at=1,
        key="yesterday",
    )
    scene = Scene(
        school, calendar, section, ana, ben, a_user(Role.OFFICER, school, email="officer@example.org"),
        a_user(Role.SCHOOL_LEAD, school, email="lead@example.org"), a_teacher(school, section),
        a_user(Role.DISTRICT_LEAD, email="district@example.org"), a_user(Role.DATA_STEWARD, email="data@example.org"),
    )  # fmt: skip
    run_pass()
    return scene
