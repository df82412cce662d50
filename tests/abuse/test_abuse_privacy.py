"""What must not leak: names in logs, errors and addresses; what must not change: the audit."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator

import pysqlite3
import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test import Client

from firstbell.access import audit
from firstbell.access.logs import NoPersonalData
from firstbell.access.models import AuditEntry, Role
from firstbell.register.models import Student
from tests.access.two_schools import TwoSchools, two_schools

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
CANARY = "Zyxwvanna"


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """What the configured handler writes, through its own filter and format."""
    (handler,) = (h for h in logging.getLogger().handlers if any(isinstance(f, NoPersonalData) for f in h.filters))
    text = io.StringIO()
    before, handler.stream = (
        handler.stream,
        text,
    )  # not setStream: it flushes the one before, which a test that caught it may have closed
    yield text
    handler.stream = before


@pytest.mark.django_db
def test_abuse_46_no_name_in_logs_errors_or_addresses(monkeypatch: pytest.MonkeyPatch, log_text: io.StringIO) -> None:
    scene: TwoSchools = two_schools(monkeypatch)
    Student.objects.system("test").filter(pk=scene.own.student.pk).update(given_name=CANARY, family_name=CANARY)
    logging.getLogger().setLevel(logging.DEBUG)
    client = Client(raise_request_exception=False)
    client.force_login(scene.people[Role.OFFICER], backend=BACKEND)
    pages = [
        "/today/",
        f"/student/{scene.own.student.pk}/",
        f"/alert/{scene.own.alert.pk}/",
        f"/student/{scene.own.student.pk}/who/",
    ]
    import re

    for page in pages:
        text = client.get(page).content.decode()
        assert not any(CANARY in link for link in re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', text)), (
            "a name in an address"
        )
        assert CANARY not in re.search(r"<title>(.*?)</title>", text, re.DOTALL).group(1), (
            "the browser's history keeps titles"
        )

    def fails(*_: object, **__: object) -> None:
        raise ValueError(f"Key (given_name)=({CANARY}) already exists for {CANARY}@example.org")

    monkeypatch.setattr("firstbell.desk.student_views.student_record", fails)
    answer = client.get(f"/student/{scene.own.student.pk}/?q={CANARY}")
    assert answer.status_code == 500
    assert CANARY not in answer.content.decode()
    client.get(f"/{CANARY}/")
    logging.getLogger("django.request").error("Bad: %s?name=%s", "/x", CANARY)
    assert "reference" in log_text.getvalue()
    # an address somebody typed is theirs; what Firstbell adds to it is not there
    assert not [line for line in log_text.getvalue().splitlines() if CANARY in line and f"/{CANARY}/" not in line]


@pytest.mark.django_db
def test_abuse_56_a_failure_shows_a_reference_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, log_text: io.StringIO
) -> None:
    scene = two_schools(monkeypatch)
    monkeypatch.setattr("firstbell.watch.lists.today", lambda *_a, **_k: 1 / 0)
    client = Client(raise_request_exception=False)
    client.force_login(scene.people[Role.OFFICER], backend=BACKEND)
    answer = client.get("/today/")
    text = answer.content.decode()
    assert answer.status_code == 500
    for word in ("ZeroDivision", "Traceback", "lists.py", "firstbell."):
        assert word not in text
    import re

    (reference,) = re.findall(r'<b class="figure">([0-9a-f]{8})</b>', text)
    assert reference in log_text.getvalue(), "whoever looks after Firstbell finds the place by it"


@pytest.mark.django_db
@pytest.mark.parametrize("statement", ["UPDATE access_auditentry SET detail = 'x'", "DELETE FROM access_auditentry"])
def test_abuse_47_the_database_refuses_to_change_the_audit(statement: str) -> None:
    audit.record("test", "did", "student:1")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert audit.verify() is None


@pytest.mark.django_db(transaction=True)
def test_abuse_47_an_edited_file_is_found_and_the_row_named() -> None:
    for n in range(5):
        audit.record("test", "did", f"student:{n}")
    if connection.vendor == "sqlite":
        with pysqlite3.connect(connection.settings_dict["NAME"]) as file:
            file.execute("DROP TRIGGER audit_no_update")
            file.execute("UPDATE access_auditentry SET subject = 'student:9' WHERE id = 3")
            file.execute(
                "CREATE TRIGGER audit_no_update BEFORE UPDATE ON access_auditentry BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
            )
    else:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE access_auditentry DISABLE TRIGGER ALL")
            cursor.execute("UPDATE access_auditentry SET subject = 'student:9' WHERE id = 3")
            cursor.execute("ALTER TABLE access_auditentry ENABLE TRIGGER ALL")
    broken = audit.verify()
    assert broken is not None
    assert (broken.entry, broken.problem) == (3, "line 3 was changed after it was written")


@pytest.mark.django_db(transaction=True)
def test_eight_writers_at_once_leave_one_chain() -> None:
    def write() -> None:
        try:
            for n in range(20):
                audit.record("test", "did", f"student:{n}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AuditEntry.objects.count() == 160
    assert audit.verify() is None
