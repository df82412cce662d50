from __future__ import annotations

from django.db import models


class Message(models.Model):
    """One message to one address: waiting, being handed over, then sent, kept (no SMTP set), failed, or recalled while it waited.

    Some time after its end its address and its words are forgotten (mail.KEEP).

    Being handed over goes back to waiting only where the mail server certainly did not take it.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        KEPT = "kept"
        FAILED = "failed"
        RECALLED = "recalled"

    #: also the Message-ID, so that a provider (and we) can tell a second try from a second message
    key = models.CharField(max_length=120, unique=True)
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    #: a file that goes with it: its name, and itself until it is handed over
    file_name = models.CharField(max_length=100, blank=True)
    file = models.BinaryField(default=b"")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
