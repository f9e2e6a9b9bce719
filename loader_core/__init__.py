"""Loaderscope's library: a DataLoader that can be seen into, and the recording of what it does.

Names are loaded when they are first used: reading a recording needs no torch. `observe`, for loaders that are not ours,
is in `loader_core.observe`: here its name is the package's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loader_core.engine import DataLoader, PackedList, PermutationSampler, Simulated
    from loader_core.trace import Recording, Trace, stage

__all__ = ["DataLoader", "PackedList", "PermutationSampler", "Recording", "Simulated", "Trace", "stage"]

_HOMES = {
    "DataLoader": "loader_core.engine",
    "PackedList": "loader_core.engine",
    "PermutationSampler": "loader_core.engine",
    "Recording": "loader_core.trace",
    "Simulated": "loader_core.engine",
    "Trace": "loader_core.trace",
    "stage": "loader_core.trace",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext loader_core` in a notebook: the live view below the cell, and `%loaderscope` to have it again."""
    import_module("loader_core.jupyter").load(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
