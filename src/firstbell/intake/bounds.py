"""Bounds: how far a delivery may lie from what is usual before a person must look. A passed bound holds it, whole.

A first delivery has no past: only the absolute bounds hold it then. A source may have bounds of its own
(`Source.bounds`, "vanished_students=0.2"). An invalid row is not an absent row: a student whose row was refused has not
vanished (studentinsights #2211, where 1,052 invalid rows hid active students).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from statistics import median

from django.db.models import Count, Q

from firstbell.intake.models import Import, Measure, Source
from firstbell.intake.walk import CHANGED, NEW, REFUSED, UNCHANGED, WAITED, WAITING, WHY, Walk
from firstbell.register.models import Enrolment, School
from firstbell.said import Said, said

#: Each bound's limit, by name. Shares are of 1; factors are of the source's last applied delivery.
DEFAULTS: dict[str, float] = {
    "rows_fewer": 0.5,  # a full file with less than half the rows it had
    "rows_more": 2.0,  # or more than twice
    "new_students": 0.5,  # more than half the students never seen before, where some were
    "schools_vanished": 0.0,  # any school of the source gone from its list of schools
    "vanished_students": 0.05,  # of one school's roll (issue 2)
    "absent_whole": 0.4,  # of the roll on a usual day: no district is absent so (facts: 5 to 10 % is usual)
    "absent_day": 0.8,  # of the roll on one day: more likely a closure, or a code that means something else
    "absent_more": 4.0,  # times the source's own usual absence
    "closed_days": 0.1,  # of a school's school days: a storm closes days, not weeks of them
    "refused_rows": 0.1,  # of all rows of a file
}
_ROSTER = {
    "org": said("schools and districts"),
    "student": said("students"),
    "class": said("classes"),
    "enrolment": said("enrolments"),
}
_A_NEW_SCHOOL = said("a new school")
#: what the sources call the lists of these
_LISTS = {
    "org": {"orgs", "EducationOrganization"}, "student": {"users", "Student"}, "class": {"classes", "MasterSchedule"},
    "enrolment": {"enrollments", "StudentEnrollment"},
}  # fmt: skip
#: below these numbers a share says nothing
_FEW_ROWS, _FEW_STUDENTS = 20, 20


@dataclass(frozen=True, slots=True)
class Passed:
    """A bound that was passed, by name, in words."""

    name: str
    words: Said


def limits(source: Source) -> dict[str, float]:
    found = dict(DEFAULTS)
    for part in source.bounds.replace("\n", ";").split(";"):
        name, _equals, value = part.partition("=")
        if name.strip() in found:
            found[name.strip()] = float(value)
    return found


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def passed(walk: Walk) -> list[Passed]:
    """Every bound this delivery passes. Also leaves the figures later deliveries are held against in `walk.measures`."""
    limit = limits(walk.source)
    past: dict[str, float] = {}
    if last := walk.source.imports.filter(state=Import.State.APPLIED, retry=False).order_by("-applied_at").first():
        past = dict(last.measures.values_list("name", "value"))
    return [
        *_rows(walk, limit, past),
        *_people(walk, limit),
        *_absences(walk, limit),
        *_closed(walk, limit),
        *_refused(walk, limit),
    ]


def _rows(walk: Walk, limit: dict[str, float], past: dict[str, float]) -> Iterator[Passed]:
    for kind in _ROSTER:
        files = walk.stage.files_of(kind)
        n = sum(c.total() for (file, k), c in walk.tally.items() if k == kind and file != WAITED)
        if not files or not n:
            before = past.get(f"rows:{kind}") or _last(walk.source, f"rows:{kind}")
            if before and _LISTS[kind] & walk.stage.empty_lists():
                words = {"kind": _ROSTER[kind], "n": 0, "before": int(before)}
                yield Passed(
                    "rows_fewer", said("Only %(n)s rows of %(kind)s; the last delivery had %(before)s.", **words)
                )
            continue
        walk.measures[f"rows:{kind}"] = n
        if not files <= walk.bulk:
            continue  # a list of changes may be of any length
        before = past.get(f"rows:{kind}") or _last(walk.source, f"rows:{kind}")
        if before and max(before, n) >= _FEW_ROWS:
            words = {"kind": _ROSTER[kind], "n": n, "before": int(before)}
            if n < before * limit["rows_fewer"]:
                yield Passed(
                    "rows_fewer", said("Only %(n)s rows of %(kind)s; the last delivery had %(before)s.", **words)
                )
            elif n > before * limit["rows_more"]:
                yield Passed("rows_more", said("%(n)s rows of %(kind)s; the last delivery had %(before)s.", **words))


def _last(source: Source, name: str) -> float | None:
    found = (
        Measure.objects.filter(delivery__source=source, delivery__state=Import.State.APPLIED, name=name)
        .order_by("-delivery__applied_at").values_list("value", flat=True).first()
    )  # fmt: skip
    return found


def _people(walk: Walk, limit: dict[str, float]) -> Iterator[Passed]:
    students = Counter[str]()
    for (_file, kind), counts in walk.tally.items():
        if kind == "student":
            students.update(counts)
    known = students[CHANGED] + students[UNCHANGED]
    everybody = known + students[NEW]
    if known and everybody >= _FEW_STUDENTS and students[NEW] / everybody > limit["new_students"]:
        yield Passed(
            "new_students",
            said(
                "%(share)s of the students (%(n)s) have never been sent before. Did the ids change?",
                share=percent(students[NEW] / everybody),
                n=students[NEW],
            ),
        )
    files = walk.stage.files_of("org")
    if files and files <= walk.bulk:
        named = {s for (s,) in walk.stage.db.execute("SELECT id FROM org")}
        gone = walk.source.schools.exclude(source_id__in=named)
        if gone and len(gone) > limit["schools_vanished"]:
            yield Passed(
                "schools_vanished",
                said("These schools are gone from the list: %(names)s.", names=", ".join(s.name for s in gone[:10])),
            )
    schools = dict(School.objects.values_list("source_id", "name"))
    for name, share in sorted(walk.measures.items()):
        if name.startswith("vanished:") and share > limit["vanished_students"]:
            school = name.removeprefix("vanished:")
            n = sum(1 for _s, pk in walk.missing if pk == walk.pks(School)[school])
            if n >= 2 or share > 0.5:
                yield Passed(
                    "vanished_students",
                    said(
                        "%(n)s students of %(school)s, %(share)s of its roll, are not in this full delivery.",
                        n=n,
                        school=schools.get(school, school),
                        share=percent(share),
                    ),
                )


def _roll_sizes(walk: Walk) -> dict[int, int]:
    """Students by school: on the register, or in this delivery, whichever is more."""
    sizes: dict[int, int] = dict(
        Enrolment.objects.system(WHY).filter(Q(ends=None) | Q(ends__gte=walk.now.date()))
        .values_list("school_id").annotate(n=Count("student_id", distinct=True))
    )  # fmt: skip
    pks = walk.pks(School)
    for school, n in walk.stage.db.execute(
        "SELECT school_id, count(DISTINCT person_id) FROM enrolment WHERE role = 'student' GROUP BY 1"
    ):
        if pk := pks.get(school):
            sizes[pk] = max(sizes.get(pk, 0), n)
    return sizes


def _absences(walk: Walk, limit: dict[str, float]) -> Iterator[Passed]:
    if not walk.absent_by_day:
        return
    sizes = _roll_sizes(walk)
    roll = sum(sizes.get(school, 0) for school in {s for s, _day in walk.absent_by_school_day})
    if roll < _FEW_STUDENTS:
        return
    usual = median(walk.absent_by_day.values()) / roll
    walk.measures["absent_share"] = usual
    if usual > limit["absent_whole"]:
        yield Passed(
            "absent_whole",
            said("On a usual day of this delivery %(share)s of the students are absent.", share=percent(usual)),
        )
    before = _past_absence(walk.source)
    if before is not None and usual > 0.1 and usual > before * limit["absent_more"]:
        yield Passed(
            "absent_more",
            said(
                "On a usual day of this delivery %(now)s of the students are absent; so far %(before)s were.",
                now=percent(usual),
                before=percent(before),
            ),
        )
    names = dict(School.objects.values_list("pk", "name"))
    told: set[int] = set()
    for (school, day), n in sorted(walk.absent_by_school_day.items(), key=lambda item: -item[1]):
        size = sizes.get(school, 0)
        if size >= _FEW_STUDENTS and n / size > limit["absent_day"] and school not in told:
            told.add(school)
            yield Passed(
                "absent_day",
                said("On %(day)s %(share)s of the students of %(school)s are absent. Was the school closed that day?", day=date.fromordinal(day).isoformat(), share=percent(n / size), school=names.get(school, _A_NEW_SCHOOL)),
            )  # fmt: skip


def _past_absence(source: Source) -> float | None:
    values = list(
        Measure.objects.filter(delivery__source=source, delivery__state=Import.State.APPLIED, name="absent_share")
        .order_by("-delivery__applied_at").values_list("value", flat=True)[:5]
    )  # fmt: skip
    return median(values) if values else None


def _closed(walk: Walk, limit: dict[str, float]) -> Iterator[Passed]:
    names = dict(School.objects.values_list("pk", "name"))
    for school, (closed, days) in sorted(walk.closed.items()):
        if closed > 3 and closed / days > limit["closed_days"]:
            yield Passed(
                "closed_days",
                said(
                    "%(n)s of the %(days)s school days of %(school)s would be none any more. Their marks would leave every count.",
                    n=closed, days=days, school=names.get(school, _A_NEW_SCHOOL),
                ),
            )  # fmt: skip


def _refused(walk: Walk, limit: dict[str, float]) -> Iterator[Passed]:
    rows, refused = Counter[str](), Counter[str](walk.stage.refused_by_file())
    rows.update(refused)
    for (file, _kind), counts in walk.tally.items():
        rows[file] += counts.total()
        refused[file] += counts[REFUSED]
    for file, n in sorted(refused.items()):
        if n >= 5 and n / rows[file] > limit["refused_rows"]:
            yield Passed(
                "refused_rows",
                said(
                    "%(n)s rows of %(file)s, %(share)s of it, can't be taken.",
                    n=n,
                    file=file,
                    share=percent(n / rows[file]),
                ),
            )


__all__ = ["DEFAULTS", "NEW", "WAITING", "Passed", "limits", "passed"]
