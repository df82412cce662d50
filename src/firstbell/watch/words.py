"""An alert in plain words: the sentence, the next step, why it was withdrawn. No ratings, no scores."""

from __future__ import annotations

from datetime import date

from django.utils.dates import WEEKDAYS
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from firstbell.watch.models import Alert, Kind

__all__ = ["alert_days", "next_step", "sentence", "worse_means"]


def _name(alert: Alert) -> str:
    student = alert.student
    return (student.preferred_name or student.given_name) if student else ""


def alert_days(alert: Alert) -> list[tuple[date, str]]:
    """The days behind an alert, with their letters as known then."""
    return [(date.fromisoformat(part[:10]), part[10:].replace("_", " ")) for part in alert.days.split()]


def _since(alert: Alert) -> str:
    days = alert_days(alert)
    return date_format(days[0][0], "MONTH_DAY_FORMAT") if days else ""


def sentence(alert: Alert) -> str:
    """What an officer reads: who, how much, since when, and what is usual."""
    figures = {
        "name": _name(alert), "count": alert.count, "of": alert.of, "usual": alert.usual_count, "usual_of": alert.usual_of,
        "since": _since(alert), "session": (alert.session or 0) + 1,
    }  # fmt: skip
    match alert.kind:
        case Kind.UNEXPLAINED_TODAY:
            return _("%(name)s is not here today, and nobody has said why.") % figures
        case Kind.NOT_IN_CLASS:
            return _("%(name)s was in school this morning and not in class from session %(session)s.") % figures
        case Kind.ROLL_NOT_TAKEN:
            figures["section"] = alert.section.title if alert.section else ""
            return (
                ngettext(
                    "The roll of %(section)s, session %(session)s, is not taken: nothing is known of %(count)s student.",
                    "The roll of %(section)s, session %(session)s, is not taken: nothing is known of %(count)s students.",
                    alert.count,
                )
                % figures
            )
        case Kind.CONCERN:
            return ngettext(
                "A teacher says that something is off with %(name)s, on %(since)s.",
                "Teachers have said %(count)s times that something is off with %(name)s, first on %(since)s.",
                alert.count,
            ) % figures  # fmt: skip
        case Kind.NOT_SEEN:
            return ngettext(
                "%(name)s has not been in school for %(count)s school day, since %(since)s.",
                "%(name)s has not been in school for %(count)s school days, since %(since)s.",
                alert.count,
            ) % figures  # fmt: skip
        case Kind.STREAK:
            return ngettext(
                "%(name)s has been away %(count)s school day in a row, since %(since)s.",
                "%(name)s has been away %(count)s school days in a row, since %(since)s.",
                alert.count,
            ) % figures  # fmt: skip
        case Kind.BREAK:
            return _(
                "%(name)s has been away %(count)s of the last %(of)s days, since %(since)s; usual is 1 in %(usual_of)s. "
                "The school's own bad days are already taken out."
            ) % figures  # fmt: skip
        case Kind.WEEKDAY:
            figures["weekday"] = str(WEEKDAYS[alert.weekday - 1])
            return _("%(name)s has missed %(count)s of the last %(of)s days that were a %(weekday)s.") % figures
        case Kind.HIGH_ABSENCE:
            return _(
                "%(name)s has missed %(count)s of %(of)s days this year, one in ten or more, and nobody has acted on it lately."
            ) % figures  # fmt: skip
        case Kind.UNEXPLAINED:
            return ngettext(
                "%(count)s absence of %(name)s is still without a reason, the first on %(since)s.",
                "%(count)s absences of %(name)s are still without a reason, the first on %(since)s.",
                alert.count,
            ) % figures  # fmt: skip
        case Kind.LATENESS:
            return (
                _("%(name)s came late on %(count)s of the last %(of)s days; in the 20 days before, on %(usual)s.")
                % figures
            )
        case _:
            return (
                _("%(count)s of %(of)s students were away on %(since)s; on an ordinary day about %(usual)s are.")
                % figures
            )


def next_step(alert: Alert) -> str:
    """One thing to do first."""
    return _(_NEXT_STEP[Kind(alert.kind)])


_NEXT_STEP = {
    Kind.UNEXPLAINED_TODAY: gettext_noop("Call home: are they safe, and is there something we can do?"),
    Kind.NOT_IN_CLASS: gettext_noop("Ask the front office where they are."),
    Kind.ROLL_NOT_TAKEN: gettext_noop("Remind the teacher, or take the roll by phone."),
    Kind.CONCERN: gettext_noop("Talk to the teacher, then to the student."),
    Kind.NOT_SEEN: gettext_noop("Find out whether they are safe: call, then visit."),
    Kind.STREAK: gettext_noop("Call home and offer help with coming back."),
    Kind.BREAK: gettext_noop("Ask what changed: the student, then the family."),
    Kind.WEEKDAY: gettext_noop("Look at what that day holds: lessons, transport, home."),
    Kind.HIGH_ABSENCE: gettext_noop("Open a plan with the family, or hand it to somebody who will."),
    Kind.UNEXPLAINED: gettext_noop("Ask the family for the reasons; close what can be closed."),
    Kind.LATENESS: gettext_noop("Ask about the mornings: transport, younger children, sleep."),
    Kind.SCHOOL_DAY: gettext_noop("Ask the school what happened that day."),
}


def worse_means(kind: Kind) -> str:
    """What brings an answered alert back."""
    return _(_WORSE.get(kind, _A_NEW_DAY))


_A_NEW_DAY = gettext_noop("a new day")
_WORSE = {
    Kind.CONCERN: gettext_noop("a teacher says so again"),
    Kind.NOT_SEEN: gettext_noop("five more school days not seen"),
    Kind.STREAK: gettext_noop("two more days away in the same row"),
    Kind.BREAK: gettext_noop("three more days away since you answered"),
    Kind.WEEKDAY: gettext_noop("two more of the same weekday missed"),
    Kind.HIGH_ABSENCE: gettext_noop("three more days missed"),
    Kind.UNEXPLAINED: gettext_noop("two more absences without a reason"),
    Kind.LATENESS: gettext_noop("three more late days"),
}
