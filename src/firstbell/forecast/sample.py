"""The audit sample: who is drawn for a look each week, and what the answers say of misses and false alarms.

The list says of some students that somebody should look, and of most nothing. Whether "nothing" was right can only be known by looking at
some of those too, drawn by chance. Students are drawn by stratum: who is *listed*, and the others by how near the line they are thought
to be, because most of whom the list misses will be near it. Within a stratum and a week everybody is as likely to be drawn as everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from hashlib import blake2b
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["Answers", "Found", "Share", "Stratum", "drawn", "found", "how_many", "limits", "share", "strata_of"]

#: from one school in one week at most so many of a stratum; from the schools of one desk (the same officers) at most so many
A_SCHOOL, A_DESK = 1, 2
#: of those not listed, the highest twentieth is *near*, the three before it *middle*
MIDDLE_FROM, NEAR_FROM = 0.80, 0.95
#: a share is told from so many answers on, and where its interval leaves out half of what it could be
ENOUGH, TOO_WIDE = 20, 0.5


class Stratum(StrEnum):
    LISTED = "listed"
    NEAR = "near"
    MIDDLE = "middle"
    FAR = "far"


#: those the list said nothing of
NOT_LISTED = (Stratum.NEAR, Stratum.MIDDLE, Stratum.FAR)


# -- drawing ---------------------------------------------------------------------------------------------------------------


def strata_of(listed: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.str_]:
    """(n,) each student's stratum. score: the chance of reaching the line, or the count so far; who ties with an edge goes below it.

    >>> strata_of(np.array([True, False, False, False]), np.array([9.0, 0.0, 0.0, 4.0])).tolist()
    ['listed', 'far', 'far', 'near']
    """
    found = np.full(len(listed), Stratum.FAR, dtype="U6")
    rest = score[~listed]
    if len(rest):
        middle, near = np.quantile(rest, (MIDDLE_FROM, NEAR_FROM))
        found[score > middle] = Stratum.MIDDLE
        found[score > near] = Stratum.NEAR
    found[listed] = Stratum.LISTED
    return found


def how_many(school: NDArray[np.int64], desk: NDArray[np.int64]) -> int:
    """How many of a stratum to draw: the most that gives no school, and no desk, more than its share of time.

    school, desk: of each of its students. A bigger district is drawn from more; a small school gets one now and then.

    >>> how_many(np.array([1] * 300 + [2] * 100), np.array([1] * 300 + [2] * 100))
    1
    >>> how_many(np.repeat(np.arange(10), 50), np.repeat(np.arange(5), 100))
    10
    """
    n = len(school)
    if not n:
        return 0
    biggest, busiest = (int(np.unique(of, return_counts=True)[1].max()) for of in (school, desk))
    return min(n, n * A_SCHOOL // biggest, n * A_DESK // busiest)


def drawn(
    seed: int, stratum: str, who: NDArray[np.int64], school: NDArray[np.int64], desk: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Which of a stratum's students are drawn, as places in `who`; each with the same chance, `how_many` of `len(who)` exactly.

    Systematic sampling (Madow & Madow 1944) down a list by desk and school, in an order of chance within a school: a school has
    its part of the draw rounded up or down. Chance comes from a hash of the seed and the student, so that the same seed draws the same
    students wherever it is run.
    """
    size, n = len(who), how_many(school, desk)
    if not n:
        return np.empty(0, dtype=np.int64)
    luck = np.array([_luck(seed, int(i)) >> 65 for i in who], dtype=np.int64)
    line = np.lexsort((who, luck, school, desk))
    start = _luck(seed, stratum) % size
    found: NDArray[np.int64] = line[[(start + k * size) // n for k in range(n)]]
    return found


def _luck(seed: int, of: int | str) -> int:
    """128 bits nobody chose."""
    return int.from_bytes(blake2b(f"{seed}:{of}".encode(), digest_size=16).digest(), "big")


def in_any_order(seed: int, who: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in `who`, in an order that says nothing of anybody's stratum."""
    return np.array(sorted(range(len(who)), key=lambda k: _luck(seed, f"order {who[k]}")), dtype=np.int64)


# -- what the answers say ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answers:
    """A stratum in one week: of `size` students so many were drawn, so many of these answered in time, and of those somebody should `act`."""

    stratum: Stratum
    size: int
    drawn: int
    answered: int
    act: int

    def __post_init__(self) -> None:
        if not 0 <= self.act <= self.answered <= self.drawn <= self.size:
            raise ValueError(f"{self.act} of {self.answered} of {self.drawn} of {self.size} cannot be")


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its interval; no value where nobody answered. answered: how many answers it rests on."""

    value: float | None
    low: float
    high: float
    answered: int

    @property
    def can_tell(self) -> bool:
        return self.value is not None and self.answered >= ENOUGH and self.high - self.low <= TOO_WIDE


@dataclass(frozen=True, slots=True)
class Found:
    """What the looks of some weeks say. Everything is about students who were drawn from: those nobody had decided about lately.

    missed        of students not listed, those somebody should act on
    false_alarms  of students listed, those nobody need act on
    miss_rate     of students somebody should act on, those not listed
    not_listed    how many were not listed, in the mean of the weeks
    at_least, at_most   `missed`, had every look that was not answered been nothing, or been somebody to act on
    """

    weeks: int
    drawn: int
    answered: int
    strata: dict[Stratum, tuple[Answers, Share]]
    missed: Share
    false_alarms: Share
    miss_rate: Share
    not_listed: float
    at_least: float | None
    at_most: float | None


def found(weeks: Sequence[Sequence[Answers]], confidence: float = 0.95) -> Found:
    """What the looks say, a tuple of strata a week.

    Strata of one kind are pooled over the weeks. `missed` adds up the strata not listed by the variance estimates recovered from each one's limits
    (MOVER: Zou & Donner 2008), so that an interval stays lopsided near none. `miss_rate` takes both of its parts at the root of the
    confidence (Šidák 1967), for they are drawn independently.

    By hand: 100 listed, 10 drawn, 5 to act on; 900 not listed, 30 drawn, none. False alarms are one half; missed none; and of those
    to act on none is missed.

    >>> week = (Answers(Stratum.LISTED, 100, 10, 10, 5), Answers(Stratum.FAR, 900, 30, 30, 0))
    >>> f = found([week])
    >>> f.false_alarms.value, f.missed.value, f.miss_rate.value
    (0.5, 0.0, 0.0)
    >>> round(f.missed.high, 3)
    0.113
    """
    by = {s: [a for week in weeks for a in week if a.stratum is s] for s in Stratum}
    listed = share(by[Stratum.LISTED], confidence)
    missed = _together([by[s] for s in NOT_LISTED], confidence)
    strata = {s: (_summed(s, of), share(of, confidence)) for s, of in by.items() if of}
    every = [a for week in weeks for a in week]
    rest = [a for a in every if a.stratum in NOT_LISTED]
    return Found(
        len(weeks), sum(a.drawn for a in every), sum(a.answered for a in every), strata, missed,
        Share(None if listed.value is None else 1 - listed.value, 1 - listed.high, 1 - listed.low, listed.answered),
        _miss_rate(by, confidence), sum(a.size for a in rest) / max(len(weeks), 1),
        _as_if(by, answered_act=False), _as_if(by, answered_act=True),
    )  # fmt: skip


def share(weeks: Sequence[Answers], confidence: float = 0.95) -> Share:
    """The share to act on in one stratum, over its weeks. Who did not answer is taken to be like who did, in that week.

    A week weighs as many students as it had. Where weeks were not drawn from alike, their answers are worth fewer than there are
    (Kish 1965), and what is then not a whole number is rounded away from the middle. Limits are exact for one draw without replacement, and for
    weeks drawn alike: drawing in parts spreads no more than drawing at once (Hoeffding 1956).
    """
    told = [w for w in weeks if w.answered]
    if not told:
        return Share(None, 0.0, 1.0, 0)
    size = sum(w.size for w in told)
    value = sum((Fraction(w.size * w.act, w.answered) for w in told), Fraction()) / size
    worth = floor(Fraction(size * size) / sum((Fraction(w.size**2, w.answered) for w in told), Fraction()))
    hits = value * worth
    every = sum(w.size for w in weeks)
    low, high = _lowest(every, worth, floor(hits), confidence), _highest(every, worth, ceil(hits), confidence)
    exact = float(value)
    return Share(exact, min(low, exact), max(high, exact), sum(w.answered for w in told))


def limits(size: int, n: int, hits: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact limits of a share of `size`, `hits` of `n` drawn without replacement: every share the hypergeometric does not rule out.

    By hand: of 10 students 9 are drawn and none is a hit. The tenth may be one: nine times in ten they would be among the nine, so once in
    ten this is what would be seen. Two can't be missed by nine.

    >>> limits(10, 9, 0)
    (0.0, 0.1)
    >>> limits(5, 5, 2)
    (0.4, 0.4)
    >>> tuple(round(x, 3) for x in limits(10**6, 30, 0))
    (0.0, 0.116)
    """
    return _lowest(size, n, hits, confidence), _highest(size, n, hits, confidence)


def _lowest(size: int, n: int, hits: int, confidence: float) -> float:
    return _first(size, lambda k: 1 - _at_most(size, n, k, hits - 1) > (1 - confidence) / 2) / size


def _highest(size: int, n: int, hits: int, confidence: float) -> float:
    return (_first(size, lambda k: _at_most(size, n, k, hits) <= (1 - confidence) / 2) - 1) / size


def _first(size: int, passed: Callable[[int], bool]) -> int:
    """The first of 0 … size that passed, where all after it do too; size + 1 where none does."""
    low, high = 0, size + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passed(middle) else (middle + 1, high)
    return low


def _at_most(size: int, n: int, of: int, hits: int) -> float:
    """The chance of at most `hits` among `n` drawn from `size` that hold `of`."""
    if hits >= min(of, n):
        return 1.0
    k = np.arange(max(0, n - (size - of)), hits + 1)
    ways = _ways(of, k) + _ways(size - of, n - k) - _ways(size, np.array(n))
    return float(min(np.exp(ways).sum(), 1.0))


def _ways(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return found


def _together(strata: Sequence[Sequence[Answers]], confidence: float) -> Share:
    """One share of several strata, each by its size."""
    held = [(sum(a.size for a in weeks), share(weeks, confidence)) for weeks in strata if any(a.size for a in weeks)]
    answered, size = sum(s.answered for _n, s in held), sum(n for n, _s in held)
    parts = [(n / size, s.value, s.low, s.high) for n, s in held if s.value is not None]
    if not parts or len(parts) < len(held):
        return Share(None, 0.0, 1.0, answered)
    value = sum(w * v for w, v, _low, _high in parts)
    below = sqrt(sum((w * (v - low)) ** 2 for w, v, low, _high in parts))
    above = sqrt(sum((w * (high - v)) ** 2 for w, v, _low, high in parts))
    return Share(value, max(value - below, 0.0), min(value + above, 1.0), answered)


def _miss_rate(by: dict[Stratum, list[Answers]], confidence: float) -> Share:
    each = sqrt(confidence)
    rest, listed = _together([by[s] for s in NOT_LISTED], each), share(by[Stratum.LISTED], each)
    not_listed, on_list = (sum(a.size for s in some for a in by[s]) for some in (NOT_LISTED, (Stratum.LISTED,)))
    answered = rest.answered + listed.answered

    def rate(missed: float, caught: float) -> float | None:
        missed, caught = missed * not_listed, caught * on_list
        return missed / (missed + caught) if missed + caught else None

    low, high = rate(rest.low, listed.high), rate(rest.high, listed.low)
    value = None if rest.value is None or listed.value is None else rate(rest.value, listed.value)
    return Share(value, low or 0.0, 1.0 if high is None else high, answered)


def _as_if(by: dict[Stratum, list[Answers]], *, answered_act: bool) -> float | None:
    """`missed`, had everybody answered, and all the same."""
    full = [
        [replace(a, answered=a.drawn, act=a.act + (a.drawn - a.answered) * answered_act) for a in by[s]]
        for s in NOT_LISTED
    ]
    return _together(full, 0.95).value


def _summed(stratum: Stratum, weeks: Sequence[Answers]) -> Answers:
    return Answers(stratum, *(sum(getattr(a, name) for a in weeks) for name in ("size", "drawn", "answered", "act")))
