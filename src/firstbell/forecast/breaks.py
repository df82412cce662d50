"""Breaks judged as detection: how soon after its onset a break was seen, and how often something was seen that was none.

When a break began is read from the final record by a rule that knows nothing of any detector (`onsets`). Each detector is a measure of
every student on every evening, by what was known then (`Watched.measures`), and a bar. Ours is the kernel's break score; beside it stand
a plain CUSUM and counts of the last five days. A detector with a low bar sees everything soon and cries wolf: so each is also set
against ours at its own false alarms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.signals.kernel import DAY, break_scores

__all__ = [
    "DETECTORS",
    "SHOWN_BARS",
    "Found",
    "Onsets",
    "Watched",
    "found",
    "judge_breaks",
    "onsets",
    "unchanging",
    "watched",
]

#: A break, from the final record. It begins on a day away when, after BEFORE or more possible days this year, at least LEAST of the
#: next AHEAD possible days (that one included) are missed, a share at least MORE above the share of all the days before; and it is over
#: when fewer than LEAST of the last AHEAD were. SOON: at least so many of its first five days are missed, so that one lone
#: absence a fortnight before is not taken for the beginning.
BEFORE, AHEAD, LEAST, MORE, SOON = 20, 20, 8, 0.20, 2
#: a day on which the school's share away is so many times its median, and so many deviations of chance beyond it, is everybody's, and
#: left out; of a school of fewer students nothing is
SHARED, SHARED_BEYOND, SHARED_STUDENTS = 1.5, 3.0, 15
#: evenings without ground after which the next alert is a new one
STANDS = 10
#: a break not seen within so many school days of its onset was not detected
LATEST = 20
WITHIN = (1, 2, 3, 5, 10)
#: the plain CUSUM forgives so much of every day (half the rise looked for, Page 1954), and knows nothing of schools, shocks or last year
FORGIVEN = 0.125
#: ours with fewer days away than an alert takes stands so far below: bars under nought let it in too, where more false alarms may be paid
BELOW = 100.0
#: no bar is so low: not on the roll, or no score at all
NO_MEASURE = -1000.0
#: measures: ours, the kernel's break score; the plain CUSUM; days away of the last five
DETECTORS = ("ours", "cusum", "last_5")
#: bars each is shown at. Ours is the one in force, given by who asks.
SHOWN_BARS: dict[str, tuple[float, ...]] = {"cusum": (2.0,), "last_5": (2.0, 3.0)}
ROUNDS = 200
#: fewer breaks, and nothing can be said
ENOUGH = 30

Bits = NDArray[np.uint16]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Watched:
    """A school's year, as each evening saw it and as it ended.

    student   (n,) int64, the same number in every school
    final     (n, days) uint16 of `signals.kernel.DAY`: each settled day as it was known in the end
    left_out  (n, days) bool: days after somebody acted for a student: what came of them says nothing
    measures  detector -> (n, days) float32 on each day's evening, by what was known then; NO_MEASURE where not on the roll
    """

    student: NDArray[np.int64]
    final: Bits
    left_out: NDArray[np.bool_]
    measures: dict[str, NDArray[np.float32]]


def watched(
    evenings: Iterable[tuple[int, Bits]], final: Bits, student: NDArray[np.int64], group: NDArray[np.int32],
    last_absent: NDArray[np.int32], last_possible: NDArray[np.int32], left_out: NDArray[np.bool_] | None = None, *,
    least_away: int,
) -> Watched:  # fmt: skip
    """A school's year with every detector's measure.

    evenings    (days gone by, (n, days) uint16 of DAY as known that evening), in order; the array may be one that changes in between
    least_away  days away from which our alert is raised
    """
    measures = {name: np.full(final.shape, NO_MEASURE, dtype=np.float32) for name in DETECTORS}
    for through, bits in evenings:
        at = through - 1
        if at >= final.shape[1]:
            break
        here = bits[:, at] != 0  # a day not expected has no bit
        score, away = break_scores(bits, through, group, last_absent, last_possible)
        score = np.where(score > 0, np.where(away < least_away, score - BELOW, score), NO_MEASURE)
        for name, measure in (("ours", score), *zip(DETECTORS[1:], _plain(bits, through), strict=True)):
            measures[name][here, at] = measure[here]
    none = np.zeros(final.shape, dtype=np.bool_)
    return Watched(student, final, none if left_out is None else left_out[:, : final.shape[1]], measures)


def unchanging(bits: Bits) -> Iterable[tuple[int, Bits]]:
    """Evenings of a record whose marks are final at once."""
    return ((through, bits) for through in range(1, bits.shape[1] + 1))


@nb.njit(cache=True, nogil=True)
def _plain(bits, through):  # type: ignore[no-untyped-def]
    """(n,) the plain CUSUM of the last 20 days against the days before them; (n,) days away of the last five possible ones."""
    n = bits.shape[0]
    cusum, last_5 = np.zeros(n), np.zeros(n)
    before = max(through - 20, 0)
    for i in range(n):
        row = bits[i]
        away = possible = 0
        for d in range(before):
            possible += row[d] & 1
            away += (row[d] >> 1) & 1
        usual = (away + 1.0) / (possible + 20.0)
        total = 0.0
        for d in range(before, through):
            if row[d] & 1:
                total = max(0.0, total + ((row[d] >> 1) & 1) - usual - FORGIVEN)
        cusum[i] = total
        seen = d = 0
        while seen < 5 and d < through:
            d += 1
            if row[through - d] & 1:
                seen += 1
                last_5[i] += (row[through - d] >> 1) & 1
    return cusum, last_5


@dataclass(frozen=True, slots=True)
class Onsets:
    """Breaks of a school's final record, in order of their rows, and the days on which an alert can be judged.

    row, starts, ends   of each break; `ends` its last day
    first, last         (n,) the first and the last day on which it is known whether a break began; last < first where there is none
    """

    row: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def onsets(final: Bits, left_out: NDArray[np.bool_] | None = None) -> Onsets:
    """When breaks began, by the final record alone. Shared days of the school and its own suspensions are no student's."""
    possible = (final & DAY.POSSIBLE != 0) & (final & DAY.SUSPENDED == 0)
    absent = possible & (final & DAY.ABSENT != 0)
    away, there = absent.sum(axis=0), possible.sum(axis=0)
    enough = there >= SHARED_STUDENTS
    if enough.any():
        usual = there * max(float(np.median(away[enough] / there[enough])), 0.01)
        possible[:, enough & (away >= SHARED * usual) & (away - usual >= SHARED_BEYOND * np.sqrt(usual))] = False
    if left_out is not None:  # a break whose next days somebody worked on can't be told from one that passed
        possible &= ~(np.cumsum(left_out, axis=1) > 0)
    return Onsets(*_onsets(possible, absent))


