"""Everything looked at again, just before a letter is signed and once more as it is: what stops it, and what asks for a reason."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date

from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from firstbell.access import policy
from firstbell.access.models import User
from firstbell.access.policy import Deed
from firstbell.casework.letters import pdf
from firstbell.casework.letters.checklist import Item, checklist, written_keys
from firstbell.casework.letters.envelopes import Envelope, copies_of, sealed
from firstbell.casework.letters.facts import LINK, Family, facts_of, family_from, letters_on, links_of, rule_of
from firstbell.casework.letters.models import Letter, LetterWord, numbered
from firstbell.casework.letters.wording import GRADE, LANGUAGES, fill, grade, passages_in, refusals
from firstbell.casework.models import Protection
from firstbell.casework.standing import Standing, standing_of
from firstbell.casework.words import evidence_word
from firstbell.law.clock import Position, Status
from firstbell.law.packs import Duty, Pack, Rule
from firstbell.register.gathered import gathered
from firstbell.register.models import Contact, Student

__all__ = ["Checked", "Finding", "Seen", "check", "look", "prose"]

WHY = "a letter is checked before it is signed"
#: under these a letter may be lawful and still come at the wrong hour, or to who need not attend
CARE = ("bereaved", "severe_illness", "exemption", "exemption_certificate")
#: something is still asked
OPEN = (Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN)
#: what begins the line of the sealed evidence that says for which contacts the letter is
ADDRESSED_TO = "addressed to"


@dataclass(frozen=True, slots=True)
class Finding:
    """`stops`: nobody can sign over it. Else a person may, and says why; the reason is kept under `code`."""

    code: str
    stops: bool
    words: str
    to_do: str


@dataclass(frozen=True, slots=True, repr=False)  # it holds names: they don't belong in a log
class Seen:
    """A letter as it reads now, with what its text says and leaves out."""

    letter: Letter
    findings: list[Finding]
    items: list[Item]
    grade: float | None
    beside: Beside
    squares: dict[date, str]
    facts: dict[str, str]
    written: dict[str, str]
    law: tuple[Pack, Rule] | None

    @property
    def family(self) -> Family:
        return self.beside.family

    @property
    def duty(self) -> Duty | None:
        return self.law[1].duty if self.law else None

    @property
    def stopped(self) -> bool:
        return any(f.stops for f in self.findings)

    @property
    def text(self) -> str:
        """The draft as its family would read it; what cannot be filled in stays in its braces."""
        return prose(self.letter, self.facts)


@dataclass(frozen=True, slots=True, repr=False)
class Checked(Seen):
    """And how its student stands, what protects them, whom it could reach: everything a signature answers for."""

    standing: Standing
    position: Position | None

    @property
    def addressed_to(self) -> list[int]:
        """The contacts it is for: whom the first signature sealed, before that whoever may be written to."""
        first = _sealed_to(self.letter)
        return [contact.pk for contact in self.family.recipients] if first is None else first

    @property
    def envelopes(self) -> list[Envelope]:
        """The copies that go by post: those the first signature sealed, before that whatever is known."""
        letter, family = self.letter, self.family
        return (
            copies_of(letter.evidence, family.envelopes, family.contacts).still if letter.evidence else family.envelopes
        )

    @property
    def posted(self) -> str:
        """What tells these copies from others, without an address."""
        return hashlib.sha256("\n".join(sealed(self.envelopes)).encode()).hexdigest()[:16]


def _sealed_to(letter: Letter) -> list[int] | None:
    line = next((line for line in letter.evidence.splitlines() if line.startswith(ADDRESSED_TO)), None)
    return None if line is None else [int(pk) for pk in line.removeprefix(ADDRESSED_TO).split()]


def prose(letter: Letter, facts: dict[str, str]) -> str:
    names = set(passages_in(letter.body))
    missing = {name: f"{{{name}}}" for name in names | {"sent_on"} if name not in facts}
    return fill(letter.body, letter.language, {**missing, **facts})


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """What is read with a letter, in one question: what somebody wrote for it, whom it can be for, and the last one signed about the same."""

    contents: dict[str, str]
    reasons: dict[str, str]
    family: Family
    signed_before: int | None


def beside(letter: Letter) -> Beside:
    said = LetterWord.objects.system(WHY).filter(letter=OuterRef("pk"))
    before = Letter.objects.system(WHY).filter(
        firing=OuterRef("firing"), kind=OuterRef("kind"), state__in=(Letter.State.SIGNED, Letter.State.AWAITING)
    )
    words, links, signed = Letter.objects.system(WHY).filter(pk=letter.pk).values_list(
        gathered(said, "about", "pk", "key", "words"), gathered(links_of(OuterRef("student")), *LINK),
        Subquery(before.exclude(pk=OuterRef("pk")).order_by("-signed_at").values("pk")[:1]),
    ).get()  # fmt: skip
    by: dict[str, dict[str, str]] = {LetterWord.About.CONTENTS: {}, LetterWord.About.WARNING: {}}
    for about, _pk, key, text in sorted(words or []):
        by[about][key] = text
    return Beside(
        by[LetterWord.About.CONTENTS], by[LetterWord.About.WARNING], family_from(letter.student, links or []), signed
    )


def look(
    letter: Letter, reader: User, today: date, written: dict[str, str] | None = None, standing: Standing | None = None
) -> Seen:
    """While it is being written: the text only. `written`: what was typed and is not saved, instead of what is."""
    law = rule_of(letter, today, standing)
    duty = law[1].duty if law else None
    by = beside(letter)
    if written is None:
        written = by.contents if written_keys(duty) else {}
    days = [date.fromisoformat(d) for d in letter.marks.split()]
    squares = letters_on(letter.student, days, standing.stretches if standing else None)
    facts = facts_of(letter, letter.signed_by or reader, squares)
    items = checklist(letter, duty, written)
    read_at, said = _wording(letter, facts, items, written, by.family)
    return Seen(letter, said, items, read_at, by, squares, facts, written, law)


def check(letter: Letter, reader: User, today: date) -> Checked:
    """Nothing is kept from an earlier look: marks, contacts, what protects and what was sent are read now."""
    standing = standing_of(letter.student, today)
    seen = look(letter, reader, today, standing=standing)
    position = standing.of(letter.firing)
    if letter.kind == Letter.Kind.CORRECTION:
        about = _apology(letter, position)
    else:
        about = [
            *_line(letter, seen.law, position, seen.squares, today),
            *_step(position),
            *_again(letter, position, seen.beside),
        ]
    found = [
        *about, *_care(letter, reader, standing.flags, seen.beside), *_people(letter, seen.duty, seen.family), *seen.findings, *_others(letter, seen.written),
    ]  # fmt: skip
    return Checked(
        letter, found, seen.items, seen.grade, seen.beside, seen.squares, seen.facts, seen.written, seen.law, standing, position
    )  # fmt: skip


def _apology(letter: Letter, position: Position | None) -> list[Finding]:
    firing = letter.firing
    if firing.superseded_at is None or any(f.on == firing.fired_on for f in (position.firings if position else ())):
        return [
            Finding(
                "stands", True, _("The line is reached again by what is known now: the first letter holds."),
                _("Withdraw this apology."),
            )
        ]  # fmt: skip
    return []


def _line(
    letter: Letter, law: tuple[Pack, Rule] | None, p: Position | None, squares: dict[date, str], today: date
) -> list[Finding]:
    """Does the line stand, on the very days the draft speaks of; and are all of them explained?"""
    if law is None or p is None or p.status is Status.NOT_EVALUABLE:
        return [
            Finding(
                "law", True, _("The rule this letter speaks of is not in force here now, or cannot be asked of this register."),
                _("Withdraw this draft."),
            )
        ]  # fmt: skip
    fired = next((f for f in p.firings if f.on == letter.firing.fired_on), None)
    if fired is None:
        return [
            Finding(
                "stands", True, _("A mark was corrected: by what is known now this line is not reached."),
                _("Do not send it. Withdraw this draft; nothing was sent."),
            )
        ]  # fmt: skip
    found = []
    then, now = set(letter.marks.split()), {d.isoformat() for d in fired.marks}
    if then != now or letter.count != str(fired.count):
        found.append(
            Finding(
                "days", True, _("A mark was corrected since this was drafted: the line is still reached, but on other days."),
                _("Go back to the draft and press “Read the days again”."),
            )
        )  # fmt: skip
    pending = sum("N" in square for square in squares.values())
    if pending:
        found.append(
            Finding(
                "pending", False,
                ngettext("%(n)s of the days counted has no reason yet; a note may be on its way.",
                         "%(n)s of the days counted have no reason yet; a note may be on its way.", pending) % {"n": pending},
                _("Ask the family or the school first, or say why this cannot wait."),
            )
        )  # fmt: skip
    if p.fired_on == letter.firing.fired_on:
        if p.not_before is not None and today < p.not_before:
            found.append(
                Finding(
                    "not_before", True, _("The rule says: not before %(day)s.") % {"day": _day(p.not_before)},
                    _("Come back on that day. The draft is kept."),
                )
            )  # fmt: skip
        if p.due is not None and today > p.due:
            found.append(
                Finding(
                    "late", False, _("This was to be done by %(day)s; that day is past.") % {"day": _day(p.due)},
                    _("Say why it goes out late."),
                )
            )  # fmt: skip
    return found


def _day(day: date) -> str:
    from django.utils.formats import date_format

    return str(date_format(day, "DATE_FORMAT"))


def _step(p: Position | None) -> list[Finding]:
    if p is None:
        return []
    found = []
    if p.missing:
        found.append(
            Finding(
                "locked", True,
                _("This step is locked. Not on record yet: %(what)s.") % {"what": ", ".join(evidence_word(m) for m in p.missing)},
                _("Do it, put it on record under the law, then come back."),
            )
        )  # fmt: skip
    if p.forbidden:
        found.append(
            Finding(
                "forbidden", True, _("The law does not allow this step for this student."), _("Offer help instead."),
            )
        )  # fmt: skip
    return found


def _again(letter: Letter, p: Position | None, by: Beside) -> list[Finding]:
    if by.signed_before is not None:
        return [
            Finding(
                "again", False, _("A letter about this was signed already: %(number)s.") % {"number": numbered(by.signed_before)},
                _("Say why the family should get another."),
            )
        ]  # fmt: skip
    fired = letter.firing.fired_on
    if p is None or fired not in {f.on for f in p.firings}:
        return []
    if p.status in OPEN and p.fired_on is not None and p.fired_on <= fired:  # what is told is the earliest that is open
        return []
    return [
        Finding(
            "done", False, _("This step is not open any more: it was done, or not taken further."),
            _("Withdraw this draft, or say why the family should get it all the same."),
        )
    ]  # fmt: skip


def _care(letter: Letter, reader: User, protected: frozenset[str], by: Beside) -> list[Finding]:
    flags = [flag for flag in CARE if flag in protected]
    if not flags or (letter.signed_at is not None and "care" in by.reasons):
        return []  # the first to sign said why: the second, who may not see what it is, need not
    if not policy.may_for(reader, Deed.SEE_PROTECTIONS, letter.student):
        return [
            Finding(
                "care", True, _("Something on record asks for care before any letter goes to this family."),
                _("Ask the attendance officer, who can see it, to sign or to wait. It is restricted to respect this student’s privacy."),
            )
        ]  # fmt: skip
    what = ", ".join(str(Protection.Flag(flag).label) for flag in flags)
    return [
        Finding(
            "care", False, _("On record: this student is %(what)s.") % {"what": what},
            _("Call before you write. If a letter is right all the same, say why."),
        )
    ]  # fmt: skip


def _people(letter: Letter, duty: Duty | None, family: Family) -> list[Finding]:
    found = []
    if set(_sealed_to(letter) or ()) - family.contacts:
        found.append(
            Finding(
                "addressed", True, _("It is addressed to somebody who may not be written to any more."),
                _("Withdraw it, and draft it again: a new one is for who may be written to now."),
            )
        )  # fmt: skip
    elif copies_of(letter.evidence, family.envelopes, family.contacts).moved:
        found.append(
            Finding(
                "moved", True, _("A postal address it was signed for has changed on record, or no letter may go there any more."),
                _("Withdraw it, and draft it again: a new one goes to the address that is known now."),
            )
        )  # fmt: skip
    if not family.recipients and family.silent:
        found.append(
            Finding(
                "no_contact", True, _("Nobody on record may be contacted about this student."),
                _("Find out with the school whom a letter may reach. Do not send this one."),
            )
        )  # fmt: skip
    elif family.silent:
        found.append(
            Finding(
                "no_contact", False,
                _("One person on record may not be contacted. The letter does not name them, and must not reach them by another’s address."),
                _("Say how you made sure of it."),
            )
        )  # fmt: skip
    elif not family.recipients:
        found.append(
            Finding(
                "nobody", False, _("No contact of this family is on record."),
                _("Ask the school for one, or say how the letter will reach them."),
            )
        )  # fmt: skip
    if family.recipients and not any(c.phone or c.email or c.address for c in family.recipients):
        found.append(
            Finding(
                "reach", False, _("No phone number and no address is on record for anybody in this family."),
                _("Say how the letter will reach them, and how you will follow it up."),
            )
        )  # fmt: skip
    elif left := [c.name for c in family.by_hand if not _by_email(c, duty, family)]:
        found.append(
            Finding(
                "address", False, _("The register has no postal address a letter can go to for: %(who)s.") % {"who": ", ".join(left)},
                _("Have the school system send one that nobody under no-contact shares, and look again; or say how you will hand it over."),
            )
        )  # fmt: skip
    if family.languages and letter.language not in family.languages:
        ours = family.language in family.languages and family.language in LANGUAGES
        found.append(
            Finding(
                "language", False, _("The family reads another language than this letter is in."),
                _("Draft it in their language, or say who will read it with them.") if ours
                else _("We have no letter in it. Have it translated by a person, or say who will read it with them."),
            )
        )  # fmt: skip
    return found


def _by_email(contact: Contact, duty: Duty | None, family: Family) -> bool:
    return duty is not None and "email" in duty.methods and contact in family.by_email


def _wording(
    letter: Letter, facts: dict[str, str], items: list[Item], written: dict[str, str], family: Family
) -> tuple[float | None, list[Finding]]:
    found: list[Finding] = []
    whole = "\n".join([letter.body, *written.values()])
    refused = refusals(letter.body, letter.language)
    refused += [r for words in written.values() for r in refusals(words, letter.language) if r not in refused]
    for why, what in refused:
        sentence, to_do = {
            "unknown": (_("%(what)s is no placeholder we know.") % {"what": what}, _("Write the words themselves, or take it out.")),
            "braces": (_("Braces that are no placeholder stand in “%(what)s”.") % {"what": what}, _("Take them out: nothing in a letter is calculated.")),
            "characters": (_("The letter holds characters that cannot be printed: %(what)s") % {"what": " ".join(c if c.isprintable() else "�" for c in what)}, _("Write them in other words.")),
        }[why]  # fmt: skip
        found.append(Finding(f"text_{why}_{len(found)}", True, sentence, to_do))
    for name in passages_in(letter.body):
        if name == "sent_on" and name not in facts:
            found.append(
                Finding("text_unresolved", True, _("Only an apology can say when the first letter was written."), _("Take {sent_on} out."))
            )  # fmt: skip
    for item in items:
        if not item.said:
            found.append(
                Finding(
                    f"contents_{item.key}", True, _("The letter has to say: %(what)s.") % {"what": item.title},
                    _("Write it on the draft, where the list asks for it.") if not item.placeholder
                    else _("Put {help} before the rule.") if item.key == "help_first"
                    else _("Put {%(name)s} back into the text.") % {"name": item.placeholder},
                )
            )  # fmt: skip
    on_record = "\n".join(
        [*facts.values(), *(c.name for c in family.recipients), *(line for e in family.envelopes for line in e.lines)]
    )
    if any(pdf.cannot_set("\n".join([whole, on_record]), letter.language)):
        found.append(
            Finding(
                "fonts", True, _("This letter cannot be printed here: a font for it is missing."),
                _("Ask whoever set Firstbell up to run “make setup”. The draft is kept."),
            )
        )  # fmt: skip
    elif pdf.unreadable(on_record):
        found.append(
            Finding(
                "names", True, _("A name or an address on record holds characters that cannot be printed."),
                _("Have it mended in the school system; it comes with the next delivery."),
            )
        )  # fmt: skip
    read_at = None if refused else grade(prose(letter, facts), letter.language)
    if read_at is not None and read_at > GRADE:
        found.append(
            Finding(
                "grade", False, _("It reads like grade %(grade)s; a family should need no more than grade %(bar)s.")
                % {"grade": f"{read_at:.0f}", "bar": GRADE},
                _("Use shorter sentences and plainer words, or say why it has to be so."),
            )
        )  # fmt: skip
    return read_at, found


def _others(letter: Letter, written: dict[str, str]) -> list[Finding]:
    """Another child of these schools, named in full or by number: each child has a letter of their own."""
    text = " ".join(" ".join([letter.body, *written.values()]).casefold().split())
    schools = [stay.school_id for stay in letter.student.enrolments.all()]
    others = Student.objects.system(WHY).filter(enrolments__school__in=schools).exclude(pk=letter.student_id).distinct()
    own = letter.student
    mine = {f"{first} {own.family_name}".casefold() for first in (own.given_name, own.preferred_name) if first}
    for given, preferred, family, number in others.values_list("given_name", "preferred_name", "family_name", "number"):
        names = {f"{first} {family}".casefold() for first in (given, preferred) if first} - mine
        if number and len(number) > 3:
            names.add(number.casefold())
        if any(name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in names):
            return [
                Finding(
                    "others", True, _("The text names another student of the school."),
                    _("Take it out: each child has a letter of their own."),
                )
            ]  # fmt: skip
    return []
