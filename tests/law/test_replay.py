"""Rules over a year that is known, worked by hand from registers drawn in letters."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from firstbell.law.days import Stretch
from firstbell.law.packs import InForce, Pack, read_pack
from firstbell.law.replay import NOT_TOLD, Replayed, reached_by, replayed
from firstbell.law.timeline import Timeline
from firstbell.law.whom import Person

MONDAY = date(2026, 8, 31)
HEAD = """id = "home"
jurisdiction = "HOME"
title = "Home"
effective_from = 2025-08-01
source = [{ id = "law", citation = "Home Code 1" }]
[counts.each]
strategy = "full_day_only"
marks = ["unexcused"]
[counts.away]
strategy = "full_day_only"
marks = ["unexcused", "excused"]
"""
RULE = """[[rule]]
id = "{id}"
title = "A line"
source = "law"
count = "{count}"
threshold = {threshold}
window = {window}
{more}
"""


def pack(*rules: dict[str, str]) -> Pack:
    usual = {"id": "r", "count": "each", "threshold": "{ count = 3 }", "window": '{ kind = "school_year" }', "more": ""}
    return read_pack(HEAD + "".join(RULE.format(**{**usual, **r}) for r in rules), "home")


def line(*squares: str, as_of: date | None = None) -> Timeline:
    rows = [s.replace(" ", "") for s in squares]
    weeks = len(rows[0]) // 5
    days = [MONDAY + timedelta(days=7 * w + d) for w in range(weeks) for d in range(5)]
    codes = np.array([[ord(c) for c in row] for row in rows], dtype=np.uint8)
    return Timeline([Stretch("a", 2027, np.array(days, dtype="datetime64[D]"), 1, codes)], as_of or days[-1])


def asked(drawn: Timeline, *rules: dict[str, str], people: list[Person] | None = None) -> list[Replayed]:
    made = pack(*rules)
    law = InForce(made, MONDAY, drawn.as_of)
    return replayed(drawn, people or [Person(grade="03")] * drawn.n, law)


def told(found: Replayed) -> list[tuple[int, str, int]]:
    return [(int(r), str(d), int(n)) for r, d, n in zip(found.row, found.on, found.lead, strict=True)]


def test_the_day_a_line_is_reached_and_how_long_before_it_was_near() -> None:
    """MTWTF MTWTF
    Ana    UPPPP UPUPP   near with one (two are left) on the first Monday; the third on the second Wednesday: seven school days
    Bo     PUPPP PPPUP   two in all
    """
    (found,) = asked(line("UPPPP UPUPP", "PUPPP PPPUP"), {})
    assert told(found) == [(0, "2026-09-09", 7)]


def test_with_less_warning_asked_for_the_lead_is_shorter() -> None:
    (found,) = asked(line("UPPPP UPUPP"), {"more": "near = 1"})
    assert told(found) == [(0, "2026-09-09", 2)]
    (found,) = asked(line("UPPPP UPUPP"), {"more": "near = 0"})
    assert told(found) == [(0, "2026-09-09", NOT_TOLD)]


def test_a_line_reached_again_counts_again_unless_the_rule_asks_once_a_year() -> None:
    """Three within five calendar days, in four weeks out of six."""
    window = {"window": '{ kind = "rolling_calendar_days", length = 5 }'}
    drawn = line("UUUPP PPPPP UUUPP UUUPP PPPPP UUUPP")
    (found,) = asked(drawn, window)
    assert [d for _r, d, _n in told(found)] == ["2026-09-02", "2026-09-16", "2026-09-23", "2026-10-07"]
    (found,) = asked(drawn, {**window, "more": 'once = "year"'})
    assert [d for _r, d, _n in told(found)] == ["2026-09-02"]


def test_of_a_share_near_is_by_what_the_year_will_come_to() -> None:
    """MTWTF MTWTF MTWTF MTWTF   a tenth of 20 days is 2; once 10 were possible
    Ana    UPPPP PPPPP UPPPP PPPPP   near with the first (one is left); a tenth is reached on the tenth day: nine school days
    """
    (found,) = asked(
        line("UPPPP PPPPP UPPPP PPPPP"), {"count": "away", "threshold": '{ share = "1/10", minimum = 10 }'}
    )
    assert told(found) == [(0, "2026-09-11", 9)]


def test_somebody_too_old_or_of_another_grade_is_not_counted() -> None:
    drawn = line("UUUPP", "UUUPP", "UUUPP")
    people = [Person(grade="03"), Person(grade="12"), Person(date(2010, 9, 2), "03")]
    (found,) = asked(drawn, {"more": 'applies = { grades = ["03"], ages = { from = 6, under = 16 } }'}, people=people)
    assert [r for r, _d, _n in told(found)] == [0]  # the third turned 16 on the very day


def test_what_cannot_be_replayed_says_why() -> None:
    drawn = line("UUUPP")
    (semester,) = asked(drawn, {"window": '{ kind = "semester" }'})
    assert "semester" in semester.why


def test_who_had_reached_a_line_by_an_evening() -> None:
    early = line("UUUPP PPPPP", "UUPPP UPPPP", as_of=date(2026, 9, 4))
    law = InForce(pack({}), MONDAY, date(2026, 9, 11))
    assert reached_by(early, [Person(grade="03")] * 2, law)["r"].tolist() == [True, False]
