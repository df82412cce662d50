"""The steps of a walk over who and where: schools, years, calendars, people, sections, seats, and the rolls made of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import connection

from firstbell.intake.models import MissingStudent
from firstbell.intake.readers.records import (
    CalendarDayRecord,
    ClassRecord,
    ContactRecord,
    EnrolmentRecord,
    OrgRecord,
    SessionRecord,
    StaffRecord,
    Status,
    StudentRecord,
)
from firstbell.intake.staging import Staged
from firstbell.intake.walk import CHANGED, NEW, UNCHANGED, WHY, CalendarFacts, Walk, chunks, session_number
from firstbell.register.models import (
    SCHOOL_DAY_TYPES,
    Calendar,
    CalendarDay,
    Contact,
    ContactLink,
    District,
    Enrolment,
    School,
    Section,
    SectionEnrolment,
    Staff,
    Student,
    Term,
)
from firstbell.said import said

#: A student out of every class of a school for longer than this was not on its roll in between (issue 2).
GAP = timedelta(days=14)


# --- schools, years, calendars ---------------------------------------------------------------------------------------


def schools(walk: Walk) -> None:
    """Districts and schools, each school under the nearest district above it."""
    orgs = {g[-1].record.id: g[-1].record for groups in walk.stage.groups("org") for g in groups}
    districts = walk.pks(District)
    fallback = next(iter(districts), None)
    zones = dict(School.objects.values_list("source_id", "time_zone"))
    district_zones = dict(District.objects.values_list("source_id", "time_zone"))

    def above(org: OrgRecord) -> Iterator[OrgRecord]:
        seen = {org.id}
        while org.parent_id in orgs and org.parent_id not in seen:
            org = orgs[org.parent_id]
            seen.add(org.id)
            yield org

    def zone(org: OrgRecord, known: str | None) -> str | None:
        stated = next((o.time_zone for o in (org, *above(org)) if o.time_zone), "")
        if not stated:
            return known or district_zones.get(org.parent_id) or next(iter(district_zones.values()), None) or "UTC"
        try:
            ZoneInfo(stated)
        except (ZoneInfoNotFoundError, ValueError):
            return None
        return stated

    for groups in walk.stage.groups("org"):
        for group in groups:
            org = group[-1].record
            if org.kind != "school" and org.kind in ("district", "local"):
                _district(walk, org, zone(org, district_zones.get(org.id)) or "UTC", district_zones)

    def values(staged: Staged) -> dict[str, Any] | None:
        org: OrgRecord = staged.record
        if org.kind != "school":
            walk.count(staged, "org", walk.org_outcome.get(org.id, UNCHANGED))
            return None
        found = zone(org, zones.get(org.id))
        if found is None:
            walk.refuse(staged, "org", "time_zone", org.time_zone, said("is no IANA time zone (like America/Chicago)"))
            return None
        if found == "UTC" and not any(o.time_zone for o in (org, *above(org))) and org.id not in zones:
            walk.notice(
                staged.file,
                said(
                    "No time zone is stated for some schools; their clocks are taken as UTC. Set metadata.timeZone in orgs."
                ),
            )
        parent = next((o.id for o in above(org) if o.id in districts), None) or (
            org.parent_id if org.parent_id in districts else None
        )
        if parent is None:
            parent = fallback or next(iter(districts), None) or _district_of_source(walk, found, district_zones)
        return {
            "district_id": districts[parent], "name": org.name, "identifier": org.identifier, "time_zone": found,
        }  # fmt: skip

    walk.compare("org", School, values)


def _district(walk: Walk, org: OrgRecord, zone: str, zones: dict[str, str]) -> None:
    pks = walk.pks(District)
    had = District.objects.filter(source_id=org.id).values_list("name", "time_zone").first()
    zones[org.id] = zone
    if had == (org.name, zone):
        walk.org_outcome[org.id] = UNCHANGED
        return
    walk.org_outcome[org.id] = CHANGED if had else NEW
    walk.upsert(District, ["source_id"], ["source_id", "name", "time_zone"], [(org.id, org.name[:200], zone)])
    if org.id not in pks:
        pks[org.id] = District.objects.get(source_id=org.id).pk if walk.write else walk.provisional()


def _district_of_source(walk: Walk, zone: str, zones: dict[str, str]) -> str:
    """Schools sent without a district stand under one named for their source."""
    source_id = f"{walk.source.name}:district"
    pks = walk.pks(District)
    if source_id not in pks:
        if walk.write:
            pks[source_id] = District.objects.create(source_id=source_id, name=walk.source.name, time_zone=zone).pk
        else:
            pks[source_id] = walk.provisional()
        zones[source_id] = zone
    return source_id


def terms(walk: Walk) -> None:
    """School years and the terms within them."""

    def values(staged: Staged) -> dict[str, Any] | None:
        session: SessionRecord = staged.record
        year = walk.year(session.school_year, session.starts, session.ends)
        return {
            "school_year_id": year, "title": session.title[:120], "kind": session.kind[:30],
            "starts": session.starts, "ends": session.ends,
        }  # fmt: skip

    # Years first, so that a term never makes a year narrower than its own school year says.
    for groups in walk.stage.groups("session"):
        for group in groups:
            record: SessionRecord = group[-1].record
            if record.kind == "schoolYear":
                walk.year(record.school_year, record.starts, record.ends)
    walk.compare("session", Term, values)


def calendars(walk: Walk) -> None:
    """The days of each school's year, and how a day is divided into sessions."""
    pks = walk.pks(School)
    done, total = 0, walk.stage.count("calendar_day")
    by_calendar: dict[int, list[tuple[Staged, CalendarDayRecord]]] = defaultdict(list)
    facts: dict[int, CalendarFacts] = {}
    spans: dict[int, tuple[date, date]] = {}
    for groups in walk.stage.groups("calendar_day"):
        for group in groups:
            staged = walk.one(group, "calendar_day")
            record: CalendarDayRecord = staged.record
            school = pks.get(record.school_id)
            if school is None:
                walk.wait(staged, "calendar_day", "school_id", record.school_id, said("This school is not known yet."))
                continue
            ends_in = walk.year_of(record.date)
            low, high = spans.get(ends_in, (record.date, record.date))
            spans[ends_in] = (min(low, record.date), max(high, record.date))
            known = walk.years().get(ends_in)
            if known is None:
                walk.year(ends_in, record.date, record.date)
            calendar = walk.calendar(school, ends_in)
            facts[calendar.pk] = calendar
            by_calendar[calendar.pk].append((staged, record))
    for ends_in, (low, high) in spans.items():
        walk.year(ends_in, low, high)
    for pk, days in by_calendar.items():
        walk.progress("calendar_day", done, total)
        done += len(days)
        _days(walk, facts[pk], days)


