"""Applying: a staged delivery is held to its bounds, shown, and written to the register in one transaction, or not at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils.translation import gettext as _

from firstbell.access import audit
from firstbell.access.models import User
from firstbell.intake import bounds, roster, squares
from firstbell.intake.models import Import, KeptRow, Measure, MissingStudent, Notice, PassedBound, Source, Tally
from firstbell.intake.readers.records import IntakeError
from firstbell.intake.staging import Stage, stage_of
from firstbell.intake.walk import CHANGED, NEW, REFUSED, UNCHANGED, WAITING, Progress, Walk
from firstbell.jobs.queue import enqueue
from firstbell.register import rows
from firstbell.register.marks import PRESENT_LETTERS
from firstbell.register.models import Calendar, School
from firstbell.said import said

_PRESENT = frozenset(map(ord, PRESENT_LETTERS))


class NotApplied(Exception):  # the name reads as what happened
    """The delivery was not applied, and the register is as it was; the sentence says why."""


def _steps(walk: Walk) -> None:
    """Every step in the one order in which each finds what it names."""
    roster.schools(walk)
    roster.terms(walk)
    roster.calendars(walk)
    roster.missing(walk)
    roster.students(walk)
    roster.staff(walk)
    roster.contacts(walk)
    roster.sections(walk)
    roster.seats(walk)
    roster.unseated(walk)
    if walk.write:
        roster.write_rolls(walk)
    squares.rolls(walk)
    squares.Marks(walk).run()
    squares.remark(walk)


def proposed_sends(walk: Walk) -> str:
    """What a source that nobody has settled seems to send, from what is in this delivery."""
    stated, _through = walk.stage.stated()
    if stated in Calendar.Sends.values:
        return stated
    if walk.source.sends or not walk.letters:
        return walk.source.sends
    present = sum(n for letter, n in walk.letters.items() if letter in _PRESENT and chr(letter) == "P")
    if present * 2 > walk.letters.total():
        return Calendar.Sends.EVERY_MARK
    taken_days = walk.stage.db.execute("SELECT count(DISTINCT date) FROM roll WHERE taken").fetchone()[0]
    if taken_days * 2 > len(walk.absent_by_day):
        return Calendar.Sends.ROLLS
    return Calendar.Sends.EXCEPTIONS


# --- looking ---------------------------------------------------------------------------------------------------------


_LOOKS_AS_IF = {
    Calendar.Sends.EXCEPTIONS: said(
        "It looks as if this source sends only exceptions: no mark means present. Applying settles that."
    ),
    Calendar.Sends.ROLLS: said(
        "It looks as if this source sends exceptions and which rolls were taken: no mark means present once the roll was taken. "
        "Applying settles that."
    ),
    Calendar.Sends.EVERY_MARK: said(
        "It looks as if this source sends every mark: no mark means not known. Applying settles that."
    ),
}


def look(delivery: Import, *, progress: Progress | None = None) -> list[PassedBound]:
    """Compare a delivery with the register and write down what would change, and which bounds it passes.

    Afterwards its state is staged, or held. Nothing of it is in the register.
    """
    if delivery.state not in (Import.State.RECEIVED, Import.State.STAGED, Import.State.HELD):
        raise NotApplied(_("This delivery is %(state)s.") % {"state": delivery.get_state_display()})
    try:
        with stage_of(delivery, progress=progress) as stage:
            walk = Walk(delivery, stage, write=False, progress=progress)
            _steps(walk)
            found = bounds.passed(walk)
            with transaction.atomic():
                _clear(delivery)
                _report(walk)
                PassedBound.objects.filter(delivery=delivery).delete()
                kept = PassedBound.objects.bulk_create(
                    PassedBound(delivery=delivery, name=b.name, words=b.words) for b in found
                )
                sends = proposed_sends(walk)
                if sends and not delivery.source.sends and not walk.stage.stated()[0]:
                    Notice.objects.create(
                        delivery=delivery, file="",
                        text=_LOOKS_AS_IF[Calendar.Sends(sends)],
                    )  # fmt: skip
                if found:
                    delivery.state = Import.State.HELD
                    delivery.problem = said(
                        "%(bounds)s", bounds=[said("%(name)s: %(words)s", name=b.name, words=b.words) for b in found]
                    )
                else:
                    delivery.state, delivery.problem = Import.State.STAGED, ""
                delivery.save(update_fields=["state", "problem"])
        return list(kept)
    except IntakeError as error:
        refuse(delivery, str(error))
        raise NotApplied(str(error)) from error


def refuse(delivery: Import, problem: str) -> None:
    """The whole delivery can't be read: nothing of it is applied, the sentence says where and why."""
    delivery.state, delivery.problem = Import.State.REFUSED, problem
    delivery.save(update_fields=["state", "problem"])
    audit.record("intake", "refused_data", f"import:{delivery.pk}")


