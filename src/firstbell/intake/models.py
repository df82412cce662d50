"""Deliveries of a school system's data: where they came from, what was refused, what each code means."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from firstbell.intake.fields import SaidField
from firstbell.register import marks
from firstbell.register.models import Calendar, School, Student, _choices


class Source(models.Model):
    """A system that sends data, and what has been settled about how it speaks."""

    class Kind(models.TextChoices):
        ONEROSTER = "oneroster", _("OneRoster files")
        EDFI = "edfi", _("Ed-Fi interchange")
        SPREADSHEET = "spreadsheet", _("spreadsheet")

    class CodeSet(models.TextChoices):
        """The built-in sets (intake/codes/*.toml)."""

        SIMPLE = "simple", _("P, T, E, U and what they come down to")
        EDFI = "edfi", _("Ed-Fi descriptors")
        CEDS = "ceds", _("CEDS attendance status")
        DFE = "dfe", _("England: the DfE's codes")

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=20, choices=Kind)
    sends = models.CharField(max_length=12, choices=Calendar.Sends, blank=True)
    #: the built-in set that local mappings are laid over; empty until somebody or a source.toml said which
    code_set = models.CharField(max_length=30, choices=CodeSet, blank=True)
    #: "student=Pupil ID;date=Date": a spreadsheet's columns as a person confirmed them
    columns = models.TextField(blank=True)
    date_order = models.CharField(max_length=3, blank=True)
    #: schools it has sent anything of
    schools = models.ManyToManyField(School, related_name="sources")
    #: through this day it has said all it has to say
    covered_through = models.DateField(null=True)
    #: bounds a person raised for this source, by name: "vanished_students=0.2"
    bounds = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def usual_code_set(self) -> str:
        """The set in use where nobody has said which."""
        return self.CodeSet.EDFI if self.kind == self.Kind.EDFI else self.CodeSet.SIMPLE


class CodeMapping(models.Model):
    """What one local code of a source means, as a person decided."""

    source = models.ForeignKey(Source, models.CASCADE, related_name="mappings")
    code = models.CharField(max_length=120)
    presence = models.CharField(max_length=10, choices=_choices(marks.Presence))
    legal_status = models.CharField(max_length=20, choices=_choices(marks.LegalStatus), default="n/a")
    part = models.CharField(max_length=12, choices=_choices(marks.PartSession), default="none")
    expected = models.CharField(max_length=20, choices=_choices(marks.Expected), default="expected")
    reason = models.CharField(max_length=120, blank=True)
    disciplinary = models.CharField(max_length=12, choices=_choices(marks.Disciplinary), default="none")
    location = models.CharField(max_length=20, choices=_choices(marks.Location), default="onsite")
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "code"], name="one_mapping_a_code")]


class Import(models.Model):
    """One delivery's way through intake. Nothing of it is in the register until `applied`."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        STAGED = "staged", _("ready to apply")
        HELD = "held", _("held: a bound was passed")
        QUEUED = "queued", _("being applied")
        APPLIED = "applied", _("applied")
        REFUSED = "refused", _("refused")
        CANCELLED = "cancelled", _("cancelled")

    source = models.ForeignKey(Source, models.PROTECT, related_name="imports")
    name = models.CharField(max_length=200)
    #: where the received bytes lie, below FIRSTBELL_HOME/intake, under the import's own number
    path = models.CharField(max_length=400, blank=True)
    digest = models.CharField(max_length=64, db_index=True)
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    received_at = models.DateTimeField()
    received_by = models.CharField(max_length=200)
    applied_at = models.DateTimeField(null=True)
    applied_by = models.CharField(max_length=200, blank=True)
    #: the last day this delivery says everything about, where somebody said so
    complete_through = models.DateField(null=True)
    #: empty but for a retry of rows that waited, which brings no files of its own
    retry = models.BooleanField(default=False)
    #: what stands in the way, in words, naming the bound or the file, line and column
    problem = SaidField(blank=True)

    @property
    def title(self) -> str:
        return str(_("rows that waited")) if self.retry else self.name


class Tally(models.Model):
    """Every row of one file (or kind of record) accounted for: read = applied + unchanged + refused + waiting + unused."""

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="tallies")
    file = models.CharField(max_length=200)
    kind = models.CharField(max_length=60)
    read = models.BigIntegerField(default=0)
    new = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    waiting = models.BigIntegerField(default=0)
    #: read and understood, but nothing Firstbell keeps (a middle name, a grade book)
    unused = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "file", "kind"], name="one_tally_a_file")]


class Notice(models.Model):
    """A remark about a delivery that refuses nothing: a header read as another, a manifest that disagrees."""

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="notices")
    file = models.CharField(max_length=200)
    text = SaidField()


class KeptRow(models.Model):
    """A row that did not get in, whole, with the reason. Refused rows go back to the sender; waiting ones are retried:
    those whose code isn't mapped yet when it is, those that name someone not yet known when they are."""

    class Why(models.TextChoices):
        REFUSED = "refused", _("refused")
        UNMAPPED = "unmapped", _("code not mapped")
        UNKNOWN_REFERENCE = "unknown", _("names someone not yet known")

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="kept_rows")
    why = models.CharField(max_length=10, choices=Why)
    file = models.CharField(max_length=200)
    line = models.PositiveBigIntegerField()
    column = models.CharField(max_length=120, blank=True)
    value = models.CharField(max_length=300, blank=True)
    reason = SaidField()
    #: the row as it came, CSV
    row = models.TextField(blank=True)
    #: what was read, for a row that waits: the kind of record (staging.KINDS) and its fields as one CSV line
    kind = models.CharField(max_length=20, blank=True)
    record = models.TextField(blank=True)
    #: applied by this later import
    settled_by = models.ForeignKey(Import, models.SET_NULL, null=True, related_name="settled_rows")

    class Meta:
        indexes = [models.Index(fields=["delivery", "why"], name="kept_why")]


class Measure(models.Model):
    """A figure of a delivery that later deliveries of its source are held against (intake.bounds)."""

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="measures")
    name = models.CharField(max_length=120)
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "name"], name="one_measure_a_name")]


class PassedBound(models.Model):
    """A bound a delivery passed: why it is held, and who let it through with which reason."""

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="passed_bounds")
    name = models.CharField(max_length=60)
    words = SaidField()
    accepted_by = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)


class MissingStudent(models.Model):
    """A student the register knows whom a full delivery of their school no longer names: kept, and listed here."""

    delivery = models.ForeignKey(Import, models.CASCADE, related_name="missing")
    student = models.ForeignKey(Student, models.CASCADE, related_name="+")
    school = models.ForeignKey(School, models.CASCADE, related_name="+", null=True)
