"""The law in words for a page: statuses, kinds of what is done, units, arithmetic."""

from __future__ import annotations

from fractions import Fraction

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from firstbell.law.clock import NOT_ESCALATED, Position, Status
from firstbell.law.packs import Pack

__all__ = ["EVIDENCE", "STATUS", "asked_kinds", "evidence_word", "exact", "position_words"]

EVIDENCE = {
    "contact_attempt": gettext_lazy("family called or written to"),
    "contact": gettext_lazy("family reached"),
    "notice": gettext_lazy("written notice given"),
    "conference": gettext_lazy("meeting held"),
    "plan": gettext_lazy("plan made"),
    "support_offered": gettext_lazy("help offered"),
    "referral": gettext_lazy("referred to help"),
    "assessment": gettext_lazy("assessment made"),
    "review": gettext_lazy("case reviewed by the team"),
    "child_study_team": gettext_lazy("child study team met"),
    "report": gettext_lazy("reported to the authority"),
    "decision": gettext_lazy("decision taken"),
    "penalty_notice": gettext_lazy("penalty notice issued"),
    "petition": gettext_lazy("petition filed"),
    "court_referral": gettext_lazy("referred to court"),
    "parent_refusal": gettext_lazy("family refused"),
    "not_escalated": gettext_lazy("not taken further"),
}
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


def evidence_word(kind: str) -> str:
    return str(EVIDENCE.get(kind, kind.replace("_", " ").replace("-", " ")))


def exact(value: Fraction) -> str:
    """A count as it is: 30, 30½ hours as 30.5, a third as 1/3."""
    if value.denominator == 1:
        return str(value.numerator)
    whole = value.denominator
    while whole % 2 == 0:
        whole //= 2
    while whole % 5 == 0:
        whole //= 5
    return f"{float(value):g}" if whole == 1 else str(value)


def _units(unit: str, value: Fraction) -> str:
    n = 1 if value == 1 else 2
    return {
        "days": ngettext("day", "days", n), "half_days": ngettext("half-day", "half-days", n),
        "sessions": ngettext("session", "sessions", n), "hours": ngettext("hour", "hours", n),
        "lesson_hours": ngettext("lesson hour", "lesson hours", n), "events": ngettext("occasion", "occasions", n),
        "times": ngettext("time", "times", n),
    }[unit]  # fmt: skip


def position_words(p: Position) -> str:
    """The arithmetic in one line: what is counted, of what, and the room left."""
    if p.threshold is None:
        return p.why
    counted = f"{exact(p.count)} {_units(p.unit, p.count)}"
    if p.possible is not None and p.threshold <= 1:
        line = _("%(counted)s counted of %(possible)s; the line is %(percent)s %%.") % {
            "counted": counted, "possible": exact(p.possible), "percent": exact(p.threshold * 100),
        }  # fmt: skip
    else:
        line = _("%(counted)s counted; the line is %(line)s.") % {"counted": counted, "line": exact(p.threshold)}
    if p.remaining and p.status in (Status.CLEAR, Status.NEAR):
        line += " " + _("Room: %(room)s.") % {"room": f"{exact(p.remaining)} {_units(p.unit, p.remaining)}"}
    return line


def asked_kinds(pack: Pack | None) -> list[str]:
    """What a pack's rules ask for, count or accept, in the order of its rules; then whatever else people do."""
    kinds: dict[str, None] = {}
    for rule in pack.rule if pack else ():
        said = [*rule.evidence.split("|"), *rule.window.after_evidence.split("|")]
        if rule.duty is not None:
            said += [one for name in rule.duty.requires for one in name.split("|")] + list(rule.duty.done_by)
        kinds |= {kind: None for kind in said if kind and pack is not None and pack.rule_named(kind) is None}
    return [kind for kind in (kinds | dict.fromkeys(EVIDENCE)) if kind != NOT_ESCALATED]