def _clear(delivery: Import) -> None:
    for model in (Tally, Measure, Notice, KeptRow, MissingStudent):
        model.objects.filter(delivery=delivery).delete()


def _report(walk: Walk) -> None:
    """The tallies, measures, refusals and notices of a walk."""
    delivery, stage = walk.delivery, walk.stage
    tally = {key: Counter(counts) for key, counts in walk.tally.items()}
    for file, kind, n in stage.refused_kinds():
        tally.setdefault((file, kind or "row"), Counter())[REFUSED] += n
    for file, kind, n in stage.unused():
        tally.setdefault((file, kind), Counter())["unused"] += n
    Tally.objects.bulk_create(
        Tally(
            delivery=delivery, file=file[:200], kind=kind[:60], read=counts.total(), new=counts[NEW],
            changed=counts[CHANGED], unchanged=counts[UNCHANGED], refused=counts[REFUSED], waiting=counts[WAITING],
            unused=counts["unused"],
        )
        for (file, kind), counts in sorted(tally.items())
    )  # fmt: skip
    batch: list[KeptRow] = []
    for file, line, column, value, reason, row in stage.refusals():
        batch.append(
            KeptRow(
                delivery=delivery, why=KeptRow.Why.REFUSED, file=file[:200], line=line, column=column[:120],
                value=value.replace("\x00", "")[:300], reason=reason, row=row.replace("\x00", ""),
            )
        )  # fmt: skip
        if len(batch) >= 2000:
            KeptRow.objects.bulk_create(batch)
            batch.clear()
    KeptRow.objects.bulk_create(batch)
    Notice.objects.bulk_create(
        Notice(delivery=delivery, file=file[:200], text=text) for file, text in [*stage.notices(), *walk.notices]
    )
    measures = {**walk.measures, **{f"unmapped:{code}"[:120]: float(n) for code, n in walk.unmapped.items()}}
    Measure.objects.bulk_create(Measure(delivery=delivery, name=n, value=v) for n, v in measures.items())


# --- applying --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a delivery did."""

    delivery: Import
    marks: int
    rows: int
    missing: int
    calendars: tuple[int, ...]


def accept_bounds(delivery: Import, names: list[str], reason: str, by: User | str) -> None:
    """A person lets a held delivery through these bounds, with a reason; it is audited."""
    if not reason.strip():
        raise NotApplied(_("Say why it may be applied all the same."))
    with transaction.atomic():
        for bound in delivery.passed_bounds.filter(name__in=names, accepted_by=""):
            bound.accepted_by, bound.reason = audit.actor_name(by), reason
            bound.save(update_fields=["accepted_by", "reason"])
            audit.record(by, "accepted_bound", f"import:{delivery.pk}", f"{bound.name}: {reason}")


