"""What every page's shell shows: who is signed in, where they may go, and the demo ribbon."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from firstbell import clock
from firstbell.access.policy import Deed, may
from firstbell.register.models import District


def shell(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"demo_now": clock.now() if clock.demo_start() else None}
    return {
        "district": District.objects.first(),
        "demo_now": clock.now() if clock.demo_start() else None,
        "can": {deed.value: may(user, deed) for deed in Deed},
    }
