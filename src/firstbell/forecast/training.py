"""A model of closed school years, from what was known on their days and how they ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import AGES, COUNTED, EXCUSED, PENDING, SETTLED_AFTER, SPELLS, Col, Fates, count_fates
from firstbell.forecast.forecasts import ENOUGH_DAYS, NO_BARS, REACHED_UNSEEN, Bars, chances
from firstbell.forecast.glassbox import Box, GlassBox, Temper, fit, inputs
from firstbell.forecast.judging import Ranked, opened
from firstbell.forecast.known import Known, learn_ahead
from firstbell.forecast.layers import Learned, Rates, answers, closed, counts, days_ahead, possible_days, rates
from firstbell.forecast.lines import HORIZONS, Counted, Line
from firstbell.forecast.pooling import LEVELS, YEAR_CORRELATION, Before, Pool, learn_correlation, learn_prior, posterior
from firstbell.forecast.within import TooFar, standing
from firstbell.law.packs import Window

__all__ = ["ClosedYear", "LayerTwo", "collect", "fit_layer_two", "learn_layer_one", "outcome"]

#: bins of level for what is usual at a level
_BINS = 8
#: before anything is seen: so many absences, of which an excused mark, and one that counts, end as counted so often; one without a
#: reason as the district's usually do
_FATE_PRIOR, _FATE_EXCUSED, _FATE_COUNTED = 5.0, 0.03, 0.85
#: … and how a mark of a spell of some kind ends is pooled with how a mark of its age ends, as if so many had
_FATE_SPELL = 20.0
#: while far from a line one student in so many is learned from, and weighs as many
THINNED = 12
#: lines beside the one in force that layer 2 learns from, so that any line is answered; two at a time take their turn
OTHER_COUNTS = (5, 7, 8, 12, 15)
#: under so many rows that reached a line, and that didn't, there is nothing to learn
ENOUGH_REACHED = 50
#: alerts a week for 100 students that an officer can look at: how long a list is judged at
CAPACITY = 1.05
#: new alerts a week for 100 students that the bar of *act* may let through, as the desk opens them: decision 0016
NEW_A_WEEK = 1.2
#: lower, nearly all examples were thinned out, and alerts can't be counted on those left
LOWEST_BAR = 0.02
#: the bar of *watch*, of that of *act*
WATCHED = 0.5
#: lines within a window that layer 1 is held against
WINDOWS = (
    *((days, Window(kind="consecutive", broken_by="any_other_day")) for days in (3, 5, 10)),
    (3, Window(kind="calendar_month")), (5, Window(kind="calendar_month")), (10, Window(kind="rolling_calendar_days", length=90)),
)  # fmt: skip
#: a student's years are told apart by their last digits
_YEARS = 64


@dataclass(frozen=True)
class ClosedYear:
    """A school's year that is over, named by the calendar year it ended in.

    school    its number, the same in every year
    known     what was known at the end of some of its days, in their order
    final     (counted) -> (n, days) uint8: each day as it was known in the end, rows as in `known`
    student   (n,) int64: whose row, the same number in every school and year
    left_out  (n, days) bool: days on which a row teaches nothing, because somebody had acted for that student lately
    """

    ends_in: int
    school: int
    known: Sequence[Known]
    final: dict[Counted, NDArray[np.uint8]]
    student: NDArray[np.int64]
    left_out: NDArray[np.bool_]

    @cached_property
    def counted_by(self) -> dict[Counted, NDArray[np.int16]]:
        """(days + 1, n): days that count in the end, of the first so many."""
        return {c: _running(final == COUNTED) for c, final in self.final.items()}

    @cached_property
    def possible_by(self) -> dict[Counted, NDArray[np.int16]]:
        return {c: _running(final > 0) for c, final in self.final.items()}


#: rows looked at together: enough that NumPy's calls are long, few enough that what they make is soon given back
_TOGETHER = 2000


def together(years: Sequence[ClosedYear]) -> list[list[int]]:
    """Numbers of `years`, in parts of some two thousand rows that are looked at as one: of those that share their days, past and to come."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, year in enumerate(years):
        settled = next(iter(year.final.values())).shape[1]
        days = (year.known[0].dates.tobytes(), settled, *(k.through for k in year.known))
        alike.setdefault((year.ends_in, *days), []).append(number)
    parts: list[list[int]] = []
    for numbers in alike.values():
        rows = _TOGETHER
        for number in numbers:
            if rows >= _TOGETHER:
                parts.append([])
                rows = 0
            parts[-1].append(number)
            rows += len(years[number].student)
    return parts


