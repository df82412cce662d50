"""Which law is in force here: the pack the district adopted, with its own overlay, in the versions of the days asked about."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from firstbell.casework.models import Adoption
from firstbell.law.overlays import on_versions
from firstbell.law.packs import InForce, Pack, in_force, versions

__all__ = ["adopted", "law_of", "with_overlay"]


def adopted(on: date) -> Adoption | None:
    """The approved adoption in force on a day: the one that began last, and of those the one approved last."""
    some = Adoption.objects.filter(starts__lte=on, withdrawn_at=None).exclude(approved_at=None)
    return next((a for a in some.order_by("-starts", "-approved_at", "-pk") if a.ends is None or a.ends >= on), None)


@lru_cache(maxsize=16)  # a text is read once; built-in packs do not change while a process runs
def with_overlay(pack: str, overlay: str) -> tuple[Pack, ...]:
    """A pack's versions, each with the overlay where the overlay can be laid on it."""
    some = versions(pack)
    return on_versions(some, overlay, "the district's own rules") if overlay else some


def law_of(found: Adoption | None, first: date, last: date) -> list[InForce]:
    """The versions in force from `first` through `last`, of what is adopted. Empty where nothing is."""
    return in_force(with_overlay(found.pack, found.overlay), first, last) if found else []
