"""Sweeps and comparisons, as their reader does them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import findings
from tests.browser.conftest import Enter
from tests.browser.dashboard import COLOURS, Dashboard
from tests.server import RunningServer

BASE = {"dataset": "gapminder", "consumer": "step", "step_ms": 2, "batch_size": 64}


@pytest.fixture(scope="module")
def pair(server: RunningServer) -> Iterator[tuple[str, str]]:
    """Two finished runs of which the second is about twice as fast."""
    made = []
    for name, step_ms in (("slow", 8), ("fast", 4)):
        settings = BASE | {"name": name, "step_ms": step_ms, "num_workers": 1, "seconds": 2}
        made.append(str(server.request("POST", "/runs", settings)["id"]))
        server.until(made[-1], "finished")
    yield made[0], made[1]
    for run in made:
        server.forget(run)


def open_dialog(dashboard: Dashboard, **state: Any) -> None:
    dashboard.open(dataset="gapminder", consumer="step", step_ms=2, batch_size=64, **state)
    dashboard.button("sweep.menu").click()
    expect(dashboard.page.get_by_role("dialog", name=dashboard.text("sweep.title"))).to_be_visible()


def values(dashboard: Dashboard, axis: str, text: str) -> None:
    label = f"{dashboard.text(f'sweep.{axis}')}: {dashboard.text('sweep.values')}"
    dashboard.page.get_by_role("textbox", name=label).fill(text)


def cell_seconds(dashboard: Dashboard, seconds: str) -> None:
    dashboard.page.get_by_label(dashboard.text("sweep.seconds")).fill(seconds)


def test_a_sweep_fills_in_marks_the_best_and_opens_its_runs(enter: Enter, no_runs_after: None) -> None:
    dashboard = enter()
    page = dashboard.page
    open_dialog(dashboard)
    values(dashboard, "across", "0, 1")
    values(dashboard, "down", "1, 2")
    cell_seconds(dashboard, "1")
    dashboard.button("sweep.begin").click()
    expect(page.get_by_role("progressbar", name=dashboard.text("sweep.progress_name"))).to_be_visible()
    cells = page.locator(".heatmap button")
    expect(cells).to_have_count(4)
    expect(page.locator(".heat.running")).to_have_count(1)
    expect(page.get_by_text(dashboard.text("sweep.finished", all=4), exact=True)).to_be_visible(timeout=90_000)
    expect(page.locator(".heat.done")).to_have_count(4)
    expect(page.locator(".heat.best")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"[?&]sweep=[0-9a-f]{4}"))
    assert findings(page) == []

    # A link shows the same.
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".heat.done")).to_have_count(4)

    # By keyboard: from the first cell to the one below and right, and into its run.
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-cell='1-1']")).to_be_focused()
    expect(page.locator(".sweep-said code")).to_have_text("num_workers=1, prefetch_factor=2")
    page.keyboard.press("Enter")
    expect(dashboard.chip("finished")).to_be_visible()
    expect(page.locator(".of-sweep")).to_contain_text("num_workers=1, prefetch_factor=2")
    dashboard.expect_drawn()
    dashboard.button("sweep.back").click()
    expect(cells).to_have_count(4)

    # In the list its runs stand together, and go together.
    page.get_by_role("tab").nth(1).click()
    group = page.locator(".sweep-group")
    expect(group).to_have_count(1)
    sweep = parameter(address, "sweep")
    group.get_by_role("button", name=dashboard.text("sweep.delete_named", id=sweep), exact=True).click()
    expect(group).to_have_count(0)
    expect(page.locator(".toast")).to_be_visible()
    page.locator(".toast").get_by_role("button", name=dashboard.text("runs.undo")).click()
    expect(group).to_have_count(1)


def test_a_sweep_is_cancelled(enter: Enter, no_runs_after: None) -> None:
    dashboard = enter(lang="es", theme="dark")
    open_dialog(dashboard)
    values(dashboard, "across", "0, 1, 2")
    values(dashboard, "down", "1, 2")
    cell_seconds(dashboard, "30")
    dashboard.button("sweep.begin").click()
    expect(dashboard.page.locator(".heat.running")).to_have_count(1)
    dashboard.button("sweep.cancel").click()
    expect(dashboard.page.get_by_text(dashboard.text("sweep.stopped", done=0, all=6), exact=True)).to_be_visible()
    expect(dashboard.page.locator(".heat.running")).to_have_count(0)
    assert findings(dashboard.page) == []


def test_what_cannot_be_swept_is_said_before_it_is_asked(enter: Enter) -> None:
    dashboard = enter()
    open_dialog(dashboard)
    verdict = dashboard.page.locator(".sweep-verdict")
    begin = dashboard.button("sweep.begin")
    values(dashboard, "down", "0")
    expect(verdict).to_have_text(dashboard.text("sweep.wrong.value", name="prefetch_factor", value="0", range="1 … 64"))
    expect(begin).to_be_disabled()
    values(dashboard, "down", ",".join(str(n) for n in range(1, 20)))
    expect(verdict).to_contain_text("36")
    expect(begin).to_be_disabled()
    values(dashboard, "down", "2")
    expect(begin).to_be_enabled()
    assert findings(dashboard.page) == []
    dashboard.page.keyboard.press("Escape")
    expect(dashboard.page.get_by_role("dialog", name=dashboard.text("sweep.title"))).to_be_hidden()


def test_two_runs_lie_on_one_axis_and_a_link_shows_the_same(enter: Enter, pair: tuple[str, str]) -> None:
    dashboard = enter()
    page = dashboard.page
    slow, fast = pair
    dashboard.open(run=slow)
    page.get_by_role("tab").nth(1).click()
    dashboard.button("compare.named", name="fast").click()
    expect(page.locator(".statement .headline")).to_contain_text(re.compile(r"B is [12]\.\d\d times as fast as A"))
    expect(page.locator(".compared")).to_contain_text("step_ms")
    drawn = page.locator("canvas.compared-lanes")
    expect(drawn).to_have_count(2)
    for index in (0, 1):
        expect_colours(dashboard, index)
    assert findings(page) == []

    # Closer, by keyboard, and laid together at the first batch: all of it is in the address.
    page.get_by_text(dashboard.text("compare.align.first"), exact=True).click()
    page.locator(".common-axis .axis-area").focus()
    page.keyboard.press("w")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"cmp_span_us=\d+"))
    expect(page).to_have_url(re.compile(r"align=first"))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.get_by_role("radio", name=dashboard.text("compare.align.first"))).to_be_checked()
    expect(page.locator(".statement .headline")).to_contain_text("times as fast as A")
    assert parameter(page.url, "cmp_span_us") == parameter(address, "cmp_span_us")

    dashboard.button("compare.swap").click()
    expect(page.locator(".statement .headline")).to_contain_text(re.compile(r"B is 0\.\d\d times as fast as A"))
    dashboard.button("compare.close").click()
    dashboard.expect_drawn()
    assert dashboard.run_id == fast


@pytest.mark.parametrize(("lang", "theme"), [("es", "light"), ("es", "dark"), ("en", "dark")])
def test_a_comparison_is_for_everybody(enter: Enter, pair: tuple[str, str], lang: str, theme: str) -> None:
    dashboard = enter(lang=lang, theme=theme)
    dashboard.open(run=pair[0], **{"with": pair[1]})
    expect(dashboard.page.locator(".statement .headline")).to_be_visible()
    assert findings(dashboard.page) == []
    dashboard.page.set_viewport_size({"width": 390, "height": 844})
    expect(dashboard.page.locator("canvas.compared-curves")).to_be_visible()
    assert dashboard.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert findings(dashboard.page) == []


def parameter(address: str, name: str) -> str:
    found = re.search(rf"[?&]{name}=([^&#]*)", address)
    assert found, address
    return found[1]


def expect_colours(dashboard: Dashboard, index: int) -> None:
    """Waits until the lanes of one of the two runs show spans."""
    canvas = dashboard.page.locator("canvas.compared-lanes").nth(index)
    colours = 0
    for _ in range(100):
        colours = int(canvas.evaluate(COLOURS))
        if colours > 3:
            return
        dashboard.page.wait_for_timeout(100)
    raise AssertionError(f"the lanes of run {index} have only {colours} colours")
