"""Every migration can be taken back and done again, and the rows are the same; nothing is left to be made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db

#: run in a process of its own, against a database of its own: a small district in, every app back and forth, rows compared
WALK = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
import django; django.setup()
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

call_command("migrate", verbosity=0)
from firstbell import clock
clock.now = lambda: datetime(2026, 9, 21, 13, 30, tzinfo=UTC)
from firstbell.intake.command import import_path
from firstbell.watch.passes import run_pass
from firstbell.watch.lasting import as_they_stand, stands_through
from firstbell.watch.models import Alert, Concern
from firstbell.watch.verdicts import give_verdict
from firstbell.access.people import give_role
from firstbell.access.models import User
import_path(Path(sys.argv[1]), "larch", yes=True)
run_pass()
give_role("olive@example.org", "officer", school_id="alder", staff_id=None, name="Olive Fairley")
olive = User.objects.get()
alert = Alert.objects.system("test").filter(student__isnull=False).first()
give_verdict(olive, alert, "act", "Called.", version=alert.version)
from datetime import date
from firstbell.casework.adopting import approve, propose
from firstbell.casework.done import protect, record_done
for name in ("dora", "dan"):
    give_role(f"{name}@example.org", "district_lead", school_id=None, staff_id=None, name=name)
dora, dan = User.objects.order_by("pk")[1:]
approve(dan, propose(dora, "example", date(2026, 8, 1)))
record_done(olive, alert.student, "contact", date(2026, 9, 21), date(2026, 9, 21), note="Called.", key="call")
protect(olive, alert.student, "iep", date(2026, 9, 1))

# made anew from the rest by the next fold and the next night
DERIVED = {
    "register.Calendar": {"folds"}, "watch.CalendarPass": None, "watch.CalendarSummary": None,
    "watch.Alert": {"expires_on", "through"}, "watch.LawInForce": {"id"}
}
#: casework first: it rests on the others, and their going back to the first takes its tables along
#: its older ones only make empty tables and columns, and each walk costs seconds
SINCE = {"casework": "0006_letters_by_email"}
OURS = ["casework", "access", "register", "intake", "watch", "jobs", "outreach"]

def rows():
    found = {}
    for label in OURS:
        for model in apps.get_app_config(label).get_models():
            derived = DERIVED.get(model._meta.label, set())
            if derived is None:
                continue
            with connection.cursor() as cursor:
                names = ", ".join(f'"{f.column}"' for f in model._meta.concrete_fields if f.column not in derived)
                cursor.execute(f'SELECT {names} FROM "{model._meta.db_table}" ORDER BY 1')
                found[model._meta.label] = cursor.fetchall()
    alerts = as_they_stand(Alert.objects.system("test").select_related("calendar").order_by("pk"))
    found["alerts as they stand"] = [(a.pk, a.as_of, a.of, stands_through(a)) for a in alerts]
    return found

before = rows()
executor = MigrationExecutor(connection)
walked = 0
for label in OURS:
    names = sorted(name for app, name in executor.loader.graph.nodes if app == label)
    back_to = SINCE.get(label) or [name for name in names if name.endswith("initial")][-1]
    if back_to == names[-1]:
        continue
    call_command("migrate", label, back_to, verbosity=0)
    walked += len(names) - names.index(back_to) - 1
    call_command("migrate", verbosity=0)
    after = rows()
    for table in before:
        if label != "casework" and table.startswith(("casework", "watch.LawInForce")):
            continue
        if after[table] != before[table]:
            lost = [f for f in zip(before[table], after[table]) if f[0] != f[1]][:2]
            print("DIFFERS", label, table, len(before[table]), len(after[table]), lost)
print("walked", walked, "rows", sum(map(len, before.values())))
"""


def test_no_change_of_a_model_waits_for_its_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def a_database_of_its_own(url: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE DATABASE walked")
    return urlunsplit(urlsplit(url)._replace(path="/walked"))


def test_every_migration_goes_down_and_up_again_over_real_rows(tmp_path: Path) -> None:
    from tests.intake.files import SMALL, write

    environment = {
        **os.environ,
        "FIRSTBELL_HOME": str(tmp_path / "home"),
        "DJANGO_SETTINGS_MODULE": "firstbell.settings",
    }
    away = "".join(f"s1,alder,2026-09-{day},,U,,,2026-09-{day}T09:05:00-05:00,t1\n" for day in (15, 16, 17, 18))
    files = write(tmp_path / "files", attendance=SMALL["attendance.csv"] + away)
    if connection.vendor == "postgresql":
        environment["DATABASE_URL"] = a_database_of_its_own(os.environ["DATABASE_URL"])
    ran = subprocess.run(
        [sys.executable, "-c", WALK, str(files)], env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "DIFFERS" not in ran.stdout, ran.stdout
    assert "walked" in ran.stdout
