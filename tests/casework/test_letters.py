"""A letter from draft to print: what stops it, what asks for a reason, what is frozen, and what happens when a mark is corrected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from firstbell import clock
from firstbell.access.models import Assignment, AuditEntry, Role, User
from firstbell.casework.done import protect, record_done
from firstbell.casework.firings import look_over
from firstbell.casework.letters import deeds
from firstbell.casework.letters.deeds import Changed, NotWritten, Stopped
from firstbell.casework.letters.facts import duty_of
from firstbell.casework.letters.models import Letter, LetterWord
from firstbell.casework.letters.pdf import pdf_of
from firstbell.casework.letters.preflight import check
from firstbell.casework.models import Adoption, Done, Firing
from firstbell.casework.nightly import law
from firstbell.casework.standing import standing_of
from firstbell.law.clock import Status
from firstbell.register.models import ContactLink
from tests.build import FIRST_MONDAY, a_school, a_student, a_user, at, mark
from tests.casework.letters_scene import OVERLAY, RULE, TODAY, WHY, Scene, a_contact, set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return set_the_scene(monkeypatch)


def found(letter: Letter, scene: Scene, *, reader: object = None, today: object = TODAY) -> dict[str, bool]:
    """What a look at the letter finds: code -> whether it stops."""
    letter.student = scene.again()
    return {f.code: f.stops for f in check(letter, reader or scene.officer, today).findings}  # type: ignore[arg-type]


def written(scene: Scene, letter: Letter, body: str) -> Letter:
    return deeds.edit(scene.officer, letter, letter.version, body, {}, TODAY)


# -- the draft


def test_a_draft_is_our_text_in_the_familys_language_and_is_one_however_often_it_is_asked_for(scene: Scene) -> None:
    a_contact(scene.ana, "Rosa", language="es")
    ContactLink.objects.system(WHY).filter(contact__given_name="Maria").delete()
    letter = scene.draft()
    assert (letter.kind, letter.language, letter.count, len(letter.marks.split())) == ("notify", "es", "10", 10)
    assert scene.draft().pk == letter.pk


def test_nobody_drafts_about_a_step_that_is_locked_or_not_reached(scene: Scene) -> None:
    Done.objects.system(WHY).update(withdrawn_at=clock.now())
    with pytest.raises(NotWritten):
        scene.draft()
    with pytest.raises(NotWritten):
        scene.draft("no-such-rule")


def test_a_sound_draft_has_nothing_in_the_way(scene: Scene) -> None:
    assert found(scene.draft(), scene) == {}


def test_another_language_begins_again_and_keeps_the_draft_before(scene: Scene) -> None:
    letter = written(scene, scene.draft(), "My own words. {days}")
    other = deeds.draft_in(scene.officer, letter, letter.version, "ar")
    before = Letter.objects.system(WHY).get(pk=letter.pk)
    assert (other.language, before.state, before.body) == ("ar", "withdrawn", "My own words. {days}")


# -- what stops it, and what asks for a reason


def test_a_line_a_correction_has_undone_stops_it(scene: Scene) -> None:
    letter = scene.draft()
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    assert found(letter, scene)["stands"] is True


def test_other_days_than_the_drafts_stop_it_until_they_are_read_again(scene: Scene) -> None:
    letter = scene.draft()
    Letter.objects.system(WHY).filter(pk=letter.pk).update(marks=letter.marks.replace("2026-08-31", "2026-08-28"))
    letter.refresh_from_db()
    assert found(letter, scene) == {"days": True}
    again = deeds.read_days_again(scene.officer, letter, letter.version, TODAY)
    assert found(again, scene) == {}


def test_a_day_counted_that_nobody_has_explained_asks_for_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(
        monkeypatch, overlay=OVERLAY.replace('count = "unexcused"', 'count = "absent"'), squares="NNUUU P"
    )
    letter = scene.draft("five-days")
    assert found(letter, scene)["pending"] is False


def test_a_step_locked_since_stops_it(scene: Scene) -> None:
    letter = scene.draft()
    Done.objects.system(WHY).update(withdrawn_at=clock.now())
    assert found(letter, scene) == {"locked": True}


def test_a_student_the_law_protects_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    letter = scene.draft("five-days")
    protect(scene.officer, scene.ana, "homeless", TODAY)
    assert found(letter, scene)["forbidden"] is True


@pytest.mark.parametrize("flag", ["bereaved", "severe_illness", "exemption", "exemption_certificate"])
def test_mourning_illness_or_an_exemption_asks_the_officer_and_stops_who_may_not_know(scene: Scene, flag: str) -> None:
    letter = scene.draft()
    protect(scene.officer, scene.ana, flag, TODAY)
    assert found(letter, scene) == {"care": False}
    assert found(letter, scene, reader=scene.lead) == {"care": True}
    letter.student = scene.again()
    told = " ".join(f.words + f.to_do for f in check(letter, scene.lead, TODAY).findings)
    assert "mourning" not in told
    assert "exempt" not in told
    assert "ill" not in told.replace("still", "")


def test_abuse_10_a_guardian_under_no_contact_is_no_recipient_and_is_named_nowhere(scene: Scene) -> None:
    a_contact(scene.ana, "Victor", no_contact=True)
    letter = scene.draft()
    assert found(letter, scene) == {"no_contact": False}
    signed = deeds.sign(scene.officer, letter, letter.version, {"no_contact": "sent to Maria's own address"}, TODAY)
    assert "To: Maria Reyes" in signed.text
    assert "Victor" not in signed.text + signed.annex + signed.evidence


def test_where_nobody_may_be_contacted_it_stops(scene: Scene) -> None:
    ContactLink.objects.system(WHY).update(no_contact=True)
    assert found(scene.draft(), scene)["no_contact"] is True


def test_a_family_nobody_knows_how_to_reach_asks_for_a_reason(scene: Scene) -> None:
    scene.ana.contacts.system(WHY).filter(links__student=scene.ana).update(phone="", email="", address="")
    assert found(scene.draft(), scene) == {"reach": False}
    ContactLink.objects.system(WHY).all().delete()
    assert found(scene.draft(), scene) == {"nobody": False}


def test_a_letter_in_another_language_than_the_familys_asks_for_a_reason(scene: Scene) -> None:
    letter = scene.draft()
    scene.ana.contacts.system(WHY).filter(links__student=scene.ana).update(language="so")
    assert found(letter, scene) == {"language": False}


def test_a_second_letter_about_the_same_line_asks_why(scene: Scene) -> None:
    first = scene.draft()
    deeds.sign(scene.officer, first, 0, {}, TODAY)
    Done.objects.system(WHY).filter(kind="notice").update(withdrawn_at=clock.now())
    second = scene.draft()
    assert second.pk != first.pk
    assert found(second, scene) == {"again": False}


@pytest.mark.parametrize("overlay", ["", OVERLAY])
def test_what_was_done_since_it_was_drafted_asks_why_there_should_be_a_letter(
    monkeypatch: pytest.MonkeyPatch, overlay: str
) -> None:
    scene = set_the_scene(monkeypatch, overlay=overlay)
    letter = scene.draft()
    record_done(scene.officer, scene.ana, "conference", TODAY, TODAY, key="of another rule")
    assert found(letter, scene) == {}
    record_done(scene.officer, scene.ana, "notice", TODAY, TODAY, note="told at the door", key="by hand")
    assert found(letter, scene) == {"done": False}


def test_before_its_day_a_letter_stops_and_after_its_day_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY, squares="PPPPP UUUUU P", today=TODAY)
    letter = scene.draft("five-days")
    day = letter.firing.fired_on
    assert found(letter, scene, today=day + timedelta(days=1))["not_before"] is True
    assert "not_before" not in found(letter, scene, today=day + timedelta(days=2))
    assert found(letter, scene, today=day + timedelta(days=31))["late"] is False


def test_what_the_rule_asks_to_be_said_is_missed_by_name(scene: Scene) -> None:
    letter = scene.draft()
    bare = written(scene, letter, letter.body.replace("{interpreter}", "").replace("{rule}", ""))
    assert found(bare, scene) == {"contents_interpreter": True, "contents_rule": True}


def test_a_key_we_have_no_words_for_is_a_line_somebody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    letter = scene.draft("five-days")
    assert found(letter, scene)["contents_date_time_and_place"] is True
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3, room 12."}, TODAY)
    assert "contents_date_time_and_place" not in found(letter, scene)
    signed = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert "Monday at 3, room 12." in signed.text


def test_a_duty_before_the_help_is_put_right(scene: Scene) -> None:
    letter = scene.draft()
    turned = written(scene, letter, letter.body.replace("{help}", "").replace("{rule}", "{rule}\n\n{help}"))
    assert found(turned, scene) == {"contents_help_first": True}


def test_a_text_too_hard_to_read_asks_for_a_reason(scene: Scene) -> None:
    letter = scene.draft()
    hard = (
        "Pursuant to the aforementioned statutory provisions continued noncompliance necessitates administrative intervention "
        * 4
    )
    assert found(written(scene, letter, f"{hard}.\n\n{letter.body}"), scene) == {"grade": False}


def test_abuse_34_a_text_that_wants_to_be_evaluated_is_refused(scene: Scene) -> None:
    letter = scene.draft()
    bad = written(scene, letter, letter.body + "\n\n{{7*7}} {password}")
    assert found(bad, scene) == {"text_unknown_0": True, "text_braces_1": True}
    with pytest.raises(Stopped):
        deeds.sign(scene.officer, bad, bad.version, {"text_braces_1": "please"}, TODAY)


def test_abuse_55_another_childs_name_or_number_stops_it(scene: Scene) -> None:
    ben = a_student(scene.school, "Ben", family="Okoro")
    letter = scene.draft()
    body = letter.body
    letter = written(scene, letter, body + "\n\nLike  ben OKORO.")
    assert found(letter, scene) == {"others": True}
    letter = written(scene, letter, f"{body}\n\nSee {ben.number}.")
    assert found(letter, scene) == {"others": True}
    assert found(written(scene, letter, body + "\n\nBen is a name, too."), scene).get("others") is None


def test_without_fonts_an_arabic_letter_stops_and_is_not_set_wrong(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    letter = scene.draft()
    letter = deeds.draft_in(scene.officer, letter, letter.version, "ar")
    assert found(letter, scene) == {"language": False}
    monkeypatch.setattr("firstbell.casework.letters.pdf.FONTS", tmp_path)
    assert found(letter, scene)["fonts"] is True


# -- signing


def test_signing_freezes_text_annex_and_evidence_and_puts_it_on_record(scene: Scene) -> None:
    letter = scene.draft()
    signed = deeds.sign(scene.officer, letter, 0, {}, TODAY)
    assert signed.state == "signed"
    assert "Ana Reyes" in signed.text
    assert "Monday, August 31, 2026 — away, no excuse" in signed.text
    assert "A student absent without excuse on ten full days" in signed.annex
    assert "Counted: 10 days" in signed.annex
    assert "day 2026-08-31 mark U" in signed.evidence
    assert f"sha256 {signed.firing.pack_sha256}" in signed.evidence
    assert signed.sha256 == deeds.digest(signed.text, signed.annex, signed.evidence)
    assert (signed.done.kind, signed.done.rule, signed.done.on) == ("notice", f"example/{RULE}", TODAY)
    position = next(p for p in standing_of(scene.again(), TODAY).positions if p.rule == RULE)
    assert position.status is Status.DUTY_DONE
    assert AuditEntry.objects.filter(action="signed_letter", detail__contains=signed.sha256).count() == 1


def test_a_window_that_has_gone_on_since_the_line_was_reached_is_not_given_as_that_of_its_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five of five days, reached on the first Friday; by the second Friday other days count together."""
    rolling = OVERLAY.replace('kind = "school_year"', 'kind = "rolling_school_days", length = 5').replace(
        "not_before = 2", "not_before = 0"
    )
    scene = set_the_scene(monkeypatch, overlay=rolling.replace(', "date_time_and_place"', ""), squares="UUUUU UUUUU UU")
    signed = deeds.sign(scene.officer, scene.draft("five-days"), 0, {}, TODAY)
    assert "Friday, September 4, 2026" in signed.annex
    assert "Days that count together" not in signed.annex


