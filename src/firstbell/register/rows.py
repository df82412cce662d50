"""Register rows: reading grids, refolding rows, rebuilding what was known on a past day."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from itertools import groupby, pairwise

import numpy as np
from django.db import connection
from django.db.models import F, OuterRef
from numpy.typing import NDArray

from firstbell import clock
from firstbell.register.fold import Events, Rolls, Span, blank_minutes, fold, letters
from firstbell.register.gathered import gathered
from firstbell.register.grid import MINUTES_WIDTH, Grid, decode_minutes
from firstbell.register.marks import NOT_EXPECTED, UNKNOWN
from firstbell.register.models import (
    SCHOOL_DAY_TYPES,
    Calendar,
    CalendarDay,
    Enrolment,
    MarkEvent,
    Meaning,
    RegisterRow,
    RollState,
    Section,
    SectionEnrolment,
    Student,
    Term,
    UnreadMark,
)

WHY = "the register folds its own rows"
_CHUNK = 500  # identifiers in one IN list
_FOLD_LOCK = 0x1F1B  # any constant: with a calendar's number, the lock its folds queue on


@dataclass(frozen=True, slots=True)
class Column:
    """A calendar's school days in order, and where a date's squares begin. days: `dates` as an array, one for all calendars with the same."""

    calendar: Calendar
    dates: tuple[date, ...]
    index: dict[date, int]
    days: NDArray[np.datetime64]

    def span(self, starts: date, ends: date | None) -> Span:
        first = bisect_left(self.dates, starts)
        stop = len(self.dates) if ends is None else bisect_right(self.dates, ends)
        return Span(first, max(first, stop))

    def through(self, day: date) -> int:
        """How many school days lie on or before `day`."""
        return bisect_right(self.dates, day)


def columns(calendar: Calendar) -> Column:
    return columns_of([calendar])[calendar.pk]


def columns_of(calendars: Iterable[Calendar]) -> dict[int, Column]:
    """The columns of calendars. Most schools of a district have the same days: they are read as one text each, and a text is read once."""
    by_pk = {calendar.pk: calendar for calendar in calendars}
    joined = (
        "string_agg(date::text, ' ' ORDER BY date)" if connection.vendor == "postgresql" else "group_concat(date, ' ')"
    )
    types = sorted(SCHOOL_DAY_TYPES)
    texts: dict[int, str] = {}
    with connection.cursor() as cursor:
        for pks in _in_chunks(list(by_pk)):
            cursor.execute(
                f"SELECT calendar_id, {joined} FROM register_calendarday WHERE calendar_id IN ({', '.join(['%s'] * len(pks or ()))}) "  # noqa: S608
                f"AND day_type IN ({', '.join(['%s'] * len(types))}) GROUP BY calendar_id",
                [*(pks or ()), *types],
            )
            texts.update(cursor.fetchall())
    days: dict[str, tuple[tuple[date, ...], dict[date, int], NDArray[np.datetime64]]] = {}
    for text in {"", *texts.values()}:
        dates = tuple(sorted(date.fromisoformat(day) for day in text.split()))
        days[text] = (dates, {d: i for i, d in enumerate(dates)}, np.array(dates, dtype="datetime64[D]"))
    return {pk: Column(calendar, *days[texts.get(pk, "")]) for pk, calendar in by_pk.items()}


@dataclass(frozen=True, slots=True)
class RowSpan:
    """What a register row is made for: an enrolment's stay within one calendar."""

    enrolment_id: int
    student_id: int
    span: Span
    grade: str


