"""The backtest on this district's own past, kept, and what it allows: a forecast is offered only where it beat the simple rule."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from firstbell import clock
from firstbell.forecast import backtest as judging
from firstbell.forecast.breaks import judge_breaks
from firstbell.forecast.lines import PACKS, YEAR_END, Line
from firstbell.forecast.model import Model, code_version
from firstbell.forecast.training import ClosedYear, fit_layer_two, on_roll
from firstbell.register.models import SchoolYear, Student
from firstbell.watch import asof
from firstbell.watch.forecasting import WHY, NoYear, Progress, learn
from firstbell.watch.history import LastYear
from firstbell.watch.kinds import BREAK_SCORE, KINDS
from firstbell.watch.lines import Lines
from firstbell.watch.models import Kind

__all__ = ["Offer", "backtest", "in_short", "is_current", "keep", "kept", "offer", "offer_of"]

_EXAMPLE = {f"{pack}/{rule}": line for pack, lines in PACKS.items() for rule, line in lines.items()}
#: a running year is judged once so many of its days have gone by; before that, the one before
ENOUGH_OF_A_YEAR = timedelta(days=120)


def backtest(progress: Progress | None = None) -> tuple[dict[str, Any], Model]:
    """Learn on earlier school years, judge on a later one, by what was known then: the report, and the model that was judged.

    See forecast.backtest for what is reported. Judged is the latest year that has one before it; of a year that is not over, the days whose outcome is known.
    """
    say = progress or (lambda _words, _done, _total: None)
    today = clock.now().date()
    judged_year, earlier = _years(today)
    known_at = judged_year.starts - timedelta(days=1)
    trained: list[ClosedYear] = []
    before: LastYear | None = None
    for year in earlier:
        schools = asof.schools_of(year, lambda d, t, y=year: say(f"Reading {y}", d, t))
        last = before or asof.last_year_of(year, year.starts)
        trained += asof.closed_year(year, schools, last, known_at, lambda d, t, y=year: say(f"Rebuilding {y}", d, t))
        before = asof.year_summary(schools, known_at)
    assert before is not None
    schools = asof.schools_of(judged_year, lambda d, t: say(f"Reading {judged_year}", d, t))
    judged = asof.closed_year(judged_year, schools, before, today, lambda d, t: say(f"Rebuilding {judged_year}", d, t))
    if not judged or not trained:
        raise NoYear(
            "There are no settled school days to judge yet: marks take some weeks to settle. Nothing was changed."
        )
    rules = dict(_EXAMPLE)
    for name, line in Lines.on(judged_year, today).askable.items():
        if _asks(line) not in {
            _asks(other) for other in rules.values()
        }:  # a question that is judged already is the same question
            rules[name] = line
    model, examples = learn(trained, known_at, say)
    learned, two = model.learned, model.layer_two
    held_out = None
    ids = sorted({y.school for y in (*trained, *judged)})
    if len(ids) > 1:  # half of the schools are learned from, and the others judged
        kept_schools = set(ids[::2])
        some = {k for k, y in enumerate(trained) if y.school in kept_schools}
        ten = fit_layer_two(
            {key: e.only(some) for key, e in examples.items() if key[2] == 10},
            on_roll([trained[k] for k in some]),
        )
        held_out = (ten, {k for k, y in enumerate(judged) if y.school not in kept_schools})
    school_names = {s.column.calendar.school_id: s.column.calendar.school.name for s in schools}
    breaks = judge_breaks(
        asof.watched_year(
            schools, before, today, least_away=KINDS[Kind.BREAK].bar, progress=lambda d, t: say("Watching every evening", d, t)
        ),
        BREAK_SCORE,
    )  # fmt: skip
    names = np.array([school_names[y.school] for y in judged])
    spoken = np.full(1 + max(int(y.student.max(initial=0)) for y in judged), "?", dtype=object)
    for pk, language in Student.objects.system(WHY).filter(pk__lt=len(spoken)).values_list("pk", "home_language"):
        spoken[pk] = language or "?"
    bands, band_of = np.unique(judging.BANDS, return_inverse=True)
    schools_named, name_of = np.unique(names, return_inverse=True)
    languages, language_of = np.unique(spoken.astype(str), return_inverse=True)

    def groups(rows: judging.Rows) -> dict[str, judging.Groups]:
        return {
            "grade": (bands, band_of[rows.band]), "school": (schools_named, name_of[rows.school]),
            "language": (languages, language_of[rows.student]),
        }  # fmt: skip

    questions = judging.backtest(
        trained, judged, learned, two, rules, groups, held_out=held_out,
        progress=lambda d, t: say("Judging", d, t),
    )  # fmt: skip
    report = {
        "made_at": clock.now().isoformat(timespec="seconds"), "code": code_version(),
        "learned_from": [str(y) for y in earlier], "judged_on": str(judged_year), "judged_whole": judged_year.ends <= today,
        "students": len({int(i) for y in judged for i in y.student}), "schools": len(judged),
        "made_up": clock.demo_start() is not None,
        "rules": {name: line.title for name, line in rules.items()}, "asked": {name: _asks(line) for name, line in rules.items()},
        "questions": questions, "breaks": breaks,
    }  # fmt: skip
    return report, model


def _years(today: date) -> tuple[SchoolYear, list[SchoolYear]]:
    """The year to judge, and those before it to learn from."""
    years = list(SchoolYear.objects.filter(starts__lte=today).order_by("ends_in"))
    if len(years) > 2 and years[-1].ends > today and years[-1].starts + ENOUGH_OF_A_YEAR > today:
        years = years[:-1]
    if len(years) < 2:
        raise NoYear(
            "A backtest needs a closed school year to learn from and a later one to judge. "
            f"There {'is one' if years else 'is none'}. Until then forecasts are made of counts and pooled rates alone, "
            "and lists keep to the count itself."
        )
    return years[-1], years[-3:-1]


def in_short(report: dict[str, Any]) -> dict[str, Any]:
    """What goes into a model's own file: how it did when it was judged."""
    return {
        "judged_on": report["judged_on"], "judged_whole": report["judged_whole"], "made_up": report["made_up"],
        "questions": {
            rule: {
                horizon: {
                    "offered": f["verdict"]["offered"], "reached": f["reached"],
                    **(
                        {
                            "average_precision": f["average_precision"]["forecast"]["value"],
                            "count_so_far": f["average_precision"]["count"]["value"],
                            "slope": f["calibration"]["slope"], "error": f["calibration"]["error"],
                        }
                        if "average_precision" in f else {}
                    ),
                }
                for horizon, f in by_horizon.items()
            }
            for rule, by_horizon in report["questions"].items()
        },
    }  # fmt: skip


