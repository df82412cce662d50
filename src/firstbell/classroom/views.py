"""The teacher's pages: today's lessons, and the roll of one of them."""

from __future__ import annotations

import re
import secrets
from datetime import date

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from firstbell import clock
from firstbell.access.policy import Deed, allow, get_owned, sections_for
from firstbell.classroom import roll
from firstbell.register.rows import columns
from firstbell.watch.concerns import NotSaid, say, take_back
from firstbell.watch.models import Concern

KEY = re.compile(r"[A-Za-z0-9_-]{16,60}")


@allow(Deed.TAKE_ROLL)
@require_safe
def rolls_page(request: HttpRequest) -> HttpResponse:
    lessons = roll.lessons(request.user)
    now = clock.now()
    begun = [lesson for lesson in lessons if lesson.begins <= now and not lesson.taken]
    context = {"lessons": lessons, "next": begun[-1] if begun else None, "page": "roll"}
    return render(request, "classroom/rolls.html", context)


@allow(Deed.TAKE_ROLL)
def roll_page(request: HttpRequest, pk: int, day: str, session: int) -> HttpResponse:
    section = get_owned(request.user, sections_for(request.user).select_related("calendar__school"), pk, "section")
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise Http404 from error
    # A roll is today's: yesterday's marks are the office's to correct, tomorrow's are nobody's.
    if (
        wanted != clock.today(section.calendar.school.zone)
        or wanted not in columns(section.calendar).index
        or session not in section.session_numbers
    ):
        raise Http404
    if request.method == "POST":
        key = request.POST.get("key", "")
        if not KEY.fullmatch(key):
            raise Http404
        choices = {
            int(name[2:]): value for name, value in request.POST.items() if name.startswith("s-") and name[2:].isdigit()
        }
        taken = roll.take(section, wanted, session, choices, by=request.user, key=f"{request.user.pk}:{key}")
        words = (
            _("The roll is taken. Thank you.")
            if taken
            else _("This roll had arrived already; nothing was counted twice.")
        )
        messages.success(request, words, extra_tags="good")
        return redirect("rolls")
    said = roll.concerns_today(section, request.user)
    seats = [(seat, next(iter(said.get(seat.student.pk, [])), None)) for seat in roll.seats(section, wanted, session)]
    context = {
        "section": section, "day": wanted, "session": session, "seats": seats, "words": Concern.Word.choices, "key": secrets.token_urlsafe(18), "page": "roll",
    }  # fmt: skip
    return render(request, "classroom/roll.html", context)


@allow(Deed.TAKE_ROLL)
@require_POST
def concern(request: HttpRequest, pk: int, student: int) -> HttpResponse:
    """Something is off with a student of this class: said, or taken back. Answers with the student's own little menu."""
    section = get_owned(request.user, sections_for(request.user).select_related("calendar__school"), pk, "section")
    seat = roll.member(section, student)
    if seat is None:
        raise Http404
    standing = None
    if "take_back" in request.POST:
        for mine in roll.concerns_today(section, request.user).get(student, []):
            take_back(mine, request.user)
    else:
        try:
            standing = say(section, seat, request.POST.get("word", ""), request.user)
        except NotSaid as error:
            return HttpResponse(str(error), status=422)
    if "HX-Request" not in request.headers:
        return redirect("rolls")
    context = {"section": section, "student": seat, "concern": standing, "words": Concern.Word.choices}
    return render(request, "classroom/_concern.html", context)
