"""A letter on paper: a copy for each address, its window's lines sealed with the letter, and which of them may still be printed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

__all__ = ["Copies", "Envelope", "copies_of", "envelopes_for", "envelopes_in", "sealed", "shown"]

#: what begins an envelope's line of the evidence; the lines of its window follow, set in
_OPENS, _SET_IN = "envelope ", "  "


@dataclass(frozen=True, slots=True, repr=False)  # it holds an address: that doesn't belong in a log
class Envelope:
    """One copy: for the contacts who have their post at one address, and the lines of its window, names first."""

    contacts: tuple[int, ...]
    lines: tuple[str, ...]


def envelopes_for(recipients: Iterable[tuple[int, str, str]], silent: Iterable[str]) -> list[Envelope]:
    """Of recipients, each as (contact, name, address). An address that somebody under no-contact shares (`silent`) is nobody's, nor is one that
    could be the same, written with more of it or less: in doubt a letter is handed over."""
    closed = [address for address in silent if _place(address)]
    at: dict[str, list[tuple[int, str, str]]] = {}
    for one in recipients:
        if (place := _place(one[2])) and not any(_could_be(one[2], other) for other in closed):
            at.setdefault(place, []).append(one)
    return [
        Envelope(
            tuple(contact for contact, _name, _address in some),
            _lines([", ".join(name for _contact, name, _address in some), *some[0][2].splitlines()]),
        )
        for some in at.values()
    ]


def _place(address: str) -> str:
    """What tells two addresses apart, however they are spaced, pointed and capitalised."""
    return "".join(c for c in address.casefold() if c.isalnum())


def _could_be(one: str, other: str) -> bool:
    """Whether two addresses could be one: one says no more than the other's beginning, or both name the same street and number."""
    a, b = _place(one), _place(other)
    return (
        a.startswith(b)
        or b.startswith(a)
        or _place(one.strip().splitlines()[0]) == _place(other.strip().splitlines()[0])
    )


def _lines(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(" ".join(line.split()) for line in lines if line.strip())


def sealed(envelopes: Iterable[Envelope]) -> list[str]:
    """As lines of the evidence, from which `envelopes_in` has them back."""
    found = []
    for envelope in envelopes:
        found += [_OPENS + " ".join(map(str, envelope.contacts)), *(_SET_IN + line for line in envelope.lines)]
    return found


def envelopes_in(evidence: str) -> list[Envelope]:
    found: list[tuple[tuple[int, ...], list[str]]] = []
    for line in evidence.splitlines():
        if line.startswith(_OPENS):
            found.append((tuple(map(int, line.split()[1:])), []))
        elif line.startswith(_SET_IN) and found:
            found[-1][1].append(line.removeprefix(_SET_IN))
    return [Envelope(contacts, tuple(lines)) for contacts, lines in found]


@dataclass(frozen=True, slots=True)
class Copies:
    """`still`: for who has their post there today; how many moved; how many are for somebody who may not be written to any more."""

    still: list[Envelope]
    moved: int
    silent: int


def copies_of(evidence: str, now: Iterable[Envelope], recipients: Set[int]) -> Copies:
    """The copies a letter was signed for, beside the envelopes it would have `now`."""
    where = {contact: _place("".join(e.lines[1:])) for e in now for contact in e.contacts}  # under the line of names
    before = envelopes_in(evidence)
    still = [e for e in before if all(where.get(contact) == _place("".join(e.lines[1:])) for contact in e.contacts)]
    silent = sum(not recipients.issuperset(envelope.contacts) for envelope in before)
    return Copies(still, len(before) - len(still) - silent, silent)


def shown(evidence: str, recipients: Set[int]) -> list[str]:
    """The evidence line by line, but for where somebody has their post who may not be written to any more."""
    found, hidden = [], False
    for line in evidence.splitlines():
        if not line.startswith(_SET_IN):
            hidden = any(not recipients.issuperset(envelope.contacts) for envelope in envelopes_in(line))
        if not (hidden and line.startswith(_SET_IN)):
            found.append(line)
    return found
