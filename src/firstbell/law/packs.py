"""A law pack: one jurisdiction's rules in one version, as a TOML file says them.

The types below are the format; the JSON Schema beside this file (`pack.schema.json`) is made from them. A file that does not
fit is refused with the line that is wrong. An *overlay* is a district's own file on top of a pack: it may tighten and add;
what loosens is refused unless it says why (`loosens`).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "DONE_BY", "MARKS", "Count", "Deadline", "Duty", "InForce", "Metric", "Overlay", "Pack", "PackError", "Rule", "Source", "Threshold", "Window",
    "built_in", "in_force", "metrics", "read_pack", "schema", "versions",
]  # fmt: skip

#: What a pack calls the marks it counts -> the letter of the register (`register.marks.LETTERS`).
MARKS = {
    "unexcused": "U", "excused": "E", "pending": "N", "exempt": "X", "suspension_out": "S", "suspension_in": "I",
    "tardy": "T", "tardy_excused": "t", "early": "L", "early_excused": "l", "part": "H", "part_excused": "h",
    "field_trip": "F", "remote": "R", "present": "P",
}  # fmt: skip

MarkName = Literal[
    "unexcused", "excused", "pending", "exempt", "suspension_out", "suspension_in", "tardy", "tardy_excused", "early",
    "early_excused", "part", "part_excused", "field_trip", "remote",
]  # fmt: skip
Strategy = Literal[
    "any_period", "majority_of_periods", "min_fraction_present", "full_day_only", "snapshot", "sessions",
    "accumulate_minutes", "n_periods_unexcused",
]  # fmt: skip
WindowKind = Literal[
    "school_year", "since_enrolment", "calendar_month", "school_month", "semester", "quarter", "term", "consecutive",
    "rolling_calendar_days", "rolling_school_days", "rolling_school_weeks", "rolling_months", "rolling_years",
]  # fmt: skip
Unit = Literal["days", "half_days", "sessions", "hours", "lesson_hours", "events"]
DutyKind = Literal[
    "contact", "notify", "conference", "plan", "refer_support", "review", "report_authority", "consider_sanction",
    "petition", "classify",
]  # fmt: skip
Severity = Literal["supportive", "compliance", "punitive"]
#: what can be on record of a student that a rule is about, or that protects them (casework.models.Protection)
Flag = Literal[
    "homeless", "foster", "pregnant", "severe_illness", "principal_earner", "iep", "section_504", "disability", "homebound", "hospital",
    "distance_education", "alternative_program", "exemption", "exemption_certificate", "parent_permission_16", "engaging_with_support",
    "bereaved",
]  # fmt: skip
#: an exact number: 3, "1/10", "45.5"
Exact = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^\d+(/[1-9]\d*|\.\d+)?$")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./()-]*$")]
Text = Annotated[str, Meta(min_length=1)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Source(_Table, kw_only=True, frozen=True):
    """Where a rule is written.

    read    somebody read the words: the text itself, or whoever restates it, which the note says; a pack quotes them. False: recalled,
            to be checked before anybody relies on it
    url     where they were read
    words   the words relied upon, quoted; sha256 is of them, so that nobody changes a quotation by accident
    """

    id: Name
    citation: Text
    read: bool = False
    read_on: date | None = None
    url: str = ""
    note: str = ""
    words: str = ""
    sha256: str = ""


class Ages(_Table, kw_only=True, frozen=True):
    """From the birthday `from` until, not including, the birthday `under`.

    by      "02-01": who comes of age by that day is of age from the school year's beginning. A day from July on is of the calendar
            year in which the school year begins
    cut_off and who comes of age later is not, until the next school year
    until   school_year_end: who has the birthday `under` during a school year stays in the rule until it ends
    of      days: what was missed before, or after, that age is not counted, nor is a line reached then. step: the age when the step is
            taken ("fifteen at the time of referral"); the days are counted as of the pack's own ages
    """

    from_: int = msgspec.field(name="from")
    under: int
    by: Annotated[str, Meta(pattern=r"^(|(0[1-9]|1[0-2])-([01][0-9]|2[0-8]|29|30|31))$")] = ""
    cut_off: bool = False
    until: Literal["birthday", "school_year_end"] = "birthday"
    of: Literal["days", "step"] = "days"


class Count(_Table, kw_only=True, frozen=True):
    """Which marks count, and how the squares of a day become a counted day (law.md § 1.4).

    marks          that count; a tardy or an early leaving counts as a part of a session
    strategy       how squares become days
    pending        marks nobody has explained: count at once, after the grace, or never
    grace          days after which an unexplained mark counts, in `grace_unit`
    minutes_over   a part of a session counts where more minutes were missed than this
    missed         min_fraction_present: the share of a day that, missed, is the day missed
    periods        n_periods_unexcused: so many make a day
    session        snapshot: the session (from 1) whose mark is the day's
    per_day        sessions: how many the law sees in a day; a whole-day mark is so many
    """

    strategy: Strategy
    marks: tuple[MarkName, ...]
    unit: Unit = "days"
    pending: Literal["counts", "after_grace", "never"] = "never"
    grace: Annotated[int, Meta(ge=0)] = 0
    grace_unit: Literal["school_days", "calendar_days"] = "school_days"
    minutes_over: Annotated[int, Meta(ge=0)] | None = None
    missed: Exact = "1/2"
    periods: Annotated[int, Meta(ge=1)] = 2
    session: Annotated[int, Meta(ge=1)] = 1
    per_day: Annotated[int, Meta(ge=1)] | None = None
    note: str = ""


class ByGrade(_Table, kw_only=True, frozen=True):
    grades: tuple[str, ...]
    count: Exact


class Threshold(_Table, kw_only=True, frozen=True):
    """A count, or a share of what was possible.

    of       possible: of what was possible in the window so far; window: of the window's whole length, had or not
    minimum  so much must have been possible before a share is spoken of
    local    the law leaves the number to the district: a number beside it is the law's own bound, in force until an overlay sets a tighter
             one; without one the rule is not asked until an overlay sets it
    """

    op: Literal[">=", ">"] = ">="
    count: Exact | None = None
    share: Exact | None = None
    of: Literal["possible", "window"] = "possible"
    minimum: Annotated[int, Meta(ge=0)] = 0
    by_grade: tuple[ByGrade, ...] = ()
    local: bool = False

    @property
    def least(self) -> Fraction | None:
        """The least number it has; None where it has none yet."""
        numbers = (self.share, self.count, *(g.count for g in self.by_grade))
        return min((Fraction(n) for n in numbers if n is not None), default=None)

    def count_for(self, grade: str) -> Fraction | None:
        """None where the threshold is a share, or names no number for this grade."""
        for some in self.by_grade:
            if grade in some.grades:
                return Fraction(some.count)
        return None if self.count is None else Fraction(self.count)


class Window(_Table, kw_only=True, frozen=True):
    """Which days count together.

    length          of a rolling window, in its own unit; of a school month, in school weeks
    across_years    reaches back into earlier school years
    after_evidence  counts only days after this was done (a notice, say; or what shows an earlier rule's duty done)
    broken_by       consecutive: what ends a run
    """

    kind: WindowKind
    length: Annotated[int, Meta(ge=1)] | None = None
    across_years: bool = False
    after_evidence: str = ""
    broken_by: Literal["attendance", "any_other_day"] = "attendance"

    @property
    def lacks(self) -> bool:
        """Whether it has no length and needs one, or has one and may not."""
        return (self.kind.startswith("rolling") or self.kind == "school_month") != (self.length is not None)


#: ends a deadline may run from -> the period, in which the line was reached
ENDS: dict[str, WindowKind] = {
    "year_end": "school_year", "semester_end": "semester", "quarter_end": "quarter", "term_end": "term", "month_end": "calendar_month",
}  # fmt: skip


class Deadline(_Table, kw_only=True, frozen=True):
    """So many days after the trigger; for 0 that day itself.

    from     after this instead: a kind of evidence, what shows a rule's duty done, or an end (`ENDS`)
    unit     counted: when the rule's own count comes to `value` in the same window ("by the seventh absence in the month")
    before   counted: the school day before that ("before the seventh")
    """

    value: Annotated[int, Meta(ge=0)]
    unit: Literal["school_days", "calendar_days", "working_days", "minutes", "counted"] = "school_days"
    from_: str = msgspec.field(name="from", default="trigger")
    before: bool = False
    not_before: Annotated[int, Meta(ge=0)] = 0
    words: str = ""


class NotAfter(_Table, kw_only=True, frozen=True):
    """Not a further time, once it was done so often within so many years."""

    evidence: str
    times: Annotated[int, Meta(ge=1)]
    years: Annotated[int, Meta(ge=1)]


class SignOff(_Table, kw_only=True, frozen=True):
    role: str = "attendance officer"
    second_role: str = ""


Method = Literal["email", "telephone", "mail", "certified_mail", "in_person"]


#: what shows a duty done, where its pack doesn't say otherwise
DONE_BY: dict[str, tuple[str, ...]] = {
    "contact": ("contact_attempt", "contact", "notice", "conference"),
    "notify": ("notice",),
    "conference": ("conference",),
    "plan": ("plan",),
    "refer_support": ("support_offered", "referral"),
    "review": ("review", "conference"),
    "report_authority": ("report",),
    "consider_sanction": ("decision", "penalty_notice"),
    "petition": ("petition", "court_referral"),
    "classify": (),
}


class Duty(_Table, kw_only=True, frozen=True):
    """What must, or may, be done once the line is reached.

    done_by      kinds of evidence that show it done
    done_from    since when: the trigger, the beginning of the window, or the day another rule's line was reached
    requires     what must be on record first: kinds of evidence, or rules whose duty must be done; "a|b": either
    forbidden_if flags of a student under which it may not be done
    contents     what a letter must say
    methods      the ways the law names for it to reach somebody; empty: it names none
    may          the law allows it; it does not ask for it
    """

    kind: DutyKind
    title: Text
    done_by: tuple[str, ...] = ()
    done_from: str = "trigger"
    severity: Severity = "supportive"
    may: bool = False
    deadline: Deadline | None = None
    requires: tuple[str, ...] = ()
    forbidden_if: tuple[Flag, ...] = ()
    not_after: NotAfter | None = None
    contents: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ()
    language: str = "family_preferred"
    sign_off: SignOff = SignOff()
    blocks: tuple[str, ...] = ()

    @property
    def shown_by(self) -> tuple[str, ...]:
        """The kinds of evidence that show it done: its own, or its kind's."""
        return self.done_by or DONE_BY[self.kind]


class Applies(_Table, kw_only=True, frozen=True):
    """Whom a rule is about, beyond the pack's ages. `flags`: one of them; `not_flags`: none of them."""

    ages: Ages | None = None
    grades: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    not_flags: tuple[Flag, ...] = ()

    @property
    def about_flags(self) -> bool:
        """That the rule is about a student, or is not, tells what protects them."""
        return bool(self.flags or self.not_flags)


class Rule(_Table, kw_only=True, frozen=True):
    """One line: what is counted, when it is reached, what then.

    Where a kind of evidence is named, "a|b" means either, and the name of a rule (or of an `institution`) stands for what shows its duty done.

    count     a count the pack defines; or
    evidence  a kind of evidence that is itself counted
    per       what was done counts together (student), or for each parent it was done to by themselves (`evidence`, `not_after`)
    once      a line reached again in the same year asks again (window) or not (year)
    near      room at which an officer is told
    gives_way_to  the rule that speaks in its place once that one's line is reached: of bands, only the last asks
    """

    id: Name
    title: Text
    source: Name
    count: Name | None = None
    evidence: str = ""
    threshold: Threshold
    window: Window
    applies: Applies = Applies()
    per: Literal["student", "parent"] = "student"
    once: Literal["year", "window"] = "window"
    near: Annotated[int, Meta(ge=0)] = 2
    gives_way_to: str = ""
    duty: Duty | None = None
    note: str = ""


class Prohibition(_Table, kw_only=True, frozen=True):
    """What may never be done for absence alone."""

    id: Name
    title: Text
    source: Name
    steps: tuple[str, ...]


class Institution(_Table, kw_only=True, frozen=True):
    """What a school, a board or an authority itself owes, and no student's step: a policy by a day, a notice to every family.

    who       whose duty it is
    by        the day it is to be done by; or
    each      in every school year: so many days after its beginning, or after an end (`ENDS`)
    times     so often in a school year
    done_by   where a rule requires it: what shows it in a student's own file
    """

    id: Name
    title: Text
    source: Name
    who: Text
    by: date | None = None
    each: Deadline | None = None
    times: Annotated[int, Meta(ge=1)] | None = None
    done_by: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    note: str = ""


class Band(_Table, kw_only=True, frozen=True):
    name: Name
    share: Exact
    op: Literal[">=", ">"] = ">="


class Metric(_Table, kw_only=True, frozen=True):
    """A rate somebody defined, with the lines they draw through it.

    count    what is missed
    per      possible: of what was possible; minimum_hours: of the hours a year must have; calendar_days: of the school days gone by
    show     missed, attended or enrolled: whose share is told
    bands    from the lowest up; the last one reached is the answer
    scope    year, term, or school: since the student came to this school
    """

    id: Name
    title: Text
    source: Text
    count: Count
    per: Literal["possible", "minimum_hours", "calendar_days"] = "possible"
    hours_by_grade: tuple[ByGrade, ...] = ()
    minimum: Annotated[int, Meta(ge=0)] = 0
    show: Literal["missed", "attended", "enrolled"] = "missed"
    bands: tuple[Band, ...] = ()
    scope: Literal["year", "term", "school"] = "year"
    target: str = ""


class Pack(_Table, kw_only=True, frozen=True):
    """One version of one jurisdiction's rules, in force from a day through a day.

    id       names the jurisdiction; the versions of one share it
    status   draft until a district, with counsel, marks it active
    sha256   of the file, to be kept with whatever was reckoned by it (set when read)
    """

    id: Name
    jurisdiction: Text
    title: Text
    effective_from: date
    effective_to: date | None = None
    verified_on: date | None = None
    verified_by: str = ""
    status: Literal["draft", "active"] = "draft"
    note: str = ""
    language: str = "en"
    ages: Ages | None = None
    source: tuple[Source, ...]
    counts: dict[str, Count] = {}
    rule: tuple[Rule, ...]
    institution: tuple[Institution, ...] = ()
    prohibition: tuple[Prohibition, ...] = ()
    metrics: tuple[Name, ...] = ()
    sha256: str = ""

    @property
    def version(self) -> str:
        return self.effective_from.isoformat()

    def rule_named(self, rule: str) -> Rule | None:
        return next((r for r in self.rule if r.id == rule), None)

    def institution_named(self, name: str) -> Institution | None:
        return next((i for i in self.institution if i.id == name), None)

    def cited(self, rule: Rule | Institution | Prohibition) -> Source:
        return next(s for s in self.source if s.id == rule.source)


class ChangedRule(_Table, kw_only=True, frozen=True):
    """What an overlay sets anew in a rule of its pack. What is left out stays."""

    id: Name
    threshold: Threshold | None = None
    window: Window | None = None
    near: Annotated[int, Meta(ge=0)] | None = None
    deadline: Deadline | None = None
    requires: tuple[str, ...] = ()
    forbidden_if: tuple[Flag, ...] = ()
    contents: tuple[str, ...] = ()
    loosens: str = ""


class Overlay(_Table, kw_only=True, frozen=True):
    """A district's own rules on top of a pack. Tightens, or adds; what loosens says why, and somebody approves it."""

    on: Name
    title: Text
    effective_from: date
    effective_to: date | None = None
    source: tuple[Source, ...] = ()
    counts: dict[str, Count] = {}
    change: tuple[ChangedRule, ...] = ()
    rule: tuple[Rule, ...] = ()
    sha256: str = ""


class PackError(ValueError):
    """A file that cannot be used. Says the file, the line, what is wrong, and that nothing was taken from it."""


T = TypeVar("T")


def _line_of(text: str, path: str) -> int:
    """The line of a TOML text where `$.rule[2].threshold.count` stands, or the nearest table above it."""
    keys: list[str | int] = []
    for name, number in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        keys.append(name if name else int(number) if number.isdigit() else 0)
    at: list[str | int] = []
    seen: dict[tuple[str | int, ...], int] = {}
    best, depth = 1, 0
    for line, words in enumerate(text.splitlines(), 1):
        stripped = words.strip()
        if table := re.fullmatch(r"(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?", stripped):
            at = []
            parts = [p.strip().strip("\"'") for p in table[2].split(".")]
            for k, part in enumerate(parts):
                at.append(part)
                here = tuple(at)
                if k == len(parts) - 1 and table[1] == "[[":
                    seen[here] = seen.get(here, -1) + 1
                if here in seen:
                    at.append(seen[here])
            found = at
        elif key := re.match(r"([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            found = [*at, *(p.strip("\"'") for p in key[1].split("."))]
        else:
            continue
        same = 0
        while same < min(len(found), len(keys)) and found[same] == keys[same]:
            same += 1
        if same > depth and same == len(found):
            best, depth = line, same
    return best


