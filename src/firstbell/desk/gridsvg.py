"""The register as a picture: a student's year of squares, and the last thirty days as a strip. Classes only, no colour alone.

Weeks are columns and weekdays are rows, as on a wall calendar turned on its side: a bad weekday is a line, an illness a block. The
letters in the squares carry the meaning; colour only helps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firstbell.watch.course import Course

__all__ = ["LETTER_WORDS", "strip_svg", "year_svg", "year_table"]

CELL, GAP, TOP, SIDE = 16, 3, 20, 4
#: the band above a year's squares: bars of the weeks, the usual, the change, the decisions
BAND, STEPS = 40, 12
#: what a letter of a month's name takes, with its share of the space after it
LETTER = 8

LETTER_WORDS = {
    "P": gettext_lazy("present"),
    "F": gettext_lazy("at an approved place"),
    "R": gettext_lazy("taught remotely"),
    "I": gettext_lazy("suspended within school"),
    "T": gettext_lazy("late"),
    "L": gettext_lazy("left early"),
    "H": gettext_lazy("there for part"),
    "t": gettext_lazy("late, excused"),
    "l": gettext_lazy("left early, excused"),
    "h": gettext_lazy("there for part, excused"),
    "E": gettext_lazy("away, excused"),
    "U": gettext_lazy("away, unexcused"),
    "N": gettext_lazy("away, no reason yet"),
    "X": gettext_lazy("away, exempt"),
    "S": gettext_lazy("suspended"),
    "#": gettext_lazy("not expected"),
    " ": gettext_lazy("not known"),
}


def _square(x: float, y: float, w: float, h: float, letter: str, *, text: bool = True) -> str:
    at = f'x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}"'
    if letter == " ":
        return f'<rect class="sq sq-none" {at} rx="2"/>'
    if letter == "#":
        return f'<rect class="sq-out" {at} rx="2"/>'
    if letter == "P":
        return f'<rect class="sq" {at} rx="2"/><circle class="dot" cx="{x + w / 2:g}" cy="{y + h / 2:g}" r="1.3"/>'
    drawn = f'<rect class="sq sq-{letter}" {at} rx="2"/>'
    return drawn + (f'<text x="{x + w / 2:g}" y="{y + h / 2 + 3.2:g}">{letter}</text>' if text else "")


def year_svg(
    codes: str, letters: str, dates: Sequence[date], sessions: int, through: int, highlights: Collection[date] = (),
    *, course: Course | None = None, rtl: bool = False,
) -> SafeString:  # fmt: skip
    """A year's register. `letters`: one a day, as `day_letters` gives them; `codes`: the squares, to split a day by session.

    `highlights`: days ringed because an alert speaks of them. `course`: what is drawn above the squares, on the same weeks.
    """
    if not dates:
        return SafeString("")
    first = dates[0] - timedelta(days=dates[0].weekday())
    weeks = (dates[-1] - first).days // 7 + 1
    top = TOP + (BAND + STEPS if course else 0)
    width, height = SIDE * 2 + weeks * (CELL + GAP), top + 5 * (CELL + GAP)

    def left(week: int) -> int:
        return SIDE + (weeks - 1 - week if rtl else week) * (CELL + GAP)

    parts: list[str] = [] if course is None else _course_band(course, first, left, width, height)
    begins = [i for i, day in enumerate(dates) if not i or day.month != dates[i - 1].month]
    for i, after in zip(begins, [*begins[1:], None], strict=True):
        week = (dates[i] - first).days // 7
        room = weeks - week if after is None else (dates[after] - first).days // 7 - week
        word = date_format(dates[i], "M")
        if len(word) * LETTER <= room * (CELL + GAP):  # or it would run into the next month's
            edge = left(week) + (CELL if rtl else 0)
            parts.append(f'<text class="month" x="{edge}" y="{top - 8}">{escape(word)}</text>')
    for i, day in enumerate(dates):
        week, row = (day - first).days // 7, min(day.weekday(), 4)
        x, y = left(week), top + row * (CELL + GAP)
        squares = codes[i * sessions : (i + 1) * sessions]
        if i >= through:
            parts.append(f'<rect class="sq-out" x="{x}" y="{y}" width="{CELL}" height="{CELL}" rx="2"/>')
        elif sessions > 1 and len(set(squares)) > 1:
            share = CELL / sessions
            for s, letter in enumerate(squares):
                parts.append(_square(x, y + s * share, CELL, share - 0.4, letter, text=False))
            parts.append(
                f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 3.2:g}">{escape(letters[i].replace("P", ""))}</text>'
            )
        else:
            parts.append(_square(x, y, CELL, CELL, letters[i]))
        if day in highlights:
            parts.append(
                f'<rect class="mark-ring" x="{x - 1}" y="{y - 1}" width="{CELL + 2}" height="{CELL + 2}" rx="3"/>'
            )
    title = escape(_("The year in squares; the table beneath says the same in words."))
    return mark_safe(  # noqa: S308 - built here from letters and numbers; the words are escaped
        f'<svg class="register" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'aria-label="{title}">{"".join(parts)}</svg>'
    )


def _course_band(course: Course, first: date, left: Callable[[int], int], width: int, height: int) -> list[str]:
    """Above the squares: a bar a week for its share of days missed, the usual as a dashed line, the change, the decisions."""

    def column(day: date) -> int:
        return left((day - first).days // 7)

    parts = [f'<line class="base" x1="{SIDE}" x2="{width - SIDE}" y1="{BAND}" y2="{BAND}"/>']
    for week in course.weeks:
        tall = float(week.missed.rate or 0) * (BAND - 6)
        if tall:
            parts.append(
                f'<rect class="bar" x="{column(week.monday)}" y="{BAND - tall:.1f}" width="{CELL}" height="{tall:.1f}" rx="1.5"/>'
            )
    if course.usual is not None and course.weeks:
        y = BAND - course.usual * (BAND - 6)
        ends = sorted((column(course.weeks[0].monday), column(course.weeks[-1].monday)))
        parts.append(f'<line class="usual" x1="{ends[0]}" x2="{ends[1] + CELL}" y1="{y:.1f}" y2="{y:.1f}"/>')
    if course.changed is not None and course.changed >= first:
        x = column(course.changed) - 1.5
        parts.append(f'<line class="changed" x1="{x}" x2="{x}" y1="2" y2="{height}"/>')
    for on in dict.fromkeys(step.on for step in course.steps):
        x = column(on) + CELL / 2
        parts.append(f'<path class="step" d="M{x:g} {BAND + 3}l4.5 8h-9z"/>')
    return parts


def strip_svg(letters: str, dates: Sequence[date], *, rtl: bool = False) -> SafeString:
    """The last school days in one line, oldest first in reading order."""
    n = len(letters)
    if not n:
        return SafeString("")
    step = 11
    width = n * step + (n // 5) * 2
    parts = []
    offset = 0
    for i, letter in enumerate(letters):
        if i and dates[i].isocalendar()[1] != dates[i - 1].isocalendar()[1]:
            offset += 3
        x = i * step + offset
        parts.append((x, letter))
    width = parts[-1][0] + step
    drawn = "".join(_square(width - x - step + 1 if rtl else x, 1, 10, 14, letter) for x, letter in parts)
    away = sum(c in "EUNXS" for c in letters)
    words = _("last %(days)s school days: away on %(away)s") % {"days": n, "away": away}
    return mark_safe(  # noqa: S308 - built here from letters and numbers; the words are escaped
        f'<svg class="strip" role="img" width="{width}" height="16" viewBox="0 0 {width} 16" aria-label="{escape(words)}">{drawn}</svg>'
    )


def year_table(letters: str, dates: Sequence[date], through: int) -> list[tuple[str, list[tuple[date, str, str]]]]:
    """The same year for reading: by month, every day that was not simply present, in words."""
    months: dict[str, list[tuple[date, str, str]]] = {}
    for i, day in enumerate(dates[:through]):
        rows = months.setdefault(date_format(day, "YEAR_MONTH_FORMAT"), [])
        if letters[i] != "P":
            rows.append((day, letters[i], str(LETTER_WORDS[letters[i]])))
    return list(months.items())
