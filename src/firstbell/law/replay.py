"""A pack's rules over a year that is known: on which days each student reached each line, and how long before somebody could have been told.

Arrays in, values out; no student is anything but a row here. A rule that counts what was done is not replayed: under another rule, other
things would have been done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import msgspec
import numpy as np
from numpy.typing import NDArray

from firstbell.law.clock import positions
from firstbell.law.days import unit_of
from firstbell.law.packs import Applies, ByGrade, InForce, Pack, Rule, Threshold
from firstbell.law.reaching import Reached, needed, standings
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, applies

__all__ = ["NOT_TOLD", "Replayed", "reached_by", "replayed"]

#: how long before cannot be told
NOT_TOLD = -1
_Days = NDArray[np.datetime64]
_After = Mapping[str, Sequence[tuple[int, date, str]]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One rule over a year.

    row, on   (f,) a student's row and a day its line was reached, in order of student and day
    lead      (f,) school days from the day somebody would have been told it was near, until then; NOT_TOLD where the rule is none
              whose nearness is replayed; 0 where it came with no day before
    why       where the rule cannot be replayed, and then all else is empty
    """

    rule: Rule
    row: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    on: _Days = field(default_factory=lambda: np.zeros(0, dtype="datetime64[D]"))
    lead: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    why: str = ""


def replayed(
    line: Timeline, people: Sequence[Person], law: InForce, after: _After | None = None, only: str = ""
) -> list[Replayed]:
    """Every rule of a version (or only one), as if it had been in force from `law.first` through `law.last`.

    people  (n,) of the timeline's rows
    after   as `clock.standings` takes it
    """
    found = []
    for rule in law.pack.rule:
        if only and rule.id != only:
            continue
        if rule.count is None:
            found.append(
                Replayed(
                    rule, why="The rule counts what was done, and under other rules other things would have been done."
                )
            )
        else:
            found.append(_one(line, people, law, rule, after))
    return found


