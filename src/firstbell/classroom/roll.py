"""What a teacher's roll page shows, and what a submitted roll means."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q

from firstbell import clock
from firstbell.access.models import User
from firstbell.access.policy import sections_for
from firstbell.register import rows as register_rows
from firstbell.register.actions import DESK, NewMark, meaning_of
from firstbell.register.marks import LegalStatus, Mark, PartSession, Presence
from firstbell.register.models import RegisterRow, RollState, Section, SectionEnrolment, Student
from firstbell.watch import live
from firstbell.watch.models import Concern
from firstbell.watch.passes import current_year, session_times

WHY = "the teacher's own class"
#: What a teacher can say of a student. Why somebody is away is for the office and the family to say.
CHOICES: dict[str, Mark] = {
    "P": Mark(Presence.PRESENT),
    "N": Mark(Presence.ABSENT, LegalStatus.PENDING),
    "T": Mark(Presence.PRESENT, part=PartSession.LATE),
}


@dataclass(frozen=True, slots=True)
class Lesson:
    """A class meeting in one session of a day."""

    section: Section
    day: date
    session: int
    begins: datetime
    taken: bool


@dataclass(frozen=True, slots=True)
class Seat:
    """One student on the roll, with what the register says of the square now."""

    student: Student
    letter: str

    @property
    def choice(self) -> str:
        """The choice the page starts from: away or late as known, else present."""
        return "T" if self.letter == "T" else "N" if self.letter in "NU" and self.letter.strip() else "P"

    @property
    def settled(self) -> bool:
        """The office has already said something a teacher's tap would not know better: excused, suspended, on a trip."""
        return self.letter in ("E", "X", "S", "F", "I", "L", "H")


def lessons(user: User) -> list[Lesson]:
    """Today's lessons of a teacher, in the order of the day."""
    found: list[Lesson] = []
    year = current_year(clock.now().date())
    if year is None:
        return found
    sections = sections_for(user).filter(calendar__school_year=year).select_related("calendar__school")
    times: dict[tuple[int, date], list[datetime]] = {}
    taken = set(
        RollState.objects.filter(section__in=sections, taken=True, date__gte=clock.now().date() - timedelta(days=1))
        .values_list("section_id", "date", "session")
    )  # fmt: skip
    for section in sections:
        calendar = section.calendar
        day = clock.today(calendar.school.zone)
        if (calendar.pk, day) not in times:
            is_school_day = day in register_rows.columns(calendar).index
            times[calendar.pk, day] = session_times(calendar, day) if is_school_day else []
        for session in section.session_numbers:
            if session < len(times[calendar.pk, day]):
                done = (section.pk, day, session) in taken or (section.pk, day, None) in taken
                found.append(Lesson(section, day, session, times[calendar.pk, day][session], done))
    return sorted(found, key=lambda lesson: (lesson.begins, lesson.section.title))


def seats(section: Section, day: date, session: int) -> list[Seat]:
    """The class on a day, in order of name."""
    members = SectionEnrolment.objects.system(WHY).filter(section=section, starts__lte=day)
    students = {m.student_id: m.student for m in members.select_related("student") if m.ends is None or m.ends >= day}
    column = register_rows.columns(section.calendar)
    at = column.index[day] * section.calendar.sessions + session
    letters: dict[int, str] = {}
    found = RegisterRow.objects.system(WHY).filter(calendar=section.calendar, student_id__in=students)
    for student_id, codes in found.values_list("student_id", "codes"):
        if codes[at] != "#" or student_id not in letters:
            letters[student_id] = codes[at]
    made = [Seat(student, letters.get(pk, " ")) for pk, student in students.items() if letters.get(pk) != "#"]
    return sorted(made, key=lambda seat: (seat.student.family_name, seat.student.given_name))


def take(section: Section, day: date, session: int, choices: dict[int, str], *, by: User, key: str) -> bool:
    """Record a roll. Students whose choice says what the register says already get no new mark; what the office has settled
    stands unless the teacher says otherwise by name."""
    now = clock.seconds(clock.now())
    exceptions: list[NewMark] = []
    present: list[NewMark] = []
    for seat in seats(section, day, session):
        choice = choices.get(seat.student.pk, "P")
        if choice not in CHOICES or choice == seat.letter or (seat.settled and choice == "P"):
            continue
        if choice == "P" and seat.letter in " P":
            continue
        if choice == "N" and seat.letter in "NUE":
            continue
        meaning = meaning_of(CHOICES[choice], DESK, choice)
        word = NewMark(seat.student.pk, day, session, meaning.pk, now, f"user:{by.pk}")
        (present if choice == "P" else exceptions).append(word)
    return live.roll(section, day, session, exceptions=exceptions, present=present, by=by, key=key)


def member(section: Section, student: int) -> Student | None:
    """A student of this class today."""
    day = clock.today(section.calendar.school.zone)
    found = SectionEnrolment.objects.system(WHY).filter(section=section, student=student, starts__lte=day)
    seat = found.filter(Q(ends=None) | Q(ends__gte=day)).select_related("student").first()
    return seat.student if seat else None


def concerns_today(section: Section, user: User) -> dict[int, list[Concern]]:
    """What this teacher has said of the class today, by student."""
    day = clock.today(section.calendar.school.zone)
    said: dict[int, list[Concern]] = defaultdict(list)
    mine = Concern.objects.system(WHY).filter(section=section, said_by=user, said_on=day, taken_back_at=None)
    for concern in mine.select_related("section__calendar__school").order_by("-said_at"):
        said[concern.student_id].append(concern)
    return said
