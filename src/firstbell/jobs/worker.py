"""The worker: in a thread of `firstbell serve`, or a process of its own as `firstbell worker`."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from django.db import close_old_connections, connections
from django.utils import timezone

from firstbell.jobs import queue
from firstbell.jobs.models import Job

log = logging.getLogger(__name__)
IDLE_SECONDS = 0.5
ASK_EVERY = timedelta(minutes=1)
SWEEP_EVERY = timedelta(hours=1)


class Worker:
    """Leases jobs one at a time and runs them, renewing the lease while one runs, until `stop` is called."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def start_in_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name="firstbell-worker", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Take no further job; the one in hand is finished."""
        self._stop.set()

    def run(self) -> None:
        swept = asked = None
        while not self._stop.is_set():
            close_old_connections()
            try:
                if swept is None or timezone.now() - swept > SWEEP_EVERY:
                    queue.sweep()
                    swept = timezone.now()
                if asked is None or timezone.now() - asked > ASK_EVERY:
                    queue.ask_for_what_is_due()
                    asked = timezone.now()
                worked = self.run_one()
            except Exception:
                log.exception("the worker could not reach its jobs; it tries again")
                worked = False
            if not worked:
                self._stop.wait(IDLE_SECONDS)
        connections.close_all()

    def run_one(self) -> bool:
        """Run the next due job, if any."""
        job = queue.lease_next()
        if job is None:
            return False
        done = threading.Event()
        renewing = threading.Thread(target=self._renew_until, args=(job, done), daemon=True)
        renewing.start()
        try:
            state = queue.run_leased(job)
        finally:
            done.set()
            renewing.join()
        if state is not Job.State.DONE:
            ended = state or "after its lease was lost; whoever took it decides"
            log.warning("job %s (%s) attempt %s ended %s", job.pk, job.kind, job.attempts, ended)
        return True

    @staticmethod
    def _renew_until(job: Job, done: threading.Event) -> None:
        while not done.wait(queue.lease_of(job).total_seconds() / 3):
            try:
                if not queue.renew(job):
                    break
            except Exception:
                log.exception("could not renew the lease of job %s", job.pk)
        connections.close_all()
