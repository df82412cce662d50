"""The pass: signals over each school's register, compared with the alerts that stand. Nightly over all, live over a few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.db import connection, transaction
from django.db.models import F

from firstbell import clock
from firstbell.jobs.queue import job_kind
from firstbell.register import rows
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, District, RollState, SchoolYear, Section, SectionEnrolment
from firstbell.register.rows import SchoolGrid
from firstbell.watch.ahead import Elsewhere, Forecaster, ahead_findings, elsewhere, known_now
from firstbell.watch.concerns import concern_findings
from firstbell.watch.history import LastYear, last_year, last_year_of
from firstbell.watch.kinds import KINDS, Finding, SectionToday, pattern_findings, today_findings
from firstbell.watch.looks import look_findings
from firstbell.watch.models import Alert, Clock, Kind, Pass, SchoolChange, Verdict

__all__ = ["Outcome", "evaluate", "run_pass"]

WHY = "alerts are evaluated"
#: a roll is missed when so much of its session has gone by
ROLL_GRACE = timedelta(minutes=15)
#: after somebody acted on a student, high absence is not raised again for so long
ACTED_DAYS = timedelta(days=28)
#: when the nightly pass begins: after the evening's exports, before the first bus
NIGHT = time(4)
#: "not a concern" holds so long, unless it gets worse
NO_CONCERN_DAYS = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Outcome:
    students: int
    opened: int
    withdrawn: int


@dataclass(frozen=True)
class Around:
    """What a school's own register doesn't hold: last year, this year at other schools, and the forecast."""

    last_year: LastYear
    elsewhere: Elsewhere
    forecaster: Forecaster

    @classmethod
    def of(cls, year: SchoolYear, student_ids: Sequence[int] | None = None, *, as_of: date | None = None) -> Around:
        """`student_ids`: whom it will be asked about; for the others it may know less."""
        last = last_year(year) if student_ids is None else last_year_of(year, student_ids)
        return cls(last, elsewhere(year, student_ids), Forecaster.now(as_of))


def run_pass(
    *, as_of: date | None = None, calendars: Sequence[Calendar] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pass:  # fmt: skip
    """Evaluate every school of the school year that holds the day. Running it twice changes nothing.

    `as_of`: judge a past day by what was known at its end.
    """
    started = clock.now()
    day = as_of or started.date()
    found = calendars
    if found is None:
        year = current_year(day)
        found = list(Calendar.objects.filter(school_year=year).select_related("school", "school_year")) if year else []
    this = Pass.objects.create(started_at=started, as_of=day)
    around: dict[int, Around] = {}
    totals = [0, 0, 0]
    for done, calendar in enumerate(found, 1):
        year_pk = calendar.school_year_id
        if year_pk not in around:
            around[year_pk] = Around.of(calendar.school_year, as_of=as_of)
        outcome = evaluate(calendar, as_of=as_of, around=around[year_pk])
        totals = [a + b for a, b in zip(totals, (outcome.students, outcome.opened, outcome.withdrawn), strict=True)]
        if progress:
            progress(done, len(found))
    this.students, this.opened, this.withdrawn = totals
    this.finished_at = clock.now()
    this.save()
    return this


def current_year(day: date) -> SchoolYear | None:
    """The school year that holds a day, or the latest one that began before it."""
    return SchoolYear.objects.filter(starts__lte=day).order_by("-starts").first()


def evaluate(
    calendar: Calendar,
    *,
    as_of: date | None = None,
    around: Around | None = None,
    student_ids: Sequence[int] | None = None,
) -> Outcome:
    """Compare one school's register with its open alerts, in one transaction.

    `student_ids`: only these students' alerts (and the rolls') are touched; they are judged against the whole school all the same.
    """
    now = clock.now()
    today = as_of or now.astimezone(calendar.school.zone).date()
    school = rows.school_grid(calendar) if as_of is None else rows.grid_as_known(calendar, as_of)
    around = around or Around.of(calendar.school_year, student_ids, as_of=as_of)
    through, column = whole_days(calendar, school.grid, today)
    findings, _signals = pattern_findings(school, through, around.last_year)
    known_days = known_now(school, through, around.last_year, around.elsewhere)
    findings.extend(ahead_findings(school, known_days, around.forecaster))
    if column is not None:
        findings += today_findings(school, column, _sections_today(calendar, school, today, now, as_of))
    known = now if as_of is None else datetime.fromtimestamp(clock.end_of_day(as_of, calendar.school.zone), UTC)
    findings += concern_findings(calendar, school, today, known)
    findings += look_findings(calendar, school, through, today)
    with transaction.atomic():
        opened, withdrawn = _write(calendar, school, findings, today, known, student_ids)
        if opened or withdrawn or student_ids is not None:
            bump(calendar.school_id)
    return Outcome(len(school.student_ids), opened, withdrawn)


def whole_days(calendar: Calendar, grid: Grid, today: date) -> tuple[int, int | None]:
    """How many whole days counts and patterns may read, and today's column if today is a school day.

    Today is not a whole day until its source has said everything about it: at nine o'clock an absence may still be a late bus.
    """
    upto = grid.through(np.datetime64(today))
    is_today = upto > 0 and grid.dates[upto - 1] == np.datetime64(today)
    whole = calendar.covered_through is not None and calendar.covered_through >= today
    return (upto if whole or not is_today else upto - 1), (upto - 1 if is_today else None)


def _sections_today(
    calendar: Calendar, school: SchoolGrid, today: date, now: datetime, as_of: date | None
) -> list[SectionToday]:  # fmt: skip
    """The classes whose roll should have been taken by now. A source that sends only marks, and no rolls, is not chased."""
    vouched = calendar.covered_through is not None and calendar.covered_through >= today
    if vouched or not RollState.objects.filter(calendar=calendar).exists():
        return []
    begun = [s for s, at in enumerate(session_times(calendar, today)) if as_of is not None or at + ROLL_GRACE <= now]
    if not begun:
        return []
    states = RollState.objects.filter(calendar=calendar, date=today, taken=True).values_list("section_id", "session")
    taken: dict[int | None, set[int]] = defaultdict(set)
    for section_id, session in states:
        taken[section_id].update(range(calendar.sessions) if session is None else [session])
    row_of = {int(student): i for i, student in enumerate(school.student_ids)}
    members: dict[int, list[int]] = defaultdict(list)
    seats = SectionEnrolment.objects.system(WHY).filter(
        section__calendar=calendar, section__withdrawn=False, starts__lte=today
    )
    for section_id, student_id, ends in seats.values_list("section_id", "student_id", "ends"):
        if (ends is None or ends >= today) and student_id in row_of:
            members[section_id].append(row_of[student_id])
    sections = Section.objects.filter(calendar=calendar, withdrawn=False).values_list("pk", "sessions")
    return [
        SectionToday(
            pk,
            np.array(members.get(pk, []), dtype=np.int64),
            tuple(s for s in ([int(x) for x in meets.split()] or range(calendar.sessions)) if s in begun),
            frozenset(taken[pk] | taken[None]),
        )
        for pk, meets in sections
    ]


def session_times(calendar: Calendar, day: date) -> list[datetime]:
    """When each session of a day begins, by the school's clock. Without start times: spread from eight o'clock by the hour."""
    starts = calendar.session_starts.split() or [f"{8 + s:02d}:00" for s in range(calendar.sessions)]
    return [
        datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=calendar.school.zone) for at in starts[: calendar.sessions]
    ]


def bump(school_id: int) -> None:
    """Tell a school's open pages that something changed."""
    if not SchoolChange.objects.filter(pk=school_id).update(number=F("number") + 1):
        SchoolChange.objects.get_or_create(pk=school_id, defaults={"number": 1})


