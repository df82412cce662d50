"""A person decides: act, watch until, not a concern, the data is wrong; with a reason, on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction
from django.db.models import F

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.watch.lasting import as_they_stand, stands_through
from firstbell.watch.models import Alert, Verdict
from firstbell.watch.passes import bump

WHY = "a verdict is written"
#: the page offers to undo for ten seconds; a slow reader gets longer
UNDO_FOR = timedelta(minutes=15)


class NotGiven(ValueError):
    """The verdict can't be taken as it stands; the sentence says what is missing. Nothing was changed."""


@dataclass
class Conflict(Exception):
    """The alert changed while somebody was deciding. Both stand side by side; nothing was overwritten."""

    alert: Alert
    theirs: Verdict | None


@transaction.atomic
def give_verdict(
    user: User, alert: Alert, decision: str, reason: str, *, until: date | None = None, version: int
) -> Verdict:  # fmt: skip
    """Answer an alert as it was read (`version`). The alert closes, the verdict and the audit line stay.

    Raises NotGiven for a missing reason or date, Conflict when the alert was answered or changed meanwhile.
    """
    from django.utils.translation import gettext as _

    as_they_stand([alert])
    if decision not in Verdict.Decision.values:
        raise NotGiven(_("Choose one: act, watch, not a concern, or the data is wrong."))
    reason = reason.strip()
    if not reason:
        raise NotGiven(_("Write why, in a few words: whoever comes after you will want to know."))
    if decision == Verdict.Decision.WATCH and (until is None or until <= alert.as_of):
        raise NotGiven(_("Choose a day after today to look again."))
    mine = Alert.objects.system(WHY).filter(pk=alert.pk, version=version, state=Alert.State.OPEN)
    stood = {"as_of": alert.as_of, "known_through": alert.known_through, "through": alert.through, "of": alert.of}
    if not mine.update(
        state=Alert.State.ANSWERED, closed_at=clock.now(), version=F("version") + 1, expires_on=stands_through(alert), **stood
    ):  # fmt: skip
        [fresh] = as_they_stand(
            Alert.objects.system(WHY).select_related("student", "school", "section", "calendar").filter(pk=alert.pk)
        )
        raise Conflict(
            fresh, fresh.verdicts.filter(undone_at=None).select_related("given_by").order_by("-given_at").first()
        )
    verdict = Verdict.objects.system(WHY).create(
        alert=alert, student_id=alert.student_id, decision=decision, reason=reason[:4000],
        watch_until=until if decision == Verdict.Decision.WATCH else None, measure=alert.measure, given_by=user,
        given_at=clock.now(),
    )  # fmt: skip
    subject = f"student:{alert.student_id}" if alert.student_id else f"school:{alert.school_id}"
    audit.record(user, "verdict", subject, f"alert:{alert.pk} {alert.kind} {decision}")
    bump(alert.school_id)
    return verdict


@transaction.atomic
def undo_verdict(user: User, verdict: Verdict) -> Alert:
    """Take back one's own verdict soon after: the alert is open again, the verdict stays on record as taken back."""
    from django.utils.translation import gettext as _

    if verdict.given_by_id != user.pk or clock.now() - verdict.given_at > UNDO_FOR:
        raise NotGiven(_("Only your own verdict can be taken back, and only soon after. Give a new one instead."))
    if not Verdict.objects.system(WHY).filter(pk=verdict.pk, undone_at=None).update(undone_at=clock.now()):
        raise NotGiven(_("This verdict was already taken back."))
    alert = verdict.alert
    taken = Alert.objects.system(WHY).filter(
        student=alert.student_id, kind=alert.kind, school=alert.school_id, state=Alert.State.OPEN
    )
    if not (alert.student_id and taken.exists()):
        Alert.objects.system(WHY).filter(pk=alert.pk, state=Alert.State.ANSWERED).update(
            state=Alert.State.OPEN, closed_at=None, version=F("version") + 1
        )
    subject = f"student:{alert.student_id}" if alert.student_id else f"school:{alert.school_id}"
    audit.record(user, "verdict_taken_back", subject, f"alert:{alert.pk} {alert.kind}")
    bump(alert.school_id)
    alert.refresh_from_db()
    return alert
