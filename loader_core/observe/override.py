"""A loader's arguments, changed from outside: `loaderscope run --with` and `tune` try settings on a script that they do
not edit.

LOADERSCOPE_OVERRIDE holds JSON: `{"site": "train.py:41", "arguments": {"num_workers": 4, ...}}`. It acts when the
loader has been made, on loaders of that place alone (of any place where `site` is empty), before they are iterated.
"""

from __future__ import annotations

import json
import os
from typing import Any

from loader_core.start import OVERRIDE

ARGUMENTS = ("num_workers", "prefetch_factor", "persistent_workers", "in_order", "pin_memory")
"""What may be changed: how batches are made, never which samples are in them."""


def apply(loader: Any, site: str) -> None:
    """Change this loader's arguments if the environment asks for it. `site`: where it was made, as `train.py:41`."""
    text = os.environ.get(OVERRIDE)
    if not text:
        return
    order = json.loads(text)
    if order.get("site", "") not in ("", site):
        return
    asked = {name: value for name, value in order["arguments"].items() if name in ARGUMENTS and hasattr(loader, name)}
    if not asked:  # an iterable that is no DataLoader
        return
    if asked.get("num_workers") and asked.get("prefetch_factor", loader.prefetch_factor) is None:
        asked["prefetch_factor"] = 2  # as torch has it
    if not asked.get("num_workers", loader.num_workers):
        asked |= {"prefetch_factor": None, "persistent_workers": False}
        loader.__dict__.update({"timeout": 0, "_DataLoader__multiprocessing_context": None})
    # Not by setattr: torch forbids to change some of them once a loader is made, which it has just been.
    loader.__dict__.update(asked)