def test_signed_twice_it_is_signed_once(scene: Scene) -> None:
    letter = scene.draft()
    first = deeds.sign(scene.officer, letter, 0, {}, TODAY)
    again = deeds.sign(scene.officer, letter, 0, {}, TODAY)
    assert (again.sha256, again.signed_at) == (first.sha256, first.signed_at)
    assert Done.objects.system(WHY).filter(kind="notice").count() == 1


def test_a_mark_corrected_between_the_look_and_the_signature_stops_it(scene: Scene) -> None:
    letter = scene.draft()
    assert found(letter, scene) == {}
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    with pytest.raises(Stopped) as stopped:
        deeds.sign(scene.officer, letter, 0, {}, TODAY)
    assert [f.code for f in stopped.value.open] == ["stands"]
    assert Letter.objects.system(WHY).get(pk=letter.pk).state == "draft"
    assert not Done.objects.system(WHY).filter(kind="notice").exists()


def test_a_warning_is_signed_over_only_with_a_reason_which_is_kept(scene: Scene) -> None:
    letter = scene.draft()
    protect(scene.officer, scene.ana, "bereaved", TODAY)
    with pytest.raises(Stopped):
        deeds.sign(scene.officer, letter, 0, {"care": "  "}, TODAY)
    signed = deeds.sign(scene.officer, letter, 0, {"care": "The mother asked for it in writing."}, TODAY)
    kept = LetterWord.objects.system(WHY).get(letter=signed, about="warning")
    assert (kept.key, kept.words) == ("care", "The mother asked for it in writing.")
    assert "mother asked" not in signed.evidence, "what protects a student is told to officers only"


