"""What every page's shell shows: who is signed in, where they may go, and the demo ribbon."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest

from firstbell import clock
from firstbell.access import policy
from firstbell.access.policy import Deed, may


def shell(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    district = policy.district(user if signed_in else None)
    zone = ZoneInfo(district.time_zone if district else "UTC")
    # without its zone: templates would turn it back into the server's
    demo_now = clock.now().astimezone(zone).replace(tzinfo=None) if clock.demo_start() else None
    if not signed_in:
        return {"demo_now": demo_now}
    return {
        "district": district,
        "demo_now": demo_now,
        "can": {deed.value: may(user, deed) for deed in Deed},
    }