def _days(walk: Walk, calendar: CalendarFacts, days: list[tuple[Staged, CalendarDayRecord]]) -> None:
    had = {
        d: (kind, note)
        for d, kind, note in CalendarDay.objects.filter(calendar_id=calendar.pk).values_list("date", "day_type", "note")
    }
    write = []
    columns_change, closed = False, 0
    school_days_before = sum(kind in {str(t) for t in SCHOOL_DAY_TYPES} for kind, _note in had.values())
    school_day = {str(t) for t in SCHOOL_DAY_TYPES}
    for staged, record in days:
        before = had.get(record.date)
        after = (record.day_type, record.note[:200])
        walk.count(staged, "calendar_day", UNCHANGED if before == after else CHANGED if before else NEW)
        if before != after:
            write.append((calendar.pk, record.date, *after))
            was, is_ = before is not None and before[0] in school_day, record.day_type in school_day
            columns_change |= was != is_
            closed += was and not is_
            had[record.date] = after
    walk.upsert(CalendarDay, ["calendar_id", "date"], ["calendar_id", "date", "day_type", "note"], write)
    if closed:
        walk.closed[calendar.school_pk] = (closed, school_days_before)
    calendar.days = frozenset(d for d, (kind, _note) in had.items() if kind in school_day)
    stated = max((r.sessions for _s, r in days if r.sessions), default=None)
    sessions = stated or calendar.sessions
    full = [r for _s, r in days if len(r.start_times) == sessions or len(r.minutes) == sessions]
    starts = _usual(" ".join(r.start_times) for r in full if len(r.start_times) == sessions)
    minutes = _usual(" ".join(map(str, r.minutes)) for r in full if len(r.minutes) == sessions)
    stored = (
        Calendar.objects.filter(pk=calendar.pk).values("sessions", "session_starts", "session_minutes").first() or {}
    )
    wanted = {"sessions": sessions, "session_starts": starts, "session_minutes": minutes}
    change = {name: value for name, value in wanted.items() if value and stored.get(name) != value}
    if change and walk.write:
        Calendar.objects.filter(pk=calendar.pk).update(**change)
    if columns_change or ("sessions" in change and stored):
        walk.affected[calendar.pk].everybody = True
    calendar.sessions = sessions
    if minutes:
        calendar.minutes = tuple(map(int, minutes.split()))


