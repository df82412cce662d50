"""Today's two lists: what needs somebody now, and this morning's few patterns. One named query a page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np
from django.db.models import F, Max

from firstbell import clock
from firstbell.access import policy
from firstbell.access.models import User
from firstbell.access.policy import Deed, schools_for
from firstbell.register import rows as register_rows
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, RegisterRow, School, Student
from firstbell.signals.metrics import day_letters
from firstbell.watch.kinds import KINDS
from firstbell.watch.lasting import as_they_stand
from firstbell.watch.lines import Laws
from firstbell.watch.looks import WAITS, said_in_time
from firstbell.watch.models import Alert, Clock, Kind, Pass, SchoolChange
from firstbell.watch.words import next_step, sentence

__all__ = ["AlertLine", "Row", "SchoolLine", "TodayList", "change_number", "school_lines", "today"]

WHY = "a list already limited to the reader's schools"
STRIP_DAYS = 30
#: rows below the line that a page shows at once
SHOWN_BELOW = 40


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One reason; its words are made when they are read, for most rows of a list stay below the line."""

    alert: Alert
    laws: Laws

    @property
    def sentence(self) -> str:
        return sentence(self.alert, self.laws)

    @property
    def next_step(self) -> str:
        return next_step(self.alert)


@dataclass(slots=True)
class Row:
    """One student (or class, or school) with all its reasons: one look for a person."""

    key: str
    student: Student | None
    school: School
    grade: str
    lines: list[AlertLine]
    owner: str = ""
    letters: str = ""
    dates: list[date] = field(default_factory=list)
    minutes: int = 0

    @property
    def first(self) -> AlertLine:
        return self.lines[0]


@dataclass(frozen=True, slots=True)
class TodayList:
    now: list[Row]
    now_below: list[Row]
    pattern: list[Row]
    below: list[Row]
    minutes: int
    withdrawn: list[AlertLine]
    data_as_of: datetime | None
    kinds: list[Kind]
    schools: list[School]
    zone_name: str

    @property
    def now_below_count(self) -> int:
        return len(self.now_below)

    @property
    def below_count(self) -> int:
        return len(self.below)

    @property
    def now_below_shown(self) -> list[Row]:
        return self.now_below[:SHOWN_BELOW]

    @property
    def now_below_more(self) -> int:
        return max(len(self.now_below) - SHOWN_BELOW, 0)

    @property
    def below_shown(self) -> list[Row]:
        return self.below[:SHOWN_BELOW]

    @property
    def below_more(self) -> int:
        return max(len(self.below) - SHOWN_BELOW, 0)


