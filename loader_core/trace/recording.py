"""Recording: a run directory being written, in the process where the run is.

It makes the directory, hands out recorders to whoever does something, watches the consumer's side (`deliver`), and
says in `run.json` how the run ended.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from loader_core.errors import RecordingError, last_line
from loader_core.trace.budget import DEFAULT_BUDGET_BYTES
from loader_core.trace.control import FILENAME as CONTROL
from loader_core.trace.control import Control
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, SCHEMA_VERSION, Kind, Role, kind_table
from loader_core.trace.process_meter import ProcessMeter
from loader_core.trace.recorder import NULL_RECORDER, Recorder, now
from loader_core.trace.run_file import LIVE_STATES, RUN_FILE, write_run_file
from loader_core.trace.segment import SUFFIX, seal_file

if TYPE_CHECKING:
    from loader_core.trace.preview import PreviewWriter

PREVIEW_EVERY_NS = 500_000_000
"""Previews are made at most this often."""

PAUSE_SLICE_NS = 250_000_000
"""A pause is recorded in slices of this length, so that a viewer sees it while it lasts."""

EndState = Literal["finished", "stopped", "failed"]
_PACKAGES = ("torch", "numpy", "pillow")
_log = logging.getLogger("loaderscope")


@dataclass(slots=True)
class Delivery:
    """One batch on its way to the consumer. `Recording.deliver` takes `batch` out of it when it hands it over."""

    batch: Any
    number: int
    """Counts the batches of the run, or of the epoch: as the loader's other events do."""
    epoch: int
    indices: Sequence[int] | None
    """The samples' indices in the dataset, in the batch's order; None: not known."""
    samples: int
    """How many samples it has; NOT_MEASURED: not known."""
    nbytes: int
    """Size of its tensors; NOT_MEASURED: not known."""
    ready: int
    """Batches that were ready when the consumer asked for this one; NOT_MEASURED: not known."""


@dataclass(frozen=True, slots=True)
class RecordingShare:
    """What another process or thread needs to record into the same run. Travels by pickle."""

    directory: Path
    anchor_ns: int
    rank: int
    budget_bytes: int

    def recorder(self, role: Role, worker: int = -1) -> Recorder:
        """A recorder for the calling thread. It never fails: without a disk it is disabled."""
        return Recorder(
            self.directory,
            role=role,
            worker=worker,
            rank=self.rank,
            anchor_ns=self.anchor_ns,
            budget_bytes=self.budget_bytes,
            control=Control.open(self.directory),
        )

    def control(self) -> Control:
        """The run's control page, mapped once more; the caller closes it."""
        return Control.open(self.directory)


