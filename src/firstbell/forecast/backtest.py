"""The backtest: a model of earlier years judged on a later one, week by week, by what was known then and how it ended.

Who is past the line already is left out: with them in, every figure flatters. The report is a plain dict, so that the page and its JSON
twin say the same. A verdict says of each question whether a forecast is offered at all (rule 4 of the house): only where it beats, beyond chance,
every rule an officer could keep by hand; what it says it is set against is the best of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from firstbell.forecast.evidence import COUNTED, EXCUSED, PENDING, Col
from firstbell.forecast.forecasts import Band, Bars, chances, forecast
from firstbell.forecast.glassbox import Box
from firstbell.forecast.judging import (
    Draws,
    Ranked,
    calibration_error,
    calibration_slope,
    opened,
    reliability,
    wilson,
)
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Learned, Rates, answers, days_ahead, rates
from firstbell.forecast.lines import HORIZONS, YEAR_END, Counted, Line
from firstbell.forecast.training import CAPACITY, ClosedYear, LayerTwo, as_one, numbers_of, on_roll, outcome, together
from firstbell.forecast.within import standing

__all__ = ["BASELINES", "Question", "Rows", "judge", "pooled_rates", "question_rows"]

Array = NDArray[np.float64]
#: names of groups, and (rows,) the place of each row's among them
Groups = tuple[NDArray[np.str_], NDArray[np.int64]]
#: The rules a forecast is set against: the count so far, the same carried on in a straight line, the share of days missed so far, absences
#: of the last 20 and 5 and of the year's first 20 school days, the share missed last year, a pooled beta-binomial of both years, and the
#: school and grade alone.
BASELINES = (
    "count", "projection", "rate", "last_20", "last_5", "first_20", "last_year", "beta_binomial", "surroundings",
)  # fmt: skip
#: those a forecast must beat to be offered: what an officer could do by hand
MUST_BEAT = ("count", "projection", "rate", "last_20", "last_5", "first_20", "last_year")
#: those drawn beside it
DRAWN = ("count", "last_20")
#: grade bands by number: to grade 5, 6 to 8, 9 and above
BANDS = ("primary", "middle", "high")
#: a forecast whose chances are this far off is not offered: slope of the outcome on its log-odds, and mean error of a chance
SLOPE, MOST_ERROR = (0.75, 1.33), 0.03
#: chances told apart in the picture of calibration: equally filled bins would nearly all lie at nought
SIZES = np.array([0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
#: chances of about a size, and how many answers a size needs to be spoken of by itself
STEPS, FEW = (0.01, 0.03, 0.06, 0.1, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 1.0), 40
#: a group of fewer students is not shown by itself
SMALL = 10
#: fewer who reached a line in the judged year, and nothing can be said
ENOUGH = 30


@dataclass(frozen=True, slots=True)
class Rows:
    """A row a student and judged day, of who was not past the line: (rows,) each.

    through    whole school days gone by at the row's school; week: of the date, which is all schools' whatever their calendars
    elsewhere  the chance by a layer 2 that learned at other schools only; NaN where there is none
    """

    student: NDArray[np.int64]
    through: NDArray[np.int64]
    week: NDArray[np.int64]
    school: NDArray[np.int64]
    band: NDArray[np.int8]
    reached: NDArray[np.bool_]
    chance: Array
    said: NDArray[np.str_]
    baselines: dict[str, Array]
    elsewhere: Array


@dataclass(frozen=True, slots=True)
class Question:
    """A line and a horizon, and layer 2's answer to it. elsewhere: the layer 2 of other schools, and the numbers of those it judges."""

    line: Line
    horizon: int
    box: Box | None
    bars: Bars
    elsewhere: tuple[Box, set[int]] | None = None


def pooled_rates(years: Sequence[ClosedYear], counted: Counted) -> dict[int, tuple[float, float]]:
    """Beta parameters of students' yearly shares by grade band, by moments (Griffiths 1973), for the beta-binomial baseline."""
    found = {}
    for band in range(len(BANDS)):
        hits = np.concatenate([(y.final[counted] == COUNTED).sum(axis=1)[y.known[0].band == band] for y in years])
        days = np.concatenate([(y.final[counted] > 0).sum(axis=1)[y.known[0].band == band] for y in years])
        there = days >= 20
        if there.sum() < 30:
            continue
        share = hits[there] / days[there]
        mean, n = float(share.mean()), float(days[there].mean())
        spread = float(share.var()) - mean * (1 - mean) / n
        size = max(mean * (1 - mean) / max(spread, 1e-6) - 1, 0.5)
        found[band] = (max(mean * size, 1e-3), max((1 - mean) * size, 1e-3))
    return found


