"""How django-allauth behaves here: nobody signs themselves up, mail goes to the outbox, links use the public address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from firstbell.access import audit
from firstbell.access.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # Names and links come from the configured address: a request's Host header is whatever its sender wrote.
        site = SimpleNamespace(name="Firstbell", domain=urlsplit(settings.PUBLIC_URL).netloc)
        super().send_mail(template_prefix, email, {**context, "current_site": site})

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.PUBLIC_URL + path.replace("UID-KEY", key)

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        audit.record(user, "signed_in")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """District sign-on never creates an account: it opens one that the district made, matched by its linked identity
    or, for an address the provider says it verified, by that address the first time."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.is_existing:
            return
        verified = [a.email.lower() for a in sociallogin.email_addresses if a.verified]
        user = User.objects.filter(email__in=verified, is_active=True).first()
        if user is None:
            from firstbell.desk.errors import no_account

            raise ImmediateHttpResponse(no_account(request))
        sociallogin.connect(request, user)
