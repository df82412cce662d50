"""Jobs: asked once, leased by one worker, retried like a post office, and never lost with the worker that held them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from firstbell.jobs import queue
from firstbell.jobs.models import Job
from firstbell.jobs.queue import MAX_ATTEMPTS, Unrecoverable, enqueue, job_kind, lease_next, renew, run_leased, sweep
from firstbell.jobs.worker import Worker

SOURCE = Path(__file__).resolve().parents[2] / "src/firstbell"
DONE, WAITING, FAILED = Job.State.DONE, Job.State.WAITING, Job.State.FAILED


@pytest.fixture(autouse=True)
def only_the_kinds_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_kinds", {})


def a_kind(run: Callable[[str], None] | None = None, name: str = "note", **more: object) -> list[str]:
    """Register a kind of job; the arguments it was run with, in order."""
    ran: list[str] = []

    def job(argument: str) -> None:
        ran.append(argument)
        if run is not None:
            run(argument)

    job_kind(name, **more)(job)  # type: ignore[arg-type]
    return ran


def a_leased_job(key: str = "k") -> Job:
    enqueue("note", "42", key=key)
    job = lease_next()
    assert job is not None
    return job


def its_lease_runs_out(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def its_time_comes(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(run_after=timezone.now() - timedelta(minutes=10))


def raises(error: BaseException) -> Callable[[str], None]:
    def run(_argument: str) -> None:
        raise error

    return run


# --- asking ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_same_key_asked_twice_is_one_job() -> None:
    ran = a_kind()
    assert enqueue("note", "first", key="k") is True
    assert enqueue("note", "second", key="k") is False
    worker = Worker()
    assert [worker.run_one(), worker.run_one()] == [True, False]
    assert ran == ["first"]


@pytest.mark.django_db
def test_a_key_whose_job_is_done_is_not_done_again() -> None:
    ran = a_kind()
    enqueue("note", key="k")
    Worker().run_one()
    assert enqueue("note", key="k") is False
    assert Worker().run_one() is False
    assert ran == [""]


@pytest.mark.django_db
def test_a_job_asked_in_a_transaction_that_is_rolled_back_does_not_exist() -> None:
    a_kind()
    with transaction.atomic():
        enqueue("note", key="k")
        transaction.set_rollback(True)
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_transactions_asking_the_same_key_at_once_make_one_job() -> None:
    a_kind()
    together, new = threading.Barrier(2), []

    def ask() -> None:
        together.wait()
        new.append(enqueue("note", key="k"))

    in_threads(ask, ask)
    assert sorted(new) == [False, True]
    assert Job.objects.count() == 1


@pytest.mark.django_db
def test_a_job_with_a_delay_waits_for_its_time() -> None:
    a_kind()
    enqueue("note", key="k", delay=timedelta(minutes=1))
    assert lease_next() is None
    its_time_comes(Job.objects.get())
    assert lease_next() is not None


@pytest.mark.django_db
def test_the_job_that_waited_longest_is_first() -> None:
    ran = a_kind()
    for argument in "abc":
        enqueue("note", argument, key=argument)
    its_time_comes(Job.objects.get(key="c"))
    worker = Worker()
    while worker.run_one():
        pass
    assert ran == ["c", "a", "b"]


@pytest.mark.django_db
def test_a_kind_nobody_here_knows_is_left_alone() -> None:
    a_kind()
    enqueue("from_a_newer_version", key="k")
    assert lease_next() is None
    job = Job.objects.get()
    assert (job.state, job.attempts) == (WAITING, 0)


# --- leases ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_leased_job_is_not_taken_by_a_second_worker() -> None:
    a_kind()
    a_leased_job()
    assert lease_next() is None


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_taken_again() -> None:
    a_kind()
    first = a_leased_job()
    its_lease_runs_out(first)
    second = lease_next()
    assert second is not None
    assert (second.pk, second.attempts) == (first.pk, 2)
    assert second.lease != first.lease


@pytest.mark.django_db
def test_the_late_success_of_a_worker_that_lost_its_lease_changes_nothing() -> None:
    a_kind()
    first = a_leased_job()
    its_lease_runs_out(first)
    second = lease_next()
    assert run_leased(first) is None
    assert Job.objects.get().state == WAITING
    assert second is not None
    assert run_leased(second) is DONE


@pytest.mark.django_db
@pytest.mark.parametrize("error", [RuntimeError("late"), Unrecoverable("late")])
def test_the_late_failure_of_a_worker_that_lost_its_lease_changes_nothing(error: Exception) -> None:
    given_up: list[str] = []
    a_kind(raises(error), when_failed=lambda argument, _problem: given_up.append(argument))
    first = a_leased_job()
    its_lease_runs_out(first)
    second = lease_next()
    assert second is not None
    assert run_leased(first) is None
    job = Job.objects.get()
    assert (job.state, job.lease, job.problem, given_up) == (WAITING, second.lease, "", [])


@pytest.mark.django_db
def test_the_late_success_after_the_second_worker_was_done_changes_nothing() -> None:
    a_kind()
    first = a_leased_job()
    its_lease_runs_out(first)
    second = lease_next()
    assert second is not None
    run_leased(second)
    finished = Job.objects.get().finished_at
    assert run_leased(first) is None
    assert Job.objects.get().finished_at == finished


@pytest.mark.django_db
def test_a_lost_lease_cannot_be_renewed() -> None:
    a_kind()
    first = a_leased_job()
    its_lease_runs_out(first)
    assert lease_next() is not None
    assert renew(first) is False


@pytest.mark.django_db
def test_a_lease_that_ran_out_and_was_not_taken_can_still_be_renewed() -> None:
    a_kind()
    job = a_leased_job()
    its_lease_runs_out(job)
    assert renew(job) is True
    assert lease_next() is None


@pytest.mark.django_db(transaction=True)
def test_renewals_keep_a_job_longer_than_its_lease() -> None:
    began, may_end = threading.Event(), threading.Event()

    def long_job(_argument: str) -> None:
        began.set()
        assert may_end.wait(30)

    ran = a_kind(long_job, lease=timedelta(seconds=2))
    enqueue("note", key="k")
    with working(1):
        assert began.wait(30)
        first_until = Job.objects.get().leased_until
        assert first_until is not None
        while timezone.now() <= first_until + timedelta(seconds=0.5):
            assert lease_next() is None
            time.sleep(0.05)
        may_end.set()
        until_nothing_waits()
    assert ran == [""]
    assert Job.objects.get().attempts == 1


# --- failing --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_failure_waits_five_minutes_and_says_why() -> None:
    a_kind(raises(ConnectionRefusedError("nobody listens")))
    job = a_leased_job()
    before = timezone.now()
    assert run_leased(job) is WAITING
    job.refresh_from_db()
    assert timedelta(minutes=5) <= job.run_after - before < timedelta(minutes=5, seconds=20)
    assert "ConnectionRefusedError: nobody listens" in job.problem
    assert lease_next() is None


@pytest.mark.django_db
def test_a_job_is_tried_at_most_48_times_and_then_fails_with_a_sentence() -> None:
    ran = a_kind(raises(ConnectionRefusedError("nobody listens")))
    enqueue("note", key="k")
    worker = Worker()
    while worker.run_one():
        its_time_comes(Job.objects.get())
    job = Job.objects.get()
    assert len(ran) == MAX_ATTEMPTS == 48
    assert job.state == FAILED
    assert job.finished_at is not None
    assert job.problem == "Tried 48 times and given up. The last time: ConnectionRefusedError: nobody listens"


@pytest.mark.django_db
def test_a_job_that_ends_its_worker_every_time_is_also_tried_at_most_48_times() -> None:
    """A crash is an attempt: the job that brings the process down must not do so for ever."""
    a_kind()
    enqueue("note", key="k")
    enqueue("note", key="next")
    attempts = 0
    while (job := lease_next()) is not None and job.key == "k":
        attempts += 1
        its_lease_runs_out(job)
        its_time_comes(job)
    assert attempts == MAX_ATTEMPTS
    assert job is not None
    assert job.key == "next", "the queue goes on behind it"
    failed = Job.objects.get(key="k")
    assert failed.state == FAILED
    assert failed.problem == "Tried 48 times and given up. The last time: the worker ended in the middle of it."


@pytest.mark.django_db
def test_what_cannot_be_mended_by_trying_again_fails_at_once_in_its_own_words() -> None:
    a_kind(raises(Unrecoverable("The file is gone.")))
    job = a_leased_job()
    assert run_leased(job) is FAILED
    job.refresh_from_db()
    assert (job.state, job.problem, job.attempts) == (FAILED, "The file is gone.", 1)
    its_time_comes(job)
    assert lease_next() is None


@pytest.mark.django_db
def test_who_asked_is_told_of_a_failure_with_its_sentence() -> None:
    told: list[tuple[str, str]] = []
    a_kind(raises(Unrecoverable("The file is gone.")), when_failed=lambda *what: told.append(what))
    run_leased(a_leased_job())
    assert told == [("42", "The file is gone.")]


@pytest.mark.django_db
def test_a_failure_that_cannot_be_told_is_a_failure_all_the_same() -> None:
    def tell(_argument: str, _problem: str) -> None:
        raise RuntimeError("who asked is gone too")

    a_kind(raises(Unrecoverable("The file is gone.")), when_failed=tell)
    assert run_leased(a_leased_job()) is FAILED
    assert Job.objects.get().state == FAILED


@pytest.mark.django_db
def test_a_job_that_failed_once_and_then_worked_says_nothing_of_a_problem() -> None:
    fails = [True]

    def run(_argument: str) -> None:
        if fails.pop() if fails else False:
            raise RuntimeError("not yet")

    a_kind(run)
    enqueue("note", key="k")
    Worker().run_one()
    its_time_comes(Job.objects.get())
    Worker().run_one()
    job = Job.objects.get()
    assert (job.state, job.problem, job.attempts) == (DONE, "", 2)


# --- the worker -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_done_jobs_are_swept_after_14_days_and_failed_ones_kept() -> None:
    now = timezone.now()
    for state in (DONE, FAILED, WAITING):
        for days in (13, 15):
            Job.objects.create(
                kind="note", key=f"{state} {days}", state=state, run_after=now, asked_at=now - timedelta(days=days),
                finished_at=None if state is WAITING else now - timedelta(days=days),
            )  # fmt: skip
    assert sweep() == 1
    assert set(Job.objects.values_list("key", flat=True)) == {
        "done 13", "failed 13", "failed 15", "waiting 13", "waiting 15",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_worker_sweeps_when_it_starts() -> None:
    long_ago = timezone.now() - timedelta(days=15)
    Job.objects.create(kind="note", key="k", state=DONE, run_after=long_ago, asked_at=long_ago, finished_at=long_ago)
    with working(1):
        until(lambda: not Job.objects.exists())


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_does_not_end_its_worker() -> None:
    def run(argument: str) -> None:
        if argument == "bad":
            raise RuntimeError("bad")

    ran = a_kind(run)
    enqueue("note", "bad", key="bad")
    enqueue("note", "good", key="good")
    with working(1):
        until(lambda: Job.objects.filter(state=DONE).exists())
    assert ran == ["bad", "good"]


@pytest.mark.django_db(transaction=True)
def test_a_worker_told_to_stop_finishes_the_job_in_its_hands() -> None:
    began = threading.Event()

    def run(_argument: str) -> None:
        began.set()
        time.sleep(0.3)

    a_kind(run)
    enqueue("note", key="now")
    enqueue("note", key="later")
    worker = Worker()
    thread = worker.start_in_thread()
    assert began.wait(30)
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert [job.state for job in Job.objects.order_by("id")] == [DONE, WAITING]


@pytest.mark.django_db(transaction=True)
def test_two_workers_take_different_jobs_at_the_same_time() -> None:
    """Each job waits for the other: one worker alone, or both on one job, would never be done."""
    both = threading.Barrier(2)
    ran = a_kind(lambda _argument: (both.wait(30), None)[1])
    enqueue("note", "a", key="a")
    enqueue("note", "b", key="b")
    with working(2):
        until_nothing_waits()
    assert sorted(ran) == ["a", "b"]
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
def test_four_workers_run_two_hundred_jobs_once_each() -> None:
    ran = a_kind()
    with transaction.atomic():
        for i in range(200):
            enqueue("note", str(i), key=str(i))
    with working(4):
        until_nothing_waits()
    assert sorted(ran, key=int) == [str(i) for i in range(200)]
    assert set(Job.objects.values_list("state", "attempts")) == {(DONE, 1)}


@pytest.mark.django_db(transaction=True)
def test_on_postgresql_a_row_another_worker_is_just_taking_is_passed_over() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time; nobody can be just taking a row")
    a_kind()
    enqueue("note", "a", key="a")
    enqueue("note", "b", key="b")
    found: list[Job | None] = []
    with transaction.atomic():
        Job.objects.select_for_update().get(key="a")
        in_threads(lambda: found.append(lease_next()))
    assert [job.key for job in found if job] == ["b"]


def kinds_in_the_source() -> list[str]:
    return sorted(
        name for file in SOURCE.rglob("*.py") for name in re.findall(r'^@job_kind\("(\w+)"', file.read_text(), re.M)
    )


@pytest.fixture(scope="module")
def kinds_a_worker_knows() -> list[str]:
    """What `firstbell worker` has registered when it begins, having imported no page."""
    says = "import django; django.setup(); import firstbell.jobs.worker; print(*firstbell.jobs.worker.queue._kinds)"
    said = subprocess.run(
        [sys.executable, "-c", says], cwd=SOURCE.parents[1], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": f"{SOURCE.parent}:{SOURCE.parents[1]}", "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )  # fmt: skip
    return said.stdout.split()


@pytest.mark.parametrize("kind", kinds_in_the_source())
def test_a_worker_in_a_process_of_its_own_knows_the_kind(kind: str, kinds_a_worker_knows: list[str]) -> None:
    """A kind registered only because some page was imported would wait for ever under `firstbell worker`."""
    assert kind in kinds_a_worker_knows


# --- the scene ------------------------------------------------------------------------------------------------------


@contextmanager
def working(workers: int) -> Iterator[None]:
    """So many workers, each in a thread, until the block ends."""
    all_of_them = [Worker() for _ in range(workers)]
    threads = [worker.start_in_thread() for worker in all_of_them]
    try:
        yield
    finally:
        for worker in all_of_them:
            worker.stop()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def in_threads(*deeds: Callable[[], object]) -> None:
    def run(deed: Callable[[], object]) -> None:
        try:
            deed()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def until_nothing_waits() -> None:
    until(lambda: not Job.objects.filter(state=WAITING).exists())
