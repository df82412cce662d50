"""The ground of alerts: what registers give reason to say of their students, as columns. Pure: no database, no settings.

One function, `ground`, for a school or for many that share their school days; by night, live, as of a past day and on Spark alike. What is
said in words, and what stands already, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, KINDS_OF, Evidence, kinds_of_days
from firstbell.forecast.forecasts import Band, Bars, forecast
from firstbell.forecast.glassbox import Box
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.layers import Among, Learned, evidence_of, rates, reached
from firstbell.forecast.lines import Counted, Line
from firstbell.forecast.model import Model
from firstbell.forecast.pooling import Before
from firstbell.forecast.reasons import reasons
from firstbell.register.grid import Grid
from firstbell.register.marks import PRESENT_LETTERS
from firstbell.signals import nowcast
from firstbell.signals.kernel import (
    DAY,
    Count,
    GroupContext,
    Marked,
    Signals,
    Window,
    context,
    marked,
    student_signals,
)
from firstbell.signals.metrics import chronic_mask
from firstbell.signals.told import day_text
from firstbell.watch.kinds import (
    BREAK_SCORE,
    HIGH_ABSENCE_MIN_DAYS,
    KINDS,
    LATENESS_TIMES,
    SCHOOL_SHOCK,
    WEEKDAY_CHANCE,
    WEEKDAY_RECENT,
    Kind,
)

__all__ = ["KIND_NUMBERS", "Asker", "Finding", "Ground", "Registers", "ground"]

_PRESENT = np.frombuffer(PRESENT_LETTERS.encode(), dtype=np.uint8)

#: the simple rule, where no forecast is offered: so near the line, and a counted day so lately
SIMPLE_ROOM, SIMPLE_DAYS = 3, 20
#: days told of an alert, at most: the latest
MOST_DAYS = 40
#: a kind as a number, in columns
KIND_NUMBERS = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Registers:
    """The registers of schools that share their school days and sessions, row after row, a row a student at a school.

    grid      (n, squares), through the year's last day
    through   whole school days that counts and patterns may read
    today     today's day column, if it is a school day of theirs
    school    (n,) int32, each row's school, counted from 0; rows of a school stand together
    group     (n,) int32, each row's grade within its school, counted from 0 over all of them
    band      (n,) int8, grade band (`forecast.known.Known`)
    absent, possible  (n,) int32, last year's days; zeros where not known
    before    last year as the forecast takes it; empty where there was none
    carried   this year at other schools
    """

    grid: Grid
    through: int
    today: int | None
    school: NDArray[np.int32]
    group: NDArray[np.int32]
    band: NDArray[np.int8]
    absent: NDArray[np.int32]
    possible: NDArray[np.int32]
    before: dict[Counted, Before]
    carried: Carried

    @property
    def n(self) -> int:
        return len(self.school)

    @cached_property
    def schools(self) -> int:
        return int(self.school.max(initial=-1)) + 1

    @cached_property
    def school_of_group(self) -> NDArray[np.int32]:
        found = np.zeros(int(self.group.max(initial=-1)) + 1, dtype=np.int32)
        found[self.group] = self.school
        return found

    @cached_property
    def days(self) -> Marked:
        """What was marked through the last whole day: gone through once, and read by all."""
        return marked(self.grid, self.through)

    @cached_property
    def here(self) -> NDArray[np.bool_]:
        """(n,) still on this roll: the last day's first square isn't one they were not expected in."""
        here: NDArray[np.bool_] = self.grid.codes[:, max(self.through - 1, 0) * self.grid.sessions] != ord("#")
        return here

    def known(self, counted: Sequence[Counted] = tuple(Counted)) -> Known:
        """As the forecast takes them."""
        return Known.of(
            self.grid, self.through, self.group, self.band, carried=self.carried, before=self.before, counted=counted, schools=self.school
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asker:
    """How a line ahead is asked about. learned: None where no forecast is offered, and the simple rule speaks.

    rules: who asks, as "pack/rule", each of the same line
    steps: (chance up to, share of past answers up to there that came true), ascending
    """

    rules: tuple[str, ...]
    line: Line
    horizon: int
    learned: Learned | None = None
    box: Box | None = None
    bars: Bars | None = None
    steps: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls, rules: tuple[str, ...], line: Line, horizon: int, model: Model | None = None,
        steps: tuple[tuple[float, float], ...] | None = None,
    ) -> Asker:  # fmt: skip
        """By this model, where there is one and a backtest offers it (its `steps`)."""
        if model is None or steps is None:
            return cls(rules, line, horizon)
        return cls(rules, line, horizon, model.learned[line.counted], *model.layer_two.of(line, horizon), steps)


@dataclass(frozen=True, slots=True)
class Finding:
    """Ground for one alert: whose (a row of the registers, or None for a school's own), how much, and the days."""

    kind: Kind
    row: int | None
    count: int
    of: int
    measure: int
    days: str = ""
    usual_count: int = 0
    usual_of: int = 0
    weekday: int = 0
    session: int | None = None
    section_id: int | None = None
    rule: str = ""
    why: str = ""
    #: keeps an alert that stands, and opens none
    holds: bool = False
    school: int = 0


@dataclass(frozen=True)
class Ground:
    """Findings as columns, (findings,) each.

    school    int32, of the registers' schools
    row       int64, of the registers; -1 for a school's own
    kind      int8, `KIND_NUMBERS`
    count, of, measure, usual_count, usual_of, weekday  int32: the figures of the sentence; weekday from 1, 0 for none
    session   int32, -1 for none
    section   int64, its id; -1 for none
    holds     bool: keeps an alert that stands, and opens none
    days, rule, why  object (str)
    """

    school: NDArray[np.int32]
    row: NDArray[np.int64]
    kind: NDArray[np.int8]
    count: NDArray[np.int32]
    of: NDArray[np.int32]
    measure: NDArray[np.int32]
    usual_count: NDArray[np.int32]
    usual_of: NDArray[np.int32]
    weekday: NDArray[np.int32]
    session: NDArray[np.int32]
    section: NDArray[np.int64]
    holds: NDArray[np.bool_]
    days: NDArray[np.object_]
    rule: NDArray[np.object_]
    why: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of_findings(cls, found: Iterable[Finding]) -> Ground:
        every = list(found)

        def column(values: list[object], dtype: type) -> NDArray:  # type: ignore[type-arg]
            made = np.empty(len(values), dtype=dtype)
            made[:] = values
            return made

        return cls(
            column([f.school for f in every], np.int32), column([-1 if f.row is None else f.row for f in every], np.int64),
            column([KIND_NUMBERS[f.kind] for f in every], np.int8), column([f.count for f in every], np.int32),
            column([f.of for f in every], np.int32), column([f.measure for f in every], np.int32),
            column([f.usual_count for f in every], np.int32), column([f.usual_of for f in every], np.int32),
            column([f.weekday for f in every], np.int32), column([-1 if f.session is None else f.session for f in every], np.int32),
            column([-1 if f.section_id is None else f.section_id for f in every], np.int64),
            column([f.holds for f in every], np.bool_), column([f.days for f in every], object),
            column([f.rule for f in every], object), column([f.why for f in every], object),
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Iterable[Ground]) -> Ground:
        every = [cls.of_findings(()), *parts]
        return cls(*(np.concatenate([getattr(part, f.name) for part in every]) for f in fields(cls)))

    def only(self, rows: NDArray[np.bool_]) -> Ground:
        return Ground(*(getattr(self, f.name)[rows] for f in fields(Ground)))


def ground(registers: Registers, askers: Sequence[Asker]) -> Ground:
    """Everything the registers alone give reason to say: of every student and of each school itself.

    Rolls not taken and what teachers said are not on the register; who keeps them adds them.
    """
    parts = []
    if registers.through and registers.n:
        around = context(registers.days, registers.group, registers.school_of_group)
        signals = student_signals(registers.days, registers.group, around, registers.absent, registers.possible)
        parts += [
            of(registers, signals)
            for of in (_not_seen, _streak, _break, _weekday, _high_absence, _unexplained, _lateness)
        ]
        shown: dict[tuple[Counted, int], _Shown] = {}
        parts += [_school_day(registers, around), *(_ahead(registers, asker, shown) for asker in askers)]
    if registers.today is not None and registers.n:
        parts.append(_today(registers, registers.today))
    return Ground.joined(parts)


# -- columns of one kind -------------------------------------------------------------------------------------------------

#: what a day must carry to be told of: `day_text`'s tables
_BITS = np.arange(4096)
_AWAY = _BITS & DAY.ABSENT != 0
_PENDING, _LATE, _EVERY = _BITS & DAY.PENDING != 0, _BITS & DAY.LATE != 0, np.ones(4096, dtype=np.bool_)
_COUNTED_DAY = KINDS_OF[Counted.UNEXCUSED] == COUNTED


def _found(
    r: Registers, kind: Kind, rows: NDArray[np.int64], days: NDArray[np.object_], count: NDArray[np.int32], of: NDArray[np.int32],
    measure: NDArray[np.int32] | None = None, *, usual_count: NDArray[np.int32] | int = 0, usual_of: NDArray[np.int32] | int = 0,
    weekday: NDArray[np.int32] | int = 0, session: NDArray[np.int32] | int = -1, holds: NDArray[np.bool_] | None = None,
    rule: str = "", why: NDArray[np.object_] | None = None,
) -> Ground:  # fmt: skip
    """These rows' ground of one kind; the columns are by row of the registers, `days` and `why` by found row."""
    n = len(rows)

    def at(column: NDArray[np.int32] | int) -> NDArray[np.int32]:
        return np.full(n, column, dtype=np.int32) if isinstance(column, int) else column[rows].astype(np.int32)

    def words(text: str) -> NDArray[np.object_]:
        made = np.empty(n, dtype=object)
        made[:] = text
        return made

    return Ground(
        r.school[rows], rows, np.full(n, KIND_NUMBERS[kind], dtype=np.int8), at(count), at(of), at(count if measure is None else measure),
        at(usual_count), at(usual_of), at(weekday), at(session), np.full(n, -1, dtype=np.int64),
        np.zeros(n, dtype=np.bool_) if holds is None else holds[rows], days, words(rule), words("") if why is None else why,
    )  # fmt: skip


def _text(
    r: Registers, rows: NDArray[np.int64], table: NDArray[np.bool_], start: NDArray[np.int32] | int = 0,
    weekday: NDArray[np.int32] | None = None, days: Marked | None = None,
) -> NDArray[np.object_]:  # fmt: skip
    """The days behind what is found in these rows, from `start` (by row of the registers) on; of `days` that are not the registers' whole ones."""
    begin = np.full(len(rows), start, dtype=np.int64) if isinstance(start, int) else start[rows].astype(np.int64)
    only = np.full(len(rows), -1, dtype=np.int64) if weekday is None else weekday[rows].astype(np.int64)
    return day_text(r.days if days is None else days, rows, table, begin, only, MOST_DAYS)


def _not_seen(r: Registers, s: Signals) -> Ground:
    rows = np.flatnonzero((s.days_since_seen >= KINDS[Kind.NOT_SEEN].bar) & r.here)
    days = s.days_since_seen
    return _found(r, Kind.NOT_SEEN, rows, _text(r, rows, _AWAY, s.last_seen + 1), days, days)


def _streak(r: Registers, s: Signals) -> Ground:
    recent = s.last_known >= r.through - 3
    mask = (s.streak >= KINDS[Kind.STREAK].bar) & (s.days_since_seen < KINDS[Kind.NOT_SEEN].bar) & recent
    rows = np.flatnonzero(mask & r.here)
    return _found(r, Kind.STREAK, rows, _text(r, rows, _AWAY, s.streak_start), s.streak, s.streak)


def _break(r: Registers, s: Signals) -> Ground:
    # A break that is nothing but the run of days away now is said better by STREAK or NOT_SEEN.
    only_streak = (s.streak >= KINDS[Kind.STREAK].bar) & (s.break_absent == s.break_possible)
    mask = (s.break_score >= BREAK_SCORE) & (s.break_absent >= KINDS[Kind.BREAK].bar) & ~only_streak
    rows = np.flatnonzero(mask & r.here)
    usual = np.clip(np.round(1 / np.maximum(s.baseline, 0.005)), 2, 200).astype(np.int32)
    return _found(
        r, Kind.BREAK, rows, _text(r, rows, _AWAY, s.break_start), s.break_absent, s.break_possible, usual_count=1, usual_of=usual
    )  # fmt: skip


def _weekday(r: Registers, s: Signals) -> Ground:
    mask = (s.weekday >= 0) & (s.weekday_chance <= WEEKDAY_CHANCE) & (s.weekday_recent >= WEEKDAY_RECENT)
    rows = np.flatnonzero(mask & r.here)
    return _found(
        r, Kind.WEEKDAY, rows, _text(r, rows, _AWAY, weekday=s.weekday), s.weekday_recent, np.minimum(s.weekday_possible, 10),
        s.weekday_absent, weekday=s.weekday + 1,
    )  # fmt: skip


def _high_absence(r: Registers, s: Signals) -> Ground:
    absent, possible = s.days(Count.ABSENT, Window.YEAR), s.days(Count.POSSIBLE, Window.YEAR)
    lately = s.days(Count.ABSENT, Window.LAST_20) >= 1
    rows = np.flatnonzero(chronic_mask(absent, possible) & (possible >= HIGH_ABSENCE_MIN_DAYS) & lately & r.here)
    return _found(r, Kind.HIGH_ABSENCE, rows, _text(r, rows, _AWAY), absent, possible)


def _unexplained(r: Registers, s: Signals) -> Ground:
    pending = s.days(Count.PENDING, Window.YEAR)
    rows = np.flatnonzero((pending >= KINDS[Kind.UNEXPLAINED].bar) & r.here)
    return _found(r, Kind.UNEXPLAINED, rows, _text(r, rows, _PENDING), pending, s.days(Count.ABSENT, Window.YEAR))


def _lateness(r: Registers, s: Signals) -> Ground:
    late = s.days(Count.LATE, Window.LAST_20)
    rows = np.flatnonzero((late >= KINDS[Kind.LATENESS].bar) & (late > LATENESS_TIMES * s.late_before) & r.here)
    text = _text(r, rows, _LATE, max(r.through - 20, 0))
    return _found(
        r, Kind.LATENESS, rows, text, late, s.days(Count.POSSIBLE, Window.LAST_20), usual_count=s.late_before, usual_of=20
    )  # fmt: skip


def _school_day(r: Registers, around: GroupContext) -> Ground:
    """The last whole day of each school, if it took many away at once, more than its last days and the calendar led to expect: the school's own
    item, not so many students'."""
    level = nowcast.expected(around.away, around.expected, r.grid.dates, alone=True)[:, -1]
    squares = r.grid.codes[:, (r.through - 1) * r.grid.sessions : r.through * r.grid.sessions]
    absent = np.isin(squares, np.frombuffer(b"EUNX", dtype=np.uint8)).sum(axis=1)
    known = ((squares != ord("#")) & (squares != ord(" "))).sum(axis=1)
    away = np.bincount(r.school, (2 * absent >= known) & (absent > 0), minlength=r.schools).astype(np.int64)
    expected = np.bincount(r.school, known > 0, minlength=r.schools).astype(np.int64)
    usual = np.round(level * expected).astype(np.int64)
    raised = (expected > 0) & (away >= SCHOOL_SHOCK * usual) & (away - usual >= KINDS[Kind.SCHOOL_DAY].bar)
    day = str(r.grid.dates[r.through - 1])
    return Ground.of_findings(
        Finding(
            Kind.SCHOOL_DAY, None, int(away[k]), int(expected[k]), int(away[k]), day, usual_count=int(usual[k]),
            usual_of=int(expected[k]), school=k,
        )
        for k in np.flatnonzero(raised).tolist()
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the registers have shown, whichever line of a kind is asked about."""

    known: Known
    evidence: Evidence
    among: Among

    @classmethod
    def of(cls, r: Registers, counted: Counted, learned: Learned) -> _Shown:
        known = replace(r.known(()), marked=r.days)
        e = evidence_of(known, counted, learned)
        return cls(known, e, Among.of(known, e, counted, learned.pool))


def _ahead(r: Registers, asker: Asker, shown: dict[tuple[Counted, int], _Shown]) -> Ground:
    """A line a person may still help a student not to reach. shown: by what is counted, for lines asked about after one another."""
    line = asker.line
    if asker.learned is None or asker.bars is None:
        return _simple(r, r.known((line.counted,)), asker)
    key = (line.counted, id(asker.learned))
    if key not in shown:
        shown[key] = _Shown.of(r, line.counted, asker.learned)
    known, e, among = shown[key].known, shown[key].evidence, shown[key].among
    # who has left, or has come to the line, is not asked about
    open_ = np.flatnonzero(known.here & ~reached(known, line, e))
    of_open = known.only(open_)
    rated = rates(of_open, line.counted, asker.learned, e=e.only(open_), among=among)
    f = forecast(of_open, line, asker.horizon, asker.learned, asker.box, asker.bars, r=rated)
    act = f.band == Band.ACT
    some, told = np.flatnonzero(act | (f.band == Band.WATCH) | (f.band == Band.CANNOT_TELL)), np.flatnonzero(act)
    rows = open_[some]
    theirs = Grid(r.grid.codes[open_[told]], r.grid.dates, r.grid.sessions)
    of_told = replace(of_open.only(told), kinds={line.counted: kinds_of_days(theirs, r.through, line.counted)})
    why, days, count = np.empty(r.n, dtype=object), np.empty(r.n, dtype=object), np.zeros(r.n, dtype=np.int32)
    why[rows] = days[rows] = ""
    why[open_[told]] = [
        " ".join(f"{x.why}:{x.count}/{x.of}" for x in found)
        for found in reasons(of_told, f.chance[told], line, asker.horizon, asker.learned, asker.box, among)
    ]
    days[open_[told]] = _text(r, open_[told], _COUNTED_DAY)
    count[rows] = f.count[some]
    upto, share = np.array(asker.steps or ((1.0, 0.0),)).T
    in_ten, holds = np.zeros(r.n, dtype=np.int32), np.zeros(r.n, dtype=np.bool_)
    in_ten[rows] = np.round(10 * share[np.searchsorted(upto, f.chance[some], side="left")])
    holds[rows] = ~act[some]
    return Ground.joined(
        _found(
            r, Kind.LINE_AHEAD, rows, days[rows], count, np.full(r.n, line.days, dtype=np.int32), usual_count=in_ten, usual_of=10,
            holds=holds, rule=rule, why=why[rows],
        )
        for rule in asker.rules
    )  # fmt: skip


def _simple(r: Registers, known: Known, asker: Asker) -> Ground:
    kinds, line = known.kinds[asker.line.counted], asker.line
    count = ((kinds == COUNTED).sum(axis=1) + known.carried.count).astype(np.int32)
    lately = (kinds[:, -SIMPLE_DAYS:] == COUNTED).any(axis=1)
    rows = np.flatnonzero((count >= line.days - SIMPLE_ROOM) & (count < line.days) & known.here)
    return Ground.joined(
        _found(
            r, Kind.LINE_AHEAD, rows, _text(r, rows, _COUNTED_DAY), count, np.full(r.n, line.days, dtype=np.int32), holds=~lately, rule=rule
        )
        for rule in asker.rules
    )  # fmt: skip


def _today(r: Registers, column: int) -> Ground:
    """Who is away today with nobody saying why, and who was there and then was not."""
    n = r.grid.sessions
    squares = r.grid.codes[:, column * n : (column + 1) * n]
    away = (squares == ord("U")) | (squares == ord("N"))
    rows = np.flatnonzero(away.any(axis=1))
    gone, present = away[rows], np.isin(squares[rows], _PRESENT)
    first = gone.argmax(axis=1).astype(np.int32)
    place = np.arange(n)[None, :]
    here_before = (present & (place < first[:, None])).any(axis=1)
    here_after = (present & (place > first[:, None])).any(axis=1)
    count, session = np.zeros(r.n, dtype=np.int32), np.zeros(r.n, dtype=np.int32)
    count[rows], session[rows] = gone.sum(axis=1), first
    sessions = np.full(r.n, n, dtype=np.int32)
    day = marked(Grid(squares, r.grid.dates[column : column + 1], n), 1)
    return Ground.joined(
        _found(
            r, kind, some, _text(r, some, _EVERY, days=day), count, sessions, session=session
        )
        for kind, some in (
            (Kind.NOT_IN_CLASS, rows[here_before]), (Kind.UNEXPLAINED_TODAY, rows[~here_before & ~here_after])
        )
    )  # fmt: skip
