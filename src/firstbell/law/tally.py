"""What a rule counts of one student: now, and each time its line was reached, to the very days.

It counts with the kernel that asks about many at once (`reaching`), in whole numbers; here they become days and exact amounts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property

import msgspec
import numpy as np

from firstbell.law.days import NotEvaluable
from firstbell.law.deeds import Deeds
from firstbell.law.packs import Ages, InForce, Rule, Threshold, Window
from firstbell.law.reaching import asked_of, at_line, by_square, counted, needed, same_before
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person, ages_of, days_of_age, of_another_age, of_others
from firstbell.law.windows import bounds, fixed, months_before
from firstbell.register.marks import NOT_EXPECTED, PRESENT_LETTERS, UNKNOWN
from firstbell.said import said

__all__ = ["Fired", "Student", "Tally"]


@dataclass(frozen=True, slots=True)
class Fired:
    """A line reached on a day: what the count came to then, and of which days."""

    on: date
    count: Fraction
    marks: tuple[date, ...]


@dataclass
class Tally(ABC):
    """What a rule's count came to.

    room    how many more until the line is reached; of a share, by the window's end (law.md § 3)
    window  the days that count together now
    fired   each time the line was reached
    before  what the same rule's count had come to under the version before
    stood   the first day of this version, where the line was reached under the one before and ever since: it is not reached anew
    """

    count: Fraction
    possible: Fraction | None
    threshold: Fraction
    room: Fraction
    reached: bool
    marks: list[date]
    window: tuple[date, date]
    fired: list[Fired]
    unknown: int = 0
    before: Tally | None = None
    stood: date | None = None

    @property
    def reached_before(self) -> bool:
        """Whether the line was reached this year under a version before."""
        return self.before is not None and (bool(self.before.fired) or self.before.reached_before)

    def possible_at(self, firing: date) -> Fraction | None:
        return None

    @abstractmethod
    def window_at(self, firing: date) -> tuple[date, date]: ...

    def whose(self, firing: date) -> list[str]:
        """The parents whose line it is; "": of all alike."""
        return [""]

    def known_on(self, firing: date) -> date:
        """The day its last mark had waited out its grace, where that was later."""
        return firing

    def nth(self, firing: date, n: Fraction) -> tuple[date | None, Fraction | None]:
        """In the window it was in, the day the count came to n, or how many more it takes; neither once the window has passed."""
        return None, None


class Student:
    """One student of a timeline, and what was done: asked rule by rule, what several rules share is found once."""

    def __init__(self, line: Timeline, row: int, person: Person, deeds: Deeds) -> None:
        self.line, self.row, self.person, self.deeds = line, row, person, deeds
        self._of_age: dict[Ages, tuple[int, int]] = {}
        self._told: dict[tuple[date, str, Window, Threshold, Ages | None, int], _OfMarks] = {}
        self._of: dict[tuple[date, str], Tally | None] = {}

    def tally(self, rule: Rule, version: InForce, others: Sequence[InForce]) -> tuple[Tally | None, str]:
        """What a rule counts; None where it is not asked. And why it is not, or not any more: who has grown out of it keeps what was reached."""
        grown = of_another_age(rule, version.pack, self.person, self.line.as_of, self.line.school_year)
        own = rule.applies.ages
        never = rule.count is None or self.person.birth_date is None or (own is not None and own.of == "step")
        if why := of_others(rule, self.person) or (grown if never else ""):
            return None, why
        try:
            before = self._before(rule, version, others)
            if rule.count is None:
                tally: Tally = _OfDeeds(self, rule, version, before)
            else:
                tally = self._of_marks(rule, version, others, before)
        except NotEvaluable as error:
            return None, grown or str(error)
        found = tally if not grown or tally.fired else None
        self._of[version.first, rule.id] = found
        return found, grown

    def _before(self, rule: Rule, version: InForce, others: Sequence[InForce]) -> Tally | None:
        """As it was asked when its own version was: of what was done, no more was known to count then."""
        if (was := same_before(rule, version, others)) is None:
            return None
        key = was[1].first, rule.id
        return self._of[key] if key in self._of else self.tally(*was, others)[0]

    def _of_marks(self, rule: Rule, version: InForce, others: Sequence[InForce], before: Tally | None) -> _OfMarks:
        ages = ages_of(rule, version.pack)
        assert rule.count is not None
        key = version.first, rule.count, rule.window, rule.threshold, ages, id(before)
        if key not in self._told or rule.window.after_evidence:  # several duties stand on one line
            self._told[key] = _OfMarks(self, rule, version, others, ages, before)
        return self._told[key]

    def of_age(self, ages: Ages | None) -> tuple[int, int]:
        """The columns of the days the student was of the age: from the first to, not including, the second."""
        if ages is None or self.person.birth_date is None:
            return 0, len(self.line.frame.dates)
        if ages not in self._of_age:
            self._of_age[ages] = days_of_age(ages, self.person.birth_date, self.line)
        return self._of_age[ages]

    def first_away(self, since: date) -> date:
        """The first day from `since` on of which any part was missed, for whatever reason; `since` itself where there is none."""
        k = bisect_left(self._away, since)
        return self._away[k] if k < len(self._away) and self._away[k] <= self.line.as_of else since

    @cached_property
    def _away(self) -> list[date]:
        found: set[date] = set()
        for s in self.line.stretches:
            there = _THERE[s.codes[self.row]].reshape(len(s.dates), s.sessions).all(axis=1)
            found.update(s.dates[~there].tolist())
        return sorted(found)


#: letter -> whether nothing was missed of such a square, as far as anybody knows
_THERE = np.isin(np.arange(256), [ord(c) for c in PRESENT_LETTERS + UNKNOWN + NOT_EXPECTED if c not in "TtLlHh"])


class _OfDeeds(Tally):
    """What was done is itself counted."""

    def __init__(self, student: Student, rule: Rule, version: InForce, before: Tally | None) -> None:
        line, value = student.line, rule.threshold.count_for("")
        if rule.threshold.least is None:
            raise NotEvaluable(said("The law leaves this number to the district, and the district has not set it."))
        if value is None:
            raise NotEvaluable(said("The rule names no number of times."))
        self._rule, self._frame, self._need = rule, line.frame, int(value) + (rule.threshold.op == ">")
        self._shown = sorted(student.deeds.showing(rule.evidence, version.pack), key=lambda e: e.date)
        to = sorted({e.to for e in self._shown if e.to}) if rule.per == "parent" else []
        self._everybody = to or [""]
        since = version.first
        if not rule.window.across_years and rule.window.kind != "rolling_years":
            since = max(since, line.frame.day(line.first))
        # each thing done from the line on asks anew: it has a deadline of its own
        firings = [
            d for d in dict.fromkeys(e.date for e in self._shown) if since <= d <= version.last and self.whose(d)
        ]
        then = [(d, self._held(d)) for d in firings]
        now = self._held(line.as_of)
        reached = len(now) >= self._need
        super().__init__(
            Fraction(len(now)), None, value, Fraction(0 if reached else self._need - len(now)), reached, now,
            self.window_at(line.as_of), [Fired(d, Fraction(len(held)), tuple(held)) for d, held in then],
            before=before, stood=version.first if before is not None and (before.fired or before.stood) else None,
        )  # fmt: skip

    def window_at(self, firing: date) -> tuple[date, date]:
        window = self._rule.window
        if window.kind == "rolling_years":
            return months_before(firing, 12 * (window.length or 1)) + timedelta(days=1), firing
        return bounds(window, self._frame, firing)

    def whose(self, firing: date) -> list[str]:
        return [w for w in self._everybody if firing in (had := self._held_by(w, firing)) and len(had) >= self._need]

    def _held(self, at: date) -> list[date]:
        return max((self._held_by(who, at) for who in self._everybody), key=len)

    def _held_by(self, who: str, at: date) -> list[date]:
        if not self._shown:
            return []
        a, b = self.window_at(at)
        return [e.date for e in self._shown if a <= e.date <= min(b, at) and (not who or e.to in ("", who))]


class _OfMarks(Tally):
    """Marks are counted. still: whether the line is reached on the last day of the version."""

    still: bool

    def __init__(
        self, student: Student, rule: Rule, version: InForce, others: Sequence[InForce], ages: Ages | None, before: Tally | None
    ) -> None:  # fmt: skip
        line, row, window, frame = student.line, student.row, rule.window, student.line.frame
        assert rule.count is not None
        after, of_age = 0, student.of_age(ages)
        if name := window.after_evidence:
            since = student.deeds.first(name, version.pack, frame.day(line.first))
            after = len(frame.dates) if since is None else frame.after(since)
        if rule.threshold.share is None:  # a share is of all days enrolled
            after = max(after, of_age[0])  # days missed before the student was of age count for nothing
        held = isinstance(before, _OfMarks) and before.still and bool(before.fired or before.stood)
        self._asked = asked = asked_of(
            rule, version, others, line, [student.person.grade] * line.n, np.full(line.n, after) if after else None,
            np.full(line.n, held) if held else None,
        )  # fmt: skip
        self._unit = asked.unit.as_integer_ratio()
        self._line, self._row, self._count = line, row, version.pack.counts[rule.count]
        told, (_since, first, stop) = counted(asked, row), asked.eligible
        self.still, begins = told.still, version.first if first >= stop else frame.day(first // asked.width)
        self._start, self._low = told.start, int(asked.floor[row])
        self._on: list[int] = np.flatnonzero(asked.counted[row, :stop]).tolist()
        self._days = [frame.days[k // asked.width] for k in self._on]
        fired = [f for f in told.fired if of_age[0] <= f[0] // asked.width < of_age[1]]
        self._first_at = {frame.day(f[0] // asked.width): f for f in reversed(fired)}
        firings = [frame.day(f[0] // asked.width) for f in fired]

        c, p, num, den = told.count, told.possible, int(asked.num[row]), int(asked.den[row])
        reached = bool(at_line(c, p, num, den, asked.share, asked.strict, asked.minimum))
        if asked.share:
            num *= p + self._ahead()
        need = needed(num, den, asked.strict)
        marks = self._between(told.begin, stop)
        value = Fraction(int(asked.num[row]), den)
        super().__init__(
            self._amount(c), None if rule.threshold.share is None else self._amount(p), value if asked.share else value * asked.unit,
            self._amount(0 if reached else max(need - c, 0)),  # none where a share waits only for enough days to be possible
            reached, marks, self._span(marks, line.as_of), [self._fired(day) for day in firings],
            int(asked.unknown[row, told.begin : stop].sum()), before, begins if told.stood else None,
        )  # fmt: skip

    def _amount(self, n: int) -> Fraction:
        return Fraction(n * self._unit[0], self._unit[1])

    def _between(self, begin: int, stop: int) -> list[date]:
        """The days counted from a column up to another."""
        some = self._days[bisect_left(self._on, begin) : bisect_left(self._on, stop)]
        return some if self._asked.width == 1 else list(dict.fromkeys(some))

    def _fired(self, day: date) -> Fired:
        column, begin, count, _possible = self._first_at[day]
        return Fired(day, self._amount(count), tuple(self._between(begin, column + 1)))

    def _span(self, marks: list[date], at: date) -> tuple[date, date]:
        """The days that count together with one; a window may have begun later for this student: with the enrolment, or with what was done."""
        if self._asked.runs:
            return (marks[0] if marks else at), at
        frame, low = self._line.frame, self._low // self._asked.width
        first, last = bounds(self._asked.rule.window, frame, at)
        return (max(first, frame.day(low)) if 0 < low < len(frame.dates) else first), last

    def _ahead(self) -> int:
        """What is still to come of a share's window."""
        window, line = self._asked.rule.window, self._line
        if window.kind not in ("school_year", "since_enrolment", "semester", "quarter", "term", "calendar_month"):
            return 0
        usual = int(self._asked.possible[self._row].max(initial=1))
        return max(line.frame.after(bounds(window, line.frame, line.as_of)[1]) - line.known, 0) * usual

    def possible_at(self, firing: date) -> Fraction | None:
        return None if self.possible is None else self._amount(self._first_at[firing][3])

    def window_at(self, firing: date) -> tuple[date, date]:
        column, begin, _count, _possible = self._first_at[firing]
        return self._span(self._between(begin, column + 1) if self._asked.runs else [], firing)

    def known_on(self, firing: date) -> date:
        count, line, width = self._count, self._line, self._asked.width
        if count.pending != "after_grace":
            return firing
        column, begin, _count, _possible = self._first_at[firing]
        some = slice(begin, column + 1)
        sure = line.derived(
            msgspec.structs.replace(count, pending="never"), by_square(self._asked.rule, count)
        ).counted[self._row, some]
        waited = np.flatnonzero(self._asked.counted[self._row, some] != sure)
        if not len(waited):
            return firing
        last = (begin + int(waited[-1])) // width
        if count.grace_unit == "calendar_days":
            return max(firing, line.frame.day(last) + timedelta(days=count.grace))
        return max(firing, line.frame.day(min(last + count.grace, len(line.frame.dates) - 1)))

    def nth(self, firing: date, n: Fraction) -> tuple[date | None, Fraction | None]:
        asked, start, at = self._asked, self._start, self._first_at[firing][0]
        need, stop = math.ceil(n / asked.unit), self._line.known * asked.width  # also under the version after
        end = min(stop, int(np.searchsorted(start, start[at], side="right"))) if asked.anew else stop
        columns = np.arange(at, end)
        before = np.concatenate([[0], np.cumsum(asked.counted[self._row], dtype=np.int64)])
        begin = np.minimum(np.maximum(start[columns], self._low), columns + 1)
        held = before[columns + 1] - before[begin]
        enough = np.flatnonzero(held >= need)
        if len(enough):
            return self._line.frame.day((at + int(enough[0])) // asked.width), None
        if end < stop or (fixed(asked.rule.window) and asked.start_now != start[at]):
            return None, None
        return None, self._amount(need - int(held[-1]))
