"""What a newcomer does first: press the one button, turn a knob, stop and look back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Enter
from tests.server import RunningServer

pytestmark = pytest.mark.usefixtures("no_runs_after")


def test_one_button_shows_photographs_lanes_and_the_loss(enter: Enter) -> None:
    dashboard = enter()
    dashboard.open()
    with dashboard.page.expect_response(re.compile(r"/previews/\d+\.jpg$")) as sheet:
        dashboard.button("empty.start").click()
    assert sheet.value.ok
    expect(dashboard.chip("running")).to_be_visible()
    expect(dashboard.page.locator(".thumb .picture").first).to_be_visible()
    expect(dashboard.lane("lane.consumer")).to_be_visible()
    expect(dashboard.lane("lane.worker", number=1)).to_be_visible()
    dashboard.expect_drawn()
    expect(dashboard.number("numbers.loss")).to_contain_text(re.compile(r"\d[.,]\d"))
    expect(dashboard.number("numbers.samples")).to_contain_text(re.compile(r"[1-9]"))
    dashboard.button("run.stop").click()
    expect(dashboard.chip("stopped")).to_be_visible()


def test_a_run_without_workers_gets_two(enter: Enter, server: RunningServer) -> None:
    dashboard = enter()
    dashboard.open(num_workers=0, seconds=0)
    dashboard.button("run.start").click()
    expect(dashboard.chip("running")).to_be_visible()
    expect(dashboard.lane("lane.consumer")).to_be_visible()
    expect(dashboard.lane("lane.worker", number=1)).to_be_hidden()

    workers = dashboard.page.locator("#setting-num_workers")
    workers.fill("2")
    workers.press("Enter")
    expect(dashboard.lane("lane.worker", number=1)).to_be_visible()
    assert server.request("GET", f"/runs/{dashboard.run_id}")["settings"]["num_workers"] == 2
    dashboard.button("run.stop").click()
    expect(dashboard.chip("stopped")).to_be_visible()


def test_pause_scrub_and_go_on(enter: Enter, server: RunningServer) -> None:
    dashboard = enter()
    dashboard.open(num_workers=2, seconds=0)
    dashboard.button("run.start").click()
    expect(dashboard.number("numbers.samples")).to_contain_text(re.compile(r"[1-9]"))

    dashboard.button("run.pause").click()
    expect(dashboard.chip("paused")).to_be_visible()
    scrubber = dashboard.page.get_by_role("slider", name=dashboard.text("timeline.scrub"), exact=True)
    scrubber.evaluate("(input) => { input.value = 800; input.dispatchEvent(new Event('input', { bubbles: true })) }")
    follow = dashboard.page.get_by_role("button", name=dashboard.text("view.follow"), exact=True)
    expect(follow).to_have_attribute("aria-pressed", "false")
    dashboard.expect_drawn()
    shown = dashboard.now.inner_text()

    dashboard.button("run.resume").click()
    expect(dashboard.chip("running")).to_be_visible()
    assert dashboard.now.inner_text() == shown, "new data moved a view that somebody had moved"
    follow.click()
    expect(dashboard.now).not_to_have_text(shown)
    dashboard.button("run.stop").click()
    expect(dashboard.chip("stopped")).to_be_visible()


def test_a_name_is_a_name_and_no_markup(enter: Enter) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\">"
    dashboard = enter()
    dashboard.open(name=hostile, num_workers=0, seconds=1)
    dashboard.button("run.start").click()
    expect(dashboard.page.get_by_role("heading", name=hostile, exact=True)).to_be_visible()
    expect(dashboard.chip("finished")).to_be_visible()
    assert dashboard.page.title() != "owned"
