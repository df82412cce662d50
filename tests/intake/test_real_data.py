"""Data nobody here wrote: every row accounted for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from firstbell.intake.bounds import DEFAULTS
from firstbell.intake.command import import_path
from firstbell.intake.models import Import
from firstbell.register.models import School, Student
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
