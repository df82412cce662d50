"""The judged breaks in words: `forecast.breaks.judge_breaks` as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from firstbell.insight.figures import tradeoff_svg

__all__ = ["Breaks", "breaks"]

NAMES = {
    "ours": gettext_noop("Firstbell’s break score"),
    "cusum": gettext_noop("a plain CUSUM of days away"),
}


@dataclass(frozen=True, slots=True)
class Detector:
    """A row of the table. within: a cell for each of `Breaks.within`."""

    name: str
    within: list[str]
    median: str
    ninetieth: str
    never: str
    false_alarms: str


@dataclass(frozen=True, slots=True)
class Breaks:
    """enough: whether there were breaks enough to say anything; else `detectors`, `equal` and `verdict` are empty."""

    definition: str
    counted: str
    enough: bool
    within: list[str]
    detectors: list[Detector]
    equal: list[Detector]
    verdict: list[str]
    picture: SafeString | str


def breaks(report: dict[str, Any]) -> Breaks | None:
    """None of a report that was made before breaks were judged."""
    found = report.get("breaks")
    if found is None:
        return None
    rule = found["definition"]
    definition = _(
        "A break begins, by the final record and whatever any detector said, on a day away after %(before)s or more possible days of the year, "
        "when of the next %(ahead)s possible days at least %(least)s are missed, at least %(more)s percentage points more than the share of all "
        "the days before, and at least %(soon)s of the first five. It is over when fewer than %(least)s of the last %(ahead)s were missed. Days on which "
        "the school’s share away was %(shared)s times its median or more, clearly beyond chance, suspensions, and what followed once somebody had acted "
        "are left out."
    ) % {
        "before": rule["before"], "ahead": rule["ahead"], "least": rule["least"], "more": f"{100 * rule['more']:.0f}", "soon": rule["soon"],
        "shared": f"{rule['shared']:g}",
    }  # fmt: skip
    counted = _("%(breaks)s breaks in %(weeks)s student-weeks of %(students)s students.") % {
        "breaks": f"{found['breaks']:,}", "weeks": f"{found['student_weeks']:,.0f}", "students": f"{found['students']:,}",
    }  # fmt: skip
    if "detectors" not in found:
        return Breaks(definition, counted, False, [], [], [], [], "")
    within = list(found["detectors"][0]["within"])
    return Breaks(
        definition, counted, True, [ngettext("within %(n)s day", "within %(n)s days", int(w)) % {"n": w} for w in within],
        [_detector(of, _name(of["name"], of["bar"])) for of in found["detectors"]],
        [
            _detector(of, _("Firstbell’s, at no more false alarms than: %(rule)s") % {"rule": _name(of["name"], of["than_bar"])})
            for of in found["at_equal_false_alarms"]
        ],
        _verdict(found), _picture(found),
    )  # fmt: skip


def _name(name: str, bar: float) -> str:
    if name == "last_5":
        return _("%(n)s or more of the last 5 days away") % {"n": f"{bar:.0f}"}
    return _(NAMES[name])


def _detector(of: dict[str, Any], name: str) -> Detector:
    return Detector(
        name, [_share(part) for part in of["within"].values()], _days(of["median"]), _days(of["ninetieth"]), _share(of["never"]),
        _range(*(f"{of['false_alarms'][k]:.1f}" for k in ("value", "low", "high"))),
    )  # fmt: skip


#: numbers run from left to right in every language, and neither a range nor a percentage is broken over lines
_LTR, _END, _JOIN, _SPACE = "\u2066", "\u2069", "\u2060", "\u00a0"


def _range(value: str, low: str, high: str) -> str:
    return f"{_LTR}{value} ({low}{_JOIN}–{_JOIN}{high}){_END}"


def _share(part: dict[str, float]) -> str:
    return _range(f"{100 * part['value']:.0f}{_SPACE}%", f"{100 * part['low']:.0f}", f"{100 * part['high']:.0f}")


def _days(part: dict[str, float | None]) -> str:
    return _range(*("–" if part[k] is None else f"{part[k]:.0f}" for k in ("value", "low", "high")))


def _verdict(found: dict[str, Any]) -> list[str]:
    """At each rule's own false alarms: what ours sees within three school days, and what the rule does."""
    said = []
    for of in found["at_equal_false_alarms"]:
        rule = next(d for d in found["detectors"] if (d["name"], d["bar"]) == (of["name"], of["than_bar"]))
        said.append(
            _("At no more false alarms than “%(rule)s”, Firstbell sees %(ours)s of the breaks within 3 school days; that rule sees %(theirs)s.")
            % {
                "rule": _name(of["name"], of["than_bar"]), "ours": _share(of["within"]["3"]), "theirs": _share(rule["within"]["3"]),
            }
        )  # fmt: skip
    return said


def _picture(found: dict[str, Any]) -> SafeString:
    here = found["detectors"][0]
    return tradeoff_svg(
        found["curve"], here=(here["false_alarms"]["value"], here["within"]["3"]["value"]),
        across=_("false alarms per 1,000 student-weeks"), up=_("seen within 3 school days, %"),
        label=_("What each detector sees for its false alarms"),
    )  # fmt: skip