def read(kind: type[T], text: str, where: str) -> T:
    """A TOML text as one of the types above."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{where} is not TOML: {error}. Nothing was taken from it.") from error
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `")
        path = path.replace("counts[...]", f"counts.{_wrong_count(tables)}", 1)
        unknown = re.search(r"unknown field `([^`]+)`", said)  # its own line, not that of the table it stands in
        at = f"{path.rstrip('`') or '$'}.{unknown[1]}" if unknown else path.rstrip("`")
        if re.search(r"(flags|forbidden_if)\[\d+\]`$", path) and (
            wrong := re.fullmatch("Invalid enum value '(.*)'", said)
        ):
            near = get_close_matches(wrong[1], get_args(Flag), 1)
            said = f"There is no flag {wrong[1]!r}{f'; did you mean {near[0]!r}?' if near else '.'} There is: {', '.join(get_args(Flag))}"
        raise PackError(
            f"{where}, line {_line_of(text, at)}: {said}"
            f"{f' (at {path.rstrip(chr(96))[2:]})' if path else ''}. Nothing was taken from it."
        ) from error


def _wrong_count(tables: dict[str, Any]) -> str:
    """The count that cannot be read; the error itself does not say which of them it is."""
    for name, table in tables["counts"].items() if isinstance(tables.get("counts"), dict) else ():
        try:
            msgspec.convert(table, Count)
        except msgspec.ValidationError:
            return str(name)
    return "..."


def refuse(where: str, text: str, path: str, words: str) -> PackError:
    return PackError(f"{where}, line {_line_of(text, path)}: {words} Nothing was taken from it.")


def checked(pack: Pack | Overlay, text: str, where: str, known: Pack | None = None) -> None:
    """What the types cannot say: every name means something, and every rule can be asked."""
    sources = {s.id for s in pack.source} | ({s.id for s in known.source} if known else set())
    counts = set(pack.counts) | (set(known.counts) if known else set())
    names: tuple[tuple[str, list[str], list[str]], ...] = (
        ("rule", [r.id for r in pack.rule], [r.id for r in known.rule] if known else []),
        ("source", [s.id for s in pack.source], [s.id for s in known.source] if known else []),
    )
    for table, mine, theirs in names:
        taken = set(theirs)
        for i, name in enumerate(mine):
            if name in taken:
                raise refuse(
                    where, text, f"$.{table}[{i}]", f"Two {table}s are called {name}; each needs a name of its own."
                )
            taken.add(name)
    for name in pack.counts if known else ():
        if known is not None and name in known.counts:
            raise refuse(
                where, text, f"$.counts.{name}",
                f"{known.id} has a count {name} already, and every rule that uses it would count otherwise. Give yours a name of its own.",
            )  # fmt: skip
    if known is not None:
        asked = {one for rule in known.rule for _place, one in _said_of(rule)}
        for i, rule in enumerate(pack.rule):
            if owed := known.institution_named(rule.id):
                words = f"{rule.id} is what {owed.who} owes."
            elif rule.id in asked:
                words = (
                    f"{rule.id} is what {known.id} calls something done, and your rule's duty would stand in its place."
                )
            else:
                continue
            raise refuse(where, text, f"$.rule[{i}]", f"{words} Give your rule a name of its own.")
    for i, source in enumerate(pack.source):
        if bool(source.words) != bool(source.sha256):
            raise refuse(where, text, f"$.source[{i}]", "A source gives both its words and their sha256, or neither.")
        if source.words and hashlib.sha256(source.words.encode()).hexdigest() != source.sha256:
            raise refuse(
                where, text, f"$.source[{i}].sha256",
                f"The words of {source.id} are not those its sha256 was made of: they were changed after they were checked.",
            )  # fmt: skip
        if (
            known is None and source.read and not source.words
        ):  # what a district has adopted was checked by what was asked then
            raise refuse(
                where, text, f"$.source[{i}].read",
                f"{source.id} is said to have been read, and no words of it are quoted: quote them, or call it recalled.",
            )  # fmt: skip
        if source.read_on and not source.read:
            raise refuse(
                where, text, f"$.source[{i}].read_on",
                f"There is the day on which {source.id} was read, and not that it was.",
            )  # fmt: skip
    for name, count in pack.counts.items():
        if "pending" in count.marks and count.pending == "never":
            raise refuse(
                where, text, f"$.counts.{name}.marks",
                f"{name}: whether an unexplained absence counts is said by `pending` (counts, after_grace or never), and it says never.",
            )  # fmt: skip
    if isinstance(pack, Pack):
        if pack.effective_to is not None and pack.effective_to < pack.effective_from:
            raise refuse(where, text, "$.effective_to", "It ends before it begins.")
        if (pack.verified_on is None) == bool(pack.verified_by.strip()):
            at = "$.verified_by" if pack.verified_on is None else "$.verified_on"
            raise refuse(where, text, at, "Say both who verified it and on which day, or neither.")
        if unknown := [name for name in pack.metrics if name not in metrics()]:
            raise refuse(
                where, text, "$.metrics", f"There is no metric {unknown[0]}. There is: {', '.join(sorted(metrics()))}."
            )
    aged = [("$.ages", pack.ages)] if isinstance(pack, Pack) else []
    for at, ages in [*aged, *((f"$.rule[{i}].applies.ages", r.applies.ages) for i, r in enumerate(pack.rule))]:
        if ages is not None and ages.under <= ages.from_:
            raise refuse(where, text, at, f"Nobody is {ages.from_} and under {ages.under}.")
    for i, owed in enumerate(pack.institution if isinstance(pack, Pack) else ()):
        at = f"$.institution[{i}]"
        if owed.source not in sources:
            raise refuse(
                where, text, f"{at}.source", f"{owed.id} names a source {owed.source!r} that is not in the file."
            )
        if owed.id in {r.id for r in pack.rule}:
            raise refuse(where, text, at, f"{owed.id} is a rule's name too; each needs a name of its own.")
        if owed.each is not None and owed.each.from_ not in ("year_begin", *ENDS):
            raise refuse(
                where, text, f"{at}.each.from",
                f"{owed.id}: in a school year there are {', '.join(('year_begin', *ENDS))}, and no {owed.each.from_}.",
            )  # fmt: skip
    known_rules = {r.id: r for r in (*(known.rule if known else ()), *pack.rule)}
    ids = list(known_rules)
    for i, rule in enumerate(pack.rule):
        at = f"$.rule[{i}]"
        if rule.source not in sources:
            raise refuse(
                where, text, f"{at}.source", f"{rule.id} names a source {rule.source!r} that is not in the file."
            )
        if (rule.count is None) == (not rule.evidence):
            raise refuse(where, text, at, f"{rule.id} counts either marks (count) or what was done (evidence).")
        if rule.count is not None and rule.count not in counts:
            raise refuse(
                where, text, f"{at}.count",
                f"{rule.id} counts {rule.count!r}; the file defines {', '.join(sorted(counts)) or 'nothing'}.",
            )  # fmt: skip
        for place, one in _said_of(rule):
            other = known_rules.get(one)
            if other is not None and (other.duty is None or (other.duty.kind == "classify" and not other.duty.done_by)):
                raise refuse(
                    where, text, f"{at}.{place}",
                    f"{rule.id} names {one}, of which nothing is ever put on record; name what must be done.",
                )  # fmt: skip
            if place in ("evidence", "window.after_evidence") and one in ids[ids.index(rule.id) :]:
                raise refuse(
                    where, text, f"{at}.{place}", f"{rule.id} begins with {one}, which has to stand before it."
                )
        d = rule.duty.deadline if rule.duty else None
        if d is not None and d.before and d.unit != "counted":
            raise refuse(
                where, text, f"{at}.duty.deadline.before", f"{rule.id}: only a deadline by a count has a day before it."
            )
        if d is not None and d.unit == "counted" and (d.from_ != "trigger" or not d.value):
            raise refuse(
                where, text, f"{at}.duty.deadline",
                f"{rule.id}: a deadline by a count names the count, and runs from nothing else.",
            )  # fmt: skip
        since = rule.duty.done_from if rule.duty else "trigger"
        if since not in ("trigger", "window", *ids[: ids.index(rule.id)]):
            raise refuse(
                where, text, f"{at}.duty.done_from",
                f"{rule.id}: done_from is trigger, window, or a rule that stands before it; {since!r} is none.",
            )  # fmt: skip
        t, w = rule.threshold, rule.window
        if rule.gives_way_to and (rule.gives_way_to == rule.id or rule.gives_way_to not in known_rules):
            raise refuse(
                where,
                text,
                f"{at}.gives_way_to",
                f"{rule.id} gives way to {rule.gives_way_to}, which is no other rule.",
            )
        if (t.share is not None) == (t.count is not None or bool(t.by_grade)) and not (t.local and t.least is None):
            raise refuse(where, text, f"{at}.threshold", f"{rule.id} needs either a count or a share, not both.")
        if t.least == 0:
            raise refuse(
                where, text, f"{at}.threshold",
                f"{rule.id}: the line is at nothing, and nobody reaches it. What is owed to everybody is an institution's duty.",
            )  # fmt: skip
        if w.lacks:
            raise refuse(
                where, text, f"{at}.window",
                f"{rule.id}: a rolling window and a school month have a length, and no other window has.",
            )  # fmt: skip
        if t.of == "window" and w.kind != "rolling_school_days":
            raise refuse(
                where, text, f"{at}.threshold.of", f"{rule.id}: a share of the window needs rolling school days."
            )


def _said_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Every name of something done, and where the rule says it."""
    said = [("evidence", rule.evidence), ("window.after_evidence", rule.window.after_evidence)]
    if rule.duty is not None:
        said += [("duty.requires", name) for name in rule.duty.requires]
        if rule.duty.deadline is not None:
            said.append(("duty.deadline.from", rule.duty.deadline.from_))
    for place, names in said:
        for one in names.split("|"):
            yield place, one


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_pack(text: str, where: str) -> Pack:
    """
    >>> read_pack('id = "x"', "x.toml")
    Traceback (most recent call last):
    firstbell.law.packs.PackError: x.toml, line 1: Object missing required field `jurisdiction`. Nothing was taken from it.
    """
    pack = read(Pack, text, where)
    checked(pack, text, where)
    return msgspec.structs.replace(pack, sha256=hashed(text))


