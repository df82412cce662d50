"""A rule replayed: a pack, or a changed line, over a school year of this district's own register, beside the law in force.

Both are asked as if they had been in force all year: of the marks as they stand now, and, for who was at one school all year, of the marks
as they were known at the end of each school week. What `replay` tells names schools and groups, never a student, and no number under ten
(signals.suppression). `reached` tells of students, one by one: only ever of those its asker may see.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from django.db.models import Q
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.access.models import User
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.adopting import LONGEST
from firstbell.casework.firings import since_evidence
from firstbell.casework.models import Protection, ReplayRun
from firstbell.casework.replay_document import Side, Who, document
from firstbell.casework.replay_students import Met, met
from firstbell.forecast.known import grade_band
from firstbell.jobs.queue import Unrecoverable, enqueue, job_kind
from firstbell.law.days import Stretch
from firstbell.law.overlays import overlaid, read_overlay
from firstbell.law.packs import InForce, Pack, PackError, versions
from firstbell.law.replay import reached_by, replayed
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from firstbell.register import rows
from firstbell.register.fold import blank_minutes
from firstbell.register.grid import decode_minutes
from firstbell.register.marks import NOT_EXPECTED
from firstbell.register.models import Calendar, Enrolment, RegisterRow, School, SchoolYear, Student
from firstbell.register.rows import Column, Past, SchoolGrid
from firstbell.watch.timelines import asks_earlier_years, came_to, some_of, stretch, terms_of, year_before

__all__ = ["NotReplayed", "ask_for", "reached", "replay", "tried_pack"]

WHY = "a rule is replayed; only sums leave"
Progress = Callable[[int, int], None]


class NotReplayed(ValueError):
    """It can't be replayed as it is asked; the sentence says why."""


def tried_pack(
    pack: str, *, version: str = "", overlay: str = "", rule: str = "", line: str = "", where: str = "your own rules"
) -> Pack:  # fmt: skip
    """The law to be tried: a version (the newest unless said) with own rules on it, and one line somewhere else. Nothing has to be tightened here."""
    try:
        some = versions(pack)
        found = next((p for p in some if p.version == version), None) if version else some[-1]
        if found is None:
            raise NotReplayed(_("There is no version %(version)s of this pack.") % {"version": version})
        if len(overlay) > LONGEST:
            raise NotReplayed(
                _("Your own rules are longer than %(n)s characters. Nothing was taken from them.") % {"n": LONGEST}
            )
        if overlay.strip():
            found = overlaid(found, read_overlay(overlay, where, found))
    except PackError as error:
        raise NotReplayed(str(error)) from error
    if not rule and not line:
        return found
    asked = found.rule_named(rule)
    if asked is None:
        names = ", ".join(r.id for r in found.rule)
        raise NotReplayed(
            _("The pack has no rule %(rule)s. It has: %(names)s.") % {"rule": rule or "–", "names": names}
        )
    if not re.fullmatch(r"\d{1,4}(/[1-9]\d{0,3}|\.\d{1,3})?", line) or not Fraction(line):
        raise NotReplayed(_("Write the line as a number: 12, 7.5, or 1/12 of a share."))
    if asked.threshold.by_grade:
        raise NotReplayed(_("This rule’s line differs by grade. Try it with rules of your own instead."))
    left_open = asked.threshold.least is None  # to the district: a number, or a share
    share = asked.threshold.share is not None or (left_open and "/" in line)
    if share and Fraction(line) > 1:
        raise NotReplayed(_("This rule is about a share: write 1/10 for a tenth."))
    tried = msgspec.structs.replace(asked.threshold, local=False, **{"share" if share else "count": line})
    changed = tuple(msgspec.structs.replace(r, threshold=tried) if r.id == rule else r for r in found.rule)
    return msgspec.structs.replace(found, rule=changed)


