"""A real browser, and a page in it that may not complain.

Playwright drives the system's Chromium or Chrome, or the browser that Playwright itself has installed. Its loop lives
in the main thread, so the browser is a module's and not the session's: other tests may run loops of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.browser.dashboard import Dashboard
from tests.server import RunningServer

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_ONE = (
    "no Chromium or Chrome here: `apt-get install chromium` as root, or `.venv/bin/playwright install chromium`"
)
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
TIMEOUT_MS = 45_000
"""How long the page may take to show something: a run's process imports torch first, on a machine that may be busy."""
TEST_TIMEOUT_S = 180

WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI || event.sample}`));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are marked `browser` and given time."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


def find_browser(playwright: Playwright) -> str | None:
    """The program to start, the system's first."""
    found = [path for name in PROGRAMS if (path := shutil.which(name))]
    own = playwright.chromium.executable_path
    return next(iter([*found, *([own] if Path(own).exists() else [])]), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        program = find_browser(playwright)
        if program is None:
            pytest.skip(HOW_TO_GET_ONE)
        # Without a sandbox, since containers and root have none to give; it loads this server's page only.
        with playwright.chromium.launch(executable_path=program, args=list(FLAGS), chromium_sandbox=False) as launched:
            yield launched


class Watched:
    """What a page complains about: errors, CSP violations, requests to somewhere else."""

    def __init__(self, page: Page, origin: str) -> None:
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Beginnings of complaints that the test provokes."""
        self._origin = origin
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("request", lambda request: self._on_request(request.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} [{message.location.get('url', '')}]")

    def _on_request(self, url: str) -> None:
        if not url.startswith((self._origin, "data:", "blob:", self._origin.replace("http", "ws", 1))):
            self.complaints.append(f"request to {url}")

    def unexpected(self) -> list[str]:
        """Complaints that nobody provoked."""
        return [complaint for complaint in self.complaints if not complaint.startswith(self.expected or ("\0",))]


Complaints = list[tuple[Page, Watched]]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without cookies or storage, in English and light."""
    with browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-GB", color_scheme="light", reduced_motion="reduce"
    ) as fresh:
        fresh.set_default_timeout(TIMEOUT_MS)
        expect.set_options(timeout=TIMEOUT_MS)
        fresh.add_init_script(WATCH_POLICY)
        yield fresh


@pytest.fixture
def watched() -> Complaints:
    """The pages of this test with what they complain about."""
    return []


@pytest.fixture(autouse=True)
def no_complaints(watched: Complaints, context: BrowserContext) -> Iterator[None]:
    """After the test: no page has reported an error, a CSP violation or a request elsewhere."""
    yield
    for page, complaints in watched:
        try:
            violations = page.evaluate("window.violations ?? []")
        except Error:  # the page was closed
            violations = []
        assert violations == []
        assert complaints.unexpected() == []


class Enter(Protocol):
    """See the fixture `enter`."""

    def __call__(self, *, on: RunningServer = ..., lang: str = ..., theme: str = ...) -> Dashboard: ...


@pytest.fixture
def enter(context: BrowserContext, server: RunningServer, watched: Complaints) -> Enter:
    """Opens pages: `enter(lang="es", theme="dark")`, on another server than the session's with `on=`."""

    def open_page(*, on: RunningServer = server, lang: str = "en", theme: str = "light") -> Dashboard:
        page = context.new_page()
        watched.append((page, Watched(page, on.url)))
        return Dashboard(page, on, lang=lang, theme=theme)

    return open_page


@pytest.fixture(scope="module")
def recorded(server: RunningServer) -> Iterator[str]:
    """A finished run of two seconds over the photographs with two workers, with a preview."""
    settings = {"name": "recorded", "num_workers": 2, "seconds": 2}
    run = str(server.request("POST", "/runs", settings)["id"])
    server.until(run, "finished")
    yield run
    server.forget(run)


@pytest.fixture
def no_runs_after(server: RunningServer) -> Iterator[None]:
    """Ends and deletes the runs that a test has started."""
    before = {run["id"] for run in server.request("GET", "/runs")}
    yield
    for run in server.request("GET", "/runs"):
        if run["id"] not in before:
            server.forget(run["id"])
