"""The facts: schools, calendars, students, enrolments, marks, and the register rows folded from them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.db import models
from django.utils.translation import gettext_lazy as _

from firstbell.access.scoped import ScopedManager
from firstbell.register import marks


def _choices(enum: type) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in enum]


class District(models.Model):
    source_id = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=60, default="UTC")


class School(models.Model):
    source_id = models.CharField(max_length=100, unique=True)
    district = models.ForeignKey(District, models.PROTECT, related_name="schools")
    name = models.CharField(max_length=200)
    identifier = models.CharField(max_length=60, blank=True)
    time_zone = models.CharField(max_length=60, default="UTC")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def __str__(self) -> str:
        return self.name


class SchoolYear(models.Model):
    """Named by the calendar year it ends in, as OneRoster and CEDS do: 2027 is 2026–27."""

    ends_in = models.PositiveSmallIntegerField(unique=True)
    starts = models.DateField()
    ends = models.DateField()

    def __str__(self) -> str:
        return f"{self.ends_in - 1}–{self.ends_in % 100:02d}"


class Term(models.Model):
    """A term, semester or grading period as the source sends it."""

    source_id = models.CharField(max_length=100, unique=True)
    school_year = models.ForeignKey(SchoolYear, models.CASCADE, related_name="terms")
    title = models.CharField(max_length=120)
    kind = models.CharField(max_length=30)
    starts = models.DateField()
    ends = models.DateField()


class Calendar(models.Model):
    """One school's days of one school year. Its school days, in order, are the columns of that school's grid."""

    class Sends(models.TextChoices):
        """What a day without a row means (negative attendance)."""

        EXCEPTIONS = "exceptions", _("only exceptions: no row means present")
        ROLLS = "rolls", _("exceptions, and which rolls were taken: no row means present once the roll was taken")
        EVERY_MARK = "every_mark", _("every mark: no row means not known")

    school = models.ForeignKey(School, models.CASCADE, related_name="calendars")
    school_year = models.ForeignKey(SchoolYear, models.PROTECT, related_name="calendars")
    sessions = models.PositiveSmallIntegerField(default=1)
    #: "08:10 12:45": the session's start by the school's clock; empty where the source doesn't say
    session_starts = models.CharField(max_length=200, blank=True)
    #: "150 165": scheduled minutes a session
    session_minutes = models.CharField(max_length=200, blank=True)
    #: through this day a source that sends only exceptions has said all it has to say; null: no such claim
    covered_through = models.DateField(null=True)
    inferred = models.BooleanField(default=False)
    #: how often its register rows were folded anew: who kept what they say knows by it whether that still holds
    folds = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["school", "school_year"], name="one_calendar_a_school_year")]


class DayType(models.TextChoices):
    """Ed-Fi CalendarEventDescriptor, in its own words."""

    INSTRUCTIONAL = "instructional", _("school day")
    MAKE_UP = "make_up", _("make-up day")
    LATE_OR_EARLY = "late_or_early", _("late arrival or early dismissal")
    HOLIDAY = "holiday", _("holiday")
    WEATHER = "weather", _("weather day")
    EMERGENCY = "emergency", _("emergency closure")
    STRIKE = "strike", _("strike")
    TEACHER_ONLY = "teacher_only", _("teachers only")
    NON_INSTRUCTIONAL = "non_instructional", _("no school")
    OTHER = "other", _("other")


#: Days that count as school days (Ed-Fi: Instructional day, Make-up day, Student late arrival/early dismissal).
SCHOOL_DAY_TYPES = frozenset({DayType.INSTRUCTIONAL, DayType.MAKE_UP, DayType.LATE_OR_EARLY})


class CalendarDay(models.Model):
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="days")
    date = models.DateField()
    day_type = models.CharField(max_length=20, choices=DayType)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="one_type_a_day")]


class Student(models.Model):
    source_id = models.CharField(max_length=100, unique=True)
    number = models.CharField(max_length=60, blank=True, db_index=True)
    given_name = models.CharField(max_length=120)
    family_name = models.CharField(max_length=120)
    preferred_name = models.CharField(max_length=120, blank=True)
    birth_date = models.DateField(null=True)
    home_language = models.CharField(max_length=20, blank=True)
    #: as the source gives it now; an enrolment keeps the grade of its own year
    grade = models.CharField(max_length=10, blank=True)
    #: the last delivery of the student's source did not name them; they stay, and are listed
    missing_since = models.DateField(null=True)
    #: the source said they are gone
    withdrawn_on = models.DateField(null=True)

    objects = ScopedManager(student_path="")

    @property
    def name(self) -> str:
        return f"{self.preferred_name or self.given_name} {self.family_name}"

    def __str__(self) -> str:
        return f"student {self.pk}"  # a name here would travel into logs and error pages


class Contact(models.Model):
    source_id = models.CharField(max_length=100, unique=True)
    given_name = models.CharField(max_length=120)
    family_name = models.CharField(max_length=120)
    phone = models.CharField(max_length=40, blank=True)
    email = models.CharField(max_length=254, blank=True)
    #: where post reaches them: the lines below the name, in the order and the script the source gives them
    address = models.TextField(max_length=500, blank=True)
    language = models.CharField(max_length=20, blank=True)
    students = models.ManyToManyField(Student, through="ContactLink", related_name="contacts")

    objects = ScopedManager(student_path="links__student")

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    def __str__(self) -> str:
        return f"contact {self.pk}"


class ContactLink(models.Model):
    """A contact's tie to one student. Under no-contact nothing is ever shown to or sent to that person about them."""

    student = models.ForeignKey(Student, models.CASCADE, related_name="links")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="links")
    relation = models.CharField(max_length=60, blank=True)
    no_contact = models.BooleanField(default=False)

    objects = ScopedManager(student_path="student")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "contact"], name="one_link_a_pair")]