def _folder() -> Path:
    return Path(str(files("firstbell.law") / "packs"))


@cache
def _of_folder(name: str) -> tuple[Pack, ...]:
    """A built-in pack's versions, oldest first. The folder is named for the pack, the file for the day it begins."""
    found = []
    for path in sorted((_folder() / name).glob("*.toml")):
        pack = read_pack(path.read_text("utf-8"), f"{name}/{path.name}")
        if (name, path.stem) != (pack.id, pack.version):
            raise PackError(f"{path}: the file is the pack {pack.id} from {pack.version}, and is not named so.")
        found.append(pack)
    return tuple(found)


@cache  # the folder is part of the program
def _names() -> list[str]:
    return sorted(path.name for path in _folder().iterdir() if any(path.glob("*.toml")))


def built_in() -> dict[str, tuple[Pack, ...]]:
    """Every built-in pack's versions, oldest first."""
    return {name: _of_folder(name) for name in _names()}


def versions(name: str) -> tuple[Pack, ...]:
    """The versions of a built-in pack, or of the file at a path."""
    names = _names()
    if name in names:
        return _of_folder(name)
    path = Path(name)
    if path.is_dir():
        return tuple(read_pack(p.read_text("utf-8"), str(p)) for p in sorted(path.glob("*.toml")))
    if path.suffix == ".toml" and path.is_file():
        return (read_pack(path.read_text("utf-8"), str(path)),)
    raise PackError(f"There is no pack {name!r}, and no such file. There is: {', '.join(names)}.")


