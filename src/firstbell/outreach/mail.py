"""The outbox: Django's mail backend writes rows, a job sends them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from smtplib import SMTPRecipientsRefused
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.db import transaction
from django.utils import timezone

from firstbell.jobs.queue import Unrecoverable, enqueue, job_kind
from firstbell.outreach.models import Message


class HeaderInjection(ValueError):
    """A line break in a subject or an address would let its writer add headers of their own."""


class OutboxBackend(BaseEmailBackend):
    """Every message Firstbell sends becomes a row and a job in the caller's transaction."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for mail in email_messages:
            for to in mail.to:
                put(to, mail.subject, mail.body)
        return len(email_messages)


def put(to: str, subject: str, body: str) -> Message:
    for what, value in (("subject", subject), ("address", to)):
        if any(c in value for c in "\r\n\0"):
            raise HeaderInjection(f"A line break in the {what}: the message was not accepted and nothing was sent.")
    with transaction.atomic():
        key = secrets.token_hex(16)
        message = Message.objects.create(key=key, to=to, subject=subject, body=body, created_at=timezone.now())
        enqueue("send_message", str(message.pk), key=f"send:{key}")
    return message


@job_kind("send_message")
def send_message(argument: str) -> None:
    """Send one message. A crash between sending and writing it down sends it again under the same Message-ID."""
    message = Message.objects.get(pk=int(argument))
    if message.state != Message.State.WAITING:
        return
    if not settings.SMTP_URL:
        _settle(message, Message.State.KEPT)
        return
    server = urlsplit(settings.SMTP_URL)  # smtp://user:password@host:port or smtps://…
    backend = EmailBackend(
        host=server.hostname, port=server.port or (465 if server.scheme == "smtps" else 587),
        username=unquote(server.username or ""), password=unquote(server.password or ""),
        use_ssl=server.scheme == "smtps", use_tls=server.scheme == "smtp+tls", timeout=20,
    )  # fmt: skip
    domain = urlsplit(settings.PUBLIC_URL).hostname
    mail = EmailMessage(
        message.subject, message.body, settings.DEFAULT_FROM_EMAIL, [message.to],
        headers={"Message-ID": f"<{message.key}@{domain}>"}, connection=backend,
    )  # fmt: skip
    try:
        mail.send()
    except SMTPRecipientsRefused as error:
        _settle(message, Message.State.FAILED)
        raise Unrecoverable("the mail server refused the recipient") from error
    _settle(message, Message.State.SENT)


def _settle(message: Message, state: Message.State) -> None:
    Message.objects.filter(pk=message.pk, state=Message.State.WAITING).update(state=state, sent_at=timezone.now())