def _usual(texts: Iterable[str]) -> str:
    """The commonest; of equals, the first in the alphabet, so that the order of rows doesn't matter."""
    counted = Counter(t for t in texts if t)
    return min(counted, key=lambda t: (-counted[t], t))[:200] if counted else ""


# --- people ----------------------------------------------------------------------------------------------------------


def students(walk: Walk) -> None:
    def values(staged: Staged) -> dict[str, Any]:
        record: StudentRecord = staged.record
        return {
            "number": record.number, "given_name": record.given_name, "family_name": record.family_name,
            "preferred_name": record.preferred_name, "birth_date": record.birth_date,
            "home_language": record.language, "grade": record.grade, "missing_since": None,
            "withdrawn_on": withdrawn.get(record.id) or walk.now.date() if record.status is Status.GONE else None,
        }  # fmt: skip

    withdrawn = dict(Student.objects.system(WHY).exclude(withdrawn_on=None).values_list("source_id", "withdrawn_on"))
    walk.compare("student", Student, values)


def staff(walk: Walk) -> None:
    def values(staged: Staged) -> dict[str, Any]:
        record: StaffRecord = staged.record
        return {"given_name": record.given_name, "family_name": record.family_name, "email": record.email}

    walk.compare("staff", Staff, values)


def contacts(walk: Walk) -> None:
    def values(staged: Staged) -> dict[str, Any]:
        record: ContactRecord = staged.record
        return {
            "given_name": record.given_name, "family_name": record.family_name, "phone": record.phone,
            "email": record.email, "address": record.address, "language": record.language,
        }  # fmt: skip

    walk.compare("contact", Contact, values, unsaid=("phone", "email", "address", "language"))
    _links(walk)


def _links(walk: Walk) -> None:
    students, contacts = walk.pks(Student), walk.pks(Contact)
    done, total = 0, walk.stage.count("contact_link")
    for groups in walk.stage.groups("contact_link"):
        walk.progress("contact_link", done, total)
        done += sum(map(len, groups))
        wanted: dict[tuple[int, int], tuple[Staged, str, bool]] = {}
        for group in groups:
            staged = group[0]
            # Several rows may speak of one pair (a list of guardians, a no-contact list): the strictest stands.
            relation = next((s.record.relation for s in group if s.record.relation), "")[:60]
            no_contact = any(s.record.no_contact for s in group)
            for other in group[1:]:
                walk.count(other, "contact_link", UNCHANGED)
            student, contact = students.get(staged.record.student_id), contacts.get(staged.record.contact_id)
            if student is None:
                walk.wait(
                    staged,
                    "contact_link",
                    "student_id",
                    staged.record.student_id,
                    said("This student is not known yet."),
                )
            elif contact is None:
                walk.wait(
                    staged,
                    "contact_link",
                    "contact_id",
                    staged.record.contact_id,
                    said("This contact is not known yet."),
                )
            else:
                wanted[student, contact] = (staged, relation, no_contact)
        had: dict[tuple[int, int], tuple[str, bool]] = {}
        for some in chunks(sorted({s for s, _c in wanted if s > 0})):
            for s, c, relation, no_contact in (
                ContactLink.objects.system(WHY)
                .filter(student_id__in=some)
                .values_list("student_id", "contact_id", "relation", "no_contact")
            ):
                had[s, c] = (relation, no_contact)
        write = []
        for pair, (staged, relation, no_contact) in wanted.items():
            before = had.get(pair)
            # A no-contact flag is lifted by a person, never by a file in which the remark is missing.
            after = (relation or (before[0] if before else ""), no_contact or bool(before and before[1]))
            walk.count(staged, "contact_link", UNCHANGED if before == after else CHANGED if before else NEW)
            if before != after:
                write.append((*pair, *after))
        walk.upsert(
            ContactLink, ["student_id", "contact_id"], ["student_id", "contact_id", "relation", "no_contact"], write
        )


# --- sections and seats ----------------------------------------------------------------------------------------------


