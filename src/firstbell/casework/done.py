"""What people did, put on record: with a day, in words if they like, and never twice for one click.

Whatever is recorded here may open or close a step, so that the student's firings are looked at again at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.casework.adopted import adopted, packs_of
from firstbell.casework.firings import look_at
from firstbell.casework.models import Done, DoneTo, Protection
from firstbell.casework.parents import guardians_of
from firstbell.casework.signatures import signs_as, signs_elsewhere, strictest
from firstbell.casework.standing import standing_of, today_of
from firstbell.casework.words import asked_kinds, evidence_word
from firstbell.law.clock import NOT_ESCALATED, Status
from firstbell.law.packs import Pack, SignOff
from firstbell.register.models import Student
from firstbell.watch.treated import source

__all__ = ["NotRecorded", "confirm", "may_confirm", "may_take_back", "protect", "record_done", "take_back", "unprotect"]

WHY = "a deed is recorded"
#: how long somebody may take back what they recorded; after that, what was wrong is said in a new record
TAKE_BACK_FOR = timedelta(days=1)


class NotRecorded(ValueError):
    """It can't be recorded as it stands; the sentence says what is missing. Nothing was changed."""


@transaction.atomic
def record_done(
    user: User,
    student: Student,
    kind: str,
    on: date,
    today: date,
    *,
    rule: str = "",
    note: str = "",
    key: str,
    to: Collection[int] = (),
    of_letter: bool = False,
) -> Done:
    """Something was done on a day not later than today. The same `key` again is the same record.

    to: the contacts it was done to; naming nobody, it counts for each. of_letter: it is the desk's own word for a letter. Raises
    NotRecorded for a day to come, for a kind of evidence the law in force does not know, for a decision not to go on without its reason or
    where the law does not leave it open, for who is no contact of the student's or under no-contact, for nobody where the rule speaks of
    each parent, and for a sanction that is locked, not allowed, or another's to put there.
    """
    if on > today:
        raise NotRecorded(_("That day has not come yet. Record it once it was done."))
    if kind == NOT_ESCALATED and not note.strip():
        raise NotRecorded(_("Write why this goes no further: whoever comes after you will want to know."))
    law = packs_of(adopted(today))
    about = [r for pack in law for r in pack.rule if rule == f"{pack.id}/{r.id}"]
    if kind == NOT_ESCALATED and not any(r.duty and r.duty.may for r in about):
        raise NotRecorded(_("The law asks for this step: it is not left to anybody to go no further."))
    if not of_letter and kind != NOT_ESCALATED and kind not in _known(law):
        raise NotRecorded(_("Choose what was done."))
    of_each = kind != NOT_ESCALATED and any(r.per == "parent" for r in about)
    family = {g.pk for g in guardians_of(student.pk) if not g.silent} if to or of_each else set()
    if set(to) - family:
        raise NotRecorded(_("Choose among the family on record. Who may not be contacted cannot be chosen."))
    if of_each and family and not to:
        raise NotRecorded(_("Say to whom: the law speaks here of each parent by themselves."))
    words, signs = _in_the_way(student, kind, rule, to, law, today)
    asked = dict.fromkeys(s.role for s in signs if not of_letter)
    signed = {office: signs_as(user, student, [office]) for office in asked}
    if not words and not all(signed.values()):
        others = [office for office in asked if not signed[office]]
        words = _("This step is put on record by: %(who)s.") % {"who": ", ".join(others)}
    if words:
        raise NotRecorded(words)
    done, new = Done.objects.system(WHY).get_or_create(
        student=student, key=key,
        defaults={
            "kind": kind, "rule": rule, "on": on, "note": note.strip()[:4000], "recorded_by": user, "recorded_at": clock.now(),
            "recorded_as": ", ".join(dict.fromkeys(signed.values())),
            "waits_for": "" if of_letter else strictest(s.second_role for s in signs),
        },
    )  # fmt: skip
    if new:
        DoneTo.objects.system(WHY).bulk_create(DoneTo(done=done, contact_id=contact) for contact in sorted(set(to)))
        audit.record(user, "did", f"student:{student.pk}", f"done:{done.pk} {kind} {rule}".strip())
        look_at(student, today)
    return done  # type: ignore[no-any-return]


def _known(law: Sequence[Pack]) -> set[str]:
    """The kinds of evidence that can be put on record by hand: what the law asks for, counts or accepts, and what people do anyhow."""
    found = {kind for pack in law or (None,) for kind in asked_kinds(pack)}
    duties = [rule.duty for pack in law for rule in pack.rule if rule.duty]
    found |= {kind for duty in duties for kind in duty.shown_by}
    return found | {kind for duty in duties if duty.not_after for kind in duty.not_after.evidence.split("|")}


