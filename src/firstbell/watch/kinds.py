"""What raises an alert: bars on the signals, the figures and days of its sentence, and what "worse" means. Pure.

Two clocks. *Today* kinds read today's squares and are gone tomorrow. *Pattern* kinds read whole days only, through the last day the
register is complete for, and stand while their ground stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from firstbell.register.rows import SchoolGrid
from firstbell.signals import nowcast
from firstbell.signals.kernel import Count, Signals, Window, context, day_bits, school_days, student_signals
from firstbell.signals.metrics import chronic_mask
from firstbell.watch.history import LastYear
from firstbell.watch.models import Clock, Kind

__all__ = ["KINDS", "Finding", "KindRule", "pattern_findings", "today_findings"]


@dataclass(frozen=True, slots=True)
class KindRule:
    """How a kind of alert behaves.

    bar      the measure from which it is raised
    worse    how much the measure must grow past an answered alert's before it is raised again
    life     school days it stands without being found anew (today kinds: none)
    minutes  of an officer's time a first step takes, for the line under today's time
    rank     which comes first on a list, 0 before 1
    """

    clock: Clock
    bar: int
    worse: int
    life: int
    minutes: int
    rank: int


KINDS: dict[Kind, KindRule] = {
    Kind.NOT_IN_CLASS: KindRule(Clock.TODAY, 1, 1, 0, 5, 0),
    Kind.UNEXPLAINED_TODAY: KindRule(Clock.TODAY, 1, 99, 0, 3, 1),
    Kind.ROLL_NOT_TAKEN: KindRule(Clock.TODAY, 1, 99, 0, 2, 2),
    Kind.CONCERN: KindRule(Clock.PATTERN, 1, 1, 5, 5, -1),
    Kind.NOT_SEEN: KindRule(Clock.PATTERN, 10, 5, 5, 15, 0),
    Kind.STREAK: KindRule(Clock.PATTERN, 3, 2, 5, 10, 1),
    Kind.BREAK: KindRule(Clock.PATTERN, 3, 3, 10, 10, 2),
    Kind.LINE_AHEAD: KindRule(Clock.PATTERN, 5, 2, 20, 10, 2),
    Kind.WEEKDAY: KindRule(Clock.PATTERN, 4, 2, 20, 10, 3),
    Kind.HIGH_ABSENCE: KindRule(Clock.PATTERN, 1, 3, 20, 15, 4),
    Kind.UNEXPLAINED: KindRule(Clock.PATTERN, 3, 2, 10, 5, 5),
    Kind.LATENESS: KindRule(Clock.PATTERN, 5, 3, 20, 5, 6),
    Kind.SCHOOL_DAY: KindRule(Clock.PATTERN, 8, 8, 2, 10, 0),
}
#: A CUSUM of log-likelihood ratios over log(100): a hundred times likelier under a break than under the usual.
BREAK_SCORE = 4.6
#: P, after taking into account that five weekdays were looked at
WEEKDAY_CHANCE = 0.01
WEEKDAY_RECENT = 4
LATENESS_TIMES = 2
HIGH_ABSENCE_MIN_DAYS = 15
#: A school's own day: twice what could be expected of it, and at least `bar` students more than that
SCHOOL_SHOCK = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Ground for an alert: whose (a row of the grid, or None for the school's own), how much, and the days."""

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


def groups_of(school: SchoolGrid) -> NDArray[np.int32]:
    """Each row's group: its grade within the school."""
    _grades, index = np.unique(np.array(school.grades, dtype=str), return_inverse=True)
    return index.astype(np.int32)


def pattern_findings(school: SchoolGrid, through: int, last_year: LastYear) -> tuple[list[Finding], Signals]:
    """Everything the whole days up to `through` give ground for, of every student and of the school itself."""
    grid, group = school.grid, groups_of(school)
    around = context(grid, through, group)
    signals = student_signals(grid, through, group, around, *last_year.attendance(school.student_ids))
    found: list[Finding] = []
    if through:
        found.extend(_school_day(school, through))
        ground = _Ground(school, through)
        for kind in (_not_seen, _streak, _break, _weekday, _high_absence, _unexplained, _lateness):
            found.extend(kind(ground, signals))
    return found, signals


