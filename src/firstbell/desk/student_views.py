"""One student: the record, a page to print, one day's words, who can see this. Opening any of them is on the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from firstbell import clock
from firstbell.access import audit, policy
from firstbell.access.models import AuditEntry, User
from firstbell.access.policy import Deed, allow
from firstbell.register import rows
from firstbell.watch.course import course
from firstbell.watch.models import Kind
from firstbell.watch.outlook import outlook
from firstbell.watch.record import StudentRecord, student_record
from firstbell.watch.words import alert_days


def _as_of(request: HttpRequest) -> date | None:
    try:
        return date.fromisoformat(request.GET.get("as_of", "")) if request.GET.get("as_of") else None
    except ValueError as error:
        raise Http404 from error


def _highlights(record: StudentRecord) -> set[date]:
    """Days ringed in the picture. High absence and a look speak of the whole year: ringing every day would ring none."""
    pointed = [a.alert for a in record.open if a.alert.kind not in (Kind.HIGH_ABSENCE, Kind.LOOK_OVER)]
    return {day for alert in pointed for day, _letters in alert_days(alert)}


@allow(Deed.SEE_STUDENT)
@require_safe
def student_page(request: HttpRequest, pk: int) -> HttpResponse:
    student = policy.get_student(request.user, pk)
    as_of = _as_of(request)
    record = student_record(student, as_of=as_of)
    if as_of and as_of > record.today:
        raise Http404
    audit.record(request.user, "saw", f"student:{pk}", f"as known on {as_of}" if as_of else "")
    schools = [None if as_of else rows.school_grid(year.column) for year in record.years]
    context = {
        "record": record, "years": [(y, course(record, y, s)) for y, s in zip(record.years, schools, strict=True)],
        "ahead": outlook(record, record.years[-1], schools[-1]) if schools and schools[-1] else None,
        "why": policy.why(request.user, student), "highlights": _highlights(record),
        "here": {deed.value: policy.may_for(request.user, deed, student) for deed in (Deed.SEE_LAW, Deed.TAKE_STEPS)},
    }  # fmt: skip
    return render(request, "desk/student.html", context)


@allow(Deed.SEE_STUDENT)
@require_safe
def print_page(request: HttpRequest, pk: int) -> HttpResponse:
    student = policy.get_student(request.user, pk)
    record = student_record(student)
    audit.record(request.user, "saw", f"student:{pk}", "to print")
    years = [(year, course(record, year)) for year in record.years]
    return render(request, "desk/print.html", {"record": record, "years": years, "highlights": _highlights(record)})


@allow(Deed.SEE_STUDENT)
@require_safe
def day_page(request: HttpRequest, pk: int, day: str) -> HttpResponse:
    student = policy.get_student(request.user, pk)
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise Http404 from error
    words = [
        {
            "event": w.event,
            "at": clock.moment(w.event.recorded_at).astimezone(w.event.calendar.school.zone).replace(tzinfo=None),
        }
        for w in rows.history(student, wanted)
    ]
    audit.record(request.user, "saw", f"student:{pk}", f"marks of {wanted}")
    return render(request, "desk/day.html", {"student": student, "day": wanted, "words": words})


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody opened this record."""

    at: datetime
    who: str
    words: str


@allow(Deed.SEE_STUDENT)
@require_safe
def who_page(request: HttpRequest, pk: int) -> HttpResponse:
    student = policy.get_student(request.user, pk)
    entries = AuditEntry.objects.filter(subject=f"student:{pk}", actor__startswith="user:").order_by("-id")[:40]
    names = {f"user:{u.pk}": str(u) for u in User.objects.filter(pk__in={int(e.actor[5:]) for e in entries})}
    words = {
        "saw": _("opened the record"), "refused": _("was refused"), "verdict": _("decided"), "marked": _("took a mark"),
        "verdict_taken_back": _("took a decision back"),
        "said_something_is_off": _("said that something is off"), "took_a_word_back": _("took that back"),
    }  # fmt: skip
    looks = [Look(e.at, names.get(e.actor, e.actor), words.get(e.action, e.action)) for e in entries]
    return render(request, "desk/who.html", {"student": student, "people": policy.who_can_see(student), "looks": looks})
