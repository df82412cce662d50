"""A letter's life: drafted, edited, signed (by two where the pack asks for it), withdrawn, apologised for. Each deed is on the audit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from django.db import transaction
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.casework.done import record_done
from firstbell.casework.firings import look_at
from firstbell.casework.letters.checklist import written_keys
from firstbell.casework.letters.envelopes import sealed
from firstbell.casework.letters.facts import TEMPLATE_OF, duty_of, family_of
from firstbell.casework.letters.models import Letter, LetterWord
from firstbell.casework.letters.preflight import ADDRESSED_TO, Checked, Finding, check
from firstbell.casework.letters.sending import recall
from firstbell.casework.letters.wording import LANGUAGES, apart, day_words, fill, template, words
from firstbell.casework.models import Done, Firing
from firstbell.casework.signatures import missing_after, signs_as
from firstbell.casework.standing import standing_of
from firstbell.law.clock import Status
from firstbell.law.packs import Duty
from firstbell.law.sentences import number
from firstbell.register.models import Student

__all__ = [
    "Changed", "NotWritten", "Stopped", "annex_of", "apologise", "apologise_for_all", "draft", "draft_in", "edit", "read_days_again",
    "sign", "still_to_sign", "withdraw",
]  # fmt: skip

WHY = "a letter is written about a student the writer was given"
LONGEST = 8000
#: the marks of evidence a letter by itself can be; an invitation is no meeting held, and a plan announced is no plan made
A_LETTER_CAN_BE = ("notice", "contact_attempt", "support_offered")


class NotWritten(ValueError):
    """It can't be done as it stands; the sentence says why. Nothing was changed."""


@dataclass
class Changed(Exception):
    """Somebody else saved or signed in the meantime. `letter` is how it stands now; nothing of theirs was overwritten."""

    letter: Letter


@dataclass
class Stopped(Exception):
    """Something stops it, or asks for a reason that was not given. Nothing was signed."""

    checked: Checked
    open: list[Finding]


@transaction.atomic
def draft(user: User, student: Student, rule: str, today: date) -> Letter:
    """A draft about a duty that is open now, in the family's language; the one there is, where there is one.

    Raises NotWritten where the line is not reached, its duty is not open, or nobody writes letters about its kind.
    """
    standing = look_at(student, today).standing
    some = (p for p in (standing.positions if standing else ()) if p.rule == rule and p.status is Status.DUTY_OPEN)
    position = next(some, None)
    if standing is None or position is None or position.fired_on is None:
        raise NotWritten(_("There is no open step here to write about. The lines below are as they stand now."))
    kind = TEMPLATE_OF.get(position.duty.kind) if position.duty else None
    if kind is None:
        raise NotWritten(_("This step is not one that a letter does."))
    firing = (
        Firing.objects.system(WHY)
        .select_for_update()
        .get(  # two who press at once get one draft
            student=student, rule=rule, fired_on=position.fired_on, superseded_at=None, pack=standing.law[-1].pack.id
        )
    )
    mine = Letter.objects.system(WHY).filter(firing=firing, kind=kind, state=Letter.State.DRAFT).first()
    if mine is not None:
        return mine  # type: ignore[no-any-return]
    fired = next(f for f in position.firings if f.on == position.fired_on)
    language = family_of(student).language
    made = Letter.objects.system(WHY).create(
        student=student, firing=firing, kind=kind, language=language, body=template(kind, language), drafted_by=user,
        marks=" ".join(d.isoformat() for d in fired.marks), count=str(fired.count), drafted_at=clock.now(),
    )  # fmt: skip
    audit.record(user, "drafted_letter", f"student:{student.pk}", f"letter:{made.pk} {kind} {language}")
    return made  # type: ignore[no-any-return]


def _moved(letter: Letter, version: int, **changes: object) -> Letter:
    """Compare and swap: the letter at this version, still a draft, gets these changes and the next version."""
    still = Letter.objects.system(WHY).filter(pk=letter.pk, version=version, state=Letter.State.DRAFT)
    if not still.update(version=version + 1, **changes):
        raise Changed(_again(letter))
    return _again(letter)


def _again(letter: Letter) -> Letter:
    some = Letter.objects.system(WHY).select_related(
        "firing__school", "student", "signed_by", "second_by", "correction_of"
    )
    found: Letter = some.get(pk=letter.pk)
    found.student = letter.student  # with its stays, as it was given
    return found


