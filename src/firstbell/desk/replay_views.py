"""A rule over a year of this district's own register, before it goes live: asked for, watched, read, taken away as a file."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.access.policy import Deed, allow, get_owned
from firstbell.casework.adopted import adopted
from firstbell.casework.models import Letter, ReplayRun
from firstbell.casework.replay_document import ALLOWED, WORK, as_csv
from firstbell.casework.replaying import NotReplayed, ask_for
from firstbell.casework.words import evidence_word
from firstbell.desk.templatetags.firstbell import language_name
from firstbell.intake.fields import in_words
from firstbell.law.packs import Threshold, built_in
from firstbell.law.sentences import threshold_words
from firstbell.register.models import SchoolYear
from firstbell.said import unpacked

_WORKING = (ReplayRun.State.WAITING, ReplayRun.State.RUNNING)
_FIELDS = ("pack", "version", "overlay", "rule", "line", "year", "key")


def _run(request: HttpRequest, pk: int) -> ReplayRun:
    found: ReplayRun = get_owned(request.user, ReplayRun.objects.select_related("asked_by"), pk, "replay")
    return found


@allow(Deed.SET_POLICY)
@require_http_methods(["GET", "POST"])
def replays(request: HttpRequest) -> HttpResponse:
    """What was replayed, and the form that asks for more."""
    today = policy.today(request.user)
    years = list(SchoolYear.objects.filter(starts__lte=today).order_by("-ends_in"))
    current, error = adopted(today), ""
    form = dict.fromkeys(_FIELDS, "")
    if request.method == "POST":
        form = {name: request.POST.get(name, "").replace("\x00", "").strip() for name in _FIELDS}
        pack, _at, version = form["pack"].partition("@")
        try:
            if pack not in built_in():
                raise NotReplayed(_("Choose a pack of law."))
            if (
                not form["key"]
                or len(form["key"]) > 40
                or not (form["year"].isascii() and form["year"].isdigit() and len(form["year"]) == 4)
            ):
                raise NotReplayed(_("Choose a school year."))
            run = ask_for(
                request.user, pack=pack, version=version, overlay=form["overlay"].replace("\r\n", "\n"), rule=form["rule"], line=form["line"],
                year=int(form["year"]), key=form["key"],
            )  # fmt: skip
            return redirect("policy_replay", run.pk)
        except NotReplayed as wrong:
            error = str(wrong)
    elif current is not None:
        form |= {"pack": current.pack, "overlay": current.overlay}
    packs = [(p, f"{name}@{p.version}") for name, some in built_in().items() for p in reversed(some)]
    chosen = next((value for p, value in packs if form["pack"] in (value, p.id)), "")
    return render(
        request, "desk/policy/replays.html",
        {
            "page": "policy", "form": {**form, "pack": chosen, "key": form["key"] or secrets.token_hex(12)}, "error": error, "packs": packs, "years": years,
            "rules": sorted({r.id for p, _value in packs for r in p.rule}), "today": today,
            "runs": ReplayRun.objects.select_related("asked_by").defer("result").order_by("-pk")[:50],
        },
        status=422 if error else 200,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SideShown:
    line: str
    why: str
    told: dict[str, Any]


#: of one group under one law: students, times, school days of lead
_Cell = tuple[int | None, int | None, dict[str, int] | None]


@dataclass(frozen=True, slots=True)
class RuleShown:
    """tables: (heading, rows of (name, size, tried, in force)), of each law (students, times, lead)"""

    id: str
    title: str
    tried: SideShown | None
    in_force: SideShown | None
    weeks: list[tuple[date, int | None, int | None]]
    together: int
    tables: list[tuple[str, list[tuple[str, int | None, _Cell, _Cell]]]]

    @property
    def replayed(self) -> bool:
        return any(side is not None and not side.why for side in (self.tried, self.in_force))


def _side(side: dict[str, Any] | None) -> SideShown | None:
    if side is None:
        return None
    return SideShown(
        in_words(threshold_words(msgspec.convert(side["threshold"], Threshold), side["unit"])), side["why"], side
    )


def _names(made: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """The ways students are told apart: heading, and what each group is called."""
    bands = dict(
        zip(made["names"]["bands"], (_("grades through 5"), _("grades 6 to 8"), _("grades 9 and above")), strict=True)
    )
    languages = made["names"]["languages"]
    return {
        "schools": (_("By school"), made["names"]["schools"]),
        "bands": (_("By grade"), [bands[band] for band in made["names"]["bands"]]),
        **({} if languages in ([], [""]) else {"languages": (_("By language at home"), [language_name(name) if name else _("not known") for name in languages])}),
    }  # fmt: skip


def _rules(made: dict[str, Any]) -> list[RuleShown]:
    found = []
    for rule in made["rules"]:
        begins = rule["weeks"]["from"]
        weeks = [rule["weeks"].get(n, [None] * len(begins)) for n in ("tried", "in_force")]
        tables = []
        for kind, (heading, names) in _names(made).items():
            nothing = [None] * len(names)
            cells = [
                list(zip(*(rule[what].get(kind, {}).get(n, nothing) for what in ("by", "times", "lead")), strict=True)) for n in ("tried", "in_force")
            ]  # fmt: skip
            sized = list(zip(names, made["sizes"][kind], *cells, strict=True))
            tables.append((heading, [row for row in sized if row[1] != 0]))
        found.append(
            RuleShown(
                rule["id"], rule["title"], _side(rule["sides"].get("tried")), _side(rule["sides"].get("in_force")),
                [(date.fromisoformat(w), a, b) for w, a, b in zip(begins, *weeks, strict=True)],
                rule["weeks"]["together"], tables,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class LoadShown:
    """A kind of work for each officer and week, or a part of it. tried, in_force: in tenths, and how many rules are left out; None: no such work."""

    words: str
    part: bool
    tried: tuple[str, int] | None
    in_force: tuple[str, int] | None


def _work_words() -> dict[str, str]:
    return {
        "letters": _("Letters per officer and week"), "contacts": _("Calls or letters to get in touch, per officer and week"),
        "meetings": _("Meetings per officer and week"),
    }  # fmt: skip


def _loads(made: dict[str, Any]) -> list[LoadShown]:
    found = []
    for what, words in _work_words().items():
        loads = {n: load[what] for n, load in made["load"].items() if load[what]["all"]["of"] or ALLOWED in load[what]}
        parts = dict.fromkeys(part for load in loads.values() for part in load)
        for part in sorted(parts, key=lambda one: (one != "all", one == ALLOWED)):
            if part != "all" and len(parts) == 2 and part != ALLOWED:
                continue  # the only kind there is
            cells = [
                (_tenths(load[part]["each"]), load[part]["without"]) if part in (load := loads.get(n, {})) else None for n in ("tried", "in_force")
            ]  # fmt: skip
            found.append(LoadShown(words if part == "all" else _part(what, part), part != "all", *cells))
    return found


def _part(what: str, part: str) -> str:
    if part == ALLOWED:
        return _("besides, where the law merely allows it")
    return evidence_word(part) if what == "meetings" else str(Letter.Kind(part).label)


def _loads_by(made: dict[str, Any]) -> list[tuple[str, list[str], list[tuple[str, list[tuple[str, bool] | None]]]]]:
    """(heading, columns, rows of (name, cells)): work a week. A cell: tenths, and whether a rule is kept back there."""
    words = {
        "letters": pgettext("to the family", "Letters"),
        "contacts": _("Calls or letters"),
        "meetings": _("Meetings"),
    }
    found = []
    for kind, (heading, names) in _names(made).items():
        some = made["load_by"][kind]
        kinds = [what for what in WORK if any(what in side for side in some.values())]
        columns = [f"{words[what]}, {law}" for what in kinds for law in (_("tried"), _("in force"))]
        rows = []
        for k, (name, size) in enumerate(zip(names, made["sizes"][kind], strict=True)):
            each = [
                some[n][what][k] if n in some and what in some[n] else None
                for what in kinds
                for n in ("tried", "in_force")
            ]
            if size != 0:
                rows.append((name, [one and (_tenths(one[0]), bool(one[1])) for one in each]))
        if kinds:
            found.append((heading, columns, rows))
    return found


def _tenths(exact: str | None) -> str:
    """One decimal of an exact number, rounded half up.

    >>> _tenths("25/4"), _tenths("0")
    ('6.3', '0.0')
    """
    if exact is None:
        return "–"
    value = Fraction(exact) * 10
    whole = (2 * value.numerator + value.denominator) // (2 * value.denominator)
    return f"{whole // 10}.{whole % 10}"


def _context(run: ReplayRun) -> dict[str, Any]:
    working = run.state in _WORKING
    return {
        "page": "policy",
        "run": run,
        "problem": in_words(unpacked(run.problem)),
        "working": working,
        "percent": 100 * run.done // run.total if run.total else None,
    }


@allow(Deed.SET_POLICY)
@require_safe
def replay_page(request: HttpRequest, pk: int) -> HttpResponse:
    run = _run(request, pk)
    context = _context(run)
    if run.state == ReplayRun.State.DONE:
        made = json.loads(run.result)
        elsewhere = {n: sum(load[what]["all"]["elsewhere"] for what in WORK) for n, load in made["load"].items()}
        context |= {
            "made": made, "rules": _rules(made), "loads": _loads(made), "loads_by": _loads_by(made), "elsewhere": elsewhere,
            "without_officer": made["with_officer"].count(False), "first": date.fromisoformat(made["asked"]["first"]),
            "through": date.fromisoformat(made["asked"]["through"]),
        }  # fmt: skip
        audit.record(request.user, "saw_replay", f"replay:{run.pk}")
    return render(request, "desk/policy/replay.html", context)


@allow(Deed.SET_POLICY)
@require_GET
def replay_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of the page; when the work is over it has the page fetched anew."""
    run = _run(request, pk)
    answer = render(request, "desk/policy/_replaying.html", _context(run))
    if run.state not in _WORKING:
        answer["HX-Refresh"] = "true"
    return answer


def _export(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    run = _run(request, pk)
    if run.state != ReplayRun.State.DONE and not (
        run.result and kind == "json"
    ):  # kept, though its page tells more now
        return redirect("policy_replay", pk)
    audit.record(request.user, "exported_replay", f"replay:{run.pk}", kind)
    made = json.loads(run.result)
    asked = {
        "by": str(run.asked_by),
        "at": run.asked_at.isoformat(),
        "own_rules": run.overlay,
        "rule": run.rule,
        "line": run.line,
    }
    made["asked"] |= asked
    text = as_csv(made) if kind == "csv" else json.dumps(made, indent=2, ensure_ascii=False)
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8" if kind == "csv" else "application/json")
    answer["Content-Disposition"] = f'attachment; filename="replay-{run.pk}-{clock.now().date()}.{kind}"'
    return answer


@allow(Deed.SET_POLICY)
@require_GET
def replay_csv(request: HttpRequest, pk: int) -> HttpResponse:
    return _export(request, pk, "csv")


@allow(Deed.SET_POLICY)
@require_GET
def replay_json(request: HttpRequest, pk: int) -> HttpResponse:
    return _export(request, pk, "json")
