"""RunStore: the runs that this server knows. A run is a directory, and a process while it lives.

The directory is the truth: the store keeps nothing that it could not read again, and finds runs that others write
below the same folder, such as a user's training script. Clients name runs by id and never by path: an id is looked up
among the directories that were found, and never becomes part of a path.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from app.host import Host
from app.order import RunOrder
from app.problems import ConflictError, NotFoundError
from app.process import ChildProcess
from app.run import Run
from app.settings import Settings
from app.traces import Traces
from app.wire import RunSettings, RunSummary
from loader_core.trace.control import Control
from loader_core.trace.trace import Trace

log = logging.getLogger(__name__)

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a run directory may be called; others are not looked at."""

DELETED = ".deleted"
"""End of the name of a directory that is being deleted."""

WATCH_INTERVAL_S = 1.0
"""How often the folder of runs is looked through, and live runs are measured."""

NOTICE_S = 2.0
"""How long a run that was asked to stop may take to notice; then it gets SIGTERM."""
TERMINATE_S = 3.0
"""How long it may take to end after SIGTERM; then it gets SIGKILL."""
CLOSE_S = 0.7
"""How long runs may take to end when the server itself ends; then they get SIGKILL."""


class RunStore:
    """All runs, newest first. `async with` it: that finds the runs, and at the end stops those it started.

    Everything but `reading` and `directory` belongs to the event loop. A run that a server started lives in the
    process of that run: if the server is killed the run goes on, and the next server finds it.
    """

    def __init__(self, settings: Settings, host: Host, *, imported: Sequence[Path] = ()) -> None:
        """`imported`: run directories anywhere on this machine that are shown beside those of the home folder."""
        self._settings = settings
        self._host = host
        self._imported = {path.name: path.resolve() for path in imported}
        self._runs: dict[str, Run] = {}
        self._traces = Traces()
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.boot = secrets.randbits(31)
        """Differs after each start of the server: cursors of another boot mean nothing."""
        self.version = 0
        """Counts the changes of the list of runs and of their states."""

    async def __aenter__(self) -> Self:
        self._settings.runs_home.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(self._finish_deleting)
        await self._discover()
        self._spawn(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        children = [run for run in self._runs.values() if run.live and isinstance(run.process, ChildProcess)]
        for run in children:
            run.ask_to_stop()
            run.terminate()
        await asyncio.gather(*(run.end_within(CLOSE_S) for run in children))
        if self._tasks:
            await asyncio.wait(self._tasks)
        for run in self._runs.values():
            run.close()

    # --- looking ------------------------------------------------------------------------------------------------------

    def summaries(self) -> list[RunSummary]:
        """All runs, newest first."""
        runs = sorted(self._runs.values(), key=lambda run: (run.started_unix_ns, run.id), reverse=True)
        return [run.summary() for run in runs]

    async def looked_at(self) -> list[RunSummary]:
        """The same, after each of them was looked at."""
        for run in list(self._runs.values()):
            await self._look_at(run)
        return self.summaries()

    def summary(self, run_id: str) -> RunSummary:
        """One run. Raises NotFoundError."""
        return self._find(run_id).summary()

    def directory(self, run_id: str) -> Path:
        """Where a run is recorded. Raises NotFoundError."""
        return self._find(run_id).directory

    @contextmanager
    def reading(self, run_id: str) -> Iterator[Trace]:
        """The run's trace as it was last refreshed, for the calling thread alone while the block lasts.

        Called from worker threads: it reads files, and waits for another thread that reads the same run.
        Raises NotFoundError, TraceError.
        """
        with self._traces.reading(self._find(run_id).directory) as trace:
            yield trace

    def control(self, run_id: str) -> Control:
        """The page by which to talk to a live run. Raises NotFoundError, ConflictError when it has ended."""
        return self._find_live(run_id).open_control()

    async def changed(self, seen: int) -> int:
        """Waits until `version` is another than `seen`, and returns it."""
        while self.version == seen:
            await self._changed.wait()
        return self.version

    async def ended(self, run_id: str) -> RunSummary:
        """Waits for the end of a run."""
        run = self._find(run_id)
        await run.ended.wait()
        return run.summary()

    # --- doing --------------------------------------------------------------------------------------------------------

    async def start(self, settings: RunSettings) -> RunSummary:
        """Starts a run in a process of its own. Raises UnfitError, ConflictError (at the bound of live runs too)."""
        await self._host.check(settings)
        self._check_room()
        order = RunOrder(
            settings=settings, data_roots=self._settings.data, budget_bytes=self._settings.run_budget_bytes
        )
        try:
            run = Run.create(self._settings.runs_home, order)
        except OSError as error:
            raise _cannot_start(error) from error
        self._runs[run.id] = run  # before anything is awaited: the bound holds for requests that come together
        self._bump()
        try:
            await run.launch()
        except OSError as error:
            del self._runs[run.id]
            run.close()
            shutil.rmtree(run.directory, ignore_errors=True)
            self._bump()
            raise _cannot_start(error) from error
        self._spawn(self._attend(run))
        return run.summary()

    async def stop(self, run_id: str) -> RunSummary:
        """Ends a run: asks it, then SIGTERM, then SIGKILL; returns when it has ended. Raises ConflictError.

        A program of the user's that makes its own recording is asked only: it ends its loop over batches and goes on
        with what comes after. An observed script is left alone.
        """
        run = self._find_live(run_id)
        run.check_obeys()
        run.ask_to_stop()
        if run.startable:
            if not await run.wait(NOTICE_S):
                run.terminate()
                await run.end_within(TERMINATE_S)
            await self._end(run)
        return run.summary()

    def pause(self, run_id: str, *, paused: bool) -> RunSummary:
        """Lets a live run rest between two batches, or go on. Raises ConflictError."""
        run = self._find_live(run_id)
        run.check_obeys()
        run.open_control().pause = paused
        self._bump()
        return run.summary()

    async def change(self, run_id: str, changed: RunSettings) -> RunSummary:
        """Changes the settings that were set in `changed`, and no other, of a live run.

        The run does it between two batches, without restarting its loader where it can (`wire.LIVE_FIELDS`).
        Raises UnfitError, ConflictError, pydantic.ValidationError.
        """
        run = self._find_live(run_id)
        order = run.changed_order(changed)
        await self._host.check(order.settings)
        run.give(order)
        self._bump()
        return run.summary()

    async def delete(self, run_id: str) -> None:
        """Deletes a run's directory. Raises ConflictError for a live run, or one that lies elsewhere."""
        run = self._find(run_id)
        if run.live:
            raise ConflictError(f"run {run_id} is going on: stop it first", code="run_live")
        if run_id in self._imported:
            raise ConflictError(
                f"run {run_id} lies outside of this server's folder: delete {run.directory} yourself",
                code="run_imported",
            )
        doomed = run.directory.with_name(f".{run_id}{DELETED}")
        run.directory.rename(doomed)
        del self._runs[run_id]
        run.close()
        self._bump()
        self._traces.forget(run.directory)
        await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)

    def _finish_deleting(self) -> None:
        """Removes what a server that was killed had begun to delete."""
        for doomed in self._settings.runs_home.glob(f".*{DELETED}"):
            shutil.rmtree(doomed, ignore_errors=True)

    # --- watching -----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while not self._closing.is_set():
            try:
                await self._discover()
                for run in list(self._runs.values()):
                    await self._look_at(run)
            except Exception:  # one folder that cannot be read must not end the watch over all others
                log.exception("looking through %s failed", self._settings.runs_home)
            try:
                await asyncio.wait_for(self._closing.wait(), WATCH_INTERVAL_S)
            except TimeoutError:
                continue

    async def _discover(self) -> None:
        """Finds the runs that came and went below the home folder."""
        found = await asyncio.to_thread(self._scan)
        for run_id in self._runs.keys() - found.keys():
            if not self._runs[run_id].directory.exists():
                run = self._runs.pop(run_id)
                run.close()
                self._bump()
        for run_id in found.keys() - self._runs.keys():
            loaded = await asyncio.to_thread(Run.load, found[run_id])
            if loaded is not None and run_id not in self._runs:
                self._runs[run_id] = loaded
                self._bump()

    def _scan(self) -> dict[str, Path]:
        folders = [path for path in self._settings.runs_home.iterdir() if RUN_NAME.fullmatch(path.name)]
        return {path.name: path for path in folders if path.is_dir() and not path.is_symlink()} | self._imported

    async def _look_at(self, run: Run) -> None:
        """Reads what is new of a run: its header, its numbers, whether its process lives."""
        if run.measured:
            return
        before = run.summary()
        await asyncio.to_thread(run.measure, self._traces)
        if not run.live:
            await self._end(run)
        after = run.summary()
        if (before.state, before.name, before.reason) != (after.state, after.name, after.reason):
            self._bump()

    async def _attend(self, run: Run) -> None:
        """Waits for the end of a child, and ends what it leaves behind."""
        await run.wait()
        run.kill()
        await self._end(run)

    async def _end(self, run: Run) -> None:
        """Seals the recording of a run whose process is gone, once."""
        async with run.ending:
            if not run.live and not run.measured:
                await asyncio.to_thread(run.seal, self._traces)
                run.ended.set()
                self._bump()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _find(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            raise NotFoundError(f"there is no run {run_id[:64]!r}; it may have been deleted", code="run_unknown")
        return run

    def _find_live(self, run_id: str) -> Run:
        run = self._find(run_id)
        if not run.live:
            raise ConflictError(f"run {run_id} has ended ({run.summary().state})", code="run_ended")
        return run

    def _check_room(self) -> None:
        live = [run.id for run in self._runs.values() if run.live and run.startable]
        if len(live) >= self._settings.max_live_runs:
            raise ConflictError(
                f"{len(live)} runs are going on ({', '.join(sorted(live))}), the most that this server starts at once: "
                "stop one first",
                code="too_many_runs",
            )

    def _bump(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _cannot_start(error: OSError) -> ConflictError:
    where = f" ({error.filename})" if error.filename else ""
    return ConflictError(f"the run could not be started: {error.strerror}{where}", code="cannot_start")