def sections(walk: Walk) -> None:
    """Classes as taught. A section belongs to the calendar of its school and its terms' year."""
    schools = walk.pks(School)
    known_terms = {
        t[0]: t[1:]
        for t in Term.objects.values_list("source_id", "starts", "ends", "school_year__ends_in")
    }  # fmt: skip
    for groups in walk.stage.groups("session"):
        for group in groups:
            record = group[0].record
            known_terms.setdefault(record.id, (record.starts, record.ends, record.school_year))

    def values(staged: Staged) -> dict[str, Any] | None:
        record: ClassRecord = staged.record
        school = schools.get(record.school_id)
        if school is None:
            walk.wait(staged, "class", "school_id", record.school_id, said("This school is not known yet."))
            return None
        spans = [known_terms.get(t) for t in record.term_ids]
        if None in spans:
            absent = record.term_ids[spans.index(None)]
            walk.wait(staged, "class", "term_ids", absent, said("This term is not known yet."))
            return None
        found = [s for s in spans if s is not None]
        if found:
            ends_in = max(s[2] for s in found)
            starts, ends = min(s[0] for s in found), max(s[1] for s in found)
        else:
            ends_in = walk.year_of(walk.now.date())
            year = walk.years().get(ends_in)
            if year is None:
                walk.wait(staged, "class", "term_ids", "", said("It names no term, and no school year is known yet."))
                return None
            starts, ends = year.starts, year.ends
        calendar = walk.calendar(school, ends_in)
        numbers = [session_number(p, calendar.sessions) for p in record.periods]
        if None in numbers:
            walk.notice(
                staged.file,
                said("Some classes name a period that isn't a number; they are taken to meet all day."),
            )
            numbers = []
        return {
            "calendar_id": calendar.pk, "title": record.title[:200], "kind": record.kind[:20],
            "sessions": " ".join(str(n) for n in sorted({n for n in numbers if n is not None})),
            "starts": starts, "ends": ends, "grades": " ".join(record.grades)[:60],
            "withdrawn": record.status is Status.GONE,
        }  # fmt: skip

    walk.compare("class", Section, values)


@dataclass(frozen=True, slots=True)
class _Section:
    pk: int
    school_pk: int
    school: str
    calendar_pk: int
    starts: date
    ends: date


def _section_facts(walk: Walk) -> dict[str, _Section]:
    """Every section by source id. Those only staged (in a preview) are made of what the walk knows."""
    found = {
        s[0]: _Section(*s[1:])
        for s in Section.objects.values_list(
            "source_id", "pk", "calendar__school_id", "calendar__school__source_id", "calendar_id", "starts", "ends"
        )
        if s[5] is not None and s[6] is not None
    }
    if not walk.write:
        schools = walk.pks(School)
        for groups in walk.stage.groups("class"):
            for group in groups:
                record: ClassRecord = group[0].record
                pk = walk.pks(Section).get(record.id)
                if pk is not None and record.id not in found and record.school_id in schools:
                    found[record.id] = _Section(pk, schools[record.school_id], record.school_id, 0, date.min, date.max)
    return found


