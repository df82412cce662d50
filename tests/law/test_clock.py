"""Where a student stands: lines reached and reached again, what is due by when, what is locked, and how much room is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest

from firstbell.law.clock import Evidence, Position, Status, positions
from firstbell.law.packs import Ages, Applies, ByGrade, Count, Deadline, Duty, InForce, NotAfter, Rule, Threshold
from firstbell.law.reaching import standings
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, age
from tests.law.draw import UNEXCUSED, a_line, a_pack, a_rule, a_stretch, days_of, in_force, the_position

HOURS = Count(strategy="accumulate_minutes", marks=("unexcused", "tardy", "early"), unit="hours")
ANY = Count(strategy="min_fraction_present", marks=("unexcused", "excused"))
LETTER = Duty(kind="notify", title="Write to the family")


def a_duty(kind: str = "notify", **duty: Any) -> Duty:
    return Duty(kind=kind, title="what is to be done", **duty)


def stands(
    register: str, kind: str = "school_year", threshold: Any = 3, *, as_of: date | None = None, **rule: Any
) -> Position:
    """Under one rule; registers begin on Monday 31 August 2026."""
    about = {k: rule.pop(k) for k in ("count", "person", "evidence", "earlier", "others") if k in rule}
    drawn = {k: rule.pop(k) for k in ("first", "closed", "sessions", "minutes", "missed", "terms") if k in rule}
    return the_position(a_line(register, as_of=as_of, **drawn), a_rule(kind, threshold, **rule), **about)


# Reached, and reached again


def test_a_line_is_reached_on_the_day_that_makes_the_count_full() -> None:
    #               MTWTF MTWTF
    made = stands("PUUPP PUUPU")
    assert (made.status, made.count, made.fired_on, made.remaining) == (Status.REACHED, 5, date(2026, 9, 8), 0)
    assert days_of(made) == ["Tue 01 Sep", "Wed 02 Sep", "Tue 08 Sep", "Wed 09 Sep", "Fri 11 Sep"]


def test_short_of_the_line_a_student_is_near_or_clear() -> None:
    assert stands("PPPPP").status == Status.CLEAR
    assert (stands("PUPPP").status, stands("PUPPP").remaining) == (Status.NEAR, 2)
    assert stands("PUPPP", near=1).status == Status.CLEAR
    assert stands("PPPPP", threshold=1).status == Status.CLEAR  # one more would reach it, but there is none yet


def test_what_is_asked_about_an_earlier_day_knows_nothing_of_later_ones() -> None:
    assert stands("PUUPP PUUPU", as_of=date(2026, 9, 7)).count == 2
    assert stands("PUUPP PUUPU", as_of=date(2026, 9, 8)).fired_on == date(2026, 9, 8)


def test_a_line_can_be_reached_again_in_the_next_month() -> None:
    #           31 August; September 1–4, 7–11, 14–18, 21–25, 28–30; October 1–2, 5–9
    register = "P UUPP PPPPP UUPPP PPPPP PPP UU UPPPP"
    made = stands(register, "calendar_month", duty=LETTER, evidence=[Evidence("notice", date(2026, 9, 15))])
    assert [f.on for f in made.firings] == [date(2026, 9, 14), date(2026, 10, 5)]
    assert (made.status, made.fired_on, made.count) == (Status.DUTY_OPEN, date(2026, 10, 5), 3)
    assert days_of(made) == ["Thu 01 Oct", "Fri 02 Oct", "Mon 05 Oct"]


def test_the_count_of_a_month_is_nothing_once_the_month_has_turned() -> None:
    made = stands("P UUUPP PPPPP PPPPP PPPPP PPP PP", "calendar_month")
    assert (made.count, made.status, made.fired_on) == (0, Status.CLEAR, None)
    assert [f.on for f in made.firings] == [date(2026, 9, 3)]
    late = stands("P UUUP", "calendar_month", as_of=date(2026, 10, 3))  # a Saturday of the next month
    assert late.count == 0


def test_five_days_over_the_turn_of_a_month_are_five_in_no_month_and_five_in_ninety_days() -> None:
    register = "PPPPP PPPPP PPPPP PPPPP UUUUU"  # 28–30 September, 1–2 October
    assert stands(register, "calendar_month", 5).count == 2
    assert stands(register, "rolling_calendar_days", 5, length=90).fired_on == date(2026, 10, 2)


def test_a_sliding_line_is_reached_again_only_after_the_count_fell_below_it() -> None:
    #          MTWTF MTWTF MTWTF
    register = "UUUUP PPPPU UPUPP"
    made = stands(register, "rolling_school_days", length=5)
    assert [f.on for f in made.firings] == [date(2026, 9, 2), date(2026, 9, 16)]


def test_a_rule_that_asks_once_a_year_asks_once() -> None:
    register = "P UUPP PPPPP UUPPP PPPPP PPP UU UPPPP"
    made = stands(
        register, "calendar_month", duty=LETTER, once="year", evidence=[Evidence("notice", date(2026, 9, 15))]
    )
    assert (made.status, made.fired_on, len(made.firings)) == (Status.DUTY_DONE, date(2026, 9, 14), 1)


def test_a_line_of_one_is_reached_by_every_absence() -> None:
    made = stands("UUPUP", "rolling_school_days", 1, length=1)
    assert [f.on.day for f in made.firings] == [31, 1, 3]


def test_within_a_month_to_the_day_is_one_window_that_slides_and_asks_once() -> None:
    made = stands("UUUUU PPPPP", "rolling_months", 3, length=1)
    assert [f.on for f in made.firings] == [date(2026, 9, 2)]


def test_more_than_so_many_is_one_more() -> None:
    strict = Threshold(op=">", count=3)
    assert (stands("UUUPP", threshold=strict).remaining, stands("UUUPP", threshold=strict).fired_on) == (1, None)
    assert stands("UUUUP", threshold=strict).fired_on == date(2026, 9, 3)


def test_the_oldest_day_leaves_a_sliding_window() -> None:
    made = stands("UUPPP", "rolling_calendar_days", length=28)
    assert made.leaves == date(2026, 9, 28)
    assert stands("UUPPP", "rolling_months", length=6).leaves == date(2027, 3, 1)
    assert stands("UUPPP", "rolling_years", length=1).leaves == date(2027, 8, 31)
    assert stands("UPPPP PPPPP", "rolling_school_days", length=5, as_of=date(2026, 9, 4)).leaves == date(2026, 9, 7)
    assert stands("UPPPP PPPPP PPPPP", "rolling_school_weeks", length=2, as_of=date(2026, 9, 4)).leaves == date(
        2026, 9, 14
    )
    assert stands("UPPPP", "rolling_school_days", length=10).leaves is None  # the calendar ends before
    assert stands("UUPPP").leaves is None


@pytest.mark.parametrize("on", [date(2026, 2, 11), date(2026, 9, 5)])  # in the year before, and on a Saturday
def test_what_was_done_leaves_a_window_of_years_to_the_day(on: date) -> None:
    last_year = a_stretch("PPPPP " * 4, first=date(2026, 2, 2), year=2025)
    line = Timeline([last_year, a_stretch("PPPPP " * 2)], date(2026, 9, 11))
    rule = a_rule("rolling_years", 2, length=3, evidence="penalty_notice")
    assert the_position(line, rule, evidence=[Evidence("penalty_notice", on)]).leaves == on.replace(year=2029)


# Duties


def test_a_duty_is_open_until_it_is_done() -> None:
    register = "UUUPP PPPPP"
    assert stands(register, duty=LETTER).status == Status.DUTY_OPEN
    done = stands(register, duty=LETTER, evidence=[Evidence("notice", date(2026, 9, 3))])
    assert (done.status, done.fired_on) == (Status.DUTY_DONE, date(2026, 9, 2))


def test_what_was_done_before_the_line_was_reached_or_about_another_rule_does_not_do_it() -> None:
    for evidence in (
        Evidence("notice", date(2026, 9, 1)),
        Evidence("plan", date(2026, 9, 3)),
        Evidence("notice", date(2026, 9, 3), "another"),
    ):
        assert stands("UUUPP PPPPP", duty=LETTER, evidence=[evidence]).status == Status.DUTY_OPEN


def test_a_pack_says_itself_what_shows_a_duty_done() -> None:
    own = a_duty(done_by=("child_study_team",))
    assert stands("UUUPP", duty=own, evidence=[Evidence("notice", date(2026, 9, 3))]).status == Status.DUTY_OPEN
    assert (
        stands("UUUPP", duty=own, evidence=[Evidence("child_study_team", date(2026, 9, 3))]).status == Status.DUTY_DONE
    )


def test_what_the_law_only_allows_may_be_left_by_a_decision() -> None:
    decided = [Evidence("not_escalated", date(2026, 9, 4))]
    assert stands("UUUPP", duty=a_duty("petition", may=True), evidence=decided).status == Status.DUTY_DONE
    assert stands("UUUPP", duty=a_duty("petition"), evidence=decided).status == Status.DUTY_OPEN


def test_an_open_duty_stays_open_when_the_count_has_fallen_since() -> None:
    made = stands("UUUPP PPPPP", "rolling_school_days", length=5, duty=LETTER)
    assert (made.status, made.fired_on, made.count) == (Status.DUTY_OPEN, date(2026, 9, 2), 3)
    assert days_of(made) == ["Mon 31 Aug", "Tue 01 Sep", "Wed 02 Sep"]


def test_a_step_is_locked_until_what_it_requires_is_on_record() -> None:
    court = a_duty("petition", severity="punitive", requires=("conference", "plan"))
    locked = stands("UUUPP", duty=court, evidence=[Evidence("conference", date(2026, 9, 3))])
    assert (locked.status, locked.missing) == (Status.LOCKED, ("plan",))
    assert "plan" in locked.why
    both = [Evidence("conference", date(2026, 9, 3)), Evidence("plan", date(2026, 9, 4))]
    assert stands("UUUPP", duty=court, evidence=both).status == Status.DUTY_OPEN


def test_a_step_can_require_that_another_rules_duty_is_done() -> None:
    letter = a_rule(id="letter", threshold=2, duty=LETTER)
    court = a_duty("petition", requires=("letter",))
    locked = stands("UUUPP", duty=court, others=[letter])
    assert (locked.status, locked.missing) == (Status.LOCKED, ("letter",))
    sent = [Evidence("notice", date(2026, 9, 2), "letter")]
    assert stands("UUUPP", duty=court, others=[letter], evidence=sent).status == Status.DUTY_OPEN
    of_another = [Evidence("notice", date(2026, 9, 2), "another")]
    assert stands("UUUPP", duty=court, others=[letter], evidence=of_another).status == Status.LOCKED


def test_a_step_the_law_forbids_for_a_student_is_forbidden_even_when_all_is_on_record() -> None:
    court = a_duty("petition", forbidden_if=("homeless", "foster"), requires=("conference",))
    homeless = stands("UUUPP", duty=court, person=Person(flags=frozenset({"homeless"})))
    assert (homeless.status, homeless.forbidden) == (Status.FORBIDDEN, ("homeless",))
    assert stands("UUUPP", duty=court, person=Person(flags=frozenset({"iep"}))).status == Status.LOCKED


def test_a_third_penalty_notice_within_three_years_is_forbidden() -> None:
    notice = a_duty("consider_sanction", not_after=NotAfter(evidence="penalty_notice", times=2, years=3))

    def after(*days: date) -> Status:
        return stands("UUUPP", duty=notice, evidence=[Evidence("penalty_notice", d) for d in days]).status

    assert after(date(2024, 3, 1), date(2025, 3, 1)) == Status.FORBIDDEN
    assert after(date(2023, 9, 4), date(2025, 3, 1)) == Status.DUTY_OPEN  # three years ago to the day
    assert after(date(2023, 9, 5), date(2025, 3, 1)) == Status.FORBIDDEN


def test_a_line_without_a_duty_or_that_only_classifies_is_reached() -> None:
    assert stands("UUUPP").status == Status.REACHED
    assert stands("UUUPP", duty=a_duty("classify")).status == Status.REACHED
    assert stands("UUUPP", duty=a_duty("classify", requires=("conference",))).status == Status.LOCKED


def test_an_excuse_that_takes_the_line_away_supersedes_what_had_been_reached() -> None:
    made = stands("UUEPP", duty=LETTER, earlier={"rule": date(2026, 9, 2)})
    assert (made.status, made.fired_on, made.count) == (Status.SUPERSEDED, date(2026, 9, 2), 2)
    assert made.why


def test_a_line_that_was_truly_reached_last_month_and_dealt_with_is_not_superseded() -> None:
    made = stands(
        "P UUUPP PPPPP PPPPP PPPPP PPP PP", "calendar_month", duty=LETTER,
        evidence=[Evidence("notice", date(2026, 9, 4))], earlier={"rule": date(2026, 9, 3)},
    )  # fmt: skip
    assert made.status == Status.CLEAR


def test_a_rule_asked_of_a_calendar_that_does_not_say_enough_is_not_evaluable() -> None:
    made = stands("UUUPP", "quarter")
    assert (made.status, made.count, made.fired_on) == (Status.NOT_EVALUABLE, 0, None)
    assert "quarter" in made.why
    assert "minutes" in stands("UUUPP", count=HOURS).why
    by_grade = Threshold(by_grade=(ByGrade(grades=("01",), count=3),))
    assert "grade 02" in stands("UUUPP", threshold=by_grade, person=Person(grade="02")).why
    assert stands("UUUPP", threshold=by_grade, person=Person(grade="01")).status == Status.REACHED


# Deadlines


@pytest.mark.parametrize(
    ("deadline", "due"),
    [
        (Deadline(value=0), date(2026, 9, 4)),
        (Deadline(value=5, unit="calendar_days"), date(2026, 9, 9)),
        (Deadline(value=1, unit="working_days"), date(2026, 9, 7)),  # Labor Day: no school, and the office works
        (Deadline(value=5, unit="working_days"), date(2026, 9, 11)),
        (Deadline(value=1, unit="school_days"), date(2026, 9, 8)),
        (Deadline(value=4, unit="school_days"), date(2026, 9, 11)),
        (Deadline(value=5, unit="school_days"), None),  # the calendar does not reach so far
        (Deadline(value=120, unit="minutes"), date(2026, 9, 4)),
    ],
)
def test_a_duty_is_due_so_many_days_after_the_line_was_reached(deadline: Deadline, due: date | None) -> None:
    #           MTWTF TWTF, without Labor Day
    made = stands("PPUUU PPPP", closed=[date(2026, 9, 7)], duty=a_duty(deadline=deadline))
    assert (made.fired_on, made.due) == (date(2026, 9, 4), due)


def test_a_deadline_that_runs_from_something_done_begins_when_that_is_done() -> None:
    meeting = a_duty("conference", deadline=Deadline(value=7, not_before=2, unit="calendar_days", from_="notice"))
    assert stands("UUUPP PPPPP", duty=meeting).due is None
    made = stands("UUUPP PPPPP", duty=meeting, evidence=[Evidence("notice", date(2026, 9, 4))])
    assert (made.not_before, made.due) == (date(2026, 9, 6), date(2026, 9, 11))
    earlier = stands("UUUPP PPPPP", duty=meeting, evidence=[Evidence("notice", date(2026, 9, 1))])
    assert earlier.due is None  # a letter from before the line was reached is not that letter


def test_days_of_grace_are_over_before_a_deadline_begins() -> None:
    nsw = Count(strategy="any_period", marks=("unexcused",), pending="after_grace", grace=3)
    two = a_duty("contact", deadline=Deadline(value=2))
    #                   MTWTF MTWTF
    made = stands("NPPPP PPPPP", threshold=1, count=nsw, duty=two)
    assert (made.fired_on, made.due) == (date(2026, 8, 31), date(2026, 9, 7))  # known on Thursday the 3rd
    at_once = stands("UPPPP PPPPP", threshold=1, count=nsw, duty=two)
    assert (at_once.fired_on, at_once.due) == (date(2026, 8, 31), date(2026, 9, 2))
    # two without excuse make it full, and the day before them was known last
    assert stands("PNUUP PPPPP", count=nsw, duty=two).due == date(2026, 9, 8)


# Room


def test_room_is_how_many_more_reach_the_line() -> None:
    assert [stands(r, threshold=10, near=0).remaining for r in ("PPPPP", "UPPPP", "UUUUP")] == [10, 9, 6]


def test_room_in_half_days_and_hours_is_exact() -> None:
    half = Count(strategy="sessions", marks=("unexcused",), unit="days", per_day=2)
    assert stands("UP UU PP", sessions=2, count=half).remaining == Fraction(3, 2)
    made = stands("TPPPP", threshold=30, count=HOURS, minutes=(390,), missed={0: 20})
    assert (made.count, made.remaining) == (Fraction(1, 3), Fraction(89, 3))
    over = stands("TPPPP", threshold=Threshold(op=">", count=30), count=HOURS, minutes=(390,), missed={0: 20})
    assert over.remaining == Fraction(89, 3) + Fraction(1, 60)  # a minute more


def test_room_under_a_line_that_is_no_whole_number_is_whole_days() -> None:
    line = Threshold(op=">", share="1/100", of="window")  # more than 1.8 of 180 days
    made = stands("UPPPP", "rolling_school_days", line, length=180)
    assert (made.threshold, made.remaining) == (Fraction(9, 5), 1)
    assert stands("UUPPP", "rolling_school_days", line, length=180).fired_on == date(2026, 9, 1)


def test_room_of_a_share_is_by_the_end_of_the_year() -> None:
    # 40 days in the year, of which 10 have come: a tenth are four
    tenth = Threshold(share="1/10")
    made = stands(
        "PPPPU PPPPP" + " PPPPP" * 6, threshold=Threshold(share="1/10", minimum=11), count=ANY, as_of=date(2026, 9, 11)
    )
    assert (made.count, made.possible, made.remaining) == (1, 10, 3)
    over = Threshold(op=">", share="1/10", minimum=11)
    assert stands("PPPPU PPPPP" + " PPPPP" * 6, threshold=over, count=ANY, as_of=date(2026, 9, 11)).remaining == 4
    assert stands("PPPPU PPPPP", threshold=tenth, count=ANY).count == 1


def test_exactly_a_tenth_is_a_tenth_or_more_and_not_more_than_a_tenth() -> None:
    register = "PPPPP PPPPU"
    assert stands(register, threshold=Threshold(share="1/10"), count=ANY).fired_on == date(2026, 9, 11)
    assert stands(register, threshold=Threshold(op=">", share="1/10"), count=ANY).fired_on is None


def test_no_share_is_spoken_of_before_so_much_was_possible() -> None:
    tenth = Threshold(share="1/10", minimum=10)
    early = stands("UUUUU PPPP", threshold=tenth, count=ANY)
    assert (early.fired_on, early.status, early.remaining) == (
        None,
        Status.NEAR,
        0,
    )  # no more absence is needed, but a day
    assert "only once 10 days were possible" in early.why
    assert stands("UUUUU PPPPP", threshold=tenth, count=ANY).fired_on == date(2026, 9, 11)
    hours = Threshold(share="1/10", minimum=10)  # ten hours, which are two days of six and a half
    assert stands("UPPPP", threshold=hours, count=HOURS, minutes=(390,), as_of=date(2026, 8, 31)).fired_on is None
    assert stands("UPPPP", threshold=hours, count=HOURS, minutes=(390,)).fired_on == date(2026, 9, 1)


def test_a_day_nobody_knows_is_in_neither_part_of_a_share_and_is_told() -> None:
    made = stands("U_PP_", threshold=Threshold(share="1/2"), count=ANY)
    assert (made.count, made.possible, made.unknown) == (1, 3, 2)


# Whom a rule is about


def test_an_age_is_counted_to_the_birthday() -> None:
    assert [age(date(2010, 9, 4), d) for d in (date(2026, 9, 3), date(2026, 9, 4))] == [15, 16]
    assert [age(date(2012, 2, 29), d) for d in (date(2028, 2, 28), date(2028, 2, 29))] == [15, 16]
    assert [age(date(2012, 2, 29), d) for d in (date(2027, 2, 28), date(2027, 3, 1))] == [14, 15]


@pytest.mark.parametrize(
    ("born", "applies"),
    [
        (date(2010, 9, 4), False),  # sixteen today
        (date(2010, 9, 5), True),
        (date(2020, 8, 31), True),  # six on the first day
        (date(2020, 9, 5), False),
        (None, True),
    ],
)
def test_a_rule_holds_from_one_birthday_until_another(born: date | None, applies: bool) -> None:
    made = stands("UUUPP", applies=Applies(ages=Ages(from_=6, under=16)), person=Person(birth_date=born))
    assert (made.status == Status.REACHED) == applies
    assert applies or "ages 6 to 15" in made.why


def test_what_was_missed_before_the_birthday_is_not_counted() -> None:
    twelve, on_wednesday = Applies(ages=Ages(from_=12, under=19)), Person(birth_date=date(2014, 9, 2))
    made = stands("UUUUP", applies=twelve, person=on_wednesday)
    assert (made.status, made.count, days_of(made)) == (Status.NEAR, 2, ["Wed 02 Sep", "Thu 03 Sep"])
    assert stands("UUUUU", applies=twelve, person=on_wednesday).fired_on == date(2026, 9, 4)


def test_where_the_law_asks_for_the_age_at_the_step_the_days_before_it_count() -> None:
    fifteen = Applies(ages=Ages(from_=15, under=18, of="step"))
    assert stands("UUUPP", applies=fifteen, person=Person(birth_date=date(2011, 9, 4))).fired_on == date(2026, 9, 2)
    assert stands("UUUPP", applies=fifteen, person=Person(birth_date=date(2011, 9, 5))).status == Status.NOT_EVALUABLE


def test_who_grows_out_of_a_rule_keeps_what_was_reached_and_the_help_that_was_owed() -> None:
    young, on_friday = Applies(ages=Ages(from_=6, under=16)), Person(birth_date=date(2010, 9, 4))
    help_ = stands("UUUPP", applies=young, person=on_friday, duty=LETTER)
    assert (help_.status, help_.fired_on) == (Status.DUTY_OPEN, date(2026, 9, 2))
    court = stands("UUUPP", applies=young, person=on_friday, duty=a_duty("petition", severity="punitive"))
    assert (court.status, court.due) == (Status.NOT_EVALUABLE, None)
    assert "ages 6 to 15" in court.why
    assert [f.on for f in court.firings] == [date(2026, 9, 2)]  # it was reached, and that is not undone


def test_a_sanction_bound_to_an_age_waits_for_the_birth_date() -> None:
    twelve, court = Applies(ages=Ages(from_=12, under=19)), a_duty("petition", severity="punitive")
    made = stands("UUUPP", applies=twelve, duty=court)
    assert (made.status, made.missing) == (Status.LOCKED, ("birth_date",))
    assert stands("UUUPP", applies=twelve, duty=LETTER).status == Status.DUTY_OPEN  # help does not wait


def test_a_deadline_beyond_the_calendar_says_so() -> None:
    soon = a_duty("notify", deadline=Deadline(value=2))
    assert stands("UUUPP", duty=soon).due == date(2026, 9, 4)
    made = stands("PPUUU", duty=soon)
    assert made.due is None
    assert "calendar end before" in made.why


def test_a_rule_can_be_about_some_grades_and_flags_only() -> None:
    def status(applies: Applies, grade: str = "05", *flags: str) -> Status:
        return stands("UUUPP", applies=applies, person=Person(grade=grade, flags=frozenset(flags))).status

    assert status(Applies(grades=("05",))) == Status.REACHED
    assert status(Applies(grades=("06",))) == Status.NOT_EVALUABLE
    assert status(Applies(flags=("first_notice",))) == Status.NOT_EVALUABLE
    assert status(Applies(flags=("first_notice",)), "05", "first_notice") == Status.REACHED
    assert status(Applies(not_flags=("over_18",)), "05", "over_18") == Status.NOT_EVALUABLE


# Consecutive


def test_consecutive_days_go_over_weekends_holidays_and_days_nobody_knows() -> None:
    #               TWTF MTWTF, without Labor Day
    made = stands("PPPUU U_EUP", "consecutive", closed=[date(2026, 9, 7)])
    assert made.firings[0].on == date(2026, 9, 8)
    assert [len(f.marks) for f in made.firings] == [3]
    assert made.count == 0  # on the last day the student came
    assert stands("PPPUU U_EU", "consecutive", closed=[date(2026, 9, 7)]).count == 4


def test_a_half_day_attended_ends_a_run() -> None:
    assert stands("UU UU UP UU", "consecutive", sessions=2).count == 1
    assert stands("UU UU __ UU", "consecutive", sessions=2).count == 3


def test_where_any_other_day_ends_a_run_an_excused_one_does_and_an_unknown_one_does_not() -> None:
    assert stands("UUEUU", "consecutive").count == 4
    assert stands("UUEUU", "consecutive", broken_by="any_other_day").count == 2
    assert stands("UU_UU", "consecutive", broken_by="any_other_day").count == 4
    assert stands("UU#UU", "consecutive", broken_by="any_other_day").count == 4


def test_a_run_before_the_summer_is_not_continued_after_it() -> None:
    years = [a_stretch("PPUUU", first=date(2026, 6, 1), year=2025), a_stretch("UUPPP", year=2026)]
    line = Timeline(years, date(2026, 9, 1))
    assert the_position(line, a_rule("consecutive", 5)).count == 2
    across = the_position(line, a_rule("consecutive", 5, across_years=True))
    assert (across.count, across.fired_on) == (5, date(2026, 9, 1))


def test_consecutive_hours_are_broken_within_a_day() -> None:
    four = {"sessions": 4, "minutes": (90, 90, 90, 90), "count": HOURS}
    #              Mon   Tue
    whole = stands("UUUU UUUU", "consecutive", 12, **four)
    assert (whole.count, whole.fired_on) == (12, date(2026, 9, 1))
    broken = stands("UUUU PUUU", "consecutive", 12, **four)
    assert (broken.count, broken.fired_on) == (Fraction(9, 2), None)
    assert stands("UPUU UUUP UUUU", "consecutive", 7, **four).firings[0].count == Fraction(
        15, 2
    )  # 3 h and 4½ h, over a night
    assert stands("UUUU EEUU", "consecutive", 12, **four).count == 9  # an excuse is not attendance


def test_who_is_late_missed_what_came_before_and_who_leaves_early_what_comes_after() -> None:
    day = {"minutes": (360,), "count": HOURS}
    late = stands("UTU", "consecutive", 7, missed={1: 60}, **day)
    assert (late.firings[0].on, late.firings[0].count, late.count) == (date(2026, 9, 1), 7, 6)
    early = stands("ULU", "consecutive", 7, missed={1: 60}, **day)
    assert (early.firings[0].on, early.count) == (date(2026, 9, 2), 7)
    some = stands("UHU", "consecutive", 7, missed={1: 60}, **day)
    assert (some.firings, some.count) == ((), 6)


# Two schools, two years, two versions


def a_move(old: str, new: str, as_of: date | None = None, **rule: Any) -> Position:
    """Both schools keep the same days, from Monday 31 August; the student came from the first to the second."""
    stretches = [a_stretch(old, school="A"), a_stretch(new, school="B")]
    line = Timeline(stretches, as_of or stretches[0].dates[-1].astype(object))
    return the_position(line, a_rule(rule.pop("kind", "school_year"), rule.pop("threshold", 3), **rule))


def test_absences_follow_a_student_to_the_next_school() -> None:
    #                MTWTF MTWTF
    made = a_move("UUPP# #####", "####U PPPPP")
    assert (made.count, made.fired_on) == (3, date(2026, 9, 4))


def test_the_day_of_the_move_is_counted_once_and_as_the_new_school_has_it() -> None:
    assert a_move("UUUUU #####", "####U PPPPP").count == 5
    assert a_move("UUUUU #####", "####P PPPPP").count == 4
    assert a_move("UUUUU #####", "####_ PPPPP").count == 4
    assert a_move("UUUUP #####", "####U PPPPP", threshold=Threshold(share="1/10"), kind="school_year").possible == 10


def test_since_enrolment_begins_where_the_present_enrolment_does() -> None:
    stretches = [a_stretch("UUPP# #####"), a_stretch("####U PPPPP")]
    line = Timeline(stretches, date(2026, 9, 11), np.array(["2026-09-04"], dtype="datetime64[D]"))
    made = the_position(line, a_rule("since_enrolment", Threshold(share="1/10")))
    assert (made.count, made.possible, made.window) == (1, 6, (date(2026, 9, 4), date(2026, 9, 11)))
    alone = the_position(a_line("###UP PPPPP"), a_rule("since_enrolment", Threshold(share="1/10")))
    assert (alone.count, alone.possible) == (1, 7)


def last_and_this(last: str, this: str, as_of: date | None = None) -> Timeline:
    """The last days before the summer, to Friday 17 July 2026, and the first after it."""
    before = a_stretch(last, first=date(2026, 7, 20) - timedelta(days=7 * len(last.split())), year=2025)
    after = a_stretch(this, year=2026)
    return Timeline([before, after], as_of or after.dates[-1].astype(object))


def test_ten_sessions_over_the_summer_are_reached_in_september() -> None:
    eng = Count(strategy="sessions", marks=("unexcused",), unit="sessions", per_day=2)
    rule = a_rule("rolling_school_weeks", 10, length=10, across_years=True)
    made = the_position(last_and_this("PPPUU PPPPU", "PPUUP"), rule, count=eng)
    assert (made.count, made.fired_on) == (10, date(2026, 9, 3))
    within = the_position(
        last_and_this("PPPUU PPPPU", "PPUUP"), a_rule("rolling_school_weeks", 10, length=10), count=eng
    )
    assert (within.count, within.fired_on) == (4, None)


def test_a_line_reached_before_the_summer_and_ever_since_is_not_reached_anew_in_september() -> None:
    rule = a_rule("rolling_school_weeks", 3, length=10, across_years=True, duty=LETTER)
    done = [Evidence("notice", date(2026, 7, 17))]
    line = last_and_this("PPPPP PPUUU", "PPPPU")
    made = the_position(line, rule, evidence=done)
    assert ([f.on for f in made.firings], made.status) == ([date(2026, 7, 17)], Status.DUTY_DONE)
    assert the_position(line, rule).status == Status.DUTY_OPEN  # and what was left undone is still to do


def test_what_was_done_in_an_earlier_year_reaches_no_line_of_this_one() -> None:
    rule = a_rule("school_year", 2, evidence="report", duty=a_duty("conference"))
    line = last_and_this("PPPPP PPPPP", "PPPPP")
    reports = [Evidence("report", date(2026, 7, 7)), Evidence("report", date(2026, 7, 14))]
    assert the_position(line, rule, evidence=reports).status == Status.CLEAR
    again = [*reports, Evidence("report", date(2026, 9, 1)), Evidence("report", date(2026, 9, 3))]
    made = the_position(line, rule, evidence=again)
    assert (made.status, made.fired_on, made.count) == (Status.DUTY_OPEN, date(2026, 9, 3), 2)


def test_a_count_that_begins_with_a_notice_has_only_the_days_after_it() -> None:
    rule = a_rule("school_year", 1, after_evidence="notice")
    assert the_position(a_line("UUUUU"), rule).count == 0
    made = the_position(a_line("UUUPU"), rule, evidence=[Evidence("notice", date(2026, 9, 2))])
    assert (made.count, made.fired_on) == (1, date(2026, 9, 4))
    run = a_rule("consecutive", 3, after_evidence="notice")
    assert the_position(a_line("UUUUU"), run, evidence=[Evidence("notice", date(2026, 9, 1))]).count == 3


def test_each_day_is_judged_under_the_version_in_force_on_it() -> None:
    #               MTWTF MTWTF
    line = a_line("UUPPP PUEPP")
    lax = a_pack(a_rule(threshold=2))
    strict = a_pack(
        a_rule(threshold=5), begins=date(2026, 9, 7), count=Count(strategy="full_day_only", marks=("unexcused", "excused"))
    )  # fmt: skip
    law = [InForce(lax, date(2026, 8, 31), date(2026, 9, 6)), InForce(strict, date(2026, 9, 7), date(2026, 9, 11))]
    old, new = positions(line, 0, Person(), law)
    assert (old.version, old.fired_on) == ("2020-01-01", date(2026, 9, 1))
    assert (new.version, new.count, new.fired_on) == ("2026-09-07", 4, None)
    (_, vectorised) = standings(line, [""], law)
    assert vectorised.count.tolist() == [4]
    late = positions(a_line("PPPPP PUEPP"), 0, Person(), law)
    assert [p.version for p in late] == ["2026-09-07"]  # nothing was reached under the old one


def test_a_line_the_student_was_already_past_is_reached_on_the_day_a_version_begins() -> None:
    line = a_line("UUUPP PPPPP")
    old = InForce(a_pack(a_rule(threshold=5)), date(2026, 8, 31), date(2026, 9, 6))
    new = InForce(a_pack(a_rule(threshold=3), begins=date(2026, 9, 7)), date(2026, 9, 7), date(2026, 9, 11))
    (made,) = positions(line, 0, Person(), [old, new])
    assert (made.count, made.fired_on) == (3, date(2026, 9, 7))


def two_laws(
    register: str, old: Rule, new: Rule, begins: date = date(2026, 9, 7), *, evidence: Sequence[Evidence] = (), person: Person | None = None,
    others: Sequence[Rule] = (),
) -> dict[str, list[Position]]:  # fmt: skip
    """Under rules that change on a day; the second Monday, where no other is said. By rule: of the law before, where it answers, and of the one after."""
    line = a_line(register)
    law = [
        InForce(a_pack(old), date(2026, 8, 31), begins - timedelta(days=1)),
        InForce(a_pack(new, *others, begins=begins), begins, line.as_of),
    ]
    found: dict[str, list[Position]] = {}
    for position in positions(line, 0, person or Person(), law, evidence):
        found.setdefault(position.rule, []).append(position)
    return found


def fired_on(some: Sequence[Position]) -> list[str]:
    return [f"{f.on:%d %b}" for p in some for f in p.firings]


def test_a_line_reached_before_the_law_changed_and_ever_since_is_reached_once() -> None:
    #                                MTWTF MTWTF
    (before, now) = two_laws("UUUPP PPPPU", a_rule(threshold=3, duty=LETTER), a_rule(threshold=2, duty=LETTER))["rule"]
    assert (before.status, before.fired_on, before.count) == (Status.DUTY_OPEN, date(2026, 9, 2), 3)
    assert (now.status, now.fired_on, now.firings) == (Status.REACHED, None, ())
    assert (now.count, now.threshold, now.remaining) == (4, 2, 0)
    assert now.why == "It was reached under the rules in force before these: what they asked for stands."


def test_what_was_asked_before_the_law_changed_is_done_after_it() -> None:
    sent = [Evidence("notice", date(2026, 9, 9))]
    (before, now) = two_laws(
        "UUUPP PPPPP", a_rule(threshold=3, duty=LETTER), a_rule(threshold=2, duty=LETTER), evidence=sent
    )["rule"]
    assert (before.status, now.status) == (Status.DUTY_DONE, Status.REACHED)


def test_a_stricter_line_is_reached_on_its_first_day_by_who_was_not_at_the_one_before() -> None:
    (now,) = two_laws("UUUPP PPPPP", a_rule(threshold=4, duty=LETTER), a_rule(threshold=3, duty=LETTER))["rule"]
    assert (now.status, now.fired_on) == (Status.DUTY_OPEN, date(2026, 9, 7))


def test_who_is_not_at_a_laxer_line_any_more_reaches_it_anew() -> None:
    assert fired_on(two_laws("UUUPP PPUPP", a_rule(threshold=3), a_rule(threshold=4))["rule"]) == ["02 Sep", "09 Sep"]


def test_who_was_below_the_line_on_the_last_day_of_the_law_before_reaches_it_anew() -> None:
    week = a_rule("rolling_school_days", 2, length=3)
    #                                  MTWTF MTWTF
    assert fired_on(two_laws("UUPPP UUPPP", week, week)["rule"]) == ["01 Sep", "08 Sep"]
    longer = a_rule("rolling_school_days", 2, length=5)
    assert fired_on(two_laws("UUPPP UUPPP", week, longer)["rule"]) == ["01 Sep", "07 Sep"]
    assert fired_on(two_laws("PPPUU UUPPP", week, longer)["rule"]) == ["04 Sep"]


def test_a_window_that_begins_with_the_new_law_is_a_new_one() -> None:
    month = a_rule("calendar_month", 1, near=0)
    october = date(2026, 10, 1)
    register = "UPPPP PPPPP PPPPP PPPPP PPPUP"
    assert fired_on(two_laws(register, month, month, october)["rule"]) == ["31 Aug", "01 Oct"]
    #                        the last Wednesday of September, and the Thursday after it
    register = "PPPPP PPPPP PPPPP PPPPP PPUUP"
    assert fired_on(two_laws(register, month, month, october)["rule"]) == ["30 Sep", "01 Oct"]


def test_a_run_that_goes_on_is_reached_once_and_one_that_begins_is_new() -> None:
    run = a_rule("consecutive", 2)
    assert fired_on(two_laws("PPPUU UUPPP", run, run)["rule"]) == ["04 Sep"]
    assert fired_on(two_laws("PPUUP UUPPP", run, run)["rule"]) == ["03 Sep", "08 Sep"]
    assert fired_on(two_laws("PPPPU UUPPP", run, run)["rule"]) == ["07 Sep"]


def test_once_a_year_is_once_whatever_version_it_was() -> None:
    once = a_rule("rolling_school_days", 2, length=3, once="year", duty=LETTER)
    (before, now) = two_laws("UUPPP UUPPP", once, once)["rule"]
    assert (before.fired_on, before.status) == (date(2026, 9, 1), Status.DUTY_OPEN)
    assert (now.firings, now.status, now.remaining) == ((), Status.REACHED, 0)


def test_another_step_on_the_same_line_is_asked_for_from_the_first_day() -> None:
    """Ohio's: 72 hours had brought a team together, and since September 30 they open the way to court."""
    court = a_duty("petition", severity="punitive", requires=("support_offered",))
    (before, now) = two_laws("UUUPP PPPPP", a_rule(duty=a_duty("review")), a_rule(duty=court))["rule"]
    assert (before.status, before.fired_on) == (Status.DUTY_OPEN, date(2026, 9, 2))
    assert (now.status, now.fired_on) == (Status.LOCKED, date(2026, 9, 7))