class Enrolment(models.Model):
    """A student on a school's roll from a day through a day (inclusive). Several a year, and concurrent, are usual."""

    student = models.ForeignKey(Student, models.CASCADE, related_name="enrolments")
    school = models.ForeignKey(School, models.PROTECT, related_name="enrolments")
    grade = models.CharField(max_length=10, blank=True)
    starts = models.DateField()
    ends = models.DateField(null=True)
    primary = models.BooleanField(default=True)
    inferred = models.BooleanField(default=False)

    objects = ScopedManager(student_path="student")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["student", "school", "starts"], name="one_enrolment_a_start")]
        indexes = [models.Index(fields=["school", "starts"], name="enrolment_school")]


class Staff(models.Model):
    source_id = models.CharField(max_length=100, unique=True)
    given_name = models.CharField(max_length=120)
    family_name = models.CharField(max_length=120)
    email = models.CharField(max_length=254, blank=True)

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


class Section(models.Model):
    """A class as taught: a homeroom, or a course in given sessions of the day."""

    source_id = models.CharField(max_length=100, unique=True)
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="sections")
    title = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, default="scheduled")
    #: "0 1": the sessions of the day this class meets in, counted from 0; empty: every session (a homeroom)
    sessions = models.CharField(max_length=60, blank=True)
    #: the days its terms span: what a seat without dates of its own means
    starts = models.DateField(null=True)
    ends = models.DateField(null=True)
    #: "09 10": the grades it is for
    grades = models.CharField(max_length=60, blank=True)
    teachers = models.ManyToManyField(Staff, related_name="sections")
    withdrawn = models.BooleanField(default=False)

    @property
    def session_numbers(self) -> tuple[int, ...]:
        return tuple(int(s) for s in self.sessions.split()) or tuple(range(self.calendar.sessions))


class SectionEnrolment(models.Model):
    section = models.ForeignKey(Section, models.CASCADE, related_name="members")
    student = models.ForeignKey(Student, models.CASCADE, related_name="section_enrolments")
    starts = models.DateField()
    ends = models.DateField(null=True)

    objects = ScopedManager(student_path="student")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["section", "student", "starts"], name="one_seat_a_start")]


class Meaning(models.Model):
    """What a source's code was taken to mean: the canonical mark (register.marks.Mark), kept as it was mapped then.

    A row is never changed. When a district maps a code anew, a new row is made, and earlier marks keep the old one.
    """

    source_name = models.CharField(max_length=60)
    source_code = models.CharField(max_length=120)
    presence = models.CharField(max_length=10, choices=_choices(marks.Presence))
    legal_status = models.CharField(max_length=20, choices=_choices(marks.LegalStatus))
    part = models.CharField(max_length=12, choices=_choices(marks.PartSession))
    expected = models.CharField(max_length=20, choices=_choices(marks.Expected))
    reason = models.CharField(max_length=120, blank=True)
    disciplinary = models.CharField(max_length=12, choices=_choices(marks.Disciplinary))
    location = models.CharField(max_length=20, choices=_choices(marks.Location))
    letter = models.CharField(max_length=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "source_name", "source_code", "presence", "legal_status", "part", "expected",
                    "reason", "disciplinary", "location",
                ],
                name="one_meaning",
            )
        ]  # fmt: skip

    @property
    def mark(self) -> marks.Mark:
        return marks.Mark(
            marks.Presence(self.presence),
            marks.LegalStatus(self.legal_status),
            marks.PartSession(self.part),
            marks.Expected(self.expected),
            self.reason,
            marks.Disciplinary(self.disciplinary),
            marks.Location(self.location),
        )


