"""What a source's codes mean: as a person mapped them, else as the delivery's own mapping says, else the built-in set."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.translation import gettext as _

from firstbell.access import audit
from firstbell.access.models import User
from firstbell.intake.models import CodeMapping, Import, Source
from firstbell.intake.readers.archive import Delivery, open_delivery
from firstbell.intake.readers.codes import CodeMap, load_code_map, parse_code_map
from firstbell.intake.readers.records import IntakeError
from firstbell.intake.readers.settings import settings_of
from firstbell.intake.readers.spreadsheet import ColumnMapping, SpreadsheetReader
from firstbell.intake.receive import folder_of, received
from firstbell.register.actions import meaning_of
from firstbell.register.marks import (
    Disciplinary,
    Expected,
    LegalStatus,
    Location,
    Mark,
    PartSession,
    Presence,
)

MAPPING_FILE = "mapping.toml"


def mark_of(mapping: CodeMapping) -> Mark:
    return Mark(
        Presence(mapping.presence), LegalStatus(mapping.legal_status), PartSession(mapping.part),
        Expected(mapping.expected), mapping.reason, Disciplinary(mapping.disciplinary), Location(mapping.location),
    )  # fmt: skip


def part_of_day(mark: Mark) -> Mark:
    """An absence from a part of the day (Ed-Fi eventDuration below 1): there, for part of the session."""
    if mark.presence is Presence.ABSENT:
        return replace(mark, presence=Presence.PRESENT, part=PartSession.PART)
    return mark


def brought_codes(delivery: Delivery) -> CodeMap | None:
    """The mapping.toml beside a delivery's files, where there is one."""
    name = next((n for n in delivery.names if n.rsplit("/", 1)[-1].lower() == MAPPING_FILE), None)
    if name is None:
        return None
    with delivery.open(name) as stream:
        try:
            return parse_code_map(stream.read(2**20).decode("utf-8"), name)
        except ValueError as error:
            raise IntakeError(name, None, None, str(error)) from error


class CodeBook:
    """A source's codes, looked up. `delivery`'s own mapping.toml stands for codes nobody has decided yet."""

    def __init__(self, source: Source, delivery: Import | None = None) -> None:
        self.source = source
        self._decided = CodeMap({m.code: mark_of(m) for m in source.mappings.all()})
        self._brought: CodeMap | None = None
        #: the set this delivery says its codes are of
        self.stated = ""
        if delivery is not None and not delivery.retry:
            opened = open_delivery(received(delivery))
            self._brought = brought_codes(opened)
            self.stated = str(settings_of(opened).get("code_set", ""))
        self._set = load_code_map(source.code_set or self.stated or source.usual_code_set)

    def mark(self, code: str) -> Mark | None:
        """None: nobody has said what it means. There is no default."""
        for codes in (self._decided, self._brought, self._set):
            if codes is not None and (found := codes.lookup(code)) is not None:
                return found
        return None

    def keep_brought(self, by: str) -> int:
        """Write the delivery's own mapping down as this source's, for codes nobody has decided. How many are new."""
        if self._brought is None:
            return 0
        new = [
            CodeMapping(source=self.source, code=code, decided_by=by, **_fields(mark))
            for code, mark in self._brought.marks.items()
            if code not in self._decided.marks and len(code) <= 120
        ]
        CodeMapping.objects.bulk_create(new, ignore_conflicts=True)
        return len(new)


def _fields(mark: Mark) -> dict[str, str]:
    return {
        "presence": mark.presence.value,
        "legal_status": mark.legal_status.value,
        "part": mark.part.value,
        "expected": mark.expected.value,
        "reason": mark.reason,
        "disciplinary": mark.disciplinary.value,
        "location": mark.location.value,
    }


@transaction.atomic
def map_code(source: Source, code: str, mark: Mark, by: User | str) -> CodeMapping:
    """Decide what a code means from now on. Marks on record keep what the code meant when they came.

    Rows that waited for this code are taken in by the next apply of the source; `apply.retry` does it at once.
    """
    if not code.strip():
        raise ValueError(_("A blank code can't be mapped: a cell nobody filled says nothing."))
    mapping, _new = CodeMapping.objects.update_or_create(
        source=source, code=code, defaults={**_fields(mark), "decided_by": audit.actor_name(by)}
    )
    meaning_of(mark, source.name, code)
    audit.record(by, "mapped_code", f"source:{source.pk}", f"{code!r} means {mark.letter}")
    return mapping


@transaction.atomic
def settle_code_set(source: Source, code_set: str, by: User | str) -> None:
    """Say which built-in set a source's codes are of. Marks on record keep what their code meant when they came."""
    if code_set not in Source.CodeSet.values:
        raise ValueError(_("Choose one of the sets listed. Nothing was changed."))
    source.code_set = code_set
    source.save(update_fields=["code_set"])
    audit.record(by, "settled_code_set", f"source:{source.pk}", code_set)


@transaction.atomic
def settle_columns(source: Source, mapping: ColumnMapping, by: User | str) -> list[Import]:
    """Keep which column of a source's sheets holds what, and have its deliveries not yet applied read anew.

    Returns those deliveries, received again; their stage was made of other columns and is gone.
    """
    source.columns, source.date_order = mapping.saved(), mapping.date_order
    source.save(update_fields=["columns", "date_order"])
    audit.record(by, "settled_columns", f"source:{source.pk}", f"{source.columns} {source.date_order}".strip())
    again = list(
        source.imports.filter(
            retry=False, state__in=(Import.State.RECEIVED, Import.State.STAGED, Import.State.HELD, Import.State.REFUSED)
        ).order_by("-pk")[:1]
    )
    for delivery in again:
        (folder_of(delivery) / "stage.sqlite3").unlink(missing_ok=True)
        delivery.state, delivery.problem = Import.State.RECEIVED, ""
        delivery.save(update_fields=["state", "problem"])
    return again


def headings(source: Source) -> list[str]:
    """The headings of the latest sheet a source sent."""
    latest = source.imports.filter(retry=False).order_by("-pk").first()
    if latest is None:
        return []
    try:
        delivery = open_delivery(received(latest))
        return SpreadsheetReader(delivery, lambda _school: ZoneInfo("UTC"), {}, ColumnMapping({})).header()
    except IntakeError:
        return []
