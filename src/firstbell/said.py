"""Sentences that are written down now and read later, perhaps in another language.

A reader of files refuses a row at night; a data steward reads why in the morning, in Spanish. `said("…")` is the English sentence as a
plain str which also remembers its template and values; `packed` keeps both in a text column and `unpacked` brings them back. Pure: whoever
shows it passes its own gettext.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Said", "packed", "said", "said_n", "unpacked"]

_MARK = '{"said": '
Gettext = Callable[[str], str]
Ngettext = Callable[[str, str, int], str]


class Said(str):
    """A sentence with its template and values. Values are texts, numbers, sentences themselves, or lists of these."""

    singular: str
    plural: str
    n: int
    values: Mapping[str, Any]

    def __new__(cls, singular: str, plural: str, n: int, values: Mapping[str, Any], shown: str | None = None) -> Said:
        template = plural if plural and n != 1 else singular
        made = super().__new__(cls, _filled(template, values) if shown is None else shown)
        made.singular, made.plural, made.n, made.values = singular, plural, n, values
        return made

    def __str__(self) -> str:
        return self  # str() of it, as exceptions do, keeps what it remembers

    def into(self, gettext: Gettext, ngettext: Ngettext) -> Said:
        """The same sentence in the language these two speak."""
        template = ngettext(self.singular, self.plural, self.n) if self.plural else gettext(self.singular)
        into = lambda v: v.into(gettext, ngettext) if isinstance(v, Said) else v  # noqa: E731
        values = {k: [into(x) for x in v] if isinstance(v, list) else into(v) for k, v in self.values.items()}
        return Said(self.singular, self.plural, self.n, self.values, _filled(template, values))

    def packed(self) -> str:
        """Template and values as a text to keep."""
        return json.dumps({"said": self._parts()}, ensure_ascii=False)

    def _parts(self) -> list[Any]:
        return [self.singular, self.plural, self.n, {k: _packing(v) for k, v in self.values.items()}]


def _packing(value: Any) -> Any:
    if isinstance(value, list):
        return [_packing(v) for v in value]
    return {"said": value._parts()} if isinstance(value, Said) else value


def _unpacking(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacking(v) for v in value]
    return _from_parts(value["said"]) if isinstance(value, dict) else value


def _filled(template: str, values: Mapping[str, Any]) -> str:
    if not values:
        return template
    return template % {k: ", ".join(v) if isinstance(v, list) else v for k, v in values.items()}


def said(template: str, **values: Any) -> Said:
    """A sentence to be translated, with `%(name)s` for each value."""
    return Said(template, "", 1, values)


def said_n(singular: str, plural: str, n: int, **values: Any) -> Said:
    """A sentence that differs when `n` is one; `%(n)s` is n."""
    return Said(singular, plural, n, {"n": n, **values})


def packed(text: str) -> str:
    """What a text column keeps of a sentence."""
    return text.packed() if isinstance(text, Said) else text


def unpacked(kept: str) -> str:
    """A kept text: a Said where one was packed, the text itself otherwise."""
    if not kept.startswith(_MARK):
        return kept
    try:
        return _from_parts(json.loads(kept)["said"])
    except (ValueError, TypeError, KeyError, AttributeError):  # a text of somebody's own that merely begins so
        return kept


def _from_parts(parts: list[Any]) -> Said:
    singular, plural, n, values = parts
    return Said(singular, plural, n, {k: _unpacking(v) for k, v in values.items()})
