"""One's own account: language, minutes a day; the ways to sign in are allauth's pages."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from firstbell.access import policy
from firstbell.access.policy import signed_in


@signed_in
def me(request: HttpRequest) -> HttpResponse:
    user, error = request.user, ""
    if request.method == "POST":
        language, minutes = request.POST.get("language", ""), request.POST.get("daily_minutes", str(user.daily_minutes))
        if language not in dict(settings.LANGUAGES):
            error = _("Choose one of the languages listed. Nothing was changed.")
        elif not minutes.isdigit() or not 5 <= int(minutes) <= 480:
            error = _("Minutes a day are a whole number from 5 to 480. Nothing was changed.")
        else:
            # Only these two fields, by name: whatever else a form carries is not looked at.
            user.language, user.daily_minutes = language, int(minutes)
            user.save(update_fields=["language", "daily_minutes"])
            translation.activate(language)
            messages.success(request, _("Saved."), extra_tags="good")
            return redirect("me")
    context = {
        "assignments": policy.assignments(user).select_related("school"), "languages": settings.LANGUAGES, "error": error, "page": "me",
    }  # fmt: skip
    return render(request, "desk/me.html", context, status=422 if error else 200)


@signed_in
@require_POST
def toured(request: HttpRequest) -> HttpResponse:
    """The tour was read; it is not shown again."""
    request.user.toured_at = timezone.now()
    request.user.save(update_fields=["toured_at"])
    return redirect("home")


@signed_in
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Whether the session still stands: a form asks before it sends what somebody wrote.

    Somebody who signed in anew in another tab has a new form token; the page they wrote on gets it here.
    """
    return HttpResponse(status=204, headers={"X-Form-Token": get_token(request)})
