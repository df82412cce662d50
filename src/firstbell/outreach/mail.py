"""The outbox: Django's mail backend writes rows, a job sends them."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from firstbell.jobs.queue import Unrecoverable, enqueue, job_kind
from firstbell.outreach.models import Message

#: the ports of RFC 6409 (submission) and RFC 8314 (submission over TLS from the first byte)
_PORTS = {"smtp": 587, "smtp+tls": 587, "smtps": 465}
#: so long whoever asks can be told where a message went and what it said; who it was for, and when it went, stays with what asked for it
KEEP = timedelta(days=90)
#: Control characters, line and paragraph separators, half characters: Python folds a header at many of them, not at \n only.
_NOT_IN_A_HEADER = {"Cc", "Zl", "Zp", "Cs"}


class NotCarried(ValueError):
    """The outbox did not accept a message; nothing was sent."""


class HeaderInjection(NotCarried):
    """A line break in a subject or an address would let its writer add headers of their own."""


class OutboxBackend(BaseEmailBackend):
    """Every message Firstbell sends becomes a row and a job in the caller's transaction.

    Each recipient gets a message of their own. Only the text is carried: an HTML twin stays behind, an attachment is an
    error.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        with transaction.atomic():
            for mail in email_messages:
                if mail.attachments:
                    names = ", ".join(str(attachment[0]) for attachment in mail.attachments)
                    raise NotCarried(f"The outbox carries no attachments ({names}): nothing was sent.")
                for to in mail.recipients():
                    put(to, mail.subject, mail.body)
        return len(email_messages)


@dataclass(frozen=True, slots=True, repr=False)
class Pdf:
    name: str
    content: bytes


def put(
    to: str, subject: str, body: str, *, key: str = "", pdf: Pdf | None = None, job: str = "send_message"
) -> Message:
    """A message to one address, sent when the caller's transaction is committed. Raises NotCarried.

    key  the same key again is the same message, and nothing more is sent
    job  the kind of job that sends it, for who has to look once more at that moment: it calls `send_message`, or `recall`
    """
    for what, value in (("subject", str(subject)), ("address", to)):
        if any(unicodedata.category(c) in _NOT_IN_A_HEADER and c != "\t" for c in value):
            raise HeaderInjection(f"A line break in the {what}: the message was not accepted and nothing was sent.")
    if any(c == "\0" or unicodedata.category(c) == "Cs" for c in body):
        raise NotCarried("A character in the text that no mail can hold: nothing was sent.")
    with transaction.atomic():
        key = key or secrets.token_hex(16)
        message, new = Message.objects.get_or_create(
            key=key,
            defaults={
                "to": to, "subject": subject, "body": body, "created_at": timezone.now(),
                "file_name": pdf.name if pdf else "", "file": pdf.content if pdf else b"",
            },
        )  # fmt: skip
        if new:
            enqueue(job, str(message.pk), key=f"send:{key}")
    return message


def recall(message: int) -> bool:
    """Take back a message that waits; False where it is being handed over, or was."""
    waiting = Message.objects.filter(pk=message, state=Message.State.WAITING)
    return bool(waiting.update(state=Message.State.RECALLED, file=b""))


def today() -> str:
    return f"forget:{timezone.now().date()}"


@job_kind("forget_addresses", due=today)
def forget_addresses(_argument: str) -> None:
    """Messages that came to an end: the address and the words are forgotten after their term. The row stays: its key is never sent again."""
    over = Message.objects.filter(created_at__lt=timezone.now() - KEEP).exclude(to="")
    over.exclude(state__in=(Message.State.WAITING, Message.State.SENDING)).update(to="", body="", file=b"")


def give_up(argument: str, _problem: str) -> None:
    """The sentence stays with the job `send:<key>`."""
    open_ = Message.objects.filter(pk=int(argument), state__in=(Message.State.WAITING, Message.State.SENDING))
    open_.update(state=Message.State.FAILED, file=b"")


@job_kind("send_message", when_failed=give_up)
def send_message(argument: str) -> None:
    """Send one message. A crash between sending and writing it down sends it again under the same Message-ID.

    A "no" for good (5xx to the recipient or the message, RFC 5321 § 4.2.1) fails at once. Every other trouble, also
    one of our own account with the mail server, which somebody may mend in these four hours, is tried again.
    """
    message = Message.objects.filter(pk=int(argument)).first()
    if message is None:
        raise Unrecoverable("The message is no longer in the outbox. Nothing was sent.")
    mine = Message.objects.filter(pk=message.pk, state__in=(Message.State.WAITING, Message.State.SENDING))
    if not settings.SMTP_URL:
        mine.update(state=Message.State.KEPT)
        return
    try:
        validate_email(message.to)
    except ValidationError as error:
        raise Unrecoverable("The recipient is no mail address. Nothing was sent.") from error
    server, port = _server(settings.SMTP_URL)
    backend = EmailBackend(
        host=server.hostname, port=port,
        username=unquote(server.username or ""), password=unquote(server.password or ""),
        use_ssl=server.scheme == "smtps", use_tls=server.scheme == "smtp+tls", timeout=20,
    )  # fmt: skip
    domain = urlsplit(settings.PUBLIC_URL).hostname
    mail = EmailMessage(
        message.subject, message.body, settings.DEFAULT_FROM_EMAIL, [message.to],
        headers={"Message-ID": f"<{message.key}@{domain}>"}, connection=backend,
    )  # fmt: skip
    if message.file_name:
        mail.attach(message.file_name, bytes(message.file), "application/pdf")
    backend.open()
    try:
        if not mine.update(state=Message.State.SENDING):  # sent, or recalled; from here on nobody recalls it
            return
        mail.send()
    except SMTPRecipientsRefused as error:
        ((code, reply),) = error.recipients.values()
        if code >= 500:
            raise _refused("recipient", code, reply) from error
        mine.update(state=Message.State.WAITING)  # the server said no, for now: it certainly has not got it
        raise
    except SMTPSenderRefused:
        mine.update(state=Message.State.WAITING)
        raise
    except SMTPDataError as error:
        if error.smtp_code >= 500:
            raise _refused("message", error.smtp_code, error.smtp_error) from error
        mine.update(state=Message.State.WAITING)
        raise
    finally:
        backend.close()
    mine.update(state=Message.State.SENT, sent_at=timezone.now(), file=b"")


def _server(url: str) -> tuple[SplitResult, int]:
    """The mail server and its port. Raises ValueError with the shape that was expected."""
    server = urlsplit(url)
    try:
        port = server.port or _PORTS[server.scheme]
    except (KeyError, ValueError):
        port = 0
    if not port or not server.hostname:  # the address itself may hold a password, so the sentence doesn't repeat it
        raise ValueError(
            "SMTP_URL names no mail server: it reads smtp://user:password@host:port, or smtps:// or smtp+tls://. "
            "The message waits."
        )
    return server, port


def _refused(what: str, code: int, reply: bytes | str) -> Unrecoverable:
    words = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return Unrecoverable(f"The mail server refused the {what} for good ({code} {words}). Nothing was sent.")
