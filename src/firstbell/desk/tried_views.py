"""A rule that was tried over a past year, before the reader's own students: whom it would have reached, and when, beside the rule in force."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from firstbell.access import audit, policy
from firstbell.access.policy import Deed, allow, get_owned
from firstbell.casework.models import ReplayRun
from firstbell.casework.replay_students import Difference, Met
from firstbell.casework.replaying import NotReplayed, reached, tried_pack
from firstbell.register.models import School, Student

A_PAGE = 50
#: so many days of one rule are written out
DAYS = 3
_DONE = ReplayRun.objects.filter(state=ReplayRun.State.DONE).select_related("asked_by")


@allow(Deed.SEE_LAW)
@require_safe
def tried(request: HttpRequest) -> HttpResponse:
    runs = _DONE.defer("result").order_by("-pk")[:50]
    return render(request, "desk/tried.html", {"runs": runs, "page": "steps"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A student and a rule, in words. tried, in_force: days, and how many more there are."""

    student: Student
    title: str
    tried: tuple[list[date], int]
    in_force: tuple[list[date], int]
    difference: str


def _words(difference: Difference, apart: int) -> str:
    if difference is Difference.EARLIER:
        return ngettext("%(n)s school day earlier", "%(n)s school days earlier", apart) % {"n": apart}
    if difference is Difference.LATER:
        return ngettext("%(n)s school day later", "%(n)s school days later", apart) % {"n": apart}
    return str(_WORDS[difference])


_WORDS = {
    Difference.EARLIER: gettext_lazy("earlier"), Difference.LATER: gettext_lazy("later"), Difference.SAME_DAY: gettext_lazy("on the same day"),
    Difference.ONLY_TRIED: gettext_lazy("only under the tried law"), Difference.ONLY_IN_FORCE: gettext_lazy("only under the law in force"),
    Difference.ALONE: gettext_lazy("no such rule beside it"),
}  # fmt: skip


def _sums(some: list[Met]) -> list[tuple[str, int]]:
    found = Counter(m.difference for m in some)
    return [(str(_WORDS[d]), found[d]) for d in Difference if found[d]]


def _days(reached: list[tuple[date, int]]) -> tuple[list[date], int]:
    return [on for on, _lead in reached[:DAYS]], max(0, len(reached) - DAYS)


@allow(Deed.SEE_LAW)
@require_safe
def tried_students(request: HttpRequest, pk: int) -> HttpResponse:
    """Reckoned as it is read, of who is on the roll of one school of the reader's today; nothing of it is kept."""
    at = request.GET.get("page", "1")
    if not (at.isascii() and at.isdigit() and 0 < len(at) < 6 and int(at)):
        raise BadRequest
    run: ReplayRun = get_owned(request.user, ReplayRun.objects.select_related("asked_by"), pk, "replay")
    if run.state != ReplayRun.State.DONE:
        return redirect("tried")
    schools = list(policy.schools_for(request.user, Deed.SEE_LAW).order_by("name"))
    school = _school(request, schools)
    made = json.loads(run.result)
    # whom a rule about students with a flag is about would say what only officers may see
    without_flags = school is None or school not in policy.schools_for(request.user, Deed.SEE_PROTECTIONS)
    rules = {
        r["id"]: r["title"] for r in made["rules"]
        if not all(side["why"] for side in r["sides"].values()) and not (without_flags and r["about_flags"])
    }  # fmt: skip
    wanted = request.GET.get("rule", run.rule)
    rule = wanted if wanted in rules else ""
    some: list[Met] = []
    error = ""
    if school is not None:
        mine = policy.students_at(request.user, school)
        try:
            law = tried_pack(run.pack, version=run.version, overlay=run.overlay, rule=run.rule, line=run.line)
            some = reached(law, run.year, list(mine.values_list("pk", flat=True)), rule)
        except NotReplayed as wrong:
            error = str(wrong)
        audit.record(request.user, "saw_who_was_reached", f"replay:{run.pk}", f"school:{school.pk} {rule}".strip())
    some = [m for m in some if not (without_flags and m.about_flags)]
    number, everything = int(at), "all" in request.GET
    told = [m for m in some if everything or not m.alike]
    page = told[(number - 1) * A_PAGE : number * A_PAGE]
    students = Student.objects.for_user(request.user).in_bulk({m.student for m in page})
    chosen = {"school": str(school.pk) if school else "", "rule": rule, **({"all": "1"} if everything else {})}
    return render(
        request, "desk/tried_students.html",
        {
            "run": run, "made": made, "schools": schools, "school": school, "rules": rules.items(), "rule": rule, "rule_title": rules.get(rule, ""), "error": error,
            "first": date.fromisoformat(made["asked"]["first"]), "through": date.fromisoformat(made["asked"]["through"]),
            "shown": [
                Shown(students[m.student], m.rule.title, _days(m.tried), _days(m.in_force), _words(m.difference, abs(m.apart)))
                for m in page if m.student in students
            ],
            "sums": _sums(some), "without_flags": without_flags, "everything": everything,
            "number": number, "last": max(1, -(-len(told) // A_PAGE)), "chosen": urlencode(chosen), "page": "steps",
        },
    )  # fmt: skip


def _school(request: HttpRequest, schools: list[School]) -> School | None:
    """The one asked for, else the first; somebody else's is a 404, and on the audit."""
    asked = request.GET.get("school")
    if asked is None:
        return schools[0] if schools else None
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else 0
    found: School = get_owned(request.user, policy.schools_for(request.user, Deed.SEE_LAW), number, "school")
    return found
