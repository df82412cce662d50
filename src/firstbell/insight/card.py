"""What the model card shows, gathered: the model in use, its inputs as curves, the last backtest, and what changed since the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.insight.breaks import Breaks, breaks
from firstbell.insight.figures import slope_svg
from firstbell.insight.looks import Looks, looks
from firstbell.insight.report import Question, horizon_words, questions
from firstbell.watch import backtests
from firstbell.watch.ahead import ToldHow, told_how
from firstbell.watch.forecasting import GOES_WRONG, IS_FOR, IS_NOT_FOR, READS, BadModel, ModelFacts, model_facts
from firstbell.watch.passes import current_year
from firstbell.watch.words import line_words

__all__ = ["Card", "card"]


@dataclass(frozen=True, slots=True)
class Input:
    meaning: str
    direction: str
    picture: SafeString


@dataclass(frozen=True, slots=True)
class Change:
    question: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Card:
    """`current`: whether the report judged this version's forecast, so that its verdict counts. `unreadable`: there is a model, which this
    version can't use."""

    is_for: list[str]
    is_not_for: list[str]
    reads: str
    goes_wrong: list[str]
    model: ModelFacts | None
    unreadable: bool
    inputs: list[Input]
    report: dict[str, Any] | None
    judged_at: datetime | None
    current: bool
    questions: list[Question]
    breaks: Breaks | None
    changes: list[Change]
    looks: Looks | None
    law: list[ToldHow]


def card() -> Card:
    report, year = backtests.kept(), current_year(clock.now().date())
    try:
        facts, unreadable = model_facts(), False
    except BadModel:
        facts, unreadable = None, True
    is_for, is_not_for, goes_wrong = ([_(sentence) for sentence in said] for said in (IS_FOR, IS_NOT_FOR, GOES_WRONG))
    return Card(
        is_for, is_not_for, _(READS), goes_wrong,
        facts, unreadable, _inputs(facts) if facts else [], report, datetime.fromisoformat(report["made_at"]) if report else None, backtests.is_current(report), questions(report) if report else [],
        breaks(report) if report else None,
        _changes(report, backtests.kept(back=1)), looks(), told_how(year) if year else [],
    )  # fmt: skip


def _inputs(facts: ModelFacts) -> list[Input]:
    most = max((abs(weight) for _m, _d, weight in facts.terms), default=1.0)
    bounds = {1: _("more never lowers the chance"), -1: _("more never raises the chance"), 0: _("free")}
    return [
        Input(_(meaning), bounds[direction], slope_svg(weight, most, label=f"{_(meaning)}: {weight:+.2f}"))
        for meaning, direction, weight in facts.terms
    ]


def _changes(now: dict[str, Any] | None, before: dict[str, Any] | None) -> list[Change]:
    if now is None or before is None:
        return []
    found = []
    for rule, by_horizon in now["questions"].items():
        for horizon, figures in by_horizon.items():
            earlier = before["questions"].get(rule, {}).get(horizon)
            if earlier is None:
                continue
            was, is_ = _said(earlier), _said(figures)
            if was != is_:
                found.append(Change(f"{line_words(now['rules'][rule])}, {horizon_words(horizon)}", was, is_))
    return found


def _said(figures: dict[str, Any]) -> str:
    offered = _("offered") if figures["verdict"]["offered"] else _("not offered: the simple rule is shown")
    precision = figures.get("average_precision")
    if precision is None:
        return str(offered)
    return _("%(offered)s; average precision %(ap)s, slope %(slope)s") % {
        "offered": offered, "ap": f"{precision['forecast']['value']:.3f}", "slope": f"{figures['calibration']['slope']:.2f}",
    }  # fmt: skip