def row_spans(column: Column, student_ids: Sequence[int] | None = None) -> list[RowSpan]:
    """The rows a calendar has: one an enrolment with at least one of its school days, in order of student."""
    if not column.dates:
        return []
    enrolments = Enrolment.objects.system(WHY).filter(school_id=column.calendar.school_id, starts__lte=column.dates[-1])
    rows: list[RowSpan] = []
    for ids in _in_chunks(student_ids):
        chosen = enrolments if ids is None else enrolments.filter(student_id__in=ids)
        for pk, student_id, starts, ends, grade in chosen.order_by("student_id", "starts").values_list(
            "pk", "student_id", "starts", "ends", "grade"
        ):
            span = column.span(starts, ends)
            if span.stop > span.first:
                rows.append(RowSpan(pk, student_id, span, grade))
    return rows


def _in_chunks(ids: Sequence[int] | None) -> Iterator[Sequence[int] | None]:
    if ids is None:
        yield None
        return
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


class Past:
    """The events and rolls of some rows of a calendar, read once: their squares now, or as known through any second of the past."""

    def __init__(self, column: Column, rows: list[RowSpan]) -> None:
        self.column, self.rows = column, rows
        self._spans = [r.span for r in rows]
        by_student: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            by_student[row.student_id].append(i)
        self._zone = column.calendar.school.zone
        self._rolls, self._rolls_at = _rolls(column, by_student)
        self._events, self._events_at = _events(column, by_student)

    def folded(self, known_through: int | None = None) -> tuple[list[str], list[str]]:
        """Codes and minutes, as text."""
        column = self.column
        return fold(self._spans, len(column.dates), column.calendar.sessions, *self._facts(known_through))

    def letters(self, known_through: int | None = None) -> NDArray[np.uint8]:
        """(rows, squares) the letters alone."""
        column = self.column
        return letters(self._spans, len(column.dates), column.calendar.sessions, *self._facts(known_through))[0]

    def evenings(self, count: int) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
        """The evenings of the first `count` school days, in order: (days gone by, letters, rows, days changed since the evening before).

        letters: (rows, squares), on the days gone by as `letters` gives them at the end of that day, on days to come blank. One array,
        changed from evening to evening; rows and days are parallel, each changed cell once.
        """
        column, sessions = self.column, self.column.calendar.sessions
        n, days = len(self.rows), len(column.dates)
        covered = 0
        if column.calendar.covered_through is not None:
            covered = column.through(column.calendar.covered_through)
        off = np.ones((n, days), dtype=np.bool_)
        for i, span in enumerate(self._spans):
            off[i, span.first : span.stop] = False
        ends = [clock.end_of_day(day, self._zone) for day in column.dates[:count]]
        marked = np.zeros(
            (n, days, sessions), dtype=np.uint8
        )  # the last mark, and the last roll, 0 where there is none
        rolled = np.zeros((n, days, sessions), dtype=np.uint8)
        letters = np.full((n, days, sessions), ord(UNKNOWN), dtype=np.uint8)
        by_roll = np.where(self._rolls.taken, ord("P"), ord(UNKNOWN)).astype(np.uint8)
        facts = [
            (marked, self._events, self._events.letter, self._events_at), (rolled, self._rolls, by_roll, self._rolls_at),
        ]  # fmt: skip
        told = []
        for plane, said, letter, at in facts:
            evening = np.searchsorted(ends, at)
            order = np.argsort(evening, kind="stable")  # within an evening they stay oldest first
            day, session = np.divmod(said.square[order], sessions)
            told.append((plane, said.row[order], day, session, letter[order], evening[order]))
        everyone = np.arange(n)
        for e in range(count):
            cells = [everyone * days + e]
            for plane, row, day, session, letter, evening in told:
                tonight = slice(*np.searchsorted(evening, [e, e + 1]))
                plane[row[tonight], day[tonight], session[tonight]] = letter[tonight]
                cells.append((row[tonight] * days + day[tonight])[day[tonight] < e])
            rows, changed = np.divmod(np.unique(np.concatenate(cells)), days)
            vouched = np.where(changed < covered, ord("P"), ord(UNKNOWN)).astype(np.uint8)[:, None]
            mark, roll = marked[rows, changed], rolled[rows, changed]
            now = np.where(mark > 0, mark, np.where(roll > 0, roll, vouched))
            now[off[rows, changed]] = ord(NOT_EXPECTED)
            letters[rows, changed] = now
            yield e + 1, letters.reshape(n, -1), rows, changed

    def _facts(self, known_through: int | None) -> tuple[int, Rolls, Events]:
        column, rolls, events = self.column, self._rolls, self._events
        covered = 0
        if column.calendar.covered_through is not None:
            covered = column.through(column.calendar.covered_through)
        if known_through is None:
            return covered, rolls, events
        # a day is vouched for once it is over
        known_day = clock.moment(known_through).astimezone(self._zone).date()
        if clock.end_of_day(known_day, self._zone) > known_through:
            known_day -= timedelta(days=1)
        r, e = self._rolls_at <= known_through, self._events_at <= known_through
        return (
            min(covered, column.through(known_day)),
            Rolls(rolls.row[r], rolls.square[r], rolls.taken[r]),
            Events(events.row[e], events.square[e], events.letter[e], events.minutes[e]),
        )


