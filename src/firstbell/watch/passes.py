"""The pass: what the registers give ground for, compared with the alerts that stand. By night over all schools, live over a few students."""

from __future__ import annotations

import gc
import hashlib
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Sum

from firstbell import clock
from firstbell.jobs.queue import enqueue, job_kind
from firstbell.register import rows
from firstbell.register.models import Calendar, District, RegisterRow, RollState, SchoolYear, Section, SectionEnrolment
from firstbell.register.rows import SchoolGrid
from firstbell.watch.ahead import Forecaster
from firstbell.watch.concerns import concern_findings
from firstbell.watch.ground import Asker, Finding, Ground, ground
from firstbell.watch.history import LastYear, last_year, last_year_of
from firstbell.watch.lines import Lines, NearBy, law_on
from firstbell.watch.looks import look_findings
from firstbell.watch.models import CalendarPass, Concern, Kind, Pass, SchoolChange, Verdict
from firstbell.watch.registers import Elsewhere, Place, Stays, registers_of
from firstbell.watch.standing import Look, write

__all__ = ["Outcome", "evaluate", "run_pass"]

WHY = "alerts are evaluated"
#: a roll is missed when so much of its session has gone by
ROLL_GRACE = timedelta(minutes=15)
#: when the nightly pass begins: after the evening's exports, before the first bus
NIGHT = time(4)


#: students looked over together: enough that a call's cost is nothing, few enough to stay in the machine's nearest memory
BATCH = 24_000
MOST_SCHOOLS = 500
#: batches read ahead of the one being written
AHEAD = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """expires: when the first of what stands does, by school."""

    students: int
    opened: int
    withdrawn: int
    expires: dict[int, date]


@dataclass(frozen=True)
class Around:
    """What the registers asked about don't hold: last year, this year at other schools, the forecast, and the law's lines."""

    last_year: LastYear
    elsewhere: Elsewhere
    forecaster: Forecaster
    lines: Lines

    @classmethod
    def of(cls, year: SchoolYear, student_ids: Sequence[int] | None = None, *, as_of: date | None = None) -> Around:
        """`student_ids`: whom it will be asked about; for the others it may know less."""
        last = last_year(year) if student_ids is None else last_year_of(year, student_ids)
        return cls(last, Elsewhere(year, student_ids), Forecaster.now(as_of), Lines.on(year, as_of))

    @cached_property
    def askers(self) -> tuple[Asker, ...]:
        return self.forecaster.askers(self.lines)

    @property
    def asked(self) -> list[str]:
        """The lines a forecast speaks of."""
        return [rule for asker in self.askers for rule in asker.rules]


def run_pass(
    *, as_of: date | None = None, calendars: Sequence[Calendar] | None = None,
    progress: Callable[[int, int], None] | None = None, everything: bool = False,
) -> Pass:  # fmt: skip
    """Look over every school of the school year that holds the day. Running it twice changes nothing.

    `as_of`: judge a past day by what was known at its end. `everything`: also the schools of which nothing has changed since the last pass.
    """
    with _without_collecting():
        return _run_pass(as_of, calendars, progress, everything)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A pass makes a million short-lived values and no cycles: looking for those among them takes a fifth of its time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _run_pass(
    as_of: date | None, calendars: Sequence[Calendar] | None, progress: Callable[[int, int], None] | None, everything: bool
) -> Pass:  # fmt: skip
    started = clock.now()
    day = as_of or started.date()
    found = calendars
    if found is None:
        year = current_year(day)
        found = list(Calendar.objects.filter(school_year=year).select_related("school", "school_year")) if year else []
    this = Pass.objects.create(started_at=started, as_of=day)
    totals, done = np.zeros(3, dtype=np.int64), 0
    expires: dict[int, date] = {}
    for _year, of_year in groupby(sorted(found, key=lambda c: c.school_year_id), key=lambda c: c.school_year_id):
        places = [
            Place.of(column, as_of or started.astimezone(column.calendar.school.zone).date())
            for column in rows.columns_of(of_year).values()
        ]
        year = places[0].calendar.school_year
        around = Around.of(year, as_of=as_of)
        students = dict(
            RegisterRow.objects.system(WHY)
            .filter(calendar__in=Calendar.objects.filter(school_year=year).values("pk"))
            .values_list("calendar")
            .annotate(Count("pk"))
        )
        reads = {} if as_of else _reads(places, around)
        if not as_of and not everything:
            changed = _changed(places, reads)
            totals[0] += sum(students.values()) - sum(students.get(p.calendar.pk, 0) for p in changed)
            done += len(places) - len(changed)
            places = changed
        for batch, outcome in _looked_over(places, students, around, started, as_of):
            totals += (outcome.students, outcome.opened, outcome.withdrawn)
            expires |= outcome.expires
            done += len(batch)
            if progress:
                progress(done, len(found))
        if not as_of:
            _keep(places, reads, expires)
    this.students, this.opened, this.withdrawn = (int(n) for n in totals)
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
    place = Place.of(rows.columns(calendar), as_of or now.astimezone(calendar.school.zone).date())
    around = around or Around.of(calendar.school_year, student_ids, as_of=as_of)
    schools = read_schools([place], as_of)
    stays = _stays(schools, around)
    found = _ground(
        schools, place, around, stays, near_by(schools, place, around, stays, only=student_ids, as_of=as_of)
    )
    return written_down(Look([place], schools, _known(place, now, as_of), student_ids), now, as_of, found, around.lines)


