"""What was written down, when, and by whom: a cluster's year of entries and rolls, made of who was really away.

Only exceptions are entered. Entries for one square are its history: most absences are first N or U, in the morning, and are explained
days later, as the family and the school use to; some turn out to be a late arrival, a few to be no absence at all. Where a class's roll
was not taken nothing is entered from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

import numpy as np
from numpy.typing import NDArray

from firstbell.simulator.behaviour import ABSENT, LATE, LEFT_EARLY, PRESENT, REASONS
from firstbell.simulator.district import Simulated
from firstbell.simulator.people import PRIMARY_SESSIONS, SECONDARY_SESSIONS

__all__ = ["OFFICE", "STARTS", "TEACHER", "WHOLE_DAY", "Entries", "Rolls", "entries", "rolls"]

#: When each session starts, by sessions a day.
STARTS = {2: ("08:15", "12:30"), 7: ("08:05", "09:00", "09:55", "10:50", "12:15", "13:10", "14:05")}
MINUTES = {2: (195, 165), 7: (50, 50, 50, 50, 50, 50, 50)}
WHOLE_DAY = 0  # in place of a session's number, which counts from 1
OFFICE, TEACHER = 0, 1
#: An absence nobody explained is entered as unexcused after so many school days.
GIVEN_UP_AFTER = 5
#: Rolls not taken, as a teacher's own share of section-sessions: gamma (shape, scale); .7 % on the whole, some much more often.
FORGETS = (0.35, 0.02)
#: Of late arrivals, so many were first marked away; of absences known in the morning, so many by a call before the roll.
FIRST_MARKED_AWAY, CALLED_IN = 0.3, 0.35
#: Of days in school, so many were marked away by mistake and put right.
WRONGLY_AWAY = 0.0006
#: Of part-day absences, so few are excused: 92 % are not (Whitney & Liu).
PART_DAY_EXCUSED = 0.08
#: facts.md § 8 (Somerville): a reason is on record for 10 % of late arrivals.
LATE_REASON, LATE_BECAUSE = 0.10, REASONS.index("transport")


@dataclass(frozen=True, slots=True)
class Rolls:
    """Which rolls were taken.

    missing  (sections, days, 7) bool: not taken on a day gone by, in a session the class meets
    taken    (sections, 7) minutes after midnight a roll was taken this morning; NaN where it isn't yet, or the class doesn't meet
    """

    missing: NDArray[np.bool_]
    taken: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in the order of student, day, session and when they were made; arrays by entry.

    student, school  indexes in the cluster
    day, on          school-day columns: whom it concerns, when it was entered
    session          from 1, or WHOLE_DAY
    code             ASCII of N U E S T L F P
    missed           minutes, or -1
    reason           index into behaviour.REASONS
    minute           minutes after midnight of day `on`
    by               OFFICE or TEACHER
    """

    student: NDArray[np.int64]
    school: NDArray[np.int64]
    day: NDArray[np.int64]
    session: NDArray[np.int64]
    code: NDArray[np.uint8]
    missed: NDArray[np.int64]
    reason: NDArray[np.int64]
    on: NDArray[np.int64]
    minute: NDArray[np.int64]
    by: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.student)

    def final(self) -> NDArray[np.bool_]:
        """Which entries stand: the last for their student, school, day and session."""
        same = np.ones(len(self), dtype=bool)
        for part in (self.student, self.school, self.day, self.session):
            same[:-1] &= part[1:] == part[:-1]
        if len(self):
            same[-1] = False
        return ~same


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def starts(sessions: int) -> NDArray[np.int64]:
    """(7,) minutes after midnight each session starts; sessions the school hasn't are at the end of time."""
    known = [_minutes(clock) for clock in STARTS[sessions]]
    return np.array(known + [10_000] * (SECONDARY_SESSIONS - len(known)))


def rolls(simulated: Simulated, year: int, hour: time | None, rng: np.random.Generator) -> Rolls:
    """`hour`: the time of day on the last day, which is today's; None where the year is over."""
    cluster, days = simulated.cluster, simulated.settings[year].through
    sections = cluster.sections[year]
    forgets = rng.gamma(*FORGETS, cluster.teachers)
    missing = np.zeros((len(sections), days, SECONDARY_SESSIONS), dtype=bool)
    taken = np.full((len(sections), SECONDARY_SESSIONS), np.nan)
    for k, (where, _grade, met, teacher, _title) in enumerate(sections):
        sessions = cluster.schools[where].sessions
        for session in met or range(sessions):
            missing[k, :, session] = rng.random(days) < forgets[teacher]
            dawdles = 40.0 if rng.random() < min(0.05 + 3 * forgets[teacher], 0.6) else 0.0
            taken[k, session] = _minutes(STARTS[sessions][session]) + 4 + rng.gamma(2.0, 3.0) + dawdles
    if hour is None:
        taken[:] = np.nan
    else:
        missing[:, -1] = False
        taken[taken > hour.hour * 60 + hour.minute] = np.nan
    return Rolls(missing, taken)


