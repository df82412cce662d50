"""Small numbers kept back, so that nobody can be found in a table.

Published is a total and its parts (by school, by group, by week), perhaps with how many each part has at most. A part of fewer than
`LEAST` is kept back; so are as many others as it takes that no part kept back can be reckoned from what is published. A nought is about
nobody and may stand, unless it has to hide somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["LEAST", "Column", "kept_back", "side_by_side", "small"]

#: fewer than so many are kept back (law.md § 8)
LEAST = 10


@dataclass(frozen=True, slots=True)
class Column:
    """A total and its parts as published; None: kept back."""

    total: int | None
    parts: tuple[int | None, ...]


def small(n: int, least: int = LEAST) -> bool:
    return 0 < n < least


def kept_back(
    parts: Sequence[int], of: Sequence[int] | None = None, also: frozenset[int] = frozenset(), unsized: frozenset[int] = frozenset(),
    least: int = LEAST,
) -> frozenset[int] | None:  # fmt: skip
    """Which parts to keep back; None: all of them, and the total.

    of       how many each part has at most: a group's size, of whom so many were reached; published, but for
    unsized  the groups whose size is itself kept back, and they with it
    also     parts kept back for another reason

    >>> sorted(kept_back([40, 30, 4, 20]))
    [2, 3]
    >>> kept_back([4, 3])
    """
    total = sum(parts)
    if total == 0:
        return also | unsized
    if small(total, least) or (of is not None and small(sum(of) - total, least)):
        return None
    hidden = set(also | unsized) | {i for i, n in enumerate(parts) if small(n, least)}
    if of is not None:
        hidden |= {i for i, n in enumerate(parts) if i not in unsized and small(of[i] - n, least)}
    while hidden and not _safe(parts, of, hidden, unsized, least):
        more = [i for i, n in enumerate(parts) if i not in hidden and n > 0]
        if not more:
            return _all_of(parts, of, unsized)
        hidden.add(min(more, key=lambda i: (parts[i], i)))
    return frozenset(hidden)


def _bounds(
    i: int, hidden: Collection[int], parts: Sequence[int], of: Sequence[int] | None, unsized: frozenset[int], least_of: int
) -> tuple[int, int]:  # fmt: skip
    """Between what a reader can put part i, who takes each part kept back for at least `least_of`, and of at most its size less that."""
    together = sum(parts[j] for j in hidden)
    highest = together - least_of * (len(hidden) - 1)
    if of is None:
        return least_of, highest
    pool = sum(of[j] for j in unsized)  # how many the groups without a size are together is known
    known = [j for j in hidden if j not in unsized]
    others = sum(of[j] - least_of for j in known if j != i)
    if i in unsized:
        lowest = together - others - (pool - least_of if len(unsized) > 1 else 0)
        return max(least_of, lowest), min(pool, highest)
    return max(least_of, together - others - pool), min(of[i] - least_of, highest)


def _safe(
    parts: Sequence[int], of: Sequence[int] | None, hidden: set[int], unsized: frozenset[int], least: int
) -> bool:
    """Whether each part kept back could still be at least two numbers, for a reader who guesses that none is a nought and none is everybody."""
    together = sum(parts[i] for i in hidden)
    if len(hidden) < 2 or together < least or together <= len(hidden):
        return False
    if of is not None and sum(of[i] for i in hidden) - together < least:
        return False
    return all(low < high for low, high in (_bounds(i, hidden, parts, of, unsized, 1) for i in hidden))


def _all_of(parts: Sequence[int], of: Sequence[int] | None, unsized: frozenset[int]) -> frozenset[int] | None:
    """Every part, if the total does not give one away; a nought may be among them, and a reader can't tell."""
    everything = frozenset(i for i in range(len(parts)) if of is None or of[i] > 0)
    if any(low >= high for low, high in (_bounds(i, everything, parts, of, unsized, 0) for i in everything)):
        return None
    return everything if len(everything) > 1 else None


def side_by_side(
    columns: Sequence[Sequence[int]], of: Sequence[int] | None = None, unsized: frozenset[int] = frozenset(), least: int = LEAST
) -> list[Column]:  # fmt: skip
    """Columns about the same parts, published beside each other: what one keeps back, none shows, for they are often nearly the same."""
    hidden = unsized
    while True:
        found = [kept_back(column, of, hidden, unsized, least) for column in columns]
        together = frozenset().union(hidden, *(h for h in found if h is not None))
        if together == hidden:
            break
        hidden = together
    return [
        Column(None, (None,) * len(column)) if h is None
        else Column(sum(column), tuple(None if i in h else n for i, n in enumerate(column)))
        for column, h in zip(columns, found, strict=True)
    ]  # fmt: skip
