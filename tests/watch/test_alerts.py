"""Alerts: raised from drawn registers, withdrawn when their ground goes, not raised again for what was answered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import AuditEntry
from firstbell.register.actions import change_day
from firstbell.register.models import Calendar, DayType, RollState, School, Student
from firstbell.watch import lists, live, verdicts
from firstbell.watch.models import Alert, Verdict
from firstbell.watch.passes import evaluate, run_pass
from firstbell.watch.words import alert_days, sentence
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_section, a_student, a_teacher, a_user, draw, mark

pytestmark = pytest.mark.django_db
WEEKS = 8
#: Friday of the sixth week: thirty school days are whole
FRIDAY = FIRST_MONDAY + timedelta(days=7 * 5 + 4)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 22, tzinfo=UTC)


@pytest.fixture
def school() -> School:
    return a_school()


@pytest.fixture
def calendar(school: School, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    """Six weeks of an eight-week calendar have passed; a source that sends exceptions has said all of them."""
    monkeypatch.setattr(clock, "now", lambda: evening(FRIDAY))
    return a_calendar(school, weeks=WEEKS, covered=FRIDAY)


def raised(student: Student | None = None) -> set[str]:
    found = Alert.objects.system("test").filter(state="open")
    return (
        set(found.filter(student=student).values_list("kind", flat=True))
        if student
        else set(found.values_list("kind", flat=True))
    )


def crowd(school: School, n: int = 20) -> list[Student]:
    """Classmates who are simply there, so that the group has an ordinary day."""
    return [a_student(school, f"Kid{i}") for i in range(n)]


@pytest.mark.parametrize(
    ("register", "kind", "is_raised"),
    [
        ("PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU", "streak", True),
        ("PPPPP PPPPP PPPPP PPPPP PPPPP PPPUU", "streak", False),
        ("PPPPP PPPPP PPPPP PPPPP PPUEU UPUPE", "break", True),
        ("PPPPP PPPPP PPPPP PPPPP PPUPP PPPPE", "break", False),
        ("EPPPP EPPPP EPPPP EPPPP EPPPP EPPPP", "weekday", True),
        ("EPPPP PEPPP PPEPP PPPEP PPPPE EPPPP", "weekday", False),
        ("PPPPP PPPPP PPPPP PPUUU UUUUU UUUUU", "not_seen", True),
        ("PPPPP PPPPP PPPPP PPPPP PUUUU UUUUU", "not_seen", False),
        ("NPPPP PPNPP PPPPP PPPNP PPPPP PPPPP", "unexplained", True),
        ("NPPPP PPNPP PPPPP PPPEP PPPPP PPPPP", "unexplained", False),
        ("PPPPP PPPPP TPPPP TPTPT PTPPP PPTPP", "lateness", True),
        ("TPTTP PTPPP TPPPP TPTPT PTPPP PPTPP", "lateness", False),
        ("PEPPP PPPPP EPPPP PPPPP PPPPP EPPPP", "high_absence", True),
        ("PEPPP PPPPP EPPPP PPPPP PPPPP PPPPP", "high_absence", False),
    ],
)
def test_a_kind_is_raised_at_its_bar_and_not_just_short_of_it(
    calendar: Calendar, school: School, register: str, kind: str, is_raised: bool
) -> None:
    crowd(school)
    ana = a_student(school)
    draw(calendar, ana, register)
    run_pass()
    assert (kind in raised(ana)) is is_raised


def test_the_sentence_names_the_days_and_no_score(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    alert = Alert.objects.system("test").select_related("student").get(kind="streak")
    assert sentence(alert) == "Ana has been away 3 school days in a row, since 7 October."
    assert [f"{day:%a}{letters}" for day, letters in alert_days(alert)] == ["WedU", "ThuU", "FriU"]


def test_a_day_many_were_away_is_the_schools_item_and_nobodys_break(calendar: Calendar, school: School) -> None:
    everybody = [*crowd(school, 29), a_student(school)]
    for student in everybody:
        draw(calendar, student, "PPPPP PPPPP PPPPP PPPPP PPPPP PPPPU")
    run_pass()
    assert "school_day" in raised()
    assert "break" not in raised()
    alert = Alert.objects.system("test").get(kind="school_day")
    assert (alert.student, alert.count, alert.of) == (None, 30, 30)


def test_a_corrected_mark_withdraws_the_alert_at_once_and_says_so(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    mark(calendar, ana, FRIDAY, "P", recorded=clock.seconds(evening(FRIDAY)))
    live.marks_changed(calendar, [ana.pk])
    alert = Alert.objects.system("test").get(kind="streak")
    assert alert.state == "withdrawn"
    officer = a_user(school=school)
    assert alert in [line.alert for line in lists.today(officer).withdrawn]


def test_a_closure_found_out_later_withdraws_what_it_caused(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    change_day(calendar, FRIDAY, DayType.WEATHER, by="test")
    evaluate(calendar)
    assert "streak" not in raised(ana)


def test_running_the_pass_twice_changes_nothing(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPNPP PPPPP PPNNP PPPPP PPUUU")
    run_pass()
    before = list(Alert.objects.system("test").order_by("pk").values())
    assert run_pass().opened == 0
    after = list(Alert.objects.system("test").order_by("pk").values())
    assert before == after


def test_live_and_nightly_raise_the_same(calendar: Calendar, school: School) -> None:
    registers = [
        "PPPPP PPNPP PPPPP PPNNP PPPPP PPUUU",
        "EPPPP EPPPP EPPPP EPPPP EPPPP EPPPP",
        "PPPPP PPPPP PPPPP PPPPP PPUEU UPUPE",
    ]
    students = [a_student(school, f"S{i}") for i in range(len(registers))]
    for student, register in zip(students, registers, strict=True):
        draw(calendar, student, register)
    for student in students:
        live.marks_changed(calendar, [student.pk])
    at_once = set(Alert.objects.system("test").filter(state="open").values_list("student", "kind", "count", "days"))
    Alert.objects.system("test").all().delete()
    run_pass()
    assert (
        set(Alert.objects.system("test").filter(state="open").values_list("student", "kind", "count", "days"))
        == at_once
    )


def answered(calendar: Calendar, school: School, decision: str, **more: object) -> tuple[Student, Verdict]:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    evaluate(calendar)
    alert = Alert.objects.system("test").get(kind="streak", student=ana)
    verdict = verdicts.give_verdict(a_user(school=school), alert, decision, "We spoke.", version=alert.version, **more)
    return ana, verdict


@pytest.mark.parametrize(("days_more", "comes_back"), [(1, False), (2, True)])
def test_what_was_answered_comes_back_only_when_it_got_worse(
    calendar: Calendar, school: School, monkeypatch: pytest.MonkeyPatch, days_more: int, comes_back: bool
) -> None:
    ana, _verdict = answered(calendar, school, "act")
    monday = FRIDAY + timedelta(days=3)
    for n in range(days_more):
        mark(calendar, ana, monday + timedelta(days=n), "U")
    calendar.covered_through = monday + timedelta(days=days_more - 1)
    calendar.save()
    monkeypatch.setattr(clock, "now", lambda: evening(monday + timedelta(days=days_more - 1)))
    run_pass()
    assert ("streak" in raised(ana)) is comes_back


def test_a_watch_comes_back_on_its_day_if_the_ground_still_stands(
    calendar: Calendar, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday = FRIDAY + timedelta(days=3)
    ana, _verdict = answered(calendar, school, "watch", until=monday)
    run_pass()
    assert "streak" not in raised(ana)
    monkeypatch.setattr(clock, "now", lambda: evening(monday))
    evaluate(calendar)
    assert "streak" in raised(ana)


def test_wrong_data_rests_until_the_days_behind_it_change(calendar: Calendar, school: School) -> None:
    ana, _verdict = answered(calendar, school, "wrong_data")
    evaluate(calendar)
    assert "streak" not in raised(ana)
    mark(calendar, ana, FRIDAY, "E", recorded=clock.seconds(evening(FRIDAY)))
    evaluate(calendar)
    assert "streak" in raised(ana)


def test_high_absence_rests_after_somebody_acted_on_anything(calendar: Calendar, school: School) -> None:
    ana, verdict = answered(calendar, school, "act")
    assert "high_absence" in raised(ana)
    evaluate(calendar)
    assert "high_absence" not in raised(ana)
    verdicts.undo_verdict(verdict.given_by, verdict)
    evaluate(calendar)
    assert {"streak", "high_absence"} <= raised(ana)


def test_a_verdict_needs_a_reason_and_a_watch_a_day(calendar: Calendar, school: School) -> None:
    ana = a_student(school)
    draw(calendar, ana, "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    alert = Alert.objects.system("test").get(kind="streak")
    officer = a_user(school=school)
    with pytest.raises(verdicts.NotGiven, match="Write why"):
        verdicts.give_verdict(officer, alert, "act", "  ", version=alert.version)
    with pytest.raises(verdicts.NotGiven, match="day after today"):
        verdicts.give_verdict(officer, alert, "watch", "Later.", version=alert.version)
    assert Alert.objects.system("test").get(pk=alert.pk).state == "open"


def test_two_officers_on_one_alert_the_second_sees_what_the_first_decided(calendar: Calendar, school: School) -> None:
    ana, verdict = answered(calendar, school, "act")
    alert = verdict.alert
    with pytest.raises(verdicts.Conflict) as conflict:
        verdicts.give_verdict(a_user(school=school), alert, "no_concern", "Fine.", version=alert.version)
    assert conflict.value.theirs == verdict
    assert ana.verdicts.count() == 1


def test_a_verdict_is_on_the_audit_with_no_name_in_it(calendar: Calendar, school: School) -> None:
    ana, verdict = answered(calendar, school, "act")
    entry = AuditEntry.objects.get(action="verdict")
    assert (entry.actor, entry.subject) == (f"user:{verdict.given_by_id}", f"student:{ana.pk}")
    assert "Ana" not in entry.detail
    assert audit.verify() is None


# -- the clock of today ----------------------------------------------------------------------------------------------

MONDAY = FRIDAY + timedelta(days=3)


def morning(hour: int, minute: int = 0) -> datetime:
    """By Chicago's clock, which is five hours behind in October."""
    return datetime(MONDAY.year, MONDAY.month, MONDAY.day, hour + 5, minute, tzinfo=UTC)


