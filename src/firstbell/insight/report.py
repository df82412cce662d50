"""A backtest in words: the figures of `forecast.backtest` as a page shows them, on the model card and in a file alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from firstbell.insight.breaks import breaks
from firstbell.insight.figures import curves_svg, intervals_svg, lead_svg, reliability_svg
from firstbell.watch.words import line_words

__all__ = ["Question", "questions", "verdict_words", "write_report"]

RULES = {
    "count": gettext_noop("the count so far"),
    "projection": gettext_noop("the count so far, carried on in a straight line"),
    "rate": gettext_noop("the share of days missed so far"),
    "last_20": gettext_noop("absences in the last 20 school days"),
    "last_5": gettext_noop("absences in the last 5 school days"),
    "first_20": gettext_noop("absences in the first 20 school days"),
    "last_year": gettext_noop("the share of days missed last year"),
    "beta_binomial": gettext_noop("a pooled beta-binomial of this year and last"),
    "surroundings": gettext_noop("the school and grade alone"),
}
GROUPS = {
    "grade": gettext_noop("Grade"),
    "school": gettext_noop("School"),
    "language": gettext_noop("Home language"),
    "primary": gettext_noop("to grade 5"),
    "middle": gettext_noop("grades 6 to 8"),
    "high": gettext_noop("grade 9 and above"),
    "?": gettext_noop("not known"),
    "": gettext_noop("groups of fewer than 10 students, together"),
}
SHARES = {
    "act": gettext_noop("act"),
    "watch": gettext_noop("watch"),
    "clear": gettext_noop("clear"),
    "cannot_tell": gettext_noop("can’t tell yet"),
}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    students: int
    reached: int
    missed: str
    missed_picture: SafeString | str
    precision: str
    expected: str
    cannot_tell: str


@dataclass(frozen=True, slots=True)
class Rival:
    name: str
    precision: str
    interval: str
    times: str
    false_alarms: str
    at_capacity: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the report, ready to be read."""

    title: str
    horizon: str
    offered: bool
    verdict: str
    found: dict[str, Any]
    rivals: list[Rival]
    pictures: list[tuple[SafeString, str]]
    bands: list[tuple[str, str, str]]
    groups: list[tuple[str, list[Group]]]
    facts: list[tuple[str, str]]


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def verdict_words(verdict: dict[str, Any]) -> str:
    match verdict["why"]:
        case "too_few" if not verdict["reached"]:
            return _("Nobody’s outcome is known yet in the judged year.")
        case "too_few":
            return ngettext(
                "Only %(n)s reached it in the judged year: too few to tell.",
                "Only %(n)s reached it in the judged year: too few to tell.",
                verdict["reached"],
            ) % {"n": verdict["reached"]}
        case "not_beaten":
            return _("It does not beat %(rule)s beyond chance: the simple rule is shown instead.") % {
                "rule": _(RULES[verdict["rule"]])
            }
        case "not_calibrated":
            return _("Its chances do not hold: slope %(slope)s, error %(error)s.") % {
                "slope": f"{verdict['slope']:.2f}", "error": f"{verdict['error']:.3f}"
            }  # fmt: skip
        case _:
            return _("It finds %(times)s times what %(rule)s finds, beyond chance.") % {
                "times": f"{verdict['times']:.2f}", "rule": _(RULES[verdict["rule"]])
            }  # fmt: skip


def questions(report: dict[str, Any]) -> list[Question]:
    """Every question of a report, in its order."""
    return [
        _question(line_words(report["rules"][rule]), horizon, found)
        for rule, by_horizon in report["questions"].items()
        for horizon, found in by_horizon.items()
    ]


def horizon_words(horizon: str) -> str:
    if horizon == "year-end":
        return _("by the year’s end")
    return _("within %(n)s school days") % {"n": horizon}


def _question(title: str, horizon: str, found: dict[str, Any]) -> Question:
    verdict = found["verdict"]
    if "average_precision" not in found:
        return Question(
            title, horizon_words(horizon), verdict["offered"], verdict_words(verdict), found, [], [], [], [], []
        )
    return Question(
        title, horizon_words(horizon), verdict["offered"], verdict_words(verdict), found, _rivals(found), _pictures(found),
        [
            (_(SHARES[band]), percent(of["share"]), _("%(reached)s of %(n)s") % {"reached": of["reached"], "n": of["rows"]})
            for band, of in found["shares"].items()
        ],
        [(_(GROUPS[name]), [_group(g) for g in groups]) for name, groups in found["groups"].items()],
        _facts(found),
    )  # fmt: skip


def _rivals(found: dict[str, Any]) -> list[Rival]:
    rows = []
    for name, of in found["average_precision"].items():
        ratios = found["false_alarms_at_equal_recall"].get(name, {})
        rows.append(
            Rival(
                _("the forecast") if name == "forecast" else _(RULES[name]),
                f"{of['value']:.3f}", f"{of['low']:.3f}–{of['high']:.3f}",
                "" if name == "forecast" else f"{found['ratio'][name]:.2f} ×",
                ", ".join(f"{ratio:.2f}" for ratio in ratios.values()) if name != "forecast" else "",
                percent(found["at_capacity"][name]["recall"], 0),
            )
        )  # fmt: skip
    return rows


