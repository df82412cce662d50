"""Kinds of day as sources write them, to the values of register.models.DayType (Ed-Fi CalendarEventDescriptor's words)."""

from __future__ import annotations

__all__ = ["day_type_of"]

_WORDS = {
    "instructional": ("instructional day", "instructional", "school day", "school", "instruction", "in session", "regular"),
    "make_up": ("make-up day", "make up day", "makeup day", "make-up", "makeup", "make_up"),
    "late_or_early": (
        "student late arrival/early dismissal", "late arrival", "early dismissal", "half day", "delayed opening", "late_or_early",
    ),
    "holiday": ("holiday", "vacation", "break", "bank holiday"),
    "weather": ("weather day", "weather", "snow day", "snow"),
    "emergency": ("emergency day", "emergency", "closure", "closed"),
    "strike": ("strike",),
    "teacher_only": ("teacher only day", "teacher_only", "inset", "inset day", "staff day", "professional development"),
    "non_instructional": ("non-instructional day", "noninstructional", "non instructional day", "non_instructional", "no school"),
    "other": ("other",),
}  # fmt: skip
_BY_WORD = {word: kind for kind, words in _WORDS.items() for word in words}


def day_type_of(value: str) -> str | None:
    """The kind of day, or None for a word nobody has taught Firstbell. A descriptor's URI counts by what follows '#'."""
    return _BY_WORD.get(" ".join(value.rsplit("#", 1)[-1].strip().lower().split()))
