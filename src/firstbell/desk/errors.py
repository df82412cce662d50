"""Pages for what went wrong: what happened, what was kept, what to do. None shows anything of anybody."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token

from firstbell.access.policy import Deed, open_to_all


def _page(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    return render(request, f"desk/errors/{template}.html", context, status=status)


def no_permission(request: HttpRequest, deed: Deed | None = None) -> HttpResponse:
    return _page(request, "403", 403, deed=deed)


def no_account(request: HttpRequest) -> HttpResponse:
    return _page(request, "no_account", 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(request, "csrf", 403)


@open_to_all
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(request, "404", 404)


@open_to_all
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(request, "400", 400)


@open_to_all
@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    from django.template.loader import get_template

    reference = getattr(request, "error_reference", "")
    # Rendered without the request: the failure may be in the session or the database that its context needs.
    return HttpResponse(get_template("desk/errors/500.html").render({"reference": reference}), status=500)
