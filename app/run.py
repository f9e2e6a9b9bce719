"""Run: one recording as the server sees it, and its process while it lives."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any, Self, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from app.order import ORDER_FILE, RunOrder
from app.problems import ConflictError
from app.process import ChildProcess, ForeignProcess, RunProcess, reason_of_death
from app.traces import Traces
from app.wire import RunSettings, RunState, RunSummary, Script
from loader_core.errors import TraceError
from loader_core.trace.control import Control
from loader_core.trace.home import new_run_directory
from loader_core.trace.recording import seal
from loader_core.trace.run_file import LIVE_STATES, RUN_FILE, RunHeader, read_run_file

TOTALS_FILE = "totals.json"
"""What a sealed run came to, so that a list of many runs opens none of them. Ours alone; made again if missing."""

RUN_STATES = frozenset(get_args(RunState))

MAX_ARGUMENTS = 64
MAX_SAID = 400
"""Words of a script's command line that are shown, and characters of each."""

STARTING_S = 60.0
"""How long a run that another server, or the command line, has just made may take to write its header."""


class Totals(BaseModel):
    """What a run came to so far."""

    model_config = ConfigDict(frozen=True)

    duration_ns: int = 0
    batches: int = 0
    samples: int = 0
    bytes_on_disk: int = 0
    truncated: str = ""


class Run:
    """One run. Belongs to the event loop, but for `load`, `measure` and `seal`, which read files in a worker thread.

    `live`: its process runs, or is about to. `measured`: it has ended, and `totals` are final.
    """

    def __init__(self, directory: Path, *, started_unix_ns: int) -> None:
        self.id = directory.name
        self.directory = directory
        self.started_unix_ns = started_unix_ns
        self.process: RunProcess | None = None
        self.order: RunOrder | None = None
        self.totals = Totals()
        self.measured = False
        self.ended = asyncio.Event()
        self.ending = asyncio.Lock()
        self._header: RunHeader | None = None
        self._problem = ""
        self._control: Control | None = None
        self._launching = False
        self._begins_until_s = 0.0
        self._asked_to_stop = False
        self._killed = False

    @classmethod
    def create(cls, home: Path, order: RunOrder) -> Self:
        """A new run directory with its order and control page. Raises OSError."""
        directory = new_run_directory(home)
        run = cls(directory, started_unix_ns=time.time_ns())
        run.order = order
        order.write(directory)
        run._control = Control.create(directory)
        run._launching = True
        return run

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """A run directory that was found; None when it is none. Reads files."""
        order = _read_order(directory)
        try:
            made_unix_ns = directory.stat().st_mtime_ns
            if order is None and not (directory / RUN_FILE).is_file():
                return None
        except OSError:
            return None
        run = cls(directory, started_unix_ns=made_unix_ns)
        run.order = order
        run._begins_until_s = made_unix_ns / 1e9 + STARTING_S
        run._read_header()
        if not run.live:
            run._read_totals()
        return run

    def _read_header(self) -> None:
        """Takes what run.json says now; the first time also looks for the process, if nobody here started it."""
        if not (self.directory / RUN_FILE).is_file():
            return  # not yet
        self._begins_until_s = 0.0
        try:
            header = read_run_file(self.directory)
        except TraceError as error:
            self._problem = str(error)
            return
        first, self._header = self._header is None, header
        self.started_unix_ns = header.started_unix_ns or self.started_unix_ns
        if not first or self.process is not None or self._launching:
            return
        if header.live and header.host.get("name") == socket.gethostname():
            self.process = ForeignProcess.find(
                header.pid, started_unix_ns=self.started_unix_ns, ours=self.order is not None
            )

    def _read_totals(self) -> None:
        try:
            self.totals = Totals.model_validate_json((self.directory / TOTALS_FILE).read_bytes())
        except (OSError, ValidationError):
            return
        self.measured = True
        self.ended.set()

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether its process runs, or is about to."""
        if self.process is not None:
            return self.process.alive()
        return self._launching or time.time() < self._begins_until_s

    @property
    def startable(self) -> bool:
        """Whether a server started it, so that a server may end it."""
        return self.order is not None

    @property
    def settings(self) -> RunSettings | None:
        """What it was made from; None for a run that no server started."""
        return self.order.settings if self.order else None

    @property
    def state(self) -> RunState:
        """What it is doing now."""
        if self._header is None:
            return "starting" if self.live else "interrupted"
        if self._header.state in LIVE_STATES and self.live and self._control is not None and self._control.pause:
            return "paused"
        return cast(RunState, self._header.state if self._header.state in RUN_STATES else "interrupted")

    def summary(self) -> RunSummary:
        """The run as a client sees it."""
        settings, header = self.settings, self._header
        return RunSummary(
            id=self.id,
            name=(settings.name if settings else "") or (header.name[:80] if header else ""),
            state=self.state,
            reason=self._problem or (header.reason if header else ""),
            truncated=self.totals.truncated,
            live=self.live,
            started_unix_ns=self.started_unix_ns,
            duration_ns=self.totals.duration_ns,
            batches=self.totals.batches,
            samples=self.totals.samples,
            bytes_on_disk=self.totals.bytes_on_disk,
            settings=settings,
            script=_script(header.script) if header else None,
            loader=header.loader if header else None,
        )

    def measure(self, traces: Traces) -> None:
        """Reads what the run came to so far. In a worker thread."""
        self._read_header()
        size = bytes_on_disk(self.directory)
        if self._header is None:
            self.totals = Totals(bytes_on_disk=size)
            return
        try:
            with traces.reading(self.directory) as trace:
                trace.refresh()
                self.totals = Totals(
                    duration_ns=trace.duration_ns,
                    batches=trace.batches,
                    samples=trace.samples,
                    bytes_on_disk=size,
                    truncated=trace.truncated,
                )
        except TraceError as error:
            self._problem = str(error)

    def seal(self, traces: Traces) -> None:
        """Says in the recording how a run ended that could not say so itself, and counts it. In a worker thread."""
        try:
            self.measure(traces)
            if not self._problem and (self._header is None or self._header.live):
                state, reason = self._verdict()
                seal(self.directory, state, reason)
                self.measure(traces)
            if not self._problem:
                (self.directory / TOTALS_FILE).write_text(self.totals.model_dump_json(), "utf-8")
        except OSError as error:  # a full disk: the recording can be read all the same
            self._problem = f"its end could not be written down: {error.strerror}"
        finally:
            self.measured = True
            self.close()

    def _verdict(self) -> tuple[RunState, str]:
        """How a run ended whose own last word is missing."""
        if self._killed:
            return "stopped", "it did not end when it was asked to, so it was killed; its recording is whole up to then"
        if self._asked_to_stop:
            return "stopped", ""
        if isinstance(self.process, ChildProcess) and self.process.returncode is not None:
            return "failed", reason_of_death(self.process.returncode, self.directory)
        who = f"its process {self._header.pid} is gone" if self._header else "its process never began to record"
        return "interrupted", f"{who}; what it recorded is whole up to then"

    # --- doing --------------------------------------------------------------------------------------------------------

    async def launch(self) -> None:
        """Starts the process. Raises OSError."""
        try:
            self.process = await ChildProcess.start(self.directory)
        finally:
            self._launching = False

    def open_control(self) -> Control:
        """The control page of a live run. Raises ConflictError for a run that has none."""
        if self._control is None:
            try:
                self._control = Control.open(self.directory)
            except (OSError, TraceError) as error:
                raise ConflictError(f"run {self.id} cannot be talked to: {error}", code="run_deaf") from error
        return self._control

    def check_obeys(self) -> None:
        """Raises ConflictError for an observed script: it is not ours to stop, and takes no pause."""
        if self._header is not None and self._header.script is not None:
            raise ConflictError(
                f"run {self.id} is a loader of your own script, which a viewer does not stop or pause: end it where "
                f"you started it (process {self._header.pid})",
                code="run_foreign",
            )

    def ask_to_stop(self) -> None:
        """Asks the run to end after its present batch; wakes it if it is paused."""
        self._asked_to_stop = True
        control = self.open_control()
        control.stop = True
        control.pause = False

    def terminate(self) -> None:
        """SIGTERM to its process, if a server started it."""
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """SIGKILL to its process and workers, if a server started it."""
        if self.process is not None:
            self.process.kill()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the end of its process; False when `timeout_s` passed first."""
        return self.process is None or await self.process.wait(timeout_s)

    async def end_within(self, timeout_s: float) -> None:
        """Waits for the end of its process; kills it when `timeout_s` has passed."""
        if not await self.wait(timeout_s):
            self._killed = True
            self.kill()
            await self.wait()

    def changed_order(self, changed: RunSettings) -> RunOrder:
        """The run's order with what was set in `changed`. Raises ConflictError, pydantic.ValidationError."""
        if self.order is None:
            raise ConflictError(
                f"run {self.id} was not started here, so its settings are its script's", code="run_foreign"
            )
        return self.order.model_copy(update={"settings": merged(self.order.settings, changed)})

    def give(self, order: RunOrder) -> None:
        """Tells the live run its new settings. Raises OSError, ConflictError."""
        order.write(self.directory)
        self.order = order
        control = self.open_control()
        order.turn(control)
        control.generation += 1

    def close(self) -> None:
        """Gives the control page back. Idempotent."""
        if self._control is not None:
            self._control.close()
            self._control = None


