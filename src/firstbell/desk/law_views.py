"""A student before the law: the lines, the ladder of each, what was done; and what protects them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.contrib import messages
from django.db.models import OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from firstbell.access import audit, policy
from firstbell.access.models import User
from firstbell.access.policy import Deed, allow
from firstbell.casework.done import (
    NotRecorded,
    confirm,
    may_confirm,
    may_take_back,
    protect,
    record_done,
    take_back,
    unprotect,
)
from firstbell.casework.letters.facts import TEMPLATE_OF
from firstbell.casework.letters.sending import STATES
from firstbell.casework.models import Delivery, Done, Letter, Protection
from firstbell.casework.parents import Guardian, whom_word
from firstbell.casework.signatures import holders_for, missing_after, office_word, signs_as, signs_elsewhere
from firstbell.casework.standing import Deed as DoneDeed
from firstbell.casework.standing import Standing, standing_of, today_of, zone_of
from firstbell.casework.words import STATUS, asked_kinds, evidence_word, in_language, position_words
from firstbell.law.clock import NOT_ESCALATED, Position, Status, shows
from firstbell.law.packs import Pack
from firstbell.law.whom import about_flags
from firstbell.outreach.models import Message
from firstbell.register.gathered import gathered
from firstbell.register.models import Student

#: what asks for somebody first
ORDER = (
    Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN, Status.SUPERSEDED, Status.REACHED, Status.NEAR, Status.DUTY_DONE,
    Status.CLEAR, Status.NOT_EVALUABLE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whom:
    """A guardian on a rung that is each parent's own: whether they have had it. Of who may not be contacted there is no name."""

    pk: int
    name: str
    state: str  # done, next, waiting

    @property
    def silent(self) -> bool:
        return not self.name


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a rule's ladder: `kind` is what may be recorded here, where something may; `letter`: we have words to write about it;
    `each`: whom of the family it is owed to one by one; `offices`: whose signature a sanction still needs, who puts it on record first."""

    words: str
    done: list[DeedShown]
    kind: str
    rule: str  # what it is put on record about
    state: str  # done, next, waiting
    letter: bool = False
    each: tuple[Whom, ...] = ()
    offices: tuple[str, ...] = ()

    @property
    def choices(self) -> list[Whom]:
        return [g for g in self.each if not g.silent]

    @property
    def alone(self) -> bool:
        return len(self.choices) == 1


@dataclass(frozen=True, slots=True)
class Line:
    """A rule as the page shows it."""

    position: Position
    words: str
    status: str
    rungs: list[Rung]
    overdue: bool
    may_stop: bool
    protected: bool
    why: str


@dataclass(frozen=True, slots=True)
class DeedShown:
    """What somebody did, in words; the letter it was, where it was one; and what the reader may do about it."""

    deed: DoneDeed
    word: str
    whom: list[str]
    letter: LetterShown | None
    may_take_back: bool
    may_confirm: bool
    #: whose paper it is, where an institution outside signs and the reader does not sign for it
    asks_whose: bool

    @property
    def recorded_as(self) -> str:
        return office_word(self.deed.recorded_as)

    @property
    def confirmed_as(self) -> str:
        return office_word(self.deed.confirmed_as)

    def shows(self, ways: Iterable[tuple[str, str]], pack: Pack) -> bool:
        """Whether it is one of these kinds, about the rule beside it, or about none ("": about any of the pack's)."""
        of_pack, _slash, rule = self.deed.about.partition("/")
        return of_pack in ("", pack.id) and any(
            self.deed.kind == kind and (not of or rule in ("", of)) for kind, of in ways
        )


def _shown(
    deed: DoneDeed, reader: User, student: Student, family: Sequence[Guardian], letters: Iterable[LetterShown]
) -> DeedShown:
    return DeedShown(
        deed, evidence_word(deed.kind), [in_language(whom_word(contact, family)) for contact in deed.to],
        next((x for x in letters if x.letter.done_id == deed.pk), None),
        deed.withdrawn_at is None and may_take_back(reader, deed.by.pk, deed.recorded_at, deed.waits_for),
        deed.withdrawn_at is None and may_confirm(reader, student, deed.by.pk, deed.waits_for),
        signs_elsewhere(deed.waits_for) and not signs_as(reader, student, [deed.waits_for]),
    )  # fmt: skip


def lines_of(standing: Standing, done: list[DeedShown], today: date, protected: bool) -> list[Line]:
    """Every rule, what asks for somebody first; of those help before a sanction, also where the sanction's day is nearer. Of rules that have
    ended what asks for nothing is left out. protected: the reader sees what protects the student."""
    packs = {v.pack.sha256: v.pack for v in standing.law}
    now = standing.law[-1].pack.sha256 if standing.law else ""
    # of a rule about students whom something protects, that it is asked at all would tell
    hidden = set() if protected else {(sha, r.id) for sha, pack in packs.items() for r in pack.rule if r.applies.flags}
    some = [
        p
        for p in standing.positions
        if (p.pack_sha256 == now or p.status is not Status.CLEAR) and (p.pack_sha256, p.rule) not in hidden
    ]
    lines = [_line(p, packs[p.pack_sha256], standing, done, today, protected) for p in some]

    def order(line: Line) -> tuple[int, bool, date]:
        duty = line.position.duty
        sanction = duty is not None and duty.severity == "punitive"
        return ORDER.index(line.position.status), sanction, line.position.due or date.max

    return sorted(lines, key=order)


def _asked(lines: list[Line]) -> bool:
    """Whether any line is about this student at all: of the right age and grade, with a register to ask."""
    return any(line.position.status is not Status.NOT_EVALUABLE for line in lines)


def _each(p: Position, pack: Pack, standing: Standing) -> tuple[Whom, ...]:
    """Who has had what the law owes to each parent, and who has not; whose line it is not is left out."""
    rule = pack.rule_named(p.rule)
    if rule is None or rule.per != "parent":
        return ()
    state = {Status.DUTY_DONE: "done", Status.DUTY_OPEN: "next", Status.LOCKED: "waiting", Status.FORBIDDEN: "waiting"}
    stands = standing.of_each.get((p.pack_sha256, p.rule), {})
    return tuple(
        Whom(g.pk, "", "waiting") if g.silent else Whom(g.pk, g.name, state[stands[g.pk]])
        for g in standing.on_record.guardians
        if g.silent or stands.get(g.pk) in state
    )


def _line(p: Position, pack: Pack, standing: Standing, done: list[DeedShown], today: date, protected: bool) -> Line:
    rungs: list[Rung] = []
    duty = p.duty
    open_ = p.status in (Status.DUTY_OPEN, Status.LOCKED, Status.FORBIDDEN)
    if duty is not None and p.fired_on is not None:
        for name in duty.requires:
            ways = shows(name, pack)
            named = [pack.rule_named(one) or pack.institution_named(one) for one in name.split("|")]
            words = _(" or ").join(
                r.title if r else evidence_word(one) for r, one in zip(named, name.split("|"), strict=True)
            )
            state = "next" if " or ".join(name.split("|")) in p.missing else "done"
            rungs.append(Rung(words, [d for d in done if d.shows(ways, pack)], ways[0][0], ways[0][1] or p.rule, state))
        kinds = duty.shown_by
        if kinds:
            ways = [(kind, of) for kind in kinds for of in (p.rule, duty.done_from)]
            by = [d for d in done if d.shows(ways, pack) and d.deed.on >= (p.since or p.fired_on)]
            state = "done" if p.status is Status.DUTY_DONE else "next" if p.status is Status.DUTY_OPEN else "waiting"
            letter = state == "next" and duty.kind in TEMPLATE_OF
            offices = missing_after(duty.sign_off) if open_ and duty.severity == "punitive" else ()
            rungs.append(
                Rung(duty.title, by, kinds[0], p.rule, state, letter, _each(p, pack, standing), tuple(offices))
            )
    words = position_words(p)
    if not protected and about_flags(p.why):  # what protects a student is not told by what no line asks
        words = _("The rule is not about this student.")
    return Line(
        p, words, str(STATUS[p.status]), rungs, open_ and p.due is not None and p.due < today,
        open_ and duty is not None and duty.may, bool(p.forbidden), "" if p.forbidden else in_language(p.why),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LetterShown:
    """With the apology for it, where one was drafted, and what became of what was mailed."""

    letter: Letter
    apology: Letter | None
    mailed: list[str]


def _letters(student: Student) -> list[LetterShown]:
    """The latest first."""
    mailed = Delivery.objects.system("of a student the reader was given").filter(letter=OuterRef("pk"))
    some = list(
        Letter.objects.system("of a student the reader was given").filter(student=student)
        .select_related("firing", "correction_of").annotate(mailed=gathered(mailed, "pk", "message__state"))
        .order_by("-drafted_at", "-pk")[:30]
    )  # fmt: skip
    apologies = {a.correction_of_id: a for a in some if a.correction_of_id and a.state != Letter.State.WITHDRAWN}
    return [
        LetterShown(
            letter, apologies.get(letter.pk),
            list(dict.fromkeys(str(STATES[Message.State(state)]) for _pk, state in sorted(letter.mailed or []))),
        )
        for letter in some
    ]  # fmt: skip


@allow(Deed.SEE_LAW)
@require_safe
def law_lines(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines in short, for the student's page."""
    student = policy.get_student(request.user, pk, Deed.SEE_LAW)
    today = today_of(student)
    standing = standing_of(student, today)
    lines = lines_of(standing, [], today, policy.may_for(request.user, Deed.SEE_PROTECTIONS, student))
    return render(request, "desk/_law_lines.html", {
        "student": student, "lines": lines, "asked": _asked(lines), "pack": standing.law[-1].pack if standing.law else None,
        "adoption": standing.adoption,
    })  # fmt: skip


def _page(
    request: HttpRequest, student: Student, error: str = "", form: dict[str, str] | None = None, to: Sequence[int] = ()
) -> HttpResponse:  # fmt: skip
    today = today_of(student)
    as_of = _as_of(request, today)
    standing = standing_of(student, as_of or today, as_known=as_of is not None)
    family, letters = standing.on_record.guardians, _letters(student)
    done = [_shown(deed, request.user, student, family, letters) for deed in standing.on_record.deeds]
    protections = None
    if policy.may_for(request.user, Deed.SEE_PROTECTIONS, student):
        known = standing.on_record.protections
        protections = [Protection(pk=p.pk, flag=p.flag, ends=p.ends) for p in sorted(known, key=lambda p: p.flag)]
    counts = [d for d in done if d.deed.withdrawn_at is None and not d.deed.waits_for]
    lines = lines_of(standing, counts, today, protections is not None)
    offices = {o: None for line in lines for rung in line.rungs for o in rung.offices if as_of is None}
    undone = sorted(
        (f for f in standing.on_record.firings if f.superseded_at), key=lambda f: f.superseded_at, reverse=True
    )
    titles = {rule.id: rule.title for version in standing.law for rule in version.pack.rule}
    audit.record(request.user, "saw", f"student:{student.pk}", "before the law")
    return render(
        request, "desk/law.html",
        {
            "student": student, "lines": lines, "asked": _asked(lines),
            "zone": zone_of(student), "quiet": any(line.position.status is Status.CLEAR for line in lines),
            "pack": standing.law[-1].pack if standing.law else None, "adoption": standing.adoption, "done": done,
            "kinds": [(k, evidence_word(k)) for k in asked_kinds(standing.law[-1].pack if standing.law else None)], "today": today, "as_of": as_of, "standing_day": standing.day,
            "not_yours": [office for office in offices if not signs_as(request.user, student, [office])],
            "unheld": [o for o in holders_for(student, offices, today) if not o.held],
            "family": family, "protections": protections, "flags": Protection.Flag.choices, "superseded": [(titles.get(f.rule, f.rule), f) for f in undone[:20]],
            "letters": letters, "key": secrets.token_hex(12), "error": error, "form": form or {}, "to": to, "page": "today",
        },
        status=422 if error else 200,
    )  # fmt: skip


def _as_of(request: HttpRequest, today: date) -> date | None:
    text = request.GET.get("as_of", "")
    try:
        found = date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Http404 from error
    if found is not None and found > today:
        raise Http404
    return found


@allow(Deed.SEE_LAW)
@require_safe
def law_page(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, policy.get_student(request.user, pk, Deed.SEE_LAW))


@allow(Deed.TAKE_STEPS)
@require_POST
def record(request: HttpRequest, pk: int) -> HttpResponse:
    """Something was done, or somebody decided not to go on."""
    student = policy.get_student(request.user, pk, Deed.TAKE_STEPS)
    form = {name: request.POST.get(name, "") for name in ("kind", "on", "note", "rule", "key")}
    to = [int(pk) for pk in request.POST.getlist("to") if pk.isdecimal() and len(pk) < 19]
    try:
        on = date.fromisoformat(form["on"]) if form["on"] else today_of(student)
        if (
            not form["kind"]
            or len(form["kind"]) > 60
            or not form["key"]
            or len(form["key"]) > 40
            or len(form["rule"]) > 100
        ):
            raise NotRecorded(_("Choose what was done."))
        made = record_done(
            request.user, student, form["kind"], on, today_of(student), rule=form["rule"], note=form["note"], key=form["key"], to=to,
        )  # fmt: skip
    except NotRecorded as error:
        return _page(request, student, str(error), form, to)
    except ValueError:
        return _page(request, student, _("The day could not be read. Write it as 2026-11-23."), form, to)
    said = (
        _("On record: not taken further.")
        if form["kind"] == NOT_ESCALATED
        else _("On record: %(what)s.") % {"what": evidence_word(form["kind"])}
    )
    if made.waits_for:
        said += " " + _("It counts once it is confirmed by: %(who)s.") % {"who": made.waits_for}
    messages.success(request, said)
    return redirect("student_law", student.pk)


@allow(Deed.TAKE_STEPS)
@require_POST
def confirm_record(request: HttpRequest, pk: int) -> HttpResponse:
    """The second person's word for a sanction that somebody put on record."""
    done = policy.get_owned(request.user, Done.objects.for_user(request.user), pk, "done")
    student = policy.get_student(request.user, done.student_id, Deed.TAKE_STEPS)
    try:
        confirm(request.user, done, today_of(student), request.POST.get("signature", "").replace("\x00", ""))
    except NotRecorded as error:
        messages.warning(request, str(error), extra_tags="warn")
    else:
        messages.success(request, _("On record: %(what)s.") % {"what": evidence_word(done.kind)})
    return redirect("student_law", student.pk)


@allow(Deed.TAKE_STEPS)
@require_POST
def undo_record(request: HttpRequest, pk: int) -> HttpResponse:
    done = policy.get_owned(request.user, Done.objects.for_user(request.user), pk, "done")
    try:
        take_back(request.user, done)
    except NotRecorded as error:
        messages.warning(request, str(error), extra_tags="warn")
    else:
        messages.success(request, _("Taken back. The record shows that it was."))
    return redirect("student_law", done.student_id)


@allow(Deed.SEE_PROTECTIONS)
@require_POST
def add_protection(request: HttpRequest, pk: int) -> HttpResponse:
    student = policy.get_student(request.user, pk, Deed.SEE_PROTECTIONS)
    try:
        ends = request.POST.get("ends", "")
        protect(
            request.user,
            student,
            request.POST.get("flag", ""),
            today_of(student),
            date.fromisoformat(ends) if ends else None,
        )
    except NotRecorded as error:
        return _page(request, student, str(error))
    except ValueError:
        return _page(request, student, _("The day could not be read. Write it as 2026-11-23."))
    return redirect("student_law", student.pk)


@allow(Deed.SEE_PROTECTIONS)
@require_POST
def end_protection(request: HttpRequest, pk: int) -> HttpResponse:
    found = policy.get_owned(request.user, Protection.objects.for_user(request.user), pk, "protection")
    policy.get_student(request.user, found.student_id, Deed.SEE_PROTECTIONS)
    unprotect(request.user, found)
    return redirect("student_law", found.student_id)