class InForce(Struct, frozen=True):
    """A version, and the days it is in force within the days asked about."""

    pack: Pack
    first: date
    last: date


def in_force(some: Sequence[Pack], first: date, last: date) -> list[InForce]:
    """The versions in force at any time from `first` through `last`, oldest first; each ends where the next begins."""

    def spans() -> Iterator[InForce]:
        ordered = sorted(some, key=lambda p: p.effective_from)
        for k, pack in enumerate(ordered):
            ends = pack.effective_to or date.max
            if k + 1 < len(ordered):
                ends = min(ends, date.fromordinal(ordered[k + 1].effective_from.toordinal() - 1))
            yield InForce(pack, max(pack.effective_from, first), min(ends, last))

    return [span for span in spans() if span.first <= span.last]


class _Metrics(_Table, kw_only=True, frozen=True):
    metric: tuple[Metric, ...]


@cache
def metrics() -> dict[str, Metric]:
    """Every metric definition there is, by its name."""
    path = _folder() / "metrics.toml"
    return {m.id: m for m in read(_Metrics, path.read_text("utf-8"), path.name).metric}


def schema() -> dict[str, Any]:
    """The JSON Schema of a pack."""
    made = msgspec.json.schema(Pack)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Firstbell law pack"
    return made


assert set(get_args(MarkName)) | {"present"} == set(MARKS)
