"""The week's draw: once a week, after the night's pass and before anybody reads its list, a few students are put up for a look.

Who can be drawn: on a school's roll with an officer, ten days known, not past the line, nothing pressing about them, nobody has decided
anything about them for four weeks, and not drawn for eight.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction
from django.db.models import Max, Q
from numpy.typing import NDArray

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.forecast.evidence import COUNTED
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.sample import Stratum, drawn, in_any_order, strata_of
from firstbell.jobs.queue import job_kind
from firstbell.register import rows
from firstbell.register.models import SCHOOL_DAY_TYPES, Calendar, CalendarDay, District, School
from firstbell.register.rows import Column
from firstbell.signals.metrics import MINIMUM_DAYS
from firstbell.watch.ahead import HORIZON, RAISED, Forecaster
from firstbell.watch.forecasting import shelf
from firstbell.watch.history import last_year
from firstbell.watch.kinds import KINDS
from firstbell.watch.looks import PRESSING, WAITS, Facts, facts_of
from firstbell.watch.models import Alert, Draw, DrawStratum, Kind, LookOver, Pass, Verdict
from firstbell.watch.passes import NIGHT, bump, current_year
from firstbell.watch.registers import Elsewhere, known_now, whole_days
from firstbell.watch.standing import ACTED_DAYS

__all__ = ["draw_looks", "this_week"]

WHY = "students are drawn for a look"
#: who was drawn rests so long
RESTS = timedelta(weeks=8)


class _Student(NamedTuple):
    """Somebody who can be drawn, and what the forecast says of them."""

    student: int
    enrolment: int
    calendar: int
    desk: int
    listed: bool
    band: str
    chance: float | None
    count: int


@dataclass(frozen=True)
class _Week:
    monday: date
    today: date

    @classmethod
    def now(cls, zone: ZoneInfo) -> _Week:
        today = clock.today(zone)
        return cls(today - timedelta(days=today.weekday()), today)


def draw_looks() -> Draw | None:
    """Draw this week's looks, unless that was done. All or nothing: a draw that is broken off has not begun."""
    zone = District.objects.values_list("time_zone", flat=True).first()
    year = current_year(clock.now().date())
    if zone is None or year is None:
        return None
    week = _Week.now(ZoneInfo(zone))
    if Draw.objects.filter(week=week.monday).exists():
        return None
    calendars = Calendar.objects.filter(school_year=year).select_related("school", "school_year").order_by("pk")
    columns = rows.columns_of(calendars)
    desks = _desks(week.today)
    open_schools = {
        pk: column for pk, column in columns.items()
        if column.calendar.school_id in desks and _last_day(column, week) is not None
    }  # fmt: skip
    forecaster = Forecaster.now()
    everybody = _who_can_be_drawn(open_schools, desks, week, forecaster)
    by = Draw.By.CHANCE if forecaster.model is not None else Draw.By.COUNT
    seed = secrets.randbits(63)
    taken, strata = _taken(seed, everybody, by)
    with transaction.atomic():
        this, new = Draw.objects.get_or_create(
            week=week.monday,
            defaults={
                "drawn_at": clock.now(), "seed": seed, "by": by,
                "model": shelf().current() if forecaster.model is not None else None,
            },
        )  # fmt: skip
        if not new:
            return None
        _put_up(this, open_schools, week, everybody, taken, strata)
        sizes = ", ".join(f"{name} {len(taken[name])} of {len(of)}" for name, of in strata.items())
        audit.record("firstbell", "drew_looks", f"draw:{this.pk}", f"seed {seed}: {sizes or 'nobody'}")
    return this


def _last_day(column: Column, week: _Week) -> date | None:
    """The week's last school day, if one is still to come: so long a look stands."""
    days = [d for d in column.dates if week.today <= d < week.monday + timedelta(days=7)]
    return days[-1] if days else None


def _desks(today: date) -> dict[int, int]:
    """school -> its desk: schools of the very same officers share one. A school without an officer has none."""
    officers: dict[int | None, set[int]] = defaultdict(set)
    for school, user in policy.officers(today).values_list("school_id", "user_id"):
        officers[school].add(user)
    numbers: dict[frozenset[int], int] = {}
    found = {}
    for school in School.objects.order_by("pk").values_list("pk", flat=True):
        who = frozenset(officers.get(school) or officers[None])
        if who:
            found[school] = numbers.setdefault(who, len(numbers))
    return found


def _who_can_be_drawn(
    columns: dict[int, Column], desks: dict[int, int], week: _Week, forecaster: Forecaster
) -> list[_Student]:
    """Everybody who can be drawn; who is at two schools counts once, at the first of them."""
    if not columns:
        return []
    year = next(iter(columns.values())).calendar.school_year
    last, others = last_year(year), Elsewhere(year)
    line = find_line(*RAISED.split("/"))
    left_out, listed = _left_out(week.today), _open(WAITS)
    seen: set[int] = set()
    found: list[_Student] = []
    for pk, column in columns.items():
        school = rows.school_grid(column)
        through, _today = whole_days(column.calendar, column.dates, week.today)
        if not through:
            continue
        known = known_now(school, through, last, others.stays(school.student_ids))
        asked = forecaster.forecast(known, line, HORIZON, np.empty(0, dtype=np.int64))
        f = asked.forecasts if asked else None
        count = (known.kinds[line.counted] == COUNTED).sum(axis=1) + known.carried.count.astype(np.int64)
        days = (known.kinds[Counted.ABSENT] > 0).sum(axis=1) + known.carried.possible
        can = known.here & (days >= MINIMUM_DAYS) & (count < line.days)
        desk = desks[column.calendar.school_id]
        for i in np.flatnonzero(can).tolist():
            student = int(school.student_ids[i])
            if student in left_out or student in seen:
                continue
            chance = None if f is None or np.isnan(f.chance[i]) else float(f.chance[i])
            if f is not None and chance is None:
                continue  # past the line, as the forecast counts
            seen.add(student)
            found.append(
                _Student(
                    student, int(school.enrolment_ids[i]), pk, desk, student in listed, str(f.band[i]) if f else "",
                    chance, int(count[i]),
                )
            )  # fmt: skip
    return found


