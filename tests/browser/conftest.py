"""A real server over the test database, and a real browser before it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from scripts.browser import found
from tests.build import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = found()
    assert path, "No Chromium: run `python scripts/browser.py`. A missing browser is a failure, not a skip."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def live_desk(transactional_db: None) -> Iterator[str]:
    """The desk as it is served, at its own address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    from django.core.asgi import get_asgi_application

    server = uvicorn.Server(
        uvicorn.Config(
            get_asgi_application(), port=port, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    with override_settings(ALLOWED_HOSTS=["localhost", "127.0.0.1"], PUBLIC_URL=f"http://localhost:{port}"):
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://localhost:{port}"
        server.should_exit = True
        thread.join(timeout=5)


class Desk:
    """A person at a browser. Collects what no page may cause: script errors and violations of the content policy."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.context, self.base = context, base
        self.complaints: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda m: self.complaints.append(m.text) if "Content Security Policy" in m.text else None)
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        return page

    def open(self, path: str) -> Page:
        answer = self.page.goto(self.base + path)
        assert answer is not None
        assert answer.status < 500, f"{path} answered {answer.status}"
        return self.page

    def sign_in(self, email: str, password: str = PASSWORD) -> Page:
        self.open("/account/login/")
        self.page.fill("#id_login", email)
        self.page.fill("#id_password", password)
        self.page.press("#id_password", "Enter")
        self.page.wait_for_url(lambda url: "/account/login" not in url)
        return self.page

    def axe(self) -> list[str]:
        """What axe-core finds wrong on the page, by rule and place."""
        self.page.evaluate((ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found_wrong = self.page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")
        return [f"{v['id']}: {n['html'][:120]}" for v in found_wrong for n in v["nodes"]]


@pytest.fixture
def somebody(chromium: Browser, live_desk: str) -> Iterator[object]:
    """`somebody(width=…, …)`: a new person with a browser of their own."""
    people: list[Desk] = []

    def arrive(width: int = 1200, height: int = 900, **options: object) -> Desk:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        people.append(Desk(context, live_desk))
        return people[-1]

    yield arrive
    complaints = [c for person in people for c in person.complaints]
    for person in people:
        person.context.close()
    assert not complaints
