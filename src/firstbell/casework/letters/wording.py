"""A letter's text, as data: named placeholders that are filled in once, and never evaluated.

A placeholder is a name in braces, `{child}`. It stands for a *passage* (a paragraph of ours, in the letter's language, which may hold facts) or
for a *fact*. Whatever else stands in braces is refused. What a fact says is not read again: a child called "{days}" stays so.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from babel.dates import format_date

__all__ = ["FACTS", "GRADE", "LANGUAGES", "apart", "day_words", "fill", "grade", "paragraphs", "passages_in", "refusals", "template", "unreadable", "words"]  # fmt: skip

LANGUAGES = ("en", "es", "ar")
#: what a letter may say that is not ours to word
FACTS = frozenset({"child", "school", "days", "count", "contact", "sent_on"})
#: experience.md: a family reads it; the highest reading grade of a text of ours
GRADE = 6
BULLET = "• "
_NAMED = re.compile(r"\{([a-z_]+)\}")
_TEXTS = files("firstbell.casework.letters") / "texts"
#: scripts the letter's fonts have
_SCRIPTS = ("LATIN", "ARABIC", "GREEK", "CYRILLIC", "MODIFIER", "FEMININE", "MASCULINE", "MICRO")
#: joiners and the marks of direction that names in Arabic need; an override, which turns letters around, is none of them
_INVISIBLE_ALLOWED = {"\u200c", "\u200d", "\u200e", "\u200f", "\u2066", "\u2067", "\u2068", "\u2069"}


@cache
def words(language: str) -> dict[str, Any]:
    """The passages and the words around them, in one of our languages."""
    return tomllib.loads((_TEXTS / language / "words.toml").read_text(encoding="utf-8"))


@cache
def template(kind: str, language: str) -> str:
    return (_TEXTS / language / f"{kind}.txt").read_text(encoding="utf-8").strip()


def day_words(day: date, language: str) -> str:
    """The day in the family's language, figures as the register has them.

    >>> day_words(date(2026, 10, 5), "es")
    'lunes, 5 de octubre de 2026'
    """
    return format_date(day, words(language)["date"], locale=language)


def passages_in(text: str) -> list[str]:
    """The placeholders of a text, in order, each once."""
    return list(dict.fromkeys(_NAMED.findall(text)))


def refusals(text: str, language: str) -> list[tuple[str, str]]:
    """What cannot be filled in or set, each as (why, the very characters): "unknown", "braces" or "characters"."""
    known = FACTS | words(language)["passages"].keys()
    found = [("unknown", f"{{{name}}}") for name in passages_in(text) if name not in known]
    if "{" in (rest := _NAMED.sub("", text)) or "}" in rest:
        line = next(line for line in text.splitlines() if set("{}") & set(_NAMED.sub("", line)))
        found.append(("braces", line.strip()[:80]))
    if odd := unreadable(text):
        found.append(("characters", odd))
    return found


def unreadable(text: str) -> str:
    """The characters that print as nothing, as boxes, or turn the text around."""
    return "".join(dict.fromkeys(c for c in text if not _readable(c)))


def _readable(c: str) -> bool:
    if c == "\n" or c in _INVISIBLE_ALLOWED:
        return True
    category = unicodedata.category(c)
    if category[0] == "L":
        return unicodedata.name(c, "").startswith(_SCRIPTS)
    return (category[0] in "MNPZ" and category not in ("Zl", "Zp")) or category in ("Sc", "Sk", "Sm") or c in "°©®"


def fill(text: str, language: str, facts: Mapping[str, str]) -> str:
    """The text with its passages and then its facts. Raises KeyError for what has no value."""
    passages: dict[str, str] = words(language)["passages"]
    whole = _NAMED.sub(lambda m: passages.get(m[1], m[0]), text)
    return _NAMED.sub(lambda m: facts[m[1]], whole)


def apart(text: str, language: str) -> str:
    """Latin words within Arabic keep their own direction, line by line."""
    return "\n".join(f"\u2066{line}\u2069" for line in text.splitlines()) if language == "ar" else text


def grade(text: str, language: str) -> float | None:
    """The school grade one reads it at. None for a language no formula we trust is for (Arabic).

    Listed days are no prose, and are left out.
    """
    from textstat import textstat  # a second to load

    prose = " ".join(line for line in text.splitlines() if line and not line.startswith(BULLET))
    if language == "en":
        return float(textstat.automated_readability_index(prose))
    if language == "es":
        reader = type(textstat)()  # the language is kept on the object, and other threads have theirs
        reader.set_lang("es")
        return float(reader.crawford(prose))
    return None


def paragraphs(text: str) -> list[dict[str, Any]]:
    """A finished text for a page or for print: paragraphs of lines; listed days as rows."""
    found: list[dict[str, Any]] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if all(line.startswith(BULLET) for line in lines):
            found.append({"rows": [tuple(line.removeprefix(BULLET).split(" — ", 1)) for line in lines]})
        else:
            found.append({"lines": lines})
    return found
