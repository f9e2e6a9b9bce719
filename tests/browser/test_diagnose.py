"""Diagnose: a training script that was run under `loaderscope run`, from the list of runs to the sample to blame."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from tests.browser.accessibility import findings
from tests.browser.conftest import Enter
from tests.browser.dashboard import Dashboard
from tests.browser.programs.train import SLOW
from tests.server import ROOT, RunningServer

PROGRAM = Path(__file__).parent / "programs" / "train.py"

ACCENT_PIXELS = """
(canvas) => {
  const [red, green, blue] = [0x3d, 0x4a, 0xc2];
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let at = 0; at < pixels.length; at += 4)
    if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue) found += 1;
  return found;
}
"""
"""How much of the lanes is in the colour of the arrow, in the light theme. Nothing else there is while nothing is
selected."""

ASKED_AT = """
() => performance
  .getEntriesByType("resource")
  .filter(({ name }) => name.includes("/diagnosis"))
  .map(({ startTime }) => startTime)
"""
"""When the page asked for a diagnosis, in ms."""

HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


@contextmanager
def observed(server: RunningServer, seconds: float, detail: str) -> Iterator[subprocess.Popen[bytes]]:
    """The training under `loaderscope run`, recording where the server looks. Its runs are deleted at the end."""
    before = {run["id"] for run in server.request("GET", "/runs")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADERSCOPE")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "LOADERSCOPE_HOME": str(server.home)}
    command = [sys.executable, "-m", "app", "run", "--detail", detail, str(PROGRAM), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()
    for run in server.request("GET", "/runs"):
        if run["id"] not in before:
            server.until(run["id"], "finished", "failed", "interrupted", "stopped")
            server.request("DELETE", f"/runs/{run['id']}")


def runs_of(server: RunningServer, seconds: float, detail: str) -> Iterator[dict[str, Any]]:
    """The run of the training loader, when the script has ended."""
    with observed(server, seconds, detail) as process:
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()
        train = next(run for run in server.request("GET", "/runs") if "train_loader" in run["name"])
        yield server.until(train["id"], "finished")


@pytest.fixture(scope="module")
def training(server: RunningServer) -> Iterator[dict[str, Any]]:
    """A training of three seconds, recorded with stages."""
    yield from runs_of(server, 3, "stage")


@pytest.fixture
def plain_training(server: RunningServer) -> Iterator[dict[str, Any]]:
    """A training of one second, recorded batch by batch."""
    yield from runs_of(server, 1, "batch")


def is_diagnosis(answer: Response) -> bool:
    """Whether this is the diagnosis that the page asked for."""
    return "/diagnosis" in answer.url


def section(page: Page, name: str) -> Locator:
    """A section of the diagnosis by its id."""
    return page.locator(f"#{name}")


def stalls(dashboard: Dashboard) -> Locator:
    """The rows of the list of stalls."""
    expect(dashboard.page.locator(".stall").first).to_be_visible()
    return dashboard.page.locator(".stall")


def accent(dashboard: Dashboard, *, drawn: bool) -> None:
    """Waits until the arrow is drawn on the lanes, or is not."""
    found = -1
    for _ in range(100):
        found = int(dashboard.lanes.evaluate(ACCENT_PIXELS))
        if (found > 200) is drawn:
            return
        dashboard.page.wait_for_timeout(100)
    raise AssertionError(f"{found} pixels of the lanes are in the arrow's colour, with the arrow {drawn=}")


def test_who_has_observed_nothing_is_told_how(enter: Enter) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose")
    expect(dashboard.page.get_by_role("heading", name=dashboard.text("usage.title"))).to_be_visible()
    expect(dashboard.page.get_by_text("loaderscope run train.py", exact=True)).to_be_visible()
    expect(dashboard.page.get_by_text("loader = observe(loader)")).to_be_visible()


def test_a_script_is_found_with_its_loaders(enter: Enter, training: dict[str, Any]) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose")
    group = dashboard.page.locator(".found-group").filter(has_text="train.py 3")
    expect(group.locator(".found-run")).to_have_count(2)
    group.locator(".found-run").filter(has_text="train_loader").click()
    assert dashboard.run_id == training["id"]
    line = dashboard.page.locator(".loader-line")
    expect(line).to_contain_text("DataLoader(Pictures, batch_size=8, num_workers=2")
    expect(line).to_contain_text("$ python train.py 3")
    dashboard.expect_drawn()
    expect(dashboard.page.locator(".lane-label").first).to_contain_text(dashboard.text("lane.consumer"))


def test_a_step_is_split_and_adds_up(enter: Enter, training: dict[str, Any]) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose", run=training["id"])
    rows = section(dashboard.page, "budget").locator("tbody tr")
    for part in ("part.wait", "stage.forward", "stage.backward", "stage.optimizer", "part.rest"):
        expect(rows.filter(has_text=dashboard.text(part))).to_have_count(1)
    shares = [float(cell.replace("%", "")) for cell in rows.locator("td:nth-of-type(1)").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=2.5), "each is rounded to a percent"


def test_a_stall_leads_to_the_sample_that_caused_it(enter: Enter, training: dict[str, Any]) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose", run=training["id"])
    rows = stalls(dashboard)
    dashboard.expect_drawn()
    accent(dashboard, drawn=False)

    # As a rule the longest, unless the host had none of its cores for us now and then.
    at = next(at for at, text in enumerate(rows.all_inner_texts()) if f"sample {SLOW} alone" in text)
    rows.nth(at).click()
    expect(rows.nth(at)).to_have_attribute("aria-pressed", "true")
    details = dashboard.page.get_by_role("region", name=dashboard.text("stall.title"))
    expect(details).to_contain_text(dashboard.text("stall.slowest", sample=SLOW))
    accent(dashboard, drawn=True)
    expect(dashboard.page).to_have_url(re.compile(r"[?&]stall_us=\d+"))
    shown = dashboard.now.inner_text()

    dashboard.page.keyboard.press("ArrowDown")
    expect(rows.nth(at + 1)).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(at + 1)).to_be_focused()
    expect(dashboard.now).not_to_have_text(shown)
    dashboard.page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    accent(dashboard, drawn=False)


def test_a_link_shows_the_same_stall(enter: Enter, training: dict[str, Any], server: RunningServer) -> None:
    stall = server.request("GET", f"/runs/{training['id']}/diagnosis")["stalls"][2]
    dashboard = enter()
    dashboard.open(view="diagnose", run=training["id"], stall_us=stall["start_ns"] // 1000)
    expect(dashboard.page.locator(".stall[aria-pressed=true]")).to_contain_text(stall["sentence"]["en"])
    accent(dashboard, drawn=True)


@pytest.mark.parametrize("stall", ["-7", "nonsense", "99999999999999999999"])
def test_a_link_to_no_stall_selects_none(enter: Enter, training: dict[str, Any], stall: str) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose", run=training["id"], stall_us=stall)
    stalls(dashboard)
    dashboard.expect_drawn()
    expect(dashboard.page.locator(".stall[aria-pressed=true]")).to_have_count(0)
    accent(dashboard, drawn=False)


def test_samples_and_lines_of_code_name_the_culprit(enter: Enter, training: dict[str, Any]) -> None:
    dashboard = enter()
    dashboard.open(view="diagnose", run=training["id"])
    slowest = section(dashboard.page, "samples").locator("tbody tr").first
    expect(slowest.get_by_role("rowheader")).to_have_text(str(SLOW))
    expect(slowest).to_contain_text("decode")
    line = section(dashboard.page, "places").locator(".places li").first
    expect(line).to_contain_text("train.py:")
    expect(line).to_contain_text("wait(SLOW_S)")
    slowest.get_by_role("button").click()
    expect(dashboard.page).to_have_url(re.compile(r"[?&]span_us=\d+"))


def test_what_was_not_recorded_is_said(enter: Enter, plain_training: dict[str, Any], server: RunningServer) -> None:
    missing = server.request("GET", f"/runs/{plain_training['id']}/diagnosis")["not_measured"]
    why = {each["what"]: each["why"]["en"] for each in missing}
    assert {"samples", "stages", "places"} <= why.keys()
    dashboard = enter()
    dashboard.open(view="diagnose", run=plain_training["id"])
    expect(section(dashboard.page, "samples")).to_contain_text(why["samples"])
    expect(section(dashboard.page, "places")).to_contain_text(why["stages"])
    expect(section(dashboard.page, "places")).to_contain_text(why["places"])
    expect(section(dashboard.page, "samples").locator("table")).to_have_count(0)


def test_a_live_script_is_opened_and_asked_once_a_second(enter: Enter, server: RunningServer) -> None:
    dashboard = enter()
    with observed(server, 150, "stage"):  # ended with the test
        dashboard.open(view="diagnose")
        expect(dashboard.page.locator(".found-group .chip.live").first).to_be_visible()
        rows = stalls(dashboard)
        rows.first.click()
        chosen = dashboard.page.locator(".stall[aria-pressed=true]").inner_text()
        expect(rows.nth(rows.count())).to_be_attached()  # more have come
        expect(dashboard.page.locator(".stall-details")).to_be_visible()
        still = dashboard.page.locator(".stall[aria-pressed=true]")
        assert still.inner_text() == chosen, "another stall is selected than was chosen"
        expect(dashboard.page.locator(".toolbar .chip.live")).to_be_visible()
        for _ in range(4):
            dashboard.page.wait_for_event("response", is_diagnosis)

        dashboard.page.evaluate(HIDE, True)
        dashboard.page.wait_for_timeout(1_500)  # what was under way comes in
        before = dashboard.page.evaluate(ASKED_AT)
        dashboard.page.wait_for_timeout(2_500)
        asked = dashboard.page.evaluate(ASKED_AT)
        assert len(asked) == len(before), "a hidden page asks for nothing"
        assert min(later - earlier for earlier, later in pairwise(asked)) >= 990
        with dashboard.page.expect_response(is_diagnosis):
            dashboard.page.evaluate(HIDE, False)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_it_is_accessible(enter: Enter, training: dict[str, Any], lang: str, theme: str) -> None:
    dashboard = enter(lang=lang, theme=theme)
    dashboard.open(view="diagnose", run=training["id"])
    stalls(dashboard).first.click()
    expect(dashboard.page.locator(".stall-details")).to_be_visible()
    assert findings(dashboard.page) == []


def test_on_a_phone_the_timeline_comes_first_and_the_runs_fold_away(enter: Enter, training: dict[str, Any]) -> None:
    dashboard = enter()
    dashboard.page.set_viewport_size({"width": 390, "height": 844})
    dashboard.open(view="diagnose", run=training["id"])
    rows = stalls(dashboard)
    assert dashboard.page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(dashboard.page.locator(".found-scroll")).to_be_hidden()
    timeline, listed = dashboard.page.locator(".timeline").bounding_box(), rows.first.bounding_box()
    assert timeline
    assert listed
    assert timeline["y"] < listed["y"]
    rows.first.click()
    expect(dashboard.lanes).to_be_in_viewport()
    dashboard.page.locator(".found-fold").click()
    expect(dashboard.page.locator(".found-run").first).to_be_visible()