def test_whom_the_law_before_was_not_about_is_asked_from_the_first_day() -> None:
    def of(under: int) -> Rule:
        return a_rule(duty=LETTER, applies=Applies(ages=Ages(from_=6, under=under)))

    seventeen = Person(date(2009, 3, 1))
    (now,) = two_laws("UUUPP PPPPP", of(16), of(18), person=seventeen)["rule"]
    assert (now.status, now.fired_on) == (Status.DUTY_OPEN, date(2026, 9, 7))
    assert fired_on(two_laws("UUUPP PPPPP", of(16), of(18), person=Person(date(2012, 3, 1)))["rule"]) == ["02 Sep"]


def test_a_number_the_law_left_open_is_reached_on_the_day_the_district_sets_it() -> None:
    (now,) = two_laws("UUUPP PPPPP", a_rule(threshold=Threshold(local=True)), a_rule(threshold=3))["rule"]
    assert fired_on([now]) == ["07 Sep"]


def test_a_law_in_force_over_a_holiday_alone_keeps_what_was_reached() -> None:
    line, rule = a_line("UUUPP PPPPP"), a_rule(duty=LETTER)
    days = [
        (date(2026, 8, 31), date(2026, 9, 4)),
        (date(2026, 9, 5), date(2026, 9, 6)),
        (date(2026, 9, 7), date(2026, 9, 11)),
    ]
    law = [InForce(a_pack(rule), *some) for some in days]
    assert fired_on(positions(line, 0, Person(), law)) == ["02 Sep"]
    assert [s.times.tolist() for s in standings(line, [""], law)] == [[1], [0], [0]]