@transaction.atomic
def edit(user: User, letter: Letter, version: int, body: str, written: dict[str, str], today: date) -> Letter:
    """The text as its writer leaves it, and the passages the pack asks for. Raises Changed, NotWritten."""
    body = body.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not body or len(body) > LONGEST:
        raise NotWritten(_("A letter has words, and fewer than %(n)s characters.") % {"n": LONGEST})
    asked = written_keys(duty_of(letter, today)) if letter.kind != Letter.Kind.CORRECTION else []
    letter = _moved(letter, version, body=body)
    for key in asked:
        said = written.get(key, "").replace("\r\n", "\n").strip()[:2000]
        mine = LetterWord.objects.system(WHY).filter(letter=letter, about=LetterWord.About.CONTENTS, key=key)
        if not said:
            mine.delete()
        elif not mine.update(words=said, said_by=user, said_at=clock.now()):
            LetterWord.objects.system(WHY).create(
                letter=letter, about=LetterWord.About.CONTENTS, key=key, words=said, said_by=user, said_at=clock.now()
            )
    audit.record(user, "edited_letter", f"student:{letter.student_id}", f"letter:{letter.pk} version {letter.version}")
    return letter


@transaction.atomic
def read_days_again(user: User, letter: Letter, version: int, today: date) -> Letter:
    """The draft speaks of the days as they are known now. Raises NotWritten where the line is not reached any more."""
    position = standing_of(letter.student, today).of(letter.firing)
    fired = next((f for f in (position.firings if position else ()) if f.on == letter.firing.fired_on), None)
    if fired is None:
        raise NotWritten(_("By what is known now this line is not reached. Withdraw this draft; nothing was sent."))
    marks = " ".join(d.isoformat() for d in fired.marks)
    letter = _moved(letter, version, marks=marks, count=str(fired.count))
    audit.record(user, "read_days_again", f"student:{letter.student_id}", f"letter:{letter.pk}")
    return letter


@transaction.atomic
def draft_in(user: User, letter: Letter, version: int, language: str) -> Letter:
    """A new draft from our text in another language. The one before is kept, withdrawn."""
    if language not in LANGUAGES:
        raise NotWritten(_("We have no letter in that language."))
    _moved(
        letter, version, state=Letter.State.WITHDRAWN, withdrawn_by=user, withdrawn_at=clock.now(),
        withdrawn_why=_("Drafted again in another language."),
    )  # fmt: skip
    made = Letter.objects.system(WHY).create(
        student=letter.student, firing=letter.firing, kind=letter.kind, language=language, body=template(letter.kind, language),
        marks=letter.marks, count=letter.count, drafted_by=user, drafted_at=clock.now(), correction_of=letter.correction_of,
    )  # fmt: skip
    audit.record(
        user, "drafted_letter", f"student:{letter.student_id}", f"letter:{made.pk} instead of letter:{letter.pk}"
    )
    return made  # type: ignore[no-any-return]


def still_to_sign(letter: Letter, duty: Duty | None) -> list[str]:
    """The offices whose signature is missing yet. An apology is anybody's who writes letters."""
    return (
        [] if duty is None or letter.kind == Letter.Kind.CORRECTION else missing_after(duty.sign_off, letter.signed_as)
    )


def sign(
    user: User, letter: Letter, version: int, reasons: dict[str, str], today: date, *, posted: str | None = None
) -> Letter:
    """Look at everything once more, and freeze. The same signature again changes nothing. `posted`: as `Checked.posted` was when the signer
    looked; where an address has changed since, nobody signs for one they have not seen.

    Raises Stopped with what is in the way, Changed where somebody was quicker, NotWritten for a second signature by the first's hand, and for
    a signature that is none of those the rule asks for.
    """
    with transaction.atomic():
        Letter.objects.system(WHY).select_for_update().get(pk=letter.pk)  # two who sign at once take turns
        letter = _again(letter)
        second = letter.state == Letter.State.AWAITING
        if letter.state in (Letter.State.SIGNED, Letter.State.AWAITING) and user.pk in (
            letter.signed_by_id,
            letter.second_by_id,
        ):
            if second and version == letter.version:
                raise NotWritten(_("The second signature is another person’s."))
            return letter
        if letter.version != version or letter.state not in (Letter.State.DRAFT, Letter.State.AWAITING):
            raise Changed(letter)
        checked = check(letter, user, today)
        if posted is not None and posted != checked.posted:
            raise Changed(letter)
        to_sign = still_to_sign(letter, checked.duty)
        if second and len(to_sign) > 1:
            raise NotWritten(
                _("The first signature is none that this rule asks for now. Withdraw the letter, and write it again.")
            )
        signed_as = signs_as(user, letter.student, to_sign)
        if not signed_as:
            raise NotWritten(
                _("Your signature is not the one this rule asks for. Still to sign: %(who)s.")
                % {"who": ", ".join(to_sign)}
            )
        kept = checked.beside.reasons
        given = {code: why.strip()[:2000] for code, why in reasons.items() if why.strip()}
        in_the_way = [f for f in checked.findings if f.stops or not (given.get(f.code) or kept.get(f.code))]
        if in_the_way:
            raise Stopped(checked, in_the_way)
        for finding in checked.findings:
            if finding.code not in kept:
                LetterWord.objects.system(WHY).create(
                    letter=letter, about=LetterWord.About.WARNING, key=finding.code, words=given[finding.code], said_by=user,
                    said_at=clock.now(),
                )  # fmt: skip
        if second:
            return _second(user, letter, signed_as, checked, today)
        return _first(user, letter, signed_as, checked, given, today)


