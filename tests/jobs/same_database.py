"""Settings of a real process beside a test: the real ones, on the database the test itself looks at."""

import os

from firstbell.settings import *  # noqa: F403
from firstbell.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
