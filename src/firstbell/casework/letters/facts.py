"""What a letter may say of a student: names, the days counted and what the register says of them, whom it is for. Nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from firstbell.access.models import User
from firstbell.casework.adopted import adopted, pack_of, packs_of
from firstbell.casework.letters.envelopes import Envelope, envelopes_for
from firstbell.casework.letters.models import Letter
from firstbell.casework.letters.wording import BULLET, LANGUAGES, apart, day_words, words
from firstbell.casework.standing import Standing
from firstbell.law.days import Stretch
from firstbell.law.packs import Duty, Pack, PackError, Rule, versions
from firstbell.law.sentences import number
from firstbell.register import rows
from firstbell.register.models import Contact, ContactLink, Student
from firstbell.watch.timelines import stretch

__all__ = [
    "LINK", "TEMPLATE_OF", "Family", "duty_of", "facts_of", "family_from", "family_of", "letters_on", "links_of", "rule_of",
]  # fmt: skip

WHY = "a letter about a student the reader was given"
#: a duty's kind -> what we have to write about it; a review or a classification is nobody's letter
TEMPLATE_OF = {
    "notify": Letter.Kind.NOTIFY, "contact": Letter.Kind.CONTACT, "conference": Letter.Kind.CONFERENCE, "plan": Letter.Kind.PLAN,
    "refer_support": Letter.Kind.REFER_SUPPORT, "report_authority": Letter.Kind.LEGAL_STEP,
    "consider_sanction": Letter.Kind.LEGAL_STEP, "petition": Letter.Kind.LEGAL_STEP,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """Whom a letter can be for. `silent`: how many may not be contacted; who they are is not asked any further.

    languages  what they read, as two letters, those of recipients first
    by_email   recipients with an address that nobody under no-contact shares
    envelopes  a copy for each postal address of theirs, again of none that somebody under no-contact shares
    by_hand    recipients whom none of these reaches
    """

    recipients: list[Contact]
    silent: int
    languages: list[str]
    by_email: list[Contact]
    envelopes: list[Envelope]
    by_hand: list[Contact]

    @property
    def contacts(self) -> set[int]:
        return {contact.pk for contact in self.recipients}

    @property
    def language(self) -> str:
        """The first of theirs that we have words in; English where there is none."""
        return next((code for code in self.languages if code in LANGUAGES), "en")


#: of a contact's link, what a letter asks
LINK = (
    "pk", "no_contact", "contact", "contact__given_name", "contact__family_name", "contact__phone", "contact__email", "contact__address",
    "contact__language",
)  # fmt: skip


def links_of(student: Any) -> QuerySet[Any]:
    return ContactLink.objects.system(WHY).filter(student=student)


def family_of(student: Student) -> Family:
    return family_from(student, links_of(student).values_list(*LINK))


def family_from(student: Student, links: Iterable[Sequence[Any]]) -> Family:
    """Contacts under no-contact are counted, never named."""
    recipients: list[Contact] = []
    silent: list[str] = []
    closed: list[str] = []
    for _pk, no_contact, contact, given, family, phone, email, address, language in sorted(links):
        if no_contact:
            silent.append(email.strip().casefold())
            closed.append(address)
        else:
            recipients.append(
                Contact(
                    pk=contact, given_name=given, family_name=family, phone=phone, email=email, address=address, language=language
                )
            )  # fmt: skip
    envelopes = envelopes_for([(c.pk, c.name, c.address) for c in recipients], closed)
    posted = {contact for envelope in envelopes for contact in envelope.contacts}
    codes = [c.language for c in recipients] + [student.home_language]
    by_email = [c for c in recipients if _is_address(c.email) and c.email.casefold() not in silent]
    languages = list(dict.fromkeys(c[:2].lower() for c in codes if c))
    return Family(
        recipients, len(silent), languages, by_email, envelopes, [c for c in recipients if c.pk not in posted]
    )


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def rule_of(letter: Letter, today: date, standing: Standing | None = None) -> tuple[Pack, Rule] | None:
    """The very rule the letter's line was reached under, with the district's own words; None where it is gone."""
    firing = letter.firing
    pack = pack_of(firing, [v.pack for v in standing.law] if standing else _versions(firing.pack, today))
    rule = pack.rule_named(firing.rule) if pack else None
    return (pack, rule) if pack and rule else None


def _versions(pack: str, today: date) -> tuple[Pack, ...]:
    found = adopted(today)
    try:
        return packs_of(found) if found and found.pack == pack else versions(pack)
    except PackError:
        return ()


def duty_of(letter: Letter, today: date) -> Duty | None:
    found = rule_of(letter, today)
    return found[1].duty if found else None


def letters_on(student: Student, days: Iterable[date], registers: Iterable[Stretch] | None = None) -> dict[date, str]:
    """What the register says now of these days: the letters of their squares. `registers`: where somebody has just read them."""
    wanted = sorted(days)
    if not wanted:
        return {}
    found: dict[date, str] = {}
    for register in _registers(student, wanted[0], wanted[-1]) if registers is None else registers:
        codes = register.codes[0].tobytes().decode("ascii")
        place = {d: k for k, d in enumerate(register.dates.tolist())}
        for day in wanted:
            if (k := place.get(day)) is not None:
                square = codes[k * register.sessions : (k + 1) * register.sessions]
                if square.strip("# "):
                    found[day] = square
    return found


def _registers(student: Student, first: date, last: date) -> Iterator[Stretch]:
    for register in rows.registers_of(student.pk, last):
        if first <= register.school.calendar.school_year.ends:
            yield stretch(register.school, {})


def facts_of(letter: Letter, signer: User, squares: dict[date, str]) -> dict[str, str]:
    """A placeholder -> what it says now, in the letter's language. The named contact is who signs."""
    marks = words(letter.language)["marks"]
    days = [date.fromisoformat(d) for d in letter.marks.split()]
    school = letter.firing.school.name

    def said(day: date) -> str:
        what = "; ".join(dict.fromkeys(marks[c] for c in squares.get(day, "") if c in marks))
        return f"{BULLET}{day_words(day, letter.language)} — {what or '–'}"

    facts = {
        "child": letter.student.name, "school": school, "days": "\n".join(said(d) for d in days), "count": number(Fraction(letter.count)),
        "contact": apart(f"{signer}, {school} ({signer.email})", letter.language),
    }  # fmt: skip
    if (before := letter.correction_of) is not None and before.signed_at is not None:
        facts["sent_on"] = day_words(before.signed_at.astimezone(letter.firing.school.zone).date(), letter.language)
    return facts