def folded(column: Column, rows: list[RowSpan], *, known_through: int | None = None) -> tuple[list[str], list[str]]:
    """Codes and minutes of `rows`, folded from the events now, or as known through a second of the past."""
    return Past(column, rows).folded(known_through)


def _events(column: Column, by_student: dict[int, list[int]]) -> tuple[Events, NDArray[np.int64]]:
    """The events of these rows, and when each was recorded; read as plain tuples: a school year has a million of them."""
    sessions = column.calendar.sessions
    sqlite = connection.vendor == "sqlite"
    # SQLite's own text of a date, without its converter: a tenth of the time of a date object a row.
    index: dict[object, int] = {d.isoformat(): i for d, i in column.index.items()} if sqlite else dict(column.index)
    day_text = "date || ''" if sqlite else "date"
    sql = (
        f"SELECT student_id, {day_text}, session, meaning_id, coalesce(minutes, -1), recorded_at, fingerprint "  # noqa: S608
        "FROM register_markevent WHERE calendar_id = %s"
    )
    # Words nobody can read have no meaning (0), and come before one that can be, said at the same moment.
    unread = (
        f"SELECT student_id, {day_text}, session, 0, -1, recorded_at, {-(2**63)} "  # noqa: S608
        "FROM register_unreadmark WHERE calendar_id = %s"
    )
    order = " ORDER BY student_id, recorded_at, fingerprint"
    everyone = len(by_student) > _CHUNK * 4
    both = not everyone or UnreadMark.objects.system(WHY).filter(calendar=column.calendar).exists()
    found: list[NDArray[np.int64]] = []
    with connection.cursor() as cursor:
        for ids in _in_chunks(None if everyone else list(by_student)):
            some_students = "" if ids is None else f" AND student_id IN ({', '.join(['%s'] * len(ids))})"
            named = [column.calendar.pk, *(ids or ())]
            if both:
                cursor.execute(f"{sql}{some_students} UNION ALL {unread}{some_students}{order}", [*named, *named])
            else:
                cursor.execute(sql + some_students + order, named)
            while some := cursor.fetchmany(50_000):
                student, day, session, meaning, missed, at = list(zip(*some, strict=True))[:6]
                # a mark on a day without school (-1) is kept as an event and shown by no square
                days = [index.get(d, -1) for d in day]
                found.append(np.array([student, days, session, meaning, missed, at], dtype=np.int64))
    events = np.concatenate(found, axis=1) if found else np.empty((6, 0), dtype=np.int64)
    events = events[:, (events[1] >= 0) & (events[2] < sessions)]
    # Rows by student, so that an event of a student with two stays is given for each.
    students = np.array([s for s, rows in by_student.items() for _row in rows], dtype=np.int64)
    rows = np.array([row for rows in by_student.values() for row in rows], dtype=np.int64)
    ranked = np.argsort(students, kind="stable")
    students, rows = students[ranked], rows[ranked]
    first = np.searchsorted(students, events[0], side="left")
    count = np.searchsorted(students, events[0], side="right") - first
    each = np.repeat(np.arange(events.shape[1]), count)
    nth = np.arange(len(each)) - np.repeat(np.cumsum(count) - count, count)
    written = dict(Meaning.objects.values_list("pk", "letter"))
    table = np.full(max(written, default=0) + 1, ord(UNKNOWN), dtype=np.uint8)
    for pk, letter in written.items():
        table[pk] = ord(letter)
    made = Events(
        rows[first[each] + nth],
        (events[1] * sessions + events[2])[each],
        table[events[3]][each],
        events[4][each].astype(np.int32),
    )
    return made, events[5][each]


