"""Make sure there is a Chromium for the browser tests, and say which.

One found on the machine; else the one Playwright brings; else, on Debian as root, the distribution's package. None of these:
fail, because tests that need a browser must not be skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def found() -> str | None:
    """The browser the tests use: CHROMIUM if set, one on the machine, or Playwright's own."""
    if named := os.environ.get("CHROMIUM"):
        return named
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if MAC.exists():
        return str(MAC)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def main() -> int:
    if path := found():
        print(f"browser: {path}")
        return 0
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        attempts += [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    for attempt in attempts:
        subprocess.run(attempt, stdout=subprocess.DEVNULL, check=False)
        if path := found():
            print(f"browser: {path}")
            return 0
    print("No Chromium could be found or installed. Install one, or set CHROMIUM to its path.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
