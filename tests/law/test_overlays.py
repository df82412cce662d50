"""A district's own rules: what tightens passes, what loosens says why or is refused with its line."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

import pytest

from firstbell.law.differences import differences
from firstbell.law.overlays import in_turn, overlaid, read_overlay
from firstbell.law.packs import Pack, PackError, read_pack, versions

PACK = """
id = "home"
jurisdiction = "HOME"
title = "Home"
effective_from = 2025-08-01
source = [{ id = "law", citation = "Home Code 1" }]
[counts.each]
strategy = "full_day_only"
marks = ["unexcused"]

[[rule]]
id = "help"
title = "Ten days: a meeting"
source = "law"
count = "each"
threshold = { count = 10 }
window = { kind = "school_year" }
[rule.duty]
kind = "conference"
title = "Meet the family"
deadline = { value = 7, unit = "school_days", not_before = 2 }

[[rule]]
id = "strict-help"
title = "More than a tenth"
source = "law"
count = "each"
threshold = { share = "1/10", op = ">", minimum = 20 }
window = { kind = "school_year" }

[[rule]]
id = "notice"
title = "Five days: a notice"
source = "law"
count = "each"
threshold = { count = 5 }
window = { kind = "school_year" }
[rule.duty]
kind = "notify"
title = "Write to the family"
severity = "compliance"

[[rule]]
id = "court"
title = "Twenty days: a petition"
source = "law"
count = "each"
threshold = { count = 20, op = ">=" }
window = { kind = "school_year" }
[rule.duty]
kind = "petition"
title = "File a petition"
severity = "punitive"
requires = ["support_offered|plan", "counselling"]
deadline = { value = 10, unit = "school_days", from = "decision" }

[[rule]]
id = "report"
title = "Fifteen days: a report"
source = "law"
count = "each"
threshold = { count = 15 }
window = { kind = "school_year" }
[rule.duty]
kind = "report_authority"
title = "Tell the authority"
severity = "compliance"

[[rule]]
id = "weeks"
title = "Ten in ninety: a call"
source = "law"
count = "each"
threshold = { count = 10 }
window = { kind = "rolling_calendar_days", length = 90 }
[rule.duty]
kind = "contact"
title = "Call"

[[rule]]
id = "prosecution"
title = "Twenty in ninety"
source = "law"
count = "each"
threshold = { count = 20 }
window = { kind = "rolling_calendar_days", length = 90 }
[rule.duty]
kind = "petition"
title = "File a petition"
severity = "punitive"

[[rule]]
id = "ours"
title = "The district's number"
source = "law"
count = "each"
threshold = { local = true }
window = { kind = "school_year" }
[rule.duty]
kind = "notify"
title = "Write"

[[rule]]
id = "bounded"
title = "The district's number, and the law's bound"
source = "law"
count = "each"
threshold = { local = true, by_grade = [{ grades = ["01"], count = "45.5" }, { grades = ["09"], count = "50.05" }] }
window = { kind = "school_year" }
[rule.duty]
kind = "notify"
title = "Write"

[[prohibition]]
id = "never"
title = "No expulsion for absence alone"
source = "law"
steps = ["expulsion"]