def _rolls(column: Column, by_student: dict[int, list[int]]) -> tuple[Rolls, NDArray[np.int64]]:
    states = RollState.objects.filter(calendar=column.calendar).select_related("section")
    seats: dict[int, list[tuple[int, date, date | None]]] | None = None
    sessions = column.calendar.sessions
    row: list[int] = []
    square: list[int] = []
    taken: list[bool] = []
    at: list[int] = []
    for state in states.order_by("recorded_at", "key"):
        day = column.index.get(state.date)
        if day is None:
            continue
        if state.section is None:
            who = [i for rows in by_student.values() for i in rows]
            held: Iterable[int] = range(sessions)
        else:
            if seats is None:
                seats = _seats(column.calendar, by_student)
            who = [
                i
                for student_id, starts, ends in seats.get(state.section_id or 0, ())
                if starts <= state.date and (ends is None or ends >= state.date)
                for i in by_student.get(student_id, ())
            ]
            held = [int(s) for s in state.section.sessions.split()] or range(sessions)
        for session in held if state.session is None else [state.session]:
            if session >= sessions:
                continue
            row.extend(who)
            square.extend([day * sessions + session] * len(who))
            taken.extend([state.taken] * len(who))
            at.extend([state.recorded_at] * len(who))
    rolls = Rolls(np.array(row, dtype=np.int64), np.array(square, dtype=np.int64), np.array(taken, dtype=np.bool_))
    return rolls, np.array(at, dtype=np.int64)


def _seats(calendar: Calendar, by_student: dict[int, list[int]]) -> dict[int, list[tuple[int, date, date | None]]]:
    seats: dict[int, list[tuple[int, date, date | None]]] = defaultdict(list)
    members = SectionEnrolment.objects.system(WHY).filter(section__calendar=calendar)
    everyone = len(by_student) > _CHUNK * 4
    for ids in _in_chunks(None if everyone else list(by_student)):
        chosen = members if ids is None else members.filter(student_id__in=ids)
        for section, student, starts, ends in chosen.values_list("section_id", "student_id", "starts", "ends"):
            seats[section].append((student, starts, ends))
    return seats


