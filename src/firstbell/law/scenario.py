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

A school day without a mark is a day present. A day after `as_of` has not come. Between two terms there is no school. What a file says in vain (a mark on a day without school, a flag no
rule asks about) is told among the answer's `warnings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from firstbell.intake.readers.codes import BUILT_IN, load_code_map
from firstbell.law.clock import NOT_ESCALATED, Evidence, Position, Status, owed, positions, unasked
from firstbell.law.days import Stretch
from firstbell.law.metrics import Measured, measure
from firstbell.law.overlays import in_turn, on_versions
from firstbell.law.packs import (
    DONE_BY,
    MARKS,
    InForce,
    Overlay,
    Pack,
    PackError,
    built_in,
    metrics,
    read,
    refuse,
    versions,
)
from firstbell.law.sentences import NAMES, prohibition_words
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from firstbell.said import said

__all__ = ["Answer", "Scenario", "ask", "read_scenario", "told"]


Day = date  # for tables that have a key of that name
Minutes = Annotated[int, Meta(ge=0, le=24 * 60)]
Scheduled = Annotated[int, Meta(ge=1, le=24 * 60)]
#: a calendar is one school year; a longer one is a slip of the pen
LONGEST = timedelta(days=500)
#: other words for a flag
FLAGS = {
    "pregnancy": "pregnant", "parenting": "pregnant", "homelessness": "homeless", "foster_care": "foster", "illness": "severe_illness",
    "principal_income_earner": "principal_earner", "504": "section_504",
}  # fmt: skip


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class StudentTable(_Table, kw_only=True, frozen=True):
    birth_date: date | None = None
    grade: str | Annotated[int, Meta(ge=1, le=13)] = ""  # 8 is "08"
    flags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


class CalendarTable(_Table, kw_only=True, frozen=True):
    first: date
    last: date
    closed: tuple[date, ...] = ()
    make_up: tuple[date, ...] = ()
    sessions: Annotated[int, Meta(ge=1, le=24)] = 1
    minutes: Scheduled | tuple[Minutes, ...] | None = None
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
    session: Annotated[int, Meta(ge=1)] | None = None
    minutes_missed: Minutes | None = None
    recorded_at: Any = None  # a date and time, or a date: the end of that day


class EvidenceTable(_Table, kw_only=True, frozen=True):
    kind: str
    date: Day
    rule: str = ""
    to: str = ""  # which parent
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
    found = read(Scenario, text, where)
    found = msgspec.structs.replace(found, pack=_pack(found.pack, where))
    for path, words in _wrong(found):
        raise refuse(where, text, path, words)
    return found


def _pack(name: str, where: str) -> str:
    """A pack by its name, in capitals too, or by a path: from here, or else from where the scenario lies."""
    if name.casefold() in built_in():
        return name.casefold()
    beside = Path(where).parent / name
    return name if Path(name).exists() or not beside.exists() else str(beside)


