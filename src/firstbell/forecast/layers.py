"""Layers 0 and 1 together: for every student of a school, the chances that the learned layer weighs, and what a page says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import ADDED, Col, Evidence, Fates, gather
from firstbell.forecast.known import Ahead, Known
from firstbell.forecast.lines import YEAR_END, Counted, Line
from firstbell.forecast.pooling import (
    LAST_YEAR,
    LEVELS,
    STAY_DAYS,
    Before,
    Pool,
    group_mixes,
    posteriors_by_span,
    years_correlation,
)
from firstbell.forecast.runs import LOG_RATES, MOST, STAYS, mixed, row_table, run_table
from firstbell.forecast.within import going_on, in_window, now, reach

__all__ = [
    "Among",
    "Answers",
    "Learned",
    "Rates",
    "answers",
    "evidence_of",
    "possible_days",
    "rates",
    "reached",
    "summary",
]

Array = NDArray[np.float64]
#: the year's posterior, loosened by so much of the group's, is the prior of the recent weeks
LOOSENED = 0.3
#: the share of absences that count is pooled with what is usual at a student's level as if it were so many days
SHARE_DAYS = 4.0
#: … and the share of spells that do, as if so many spells
SHARE_SPELLS = 4.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What layer 1 needs from closed years for one kind of counted day."""

    pool: Pool
    fates: Fates
    ahead: Ahead


