"""What a district has decided about the law, which lines its students have reached, and what people did about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from firstbell.access.scoped import ScopedManager
from firstbell.casework.letters.models import Delivery, Letter, LetterWord
from firstbell.register.models import Contact, School, Student

__all__ = ["Adoption", "Delivery", "Done", "DoneTo", "Firing", "Letter", "LetterWord", "Protection"]


class Adoption(models.Model):
    """A pack this district goes by from a day on, perhaps with rules of its own. One person proposes it, another approves it."""

    pack = models.CharField(max_length=40)
    #: the district's own file on top of the pack (law.packs.Overlay), as TOML; empty: the pack as it is
    overlay = models.TextField(blank=True)
    starts = models.DateField()
    ends = models.DateField(null=True)
    #: counsel's word that pack and overlay are right here; without it every page says that nobody verified it
    verified_by = models.CharField(max_length=200, blank=True)
    verified_on = models.DateField(null=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField()
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    refused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    refused_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)
    #: why it was refused, withdrawn, or given an end
    why = models.TextField(blank=True)
    #: somebody asks that what was approved be stopped, and waits for a second lead: with a last day, or (null) withdrawn at once
    stop_asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    stop_asked_at = models.DateTimeField(null=True)
    stop_last = models.DateField(null=True)
    stop_why = models.TextField(blank=True)
    #: of what `adopted.adopted` found: which own rules on this pack were in force from when through when, until the day asked about
    own_rules: Sequence[tuple[date, date | None, str]] = ()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends=None) | Q(ends__gte=models.F("starts")), name="adoption_in_order")
        ]

    @property
    def waits(self) -> bool:
        """For somebody else's approval."""
        return self.approved_at is None and self.refused_at is None and self.withdrawn_at is None

    @property
    def stop_waits(self) -> bool:
        """For a second lead's yes or no. What was agreed keeps who asked for it."""
        agreed = self.withdrawn_at is not None or (self.stop_last is not None and self.ends == self.stop_last)
        return self.stop_asked_at is not None and not agreed


class Protection(models.Model):
    """Something about a student under which the law forbids or changes steps. Closed to all but officers; each read is audited."""

    class Flag(models.TextChoices):
        HOMELESS = "homeless", _("without a fixed home")
        FOSTER = "foster", _("in foster care")
        PREGNANT = "pregnant", _("pregnant or a parent")
        SEVERE_ILLNESS = "severe_illness", _("severely ill, or in treatment for it")
        PRINCIPAL_EARNER = "principal_earner", _("earns the family’s living")
        IEP = "iep", _("has an IEP")
        SECTION_504 = "section_504", _("has a 504 plan")
        DISABILITY = "disability", _("living with a disability")
        HOMEBOUND = "homebound", _("taught at home")
        HOSPITAL = "hospital", _("taught in hospital")
        DISTANCE_EDUCATION = "distance_education", _("in distance education")
        ALTERNATIVE_PROGRAM = "alternative_program", _("in an alternative program")
        EXEMPTION = "exemption", _("exempt from attending")
        EXEMPTION_CERTIFICATE = "exemption_certificate", _("exempt, with a certificate")
        PARENT_PERMISSION_16 = "parent_permission_16", _("sixteen, and allowed by a parent to leave")
        ENGAGING_WITH_SUPPORT = "engaging_with_support", _("taking up the support offered")
        BEREAVED = "bereaved", _("in mourning")

    student = models.ForeignKey(Student, models.CASCADE, related_name="protections")
    flag = models.CharField(max_length=30, choices=Flag)
    starts = models.DateField()
    ends = models.DateField(null=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["student"], name="protection_student")]


