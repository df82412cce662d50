"""Letters on the desk: nothing typed is lost, two who write see both texts, and a stranger gets nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from firstbell.access.models import AuditEntry, Role, User
from firstbell.casework.done import protect
from firstbell.casework.letters import deeds
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Firing
from firstbell.outreach.models import Message
from firstbell.register.models import Contact, ContactLink
from tests.build import FIRST_MONDAY, a_school, a_section, a_teacher, a_user, at, mark
from tests.casework.letters_scene import OVERLAY, RULE, TODAY, WHY, Scene, a_contact, set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch)


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def in_words(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", "", page).split())


def test_the_ladder_offers_the_letter_and_pressing_twice_makes_one(scene: Scene) -> None:
    client = as_(scene.officer)
    page = client.get(f"/student/{scene.ana.pk}/law/").content.decode()
    assert "Draft the letter" in page
    for _ in range(2):
        answer = client.post(f"/student/{scene.ana.pk}/letters/", {"rule": RULE})
        assert answer.status_code == 302
    letter = Letter.objects.system(WHY).get()
    page = client.get(f"/letter/{letter.pk}/").content.decode()
    assert "{days}" in page, "the text as it is written"
    assert "Monday, August 31, 2026" in page, "and as the family reads it"
    assert "Reads like grade" in page


def test_a_stale_save_shows_both_texts_and_overwrites_nothing(scene: Scene) -> None:
    letter = scene.draft()
    as_(scene.lead).post(f"/letter/{letter.pk}/save/", {"version": 0, "body": letter.body + "\n\nThe lead’s words."})
    answer = as_(scene.officer).post(
        f"/letter/{letter.pk}/save/", {"version": 0, "body": letter.body + "\n\nThe officer’s words."}
    )
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "The lead’s words." in page
    assert "The officer’s words." in page
    assert 'name="version" value="1"' in page, "the next save is over theirs, knowingly"
    assert Letter.objects.system(WHY).get().body.endswith("The lead’s words.")


def test_an_empty_text_is_told_and_nothing_is_lost(scene: Scene) -> None:
    letter = scene.draft()
    answer = as_(scene.officer).post(f"/letter/{letter.pk}/save/", {"version": 0, "body": "x" * 9000})
    assert answer.status_code == 422
    assert "x" * 9000 in answer.content.decode()


def test_signing_needs_tick_and_reason_and_keeps_what_was_written(scene: Scene) -> None:
    a_contact(scene.ana, "Victor", no_contact=True)
    letter, client = scene.draft(), as_(scene.officer)
    page = client.get(f"/letter/{letter.pk}/check/").content.decode()
    assert "may not be contacted" in page
    assert "Victor" not in page
    answer = client.post(f"/letter/{letter.pk}/sign/", {"version": 0, "reason_no_contact": "By hand."})
    assert answer.status_code == 422
    assert "By hand." in answer.content.decode()
    answer = client.post(
        f"/letter/{letter.pk}/sign/", {"version": 0, "reason_no_contact": "By hand.", "tick_no_contact": "1"}
    )
    assert answer.status_code == 302
    page = client.get(f"/letter/{letter.pk}/").content.decode()
    assert "By hand." in page
    assert "Open to print" in page
    assert "Victor" not in page


def test_the_page_says_whose_signature_is_missing_and_keeps_what_another_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    a_contact(scene.ana, "Victor", no_contact=True)
    letter = scene.draft("five-days")
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    page = as_(scene.officer).get(f"/letter/{letter.pk}/check/").content.decode()
    assert "Still to sign: attendance officer (Olive Fairley), principal (Olive Fairley)." in in_words(page)
    letter = deeds.sign(scene.officer, letter, letter.version, {"no_contact": "By hand."}, TODAY)
    another = as_(a_user(Role.OFFICER, scene.school))
    page = another.get(f"/letter/{letter.pk}/check/").content.decode()
    assert "Still to sign: principal (Olive Fairley)." in in_words(page)
    assert "This signature is not yours to give." in page
    assert f'action="/letter/{letter.pk}/sign/"' in page
    assert '<button class="button main">' not in page
    answer = another.post(f"/letter/{letter.pk}/sign/", {"version": letter.version})
    assert answer.status_code == 422
    assert "Your signature is not the one this rule asks for." in answer.content.decode()
    assert "Still to sign: principal (Olive Fairley)." in in_words(
        another.get(f"/letter/{letter.pk}/").content.decode()
    )
    as_(scene.lead).post(f"/letter/{letter.pk}/sign/", {"version": letter.version})
    assert Letter.objects.system(WHY).get(pk=letter.pk).state == "signed"


def test_the_page_says_who_holds_the_office_that_must_sign_yet_and_when_nobody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY.replace('"principal"', '"superintendent"'))
    letter = scene.draft("five-days")
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    nobody = "Nobody holds the office of superintendent here: steps that need it wait."
    a_user(Role.SCHOOL_LEAD, a_school("Birch Primary"), office="superintendent")
    a_user(Role.SCHOOL_LEAD, None, office="superintendent", starts=TODAY + timedelta(days=1))
    officer = as_(scene.officer)
    assert nobody in in_words(officer.get(f"/letter/{letter.pk}/check/").content.decode())
    officer.post(f"/letter/{letter.pk}/sign/", {"version": letter.version})
    assert nobody in in_words(officer.get(f"/letter/{letter.pk}/").content.decode())
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    page = in_words(officer.get(f"/letter/{letter.pk}/").content.decode())
    assert "Still to sign: superintendent (Olive Fairley)." in page
    assert nobody not in page
    letter.refresh_from_db()
    as_(ines).post(f"/letter/{letter.pk}/sign/", {"version": letter.version})
    page = in_words(officer.get(f"/letter/{letter.pk}/").content.decode())
    assert "Second signature: Olive Fairley, superintendent, on" in page


def test_the_print_is_a_pdf_by_number_audited_and_only_of_what_is_signed(scene: Scene) -> None:
    letter, client = scene.draft(), as_(scene.officer)
    assert client.get(f"/letter/{letter.pk}/pdf/").status_code == 404
    client.post(f"/letter/{letter.pk}/sign/", {"version": 0})
    answer = client.get(f"/letter/{letter.pk}/pdf/")
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'inline; filename="letter-L{letter.pk:06d}.pdf"'
    assert answer.content == client.get(f"/letter/{letter.pk}/pdf/").content
    assert AuditEntry.objects.filter(action="printed_letter", subject=f"student:{scene.ana.pk}").count() == 2
    assert "Reyes" not in "".join(AuditEntry.objects.values_list("detail", flat=True))


def test_each_address_has_a_copy_of_its_own_to_print_and_one_without_is_there_to_hand_over(scene: Scene) -> None:
    jon = a_contact(scene.ana, "Jon")
    letter, client = scene.draft(), as_(scene.officer)
    assert "12 Maria Lane" in client.get(f"/letter/{letter.pk}/check/").content.decode()
    client.post(f"/letter/{letter.pk}/sign/", {"version": 0})
    page, pdf = f"/letter/{letter.pk}/", f"/letter/{letter.pk}/pdf/"
    text = client.get(page).content.decode()
    for words in ("12 Maria Lane", "12 Jon Lane", "Print for Jon Reyes (PDF)", "Without an address, to hand over"):
        assert words in text
    for_jon = client.get(f"{pdf}?to={jon.pk}")
    assert for_jon.status_code == 200
    assert AuditEntry.objects.get(action="printed_letter").detail == f"letter:{letter.pk} to contact:{jon.pk}"
    assert client.get(pdf).content != for_jon.content
    for wrong in ("x", "0", str(jon.pk + 1)):
        assert client.get(f"{pdf}?to={wrong}").status_code == 404


def test_nobody_signs_for_an_address_they_have_not_seen(scene: Scene) -> None:
    letter, client = scene.draft(), as_(scene.officer)

    def sign() -> int:
        posted = re.search(r'name="posted" value="(\w+)"', page)
        assert posted is not None
        return client.post(f"/letter/{letter.pk}/sign/", {"version": 0, "posted": posted[1]}).status_code

    page = client.get(f"/letter/{letter.pk}/check/").content.decode()
    Contact.objects.system(WHY).update(address="1 Elm Row")
    assert sign() == 409
    assert Letter.objects.system(WHY).get().state == "draft"
    page = client.get(f"/letter/{letter.pk}/check/").content.decode()
    assert "1 Elm Row" in page
    assert sign() == 302
    assert Letter.objects.system(WHY).get().state == "signed"


def test_a_teacher_sees_no_home_address(scene: Scene) -> None:
    teacher = a_teacher(scene.school, a_section(scene.calendar, scene.ana))
    page = as_(teacher).get(f"/student/{scene.ana.pk}/").content.decode()
    assert "Maria Reyes" in page
    assert "Maria Lane" not in page
    assert "Maria Lane" in as_(scene.officer).get(f"/student/{scene.ana.pk}/").content.decode()


def test_who_has_moved_since_gets_no_copy_at_the_old_address_and_the_page_says_so(scene: Scene) -> None:
    signed, client = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY), as_(scene.officer)
    maria = Contact.objects.system(WHY).get()
    Contact.objects.system(WHY).update(address="1 Elm Row")
    assert client.get(f"/letter/{signed.pk}/pdf/?to={maria.pk}").status_code == 404
    text = client.get(f"/letter/{signed.pk}/").content.decode()
    assert "has changed on record" in text
    assert "?to=" not in text


def test_abuse_10_a_guardian_s_address_is_on_no_page_once_they_may_not_be_contacted(scene: Scene) -> None:
    jon = a_contact(scene.ana, "Jon")
    signed, client = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY), as_(scene.officer)
    student = f"/student/{scene.ana.pk}/"
    pages = (f"/letter/{signed.pk}/", student)
    assert all("12 Jon Lane" in client.get(page).content.decode() for page in pages)
    ContactLink.objects.system(WHY).filter(contact=jon).update(no_contact=True)
    assert not any("12 Jon Lane" in client.get(page).content.decode() for page in pages)
    assert client.get(f"/letter/{signed.pk}/pdf/?to={jon.pk}").status_code == 404
    assert client.get(f"/letter/{signed.pk}/pdf/?to={scene.ana.contacts.system(WHY).get(given_name='Maria').pk}").status_code == 200  # fmt: skip


def test_a_signed_letter_is_sent_from_its_page_once_and_the_ladder_says_what_became_of_it(scene: Scene) -> None:
    Contact.objects.system(WHY).update(email="maria@example.org")
    signed, client = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY), as_(scene.officer)
    page, law = f"/letter/{signed.pk}/", f"/student/{scene.ana.pk}/law/"
    text = client.get(page).content.decode()
    assert "Send it by e-mail" in text
    assert "Maria Reyes" in text
    for _ in range(2):
        assert client.post(f"{page}send/").status_code == 302
    assert Message.objects.count() == 1
    with CaptureQueriesContext(connection) as asked:
        text = client.get(page).content.decode()
    assert len([q for q in asked.captured_queries if q["sql"].startswith(("SELECT", "INSERT", "UPDATE"))]) <= 12 + (
        connection.vendor == "postgresql"
    )
    assert "waits in the outbox" in text
    assert "15 September 2026, 17:00" in text or "Sept. 15, 2026, 5 p.m." in text, (
        "by the school's clock, not the server's"
    )
    assert "Send it by e-mail" not in text
    assert client.get(law).content.decode().count("waits in the outbox") == 2, "on the rung, and among the letters"
    assert client.post(f"{page}recall/").status_code == 302
    assert "recalled before it was sent" in client.get(page).content.decode()
    stranger = as_(a_user(Role.OFFICER, a_school("Birch Primary")))
    assert stranger.post(f"{page}send/").status_code == 404
    assert stranger.post(f"{page}recall/").status_code == 404


@pytest.mark.parametrize("path", ["", "pdf/", "check/"])
def test_abuse_2_a_foreign_letter_is_a_404_and_on_the_audit(scene: Scene, path: str) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    stranger = a_user(Role.OFFICER, a_school("Birch Primary"))
    assert as_(stranger).get(f"/letter/{signed.pk}/{path}").status_code == 404
    assert AuditEntry.objects.filter(
        actor=f"user:{stranger.pk}", action="refused", subject=f"letter:{signed.pk}"
    ).exists()
    assert as_(stranger).post(f"/letter/{signed.pk}/withdraw/", {"why": "x"}).status_code == 404


def test_a_lead_is_told_to_ask_and_not_what_protects(scene: Scene) -> None:
    protect(scene.officer, scene.ana, "bereaved", TODAY)
    letter = scene.draft()
    assert "in mourning" in as_(scene.officer).get(f"/letter/{letter.pk}/check/").content.decode()
    page = as_(scene.lead).get(f"/letter/{letter.pk}/check/").content.decode()
    assert "in mourning" not in page
    assert "asks for care" in page
    answer = as_(scene.lead).post(f"/letter/{letter.pk}/sign/", {"version": 0, "tick_care": "1", "reason_care": "x"})
    assert answer.status_code == 422
    as_(scene.officer).post(
        f"/letter/{letter.pk}/sign/", {"version": 0, "tick_care": "1", "reason_care": "The mother asked."}
    )
    assert "The mother asked." in as_(scene.officer).get(f"/letter/{letter.pk}/").content.decode()
    assert "The mother asked." not in as_(scene.lead).get(f"/letter/{letter.pk}/").content.decode()


def test_an_undone_letter_says_so_and_offers_the_apology_once(scene: Scene) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    from firstbell.casework.firings import look_over

    look_over()
    client = as_(scene.officer)
    for page in (f"/letter/{signed.pk}/", f"/student/{scene.ana.pk}/law/"):
        assert "Draft the apology" in client.get(page).content.decode()
    for _ in range(2):
        client.post(f"/letter/{signed.pk}/apologise/")
    apology = Letter.objects.system(WHY).get(kind="correction")
    for page in (f"/letter/{signed.pk}/", f"/student/{scene.ana.pk}/law/"):
        assert "Draft the apology" not in client.get(page).content.decode()
    assert signed.number in client.get(f"/letter/{apology.pk}/").content.decode()


def test_saving_or_signing_what_is_signed_changes_nothing(scene: Scene) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    client = as_(scene.lead)
    client.post(f"/letter/{signed.pk}/save/", {"version": 1, "body": "other"})
    client.post(f"/letter/{signed.pk}/save/", {"version": 1, "body": signed.body, "said_place": "other"})
    client.post(f"/letter/{signed.pk}/sign/", {"version": 1})
    now = Letter.objects.system(WHY).get()
    assert (now.text, now.body, now.signed_by_id) == (signed.text, signed.body, scene.officer.pk)
    assert client.get(f"/letter/{signed.pk}/check/").status_code == 302


def test_a_letter_withdrawn_without_a_reason_stays(scene: Scene) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    assert as_(scene.officer).post(f"/letter/{signed.pk}/withdraw/", {"why": ""}).status_code == 422
    assert as_(scene.officer).post(f"/letter/{signed.pk}/withdraw/", {"why": "Called."}).status_code == 302
    assert "Called." in as_(scene.officer).get(f"/letter/{signed.pk}/").content.decode()
    assert as_(scene.officer).get(f"/letter/{signed.pk}/pdf/").status_code == 404


def test_a_script_in_a_letter_is_text(scene: Scene) -> None:
    letter = scene.draft()
    letter = deeds.edit(scene.officer, letter, 0, letter.body + "\n\n<script>alert(1)</script>", {}, TODAY)
    for path in ("", "check/"):
        page = as_(scene.officer).get(f"/letter/{letter.pk}/{path}").content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_a_letter_whose_only_contact_may_not_be_contacted_cannot_be_signed(scene: Scene) -> None:
    ContactLink.objects.system(WHY).update(no_contact=True)
    letter = scene.draft()
    answer = as_(scene.officer).post(
        f"/letter/{letter.pk}/sign/", {"version": 0, "tick_no_contact": "1", "reason_no_contact": "x"}
    )
    assert answer.status_code == 422
    assert Letter.objects.system(WHY).get().state == "draft"
    assert Firing.objects.system(WHY).filter(rule=RULE).exists()


def test_each_page_of_casework_asks_no_more_than_twelve_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rules, one letter signed and one waiting for its second signature, two contacts, a protection; PostgreSQL's audit takes its turn too."""
    scene = set_the_scene(monkeypatch, overlay=OVERLAY.replace("not_before = 2", "not_before = 0"))
    a_contact(scene.ana, "Victor", no_contact=True)
    protect(scene.officer, scene.ana, "bereaved", TODAY)
    why = {"no_contact": "By hand.", "care": "The mother asked."}
    signed = deeds.sign(scene.officer, scene.draft(), 0, why, TODAY)
    draft = scene.draft("five-days")
    draft = deeds.edit(scene.officer, draft, 0, draft.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    client = as_(scene.officer)
    client.get("/me/")  # a session's first page also notes when it began

    def within_the_bar(path: str) -> None:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(path).status_code == 200
        said = [
            q["sql"]
            for q in asked.captured_queries
            if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))
        ]
        bar = 12 + (connection.vendor == "postgresql")
        assert len(said) <= bar, f"{path} asks {len(said)} times:\n" + "\n".join(said)

    law, of_draft = f"/student/{scene.ana.pk}/law/", f"/letter/{draft.pk}/"
    for path in (
        law,
        f"{law}lines/",
        "/steps/",
        f"/letter/{signed.pk}/",
        f"/letter/{signed.pk}/pdf/",
        of_draft,
        f"{of_draft}check/",
    ):
        within_the_bar(path)
    deeds.sign(scene.officer, draft, draft.version, why, TODAY)
    for path in (of_draft, f"{of_draft}check/"):
        within_the_bar(path)
