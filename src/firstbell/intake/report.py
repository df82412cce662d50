"""What a page or a file says of a delivery: named queries over its report."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from firstbell.access.models import Role, User
from firstbell.access.policy import DEEDS, Deed, assignments
from firstbell.intake.models import CodeMapping, Import, KeptRow, Measure, Source
from firstbell.intake.staging import waiting_rows
from firstbell.register.marks import Disciplinary, Expected, LegalStatus, Location, Mark, PartSession, Presence
from firstbell.register.models import School

KINDS = {
    "org": _("schools and districts"),
    "session": _("years and terms"),
    "calendar_day": _("calendar days"),
    "student": _("students"),
    "staff": _("staff"),
    "contact": _("contacts"),
    "contact_link": _("family ties"),
    "class": _("classes"),
    "enrolment": _("enrolments"),
    "roll": _("rolls taken"),
    "mark": _("marks"),
    "users": _("people (rows that can't be read)"),
    "manifest": _("lines of the manifest"),
    "roles": _("roles"),
    "userProfiles": _("profiles"),
    "demographics": _("birth dates and the like"),
    "courses": _("courses"),
}
STEPS = {"read": _("Reading the files"), "register": _("Drawing the register"), **KINDS}

DATE_ORDERS = {"dmy": _("day, month, year"), "mdy": _("month, day, year"), "ymd": _("year, month, day")}

#: What a page offers a code to mean, in the order it is mostly looked for.
MEANINGS: dict[str, tuple[Mark, object]] = {
    "E": (Mark(Presence.ABSENT, LegalStatus.AUTHORISED), _("absent, authorised (excused)")),
    "U": (Mark(Presence.ABSENT, LegalStatus.UNAUTHORISED), _("absent, unauthorised (unexcused)")),
    "N": (Mark(Presence.ABSENT, LegalStatus.PENDING), _("absent, no reason yet")),
    "T": (Mark(Presence.PRESENT, part=PartSession.LATE), _("present, came late")),
    "L": (Mark(Presence.PRESENT, part=PartSession.LEFT_EARLY), _("present, left early")),
    "H": (Mark(Presence.PRESENT, part=PartSession.PART), _("present for part of the session")),
    "t": (Mark(Presence.PRESENT, LegalStatus.AUTHORISED, PartSession.LATE), _("present, came late with leave")),
    "l": (
        Mark(Presence.PRESENT, LegalStatus.AUTHORISED, PartSession.LEFT_EARLY),
        _("present, left early with leave"),
    ),
    "P": (Mark(Presence.PRESENT), _("present")),
    "F": (
        Mark(Presence.PRESENT, location=Location.OFFSITE_APPROVED),
        _("present at an approved place away from school (a field trip)"),
    ),
    "R": (Mark(Presence.PRESENT, location=Location.REMOTE_SYNC), _("present, taught remotely")),
    "I": (
        Mark(Presence.PRESENT, disciplinary=Disciplinary.IN_SCHOOL_SUSPENSION),
        _("present, suspended within school"),
    ),
    "S": (
        Mark(Presence.ABSENT, LegalStatus.AUTHORISED, disciplinary=Disciplinary.OUT_OF_SCHOOL_SUSPENSION),
        _("absent, suspended or excluded by the school"),
    ),
    "X": (Mark(Presence.ABSENT, LegalStatus.EXEMPT), _("absent, exempt from the counts the law keeps")),
    "#": (Mark(Presence.UNKNOWN, expected=Expected.NOT_EXPECTED), _("not expected here that day")),
    "?": (Mark(Presence.UNKNOWN), _("not known (no roll was taken)")),
}


def deliveries_for(user: User) -> QuerySet[Import]:
    """The deliveries a user may handle: those of sources that send nothing of schools beyond the user's own."""
    held = assignments(user).filter(role__in=DEEDS[Deed.BRING_DATA]).values_list("school_id", flat=True)
    schools = list(held)
    if not schools:
        return Import.objects.none()
    found = Import.objects.select_related("source")
    if None in schools:
        return found
    beyond = School.objects.exclude(pk__in=schools)
    return found.exclude(source__schools__in=beyond)


def sources_for(user: User) -> QuerySet[Source]:
    held = list(assignments(user).filter(role=Role.DATA_STEWARD).values_list("school_id", flat=True))
    if not held:
        return Source.objects.none()
    if None in held:
        return Source.objects.all()
    return Source.objects.exclude(schools__in=School.objects.exclude(pk__in=held))


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source on the Intake page: what waits of it, and which codes nobody has mapped."""

    source: Source
    waiting: int
    unmapped: int


def source_lines(user: User) -> list[SourceLine]:
    lines = []
    for source in sources_for(user).order_by("name"):
        counts = waiting_rows(source).aggregate(n=Count("pk"), codes=Count("pk", filter=Q(why=KeptRow.Why.UNMAPPED)))
        lines.append(SourceLine(source, counts["n"], counts["codes"]))
    return lines


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One code of a source: how many rows wait for it, or what it was decided to mean."""

    code: str
    rows: int
    mapping: CodeMapping | None


def code_lines(source: Source) -> list[CodeLine]:
    """Unmapped codes first, the most met first; then the decided ones."""
    decided = {m.code: m for m in source.mappings.order_by("code")}
    waiting: dict[str, int] = dict(
        waiting_rows(source).filter(why=KeptRow.Why.UNMAPPED).values_list("value").annotate(n=Count("pk"))
    )
    shown = Measure.objects.filter(
        delivery__source=source,
        delivery__state__in=(Import.State.STAGED, Import.State.HELD),
        name__startswith="unmapped:",
    )
    for name, n in shown.values_list("name").annotate(n=Max("value")):
        code = name.removeprefix("unmapped:")
        waiting[code] = max(waiting.get(code, 0), int(n))
    lines = [
        CodeLine(code, n, decided.pop(code, None)) for code, n in sorted(waiting.items(), key=lambda c: (-c[1], c[0]))
    ]
    return lines + [CodeLine(m.code, 0, m) for m in decided.values()]


def harmless(cell: str) -> str:
    """A cell no spreadsheet takes for a formula (trust.md, abuse 35)."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else cell


def kept_rows_csv(delivery: Import) -> IO[bytes]:
    """Every row that did not get in, as a CSV file to send back: where, why, and the row as it came."""
    file = tempfile.SpooledTemporaryFile(max_size=2**22)  # noqa: SIM115  # the response closes it
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    out = csv.writer(text)
    out.writerow(["file", "line", "column", "value", "why", "reason", "row"])
    rows = delivery.kept_rows.filter(settled_by=None).order_by("file", "line", "pk")
    for kept in rows.iterator(chunk_size=5000):
        cells = (kept.file, str(kept.line), kept.column, kept.value, str(kept.get_why_display()), kept.reason, kept.row)
        out.writerow([harmless(c) for c in cells])
    text.flush()
    text.detach()
    file.seek(0)
    return file  # type: ignore[return-value]
