"""The demo as a newcomer runs it: a district, a list for the morning, a sign-in for each role; and again in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def demo(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FIRSTBELL_HOME": str(home), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "firstbell.cli", "demo", "--no-serve", *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def test_it_opens_on_a_morning_with_a_list_and_again_at_once(tmp_path: Path) -> None:
    first = demo(tmp_path, "--students", "400")
    assert first.returncode == 0, first.stdout + first.stderr
    for role in ("officer", "lead", "teacher", "district", "data"):
        assert f"{role}@demo.example" in first.stdout
    again = demo(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Making the district" not in again.stdout
    look = (
        "import django; django.setup()\n"
        "from firstbell.access.models import User\n"
        "from firstbell.watch import lists\n"
        "today = lists.today(User.objects.get(email='officer@demo.example'))\n"
        "print(len(today.now) + len(today.now_below) > 0, len(today.pattern) + len(today.below) > 0)\n"
        "from firstbell.register import rows\n"
        "print(list(rows.check()) == [])\n"
        "from firstbell.access import audit\n"
        "print(audit.verify() is None)\n"
        "from firstbell.casework.models import Firing\n"
        "asked = Firing.objects.system('a test looks').filter(superseded_at=None)\n"
        "print(all(asked.filter(status=s).exists() for s in ('duty_open', 'duty_done')))\n"
    )
    environment = {**os.environ, "FIRSTBELL_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    environment.pop("DATABASE_URL", None)
    ran = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.stdout.split() == ["True"] * 5, ran.stderr


def test_another_districts_home_is_left_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "FIRSTBELL_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "firstbell.settings"}
    environment.pop("DATABASE_URL", None)
    real = (
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
        "from firstbell.register.models import District\n"
        "District.objects.create(source_id='d', name='A real one', time_zone='UTC')\n"
    )
    subprocess.run([sys.executable, "-c", real], env=environment, check=True, timeout=120)
    refused = demo(tmp_path)
    assert refused.returncode != 0
    assert "not a demo" in refused.stdout + refused.stderr
