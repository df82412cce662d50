"""A register drawn in text, and the rules asked of it. Spaces part weeks (or days) and are no squares; `_` is a square nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from firstbell.law.clock import Evidence, Position, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import Count, InForce, Pack, Rule, Source, Threshold, Window
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person

MONDAY = date(2026, 8, 31)
UNEXCUSED = Count(strategy="full_day_only", marks=("unexcused",), pending="counts")


def school_days(first: date, n: int, closed: Sequence[date] = ()) -> list[date]:
    """So many weekdays from a day on, without those the school is closed."""
    found: list[date] = []
    while len(found) < n:
        if first.weekday() < 5 and first not in closed:
            found.append(first)
        first += timedelta(days=1)
    return found


def a_stretch(
    *rows: str, first: date = MONDAY, closed: Sequence[date] = (), days: Sequence[date] = (), sessions: int = 1,
    minutes: tuple[int, ...] = (), missed: Mapping[int, int] | None = None, year: int = 2026, school: str = "A",
    terms: tuple[tuple[date, date], ...] = (),
) -> Stretch:  # fmt: skip
    """missed: square -> minutes, of every row."""
    squares = [row.replace(" ", "").replace("_", " ") for row in rows]
    codes = np.array([list(row.encode("ascii")) for row in squares], dtype=np.uint8).reshape(len(rows), -1)
    lost = np.zeros(codes.shape, dtype=np.uint16)
    for square, m in (missed or {}).items():
        lost[:, square] = m
    dates = days or school_days(first, codes.shape[1] // sessions, closed)
    return Stretch(
        school, year, np.array(dates, dtype="datetime64[D]"), sessions, codes, lost if missed else None, minutes, terms
    )


def a_line(*rows: str, as_of: date | None = None, **stretch: Any) -> Timeline:
    """As known on a day, or on its last."""
    drawn = a_stretch(*rows, **stretch)
    return Timeline([drawn], as_of or drawn.dates[-1].astype(object))


def a_rule(kind: str = "school_year", threshold: Any = 3, *, length: int | None = None, **rule: Any) -> Rule:
    window = {k: rule.pop(k) for k in ("across_years", "after_evidence", "broken_by") if k in rule}
    line = threshold if isinstance(threshold, Threshold) else Threshold(count=threshold)
    if "evidence" not in rule:
        rule.setdefault("count", "counted")
    return Rule(
        id=rule.pop("id", "rule"), title="a rule", source="source", threshold=line,
        window=Window(kind=kind, length=length, **window), **rule,
    )  # fmt: skip


def a_pack(*rules: Rule, count: Count = UNEXCUSED, begins: date = date(2020, 1, 1), **pack: Any) -> Pack:
    return Pack(
        id="drawn", jurisdiction="DRAWN", title="drawn", effective_from=begins, source=(Source(id="source", citation="§ 1"),),
        counts=pack.pop("counts", {"counted": count}), rule=rules, **pack,
    )  # fmt: skip


def in_force(pack: Pack, line: Timeline, last: date | None = None) -> InForce:
    return InForce(pack, max(pack.effective_from, line.frame.day(0)), last or line.as_of)


def the_position(
    line: Timeline, rule: Rule, *, count: Count = UNEXCUSED, person: Person | None = None, evidence: Sequence[Evidence] = (),
    row: int = 0, earlier: Mapping[str, date] | None = None, **pack: Any,
) -> Position:  # fmt: skip
    """Of one student, under one rule (the first, where `others` are in the pack)."""
    law = [in_force(a_pack(rule, *pack.pop("others", ()), count=count, **pack), line)]
    return positions(line, row, person or Person(), law, evidence, earlier)[0]


def days_of(position: Position) -> list[str]:
    return [f"{d:%a %d %b}" for d in position.marks]