def apply(delivery: Import, by: User | str, *, progress: Progress | None = None) -> Applied:
    """Write a staged delivery to the register, all of it, in one transaction."""
    with stage_of(delivery, progress=progress) as stage, transaction.atomic():
        locked = Import.objects.select_for_update().get(pk=delivery.pk)
        if locked.state not in (Import.State.STAGED, Import.State.HELD, Import.State.QUEUED):
            raise NotApplied(_("This delivery is %(state)s.") % {"state": locked.get_state_display()})
        held = list(locked.passed_bounds.filter(accepted_by=""))
        if held:
            raise NotApplied(
                said(
                    "It is held by these bounds: %(names)s. Somebody has to say that it may be applied all the same.",
                    names=[b.name for b in held],
                )
            )
        if connection.vendor == "postgresql":  # one delivery at a time writes; SQLite sees to it by itself
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x1F1B5E12])
        done = _apply(locked, stage, by, progress)
    delivery.refresh_from_db()
    return done


def _apply(delivery: Import, stage: Stage, by: User | str, progress: Progress | None) -> Applied:
    walk = Walk(delivery, stage, write=True, progress=progress)
    source = Source.objects.select_for_update().get(pk=delivery.source_id)
    _clear(delivery)  # what the preview said is said again, as it was done
    walk.codes.keep_brought(f"import:{delivery.pk}")
    _steps(walk)
    bounds.passed(walk)  # for its measures, which later deliveries are held against
    named = [walk.pks(School)[s] for s in _schools_named(stage) if s in walk.pks(School)]
    source.schools.add(*named, *walk.schools_marked)
    sends = proposed_sends(walk)
    through = squares.complete_through(walk)
    source.sends = sends or source.sends
    source.covered_through = through
    source.code_set = source.code_set or walk.codes.stated
    source.save(update_fields=["sends", "covered_through", "code_set"])
    if source.sends == Calendar.Sends.EXCEPTIONS and through is not None:
        squares.cover(walk, through)
    roster.write_missing(walk)
    walk.finish()
    _report(walk)
    changed = 0
    calendars = Calendar.objects.select_related("school").in_bulk([pk for pk in walk.affected if pk > 0])
    for i, (pk, affected) in enumerate(sorted(walk.affected.items())):
        walk.progress("register", i, len(walk.affected))
        if pk in calendars:
            changed += rows.refold(calendars[pk], None if affected.everybody else sorted(affected.students))
            enqueue("rescore_calendar", str(pk), key=f"rescore:{delivery.pk}:{pk}")
    _sends, stated = stage.stated()
    delivery.complete_through = delivery.complete_through or stated
    delivery.state, delivery.problem = Import.State.APPLIED, ""
    delivery.applied_at, delivery.applied_by = walk.now, audit.actor_name(by)
    delivery.save()
    marks = sum(walk.marks_by_school.values())
    totals = Counter[str]()
    for (_file, kind), counts in walk.tally.items():
        totals[f"{kind} new"] += counts[NEW]
        totals[f"{kind} changed"] += counts[CHANGED]
    lines = [(f"import:{delivery.pk}", ", ".join(f"{n} {what}" for what, n in sorted(totals.items()) if n))]
    # A line a school, not one a student: a district sends a million marks a morning. The events themselves name
    # student, time and delivery, and are append-only.
    schools = walk.pks(School)
    lines += [
        (f"school:{schools[name]}", f"{n} marks by import:{delivery.pk}")
        for name, n in sorted(walk.marks_by_school.items()) if name in schools
    ]  # fmt: skip
    audit.record_many(by, "imported", lines)
    return Applied(delivery, marks, changed, len(walk.missing), tuple(sorted(calendars)))


def _schools_named(stage: Stage) -> set[str]:
    found = {s for (s,) in stage.db.execute("SELECT id FROM org WHERE kind = 'school'")}
    for kind in ("calendar_day", "class", "enrolment"):
        found.update(s for (s,) in stage.db.execute(f"SELECT DISTINCT school_id FROM {kind}"))  # noqa: S608
    found.update(stage.texts("school"))
    return found
