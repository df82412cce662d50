"""Small numbers kept back: worked by hand, and never to be solved."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.signals.suppression import Column, kept_back, side_by_side


@pytest.mark.parametrize(
    ("parts", "hidden"),
    [
        ([40, 30, 20], set()),
        ([40, 30, 0], set()),  # a nought is about nobody
        ([0, 0], set()),
        ([40, 30, 4], {1, 2}),  # 74 less 40 is 34: 4 alone would be solved, so the next smallest goes with it
        ([40, 4, 5], {0, 1, 2}),  # two of them are 9 together, and that is a small number too
        ([40, 6, 5], {1, 2}),
        ([12], set()),
        ([1] * 10, set(range(10))),  # all kept back; a reader can't tell that none is a nought
        ([12, 3, 0, 0], {0, 1}),
    ],
)
def test_parts_of_a_total(parts: list[int], hidden: set[int]) -> None:
    assert kept_back(parts) == hidden


def test_a_small_total_is_kept_back_with_all_its_parts() -> None:
    assert kept_back([4, 5, 0]) is None
    assert side_by_side([[4, 5, 0]]) == [Column(None, (None, None, None))]


def test_nearly_everybody_is_kept_back_as_nearly_nobody_is() -> None:
    assert kept_back([95, 50, 40], [100, 90, 90]) == {0, 2}  # five of the first were not reached
    assert kept_back([95, 98], [100, 100]) is None  # seven of all


def test_a_group_whose_size_is_kept_back_is_kept_back_whatever_it_has() -> None:
    sizes = [1, 90, 120]
    unsized = kept_back(sizes)
    assert unsized == {0, 1}
    assert kept_back([0, 30, 40], sizes, unsized=unsized) == {0, 1}
    assert kept_back([1, 0, 40], sizes, unsized=unsized) == {0, 1, 2}


def test_a_group_without_anybody_gives_nothing_away() -> None:
    assert kept_back([30, 40, 0], [100, 100, 0]) == set()
    assert kept_back([30, 4, 0], [100, 100, 0]) == {0, 1}


def test_beside_each_other_what_one_keeps_back_none_shows() -> None:
    a, b = side_by_side([[40, 30, 4], [41, 31, 12]])
    assert a == Column(74, (40, None, None))
    assert b == Column(84, (41, None, None))


def test_columns_alike_are_kept_back_alike() -> None:
    a, b = side_by_side([[40, 30, 4, 20], [40, 30, 4, 20]])
    assert a == b


sizes = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=5)


def could_be(made: Column, of: list[int] | None, unsized: frozenset[int]) -> list[dict[int, int]]:
    """Every table a reader cannot rule out: the total, the parts told, the sizes told, and what the other groups are together."""
    assert made.total is not None
    hidden = [i for i, n in enumerate(made.parts) if n is None]
    left = made.total - sum(n for n in made.parts if n is not None)
    pool = sum(of[i] for i in unsized) if of is not None else 0
    caps = [left if of is None else min(left, pool if i in unsized else of[i]) for i in hidden]
    found = [
        dict(zip(hidden, some, strict=True)) for some in product(*(range(cap + 1) for cap in caps)) if sum(some) == left
    ]
    return [some for some in found if of is None or sum(n for i, n in some.items() if i in unsized) <= pool]


@settings(max_examples=400, deadline=None)
@given(sizes, st.booleans(), st.lists(st.integers(0, 11), min_size=5, max_size=5))
def test_no_part_kept_back_can_be_solved_and_no_small_part_stands(
    drawn: list[tuple[int, int]], with_sizes: bool, beside: list[int]
) -> None:
    least = 3
    parts = [n for n, _rest in drawn]
    of = [n + rest for n, rest in drawn] if with_sizes else None
    unsized: frozenset[int] = frozenset()
    if of is not None:
        found = kept_back(of, least=least)
        unsized = frozenset(range(len(of))) if found is None else found
    other = [min(n, of[i]) if of is not None else n for i, n in enumerate(beside[: len(parts)])]
    for column, made in zip((parts, other), side_by_side([parts, other], of, unsized, least), strict=True):
        assert all(n is None or n == 0 or n >= least for n in made.parts)
        if made.total is None:
            assert set(made.parts) == {None}
            continue
        assert made.total == sum(column)
        if made.total == 0:
            continue
        could = could_be(made, of, unsized)
        for i, n in enumerate(made.parts):
            if n is None and (of is None or of[i]):
                assert len({some[i] for some in could}) >= 2
        if of is not None:  # nor is it told how many of a group were nearly all
            assert all(n is None or i in unsized or not 0 < of[i] - n < least for i, n in enumerate(made.parts))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6))
def test_side_by_side_totals_are_those_of_the_parts(drawn: list[tuple[int, int]]) -> None:
    for column, made in zip(
        ([a for a, _ in drawn], [b for _, b in drawn]),
        side_by_side([[a for a, _ in drawn], [b for _, b in drawn]]),
        strict=True,
    ):
        if made.total is not None:
            assert made.total == sum(column)
            assert all(n is None or n == was for n, was in zip(made.parts, column, strict=True))
