"""Register rows: reading grids, refolding rows, rebuilding what was known on a past day."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import F, IntegerField, OuterRef, Value
from numpy.typing import NDArray

from firstbell import clock
from firstbell.register.fold import Events, Rolls, Span, blank_minutes, fold, letters
from firstbell.register.gathered import day as day_of
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
_EPOCH, _NO_END = date(1970, 1, 1), 10**6
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


def spans_of(column: Column, stays: Iterable[Enrolment]) -> list[RowSpan]:
    """The rows a calendar has of one student, whose enrolments have been read."""
    here = sorted((s for s in stays if s.school_id == column.calendar.school_id), key=lambda s: s.starts)
    spans = [RowSpan(s.pk, s.student_id, column.span(s.starts, s.ends), s.grade) for s in here if column.dates]
    return [row for row in spans if row.span.stop > row.span.first]


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
        self._zone = column.calendar.school.zone
        whose = _Whose.of(rows)
        self._rolls, self._rolls_at = _rolls(column, whose)
        self._events, self._events_at = _events(column, whose)

    def folded(self, known_through: int | None = None) -> tuple[list[str], list[str]]:
        """Codes and minutes, as text."""
        column = self.column
        return fold(self._spans, len(column.dates), column.calendar.sessions, *self._facts(known_through))

    def letters(self, known_through: int | None = None) -> NDArray[np.uint8]:
        """(rows, squares) the letters alone."""
        column = self.column
        return letters(self._spans, len(column.dates), column.calendar.sessions, *self._facts(known_through))

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
            day, session = np.divmod(said.square, sessions)
            told.append((plane, said.row, day, session, letter, np.searchsorted(ends, at)))
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
        r, e = (int(np.searchsorted(at, known_through, side="right")) for at in (self._rolls_at, self._events_at))
        return (
            min(covered, column.through(known_day)),
            Rolls(rolls.row[:r], rolls.square[:r], rolls.taken[:r]),
            Events(events.row[:e], events.square[:e], events.letter[:e], events.minutes[:e]),
        )


def folded(column: Column, rows: list[RowSpan], *, known_through: int | None = None) -> tuple[list[str], list[str]]:
    """Codes and minutes of `rows`, folded from the events now, or as known through a second of the past."""
    return Past(column, rows).folded(known_through)


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose each row is: (rows,) the students, ascending, and the row of each. A student of two stays has two rows."""

    student: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[RowSpan]) -> _Whose:
        students = np.array([row.student_id for row in rows], dtype=np.int64)
        order = np.argsort(students, kind="stable")
        return cls(students[order], order)

    def only(self, column: str) -> tuple[str, list[int]]:
        """SQL that keeps a query to these students, and its parameters. Of more than `_CHUNK` it is quicker to read everybody's."""
        ids: list[int] = np.unique(self.student).tolist()
        if len(ids) > _CHUNK:
            return "", []
        return f" AND {column} IN ({', '.join(['%s'] * len(ids)) or 'NULL'})", ids

    def rows_of(self, students: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(index into `students`, row), an entry for each row of each of them, in their order; nobody's row is no entry."""
        first = np.searchsorted(self.student, students, side="left")
        count = np.searchsorted(self.student, students, side="right") - first
        each = np.repeat(np.arange(len(students)), count)
        nth = np.arange(len(each)) - np.repeat(np.cumsum(count) - count, count)
        return each, self.row[first[each] + nth]


def _many(numbers: str) -> str:
    """SQL: whole numbers of a group as one text, "7,12,9". A school year has a million events: an object for each costs more than all the rest."""
    return f"string_agg(({numbers})::text, ',')" if connection.vendor == "postgresql" else f"group_concat({numbers})"


def _day(column: str) -> str:
    """SQL: a date in days since 1970."""
    return f"({column} - date '1970-01-01')" if connection.vendor == "postgresql" else f"(unixepoch({column}) / 86400)"


def _unpacked(cursor: Any, columns: int) -> NDArray[np.int64]:
    """(1 + columns, n) of rows (key, how many, that many of each column as `_many` joins them): the key of each, and the columns."""
    found = [np.empty((1 + columns, 0), dtype=np.int64)]
    while some := cursor.fetchmany(500):
        key, count, *texts = zip(*some, strict=True)
        found.append(np.stack([np.repeat(key, count), *(whole_numbers(",".join(text)) for text in texts)]))
    return np.concatenate(found, axis=1)


def _events(column: Column, whose: _Whose) -> tuple[Events, NDArray[np.int64]]:
    """The events of these rows, oldest first, and when each was recorded."""
    sessions = column.calendar.sessions
    some, ids = whose.only("student_id")
    # of few students the letter comes along; of many the short table of meanings is read once, and looked up
    code = "ascii" if connection.vendor == "postgresql" else "unicode"
    letter = f"coalesce((SELECT {code}(letter) FROM register_meaning m WHERE m.id = meaning_id), {ord(UNKNOWN)})"  # noqa: S608
    numbers = (
        _day("date"), "session", letter if some else "meaning_id", "coalesce(minutes, -1)", "recorded_at", "fingerprint",
    )  # fmt: skip
    marks = "FROM register_markevent WHERE calendar_id = %s"
    # Words nobody can read have no meaning (0), and come before one that can be, said at the same moment.
    unread = (
        f"SELECT student_id, date, session, 0 AS meaning_id, -1 AS minutes, recorded_at, {-(2**63)} AS fingerprint "  # noqa: S608
        "FROM register_unreadmark WHERE calendar_id = %s"
    )
    named = [column.calendar.pk, *ids]
    if some or UnreadMark.objects.system(WHY).filter(calendar=column.calendar).exists():
        said = f"FROM (SELECT student_id, date, session, meaning_id, minutes, recorded_at, fingerprint {marks}{some} UNION ALL {unread}{some}) said"
        named *= 2
    else:
        said = marks
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT student_id, count(*), {', '.join(map(_many, numbers))} {said} GROUP BY student_id", named
        )
        events = _unpacked(cursor, len(numbers))
    students, days, session, meaning, missed, at, _fingerprint = events[:, np.lexsort((events[6], events[5]))]
    # a mark on a day without school is kept as an event and shown by no square
    there = np.searchsorted(column.days, days.astype("datetime64[D]"))
    shown = (column.days[np.minimum(there, len(column.days) - 1)] == days.astype("datetime64[D]")) & (
        session < sessions
    )
    each, row = whose.rows_of(students[shown])
    letters = (meaning if some else _letters()[meaning]).astype(np.uint8)
    square = there * sessions + session
    made = Events(
        row, square[shown][each], letters[shown][each], missed[shown][each].astype(np.int32),
    )  # fmt: skip
    return made, at[shown][each]


