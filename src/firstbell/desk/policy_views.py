"""The district lead's pages about the law: what is in force, what waits for approval, what every pack says, and what one's own rules change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from firstbell.access import policy
from firstbell.access.models import User
from firstbell.access.policy import Deed, allow, get_owned
from firstbell.casework.adopted import adopted
from firstbell.casework.adopting import LONGEST, NotAdopted, agree, approve, end, keep, laid, propose, refuse, withdraw
from firstbell.casework.models import Adoption
from firstbell.casework.signatures import Office, all_holders, asked_offices
from firstbell.intake.fields import in_words
from firstbell.law import sentences
from firstbell.law.differences import Difference, differences
from firstbell.law.overlays import with_overlay
from firstbell.law.packs import Institution, Overlay, Pack, Prohibition, Rule, Source, built_in, in_force
from firstbell.register.models import School

_WITH_PEOPLE = ("proposed_by", "approved_by", "refused_by", "withdrawn_by", "stop_asked_by")


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one rule; without a rule, in the pack itself."""

    rule: str
    title: str
    words: list[str]
    loosens: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An adoption with what it says. `problem`: why that can't be told; `against`: what it changes in what is in force now."""

    adoption: Adoption
    pack: Pack | None = None
    own: Overlay | None = None
    changes: list[Change] = field(default_factory=list)
    against: list[Change] | None = None
    problem: str = ""


def changes(found: Iterable[Difference], *packs: Pack) -> list[Change]:
    """Differences by rule, in the reader's language."""
    titles = {r.id: r.title for pack in packs for r in pack.rule}
    grouped = []
    for rule, some in groupby(found, key=lambda d: d.rule):
        told = list(some)
        grouped.append(Change(rule, titles.get(rule, ""), [in_words(d.words) for d in told], told[0].loosens))
    return grouped


def shown(adoption: Adoption, current: Adoption | None = None) -> Shown:
    try:
        version, made, own = laid(adoption.pack, adoption.overlay, adoption.starts)
    except NotAdopted as error:
        return Shown(adoption, problem=str(error))
    against = None
    if current is not None and current.pk != adoption.pk and current.pack == adoption.pack:
        try:
            _version, now, _own = laid(current.pack, current.overlay, current.starts)
        except NotAdopted:
            now = None
        if now is not None:
            against = changes(differences(now, made, own), now, made)
    return Shown(
        adoption, version, own, changes(differences(version, made, own), version, made) if own else [], against
    )


@dataclass(frozen=True, slots=True)
class OfficeShown:
    """An office of the law in force, and at how many schools nobody holds it."""

    office: Office
    people: int
    without: int


def _offices(current: Adoption, today: date) -> list[OfficeShown]:
    now = in_force(with_overlay(current.pack, current.overlay), today, today)
    found = all_holders(asked_offices([v.pack for v in now]), today)
    schools = School.objects.count() if found else 0
    told = []
    for office in found:
        at = {row.school_id for row in office.held}
        told.append(
            OfficeShown(
                office, len({row.user_id for row in office.held}), 0 if None in at or not at else schools - len(at)
            )
        )
    return told


