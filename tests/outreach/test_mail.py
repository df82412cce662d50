"""Mail: a row in the caller's transaction, sent under its key, and each way a mail server can say no."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.utils import timezone

from firstbell.jobs import queue
from firstbell.jobs.models import Job
from firstbell.jobs.worker import Worker
from firstbell.outreach.mail import (
    KEEP,
    HeaderInjection,
    NotCarried,
    OutboxBackend,
    Pdf,
    forget_addresses,
    put,
    send_message,
)
from firstbell.outreach.models import Message
from tests.outreach.mailbox import Mailbox, a_mailbox

pytestmark = pytest.mark.django_db
SENT, KEPT, WAITING, FAILED = Message.State.SENT, Message.State.KEPT, Message.State.WAITING, Message.State.FAILED


@pytest.fixture
def mailbox(tmp_path: Path, settings: object) -> Iterator[Mailbox]:
    with a_mailbox(tmp_path) as box:
        settings.SMTP_URL = box.url  # type: ignore[attr-defined]
        yield box


def work() -> None:
    worker = Worker()
    while worker.run_one():
        pass


def its_time_comes() -> None:
    Job.objects.update(run_after=timezone.now() - timedelta(seconds=1))


def a_message(to: str = "olive@example.org") -> Message:
    return put(to, "Your sign-in", "A new device signed in.")


# --- the outbox -----------------------------------------------------------------------------------------------------


def test_mail_is_a_row_and_a_job_and_nothing_is_sent_yet(mailbox: Mailbox) -> None:
    message = a_message()
    assert message.state == WAITING
    assert Job.objects.get().key == f"send:{message.key}"
    assert mailbox.accepted() == []


def test_mail_of_a_transaction_that_is_rolled_back_is_never_sent(mailbox: Mailbox) -> None:
    with transaction.atomic():
        a_message()
        transaction.set_rollback(True)
    work()
    assert not Message.objects.exists()
    assert mailbox.accepted() == []


def test_django_s_own_mail_goes_by_the_outbox(mailbox: Mailbox) -> None:
    mail = EmailMessage("Your sign-in", "A new device signed in.", to=["olive@example.org"])
    assert OutboxBackend().send_messages([mail]) == 1
    message = Message.objects.get()
    assert (message.to, message.subject, message.body) == (
        "olive@example.org", "Your sign-in", "A new device signed in.",
    )  # fmt: skip
    assert Job.objects.get().argument == str(message.pk)


def test_every_recipient_has_a_message_of_their_own_and_sees_no_other(mailbox: Mailbox) -> None:
    mail = EmailMessage("s", "b", to=["a@example.org"], cc=["b@example.org"], bcc=["c@example.org"])
    OutboxBackend().send_messages([mail])
    work()
    assert [(x.recipients, x.mail["To"], x.mail["Cc"]) for x in mailbox.letters] == [
        (["a@example.org"], "a@example.org", None),
        (["b@example.org"], "b@example.org", None),
        (["c@example.org"], "c@example.org", None),
    ]


def test_the_text_of_a_mail_with_an_html_twin_is_what_is_sent(mailbox: Mailbox) -> None:
    mail = EmailMultiAlternatives("s", "the text", to=["a@example.org"])
    mail.attach_alternative("<p>the text</p>", "text/html")
    OutboxBackend().send_messages([mail])
    work()
    assert mailbox.letters[0].mail.get_payload().strip() == "the text"


def test_an_attachment_is_refused_rather_than_left_out() -> None:
    mail = EmailMessage("s", "b", to=["a@example.org"], attachments=[("list.csv", "a,b", "text/csv")])
    with pytest.raises(NotCarried, match=r"list\.csv"):
        OutboxBackend().send_messages([mail])
    assert not Message.objects.exists()


def test_several_mails_are_put_all_or_none() -> None:
    mails = [EmailMessage("s", "b", to=["a@example.org"]), EmailMessage("s\ns", "b", to=["a@example.org"])]
    with pytest.raises(HeaderInjection):
        OutboxBackend().send_messages(mails)
    assert not Message.objects.exists()


# --- sending --------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_with_its_key_as_message_id(mailbox: Mailbox, settings: object) -> None:
    settings.PUBLIC_URL = "https://firstbell.larch.example"  # type: ignore[attr-defined]
    settings.DEFAULT_FROM_EMAIL = "Larch Valley <attendance@larch.example>"  # type: ignore[attr-defined]
    message = put("olive@example.org", "Señales de hoy", "Buenos días,\n.\nuna línea con punto")
    work()
    message.refresh_from_db()
    assert message.state == SENT
    assert message.sent_at is not None
    assert mailbox.accepted() == [f"<{message.key}@firstbell.larch.example>"]
    letter = mailbox.letters[0]
    assert letter.recipients == ["olive@example.org"]
    assert letter.mail["From"] == "Larch Valley <attendance@larch.example>"
    body = letter.mail.get_payload(decode=True).decode()
    assert body.splitlines() == ["Buenos días,", ".", "una línea con punto"]


def test_a_second_try_has_the_same_message_id(mailbox: Mailbox) -> None:
    """The worker died after the server said yes and before it could write so."""
    message = a_message()
    send_message(str(message.pk))
    Message.objects.update(state=WAITING)
    work()
    first, second = mailbox.accepted()
    assert first == second


def test_a_message_already_sent_is_not_sent_again(mailbox: Mailbox) -> None:
    message = a_message()
    send_message(str(message.pk))
    work()
    assert len(mailbox.accepted()) == 1


def test_the_account_of_the_mail_server_may_hold_any_character(mailbox: Mailbox, settings: object) -> None:
    settings.SMTP_URL = mailbox.url.replace("//", "//desk%40larch.example:p%2Fw%3A%40@")  # type: ignore[attr-defined]
    a_message()
    work()
    assert mailbox.signed_in == [("desk@larch.example", "p/w:@")]


def test_with_no_mail_server_set_messages_are_kept(settings: object) -> None:
    settings.SMTP_URL = ""  # type: ignore[attr-defined]
    message = a_message()
    work()
    message.refresh_from_db()
    assert (message.state, message.sent_at) == (KEPT, None)
    assert Job.objects.get().state == Job.State.DONE


# --- a mail server that says no ---------------------------------------------------------------------------------------


def test_a_refused_recipient_fails_at_once_with_the_servers_words(mailbox: Mailbox) -> None:
    mailbox.says["RCPT"] = "550 no such mailbox"
    message = a_message()
    work()
    message.refresh_from_db()
    assert (message.state, message.sent_at) == (FAILED, None)
    job = Job.objects.get()
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert job.problem == "The mail server refused the recipient for good (550 no such mailbox). Nothing was sent."


def test_a_message_refused_for_good_fails_at_once(mailbox: Mailbox) -> None:
    mailbox.says["."] = "554 looks like spam"
    message = a_message()
    work()
    message.refresh_from_db()
    assert message.state == FAILED
    assert Job.objects.get().problem == (
        "The mail server refused the message for good (554 looks like spam). Nothing was sent."
    )


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "450 greylisted, come again"),
        ("RCPT", "421 closing"),
        ("MAIL", "451 busy"),
        ("MAIL", "530 sign in first"),
        ("DATA", "451 busy"),
        (".", "452 no room"),
        ("MAIL", "421 closing"),
    ],
)
def test_a_temporary_no_is_tried_again(mailbox: Mailbox, command: str, answer: str) -> None:
    mailbox.says[command] = answer
    message = a_message()
    work()
    message.refresh_from_db()
    assert message.state == WAITING
    del mailbox.says[command]
    work()
    assert mailbox.accepted() == [], "not before its time"
    its_time_comes()
    work()
    message.refresh_from_db()
    assert message.state == SENT
    assert len(mailbox.accepted()) == 1


def test_a_mail_server_that_is_away_for_four_hours_fails_the_message(settings: object) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.SMTP_URL = f"smtp://127.0.0.1:{nobody.getsockname()[1]}"  # type: ignore[attr-defined]
        message = a_message()
        for _ in range(48):
            message.refresh_from_db()
            assert message.state == WAITING
            work()
            its_time_comes()
    message.refresh_from_db()
    assert message.state == FAILED
    job = Job.objects.get()
    assert job.state == Job.State.FAILED
    assert job.problem.startswith("Tried 48 times and given up. The last time: ConnectionRefusedError:")


def test_a_mail_server_that_comes_back_gets_what_waited(mailbox: Mailbox, settings: object) -> None:
    settings.SMTP_URL = "smtp://127.0.0.1:1"  # type: ignore[attr-defined]
    message = a_message()
    work()
    settings.SMTP_URL = mailbox.url  # type: ignore[attr-defined]
    its_time_comes()
    work()
    message.refresh_from_db()
    assert message.state == SENT


@pytest.mark.parametrize("url", ["mail.larch.example:25", "http://mail.larch.example", "smtp://", "smtp://host:port"])
def test_a_setting_that_names_no_mail_server_says_so_and_the_message_waits(url: str, settings: object) -> None:
    settings.SMTP_URL = url  # type: ignore[attr-defined]
    message = a_message()
    work()
    message.refresh_from_db()
    assert message.state == WAITING
    problem = Job.objects.get().problem
    assert "SMTP_URL" in problem
    assert "smtp://user:password@host:port" in problem


@pytest.mark.parametrize("to", ["a@example.org, b@example.org", "a@", "<>", ""])
def test_what_is_no_address_fails_at_once(mailbox: Mailbox, to: str) -> None:
    message = a_message(to)
    work()
    message.refresh_from_db()
    assert message.state == FAILED
    assert Job.objects.get().attempts == 1
    assert mailbox.accepted() == []


def test_a_message_that_is_gone_fails_at_once(mailbox: Mailbox) -> None:
    a_message().delete()
    work()
    job = Job.objects.get()
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert job.problem == "The message is no longer in the outbox. Nothing was sent."


# --- abuse ----------------------------------------------------------------------------------------------------------

#: All that any reader of a header may take for a line's end: Python's own header folding does for each of these.
LINE_ENDS = ["\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"]


@pytest.mark.parametrize("end", LINE_ENDS, ids=[repr(x) for x in LINE_ENDS])
def test_abuse_36_a_line_break_in_a_subject_or_address_is_refused(end: str) -> None:
    for to, subject in (
        ("olive@example.org", f"Hello{end}Bcc: everybody@example.org"),
        ("olive@example.org", f"Hello{end}"),
        (f"olive@example.org{end}Bcc: everybody@example.org", "Hello"),
    ):
        with pytest.raises(HeaderInjection, match="nothing was sent"):
            put(to, subject, "body")
        with pytest.raises(HeaderInjection):
            OutboxBackend().send_messages([EmailMessage(subject, "body", to=[to])])
    assert not Message.objects.exists()
    assert not Job.objects.exists()


def test_a_subject_may_hold_any_script_and_emoji(mailbox: Mailbox) -> None:
    for subject in ("تنبيهات اليوم", "Señales 🔔", "a\tb"):
        put("olive@example.org", subject, "body")
    work()
    assert set(Message.objects.values_list("state", flat=True)) == {SENT}


@pytest.mark.parametrize("body", ["nul \0 here", "half a character \ud83d"])
def test_a_body_no_database_or_mail_can_hold_is_refused_the_same_on_both_databases(body: str) -> None:
    with pytest.raises(NotCarried, match="nothing was sent"):
        put("olive@example.org", "Hello", body)
    assert not Message.objects.exists()


# --- for how long -----------------------------------------------------------------------------------------------------


def test_where_a_message_went_and_what_it_said_is_forgotten_after_its_term(monkeypatch: pytest.MonkeyPatch) -> None:
    for state in Message.State:
        put(
            f"{state}@example.org", "A letter from school", "It is attached.", key=state, pdf=Pdf("letter.pdf", b"%PDF")
        )
        Message.objects.filter(key=state).update(state=state)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now + KEEP - timedelta(minutes=1))
    forget_addresses("")
    assert not Message.objects.filter(to="").exists()

    monkeypatch.setattr(timezone, "now", lambda: now + KEEP + timedelta(minutes=1))
    forget_addresses("")
    forgotten = Message.objects.filter(to="", body="", file=b"")
    assert set(forgotten.values_list("state", flat=True)) == set(Message.State) - {WAITING, Message.State.SENDING}
    assert Message.objects.exclude(to="").filter(body="It is attached.").count() == 2  # they still have to go
    assert put("sent@example.org", "again", "again", key=SENT).to == ""  # the same key is never sent again


def test_abuse_50_a_clock_set_back_forgets_nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    message = a_message()
    Message.objects.update(state=SENT)
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now - timedelta(days=400))
    forget_addresses("")
    message.refresh_from_db()
    assert message.to == "olive@example.org"


def test_the_worker_asks_for_it_once_a_day() -> None:
    queue.ask_for_what_is_due()
    queue.ask_for_what_is_due()
    assert Job.objects.filter(kind="forget_addresses").count() == 1