def test_a_stale_version_is_a_conflict_that_overwrites_nothing(scene: Scene) -> None:
    letter = scene.draft()
    written(scene, letter, letter.body + "\n\nTheirs.")
    with pytest.raises(Changed) as changed:
        deeds.edit(scene.officer, letter, 0, letter.body + "\n\nMine.", {}, TODAY)
    assert changed.value.letter.body.endswith("Theirs.")
    with pytest.raises(Changed):
        deeds.sign(scene.officer, letter, 0, {}, TODAY)


def test_two_sign_where_the_rule_asks_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY)
    letter = scene.draft("five-days")
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    letter = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert (letter.state, letter.done) == ("awaiting", None)
    with pytest.raises(NotWritten):
        deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    text = letter.text
    letter = deeds.sign(scene.lead, letter, letter.version, {}, TODAY)
    assert (letter.state, letter.second_by, letter.text) == ("signed", scene.lead, text)
    assert (letter.signed_as, letter.second_as) == ("officer", "school_lead")
    assert letter.done.kind == "notice", "an invitation is no meeting held"


def an_invitation(monkeypatch: pytest.MonkeyPatch, sign_off: str) -> tuple[Scene, Letter]:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY.replace('{ second_role = "principal" }', sign_off))
    letter = scene.draft("five-days")
    return scene, deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)


