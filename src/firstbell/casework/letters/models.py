"""A letter, and what somebody wrote beside it. Never deleted; what was signed never changes (the database refuses it, migration 0002)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from firstbell.access.scoped import ScopedManager
from firstbell.outreach.models import Message
from firstbell.register.models import Contact, Student


def numbered(pk: int) -> str:
    """How a letter is called on paper: the same letter, the same number, and nobody's name."""
    return f"L{pk:06d}"


class Letter(models.Model):
    """To a family, about one line reached. A draft holds placeholders; signing fills them in and freezes text, annex and evidence."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        AWAITING = "awaiting", _("waits for a second signature")
        SIGNED = "signed", _("signed")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Kind(models.TextChoices):
        NOTIFY = "notify", _("Letter about days missed")
        CONTACT = "contact", _("Letter to get in touch")
        CONFERENCE = "conference", _("Invitation to meet")
        PLAN = "plan", _("Letter about a plan")
        REFER_SUPPORT = "refer_support", _("Letter that offers help")
        LEGAL_STEP = "legal_step", _("Letter about a legal step")
        CORRECTION = "correction", _("Apology for a letter that no longer holds")

    student = models.ForeignKey(Student, models.PROTECT, related_name="letters", db_index=False)
    firing = models.ForeignKey("casework.Firing", models.PROTECT, related_name="letters")
    kind = models.CharField(max_length=20, choices=Kind)
    language = models.CharField(max_length=10)
    #: the days counted ("2026-10-05 2026-10-06") and the count, as they were when the draft last read them
    marks = models.TextField(blank=True)
    count = models.CharField(max_length=20)
    #: with placeholders, as its writer left it
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    version = models.PositiveIntegerField(default=0)
    #: empty: by the night's look
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    drafted_at = models.DateTimeField()
    #: the letter this one apologises for
    correction_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="corrections")

    # written by signing, and not changed after it
    text = models.TextField(blank=True)
    annex = models.TextField(blank=True)
    evidence = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    #: the desk's role, or an office in the pack's words
    signed_as = models.TextField(blank=True)
    signed_at = models.DateTimeField(null=True)

    second_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    second_as = models.TextField(blank=True)
    second_at = models.DateTimeField(null=True)
    #: what signing put on record as done
    done = models.ForeignKey("casework.Done", models.PROTECT, null=True, related_name="letters")
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_why = models.TextField(blank=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["student", "drafted_at"], name="letter_student")]
        constraints = [
            models.UniqueConstraint(fields=["firing", "kind"], condition=Q(state="draft", correction_of=None), name="one_draft_a_line"),
            models.UniqueConstraint(
                fields=["correction_of"], condition=~Q(state="withdrawn") & Q(correction_of__isnull=False), name="one_apology_a_letter"
            ),
        ]  # fmt: skip

    @property
    def number(self) -> str:
        return numbered(self.pk)

    @property
    def undone(self) -> bool:
        """It was signed, and a corrected mark has undone the line it speaks of."""
        return (
            self.kind != self.Kind.CORRECTION
            and self.state in (self.State.SIGNED, self.State.AWAITING)
            and self.firing.superseded_at is not None
        )


class LetterWord(models.Model):
    """What somebody wrote for a letter beside its text: a passage its pack asks for, or why a warning does not stop it."""

    class About(models.TextChoices):
        CONTENTS = "contents", _("asked for by the rule")
        WARNING = "warning", _("why a warning does not stop it")

    letter = models.ForeignKey(Letter, models.PROTECT, related_name="words")
    about = models.CharField(max_length=10, choices=About)
    key = models.CharField(max_length=60)
    words = models.TextField()
    said_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    said_at = models.DateTimeField()

    objects = ScopedManager(student_path="letter__student")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["letter", "about", "key"], name="one_word_a_key")]


class Delivery(models.Model):
    """A signed letter on its way to one guardian by e-mail. What became of it is told by its message."""

    letter = models.ForeignKey(Letter, models.PROTECT, related_name="deliveries")
    #: kept when the register forgets the contact
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="+")
    message = models.OneToOneField(Message, models.PROTECT, related_name="+")
    put_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    put_at = models.DateTimeField()
    #: what putting it there put on record as done
    done = models.ForeignKey("casework.Done", models.PROTECT, null=True, related_name="+")
    #: taken back while it waited: by a person, or because nobody may be written to any more
    recalled_at = models.DateTimeField(null=True)

    objects = ScopedManager(student_path="letter__student")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["letter", "contact"], condition=Q(recalled_at=None), name="one_delivery_a_guardian")
        ]  # fmt: skip
