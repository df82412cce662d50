"""Where a student stands under every rule, on any day, as known then.

`positions` says everything about one student: the marks counted, the room left, what is due, what is still missing. What is counted is said by
`tally`, what was done by `deeds`; here the two are judged.

The engine's laws (law.md § 3): a pure function of what was known, the calendar, the enrolments, the pack and the evidence; every day
is judged under the version in force on it; a punitive step stays locked until what it requires is on record; unknown is not present.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

import numpy as np

from firstbell.law.days import NotEvaluable
from firstbell.law.deeds import NOT_ESCALATED, Deeds, Evidence, named_by, shows
from firstbell.law.packs import ENDS, Duty, InForce, Pack, Rule, Window
from firstbell.law.sentences import amount, named
from firstbell.law.tally import Fired, Student, Tally
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from firstbell.law.windows import bounds, by_itself, months_before
from firstbell.said import said

__all__ = [
    "NOT_ESCALATED",
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
    pack_sha256  of the pack, with the district's own: a version may have several in a year
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
    pack_sha256: str = ""


def positions(
    line: Timeline, row: int, person: Person, law: Sequence[InForce], evidence: Sequence[Evidence] = (),
    earlier: Mapping[str, date] | None = None, only: Collection[str] | None = None,
) -> list[Position]:  # fmt: skip
    """Where one student of a timeline stands under every rule in force this school year.

    evidence what was done so far; also after the timeline's last day
    law      the versions in force in the days the timeline covers (`packs.in_force`), oldest first
    earlier  rule -> the day it had fired by what was known before: where it has not now, it was superseded
    only     answers for these rules alone (and asks what they require)

    A version that has ended is answered for only where its line was reached while it was in force; what it asked for then stands, and is not
    asked anew by the version after, as long as the line stays reached.
    """
    student = Student(line, row, person, Deeds(evidence))
    this_year = [v for v in law if v.last >= line.school_year[0]]
    asks = None if only is None else {*only, *named_by(law, only)}
    asked: dict[tuple[date, str], tuple[Tally | None, str]] = {}
    reached: dict[str, list[date]] = defaultdict(list)
    for version in this_year:
        for rule in version.pack.rule:
            if asks is not None and rule.id not in asks:
                continue
            tally, _why = asked[version.first, rule.id] = student.tally(rule, version, law)
            if tally is None:
                continue
            reached[rule.id] += [f.on for f in tally.fired]
            since = _since(student, rule, tally, tally.fired[0].on if tally.fired else None)
            if since is not None:
                student.deeds.begun.setdefault(rule.id, since)
    found = []
    for version in this_year:
        for rule in version.pack.rule:
            if only is not None and rule.id not in only:
                continue
            tally, grown = asked[version.first, rule.id]
            if tally is None:
                position = unasked(rule, version.pack, grown)
            else:
                heir, _why = asked.get((version.first, rule.gives_way_to), (None, ""))
                stood = [heir.stood] if heir is not None and heir.stood is not None else []
                position = _judged(student, rule, version, tally, [*reached[rule.gives_way_to], *stood])
                helps = rule.duty is not None and rule.duty.severity != "punitive"
                if grown and not (helps and position.status is Status.DUTY_OPEN):
                    position = replace(
                        position, status=Status.NOT_EVALUABLE, why=grown, due=None, due_in=None, not_before=None, missing=()
                    )  # fmt: skip
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
            if version.last >= line.as_of or position.fired_on is not None or position.firings:
                found.append(position)
    return found


def unasked(rule: Rule, pack: Pack, why: str = "") -> Position:
    """A rule's position before anything is counted."""
    return Position(
        rule.id, rule.title, _unit(rule, pack), pack.cited(rule).citation, pack.version, Status.NOT_EVALUABLE, duty=rule.duty,
        op=rule.threshold.op, why=why, pack_sha256=pack.sha256,
    )  # fmt: skip


def _unit(rule: Rule, pack: Pack) -> str:
    return pack.counts[rule.count].unit if rule.count else "times"


