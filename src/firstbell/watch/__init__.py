"""Runs the signals over the register, nightly and live; keeps alerts and the verdicts people give on them.

Begin at `kinds` (what raises an alert, what its sentence is, when it ends, what "worse" means), then `passes` (nightly) and
`live` (one student, at once). A person decides: nothing in this room acts on an alert.
"""
