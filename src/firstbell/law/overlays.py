"""A district's own rules laid on a pack: what tightens or adds is taken, what loosens is refused unless it says why.

Help may come sooner and a sanction later; the other way round is loosening.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache

import msgspec

from firstbell.law.packs import (
    ChangedRule,
    Deadline,
    Duty,
    InForce,
    Overlay,
    Pack,
    PackError,
    Rule,
    Threshold,
    Window,
    checked,
    hashed,
    in_force,
    read,
    refuse,
    versions,
)

__all__ = ["by_days", "in_turn", "on_versions", "overlaid", "read_overlay", "with_overlay"]

#: kinds of duty that are a sanction, or open the way to one, whatever else the pack says of them
_SANCTIONS = ("report_authority", "consider_sanction", "petition")
#: help, which may be asked for before more help without anybody waiting for it in vain
_HELP = frozenset({"contact_attempt", "contact", "support_offered", "referral", "assessment", "plan", "conference"})


def _is_sanction(rule: Rule) -> bool:
    return rule.duty is not None and (rule.duty.severity == "punitive" or rule.duty.kind in _SANCTIONS)


def _owed(duty: Duty | None) -> bool:
    """A report the law asks for: no district is free to make it later."""
    return duty is not None and duty.kind == "report_authority" and not duty.may


def _barred(pack: Pack) -> set[str]:
    """What may never be done for absence alone, and what shows a sanction taken and no help given."""
    shows: dict[bool, set[str]] = {True: set(), False: set()}
    for rule in pack.rule:
        if rule.duty is not None:
            shows[rule.duty.severity == "punitive"] |= set(rule.duty.shown_by)
    return {step for one in pack.prohibition for step in one.steps} | (shows[True] - shows[False])


def read_overlay(text: str, where: str, on: Pack) -> Overlay:
    """A district's own rules, if they tighten or add, or say why they don't (`loosens`).

    Tighter is: help sooner and for more children; a sanction later, for fewer, and after more was tried.
    """
    overlay = read(Overlay, text, where)
    if overlay.on != on.id:
        raise refuse(where, text, "$.on", f"This overlay is for {overlay.on}, not for {on.id}.")
    if overlay.effective_to is not None and overlay.effective_to < overlay.effective_from:
        raise refuse(where, text, "$.effective_to", "It ends before it begins.")
    checked(overlay, text, where, on)
    barred = _barred(on)
    for i, own in enumerate(overlay.rule):
        if _is_sanction(own):
            raise refuse(
                where, text, f"$.rule[{i}].duty",
                f"{own.id}: a district's own rule may tell and help; a sanction, a report or a petition has to stand in the law's own pack.",
            )  # fmt: skip
        if step := next((kind for kind in own.duty.done_by if kind in barred), "") if own.duty else "":
            raise refuse(
                where, text, f"$.rule[{i}].duty.done_by",
                f"{own.id} is done by {step}, which the law bars or keeps for a sanction of its own; a district's own rule may tell and help.",
            )  # fmt: skip
    changed: set[str] = set()
    for i, change in enumerate(overlay.change):
        rule, at = on.rule_named(change.id), f"$.change[{i}]"
        if rule is None:
            raise refuse(
                where, text, at, f"{on.id} has no rule {change.id}. It has: {', '.join(r.id for r in on.rule)}."
            )
        if change.id in changed:
            raise refuse(where, text, at, f"{change.id} is changed twice; say all of it in one place.")
        changed.add(change.id)
        if said := _wrong(rule, change):
            raise refuse(where, text, f"{at}.{said[0]}", f"{change.id}: {said[1]}")
        if not change.loosens.strip() and (said := _loosens(rule, change)):
            raise refuse(
                where, text, f"{at}.{said[0]}", f"{change.id}: {said[1]} If that is meant, say why with `loosens`."
            )
    return msgspec.structs.replace(overlay, sha256=hashed(text))


def _wrong(rule: Rule, change: ChangedRule) -> tuple[str, str] | None:
    """What can't be set in this rule, whoever gives a reason: the field, and why."""
    t = change.threshold
    if t is not None:
        if t.local:
            return "threshold.local", "here the district sets the number."
        if (t.share is not None) == (t.count is not None or bool(t.by_grade)):
            return "threshold", "a threshold needs either a count or a share, not both."
        if not t.least:
            return "threshold", "the line would be at nothing, and nobody would be told."
        if t.of == "window" and rule.window.kind != "rolling_school_days":
            return "threshold.of", "a share of the window needs rolling school days."
        if rule.evidence and t.share is not None:
            return "threshold.share", "the rule counts what was done, and there is no share of that."
        if (
            rule.threshold.local
            and rule.threshold.least is not None
            and (words := _threshold_loosens(rule, t, _is_sanction(rule)))
        ):
            return "threshold", f"the law leaves the number to the district, and sets a bound: {words}"
    w = change.window
    if w is not None and w.lacks:
        return "window", "a rolling window and a school month have a length, and no other window has."
    if w is not None and (t or rule.threshold).of == "window" and w.kind != "rolling_school_days":
        return "window", "a share of the window needs rolling school days."
    fields = ("deadline", "requires", "forbidden_if", "contents")
    if rule.duty is None and (field := next((f for f in fields if getattr(change, f)), "")):
        return field, "the rule asks for nothing to be done, so there is nothing this could change."
    if rule.id in change.requires:
        return "requires", "a step can't wait for itself."
    d = change.deadline
    if d is not None and d.not_before > d.value:
        return "deadline", "it could not be done before it is too late."
    return None


