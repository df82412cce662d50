"""Settings of the tests: a home of their own, made before anything reads it."""

import atexit
import os
import shutil
import tempfile

os.environ["FIRSTBELL_HOME"] = tempfile.mkdtemp(prefix="firstbell-test-")
atexit.register(shutil.rmtree, os.environ["FIRSTBELL_HOME"], ignore_errors=True)
for name in ("SMTP_URL", "OIDC_ISSUER", "PUBLIC_URL", "SECRET_KEY"):
    os.environ.pop(name, None)

from firstbell.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["tests.hashers.CheapArgon2"]
