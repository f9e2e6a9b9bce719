"""Previews: what is in a batch, for a viewer who asked. See `PreviewWriter`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class PreviewWriter:
    """Writes previews of batches into a run directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(
        self,
        batch: Any,
        *,
        at_ns: int,
        epoch: int,
        batch_number: int,
        indices: Sequence[int] | None,
        classes: Sequence[str],
    ) -> int:
        """Write one preview; bytes written."""
        raise NotImplementedError