def _loosens(rule: Rule, change: ChangedRule) -> tuple[str, str] | None:
    """What a change would take away, help or protection: the field, and the sentence."""
    sanction = _is_sanction(rule)
    if change.threshold is not None and (words := _threshold_loosens(rule, change.threshold, sanction)):
        return "threshold", words
    if change.window is not None and (words := _window_loosens(rule, change.window, sanction)):
        return "window", words
    if change.near is not None and change.near < rule.near:
        return "near", "somebody would be told later that the line is near."
    if (
        rule.duty is not None
        and change.deadline is not None
        and (words := _deadline_loosens(rule.duty, change.deadline, sanction))
    ):
        return "deadline", words
    if rule.duty is not None and rule.duty.severity == "supportive" and not sanction:
        if waits := [
            name for name in change.requires if name not in rule.duty.requires and not set(name.split("|")) <= _HELP
        ]:
            return "requires", f"help would wait for {', '.join(waits)}."
        if kept := [flag for flag in change.forbidden_if if flag not in rule.duty.forbidden_if]:
            return "forbidden_if", f"help would be kept from students with: {', '.join(kept)}."
    return None


def _threshold_loosens(rule: Rule, new: Threshold, sanction: bool) -> str:
    old = rule.threshold
    if old.least is None:  # the district's to set
        return ""
    if (new.share is None) != (old.share is None) or new.of != old.of:
        return "the threshold is of another kind, and nothing says whether it comes sooner or later."
    later, sooner = new.minimum > old.minimum, new.minimum < old.minimum
    for was, is_ in _side_by_side(old, new):
        later |= is_ is None or (was is not None and (is_ > was or (is_ == was and new.op == ">" and old.op == ">=")))
        sooner |= was is None or (is_ is not None and (is_ < was or (is_ == was and new.op == ">=" and old.op == ">")))
    if sanction and sooner:
        return "a sanction would come sooner than the pack has it."
    if sanction:
        return "the law asks for this report, and it would come later." if later and _owed(rule.duty) else ""
    return "help would come later than the pack has it." if later else ""


def _window_loosens(rule: Rule, new: Window, sanction: bool) -> str:
    """Of a longer window more days count together: right for help, and not for a sanction."""
    old = rule.window
    alike = msgspec.structs.replace(old, length=None, across_years=False) == msgspec.structs.replace(
        new, length=None, across_years=False
    )
    was, is_ = (old.length or 1, old.across_years), (new.length or 1, new.across_years)
    if not alike or rule.threshold.share is not None or (old.kind == "school_month" and was[0] != is_[0]):
        return (
            ""
            if new == old
            else "what counts together is of another kind, and nothing says whether it comes sooner or later."
        )
    longer, shorter = (is_[0] > was[0] or is_[1] > was[1]), (is_[0] < was[0] or is_[1] < was[1])
    if sanction and longer:
        return "of a longer window a sanction would come sooner than the pack has it."
    if sanction:
        return (
            "of a shorter window the report the law asks for would come later." if shorter and _owed(rule.duty) else ""
        )
    return "of a shorter window help would come later than the pack has it." if shorter else ""


def _side_by_side(old: Threshold, new: Threshold) -> list[tuple[Fraction | None, Fraction | None]]:
    """The two numbers of each grade that either names, and of all others; None where there is none."""
    if old.share is not None and new.share is not None:
        return [(Fraction(old.share), Fraction(new.share))]
    grades = {"", *(grade for t in (old, new) for g in t.by_grade for grade in g.grades)}
    pairs = [(old.count_for(grade), new.count_for(grade)) for grade in grades]
    return [pair for pair in pairs if pair != (None, None)]