@pytest.fixture
def class_today(calendar: Calendar, school: School, monkeypatch: pytest.MonkeyPatch) -> list[Student]:
    students = [a_student(school), a_student(school, "Ben")]
    a_section(calendar, *students)
    RollState.objects.create(calendar=calendar, date=FRIDAY, taken=True, recorded_at=1, key="friday")
    monkeypatch.setattr(clock, "now", lambda: morning(8, 20))
    return students


def test_a_roll_is_chased_a_quarter_of_an_hour_into_its_session(
    calendar: Calendar, class_today: list[Student], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: morning(8, 10))
    evaluate(calendar)
    assert raised() == set()
    monkeypatch.setattr(clock, "now", lambda: morning(8, 15))
    evaluate(calendar)
    assert raised() == {"roll_not_taken"}


def test_taking_the_roll_settles_the_chase_and_names_who_is_away(
    calendar: Calendar, school: School, class_today: list[Student]
) -> None:
    from firstbell.classroom import roll

    evaluate(calendar)
    section = calendar.sections.get()
    teacher = a_teacher(school, section)
    assert roll.take(section, MONDAY, 0, {class_today[1].pk: "N"}, by=teacher, key="k" * 20)
    assert raised() == {"unexplained_today"}
    assert raised(class_today[1]) == {"unexplained_today"}
    assert not roll.take(section, MONDAY, 0, {class_today[0].pk: "N"}, by=teacher, key="k" * 20), (
        "the same submit again"
    )
    assert raised(class_today[0]) == set()


