"""What a forecast may see: a student's own marks, enrolment and grade. Nothing about who they are or how they live."""

from __future__ import annotations

import re
from dataclasses import fields

from firstbell.forecast.evidence import Col
from firstbell.forecast.glassbox import TERMS
from firstbell.forecast.known import Carried, Known
from firstbell.forecast.pooling import Before

#: words that name a protected characteristic, welfare or household data, or a place somebody lives
NEVER = re.compile(
    r"\b(sex|gender|race|ethnic\w*|religion|language|disab\w*|sen|iep|meal|meals|fsm|poverty|income|homeless\w*|foster|care|"
    r"address|postcode|zip|neighbourhood|birth|name|family|household|sibling|parent|guardian|pregnan\w*|migrant|refugee|note|notes)\b"
)


def test_no_input_is_protected_or_about_welfare() -> None:
    inputs = [f"{t.name.replace('_', ' ')} {t.meaning}" for t in TERMS]
    inputs += [c.name.lower().replace("_", " ") for c in Col]
    inputs += [f.name.replace("_", " ") for kind in (Known, Carried, Before) for f in fields(kind)]
    for words in inputs:
        assert not NEVER.search(words.lower()), words


def test_the_walk_would_find_one() -> None:
    assert NEVER.search("free school meals")
    assert NEVER.search("days since the family moved")


def test_every_term_says_what_it_is() -> None:
    assert len({t.name for t in TERMS}) == len(TERMS)
    for term in TERMS:
        assert len(term.meaning.split()) > 2, term.name
