"""Each signal: its name, its unit, and what it means in plain words. The docs and `watch` read it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOG", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    unit: str
    meaning: str


CATALOG: tuple[Entry, ...] = (
    Entry("counts", "school days", "Days possible, absent, unauthorised, pending, late and part, in the last 5, 10, 20 and 40 school days and the year."),
    Entry("possible_squares, missed_squares", "sessions", "Sessions of the year this student was expected in and known, and those missed."),
    Entry("streak", "school days", "Days away in a row up to the last day known."),
    Entry("days_since_seen", "school days", "School days since this student was last in any session."),
    Entry("spells, longest_spell", "spells; school days", "How often an absence began this year, and how long the longest lasted."),
    Entry("baseline", "share of days", "What is usual for this student: last year and this year before the last 20 days, pooled toward the group."),
    Entry("break_score", "log-likelihood ratio", "How far the last 20 days speak for a break from the usual, the school's own bad days taken out."),
    Entry("weekday", "Monday is 0", "The weekday this student misses most out of line, tested against chance for their own number of absences."),
    Entry("late_before", "school days", "Late days in the 20 days before the last 20, to set the last 20 against."),
    Entry("oldest_pending", "day", "The first absence that nobody has explained yet."),
    Entry("skipped", "days of the last 10", "In school, then away without leave later the same day."),
    Entry("first_only, last_only", "days of the last 20", "Only the first, or only the last session missed."),
    Entry("unknown_recent", "days of the last 5", "Days with an expected session nobody knows about: a roll not taken."),
)  # fmt: skip
