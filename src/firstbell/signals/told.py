"""Days with their letters, as one short text: "2026-11-02U2N12UU" is 2 November U, two days later N, and twelve after that UU.

An alert keeps the days behind it so: a night compares and writes some hundred thousand of these. A square nobody knows is an underscore; days
that have no letters are parted by a space. `kernel.day_text` writes the same of many rows of a register.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta

__all__ = ["days_told", "told"]

_ONE = re.compile(r"(\d{4}-\d\d-\d\d|\d+)(\D*)")


def told(days: Iterable[tuple[date, str]]) -> str:
    """These days, in their order, as text."""
    text, last, letters = "", None, ""
    for day, said in days:
        text += f"{'' if letters else ' '}{(day - last).days}" if last else str(day)
        last, letters = day, said.replace(" ", "_")
        text += letters
    return text


def days_told(text: str) -> list[tuple[date, str]]:
    """What `told` was given."""
    found: list[tuple[date, str]] = []
    for when, letters in _ONE.findall(text):
        day = found[-1][0] + timedelta(days=int(when)) if found else date.fromisoformat(when)
        found.append((day, letters.strip().replace("_", " ")))
    return found