def ask_for(
    user: User, *, pack: str, version: str, overlay: str, rule: str, line: str, year: int, key: str
) -> ReplayRun:  # fmt: skip
    """Ask for a replay; it runs as a job. The same key again is the same replay. Raises NotReplayed for what cannot be asked."""
    tried = tried_pack(pack, version=version, overlay=overlay, rule=rule, line=line)
    if not SchoolYear.objects.filter(ends_in=year, starts__lte=clock.now().date()).exists():
        raise NotReplayed(_("Choose a school year that has begun."))
    run, new = ReplayRun.objects.get_or_create(
        asked_by=user, key=key,
        defaults={
            "asked_at": clock.now(), "pack": pack, "version": tried.version, "overlay": overlay, "rule": rule, "line": line, "year": year,
        },
    )  # fmt: skip
    if new:
        audit.record(user, "asked_replay", f"replay:{run.pk}", f"{pack} {tried.version} {year}")
        enqueue("replay", str(run.pk), key=f"replay:{run.pk}")
    return run


def _given_up(argument: str, problem: str) -> None:
    ReplayRun.objects.filter(pk=int(argument)).exclude(state=ReplayRun.State.DONE).update(
        state=ReplayRun.State.FAILED, problem=problem, finished_at=clock.now()
    )


@job_kind("replay", lease=timedelta(minutes=30), when_failed=_given_up)
def replay_job(argument: str) -> None:
    run = ReplayRun.objects.get(pk=int(argument))
    if run.state == ReplayRun.State.DONE:
        return
    mine = ReplayRun.objects.filter(pk=run.pk)
    mine.update(state=ReplayRun.State.RUNNING, done=0, total=0)
    try:
        tried = tried_pack(run.pack, version=run.version, overlay=run.overlay, rule=run.rule, line=run.line)
        made = replay(tried, run.year, lambda done, total: mine.update(done=done, total=total))
    except NotReplayed as error:
        raise Unrecoverable(str(error)) from error
    mine.update(state=ReplayRun.State.DONE, result=json.dumps(made, ensure_ascii=False), finished_at=clock.now())


# --- over the register ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Students whose year is read as one timeline: of one school, or of the same schools in the same order. They count with the last."""

    school: SchoolGrid
    line: Timeline
    people: list[Person]
    before: Stretch | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """Registers of a year, by calendar in order of school: of all students, or of some."""

    columns: dict[int, Column]
    grids: dict[int, SchoolGrid]
    order: dict[int, tuple[int, ...]]
    terms: dict[int, tuple[tuple[date, date], ...]]


def _asked(tried: Pack, ends_in: int) -> tuple[SchoolYear, date, dict[str, Side]]:
    """The year, its last day that has come, and the two laws as if in force all of it."""
    year = SchoolYear.objects.filter(ends_in=ends_in).first()
    today = policy.today()
    if year is None or year.starts > today:
        raise NotReplayed(_("Choose a school year that has begun."))
    through = min(year.ends, today)
    sides = {"tried": Side(InForce(tried, year.starts, through))}
    here = law_of(adopted(today), today, today)
    if here:
        sides["in_force"] = Side(InForce(here[-1].pack, year.starts, through))
    return year, through, sides


def _read(year: SchoolYear, students: Sequence[int] | None = None) -> _Read:
    some = Calendar.objects.filter(school_year=year)
    if students is not None:
        rows_of = RegisterRow.objects.system(WHY).filter(calendar__school_year=year)
        ids = {pk for chunk in _chunks(students) for pk in rows_of.filter(student__in=chunk).values_list("calendar", flat=True).distinct()}  # fmt: skip
        some = some.filter(pk__in=ids)
    calendars = list(some.select_related("school", "school_year").order_by("school__name", "pk"))
    columns = rows.columns_of(calendars)
    columns = {c.pk: columns[c.pk] for c in calendars}
    grids = {pk: rows.school_grid(column, student_ids=students) for pk, column in columns.items()}
    return _Read(columns, grids, _order(calendars, grids), terms_of([year.pk]))