def refold(calendar: Calendar, student_ids: Sequence[int] | None = None) -> int:
    """Write the register rows of a calendar (of these students, or of all) anew from their events.

    Returns how many rows changed. Call it in the transaction that wrote the events.
    """
    if connection.vendor == "postgresql":
        # One fold of a calendar at a time: else a fold begun before a teacher's roll could be written after it.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_FOLD_LOCK, calendar.pk])
    column = columns(calendar)
    wanted = row_spans(column, student_ids)
    codes, minutes = folded(column, wanted)
    stored: dict[int, tuple[int, str, str]] = {}
    rows = RegisterRow.objects.system(WHY).filter(calendar=calendar)
    for ids in _in_chunks(student_ids):
        chosen = rows if ids is None else rows.filter(student_id__in=ids)
        for pk, enrolment, old_codes, old_minutes in chosen.values_list("pk", "enrolment_id", "codes", "minutes"):
            stored[enrolment] = (pk, old_codes, old_minutes)
    new: list[RegisterRow] = []
    changed: list[tuple[str, str, int]] = []
    for want, code, minute in zip(wanted, codes, minutes, strict=True):
        had = stored.pop(want.enrolment_id, None)
        if had is None:
            new.append(
                RegisterRow(
                    enrolment_id=want.enrolment_id, calendar=calendar, student_id=want.student_id,
                    codes=code, minutes=minute,
                )
            )  # fmt: skip
        elif (code, minute) != had[1:]:
            changed.append((code, minute, had[0]))
    gone = [pk for pk, _codes, _minutes in stored.values()]
    for ids in _in_chunks(gone):
        rows.filter(pk__in=ids).delete()
    RegisterRow.objects.system(WHY).bulk_create(new, batch_size=2000)
    if changed:
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE register_registerrow SET codes=%s, minutes=%s, version=version+1 WHERE id=%s", changed
            )
    Calendar.objects.filter(pk=calendar.pk).update(folds=F("folds") + 1)
    return len(new) + len(changed) + len(gone)


@dataclass(frozen=True, slots=True)
class SchoolGrid:
    """A calendar's grid with whose row each is."""

    calendar: Calendar
    grid: Grid
    student_ids: NDArray[np.int64]
    enrolment_ids: NDArray[np.int64]
    grades: list[str]


def school_grid(of: Calendar | Column, *, student_ids: Sequence[int] | None = None) -> SchoolGrid:
    """The stored register of a calendar (or of its columns, for who has them already) as one grid: a row a student, in their order."""
    column = columns(of) if isinstance(of, Calendar) else of
    rows = RegisterRow.objects.system(WHY).filter(calendar=column.calendar)
    found: list[tuple[int, int, str, str, str]] = []
    for ids in _in_chunks(student_ids):
        chosen = rows if ids is None else rows.filter(student_id__in=ids)
        found.extend(
            chosen.order_by("student_id", "enrolment__starts", "enrolment_id").values_list(
                "student_id", "enrolment_id", "codes", "minutes", "enrolment__grade"
            )
        )
    return _as_grid(column, found)


@dataclass(frozen=True, slots=True)
class Register:
    """One student's register at one school for one year, with the year's terms: (kind, first day, last day)."""

    school: SchoolGrid
    column: Column
    terms: list[tuple[str, date, date]]


def registers_of(student_id: int, begun_by: date) -> list[Register]:
    """A student's registers of all school years begun by a day, the latest year first, and their days and terms: in one question."""
    days = CalendarDay.objects.filter(calendar=OuterRef("calendar_id"), day_type__in=SCHOOL_DAY_TYPES)
    terms = Term.objects.filter(school_year=OuterRef("calendar__school_year_id"))
    some = (
        RegisterRow.objects.system(WHY).filter(student=student_id, calendar__school_year__starts__lte=begun_by)
        .select_related("calendar__school", "calendar__school_year", "enrolment")
        .annotate(days=gathered(days, "date"), terms=gathered(terms, "kind", "starts", "ends"))
        .order_by("-calendar__school_year__ends_in", "calendar_id", "enrolment__starts", "enrolment_id")
    )  # fmt: skip
    found = []
    for _calendar, stays in groupby(some, key=lambda row: row.calendar_id):
        rows = list(stays)
        dates = tuple(sorted(date.fromisoformat(d) for (d,) in rows[0].days or ()))
        column = Column(
            rows[0].calendar, dates, {d: k for k, d in enumerate(dates)}, np.array(dates, dtype="datetime64[D]")
        )
        grid = _as_grid(column, [(r.student_id, r.enrolment_id, r.codes, r.minutes, r.enrolment.grade) for r in rows])
        spans = [(kind, date.fromisoformat(a), date.fromisoformat(b)) for kind, a, b in rows[0].terms or ()]
        found.append(Register(grid, column, spans))
    return found


