"""A letter on the desk: drafted, looked at again, signed, printed, withdrawn, apologised for. The rules are casework's."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from firstbell.access import audit, policy
from firstbell.access.models import Assignment
from firstbell.access.policy import Deed, allow
from firstbell.casework.letters import deeds
from firstbell.casework.letters.checklist import for_others, written_keys
from firstbell.casework.letters.deeds import Changed, NotWritten, Stopped
from firstbell.casework.letters.envelopes import copies_of, shown
from firstbell.casework.letters.facts import Family, family_of, rule_of
from firstbell.casework.letters.models import Delivery, Letter, LetterWord
from firstbell.casework.letters.pdf import pdf_of
from firstbell.casework.letters.preflight import Checked, check, look
from firstbell.casework.letters.sending import STATES, NotSent, post_of, put_in_outbox, recall
from firstbell.casework.letters.wording import FACTS, LANGUAGES, paragraphs, words
from firstbell.casework.signatures import could_sign, holders, office_word, read_back, signs_as
from firstbell.casework.standing import today_of
from firstbell.law.packs import Duty
from firstbell.law.sentences import number
from firstbell.register.models import Contact

FIELDS = ("firing__school", "correction_of", "signed_by", "second_by", "withdrawn_by", "drafted_by", "done")


def _letter(request: HttpRequest, pk: int) -> Letter:
    """Somebody else's is a 404, and on the audit, whether it exists or not."""
    mine = Letter.objects.for_user(request.user).select_related(*FIELDS)
    mine = mine.annotate(could_sign=could_sign(policy.today(request.user)))
    letter: Letter = policy.get_owned(request.user, mine, pk, "letter")
    letter.student = policy.get_student(request.user, letter.student_id, Deed.SEE_LAW)
    return letter


def _could_sign(letter: Letter) -> list[Assignment]:
    """Everybody who could, of a letter as `_letter` gave it."""
    return read_back(letter.could_sign)  # type: ignore[attr-defined]


def _version(request: HttpRequest) -> int:
    text = request.POST.get("version", "")
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _draft_page(
    request: HttpRequest, letter: Letter, *, error: str = "", typed: str | None = None, said: dict[str, str] | None = None,
    theirs: Letter | None = None, status: int = 200,
) -> HttpResponse:  # fmt: skip
    """The draft, as it would read with what was typed. `theirs`: what somebody else saved meanwhile."""
    today = today_of(letter.student)
    if typed is not None:
        letter.body = typed
    seen = look(letter, request.user, today, said)
    changes = []
    if theirs is not None and typed is not None:
        changes = [
            line for line in difflib.ndiff(theirs.body.splitlines(), typed.splitlines()) if line[:1] in "-+" and line[2:].strip()
        ]  # fmt: skip
    return render(
        request, "desk/letter.html",
        {
            "letter": letter, "seen": seen, "paragraphs": paragraphs(seen.text), "headings": words(letter.language),
            "also": [seen.written[k] for k in written_keys(seen.duty) if seen.written.get(k)],
            "asked": [item for item in seen.items if not item.placeholder and item.key != "help_first"],
            # what is to be written has its box, and its place in the list; a notice as well would say it a third time
            "stops": [f for f in seen.findings if f.stops and f.code not in {f"contents_{key}" for key in written_keys(seen.duty)}], "names": sorted(FACTS | words(letter.language)["passages"].keys()),
            "others": for_others(seen.duty), "languages": LANGUAGES, "error": error, "theirs": theirs, "changes": changes, "page": "today", "rtl": letter.language == "ar",
            "version": theirs.version if theirs else letter.version,
        },
        status=status,
    )  # fmt: skip


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_draft(request: HttpRequest, pk: int) -> HttpResponse:
    """From an open step of the ladder. Pressed twice, it is one draft."""
    student = policy.get_student(request.user, pk, Deed.TAKE_STEPS)
    try:
        letter = deeds.draft(request.user, student, request.POST.get("rule", "")[:60], today_of(student))
    except NotWritten as error:
        messages.warning(request, str(error), extra_tags="warn")
        return redirect("student_law", student.pk)
    return redirect("letter", letter.pk)


@allow(Deed.SEE_LAW)
@require_safe
def letter_page(request: HttpRequest, pk: int) -> HttpResponse:
    letter = _letter(request, pk)
    audit.record(request.user, "saw", f"student:{letter.student_id}", f"letter:{letter.pk}")
    if letter.signed_at is None and letter.state == Letter.State.DRAFT:
        return _draft_page(request, letter)
    return _kept_page(request, letter)


