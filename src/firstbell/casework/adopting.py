"""A district chooses its law: one person proposes a pack, with the district's own rules if there are any; another approves it. It stops the same way."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.access.models import User
from firstbell.casework.adopted import turns
from firstbell.casework.models import Adoption
from firstbell.law.overlays import overlaid, read_overlay
from firstbell.law.packs import InForce, Overlay, Pack, PackError, built_in, in_force
from firstbell.watch.models import LawInForce

__all__ = [
    "OWN_RULES",
    "NotAdopted",
    "agree",
    "approve",
    "end",
    "keep",
    "laid",
    "propose",
    "refuse",
    "tell_watch",
    "withdraw",
]

#: what a mistake in the district's own file is called in the sentence that names its line
OWN_RULES = "your own rules"
#: a file of own rules is a page or two; what is longer is something else
LONGEST = 100_000


class NotAdopted(ValueError):
    """It can't be adopted as it stands; the sentence says why. Nothing was changed."""


def laid(pack: str, overlay: str, starts: date) -> tuple[Pack, Pack, Overlay | None]:
    """The pack's version in force on a day, as it is and with the district's own rules on it.

    Raises NotAdopted; where the own rules are wrong its sentence names the line.
    """
    some = built_in().get(pack)
    if some is None:
        raise NotAdopted(_("Choose a pack of law."))
    found: list[InForce] = in_force(some, starts, starts)
    if not found:
        raise NotAdopted(_("No version of this pack is in force on that day. Choose a later day."))
    version = found[0].pack
    if not overlay.strip():
        return version, version, None
    if len(overlay) > LONGEST:
        raise NotAdopted(
            _("Your own rules are longer than %(n)s characters. Nothing was taken from them.") % {"n": LONGEST}
        )
    try:
        own = read_overlay(overlay, OWN_RULES, version)
    except PackError as error:
        raise NotAdopted(str(error)) from error
    if starts < own.effective_from:
        said = _("Your own rules begin on %(day)s. Choose that day or a later one.")
        raise NotAdopted(said % {"day": date_format(own.effective_from)})
    if own.effective_to is not None and starts > own.effective_to:
        said = _("Your own rules end on %(day)s. Choose an earlier day.")
        raise NotAdopted(said % {"day": date_format(own.effective_to)})
    return version, overlaid(version, own), own


@transaction.atomic
def propose(
    user: User, pack: str, starts: date, *, overlay: str = "", verified_by: str = "", verified_on: date | None = None
) -> Adoption:  # fmt: skip
    """Raises NotAdopted where the pack or the overlay cannot be read; its sentence names the line. Proposed twice, it is one."""
    _version, _made, own = laid(pack, overlay, starts)
    overlay = overlay if own is not None else ""
    if bool(verified_by.strip()) != (verified_on is not None):
        raise NotAdopted(_("Say both who verified it and on which day, or neither."))
    if verified_on is not None and verified_on > clock.now().date():
        raise NotAdopted(_("The day it was verified has not come yet."))
    made, new = Adoption.objects.get_or_create(
        pack=pack, overlay=overlay, starts=starts, ends=own.effective_to if own else None, verified_by=verified_by.strip()[:200],
        verified_on=verified_on, proposed_by=user, approved_at=None, refused_at=None, withdrawn_at=None,
        defaults={"proposed_at": clock.now()},
    )  # fmt: skip
    if new:
        audit.record(user, "proposed_law", f"adoption:{made.pk}", f"{pack} from {starts}")
    return made


#: nobody has answered it yet; asked in the same breath as it is answered, so that of two answers one counts
_WAITS = Q(approved_at=None, refused_at=None, withdrawn_at=None)


def _answered() -> NotAdopted:
    return NotAdopted(_("This was already approved, refused or withdrawn. Nothing was changed."))


@transaction.atomic
def approve(user: User, adoption: Adoption) -> None:
    """By somebody else than who proposed it. From its first day on it is in force instead of what began before."""
    if adoption.proposed_by_id == user.pk:
        raise NotAdopted(_("Somebody else has to approve what you proposed."))
    if not Adoption.objects.filter(_WAITS, pk=adoption.pk).update(approved_by=user, approved_at=clock.now()):
        raise _answered()
    tell_watch()
    audit.record(user, "approved_law", f"adoption:{adoption.pk}", f"{adoption.pack} from {adoption.starts}")


@transaction.atomic
def refuse(user: User, adoption: Adoption, why: str) -> None:
    """By somebody else than who proposed it, with a reason whoever proposed it can work with."""
    if adoption.proposed_by_id == user.pk:
        raise NotAdopted(_("Withdraw what you proposed yourself; refusing it is for somebody else."))
    if not why.strip():
        raise NotAdopted(_("Write why, so that whoever proposed it knows what to change."))
    mine = Adoption.objects.filter(_WAITS, pk=adoption.pk)
    if not mine.update(refused_by=user, refused_at=clock.now(), why=why.strip()[:4000]):
        raise _answered()
    audit.record(user, "refused_law", f"adoption:{adoption.pk}", adoption.pack)