def test_today_is_gone_tomorrow(
    calendar: Calendar, class_today: list[Student], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(calendar)
    monkeypatch.setattr(clock, "now", lambda: morning(8) + timedelta(days=1))
    evaluate(calendar)
    assert Alert.objects.system("test").get(kind="roll_not_taken").state == "expired"


def test_in_school_and_then_not_in_class(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = a_calendar(school, weeks=WEEKS, sessions=3, covered=FRIDAY)
    monkeypatch.setattr(clock, "now", lambda: morning(10, 40))
    ana = a_student(school)
    mark(calendar, ana, MONDAY, "P", session=0)
    mark(calendar, ana, MONDAY, "U", session=1)
    evaluate(calendar)
    assert raised(ana) == {"not_in_class"}


# -- Today's list --------------------------------------------------------------------------------------------------------


def test_the_list_is_as_long_as_the_time_there_is_and_the_rest_stands_below(calendar: Calendar, school: School) -> None:
    for i in range(6):
        draw(calendar, a_student(school, f"S{i}"), "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    officer = a_user(school=school)
    officer.daily_minutes = 60
    found = lists.today(officer)
    assert len(found.now) == 6, "three minutes each"
    assert (len(found.pattern), len(found.below)) == (2, 4), (
        "fifteen minutes each: two fit into the forty-two that are left"
    )


def test_todays_queries_do_not_grow_with_the_list(
    calendar: Calendar, school: School, django_assert_max_num_queries: object
) -> None:
    officer = a_user(school=school)
    for n in (3, 30):
        for i in range(n):
            draw(calendar, a_student(school, f"S{n}{i}"), "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
        run_pass()
        with django_assert_max_num_queries(12):  # type: ignore[operator]
            lists.today(officer)


def test_nobody_elses_school_is_on_the_list(calendar: Calendar, school: School) -> None:
    draw(calendar, a_student(school), "PPPPP PPPPP PPPPP PPPPP PPPPP PPUUU")
    run_pass()
    assert lists.today(a_user(school=a_school("Birch Secondary"))).pattern == []