def _kept_page(request: HttpRequest, letter: Letter, error: str = "", why: str = "") -> HttpResponse:
    """Signed, or withdrawn: nothing of it can be edited."""
    said = LetterWord.objects.system("of a letter the reader was given").filter(
        letter=letter, about=LetterWord.About.WARNING
    )
    if not policy.may_for(request.user, Deed.SEE_PROTECTIONS, letter.student):
        said = said.exclude(key="care")
    some = Letter.objects.system("of a letter the reader was given").filter(correction_of=letter)
    rule = rule_of(letter, today_of(letter.student))
    family = family_of(letter.student)
    return render(
        request, "desk/letter_kept.html",
        {
            "zone": letter.firing.school.zone, "letter": letter, "paragraphs": paragraphs(letter.text or letter.body), "headings": words(letter.language),
            "annex": paragraphs(letter.annex) if letter.annex else [], "reasons": said.select_related("said_by").order_by("pk"),
            "apology": some.exclude(state=Letter.State.WITHDRAWN).first(), "error": error, "why": why, "page": "today",
            "rtl": letter.language == "ar", "pack": rule[0] if rule else None, "rule": rule[1] if rule else None, "count": number(Fraction(letter.count)),
            "days": [date.fromisoformat(d) for d in letter.marks.split()], "post": _post(letter, rule[1].duty if rule else None, family),
            "copies": copies_of(letter.evidence, family.envelopes, family.contacts), "evidence": shown(letter.evidence, family.contacts),
            "to_sign": holders(deeds.still_to_sign(letter, rule[1].duty if rule else None), _could_sign(letter)) if letter.state == Letter.State.AWAITING else [],
            "signed_role": office_word(letter.signed_as), "second_role": office_word(letter.second_as),
        },
        status=422 if error else 200,
    )  # fmt: skip


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_save(request: HttpRequest, pk: int) -> HttpResponse:
    """What was typed is saved first, whatever button was pressed; then days are read again, or another language is begun."""
    letter = _letter(request, pk)
    today = today_of(letter.student)
    typed = request.POST.get("body", "")
    said = {name.removeprefix("said_"): words for name, words in request.POST.items() if name.startswith("said_")}
    try:
        letter = deeds.edit(request.user, letter, _version(request), typed, said, today)
        if "again" in request.POST:
            letter = deeds.read_days_again(request.user, letter, letter.version, today)
            messages.success(request, _("Read again: the letter speaks of the days as they are known now."))
        elif language := request.POST.get("language_go") and request.POST.get("language", ""):
            letter = deeds.draft_in(request.user, letter, letter.version, language)
            messages.success(request, _("Begun again in that language. The draft before is kept, withdrawn."))
        elif "check" in request.POST:
            return redirect("letter_check", letter.pk)
        else:
            messages.success(request, _("Saved."))
    except NotWritten as error:
        return _draft_page(request, letter, error=str(error), typed=typed, said=said, status=422)
    except Changed as changed:
        if changed.letter.state != Letter.State.DRAFT:
            messages.warning(
                request, _("It was signed or withdrawn meanwhile, and does not change any more."), extra_tags="warn"
            )
            return redirect("letter", letter.pk)
        return _draft_page(request, letter, typed=typed, said=said, theirs=changed.letter, status=409)
    return redirect("letter", letter.pk)


