"""A teacher says that something is off with a student: no form, one of four words, taken back as easily."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.register.models import Section, Student
from firstbell.signals.told import told
from firstbell.watch.ground import Finding
from firstbell.watch.models import Concern, Kind
from firstbell.watch.standing import Look

__all__ = ["STANDS_FOR", "NotSaid", "concern_findings", "said_of", "say", "take_back"]

WHY = "a teacher's word about their own student"
#: how long a word waits for somebody to answer it
STANDS_FOR = timedelta(days=7)


class NotSaid(ValueError):
    """The word can't be taken; the sentence says why. Nothing was changed."""


@transaction.atomic
def say(section: Section, student: Student, word: str, by: User) -> Concern:
    """Put it before the school's officers, at once. The same word again on the same day is the same concern."""
    from firstbell.watch.passes import evaluate

    if word not in Concern.Word.values:
        raise NotSaid(_("Choose one of the four words. Nothing was sent."))
    now = clock.now()
    day = now.astimezone(section.calendar.school.zone).date()
    concern, new = Concern.objects.system(WHY).get_or_create(
        student=student, said_by=by, word=word, said_on=day, taken_back_at=None,
        defaults={"section": section, "school": section.calendar.school, "said_at": now},
    )  # fmt: skip
    if new:
        audit.record(by, "said_something_is_off", f"student:{student.pk}")
        evaluate(section.calendar, student_ids=[student.pk])
    return concern


@transaction.atomic
def take_back(concern: Concern, by: User) -> None:
    from firstbell.watch.passes import evaluate

    mine = Concern.objects.system(WHY).filter(pk=concern.pk, said_by=by, taken_back_at=None)
    if mine.update(taken_back_at=clock.now()):
        audit.record(by, "took_a_word_back", f"student:{concern.student_id}")
        evaluate(concern.section.calendar, student_ids=[concern.student_id])


def said_of(student: Student, day: date) -> list[Concern]:
    """What stands of a student on a day, latest first."""
    standing = Concern.objects.system(WHY).filter(student=student, taken_back_at=None)
    recent = standing.filter(said_on__lte=day, said_on__gt=day - STANDS_FOR)
    return list(recent.select_related("said_by", "section").order_by("-said_at"))


def concern_findings(look: Look) -> Iterator[Finding]:
    """Ground for an alert: the words that stand at the schools looked at."""
    by: dict[tuple[int, int], list[date]] = defaultdict(list)
    said = Concern.objects.system(WHY).filter(
        school__in=look.school_ids, said_on__gt=look.today - STANDS_FOR, said_at__lte=look.known
    )
    rows = said.order_by("said_on").values_list("school_id", "student_id", "said_on", "taken_back_at")
    for school, student, day, taken_back in rows:
        if taken_back is None or taken_back > look.known:
            by[school, student].append(day)
    for whose, (number, row) in look.rows_of(set(by)).items():
        days = by[whose]
        dates = [(day, "") for day in sorted(set(days))]
        yield Finding(Kind.CONCERN, row, len(days), len(days), len(days), told(dates), school=number)
