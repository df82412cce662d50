"""Live: a mark changes, and its student is judged again at once, against the school as it stands."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date

from django.db import transaction

from firstbell import clock
from firstbell.access.models import User
from firstbell.jobs.queue import enqueue
from firstbell.register import actions
from firstbell.register.actions import NewMark
from firstbell.register.models import Calendar, Section, SectionEnrolment
from firstbell.watch import passes
from firstbell.watch.lines import law_on

#: students a job looks at: their numbers are its argument
AT_ONCE = 10


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
        students = sorted(set(members.values_list("student_id", flat=True)))
        vouched = section.calendar.covered_through
        if vouched is not None and vouched >= day:
            marks_changed(section.calendar, students)
        else:  # the law reads whole days: it is asked when this one is
            passes.evaluate(section.calendar, student_ids=students)
    return new


@transaction.atomic
def marks_changed(calendar: Calendar, student_ids: Sequence[int]) -> passes.Outcome:
    """Judge these students again, tell the school's open pages, and have the law asked about them at once (casework.live)."""
    if law_on(clock.today(calendar.school.zone)) is not None:
        for some in (student_ids[k : k + AT_ONCE] for k in range(0, len(student_ids), AT_ONCE)):
            enqueue("law_of_students", " ".join(map(str, some)), key=f"law:{secrets.token_hex(12)}")
    return passes.evaluate(calendar, student_ids=student_ids)