def _pictures(found: dict[str, Any]) -> list[tuple[SafeString, str]]:
    calibration, lead = found["calibration"], found["lead"]
    return [
        (
            reliability_svg(
                calibration["bins"], across=_("what was said, %"), up=_("what came true, %"),
                label=_("What was said and what came true"),
            ),
            _("Each dot is the answers of about one size; big dots are many. On the line, 1 in 10 means 1 in 10. Slope %(slope)s, mean error %(error)s.")
            % {"slope": f"{calibration['slope']:.2f}", "error": f"{calibration['error']:.4f}"},
        ),
        (
            curves_svg(
                found["curve"], across=_("of those who reach it, found, %"), up=_("of those listed, reach it, %"),
                label=_("Lists of every length"),
            ),
            _("Lists of every length: how many of those who reach the line are on it, and how many on it do."),
        ),
        (
            lead_svg(
                lead["days"], across=_("school days before the line"), up=_("students"),
                label=_("How long before the line the first alert came"),
            ),
            _("How long before the line the first alert came, of those who reached it and were flagged."),
        ),
    ]  # fmt: skip


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    lead, alarms = found["lead"], found["false_alarms"]
    facts = [
        (_("Answers judged"), _("%(rows)s about %(students)s students; %(reached)s students reached it") % {
            "rows": f"{found['rows']:,}", "students": f"{found['students']:,}", "reached": f"{found['students_reached']:,}"}),
        (_("Flagged in time"), _("%(five)s of those who reached it were flagged 5 or more school days before; %(ten)s 10 or more") % {
            "five": percent(lead["five_days"], 0), "ten": percent(lead["ten_days"], 0)}),
        (_("Lead"), _("median %(median)s school days; one in ten had %(tenth)s or fewer") % {
            "median": "–" if lead["median"] is None else f"{lead['median']:.0f}",
            "tenth": "–" if lead["tenth"] is None else f"{lead['tenth']:.0f}"}),
        (_("Alerts"), _("%(n)s new alerts a week for every 100 students; from week to week %(same)s of the list stays") % {
            "n": f"{found['alerts_a_week_per_100']:.2f}", "same": percent(found["stability"], 0)}),
    ]  # fmt: skip
    if alarms["alerts"]:
        facts.append(
            (
                _("False alarms"),
                _(
                    "by definition: %(never)s of the flagged never reached it this year; %(month)s not within 30 school days"
                )
                % {
                    "never": percent(alarms["never_this_year"]["share"], 0),
                    "month": percent(alarms["not_within_30_days"]["share"], 0),
                },
            )
        )
    facts.append(
        (_("Can’t tell yet"), _("said of %(share)s of the answers") % {"share": percent(found["cannot_tell"])})
    )
    bands = "; ".join(
        f"{_(GROUPS[band])}: {of['slope']:.2f}, {of['error']:.4f}"
        for band, of in found["calibration"]["by_grade_band"].items()
    )
    if bands:
        facts.append((_("Slope and error by grade"), bands))
    if other := found.get("schools_held_out"):
        facts.append(
            (
                _("Schools it never learned from"),
                _("average precision %(forecast)s; the count so far %(count)s")
                % {"forecast": f"{other['average_precision']:.3f}", "count": f"{other['count']:.3f}"},
            )
        )
    return facts


def _group(of: dict[str, Any]) -> Group:
    def share(part: dict[str, Any] | None) -> str:
        if part is None:
            return "–"
        low, high = part["interval"]
        return f"{percent(part['share'], 0)} ({100 * low:.0f}–{100 * high:.0f})"

    missed = of["missed"]
    name = _(GROUPS[of["group"]]) if of["group"] in GROUPS else of["group"]
    picture = (
        intervals_svg(missed["share"], *missed["interval"], label=_("Missed: %(share)s") % {"share": share(missed)})
        if missed
        else ""
    )
    return Group(
        name, of["students"], of["reached"], share(missed), picture, share(of["precision"]), f"{of['expected']:.0f}",
        percent(of["cannot_tell"]),
    )  # fmt: skip


def write_report(report: dict[str, Any], out: Path) -> tuple[Path, Path]:
    """The report as a page that stands alone, and its JSON twin beside it."""
    out.mkdir(parents=True, exist_ok=True)
    page, twin = out / "backtest.html", out / "backtest.json"
    css = [Path(str(finders.find(name))).read_text() for name in ("desk/app.css", "insight/figures.css")]
    context = {
        "report": report, "questions": questions(report), "breaks": breaks(report), "made_at": datetime.fromisoformat(report["made_at"]),
        "css": mark_safe("\n".join(css)),  # noqa: S308 - our own files
    }  # fmt: skip
    page.write_text(render_to_string("insight/report.html", context))
    twin.write_text(json.dumps(report, indent=1))
    return page, twin
