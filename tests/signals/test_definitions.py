"""The kernel against a slow and obvious reading of its definitions, on any register."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.register.grid import Grid
from firstbell.signals.kernel import WINDOW_DAYS, Count, compute
from firstbell.signals.metrics import attendance, counted_days

ABSENT, PRESENT = "EUNXS", "PFITLH"


def day_kind(squares: str) -> set[str]:
    known = [c for c in squares if c not in " #"]
    missed = [c for c in known if c in ABSENT]
    kind: set[str] = set()
    if known:
        kind.add("possible")
    if any(c in PRESENT for c in known):
        kind.add("seen")
    if missed and 2 * len(missed) >= len(known):
        kind.add("absent")
        if 2 * missed.count("S") > len(missed):
            kind.add("suspended")
        elif 2 * missed.count("U") > len(missed):
            kind.add("unauthorised")
        elif 2 * missed.count("N") > len(missed):
            kind.add("pending")
    elif known:
        if "T" in known:
            kind.add("late")
        if missed or any(c in "TLH" for c in known):
            kind.add("part")
    return kind


@st.composite
def registers(draw: st.DrawFn) -> tuple[list[str], int]:
    sessions = draw(st.sampled_from([1, 2, 7]))
    days = draw(st.integers(0, 60))
    letters = st.text("PPPPPPTLEUUNSXFIH #", min_size=days * sessions, max_size=days * sessions)
    return draw(st.lists(letters, min_size=1, max_size=3)), sessions


@settings(max_examples=150, deadline=None)
@given(registers())
def test_every_count_is_what_its_definition_says(drawn: tuple[list[str], int]) -> None:
    rows, sessions = drawn
    days = len(rows[0]) // sessions
    codes = np.array([list(r.encode()) for r in rows], dtype=np.uint8).reshape(len(rows), days * sessions)
    grid = Grid(
        codes, np.busday_offset("2026-08-31", np.arange(days), roll="forward").astype("datetime64[D]"), sessions
    )
    signals = compute(grid, days, np.zeros(len(rows), dtype=np.int32))
    for i, row in enumerate(rows):
        kinds = [day_kind(row[d * sessions : (d + 1) * sessions]) for d in range(days)]
        names = {
            Count.POSSIBLE: "possible", Count.ABSENT: "absent", Count.UNAUTHORISED: "unauthorised", Count.PENDING: "pending",
            Count.LATE: "late", Count.PART: "part",
        }  # fmt: skip
        for w, length in enumerate([*WINDOW_DAYS, days]):
            recent = kinds[max(0, days - length) :]
            for count, name in names.items():
                assert signals.counts[i, w, count] == sum(name in k for k in recent), (row, count, length)
        possible = [(d, k) for d, k in enumerate(kinds) if "possible" in k]
        run = 0
        while run < len(possible) and "absent" in possible[-1 - run][1]:
            run += 1
        assert signals.streak[i] == run
        unseen = 0
        while unseen < len(possible) and "seen" not in possible[-1 - unseen][1]:
            unseen += 1
        assert signals.days_since_seen[i] == unseen
        spells = [
            k for n, (_d, k) in enumerate(possible) if "absent" in k and (n == 0 or "absent" not in possible[n - 1][1])
        ]
        assert signals.spells[i] == len(spells)
        assert signals.possible_squares[i] == sum(c not in " #" for c in row)
        assert signals.missed_squares[i] == sum(c in ABSENT for c in row)
        shown = attendance(counted_days(grid, days, i))
        assert (shown.missed, shown.possible) == (
            signals.counts[i, 4, Count.ABSENT],
            signals.counts[i, 4, Count.POSSIBLE],
        )
