"""Two versions of a pack in words, worked by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from firstbell.law import packs
from firstbell.law.differences import _DUTY, _RULE, differences
from firstbell.law.packs import Duty, Pack, Rule, read_pack
from firstbell.law.sentences import in_words, number, prohibition_words

MORE = """
[[rule]]
id = "more"
title = "Nine notices"
source = "law"
evidence = "notice"
threshold = { count = 9 }
window = { kind = "school_year" }
"""
OLD = """id = "home"
jurisdiction = "HOME"
title = "Home"
effective_from = 2025-08-01
ages = { from = 6, under = 16 }
source = [{ id = "law", citation = "Home Code 1" }]
prohibition = [{ id = "no-expulsion", title = "No expulsion for absence", source = "law", steps = ["expulsion"] }]
[counts.each]
strategy = "full_day_only"
marks = ["unexcused"]
[[rule]]
id = "CA-T1"
title = "Three days: a notice"
source = "law"
count = "each"
threshold = { count = 3 }
window = { kind = "school_year" }
[rule.duty]
kind = "notify"
title = "Write"
deadline = { value = 7, unit = "school_days" }
contents = ["dates", "prosecution"]
recipients = ["parents"]
"""


def said(old: str, new: str) -> list[str]:
    return [
        f"{d.rule}: {d.words}" if d.rule else str(d.words)
        for d in differences(read_pack(old, "old"), read_pack(new, "new"))
    ]


@pytest.mark.parametrize(
    ("was", "is_", "words"),
    [
        ("value = 7", "value = 10", ["CA-T1: The deadline was 7 school days, and is 10 school days."]),
        ("deadline = { value = 7, unit = \"school_days\" }\n", "", ["CA-T1: The deadline was 7 school days, and is no deadline."]),
        ('["dates", "prosecution"]', '["dates"]', ["CA-T1: The letter need no longer say: prosecution."]),
        ('["dates", "prosecution"]', '["dates", "prosecution", "contact"]', ["CA-T1: The letter must now also say: whom to ask."]),
        ("{ count = 3 }", "{ count = 4 }", ["CA-T1: The line was 3 days, and is 4 days."]),
        ("{ count = 3 }", "{ count = 3, op = '>' }", ["CA-T1: The line was 3 days, and is more than 3 days."]),
        ("{ count = 3 }", "{ share = '1/10', minimum = 20 }", ["CA-T1: The line was 3 days, and is 10 % of what was possible, once 20 days were possible."]),
        ('"school_year" }', '"rolling_calendar_days", length = 90 }', ["CA-T1: What counts together was: in the school year; is: within 90 calendar days."]),
        ('["unexcused"]', '["unexcused", "tardy"]', [
            "CA-T1: Counted was: A day counts where all of it was missed: unexcused. What nobody has explained does not count. "
            "Now: A day counts where all of it was missed: unexcused, late. What nobody has explained does not count."
        ]),
        ('title = "Write"', 'title = "Write"\nrequires = ["support_offered"]', ["CA-T1: Before it, there must now also be on record: help offered."]),
        ('title = "Write"', 'title = "Write"\nforbidden_if = ["homeless"]', ["CA-T1: It may no longer be taken for a student who is or has: without a fixed home."]),
        ('title = "Write"', 'title = "Write"\nmay = true', ["CA-T1: The law asked for it; now it allows it."]),
        ('title = "Write"', 'title = "Write"\nsign_off = { role = "head", second_role = "board" }', ["CA-T1: Signed by was: attendance officer; is: head, board."]),
        ("{ count = 3 }", "{ local = true }", ["CA-T1: The line was 3 days, and is a number the law leaves to the district."]),
        ('id = "CA-T1"', 'gives_way_to = "more"\nid = "CA-T1"', ["CA-T1: Once the line of more is reached, that rule asks in its place now."]),
        ('id = "CA-T1"', 'per = "parent"\nid = "CA-T1"', ["CA-T1: What was done counted together; now it counts for each parent by themselves."]),
        ("under = 16", "under = 18", ["It was about ages 6 to 15, and is about ages 6 to 17."]),
        ('steps = ["expulsion"]', 'steps = ["expulsion", "fine"]', ["Forbidden was: No expulsion for absence (expulsion); is: No expulsion for absence (expulsion, fine)."]),
        (
            'citation = "Home Code 1"',
            'citation = "Home Code 1", read = true, words = "Ten days.", sha256 = "0c56dfe48caa8bb65aeea8da8f5109ff5c820d7569ebc8bb003ba31429d44872"',
            ["Home Code 1 was recalled, and has been read since.", "What is quoted or noted of Home Code 1 is another."],
        ),
    ],
)  # fmt: skip
def test_a_change_is_said(was: str, is_: str, words: list[str]) -> None:
    assert was in OLD
    assert said(OLD + MORE, OLD.replace(was, is_) + MORE) == words


def test_the_same_pack_differs_in_nothing() -> None:
    assert said(OLD, OLD) == []


def test_a_new_rule_is_told_in_full_and_one_that_is_gone_is_told() -> None:
    new = OLD.replace('id = "CA-T1"', 'id = "CA-T2"')
    words = said(OLD, new)
    assert words[0] == "CA-T2: This rule is new."
    assert "CA-T2: Reached at 3 days in the school year." in words
    assert words[-1] == "CA-T1: This rule is no longer there."


def test_every_field_of_a_rule_and_its_duty_has_a_sentence() -> None:
    assert set(_RULE) == set(Rule.__struct_fields__)
    assert set(_DUTY) == set(Duty.__struct_fields__)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "plan"), ("title", "x"), ("done_by", ("plan",)), ("severity", "punitive"), ("may", True), ("deadline", None), ("requires", ("plan",)),
        ("forbidden_if", ("foster",)), ("not_after", packs.NotAfter(evidence="notice", times=2, years=3)), ("contents", ()), ("recipients", ()),
        ("language", "en"), ("sign_off", packs.SignOff(role="head")), ("blocks", ("fine",)), ("done_from", "window"),
    ],
)  # fmt: skip
def test_no_change_of_a_duty_goes_unsaid(field: str, value: Any) -> None:
    before = read_pack(OLD, "old")
    rule = before.rule[0]
    assert rule.duty is not None
    changed = msgspec.structs.replace(rule, duty=msgspec.structs.replace(rule.duty, **{field: value}))
    after: Pack = msgspec.structs.replace(before, rule=(changed,))
    assert len(differences(before, after)) == 1


def test_every_rule_there_is_can_be_said() -> None:
    for some in packs.built_in().values():
        for pack in some:
            for rule in pack.rule:
                assert all("%(" not in words for words in in_words(rule, pack)), rule.id
            for prohibition in pack.prohibition:
                assert prohibition_words(prohibition)
        for before, after in zip(some, some[1:], strict=False):
            assert all("%(" not in d.words for d in differences(before, after))


def test_numbers_are_exact() -> None:
    assert [number(n) for n in ("10", "91/2", "1/3", "45.50", "1/8", "0")] == [
        "10",
        "45.5",
        "1/3",
        "45.5",
        "0.125",
        "0",
    ]


def test_what_an_institution_owes_is_said_and_so_is_what_changes_in_it() -> None:
    new = OLD + (
        '[[institution]]\nid = "report"\ntitle = "The year’s report"\nsource = "law"\nwho = "school board"\n'
        'each = { value = 42, unit = "calendar_days", from = "year_end" }\nrecipients = ["parents"]\n'
    )
    words = [
        "It is the duty of: school board, and no student’s step.",
        "In every school year: 42 calendar days from: the end of the school year.", "It goes to: parents.",
    ]  # fmt: skip
    assert said(OLD, new) == ["The institution newly owes: The year’s report.", *words]
    assert said(new, OLD) == ["The institution no longer owes: The year’s report."]
    later = new.replace("value = 42", "value = 60")
    assert said(new, later)[0] == "What the institution owed as “The year’s report” is now: The year’s report."
    assert said(new, later)[2] == words[1].replace("42", "60")
    assert len(said(new, new + 'note = "x"\n')) == 1
