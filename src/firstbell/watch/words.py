"""An alert in plain words: the sentence, the next step, why it was withdrawn. No ratings, no scores."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils.dates import WEEKDAYS
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from firstbell.forecast.reasons import Why
from firstbell.law.sentences import amount, number
from firstbell.said import Said
from firstbell.signals.told import days_told
from firstbell.watch.lines import LEAVES, Laws, Told
from firstbell.watch.models import Alert, Kind

__all__ = ["alert_days", "in_ten_words", "line_words", "next_step", "reason_words", "sentence", "worse_means"]


#: school days ahead that an alert of a line speaks of (watch.ahead.HORIZON)
AHEAD_DAYS = 10


def _name(alert: Alert) -> str:
    student = alert.student
    return (student.preferred_name or student.given_name) if student else ""


def alert_days(alert: Alert) -> list[tuple[date, str]]:
    """The days behind an alert, with their letters as known then."""
    return days_told(alert.days)


def _since(alert: Alert) -> str:
    days = alert_days(alert)
    return date_format(days[0][0], "MONTH_DAY_FORMAT") if days else ""


def sentence(alert: Alert, laws: Laws | None = None) -> str:
    """What an officer reads: who, how much, since when, and what is usual. laws: of a page that says several."""
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
        case Kind.LINE_AHEAD:
            told = (laws or Laws()).of(alert)
            return line_ahead(alert, figures) if told is None else line_of_law(alert, told)
        case Kind.LOOK_OVER:
            return " ".join(
                [_("Have a look at %(name)s: should somebody act?") % figures, record_words(alert, figures)]
            )
        case Kind.LOOK_AGAIN:
            return " ".join([_("%(name)s was to be looked at again now.") % figures, record_words(alert, figures)])
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
                _("%(count)s of %(of)s students were away on %(since)s; about %(usual)s could be expected.") % figures
            )


def line_ahead(alert: Alert, figures: dict[str, Any]) -> str:
    """How near the line is, what moved the forecast, and how it went for students like this."""
    parts = [
        ngettext(
            "%(name)s has %(count)s unexcused day this year.", "%(name)s has %(count)s unexcused days this year.", alert.count
        )
        % figures,
        room_words(alert.of - alert.count, alert.of),
    ]  # fmt: skip
    return " ".join([*parts, *_forecast_words(alert)])


def _forecast_words(alert: Alert) -> list[str]:
    parts = []
    if not alert.why.startswith(LEAVES):
        parts = [reason_words(Why(why), int(count), int(of)) for why, count, of in _reasons(alert.why)]
    if alert.usual_of:
        parts.append(in_ten_words(alert.usual_count, AHEAD_DAYS))
    return parts


def line_of_law(alert: Alert, told: Told) -> SafeString:
    """A line of the law in force: its own words and where they stand, how many more reach it, and when the oldest day leaves.

    Markup, for the law's words are in the law's own language, and in its direction.
    """
    unit, room = told.unit, (alert.of - alert.count) * told.unit
    count = told.pack.counts[told.rule.count or ""]
    said = amount(alert.count * unit, count.unit)
    figures = {
        "name": format_html("<bdi>{}</bdi>", _name(alert)), "counted": said.into(_, ngettext) if isinstance(said, Said) else said, "more": number(room),
        "title": format_html('<q lang="{}" dir="auto">{}</q>', told.pack.language, told.rule.title),
        "source": format_html('<bdi lang="{}">{}</bdi>', told.pack.language, told.pack.cited(told.rule).citation),
    }  # fmt: skip
    parts = [format_html(_("{name}: {counted} so far towards {title} ({source})."), **figures)]
    whole = room.numerator if room.denominator == 1 else 100
    if told.rule.threshold.share is not None and not told.rule.window.kind.startswith("rolling"):
        more = ngettext(
            "{more} more reaches it by the year’s end.", "{more} more reach it by the year’s end.", whole
        )  # fmt: skip
    elif count.unit == "days":
        more = ngettext("{more} more such day reaches it.", "{more} more such days reach it.", whole)
    else:
        more = ngettext("{more} more reaches it.", "{more} more reach it.", whole)
    parts.append(format_html(more, **figures))
    if alert.why.startswith(LEAVES):
        day = date_format(date.fromisoformat(alert.why.removeprefix(LEAVES)), "MONTH_DAY_FORMAT")
        parts.append(format_html(_("The oldest counted day leaves on {day}."), day=day))
    parts += _forecast_words(alert)
    return format_html(" ".join(["{}"] * len(parts)), *parts)


def record_words(alert: Alert, figures: dict[str, Any]) -> str:
    """The plain record: the same words whether or not the list names the student."""
    days = alert_days(alert)
    if not days:
        return _("Missed this year: none of %(of)s days; late: %(usual)s.") % figures
    figures["last"] = date_format(days[-1][0], "MONTH_DAY_FORMAT")
    return _("Missed this year: %(count)s of %(of)s days, the latest on %(last)s; late: %(usual)s.") % figures


_LINES = {
    "10 unexcused full days in the school year": gettext_noop("10 unexcused full days in the school year"),
    "a tenth or more of the days enrolled missed, for any reason": gettext_noop(
        "a tenth or more of the days enrolled missed, for any reason"
    ),
}


def line_words(title: str) -> str:
    """A line's own name in the reader's language."""
    return _(_LINES.get(title, title))


def room_words(room: int, line: int) -> str:
    return ngettext(
        "At %(line)s a line of the law is reached: %(room)s day of room is left.",
        "At %(line)s a line of the law is reached: %(room)s days of room are left.",
        room,
    ) % {"room": room, "line": line}


def _reasons(why: str) -> list[tuple[str, str, str]]:
    return [(name, *figures.split("/")) for name, figures in (part.split(":") for part in why.split())]  # type: ignore[misc]


def reason_words(why: Why, count: int, of: int) -> str:
    """One sentence a reason, each about days a person can check."""
    figures = {"count": count, "of": of}
    match why:
        case Why.AWAY_NOW:
            return ngettext("Away now, %(count)s day in a row.", "Away now, %(count)s days in a row.", count) % figures
        case Why.LATELY:
            return _("Away %(count)s of the last %(of)s days.") % figures
        case Why.UNEXPLAINED:
            return ngettext(
                "%(count)s absence is still without a reason.", "%(count)s absences are still without a reason.", count
            ) % figures  # fmt: skip
        case _:
            return _("Last year %(count)s of %(of)s absences were unexcused.") % figures


def in_ten_words(in_ten: int, days: int) -> str:
    """How it went for past students told about the same chance. days: school days ahead; 0 for the year's end."""
    figures = {"n": in_ten, "days": days}
    if days == 0:
        if in_ten == 0:
            return _("Of students like this, fewer than 1 in 10 reached it by the year’s end.")
        return _("Of students like this, %(n)s in 10 reached it by the year’s end.") % figures
    if in_ten == 0:
        return _("Of students like this, fewer than 1 in 10 reached it within %(days)s school days.") % figures
    return _("Of students like this, %(n)s in 10 reached it within %(days)s school days.") % figures