def replay(tried: Pack, ends_in: int, progress: Progress | None = None) -> dict[str, Any]:
    """The export: what was asked, and what it comes to beside the law in force today."""
    year, through, sides = _asked(tried, ends_in)
    read = _read(year)
    who: dict[int, Who] = {}
    steps = len(read.columns) * 2 + 1
    say = progress or (lambda _done, _total: None)
    laws = [side.law for side in sides.values()]
    for k, (pk, column) in enumerate(read.columns.items()):
        group = _stayed(read.grids[pk], read, laws, through)
        if group is not None:
            _reckon(group, sides)
            _who(group, who, stayed=True)
            say(2 * k + 1, steps)
            _as_known(group, column, sides, through)
        say(2 * k + 2, steps)
    for group in _movers(read, through):
        _reckon(group, sides)
        _who(group, who, stayed=False)
    say(steps, steps)
    return document(sides, who, year, through)


def reached(tried: Pack, ends_in: int, students: Sequence[int] | None = None, only: str = "") -> list[Met]:
    """Whose line was reached, and when, under either law: of these students (all, where none are named) and of one rule, or of every rule.

    In order of the first day, then of student and rule. Nothing is kept back: whom to ask about is the asker's to answer for.
    """
    year, through, sides = _asked(tried, ends_in)
    read = _read(year, students)
    laws = [side.law for side in sides.values()]
    groups = [_stayed(grid, read, laws, through) for grid in read.grids.values()]
    days: dict[int, NDArray[np.datetime64]] = {}
    school: dict[int, School] = {}
    for group in [*(g for g in groups if g is not None), *_movers(read, through)]:
        _reckon(group, sides, only)
        for student in group.school.student_ids.tolist():
            days[student], school[student] = group.line.frame.dates, group.school.calendar.school
    return met(sides, days, school)


def _order(calendars: Sequence[Calendar], grids: dict[int, SchoolGrid]) -> dict[int, tuple[int, ...]]:
    """Student -> the calendars of this year they have a row in, the school they came from first."""
    of_school = {c.school_id: c.pk for c in calendars}
    there = {pk: set(grid.student_ids.tolist()) for pk, grid in grids.items()}
    found: dict[int, dict[int, None]] = defaultdict(dict)
    stays = Enrolment.objects.system(WHY).filter(school__in=of_school).order_by("student_id", "starts", "pk")
    for student, school in stays.values_list("student_id", "school_id").iterator(chunk_size=10_000):
        calendar = of_school[school]
        if student in there[calendar]:
            found[student].pop(calendar, None)
            found[student][calendar] = None
    return {student: tuple(some) for student, some in found.items()}


def _people(school: SchoolGrid) -> list[Person]:
    ids = school.student_ids.tolist()
    born = dict(_of_students(ids, "birth_date"))
    year, flags = school.calendar.school_year, defaultdict(set)
    for chunk in _chunks(ids):
        for student, flag in Protection.objects.system(WHY).filter(
            Q(ends=None) | Q(ends__gte=year.starts), student__in=chunk, withdrawn_at=None, starts__lte=year.ends
        ).values_list("student_id", "flag"):  # fmt: skip
            flags[student].add(flag)
    return [
        Person(born.get(i), grade, frozenset(flags.get(i, ()))) for i, grade in zip(ids, school.grades, strict=True)
    ]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), 500):
        yield ids[start : start + 500]


def _of_students(ids: list[int], column: str) -> Iterator[tuple[int, Any]]:
    for chunk in _chunks(ids):
        yield from Student.objects.system(WHY).filter(pk__in=chunk).values_list("pk", column)


def _stayed(school: SchoolGrid, read: _Read, laws: Sequence[InForce], through: date) -> _Group | None:
    keep = np.flatnonzero([len(read.order.get(int(s), ())) == 1 for s in school.student_ids])
    if not len(keep) or not len(school.grid.dates):
        return None
    mine = some_of(school, keep)
    before = year_before(mine) if asks_earlier_years(laws) else None
    now = stretch(mine, read.terms)
    stretches = [now] if before is None else [before, now]
    return _Group(mine, Timeline(stretches, through, came_to(mine)), _people(mine), before)


