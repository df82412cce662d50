"""Any order of files gives the same state: a small district's files in any split and order, and then all again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstbell import clock
from firstbell.intake.command import import_path
from firstbell.intake.models import KeptRow
from firstbell.register.models import (
    Calendar,
    CalendarDay,
    ContactLink,
    Enrolment,
    MarkEvent,
    RegisterRow,
    RollState,
    School,
    SchoolYear,
    Section,
    SectionEnrolment,
    Student,
)
from firstbell.register.rows import check
from tests.build import examples
from tests.intake.files import SMALL, calendar

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"
FILES = {**{n: t for n, t in SMALL.items() if n.endswith(".csv")}, "calendar.csv": calendar()}
#: a code of this district's own, a student who moves school, and a mark before the mapping is known
FILES["attendance.csv"] += (
    "s2,alder,2026-09-16,,U,,,2026-09-16T09:00:00-05:00,t1\ns1,birch,2026-09-17,1,U,,,2026-09-17T09:00:00-05:00,\n"
)
FILES["enrollments.csv"] += "e7,,,m9,birch,s1,student,false,2026-09-16,2026-10-02\n"


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def state() -> dict[str, Any]:
    """Everything intake decides, by the source's own ids."""

    def all_of(model: Any, *columns: str) -> list[Any]:
        manager = model._default_manager
        rows = manager.system(WHY) if hasattr(manager, "system") else manager.all()
        return sorted(map(repr, rows.values_list(*columns)))

    year = "calendar__school_year__ends_in"
    return {
        "rows": all_of(RegisterRow, "student__source_id", "calendar__school__source_id", year, "enrolment__starts", "codes", "minutes"),
        "events": all_of(MarkEvent, "student__source_id", "calendar__school__source_id", "date", "session", "meaning__source_code", "minutes", "reason", "recorded_at", "recorded_by", "basis", "fingerprint"),
        "enrolments": all_of(Enrolment, "student__source_id", "school__source_id", "starts", "ends", "grade"),
        "seats": all_of(SectionEnrolment, "section__source_id", "student__source_id", "starts", "ends"),
        "sections": all_of(Section, "source_id", year, "title", "kind", "sessions", "starts", "ends", "grades"),
        "teachers": all_of(Section.teachers.through, "section__source_id", "staff__source_id"),
        "links": all_of(ContactLink, "student__source_id", "contact__source_id", "no_contact"),
        "students": all_of(Student, "source_id", "number", "given_name", "grade", "missing_since"),
        "schools": all_of(School, "source_id", "name", "time_zone", "district__source_id"),
        "years": all_of(SchoolYear, "ends_in", "starts", "ends"),
        "calendars": all_of(Calendar, "school__source_id", "school_year__ends_in", "sessions", "session_starts", "covered_through"),
        "days": all_of(CalendarDay, "calendar__school__source_id", "date", "day_type"),
        "rolls": all_of(RollState, "section__source_id", "date", "session", "taken", "recorded_at"),
    }  # fmt: skip


def deliver(names: list[str], note: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).write_text(FILES[name], encoding="utf-8", newline="")
        (Path(folder) / "source.toml").write_text(SMALL["source.toml"] + note)
        import_path(folder, "larch", yes=True, accept=["schools_vanished", "rows_fewer"])


@pytest.fixture(autouse=True)
def _a_day_in_september(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 21, 13, 40, tzinfo=UTC))


@settings(max_examples=examples(24), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(sorted(FILES)), cuts=st.sets(st.integers(1, len(FILES) - 1)))
def test_any_split_and_order_of_files_gives_the_same_register(order: list[str], cuts: set[int]) -> None:
    with undone():
        deliver(sorted(FILES))
        expected = state()
    with undone():
        edges = [0, *sorted(cuts), len(order)]
        for a, b in pairwise(edges):
            deliver(order[a:b], f"# {a}")
        found = state()
        assert KeptRow.objects.filter(settled_by=None).count() == 0
        for what in expected:
            assert found[what] == expected[what], what
        assert list(check()) == []
        deliver(sorted(FILES), "# again")
        assert state() == expected


def test_the_years_first_day_is_known_from_the_calendar_alone() -> None:
    deliver(["orgs.csv", "calendar.csv"])
    assert SchoolYear.objects.get().starts == date(2026, 8, 31)
