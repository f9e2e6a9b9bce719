"""The report as a file: it opens without a server, draws its figures, and asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, expect

from app.reports.html import page as report
from loader_core.diagnose.verdict import judge_run
from tests.browser.accessibility import findings
from tests.server import RunningServer


@pytest.mark.parametrize(("lang", "theme", "width"), [("es", "light", 1440), ("en", "dark", 390)])
def test_a_report_opens_offline_with_its_figures(
    context: BrowserContext,
    server: RunningServer,
    recorded: str,
    tmp_path: Path,
    lang: Literal["es", "en"],
    theme: Literal["light", "dark"],
    width: int,
) -> None:
    directory, file = server.home / "runs" / recorded, tmp_path / "report.html"
    file.write_text(report(directory, judge_run(directory), lang), "utf-8")
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    page.goto(file.as_uri())
    expect(page.locator("[data-figure]:has(.main-svg)")).to_have_count(3)
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    waits = {"es": "Esperas por un lote", "en": "Waits for a batch"}[lang]
    expect(page.get_by_role("heading", name=waits, exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("window.violations") == []
    assert complaints == []
    assert asked == [file.as_uri()]
    assert findings(page) == []