@dataclass(frozen=True, slots=True)
class Among:
    """What whole schools have shown, which each of their students is seen against.

    usual    (groups, levels) how common each level is in a group
    follows  (schools,) how closely this year follows the last
    settled  (schools, 2) how their absences ended (`evidence.settled_days`)
    """

    usual: Array
    follows: Array
    settled: Array

    @classmethod
    def of(cls, known: Known, e: Evidence, counted: Counted, pool: Pool) -> Among:
        starts, exposed = e[Col.STARTS], e[Col.EXPOSED]
        return cls(
            group_mixes(pool, starts, exposed, known.group),
            years_correlation(pool, _last_year(known, counted), starts, exposed, known.school),
            e.of_school,
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """Layer 1 of a school's students, before any line is asked about.

    by_span  (n, spans, levels) posterior by stretch of time, in the order of `SPANS`: the year, and the weeks whose weight halves every 45, 15
             and 5 days
    mean     name of the stretch -> (n,) mean log level
    stay     (n,) chance that an absence that counts goes on another day
    share    (n,) share of days away that end as counted
    begun    (n,) share of spells that begin with a day that counts: of a long illness and five days without leave, five in six
    among    what they are seen against
    """

    evidence: Evidence
    by_span: Array
    mean: dict[str, Array]
    stay: Array
    share: Array
    begun: Array
    among: Among


SPANS = ("year", "45", "15", "5")


def _last_year(known: Known, counted: Counted) -> Before:
    return known.before.get(counted) or Before.nothing(len(known.group))


def evidence_of(known: Known, counted: Counted, learned: Learned, among: Among | None = None) -> Evidence:
    before = _last_year(known, counted)
    return gather(
        known.days(counted), known.weights, known.school, learned.fates,
        before.ended * LAST_YEAR, before.counted * LAST_YEAR, among.settled if among else None,
    )  # fmt: skip


def rates(
    known: Known, counted: Counted, learned: Learned, *, e: Evidence | None = None, among: Among | None = None
) -> Rates:
    """e: of these rows, where it was gathered already. among: where `known` is not whole schools and cannot tell it."""
    pool, before = learned.pool, _last_year(known, counted)
    e = e or evidence_of(known, counted, learned, among)
    among = among or Among.of(known, e, counted, pool)
    # days at another school this year speak as days here do
    starts = e[Col.STARTS] + known.carried.absent * 0.5
    exposed = e[Col.EXPOSED] + np.maximum(known.carried.possible - known.carried.absent * 0.5, 0)
    by_span, means = posteriors_by_span(
        np.stack([starts, e[Col.STARTS_45], e[Col.STARTS_15], e[Col.STARTS_5]]),
        np.stack([exposed, e[Col.EXPOSED_45], e[Col.EXPOSED_15], e[Col.EXPOSED_5]]),
        among.usual, known.group, (before.starts, before.exposed), pool, among.follows, known.school, LOOSENED,
    )  # fmt: skip
    mean = dict(zip(SPANS, means, strict=True))
    at = np.digitize(mean["year"], pool.edges)
    stayed, could_stay = e[Col.STAYED_COUNTED], e[Col.COULD_STAY_COUNTED]
    share = begun = np.ones(len(at))
    if counted is Counted.ABSENT:
        stayed, could_stay = stayed + LAST_YEAR * before.stayed, could_stay + LAST_YEAR * before.could_stay
    else:  # how long last year's absences lasted is not known of those that counted
        share = (pool.counted[at] * SHARE_DAYS + e[Col.ENDED_COUNTED] + LAST_YEAR * before.counted) / (
            SHARE_DAYS + e[Col.ENDED] + LAST_YEAR * before.ended
        )
        # last year's spells are taken to have counted as its days did
        last = LAST_YEAR * before.starts
        begun = (pool.begun[at] * SHARE_SPELLS + e[Col.BEGUN_COUNTED] + last * before.counted / np.maximum(before.ended, 1)) / (
            SHARE_SPELLS + e[Col.STARTS] + last
        )  # fmt: skip
    stay = (pool.stays[at] * STAY_DAYS + stayed) / (STAY_DAYS + could_stay)
    return Rates(e, by_span, mean, stay, np.clip(share, 0.02, 1.0), np.clip(begun, 0.02, 1.0), among)


@dataclass(frozen=True, slots=True)
class Answers:
    """Layer 1's answers to one question, and layer 0's arithmetic: (n,) each.

    count, line, needed  as known; the count at which the line is reached; what is missing. int64
    days      school days the question looks ahead, within the year
    chance    span -> chance of reaching the line, were they to go on as in that span
    already   chance that the marks of days gone by, once settled, will have reached it
    """

    count: NDArray[np.int64]
    line: NDArray[np.int64]
    days: int
    chance: dict[str, Array]
    already: Array

    @property
    def needed(self) -> NDArray[np.int64]:
        return self.line - self.count


def days_ahead(known: Known, horizon: int) -> int:
    return known.days_left if horizon == YEAR_END else min(horizon, known.days_left)


def counts(known: Known, line: Line, e: Evidence, ahead: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The count as known, and the count at which the line is reached, for a line over days enrolled by so many days ahead."""
    if not line.in_year:
        count = now(line, known.kinds[line.counted], known.dates)
        return count, np.full(len(count), line.days)
    carried = known.carried.absent if line.counted is Counted.ABSENT else known.carried.count
    count = (e[Col.COUNT] + carried).astype(np.int64)
    return count, line.reached_at(possible_days(known, e) + ahead)


def possible_days(known: Known, e: Evidence) -> NDArray[np.int64]:
    """(n,) days so far that each student was expected on, here and at other schools."""
    days: NDArray[np.int64] = (e[Col.POSSIBLE] + known.carried.possible).astype(np.int64)
    return days


def reached(known: Known, line: Line, e: Evidence) -> NDArray[np.bool_]:
    """Who has come to the line already."""
    count, _at = counts(known, line, e, 0)
    return line.reached(count, possible_days(known, e))


def answers(
    known: Known, line: Line, horizon: int, learned: Learned, r: Rates, rows: NDArray[np.int64] | None = None
) -> Answers:
    """Of all students, or of these rows."""
    days = days_ahead(known, horizon)
    count, reached_at = counts(known, line, r.evidence, days)
    if rows is None:
        rows = np.arange(len(count))
    shift = np.log(r.begun * learned.ahead.over(known.dates, known.through, days))
    chance = np.zeros((len(SPANS), len(rows)))
    already = np.zeros(len(rows))
    if not line.in_year:
        _within(known, line, days, learned, r, shift, rows, chance, already)
        return _answers(count[rows], reached_at[rows], days, chance, already)
    carried = known.carried.absent if line.counted is Counted.ABSENT else known.carried.count
    need = np.maximum(reached_at[rows] - (r.evidence[Col.SETTLED] + carried).astype(np.int64)[rows], 0)
    most = int(min(MOST, max(need.max(initial=1), 1)))
    table = run_table(days, -(-most // 10) * 10)
    e = r.evidence
    mixed(
        table, LOG_RATES, STAYS, LEVELS, r.by_span, shift, r.stay, e[Col.CURRENT], e[Col.STREAK], e[Col.OPEN], e.added, rows, need, chance,
        already,
    )  # fmt: skip
    return _answers(count[rows], reached_at[rows], days, chance, already)


def _within(
    known: Known, line: Line, days: int, learned: Learned, r: Rates, shift: Array, rows: NDArray[np.int64], chance: Array, already: Array
) -> None:  # fmt: skip
    """Of a line whose days count together within less than the year."""
    kinds, e = known.kinds[line.counted], r.evidence
    n = len(kinds)
    if line.in_a_row:
        alone = np.zeros((n, ADDED))
        alone[:, 0] = 1.0
        run = going_on(line, kinds).astype(np.float64)  # of the absence going on, so that it counts or it doesn't
        mixed(
            row_table(days, line.days), LOG_RATES, STAYS, LEVELS, r.by_span, shift, r.stay, e[Col.CURRENT], e[Col.STREAK], run, alone, rows,
            np.full(len(rows), line.days), chance, already,
        )  # fmt: skip
        return
    before = _last_year(known, line.counted)
    here, gone, anew = in_window(
        line, kinds, known.dates, days, known.weights, known.school, learned.fates, e[Col.ENDED] + LAST_YEAR * before.ended,
        e[Col.ENDED_COUNTED] + LAST_YEAR * before.counted, e.of_school,
    )  # fmt: skip
    reach(
        LEVELS, r.by_span, shift, r.stay, e[Col.CURRENT], e[Col.STREAK], here[Col.OPEN], here.added, here[Col.SETTLED], gone, anew, rows,
        line.days, chance, already,
    )  # fmt: skip


def _answers(count: NDArray[np.int64], line: NDArray[np.int64], days: int, chance: Array, already: Array) -> Answers:
    np.clip(chance, 1e-6, 1 - 1e-6, out=chance)
    return Answers(count, line, days, dict(zip(SPANS, chance, strict=True)), already)


def closed(known: Known, counted: Counted, fates: Fates) -> Evidence:
    """A closed year's evidence: nobody's last year plays a part."""
    nothing = np.zeros(len(known.group))
    return gather(known.days(counted), known.weights, known.school, fates, nothing, nothing)


def summary(known: Known, counted: Counted, fates: Fates) -> Before:
    """A closed year, as the next one's `Before`."""
    e = closed(known, counted, fates)
    return Before(e[Col.STARTS], e[Col.EXPOSED], e[Col.STAYED], e[Col.COULD_STAY], e[Col.COUNT], e[Col.ABSENT])
