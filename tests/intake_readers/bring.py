"""Files in, items out."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from firstbell.intake.readers.archive import open_delivery
from firstbell.intake.readers.edfi import EdFiReader
from firstbell.intake.readers.oneroster import OneRosterReader
from firstbell.intake.readers.records import Item, MarkBatch, Refusal
from firstbell.intake.readers.spreadsheet import ColumnMapping, SpreadsheetReader

TODAY = date(2026, 9, 21)
CHICAGO = ZoneInfo("America/Chicago")


def oneroster(folder: Path, **files: str | bytes) -> list[Item]:
    """Reads `name="header\\nrow"` as name.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return list(OneRosterReader(open_delivery(folder), lambda _school: CHICAGO).read())


def edfi(folder: Path, **files: str | bytes) -> list[Item]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.xml").write_bytes(content.encode() if isinstance(content, str) else content)
    return list(EdFiReader(open_delivery(folder), TODAY).read())


def sheet(
    file: Path, content: str | bytes, known: dict[str, str] | None = None, mapping: ColumnMapping | None = None
) -> list[Item]:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(
        SpreadsheetReader(
            open_delivery(file), lambda _school: CHICAGO, known or {}, mapping or ColumnMapping({})
        ).read()
    )


def refusals(items: list[Item]) -> list[Refusal]:
    return [i for i in items if isinstance(i, Refusal)]


def marks(items: list[Item]) -> MarkBatch:
    (batch,) = (i for i in items if isinstance(i, MarkBatch))
    return batch