def _movers(read: _Read, through: date) -> Iterator[_Group]:
    """Who changed school, by the schools they were at: days at the one before count with those at the next."""
    several = sorted((way, student) for student, way in read.order.items() if len(way) > 1)
    for way, some in groupby(several, key=lambda pair: pair[0]):
        students = np.array([student for _way, student in some], dtype=np.int64)
        parts = [some_of(read.grids[pk], np.searchsorted(read.grids[pk].student_ids, students)) for pk in way]
        if not all(len(part.grid.dates) for part in parts):
            continue
        line = Timeline([stretch(p, read.terms) for p in parts], through, came_to(parts[-1]))
        yield _Group(parts[-1], line, _people(parts[-1]))


def _who(group: _Group, who: dict[int, Who], *, stayed: bool) -> None:
    ids, school = group.school.student_ids.tolist(), group.school.calendar.school_id
    spoken = dict(_of_students(ids, "home_language"))
    for student, grade in zip(ids, group.school.grades, strict=True):
        who[student] = Who(school, grade_band(grade), spoken.get(student) or "", stayed)


def _reckon(group: _Group, sides: dict[str, Side], only: str = "") -> None:
    ids = group.school.student_ids.tolist()
    for side in sides.values():
        after = since_evidence(group.school, [side.law], side.law.pack.id)
        for found in replayed(group.line, group.people, side.law, after, only):
            had = side.rules.get(found.rule.id)
            if had is None or (had.why and not found.why):  # asked of some schools is asked
                side.rules[found.rule.id] = replace(found, row=found.row[:0], on=found.on[:0], lead=found.lead[:0])
            side.reached[found.rule.id] += [
                (ids[r], d, n) for r, d, n in zip(found.row.tolist(), found.on.astype(object).tolist(), found.lead.tolist(), strict=True)
            ]  # fmt: skip


def _as_known(group: _Group, column: Column, sides: dict[str, Side], through: date) -> None:
    """By what was known at the end of each school week: who had reached a line on one of those evenings, whatever was corrected since."""
    school = group.school
    ids = school.student_ids
    spans = rows.row_spans(column, ids.tolist())
    past = Past(column, spans)
    after = {name: since_evidence(school, [side.law], side.law.pack.id) for name, side in sides.items()}
    ends = [
        list(days)[-1] for _week, days in groupby((d for d in column.dates if d <= through), key=lambda d: d.isocalendar()[:2])
    ]  # fmt: skip
    now = group.line.stretches[-1]
    for day in ends:
        codes, missed = _by_student(past, ids, day, minutes=school.grid.minutes is not None)
        evening = replace(now, codes=codes, missed=missed)
        line = Timeline([evening] if group.before is None else [group.before, evening], day)
        for name, side in sides.items():
            for rule, reached in reached_by(line, group.people, side.law, after[name]).items():
                side.known[rule].update(ids[reached].tolist())


def _by_student(
    past: Past, ids: NDArray[np.int64], day: date, *, minutes: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint16] | None]:  # fmt: skip
    """Letters, and minutes missed, as known at the end of a day, a row a student: where a later stay does not expect them, the earlier one speaks."""
    through = clock.end_of_day(day, past.column.calendar.school.zone)
    if minutes:
        texts, planes = past.folded(through)
        letters = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(past.rows), -1)
        blank = blank_minutes(letters.shape[1])
        plane = np.frombuffer("".join(p or blank for p in planes).encode("ascii"), dtype=np.uint8)
        missed = decode_minutes(plane.reshape(len(past.rows), -1))
    else:
        letters, missed = past.letters(through), None
    at = np.searchsorted(ids, np.array([r.student_id for r in past.rows], dtype=np.int64))
    made = np.full((len(ids), letters.shape[1]), ord(NOT_EXPECTED), dtype=np.uint8)
    lost = None if missed is None else np.zeros(made.shape, dtype=np.uint16)
    for k, row in enumerate(at.tolist()):
        there = letters[k] != ord(NOT_EXPECTED)
        made[row] = np.where(there, letters[k], made[row])
        if lost is not None and missed is not None:
            lost[row] = np.where(there, missed[k], lost[row])
    return made, lost
