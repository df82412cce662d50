"""Lines whose days count together within less than the year: so many in a row, in a month, in the last ninety days.

Where a window begins is the law's own word (`law.windows.starts`). What a student brought from another school this year has no dates here and counts
toward the year's lines only.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import (
    COUNTED,
    EXCUSED,
    NOT_POSSIBLE,
    PART,
    PENDING,
    PRESENT,
    SETTLED_AFTER,
    Days,
    Evidence,
    Fates,
    gather,
)
from firstbell.forecast.lines import Line, UnknownLine
from firstbell.forecast.runs import LOG_RATES, NODES, SHARES, SPREAD
from firstbell.law.windows import Frame, starts

__all__ = ["TooFar", "begins", "courses", "going_on", "in_window", "now", "reach", "standing"]

Kinds = NDArray[np.uint8]
Array = NDArray[np.float64]
#: log of the rates a student's chances are worked out for; between them they are looked up
_RATES = LOG_RATES[::2].copy()


class TooFar(UnknownLine):
    """So far ahead, days that have not come yet would leave the window again; the sentence says what may be asked."""


def begins(line: Line, dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(days,): for each school day, the first of those that count together with it."""
    return starts(line.window, Frame(dates, np.zeros(len(dates), dtype=np.int64), {}), dates)


