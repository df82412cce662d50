"""Who is near a line and has not reached it: of many students at once, what is counted, where the line is, and when the oldest day leaves.

The arithmetic is the clock's own (`clock.positions` says NEAR of the same students); only what a person has done is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from firstbell.law.clock import leaves_on
from firstbell.law.days import ENDS_AFTER, ENDS_BEFORE
from firstbell.law.packs import Ages, InForce, Rule
from firstbell.law.reaching import Asked, Reached, asked_of, counted, needed, standings
from firstbell.law.timeline import Timeline
from firstbell.law.whom import ages_of, days_of_age
from firstbell.law.windows import bounds

__all__ = ["Near", "nearing", "told_ahead"]


@dataclass(frozen=True, slots=True)
class Near:
    """One rule and one student near it. count, at: in so many `unit`s (`days.unit_of`); at `at` the line is reached.

    days    the counted days, ascending
    leaves  the first day on which the oldest of them no longer counts, where the window slides
    """

    row: int
    rule: Rule
    count: int
    at: int
    days: tuple[date, ...]
    leaves: date | None


def told_ahead(rule: Rule) -> bool:
    """Whether somebody is told before this line is reached: it counts marks, something follows, and the pack says how near is near.

    What begins with something done, what is about students with a flag, and a sanction the law merely allows are told of on the student's
    own page alone.
    """
    follows = (
        rule.duty is not None
        and rule.duty.kind != "classify"
        and not (rule.duty.may and rule.duty.severity == "punitive")
    )
    t = rule.threshold
    alone = bool(rule.window.after_evidence or rule.applies.flags)
    numbered = t.count is not None or t.share is not None or bool(t.by_grade)  # or the law leaves it to the district
    return rule.count is not None and numbered and follows and rule.near > 0 and not alone


def nearing(
    line: Timeline, grades: Sequence[str], law: Sequence[InForce], rules: Sequence[Rule], born: Mapping[int, date] | None = None
) -> list[Near]:  # fmt: skip
    """Who of a timeline is near which of these rules of the version in force now (the last of `law`).

    born: row -> the birth date, of who came of an age within these days: what was missed before does not count. Whether a student is of
    the age now is not asked here.

    Near is the pack's own `near`, once half of the line is counted: of three days in four weeks the second, not the first. A line that was
    reached in the window that counts now is not told of again: its duty stands among the steps.
    """
    found: list[Near] = []
    leaves: dict[tuple[str, date], date | None] = {}
    spans: dict[Ages | None, dict[int, tuple[int, int]]] = {}
    ids = {rule.id for rule in rules}
    *before, last = law
    some = [_only(v, tuple(r for r in v.pack.rule if r.id in ids)) for v in before]
    now = _only(last, tuple(rules))
    for told in standings(line, grades, [*some, now]):
        if told.why or told.version is not now:
            continue
        rule, ages = told.rule, ages_of(told.rule, now.pack)
        if ages not in spans:
            spans[ages] = _of_age(ages, line, born or {})
        of_age = spans[ages]
        told, asked, _still = _this_year(told, [*some, now], line, grades, of_age)
        stop, strict, c = asked.eligible[2], rule.threshold.op == ">", told.count
        begin = (
            _run_begins(asked, stop) if rule.window.kind == "consecutive" else np.maximum(asked.floor, asked.start_now)
        )
        total = told.possible + _ahead(rule, asked, line) if asked.share else 1
        need = needed(asked.num * total, asked.den, strict)
        room = need - c  # none where no more absence is needed, only more days possible
        again = told.times > 0
        if rule.once == "window":
            again &= told.last >= line.frame.dates[np.minimum(begin // asked.width, len(line.frame.dates) - 1)]
        near = (c > 0) & (2 * c >= need) & (room > 0) & (room <= int(rule.near / asked.unit)) & ~told.at & ~again
        rolls = rule.window.kind.startswith("rolling")
        for row in np.flatnonzero(near).tolist():
            columns = (np.flatnonzero(asked.counted[row, begin[row] : stop]) + begin[row]) // asked.width
            days = tuple(line.frame.dates[columns if asked.width == 1 else np.unique(columns)].tolist())
            key = (rule.id, days[0])
            if key not in leaves:
                leaves[key] = leaves_on(rule.window, days[0], line) if rolls else None
            found.append(Near(row, rule, int(c[row]), int(c[row] + room[row]), days, leaves[key]))
    return found


def _only(version: InForce, rules: tuple[Rule, ...]) -> InForce:
    return msgspec.structs.replace(version, pack=msgspec.structs.replace(version.pack, rule=rules))


def _this_year(
    told: Reached, law: Sequence[InForce], line: Timeline, grades: Sequence[str], of_age: Mapping[int, tuple[int, int]]
) -> tuple[Reached, Asked, NDArray[np.bool_]]:
    """How often and when last a line was reached, also under the versions before; and who of `of_age` is at it when this one ends."""
    before, held, still = None, told.held, np.zeros(line.n, dtype=np.bool_)
    if told.before is not None:
        before, _asked, held = _this_year(told.before, law, line, grades, of_age)
    asked = asked_of(told.rule, told.version, law, line, grades, _since(told.rule, line, of_age), held)
    if of_age:
        told = _told_of(told, asked, line, of_age, still)
    if before is not None:
        last = np.where(np.isnat(told.last), before.last, told.last)
        told = replace(told, times=told.times + before.times, last=last)
    return told, asked, still


def _of_age(ages: Ages | None, line: Timeline, born: Mapping[int, date]) -> dict[int, tuple[int, int]]:
    """Row -> the columns of days between which a student is of the age, of those who are not on all of them."""
    spans = {row: days_of_age(ages, birth, line) for row, birth in born.items()} if ages else {}
    return {row: span for row, span in spans.items() if span != (0, len(line.frame.dates))}


def _since(rule: Rule, line: Timeline, of_age: Mapping[int, tuple[int, int]]) -> NDArray[np.int64] | None:
    """The column each student's days count from; a share is of all days enrolled."""
    if not of_age or rule.threshold.share is not None:
        return None
    found = np.zeros(line.n, dtype=np.int64)
    found[list(of_age)] = [first for first, _end in of_age.values()]
    return found


