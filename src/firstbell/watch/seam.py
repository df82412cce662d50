"""A school as arrays in, its ground as a table out: what runs on a machine that has no database.

Stands in for `watch.ground` until the pass itself is of that shape: it calls the pass's own functions, which still import Django's
models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from firstbell.forecast.known import Carried, Known
from firstbell.forecast.lines import Counted
from firstbell.forecast.model import Model
from firstbell.forecast.pooling import Before
from firstbell.register.grid import Grid

if TYPE_CHECKING:
    from firstbell.watch.kinds import Finding

__all__ = ["Asker", "School", "findings", "ground"]

GROUND = pa.schema(
    [
        ("row", pa.int64()), ("kind", pa.int8()), ("count", pa.int32()), ("of", pa.int32()), ("measure", pa.int32()),
        ("usual_count", pa.int32()), ("usual_of", pa.int32()), ("weekday", pa.int32()), ("holds", pa.bool_()),
        ("days", pa.string()), ("why", pa.string()), ("rule", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class School:
    """A row a student. through: whole days to read. before: last year by what a line counts; empty where there was none."""

    grid: Grid
    grades: list[str]
    through: int
    last_absent: NDArray[np.int32]
    last_possible: NDArray[np.int32]
    before: dict[Counted, Before]
    carried: Carried


@dataclass(frozen=True)
class Asker:
    """The model in use, and the steps of the backtest's offer for the line that is raised; None where there is none."""

    model: Model | None
    steps: tuple[tuple[float, float], ...] | None


def ground(school: School, asker: Asker) -> pa.Table:
    """What the whole days give ground for, in columns `GROUND`. row: -1 for the school's own."""
    _set_up()
    from firstbell.watch.ahead import Forecaster, ahead_findings
    from firstbell.watch.asof import grade_band
    from firstbell.watch.backtests import Offer
    from firstbell.watch.kinds import groups_of, pattern_findings
    from firstbell.watch.models import Kind

    class Told(Forecaster):
        def offer(self, rule: str, horizon: int) -> Offer | None:
            return Offer(asker.steps) if asker.steps is not None and self.model is not None else None

    class LastYear:
        def attendance(self, _students: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
            return school.last_absent, school.last_possible

    from firstbell.register.rows import SchoolGrid

    n = len(school.grades)
    rows: Any = SchoolGrid(None, school.grid, np.arange(n), np.arange(n), school.grades)  # type: ignore[arg-type]
    found, _signals = pattern_findings(rows, school.through, LastYear())  # type: ignore[arg-type]
    bands = np.array([grade_band(g) for g in school.grades], dtype=np.int8)
    known = Known.of(
        school.grid, school.through, groups_of(rows), bands, carried=school.carried, before=school.before
    )  # fmt: skip
    found.extend(ahead_findings(rows, known, Told(asker.model)))
    number = {kind: i for i, kind in enumerate(Kind)}
    return pa.table(
        {
            "row": [-1 if f.row is None else f.row for f in found],
            "kind": [number[f.kind] for f in found],
            **{name: [getattr(f, name) for f in found] for name in GROUND.names[2:]},
        },
        schema=GROUND,
    )


def findings(table: pa.Table) -> Iterator[Finding]:
    """The same as the pass takes them."""
    from firstbell.watch.kinds import Finding
    from firstbell.watch.models import Kind

    kinds = list(Kind)
    for f in table.to_pylist():
        row, kind = f.pop("row"), f.pop("kind")
        yield Finding(kinds[kind], None if row < 0 else row, **f)


def _set_up() -> None:
    import os

    import django
    from django.apps import apps

    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstbell.settings")
        os.environ.setdefault("SECRET_KEY", "nobody signs in here")
        django.setup()
