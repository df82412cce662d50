"""Alerts the nightly pass and live marks raise, and the verdicts people give on them."""

from __future__ import annotations

from fractions import Fraction

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from firstbell.access.scoped import ScopedManager
from firstbell.register.models import Calendar, Enrolment, School, Section, Student
from firstbell.watch.kinds import Clock, Kind


class Alert(models.Model):
    """One reason for a person to look. It ends in a verdict, in its own expiry, or withdrawn because its ground is gone."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ANSWERED = "answered", _("answered")
        WITHDRAWN = "withdrawn", _("withdrawn: its ground is gone")
        EXPIRED = "expired", _("expired")

    kind = models.CharField(max_length=20, choices=Kind)
    clock = models.CharField(max_length=10, choices=Clock)
    school = models.ForeignKey(School, models.CASCADE, related_name="alerts", db_index=False)  # see alert_list
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="+")
    #: empty for what belongs to the school itself (a roll not taken, a day many were away)
    student = models.ForeignKey(
        Student, models.CASCADE, null=True, related_name="alerts", db_index=False
    )  # see alert_student
    enrolment = models.ForeignKey(Enrolment, models.CASCADE, null=True, related_name="+")
    section = models.ForeignKey(Section, models.CASCADE, null=True, related_name="+", db_index=False)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    #: what there is now, how many there could have been, and the usual: the figures in the sentence, exact
    count = models.IntegerField()
    of = models.IntegerField()
    usual_count = models.IntegerField(default=0)
    usual_of = models.IntegerField(default=0)
    #: Monday is 1; 0 where the kind is not about a weekday
    weekday = models.PositiveSmallIntegerField(default=0)
    #: session of the day, counted from 0, where the kind is about one
    session = models.PositiveSmallIntegerField(null=True)
    #: the days behind it with their letters as known then, as `signals.told` writes them
    days = models.TextField(blank=True)
    #: the line it speaks of, as "pack/rule"; empty for most kinds
    rule = models.CharField(max_length=80, blank=True)
    #: "lately:3/10 unexplained:2/0": what moved the forecast most, in order (forecast.reasons); empty where there is none
    why = models.CharField(max_length=200, blank=True)
    #: how bad, in the kind's own unit; only to say whether an answered alert got worse, and to order the list
    measure = models.IntegerField()
    opened_at = models.DateTimeField()
    #: when the figures above were last written; while `expires_on` is empty they are as of its calendar's last look (watch.lasting)
    as_of = models.DateField()
    #: which knowledge it used: marks recorded through this second
    known_through = models.DateTimeField()
    #: how many whole school days were read; empty where no pass said it
    through = models.PositiveSmallIntegerField(null=True)
    #: empty while its ground stands
    expires_on = models.DateField(null=True)
    closed_at = models.DateTimeField(null=True)
    #: why it was withdrawn, in words
    closing = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=0)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [
            models.Index(fields=["school", "state", "clock"], name="alert_list"),
            models.Index(fields=["student", "state"], name="alert_student"),
            models.Index(fields=["section"], name="alert_section", condition=models.Q(section__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["student", "kind", "school", "rule"],
                condition=models.Q(state="open", student__isnull=False),
                name="one_open_alert_a_kind",
            ),
        ]


class Verdict(models.Model):
    """What a person decided about an alert, and why. Never changed: a second thought is a second verdict."""

    class Decision(models.TextChoices):
        ACT = "act", _("act")
        WATCH = "watch", _("watch until")
        NO_CONCERN = "no_concern", _("not a concern")
        WRONG_DATA = "wrong_data", _("the data is wrong")

    alert = models.ForeignKey(Alert, models.PROTECT, related_name="verdicts")
    student = models.ForeignKey(Student, models.PROTECT, null=True, related_name="verdicts")
    decision = models.CharField(max_length=12, choices=Decision)
    reason = models.TextField()
    watch_until = models.DateField(null=True)
    #: the alert's measure when it was answered: it comes back only if it gets worse than this
    measure = models.IntegerField()
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="verdicts")
    given_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["student", "given_at"], name="verdict_student")]


class Concern(models.Model):
    """A teacher's word that something is off with a student of theirs. No text: what is behind it is for talking."""

    class Word(models.TextChoices):
        NOT_THEMSELVES = "not_themselves", _("not themselves")
        TIRED = "tired", _("tired or hungry")
        ALONE = "alone", _("alone, or in trouble with others")
        ASK_ME = "ask_me", _("something else: ask me")

    student = models.ForeignKey(Student, models.CASCADE, related_name="concerns")
    school = models.ForeignKey(School, models.CASCADE, related_name="+")
    section = models.ForeignKey(Section, models.CASCADE, related_name="+")
    word = models.CharField(max_length=20, choices=Word)
    said_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    said_on = models.DateField()
    said_at = models.DateTimeField()
    taken_back_at = models.DateTimeField(null=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["school", "said_at"], name="concern_recent")]


