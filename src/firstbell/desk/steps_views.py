"""Steps: what the law asks for now, of the reader's students."""

from __future__ import annotations

from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from firstbell.access import policy
from firstbell.access.policy import Deed, allow
from firstbell.casework.adopted import adopted, packs_of
from firstbell.casework.steps import asking_rules, steps_for, waiting_for

A_PAGE = 25


@allow(Deed.SEE_LAW)
@require_safe
def steps_page(request: HttpRequest) -> HttpResponse:
    at = request.GET.get("page", "1")
    if not (at.isascii() and at.isdigit() and 0 < len(at) < 6 and int(at)):
        raise BadRequest
    number, today = int(at), policy.today(request.user)
    everything, adoption = "all" in request.GET, adopted(today)
    packs = packs_of(adoption)
    rules = asking_rules(packs, allowed=everything)
    schools = list(policy.schools_for(request.user, Deed.SEE_LAW).order_by("name"))
    school = next((s for s in schools if str(s.pk) == request.GET.get("school")), None)
    rule = request.GET.get("rule", "") if request.GET.get("rule") in rules else ""
    asked, total = steps_for(
        request.user, adoption, today, allowed=everything, school=school and school.pk, rule=rule, first=(number - 1) * A_PAGE, most=A_PAGE
    )  # fmt: skip
    waiting, more = ([], False)
    if number == 1 and not rule:
        waiting, more = waiting_for(request.user, adoption, today, school=school and school.pk)
    chosen = {"all": "1" if everything else "", "school": str(school.pk) if school else "", "rule": rule}
    return render(
        request, "desk/steps.html",
        {
            "yours": [w for w in waiting if w.yours], "others": [w for w in waiting if not w.yours], "more": more,
            "asked": asked, "total": total, "number": number, "last": max(1, -(-total // A_PAGE)), "everything": everything,
            "adoption": adoption, "language": packs[-1].language if packs else "en", "page": "steps",
            "schools": schools, "school": school, "rules": rules.values(), "rule": rule,
            "chosen": urlencode({name: value for name, value in chosen.items() if value}),
        },
    )  # fmt: skip
