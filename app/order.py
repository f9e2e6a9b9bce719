"""What the server asks a run's process to do: `settings.json` in the run directory.

It stands apart from wire.py because it never leaves this machine, and from runs.py because `app.runner` reads it and
must not import the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from app.wire import RunSettings
from loader_core.trace.control import Control
from loader_core.trace.recorder import Detail

ORDER_FILE = "settings.json"


class RunOrder(BaseModel):
    """A run's settings with what only the server knows. Written whole and renamed into place, so never half there.

    The server writes it before it starts `python -m app.runner RUN_DIRECTORY`, and again for each change of a
    setting; then it bumps the control page's `generation`, at which the runner reads it again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: RunSettings
    data_roots: tuple[Path, ...] = ()
    """The user's own folders, for the catalogue's ids to mean the same as in the server."""
    budget_bytes: int = 512 * 1024**2
    """Bound of the recording on disk; past it the oldest events are folded into its roll-up."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The order in this run directory. Raises OSError, pydantic.ValidationError."""
        return cls.model_validate_json((directory / ORDER_FILE).read_bytes())

    def write(self, directory: Path) -> None:
        """Puts the order into this run directory, replacing the former one. Raises OSError."""
        scratch = directory / f"{ORDER_FILE}.new"
        scratch.write_text(self.model_dump_json(indent=1), "utf-8")
        scratch.replace(directory / ORDER_FILE)

    def turn(self, control: Control) -> None:
        """Puts onto the control page what acts at once: dials, length of a step, detail.

        The server does it for each change, so that a dial acts on the very next sample also where the runner, which
        does it when it begins, waits long for a batch.
        """
        settings = self.settings
        control.step_ns = round(settings.step_ms * 1e6)
        control.detail = Detail[settings.detail.upper()]
        control.apply_dials(**settings.dials.model_dump())
