"""A rule over a year of the register: whom it reaches, when, with how much warning; beside the law in force; no small number told."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.access.models import Assignment, Role, User
from firstbell.casework.models import Adoption, ReplayRun
from firstbell.casework.replay_document import _split, _work, as_csv
from firstbell.casework.replaying import NotReplayed, ask_for, replay, replay_job, tried_pack
from firstbell.jobs.models import Job
from firstbell.jobs.queue import lease_next, run_leased
from firstbell.register.models import Calendar, Enrolment, School, Student
from firstbell.register.rows import refold
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, at, draw, mark

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=25)
TEN = "ten-unexcused-days"


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="example", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=6, covered=TODAY)


def some(calendar: Calendar, n: int, squares: str, **more: object) -> list[Student]:
    found = [a_student(calendar.school, **more) for _ in range(n)]  # type: ignore[arg-type]
    for student in found:
        draw(calendar, student, squares)
    return found


def the(made: dict, rule: str) -> dict:  # type: ignore[type-arg]
    return next(r for r in made["rules"] if r["id"] == rule)


def test_a_moved_line_beside_the_one_in_force(calendar: Calendar, school: School) -> None:
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 15, "UUUUU UUUPP PPPPP PPPPP")
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    a_user(Role.OFFICER, school), a_user(Role.OFFICER, school)
    made = replay(tried_pack("example", rule=TEN, line="8"), 2027)
    found = the(made, TEN)
    assert made["students"] == 47
    tried, in_force = found["sides"]["tried"], found["sides"]["in_force"]
    assert (tried["students"], in_force["students"]) == (27, 12)
    assert (tried["threshold"]["count"], in_force["threshold"]["count"]) == ("8", 10)
    assert found["weeks"]["tried"] == (0, 27, 0, 0)
    assert tried["lead"] == {"median": 2, "low": 2, "high": 2}  # told at six, reached at eight
    assert made["load"]["tried"]["letters"]["all"]["each"] == "27/8"  # 27 in four weeks by two officers
    assert made["load"]["in_force"]["letters"]["all"]["each"] == "3/2"
    assert (tried["known"], tried["undone"]) == (27, 0)


def test_fewer_than_ten_are_kept_back_everywhere(calendar: Calendar) -> None:
    some(calendar, 9, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 30, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    found = the(made, TEN)
    for side in found["sides"].values():
        assert (side["students"], side["times"], side["lead"], side["known"], side["undone"]) == (
            None,
            None,
            None,
            None,
            None,
        )
    assert set(found["weeks"]["tried"]) == {None}
    assert len(found["weeks"]["from"]) == len(found["weeks"]["tried"])
    assert set(found["by"]["schools"]["tried"]) == {None}
    assert (made["load"]["tried"]["letters"]["all"]["each"], made["load"]["tried"]["letters"]["all"]["without"]) == (
        None,
        1,
    )
    numbers = {cell for row in csv.reader(io.StringIO(as_csv(made))) if row[0] == TEN for cell in row[4:]}
    assert numbers == {"kept back"}


def test_a_small_part_takes_another_with_it_and_the_totals_agree(calendar: Calendar) -> None:
    some(calendar, 20, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    for name, reached in (("Birch Primary", 4), ("Cedar Primary", 14)):
        theirs = a_calendar(a_school(name), weeks=6, covered=TODAY)
        some(theirs, reached, "UUUUU UUUUU PPPPP PPPPP")
        some(theirs, 20, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    found = the(made, TEN)
    assert made["names"]["schools"] == ["Alder Primary", "Birch Primary", "Cedar Primary"]
    assert found["sides"]["tried"]["students"] == 38
    assert found["by"]["schools"]["tried"] == (20, None, None)
    assert found["by"]["bands"]["tried"] == (38, 0, 0)


def test_weeks_are_told_together_where_each_alone_would_be_kept_back(calendar: Calendar) -> None:
    for week in ("UUUUU UUUUU PPPPP PPPPP", "UUUUP UUUUP UUPPP PPPPP", "UUUPP UUUPP UUUPP UPPPP"):
        some(calendar, 6, week)
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    weeks = the(replay(tried_pack("example"), 2027), TEN)["weeks"]
    assert (weeks["together"], weeks["from"], weeks["tried"]) == (4, ["2026-08-31"], (18,))


def test_a_letter_is_whatever_is_written_and_a_meeting_whoever_meets() -> None:
    """Of the packs' duties: an invitation is a letter and a meeting, a call is neither, a review only where people meet for it."""
    work = {
        r.id: _work(r.duty) for pack in ("us-fl", "us-oh", "us-tx", "us-va", "gb-eng") for r in tried_pack(pack).rule
    }
    assert work["FL-1"] == {"contacts": "contact"}
    assert work["FL-2-meeting"] == {"letters": "conference", "meetings": "conference"}
    assert work["FL-2-month"] == {"meetings": "review"}  # the child study team
    assert work["FL-3"] == {"letters": "notify"}
    assert work["FL-4"] == work["TX-C1"] == {"letters": "legal_step"}  # a report to the board; a referral to court
    assert work["VA-2-plan"] == {"letters": "plan", "meetings": "plan"}
    assert work["OH-2-risk"] == {"meetings": "review"}
    assert work["ENG-4"] == {}  # seeing whether it was paid


