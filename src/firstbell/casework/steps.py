"""What the law asks for now, of a reader's students: the list an officer works through, who is waited for first at the top.

A step that is locked or not allowed asks for nothing: what asks is the help that has to come before it, and that stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import F, Min, Q

from firstbell.access.models import User
from firstbell.casework.adopted import adopted, with_overlay
from firstbell.casework.models import Firing
from firstbell.law.clock import Status
from firstbell.law.packs import Rule
from firstbell.register.models import Student

__all__ = ["Asked", "Step", "steps_for"]


@dataclass(frozen=True, slots=True)
class Step:
    """`rule` is None where the pack no longer has it."""

    firing: Firing
    rule: Rule | None
    overdue: bool

    @property
    def title(self) -> str:
        return self.rule.title if self.rule else self.firing.rule

    @property
    def asks(self) -> str:
        return self.rule.duty.title if self.rule and self.rule.duty else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One student, and what is asked for them."""

    student: Student
    steps: list[Step]


def steps_for(
    user: User, today: date, *, allowed: bool = False, first: int = 0, most: int = 25
) -> tuple[list[Asked], int]:
    """Students for whom something is open, and how many there are. Who is due first comes first, then who was reached first.

    allowed: also what the law merely allows, sanctions among it
    """
    adoption = adopted(today)
    if adoption is None:
        return [], 0
    packs = with_overlay(adoption.pack, adoption.overlay)
    rules = {(p.version, r.id): r for p in packs for r in p.rule}
    optional = [
        r.id for p in packs for r in p.rule if r.duty is not None and (r.duty.may or r.duty.severity == "punitive")
    ]
    asking = Q(firings__pack=adoption.pack, firings__superseded_at=None, firings__status=Status.DUTY_OPEN)
    if not allowed:
        asking &= ~Q(firings__rule__in=optional)
    people = (
        Student.objects.for_user(user).filter(asking)
        .annotate(due=Min("firings__due", filter=asking), reached=Min("firings__fired_on", filter=asking))
        .order_by(F("due").asc(nulls_last=True), "reached", "family_name", "given_name", "pk")
    )  # fmt: skip
    page = list(people[first : first + most])
    found = {student.pk: Asked(student, []) for student in page}
    some = Firing.objects.for_user(user).filter(
        student__in=page, pack=adoption.pack, superseded_at=None, status=Status.DUTY_OPEN
    )
    if not allowed:
        some = some.exclude(rule__in=optional)
    for firing in some.select_related("school").order_by(F("due").asc(nulls_last=True), "fired_on", "pk"):
        overdue = firing.due is not None and firing.due < today
        found[firing.student_id].steps.append(Step(firing, rules.get((firing.version, firing.rule)), overdue))
    return list(found.values()), people.count()