# -- many schools at once ------------------------------------------------------------------------------------------


def _batches(places: Sequence[Place], students: dict[int, int]) -> Iterator[list[Place]]:
    """Schools that share their days, some thousand students at a time."""

    def days(place: Place) -> tuple[object, ...]:
        of = place.calendar
        return (
            of.sessions,
            of.school.time_zone,
            place.today,
            place.through,
            -1 if place.column is None else place.column,
            place.days.dates,
        )

    for _days, alike in groupby(sorted(places, key=days), key=days):
        batch: list[Place] = []
        n = 0
        for place in alike:
            size = students.get(place.calendar.pk, 0)
            if batch and (n + size > BATCH or len(batch) == MOST_SCHOOLS):
                yield batch
                batch, n = [], 0
            batch.append(place)
            n += size
        yield batch


def _looked_over(
    places: Sequence[Place], students: dict[int, int], around: Around, now: datetime, as_of: date | None
) -> Iterator[tuple[list[Place], Outcome]]:
    """Read here, reckoned beside on every core, and written here in order: the database sees one hand."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        waiting: list[tuple[list[Place], list[SchoolGrid], Future[Ground]]] = []

        def written() -> tuple[list[Place], Outcome]:
            batch, schools, found = waiting.pop(0)
            look = Look(batch, schools, _known(batch[0], now, as_of))
            return batch, written_down(look, now, as_of, found.result(), around.lines)

        for batch in _batches(places, students):
            schools = read_schools(batch, as_of)
            stays = _stays(schools, around)
            read = near_by(schools, batch[0], around, stays, as_of=as_of)
            waiting.append((batch, schools, threads.submit(_ground, schools, batch[0], around, stays, read)))
            if len(waiting) > AHEAD:
                yield written()
        while waiting:
            yield written()


def written_down(look: Look, now: datetime, as_of: date | None, found: Ground, lines: Lines) -> Outcome:
    """What the registers say, and what rolls and teachers say beside it, set against what stands: in one transaction."""
    others = [*_rolls_not_taken(look, now, as_of), *concern_findings(look), *look_findings(look)]
    found = lines.one_each(look, found)
    every = Ground.joined([found, Ground.of_findings(others)]) if others else found
    with transaction.atomic():
        done = write(look, every)
        if look.only is None:
            _looked(look)
        _bump(done.touched if look.only is None else [p.calendar.school_id for p in look.places])
    return Outcome(sum(len(s.student_ids) for s in look.schools), done.opened, done.closed, done.expires)


def _looked(look: Look) -> None:
    """These calendars were looked over: what stands there is as of now (`watch.lasting`)."""
    now = {"as_of": look.today, "known_through": look.known, "through": look.through}
    passes = CalendarPass.objects.filter(pk__in=[p.calendar.pk for p in look.places])
    if passes.update(**now) < len(look.places):
        there = set(passes.values_list("pk", flat=True))
        CalendarPass.objects.bulk_create(
            CalendarPass(
                calendar_id=p.calendar.pk, school_id=p.calendar.school_id, read="", change=0, wakes=look.today, **now
            )
            for p in look.places
            if p.calendar.pk not in there
        )


def read_schools(batch: Sequence[Place], as_of: date | None) -> list[SchoolGrid]:
    if as_of is None:
        return rows.school_grids([place.days for place in batch])
    known = (rows.grid_as_known(place.calendar, as_of) for place in batch)
    return [school for school in known if len(school.student_ids)]


def _stays(schools: list[SchoolGrid], around: Around) -> Stays:
    return around.elsewhere.stays(np.concatenate([s.student_ids for s in schools])) if schools else {}


def near_by(
    schools: list[SchoolGrid], place: Place, around: Around, stays: Stays, *, only: Sequence[int] | None = None, as_of: date | None = None
) -> NearBy:  # fmt: skip
    return around.lines.read(schools, place, stays, asked=around.asked, only=only, as_of=as_of)


def _ground(schools: list[SchoolGrid], place: Place, around: Around, stays: Stays, read: NearBy) -> Ground:
    """Asks the database nothing, and so may run beside. Nothing where nobody is on any of these schools' registers."""
    if not schools:
        return Ground.joined(())
    registers = registers_of(schools, place.through, place.column, around.last_year, stays)
    return Ground.joined([ground(registers, around.askers), around.lines.near(schools, read, asked=around.asked)])


