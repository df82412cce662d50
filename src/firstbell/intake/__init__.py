"""Reads what a school system exports; stages, refuses, reports, applies all or nothing.

`readers` (pure) turn files into records and refusals; `staging` keeps a delivery aside; `plan` says what it would change and
holds it to its bounds; `apply` writes it in one transaction. An invalid row is not an absent row: nothing is inferred from
what could not be read.
"""
