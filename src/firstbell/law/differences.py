"""What one version of a pack changes against another, in words; also what a district's own rules change in their pack.

Nothing that differs goes unsaid: each field of a rule and its duty has its sentence (a test walks the fields), so that whoever approves a
change has read all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from firstbell.law import sentences as words_of
from firstbell.law.packs import Institution, Overlay, Pack, Prohibition, Rule, Source
from firstbell.law.sentences import amount, contents, listed, named, unit
from firstbell.said import Said, said

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """rule: which it is about; empty: the pack itself. loosens: the reason given where it takes help or protection away."""

    rule: str
    words: Said
    loosens: str = ""


def differences(before: Pack, after: Pack, overlay: Overlay | None = None) -> list[Difference]:
    """From `before` to `after`, in the order of `after`'s rules, what is gone last. `overlay`: the file that made `after`, for its reasons."""
    reasons = {c.id: c.loosens.strip() for c in overlay.change} if overlay is not None else {}
    found = [Difference("", words) for words in _of_pack(before, after)]
    for rule in after.rule:
        was = before.rule_named(rule.id)
        if was is None:
            found.append(Difference(rule.id, said("This rule is new.")))
            found += [Difference(rule.id, words) for words in words_of.in_words(rule, after)]
            continue
        found += [Difference(rule.id, words, reasons.get(rule.id, "")) for words in _of_rule(was, rule, before, after)]
    found += [
        Difference(r.id, said("This rule is no longer there.")) for r in before.rule if after.rule_named(r.id) is None
    ]
    return found


def _was_is(template: Callable[[Any, Any], Said], was: Any, is_: Any) -> Iterator[Said]:
    if was != is_:
        yield template(was, is_)


def _none(names: Sequence[str]) -> list[str]:
    return list(names) or [said("nothing")]


def _sets(
    was: Sequence[str], is_: Sequence[str], more: Callable[[list[str]], Said], fewer: Callable[[list[str]], Said]
) -> Iterator[Said]:
    """What was added to a list, and what was taken away."""
    if added := [name for name in is_ if name not in was]:
        yield more(added)
    if gone := [name for name in was if name not in is_]:
        yield fewer(gone)


def _of_pack(before: Pack, after: Pack) -> Iterator[Said]:
    yield from _was_is(
        lambda a, b: said("Its title was “%(old)s”, and is “%(new)s”.", old=a, new=b), before.title, after.title
    )
    if before.ages != after.ages:
        was, is_ = (
            said("ages %(first)s to %(last)s", first=p.ages.from_, last=p.ages.under - 1) if p.ages else said("any age")
            for p in (before, after)
        )
        yield said("It was about %(old)s, and is about %(new)s.", old=was, new=is_)
        if (
            before.ages
            and after.ages
            and (before.ages.from_, before.ages.under) == (after.ages.from_, after.ages.under)
        ):
            yield said("How those ages are reckoned is another.")
    if before.effective_to != after.effective_to:
        first, then = (p.effective_to.isoformat() if p.effective_to else said("no end") for p in (before, after))
        yield said("Its last day was %(old)s, and is %(new)s.", old=first, new=then)
    yield from _sets(
        before.metrics,
        after.metrics,
        lambda n: said("Also measured: %(what)s.", what=n),
        lambda n: said("No longer measured: %(what)s.", what=n),
    )
    yield from _of_named(before.source, after.source, _source)
    yield from _of_named(before.institution, after.institution, lambda a, b: _institution(a, b, before, after))
    yield from _of_named(before.prohibition, after.prohibition, _prohibition)
    for name in after.counts:
        if name not in before.counts:
            yield said("A new count, %(name)s: %(words)s", name=name, words=words_of.count_words(after.counts[name]))


def _of_named(was: Iterable[Any], is_: Iterable[Any], words: Callable[[Any, Any], Iterator[Said]]) -> Iterator[Said]:
    old, new = {x.id: x for x in was}, {x.id: x for x in is_}
    for name in [*new, *(n for n in old if n not in new)]:
        if old.get(name) != new.get(name):
            yield from words(old.get(name), new.get(name))


def _source(was: Source | None, is_: Source | None) -> Iterator[Said]:
    if was is None or is_ is None:
        one = is_ or was
        assert one is not None
        yield (
            said("A new source: %(citation)s.", citation=one.citation)
            if was is None
            else said("A source is gone: %(citation)s.", citation=one.citation)
        )
        return
    yield from _was_is(
        lambda a, b: said("A source was %(old)s, and is %(new)s.", old=a, new=b), was.citation, is_.citation
    )
    if was.read != is_.read:
        yield (
            said("%(citation)s was recalled, and has been read since.", citation=is_.citation) if is_.read
            else said("%(citation)s had been read, and is only recalled now.", citation=is_.citation)
        )  # fmt: skip
    if (was.words, was.url, was.note, was.read_on) != (is_.words, is_.url, is_.note, is_.read_on):
        yield said("What is quoted or noted of %(citation)s is another.", citation=is_.citation)