def entries(simulated: Simulated, year: int, hour: time | None, taken: Rolls, rng: np.random.Generator) -> Entries:
    """All entries of a cluster's year, as they stand at `hour` on its last day, or when the year is over."""
    cluster, behaviour = simulated.cluster, simulated.years[year]
    n, days = behaviour.whole.shape
    gone = days - (hour is not None)  # columns of days that are over
    made: list[dict[str, NDArray[np.int64]]] = []
    column = np.arange(days)
    now = hour.hour * 60 + hour.minute if hour else 0
    sessions = np.array([s.sessions for s in cluster.schools])
    clock = np.stack([starts(s.sessions) for s in cluster.schools])

    def school_of(i: NDArray[np.int64], d: NDArray[np.int64]) -> NDArray[np.int64]:
        moved = (year == 1) & (cluster.moved_on[i] >= 0) & (d >= cluster.moved_on[i])
        return np.where(moved, cluster.moved_to[i], cluster.school[year, i])

    def section_of(i: NDArray[np.int64], d: NDArray[np.int64], session: NDArray[np.int64]) -> NDArray[np.int64]:
        moved = (year == 1) & (cluster.moved_on[i] >= 0) & (d >= cluster.moved_on[i])
        return np.where(moved, cluster.moved_section[i], cluster.section[year, i, session])

    def enter(
        i: NDArray[np.int64], d: NDArray[np.int64], session: NDArray[np.int64] | int, code: NDArray[np.int64] | str, *,
        on: NDArray[np.int64] | None = None, minute: NDArray[np.int64] | int, by: int = OFFICE,
        missed: NDArray[np.int64] | int = -1, reason: NDArray[np.int64] | int = 0,
    ) -> None:  # fmt: skip
        letters = ord(code) if isinstance(code, str) else code
        parts = {
            "student": i, "school": school_of(i, d), "day": d, "session": session, "code": letters, "missed": missed,
            "reason": reason, "on": d if on is None else on, "minute": minute, "by": by,
        }  # fmt: skip
        made.append({name: np.broadcast_to(np.asarray(part, dtype=np.int64), i.shape) for name, part in parts.items()})

    def moments(m: int, low: int, high: int) -> NDArray[np.int64]:
        return rng.integers(low, high, m)

    # Away the whole day, on days gone by. A primary class's roll that wasn't taken says nothing for its half of the day.
    i, d = np.nonzero(behaviour.whole[:, :gone])
    lost = taken.missing[section_of(i, d, np.zeros_like(i)), d]
    primary = sessions[school_of(i, d)] == PRIMARY_SESSIONS
    session = np.where(primary & lost[:, 0], 2, np.where(primary & lost[:, 1], 1, WHOLE_DAY))
    known = ~(primary & lost[:, 0] & lost[:, 1])
    i, d, session = i[known], d[known], session[known]
    suspended, excused = behaviour.suspended[i, d], behaviour.excused[i, d]
    reason = np.where(excused, behaviour.reason[i, d], 0)
    lag, first_u = behaviour.lag[i, d], behaviour.first_u[i, d]
    at_once = suspended | (excused & (lag < 0))
    m = at_once
    code = np.where(suspended[m], ord("S"), ord("E"))
    enter(i[m], d[m], session[m], code, minute=moments(int(m.sum()), 460, 525), reason=reason[m])
    m = ~at_once
    code = np.where(first_u[m], ord("U"), ord("N"))
    enter(i[m], d[m], session[m], code, minute=moments(int(m.sum()), 505, 540))
    settled = d + np.where(excused, lag, GIVEN_UP_AFTER)
    # what is explained on the last day is known by now only where the year is over
    known_by_now = settled < gone if hour else settled < days
    m = ~at_once & known_by_now & (excused | ~first_u)
    code = np.where(excused[m], ord("E"), ord("U"))
    minute = np.where(settled[m] == d[m], 13 * 60, 10 * 60) + moments(int(m.sum()), 0, 55)
    enter(i[m], d[m], session[m], code, on=settled[m], minute=minute, reason=reason[m])

    # A class taken at a second school: who is away is away there too.
    visiting = np.flatnonzero(cluster.visits >= 0) if year == 1 else np.empty(0, dtype=np.int64)
    for v in visiting.tolist():
        away = np.flatnonzero(behaviour.whole[v, :gone])
        enter(np.full(len(away), v), away, WHOLE_DAY, "N", minute=845)
        made[-1]["school"] = np.full(len(away), cluster.sections[1][int(cluster.visits[v])][0])

    # Late, gone early, away for a class: from the class's roll, on days gone by.
    i, d, s = np.nonzero(behaviour.squares[:, :gone] * ~behaviour.whole[:, :gone, None])
    heard = ~taken.missing[section_of(i, d, s), d, s]
    i, d, s = i[heard], d[heard], s[heard]
    what, start = behaviour.squares[i, d, s], clock[school_of(i, d), s]
    slip, missed = rng.random(len(i)), behaviour.minutes[i, d].astype(np.int64)
    m = (what == LATE) & (slip < FIRST_MARKED_AWAY)
    enter(i[m], d[m], s[m] + 1, "N", minute=start[m] + 5, by=TEACHER)
    m = what == LATE
    why = np.where(rng.random(int(m.sum())) < LATE_REASON, LATE_BECAUSE, 0)
    enter(i[m], d[m], s[m] + 1, "T", minute=start[m] + np.maximum(missed[m], 6), missed=missed[m], reason=why)
    m = what == LEFT_EARLY
    enter(i[m], d[m], s[m] + 1, "L", minute=start[m] + moments(int(m.sum()), 5, 40), missed=np.minimum(missed[m], 160))
    m = what == ABSENT
    code = np.where(slip[m] < PART_DAY_EXCUSED, ord("E"), ord("U"))
    enter(i[m], d[m], s[m] + 1, code, minute=start[m] + moments(int(m.sum()), 4, 25), by=TEACHER)

    # Marked away by mistake, and put right.
    here = (behaviour.squares[:, :gone, 0] == PRESENT) & (column[:gone] >= cluster.first[year][:, None])
    here &= (column[:gone] < cluster.last[year][:, None]) & (cluster.school[year] >= 0)[:, None]
    i, d = np.nonzero(here & (rng.random((n, gone)) < WRONGLY_AWAY))
    heard = ~taken.missing[section_of(i, d, np.zeros_like(i)), d, 0]
    i, d = i[heard], d[heard]
    start = clock[school_of(i, d), 0]
    enter(i, d, 1, "N", minute=start + 8, by=TEACHER)
    enter(i, d, 1, "P", minute=start + moments(len(i), 25, 300))

    # A day out of each grade of the primary and middle schools, once a year, on a day that is over.
    for k, school in enumerate(cluster.schools):
        if school.phase == "high":
            continue
        for grade in school.grades:
            out = int(rng.integers(10, max(gone, 11)))
            if out >= gone:
                continue
            goes = (cluster.grade - 1 + year == grade) & (school_of(np.arange(n), np.full(n, out)) == k)
            goes &= (cluster.first[year] <= out) & (out < cluster.last[year])
            i = np.flatnonzero(goes & (behaviour.squares[:, out] == PRESENT).all(axis=1))
            enter(i, np.full(len(i), out), WHOLE_DAY, "F", minute=450)

    if hour is not None:
        today = days - 1
        i, s = np.nonzero(behaviour.squares[:, today] == ABSENT)
        d = np.full(len(i), today)
        within = s < sessions[school_of(i, d)]
        i, s, d = i[within], s[within], d[within]
        called = (rng.random(n) < CALLED_IN) & behaviour.excused[:, today] & behaviour.whole[:, today]
        at = taken.taken[section_of(i, d, s), s]
        m = ~np.isnan(at) & ~called[i]
        enter(i[m], d[m], s[m] + 1, "N", minute=at[m].astype(np.int64), by=TEACHER)
        i = np.flatnonzero(called)
        minute = moments(len(i), 440, 520)
        reason = np.where(rng.random(len(i)) < 0.6, 1, 0)
        m = minute <= now
        enter(i[m], np.full(int(m.sum()), today), 1, "E", minute=minute[m], reason=reason[m])
        i = np.flatnonzero(behaviour.squares[:, today, 0] == LATE)
        d, missed = np.full(len(i), today), behaviour.minutes[i, today].astype(np.int64)
        minute = clock[school_of(i, d), 0] + np.maximum(missed, 6)
        m = minute <= now
        enter(i[m], d[m], 1, "T", minute=minute[m], missed=missed[m])

    return _in_order(made)


def _in_order(made: list[dict[str, NDArray[np.int64]]]) -> Entries:
    parts = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    when = parts["on"] * 1440 + parts["minute"]
    square = ((parts["student"] * 400 + parts["day"]) * 8 + parts["session"]) * 8 + parts["school"]
    order = np.lexsort((when, square))
    parts = {name: part[order] for name, part in parts.items()}
    return Entries(**{**parts, "code": parts["code"].astype(np.uint8)})