def test_a_line_reached_this_morning_under_the_law_before_is_reached() -> None:
    """The new law begins today, and today is not over."""
    line, rule = a_line("UUUPP"), a_rule(duty=LETTER)
    law = [
        InForce(a_pack(rule), date(2026, 8, 31), date(2026, 9, 4)),
        InForce(a_pack(rule), date(2026, 9, 5), date(2026, 9, 5)),
    ]
    assert [p.status for p in positions(line, 0, Person(), law)] == [Status.DUTY_OPEN, Status.REACHED]


def test_the_month_before_stays_on_record_when_the_law_has_changed_since() -> None:
    month = a_rule("calendar_month", 2, duty=LETTER)
    sent = [Evidence("notice", date(2026, 9, 3))]
    told = two_laws("PUUPP PPPPP PPPPP PPPPP PPPPP", month, month, evidence=sent)["rule"]
    assert fired_on(told) == ["02 Sep"]
    assert [p.status for p in told] == [Status.CLEAR, Status.CLEAR]


def test_a_duty_by_a_count_falls_due_under_the_law_after() -> None:
    """By the fifth: the line was reached at three, and the fifth day missed comes after the rules changed."""
    duty = a_duty("plan", deadline=Deadline(value=5, unit="counted"))
    (before, _now) = two_laws("UUUPP PUPUP", a_rule(duty=duty), a_rule(threshold=2, duty=duty))["rule"]
    assert (before.fired_on, before.due) == (date(2026, 9, 2), date(2026, 9, 10))


