"""Whose signature a rule asks for: its pack names offices. Some are a role of the desk's; any other is held by whom the district has given it to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from firstbell.access import policy
from firstbell.access.models import Assignment, Role, User
from firstbell.access.policy import SCHOOL_ROLES, Held
from firstbell.law.packs import Pack, SignOff
from firstbell.register.gathered import gathered
from firstbell.register.models import Enrolment, Student

__all__ = [
    "Office", "all_holders", "asked_offices", "could_sign", "holders", "holders_for", "missing_after", "office_word", "read_back", "same_office", "signs_as", "signs_elsewhere", "signs_for", "strictest",
]  # fmt: skip

#: the packs' offices that are a role of the desk's: who has the role holds them, with no more said
OFFICES = {
    "attendance officer": Role.OFFICER,
    "school attendance officer": Role.OFFICER,
    "supervisor of attendance": Role.OFFICER,
    "educational welfare officer": Role.OFFICER,
    "leerplichtambtenaar": Role.OFFICER,
    "principal": Role.SCHOOL_LEAD,
    "head": Role.SCHOOL_LEAD,
    "head teacher": Role.SCHOOL_LEAD,
    "hoofd": Role.SCHOOL_LEAD,
    "school lead": Role.SCHOOL_LEAD,
}
#: no office of a person's: an institution, which signs on its own paper
ELSEWHERE = frozenset({"child and family agency", "ministry of education"})


def _plain(office: str) -> str:
    return " ".join(office.lower().split())


def same_office(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def signs_elsewhere(office: str) -> bool:
    """Whether an institution outside signs: at the desk somebody can put on record whose signature its paper bears."""
    return _plain(office) in ELSEWHERE


def signs_for(office: str, held: Held) -> bool:
    """Whether this office is what somebody holds. Who holds one by its name signs for that one, and not for their role's."""
    if held.office:
        return same_office(held.office, office)
    return OFFICES.get(_plain(office)) is held.role


def _signed(office: str) -> str:
    """How a signature for an office is kept: as the desk's role, or in the pack's words."""
    return OFFICES.get(_plain(office), office)


def office_word(signed_as: str) -> str:
    """As what somebody signed, for a page: the desk's role in the reader's language, an office in the pack's words."""
    return str(Role(signed_as).label) if signed_as in Role.values else signed_as


def missing_after(sign_off: SignOff, signed_as: str = "") -> list[str]:
    """The offices still to sign, once somebody signed as one of them."""
    offices = [office for office in (sign_off.role, sign_off.second_role) if office]
    taken = next((o for o in offices if same_office(_signed(o), signed_as)), None)
    if taken is not None:
        offices.remove(taken)
    return offices


def signs_as(user: User, student: Student, offices: list[str]) -> str:
    """As what somebody signs for one of these offices about a student: what fewest hold first. Where none is named, as whatever they are to
    the student. Empty where the signature is not theirs."""
    held = policy.held_at_school_of(user, student)
    if not offices:
        return next((h.office or h.role for h in held), "")
    by_few = sorted(offices, key=lambda office: _plain(office) in OFFICES)
    return next((_signed(office) for office in by_few if any(signs_for(office, h) for h in held)), "")


def strictest(offices: Iterable[str]) -> str:
    """Of these offices the one that fewest hold; empty of none."""
    return min(filter(None, offices), key=lambda office: _plain(office) in OFFICES, default="")


@dataclass(frozen=True, slots=True)
class Office:
    """An office and who holds it: for a school, or (school empty) for all of the district's."""

    name: str
    role: Role | None
    elsewhere: bool
    held: list[Assignment] = field(default_factory=list)


def asked_offices(packs: Iterable[Pack]) -> list[str]:
    """The offices whose signature some rule asks for, each once."""
    signs = [rule.duty.sign_off for pack in packs for rule in pack.rule if rule.duty]
    found = [office for s in signs for office in (s.role, s.second_role) if office]
    return list({_plain(office): office for office in found}.values())


def _in_office(today: date) -> QuerySet[Assignment]:
    """Who sees students of some school today, and so may hold an office there."""
    some = policy.in_service(today).filter(role__in=SCHOOL_ROLES)
    return some.select_related("user", "school").order_by("user__last_name", "user__email", "pk")


def holders(offices: Iterable[str], rows: Collection[Assignment]) -> list[Office]:
    """Of these rows, who holds each of these offices."""
    return [
        Office(
            name, OFFICES.get(_plain(name)), signs_elsewhere(name),
            [row for row in rows if signs_for(name, Held(Role(row.role), row.school_id, None, row.office))],
        )
        for name in offices
    ]  # fmt: skip


def all_holders(offices: Collection[str], today: date) -> list[Office]:
    """Who holds each of these offices, at whichever school."""
    return holders(offices, list(_in_office(today)) if offices else [])


def holders_for(student: Student, offices: Collection[str], today: date) -> list[Office]:
    """Who could sign about a student, for each of these offices."""
    if not offices:
        return []
    schools = {stay.school_id for stay in policy.stays_of(student, today)}
    return holders(offices, list(_in_office(today).filter(Q(school=None) | Q(school__in=schools))))


def could_sign(today: date) -> Subquery:
    """Of a row about a `student`, everybody who could sign there, brought along in its statement; `read_back` makes them rows again."""
    stays = QuerySet(Enrolment).filter(Q(ends=None) | Q(ends__gte=today), student=OuterRef(OuterRef("student")))
    there = _in_office(today).filter(Q(school=None) | Q(school__in=stays.values("school")))
    return gathered(there, "user__last_name", "user__email", "pk", "user__first_name", "user_id", "role", "office")


def read_back(gathered_rows: list[list[Any]] | None) -> list[Assignment]:
    return [
        Assignment(pk=pk, role=role, office=office, user=User(pk=user, first_name=first, last_name=last, email=email))
        for last, email, pk, first, user, role, office in sorted(gathered_rows or [])
    ]
