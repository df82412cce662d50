"""One student's story in a TOML file, and where it puts them: `firstbell law try FILE.toml`. For lawyers and testers.

    pack = "us-fl"          # or a path; the version follows the dates
    as_of = 2026-10-02
    [student]
    birth_date = 2012-03-01
    grade = "08"
    flags = []
    [calendar]
    first = 2026-08-10
    last = 2027-05-28
    closed = [2026-09-07]
    sessions = 1
    minutes = 390
    [[mark]]
    date = 2026-09-28       # or from/to, for a run of days
    kind = "unexcused"      # the marks of `packs.MARKS`, or a code of a known set: "dfe:G"
    recorded_at = 2026-09-28T09:10:00   # a later row for the same square corrects it
    [[evidence]]
    kind = "conference"
    date = 2026-09-30

A school day without a mark is a day present. A day after `as_of` has not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from firstbell.intake.readers.codes import BUILT_IN, load_code_map
from firstbell.law.clock import Evidence, Person, Position, positions
from firstbell.law.days import Stretch
from firstbell.law.metrics import Measured, measure
from firstbell.law.overlays import overlaid, read_overlay
from firstbell.law.packs import MARKS, InForce, PackError, in_force, metrics, read, versions
from firstbell.law.timeline import Timeline

__all__ = ["Answer", "Scenario", "ask", "read_scenario", "told"]


Day = date  # for tables that have a key of that name


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class StudentTable(_Table, kw_only=True, frozen=True):
    birth_date: date | None = None
    grade: str = ""
    flags: tuple[str, ...] = ()


class CalendarTable(_Table, kw_only=True, frozen=True):
    first: date
    last: date
    closed: tuple[date, ...] = ()
    make_up: tuple[date, ...] = ()
    sessions: int = 1
    minutes: int | tuple[int, ...] | None = None
    terms: tuple[tuple[date, date], ...] = ()
    earlier: tuple[CalendarTable, ...] = ()


class EnrolmentTable(_Table, kw_only=True, frozen=True):
    school: str = ""
    from_: date = msgspec.field(name="from")
    to: date | None = None


class MarkTable(_Table, kw_only=True, frozen=True):
    kind: str
    date: Day | None = None
    from_: Day | None = msgspec.field(name="from", default=None)
    to: Day | None = None
    session: int | None = None
    minutes_missed: int | None = None
    recorded_at: Any = None  # a date and time, or a date: the end of that day


class EvidenceTable(_Table, kw_only=True, frozen=True):
    kind: str
    date: Day
    rule: str = ""
    note: str = ""


class Scenario(_Table, kw_only=True, frozen=True):
    pack: str
    as_of: date
    overlay: str = ""
    title: str = ""
    student: StudentTable = StudentTable()
    calendar: CalendarTable
    enrolment: tuple[EnrolmentTable, ...] = ()
    mark: tuple[MarkTable, ...] = ()
    evidence: tuple[EvidenceTable, ...] = ()


def read_scenario(text: str, where: str) -> Scenario:
    """Raises PackError, which names the line."""
    return read(Scenario, text, where)


@dataclass(frozen=True, slots=True)
class Answer:
    positions: list[Position]
    metrics: list[Measured]


@dataclass(frozen=True, slots=True)
class _Said:
    """One mark on one square: when it was said, and the letter it makes."""

    day: date
    session: int | None
    letter: str
    minutes: int
    at: datetime


def _school_days(calendar: CalendarTable) -> list[date]:
    if calendar.last < calendar.first:
        raise PackError(f"The calendar ends ({calendar.last}) before it begins ({calendar.first}).")
    days = {calendar.first + timedelta(days=k) for k in range((calendar.last - calendar.first).days + 1)}
    weekdays = {d for d in days if d.weekday() < 5} - set(calendar.closed)
    return sorted(weekdays | set(calendar.make_up))


def _minutes(calendar: CalendarTable) -> tuple[int, ...]:
    """Scheduled minutes of each session; a day's are shared out evenly, what is left over to the first."""
    given, n = calendar.minutes, calendar.sessions
    if given is None:
        return ()
    if isinstance(given, tuple):
        if len(given) != n:
            raise PackError(f"The calendar has {n} sessions a day, and minutes for {len(given)}.")
        return given
    return tuple(given // n + (k < given % n) for k in range(n))


def _letter(kind: str) -> str:
    if kind in MARKS:
        return MARKS[kind]
    if kind == "unknown":
        return " "
    if kind == "not_expected":
        return "#"
    name, colon, code = kind.partition(":")
    if colon and name in BUILT_IN:
        found = load_code_map(name).lookup(code)
        if found is not None:
            return found.letter
        raise PackError(f"The code {code!r} is not in the set {name}.")
    raise PackError(
        f"A mark is of the kind {kind!r}; known are {', '.join(MARKS)}, unknown, not_expected, and codes such as dfe:G "
        f"of the sets {', '.join(BUILT_IN)}."
    )


def _said(scenario: Scenario, minutes: tuple[int, ...]) -> list[_Said]:
    """Every mark, a day at a time, in the order they were said."""
    found = []
    for mark in scenario.mark:
        first, last = mark.date or mark.from_, mark.date or mark.to
        if first is None or last is None or (mark.date is not None) == (mark.from_ is not None):
            raise PackError(f"A mark ({mark.kind}) needs either a date, or from and to.")
        if mark.session is not None and not 1 <= mark.session <= scenario.calendar.sessions:
            raise PackError(
                f"A mark of {first} is of session {mark.session}; the calendar has {scenario.calendar.sessions} a day."
            )
        letter = _letter(mark.kind)
        whole = sum(minutes) if mark.session is None else minutes[mark.session - 1] if minutes else 0
        if mark.minutes_missed is not None and letter in "UNEXS" and (not whole or mark.minutes_missed < whole):
            letter = "H" if letter == "U" else "h"  # away for part of it
        day = first
        while day <= last:
            at = mark.recorded_at
            if at is None:
                at = datetime.combine(day, time.max)
            elif not isinstance(at, datetime):
                if not isinstance(at, date):
                    raise PackError(f"A mark of {day} has recorded_at = {at!r}; it is a date, or a date and a time.")
                at = datetime.combine(at, time.max)
            found.append(_Said(day, mark.session, letter, mark.minutes_missed or 0, at.replace(tzinfo=None)))
            day += timedelta(days=1)
    return sorted(found, key=lambda s: s.at)


def _calendars(calendar: CalendarTable) -> list[CalendarTable]:
    return [*sorted(calendar.earlier, key=lambda c: c.first), calendar]


def _line(scenario: Scenario, said: Sequence[_Said], as_of: date, known_at: datetime) -> Timeline:
    """The student's register as known at a moment."""
    stretches = []
    calendars = _calendars(scenario.calendar)
    for number, calendar in enumerate(calendars):
        days = _school_days(calendar)
        if not days:
            raise PackError(f"The calendar from {calendar.first} has no school day.")
        n, place = calendar.sessions, {d: k for k, d in enumerate(days)}
        codes = np.full((len(days), n), ord("P"), dtype=np.uint8)
        missed = np.zeros((len(days), n), dtype=np.uint16)
        for s in said:
            if s.at > known_at or s.day not in place:
                continue
            k = place[s.day]
            if s.session is not None and s.session > n:
                continue
            some = slice(None) if s.session is None else slice(s.session - 1, s.session)
            if (
                s.session is None and s.letter in "TtLl"
            ):  # who comes late misses of the day's beginning, who leaves early of its end
                some = slice(0, 1) if s.letter in "Tt" else slice(n - 1, n)
            codes[k, some] = ord(s.letter)
            missed[k, some] = -(-s.minutes // n) if some == slice(None) else s.minutes
        for k, day in enumerate(days):
            on_roll = not scenario.enrolment or any(
                e.from_ <= day and (e.to is None or day <= e.to) for e in scenario.enrolment
            )
            if not on_roll and (
                number == len(calendars) - 1 or any(e.from_ <= calendar.last for e in scenario.enrolment)
            ):
                codes[k] = ord("#")
        stretches.append(
            Stretch(
                "", number, np.array(days, dtype="datetime64[D]"), n, codes.reshape(1, -1), missed.reshape(1, -1),
                _minutes(calendar), calendar.terms,
            )
        )  # fmt: skip
    entered = None
    begun = [e.from_ for e in scenario.enrolment if e.from_ <= as_of]
    if begun:
        entered = np.array([max(max(begun), scenario.calendar.first)], dtype="datetime64[D]")
    return Timeline(stretches, as_of, entered)


def _law(scenario: Scenario, first: date) -> list[InForce]:
    some = versions(scenario.pack)
    if scenario.overlay:
        text = Path(scenario.overlay).read_text("utf-8")
        some = tuple(overlaid(p, read_overlay(text, scenario.overlay, p)) for p in some)
    found = in_force(some, first, scenario.as_of)
    if not found:
        began = min(p.effective_from for p in some)
        raise PackError(f"No version of {scenario.pack} is in force on {scenario.as_of}: the first begins on {began}.")
    return found


def ask(scenario: Scenario) -> Answer:
    """Where the student of a scenario stands on its day, under the versions in force then.

    A line that had been reached by what was known earlier, before a mark was corrected, and no longer is, is superseded.
    """
    if not _calendars(scenario.calendar)[0].first <= scenario.as_of:
        raise PackError(f"The day asked about, {scenario.as_of}, is before the calendar begins.")
    said = _said(scenario, _minutes(scenario.calendar))
    person = Person(scenario.student.birth_date, scenario.student.grade, frozenset(scenario.student.flags))
    law = _law(scenario, _calendars(scenario.calendar)[0].first)
    evidence = [Evidence(e.kind, e.date, e.rule) for e in scenario.evidence if e.date <= scenario.as_of]
    now = datetime.combine(scenario.as_of, time.max)

    earlier: dict[str, date] = {}
    seen: set[tuple[date, int | None]] = set()
    for s in said:  # before each correction, what had been reached by what was known then
        if s.at <= now and (s.day, s.session) in seen and s.at.date() >= scenario.calendar.first:
            before = s.at - timedelta(microseconds=1)
            then = _line(scenario, said, min(s.at.date(), scenario.as_of), before)
            for p in positions(then, 0, person, law, [e for e in evidence if e.date <= then.as_of]):
                if p.fired_on is not None:
                    earlier.setdefault(p.rule, p.fired_on)
        seen.add((s.day, s.session))
    line = _line(scenario, said, scenario.as_of, now)
    known = metrics()
    return Answer(
        positions(line, 0, person, law, evidence, earlier),
        [measure(known[m], line, 0, person.grade) for m in law[-1].pack.metrics],
    )


def _number(value: Fraction | None) -> int | str | None:
    return None if value is None else int(value) if value.denominator == 1 else str(value)


def told(answer: Answer) -> dict[str, Any]:
    """An answer as JSON has it: counts are whole numbers or exact fractions ("61/2"), days are ISO dates."""

    def day(value: date | None) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "positions": [
            {
                "rule": p.rule,
                "title": p.title,
                "count": _number(p.count),
                "possible": _number(p.possible),
                "unit": p.unit,
                "op": p.op,
                "threshold": _number(p.threshold),
                "window": None if p.window is None else [day(d) for d in p.window],
                "remaining": _number(p.remaining),
                "status": p.status.value,
                "fired_on": day(p.fired_on),
                "due": day(p.due),
                "not_before": day(p.not_before),
                "leaves": day(p.leaves),
                "missing": list(p.missing),
                "forbidden": list(p.forbidden),
                "why": p.why,
                "duty": None
                if p.duty is None
                else {"kind": p.duty.kind, "title": p.duty.title, "severity": p.duty.severity, "may": p.duty.may},
                "citation": p.citation,
                "version": p.version,
                "marks": [day(d) for d in p.marks],
                "unknown": p.unknown,
            }
            for p in answer.positions
        ],
        "metrics": {
            m.metric.id: {
                "title": m.metric.title,
                "value": None if m.share is None else str(m.share),
                "display": m.display,
                m.metric.show: _number(m.part),
                "of": _number(m.possible),
                "unit": m.metric.count.unit,
                "band": m.band,
                "why": m.why,
            }
            for m in answer.metrics
        },
    }
