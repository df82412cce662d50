"""Layer 1, run forward: the chance of so many more counted days within so many school days.

A day of absence makes the next likelier (facts.md § 4: .6 after an absence, .04 after none), so counted days come as a chain of three states:
not away, away in a spell that counts, and (today only) in one that does not, after which all begins as if not away. Its chances are tabled once for a grid of rates and looked up for every student: no simulation.
The rate is taken as lognormal around its estimate, for the weeks that go better or worse than a student's own level.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

import numba as nb
import numpy as np
from numpy.typing import NDArray

__all__ = ["LOG_RATES", "MOST", "NODES", "SHARES", "STAYS", "Table", "row_table", "run_table"]

#: log of the daily chance that a spell of counted days begins, and the chance that it goes on: the grid of the table
LOG_RATES = np.linspace(np.log(2e-5), np.log(0.7), 56)
STAYS = np.linspace(0.05, 0.95, 13)
#: more days than this are not told apart
MOST = 40
#: spread of a student's log rate from week to week: facts.md § 5's weekly state (AR(1)) seen over a few weeks
SPREAD = 0.45
# Gauss–Hermite, five points, for a standard normal (Abramowitz & Stegun 25.4.46)
NODES = np.array([-2.8569700, -1.3556262, 0.0, 1.3556262, 2.8569700])
SHARES = np.array([0.0112574, 0.2220759, 0.5333333, 0.2220759, 0.0112574])

Table = NDArray[np.float64]


def run_table(days: int, most: int) -> Table:
    """(3, most + 1, rates, stays) float64: P(at least r counted days within `days`), from not away (0), away on days that count (1), or away on
    days that do not (2).

    >>> t = run_table(10, 10)
    >>> bool((np.diff(t, axis=1) <= 1e-12).all()) and float(t[0, 0, 0, 0])
    1.0
    """
    with _tabling:  # threads that go through the same days ask for the same table at once
        return _table(days, most)


_tabling = Lock()


@lru_cache(maxsize=256)  # a school year's every horizon, 30 MB
def _table(days: int, most: int) -> Table:
    table = np.zeros((3, most + 1, len(LOG_RATES), len(STAYS)))
    _fill(np.exp(LOG_RATES), STAYS, days, most, SPREAD, NODES, SHARES, table)
    table.setflags(write=False)
    return table


@nb.njit(cache=True, nogil=True)
def _fill(rates, stays, days, most, spread, nodes, shares, table):  # type: ignore[no-untyped-def]
    now = np.zeros((3, most + 1))
    after = np.zeros((3, most + 1))
    for a in range(len(rates)):
        for b in range(len(stays)):
            stay = stays[b]
            for q in range(len(nodes)):
                rate = min(rates[a] * np.exp(spread * nodes[q] - spread * spread / 2.0), 0.95)
                for state in range(3):
                    now[:] = 0.0
                    now[state, 0] = 1.0
                    for d in range(days):
                        after[:] = 0.0
                        for r in range(min(d, most) + 1):
                            up = min(r + 1, most)
                            out, within = now[0, r], now[1, r]
                            after[1, up] += out * rate + within * stay
                            after[0, r] += out * (1.0 - rate) + within * (1.0 - stay) + now[2, r] * (1.0 - stay)
                            after[2, r] += now[2, r] * stay
                        now, after = after, now
                    tail = 0.0
                    for r in range(most, -1, -1):
                        tail += now[0, r] + now[1, r] + now[2, r]
                        table[state, r, a, b] += shares[q] * tail


def row_table(days: int, line: int) -> Table:
    """As `run_table`, of days in a row: P(a run comes to `line` within `days`), were r more enough for the run going on (1). Without one (0, 2) it does
    not depend on r.
    """
    with _tabling:
        return _table_in_a_row(days, line)


@lru_cache(maxsize=64)
def _table_in_a_row(days: int, line: int) -> Table:
    table = np.zeros((3, line + 1, len(LOG_RATES), len(STAYS)))
    _fill_in_a_row(np.exp(LOG_RATES), STAYS, days, line, SPREAD, NODES, SHARES, table)
    table.setflags(write=False)
    return table


@nb.njit(cache=True, nogil=True)
def _fill_in_a_row(rates, stays, days, line, spread, nodes, shares, table):  # type: ignore[no-untyped-def]
    # the chance where so many more are enough, with some days left, and with a day less
    more, before = np.zeros(line + 1), np.zeros(line + 1)
    for a in range(len(rates)):
        for b in range(len(stays)):
            stay = stays[b]
            for q in range(len(nodes)):
                rate = min(rates[a] * np.exp(spread * nodes[q] - spread * spread / 2.0), 0.95)
                more[:] = 0.0
                more[0] = 1.0
                none = other = 0.0  # not away; away on days that do not count
                for _d in range(days):
                    before[:] = more
                    for r in range(1, line + 1):
                        more[r] = stay * before[r - 1] + (1.0 - stay) * none
                    other = stay * other + (1.0 - stay) * none
                    none = rate * before[line - 1] + (1.0 - rate) * none
                for r in range(line + 1):
                    table[0, r, a, b] += shares[q] * none
                    table[1, r, a, b] += shares[q] * more[r]
                    table[2, r, a, b] += shares[q] * other


@nb.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def mixed(  # type: ignore[no-untyped-def]
    table, log_rates, stays, levels, posterior, shift, stay, current, away, open_, added, rows, line, out, already
):
    """Chance that days added as marks settle, and counted days to come, reach `line`, over each of a student's posteriors of levels.

    Of all students: levels (k,) log rates of a spell; posterior (n, spans, k); shift (n,) log of share counted and of the days ahead;
    stay (n,); current, away, open_ (n,): the chance that the spell going on counts, its days, and those of them that are unsettled;
    added (n, ADDED): of other spells. Of those in `rows`: line (rows,) int; out (spans, rows): the chance; already (rows,): the chance that
    the marks alone, once settled, will have reached it.
    """
    d_rate, d_stay = log_rates[1] - log_rates[0], stays[1] - stays[0]
    most = table.shape[1] - 1
    at_level, part = np.zeros(len(levels)), np.zeros(len(levels))
    below = np.zeros(len(levels), dtype=np.int64)
    for k in range(len(rows)):
        i = rows[k]
        y = min(max((stay[i] - stays[0]) / d_stay, 0.0), len(stays) - 1.001)
        b = int(y)
        fy = y - b
        done = 0.0
        for z in range(len(levels)):
            x = min(max((levels[z] + shift[i] - log_rates[0]) / d_rate, 0.0), len(log_rates) - 1.001)
            below[z] = int(x)
            part[z] = x - below[z]
            at_level[z] = 0.0
        for j in range(added.shape[1]):
            chance = added[i, j]
            if chance < 1e-7:
                continue
            for s in (1, 2 if away[i] > 0 else 0):
                share = chance * (current[i] if s == 1 else 1.0 - current[i])
                if share < 1e-7:
                    continue
                need = line[k] - j - (int(open_[i]) if s == 1 else 0)
                if need <= 0:
                    done += share
                    continue
                need = min(need, most)
                for z in range(len(levels)):
                    a, fx = below[z], part[z]
                    at_level[z] += share * (
                        (1.0 - fx) * ((1.0 - fy) * table[s, need, a, b] + fy * table[s, need, a, b + 1])
                        + fx * ((1.0 - fy) * table[s, need, a + 1, b] + fy * table[s, need, a + 1, b + 1])
                    )
        for span in range(posterior.shape[1]):
            total = done
            for z in range(len(levels)):
                total += posterior[i, span, z] * at_level[z]
            out[span, k] = total
        already[k] = done
