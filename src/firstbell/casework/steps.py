"""What the law asks for now, of a reader's students: the list an officer works through, who is waited for first at the top.

A step that is locked or not allowed asks for nothing: what asks is the help that has to come before it, and that stands here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import F, Min, Q

from firstbell.access.models import User
from firstbell.casework.adopted import adopted, pack_of, packs_of
from firstbell.casework.models import Firing
from firstbell.law.clock import Status
from firstbell.law.packs import Pack, Rule
from firstbell.register.models import Student

__all__ = ["Asked", "Step", "asking_rules", "steps_for"]


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


def asking_rules(packs: Iterable[Pack], *, allowed: bool = False) -> dict[str, Rule]:
    """The rules that ask for a step, by id, as the latest version has them. allowed: also those whose step the law merely allows, sanctions among them."""
    rules = {rule.id: rule for pack in packs for rule in pack.rule if rule.duty is not None}
    optional = {r.id for p in packs for r in p.rule if r.duty and (r.duty.may or r.duty.severity == "punitive")}
    return {name: rule for name, rule in rules.items() if allowed or name not in optional}


def steps_for(
    user: User, today: date, *, allowed: bool = False, school: int | None = None, rule: str = "", first: int = 0, most: int = 25
) -> tuple[list[Asked], int]:  # fmt: skip
    """Students for whom something is open, and how many there are. Who is due first comes first, then who was reached first.

    allowed: also what the law merely allows, sanctions among it. school, rule: only steps reached there, or of this rule.
    """
    adoption = adopted(today)
    if adoption is None:
        return [], 0
    packs = packs_of(adoption)
    ids = set(asking_rules(packs, allowed=allowed))
    wanted = {
        "pack": adoption.pack, "superseded_at": None, "status": Status.DUTY_OPEN, "rule__in": ids & {rule} if rule else ids,
        **({"school": school} if school else {}),
    }  # fmt: skip
    asking = Q(**{f"firings__{name}": value for name, value in wanted.items()})
    people = (
        Student.objects.for_user(user).filter(asking)
        .annotate(due=Min("firings__due", filter=asking), reached=Min("firings__fired_on", filter=asking))
        .order_by(F("due").asc(nulls_last=True), "reached", "family_name", "given_name", "pk")
    )  # fmt: skip
    page = list(people[first : first + most])
    found = {student.pk: Asked(student, []) for student in page}
    some = Firing.objects.for_user(user).filter(student__in=page, **wanted)
    for firing in some.select_related("school").order_by(F("due").asc(nulls_last=True), "fired_on", "pk"):
        overdue = firing.due is not None and firing.due < today
        pack = pack_of(firing, packs)
        found[firing.student_id].steps.append(Step(firing, pack and pack.rule_named(firing.rule), overdue))
    return list(found.values()), people.count()
