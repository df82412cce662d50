"""A made-up register in arrays says what the files would; and breaks judged by when they really set in."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from firstbell.forecast.breaks import Onsets, Watched, judge_breaks, onsets, watched
from firstbell.signals.kernel import DAY, day_matrix
from firstbell.simulator.district import Simulated, simulate
from firstbell.simulator.registers import Register, registers

THE_LAST_OF_JUNE = date(2026, 6, 12)


@pytest.fixture(scope="module")
def district() -> list[Simulated]:
    return list(simulate(students=6000, seed=7, today=THE_LAST_OF_JUNE))


@pytest.fixture(scope="module")
def schools(district: list[Simulated]) -> list[tuple[Simulated, Register]]:
    return [(s, register) for s in district for register in registers(s, 1, seed=7)]


def test_in_the_end_who_was_away_is_away(schools: list[tuple[Simulated, Register]]) -> None:
    for simulated, register in schools:
        bits = day_matrix(register.grid(), len(register.dates))
        known = bits & DAY.UNKNOWN == 0
        really = simulated.years[1].whole[register.rows]
        assert (bits & DAY.ABSENT != 0)[really & known].all()
        there = ~really & (bits & DAY.POSSIBLE != 0) & known
        assert (bits & DAY.ABSENT != 0)[there].mean() < 0.02  # most classes of a day missed, one by one


def test_an_evening_knows_nothing_of_what_was_entered_later(schools: list[tuple[Simulated, Register]]) -> None:
    _simulated, register = schools[0]
    n = register.sessions
    fifty, end = register.grid(50).codes, register.grid().codes
    assert set(np.unique(fifty[:, 51 * n :]).tolist()) <= {ord(" "), ord("#")}
    changed = (fifty != end)[:, : 51 * n].reshape(len(fifty), 51, n).any(axis=2)
    assert changed[:, 46:].mean() > 10 * changed[:, :40].mean()  # explained within days
    assert changed[:, 46:].mean() > 0.01


def test_who_moved_during_the_year_is_left_out(
    district: list[Simulated], schools: list[tuple[Simulated, Register]]
) -> None:
    moved = {(s.cluster.number, int(i)) for s in district for i in np.flatnonzero(s.cluster.moved_to >= 0)}
    there = {(s.cluster.number, int(i)) for s, register in schools for i in register.rows}
    assert moved
    assert not moved & there


def really(simulated: Simulated, register: Register, judged: Onsets) -> Onsets:
    """The onsets the simulator drew: a break begins with the first day away after it set in, where at least four days of it were missed."""
    behaviour = simulated.years[1]
    found = []
    for row, i in enumerate(register.rows.tolist()):
        for begun, over in sorted(zip(behaviour.onset[i].tolist(), behaviour.over[i].tolist(), strict=True)):
            away = np.flatnonzero(behaviour.whole[i, max(begun, 0) : over]) + begun
            if begun >= 0 and len(away) >= 4 and judged.first[row] <= away[0] <= judged.last[row]:
                found.append((row, away[0], over + 5))
    row, starts, ends = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Onsets(row, starts, ends, judged.first, judged.last)


def test_of_breaks_that_were_really_drawn_most_are_seen_within_days(
    schools: list[tuple[Simulated, Register]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Simulated, and no claim about a real district. The definition by the record must find most of the drawn onsets, near their day; ours must
    not see fewer than 3 of the last 5 days at no more alerts."""
    years: list[Watched] = []
    truth: list[Onsets] = []
    near: list[int] = []
    for simulated, register in schools:
        days = len(register.dates)
        final = day_matrix(register.grid(), days)
        none = np.zeros(len(final), dtype=np.int32)
        group = np.unique(register.grade, return_inverse=True)[1].astype(np.int32)
        evenings = ((d + 1, day_matrix(register.grid(d), days)) for d in range(days))
        years.append(watched(evenings, final, register.student, group, none, none, least_away=3))
        by_record = onsets(final)
        drawn = really(simulated, register, by_record)
        truth.append(drawn)
        for row, starts, ends in zip(drawn.row, drawn.starts, drawn.ends, strict=True):
            meets = (by_record.row == row) & (by_record.starts <= ends) & (by_record.ends >= starts)
            near.append(int(np.abs(by_record.starts[meets] - starts).min(initial=99)))
    report = judge_breaks(years, 4.6, truth)
    with capsys.disabled():
        print(
            f"\n{report['breaks']} drawn breaks; found by the record's definition within 2 days: {np.mean(np.array(near) <= 2):.2f}"
        )
        for d in [*report["detectors"], *report["at_equal_false_alarms"]]:
            seen = " ".join(f"{w}: {p['value']:.2f}" for w, p in d["within"].items())
            name = (
                f"ours, as false as {d['name']} at {d['than_bar']:.0f}"
                if "than_bar" in d
                else f"{d['name']} at {d['bar']:.1f}"
            )
            print(f"  {name:28} seen within {seen}  false alarms {d['false_alarms']['value']:.1f}")
    assert report["breaks"] >= 80
    assert np.mean(np.array(near) <= 2) > 0.6
    assert np.mean(np.array(near) < 99) > 0.75
    ours = report["detectors"][0]
    assert ours["within"]["10"]["value"] > 0.9
    assert ours["median"]["value"] <= 3
    rule = next(d for d in report["detectors"] if (d["name"], d["bar"]) == ("last_5", 3.0))
    equal = next(d for d in report["at_equal_false_alarms"] if (d["name"], d["than_bar"]) == ("last_5", 3.0))
    assert equal["within"]["5"]["value"] >= rule["within"]["5"]["value"] - 0.03
