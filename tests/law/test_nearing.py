"""Who is near a line: the clock's own arithmetic, of many students at once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from firstbell.law.clock import Status, positions
from firstbell.law.nearing import Near, nearing, told_ahead
from firstbell.law.packs import Ages, Applies, Count, Duty, InForce, Threshold
from firstbell.law.whom import Person, applies
from tests.law.draw import MONDAY, UNEXCUSED, a_line, a_pack, a_rule, in_force, school_days

LETTER = Duty(kind="notify", title="Write to the family")
HOURS = Count(strategy="accumulate_minutes", marks=("unexcused",), unit="hours")


def near(
    *registers: str, kind: str = "school_year", threshold: Any = 4, count: Count = UNEXCUSED, **rule: Any
) -> list[Near]:
    drawn = {k: rule.pop(k) for k in ("as_of", "minutes") if k in rule}
    line, asked = a_line(*registers, **drawn), a_rule(kind, threshold, **rule)
    return nearing(line, [""] * line.n, [in_force(a_pack(asked, count=count), line)], [asked])


def test_two_more_days_reach_the_line_and_which_are_counted() -> None:
    #                    MTWTF MTWTF
    (ana,) = near("PUPPP PUPPP", "PUPPP PPPPP", "UUUUP PPPPP")  # the second has one of four, the third has reached it
    assert (ana.row, ana.count, ana.at, ana.leaves) == (0, 2, 4, None)
    assert ana.days == (date(2026, 9, 1), date(2026, 9, 8))


def test_the_oldest_day_leaves_a_window_that_slides() -> None:
    (ana,) = near("PUPPP PUPPP", kind="rolling_calendar_days", length=28)
    assert ana.leaves == date(2026, 9, 29)  # four weeks after 1 September


def test_of_three_days_the_second_is_near_and_not_the_first() -> None:
    assert near("UPPPP", threshold=3) == []
    assert [n.count for n in near("UPUPP", threshold=3)] == [2]


def test_a_line_reached_in_this_month_is_not_told_of_again_and_next_month_is_new() -> None:
    assert near("PUUUU PPPPP", kind="calendar_month") == []
    begins_anew = "PUUUU PPPPP PPPPP PPPPP PPUUP"  # the thirtieth of September, and the first of October
    assert near(begins_anew, kind="calendar_month", as_of=date(2026, 10, 2), threshold=2, near=1)[0].days == (
        date(2026, 10, 1),
    )


def test_a_line_reached_in_this_window_before_the_law_changed_is_not_told_of_again() -> None:
    """Three days of eight, and the first of them has left."""
    line = a_line("UUUPP PPPPP", "PUUPP PPPPP", as_of=date(2026, 9, 10))
    old, new = a_rule("rolling_school_days", 3, length=8), a_rule("rolling_school_days", 3, length=8, near=2)
    turn = date(2026, 9, 8)
    law = [InForce(a_pack(old), MONDAY, turn - timedelta(days=1)), InForce(a_pack(new, begins=turn), turn, line.as_of)]
    assert [n.row for n in nearing(line, ["", ""], law, [new])] == [1]
    born = {0: date(2010, 9, 1), 1: date(2010, 9, 1)}  # sixteen since the first Tuesday
    of_age = Applies(ages=Ages(from_=16, under=18))
    law = [
        msgspec.structs.replace(
            v, pack=a_pack(a_rule("rolling_school_days", 3, length=8, applies=of_age, near=2), begins=v.first)
        )
        for v in law
    ]
    assert [n.row for n in nearing(line, ["", ""], law, list(law[1].pack.rule), born)] == [0, 1]


def test_hours_are_minutes_of_which_sixty_are_one() -> None:
    (ana,) = near("UPPPP", threshold=6, count=HOURS, near=3, minutes=(240,))
    assert (ana.count, ana.at) == (240, 360)


def test_who_is_told_ahead() -> None:
    assert told_ahead(a_rule(duty=LETTER))
    assert not told_ahead(a_rule(duty=None))
    assert not told_ahead(a_rule(duty=Duty(kind="classify", title="is so called")))
    assert not told_ahead(a_rule(duty=LETTER, near=0))
    allowed = Duty(kind="petition", title="A complaint may be filed", may=True, severity="punitive")
    assert not told_ahead(a_rule(duty=allowed))
    assert not told_ahead(a_rule(duty=LETTER, applies=Applies(flags=("homeless",))))


def test_of_who_waits_only_for_enough_days_to_be_possible_no_room_is_told() -> None:
    line = a_line("UUUUU PPPP")
    share = a_rule("school_year", Threshold(share="1/10", minimum=10), duty=LETTER)
    assert nearing(line, [""], [in_force(a_pack(share), line)], [share]) == []


WINDOWS = [
    ("school_year", None), ("calendar_month", None), ("consecutive", None), ("rolling_calendar_days", 9), ("rolling_school_days", 6),
    ("rolling_months", 1), ("rolling_school_weeks", 2),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("PPUUEN_#", min_size=25, max_size=25), min_size=1, max_size=4), st.sampled_from(WINDOWS),
    st.one_of(st.integers(2, 7), st.sampled_from(["1/10", "1/4"])), st.integers(1, 4), st.sampled_from(["year", "window"]),
)  # fmt: skip
def test_it_says_what_the_clock_says_of_each(
    registers: list[str], window: tuple[str, int | None], threshold: Any, told_at: int, once: str
) -> None:
    kind, length = window
    if isinstance(threshold, str):
        threshold = Threshold(share=threshold) if kind == "school_year" else 3
    line = a_line(*registers)
    asked = a_rule(kind, threshold, length=length, near=told_at, once=once)
    law = [in_force(a_pack(asked), line)]
    found = {n.row: n for n in nearing(line, [""] * line.n, law, [asked])}
    for row in range(line.n):
        (position,) = positions(line.of(row), 0, Person(), law)
        if row in found:
            mine = found[row]
            assert position.status is Status.NEAR
            assert (mine.count, mine.at - mine.count) == (position.count, position.remaining)
            assert (mine.days, mine.leaves) == (position.marks, position.leaves)
        elif position.status is Status.NEAR:
            half = 2 * position.count >= position.count + (position.remaining or 0)
            assert not half or any(position.window[0] <= fired.on for fired in position.firings)


TWELVE = Ages(from_=12, under=18)
TURNED_12 = date(2026, 9, 9)  # a Wednesday, the eighth school day


def test_what_was_missed_before_the_birthday_brings_nobody_nearer() -> None:
    born = {0: TURNED_12.replace(year=2014), 1: TURNED_12.replace(year=2014)}
    line = a_line("PUUUP PPPUP PPPPP", "UUUUU PPPUU PPPPP", "PUUUP PPPPP PPPPP")  # the third was twelve before
    asked = a_rule("school_year", 4, applies=Applies(ages=TWELVE), near=1)
    found = nearing(line, [""] * 3, [in_force(a_pack(asked), line)], [asked], born)
    assert [(n.row, n.count) for n in found] == [(2, 3)]
    later = a_line("PUUUP PPPUU PPUPP", "UUUUU PPUUP PPPPP")
    found = nearing(later, [""] * 2, [in_force(a_pack(asked), later)], [asked], born)
    # who had reached it at eleven by days that do not count has not reached it, and is not near it with two
    assert [(n.row, n.count, [f"{d:%d %b}" for d in n.days]) for n in found] == [(0, 3, ["10 Sep", "11 Sep", "16 Sep"])]


@settings(max_examples=200, deadline=None)
@given(
    st.text("PPUUEN_", min_size=25, max_size=25), st.sampled_from(["school_year", "calendar_month", "consecutive"]), st.integers(2, 7),
    st.integers(-3, 45), st.sampled_from([12, 18]), st.booleans(),
)  # fmt: skip
def test_who_is_near_is_who_reaches_the_line_with_one_more_day(
    register: str, kind: str, threshold: int, turns: int, years: int, by_pack: bool
) -> None:
    asked = a_rule(kind, threshold, near=1, applies=Applies() if by_pack else Applies(ages=TWELVE))
    pack = a_pack(asked, ages=TWELVE if by_pack else None)
    days = school_days(MONDAY, 26)
    turned = MONDAY + timedelta(days=turns)
    person = Person(turned.replace(year=turned.year - years))
    assume(kind != "calendar_month" or days[-1].month == days[-2].month)
    line, next_day = a_line(register, days=days[:-1]), a_line(register + "U", days=days)
    assume(not applies(asked, pack, person, days[-1], next_day.school_year))
    (then,) = positions(next_day, 0, person, [in_force(pack, next_day)])
    near = nearing(line, [""], [in_force(pack, line)], [asked], {0: person.birth_date})
    assert bool(near) == (days[-1] in {f.on for f in then.firings})
    if near:
        assert (*near[0].days, days[-1]) == then.marks
