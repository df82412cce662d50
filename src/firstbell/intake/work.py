"""Intake in the background: kinds of job, and how far one has come, for a page that asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.intake.apply import NotApplied, apply, look
from firstbell.intake.models import Import, Source
from firstbell.intake.receive import folder_of
from firstbell.intake.staging import waiting_rows
from firstbell.jobs.queue import Unrecoverable, enqueue, job_kind
from firstbell.said import Said, said

#: Longer than the usual lease: on SQLite it can't be renewed while the apply itself holds the database.
LEASE = timedelta(minutes=5)
_TELL_EVERY = 0.4  # seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come: the step by its name in `command.STEPS`, and how much of how much."""

    step: str
    done: int
    total: int

    @property
    def percent(self) -> int | None:
        return min(100, 100 * self.done // self.total) if self.total else None


class Teller:
    """Writes progress to a file beside the delivery: the database can't show it before the transaction is over."""

    def __init__(self, delivery: Import) -> None:
        self._file = folder_of(delivery) / "progress"
        self._last = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _TELL_EVERY:
            self._last = now
            aside = self._file.with_suffix(".new")
            aside.write_text(f"{step} {done} {total}")
            aside.replace(self._file)


def progress_of(delivery: Import) -> Progress | None:
    try:
        step, done, total = (folder_of(delivery) / "progress").read_text().split()
    except (OSError, ValueError):
        return None
    return Progress(step, int(done), int(total))


def ask_to_stage(delivery: Import) -> None:
    enqueue("intake_stage", str(delivery.pk), key=f"intake_stage:{delivery.pk}:{timezone.now().isoformat()}")


def ask_to_apply(delivery: Import, by: User) -> None:
    """Queue the apply of a delivery somebody looked at. Asked twice it is done once."""
    with transaction.atomic():
        waiting = Import.objects.filter(pk=delivery.pk, state__in=(Import.State.STAGED, Import.State.HELD))
        if not waiting.update(state=Import.State.QUEUED, applied_by=audit.actor_name(by)):
            return
        audit.record(by, "asked_to_apply", f"import:{delivery.pk}")
        enqueue("intake_apply", str(delivery.pk), key=f"intake_apply:{delivery.pk}:{timezone.now().isoformat()}")


def cancel(delivery: Import, by: User) -> bool:
    """Set a delivery aside that nobody has applied. Its bytes and its report stay."""
    open_ = Import.objects.filter(
        pk=delivery.pk, state__in=(Import.State.RECEIVED, Import.State.STAGED, Import.State.HELD)
    )
    if not open_.update(state=Import.State.CANCELLED):
        return False
    audit.record(by, "cancelled_data", f"import:{delivery.pk}")
    return True


def _give_up(state: Import.State, words: Said) -> Callable[[str, str], None]:
    """What becomes of a delivery whose job ended again and again without a word of its own."""

    def told(argument: str, _sentence: str) -> None:
        waiting = Import.objects.filter(pk=int(argument), state__in=(Import.State.RECEIVED, Import.State.QUEUED))
        waiting.update(state=state, problem=words)

    return told


@job_kind(
    "intake_stage", lease=LEASE,
    when_failed=_give_up(
        Import.State.REFUSED, said("Reading it ended again and again without a reason. Nothing was applied; send it once more.")
    ),
)  # fmt: skip
def stage_job(argument: str) -> None:
    delivery = Import.objects.select_related("source").get(pk=int(argument))
    if delivery.state != Import.State.RECEIVED:
        return
    try:
        look(delivery, progress=Teller(delivery))
    except NotApplied as error:
        raise Unrecoverable(str(error)) from error


@job_kind(
    "intake_apply", lease=LEASE,
    when_failed=_give_up(
        Import.State.STAGED, said("Applying it ended again and again without a reason. Nothing was applied; it can be tried once more.")
    ),
)  # fmt: skip
def apply_job(argument: str) -> None:
    delivery = Import.objects.select_related("source").get(pk=int(argument))
    if delivery.state == Import.State.APPLIED:  # done, and the worker died before it could say so
        return
    try:
        apply(delivery, delivery.applied_by, progress=Teller(delivery))
    except NotApplied as error:
        Import.objects.filter(pk=delivery.pk, state=Import.State.QUEUED).update(
            state=Import.State.HELD, problem=str(error)
        )
        raise Unrecoverable(str(error)) from error


def retry(source: Source, by: User | str) -> Import | None:
    """Try the rows of a source that wait once more. The import that did it, or None when none waits."""
    if not waiting_rows(source).exists():
        return None
    with transaction.atomic():
        delivery = Import.objects.create(
            source=source, name="rows that waited", digest="", received_at=clock.now(), retry=True,
            received_by=audit.actor_name(by),
        )  # fmt: skip
        delivery.path = str(delivery.pk)
        delivery.save(update_fields=["path"])
    look(delivery)
    apply(delivery, by)
    return delivery


def ask_to_retry(source: Source, by: User) -> None:
    enqueue("intake_retry", f"{source.pk} {audit.actor_name(by)}", key=f"intake_retry:{source.pk}:{timezone.now()}")


@job_kind("intake_retry", lease=LEASE)
def retry_job(argument: str) -> None:
    pk, _space, by = argument.partition(" ")
    try:
        retry(Source.objects.get(pk=int(pk)), by)
    except NotApplied as error:
        raise Unrecoverable(str(error)) from error