def _first(
    user: User, letter: Letter, signed_as: str, checked: Checked, given: dict[str, str], today: date
) -> Letter:  # fmt: skip
    text, annex = _text(letter, checked, today), annex_of(checked)
    evidence = _evidence(checked, given, today)
    two = len(still_to_sign(letter, checked.duty)) > 1
    letter = _moved(
        letter, letter.version, text=text, annex=annex, evidence=evidence, sha256=digest(text, annex, evidence), signed_by=user,
        signed_as=signed_as, signed_at=clock.now(), state=Letter.State.AWAITING if two else Letter.State.SIGNED,
    )  # fmt: skip
    audit.record(user, "signed_letter", f"student:{letter.student_id}", f"letter:{letter.pk} sha256 {letter.sha256}")
    return letter if two else _on_record(user, letter, checked, today)


def _second(user: User, letter: Letter, signed_as: str, checked: Checked, today: date) -> Letter:
    Letter.objects.system(WHY).filter(pk=letter.pk, state=Letter.State.AWAITING).update(
        state=Letter.State.SIGNED,
        second_by=user,
        second_as=signed_as,
        second_at=clock.now(),
        version=letter.version + 1,
    )
    audit.record(user, "signed_letter", f"student:{letter.student_id}", f"letter:{letter.pk} as the second")
    return _on_record(user, _again(letter), checked, today)


def _on_record(user: User, letter: Letter, checked: Checked, today: date) -> Letter:
    """What the letter shows done, to whom it is addressed: the duty's own kind of evidence where a letter can be that, else that the family was told."""
    duty = checked.duty
    if letter.kind == Letter.Kind.CORRECTION or duty is None:
        kind = "correction"
    else:
        kinds = duty.shown_by
        own = kinds[:1] if duty.kind == "notify" else ()
        kind = next((k for k in (*own, *kinds) if k in own or k in A_LETTER_CAN_BE), "notice")
    if (before := letter.correction_of) is not None:  # taken back, it tells the family nothing: the step is open again
        Done.objects.system(WHY).filter(pk=before.done_id, withdrawn_at=None).update(withdrawn_at=clock.now())
    done = record_done(
        user, letter.student, kind, today, today, rule=f"{letter.firing.pack}/{letter.firing.rule}",
        note=_("Letter %(number)s.") % {"number": letter.number}, key=f"letter:{letter.pk}",
        to=checked.addressed_to, of_letter=True,
    )  # fmt: skip
    Letter.objects.system(WHY).filter(pk=letter.pk).update(done=done)
    return _again(letter)


def digest(text: str, annex: str, evidence: str) -> str:
    return hashlib.sha256("\x1e".join((text, annex, evidence)).encode()).hexdigest()


def _text(letter: Letter, checked: Checked, today: date) -> str:
    """The letter as it is printed, word for word; paragraphs apart by an empty line."""
    said, facts = words(letter.language), checked.facts
    names = [c.name for c in checked.family.recipients] or [said["family_of"].replace("{child}", facts["child"])]
    parts = [
        f"{facts['school']}\n{day_words(today, letter.language)}", f"{said['to']}: {', '.join(names)}",
        fill(letter.body, letter.language, facts),
    ]  # fmt: skip
    if checked.written:
        parts += [
            f"{said['also']}:",
            *(checked.written[key] for key in written_keys(checked.duty) if key in checked.written),
        ]
    return "\n\n".join(parts)


def annex_of(checked: Checked) -> str:
    """The law's own words and the arithmetic, for the page of its own. An apology has none."""
    letter = checked.letter
    if checked.law is None or letter.kind == Letter.Kind.CORRECTION:
        return ""
    pack, rule = checked.law
    said, source, firing = words(letter.language), pack.cited(rule), letter.firing
    unit = said["units"].get(checked.position.unit if checked.position else "days", "")
    line = Fraction(firing.threshold)
    of = (
        f"{number(line * 100)} %"
        if rule.threshold.count is None and not rule.threshold.by_grade
        else f"{number(line)} {unit}"
    )
    parts = [said["annex"], apart(f"{rule.title}\n{source.citation}", letter.language)]
    if source.words:
        parts.append(apart(f"“{source.words}”", letter.language))
    counted = [f"{said['counted']}: {number(Fraction(letter.count))} {unit}", f"{said['line']}: {of}"]
    counted.append(f"{said['reached']}: {day_words(firing.fired_on, letter.language)}")
    if checked.position and checked.position.window and checked.position.fired_on == firing.fired_on:
        first, last = checked.position.window
        if all(first <= date.fromisoformat(d) <= last for d in letter.marks.split()):  # else it has gone on since
            counted.append(
                f"{said['window']}: {day_words(first, letter.language)} – {day_words(last, letter.language)}"
            )
    return "\n\n".join([*parts, "\n".join(counted), apart(f"{pack.title} · {pack.version}", letter.language)])