def _letters() -> NDArray[np.uint8]:
    """By the number of a meaning."""
    written = dict(Meaning.objects.values_list("pk", "letter"))
    table = np.full(max(written, default=0) + 1, ord(UNKNOWN), dtype=np.uint8)
    for pk, letter in written.items():
        table[pk] = ord(letter)
    return table


def _rolls(column: Column, whose: _Whose) -> tuple[Rolls, NDArray[np.int64]]:
    """The rolls of these rows, oldest first, and when each was recorded."""
    ids = set(whose.student.tolist())
    mine = SectionEnrolment.objects.system(WHY).filter(section=OuterRef("section"), student__in=ids)
    # where one student sat comes along with the rolls
    states = RollState.objects.filter(calendar=column.calendar).order_by("recorded_at", "key").values_list(
        "section_id", "section__sessions", "date", "session", "taken", "recorded_at",
        gathered(mine, "starts", "ends") if len(ids) == 1 else Value(None, output_field=IntegerField()),
    )  # fmt: skip
    seats: dict[int, _Seats] | None = None
    sessions = column.calendar.sessions
    rows: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    facts: list[tuple[int, bool, int, int]] = []  # square, taken, when, of how many rows
    for section, meets, day, of_session, taken, at, sat in states:
        number = column.index.get(day)
        if number is None:
            continue
        if section is None:
            who = whose.row
            held: Iterable[int] = range(sessions)
        else:
            on = (day - _EPOCH).days
            if len(ids) == 1:
                row, starts, ends = _sat(whose, sat or ())
            else:
                seats = _seats(column.calendar, whose) if seats is None else seats
                row, starts, ends = seats.get(section, (whose.row[:0],) * 3)
            who = row[(starts <= on) & (on <= ends)]
            held = [int(s) for s in meets.split()] or range(sessions)
        for session in held if of_session is None else [of_session]:
            if session < sessions:
                rows.append(who)
                facts.append((number * sessions + session, taken, at, len(who)))
    square, told, when, many = (np.array([fact[k] for fact in facts], dtype=np.int64) for k in range(4))
    rolls = Rolls(np.concatenate(rows), np.repeat(square, many), np.repeat(told.astype(np.bool_), many))
    return rolls, np.repeat(when, many)


#: rows, and the first and last day of their seats in days since 1970
_Seats = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _sat(whose: _Whose, seats: Iterable[tuple[str, str | None]]) -> _Seats:
    """Of one student, whose seats in a section are told as text."""
    days = [[(d - _EPOCH).days if (d := day_of(s)) else _NO_END for s in seat] for seat in seats]
    starts, ends = np.array(days, dtype=np.int64).reshape(-1, 2).T
    n = len(whose.row)
    return np.tile(whose.row, len(starts)), np.repeat(starts, n), np.repeat(ends, n)


def _seats(calendar: Calendar, whose: _Whose) -> dict[int, _Seats]:
    """By section."""
    numbers = ("m.student_id", _day("m.starts"), f"coalesce({_day('m.ends')}, {_NO_END})")
    some, ids = whose.only("m.student_id")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT m.section_id, count(*), {', '.join(map(_many, numbers))} FROM register_sectionenrolment m "  # noqa: S608
            f"JOIN register_section s ON s.id = m.section_id WHERE s.calendar_id = %s{some} GROUP BY m.section_id",
            [calendar.pk, *ids],
        )
        section, student, starts, ends = _unpacked(cursor, len(numbers))
    each, row = whose.rows_of(student)
    each, row = (column[np.argsort(section[each], kind="stable")] for column in (each, row))
    names, first = np.unique(section[each], return_index=True)
    return {
        int(name): (row[some], starts[each[some]], ends[each[some]])
        for name, some in zip(names, (slice(a, b) for a, b in pairwise([*first.tolist(), len(each)])), strict=True)
    }


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
    return _known(column, stays_as_known(column, day, student_ids=student_ids))


def of_stays_as_known(column: Column, day: date, stays: Iterable[Enrolment]) -> SchoolGrid:
    """The grid of one student, whose enrolments have been read, as it was known at the end of `day`."""
    wanted = spans_of(column, stays)
    codes, minutes = folded(column, wanted, known_through=clock.end_of_day(day, column.calendar.school.zone))
    return _known(column, list(zip(wanted, codes, minutes, strict=True)))


def _known(column: Column, stays: list[tuple[RowSpan, str, str]]) -> SchoolGrid:
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
