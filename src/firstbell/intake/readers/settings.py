"""source.toml: what a delivery says of itself beside its files (`sends`, `complete_through`, `code_set`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any

from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.codes import BUILT_IN
from firstbell.intake.readers.records import IntakeError
from firstbell.said import said

__all__ = ["SETTINGS", "settings_of"]

#: every key, and the words its value is one of, where it is a word
SETTINGS: dict[str, tuple[str, ...]] = {
    "sends": ("exceptions", "rolls", "every_mark"),
    "complete_through": (),
    "code_set": BUILT_IN,
}


def settings_of(delivery: Delivery) -> Mapping[str, Any]:
    """Its settings, none where there is no such file. Raises IntakeError where it can't be read or a value can't be."""
    name = next((n for n in delivery.names if n.rsplit("/", 1)[-1].lower() == "source.toml"), None)
    if name is None:
        return {}
    with delivery.open(name) as stream:
        try:
            settings = tomllib.loads(stream.read(2**16).decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise IntakeError(
                name, None, None, said("is not TOML (%(error)s). Nothing was read.", error=str(error))
            ) from error
    for key, value in settings.items():
        # a word spelt wrong must not be as if nothing had been said; a key that is nothing like ours is somebody else's
        word, known = (
            (value, SETTINGS[key]) if key in SETTINGS else (key, tuple(get_close_matches(key, SETTINGS, cutoff=0.75)))
        )
        if known and word and word not in known:
            raise IntakeError(
                name, None, key, said("is none of these: %(known)s. Nothing was read.", known=list(known))
            )
    through = settings.get("complete_through")
    if through is not None and (not isinstance(through, date) or hasattr(through, "hour")):
        raise IntakeError(
            name, None, "complete_through", said("is not a date (complete_through = 2026-09-18). Nothing was read.")
        )
    return settings
