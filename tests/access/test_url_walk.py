"""Every URL × every role × one's own and somebody else's object. A route this test doesn't know fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from firstbell.access.middleware import FOREIGN_VIEWS
from firstbell.access.models import Role, User
from tests.access.two_schools import TODAY, TwoSchools, two_schools

pytestmark = pytest.mark.django_db

OFFICER, LEAD, TEACHER, DISTRICT, STEWARD = (
    Role.OFFICER, Role.SCHOOL_LEAD, Role.TEACHER, Role.DISTRICT_LEAD, Role.DATA_STEWARD,
)  # fmt: skip
EVERYBODY = set(Role)
#: route -> (which roles may open it, what its arguments are for one's own things and for somebody else's). A new route goes here.
#: "own" and "theirs" name attributes of TwoSchools; None: the route has no object.
ROUTES: dict[str, tuple[set[Role], dict[str, str] | None]] = {
    "home": (EVERYBODY, None),
    "today": ({OFFICER, LEAD}, None),
    "today_lists": ({OFFICER, LEAD}, None),
    "alert": ({OFFICER, LEAD}, {"pk": "alert"}),
    "undo_verdict": ({OFFICER, LEAD}, {"pk": "verdict"}),
    "schools": ({DISTRICT}, None),
    "student": ({OFFICER, LEAD, TEACHER}, {"pk": "student"}),
    "student_print": ({OFFICER, LEAD, TEACHER}, {"pk": "student"}),
    "who": ({OFFICER, LEAD, TEACHER}, {"pk": "student"}),
    "student_day": ({OFFICER, LEAD, TEACHER}, {"pk": "student", "day": "day"}),
    "steps": ({OFFICER, LEAD}, None),
    "tried": ({OFFICER, LEAD}, None),
    "tried_students": ({OFFICER, LEAD}, {"pk": "replay"}),
    "student_law": ({OFFICER, LEAD}, {"pk": "student"}),
    "law_lines": ({OFFICER, LEAD}, {"pk": "student"}),
    "law_record": ({OFFICER, LEAD}, {"pk": "student"}),
    "law_protect": ({OFFICER}, {"pk": "student"}),
    "law_confirm": ({OFFICER, LEAD}, {"pk": "done"}),
    "law_undo": ({OFFICER, LEAD}, {"pk": "done"}),
    "law_unprotect": ({OFFICER}, {"pk": "protection"}),
    "letter_draft": ({OFFICER, LEAD}, {"pk": "student"}),
    "letter": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_save": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_check": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_sign": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_pdf": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_send": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_recall": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_withdraw": ({OFFICER, LEAD}, {"pk": "letter"}),
    "letter_apologise": ({OFFICER, LEAD}, {"pk": "letter"}),
    "policy": ({DISTRICT}, None),
    "policy_propose": ({DISTRICT}, None),
    "policy_adoption": ({DISTRICT}, {"pk": "adoption"}),
    "policy_pack": ({DISTRICT}, {"name": "pack"}),
    "policy_replays": ({DISTRICT}, None),
    "policy_replay": ({DISTRICT}, {"pk": "replay"}),
    "policy_replay_progress": ({DISTRICT}, {"pk": "replay"}),
    "policy_replay_csv": ({DISTRICT}, {"pk": "replay"}),
    "policy_replay_json": ({DISTRICT}, {"pk": "replay"}),
    "me": (EVERYBODY, None),
    "toured": (EVERYBODY, None),
    "model_card": ({OFFICER, LEAD, DISTRICT, STEWARD}, None),
    "keep_view": ({OFFICER, LEAD}, None),
    "alive": (EVERYBODY, None),
    "live": ({OFFICER, LEAD}, None),
    "live_number": ({OFFICER, LEAD}, None),
    "rolls": ({TEACHER}, None),
    "roll": ({TEACHER}, {"pk": "section", "day": "day", "session": "session"}),
    "concern": ({TEACHER}, {"pk": "section", "student": "student"}),
    "intake": ({STEWARD}, None),
    "intake_delivery": ({STEWARD}, {"pk": "delivery"}),
    "intake_progress": ({STEWARD}, {"pk": "delivery"}),
    "intake_rows": ({STEWARD}, {"pk": "delivery"}),
    "intake_rows_csv": ({STEWARD}, {"pk": "delivery"}),
    "intake_codes": ({STEWARD}, {"pk": "source"}),
    "intake_columns": ({STEWARD}, {"pk": "source"}),
}
#: Deliveries and sources, the law adopted and its replays are the district's: no steward's or lead's are somebody else's.
OF_THE_DISTRICT = {"delivery", "source", "adoption", "pack", "replay"}
POST_ONLY = {
    "undo_verdict", "toured", "keep_view", "concern", "law_record", "law_protect", "law_undo", "law_unprotect", "law_confirm",
    "letter_draft", "letter_save", "letter_sign", "letter_send", "letter_recall", "letter_withdraw", "letter_apologise",
}  # fmt: skip


#: what a form says, where a route wants something said
SAID = {
    "concern": {"word": "tired"}, "law_record": {"kind": "conference", "key": "walk"}, "law_protect": {"flag": "iep"},
    "letter_draft": {"rule": "walk"}, "letter_save": {"body": "Dear family", "version": 0}, "letter_withdraw": {"why": "walk"},
}  # fmt: skip


def is_foreign(view: object) -> bool:
    """allauth's own pages guard themselves; its routes to a page that moved only redirect."""
    target = getattr(view, "view_class", view)
    return target.__module__.startswith(FOREIGN_VIEWS)


def own_routes() -> Iterator[URLPattern]:
    def walk(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns)
            elif not is_foreign(pattern.callback):
                yield pattern

    yield from walk(get_resolver().url_patterns)


def test_abuse_16_a_view_without_a_policy_fails() -> None:
    without = [p.name for p in own_routes() if not hasattr(p.callback, "policy")]
    assert without == [], "decorate these views with access.policy.allow, signed_in or open_to_all"


def test_every_route_is_known_to_this_walk() -> None:
    unknown = sorted({p.name or str(p.pattern) for p in own_routes()} - set(ROUTES))
    assert unknown == [], "add these routes to ROUTES above: who may open them, and what their arguments are"


def answer(user: User | None, name: str, scene: TwoSchools, whose: str) -> int:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    _roles, arguments = ROUTES[name]
    url = reverse(name, kwargs={k: scene.value(v, whose) for k, v in (arguments or {}).items()})
    ask = client.post if name in POST_ONLY else client.head if name == "live" else client.get
    response = ask(url, SAID.get(name, {}))
    if response.status_code == 302 and "/account/login/" in response["Location"]:
        return 401
    return response.status_code


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> TwoSchools:
    return two_schools(monkeypatch)


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_opens_for_its_roles_and_their_own_things_only(scene: TwoSchools, name: str) -> None:
    roles, arguments = ROUTES[name]
    assert answer(None, name, scene, "own") == 401, "nobody"
    if roles != EVERYBODY:
        assert answer(scene.no_role, name, scene, "own") == 403, "somebody without a role"
    for role in Role:
        user = scene.people[role]
        if role not in roles:
            assert answer(user, name, scene, "own") == 403, role
            continue
        assert answer(user, name, scene, "own") in (200, 204, 302), role
        if arguments and not OF_THE_DISTRICT & set(arguments.values()):
            assert answer(user, name, scene, "theirs") == 404, f"{role} opened somebody else's {name}"


def test_the_day_of_the_walk_is_a_school_day(scene: TwoSchools) -> None:
    assert scene.value("day", "own") == TODAY.isoformat()
