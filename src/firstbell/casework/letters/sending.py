"""A signed letter put in the outbox for the guardians who can be written to by e-mail: only where the law's own words allow it, and once.

Looked at twice: when somebody puts it there, and when the worker is about to hand it over. Who may not be contacted by then gets nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.casework.done import record_done
from firstbell.casework.letters.facts import Family, duty_of, family_of
from firstbell.casework.letters.models import Delivery, Letter
from firstbell.casework.letters.pdf import pdf_of
from firstbell.casework.letters.wording import words
from firstbell.casework.models import Done
from firstbell.casework.words import evidence_word
from firstbell.jobs.queue import job_kind
from firstbell.law.packs import Duty
from firstbell.outreach import mail
from firstbell.outreach.models import Message
from firstbell.register.models import Contact

__all__ = ["STATES", "NotSent", "Post", "post_of", "put_in_outbox", "recall", "send_letter"]

WHY = "a signed letter goes to the family it is for"
BY_EMAIL = "letter_by_email"


#: what became of a message, as an officer says it; handed over is not read
STATES = {
    Message.State.WAITING: gettext_lazy("waits in the outbox"),
    Message.State.SENDING: gettext_lazy("is being handed to the mail server"),
    Message.State.SENT: gettext_lazy("handed to the mail server"),
    Message.State.KEPT: gettext_lazy("kept: no mail server is set here, and nothing was sent"),
    Message.State.FAILED: gettext_lazy("not taken by the mail server: print it"),
    Message.State.RECALLED: gettext_lazy("recalled before it was sent"),
}


class NotSent(ValueError):
    """It can't be sent as it stands; the sentence says why, and nothing was."""


@dataclass(frozen=True, slots=True, repr=False)  # it holds names
class Post:
    """Whom a signed letter can be mailed to. `why_not`: the sentence that offers print instead."""

    to: list[Contact]
    why_not: str


def post_of(letter: Letter, duty: Duty | None, family: Family | None = None) -> Post:
    """`duty`: what the letter is about. Whom it can be mailed to is asked of the register anew each time, unless it just was: `family`."""
    if letter.state != Letter.State.SIGNED:
        return Post([], _("Only a signed letter is sent."))
    if letter.undone:
        return Post([], _("A corrected mark has undone what this letter says. It is not sent."))
    ways = duty.methods if duty else ()
    if not ways:
        return Post([], _("The pack names no way for this to reach the family, so e-mail is not offered. Print it."))
    if "email" not in ways:
        named = ", ".join(evidence_word(way) for way in ways)
        return Post([], _("The law names: %(ways)s. E-mail is none of them. Print it.") % {"ways": named})
    to = (family or family_of(letter.student)).by_email
    return Post(to, "" if to else _("The register has no e-mail address of anybody who may be written to. Print it."))


@transaction.atomic
def put_in_outbox(user: User, letter: Letter, today: date) -> list[Delivery]:
    """One message for each guardian who can be written to and has none of this letter yet. Raises NotSent.

    Put there twice, it goes once: a second press, or a second officer, makes nothing more.
    """
    Letter.objects.system(WHY).select_for_update().get(pk=letter.pk)  # two who press at once take turns
    letter = _again(letter)
    post = post_of(letter, duty_of(letter, today))
    if post.why_not:
        raise NotSent(post.why_not)
    before = Delivery.objects.system(WHY).filter(letter=letter)
    there = set(before.filter(recalled_at=None).values_list("contact", flat=True))
    wanted = [contact for contact in post.to if contact.pk not in there]
    if not wanted:
        return []
    said = words(letter.language)["mail"]
    made = []
    turn = before.count()
    for contact in wanted:
        key = hashlib.sha256(f"letter:{letter.pk}:{contact.pk}:{turn}".encode()).hexdigest()[:32]
        message = mail.put(
            contact.email, said["subject"], said["body"].format(contact=f"{letter.signed_by} ({letter.signed_by.email})"),
            key=key, pdf=mail.Pdf(f"letter-{letter.number}.pdf", pdf_of(letter)), job="send_letter",
        )  # fmt: skip
        made.append(Delivery(letter=letter, contact_id=contact.pk, message=message, put_by=user, put_at=clock.now()))
    done = record_done(
        user, letter.student, BY_EMAIL, today, today, rule=f"{letter.firing.pack}/{letter.firing.rule}",
        note=_("Letter %(number)s.") % {"number": letter.number}, key=f"letter:{letter.pk}:mail{turn}",
        to=[contact.pk for contact in wanted], of_letter=True,
    )  # fmt: skip
    for delivery in made:
        delivery.done = done
    Delivery.objects.system(WHY).bulk_create(made)
    audit.record(
        user, "put_letter_in_outbox", f"student:{letter.student_id}", f"letter:{letter.pk} by e-mail to {len(made)}"
    )
    return made


def _again(letter: Letter) -> Letter:
    found: Letter = (
        Letter.objects.system(WHY).select_related("firing__school", "signed_by", "second_by").get(pk=letter.pk)
    )
    found.student = letter.student  # with its stays, as it was given
    return found


@transaction.atomic
def recall(who: User | str, letter: Letter) -> tuple[int, int]:
    """Take back what of a letter still waits: how many messages were, and how many had gone already."""
    back = gone = 0
    for delivery in Delivery.objects.system(WHY).filter(letter=letter, recalled_at=None):
        if mail.recall(delivery.message_id):
            _taken_back(delivery)
            back += 1
        else:
            gone += 1
    if back:
        audit.record(
            who, "recalled_letter", f"student:{letter.student_id}", f"letter:{letter.pk}: {back}, gone: {gone}"
        )
    return back, gone


def _taken_back(delivery: Delivery) -> None:
    """What was put on record is so no longer once none of its messages is on its way."""
    now = clock.now()
    Delivery.objects.system(WHY).filter(pk=delivery.pk).update(recalled_at=now)
    if not Delivery.objects.system(WHY).filter(done=delivery.done_id, recalled_at=None).exists():
        Done.objects.system(WHY).filter(pk=delivery.done_id, withdrawn_at=None).update(withdrawn_at=now)


@job_kind("send_letter", when_failed=mail.give_up)
def send_letter(argument: str) -> None:
    """Hand one over, unless by now it may not be: the letter was withdrawn or undone, or this guardian may not be written to there."""
    found = Delivery.objects.system(WHY).filter(message=int(argument), message__state=Message.State.WAITING)
    delivery = found.select_related("letter__firing", "letter__student").first()
    if delivery is not None:
        letter = delivery.letter
        address = Message.objects.values_list("to", flat=True).get(pk=delivery.message_id)
        still = {(c.pk, c.email) for c in family_of(letter.student).by_email}
        if letter.state != Letter.State.SIGNED or letter.undone or (delivery.contact_id, address) not in still:
            with transaction.atomic():
                if mail.recall(delivery.message_id):
                    _taken_back(delivery)
                    audit.record("firstbell", "recalled_letter", f"student:{letter.student_id}", f"letter:{letter.pk}")
            return
    mail.send_message(argument)
