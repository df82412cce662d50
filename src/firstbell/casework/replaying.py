"""A rule replayed: a pack, or a changed line, over a school year of this district's own register, beside the law in force.

Both are asked as if they had been in force all year: of the marks as they stand now, and, for who was at one school all year, of the marks
as they were known at the end of each school week. What comes out names schools and groups, never a student, and no number under ten
(signals.suppression).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from firstbell.access.models import Assignment, Role, User
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.adopting import LONGEST
from firstbell.casework.firings import since_evidence, year_before
from firstbell.casework.models import Protection, ReplayRun
from firstbell.casework.standing import asks_earlier_years, came_to, stretch, terms_of
from firstbell.forecast.known import grade_band
from firstbell.intake.report import harmless
from firstbell.jobs.queue import Unrecoverable, enqueue, job_kind
from firstbell.law.clock import Person
from firstbell.law.days import Stretch
from firstbell.law.packs import InForce, Pack, PackError, Rule, overlaid, read_overlay, versions
from firstbell.law.replay import NOT_TOLD, Replayed, reached_by, replayed
from firstbell.law.timeline import Timeline
from firstbell.register import rows
from firstbell.register.fold import blank_minutes
from firstbell.register.grid import Grid, decode_minutes
from firstbell.register.marks import NOT_EXPECTED
from firstbell.register.models import Calendar, Enrolment, SchoolYear, Student
from firstbell.register.rows import Column, Past, SchoolGrid
from firstbell.signals.suppression import LEAST, kept_back, side_by_side, small
from firstbell.signals.suppression import Column as Told

__all__ = ["NotReplayed", "as_csv", "ask_for", "replay", "tried_pack"]

WHY = "a rule is replayed; only sums leave"
#: kinds of duty that end in a letter, and in a meeting
LETTERS, MEETINGS = ("notify",), ("conference", "plan", "review")
BANDS = ("through 5", "6 to 8", "9 and above")
KEPT_BACK = "kept back"
#: weeks told together: one, else so many that most numbers can be told
TOGETHER = (1, 2, 4, 13)
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
    share = asked.threshold.share is not None
    if share and Fraction(line) > 1:
        raise NotReplayed(_("This rule is about a share: write 1/10 for a tenth."))
    tried = msgspec.structs.replace(asked.threshold, **{"share" if share else "count": line})
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


@dataclass
class _Side:
    """What one law comes to. Rule -> for every time its line was reached: (student, day, lead); and who had reached it by some evening."""

    law: InForce
    reached: dict[str, list[tuple[int, date, int]]] = field(default_factory=lambda: defaultdict(list))
    known: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    rules: dict[str, Replayed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Who:
    """Of each student: the school they count with, grade band, language, and whether they were at one school all year."""

    school: str
    band: int
    language: str
    stayed: bool


def replay(tried: Pack, ends_in: int, progress: Progress | None = None) -> dict[str, Any]:
    """The export: what was asked, and what it comes to beside the law in force today."""
    year = SchoolYear.objects.filter(ends_in=ends_in).first()
    today = policy.today()
    if year is None or year.starts > today:
        raise NotReplayed(_("Choose a school year that has begun."))
    through = min(year.ends, today)
    sides = {"tried": _Side(InForce(tried, year.starts, through))}
    here = law_of(adopted(today), today, today)
    if here:
        sides["in_force"] = _Side(InForce(here[-1].pack, year.starts, through))
    calendars = list(
        Calendar.objects.filter(school_year=year).select_related("school", "school_year").order_by("school__name", "pk")
    )
    columns = rows.columns_of(calendars)
    terms = terms_of([year.pk])
    who: dict[int, _Who] = {}
    steps = len(calendars) * 2 + 1
    say = progress or (lambda _done, _total: None)
    grids = {c.pk: rows.school_grid(columns[c.pk]) for c in calendars}
    order = _order(calendars, grids)
    laws = [side.law for side in sides.values()]
    for k, calendar in enumerate(calendars):
        group = _stayed(grids[calendar.pk], order, laws, terms, through)
        if group is not None:
            _reckon(group, sides, who, stayed=True)
            say(2 * k + 1, steps)
            _as_known(group, columns[calendar.pk], sides, through)
        say(2 * k + 2, steps)
    for group in _movers(grids, order, terms, through):
        _reckon(group, sides, who, stayed=False)
    say(steps, steps)
    return _document(sides, who, year, through)


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


def _some(school: SchoolGrid, keep: NDArray[np.int64]) -> SchoolGrid:
    grid = school.grid
    return replace(
        school, grid=Grid(grid.codes[keep], grid.dates, grid.sessions, None if grid.minutes is None else grid.minutes[keep]),
        student_ids=school.student_ids[keep], enrolment_ids=school.enrolment_ids[keep], grades=[school.grades[int(k)] for k in keep],
    )  # fmt: skip


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


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), 500):
        yield ids[start : start + 500]


def _of_students(ids: list[int], column: str) -> Iterator[tuple[int, Any]]:
    for chunk in _chunks(ids):
        yield from Student.objects.system(WHY).filter(pk__in=chunk).values_list("pk", column)


def _stayed(
    school: SchoolGrid, order: dict[int, tuple[int, ...]], laws: Sequence[InForce], terms: Any, through: date
) -> _Group | None:  # fmt: skip
    keep = np.flatnonzero([len(order.get(int(s), ())) == 1 for s in school.student_ids])
    if not len(keep) or not len(school.grid.dates):
        return None
    mine = _some(school, keep)
    before = year_before(mine) if asks_earlier_years(laws) else None
    stretches = [stretch(mine, terms)] if before is None else [before, stretch(mine, terms)]
    return _Group(mine, Timeline(stretches, through, came_to(mine)), _people(mine), before)


def _movers(
    grids: dict[int, SchoolGrid], order: dict[int, tuple[int, ...]], terms: Any, through: date
) -> Iterator[_Group]:
    """Who changed school, by the schools they were at: days at the one before count with those at the next."""
    several = sorted((way, student) for student, way in order.items() if len(way) > 1)
    for way, some in groupby(several, key=lambda pair: pair[0]):
        students = np.array([student for _way, student in some], dtype=np.int64)
        parts = [_some(grids[pk], np.searchsorted(grids[pk].student_ids, students)) for pk in way]
        if not all(len(part.grid.dates) for part in parts):
            continue
        line = Timeline([stretch(p, terms) for p in parts], through, came_to(parts[-1]))
        yield _Group(parts[-1], line, _people(parts[-1]))


def _reckon(group: _Group, sides: dict[str, _Side], who: dict[int, _Who], *, stayed: bool) -> None:
    ids, name = group.school.student_ids.tolist(), group.school.calendar.school.name
    spoken = dict(_of_students(ids, "home_language"))
    for student, grade in zip(ids, group.school.grades, strict=True):
        who[student] = _Who(name, grade_band(grade), spoken.get(student) or "", stayed)
    for side in sides.values():
        after = since_evidence(group.school, [side.law], side.law.pack.id)
        for found in replayed(group.line, group.people, side.law, after):
            had = side.rules.get(found.rule.id)
            if had is None or (had.why and not found.why):  # asked of some schools is asked
                side.rules[found.rule.id] = replace(found, row=found.row[:0], on=found.on[:0], lead=found.lead[:0])
            side.reached[found.rule.id] += [
                (ids[r], d, n) for r, d, n in zip(found.row.tolist(), found.on.astype(object).tolist(), found.lead.tolist(), strict=True)
            ]  # fmt: skip


def _as_known(group: _Group, column: Column, sides: dict[str, _Side], through: date) -> None:
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


# --- what leaves ---------------------------------------------------------------------------------------------------------------------


def _document(sides: dict[str, _Side], who: dict[int, _Who], year: SchoolYear, through: date) -> dict[str, Any]:
    weeks = _weeks(year, through)
    officers = _officers(year, through)
    by = {
        "schools": sorted({w.school for w in who.values()}), "bands": list(range(len(BANDS))),
        "languages": sorted({w.language for w in who.values()}),
    }  # fmt: skip
    place: dict[str, Callable[[_Who], int]] = {
        "schools": lambda w: by["schools"].index(w.school), "bands": lambda w: w.band, "languages": lambda w: by["languages"].index(w.language),
    }  # fmt: skip
    sizes = {kind: _tally((place[kind](w) for w in who.values()), len(names)) for kind, names in by.items()}
    hidden_sizes = {kind: kept_back(some) for kind, some in sizes.items()}
    tried = sides["tried"]
    others = [r for r in sides["in_force"].law.pack.rule if r.id not in tried.rules] if "in_force" in sides else []
    rules = []
    for rule in [*(f.rule for f in tried.rules.values()), *others]:
        rules.append(_rule(rule, sides, who, weeks, sizes, hidden_sizes, place, by))
    return {
        "asked": {
            "pack": tried.law.pack.id, "version": tried.law.pack.version, "title": tried.law.pack.title, "language": tried.law.pack.language,
            "sha256": tried.law.pack.sha256, "year": year.ends_in, "first": year.starts.isoformat(), "through": through.isoformat(),
        },
        "in_force": {
            "pack": sides["in_force"].law.pack.id, "version": sides["in_force"].law.pack.version, "title": sides["in_force"].law.pack.title,
            "language": sides["in_force"].law.pack.language, "sha256": sides["in_force"].law.pack.sha256,
        } if "in_force" in sides else None,
        "made_at": clock.now().isoformat(), "least": LEAST, "students": None if small(len(who)) else len(who), "officers": officers,
        "weeks": len(weeks),
        "sizes": {
            kind: [None if hidden_sizes[kind] is None or i in (hidden_sizes[kind] or ()) else n for i, n in enumerate(some)]
            for kind, some in sizes.items()
        },
        "names": {"schools": by["schools"], "bands": list(BANDS), "languages": by["languages"]},
        "rules": rules,
        "load": {name: _load(rules, name, officers, len(weeks)) for name in sides},
    }  # fmt: skip


def _weeks(year: SchoolYear, through: date) -> list[date]:
    """The Mondays of the weeks with school in them."""
    days = {
        d for column in rows.columns_of(Calendar.objects.filter(school_year=year)).values() for d in column.dates if d <= through
    }  # fmt: skip
    return sorted({d - timedelta(days=d.weekday()) for d in days})


def _officers(year: SchoolYear, through: date) -> int:
    """People who were attendance officers at some time of it."""
    return (
        Assignment.objects.filter(Q(ends=None) | Q(ends__gte=year.starts), role=Role.OFFICER, starts__lte=through)
        .values("user").distinct().count()
    )  # fmt: skip


def _tally(places: Iterable[int], n: int) -> list[int]:
    found = [0] * n
    for place in places:
        found[place] += 1
    return found


def _rule(
    rule: Rule, sides: dict[str, _Side], who: dict[int, _Who], weeks: list[date], sizes: dict[str, list[int]],
    hidden_sizes: dict[str, frozenset[int] | None], place: dict[str, Callable[[_Who], int]], by: dict[str, list[Any]],
) -> dict[str, Any]:  # fmt: skip
    have = {name: side for name, side in sides.items() if side.law.pack.rule_named(rule.id) is not None}
    asked = {name: side for name, side in have.items() if rule.id in side.rules and not side.rules[rule.id].why}
    students = {name: {s for s, _on, _lead in side.reached[rule.id]} for name, side in asked.items()}
    made: dict[str, Any] = {"id": rule.id, "title": rule.title, "sides": {}, "weeks": {}, "by": {}}
    for name, side in have.items():
        its = side.law.pack.rule_named(rule.id)
        assert its is not None
        made["sides"][name] = {
            "threshold": msgspec.to_builtins(its.threshold), "unit": side.law.pack.counts[its.count].unit if its.count else "times",
            "duty": its.duty.kind if its.duty else "", "why": side.rules[rule.id].why if rule.id in side.rules else "No student’s register was read.",
        }  # fmt: skip
    names = list(asked)
    totals = {
        n: None if small(len(students[n])) or small(len(who) - len(students[n])) else len(students[n]) for n in names
    }
    for kind, keys in by.items():
        also = hidden_sizes[kind]
        columns = [_tally((place[kind](who[s]) for s in students[n]), len(keys)) for n in names]
        shown = side_by_side(columns, sizes[kind], frozenset(range(len(keys))) if also is None else also)
        for n, column in zip(names, shown, strict=True):
            if column.total is None:
                totals[n] = None
        made["by"][kind] = {n: column.parts for n, column in zip(names, shown, strict=True)}
    made["weeks"], columns = _by_week([asked[n].reached[rule.id] for n in names], weeks)
    for n, column in zip(names, columns, strict=True):
        kept = column.total is None or totals[n] is None
        made["weeks"][n] = (None,) * len(column.parts) if kept else column.parts
        made["sides"][n] |= {"times": None if kept else column.total, "students": totals[n]}
    for n in names:
        if totals[n] is None:  # what the parts would add up to is kept back with them
            for kind in by:
                made["by"][kind][n] = (None,) * len(by[kind])
        made["sides"][n] |= {
            "lead": _lead(asked[n].reached[rule.id], totals[n]),
            **_known(asked[n], rule, students[n], who, totals[n]),
        }
    return made


def _by_week(reached: list[list[tuple[int, date, int]]], weeks: list[date]) -> tuple[dict[str, Any], list[Told]]:
    """Times a line was reached, by as few weeks together as leave most numbers told; only one way of it is published."""
    at = {monday: k for k, monday in enumerate(weeks)}
    for together in TOGETHER:
        blocks = -(-len(weeks) // together)
        columns = side_by_side(
            [
                _tally((at[d - timedelta(days=d.weekday())] // together for _s, d, _lead in some), blocks)
                for some in reached
            ]
        )
        parts = [n for column in columns for n in column.parts if n != 0]
        if sum(n is None for n in parts) * 2 <= len(parts):
            break
    return {"together": together, "from": [w.isoformat() for w in weeks[::together]]}, columns


def _lead(reached: list[tuple[int, date, int]], total: int | None) -> dict[str, int] | None:
    """School days of warning before a student's first time: the middle, and the quarter with the least and the most."""
    first: dict[int, tuple[date, int]] = {}
    for student, on, lead in reached:
        if lead != NOT_TOLD and (student not in first or on < first[student][0]):
            first[student] = on, lead
    days = sorted(lead for _on, lead in first.values())
    n = len(days)
    if total is None or n < LEAST:
        return None
    return {"median": days[(n - 1) // 2], "low": days[(n - 1) // 4], "high": days[3 * (n - 1) // 4]}


def _known(side: _Side, rule: Rule, now: set[int], who: dict[int, _Who], total: int | None) -> dict[str, int | None]:
    """Who had reached it on some Friday evening, by what was known then; and how many of them have not, by what is known now."""
    known = side.known[rule.id]
    stayed = {s for s in now if who[s].stayed}
    parts = (
        len(known),
        len(known - now),
        len(known & now),
        len(stayed - known),
        len(stayed),
        len(now - stayed),
        len(who) - len(known),
    )
    if total is None or small(parts[0]) or small(parts[-1]):
        return {"known": None, "undone": None}
    return {"known": parts[0], "undone": None if any(map(small, parts)) else parts[1]}


def _load(rules: list[dict[str, Any]], name: str, officers: int, weeks: int) -> dict[str, Any]:
    """Letters and meetings per officer and week, exactly, of the rules whose number is told; how many are not."""
    found: dict[str, Any] = {}
    for what, kinds in (("letters", LETTERS), ("meetings", MEETINGS)):
        some = [
            r["sides"][name]
            for r in rules
            if name in r["sides"] and r["sides"][name]["duty"] in kinds and not r["sides"][name]["why"]
        ]
        told = [s["times"] for s in some if s["times"] is not None]
        can = officers and weeks and (told or not some)
        found[what] = str(Fraction(sum(told), officers * weeks)) if can else None
        found[f"{what}_without"] = len(some) - len(told)
    return found


def as_csv(made: dict[str, Any]) -> str:
    """The export as one table: a number a row and law; what is kept back says so. No cell is a formula."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(["rule", "what", "of", "students asked", "tried", "in force"])

    def cell(value: Any) -> Any:
        return KEPT_BACK if value is None else harmless(value) if isinstance(value, str) else value

    def line(rule: str, what: str, of: str, size: Any, values: dict[str, Any]) -> None:
        sides = [cell(values[n]) if n in values else "" for n in ("tried", "in_force")]
        write.writerow([harmless(rule), what, harmless(of), size, *sides])

    for rule in made["rules"]:
        sides = {n: s for n, s in rule["sides"].items() if "students" in s}
        for n, s in rule["sides"].items():
            if s["why"]:
                line(rule["id"], "not replayed", "", "", {n: s["why"]})
        if not sides:
            continue
        for what in ("students", "times", "known", "undone"):
            line(
                rule["id"],
                what,
                "",
                cell(made["students"]) if what == "students" else "",
                {n: s[what] for n, s in sides.items()},
            )
        for what in ("median", "low", "high"):
            line(
                rule["id"],
                f"school days of lead, {what}",
                "",
                "",
                {n: s["lead"] and s["lead"][what] for n, s in sides.items()},
            )
        weeks = rule["weeks"]
        for k, week in enumerate(weeks["from"]):
            line(
                rule["id"],
                f"times, {weeks['together']} school weeks from" if weeks["together"] > 1 else "times, week of",
                week,
                "",
                {n: weeks[n][k] for n in sides},
            )
        for kind, word in (("schools", "school"), ("bands", "grades"), ("languages", "home language")):
            for k, group in enumerate(made["names"][kind]):
                line(
                    rule["id"],
                    word,
                    group or "not known",
                    cell(made["sizes"][kind][k]),
                    {n: rule["by"][kind][n][k] for n in sides},
                )
    for what in ("letters", "meetings"):
        line("", f"{what} per officer and week", "", "", {n: load[what] for n, load in made["load"].items()})
    return out.getvalue()
