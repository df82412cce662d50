"""The nightly pass comes by itself: once a date, from four in the morning by the district's clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from firstbell import clock
from firstbell.jobs import queue
from firstbell.jobs.models import Job
from firstbell.watch.models import Pass
from firstbell.watch.passes import tonight
from tests.build import a_calendar, a_school

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