# -- writing -------------------------------------------------------------------------------------------------------

Key = tuple[Kind, int | None, int | None, int | None, str]  # kind, student, section, session, rule


def _key(finding: Finding, school: SchoolGrid) -> Key:
    student = None if finding.row is None else int(school.student_ids[finding.row])
    return (finding.kind, student, finding.section_id, finding.session if finding.section_id else None, finding.rule)


def _write(
    calendar: Calendar,
    school: SchoolGrid,
    findings: list[Finding],
    today: date,
    known: datetime,
    student_ids: Sequence[int] | None,
) -> tuple[int, int]:
    only = None if student_ids is None else set(student_ids)
    wanted: dict[Key, Finding] = {}
    for finding in findings:
        key = _key(finding, school)
        if only is not None and key[1] is not None and key[1] not in only:
            continue
        if key not in wanted or finding.measure > wanted[key].measure:  # somebody with two rows at a school
            wanted[key] = finding
    # Locked, so that a live mark and the nightly pass don't both open the same alert.
    standing = Alert.objects.system(WHY).select_for_update().filter(school=calendar.school_id, state=Alert.State.OPEN)
    if only is not None:
        standing = standing.filter(student_id__in=only) | standing.filter(student=None)
    open_now = {
        (Kind(kind), student, section, session if section else None, rule): _Standing(*rest)
        for kind, student, section, session, rule, *rest in standing.values_list(
            "kind",
            "student_id",
            "section_id",
            "session",
            "rule",
            "pk",
            "count",
            "of",
            "days",
            "expires_on",
            "why",
            "usual_count",
        )
    }
    answered = _answered(calendar, only)
    dates = school.grid.dates.astype(object).tolist()
    upto = school.grid.through(np.datetime64(today))
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    longer: dict[date, list[int]] = defaultdict(list)
    for key, finding in wanted.items():
        rule = KINDS[finding.kind]
        expires = today if rule.clock is Clock.TODAY else dates[min(upto + rule.life, len(dates)) - 1]
        alert = open_now.get(key)
        if alert is not None and _acted_on(finding, answered.get(key[1] or 0, []), today):
            continue  # "nobody has acted" is no longer so: left in open_now, it is withdrawn below
        if finding.holds:
            if alert is not None and alert.expires_on >= today:
                open_now.pop(key)
            continue
        open_now.pop(key, None)
        said = {
            "count": finding.count, "of": finding.of, "measure": finding.measure, "usual_count": finding.usual_count,
            "usual_of": finding.usual_of, "weekday": finding.weekday, "session": finding.session, "days": finding.days, "why": finding.why,
            "as_of": today, "known_through": known, "expires_on": expires,
        }  # fmt: skip
        if alert is None:
            if key[1] is not None and _still_answered(finding, answered.get(key[1], []), today):
                continue
            of_whom = {
                "kind": finding.kind, "clock": rule.clock, "school": calendar.school_id, "calendar": calendar.pk,
                "student": key[1], "enrolment": None if finding.row is None else int(school.enrolment_ids[finding.row]),
                "section": finding.section_id, "rule": finding.rule, "state": Alert.State.OPEN, "opened_at": known, "closed_at": None,
                "closing": "", "version": 0,
            }  # fmt: skip
            new.append({**of_whom, **said})
        elif alert.ground != (finding.count, finding.of, finding.days, finding.why, finding.usual_count):
            changed.append({**said, "id": alert.pk})
        elif alert.expires_on != expires:  # the same ground, for longer: nothing anybody read has changed
            longer[expires].append(alert.pk)
    _insert(new)
    _update(changed)
    for expires, pks in longer.items():
        _of(pks, as_of=today, known_through=known, expires_on=expires)
    expired = [a.pk for a in open_now.values() if a.expires_on < today]
    gone = [a.pk for a in open_now.values() if a.expires_on >= today]
    _of(expired, state=Alert.State.EXPIRED, closed_at=known, version=F("version") + 1)
    _of(gone, state=Alert.State.WITHDRAWN, closed_at=known, version=F("version") + 1)
    return len(new), len(gone) + len(expired)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is compared of an open alert."""

    pk: int
    count: int
    of: int
    days: str
    expires_on: date
    why: str
    usual_count: int

    @property
    def ground(self) -> tuple[int, int, str, str, int]:
        return (self.count, self.of, self.days, self.why, self.usual_count)


def _of(pks: list[int], **change: Any) -> None:
    for some in (pks[i : i + 500] for i in range(0, len(pks), 500)):
        Alert.objects.system(WHY).filter(pk__in=some).update(**change)


# A whole pass over a big district opens half a million alerts: as rows of one statement they take a tenth of the time that
# model objects do.


def _rows(alerts: list[dict[str, Any]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns of these fields, and their values as the database takes them."""
    fields = [Alert._meta.get_field(name) for name in alerts[0]]
    columns: list[Sequence[Any]] = []
    for field, column in zip(fields, zip(*(alert.values() for alert in alerts), strict=True), strict=True):
        if not set(map(type, column)) <= {int, str, type(None)}:  # dates and choices: the same few again and again
            prepared = {value: field.get_db_prep_save(value, connection) for value in set(column)}
            columns.append([prepared[value] for value in column])
        else:
            columns.append(column)
    return [f.column for f in fields], list(zip(*columns, strict=True))


