"""The ground of alerts is the same for a school by itself and beside others, and the same whichever way it is asked."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.forecast.forecasts import Bars
from firstbell.forecast.known import Carried
from firstbell.forecast.lines import Counted, find_line
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