@allow(Deed.SET_POLICY)
@require_safe
def policy_page(request: HttpRequest) -> HttpResponse:
    today = policy.today(request.user)
    current = adopted(today)
    some = list(Adoption.objects.select_related(*_WITH_PEOPLE).order_by("-starts", "-pk")[:200])
    here = next((a for a in some if current is not None and a.pk == current.pk), None)
    told = shown(here) if here else None
    waiting = [a for a in some if a.waits]
    coming = [a for a in some if a.approved_at and not a.withdrawn_at and a.starts > today]
    gone = {a.pk for a in (*waiting, *coming)} | ({here.pk} if here else set())
    titles = {name: versions[-1] for name, versions in built_in().items()}
    return render(
        request, "desk/policy/list.html",
        {
            "page": "policy", "today": today, "here": told, "offices": [] if told is None or told.problem else _offices(here, today),
            "waiting": [(a, titles.get(a.pack)) for a in waiting], "coming": [(a, titles.get(a.pack)) for a in coming],
            "past": [(a, titles.get(a.pack)) for a in some if a.pk not in gone], "packs": built_in().items(),
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleShown:
    rule: Rule
    source: Source
    words: list[str]


@dataclass(frozen=True, slots=True)
class InstitutionShown:
    owed: Institution
    source: Source
    words: list[str]


@dataclass(frozen=True, slots=True)
class ProhibitionShown:
    prohibition: Prohibition
    source: Source
    words: str


@allow(Deed.SET_POLICY)
@require_safe
def pack_page(request: HttpRequest, name: str) -> HttpResponse:
    """One version of a built-in pack in full, and what it changed in the one before."""
    some = built_in().get(name)
    if some is None:
        raise Http404
    asked = request.GET.get("version", some[-1].version)
    at = next((k for k, pack in enumerate(some) if pack.version == asked), None)
    if at is None:
        raise Http404
    pack, before = some[at], some[at - 1] if at else None
    return render(
        request, "desk/policy/pack.html",
        {
            "page": "policy", "pack": pack, "versions": some, "before": before,
            "changes": changes(differences(before, pack), before, pack) if before else [],
            "rules": [RuleShown(r, pack.cited(r), [in_words(w) for w in sentences.in_words(r, pack)]) for r in pack.rule],
            "institution": [InstitutionShown(i, pack.cited(i), [in_words(w) for w in sentences.institution_words(i, pack)]) for i in pack.institution],
            "prohibitions": [ProhibitionShown(p, pack.cited(p), in_words(sentences.prohibition_words(p))) for p in pack.prohibition],
        },
    )  # fmt: skip


_FIELDS = ("pack", "starts", "overlay", "verified_by", "verified_on", "looked")


def _form(request: HttpRequest) -> dict[str, str]:
    """What was typed; a file that was chosen stands in place of the text."""
    form = {name: request.POST.get(name, "").replace("\x00", "") for name in _FIELDS}
    upload: UploadedFile | None = request.FILES.get("file")
    if upload is not None:
        if upload.size > LONGEST:
            raise NotAdopted(_("That file is larger than %(n)s bytes. Nothing was taken from it.") % {"n": LONGEST})
        try:
            form["overlay"] = upload.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotAdopted(_("That file is no text (UTF-8). Nothing was taken from it.")) from error
    form["overlay"] = form["overlay"].replace("\r\n", "\n")
    return form


def _day(text: str, words: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise NotAdopted(words) from error


def _digest(form: dict[str, str]) -> str:
    return hashlib.sha256("\x1f".join(form[name].strip() for name in _FIELDS[:-1]).encode()).hexdigest()[:16]


@allow(Deed.SET_POLICY)
@require_http_methods(["GET", "POST"])
def propose_page(request: HttpRequest) -> HttpResponse:
    """First what it would change, in words; then, and only of what was looked at, the proposal."""
    today = policy.today(request.user)
    form = {**dict.fromkeys(_FIELDS, ""), "pack": request.GET.get("pack", ""), "starts": today.isoformat()}
    error, look = "", None
    if request.method == "POST":
        form = {name: request.POST.get(name, "") for name in _FIELDS}
        try:
            form = _form(request)
            starts = _day(form["starts"], _("Choose the day from which it is to be in force."))
            verified_on = (
                _day(form["verified_on"], _("The day it was verified could not be read."))
                if form["verified_on"]
                else None
            )
            _version, _made, own = laid(form["pack"], form["overlay"], starts)
            digest = _digest(form)
            if request.POST.get("deed") == "propose" and form["looked"] == digest:
                found = propose(
                    request.user, form["pack"], starts, overlay=form["overlay"], verified_by=form["verified_by"], verified_on=verified_on
                )  # fmt: skip
                return redirect("policy_adoption", found.pk)
            changed_since = request.POST.get("deed") == "propose"
            current = adopted(starts)
            would = Adoption(pack=form["pack"], overlay=form["overlay"] if own else "", starts=starts)
            look = {
                "shown": shown(would, current),
                "starts": starts,
                "past": starts < today,
                "changed_since": changed_since,
                "current": current,
            }
            form["looked"] = digest
        except NotAdopted as wrong:
            error = str(wrong)
            form["looked"] = ""
    return render(
        request, "desk/policy/propose.html",
        {"page": "policy", "form": form, "error": error, "look": look, "packs": [(n, v[-1]) for n, v in built_in().items()]},
        status=422 if error else 200,
    )  # fmt: skip


def _answer(user: User, adoption: Adoption, deed: str, why: str, last: str) -> None:
    if deed == "approve":
        approve(user, adoption)
    elif deed == "refuse":
        refuse(user, adoption, why)
    elif deed == "withdraw":
        withdraw(user, adoption, why)
    elif deed == "end":
        end(user, adoption, _day(last, _("Choose its last day.")), why)
    elif deed == "agree":
        agree(user, adoption)
    elif deed == "keep":
        keep(user, adoption)


@allow(Deed.SET_POLICY)
@require_http_methods(["GET", "POST"])
def adoption_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One adoption: what it changes, and the answer of somebody else."""
    found: Adoption = get_owned(request.user, Adoption.objects.select_related(*_WITH_PEOPLE), pk, "adoption")
    error, form = "", {name: request.POST.get(name, "").replace("\x00", "") for name in ("deed", "why", "last")}
    if request.method == "POST":
        try:
            _answer(request.user, found, **form)
            return redirect("policy_adoption", pk)
        except NotAdopted as wrong:
            error = str(wrong)
            found = Adoption.objects.select_related(*_WITH_PEOPLE).get(pk=pk)
    today = policy.today(request.user)
    current = adopted(today)
    return render(
        request, "desk/policy/adoption.html",
        {
            "page": "policy", "adoption": found, "shown": shown(found, current), "error": error, "form": form, "today": today,
            "other": built_in()[current.pack][-1] if current and current.pack != found.pack and current.pack in built_in() else None,
            "in_force": current is not None and current.pk == found.pk, "own": found.proposed_by_id == request.user.pk,
            "asked_by_you": found.stop_asked_by_id == request.user.pk,
            "alone": found.starts > today and found.proposed_by_id == request.user.pk,
            "stands": found.approved_at is not None and found.withdrawn_at is None and (found.ends is None or found.ends >= today),
        },
        status=422 if error else 200,
    )  # fmt: skip
