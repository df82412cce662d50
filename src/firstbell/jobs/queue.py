"""Asking for work, leasing it, and giving it back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from firstbell.jobs.models import Job

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
#: like a post office: every 5 minutes for 4 hours, then a failure somebody sees
RETRY_AFTER = timedelta(minutes=5)
MAX_ATTEMPTS = 48
#: a done job's row, and with it the memory of its key, is kept so long; a failed one's for ever
KEEP_DONE = timedelta(days=14)


class Unrecoverable(Exception):
    """Trying again cannot help; the job fails at once, with this sentence."""


@dataclass(frozen=True, slots=True)
class Kind:
    run: Callable[[str], None]
    lease: timedelta
    when_failed: Callable[[str, str], None] | None
    due: Callable[[], str | None] | None


_kinds: dict[str, Kind] = {}


def job_kind(
    name: str,
    *,
    lease: timedelta = LEASE,
    when_failed: Callable[[str, str], None] | None = None,
    due: Callable[[], str | None] | None = None,
) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Register what a kind of job does. It is called with the job's argument and must be safe to run again.

    `when_failed` is called with the argument and the sentence of the failure when the job is given up, in the
    transaction that says so. `due` makes it happen by itself: workers ask it every minute for the key of the job that is due now, or
    None; the same key is the same job. The module must be imported by its app's `ready`, or `firstbell worker` won't know it.
    """

    def register(run: Callable[[str], None]) -> Callable[[str], None]:
        _kinds[name] = Kind(run, lease, when_failed, due)
        return run

    return register


def enqueue(kind: str, argument: str = "", *, key: str, delay: timedelta = timedelta()) -> bool:
    """Ask for a job in the caller's transaction. The same key asked twice is one job; returns whether it is new."""
    now = timezone.now()
    _, new = Job.objects.get_or_create(
        key=key, defaults={"kind": kind, "argument": argument, "run_after": now + delay, "asked_at": now}
    )
    return new


def ask_for_what_is_due() -> None:
    """Ask for the jobs that come by the clock."""
    for name, kind in _kinds.items():
        key = kind.due() if kind.due else None
        if key:
            enqueue(name, key=key)


def lease_of(job: Job) -> timedelta:
    return _kinds[job.kind].lease


def lease_next() -> Job | None:
    """Take the next job that is due and not leased, or whose lease ran out with its worker."""
    while _due().exists():  # the common case, nothing due, asks no write lock of SQLite
        with transaction.atomic():
            due = _due()
            if connection.features.has_select_for_update_skip_locked:
                due = due.select_for_update(skip_locked=True)
            job = due.order_by("run_after", "id").first()
            if job is None:  # another worker was quicker
                return None
            if job.attempts >= MAX_ATTEMPTS:  # only a crash leaves a job waiting after its last attempt
                _give_up(job, "the worker ended in the middle of it.")
                continue
            job.lease = secrets.token_hex(16)
            job.leased_until = timezone.now() + lease_of(job)
            job.attempts += 1
            job.save(update_fields=["lease", "leased_until", "attempts"])
            return job
    return None


def _due() -> QuerySet[Job]:
    now = timezone.now()
    return Job.objects.filter(
        Q(leased_until=None) | Q(leased_until__lt=now), state=Job.State.WAITING, run_after__lte=now, kind__in=_kinds
    )


def renew(job: Job) -> bool:
    """Hold on to a job for another lease; False when the lease was already lost to somebody else."""
    return bool(_held(job).update(leased_until=timezone.now() + lease_of(job)))


def run_leased(job: Job) -> Job.State | None:
    """Do a leased job and write down how it ended. None: the lease was lost meanwhile, and nothing was written."""
    try:
        _kinds[job.kind].run(job.argument)
    except Unrecoverable as error:
        return _fail(job, str(error))
    except Exception as error:  # a job's failure must never end the worker
        problem = f"{type(error).__name__}: {error}"
        if job.attempts >= MAX_ATTEMPTS:
            return _give_up(job, problem)
        again = timezone.now() + RETRY_AFTER
        kept = _held(job).update(problem=problem[:2000], run_after=again, leased_until=None, lease="")
        return Job.State.WAITING if kept else None
    done = _held(job).update(state=Job.State.DONE, problem="", finished_at=timezone.now(), leased_until=None)
    return Job.State.DONE if done else None


def sweep() -> int:
    """Forget the jobs done long ago; how many."""
    old = Job.objects.filter(state=Job.State.DONE, finished_at__lt=timezone.now() - KEEP_DONE)
    return old.delete()[0]


def _held(job: Job) -> QuerySet[Job]:
    """The job's row, for as long as it is leased to whoever has this `job` in hand."""
    return Job.objects.filter(pk=job.pk, lease=job.lease, state=Job.State.WAITING)


def _give_up(job: Job, last: str) -> Job.State | None:
    return _fail(job, f"Tried {job.attempts} times and given up. The last time: {last}")


def _fail(job: Job, problem: str) -> Job.State | None:
    problem = problem[:2000]
    with transaction.atomic():
        failed = _held(job).update(
            state=Job.State.FAILED, problem=problem, finished_at=timezone.now(), leased_until=None
        )
        tell = _kinds[job.kind].when_failed
        if failed and tell is not None:
            try:
                with transaction.atomic():
                    tell(job.argument, problem)
            except Exception:  # else the job would be failed, and told, again and again before all others
                log.exception("the failure of job %s (%s) could not be told", job.pk, job.kind)
    return Job.State.FAILED if failed else None