INVITED = """on = "example"
title = "A letter, and a talk the board allows"
effective_from = 2026-08-01
[[rule]]
id = "talk"
title = "8 unexcused days"
source = "example"
count = "unexcused"
threshold = { count = 8 }
window = { kind = "school_year" }
[rule.duty]
kind = "conference"
title = "Meet the family"
[[rule]]
id = "more-talk"
title = "9 unexcused days"
source = "example"
count = "unexcused"
threshold = { count = 9 }
window = { kind = "school_year" }
[rule.duty]
kind = "conference"
title = "Meet the family again"
may = true
"""


def test_the_load_tells_letters_from_meetings_and_what_is_asked_from_what_is_allowed(
    calendar: Calendar, school: School
) -> None:
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    a_user(Role.OFFICER, school)
    load = replay(tried_pack("example", overlay=INVITED), 2027)["load"]["tried"]
    assert {part: (told["each"], told["of"]) for part, told in load["letters"].items()} == {
        "all": ("6", [TEN, "talk"]), "notify": ("3", [TEN]), "conference": ("3", ["talk"]), "allowed": ("3", ["more-talk"]),
    }  # fmt: skip
    assert {part: told["each"] for part, told in load["meetings"].items()} == {
        "all": "3",
        "conference": "3",
        "allowed": "3",
    }


def test_what_falls_at_a_school_without_an_officer_is_nobodys_and_told_apart(
    calendar: Calendar, school: School
) -> None:
    theirs = a_calendar(a_school("Birch Primary"), weeks=6, covered=TODAY)
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP"), some(calendar, 20, "PPPPP")
    some(theirs, 16, "UUUUU UUUUU PPPPP PPPPP"), some(theirs, 20, "PPPPP")
    tried = tried_pack("example")
    a_user(Role.OFFICER, school)
    former = a_user(Role.OFFICER, theirs.school)
    Assignment.objects.filter(user=former).update(ends=TODAY - timedelta(days=1))
    made = replay(tried, 2027)
    told = made["load"]["tried"]["letters"]["all"]
    assert (made["officers"], made["with_officer"]) == (1, [True, False])
    assert (told["each"], told["elsewhere"]) == ("3", 16)  # 12 in four weeks; 16 at Birch
    a_user(Role.OFFICER)  # of the district
    told = replay(tried, 2027)["load"]["tried"]["letters"]["all"]
    assert (told["each"], told["elsewhere"]) == ("7/2", 0)  # 28 in four weeks by two


def test_a_load_is_reckoned_from_what_is_published_alone() -> None:
    """Schools kept back are either all with an officer, or all without, or nothing is told."""
    assert _split([20, None, None], 38, [True, True, True]) == (38, 0)
    assert _split([20, None, None], 38, [False, True, True]) == (18, 20)
    assert _split([20, None, None], 38, [True, False, False]) == (20, 18)
    assert _split([20, None, None], 38, [True, True, False]) is None
    assert _split([None, None], None, [True, True]) is None


