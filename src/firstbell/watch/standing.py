"""What stands and what is found, set against each other: alerts opened, changed, kept, withdrawn and expired. Many schools in one stroke."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from firstbell.register.grid import Grid
from firstbell.register.rows import SchoolGrid, whole_numbers
from firstbell.watch.ground import KIND_NUMBERS, Ground
from firstbell.watch.kinds import KINDS, Clock, Kind
from firstbell.watch.lasting import last_day, write_down
from firstbell.watch.models import Alert, CalendarPass, Verdict
from firstbell.watch.registers import Place

__all__ = ["Look", "Written", "write"]

WHY = "alerts are evaluated"
#: after somebody acted on a student, high absence is not raised again for so long
ACTED_DAYS = timedelta(days=28)
#: "not a concern" holds so long, unless it gets worse
NO_CONCERN_DAYS = timedelta(days=28)
_KINDS = tuple(KIND_NUMBERS)
_OF_DAYS = np.array([KINDS[kind].of_days for kind in _KINDS])
#: where in `_Keys.of` the kind stands
_KIND_AT = 48
_CLOCKS = tuple(KINDS[kind].clock.value for kind in _KINDS)


@dataclass(frozen=True)
class Look:
    """Schools looked over together: they share their days and today's date.

    schools  the registers of those that have any, as the ground numbers them
    known    the moment through which marks were read
    only     the students whose alerts are touched; None: all
    """

    places: Sequence[Place]
    schools: Sequence[SchoolGrid]
    known: datetime
    only: Sequence[int] | None = None

    @property
    def today(self) -> date:
        return self.places[0].today

    @property
    def through(self) -> int:
        """Whole school days that were read."""
        return self.places[0].through

    @property
    def school_ids(self) -> list[int]:
        return [p.calendar.school_id for p in self.places]

    @cached_property
    def students(self) -> NDArray[np.int64]:
        """By row of the registers."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(s.student_ids for s in self.schools)])

    @cached_property
    def enrolments(self) -> NDArray[np.int64]:
        return np.concatenate([np.zeros(0, dtype=np.int64), *(s.enrolment_ids for s in self.schools)])

    def rows_of(self, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
        """(school, student) -> (the school's number in the ground, the row of the registers), of those who have one."""
        found, first = {}, 0
        for number, school in enumerate(self.schools):
            pk = school.calendar.school_id
            here = [student for of, student in wanted if of == pk]
            at = np.searchsorted(school.student_ids, here)
            for student, row in zip(here, at.tolist(), strict=True):
                if row < len(school.student_ids) and school.student_ids[row] == student:
                    found[pk, student] = (number, first + row)
            first += len(school.student_ids)
        return found

    def register_of(self, school: int, row: int) -> tuple[Grid, int]:
        """A school's register by its number in the ground, and where in it a row of all of them stands."""
        first = sum(len(s.student_ids) for s in self.schools[:school])
        return self.schools[school].grid, row - first


@dataclass(frozen=True)
class _Standing:
    """Open alerts as columns, in order of `key`."""

    key: NDArray[np.int64]
    pk: NDArray[np.int64]
    school: NDArray[np.int64]
    count: NDArray[np.int64]
    of: NDArray[np.int64]
    usual: NDArray[np.int64]
    through: NDArray[np.int64]
    #: `expires_on` where it is set (`dated`), else `as_of` as the alert stands, as a number: 20261102
    day: NDArray[np.int64]
    dated: NDArray[np.bool_]
    #: it is as of its calendar's last look, which came after it was written; it would not be as of this one
    looked: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    #: the days, and after them why (`_told`)
    told: NDArray[np.object_]

    @property
    def kind(self) -> NDArray[np.int64]:
        return self.key >> _KIND_AT & 31

    def stands_through(self, look: Look) -> NDArray[np.int64]:
        """The day each expires, as a number."""
        found, of = self.day.copy(), self.day << 5 | self.kind
        for one in set(of[~self.dated].tolist()):
            found[~self.dated & (of == one)] = _number(last_day(look.places[0].days, _KINDS[one & 31], _day(one >> 5)))
        return found


def _number(day: date) -> int:
    return (day.year * 100 + day.month) * 100 + day.day


def _day(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)


@dataclass(frozen=True, slots=True)
class Written:
    """What a look changed: how many alerts it opened, and withdrew or let expire; the schools where it did either; and when the first of what
    stands expires, by school."""

    opened: int
    closed: int
    touched: set[int]
    expires: dict[int, date]


def write(look: Look, found: Ground) -> Written:
    """Set what was found against what stands. Call it in a transaction.

    An alert of the same kind about the same student (class, school) and rule is the same alert.
    """
    whom = np.where(found.row >= 0, look.students[found.row] if len(look.students) else -1, -1)
    if look.only is not None:
        touched = (found.row < 0) | np.isin(whom, np.array(look.only, dtype=np.int64))
        found, whom = found.only(touched), whom[touched]
    school_ids = np.array([s.calendar.school_id for s in look.schools], dtype=np.int64)
    school = school_ids[found.school] if len(school_ids) else found.school.astype(np.int64)
    keys = _Keys(look)
    rules = np.zeros(len(found), dtype=np.int64)
    some = np.flatnonzero(found.rule != "")
    rules[some] = [keys.rule(rule) for rule in found.rule[some].tolist()]
    key = keys.of(
        school, found.kind, np.where(found.row >= 0, whom, np.maximum(found.section, 0)),
        np.where(found.section >= 0, found.session, -1), rules,
    )  # fmt: skip
    # of two findings of one kind about the same student the worse one speaks
    order = np.lexsort((-found.measure, key))
    first = order[np.append(True, key[order][1:] != key[order][:-1])] if len(order) else order
    found, whom, school, key = found.only(first), whom[first], school[first], key[first]

    standing = _standing(look, keys)
    at = np.minimum(np.searchsorted(standing.key, key), max(len(standing.key) - 1, 0))
    stands = standing.key[at] == key if len(standing.key) else np.zeros(len(key), dtype=np.bool_)
    today, until = _number(look.today), standing.stands_through(look)
    acted, still = _answered(look, found, whom)
    goes_on = stands & ~acted
    # what only holds an alert keeps it until it expires; what is ground for one keeps it anew
    fresh = until[at] >= today if len(until) else np.zeros(len(key), dtype=np.bool_)
    kept, grounded = np.zeros((2, len(standing.key)), dtype=np.bool_)
    kept[at[goes_on & (~found.holds | fresh)]] = True
    new = ~stands & ~found.holds & ~still
    on = np.flatnonzero(goes_on & ~found.holds)
    was, here = at[on], found.only(on)
    grounded[was] = True
    same = (here.count == standing.count[was]) & (here.usual_count == standing.usual[was])
    same &= _told(here) == standing.told[was]
    # the same ground for longer, of some more days: nothing that anybody decides by has changed, and mostly nothing is to be written
    more = np.where(_OF_DAYS[here.kind], look.through - standing.through[was], 0)
    lasts = ~standing.dated[was] & ~standing.apart[was] & (standing.of[was] + more == here.of)
    if look.only is not None:
        lasts[:] = False

    _insert(look, found.only(new), whom[new], school[new])
    _update(look, here.only(~same), standing.pk[was[~same]])
    _last(look, here.only(same & ~lasts), standing.pk[was[same & ~lasts]])
    expired, held = ~kept & (until < today), kept & ~grounded & ~standing.dated
    closed = {"closed_at": look.known, "add": {"version": 1}}
    for some, change in (
        (held, {}), (expired, {"state": Alert.State.EXPIRED} | closed), (~kept & ~expired, {"state": Alert.State.WITHDRAWN} | closed)
    ):  # fmt: skip
        _settle(standing, some, until, **change)
    ids, none = np.sort(np.array(look.school_ids, dtype=np.int64)), _number(date.max)
    ends = np.full(len(ids), none)
    tonight = np.array([_number(last_day(look.places[0].days, kind, look.today)) for kind in _KINDS])
    for whose, day in (
        (standing.school[kept & ~grounded], until[kept & ~grounded]), (standing.school[was], tonight[here.kind]),
        (school[new], tonight[found.kind[new]]),
    ):  # fmt: skip
        np.minimum.at(ends, np.searchsorted(ids, whose), day)
    return Written(
        int(new.sum()), int((~kept).sum()), {*school[new].tolist(), *standing.school[~kept].tolist()},
        {of: _day(day) for of, day in zip(ids.tolist(), ends.tolist(), strict=True) if day != none},
    )  # fmt: skip


@dataclass
class _Keys:
    """Which alert is meant, as one number: school, kind, session, rule, and whom it is about."""

    look: Look
    rules: dict[str, int] = field(default_factory=lambda: {"": 0})

    def rule(self, name: str = "") -> int:
        return self.rules.setdefault(name, len(self.rules))

    def of(
        self, school: NDArray[np.int64], kind: NDArray[Any], subject: NDArray[np.int64], session: NDArray[Any], rule: NDArray[np.int64]
    ) -> NDArray[np.int64]:  # fmt: skip
        """subject: a student's number, a section's, or 0 for the school itself: the kind says which."""
        order = np.sort(np.array(self.look.school_ids, dtype=np.int64))
        number = np.searchsorted(order, school)
        key: NDArray[np.int64] = (
            (((number << 5 | kind.astype(np.int64)) << 5 | (session.astype(np.int64) + 1)) << 8 | rule) << 35
        ) | subject
        return key


#: between texts of a column read as one, and between the two that one text holds
_NEXT, _AND = "\x1f", "\x1e"


def _compared() -> list[str]:
    """What is read of an alert `a` and of `c`, the calendar looked over with its last look, as columns: numbers, then two texts. One hole: the
    moment through which is known now.

    A column costs SQLite as much as finding its row: small numbers come two in one, and so do texts of which one is mostly empty.
    """
    stands = (
        f"CASE WHEN a.expires_on IS NOT NULL THEN 16 * {_as_number('a.expires_on')} + 4 WHEN a.calendar_id <> c.id THEN 8 "
        f"WHEN c.known_through >= a.known_through THEN 16 * c.day + 2 ELSE 16 * {_as_number('a.as_of')} END + "
        "CASE WHEN a.calendar_id = c.id AND a.known_through <= %s THEN 0 ELSE 1 END"
    )
    return [
        "a.id", "a.school_id", f"coalesce(a.student_id, a.section_id, 0) * {_TWO} + CASE WHEN a.section_id IS NULL THEN 0 ELSE a.session + 1 END",
        f'a."count" * {_TWO} + a."of"', f"a.usual_count * {_TWO} + coalesce(a.through, 0)", stands,
        f"CASE WHEN a.rule = '' THEN a.kind ELSE a.kind || '{_AND}' || a.rule END",
        f"CASE WHEN a.why = '' THEN a.days ELSE a.days || '{_AND}' || a.why END",
    ]  # fmt: skip


_NUMBERS = 6
_TWO = 1 << 31


def _as_number(day: str) -> str:
    """SQL: a date as 20261102."""
    number = f"to_char({day}, 'YYYYMMDD')" if connection.vendor == "postgresql" else f"replace({day}, '-', '')"
    return f"CAST({number} AS integer)"


def _standing(look: Look, keys: _Keys) -> _Standing:
    """What stands at these schools. Locked, so that a live mark and the nightly pass don't both open the same alert."""
    calendars = [p.calendar.pk for p in look.places]
    whose = ""
    if look.only is not None:
        whose = f" AND (a.student_id IS NULL OR a.student_id IN ({', '.join(['%s'] * len(look.only))}))" if look.only else " AND a.student_id IS NULL"  # fmt: skip
    lock = " FOR UPDATE OF a" if connection.vendor == "postgresql" else ""
    each = ", ".join(f"{column} AS c{k}" for k, column in enumerate(_compared()))
    looked_over = (
        f"WITH c AS MATERIALIZED (SELECT c.id, c.school_id, p.known_through, {_as_number('p.as_of')} AS day FROM register_calendar c "  # noqa: S608 - our own names
        f"LEFT JOIN {CalendarPass._meta.db_table} p ON p.calendar_id = c.id WHERE c.id IN ({', '.join(['%s'] * len(calendars))}))"
    )
    asked = f"SELECT {each} FROM c CROSS JOIN {Alert._meta.db_table} a WHERE a.school_id = c.school_id AND a.state = %s{whose}{lock}"  # noqa: S608
    with connection.cursor() as cursor:
        known, state = _prepared({"known_through": look.known, "state": Alert.State.OPEN})
        values = [*calendars, known, state, *(look.only or ())]
        if connection.vendor == "postgresql":
            cursor.execute(f"{looked_over} {asked}", values)
            columns: list[Sequence[Any]] = list(zip(*cursor.fetchall(), strict=True)) or [()] * (_NUMBERS + 2)
            numbers = [np.array(column, dtype=np.int64) for column in columns[:_NUMBERS]]
            subjects, texts = columns[_NUMBERS:]
        else:  # a column at a time, all rows in one step: between rows SQLite hands the interpreter to other threads
            joined = [f"group_concat(c{k})" for k in range(_NUMBERS)]
            joined += [f"group_concat(c{k}, '{_NEXT}')" for k in range(_NUMBERS, _NUMBERS + 2)]
            cursor.execute(f"{looked_over} SELECT {', '.join(joined)} FROM ({asked})", values)  # noqa: S608
            columns = cursor.fetchone()
            numbers = [whole_numbers(column) for column in columns[:_NUMBERS]]
            subjects, texts = (column.split(_NEXT) if len(numbers[0]) else () for column in columns[_NUMBERS:])
    pk, school, whom, figures, usual, when = numbers
    if (when & 8).any():  # it stood when another year was looked over for the last time
        write_down(Alert.objects.system(WHY).filter(pk__in=pk[when & 8 != 0].tolist()).select_related("calendar"))
        return _standing(look, keys)
    of_text = {
        text: (KIND_NUMBERS[Kind(text.split(_AND)[0])], keys.rule(*text.split(_AND)[1:])) for text in set(subjects)
    }
    kind, rule = np.array([of_text[text] for text in subjects], dtype=np.int64).reshape(-1, 2).T
    key = keys.of(school, kind, whom // _TWO, whom % _TWO - 1, rule)
    by = np.argsort(key, kind="stable")
    return _Standing(
        key[by], *(column[by] for column in (
            pk, school, figures // _TWO, figures % _TWO, usual // _TWO, usual % _TWO,
            when >> 4, when & 4 != 0, when & 2 != 0, when & 1 != 0, _objects(texts),
        ))
    )  # fmt: skip


def _told(found: Ground) -> NDArray[np.object_]:
    """The days behind each, and after them why, as `_compared` reads them."""
    told, some = found.days.copy(), np.flatnonzero(found.why != "")
    told[some] = found.days[some] + _AND + found.why[some]
    return told


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


# -- what people decided ---------------------------------------------------------------------------------------------


def _answered(look: Look, found: Ground, whom: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """By finding: (somebody has acted, so that "nobody has acted" is no longer so; what was decided still answers it)."""
    acted, still = np.zeros((2, len(found)), dtype=np.bool_)
    given = Verdict.objects.system(WHY).filter(
        undone_at=None, student__isnull=False, alert__school__in=look.school_ids, alert__state=Alert.State.ANSWERED
    )  # the state, or every alert these schools ever had would be looked through
    if look.only is not None:
        given = given.filter(student_id__in=look.only)
    verdicts: dict[tuple[int, int], list[Verdict]] = defaultdict(list)
    for verdict in given.select_related("alert").order_by("-given_at"):
        verdicts[verdict.alert.school_id, verdict.student_id or 0].append(verdict)
    if not verdicts:
        return acted, still
    school_ids = [s.calendar.school_id for s in look.schools]
    of_whom = np.isin(whom, [student for _school, student in verdicts])
    for i in np.flatnonzero(of_whom).tolist():
        of_student = verdicts.get((school_ids[found.school[i]], int(whom[i])))
        if of_student:
            finding = _One(_KINDS[found.kind[i]], int(found.measure[i]), str(found.days[i]), str(found.rule[i]))
            acted[i] = _acted_on(finding, of_student, look.today)
            still[i] = _still_answered(finding, of_student, look.today)
    return acted, still


@dataclass(frozen=True, slots=True)
class _One:
    """One finding, as a verdict answers it."""

    kind: Kind
    measure: int
    days: str
    rule: str


def _still_answered(finding: _One, verdicts: list[Verdict], today: date) -> bool:
    """Whether what somebody decided still answers this finding: it isn't raised again unless it got worse.

    Worse is the kind's own: its measure grew by `worse` past the answered one. A *watch* comes back on its date; *wrong data* when
    the days behind it changed; *not a concern* holds four weeks. High absence rests for four weeks after anybody acted on
    anything about the student, and while a watch runs.
    """
    rule = KINDS[finding.kind]
    if _acted_on(finding, verdicts, today):
        return True
    latest = next((v for v in verdicts if (v.alert.kind, v.alert.rule) == (finding.kind, finding.rule)), None)
    if latest is None:
        return False
    if rule.clock is Clock.TODAY:
        return latest.alert.as_of == today
    if finding.measure >= latest.measure + rule.worse:
        return False
    match latest.decision:
        case Verdict.Decision.WATCH:
            return latest.watch_until is not None and latest.watch_until > today
        case Verdict.Decision.WRONG_DATA:
            return latest.alert.days == finding.days
        case Verdict.Decision.NO_CONCERN:
            return today - latest.given_at.date() <= NO_CONCERN_DAYS
        case _:
            return today - latest.given_at.date() <= ACTED_DAYS


def _acted_on(finding: _One, verdicts: list[Verdict], today: date) -> bool:
    """High absence only: somebody acted on anything about this student lately, or is watching."""
    if finding.kind is not Kind.HIGH_ABSENCE:
        return False
    for verdict in verdicts:
        if verdict.decision == Verdict.Decision.ACT and today - verdict.given_at.date() <= ACTED_DAYS:
            return True
        if verdict.decision == Verdict.Decision.WATCH and verdict.watch_until and verdict.watch_until > today:
            return True
    return False


# -- rows --------------------------------------------------------------------------------------------------------------
# A pass over a big district writes some hundred thousand alerts. They go to the database many at a stroke: row by row SQLite would hand
# the interpreter to other threads between any two.


#: values of alerts' fields, a column a field
_Columns = dict[str, Sequence[Any] | NDArray[Any]]


def _said(look: Look, found: Ground) -> tuple[_Columns, dict[str, Any]]:
    """The fields a night says anew: a value an alert, and what all have in common."""
    figures = {name: getattr(found, name) for names in _AS_ONE for name, _bits in names}
    return {**figures, "days": found.days.tolist(), "why": found.why.tolist()}, _lasting(look)


def _lasting(look: Look) -> dict[str, Any]:
    """Of an alert whose ground this look found."""
    return {"as_of": look.today, "known_through": look.known, "through": look.through, "expires_on": None}


def _or_none(column: NDArray[Any]) -> list[int | None]:
    return [None if value < 0 else value for value in column.tolist()]


def _insert(look: Look, found: Ground, whom: NDArray[np.int64], school: NDArray[np.int64]) -> None:
    if not len(found):
        return
    calendars = {p.calendar.school_id: p.calendar.pk for p in look.places}
    kinds = [_KINDS[k].value for k in found.kind.tolist()]
    each, every = _said(look, found)
    each |= {
        "kind": kinds, "clock": [_CLOCKS[k] for k in found.kind.tolist()], "school": school.tolist(),
        "calendar": [calendars[pk] for pk in school.tolist()], "student": _or_none(whom),
        "enrolment": _or_none(np.where(found.row >= 0, look.enrolments[found.row] if len(look.enrolments) else -1, -1)),
        "section": _or_none(found.section), "rule": found.rule.tolist(),
    }  # fmt: skip
    every |= {"state": Alert.State.OPEN, "opened_at": look.known, "closing": "", "version": 0}
    names = ", ".join(f'"{Alert._meta.get_field(name).column}"' for name in (*every, *each))
    holes = ["%s"] * len(every)
    _for_each(
        each, every,
        lambda taken, rows: f"INSERT INTO {Alert._meta.db_table} ({names}) SELECT {', '.join([*holes, *taken])} FROM {rows}",  # noqa: S608 - our own names
    )  # fmt: skip


def _update(look: Look, found: Ground, pks: NDArray[np.int64]) -> None:
    each, every = _said(look, found)
    _set(pks, each, every, "version = version + 1")


def _last(look: Look, found: Ground, pks: NDArray[np.int64]) -> None:
    """The same alerts, whose day or `of` would not follow from the look."""
    _set(pks, {"of": found.of.tolist()}, _lasting(look))


def _set(pks: NDArray[np.int64], each: _Columns, every: dict[str, Any], *also: str) -> None:
    if not len(pks):
        return
    table = Alert._meta.db_table

    def statement(taken: list[str], rows: str) -> str:
        holes = zip((*every, *each), [*["%s"] * len(every), *taken[1:]], strict=True)
        sets = ", ".join([*(f'"{name}" = {value}' for name, value in holes), *also])
        return f"UPDATE {table} SET {sets} FROM {rows} WHERE {table}.id = {taken[0]}"  # noqa: S608

    _for_each({"id": pks.tolist()} | each, every, statement)


#: rows in one statement of SQLite: of one length, so that it is understood once
_AT_ONCE = 100
#: figures that go to the database as one number, with so many bits for each: every value handed to SQLite costs it half a microsecond
_AS_ONE = (
    (("count", 31), ("of", 31)), (("measure", 31), ("usual_count", 31)), (("usual_of", 31), ("weekday", 8), ("session", 8)),
)  # fmt: skip


def _handed(values: _Columns) -> tuple[list[Sequence[Any]], dict[str, tuple[int, str]]]:
    """Columns as they go to the database; and of each field, which of them holds it and how it is taken."""
    columns: list[Sequence[Any]] = []
    held: dict[str, tuple[int, str]] = {}
    for names in _AS_ONE:
        if names[0][0] in values and names[-1][0] in values:
            one, at = np.zeros(len(values[names[0][0]]), dtype=np.int64), 0
            for name, bits in reversed(names):
                figure, taken = np.asarray(values[name], dtype=np.int64), f"({{}} >> {at} & {(1 << bits) - 1})"
                if name == "session":  # there may be none
                    figure, taken = figure + 1, f"(nullif({taken}, 0) - 1)"
                one |= figure << at
                held[name] = (len(columns), taken)
                at += bits
            columns.append(one.tolist())
    for name in (name for name in values if name not in held):
        held[name] = (len(columns), "{}")
        columns.append(values[name])
    return columns, held


def _for_each(values: _Columns, every: dict[str, Any], statement: Callable[[list[str], str], str]) -> None:
    """Run a statement over rows of alerts' fields. It is told how each field is taken and what from; holes for `every` stand before that."""
    columns, held = _handed(values)
    shared, rows = _prepared(every), list(zip(*columns, strict=True))
    if connection.vendor == "postgresql":
        types = {
            k: Alert._meta.get_field(name).rel_db_type(connection) for name, (k, how) in held.items() if how == "{}"
        }
        taken = [
            how.format(f"CAST(a.one ->> {k} AS {types.get(k, 'bigint')})") for k, how in (held[name] for name in values)
        ]
        with connection.cursor() as cursor:
            each = "(SELECT value AS one FROM json_array_elements(CAST(%s AS json))) a"
            cursor.execute(statement(taken, each), [*shared, json.dumps(rows)])
        return
    taken = [how.format(f"a.column{k + 1}") for k, how in (held[name] for name in values)]
    one = f"({', '.join('?' * len(columns))})"
    for some in (rows[k : k + _AT_ONCE] for k in range(0, len(rows), _AT_ONCE)):
        told = statement(taken, f"(VALUES {', '.join([one] * len(some))}) a").replace("%s", "?")
        # past Django, which looks through the text for holes, longer than SQLite takes to write the rows
        connection.connection.execute(told, [*shared, *chain.from_iterable(some)])


def _prepared(values: dict[str, Any]) -> list[Any]:
    return [Alert._meta.get_field(name).get_db_prep_save(value, connection) for name, value in values.items()]


def _settle(
    standing: _Standing, some: NDArray[np.bool_], until: NDArray[np.int64], *, add: dict[str, int] | None = None, **change: Any
) -> None:  # fmt: skip
    """The ground of these alerts has ceased: set what changes, and write down until when they stand, of how many days and as of when."""
    for day, looked in set(zip(until[some].tolist(), standing.looked[some].tolist(), strict=True)):
        alike = some & (until == day) & (standing.looked == looked)
        _of(standing.pk[alike], add=add or {}, looked=looked, **change, expires_on=_day(day))


_WHOSE_OF_GROWS = ", ".join(f"'{kind.value}'" for kind in _KINDS if KINDS[kind].of_days)


def _of(pks: NDArray[np.int64], *, add: dict[str, int], looked: bool, **change: Any) -> None:
    """Set these fields of these alerts, and add so much to those. looked: they were as of their calendar's last look, and that is written down."""
    table, look = Alert._meta.db_table, CalendarPass._meta.db_table
    ids: Any = pks.tolist()
    some = f"{table}.id = ANY(%s)"
    if connection.vendor != "postgresql":
        ids, some = str(ids), f"{table}.id IN (SELECT value FROM json_each(%s))"  # noqa: S608
    sets = [f'"{name}" = %s' for name in change] + [f'"{name}" = {table}."{name}" + %s' for name in add]
    if looked:
        sets += [
            "as_of = p.as_of", "known_through = p.known_through", "through = p.through",
            f"\"of\" = {table}.\"of\" + CASE WHEN kind IN ({_WHOSE_OF_GROWS}) THEN p.through - {table}.through ELSE 0 END",
        ]  # fmt: skip
        some = f"{some} AND p.calendar_id = {table}.calendar_id"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {', '.join(sets)} {f'FROM {look} p' if looked else ''} WHERE {some}",  # noqa: S608 - our own names
            [*_prepared(change), *add.values(), ids],
        )
