"""Access: what somebody finds who changes a number in an address or a form."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client

from firstbell.access.models import AuditEntry, Role, User
from firstbell.access.policy import students_for, who_can_see, why
from firstbell.access.scoped import UnscopedQuery
from firstbell.register.models import Enrolment, School, Student
from firstbell.watch.models import Alert, Verdict
from tests.access.two_schools import TODAY, TwoSchools, two_schools
from tests.build import PASSWORD, a_user

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> TwoSchools:
    return two_schools(monkeypatch)


def as_(user: User, **more: object) -> Client:
    client = Client(**more)
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def officer(scene: TwoSchools) -> Client:
    return as_(scene.people[Role.OFFICER])


def test_abuse_01_another_schools_student_by_number_is_not_found_and_it_is_written_down(
    scene: TwoSchools, officer: Client
) -> None:
    stranger = scene.theirs.student
    answer = officer.get(f"/student/{stranger.pk}/")
    assert answer.status_code == 404
    assert "Reyes" not in answer.content.decode()
    assert AuditEntry.objects.filter(action="refused", subject=f"student:{stranger.pk}").exists()
    assert officer.get("/student/99999999/").status_code == 404, "whether somebody exists is not told"


@pytest.mark.parametrize("path", ["print/", "who/", f"day/{TODAY}/", "?as_of=2026-09-10"])
def test_abuse_02_nor_by_any_other_way_to_the_same(scene: TwoSchools, officer: Client, path: str) -> None:
    assert officer.get(f"/student/{scene.theirs.student.pk}/{path}").status_code == 404


def test_abuse_02_nor_in_the_live_fragment_or_number(scene: TwoSchools, officer: Client) -> None:
    for path in ("/today/lists/", f"/today/lists/?school={scene.theirs.school.pk}"):
        page = officer.get(path, headers={"HX-Request": "true"}).content.decode()
        assert f"/student/{scene.theirs.student.pk}/" not in page
    before = officer.get("/live/number/").json()
    from firstbell.watch.passes import bump

    bump(scene.theirs.school.pk)
    assert officer.get("/live/number/").json() == before


def test_abuse_03_a_verdict_on_a_foreign_alert_is_not_found_and_changes_nothing(
    scene: TwoSchools, officer: Client
) -> None:
    alert = scene.theirs.alert
    answer = officer.post(f"/alert/{alert.pk}/", {"decision": "act", "reason": "mine now", "version": alert.version})
    assert answer.status_code == 404
    assert Alert.objects.system("test").get(pk=alert.pk).state == "open"
    assert officer.post(f"/verdict/{scene.theirs.verdict.pk}/undo/").status_code == 404


@pytest.mark.parametrize("version", ["-1", "999", "1' OR 1=1", "", "99999999999999999999"])
def test_abuse_04_a_tampered_version_is_a_conflict(scene: TwoSchools, officer: Client, version: str) -> None:
    answer = officer.post(f"/alert/{scene.own.alert.pk}/", {"decision": "act", "reason": "x", "version": version})
    assert answer.status_code == 409
    assert Alert.objects.system("test").get(pk=scene.own.alert.pk).state == "open"


@pytest.mark.parametrize(
    "value", ["1;DROP TABLE watch_alert", "1 OR 1=1", "'", "../../etc", "99999999999999999999", "\x00"]
)
def test_abuse_08_what_is_put_into_a_query_is_refused(scene: TwoSchools, officer: Client, value: str) -> None:
    for page in ("/today/", "/today/lists/"):
        for name in ("school", "kind", "sort", "order_by"):
            assert officer.get(page, {name: value}).status_code == 400, name
    assert officer.get("/today/", {"undo": value}).status_code == 200
    assert officer.get(f"/student/{scene.own.student.pk}/", {"as_of": value}).status_code in (400, 404)
    assert Alert.objects.system("test").exists()


def test_abuse_09_somebody_without_a_role_and_a_guardians_address_reach_nothing(scene: TwoSchools) -> None:
    from firstbell.register.models import Contact, ContactLink

    guardian = Contact.objects.system("test").create(
        source_id="g", given_name="Rosa", family_name="Reyes", email="rosa@example.org"
    )
    ContactLink.objects.system("test").create(student=scene.own.student, contact=guardian)
    client = Client()
    answer = client.post("/account/login/", {"login": "rosa@example.org", "password": PASSWORD})
    assert "_auth_user_id" not in client.session, answer.status_code
    nobody = as_(scene.no_role)
    for path in ("/today/", f"/student/{scene.own.student.pk}/", "/roll/", "/intake/", "/schools/", "/live/"):
        assert nobody.get(path).status_code == 403
    assert "no role yet" in nobody.get("/").content.decode()


def test_abuse_11_a_student_who_moves_is_out_of_the_old_officers_sight_the_same_day(scene: TwoSchools) -> None:
    student = scene.own.student
    old, new = scene.people[Role.OFFICER], a_user(Role.OFFICER, scene.theirs.school)
    assert as_(old).get(f"/student/{student.pk}/").status_code == 200
    Enrolment.objects.system("test").filter(student=student).update(ends=TODAY - timedelta(days=1))
    Enrolment.objects.system("test").create(student=student, school=scene.theirs.school, starts=TODAY, grade="03")
    assert as_(User.objects.get(pk=old.pk)).get(f"/student/{student.pk}/").status_code == 404
    assert as_(new).get(f"/student/{student.pk}/").status_code == 200


def test_abuse_13_fields_a_form_does_not_have_are_not_looked_at(scene: TwoSchools) -> None:
    user = scene.people[Role.TEACHER]
    as_(user).post(
        "/me/",
        {"language": "es", "daily_minutes": "30", "is_superuser": "1", "is_staff": "1", "email": "boss@example.org", "role": "officer",
         "assignments": "1"},
    )  # fmt: skip
    user = User.objects.get(pk=user.pk)
    assert (user.language, user.is_superuser, user.is_staff) == ("es", False, False)
    assert user.email != "boss@example.org"
    assert set(user.assignments.values_list("role", flat=True)) == {"teacher"}
    officer = as_(scene.people[Role.OFFICER])
    officer.post(
        f"/alert/{scene.own.alert.pk}/",
        {
            "decision": "act",
            "reason": "x",
            "version": scene.own.alert.version,
            "student": scene.theirs.student.pk,
            "given_by": "1",
            "measure": "0",
        },
    )
    verdict = Verdict.objects.system("test").get(alert=scene.own.alert)
    assert (verdict.student, verdict.given_by, verdict.measure) == (
        scene.own.student,
        scene.people[Role.OFFICER],
        scene.own.alert.measure,
    )


def test_abuse_14_nobody_reaches_anothers_preferences(scene: TwoSchools) -> None:
    other = scene.people[Role.SCHOOL_LEAD]
    as_(scene.people[Role.OFFICER]).post(
        f"/me/?user={other.pk}", {"language": "es", "daily_minutes": "5", "user": other.pk, "pk": other.pk}
    )
    assert User.objects.get(pk=other.pk).language == "en"


def test_the_reason_and_the_right_are_one_rule(scene: TwoSchools) -> None:
    """Whoever is told why may see, and whoever may see is told why."""
    for user in [*scene.people.values(), scene.no_role]:
        for student in Student.objects.system("test").all():
            assert (why(user, student) is not None) == students_for(user).filter(pk=student.pk).exists()
    named = {person for person, _reason in who_can_see(scene.own.student)}
    assert named == {scene.people[role] for role in (Role.OFFICER, Role.SCHOOL_LEAD, Role.TEACHER)}


def test_a_query_that_says_for_nobody_is_refused(scene: TwoSchools) -> None:
    for start in (
        Student.objects.all,
        Alert.objects.first,
        lambda: Enrolment.objects.filter(pk=1),
        lambda: Student.objects.system(""),
    ):
        with pytest.raises(UnscopedQuery):
            start()
    with pytest.raises(UnscopedQuery):
        School.objects.first().enrolments.all()
    assert scene.own.student.enrolments.count() == 1


def test_opening_a_student_is_written_down(scene: TwoSchools, officer: Client) -> None:
    officer.get(f"/student/{scene.own.student.pk}/")
    assert AuditEntry.objects.filter(action="saw", subject=f"student:{scene.own.student.pk}").count() == 1
    assert "opened the record" in officer.get(f"/student/{scene.own.student.pk}/who/").content.decode()
    assert json.dumps(str(scene.own.student)) == f'"student {scene.own.student.pk}"', "a student's name is not in logs"
