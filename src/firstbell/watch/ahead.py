"""The lines ahead of a student: exact arithmetic always, a forecast in words where the backtest allows one, the simple rule where not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, PENDING, kinds_of_days
from firstbell.forecast.forecasts import Band, Forecasts, forecast
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.layers import rates
from firstbell.forecast.lines import PACKS, YEAR_END, Counted, Line
from firstbell.forecast.model import BadModel, Model
from firstbell.forecast.reasons import Reason, reasons
from firstbell.register import rows as register_rows
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, RegisterRow, SchoolYear
from firstbell.register.rows import Column, SchoolGrid
from firstbell.watch.asof import grade_band
from firstbell.watch.backtests import Offer, offer
from firstbell.watch.forecasting import NO_BARS, shelf
from firstbell.watch.history import LastYear
from firstbell.watch.kinds import Finding, groups_of
from firstbell.watch.models import Kind
from firstbell.watch.words import AHEAD_DAYS

__all__ = ["Elsewhere", "Forecaster", "Position", "ahead_findings", "elsewhere", "known_now", "positions"]

WHY = "who is near a line"
#: What raises an alert: a line with consequences, far enough ahead to help. Other lines stand on the student's page.
RAISED, HORIZON = "example/ten-unexcused-days", AHEAD_DAYS
#: the simple rule, where no forecast is offered: so near the line, and a counted day so lately
SIMPLE_ROOM, SIMPLE_DAYS = 3, 20
#: how far a page looks ahead for each kind of line
PAGE = {"example/ten-unexcused-days": 10, "example/chronic-absence": YEAR_END}


@dataclass(frozen=True)
class Forecaster:
    """The model in use and what the backtest allows; read once a pass."""

    model: Model | None

    @classmethod
    def now(cls, as_of: date | None = None) -> Forecaster:
        """As of a past day: only a model that read nothing recorded later."""
        try:
            number = shelf().current()
            model = _model(number, str(shelf().folder)) if number is not None else None
        except BadModel:  # a broken or older file: counts alone until tonight's training
            return cls(None)
        if model is not None and as_of is not None and date.fromisoformat(model.through) > as_of:
            return cls(None)
        return cls(model)

    def offer(self, rule: str, horizon: int) -> Offer | None:
        return offer(rule, horizon) if self.model is not None else None

    def forecast(self, known: Known, line: Line, horizon: int, rows: NDArray[np.int64] | None = None) -> _Asked | None:
        """Of a whole school; reasons for these rows, or for those it says act of."""
        if self.model is None or not known.through:
            return None
        learned = self.model.learned[line.counted]
        key = (line.counted, line.share is not None, horizon)
        box, bars = self.model.layer_two.boxes.get(key), self.model.layer_two.bars.get(key, NO_BARS)
        r = rates(known, line.counted, learned)
        f = forecast(known, line, horizon, learned, box, bars, r=r)
        told = np.flatnonzero(f.asked & (f.band == Band.ACT)) if rows is None else rows
        why = reasons(known, told, line, horizon, learned, box, r)
        return _Asked(f, dict(zip(told.tolist(), why, strict=True)))


@dataclass(frozen=True, slots=True)
class _Asked:
    forecasts: Forecasts
    why: dict[int, list[Reason]]


@lru_cache(maxsize=2)  # a kept model is never changed
def _model(number: int, _folder: str) -> Model | None:
    return shelf().load(number)


#: student -> each of their stays this year, as its calendar's columns and codes
Elsewhere = dict[int, list[tuple[Column, str]]]


def elsewhere(year: SchoolYear, students: Sequence[int] | None = None) -> Elsewhere:
    """The registers of students on more than one of a year's calendars. students: whom it will be asked about."""
    registers = RegisterRow.objects.system(WHY).filter(calendar__school_year=year)
    if students is not None:
        registers = registers.filter(student_id__in=students)
    where: dict[int, set[int]] = defaultdict(set)
    for student, calendar in registers.values_list("student_id", "calendar_id"):
        where[student].add(calendar)
    several = [student for student, calendars in where.items() if len(calendars) > 1]
    if not several:
        return {}
    wanted = {calendar for student in several for calendar in where[student]}
    columns = register_rows.columns_of(Calendar.objects.filter(pk__in=wanted).select_related("school", "school_year"))
    stays: Elsewhere = defaultdict(list)
    for some in (several[i : i + 500] for i in range(0, len(several), 500)):
        found = registers.filter(student_id__in=some).values_list("student_id", "calendar_id", "codes")
        for student, calendar, codes in found:
            stays[student].append((columns[calendar], codes))
    return dict(stays)


def _carried(school: SchoolGrid, through: int, kinds: dict[Counted, NDArray[np.uint8]], stays: Elsewhere) -> Carried:
    """What students brought from other schools this year, days they also had here left out."""
    carried = Carried.nothing(len(school.student_ids))
    rows = [i for i, student in enumerate(school.student_ids.tolist()) if student in stays]
    if not rows or not through:
        return carried
    last = school.grid.dates[through - 1]
    for i in rows:
        here = set(school.grid.dates[:through][kinds[Counted.ABSENT][i] > 0].tolist())
        for column, codes in stays[int(school.student_ids[i])]:
            if column.calendar.pk == school.calendar.pk or not column.dates:
                continue
            grid = Grid(
                np.frombuffer(codes.encode("ascii"), dtype=np.uint8).reshape(1, -1),
                np.array(column.dates, dtype="datetime64[D]"), column.calendar.sessions,
            )  # fmt: skip
            upto = grid.through(last)
            days = [d for d, day in enumerate(grid.dates[:upto].tolist()) if day not in here]
            absent = kinds_of_days(grid, upto, Counted.ABSENT)[0][days]
            carried.possible[i] += int((absent > 0).sum())
            carried.absent[i] += int((absent == COUNTED).sum())
            carried.count[i] += int((kinds_of_days(grid, upto, Counted.UNEXCUSED)[0][days] == COUNTED).sum())
    return carried