def _check_page(
    request: HttpRequest,
    checked: Checked,
    people: list[Assignment],
    reasons: dict[str, str],
    *,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    letter = checked.letter
    kept = checked.beside.reasons if letter.state == Letter.State.AWAITING else {}
    to_sign = deeds.still_to_sign(letter, checked.duty)
    return render(
        request, "desk/letter_check.html",
        {
            "letter": letter, "checked": checked, "stops": [f for f in checked.findings if f.stops], "error": error,
            "asks": [(f, reasons.get(f.code, "")) for f in checked.findings if not f.stops and f.code not in kept],
            "paragraphs": paragraphs(letter.text or checked.text), "headings": words(letter.language), "rtl": letter.language == "ar",
            "also": [] if letter.text else [checked.written[k] for k in written_keys(checked.duty) if checked.written.get(k)],
            "annex": paragraphs(letter.annex or deeds.annex_of(checked)) if letter.kind != Letter.Kind.CORRECTION else [],
            "to_sign": holders(to_sign, people), "may_sign": bool(signs_as(request.user, letter.student, to_sign)), "page": "today",
        },
        status=status,
    )  # fmt: skip


@allow(Deed.TAKE_STEPS)
@require_safe
def letter_check(request: HttpRequest, pk: int) -> HttpResponse:
    letter = _letter(request, pk)
    if letter.state not in (Letter.State.DRAFT, Letter.State.AWAITING):
        return redirect("letter", letter.pk)
    audit.record(request.user, "checked_letter", f"student:{letter.student_id}", f"letter:{letter.pk}")
    return _check_page(request, check(letter, request.user, today_of(letter.student)), _could_sign(letter), {})


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_sign(request: HttpRequest, pk: int) -> HttpResponse:
    """A reason counts where its box is ticked too: nobody signs over a warning by a slip."""
    letter = _letter(request, pk)
    today, people = today_of(letter.student), _could_sign(letter)
    typed = {name.removeprefix("reason_"): words for name, words in request.POST.items() if name.startswith("reason_")}
    reasons = {code: words for code, words in typed.items() if f"tick_{code}" in request.POST}
    try:
        posted = request.POST.get("posted")
        letter = deeds.sign(request.user, letter, _version(request), reasons, today, posted=posted)
    except Stopped as stopped:
        told = (
            _("Not signed: something stops it. What you wrote is kept below.") if stopped.checked.stopped
            else _("Not signed yet: tick each point and say why. What you wrote is kept below.")
        )  # fmt: skip
        return _check_page(request, stopped.checked, people, typed, error=told, status=422)
    except NotWritten as error:
        return _check_page(request, check(letter, request.user, today), people, typed, error=str(error), status=422)
    except Changed as changed:
        if changed.letter.state in (Letter.State.DRAFT, Letter.State.AWAITING):
            checked = check(changed.letter, request.user, today)
            told = _("Not signed: the letter, or where it goes, was changed while you read it. This is how it is now.")
            return _check_page(request, checked, people, typed, error=told, status=409)
        messages.warning(
            request, _("It was signed or withdrawn meanwhile, and does not change any more."), extra_tags="warn"
        )
    else:
        if letter.state == Letter.State.AWAITING:
            messages.success(request, _("Signed. It waits for the second signature."))
        else:
            messages.success(
                request,
                _(
                    "Signed and on record. Firstbell sends nothing by itself: print it, or send it below where that is offered."
                ),
            )
    return redirect("letter", letter.pk)


@allow(Deed.SEE_LAW)
@require_safe
def letter_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """Only when every signature is there. `to`: the copy for one contact's address, unless nobody may write to them there any more.

    A name in a file name would travel; a number does not.
    """
    letter = _letter(request, pk)
    if letter.signed_at is None or letter.state != Letter.State.SIGNED:
        raise Http404
    envelope = None
    if to := request.GET.get("to", ""):
        family = family_of(letter.student)
        still = copies_of(letter.evidence, family.envelopes, family.contacts).still
        envelope = next((e for e in still if str(e.contacts[0]) == to), None)
        if envelope is None:
            raise Http404
    whom = f" to contact:{envelope.contacts[0]}" if envelope else ""
    audit.record(request.user, "printed_letter", f"student:{letter.student_id}", f"letter:{letter.pk}{whom}")
    answer = HttpResponse(pdf_of(letter, envelope), content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="letter-{letter.number}.pdf"'
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@dataclass(frozen=True, slots=True, repr=False)
class PostShown:
    """How a signed letter reaches its family: whom it can be mailed to, and what became of what was."""

    to: list[Contact]
    why_not: str
    deliveries: list[tuple[Delivery, str]]
    waits: bool


def _post(letter: Letter, duty: Duty | None, family: Family) -> PostShown | None:
    if letter.signed_at is None or letter.state == Letter.State.AWAITING:
        return None
    some = Delivery.objects.system("of a letter the reader was given").filter(letter=letter)
    found = list(some.select_related("contact", "message", "put_by").order_by("put_at", "pk"))
    out = {d.contact_id for d in found if d.recalled_at is None}
    post = post_of(letter, duty, family)
    return PostShown(
        [c for c in post.to if c.pk not in out], post.why_not, [(d, str(STATES[d.message.state])) for d in found],
        any(d.message.state == d.message.State.WAITING for d in found),
    )  # fmt: skip


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_send(request: HttpRequest, pk: int) -> HttpResponse:
    """Into the outbox. Pressed twice, it goes once."""
    letter = _letter(request, pk)
    try:
        made = put_in_outbox(request.user, letter, today_of(letter.student))
    except NotSent as error:
        messages.warning(request, str(error), extra_tags="warn")
    else:
        if made:
            messages.success(request, _("In the outbox. Until it is handed to the mail server you can recall it."))
        else:
            messages.success(request, _("It is in the outbox already. It goes once."))
    return redirect("letter", letter.pk)


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_recall(request: HttpRequest, pk: int) -> HttpResponse:
    letter = _letter(request, pk)
    back, gone = recall(request.user, letter)
    if gone:
        words = ngettext(
            "%(n)s had gone to the mail server already and cannot be recalled. Call the family.",
            "%(n)s had gone to the mail server already and cannot be recalled. Call the family.", gone,
        )  # fmt: skip
        messages.warning(request, words % {"n": gone}, extra_tags="warn")
    if back:
        messages.success(request, _("Recalled. Nothing of it was sent."))
    return redirect("letter", letter.pk)


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    letter = _letter(request, pk)
    why = request.POST.get("why", "")
    try:
        deeds.withdraw(request.user, letter, why)
    except NotWritten as error:
        if letter.state == Letter.State.DRAFT:
            return _draft_page(request, letter, error=str(error), status=422)
        return _kept_page(request, letter, str(error), why)
    messages.success(request, _("Withdrawn. It stays on record, with your reason."))
    return redirect("letter", letter.pk)


@allow(Deed.TAKE_STEPS)
@require_POST
def letter_apologise(request: HttpRequest, pk: int) -> HttpResponse:
    letter = _letter(request, pk)
    try:
        return redirect("letter", deeds.apologise(letter, request.user).pk)
    except NotWritten as error:
        messages.warning(request, str(error), extra_tags="warn")
    return redirect("letter", letter.pk)