def test_the_two_whom_the_rule_names_sign_in_either_order(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ second_role = "principal" }')
    letter = deeds.sign(scene.lead, letter, letter.version, {}, TODAY)
    assert (letter.state, letter.signed_as) == ("awaiting", "school_lead")
    assert deeds.still_to_sign(letter, duty_of(letter, TODAY)) == ["attendance officer"]
    with pytest.raises(NotWritten, match="Still to sign: attendance officer"):
        deeds.sign(a_user(Role.SCHOOL_LEAD, scene.school), letter, letter.version, {}, TODAY)
    letter = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert (letter.state, letter.second_as) == ("signed", "officer")


def test_two_officers_are_no_officer_and_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ second_role = "Principal" }')
    letter = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    with pytest.raises(NotWritten, match="Still to sign: Principal"):
        deeds.sign(a_user(Role.OFFICER, scene.school), letter, letter.version, {}, TODAY)
    assert Letter.objects.system(WHY).get(pk=letter.pk).state == "awaiting"


@pytest.mark.parametrize(
    ("office", "signer", "other"), [("principal", "lead", "officer"), ("attendance officer", "officer", "lead")]
)
def test_one_signs_whom_the_rule_names(monkeypatch: pytest.MonkeyPatch, office: str, signer: str, other: str) -> None:
    scene, letter = an_invitation(monkeypatch, f'{{ role = "{office}" }}')
    with pytest.raises(NotWritten, match=f"Still to sign: {office}"):
        deeds.sign(getattr(scene, other), letter, letter.version, {}, TODAY)
    assert deeds.sign(getattr(scene, signer), letter, letter.version, {}, TODAY).state == "signed"


