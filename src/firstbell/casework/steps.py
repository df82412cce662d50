"""What the law asks for now, of a reader's students: the list an officer works through, who is waited for first at the top.

A step that is locked or not allowed asks for nothing: what asks is the help that has to come before it, and that stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial, reduce
from typing import Any

from django.db.models import Case, F, IntegerField, Min, Q, QuerySet, When

from firstbell.access import policy
from firstbell.access.models import User
from firstbell.access.policy import Deed, Held
from firstbell.casework.adopted import pack_of, packs_of
from firstbell.casework.models import Adoption, Done, Firing, Letter
from firstbell.casework.signatures import missing_after, signs_elsewhere, signs_for
from firstbell.law.clock import Status
from firstbell.law.packs import Pack, Rule
from firstbell.register.models import Enrolment, Student

__all__ = ["Asked", "Step", "Waiting", "asking_rules", "steps_for", "waiting_for"]


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
    user: User, adoption: Adoption | None, today: date, *, allowed: bool = False, school: int | None = None, rule: str = "", first: int = 0, most: int = 25
) -> tuple[list[Asked], int]:  # fmt: skip
    """Students for whom something is open under the law adopted, and how many there are. Who is due first comes first, then who was reached first.

    allowed: also what the law merely allows, sanctions among it. school, rule: only steps reached there, or of this rule.
    """
    if adoption is None:
        return [], 0
    packs = packs_of(adoption)
    ids = set(asking_rules(packs, allowed=allowed))
    if not policy.may(user, Deed.SEE_PROTECTIONS):  # of a rule about students whom something protects, and no others
        ids -= {r.id for p in packs for r in p.rule if r.applies.flags}
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one person signed, or put on record, and another's word is missing on. what: the sanction (Done), or the letter."""

    what: Done | Letter
    student: Student
    by: User
    since: datetime
    office: str
    yours: bool

    @property
    def words(self) -> str:
        return self.what.word if isinstance(self.what, Done) else str(self.what.get_kind_display())

    @property
    def letter(self) -> int | None:
        return self.what.pk if isinstance(self.what, Letter) else None


def waiting_for(
    user: User, adoption: Adoption | None, today: date, *, school: int | None = None, most: int = 25
) -> tuple[list[Waiting], bool]:  # fmt: skip
    """What waits for this reader's word, the longest waiting first; then what waits for another's after theirs. And whether there is more.

    school: only about students on its roll. In four questions, however much waits.
    """
    about = Q()
    if school is not None:
        roll = QuerySet(Enrolment).filter(Q(ends=None) | Q(ends__gte=today), school=school)
        about = Q(student__in=roll.values("student"))
    done = Done.objects.for_user(user).filter(about, withdrawn_at=None).exclude(waits_for="")
    offices = {(office,): office for office in done.values_list("waits_for", flat=True).distinct()}
    some = done.select_related("student", "recorded_by").annotate(by=F("recorded_by"), since=F("recorded_at"))
    found = _waits(user, some, ("waits_for",), offices, _may_confirm, most)
    rules = {(p.id, p.version, r.id): r for p in packs_of(adoption) for r in p.rule}
    letters = Letter.objects.for_user(user).filter(about, state=Letter.State.AWAITING, firing__superseded_at=None)
    names, offices = ("firing__pack", "firing__version", "firing__rule", "signed_as"), {}
    for said in letters.values_list(*names).distinct():
        rule = rules.get(said[:3])
        missing = missing_after(rule.duty.sign_off, said[3]) if rule is not None and rule.duty else []
        if len(missing) == 1:
            offices[said] = missing[0]
    some = letters.select_related("student", "signed_by", "firing").annotate(by=F("signed_by"), since=F("signed_at"))
    found += _waits(user, some, names, offices, signs_for, most)
    found.sort(key=lambda waits: (not waits.yours, waits.since, waits.what.pk))
    return found[:most], len(found) > most


def _waits(
    user: User, some: QuerySet[Any], names: tuple[str, ...], offices: dict[tuple[str, ...], str],
    may: Callable[[str, Held], bool], most: int,
) -> list[Waiting]:  # fmt: skip
    """Of these rows those the reader's word is missing on, or to whom they gave the first. offices: what a row says under `names`, and whose
    word is missing then."""
    if not offices:
        return []
    yours = Q(pk=None)
    for said, office in offices.items():
        theirs = policy.students_for(user, partial(may, office))
        yours |= Q(**dict(zip(names, said, strict=True)), student__in=theirs)
    yours &= ~Q(by=user.pk)
    rows = some.annotate(own=Case(When(yours, then=0), default=1, output_field=IntegerField()))
    told = []
    for row in rows.filter(yours | Q(by=user.pk)).order_by("own", "since", "pk")[: most + 1]:
        office = offices.get(tuple(reduce(getattr, name.split("__"), row) for name in names))
        if office is not None:
            by = row.recorded_by if isinstance(row, Done) else row.signed_by
            told.append(Waiting(row, row.student, by, row.since, office, row.own == 0))
    return told


def _may_confirm(office: str, held: Held) -> bool:
    """As `done.may_confirm` has it: what an institution outside signed, anybody can have before them."""
    return held.role in policy.SCHOOL_ROLES and (signs_elsewhere(office) or signs_for(office, held))
