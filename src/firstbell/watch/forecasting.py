"""Training on this district's closed years, and forecasts as of any day, as known then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from numpy.typing import NDArray

from firstbell import clock
from firstbell.forecast.card import GOES_WRONG, IS_FOR, IS_NOT_FOR, READS
from firstbell.forecast.forecasts import NO_BARS, Bars, forecast
from firstbell.forecast.glassbox import TERMS, Box
from firstbell.forecast.known import Known
from firstbell.forecast.layers import Learned, rates
from firstbell.forecast.lines import PACKS, Counted, Line
from firstbell.forecast.model import BadModel, Model, Shelf, code_version
from firstbell.forecast.training import (
    ClosedYear,
    Examples,
    Key,
    collect,
    fit_layer_two,
    learn_layer_one,
    learn_tempers,
    on_roll,
)
from firstbell.register.models import SchoolYear, Student
from firstbell.watch import asof
from firstbell.watch.asof import School
from firstbell.watch.history import LastYear

__all__ = [
    "GOES_WRONG", "IS_FOR", "IS_NOT_FOR", "READS", "BadModel", "ModelFacts", "NoYear", "forecast_file", "forecasts", "model_facts", "shelf", "train",
    "untaught",
]  # fmt: skip

WHY = "forecasts are made and judged"
Progress = Callable[[str, int, int], None]


class NoYear(LookupError):
    """There is no school year to read; the sentence says which were looked for."""


def shelf() -> Shelf:
    return Shelf(Path(settings.HOME) / "models")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model in use as a page tells of it. terms: (meaning, direction, weight per spread) for the question shown."""

    number: int
    years: str
    students: int
    through: date
    made_at: datetime
    code: str
    terms: list[tuple[str, int, float]]


def model_facts() -> ModelFacts | None:
    kept = shelf()
    number = kept.current()
    model = kept.load(number) if number is not None else None
    if model is None or number is None:
        return None
    box = model.layer_two.boxes.get((Counted.UNEXCUSED, False, 10))
    terms = [(t.meaning, t.direction, float(w)) for t, w in zip(TERMS, box.weights, strict=True)] if box else []
    return ModelFacts(
        number, years_words(model), model.students, date.fromisoformat(model.through), datetime.fromisoformat(model.made_at),
        model.code, terms,
    )  # fmt: skip


def years_words(model: Model) -> str:
    return ", ".join(f"{y - 1}–{y % 100:02d}" for y in model.years)


def lines_in_force() -> list[Line]:
    return [line for pack in PACKS.values() for line in pack.values()]


def closed_years(through: date) -> list[SchoolYear]:
    return list(SchoolYear.objects.filter(ends__lte=through).order_by("ends_in"))


def train(through: date, progress: Progress | None = None) -> Model:
    """A model of the school years that had closed by the end of `through`, from nothing recorded later."""
    years = closed_years(through)
    if not years:
        raise NoYear(
            f"No school year had ended by {through}, so there is nothing to learn from. Forecasts are made of counts and pooled "
            "rates alone until one has."
        )
    say = progress or (lambda _words, _done, _total: None)
    closed: list[ClosedYear] = []
    last: LastYear | None = None
    for year in years[-2:]:  # what a school was three years ago says little of it now
        schools = asof.schools_of(year, lambda d, t, y=year: say(f"Reading {y}", d, t))
        before = last or asof.last_year_of(year, year.starts)
        closed += asof.closed_year(year, schools, before, through, lambda d, t, y=year: say(f"Rebuilding {y}", d, t))
        last = asof.year_summary(schools, through)
    return learn(closed, through, say)[0]


def learn(closed: list[ClosedYear], through: date, say: Progress) -> tuple[Model, dict[Key, Examples]]:
    """A model of these years, and the examples its second layer learned from."""
    learned = {c: learn_layer_one(closed, c) for c in Counted}
    examples = collect(closed, lines_in_force(), learned, progress=lambda d, t: say("Learning", d, t))
    years = tuple(sorted({y.ends_in for y in closed}))
    two = replace(fit_layer_two(examples, on_roll(closed)), tempers=learn_tempers(closed, learned))
    model = Model(
        learned, two, years, through.isoformat(),
        clock.now().isoformat(timespec="seconds"), code_version(), len({int(i) for y in closed for i in y.student}), {},
    )  # fmt: skip
    return model, examples