def test_for_an_office_that_is_no_role_only_who_holds_it_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ second_role = "superintendent" }')
    letter = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    for nobody in (scene.lead, a_user(Role.OFFICER, None), a_user(Role.SCHOOL_LEAD, None)):
        with pytest.raises(NotWritten, match="Still to sign: superintendent"):
            deeds.sign(nobody, letter, letter.version, {}, TODAY)
    letter = deeds.sign(a_user(Role.SCHOOL_LEAD, None, office="Superintendent"), letter, letter.version, {}, TODAY)
    assert (letter.state, letter.signed_as, letter.second_as) == ("signed", "officer", "superintendent")
    assert pdf_of(letter).startswith(b"%PDF")


def test_who_holds_an_office_signs_for_it_and_not_for_their_role_s(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ role = "superintendent", second_role = "principal" }')
    ines = a_user(Role.SCHOOL_LEAD, None, office="superintendent")
    letter = deeds.sign(ines, letter, letter.version, {}, TODAY)
    assert deeds.still_to_sign(letter, duty_of(letter, TODAY)) == ["principal"]
    with pytest.raises(NotWritten, match="another person"):
        deeds.sign(ines, letter, letter.version, {}, TODAY)
    with pytest.raises(NotWritten, match="Still to sign: principal"):
        deeds.sign(a_user(Role.SCHOOL_LEAD, None, office="superintendent"), letter, letter.version, {}, TODAY)
    assert deeds.sign(scene.lead, letter, letter.version, {}, TODAY).state == "signed"


def test_what_somebody_is_at_another_school_signs_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ role = "principal" }')
    other = a_school("Birch Primary")
    Assignment.objects.create(user=scene.officer, role=Role.SCHOOL_LEAD, school=other, starts=FIRST_MONDAY)
    with pytest.raises(NotWritten, match="Still to sign: principal"):
        deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    Assignment.objects.create(user=scene.officer, role=Role.SCHOOL_LEAD, school=scene.school, starts=FIRST_MONDAY)
    again = User.objects.get(pk=scene.officer.pk)
    assert deeds.sign(again, letter, letter.version, {}, TODAY).state == "signed"


def test_a_first_signature_the_rule_no_longer_asks_for_is_completed_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, letter = an_invitation(monkeypatch, '{ second_role = "principal" }')
    letter = deeds.sign(scene.lead, letter, letter.version, {}, TODAY)
    Adoption.objects.update(overlay=OVERLAY.replace('"principal"', '"superintendent"'))
    with pytest.raises(NotWritten, match="Withdraw the letter, and write it again"):
        deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert Letter.objects.system(WHY).get(pk=letter.pk).state == "awaiting"


def test_a_correction_before_the_second_signature_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = set_the_scene(monkeypatch, overlay=OVERLAY, squares="UUUUU PPPPP P")
    letter = scene.draft("five-days")
    letter = deeds.edit(scene.officer, letter, 0, letter.body, {"date_time_and_place": "Monday at 3."}, TODAY)
    letter = deeds.sign(scene.officer, letter, letter.version, {"late": "x"}, TODAY)
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    with pytest.raises(Stopped):
        deeds.sign(scene.lead, letter, letter.version, {}, TODAY)


@pytest.mark.parametrize("column", ["text", "annex", "evidence", "sha256", "body", "marks", "language"])
def test_the_database_refuses_to_change_what_was_signed(scene: Scene, column: str) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    with pytest.raises(DatabaseError), transaction.atomic():
        Letter.objects.system(WHY).filter(pk=signed.pk).update(**{column: "other"})
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE casework_letter SET state = 'draft' WHERE id = %s", [signed.pk])
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM casework_letter WHERE id = %s", [signed.pk])
    assert Letter.objects.system(WHY).get(pk=signed.pk).text == signed.text


