"""Where a student stands under every rule, on any day, as known then.

`positions` says everything about one student: the marks counted, the room left, what is due, what is still missing. It counts with the kernel that
asks about many at once (`reaching`).

The engine's laws (law.md § 3): a pure function of what was known, the calendar, the enrolments, the pack and the evidence; every day
is judged under the version in force on it; a punitive step stays locked until what it requires is on record; unknown is not present.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from firstbell.law.days import ENDS_AFTER, ENDS_BEFORE, NotEvaluable
from firstbell.law.packs import ENDS, Duty, InForce, NotAfter, Pack, Rule, Window
from firstbell.law.reaching import Asked, asked_of, at_line, counted, needed
from firstbell.law.sentences import amount, named
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, days_of_age, of_another_age, of_others
from firstbell.law.windows import bounds, by_itself, fixed, months_before, starts
from firstbell.register.marks import NOT_EXPECTED, PRESENT_LETTERS, UNKNOWN
from firstbell.said import said

__all__ = [
    "DONE_BY",
    "Evidence",
    "Fired",
    "Position",
    "Status",
    "leaves_on",
    "named_by",
    "owed",
    "positions",
    "shows",
    "unasked",
]

#: what shows a duty done, where its pack doesn't say otherwise
DONE_BY: dict[str, tuple[str, ...]] = {
    "contact": ("contact_attempt", "contact", "notice", "conference"),
    "notify": ("notice",),
    "conference": ("conference",),
    "plan": ("plan",),
    "refer_support": ("support_offered", "referral"),
    "review": ("review", "conference"),
    "report_authority": ("report",),
    "consider_sanction": ("decision", "penalty_notice"),
    "petition": ("petition", "court_referral"),
    "classify": (),
}
#: a person decided not to go on, and said why
NOT_ESCALATED = "not_escalated"


class Status(StrEnum):
    CLEAR = "clear"
    NEAR = "near"
    REACHED = "reached"
    DUTY_OPEN = "duty_open"
    DUTY_DONE = "duty_done"
    SUPERSEDED = "superseded"
    LOCKED = "locked"
    FORBIDDEN = "forbidden"
    NOT_EVALUABLE = "not_evaluable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was done. `rule`: what it was done about; `to`: to which parent; where that was said."""

    kind: str
    date: date
    rule: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Fired:
    """A line reached on a day: what the count came to then, and of which days."""

    on: date
    count: Fraction
    marks: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """One rule and one student on one day.

    count      exact, in `unit`; `possible` beside it where the rule is about a share
    threshold  in the same unit, or a share
    window     the days that count together: of the firing, where one is open, else now
    remaining  days of room: how many more until the line is reached (of a share: by the window's end)
    leaves     when the oldest counted day leaves a sliding window
    fired_on   the day the line was reached; `due` by when the duty is to be done; `due_in`: at so many more, where it is due by a count
    since      from when on what was done shows the duty done
    firings    every time it was reached this year, by what is known now
    missing    what must be on record before the step; forbidden: why it may not be taken at all
    marks      the very days counted; `unknown` days in the window nobody knows about
    """

    rule: str
    title: str
    unit: str
    citation: str
    version: str
    status: Status
    count: Fraction = Fraction(0)
    possible: Fraction | None = None
    threshold: Fraction | None = None
    op: str = ">="
    window: tuple[date, date] | None = None
    remaining: Fraction | None = None
    leaves: date | None = None
    fired_on: date | None = None
    firings: tuple[Fired, ...] = ()
    since: date | None = None
    due: date | None = None
    due_in: Fraction | None = None
    not_before: date | None = None
    missing: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    marks: tuple[date, ...] = ()
    unknown: int = 0
    why: str = ""
    duty: Duty | None = None