class Draw(models.Model):
    """One week's draw of students for a look (watch.drawing): by which seed, and whom it could have fallen on."""

    class By(models.TextChoices):
        """What the strata of those not listed were cut by."""

        CHANCE = "chance", _("the forecast’s chance")
        COUNT = "count", _("the count so far")

    #: its Monday
    week = models.DateField(unique=True)
    drawn_at = models.DateTimeField()
    #: the same seed over the same register draws the same students
    seed = models.BigIntegerField()
    by = models.CharField(max_length=10, choices=By)
    #: the number of the model that was asked; empty where there was none
    model = models.PositiveIntegerField(null=True)


class DrawStratum(models.Model):
    """One stratum of a draw: `taken` of `size` students, each as likely as any other."""

    draw = models.ForeignKey(Draw, models.CASCADE, related_name="strata")
    name = models.CharField(max_length=10)
    size = models.PositiveIntegerField()
    taken = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["draw", "name"], name="one_stratum_a_draw")]

    @property
    def inclusion(self) -> Fraction:
        """The chance each of its students had of being drawn, exactly."""
        return Fraction(self.taken, self.size)


class LookOver(models.Model):
    """A student drawn for a look. The answer is the alert's verdict. What stands here is for the audit and on no page about a student."""

    stratum = models.ForeignKey(DrawStratum, models.CASCADE, related_name="looks")
    student = models.ForeignKey(Student, models.CASCADE, related_name="looks")
    alert = models.OneToOneField(Alert, models.CASCADE, related_name="look")
    #: what the forecast said that morning: its band, and its chance; empty where there was no model
    band = models.CharField(max_length=12, blank=True)
    chance = models.FloatField(null=True)
    #: unexcused days so far
    count = models.PositiveIntegerField()

    objects = ScopedManager(student_path="student")


class CalendarSummary(models.Model):
    """A closed calendar in a few numbers a student (watch.history), and `Calendar.folds` when it was made."""

    calendar = models.OneToOneField(Calendar, models.CASCADE, primary_key=True, related_name="summary")
    folds = models.PositiveBigIntegerField()
    days = models.BinaryField()


class CalendarPass(models.Model):
    """The last look over a whole calendar, and what the last pass had read of it: while it reads just the same, it would say the same, and passes on."""

    calendar = models.OneToOneField(Calendar, models.CASCADE, primary_key=True, related_name="last_pass")
    school = models.ForeignKey(School, models.CASCADE, related_name="+")
    #: a digest of the register and what else was read; and the school's `SchoolChange` after it
    read = models.CharField(max_length=64)
    change = models.BigIntegerField()
    #: from this day on something that stands expires or wakes by itself
    wakes = models.DateField()
    #: the look: of which day, knowing marks recorded through which moment, over how many whole school days (watch.lasting)
    as_of = models.DateField(null=True)
    known_through = models.DateTimeField(null=True)
    through = models.PositiveSmallIntegerField(null=True)


class Pass(models.Model):
    """One run of the nightly pass: over what, known through when, how long."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    as_of = models.DateField()
    students = models.IntegerField(default=0)
    opened = models.IntegerField(default=0)
    withdrawn = models.IntegerField(default=0)


class SchoolChange(models.Model):
    """A counter a school's pages watch: it goes up when a mark, a roll or an alert of that school changes."""

    school = models.OneToOneField(School, models.CASCADE, primary_key=True)
    number = models.BigIntegerField(default=0)


class LawInForce(models.Model):
    """From which day through which the district goes by which pack, with its own rules: what casework tells watch of it, without a gap it
    does not mean and without an overlap."""

    pack = models.CharField(max_length=60)
    overlay = models.TextField(blank=True)
    first = models.DateField(unique=True)
    last = models.DateField(null=True)
