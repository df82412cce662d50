"""Local attendance codes to canonical marks, from TOML. What is not mapped stays unmapped: there is no default."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from firstbell.register.marks import Disciplinary, Expected, LegalStatus, Location, Mark, PartSession, Presence

__all__ = ["BUILT_IN", "CodeMap", "CodeMapError", "load_code_map", "parse_code_map"]

BUILT_IN = ("simple", "edfi", "ceds", "dfe")
_FIELDS: dict[str, type[StrEnum]] = {
    "presence": Presence,
    "legal_status": LegalStatus,
    "part": PartSession,
    "expected": Expected,
    "disciplinary": Disciplinary,
    "location": Location,
}


class CodeMapError(ValueError):
    """A mapping file that can't be used; names the code and the key."""


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Codes of one source. Looked up exactly, then without outer space; an Ed-Fi descriptor also by what follows '#'."""

    marks: dict[str, Mark]

    def lookup(self, code: str) -> Mark | None:
        found = self.marks.get(code) or self.marks.get(code.strip())
        if found is None and "#" in code:
            found = self.marks.get(code.rsplit("#", 1)[-1].strip())
        return found


def load_code_map(name: str | Path) -> CodeMap:
    """A built-in set by its name (`BUILT_IN`), or a file."""
    if isinstance(name, str) and name in BUILT_IN:
        return parse_code_map((files("firstbell.intake") / "codes" / f"{name}.toml").read_text("utf-8"), name)
    return parse_code_map(Path(name).read_text("utf-8"), str(name))


def parse_code_map(content: str, where: str) -> CodeMap:
    """`[codes.U]` tables with the fields of register.marks.Mark; presence is required."""
    try:
        tables = tomllib.loads(content).get("codes", {})
    except tomllib.TOMLDecodeError as error:
        raise CodeMapError(f"{where} is not TOML: {error}. No code was mapped.") from error
    marks: dict[str, Mark] = {}
    for code, fields in tables.items():
        if not isinstance(fields, dict) or "presence" not in fields:
            raise CodeMapError(
                f"{where}: the code {code!r} says no presence (present, absent or unknown). No code was mapped."
            )
        values: dict[str, object] = {}
        for key, value in fields.items():
            if key == "reason":
                values[key] = str(value)
            elif key == "meaning":
                continue  # for the reader of the file
            elif key not in _FIELDS:
                raise CodeMapError(
                    f"{where}: the code {code!r} has an unknown key {key!r}. Known: {', '.join(_FIELDS)}, reason, meaning."
                )
            else:
                try:
                    values[key] = _FIELDS[key](value)
                except ValueError as error:
                    known = ", ".join(member.value for member in _FIELDS[key])
                    raise CodeMapError(
                        f"{where}: the code {code!r} has {key} = {value!r}; it is one of {known}."
                    ) from error
        marks[code] = Mark(**values)  # type: ignore[arg-type]
    return CodeMap(marks)