def test_a_letter_withdrawn_keeps_its_reason_and_opens_the_step_again(scene: Scene) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    with pytest.raises(NotWritten):
        deeds.withdraw(scene.officer, signed, " ")
    gone = deeds.withdraw(scene.officer, signed, "The family had called.")
    assert (gone.state, gone.withdrawn_why, gone.text) == ("withdrawn", "The family had called.", signed.text)
    position = next(p for p in standing_of(scene.again(), TODAY).positions if p.rule == RULE)
    assert position.status is Status.DUTY_OPEN


# -- print


@pytest.mark.parametrize("language", ["en", "es", "ar"])
def test_a_signed_letter_prints_the_same_bytes_each_time(scene: Scene, language: str) -> None:
    letter = scene.draft()
    if language != "en":
        letter = deeds.draft_in(scene.officer, letter, letter.version, language)
    signed = deeds.sign(scene.officer, letter, letter.version, {"language": "read with an interpreter"}, TODAY)
    first = pdf_of(signed)
    assert first.startswith(b"%PDF-")
    assert pdf_of(Letter.objects.system(WHY).get(pk=signed.pk)) == first
    assert b"/Count 2" in first, "the annex is on a page of its own"


def test_a_text_that_looks_like_typst_is_printed_as_it_is_written(scene: Scene) -> None:
    letter = scene.draft()
    odd = '#panic(1) $x$ *a* `b` @c <d> \\ #read("/etc/passwd") = e'
    letter = written(scene, letter, f"{letter.body}\n\n{odd}")
    signed = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    assert odd in signed.text
    assert pdf_of(signed).startswith(b"%PDF-")


def test_a_draft_is_not_printed(scene: Scene) -> None:
    with pytest.raises(ValueError):
        pdf_of(scene.draft())


# -- when a mark is corrected afterwards


def test_a_late_note_undoes_the_letter_and_the_night_drafts_one_apology(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    law("")
    assert not Letter.objects.system(WHY).filter(kind="correction").exists()
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    law("")
    law("")
    apology = (
        Letter.objects.system(WHY)
        .select_related("firing__school", "student", "correction_of", "signed_by")
        .get(kind="correction")
    )
    assert (apology.correction_of_id, apology.state, apology.drafted_by) == (signed.pk, "draft", None)
    assert found(apology, scene) == {}
    assert deeds.apologise(Letter.objects.system(WHY).get(pk=signed.pk), scene.officer).pk == apology.pk
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 20, 15, tzinfo=UTC))
    sent = deeds.sign(scene.officer, apology, 0, {}, TODAY)
    assert "We wrote to you on Tuesday, September 15, 2026." in sent.text
    assert (sent.annex, sent.done.kind) == ("", "correction")
    assert Done.objects.system(WHY).get(kind="notice").withdrawn_at is not None, "taken back, it counts no more"
    assert Letter.objects.system(WHY).get(pk=signed.pk).text == signed.text


def test_a_letter_that_holds_is_not_apologised_for(scene: Scene) -> None:
    signed = deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    with pytest.raises(NotWritten):
        deeds.apologise(signed, scene.officer)


def test_an_apology_stops_where_the_line_is_reached_again(scene: Scene) -> None:
    deeds.sign(scene.officer, scene.draft(), 0, {}, TODAY)
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "E", recorded=at(TODAY, 16))
    law("")
    mark(scene.calendar, scene.ana, FIRST_MONDAY, "U", recorded=at(TODAY, 17))
    look_over()
    assert Firing.objects.system(WHY).filter(rule=RULE, superseded_at=None).count() == 1
    apology = Letter.objects.system(WHY).select_related("firing__school", "student").get(kind="correction")
    assert found(apology, scene) == {"stands": True}


def test_help_recorded_later_is_asked_of_the_register_not_of_the_draft(scene: Scene) -> None:
    record_done(scene.officer, scene.ana, "contact", TODAY, TODAY, key="call")
    assert found(scene.draft(), scene) == {}