def question_rows(
    years: Sequence[ClosedYear], questions: Sequence[Question], learned: dict[Counted, Learned],
    pooled: dict[Counted, dict[int, tuple[float, float]]], progress: Callable[[int, int], None] | None = None,
) -> list[Rows]:  # fmt: skip
    """Every judged row of each question. A school's day is looked at once for all of them."""
    kinds = list(dict.fromkeys(q.line.counted for q in questions))

    def of_one(part: list[int]) -> list[list[Rows]]:
        year, number = as_one([years[k] for k in part]), numbers_of(years, part)
        found: list[list[Rows]] = [[] for _ in questions]
        settled = next(iter(year.final.values())).shape[1]
        for known in year.known:
            for counted in kinds:
                asked = [
                    (q, into) for q, into in zip(questions, found, strict=True)
                    if q.line.counted is counted and 0 < days_ahead(known, q.horizon) <= settled - known.through
                ]  # fmt: skip
                if not asked:
                    continue  # nothing ahead, or its end is not known yet
                r = rates(known, counted, learned[counted])
                past = _past(known, counted, r)
                for q, into in asked:
                    into.append(_rows_of(number, year, known, q, learned[counted], r, past, pooled[counted]))
        return found

    every: list[list[Rows]] = [[] for _ in questions]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = together(years)
        for done, found in enumerate(threads.map(of_one, parts), 1):
            for into, rows in zip(every, found, strict=True):
                into.extend(rows)
            if progress:
                progress(done, len(parts))
    return [_joined(parts) for parts in every]


def _rows_of(
    number: NDArray[np.int64], year: ClosedYear, known: Known, q: Question, learned: Learned, r: Rates, past: dict[str, Array],
    pooled: dict[int, tuple[float, float]],
) -> Rows:  # fmt: skip
    a = answers(known, q.line, q.horizon, learned, r)
    f = forecast(known, q.line, q.horizon, learned, q.box, q.bars, r=r, a=a)
    reached, already = outcome(year, known, q.line, q.horizon)
    if q.line.share is not None:
        already = np.zeros_like(already)
    acted_on = year.left_out[:, known.through - 1] if known.through else np.zeros_like(already)
    ask = np.flatnonzero(f.asked & ~np.isnan(f.chance) & ~already & ~acted_on)
    elsewhere = np.full(len(ask), np.nan)
    if q.elsewhere is not None:
        there = np.isin(number[ask], list(q.elsewhere[1]))
        elsewhere[there] = chances(known, r, a, q.elsewhere[0])[0][ask[there]]
    rival = past | _ahead(known, q, r, f.count, f.needed, pooled)
    return Rows(
        year.student[ask], np.full(len(ask), known.through), np.full(len(ask), _week(known)), number[ask], known.band[ask], reached[ask], f.chance[ask],
        f.band[ask], {name: rival[name][ask] for name in BASELINES}, elsewhere,
    )  # fmt: skip


def _week(known: Known) -> int:
    return (
        int(known.dates[max(known.through - 1, 0)].astype("datetime64[D]").astype(np.int64) + 3) // 7
    )  # 1970-01-01 was a Thursday


def _joined(parts: Sequence[Rows]) -> Rows:
    if not parts:
        none = np.zeros(0)
        whole, small, said = none.astype(np.int64), none.astype(np.int8), none.astype("U11")
        return Rows(
            whole, whole, whole, whole, small, none.astype(bool), none, said, dict.fromkeys(BASELINES, none), none
        )

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    baselines = {name: np.concatenate([part.baselines[name] for part in parts]) for name in BASELINES}
    return Rows(
        column("student"), column("through"), column("week"), column("school"), column("band"), column("reached"), column("chance"), column("said"),
        baselines, column("elsewhere"),
    )  # fmt: skip