def known_now(school: SchoolGrid, through: int, last: LastYear, stays: Elsewhere) -> Known:
    """A school's register as the forecast takes it, through its whole days."""
    bands = np.array([grade_band(g) for g in school.grades], dtype=np.int8)
    known = Known.of(school.grid, through, groups_of(school), bands, before=last.before(school.student_ids))
    carried = _carried(school, through, known.kinds, stays)
    return Known(known.dates, through, known.kinds, known.here, known.group, known.band, carried, known.before)


def ahead_findings(school: SchoolGrid, known: Known, forecaster: Forecaster) -> Iterator[Finding]:
    """Ground for an alert: a line a person may still help a student not to reach."""
    if not known.through:
        return
    line = _line(RAISED)
    allowed = forecaster.offer(RAISED, HORIZON)
    asked = forecaster.forecast(known, line, HORIZON) if allowed else None
    if allowed is None or asked is None:
        yield from _simple(school, known, line)
        return
    f = asked.forecasts
    for i in np.flatnonzero(f.asked & np.isin(f.band, [Band.ACT, Band.WATCH, Band.CANNOT_TELL])).tolist():
        act = f.band[i] == Band.ACT
        why = " ".join(f"{r.why}:{r.count}/{r.of}" for r in asked.why.get(i, []))
        yield Finding(
            Kind.LINE_AHEAD, i, int(f.count[i]), line.days, int(f.count[i]), _days(school, known, line, i) if act else "",
            usual_count=allowed.in_ten(float(f.chance[i])), usual_of=10, rule=RAISED, why=why, holds=not act,
        )  # fmt: skip


def _simple(school: SchoolGrid, known: Known, line: Line) -> Iterator[Finding]:
    kinds = known.kinds[line.counted]
    count = (kinds == COUNTED).sum(axis=1) + known.carried.count.astype(np.int64)
    lately = (kinds[:, -SIMPLE_DAYS:] == COUNTED).any(axis=1)
    near = (count >= line.days - SIMPLE_ROOM) & (count < line.days) & known.here
    for i in np.flatnonzero(near).tolist():
        n = int(count[i])
        yield Finding(
            Kind.LINE_AHEAD, i, n, line.days, n, _days(school, known, line, i), rule=RAISED, holds=not lately[i]
        )  # fmt: skip


def _days(school: SchoolGrid, known: Known, line: Line, row: int) -> str:
    """The counted days with their letters, as they were known."""
    n, codes = school.grid.sessions, school.grid.codes[row].tobytes().decode("ascii").replace(" ", "_")
    counted = np.flatnonzero(known.kinds[line.counted][row] == COUNTED).tolist()
    return " ".join(f"{school.grid.dates[d]}{codes[d * n : (d + 1) * n]}" for d in counted[-40:])


def _line(rule: str) -> Line:
    pack, name = rule.split("/")
    return PACKS[pack][name]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a student stands before a line. Layer 0 is exact; `band` and `in_ten` are None where no forecast is offered.

    count, unexplained  counted days as known; absences still without a reason that would count
    room      counted days still to go; 0 when reached
    leaves    the day after which the oldest counted day no longer counts
    left      school days to the year's end
    """

    rule: str
    title: str
    count: int
    unexplained: int
    room: int
    leaves: date
    left: int
    days: tuple[date, ...]
    horizon: int
    band: Band | None
    in_ten: int | None
    why: tuple[Reason, ...]


def positions(school: SchoolGrid, known: Known, student: int, forecaster: Forecaster) -> list[Position]:
    """Every line, of one student of the school."""
    at = np.flatnonzero(school.student_ids == student)
    if not len(at) or not known.through:
        return []
    i = int(at[0])
    found = []
    for rule, horizon in PAGE.items():
        line = _line(rule)
        kinds = known.kinds[line.counted][i]
        absent = line.counted is Counted.ABSENT
        carried = int((known.carried.absent if absent else known.carried.count)[i])
        count = int((kinds == COUNTED).sum()) + carried
        # a share is asked of the whole year: what is there and what is left
        possible = int((kinds > 0).sum() + known.carried.possible[i]) + known.days_left
        room = max(int(line.reached_at(np.array([possible]))[0]) - count, 0)
        allowed = forecaster.offer(rule, horizon)
        asked = forecaster.forecast(known, line, horizon, at[:1]) if allowed and room else None
        f = asked.forecasts if asked else None
        band = None if f is None or not f.asked[i] else Band(f.band[i])
        told = band in (Band.ACT, Band.WATCH, Band.CLEAR) and allowed is not None and f is not None
        found.append(
            Position(
                rule, line.title, count, int((kinds == PENDING).sum()), room, school.grid.dates[-1].astype(object),
                known.days_left, tuple(school.grid.dates[: known.through][kinds == COUNTED].astype(object).tolist()),
                horizon, band, allowed.in_ten(float(f.chance[i])) if told and allowed and f is not None else None,
                tuple(asked.why.get(i, ())) if asked else (),
            )
        )  # fmt: skip
    return found
