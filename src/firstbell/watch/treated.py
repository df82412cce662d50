"""The days somebody acted for a student. What came after was not left to itself, and teaches nothing of what would have been.

An officer's *act* on an alert is such a day. A room that keeps deeds of its own says where they are: `source`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date

from firstbell.watch.models import Verdict

__all__ = ["TREATED_DAYS", "days_acted", "source"]

WHY = "forecasts are made and judged"
#: school days after somebody acted on a student that are neither learned from nor judged
TREATED_DAYS = 20

#: (first day, last day) -> who was acted for, and when
Source = Callable[[date, date], Iterable[tuple[int, date]]]
_sources: list[Source] = []


def source(deeds: Source) -> Source:
    _sources.append(deeds)
    return deeds


def days_acted(first: date, last: date) -> dict[int, list[date]]:
    """By student."""
    found: dict[int, list[date]] = defaultdict(list)
    for deeds in _sources:
        for student, on in deeds(first, last):
            found[student].append(on)
    return found


@source
def _verdicts(first: date, last: date) -> Iterable[tuple[int, date]]:
    given = Verdict.objects.system(WHY).filter(
        decision=Verdict.Decision.ACT, undone_at=None, student__isnull=False, given_at__date__gte=first, given_at__date__lte=last
    )  # fmt: skip
    return ((student, at.date()) for student, at in given.values_list("student_id", "given_at"))