def test_nobody_is_told_two_steps_of_a_ladder_on_the_day_the_law_changes() -> None:
    """Five days had asked for a meeting; the district now writes at three, which whoever is past five needs no more."""
    meeting = a_rule(id="five", threshold=5, duty=a_duty("conference"))
    letter = a_rule(id="three", threshold=3, duty=LETTER, gives_way_to="five")
    told = two_laws("UUUUU PPPPP", meeting, letter, others=(meeting,))
    assert [p.status for p in told["five"]] == [Status.DUTY_OPEN, Status.REACHED]
    assert [(p.status, p.fired_on) for p in told["three"]] == [(Status.REACHED, date(2026, 9, 7))]


def test_two_versions_that_count_different_things_by_the_same_name_are_not_mixed() -> None:
    line = a_line("UUUU UUUU", sessions=4, minutes=(90, 90, 90, 90))
    by_session = Count(strategy="sessions", marks=("unexcused",), unit="sessions")
    old = InForce(a_pack(a_rule("consecutive", 9), count=UNEXCUSED), date(2026, 8, 31), date(2026, 8, 31))
    new = a_pack(a_rule("consecutive", 8), count=by_session, begins=date(2026, 9, 1))
    (made,) = positions(line, 0, Person(), [old, InForce(new, date(2026, 9, 1), date(2026, 9, 1))])
    assert (made.count, made.fired_on) == (8, date(2026, 9, 1))