def seats(walk: Walk) -> None:
    """Who sits in and who teaches which section; then the rolls that follow."""
    sections = _section_facts(walk)
    students, staff, schools = walk.pks(Student), walk.pks(Staff), walk.pks(School)
    refused = _ids_in_refused_rows(walk)
    whole = walk.bulk & walk.stage.files_of("enrolment")
    covered_schools: set[int] = set()
    seen_sections: set[int] = set()
    touched: dict[int, set[int]] = defaultdict(set)  # school → students whose roll must be made anew
    direct: list[tuple[Staged, int, int]] = []
    done, total = 0, walk.stage.count("enrolment")
    for batch in _by_class(walk):
        walk.progress("enrolment", done, total)
        done += sum(map(len, batch))
        wanted: dict[tuple[int, int], dict[date, tuple[Staged, date | None]]] = {}
        teaching: dict[tuple[int, int], tuple[Staged, bool]] = {}
        batch_sections: dict[int, _Section] = {}
        for group in batch:
            record: EnrolmentRecord = group[0].record
            school = schools.get(record.school_id)
            section = sections.get(record.class_id) if record.class_id else None
            person = (students if record.role == "student" else staff).get(record.person_id)
            problem = None
            if school is None and record.school_id:
                problem = ("school_id", record.school_id, said("This school is not known yet."))
            elif record.class_id and section is None:
                problem = ("class_id", record.class_id, said("This class is not known yet."))
            elif person is None:
                problem = ("person_id", record.person_id, said("This person is not known yet."))
            elif section is not None and school is not None and section.school_pk != school:
                for staged in group:
                    walk.refuse(
                        staged, "enrolment", "school_id", record.school_id,
                        said("The class is at another school (%(school)s).", school=section.school),
                    )  # fmt: skip
                continue
            if problem:
                for staged in group:
                    walk.wait(staged, "enrolment", *problem)
                if section is not None:
                    seen_sections.add(section.pk)
                continue
            assert person is not None
            if section is None:
                for staged in group:
                    if record.role == "student" and school is not None:
                        direct.append((staged, person, school))
                    else:
                        walk.count(staged, "enrolment", UNCHANGED)
                continue
            batch_sections[section.pk] = section
            seen_sections.add(section.pk)
            if group[0].file in whole:
                covered_schools.add(section.school_pk)
            if record.role != "student":
                teaching[section.pk, person] = (group[0], group[0].record.status is Status.ACTIVE)
                for other in group[1:]:
                    walk.count(other, "enrolment", UNCHANGED)
                continue
            spans = wanted.setdefault((section.pk, person), {})
            for staged in group:
                starts = staged.record.starts or section.starts
                ends = staged.record.ends or section.ends
                if staged.record.status is Status.GONE:
                    ends = min(ends, _last_day(walk, staged.record, section.school_pk))
                if starts in spans:
                    walk.count(staged, "enrolment", UNCHANGED)
                    ends = max(ends, spans[starts][1] or ends)
                    spans[starts] = (spans[starts][0], ends)
                else:
                    spans[starts] = (staged, ends)
        _write_seats(walk, batch_sections, wanted, whole, refused, touched)
        _write_teachers(walk, teaching, batch_sections if whole else {})
    if whole:
        _end_unnamed_sections(walk, sections.values(), covered_schools, seen_sections, touched)
    _direct(walk, direct, touched)
    if walk.write:
        for school, who in touched.items():
            _rolls_from_seats(walk, school, sorted(who))


def _by_class(walk: Walk) -> Iterator[list[list[Staged]]]:
    """Groups of enrolments with whole classes together."""
    batch: list[list[Staged]] = []
    for groups in walk.stage.groups("enrolment"):
        for group in groups:
            if len(batch) >= 4000 and group[0].record.class_id != batch[-1][0].record.class_id:
                yield batch
                batch = []
            batch.append(group)
    if batch:
        yield batch


def _ids_in_refused_rows(walk: Walk) -> frozenset[str]:
    """Every cell of every refused row: an invalid row is not an absent row, so nobody named in one is missing."""
    found: set[str] = set()
    for _file, _line, _column, value, _reason, row in walk.stage.refusals():
        found.add(value)
        for cell in row.replace(";", ",").replace("\t", ",").split(","):
            found.add(cell.strip().strip('"'))
        if len(found) > 5_000_000:  # so many that the refused-share bound holds the delivery anyway
            break
    found.discard("")
    return frozenset(found)


def _write_seats(
    walk: Walk, sections: dict[int, _Section], wanted: dict[tuple[int, int], dict[date, tuple[Staged, date | None]]],
    whole: set[str], refused: frozenset[str], touched: dict[int, set[int]],
) -> None:  # fmt: skip
    had: dict[tuple[int, int], dict[date, tuple[int, date | None]]] = defaultdict(dict)
    for some in chunks([pk for pk in sections if pk > 0]):
        for pk, section, student, starts, ends in (
            SectionEnrolment.objects.system(WHY)
            .filter(section_id__in=some)
            .values_list("pk", "section_id", "student_id", "starts", "ends")
        ):
            had[section, student][starts] = (pk, ends)
    names = {pk: source_id for source_id, pk in walk.pks(Student).items()} if refused and whole else {}
    insert: list[tuple[int, int, date, date | None]] = []
    update: list[tuple[date, date | None, int]] = []
    for pair, spans in wanted.items():
        school = sections[pair[0]].school_pk
        before = had.pop(pair, {})
        new = {s: v for s, v in spans.items() if s not in before}
        old = {s: v for s, v in before.items() if s not in spans}
        for starts, (staged, ends) in spans.items():
            if starts not in before:
                continue
            same = before[starts][1] == ends
            walk.count(staged, "enrolment", UNCHANGED if same else CHANGED)
            if not same:
                update.append((starts, ends, before[starts][0]))
                touched[school].add(pair[1])
        if len(new) == 1 and len(old) == 1:  # the day it begins was put right: the seat stays the same seat
            (starts, (staged, ends)), (_before, (pk, _ends)) = *new.items(), *old.items()
            walk.count(staged, "enrolment", CHANGED)
            update.append((starts, ends, pk))
            touched[school].add(pair[1])
            continue
        for starts, (staged, ends) in new.items():
            walk.count(staged, "enrolment", NEW)
            insert.append((*pair, starts, ends))
            touched[school].add(pair[1])
        if old and whole:
            _end(walk, school, pair[1], old, update, touched)
    if whole:
        for (section, student), spans in had.items():
            if names.get(student) not in refused:
                _end(walk, sections[section].school_pk, student, spans, update, touched)
    walk.upsert(SectionEnrolment, ["section_id", "student_id", "starts"],
                ["section_id", "student_id", "starts", "ends"], insert)  # fmt: skip
    if update and walk.write:
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE register_sectionenrolment SET starts = %s, ends = %s WHERE id = %s", update)