def positions(
    line: Timeline, row: int, person: Person, law: Sequence[InForce], evidence: Sequence[Evidence] = (),
    earlier: Mapping[str, date] | None = None, only: Collection[str] | None = None,
) -> list[Position]:  # fmt: skip
    """Where one student of a timeline stands under every rule in force this school year.

    evidence what was done so far; also after the timeline's last day
    law      the versions in force in the days the timeline covers (`packs.in_force`), oldest first
    earlier  rule -> the day it had fired by what was known before: where it has not now, it was superseded
    only     answers for these rules alone (and asks what they require)

    A version that has ended is answered for only where its line was reached while it was in force.
    """
    found = []
    asks = None if only is None else {*only, *named_by(law, only)}
    asked: dict[tuple[str, str], tuple[Position, _Counted | None]] = {}
    begun: dict[str, date] = {}  # rule -> since when what is done shows its duty done
    for version in law:
        for rule in version.pack.rule if version.last >= line.frame.day(line.first) else ():
            if asks is not None and rule.id not in asks:
                continue
            _base, c = asked[version.pack.version, rule.id] = _position(
                line, row, person, version, law, rule, evidence, begun
            )
            if c is not None and (since := _since(rule, c, c.firings[0] if c.firings else None, begun)) is not None:
                begun.setdefault(rule.id, since)
    for version in law:
        if version.last < line.frame.day(line.first):
            continue
        over = version.last < line.as_of
        for rule in version.pack.rule:
            if only is not None and rule.id not in only:
                continue
            position, counted = asked[version.pack.version, rule.id]
            if counted is not None:
                heir = [
                    day
                    for (_version, name), (_base, c) in asked.items()
                    if name == rule.gives_way_to and c is not None
                    for day in c.firings
                ]
                grown = position.why
                position = _judged(line, row, person, rule, version.pack, evidence, position, counted, begun, heir)
                if grown and (
                    position.status is not Status.DUTY_OPEN or rule.duty is None or rule.duty.severity == "punitive"
                ):
                    position = replace(
                        position,
                        status=Status.NOT_EVALUABLE,
                        why=grown,
                        due=None,
                        due_in=None,
                        not_before=None,
                        missing=(),
                    )
            gone = (earlier or {}).get(rule.id)
            if (
                gone is not None
                and (
                    position.fired_on is None
                    or (position.status is Status.DUTY_DONE and by_itself(rule.window) and position.fired_on < gone)
                )
                and gone not in {f.on for f in position.firings}
                and version.first <= gone <= version.last
            ):
                words = said("The line had been reached by what was known before, and is not by what is known now.")
                position = replace(position, status=Status.SUPERSEDED, fired_on=gone, why=words)
            if not over or position.fired_on is not None:
                found.append(position)
    return found


def unasked(rule: Rule, pack: Pack, why: str = "") -> Position:
    """A rule's position before anything is counted."""
    unit = pack.counts[rule.count].unit if rule.count else "times"
    return Position(
        rule.id, rule.title, unit, pack.cited(rule).citation, pack.version, Status.NOT_EVALUABLE, duty=rule.duty, op=rule.threshold.op, why=why
    )  # fmt: skip


