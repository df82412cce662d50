"""What a letter has to say, and what in it shows that it does: a passage of ours, or a line somebody wrote."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firstbell.casework.letters.models import Letter
from firstbell.casework.letters.wording import passages_in
from firstbell.law.packs import Duty

__all__ = ["Item", "checklist", "for_others", "written_keys"]

#: what every letter of the house says, whatever its pack asks for
ALWAYS = ("child_named", "dates", "support_offered", "how_to_correct", "contact", "interpreter")
ALWAYS_IN_AN_APOLOGY = ("child_named", "sent_on", "support_offered", "how_to_correct", "contact", "interpreter")
#: a key of a pack's `contents` -> the placeholder that shows it said
SHOWN_BY = {
    "child_named": "child", "student": "child", "pupil": "child", "school_named": "school", "sent_on": "sent_on",
    "dates": "days", "date": "days", "unexcused_dates": "days", "absences": "days", "days_this_term": "days", "absences_discussed": "days",
    "how_to_correct": "how_to_correct", "how_to_explain": "how_to_correct", "or_give_an_excuse": "how_to_correct",
    "contact": "contact", "support_offered": "help", "supports": "help", "interpreter": "interpreter", "rule": "rule",
    "meeting_offered": "meeting",
}  # fmt: skip
WORDS = {
    "child": gettext_lazy("the child’s name"),
    "school": gettext_lazy("the school’s name"),
    "days": gettext_lazy("the days missed"),
    "help": gettext_lazy("an offer of help"),
    "how_to_correct": gettext_lazy("how to say that a mark is wrong"),
    "contact": gettext_lazy("a named contact"),
    "interpreter": gettext_lazy("help in another language"),
    "rule": gettext_lazy("the rule"),
    "meeting": gettext_lazy("an offer to meet"),
    "sent_on": gettext_lazy("when the first letter was written"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """`placeholder`: what shows it; empty where a person has to write it (`written`)."""

    key: str
    title: str
    placeholder: str
    written: str
    said: bool


def _plain(key: str) -> str:
    return key.replace("_", " ")


def for_others(duty: Duty | None) -> str:
    """Whom the duty's own document goes to, where that is not the family: then its contents are not this letter's."""
    if (
        duty is None
        or not duty.recipients
        or any(r.startswith(("parent", "student", "pupil")) for r in duty.recipients)
    ):
        return ""
    return ", ".join(_plain(r) for r in duty.recipients)


def _contents(duty: Duty | None) -> tuple[str, ...]:
    return () if duty is None or for_others(duty) else duty.contents


def written_keys(duty: Duty | None) -> list[str]:
    """What the pack asks for and no passage of ours says."""
    return [key for key in _contents(duty) if key not in SHOWN_BY]


def checklist(letter: Letter, duty: Duty | None, written: dict[str, str]) -> list[Item]:
    """Everything this letter has to say, in the pack's order after the house's own; each once."""
    apology = letter.kind == Letter.Kind.CORRECTION
    asked = ALWAYS_IN_AN_APOLOGY if apology else (*ALWAYS, *_contents(duty))
    there = passages_in(letter.body)
    if "next_step" in there:
        there.append("rule")  # it names the rule, and where to read it
    found: dict[str, Item] = {}
    for key in asked:
        placeholder = SHOWN_BY.get(key, "")
        if placeholder:
            found.setdefault(placeholder, Item(key, str(WORDS[placeholder]), placeholder, "", placeholder in there))
        else:
            words = written.get(key, "").strip()
            found.setdefault(f" {key}", Item(key, _plain(key), "", words, bool(words)))
    if not apology:
        duties = [there.index(name) for name in ("rule", "next_step") if name in there]
        first = "help" in there and all(there.index("help") < at for at in duties)
        found[" order"] = Item("help_first", _("help offered before any duty is named"), "help", "", first)
    return list(found.values())
