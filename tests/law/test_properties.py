"""What holds for every history and every rule: the kernel counts as a slow reader of the statute does (`naive`), and a mark more never
means a day less."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.law import packs, scenario
from firstbell.law.clock import Evidence, Status, positions
from firstbell.law.days import Stretch
from firstbell.law.packs import Applies, Count, Deadline, Duty, Rule, Threshold
from firstbell.law.reaching import standings
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person
from tests.law import naive
from tests.law.draw import a_pack, a_rule, in_force

STRATEGIES, KINDS = get_args(packs.Strategy), get_args(packs.WindowKind)
LETTERS = "PPPPPPUUUUUEENNTTLHtlhXSIFR#__"
LENGTHS = {
    "school_month": (1, 2), "rolling_calendar_days": (1, 7, 28), "rolling_school_days": (1, 4, 20), "rolling_school_weeks": (1, 3),
    "rolling_months": (1, 2), "rolling_years": (1,),
}  # fmt: skip


@dataclass
class Story:
    """Students through two school years, in which they may change school, and one rule."""

    count: Count
    rule: Rule
    rolls: list[list[naive.Roll]]  # of each student
    as_of: date
    entered: list[date] | None = None
    notice: date | None = None

    @property
    def line(self) -> Timeline:
        entered = None if self.entered is None else np.array(self.entered, dtype="datetime64[D]")
        return Timeline([_stretch([r[k] for r in self.rolls]) for k in range(len(self.rolls[0]))], self.as_of, entered)


def _stretch(rolls: list[naive.Roll]) -> Stretch:
    one = rolls[0]
    codes = np.array([list("".join(r.squares.values()).encode("ascii")) for r in rolls], dtype=np.uint8)
    missed = np.array([[m for d in r.squares for m in r.missed[d]] for r in rolls], dtype=np.uint16)
    return Stretch(
        "", one.year, np.array(list(one.squares), dtype="datetime64[D]"), one.sessions, codes, missed, one.minutes, one.terms
    )  # fmt: skip


@st.composite
def stories(draw: Any, strategy: str, kind: str) -> Story:
    pick = random.Random(draw(st.integers(0, 2**32)))
    marks = tuple(sorted({"unexcused", *pick.sample([m for m in naive.LETTER if m != "pending"], pick.randint(0, 4))}))
    per_day = pick.choice((None, 1, 2)) if strategy == "sessions" else None
    count = Count(
        strategy=strategy, marks=marks, pending=pick.choice(("counts", "after_grace", "never")), grace=pick.randint(0, 3), grace_unit=pick.choice(("school_days", "school_days", "calendar_days")),
        minutes_over=pick.choice((None, None, 0, 30)), missed=pick.choice(("1/2", "1/3", "0.75")), periods=pick.randint(1, 3),
        session=pick.randint(1, 3), per_day=per_day, unit=pick.choice(("days", "sessions")) if per_day else "sessions",
    )  # fmt: skip
    line = Threshold(op=pick.choice((">=", ">")), count=pick.choice((1, 2, 3, "5/2", 5)))
    if pick.random() < 0.4:
        line = Threshold(op=line.op, share=pick.choice(("1/10", "1/3", "0.05")), minimum=pick.choice((0, 3)))
        if kind == "rolling_school_days" and pick.random() < 0.5:
            line = Threshold(op=line.op, share="1/4", of="window")
    rule = a_rule(
        kind, line, length=pick.choice(LENGTHS[kind]) if kind in LENGTHS else None,
        across_years=kind not in ("school_year", "since_enrolment") and pick.random() < 0.4,
        broken_by=pick.choice(("attendance", "any_other_day")), after_evidence="notice" if pick.random() < 0.15 else "",
    )  # fmt: skip

    first, years = date(2023, 12, 1) + timedelta(days=pick.randint(0, 80)), []
    for _ in range(2):
        days = [first]
        for _ in range(pick.randint(8, 18)):
            days.append(days[-1] + timedelta(days=pick.choice((1, 1, 1, 1, 3, 4, 10))))
        years.append(days)
        first = days[-1] + timedelta(days=pick.choice((3, 12, 40)))
    many = 4 if kind == "quarter" else pick.choice((2, 4)) if kind == "semester" else pick.randint(1, 4)
    shape = [pick.choice((1, 2, 4)) for _ in range(3)]
    if kind == "consecutive" and pick.random() < 0.5:
        shape = [shape[0]] * 3
    rolls: list[list[naive.Roll]] = []
    for _ in range(pick.randint(1, 3)):
        rolls.append([])
        leaves, comes = sorted((pick.randrange(len(years[1])), pick.randrange(len(years[1]))), reverse=True)
        for k, (year, days) in enumerate(((0, years[0]), (1, years[1]), (1, years[1]))):
            n = shape[k]
            squares = {d: "".join(pick.choice(LETTERS) for _ in range(n)).replace("_", " ") for d in days}
            if k == 1:
                squares = {d: "#" * n if i > leaves else q for i, (d, q) in enumerate(squares.items())}
            elif k == 2:  # for some days both schools have them
                squares = {d: "#" * n if i < comes else q for i, (d, q) in enumerate(squares.items())}
            missed = {d: tuple(pick.choice((0, 20, 31, 60)) if q in "TLHtlh" else 0 for q in squares[d]) for d in days}
            rolls[-1].append(
                naive.Roll(year, n, ((300,), (180, 120), (30, 90, 90, 90))[n // 2], squares, missed, _terms(days, many))
            )
    if pick.random() < 0.3:
        rolls = [r[:2] for r in rolls]
    as_of = min(years[1][-1], years[1][0] + timedelta(days=pick.randint(-4, 70))) + timedelta(
        days=pick.choice((0, 0, 0, 5))
    )
    story = Story(count, rule, rolls, as_of)
    if pick.random() < 0.3:
        story.entered = [pick.choice(years[1]) for _ in rolls]
    if rule.window.after_evidence and pick.random() < 0.7:
        story.notice = pick.choice(years[1])
    return story


def _terms(days: list[date], many: int) -> tuple[tuple[date, date], ...]:
    """Terms of a year, which leave some days out between them."""
    cuts = [round(k * len(days) / many) for k in range(many + 1)]
    return tuple((days[a], days[max(b - 1 - (b - a > 3), a)]) for a, b in zip(cuts, cuts[1:], strict=False))


def _asked(story: Story, rows: list[int] | None = None) -> list[tuple[Fraction, Fraction, list[date]]]:
    """(count, possible, days reached) of each student, one at a time."""
    line = story.line
    law = [in_force(a_pack(story.rule, count=story.count), line)]
    evidence = [] if story.notice is None else [Evidence("notice", story.notice)]
    found = []
    for row in range(line.n) if rows is None else rows:
        (p,) = positions(line, row, Person(), law, evidence)
        assert p.status != "not_evaluable", p.why
        found.append((p.count, p.possible, [f.on for f in p.firings]))
    return found


def _naive(story: Story, row: int) -> naive.Answer:
    calendar = naive.Calendar(story.rolls[row])
    this = calendar.year[calendar.latest(story.as_of)]
    began = next(d for d in calendar.days if calendar.year[d] == this)
    told = story.notice if story.notice is not None and began <= story.notice <= story.as_of else None
    return naive.ask(
        story.count, story.rule, story.rolls[row], story.as_of, entered=None if story.entered is None else story.entered[row],
        after=told, done=not story.rule.window.after_evidence or told is not None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_kernel_counts_as_a_slow_reader_of_the_statute_does(strategy: str, kind: str) -> None:
    @settings(max_examples=6)
    @given(stories(strategy, kind))
    def every(story: Story) -> None:
        line = story.line
        single = _asked(story)
        law = [in_force(a_pack(story.rule, count=story.count), line)]
        after = {}
        if story.notice is not None and story.notice <= story.as_of and story.notice >= line.frame.day(line.first):
            after = {"rule": [(row, story.notice, "") for row in range(line.n)]}
        (many,) = standings(line, [""] * line.n, law, after)
        for row, (count, possible, fired) in enumerate(single):
            slow = _naive(story, row)
            assert (count, fired) == (slow.count, slow.reached)
            assert possible is None or possible == slow.possible
            assert (many.unit * int(many.count[row]), many.unit * int(many.possible[row])) == (
                slow.count,
                slow.possible,
            )
            assert many.first[row].astype(object) == (slow.reached[0] if slow.reached else None)
            assert many.last[row].astype(object) == (slow.reached[-1] if slow.reached else None)

    every()


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "consecutive"])
def test_a_deadline_by_a_count_falls_where_a_slow_reader_finds_it(kind: str) -> None:
    @settings(max_examples=8)
    @given(stories("full_day_only", kind), st.integers(2, 5))
    def every(story: Story, n: int) -> None:
        if story.rule.window.after_evidence or story.count.pending == "after_grace":
            return
        line = story.line
        duty = Duty(kind="plan", title="a plan", deadline=Deadline(value=n, unit="counted"))
        rule = msgspec.structs.replace(story.rule, duty=duty, applies=Applies())
        law = [in_force(a_pack(rule, count=story.count), line)]
        for row in range(line.n):
            (p,) = positions(line, row, Person(), law)
            if p.fired_on is not None:
                entered = None if story.entered is None else story.entered[row]
                assert (p.due, p.due_in) == naive.due_by_count(
                    story.count, rule, story.rolls[row], story.as_of, p.fired_on, Fraction(n), entered=entered
                )

    every()


ANY_STORY = st.tuples(st.sampled_from(STRATEGIES), st.sampled_from(KINDS)).flatmap(lambda both: stories(*both))


def _with(story: Story, change: Any) -> Story:
    """The same story with one mark said otherwise: of a known day, at the school that speaks for it."""
    found = replace(story, rolls=[list(r) for r in story.rolls])
    for row, rolls in enumerate(found.rolls):
        for k, roll in enumerate(rolls):
            found.rolls[row][k] = change(roll)
    return found


def _mark(roll: naive.Roll, at: date, session: int, letter: str, minutes: int = 0) -> naive.Roll:
    if at not in roll.squares or session >= roll.sessions or roll.squares[at][session] == "#":
        return roll
    squares, missed = dict(roll.squares), dict(roll.missed)
    squares[at] = squares[at][:session] + letter + squares[at][session + 1 :]
    missed[at] = (*missed[at][:session], minutes, *missed[at][session + 1 :])
    return replace(roll, squares=squares, missed=missed)


@settings(max_examples=80)
@given(ANY_STORY, st.data())
def test_one_absence_more_never_lowers_a_count(story: Story, data: Any) -> None:
    days = [d for r in story.rolls[0] for d in r.squares if d <= story.as_of]
    at, session = data.draw(st.sampled_from(sorted(set(days)) or [story.as_of])), data.draw(st.integers(0, 3))

    def absent(roll: naive.Roll) -> naive.Roll:
        # who came late can have missed more minutes that count than a short session has: only from present
        there = at in roll.squares and session < roll.sessions and roll.squares[at][session] in "PFRI_ "
        return _mark(roll, at, session, "U") if there else roll

    for (before, _, _), (after, _, _) in zip(_asked(story), _asked(_with(story, absent)), strict=True):
        assert after >= before


@settings(max_examples=50)
@given(ANY_STORY)
def test_what_nobody_knows_is_neither_present_nor_absent(story: Story) -> None:
    """A count is what it would be had all of it been attended, and a day that all of it would decide was not possible yet."""

    def all_of_it(letter: str) -> Story:
        def told(roll: naive.Roll) -> naive.Roll:
            return replace(roll, squares={d: q.replace(" ", letter) for d, q in roll.squares.items()})

        return _with(story, told)

    if story.count.strategy == "min_fraction_present" or story.rule.window.kind == "consecutive":
        return  # the one is of what is known; the other ends where the student was seen
    now, present, missed = _asked(story), _asked(all_of_it("P")), _asked(all_of_it("U"))
    for (n, possible, _), (p, possible_p, _), (m, possible_m, _) in zip(now, present, missed, strict=True):
        assert p == n <= m
        if possible is not None:
            assert possible <= possible_p == possible_m
            assert possible - n <= possible_p - p  # nor was more attended than was seen


@settings(max_examples=50)
@given(ANY_STORY, st.sampled_from("PUE "))
def test_no_day_is_judged_by_what_came_after_it(story: Story, letter: str) -> None:
    def later(roll: naive.Roll) -> naive.Roll:
        return replace(roll, squares={d: q if d <= story.as_of else letter * len(q) for d, q in roll.squares.items()})

    # when a student comes who has not come yet cannot be told from the squares
    came = story.entered or [min(d for r in rolls[1:] for d in r.squares) for rolls in story.rolls]
    story = replace(story, entered=came)
    assert _asked(story) == _asked(_with(story, later))


@settings(max_examples=50)
@given(ANY_STORY)
def test_a_student_among_others_stands_where_the_student_alone_does(story: Story) -> None:
    for row, together in enumerate(_asked(story)):
        alone = replace(
            story, rolls=[story.rolls[row]], entered=None if story.entered is None else [story.entered[row]]
        )
        assert _asked(alone) == [together]


@settings(max_examples=50)
@given(ANY_STORY, st.integers(0, 60))
def test_a_new_version_that_says_the_same_changes_no_count(story: Story, days: int) -> None:
    line = story.line
    whole = in_force(a_pack(story.rule, count=story.count), line)
    turn = min(line.frame.day(0) + timedelta(days=days), line.as_of)
    if turn <= whole.first:
        return
    halves = [
        packs.InForce(whole.pack, whole.first, turn - timedelta(days=1)),
        packs.InForce(a_pack(story.rule, count=story.count, begins=turn), turn, line.as_of),
    ]
    after = {}
    if story.notice is not None:
        after = {"rule": [(row, story.notice, "") for row in range(line.n)]}
    (one,) = standings(line, [""] * line.n, [whole], after)
    *_, two = standings(line, [""] * line.n, halves, after)
    assert (one.count.tolist(), one.possible.tolist()) == (two.count.tolist(), two.possible.tolist())


@settings(max_examples=150)
@given(ANY_STORY, st.lists(st.integers(0, 40), min_size=1, max_size=3), st.sampled_from(("window", "year")))
def test_a_year_cut_into_versions_that_say_the_same_reaches_no_line_more_and_none_less(
    story: Story, days: list[int], once: str
) -> None:
    line = story.line
    pack = a_pack(msgspec.structs.replace(story.rule, once=once), count=story.count)
    whole = in_force(pack, line)
    begins, evidence = line.frame.day(line.first), [] if story.notice is None else [Evidence("notice", story.notice)]
    turns = [
        whole.first,
        *sorted({begins + timedelta(days=d) for d in days if begins < begins + timedelta(days=d) <= line.as_of}),
    ]
    ends = [turn - timedelta(days=1) for turn in turns[1:]]
    parts = [packs.InForce(pack, a, b) for a, b in zip(turns, [*ends, whole.last], strict=True)]
    after = {} if story.notice is None else {"rule": [(row, story.notice, "") for row in range(line.n)]}
    (one,), many = standings(line, [""] * line.n, [whole], after), standings(line, [""] * line.n, parts, after)
    assert one.times.tolist() == sum(part.times for part in many).tolist()
    assert one.seal.tolist() == sum(part.seal for part in many).tolist()
    for row in range(line.n):
        (said,), told = (positions(line, row, Person(), law, evidence) for law in ([whole], parts))
        assert [f for p in told for f in p.firings] == list(said.firings)
        now = told[-1]
        assert (now.count, now.possible, now.marks, now.window) == (said.count, said.possible, said.marks, said.window)
        assert (now.status in (Status.CLEAR, Status.NEAR)) == (said.status in (Status.CLEAR, Status.NEAR))
        assert now.remaining == said.remaining


MARKS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(("unexcused", "excused", "present", "tardy", "unknown")), st.integers(0, 30)),
    min_size=3, max_size=14, unique_by=lambda m: m[2],
)  # fmt: skip


@settings(max_examples=25)
@given(MARKS, st.randoms(use_true_random=False))
def test_the_same_marks_recorded_in_any_order_give_the_same_positions(
    marks: list[tuple[int, str, int]], pick: random.Random
) -> None:
    said = [
        scenario.MarkTable(
            kind=kind, date=date(2026, 9, 7) + timedelta(days=day + day // 5 * 2), recorded_at=datetime(2026, 9, 22, 8, minute)
        )
        for day, kind, minute in marks
    ]  # fmt: skip
    other = list(said)
    pick.shuffle(other)

    def asked(some: list[scenario.MarkTable]) -> dict[str, Any]:
        return scenario.told(
            scenario.ask(
                scenario.Scenario(
                    pack="example", as_of=date(2026, 9, 30), mark=tuple(some), student=scenario.StudentTable(grade="05"),
                    calendar=scenario.CalendarTable(first=date(2026, 9, 7), last=date(2027, 5, 28)),
                )
            )
        )  # fmt: skip

    assert asked(said) == asked(other)
