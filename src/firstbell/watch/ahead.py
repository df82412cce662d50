"""The lines ahead of a student: exact arithmetic always, a forecast in words where the backtest allows one, the simple rule where not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, PENDING
from firstbell.forecast.forecasts import Band, Forecasts, forecast
from firstbell.forecast.known import Known
from firstbell.forecast.layers import rates
from firstbell.forecast.lines import PACKS, YEAR_END, Counted, Line
from firstbell.forecast.model import BadModel, Model
from firstbell.forecast.reasons import Reason, reasons
from firstbell.law.whom import Person, applies
from firstbell.register.models import SchoolYear
from firstbell.register.rows import SchoolGrid
from firstbell.watch.backtests import Offer, offer_of
from firstbell.watch.forecasting import shelf
from firstbell.watch.ground import Asker
from firstbell.watch.lines import Lines
from firstbell.watch.words import AHEAD_DAYS

__all__ = ["Forecaster", "Position", "ToldHow", "page_lines", "positions", "told_how"]

#: What raises an alert where no law is adopted, and what the weekly draw's strata are cut by
RAISED, HORIZON = "example/ten-unexcused-days", AHEAD_DAYS
#: how far a page looks ahead for each kind of line
CHRONIC = "example/chronic-absence"
PAGE = {RAISED: HORIZON, CHRONIC: YEAR_END}


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

    def offer(self, line: Line, horizon: int) -> Offer | None:
        return offer_of(line, horizon) if self.model is not None else None

    def askers(self, lines: Lines) -> tuple[Asker, ...]:
        """The lines a forecast speaks of: of the law in force those the backtest allows (arithmetic speaks of the others); where no law is
        adopted the example's, by the count itself where it is not allowed."""
        if not lines.law:
            allowed = self.offer(_line(RAISED), HORIZON)
            return (Asker.of((RAISED,), _line(RAISED), HORIZON, self.model, allowed and allowed.steps),)
        alike: dict[tuple[Counted, int], list[str]] = {}
        for name, line in lines.askable.items():
            alike.setdefault((line.counted, line.days), []).append(name)
        found = []
        for names in alike.values():
            line = lines.askable[names[0]]
            if (allowed := self.offer(line, HORIZON)) is not None:
                found.append(Asker.of(tuple(names), line, HORIZON, self.model, allowed.steps))
        return tuple(found)

    def forecast(self, known: Known, line: Line, horizon: int, rows: NDArray[np.int64] | None = None) -> _Asked | None:
        """Of a whole school; reasons for these rows, or for those it says act of."""
        if self.model is None or not known.through:
            return None
        learned = self.model.learned[line.counted]
        box, bars = self.model.layer_two.of(line, horizon)
        r = rates(known, line.counted, learned)
        f = forecast(known, line, horizon, learned, box, bars, r=r)
        told = np.flatnonzero(f.asked & (f.band == Band.ACT)) if rows is None else rows
        why = reasons(known.only(told), f.chance[told], line, horizon, learned, box, r.among)
        return _Asked(f, dict(zip(told.tolist(), why, strict=True)))


@dataclass(frozen=True, slots=True)
class _Asked:
    forecasts: Forecasts
    why: dict[int, list[Reason]]


@lru_cache(maxsize=2)  # a kept model is never changed
def _model(number: int, _folder: str) -> Model | None:
    return shelf().load(number)


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


@dataclass(frozen=True, slots=True)
class ToldHow:
    """A line of the law in force that is told ahead: by the forecast, or by arithmetic alone."""

    title: str
    language: str
    forecast: bool


def told_how(year: SchoolYear) -> list[ToldHow]:
    lines = Lines.on(year)
    asked = {rule for asker in Forecaster.now().askers(lines) for rule in asker.rules} if lines.law else set()
    return [ToldHow(rule.title, lines.pack.language, name in asked) for name, rule in lines.told.items()]


def page_lines(lines: Lines, person: Person) -> dict[str, tuple[Line, int]]:
    """What a student's page asks a forecast about, each so far ahead: the example's lines; where a law is adopted its own in place of the
    example's ten days."""
    if not lines.law:
        return {rule: (_line(rule), horizon) for rule, horizon in PAGE.items()}
    year = (lines.law[0].first, lines.law[-1].last)
    mine = {
        n: line for n, line in lines.askable.items() if not applies(lines.told[n], lines.pack, person, year[1], year)
    }
    return {name: (line, HORIZON) for name, line in mine.items()} | {CHRONIC: (_line(CHRONIC), PAGE[CHRONIC])}


def positions(
    school: SchoolGrid, known: Known, student: int, forecaster: Forecaster, asked_about: Mapping[str, tuple[Line, int]]
) -> list[Position]:  # fmt: skip
    """Each of these lines, of one student of the school."""
    at = np.flatnonzero(school.student_ids == student)
    if not len(at) or not known.through:
        return []
    i = int(at[0])
    found = []
    for rule, (line, horizon) in asked_about.items():
        kinds = known.kinds[line.counted][i]
        absent = line.counted is Counted.ABSENT
        carried = int((known.carried.absent if absent else known.carried.count)[i])
        count = int((kinds == COUNTED).sum()) + carried
        # a share is asked of the whole year: what is there and what is left
        possible = int((kinds > 0).sum() + known.carried.possible[i]) + known.days_left
        room = max(int(line.reached_at(np.array([possible]))[0]) - count, 0)
        allowed = forecaster.offer(line, horizon)
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