def _past(known: Known, counted: Counted, r: Rates) -> dict[str, Array]:
    """The baselines that ask of no line and no day ahead."""
    e = r.evidence
    kinds = known.kinds[counted]
    away = (kinds >= EXCUSED) & (kinds <= PENDING)
    possible = e[Col.POSSIBLE] + known.carried.possible
    last_hits, last_days = _last_year(known, counted)
    groups = int(known.group.max(initial=-1)) + 1
    group_absent = np.bincount(known.group, e[Col.ABSENT], minlength=groups)
    group_days = np.bincount(known.group, possible, minlength=groups)
    return {
        "rate": (e[Col.ABSENT] + known.carried.absent) / np.maximum(possible, 1),
        "last_20": away[:, -20:].sum(axis=1).astype(float),
        "last_5": away[:, -5:].sum(axis=1).astype(float),
        "first_20": away[:, :20].sum(axis=1).astype(float),
        "last_year": last_hits / np.maximum(last_days, 1),
        "surroundings": (group_absent / np.maximum(group_days, 1))[known.group],
    }


def _ahead(
    known: Known, q: Question, r: Rates, count: NDArray[np.int64], needed: NDArray[np.int64], pooled: dict[int, tuple[float, float]],
) -> dict[str, Array]:  # fmt: skip
    """The other baselines."""
    possible = r.evidence[Col.POSSIBLE] + known.carried.possible
    days = days_ahead(known, q.horizon)
    last_hits, last_days = _last_year(known, q.line.counted)
    return {
        "count": count.astype(float),
        "projection": count * (possible + days) / np.maximum(possible, 1) - (count + needed),
        "beta_binomial": _beta_binomial(known.band, count, possible, needed, days, last_hits, last_days, pooled),
    }


def _last_year(known: Known, counted: Counted) -> tuple[Array, Array]:
    """Days that counted last year, of so many."""
    before = known.before.get(counted)
    if before is None:
        none = np.zeros(len(known.group))
        return none, none
    return before.counted, before.exposed + before.could_stay


#: last year's days weigh a quarter of this year's in the beta-binomial: the best of 0, 1/4, 1/2 and 1 on made-up districts
_BB_LAST_YEAR = 0.25


def _beta_binomial(
    band: NDArray[np.int8], count: NDArray[np.int64], possible: Array, needed: NDArray[np.int64], days: int,
    last_hits: Array, last_days: Array, pooled: dict[int, tuple[float, float]],
) -> Array:  # fmt: skip
    prior = np.array([pooled.get(b, (0.5, 8.0)) for b in range(len(BANDS))])[band]
    a = prior[:, 0] + count + _BB_LAST_YEAR * last_hits
    rest = prior[:, 1] + np.maximum(possible - count, 0) + _BB_LAST_YEAR * np.maximum(last_days - last_hits, 0)
    chance: Array = beta_binomial(needed, days, a, rest)
    return chance


@nb.njit(cache=True, nogil=True)
def beta_binomial(needed, days, a, b):  # type: ignore[no-untyped-def]
    """(n,) P(at least `needed` of `days`) where the chance of each is drawn from Beta(a, b)."""
    out = np.zeros(len(needed))
    for i in range(len(needed)):
        k = needed[i]
        if k <= 0:
            out[i] = 1.0
        elif k <= days:
            log = math.lgamma(days + 1) - math.lgamma(k + 1) - math.lgamma(days - k + 1)
            log += math.lgamma(a[i] + k) + math.lgamma(b[i] + days - k) - math.lgamma(a[i] + b[i] + days)
            log -= math.lgamma(a[i]) + math.lgamma(b[i]) - math.lgamma(a[i] + b[i])
            share = math.exp(log)
            total = share
            for j in range(k, days):
                share *= (days - j) / (j + 1.0) * (a[i] + j) / (b[i] + days - j - 1.0)
                total += share
            out[i] = min(total, 1.0)
    return out