def _judged(student: Student, rule: Rule, version: InForce, tally: Tally, heir: Sequence[date]) -> Position:
    """heir: the days the line was reached to which this rule gives way."""
    line, person, deeds, duty, pack = student.line, student.person, student.deeds, rule.duty, version.pack
    had = rule.once == "year" and tally.reached_before
    fired = [] if had else tally.fired[:1] if rule.once == "year" else tally.fired
    firings = [f.on for f in fired]
    asks = duty is not None and duty.kind != "classify"

    answers = deeds.answering(rule)

    def done(day: date) -> bool:
        since = _since(student, rule, tally, day) or day
        given = [e.to for e in answers if e.date >= since]
        return all(given if not who else "" in given or who in given for who in tally.whose(day))

    def gave_way(day: date) -> bool:
        later = next((d for d in firings if d > day), date.max)
        return any(day <= d < later for d in heir)

    undone = [d for d in firings if not (answers and done(d))] if asks else []
    open_ = [d for d in undone if not gave_way(d)] if heir else undone
    missing: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    if duty is not None:
        if duty.requires:
            since_year = min(line.school_year[0], tally.window[0])
            missing = tuple(deeds.missing(duty, pack, since_year, student.first_away(since_year)))
        if duty.severity == "punitive" and rule.applies.ages is not None and person.birth_date is None:
            missing += ("birth_date",)  # nobody is taken to court because their age is not known
        forbidden = tuple(deeds.forbids(rule, duty, person, line.as_of))
    count, possible, marks, window = tally.count, tally.possible, tuple(tally.marks), tally.window
    fired_on, why = None, ""
    if open_:
        fired_on = open_[0]
        if not tally.reached or fired_on != firings[-1]:
            then = fired[firings.index(fired_on)]
            count, marks = then.count, then.marks
            possible, window = tally.possible_at(fired_on), tally.window_at(fired_on)
        status = Status.FORBIDDEN if forbidden else Status.LOCKED if missing else Status.DUTY_OPEN
    elif firings and (tally.reached or rule.once == "year"):
        fired_on = firings[-1]
        status = Status.DUTY_DONE if asks and fired_on not in undone else Status.REACHED
        if fired_on in undone:
            why = said("The step of %(rule)s has taken the place of this one.", rule=rule.gives_way_to)
        if duty is not None and duty.kind == "classify" and (forbidden or missing):
            status = Status.FORBIDDEN if forbidden else Status.LOCKED
    elif firings and by_itself(rule.window) and duty is not None and firings[-1] not in undone:
        fired_on, status = firings[-1], Status.DUTY_DONE  # what was asked of the last such day was done
        count, marks = fired[-1].count, fired[-1].marks
        possible, window = tally.possible_at(fired_on), tally.window_at(fired_on)
    elif had or (tally.stood is not None and tally.reached):
        status = Status.REACHED
        why = said("It was reached under the rules in force before these: what they asked for stands.")
    else:
        near = tally.count > 0 and tally.room <= rule.near and version.last >= line.as_of
        status = Status.NEAR if near else Status.CLEAR
        if near and not tally.room:
            least = amount(Fraction(rule.threshold.minimum), _unit(rule, pack))
            why = said("It is asked only once %(least)s were possible.", least=least)
    if status is Status.LOCKED:
        why = said("Before this step there must be on record: %(missing)s.", missing=[named(m) for m in missing])
    elif status is Status.FORBIDDEN:
        why = said("The law does not allow this step: %(why)s.", why=[named(f) for f in forbidden])
    elif status is Status.DUTY_OPEN and duty and (not_to := deeds.had_enough(rule, duty, person, line.as_of)):
        why = said("Not to %(who)s, who has had it as often as the law allows.", who=not_to)
    since = due = due_in = not_before = None
    if fired_on is not None and duty is not None and not (fired_on in undone and not open_):
        since = _since(student, rule, tally, fired_on)
        if duty.deadline is not None and duty.deadline.unit == "counted":
            due, due_in = tally.nth(fired_on, Fraction(duty.deadline.value))
            if due is not None and duty.deadline.before:
                due = line.frame.day(max(line.frame.column(due) - 1, 0))
        elif duty.deadline is not None:
            due, not_before = deadline(duty, pack, tally.known_on(fired_on), line, deeds)
            if due is None and not why and open_ and duty.deadline.from_ == "trigger":
                why = said(
                    "The school days of this calendar end before the day it is due; the next year’s calendar will tell."
                )
    leaves = None
    if marks and rule.window.kind.startswith("rolling") and not open_:
        leaves = leaves_on(rule.window, marks[0], line)
    return Position(
        rule.id, rule.title, _unit(rule, pack), pack.cited(rule).citation, pack.version, status, count=count, possible=possible,
        threshold=tally.threshold, op=rule.threshold.op, window=window, remaining=Fraction(0) if fired_on is not None or status is Status.REACHED else tally.room,
        leaves=leaves, fired_on=fired_on, firings=tuple(fired), since=since, due=due, due_in=due_in, not_before=not_before, missing=missing,
        forbidden=forbidden, marks=marks, unknown=tally.unknown, why=why, duty=duty, pack_sha256=pack.sha256,
    )  # fmt: skip


def _since(student: Student, rule: Rule, tally: Tally, firing: date | None) -> date | None:
    """From when on what was done shows the duty of a firing done."""
    since, begun = "trigger" if rule.duty is None else rule.duty.done_from, student.deeds.begun
    if since == "window" and firing is not None:
        return min(tally.window_at(firing)[0], firing)
    if since not in ("trigger", "window") and since in begun:
        return begun[since] if firing is None else min(begun[since], firing)
    return firing


def deadline(duty: Duty, pack: Pack, fired_on: date, line: Timeline, deeds: Deeds) -> tuple[date | None, date | None]:
    """(By when, not before when) a duty is to be done whose line was reached, and surely known, on a day; unless it is due by a count."""
    limit = duty.deadline
    assert limit is not None
    since: date | None = fired_on
    if limit.from_ in ENDS:
        try:
            since = bounds(Window(kind=ENDS[limit.from_]), line.frame, fired_on)[1]
        except NotEvaluable:
            since = None
    elif limit.from_ != "trigger":
        since = deeds.first(limit.from_, pack, fired_on)
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
    k = line.frame.after(day) - 1 + n
    return line.frame.day(k) if k < len(line.frame.days) else None


def leaves_on(window: Window, oldest: date, line: Timeline) -> date | None:
    """The first day on which the oldest counted day of a window that slides no longer counts; None where the calendar does not reach so far."""
    length, frame = window.length or 1, line.frame
    if window.kind == "rolling_calendar_days":
        return oldest + timedelta(days=length)
    if window.kind in ("rolling_school_days", "rolling_school_weeks"):
        column = frame.column(oldest)
        gone = column + length
        if window.kind == "rolling_school_weeks":
            gone = int(np.searchsorted(frame.weeks, frame.weeks[column] + length))
        return frame.day(gone) if gone < len(frame.days) else None
    months = length * (12 if window.kind == "rolling_years" else 1)
    day = oldest + timedelta(days=30 * months + months * 5 // 12 - 3)  # never later than it leaves
    while months_before(day, months) < oldest:
        day += timedelta(days=1)
    return day