class _Ground:
    """A school's register through a day, and the days behind what is found in it."""

    def __init__(self, school: SchoolGrid, through: int) -> None:
        self.school, self.grid, self.through = school, school.grid, through
        self._dates: list[str] = np.datetime_as_string(school.grid.dates.astype("datetime64[D]")).tolist()
        self._bits: dict[int, NDArray[np.uint16]] = {}
        #: rows of students still on this roll: their last day up to now isn't one they were not expected on
        self.still_here = school.grid.codes[:, max(through - 1, 0) * school.grid.sessions] != ord("#")

    def columns(self, row: int, bit: int, start: int = 0) -> list[int]:
        """The days of a row, from `start` on, that carry a bit of the kernel's."""
        if row not in self._bits:
            self._bits[row] = day_bits(self.grid, self.through, row)
        start = max(start, 0)
        found: list[int] = (np.flatnonzero(self._bits[row][start:] & bit) + start).tolist()
        return found

    def days(self, row: int, columns: list[int]) -> str:
        """The days behind a finding with their letters, as they were known: "2026-11-02U 2026-11-04N"."""
        # a square nobody knows is written as an underscore: the days are parted by spaces
        text, n, dates = (
            self.grid.codes[row].tobytes().decode("ascii").replace(" ", "_"),
            self.grid.sessions,
            self._dates,
        )
        return " ".join([dates[d] + text[d * n : (d + 1) * n] for d in columns[-40:]])


#: the kernel's bits of a day: away, away without a reason yet, late
_AWAY, _PENDING, _LATE = 2, 8, 16


def _rows(mask: NDArray[np.bool_]) -> list[int]:
    found: list[int] = np.flatnonzero(mask).tolist()
    return found


def _not_seen(g: _Ground, s: Signals) -> Iterator[Finding]:
    for i in _rows((s.days_since_seen >= KINDS[Kind.NOT_SEEN].bar) & g.still_here):
        days = int(s.days_since_seen[i])
        start = int(s.last_seen[i]) + 1
        yield Finding(Kind.NOT_SEEN, i, days, days, days, g.days(i, g.columns(i, _AWAY, start)))


def _streak(g: _Ground, s: Signals) -> Iterator[Finding]:
    recent = s.last_known >= g.through - 3
    mask = (s.streak >= KINDS[Kind.STREAK].bar) & (s.days_since_seen < KINDS[Kind.NOT_SEEN].bar) & recent
    for i in _rows(mask & g.still_here):
        run = int(s.streak[i])
        columns = g.columns(i, _AWAY, int(s.streak_start[i]))
        yield Finding(Kind.STREAK, i, run, run, run, g.days(i, columns))


def _break(g: _Ground, s: Signals) -> Iterator[Finding]:
    # A break that is nothing but the run of days away now is said better by STREAK or NOT_SEEN.
    only_streak = (s.streak >= KINDS[Kind.STREAK].bar) & (s.break_absent == s.break_possible)
    mask = (s.break_score >= BREAK_SCORE) & (s.break_absent >= KINDS[Kind.BREAK].bar) & ~only_streak
    for i in _rows(mask & g.still_here):
        columns = g.columns(i, _AWAY, int(s.break_start[i]))
        yield Finding(
            Kind.BREAK, i, int(s.break_absent[i]), int(s.break_possible[i]), int(s.break_absent[i]), g.days(i, columns),
            usual_count=1, usual_of=max(2, min(200, round(1 / max(float(s.baseline[i]), 0.005)))),
        )  # fmt: skip