def _position(
    line: Timeline, row: int, person: Person, version: InForce, law: Sequence[InForce], rule: Rule, deeds: Sequence[Evidence],
    begun: Mapping[str, date],
) -> tuple[Position, _Counted | None]:  # fmt: skip
    """What is the same of every answer about a rule, and what it counts; None where it is not asked."""
    base = unasked(rule, version.pack)
    grown = of_another_age(rule, version.pack, person, line.as_of, line.school_year)
    of_step = rule.count is None or (rule.applies.ages is not None and rule.applies.ages.of == "step")
    if why := of_others(rule, person) or (grown if of_step else ""):
        return replace(base, why=why), None
    try:
        if rule.count is None:
            counted = _of_evidence(line, rule, version, deeds, begun)
        else:
            counted = _of_marks(line, row, person, version, law, rule, deeds, begun)
    except NotEvaluable as error:
        return replace(base, why=grown or str(error)), None
    # who has grown out of a rule keeps what was reached before
    return replace(base, why=grown), counted if not grown or counted.firings else None


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a rule's count came to: now, and at each firing."""

    count: Fraction
    possible: Fraction | None
    threshold: Fraction
    total: Fraction | None  # of a share: what will have been possible by the window's end
    marks: list[date]
    window: tuple[date, date]
    firings: list[date]
    reached: bool
    at_firing: Any  # firing (, whether its window is asked too) -> (count, possible, marks, window)
    unknown: int = 0
    unit: Fraction = Fraction(1)  # the least there can be more of it
    known_on: Any = None  # firing -> the day its last mark had waited out its grace, where that was later
    #: firing, n -> in the window it was in, the day the count came to n, or how many more it takes; neither once the window has passed
    whose: Callable[[date], list[str]] = lambda _day: [""]  # firing -> the parents whose line it is; "": of all alike
    nth: Callable[[date, Fraction], tuple[date | None, Fraction | None]] = lambda _day, _n: (None, None)


def _of_evidence(
    line: Timeline, rule: Rule, version: InForce, deeds: Sequence[Evidence], begun: Mapping[str, date]
) -> _Counted:
    value = rule.threshold.count_for("")
    if rule.threshold.least is None:
        raise NotEvaluable(said("The law leaves this number to the district, and the district has not set it."))
    if value is None:
        raise NotEvaluable(said("The rule names no number of times."))
    need = int(value) + (rule.threshold.op == ">")
    shown = sorted(_showing(rule.evidence, version.pack, deeds, begun), key=lambda e: e.date)
    everybody = (sorted({e.to for e in shown if e.to}) if rule.per == "parent" else []) or [""]

    def within(at: date) -> tuple[date, date]:
        w = rule.window
        if w.kind == "rolling_years":
            return months_before(at, 12 * (w.length or 1)) + timedelta(days=1), at
        return bounds(w, line.frame, at)

    def held_by(who: str, at: date) -> list[date]:
        a, b = within(at)
        return [e.date for e in shown if a <= e.date <= min(b, at) and (not who or e.to in ("", who))]

    def held(at: date) -> list[date]:
        return max((held_by(who, at) for who in everybody), key=len)

    def whose(at: date) -> list[str]:
        return [who for who in everybody if at in (had := held_by(who, at)) and len(had) >= need]

    since = version.first
    if not rule.window.across_years and rule.window.kind != "rolling_years":
        since = max(since, line.frame.day(line.first))
    # each thing done from the line on asks anew: it has a deadline of its own
    firings = [d for d in dict.fromkeys(e.date for e in shown) if since <= d <= version.last and whose(d)]
    now = held(line.as_of)
    return _Counted(
        Fraction(len(now)), None, value, None, now, within(line.as_of), firings, len(now) >= need,
        lambda d, spans=True: (Fraction(len(held(d))), None, held(d), within(d)), whose=whose,
    )  # fmt: skip


