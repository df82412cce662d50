"""The register: marks in, squares out, and every past day's grid can be rebuilt."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from firstbell import clock
from firstbell.register import rows
from firstbell.register.actions import change_day
from firstbell.register.models import DayType, Enrolment, RegisterRow, RollState
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, at, draw, mark

pytestmark = pytest.mark.django_db
TUESDAY = FIRST_MONDAY + timedelta(days=1)


def squares(student: object) -> str:
    return "|".join(
        RegisterRow.objects.system("test").filter(student=student).order_by("id").values_list("codes", flat=True)
    )


def test_no_mark_and_no_roll_is_unknown_not_present() -> None:
    school = a_school()
    a_calendar(school, weeks=1)
    assert squares(a_student(school)) == "     "


def test_where_only_exceptions_are_sent_no_mark_means_present_through_the_day_vouched_for() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1, covered=FIRST_MONDAY + timedelta(days=2))
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "U")
    assert squares(ana) == "PUP  "


def test_a_roll_taken_makes_its_class_present_and_one_not_taken_makes_it_unknown() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1, sessions=2, covered=TUESDAY)
    ana, ben = a_student(school), a_student(school, "Ben")
    section = a_section(calendar, ana, sessions="1")
    RollState.objects.create(
        calendar=calendar, section=section, date=TUESDAY, taken=False, recorded_at=at(TUESDAY), key="a"
    )
    wednesday = TUESDAY + timedelta(days=1)
    RollState.objects.create(
        calendar=calendar, section=section, date=wednesday, taken=True, recorded_at=at(wednesday), key="b"
    )
    rows.refold(calendar)
    assert squares(ana) == "PPP  P    "
    assert squares(ben) == "PPPP      "


def test_the_last_word_stands_whatever_order_the_words_arrive_in() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "E", recorded=at(TUESDAY, 20))
    mark(calendar, ana, TUESDAY, "N", recorded=at(TUESDAY, 9))
    assert squares(ana) == " E   "


def test_as_known_on_a_past_day_shows_the_mark_of_that_day_not_its_correction() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "U", recorded=at(TUESDAY, 15))
    mark(calendar, ana, TUESDAY, "E", recorded=at(TUESDAY + timedelta(days=3), 15))
    known = rows.grid_as_known(calendar, TUESDAY + timedelta(days=1))
    assert known.grid.codes.tobytes().decode() == " U   "
    assert squares(ana) == " E   "


def test_every_evening_shows_what_was_known_that_evening() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=2, covered=FIRST_MONDAY + timedelta(days=9))
    ana, ben = a_student(school), a_student(school, "Ben", starts=FIRST_MONDAY + timedelta(days=2))
    section = a_section(calendar, ben)
    mark(calendar, ana, FIRST_MONDAY, "N")
    mark(calendar, ana, FIRST_MONDAY, "E", recorded=at(FIRST_MONDAY + timedelta(days=3)))
    mark(calendar, ana, FIRST_MONDAY + timedelta(days=4), "E", recorded=at(FIRST_MONDAY))  # told before
    mark(
        calendar, ben, FIRST_MONDAY + timedelta(days=3), "U", recorded=at(FIRST_MONDAY + timedelta(days=40))
    )  # told too late
    for n, taken in ((10, True), (11, False)):
        day = FIRST_MONDAY + timedelta(days=n)
        RollState.objects.create(
            calendar=calendar, section=section, date=day, taken=taken, recorded_at=at(day), key=str(n)
        )
    column = rows.columns(calendar)
    past = rows.Past(column, rows.row_spans(column))
    days = len(column.dates)
    for through, letters, changed_rows, changed_days in past.evenings(days):
        as_known = past.letters(clock.end_of_day(column.dates[through - 1], school.zone))
        assert letters[:, :through].tobytes() == as_known[:, :through].tobytes()
        changed = set(zip(changed_rows.tolist(), changed_days.tolist(), strict=True))
        assert {(0, through - 1), (1, through - 1)} <= changed
        assert ((0, 0) in changed) == (through in (1, 4))


def test_every_word_about_a_square_is_kept_with_what_it_supersedes() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "N", recorded=at(TUESDAY, 9))
    mark(calendar, ana, TUESDAY, "E", recorded=at(TUESDAY, 20))
    first, second = rows.history(ana, TUESDAY)
    assert (first.event.meaning.letter, first.supersedes) == ("N", None)
    assert (second.event.meaning.letter, second.supersedes) == ("E", first.event.pk)


def test_the_same_word_twice_is_one_event() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "U")
    mark(calendar, ana, TUESDAY, "U")
    assert ana.mark_events.count() == 1


def test_a_closure_after_the_fact_takes_its_column_out_and_keeps_its_marks() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    draw(calendar, ana, "PUPEP")
    change_day(calendar, TUESDAY, DayType.WEATHER, by="test")
    assert squares(ana) == "PPEP"
    assert ana.mark_events.count() == 5
    change_day(calendar, TUESDAY, DayType.INSTRUCTIONAL, by="test")
    assert squares(ana) == "PUPEP"


def test_a_make_up_day_puts_a_column_in_its_place_and_moves_no_mark() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=2)
    ana = a_student(school)
    draw(calendar, ana, "PUPEP PPPPU")
    change_day(calendar, FIRST_MONDAY + timedelta(days=5), DayType.MAKE_UP, by="test")
    assert squares(ana) == "PUPEP PPPPU"


def test_days_before_entry_and_after_leaving_are_not_expected() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1, covered=date(2027, 1, 1))
    ana = a_student(school, starts=TUESDAY, ends=TUESDAY + timedelta(days=1))
    assert squares(ana) == "#PP##"
    assert not list(rows.check([calendar]))


def test_a_student_who_leaves_and_comes_back_has_two_rows() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1, covered=date(2027, 1, 1))
    ana = a_student(school, ends=TUESDAY)
    Enrolment.objects.system("test").create(student=ana, school=school, starts=TUESDAY + timedelta(days=3), grade="03")
    rows.refold(calendar)
    assert squares(ana) == "PP###|####P"


def test_for_counting_who_left_and_came_back_is_one_row() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1, covered=date(2027, 1, 1))
    ana, ben = a_student(school, ends=TUESDAY), a_student(school, "Ben")
    back = Enrolment.objects.system("test").create(
        student=ana, school=school, starts=TUESDAY + timedelta(days=3), grade="04"
    )
    mark(calendar, ana, TUESDAY, "T", minutes=25)
    mark(calendar, ana, TUESDAY + timedelta(days=3), "T", minutes=9)
    rows.refold(calendar)
    grid = rows.school_grid(calendar)
    assert [row.tobytes().decode() for row in grid.grid.codes] == ["PT##T", "PPPPP"]
    assert grid.grid.minutes is not None
    assert grid.grid.minutes[0].tolist() == [0, 25, 0, 0, 9]
    assert (grid.student_ids.tolist(), grid.grades) == ([ana.pk, ben.pk], ["04", "03"])
    assert grid.enrolment_ids[0] == back.pk
    assert rows.grid_as_known(calendar, TUESDAY + timedelta(days=3)).grid.codes[0].tobytes() == b"PT##T"


def test_concurrent_enrolment_at_two_schools_is_two_rows_each_of_its_own_calendar() -> None:
    here, there = a_school(), a_school("Birch Secondary")
    for school in (here, there):
        a_calendar(school, weeks=1, covered=TUESDAY)
    ana = a_student(here)
    Enrolment.objects.system("test").create(student=ana, school=there, starts=TUESDAY, grade="03", primary=False)
    rows.refold(there.calendars.get())
    assert squares(ana) == "PP   |#P   "


def test_minutes_missed_have_a_plane_of_their_own() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "T", minutes=25)
    grid = rows.school_grid(calendar).grid
    assert grid.minutes is not None
    assert grid.minutes.tolist() == [[0, 25, 0, 0, 0]]


def test_the_check_finds_a_row_that_is_not_the_fold_of_its_events() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    mark(calendar, ana, TUESDAY, "U")
    assert list(rows.check()) == []
    RegisterRow.objects.system("test").filter(student=ana).update(codes="PPPPP")
    (wrong,) = rows.check()
    assert (wrong.stored, wrong.folded) == ("PPPPP", " U   ")
