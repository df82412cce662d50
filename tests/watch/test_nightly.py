"""The nightly pass comes by itself: once a date, from four in the morning by the district's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from firstbell import clock
from firstbell.jobs import queue
from firstbell.jobs.models import Job
from firstbell.register.models import Calendar, RollState
from firstbell.register.rows import SchoolGrid
from firstbell.watch import passes
from firstbell.watch.ahead import Forecaster
from firstbell.watch.lasting import stands_through
from firstbell.watch.models import Alert, Pass
from firstbell.watch.passes import run_pass, tonight
from firstbell.watch.registers import Place
from firstbell.watch.verdicts import give_verdict
from tests.build import a_calendar, a_school, a_student, a_user, draw

pytestmark = pytest.mark.django_db


def at(monkeypatch: pytest.MonkeyPatch, *moment: int) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(*moment, tzinfo=UTC))


def test_without_a_district_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 2026, 9, 2, 15)
    assert tonight() is None


def test_it_is_due_from_four_by_the_districts_clock_once_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    a_school()  # in Chicago, five hours behind
    at(monkeypatch, 2026, 9, 2, 8, 59)
    assert tonight() is None
    at(monkeypatch, 2026, 9, 2, 9, 0)
    assert tonight() == "nightly:2026-09-02"
    at(monkeypatch, 2026, 9, 3, 4, 30)  # half past eleven at night: still the second
    assert tonight() == "nightly:2026-09-02"


def test_workers_that_ask_again_and_again_run_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a_calendar(a_school())
    at(monkeypatch, 2026, 9, 2, 15)
    for _ in range(3):
        queue.ask_for_what_is_due()
        while job := queue.lease_next():
            queue.run_leased(job)
    assert Pass.objects.count() == 1
    assert Job.objects.get(kind="nightly").state == "done"


class TestSchoolsOfWhichNothingHasChanged:
    """A pass over an unchanged school would say the same: it is passed by, until something it reads changes or what stands wakes."""

    @pytest.fixture
    def looked_at(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The schools whose registers are read, in order."""
        read: list[str] = []

        def schools(batch: Sequence[Place], as_of: date | None) -> list[SchoolGrid]:
            read.extend(p.calendar.school.name for p in batch)
            return read_schools(batch, as_of)

        read_schools = passes.read_schools
        monkeypatch.setattr(passes, "read_schools", schools)
        return read

    @pytest.fixture
    def alder(self, monkeypatch: pytest.MonkeyPatch) -> Calendar:
        """Friday evening of the sixth week."""
        at(monkeypatch, 2026, 10, 9, 22)
        return a_calendar(a_school("Alder"), weeks=8, covered=date(2026, 10, 9))

    def test_the_same_night_again_reads_none(self, alder: Calendar, looked_at: list[str]) -> None:
        a_student(alder.school)
        assert run_pass().students == 1
        assert run_pass().students == 1
        assert looked_at == ["Alder"]
        run_pass(everything=True)
        assert looked_at == ["Alder", "Alder"]

    def test_a_mark_at_one_school_brings_that_school_back(self, alder: Calendar, looked_at: list[str]) -> None:
        ana = a_student(alder.school)
        birch = a_calendar(a_school("Birch"), weeks=8, covered=date(2026, 10, 9))
        a_student(birch.school)
        run_pass()
        looked_at.clear()
        draw(alder, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
        assert run_pass().opened
        assert looked_at == ["Alder"]

    def test_somebody_s_verdict_brings_it_back(self, alder: Calendar, looked_at: list[str]) -> None:
        draw(alder, a_student(alder.school), "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
        run_pass()
        alert, officer = Alert.objects.system("t").get(kind="streak"), a_user(school=alder.school)
        give_verdict(officer, alert, "act", "called home", version=alert.version)
        run_pass()
        assert looked_at == ["Alder", "Alder"]

    def test_a_weekend_changes_nothing_until_an_alert_expires(
        self, alder: Calendar, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ana = a_student(alder.school)
        draw(alder, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPEEE")
        run_pass()
        expires = stands_through(Alert.objects.system("t").get(kind="streak"))
        at(monkeypatch, 2026, 10, 11, 22)  # Sunday
        run_pass()
        assert looked_at == ["Alder"]
        at(monkeypatch, expires.year, expires.month, expires.day + 1, 22)
        run_pass()
        assert looked_at == ["Alder", "Alder"]

    def test_a_new_model_or_verdict_of_the_backtest_brings_all_back(
        self, alder: Calendar, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_student(alder.school)
        run_pass()
        askers = Forecaster.askers
        changed = lambda self, lines: tuple(replace(a, steps=((1.0, 0.5),)) for a in askers(self, lines))  # noqa: E731
        monkeypatch.setattr(Forecaster, "askers", changed)
        run_pass()
        assert looked_at == ["Alder", "Alder"]

    def test_a_school_whose_rolls_are_chased_is_looked_at_each_time(
        self, alder: Calendar, looked_at: list[str]
    ) -> None:
        take = RollState.objects.create
        take(calendar=alder, date=date(2026, 10, 8), taken=True, recorded_at=1, key="k")
        run_pass()
        run_pass()
        assert looked_at == ["Alder", "Alder"]
