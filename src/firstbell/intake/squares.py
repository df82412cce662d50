"""The steps of a walk over what happened: which rolls were taken, and every mark, school by school in columns."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import date
from itertools import chain, islice
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from firstbell import clock
from firstbell.intake.mapping import part_of_day
from firstbell.intake.models import KeptRow, Source
from firstbell.intake.readers.records import RollRecord
from firstbell.intake.reading import known_students
from firstbell.intake.staging import MARK_FIELDS, UNREAD, UNSAFE, Staged, csv_line, waiting_line
from firstbell.intake.walk import (
    NEW,
    REFUSED,
    UNCHANGED,
    WAITED,
    WAITING,
    WHY,
    CalendarFacts,
    Walk,
    chunks,
    session_number,
)
from firstbell.register.actions import code_print, fingerprints, meaning_of, text_print
from firstbell.register.marks import ABSENT_LETTERS, Mark
from firstbell.register.models import (
    SCHOOL_DAY_TYPES,
    Calendar,
    CalendarDay,
    Enrolment,
    MarkEvent,
    Meaning,
    RollState,
    School,
    Section,
    SectionEnrolment,
    Student,
)
from firstbell.said import said, said_n

_EPOCH = date(1970, 1, 1).toordinal()
#: a clock may run ahead by so many seconds, or be of another zone
_AHEAD = 24 * 3600
_WEEKEND = {5: said("Saturdays"), 6: said("Sundays")}
_WEEKDAYS = said("weekdays without school")


def school_days(walk: Walk, calendar: CalendarFacts) -> frozenset[date]:
    if calendar.days is None:
        calendar.days = frozenset(
            CalendarDay.objects.filter(calendar_id=calendar.pk, day_type__in=SCHOOL_DAY_TYPES)
            .values_list("date", flat=True)
        )  # fmt: skip
    return calendar.days


# --- rolls -----------------------------------------------------------------------------------------------------------


def rolls(walk: Walk) -> None:
    """Which rolls were taken, as the source says. The same fact twice is one."""
    schools = walk.pks(School)
    sections = {
        s[0]: s[1:]
        for s in Section.objects.values_list(
            "source_id", "pk", "calendar_id", "calendar__school_id", "calendar__school_year__ends_in"
        )
    }
    staged_sections = walk.pks(Section)
    done, total = 0, walk.stage.count("roll")
    for groups in walk.stage.groups("roll"):
        walk.progress("roll", done, total)
        done += sum(map(len, groups))
        wanted: dict[str, tuple[Staged, tuple[Any, ...], int, int | None]] = {}
        for group in groups:
            staged = group[0]
            for other in group[1:]:
                walk.count(other, "roll", UNCHANGED)
            record: RollRecord = staged.record
            school = schools.get(record.school_id)
            if school is None:
                walk.wait(staged, "roll", "school_id", record.school_id, said("This school is not known yet."))
                continue
            section = sections.get(record.class_id)
            if record.class_id and section is None and record.class_id not in staged_sections:
                walk.wait(staged, "roll", "class_id", record.class_id, said("This class is not known yet."))
                continue
            calendar = _calendar_on(walk, school, record.date)
            if calendar is None:
                walk.wait(
                    staged, "roll", "date", str(record.date), said("No calendar of this school has this day yet.")
                )
                continue
            session = session_number(record.session, calendar.sessions) if record.session else None
            if record.session and (session is None or session >= calendar.sessions):
                walk.wait(
                    staged, "roll", "session", record.session,
                    said("The calendar has %(n)s sessions a day.", n=calendar.sessions),
                )  # fmt: skip
                continue
            at = record.recorded_at
            if at is None:
                at = clock.end_of_day(record.date, walk.zone_of(school))
            key = hashlib.blake2b(
                "\x1f".join(
                    map(
                        str,
                        (walk.source.name, record.school_id, record.class_id, record.date, session, record.taken, at),
                    )
                ).encode(),
                digest_size=24,
            ).hexdigest()
            if key in wanted:
                walk.count(staged, "roll", UNCHANGED)
                continue
            values = (
                calendar.pk, section[0] if section else None, record.date, session, record.taken, at,
                UNSAFE.sub("", record.recorded_by)[:120], f"file:{key}",
            )  # fmt: skip
            wanted[key] = (staged, values, calendar.pk, section[0] if section else None)
        had: set[str] = set()
        for some in chunks(list(wanted)):
            had.update(RollState.objects.filter(key__in=[f"file:{k}" for k in some]).values_list("key", flat=True))
        write = []
        touched: dict[int, set[int]] = defaultdict(set)
        for key, (staged, values, calendar_pk, section_pk) in wanted.items():
            walk.count(staged, "roll", UNCHANGED if f"file:{key}" in had else NEW)
            if f"file:{key}" in had:
                continue
            write.append(values)
            if section_pk is None:
                walk.affected[calendar_pk].everybody = True
            else:
                touched[section_pk].add(calendar_pk)
        columns = ["calendar_id", "section_id", "date", "session", "taken", "recorded_at", "recorded_by", "key"]
        walk.upsert(RollState, ["key"], columns, write)
        if walk.write:
            for some in chunks(list(touched)):
                for section, student in (
                    SectionEnrolment.objects.system(WHY).filter(section_id__in=some)
                    .values_list("section_id", "student_id")
                ):  # fmt: skip
                    for calendar_pk in touched[section]:
                        walk.affected[calendar_pk].students.add(student)


def _calendar_on(walk: Walk, school: int, day: date) -> CalendarFacts | None:
    """The calendar of a school whose year holds a day, if it has any days."""
    for ends_in, calendar in walk.calendars(school).items():
        year = walk.years()[ends_in]
        if year.starts <= day <= year.ends and school_days(walk, calendar):
            return calendar
    return None


# --- marks -----------------------------------------------------------------------------------------------------------


class Marks:
    """The marks of one walk: the texts of the stage, looked up once, and then each school's marks in columns."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        stage = walk.stage
        self.students = stage.texts("student")
        self.schools = stage.texts("school")
        self.files = stage.texts("file")
        self.codes = stage.texts("code")
        self.sessions = stage.texts("session")
        self.reasons = [UNSAFE.sub("", t)[:200] for t in stage.texts("reason")]
        self.people = [UNSAFE.sub("", t)[:120] for t in stage.texts("by")]
        known = walk.pks(Student) if self.students else {}
        if walk.source.kind == Source.Kind.SPREADSHEET:  # which names students by number, also those that waited
            known = {**{number: known[s] for number, s in known_students().items() if s in known}, **known}
        self.student_pk = np.array([known.get(s, 0) for s in self.students], dtype=np.int64)
        self.said_reason = np.array([text_print(t) for t in self.reasons], dtype=np.uint64)
        self.said_by = np.array([text_print(t) for t in self.people], dtype=np.uint64)
        self._school_by_name = _schools_by_name()
        self.marks: list[Mark | None] = [walk.codes.mark(code) for code in self.codes]
        self.mapped = np.array([m is not None for m in self.marks], dtype=np.bool_)
        self._meanings: dict[tuple[int, bool], int] = {}
        self._meaning_codes: dict[int, tuple[str, str, str]] = {}

    def run(self) -> None:
        walk = self.walk
        total = walk.stage.marks()
        done = 0
        pks = walk.pks(School)
        for number in walk.stage.schools_with_marks():
            walk.progress("mark", done, total)
            marks = walk.stage.marks_of(number)
            done += len(marks)
            name = self.schools[number]
            if not name:
                self._without_school(number, marks)
                continue
            school = pks.get(name) or self._school_by_name.get(name.casefold())
            if school is None:
                self._wait(marks, number, "school", said("This school is not known yet."), [name] * len(marks))
                continue
            self._of_school(number, school, marks)
        walk.progress("mark", done, total)

    # -- a school's marks ----------------------------------------------------------------------------------------

    def _without_school(self, number: int, marks: NDArray[Any]) -> None:
        """A sheet without a school column: each mark belongs to the school whose roll the student is on that day."""
        who = self.student_pk[marks["student"]]
        of = np.zeros(len(marks), dtype=np.int64)
        order = np.argsort(who, kind="stable")
        ranked = who[order]
        ids = np.unique(who[who > 0])
        for some in chunks(ids.tolist()):
            for student, school, starts, ends in (
                Enrolment.objects.system(WHY).filter(student_id__in=some).order_by("primary", "starts")
                .values_list("student_id", "school_id", "starts", "ends")
            ):  # fmt: skip
                a, b = np.searchsorted(ranked, [student, student + 1])
                rows = order[a:b]
                days = marks["date"][rows]
                last = ends.toordinal() if ends else date.max.toordinal()
                of[rows[(days >= starts.toordinal()) & (days <= last)]] = school
        lost = of == 0
        if lost.any():
            self._wait(
                marks[lost], number, "student", said("This student is on no school's roll on that day, as far as is known."),
                [self.students[s] for s in marks["student"][lost]],
            )  # fmt: skip
        for school in np.unique(of[~lost]).tolist():
            self._of_school(number, school, marks[of == school])

    def _of_school(self, number: int, school: int, marks: NDArray[Any]) -> None:
        who = self.student_pk[marks["student"]]
        unknown = who == 0
        if unknown.any():
            self._wait(
                marks[unknown], number, "student", said("This student is not known yet."),
                [self.students[s] for s in marks["student"][unknown]],
            )  # fmt: skip
        marks, who = marks[~unknown], who[~unknown]
        placed = np.zeros(len(marks), dtype=np.bool_)
        for ends_in, calendar in sorted(self.walk.calendars(school).items()):
            year = self.walk.years()[ends_in]
            if not school_days(self.walk, calendar):
                continue
            here = (marks["date"] >= year.starts.toordinal()) & (marks["date"] <= year.ends.toordinal()) & ~placed
            if here.any():
                placed |= here
                self._of_calendar(number, calendar, marks[here], who[here])
        if not placed.all():
            left = self._unmapped(number, marks[~placed], who[~placed])[0]
            self._wait(
                left, number, "date", said("No calendar of this school has this day yet."),
                [str(date.fromordinal(d)) for d in left["date"].tolist()],
            )  # fmt: skip

    def _unmapped(
        self, number: int, marks: NDArray[Any], who: NDArray[np.int64], calendar: CalendarFacts | None = None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Set aside what has a code nobody has mapped; what is left."""
        unmapped = ~self.mapped[marks["code"]] & (marks["kept"] != UNREAD)
        if unmapped.any():
            codes = [self.codes[c] for c in marks["code"][unmapped]]
            self.walk.unmapped.update(codes)
            self._wait(
                marks[unmapped], number, "code", said("Nobody has said yet what this code means."), codes,
                KeptRow.Why.UNMAPPED,
            )  # fmt: skip
            if calendar is not None:
                self._unread(calendar, marks[unmapped], who[unmapped])
        return marks[~unmapped], who[~unmapped]

    def _unread(self, calendar: CalendarFacts, marks: NDArray[Any], who: NDArray[np.int64]) -> None:
        """The squares of rows that can't be read are not known, whatever no mark would mean there."""
        if not self.walk.write:
            return
        zone = self.walk.zone_of(calendar.school_pk)
        for mark, student in zip(marks, who.tolist(), strict=True):
            day, session = date.fromordinal(int(mark["date"])), int(mark["session"])
            at = int(mark["at"]) if mark["at"] >= 0 else clock.end_of_day(day, zone)
            if session <= -2:
                found = session_number(self.sessions[-2 - session], calendar.sessions)
                session = -1 if found is None else found
            squares = [session] if 0 <= session < calendar.sessions else range(calendar.sessions)
            for square in squares:
                self.walk.unread(calendar, student, day, square, at)

    def _of_calendar(self, number: int, calendar: CalendarFacts, marks: NDArray[Any], who: NDArray[np.int64]) -> None:
        refused = marks["kept"] == UNREAD
        self._unread(calendar, marks[refused], who[refused])
        marks, who = self._unmapped(number, marks[~refused], who[~refused], calendar)
        late = marks["at"] > clock.seconds(self.walk.now) + _AHEAD
        if late.any():
            moments = [clock.moment(int(at)).isoformat() for at in marks["at"][late]]
            self._refuse(
                marks[late], number, "recordedAt", moments, said("lies in the future: no correction could follow it")
            )
            undated = marks[late].copy()
            undated["at"] = -1
            self._unread(calendar, undated, who[late])
            marks, who = marks[~late], who[~late]
        session = marks["session"].astype(np.int64)
        for named in np.unique(session[session <= -2]).tolist():
            found = session_number(self.sessions[-2 - named], calendar.sessions)
            session[session == named] = 99 if found is None else found
        beyond = session >= calendar.sessions
        if beyond.any():
            self._wait(
                marks[beyond], number, "session",
                said("The calendar has %(n)s sessions a day.", n=calendar.sessions),
                [self._session_text(s) for s in marks["session"][beyond].tolist()],
            )  # fmt: skip
            self._unread(calendar, marks[beyond], who[beyond])
            marks, who, session = marks[~beyond], who[~beyond], session[~beyond]
        if not len(marks):
            return
        # A row for the whole day says the same of each of its sessions.
        whole = session < 0
        row = np.arange(len(marks))
        if whole.any():
            repeats = np.where(whole, calendar.sessions, 1)
            row = np.repeat(row, repeats)
            first = np.cumsum(repeats) - repeats
            within = np.arange(len(row)) - first[row]
            session = np.where(whole[row], within, session[row])
        self.walk.schools_marked.add(calendar.school_pk)
        words = _Words(self, calendar, marks, who, row, session, whole)
        words.settle_unstamped()
        self._count(number, marks, who, words)
        words.look_at_days()
        words.measure()
        if words.new.any():
            if self.walk.write:
                words.insert()
                self.walk.affected[calendar.pk].students.update(np.unique(words.who[words.new]).tolist())
            self.walk.marks_by_school[self.schools[number]] += int(words.new.sum())

    # -- meanings ------------------------------------------------------------------------------------------------

    def meaning(self, code: int, part: bool) -> int:
        """The kept meaning of a code (its number in the stage); in a preview a provisional one."""
        if (code, part) not in self._meanings:
            mark = self.marks[code]
            assert mark is not None
            if part:
                mark = part_of_day(mark)
            name, text = self.walk.source.name, self.codes[code].strip()[:120]
            if self.walk.write:
                pk = meaning_of(mark, name, text).pk
            else:
                pk = self.walk.provisional()
            self._meanings[code, part] = pk
            self._meaning_codes[pk] = (name, text, mark.letter)
        return self._meanings[code, part]

    # -- outcomes ------------------------------------------------------------------------------------------------

    def _count(self, number: int, marks: NDArray[Any], who: NDArray[np.int64], words: _Words) -> None:
        """A row is new when any of its squares is; refused when any is refused."""
        n = len(marks)
        new = np.zeros(n, dtype=np.bool_)
        new[words.row[words.new]] = True
        refused = np.zeros(n, dtype=np.bool_)
        refused[words.row[words.conflict]] = True
        new &= ~refused
        self._tally(marks[new], NEW)
        self._tally(marks[~new & ~refused], UNCHANGED)
        if refused.any():
            self._refuse(
                marks[refused], number, "code", [self.codes[c] for c in marks["code"][refused]],
                said(
                    "Two rows of this delivery say different things of the same square, and neither says when it was recorded."
                ),
            )  # fmt: skip
            self._unread(words.calendar, marks[refused], who[refused])

    def _refuse(self, marks: NDArray[Any], number: int, column: str, values: list[str], reason: str) -> None:
        self._tally(marks, REFUSED)
        for mark, value in zip(marks, values, strict=True):
            self.walk.keep(
                KeptRow(
                    why=KeptRow.Why.REFUSED, file=self.files[mark["file"]], line=int(mark["line"]), column=column, value=value,
                    reason=reason, row=csv_line("" if c == -1 else c for c in self._cells(mark, self.schools[number])), kind="mark",
                )
            )  # fmt: skip

    def _tally(self, marks: NDArray[Any], outcome: str) -> None:
        if not len(marks):
            return
        fresh = marks[marks["kept"] == 0]
        for file, n in zip(*np.unique(fresh["file"], return_counts=True), strict=True):
            self.walk.tally[self.files[file], "mark"][outcome] += int(n)
        waited = marks["kept"][marks["kept"] > 0].tolist()
        if waited:
            self.walk.tally[WAITED, "mark"][outcome] += len(waited)
            if outcome != WAITING:
                for kept in waited:
                    self.walk.settle(kept)

    def _session_text(self, session: int) -> str:
        return "" if session == -1 else str(session + 1) if session >= 0 else self.sessions[-2 - session]

    def _cells(self, mark: Any, school: str) -> list[object]:
        given = {
            "student": self.students[mark["student"]], "school": school,
            "date": date.fromordinal(int(mark["date"])).isoformat(), "session": self._session_text(int(mark["session"])),
            "code": self.codes[mark["code"]], "reason": self.reasons[mark["reason"]], "by": self.people[mark["by"]],
            "minutes": int(mark["minutes"]), "part": int(mark["part"]), "at": int(mark["at"]),
        }  # fmt: skip
        return [given[name] for name in MARK_FIELDS]

    def _wait(
        self, marks: NDArray[Any], number: int, column: str, reason: str, values: list[str],
        why: str = KeptRow.Why.UNKNOWN_REFERENCE,
    ) -> None:  # fmt: skip
        self._tally(marks, WAITING)
        if not self.walk.write:
            return
        school = self.schools[number]
        for mark, value in zip(marks, values, strict=True):
            if mark["kept"]:
                continue
            cells = self._cells(mark, school)
            self.walk.keep(
                KeptRow(
                    why=why, file=self.files[mark["file"]], line=int(mark["line"]), column=column, value=value,
                    reason=reason, row=csv_line("" if c == -1 else c for c in cells), kind="mark",
                    record=waiting_line(cells),
                )
            )  # fmt: skip


def _schools_by_name() -> dict[str, int]:
    """Schools by their own number and by name, as sheets give them, where only one is so called."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for pk, identifier, name in School.objects.values_list("pk", "identifier", "name"):
        for text in {identifier.casefold(), name.casefold()} - {""}:
            if text in found:
                twice.add(text)
            found[text] = pk
    return {text: pk for text, pk in found.items() if text not in twice}


class _Words:
    """One calendar's words from one delivery, in columns: one entry a square a row speaks of."""

    def __init__(
        self, of: Marks, calendar: CalendarFacts, marks: NDArray[Any], who: NDArray[np.int64],
        row: NDArray[np.int64], session: NDArray[np.int64], whole: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        self.of, self.walk, self.calendar = of, of.walk, calendar
        self.row, self.session = row, session
        self.who = who[row]
        said_ = marks[row]
        self.date = said_["date"].astype(np.int64)
        self.code = said_["code"].astype(np.int64)
        self.minutes = said_["minutes"].astype(np.int64)
        self.reason, self.by = said_["reason"], said_["by"]
        self.at = said_["at"].copy()
        part = (said_["part"] > 0) & (said_["part"] < 500)  # half a day and more is a day away (EDFacts FS195)
        pairs = self.code * 2 + part
        meaning_of_pair = {int(p): of.meaning(int(p) // 2, bool(p & 1)) for p in np.unique(pairs)}
        self.meaning = _look_up(pairs, meaning_of_pair)
        codes = {int(p): code_print(*of._meaning_codes[m][:2]) ^ (int(p) & 1) for p, m in meaning_of_pair.items()}
        self.code_print = _look_up(pairs, codes, np.uint64)
        letters = {m: ord(of._meaning_codes[m][2]) for m in meaning_of_pair.values()}
        self.letter = _look_up(self.meaning, letters, np.uint8)
        self._share_out(whole[row])
        self.basis = np.zeros(len(row), dtype=np.int8)
        self.conflict = np.zeros(len(row), dtype=np.bool_)
        self.same = np.zeros(len(row), dtype=np.bool_)
        self.print_ = self._prints()
        self._drop_known()

    def _share_out(self, whole: NDArray[np.bool_]) -> None:
        """The minutes of a row for the whole day are its sessions' together: who came late missed them from the beginning, who left early from the end."""
        length = np.array(self.calendar.minutes, dtype=np.int64)
        if len(length) != self.calendar.sessions:
            return
        until = np.cumsum(length)  # a session's end, from the day's beginning
        for letters, gone_by in ((b"Tt", until - length), (b"Ll", until[-1] - until)):
            some = whole & (self.minutes > 0) & np.isin(self.letter, np.frombuffer(letters, dtype=np.uint8))
            at = self.session[some]
            self.minutes[some] = np.clip(self.minutes[some] - gone_by[at], 0, length[at])

    def _prints(self) -> NDArray[np.int64]:
        return fingerprints(
            self.date, self.session, self.code_print, self.minutes, self.of.said_reason[self.reason], self.at,
            self.of.said_by[self.by],
        )  # fmt: skip

    def _key(self) -> NDArray[np.int64]:
        return _key(self.who, self.print_)

    def _drop_known(self) -> None:
        """`new`: not on record, and not said twice in this delivery."""
        key = self._key()
        stamped = self.at != -1
        self.new = np.zeros(len(key), dtype=np.bool_)
        _unique, first = np.unique(key, return_index=True)
        self.new[first] = True
        self.new &= stamped
        if self.calendar.pk < 0:
            return
        events = MarkEvent.objects.system(WHY).filter(calendar_id=self.calendar.pk)
        if not events.exists():
            return
        known = _known_prints(self.calendar.pk, np.unique(self.who[self.who > 0]))
        if len(known):
            self.new &= ~np.isin(key, known)

    def settle_unstamped(self) -> None:
        """Rows that don't say when: the square's first word is taken as of the end of that day; a word unlike the last
        one as of now; the last word again is nothing new."""
        unstamped = np.flatnonzero(self.at == -1)
        if not len(unstamped):
            return
        square = self._square()
        zone = self.walk.zone_of(self.calendar.school_pk)
        ends = {int(d): clock.end_of_day(date.fromordinal(int(d)), zone) for d in np.unique(self.date[unstamped])}
        now = clock.seconds(self.walk.now)
        last = self._last_words(set(square[unstamped].tolist()), square)
        by_square: dict[int, list[int]] = defaultdict(list)
        for i in unstamped.tolist():
            by_square[int(square[i])].append(i)
        for number, rows in by_square.items():
            first = rows[0]
            differ = [i for i in rows[1:] if self._word(i) != self._word(first)]
            if differ:
                self.conflict[rows] = True
                continue
            before = last.get(number)
            if before is None:
                self.at[first], self.basis[first], self.new[first] = ends[int(self.date[first])], 1, True
            elif not self._says_the_same(first, before):
                self.at[first], self.basis[first], self.new[first] = max(now, before[0] + 1), 2, True
        changed = unstamped[self.new[unstamped]]
        if len(changed):
            self.print_ = np.where(self.new & (self.basis > 0), self._prints(), self.print_)

    def _square(self) -> NDArray[np.int64]:
        """One number a square: student, date and session."""
        return (self.who * 4_000_000 + self.date) * 32 + self.session

    def _word(self, i: int) -> tuple[int, int, int]:
        return int(self.meaning[i]), int(self.minutes[i]), int(self.reason[i])

    def _says_the_same(self, i: int, before: tuple[int, int, str, str, str, int, str]) -> bool:
        _at, _print, source, code, letter, minutes, reason = before
        name, text, mine = self.of._meaning_codes[int(self.meaning[i])]
        same_mark = (source, code) == (name, text) if source == name else letter == mine
        return same_mark and minutes == int(self.minutes[i]) and reason in (self.of.reasons[self.reason[i]], "")

    def _last_words(
        self, squares: set[int], square: NDArray[np.int64]
    ) -> dict[int, tuple[int, int, str, str, str, int, str]]:
        """The last word on record, or stamped in this delivery, of each of these squares."""
        last: dict[int, tuple[int, int, str, str, str, int, str]] = {}
        who = np.unique(self.who[(self.at == -1) & (self.who > 0)]).tolist()
        meanings = {m.pk: m for m in Meaning.objects.all()}
        for some in chunks(who) if self.calendar.pk > 0 else ():
            for student, day, session, meaning, minutes, reason, at, print_ in (
                MarkEvent.objects.system(WHY).filter(calendar_id=self.calendar.pk, student_id__in=some)
                .values_list("student_id", "date", "session", "meaning_id", "minutes", "reason", "recorded_at", "fingerprint")
            ):  # fmt: skip
                number = (student * 4_000_000 + day.toordinal()) * 32 + session
                if number in squares and (number not in last or last[number][:2] < (at, print_)):
                    m = meanings[meaning]
                    last[number] = (
                        at, print_, m.source_name, m.source_code, m.letter, -1 if minutes is None else minutes, reason,
                    )  # fmt: skip
        for i in np.flatnonzero(self.at != -1).tolist():
            number = int(square[i])
            if number in squares and (number not in last or last[number][:2] < (int(self.at[i]), int(self.print_[i]))):
                name, text, letter = self.of._meaning_codes[int(self.meaning[i])]
                last[number] = (
                    int(self.at[i]), int(self.print_[i]), name, text, letter, int(self.minutes[i]),
                    self.of.reasons[self.reason[i]],
                )  # fmt: skip
        return last

    # -- remarks -------------------------------------------------------------------------------------------------

    def look_at_days(self) -> None:
        """Marks that no square shows are kept all the same, and counted: on days without school, outside a stay."""
        walk = self.walk
        days = school_days(walk, self.calendar)
        closed = Counter[str]()
        for day, n in zip(*np.unique(self.date[self.new], return_counts=True), strict=True):
            found = date.fromordinal(int(day))
            if found not in days:
                closed[_WEEKEND.get(found.weekday(), _WEEKDAYS)] += int(n)
        for where, n in closed.items():
            walk.remarks["closed", where] += n
        if not walk.write or not self.new.any():
            return
        who = self.who[self.new]
        order = np.argsort(who, kind="stable")
        ranked, day = who[order], self.date[self.new][order]
        inside = np.zeros(len(ranked), dtype=np.bool_)
        for student, starts, ends in (
            Enrolment.objects.system(WHY)
            .filter(school_id=self.calendar.school_pk)
            .values_list("student_id", "starts", "ends")
        ):
            a, b = np.searchsorted(ranked, [student, student + 1])
            if b > a:
                last = ends.toordinal() if ends else date.max.toordinal()
                inside[a:b] |= (day[a:b] >= starts.toordinal()) & (day[a:b] <= last)
        if not inside.all():
            walk.remarks["outside", ""] += int((~inside).sum())

    def measure(self) -> None:
        """How many students were absent on each day, for the bounds."""
        absent = np.isin(self.letter, np.frombuffer(ABSENT_LETTERS.encode(), dtype=np.uint8))
        pairs = np.unique(np.stack([self.date[absent], self.who[absent]]), axis=1)
        for day, n in zip(*np.unique(pairs[0], return_counts=True), strict=True):
            self.walk.absent_by_day[int(day)] += int(n)
            self.walk.absent_by_school_day[self.calendar.school_pk, int(day)] += int(n)
        self.walk.letters.update(
            dict(zip(*(a.tolist() for a in np.unique(self.letter, return_counts=True)), strict=True))
        )

    # -- writing -------------------------------------------------------------------------------------------------

    def insert(self) -> None:
        chosen = np.flatnonzero(self.new)
        chosen = chosen[np.lexsort((self.print_[chosen], self.who[chosen]))]
        texts = {int(d): date.fromordinal(int(d)).isoformat() for d in np.unique(self.date[chosen])}
        bases = (MarkEvent.Basis.STATED.value, MarkEvent.Basis.ASSUMED.value, MarkEvent.Basis.RECEIVED.value)
        delivery = self.walk.delivery.pk
        calendar = self.calendar.pk
        reasons, people = self.of.reasons, self.of.people
        for start in range(0, len(chosen), 50_000):
            some = chosen[start : start + 50_000]
            n = len(some)
            _insert_events(
                zip(
                    [calendar] * n, self.who[some].tolist(), map(texts.__getitem__, self.date[some].tolist()),
                    self.session[some].tolist(), self.meaning[some].tolist(),
                    [None if m < 0 else m for m in self.minutes[some].tolist()],
                    map(reasons.__getitem__, self.reason[some].tolist()), self.at[some].tolist(),
                    map(people.__getitem__, self.by[some].tolist()), map(bases.__getitem__, self.basis[some].tolist()),
                    [delivery] * n, self.print_[some].tolist(), strict=True,
                )
            )  # fmt: skip


_EVENT = (
    "calendar_id", "student_id", "date", "session", "meaning_id", "minutes", "reason", "recorded_at", "recorded_by",
    "basis", "delivery_id", "fingerprint",
)  # fmt: skip


_ROWS_A_STATEMENT = 80


def _insert_events(rows: Any) -> None:
    table, names = "register_markevent", ", ".join(_EVENT)
    # The names are constants of this module; every value is a parameter.
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"CREATE TEMP TABLE IF NOT EXISTS arriving ON COMMIT DELETE ROWS AS SELECT {names} FROM {table} LIMIT 0"  # noqa: S608
            )
            with cursor.copy(f"COPY arriving ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM arriving ON CONFLICT DO NOTHING")  # noqa: S608
            cursor.execute("TRUNCATE arriving")
        else:
            # Straight to SQLite, eighty rows a statement: a third faster than one by one (measured 281k against 211k/s).
            _insert_on_sqlite(connection.connection, f"INSERT OR IGNORE INTO {table} ({names}) VALUES ", rows)  # noqa: S608


def _insert_on_sqlite(database: Any, insert: str, rows: Any) -> None:
    one = f"({', '.join('?' * len(_EVENT))})"
    whole = insert + ", ".join([one] * _ROWS_A_STATEMENT)
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_A_STATEMENT)):
        statement = whole if len(some) == _ROWS_A_STATEMENT else insert + ", ".join([one] * len(some))
        database.execute(statement, list(chain.from_iterable(some)))


def _key(who: NDArray[np.int64], print_: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for a student's word: 63 bits of the word, turned by who it is about."""
    return (who.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ print_.astype(np.uint64)).astype(np.int64)


def _known_prints(calendar: int, students: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys of every word on record of these students in a calendar, read from the index alone."""
    found: list[NDArray[np.int64]] = []
    with connection.cursor() as cursor:
        if len(students) > 2000:
            cursor.execute("SELECT student_id, fingerprint FROM register_markevent WHERE calendar_id = %s", [calendar])
            while rows := cursor.fetchmany(50_000):
                pairs = np.array(rows, dtype=np.int64)
                found.append(_key(pairs[:, 0], pairs[:, 1]))
        else:
            for some in chunks(students.tolist()):
                holes = ", ".join(["%s"] * len(some))
                cursor.execute(
                    "SELECT student_id, fingerprint FROM register_markevent "  # noqa: S608
                    f"WHERE calendar_id = %s AND student_id IN ({holes})",
                    [calendar, *some],
                )
                if rows := cursor.fetchall():
                    pairs = np.array(rows, dtype=np.int64)
                    found.append(_key(pairs[:, 0], pairs[:, 1]))
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _look_up(keys: NDArray[Any], table: dict[int, int], dtype: Any = np.int64) -> NDArray[Any]:
    """`table[key]` for each key."""
    if not len(keys):
        return np.empty(0, dtype=dtype)
    distinct, inverse = np.unique(keys, return_inverse=True)
    return np.array([table[int(k)] for k in distinct], dtype=dtype)[inverse]


def remark(walk: Walk) -> None:
    """What `look_at_days` counted, in words."""
    for (what, where), n in sorted(walk.remarks.items()):
        if what == "closed":
            text = said_n(
                "%(n)s mark lies on %(where)s; it is kept on record, and no square shows it.",
                "%(n)s marks lie on %(where)s; they are kept on record, and no square shows them.",
                n,
                where=where,
            )
        else:
            text = said_n(
                "%(n)s mark lies outside its student's stay on the roll; it is kept on record, and no square shows it.",
                "%(n)s marks lie outside their students' stay on the roll; they are kept on record, and no square "
                "shows them.",
                n,
            )
        walk.notice("", text)


# --- through which day a source has said all -------------------------------------------------------------------------


def complete_through(walk: Walk) -> date | None:
    """Through which day the source has said all it has to say: what it stated, else the last day it sent a mark of."""
    _sends, stated = walk.stage.stated()
    here = walk.delivery.complete_through or stated
    if here is None:
        last = max((int(block["date"].max()) for _school, block in walk.stage.blocks()), default=0)
        here = date.fromordinal(last) if last else None
    return max(filter(None, (here, walk.source.covered_through)), default=None)


def cover(walk: Walk, through: date) -> None:
    """Move the covered day of every calendar of the source's schools forward, never past today; it never goes back."""
    for school in walk.source.schools.values_list("pk", flat=True):
        until = min(through, clock.today(walk.zone_of(school)))
        for ends_in, calendar in walk.calendars(school).items():
            year = walk.years()[ends_in]
            day = min(until, year.ends)
            if year.starts > until or (calendar.covered_through or date.min) >= day:
                continue
            if any((calendar.covered_through or date.min) < d <= day for d in school_days(walk, calendar)):
                walk.affected[calendar.pk].everybody = True
            Calendar.objects.filter(pk=calendar.pk).update(covered_through=day)
            calendar.covered_through = day
