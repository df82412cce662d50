"""A law that speaks of each parent by themselves: who has had what was owed to them, and who has not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from firstbell.casework.done import NotRecorded, record_done
from firstbell.casework.firings import look_over
from firstbell.casework.letters import deeds
from firstbell.casework.letters.deeds import Stopped
from firstbell.casework.models import Adoption, Done, DoneTo, Firing
from firstbell.casework.standing import standing_of
from firstbell.law.clock import NOT_ESCALATED, Position, Status
from firstbell.register.models import Calendar, Contact, ContactLink
from tests.casework.letters_scene import TODAY, WARNED, WHY, Scene, a_contact, set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]

#: a warning to a parent asks for a talk with that parent; to whom two were given, no third
OVERLAY = """
on = "example"
title = "Larch Valley's own"
effective_from = 2020-07-01

[[source]]
id = "own"
citation = "Board policy 5113"

[[rule]]
id = "two-warnings"
title = "Two warnings, to whomever"
source = "own"
evidence = "lecture"
threshold = { count = 2 }
window = { kind = "school_year" }
[rule.duty]
kind = "review"
title = "See what else would help"

[[rule]]
id = "eight-days"
title = "8 unexcused days"
source = "own"
count = "unexcused"
threshold = { count = 8 }
window = { kind = "school_year" }
per = "parent"
[rule.duty]
kind = "notify"
title = "Consider a warning"
done_by = ["considered"]
not_after = { evidence = "warning", times = 2, years = 1 }
sign_off = { second_role = "principal" }
"""


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch, overlay=OVERLAY + WARNED)


@pytest.fixture
def maria(scene: Scene) -> Contact:
    return Contact.objects.system(WHY).get()  # type: ignore[no-any-return]


@pytest.fixture
def jon(scene: Scene) -> Contact:
    return a_contact(scene.ana, "Jon")


def did(scene: Scene, kind: str, *to: Contact, about: str = "warned") -> Done:
    key = f"{kind}{Done.objects.system(WHY).count()}"
    whom = [contact.pk for contact in to]
    return record_done(scene.officer, scene.again(), kind, TODAY, TODAY, rule=f"example/{about}", key=key, to=whom)


def position(scene: Scene, rule: str = "warned") -> Position:
    return next(p for p in standing_of(scene.again(), TODAY).positions if p.rule == rule)


def each(scene: Scene, rule: str = "warned") -> dict[int, Status]:
    standing = standing_of(scene.again(), TODAY)
    return dict(standing.of_each[standing.law[-1].pack.sha256, rule])


def on_record(rule: str) -> str:
    return Firing.objects.system(WHY).get(rule=rule, superseded_at=None).status  # type: ignore[no-any-return]


def test_the_duty_is_done_once_every_parent_whose_it_is_has_had_it(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "warning", maria, jon)
    did(scene, "conference", maria)
    assert position(scene).status is Status.DUTY_OPEN
    assert each(scene) == {maria.pk: Status.DUTY_DONE, jon.pk: Status.DUTY_OPEN}
    did(scene, "conference", jon)
    assert position(scene).status is Status.DUTY_DONE
    assert each(scene) == {maria.pk: Status.DUTY_DONE, jon.pk: Status.DUTY_DONE}


def test_what_was_done_today_is_told_before_the_day_is_over(scene: Scene, maria: Contact, jon: Contact) -> None:
    Calendar.objects.update(covered_through=TODAY - timedelta(days=1))
    did(scene, "warning", maria, jon)
    did(scene, "conference", jon)
    assert each(scene) == {maria.pk: Status.DUTY_OPEN, jon.pk: Status.DUTY_DONE}


def test_of_a_parent_who_was_never_warned_nothing_is_waited_for(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "warning", maria)
    assert each(scene)[jon.pk] is Status.CLEAR
    did(scene, "conference", maria)
    assert position(scene).status is Status.DUTY_DONE


def test_what_names_nobody_counts_for_each(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "warning", maria, jon)
    record_done(scene.officer, scene.again(), "conference", TODAY, TODAY, key="with both, as every year")
    assert position(scene).status is Status.DUTY_DONE


def test_one_deed_to_both_is_one_deed_where_the_law_counts_deeds(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "lecture", maria, jon, about="")
    assert position(scene, "two-warnings").count == 1
    assert position(scene, "two-warnings").status is not Status.DUTY_OPEN


def test_night_and_page_say_the_same_and_name_who_has_had_enough(scene: Scene, maria: Contact, jon: Contact) -> None:
    for _ in range(2):
        did(scene, "warning", maria)
    here = position(scene, "eight-days")
    assert (here.status, str(here.why)) == (
        Status.DUTY_OPEN, "Not to Maria Reyes, who has had it as often as the law allows.",
    )  # fmt: skip
    did(scene, "warning", jon)
    did(scene, "warning", jon)
    assert position(scene, "eight-days").status is Status.FORBIDDEN
    assert on_record("eight-days") == Status.FORBIDDEN
    Firing.objects.system(WHY).all().delete()
    look_over()
    assert on_record("eight-days") == Status.FORBIDDEN


def test_who_may_not_be_contacted_is_none_the_law_waits_for(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "warning", maria)
    did(scene, "warning", maria)
    ContactLink.objects.system(WHY).filter(contact=jon).update(no_contact=True)
    look_over()
    assert position(scene, "eight-days").status is Status.FORBIDDEN  # there is nobody else it could be given to
    assert on_record("eight-days") == Status.FORBIDDEN


def test_who_is_no_contact_of_the_student_s_or_may_not_be_contacted_is_not_recorded(
    scene: Scene, maria: Contact
) -> None:
    victor = a_contact(scene.ana, "Victor", no_contact=True)
    stranger = Contact.objects.system(WHY).create(source_id="S", given_name="Sam", family_name="Okoro")
    for somebody in (victor, stranger):
        with pytest.raises(NotRecorded, match="among the family on record"):
            did(scene, "warning", maria, somebody)
    assert not Done.objects.system(WHY).filter(kind="warning").exists()


def test_where_the_law_speaks_of_each_parent_it_is_said_to_whom(scene: Scene, maria: Contact) -> None:
    with pytest.raises(NotRecorded, match="Say to whom"):
        did(scene, "warning")
    Adoption.objects.update(overlay=(OVERLAY + WARNED).replace('title = "Talk', 'may = true\ntitle = "Talk'))
    record_done(
        scene.officer, scene.again(), NOT_ESCALATED, TODAY, TODAY, rule="example/warned", note="a talk", key="stop"
    )
    did(scene, "warning", about="")  # about no rule: as before


def test_whom_the_register_forgets_stays_one_of_the_parents(scene: Scene, maria: Contact, jon: Contact) -> None:
    did(scene, "warning", maria, jon)
    did(scene, "conference", jon)
    jon.delete()
    assert position(scene).status is Status.DUTY_OPEN  # the talk was with Jon, and Maria's is still to come
    did(scene, "conference", maria)
    assert position(scene).status is Status.DUTY_DONE


def test_a_letter_is_on_record_to_whom_it_is_addressed(scene: Scene, maria: Contact, jon: Contact) -> None:
    a_contact(scene.ana, "Victor", no_contact=True)
    letter = deeds.sign(scene.officer, scene.draft(), 0, {"no_contact": "by their own addresses"}, TODAY)
    told = DoneTo.objects.system(WHY).filter(done=letter.done).values_list("contact_id", flat=True)
    assert sorted(told) == sorted([maria.pk, jon.pk])
    assert f"addressed to {maria.pk} {jon.pk}" in letter.evidence.splitlines()


def test_abuse_10_no_second_signature_on_a_letter_to_somebody_who_may_not_be_contacted_by_now(
    scene: Scene, maria: Contact, jon: Contact
) -> None:
    letter = deeds.sign(scene.officer, scene.draft("eight-days"), 0, {}, TODAY)
    assert letter.state == "awaiting"
    ContactLink.objects.system(WHY).filter(contact=jon).update(no_contact=True)
    with pytest.raises(Stopped) as stopped:
        deeds.sign(scene.lead, letter, letter.version, {"no_contact": "I looked."}, TODAY)
    assert [f.code for f in stopped.value.open] == ["addressed"]


def test_the_page_shows_who_has_had_it_and_takes_to_whom_it_was_done(
    scene: Scene, maria: Contact, jon: Contact, client: Client
) -> None:
    a_contact(scene.ana, "Victor", no_contact=True)
    did(scene, "warning", maria, jon)
    client.force_login(scene.officer)
    page = reverse("student_law", args=[scene.ana.pk])
    form = {"kind": "conference", "rule": "example/warned", "on": str(TODAY), "key": "a"}
    refused = client.post(reverse("law_record", args=[scene.ana.pk]), form)
    assert (refused.status_code, "Say to whom" in refused.content.decode()) == (422, True)
    assert client.post(reverse("law_record", args=[scene.ana.pk]), form | {"to": [maria.pk]}).status_code == 302
    with CaptureQueriesContext(connection) as asked:
        words = " ".join(client.get(page).content.decode().split())
    mine = [q for q in asked.captured_queries if q["sql"].startswith(("SELECT", "INSERT", "UPDATE"))]
    assert len(mine) <= 12 + (connection.vendor == "postgresql")
    ladder = words[words.index("Talk with that parent") :]
    assert ladder.index("done:</span> <bdi>Maria Reyes") < ladder.index("next:</span> <bdi>Jon Reyes")
    assert "Victor" not in words
    assert "One person on record may not be contacted." in words