def _in_the_way(
    student: Student, kind: str, about: str, to: Collection[int], law: Sequence[Pack], today: date
) -> tuple[str, list[SignOff]]:
    """Why this cannot be on record as a sanction taken: each step it could be is locked, or not allowed for this student. Else, who signs
    for each sanction it could be."""
    rules = [rule for version in law for rule in version.rule]
    asks = {r.id: r.duty for r in rules if r.duty and kind in r.duty.shown_by}
    if not any(duty.severity == "punitive" for duty in asks.values()):
        return "", []
    stands: set[Status] = set()
    missing: dict[str, None] = {}
    standing = standing_of(student, today)
    steps = [
        p for p in standing.positions if p.rule in asks and p.fired_on is not None
        and about in ("", *(f"{law[-1].id}/{name}" for name in (p.rule, asks[p.rule].done_from)))
    ]  # fmt: skip
    for p in steps:
        each = standing.of_each.get((p.pack_sha256, p.rule), {})
        stands |= {each[who] for who in to if who in each} or {p.status}
        missing |= dict.fromkeys(p.missing)
    if stands and not stands - {Status.LOCKED, Status.FORBIDDEN}:
        if Status.FORBIDDEN in stands:
            return _("The law does not allow this step for this student. Offer help instead."), []
        what = ", ".join(map(evidence_word, missing))
        return _("This step is locked. Not on record yet: %(what)s.") % {"what": what}, []
    return "", [asks[p.rule].sign_off for p in steps if asks[p.rule].severity == "punitive"]


@transaction.atomic
def confirm(user: User, done: Done, today: date, signature: str = "") -> None:
    """The second person's word for a sanction put on record: from now on it counts. Confirmed twice, it is confirmed once.

    signature: where an institution outside signs and nobody here does for it, whose signature its paper bears. Raises NotRecorded for who
    put it there, for who does not hold the office it waits for, without those words, and where it is locked or not allowed by now.
    """
    done = Done.objects.system(WHY).select_for_update(of=("self",)).select_related("student").get(pk=done.pk)
    if done.withdrawn_at is not None or not done.waits_for:
        return
    if not may_confirm(user, done.student, done.recorded_by_id, done.waits_for):
        raise NotRecorded(_("Another person confirms this: %(who)s.") % {"who": done.waits_for})
    signed = signs_as(user, done.student, [done.waits_for])
    if not signed and not signature.strip():
        raise NotRecorded(_("Write whose signature the paper bears, and of which day."))
    to = [contact for contact in done.to.values_list("contact_id", flat=True) if contact]
    words, _signs = _in_the_way(done.student, done.kind, done.rule, to, packs_of(adopted(today)), today)
    if words:
        raise NotRecorded(words)
    done.confirmed_as, done.signature = signed or done.waits_for, "" if signed else signature.strip()[:2000]
    done.waits_for, done.confirmed_by, done.confirmed_at = "", user, clock.now()
    done.save(update_fields=["waits_for", "confirmed_by", "confirmed_at", "confirmed_as", "signature"])
    audit.record(user, "confirmed", f"student:{done.student_id}", f"done:{done.pk} as {done.confirmed_as}")
    look_at(done.student, today)


def may_confirm(user: User, student: Student, by: int, waits_for: str) -> bool:
    """Whether somebody's word is the one that what another put on record waits for. by: who put it there."""
    if not waits_for or user.pk == by:
        return False
    # what an institution outside signed, anybody who takes steps for the student can have before them
    return bool(signs_as(user, student, [] if signs_elsewhere(waits_for) else [waits_for]))


@source
def _deeds(first: date, last: date) -> Iterable[tuple[int, date]]:
    """To go no further is no help; everything else on record is."""
    some = Done.objects.system(WHY).filter(**Done.COUNTS, on__gte=first, on__lte=last).exclude(kind=NOT_ESCALATED)
    return some.values_list("student_id", "on")  # type: ignore[no-any-return]


def may_take_back(user: User, by: int, at: datetime, waits_for: str) -> bool:
    """One's own record: soon after, or while it waits for another's word. by, at: who put it there, and when."""
    return user.pk == by and (bool(waits_for) or clock.now() - at <= TAKE_BACK_FOR)


@transaction.atomic
def take_back(user: User, done: Done) -> None:
    """It stays, as taken back. Raises NotRecorded where it is not this user's to take back, or not any more."""
    if not may_take_back(user, done.recorded_by_id, done.recorded_at, done.waits_for):
        raise NotRecorded(_("Only your own record can be taken back, and only on the day you made it."))
    if Done.objects.system(WHY).filter(pk=done.pk, withdrawn_at=None).update(withdrawn_at=clock.now()):
        audit.record(user, "took_back", f"student:{done.student_id}", f"done:{done.pk}")
        look_at(done.student, today_of(done.student))


@transaction.atomic
def protect(user: User, student: Student, flag: str, starts: date, ends: date | None = None) -> Protection:
    """Something under which the law forbids or changes steps. What it is stays out of the audit's words."""
    if flag not in Protection.Flag.values:
        raise NotRecorded(_("Choose what protects this student."))
    if ends is not None and ends < starts:
        raise NotRecorded(_("It ends before it begins."))
    made = Protection.objects.system(WHY).create(
        student=student, flag=flag, starts=starts, ends=ends, recorded_by=user, recorded_at=clock.now()
    )
    audit.record(user, "protected", f"student:{student.pk}", f"protection:{made.pk}")
    look_at(student, today_of(student))
    return made  # type: ignore[no-any-return]


@transaction.atomic
def unprotect(user: User, protection: Protection) -> None:
    if Protection.objects.system(WHY).filter(pk=protection.pk, withdrawn_at=None).update(withdrawn_at=clock.now()):
        audit.record(user, "unprotected", f"student:{protection.student_id}", f"protection:{protection.pk}")
        look_at(protection.student, today_of(protection.student))
