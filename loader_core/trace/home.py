"""Where recordings lie: one folder per user, the same for the server, the command line and scripts that record."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

HOME_VARIABLE = "LOADERSCOPE_HOME"
NOTE = "server.json"
"""In the home folder while a server runs: where it is, and by what token it lets in (`app.presence`)."""
_TRIES = 100


def home() -> Path:
    """`LOADERSCOPE_HOME`, or the user's data folder. It need not exist yet."""
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given)
    import platformdirs  # its import takes longer than all else here

    return platformdirs.user_data_path("loaderscope")


def runs_home(folder: Path | None = None) -> Path:
    """The folder with one directory per recording, below `folder` or else `home()`."""
    return (folder or home()) / "runs"


def new_run_directory(runs: Path) -> Path:
    """Make a directory for a new run below `runs`, named by the moment and four random digits. Raises OSError."""
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_TRIES):
        directory = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:  # ranks begin in the same second
            continue
        return directory
    raise FileExistsError(f"{runs}: {_TRIES} random names were taken")