# -- kept ----------------------------------------------------------------------------------------------------------


def folder() -> Path:
    return Path(settings.HOME) / "backtests"


def keep(report: dict[str, Any]) -> Path:
    """Write a report under the next number. The last one is in force."""
    folder().mkdir(parents=True, exist_ok=True)
    path = folder() / f"{max(_numbers(), default=0) + 1}.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(report, indent=1))
    beside.rename(path)
    return path


def _numbers() -> list[int]:
    return sorted(int(p.stem) for p in folder().glob("*.json") if p.stem.isdigit())


def kept(back: int = 0) -> dict[str, Any] | None:
    """The last report, or the one so many before it; None where there is none."""
    numbers = _numbers()
    return _read(str(folder() / f"{numbers[-1 - back]}.json")) if len(numbers) > back else None


@lru_cache(maxsize=4)  # a report is never changed once written
def _read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


@dataclass(frozen=True, slots=True)
class Offer:
    """What the last backtest allows for one question. steps: (chance up to, share of past answers up to there that came true)."""

    steps: tuple[tuple[float, float], ...]

    def in_ten(self, chance: float) -> int:
        """Of ten past students told a chance like this one, how many reached the line; 0 says fewer than one."""
        return round(10 * next(share for upto, share in self.steps if chance <= upto))


def offer(rule: str, horizon: int) -> Offer | None:
    """None where the backtest did not find that the forecast beats the simple rule, or there was none of this version's forecast."""
    report = kept()
    if report is None or not is_current(report):
        return None
    figures = report["questions"].get(rule, {}).get("year-end" if horizon == YEAR_END else str(horizon))
    if figures is None or not figures["verdict"]["offered"]:
        return None
    return Offer(tuple((step["upto"], step["share"]) for step in figures["steps"]))


def offer_of(line: Line, horizon: int) -> Offer | None:
    """Of a line whatever rule asks about it: ten unexcused days of a year are the same question in every pack."""
    judged = {name: _asks(of) for name, of in _EXAMPLE.items()} | ((kept() or {}).get("asked") or {})
    rule = next((name for name, asked in judged.items() if asked == _asks(line)), None)
    return offer(rule, horizon) if rule is not None else None


def _asks(line: Line) -> str:
    window = "" if line.in_year else f" {line.window}"
    return f"{line.counted} {'over ' if line.above else ''}{line.days if line.share is None else line.share}{window}"


def is_current(report: dict[str, Any] | None) -> bool:
    """Whether a report judged the forecast of this version."""
    return report is not None and report["code"] == code_version()
