"""Marks, late marks, corrections, duplicates, rolls, closures, make-up days, transfers, in any order, against a plain dict.

The model below is written from docs/architecture.md and decision 0003, in the slowest plain way; it shares nothing with the fold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from firstbell import clock
from firstbell.register import rows
from firstbell.register.actions import NewMark, change_day, meaning_of, record_marks
from firstbell.register.models import Calendar, DayType, Enrolment, MarkEvent, RegisterRow, RollState, UnreadMark
from tests.build import FIRST_MONDAY, MARKS, a_calendar, a_school, a_section, a_student, at, examples

pytestmark = pytest.mark.django_db
SESSIONS = 2
WEEKDAYS = [FIRST_MONDAY + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
SATURDAY = FIRST_MONDAY + timedelta(days=5)
days = st.sampled_from(WEEKDAYS)
sessions = st.integers(0, SESSIONS - 1)
letters = st.sampled_from("PTLHFEUNXS")
#: when a word was recorded, in hours after the first Monday's midnight: before, during and long after its day
moments = st.integers(0, 24 * 20)


@dataclass
class Said:
    """One student as a plain person would keep them."""

    stays: list[list[date | None]]
    marks: list[tuple[int, date, int, str]] = field(default_factory=list)  # recorded at, day, session, letter


class Register(RuleBasedStateMachine):
    words = Bundle("words")
    unread = Bundle("unread")

    @initialize()
    def a_school_of_two(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        school = a_school()
        self.calendar: Calendar = a_calendar(school, weeks=2, sessions=SESSIONS)
        self.students = [a_student(school, "Ana"), a_student(school, "Ben")]
        self.section = a_section(self.calendar, self.students[0])  # Ben is in no class
        self.said = {s.pk: Said([[FIRST_MONDAY, None]]) for s in self.students}
        self.school_days = set(WEEKDAYS)
        self.covered: date | None = None
        self.rolls: list[tuple[int, date, int | None, bool]] = []
        self.second = 0  # no two words are recorded in the same second, so that their order is never open
        self.events = 0

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    def recorded(self, hours: int) -> int:
        self.second += 1
        return at(FIRST_MONDAY, 0) + hours * 3600 + self.second

    # -- what may happen ---------------------------------------------------------------------------------------------

    @rule(
        target=words,
        who=st.integers(0, 1),
        day=st.sampled_from([*WEEKDAYS, SATURDAY]),
        session=sessions,
        letter=letters,
        hours=moments,
    )
    def somebody_says(self, who: int, day: date, session: int, letter: str, hours: int) -> NewMark:
        student = self.students[who].pk
        word = NewMark(student, day, session, meaning_of(MARKS[letter], "test", letter).pk, self.recorded(hours))
        assert record_marks(self.calendar, [word], by="test") == 1
        self.said[student].marks.append((word.recorded_at, day, session, letter))
        self.events += 1
        return word

    @rule(target=unread, who=st.integers(0, 1), day=days, session=sessions, hours=moments)
    def something_is_said_that_nobody_can_read(self, who: int, day: date, session: int, hours: int) -> NewMark:
        student, when = self.students[who].pk, self.recorded(hours)
        UnreadMark.objects.system("test").create(
            calendar=self.calendar, student_id=student, date=day, session=session, recorded_at=when
        )
        rows.refold(self.calendar, [student])
        self.said[student].marks.append((when, day, session, " "))
        return NewMark(student, day, session, meaning_of(MARKS["U"], "test", "U").pk, when)

    @rule(word=consumes(unread))
    def and_is_read_after_all(self, word: NewMark) -> None:
        assert record_marks(self.calendar, [word], by="test") == 1
        self.said[word.student_id].marks.append((word.recorded_at, word.date, word.session, "U"))
        self.events += 1

    @rule(word=words)
    def the_same_is_said_again(self, word: NewMark) -> None:
        assert record_marks(self.calendar, [word], by="test") == 0

    @rule(day=days, session=st.none() | sessions, taken=st.booleans(), hours=moments)
    def a_roll_is_stated(self, day: date, session: int | None, taken: bool, hours: int) -> None:
        when = self.recorded(hours)
        RollState.objects.create(
            calendar=self.calendar, section=self.section, date=day, session=session, taken=taken, recorded_at=when,
            key=f"roll {when}",
        )  # fmt: skip
        rows.refold(self.calendar)
        self.rolls.append((when, day, session, taken))

    @rule(day=days, kind=st.sampled_from([DayType.WEATHER, DayType.STRIKE, DayType.INSTRUCTIONAL]))
    def a_day_is_closed_or_opened(self, day: date, kind: DayType) -> None:
        change_day(self.calendar, day, kind, by="test")
        (self.school_days.add if kind == DayType.INSTRUCTIONAL else self.school_days.discard)(day)

    @rule(back=st.booleans())
    def a_saturday_is_made_up_or_not(self, back: bool) -> None:
        change_day(self.calendar, SATURDAY, DayType.MAKE_UP if back else DayType.NON_INSTRUCTIONAL, by="test")
        (self.school_days.add if back else self.school_days.discard)(SATURDAY)

    @rule(day=st.none() | days)
    def the_source_vouches_through(self, day: date | None) -> None:
        self.calendar.covered_through = self.covered = day
        self.calendar.save()
        rows.refold(self.calendar)

    @rule(who=st.integers(0, 1), day=days)
    def a_student_leaves(self, who: int, day: date) -> None:
        student = self.students[who]
        stay = self.said[student.pk].stays[-1]
        if stay[1] is None and stay[0] <= day:  # type: ignore[operator]
            stay[1] = day
            Enrolment.objects.system("test").filter(student=student, ends=None).update(ends=day)
            rows.refold(self.calendar, [student.pk])

    @rule(who=st.integers(0, 1), day=days)
    def and_comes_back(self, who: int, day: date) -> None:
        student = self.students[who]
        last = self.said[student.pk].stays[-1]
        if last[1] is not None and last[1] < day:
            self.said[student.pk].stays.append([day, None])
            Enrolment.objects.system("test").create(
                student=student, school=self.calendar.school, starts=day, grade="03"
            )
            rows.refold(self.calendar, [student.pk])

    # -- what must hold ----------------------------------------------------------------------------------------------

    def squares(
        self, student: int, stay: list[date | None], known: int | None = None, known_day: date | None = None
    ) -> str:
        """A stay's squares, decided one at a time."""
        text = ""
        for day in sorted(self.school_days):
            for session in range(SESSIONS):
                letter = " "
                vouched = self.covered is not None and day <= self.covered
                if vouched and (known_day is None or day <= known_day):
                    letter = "P"
                if student == self.students[0].pk:
                    for when, on, of, taken in sorted(self.rolls, key=lambda r: r[0]):
                        if on == day and of in (None, session) and (known is None or when <= known):
                            letter = "P" if taken else " "
                for when, on, of, said in sorted(self.said[student].marks):  # a space sorts first: what is read, stands
                    if (on, of) == (day, session) and (known is None or when <= known):
                        letter = said
                if day < stay[0] or (stay[1] is not None and day > stay[1]):  # type: ignore[operator]
                    letter = "#"
                text += letter
        return text

    def stays(self, student: int) -> list[list[date | None]]:
        """Those that hold at least one school day: others have no row."""
        return [
            stay for stay in self.said[student].stays
            if any(stay[0] <= d and (stay[1] is None or d <= stay[1]) for d in self.school_days)  # type: ignore[operator]
        ]  # fmt: skip

    @invariant()
    def the_register_says_what_a_plain_person_would(self) -> None:
        if not hasattr(self, "calendar"):
            return
        for student in self.students:
            stored = RegisterRow.objects.system("test").filter(student=student).order_by("enrolment__starts")
            expected = [self.squares(student.pk, stay) for stay in self.stays(student.pk)]
            assert list(stored.values_list("codes", flat=True)) == expected

    @invariant()
    def every_row_is_the_fold_of_its_events_and_no_word_is_lost(self) -> None:
        if not hasattr(self, "calendar"):
            return
        assert list(rows.check([Calendar.objects.get(pk=self.calendar.pk)])) == []
        assert MarkEvent.objects.system("test").count() == self.events

    @rule(day=days)
    def any_past_day_can_be_seen_again(self, day: date) -> None:
        known = clock.end_of_day(day, self.calendar.school.zone)
        stays = rows.stays_as_known(Calendar.objects.select_related("school").get(pk=self.calendar.pk), day)
        expected = [self.squares(s.pk, stay, known, day) for s in self.students for stay in self.stays(s.pk)]
        assert [codes for _stay, codes, _minutes in stays] == expected


def test_the_register_against_a_plain_dict() -> None:
    run_state_machine_as_test(
        Register,
        settings=settings(
            max_examples=examples(40), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
