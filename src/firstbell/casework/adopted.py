"""Which law is in force here: the pack the district adopted, with its own overlay, in the versions of the days asked about."""

from __future__ import annotations

from datetime import date

from firstbell.casework.models import Adoption
from firstbell.law.overlays import with_overlay
from firstbell.law.packs import InForce, Pack, in_force

__all__ = ["adopted", "law_of", "packs_of"]


def adopted(on: date) -> Adoption | None:
    """The approved adoption in force on a day: the one that began last, and of those the one approved last."""
    some = Adoption.objects.filter(starts__lte=on, withdrawn_at=None).exclude(approved_at=None)
    return next((a for a in some.order_by("-starts", "-approved_at", "-pk") if a.ends is None or a.ends >= on), None)


def packs_of(found: Adoption | None) -> tuple[Pack, ...]:
    """Every version of what is adopted, with the district's own. Empty where nothing is."""
    return with_overlay(found.pack, found.overlay) if found else ()


def law_of(found: Adoption | None, first: date, last: date) -> list[InForce]:
    """The versions in force from `first` through `last`, of what is adopted. Empty where nothing is."""
    return in_force(packs_of(found), first, last) if found else []
