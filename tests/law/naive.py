"""The law counted slowly: a day at a time, with plain dates and fractions, from the statutes' words (law.md § 1.3, § 1.4, § 2).

It shares nothing with the kernel but the names of a pack.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from firstbell.law.packs import Count, Rule, Window

LETTER = {
    "unexcused": "U", "excused": "E", "pending": "N", "exempt": "X", "suspension_out": "S", "suspension_in": "I",
    "tardy": "T", "tardy_excused": "t", "early": "L", "early_excused": "l", "part": "H", "part_excused": "h",
    "field_trip": "F", "remote": "R",
}  # fmt: skip


@dataclass(frozen=True)
class Roll:
    """One student's squares at one school in one school year: day -> letters, day -> minutes missed of each."""

    year: int
    sessions: int
    minutes: tuple[int, ...]
    squares: dict[date, str]
    missed: dict[date, tuple[int, ...]]
    terms: tuple[tuple[date, date], ...]


@dataclass(frozen=True)
class Day:
    """In the count's own unit. `ends`: the run before it ends before what was counted, or after, or both."""

    counted: Fraction
    possible: Fraction
    ends: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    count: Fraction
    possible: Fraction
    reached: list[date] = field(default_factory=list)  # the days the line was reached anew


def day(count: Count, roll: Roll, at: date, gone: int) -> list[Day]:
    """What a day is to a count: one, or for runs of sessions and minutes one a square. `gone`: days since, of those grace is reckoned in."""
    counts = {LETTER[m] for m in count.marks} - {"N"}
    if count.pending == "counts" or (count.pending == "after_grace" and gone >= count.grace):
        counts.add("N")
    squares = roll.squares[at]
    lost = roll.missed.get(at, (0,) * roll.sessions)
    length = roll.minutes or (0,) * roll.sessions
    over = count.minutes_over

    def away(s: int) -> bool:
        return squares[s] in "EUNXS" or (squares[s] in "PFRI" and squares[s] in counts)

    def against(s: int) -> bool:
        """Missed wholly, in a way that counts."""
        long_enough = over is None or not length[s] or length[s] > over
        return away(s) and squares[s] in counts and long_enough

    def partly(s: int) -> bool:
        return squares[s] in "TLHtlh" and squares[s] in counts and (over is None or lost[s] > over)

    expected = [s for s in range(roll.sessions) if squares[s] not in "# "]
    unknown = squares.count(" ")
    there = [s for s in expected if not away(s)]
    ends = frozenset({"before"}) if there else frozenset()
    one = Fraction(1)

    if count.strategy in ("sessions", "accumulate_minutes"):
        found = []
        for s in range(roll.sessions):
            if s not in expected:
                found.append(Day(Fraction(0), Fraction(0)))
                continue
            if count.strategy == "accumulate_minutes":
                whole = Fraction(length[s], 60)
                part = whole if against(s) else min(Fraction(lost[s], 60), whole) if partly(s) else Fraction(0)
            else:
                whole = _sessions(count, roll, s)
                single = (
                    Fraction(1, count.per_day or 1) if count.unit == "days" else one
                )  # so late that one session is missed
                part = whole if against(s) else min(whole, single) if over is not None and partly(s) else Fraction(0)
            side = {"T": {"after"}, "t": {"after"}, "H": {"before", "after"}, "h": {"before", "after"}}
            stops = frozenset() if away(s) else frozenset(side.get(squares[s], {"before"}))
            found.append(Day(part, whole, stops))
        return found
    if count.strategy == "snapshot":
        s = min(count.session, roll.sessions) - 1
        if s not in expected:
            return [Day(Fraction(0), Fraction(0), ends)]
        return [Day(one if away(s) and squares[s] in counts else Fraction(0), one, ends)]
    if not expected:
        return [Day(Fraction(0), Fraction(0), ends)]

    def hit(squares_against: int, missed: int, total: int, attended: bool) -> bool:
        if count.strategy == "any_period":
            return squares_against > 0 or any(partly(s) for s in expected)
        if count.strategy == "majority_of_periods":
            return Fraction(squares_against, total) > Fraction(1, 2)
        if count.strategy == "full_day_only":
            return not attended and Fraction(squares_against, missed) > Fraction(1, 2)
        return squares_against >= count.periods

    if count.strategy == "min_fraction_present":
        weigh = [length[s] if roll.minutes else 1 for s in range(roll.sessions)]
        missed = sum(
            weigh[s] if against(s) else min(lost[s], weigh[s]) if partly(s) and roll.minutes else 0 for s in expected
        )
        return [
            Day(
                Fraction(int(missed > 0 and missed >= Fraction(count.missed) * sum(weigh[s] for s in expected))),
                one,
                ends,
            )
        ]
    n, m, total = sum(map(against, expected)), sum(map(away, expected)), len(expected) + unknown
    # what nobody knows was attended, or it was missed: where both come to the same, the day is decided
    at_least = hit(n, m, total, bool(there) or unknown > 0)
    at_most = hit(n + unknown, m + unknown, total, bool(there))
    return [Day(Fraction(int(at_least)), one if at_least == at_most else Fraction(0), ends)]


