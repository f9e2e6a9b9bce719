"""Looking again: a recording from earlier, and a server that comes back."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Complaints, Enter
from tests.server import RunningServer, running


def test_an_earlier_run_is_opened_and_played(enter: Enter, recorded: str) -> None:
    dashboard = enter()
    dashboard.open()
    dashboard.page.get_by_role("tab").nth(1).click()
    row = dashboard.page.locator(".runs li").filter(has_text="recorded")
    row.get_by_role("button", name="recorded").first.click()
    expect(dashboard.chip("finished")).to_be_visible()
    assert dashboard.run_id == recorded
    dashboard.expect_drawn()

    row.get_by_role("button", name=dashboard.text("runs.play"), exact=True).click()
    expect(dashboard.page.get_by_text(dashboard.text("replay.on", speed=1), exact=True)).to_be_visible()
    early = dashboard.now.inner_text()
    expect(dashboard.now).not_to_have_text(early)
    dashboard.expect_drawn()


def test_a_link_shows_the_same_run(enter: Enter, recorded: str) -> None:
    dashboard = enter()
    dashboard.open(run=recorded)
    expect(dashboard.chip("finished")).to_be_visible()
    dashboard.expect_drawn()
    expect(dashboard.lane("lane.worker", number=1)).to_be_visible()


def test_the_page_reconnects_when_the_server_is_back(enter: Enter, tmp_path: Path, watched: Complaints) -> None:
    with running(tmp_path / "home") as own:
        settings = {"name": "before", "num_workers": 0, "seconds": 1}
        run = own.request("POST", "/runs", settings)["id"]
        own.until(run, "finished")
        dashboard = enter(on=own)
        dashboard.open(run=run)
        dashboard.expect_drawn()
        watched[-1][1].expected = ("console: WebSocket connection to", "console: Failed to load resource")

        own.stop()
        expect(dashboard.page.locator(".banner")).to_be_visible()
        expect(dashboard.page.get_by_text(dashboard.text("link.lost"), exact=True)).to_be_visible()
        own.start()
        dashboard.expect_connected(timeout_ms=30_000)
        expect(dashboard.page.locator(".banner")).to_be_hidden()
        dashboard.expect_drawn()


def test_without_its_token_the_page_says_where_to_find_it(
    enter: Enter, server: RunningServer, watched: Complaints
) -> None:
    dashboard = enter()
    watched[-1][1].expected = ("console: Failed to load resource: the server responded with a status of 401",)
    dashboard.page.goto(f"{server.url}/?lang=en")
    expect(dashboard.page.get_by_text(dashboard.text("door.no_token.title"))).to_be_visible()
