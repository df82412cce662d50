"""Asking for work, leasing it, and giving it back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from firstbell.jobs.models import Job

LEASE = timedelta(seconds=60)
#: like a post office: every 5 minutes for 4 hours, then a failure somebody sees
RETRY_AFTER = timedelta(minutes=5)
MAX_ATTEMPTS = 48


class Unrecoverable(Exception):
    """Trying again cannot help; the job fails at once, with this sentence."""


@dataclass(frozen=True, slots=True)
class Kind:
    run: Callable[[str], None]
    lease: timedelta


_kinds: dict[str, Kind] = {}


def job_kind(name: str, *, lease: timedelta = LEASE) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Register what a kind of job does. It is called with the job's argument and must be safe to run again."""

    def register(run: Callable[[str], None]) -> Callable[[str], None]:
        _kinds[name] = Kind(run, lease)
        return run

    return register


def enqueue(kind: str, argument: str = "", *, key: str, delay: timedelta = timedelta()) -> bool:
    """Ask for a job in the caller's transaction. The same key asked twice is one job; returns whether it is new."""
    now = timezone.now()
    _, new = Job.objects.get_or_create(
        key=key, defaults={"kind": kind, "argument": argument, "run_after": now + delay, "asked_at": now}
    )
    return new


def lease_next() -> Job | None:
    """Take the next job that is due and not leased, or whose lease ran out with its worker."""
    now = timezone.now()
    due = Job.objects.filter(state=Job.State.WAITING, run_after__lte=now, kind__in=_kinds).filter(
        Q(leased_until=None) | Q(leased_until__lt=now)
    )
    if not due.exists():  # the common case asks no write lock of SQLite
        return None
    with transaction.atomic():
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        job = due.order_by("run_after", "id").first()
        if job is None:
            return None
        job.lease = secrets.token_hex(16)
        job.leased_until = now + _kinds[job.kind].lease
        job.attempts += 1
        job.save(update_fields=["lease", "leased_until", "attempts"])
    return job


def renew(job: Job) -> bool:
    """Hold on to a job for another lease; False when the lease was already lost to somebody else."""
    until = timezone.now() + _kinds[job.kind].lease
    return bool(Job.objects.filter(pk=job.pk, lease=job.lease, state=Job.State.WAITING).update(leased_until=until))


def run_leased(job: Job) -> Job.State:
    """Do a leased job and write down how it ended, unless the lease was lost meanwhile."""
    mine = Job.objects.filter(pk=job.pk, lease=job.lease, state=Job.State.WAITING)
    now = timezone.now
    try:
        _kinds[job.kind].run(job.argument)
    except Exception as error:  # a job's failure must never end the worker
        problem = f"{type(error).__name__}: {error}"[:2000]
        if isinstance(error, Unrecoverable) or job.attempts >= MAX_ATTEMPTS:
            mine.update(state=Job.State.FAILED, problem=problem, finished_at=now(), leased_until=None)
            return Job.State.FAILED
        mine.update(problem=problem, run_after=now() + RETRY_AFTER, leased_until=None, lease="")
        return Job.State.WAITING
    mine.update(state=Job.State.DONE, problem="", finished_at=now(), leased_until=None, attempts=F("attempts"))
    return Job.State.DONE
