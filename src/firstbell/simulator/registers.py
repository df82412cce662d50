"""A made-up school's register in arrays, as it was known on any evening: what the files would have said, without the files.

Who moves between schools during the year, and who takes a class at a second one, is left out; only the files tell of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbell.register.fold import Events, Rolls, Span, letters
from firstbell.register.grid import Grid
from firstbell.simulator.district import Simulated
from firstbell.simulator.history import WHOLE_DAY, entries, rolls

__all__ = ["Register", "registers"]


@dataclass(frozen=True, slots=True)
class Register:
    """One school's year. A row a student.

    school   its number, the same in both years; students numbered through the district
    rows     (n,) int64, the students' indexes in the cluster
    grade    (n,) int64, counted from 0 for KG
    untaken  what is said of rolls that were not taken
    on       of each event, the school day it was entered on
    """

    school: int
    rows: NDArray[np.int64]
    student: NDArray[np.int64]
    grade: NDArray[np.int64]
    dates: NDArray[np.datetime64]
    sessions: int
    spans: list[Span]
    untaken: Rolls
    events: Events
    on: NDArray[np.int64]

    def grid(self, evening: int | None = None) -> Grid:
        """As known on the evening of school day number `evening` (from 0), or in the end."""
        days = len(self.dates)
        gone = days if evening is None else evening + 1
        e, seen = self.events, self.on < gone
        r = self.untaken.square < gone * self.sessions
        codes = letters(
            self.spans, days, self.sessions, gone, Rolls(self.untaken.row[r], self.untaken.square[r], self.untaken.taken[r]),
            Events(e.row[seen], e.square[seen], e.letter[seen], e.minutes[seen]),
        )  # fmt: skip
        return Grid(codes, self.dates, self.sessions)


def registers(simulated: Simulated, year: int, seed: int) -> Iterator[Register]:
    """A cluster's schools in one of its years (0 last year, 1 this year), the year over."""
    cluster, setting = simulated.cluster, simulated.settings[year]
    rng = np.random.default_rng([seed, cluster.number, year])
    taken = rolls(simulated, year, None, rng)
    made = entries(simulated, year, None, taken, rng)
    when = np.argsort(made.on * 1440 + made.minute, kind="stable")
    days = np.array(setting.calendar.school_days[: setting.through], dtype="datetime64[D]")
    stays = (cluster.moved_to < 0) if year else np.ones(cluster.n, dtype=np.bool_)
    for k, school in enumerate(cluster.schools):
        rows = np.flatnonzero((cluster.school[year] == k) & stays)
        place = np.full(cluster.n, -1)
        place[rows] = np.arange(len(rows))
        some = when[(place[made.student[when]] >= 0) & (made.school[when] == k)]
        n = school.sessions
        whole = made.session[some] == WHOLE_DAY
        each = np.repeat(np.arange(len(some)), np.where(whole, n, 1))
        nth = np.arange(len(each)) - np.searchsorted(each, each)
        session = np.where(whole[each], nth, made.session[some][each] - 1)
        event = some[each]
        here = session < n
        event, session = event[here], session[here]
        untaken = taken.missing[cluster.section[year][rows][:, :n].T, :, np.arange(n)[:, None]]  # (n, rows, days)
        s, i, d = np.nonzero(untaken)
        yield Register(
            cluster.number * len(cluster.schools) + k, rows, cluster.number * 100_000 + rows, cluster.grade[rows] - 1 + year, days, n,
            [Span(int(a), int(b)) for a, b in zip(cluster.first[year][rows], cluster.last[year][rows], strict=True)],
            Rolls(i, d * n + s, np.zeros(len(i), dtype=np.bool_)),
            Events(
                place[made.student[event]], made.day[event] * n + session, made.code[event],
                np.full(len(event), -1, dtype=np.int32),
            ), made.on[event],
        )  # fmt: skip