@nb.njit(cache=True, nogil=True)
def _onsets(possible, absent):  # type: ignore[no-untyped-def]
    n, days = possible.shape
    most = n * (days // AHEAD + 1)
    row, starts, ends = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.int64)
    breaks = 0
    first, last = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    at = np.zeros(days, dtype=np.int64)  # the student's possible days, and days away before each
    gone = np.zeros(days + 1, dtype=np.int64)
    for i in range(n):
        m = 0
        for d in range(days):
            if possible[i, d]:
                at[m] = d
                gone[m + 1] = gone[m] + absent[i, d]
                m += 1
        if m < BEFORE + AHEAD:
            continue
        first[i], last[i] = at[BEFORE], at[m - AHEAD]
        k = BEFORE
        while k <= m - AHEAD:
            missed = gone[k + AHEAD] - gone[k]
            if not (
                absent[i, at[k]] and missed >= LEAST and gone[k + 5] - gone[k] >= SOON
                and missed >= AHEAD * (gone[k] / k + MORE) - 1e-9
            ):  # fmt: skip
                k += 1
                continue
            over = k + AHEAD
            while over < m and gone[over + 1] - gone[over + 1 - AHEAD] >= LEAST:
                over += 1
            row[breaks], starts[breaks], ends[breaks] = i, at[k], at[over - 1]
            breaks += 1
            k = over
    return row[:breaks], starts[:breaks], ends[:breaks], first, last


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector at a bar did in some schools.

    delay   (breaks,) school days from onset to the first evening at or over the bar: 0 the same evening; LATEST + 1 for not detected
    alerts  (students,) alerts on days that can be judged
    false   (students,) those of them raised on a day that is in no break
    """

    delay: NDArray[np.int64]
    alerts: NDArray[np.int64]
    false: NDArray[np.int64]


def found(measure: NDArray[np.float32], bar: float, breaks: Onsets) -> Found:
    return Found(*_found(measure, np.float32(bar), breaks.row, breaks.starts, breaks.ends, breaks.first, breaks.last))


@nb.njit(cache=True, nogil=True)
def _found(measure, bar, row, starts, ends, first, last):  # type: ignore[no-untyped-def]
    n, days = measure.shape
    delay = np.full(len(row), LATEST + 1, dtype=np.int64)
    alerts, false = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    b = 0
    for i in range(n):
        upto = b
        while upto < len(row) and row[upto] == i:
            for d in range(starts[upto], min(starts[upto] + LATEST + 1, days)):
                if measure[i, d] >= bar:
                    delay[upto] = d - starts[upto]
                    break
            upto += 1
        stood = -STANDS - 1
        for d in range(min(last[i] + 1, days)):
            if measure[i, d] >= bar:
                if d - stood > STANDS and d >= first[i]:
                    alerts[i] += 1
                    within = False
                    for k in range(b, upto):
                        within = within or (starts[k] <= d and d <= ends[k])
                    false[i] += not within
                stood = d
        b = upto
    return delay, alerts, false


class _Judged:
    """Schools' years side by side, and what any detector at any bar did in them."""

    def __init__(self, years: Sequence[Watched], truth: Sequence[Onsets] | None) -> None:
        self.years = years
        self.breaks = [onsets(y.final, y.left_out) for y in years] if truth is None else list(truth)
        who = np.concatenate([y.student for y in years])
        self.students, number = np.unique(who, return_inverse=True)
        self._number = number
        days = np.concatenate([_judged_days(y.final, b) for y, b in zip(years, self.breaks, strict=True)])
        self.weeks = np.bincount(number, days, minlength=len(self.students)) / 5
        starts = np.cumsum([0, *(len(y.student) for y in years)])
        self.of_break = np.concatenate([number[s + b.row] for s, b in zip(starts, self.breaks, strict=False)])

    def at(self, detector: str, bar: float) -> Found:
        each = [found(y.measures[detector], bar, b) for y, b in zip(self.years, self.breaks, strict=True)]

        def by_student(counts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
            summed = np.bincount(self._number, np.concatenate(counts), minlength=len(self.students))
            return summed.astype(np.int64)

        return Found(
            np.concatenate([f.delay for f in each]), by_student([f.alerts for f in each]), by_student([f.false for f in each])
        )  # fmt: skip


def _judged_days(final: Bits, breaks: Onsets) -> Array:
    column = np.arange(final.shape[1])[None, :]
    there = (column >= breaks.first[:, None]) & (column <= breaks.last[:, None]) & (final & DAY.POSSIBLE != 0)
    days: Array = there.sum(axis=1).astype(float)
    return days


def judge_breaks(years: Sequence[Watched], bar: float, truth: Sequence[Onsets] | None = None) -> dict[str, Any]:
    """Every detector's figures, as a plain dict.

    bar    ours, in force
    truth  breaks known by other means (a simulator's), by year; else they are read from the final record
    """
    judged = _Judged(years, truth)
    report: dict[str, Any] = {
        "definition": {
            "before": BEFORE, "ahead": AHEAD, "least": LEAST, "more": MORE, "soon": SOON, "shared": SHARED, "latest": LATEST,
            "stands": STANDS,
        },
        "students": len(judged.students), "student_weeks": float(judged.weeks.sum()), "breaks": len(judged.of_break),
    }  # fmt: skip
    if len(judged.of_break) < ENOUGH or not judged.weeks.sum():
        return report
    shown = [("ours", bar)] + [(name, b) for name, bars in SHOWN_BARS.items() for b in bars]
    report["detectors"] = [{"name": name, "bar": b, **_figures(judged, judged.at(name, b))} for name, b in shown]
    bars = _bars(judged, "ours")
    curves = {name: _curve(judged, name, bars if name == "ours" else _bars(judged, name)) for name in DETECTORS}
    report["curve"] = {name: [(false, within) for _bar, false, within in points] for name, points in curves.items()}
    report["at_equal_false_alarms"] = [
        {"name": of["name"], "than_bar": of["bar"], "bar": ours, **_figures(judged, judged.at("ours", ours))}
        for of in report["detectors"][1:]
        if (ours := _bar_at(judged, curves["ours"], of["false_alarms"]["value"])) is not None
    ]
    return report


#: what the curve's other axis counts
CURVE_WITHIN = 3


def _bars(judged: _Judged, name: str) -> Array:
    """Bars worth trying: the measure's own size, finely."""
    if name == "last_5":
        return np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    least = -BELOW if name == "ours" else 0.2  # under a fifth of a day nearly everybody is over the bar always
    every = np.concatenate([m[m > least] for m in (y.measures[name] for y in judged.years)])
    found_: Array = np.unique(np.round(np.quantile(every, np.linspace(0, 0.9995, 60)), 3))[::-1]
    return found_


def _curve(judged: _Judged, name: str, bars: Array) -> list[tuple[float, float, float]]:
    """(bar, false alarms per 1,000 student-weeks, share of breaks seen within three school days)."""
    points = []
    for bar in bars.tolist():
        f = judged.at(name, bar)
        points.append((bar, 1000 * f.false.sum() / judged.weeks.sum(), float((f.delay <= CURVE_WITHIN).mean())))
    return points


def _bar_at(judged: _Judged, curve: Sequence[tuple[float, float, float]], false_alarms: float) -> float | None:
    """The lowest bar of ours that cries wolf no more often than that: of the curve's, and then of some between it and the next."""
    bars = [bar for bar, _false, _within in curve]
    under = [k for k, (_bar, false, _within) in enumerate(curve) if false <= false_alarms]
    if not under:
        return None
    at = max(under)
    if at + 1 == len(bars):
        return bars[at]
    between = np.linspace(bars[at], bars[at + 1], 16)[:-1].tolist()
    finer = _curve(judged, "ours", np.array(between))
    return min(bar for bar, false, _within in finer if false <= false_alarms)


def _figures(judged: _Judged, f: Found) -> dict[str, Any]:
    """Shares with their intervals, the students drawn again and with them all their days and breaks."""
    students = len(judged.students)
    rng = np.random.default_rng(0)
    drawn = [_shares(judged, f, rng.multinomial(students, np.full(students, 1 / students))) for _ in range(ROUNDS)]
    whole = _shares(judged, f, np.ones(students, dtype=np.int64))
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    parts = [{"value": v, "low": a, "high": b} for v, a, b in zip(whole, low.tolist(), high.tolist(), strict=True)]
    n = len(WITHIN)
    median, ninetieth = ({k: (v if v <= LATEST else None) for k, v in p.items()} for p in parts[n : n + 2])
    return {
        "within": {str(w): p for w, p in zip(WITHIN, parts, strict=False)}, "median": median, "ninetieth": ninetieth,
        "never": parts[n + 2], "false_alarms": parts[n + 3], "alerts": int(f.alerts.sum()), "false": int(f.false.sum()),
    }  # fmt: skip


def _shares(judged: _Judged, f: Found, times: NDArray[np.int64]) -> list[float]:
    """Each student counted so many times: shares seen within so many days, median and 90th percentile of the delay (LATEST + 1 for
    not detected), share not detected, false alarms per 1,000 student-weeks."""
    seen = np.cumsum(np.bincount(f.delay, times[judged.of_break], minlength=LATEST + 2))
    total = max(float(seen[-1]), 1.0)
    middle, most = (float(np.searchsorted(seen, q * total - 1e-9)) for q in (0.5, 0.9))
    weeks = max(float((judged.weeks * times).sum()), 1e-9)
    return [
        *(float(seen[w] / total) for w in WITHIN), middle, most, float(1 - seen[LATEST] / total),
        1000 * float((f.false * times).sum()) / weeks,
    ]  # fmt: skip
