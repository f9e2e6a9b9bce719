"""The page as its reader sees it: found by role and by the words of its own locales."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.server import RunningServer

LOCALES = Path(__file__).resolve().parents[2] / "frontend" / "src" / "locales"

COLOURS = """
(canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
}
"""


class Dashboard:
    """One open page of one server."""

    def __init__(self, page: Page, server: RunningServer, *, lang: str = "en", theme: str = "light") -> None:
        self.page = page
        self.server = server
        self.lang = lang
        self.theme = theme

    def text(self, key: str, **values: object) -> str:
        """A text of the page in its language."""
        words: dict[str, str] = json.loads((LOCALES / f"{self.lang}.json").read_text(encoding="utf-8"))
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), words[key])

    def open(self, **state: object) -> None:
        """Enter with the token, with this state in the address (`run`, `view`, `num_workers` ...)."""
        query = urlencode({"lang": self.lang, "theme": self.theme, **state})
        self.page.goto(f"{self.server.url}/?{query}#token={self.server.token}")
        self.expect_connected()

    def expect_connected(self, *, timeout_ms: float | None = None) -> None:
        """Waits until the page says so; narrow pages say it with a dot alone."""
        expect(self.page.locator(".link-state:not(.off)")).to_have_count(1, timeout=timeout_ms)

    def button(self, key: str, **values: object) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=self.text(key, **values), exact=True)

    def chip(self, state: str) -> Locator:
        """The state of the open run, in the head of the timeline."""
        return self.page.locator(".toolbar .chip").get_by_text(self.text(f"state.{state}"), exact=True)

    def lane(self, key: str, **values: object) -> Locator:
        """The label of a lane."""
        return self.page.locator(".timeline").get_by_text(self.text(key, **values), exact=True).first

    def number(self, key: str) -> Locator:
        """The tile of one of the large numbers."""
        return self.page.locator(".numbers > *").filter(has_text=self.text(key)).first

    @property
    def lanes(self) -> Locator:
        """The canvas with the lanes."""
        return self.page.locator(".lanes-canvas canvas")

    @property
    def now(self) -> Locator:
        """The run time at the right edge of the view."""
        return self.page.locator("output.now")

    def expect_drawn(self) -> None:
        """Waits until the lanes show spans of several kinds."""
        colours = 0
        for _ in range(100):
            colours = int(self.lanes.evaluate(COLOURS))
            if colours > 4:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the lanes have only {colours} colours")

    @property
    def run_id(self) -> str:
        """The run that is open, from the address."""
        expect(self.page).to_have_url(re.compile(r"[?&]run=[^&#]+"))  # the address follows a little later
        return parse_qs(urlsplit(self.page.url).query)["run"][0]
