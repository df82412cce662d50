"""Many students are asked by what was not attended in full; one is asked day by day. Both say the same, of every rule of every pack."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.law import packs
from firstbell.law.days import NotEvaluable, Stretch
from firstbell.law.packs import Count, InForce, Pack, Rule, Threshold, in_force
from firstbell.law.reaching import asked_of, counted, same_before, seals, standings
from firstbell.law.timeline import Timeline
from tests.law.draw import MONDAY, a_line, a_pack, a_rule, school_days
from tests.law.test_properties import KINDS, LENGTHS, LETTERS, STRATEGIES

#: how often a student is not simply there
OFTEN = (0, 0.03, 0.3)


def compared(line: Timeline, grades: list[str], law: list[InForce], after: dict[str, Any] | None = None) -> int:
    """Holds what is said of many against what is said of each, day by day; how many lines were reached."""
    rules = [(v, r) for v in law for r in v.pack.rule if r.count is not None]
    reached, still = 0, {}
    for (version, rule), stood in zip(rules, standings(line, grades, law, after), strict=True):
        columns = None
        if rule.window.after_evidence:
            columns = np.full(line.n, len(line.frame.dates), dtype=np.int64)
            for row, on, _of in (after or {}).get(rule.id, ()):
                columns[row] = np.searchsorted(line.frame.dates, np.datetime64(on), side="right")
        if stood.why:
            with pytest.raises(NotEvaluable, match=re.escape(stood.why)):
                asked_of(rule, version, law, line, grades, columns)
            continue
        was = same_before(rule, version, law)
        held = still.get((was[1].first, rule.id)) if was else None
        asked = asked_of(rule, version, law, line, grades, columns, held)
        at_the_end = still[version.first, rule.id] = np.zeros(line.n, dtype=np.bool_)
        for row in range(line.n):
            one = counted(asked, row)
            at_the_end[row] = one.still
            days = [line.frame.dates[f[0] // asked.width] for f in one.fired]
            told = [x[row] for x in (stood.count, stood.possible, stood.times, stood.seal)]
            assert told == [one.count, one.possible, len(days), seals(np.array(days, dtype="datetime64[D]")).sum()], (
                rule.id,
                row,
            )
            nat = np.datetime64("NaT")
            ends = np.array([stood.first[row], stood.last[row]])
            assert np.array_equal(ends, np.array([days[0], days[-1]] if days else [nat, nat]), equal_nan=True)
            reached += len(days)
    return reached


def a_register(
    pick: random.Random, first: date, *, year: int, sessions: int, days: int, students: int = 24, minutes: tuple[int, ...] = ()
) -> Stretch:  # fmt: skip
    """Students who are never, seldom or often away, some of whom come late in the year or leave."""
    dates = np.array(school_days(first, days, closed=[first + timedelta(days=30)]), dtype="datetime64[D]")
    codes = np.full((students, days * sessions), ord("P"), dtype=np.uint8)
    missed = np.zeros(codes.shape, dtype=np.uint16)
    for row in range(students):
        rate = pick.choice(OFTEN)
        for q in range(codes.shape[1]):
            if q and codes[row, q - 1] != ord("P") and pick.random() < 0.8:
                codes[row, q] = codes[row, q - 1]  # a spell goes on
            elif pick.random() < rate:
                codes[row, q] = ord(pick.choice(LETTERS).replace("_", " "))
                missed[row, q] = pick.choice((0, 20, 31, 200)) if chr(codes[row, q]) in "TLHtlh" else 0
        if pick.random() < 0.2:
            codes[row, : pick.randrange(days) * sessions] = ord("#")
        if pick.random() < 0.1:
            codes[row, pick.randrange(days) * sessions :] = ord("#")
    quarter = days // 4
    terms = tuple((dates[k * quarter].astype(object), dates[(k + 1) * quarter - 1].astype(object)) for k in range(4))
    return Stretch("A", year, dates, sessions, codes, missed if pick.random() < 0.5 else None, minutes, terms)


@pytest.mark.parametrize("name", sorted(packs.built_in()))
@pytest.mark.parametrize("sessions", [1, 2])
def test_every_rule_of_every_pack_says_of_many_what_it_says_of_each(name: str, sessions: int) -> None:
    pick = random.Random(f"{name} {sessions}")
    minutes = (390,) if sessions == 1 else (200, 190)
    before = a_register(pick, date(2025, 9, 1), year=2026, sessions=sessions, days=120, minutes=minutes)
    this = a_register(pick, MONDAY, year=2027, sessions=sessions, days=150, minutes=minutes)
    came = np.where(pick.random() < 0.5, this.dates[0], this.dates[np.arange(24)])
    line = Timeline([before, this], this.dates[pick.randint(90, 149)].astype(object), came)
    law = in_force(packs.versions(name), line.frame.day(0), line.as_of)
    done = {
        r.id: [(row, d, "") for row, d in enumerate(this.dates[:24].astype(object)) if pick.random() < 0.5]
        for v in law for r in v.pack.rule if r.window.after_evidence
    }  # fmt: skip
    grades = [f"{1 + k % 12:02}" for k in range(line.n)]
    assert compared(line, grades, law, done)
    turn = pick.choice(this.dates[1:90]).astype(object)
    through = [msgspec.structs.replace(v, last=min(v.last, turn - timedelta(days=1))) for v in law if v.first < turn]
    compared(line, grades, [*through, InForce(_tightened(law[-1].pack, pick), turn, line.as_of)], done)


def _tightened(pack: Pack, pick: random.Random) -> Pack:
    """As a district's own rules have it: some lines lower, some windows longer."""

    def rule(r: Rule) -> Rule:
        t, w = r.threshold, r.window
        if t.count is not None and pick.random() < 0.5:
            t = msgspec.structs.replace(t, count=str(max(Fraction(t.count) - pick.choice((1, 2)), Fraction(1))))
        if t.share is not None and pick.random() < 0.5:
            t = msgspec.structs.replace(t, share=str(Fraction(t.share) * Fraction(pick.choice(("1/2", "3/4")))))
        if w.length is not None and pick.random() < 0.5:
            w = msgspec.structs.replace(w, length=w.length + pick.choice((1, 5)))
        return msgspec.structs.replace(r, threshold=t, window=w)

    return msgspec.structs.replace(pack, rule=tuple(map(rule, pack.rule)))