def test_what_was_done_is_counted_itself_where_a_rule_says_so() -> None:
    rule = a_rule("rolling_years", 2, length=3, evidence="penalty_notice", across_years=True)
    two = [Evidence("penalty_notice", d) for d in (date(2024, 5, 1), date(2026, 9, 2))]
    made = the_position(a_line("PPPPP"), rule, evidence=two)
    assert (made.status, made.count, made.fired_on) == (Status.REACHED, 2, date(2026, 9, 2))
    assert the_position(a_line("PPPPP"), rule, evidence=two[1:]).status == Status.NEAR


def test_each_thing_done_from_the_line_on_asks_anew_and_once_a_year_only_the_first() -> None:
    month = a_rule("calendar_month", 2, evidence="late_bus", duty=LETTER)
    buses = [Evidence("late_bus", date(2026, 9, d)) for d in (1, 2, 3)] + [
        Evidence("late_bus", date(2026, 10, d)) for d in (1, 2)
    ]
    made = the_position(a_line("PPPPP " * 6), month, evidence=buses)
    assert [f.on for f in made.firings] == [date(2026, 9, 2), date(2026, 9, 3), date(2026, 10, 2)]
    sent = the_position(a_line("PPPPP " * 6), month, evidence=[*buses, Evidence("notice", date(2026, 9, 4))])
    assert (sent.status, sent.fired_on) == (Status.DUTY_OPEN, date(2026, 10, 2))
    year = the_position(
        a_line("PPPPP " * 6), a_rule("school_year", 2, evidence="late_bus", once="year"), evidence=buses
    )
    assert [f.on for f in year.firings] == [date(2026, 9, 2)]


