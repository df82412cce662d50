"""What the weekly looks say of the list's misses and false alarms, in words for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from firstbell import clock
from firstbell.insight.figures import intervals_svg
from firstbell.insight.report import percent
from firstbell.watch.looks import Found, Share, what_looks_say

__all__ = ["Looks", "looks"]

STRATA = {
    "listed": gettext_noop("on the list"),
    "near": gettext_noop("not on it: the 1 in 20 nearest to a line"),
    "middle": gettext_noop("not on it: the next 3 in 20"),
    "far": gettext_noop("not on it: all others"),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """`words` says what it is a share of; `value` is empty where nothing can be told."""

    title: str
    value: str
    words: str
    interval: str
    picture: SafeString | str


@dataclass(frozen=True, slots=True)
class StratumRow:
    name: str
    size: str
    drawn: int
    answered: int
    act: int
    share: str


@dataclass(frozen=True, slots=True)
class Looks:
    """`told`: whether anybody has answered at all."""

    told: bool
    counted: str
    estimates: list[Estimate]
    strata: list[StratumRow]
    unanswered: str


def looks() -> Looks | None:
    """None before the first week of looks is over."""
    f = what_looks_say(clock.now().date())
    if f is None:
        return None
    return Looks(f.answered > 0, _counted(f), _estimates(f), _strata(f), _unanswered(f))


def _counted(f: Found) -> str:
    weeks = ngettext("%(n)s week", "%(n)s weeks", f.weeks) % {"n": f.weeks}
    return _("%(weeks)s of looks are over: %(drawn)s drawn, %(answered)s answered in time.") % {
        "weeks": weeks, "drawn": f.drawn, "answered": f.answered
    }  # fmt: skip


def _estimates(f: Found) -> list[Estimate]:
    missed = _("of students the list says nothing of, somebody should act")
    if f.missed.can_tell and f.missed.value is not None:
        missed = _(
            "of students the list says nothing of, somebody should act: in a usual week about %(n)s of %(all)s, between %(low)s and %(high)s"
        ) % {
            "n": intcomma(round(f.missed.value * f.not_listed)), "all": intcomma(round(f.not_listed)),
            "low": intcomma(floor(f.missed.low * f.not_listed)), "high": intcomma(ceil(f.missed.high * f.not_listed)),
        }  # fmt: skip
    return [
        _estimate(_("Missed"), missed, f.missed),
        _estimate(_("False alarms"), _("of students the list names, nobody needs to act"), f.false_alarms),
        _estimate(
            _("Missed of those in need"), _("of students somebody should act on, the list says nothing"), f.miss_rate
        ),
    ]


def _estimate(title: str, words: str, s: Share) -> Estimate:
    between = _("between %(low)s and %(high)s") % {"low": percent(s.low), "high": percent(s.high)}
    if not s.can_tell or s.value is None:
        few = ngettext("%(n)s answer", "%(n)s answers", s.answered) % {"n": s.answered}
        between = _("%(answers)s so far: anything %(between)s") % {"answers": few, "between": between}
        return Estimate(title, "", words, between, "")
    picture = intervals_svg(s.value, s.low, s.high, label=f"{title}: {percent(s.value)}, {between}")
    return Estimate(title, percent(s.value), words, between, picture)


def _strata(f: Found) -> list[StratumRow]:
    return [
        StratumRow(
            _(STRATA[stratum]), intcomma(round(a.size / f.weeks)), a.drawn, a.answered, a.act,
            "–" if s.value is None else f"{percent(s.value)} ({100 * s.low:.1f}–{100 * s.high:.1f})",
        )
        for stratum, (a, s) in f.strata.items()
    ]  # fmt: skip


def _unanswered(f: Found) -> str:
    n = f.drawn - f.answered
    if not n:
        return _("Every look was answered.")
    words = ngettext(
        "%(n)s look was not answered in time; it is taken to be like those of its kind and week that were.",
        "%(n)s looks were not answered in time; they are taken to be like those of their kind and week that were.",
        n,
    ) % {"n": n}
    if f.at_least is None or f.at_most is None or f.at_least == f.at_most:
        return words
    return (
        words
        + " "
        + _("Had none of them been to act on, %(least)s would be missed; had all of them, %(most)s.")
        % {"least": percent(f.at_least), "most": percent(f.at_most)}
    )
