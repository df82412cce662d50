"""The deeds that write the register. Each is one transaction, and returns what happened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from firstbell.access import audit
from firstbell.access.models import User
from firstbell.register import rows
from firstbell.register.marks import Mark
from firstbell.register.models import (
    Calendar,
    CalendarDay,
    DayType,
    MarkEvent,
    Meaning,
    RollState,
    Section,
    SectionEnrolment,
)

DESK = "firstbell"


@dataclass(frozen=True, slots=True)
class NewMark:
    """Somebody's word about one square."""

    student_id: int
    date: date
    session: int
    meaning_id: int
    recorded_at: int
    recorded_by: str = ""
    minutes: int | None = None
    reason: str = ""
    basis: str = MarkEvent.Basis.STATED


def text_print(text: str) -> int:
    """64 bits of a text, the same on every machine: how texts enter a fingerprint."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def code_print(source_name: str, source_code: str) -> int:
    """A source's code as it enters a fingerprint. What the code was taken to mean is not part of the word."""
    return text_print(f"{source_name}\x1f{source_code}")


def fingerprints(
    day: NDArray[np.int64], session: NDArray[np.int64], code: NDArray[np.uint64], minutes: NDArray[np.int64],
    reason: NDArray[np.uint64], recorded_at: NDArray[np.int64], recorded_by: NDArray[np.uint64],
) -> NDArray[np.int64]:  # fmt: skip
    """63 bits a word over all a source says of a square, so that the same word twice is one event.

    All of shape (n,): `day` proleptic ordinals, `session` from 0, `code` by `code_print`, `minutes` (-1: none sent),
    `reason` and `recorded_by` by `text_print`, `recorded_at` seconds since 1970 UTC. Each is folded in by the finaliser of
    splitmix64 (Steele, Lea, Flood 2014), in arithmetic modulo 2**64.
    """
    found = np.full(len(day), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for part in (day, session, code, minutes, reason, recorded_at, recorded_by):
        found = found ^ part.astype(np.uint64)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found = (found ^ (found >> np.uint64(31))) + np.uint64(0x9E3779B97F4A7C15)
    return (found >> np.uint64(1)).astype(np.int64)


def fingerprints_of(words: Sequence[NewMark], meanings: Mapping[int, Meaning]) -> list[int]:
    """`fingerprints` of a few words."""
    codes = {pk: code_print(m.source_name, m.source_code) for pk, m in meanings.items()}
    found = fingerprints(
        np.array([w.date.toordinal() for w in words], dtype=np.int64),
        np.array([w.session for w in words], dtype=np.int64),
        np.array([codes[w.meaning_id] for w in words], dtype=np.uint64),
        np.array([-1 if w.minutes is None else w.minutes for w in words], dtype=np.int64),
        np.array([text_print(w.reason) for w in words], dtype=np.uint64),
        np.array([w.recorded_at for w in words], dtype=np.int64),
        np.array([text_print(w.recorded_by) for w in words], dtype=np.uint64),
    )
    return [int(f) for f in found]


def meaning_of(mark: Mark, source_name: str, source_code: str) -> Meaning:
    """The kept meaning of a source's code, made the first time it is met."""
    found, _new = Meaning.objects.get_or_create(
        source_name=source_name, source_code=source_code, presence=mark.presence.value,
        legal_status=mark.legal_status.value, part=mark.part.value, expected=mark.expected.value, reason=mark.reason,
        disciplinary=mark.disciplinary.value, location=mark.location.value, defaults={"letter": mark.letter},
    )  # fmt: skip
    return found


@transaction.atomic
def record_marks(
    calendar: Calendar, words: Iterable[NewMark], *, by: User | str, delivery_id: int | None = None
) -> int:
    """Append marks and rewrite the rows they touch. A word already on record changes nothing. Returns how many are new."""
    meanings = {m.pk: m for m in Meaning.objects.all()}
    words = list(words)
    events = [
        MarkEvent(
            calendar=calendar, student_id=w.student_id, date=w.date, session=w.session, meaning_id=w.meaning_id,
            minutes=w.minutes, reason=w.reason, recorded_at=w.recorded_at, recorded_by=w.recorded_by, basis=w.basis,
            delivery_id=delivery_id, fingerprint=print_,
        )
        for w, print_ in zip(words, fingerprints_of(words, meanings), strict=True)
    ]  # fmt: skip
    mine = MarkEvent.objects.system("counting what is new").filter(calendar=calendar)
    students = sorted({w.student_id for w in words})
    before = mine.filter(student_id__in=students).count()
    MarkEvent.objects.system("marks are recorded").bulk_create(events, ignore_conflicts=True, batch_size=2000)
    new = mine.filter(student_id__in=students).count() - before
    if new:
        rows.refold(calendar, students)
        audit.record_many(
            by, "marked", [(f"student:{w.student_id}", f"{w.date} {meanings[w.meaning_id].letter}") for w in words]
        )
    return new


@transaction.atomic
def take_roll(
    section: Section, day: date, session: int, *, exceptions: Sequence[NewMark], present: Sequence[NewMark],
    recorded_at: int, by: User, key: str,
) -> bool:  # fmt: skip
    """A teacher's roll: the fact that it was taken, and a mark for everybody who is not simply present.

    `present` are words for students who had another mark and are here after all. False when this submit (`key`) was
    already taken: nothing happens twice.
    """
    _state, new = RollState.objects.get_or_create(
        key=key,
        defaults={
            "calendar": section.calendar, "section": section, "date": day, "session": session, "taken": True,
            "recorded_at": recorded_at, "recorded_by": audit.actor_name(by),
        },
    )  # fmt: skip
    if not new:
        return False
    record_marks(section.calendar, [*exceptions, *present], by=by)
    members = (
        SectionEnrolment.objects.system("the roll of the whole class").filter(section=section)
        .values_list("student_id", flat=True)
    )  # fmt: skip
    rows.refold(section.calendar, sorted(set(members)))
    audit.record(by, "took_roll", f"section:{section.pk}", f"{day} session {session}")
    return True


@transaction.atomic
def change_day(calendar: Calendar, day: date, day_type: DayType, *, by: User | str, note: str = "") -> int:
    """A closure or a make-up day, also after the fact: the day's columns come or go and every row is folded anew.

    Marks on a closed day stay on record as events; should the day be a school day again, they stand in its squares
    again. Returns how many rows changed.
    """
    CalendarDay.objects.update_or_create(calendar=calendar, date=day, defaults={"day_type": day_type, "note": note})
    changed = rows.refold(calendar)
    audit.record(by, "changed_calendar", f"calendar:{calendar.pk}", f"{day} {day_type}")
    return changed
