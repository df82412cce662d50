"""The district's own sign-on (OpenID Connect, by setting): it opens an account the district made, and never makes one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client, override_settings

from firstbell.access.models import AuditEntry, Role, User
from tests.build import a_school, a_user

pytestmark = pytest.mark.django_db
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PERSON = {"sub": "person-7", "email": "olive@example.org", "email_verified": True}


class Issuer(BaseHTTPRequestHandler):
    """As much of an identity provider as a sign-in asks for."""

    nonce = ""

    def do_GET(self) -> None:
        base = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        if self.path.endswith("/openid-configuration"):
            self._say(
                {
                    "issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
                    "userinfo_endpoint": f"{base}/userinfo", "jwks_uri": f"{base}/jwks",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )  # fmt: skip
        elif self.path == "/jwks":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
            self._say({"keys": [{**key, "kid": "k", "alg": "RS256", "use": "sig"}]})
        else:
            self._say(PERSON)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        base = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        now = int(time.time())
        claims = {"iss": base, "aud": "firstbell", "iat": now, "exp": now + 300, **PERSON}
        if Issuer.nonce:
            claims["nonce"] = Issuer.nonce
        token = jwt.encode(claims, KEY, algorithm="RS256", headers={"kid": "k"})
        self._say({"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _say(self, words: dict[str, object]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(words).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def issuer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    app = {
        "provider_id": "district", "name": "Larch Valley sign-on", "client_id": "firstbell", "secret": "s",
        "settings": {"server_url": base},
    }  # fmt: skip
    with override_settings(SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [app]}}):
        yield base
    server.shutdown()


def sign_on(issuer: str) -> tuple[Client, int, str]:
    """From the sign-in page to the district and back."""
    client = Client()
    page = client.get("/account/login/").content.decode()
    assert "Larch Valley sign-on" in page
    way = next(part.split('"')[0] for part in page.split('href="') if "oidc" in part)
    away = client.post(way)
    assert away.status_code == 302
    target = urlsplit(away["Location"])
    assert f"{target.scheme}://{target.netloc}" == issuer
    asked = parse_qs(target.query)
    Issuer.nonce = asked.get("nonce", [""])[0]
    back = client.get(urlsplit(asked["redirect_uri"][0]).path, {"code": "c", "state": asked["state"][0]})
    return client, back.status_code, back.get("Location", "")


def test_it_opens_the_account_the_district_made(issuer: str) -> None:
    olive = a_user(Role.OFFICER, a_school(), email="olive@example.org")
    client, status, _where = sign_on(issuer)
    assert status == 302
    assert client.get("/today/").status_code == 200
    assert AuditEntry.objects.filter(action="signed_in", actor=f"user:{olive.pk}").exists()


def test_it_makes_no_account_of_its_own(issuer: str) -> None:
    client, status, _where = sign_on(issuer)
    assert status == 403
    assert not User.objects.exists()
    assert client.get("/today/").status_code == 302


def test_a_disabled_account_stays_shut(issuer: str) -> None:
    a_user(Role.OFFICER, a_school(), email="olive@example.org")
    User.objects.update(is_active=False)
    client, _status, _where = sign_on(issuer)
    assert client.get("/today/").status_code == 302


def test_the_setting_lets_our_form_lead_there_and_nowhere_else() -> None:
    ask = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "print(settings.CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action'])\n"
        "print(settings.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]['settings'])\n"
    )
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "firstbell.settings", "OIDC_ISSUER": "https://id.larch.example/realm",
        "OIDC_CLIENT_ID": "firstbell", "OIDC_CLIENT_SECRET": "s",
    }  # fmt: skip
    said = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert "https://id.larch.example'" in said.stdout
    assert "https://id.larch.example/realm" in said.stdout