def merged(settings: RunSettings, changed: RunSettings) -> RunSettings:
    """`settings` with the fields that were set in `changed`, also within the dials."""
    fields = changed.model_dump(exclude_unset=True)
    if "dials" in fields:
        fields["dials"] = settings.dials.model_dump() | fields["dials"]
    return RunSettings.model_validate(settings.model_dump() | fields)


def bytes_on_disk(directory: Path) -> int:
    """What the files of a run directory take on disk: blocks, since segments reserve more than they hold."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:  # folded away, or replaced, while we looked
            continue
    return total


def _script(said: dict[str, Any] | None) -> Script | None:
    """The script block of run.json as the wire has it: what it lacks is empty, what is too long is cut."""
    if said is None:
        return None
    argv, rank = said.get("argv"), said.get("rank")
    return Script(
        group=str(said.get("group", ""))[:MAX_SAID],
        argv=[str(part)[:MAX_SAID] for part in argv[:MAX_ARGUMENTS]] if isinstance(argv, list) else [],
        site=str(said.get("site", ""))[:MAX_SAID],
        loader=str(said.get("loader", ""))[:MAX_SAID],
        rank=rank if isinstance(rank, int) else 0,
    )


def _read_order(directory: Path) -> RunOrder | None:
    if not (directory / ORDER_FILE).is_file():
        return None
    try:
        return RunOrder.read(directory)
    except (OSError, ValidationError):
        return None