def _sessions(count: Count, roll: Roll, s: int) -> Fraction:
    half = Fraction(1, count.per_day or 1) if count.unit == "days" else Fraction(1)
    if count.per_day is None:
        return Fraction(roll.minutes[0] // 60) if roll.sessions == 1 else half
    if roll.sessions == 1:
        return half * count.per_day
    return half if s % (roll.sessions // count.per_day) == 0 else Fraction(0)


def _month_back(at: date, months: int) -> date:
    """The same day of an earlier month, or its last."""
    year, month = at.year, at.month
    for _ in range(months):
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
    d = at.day
    while True:
        try:
            return date(year, month, d)
        except ValueError:
            d -= 1


class Calendar:
    """School days in a row, each of a school year."""

    def __init__(self, rolls: list[Roll]) -> None:
        self.year = {d: r.year for r in rolls for d in r.squares}
        self.days = sorted(self.year)
        self.terms = {r.year: r.terms for r in rolls}
        self.weeks: list[date] = sorted({d - timedelta(days=d.weekday()) for d in self.days})

    def latest(self, at: date) -> date:
        """The last school day on or before a day; before all of them, the first."""
        return self.days[max(bisect_right(self.days, at) - 1, 0)]

    def week(self, at: date) -> int:
        d = self.latest(at)
        return self.weeks.index(d - timedelta(days=d.weekday()))

    def within(self, window: Window, at: date) -> Callable[[date], bool]:
        """Whether a school day counts together with day `at`."""
        kind, length = window.kind, window.length or 1
        this = self.year[self.latest(at)]
        rolling = kind.startswith("rolling")

        def asked(d: date) -> bool:
            if d > at or (not window.across_years and self.year[d] != this):
                return False
            if kind in ("school_year", "since_enrolment"):
                return self.year[d] == this
            if kind == "consecutive":
                return True
            if kind == "calendar_month":
                return (d.year, d.month) == (at.year, at.month)
            if kind in ("semester", "quarter", "term"):
                return any(a <= d and a <= at <= b for a, b in periods(kind, self.terms[this]))
            if kind == "school_month":
                first = self.week(next(x for x in self.days if self.year[x] == this))
                return self.year[d] == this and (self.week(d) - first) // length == (self.week(at) - first) // length
            if kind == "rolling_calendar_days":
                return (at - d).days < length
            if kind == "rolling_school_days":
                return sum(d < x <= at for x in self.days) < length
            if kind == "rolling_school_weeks":
                return self.week(at) - self.week(d) < length
            return d > _month_back(at, length * (12 if kind == "rolling_years" else 1))

        assert rolling or kind in (
            "school_year",
            "since_enrolment",
            "consecutive",
            "calendar_month",
            "semester",
            "quarter",
            "term",
            "school_month",
        )
        return asked


def periods(kind: str, terms: tuple[tuple[date, date], ...]) -> list[tuple[date, date]]:
    if kind == "semester" and len(terms) == 4:
        return [(terms[0][0], terms[1][1]), (terms[2][0], terms[3][1])]
    return list(terms)


def _fresh(window: Window, calendar: Calendar, earlier: date, at: date) -> bool:
    """Whether a window that begins with nothing began after `earlier`."""
    sliding = window.kind.startswith("rolling") and not (
        window.length == 1 and window.kind in ("rolling_calendar_days", "rolling_school_days", "rolling_school_weeks")
    )
    if sliding or window.kind == "consecutive":
        return False
    return not calendar.within(window, at)(earlier)


def ask(
    count: Count, rule: Rule, rolls: list[Roll], as_of: date, *, grade: str = "", entered: date | None = None,
    after: date | None = None, done: bool = True,
) -> Answer:  # fmt: skip
    """Where one student stands under one rule that counts marks. Later rolls speak for a day that two have.

    after   only days after it count; done=False: what they begin with was not done
    """
    calendar = Calendar(rolls)
    speaks: dict[date, Roll] = {}
    for roll in rolls:
        for d, squares in roll.squares.items():
            if d not in speaks or set(squares) != {"#"}:
                speaks[d] = roll
    come = [d for d in calendar.days if d <= as_of]

    def gone(d: date) -> int:
        return (
            (as_of - d).days if count.grace_unit == "calendar_days" else sum(d < x <= as_of for x in speaks[d].squares)
        )

    made = {d: day(count, speaks[d], d, gone(d)) for d in come}
    window, t = rule.window, rule.threshold
    this = calendar.year[calendar.latest(as_of)]
    own = [d for d in calendar.days if calendar.year[d] == this]
    if entered is None:
        entered = next(
            (d for d in own if any(r.year == this and set(r.squares.get(d, "#")) != {"#"} for r in rolls)), own[0]
        )

    def allowed(d: date) -> bool:
        since = entered if window.kind == "since_enrolment" else None
        return done and (since is None or d >= since) and (after is None or d > after)

    def reached(c: Fraction, p: Fraction) -> bool:
        if t.share is not None and t.of == "possible":
            if not p or p < t.minimum:
                return False
            left, line = c / p, Fraction(t.share)
        else:
            left, line = c, Fraction(t.share) * window.length if t.share is not None else t.count_for(grade)
        return left > line if t.op == ">" else left >= line

    if window.kind == "consecutive":
        return _runs(rule, calendar, come, made, own, allowed, reached, count)

    def upto(at: date) -> tuple[Fraction, Fraction]:
        inside = calendar.within(window, at)
        some = [x for d in come if d <= at and allowed(d) and inside(d) for x in made[d]]
        return sum((x.counted for x in some), Fraction(0)), sum((x.possible for x in some), Fraction(0))

    fired: list[date] = []
    carried, before, yesterday = None, False, None
    for d in come:
        if calendar.year[d] != this and not window.across_years:
            continue
        now = reached(*upto(d))
        anew = yesterday is not None and _fresh(window, calendar, yesterday, d)
        if now and (not before or anew):
            carried = d
        if now and d in own and (carried == d or d == own[0]):
            fired.append(carried or d)
        before, yesterday = now, d
    return Answer(*upto(as_of), fired)


def due_by_count(
    count: Count, rule: Rule, rolls: list[Roll], as_of: date, firing: date, n: Fraction, *, entered: date | None = None
) -> tuple[date | None, Fraction | None]:
    """The day the count came to n in the window the line was reached in, or how many more it takes; neither once that has passed."""
    calendar = Calendar(rolls)
    come = [d for d in calendar.days if firing <= d <= as_of]
    for d in come:
        if _fresh(rule.window, calendar, firing, d):
            return None, None
        if ask(count, rule, rolls, d, entered=entered).count >= n:
            return d, None
    if _fresh(rule.window, calendar, firing, as_of):
        return None, None
    return None, n - ask(count, rule, rolls, come[-1], entered=entered).count


def _runs(rule, calendar, come, made, own, allowed, reached, count) -> Answer:  # type: ignore[no-untyped-def]
    """Consecutive: absence uninterrupted by attendance (or by any day that does not count)."""
    by_square = count.strategy in ("sessions", "accumulate_minutes")
    c = p = Fraction(0)
    before, fired, carried, last_year = False, [], None, None
    for d in come:
        if not rule.window.across_years and last_year not in (None, calendar.year[d]):
            c = p = Fraction(0)
            before = False
        last_year = calendar.year[d]
        assert by_square or len(made[d]) == 1
        for k, x in enumerate(made[d]):
            if "before" in x.ends or (rule.window.broken_by == "any_other_day" and x.possible and not x.counted):
                c = p = Fraction(0)
                before = False
            if allowed(d):
                c, p = c + x.counted, p + x.possible
            if rule.window.across_years or d in own:
                now = reached(c, p)
                if now and not before:
                    carried = d
                if now and d in own and (not before or (d == own[0] and k == 0)):
                    fired.append(carried)
                before = now
            if "after" in x.ends:
                c = p = Fraction(0)
                before = False
    return Answer(c, p, fired)
