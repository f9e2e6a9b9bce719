"""Inside a worker process of torch's DataLoader: what is recorded there, around torch's own worker loop."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any

from loader_core.observe import torch_private
from loader_core.observe.fetching import FetchWatch
from loader_core.observe.linting import SampleFacts
from loader_core.observe.page_faults import PageFaults
from loader_core.observe.progress import Progress
from loader_core.observe.quiet import quietly
from loader_core.observe.sending import ResultQueue, SendWatch
from loader_core.observe.stacks import StackSampler
from loader_core.start import swallow, unseen
from loader_core.trace import NO_BATCH, Detail, Kind, RecordingShare, Role, now
from loader_core.trace.process_meter import ProcessMeter


class ObservedWorker:
    """torch's worker loop, and what is recorded around it: the target of a worker process, however it is started.

    It stands in the loop's place while an observed loader starts its workers. Processes that another thread starts
    meanwhile get the loop as it is.
    """

    def __init__(self, share: RecordingShare, progress: Progress) -> None:
        self._loop = torch_private.worker_loop()
        self._share = share
        self._progress = progress
        self._thread: int | None = threading.get_ident()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._thread not in (None, threading.get_ident()):
            return torch_private.worker_loop, ()
        return type(self), (self._share, self._progress)

    def __call__(self, *arguments: Any) -> None:
        """In the worker process: torch's loop, until it ends."""
        if self._thread not in (None, threading.get_ident()):  # a forked thread keeps its number
            self._loop(*arguments)
            return
        watch = None
        try:
            given = inspect.signature(self._loop).bind(*arguments)
            watch = WorkerWatch(self._loop, self._share, self._progress, given.arguments)
            arguments = given.args
        except Exception:  # noqa: BLE001 - the worker works, watched or not
            swallow("observing a worker")
        try:
            self._loop(*arguments)
        except BaseException as error:
            unseen(error)
            raise
        finally:
            if watch is not None:
                watch.close()


class WorkerWatch:
    """What is recorded in a worker. Made and used in the worker's own thread."""

    def __init__(
        self, loop: Callable[..., None], share: RecordingShare, progress: Progress, given: dict[str, Any]
    ) -> None:
        """Take the places of the queues in `given`, the arguments of torch's loop, and of the maker of fetchers."""
        self.broken = False
        worker = given["worker_id"]
        self._share = share
        self._worker = worker
        self._progress = progress
        row = progress.row(worker)
        self._recorder = share.recorder(Role.WORKER, worker)
        self._recorder.epoch = progress.epoch
        iterable = given["dataset_kind"] != 0
        self._facts = SampleFacts(share.directory, worker, given["dataset"], iterable=iterable)
        self._fetch = FetchWatch(self._recorder, row, self._facts, own_copy=True)
        self._sender = SendWatch(share, worker, row)
        self._meter = ProcessMeter()
        self._faults = PageFaults(share.directory, worker)
        self._stacks: StackSampler | None = None
        self._started_ns = self._idle_ns = now()
        self._is_starting, self._is_idle = True, False
        given["index_queue"] = _TaskQueue(given["index_queue"], self)
        given["data_queue"] = self._results = ResultQueue(given["data_queue"], self._sender, row)
        self._fetch.on_made = self._made
        self._watch_fetchers(loop)

    def _watch_fetchers(self, loop: Callable[..., None]) -> None:
        """Attach to each fetcher that torch's loop makes. This process is the worker's alone."""

        def watching(make: Callable[..., Any]) -> Callable[..., Any]:
            def create_fetcher(*arguments: Any, **keywords: Any) -> Any:
                try:
                    fetcher = make(*arguments, **keywords)
                except BaseException as error:
                    unseen(error)
                    raise
                if sys._getframe(1).f_code is loop.__code__:  # and not a loader within the user's dataset
                    self._fetch.attach(fetcher)
                return fetcher

            return create_fetcher

        torch_private.make_fetchers_with(watching)

    @quietly
    def waits(self) -> None:
        """The worker asks for its next task."""
        if self._is_idle:
            return
        recorder = self._recorder
        if self._is_starting:
            self._is_starting = False
            self._facts.states(recorder.epoch, "start")
            recorder.add_stage("start of the worker", self._started_ns)
        if self._stacks is None and recorder.detail is Detail.STAGE:
            self._stacks = StackSampler(self._share, self._worker, recorder)
        self._meter.look(recorder)
        self._faults.batch()
        self._is_idle, self._idle_ns = True, now()

    @quietly
    def took(self, task: Any) -> None:
        """It has one: a batch, or the beginning of an epoch, or the end."""
        self._is_idle = False
        number = task[0] if isinstance(task, tuple) else NO_BATCH
        if task is not None:
            self._recorder.add(Kind.WAIT_TASK, number, self._idle_ns)
        if number != NO_BATCH:
            self._fetch.number = number
        elif task is not None:
            self._recorder.epoch = self._progress.epoch

    def _made(self, nbytes: int) -> None:
        self._results.batch = (self._fetch.number, self._recorder.epoch, nbytes)

    def close(self) -> None:
        """The worker ends."""
        try:
            if self._stacks is not None:
                self._stacks.close()
            self._faults.tell()
            self._sender.close()
            self._recorder.close()
        except Exception:  # noqa: BLE001 - the worker ends as it would
            swallow("observing a worker")


class _TaskQueue:
    """The queue that tasks come from, in the place where torch's worker loop sees it."""

    def __init__(self, queue: Any, watch: WorkerWatch) -> None:
        self._queue = queue
        self._watch = watch

    def get(self, *arguments: Any, **keywords: Any) -> Any:
        """As the queue's own."""
        self._watch.waits()
        try:
            task = self._queue.get(*arguments, **keywords)
        except BaseException as error:
            unseen(error)
            raise
        self._watch.took(task)
        return task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
