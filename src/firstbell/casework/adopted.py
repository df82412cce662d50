"""Which law is in force here: the pack the district adopted, in the versions of the days asked about, each day with the district's own rules of that day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from firstbell.casework.models import Adoption, Firing
from firstbell.law.overlays import by_days, with_overlay
from firstbell.law.packs import InForce, Pack, PackError

__all__ = ["adopted", "law_of", "pack_of", "packs_of", "turns"]


def turns() -> list[tuple[Adoption, date, date | None]]:
    """Which approved adoption is in force from which day through which (None: until something else is), in order.

    Of several it is the one that began last, and of those the one approved last; where it has ended, the one before it.
    """
    some = list(
        Adoption.objects.filter(withdrawn_at=None).exclude(approved_at=None).order_by("-starts", "-approved_at", "-pk")
    )
    days = sorted({a.starts for a in some} | {a.ends + timedelta(days=1) for a in some if a.ends})
    found = []
    for day, after in zip(days, [*days[1:], None], strict=False):
        here = next((a for a in some if a.starts <= day and (a.ends is None or a.ends >= day)), None)
        if here is not None:
            found.append((here, day, after and after - timedelta(days=1)))
    return found


def adopted(on: date) -> Adoption | None:
    """The approved adoption in force on a day. With it comes which own rules on its pack were in force until then, and when."""
    before = [(a, first, last) for a, first, last in turns() if first <= on]
    if not before or (before[-1][2] is not None and before[-1][2] < on):
        return None
    found = before[-1][0]
    found.own_rules = [(first, last, a.overlay) for a, first, last in before if a.pack == found.pack]
    return found


def packs_of(found: Adoption | None) -> tuple[Pack, ...]:
    """Every version of what is adopted, as it is, then with the own rules there were, and with those there are now. Empty where nothing is."""
    if found is None:
        return ()
    texts = dict.fromkeys(["", *(text for _first, _last, text in found.own_rules if text != found.overlay)])
    texts.pop(found.overlay, None)
    return (*(pack for text in texts for pack in _readable(found.pack, text)), *with_overlay(found.pack, found.overlay))


def _readable(pack: str, text: str) -> tuple[Pack, ...]:
    """Own rules of before, where today's reader still takes them: what they said then stops nobody now."""
    try:
        return with_overlay(pack, text)
    except PackError:
        return ()


def pack_of(firing: Firing, some: Sequence[Pack]) -> Pack | None:
    """The very pack a line was reached under; where its words have changed since, the latest of that version."""
    same = [p for p in some if p.id == firing.pack and p.version == firing.version]
    return next((p for p in same if p.sha256 == firing.pack_sha256), same[-1] if same else None)


def law_of(found: Adoption | None, first: date, last: date) -> list[InForce]:
    """The versions in force from `first` through `last`, of what `adopted` found. Empty where it found nothing.

    The statute was in force before the district said that it goes by it, and between two adoptions: on those days it is as it is.
    """
    return [] if found is None else by_days(found.pack, found.own_rules, first, last)
