"""A rule in plain sentences: what is counted, where the line is, what then. A lawyer checks them against the text, a lead reads them.

Every sentence is a `said.Said`, so that whoever shows it can show it in the reader's language. Titles and quoted words are the pack's own,
and in its language.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from firstbell.law.packs import (
    Applies,
    Count,
    Deadline,
    Duty,
    Institution,
    NotAfter,
    Pack,
    Prohibition,
    Rule,
    Threshold,
    Window,
)
from firstbell.said import Said, said, said_n

__all__ = ["amount", "count_words", "deadline_words", "duty_words", "in_words", "institution_words", "listed", "named", "number", "prohibition_words", "threshold_words", "window_words"]  # fmt: skip

#: names a pack may use -> words; a name that is not here is shown as it is written, its underscores as spaces
NAMES: dict[str, Said] = {
    "contact_attempt": said("family called or written to"), "contact": said("family reached"), "notice": said("written notice given"),
    "conference": said("meeting held"), "plan": said("plan made"), "support_offered": said("help offered"), "referral": said("referred to help"),
    "assessment": said("assessment made"), "review": said("case reviewed by the team"), "child_study_team": said("child study team met"),
    "report": said("reported to the authority"), "decision": said("decision taken"), "penalty_notice": said("penalty notice issued"),
    "petition": said("petition filed"), "court_referral": said("referred to court"), "parent_refusal": said("family refused"),
    "email": said("e-mail"), "telephone": said("telephone"), "mail": said("post"), "certified_mail": said("registered or certified post"),
    "in_person": said("by hand"), "letter_by_email": said("letter sent by e-mail"),
    "correction": said("family told that a letter no longer holds"), "not_escalated": said("not taken further"),
    "homeless": said("without a fixed home"), "foster": said("in foster care"), "pregnant": said("pregnant or a parent"),
    "severe_illness": said("severely ill, or in treatment for it"), "principal_earner": said("earns the family’s living"), "iep": said("has an IEP"),
    "section_504": said("has a 504 plan"), "bereaved": said("in mourning"),
    "disability": said("living with a disability"), "homebound": said("taught at home"), "hospital": said("taught in hospital"),
    "distance_education": said("in distance education"), "alternative_program": said("in an alternative program"),
    "exemption": said("exempt from attending"), "exemption_certificate": said("exempt, with a certificate"),
    "parent_permission_16": said("sixteen, and allowed by a parent to leave"), "engaging_with_support": said("taking up the support offered"),
    "unexcused": said("unexcused"), "excused": said("excused"), "pending": said("not explained"), "exempt": said("with leave"),
    "suspension_out": said("suspended, out of school"), "suspension_in": said("suspended, in school"), "tardy": said("late"),
    "tardy_excused": said("late, excused"), "early": said("left early"), "early_excused": said("left early, excused"), "part": said("there for a part"),
    "part_excused": said("there for a part, excused"), "field_trip": said("on a trip"), "remote": said("taught remotely"),
    "parents": said("parents"), "student": said("student"), "dates": said("the days"), "rule": said("the rule"), "how_to_correct": said("how to correct a mistake"),
    "interpreter": said("an interpreter line"), "birth_date": said("the birth date"), "year_begin": said("the beginning of the school year"), "year_end": said("the end of the school year"), "semester_end": said("the end of the semester"),
    "quarter_end": said("the end of the quarter"), "term_end": said("the end of the term"), "month_end": said("the end of the month"),
}  # fmt: skip
#: what a letter says, where the same name means something else as evidence
CONTENTS: dict[str, Said] = {"contact": said("whom to ask"), "support_offered": said("the help offered")}
DUTIES: dict[str, Said] = {
    "contact": said("reach the family"), "notify": said("a written notice"), "conference": said("a meeting"), "plan": said("a plan"),
    "refer_support": said("help"), "review": said("a review by the team"), "report_authority": said("a report to the authority"),
    "consider_sanction": said("a sanction, considered"), "petition": said("a petition to a court"), "classify": said("nothing but to know it"),
}  # fmt: skip
SEVERITIES: dict[str, Said] = {
    "supportive": said("help"), "compliance": said("a step the law asks for"), "punitive": said("a sanction"),
}  # fmt: skip
WINDOWS: dict[str, Said] = {
    "school_year": said("in the school year"), "since_enrolment": said("since the student came to the school"),
    "calendar_month": said("in a calendar month"), "semester": said("in a semester"), "quarter": said("in a quarter"), "term": said("in a term"),
    "consecutive": said("one after another"),
}  # fmt: skip
STRATEGIES: dict[str, Said] = {
    "any_period": said("A day counts where any part of it was missed"),
    "majority_of_periods": said("A day counts where more than half of its sessions were missed"),
    "full_day_only": said("A day counts where all of it was missed"),
    "sessions": said("Each session counts"), "accumulate_minutes": said("Minutes missed are added up"),
}  # fmt: skip
PENDING: dict[str, Said] = {
    "counts": said("What nobody has explained counts at once."), "never": said("What nobody has explained does not count."),
}  # fmt: skip


def number(value: Fraction | int | str) -> str:
    """Exactly: 30, 45.5, 1/3.

    >>> number("10"), number(Fraction(91, 2)), number(Fraction(1, 3))
    ('10', '45.5', '1/3')
    """
    exact = Fraction(value)
    places, rest = 0, exact.denominator
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest = rest // 10 if rest % 10 == 0 else rest // 5 if rest % 5 == 0 else rest // 2
        places += 1
    if rest != 1 or places > 6:
        return str(exact)
    if not places:
        return str(exact.numerator)
    digits = str(exact.numerator * 10**places // exact.denominator).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def named(name: str, pack: Pack | None = None) -> str:
    """A kind of evidence, a flag or a mark in words; a rule of the pack by its name."""
    if "|" in name:
        first, _bar, other = name.partition("|")
        return said("%(first)s or %(other)s", first=named(first, pack), other=named(other, pack))
    if pack is not None and (pack.rule_named(name) or pack.institution_named(name)):
        return said("what %(rule)s asks for", rule=name)
    return NAMES.get(name, name.replace("_", " ").replace("-", " "))


def listed(names: Iterable[str], pack: Pack | None = None) -> list[str]:
    return [named(name, pack) for name in names]


def contents(names: Iterable[str]) -> list[str]:
    return [CONTENTS.get(name, named(name)) for name in names]


def _plural(value: Fraction) -> int:
    return int(value) if value.denominator == 1 else 100


def amount(value: Fraction | int | str, unit: str) -> Said:
    exact = Fraction(value)
    n, shown = _plural(exact), number(exact)
    match unit:
        case "days":
            return said_n("%(amount)s day", "%(amount)s days", n, amount=shown)
        case "school_days":
            return said_n("%(amount)s school day", "%(amount)s school days", n, amount=shown)
        case "calendar_days":
            return said_n("%(amount)s calendar day", "%(amount)s calendar days", n, amount=shown)
        case "working_days":
            return said_n("%(amount)s working day", "%(amount)s working days", n, amount=shown)
        case "minutes":
            return said_n("%(amount)s minute", "%(amount)s minutes", n, amount=shown)
        case "half_days":
            return said_n("%(amount)s half-day", "%(amount)s half-days", n, amount=shown)
        case "sessions":
            return said_n("%(amount)s session", "%(amount)s sessions", n, amount=shown)
        case "hours":
            return said_n("%(amount)s hour", "%(amount)s hours", n, amount=shown)
        case "lesson_hours":
            return said_n("%(amount)s lesson hour", "%(amount)s lesson hours", n, amount=shown)
        case "events":
            return said_n("%(amount)s occasion", "%(amount)s occasions", n, amount=shown)
    return said_n("%(amount)s time", "%(amount)s times", n, amount=shown)


def unit(rule: Rule, pack: Pack) -> str:
    return pack.counts[rule.count].unit if rule.count is not None else "times"


def threshold_words(t: Threshold, unit: str) -> Said:
    if t.share is not None:
        share = number(Fraction(t.share) * 100)
        if t.of == "window":
            words = (
                said("more than %(share)s %% of the window", share=share)
                if t.op == ">"
                else said("%(share)s %% of the window", share=share)
            )
        elif t.op == ">":
            words = said("more than %(share)s %% of what was possible", share=share)
        else:
            words = said("%(share)s %% of what was possible", share=share)
    elif t.count is not None:
        how_many = amount(t.count, unit)
        words = said("more than %(amount)s", amount=how_many) if t.op == ">" else how_many
    elif t.by_grade:
        words = said("a number by grade")
    else:
        return said("a number the law leaves to the district")
    if t.by_grade:
        each = [
            said("%(amount)s in grades %(grades)s", amount=amount(g.count, unit), grades=list(g.grades))
            for g in t.by_grade
        ]
        words = said("%(words)s: %(each)s", words=words, each=list(each))
    if t.local:
        words = said("%(words)s at the latest (the law leaves the number to the district)", words=words)
    if t.minimum:
        words = said("%(words)s, once %(amount)s were possible", words=words, amount=amount(t.minimum, unit))
    return words


def window_words(w: Window, pack: Pack | None = None) -> Said:
    n = w.length or 1
    match w.kind:
        case "school_month":
            words = said_n("in a school month of %(n)s week", "in a school month of %(n)s weeks", n)
        case "rolling_calendar_days":
            words = said_n("within %(n)s calendar day", "within %(n)s calendar days", n)
        case "rolling_school_days":
            words = said_n("within %(n)s school day", "within %(n)s school days", n)
        case "rolling_school_weeks":
            words = said_n("within %(n)s school week", "within %(n)s school weeks", n)
        case "rolling_months":
            words = said_n("within %(n)s month", "within %(n)s months", n)
        case "rolling_years":
            words = said_n("within %(n)s year", "within %(n)s years", n)
        case _:
            words = WINDOWS[w.kind]
    if w.kind == "consecutive" and w.broken_by == "any_other_day":
        words = said("%(words)s (any other day ends the run)", words=words)
    if w.across_years:
        words = said("%(words)s, also across school years", words=words)
    if w.after_evidence:
        words = said("%(words)s, after: %(what)s", words=words, what=named(w.after_evidence, pack))
    return words


def count_words(count: Count) -> Said:
    """Which marks count, and how a day is made of its squares."""
    match count.strategy:
        case "min_fraction_present":
            how: Said = said("A day counts where %(share)s of it or more was missed", share=number(count.missed))
        case "n_periods_unexcused":
            how = said_n(
                "A day counts where %(n)s session or more was missed",
                "A day counts where %(n)s sessions or more were missed",
                count.periods,
            )
        case "snapshot":
            how = said("A day is what its session %(n)s says", n=count.session)
        case "sessions" if count.per_day is not None:
            how = said_n(
                "A day has %(n)s session, and each counts", "A day has %(n)s sessions, and each counts", count.per_day
            )
        case _:
            how = STRATEGIES[count.strategy]
    words = said("%(how)s: %(marks)s.", how=how, marks=listed(count.marks))
    if count.minutes_over is not None:
        words = said(
            "%(words)s A part counts where it was more than %(amount)s.",
            words=words,
            amount=amount(count.minutes_over, "minutes"),
        )
    if count.pending == "after_grace":
        pending = said(
            "What nobody has explained counts after %(amount)s.", amount=amount(count.grace, count.grace_unit)
        )
    else:
        pending = PENDING[count.pending]
    return said("%(words)s %(pending)s", words=words, pending=pending)


def deadline_words(d: Deadline | None, pack: Pack | None = None) -> Said:
    if d is None:
        return said("no deadline")
    if d.unit == "counted":
        return (
            said("before the count comes to %(n)s", n=d.value) if d.before else said("by the day the count comes to %(n)s", n=d.value)
        )  # fmt: skip
    if d.value == 0:
        words = said("the same day")
    else:
        words = amount(d.value, d.unit)
    if d.from_ != "trigger":
        words = said("%(words)s from: %(what)s", words=words, what=named(d.from_, pack))
    if d.not_before:
        words = said("%(words)s, and not before %(amount)s", words=words, amount=amount(d.not_before, d.unit))
    return words


def since_words(done_from: str) -> Said:
    if done_from == "trigger":
        return said("since the line was reached")
    if done_from == "window":
        return said("since the beginning of the days that count together")
    return said("since the line of %(rule)s was reached", rule=done_from)


def not_after_words(limit: NotAfter | None) -> Said:
    if limit is None:
        return said("no limit")
    times = amount(limit.times, "times")
    return said(
        "%(what)s: not again after %(times)s in %(years)s years",
        what=named(limit.evidence),
        times=times,
        years=limit.years,
    )


def applies_words(a: Applies, pack: Pack) -> list[Said]:
    ages, found = a.ages or pack.ages, []
    if ages is not None:
        found.append(said("About ages %(first)s to %(last)s.", first=ages.from_, last=ages.under - 1))
    if ages is not None and ages.until == "school_year_end":
        found.append(said("Who passes that age during a school year stays in the rule until it ends."))
    if ages is not None and ages.by:
        found.append(
            said("Of age is, all school year, who has the birthday by %(day)s; who has it later waits a year.", day=ages.by) if ages.cut_off
            else said("Of age is, all school year, who has the birthday by %(day)s.", day=ages.by)
        )  # fmt: skip
    if a.grades:
        found.append(said("About grades %(grades)s.", grades=list(a.grades)))
    if a.flags:
        found.append(said("About students with one of: %(flags)s.", flags=listed(a.flags)))
    if a.not_flags:
        found.append(said("Not about students with: %(flags)s.", flags=listed(a.not_flags)))
    return found


def duty_words(duty: Duty, pack: Pack) -> list[Said]:
    """What then: one sentence a fact."""
    what = DUTIES[duty.kind]
    found = [
        said("The law allows: %(what)s (%(severity)s).", what=what, severity=SEVERITIES[duty.severity]) if duty.may
        else said("Then: %(what)s (%(severity)s).", what=what, severity=SEVERITIES[duty.severity])
    ]  # fmt: skip
    if duty.deadline is not None:
        found.append(said("Deadline: %(deadline)s.", deadline=deadline_words(duty.deadline, pack)))
    if duty.requires:
        found.append(said("Before it, on record: %(what)s.", what=listed(duty.requires, pack)))
    if duty.forbidden_if:
        found.append(said("Never for a student who is or has: %(flags)s.", flags=listed(duty.forbidden_if)))
    if duty.not_after is not None:
        found.append(said("%(words)s.", words=not_after_words(duty.not_after)))
    if duty.done_by:
        found.append(said("Shown done by any of: %(what)s.", what=listed(duty.done_by)))
    if duty.done_from != "trigger":
        found.append(said("What was done shows it done %(since)s.", since=since_words(duty.done_from)))
    if duty.contents:
        found.append(said("The letter says: %(what)s.", what=contents(duty.contents)))
    if duty.recipients:
        found.append(said("It goes to: %(who)s.", who=listed(duty.recipients)))
    if duty.methods:
        found.append(said("It may reach them by any of: %(ways)s.", ways=listed(duty.methods)))
    if duty.blocks:
        found.append(said("Until it is done, these may not be taken: %(what)s.", what=listed(duty.blocks, pack)))
    signs = duty.sign_off
    if signs.second_role:
        found.append(said("Signed by: %(role)s, and %(second)s.", role=signs.role, second=signs.second_role))
    else:
        found.append(said("Signed by: %(role)s.", role=signs.role))
    return found


def in_words(rule: Rule, pack: Pack) -> list[Said]:
    """A rule, one sentence a fact."""
    line = said(
        "Reached at %(line)s %(window)s.",
        line=threshold_words(rule.threshold, unit(rule, pack)),
        window=window_words(rule.window, pack),
    )
    found = [line]
    if rule.count is not None:
        found.append(count_words(pack.counts[rule.count]))
    else:
        found.append(said("Counted is what was done: %(what)s.", what=named(rule.evidence, pack)))
    if rule.per == "parent":
        found.append(said("Of each parent by themselves."))
    found += applies_words(rule.applies, pack)
    found.append(
        said("It asks once a school year.") if rule.once == "year" else said("It asks anew each time it is reached.")
    )
    if rule.near:
        found.append(
            said("Somebody is told when %(amount)s or less are left.", amount=amount(rule.near, unit(rule, pack)))
        )
    if rule.gives_way_to:
        found.append(said("Once the line of %(rule)s is reached, that rule asks in its place.", rule=rule.gives_way_to))
    return found + (duty_words(rule.duty, pack) if rule.duty is not None else [])


def institution_words(owed: Institution, pack: Pack) -> list[Said]:
    """Whose duty it is, and by when: one sentence a fact."""
    found = [said("It is the duty of: %(who)s, and no student’s step.", who=owed.who)]
    if owed.by is not None:
        found.append(said("By %(day)s.", day=owed.by.isoformat()))
    if owed.each is not None:
        found.append(said("In every school year: %(deadline)s.", deadline=deadline_words(owed.each, pack)))
    if owed.times is not None:
        found.append(
            said_n("At least %(n)s time in a school year.", "At least %(n)s times in a school year.", owed.times)
        )
    if owed.contents:
        found.append(said("It says: %(what)s.", what=contents(owed.contents)))
    if owed.recipients:
        found.append(said("It goes to: %(who)s.", who=listed(owed.recipients)))
    return found


def prohibition_words(prohibition: Prohibition) -> Said:
    return said("Never for absence alone: %(steps)s.", steps=listed(prohibition.steps))
