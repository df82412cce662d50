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
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.access.policy import Deed, allow, get_owned
from firstbell.casework.adopted import adopted
from firstbell.casework.models import ReplayRun
from firstbell.casework.replay_document import as_csv
from firstbell.casework.replaying import NotReplayed, ask_for
from firstbell.intake.fields import in_words
from firstbell.law.packs import Threshold, built_in
from firstbell.law.sentences import threshold_words
from firstbell.register.models import SchoolYear

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


@dataclass(frozen=True, slots=True)
class RuleShown:
    """tables: (heading, whether sizes are told, rows of (name, size, tried, in force))"""

    id: str
    title: str
    tried: SideShown | None
    in_force: SideShown | None
    weeks: list[tuple[date, int | None, int | None]]
    together: int
    tables: list[tuple[str, list[tuple[str, int | None, int | None, int | None]]]]

    @property
    def replayed(self) -> bool:
        return any(side is not None and not side.why for side in (self.tried, self.in_force))


def _side(side: dict[str, Any] | None) -> SideShown | None:
    if side is None:
        return None
    return SideShown(
        in_words(threshold_words(msgspec.convert(side["threshold"], Threshold), side["unit"])), side["why"], side
    )


def _rules(made: dict[str, Any]) -> list[RuleShown]:
    bands = dict(
        zip(made["names"]["bands"], (_("grades through 5"), _("grades 6 to 8"), _("grades 9 and above")), strict=True)
    )
    headings = {"schools": _("By school"), "bands": _("By grade"), "languages": _("By language at home")}
    found = []
    for rule in made["rules"]:
        begins = rule["weeks"]["from"]
        weeks = [rule["weeks"].get(n, [None] * len(begins)) for n in ("tried", "in_force")]
        tables = []
        for kind, heading in headings.items():
            names = made["names"][kind]
            if kind == "languages" and names in ([], [""]):
                continue
            columns = [rule["by"].get(kind, {}).get(n, [None] * len(names)) for n in ("tried", "in_force")]
            shown = [bands[name] if kind == "bands" else name or _("not known") for name in names]
            sized = list(zip(shown, made["sizes"][kind], *columns, strict=True))
            tables.append((heading, [row for row in sized if row[1] != 0]))
        found.append(
            RuleShown(
                rule["id"], rule["title"], _side(rule["sides"].get("tried")), _side(rule["sides"].get("in_force")),
                [(date.fromisoformat(w), a, b) for w, a, b in zip(begins, *weeks, strict=True)],
                rule["weeks"]["together"], tables,
            )
        )  # fmt: skip
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
        loads = [
            (words, *((_tenths(made["load"][n][what]), made["load"][n][f"{what}_without"]) if n in made["load"] else ("–", 0) for n in ("tried", "in_force")))
            for what, words in (("letters", _("Letters per officer and week")), ("meetings", _("Meetings per officer and week")))
        ]  # fmt: skip
        context |= {"made": made, "rules": _rules(made), "loads": loads, "first": date.fromisoformat(made["asked"]["first"]), "through": date.fromisoformat(made["asked"]["through"])}  # fmt: skip
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
    if run.state != ReplayRun.State.DONE:
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
