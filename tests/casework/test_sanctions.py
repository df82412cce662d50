"""A sanction is put on record only once the law allows it: help comes before it, and for some students it never comes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client

from firstbell import clock
from firstbell.access.models import Role, User
from firstbell.casework.done import NotRecorded, confirm, protect, record_done, take_back
from firstbell.casework.firings import look_over
from firstbell.casework.models import Adoption, Done, Firing
from firstbell.casework.standing import standing_of
from firstbell.law.clock import Status
from firstbell.register.models import Student
from firstbell.watch.treated import days_acted
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=7 * 2 + 1)
WHY = "a test looks"


@pytest.fixture
def officer(monkeypatch: pytest.MonkeyPatch) -> User:
    """Texas: court after 10 days, only after help, and never for a student without a home."""
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))
    Adoption.objects.create(pack="us-tx", starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())
    return a_user(Role.OFFICER, None)


@pytest.fixture
def ana(officer: User) -> Student:
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    ana = a_student(school, grade="08")
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(calendar, ana, "UUUUU UUUUU P")
    return ana


def court(ana: Student) -> Status:
    (status,) = (p.status for p in standing_of(ana, TODAY).positions if p.rule == "TX-C1")
    return status


@pytest.mark.parametrize("about", ["", "us-tx/TX-C1"])
def test_a_locked_step_is_not_put_on_record_as_taken(officer: User, ana: Student, about: str) -> None:
    assert court(ana) is Status.LOCKED
    with pytest.raises(NotRecorded, match=r"This step is locked\. Not on record yet:"):
        record_done(officer, ana, "court_referral", TODAY, TODAY, rule=about, key="a")
    assert court(ana) is Status.LOCKED
    assert not Done.objects.system(WHY).exists()


@pytest.mark.parametrize("about", ["", "us-tx/TX-C1"])
def test_a_step_the_law_forbids_is_not_put_on_record_as_taken(officer: User, ana: Student, about: str) -> None:
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    protect(officer, ana, "homeless", TODAY)
    assert court(ana) is Status.FORBIDDEN
    with pytest.raises(NotRecorded, match="The law does not allow this step for this student"):
        record_done(officer, ana, "court_referral", TODAY, TODAY, rule=about, key="a")
    assert court(ana) is Status.FORBIDDEN


def test_an_open_step_is_and_so_is_the_help_before_a_locked_one(officer: User, ana: Student) -> None:
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    done = record_done(officer, ana, "court_referral", TODAY, TODAY, key="a")
    confirm(a_user(Role.SCHOOL_LEAD, None), done, TODAY)
    assert court(ana) is Status.DUTY_DONE


def test_what_was_done_before_any_line_was_reached_is_on_record_as_it_was(officer: User, ana: Student) -> None:
    bo = a_student(ana.enrolments.get().school, "Bo", grade="08")
    record_done(officer, bo, "court_referral", TODAY, TODAY, key="by another school")
    assert Done.objects.system(WHY).filter(student=bo).exists()


@pytest.mark.parametrize("about", ["", "us-tx/TX-C1", "us-tx/no-such-rule", "us-ca/TX-C2"])
def test_nobody_goes_no_further_where_the_law_asks(officer: User, ana: Student, about: str) -> None:
    with pytest.raises(NotRecorded, match="The law asks for this step"):
        record_done(officer, ana, "not_escalated", TODAY, TODAY, rule=about, note="no use", key="a")
    record_done(officer, ana, "not_escalated", TODAY, TODAY, rule="us-tx/TX-C2", note="help goes on", key="b")
    assert [d.key for d in Done.objects.system(WHY).all()] == ["b"]


@pytest.mark.parametrize("kind", ["nonsense", "letter_by_email", "correction"])
def test_a_kind_no_rule_knows_is_not_put_on_record_by_hand(officer: User, ana: Student, kind: str) -> None:
    with pytest.raises(NotRecorded, match="Choose what was done"):
        record_done(officer, ana, kind, TODAY, TODAY, key="a")
    assert not Done.objects.system(WHY).exists()
    record_done(officer, ana, "criminal_negligence_evidence", TODAY, TODAY, key="b")


@pytest.mark.parametrize("about", ["", "us-tx/TX-C1"])
def test_a_sanction_is_put_on_record_by_whom_the_rule_names(officer: User, ana: Student, about: str) -> None:
    lead = a_user(Role.SCHOOL_LEAD, None)
    record_done(lead, ana, "support_offered", TODAY, TODAY, key="help is anybody's")
    with pytest.raises(NotRecorded, match="This step is put on record by: attendance officer"):
        record_done(lead, ana, "court_referral", TODAY, TODAY, rule=about, key="a")
    assert court(ana) is Status.DUTY_OPEN
    done = record_done(officer, ana, "court_referral", TODAY, TODAY, rule=about, key="b")
    assert (done.waits_for, court(ana)) == ("principal", Status.DUTY_OPEN), "one person alone does not take it"
    for other in (officer, a_user(Role.OFFICER, None)):
        with pytest.raises(NotRecorded, match="Another person confirms this: principal"):
            confirm(other, done, TODAY)
    assert court(ana) is Status.DUTY_OPEN
    confirm(lead, done, TODAY)
    assert court(ana) is Status.DUTY_DONE


def test_what_waits_for_a_second_person_counts_for_nothing_and_can_be_taken_back(officer: User, ana: Student) -> None:
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    done = record_done(officer, ana, "court_referral", TODAY - timedelta(days=1), TODAY, key="a")
    look_over()
    assert days_acted(FIRST_MONDAY, TODAY) == {ana.pk: [TODAY]}, "the help alone"
    assert Firing.objects.system(WHY).get(rule="TX-C1").status == Status.DUTY_OPEN
    Done.objects.system(WHY).filter(pk=done.pk).update(recorded_at=clock.now() - timedelta(days=5))
    done.refresh_from_db()
    take_back(officer, done)
    confirm(a_user(Role.SCHOOL_LEAD, None), done, TODAY)
    assert court(ana) is Status.DUTY_OPEN


def test_what_the_law_forbids_meanwhile_is_not_confirmed(officer: User, ana: Student) -> None:
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    done = record_done(officer, ana, "court_referral", TODAY, TODAY, key="a")
    protect(officer, ana, "homeless", TODAY)
    with pytest.raises(NotRecorded, match="The law does not allow this step for this student"):
        confirm(a_user(Role.SCHOOL_LEAD, None), done, TODAY)


def test_the_page_shows_what_waits_and_for_whom(officer: User, ana: Student) -> None:
    record_done(officer, ana, "support_offered", TODAY, TODAY, key="help")
    clients = {who: Client() for who in (officer, a_user(Role.SCHOOL_LEAD, None))}
    for who, client in clients.items():
        client.force_login(who, backend="allauth.account.auth_backends.AuthenticationBackend")
    one, other = clients.values()
    law = f"/student/{ana.pk}/law/"
    said = one.post(f"{law}record/", {"kind": "court_referral", "on": TODAY, "key": "a"}, follow=True).content.decode()
    assert "It counts once it is confirmed by: principal." in said
    assert "Confirm it" not in said
    assert "Confirm it" in other.get(law).content.decode()
    pk = Done.objects.system(WHY).get(key="a").pk
    assert (
        "Another person confirms this: principal." in one.post(f"/law/done/{pk}/confirm/", follow=True).content.decode()
    )
    assert "confirmed by" in other.post(f"/law/done/{pk}/confirm/", follow=True).content.decode()
    assert court(ana) is Status.DUTY_DONE
