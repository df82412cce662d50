"""Every signal, worked by hand from a drawn register."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from firstbell.signals.kernel import DAY, Count, Signals, Window, compute, marked
from firstbell.signals.told import day_text, days_told, told
from tests.signals.draw import a_grid


def of(*rows: str, sessions: int = 1, through: int | None = None, last: tuple[int, int] = (0, 0)) -> Signals:
    grid = a_grid(*rows, sessions=sessions)
    group = np.zeros(len(rows), dtype=np.int32)
    absent, possible = (np.full(len(rows), n, dtype=np.int32) for n in last)
    return compute(grid, grid.days if through is None else through, group, absent, possible)


def test_counts_in_the_last_five_and_ten_days_and_the_year() -> None:
    #       MTWTF MTWTF MTWTF
    ana = of("UUPPP PPUET PNPPL")
    year, ten, five = ({c: int(ana.days(c, w)[0]) for c in Count} for w in (Window.YEAR, Window.LAST_10, Window.LAST_5))
    assert year == {
        Count.POSSIBLE: 15,
        Count.ABSENT: 5,
        Count.UNAUTHORISED: 3,
        Count.PENDING: 1,
        Count.LATE: 1,
        Count.PART: 2,
    }
    assert ten == {
        Count.POSSIBLE: 10,
        Count.ABSENT: 3,
        Count.UNAUTHORISED: 1,
        Count.PENDING: 1,
        Count.LATE: 1,
        Count.PART: 2,
    }
    assert five == {
        Count.POSSIBLE: 5,
        Count.ABSENT: 1,
        Count.UNAUTHORISED: 0,
        Count.PENDING: 1,
        Count.LATE: 0,
        Count.PART: 1,
    }


def test_only_days_up_to_the_day_asked_about_count() -> None:
    assert of("UUPPP PPUET", through=2).days(Count.ABSENT, Window.YEAR).tolist() == [2]


@pytest.mark.parametrize(
    ("day", "absent", "part"),
    [
        ("PP", 0, 0),
        ("UP", 1, 0),
        ("UU", 1, 0),
        ("U_", 1, 0),
        ("P_", 0, 0),
        ("#U", 1, 0),
        ("TP", 0, 1),
        ("##", 0, 0),
        ("__", 0, 0),
    ],
)
def test_a_day_is_absent_when_at_least_half_of_its_known_sessions_were(day: str, absent: int, part: int) -> None:
    signals = of(day, sessions=2)
    assert (int(signals.days(Count.ABSENT, Window.YEAR)[0]), int(signals.days(Count.PART, Window.YEAR)[0])) == (
        absent,
        part,
    )


def test_three_of_seven_periods_missed_is_a_part_day_and_four_an_absent_one() -> None:
    signals = of("UUUPPPP", "UUUUPPP", sessions=7)
    assert signals.days(Count.ABSENT, Window.YEAR).tolist() == [0, 1]
    assert signals.days(Count.PART, Window.YEAR).tolist() == [1, 0]
    assert signals.missed_squares.tolist() == [3, 4]
    assert signals.possible_squares.tolist() == [7, 7]


def test_a_day_is_unauthorised_or_pending_when_most_of_what_was_missed_is() -> None:
    signals = of("UUE", "NNE", "UNE", sessions=3)
    assert signals.days(Count.UNAUTHORISED, Window.YEAR).tolist() == [1, 0, 0]
    assert signals.days(Count.PENDING, Window.YEAR).tolist() == [0, 1, 0]
    assert signals.days(Count.ABSENT, Window.YEAR).tolist() == [1, 1, 1]


def test_a_streak_goes_over_days_nobody_knows_and_days_not_expected() -> None:
    #           MTWTF MTWTF
    signals = of("PPPUU _#UU_", "PPPUU PUPUU", "UUUUU UUUUP", "PPPPP PPPPP")
    assert signals.streak.tolist() == [4, 2, 0, 0]
    assert signals.streak_start.tolist() == [3, 8, -1, -1]


def test_days_since_seen_count_possible_days_only() -> None:
    signals = of("PPTUU _#EE_", "UUUUU UUUUU", "_____ _____")
    assert signals.days_since_seen.tolist() == [4, 10, 0]
    assert signals.last_seen.tolist() == [2, -1, -1]
    assert signals.last_known.tolist() == [8, 9, -1]


def test_a_day_half_missed_was_still_a_day_seen() -> None:
    assert of("UUUP", sessions=2).days_since_seen.tolist() == [0]


def test_spells_of_absence_and_the_longest() -> None:
    signals = of("UUPPU PEEEP")
    assert (signals.spells.tolist(), signals.longest_spell.tolist()) == ([3], [3])


def test_the_baseline_leaves_the_last_twenty_days_out_and_leans_on_the_group_and_last_year() -> None:
    # Ten days before the last twenty, two of them missed: the group (only Ana) missed 2 of 10.
    # (20 × 2/10 + 2 + ½ × 9) / (20 + 10 + ½ × 90) = 10.5 / 75
    ana = of("UPPPU PPPPP" + " UUUUU" * 4, last=(9, 90))
    assert ana.baseline[0] == pytest.approx(10.5 / 75)


def test_a_break_is_found_where_it_began_and_counted_from_there() -> None:
    steady = ["PPPPP " * 8] * 20
    signals = of("PPPPP " * 6 + "PPUEU UPUPE", *steady)
    assert signals.break_score[0] > 4.6
    assert (int(signals.break_start[0]), int(signals.break_absent[0]), int(signals.break_possible[0])) == (32, 6, 8)
    assert signals.break_score[1] == 0


def test_the_odds_of_a_break_go_as_the_square_of_the_usual() -> None:
    # Ten days before the last twenty, two of them missed, in a group of one: the usual is .2. Three days away at the end, of a chance of
    # .2 against .6: 3 ln 3; and 2 ln (.2 / .06) before anything was seen.
    ana = of("UPPPU PPPPP PPPPP PPPPP PPPPP PPUUU")
    assert ana.baseline[0] == pytest.approx(0.2)
    assert ana.break_score[0] == pytest.approx(3 * np.log(3) + 2 * np.log(0.2 / 0.06))


def test_the_schools_own_bad_days_are_taken_out_of_a_break() -> None:
    with_others = of(*["PPPPP " * 6 + "PPPPP UUUPP"] * 21)
    alone = of("PPPPP " * 6 + "PPPPP UUUPP", *["PPPPP " * 8] * 20)
    assert alone.break_score[0] > 3 * max(float(with_others.break_score[0]), 0.01)


def test_a_suspension_is_not_a_break() -> None:
    signals = of("PPPPP " * 6 + "PPSSS SSSSS", *["PPPPP " * 8] * 20)
    assert signals.break_score[0] == 0


def test_a_bad_weekday_and_its_chance() -> None:
    # Six Mondays missed of six, nothing else, of thirty days: 1/C(30,6) × C(6,6), times five looks.
    signals = of("UPPPP " * 6, "UPPPP PUPPP PPUPP PPPUP PPPPU UPPPP")
    assert (signals.weekday[0], signals.weekday_absent[0], signals.weekday_possible[0], signals.weekday_recent[0]) == (
        0,
        6,
        6,
        6,
    )
    assert signals.weekday_chance[0] == pytest.approx(5 / 593_775)
    assert signals.weekday[1] == -1


def test_late_days_now_and_before() -> None:
    signals = of("TPPPP PPPPP PPPPP PPPPP TPTPT PPTPP PPPPP PPPPT")
    assert (int(signals.days(Count.LATE, Window.LAST_20)[0]), int(signals.late_before[0])) == (5, 1)


def test_the_first_absence_nobody_has_explained() -> None:
    signals = of("UPNPP PNPPP", "UPEPP PEPPP")
    assert signals.oldest_pending.tolist() == [2, -1]


def test_in_school_then_away_without_leave_later_the_same_day() -> None:
    signals = of("PUPP", "UPPP", "PEPP", "PPPN", sessions=4)
    assert signals.skipped.tolist() == [1, 0, 0, 1]
    assert signals.first_only.tolist() == [0, 1, 0, 0]
    assert signals.last_only.tolist() == [0, 0, 0, 1]


def test_days_with_a_square_nobody_knows_in_the_last_week() -> None:
    assert of("_____ PP_P_").unknown_recent.tolist() == [2]


@pytest.mark.parametrize("squares", ["", "_____", "#####"])
def test_nothing_known_is_nothing_counted(squares: str) -> None:
    signals = of(squares)
    assert signals.counts.sum() == 0
    assert (signals.streak[0], signals.days_since_seen[0], signals.spells[0], signals.last_known[0]) == (0, 0, 0, -1)


def test_a_school_with_nobody() -> None:
    grid = a_grid("PPPPP")
    empty = type(grid)(grid.codes[:0], grid.dates, 1)
    assert compute(empty, 5, np.zeros(0, dtype=np.int32)).counts.shape == (0, 5, 6)


def test_the_days_behind_a_finding_are_written_with_their_letters() -> None:
    grid = a_grid("UUPEN PUP_U", "PPPPP PPPPP")
    away = np.zeros(4096, dtype=np.bool_)
    away[[bits for bits in range(4096) if bits & DAY.ABSENT]] = True
    rows, start, any_day = np.array([0, 1, 0]), np.array([0, 0, 3]), np.full(3, -1)

    def text(weekday: int = -1, most: int = 40) -> list[str]:
        return day_text(
            marked(grid, 10), rows, away, start, np.full(3, weekday) if weekday >= 0 else any_day, most
        ).tolist()

    d = grid.dates.tolist()
    later = [(d[3], "E"), (d[4], "N"), (d[6], "U"), (d[9], "U")]
    assert text() == [told([(d[0], "U"), (d[1], "U"), *later]), "", told(later)]
    assert text(most=2) == [told(later[2:]), "", told(later[2:])]
    assert days_told(text(weekday=d[0].weekday())[0]) == [(d[0], "U")]


def test_days_are_told_by_how_long_after_one_another_they_come() -> None:
    days = [(date(2026, 11, 2), "U"), (date(2026, 11, 4), "N"), (date(2027, 3, 1), "U "), (date(2027, 3, 2), "#H")]
    assert told(days) == "2026-11-02U2N117U_1#H"
    assert days_told(told(days)) == days
    without = [(date(2026, 11, 2), ""), (date(2026, 11, 13), ""), (date(2026, 11, 14), "")]
    assert told(without) == "2026-11-02 11 1"
    assert days_told(told(without)) == without
    assert (told([]), days_told("")) == ("", [])


def test_a_long_way_between_two_days_is_written_in_full() -> None:
    grid = a_grid("U" + 130 * "P" + "UU")
    days = [(day, "U") for k, day in enumerate(grid.dates.tolist()) if k in (0, 131, 132)]
    away = np.array([bits & DAY.ABSENT != 0 for bits in range(4096)])
    text = day_text(marked(grid, 133), np.array([0]), away, np.zeros(1, np.int64), np.full(1, -1), 200)[0]
    assert days_told(text) == days


def test_a_square_nobody_knows_is_written_as_an_underscore() -> None:
    grid = a_grid("U_", sessions=2)
    every = np.ones(4096, dtype=np.bool_)
    assert day_text(marked(grid, 1), np.array([0]), every, np.zeros(1, np.int64), np.full(1, -1), 40).tolist() == [
        f"{grid.dates[0]}U_"
    ]
