"""Makes docs/screenshot.png: a run over the photographs with two workers, as the dashboard shows it.

.venv/bin/python -m scripts.screenshot [--theme dark] [--out FILE]
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.dashboard import Dashboard
from tests.server import running

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 1440, 900
RUN = {"name": "photographs, 2 workers", "num_workers": 2, "seconds": 8}
SHOWN_US = 700_000
BEFORE_THE_END_US = 1_500_000


def main() -> None:
    """Starts a server and a browser of its own, and leaves nothing but the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshot.png")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as server, sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
        dashboard = Dashboard(page, server, theme=chosen.theme)
        run = server.request("POST", "/runs", RUN)["id"]
        dashboard.open(run=run)  # watched while it goes on, so that there are previews
        expect(page.locator(".thumb .picture").first).to_be_visible(timeout=60_000)
        ended = server.until(run, "finished", timeout_s=90)
        shown_from_us = ended["duration_ns"] // 1000 - BEFORE_THE_END_US
        dashboard.open(run=run, from_us=shown_from_us, span_us=SHOWN_US, num_workers=2)
        expect(page.locator(".thumb .picture").first).to_be_visible(timeout=60_000)
        expect(dashboard.number("numbers.loss")).to_contain_text(re.compile(r"\d"))
        dashboard.expect_drawn()
        page.wait_for_timeout(1_000)
        page.screenshot(path=chosen.out)
        browser.close()
    print(chosen.out)


if __name__ == "__main__":
    main()
