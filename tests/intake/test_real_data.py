"""Data nobody here wrote: every row accounted for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from firstbell.intake.bounds import DEFAULTS
from firstbell.intake.command import import_path
from firstbell.intake.models import Import
from firstbell.register.models import Enrolment, MarkEvent, School, Student
from firstbell.register.rows import check

pytestmark = pytest.mark.django_db
WHY = "a test looks at everything"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def _a_home_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"


def here(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        warnings.warn(f"SKIPPED: ../shared/data/{name} is not here, so real data was not tried", stacklevel=2)
        pytest.skip(f"../shared/data/{name} is not here")
    return path


def accounted_for(delivery: Import) -> None:
    assert delivery.tallies.exists()
    for t in delivery.tallies.all():
        assert t.read == t.new + t.changed + t.unchanged + t.refused + t.waiting + t.unused, (t.file, t.kind)


def test_a_peers_oneroster_zip_with_its_mistakes_comes_in() -> None:
    path = next(here("oneroster").glob("*.zip"))
    done = import_path(path, yes=True, accept=list(DEFAULTS))
    accounted_for(done.delivery)
    assert School.objects.exists()
    assert Student.objects.system(WHY).exists()
    assert list(check()) == []
    assert import_path(path, yes=True).already


def test_the_edfi_sample_comes_in_with_every_element_accounted_for() -> None:
    path = here("edfi")
    done = import_path(path, yes=True, accept=list(DEFAULTS))
    accounted_for(done.delivery)
    attendance = done.delivery.tallies.get(file="StudentSchoolAttendance.xml", kind="mark")
    assert attendance.read == 1917
    # Two events of one student and day differ, and neither says when it was recorded: both go back.
    assert (attendance.new, attendance.refused) == (1915, 2)
    assert done.delivery.kept_rows.count() == 2
    assert MarkEvent.objects.system(WHY).values("student").distinct().count() == 227
    assert MarkEvent.objects.system(WHY).count() == 1915
    assert {e.inferred for e in Enrolment.objects.system(WHY)} == {True}
    assert any("3 marks lie on Sundays" in n.text for n in done.delivery.notices.all())
    assert list(check()) == []
    assert import_path(path, yes=True).already
