"""What stands and what is found, set against each other: alerts opened, changed, kept, withdrawn and expired. Many schools in one stroke."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from firstbell.register.grid import Grid
from firstbell.register.rows import SchoolGrid, whole_numbers
from firstbell.watch.ground import KIND_NUMBERS, Ground
from firstbell.watch.kinds import KINDS, Clock, Kind
from firstbell.watch.models import Alert, Verdict
from firstbell.watch.registers import Place

__all__ = ["Look", "write"]

WHY = "alerts are evaluated"
#: after somebody acted on a student, high absence is not raised again for so long
ACTED_DAYS = timedelta(days=28)
#: "not a concern" holds so long, unless it gets worse
NO_CONCERN_DAYS = timedelta(days=28)
_KINDS = tuple(KIND_NUMBERS)


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
    days: NDArray[np.object_]
    why: NDArray[np.object_]
    expires: NDArray[np.object_]  # ISO text: it compares as dates do


def write(look: Look, found: Ground) -> tuple[int, int, set[int]]:
    """(opened, withdrawn or expired, the schools where either happened). Call it in a transaction.

    An alert of the same kind about the same student (class, school) and rule is the same alert.
    """
    whom = np.where(found.row >= 0, look.students[found.row] if len(look.students) else -1, -1)
    if look.only is not None:
        touched = (found.row < 0) | np.isin(whom, np.array(look.only, dtype=np.int64))
        found, whom = found.only(touched), whom[touched]
    school_ids = np.array([s.calendar.school_id for s in look.schools], dtype=np.int64)
    school = school_ids[found.school] if len(school_ids) else found.school.astype(np.int64)
    keys = _Keys(look)
    key = keys.of(
        school, found.kind, np.where(found.row >= 0, whom, np.maximum(found.section, 0)),
        np.where(found.section >= 0, found.session, -1), found.rule,
    )  # fmt: skip
    # of two findings of one kind about the same student the worse one speaks
    order = np.lexsort((-found.measure, key))
    first = order[np.append(True, key[order][1:] != key[order][:-1])] if len(order) else order
    found, whom, school, key = found.only(first), whom[first], school[first], key[first]

    standing = _standing(look, keys)
    at = np.minimum(np.searchsorted(standing.key, key), max(len(standing.key) - 1, 0))
    stands = standing.key[at] == key if len(standing.key) else np.zeros(len(key), dtype=np.bool_)
    today = look.today.isoformat()
    expires = _expiries(look, found.kind)
    acted, still = _answered(look, found, whom)
    goes_on = stands & ~acted
    kept = np.zeros(len(standing.key), dtype=np.bool_)
    # what only holds an alert keeps it until it expires; what is ground for one keeps it anew
    fresh = standing.expires[at] >= today if len(standing.key) else np.zeros(len(key), dtype=np.bool_)
    kept[at[goes_on & (~found.holds | fresh)]] = True
    new = ~stands & ~found.holds & ~still
    on = np.flatnonzero(goes_on & ~found.holds)
    was, here = at[on], found.only(on)
    same = (here.count == standing.count[was]) & (here.usual_count == standing.usual[was])
    same &= (here.days == standing.days[was]) & (here.why == standing.why[was])
    later, more = expires[on] != standing.expires[was], here.of - standing.of[was]

    _insert(look, found.only(new), whom[new], school[new], expires[new])
    _update(look, here.only(~same), expires[on][~same], standing.pk[was[~same]])
    # the same ground for longer, of some more days: nothing that anybody decides by has changed
    for until, days in {
        (until, days) for until, days in zip(expires[on][same].tolist(), more[same].tolist(), strict=True)
    }:
        alike = same & (expires[on] == until) & (more == days) & (later | (more != 0))
        _of(standing.pk[was[alike]], as_of=look.today, known_through=look.known, expires_on=until, add={"of": days})
    expired = ~kept & (standing.expires < today)
    gone = ~kept & ~expired
    _of(standing.pk[expired], state=Alert.State.EXPIRED, closed_at=look.known, add={"version": 1})
    _of(standing.pk[gone], state=Alert.State.WITHDRAWN, closed_at=look.known, add={"version": 1})
    return int(new.sum()), int((~kept).sum()), {*school[new].tolist(), *standing.school[~kept].tolist()}


@dataclass
class _Keys:
    """Which alert is meant, as one number: school, kind, session, rule, and whom it is about."""

    look: Look
    rules: dict[str, int] = field(default_factory=lambda: {"": 0})

    def of(
        self, school: NDArray[np.int64], kind: NDArray[Any], subject: NDArray[np.int64], session: NDArray[Any], rule: NDArray[np.object_]
    ) -> NDArray[np.int64]:  # fmt: skip
        """subject: a student's number, a section's, or 0 for the school itself: the kind says which."""
        order = np.sort(np.array(self.look.school_ids, dtype=np.int64))
        number = np.searchsorted(order, school)
        rules = np.zeros(len(rule), dtype=np.int64)
        some = np.flatnonzero(rule != "")
        rules[some] = [self.rules.setdefault(r, len(self.rules)) for r in rule[some].tolist()]
        key: NDArray[np.int64] = (
            (((number << 5 | kind.astype(np.int64)) << 5 | (session.astype(np.int64) + 1)) << 8 | rules) << 35
        ) | subject
        return key


_COMPARED = (
    "id AS c0, school_id AS c1, coalesce(student_id, section_id, 0) AS c2, CASE WHEN section_id IS NULL THEN -1 ELSE session END AS c3, "
    '"count" AS c4, "of" AS c5, usual_count AS c6, kind AS c7, rule AS c8, days AS c9, why AS c10, CAST(expires_on AS text) AS c11'
)


def _standing(look: Look, keys: _Keys) -> _Standing:
    """What stands at these schools. Locked, so that a live mark and the nightly pass don't both open the same alert."""
    schools = look.school_ids
    whose = ""
    if look.only is not None:
        whose = f" AND (student_id IS NULL OR student_id IN ({', '.join(['%s'] * len(look.only))}))" if look.only else " AND student_id IS NULL"  # fmt: skip
    lock = " FOR UPDATE" if connection.vendor == "postgresql" else ""
    asked = (
        f"SELECT {_COMPARED} FROM {Alert._meta.db_table} WHERE state = %s "  # noqa: S608 - our own names
        f"AND school_id IN ({', '.join(['%s'] * len(schools))}){whose}{lock}"
    )
    with connection.cursor() as cursor:
        values = [Alert.State.OPEN, *schools, *(look.only or ())]
        if connection.vendor == "postgresql":
            cursor.execute(asked, values)
            columns: list[Sequence[Any]] = list(zip(*cursor.fetchall(), strict=True)) or [()] * 12
            numbers = [np.array(column, dtype=np.int64) for column in columns[:7]]
            words = columns[7:]
        else:  # a column at a time, all rows in one step: between rows SQLite hands the interpreter to other threads
            joined = [f"group_concat(c{k})" for k in range(7)] + [f"json_group_array(c{k})" for k in range(7, 12)]
            cursor.execute(f"SELECT {', '.join(joined)} FROM ({asked})", values)  # noqa: S608
            told = cursor.fetchone()
            numbers, words = [whole_numbers(column) for column in told[:7]], [json.loads(column) for column in told[7:]]
    pk, school, subject, session, count, of, usual = numbers
    kind, rule, days, why, expires = words
    key = keys.of(school, np.array([KIND_NUMBERS[k] for k in kind], dtype=np.int64), subject, session, _objects(rule))
    by = np.argsort(key, kind="stable")
    texts = [_objects(column)[by] for column in (days, why, expires)]
    return _Standing(key[by], *(column[by] for column in (pk, school, count, of, usual)), *texts)


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _expiries(look: Look, kind: NDArray[np.int8]) -> NDArray[np.object_]:
    place = look.places[0]
    dates = place.days.dates
    by_kind = _objects(
        [
            (look.today if KINDS[k].clock is Clock.TODAY or not dates else dates[min(place.upto + KINDS[k].life, len(dates)) - 1]).isoformat()
            for k in _KINDS
        ]
    )  # fmt: skip
    found: NDArray[np.object_] = by_kind[kind]
    return found


