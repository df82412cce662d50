"""What a replay tells: by rule, week, school and group, side by side with the law in force; no number under ten, and never a name."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec

from firstbell import clock
from firstbell.access import policy
from firstbell.casework.letters.facts import TEMPLATE_OF
from firstbell.intake.report import harmless
from firstbell.law.packs import Duty, InForce, Rule
from firstbell.law.replay import NOT_TOLD, Replayed
from firstbell.register import rows
from firstbell.register.models import Calendar, School, SchoolYear
from firstbell.signals.suppression import LEAST, kept_back, side_by_side, small
from firstbell.signals.suppression import Column as Told

__all__ = ["ALLOWED", "WORK", "Side", "Who", "as_csv", "document"]

BANDS = ("through 5", "6 to 8", "9 and above")
KEPT_BACK = "kept back"
#: what shows a review done, where it is people who meet
MET = frozenset({"conference", "child_study_team", "intervention_team"})
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

    school: int
    band: int
    language: str
    stayed: bool


@dataclass(frozen=True, slots=True)
class _Groups:
    """One way students are told apart. sizes: how many each group has; hidden: whose size is kept back, None for all."""

    names: list[str]
    place: Callable[[Who], int]
    sizes: list[int]
    hidden: frozenset[int] | None

    @classmethod
    def of(cls, who: Iterable[Who], names: Mapping[Any, str], key: Callable[[Who], Any]) -> _Groups:
        at = {k: i for i, k in enumerate(names)}

        def place(one: Who) -> int:
            return at[key(one)]

        sizes = _tally((place(w) for w in who), len(names))
        return cls(list(names.values()), place, sizes, kept_back(sizes))

    @property
    def unsized(self) -> frozenset[int]:
        return frozenset(range(len(self.names))) if self.hidden is None else self.hidden

    @property
    def told(self) -> list[int | None]:
        return [None if i in self.unsized else n for i, n in enumerate(self.sizes)]


def document(sides: dict[str, Side], who: dict[int, Who], year: SchoolYear, through: date) -> dict[str, Any]:
    weeks = _weeks(year, through)
    schools = dict(School.objects.filter(pk__in={w.school for w in who.values()}).order_by("name", "pk").values_list("pk", "name"))  # fmt: skip
    by = {
        "schools": _Groups.of(who.values(), schools, lambda w: w.school),
        "bands": _Groups.of(who.values(), dict(enumerate(BANDS)), lambda w: w.band),
        "languages": _Groups.of(who.values(), {k: k for k in sorted({w.language for w in who.values()})}, lambda w: w.language),
    }  # fmt: skip
    tried = sides["tried"]
    others = [r for r in sides["in_force"].law.pack.rule if r.id not in tried.rules] if "in_force" in sides else []
    rules = [_rule(rule, sides, who, weeks, by) for rule in [*(f.rule for f in tried.rules.values()), *others]]
    officers, theirs = _officers(schools)
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
        "with_officer": theirs, "weeks": len(weeks),
        "sizes": {kind: groups.told for kind, groups in by.items()},
        "names": {kind: groups.names for kind, groups in by.items()},
        "rules": rules,
        "load": {name: _load(rules, name, officers * len(weeks), theirs) for name in sides},
        "load_by": {
            kind: {name: _load_by(rules, name, kind, len(groups.names), len(weeks)) for name in sides} for kind, groups in by.items()
        },
    }  # fmt: skip


def _weeks(year: SchoolYear, through: date) -> list[date]:
    """The Mondays of the weeks with school in them."""
    days = {
        d for column in rows.columns_of(Calendar.objects.filter(school_year=year)).values() for d in column.dates if d <= through
    }  # fmt: skip
    return sorted({d - timedelta(days=d.weekday()) for d in days})


def _officers(schools: Iterable[int]) -> tuple[int, list[bool]]:
    """The officers there are today, who would do the work; and which schools have one."""
    held = set(policy.officers(policy.today()).values_list("user", "school"))
    of = {school for _user, school in held}
    return len({user for user, _school in held}), [school in of or None in of for school in schools]


def _tally(places: Iterable[int], n: int) -> list[int]:
    found = [0] * n
    for place in places:
        found[place] += 1
    return found


def _rule(
    rule: Rule, sides: dict[str, Side], who: dict[int, Who], weeks: list[date], by: dict[str, _Groups]
) -> dict[str, Any]:
    have = {name: side for name, side in sides.items() if side.law.pack.rule_named(rule.id) is not None}
    asked = {name: side for name, side in have.items() if rule.id in side.rules and not side.rules[rule.id].why}
    students = {name: {s for s, _on, _lead in side.reached[rule.id]} for name, side in asked.items()}
    made: dict[str, Any] = {
        "id": rule.id, "title": rule.title, "about_flags": False, "sides": {}, "weeks": {}, "by": {}, "times": {}, "lead": {},
    }  # fmt: skip
    for name, side in have.items():
        its = side.law.pack.rule_named(rule.id)
        assert its is not None
        made["about_flags"] |= its.applies.about_flags
        made["sides"][name] = {
            "threshold": msgspec.to_builtins(its.threshold), "unit": side.law.pack.counts[its.count].unit if its.count else "times",
            "duty": its.duty.kind if its.duty else "", "may": bool(its.duty and its.duty.may), "work": _work(its.duty),
            "why": side.rules[rule.id].why if rule.id in side.rules else "No student’s register was read.",
        }  # fmt: skip
    names = list(asked)
    totals = {
        n: None if small(len(students[n])) or small(len(who) - len(students[n])) else len(students[n]) for n in names
    }
    parts: dict[str, list[Told]] = {}
    for kind, groups in by.items():
        columns = [_tally((groups.place(who[s]) for s in students[n]), len(groups.names)) for n in names]
        parts[kind] = side_by_side(columns, groups.sizes, groups.unsized)
        for n, column in zip(names, parts[kind], strict=True):
            if column.total is None:
                totals[n] = None
    made["weeks"], columns_ = _by_week([asked[n].reached[rule.id] for n in names], weeks)
    for n, column in zip(names, columns_, strict=True):
        # how often beyond the first time is a number too
        again = len(asked[n].reached[rule.id]) - len(students[n])
        kept = column.total is None or totals[n] is None or small(again)
        made["weeks"][n] = (None,) * len(column.parts) if kept else column.parts
        made["sides"][n] |= {
            "times": None if kept else column.total, "students": totals[n], "lead": _lead(asked[n].reached[rule.id], totals[n]),
            **_known(asked[n], rule, students[n], who, totals[n]),
        }  # fmt: skip
    for kind, groups in by.items():
        for n, column in zip(names, parts[kind], strict=True):
            # what the parts would add up to is kept back with them
            shown = (None,) * len(groups.names) if totals[n] is None else column.parts
            made["by"].setdefault(kind, {})[n] = shown
            of: list[list[tuple[int, date, int]]] = [[] for _ in shown]
            for one in asked[n].reached[rule.id]:
                of[groups.place(who[one[0]])].append(one)
            made["lead"].setdefault(kind, {})[n] = [_lead(some, k) for some, k in zip(of, shown, strict=True)]
        made["times"][kind] = _times(made, kind, names, [asked[n].reached[rule.id] for n in names], who, groups)
    return made


def _times(
    made: dict[str, Any], kind: str, names: list[str], reached: list[list[tuple[int, date, int]]], who: dict[int, Who], groups: _Groups
) -> dict[str, list[int | None]]:  # fmt: skip
    """Times by group: where its students are told, and how often beyond the first time is no small number either."""
    times = [_tally((groups.place(who[s]) for s, _on, _lead in some), len(groups.names)) for some in reached]
    first = [_tally((groups.place(who[s]) for s in {s for s, *_ in some}), len(groups.names)) for some in reached]
    again = [[t - f for t, f in zip(a, b, strict=True)] for a, b in zip(times, first, strict=True)]
    unseen = frozenset(i for n in names for i, k in enumerate(made["by"][kind][n]) if k is None)
    found = {}
    for n, some, more in zip(names, times, side_by_side(again, None, unseen), strict=True):
        kept = made["sides"][n]["times"] is None or more.total is None
        found[n] = [None if kept or more.parts[i] is None or i in unseen else t for i, t in enumerate(some)]
    return found


def _work(duty: Duty | None) -> dict[str, str]:
    """What a duty is to whoever does it: a letter of ours (and which), a call or a letter to get in touch, people who meet. An invitation is both."""
    found = {}
    if duty is None:
        return found
    if duty.kind == "contact":
        found["contacts"] = "contact"
    elif duty.kind in TEMPLATE_OF:
        found["letters"] = str(TEMPLATE_OF[duty.kind].value)
    if duty.kind in ("conference", "plan") or (duty.kind == "review" and MET & set(duty.shown_by)):
        found["meetings"] = duty.kind
    return found


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


WORK = ("letters", "contacts", "meetings")
#: of a kind of work, the part the law merely allows
ALLOWED = "allowed"


def _load(rules: list[dict[str, Any]], name: str, weeks: int, theirs: list[bool]) -> dict[str, Any]:
    """Work for each officer and week, exactly: what the law asks for, by kind, and beside it what it merely allows.

    weeks    officers' weeks, all told
    theirs   which schools have an officer; what falls at others is nobody's, and told apart

    each: nothing where it cannot be told; without: rules whose number is kept back; of: "rule, rule"; elsewhere: times at schools without an officer
    """
    found: dict[str, Any] = {}
    for what in WORK:
        some = [
            (r, r["sides"][name]) for r in rules if name in r["sides"] and what in r["sides"][name]["work"] and not r["sides"][name]["why"]
        ]  # fmt: skip
        asked = [pair for pair in some if not pair[1]["may"]]
        allowed = [pair for pair in some if pair[1]["may"]]
        kinds = dict.fromkeys(side["work"][what] for _r, side in asked)
        found[what] = {
            "all": _each(asked, name, weeks, theirs),
            **{kind: _each([p for p in asked if p[1]["work"][what] == kind], name, weeks, theirs) for kind in kinds},
            **({ALLOWED: _each(allowed, name, weeks, theirs)} if allowed else {}),
        }
    return found


def _each(some: list[tuple[dict[str, Any], dict[str, Any]]], name: str, weeks: int, theirs: list[bool]) -> dict[str, Any]:  # fmt: skip
    split = [_split(r["times"]["schools"][name], side["times"], theirs) for r, side in some]
    told = [pair for pair in split if pair is not None]
    can = weeks and (told or not some)
    return {
        "each": str(Fraction(sum(mine for mine, _other in told), weeks)) if can else None, "without": len(some) - len(told),
        "elsewhere": sum(other for _mine, other in told), "of": [r["id"] for r, _side in some],
    }  # fmt: skip


def _split(parts: list[int | None], total: int | None, theirs: list[bool]) -> tuple[int, int] | None:
    """Times at schools with an officer and at others, from what is published alone; None where the schools kept back are of both kinds."""
    if total is None:
        return None
    mine, other = (sum(n or 0 for n, has in zip(parts, theirs, strict=True) if has is which) for which in (True, False))
    hidden = {has for n, has in zip(parts, theirs, strict=True) if n is None}
    if hidden == {True, False}:
        return None
    return (mine, total - mine) if hidden == {False} else (total - other, other)


def _load_by(rules: list[dict[str, Any]], name: str, kind: str, groups: int, weeks: int) -> dict[str, list[Any]]:
    """What the law asks for, by group: work a week, exactly, of the rules whose number is told there, and how many are not."""
    found: dict[str, list[Any]] = {}
    for what in WORK:
        some = [
            r["times"][kind][name] for r in rules
            if name in r["sides"] and what in r["sides"][name]["work"] and not r["sides"][name]["why"] and not r["sides"][name]["may"]
        ]  # fmt: skip
        if some and weeks:
            found[what] = [
                [str(Fraction(sum(parts[i] or 0 for parts in some), weeks)), sum(parts[i] is None for parts in some)] for i in range(groups)
            ]  # fmt: skip
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
                line(
                    rule["id"],
                    f"{word}, times",
                    group or "not known",
                    "",
                    {n: rule["times"][kind][n][k] for n in sides},
                )
                leads = {n: rule["lead"][kind][n][k] for n in sides}
                line(
                    rule["id"],
                    f"{word}, school days of lead, median",
                    group or "not known",
                    "",
                    {n: s and s["median"] for n, s in leads.items()},
                )
    for what in WORK:
        loads = {n: load[what] for n, load in made["load"].items()}
        for part in dict.fromkeys(part for load in loads.values() for part in load):
            have = {n: load[part] for n, load in loads.items() if part in load}
            line(
                "",
                f"{what} per officer and week",
                "" if part == "all" else part,
                "",
                {n: s["each"] for n, s in have.items()},
            )
            line(
                "",
                f"{what} at schools without an officer",
                "" if part == "all" else part,
                "",
                {n: s["elsewhere"] for n, s in have.items()},
            )
        for kind, word in (("schools", "school"), ("bands", "grades"), ("languages", "home language")):
            by = {n: some[what] for n, some in made["load_by"][kind].items() if what in some}
            for k, group in enumerate(made["names"][kind] if by else ()):
                told = {n: some[k][0] if not some[k][1] else f"{some[k][0]} and {KEPT_BACK}" for n, some in by.items()}
                line("", f"{what} per week, {word}", group or "not known", "", told)
    return out.getvalue()
