"""Accounts are made by the district: a person, a role, a school."""

from __future__ import annotations

import secrets
from datetime import date

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import Assignment, Role, User
from firstbell.register.models import School, Staff


class NotMade(ValueError):
    """The account or role could not be made; the sentence says why. Nothing was changed."""


@transaction.atomic
def give_role(
    email: str, role: str, *, school_id: str | None = None, staff_id: str | None = None, name: str = "",
    password: str | None = None, starts: date | None = None, by: str = "command line",
) -> str | None:  # fmt: skip
    """Give somebody a role. Returns the first password when the account is new, else None."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise NotMade(f"{email!r} is not a mail address. No account was made.") from error
    if role not in Role.values:
        raise NotMade(f"There is no role {role!r}; the roles are {', '.join(Role.values)}. No account was made.")
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
        user=user, role=role, school=school, staff=staff, ends=None, defaults={"starts": starts or clock.now().date()}
    )
    audit.record(by, "gave_role", f"user:{user.pk}", f"{role} {school.pk if school else 'district'}")
    return first