[[institution]]
id = "yearly"
title = "A notice to every family"
source = "law"
who = "the board"
"""
HEAD = 'on = "home"\ntitle = "Ours"\neffective_from = 2026-08-01\n'
OWN = """[[rule]]
id = "{id}"
title = "Five days: a call"
source = "{source}"
count = "{count}"
threshold = {{ count = {n} }}
window = {{ kind = "school_year" }}
[rule.duty]
kind = "{kind}"
title = "Call"
"""


def pack() -> Pack:
    return read_pack(PACK, "home.toml")


def change(rule: str, *lines: str) -> str:
    return HEAD + f'[[change]]\nid = "{rule}"\n' + "\n".join(lines) + "\n"


def own(**other: object) -> str:
    said = {"id": "call", "source": "law", "count": "each", "n": 5, "kind": "contact", **other}
    return HEAD + OWN.format(**said)


def laid(text: str) -> Pack:
    return overlaid(pack(), read_overlay(text, "ours.toml", pack()))


def refused(text: str, words: str, line: int) -> None:
    with pytest.raises(PackError) as error:
        read_overlay(text, "ours.toml", pack())
    assert words in str(error.value)
    assert f"ours.toml, line {line}:" in str(error.value)
    assert str(error.value).endswith("Nothing was taken from it.")


TIGHTER = [
    ("help", "threshold = { count = 8 }"),
    ("help", "threshold = { count = 9, op = '>' }"),
    ("help", "near = 4"),
    ("help", 'deadline = { value = 5, unit = "school_days", not_before = 2 }'),
    ("help", 'requires = ["support_offered"]'),
    ("help", 'contents = ["dates"]'),
    ("strict-help", 'threshold = { share = "1/10", op = ">=", minimum = 20 }'),
    ("strict-help", 'threshold = { share = "1/10", op = ">", minimum = 10 }'),
    ("strict-help", 'threshold = { share = "9/100", op = ">", minimum = 20 }'),
    ("notice", 'requires = ["conference"]'),
    ("notice", 'forbidden_if = ["homeless"]'),
    ("notice", 'deadline = { value = 3, unit = "calendar_days" }'),
    ("court", "threshold = { count = 25 }"),
    ("court", "threshold = { count = 20, op = '>' }"),
    ("court", "threshold = { count = 20, minimum = 40 }"),
    ("court", 'deadline = { value = 15, unit = "school_days", from = "decision" }'),
    ("court", 'deadline = { value = 10, unit = "school_days", from = "decision", not_before = 5 }'),
    ("court", 'requires = ["support_offered", "assessment"]'),
    ("court", 'forbidden_if = ["homeless"]'),
    ("report", 'requires = ["support_offered"]'),
    ("help", "threshold = { count = 10, by_grade = [{ grades = ['KG'], count = 5 }] }"),
    ("court", "threshold = { count = 20, by_grade = [{ grades = ['KG'], count = 30 }] }"),
    ("weeks", 'window = { kind = "rolling_calendar_days", length = 120 }'),
    ("weeks", 'window = { kind = "rolling_calendar_days", length = 90, across_years = true }'),
    ("prosecution", 'window = { kind = "rolling_calendar_days", length = 60 }'),
    ("ours", "threshold = { count = 5 }"),
    ("ours", 'threshold = { share = "1/10" }'),
    ("bounded", "threshold = { by_grade = [{ grades = ['01'], count = 30 }, { grades = ['09'], count = '50.05' }] }"),
]
LOOSER = [
    ("help", "threshold = { count = 11 }", "help would come later"),
    ("help", "threshold = { count = 10, op = '>' }", "help would come later"),
    ("help", "threshold = { count = 8, minimum = 30 }", "help would come later"),
    ("help", "threshold = { share = '1/100' }", "of another kind"),
    ("help", "threshold = { by_grade = [{ grades = ['KG'], count = 5 }] }", "help would come later"),  # of all others there is none
    ("weeks", 'window = { kind = "rolling_calendar_days", length = 60 }', "of a shorter window help would come later"),
    ("weeks", 'window = { kind = "calendar_month" }', "of another kind"),
    ("prosecution", 'window = { kind = "rolling_calendar_days", length = 120 }', "of a longer window a sanction would come sooner"),
    ("prosecution", 'window = { kind = "rolling_calendar_days", length = 90, across_years = true }', "of a longer window a sanction"),
    ("strict-help", 'window = { kind = "since_enrolment" }', "of another kind"),
    ("help", "near = 1", "told later"),
    ("help", 'deadline = { value = 8, unit = "school_days", not_before = 2 }', "only be quicker"),
    ("help", 'deadline = { value = 5, unit = "calendar_days", not_before = 2 }', "of another kind"),
    ("help", 'deadline = { value = 7, unit = "school_days" }', "gives the family 2 school days"),
    ("help", 'deadline = { value = 7, unit = "school_days", not_before = 4 }', "done sooner"),
    ("help", 'requires = ["report"]', "help would wait for report"),
    ("help", 'forbidden_if = ["homeless"]', "kept from students with: homeless"),
    ("strict-help", 'threshold = { share = "1/10", op = ">", minimum = 21 }', "help would come later"),
    ("strict-help", "near = 0", "told later"),
    ("notice", 'deadline = { value = 5, not_before = 1 }', "done at once"),
    ("court", "threshold = { count = 19 }", "a sanction would come sooner"),
    ("court", "threshold = { count = 19, op = '>' }", "a sanction would come sooner"),
    ("court", 'deadline = { value = 9, unit = "school_days", from = "decision" }', "may not be hurried"),
    ("report", "threshold = { count = 14 }", "a sanction would come sooner"),
    ("report", "deadline = { value = 5 }", "sets no day"),
    ("report", "threshold = { count = 16 }", "the law asks for this report"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "line"), TIGHTER)
def test_what_tightens_is_taken(rule: str, line: str) -> None:
    assert laid(change(rule, line)) != pack()


@pytest.mark.parametrize(("rule", "line", "words"), LOOSER)
def test_what_loosens_is_refused_with_its_line(rule: str, line: str, words: str) -> None:
    refused(change(rule, line), words, 6)


@pytest.mark.parametrize(("rule", "line", "words"), LOOSER)
def test_what_loosens_with_a_reason_is_taken_and_its_reason_is_told(rule: str, line: str, words: str) -> None:
    text = change(rule, line, 'loosens = "The board of 3 May asked for it."')
    overlay = read_overlay(text, "ours.toml", pack())
    told = [d for d in differences(pack(), overlaid(pack(), overlay), overlay) if d.rule == rule]
    assert told
    assert {d.loosens for d in told} == {"The board of 3 May asked for it."}


def test_an_empty_reason_is_none() -> None:
    refused(change("help", "threshold = { count = 11 }", 'loosens = "  "'), "help would come later", 6)


@pytest.mark.parametrize(
    ("rule", "line", "words"),
    [
        ("help", "threshold = { minimum = 5 }", "either a count or a share"),
        ("help", "threshold = { count = 5, share = '1/10' }", "either a count or a share"),
        ("help", "threshold = { count = 0 }", "nobody would be told"),
        ("help", "threshold = { share = '1/10', of = 'window' }", "needs rolling school days"),
        ("help", 'requires = ["help"]', "wait for itself"),
        ("help", "deadline = { value = 3, not_before = 5 }", "too late"),
        ("strict-help", 'requires = ["support_offered"]', "asks for nothing to be done"),
        ("strict-help", "deadline = { value = 3 }", "asks for nothing to be done"),
        ("weeks", 'window = { kind = "rolling_calendar_days" }', "have a length"),
        ("ours", "threshold = { local = true }", "here the district sets the number"),
        (
            "bounded",
            "threshold = { by_grade = [{ grades = ['01'], count = 46 }, { grades = ['09'], count = 50 }] }",
            "sets a bound: help would come later",
        ),
    ],
)
def test_what_means_nothing_is_refused_whatever_the_reason(rule: str, line: str, words: str) -> None:
    with pytest.raises(PackError, match=re.escape(words)):
        read_overlay(change(rule, line, 'loosens = "because"'), "ours.toml", pack())


def test_a_rule_of_ones_own_is_added_and_all_others_stay() -> None:
    found = laid(own())
    assert [r.id for r in found.rule] == [*(r.id for r in pack().rule), "call"]
    assert found.rule[:-1] == pack().rule
    assert found.sha256 != pack().sha256


def test_a_rule_of_ones_own_may_count_its_own_way_and_name_its_own_source() -> None:
    more = 'source = [{ id = "board", citation = "Board policy 5" }]\n[counts.late]\nstrategy = "any_period"\nmarks = ["tardy"]\n'
    found = laid(HEAD + more + OWN.format(id="late", source="board", count="late", n=5, kind="contact"))
    assert found.cited(found.rule[-1]).citation == "Board policy 5"


def test_a_threshold_is_exact() -> None:
    found = laid(change("strict-help", 'threshold = { share = "1/12", op = ">", minimum = 20 }'))
    rule = found.rule_named("strict-help")
    assert rule is not None
    assert Fraction(rule.threshold.share or 0) == Fraction(1, 12)


def test_a_name_that_exists_twice_is_refused_where_it_stands() -> None:
    refused(own(id="help"), "Two rules are called help", 4)
    refused(
        own() + OWN.format(id="call", source="law", count="each", n=5, kind="contact"), "Two rules are called call", 14
    )
    refused(own(id="yearly"), "yearly is what the board owes", 4)
    refused(HEAD + '[[source]]\nid = "law"\ncitation = "Another"\n', "Two sources are called law", 4)
    refused(HEAD + '[counts.each]\nstrategy = "any_period"\nmarks = ["tardy"]\n', "would count otherwise", 4)
    refused(change("help", "near = 3") + '[[change]]\nid = "help"\nnear = 4\n', "changed twice", 7)


def test_another_packs_overlay_and_a_rule_nobody_has_are_refused() -> None:
    refused(HEAD.replace('"home"', '"us-fl"'), "is for us-fl, not for home", 1)
    refused(change("gone", "near = 3"), "has no rule gone", 4)


@pytest.mark.parametrize("kind", ["plan", "support_offered", "counselling", "decision"])
def test_a_rule_of_ones_own_named_as_what_the_law_asks_for_would_stand_in_its_place(kind: str) -> None:
    refused(own(id=kind), f"{kind} is what home calls something done", 4)


@pytest.mark.parametrize("kind", ["petition", "consider_sanction", "report_authority"])
def test_a_sanction_of_ones_own_is_refused(kind: str) -> None:
    refused(own(kind=kind), "has to stand in the law's own pack", 11)


@pytest.mark.parametrize("step", ["expulsion", "petition", "court_referral"])
def test_a_step_the_law_bars_or_keeps_for_a_sanction_is_none_of_ones_own(step: str) -> None:
    refused(own(kind="review") + f'done_by = ["{step}"]\n', f"call is done by {step}", 14)


def test_what_shows_help_done_as_well_may_be_asked_for() -> None:
    assert laid(own(kind="review") + 'done_by = ["conference", "decision"]\n').rule[-1].id == "call"


def test_a_rule_of_ones_own_has_a_line() -> None:
    refused(own(n=0), "the line is at nothing", 9)


def test_a_flag_nobody_can_have_is_refused_wherever_it_stands() -> None:
    refused(change("court", 'forbidden_if = ["homless"]'), "no flag 'homless'; did you mean 'homeless'", 6)
    refused(own() + '[rule.applies]\nflags = ["fostr"]\n', "no flag 'fostr'; did you mean 'foster'", 15)


def test_an_overlay_ends_after_it_begins() -> None:
    refused(HEAD + "effective_to = 2026-07-01\n", "ends before it begins", 4)
    assert read_overlay(HEAD + "effective_to = 2027-07-01\n", "ours.toml", pack()).effective_to == date(2027, 7, 1)


def test_before_a_year_has_begun_nothing_of_it_is_in_force() -> None:
    assert in_turn(versions("us-tx"), [], date(2027, 8, 16), date(2027, 7, 20)) == []
