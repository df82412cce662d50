"""An oracle that is wrong about its own district would call possible what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.oracle import CHRONIC, chances, of_simulator
from bench.range_bench import DISTRICTS, HORIZON, LINE, closed_years
from bench.strangers import STRANGERS, stranger
from firstbell.forecast.lines import YEAR_END
from firstbell.forecast.training import outcome


@pytest.mark.parametrize("name", ["A", "B", "C", "usual"])
def test_as_many_reach_a_line_as_an_oracle_says(name: str) -> None:
    if name in STRANGERS:
        _, years, (_, of_all) = stranger(name, 1500, 5)
        hidden = [(of_all, np.arange(1500))]
    else:
        _, years, _, made = closed_years(1500, 5, DISTRICTS[name])
        hidden = of_simulator(made, DISTRICTS[name], 5)
    for line, horizon, days in ((LINE, HORIZON, (45, 80, 115, 150)), (CHRONIC, YEAR_END, (60,))):
        some = [replace(y, known=[k for k in y.known if k.through in days]) for y in years]
        for spell in (False, True):
            said = chances(hidden, some, line, horizon, spell=spell, futures=25)
            expected, spread, seen = 0.0, 0.0, 0
            for year in some:
                for known in year.known:
                    reached, already = outcome(year, known, line, horizon)
                    p = said[known.through][year.student][known.here & ~already].clip(0, 1)
                    expected, spread = expected + p.sum(), spread + (p * (1 - p)).sum()
                    seen += int(reached[known.here & ~already].sum())
            assert abs(seen - expected) < 4 * np.sqrt(spread) + 0.03 * expected, (line.title, spell)
