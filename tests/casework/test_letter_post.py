"""A letter by post: where it goes, who is asked about when there is no address, and what a move or an order undoes."""

from __future__ import annotations

import pytest

from firstbell.casework.letters import deeds
from firstbell.casework.letters.deeds import Stopped
from firstbell.casework.letters.envelopes import envelopes_in
from firstbell.casework.letters.models import Letter
from firstbell.casework.letters.pdf import pdf_of
from firstbell.casework.letters.preflight import check
from firstbell.register.models import Contact
from tests.casework.letters_scene import OVERLAY, TODAY, WHY, Scene, a_contact, set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]
LANE = ("12 Maria Lane", "Larch Valley 00100")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch)


def found(letter: Letter, scene: Scene) -> dict[str, str]:
    """What a look at the letter finds, code by code, in words."""
    letter.student = scene.again()
    return {f.code: f.words for f in check(letter, scene.officer, TODAY).findings}


def moves(name: str, address: str) -> None:
    Contact.objects.system(WHY).filter(given_name=name).update(address=address)


def windows(letter: Letter) -> list[tuple[str, ...]]:
    return [envelope.lines for envelope in envelopes_in(letter.evidence)]


def test_the_address_known_when_it_is_signed_is_sealed_and_stands_on_the_copy_for_it_alone(scene: Scene) -> None:
    letter = scene.draft()
    moves("Maria", "1 Elm Row\nLarch Valley 00100")
    signed = deeds.sign(scene.officer, letter, 0, {}, TODAY)
    (envelope,) = envelopes_in(signed.evidence)
    assert envelope.lines == ("Maria Reyes", "1 Elm Row", "Larch Valley 00100")
    assert "Elm Row" not in signed.text + signed.annex
    assert signed.sha256 == deeds.digest(signed.text, signed.annex, signed.evidence)
    to_post, to_hand_over = pdf_of(signed, envelope), pdf_of(signed)
    assert to_post != to_hand_over
    assert pdf_of(Letter.objects.system(WHY).get(pk=signed.pk), envelope) == to_post, "the same bytes each time"


def test_two_who_live_apart_get_a_copy_each_and_neither_sees_the_other_s_address(scene: Scene) -> None:
    a_contact(scene.ana, "Jon")
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    assert windows(signed) == [("Maria Reyes", *LANE), ("Jon Reyes", "12 Jon Lane", "Larch Valley 00100")]
    assert "To: Maria Reyes, Jon Reyes" in signed.text


def test_who_has_no_address_is_named_and_how_it_is_handed_over_is_on_record(scene: Scene) -> None:
    a_contact(scene.ana, "Jon", address="")
    letter = scene.draft()
    assert found(letter, scene) == {"address": "The register has no postal address a letter can go to for: Jon Reyes."}
    with pytest.raises(Stopped):
        deeds.sign(scene.officer, letter, 0, {}, TODAY)
    signed = deeds.sign(scene.officer, letter, 0, {"address": "I hand it to him at the gate."}, TODAY)
    assert "warning address: I hand it to him at the gate." in signed.evidence
    assert windows(signed) == [("Maria Reyes", *LANE)]


def test_who_can_be_mailed_under_the_law_s_own_words_needs_no_address(scene: Scene) -> None:
    Contact.objects.system(WHY).update(email="maria@example.org", address="")
    assert found(scene.draft(), scene) == {}


def test_where_the_law_does_not_allow_e_mail_an_address_is_missed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    Contact.objects.system(WHY).update(email="maria@example.org", address="")
    assert "address" in found(scene.draft("five-days"), scene)


def test_abuse_10_no_letter_goes_to_the_address_of_somebody_who_may_not_be_contacted(scene: Scene) -> None:
    a_contact(scene.ana, "Victor", no_contact=True, address="12 MARIA LANE, Larch Valley 00100")
    assert {"no_contact", "address"} == found(scene.draft(), scene).keys()
    signed = deeds.sign(scene.officer, scene.draft(), 0, {"no_contact": "By hand.", "address": "By hand."}, TODAY)
    assert windows(signed) == []
    assert "LANE" not in signed.evidence


def test_a_move_before_the_second_signature_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    letter = scene.draft("five-days")
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    letter = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert found(letter, scene) == {}
    moves("Maria", "1 Elm Row")
    with pytest.raises(Stopped) as stopped:
        deeds.sign(scene.lead, letter, letter.version, {}, TODAY)
    assert [f.code for f in stopped.value.open] == ["moved"]


def test_an_address_that_cannot_be_printed_stops_it(scene: Scene) -> None:
    moves("Maria", "12 Larch Lane \u202e")
    assert "an address on record holds characters" in found(scene.draft(), scene)["names"]
