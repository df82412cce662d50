"""What somebody keeps for themselves: views of the list, the tour put away, language and minutes."""

from __future__ import annotations

import pytest
from django.test import Client

from firstbell.access.models import Role, User
from firstbell.register.models import School
from tests.build import a_school, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def school() -> School:
    return a_school()


@pytest.fixture
def olive(school: School) -> User:
    return a_user(Role.OFFICER, school, email="olive@example.org")


@pytest.fixture
def desk(olive: User) -> Client:
    client = Client()
    client.force_login(olive, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def views(user: User) -> list[object]:
    return User.objects.get(pk=user.pk).saved_views


def test_a_view_is_kept_under_a_name_and_stands_above_the_list(desk: Client, olive: User, school: School) -> None:
    answer = desk.post("/today/views/", {"name": "  Long  rows ", "school": school.pk, "kind": "streak"})
    assert answer["Location"] == f"/today/?school={school.pk}&kind=streak"
    assert views(olive) == [{"name": "Long rows", "school": school.pk, "kind": "streak"}]
    page = desk.get("/today/").content.decode()
    assert "Long rows" in page
    assert f"?school={school.pk}&amp;kind=streak" in page


def test_the_same_name_means_the_new_view_and_a_forgotten_one_is_gone(desk: Client, olive: User) -> None:
    desk.post("/today/views/", {"name": "Mine", "kind": "streak"})
    desk.post("/today/views/", {"name": "Mine", "kind": "break"})
    assert [v["kind"] for v in views(olive)] == ["break"]
    desk.post("/today/views/", {"name": "Mine", "forget": "1"})
    assert views(olive) == []


@pytest.mark.parametrize("sent", [{"name": "", "kind": "streak"}, {"name": "x"}])
def test_a_view_of_nothing_or_without_a_name_is_not_kept_and_says_so(
    desk: Client, olive: User, sent: dict[str, str]
) -> None:
    answer = desk.post("/today/views/", sent, follow=True)
    assert "Nothing was kept" in answer.content.decode()
    assert views(olive) == []


def test_a_thirteenth_view_is_refused(desk: Client, olive: User) -> None:
    for n in range(13):
        answer = desk.post("/today/views/", {"name": f"view {n}", "kind": "streak"}, follow=True)
    assert "There are 12 views already" in answer.content.decode()
    assert len(views(olive)) == 12


def test_a_school_of_somebody_elses_in_the_address_shows_nothing_of_it(desk: Client) -> None:
    other = a_school("Birch High")
    assert "Birch High" not in desk.get(f"/today/?school={other.pk}").content.decode()


def test_the_tour_is_shown_until_it_is_put_away(desk: Client) -> None:
    assert "New here?" in desk.get("/today/").content.decode()
    desk.post("/me/toured/")
    assert "New here?" not in desk.get("/today/").content.decode()


def test_the_language_chosen_is_the_language_spoken(desk: Client) -> None:
    desk.post("/me/", {"language": "es", "daily_minutes": "30"})
    page = desk.get("/today/").content.decode()
    assert '<html lang="es" dir="ltr">' in page
    assert "Hoy" in page
