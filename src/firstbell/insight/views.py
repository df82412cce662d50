"""The model card: what the forecast is for, what it reads, how it did here, what is known to go wrong."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from firstbell.access.policy import Deed, allow
from firstbell.insight.card import card


@allow(Deed.SEE_MODEL)
@require_safe
def model_card(request: HttpRequest) -> HttpResponse:
    return render(request, "insight/model.html", {"page": "model", "card": card()})
