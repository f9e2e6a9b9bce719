"""axe-core over a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")


def findings(page: Page) -> list[str]:
    """What axe finds serious or critical: one line per rule, with the first elements that break it."""
    response = Axe().run(page).response
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: "
        + "; ".join(str(node["html"])[:160] for node in violation["nodes"][:3])
        for violation in response["violations"]
        if violation["impact"] in SERIOUS
    ]
