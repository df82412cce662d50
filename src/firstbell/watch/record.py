"""One student's record as a page shows it: years, figures that open into their days, alerts and verdicts, contacts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.register import rows as register_rows
from firstbell.register.gathered import day as day_of
from firstbell.register.gathered import gathered
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, ContactLink, Enrolment, RegisterRow, Student
from firstbell.register.rows import Column
from firstbell.signals import metrics
from firstbell.signals.metrics import Attendance, CountedDay
from firstbell.watch.lasting import as_they_stand
from firstbell.watch.lines import Laws
from firstbell.watch.looks import said_in_time
from firstbell.watch.models import Alert, Kind, LawInForce, Verdict
from firstbell.watch.registers import whole_days
from firstbell.watch.words import sentence

__all__ = ["Figure", "StudentRecord", "Year", "student_record"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with the days, the rule and the version behind it."""

    label: str
    value: str
    rule: str
    version: str
    days: list[CountedDay]


@dataclass(frozen=True, slots=True)
class Year:
    """One register row: an enrolment's year."""

    column: Column
    enrolment: Enrolment
    codes: str
    letters: str  # one a day
    dates: tuple[date, ...]
    sessions: int
    through: int
    days: list[CountedDay]
    laws: tuple[LawInForce, ...]  # in force on the day asked about, and before

    @property
    def calendar(self) -> Calendar:
        return self.column.calendar

    @property
    def attendance(self) -> Attendance:
        return metrics.attendance(self.days)


@dataclass(frozen=True, slots=True)
class Answered:
    alert: Alert
    sentence: str
    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class StudentRecord:
    """`look`: an open look at the student; what waits for it is not in `open`."""

    student: Student
    enrolments: list[Enrolment]
    years: list[Year]
    earlier: list[Year]
    figures: list[Figure]
    open: list[Answered]
    past: list[Answered]
    links: list[ContactLink]
    as_of: date | None
    today: date
    look: Alert | None


def student_record(student: Student, *, as_of: date | None = None) -> StudentRecord:
    """Everything the Student page shows, of a student the reader was given. `as_of`: as known at the end of that day."""
    enrolments = sorted(student.enrolments.all(), key=lambda stay: (stay.starts, stay.pk))
    zone = enrolments[-1].school.zone if enrolments else None
    today = clock.today(zone) if zone else clock.now().date()
    day = as_of or today
    years = _years(student, enrolments, day, rebuilt=as_of is not None)
    latest = max((y.calendar.school_year.ends_in for y in years), default=0)
    current = [y for y in years if y.calendar.school_year.ends_in == latest]
    earlier = [y for y in years if y.calendar.school_year.ends_in != latest]
    verdicts: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in student.verdicts.select_related("given_by").order_by("given_at"):
        verdicts[verdict.alert_id].append(verdict)
    found = student.alerts.select_related("student", "section", "school").order_by("-opened_at")
    every = said_in_time(as_they_stand(found))
    laws = Laws()
    alerts = [Answered(a, sentence(a, laws), verdicts[a.pk]) for a in every]
    standing = [a for a in alerts if a.alert.state == Alert.State.OPEN]
    return StudentRecord(
        student, enrolments, current, earlier, _figures([d for y in current for d in y.days]),
        standing, [a for a in alerts if a.alert.state != Alert.State.OPEN],
        list(student.links.select_related("contact").order_by("id")), as_of, today,
        next((a.alert for a in standing if a.alert.kind == Kind.LOOK_OVER), None),
    )  # fmt: skip


def _years(student: Student, enrolments: list[Enrolment], day: date, *, rebuilt: bool) -> list[Year]:
    by_pk = {e.pk: e for e in enrolments}
    made = []
    found = RegisterRow.objects.system("of a student the reader was given").filter(student=student)
    rows = list(
        found.select_related("calendar__school", "calendar__school_year", "calendar__summary")
        .annotate(laws=gathered(LawInForce.objects.filter(first__lte=day), "pack", "overlay", "first", "last"))
        .order_by("calendar__school_year__ends_in", "id")
    )
    columns = register_rows.columns_of(row.calendar for row in rows)
    for row in rows:
        column = columns[row.calendar_id]
        codes = row.codes
        if rebuilt:
            known = register_rows.stays_as_known(row.calendar, day, student_ids=[student.pk])
            codes = next((text for stay, text, _minutes in known if stay.enrolment_id == row.enrolment_id), "")
        if not codes or not column.dates:
            continue
        through = column.through(day)
        grid = Grid(
            np.frombuffer(codes.encode("ascii"), dtype=np.uint8).reshape(1, -1), column.days,
            row.calendar.sessions,
        )  # fmt: skip
        whole, _today = whole_days(row.calendar, column.dates, day)
        made.append(
            Year(
                column, by_pk[row.enrolment_id], codes, metrics.day_letters(grid, len(column.dates), 0), column.dates,
                row.calendar.sessions, through, metrics.counted_days(grid, whole, 0),
                tuple(
                    LawInForce(pack=pack, overlay=own, first=day_of(first), last=day_of(last))
                    for pack, own, first, last in row.laws or ()
                ),
            )
        )  # fmt: skip
    return made


def percent(rate: Fraction | None) -> str:
    """A share for reading, rounded once, from the exact fraction: 9.96 % stays under ten."""
    if rate is None:
        return "–"
    tenths = rate * 1000
    shown = int(tenths)  # downward: a rate under a line is never shown as on it
    return f"{shown // 10}.{shown % 10} %"


def _figures(days: list[CountedDay]) -> list[Figure]:
    missed = [d for d in days if d.missed]
    year = metrics.attendance(days)
    last = days[-20:]
    recent = metrics.attendance(last)
    without = [d for d in missed if d.letters.count("N") * 2 > sum(c in "EUNXS" for c in d.letters)]
    half = _("A day counts as missed when at least half of its sessions were (EDFacts FS195).")
    verdict = metrics.chronic(year)
    return [
        Figure(_("Days missed this year"), _("%(missed)s of %(possible)s") % {"missed": year.missed, "possible": year.possible}, half, metrics.VERSION, missed),
        Figure(_("Share missed"), percent(year.rate), half, metrics.VERSION, missed),
        Figure(_("Of the last 20 days"), _("%(missed)s of %(possible)s") % {"missed": recent.missed, "possible": recent.possible}, half, metrics.VERSION, [d for d in last if d.missed]),
        Figure(_("Without a reason yet"), str(len(without)), _("Most of the day's missed sessions have no reason yet."), metrics.VERSION, without),
        Figure(
            _("Chronically absent"),
            _("not evaluated") if verdict is None else _("yes") if verdict else _("no"),
            _("Missing a tenth or more of at least 10 days enrolled, for any reason (EDFacts FS195)."), metrics.VERSION, missed,
        ),
    ]  # fmt: skip
