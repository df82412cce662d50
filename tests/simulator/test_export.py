"""The files of the made-up district: what a school system would export, agreeing with each other, the same for a seed."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from collections import Counter, defaultdict
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from firstbell.register.marks import Disciplinary, Expected, LegalStatus, Location, Mark, PartSession, Presence
from firstbell.simulator.behaviour import REASONS
from firstbell.simulator.calendars import demo_day, school_year, snow_day
from firstbell.simulator.district import Simulated, simulate
from firstbell.simulator.export import CODES, make_district
from firstbell.simulator.history import WHOLE_DAY, Entries, Rolls, entries, rolls

A_MORNING = date(2026, 3, 24)
AT_0840 = time(8, 40)
Row = dict[str, str]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    folder = tmp_path_factory.mktemp("district")
    make_district(folder, students=1500, seed=5, today=A_MORNING)
    return {path.stem: _rows(path) for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def morning() -> Simulated:
    return next(simulate(students=4000, seed=5, today=A_MORNING))


@pytest.fixture(scope="module")
def written(morning: Simulated) -> tuple[Rolls, Entries]:
    """This year's, as it stands at 08:40."""
    rng = np.random.default_rng(5)
    taken = rolls(morning, 1, AT_0840, rng)
    return taken, entries(morning, 1, AT_0840, taken, rng)


@pytest.fixture(scope="module")
def last_year(morning: Simulated) -> tuple[Rolls, Entries]:
    rng = np.random.default_rng(6)
    taken = rolls(morning, 0, None, rng)
    return taken, entries(morning, 0, None, taken, rng)


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _letters(written: Entries) -> np.ndarray:
    return np.array([chr(c) for c in range(128)])[written.code]


# --- the files ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        make_district(tmp_path / name, students=300, seed=seed, today=A_MORNING)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "again")
    assert _digests(tmp_path / "one")["attendance.csv"] != _digests(tmp_path / "other")["attendance.csv"]


@pytest.mark.parametrize("students", [1, 60, 300])
def test_a_district_may_be_small(tmp_path: Path, students: int) -> None:
    assert make_district(tmp_path, students=students, seed=1, today=A_MORNING).schools == 6


def test_a_district_may_have_begun_its_year_a_few_days_ago(tmp_path: Path) -> None:
    for k, day in enumerate(school_year(2026).school_days[:12]):
        make_district(tmp_path / str(k), students=60, seed=1, today=day)


def test_a_district_may_have_its_year_all_but_behind_it(tmp_path: Path) -> None:
    make_district(tmp_path, students=300, seed=1, today=date(2026, 6, 12))