def judge(
    rows: Rows, first_reached: NDArray[np.int64], groups: dict[str, Groups], rounds: int = 40, *, on_roll: float = 0
) -> dict[str, Any]:  # fmt: skip
    """All figures of one question, and its verdict.

    first_reached  by student number: the count of school days after which their final marks reached the line; a big number for never
    groups         for the audit; never an input
    on_roll        students on the rolls at a time; 0: all who were asked about
    """
    y, p = rows.reached, rows.chance
    if y.sum() < ENOUGH:
        return {"rows": len(y), "reached": int(y.sum()), "verdict": _verdict(None, int(y.sum()))}
    scores = {"forecast": p, **rows.baselines}
    lists = {name: Ranked(y, score) for name, score in scores.items()}
    draws = Draws.of(rows.student, rounds)
    drawn = {name: ranked.drawn_again(draws) for name, ranked in lists.items()}
    weeks = [np.flatnonzero(rows.week == week) for week in np.unique(rows.week)]
    precision = {name: _interval(ranked.average_precision, drawn[name]) for name, ranked in lists.items()}
    gains = {
        name: _interval(precision["forecast"]["value"] - precision[name]["value"], drawn["forecast"] - drawn[name])
        for name in rows.baselines
    }
    found: dict[str, Any] = {
        "rows": len(y), "students": _different(rows.student), "reached": int(y.sum()),
        "students_reached": _different(rows.student[y]),
        "average_precision": precision, "gain": gains,
        "ratio": {name: precision["forecast"]["value"] / max(precision[name]["value"], 1e-9) for name in rows.baselines},
        "false_alarms_at_equal_recall": {name: lists["forecast"].false_alarms_ratio(lists[name]) for name in rows.baselines},
        "at_capacity": {name: _at_capacity(rows, weeks, score) for name, score in scores.items()},
        "calibration": {
            "error": calibration_error(y, p), "slope": calibration_slope(y, p), "bins": reliability(y, p, SIZES),
            "by_grade_band": {
                BANDS[b]: {"error": calibration_error(y[m], p[m]), "slope": calibration_slope(y[m], p[m]), "reached": int(y[m].sum())}
                for b in range(len(BANDS)) if (m := rows.band == b).any() and y[m].sum() >= ENOUGH
            },
        },
        "curve": {name: lists[name].curve() for name in ("forecast", *DRAWN)},
        "lead": _lead(rows, first_reached), "false_alarms": _false_alarms(rows, first_reached),
        "alerts_a_week_per_100": _new_alerts(rows, on_roll or _different(rows.student)), "stability": _stability(rows),
        "cannot_tell": float((rows.said == Band.CANNOT_TELL).mean()),
        "shares": _shares(rows), "steps": _steps(y, p),
        "groups": {name: _by_group(rows, which) for name, which in groups.items()},
    }  # fmt: skip
    found["verdict"] = _verdict(found, int(y.sum()))
    return found


def _interval(value: float, drawn: Array) -> dict[str, float]:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high)}


def _verdict(found: dict[str, Any] | None, reached: int) -> dict[str, Any]:
    """Whether it is offered, and why: `too_few`, `not_beaten` (which rule), `not_calibrated`, or `beats` (the best rule, by how much)."""
    if found is None:
        return {"offered": False, "why": "too_few", "reached": reached}
    lost = next((name for name in MUST_BEAT if found["gain"][name]["low"] <= 0), None)
    if lost is not None:
        return {"offered": False, "why": "not_beaten", "rule": lost}
    slope, error = found["calibration"]["slope"], found["calibration"]["error"]
    if not SLOPE[0] <= slope <= SLOPE[1] or error > MOST_ERROR:
        return {"offered": False, "why": "not_calibrated", "slope": slope, "error": error}
    best = max(MUST_BEAT, key=lambda name: found["average_precision"][name]["value"])
    return {"offered": True, "why": "beats", "rule": best, "times": found["ratio"][best]}


def _different(students: NDArray[np.int64]) -> int:
    return int(np.count_nonzero(np.bincount(students)))


def _at_capacity(rows: Rows, weeks: Sequence[NDArray[np.int64]], score: Array) -> dict[str, float]:
    """Each week's first `CAPACITY` of a hundred, by a score: how many of them reach the line, and of all who do how many are among them."""
    caught = looked = 0.0
    for at in weeks:
        size = max(round(len(at) * CAPACITY / 100), 1)
        s, y = score[at], rows.reached[at]
        bar = np.partition(s, len(s) - size)[len(s) - size]
        above, tied = s > bar, s == bar
        # of those tied at the bar a lot is drawn: counted by its expectation
        caught += y[above].sum() + y[tied].sum() * (size - above.sum()) / max(tied.sum(), 1)
        looked += size
    return {"precision": caught / looked, "recall": caught / max(int(rows.reached.sum()), 1)}


