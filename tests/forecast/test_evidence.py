"""Layer 0 by hand: P present, E excused, U unexcused, N no reason yet, ' ' not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.forecast.evidence import (
    ADDED,
    AGES,
    EXPLAINED,
    SPELLS,
    Col,
    Days,
    Evidence,
    Fates,
    count_fates,
    gather,
    kinds_of_days,
    settled_days,
)
from firstbell.forecast.lines import Counted, Line, UnknownLine, find_line
from firstbell.register.grid import Grid

#: excused stays excused; a week-old U stays, a fresh one does three times of four; half of what has no reason yet ends as U
BY_AGE = np.stack([np.zeros(AGES), np.where(np.arange(AGES) < 5, 0.75, 1.0), np.full(AGES, 0.5)])
FATES = Fates(np.repeat(BY_AGE[:, :, None], SPELLS, axis=2), usual=0.5)

#: a school of which nothing is known yet
NO_SCHOOL = np.zeros((1, 2))


def a_grid(*rows: str, sessions: int = 1) -> Grid:
    codes = np.frombuffer("".join(rows).encode(), dtype=np.uint8).reshape(len(rows), -1)
    days = codes.shape[1] // sessions
    return Grid(codes, np.datetime64("2026-08-31") + np.arange(days), sessions)


def evidence(*rows: str, counted: Counted = Counted.UNEXCUSED) -> Evidence:
    grid = a_grid(*rows)
    n = len(rows)
    kinds = kinds_of_days(grid, grid.days, counted)
    return gather(
        Days.of(kinds), np.ones((1, grid.days)), np.zeros(n, dtype=np.int32), FATES, np.zeros(n), np.zeros(n), NO_SCHOOL
    )


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
    e = evidence("PPPPPPPPPPNNNP")  # three days of one spell: all of them count, or none
    added = e.added[0]
    assert added[0] == pytest.approx(1 - added[3])
    assert added[1] == added[2] == 0
    assert e[Col.SETTLED][0] == 0


def test_two_spells_have_a_fate_each() -> None:
    added = evidence("PPPPPPPPPNPNP").added[0]
    assert (added[:3] > 0).all()
    assert added.sum() == pytest.approx(1)


def test_who_never_explained_before_is_expected_not_to_now() -> None:
    never, always = evidence("UUPUPPUPPPPPPPNP", "EEPEPPEPPPPPPPNP").added[:, 1]
    assert never > 0.5 > always


def test_a_schools_habit_speaks_for_who_has_none_of_their_own() -> None:
    """Of two hundred absences that ended twenty counted at the first school, and a hundred and eighty at the second; a half in the district."""
    grid = a_grid("PPPPPPPPPPPPPNP", "PPPPPPPPPPPPPNP", "UPUPUPUPUPUPUNP")
    kinds, none = kinds_of_days(grid, grid.days, Counted.UNEXCUSED), np.zeros(3)
    schools, settled = np.array([0, 1, 0], dtype=np.int32), np.array([[200.0, 20.0], [200.0, 180.0]])
    e = gather(Days.of(kinds), np.ones((2, grid.days)), schools, FATES, none, none, settled)
    assert e[Col.EXPECTED][:2].tolist() == pytest.approx([70 / 300, 230 / 300])
    own = (5 * 70 / 300 + 4) / 9  # four of this student's absences have ended, and all of them counted
    assert e[Col.HABIT].tolist() == pytest.approx([70 / 300, 230 / 300, own])


def test_a_school_is_known_by_absences_old_enough_to_be_settled() -> None:
    grid = a_grid("UEPPPPPPPPP", "NUPPPPPPPPU", "PPEPPPPPPPP")
    kinds = kinds_of_days(grid, grid.days, Counted.UNEXCUSED)
    # eleven days, of which the last eight may still change
    assert settled_days(Days.of(kinds), np.array([0, 0, 1], dtype=np.int32), 2).tolist() == [[4, 2], [1, 0]]


def test_the_spell_going_on_stands_by_itself() -> None:
    e = evidence("UUPPPPPPPNNN")
    assert e.added[0, 0] == 1
    assert (e[Col.OPEN][0], e[Col.CURRENT][0]) == (3, pytest.approx(0.5, abs=0.2))
    assert evidence("UUPPPPPPPNNNP")[Col.OPEN][0] == 0


def test_a_reason_for_the_first_days_of_a_spell_will_be_given_for_the_others() -> None:
    """Ana's absence has a note for its first day, Bo's has none, and in this school that tells them apart.

    Ana  PPPP PPENN
    Bo   PPPP PPNNN
    """
    chance = FATES.chance.copy()
    chance[2, :, EXPLAINED:] = 0.1
    grid = a_grid("PPPPPPENN", "PPPPPPNNN")
    kinds, none = kinds_of_days(grid, grid.days, Counted.UNEXCUSED), np.zeros(2)
    e = gather(
        Days.of(kinds), np.ones((1, grid.days)), none.astype(np.int32), Fates(chance, 0.5), none, none, NO_SCHOOL
    )
    assert e[Col.CURRENT].tolist() == pytest.approx([0.1, 0.5])


def test_a_long_illness_does_not_hide_that_short_absences_are_without_leave() -> None:
    """An illness of eight days and four single days without leave: of days away four in twelve count, of absences begun four in five."""
    e = evidence("PUPPEEEEEEEEPPUPUPPUPPPPPP")
    assert (e[Col.BEGUN_COUNTED][0], e[Col.STARTS][0]) == (4, 5)
    assert (e[Col.STAYED_COUNTED][0], e[Col.COULD_STAY_COUNTED][0]) == (0, 4)
    assert (e[Col.STAYED][0], e[Col.COULD_STAY][0]) == (7, 12)


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


def day_by_day(kinds: list[int], weights: list[float]) -> dict[Col, float]:
    """What fades, summed the long way: every known day halves what came before it in 5, 15 or 45 days."""
    spans = (
        (5.0, Col.STARTS_5, Col.EXPOSED_5, Col.AWAY_5, Col.DAYS_5), (15.0, Col.STARTS_15, Col.EXPOSED_15, Col.AWAY_15, Col.DAYS_15),
        (45.0, Col.STARTS_45, Col.EXPOSED_45, None, Col.DAYS_45),
    )  # fmt: skip
    found = dict.fromkeys(
        [c for span in spans for c in span[1:] if c is not None] + [Col.EXPOSED, Col.STAYED, Col.COULD_STAY], 0.0
    )
    was = False
    for k, w in zip(kinds, weights, strict=True):
        if k == 0:
            continue
        away = 2 <= k <= 4
        for half, starts, exposed, gone, days in spans:
            for col in (starts, exposed, gone, days):
                if col is not None:
                    found[col] *= 0.5 ** (1 / half)
            found[starts] += away and not was
            found[exposed] += 0 if was else w
            found[days] += 1
            if gone is not None:
                found[gone] += away
        found[Col.EXPOSED] += 0 if was else w
        found[Col.COULD_STAY] += was
        found[Col.STAYED] += was and away
        was = away
    return found


@given(st.lists(st.sampled_from([0, 1, 1, 1, 1, 1, 2, 3, 4, 5]), min_size=1, max_size=60), st.integers(0, 1000))
def test_a_run_of_days_taken_in_one_step_is_the_same_as_day_by_day(kinds: list[int], seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.3, 3, (1, len(kinds)))
    row, none = np.array([kinds], dtype=np.uint8), np.zeros(1)
    e = gather(Days.of(row), weights, np.zeros(1, dtype=np.int32), FATES, none, none, NO_SCHOOL)
    for col, wanted in day_by_day(kinds, weights[0].tolist()).items():
        assert e[col][0] == pytest.approx(wanted, abs=1e-9), col.name
    known = [k for k in kinds if k]
    # a fate for each kind of spell, so sure that no habit moves it: the very kinds that closed years are learned from
    sure = np.random.default_rng(seed).integers(0, 2, (3, AGES, SPELLS)).astype(float)
    of_spells = gather(Days.of(row), weights, np.zeros(1, dtype=np.int32), Fates(sure, 0.5), none, none, NO_SCHOOL)
    hits, seen = np.zeros((2, *sure.shape))
    count_fates(row, row, hits, seen)
    assert of_spells[Col.EXPECTED][0] == (sure * seen).sum()
    assert np.array_equal(hits[1], seen[1])
    assert not hits[[0, 2]].any()
    assert e[Col.POSSIBLE][0] == len(known)
    assert e[Col.ABSENT][0] == sum(2 <= k <= 4 for k in known)
    assert e.added[0].sum() == pytest.approx(1)