def _insert(alerts: list[dict[str, Any]]) -> None:
    if not alerts:
        return
    columns, rows = _rows(alerts)
    names, holes = ", ".join(f'"{c}"' for c in columns), ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {Alert._meta.db_table} ({names}) VALUES ({holes})", rows)  # noqa: S608 - our own names


def _update(alerts: list[dict[str, Any]]) -> None:
    """Each by its `id`, which stands last."""
    if not alerts:
        return
    columns, rows = _rows(alerts)
    sets = ", ".join(f'"{c}" = %s' for c in columns[:-1])
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {Alert._meta.db_table} SET {sets}, version = version + 1 WHERE id = %s", rows  # noqa: S608 - our own names
        )  # fmt: skip


def _answered(calendar: Calendar, only: set[int] | None) -> dict[int, list[Verdict]]:
    """What people decided about these students (or all of a school's), latest first."""
    found: dict[int, list[Verdict]] = defaultdict(list)
    given = Verdict.objects.system(WHY).filter(undone_at=None, student__isnull=False, alert__school=calendar.school_id)
    if only is not None:
        given = given.filter(student_id__in=only)
    for verdict in given.select_related("alert").order_by("-given_at"):
        found[verdict.student_id or 0].append(verdict)
    return found


def _still_answered(finding: Finding, verdicts: list[Verdict], today: date) -> bool:
    """Whether what somebody decided still answers this finding: it isn't raised again unless it got worse.

    Worse is the kind's own: its measure grew by `worse` past the answered one. A *watch* comes back on its date; *wrong data* when
    the days behind it changed; *not a concern* holds four weeks. High absence rests for four weeks after anybody acted on
    anything about the student, and while a watch runs.
    """
    rule = KINDS[finding.kind]
    if _acted_on(finding, verdicts, today):
        return True
    latest = next((v for v in verdicts if (v.alert.kind, v.alert.rule) == (finding.kind, finding.rule)), None)
    if latest is None:
        return False
    if rule.clock is Clock.TODAY:
        return latest.alert.as_of == today
    if finding.measure >= latest.measure + rule.worse:
        return False
    match latest.decision:
        case Verdict.Decision.WATCH:
            return latest.watch_until is not None and latest.watch_until > today
        case Verdict.Decision.WRONG_DATA:
            return latest.alert.days == finding.days
        case Verdict.Decision.NO_CONCERN:
            return today - latest.given_at.date() <= NO_CONCERN_DAYS
        case _:
            return today - latest.given_at.date() <= ACTED_DAYS


