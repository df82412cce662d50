"""Live pages: a stream that says when something of the reader's schools changed, and a number to poll where streams fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from firstbell.access import policy
from firstbell.access.policy import Deed, allow
from firstbell.watch.lists import change_number

LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15
#: A stream ends by itself and the browser opens a new one, which passes the gate again.
STREAM_SECONDS = 10 * 60


def _still_welcome(session_key: str) -> int | None:
    """The reader's change number, or None when the session ended or the account may no longer see this."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active or not policy.may(user, Deed.SEE_TODAY):
        return None
    if int(time.time()) - request.session.get("last_seen", 0) > settings.SESSION_IDLE_SECONDS:
        return None
    return change_number(user)


def _look(session_key: str) -> int | None:
    close_old_connections()  # a stream lives longer than a request, at whose end Django would do this
    return _still_welcome(session_key)


async def _events(session_key: str) -> AsyncIterator[str]:
    look = sync_to_async(_look)
    began = beat = time.monotonic()
    seen = await look(session_key)
    yield "retry: 3000\n\n"
    while seen is not None and time.monotonic() - began < STREAM_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        number = await look(session_key)
        if number is None:
            break
        if number != seen:
            seen = number
            yield f"event: changed\ndata: {number}\n\n"
        elif time.monotonic() - beat > HEARTBEAT_SECONDS:
            beat = time.monotonic()
            yield ": here\n\n"
    else:
        if seen is not None:
            return
    yield "event: ended\ndata: \n\n"


@allow(Deed.SEE_TODAY)
@require_safe
def stream(request: HttpRequest) -> HttpResponse:
    response = StreamingHttpResponse(_events(request.session.session_key), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@allow(Deed.SEE_TODAY)
@require_safe
def number(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"number": change_number(request.user)})
