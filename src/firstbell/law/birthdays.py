"""Whom a birthday moves: who came of a rule's age within the days asked about, or grew out of it. What is asked of many at once knows no age,
and of these few it is asked again, one by one, as the clock asks it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from firstbell.law.packs import Ages, InForce, Pack, Rule
from firstbell.law.reaching import asked_of, counted
from firstbell.law.timeline import Timeline
from firstbell.law.whom import age, days_of_age

__all__ = ["ages_of", "reached_on", "turned"]


def ages_of(rule: Rule, pack: Pack) -> Ages | None:
    """The ages on whose days a rule counts; of one that asks for the age at the step, those of compulsory school."""
    own = rule.applies.ages
    return pack.ages if own is None or own.of == "step" else own


def turned(ages: Ages, birth: date, line: Timeline) -> bool:
    """Whether a birthday between the first of the days and now makes a student of the age, or no longer of it."""
    first, now = age(birth, line.frame.day(0)), age(birth, line.as_of)
    return any(first < years <= now for years in (ages.from_, ages.under))


def reached_on(
    line: Timeline, rule: Rule, version: InForce, law: Sequence[InForce], grade: str, birth: date
) -> list[date]:
    """The days one student's line was reached on, of those on which they were of the rule's age."""
    ages = ages_of(rule, version.pack)
    assert ages is not None
    first, end = days_of_age(ages, birth, line)
    after = None if rule.threshold.share is not None else np.full(line.n, first, dtype=np.int64)
    asked = asked_of(rule, version, law, line, [grade], after)
    columns = [column // asked.width for column, *_ in counted(asked, 0).fired]
    return [line.frame.day(column) for column in columns if first <= column < end]