def _first_alert(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(students flagged, the day of their first alert)."""
    act = rows.said == Band.ACT
    order = np.lexsort((rows.through[act], rows.student[act]))
    who, when = rows.student[act][order], rows.through[act][order]
    first = np.append(True, who[1:] != who[:-1]) if len(who) else np.zeros(0, dtype=np.bool_)
    return who[first], when[first]


def _lead(rows: Rows, first_reached: NDArray[np.int64]) -> dict[str, Any]:
    """School days from the first alert to the line, of who reached it."""
    who, when = _first_alert(rows)
    asked = np.unique(rows.student)
    reached = asked[first_reached[asked] < NEVER]
    lead = np.full(len(first_reached), -1, dtype=np.int64)
    lead[who] = first_reached[who] - when
    # the last look of five and more days before: an alert may have been raised, fallen silent and been raised again
    led = lead[reached]
    before = led[led > 0]
    return {
        "reached": len(reached),
        "median": float(np.median(before)) if len(before) else None,
        "tenth": float(np.percentile(before, 10)) if len(before) else None,
        "five_days": float((led >= 5).mean()) if len(led) else None,
        "ten_days": float((led >= 10).mean()) if len(led) else None,
        "days": np.bincount(np.minimum(np.maximum(before, 0), 60) // 5, minlength=13).tolist(),
    }


NEVER = 10_000


def _false_alarms(rows: Rows, first_reached: NDArray[np.int64]) -> dict[str, Any]:
    """Of those ever said *act*, by each definition: one list can be 15 % or 40 % false."""
    who, when = _first_alert(rows)
    if not len(who):
        return {"alerts": 0}
    ahead = first_reached[who] - when
    never = int((first_reached[who] >= NEVER).sum())
    month = int((ahead > 30).sum())
    return {
        "alerts": len(who),
        "never_this_year": {"share": never / len(who), "interval": wilson(never, len(who))},
        "not_within_30_days": {"share": month / len(who), "interval": wilson(month, len(who))},
    }


def _new_alerts(rows: Rows, on_roll: float) -> float:
    order = np.lexsort((rows.through, rows.student))
    said = rows.said[order]
    new = opened(rows.student[order], rows.through[order], said == Band.ACT, said == Band.CLEAR)
    return new / len(np.unique(rows.week)) / on_roll * 100


def _stability(rows: Rows) -> float | None:
    """Of two weeks' lists, the share that is on both (Jaccard), on the mean."""
    weeks = np.unique(rows.week)
    lists = [set(rows.student[(rows.week == week) & (rows.said == Band.ACT)].tolist()) for week in weeks]
    shared = [len(a & b) / len(a | b) for a, b in zip(lists, lists[1:], strict=False) if a | b]
    return float(np.mean(shared)) if shared else None


def _shares(rows: Rows) -> dict[str, dict[str, Any]]:
    """Of past students told a band, how many reached the line: what a page says in words."""
    found = {}
    for band in (Band.ACT, Band.WATCH, Band.CLEAR, Band.CANNOT_TELL):
        there = rows.said == band
        n, hits = int(there.sum()), int(rows.reached[there].sum())
        if n:
            found[str(band)] = {"rows": n, "reached": hits, "share": hits / n, "interval": wilson(hits, n)}
    return found


def _steps(y: NDArray[np.bool_], p: Array) -> list[dict[str, Any]]:
    """What chances of about a size came to: "of students like this, 4 in 10". Steps with few answers are joined to the one below."""
    found: list[dict[str, Any]] = []
    low = 0.0
    for upto in STEPS:
        there = (p > low) & (p <= upto)
        n, hits = int(there.sum()), int(y[there].sum())
        if n < FEW and found and upto < 1:
            continue
        if n < FEW and found:
            n, hits = n + found[-1]["rows"], hits + found[-1]["reached"]
            found.pop()
        found.append({"upto": upto, "rows": n, "reached": hits, "share": hits / max(n, 1)})
        low = upto
    return found


def _by_group(rows: Rows, groups: Groups) -> list[dict[str, Any]]:
    """Of each group: misses, precision, calibration and abstention, with n; no ratio where there is nobody. Small groups together."""
    found = []
    names, of = groups
    order = np.argsort(of, kind="stable")
    ends = np.searchsorted(of[order], np.arange(len(names) + 1))
    each = {str(names[k]): order[ends[k] : ends[k + 1]] for k in np.argsort(names) if ends[k] < ends[k + 1]}
    students = {name: _different(rows.student[m]) for name, m in each.items()}
    parts = [(name, m) for name, m in each.items() if students[name] >= SMALL]
    small = [m for name, m in each.items() if students[name] < SMALL]
    if small:
        parts.append(("", np.sort(np.concatenate(small))))
    for name, m in parts:
        y, act = rows.reached[m], rows.said[m] == Band.ACT
        hits, flagged, reached = int((y & act).sum()), int(act.sum()), int(y.sum())
        found.append(
            {
                "group": name, "rows": len(m), "students": _different(rows.student[m]), "reached": reached,
                "missed": {"share": (reached - hits) / reached, "interval": wilson(reached - hits, reached)} if reached else None,
                "precision": {"share": hits / flagged, "interval": wilson(hits, flagged)} if flagged else None,
                "expected": float(rows.chance[m].sum()),
                "cannot_tell": float((rows.said[m] == Band.CANNOT_TELL).mean()),
            }
        )  # fmt: skip
    return found


def first_days(years: Sequence[ClosedYear], line: Line, students: int) -> NDArray[np.int64]:
    """By student number: after how many school days their final marks reached the line; `NEVER` where they did not."""
    first = np.full(students, NEVER, dtype=np.int64)
    for year in years:
        final = year.final[line.counted]
        count = np.cumsum(final == COUNTED, axis=1)
        possible = np.cumsum(final > 0, axis=1).astype(np.int64)
        over = line.reached(count, possible)
        if not line.in_year:
            over = standing(line, final, year.known[0].dates) >= line.days
        if line.share is not None:  # a share means nothing in the first weeks
            over[:, :20] = False
        day = np.where(over.any(axis=1), over.argmax(axis=1) + 1, NEVER)
        np.minimum.at(first, year.student, day)
    return first


def backtest(
    trained_on: Sequence[ClosedYear], judged: Sequence[ClosedYear], learned: dict[Counted, Learned], two: LayerTwo,
    lines: dict[str, Line], groups: Callable[[Rows], dict[str, Groups]], *, held_out: tuple[LayerTwo, set[int]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Every question of every line, judged.

    held_out: layer 2 learned from some schools only, and the numbers (in `judged`) of the others, judged by it.
    """
    students = 1 + max(int(y.student.max(initial=0)) for y in judged)
    first = {name: first_days(judged, line, students) for name, line in lines.items()}
    pooled = {c: pooled_rates(trained_on, c) for c in Counted}
    asked: dict[tuple[str, int], Question] = {}
    for name, line in lines.items():
        for horizon in HORIZONS:
            elsewhere = held_out[0].of(line, horizon)[0] if held_out is not None else None
            others = (elsewhere, held_out[1]) if held_out is not None and elsewhere is not None else None
            asked[name, horizon] = Question(line, horizon, *two.of(line, horizon), others)
    here, looked = on_roll(judged), len(together(judged))
    whole = looked + len(asked)
    every = question_rows(
        judged, list(asked.values()), learned, pooled, lambda done, _parts: progress(done, whole) if progress else None
    )

    def of_one(number: int) -> dict[str, Any]:
        (name, _horizon), q = list(asked.items())[number]
        rows = every[number]
        figures = judge(rows, first[name], groups(rows), on_roll=here) | {"learned": q.box is not None}
        if q.elsewhere is not None:
            there = ~np.isnan(rows.elsewhere)
            reached = rows.reached[there]
            figures["schools_held_out"] = {
                "average_precision": Ranked(reached, rows.elsewhere[there]).average_precision,
                "count": Ranked(reached, rows.baselines["count"][there]).average_precision,
                "rows": len(reached),
            }
        return figures

    report: dict[str, Any] = {name: {} for name in lines}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for done, ((name, horizon), figures) in enumerate(
            zip(asked, threads.map(of_one, range(len(asked))), strict=True), 1
        ):
            report[name]["year-end" if horizon == YEAR_END else str(horizon)] = figures
            if progress:
                progress(looked + done, whole)
    return report
