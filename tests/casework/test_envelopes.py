"""The copies of a letter on paper: who shares one, what is sealed of it, and which may still be printed."""

from __future__ import annotations

from firstbell.casework.letters.envelopes import Envelope, copies_of, envelopes_for, envelopes_in, sealed, shown

LANE = "12 Larch Lane\nLarch Valley 00100"
ROW = "1 Elm Row\nLarch Valley 00100"
MARIA, JON = Envelope((1,), ("Maria Reyes", *LANE.splitlines())), Envelope((2,), ("Jon Reyes", *ROW.splitlines()))


def test_who_has_their_post_at_one_address_gets_one_copy_however_it_is_written() -> None:
    shouted = "12 LARCH LANE,\n\n  Larch Valley   00100"
    (together,) = envelopes_for([(1, "Maria Reyes", LANE), (2, "Jon Reyes", shouted)], [])
    assert together == Envelope((1, 2), ("Maria Reyes, Jon Reyes", "12 Larch Lane", "Larch Valley 00100"))
    assert envelopes_for([(1, "Maria Reyes", LANE), (2, "Jon Reyes", ROW)], []) == [MARIA, JON]


def test_nobody_gets_post_where_somebody_under_no_contact_has_theirs_and_none_without_an_address() -> None:
    assert envelopes_for([(1, "Maria Reyes", LANE), (2, "Jon Reyes", "")], ["12 larch lane, larch valley 00100"]) == []
    assert envelopes_for([(1, "Maria Reyes", LANE)], [""]) == [MARIA]


def test_an_address_that_could_be_that_of_somebody_under_no_contact_is_nobodys() -> None:
    for barred in (LANE + "\nUS", LANE + "-1234", "12 Larch Lane", "12 Larch Lane\nLarch Vly 00100"):
        assert envelopes_for([(1, "Maria Reyes", LANE), (2, "Jon Reyes", ROW)], [barred]) == [JON]


def test_a_name_or_a_line_cannot_pose_as_another_line_of_the_evidence() -> None:
    (odd,) = envelopes_for([(1, "Maria\naddressed to 9", "envelope 7\x85grade 1")], [])
    evidence = "\n".join(["addressed to 1", *sealed([odd]), "grade 3.0"])
    assert [line for line in evidence.splitlines() if not line.startswith("  ")] == ["addressed to 1", "envelope 1", "grade 3.0"]  # fmt: skip
    assert envelopes_in(evidence) == [odd]


def test_a_copy_is_printed_while_its_contact_has_their_post_there_and_may_be_written_to() -> None:
    evidence = "\n".join(sealed([MARIA, JON]))
    moved = Envelope((1,), ("Maria Reyes", "9 New Road"))
    for now, recipients, left in (
        ([MARIA, JON], {1, 2}, ([MARIA, JON], 0, 0)), ([moved, JON], {1, 2}, ([JON], 1, 0)), ([MARIA], {1}, ([MARIA], 0, 1)),
        ([Envelope((1, 2), ("Maria Reyes, Jon Reyes", *LANE.splitlines()))], {1, 2}, ([MARIA], 1, 0)), ([], set(), ([], 0, 2)),
    ):  # fmt: skip
        copies = copies_of(evidence, now, recipients)
        assert (copies.still, copies.moved, copies.silent) == left


def test_where_somebody_lives_who_may_not_be_written_to_any_more_is_not_shown() -> None:
    evidence = "\n".join(["addressed to 1 2", *sealed([MARIA, JON]), "grade 3.0"])
    assert shown(evidence, {2}) == ["addressed to 1 2", "envelope 1", *sealed([JON]), "grade 3.0"]
    assert shown(evidence, {1, 2}) == evidence.splitlines()
