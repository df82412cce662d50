"""What a day counts, by each of the eight ways statutes know. Worked by hand from law.md § 1.3 and § 1.4."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from firstbell.law.days import NotEvaluable, Stretch, derive, unit_of
from firstbell.law.packs import Count, Strategy
from tests.law.draw import a_stretch


def counted(count: Count, register: Stretch, known: int | None = None) -> tuple[list[Fraction], list[Fraction]]:
    """What each day counts, and what of it was possible, in the count's own unit."""
    made = derive(count, register, len(register.dates) if known is None else known)
    return [unit_of(count) * int(c) for c in made.counted[0]], [unit_of(count) * int(p) for p in made.possible[0]]


def a_day(count: Count, squares: str, **stretch: Any) -> tuple[Fraction, Fraction]:
    counts, possible = counted(count, a_stretch(squares, sessions=len(squares), **stretch))
    return counts[0], possible[0]


def test_any_period_missed_without_excuse_is_a_day_counted() -> None:
    wi = Count(strategy="any_period", marks=("unexcused", "tardy"))  # Wis. 118.16: part or all of a day
    days = {
        "PPPP": (0, 1),
        "UPPP": (1, 1),
        "PTPP": (1, 1),
        "PtPP": (0, 1),
        "EEEE": (0, 1),
        "EEEU": (1, 1),
        "U___": (1, 1),
        "####": (0, 0),
        "____": (0, 0),
        "PPP_": (0, 0),  # whether the fourth was missed decides, and nobody knows
    }
    assert {day: a_day(wi, day) for day in days} == days


def test_more_than_half_of_the_periods_missed_are_a_day_missed() -> None:
    wa = Count(strategy="majority_of_periods", marks=("unexcused",))  # RCW 28A.225.020
    days = {
        "PPPPPP": (0, 1),
        "UUUPPP": (0, 1),
        "UUUUPP": (1, 1),
        "UUEEPP": (0, 1),
        "UUUUEE": (1, 1),
        "UUUU##": (1, 1),
        "UUPP##": (0, 1),
        "UU##P#": (1, 1),
        "UUUU__": (1, 1),  # more than half of all six, whatever the two were
        "UU____": (0, 0),  # two of six are known; the four decide
        "UPPPP_": (0, 1),  # two of six at the most
        "______": (0, 0),
    }
    assert {day: a_day(wa, day) for day in days} == days


def test_half_of_the_day_missed_for_any_reason_is_a_day_missed() -> None:
    federal = Count(
        strategy="min_fraction_present", marks=("unexcused", "excused", "exempt", "suspension_out"), pending="counts"
    )
    days = {
        "PP": (0, 1),
        "UP": (1, 1),
        "PE": (1, 1),
        "NS": (1, 1),
        "XP": (1, 1),
        "TL": (0, 1),
        "II": (0, 1),
        "FR": (0, 1),
        "#U": (1, 1),
        "##": (0, 0),
        "__": (0, 0),
        "U_": (1, 1),  # half at the least
        "P_": (0, 1),  # as the signals have it: of what is known
    }
    assert {day: a_day(federal, day) for day in days} == days


def test_a_share_of_the_day_is_of_its_minutes_where_the_calendar_says_them() -> None:
    half = Count(strategy="min_fraction_present", marks=("unexcused", "tardy", "early"))
    minutes = (60, 90, 90, 60)  # 300
    assert a_day(half, "PUPP", minutes=minutes) == (0, 1)
    assert a_day(half, "UUPP", minutes=minutes) == (1, 1)  # 150 of 300
    assert a_day(half, "UTPP", minutes=minutes, missed={1: 89}) == (0, 1)  # 149
    assert a_day(half, "UTPP", minutes=minutes, missed={1: 90}) == (1, 1)
    assert a_day(half, "TPPP", minutes=minutes, missed={0: 200}) == (0, 1)  # no more than the session has


def test_another_share_than_half_can_be_a_day_missed() -> None:
    third = Count(strategy="min_fraction_present", marks=("unexcused",), missed="1/3")
    assert [a_day(third, day)[0] for day in ("UPP", "UPPP", "UUPPPP", "UUPPPPP")] == [1, 0, 1, 0]


def test_only_a_day_missed_wholly_is_a_full_day() -> None:
    ca = Count(strategy="full_day_only", marks=("unexcused",))  # 5 CCR 404: present unless absent the entire day
    days = {
        "UUUU": (1, 1),
        "UUUP": (0, 1),
        "UUUT": (0, 1),
        "UUU#": (1, 1),
        "UUUE": (1, 1),  # most of what was missed had no excuse
        "UUEE": (0, 1),
        "EEEE": (0, 1),
        "UUU_": (0, 0),  # the whole day only if the last was missed too, and nobody knows
        "EEE_": (0, 1),  # and here it would not matter
        "UP__": (0, 1),
        "____": (0, 0),
    }
    assert {day: a_day(ca, day) for day in days} == days


