"""What is on record of many students under a pack, and where it is no longer what the law says now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from firstbell.casework.batches import Batch
from firstbell.law.clock import Status, deadline
from firstbell.law.deeds import Deeds
from firstbell.law.packs import ENDS, Duty, InForce
from firstbell.law.reaching import Reached, seals
from firstbell.law.tally import Tally
from firstbell.law.timeline import Timeline
from firstbell.law.windows import by_itself

__all__ = ["OPEN", "OnRecord", "never", "on_record", "outdated"]

#: what a firing that asks for something stands as
OPEN = (Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN)
EPOCH = date(1970, 1, 1)


class _Standing(NamedTuple):
    """The firing a position speaks of."""

    row: int
    status: Status
    on: date
    due: date | None


@dataclass(frozen=True, slots=True)
class OnRecord:
    """One rule's firings that stand, of n students. `figures` as `never` has them; `rows` and `days` (as days since 1970) of each firing; `standing`:
    those a position speaks of."""

    figures: NDArray[np.int64]
    rows: NDArray[np.int64]
    days: NDArray[np.int64]
    standing: tuple[_Standing, ...]

    def of(self, version: InForce) -> tuple[NDArray[np.bool_], tuple[_Standing, ...]]:
        """Of one version's days: (n,) whether there are any, and those a position speaks of."""
        there = np.zeros(self.figures.shape[1], dtype=np.bool_)
        first, last = ((day - EPOCH).days for day in (version.first, version.last))
        there[self.rows[(self.days >= first) & (self.days <= last)]] = True
        return there, tuple(s for s in self.standing if version.first <= s.on <= version.last)


def never(n: int) -> NDArray[np.int64]:
    """Of n students: how often a line was reached, the sum of the days' seals, and the first of them (as days since 1970)."""
    found = np.zeros((3, n), dtype=np.int64)
    found[2] = np.iinfo(np.int64).max
    return found


def on_record(batch: Batch, pack: str) -> dict[str, OnRecord]:
    """Rule -> what is on record of a batch's students."""
    n, ids = len(batch.students), batch.students.tolist()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT rule, student_id, {_number('fired_on')}, status, {_number('due')} FROM casework_firing "  # noqa: S608
            f"WHERE pack = %s AND superseded_at IS NULL AND fired_on BETWEEN %s AND %s "
            f"AND student_id IN ({', '.join(['%s'] * n)}) ORDER BY rule",
            [pack, batch.line.frame.day(0), batch.line.as_of, *ids],
        )
        kept = cursor.fetchall()
    order = np.argsort(batch.students)
    found = {}
    for rule, some in groupby(kept, key=lambda row: row[0]):
        _, students, numbers, statuses, dues = zip(*some, strict=True)
        rows = order[np.searchsorted(batch.students[order], students)]
        days, figures = np.array(numbers, dtype=np.int64), never(n)
        np.add.at(figures[0], rows, 1)
        np.add.at(figures[1], rows, seals(days.astype("datetime64[D]")))
        np.minimum.at(figures[2], rows, days)
        standing = tuple(
            _Standing(row, Status(status), _day(day), due if due is None else _day(due))
            for row, status, day, due in zip(rows.tolist(), statuses, numbers, dues, strict=True)
            if status
        )
        found[rule] = OnRecord(figures, rows, days, standing)
    return found


def _number(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"{column} - DATE '1970-01-01'"
    return f"CAST(julianday({column}) - 2440587.5 AS INTEGER)"


def _day(number: int) -> date:
    return EPOCH + timedelta(days=number)


def outdated(
    kept: tuple[NDArray[np.bool_], tuple[_Standing, ...]], now: Reached, line: Timeline, flags: Mapping[int, frozenset[str]],
    turned: Mapping[int, tuple[Tally | None, str]], come: NDArray[np.bool_] | None,
) -> Iterator[int]:  # fmt: skip
    """The rows of whom the record stands otherwise than a look would have it, though no line was newly reached or undone: a window has slid
    on, the calendar of a deadline has changed, a protection has begun or ended, a birthday has passed.

    kept    what is on record of the version `now` is of
    flags   row -> what protects the student
    turned  row -> what the line came to for whom a birthday moved, and why the rule is not asked of them any more
    come    (n,) whether the count is there by which the step is due; None where it is not due by one

    What was done can change a step without any of this; whoever it was done for is looked at anyway.
    """
    there, standing = kept
    rule, duty = now.rule, now.rule.duty
    asks = duty is not None and duty.kind != "classify"
    at = now.at.copy()
    for row, (tally, _grown) in turned.items():
        at[row] = tally is not None and tally.reached
    silent = there & at
    silent[[one.row for one in standing]] = False
    yield from np.flatnonzero(silent).tolist()
    dues: dict[date, set[date | None]] = {}
    for row, status, on, due in standing:
        _tally, grown = turned.get(row, (None, ""))
        helps = asks and duty is not None and duty.severity != "punitive"
        if bool(grown) != (status is Status.NOT_EVALUABLE) and not (grown and helps and status is Status.DUTY_OPEN):
            yield row
        elif grown:
            continue
        elif asks and status in OPEN:
            assert duty is not None
            protected = not flags.get(row, frozenset()).isdisjoint(duty.forbidden_if)
            if duty.not_after is None and (status is Status.FORBIDDEN) != protected:
                yield row
            if come is not None and come[row] == (due is None):
                yield row
        elif not at[row] and rule.once != "year" and not (status is Status.DUTY_DONE and by_itself(rule.window)):
            yield row
            continue
        if duty is not None and status is not Status.REACHED and _is_reckoned(duty):
            if on not in dues:
                dues[on] = set(_dues(duty, now, line, on))
            if due not in dues[on]:
                yield row


def _is_reckoned(duty: Duty) -> bool:
    """Whether the deadline follows from the day the line was reached alone."""
    limit = duty.deadline
    return limit is not None and limit.unit != "counted" and (limit.from_ == "trigger" or limit.from_ in ENDS)


def _dues(duty: Duty, now: Reached, line: Timeline, on: date) -> Sequence[date | None]:
    """By when, once the line was reached on a day; and where a mark may have had to wait out its grace first, on each of those days."""
    pack = now.version.pack
    counts = pack.counts[now.rule.count] if now.rule.count else None
    grace = counts.grace if counts is not None and counts.pending == "after_grace" else 0
    column = line.frame.column(on)
    known = [line.frame.day(k) for k in range(column, min(column + grace + 1, len(line.frame.dates)))]
    return [deadline(duty, pack, day, line, Deeds(()))[0] for day in known]
