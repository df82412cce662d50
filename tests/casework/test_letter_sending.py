"""A signed letter by e-mail: only where the law's words allow it, once, to nobody who may not be written to, and recallable while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from firstbell.access.models import AuditEntry
from firstbell.casework.letters import deeds
from firstbell.casework.letters.models import Delivery, Letter
from firstbell.casework.letters.pdf import pdf_of
from firstbell.casework.letters.sending import NotSent, post_of, put_in_outbox, recall
from firstbell.casework.models import Done
from firstbell.casework.nightly import law
from firstbell.casework.standing import standing_of
from firstbell.jobs.models import Job
from firstbell.jobs.worker import Worker
from firstbell.law.packs import Duty, versions
from firstbell.outreach.models import Message
from firstbell.register.models import Contact, ContactLink
from tests.build import FIRST_MONDAY, at, mark
from tests.casework.letters_scene import RULE, TODAY, WHY, Scene, a_contact, set_the_scene
from tests.outreach.mailbox import Mailbox, a_mailbox

pytestmark = [pytest.mark.django_db, pytest.mark.database]
MARIA = "maria@example.org"


@pytest.fixture
def mailbox(tmp_path: Path, settings: object) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path) as box:
        settings.SMTP_URL = box.url  # type: ignore[attr-defined]
        yield box


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = set_the_scene(monkeypatch)
    Contact.objects.system(WHY).update(email=MARIA)
    return made


def signed(scene: Scene, **reasons: str) -> Letter:
    return deeds.sign(scene.officer, scene.draft(), 0, reasons, TODAY)


def states() -> list[str]:
    return list(Message.objects.order_by("pk").values_list("state", flat=True))


def work() -> None:
    Job.objects.update(run_after=timezone.now())
    worker = Worker()
    while worker.run_one():
        pass


def test_a_signed_letter_is_mailed_once_with_its_pdf_and_names_no_child(scene: Scene, mailbox: Mailbox) -> None:
    letter = signed(scene)
    assert len(put_in_outbox(scene.officer, letter, TODAY)) == 1
    assert put_in_outbox(scene.lead, letter, TODAY) == [], "a second officer makes nothing more"
    assert (states(), mailbox.accepted()) == (["waiting"], [])
    work()
    work()
    (sent,) = mailbox.letters
    assert (sent.recipients, states()) == ([MARIA], ["sent"])
    text, pdf = sent.mail.get_payload()  # type: ignore[misc]
    said = f"{sent.mail['Subject']} {text.get_payload(decode=True).decode()}"  # type: ignore[union-attr]
    assert sent.mail["Subject"] == "A letter from school"
    assert not any(word in said for word in ("Ana", "Reyes", "absen", "days", scene.school.name))
    assert pdf.get_payload(decode=True) == pdf_of(letter)  # type: ignore[union-attr]
    assert pdf.get_filename() == f"letter-{letter.number}.pdf"  # type: ignore[union-attr]
    assert bytes(Message.objects.get().file) == b"", "handed over, the letter is kept in one place only"


def test_it_is_on_record_with_its_method_and_on_the_audit_and_opens_or_closes_no_step(scene: Scene) -> None:
    letter = signed(scene)
    before = [(p.rule, p.status) for p in standing_of(scene.again(), TODAY).positions]
    put_in_outbox(scene.officer, letter, TODAY)
    done = Done.objects.system(WHY).get(kind="letter_by_email")
    assert (str(done.word), done.rule, done.note) == (
        "letter sent by e-mail",
        f"example/{RULE}",
        f"Letter {letter.number}.",
    )
    assert [(p.rule, p.status) for p in standing_of(scene.again(), TODAY).positions] == before
    entry = AuditEntry.objects.get(action="put_letter_in_outbox")
    assert (entry.subject, entry.detail) == (f"student:{scene.ana.pk}", f"letter:{letter.pk} by e-mail to 1")


@pytest.mark.parametrize(
    ("pack", "rule", "may"), [("us-ca", "CA-T1", True), ("us-ga", "GA-1-mail", False), ("us-mi", "MI-1", False)]
)
def test_the_laws_own_words_say_whether_email_will_do(scene: Scene, pack: str, rule: str, may: bool) -> None:
    """§ 48260.5: the most cost-effective method; 20-2-690.1: first-class or certified mail; 380.1587: in person or by registered mail."""
    duty = next(r.duty for r in versions(pack)[-1].rule if r.id == rule)
    post = post_of(signed(scene), duty)
    assert (not post.why_not, bool(post.to)) == (may, may)
    assert may or "E-mail is none of them. Print it." in post.why_not


def test_where_the_law_names_no_way_it_is_printed(scene: Scene) -> None:
    post = post_of(signed(scene), Duty(kind="notify", title="Tell them"))
    assert (post.to, "names no way" in post.why_not) == ([], True)


def test_abuse_10_who_may_not_be_contacted_gets_nothing_also_by_an_address_they_share(scene: Scene) -> None:
    victor = a_contact(scene.ana, "Victor", no_contact=True)
    Contact.objects.system(WHY).filter(pk=victor.pk).update(email=MARIA.upper())
    letter = signed(scene, no_contact="Sent to Maria alone.")
    with pytest.raises(NotSent, match="no e-mail address"):
        put_in_outbox(scene.officer, letter, TODAY)
    assert states() == []


def test_abuse_54_a_no_contact_order_that_comes_while_it_waits_is_honoured_at_the_last_moment(
    scene: Scene, mailbox: Mailbox
) -> None:
    put_in_outbox(scene.officer, signed(scene), TODAY)
    ContactLink.objects.system(WHY).update(no_contact=True)
    work()
    assert (states(), mailbox.accepted()) == (["recalled"], [])
    assert Done.objects.system(WHY).get(kind="letter_by_email").withdrawn_at is not None


@pytest.mark.parametrize("undoing", ["withdrawn", "a corrected mark", "another address"])
def test_what_no_longer_holds_when_its_turn_comes_is_not_sent(scene: Scene, mailbox: Mailbox, undoing: str) -> None:
    letter = signed(scene)
    put_in_outbox(scene.officer, letter, TODAY)
    if undoing == "withdrawn":
        deeds.withdraw(scene.officer, letter, "The family called.")
    elif undoing == "a corrected mark":
        mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
        law("")
    else:
        Contact.objects.system(WHY).update(email="moved@example.org")
    work()
    assert (states(), mailbox.accepted()) == (["recalled"], [])


def test_recalled_while_it_waits_it_is_not_sent_and_may_be_sent_again(scene: Scene, mailbox: Mailbox) -> None:
    letter = signed(scene)
    put_in_outbox(scene.officer, letter, TODAY)
    assert recall(scene.officer, letter) == (1, 0)
    assert Delivery.objects.system(WHY).get().recalled_at is not None
    put_in_outbox(scene.officer, letter, TODAY)
    work()
    assert (states(), len(mailbox.accepted())) == (["recalled", "sent"], 1)
    assert recall(scene.officer, letter) == (0, 1), "it has gone"


def test_refused_for_good_it_says_so_and_the_letter_stands(scene: Scene, mailbox: Mailbox) -> None:
    letter = signed(scene)
    put_in_outbox(scene.officer, letter, TODAY)
    mailbox.says["RCPT"] = "550 no such person"
    work()
    assert states() == ["failed"]
    assert Letter.objects.system(WHY).get(pk=letter.pk).state == "signed"


def test_a_draft_and_a_letter_undone_are_not_sent(scene: Scene) -> None:
    with pytest.raises(NotSent, match="signed"):
        put_in_outbox(scene.officer, scene.draft(), TODAY)
    letter = signed(scene)
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    law("")
    with pytest.raises(NotSent, match="undone"):
        put_in_outbox(scene.officer, letter, TODAY)
