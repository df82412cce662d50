"""Registers as they were known on past days, as the forecast takes them: the database at one end, `forecast.known.Known` at the other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from firstbell import clock
from firstbell.forecast.breaks import Watched, watched
from firstbell.forecast.evidence import SETTLED_AFTER
from firstbell.forecast.known import Carried, Known, grade_band
from firstbell.forecast.lines import Counted
from firstbell.forecast.training import ClosedYear
from firstbell.register.grid import Grid
from firstbell.register.models import Calendar, Enrolment, SchoolYear
from firstbell.register.rows import Column, Past, RowSpan, columns_of, row_spans
from firstbell.signals.kernel import day_matrix
from firstbell.watch.history import LastYear, summed
from firstbell.watch.treated import TREATED_DAYS, days_acted

__all__ = ["School", "closed_year", "schools_of", "watched_year"]

WHY = "forecasts are made and judged"
#: a training or backtest day every so many school days: a week
EVERY = 5


@dataclass(frozen=True)
class School:
    """One calendar's stays, their history, and who also was elsewhere this year. A row a stay."""

    column: Column
    spans: list[RowSpan]
    past: Past
    students: NDArray[np.int64]
    group: NDArray[np.int32]
    band: NDArray[np.int8]
    primary: NDArray[np.bool_]
    starts: NDArray[np.int64]
    #: row -> (school's number among the year's, row there) of the same student's other stays this year
    elsewhere: dict[int, list[tuple[int, int]]]

    @property
    def dates(self) -> NDArray[np.datetime64]:
        return self.column.days

    def grid(self, day: date | None) -> Grid:
        """As known at the end of `day` by the school's clock; None: as known now."""
        zone = self.column.calendar.school.zone
        through = None if day is None else clock.end_of_day(day, zone)
        return Grid(self.past.letters(through), self.dates, self.column.calendar.sessions)


def schools_of(year: SchoolYear, progress: Callable[[int, int], None] | None = None) -> list[School]:
    """Every school of a year that has school days and students, in order of its calendar."""
    calendars = list(Calendar.objects.filter(school_year=year).select_related("school", "school_year").order_by("pk"))
    columns = columns_of(calendars)
    facts = {
        pk: (grade, primary)
        for pk, grade, primary in Enrolment.objects.system(WHY).filter(
            school__calendars__in=calendars
        ).values_list("pk", "grade", "primary")
    }  # fmt: skip
    spans = {calendar.pk: row_spans(columns[calendar.pk]) for calendar in calendars}
    kept = [c for c in calendars if spans[c.pk]]
    stays: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for k, calendar in enumerate(kept):
        for i, span in enumerate(spans[calendar.pk]):
            stays[span.student_id].append((k, i))
    several = {student: where for student, where in stays.items() if len(where) > 1}
    schools = []
    for k, calendar in enumerate(kept):
        rows = spans[calendar.pk]
        grades = [facts[r.enrolment_id][0] for r in rows]
        _names, group = np.unique(np.array(grades, dtype=str), return_inverse=True)
        schools.append(
            School(
                columns[calendar.pk], rows, Past(columns[calendar.pk], rows),
                np.array([r.student_id for r in rows], dtype=np.int64), group.astype(np.int32),
                np.array([grade_band(g) for g in grades], dtype=np.int8),
                np.array([facts[r.enrolment_id][1] for r in rows], dtype=np.bool_),
                np.array([columns[calendar.pk].dates[r.span.first].toordinal() for r in rows], dtype=np.int64),
                {i: [w for w in several[r.student_id] if w != (k, i)] for i, r in enumerate(rows) if r.student_id in several},
            )
        )  # fmt: skip
        if progress:
            progress(k + 1, len(kept))
    return schools


def known_on(
    schools: Sequence[School], day: date, last_year: LastYear, counted: Sequence[Counted] = tuple(Counted)
) -> Iterator[tuple[School, Known]]:
    """Every school as known at the end of a day, with what its students brought from the others."""
    grids = [s.grid(day) for s in schools]
    known = [
        Known.of(
            grid,
            grid.through(np.datetime64(day)),
            s.group,
            s.band,
            before=last_year.before(s.students),
            counted=counted,
        )
        for s, grid in zip(schools, grids, strict=True)
    ]
    for school, k in zip(schools, known, strict=True):
        yield school, (_with_carried(school, k, schools, known) if school.elsewhere else k)