def _wrong(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What the types cannot say: where in the file, and in words."""
    try:
        versions(scenario.pack)
    except PackError as error:
        yield "$.pack", str(error)
    born = scenario.student.birth_date
    if born is not None and born > scenario.as_of:
        yield "$.student.birth_date", f"The student is born on {born}, after the day asked about ({scenario.as_of})."
    years = [("$.calendar", scenario.calendar)]
    years += [(f"$.calendar.earlier[{k}]", year) for k, year in enumerate(scenario.calendar.earlier)]
    for path, year in years:
        yield from _wrong_calendar(path, year)
    ordered = sorted(years, key=lambda y: y[1].first)
    for (_, one), (path, other) in pairwise(ordered):
        if other.first <= one.last:
            yield path, f"Two school years run at once: one through {one.last}, the next from {other.first}."
    if ordered[-1][1] is not scenario.calendar:
        yield "$.calendar.earlier", "An earlier school year begins after this one."
    for k, stay in enumerate(scenario.enrolment):
        if stay.to is not None and stay.to < stay.from_:
            yield f"$.enrolment[{k}]", f"An enrolment ends ({stay.to}) before it begins ({stay.from_})."
    most = max(year.sessions for _, year in years)
    for k, mark in enumerate(scenario.mark):
        first, last = mark.date or mark.from_, mark.date or mark.to
        if first is None or last is None or (mark.date is not None) == (mark.from_ is not None):
            yield f"$.mark[{k}]", f"A mark ({mark.kind}) needs either a date, or from and to."
        elif last < first:
            yield f"$.mark[{k}].from", f"A mark ({mark.kind}) is from {first} to {last}, which is earlier."
        if mark.session is not None and mark.session > most:
            yield f"$.mark[{k}].session", f"A mark is of session {mark.session}; the calendar has {most} a day."
        if mark.recorded_at is not None and not isinstance(mark.recorded_at, date):
            yield (
                f"$.mark[{k}].recorded_at",
                f"A mark was recorded at {mark.recorded_at!r}; that is a date, or a date and a time.",
            )
        try:
            _letter(mark.kind)
        except PackError as error:
            yield f"$.mark[{k}].kind", str(error)


def _wrong_calendar(path: str, year: CalendarTable) -> Iterator[tuple[str, str]]:
    if year.last < year.first:
        yield f"{path}.last", f"The calendar ends ({year.last}) before it begins ({year.first})."
    elif year.last - year.first > LONGEST:
        yield (
            f"{path}.last",
            f"The calendar runs from {year.first} to {year.last}; it is of one school year, and others stand in `earlier`.",
        )
    if isinstance(year.minutes, tuple) and len(year.minutes) != year.sessions:
        yield (
            f"{path}.minutes",
            f"The calendar has {year.sessions} sessions a day, and minutes for {len(year.minutes)}.",
        )
    for k, (first, last) in enumerate(year.terms):
        if last < first:
            yield f"{path}.terms", f"A term ends ({last}) before it begins ({first})."
        elif k and first <= year.terms[k - 1][1]:
            yield f"{path}.terms", f"A term begins on {first}, before the one before it has ended."


@dataclass(frozen=True, slots=True)
class Answer:
    """schools: of a student at several this year, each school's own rates by their names. `metrics` has the present one's."""

    positions: list[Position]
    metrics: list[Measured]
    schools: dict[str, dict[str, Measured]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """One mark on one square: when it was said, and the letter it makes."""

    day: date
    session: int | None
    letter: str
    minutes: int
    at: datetime


def _school_days(calendar: CalendarTable) -> list[date]:
    days = {calendar.first + timedelta(days=k) for k in range((calendar.last - calendar.first).days + 1)}
    weekdays = {d for d in days if d.weekday() < 5} - set(calendar.closed)
    breaks = [(ended, begins) for (_, ended), (begins, _) in pairwise(calendar.terms)]
    weekdays = {d for d in weekdays if not any(ended < d < begins for ended, begins in breaks)}
    return sorted(weekdays | set(calendar.make_up))


def _minutes(calendar: CalendarTable) -> tuple[int, ...]:
    """Scheduled minutes of each session; a day's are shared out evenly, what is left over to the first."""
    given, n = calendar.minutes, calendar.sessions
    if given is None:
        return ()
    if isinstance(given, tuple):
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
    name = "edfi" if name == "ed-fi" else name
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
    """Every mark, a day at a time, in the order they were said. One without a time is of its own day, after what the file said of it before."""
    found = []
    latest: dict[date, datetime] = {}
    for mark in scenario.mark:
        day, last = mark.date or mark.from_, mark.date or mark.to
        assert day is not None
        assert last is not None  # or the file would have been refused
        letter = _letter(mark.kind)
        whole = sum(minutes) if mark.session is None else minutes[mark.session - 1] if minutes else 0
        if mark.minutes_missed is not None and letter in "UNEXS" and (not whole or mark.minutes_missed < whole):
            letter = "H" if letter == "U" else "h"  # away for part of it
        while day <= last:
            at = mark.recorded_at
            if at is None:
                at = latest.get(day, datetime.combine(day, time.min))
            elif not isinstance(at, datetime):
                at = datetime.combine(at, time.max)
            at = at.replace(tzinfo=None)
            latest[day] = max(at, latest.get(day, at))
            found.append(_Said(day, mark.session, letter, mark.minutes_missed or 0, at))
            day += timedelta(days=1)
    return sorted(found, key=lambda s: s.at)


def _calendars(calendar: CalendarTable) -> list[CalendarTable]:
    return [*sorted(calendar.earlier, key=lambda c: c.first), calendar]


_PARTS = np.frombuffer(b"TtLl", dtype=np.uint8)


def _spread(s: _Said, minutes: tuple[int, ...], n: int) -> dict[int, tuple[str, int]]:
    """What a mark of a whole day makes of its sessions: letter and minutes missed, of those it touches.

    Who comes late misses of the day's beginning, who leaves early of its end: sessions one after another, as far as the minutes go, and a
    session missed from end to end was missed. Of what is only known to be a part of the day, each session has its share.
    """
    order, left = range(n)[::-1] if s.letter in "Ll" else range(n), s.minutes
    found: dict[int, tuple[str, int]] = {}
    for at, k in enumerate(order):
        part = -(-left // (n - at))
        letter = s.letter
        if s.letter in "TtLl":
            if found and not left:
                break
            part = min(left, minutes[k]) if minutes else left
            if n > 1 and minutes and part == minutes[k]:
                letter = "U" if s.letter in "TL" else "E"
        found[k] = (letter, part)
        left -= part
    return found


def _school(scenario: Scenario, day: date) -> str | None:
    """Where a student is enrolled on a day; None for nowhere. Of two schools, the one they came to last, else the one named first."""
    there = [e for e in scenario.enrolment if e.from_ <= day and (e.to is None or day <= e.to)]
    return max(there, key=lambda e: e.from_).school if there else None if scenario.enrolment else ""


def _line(
    scenario: Scenario, said: Sequence[_Said], as_of: date, known_at: datetime, school: str | None = None
) -> Timeline:
    """The student's register as known at a moment, or no more of it than one school's."""
    stretches = []
    calendars = _calendars(scenario.calendar)
    for number, calendar in enumerate(calendars):
        days = _school_days(calendar)
        n, place = calendar.sessions, {d: k for k, d in enumerate(days)}
        codes = np.full((len(days), n), ord("P"), dtype=np.uint8)
        missed = np.zeros((len(days), n), dtype=np.uint16)
        for s in said:
            if s.at > known_at or s.day not in place:
                continue
            k = place[s.day]
            if s.session is not None and s.session > n:
                continue
            if s.session is not None:
                codes[k, s.session - 1], missed[k, s.session - 1] = ord(s.letter), s.minutes
                continue
            if s.letter in "TtLl":  # there for the rest of the day
                codes[k, ~np.isin(codes[k], _PARTS)] = ord("P")
            for session, (letter, minutes) in _spread(s, _minutes(calendar), n).items():
                codes[k, session], missed[k, session] = ord(letter), minutes
        for k, day in enumerate(days):
            at = _school(scenario, day)
            if (at is None or (school is not None and at != school)) and (
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
    if begun and school is None:
        entered = np.array([max(max(begun), scenario.calendar.first)], dtype="datetime64[D]")
    return Timeline(stretches, as_of, entered)


def _law(scenario: Scenario, first: date) -> list[InForce]:
    some = versions(scenario.pack)
    own = []
    if scenario.overlay:
        text = Path(scenario.overlay).read_text("utf-8")
        dates = read(Overlay, text, scenario.overlay)
        own = [(on_versions(some, text, scenario.overlay), dates.effective_from, dates.effective_to)]
    found = in_turn(some, own, first, scenario.as_of)
    if not found:
        began = min(p.effective_from for p in some)
        raise PackError(f"No version of {scenario.pack} is in force on {scenario.as_of}: the first begins on {began}.")
    return found


def ask(scenario: Scenario) -> Answer:
    """Where the student of a scenario stands on its day, under the versions in force then.

    A line that had been reached by what was known earlier, before a mark was corrected, and no longer is, is superseded.
    """
    calendars = _calendars(scenario.calendar)
    if scenario.as_of < calendars[0].first or not all(_school_days(c) for c in calendars):
        return _without_a_calendar(scenario)
    marks = _said(scenario, _minutes(scenario.calendar))
    grade = scenario.student.grade
    person = Person(
        scenario.student.birth_date,
        f"{grade:02}" if isinstance(grade, int) else grade,
        frozenset(FLAGS.get(flag, flag) for flag in scenario.student.flags),
        scenario.student.parents,
    )
    law = _law(scenario, calendars[0].first)
    evidence = [Evidence(e.kind, e.date, e.rule, e.to) for e in scenario.evidence if e.date <= scenario.as_of]
    now = datetime.combine(scenario.as_of, time.max)

    earlier: dict[str, date] = {}
    said_first: dict[date, datetime] = {}
    for s in marks:  # before each correction, what had been reached by what was known then
        if said_first.setdefault(s.day, s.at) < s.at <= now and s.at.date() >= scenario.calendar.first:
            before = s.at - timedelta(microseconds=1)
            then = _line(scenario, marks, min(s.at.date(), scenario.as_of), before)
            for p in positions(then, 0, person, law, [e for e in evidence if e.date <= then.as_of]):
                if p.fired_on is not None:
                    earlier[p.rule] = p.fired_on
    line = _line(scenario, marks, scenario.as_of, now)
    asked = [metrics()[m] for m in law[-1].pack.metrics]
    days = [d for d in _school_days(scenario.calendar) if d <= scenario.as_of]
    been = [school for day in days if (school := _school(scenario, day)) is not None]
    lines = {school: _line(scenario, marks, scenario.as_of, now, school) for school in dict.fromkeys(been)}
    by_school = {
        school: {m.id: measure(m, own, 0, person.grade) for m in asked if m.scope == "school"}
        for school, own in lines.items()
    }
    present = been[-1] if been else ""
    return Answer(
        [
            *positions(line, 0, person, law, evidence, earlier),
            *owed(law[-1].pack, line, evidence),
            *_barred(law[-1].pack),
        ],
        [by_school.get(present, {}).get(m.id) or measure(m, line, 0, person.grade) for m in asked],
        by_school if len(by_school) > 1 else {},
        list(_in_vain(scenario, [v.pack for v in law])),
    )


def _barred(pack: Pack) -> Iterator[Position]:
    """What may never be done for absence alone, whatever was counted."""
    for one in pack.prohibition:
        citation = next(s.citation for s in pack.source if s.id == one.source)
        yield Position(
            one.id, one.title, "times", citation, pack.version, Status.FORBIDDEN, forbidden=one.steps, why=prohibition_words(one)
        )  # fmt: skip


def _without_a_calendar(scenario: Scenario) -> Answer:
    """Nothing can be asked without a school day; each rule says so."""
    why = said("There is no school day to ask about: the calendar has none, or begins later.")
    packs = [v.pack for v in _law(scenario, scenario.as_of)]
    return Answer([unasked(rule, pack, why) for pack in packs for rule in pack.rule], [])


def _in_vain(scenario: Scenario, packs: Sequence[Pack]) -> Iterator[str]:
    """What the file says and no rule hears."""
    rules = [rule for pack in packs for rule in pack.rule]
    duties = [rule.duty for rule in rules if rule.duty is not None]
    flags = {f for r in rules for f in (*r.applies.flags, *r.applies.not_flags)} | {
        f for d in duties for f in d.forbidden_if
    }
    for flag in scenario.student.flags:
        if FLAGS.get(flag, flag) not in flags | set(NAMES):
            yield f"No rule of {scenario.pack} asks about a student with the flag {flag!r}; it asks about: {', '.join(sorted(flags)) or 'none'}."
    names = [name for d in duties for name in (*d.done_by, *d.requires, d.deadline.from_ if d.deadline else "")]
    names += [name for r in rules for name in (r.evidence, r.window.after_evidence)]
    names += [d.not_after.evidence for d in duties if d.not_after] + [
        k for p in packs for i in p.institution for k in i.done_by
    ]
    kinds = (
        {kind for name in names for kind in name.split("|")}
        | {k for some in DONE_BY.values() for k in some}
        | {NOT_ESCALATED}
    )
    for kind in sorted({e.kind for e in scenario.evidence} - kinds - set(NAMES)):
        yield f"No rule of {scenario.pack} asks for evidence of the kind {kind!r}."
    school = {day for calendar in _calendars(scenario.calendar) for day in _school_days(calendar)}
    spans = {(a, b) for m in scenario.mark if (a := m.date or m.from_) and (b := m.date or m.to)}
    for first, last in sorted(spans):
        days = [day for day in school if first <= day <= last]
        when = f"of {first}" if first == last else f"from {first} to {last}"
        if not days:
            yield f"The mark {when} is on a day without school, and does not count."
        elif all(_school(scenario, day) is None for day in days):
            yield f"The mark {when} is on a day the student was not enrolled, and does not count."


def _number(value: Fraction | None) -> int | str | None:
    return None if value is None else int(value) if value.denominator == 1 else str(value)


def told(answer: Answer) -> dict[str, Any]:
    """An answer as JSON has it: counts are whole numbers or exact fractions ("61/2"), days are ISO dates."""

    def day(value: date | None) -> str | None:
        return None if value is None else value.isoformat()

    def rate(m: Measured) -> dict[str, Any]:
        return {
            "value": None if m.share is None else str(m.share),
            "display": m.display,
            m.metric.show: _number(m.part),
            "of": _number(m.possible),
            "unit": m.metric.count.unit,
            "band": m.band,
            "why": m.why,
        }

    def at_schools(m: Measured) -> dict[str, Any]:
        found = {school: rate(of[m.metric.id]) for school, of in answer.schools.items() if m.metric.id in of}
        return {"schools": found} if found else {}

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
                "due_in": _number(p.due_in),
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
        "warnings": answer.warnings,
        "metrics": {m.metric.id: {"title": m.metric.title, **rate(m), **at_schools(m)} for m in answer.metrics},
    }