class Done(models.Model):
    """Something a person did for a student: a call, a meeting, help offered, a letter. Never deleted; it can be taken back."""

    student = models.ForeignKey(Student, models.CASCADE, related_name="done", db_index=False)
    #: the kind of evidence a pack names (law.clock.Evidence)
    kind = models.CharField(max_length=60)
    #: the rule it was done about, as "pack/rule"; empty: whatever asks for it
    rule = models.CharField(max_length=100, blank=True)
    on = models.DateField()
    note = models.TextField(blank=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    #: the page it was sent from: sent twice, it is one
    key = models.CharField(max_length=40)
    #: of a sanction: the office it was put on record in, as a letter keeps it (`signatures.signs_as`)
    recorded_as = models.TextField(blank=True)
    #: the office whose confirmation is missing yet, in the pack's words: until it is given this counts for nothing
    waits_for = models.TextField(blank=True)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True)
    confirmed_as = models.TextField(blank=True)
    #: where an institution outside signed, and nobody here holds its office: whose signature its paper bears, as who confirmed it wrote
    signature = models.TextField(blank=True)

    objects = ScopedManager(student_path="student")
    #: of what the law is told
    COUNTS: ClassVar = {"withdrawn_at": None, "waits_for": ""}

    class Meta:
        indexes = [models.Index(fields=["student", "on"], name="done_student")]
        constraints = [models.UniqueConstraint(fields=["student", "key"], name="one_deed_a_key")]

    @property
    def word(self) -> str:
        from firstbell.casework.words import evidence_word

        return evidence_word(self.kind)


class DoneTo(models.Model):
    """A guardian something was done to. Of a deed that names nobody there is none, and it counts for each."""

    done = models.ForeignKey(Done, models.CASCADE, related_name="to")
    #: kept when the register forgets the contact: what was done to one parent was not done to all
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="+")

    objects = ScopedManager(student_path="done__student")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["done", "contact"], name="one_name_a_deed")]


class Firing(models.Model):
    """A student reached a line, by what was known then. Kept for good: where a corrected mark undoes it, it is superseded."""

    student = models.ForeignKey(Student, models.CASCADE, related_name="firings", db_index=False)
    school = models.ForeignKey(School, models.CASCADE, related_name="+", db_index=False)
    pack = models.CharField(max_length=40)
    version = models.CharField(max_length=10)
    rule = models.CharField(max_length=60)
    #: of the pack's file with the district's own, so that anybody can see by which words it was reckoned
    pack_sha256 = models.CharField(max_length=64)
    fired_on = models.DateField()
    #: exact, as "10" or "61/2"; what was counted, and the days: "2026-10-05 2026-10-06"
    count = models.CharField(max_length=20)
    threshold = models.CharField(max_length=20)
    marks = models.TextField(blank=True)
    found_at = models.DateTimeField()
    #: what it asked for when it was last looked at (law.clock.Status), and by when; the night, and every deed, look again
    status = models.CharField(max_length=20, blank=True)
    due = models.DateField(null=True)
    superseded_at = models.DateTimeField(null=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["school", "superseded_at"], name="firing_school")]
        constraints = [
            models.UniqueConstraint(
                fields=["student", "pack", "rule", "fired_on"], condition=Q(superseded_at=None), name="one_firing_a_day"
            )
        ]


class ReplayRun(models.Model):
    """A rule replayed over a year of the register, as it was asked. No student is named in it, and no small number stands in it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for its turn")
        RUNNING = "running", _("is being replayed")
        DONE = "done", _("done")
        FAILED = "failed", _("could not be replayed")

    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    #: the page it was asked from: sent twice, it is one
    key = models.CharField(max_length=40)
    pack = models.CharField(max_length=40)
    version = models.CharField(max_length=10)
    overlay = models.TextField(blank=True)
    #: a line tried instead of the pack's: the rule, and the number ("12", "1/12")
    rule = models.CharField(max_length=60, blank=True)
    line = models.CharField(max_length=20, blank=True)
    #: the school year, by the calendar year it ends in
    year = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    problem = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)
    #: the export itself, as JSON: what the page shows is read from it, so that both say the same
    result = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["asked_by", "key"], name="one_replay_a_key")]