def test_times_and_lead_are_told_by_school_and_group_where_their_students_are(calendar: Calendar) -> None:
    some(calendar, 20, "UUUUU UUUUU PPPPP PPPPP"), some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    for name, reached in (("Birch Primary", 4), ("Cedar Primary", 14)):
        theirs = a_calendar(a_school(name), weeks=6, covered=TODAY)
        some(theirs, reached, "UUUUU UUUPU UPPPP PPPPP"), some(theirs, 20, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    found = the(made, TEN)
    assert found["times"]["schools"]["tried"] == [20, None, None]
    assert found["lead"]["schools"]["tried"] == [{"median": 2, "low": 2, "high": 2}, None, None]
    assert found["lead"]["bands"]["tried"][0] == {"median": 2, "low": 2, "high": 3}  # of 38, 18 at Birch and Cedar
    assert made["load_by"]["schools"]["tried"]["letters"] == [["5", 0], ["0", 1], ["0", 1]]
    assert made["load_by"]["bands"]["tried"]["letters"] == [["19/2", 0], ["0", 0], ["0", 0]]


MONTHLY = """on = "example"
title = "Each month"
effective_from = 2026-08-01
[[rule]]
id = "monthly"
title = "3 unexcused days in a month"
source = "example"
count = "unexcused"
threshold = { count = 3 }
window = { kind = "calendar_month" }
near = 0
"""


def test_how_often_beyond_the_first_time_is_kept_back_where_it_is_few(school: School) -> None:
    """Sixteen reach the line in August, four of them again in September."""
    calendar = a_calendar(school, weeks=6, covered=TODAY, start=FIRST_MONDAY - timedelta(days=14))
    again = "UUUPP PPPPP PPPPP UUUPP PPPPP PPPPP"
    some(calendar, 4, again, starts=FIRST_MONDAY - timedelta(days=14)), some(calendar, 12, "UUUPP", starts=FIRST_MONDAY - timedelta(days=14))  # fmt: skip
    some(calendar, 20, "PPPPP", starts=FIRST_MONDAY - timedelta(days=14))
    found = the(replay(tried_pack("example", overlay=MONTHLY), 2027), "monthly")
    assert (found["sides"]["tried"]["students"], found["sides"]["tried"]["times"]) == (16, None)
    assert set(found["times"]["schools"]["tried"]) == {None}


def test_two_schools_of_one_name_are_two(calendar: Calendar) -> None:
    twin = a_school("Alder Primary East")
    School.objects.filter(pk=twin.pk).update(name="Alder Primary")
    theirs = a_calendar(twin, weeks=6, covered=TODAY)
    for one in (calendar, theirs):
        some(one, 12, "UUUUU UUUUU PPPPP PPPPP"), some(one, 15, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    assert made["names"]["schools"] == ["Alder Primary", "Alder Primary"]
    assert the(made, TEN)["by"]["schools"]["tried"] == (12, 12)


def test_a_year_with_minutes_is_known_then_as_well(calendar: Calendar) -> None:
    reached = some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    mark(calendar, reached[0], FIRST_MONDAY + timedelta(days=15), "T", minutes=35)
    tried = the(replay(tried_pack("example"), 2027), TEN)["sides"]["tried"]
    assert (tried["students"], tried["known"], tried["undone"]) == (12, 12, 0)


def test_days_at_two_schools_count_together_and_with_the_last_school(calendar: Calendar, school: School) -> None:
    theirs = a_calendar(a_school("Birch Primary"), weeks=6, covered=TODAY)
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    moved = some(calendar, 11, "UUUUU", ends=FIRST_MONDAY + timedelta(days=6))
    for student in moved:
        Enrolment.objects.system("test").create(
            student=student, school=theirs.school, starts=FIRST_MONDAY + timedelta(days=7), grade="03"
        )
        refold(theirs, [student.pk])
        draw(theirs, student, "PPPPP UUUUU PPPPP")
    found = the(replay(tried_pack("example"), 2027), TEN)
    assert found["sides"]["tried"]["students"] == 11
    assert found["by"]["schools"]["tried"] == (0, 11)


def test_what_was_known_then_and_undone_since_is_told(calendar: Calendar) -> None:
    reached = some(calendar, 24, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 20, "PPPPP PPPPP PPPPP PPPPP")
    for student in reached[:12]:
        mark(calendar, student, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    found = the(replay(tried_pack("example"), 2027), TEN)
    tried = found["sides"]["tried"]
    assert (tried["students"], tried["known"], tried["undone"]) == (12, 24, 12)


def test_without_a_law_in_force_only_what_is_tried_is_told(calendar: Calendar) -> None:
    Adoption.objects.all().delete()
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP")
    some(calendar, 12, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    assert made["in_force"] is None
    assert list(the(made, TEN)["sides"]) == ["tried"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"pack": "nowhere"}, "no pack"), ({"pack": "example", "version": "1999-01-01"}, "no version"),
        ({"pack": "example", "rule": "gone", "line": "3"}, "no rule gone"), ({"pack": "example", "rule": TEN, "line": "=3"}, "as a number"),
        ({"pack": "example", "rule": TEN, "line": "0"}, "as a number"), ({"pack": "example", "rule": TEN}, "as a number"),
        ({"pack": "example", "rule": "chronic-absence", "line": "12"}, "1/10 for a tenth"), ({"pack": "example", "overlay": "on = 3"}, "line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_says_so(asked: dict[str, str], words: str) -> None:
    with pytest.raises(NotReplayed, match=words):
        tried_pack(**asked)


def lead(*, school: School | None = None) -> User:
    return a_user(Role.DISTRICT_LEAD)


def test_asked_twice_it_is_one_job_and_its_result_is_kept(calendar: Calendar) -> None:
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP")
    rosa = lead()
    asked = {"pack": "example", "version": "", "overlay": "", "rule": TEN, "line": "9", "year": 2027, "key": "k"}
    run = ask_for(rosa, **asked)  # type: ignore[arg-type]
    assert ask_for(rosa, **asked).pk == run.pk  # type: ignore[arg-type]
    job = lease_next()
    assert job is not None
    assert run_leased(job) == Job.State.DONE
    run.refresh_from_db()
    assert (run.state, run.done, run.total) == (ReplayRun.State.DONE, 3, 3)
    assert json.loads(run.result)["asked"]["pack"] == "example"
    replay_job(str(run.pk))  # a worker that died after it was done
    with pytest.raises(NotReplayed, match="has begun"):
        ask_for(rosa, **{**asked, "year": 2040, "key": "z"})  # type: ignore[arg-type]


def test_a_replay_that_fails_says_why(calendar: Calendar) -> None:
    run = ask_for(lead(), pack="example", version="", overlay="", rule="", line="", year=2027, key="k")
    ReplayRun.objects.update(version="1999-01-01")
    job = lease_next()
    assert job is not None
    run_leased(job)
    run.refresh_from_db()
    assert run.state == ReplayRun.State.FAILED
    assert "1999-01-01" in run.problem


def test_no_student_and_no_formula_is_in_the_export(calendar: Calendar, school: School) -> None:
    School.objects.filter(pk=school.pk).update(name="=cmd|' /C calc'!A0")
    some(calendar, 12, "UUUUU UUUUU PPPPP PPPPP", name="Canary", family="Canarius")
    some(calendar, 12, "PPPPP PPPPP PPPPP PPPPP")
    made = replay(tried_pack("example"), 2027)
    assert "Canar" not in json.dumps(made)
    cells = [cell for row in csv.reader(io.StringIO(as_csv(made))) for cell in row]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_a_number_the_law_leaves_to_the_district_can_be_tried_before_it_is_set() -> None:
    for line, threshold in (("5", ("5", None)), ("1/10", (None, "1/10"))):
        rule = tried_pack("us-ny", rule="NY-LOCAL-team", line=line).rule_named("NY-LOCAL-team")
        assert rule is not None
        assert (rule.threshold.count, rule.threshold.share, rule.threshold.local) == (*threshold, False)