class MarkEvent(models.Model):
    """Somebody said something about one square. Append-only; a later word supersedes, it never replaces.

    Which event an event supersedes is not stored: it is the one before it in the square's history ordered by
    (recorded_at, fingerprint), so that history arriving late cannot leave a wrong pointer behind.
    """

    class Basis(models.TextChoices):
        STATED = "stated", _("the source says when")
        ASSUMED = "assumed", _("the source doesn't say; taken as the end of that school day")
        RECEIVED = "received", _("the source doesn't say; taken as when it reached Firstbell")

    calendar = models.ForeignKey(Calendar, models.PROTECT, related_name="+", db_index=False)
    student = models.ForeignKey(Student, models.PROTECT, related_name="mark_events", db_index=False)
    date = models.DateField()
    session = models.PositiveSmallIntegerField()
    meaning = models.ForeignKey(Meaning, models.PROTECT, related_name="+", db_index=False)
    minutes = models.PositiveSmallIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    #: seconds since 1970 UTC
    recorded_at = models.BigIntegerField()
    recorded_by = models.CharField(max_length=120, blank=True)
    basis = models.CharField(max_length=10, choices=Basis, default=Basis.STATED)
    #: the import that brought it; empty for a mark taken in Firstbell
    delivery = models.ForeignKey("intake.Import", models.PROTECT, null=True, related_name="+", db_index=False)
    #: 63 bits over everything above that a source says: the same word twice is one event
    fingerprint = models.BigIntegerField()

    objects = ScopedManager(student_path="student")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["calendar", "student", "fingerprint"], name="one_event_a_word"),
        ]


class UnreadMark(models.Model):
    """Something was said about a square that nobody can read: a code nobody has mapped, a row that was refused.

    In the square's history it makes the square unknown, until a word that can be read is said at the same moment or later: the
    row mapped, mended and sent again, or corrected. Never deleted.
    """

    calendar = models.ForeignKey(Calendar, models.PROTECT, related_name="+", db_index=False)
    student = models.ForeignKey(Student, models.PROTECT, related_name="unread_marks", db_index=False)
    date = models.DateField()
    session = models.PositiveSmallIntegerField()
    #: seconds since 1970 UTC; where the source doesn't say, the end of that school day
    recorded_at = models.BigIntegerField()

    objects = ScopedManager(student_path="student")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["calendar", "student", "date", "session", "recorded_at"], name="one_unread_a_moment"
            ),
        ]


class RollState(models.Model):
    """Whether a roll was taken: a fact of its own. Without it, on a day no source vouches for, no mark is unknown."""

    calendar = models.ForeignKey(Calendar, models.PROTECT, related_name="roll_states")
    #: empty: the whole school's
    section = models.ForeignKey(Section, models.PROTECT, null=True, related_name="roll_states")
    date = models.DateField()
    #: empty: every session of the day
    session = models.PositiveSmallIntegerField(null=True)
    taken = models.BooleanField()
    #: seconds since 1970 UTC
    recorded_at = models.BigIntegerField()
    recorded_by = models.CharField(max_length=120, blank=True)
    #: makes a double submit, or the same file twice, one fact
    key = models.CharField(max_length=120, unique=True)

    class Meta:
        indexes = [models.Index(fields=["calendar", "date"], name="roll_day")]


class RegisterRow(models.Model):
    """One enrolment's squares of one school year: the fold of its mark events, written in the same transaction.

    `codes` holds one letter a square (register.marks.LETTERS), day-major over the calendar's school days;
    `minutes`, where a source sends any, three characters a square.
    """

    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="rows")
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="rows")
    student = models.ForeignKey(Student, models.CASCADE, related_name="rows", db_index=False)
    codes = models.TextField()
    minutes = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=0)

    objects = ScopedManager(student_path="student")

    class Meta:
        indexes = [models.Index(fields=["student", "calendar"], name="register_row_whose")]
        constraints = [models.UniqueConstraint(fields=["calendar", "enrolment"], name="one_row_an_enrolment_year")]