def _of_marks(
    line: Timeline, row: int, person: Person, version: InForce, law: Sequence[InForce], rule: Rule, deeds: Sequence[Evidence],
    begun: Mapping[str, date],
) -> _Counted:  # fmt: skip
    after = None
    if name := rule.window.after_evidence:
        first = line.frame.day(line.first)
        since = min((e.date for e in _showing(name, version.pack, deeds, begun) if e.date >= first), default=None)
        column = len(line.frame.dates)
        if since is not None:
            column = int(np.searchsorted(line.frame.dates, np.datetime64(since), side="right"))
        after = np.full(line.n, column, dtype=np.int64)
    ages, of_age = rule.applies.ages, (0, len(line.frame.dates))
    if ages is None or ages.of == "step":
        ages = version.pack.ages
    if ages is not None and person.birth_date is not None:
        of_age = days_of_age(ages, person.birth_date, line)
        if (
            rule.threshold.share is None
        ):  # days missed before the student was of age count for nothing; a share is of all days enrolled
            after = np.maximum(0 if after is None else after, np.full(line.n, of_age[0], dtype=np.int64))
    asked = asked_of(rule, version, law, line, [person.grade] * line.n, after)
    told = counted(asked, row)
    c, p = told.count, told.possible
    fired = [f for f, *_ in told.fired if of_age[0] <= f // asked.width < of_age[1]]
    dates, width = line.frame.dates, asked.width
    share = rule.threshold.share
    value = Fraction(int(asked.num[row]), int(asked.den[row]))
    runs = rule.window.kind == "consecutive"
    runs_by_square = runs and version.pack.counts[rule.count or ""].strategy in ("sessions", "accumulate_minutes")

    def days(begin: int, stop: int) -> list[date]:
        some = np.flatnonzero(asked.counted[row, begin:stop]) + begin
        found: list[date] = dates[np.unique(some // width) if width > 1 else some].astype(object).tolist()
        return found

    def begins(at: int) -> int:
        """The first column that counts with column `at`."""
        low = max(int(asked.start[at]), int(asked.floor[row]))
        if not runs:
            return low
        before = np.flatnonzero(asked.stops[row, : at + 1] & ENDS_BEFORE)
        after = np.flatnonzero(asked.stops[row, :at] & ENDS_AFTER)
        return max(low, int(before[-1]) if len(before) else 0, int(after[-1]) + 1 if len(after) else 0)

    first_at = {line.frame.day(f // width): f for f in reversed(fired)}

    def at_firing(day: date, spans: bool = True) -> tuple[Fraction, Fraction, list[date], tuple[date, date]]:
        at = first_at[day]
        b = begins(at)
        marks = days(b, at + 1)
        return (
            asked.unit * int(asked.counted[row, b : at + 1].sum()), asked.unit * int(asked.possible[row, b : at + 1].sum()),
            marks, (day, day) if not spans else (marks[0], day) if runs and marks else _opened(bounds(rule.window, line.frame, day), line, asked, row),
        )  # fmt: skip

    stop = min(line.known, int(np.searchsorted(dates, np.datetime64(version.last), side="right"))) * width

    def known_on(day: date) -> date:
        count = version.pack.counts[rule.count or ""]
        if count.pending != "after_grace":
            return day
        sure = line.derived(msgspec.structs.replace(count, pending="never"), runs_by_square)
        at = first_at[day]
        waited = np.flatnonzero(asked.counted[row, : at + 1] != sure.counted[row, : at + 1])
        waited = waited[waited >= begins(at)]
        if not len(waited):
            return day
        last = int(waited[-1]) // width
        if count.grace_unit == "calendar_days":
            return max(day, line.frame.day(last) + timedelta(days=count.grace))
        return max(day, line.frame.day(min(last + count.grace, len(dates) - 1)))

    def nth(day: date, n: Fraction) -> tuple[date | None, Fraction | None]:
        at, need = first_at[day], math.ceil(n / asked.unit)
        held = 0
        for k in range(at, stop):
            if (fixed(rule.window) and asked.start[k] != asked.start[at]) or (runs and begins(k) > at):
                return None, None
            held = int(asked.counted[row, begins(k) : k + 1].sum())
            if held >= need:
                return line.frame.day(k // width), None
        if fixed(rule.window) and asked.start_now != asked.start[at]:
            return None, None
        return None, asked.unit * (need - held)

    if runs:
        b = 0 if not stop else stop if asked.stops[row, stop - 1] & ENDS_AFTER else begins(stop - 1)
    else:
        b = max(asked.start_now, int(asked.floor[row]))
    marks = days(b, stop)
    window = _opened(bounds(rule.window, line.frame, line.as_of), line, asked, row)
    if runs:
        window = (marks[0], line.as_of) if marks else (line.as_of, line.as_of)
    reached = bool(
        at_line(c, p, int(asked.num[row]), int(asked.den[row]), asked.share, rule.threshold.op == ">", asked.minimum)
    )
    total = None
    if asked.share:
        ahead = 0
        if rule.window.kind in ("school_year", "since_enrolment", "semester", "quarter", "term", "calendar_month"):
            end = int(
                np.searchsorted(dates, np.datetime64(bounds(rule.window, line.frame, line.as_of)[1]), side="right")
            )
            usual = int(asked.possible[row].max(initial=1))
            ahead = max(end - line.known, 0) * usual
        total = asked.unit * (p + ahead)
    return _Counted(
        asked.unit * c, asked.unit * p if share is not None else None,
        value if asked.share else value * asked.unit, total, marks, window,
        [line.frame.day(f // width) for f in fired], reached, at_firing, int(asked.unknown[row, b:stop].sum()),
        asked.unit, known_on, nth=nth,
    )  # fmt: skip


def _opened(window: tuple[date, date], line: Timeline, asked: Asked, row: int) -> tuple[date, date]:
    """A window that began later for this student: with the enrolment, or with what was done."""
    low = int(asked.floor[row]) // asked.width
    if not low or low >= len(line.frame.dates):
        return window
    return max(window[0], line.frame.day(low)), window[1]


def _room(rule: Rule, c: _Counted) -> Fraction:
    """How many more until the line is reached; of a share, by the window's end (law.md § 3)."""
    if c.reached:
        return Fraction(0)
    line = (c.threshold if c.total is None else c.threshold * c.total) / c.unit
    need: int = needed(line.numerator, line.denominator, rule.threshold.op == ">")
    return max(need * c.unit - c.count, Fraction(0))  # none where a share waits only for enough days to be possible


def _judged(
    line: Timeline, row: int, person: Person, rule: Rule, pack: Pack, deeds: Sequence[Evidence], base: Position, c: _Counted,
    begun: Mapping[str, date], heir: Sequence[date] = (),
) -> Position:  # fmt: skip
    """heir: the days the line was reached to which this rule gives way."""
    duty, year_first = rule.duty, line.frame.day(line.first)
    firings = c.firings[:1] if rule.once == "year" else c.firings
    done_by = () if duty is None else duty.done_by or DONE_BY[duty.kind]
    about = ("", rule.id) if duty is None else ("", rule.id, duty.done_from)

    def done(day: date) -> bool:
        since = _since(rule, c, day, begun) or day
        return all(done_to(who, since) for who in c.whose(day))

    def done_to(who: str, since: date) -> bool:
        return any(
            e.date >= since and (not who or e.to in ("", who)) and e.rule in about and (e.kind in done_by or (e.kind == NOT_ESCALATED and duty is not None and duty.may))
            for e in deeds
        )  # fmt: skip

    def gave_way(day: date) -> bool:
        later = next((d for d in firings if d > day), date.max)
        return any(day <= d < later for d in heir)

    undone = [d for d in firings if duty is not None and duty.kind != "classify" and not done(d)]
    open_ = [d for d in undone if not gave_way(d)]
    since_year = min(year_first, c.window[0])
    missing = (
        ()
        if duty is None
        else tuple(_missing(duty, pack, deeds, since_year, _first_away(line, row, since_year), begun))
    )
    if duty is not None and duty.severity == "punitive" and rule.applies.ages is not None and person.birth_date is None:
        missing += ("birth_date",)  # nobody is taken to court because their age is not known
    forbidden = () if duty is None else tuple(_forbidden(rule, duty, person, deeds, line.as_of))
    count, possible, marks, window = c.count, c.possible, c.marks, c.window
    fired_on, why = None, ""
    if open_:
        fired_on = open_[0]
        if not c.reached or fired_on != firings[-1]:
            count, possible, marks, window = c.at_firing(fired_on)
            possible = possible if c.possible is not None else None
        status = Status.FORBIDDEN if forbidden else Status.LOCKED if missing else Status.DUTY_OPEN
    elif firings and (c.reached or rule.once == "year"):
        fired_on = firings[-1]
        asks = duty is not None and duty.kind != "classify" and fired_on not in undone
        status = Status.DUTY_DONE if asks else Status.REACHED
        if fired_on in undone:
            why = said("The step of %(rule)s has taken the place of this one.", rule=rule.gives_way_to)
        if duty is not None and duty.kind == "classify" and (forbidden or missing):
            status = Status.FORBIDDEN if forbidden else Status.LOCKED
    elif firings and by_itself(rule.window) and duty is not None and firings[-1] not in undone:
        fired_on, status = firings[-1], Status.DUTY_DONE  # what was asked of the last such day was done
        count, possible, marks, window = c.at_firing(fired_on)
        possible = possible if c.possible is not None else None
    else:
        near = c.count > 0 and _room(rule, c) <= rule.near
        status = Status.NEAR if near else Status.CLEAR
        if near and not _room(rule, c):
            why = said(
                "It is asked only once %(least)s were possible.",
                least=amount(Fraction(rule.threshold.minimum), base.unit),
            )
    if status is Status.LOCKED:
        why = said("Before this step there must be on record: %(missing)s.", missing=[named(m) for m in missing])
    elif (
        status is Status.DUTY_OPEN
        and duty is not None
        and (not_to := _had_enough(rule, duty, person, deeds, line.as_of))
    ):
        why = said("Not to %(who)s, who has had it as often as the law allows.", who=not_to)
    elif status is Status.FORBIDDEN:
        why = said("The law does not allow this step: %(why)s.", why=[named(f) for f in forbidden])
    since = due = due_in = not_before = None
    if fired_on is not None and duty is not None and not (fired_on in undone and not open_):
        since = _since(rule, c, fired_on, begun)
        if duty.deadline is not None and duty.deadline.unit == "counted":
            due, due_in = c.nth(fired_on, Fraction(duty.deadline.value))
            if due is not None and duty.deadline.before:
                due = line.frame.day(max(int(np.searchsorted(line.frame.dates, np.datetime64(due))) - 1, 0))
        elif duty.deadline is not None:
            due, not_before = _deadline(
                duty, pack, c.known_on(fired_on) if c.known_on else fired_on, deeds, line, begun
            )
            if due is None and not why and open_ and duty.deadline.from_ == "trigger":
                why = said(
                    "The school days of this calendar end before the day it is due; the next year’s calendar will tell."
                )
    then = [(d, c.at_firing(d, False)) for d in firings]
    fired = tuple(Fired(d, at[0], tuple(at[2])) for d, at in then)
    leaves = None
    if marks and rule.window.kind.startswith("rolling") and not open_:
        leaves = leaves_on(rule.window, marks[0], line)
    return replace(
        base, status=status, count=count, possible=possible, threshold=c.threshold, window=window,
        remaining=Fraction(0) if fired_on is not None else _room(rule, c), leaves=leaves, fired_on=fired_on, firings=fired, since=since, due=due,
        due_in=due_in, not_before=not_before, missing=missing, forbidden=forbidden, marks=tuple(marks), unknown=c.unknown, why=why,
    )  # fmt: skip


def _since(rule: Rule, c: _Counted, firing: date | None, begun: Mapping[str, date]) -> date | None:
    """From when on what was done shows the duty of a firing done."""
    since = "trigger" if rule.duty is None else rule.duty.done_from
    if since == "window" and firing is not None:
        opens: date = c.at_firing(firing)[3][0]
        return min(opens, firing)
    if since not in ("trigger", "window") and since in begun:
        return begun[since] if firing is None else min(begun[since], firing)
    return firing


def named_by(law: Sequence[InForce], some: Collection[str]) -> set[str]:
    """What rules name, and what that names in turn: kinds of evidence, and rules whose duty comes first."""
    found: set[str] = set()
    new = set(some)
    while new:
        rules = [r for v in law for r in v.pack.rule if r.id in new]
        names = {n for r in rules for n in (r.evidence, r.window.after_evidence, *_named_by_duty(r.duty))}
        new = {one for name in names for one in name.split("|")} - found
        found |= new
    return found


def _named_by_duty(duty: Duty | None) -> tuple[str, ...]:
    return () if duty is None else (*duty.requires, duty.done_from, duty.deadline.from_ if duty.deadline else "")


def shows(name: str, pack: Pack) -> list[tuple[str, str]]:
    """What shows something named in a rule done: kinds of evidence, each with the rule it must be about ("" for any). "a|b" is either."""
    found: list[tuple[str, str]] = []
    for one in name.split("|"):
        other, owed = pack.rule_named(one), pack.institution_named(one)
        if owed is not None:
            found += [(kind, one) for kind in owed.done_by]
        elif other is None or other.duty is None:
            found.append((one, ""))
        else:
            about = [one, *([other.duty.done_from] if pack.rule_named(other.duty.done_from) else ())]
            found += [(kind, rule) for rule in about for kind in other.duty.done_by or DONE_BY[other.duty.kind]]
    return found


def _showing(name: str, pack: Pack, deeds: Sequence[Evidence], begun: Mapping[str, date]) -> list[Evidence]:
    """What was done that shows it; of a rule's duty, only since its line was reached, and nothing where it was not."""
    ways = shows(name, pack)
    return [
        e for e in deeds
        if any(
            e.kind == kind and (not rule or (e.rule in ("", rule) and rule in begun and e.date >= begun[rule]))
            for kind, rule in ways
        )
    ]  # fmt: skip


def _missing(
    duty: Duty, pack: Pack, deeds: Sequence[Evidence], since: date, away: date, begun: Mapping[str, date]
) -> Iterable[str]:
    """What must be on record and is not: this year, or since the window began. What shows another rule's duty done counts since that rule's line
    was reached, or where it never was, since the first day the student was away on; what the institution owes it may have done before."""
    at_least = (
        dict.fromkeys((rule.id for rule in pack.rule), away)
        | {owed.id: since for owed in pack.institution}
        | dict(begun)
    )
    for name in duty.requires:
        if not any(e.date >= since for e in _showing(name, pack, deeds, at_least)):
            yield " or ".join(name.split("|"))


_THERE = np.frombuffer((PRESENT_LETTERS + UNKNOWN + NOT_EXPECTED).encode(), dtype=np.uint8)
_THERE = _THERE[~np.isin(_THERE, np.frombuffer(b"TtLlHh", dtype=np.uint8))]


def _first_away(line: Timeline, row: int, since: date) -> date:
    """The first day from `since` on of which any part was missed, for whatever reason; `since` itself where there is none."""
    found = []
    for s in line.stretches:
        days = ~np.isin(s.codes[row], _THERE).reshape(len(s.dates), s.sessions).all(axis=1)
        days &= (s.dates >= np.datetime64(since)) & (s.dates <= np.datetime64(line.as_of))
        if days.any():
            found.append(s.dates[int(days.argmax())])
    return min(found).astype(object) if found else since


def _forbidden(rule: Rule, duty: Duty, person: Person, deeds: Sequence[Evidence], at: date) -> Iterable[str]:
    yield from sorted(person.flags & set(duty.forbidden_if))
    limit = duty.not_after
    if limit is not None and len(_had_enough(rule, duty, person, deeds, at)) == len(
        _parents(rule, limit, person, deeds)
    ):
        yield f"{limit.evidence} {limit.times} times in {limit.years} years"


def _parents(rule: Rule, limit: NotAfter, person: Person, deeds: Sequence[Evidence]) -> list[str]:
    """Whom a limit is asked of, one by one; "" where of all alike."""
    named = {e.to for e in deeds if e.to and e.kind in limit.evidence.split("|")} | set(person.parents)
    return (sorted(named) if rule.per == "parent" else []) or [""]


def _had_enough(rule: Rule, duty: Duty, person: Person, deeds: Sequence[Evidence], at: date) -> list[str]:
    """Of those, who has had it as often as the law allows."""
    if (limit := duty.not_after) is None:
        return []
    since = months_before(at, 12 * limit.years)
    given = [e.to for e in deeds if e.kind in limit.evidence.split("|") and e.date > since]
    return [
        who
        for who in _parents(rule, limit, person, deeds)
        if sum(not who or to in ("", who) for to in given) >= limit.times
    ]


def _deadline(
    duty: Duty, pack: Pack, fired_on: date, deeds: Sequence[Evidence], line: Timeline, begun: Mapping[str, date]
) -> tuple[date | None, date | None]:
    limit = duty.deadline
    assert limit is not None
    since: date | None = fired_on
    if limit.from_ in ENDS:
        try:
            since = bounds(Window(kind=ENDS[limit.from_]), line.frame, fired_on)[1]
        except NotEvaluable:
            since = None
    elif limit.from_ != "trigger":
        since = min((e.date for e in _showing(limit.from_, pack, deeds, begun) if e.date >= fired_on), default=None)
    if since is None:
        return None, None
    return _after(since, limit.value, limit.unit, line), (
        _after(since, limit.not_before, limit.unit, line) if limit.not_before else None
    )


def owed(pack: Pack, line: Timeline, evidence: Sequence[Evidence]) -> list[Position]:
    """What the institution itself owes this school year: no student's step, and done where the student's own file shows it."""
    found = []
    first, last = line.school_year
    for one in pack.institution:
        begins, due = first, one.by
        if one.each is not None:
            try:
                begins = (
                    bounds(Window(kind=ENDS[one.each.from_]), line.frame, line.as_of)[1]
                    if one.each.from_ in ENDS
                    else first
                )
            except NotEvaluable:
                begins = last
            due = _after(begins, one.each.value, one.each.unit, line)
        done = any(e.kind in one.done_by and e.rule in ("", one.id) and first <= e.date <= line.as_of for e in evidence)
        begun = begins <= line.as_of
        status = Status.DUTY_DONE if done else Status.DUTY_OPEN if begun else Status.CLEAR
        citation = next(s.citation for s in pack.source if s.id == one.source)
        found.append(
            Position(
                one.id, one.title, "times", citation, pack.version, status, due=due, fired_on=begins if begun else None,
                why=said("It is the duty of: %(who)s, and no student’s step.", who=one.who),
            )
        )  # fmt: skip
    return found


def _after(day: date, n: int, unit: str, line: Timeline) -> date | None:
    """The n-th day of a kind after a day. None where the calendar does not reach so far."""
    if unit == "minutes" or n == 0:
        return day
    if unit == "calendar_days":
        return day + timedelta(days=n)
    if unit == "working_days":
        found: date = np.busday_offset(np.datetime64(day), n, roll="backward").astype(object)
        return found
    k = int(np.searchsorted(line.frame.dates, np.datetime64(day), side="right")) - 1 + n
    return line.frame.day(k) if k < len(line.frame.dates) else None


def leaves_on(window: Window, oldest: date, line: Timeline) -> date | None:
    """The first day on which the oldest counted day no longer counts."""
    length = window.length or 1
    column = int(np.searchsorted(line.frame.dates, np.datetime64(oldest)))
    soonest = length  # in days
    if window.kind in ("rolling_months", "rolling_years"):
        months = length * (12 if window.kind == "rolling_years" else 1)
        soonest = 30 * months + months * 5 // 12 - 3
    elif window.kind == "rolling_school_weeks":
        soonest = 1
    at = np.datetime64(oldest) + np.arange(soonest, soonest + 40)
    while at[0] <= max(line.frame.dates[-1], np.datetime64(oldest) + soonest):
        gone = np.flatnonzero(starts(window, line.frame, at) > column)
        if len(gone):
            found: date = at[gone[0]].astype(object)
            return found
        at = at + 40
    return None