def _last_day(walk: Walk, record: EnrolmentRecord, school: int) -> date:
    """The last day of an enrolment that was deleted: the day the source says it was, at most the day before it reached us."""
    yesterday = walk.yesterday(walk.zone_of(school))
    return yesterday if record.gone_on is None else min(record.gone_on, yesterday)


def _end(
    walk: Walk, school: int, student: int, spans: dict[date, tuple[int, date | None]],
    update: list[tuple[date, date | None, int]], touched: dict[int, set[int]],
) -> None:  # fmt: skip
    """Seats a full file no longer has: they end yesterday, and stay on record."""
    last = walk.yesterday(walk.zone_of(school))
    for starts, (pk, ends) in spans.items():
        if ends is None or ends > last:
            update.append((starts, max(last, starts - timedelta(days=1)), pk))
            touched[school].add(student)
            walk.unseated.add((student, school))
            walk.measures["seats_ended"] = walk.measures.get("seats_ended", 0) + 1


def _end_unnamed_sections(
    walk: Walk, sections: Iterable[_Section], schools: set[int], seen: set[int], touched: dict[int, set[int]]
) -> None:
    """Classes of a covered school that a full enrolment file has no row of: whoever sat there sits there no more."""
    gone = [s for s in sections if s.school_pk in schools and s.pk not in seen and s.pk > 0]
    for some in chunks(gone, 500):
        by_pk = {s.pk: s for s in some}
        update: list[tuple[date, date | None, int]] = []
        for pk, section, student, starts, ends in (
            SectionEnrolment.objects.system(WHY)
            .filter(section_id__in=list(by_pk))
            .values_list("pk", "section_id", "student_id", "starts", "ends")
        ):
            _end(walk, by_pk[section].school_pk, student, {starts: (pk, ends)}, update, touched)
        if update and walk.write:
            with connection.cursor() as cursor:
                cursor.executemany("UPDATE register_sectionenrolment SET starts = %s, ends = %s WHERE id = %s", update)


def _write_teachers(
    walk: Walk, teaching: dict[tuple[int, int], tuple[Staged, bool]], whole: dict[int, _Section]
) -> None:
    through = Section.teachers.through
    had: set[tuple[int, int]] = set()
    for some in chunks(sorted({s for s, _t in teaching if s > 0} | {s for s in whole if s > 0})):
        had.update(through.objects.filter(section_id__in=some).values_list("section_id", "staff_id"))
    new, gone = [], []
    for pair, (staged, active) in teaching.items():
        if active:
            walk.count(staged, "enrolment", UNCHANGED if pair in had else NEW)
            if pair not in had:
                new.append(pair)
        else:
            walk.count(staged, "enrolment", CHANGED if pair in had else UNCHANGED)
            if pair in had:
                gone.append(pair)
    gone += [pair for pair in had if pair[0] in whole and pair not in teaching]
    if walk.write:
        through.objects.bulk_create(
            [through(section_id=s, staff_id=t) for s, t in new], ignore_conflicts=True, batch_size=2000
        )
        for section, person in gone:
            through.objects.filter(section_id=section, staff_id=person).delete()


# --- rolls -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stay:
    """A student's stay on a school's roll."""

    starts: date
    ends: date
    grade: str


