"""To whom of a family something was done, as a law reads it that speaks of each parent by themselves (`per = "parent"`).

A parent is whoever the register names as the student's contact. Who may not be contacted is none the law waits for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import OuterRef, QuerySet

from firstbell.casework.models import Done, DoneTo
from firstbell.law.clock import NOT_ESCALATED, Evidence, shows
from firstbell.law.packs import InForce
from firstbell.register.gathered import gathered
from firstbell.register.models import ContactLink
from firstbell.said import Said, said

__all__ = [
    "GONE",
    "LINK",
    "Guardian",
    "deeds",
    "evidence_of",
    "guardians_from",
    "guardians_of",
    "kinds_of_each",
    "parents_of",
    "whom_word",
]

WHY = "the law asks of each parent"
#: whom the register has forgotten: a parent of their own, and nobody knows which
GONE = "gone"


@dataclass(frozen=True, slots=True, repr=False)  # it holds a name
class Guardian:
    """Somebody of the family the register knows. silent: under no-contact."""

    pk: int
    name: str
    silent: bool


#: of a contact's link, what makes a guardian
LINK = ("pk", "contact", "contact__given_name", "contact__family_name", "no_contact")


def guardians_from(links: Iterable[Sequence[Any]]) -> list[Guardian]:
    return [Guardian(pk, f"{given} {family}", silent) for _link, pk, given, family, silent in sorted(links)]


def guardians_of(student: int) -> list[Guardian]:
    return guardians_from(ContactLink.objects.system(WHY).filter(student=student).values_list(*LINK))


def whom_word(contact: int | None, family: Sequence[Guardian]) -> Said | str:
    """A parent by their name; who may not be contacted by now is not named."""
    one = next((g for g in family if g.pk == contact), None)
    if one is None:
        return said("somebody no longer on record")
    return said("somebody who may not be contacted") if one.silent else one.name


def parents_of(students: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Of many students at once: whom the law can speak of, as `Person.parents` has them."""
    found: dict[int, tuple[str, ...]] = defaultdict(tuple)
    links = ContactLink.objects.system(WHY).filter(student__in=students, no_contact=False).order_by("pk")
    for student, contact in links.values_list("student_id", "contact_id"):
        found[student] += (str(contact),)
    return found


def deeds(some: QuerySet[Done]) -> QuerySet[Done, tuple[Any, ...]]:
    """What was done, as `evidence_of` takes it, each with its student before it."""
    told = DoneTo.objects.system(WHY).filter(done=OuterRef("pk"))
    return some.values_list("student_id", "on", "kind", "rule", gathered(told, "contact"))


def kinds_of_each(law: Sequence[InForce]) -> frozenset[str]:
    """The kinds of evidence a law asks for, or counts, of each parent by themselves; empty where it speaks of none."""
    found: set[str] = set()
    for version in law:
        for rule in (r for r in version.pack.rule if r.per == "parent"):
            duty = rule.duty
            found |= {NOT_ESCALATED} | {kind for kind, _of in shows(rule.evidence, version.pack) if kind}
            if duty is not None:
                found |= {*duty.shown_by}
                found |= {*(duty.not_after.evidence.split("|") if duty.not_after else ())}
    return frozenset(found)


def evidence_of(
    done: Iterable[tuple[date, str, str, Sequence[Sequence[int | None]] | None]], pack: str, each: Collection[str]
) -> list[Evidence]:
    """What was done, as the law reads it; what was done about another pack's rule says nothing about this one's.

    done: the day, the kind, what about, and each contact it was done to. Of the kinds of `each` it is one deed to each of them.
    """
    found = []
    for on, kind, about, told in sorted(done, key=lambda deed: deed[:3]):
        of, _, rule = about.partition("/")
        if about and of != pack:
            continue
        to = sorted({GONE if contact is None else str(contact) for (contact,) in told or ()}) if kind in each else ()
        found += [Evidence(kind, on, rule, who) for who in to or ("",)]
    return found
