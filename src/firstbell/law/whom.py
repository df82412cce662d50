"""Whom a rule is about: the ages, grades and flags it names. An age is of a day: the day that was missed, or the day a step is taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from firstbell.law.packs import Ages, Pack, Rule
from firstbell.law.sentences import named
from firstbell.law.timeline import Timeline
from firstbell.said import Said, said

__all__ = ["Person", "about_flags", "age", "ages_of", "applies", "days_of_age", "of_another_age", "of_others", "turned"]


@dataclass(frozen=True, slots=True)
class Person:
    birth_date: date | None = None
    grade: str = ""
    flags: frozenset[str] = frozenset()
    parents: tuple[str, ...] = ()  # names, or whatever tells them apart, as `Evidence.to` has them


def age(birth: date, at: date) -> int:
    """Whole years; who is born on 29 February has a birthday on 1 March of other years.

    >>> age(date(2012, 2, 29), date(2026, 2, 28)), age(date(2012, 2, 29), date(2026, 3, 1))
    (13, 14)
    """
    return at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day))


def _birthday(birth: date, years: int) -> date:
    try:
        return birth.replace(year=birth.year + years)
    except ValueError:  # 29 February
        return date(birth.year + years, 3, 1)


def days_of_age(ages: Ages, birth: date, line: Timeline) -> tuple[int, int]:
    """The columns on whose days a student was of the age: from the first to, not including, the second."""
    frame, begin, end = line.frame, 0, 0
    of_age, grown = _birthday(birth, ages.from_), _birthday(birth, ages.under)
    for year in np.unique(frame.year).tolist():
        first, last = frame.year_span(year)
        days = frame.dates[first : last + 1]
        young = int(np.searchsorted(days, np.datetime64(of_age)))
        if ages.by:
            by = _by(ages, frame.day(first))
            young = 0 if of_age <= by else len(days) if ages.cut_off else young
        begin += young
        if ages.until == "school_year_end":
            end += len(days) if frame.day(first) < grown else 0
        else:
            end += int(np.searchsorted(days, np.datetime64(grown)))
    return begin, end


def ages_of(rule: Rule, pack: Pack) -> Ages | None:
    """The ages on whose days a rule counts; of one that asks for the age at the step, those of compulsory school."""
    own = rule.applies.ages
    return pack.ages if own is None or own.of == "step" else own


def turned(ages: Ages, birth: date, line: Timeline) -> bool:
    """Whether a birthday between the first of the days and now makes a student of the age, or no longer of it."""
    first, now = age(birth, line.frame.day(0)), age(birth, line.as_of)
    return any(first < years <= now for years in (ages.from_, ages.under))


def _by(ages: Ages, first: date) -> date:
    """The day by which who comes of age is of age from the year's beginning; the second half of a calendar year is where a school year begins."""
    month, day = map(int, ages.by.split("-"))
    return date(first.year + (month < 7), month, day)


def _of_age(ages: Ages, birth: date, at: date, year: tuple[date, date]) -> bool:
    begins = at if not ages.by else _by(ages, year[0]) if ages.cut_off else max(at, _by(ages, year[0]))
    ends = year[0] if ages.until == "school_year_end" else at
    return age(birth, begins) >= ages.from_ and age(birth, ends) < ages.under


def applies(rule: Rule, pack: Pack, person: Person, at: date, year: tuple[date, date]) -> str:
    """Why a rule is not about this student on a day; empty where it is. year: first and last day of the school year."""
    return of_another_age(rule, pack, person, at, year) or of_others(rule, person)


def of_another_age(rule: Rule, pack: Pack, person: Person, at: date, year: tuple[date, date]) -> str:
    """`applies`, of the age alone."""
    ages = rule.applies.ages or pack.ages
    if ages is not None and person.birth_date is None and pack.ages is not None and ages.from_ >= pack.ages.under:
        return said(  # who is enrolled is of compulsory age, unless it is known otherwise
            "The rule is about ages %(first)s to %(last)s, and no birth date is on record.", first=ages.from_, last=ages.under - 1
        )  # fmt: skip
    if ages is None or person.birth_date is None or _of_age(ages, person.birth_date, at, year):
        return ""
    return said(
        "The rule is about ages %(first)s to %(last)s; this student is %(age)s.",
        first=ages.from_, last=ages.under - 1, age=age(person.birth_date, at),
    )  # fmt: skip


def about_flags(why: str) -> bool:
    """Whether a reason given here says what protects a student, or that nothing does."""
    return isinstance(why, Said) and "flags" in why.values


def of_others(rule: Rule, person: Person) -> str:
    """`applies`, of everything but the age."""
    if rule.applies.grades and person.grade not in rule.applies.grades:
        return said("The rule is about grades %(grades)s.", grades=list(rule.applies.grades))
    if rule.applies.flags and not person.flags & set(rule.applies.flags):
        return said("The rule is about students with: %(flags)s.", flags=[named(f) for f in rule.applies.flags])
    if kept := person.flags & set(rule.applies.not_flags):
        return said("The rule is not about students with: %(flags)s.", flags=[named(f) for f in sorted(kept)])
    return ""
