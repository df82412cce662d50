"""The law in words for a page: statuses, kinds of what is done, units, arithmetic."""

from __future__ import annotations

from fractions import Fraction

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from firstbell.law.clock import NOT_ESCALATED, Position, Status, shows
from firstbell.law.packs import ENDS, Pack
from firstbell.law.sentences import amount, named, number
from firstbell.said import Said

__all__ = ["EVIDENCE", "STATUS", "asked_kinds", "evidence_word", "in_language", "position_words"]

#: what people do, whatever a pack asks for
EVIDENCE = (
    "contact_attempt", "contact", "notice", "conference", "plan", "support_offered", "referral", "assessment", "review", "report", "decision",
)  # fmt: skip
STATUS = {
    Status.CLEAR: gettext_lazy("clear"),
    Status.NEAR: gettext_lazy("near"),
    Status.REACHED: gettext_lazy("reached"),
    Status.DUTY_OPEN: gettext_lazy("to be done"),
    Status.DUTY_DONE: gettext_lazy("done"),
    Status.SUPERSEDED: gettext_lazy("undone by a correction"),
    Status.LOCKED: gettext_lazy("locked"),
    Status.FORBIDDEN: gettext_lazy("not allowed"),
    Status.NOT_EVALUABLE: gettext_lazy("cannot be told"),
}


def in_language(text: str) -> str:
    """A sentence of the law's rooms in the reader's language."""
    return text.into(_, ngettext) if isinstance(text, Said) else text


def evidence_word(kind: str) -> str:
    """A kind of evidence in the reader's language."""
    return in_language(named(kind))


def _amount(value: Fraction, unit: str) -> str:
    return in_language(amount(value, unit))


def position_words(p: Position) -> str:
    """The arithmetic in one line: what is counted, of what, and the room left."""
    if p.threshold is None:
        return in_language(p.why)
    counted = _amount(p.count, p.unit)
    if p.possible is not None and p.threshold <= 1:
        line = _("%(counted)s counted of %(possible)s; the line is %(percent)s %%.") % {
            "counted": counted, "possible": number(p.possible), "percent": number(p.threshold * 100),
        }  # fmt: skip
    else:
        line = _("%(counted)s counted; the line is %(line)s.") % {"counted": counted, "line": number(p.threshold)}
    if p.remaining and p.status in (Status.CLEAR, Status.NEAR):
        line += " " + _("Room: %(room)s.") % {"room": _amount(p.remaining, p.unit)}
    if p.due_in and p.status in (Status.DUTY_OPEN, Status.LOCKED):
        line += " " + _("Due at %(more)s more.") % {"more": _amount(p.due_in, p.unit)}
    return line


def asked_kinds(pack: Pack | None) -> list[str]:
    """What a pack's rules ask for, count or accept, in the order of its rules; then whatever else people do."""
    kinds: dict[str, None] = {}
    for rule in pack.rule if pack else ():
        said = [rule.evidence, rule.window.after_evidence]
        if rule.duty is not None:
            said += [*rule.duty.requires, *rule.duty.done_by]
            if rule.duty.deadline is not None and rule.duty.deadline.from_ not in ("trigger", *ENDS):
                said.append(rule.duty.deadline.from_)
        kinds |= {kind: None for name in said if name and pack is not None for kind, _of in shows(name, pack)}
    return [kind for kind in (kinds | dict.fromkeys(EVIDENCE)) if kind != NOT_ESCALATED]