def test_a_class_of_students_is_asked_in_one_go() -> None:
    line = a_line("UUUPP", "PPPPP", "UPUPU")
    law = [in_force(a_pack(a_rule(), a_rule("quarter", id="quarter")), line)]
    days, quarter = standings(line, ["", "", ""], law)
    assert days.count.tolist() == [3, 0, 3]
    assert days.first.astype(str).tolist() == ["2026-09-02", "NaT", "2026-09-04"]
    assert "quarter" in quarter.why
    assert msgspec.structs.asdict(days.rule)["id"] == "rule"


def test_a_rule_beyond_compulsory_age_is_not_asked_of_who_has_no_birth_date() -> None:
    line, adult = a_line("UUUPP"), a_rule(applies=Applies(ages=Ages(from_=19, under=26)), duty=LETTER)
    compulsory = a_rule(id="of-age", applies=Applies(ages=Ages(from_=12, under=19)))
    pack = a_pack(adult, compulsory, ages=Ages(from_=6, under=19))
    told = positions(line, 0, Person(), [in_force(pack, line)])
    assert [(p.status, len(p.firings)) for p in told] == [(Status.NOT_EVALUABLE, 0), (Status.REACHED, 1)]
    assert told[0].why == "The rule is about ages 19 to 25, and no birth date is on record."
    assert told[0].firings == ()
