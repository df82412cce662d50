"""Which reader reads what: the seam between a delivery's files and the pure readers."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from firstbell.intake.models import Source
from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.edfi import EdFiReader
from firstbell.intake.readers.oneroster import OneRosterReader
from firstbell.intake.readers.records import IntakeError, Reader
from firstbell.intake.readers.spreadsheet import ColumnMapping, SpreadsheetReader
from firstbell.register.models import Student


def kind_of(delivery: Delivery) -> str:
    """The kind of source a delivery comes from, by its files. Raises IntakeError when nobody can read it."""
    if OneRosterReader(delivery).files:
        return Source.Kind.ONEROSTER
    names = [name.lower() for name in delivery.names]
    if any(name.endswith(".xml") for name in names):
        return Source.Kind.EDFI
    if len(names) == 1 and names[0].endswith((".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods")):
        return Source.Kind.SPREADSHEET
    raise IntakeError(
        delivery.path.name, None, None,
        "holds no file Firstbell can read: OneRoster CSV files, an Ed-Fi interchange, or one sheet. Nothing was kept.",
    )  # fmt: skip


def reader_for(
    delivery: Delivery, kind: str, *, zone_of: Callable[[str], ZoneInfo], columns: str, date_order: str
) -> Reader:
    if kind == Source.Kind.ONEROSTER:
        return OneRosterReader(delivery, zone_of)
    if kind == Source.Kind.EDFI:
        return EdFiReader(delivery, zone_of)
    numbers = Student.objects.system("a sheet names students by number").values_list("number", "source_id")
    known = {number: source_id for number, source_id in numbers if number} | {
        source_id: source_id for _, source_id in numbers
    }
    return SpreadsheetReader(delivery, zone_of, known, ColumnMapping.parse(columns, date_order))
