"""What the law asks for now, of a reader's students: the list an officer works through, what is due first at the top."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import F

from firstbell.access.models import User
from firstbell.casework.adopted import adopted, with_overlay
from firstbell.casework.models import Firing
from firstbell.casework.words import STATUS
from firstbell.law.clock import Status
from firstbell.law.packs import Rule

__all__ = ["Step", "steps_for"]

ASKING = (Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Step:
    """One student's open step. `rule` is None where the pack no longer has it."""

    firing: Firing
    rule: Rule | None
    status: str
    overdue: bool

    @property
    def title(self) -> str:
        return self.rule.title if self.rule else self.firing.rule

    @property
    def asks(self) -> str:
        return self.rule.duty.title if self.rule and self.rule.duty else ""


def steps_for(
    user: User, today: date, *, required: bool = True, first: int = 0, most: int = 50
) -> tuple[list[Step], int]:
    """Open steps, and how many there are: what is due first, then what was reached first. required: only what the law asks for,
    not what it merely allows."""
    adoption = adopted(today)
    if adoption is None:
        return [], 0
    packs = with_overlay(adoption.pack, adoption.overlay)
    rules = {(p.version, r.id): r for p in packs for r in p.rule}
    asking = Firing.objects.for_user(user).filter(pack=adoption.pack, superseded_at=None, status__in=ASKING)
    if required:
        asking = asking.exclude(rule__in=[r.id for r in packs[-1].rule if r.duty is not None and r.duty.may])
    ordered = asking.select_related("student", "school").order_by(
        F("due").asc(nulls_last=True), "fired_on", "student__family_name", "student__given_name", "pk"
    )
    found = [
        Step(
            f, rules.get((f.version, f.rule)), str(STATUS[Status(f.status)]),
            f.due is not None and f.due < today,
        )
        for f in ordered[first : first + most]
    ]  # fmt: skip
    return found, asking.count()