def _institution(was: Institution | None, is_: Institution | None, before: Pack, after: Pack) -> Iterator[Said]:
    if is_ is None:
        assert was is not None
        yield said("The institution no longer owes: %(title)s.", title=was.title)
        return
    words = words_of.institution_words(is_, after)
    if was is None:
        yield said("The institution newly owes: %(title)s.", title=is_.title)
        yield from words
    elif (was.title, words_of.institution_words(was, before)) != (is_.title, words):
        yield said("What the institution owed as “%(old)s” is now: %(title)s.", old=was.title, title=is_.title)
        yield from words
    else:
        yield said("Where %(title)s is written, what shows it done or the note on it is another.", title=is_.title)


def _prohibition(was: Prohibition | None, is_: Prohibition | None) -> Iterator[Said]:
    if is_ is None:
        assert was is not None
        yield said("No longer forbidden: %(title)s (%(steps)s).", title=was.title, steps=listed(was.steps))
    elif was is None:
        yield said("Newly forbidden: %(title)s (%(steps)s).", title=is_.title, steps=listed(is_.steps))
    else:
        yield said(
            "Forbidden was: %(old)s (%(oldsteps)s); is: %(new)s (%(steps)s).",
            old=was.title,
            oldsteps=listed(was.steps),
            steps=listed(is_.steps),
            new=is_.title,
        )


