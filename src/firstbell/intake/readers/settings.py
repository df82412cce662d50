"""source.toml: what a delivery says of itself beside its files (`sends`, `complete_through`, `code_set`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Any

from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.codes import BUILT_IN
from firstbell.intake.readers.records import IntakeError
from firstbell.said import said

__all__ = ["settings_of"]


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
    through = settings.get("complete_through")
    if through is not None and (not isinstance(through, date) or hasattr(through, "hour")):
        raise IntakeError(
            name, None, "complete_through", said("is not a date (complete_through = 2026-09-18). Nothing was read.")
        )
    code_set = settings.get("code_set", "")
    if code_set and code_set not in BUILT_IN:
        raise IntakeError(
            name, None, "code_set",
            said("is none of the built-in sets of codes: %(sets)s. Nothing was read.", sets=list(BUILT_IN)),
        )  # fmt: skip
    return settings
