"""How far the forecast's advantage depends on the district: `python -m bench.range_bench --students 8000`.

The backtest on several made-up districts that differ in what nobody knows of a real one: how long absence lasts once begun, whether
students break off from their own pattern, when bad days fall, how much a year follows from the last; and on districts of other makings (`bench.strangers`).
What counts is the *range*: a gain that only one of them shows is a gain of the generator. Everything here is simulated, and says nothing of
a real district.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.strangers import STRANGERS, stranger
from firstbell.forecast.backtest import Question, first_days, judge, pooled_rates, question_rows
from firstbell.forecast.breaks import Watched, judge_breaks, watched
from firstbell.forecast.evidence import Fates
from firstbell.forecast.known import Known
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.pooling import Before
from firstbell.forecast.training import ClosedYear, collect, fit_layer_two, learn_layer_one
from firstbell.signals.kernel import day_matrix
from firstbell.simulator.behaviour import SHIFTED_DAYS, SPELLS, USUAL, Options
from firstbell.simulator.district import Simulated, simulate
from firstbell.simulator.registers import Register, registers

FULL, QUICK = 8000, 600  # students a district
TODAY = date(2026, 6, 12)
LINE, HORIZON, EVERY = find_line("example", "ten-unexcused-days"), 10, 5
#: as in force (watch.kinds): the bar of a break, and the days away it takes
BREAK_BAR, BREAK_DAYS = 4.6, 3
DISTRICTS: dict[str, Options] = {
    "usual": USUAL,
    "weak spells": Options(spells=SPELLS["weak"]),
    "strong spells": Options(spells=SPELLS["strong"]),
    "no breaks": Options(breaks=False),
    "shifted shocks": Options(shock_shift=SHIFTED_DAYS),
    "year follows less": Options(year_correlation=0.5),
    "year follows more": Options(year_correlation=0.95),
}
_CLOSED = Fates.of_a_closed_year()


@dataclass(frozen=True, slots=True)
class Row:
    """One district: average precisions and their ratios, and of breaks the share seen within three school days at the rule's own false alarms.

    false_alarms  for one of the count's, at equal recall: the worst place
    in_time       of who reaches the line, the share flagged five school days before
    alerts        a week for 100 students, as the desk opens them
    slopes        of calibration by grade band, the lowest and the highest
    error         of a chance, by grade band, the worst
    """

    district: str
    reached: int
    forecast: float
    against_count: float
    against_last_20: float
    false_alarms: float
    in_time: float
    alerts: float
    slopes: tuple[float, float]
    error: float
    breaks: int
    ours: float
    three_of_five: float


def closed_years(
    students: int, seed: int, options: Options
) -> tuple[list[ClosedYear], list[ClosedYear], list[Watched], list[Simulated]]:
    """The first year to learn from, the second to judge on, the second as every evening saw it, and what made them."""
    first: list[ClosedYear] = []
    second: list[ClosedYear] = []
    evenings: list[Watched] = []
    made: list[Simulated] = []
    for simulated in simulate(students=students, seed=seed, today=TODAY, options=options):
        made.append(simulated)
        n = simulated.cluster.n
        before = {c: Before(*np.zeros((6, n))) for c in Counted}
        attended = np.zeros((2, n), dtype=np.int32)
        for register in registers(simulated, 0, seed):
            year = _closed(register, {})
            first.append(year)
            end = _known(register, len(register.dates) - 1, {})
            for c in Counted:
                for name in Before.__slots__:
                    getattr(before[c], name)[register.rows] = getattr(summary(end, c, _CLOSED), name)
            kinds = end.kinds[Counted.ABSENT]
            attended[:, register.rows] = (kinds == 3).sum(axis=1), (kinds > 0).sum(axis=1)
        for register in registers(simulated, 1, seed):
            second.append(_closed(register, before))
            evenings.append(_watched(register, attended))
    return first, second, evenings, made


def _known(register: Register, evening: int, before: dict[Counted, Before]) -> Known:
    band = np.where(register.grade <= 5, 0, np.where(register.grade <= 8, 1, 2)).astype(np.int8)
    mine = {c: b.rows(register.rows) for c, b in before.items()}
    return Known.of(register.grid(evening), evening + 1, _groups(register), band, before=mine)


def _groups(register: Register) -> NDArray[np.int32]:
    return np.unique(register.grade, return_inverse=True)[1].astype(np.int32)


def _closed(register: Register, before: dict[Counted, Before]) -> ClosedYear:
    days = len(register.dates)
    known = [_known(register, evening, before) for evening in range(EVERY - 1, days, EVERY)]
    end = _known(register, days - 1, before)
    return ClosedYear(
        2026, register.school, known, end.kinds, register.student, np.zeros((len(register.rows), days), dtype=np.bool_)
    )


def _watched(register: Register, attended: NDArray[np.int32]) -> Watched:
    days = len(register.dates)
    end = day_matrix(register.grid(), days)
    evenings = ((d + 1, day_matrix(register.grid(d), days)) for d in range(days))
    return watched(
        evenings, end, register.student, _groups(register), *attended[:, register.rows], least_away=BREAK_DAYS
    )


def judged(name: str, students: int, seed: int) -> Row:
    evenings: list[Watched] = []
    if name in STRANGERS:
        first, second, _hidden = stranger(name, students, seed)
    else:
        first, second, evenings, _made = closed_years(students, seed, DISTRICTS[name])
    learned = {c: learn_layer_one(first, c) for c in Counted}
    two = fit_layer_two(collect(first, [LINE], learned, horizons=(HORIZON,)), sum(len(y.student) for y in first))
    question = Question(LINE, HORIZON, *two.of(LINE, HORIZON))
    [rows] = question_rows(second, [question], learned, {LINE.counted: pooled_rates(first, LINE.counted)})
    most = 1 + max(int(y.student.max(initial=0)) for y in second)
    found = judge(rows, first_days(second, LINE, most), {}, rounds=5)
    seen: dict[str, Any] = judge_breaks(evenings, BREAK_BAR) if evenings else {"breaks": 0}
    rule = next((d for d in seen.get("detectors", ()) if (d["name"], d["bar"]) == ("last_5", 3.0)), None)
    ours = next(
        (d for d in seen.get("at_equal_false_alarms", ()) if (d["name"], d["than_bar"]) == ("last_5", 3.0)), None
    )
    if "average_precision" not in found:
        raise SystemExit(
            f"{name}: {found['reached']} rows reached the line, too few to judge by. Take more --students."
        )
    bands = list(found["calibration"]["by_grade_band"].values()) or [found["calibration"]]
    nothing = float("nan")
    return Row(
        name, found["reached"], found["average_precision"]["forecast"]["value"], found["ratio"]["count"], found["ratio"]["last_20"],
        max(found["false_alarms_at_equal_recall"]["count"].values(), default=nothing), found["lead"]["five_days"],
        found["alerts_a_week_per_100"],
        (min(b["slope"] for b in bands), max(b["slope"] for b in bands)), max(b["error"] for b in bands), seen["breaks"],
        ours["within"]["3"]["value"] if ours else nothing, rule["within"]["3"]["value"] if rule else nothing,
    )  # fmt: skip


def run(students: int = FULL, seed: int = 41, names: Sequence[str] = ()) -> list[Row]:
    names = names or ([*DISTRICTS, *STRANGERS] if students >= QUICK * 2 else ["usual", "no breaks", "B"])
    return [judged(name, students, seed) for name in names]


def show(rows: Sequence[Row]) -> None:
    table = Table(
        title=f"Simulated districts: {LINE.title}, within {HORIZON} school days; and breaks", title_justify="left"
    )
    for heading in (
        "district",
        "reached",
        "average precision",
        "x count so far",
        "x last 20 days",
        "false alarms for one",
        "in time",
        "alerts a week",
        "slopes",
        "error",
        "breaks",
        "seen in 3 days",
        "by 3 of 5",
    ):
        table.add_column(heading, justify="left" if heading == "district" else "right")
    for r in rows:
        table.add_row(
            r.district, f"{r.reached:,}", f"{r.forecast:.3f}", f"{r.against_count:.2f}", f"{r.against_last_20:.2f}", f"{r.false_alarms:.2f}",
            f"{r.in_time:.2f}", f"{r.alerts:.2f}", f"{r.slopes[0]:.2f}-{r.slopes[1]:.2f}", f"{r.error:.4f}", f"{r.breaks:,}",
            f"{r.ours:.2f}", f"{r.three_of_five:.2f}",
        )  # fmt: skip
    console = Console(width=200)
    console.print(table)
    for words, values in (
        ("the count so far", [r.against_count for r in rows]), ("absences in the last 20 days", [r.against_last_20 for r in rows]),
        ("3 of the last 5 days at its own false alarms (breaks within 3 days)", [r.ours / r.three_of_five for r in rows]),
    ):  # fmt: skip
        if np.isfinite(values).any():
            console.print(f"range against {words}: {np.nanmin(values):.2f} to {np.nanmax(values):.2f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--district", action="append", default=[], choices=[*DISTRICTS, *STRANGERS])
    options = parser.parse_args()
    show(run(QUICK if options.quick else options.students, options.seed, options.district))