def _open(kinds: frozenset[Kind]) -> set[int]:
    standing = Alert.objects.system(WHY).filter(state=Alert.State.OPEN, kind__in=kinds, student__isnull=False)
    return set(standing.values_list("student_id", flat=True))


def _left_out(today: date) -> set[int]:
    """Who is before a person already, was lately, or was drawn lately."""
    decided = Verdict.objects.system(WHY).filter(
        Q(given_at__gte=clock.now() - ACTED_DAYS) | Q(watch_until__gt=today), undone_at=None, student__isnull=False
    )
    drawn_lately = LookOver.objects.system(WHY).filter(stratum__draw__week__gt=today - RESTS)
    return (
        _open(PRESSING)
        | _open(frozenset({Kind.LOOK_OVER}))
        | set(decided.values_list("student_id", flat=True))
        | set(drawn_lately.values_list("student_id", flat=True))
    )


def _taken(
    seed: int, everybody: list[_Student], by: Draw.By
) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """By stratum: places in `everybody` of who is drawn, and of who could have been."""
    score = np.array([s.chance if by is Draw.By.CHANCE else s.count for s in everybody], dtype=np.float64)
    names = strata_of(np.array([s.listed for s in everybody], dtype=np.bool_), score)
    who, school, desk = (
        np.array([s[field] for s in everybody], dtype=np.int64) for field in (0, 2, 3)
    )  # student, calendar, desk
    of = {str(name): np.flatnonzero(names == name) for name in Stratum}
    of = {name: places for name, places in of.items() if len(places)}
    return {
        name: places[drawn(seed, name, who[places], school[places], desk[places])] for name, places in of.items()
    }, of


def _put_up(
    this: Draw,
    columns: dict[int, Column],
    week: _Week,
    everybody: list[_Student],
    taken: dict[str, NDArray[np.int64]],
    strata: dict[str, NDArray[np.int64]],
) -> None:
    """The draw's rows, and an alert a look, made in an order that says nothing of anybody's stratum."""
    kept = {
        name: DrawStratum.objects.create(draw=this, name=name, size=len(of), taken=len(taken[name]))
        for name, of in strata.items()
    }
    stratum_of = {int(place): name for name, places in taken.items() for place in places}
    places = np.array(sorted(stratum_of), dtype=np.int64)
    if not len(places):
        return
    who = np.array([everybody[p].student for p in places], dtype=np.int64)
    facts = _facts(columns, [everybody[p] for p in places], week.today)
    for place in places[in_any_order(this.seed, who)].tolist():
        s = everybody[place]
        column = columns[s.calendar]
        f = facts[s.enrolment]
        alert = Alert.objects.system(WHY).create(
            kind=Kind.LOOK_OVER, clock=KINDS[Kind.LOOK_OVER].clock, school_id=column.calendar.school_id,
            calendar_id=s.calendar, student_id=s.student, enrolment_id=s.enrolment, measure=0, opened_at=this.drawn_at,
            as_of=week.today, known_through=this.drawn_at, expires_on=_last_day(column, week), count=f.missed, of=f.possible,
            usual_count=f.late, days=f.days,
        )  # fmt: skip
        LookOver.objects.system(WHY).create(
            stratum=kept[stratum_of[place]],
            student_id=s.student,
            alert=alert,
            band=s.band,
            chance=s.chance,
            count=s.count,
        )
    for school in {columns[everybody[p].calendar].calendar.school_id for p in places}:
        bump(school)


def _facts(columns: dict[int, Column], who: list[_Student], today: date) -> dict[int, Facts]:
    """By enrolment."""
    found: dict[int, Facts] = {}
    by_calendar: dict[int, list[int]] = defaultdict(list)
    for s in who:
        by_calendar[s.calendar].append(s.student)
    for pk, students in by_calendar.items():
        school = rows.school_grid(columns[pk], student_ids=students)
        through, _today = whole_days(columns[pk].calendar, columns[pk].dates, today)
        for row, enrolment in enumerate(school.enrolment_ids.tolist()):
            found[enrolment] = facts_of(school.grid, through, row)
    return found


def this_week() -> str | None:
    """Due once a week: on its first morning with school still to come, once the night's pass is done."""
    zone = District.objects.values_list("time_zone", flat=True).first()
    if zone is None:
        return None
    local = clock.now().astimezone(ZoneInfo(zone))
    week = _Week.now(ZoneInfo(zone))
    if local.time() < NIGHT or Draw.objects.filter(week=week.monday).exists():
        return None
    midnight = datetime.combine(week.today, datetime.min.time(), ZoneInfo(zone))
    last = Pass.objects.aggregate(at=Max("finished_at"))["at"]
    days = CalendarDay.objects.filter(
        day_type__in=SCHOOL_DAY_TYPES, date__gte=week.today, date__lt=week.monday + timedelta(days=7)
    )
    if last is None or last < midnight or not days.exists():
        return None
    return f"looks:{week.monday}"


@job_kind("looks", lease=timedelta(minutes=10), due=this_week)
def looks(_argument: str) -> None:
    draw_looks()
