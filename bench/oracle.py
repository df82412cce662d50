"""What could be known at all: `python -m bench.oracle --students 20000 --district "strong spells"`.

Beside the forecast, on the very same rows, stands an *oracle*. It knows what made the district: its numbers, each student's propensity and state on the
day asked about, and how every mark of the days gone by will end. It doesn't know the dice to come, and draws them many times. A second one also knows how
long the absence going on will last. No better order of a day's students is possible than theirs (a list may still be steadier from week to week); much of what
lies between them and the forecast is in no mark. On the districts not of the simulator's making stands a *reader* too (`bench.reader`): it knows the
district's numbers, but of a student only the marks, as the forecast does. No forecast can on average order a day's students better.

Its chances are drawn, so that it is a little better than is printed. Everything here is simulated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import strangers
from bench.range_bench import DISTRICTS, HORIZON, LINE, closed_years
from bench.reader import reader
from bench.strangers import STRANGERS, days_left, stranger
from firstbell.forecast.backtest import NEVER, Question, Rows, first_days, pooled_rates, question_rows
from firstbell.forecast.evidence import COUNTED
from firstbell.forecast.judging import Draws, Ranked, opened
from firstbell.forecast.layers import days_ahead
from firstbell.forecast.lines import YEAR_END, Counted, Line, find_line
from firstbell.forecast.training import NEW_A_WEEK, WATCHED, ClosedYear, collect, fit_layer_two, learn_layer_one
from firstbell.simulator.behaviour import (
    BREAKS_OFF,
    BREAKS_OFF_LATELY,
    LONG_ILLNESS,
    OF_SPELLS,
    ON_IT,
    TOGETHER,
    Hidden,
    Options,
    Spells,
    fading,
    next_week,
    shocked,
)
from firstbell.simulator.calendars import LONG_WEEKEND
from firstbell.simulator.district import Simulated
from firstbell.simulator.history import GIVEN_UP_AFTER

FULL, QUICK = 8000, 600  # students a district
CHRONIC, AFTER = find_line("example", "chronic-absence"), (40, 60, 90)
FUTURES, QUICK_FUTURES = 200, 30  # drawn for each day asked about
#: after the first few futures, only of students of whom the best of those came so near the line, in parts of the days ahead
FEW, SHORT = 20, 0.2
ROUNDS = 40  # of students drawn again, for intervals
Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Days = NDArray[np.int64]
#: what is known of some students each, and their numbers
Knowing = Sequence[tuple[strangers.Hidden, Days]]
#: of days on which classes are missed, so many have four of seven missed: half of the day (simulator.behaviour)
HALF_MISSED = 0.107


class OfSimulator:
    """The simulator's second year of a cluster as the oracle knows it. The season it knows to the year's end; bad days to come are drawn."""

    def __init__(self, made: Simulated, rng: np.random.Generator, shift: int, breaks: bool) -> None:
        b, self.setting, self.breaks = made.years[1], made.settings[1], breaks
        self.school = np.maximum(made.cluster.school[1], 0)
        self.bad_days = [np.roll(shocked(made.cluster, self.setting, rng)[1], shift, axis=1) for _ in range(30)]
        dates = self.setting.calendar.school_days[: self.setting.through]
        self.weekday = np.array([d.weekday() for d in dates])
        self.edges = np.flatnonzero(self.setting.calendar.gaps()[: len(dates)] > LONG_WEEKEND)
        self.hidden, self.onset, self.over = b.hidden, b.onset, b.over
        self.whole, self.explained, self.at_once = b.whole, b.excused | b.suspended, b.first_u.mean(axis=1)

    def only(self, rows: Days) -> OfSimulator:
        mine = copy(self)
        for name in ("school", "onset", "over", "whole", "explained", "at_once"):
            setattr(mine, name, getattr(self, name)[rows])
        h = self.hidden
        spells = Spells(*(getattr(h.spells, name)[rows] for name in Spells.__slots__))
        mine.hidden = Hidden(spells, *(getattr(h, name)[rows] for name in Hidden.__slots__ if name != "spells"))
        return mine

    def ahead(self, rng: np.random.Generator, through: int, days: int, *, spell: bool) -> tuple[Bools, Bools]:
        h, n, last = self.hidden, len(self.school), through - 1
        bad = self.bad_days[int(rng.integers(len(self.bad_days)))]
        onset, over, worse = self._break(rng, through)
        fell_ill, well = self._illness(rng, through)
        leave, back = self._trip(rng, through)
        state, here, left = h.state[:, last // 5], h.lies[:, last], days_left(h.lies, through)
        was, excused = self.whole[:, last], self.explained[:, last]
        away, counted = np.zeros((2, n, days), dtype=np.bool_)
        for j in range(days):
            d = through + j
            if d % 5 == 0:
                state = next_week(rng, state)
            broken = (d >= onset) & (d < over)
            push = np.where(h.fades, fading(d, self.setting.through), np.where(broken, worse, 1.0)) * np.exp(
                state - 0.16
            )
            here = h.spells.go_on(rng, d, here, push, np.where(broken, 0.12, 0.0), rng.random(n) < TOGETHER)
            if spell:
                here = (here & (j != left)) | (j < left)
            more = (bad[self.school, d] - OF_SPELLS) * h.spells.season[:, d] * h.spells.rate
            on_it = (h.bad_weekday == self.weekday[d]) & (rng.random(n) < ON_IT)
            ill, trip = (d >= fell_ill) & (d < well), (d >= leave) & (d < back)
            now = here | (rng.random(n) < np.clip(more, 0, 0.8)) | on_it | ill | trip
            excused = np.where(now & ~was, rng.random(n) < h.excused, excused)
            away[:, j] = now | (rng.random(n) < HALF_MISSED * h.part)
            counted[:, j] = now & (~(excused | ill) | trip | on_it)
            if d >= self.setting.through - GIVEN_UP_AFTER:  # the year is over before it is given up and entered
                counted[:, j] &= rng.random(n) < self.at_once
            was = now
        return away, counted

    def _break(self, rng: np.random.Generator, through: int) -> tuple[Days, Days, Array]:
        n, last, year = len(self.school), through - 1, self.setting.through
        was, over = self.onset[:, 0], self.over[:, 0]
        to_come = (was < 0) | (was > last)
        share = BREAKS_OFF * (year - through) / year
        onset = np.where(rng.random(n) < share / (share + 1 - BREAKS_OFF), rng.integers(through, year, n), year)
        late = year - rng.integers(4, 14, n)
        onset = np.where((rng.random(n) < BREAKS_OFF_LATELY) & (late >= through), late, onset)
        onset = np.where(to_come, onset if self.breaks else year, was)
        least = np.where(to_come, 8, np.maximum(last - onset + 1, 8))
        passes = 0.7 * (30 - np.minimum(least, 30)) / 22
        length = np.where(rng.random(n) < passes / (passes + 0.3), rng.integers(least, np.maximum(least + 1, 30)), year)
        over = np.where(~to_come & (over <= last), over, onset + length)
        return onset, over, np.where(to_come, rng.uniform(3, 6, n), self.hidden.worse)

    def _illness(self, rng: np.random.Generator, through: int) -> tuple[Days, Days]:
        n, last, year = len(self.school), through - 1, self.setting.through
        fell, well = self.onset[:, 1], self.over[:, 1]
        ill = (fell >= 0) & (fell <= last)
        share = (LONG_ILLNESS[1] - LONG_ILLNESS[0]) * (year - through) / year
        fell = np.where(ill, fell, np.where(rng.random(n) < share, rng.integers(through, year, n), year))
        least = np.where(ill, np.clip(last - fell + 1, 8, 25), 8)
        return fell, np.where(ill & (well <= last), well, fell + rng.integers(least, 26))

    def _trip(self, rng: np.random.Generator, through: int) -> tuple[Days, Days]:
        leave, back = self.hidden.trip.T
        n, edges = len(leave), self.edges[self.edges >= through]
        to_come = leave >= through
        if not len(edges):
            return leave, np.where(to_come, leave, back)
        end = edges[rng.integers(0, len(edges), n)]
        return np.where(to_come, end - rng.integers(3, 6, n) + 1, leave), np.where(to_come, end + 1, back)


def of_simulator(made: Sequence[Simulated], options: Options, seed: int) -> list[tuple[strangers.Hidden, Days]]:
    """What made each cluster's second year, and its students' numbers."""
    rng = np.random.default_rng(seed)
    return [
        (OfSimulator(m, rng, options.shock_shift, options.breaks), m.cluster.number * 100_000 + np.arange(m.cluster.n)) for m in made
    ]  # fmt: skip


def chances(
    hidden: Knowing, years: Sequence[ClosedYear], line: Line, horizon: int, *, spell: bool, futures: int,
    seed: int = 0,
) -> dict[int, Array]:  # fmt: skip
    """Days known -> by student number, the share of futures in which each reaches the line.

    hidden: what made some students' year, and their numbers. Of equal shares whose futures come nearer the line is a hair above. Days on which a
    student is not on roll, or nobody took the roll, are known beforehand.
    """
    rng = np.random.default_rng(seed)
    most = 1 + max(int(numbers.max()) for _, numbers in hidden)
    year = years[0].final[line.counted].shape[1]
    final, there = np.zeros((2, most, year), dtype=np.bool_)
    for y in years:
        final[y.student], there[y.student] = y.final[line.counted] == COUNTED, y.final[line.counted] > 0
    found = {}
    for known in years[0].known:
        t, days = known.through, days_ahead(known, horizon)
        if not 0 < days <= year - t:
            continue
        need = line.reached_at(there[:, : t + days].sum(axis=1)) - final[:, :t].sum(axis=1)
        share, mean = np.zeros((2, most))
        for one, numbers in hidden:
            lacks, here = need[numbers], there[numbers, t : t + days]
            draw = partial(_drawn, through=t, line=line, rng=rng, spell=spell)
            hits, sums, best = draw(one, lacks, here, FEW)
            share[numbers], mean[numbers] = hits / FEW, sums / FEW
            near = np.flatnonzero((best >= lacks - SHORT * days) & (lacks > 0))
            again = draw(one.only(near), lacks[near], here[near], futures - FEW)
            share[numbers[near]] = (hits[near] + again[0]) / futures
            mean[numbers[near]] = (sums[near] + again[1]) / futures
        found[t] = share + 1e-6 * mean
    return found


def _drawn(
    hidden: strangers.Hidden, need: Days, there: Bools, futures: int, *, through: int, line: Line, rng: np.random.Generator, spell: bool
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Futures in which the days to come reach the line, by how much they pass it in sum, and the most that counted in any."""
    hits, sums, best = np.zeros((3, len(need)))
    for _ in range(futures):
        away, counted = hidden.ahead(rng, through, there.shape[1], spell=spell)
        more = ((counted if line.counted is Counted.UNEXCUSED else away) & there).sum(axis=1)
        hits += more >= need
        sums += more - need
        best = np.maximum(best, more)
    return hits, sums, best


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's rows, and (rows,) what each oracle says of them. reached: of a student number, the school day on which the line was reached."""

    rows: Rows
    oracles: dict[str, Array]
    reached: Days


