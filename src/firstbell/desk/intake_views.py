"""The data steward's pages: bring a delivery in, see what it would change, apply it, send back what was refused."""

from __future__ import annotations

from datetime import date

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from firstbell.access import audit
from firstbell.access.policy import Deed, allow, get_owned
from firstbell.intake import report, work
from firstbell.intake.apply import NotApplied, accept_bounds
from firstbell.intake.fields import in_words
from firstbell.intake.mapping import headings, map_code, mark_of, settle_code_set, settle_columns
from firstbell.intake.models import Import, KeptRow, Source
from firstbell.intake.readers.spreadsheet import FIELDS, REQUIRED, WORDS, ColumnMapping, propose
from firstbell.intake.receive import NotReceived, receive
from firstbell.intake.walk import WAITED
from firstbell.register.models import Calendar, District

_OPEN = (Import.State.STAGED, Import.State.HELD)
_WORKING = (Import.State.RECEIVED, Import.State.QUEUED)


def _delivery(request: HttpRequest, pk: int) -> Import:
    found: Import = get_owned(request.user, report.deliveries_for(request.user), pk, "import")
    return found


@allow(Deed.BRING_DATA)
@require_http_methods(["GET", "POST"])
def intake(request: HttpRequest) -> HttpResponse:
    """What came in, and the place to drop what comes next."""
    problem = ""
    if request.method == "POST":
        uploads: list[UploadedFile] = request.FILES.getlist("files")
        through = request.POST.get("complete_through", "").strip()
        try:
            if not uploads:
                raise NotReceived(_("No file was chosen. Nothing was sent."))
            delivery = receive(
                uploads, request.POST.get("source", "").strip() or None, request.user,
                complete_through=date.fromisoformat(through) if through else None,
            )  # fmt: skip
        except NotReceived as error:
            problem = in_words(str(error))
        except ValueError:
            problem = _("“%(value)s” is not a date. Nothing was sent.") % {"value": through}
        else:
            if delivery.state == Import.State.APPLIED:
                messages.info(request, _("This delivery was already applied, and nothing since. Nothing was done."))
            else:
                work.ask_to_stage(delivery)
            return redirect("intake_delivery", pk=delivery.pk)
    page = Paginator(report.deliveries_for(request.user).order_by("-pk"), 25).get_page(request.GET.get("page"))
    return render(
        request, "desk/intake/list.html",
        {"page": "intake", "deliveries": page, "sources": report.source_lines(request.user), "problem": problem,
         "zone": _zone()},
        status=422 if problem else 200,
    )  # fmt: skip


def _zone() -> str:
    """The district's clock, by which deliveries are dated."""
    return District.objects.values_list("time_zone", flat=True).first() or "UTC"


def _context(request: HttpRequest, delivery: Import) -> dict[str, object]:
    tallies = list(delivery.tallies.order_by("file", "kind"))
    for tally in tallies:
        tally.words = report.KINDS.get(tally.kind, tally.kind)  # type: ignore[attr-defined]
        if tally.file == WAITED:
            tally.file = _("rows that waited")
    progress = work.progress_of(delivery) if delivery.state in _WORKING else None
    return {
        "page": "intake",
        "zone": _zone(),
        "delivery": delivery,
        "working": delivery.state in _WORKING,
        "open": delivery.state in _OPEN,
        "progress": progress,
        "step": report.STEPS.get(progress.step, progress.step) if progress else "",
        "tallies": tallies,
        "bounds": list(delivery.passed_bounds.all()),
        "notices": list(delivery.notices.all()),
        "unmapped": sum(int(m.value) for m in delivery.measures.filter(name__startswith="unmapped:")),
        "kept": delivery.kept_rows.filter(settled_by=None).count(),
        "missing": delivery.missing.count(),
        "sends": Calendar.Sends(delivery.source.sends).label if delivery.source.sends else "",
    }


@allow(Deed.BRING_DATA)
@require_http_methods(["GET", "POST"])
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """One delivery: how far it has come, what it would change, what it changed."""
    found = _delivery(request, pk)
    problem = ""
    if request.method == "POST":
        deed = request.POST.get("deed", "")
        try:
            if deed == "cancel":
                if not work.cancel(found, request.user):
                    raise NotApplied(
                        _("It is %(state)s and can't be set aside.") % {"state": found.get_state_display()}
                    )
            elif deed in ("apply", "apply_all_the_same"):
                if deed == "apply_all_the_same":
                    names = [bound.name for bound in found.passed_bounds.filter(accepted_by="")]
                    accept_bounds(found, names, request.POST.get("reason", ""), request.user)
                elif found.passed_bounds.filter(accepted_by="").exists():
                    raise NotApplied(_("It is held; say why it may be applied all the same."))
                work.ask_to_apply(found, request.user)
            return redirect("intake_delivery", pk=pk)
        except NotApplied as error:
            problem = in_words(str(error))
    return render(
        request, "desk/intake/delivery.html", {**_context(request, found), "problem": problem},
        status=422 if problem else 200,
    )  # fmt: skip