@transaction.atomic
def withdraw(user: User, adoption: Adoption, why: str = "") -> bool:
    """What was proposed counts no more, and neither does what was approved, has not begun, and was one's own proposal.

    What has begun, or was proposed by somebody else, waits for a second lead: False. Of what was approved, with a reason.
    """
    if adoption.approved_at is not None and not why.strip():
        raise NotAdopted(_("It was approved: write why it is withdrawn."))
    alone = adoption.approved_at is None or (
        adoption.starts > policy.today(user) and adoption.proposed_by_id == user.pk
    )
    if not alone:
        _ask_to_stop(user, adoption, None, why)
        return False
    if not _stands(adoption).update(
        withdrawn_by=user, withdrawn_at=clock.now(), why=why.strip()[:4000], **_NOBODY_ASKS
    ):
        raise _meanwhile()
    tell_watch()
    audit.record(user, "withdrew_law", f"adoption:{adoption.pk}", adoption.pack)
    return True


@transaction.atomic
def end(user: User, adoption: Adoption, last: date, why: str) -> None:
    """Ask that what was approved ends with a day; what had been in force before it is in force again from the next."""
    if not why.strip():
        raise NotAdopted(_("Write why it ends."))
    if last < adoption.starts:
        raise NotAdopted(_("It would end before it begins."))
    _not_past(last)
    _ask_to_stop(user, adoption, last, why)


def _not_past(last: date) -> None:
    if last < clock.now().date():
        raise NotAdopted(
            _("That day is past: what was done under these rules was done under them. Choose today or a later day.")
        )


_NOBODY_ASKS = {"stop_asked_by": None, "stop_asked_at": None, "stop_last": None, "stop_why": ""}


def _stands(adoption: Adoption) -> QuerySet[Adoption]:
    """As whoever looked at it saw it: so that of two deeds at once one counts."""
    return Adoption.objects.filter(
        pk=adoption.pk, withdrawn_at=None, refused_at=None, approved_at=adoption.approved_at, ends=adoption.ends,
        stop_asked_at=adoption.stop_asked_at,
    )  # fmt: skip


def _meanwhile() -> NotAdopted:
    return NotAdopted(_("Somebody has changed this meanwhile. Look again; nothing was changed."))


def _ask_to_stop(user: User, adoption: Adoption, last: date | None, why: str) -> None:
    asked = _stands(adoption).exclude(approved_at=None)
    if adoption.stop_waits or not asked.update(
        stop_asked_by=user, stop_asked_at=clock.now(), stop_last=last, stop_why=why.strip()[:4000]
    ):
        raise _meanwhile()
    audit.record(user, "asked_to_stop_law", f"adoption:{adoption.pk}", f"{adoption.pack} with {last or 'no last day'}")


@transaction.atomic
def agree(user: User, adoption: Adoption) -> None:
    """A second lead agrees that it stops: with its last day, or at once. What was in force before is in force again."""
    if not adoption.stop_waits:
        raise _meanwhile()
    if adoption.stop_asked_by_id == user.pk:
        raise NotAdopted(_("Somebody else has to agree to what you asked for."))
    last, why = adoption.stop_last, adoption.stop_why
    if last is not None:
        _not_past(last)
        changed = _stands(adoption).update(ends=last, why=why)
    else:
        changed = _stands(adoption).update(withdrawn_by=user, withdrawn_at=clock.now(), why=why)
    if not changed:
        raise _meanwhile()
    tell_watch()
    done, detail = ("ended_law", f"{adoption.pack} with {last}") if last else ("withdrew_law", adoption.pack)
    audit.record(user, done, f"adoption:{adoption.pk}", detail)


@transaction.atomic
def keep(user: User, adoption: Adoption) -> None:
    """It stays: a second lead does not agree, or whoever asked takes it back. Anybody may ask again."""
    if not adoption.stop_waits or not _stands(adoption).update(**_NOBODY_ASKS):
        raise _meanwhile()
    audit.record(user, "kept_law", f"adoption:{adoption.pk}", adoption.pack)


@transaction.atomic
def tell_watch() -> None:
    """Write down anew which law is in force when, where the alerts read it: they stand below casework, and ask about its lines."""
    LawInForce.objects.all().delete()
    LawInForce.objects.bulk_create(
        LawInForce(pack=found.pack, overlay=found.overlay, first=first, last=last) for found, first, last in turns()
    )