# -- what people decided ---------------------------------------------------------------------------------------------


def _answered(look: Look, found: Ground, whom: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """By finding: (somebody has acted, so that "nobody has acted" is no longer so; what was decided still answers it)."""
    acted, still = np.zeros((2, len(found)), dtype=np.bool_)
    given = Verdict.objects.system(WHY).filter(undone_at=None, student__isnull=False, alert__school__in=look.school_ids)
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
# A pass over a big district writes some hundred thousand alerts. They go to the database as one text, and it takes them apart: row by row
# SQLite would hand the interpreter to other threads between any two.


def _said(look: Look, found: Ground, expires: NDArray[np.object_]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """The fields a night says anew: a value an alert, and what all have in common."""
    return {
        "count": found.count.tolist(), "of": found.of.tolist(), "measure": found.measure.tolist(), "usual_count": found.usual_count.tolist(),
        "usual_of": found.usual_of.tolist(), "weekday": found.weekday.tolist(), "session": _or_none(found.session),
        "days": found.days.tolist(), "why": found.why.tolist(), "expires_on": expires.tolist(),
    }, {"as_of": look.today, "known_through": look.known}  # fmt: skip


def _or_none(column: NDArray[Any]) -> list[int | None]:
    return [None if value < 0 else value for value in column.tolist()]


def _insert(
    look: Look, found: Ground, whom: NDArray[np.int64], school: NDArray[np.int64], expires: NDArray[np.object_]
) -> None:
    if not len(found):
        return
    calendars = {p.calendar.school_id: p.calendar.pk for p in look.places}
    kinds = [_KINDS[k] for k in found.kind.tolist()]
    each, every = _said(look, found, expires)
    each |= {
        "kind": kinds, "clock": [KINDS[k].clock for k in kinds], "school": school.tolist(),
        "calendar": [calendars[pk] for pk in school.tolist()], "student": _or_none(whom),
        "enrolment": _or_none(np.where(found.row >= 0, look.enrolments[found.row] if len(look.enrolments) else -1, -1)),
        "section": _or_none(found.section), "rule": found.rule.tolist(),
    }  # fmt: skip
    every |= {"state": Alert.State.OPEN, "opened_at": look.known, "closing": "", "version": 0}
    names = ", ".join(f'"{Alert._meta.get_field(name).column}"' for name in (*each, *every))
    taken, rows = _rows(each)
    holes = ["%s"] * len(every)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Alert._meta.db_table} ({names}) SELECT {', '.join([*taken, *holes])} FROM {_EACH[connection.vendor]}",  # noqa: S608 - our own names
            [*_prepared(every), rows],
        )