def reached_by(
    line: Timeline, people: Sequence[Person], law: InForce, after: _After | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Rule -> (n,) who had reached it by the timeline's last known day, for many evenings in turn."""
    found = {}
    for standing in standings(line, [p.grade for p in people], [law], after):
        if standing.why:
            continue
        reached = standing.times > 0
        for k in np.flatnonzero(reached).tolist():
            if applies(standing.rule, law.pack, people[k], standing.first[k].astype(object), line.school_year):
                reached[k] = False
        found[standing.rule.id] = reached
    return found


def _alone(pack: Pack, rule: Rule, threshold: Threshold | None = None) -> Pack:
    """The pack with this rule only, asked of anybody, and asking for nothing."""
    bare = msgspec.structs.replace(
        rule, threshold=threshold or rule.threshold, applies=Applies(), once="window", duty=None
    )
    return msgspec.structs.replace(pack, rule=(bare,), ages=None)


def _one(line: Timeline, people: Sequence[Person], law: InForce, rule: Rule, after: _After | None) -> Replayed:
    asked = InForce(_alone(law.pack, rule), law.first, law.last)
    (standing,) = standings(line, [p.grade for p in people], [asked], after)
    if standing.why:
        return Replayed(rule, why=standing.why)
    times = _times(line, people, asked, standing)
    near = _near(line, people, law, rule, standing, times, after)
    rows, days, leads = [], [], []
    first_day = np.datetime64(line.frame.day(line.first))
    for k, on in times.items():
        kept = [
            d
            for d in on
            if d >= first_day and not applies(rule, law.pack, people[k], d.astype(object), line.school_year)
        ]
        for d in kept[:1] if rule.once == "year" else kept:
            rows.append(k)
            days.append(d)
            leads.append(_lead(line, d, near, k))
    return Replayed(
        rule, np.array(rows, dtype=np.int64), np.array(days, dtype="datetime64[D]"), np.array(leads, dtype=np.int64)
    )  # fmt: skip


def _times(
    line: Timeline, people: Sequence[Person], asked: InForce, standing: Reached
) -> dict[int, list[np.datetime64]]:
    """Row -> the days its line was reached. The kernel tells the first and the last; who reached it more often is asked in full."""
    found: dict[int, list[np.datetime64]] = {}
    for k in np.flatnonzero(standing.times > 0):
        row = int(k)
        if standing.times[row] <= 2 or standing.rule.window.after_evidence:
            found[row] = sorted({standing.first[row], standing.last[row]})
        else:
            (position,) = positions(line, row, Person(None, people[row].grade), [asked])
            found[row] = [np.datetime64(f.on) for f in position.firings]
    return found


#: row -> days on which somebody would have been told
_Near = dict[int, list[np.datetime64]]


def _near(
    line: Timeline, people: Sequence[Person], law: InForce, rule: Rule, standing: Reached, times: Mapping[int, object],
    after: _After | None,
) -> _Near | None:  # fmt: skip
    """None where nearness isn't replayed: of a share over anything but the school year, whose end nobody could know."""
    if not rule.near:
        return None
    if rule.threshold.share is not None and rule.threshold.of == "possible":
        return _near_share(line, rule, law.pack, times) if rule.window.kind == "school_year" else None
    threshold = _near_line(rule, standing.unit)
    asked = InForce(_alone(law.pack, rule, threshold), law.first, law.last)
    (near,) = standings(line, [p.grade for p in people], [asked], after)
    return {k: some for k, some in _times(line, people, asked, near).items() if k in times}


def _near_line(rule: Rule, unit: Fraction) -> Threshold:
    """The count at which no more than `near` are left."""
    t = rule.threshold

    def of(value: Fraction) -> str:
        steps = value / unit
        need = needed(steps.numerator, steps.denominator, t.op == ">") * unit
        return str(max(need - rule.near, unit))

    if t.share is not None:
        return Threshold(count=of(Fraction(t.share) * (rule.window.length or 1)))
    return Threshold(
        count=None if t.count is None else of(Fraction(t.count)),
        by_grade=tuple(ByGrade(grades=g.grades, count=of(Fraction(g.count))) for g in t.by_grade),
    )


def _near_share(line: Timeline, rule: Rule, pack: Pack, times: Mapping[int, object]) -> _Near:
    """By what the year will come to, as `clock` reckons room: the first day of the run of near days each reaching ends."""
    assert rule.count is not None
    assert rule.threshold.share is not None
    count, share = pack.counts[rule.count], Fraction(rule.threshold.share)
    unit, made = unit_of(count), line.derived(count, False)
    found: _Near = {}
    rows = np.array(sorted(times), dtype=np.int64)
    if not len(rows):
        return found
    days = slice(line.first, line.known)
    missed = np.cumsum(made.counted[rows, days], axis=1, dtype=np.int64)
    possible = np.cumsum(made.possible[rows, days], axis=1, dtype=np.int64)
    usual = made.possible[rows].max(axis=1, initial=1).astype(np.int64)
    ahead = (line.stop - 1 - np.arange(line.first, line.known))[None, :] * usual[:, None]
    whole = (possible + ahead) * share.numerator
    need = needed(whole, share.denominator, rule.threshold.op == ">")
    near = (missed > 0) & ((need - missed) * unit.numerator <= rule.near * unit.denominator)
    begins = near & ~np.concatenate([np.zeros((len(rows), 1), dtype=np.bool_), near[:, :-1]], axis=1)
    for k, row in enumerate(rows.tolist()):
        found[row] = [line.frame.dates[line.first + int(c)] for c in np.flatnonzero(begins[k])]
    return found


def _lead(line: Timeline, on: np.datetime64, near: _Near | None, row: int) -> int:
    """School days between the last time it became near, and the day it was reached."""
    if near is None:
        return NOT_TOLD
    before = [d for d in near.get(row, ()) if d <= on]
    if not before:
        return 0
    a, b = np.searchsorted(line.frame.dates, np.array([before[-1], on], dtype="datetime64[D]"))
    return int(b - a)
