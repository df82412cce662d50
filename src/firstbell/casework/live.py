"""A mark has changed: what it reaches or undoes under the law is on record within the minute, not after the night.

The answer to who entered the mark does not wait for it: watch asks for one of these jobs as it judges the students again (watch.live).
"""

from __future__ import annotations

from datetime import timedelta

from firstbell.casework.firings import Looked, look_at, look_over
from firstbell.casework.letters.deeds import apologise_for_all
from firstbell.casework.standing import today_of
from firstbell.jobs.queue import job_kind
from firstbell.register.models import Calendar, Student
from firstbell.watch.passes import bump

WHY = "their marks have changed"


@job_kind("law_of_students")
def law_of_students(argument: str) -> None:
    """`argument`: their numbers, parted by blanks."""
    for student in Student.objects.system(WHY).filter(pk__in=argument.split()).prefetch_related("enrolments__school"):
        _told(look_at(student, today_of(student)), {stay.school_id for stay in student.enrolments.all()})


@job_kind("law_of_school", lease=timedelta(minutes=10))
def law_of_school(argument: str) -> None:
    """After an import: everybody of a calendar (its number)."""
    calendar = Calendar.objects.select_related("school", "school_year").get(pk=int(argument))
    _told(look_over([calendar]), {calendar.school_id})


def _told(found: Looked, schools: set[int]) -> None:
    if found.superseded:
        apologise_for_all()
    if found.reached or found.superseded:
        for school in schools:
            bump(school)
