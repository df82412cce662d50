"""Which reader reads what: the seam between a delivery's files and the pure readers."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from firstbell import clock
from firstbell.intake.models import Source
from firstbell.intake.readers.archive import Delivery
from firstbell.intake.readers.oneroster import OneRosterReader
from firstbell.intake.readers.records import IntakeError, Reader
from firstbell.intake.readers.spreadsheet import ColumnMapping, SpreadsheetReader
from firstbell.register.models import Student
from firstbell.said import said


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
        said("holds no file Firstbell can read: OneRoster CSV files, an Ed-Fi interchange, or one sheet. Nothing was kept."),
    )  # fmt: skip


def reader_for(delivery: Delivery, source: Source, zone_of: Callable[[str], ZoneInfo]) -> Reader:
    """The reader of a source's files; a sheet's columns as a person settled them, its students as the register has them."""
    if source.kind == Source.Kind.ONEROSTER:
        return OneRosterReader(delivery, zone_of)
    if source.kind == Source.Kind.EDFI:
        from firstbell.intake.readers.edfi import EdFiReader  # lxml, which only this kind needs

        return EdFiReader(delivery, clock.now().date())
    columns = ColumnMapping.parse(source.columns, source.date_order)
    return SpreadsheetReader(delivery, zone_of, known_students(), columns)


def known_students() -> dict[str, str]:
    """A student's source id by that id, and by their number where only one student has it."""
    numbers: dict[str, str] = {}
    shared: set[str] = set()
    ids: dict[str, str] = {}
    rows = Student.objects.system("a sheet names students by number").values_list("source_id", "number")
    for source_id, number in rows:
        ids[source_id] = source_id
        if number:
            shared.update({number} & numbers.keys())
            numbers[number] = source_id
    return {**{n: s for n, s in numbers.items() if n not in shared}, **ids}
