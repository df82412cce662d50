"""Kinds of alert: their bars on the signals, what "worse" means, how long they stand. Pure.

Two clocks. *Today* kinds read today's squares and are gone tomorrow. *Pattern* kinds read whole days only, through the last day the
register is complete for, and stand while their ground stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

__all__ = ["KINDS", "Clock", "Kind", "KindRule"]


class Kind(TextChoices):
    """What kind of trouble an alert names. Its sentence, bar and clock are in watch.kinds."""

    UNEXPLAINED_TODAY = "unexplained_today", _("not here today, no reason yet")
    NOT_IN_CLASS = "not_in_class", _("on site but not in class")
    ROLL_NOT_TAKEN = "roll_not_taken", _("register not taken")
    BREAK = "break", _("a break from their own pattern")
    STREAK = "streak", _("days away in a row")
    WEEKDAY = "weekday", _("a weekday pattern")
    LATENESS = "lateness", _("coming late more often")
    UNEXPLAINED = "unexplained", _("absences nobody has explained")
    NOT_SEEN = "not_seen", _("not seen for a while")
    HIGH_ABSENCE = "high_absence", _("high absence, nobody has acted")
    LINE_AHEAD = "line_ahead", _("a line ahead")
    CONCERN = "concern", _("a teacher says something is off")
    SCHOOL_DAY = "school_day", _("many away at once: the school's own item")
    LOOK_OVER = "look_over", _("drawn by chance for a look")
    LOOK_AGAIN = "look_again", _("to look at again")


class Clock(TextChoices):
    TODAY = "today", _("today")
    PATTERN = "pattern", _("pattern")


@dataclass(frozen=True, slots=True)
class KindRule:
    """How a kind of alert behaves.

    bar      the measure from which it is raised
    worse    how much the measure must grow past an answered alert's before it is raised again
    life     school days it stands without being found anew (today kinds: none)
    minutes  of an officer's time a first step takes, for the line under today's time
    rank     which comes first on a list, 0 before 1
    of_days  its `of` counts days possible: one more with each whole day that goes by
    """

    clock: Clock
    bar: int
    worse: int
    life: int
    minutes: int
    rank: int
    of_days: bool = False


KINDS: dict[Kind, KindRule] = {
    Kind.NOT_IN_CLASS: KindRule(Clock.TODAY, 1, 1, 0, 5, 0),
    Kind.UNEXPLAINED_TODAY: KindRule(Clock.TODAY, 1, 99, 0, 3, 1),
    Kind.ROLL_NOT_TAKEN: KindRule(Clock.TODAY, 1, 99, 0, 2, 2),
    Kind.CONCERN: KindRule(Clock.PATTERN, 1, 1, 5, 5, -1),
    Kind.NOT_SEEN: KindRule(Clock.PATTERN, 10, 5, 5, 15, 0),
    Kind.STREAK: KindRule(Clock.PATTERN, 3, 2, 5, 10, 1),
    Kind.BREAK: KindRule(Clock.PATTERN, 3, 3, 10, 10, 2, of_days=True),
    Kind.LINE_AHEAD: KindRule(Clock.PATTERN, 5, 2, 20, 10, 2),
    Kind.WEEKDAY: KindRule(Clock.PATTERN, 4, 2, 20, 10, 3),
    Kind.HIGH_ABSENCE: KindRule(Clock.PATTERN, 1, 3, 20, 15, 4, of_days=True),
    Kind.UNEXPLAINED: KindRule(Clock.PATTERN, 3, 2, 10, 5, 5),
    Kind.LATENESS: KindRule(Clock.PATTERN, 5, 3, 20, 5, 6),
    Kind.SCHOOL_DAY: KindRule(Clock.PATTERN, 8, 8, 2, 10, 0),
    Kind.LOOK_OVER: KindRule(Clock.PATTERN, 1, 1, 5, 2, 0),
    Kind.LOOK_AGAIN: KindRule(Clock.PATTERN, 1, 1, 5, 5, 2),
}
#: A CUSUM of log-likelihood ratios over log(100): a hundred times likelier under a break than under the usual.
BREAK_SCORE = 4.6
#: P, after taking into account that five weekdays were looked at
WEEKDAY_CHANCE = 0.01
WEEKDAY_RECENT = 4
LATENESS_TIMES = 2
HIGH_ABSENCE_MIN_DAYS = 15
#: A school's own day: twice what could be expected of it, and at least `bar` students more than that
SCHOOL_SHOCK = 2.0
