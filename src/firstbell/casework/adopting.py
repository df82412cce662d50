"""A district chooses its law: one person proposes a pack, with the district's own rules if there are any; another approves it."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.casework.adopted import with_overlay
from firstbell.casework.models import Adoption
from firstbell.law.packs import PackError

__all__ = ["NotAdopted", "approve", "propose", "withdraw"]


class NotAdopted(ValueError):
    """It can't be adopted as it stands; the sentence says why. Nothing was changed."""


@transaction.atomic
def propose(
    user: User, pack: str, starts: date, *, overlay: str = "", verified_by: str = "", verified_on: date | None = None
) -> Adoption:  # fmt: skip
    """Raises NotAdopted where the pack or the overlay cannot be read; its sentence names the line."""
    try:
        with_overlay(pack, overlay)
    except PackError as error:
        raise NotAdopted(str(error)) from error
    if bool(verified_by.strip()) != (verified_on is not None):
        raise NotAdopted(_("Say both who verified it and on which day, or neither."))
    made = Adoption.objects.create(
        pack=pack, overlay=overlay, starts=starts, verified_by=verified_by.strip(), verified_on=verified_on,
        proposed_by=user, proposed_at=clock.now(),
    )  # fmt: skip
    audit.record(user, "proposed_law", f"adoption:{made.pk}", f"{pack} from {starts}")
    return made


@transaction.atomic
def approve(user: User, adoption: Adoption) -> None:
    """By somebody else than who proposed it. What was in force ends the day before."""
    if adoption.proposed_by_id == user.pk:
        raise NotAdopted(_("Somebody else has to approve what you proposed."))
    mine = Adoption.objects.filter(pk=adoption.pk, approved_at=None, withdrawn_at=None)
    if not mine.update(approved_by=user, approved_at=clock.now()):
        raise NotAdopted(_("This was already approved or withdrawn."))
    audit.record(user, "approved_law", f"adoption:{adoption.pk}", f"{adoption.pack} from {adoption.starts}")


@transaction.atomic
def withdraw(user: User, adoption: Adoption) -> None:
    """What was proposed or is in force ends; what was in force before it is in force again."""
    if not Adoption.objects.filter(pk=adoption.pk, withdrawn_at=None).update(withdrawn_at=clock.now()):
        raise NotAdopted(_("This was already withdrawn."))
    audit.record(user, "withdrew_law", f"adoption:{adoption.pk}", adoption.pack)