def as_one(years: Sequence[ClosedYear]) -> ClosedYear:
    """Schools' years as `together` says, as if they were one school's."""
    first = years[0]
    return ClosedYear(
        first.ends_in, first.school, [Known.joined(same_day) for same_day in zip(*(y.known for y in years), strict=True)],
        {c: np.concatenate([y.final[c] for y in years]) for c in first.final}, np.concatenate([y.student for y in years]),
        np.concatenate([y.left_out for y in years]),
    )  # fmt: skip


def numbers_of(years: Sequence[ClosedYear], part: Sequence[int]) -> NDArray[np.int64]:
    """(rows,): of which of `years` each row of a part is."""
    return np.repeat(np.array(part), [len(years[number].student) for number in part])


def _running(days: NDArray[np.bool_]) -> NDArray[np.int16]:
    found = np.zeros((days.shape[1] + 1, days.shape[0]), dtype=np.int16)
    np.cumsum(days.T, axis=0, out=found[1:])
    return found


def on_roll(years: Sequence[ClosedYear]) -> float:
    """Students on the rolls at a time, on the mean of the days looked at, summed over school years."""
    return float(sum(np.mean([known.here.sum() for known in year.known]) for year in years if len(year.known)))


def learn_layer_one(years: Sequence[ClosedYear], counted: Counted) -> Learned:
    """Fates of marks, the ladder of levels, what is usual at each, and the coming calendar's effect."""
    fates = _learn_fates(years, counted)
    ends = [_whole(y) for y in years]
    evidence = [closed(k, counted, fates) for k in ends]

    def of_all(col: Col) -> NDArray[np.float64]:
        return np.concatenate([e[col] for e in evidence])

    starts, exposed = of_all(Col.STARTS), of_all(Col.EXPOSED)
    prior = learn_prior(starts, exposed)
    level = posterior(starts, exposed, prior) @ LEVELS
    edges = np.quantile(level, np.linspace(0, 1, _BINS + 1)[1:-1])
    at = np.digitize(level, edges)

    def usual(name: Col, of: Col) -> NDArray[np.float64]:
        part, all_ = of_all(name), of_all(of)
        share = part.sum() / max(all_.sum(), 1.0)
        top, bottom = (np.bincount(at, v, minlength=_BINS) for v in (part, all_))
        pooled: NDArray[np.float64] = (top + 20 * share) / (bottom + 20)
        return pooled

    before = [y.known[0].before.get(counted) if y.known else None for y in years]
    pairs = [(b, e) for b, e in zip(before, evidence, strict=True) if b is not None and (b.exposed > 0).any()]
    correlation = YEAR_CORRELATION
    if pairs:
        joined = Before(*(np.concatenate([getattr(b, n) for b, _ in pairs]) for n in Before.__slots__))
        correlation = learn_correlation(
            prior, joined, np.concatenate([e[Col.STARTS] for _, e in pairs]), np.concatenate([e[Col.EXPOSED] for _, e in pairs])
        )  # fmt: skip
    pool = Pool(
        prior, edges, usual(Col.STAYED_COUNTED, Col.COULD_STAY_COUNTED), usual(Col.COUNT, Col.ABSENT),
        usual(Col.BEGUN_COUNTED, Col.STARTS), correlation,
    )  # fmt: skip
    days = []
    for end in ends:
        kinds = end.kinds[counted]
        away = (kinds >= EXCUSED) & (kinds <= PENDING)
        days.append((end.dates[: end.through], away.sum(axis=0), (kinds > 0).sum(axis=0)))
    return Learned(pool, fates, learn_ahead(days))


def _whole(year: ClosedYear) -> Known:
    k = year.known[-1]
    through = next(iter(year.final.values())).shape[1]
    return Known(k.dates, through, year.final, k.here, k.group, k.band, k.carried, k.before)