def stays(spans: Iterable[tuple[date, date, bool, str]], grade: str) -> list[Stay]:
    """The union of class spans (starts, ends, homeroom, grades of the class), parted where a gap is over a fortnight.

    A homeroom says best how long somebody is at a school, so where there is one only homerooms count. The grade is
    the one all classes for a single grade agree on, else the student's own.
    """
    spans = sorted(s for s in spans if s[1] >= s[0])
    homerooms = [s for s in spans if s[2]]
    found: list[list[Any]] = []
    for starts, ends, _homeroom, grades in homerooms or spans:
        if found and starts - found[-1][1] <= GAP:
            found[-1][1] = max(found[-1][1], ends)
            found[-1][2].append(grades)
        else:
            found.append([starts, ends, [grades]])
    result = []
    for starts, ends, grades in found:
        single = Counter(g for g in grades if g and " " not in g)
        best = min(single, key=lambda g: (-single[g], g)) if single else grade
        result.append(Stay(starts, ends, best))
    return result


def _rolls_from_seats(walk: Walk, school: int, who: list[int]) -> None:
    """Enrolments of these students at a school, made anew from all their seats there."""
    for some in chunks(who, 500):
        spans: dict[int, list[tuple[date, date, bool, str]]] = defaultdict(list)
        for student, starts, ends, kind, grades, last in (
            SectionEnrolment.objects.system(WHY)
            .filter(student_id__in=some, section__calendar__school_id=school)
            .values_list("student_id", "starts", "ends", "section__kind", "section__grades", "section__ends")
        ):
            spans[student].append((starts, ends or last or date.max, kind == "homeroom", grades))
        own_grade = dict(Student.objects.system(WHY).filter(pk__in=some).values_list("pk", "grade"))
        had: dict[int, list[tuple[int, date, date | None, str]]] = defaultdict(list)
        for pk, student, starts, ends, grade in (
            Enrolment.objects.system(WHY).filter(student_id__in=some, school_id=school)
            .order_by("starts").values_list("pk", "student_id", "starts", "ends", "grade")
        ):  # fmt: skip
            had[student].append((pk, starts, ends, grade))
        for student in some:
            wanted = stays(spans[student], own_grade.get(student, ""))
            _settle_stays(walk, school, student, wanted, had[student])


def _settle_stays(
    walk: Walk, school: int, student: int, wanted: list[Stay], had: list[tuple[int, date, date | None, str]]
) -> None:
    left = list(had)
    rows = Enrolment.objects.system(WHY)
    changed = False
    for stay in wanted:
        match = next((h for h in left if h[1] == stay.starts), None) or next(
            (h for h in left if h[1] <= stay.ends and (h[2] is None or h[2] >= stay.starts)), None
        )
        if match is None:
            walk.new_rolls.append(
                Enrolment(
                    student_id=student, school_id=school, starts=stay.starts, ends=stay.ends, grade=stay.grade[:10]
                )
            )
            changed = True
            continue
        left.remove(match)
        if match[1:] != (stay.starts, stay.ends, stay.grade):
            walk.changed_rolls.append((match[0], stay))
            changed = True
    for pk, _starts, _ends, _grade in left:  # two stays that turned out to be one, or one that was never a day long
        rows.filter(pk=pk).delete()
        changed = True
    if changed:
        walk.touch_school(school, student)


def _direct(walk: Walk, rows: list[tuple[Staged, int, int]], touched: dict[int, set[int]]) -> None:
    """Enrolments sent as such (or inferred): one a student, school and first day; an inferred one only ever widens."""
    had: dict[tuple[int, int], list[list[Any]]] = defaultdict(list)
    for some in chunks(sorted({student for _s, student, _school in rows if student > 0})):
        for pk, student, school, starts, ends, grade, primary, inferred in (
            Enrolment.objects.system(WHY)
            .filter(student_id__in=some)
            .values_list("pk", "student_id", "school_id", "starts", "ends", "grade", "primary", "inferred")
        ):
            had[student, school].append([pk, starts, ends, grade, primary, inferred])
    for staged, student, school in rows:
        record: EnrolmentRecord = staged.record
        if record.starts is None:
            walk.refuse(staged, "enrolment", "starts", "", said("It names no class and no first day."))
            continue
        ends = record.ends
        if record.status is Status.GONE:
            last = _last_day(walk, record, school)
            ends = min(ends or last, last)
        here = had[student, school]
        if record.inferred:
            match = next(
                (h for h in here if h[1] <= (ends or date.max) and (h[2] is None or h[2] >= record.starts)), None
            )
            if match is not None and not match[5]:
                walk.count(staged, "enrolment", UNCHANGED)  # the roll itself is known: nothing is inferred over it
                continue
            if match is not None:
                wanted = [
                    min(match[1], record.starts), None if ends is None or match[2] is None else max(ends, match[2]),
                    record.grade or match[3], record.primary, True,
                ]  # fmt: skip
            else:
                wanted = [record.starts, ends, record.grade, record.primary, True]
        else:
            match = next((h for h in here if h[1] == record.starts), None) or next((h for h in here if h[5]), None)
            wanted = [record.starts, ends, record.grade, record.primary, False]
        if match is not None and match[1:] == wanted:
            walk.count(staged, "enrolment", UNCHANGED)
            continue
        walk.count(staged, "enrolment", CHANGED if match else NEW)
        values = dict(zip(("starts", "ends", "grade", "primary", "inferred"), wanted, strict=True))
        if walk.write:
            if match is not None:
                Enrolment.objects.system(WHY).filter(pk=match[0]).update(**values)
                match[1:] = wanted
            else:
                pk = Enrolment.objects.system(WHY).create(student_id=student, school_id=school, **values).pk
                here.append([pk, *wanted])
            walk.touch_school(school, student)
        elif match is None:
            here.append([walk.provisional(), *wanted])


