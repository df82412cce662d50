"""The texts of letters: what they hold in each language, how they read, and what is refused in them."""

from __future__ import annotations

import re
import socket
from datetime import date

import pytest

from firstbell.casework.letters.checklist import ALWAYS, ALWAYS_IN_AN_APOLOGY, SHOWN_BY, for_others, written_keys
from firstbell.casework.letters.models import Letter
from firstbell.casework.letters.wording import (
    FACTS,
    GRADE,
    LANGUAGES,
    apart,
    day_words,
    fill,
    grade,
    paragraphs,
    passages_in,
    refusals,
    template,
    words,
)  # fmt: skip
from firstbell.law.packs import Duty
from firstbell.register.marks import LETTERS

KINDS = [kind.value for kind in Letter.Kind]
EVERY = [(kind, language) for kind in KINDS for language in LANGUAGES]


def facts(language: str) -> dict[str, str]:
    return {
        "child": "Ana Reyes", "school": "Alder Primary", "days": f"• {day_words(date(2026, 10, 5), language)} — x", "count": "10",
        "contact": "Olive Fairley, Alder Primary (officer@example.org)", "sent_on": day_words(date(2026, 9, 11), language),
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_each_text_can_be_filled_in_and_says_what_every_letter_says(kind: str, language: str) -> None:
    text = template(kind, language)
    assert refusals(text, language) == []
    there = passages_in(text)
    asked = ALWAYS_IN_AN_APOLOGY if kind == "correction" else ALWAYS
    assert {SHOWN_BY[key] for key in asked} <= set(there)
    duties = [there.index(name) for name in ("rule", "next_step") if name in there]
    assert all(there.index("help") < at for at in duties), "help is offered before a duty is named"
    filled = fill(text, language, facts(language))
    assert "Ana Reyes" in filled
    assert not set("{}") & set(filled)


@pytest.mark.parametrize(("kind", "language"), [e for e in EVERY if e[1] != "ar"])
def test_each_text_reads_at_grade_six_or_below_without_a_network(
    kind: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", nowhere)
    read_at = grade(fill(template(kind, language), language, facts(language)), language)
    assert read_at is not None
    assert 0 < read_at <= GRADE


def test_a_hard_text_is_told_from_a_plain_one_and_arabic_is_not_graded() -> None:
    hard = "Pursuant to the aforementioned statutory provisions, continued noncompliance necessitates administrative intervention."
    difícil = "De conformidad con las disposiciones reglamentarias anteriormente mencionadas, el incumplimiento continuado necesitará intervenciones administrativas."
    assert (grade(hard, "en") or 0) > GRADE
    assert (grade(difícil, "es") or 0) > (grade("Ana no vino. La echamos de menos.", "es") or 0) + 2
    assert grade("نص", "ar") is None


def test_the_languages_have_the_same_words() -> None:
    for language in LANGUAGES:
        assert {k: set(v) if isinstance(v, dict) else "" for k, v in words(language).items()} == {
            k: set(v) if isinstance(v, dict) else "" for k, v in words("en").items()
        }
        for passage in words(language)["passages"].values():
            assert set(passages_in(passage)) <= FACTS
    assert set(words("en")["marks"]) <= set(LETTERS)


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "{{ child }}", "{{child}}", "{7*7}", "{% load x %}", "{child.__class__}", "a } b", "{Child}"]
)
def test_abuse_34_braces_that_are_no_placeholder_are_refused(text: str) -> None:
    assert [why for why, _what in refusals(f"Dear family,\n{text}", "en")] == ["braces"]


def test_a_placeholder_we_do_not_know_is_refused_by_its_name() -> None:
    assert refusals("{password} {child}", "en") == [("unknown", "{password}")]


def test_abuse_55_what_a_fact_says_is_never_read_again() -> None:
    filled = fill("{child}: {help}", "en", {**facts("en"), "child": "{contact} {{7*7}} #strong[x]"})
    assert filled.startswith("{contact} {{7*7}} #strong[x]: We want to help.")


def test_abuse_42_a_letter_that_turns_text_around_or_prints_as_a_box_is_refused() -> None:
    assert refusals("a\u202eb", "en") == [("characters", "\u202e")]
    assert refusals("王 ✓\x00", "en") == [("characters", "王✓\x00")]
    assert refusals("Nguyễn, Ñandú, أمينة, Łódź — “ok”", "en") == []


def test_latin_words_among_arabic_keep_their_direction() -> None:
    assert apart("a@b.org", "ar") == "\u2066a@b.org\u2069"
    assert apart("a@b.org", "en") == "a@b.org"
    assert refusals(apart("a@b.org", "ar"), "ar") == []


def test_listed_days_are_rows_and_the_rest_is_paragraphs() -> None:
    assert paragraphs("Hello\nyou\n\n• Monday — away\n• Tuesday — late") == [
        {"lines": ["Hello", "you"]}, {"rows": [("Monday", "away"), ("Tuesday", "late")]},
    ]  # fmt: skip


def test_no_text_threatens_first_or_calls_anybody_truant() -> None:
    for kind in KINDS:
        text = fill(template(kind, "en"), "en", facts("en")).lower()
        assert not re.search(r"truan|court|fine|prosecut|penalt|violat|fail", text), kind


def test_a_report_to_an_authority_is_another_document_than_the_letter_that_tells_the_family() -> None:
    report = Duty(
        kind="report_authority", title="Report", contents=("full_name", "address"), recipients=("juvenile_court",)
    )
    told = Duty(
        kind="petition", title="Petition", contents=("full_name", "dates"), recipients=("juvenile_court", "parents")
    )
    assert (written_keys(report), for_others(report)) == ([], "juvenile court")
    assert (written_keys(told), for_others(told)) == (["full_name"], "")
