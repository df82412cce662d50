"""The audit: append-only, each line chained by hash to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils import timezone

from firstbell.access.models import AuditEntry

if TYPE_CHECKING:
    from firstbell.access.models import User

GENESIS = "0" * 64
_LOCK = 0x1F1B5E11  # any constant: writers of the audit queue on it, so that the chain has no forks


@dataclass(frozen=True, slots=True)
class Broken:
    """The first line where the audit does not add up, and how."""

    entry: int
    problem: str


def _digest(previous: str, number: int, at: datetime, actor: str, action: str, subject: str, detail: str) -> str:
    text = "\x1f".join([previous, str(number), at.astimezone(UTC).isoformat(), actor, action, subject, detail])
    return hashlib.sha256(text.encode()).hexdigest()


def actor_name(who: User | str) -> str:
    return who if isinstance(who, str) else f"user:{who.pk}"


def record(who: User | str, action: str, subject: str = "", detail: str = "") -> AuditEntry:
    """Append one line, in the caller's transaction.

    `subject` is a kind and a number ("student:12"), never a name; `detail` is for facts that are not personal.
    """
    return record_many(who, action, [(subject, detail)])[0]


def record_many(who: User | str, action: str, subjects: Iterable[tuple[str, str]]) -> list[AuditEntry]:
    """Append a line a subject; a bulk write is audited one by one like any other."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        last = AuditEntry.objects.order_by("-id").values_list("id", "hash").first()
        number, previous = last or (0, GENESIS)
        at = timezone.now()
        entries = []
        for subject, detail in subjects:
            number += 1
            actor = actor_name(who)
            digest = _digest(previous, number, at, actor, action, subject, detail)
            entries.append(
                AuditEntry(
                    id=number, at=at, actor=actor, action=action, subject=subject, detail=detail,
                    previous_hash=previous, hash=digest,
                )
            )  # fmt: skip
            previous = digest
        return AuditEntry.objects.bulk_create(entries)


def verify() -> Broken | None:
    """Walk the whole chain; None when every line is as it was written, else the first that isn't."""
    previous, expected = GENESIS, 1
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=5000):
        if entry.id != expected:
            return Broken(expected, f"line {expected} is missing")
        if entry.previous_hash != previous:
            return Broken(entry.id, f"line {entry.id} does not follow from the line before it")
        if entry.hash != _digest(previous, entry.id, entry.at, entry.actor, entry.action, entry.subject, entry.detail):
            return Broken(entry.id, f"line {entry.id} was changed after it was written")
        previous, expected = entry.hash, expected + 1
    return None
