"""A made-up district of forecasts' own: students with a level each, spells, marks explained late. Small, seeded, its truth known."""

from __future__ import annotations

import numpy as np

from firstbell.forecast.evidence import COUNTED, EXCUSED, PENDING, PRESENT
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.lines import Counted
from firstbell.forecast.training import ClosedYear

DAYS = 160
DATES = np.array(
    [d for d in np.arange(np.datetime64("2025-08-18"), np.datetime64("2026-07-01")) if (d.astype(int) + 3) % 7 < 5][
        :DAYS
    ]
)


def closed_years(schools: int = 6, students: int = 250, seed: int = 1, every: int = 10) -> list[ClosedYear]:
    rng = np.random.default_rng(seed)
    return [_a_school(rng, students, first=k * students, every=every) for k in range(schools)]


def _a_school(rng: np.random.Generator, n: int, first: int, every: int) -> ClosedYear:
    begins = np.exp(rng.normal(-3.6, 1.1, n)).clip(0.002, 0.4)
    share = rng.beta(3, 4, n)
    away = np.zeros((n, DAYS), dtype=bool)
    spell = np.zeros((n, DAYS), dtype=np.int64)
    here = np.zeros(n, dtype=bool)
    for d in range(DAYS):
        now = rng.random(n) < np.where(here, 0.5, begins)
        spell[:, d] = np.where(now & ~here, d, np.where(now, spell[:, max(d - 1, 0)], 0))
        away[:, d] = here = now
    rows = np.arange(n)[:, None]
    counted = away & (rng.random((n, DAYS)) < share[:, None])[rows, spell]
    final = np.where(counted, COUNTED, np.where(away, EXCUSED, PRESENT)).astype(np.uint8)
    settled_on = np.arange(DAYS) + rng.integers(0, 6, (n, DAYS))[rows, spell]
    grade = rng.integers(0, 12, n)
    band = np.where(grade < 6, 0, np.where(grade < 9, 1, 2)).astype(np.int8)
    known = []
    for through in range(every, DAYS, every):
        then = np.where((settled_on < through) | ~away, final, PENDING)[:, :through].astype(np.uint8)
        known.append(
            Known(
                DATES, through, {Counted.UNEXCUSED: then, Counted.ABSENT: np.where(then > 1, COUNTED, PRESENT).astype(np.uint8)},
                np.ones(n, dtype=bool), grade.astype(np.int32), band, Carried.nothing(n), {},
            )
        )  # fmt: skip
    ends = {Counted.UNEXCUSED: final, Counted.ABSENT: np.where(away, COUNTED, PRESENT).astype(np.uint8)}
    return ClosedYear(2026, 1, known, ends, np.arange(first, first + n), np.zeros((n, DAYS), dtype=bool))