def _weekday(g: _Ground, s: Signals) -> Iterator[Finding]:
    mask = (s.weekday >= 0) & (s.weekday_chance <= WEEKDAY_CHANCE) & (s.weekday_recent >= WEEKDAY_RECENT)
    weekdays = (g.grid.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    for i in _rows(mask & g.still_here):
        columns = [d for d in g.columns(i, _AWAY) if weekdays[d] == s.weekday[i]]
        yield Finding(
            Kind.WEEKDAY, i, int(s.weekday_recent[i]), min(10, int(s.weekday_possible[i])), int(s.weekday_absent[i]),
            g.days(i, columns), weekday=int(s.weekday[i]) + 1,
        )  # fmt: skip


def _high_absence(g: _Ground, s: Signals) -> Iterator[Finding]:
    absent, possible = s.days(Count.ABSENT, Window.YEAR), s.days(Count.POSSIBLE, Window.YEAR)
    mask = (
        chronic_mask(absent, possible)
        & (possible >= HIGH_ABSENCE_MIN_DAYS)
        & (s.days(Count.ABSENT, Window.LAST_20) >= 1)
    )
    for i in _rows(mask & g.still_here):
        days = g.days(i, g.columns(i, _AWAY))
        yield Finding(Kind.HIGH_ABSENCE, i, int(absent[i]), int(possible[i]), int(absent[i]), days)


def _unexplained(g: _Ground, s: Signals) -> Iterator[Finding]:
    pending = s.days(Count.PENDING, Window.YEAR)
    for i in _rows((pending >= KINDS[Kind.UNEXPLAINED].bar) & g.still_here):
        columns = g.columns(i, _PENDING)
        yield Finding(
            Kind.UNEXPLAINED, i, int(pending[i]), int(s.days(Count.ABSENT, Window.YEAR)[i]), int(pending[i]),
            g.days(i, columns),
        )  # fmt: skip


def _lateness(g: _Ground, s: Signals) -> Iterator[Finding]:
    late = s.days(Count.LATE, Window.LAST_20)
    mask = (late >= KINDS[Kind.LATENESS].bar) & (late > LATENESS_TIMES * s.late_before)
    for i in _rows(mask & g.still_here):
        columns = g.columns(i, _LATE, g.through - 20)
        yield Finding(
            Kind.LATENESS, i, int(late[i]), int(s.days(Count.POSSIBLE, Window.LAST_20)[i]), int(late[i]),
            g.days(i, columns), usual_count=int(s.late_before[i]), usual_of=20,
        )  # fmt: skip


def _school_day(school: SchoolGrid, through: int) -> Iterator[Finding]:
    """The last whole day, if it took many away at once, more than its last days and the calendar led to expect: the school's own item, not so
    many students'."""
    last = slice((through - 1) * school.grid.sessions, through * school.grid.sessions)
    squares = school.grid.codes[:, last]
    absent = sum((squares == ord(c)).sum(axis=1) for c in "EUNX")
    known = ((squares != ord("#")) & (squares != ord(" "))).sum(axis=1)
    away = int(((2 * absent >= known) & (absent > 0)).sum())
    expected = int((known > 0).sum())
    if not expected:
        return
    usual = round(float(nowcast.expected(*school_days(school.grid, through), school.grid.dates)[0, -1]) * expected)
    if away >= SCHOOL_SHOCK * usual and away - usual >= KINDS[Kind.SCHOOL_DAY].bar:
        day = str(school.grid.dates[through - 1])
        yield Finding(Kind.SCHOOL_DAY, None, away, expected, away, day, usual_count=usual, usual_of=expected)


@dataclass(frozen=True, slots=True)
class SectionToday:
    """A class meeting today, whose roll may be due: its members' rows, its sessions that have begun long enough ago."""

    section_id: int
    rows: NDArray[np.int64]
    due: tuple[int, ...]
    taken: frozenset[int]


def today_findings(school: SchoolGrid, column: int, sections: list[SectionToday]) -> list[Finding]:
    """What today's squares give ground for. `column`: today's day column."""
    grid = school.grid
    n = grid.sessions
    today = grid.codes[:, column * n : (column + 1) * n]
    away = (today == ord("U")) | (today == ord("N"))
    present = np.isin(today, np.frombuffer(b"PFITLH", dtype=np.uint8))
    found: list[Finding] = []
    ground = _Ground(school, column + 1)
    for i in _rows(away.any(axis=1)):
        first = int(np.argmax(away[i]))
        here_before = present[i, :first].any()
        here_after = present[i, first + 1 :].any()
        day = ground.days(i, [column])
        count = int(away[i].sum())
        if here_before:
            found.append(Finding(Kind.NOT_IN_CLASS, i, count, n, count, day, session=first))
        elif not here_after:
            found.append(Finding(Kind.UNEXPLAINED_TODAY, i, count, n, count, day, session=first))
    for section in sections:
        if not len(section.rows):
            continue
        for session in section.due:
            unknown = int((today[section.rows, session] == ord(" ")).sum())
            if unknown and session not in section.taken:
                found.append(
                    Finding(
                        Kind.ROLL_NOT_TAKEN, None, unknown, len(section.rows), 1, str(date.fromisoformat(str(grid.dates[column]))),
                        session=session, section_id=section.section_id,
                    )
                )  # fmt: skip
    return found
