"""The verdict of a run on the page: believed, shown on the timeline, applied, and measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import findings
from tests.browser.conftest import Enter
from tests.browser.dashboard import Dashboard
from tests.server import RunningServer

STARVED: dict[str, Any] = {
    "name": "starved",
    "num_workers": 1,
    "batch_size": 8,
    "consumer": "step",
    "step_ms": 2,
    "persistent_workers": True,
    "epochs": 50,
    "seconds": 6,
    "detail": "stage",
    "dials": {"storage_latency_ms": 10},
}
"""One worker that waits 10 ms for each sample, before a step of 2 ms: more workers can only help."""


@pytest.fixture(scope="module")
def starved(server: RunningServer) -> Iterator[str]:
    run = str(server.request("POST", "/runs", STARVED)["id"])
    server.until(run, "finished")
    yield run
    server.forget(run)


def entered(enter: Enter, run: str, **how: str) -> Dashboard:
    """The page with the run's verdict."""
    dashboard = enter(**how)
    dashboard.open(view="diagnose", run=run)
    expect(dashboard.page.locator(".verdict .sentence")).to_be_visible()
    return dashboard


def test_the_verdict_comes_first_and_rests_on_spans_of_the_timeline(enter: Enter, starved: str) -> None:
    dashboard = entered(enter, starved)
    page = dashboard.page
    verdict = page.locator(".verdict")
    expect(verdict.locator(".chip").first).to_have_text(
        re.compile(f"{dashboard.text('code.too_few_workers')}|{dashboard.text('code.storage_bound')}")
    )
    expect(verdict.locator(".sentence")).to_be_in_viewport()
    expect(verdict.locator(".tests").first).to_contain_text(dashboard.text("verdict.refuted"))
    ground = verdict.locator("button.ground").first
    ground.click()
    expect(ground).to_have_attribute("aria-pressed", "true")
    expect(dashboard.lanes).to_be_in_viewport()
    ground.click()
    expect(ground).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(("lang", "theme"), [("es", "dark"), ("en", "light")])
def test_verdict_and_what_if_are_whole_and_accessible(enter: Enter, starved: str, lang: str, theme: str) -> None:
    dashboard = entered(enter, starved, lang=lang, theme=theme)
    page = dashboard.page
    expect(page.locator(".curve .line")).to_be_visible()
    assert findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator(".verdict .sentence")).to_be_in_viewport()
    assert findings(page) == []


def test_sliders_move_the_prediction_by_keyboard(enter: Enter, starved: str) -> None:
    page = entered(enter, starved).page
    outcome = page.locator(".outcome-line")
    expect(outcome.locator("strong")).to_be_visible()
    before = float(outcome.locator("strong").inner_text().replace(",", ""))
    page.locator("#what-if-num_workers").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(outcome.locator("code")).to_have_text("num_workers=4")
    assert float(outcome.locator("strong").inner_text().replace(",", "")) > 2 * before
    page.locator('.surface [aria-pressed="true"]').focus()
    page.keyboard.press("ArrowDown")
    expect(outcome.locator("code")).to_have_text("num_workers=4, prefetch_factor=3")
    page.get_by_role("button", name="As recorded").press("Enter")
    expect(outcome.locator("code")).to_have_count(0)


@pytest.mark.usefixtures("no_runs_after")
def test_what_was_promised_is_measured_and_said(enter: Enter, starved: str) -> None:
    dashboard = entered(enter, starved)
    page = dashboard.page
    page.locator("#what-if-num_workers").fill("4")
    page.get_by_role("button", name=dashboard.text("whatif.measure")).click()
    proof = page.locator(".proof")
    expect(proof).to_contain_text(
        re.compile(r"from [\d,.]+ to [\d,.]+ samples/s \(×[\d.]+\)\. Predicted were"), timeout=90_000
    )
    assert dashboard.run_id != starved
    proof.get_by_role("button", name=dashboard.text("proof.back")).click()
    expect(page.locator(".curve .measured").first).to_be_visible()
    assert dashboard.server.request("GET", "/predictions/score")["pairs"] >= 1
