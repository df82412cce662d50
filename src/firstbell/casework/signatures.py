"""Whose signature a rule asks for: its pack names offices, the desk knows roles."""

from __future__ import annotations

from collections.abc import Iterable

from firstbell.access import policy
from firstbell.access.models import Role, User
from firstbell.access.policy import DEEDS, Deed
from firstbell.law.packs import SignOff

__all__ = ["missing_after", "signing_role", "strictest"]

#: in the order somebody who holds both signs in them
SIGNERS = tuple(role for role in (Role.OFFICER, Role.SCHOOL_LEAD) if role in DEEDS[Deed.TAKE_STEPS])
#: the packs' offices that are a role of the desk's. Nobody at a desk who sees students holds another (superintendent, head of service,
#: a ministry, …): there any officer or school lead signs.
OFFICES = {
    "attendance officer": Role.OFFICER,
    "school attendance officer": Role.OFFICER,
    "supervisor of attendance": Role.OFFICER,
    "educational welfare officer": Role.OFFICER,
    "leerplichtambtenaar": Role.OFFICER,
    "principal": Role.SCHOOL_LEAD,
    "head": Role.SCHOOL_LEAD,
    "head teacher": Role.SCHOOL_LEAD,
    "hoofd": Role.SCHOOL_LEAD,
    "school lead": Role.SCHOOL_LEAD,
}


def _roles(office: str) -> tuple[Role, ...]:
    role = OFFICES.get(" ".join(office.lower().split()))
    return SIGNERS if role is None else (role,)


def missing_after(sign_off: SignOff, signed_as: str = "") -> list[str]:
    """The offices still to sign, once somebody signed in a role: it stands for the office that fewest could have signed for."""
    offices = [office for office in (sign_off.role, sign_off.second_role) if office]
    taken = next((o for o in sorted(offices, key=lambda o: len(_roles(o))) if signed_as in _roles(o)), None)
    if taken is not None:
        offices.remove(taken)
    return offices


def signing_role(user: User, offices: list[str]) -> Role | None:
    """The role somebody signs in for one of these offices, the narrowest first; where none is named, in whichever they hold.
    None where the signature is not theirs."""
    held = policy.roles(user)
    ways = [_roles(office) for office in offices] or [SIGNERS]
    return next((role for way in sorted(ways, key=len) for role in way if role in held), None)


def strictest(offices: Iterable[str]) -> str:
    """Of these offices the one that fewest could sign for; empty of none."""
    return min(filter(None, offices), key=lambda office: len(_roles(office)), default="")
