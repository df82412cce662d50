"""Statutes as data, and the clock that reads them. Pure: no database, no page.

A *pack* (`packs`, a TOML file a version) says what a jurisdiction counts, where its lines are, and what must then be done, in
which order and by when. `days` turns squares of the register into counted days, by any of the ways statutes know; `windows` says
which days count together; `tally` says what a rule counts of a student, `deeds` what was done and what it shows; `clock` judges the two,
and gives a student's *position* under every rule on any day: the count, the very marks counted, the days of room, what is due, what is
still missing before a step may be taken. `scenario` reads one student's story from a file.

Nothing here acts. It never calls an unknown square present, never rounds, and never opens a sanction by itself.
Begin with `packs.Rule`, then `clock.positions`.
"""
