"""A signed letter as a page to print, the same bytes each time. Set by typst, from the frozen text and nothing else."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from unicodedata import bidirectional

from firstbell.casework.letters.envelopes import Envelope
from firstbell.casework.letters.models import Letter
from firstbell.casework.letters.wording import day_words, paragraphs, unreadable, words

__all__ = ["FONTS", "cannot_set", "pdf_of", "unreadable"]

_HERE = Path(str(files("firstbell.casework.letters")))
#: made at set-up (scripts/fetch_assets.py); without them there is a Latin book face, and no Arabic
FONTS = _HERE / "fonts"
FAMILIES = (
    "Letter Latin", "Letter Latin Extended", "Letter Vietnamese", "Letter Greek", "Letter Cyrillic", "Letter Arabic", "Libertinus Serif",
)  # fmt: skip


@cache
def _fonts() -> Any:
    import typst

    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(FONTS)] if FONTS.exists() else []
    )


def cannot_set(text: str, language: str) -> str:
    """The letters no font here has: without the fonts of set-up, an Arabic letter is not set rather than set wrong."""
    if (FONTS / "arabic-400.ttf").exists():
        return ""
    return "".join(c for c in text if "\u0600" <= c <= "\u06ff") or ("ar" if language == "ar" else "")


def pdf_of(letter: Letter, envelope: Envelope | None = None) -> bytes:
    """The letter, or the copy of it that goes to one address, which stands where an envelope has its window. Raises ValueError for a letter
    nobody signed."""
    import typst

    if letter.signed_at is None or letter.signed_by is None:
        raise ValueError("Only a signed letter is printed.")
    said = words(letter.language)
    zone = letter.firing.school.zone
    signatures = [(letter.signed_by, letter.signed_as, letter.signed_at)]
    if letter.second_by is not None and letter.second_at is not None:
        signatures.append((letter.second_by, letter.second_as, letter.second_at))
    data = {
        "language": letter.language, "number": letter.number, "number_words": said["number"], "page_words": said["page"],
        "sha256": letter.sha256, "school": letter.firing.school.name, "paper": "us-letter" if letter.firing.pack.startswith("us-") else "a4", "fonts": [f for f in FAMILIES if f in _families()],
        "window": [{"words": line, "rtl": _from_the_right(line)} for line in (envelope.lines if envelope else ())],
        "columns": [said["days_heading"], said["mark_heading"]], "paragraphs": paragraphs(letter.text),
        "annex": paragraphs(letter.annex) if letter.annex else [],
        "signatures": [
            said["signed"].format(who=str(who), role=said["roles"].get(role, role), day=day_words(at.astimezone(zone).date(), letter.language))
            for who, role, at in signatures
        ],
    }  # fmt: skip
    made = typst.compile(
        (_HERE / "letter.typ").read_bytes(), root=str(_HERE), font_paths=_fonts(), format="pdf", sys_inputs={"letter": json.dumps(data)},
        timestamp=int(letter.signed_at.timestamp()),
    )  # fmt: skip
    assert isinstance(made, bytes)
    return made


def _from_the_right(line: str) -> bool:
    """By its first letter: an address keeps its own direction in a letter of either."""
    return next((way != "L" for c in line if (way := bidirectional(c)) in ("L", "R", "AL")), False)


@cache
def _families() -> frozenset[str]:
    return frozenset(_fonts().families())
