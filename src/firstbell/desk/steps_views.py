"""Steps: what the law asks for now, of the reader's students."""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from firstbell.access import policy
from firstbell.access.policy import Deed, allow
from firstbell.casework.adopted import adopted, with_overlay
from firstbell.casework.steps import steps_for

A_PAGE = 25


@allow(Deed.SEE_LAW)
@require_safe
def steps_page(request: HttpRequest) -> HttpResponse:
    at = request.GET.get("page", "1")
    if not (at.isascii() and at.isdigit() and 0 < len(at) < 6 and int(at)):
        raise BadRequest
    number, today = int(at), policy.today(request.user)
    everything, adoption = "all" in request.GET, adopted(today)
    language = with_overlay(adoption.pack, adoption.overlay)[-1].language if adoption else "en"
    asked, total = steps_for(request.user, today, allowed=everything, first=(number - 1) * A_PAGE, most=A_PAGE)
    return render(
        request, "desk/steps.html",
        {
            "asked": asked, "total": total, "number": number, "last": max(1, -(-total // A_PAGE)), "everything": everything,
            "adoption": adoption, "language": language, "page": "steps",
        },
    )  # fmt: skip
