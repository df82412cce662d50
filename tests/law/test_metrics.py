"""Rates, where the packs' examples do not reach."""

from __future__ import annotations

from fractions import Fraction

from firstbell.law.metrics import measure
from firstbell.law.packs import Count, Metric
from tests.law.draw import a_line

ABSENT = Count(strategy="min_fraction_present", marks=("unexcused", "excused"), pending="counts")


def test_a_student_is_a_member_on_a_day_the_roll_was_not_taken() -> None:
    adm = Metric(id="adm", title="ADM", source="§ 1", count=ABSENT, per="calendar_days", show="enrolled")
    line = a_line("PP_UP PPPPP", "###UP PP_PP")
    assert [measure(adm, line, row).share for row in (0, 1)] == [1, Fraction(7, 10)]


def test_a_day_nobody_knows_is_in_neither_part_of_a_rate() -> None:
    rate = Metric(id="rate", title="missed", source="§ 1", count=ABSENT)
    measured = measure(rate, a_line("PP_UP"), 0)
    assert (measured.part, measured.possible, measured.share) == (1, 4, Fraction(1, 4))