def next_step(alert: Alert) -> str:
    """One thing to do first."""
    return _(_NEXT_STEP[Kind(alert.kind)])


_NEXT_STEP = {
    Kind.UNEXPLAINED_TODAY: gettext_noop("Call home: are they safe, and is there something we can do?"),
    Kind.NOT_IN_CLASS: gettext_noop("Ask the front office where they are."),
    Kind.ROLL_NOT_TAKEN: gettext_noop("Remind the teacher, or take the roll by phone."),
    Kind.LINE_AHEAD: gettext_noop("Call home before the line, offer help, and close what can be explained."),
    Kind.CONCERN: gettext_noop("Talk to the teacher, then to the student."),
    Kind.NOT_SEEN: gettext_noop("Find out whether they are safe: call, then visit."),
    Kind.STREAK: gettext_noop("Call home and offer help with coming back."),
    Kind.BREAK: gettext_noop("Ask what changed: the student, then the family."),
    Kind.WEEKDAY: gettext_noop("Look at what that day holds: lessons, transport, home."),
    Kind.HIGH_ABSENCE: gettext_noop("Open a plan with the family, or hand it to somebody who will."),
    Kind.UNEXPLAINED: gettext_noop("Ask the family for the reasons; close what can be closed."),
    Kind.LATENESS: gettext_noop("Ask about the mornings: transport, younger children, sleep."),
    Kind.SCHOOL_DAY: gettext_noop("Ask the school what happened that day."),
    Kind.LOOK_OVER: gettext_noop("Read the record, then say what you would do."),
    Kind.LOOK_AGAIN: gettext_noop("Read the record again: has it mended?"),
}


def worse_means(kind: Kind) -> str:
    """What brings an answered alert back; empty for a look, which does not come back by itself."""
    if kind in (Kind.LOOK_OVER, Kind.LOOK_AGAIN):
        return ""
    return _(_WORSE.get(kind, _A_NEW_DAY))


_A_NEW_DAY = gettext_noop("a new day")
_WORSE = {
    Kind.LINE_AHEAD: gettext_noop("two more days that count"),
    Kind.CONCERN: gettext_noop("a teacher says so again"),
    Kind.NOT_SEEN: gettext_noop("five more school days not seen"),
    Kind.STREAK: gettext_noop("two more days away in the same row"),
    Kind.BREAK: gettext_noop("three more days away since you answered"),
    Kind.WEEKDAY: gettext_noop("two more of the same weekday missed"),
    Kind.HIGH_ABSENCE: gettext_noop("three more days missed"),
    Kind.UNEXPLAINED: gettext_noop("two more absences without a reason"),
    Kind.LATENESS: gettext_noop("three more late days"),
}