@st.composite
def _rules(draw: Any) -> tuple[random.Random, Count, Any]:
    pick = random.Random(draw(st.integers(0, 2**32)))
    kind, strategy = draw(st.sampled_from(KINDS)), draw(st.sampled_from(STRATEGIES))
    count = Count(
        strategy=strategy, marks=("unexcused", *pick.sample(["excused", "tardy", "part", "early", "remote"], 2)),
        pending=pick.choice(("counts", "after_grace", "never")), grace=pick.randint(0, 3), minutes_over=pick.choice((None, 30)),
        periods=pick.randint(1, 2), per_day=pick.choice((None, 2)) if strategy == "sessions" else None, unit="sessions",
    )  # fmt: skip
    line = Threshold(op=pick.choice((">=", ">")), count=pick.choice((1, 2, 3, "5/2")))
    if pick.random() < 0.5:
        line = Threshold(op=line.op, share=pick.choice(("1/10", "1/3", "0.05", "1")), minimum=pick.choice((0, 3, 30)))
    rule = a_rule(
        kind, line, length=pick.choice(LENGTHS[kind]) if kind in LENGTHS else None,
        across_years=kind not in ("school_year", "since_enrolment") and pick.random() < 0.4,
        broken_by=pick.choice(("attendance", "any_other_day")), after_evidence="notice" if pick.random() < 0.15 else "",
    )  # fmt: skip
    return pick, count, rule


@settings(max_examples=60)
@given(_rules())
def test_any_rule_says_of_many_what_it_says_of_each(drawn: tuple[random.Random, Count, Any]) -> None:
    """Also where the law changes in the middle of a year, and counts otherwise from then on."""
    pick, count, rule = drawn
    sessions = pick.choice((1, 2))
    minutes = (390,) if sessions == 1 else (200, 190)
    years = [
        a_register(pick, first, year=year, sessions=sessions, days=48, students=8, minutes=minutes)
        for year, first in ((2026, date(2026, 3, 2)), (2027, MONDAY))
    ]
    dates = years[1].dates
    line = Timeline(years[pick.choice((0, 1)) :], dates[pick.randint(0, 47)].astype(object))
    other = Count(
        strategy=count.strategy, marks=("unexcused",), pending="counts", per_day=count.per_day, unit=count.unit
    )
    looser = rule
    if rule.threshold.share is None and pick.random() < 0.5:
        more = str(Fraction(rule.threshold.count) + pick.choice((1, 2)))
        looser = msgspec.structs.replace(rule, threshold=msgspec.structs.replace(rule.threshold, count=more))
    turns = sorted({line.frame.day(0), *(pick.choice(dates[:30]).astype(object) for _ in range(pick.randint(0, 3)))})
    some = [a_pack(pick.choice((rule, looser)), count=pick.choice((count, other)), begins=turn) for turn in turns]
    law = in_force(some, line.frame.day(0), line.as_of)
    compared(
        line, ["05"] * line.n, law, {"rule": [(row, pick.choice(dates).astype(object), "") for row in range(line.n)]}
    )


def test_a_share_is_reached_on_the_day_enough_was_possible_and_again_after_it_fell() -> None:
    """A quarter of at least four days: 1/4 on the fourth, 1/5 on the fifth, 2/6 on the sixth."""
    line = a_line("UPPPP UPPPP", "PPPPP PPPPP")
    rule = a_rule(threshold=Threshold(share="1/4", minimum=4))
    (found,) = standings(line, ["", ""], in_force([a_pack(rule)], line.frame.day(0), line.as_of))
    assert (found.times.tolist(), found.seal[1]) == ([2, 0], 0)
    assert found.first[0] == line.frame.dates[3]
    assert found.last[0] == line.frame.dates[5]
    assert (found.count.tolist(), found.possible.tolist()) == ([2, 0], [10, 10])