def _deadline_loosens(duty: Duty, new: Deadline, sanction: bool) -> str:
    now = duty.deadline
    if now is None:
        if sanction:
            return "the pack lets a sanction wait, and sets no day for it."
        return "the pack lets it be done at once." if new.not_before else ""
    if (new.unit, new.from_, new.before) != (now.unit, now.from_, now.before):
        return "the deadline is of another kind, and nothing says whether it comes sooner or later."
    days = now.unit.replace("_", " ")
    if new.not_before < now.not_before:
        return f"the pack gives the family {now.not_before} {days} first."
    if sanction and new.value < now.value:
        return f"the pack allows {now.value} {days}, and a sanction may not be hurried."
    if sanction:
        late = new.value > now.value and _owed(duty)
        return f"the law asks for this report within {now.value} {days}." if late else ""
    if new.not_before > now.not_before:
        return "the pack lets it be done sooner."
    return f"the pack allows {now.value} {days}, and a district may only be quicker." if new.value > now.value else ""


def overlaid(pack: Pack, overlay: Overlay) -> Pack:
    """The pack as the district has it."""
    changes = {c.id: c for c in overlay.change}

    def changed(rule: Rule) -> Rule:
        c = changes.get(rule.id)
        if c is None:
            return rule
        duty = rule.duty
        if duty is not None:
            duty = msgspec.structs.replace(
                duty, deadline=c.deadline or duty.deadline, requires=tuple(dict.fromkeys((*duty.requires, *c.requires))),
                forbidden_if=tuple(dict.fromkeys((*duty.forbidden_if, *c.forbidden_if))),
                contents=tuple(dict.fromkeys((*duty.contents, *c.contents))),
            )  # fmt: skip
        return msgspec.structs.replace(
            rule,
            threshold=c.threshold or rule.threshold,
            window=c.window or rule.window,
            near=rule.near if c.near is None else c.near,
            duty=duty,
        )

    return msgspec.structs.replace(
        pack, source=(*pack.source, *overlay.source), counts={**pack.counts, **overlay.counts},
        rule=(*map(changed, pack.rule), *overlay.rule), sha256=hashed(pack.sha256 + overlay.sha256),
    )  # fmt: skip


def on_versions(some: Sequence[Pack], text: str, where: str) -> tuple[Pack, ...]:
    """A pack's versions, each with the overlay where the overlay can be laid on it. Raises PackError where it can be laid on none."""
    made, refused = [], None
    for version in some:
        try:
            made.append(overlaid(version, read_overlay(text, where, version)))
        except PackError as error:
            made.append(version)
            refused = error
    if refused is not None and all(a is b for a, b in zip(made, some, strict=True)):
        raise refused
    return tuple(made)


@lru_cache(maxsize=16)  # a text is read once; built-in packs do not change while a process runs
def with_overlay(pack: str, overlay: str) -> tuple[Pack, ...]:
    """A pack's versions, each with the overlay where the overlay can be laid on it."""
    some = versions(pack)
    return on_versions(some, overlay, "the district's own rules") if overlay else some


def by_days(pack: str, own: Iterable[tuple[date, date | None, str]], first: date, last: date) -> list[InForce]:
    """`in_turn`, of a built-in pack. own: from which day through which the district's rules were these. Texts of other days are not read."""
    days = [(begins, ends, text) for begins, ends, text in own if begins <= last and (ends is None or ends >= first)]
    laid = [(with_overlay(pack, text), begins, ends) for begins, ends, text in days]
    return in_turn(versions(pack), laid, first, last)


def in_turn(
    plain: Sequence[Pack], own: Sequence[tuple[Sequence[Pack], date, date | None]], first: date, last: date
) -> list[InForce]:
    """The versions in force from `first` through `last`, oldest first, each day with the district's own rules of that day.

    plain   a pack's versions; own: the same with own rules on them, from which day through which. On all other days the pack is as it is.
    """
    if first > last:
        return []
    days = {first, *(d for _some, begins, ends in own for d in (begins, (ends or last) + timedelta(days=1)))}
    turns = sorted(d for d in days if first <= d <= last)
    found: list[InForce] = []
    for turn, after in zip(turns, [*turns[1:], last + timedelta(days=1)], strict=True):
        some = next((p for p, begins, ends in own if begins <= turn and (ends is None or turn <= ends)), plain)
        for span in in_force(some, turn, after - timedelta(days=1)):
            if found and found[-1].pack.sha256 == span.pack.sha256:  # nothing of it has changed
                span = InForce(span.pack, found.pop().first, span.last)
            found.append(span)
    return found