def test_a_snapshot_day_is_what_its_one_period_was() -> None:
    tx = Count(strategy="snapshot", marks=("unexcused", "excused"), session=2)
    days = {
        "PUPP": (1, 1),
        "UPUU": (0, 1),
        "PEPP": (1, 1),
        "PTPP": (0, 1),
        "P_PP": (0, 0),
        "U#UU": (0, 0),
        "_P__": (0, 1),
    }
    assert {day: a_day(tx, day) for day in days} == days
    unknown = derive(tx, a_stretch("_P__ P_PP", sessions=4), 2).unknown[0]
    assert unknown.tolist() == [False, True]  # only the period that is asked about


def test_sessions_are_counted_one_by_one() -> None:
    eng = Count(strategy="sessions", marks=("unexcused", "pending"), unit="sessions", pending="counts", per_day=2)
    days = {
        "//": (0, 2),
        "UU": (2, 2),
        "UP": (1, 2),
        "NE": (1, 2),
        "U#": (1, 1),
        "U_": (1, 1),
        "__": (0, 0),
        "TP": (0, 2),
    }
    assert {day: a_day(eng, day.replace("/", "P")) for day in days} == days


def test_who_came_so_late_that_the_register_had_closed_missed_the_session() -> None:
    wls = Count(strategy="sessions", marks=("unexcused", "tardy"), unit="sessions", per_day=2, minutes_over=30)
    assert [a_day(wls, "TP", missed={0: m})[0] for m in (0, 30, 31)] == [0, 0, 1]
    assert a_day(msgspec.structs.replace(wls, minutes_over=None), "TP", missed={0: 31}) == (0, 2)


def test_half_days_are_halves_of_days() -> None:
    nz = Count(strategy="sessions", marks=("unexcused", "excused"), unit="days", per_day=2)
    assert [a_day(nz, day) for day in ("UP", "UE", "PP")] == [(Fraction(1, 2), 1), (1, 1), (0, 1)]


def test_a_mark_for_the_whole_day_is_of_every_session_the_law_sees() -> None:
    eng = Count(strategy="sessions", marks=("unexcused",), unit="sessions", per_day=2)
    assert [a_day(eng, day) for day in ("U", "P", "_", "#")] == [(2, 2), (0, 2), (0, 0), (0, 0)]


def test_of_many_periods_the_first_of_each_half_is_its_session() -> None:
    eng = Count(strategy="sessions", marks=("unexcused",), unit="sessions", per_day=2)
    assert [a_day(eng, day) for day in ("UPPPPP", "PUUPUU", "UPPUPP", "_UU_UU")] == [(1, 2), (0, 2), (2, 2), (0, 0)]
    with pytest.raises(NotEvaluable, match="A day of 3 sessions can’t be read as 2"):
        a_day(eng, "UUU")


def test_a_whole_day_missed_is_its_lesson_hours() -> None:
    nl = Count(strategy="sessions", marks=("unexcused",), unit="lesson_hours")
    assert a_day(nl, "UUPPPPP") == (2, 7)
    assert a_day(nl, "U", minutes=(390,)) == (6, 6)
    with pytest.raises(NotEvaluable, match="lesson hours"):
        a_day(nl, "U")


def test_minutes_add_up_to_hours_exactly() -> None:
    oh = Count(strategy="accumulate_minutes", marks=("unexcused", "tardy", "early"), unit="hours")
    minutes = (200, 190)
    assert a_day(oh, "UU", minutes=minutes) == (Fraction(13, 2), Fraction(13, 2))
    assert a_day(oh, "TP", minutes=minutes, missed={0: 20}) == (Fraction(1, 3), Fraction(13, 2))
    assert a_day(oh, "Tt", minutes=minutes, missed={0: 20, 1: 50}) == (Fraction(1, 3), Fraction(13, 2))
    assert a_day(oh, "TU", minutes=minutes, missed={0: 999}) == (Fraction(13, 2), Fraction(13, 2))
    assert a_day(oh, "U_", minutes=minutes) == (Fraction(10, 3), Fraction(10, 3))
    assert a_day(oh, "EE", minutes=minutes) == (0, Fraction(13, 2))
    with pytest.raises(NotEvaluable, match="how many minutes a school day has"):
        a_day(oh, "U")


def test_a_day_of_two_or_more_periods_without_excuse_counts() -> None:
    ma = Count(strategy="n_periods_unexcused", marks=("unexcused",))  # 76:1B
    days = {
        "UPPPPPP": (0, 1),
        "UPPPPPU": (1, 1),
        "UEEEEEE": (0, 1),
        "UUUUUUU": (1, 1),
        "UU_____": (1, 1),
        "UPPPPP_": (0, 0),
        "PPPPPP_": (0, 1),
        "#######": (0, 0),
    }
    assert {day: a_day(ma, day) for day in days} == days


