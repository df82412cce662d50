"""Reads what a school system exports; stages, refuses, reports, applies all or nothing.

Begin at `command.import_path`, the whole way in a page of code. `receive` copies the bytes aside; `readers` (pure) turn
files into records and refusals; `staging` keeps them in a file of the delivery's own; `walk`, `roster` and `squares` compare
every record with the register, for the preview and for the apply alike; `bounds` says when a person must look first; `apply`
writes in one transaction; `work` does it in the background; `report` is what a page shows of it. What names somebody not yet
known, or has a code nobody has mapped, waits and is tried again with every later delivery, so that any order of files gives
the same register. An invalid row is not an absent row: nothing is inferred from what could not be read.
"""