def _evidence(checked: Checked, given: dict[str, str], today: date) -> str:
    """What the signature rests on, as text a person and a program can read. No protection is named here."""
    letter, firing = checked.letter, checked.letter.firing
    lines = [
        f"letter {letter.number} kind {letter.kind} language {letter.language} signed on {today}",
        f"student {letter.student_id}",
        f"rule {firing.pack}/{firing.rule} version {firing.version} sha256 {firing.pack_sha256}",
        f"reached {firing.fired_on} counted {letter.count} line {firing.threshold}",
    ]
    if checked.position and checked.position.window:
        lines.append("window {} to {}".format(*checked.position.window))
    lines += [f"day {d} mark {checked.squares.get(date.fromisoformat(d), '?')}" for d in letter.marks.split()]
    about_protected = {r.id for v in checked.standing.law for r in v.pack.rule if r.applies.flags}
    for p in checked.standing.positions:
        if p.rule in about_protected - {firing.rule}:
            continue  # that it is asked at all would tell what protects the student
        lines.append(f"position {p.rule} {p.status} {p.count} of {p.threshold}")
    lines += [
        " ".join([ADDRESSED_TO, *(str(pk) for pk in checked.addressed_to)]),
        *sealed(checked.family.envelopes),
        f"grade {checked.grade:.1f}" if checked.grade is not None else "grade not told",
    ]
    lines += [f"says {item.key} by {item.placeholder or 'written words'}" for item in checked.items]
    lines += [f"warning {code}: {' '.join(why.split())}" for code, why in sorted(given.items()) if code != "care"]
    return "\n".join(lines)


@transaction.atomic
def withdraw(user: User, letter: Letter, why: str) -> Letter:
    """It is not sent, or no longer stands: what waits in the outbox is recalled. What it had put on record as done no longer counts.

    Raises NotWritten without a reason.
    """
    if not why.strip():
        raise NotWritten(_("Say why it is withdrawn, in a few words."))
    now = clock.now()
    still = Letter.objects.system(WHY).filter(pk=letter.pk).exclude(state=Letter.State.WITHDRAWN)
    if still.update(
        state=Letter.State.WITHDRAWN, withdrawn_by=user, withdrawn_at=now, withdrawn_why=why.strip()[:2000],
        version=letter.version + 1,
    ):  # fmt: skip
        if letter.done_id:
            Done.objects.system(WHY).filter(pk=letter.done_id, withdrawn_at=None).update(withdrawn_at=now)
        recall(user, letter)
        audit.record(user, "withdrew_letter", f"student:{letter.student_id}", f"letter:{letter.pk}")
    return _again(letter)


@transaction.atomic
def apologise(letter: Letter, user: User | None) -> Letter:
    """The draft that takes a letter back whose line a corrected mark has undone; the one there is, where there is one.

    `user` None: the night's look. Raises NotWritten where there is nothing to take back.
    """
    if not letter.undone or letter.state != Letter.State.SIGNED:
        raise NotWritten(_("This letter still holds: there is nothing to take back."))
    Letter.objects.system(WHY).select_for_update().get(pk=letter.pk)  # two who ask at once get one draft
    mine = Letter.objects.system(WHY).filter(correction_of=letter).exclude(state=Letter.State.WITHDRAWN).first()
    if mine is not None:
        return mine  # type: ignore[no-any-return]
    kind = Letter.Kind.CORRECTION
    made = Letter.objects.system(WHY).create(
        student=letter.student, firing=letter.firing, kind=kind, language=letter.language, body=template(kind, letter.language),
        marks=letter.marks, count=letter.count, drafted_by=user, drafted_at=clock.now(), correction_of=letter,
    )  # fmt: skip
    audit.record(
        user or "firstbell",
        "drafted_letter",
        f"student:{letter.student_id}",
        f"letter:{made.pk} for letter:{letter.pk}",
    )
    return made  # type: ignore[no-any-return]


def apologise_for_all() -> int:
    """After the night's look: a draft for every signed letter that has been undone and not been taken back. A person reads and signs it."""
    undone = Letter.objects.system(WHY).filter(state=Letter.State.SIGNED, firing__superseded_at__isnull=False)
    undone = undone.exclude(kind=Letter.Kind.CORRECTION).exclude(corrections__isnull=False)
    some = list(undone.select_related("firing", "student"))
    for letter in some:
        apologise(letter, None)
    return len(some)
