"""An alert whose ground stands is as of its calendar's last look without being written: it says what it would say, were it written each night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.db import transaction
from django.test import Client
from django.utils.formats import date_format

from firstbell import clock
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import refold
from firstbell.watch import lists, live, verdicts
from firstbell.watch.lasting import as_they_stand, stands_through
from firstbell.watch.models import Alert
from firstbell.watch.passes import run_pass
from firstbell.watch.words import sentence
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw, mark

pytestmark = [pytest.mark.django_db, pytest.mark.database]
WEEKS = 14
#: thirty school days are whole
FRIDAY = FIRST_MONDAY + timedelta(days=7 * 5 + 4)
MONDAY, TUESDAY = FRIDAY + timedelta(days=3), FRIDAY + timedelta(days=4)
#: three of thirty days missed, the last of them lately
THREE = "PPPPP EPPPP PPPPP PPPPP PEPPP PPPPE"


def evening(monkeypatch: pytest.MonkeyPatch, calendar: Calendar, day: date) -> None:
    """The source has said everything of the day."""
    monkeypatch.setattr(clock, "now", lambda: datetime(day.year, day.month, day.day, 22, tzinfo=UTC))
    calendar.covered_through = day
    calendar.save()
    refold(calendar)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    made = a_calendar(a_school(), weeks=WEEKS, covered=FRIDAY)
    evening(monkeypatch, made, FRIDAY)
    return made


@pytest.fixture
def night(calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
    def run(day: date) -> None:
        evening(monkeypatch, Calendar.objects.get(pk=calendar.pk), day)
        run_pass()

    return run


@pytest.fixture
def ana(calendar: Calendar, night: Callable[[date], None]) -> Student:
    made = a_student(calendar.school)
    draw(calendar, made, THREE)
    night(FRIDAY)
    return made


def high() -> Alert:
    return Alert.objects.system("test").get(kind="high_absence")


def standing() -> Alert:
    return as_they_stand([high()])[0]


def test_a_day_present_writes_nothing_and_is_told(ana: Student, night: Callable[[date], None]) -> None:
    before = Alert.objects.system("test").values().get(kind="high_absence")
    draw(Calendar.objects.get(), ana, THREE.replace("PPPPE", "PPPPE P"))
    night(MONDAY)
    # three of thirty-one is less than one in ten: the ground is gone, and what is kept is how it stood
    gone = high()
    assert (gone.state, gone.count, gone.of, gone.as_of) == ("withdrawn", 3, 30, FRIDAY)
    assert before["expires_on"] is None
    assert gone.expires_on == FRIDAY + timedelta(days=28)  # twenty school days


def test_of_days_grows_with_the_school_days_gone_by(calendar: Calendar, night: Callable[[date], None]) -> None:
    ana = a_student(calendar.school)
    draw(calendar, ana, "UPPPP EPPPP PPPPP PPPPP PEPPP PPPPE")
    night(FRIDAY)
    before = Alert.objects.system("test").values().get(kind="high_absence")
    assert stands_through(high()) == FRIDAY + timedelta(days=28)
    night(MONDAY)
    night(TUESDAY)
    assert Alert.objects.system("test").values().get(kind="high_absence") == before
    alert = standing()
    assert (alert.count, alert.of, alert.as_of) == (4, 32, TUESDAY)
    assert stands_through(alert) == TUESDAY + timedelta(days=28)
    assert "4 of 32 days" in sentence(alert)
    officer = a_user(school=calendar.school)
    [row] = lists.today(officer).pattern
    assert "4 of 32 days" in row.first.sentence
    assert row.dates[-1] == TUESDAY
    desk = Client()
    desk.force_login(officer)
    page = desk.get(f"/alert/{alert.pk}/").content.decode()
    shown, last = (date_format(day, "MONTH_DAY_FORMAT") for day in (TUESDAY, TUESDAY + timedelta(days=28)))
    assert f"as known on {shown}; stands through {last} unless" in page


def test_a_verdict_writes_down_what_was_read(calendar: Calendar, night: Callable[[date], None]) -> None:
    ana = a_student(calendar.school)
    draw(calendar, ana, "UPPPP EPPPP PPPPP PPPPP PEPPP PPPPE")
    night(FRIDAY)
    night(MONDAY)
    officer, alert = a_user(school=calendar.school), high()
    verdict = verdicts.give_verdict(officer, alert, "no_concern", "a wedding", version=alert.version)
    alert = high()
    assert (alert.state, alert.of, alert.as_of) == ("answered", 31, MONDAY)
    assert alert.expires_on == MONDAY + timedelta(days=28)
    verdicts.undo_verdict(officer, verdict)
    assert (standing().of, standing().as_of) == (31, MONDAY)
    night(TUESDAY)
    assert (standing().of, standing().as_of, high().expires_on) == (32, TUESDAY, None)


def test_a_day_nobody_knows_does_not_count(
    calendar: Calendar, night: Callable[[date], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = a_student(calendar.school)
    draw(calendar, ana, "UPPPP EPPPP PPPPP PPPPP PEPPP PPPPE")
    night(FRIDAY)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 10, 13, 22, tzinfo=UTC))
    run_pass(everything=True)  # Monday is whole, and nobody has said anything of it
    alert = standing()
    assert (alert.of, alert.as_of, alert.version) == (30, TUESDAY, 0)


def test_a_live_mark_and_a_past_day_speak_last(calendar: Calendar, night: Callable[[date], None]) -> None:
    ana = a_student(calendar.school)
    draw(calendar, ana, "UPPPP EPPPP PPPPP PPPPP PEPPP PPPPE")
    night(FRIDAY)
    night(MONDAY)
    live.marks_changed(Calendar.objects.get(), [ana.pk])
    assert (standing().of, standing().as_of, high().as_of) == (31, MONDAY, MONDAY)
    run_pass(as_of=FRIDAY)
    assert (standing().of, standing().as_of) == (30, FRIDAY)
    night(TUESDAY)
    assert (standing().of, standing().as_of) == (32, TUESDAY)


def test_every_night_it_says_what_an_alert_opened_that_night_would(
    calendar: Calendar, night: Callable[[date], None]
) -> None:
    rng = np.random.default_rng(3)
    students = [a_student(calendar.school, f"Kid{k}") for k in range(24)]
    rates = rng.beta(1, 4, len(students))
    for student, rate in zip(students, rates, strict=True):
        letters = np.where(rng.random(30) < rate, rng.choice(list("UUENS"), 30), "P")
        draw(calendar, student, "".join(letters.tolist()))
    told = 0
    for day in (FRIDAY + timedelta(days=k) for k in (0, 3, 4, 5, 6, 7, 10, 11)):
        for student in students if day > FRIDAY else ():
            if rng.random() < rates[student.pk - students[0].pk]:
                mark(calendar, student, day, str(rng.choice(list("UENST"))))
        if day > FRIDAY:  # a mark of last week turns out to be something else
            some = students[int(rng.integers(len(students)))]
            mark(calendar, some, day - timedelta(days=7), "E", recorded=int(clock.now().timestamp()) + 60)
        night(day)
        stood = _told()
        with transaction.atomic():
            Alert.objects.system("test").all()._raw_delete("default")
            run_pass(everything=True)
            anew = _told()
            transaction.set_rollback(True)
        assert stood == anew
        told += len(stood)
    assert told > 100
    assert Alert.objects.system("test").filter(state="open", version=0, as_of__lt=FRIDAY + timedelta(days=11)).exists()


def _told() -> list[tuple[object, ...]]:
    found = as_they_stand(Alert.objects.system("test").filter(state="open").select_related("calendar"))
    return sorted((a.student_id, a.kind, a.count, a.of, a.days, str(a.as_of), str(stands_through(a))) for a in found)


def test_what_stood_when_the_year_ended_expires(
    calendar: Calendar, night: Callable[[date], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks over a year that is over: what stood there is as of its last look, not of the new year's first."""
    ana = a_student(calendar.school)
    draw(calendar, ana, "UPPPP EPPPP PPPPP PPPPP PEPPP PPPPE")
    night(FRIDAY)
    night(MONDAY)
    next_year = FIRST_MONDAY + timedelta(days=364)
    a_calendar(calendar.school, start=next_year)
    monkeypatch.setattr(clock, "now", lambda: datetime(2027, 8, 31, 22, tzinfo=UTC))
    run_pass()
    gone = high()
    assert (gone.state, gone.of, gone.as_of) == ("expired", 31, MONDAY)
    assert gone.expires_on == MONDAY + timedelta(days=28)