def school_grids(columns: Sequence[Column]) -> list[SchoolGrid]:
    """The stored registers of many calendars, without their minutes: the database joins each into one text, and this is no copy of it.

    In the order of `columns`; a calendar with no rows has none of them.
    """
    if connection.vendor == "postgresql":
        joined = "string_agg(r.codes, ''), array_agg(r.student_id), array_agg(r.enrolment_id), array_agg(e.grade)"
    else:
        joined = "CAST(group_concat(r.codes, '') AS BLOB), group_concat(r.student_id), group_concat(r.enrolment_id), json_group_array(e.grade)"
    found: dict[int, SchoolGrid] = {}
    by_pk = {column.calendar.pk: column for column in columns}
    twice: list[Column] = []
    with connection.cursor() as cursor:
        for pks in _in_chunks(list(by_pk)):
            cursor.execute(
                f"SELECT r.calendar_id, {joined} FROM register_registerrow r JOIN register_enrolment e ON e.id = r.enrolment_id "  # noqa: S608
                f"WHERE r.calendar_id IN ({', '.join(['%s'] * len(pks or ()))}) GROUP BY r.calendar_id",
                list(pks or ()),
            )
            for pk, text, *lists in cursor:
                column = by_pk[pk]
                codes = text.encode("ascii") if isinstance(text, str) else bytes(text)
                students, stays = (whole_numbers(ids) for ids in lists[:2])
                grades = json.loads(lists[2]) if isinstance(lists[2], str) else lists[2]
                grid = _one_grid(column, codes, students, stays, grades)
                if grid is None:
                    twice.append(column)
                else:
                    found[pk] = grid
    for column in twice:
        found[column.calendar.pk] = school_grid(column)
    return [found[pk] for pk in by_pk if pk in found]


def whole_numbers(told: str | list[int] | None) -> NDArray[np.int64]:
    """Of a text "7,12,9", as SQLite joins them, or of PostgreSQL's list."""
    if isinstance(told, str):
        return np.fromstring(told, dtype=np.int64, sep=",")
    return np.array(told or (), dtype=np.int64)


def _one_grid(
    column: Column, codes: bytes, students: NDArray[np.int64], stays: NDArray[np.int64], grades: list[str]
) -> SchoolGrid | None:
    """In order of student; None where somebody has two stays, which are to be read in their order."""
    squares = len(column.dates) * column.calendar.sessions
    letters = np.frombuffer(codes, dtype=np.uint8).reshape(len(students), squares)
    if not (students[1:] > students[:-1]).all():
        by = np.argsort(students, kind="stable")
        students, stays, letters, grades = students[by], stays[by], letters[by], [grades[i] for i in by.tolist()]
        if (students[1:] == students[:-1]).any():
            return None
    return SchoolGrid(column.calendar, Grid(letters, column.days, column.calendar.sessions), students, stays, grades)


def stays_as_known(
    of: Calendar | Column, day: date, *, student_ids: Sequence[int] | None = None
) -> list[tuple[RowSpan, str, str]]:
    """Every stay's codes and minutes as they were known at the end of `day` by the school's clock, rebuilt from the events."""
    column = columns(of) if isinstance(of, Calendar) else of
    wanted = row_spans(column, student_ids)
    codes, minutes = folded(column, wanted, known_through=clock.end_of_day(day, column.calendar.school.zone))
    return list(zip(wanted, codes, minutes, strict=True))


def grid_as_known(of: Calendar | Column, day: date, *, student_ids: Sequence[int] | None = None) -> SchoolGrid:
    """The grid as it was known at the end of `day`."""
    column = columns(of) if isinstance(of, Calendar) else of
    stays = stays_as_known(column, day, student_ids=student_ids)
    found = [(w.student_id, w.enrolment_id, c, m, w.grade) for w, c, m in stays]
    return _as_grid(column, sorted(found, key=lambda row: row[0]))


