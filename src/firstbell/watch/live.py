"""Live: a mark changes, and its student is judged again at once, against the school as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.db import transaction

from firstbell import clock
from firstbell.access.models import User
from firstbell.register import actions
from firstbell.register.actions import NewMark
from firstbell.register.models import Calendar, Section, SectionEnrolment
from firstbell.watch import passes


@transaction.atomic
def roll(
    section: Section,
    day: date,
    session: int,
    *,
    exceptions: Sequence[NewMark],
    present: Sequence[NewMark],
    by: User,
    key: str,
) -> bool:
    """A teacher's roll, and its students judged again, in one transaction. False when this submit was already taken."""
    new = actions.take_roll(
        section,
        day,
        session,
        exceptions=exceptions,
        present=present,
        recorded_at=clock.seconds(clock.now()),
        by=by,
        key=key,
    )
    if new:
        members = SectionEnrolment.objects.system("the class whose roll was taken").filter(section=section)
        marks_changed(section.calendar, sorted(set(members.values_list("student_id", flat=True))))
    return new


def marks_changed(calendar: Calendar, student_ids: Sequence[int]) -> passes.Outcome:
    """Judge these students again, and tell the school's open pages."""
    return passes.evaluate(calendar, student_ids=student_ids)
