"""The ground of alerts is the same for a school by itself and beside others, and the same whichever way it is asked."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.forecast.forecasts import Band, Bars, forecast
from firstbell.forecast.known import Carried
from firstbell.forecast.layers import rates
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.reasons import reasons
from firstbell.forecast.training import learn_layer_one
from firstbell.register.grid import Grid
from firstbell.watch.ground import KIND_NUMBERS, Asker, Ground, Registers, ground
from firstbell.watch.kinds import Kind
from tests.forecast.district import closed_years

TEN = find_line("example", "ten-unexcused-days")
DAYS = np.array([d for d in np.arange(np.datetime64("2026-08-31"), np.datetime64("2026-12-01")) if np.is_busday(d)])[
    :60
]
SIMPLE = Asker(("example/ten-unexcused-days",), TEN, 10)


@pytest.fixture(scope="module")
def learned() -> Asker:
    one = learn_layer_one(closed_years(schools=2), Counted.UNEXCUSED)
    return Asker(("example/ten-unexcused-days",), TEN, 10, one, None, Bars(0.1, 0.05), ((0.2, 0.1), (1.0, 0.6)))


def registers(*codes: np.ndarray, sessions: int = 1, through: int = 60, today: int | None = 59) -> Registers:
    """Schools of these letters; a grade a row in turn."""
    sizes = [len(c) for c in codes]
    n = sum(sizes)
    school = np.repeat(np.arange(len(codes), dtype=np.int32), sizes)
    grade = np.concatenate([np.arange(size, dtype=np.int32) % 2 for size in sizes])
    none = np.zeros(n, dtype=np.int32)
    return Registers(
        Grid(np.concatenate(codes), DAYS[: codes[0].shape[1] // sessions], sessions), through, today, school, school * 2 + grade,
        none.astype(np.int8), none, none, {}, Carried.nothing(n),
    )  # fmt: skip


def drawn(seed: int, n: int = 40, sessions: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.full((n, 60 * sessions), ord("P"), dtype=np.uint8)
    away = (rng.random((n, 60)) < rng.beta(0.8, 4, n)[:, None]).repeat(sessions, axis=1)
    codes[away] = rng.choice(np.frombuffer(b"UUUENTS", dtype=np.uint8), (n, 60)).repeat(sessions, axis=1)[away]
    codes[rng.random(codes.shape) < 0.01] = ord("T")
    codes[rng.random(codes.shape) < 0.02] = ord(" ")
    codes[: n // 10, : 20 * sessions] = ord("#")
    if seed % 2:
        codes[:, -sessions:][rng.random((n, 1)).repeat(sessions, axis=1) < 0.7] = ord("U")
    return codes


def as_rows(found: Ground, school: int, first: int) -> list[tuple[object, ...]]:
    """The findings of one school, its rows counted from its own first."""
    mine = found.only(found.school == school)
    columns = [getattr(mine, f.name).tolist() for f in fields(Ground) if f.name not in ("school", "row")]
    return sorted(zip(np.where(mine.row < 0, -1, mine.row - first).tolist(), *columns, strict=True))


@pytest.mark.parametrize("sessions", [1, 7])
@pytest.mark.parametrize("asked", ["the count itself", "the forecast"])
def test_schools_side_by_side_say_what_each_says_alone(sessions: int, asked: str, learned: Asker) -> None:
    asker = SIMPLE if asked == "the count itself" else learned
    codes = [drawn(seed, n, sessions) for seed, n in ((1, 40), (2, 25), (3, 60))]
    together = ground(registers(*codes, sessions=sessions), [asker])
    first = 0
    for k, one in enumerate(codes):
        alone = ground(registers(one, sessions=sessions), [asker])
        assert as_rows(together, k, first) == as_rows(alone, 0, 0)
        assert len(alone) > len(one) / 3
        first += len(one)
    assert {KIND_NUMBERS[Kind.SCHOOL_DAY], KIND_NUMBERS[Kind.HIGH_ABSENCE], KIND_NUMBERS[Kind.LINE_AHEAD]} <= set(
        together.kind.tolist()
    )


def test_who_is_passed_by_would_have_given_no_ground(learned: Asker) -> None:
    """Who has left or has come to the line is not asked about; here everybody is."""
    left = drawn(1, 60)
    left[::7, 45:] = ord("#")
    some = registers(left, drawn(2, 60), through=50, today=None)
    of, known = learned, some.known()
    assert of.learned is not None
    assert of.bars is not None
    r = rates(known, Counted.UNEXCUSED, of.learned)
    f = forecast(known, TEN, 10, of.learned, of.box, of.bars, r=r)
    assert {Band.REACHED, Band.CLEAR, Band.ACT} <= set(f.band)
    assert not f.asked.all()
    told, held = (f.asked & np.isin(f.band, bands) for bands in ([Band.ACT], [Band.WATCH, Band.CANNOT_TELL]))
    rows = np.flatnonzero(told)
    why = dict(zip(rows.tolist(), reasons(known.only(rows), f.chance[rows], TEN, 10, of.learned, of.box, r.among), strict=True))  # fmt: skip
    found = ground(some, [of])
    found = found.only(found.kind == KIND_NUMBERS[Kind.LINE_AHEAD])
    assert list(zip(found.row.tolist(), found.count.tolist(), found.holds.tolist(), found.why.tolist(), strict=True)) == [
        (i, f.count[i], held[i], " ".join(f"{x.why}:{x.count}/{x.of}" for x in why.get(i, [])))
        for i in np.flatnonzero(told | held).tolist()
    ]  # fmt: skip


def test_lines_asked_about_together_say_what_each_says_alone(learned: Asker) -> None:
    some = registers(drawn(1), drawn(2), through=50, today=None)
    five = replace(learned, rules=("example/five",), line=replace(TEN, days=5))

    def ahead(*askers: Asker) -> list[tuple[object, ...]]:
        found = ground(some, askers)
        return [row for k in (0, 1) for row in as_rows(found.only(found.kind == KIND_NUMBERS[Kind.LINE_AHEAD]), k, 0)]

    together = ahead(learned, five)
    assert sorted(together) == sorted(ahead(learned) + ahead(five))
    assert 0 < len(ahead(five)) < len(together)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 59))
def test_nothing_after_the_days_asked_about_is_read(seed: int, through: int) -> None:
    codes = drawn(seed)
    later = codes.copy()
    later[:, through:] = ord("U")
    told = [ground(registers(c, through=through, today=None), [SIMPLE]) for c in (codes, later)]
    assert as_rows(told[0], 0, 0) == as_rows(told[1], 0, 0)


def test_no_school_and_no_day_give_no_ground() -> None:
    assert len(ground(registers(drawn(1)[:0]), [SIMPLE])) == 0
    assert len(ground(registers(drawn(1), through=0, today=None), [SIMPLE])) == 0