def _with_carried(school: School, k: Known, schools: Sequence[School], known: Sequence[Known]) -> Known:
    carried = Carried.nothing(len(school.students))
    main = next(iter(k.kinds))  # what counts differs by line; a line over all absences reads `absent`
    for row, others in school.elsewhere.items():
        here = {d for d, kind in zip(school.column.dates, k.kinds[main][row], strict=False) if kind}
        for number, other_row in others:
            other = known[number]
            dates = schools[number].column.dates[: other.through]
            days = [d for d, date_ in enumerate(dates) if date_ not in here]
            for counted, kinds in other.kinds.items():
                seen = kinds[other_row][days]
                if counted is main:
                    carried.possible[row] += int((seen > 0).sum())
                if counted is Counted.UNEXCUSED:
                    carried.count[row] += int((seen == 3).sum())
                else:
                    carried.absent[row] += int((seen == 3).sum())
    return Known(k.dates, k.through, k.kinds, k.here, k.group, k.band, carried, k.before)


def judged_days(schools: Iterable[School]) -> list[date]:
    """A day a week of the district's school days, from the fifth."""
    every = sorted({d for s in schools for d in s.column.dates})
    return every[EVERY - 1 :: EVERY]


def last_year_of(year: SchoolYear, known: date | None) -> LastYear:
    """The year before `year`, as known at the end of a day."""
    before = SchoolYear.objects.filter(ends_in=year.ends_in - 1).first()
    if before is None:
        return LastYear.nothing()
    return year_summary(schools_of(before), known)


def year_summary(schools: Sequence[School], known: date | None) -> LastYear:
    parts = []
    for school in schools:
        grid = school.grid(known)
        parts.append(summed(school.students, Known.of(grid, grid.days, school.group, school.band)))
    return LastYear.of(parts)


def _acted_on(schools: Sequence[School]) -> dict[int, list[date]]:
    if not schools:
        return {}
    return days_acted(min(s.column.dates[0] for s in schools), max(s.column.dates[-1] for s in schools))


def _left_out(school: School, acted: dict[int, list[date]]) -> NDArray[np.bool_]:
    """(n, days): the school days after somebody acted for a student."""
    left_out = np.zeros((len(school.students), len(school.dates)), dtype=np.bool_)
    for row, student in enumerate(school.students.tolist()):
        for on in acted.get(student, ()):
            first = int(np.searchsorted(school.dates, np.datetime64(on)))
            left_out[row, first : first + TREATED_DAYS] = True
    return left_out


def _settled(grid: Grid, through: date) -> int:
    """School days whose marks have had their time to settle by the end of `through`; all of them once the year is over."""
    over = grid.through(np.datetime64(through))
    return over if over == grid.days else max(over - SETTLED_AFTER, 0)


def watched_year(
    schools: Sequence[School], last_year: LastYear, through: date, *, least_away: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Watched]:  # fmt: skip
    """A year, school by school, as every evening saw it, for `forecast.breaks`; and how it ended as known at the end of `through`."""
    acted = _acted_on(schools)
    found = []
    for done, school in enumerate(schools, 1):
        grid = school.grid(through)
        settled = _settled(grid, through)
        if settled:
            found.append(
                watched(
                    _evenings(school, settled), day_matrix(grid, settled), school.students, school.group,
                    *last_year.attendance(school.students), _left_out(school, acted), least_away=least_away,
                )
            )  # fmt: skip
        if progress:
            progress(done, len(schools))
    return found


def _evenings(school: School, count: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """(days gone by, (n, days) bits of DAY as known that evening) of the first `count` school days; one array that changes."""
    sessions = school.column.calendar.sessions
    bits = np.zeros((len(school.students), len(school.dates)), dtype=np.uint16)
    for through, letters, rows, days in school.past.evenings(count):
        squares = letters.reshape(len(bits), -1, sessions)[rows, days]
        bits[rows, days] = day_matrix(Grid(squares, school.dates[:1], sessions), 1)[:, 0]
        yield through, bits


def closed_year(
    year: SchoolYear, schools: Sequence[School], last_year: LastYear, through: date,
    progress: Callable[[int, int], None] | None = None,
) -> list[ClosedYear]:  # fmt: skip
    """A year, school by school: a day of every week as known then, and how it ended as known at the end of `through`.

    Of a year that is not over, the days whose marks have had their time to settle.
    """
    days = [d for d in judged_days(schools) if d <= through]
    acted = _acted_on(schools)
    seen: dict[int, list[Known]] = defaultdict(list)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        every = threads.map(lambda day: [known for _school, known in known_on(schools, day, last_year)], days)
        for done, of_day in enumerate(every, 1):
            for number, known in enumerate(of_day):
                if known.through:
                    seen[number].append(known)
            if progress:
                progress(done, len(days))
    closed = []
    for number, school in enumerate(schools):
        if not seen[number]:
            continue
        grid = school.grid(through)
        settled = _settled(grid, through)
        end = Known.of(grid, settled, school.group, school.band)
        left_out = _left_out(school, acted)
        kept = [k for k in seen[number] if k.through <= settled]
        if kept:
            closed.append(
                ClosedYear(year.ends_in, school.column.calendar.school_id, kept, end.kinds, school.students, left_out)
            )
    return closed