def _known(place: Place, now: datetime, as_of: date | None) -> datetime:
    """The moment through which marks are read."""
    return now if as_of is None else datetime.fromtimestamp(clock.end_of_day(as_of, place.calendar.school.zone), UTC)


# -- rolls not taken ------------------------------------------------------------------------------------------------


def _rolls_not_taken(look: Look, now: datetime, as_of: date | None) -> Iterator[Finding]:
    """Classes whose roll should have been taken by now. A source that sends only marks, and no rolls, is not chased."""
    open_ = [
        p for p in look.places
        if p.column is not None and not (p.calendar.covered_through and p.calendar.covered_through >= p.today)
    ]  # fmt: skip
    chased = _chased(open_) if open_ else set()
    for place in open_:
        if place.calendar.pk in chased:
            yield from _rolls_of(look, place, now, as_of)


def _chased(places: Sequence[Place]) -> set[int]:
    """The calendars of these whose source sends rolls."""
    sent = Exists(RollState.objects.filter(calendar=OuterRef("pk")))
    return set(Calendar.objects.filter(sent, pk__in=[p.calendar.pk for p in places]).values_list("pk", flat=True))


def _rolls_of(look: Look, place: Place, now: datetime, as_of: date | None) -> Iterator[Finding]:
    calendar, today = place.calendar, place.today
    school = next((s for s in look.schools if s.calendar.pk == calendar.pk), None)
    begun = [s for s, at in enumerate(session_times(calendar, today)) if as_of is not None or at + ROLL_GRACE <= now]
    if not begun or school is None or place.column is None:
        return
    n = school.grid.sessions
    squares = school.grid.codes[:, place.column * n : (place.column + 1) * n]
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
    for pk, meets in sections:
        held = [int(x) for x in meets.split()] or range(calendar.sessions)
        for session in (s for s in held if s in begun and s not in taken[pk] | taken[None]):
            unknown = int((squares[members[pk], session] == ord(" ")).sum())
            if unknown:
                yield Finding(
                    Kind.ROLL_NOT_TAKEN, None, unknown, len(members[pk]), 1, str(today), session=session, section_id=pk,
                    school=look.schools.index(school),
                )  # fmt: skip


def session_times(calendar: Calendar, day: date) -> list[datetime]:
    """When each session of a day begins, by the school's clock. Without start times: spread from eight o'clock by the hour."""
    starts = calendar.session_starts.split() or [f"{8 + s:02d}:00" for s in range(calendar.sessions)]
    return [
        datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=calendar.school.zone) for at in starts[: calendar.sessions]
    ]


