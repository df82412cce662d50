"""The gate every request passes: sessions that end, pages with a policy, errors that tell nothing."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import BadRequest, ImproperlyConfigured, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation

log = logging.getLogger("firstbell.errors")
Respond = Callable[[HttpRequest], HttpResponse]

#: Views of allauth guard themselves; its pages that moved are plain redirects.
FOREIGN_VIEWS = ("allauth.", "django.views.generic.base")


def sign_in_first(request: HttpRequest) -> HttpResponse:
    target = reverse(settings.LOGIN_URL) + "?" + urlencode({"next": request.get_full_path()})
    if request.headers.get("HX-Request"):
        return HttpResponse(status=401, headers={"HX-Redirect": target})
    return redirect(target)


class ErrorReference:
    """A failure shows a reference and nothing else; the log line with that reference holds no personal data."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.error_reference = secrets.token_hex(4)  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        if isinstance(error, (Http404, PermissionDenied, BadRequest, SuspiciousOperation)):
            return  # the answer says it all
        reference = request.error_reference  # type: ignore[attr-defined]
        log.error("reference %s: %s", reference, request.method, exc_info=error)


class Gate:
    """Ends idle and over-age sessions, turns out disabled users, speaks the user's language, and keeps pages out of
    caches so that the back button shows nothing after signing out."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated:
            now = int(time.time())
            session = request.session
            began = session.setdefault("began", now)
            last = session.get("last_seen", now)
            if (
                not user.is_active
                or now - began > settings.SESSION_COOKIE_AGE
                or now - last > settings.SESSION_IDLE_SECONDS
            ):
                logout(request)
                return sign_in_first(request)
            # A live stream or poll is the page's doing, not the person's: it must not keep a session awake.
            if (not request.headers.get("X-Live") and now - last > 30) or "last_seen" not in session:
                session["last_seen"] = now
            translation.activate(user.language)
            request.LANGUAGE_CODE = translation.get_language()
        response = self.get_response(request)
        if user.is_authenticated or "Cache-Control" not in response:
            response.setdefault("Cache-Control", "no-store")
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        target = getattr(view, "view_class", view)
        if not hasattr(view, "policy") and not target.__module__.startswith(FOREIGN_VIEWS):
            raise ImproperlyConfigured(
                f"{target.__module__}.{target.__name__} states no policy: decorate it with access.policy.allow, "
                "signed_in or open_to_all"
            )
