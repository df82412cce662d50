from __future__ import annotations

from django.db import models


class Message(models.Model):
    """One message to one address. Status only moves forward: waiting, then sent, kept (no SMTP set) or failed."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        KEPT = "kept"
        FAILED = "failed"

    #: also the Message-ID, so that a provider (and we) can tell a second try from a second message
    key = models.CharField(max_length=120, unique=True)
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
