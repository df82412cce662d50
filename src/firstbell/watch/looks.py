"""Looks: students drawn by chance, some listed and some not, put before an officer without a word of which (decision 0014).

While a look is open, what the list would say of the student waits: nobody can judge blind what they have just read. What can't wait
is never held back, and who it is about is never drawn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from firstbell import clock
from firstbell.forecast.sample import Answers, Found, Share, Stratum, found
from firstbell.register.grid import Grid
from firstbell.register.marks import NOT_EXPECTED
from firstbell.signals.kernel import DAY, day_bits
from firstbell.signals.metrics import attendance, counted_days
from firstbell.signals.told import told
from firstbell.watch.ground import Finding
from firstbell.watch.models import Alert, Draw, DrawStratum, Kind, LookOver, Verdict
from firstbell.watch.standing import Look

__all__ = [
    "PRESSING",
    "WAITS",
    "Facts",
    "Found",
    "Share",
    "facts_of",
    "look_findings",
    "said_in_time",
    "what_looks_say",
]

WHY = "looks are kept and counted"
#: kinds that are patterns of weeks: a look may come before them
WAITS = frozenset(
    {Kind.BREAK, Kind.LINE_AHEAD, Kind.WEEKDAY, Kind.HIGH_ABSENCE, Kind.UNEXPLAINED, Kind.LATENESS}
)  # fmt: skip
#: kinds that never wait: who has one is before an officer now, and is not drawn
PRESSING = frozenset({Kind.CONCERN, Kind.NOT_SEEN, Kind.STREAK, Kind.LOOK_AGAIN})
#: looks of so long count on the card
COUNTED_FOR = timedelta(days=364)
#: who was to be watched until a day is asked about for so long from that day on
STANDS_AGAIN = timedelta(days=28)
#: the days missed that a look shows, the latest
SHOWN_DAYS = 20


def said_in_time(alerts: Iterable[Alert]) -> list[Alert]:
    """These alerts without what waits for an open look among them: what stood when the look was drawn. News is told at once."""
    every = list(alerts)
    drawn = {a.student_id: a.opened_at for a in every if a.kind == Kind.LOOK_OVER and a.state == Alert.State.OPEN}
    return [a for a in every if a.student_id not in drawn or not _waits(a, drawn[a.student_id])]


def _waits(alert: Alert, drawn: datetime) -> bool:
    stood = alert.opened_at <= drawn and (alert.closed_at is None or alert.closed_at > drawn)
    return alert.kind in WAITS and stood and alert.state != Alert.State.ANSWERED


@dataclass(frozen=True, slots=True)
class Facts:
    """The plain record, as a look tells it: days missed of those possible, days late, and the latest days missed with their letters."""

    missed: int
    possible: int
    late: int
    days: str


def facts_of(grid: Grid, through: int, row: int) -> Facts:
    days = counted_days(grid, through, row)
    missed, counted = [d for d in days if d.missed], attendance(days)
    late = int((day_bits(grid, through, row) & DAY.LATE != 0).sum())
    shown = told((d.date, d.letters) for d in missed[-SHOWN_DAYS:])
    return Facts(counted.missed, counted.possible, late, shown)


def look_findings(look: Look) -> Iterator[Finding]:
    """Keeps open looks open while their students are on this roll, and brings back whom somebody wanted to watch until now.

    Marks that change are no reason to withdraw a look.
    """
    with (
        connection.cursor() as cursor
    ):  # by the drawn, who are few: a plain join looks for a draw behind every alert that stands
        cursor.execute(
            f"SELECT a.school_id, l.student_id FROM {LookOver._meta.db_table} l CROSS JOIN {Alert._meta.db_table} a "  # noqa: S608 - our own names
            "WHERE a.id = l.alert_id AND a.state = %s",
            [Alert.State.OPEN],
        )
        here = set(look.school_ids)
        keep = {(school, student) for school, student in cursor if school in here}
    again = _watched_until(look.school_ids, look.today)
    if not keep and not again:
        return
    place = look.places[0]
    for whose, (number, row) in look.rows_of(keep | again).items():
        grid, at = look.register_of(number, row)
        if grid.codes[at, max(place.upto - 1, 0) * grid.sessions] == ord(NOT_EXPECTED):
            continue
        if whose in keep:
            yield Finding(Kind.LOOK_OVER, row, 0, 0, 0, holds=True, school=number)
        if whose in again:
            f = facts_of(grid, place.through, at)
            yield Finding(Kind.LOOK_AGAIN, row, f.missed, f.possible, 1, f.days, usual_count=f.late, school=number)


def _watched_until(schools: Sequence[int], today: date) -> set[tuple[int, int]]:
    """(school, student) where the latest answer to a look was to watch, until a day that has come."""
    given = Verdict.objects.system(WHY).filter(
        alert__school__in=schools, alert__kind__in=(Kind.LOOK_OVER, Kind.LOOK_AGAIN), alert__state=Alert.State.ANSWERED, undone_at=None,
        given_at__gte=clock.now() - COUNTED_FOR,
    )  # fmt: skip
    latest = {
        (school, student): until
        for school, student, until in given.order_by("given_at").values_list("alert__school_id", "student_id", "watch_until")
    }  # fmt: skip
    return {whose for whose, until in latest.items() if until is not None and until <= today < until + STANDS_AGAIN}


def what_looks_say(today: date) -> Found | None:
    """Misses and false alarms as the looks of a year have them; None before the first week is over.

    A week counts once none of its looks is open: until then its answers are those of the quick. An answer that was taken back is no
    answer here: by then the desk had said what it held back.
    """
    weeks = Draw.objects.filter(week__gt=today - COUNTED_FOR).exclude(strata__looks__alert__state=Alert.State.OPEN)
    looks = LookOver.objects.system(WHY).filter(stratum__draw__in=weeks, alert__state=Alert.State.ANSWERED)
    taken_back = looks.filter(alert__verdicts__undone_at__isnull=False).values("pk")
    decided = looks.exclude(pk__in=taken_back).values_list("stratum_id", "alert__verdicts__decision")
    answers = Counter(decided)
    by_week: dict[date, list[Answers]] = defaultdict(list)
    for s in DrawStratum.objects.filter(draw__in=weeks).select_related("draw").order_by("draw__week", "pk"):
        answered = sum(answers[s.pk, decision] for decision in Verdict.Decision)
        by_week[s.draw.week].append(
            Answers(Stratum(s.name), s.size, s.taken, answered, answers[s.pk, Verdict.Decision.ACT])
        )  # fmt: skip
    return found(list(by_week.values())) if by_week else None
