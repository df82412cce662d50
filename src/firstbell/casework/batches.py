"""The registers of many students as lines of days: schools that share their days side by side, and who is at two schools by the schools they were at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

import numpy as np
from django.db import connection
from django.db.models import Count
from numpy.typing import NDArray

from firstbell.law.days import Stretch
from firstbell.law.packs import InForce
from firstbell.law.timeline import Timeline
from firstbell.register import rows
from firstbell.register.grid import Grid, decode_minutes
from firstbell.register.marks import NOT_EXPECTED
from firstbell.register.models import Calendar, Enrolment, RegisterRow
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.timelines import asks_earlier_years, before, came_to, last_whole_day, some_of, stretch, terms_of

__all__ = ["Batch", "batches"]

WHY = "the law is asked about everybody"
#: students asked together
BATCH = 12_000
MOST_SCHOOLS = 500
Terms = Mapping[int, tuple[tuple[date, date], ...]]


@dataclass(frozen=True, slots=True)
class Batch:
    """n students whose registers are one timeline: whose each row is, the school each came to last, and the grade there."""

    line: Timeline
    students: NDArray[np.int64]
    schools: NDArray[np.int64]
    grades: list[str]

    def of(self, k: int) -> Timeline:
        """One student's own line, without the years they were at no school of ours."""
        one = self.line.of(k)
        there = [s for s in one.stretches if s.year == one.year or (s.codes != ord(NOT_EXPECTED)).any()]
        return one if len(there) == len(one.stretches) else Timeline(there, one.as_of, one.came)


def batches(
    calendars: Sequence[Calendar], law: Sequence[InForce], today: date, on: date | None = None
) -> Iterator[Batch]:
    """Everybody on these registers, of one school year. Marks count through `on`, or each school's last whole day."""
    year, school_ids = calendars[0].school_year, [c.school_id for c in calendars]
    last = {}
    if asks_earlier_years(law):
        found = Calendar.objects.filter(school_year__ends_in=year.ends_in - 1).select_related("school", "school_year")
        last = {c.school_id: c for c in found}
    columns = rows.columns_of([*calendars, *(last[s] for s in school_ids if s in last)])
    terms = terms_of(list({c.school_year_id for c in (*calendars, *last.values())}))
    ways = _ways([year.pk, *{c.school_year_id for c in last.values()}])
    movers = np.array(sorted(ways), dtype=np.int64)
    timed = _with_minutes(columns) if _asks_minutes(law) else set()
    entered = any(r.window.kind == "since_enrolment" for v in law for r in v.pack.rule)
    sizes = dict(
        RegisterRow.objects.system(WHY).filter(calendar__in=columns).values_list("calendar").annotate(Count("pk"))
    )

    def alike(calendar: Calendar) -> tuple[object, ...]:
        """What schools share that are asked together."""
        mine = columns[calendar.pk]
        shared: list[object] = [on or last_whole_day(mine, today)]
        for column in (mine, columns[last[calendar.school_id].pk] if calendar.school_id in last else None):
            shared += [column and (column.dates, column.calendar.sessions, column.calendar.session_minutes)]
        return tuple(shared)

    groups: dict[tuple[object, ...], list[Calendar]] = defaultdict(list)
    for calendar in calendars:
        if columns[calendar.pk].dates and sizes.get(calendar.pk):
            groups[alike(calendar)].append(calendar)
    for key, some in groups.items():
        as_of: date = key[0]  # type: ignore[assignment]
        for part in _parts(some, sizes):
            schools = _read([columns[c.pk] for c in part], timed)
            schools = [some_of(s, np.flatnonzero(~np.isin(s.student_ids, movers))) for s in schools]
            stretches = [_beside(schools, terms)]
            of_before = [columns[last[c.school_id].pk] for c in part if c.school_id in last]
            if of_before and of_before[0].dates:
                stretches.insert(0, before(schools, _read(of_before, timed), of_before[0], terms))
            ids = np.concatenate([s.student_ids for s in schools])
            if not len(ids):
                continue
            came = came_to(*schools) if entered else None
            yield Batch(
                Timeline(stretches, as_of, came), ids, np.repeat([s.calendar.school_id for s in schools], [len(s.student_ids) for s in schools]),
                [grade for s in schools for grade in s.grades],
            )  # fmt: skip
    if ways:
        yield from _movers(ways, {c.pk for c in calendars}, terms, today, on)


# -- schools side by side ---------------------------------------------------------------------------------------------


def _parts(calendars: Sequence[Calendar], sizes: Mapping[int, int]) -> Iterator[list[Calendar]]:
    batch: list[Calendar] = []
    n = 0
    for calendar in calendars:
        size = sizes[calendar.pk]
        if batch and (n + size > BATCH or len(batch) == MOST_SCHOOLS):
            yield batch
            batch, n = [], 0
        batch.append(calendar)
        n += size
    if batch:
        yield batch


def _beside(schools: Sequence[SchoolGrid], terms: Terms) -> Stretch:
    first = stretch(schools[0], terms)
    if len(schools) == 1:
        return first
    missed = None
    if any(s.grid.minutes is not None for s in schools):
        missed = np.concatenate([_minutes(s.grid) for s in schools])
    return replace(first, school="", codes=np.concatenate([s.grid.codes for s in schools]), missed=missed)


