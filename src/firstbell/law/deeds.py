"""What was done, and what it shows: of a rule's duty, of what must come before a step, of what may not be done once more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from firstbell.law.packs import Duty, InForce, NotAfter, Pack, Rule
from firstbell.law.whom import Person
from firstbell.law.windows import months_before

__all__ = ["NOT_ESCALATED", "Deeds", "Evidence", "named_by", "shows"]

#: a person decided not to go on, and said why
NOT_ESCALATED = "not_escalated"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that was done. `rule`: what it was done about; `to`: to which parent; where that was said."""

    kind: str
    date: date
    rule: str = ""
    to: str = ""


class Deeds:
    """What was done for one student. `begun`: rule -> since when what is done shows its duty done, as far as is known yet."""

    def __init__(self, all_: Sequence[Evidence]) -> None:
        self.all = all_
        self.begun: dict[str, date] = {}

    def showing(self, name: str, pack: Pack, begun: Mapping[str, date] | None = None) -> list[Evidence]:
        """What was done that shows it; of a rule's duty, only since its line was reached, and nothing where it was not."""
        if not self.all:
            return []
        ways, begun = shows(name, pack), self.begun if begun is None else begun
        return [
            e for e in self.all
            if any(
                e.kind == kind and (not rule or (e.rule in ("", rule) and rule in begun and e.date >= begun[rule]))
                for kind, rule in ways
            )
        ]  # fmt: skip

    def first(self, name: str, pack: Pack, since: date) -> date | None:
        """The first day from `since` on that shows it."""
        return min((e.date for e in self.showing(name, pack) if e.date >= since), default=None)

    def answering(self, rule: Rule) -> list[Evidence]:
        """What shows a rule's own duty done, whenever it was."""
        duty = rule.duty
        if duty is None:
            return []
        kinds = (*duty.shown_by, *([NOT_ESCALATED] if duty.may else ()))
        return [e for e in self.all if e.kind in kinds and e.rule in ("", rule.id, duty.done_from)]

    def missing(self, duty: Duty, pack: Pack, since: date, away: date) -> Iterator[str]:
        """What must be on record and is not: this year, or since the window began. What shows another rule's duty done counts since that rule's
        line was reached, or where it never was, since the first day the student was away on; what the institution owes it may have done before."""
        at_least = (
            dict.fromkeys((rule.id for rule in pack.rule), away)
            | {owed.id: since for owed in pack.institution}
            | self.begun
        )
        for name in duty.requires:
            if not any(e.date >= since for e in self.showing(name, pack, at_least)):
                yield " or ".join(name.split("|"))

    def forbids(self, rule: Rule, duty: Duty, person: Person, at: date) -> Iterator[str]:
        """Why a step may not be taken at all."""
        yield from sorted(person.flags & set(duty.forbidden_if))
        limit = duty.not_after
        if limit is not None and len(self.had_enough(rule, duty, person, at)) == len(
            self._parents(rule, limit, person)
        ):
            yield f"{limit.evidence} {limit.times} times in {limit.years} years"

    def had_enough(self, rule: Rule, duty: Duty, person: Person, at: date) -> list[str]:
        """Of those a limit is asked of, who has had it as often as the law allows."""
        if (limit := duty.not_after) is None:
            return []
        since = months_before(at, 12 * limit.years)
        given = [e.to for e in self.all if e.kind in limit.evidence.split("|") and e.date > since]
        return [
            who
            for who in self._parents(rule, limit, person)
            if sum(not who or to in ("", who) for to in given) >= limit.times
        ]

    def _parents(self, rule: Rule, limit: NotAfter, person: Person) -> list[str]:
        """Whom a limit is asked of, one by one; "" where of all alike."""
        named = {e.to for e in self.all if e.to and e.kind in limit.evidence.split("|")} | set(person.parents)
        return (sorted(named) if rule.per == "parent" else []) or [""]


def shows(name: str, pack: Pack) -> list[tuple[str, str]]:
    """What shows something named in a rule done: kinds of evidence, each with the rule it must be about ("" for any). "a|b" is either."""
    found: list[tuple[str, str]] = []
    for one in name.split("|"):
        other, owed = pack.rule_named(one), pack.institution_named(one)
        if owed is not None:
            found += [(kind, one) for kind in owed.done_by]
        elif other is None or other.duty is None:
            found.append((one, ""))
        else:
            about = [one, *([other.duty.done_from] if pack.rule_named(other.duty.done_from) else ())]
            found += [(kind, rule) for rule in about for kind in other.duty.shown_by]
    return found


def named_by(law: Sequence[InForce], some: Collection[str]) -> set[str]:
    """What rules name, and what that names in turn: kinds of evidence, rules whose duty comes first, and those they give way to."""
    found: set[str] = set()
    new = set(some)
    while new:
        rules = [r for v in law for r in v.pack.rule if r.id in new]
        names = {
            n for r in rules for n in (r.evidence, r.window.after_evidence, r.gives_way_to, *_named_by_duty(r.duty))
        }
        new = {one for name in names for one in name.split("|")} - found
        found |= new
    return found


def _named_by_duty(duty: Duty | None) -> tuple[str, ...]:
    return () if duty is None else (*duty.requires, duty.done_from, duty.deadline.from_ if duty.deadline else "")
