"""Text columns that hold sentences (firstbell.said): written with template and values, read in the reader's language."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext, ngettext

from firstbell.said import Said, packed, unpacked

__all__ = ["SaidField", "in_words"]


def in_words(text: str) -> str:
    """A sentence in the language in use; any other text as it is."""
    return text.into(gettext, ngettext) if isinstance(text, Said) else text


class SaidField(models.TextField):
    def from_db_value(self, value: str | None, *_of: Any) -> str | None:
        return None if value is None else in_words(unpacked(value))

    def get_prep_value(self, value: Any) -> Any:
        return packed(value) if isinstance(value, str) else super().get_prep_value(value)
