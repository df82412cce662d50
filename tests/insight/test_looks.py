"""What the looks say, on the model card: nothing before there is an answer, no share from few, numbers with their intervals after."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import translation

from firstbell import clock
from firstbell.access.models import Role
from firstbell.register.models import Calendar
from firstbell.watch.models import Alert, Draw, DrawStratum, LookOver, Verdict
from tests.build import a_calendar, a_school, a_student, a_user

pytestmark = pytest.mark.django_db
Weeks = Callable[..., None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Any:
    with override_settings(HOME=tmp_path):
        yield tmp_path


@pytest.fixture
def calendar() -> Calendar:
    return a_calendar(a_school())


@pytest.fixture
def weeks(calendar: Calendar) -> Weeks:
    """Weeks of looks, over: of each stratum (size, drawn, answered, to act on)."""
    student, officer = a_student(calendar.school), a_user(school=calendar.school)
    now = clock.now()

    def made(how_many: int, state: str = "expired", **strata: tuple[int, int, int, int]) -> None:
        for n in range(1, how_many + 1):
            draw = Draw.objects.create(week=now.date() - timedelta(days=7 * n), drawn_at=now, seed=n, by="count")
            for name, (size, drawn, answered, act) in strata.items():
                stratum = DrawStratum.objects.create(draw=draw, name=name, size=size, taken=drawn)
                for k in range(drawn):
                    alert = Alert.objects.system("t").create(
                        kind="look_over", clock="pattern", school=calendar.school, calendar=calendar, student=student,
                        state="answered" if k < answered else state, count=0, of=30, measure=0, opened_at=now, as_of=draw.week,
                        known_through=now, expires_on=draw.week,
                    )  # fmt: skip
                    LookOver.objects.system("t").create(stratum=stratum, student=student, alert=alert, count=0)
                    if k < answered:
                        Verdict.objects.system("t").create(
                            alert=alert, student=student, decision="act" if k < act else "no_concern", reason="Looked.",
                            measure=0, given_by=officer, given_at=now,
                        )  # fmt: skip

    return made


@pytest.fixture
def card(client: Client) -> Callable[[], str]:
    client.force_login(a_user(Role.DISTRICT_LEAD))

    def read() -> str:
        page = client.get("/model/").content.decode()
        section = re.search(r'<section[^>]*aria-labelledby="looks".*?</section>', page, flags=re.S)
        assert section is not None
        return " ".join(re.sub(r"<[^>]+>", " ", section.group()).split())

    return read


def test_before_anybody_has_answered_it_says_that_nothing_is_known(card: Callable[[], str], weeks: Weeks) -> None:
    assert "No look has been answered yet, so nothing is known of whom the list misses." in card()
    weeks(2, far=(100, 1, 0, 0))
    words = card()
    assert "No look has been answered yet" in words
    assert "2 weeks of looks are over: 2 drawn, 0 answered in time." in words
    assert "Missed" not in words.replace("What the list misses", "")


def test_few_answers_tell_nothing_and_say_so(card: Callable[[], str], weeks: Weeks) -> None:
    weeks(3, listed=(10, 1, 1, 1), far=(100, 2, 2, 0))
    words = card()
    assert words.count("can’t tell yet") == 3
    assert "6 answers so far: anything between 0.0 %" in words
    assert "in a usual week" not in words


def test_enough_answers_give_shares_with_intervals_and_what_was_not_answered(
    card: Callable[[], str], weeks: Weeks
) -> None:
    weeks(12, listed=(50, 4, 4, 3), near=(50, 4, 4, 1), far=(900, 20, 19, 0))
    words = card()
    assert "can’t tell yet" not in words
    assert "Missed 1.3 %" in words  # 12.5 of 950: a quarter of the fifty near the line
    assert "in a usual week about 12 of 950, between " in words
    assert "False alarms 25.0 %" in words
    assert "Missed of those in need 25.0 %" in words  # 12.5 of 12.5 and 37.5
    assert "12 weeks of looks are over: 336 drawn, 324 answered in time." in words
    assert "12 looks were not answered in time" in words
    assert "Had none of them been to act on, 1.3 % would be missed; had all of them, 6.1 %." in words
    assert "On the list 50 48 48 36 75.0 % (" in words
    assert "Not on it: all others 900 240 228 0 0.0 % (0.0–" in words


def test_a_week_with_an_open_look_does_not_count_yet(card: Callable[[], str], weeks: Weeks) -> None:
    weeks(1, state="open", far=(100, 1, 0, 0))
    assert "of looks are over" not in card()


def test_no_name_and_no_school_is_on_it(card: Callable[[], str], weeks: Weeks) -> None:
    weeks(12, listed=(50, 4, 4, 3), near=(50, 4, 4, 1), far=(900, 20, 19, 0))
    assert "Ana" not in card()
    assert "Alder" not in card()


def test_in_spanish(card: Callable[[], str], weeks: Weeks, client: Client) -> None:
    weeks(12, listed=(50, 4, 4, 3), near=(50, 4, 4, 1), far=(900, 20, 19, 0))
    client.post("/me/", {"language": "es", "daily_minutes": "30"})
    words = card()
    assert "Falsas alarmas" in words
    assert "should" not in words
    translation.deactivate()
