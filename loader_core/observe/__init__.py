"""The same events from loaders that are not ours.

Names are loaded when they are first used: who only needs the name of a variable needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loader_core.observe.any_loader import observe
    from loader_core.observe.step import transfer

__all__ = ["observe", "transfer"]


def __getattr__(name: str) -> Any:
    if name == "observe":
        from loader_core.observe.any_loader import observe

        return observe
    if name == "transfer":
        from loader_core.observe.step import transfer

        return transfer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
