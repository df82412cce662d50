"""The night looks at whole schools; one student's page, and a deed, look at one student. Both keep the same record, to the letter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from firstbell import clock
from firstbell.access.models import User
from firstbell.casework import firings
from firstbell.casework.firings import look_at, look_over
from firstbell.casework.models import Adoption, Done, DoneTo, Firing, Protection
from firstbell.law.clock import positions
from firstbell.law.packs import versions
from firstbell.law.timeline import Timeline
from firstbell.register.grid import encode_minutes
from firstbell.register.models import Calendar, Enrolment, RegisterRow, School, Student, Term
from tests.build import a_calendar, a_school, a_user
from tests.casework.letters_scene import a_contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
WHY = "a test looks"
FIRST, BEFORE = date(2026, 8, 31), date(2025, 9, 1)
TODAY = date(2027, 1, 22)
WEEKS, STUDENTS = 30, 24
PACKS = ("us-il", "us-ca", "us-oh", "us-ma", "us-tx", "gb-eng")
LETTERS = "UUUUUEENNTTLHtlhXSIF "
Record = set[tuple[object, ...]]


@dataclass
class District:
    """Three schools, two of which share their days, through two years, with students who stay, come, go and change school."""

    pick: random.Random
    officer: User
    calendars: dict[tuple[int, int], Calendar] = field(default_factory=dict)  # school, year
    schools: list[School] = field(default_factory=list)

    def a_student(self) -> None:
        pick = self.pick
        student = Student.objects.system(WHY).create(
            source_id=f"S{pick.random()}", number="", given_name="Ana", family_name="Reyes",
            birth_date=pick.choice((None, date(2014, 1, 5), date(2008, 6, 1), date(2021, 1, 22))),
        )  # fmt: skip
        grade = pick.choice(("02", "06", "11"))
        last, here, next_ = (pick.randrange(3) for _ in range(3))
        if pick.random() < 0.8:
            last = here
        if pick.random() < 0.75:
            self._stay(student, last, 0, grade, BEFORE, None)
        if pick.random() < 0.8:
            self._stay(student, here, 1, grade, FIRST + timedelta(days=pick.choice((0, 0, 0, 40))), None)
        else:  # at two schools this year, or twice at one
            turn = FIRST + timedelta(days=pick.randint(10, 100))
            self._stay(student, here, 1, grade, FIRST, turn + timedelta(days=pick.choice((-1, -1, 6, -9))))
            self._stay(student, next_, 1, grade, turn + timedelta(days=7), None)

    def _stay(self, student: Student, school: int, year: int, grade: str, starts: date, ends: date | None) -> None:
        stay = Enrolment.objects.system(WHY).create(
            student=student, school=self.schools[school], starts=starts, ends=ends, grade=grade
        )
        RegisterRow.objects.system(WHY).create(
            enrolment=stay, calendar=self.calendars[school, year], student=student, **self.squares(school, year, starts, ends)
        )  # fmt: skip

    def squares(self, school: int, year: int, starts: date, ends: date | None) -> dict[str, str]:
        pick, calendar = self.pick, self.calendars[school, year]
        days = list(calendar.days.order_by("date").values_list("date", flat=True))
        codes, minutes, letter, rate = "", [], "P", pick.choice((0, 0.02, 0.1))
        for day in days:
            for _ in range(calendar.sessions):
                if not (letter != "P" and pick.random() < 0.6):
                    letter = pick.choice(LETTERS) if pick.random() < rate else "P"
                said = "#" if day < starts or (ends and day > ends) else " " if day >= TODAY else letter
                codes += said
                minutes.append(pick.choice((10, 31, 90)) if said in "TLHtlh" else 0)
        missed = np.array([minutes], dtype=np.uint16)
        return {
            "codes": codes,
            "minutes": encode_minutes(missed, missed > 0)[0] if missed.any() and pick.random() < 0.5 else "",
        }

    def something_is_done(self, student: Student) -> None:
        kind = self.pick.choice(
            ("notice", "conference", "penalty_notice", "support_offered", "report", "five_day_notice")
        )
        on = TODAY - timedelta(days=self.pick.randint(0, 90))
        done = Done.objects.system(WHY).create(
            student=student, kind=kind, on=on, recorded_by=self.officer, recorded_at=clock.now(), key=str(on) + kind
        )
        for link in student.links.all():
            if self.pick.random() < 0.5:
                DoneTo.objects.system(WHY).create(done=done, contact_id=link.contact_id)

    def a_family(self, student: Student) -> None:
        for name in ("Maria", "Jon")[: self.pick.randrange(3)]:
            a_contact(student, name, no_contact=self.pick.random() < 0.2)


@pytest.fixture
def district(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> District:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    made = District(random.Random(request.node.name), a_user())
    for k, name in enumerate(("Alder Primary", "Birch Primary", "Cedar Middle")):
        made.schools.append(a_school(name))
        for year, first in enumerate((BEFORE, FIRST)):
            start = first + timedelta(days=7 * (k == 2))
            calendar = a_calendar(made.schools[k], weeks=WEEKS, sessions=1 + (k == 2), start=start)
            calendar.session_minutes = "390" if k < 2 else "200 190"
            calendar.save()
            made.calendars[k, year] = calendar
    year = made.calendars[0, 1].school_year
    for n in range(4):
        starts = FIRST + timedelta(days=49 * n)
        Term.objects.create(
            source_id=f"t{n}",
            school_year=year,
            title=f"Q{n}",
            kind="quarter",
            starts=starts,
            ends=starts + timedelta(days=46),
        )
    for _ in range(STUDENTS):
        made.a_student()
    for student in Student.objects.system(WHY).order_by("pk"):
        made.a_family(student)
        if made.pick.random() < 0.4:
            made.something_is_done(student)
        if made.pick.random() < 0.2:
            flag = made.pick.choice(("homeless", "iep", "exemption", "disability"))
            Protection.objects.system(WHY).create(
                student=student, flag=flag, starts=FIRST, recorded_by=made.officer, recorded_at=clock.now(),
                ends=made.pick.choice((None, TODAY, TODAY - timedelta(days=1))),
            )  # fmt: skip
    return made


def record() -> Record:
    return set(
        Firing.objects.system(WHY).filter(superseded_at=None).values_list(
            "student_id", "school_id", "pack", "version", "rule", "pack_sha256", "fired_on", "count", "threshold", "marks", "status", "due"
        )
    )  # fmt: skip


def one_by_one() -> Record:
    """The record as it is when each student is looked at alone, and nothing had been kept."""
    had = list(Firing.objects.system(WHY).all())
    Firing.objects.system(WHY).all().delete()
    for student in Student.objects.system(WHY).prefetch_related("enrolments"):
        look_at(student, TODAY)
    found = record()
    Firing.objects.system(WHY).all().delete()
    Firing.objects.system(WHY).bulk_create(had)
    return found


def close(calendar: Calendar, day: date) -> None:
    """A day to come is no school day after all: its squares go from the rows."""
    days = list(calendar.days.order_by("date").values_list("date", flat=True))
    if day not in days:
        return
    calendar.days.get(date=day).delete()
    at = days.index(day) * calendar.sessions
    for row in RegisterRow.objects.system(WHY).filter(calendar=calendar):
        row.codes = row.codes[:at] + row.codes[at + calendar.sessions :]
        row.minutes = row.minutes[: 3 * at] + row.minutes[3 * (at + calendar.sessions) :]
        row.save()


def steps_of(found: Record) -> Record:
    """But for where, and of what, a line was when it was found: that stays as it was found."""
    return {(f[0], *f[2:7], *f[10:]) for f in found}


def adopt(pack: str) -> None:
    Adoption.objects.create(pack=pack, starts=BEFORE, proposed_at=clock.now(), approved_at=clock.now())


@pytest.mark.parametrize("pack", PACKS)
def test_the_night_keeps_what_one_look_at_each_student_keeps(district: District, pack: str) -> None:
    adopt(pack)
    looked = look_over()
    assert looked.students == STUDENTS - _not_here()
    assert record() == one_by_one()
    assert record()
    assert look_over().reached == look_over().superseded == 0

    for row in RegisterRow.objects.system(WHY).filter(calendar__school_year__ends_in=2027).order_by("pk"):
        if district.pick.random() < 0.3:  # what was said of them is corrected
            at = next(key for key, c in district.calendars.items() if c.pk == row.calendar_id)
            for name, text in district.squares(*at, row.enrolment.starts, row.enrolment.ends).items():
                setattr(row, name, text)
            row.save()
    look_over()
    assert steps_of(record()) == steps_of(one_by_one())


@pytest.mark.parametrize("pack", PACKS)
def test_one_night_after_the_other_the_record_is_what_the_last_would_write_alone(district: District, pack: str) -> None:
    """Windows slide on, birthdays pass, protections end and a day is closed after all, and no line need be reached for it."""
    adopt(pack)
    nights = [TODAY - timedelta(days=days) for days in (39, 21, 9, 2)]
    Done.objects.system(WHY).filter(on__gt=nights[0]).delete()  # who did something was looked at there and then
    for night in nights:
        look_over(on=night)
    look_over()
    assert steps_of(record()) == steps_of(one_by_one())
    for calendar in district.calendars.values():
        close(calendar, TODAY + timedelta(days=3))
    look_over()
    assert steps_of(record()) == steps_of(one_by_one())


def test_two_days_that_moved_by_as_much_towards_each_other_are_seen(district: District) -> None:
    adopt("gb-eng")
    look_over()
    stood = record()
    days: dict[tuple[int, str], list[Firing]] = {}
    for firing in Firing.objects.system(WHY).filter(superseded_at=None).order_by("fired_on"):
        days.setdefault((firing.student_id, firing.rule), []).append(firing)
    some = next(some for some in days.values() if len(some) > 3)
    kept = {firing.fired_on for firing in some}
    one, other = some[1], some[-1]
    by = next(d for k in range(1, 30) if not {one.fired_on + (d := timedelta(k)), other.fired_on - d} & kept)
    one.fired_on += by
    other.fired_on -= by
    one.save()
    other.save()
    assert record() != stood
    look_over()
    assert {f[:7] for f in record()} == {f[:7] for f in stood}


def tighten(pack: str, starts: date, pick: random.Random) -> None:
    """From a day on with own rules: some of the pack's lines lower, some of its windows longer."""
    text = f'on = "{pack}"\ntitle = "own"\neffective_from = {starts}\n'
    for rule in versions(pack)[-1].rule:
        t, w = rule.threshold, rule.window
        lower = {"count": Fraction(t.count) / 2} if t.count else {"share": Fraction(t.share) / 2} if t.share else {}
        if rule.count is not None and lower and pick.random() < 0.7:
            said = ", ".join(f'{name} = "{value}"' for name, value in lower.items())
            of = f', op = "{t.op}", of = "{t.of}", minimum = {t.minimum}'
            text += f'[[change]]\nid = "{rule.id}"\nloosens = "for the test"\nthreshold = {{ {said}{of} }}\n'
            if w.length and not w.after_evidence and pick.random() < 0.5:
                across = str(w.across_years).lower()
                text += f'window = {{ kind = "{w.kind}", length = {w.length + 3}, across_years = {across} }}\n'
    Adoption.objects.create(pack=pack, overlay=text, starts=starts, proposed_at=clock.now(), approved_at=clock.now())


