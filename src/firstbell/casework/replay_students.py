"""Who is reached in a replay, one student and rule at a time: the days under the tried law and under the one in force, and how far apart the first are."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from firstbell.casework.replay_document import Side
from firstbell.intake.report import harmless
from firstbell.law.packs import Rule
from firstbell.law.replay import NOT_TOLD
from firstbell.register.models import School

__all__ = ["Difference", "Met", "met", "students_csv"]


class Difference(StrEnum):
    """The tried law beside the one in force, by the first day each has the line reached."""

    EARLIER = "earlier"
    LATER = "later"
    SAME_DAY = "same day"
    ONLY_TRIED = "only tried"
    ONLY_IN_FORCE = "only in force"
    ALONE = "no such rule beside it"


@dataclass(frozen=True, slots=True)
class Met:
    """A student whose line was reached under either law.

    school           where they were last that year: they count with it
    tried, in_force  (day, school days of lead), in order of day
    beside           whether the other law has the rule, and it could be replayed
    apart            school days from the first under the law in force to the first under the tried one; negative: earlier
    about_flags      as `Applies` has it, under either law
    """

    student: int
    school: School
    rule: Rule
    tried: list[tuple[date, int]] = field(default_factory=list)
    in_force: list[tuple[date, int]] = field(default_factory=list)
    beside: bool = False
    apart: int = 0
    about_flags: bool = False

    @property
    def first(self) -> date:
        return min(on for on, _lead in (*self.tried, *self.in_force))

    @property
    def alike(self) -> bool:
        """Both come to the very same days."""
        return self.beside and [on for on, _lead in self.tried] == [on for on, _lead in self.in_force]

    @property
    def difference(self) -> Difference:
        if not self.beside:
            return Difference.ALONE
        if not self.in_force:
            return Difference.ONLY_TRIED
        if not self.tried:
            return Difference.ONLY_IN_FORCE
        if not self.apart:
            return Difference.SAME_DAY
        return Difference.EARLIER if self.apart < 0 else Difference.LATER


def met(
    sides: Mapping[str, Side], days: Mapping[int, NDArray[np.datetime64]], school: Mapping[int, School]
) -> list[Met]:
    """From what each law comes to. days, school: student -> the school days of their year, and where they were last."""
    rules = {name: {r.rule.id: r.rule for r in side.rules.values() if not r.why} for name, side in sides.items()}
    tried, in_force = rules["tried"], rules.get("in_force", {})
    found = []
    for name, rule in {**in_force, **tried}.items():
        flags = any(r.applies.about_flags for r in (tried.get(name), in_force.get(name)) if r)
        times = {n: _by_student(side.reached[name]) if name in rules[n] else {} for n, side in sides.items()}
        for student in {s for some in times.values() for s in some}:
            a, b = times["tried"].get(student, []), times.get("in_force", {}).get(student, [])
            apart = _between(days[student], b[0][0], a[0][0]) if a and b else 0
            found.append(Met(student, school[student], rule, a, b, name in tried and name in in_force, apart, flags))
    return sorted(found, key=lambda m: (m.first, m.student, m.rule.id))


def _by_student(reached: Sequence[tuple[int, date, int]]) -> dict[int, list[tuple[date, int]]]:
    found: dict[int, list[tuple[date, int]]] = defaultdict(list)
    for student, on, lead in sorted(reached):
        found[student].append((on, lead))
    return found


def _between(days: NDArray[np.datetime64], a: date, b: date) -> int:
    first, last = np.searchsorted(days, np.array([a, b], dtype="datetime64[D]"))
    return int(last - first)


def students_csv(some: Sequence[Met], source_ids: Mapping[int, str]) -> str:
    """A row a student, rule, law and time its line was reached. Whoever has the file can tell who each student is. No cell is a formula."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(["student", "school", "rule", "law", "time", "reached on", "school days of lead", "tried beside in force", "school days apart"])  # fmt: skip
    for one in some:
        both = one.difference in (Difference.EARLIER, Difference.LATER, Difference.SAME_DAY)
        for law, reached in (("tried", one.tried), ("in force", one.in_force)):
            for time, (on, lead) in enumerate(reached, 1):
                write.writerow([
                    harmless(source_ids[one.student]), harmless(one.school.source_id), harmless(one.rule.id), law, time, on,
                    "" if lead == NOT_TOLD else lead, one.difference, abs(one.apart) if both else "",
                ])  # fmt: skip
    return out.getvalue()
