"""The lines ahead of one student, in words for a page: where they stand exactly, and how it went for students like this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from firstbell.forecast.forecasts import Band
from firstbell.law.whom import Person
from firstbell.register.rows import SchoolGrid
from firstbell.watch.ahead import Forecaster, Position, page_lines, positions
from firstbell.watch.history import kept_of
from firstbell.watch.lines import Lines
from firstbell.watch.record import StudentRecord, Year
from firstbell.watch.registers import known_now, whole_days
from firstbell.watch.words import in_ten_words, line_words, reason_words

__all__ = ["Ahead", "Outlook", "outlook"]


@dataclass(frozen=True, slots=True)
class Outlook:
    title: str
    room: str
    arithmetic: str
    forecast: str
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """by_law: a law is adopted, whose other lines are counted without a forecast."""

    lines: list[Outlook]
    by_law: bool


def outlook(record: StudentRecord, year: Year, school: SchoolGrid) -> Ahead:
    """Every line, today, at one of the student's schools; the forecast's part waits for an open look. school: the year's whole register."""
    through, _today = whole_days(year.calendar, year.dates, record.today)
    student = record.student.pk
    before = year.calendar.school_year.ends_in - 1
    last = kept_of((y.calendar for y in record.earlier if y.calendar.school_year.ends_in == before), [student])
    stays = {student: [(y.column, y.codes) for y in record.years]}
    known = known_now(school, through, last, stays)
    lines = Lines.of(year.laws, year.calendar.school_year, record.today)
    asked = page_lines(lines, Person(record.student.birth_date, year.enrolment.grade))
    found = positions(school, known, student, Forecaster.now(), asked)
    return Ahead([_in_words(p, waits=record.look is not None) for p in found], bool(lines.law))


def _in_words(p: Position, *, waits: bool) -> Outlook:
    room = ngettext("%(n)s day of room", "%(n)s days of room", p.room) % {"n": p.room} if p.room else _("reached")
    parts = [ngettext("%(n)s day counted.", "%(n)s days counted.", p.count) % {"n": p.count}]
    if p.unexplained:
        parts.append(
            ngettext("%(n)s more is still without a reason.", "%(n)s more are still without a reason.", p.unexplained)
            % {"n": p.unexplained}
        )
    if p.count:
        parts.append(_("They count until %(day)s.") % {"day": date_format(p.leaves, "MONTH_DAY_FORMAT")})
    parts.append(ngettext("%(n)s school day is left.", "%(n)s school days are left.", p.left) % {"n": p.left})
    return Outlook(line_words(p.title), room, " ".join(parts), "" if waits else _forecast(p), p.days)


def _forecast(p: Position) -> str:
    if not p.room:
        return ""
    if p.band is None:
        return _(
            "No forecast is offered here: on this district’s own past it has not yet been shown to beat the count itself."
        )
    if p.band is Band.CANNOT_TELL or p.in_ten is None:
        return _(
            "It can’t tell yet: too few days are known, marks are missing, or the school is having an unusual day."
        )
    return " ".join([*(reason_words(r.why, r.count, r.of) for r in p.why), in_ten_words(p.in_ten, p.horizon)])