def _of_rule(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    for field in was.__struct_fields__:
        yield from _RULE[field](was, is_, before, after)


def _title(was: Rule, is_: Rule, _before: Pack, _after: Pack) -> Iterator[Said]:
    yield from _was_is(
        lambda a, b: said("Its title was “%(old)s”, and is “%(new)s”.", old=a, new=b), was.title, is_.title
    )


def _cited(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.source != is_.source:
        yield said(
            "It was written in %(old)s, and is in %(new)s.",
            old=before.cited(was).citation,
            new=after.cited(is_).citation,
        )


def _counted(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    """Also where the count kept its name and counts otherwise."""
    old = before.counts[was.count] if was.count is not None else None
    new = after.counts[is_.count] if is_.count is not None else None
    if (old, was.evidence) == (new, is_.evidence):
        return
    a = words_of.count_words(old) if old is not None else named(was.evidence, before)
    b = words_of.count_words(new) if new is not None else named(is_.evidence, after)
    if a == b:
        yield said("How it counts was changed in its unit or its note: %(words)s", words=b)
    else:
        yield said("Counted was: %(old)s Now: %(new)s", old=a, new=b)


def _threshold(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.threshold != is_.threshold:
        a, b = (words_of.threshold_words(r.threshold, unit(r, p)) for r, p in ((was, before), (is_, after)))
        yield said("The line was %(old)s, and is %(new)s.", old=a, new=b)


def _window(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.window != is_.window:
        yield said(
            "What counts together was: %(old)s; is: %(new)s.",
            old=words_of.window_words(was.window, before),
            new=words_of.window_words(is_.window, after),
        )


def _applies(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.applies != is_.applies:
        everybody = [said("About everybody.")]
        a, b = (words_of.applies_words(r.applies, p) or everybody for r, p in ((was, before), (is_, after)))
        yield said("Whom it is about was: %(old)s Now: %(new)s", old=list(a), new=list(b))


def _once(was: Rule, is_: Rule, _before: Pack, _after: Pack) -> Iterator[Said]:
    if was.once != is_.once:
        yield (
            said("It asked anew each time; it asks once a school year now.") if is_.once == "year"
            else said("It asked once a school year; it asks anew each time now.")
        )  # fmt: skip


def _near(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.near != is_.near:
        a, b = amount(was.near, unit(was, before)), amount(is_.near, unit(is_, after))
        yield said("Somebody was told when %(old)s were left, and is told when %(new)s are.", old=a, new=b)


def _per(was: Rule, is_: Rule, _before: Pack, _after: Pack) -> Iterator[Said]:
    if was.per != is_.per:
        yield (
            said("What was done counted together; now it counts for each parent by themselves.") if is_.per == "parent"
            else said("What was done counted for each parent by themselves; now it counts together.")
        )  # fmt: skip


def _gives_way(was: Rule, is_: Rule, _before: Pack, _after: Pack) -> Iterator[Said]:
    if was.gives_way_to != is_.gives_way_to:
        yield (
            said("Once the line of %(rule)s is reached, that rule asks in its place now.", rule=is_.gives_way_to) if is_.gives_way_to
            else said("It no longer gives way to %(rule)s.", rule=was.gives_way_to)
        )  # fmt: skip


def _note(was: Rule, is_: Rule, _before: Pack, _after: Pack) -> Iterator[Said]:
    if was.note != is_.note:
        yield said("The pack’s note on it is another.")


def _nothing(*_of: object) -> Iterator[Said]:
    return iter(())


def _duty(was: Rule, is_: Rule, before: Pack, after: Pack) -> Iterator[Said]:
    if was.duty is None and is_.duty is not None:
        yield said("It asks for something now.")
        yield from words_of.duty_words(is_.duty, after)
    elif is_.duty is None and was.duty is not None:
        yield said("It asks for nothing now; it asked for %(what)s.", what=words_of.DUTIES[was.duty.kind])
    elif was.duty is not None and is_.duty is not None and was.duty != is_.duty:
        for field in was.duty.__struct_fields__:
            a, b = getattr(was.duty, field), getattr(is_.duty, field)
            if a != b:
                yield from _DUTY[field](a, b, after)


def _named_change(
    template: Callable[[Any, Any], Said], names: dict[str, Said]
) -> Callable[[Any, Any, Pack], Iterator[Said]]:
    return lambda a, b, _pack: iter([template(names[a], names[b])])


_RULE: dict[str, Callable[[Rule, Rule, Pack, Pack], Iterator[Said]]] = {
    "id": _nothing, "title": _title, "source": _cited, "count": _counted, "evidence": _nothing, "threshold": _threshold, "window": _window,
    "applies": _applies, "once": _once, "near": _near, "gives_way_to": _gives_way, "per": _per, "duty": _duty, "note": _note,
}  # fmt: skip
_DUTY: dict[str, Callable[[Any, Any, Pack], Iterator[Said]]] = {
    "kind": _named_change(lambda a, b: said("What it asks for was %(old)s, and is %(new)s.", old=a, new=b), words_of.DUTIES),
    "title": lambda a, b, _: iter([said("The step was called “%(old)s”, and is called “%(new)s”.", old=a, new=b)]),
    "severity": _named_change(lambda a, b: said("It was %(old)s, and is %(new)s.", old=a, new=b), words_of.SEVERITIES),
    "may": lambda _a, b, _: iter([said("The law asked for it; now it allows it.") if b else said("The law allowed it; now it asks for it.")]),
    "deadline": lambda a, b, pack: iter([
        said("The deadline was %(old)s, and is %(new)s.", old=words_of.deadline_words(a, pack), new=words_of.deadline_words(b, pack))
    ]),
    "requires": lambda a, b, pack: _sets(
        a, b, lambda n: said("Before it, there must now also be on record: %(what)s.", what=listed(n, pack)),
        lambda n: said("Before it, there need no longer be on record: %(what)s.", what=listed(n)),
    ),
    "forbidden_if": lambda a, b, _: _sets(
        a, b, lambda n: said("It may no longer be taken for a student who is or has: %(flags)s.", flags=listed(n)),
        lambda n: said("It may now also be taken for a student who is or has: %(flags)s.", flags=listed(n)),
    ),
    "contents": lambda a, b, _: _sets(
        a, b, lambda n: said("The letter must now also say: %(what)s.", what=contents(n)),
        lambda n: said("The letter need no longer say: %(what)s.", what=contents(n)),
    ),
    "recipients": lambda a, b, _: _sets(
        a, b, lambda n: said("It now also goes to: %(who)s.", who=listed(n)), lambda n: said("It no longer goes to: %(who)s.", who=listed(n))
    ),
    "methods": lambda a, b, _: _sets(
        a, b, lambda n: said("It may now also reach them by: %(ways)s.", ways=listed(n)), lambda n: said("It may no longer reach them by: %(ways)s.", ways=listed(n))
    ),
    "done_by": lambda a, b, _: iter([said("It was shown done by: %(old)s; now by: %(new)s.", old=_none(listed(a)), new=_none(listed(b)))]),
    "done_from": lambda a, b, _: iter([said("What was done showed it done %(old)s; now %(new)s.", old=words_of.since_words(a), new=words_of.since_words(b))]),
    "not_after": lambda a, b, _: iter([said("How often it may be taken was: %(old)s; is: %(new)s.", old=words_of.not_after_words(a), new=words_of.not_after_words(b))]),
    "language": lambda a, b, _: iter([said("Its language was %(old)s, and is %(new)s.", old=named(a), new=named(b))]),
    "sign_off": lambda a, b, _: iter([said("Signed by was: %(old)s; is: %(new)s.", old=_signers(a), new=_signers(b))]),
    "blocks": lambda a, b, _: iter([said("Until it is done, these could not be taken: %(old)s; now: %(new)s.", old=_none(listed(a)), new=_none(listed(b)))]),
}  # fmt: skip


def _signers(sign_off: Any) -> list[str]:
    return [role for role in (sign_off.role, sign_off.second_role) if role]
