"""A user's script as what is tuned: run again and again for a few seconds, its loader's arguments changed from outside.

The script is observed as by `loaderscope run`. When its loader has been at work for long enough, the script and all
that it started are ended; what it writes into files it writes each time. Its output is not shown.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.process import kill_group
from app.script import TRIAL, environment
from app.script_summary import look, runs_of
from app.trials import TrialFailed
from app.tuner import cores, in_words
from loader_core.diagnose.setting import Setting
from loader_core.errors import TraceError
from loader_core.start import OVERRIDE, new_group
from loader_core.trace.event import Kind
from loader_core.trace.home import runs_home
from loader_core.trace.recording import seal
from loader_core.trace.trace import Trace

START_S = 180.0
"""How long a script may take until its loader has been iterated for as long as a trial lasts."""
LOOK_S = 0.1
TERMINATE_S = 3.0
WARM_STEPS = 3
"""Steps before a trial's time begins."""


class ScriptSubject:
    """`python *arguments`. `place`: the loader to tune, as `train.py:41`; "" for the one that is waited for longest."""

    def __init__(self, arguments: Sequence[str], home: Path | None, *, place: str, first_s: float) -> None:
        """Runs the script once, to see its loaders. Raises TrialFailed."""
        self._arguments = list(arguments)
        self._home = home
        self._runs = runs_home(home)
        self.place = place
        self._first: Trace | None = self._observe({}, first_s, "")
        header = self._first.run
        assert header.script is not None
        self.place = str(header.script["site"])
        self._loader = header.loader or {}

    @property
    def start(self) -> Setting:
        loader = self._loader
        return Setting(
            num_workers=int(loader.get("num_workers", 0)),
            prefetch_factor=int(loader.get("prefetch_factor") or 2),
            batch_size=int(loader.get("batch_size") or 1),
            in_order=bool(loader.get("in_order", True)),
            persistent_workers=bool(loader.get("persistent_workers", False)),
            pin_memory=bool(loader.get("pin_memory", False)),
            cores=float(cores()),
        )

    def run(self, setting: Setting, seconds: float) -> Trace:
        first, self._first = self._first, None
        if first is not None and setting == self.start:
            return first
        arguments: dict[str, Any] = {}
        if setting != self.start:
            arguments = {
                "num_workers": setting.num_workers,
                "prefetch_factor": setting.prefetch_factor if setting.num_workers else None,
                "persistent_workers": setting.persistent_workers,
                "in_order": setting.in_order,
            }
        return self._observe(arguments, seconds, in_words(setting))

    def change(self, setting: Setting) -> str:
        persistent = ", persistent_workers=True" if setting.num_workers else ""
        return f"{self.place}: DataLoader(..., {in_words(setting)}{persistent})"

    def _observe(self, arguments: dict[str, Any], seconds: float, name: str) -> Trace:
        """Run the script until the loader has been at work for `seconds`."""
        group = new_group()
        variables = environment("batch", f"{TRIAL}: {name}" if name else TRIAL, self._home, group)
        variables[OVERRIDE] = json.dumps({"site": self.place, "arguments": arguments})
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [sys.executable, *self._arguments],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )
            try:
                directory = self._wait(process, group, seconds)
            finally:
                _end(process)
            for path, header in runs_of(group, self._runs):
                if header.live:
                    seal(path, "stopped", "a trial of loaderscope tune is over")
            if directory is None:
                said.seek(0)
                last = said.read().decode("utf-8", "replace").strip().splitlines()[-1:]
                raise TrialFailed(_why(process.returncode, self.place, last))
        return Trace.open(directory)

    def _wait(self, process: subprocess.Popen[bytes], group: str, seconds: float) -> Path | None:
        deadline = time.monotonic() + START_S + seconds
        traces: dict[Path, Trace] = {}
        ended = False
        while not ended and time.monotonic() < deadline:
            try:
                process.wait(LOOK_S)
                ended = True
            except subprocess.TimeoutExpired:
                pass
            for directory, header in runs_of(group, self._runs):
                if header.script is not None and self.place in ("", header.script.get("site")):
                    traces.setdefault(directory, Trace(directory))
            if any(_worked_ns(trace) >= seconds * 1e9 for trace in traces.values()):
                break
        found = [directory for directory, trace in traces.items() if _worked_ns(trace)]
        return max(found, key=_waited_ns, default=None)


def _worked_ns(trace: Trace) -> int:
    """For how long the loader has been iterated, after the first few steps."""
    try:
        trace.refresh()
    except TraceError:
        return 0
    if trace.batches <= WARM_STEPS:
        return 0
    steps = trace.window(0, 1 << 62, {Kind.STEP})
    return int(steps["end"][-1] - steps["end"][WARM_STEPS - 1])


def _waited_ns(directory: Path) -> int:
    seen = look(directory)
    return seen.wait_ns + seen.step_ns // 1000


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the script and all of its session."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            pass
    kill_group(process.pid)
    process.wait()


def _why(returncode: int, place: str, last: Sequence[str]) -> str:
    which = f"at {place} " if place else ""
    said = f": {last[0]}" if last else ""
    if returncode < 0:
        return f"no DataLoader {which}was iterated within {START_S:.0f} s: name the script that trains{said}"
    return f"the script ended with exit code {returncode} before a DataLoader {which}gave {WARM_STEPS} batches{said}"
