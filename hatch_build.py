"""Puts the built front end and the lessons' prose into the wheel: whoever installs a wheel needs no Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEnd(BuildHookInterface[Any]):
    """Adds `frontend/dist` as `app/static`, and the prose, which notebooks have too, as `app/prose`.

    An editable install reads both where they lie.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is built; `version` is "standard" or "editable"."""
        dist = Path(self.root, "frontend", "dist")
        if version == "editable":
            return
        if not (dist / "index.html").is_file():
            raise FileNotFoundError(
                "frontend/dist/index.html is missing: run `npm ci` and `npm run build` in frontend/ first"
            )
        build_data["force_include"][str(dist)] = "app/static"
        prose = Path(self.root, "frontend", "src", "locales", "lessons")
        build_data["force_include"][str(prose)] = "app/prose"