def _as_grid(column: Column, rows: list[tuple[int, int, str, str, str]]) -> SchoolGrid:
    """`rows` in order of student, of one student in order of stay: who left and came back is one row, under the latest stay."""
    if any(a[0] == b[0] for a, b in pairwise(rows)):
        rows = [reduce(_joined, stays) for _student, stays in groupby(rows, key=lambda row: row[0])]
    squares = len(column.dates) * column.calendar.sessions
    codes = np.frombuffer("".join(r[2] for r in rows).encode("ascii"), dtype=np.uint8).reshape(len(rows), squares)
    minutes = None
    if any(r[3] for r in rows):
        blank = blank_minutes(squares)
        plane = np.frombuffer("".join(r[3] or blank for r in rows).encode("ascii"), dtype=np.uint8)
        minutes = decode_minutes(plane.reshape(len(rows), squares * MINUTES_WIDTH))
    return SchoolGrid(
        column.calendar,
        Grid(codes, column.days, column.calendar.sessions, minutes),
        np.array([r[0] for r in rows], dtype=np.int64),
        np.array([r[1] for r in rows], dtype=np.int64),
        [r[4] for r in rows],
    )


def _joined(
    before: tuple[int, int, str, str, str], after: tuple[int, int, str, str, str]
) -> tuple[int, int, str, str, str]:
    """Two stays of a student at a school as one row: where the later one does not expect them, the earlier one speaks."""
    codes = "".join(b if a == NOT_EXPECTED else a for b, a in zip(before[2], after[2], strict=True))
    if not before[3] and not after[3]:
        return (*after[:2], codes, "", after[4])
    blank = blank_minutes(len(codes))
    planes, width = (before[3] or blank, after[3] or blank), MINUTES_WIDTH
    minutes = "".join(planes[a != NOT_EXPECTED][i * width : (i + 1) * width] for i, a in enumerate(after[2]))
    return (*after[:2], codes, minutes, after[4])


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stored row that is not the fold of its events."""

    calendar: Calendar
    enrolment_id: int
    stored: str
    folded: str


def check(calendars: Iterable[Calendar] | None = None) -> Iterator[Mismatch]:
    """Refold every row from its events and yield each that differs from what is stored."""
    for calendar in calendars if calendars is not None else Calendar.objects.select_related("school"):
        column = columns(calendar)
        wanted = row_spans(column)
        codes, minutes = folded(column, wanted)
        expected = {w.enrolment_id: (c, m) for w, c, m in zip(wanted, codes, minutes, strict=True)}
        for enrolment, code, minute in (
            RegisterRow.objects.system(WHY).filter(calendar=calendar).values_list("enrolment_id", "codes", "minutes")
        ):
            want = expected.pop(enrolment, ("", ""))
            if want != (code, minute):
                yield Mismatch(calendar, enrolment, code, want[0])
        for enrolment, (code, _minute) in expected.items():
            yield Mismatch(calendar, enrolment, "", code)


@dataclass(frozen=True, slots=True)
class Word:
    """One event in a square's history; `supersedes` is the event id of the word before it."""

    event: MarkEvent
    supersedes: int | None


def history(student: Student, day: date) -> list[Word]:
    """Everything said about a student's day, by square, oldest word first."""
    words: list[Word] = []
    last: dict[tuple[int, int], int] = {}
    for event in (
        student.mark_events.filter(date=day).select_related("meaning", "calendar__school")
        .order_by("calendar_id", "session", "recorded_at", "fingerprint")
    ):  # fmt: skip
        square = (event.calendar_id, event.session)
        words.append(Word(event, last.get(square)))
        last[square] = event.pk
    return words


def sections_in_session(calendar: Calendar, session: int) -> list[Section]:
    return [s for s in calendar.sections.filter(withdrawn=False) if session in s.session_numbers]
