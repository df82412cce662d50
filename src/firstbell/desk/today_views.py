"""Today, the verdict on one alert, and the district lead's schools."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from firstbell.access import policy
from firstbell.access.policy import Deed, allow, signed_in
from firstbell.watch import lists
from firstbell.watch.concerns import said_of
from firstbell.watch.lasting import as_they_stand, stands_through
from firstbell.watch.lines import Laws
from firstbell.watch.looks import said_in_time
from firstbell.watch.models import Alert, Kind, Verdict
from firstbell.watch.verdicts import Conflict, NotGiven, give_verdict, undo_verdict
from firstbell.watch.words import alert_days, sentence, worse_means

#: where each role begins its day
HOMES = (
    (Deed.SEE_TODAY, "today"),
    (Deed.TAKE_ROLL, "rolls"),
    (Deed.SEE_SCHOOLS, "schools"),
    (Deed.BRING_DATA, "intake"),
)
#: one key a decision: act, watch, not a concern, data is wrong
KEYS = {
    Verdict.Decision.ACT: "a",
    Verdict.Decision.WATCH: "w",
    Verdict.Decision.NO_CONCERN: "n",
    Verdict.Decision.WRONG_DATA: "d",
}


MAX_VIEWS, MAX_VIEW_NAME = 12, 40
#: how far ahead "watch until" looks unless somebody says otherwise
LOOK_AGAIN_AFTER = timedelta(days=14)


@signed_in
def home(request: HttpRequest) -> HttpResponse:
    for deed, name in HOMES:
        if policy.may(request.user, deed):
            return redirect(name)
    return render(request, "desk/no_role.html", {"words": policy.NO_ROLE})


def _chosen(asked: QueryDict) -> tuple[int | None, str | None]:
    """The school and the kind a list is narrowed to. What is neither a number nor a kind is a bad request."""
    school, kind = asked.get("school", ""), asked.get("kind", "")
    if (school and not (school.isascii() and school.isdigit() and len(school) < 10)) or (
        kind and kind not in Kind.values
    ):
        raise BadRequest
    return int(school) if school else None, kind or None


def _query(school: int | None, kind: str | None) -> str:
    return urlencode({k: v for k, v in (("school", school), ("kind", kind)) if v})


def _list_context(request: HttpRequest) -> dict[str, object]:
    if not request.GET.keys() <= {"school", "kind", "undo"}:
        raise BadRequest  # the page makes no such address
    school, kind = _chosen(request.GET)
    query = _query(school, kind)
    kept = [{"name": view["name"], "query": _query(view["school"], view["kind"])} for view in request.user.saved_views]
    return {
        "list": lists.today(request.user, school=school, kind=kind),
        "chosen": {"school": school, "kind": kind},
        "query": query,
        "views": kept,
        "view": next((view["name"] for view in kept if view["query"] == query), None),
        "today": policy.today(request.user),
        "page": "today",
    }


@allow(Deed.SEE_TODAY)
@require_safe
def today_page(request: HttpRequest) -> HttpResponse:
    context = _list_context(request)
    undo_pk = request.GET.get("undo", "")
    mine = Verdict.objects.for_user(request.user).filter(given_by=request.user, undone_at=None)
    if undo_pk.isdigit() and mine.filter(pk=int(undo_pk)).exists():
        context["undo"] = int(undo_pk)
    return render(request, "desk/today.html", context)


@allow(Deed.SEE_TODAY)
@require_POST
def keep_view(request: HttpRequest) -> HttpResponse:
    """Keep what the list shows under a name, or forget one. A name used again means the new view."""
    user, name = request.user, " ".join(request.POST.get("name", "").split())[:MAX_VIEW_NAME]
    others = [view for view in user.saved_views if view["name"] != name]
    if "forget" in request.POST:
        user.saved_views = others
        user.save(update_fields=["saved_views"])
        return redirect("today")
    school, kind = _chosen(request.POST)
    if not name or (school is None and kind is None):
        messages.warning(
            request, _("Choose a school or a kind, and give the view a name. Nothing was kept."), extra_tags="warn"
        )
    elif len(others) >= MAX_VIEWS:
        words = _("There are %(n)s views already. Forget one first; nothing was kept.") % {"n": MAX_VIEWS}
        messages.warning(request, words, extra_tags="warn")
    else:
        user.saved_views = [*others, {"name": name, "school": school, "kind": kind}]
        user.save(update_fields=["saved_views"])
    return redirect(f"{reverse('today')}?{_query(school, kind)}")


@allow(Deed.SEE_TODAY)
@require_safe
def today_lists(request: HttpRequest) -> HttpResponse:
    """The lists alone, fetched again when something changed."""
    return render(request, "desk/_lists.html", _list_context(request))


def _alert_for(request: HttpRequest, pk: int) -> Alert:
    """An alert of a student the reader may see, or of one of their schools; else 404 and an audit line."""
    visible = Alert.objects.for_user(request.user) | Alert.objects.system("a school's own item").filter(
        student=None, school__in=policy.schools_for(request.user, Deed.SEE_TODAY)
    )
    found: Alert = policy.get_owned(
        request.user, visible.select_related("student", "school", "section", "calendar"), pk, "alert"
    )
    as_they_stand([found])
    return found


@allow(Deed.GIVE_VERDICT)
def alert_page(request: HttpRequest, pk: int) -> HttpResponse:
    alert = _alert_for(request, pk)
    form = {"decision": "", "reason": "", "until": (alert.as_of + LOOK_AGAIN_AFTER).isoformat()}
    error, conflict, theirs, status = "", False, None, 200
    if request.method == "POST":
        form = {name: request.POST.get(name, "") for name in form}
        try:
            verdict = give_verdict(
                request.user, alert, form["decision"], form["reason"], until=_day(form["until"]),
                version=_number(request.POST.get("version")),
            )  # fmt: skip
        except NotGiven as not_given:
            error, status = str(not_given), 422
        except Conflict as changed:
            alert, theirs, conflict, status = changed.alert, changed.theirs, True, 409
        else:
            return redirect(f"{reverse('today')}?{urlencode({'undo': verdict.pk})}")
    others, laws = [], Laws()
    if alert.student_id:
        open_now = Alert.objects.for_user(request.user).filter(student=alert.student_id, state=Alert.State.OPEN)
        others = [
            {"alert": a, "sentence": sentence(a, laws)}
            for a in said_in_time(as_they_stand(open_now.select_related("student", "section", "school")))
            if a.pk != alert.pk
        ]
    return render(
        request,
        "desk/verdict.html",
        {
            "alert": alert, "stands_through": stands_through(alert), "sentence": sentence(alert, laws), "days": alert_days(alert), "worse": worse_means(alert.kind),
            "is_look": alert.kind == Kind.LOOK_OVER, "concerns": said_of(alert.student, alert.as_of) if alert.kind == Kind.CONCERN else [],
            "others": others, "form": form, "error": error, "conflict": conflict, "theirs": theirs,
            "verdicts": alert.verdicts.select_related("given_by").order_by("given_at"),
            "decisions": [(d.value, d.label, KEYS[d]) for d in Verdict.Decision], "min_until": alert.as_of + timedelta(days=1),
            "page": "today",
        },
        status=status,
    )  # fmt: skip


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise NotGiven(_("The day to look again could not be read.")) from error


def _number(value: str | None) -> int:
    return int(value) if value and value.isdigit() and len(value) < 10 else -1


@allow(Deed.GIVE_VERDICT)
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    verdicts = Verdict.objects.for_user(request.user) | Verdict.objects.system("a school's own item").filter(
        student=None, alert__school__in=policy.schools_for(request.user, Deed.SEE_TODAY)
    )
    verdict = policy.get_owned(request.user, verdicts.select_related("alert"), pk, "verdict")
    try:
        alert = undo_verdict(request.user, verdict)
    except NotGiven as error:
        messages.warning(request, str(error), extra_tags="warn")
        return redirect("today")
    return redirect("alert", alert.pk)


@allow(Deed.SEE_SCHOOLS)
@require_safe
def schools_page(request: HttpRequest) -> HttpResponse:
    return render(request, "desk/schools.html", {"lines": lists.school_lines(request.user), "page": "schools"})