def today(user: User, *, school: int | None = None, kind: str | None = None) -> TodayList:
    """The reader's morning.

    Order: within a list by what kind of trouble it is (`KindRule.rank`), then by how far the measure stands past the kind's own
    bar; among today's, those who also stand in a pattern come first. Somebody with several reasons is one row, placed by the first.
    The line is drawn where the officer's daily minutes end; what is below is listed too. What waits for a look is not.
    """
    mine = list(schools_for(user, Deed.SEE_TODAY).order_by("name"))
    chosen = [s for s in mine if school is None or s.pk == school]
    alerts = (
        Alert.objects.system(WHY).filter(school__in=chosen, state=Alert.State.OPEN)
        .select_related("student", "section").annotate(enrolled_grade=F("enrolment__grade")).order_by("id")
    )  # fmt: skip
    found = said_in_time(as_they_stand(alerts))
    schools = {school.pk: school for school in chosen}
    for alert in found:
        alert.school = schools[alert.school_id]
    kinds = sorted({Kind(a.kind) for a in found}, key=lambda k: (KINDS[k].clock, KINDS[k].rank))
    if kind:
        found = [a for a in found if a.kind == kind]
    laws = Laws()
    now_rows = _grouped([a for a in found if a.clock == Clock.TODAY], laws)
    pattern_rows = _grouped([a for a in found if a.clock == Clock.PATTERN], laws)
    in_pattern = {row.key for row in pattern_rows}
    now_rows.sort(key=lambda row: (row.lines[0].alert.kind != Kind.NOT_IN_CLASS, row.key not in in_pattern))
    # Patterns get half of the time, or what they need if that is less: a loud morning must not push them out every day.
    kept = min(user.daily_minutes // 2, sum(row.minutes for row in pattern_rows))
    now, now_below, left = _line(now_rows, user.daily_minutes - kept)
    pattern, below, _left = _line(pattern_rows, left + kept)
    _owners([*now, *pattern, *now_below, *below], policy.today(user))
    _strips([*now, *pattern, *below[:SHOWN_BELOW], *now_below[:SHOWN_BELOW]])
    since = clock.now() - timedelta(days=1)
    looked_at = [a.student_id for a in alerts if a.kind == Kind.LOOK_OVER]
    gone = (
        Alert.objects.system(WHY).filter(school__in=chosen, state=Alert.State.WITHDRAWN, closed_at__gte=since, clock=Clock.PATTERN)
        .exclude(kind=Kind.LOOK_OVER).exclude(kind__in=WAITS, student__in=looked_at)
        .select_related("student", "section", "school").order_by("-closed_at")[:20]
    )  # fmt: skip
    last = Pass.objects.exclude(finished_at=None).aggregate(at=Max("finished_at"))["at"]
    return TodayList(
        now, now_below, pattern, below, user.daily_minutes,
        [AlertLine(a, laws) for a in gone], last, kinds, mine,
        mine[0].time_zone if mine else "UTC",
    )  # fmt: skip


def _urgency(alert: Alert) -> tuple[int, Fraction, int]:
    rule = KINDS[Kind(alert.kind)]
    past_bar = Fraction(alert.measure, max(rule.bar, 1))
    if (
        alert.kind == Kind.LINE_AHEAD and alert.usual_of
    ):  # by how it went for students like this: 2 in 10 is a bar's worth
        past_bar = Fraction(5 * alert.usual_count, alert.usual_of)
    return (rule.rank, -past_bar, alert.pk)


def _grouped(alerts: list[Alert], laws: Laws) -> list[Row]:
    by: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        by[f"s{alert.student_id}" if alert.student_id else f"a{alert.pk}"].append(alert)
    made = []
    for key, group in by.items():
        group.sort(key=_urgency)
        head = group[0]
        made.append(
            Row(
                key, head.student, head.school, getattr(head, "enrolled_grade", None) or "",
                [AlertLine(a, laws) for a in group], minutes=max(KINDS[Kind(a.kind)].minutes for a in group),
            )
        )  # fmt: skip
    made.sort(key=lambda row: _urgency(row.lines[0].alert))
    return made


def _line(rows: list[Row], minutes: int) -> tuple[list[Row], list[Row], int]:
    """Rows the time is enough for, those below, and what time is left."""
    for i, row in enumerate(rows):
        if row.minutes > minutes:
            return rows[:i], rows[i:], minutes
        minutes -= row.minutes
    return rows, [], minutes


def _owners(rows: list[Row], day: date) -> None:
    """Whose student it is: the officers of the school."""
    names: dict[int | None, list[str]] = defaultdict(list)
    for assignment in policy.officers(day).select_related("user"):
        names[assignment.school_id].append(str(assignment.user))
    for row in rows:
        row.owner = ", ".join(names[row.school.pk] or names[None])


def _strips(rows: list[Row]) -> None:
    """The last school days of each student, a letter a day."""
    calendars = {row.first.alert.calendar_id for row in rows}
    columns = register_rows.columns_of(Calendar.objects.filter(pk__in=calendars))
    enrolments = [row.first.alert.enrolment_id for row in rows if row.student]
    codes = {
        (calendar, enrolment): text
        for calendar, enrolment, text in RegisterRow.objects.system(WHY)
        .filter(enrolment_id__in=enrolments, calendar_id__in=calendars)
        .values_list("calendar_id", "enrolment_id", "codes")
    }
    for row in rows:
        alert = row.first.alert
        text = codes.get((alert.calendar_id, alert.enrolment_id or 0))
        if text is None:
            continue
        column = columns[alert.calendar_id]
        through = column.through(alert.as_of)
        grid = Grid(
            np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(1, -1), column.days,
            column.calendar.sessions,
        )  # fmt: skip
        row.letters = day_letters(grid, through, 0)[-STRIP_DAYS:]
        row.dates = list(column.dates[max(0, through - STRIP_DAYS) : through])


def change_number(user: User) -> int:
    """Goes up when anything of the reader's schools changed: one cheap query for live pages."""
    schools = schools_for(user, Deed.SEE_TODAY)
    total = 0
    for number in SchoolChange.objects.filter(school__in=schools).values_list("number", flat=True):
        total += number
    return total


@dataclass(frozen=True, slots=True)
class SchoolLine:
    """A school as its district lead sees it: its own figures, no names, no rank."""

    school: School
    students: int
    away_today: int
    rolls_missing: int
    pattern: int


def school_lines(user: User) -> list[SchoolLine]:
    schools = list(schools_for(user, Deed.SEE_SCHOOLS).order_by("name"))
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for school, kind, clock_ in Alert.objects.system("counts a school, no students").filter(
        school__in=schools, state=Alert.State.OPEN
    ).exclude(kind=Kind.LOOK_OVER).values_list("school_id", "kind", "clock"):  # fmt: skip
        counts[school, kind] += 1
        counts[school, clock_] += 1
    rolls: dict[int, int] = defaultdict(int)
    current: dict[int, int] = {}
    for pk, school_id in (
        Calendar.objects.filter(school__in=schools).order_by("school_year__ends_in").values_list("pk", "school_id")
    ):
        current[school_id] = pk
    for school_id in (
        RegisterRow.objects.system("counts a school, no students").filter(calendar__in=current.values())
        .values_list("calendar__school_id", flat=True)
    ):  # fmt: skip
        rolls[school_id] += 1
    return [
        SchoolLine(
            s,
            rolls[s.pk],
            counts[s.pk, Kind.UNEXPLAINED_TODAY],
            counts[s.pk, Kind.ROLL_NOT_TAKEN],
            counts[s.pk, Clock.PATTERN],
        )
        for s in schools
    ]
