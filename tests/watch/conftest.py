from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from firstbell.register.models import School
from tests.build import a_school


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """Models and backtests are files: each test has a home of its own."""
    with override_settings(HOME=tmp_path):
        yield tmp_path


@pytest.fixture
def school() -> School:
    return a_school()