def asked(name: str, students: int, seed: int, futures: int) -> tuple[Asked, Asked]:
    """A district's second year: ten unexcused days within ten school days; and chronically absent by the year's end, as asked on a few days."""
    if name in STRANGERS:
        first, second, made = stranger(name, students, seed)
        everybody = np.arange(sum(len(y.student) for y in second))
        knows = {"reader": ([(reader(made, (first, second)), everybody)], False), **_oracles([(made[1], everybody)])}
    else:
        first, second, _evenings, simulated = closed_years(students, seed, DISTRICTS[name])
        knows = _oracles(of_simulator(simulated, DISTRICTS[name], seed))
    learned = {c: learn_layer_one(first, c) for c in Counted}
    two = fit_layer_two(
        collect(first, [LINE], learned, horizons=(HORIZON,)) | collect(first, [CHRONIC], learned, horizons=(YEAR_END,)),
        sum(len(y.student) for y in first),
    )
    some = [replace(y, known=[k for k in y.known if k.through in AFTER]) for y in second]
    most = 1 + max(int(y.student.max(initial=0)) for y in second)
    found = []
    for line, horizon, years in ((LINE, HORIZON, second), (CHRONIC, YEAR_END, some)):
        question = Question(line, horizon, *two.of(line, horizon))
        [rows] = question_rows(years, [question], learned, {line.counted: pooled_rates(first, line.counted)})
        said = {}
        for oracle, (hidden, spell) in knows.items():
            if spell and horizon == YEAR_END:
                continue
            by_day = chances(hidden, years, line, horizon, spell=spell, futures=futures, seed=seed)
            said[oracle] = np.empty(len(rows.student))
            for day in np.unique(rows.through):
                of_day = rows.through == day
                said[oracle][of_day] = by_day[int(day)][rows.student[of_day]]
        found.append(Asked(rows, said, first_days(second, line, most)))
    return found[0], found[1]


