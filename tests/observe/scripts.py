"""Running a program as `python program.py` does, and observed: what both print, and what was recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader_core.trace import Trace
from loader_core.trace.home import runs_home

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"
_COMMAND = f"import sys; sys.path[0] = {str(ROOT)!r}; from app.cli import main; sys.exit(main())"
RUN = (sys.executable, "-c", _COMMAND, "run")
"""`loaderscope run`, with a path on which `app` is, for itself and for nothing that it starts."""

STARTUP = str(ROOT / "loader_core" / "startup")


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment without any setting of ours but the folder of the recordings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADERSCOPE")}
    return {**kept, "LOADERSCOPE_HOME": str(home), "PYTHONHASHSEED": "0", "COLUMNS": "200", **more}


def started(command: Sequence[str], home: Path, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """The command in `cwd`. `environment`: more variables."""
    environment = plain_environment(home, **options.pop("environment", {}))
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **options)


def done(command: Sequence[str], home: Path, cwd: Path, *, given: str = "", **options: Any) -> Done:
    """The same, to its end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, home, cwd, **pipes, **options) as process:
        out, err = process.communicate(given, timeout=100)
    return Done(process.returncode, out, err)


def traces(home: Path) -> dict[str, Trace]:
    """The runs in `home` by their names, read to their end."""
    found = {}
    for directory in sorted(runs_home(home).glob("*")):
        trace = Trace.open(directory)
        trace.refresh()
        assert trace.run.name not in found
        found[trace.run.name] = trace
    return found


def site(program: str, text: str) -> str:
    """`program.py:41`, by what stands on that line and no other."""
    lines = (PROGRAMS / program).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if text in line]
    return f"{program}:{number}"