def _minutes(grid: Grid) -> NDArray[np.uint16]:
    return np.zeros(grid.codes.shape, dtype=np.uint16) if grid.minutes is None else grid.minutes


def _asks_minutes(law: Sequence[InForce]) -> bool:
    """Whether anything is counted by how much of a session was missed."""
    parts = {"tardy", "tardy_excused", "early", "early_excused", "part", "part_excused"}
    return any(parts & set(count.marks) for version in law for count in version.pack.counts.values())


def _with_minutes(columns: Mapping[int, Column]) -> set[int]:
    """The calendars of which minutes were sent for somebody."""
    some = RegisterRow.objects.system(WHY).exclude(minutes="").values_list("calendar_id", flat=True).distinct()
    return set(some) & set(columns)


def _read(columns: Sequence[Column], timed: set[int]) -> list[SchoolGrid]:
    found = rows.school_grids(columns)
    ids = [s.calendar.pk for s in found if s.calendar.pk in timed and s.grid.minutes is None]
    sent: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for calendar, student, minutes in (
        RegisterRow.objects.system(WHY).filter(calendar__in=ids).exclude(minutes="").values_list("calendar_id", "student_id", "minutes")
    ):  # fmt: skip
        sent[calendar].append((student, minutes))
    return [_timed(s, sent[s.calendar.pk]) if s.calendar.pk in sent else s for s in found]


def _timed(school: SchoolGrid, sent: Sequence[tuple[int, str]]) -> SchoolGrid:
    plane = np.frombuffer("".join(m for _student, m in sent).encode("ascii"), dtype=np.uint8)
    minutes = np.zeros(school.grid.codes.shape, dtype=np.uint16)
    minutes[np.searchsorted(school.student_ids, [student for student, _m in sent])] = decode_minutes(
        plane.reshape(len(sent), -1)
    )
    return replace(school, grid=replace(school.grid, minutes=minutes))


# -- at several schools ---------------------------------------------------------------------------------------------


def _ways(years: Sequence[int]) -> dict[int, set[int]]:
    """Who was at more than one school in these school years -> their calendars."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.student_id FROM register_registerrow r JOIN register_calendar c ON c.id = r.calendar_id "  # noqa: S608
            f"WHERE c.school_year_id IN ({', '.join(['%s'] * len(years))}) "
            "GROUP BY r.student_id HAVING min(c.school_id) < max(c.school_id)",
            list(years),
        )
        some = [student for (student,) in cursor]
    found: dict[int, set[int]] = {}
    for part in (some[i : i + 500] for i in range(0, len(some), 500)):
        registers = RegisterRow.objects.system(WHY).filter(student__in=part, calendar__school_year__in=years)
        for student, calendar in registers.values_list("student_id", "calendar_id"):
            found.setdefault(student, set()).add(calendar)
    return found


def _movers(
    ways: Mapping[int, set[int]], asked: set[int], terms: Terms, today: date, on: date | None
) -> Iterator[Batch]:
    """Who was at several schools, by the schools they were at in turn: they count with the last, as `standing.standing_of` has it."""
    wanted = {student: calendars for student, calendars in ways.items() if calendars & asked}
    if not wanted:
        return
    found = Calendar.objects.filter(pk__in=set().union(*wanted.values())).select_related("school", "school_year")
    columns = rows.columns_of(found)
    stays: dict[int, list[tuple[int, date, str]]] = defaultdict(list)
    people = list(wanted)
    for part in (people[i : i + 500] for i in range(0, len(people), 500)):
        some = Enrolment.objects.system(WHY).filter(student__in=part).order_by("starts", "pk")
        for student, school, starts, grade in some.values_list("student_id", "school_id", "starts", "grade"):
            stays[student].append((school, starts, grade))
    in_turn: list[tuple[tuple[int, ...], int]] = []
    of_calendar: dict[int, list[int]] = defaultdict(list)
    for student, calendars in wanted.items():
        began = {school: k for k, (school, starts, _grade) in enumerate(stays[student]) if starts <= today}
        way = tuple(
            sorted(
                calendars,
                key=lambda c: (
                    columns[c].calendar.school_year.ends_in,
                    began.get(columns[c].calendar.school_id, -1),
                    c,
                ),
            )
        )
        if way[-1] in asked:
            in_turn.append((way, student))
            for calendar in way:
                of_calendar[calendar].append(student)
    grids = {pk: rows.school_grid(columns[pk], student_ids=sorted(some)) for pk, some in of_calendar.items()}
    for way, pairs in groupby(sorted(in_turn), key=lambda pair: pair[0]):
        ids = np.array([student for _way, student in pairs], dtype=np.int64)
        parts = [some_of(grids[pk], np.searchsorted(grids[pk].student_ids, ids)) for pk in way if columns[pk].dates]
        if not parts:
            continue
        calendar = columns[way[-1]].calendar
        as_of = on or last_whole_day(columns[way[-1]], today)
        here = [[stay for stay in stays[student] if stay[1] <= as_of] or stays[student] for student in ids.tolist()]
        first = calendar.school_year.starts
        came = np.array([max(some[-1][1], first) for some in here], dtype="datetime64[D]")
        line = Timeline([stretch(p, terms) for p in parts], as_of, came)
        yield Batch(line, ids, np.full(len(ids), calendar.school_id), [some[-1][2] for some in here])