@pytest.mark.parametrize("pack", ["us-tx", "us-ma", "us-il"])
def test_the_night_keeps_what_one_look_keeps_when_own_rules_begin_in_mid_year(district: District, pack: str) -> None:
    adopt(pack)
    for days in (40, 70):
        tighten(pack, FIRST + timedelta(days=days), district.pick)
    look_over()
    assert record() == one_by_one()
    assert len({f[5] for f in record()}) == 3, "each firing keeps the hash of the rules of its day"
    assert look_over().reached == look_over().superseded == 0


@pytest.mark.parametrize("tightened", [False, True])
@pytest.mark.parametrize("pack", ["us-tx", "us-ma", "gb-eng"])
def test_whom_a_birthday_moved_is_looked_at_once(
    district: District, pack: str, monkeypatch: pytest.MonkeyPatch, tightened: bool
) -> None:
    adopt(pack)
    if tightened:
        tighten(pack, FIRST + timedelta(days=60), district.pick)
    Done.objects.system(WHY).all().delete()  # who is looked at because of what was done is so every night
    for k, student in enumerate(Student.objects.system(WHY).order_by("pk")):
        turned = FIRST + timedelta(days=5 * k + 3)
        student.birth_date = turned.replace(year=turned.year - (6, 10, 12, 16, 18, 19)[k % 6])
        student.save()
    look_over()
    assert record() == one_by_one()
    assert record()
    looked: list[Timeline] = []
    monkeypatch.setattr(firings, "positions", lambda line, *a, **k: looked.append(line) or positions(line, *a, **k))
    look_over()
    assert looked == []


def _not_here() -> int:
    here = RegisterRow.objects.system(WHY).filter(calendar__school_year__ends_in=2027)
    return STUDENTS - here.values("student").distinct().count()


def test_as_many_queries_whoever_is_on_the_registers(district: District) -> None:
    adopt("us-fl")
    look_over()

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            look_over()
        return len(queries)

    before = asked()
    for _ in range(STUDENTS):
        district.a_student()
    look_over()
    assert asked() <= before + 4  # one more way from school to school has one more reading
