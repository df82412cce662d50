"""One district lead proposes the law, another approves or refuses it; what was in force ends, and can come back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from firstbell import clock
from firstbell.access.models import AuditEntry, Role, User
from firstbell.casework.adopted import adopted, law_of
from firstbell.casework.adopting import NotAdopted, agree, approve, end, keep, propose, refuse, withdraw
from firstbell.casework.firings import look_over
from firstbell.casework.models import Adoption, Firing
from firstbell.law.packs import InForce
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, a_user, draw

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TODAY = FIRST_MONDAY + timedelta(days=25)
START = date(2026, 8, 1)
OWN = """on = "example"
title = "Eight days"
effective_from = 2026-08-01
[[change]]
id = "ten-unexcused-days"
threshold = { count = 8 }
"""


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 22, tzinfo=UTC))


@pytest.fixture
def rosa(db: None) -> User:
    return a_user(Role.DISTRICT_LEAD)


@pytest.fixture
def tom(db: None) -> User:
    return a_user(Role.DISTRICT_LEAD)


def test_a_proposal_is_in_force_once_somebody_else_approved_it(rosa: User, tom: User) -> None:
    made = propose(rosa, "example", START)
    assert adopted(TODAY) is None
    with pytest.raises(NotAdopted, match="Somebody else"):
        approve(rosa, made)
    approve(tom, made)
    assert adopted(TODAY) == made
    assert adopted(START - timedelta(days=1)) is None
    assert [e.action for e in AuditEntry.objects.order_by("id")] == ["proposed_law", "approved_law"]


def test_proposed_twice_it_is_one_and_answered_twice_the_first_counts(rosa: User, tom: User) -> None:
    made = propose(rosa, "example", START)
    assert propose(rosa, "example", START).pk == made.pk
    refuse(tom, made, "Counsel has to read it first.")
    for again in (lambda: approve(tom, made), lambda: refuse(tom, made, "no"), lambda: withdraw(rosa, made)):
        with pytest.raises(NotAdopted, match=r"[Nn]othing was changed"):
            again()
    assert propose(rosa, "example", START).pk != made.pk
    assert adopted(TODAY) is None


def test_a_refusal_has_a_reason_and_is_somebody_elses(rosa: User, tom: User) -> None:
    made = propose(rosa, "example", START)
    with pytest.raises(NotAdopted, match="Write why"):
        refuse(tom, made, " ")
    with pytest.raises(NotAdopted, match="somebody else"):
        refuse(rosa, made, "no")
    refuse(tom, made, "Not yet.")
    made.refresh_from_db()
    assert (made.refused_by, made.why, made.waits) == (tom, "Not yet.", False)


def test_own_rules_that_are_wrong_name_their_line_and_nothing_is_kept(rosa: User) -> None:
    with pytest.raises(NotAdopted, match=r"your own rules, line 6: .*help would come later.*loosens"):
        propose(rosa, "example", START, overlay=OWN.replace("8 }", "12 }"))
    with pytest.raises(NotAdopted, match="not TOML"):
        propose(rosa, "example", START, overlay="on = ")
    with pytest.raises(NotAdopted, match="begin on"):
        propose(rosa, "example", START - timedelta(days=1), overlay=OWN)
    with pytest.raises(NotAdopted, match="Choose a pack"):
        propose(rosa, "/etc/hosts.toml", START)
    with pytest.raises(NotAdopted, match="No version"):
        propose(rosa, "example", date(1999, 1, 1))
    with pytest.raises(NotAdopted, match="or neither"):
        propose(rosa, "example", START, verified_by="Counsel")
    with pytest.raises(NotAdopted, match="not come yet"):
        propose(rosa, "example", START, verified_by="Counsel", verified_on=TODAY + timedelta(days=2))
    assert not Adoption.objects.exists()


def test_own_rules_end_with_their_last_day_and_what_was_before_is_back(rosa: User, tom: User) -> None:
    before = propose(rosa, "example", START)
    approve(tom, before)
    own = propose(rosa, "example", START, overlay="effective_to = 2026-09-20\n" + OWN)
    approve(tom, own)
    assert adopted(date(2026, 9, 20)) == own
    assert adopted(date(2026, 9, 21)) == before


def again(adoption: Adoption) -> Adoption:
    return Adoption.objects.get(pk=adoption.pk)


def test_what_is_in_force_ends_on_a_day_to_come_once_a_second_lead_agrees(rosa: User, tom: User) -> None:
    made = propose(rosa, "example", START)
    approve(tom, made)
    made = again(made)
    for last, why, words in (
        (TODAY, "", "Write why"), (START - timedelta(days=1), "x", "before it begins"), (TODAY - timedelta(days=1), "x", "past"),
    ):  # fmt: skip
        with pytest.raises(NotAdopted, match=words):
            end(rosa, made, last, why)
    end(rosa, made, TODAY, "The statute was repealed.")
    assert adopted(TODAY + timedelta(days=1)) is not None, "nobody has agreed yet"
    with pytest.raises(NotAdopted, match="Somebody else"):
        agree(rosa, again(made))
    agree(tom, again(made))
    assert adopted(TODAY) is not None
    assert adopted(TODAY + timedelta(days=1)) is None
    end(tom, again(made), TODAY + timedelta(days=3), "A few days more.")  # what was agreed can be asked anew
    keep(rosa, again(made))
    assert adopted(TODAY + timedelta(days=1)) is None
    assert [e.action for e in AuditEntry.objects.order_by("id")][-4:-2] == ["asked_to_stop_law", "ended_law"]


def test_what_is_in_force_is_withdrawn_by_two_and_what_was_before_is_back(rosa: User, tom: User) -> None:
    before, own = propose(rosa, "example", START), propose(rosa, "example", START, overlay=OWN)
    for one in (before, own):
        approve(tom, one)
        one.refresh_from_db()
    with pytest.raises(NotAdopted, match="write why"):
        withdraw(rosa, own)
    assert withdraw(rosa, own, "It was a mistake.") is False
    assert adopted(TODAY) == own
    with pytest.raises(NotAdopted, match="Somebody else"):
        agree(rosa, again(own))
    with pytest.raises(NotAdopted, match="meanwhile"):
        agree(tom, own)  # as it stood before anybody asked
    agree(tom, again(own))
    assert adopted(TODAY) == before
    gone = again(own)
    assert (gone.stop_asked_by, gone.withdrawn_by, gone.why) == (rosa, tom, "It was a mistake.")


def test_a_second_lead_who_does_not_agree_keeps_it_in_force_and_it_can_be_asked_again(rosa: User, tom: User) -> None:
    approve(tom, made := propose(rosa, "example", START))
    withdraw(tom, again(made), "I think it is wrong.")
    with pytest.raises(NotAdopted, match="meanwhile"):
        withdraw(rosa, made, "Me too.")
    keep(rosa, again(made))
    assert adopted(TODAY) == made
    assert withdraw(tom, again(made), "Counsel says so too.") is False


def test_who_proposed_what_has_not_begun_takes_it_back_alone_and_nobody_else_does(rosa: User, tom: User) -> None:
    begins = TODAY + timedelta(days=1)
    approve(tom, made := propose(rosa, "example", begins))
    assert withdraw(tom, again(made), "Not yet.") is False
    keep(tom, again(made))
    assert withdraw(rosa, again(made), "A week later is better.") is True
    assert adopted(begins) is None


def test_somebody_who_saw_a_proposal_cannot_withdraw_what_was_approved_meanwhile(rosa: User, tom: User) -> None:
    seen = propose(rosa, "example", START)
    approve(tom, Adoption.objects.get())
    with pytest.raises(NotAdopted, match="meanwhile"):
        withdraw(rosa, seen)
    assert adopted(TODAY) == seen


def _by_day(law: list[InForce]) -> list[tuple[str, str, object]]:
    """From when through when, and where the line of ten days is."""
    return [
        (f"{v.first:%d %b}", f"{v.last:%d %b}", v.pack.rule_named("ten-unexcused-days").threshold.count) for v in law
    ]  # type: ignore[union-attr]


def test_own_rules_act_from_their_first_day_through_their_last_and_the_pack_on_all_others(
    rosa: User, tom: User
) -> None:
    """The statute was in force before the district said that it goes by it, and between two adoptions."""
    tens = OWN.replace("count = 8", "count = 9").replace("2026-08-01", "2026-09-21")
    for overlay, starts in ((OWN, date(2026, 9, 7)), (tens, date(2026, 9, 21))):
        approve(tom, propose(rosa, "example", starts, overlay=overlay))
    assert _by_day(law_of(adopted(TODAY), START, TODAY)) == [
        ("01 Aug", "06 Sep", 10), ("07 Sep", "20 Sep", 8), ("21 Sep", "25 Sep", 9),
    ]  # fmt: skip
    assert _by_day(law_of(adopted(date(2026, 9, 10)), START, date(2026, 9, 10)))[-1][1:] == ("10 Sep", 8)
    Adoption.objects.filter(starts=date(2026, 9, 7)).update(ends=date(2026, 9, 13))
    assert [count for _a, _b, count in _by_day(law_of(adopted(TODAY), START, TODAY))] == [10, 8, 10, 9]


def test_the_same_rules_adopted_again_are_one_law(rosa: User, tom: User) -> None:
    approve(tom, propose(rosa, "example", START, overlay=OWN))
    approve(tom, propose(rosa, "example", date(2026, 9, 14), overlay=OWN))
    assert _by_day(law_of(adopted(TODAY), START, TODAY)) == [("01 Aug", "25 Sep", 8)]


def test_another_pack_adopted_in_mid_year_is_asked_of_the_whole_of_it(rosa: User, tom: User) -> None:
    approve(tom, propose(rosa, "us-fl", START))
    approve(tom, propose(rosa, "example", date(2026, 9, 14), overlay=OWN))
    assert _by_day(law_of(adopted(TODAY), START, TODAY)) == [("01 Aug", "13 Sep", 10), ("14 Sep", "25 Sep", 8)]


def test_a_lead_who_tightens_in_mid_year_has_nobody_written_to_twice(rosa: User, tom: User) -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    for squares in ("UUUUU UUUUU UPPPP PPPPP", "UUUUU UUUPP PPPPP PPPPP"):
        draw(calendar, a_student(school), squares)
    approve(tom, propose(rosa, "example", START))
    look_over()
    ten = Firing.objects.system("test").filter(rule="ten-unexcused-days")
    (eleven_days,) = ten
    own = OWN.replace("2026-08-01", "2026-09-21")
    approve(tom, propose(rosa, "example", date(2026, 9, 21), overlay=own))
    assert (look_over().superseded, look_over().reached) == (0, 0)
    of_eight = ten.exclude(pk=eleven_days.pk).get()
    assert (of_eight.fired_on, of_eight.threshold, of_eight.count) == (date(2026, 9, 21), "8", "8")
    eleven_days.refresh_from_db()
    assert (eleven_days.fired_on, eleven_days.threshold) == (date(2026, 9, 11), "10")
    assert eleven_days.pack_sha256 != of_eight.pack_sha256


def test_after_a_change_of_law_the_night_looks_at_everybody_anew(rosa: User, tom: User) -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=6, covered=TODAY)
    draw(calendar, a_student(school), "UUUUU UUUPP PPPPP PPPPP")
    approve(tom, propose(rosa, "example", START))
    assert look_over().reached == 1  # a tenth of the days
    approve(tom, own := propose(rosa, "example", START, overlay=OWN))
    assert law_of(adopted(TODAY), FIRST_MONDAY, TODAY)[0].pack.rule_named("ten-unexcused-days").threshold.count == 8  # type: ignore[union-attr]
    assert look_over().reached == 1
    firing = Firing.objects.system("test").get(rule="ten-unexcused-days")
    withdraw(rosa, again(own), "Too many.")
    agree(tom, again(own))
    assert look_over().superseded == 1
    firing.refresh_from_db()
    assert firing.superseded_at is not None