def _acted_on(finding: Finding, verdicts: list[Verdict], today: date) -> bool:
    """High absence only: somebody acted on anything about this student lately, or is watching."""
    if finding.kind is not Kind.HIGH_ABSENCE:
        return False
    for verdict in verdicts:
        if verdict.decision == Verdict.Decision.ACT and today - verdict.given_at.date() <= ACTED_DAYS:
            return True
        if verdict.decision == Verdict.Decision.WATCH and verdict.watch_until and verdict.watch_until > today:
            return True
    return False


@job_kind("rescore_calendar", lease=timedelta(minutes=5))
def rescore_calendar(argument: str) -> None:
    """After an import: one school's alerts, if its year is the current one."""
    calendar = Calendar.objects.select_related("school", "school_year").get(pk=int(argument))
    year = current_year(clock.today(calendar.school.zone))
    if year is not None and calendar.school_year_id == year.pk:
        evaluate(calendar)


def tonight() -> str | None:
    """The night's pass, one a date, from four in the morning by the district's clock."""
    zone = District.objects.values_list("time_zone", flat=True).first()
    if zone is None:
        return None
    local = clock.now().astimezone(ZoneInfo(zone))
    return f"nightly:{local.date()}" if local.time() >= NIGHT else None


@job_kind("nightly", lease=timedelta(minutes=30), due=tonight)
def nightly(_argument: str) -> None:
    run_pass()