def bump(school_id: int) -> None:
    """Tell a school's open pages that something changed."""
    _bump([school_id])


def _bump(school_ids: Iterable[int]) -> None:
    ids = set(school_ids)
    if not ids:
        return
    changes = SchoolChange.objects.filter(pk__in=ids)
    if changes.update(number=F("number") + 1) < len(ids):
        there = set(changes.values_list("pk", flat=True))
        SchoolChange.objects.bulk_create(
            [SchoolChange(school_id=pk, number=1) for pk in ids - there], ignore_conflicts=True
        )


# -- schools of which nothing has changed ----------------------------------------------------------------------------


def _reads(places: Sequence[Place], around: Around) -> dict[int, str]:
    """Calendar -> a digest of what a pass reads of it. Left out are schools that the clock moves: whose rolls may be chased today.

    What was found of today alone expires with the day, and wakes the school by that.
    """
    year = places[0].calendar.school_year
    of_year = Calendar.objects.filter(school_year=year)
    folds = dict(of_year.values_list("pk", "folds"))
    shared = (
        around.askers,
        around.lines.key(places[0].today),
        Calendar.objects.filter(school_year__ends_in=year.ends_in - 1).aggregate(n=Sum("folds"))["n"],
        # somebody at two schools: what the one says may change the other's
        sum(folds.values()) if len(around.elsewhere.students) else 0,
    )
    every = hashlib.sha256(repr(shared).encode())
    chased = _chased([p for p in places if p.column is not None])
    found = {}
    days: dict[int, bytes] = {}  # most schools have the same
    for p in places:
        if p.calendar.pk not in chased:
            if id(p.days.dates) not in days:
                days[id(p.days.dates)] = repr(p.days.dates).encode()
            of_one = every.copy()
            of_one.update(repr((folds[p.calendar.pk], p.upto, p.through)).encode())
            of_one.update(days[id(p.days.dates)])
            found[p.calendar.pk] = of_one.hexdigest()
    return found


def _changed(places: Sequence[Place], reads: dict[int, str]) -> list[Place]:
    """Those of which something has changed since the last pass, or wakes today."""
    numbers = dict(SchoolChange.objects.values_list("pk", "number"))
    same = {
        last.pk for last in CalendarPass.objects.filter(wakes__gt=places[0].today)
        if reads.get(last.pk) == last.read and numbers.get(last.school_id, 0) == last.change
    }  # fmt: skip
    return [p for p in places if p.calendar.pk not in same]


def _keep(places: Sequence[Place], reads: dict[int, str], expires: dict[int, date]) -> None:
    """What a pass had read of these schools, and the day from which something of what stands there wakes by itself."""
    numbers = dict(SchoolChange.objects.values_list("pk", "number"))
    given = Verdict.objects.system(WHY).filter(undone_at=None, student__isnull=False)
    moved = {
        *given.values_list("alert__school", flat=True).distinct(),
        *Concern.objects.system(WHY).values_list("school", flat=True).distinct(),
    }
    kept = []
    for p in places:
        school = p.calendar.school_id
        last = p.today if school in moved else expires.get(school, p.calendar.school_year.ends)
        kept.append(
            CalendarPass(
                calendar_id=p.calendar.pk, school_id=school, read=reads.get(p.calendar.pk, ""), change=numbers.get(school, 0),
                wakes=last + timedelta(days=1),
            )
        )  # fmt: skip
    CalendarPass.objects.bulk_create(
        kept, batch_size=2000, update_conflicts=True, unique_fields=["calendar"], update_fields=["read", "change", "wakes"]
    )  # fmt: skip


@job_kind("rescore_calendar", lease=timedelta(minutes=5))
def rescore_calendar(argument: str) -> None:
    """After an import: one school's alerts, if its year is the current one."""
    calendar = Calendar.objects.select_related("school", "school_year").get(pk=int(argument))
    year = current_year(clock.today(calendar.school.zone))
    if year is not None and calendar.school_year_id == year.pk:
        evaluate(calendar)
        if law_on(clock.today(calendar.school.zone)) is not None:
            enqueue("law_of_school", argument, key=f"law:{secrets.token_hex(12)}")


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
