"""Offices of the law's: held by whom the district has said so, and signed for by nobody else."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from typer.testing import CliRunner

from firstbell import clock
from firstbell.access import policy
from firstbell.access.models import Assignment, AuditEntry, Role, User
from firstbell.access.people import NotMade, end_role, give_role
from firstbell.casework.done import NotRecorded, confirm, record_done
from firstbell.casework.models import Adoption, Done
from firstbell.casework.standing import standing_of
from firstbell.cli import app
from firstbell.law.clock import Status
from firstbell.register.models import Calendar, School, Student
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=7 * 2 + 2)
WHY = "a test looks"


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))


def under(pack: str) -> None:
    Adoption.objects.create(pack=pack, starts=date(2026, 8, 1), proposed_at=clock.now(), approved_at=clock.now())


@pytest.fixture
def school() -> School:
    return a_school()


@pytest.fixture
def calendar(school: School) -> Calendar:
    return a_calendar(school, weeks=6, covered=TODAY)


@pytest.fixture
def ana(school: School, calendar: Calendar) -> Student:
    """Of an age at which the packs below speak of her; in Indiana her eleven days are reported, after help was offered."""
    ana = a_student(school, grade="08")
    ana.birth_date = date(2012, 3, 1)
    ana.save()
    draw(calendar, ana, "UUUUU UUUUU U P")
    return ana


def given(name: str, office: str, **more: object) -> User:
    """An office, as the district gives it on the command line."""
    give_role(f"{name}@example.org", "school_lead", office=office, name=name, **more)  # type: ignore[arg-type]
    return User.objects.get(email=f"{name}@example.org")


def reported(ana: Student) -> tuple[User, Done]:
    """In Indiana: help was offered, and an officer has put the report on record."""
    under("us-in")
    olive = a_user(Role.OFFICER, None)
    record_done(olive, ana, "support_offered", TODAY, TODAY, key="help")
    return olive, record_done(olive, ana, "report", TODAY, TODAY, rule="us-in/IN-3-7-12", key="report")


def stands(ana: Student, rule: str) -> Status:
    (status,) = (p.status for p in standing_of(ana, TODAY).positions if p.rule == rule)
    return status


def page_of(user: User, path: str) -> str:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return " ".join(re.sub("<[^>]+>", "", client.get(path).content.decode()).split())


def test_a_sanction_waits_for_the_very_office_its_rule_names(ana: Student) -> None:
    olive, done = reported(ana)
    assert (done.recorded_as, done.waits_for) == ("officer", "superintendent")
    assert "It counts once it is confirmed by: superintendent." in page_of(olive, f"/student/{ana.pk}/law/")
    for other in (a_user(Role.SCHOOL_LEAD, None), a_user(Role.OFFICER, None), given("lee", "head of service")):
        with pytest.raises(NotRecorded, match="Another person confirms this: superintendent"):
            confirm(other, done, TODAY)
    ines = given("ines", "Superintendent")
    confirm(ines, done, TODAY)
    done.refresh_from_db()
    assert (done.confirmed_by, done.confirmed_as, done.waits_for) == (ines, "superintendent", "")
    assert stands(ana, "IN-3-7-12") is Status.DUTY_DONE
    assert "confirmed by ines, superintendent" in page_of(olive, f"/student/{ana.pk}/law/")


def test_the_page_says_when_nobody_holds_an_office_a_step_needs(ana: Student, school: School) -> None:
    olive, _done = reported(ana)
    given("far", "superintendent", school_id=a_school("Birch Primary").source_id)
    nobody = "Nobody holds the office of superintendent here: steps that need it wait."
    page = page_of(olive, f"/student/{ana.pk}/law/")
    assert "Signed by: attendance officer, and superintendent." in page
    assert nobody in page
    given("near", "superintendent", school_id=school.source_id)
    assert nobody not in page_of(olive, f"/student/{ana.pk}/law/")


def test_who_does_not_hold_the_first_office_is_told_whose_it_is_and_offered_no_form(ana: Student) -> None:
    olive, done = reported(ana)
    Done.objects.system(WHY).filter(pk=done.pk).update(withdrawn_at=clock.now())
    form = 'value="us-in/IN-3-7-12"'
    for reader, offered in (
        (olive, True),
        (a_user(Role.SCHOOL_LEAD, None), False),
        (given("ines", "superintendent"), False),
    ):
        client = Client()
        client.force_login(reader, backend="allauth.account.auth_backends.AuthenticationBackend")
        page = client.get(f"/student/{ana.pk}/law/").content.decode()
        assert (form in page) is offered
        assert ("This step is put on record by: attendance officer." in page) is not offered


def test_what_an_institution_outside_signed_another_person_puts_on_record_with_whose_signature(ana: Student) -> None:
    under("ie")
    olive, dana = a_user(Role.OFFICER, None), a_user(Role.SCHOOL_LEAD, None)
    for kind in ("agency_opinion", "conference", "consultation_principal"):
        record_done(olive, ana, kind, TODAY, TODAY, key=kind)
    done = record_done(olive, ana, "school_attendance_notice", TODAY, TODAY, rule="ie/IE-6", key="notice")
    assert done.waits_for == "Child and Family Agency"
    page = page_of(dana, f"/student/{ana.pk}/law/")
    assert "Child and Family Agency signs on its own paper" in page
    assert "Whose signature the paper bears" in page
    with pytest.raises(NotRecorded, match="Another person"):
        confirm(olive, done, TODAY, "Máire Byrne, 14 September")
    with pytest.raises(NotRecorded, match="Write whose signature the paper bears"):
        confirm(dana, done, TODAY, "  ")
    assert stands(ana, "IE-6") is Status.DUTY_OPEN
    confirm(dana, done, TODAY, "Máire Byrne, 14 September")
    done.refresh_from_db()
    assert (done.confirmed_as, done.signature) == ("Child and Family Agency", "Máire Byrne, 14 September")
    assert stands(ana, "IE-6") is Status.DUTY_DONE
    assert "Child and Family Agency: Máire Byrne, 14 September" in page_of(olive, f"/student/{ana.pk}/law/")


def test_who_signs_for_an_institution_here_needs_no_paper(ana: Student) -> None:
    under("ie")
    olive = a_user(Role.OFFICER, None)
    for kind in ("agency_opinion", "conference", "consultation_principal"):
        record_done(olive, ana, kind, TODAY, TODAY, key=kind)
    done = record_done(olive, ana, "school_attendance_notice", TODAY, TODAY, rule="ie/IE-6", key="notice")
    confirm(given("maire", "Child and Family Agency"), done, TODAY)
    done.refresh_from_db()
    assert (done.confirmed_as, done.signature) == ("Child and Family Agency", "")


def test_an_office_is_given_and_ended_on_the_audit(ana: Student, school: School) -> None:
    _olive, done = reported(ana)
    ines = given("ines", " superintendent ", school_id=school.source_id)
    assert policy.why(ines, ana).words.startswith("You are superintendent for Alder Primary")  # type: ignore[union-attr]
    with pytest.raises(NotMade, match="is not school_lead, superintendent for the whole district"):
        end_role(ines.email, "school_lead", office="superintendent")
    assert end_role(
        ines.email, "school_lead", school_id=school.source_id, office="Superintendent"
    ) == TODAY - timedelta(days=1)
    detail = f"school_lead {school.pk} superintendent"
    told = AuditEntry.objects.filter(subject=f"user:{ines.pk}").order_by("id").values_list("action", "detail")
    assert list(told) == [("gave_role", detail), ("ended_role", f"{detail} through {TODAY - timedelta(days=1)}")]
    with pytest.raises(NotRecorded, match="Another person"):
        confirm(User.objects.get(pk=ines.pk), done, TODAY)


def test_an_office_is_held_through_its_last_day(school: School) -> None:
    ines = given("ines", "superintendent", school_id=school.source_id)
    end_role(ines.email, "school_lead", school_id=school.source_id, office="superintendent", last=TODAY)
    assert [h.office for h in policy.held(User.objects.get(pk=ines.pk))] == ["superintendent"]
    assert Assignment.objects.get(user=ines).ends == TODAY


@pytest.mark.parametrize("role", ["teacher", "district_lead", "data_steward"])
def test_an_office_goes_with_a_role_that_sees_students(role: str) -> None:
    with pytest.raises(NotMade, match="Who holds an office sees students"):
        give_role("kim@example.org", role, office="superintendent", staff_id=None)
    assert not User.objects.exists()


def test_who_holds_an_office_alone_is_no_student_s_attendance_officer(ana: Student) -> None:
    give_role("lou@example.org", "officer", office="legal officer", name="Lou")
    _olive, done = reported(ana)
    Done.objects.system(WHY).filter(pk=done.pk).update(withdrawn_at=clock.now())
    lou = User.objects.get(email="lou@example.org")
    with pytest.raises(NotRecorded, match="This step is put on record by: attendance officer"):
        record_done(lou, ana, "report", TODAY, TODAY, rule="us-in/IN-3-7-12", key="lou's")


def test_the_policy_page_says_which_offices_the_law_asks_for_and_who_holds_them(school: School) -> None:
    under("us-in")
    a_school("Birch Primary")
    rosa = a_user(Role.DISTRICT_LEAD)
    a_user(Role.OFFICER, None)
    nobody = "Nobody holds the office of superintendent here: steps that need it wait."
    page = page_of(rosa, "/policy/")
    assert "Who signs" in page
    assert "Attendance officer 1 person, with the role: attendance officer" in page
    assert nobody in page
    given("ines", "superintendent", school_id=school.source_id)
    page = page_of(rosa, "/policy/")
    assert nobody not in page
    assert "ines · Alder Primary" in page
    assert "At 1 school nobody holds it: steps that need it wait there." in page
    given("ina", "superintendent")
    page = page_of(rosa, "/policy/")
    assert "ina · the whole district" in page
    assert "nobody holds it" not in page


def test_abuse_01_who_holds_the_office_at_another_school_finds_nothing_to_confirm(ana: Student) -> None:
    _olive, done = reported(ana)
    far = given("far", "superintendent", school_id=a_school("Birch Primary").source_id)
    client = Client()
    client.force_login(far, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post(reverse("law_confirm", args=[done.pk])).status_code == 404
    done.refresh_from_db()
    assert done.waits_for == "superintendent"


def test_abuse_04_an_office_or_a_signature_written_into_the_form_gives_nobody_the_office(ana: Student) -> None:
    _olive, done = reported(ana)
    lead = a_user(Role.SCHOOL_LEAD, None)
    client = Client()
    client.force_login(lead, backend="allauth.account.auth_backends.AuthenticationBackend")
    said = {"signature": "Ines Marrow", "office": "superintendent", "waits_for": "", "confirmed_as": "superintendent"}
    page = client.post(reverse("law_confirm", args=[done.pk]), said, follow=True).content.decode()
    assert "Another person confirms this: superintendent." in page
    client.post("/me/", {"language": "en", "daily_minutes": "60", "office": "superintendent"})
    done.refresh_from_db()
    assert (done.waits_for, done.signature) == ("superintendent", "")
    assert not Assignment.objects.exclude(office="").exists()


def test_abuse_11_who_held_the_office_until_yesterday_confirms_nothing_today(ana: Student) -> None:
    _olive, done = reported(ana)
    ines = given("ines", "superintendent")
    a_user_s_other = Assignment.objects.create(user=ines, role=Role.SCHOOL_LEAD, starts=FIRST_MONDAY)
    end_role(ines.email, "school_lead", office="superintendent")
    assert policy.why(ines, ana) is not None, "as a school lead she still sees the student"
    client = Client()
    client.force_login(ines, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.post(reverse("law_confirm", args=[done.pk]), follow=True).content.decode()
    assert "Another person confirms this: superintendent." in page
    assert a_user_s_other.ends is None


def test_the_command_line_gives_an_office_tells_of_a_name_no_rule_knows_and_ends_it() -> None:
    under("us-in")
    asked = ["user", "ines@example.org", "--role", "school_lead", "--office"]
    made = CliRunner().invoke(app, [*asked, "superintendant"])
    assert (
        "No rule of the law in force here asks for 'superintendant' now; the offices its rules ask for are:"
        in made.output
    )
    made = CliRunner().invoke(app, [*asked, "Superintendent", "--first-day", "2026-08-01"])
    assert (made.exit_code, "No rule" in made.output) == (0, False)
    assert [str(a.starts) for a in Assignment.objects.filter(office="Superintendent")] == ["2026-08-01"]
    ending = ["end-role", "ines@example.org", "--role", "school_lead", "--office", "superintendant"]
    assert CliRunner().invoke(app, ending).exit_code == 0
    again = CliRunner().invoke(app, ending)
    assert (again.exit_code, "Nothing was changed." in again.output) == (2, True)


def test_a_role_given_in_the_evening_holds_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a_school()
    monkeypatch.setattr(
        clock, "now", lambda: datetime(2026, 9, 17, 2, tzinfo=UTC)
    )  # nine in the evening of the 16th in Chicago
    assert [h.office for h in policy.held(given("ines", "superintendent"))] == ["superintendent"]