def _update(look: Look, found: Ground, expires: NDArray[np.object_], pks: NDArray[np.int64]) -> None:
    if not len(found):
        return
    each, every = _said(look, found, expires)
    (pk, *taken), rows = _rows({"id": pks.tolist()} | each)
    sets = [f'"{name}" = {value}' for name, value in zip((*each, *every), [*taken, *["%s"] * len(every)], strict=True)]
    table = Alert._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {', '.join(sets)}, version = version + 1 FROM {_EACH[connection.vendor]} WHERE {table}.id = {pk}",  # noqa: S608
            [*_prepared(every), rows],
        )


#: the rows of a text, one after another, as `a.one`; as JSONB, or SQLite would read a row's text anew for each of its values
_EACH = {
    "sqlite": "(SELECT value AS one FROM jsonb_each(%s)) a",
    "postgresql": "(SELECT value AS one FROM json_array_elements(CAST(%s AS json))) a",
}


def _rows(values: dict[str, list[Any]]) -> tuple[list[str], str]:
    """How the database takes each of these fields out of `_EACH`, and the text with all of their values."""
    taken = [f"a.one ->> {k}" for k in range(len(values))]
    if connection.vendor == "postgresql":
        types = [Alert._meta.get_field(name).rel_db_type(connection) for name in values]
        taken = [f"CAST({value} AS {of})" for value, of in zip(taken, types, strict=True)]
    return taken, json.dumps(list(zip(*values.values(), strict=True)))


def _prepared(values: dict[str, Any]) -> list[Any]:
    return [Alert._meta.get_field(name).get_db_prep_save(value, connection) for name, value in values.items()]


def _of(pks: NDArray[np.int64], *, add: dict[str, int] | None = None, **change: Any) -> None:
    """Set these fields of these alerts, and add so much to those."""
    if not len(pks):
        return
    ids: Any = pks.tolist()
    some = "id = ANY(%s)"
    if connection.vendor != "postgresql":
        ids, some = str(ids), "id IN (SELECT value FROM json_each(%s))"
    sets = [f'"{name}" = %s' for name in change] + [f'"{name}" = "{name}" + %s' for name in add or {}]
    values = [*_prepared(change), *(add or {}).values()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Alert._meta.db_table} SET {', '.join(sets)} WHERE {some}", [*values, ids])  # noqa: S608 - our own names