def _learn_fates(years: Sequence[ClosedYear], counted: Counted) -> Fates:
    hits, seen = np.zeros((2, 3, AGES, SPELLS))
    ended = all_ = 0
    for year in years:
        final = year.final[counted]
        ended += int(np.count_nonzero(final == COUNTED))
        all_ += int(np.count_nonzero((final >= EXCUSED) & (final <= PENDING)))
        for known in year.known:
            if final.shape[1] - known.through < SETTLED_AFTER:
                continue  # its marks have not had their time
            count_fates(known.kinds[counted], final, hits, seen)
    usual = min(max(ended / max(all_, 1), 0.01), 0.99)
    prior = (
        np.array([[_FATE_EXCUSED], [_FATE_COUNTED], [usual]]) if counted is Counted.UNEXCUSED else np.full((3, 1), 0.99)
    )
    by_age = (hits.sum(axis=2) + _FATE_PRIOR * prior) / (seen.sum(axis=2) + _FATE_PRIOR)
    return Fates((hits + _FATE_SPELL * by_age[:, :, None]) / (seen + _FATE_SPELL), usual)


def outcome(year: ClosedYear, known: Known, line: Line, horizon: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(reached, already): whether each row's final marks reach the line by the horizon's end, and whether they had by now: of a window, whether they
    stand at the line on one of the days to come, and on the last one known."""
    if not line.in_year:
        at_line = standing(line, year.final[line.counted], known.dates) >= line.days
        ahead: NDArray[np.bool_] = at_line[:, known.through : known.through + days_ahead(known, horizon)].max(
            axis=1, initial=False
        )
        return ahead, at_line[:, known.through - 1]
    carried = known.carried.absent if line.counted is Counted.ABSENT else known.carried.count

    def at(days: int) -> NDArray[np.bool_]:
        count = year.counted_by[line.counted][days] + carried
        possible = (year.possible_by[line.counted][days] + known.carried.possible).astype(np.int64)
        return line.reached(count, possible)

    return at(known.through + days_ahead(known, horizon)), at(known.through)


@dataclass(slots=True)
class Examples:
    """Rows for layer 2: inputs, outcome, weight, grade band, whose, on which day, whether of a line in force, and of which year of `years`."""

    x: list[NDArray[np.float32]]
    y: list[NDArray[np.bool_]]
    weight: list[NDArray[np.float64]]
    band: list[NDArray[np.int8]]
    student: list[NDArray[np.int64]]
    through: list[NDArray[np.int64]]
    asked: list[NDArray[np.bool_]]
    year: list[NDArray[np.int64]]

    @classmethod
    def none(cls) -> Examples:
        return cls([], [], [], [], [], [], [], [])

    def add(self, others: Examples) -> None:
        for name in Examples.__slots__:
            getattr(self, name).extend(getattr(others, name))

    def only(self, years: set[int]) -> Examples:
        there = [np.isin(of, list(years)) for of in self.year]
        return Examples(
            *([of[some] for of, some in zip(getattr(self, name), there, strict=True)] for name in Examples.__slots__)
        )


Key = tuple[Counted, bool, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the question's own examples, each standing for as many as it weighs: of students not fitted on, as a first word; a backtest is the other.

    rows   examples; reached: those that reached the line
    share  of all that reached it; average_precision of the list by chance
    """

    rows: int
    reached: int
    share: float
    average_precision: float


@dataclass(frozen=True, slots=True)
class LayerTwo:
    """A glass box and its bars for each kind of line (what it counts, whether it is a share) and horizon."""

    boxes: dict[Key, GlassBox]
    bars: dict[Key, Bars]
    figures: dict[Key, Figures]
    #: of lines within a window, by whether their days are in a row
    tempers: dict[Key, Temper] = field(default_factory=dict)

    def of(self, line: Line, horizon: int) -> tuple[Box | None, Bars]:
        """What it says of a line: nothing where too few had reached such a line."""
        if not line.in_year:
            return self.tempers.get((line.counted, line.in_a_row, horizon)), NO_BARS
        key = (line.counted, line.share is not None, horizon)
        return (self.boxes[key], self.bars[key]) if key in self.boxes else (None, NO_BARS)


def collect(
    years: Sequence[ClosedYear], lines: Sequence[Line], learned: dict[Counted, Learned], *,
    horizons: Sequence[int] = HORIZONS, progress: Callable[[int, int], None] | None = None,
) -> dict[Key, Examples]:  # fmt: skip
    """What layer 2 learns from, by kind of line and horizon."""
    kinds = list(dict.fromkeys((line.counted, line.share is not None) for line in lines))

    def of_one(part: list[int]) -> dict[Key, Examples]:
        year, number = as_one([years[k] for k in part]), numbers_of(years, part)
        whole = _kept_whole(year.student)
        found = {(c, s, h): Examples.none() for c, s in kinds for h in horizons}
        for turn, known in enumerate(year.known, part[0]):
            for counted, share in kinds:
                r = rates(known, counted, learned[counted])
                asked = [line for line in lines if (line.counted, line.share is not None) == (counted, share)]
                others: list[Line] = []
                if not share:
                    others = [Line(counted, "", days=OTHER_COUNTS[k % len(OTHER_COUNTS)]) for k in (turn, turn + 2)]
                for line in (*asked, *others):
                    for horizon in horizons:
                        into = found[counted, share, horizon]
                        _collect(into, number, year, known, line, horizon, learned[counted], r, whole, line in asked)
        return found

    examples = {(c, s, h): Examples.none() for c, s in kinds for h in horizons}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = together(years)
        for done, found in enumerate(threads.map(of_one, parts), 1):
            for key, e in found.items():
                examples[key].add(e)
            if progress:
                progress(done, len(parts))
    return examples


def fit_layer_two(examples: dict[Key, Examples], students: float) -> LayerTwo:
    """A glass box and its bars for each key; where too few reached a line, layer 1 serves alone. students: on the rolls at a time (`on_roll`) where the examples were taken from."""

    def of_one(e: Examples) -> tuple[GlassBox, Bars, Figures] | None:
        y = np.concatenate(e.y) if e.y else np.zeros(0, dtype=np.bool_)
        if y.sum() < ENOUGH_REACHED or (~y).sum() < ENOUGH_REACHED:
            return None
        x, weight, band = np.concatenate(e.x), np.concatenate(e.weight), np.concatenate(e.band)
        student, through, asked = np.concatenate(e.student), np.concatenate(e.through), np.concatenate(e.asked)
        box, unseen = fit(x, y, weight, band, (student // _YEARS % 2).astype(np.int8))
        chance = 1 / (1 + np.exp(-box.score(x[asked], band[asked])))
        y, weight = y[asked], weight[asked]
        figures = Figures(
            len(y), int(y.sum()), float((weight * y).sum() / weight.sum()), Ranked(y, unseen[asked]).weighed(weight)
        )  # fmt: skip
        return box, bars_for(chance, student[asked], through[asked], weight > 1, students), figures

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        fitted = dict(zip(examples, threads.map(of_one, examples.values()), strict=True))
    there = {key: found for key, found in fitted.items() if found}
    return LayerTwo(
        {key: box for key, (box, _bars, _figures) in there.items()},
        {key: bars for key, (_box, bars, _figures) in there.items()},
        {key: figures for key, (_box, _bars, figures) in there.items()},
    )


def learn_tempers(years: Sequence[ClosedYear], learned: dict[Counted, Learned]) -> dict[Key, Temper]:
    """How far layer 1 is to be believed of days in a row and of other windows, by what some such lines came to: on a few days, at a few schools of the latest
    year (one of `together`'s parts)."""
    year = as_one([years[k] for k in together(years)[-1]])
    told: dict[Key, list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]]] = {}
    lines = [Line(counted, "", days, window=window) for counted in Counted for days, window in WINDOWS]
    stands = {line: standing(line, year.final[line.counted], year.known[0].dates) >= line.days for line in lines}
    for known in year.known[3::6]:
        there = known.here & ~year.left_out[:, known.through - 1]
        of_kind = {counted: rates(known, counted, learned[counted]) for counted in Counted}
        for line, at in stands.items():
            r, rows = of_kind[line.counted], np.flatnonzero(there & ~at[:, known.through - 1])
            for horizon in HORIZONS:
                try:
                    a = answers(known, line, horizon, learned[line.counted], r, rows)
                except TooFar:
                    continue
                chance, _low, _high = chances(known, r, a, None, rows)
                came = at[rows, known.through : known.through + a.days].max(axis=1, initial=False)
                still = a.needed > 0
                told.setdefault((line.counted, line.in_a_row, horizon), []).append(
                    (chance[still], a.line[still], came[still])
                )
    tempers = {}
    for key, some in told.items():
        chance, days, reached = (np.concatenate(column) for column in zip(*some, strict=True))
        if reached.sum() >= ENOUGH_REACHED:
            tempers[key] = Temper.fit(chance, days, reached)
    return tempers


def bars_for(
    chance: NDArray[np.float64], student: NDArray[np.int64], through: NDArray[np.int64], thinned: NDArray[np.bool_],
    students: float,
) -> Bars:  # fmt: skip
    """The lowest bar that keeps new alerts within `NEW_A_WEEK`, had each student's chance been looked at on these days.

    chance, student, through: (rows,), several rows a student; thinned (rows,): whether it was far from the line, so that only `_kept_whole`
    students' are here. What far rows add is read from students of whom all are here. In the first days of a year nothing is told, so nothing is raised.
    """
    weeks = max(float(through.max(initial=0) - through.min(initial=0)) / 5, 1.0)
    order = np.lexsort((through, student))
    chance, student, through, thinned = chance[order], student[order], through[order], thinned[order]
    whole = _kept_whole(student // _YEARS)

    def new_a_week(bar: float) -> float:
        def new(some: NDArray[np.bool_]) -> int:
            p, day = chance[some], through[some]
            return opened(student[some], day, (p >= bar) & (day >= ENOUGH_DAYS), p < bar * WATCHED)

        with_far = (new(whole) + 1) / (new(whole & ~thinned) + 1)
        return new(~thinned) * with_far / weeks / max(students, 1) * 100

    bars = np.geomspace(LOWEST_BAR, 0.6, 60)
    act = next((float(b) for b in bars if new_a_week(b) <= NEW_A_WEEK), 0.6)
    return Bars(act, act * WATCHED)


def _kept_whole(student: NDArray[np.int64]) -> NDArray[np.bool_]:
    """One student in `THINNED`, the same on every day, and no more of one half or the other: a multiplicative hash (Knuth 1973, § 6.4)."""
    kept: NDArray[np.bool_] = (student * 2654435761 >> 16) % THINNED == 0
    return kept


def _collect(
    into: Examples, number: NDArray[np.int64], year: ClosedYear, known: Known, line: Line, horizon: int, learned: Learned, r: Rates,
    whole: NDArray[np.bool_], asked: bool,
) -> None:  # fmt: skip
    days = days_ahead(known, horizon)
    if days < 1 or known.through < 1:
        return
    reached, already = outcome(year, known, line, horizon)
    count, at = counts(known, line, r.evidence, days_ahead(known, horizon))
    if line.share is not None:  # a share may go down again: whom a page asks about is who is under it now
        now = line.reached(count, possible_days(known, r.evidence))
        open_ = known.here & ~now & ~year.left_out[:, known.through - 1]
        already = np.zeros_like(already)
    else:
        open_ = known.here & (count < at) & ~year.left_out[:, known.through - 1]
    e = r.evidence
    pace = np.maximum(
        e[Col.AWAY_15] / np.maximum(e[Col.DAYS_15], 1e-9) * r.share,
        np.exp(r.mean["year"]) / np.maximum(1 - r.stay, 1e-3) * r.share,
    )
    expected = e[Col.EXPECTED] + (count - e[Col.COUNT])
    near = expected + 2.0 + 1.5 * days * np.minimum(pace, 1) + 0.25 * min(days, 10) >= at
    keep = open_ & (near | reached | whole)
    rows = np.flatnonzero(keep)
    if not len(rows):
        return
    a = answers(known, line, horizon, learned, r, rows)
    weight = np.where((near | reached)[rows], 1.0, float(THINNED)) * np.where(already[rows], REACHED_UNSEEN, 1.0)
    into.x.append(inputs(known, r, a, rows).astype(np.float32))
    into.y.append(reached[rows])
    into.weight.append(weight)
    into.band.append(known.band[rows])
    into.student.append(year.student[rows] * _YEARS + year.ends_in % _YEARS)
    into.through.append(np.full(len(rows), known.through))
    into.asked.append(np.full(len(rows), asked))
    into.year.append(number[rows])
