"""What a replay tells: by rule, week, school and group, side by side with the law in force; no number under ten, and never a name."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec
from django.db.models import Q

from firstbell import clock
from firstbell.access.models import Assignment, Role
from firstbell.intake.report import harmless
from firstbell.law.packs import InForce, Rule
from firstbell.law.replay import NOT_TOLD, Replayed
from firstbell.register import rows
from firstbell.register.models import Calendar, SchoolYear
from firstbell.signals.suppression import LEAST, kept_back, side_by_side, small
from firstbell.signals.suppression import Column as Told

__all__ = ["Side", "Who", "as_csv", "document"]

WHY = "a rule is replayed; only sums leave"
#: kinds of duty that end in a letter, and in a meeting
LETTERS, MEETINGS = ("notify",), ("conference", "plan", "review")
BANDS = ("through 5", "6 to 8", "9 and above")
KEPT_BACK = "kept back"
#: weeks told together: one, else so many that most numbers can be told
TOGETHER = (1, 2, 4, 13)


@dataclass
class Side:
    """What one law comes to. Rule -> for every time its line was reached: (student, day, lead); and who had reached it by some evening."""

    law: InForce
    reached: dict[str, list[tuple[int, date, int]]] = field(default_factory=lambda: defaultdict(list))
    known: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    rules: dict[str, Replayed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Who:
    """Of each student: the school they count with, grade band, language, and whether they were at one school all year."""

    school: str
    band: int
    language: str
    stayed: bool


def document(sides: dict[str, Side], who: dict[int, Who], year: SchoolYear, through: date) -> dict[str, Any]:
    weeks = _weeks(year, through)
    officers = _officers(year, through)
    by = {
        "schools": sorted({w.school for w in who.values()}), "bands": list(range(len(BANDS))),
        "languages": sorted({w.language for w in who.values()}),
    }  # fmt: skip
    place: dict[str, Callable[[Who], int]] = {
        "schools": lambda w: by["schools"].index(w.school), "bands": lambda w: w.band, "languages": lambda w: by["languages"].index(w.language),
    }  # fmt: skip
    sizes = {kind: _tally((place[kind](w) for w in who.values()), len(names)) for kind, names in by.items()}
    hidden_sizes = {kind: kept_back(some) for kind, some in sizes.items()}
    tried = sides["tried"]
    others = [r for r in sides["in_force"].law.pack.rule if r.id not in tried.rules] if "in_force" in sides else []
    rules = []
    for rule in [*(f.rule for f in tried.rules.values()), *others]:
        rules.append(_rule(rule, sides, who, weeks, sizes, hidden_sizes, place, by))
    return {
        "asked": {
            "pack": tried.law.pack.id, "version": tried.law.pack.version, "title": tried.law.pack.title, "language": tried.law.pack.language,
            "sha256": tried.law.pack.sha256, "year": year.ends_in, "first": year.starts.isoformat(), "through": through.isoformat(),
        },
        "in_force": {
            "pack": sides["in_force"].law.pack.id, "version": sides["in_force"].law.pack.version, "title": sides["in_force"].law.pack.title,
            "language": sides["in_force"].law.pack.language, "sha256": sides["in_force"].law.pack.sha256,
        } if "in_force" in sides else None,
        "made_at": clock.now().isoformat(), "least": LEAST, "students": None if small(len(who)) else len(who), "officers": officers,
        "weeks": len(weeks),
        "sizes": {
            kind: [None if hidden_sizes[kind] is None or i in (hidden_sizes[kind] or ()) else n for i, n in enumerate(some)]
            for kind, some in sizes.items()
        },
        "names": {"schools": by["schools"], "bands": list(BANDS), "languages": by["languages"]},
        "rules": rules,
        "load": {name: _load(rules, name, officers, len(weeks)) for name in sides},
    }  # fmt: skip


def _weeks(year: SchoolYear, through: date) -> list[date]:
    """The Mondays of the weeks with school in them."""
    days = {
        d for column in rows.columns_of(Calendar.objects.filter(school_year=year)).values() for d in column.dates if d <= through
    }  # fmt: skip
    return sorted({d - timedelta(days=d.weekday()) for d in days})


def _officers(year: SchoolYear, through: date) -> int:
    """People who were attendance officers at some time of it."""
    return (
        Assignment.objects.filter(Q(ends=None) | Q(ends__gte=year.starts), role=Role.OFFICER, starts__lte=through)
        .values("user").distinct().count()
    )  # fmt: skip


def _tally(places: Iterable[int], n: int) -> list[int]:
    found = [0] * n
    for place in places:
        found[place] += 1
    return found


def _rule(
    rule: Rule, sides: dict[str, Side], who: dict[int, Who], weeks: list[date], sizes: dict[str, list[int]],
    hidden_sizes: dict[str, frozenset[int] | None], place: dict[str, Callable[[Who], int]], by: dict[str, list[Any]],
) -> dict[str, Any]:  # fmt: skip
    have = {name: side for name, side in sides.items() if side.law.pack.rule_named(rule.id) is not None}
    asked = {name: side for name, side in have.items() if rule.id in side.rules and not side.rules[rule.id].why}
    students = {name: {s for s, _on, _lead in side.reached[rule.id]} for name, side in asked.items()}
    made: dict[str, Any] = {
        "id": rule.id,
        "title": rule.title,
        "about_flags": False,
        "sides": {},
        "weeks": {},
        "by": {},
    }
    for name, side in have.items():
        its = side.law.pack.rule_named(rule.id)
        assert its is not None
        made["about_flags"] |= its.applies.about_flags
        made["sides"][name] = {
            "threshold": msgspec.to_builtins(its.threshold), "unit": side.law.pack.counts[its.count].unit if its.count else "times",
            "duty": its.duty.kind if its.duty else "", "why": side.rules[rule.id].why if rule.id in side.rules else "No student’s register was read.",
        }  # fmt: skip
    names = list(asked)
    totals = {
        n: None if small(len(students[n])) or small(len(who) - len(students[n])) else len(students[n]) for n in names
    }
    for kind, keys in by.items():
        also = hidden_sizes[kind]
        columns = [_tally((place[kind](who[s]) for s in students[n]), len(keys)) for n in names]
        shown = side_by_side(columns, sizes[kind], frozenset(range(len(keys))) if also is None else also)
        for n, column in zip(names, shown, strict=True):
            if column.total is None:
                totals[n] = None
        made["by"][kind] = {n: column.parts for n, column in zip(names, shown, strict=True)}
    made["weeks"], columns = _by_week([asked[n].reached[rule.id] for n in names], weeks)
    for n, column in zip(names, columns, strict=True):
        kept = column.total is None or totals[n] is None
        made["weeks"][n] = (None,) * len(column.parts) if kept else column.parts
        made["sides"][n] |= {"times": None if kept else column.total, "students": totals[n]}
    for n in names:
        if totals[n] is None:  # what the parts would add up to is kept back with them
            for kind in by:
                made["by"][kind][n] = (None,) * len(by[kind])
        made["sides"][n] |= {
            "lead": _lead(asked[n].reached[rule.id], totals[n]),
            **_known(asked[n], rule, students[n], who, totals[n]),
        }
    return made


def _by_week(reached: list[list[tuple[int, date, int]]], weeks: list[date]) -> tuple[dict[str, Any], list[Told]]:
    """Times a line was reached, by as few weeks together as leave most numbers told; only one way of it is published."""
    at = {monday: k for k, monday in enumerate(weeks)}
    for together in TOGETHER:
        blocks = -(-len(weeks) // together)
        columns = side_by_side(
            [
                _tally((at[d - timedelta(days=d.weekday())] // together for _s, d, _lead in some), blocks)
                for some in reached
            ]
        )
        parts = [n for column in columns for n in column.parts if n != 0]
        if sum(n is None for n in parts) * 2 <= len(parts):
            break
    return {"together": together, "from": [w.isoformat() for w in weeks[::together]]}, columns


def _lead(reached: list[tuple[int, date, int]], total: int | None) -> dict[str, int] | None:
    """School days of warning before a student's first time: the middle, and the quarter with the least and the most."""
    first: dict[int, tuple[date, int]] = {}
    for student, on, lead in reached:
        if lead != NOT_TOLD and (student not in first or on < first[student][0]):
            first[student] = on, lead
    days = sorted(lead for _on, lead in first.values())
    n = len(days)
    if total is None or n < LEAST:
        return None
    return {"median": days[(n - 1) // 2], "low": days[(n - 1) // 4], "high": days[3 * (n - 1) // 4]}


def _known(side: Side, rule: Rule, now: set[int], who: dict[int, Who], total: int | None) -> dict[str, int | None]:
    """Who had reached it on some Friday evening, by what was known then; and how many of them have not, by what is known now."""
    known = side.known[rule.id]
    stayed = {s for s in now if who[s].stayed}
    parts = (
        len(known),
        len(known - now),
        len(known & now),
        len(stayed - known),
        len(stayed),
        len(now - stayed),
        len(who) - len(known),
    )
    if total is None or small(parts[0]) or small(parts[-1]):
        return {"known": None, "undone": None}
    return {"known": parts[0], "undone": None if any(map(small, parts)) else parts[1]}


def _load(rules: list[dict[str, Any]], name: str, officers: int, weeks: int) -> dict[str, Any]:
    """Letters and meetings per officer and week, exactly, of the rules whose number is told; how many are not."""
    found: dict[str, Any] = {}
    for what, kinds in (("letters", LETTERS), ("meetings", MEETINGS)):
        some = [
            r["sides"][name]
            for r in rules
            if name in r["sides"] and r["sides"][name]["duty"] in kinds and not r["sides"][name]["why"]
        ]
        told = [s["times"] for s in some if s["times"] is not None]
        can = officers and weeks and (told or not some)
        found[what] = str(Fraction(sum(told), officers * weeks)) if can else None
        found[f"{what}_without"] = len(some) - len(told)
    return found


def as_csv(made: dict[str, Any]) -> str:
    """The export as one table: a number a row and law; what is kept back says so. No cell is a formula."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(["rule", "what", "of", "students asked", "tried", "in force"])

    def cell(value: Any) -> Any:
        return KEPT_BACK if value is None else harmless(value) if isinstance(value, str) else value

    def line(rule: str, what: str, of: str, size: Any, values: dict[str, Any]) -> None:
        sides = [cell(values[n]) if n in values else "" for n in ("tried", "in_force")]
        write.writerow([harmless(rule), what, harmless(of), size, *sides])

    for rule in made["rules"]:
        sides = {n: s for n, s in rule["sides"].items() if "students" in s}
        for n, s in rule["sides"].items():
            if s["why"]:
                line(rule["id"], "not replayed", "", "", {n: s["why"]})
        if not sides:
            continue
        for what in ("students", "times", "known", "undone"):
            line(
                rule["id"],
                what,
                "",
                cell(made["students"]) if what == "students" else "",
                {n: s[what] for n, s in sides.items()},
            )
        for what in ("median", "low", "high"):
            line(
                rule["id"],
                f"school days of lead, {what}",
                "",
                "",
                {n: s["lead"] and s["lead"][what] for n, s in sides.items()},
            )
        weeks = rule["weeks"]
        for k, week in enumerate(weeks["from"]):
            line(
                rule["id"],
                f"times, {weeks['together']} school weeks from" if weeks["together"] > 1 else "times, week of",
                week,
                "",
                {n: weeks[n][k] for n in sides},
            )
        for kind, word in (("schools", "school"), ("bands", "grades"), ("languages", "home language")):
            for k, group in enumerate(made["names"][kind]):
                line(
                    rule["id"],
                    word,
                    group or "not known",
                    cell(made["sizes"][kind][k]),
                    {n: rule["by"][kind][n][k] for n in sides},
                )
    for what in ("letters", "meetings"):
        line("", f"{what} per officer and week", "", "", {n: load[what] for n, load in made["load"].items()})
    return out.getvalue()