def write_rolls(walk: Walk) -> None:
    """The enrolments `seats` found new or changed, written together."""
    Enrolment.objects.system(WHY).bulk_create(walk.new_rolls, batch_size=1000, ignore_conflicts=False)
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE register_enrolment SET starts = %s, ends = %s, grade = %s WHERE id = %s",
            [(stay.starts, stay.ends, stay.grade[:10], pk) for pk, stay in walk.changed_rolls],
        )


def missing(walk: Walk) -> None:
    """Students of the covered schools whom a full list of people no longer names: kept, and listed."""
    files = walk.stage.files_of("student")
    if not files or not files <= walk.bulk:
        return
    named: set[str] = set()
    covered: set[str] = set()
    for groups in walk.stage.groups("student"):
        for group in groups:
            named.add(group[0].record.id)
            for staged in group:
                covered.update(staged.record.school_ids)
    covered.update(s for (s,) in walk.stage.db.execute("SELECT DISTINCT school_id FROM enrolment WHERE kept IS NULL"))
    refused = _ids_in_refused_rows(walk)
    schools = walk.pks(School)
    for source_id in sorted(covered):
        school = schools.get(source_id)
        if school is None or school < 0:
            continue
        on_roll = _on_roll(walk, school)
        gone = [pk for pk, name in on_roll.items() if name not in named and name not in refused]
        _note_missing(walk, source_id, school, gone, len(on_roll))


def _on_roll(walk: Walk, school: int) -> dict[int, str]:
    """Who was on a school's roll yesterday, or is on it without an end: source ids by primary key."""
    last = walk.yesterday(walk.zone_of(school))
    here = Student.objects.system(WHY).filter(enrolments__school_id=school).values_list("pk", "source_id")
    return {
        **dict(here.filter(enrolments__starts__lte=last, enrolments__ends__gte=last)),
        **dict(here.filter(enrolments__ends=None)),
    }


def _note_missing(walk: Walk, source_id: str, school: int, gone: list[int], roll: int) -> None:
    walk.missing += [(pk, school) for pk in gone]
    if roll:
        name = f"vanished:{source_id}"
        walk.measures[name] = walk.measures.get(name, 0.0) + len(gone) / roll


def unseated(walk: Walk) -> None:
    """Students who lost every seat at a school because a full list of enrolments doesn't name them there: told like the missing.

    Who only changed classes is named; so is who was refused.
    """
    students, schools = walk.pks(Student), walk.pks(School)
    seated = {
        (students[person], schools[school])
        for person, school in walk.stage.db.execute("SELECT DISTINCT person_id, school_id FROM enrolment WHERE role = 'student'")
        if person in students and school in schools
    }  # fmt: skip
    by_school: dict[int, list[int]] = defaultdict(list)
    for student, school in sorted(walk.unseated - seated - set(walk.missing)):
        by_school[school].append(student)
    names = {pk: source_id for source_id, pk in schools.items()}
    for school, gone in by_school.items():
        on_roll = _on_roll(walk, school)
        _note_missing(walk, names[school], school, [pk for pk in gone if pk in on_roll], len(on_roll))


def write_missing(walk: Walk) -> None:
    MissingStudent.objects.bulk_create(
        [MissingStudent(delivery=walk.delivery, student_id=s, school_id=school) for s, school in walk.missing],
        batch_size=2000,
    )
    for some in chunks(sorted({s for s, _school in walk.missing})):
        Student.objects.system(WHY).filter(pk__in=some, missing_since=None).update(missing_since=walk.now.date())
