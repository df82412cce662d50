"""Rates as a jurisdiction defines them: what is missed, of what, and the lines drawn through it. Exact.

The definitions are data (`packs/metrics.toml`); the days come from `days.derive`, as every rule's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from firstbell.law.days import NotEvaluable, unit_of
from firstbell.law.packs import Metric
from firstbell.law.timeline import Timeline
from firstbell.law.windows import periods
from firstbell.said import said

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Measured:
    """share, exact, of `possible`; band: the last line reached, empty below the first. why: what keeps it from being told."""

    metric: Metric
    part: Fraction = Fraction(0)
    possible: Fraction = Fraction(0)
    share: Fraction | None = None
    band: str = ""
    why: str = ""

    @property
    def display(self) -> str:
        """One decimal of a percent, for showing only. Half goes to the even digit."""
        return "" if self.share is None else f"{float(round(self.share * 100, 1)):.1f} %"


def measure(metric: Metric, line: Timeline, row: int, grade: str = "") -> Measured:
    """One student's rate on the timeline's day."""
    try:
        made = line.derived(metric.count, False)
        begin = _begin(metric, line, row)
    except NotEvaluable as why:
        return Measured(metric, why=str(why))
    unit = unit_of(metric.count)
    missed = unit * int(made.counted[row, begin : line.known].sum())
    possible = unit * int(made.possible[row, begin : line.known].sum())
    if metric.minimum > possible:
        return Measured(
            metric,
            missed,
            possible,
            why=f"Not told under {metric.minimum} {metric.count.unit.replace('_', ' ')}; there are {possible}.",
        )
    enrolled = possible
    if metric.show == "enrolled" and metric.count.strategy not in ("sessions", "accumulate_minutes"):
        there = (made.possible[row, begin : line.known] > 0) | made.unknown[row, begin : line.known]
        enrolled = Fraction(int(there.sum()))  # on roll, whether or not the roll was taken
    part = {"missed": missed, "attended": possible - missed, "enrolled": enrolled}[metric.show]
    if metric.per == "minimum_hours":
        whole = next((Fraction(g.count) for g in metric.hours_by_grade if grade in g.grades), None)
        if whole is None:
            return Measured(metric, why=f"The definition names no hours for grade {grade or 'unknown'}.")
        possible = whole
    elif metric.per == "calendar_days":
        possible = Fraction(line.known - begin)
    if not possible:
        return Measured(metric, why="Nothing was possible yet, which is not the same as nothing missed.")
    share = part / possible
    band = ""
    for b in metric.bands:
        if share > Fraction(b.share) if b.op == ">" else share >= Fraction(b.share):
            band = b.name
    return Measured(metric, part, possible, share, band)


def _begin(metric: Metric, line: Timeline, row: int) -> int:
    if metric.scope == "school":
        return int(line.entered()[row])
    if metric.scope == "term":
        for first, last in periods("term", line.frame.terms.get(line.year, ())):
            if first <= line.as_of <= last:
                return int(np.searchsorted(line.frame.dates, np.datetime64(first)))
        raise NotEvaluable(said("No term is running on this day."))
    return line.first
