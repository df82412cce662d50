from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractUser):
    """Someone who signs in. What they may see comes from their role assignments, never from flags on this row."""

    username = None
    email = models.EmailField(_("email address"), unique=True)
    language = models.CharField(max_length=10, default="en")
    #: minutes this person has for the morning list; what falls below that line is shown below it
    daily_minutes = models.PositiveSmallIntegerField(default=60)
    #: what this person keeps at hand of the Today list: [{"name": …, "school": a number or null, "kind": a kind or null}]
    saved_views = models.JSONField(default=list, blank=True)
    #: when the short tour of the first visit was put away
    toured_at = models.DateTimeField(null=True, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.get_full_name() or self.email


class Role(models.TextChoices):
    OFFICER = "officer", _("attendance officer")
    SCHOOL_LEAD = "school_lead", _("school lead")
    TEACHER = "teacher", _("teacher")
    DISTRICT_LEAD = "district_lead", _("district lead")
    DATA_STEWARD = "data_steward", _("data steward")


class Assignment(models.Model):
    """A person's role, for a school or (school empty) for the whole district, from a day to a day; and the office they hold in it, if any."""

    user = models.ForeignKey(User, models.CASCADE, related_name="assignments")
    role = models.CharField(max_length=20, choices=Role)
    school = models.ForeignKey("register.School", models.PROTECT, null=True, blank=True, related_name="assignments")
    staff = models.ForeignKey("register.Staff", models.PROTECT, null=True, blank=True, related_name="assignments")
    #: an office of the law's, in a pack's words ("superintendent"): they sign for that one, and not for whom the role signs. Empty: none
    office = models.CharField(max_length=120, blank=True)
    starts = models.DateField()
    ends = models.DateField(null=True, blank=True)


class AuditEntry(models.Model):
    """One line of the audit: who did what to whom, chained by hash to the line before. Never changed, never removed.

    Database triggers refuse UPDATE and DELETE; `audit.verify` walks the chain.
    """

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=120, blank=True)
    detail = models.TextField(blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["subject", "id"], name="audit_subject"),
            models.Index(fields=["actor", "at"], name="audit_actor"),
        ]