def test_a_part_of_a_day_counts_when_more_than_so_many_minutes_were_missed() -> None:
    ca = Count(strategy="any_period", marks=("unexcused", "tardy"), unit="events", minutes_over=30)
    assert [a_day(ca, "T", minutes=(360,), missed={0: m})[0] for m in (29, 30, 31)] == [0, 0, 1]
    assert a_day(ca, "U", minutes=(360,)) == (1, 1)
    assert a_day(ca, "UP", minutes=(30, 330)) == (0, 1)
    assert a_day(ca, "UP", minutes=(31, 329)) == (1, 1)
    assert a_day(ca, "T") == (0, 1)  # nobody said how late


def test_a_mark_nobody_has_explained_counts_once_its_grace_has_run_out() -> None:
    #                    MTWTF
    register = a_stretch("NPPNP")
    tx = Count(strategy="any_period", marks=("unexcused",), pending="after_grace", grace=3)
    assert counted(tx, register, 3)[0] == [0, 0, 0, 0, 0]
    assert counted(tx, register, 4)[0] == [1, 0, 0, 0, 0]
    assert counted(tx, register, 5)[0] == [1, 0, 0, 0, 0]
    at_once = Count(strategy="any_period", marks=("unexcused",), pending="counts")
    assert counted(at_once, register)[0] == [1, 0, 0, 1, 0]
    assert counted(Count(strategy="any_period", marks=("unexcused",)), register)[0] == [0, 0, 0, 0, 0]


def test_days_to_come_are_neither_missed_nor_possible() -> None:
    #                                                          MTWTF MTWTF
    assert counted(Count(strategy="full_day_only", marks=("unexcused",)), a_stretch("UPUUU UUUUU"), 3) == (
        [1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    )


def test_a_student_taught_remotely_is_absent_where_the_law_says_so_and_only_there() -> None:
    us = Count(strategy="full_day_only", marks=("excused",))
    england = Count(strategy="full_day_only", marks=("excused", "remote"))
    assert [a_day(count, "R") for count in (us, england)] == [(0, 1), (1, 1)]
    assert a_day(Count(strategy="full_day_only", marks=("suspension_in",)), "I") == (1, 1)  # Connecticut


def test_one_day_is_present_for_one_rule_and_truant_for_another() -> None:
    day = "UUUPPPP"
    assert a_day(Count(strategy="full_day_only", marks=("unexcused",)), day) == (0, 1)
    assert a_day(Count(strategy="n_periods_unexcused", marks=("unexcused",)), day) == (1, 1)
    assert a_day(Count(strategy="majority_of_periods", marks=("unexcused",)), day) == (0, 1)


@pytest.mark.parametrize("letter", "PFRITLHtlh")
def test_every_kind_of_presence_ends_a_run_and_no_absence_does(letter: str) -> None:
    every = Count(strategy="full_day_only", marks=("unexcused",))
    made = derive(every, a_stretch(f"U{letter}ENX S_#"), 8)
    assert made.stops[0].astype(bool).tolist() == [False, True, False, False, False, False, False, False]


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_many_students_at_once_are_counted_as_one_at_a_time(strategy: Any) -> None:
    pick = np.random.default_rng(1)
    codes = pick.choice(np.frombuffer(b"PPPPUUENTLHtlhXSIFR# ", dtype=np.uint8), size=(300, 12))
    missed = np.where(np.isin(codes, np.frombuffer(b"TL", dtype=np.uint8)), 40, 0).astype(np.uint16)
    missed[::2] = 0
    drawn = a_stretch("PPPPP PPPPP PP")
    marks = ("unexcused", "tardy", "part", "suspension_in")
    count = Count(strategy=strategy, marks=marks, pending="after_grace", grace=2, per_day=2, minutes_over=30)
    for by_square in (False, True) if strategy in ("sessions", "accumulate_minutes") else (False,):
        for known in (0, 1, 9, 12):
            for late in (None, missed):
                whole = derive(count, Stretch("", 1, drawn.dates, 1, codes, late, (390,)), known, by_square=by_square)
                for row in (0, 1, 77, 299):
                    one = slice(row, row + 1)
                    lost = None if late is None else late[one]
                    alone = derive(
                        count, Stretch("", 1, drawn.dates, 1, codes[one], lost, (390,)), known, by_square=by_square
                    )
                    for part in ("counted", "possible", "stops", "unknown"):
                        assert (getattr(whole, part)[row] == getattr(alone, part)[0]).all()