def now(line: Line, kinds: Kinds, dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(n,): how many days the line counts at the end of the last day; kinds as `standing` takes them."""
    if line.in_a_row or not kinds.shape[1]:
        return _latest(standing(line, kinds, dates))
    found: NDArray[np.int64] = (kinds[:, begins(line, dates)[kinds.shape[1] - 1] :] == COUNTED).sum(axis=1)
    return found


def standing(line: Line, kinds: Kinds, dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(n, days): how many days the line counts at the end of each day. kinds: (n, days), of the first days of `dates`."""
    if line.in_a_row:
        runs: NDArray[np.int64] = _in_a_row(
            np.ascontiguousarray(kinds), line.window.broken_by == "any_other_day", COUNTED
        )
        return runs
    sums = np.zeros((len(kinds), kinds.shape[1] + 1), dtype=np.int64)
    np.cumsum(kinds == COUNTED, axis=1, out=sums[:, 1:])
    found: NDArray[np.int64] = sums[:, 1:] - sums[:, begins(line, dates)[: kinds.shape[1]]]
    return found


def going_on(line: Line, kinds: Kinds) -> NDArray[np.int64]:
    """(n,) days in a row at the end, were those without a reason yet to count."""
    return _latest(_in_a_row(np.ascontiguousarray(kinds), line.window.broken_by == "any_other_day", PENDING))


def _latest(by_day: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) of (n, days): the last day's; zeros before the first."""
    return by_day[:, -1] if by_day.shape[1] else np.zeros(len(by_day), dtype=np.int64)


@nb.njit(cache=True, nogil=True)
def _in_a_row(kinds, any_other, also):  # type: ignore[no-untyped-def]
    """Counted days in a row, and days of the kind `also`. A day nobody was expected on, or nobody knows of, neither counts nor ends a run; nor does a day
    away that does not count, unless any other day ends one."""
    n, days = kinds.shape
    found = np.zeros((n, days), dtype=np.int64)
    for i in range(n):
        run = 0
        for d in range(days):
            k = kinds[i, d]
            if k in (COUNTED, also):
                run += 1
            elif k in (PRESENT, PART) or (k != NOT_POSSIBLE and any_other):
                run = 0
            found[i, d] = run
    return found


def in_window(
    line: Line, kinds: Kinds, dates: NDArray[np.datetime64], days: int, weights: Array, school: NDArray[np.int32], fates: Fates,
    ended: Array, counted: Array, of_school: Array,
) -> tuple[Evidence, NDArray[np.int64], NDArray[np.bool_]]:  # fmt: skip
    """(evidence of the days that still count with the next school day, gone, anew), for the next `days`.

    kinds (n, through); weights (schools, through); ended, counted (n,): absences that have ended, and those of them that counted; of_school as `gather` takes it.
    gone  (n, days): of the counted days in it, those that will have left by each day to come
    anew  (days,): whether a window begins with that day, and nothing before it counts any more
    """
    through = kinds.shape[1]
    first = begins(line, dates)[through : through + days]
    anew = first == np.arange(through, through + days)
    if line.window.kind.startswith("rolling"):
        anew[:] = False
        if line.days > 1 and first[-1] > through:
            raise TooFar(
                f"“{line.title}” counts the days of a window that slides, and so far ahead days that are still to come would have left it again. "
                f"From {dates[through - 1]} it can be asked about {int(np.argmax(first > through))} school days at most. Nothing was written."
            )
    begin = int(min(first[0], through))
    inside = np.ascontiguousarray(kinds[:, begin:])
    old = inside[:, : max(through - begin - SETTLED_AFTER, 0)]
    evidence = gather(
        Days.of(inside), np.ascontiguousarray(weights[:, begin:]), school, fates,
        ended - ((old >= EXCUSED) & (old <= PENDING)).sum(axis=1), counted - (old == COUNTED).sum(axis=1), of_school,
    )  # fmt: skip
    sums = np.zeros((len(kinds), through - begin + 1), dtype=np.int64)
    np.cumsum(inside == COUNTED, axis=1, out=sums[:, 1:])
    return evidence, sums[:, np.minimum(first, through) - begin], anew


@nb.njit(cache=True, nogil=True)
def reach(  # type: ignore[no-untyped-def]
    levels, posterior, shift, stay, current, away, open_, added, settled, gone, anew, rows, line, out, already
):
    """`runs.mixed` where what counts may leave: the chance of `line` counted days in one window on any of the days to come.

    settled (n,), gone (n, days): counted days nobody expects to change in the window of the next day, and how many of them will have left by each; anew
    (days,) as `in_window` gives it; the rest as `runs.mixed` takes it. No table is shared, for each student's old days leave on days of their own: there is one a
    student, for some rates.
    """
    by_rate = np.zeros((len(_RATES), 3, line))
    at_level = np.zeros((len(levels), 3, line))
    step = _RATES[1] - _RATES[0]
    for k in range(len(rows)):
        i = rows[k]
        made = np.zeros(len(_RATES), dtype=np.bool_)  # the rates worked out so far
        for z in range(len(levels)):
            at_level[z] = 0.0
            if posterior[i, :, z].max() < 1e-6:
                continue
            for q in range(len(NODES)):
                rate = levels[z] + shift[i] + SPREAD * NODES[q] - SPREAD * SPREAD / 2.0
                x = min(max((rate - _RATES[0]) / step, 0.0), len(_RATES) - 1.001)
                a = int(x)
                for b in (a, a + 1):
                    if not made[b]:
                        by_rate[b] = courses(np.exp(_RATES[b]), stay[i], line, settled[i], gone[i], anew)
                        made[b] = True
                at_level[z] += SHARES[q] * ((1.0 - x + a) * by_rate[a] + (x - a) * by_rate[a + 1])
        done = 0.0
        come = np.zeros(len(levels))
        for j in range(added.shape[1]):
            chance = added[i, j]
            if chance < 1e-7:
                continue
            for s in (1, 2 if away[i] > 0 else 0):
                share = chance * (current[i] if s == 1 else 1.0 - current[i])
                if share < 1e-7:
                    continue
                c = j + (int(open_[i]) if s == 1 else 0)
                if c >= line - settled[i]:
                    done += share
                    continue
                for z in range(len(levels)):
                    come[z] += share * at_level[z, s, c]
        for span in range(posterior.shape[1]):
            total = done
            for z in range(len(levels)):
                total += posterior[i, span, z] * come[z]
            out[span, k] = total
        already[k] = done


@nb.njit(cache=True, nogil=True)
def courses(rate, stay, line, settled, gone, anew):  # type: ignore[no-untyped-def]
    """(3, line) chance of coming to `line`, from each of the chain's three states and so many new days already: backward from the last day."""
    now, then = np.zeros((3, line)), np.zeros((3, line))
    turn = len(anew)  # from here on no old day counts
    for j in range(len(anew) - 1, -1, -1):
        if anew[j]:
            turn = j
    for j in range(len(anew) - 1, -1, -1):
        need = line if j >= turn else line - max(settled - gone[j], 0)
        for c in range(line):
            was = 0 if anew[j] else c
            if was >= need:
                now[0, c] = now[1, c] = now[2, c] = 1.0
                continue
            hit = 1.0 if was + 1 >= need else then[1, was + 1]
            none = then[0, was]
            now[0, c] = rate * hit + (1.0 - rate) * none
            now[1, c] = stay * hit + (1.0 - stay) * none
            now[2, c] = stay * then[2, was] + (1.0 - stay) * none
        now, then = then, now
    return then
