"""Every test here: a home of its own, on the evening of Monday 21 September 2026."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firstbell import clock


@pytest.fixture(autouse=True)
def _a_day_in_september(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 21, 23, 40, tzinfo=UTC))