def _told_of(
    told: Reached, asked: Asked, line: Timeline, of_age: Mapping[int, tuple[int, int]], still: NDArray[np.bool_]
) -> Reached:
    """The figures of those who were not of the age on all days, one by one, as the clock has them; `still` is set where they are at the line."""
    count, possible, times = told.count.copy(), told.possible.copy(), told.times.copy()
    last = told.last.copy()
    for row, (first, end) in of_age.items():
        if not count[row] and not times[row] and not told.held[row]:
            continue  # nothing is counted on any day
        one = counted(asked, row)
        count[row], possible[row], still[row] = one.count, one.possible, one.still
        fired = [f for f, *_ in one.fired if first <= f // asked.width < end]
        times[row] = len(fired)
        last[row] = line.frame.dates[fired[-1] // asked.width] if fired else np.datetime64("NaT")
    return replace(told, count=count, possible=possible, at=asked.at(count, possible), times=times, last=last)


def _ahead(rule: Rule, asked: Asked, line: Timeline) -> NDArray[np.int64] | int:
    """What is still to come of a share's window, in its units: a share is asked of the whole of it."""
    if not asked.share or rule.window.kind.startswith("rolling"):
        return 0
    end = int(np.searchsorted(line.frame.dates, np.datetime64(bounds(rule.window, line.frame, line.as_of)[1]), "right"))
    usual: NDArray[np.int64] = asked.possible.max(axis=1, initial=1).astype(np.int64)
    return max(end - line.known, 0) * usual


def _run_begins(asked: Asked, stop: int) -> NDArray[np.int64]:
    """The first column of the run each student is in at the end of the days known; `stop` where the last day ended it."""
    stops = asked.stops[:, :stop]
    at = np.arange(stop)[None, :]
    before = np.where(stops & ENDS_BEFORE, at, 0).max(axis=1, initial=0)
    after = np.where(stops & ENDS_AFTER, at + 1, 0).max(axis=1, initial=0)
    begin: NDArray[np.int64] = np.maximum(np.maximum(before, after), asked.floor)
    return np.maximum(begin, asked.start_now)
