"""A scenario file: what is refused with its line, what is told to have been said in vain, and minutes that run over sessions."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from firstbell.law.packs import PackError
from firstbell.law.scenario import ask, read_scenario, told

HEAD = """pack = "us-oh"
as_of = 2026-10-09
[student]
birth_date = 2012-03-01
grade = "08"
flags = []
[calendar]
first = 2026-08-24
last = 2027-05-28
minutes = 390
sessions = 2
"""


def answer(text: str) -> dict[str, Any]:
    return told(ask(read_scenario(text, "story.toml")))


def position(found: dict[str, Any], rule: str) -> dict[str, Any]:
    return next(p for p in found["positions"] if p["rule"] == rule)


@pytest.mark.parametrize("kind", ["tardy", "early"])
def test_minutes_of_a_day_run_on_into_the_next_session(kind: str) -> None:
    """Four whole days of 390 minutes, and 240 of the fifth: 30 hours, which two sessions of 195 must not hide."""
    found = answer(
        f'{HEAD}[[mark]]\nfrom = 2026-10-05\nto = 2026-10-08\nkind = "unexcused"\n'
        f'[[mark]]\ndate = 2026-10-09\nkind = "{kind}"\nminutes_missed = 240\n'
    )
    hours = position(found, "OH-3-month")
    assert (hours["count"], hours["unit"]) == (30, "hours")


def test_who_comes_late_after_four_days_away_was_away_until_then() -> None:
    found = answer(
        f'{HEAD}[[mark]]\nfrom = 2026-10-05\nto = 2026-10-08\nkind = "unexcused"\n'
        '[[mark]]\ndate = 2026-10-09\nkind = "tardy"\nminutes_missed = 240\n'
    )
    run = position(found, "OH-3-consecutive")
    assert (run["count"], run["fired_on"]) == (30, "2026-10-09")
    short = answer(
        f'{HEAD}[[mark]]\nfrom = 2026-10-05\nto = 2026-10-08\nkind = "unexcused"\n'
        '[[mark]]\ndate = 2026-10-09\nkind = "tardy"\nminutes_missed = 239\n'
    )
    assert position(short, "OH-3-consecutive")["fired_on"] is None


def test_a_day_corrected_from_absent_to_late_keeps_nothing_of_the_absence() -> None:
    found = answer(
        f'{HEAD}[[mark]]\ndate = 2026-10-05\nkind = "unexcused"\n[[mark]]\ndate = 2026-10-05\nkind = "tardy"\nminutes_missed = 15\n'
        "recorded_at = 2026-10-06\n"
    )
    assert position(found, "OH-3-month")["count"] == "1/4"


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ('[[mark]]\ndate = 2026-10-05\nkind = "sleepy"\n', 14, "'sleepy'"),
        ('[[mark]]\ndate = 2026-10-05\nkind = "dfe:H"\n', 14, "'H'"),
        ('[[mark]]\nfrom = 2026-10-05\nto = 2026-10-01\nkind = "excused"\n', 13, "which is earlier"),
        ('[[mark]]\ndate = 2026-10-05\nkind = "excused"\nsession = 3\n', 15, "2 a day"),
        ('[[mark]]\ndate = 2026-10-05\nkind = "excused"\nminutes_missed = -5\n', 15, ">= 0"),
        ('[[mark]]\ndate = 2026-10-05\nkind = "excused"\nrecorded_at = "noon"\n', 15, "'noon'"),
        ("[[enrolment]]\nfrom = 2026-10-05\nto = 2026-10-01\n", 12, "before it begins"),
        ("terms = [[2026-12-18, 2026-08-24]]\n", 12, "before it begins"),
        ("terms = [[2026-08-24, 2026-12-18], [2026-12-01, 2027-05-28]]\n", 12, "has ended"),
        ("[[calendar.earlier]]\nfirst = 2026-01-01\nlast = 2026-09-30\n", 7, "at once"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(more: str, line: int, words: str) -> None:
    with pytest.raises(PackError, match=rf"story\.toml, line {line}: .*{words}"):
        read_scenario(HEAD + more, "story.toml")


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ("sessions = 2", "sessions = 0", 11),
        ("minutes = 390", "minutes = 0", 10),
        ("2012-03-01", "2031-03-01", 4),
        ("2027-05-28", "9999-12-31", 9),
        ("2027-05-28", "2026-05-28", 9),
        ('"us-oh"', '"us-zz"', 1),
    ],
)
def test_a_calendar_and_a_student_that_cannot_be(was: str, now: str, line: int) -> None:
    with pytest.raises(PackError, match=rf"story\.toml, line {line}: "):
        read_scenario(HEAD.replace(was, now), "story.toml")


def test_what_is_said_in_vain_is_told() -> None:
    found = answer(
        HEAD.replace("flags = []", 'flags = ["homless"]')
        + '[[enrolment]]\nfrom = 2026-09-01\n[[mark]]\ndate = 2026-10-04\nkind = "unexcused"\n'
        '[[mark]]\ndate = 2026-08-25\nkind = "unexcused"\n[[evidence]]\nkind = "plann"\ndate = 2026-10-01\n'
    )
    flag, kind, early, sunday = found["warnings"]
    assert "'homless'" in flag
    assert "'plann'" in kind
    assert early.startswith("The mark of 2026-08-25 is on a day the student was not enrolled")
    assert sunday.startswith("The mark of 2026-10-04 is on a day without school")
    assert answer(HEAD)["warnings"] == []
    away = answer(HEAD + '[[mark]]\nfrom = 2026-10-03\nto = 2026-10-04\nkind = "unexcused"\n')["warnings"]
    assert away == ["The mark from 2026-10-03 to 2026-10-04 is on a day without school, and does not count."]


def test_own_rules_act_on_the_days_they_name(tmp_path: Path) -> None:
    """Ten days by 25 September are reached under the law as it is; the eight of another are from 1 October, and through the fifth."""
    own = tmp_path / "own.toml"
    own.write_text(
        'on = "example"\ntitle = "Eight days"\neffective_from = 2026-10-01\neffective_to = 2026-10-05\n'
        '[[change]]\nid = "ten-unexcused-days"\nthreshold = { count = 8 }\n'
    )
    head = HEAD.replace('"us-oh"', f'"example"\noverlay = "{own}"')

    def reached(last: str, as_of: str = "2026-10-09") -> list[tuple[str, str]]:
        text = head.replace("as_of = 2026-10-09", f"as_of = {as_of}")
        found = answer(f'{text}[[mark]]\nfrom = 2026-09-14\nto = {last}\nkind = "unexcused"\n')["positions"]
        return [(p["fired_on"], p["threshold"]) for p in found if p["rule"] == "ten-unexcused-days" and p["fired_on"]]

    assert reached("2026-09-25") == [("2026-09-25", 10)]
    assert reached("2026-09-23") == [("2026-10-01", 8)]
    assert reached("2026-09-23", as_of="2026-09-30") == []
    assert reached("2026-09-22") == []


def test_a_flag_may_be_called_by_the_statutes_word() -> None:
    text = HEAD.replace("us-oh", "us-tx").replace("as_of = 2026-10-09", "as_of = 2026-11-20") + (
        '[[mark]]\nfrom = 2026-10-05\nto = 2026-10-16\nkind = "unexcused"\n[[evidence]]\nkind = "plan"\ndate = 2026-10-12\n'
    )
    found = answer(text.replace("flags = []", 'flags = ["pregnancy"]'))
    assert position(found, "TX-C1")["status"] == "forbidden"
    assert found["warnings"] == []


@pytest.mark.parametrize(
    "text", [HEAD.replace("2026-10-09", "2026-08-01"), HEAD.replace("2027-05-28", "2026-08-24\nclosed = [2026-08-24]")]
)
def test_without_a_school_day_every_rule_says_that_it_cannot_be_asked(text: str) -> None:
    found = answer(text)
    assert {p["status"] for p in found["positions"]} == {"not_evaluable"}
    assert all("no school day" in p["why"] for p in found["positions"])


def test_what_the_institution_owes_stands_beside_the_students_rules() -> None:
    text = HEAD.replace("us-oh", "us-tx")
    yearly = position(answer(text), "TX-W0")
    assert (yearly["status"], yearly["fired_on"], yearly["due"]) == ("duty_open", "2026-08-24", "2026-08-24")
    assert yearly["why"] == "It is the duty of: school district, and no student’s step."
    told_ = answer(text + '[[evidence]]\nkind = "yearly_notice"\ndate = 2026-08-25\n')
    assert position(told_, "TX-W0")["status"] == "duty_done"
    report = position(answer(HEAD.replace("us-oh", "ie")), "IE-5")
    assert report["due"] == "2027-07-09"  # six weeks after 28 May
    assert (report["status"], report["fired_on"]) == ("clear", None)  # the year has not ended
    over = position(answer(HEAD.replace("us-oh", "ie").replace("as_of = 2026-10-09", "as_of = 2027-06-01")), "IE-5")
    assert (over["status"], over["fired_on"]) == ("duty_open", "2027-05-28")


CHANGED = """[[enrolment]]
school = "A"
from = 2026-08-24
to = 2026-09-11
[[enrolment]]
school = "B"
from = 2026-09-14
[[mark]]
from = 2026-08-31
to = 2026-09-02
kind = "excused"
[[mark]]
date = 2026-09-30
kind = "excused"
"""


def test_a_rate_told_by_school_is_told_of_each_school_a_student_was_at() -> None:
    """A: 3 of 15 days. B: 1 of 20. A student may be counted at both (EDFacts FS195); alerts look at the year as a whole."""
    rates = answer(HEAD + CHANGED)["metrics"]
    federal = rates["federal-chronic-absence"]
    assert federal["value"] == federal["schools"]["B"]["value"] == "1/20"
    assert (federal["schools"]["A"]["value"], federal["schools"]["A"]["band"]) == ("1/5", "chronically-absent")
    assert (rates["attendance-works"]["value"], rates["attendance-works"].get("schools")) == ("4/35", None)


def test_who_comes_back_to_a_school_was_enrolled_there_for_both_stays() -> None:
    federal = answer(HEAD + CHANGED.replace('"B"', '"A"'))["metrics"]["federal-chronic-absence"]
    assert (federal["value"], federal.get("schools")) == ("4/35", None)


def test_a_day_at_two_schools_is_counted_once_where_the_student_came_to() -> None:
    federal = answer(HEAD + CHANGED.replace("2026-09-14", "2026-09-11"))["metrics"]["federal-chronic-absence"]
    assert {school: rate["of"] for school, rate in federal["schools"].items()} == {"A": 14, "B": 21}


def test_between_two_terms_there_is_no_school_but_on_a_day_made_up() -> None:
    terms = "terms = [[2026-08-24, 2026-10-02], [2026-10-07, 2027-05-28]]\n"
    away = '[[mark]]\nfrom = 2026-10-02\nto = 2026-10-09\nkind = "unexcused"\n'
    assert position(answer(HEAD + away), "OH-3-consecutive")["count"] == 39
    assert position(answer(HEAD + terms + away), "OH-3-consecutive")["count"] == 26
    assert position(answer(HEAD + terms + "make_up = [2026-10-05]\n" + away), "OH-3-consecutive")["count"] == "65/2"


@pytest.mark.parametrize(
    ("was", "now"),
    [('"us-oh"', '"US-OH"'), ('grade = "08"', "grade = 8"), ('"edfi:Unexcused Absence"', '"ed-fi:Unexcused Absence"')],
)
def test_a_name_may_be_written_as_a_stranger_would(was: str, now: str) -> None:
    text = HEAD + '[[mark]]\ndate = 2026-10-05\nkind = "edfi:Unexcused Absence"\n'
    assert was in text
    assert answer(text.replace(was, now)) == answer(text)


def test_a_packs_path_may_be_told_from_where_the_scenario_lies(tmp_path: Path) -> None:
    (tmp_path / "our.toml").write_text((files("firstbell.law") / "packs/us-oh/2025-09-30.toml").read_text("utf-8"))
    text = HEAD.replace('"us-oh"', '"our.toml"')
    assert told(ask(read_scenario(text, str(tmp_path / "story.toml"))))["positions"]


@pytest.mark.parametrize(
    ("first", "then"),
    [("session = 1\n|session = 2\n", ""), ("", "session = 1\n|session = 2\n"), ("", "")],
    ids=["each session, then the day", "the day, then each session", "the day twice"],
)
def test_a_correction_of_any_part_of_a_day_undoes_what_was_reached(first: str, then: str) -> None:
    """Five unexcused days of 6.5 hours are 30 in a row; on Monday the fifth is said to be excused."""

    def friday(parts: str, kind: str, at: str) -> str:
        return "".join(
            f'[[mark]]\ndate = 2026-10-02\nkind = "{kind}"\nrecorded_at = {at}\n{part}' for part in parts.split("|")
        )

    text = HEAD + '[[mark]]\nfrom = 2026-09-28\nto = 2026-10-01\nkind = "unexcused"\n'
    text += friday(first, "unexcused", "2026-10-02T09:00:00") + friday(then, "excused", "2026-10-05T09:00:00")
    run = position(answer(text), "OH-3-consecutive")
    assert (run["status"], run["fired_on"]) == ("superseded", "2026-10-02")


@pytest.mark.parametrize(
    ("first", "then"), [("", "recorded_at = 2026-10-05T10:00:00\n"), ("recorded_at = 2026-10-05T10:00:00\n", "")]
)
def test_of_two_rows_the_later_corrects_also_where_one_has_no_time(first: str, then: str) -> None:
    away, there = (f'[[mark]]\ndate = 2026-10-05\nkind = "{kind}"\n' for kind in ("unexcused", "present"))
    assert position(answer(HEAD + away + first + there + then), "OH-3-year")["count"] == 0
    assert position(answer(HEAD + there + first + away + then), "OH-3-year")["count"] == "13/2"


def test_what_may_never_be_done_for_absence_alone_stands_as_forbidden() -> None:
    block = position(answer(HEAD), "OH-4")
    assert (block["status"], block["fired_on"]) == ("forbidden", None)
    assert block["forbidden"] == ["suspension_out", "expulsion", "removal"]
    assert block["why"] == "Never for absence alone: suspended, out of school, expulsion, removal."
