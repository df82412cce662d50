"""Accounts are made by the district: a person, a role, a school."""

from __future__ import annotations

import secrets
from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from firstbell.access import audit, policy
from firstbell.access.models import Assignment, Role, User
from firstbell.register.models import School, Staff


class NotMade(ValueError):
    """The account or role could not be made; the sentence says why. Nothing was changed."""


@transaction.atomic
def give_role(
    email: str, role: str, *, school_id: str | None = None, staff_id: str | None = None, name: str = "", office: str = "",
    password: str | None = None, starts: date | None = None, by: str = "command line",
) -> str | None:  # fmt: skip
    """Give somebody a role, perhaps with an office of the law's. Returns the first password when the account is new, else None."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise NotMade(f"{email!r} is not a mail address. No account was made.") from error
    if role not in Role.values:
        raise NotMade(f"There is no role {role!r}; the roles are {', '.join(Role.values)}. No account was made.")
    office = " ".join(office.split())
    if office and role not in policy.SCHOOL_ROLES:
        raise NotMade("Who holds an office sees students: as officer or school_lead. No account was made.")
    if len(office) > 120:
        raise NotMade("An office is called by a few words, as its law pack has them. No account was made.")
    school = School.objects.filter(source_id=school_id).first()
    if school_id and school is None:
        raise NotMade(f"No school has the source id {school_id!r}. No account was made.")
    staff = Staff.objects.filter(source_id=staff_id).first()
    if role == Role.TEACHER and staff is None:
        raise NotMade("A teacher needs --staff, their source id in the school system. No account was made.")
    user = User.objects.filter(email=email.lower()).first()
    first = None
    if user is None:
        first = password or secrets.token_urlsafe(12)
        given, _, family = name.partition(" ")
        user = User.objects.create_user(email, first, first_name=given, last_name=family)
    Assignment.objects.get_or_create(
        user=user, role=role, school=school, staff=staff, office=office, ends=None, defaults={"starts": starts or policy.today()}
    )  # fmt: skip
    audit.record(by, "gave_role", f"user:{user.pk}", f"{role} {school.pk if school else 'district'} {office}".strip())
    return first


@transaction.atomic
def end_role(
    email: str, role: str, *, school_id: str | None = None, office: str = "", last: date | None = None, by: str = "command line"
) -> date:  # fmt: skip
    """A role, or an office held in it, has its last day; without one, it was yesterday: they are out at once. Returns that day."""
    last = last or policy.today() - timedelta(days=1)
    office = " ".join(office.split())
    still = Assignment.objects.filter(
        Q(ends=None) | Q(ends__gt=last), user__email=email.lower(), role=role, school__source_id=school_id, office__iexact=office
    )  # fmt: skip
    found = list(still.select_related("school"))
    if not found:
        what = f"{role}, {office}" if office else role
        raise NotMade(
            f"{email} is not {what} for {school_id or 'the whole district'} after {last}. Nothing was changed."
        )
    still.update(ends=last)
    for was in found:
        detail = f"{role} {was.school_id or 'district'} {was.office}".strip()
        audit.record(by, "ended_role", f"user:{was.user_id}", f"{detail} through {last}")
    return last