def _oracles(hidden: Knowing) -> dict[str, tuple[Knowing, bool]]:
    return {"state": (hidden, False), "state and spell": (hidden, True)}


@dataclass(frozen=True, slots=True)
class Reached:
    """What one list reaches of each bar. times: of the count's average precision, or of the rate's and the beta-binomial's, with intervals.

    false_alarms  for one of the count's, by the share caught
    in_time       of who reaches the line, flagged five school days before, where `NEW_A_WEEK` new alerts a week for 100 are let through
    """

    precision: float
    times: dict[str, tuple[float, float, float]]
    false_alarms: dict[str, float]
    in_time: float


def reaches(a: Asked, score: Array, than: Sequence[str]) -> Reached:
    rows, draws = a.rows, Draws.of(a.rows.student, ROUNDS)
    mine, drawn = Ranked(rows.reached, score), Ranked(rows.reached, score).drawn_again(draws)
    times, false_alarms = {}, {}
    for name in than:
        rule = Ranked(rows.reached, rows.baselines[name])
        low, high = np.percentile(drawn / rule.drawn_again(draws), [2.5, 97.5])
        times[name] = mine.average_precision / rule.average_precision, float(low), float(high)
        false_alarms = false_alarms or mine.false_alarms_ratio(rule)
    return Reached(mine.average_precision, times, false_alarms, in_time(rows, score, a.reached))