SCHEMA = pa.schema(
    [
        ("as_of", pa.date32()), ("student", pa.string()), ("school", pa.string()), ("count", pa.int32()),
        ("needed", pa.int32()), ("chance", pa.float64()), ("low", pa.float64()), ("high", pa.float64()),
        ("band", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One school's answers on one day, of those on its roll."""

    school: School
    rows: NDArray[np.int64]
    columns: dict[str, NDArray]


def forecast_file(
    days: Sequence[date], line: Line, horizon: int, out: Path, *, through: date | None = None,
    progress: Progress | None = None,
) -> int:  # fmt: skip
    """Write the forecasts of these days to a Parquet file, and return how many rows. Nothing is left behind by a failure.

    `through`: learn only from school years closed by the end of this day; never from one that had not closed before the day asked about.
    A day is answered alike alone and among others.
    """
    say = progress or (lambda _words, _done, _total: None)
    names = dict(Student.objects.system(WHY).values_list("pk", "source_id"))
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder, and a file is to be written.")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(out.name + ".part")
    rows = 0
    try:
        with pq.ParquetWriter(beside, SCHEMA) as file:
            for day, asked in forecasts(sorted(set(days)), line, horizon, through=through, progress=say):
                who = asked.school.students[asked.rows]
                n = len(who)
                file.write_table(
                    pa.table(
                        {
                            "as_of": pa.array([day] * n, pa.date32()),
                            "student": [names[int(i)] for i in who],
                            "school": [asked.school.column.calendar.school.source_id] * n,
                            **{
                                name: pa.array(values, SCHEMA.field(name).type, from_pandas=True)
                                for name, values in asked.columns.items()
                            },
                        },
                        schema=SCHEMA,
                    )
                )
                rows += n
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return rows


def forecasts(
    days: Sequence[date], line: Line, horizon: int, *, through: date | None = None, progress: Progress | None = None
) -> Iterator[tuple[date, Asked]]:
    """Every school's answers on each day, a school year at a time so that many days share the reading."""
    say = progress or (lambda _words, _done, _total: None)
    by_year: dict[SchoolYear, list[date]] = {}
    for day in days:
        year = SchoolYear.objects.filter(starts__lte=day, ends__gte=day).first()
        if year is None:
            raise NoYear(f"No school year holds {day}. Nothing was written.")
        by_year.setdefault(year, []).append(day)
    kept, trained = _usable(), dict[date, Model]()
    for year, asked_days in by_year.items():
        schools = asof.schools_of(year, lambda d, t, y=year: say(f"Reading {y}", d, t))
        before = asof.last_year_of(year, _eve(year))
        for done, day in enumerate(asked_days, 1):
            model = _model_for(day, year, through, kept, trained, say)
            known = list(asof.known_on(schools, day, before))
            learned, two = (model.learned, model.layer_two) if model else (_first_year(year, schools, day, known), None)
            box, bars = two.of(line, horizon) if two else (None, NO_BARS)
            best = _one_stay_each(known)
            for school, k in known:
                if not k.through:
                    continue  # before the first school day nobody is on a roll
                yield day, _asked(school, k, line, horizon, learned[line.counted], box, bars, best)
            say("Forecasting", done, len(asked_days))


def _eve(year: SchoolYear) -> date:
    """The day before a school year: what was known of earlier ones by then is the same for every day of it."""
    return year.starts - timedelta(days=1)


def learned_through(day: date, year: SchoolYear, through: date | None) -> date:
    """The day through which a forecast of that day may have learned, where no kept model serves."""
    return through if through is not None and through <= day else _eve(year)


def _usable() -> Model | None:
    """The kept model, if this version made it. One of another version, or damaged, stays where it is."""
    try:
        kept = shelf().load()
    except BadModel:
        return None
    return kept if kept and kept.code == code_version() else None


def _model_for(
    day: date, year: SchoolYear, through: date | None, kept: Model | None, trained: dict[date, Model], say: Progress
) -> Model | None:
    """The kept model if it learned from just the years that had closed by then, and knows nothing of later; else one learned now, and not kept."""
    pinned = learned_through(day, year, through)
    years = [y.ends_in for y in closed_years(pinned)][-2:]
    if not years:
        return None
    known = day if through is None else min(through, day)
    if kept and list(kept.years) == years and date.fromisoformat(kept.through) <= known:
        return kept
    if pinned not in trained:
        trained[pinned] = train(pinned, say)
    return trained[pinned]


def untaught(days: Sequence[date], through: date | None) -> list[date]:
    """Those of these days of which no model can speak, since no school year had closed."""
    found = []
    for day in days:
        year = SchoolYear.objects.filter(starts__lte=day, ends__gte=day).first()
        if year is not None and not closed_years(learned_through(day, year, through)):
            found.append(day)
    return found


def _first_year(
    year: SchoolYear, schools: Sequence[School], day: date, known: list[tuple[School, Known]]
) -> dict[Counted, Learned]:
    """No closed year: layer 1 pools this year's own days so far, and how its earlier marks have ended by now."""
    none = LastYear.nothing()
    earlier = [d for d in asof.judged_days(schools) if d < day][-6:]
    seen = [[k for _school, k in asof.known_on(schools, d, none)] for d in earlier]
    closed = [
        ClosedYear(
            year.ends_in, school.column.calendar.school_id, [*(at[i] for at in seen if at[i].through), k], k.kinds, school.students,
            np.zeros((len(school.students), k.through), dtype=np.bool_),
        )
        for i, (school, k) in enumerate(known)
        if k.through
    ]  # fmt: skip
    return {c: learn_layer_one(closed, c) for c in Counted} if closed else {}


def _one_stay_each(known: list[tuple[School, Known]]) -> set[int]:
    """The enrolments asked about: of a student on two rolls that day the primary one, and of those the latest begun."""
    best: dict[int, tuple[bool, int, int]] = {}
    for school, k in known:
        for i in np.flatnonzero(k.here).tolist():
            rank = (bool(school.primary[i]), int(school.starts[i]), school.spans[i].enrolment_id)
            student = int(school.students[i])
            if student not in best or rank > best[student]:
                best[student] = rank
    return {rank[2] for rank in best.values()}


def _asked(
    school: School,
    k: Known,
    line: Line,
    horizon: int,
    learned: Learned,
    box: Box | None,
    bars: Bars,
    best: set[int],
) -> Asked:
    f = forecast(k, line, horizon, learned, box, bars, r=rates(k, line.counted, learned))
    chosen = np.array([s.enrolment_id in best for s in school.spans], dtype=np.bool_)
    rows = np.flatnonzero(f.asked & chosen)
    return Asked(
        school, rows,
        {name: getattr(f, name)[rows] for name in ("count", "needed", "chance", "low", "high")}
        | {"band": f.band[rows].astype(object)},
    )  # fmt: skip
