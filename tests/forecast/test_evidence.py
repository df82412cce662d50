"""Layer 0 by hand: P present, E excused, U unexcused, N no reason yet, ' ' not known."""

from __future__ import annotations

import numpy as np
import pytest

from firstbell.forecast.evidence import ADDED, AGES, Col, Evidence, Fates, gather, kinds_of_days
from firstbell.forecast.lines import Counted, Line, UnknownLine, find_line
from firstbell.register.grid import Grid

#: excused stays excused; a week-old U stays, a fresh one does three times of four; half of what has no reason yet ends as U
FATES = Fates(
    np.stack([np.zeros(AGES), np.where(np.arange(AGES) < 5, 0.75, 1.0), np.full(AGES, 0.5)]), usual=0.5
)  # fmt: skip


def a_grid(*rows: str, sessions: int = 1) -> Grid:
    codes = np.frombuffer("".join(rows).encode(), dtype=np.uint8).reshape(len(rows), -1)
    days = codes.shape[1] // sessions
    return Grid(codes, np.datetime64("2026-08-31") + np.arange(days), sessions)


def evidence(*rows: str, counted: Counted = Counted.UNEXCUSED) -> Evidence:
    grid = a_grid(*rows)
    n = len(rows)
    kinds = kinds_of_days(grid, grid.days, counted)
    return gather(kinds, np.ones((1, grid.days)), np.zeros(n, dtype=np.int32), FATES, np.zeros(n), np.zeros(n))


def test_it_counts_what_is_known() -> None:
    e = evidence("PPUUP NPPEP UPPPP".replace(" ", ""))
    assert e[Col.COUNT][0] == 3
    assert e[Col.PENDING][0] == 1
    assert e[Col.ABSENT][0] == 5
    assert e[Col.POSSIBLE][0] == 15
    assert e[Col.STARTS][0] == 4  # UU, N, E, U
    assert e[Col.SINCE][0] == 4
    assert e[Col.STREAK][0] == 0


def test_a_day_nobody_knows_is_neither_present_nor_absent() -> None:
    known, unknown = evidence("UPPPPPPPPP"), evidence("UPP   PPPP")
    assert known[Col.POSSIBLE][0] - unknown[Col.POSSIBLE][0] == 3
    assert unknown[Col.COUNT][0] == 1


def test_days_in_a_row_without_a_reason_share_one_fate() -> None:
    e = evidence("PPPPPPPPPPPNNN")  # three days of one spell: all of them count, or none
    added = e.added[0]
    assert added[0] == pytest.approx(1 - added[3])
    assert added[1] == added[2] == 0
    assert e[Col.SETTLED][0] == 0


def test_two_spells_have_a_fate_each() -> None:
    added = evidence("PPPPPPPPPNPN").added[0]
    assert (added[:3] > 0).all()
    assert added.sum() == pytest.approx(1)


def test_who_never_explained_before_is_expected_not_to_now() -> None:
    never, always = evidence("UUPUPPUPPPPPPPN", "EEPEPPEPPPPPPPN").added[:, 1]
    assert never > 0.5 > always


def test_a_settled_mark_is_not_doubted() -> None:
    e = evidence("UUPPPPPPPP")
    assert e[Col.SETTLED][0] == 2
    assert e.added[0].tolist() == [1] + [0] * (ADDED - 1)


def test_a_day_missed_in_part_is_no_full_day() -> None:
    grid = a_grid("UUUPNNUEU ", sessions=2)
    kinds = kinds_of_days(grid, 5, Counted.UNEXCUSED)[0].tolist()
    # UU counts; of UP half was missed: absent, not a full day; NN waits; UE is not mostly unexcused; of "U " half is not known
    assert kinds == [3, 2, 4, 2, 2]
    assert (kinds_of_days(grid, 5, Counted.ABSENT)[0] == 3).all()


def test_an_unknown_rule_names_those_there_are() -> None:
    with pytest.raises(UnknownLine, match="ten-unexcused-days"):
        find_line("example", "nine-days")
    with pytest.raises(UnknownLine, match="example"):
        find_line("us-xx", "ten-unexcused-days")


def test_a_share_of_the_days_is_reached_exactly() -> None:
    chronic = find_line("example", "chronic-absence")
    assert chronic.reached_at(np.array([1, 9, 10, 11, 180])).tolist() == [1, 1, 1, 2, 18]
    assert Line(Counted.UNEXCUSED, "", days=10).reached_at(np.array([5])).tolist() == [10]