class Recording:
    """A run directory being written. One per run, in its main process; made with `Recording.create`.

    As a context manager it finishes the run: `failed` with the exception's text, `stopped` on KeyboardInterrupt or
    when a viewer asked for it, else `finished`.
    """

    def __init__(self, share: RecordingShare, control: Control, header: dict[str, Any]) -> None:
        """Use `Recording.create`."""
        self._share = share
        self.control = control
        self._header = header
        self._lock = threading.Lock()
        self._recorders: list[Recorder] = []
        self._thread = threading.local()
        self.meter = ProcessMeter()
        """Looks at this process: one for all epochs of the run, since a look costs as much as many a batch."""
        self._over = threading.Event()
        self.next_epoch = 0
        """The number that `begin_epoch` gives next; who counts epochs by himself may set it."""
        self.failure = ""
        """What an observer found out about the last exception of a worker; `finish` adds it to the reason."""
        self.paused_ns = 0
        """How long a viewer has paused the run so far, altogether."""
        self._previews: PreviewWriter | None = None
        self._previewed_ns = 0

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        run_id: str,
        name: str = "",
        settings: dict[str, Any] | None = None,
        classes: Sequence[str] = (),
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
        rank: int = 0,
        script: dict[str, Any] | None = None,
        loader: dict[str, Any] | None = None,
    ) -> Recording:
        """Begin a run in `directory`, which may exist and hold a control page and settings, but no run.

        `script` and `loader` say whose loader it is and how it was made, where a script is observed (see RunHeader).
        Raises RecordingError when it holds a run already or cannot be written, and on Windows.
        """
        if sys.platform == "win32":
            raise RecordingError("Recording needs file locks and memory maps as POSIX has them: on Windows, use WSL")
        if (directory / RUN_FILE).exists():
            raise RecordingError(f"{directory} holds a run already. Record into a directory of its own")
        anchor_ns, unix_ns = now(), time.time_ns()
        header = {
            "schema": SCHEMA_VERSION,
            "id": run_id,
            "name": name,
            "state": "running",
            "reason": "",
            "started_unix_ns": unix_ns,
            "ended_unix_ns": None,
            "clock": {"perf_ns": anchor_ns, "unix_ns": unix_ns},
            "pid": os.getpid(),
            "rank": rank,
            "host": _host(),
            "versions": _versions(),
            "settings": settings,
            "script": script,
            "loader": loader,
            "classes": list(classes),
            "changes": [],
            "kinds": kind_table(),
        }
        try:
            directory.mkdir(parents=True, exist_ok=True)
            control = Control.open(directory) if (directory / CONTROL).exists() else Control.create(directory)
            write_run_file(directory, header)
        except OSError as error:
            raise RecordingError(f"{directory} cannot be recorded into: {error.strerror}") from error
        return cls(RecordingShare(directory, anchor_ns, rank, budget_bytes), control, header)

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._share.directory

    @property
    def anchor_ns(self) -> int:
        """`perf_counter_ns` of run time 0."""
        return self._share.anchor_ns

    def share(self) -> RecordingShare:
        """What a worker needs to record into this run."""
        return self._share

    def recorder(self, role: Role, worker: int = -1) -> Recorder:
        """A recorder for the calling thread; `finish` closes it if nobody did. After that: one that records nothing."""
        with self._lock:
            if self._over.is_set():
                return NULL_RECORDER
            recorder = self._share.recorder(role, worker)
            self._recorders.append(recorder)
        return recorder

    @property
    def consumer(self) -> Recorder:
        """The calling thread's recorder of the consumer lane, for what a training loop itself has to say (LOSS)."""
        return self.own_recorder(Role.CONSUMER)

    def own_recorder(self, role: Role) -> Recorder:
        """The calling thread's recorder in that role: made when it is first asked for, and closed by `finish`."""
        recorder: Recorder | None = getattr(self._thread, role, None)
        if recorder is None:
            recorder = self.recorder(role)
            setattr(self._thread, role, recorder)
        return recorder

    def begin_epoch(self) -> int:
        """The number of the next epoch, from 0. For observed loaders, which do not count theirs. Any thread."""
        with self._lock:
            number = self.next_epoch
            self.next_epoch = number + 1
        return number

    # --- the header ---------------------------------------------------------------------------------------------------

    def update(self, **fields: Any) -> None:
        """Replace fields of run.json. A disk that is full is logged; the run goes on."""
        with self._lock:
            self._header.update(fields)
            try:
                write_run_file(self.directory, self._header)
            except OSError as error:
                _log.warning("%s could not be updated: %s", self.directory / RUN_FILE, error.strerror)

    def change(self, fields: dict[str, Any], *, restarted_loader: bool) -> None:
        """A setting was changed while the run goes on: a CHANGE mark, and an entry of `changes` in run.json.

        Called by the consumer's thread.
        """
        changes = self._header["changes"]
        change = {
            "number": len(changes),
            "at_ns": now() - self.anchor_ns,
            "fields": fields,
            "restarted_loader": restarted_loader,
        }
        self.consumer.mark(Kind.CHANGE, value=len(changes))
        self.update(changes=[*changes, change])

    def finish(self, state: EndState, reason: str = "") -> None:
        """The run is over: close all recorders of this process and say how it ended. Only the first call counts."""
        with self._lock:
            if self._over.is_set():
                return
            self._over.set()
            recorders, self._recorders = self._recorders, []
        for recorder in recorders:
            recorder.close()
        if state != "finished" and self.failure:
            reason = f"{reason} ({self.failure})" if reason else self.failure
        self.update(state=state, reason=reason, ended_unix_ns=time.time_ns())
        self.control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self.finish("stopped", "interrupted from the keyboard")
        elif error is not None:
            self.finish("failed", last_line(error))
        else:
            self.finish("stopped" if self.control.stop else "finished")

    # --- the consumer's side ------------------------------------------------------------------------------------------

    def deliver(self, deliveries: Iterator[Delivery], *, obeys: bool = True) -> Iterator[Any]:
        """Hand each batch over, and record how long the training loop waited for it and worked on it.

        Between two batches it makes a preview if one is wanted, and `obeys` the control page: stop ends the iteration,
        pause rests. (A script that is the user's own does not.) It belongs to the thread that iterates, and closes
        `deliveries` however it ends. It holds no batch while the training loop has it. A loop that is left early ends
        with a WAIT_BATCH of no batch and no length, as one that came to its end does with one of no batch.
        """
        recorder = self.consumer
        try:
            while not obeys or self.may_go_on():
                delivery = self._ask(deliveries, recorder)
                if delivery is None:
                    return
                self.preview(delivery)
                number, samples = delivery.number, delivery.samples
                handed = [delivery.batch]
                delivery.batch = None  # this frame and the loader's may hold the delivery, but not the batch's memory
                start, cpu, left = now(), time.process_time_ns(), True
                try:
                    yield handed.pop()
                    left = False
                finally:
                    recorder.add(Kind.STEP, number, start, value=samples)
                    recorder.mark(Kind.CPU, number, value=time.process_time_ns() - cpu)
                    if left:  # by break or an exception: nobody waits for the next batch
                        recorder.mark(Kind.WAIT_BATCH)
        finally:
            close = getattr(deliveries, "close", None)
            if close is not None:
                close()

    def _ask(self, deliveries: Iterator[Delivery], recorder: Recorder) -> Delivery | None:
        """The next delivery, or None after the last: WAIT_BATCH either way."""
        start = now()
        try:
            delivery = next(deliveries, None)
        except BaseException:
            recorder.add(Kind.WAIT_BATCH, NO_BATCH, start)
            recorder.mark(Kind.ERROR)
            raise
        end = now()
        if delivery is None:
            recorder.add(Kind.WAIT_BATCH, NO_BATCH, start, end)
        else:
            recorder.epoch = delivery.epoch
            recorder.add(Kind.WAIT_BATCH, delivery.number, start, end, delivery.ready)
        return delivery

    def may_go_on(self) -> bool:
        """Rest while a viewer wants a pause. False when the run shall stop. Called by the consumer's thread."""
        while self._paused():
            start = now()
            while self._paused() and now() - start < PAUSE_SLICE_NS:
                self._over.wait(0.01)  # polled: who writes the page is another process, which shares no lock with us
            end = now()
            self.consumer.add(Kind.PAUSE, NO_BATCH, start, end)
            self.paused_ns += end - start
        return not (self.control.stop or self._over.is_set())

    def _paused(self) -> bool:
        return self.control.pause and not self.control.stop and not self._over.is_set()

    def preview(self, delivery: Delivery) -> None:
        """Make a preview if a viewer wants one and the last is old enough. What fails is logged and nothing more.

        Called by the consumer's thread.
        """
        start = now()
        if start >= self.control.preview_until_ns or start - self._previewed_ns < PREVIEW_EVERY_NS:
            return
        self._previewed_ns = start
        try:
            written = self._write_preview(delivery, start)
        except Exception:  # noqa: BLE001 - what a batch's type raises, whatever it is, must not reach the training
            _log.exception("no preview of batch %d", delivery.number)
            written = NOT_MEASURED
        self.consumer.add(Kind.PREVIEW, delivery.number, start, value=written)

    def _write_preview(self, delivery: Delivery, start: int) -> int:
        if self._previews is None:
            from loader_core.trace.preview import PreviewWriter  # Pillow is loaded when a viewer first looks

            self._previews = PreviewWriter(self.directory)
        return self._previews.write(
            delivery.batch,
            at_ns=start - self.anchor_ns,
            epoch=delivery.epoch,
            batch_number=delivery.number,
            indices=delivery.indices,
            classes=self._header["classes"],
        )


def seal(directory: Path, state: str, reason: str) -> None:
    """Close the books of a run whose process is gone: its state and reason in run.json, and all segments sealed.

    For the server. A run that has said itself how it ended keeps what it said. A run that never began gets a run.json.
    """
    for path in directory.glob(f"*{SUFFIX}"):
        seal_file(path)
    for path in directory.glob(f"*{SUFFIX}.new"):
        path.unlink(missing_ok=True)
    try:
        header = json.loads((directory / RUN_FILE).read_text())
    except (FileNotFoundError, ValueError):
        header = {"schema": SCHEMA_VERSION, "id": directory.name, "state": "starting", "kinds": kind_table()}
    if header.get("state") in LIVE_STATES:
        header.update(state=state, reason=reason, ended_unix_ns=time.time_ns())
        write_run_file(directory, header)


def _host() -> dict[str, Any]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"name": socket.gethostname(), "platform": platform.platform(), "cpus": cpus}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