def test_progress_is_told_by_cluster_of_schools(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    make_district(tmp_path, students=6100, seed=1, today=A_MORNING, progress=lambda *step: told.append(step))
    assert [(done, of) for _what, done, of in told] == [(1, 2), (2, 2)]


def test_a_day_without_school_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2026-03-22 is no school day"):
        make_district(tmp_path, students=60, seed=1, today=date(2026, 3, 22))


def test_whoever_is_named_is_sent(export: dict[str, list[Row]]) -> None:
    people = {row["sourcedId"] for row in export["users"]}
    schools = {row["sourcedId"] for row in export["orgs"]}
    classes = {row["sourcedId"] for row in export["classes"]}
    for row in export["enrollments"]:
        assert row["userSourcedId"] in people
        assert row["classSourcedId"] in classes
        assert row["schoolSourcedId"] in schools
    for row in export["attendance"]:
        assert row["studentSourcedId"] in people
        assert row["schoolSourcedId"] in schools
    for row in export["users"]:
        assert all(agent in people for agent in row["agentSourcedIds"].split(",") if agent)
    assert {row["classSourcedId"] for row in export["rolls"]} <= classes
    assert {row["sourcedId"] for row in export["demographics"]} <= people


@pytest.mark.parametrize("file", ["orgs", "academicSessions", "classes", "users", "roles", "enrollments"])
def test_an_id_is_sent_once(export: dict[str, list[Row]], file: str) -> None:
    assert max(Counter(row["sourcedId"] for row in export[file]).values()) == 1


def test_schools_and_siblings_have_names_of_their_own() -> None:
    clusters = [s.cluster for s in simulate(students=24_000, seed=1, today=date(2025, 9, 30))]
    names = [school.name for cluster in clusters for school in cluster.schools]
    assert len(set(names)) == len(names) == 36
    called = np.stack([clusters[0].family, clusters[0].given])
    assert len(np.unique(called, axis=1).T) == clusters[0].n


def test_marks_lie_within_enrolments_and_on_school_days(export: dict[str, list[Row]]) -> None:
    taught = {(r["schoolSourcedId"], r["date"]) for r in export["calendar"] if r["sessions"]}
    terms = {r["sourcedId"]: (r["startDate"], r["endDate"]) for r in export["academicSessions"]}
    term = {r["sourcedId"]: terms[r["termSourcedIds"]] for r in export["classes"]}
    spans: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for r in export["enrollments"]:
        begins, ends = term[r["classSourcedId"]]
        spans[r["userSourcedId"], r["schoolSourcedId"]].append((r["beginDate"] or begins, r["endDate"] or ends))
    for r in export["attendance"]:
        assert (r["schoolSourcedId"], r["date"]) in taught
        assert any(b <= r["date"] <= e for b, e in spans[r["studentSourcedId"], r["schoolSourcedId"]])


def test_nothing_is_entered_before_it_happened_or_after_this_morning(export: dict[str, list[Row]]) -> None:
    now = datetime.combine(A_MORNING, AT_0840).isoformat()
    for row in export["attendance"]:
        assert row["date"] <= row["recordedAt"][:10]
        assert row["recordedAt"][:19] <= now
        assert row["recordedAt"][19:] in ("-05:00", "-06:00")


def test_this_district_has_moves_late_joiners_leavers_second_schools_and_barred_guardians(
    export: dict[str, list[Row]],
) -> None:
    this_year = {r["sourcedId"] for r in export["classes"] if r["termSourcedIds"] == "year-2026"}
    students = [r for r in export["enrollments"] if r["role"] == "student" and r["classSourcedId"] in this_year]
    at: dict[str, set[str]] = defaultdict(set)
    for r in students:
        at[r["userSourcedId"]].add(r["schoolSourcedId"])
    assert sum(len(schools) == 2 for schools in at.values()) >= 5
    assert any(r["primary"] == "false" for r in students)
    assert any(r["beginDate"] and not r["endDate"] for r in students)
    assert any(r["endDate"] and not r["beginDate"] for r in students)
    assert any(r["metadata.noContact"] for r in export["users"])
    assert {r["metadata.language"] for r in export["users"]} >= {"en", "es", "so", "ar", "vi"}
    guardians = Counter(agent for r in export["users"] for agent in r["agentSourcedIds"].split(",") if agent)
    assert max(guardians.values()) >= 2  # brothers and sisters


def test_guardians_have_a_postal_address_mostly_and_who_is_kept_away_lives_elsewhere(
    export: dict[str, list[Row]],
) -> None:
    address = {r["sourcedId"]: r["metadata.address"] for r in export["users"]}
    guardians = {name: where for name, where in address.items() if name.startswith("grd-")}
    assert not any(where for name, where in address.items() if name not in guardians)
    assert 0.9 < sum(map(bool, guardians.values())) / len(guardians) < 1
    pairs = [
        (address[name], address[f"{name[:-1]}1"]) for name in guardians if name.endswith("-0") and f"{name[:-1]}1" in guardians
    ]  # fmt: skip
    assert 0.4 < sum(one == other for one, other in pairs) / len(pairs) < 0.75
    barred = [r["sourcedId"] for r in export["users"] if r["metadata.noContact"]]
    assert barred
    assert all(address[name] != address[f"{name[:-1]}0"] for name in barred if address[name])


def test_the_calendar_has_a_snow_day_and_its_make_up(export: dict[str, list[Row]]) -> None:
    kinds = {(r["date"], r["type"]) for r in export["calendar"]}
    assert (snow_day(2026).isoformat(), "Weather day") in kinds
    made_up = [day for day, kind in kinds if kind == "Make-up day" and day > "2026"]
    assert made_up
    assert min(made_up) > "2026-06-01"
    assert not any(r["date"] == snow_day(2026).isoformat() for r in export["attendance"])
    taught = next(r for r in export["calendar"] if r["schoolSourcedId"].endswith("-5") and r["sessions"])
    assert (taught["sessions"], len(taught["startTimes"].split(";")), len(taught["minutes"].split(";"))) == ("7", 7, 7)


def test_every_code_sent_is_in_the_code_map_and_means_the_letter_it_is(tmp_path: Path) -> None:
    make_district(tmp_path, students=300, seed=1, today=A_MORNING)
    kinds = {
        "presence": Presence, "legal_status": LegalStatus, "part": PartSession, "expected": Expected, "disciplinary": Disciplinary,
        "location": Location,
    }  # fmt: skip
    read = tomllib.loads((tmp_path / "mapping.toml").read_text())["codes"]
    marks = {code: Mark(**{name: kinds[name](value) for name, value in mark.items()}) for code, mark in read.items()}
    assert marks == CODES
    assert all(mark.letter == code for code, mark in marks.items())
    assert {r["code"] for r in _rows(tmp_path / "attendance.csv")} <= marks.keys()


def test_the_source_sends_exceptions_and_is_complete_through_yesterday(tmp_path: Path) -> None:
    make_district(tmp_path, students=60, seed=1, today=A_MORNING)
    source = tomllib.loads((tmp_path / "source.toml").read_text())
    assert (source["sends"], source["complete_through"]) == ("exceptions", A_MORNING - timedelta(days=1))


# --- what was written, and when -----------------------------------------------------------------------------------------


def test_most_absences_begin_unexplained_and_are_explained_days_later(last_year: tuple[Rolls, Entries]) -> None:
    """facts.md § 8, engine.md: marks are entered unexcused and corrected to excused days later."""
    _taken, written = last_year
    letters, final = _letters(written), written.final()
    whole = written.session == WHOLE_DAY
    absences = whole & np.isin(letters, list("NUES"))
    first = np.concatenate([[True], final[:-1]])
    unexplained = (absences & first & np.isin(letters, list("NU"))).sum() / (absences & first).sum()
    assert 0.90 <= unexplained <= 0.99
    corrected = absences & ~first & (letters == "E")
    days = (written.on - written.day)[corrected]
    assert 0.9 <= corrected.sum() / (absences & final & (letters == "E")).sum() <= 1.0
    assert 1 <= np.median(days) <= 3
    assert 0.02 <= (days >= 5).mean() <= 0.25


def test_a_family_keeps_its_own_habit_of_explaining(morning: Simulated, last_year: tuple[Rolls, Entries]) -> None:
    """engine.md: "not excused yet" is read with the student's own and the school's habit of explaining late."""
    _taken, written = last_year
    explained = (_letters(written) == "E") & (written.session == WHOLE_DAY) & (written.on > written.day)
    lag, family = (written.on - written.day)[explained], morning.cluster.family[written.student[explained]]
    odd = written.day[explained] % 2 == 1
    families = np.flatnonzero(
        (np.bincount(family[odd], minlength=family.max() + 1) >= 5)
        & (np.bincount(family[~odd], minlength=family.max() + 1) >= 5)
    )
    halves = np.array([[lag[(family == f) & part].mean() for part in (odd, ~odd)] for f in families])
    assert len(families) > 100
    assert np.corrcoef(halves.T)[0, 1] > 0.3


def test_reasons_are_on_record_for_a_third_of_absences_and_a_tenth_of_lateness(
    last_year: tuple[Rolls, Entries],
) -> None:
    """Somerville MA (facts.md § 8): reason present on 29 % of absences, 10 % of tardies."""
    _taken, written = last_year
    letters, final = _letters(written), written.final()
    away = final & (written.session == WHOLE_DAY) & np.isin(letters, list("NUES"))
    assert 0.24 <= (written.reason[away] > 0).mean() <= 0.34
    assert 0.08 <= (written.reason[final & (letters == "T")] > 0).mean() <= 0.12
    assert REASONS[0] == ""


def test_some_absences_turn_out_to_be_late_arrivals_and_a_few_to_be_mistakes(last_year: tuple[Rolls, Entries]) -> None:
    _taken, written = last_year
    letters, final = _letters(written), written.final()
    before_late = (letters[:-1] == "N") & (letters[1:] == "T") & ~final[:-1]
    assert 0.2 <= before_late.sum() / (letters == "T").sum() <= 0.4
    mistakes = (letters == "P").sum()
    assert 0 < mistakes <= 0.03 * len(written)
    # "P" is only ever a correction
    at = np.flatnonzero(letters == "P")
    assert (letters[at - 1] == "N").all()
    assert not final[at - 1].any()


def test_of_rolls_a_few_were_not_taken_and_some_teachers_forget_far_more(
    morning: Simulated, last_year: tuple[Rolls, Entries]
) -> None:
    """The brief of the district: .5 to 1 % of section-sessions, unevenly."""
    taken, _written = last_year
    sections = morning.cluster.sections[0]
    meets = np.zeros(taken.missing.shape[::2], dtype=bool)
    for k, (where, _grade, met, _teacher, _title) in enumerate(sections):
        meets[k, list(met) or range(morning.cluster.schools[where].sessions)] = True
    by_section = taken.missing.sum(axis=1)[meets] / taken.missing.shape[1]
    assert 0.003 <= by_section.mean() <= 0.013
    assert np.quantile(by_section, 0.95) > 3 * by_section.mean()
    assert (by_section == 0).mean() > 0.3


def test_nothing_is_entered_from_a_roll_that_was_not_taken(
    morning: Simulated, last_year: tuple[Rolls, Entries]
) -> None:
    taken, written = last_year
    in_session = (written.session > 0) & np.isin(_letters(written), list("NUETL"))
    i, d, s = written.student[in_session], written.day[in_session], written.session[in_session] - 1
    assert not taken.missing[morning.cluster.section[0, i, s], d, s].any()


def test_at_twenty_to_nine_most_rolls_are_in_and_some_are_missing(
    morning: Simulated, written: tuple[Rolls, Entries]
) -> None:
    taken, _entries = written
    first = [not met or met == (0,) for _where, _grade, met, _teacher, _title in morning.cluster.sections[1]]
    share = (~np.isnan(taken.taken[first, 0])).mean()
    assert 0.7 <= share <= 0.98
    assert np.isnan(taken.taken[:, 1:]).all()
    assert not taken.missing[:, -1].any()


def test_this_morning_only_the_first_session_is_known_and_mostly_unexplained(written: tuple[Rolls, Entries]) -> None:
    _taken, entered = written
    today = entered.day == entered.day.max()
    letters = _letters(entered)[today]
    assert (entered.session[today] == 1).all()
    assert (entered.minute[today] <= 8 * 60 + 40).all()
    assert set(letters) <= set("NET")
    away = np.isin(letters, list("NE"))
    assert 0.6 <= (letters[away] == "N").mean() <= 0.95
    assert 100 <= away.sum() <= 900


def test_this_year_holds_the_stories_a_morning_list_is_for(morning: Simulated) -> None:
    """Some who broke from their own pattern one to three weeks ago, streaks that run today, one bad weekday, lateness that drifts."""
    behaviour, cluster = morning.years[1], morning.cluster
    whole = behaviour.whole[(cluster.school[1] >= 0) & (cluster.first[1] == 0)]
    days = whole.shape[1]
    before, lately = whole[:, : days - 15].mean(axis=1), whole[:, days - 10 :].mean(axis=1)
    assert 8 <= ((before < 0.08) & (lately >= 0.5)).sum() <= 120
    assert 8 <= whole[:, -5:].all(axis=1).sum() <= 150
    weekday = np.array([d.weekday() for d in morning.settings[1].calendar.school_days[:days]])
    each = np.stack([whole[:, weekday == day].mean(axis=1) for day in range(5)])
    rest = (each.sum(axis=0) - each.max(axis=0)) / 4
    assert 8 <= ((each.max(axis=0) > 0.25) & (rest < 0.08)).sum() <= 120
    late = (behaviour.squares[..., 0] == 2)[(cluster.school[1] >= 0) & (cluster.first[1] == 0)]
    assert 8 <= ((late[:, : days - 35].mean(axis=1) < 0.08) & (late[:, days - 12 :].mean(axis=1) > 0.3)).sum() <= 120


# --- the day of a demo --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "opens_on"),
    [
        (date(2026, 3, 24), date(2026, 3, 24)),  # a Tuesday at school
        (date(2026, 3, 22), date(2026, 3, 20)),  # a Sunday
        (date(2026, 7, 20), date(2026, 6, 12)),  # summer: the last day of the year
        (date(2026, 8, 20), date(2026, 6, 12)),  # too few days behind it
    ],
)
def test_a_demo_opens_on_the_last_school_day_with_enough_behind_it(today: date, opens_on: date) -> None:
    assert demo_day(today) == opens_on


def test_a_demo_can_be_made_on_any_day(tmp_path: Path) -> None:
    for k in range(0, 730, 29):
        today = demo_day(date(2025, 1, 1) + timedelta(days=k))
        assert next(simulate(students=60, seed=1, today=today)).settings[1].through > 20