def in_time(rows: Rows, score: Array, reached: Days) -> float:
    """At the lowest bar, of those that raise no more new alerts than an officer has time for in this very year."""
    order = np.lexsort((rows.through, rows.student))
    student, through, score = rows.student[order], rows.through[order], score[order]
    whose, weeks = np.unique(student), len(np.unique(through))
    first = np.full(len(reached), NEVER)
    for share in np.geomspace(0.3, 0.001, 80):
        bar = np.quantile(score, 1 - share)
        over = score >= bar
        if opened(student, through, over, score < bar * WATCHED) / weeks / len(whose) * 100 <= NEW_A_WEEK:
            np.minimum.at(first, student[over], through[over])
            break
    there = whose[reached[whose] < NEVER]
    return float((reached[there] - first[there] >= 5).mean())


def show(name: str, line: Asked, chronic: Asked) -> None:
    table = Table(
        title=f"{name}: {LINE.title}, within {HORIZON} school days; chronic by the year's end", title_justify="left"
    )
    for heading in ("", "average precision", "x count so far", "false alarms for one of the count's", "5 days before"):
        table.add_column(heading)
    count = line.rows.baselines["count"]
    for who, score in {"count": count, "forecast": line.rows.chance, **line.oracles}.items():
        r = reaches(line, score, ["count"])
        false = " ".join(f"{recall}:{ratio:.2f}" for recall, ratio in r.false_alarms.items())
        table.add_row(who, f"{r.precision:.3f}", _interval(r.times["count"]), false, f"{r.in_time:.3f}")
    ends = Table(title_justify="left")
    for heading in ("chronic", *(f"x {rule}, day {day}" for day in AFTER for rule in ("rate", "beta-binomial"))):
        ends.add_column(heading)
    for who, score in {"forecast": chronic.rows.chance, **chronic.oracles}.items():
        cells = []
        for day in AFTER:
            of_day = np.flatnonzero(chronic.rows.through == day)
            r = reaches(_only(chronic, of_day), score[of_day], ["rate", "beta_binomial"])
            cells.extend(_interval(times) for times in r.times.values())
        ends.add_row(who, *cells)
    console = Console(width=180)
    console.print(table, ends)
    whose = np.unique(line.rows.student)
    console.print(
        f"n: {len(whose):,} students, {int((line.reached[whose] < NEVER).sum()):,} reach the line, {int(line.rows.reached.sum()):,} rows do; "
        f"chronic {[int(chronic.rows.reached[chronic.rows.through == day].sum()) for day in AFTER]} of "
        f"{[int((chronic.rows.through == day).sum()) for day in AFTER]}"
    )  # fmt: skip


def _only(a: Asked, at: Days) -> Asked:
    r = a.rows
    rows = Rows(
        r.student[at], r.through[at], r.week[at], r.school[at], r.band[at], r.reached[at], r.chance[at], r.said[at],
        {name: rule[at] for name, rule in r.baselines.items()}, r.elsewhere[at],
    )  # fmt: skip
    return Asked(rows, {name: oracle[at] for name, oracle in a.oracles.items()}, a.reached)


def _interval(times: tuple[float, float, float]) -> str:
    value, low, high = times
    return f"{value:.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--district", action="append", default=[], choices=[*DISTRICTS, *STRANGERS])
    options = parser.parse_args()
    students, futures = (QUICK, QUICK_FUTURES) if options.quick else (options.students, FUTURES)
    for district in options.district or (["B"] if options.quick else ["usual", "strong spells", *STRANGERS]):
        show(district, *asked(district, students, options.seed, futures))