@allow(Deed.BRING_DATA)
@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of a delivery's page; when the work is over it has the page fetched anew."""
    found = _delivery(request, pk)
    answer = render(request, "desk/intake/_progress.html", _context(request, found))
    if found.state not in _WORKING:
        answer["HX-Refresh"] = "true"
    return answer


@allow(Deed.BRING_DATA)
@require_GET
def kept_rows(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows of a delivery that did not get in, each with its reason."""
    found = _delivery(request, pk)
    rows = found.kept_rows.filter(settled_by=None).order_by("file", "line", "pk")
    if (why := request.GET.get("why")) in KeptRow.Why.values:
        rows = rows.filter(why=why)
    audit.record(request.user, "saw_refused_rows", f"import:{found.pk}")
    page = Paginator(rows, 100).get_page(request.GET.get("page"))
    return render(
        request, "desk/intake/rows.html", {"page": "intake", "delivery": found, "rows": page, "why": why or ""}
    )


@allow(Deed.BRING_DATA)
@require_GET
def kept_rows_csv(request: HttpRequest, pk: int) -> FileResponse:
    found = _delivery(request, pk)
    audit.record(request.user, "downloaded_refused_rows", f"import:{found.pk}")
    return FileResponse(
        report.kept_rows_csv(found), as_attachment=True, filename=f"refused-{found.pk}.csv", content_type="text/csv"
    )


@allow(Deed.BRING_DATA)
@require_http_methods(["GET", "POST"])
def codes(request: HttpRequest, pk: int) -> HttpResponse:
    """What a source's codes mean. A code nobody has mapped waits; it is never given a default."""
    source = get_owned(request.user, report.sources_for(request.user), pk, "source")
    if request.method == "POST" and "code_set" in request.POST:
        try:
            settle_code_set(source, request.POST["code_set"], request.user)
        except ValueError as error:
            messages.error(request, str(error))
        else:
            work.ask_to_retry(source, request.user)
            messages.success(
                request, _("Kept. Marks that come from now on are read so, and rows that waited are taken in.")
            )
        return redirect("intake_codes", pk=pk)
    if request.method == "POST":
        code, meaning = request.POST.get("code", ""), request.POST.get("meaning", "")
        if code.strip() and len(code) <= 120 and meaning in report.MEANINGS:
            mark, words = report.MEANINGS[meaning]
            map_code(source, code, mark, request.user)
            work.ask_to_retry(source, request.user)
            messages.success(
                request,
                _("From now on “%(code)s” means: %(meaning)s. Rows that waited for it are taken in now.")
                % {"code": code, "meaning": words},
            )
            return redirect("intake_codes", pk=pk)
        messages.error(request, _("Choose what the code means. Nothing was changed."))
    lines = report.code_lines(source)
    by_mark = {mark: (letter, words) for letter, (mark, words) in report.MEANINGS.items()}
    shown = [
        (line, by_mark.get(mark_of(line.mapping)) if line.mapping else None, line.mapping) for line in lines
    ]  # fmt: skip
    return render(
        request, "desk/intake/codes.html",
        {
            "page": "intake", "source": source, "lines": shown, "code_sets": Source.CodeSet.choices,
            "code_set": source.code_set or source.usual_code_set,
            "meanings": [(key, words) for key, (_mark, words) in report.MEANINGS.items()],
        },
    )  # fmt: skip


@allow(Deed.BRING_DATA)
@require_http_methods(["GET", "POST"])
def columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Which column of a source's sheets holds what. Found by name; here a person says otherwise."""
    source = get_owned(
        request.user, report.sources_for(request.user).filter(kind=Source.Kind.SPREADSHEET), pk, "source"
    )
    header = headings(source)
    if request.method == "POST":
        chosen = {field: request.POST.get(field, "") for field in FIELDS}
        order = request.POST.get("date_order", "")
        mapping = ColumnMapping(
            {field: heading for field, heading in chosen.items() if heading in header},
            order if order in report.DATE_ORDERS else "",
        )
        missing = [in_words(WORDS[field]) for field in REQUIRED if field not in mapping.columns]
        if missing:
            messages.error(
                request, _("Say which column holds: %(what)s. Nothing was changed.") % {"what": ", ".join(missing)}
            )
        else:
            for again in settle_columns(source, mapping, request.user):
                work.ask_to_stage(again)
            messages.success(request, _("Kept. The latest delivery not yet applied is read again with these columns."))
            return redirect("intake")
    now = {**propose(header).columns, **ColumnMapping.parse(source.columns).columns}
    return render(
        request, "desk/intake/columns.html",
        {
            "page": "intake", "source": source, "header": header,
            "fields": [(field, in_words(words), now.get(field, ""), field in REQUIRED) for field, words in WORDS.items()],
            "orders": list(report.DATE_ORDERS.items()),
        },
    )  # fmt: skip
