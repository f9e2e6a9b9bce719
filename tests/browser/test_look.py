"""Languages, themes, and what axe-core says of them."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import findings
from tests.browser.conftest import Enter
from tests.browser.dashboard import LOCALES

VIEWS = ("explore", "learn", "diagnose")
KEYS = set(json.loads((LOCALES / "en.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["es", "en"])
def test_each_language_and_theme_is_whole_and_accessible(enter: Enter, recorded: str, lang: str, theme: str) -> None:
    dashboard = enter(lang=lang, theme=theme)
    dashboard.open(run=recorded)
    dashboard.expect_drawn()
    root = dashboard.page.locator("html")
    expect(root).to_have_attribute("lang", lang)
    expect(root).to_have_attribute("data-theme", theme)
    for view in VIEWS:
        dashboard.button(f"nav.{view}").click()
        expect(dashboard.button(f"nav.{view}")).to_have_attribute("aria-current", "page")
        said = dashboard.page.locator("body").inner_text()
        assert KEYS.isdisjoint(said.split()), "a text is missing: its key is shown"
        assert findings(dashboard.page) == []


def test_language_and_theme_are_switched_and_remembered(enter: Enter) -> None:
    dashboard = enter()
    dashboard.open()
    root = dashboard.page.locator("html")
    dashboard.page.get_by_role("button", name=dashboard.text("language.switch")).click()
    expect(root).to_have_attribute("lang", "es")
    dashboard.lang = "es"
    expect(dashboard.button("empty.start")).to_be_visible()
    dashboard.button("theme.light").click()
    expect(root).to_have_attribute("data-theme", "dark")
    dashboard.page.goto(f"{dashboard.server.url}/")
    expect(root).to_have_attribute("lang", "es")
    expect(root).to_have_attribute("data-theme", "dark")


def test_on_a_phone_the_timeline_comes_first_and_nothing_is_cut_off(enter: Enter, recorded: str) -> None:
    dashboard = enter()
    dashboard.page.set_viewport_size({"width": 390, "height": 844})
    dashboard.open(run=recorded)
    dashboard.expect_drawn()
    width = dashboard.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    timeline = dashboard.page.locator(".timeline").bounding_box()
    controls = dashboard.page.locator(".side").bounding_box()
    assert timeline
    assert controls
    assert timeline["y"] < controls["y"]


def test_keys_are_explained(enter: Enter) -> None:
    dashboard = enter()
    dashboard.open()
    dashboard.page.keyboard.press("?")
    expect(dashboard.page.get_by_role("dialog")).to_contain_text(re.compile(re.escape(dashboard.text("key.freeze"))))
    dashboard.page.keyboard.press("Escape")
    expect(dashboard.page.get_by_role("dialog")).to_be_hidden()
