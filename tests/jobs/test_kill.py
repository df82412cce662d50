"""kill -9 at any moment of sending: no message is lost, and a second call to the mail server bears the same Message-ID."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from firstbell.jobs.models import Job
from firstbell.outreach.mail import put
from firstbell.outreach.models import Message
from tests.build import examples
from tests.outreach.mailbox import Mailbox, a_mailbox

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)
#: what lies before a worker at least, so that a kill always finds it sending
AHEAD = 60


def a_worker(home: Path, mailbox: Mailbox) -> subprocess.Popen[str]:
    """A real `firstbell worker` on this test's database."""
    return subprocess.Popen(
        [sys.executable, "-m", "firstbell.cli", "worker"],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={
            **os.environ, "FIRSTBELL_HOME": str(home), "DJANGO_SETTINGS_MODULE": "tests.jobs.same_database",
            "TEST_DATABASE": str(connection.settings_dict["NAME"]), "SMTP_URL": mailbox.url, "FIRSTBELL_TRACE": "1",
            "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}",
        },
    )  # fmt: skip


def begun(home: Path, mailbox: Mailbox) -> subprocess.Popen[str]:
    """A worker that is up: it has swept what was done long ago, as each does when it begins."""
    long_ago = timezone.now() - timedelta(days=400)
    Job.objects.create(
        kind="old", key="old", state=Job.State.DONE, run_after=long_ago, asked_at=long_ago, finished_at=long_ago
    )
    worker = a_worker(home, mailbox)
    until(lambda: worker.poll() is not None or not Job.objects.filter(key="old").exists())
    assert worker.poll() is None, worker.communicate()[1]
    return worker


@contextmanager
def workers(home: Path, mailbox: Mailbox, count: int) -> Iterator[None]:
    """So many workers, told to stop at the end of the block as an operator would."""
    running: list[subprocess.Popen[str]] = []
    try:
        running += (begun(home, mailbox) for _ in range(count))
        yield
        for worker in running:
            worker.terminate()
        for worker in running:
            _out, trouble = worker.communicate(timeout=60)
            assert worker.returncode == 0, trouble
    finally:
        for worker in running:
            worker.kill()
            worker.wait()


def messages_ahead(count: int) -> None:
    with transaction.atomic():
        for i in range(count - Message.objects.filter(state=Message.State.WAITING).count()):
            put(f"staff{i}@example.org", "Your sign-in", "A new device signed in.")


def leases_run_out() -> int:
    """A minute later: what the killed worker held is free. How many jobs that were."""
    held = Job.objects.filter(state=Job.State.WAITING, leased_until__isnull=False)
    return held.update(leased_until=timezone.now() - timedelta(seconds=1))


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def all_is_sent() -> bool:
    return not Job.objects.filter(state=Job.State.WAITING).exists()


def keys(mailbox: Mailbox) -> list[str]:
    """The key of each message the mail server accepted, once for each time."""
    return [line.strip("<>").partition("@")[0] for line in mailbox.accepted()]


def survive(folder: Path, mailbox: Mailbox, kills: int, messages: int, seed: int) -> tuple[int, int]:
    """Kill so many workers; how many died with a message in hand, how many messages were accepted a second time."""
    chance = random.Random(seed)
    messages_ahead(messages)
    in_hand = 0
    for kill in range(kills):
        messages_ahead(AHEAD)
        before = len(mailbox.letters)
        worker = a_worker(folder, mailbox)
        try:
            if kill % 10 == 9:  # some never get to send
                time.sleep(chance.uniform(0, 1))
            else:
                until(lambda: len(mailbox.letters) > before or worker.poll() is not None)  # noqa: B023
                time.sleep(chance.uniform(0, 0.1))
        finally:
            worker.send_signal(signal.SIGKILL)
            _out, trouble = worker.communicate()
        assert worker.returncode == -signal.SIGKILL, trouble
        in_hand += leases_run_out()
        sent = set(Message.objects.filter(state=Message.State.SENT).values_list("key", flat=True))
        assert sent <= set(keys(mailbox)), "a message is called sent that no mail server accepted"
    with workers(folder, mailbox, 1):
        until(all_is_sent)
    calls = Counter(keys(mailbox))
    rows = list(Message.objects.values_list("key", "state"))
    assert len(rows) >= messages
    assert {state for _key, state in rows} == {Message.State.SENT}
    assert set(calls) == {key for key, _state in rows}, "a message was lost, or one was sent that nobody put"
    sending = Job.objects.filter(key__startswith="send:").values_list("key", "state")
    assert set(sending) == {(f"send:{key}", Job.State.DONE) for key, _state in rows}
    twice = calls.total() - len(rows)
    assert twice <= in_hand <= kills, "a kill may repeat the one message in hand, and no other"
    print(
        f"{connection.vendor}: {kills} kills, {in_hand} of them with a message in hand; "
        f"{len(rows)} messages, 0 lost, {calls.total()} provider calls, each key one row"
    )
    return in_hand, twice


def test_no_message_is_lost_when_the_worker_is_killed_again_and_again(tmp_path: Path) -> None:
    with a_mailbox(tmp_path) as mailbox:
        survive(tmp_path, mailbox, kills=examples(6), messages=100, seed=1)


@pytest.mark.slow
def test_no_message_is_lost_when_the_worker_is_killed_a_hundred_times(tmp_path: Path) -> None:
    with a_mailbox(tmp_path) as mailbox:
        in_hand, twice = survive(tmp_path, mailbox, kills=100, messages=400, seed=2)
        assert in_hand >= 40, "the kills struck between messages; nothing was proved"
        assert twice >= 1, "no kill struck between the server's yes and ours"


def test_two_workers_beside_each_other_send_each_message_once(tmp_path: Path) -> None:
    with a_mailbox(tmp_path) as mailbox, workers(tmp_path, mailbox, 2):
        messages_ahead(200)
        until(all_is_sent)
        assert len(mailbox.accepted()) == len(set(mailbox.accepted())) == 200
        assert mailbox.most_at_once == 2


def test_what_a_killed_worker_held_another_one_running_beside_it_takes(tmp_path: Path) -> None:
    with a_mailbox(tmp_path) as mailbox, workers(tmp_path, mailbox, 1):
        doomed = begun(tmp_path, mailbox)
        messages_ahead(100)
        until(lambda: len(mailbox.letters) >= 30)
        doomed.kill()
        doomed.communicate()
        until(lambda: Job.objects.filter(state=Job.State.WAITING).count() <= 1)
        leases_run_out()
        until(all_is_sent)
        assert set(keys(mailbox)) == set(Message.objects.values_list("key", flat=True))
        assert len(mailbox.accepted()) <= 101
