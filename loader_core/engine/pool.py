"""The same worker in several places: the consumer's own thread, threads, processes.

A pool takes tasks and gives what was made of them, in the order in which it was finished. It knows nothing of order,
epochs' ends or samplers: that is the PrefetchWindow's and the loader's.
"""

from __future__ import annotations

import ctypes
import gc
import os
import queue
import select
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from loader_core.engine.collate import Plan
from loader_core.engine.identity import seed_process, seed_thread, with_own_datapipe
from loader_core.engine.limits import join_and_weigh
from loader_core.engine.messages import END, MADE_BYTES, pack_made, pack_task, read_task, unpack_made, write_all
from loader_core.engine.task import Job, Made, Outcome, Resume, Task
from loader_core.engine.transport import SharedFlag, Slots
from loader_core.engine.worker import Worker
from loader_core.trace import NULL_RECORDER, Recorder, RecordingShare, Role

JOIN_S = 5.0
"""How long a worker may take to finish its sample when the pool is closed, before it is ended by force. As torch's."""


class Pool(Protocol):
    """Where workers run. All methods are called from the consumer's thread."""

    def plans(self, worker: int) -> dict[int, Plan]:
        """The layouts that `worker` has told of."""

    def submit(self, worker: int, task: Task | Resume) -> None:
        """Give `worker` something to do. If it is gone, `receive` will tell."""

    def receive(self, timeout_s: float | None) -> Made | None:
        """The next thing that any worker finished; None if `timeout_s` (None: no limit) went by.

        A worker that is gone is told of once, as Outcome.DIED with its exit code in `exitcode`.
        """

    def restart(self, worker: int) -> None:
        """Put a new worker in the place of one that is gone. What it was given is not given again by itself."""

    def pids(self) -> list[int]:
        """The processes that the workers run in."""

    def workers(self) -> Sequence[BaseProcess | threading.Thread]:
        """The workers themselves, also when they have ended. None where the consumer's own thread does the work."""

    def close(self) -> None:
        """End the workers. Idempotent."""


def open_pool(
    job: Job,
    *,
    method: Literal["process", "thread"],
    slots: Slots,
    context: BaseContext,
    share: RecordingShare | None = None,
) -> Pool:
    """The pool for `job.num_workers` workers that are processes or threads; inline without workers."""
    if job.num_workers == 0:
        return InlinePool(job, slots=slots, share=share)
    if method == "thread":
        return ThreadPool(job, slots=slots, share=share)
    return ProcessPool(job, slots=slots, context=context, share=share)


def _recorder(share: RecordingShare | None, worker: int) -> Recorder:
    return NULL_RECORDER if share is None else share.recorder(Role.WORKER, worker)


class InlinePool:
    """No workers: a task is done when its batch is asked for, by the thread that asks."""

    def __init__(self, job: Job, *, slots: Slots, share: RecordingShare | None = None) -> None:
        self._record = _recorder(share, -1)
        self._tasks: deque[Task] = deque()
        self._worker = Worker(job, 0, slots=slots, recorder=self._record, same_process=True, where="")
        self._worker.start()

    def plans(self, worker: int) -> dict[int, Plan]:
        return self._worker.plans

    def submit(self, worker: int, task: Task | Resume) -> None:
        if isinstance(task, Resume):
            self._worker.resume(task)
        else:
            self._tasks.append(task)

    def receive(self, timeout_s: float | None) -> Made | None:
        return self._worker.make(self._tasks.popleft()) if self._tasks else None

    def restart(self, worker: int) -> None:
        raise AssertionError("what runs in the consumer's own thread cannot be gone")

    def pids(self) -> list[int]:
        return [os.getpid()]

    def workers(self) -> Sequence[BaseProcess | threading.Thread]:
        return []

    def close(self) -> None:
        self._tasks.clear()
        self._record.close()


class ThreadPool:
    """Workers that are threads of the consumer's process: nothing is copied, and the GIL is shared."""

    def __init__(self, job: Job, *, slots: Slots, share: RecordingShare | None = None) -> None:
        self._inboxes: list[queue.SimpleQueue[Task | Resume | None]] = []
        self._outbox: queue.SimpleQueue[Made] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []
        for number in range(job.num_workers):
            own, recorder = with_own_datapipe(job), _recorder(share, number)
            worker = Worker(
                own,
                number,
                slots=slots,
                recorder=recorder,
                same_process=True,
                where=f"in DataLoader worker thread {number}",
            )
            inbox: queue.SimpleQueue[Task | Resume | None] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(own, number, worker, inbox, recorder), name=f"loader-{number}", daemon=True
            )
            self._inboxes.append(inbox)
            self._workers.append(worker)
            self._threads.append(thread)
            thread.start()

    def plans(self, worker: int) -> dict[int, Plan]:
        return self._workers[worker].plans

    def submit(self, worker: int, task: Task | Resume) -> None:
        self._inboxes[worker].put(task)

    def receive(self, timeout_s: float | None) -> Made | None:
        try:
            return self._outbox.get(timeout=timeout_s) if timeout_s != 0 else self._outbox.get_nowait()
        except queue.Empty:
            return None

    def restart(self, worker: int) -> None:
        raise AssertionError("a thread does not die alone")

    def pids(self) -> list[int]:
        return [os.getpid()]

    def workers(self) -> Sequence[BaseProcess | threading.Thread]:
        return list(self._threads)

    def close(self) -> None:
        self._closing.set()
        for inbox in self._inboxes:
            inbox.put(None)
        deadline = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(
        self, job: Job, number: int, worker: Worker, inbox: queue.SimpleQueue[Task | Resume | None], record: Recorder
    ) -> None:
        seed_thread(job, number)
        worker.start()
        worker.serve(lambda: None if self._closing.is_set() else inbox.get(), self._outbox.put)
        record.close()


# --- processes --------------------------------------------------------------------------------------------------------

_pools: weakref.WeakSet[ProcessPool] = weakref.WeakSet()


class ProcessPool:
    """Workers that are processes. Tasks and answers travel in pipes, batches in shared slots; no helper threads.

    A worker's death is seen at once. When the consumer's process dies, its workers leave.
    """

    def __init__(self, job: Job, *, slots: Slots, context: BaseContext, share: RecordingShare | None = None) -> None:
        self._job, self._slots, self._context, self._share = job, slots, context, share
        self._workers: list[_Process] = []
        self._outboxes: dict[int, int] = {}
        self._deaths: dict[int, int] = {}
        self._gone: dict[int, Made] = {}
        self._plans: list[dict[int, Plan]] = [{} for _ in range(job.num_workers)]
        self._made: deque[Made] = deque()
        self._poll = select.poll()
        self._closing = SharedFlag()
        self._closed = False
        self._owner = os.getpid()
        _pools.add(self)
        try:
            for number in range(job.num_workers):
                self._workers.append(self._started(number))
        except BaseException:
            self.close()
            raise

    def _started(self, number: int) -> _Process:
        inbox, to_worker = self._context.Pipe(duplex=False)
        from_worker, outbox = self._context.Pipe(duplex=False)
        worker = self._context.Process(  # type: ignore[attr-defined]  # every concrete context has it
            target=_work,
            args=(self._job, number, inbox, outbox, self._closing, self._slots, self._share),
            name=f"loader-{number}",
            daemon=True,
        )
        try:
            worker.start()
        except BaseException:
            to_worker.close()
            from_worker.close()
            raise
        finally:
            # The worker's ends live in the worker alone, so that its death closes them.
            inbox.close()
            outbox.close()
        started = _Process(worker, _taken_from(to_worker), _taken_from(from_worker), _end_of(worker))
        self._outboxes[started.outbox] = number
        self._deaths[started.end_seen] = number
        self._poll.register(started.outbox, select.POLLIN)
        self._poll.register(started.end_seen, select.POLLIN)
        return started

    def restart(self, worker: int) -> None:
        dead = self._workers[worker]
        self._forget(self._outboxes, dead.outbox)
        dead.close_ends()
        self._plans[worker] = {}
        del self._gone[worker]
        self._workers[worker] = self._started(worker)

    def _forget(self, register: dict[int, int], descriptor: int) -> None:
        if register.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def plans(self, worker: int) -> dict[int, Plan]:
        return self._plans[worker]

    def submit(self, worker: int, task: Task | Resume) -> None:
        with suppress(BrokenPipeError):  # the worker is gone, and `receive` tells how
            write_all(self._workers[worker].inbox, pack_task(task, batches=self._job.auto_collation))

    def receive(self, timeout_s: float | None) -> Made | None:
        while not self._made and self._read(timeout_s):
            pass  # a pipe has ended, and its worker is about to
        return self._made.popleft() if self._made else None

    def _read(self, timeout_s: float | None) -> bool:
        """Note what has happened. False if nothing did within `timeout_s`."""
        if self._gone:
            timeout_s = 0  # who waits for the dead is told again
        events = [descriptor for descriptor, _ in self._poll.poll(None if timeout_s is None else timeout_s * 1000)]
        for descriptor in events:
            if descriptor in self._outboxes:
                self._read_outbox(descriptor)
        if self._made:
            return True  # what the dead have finished comes before their death
        for descriptor in events:
            if descriptor in self._deaths:
                worker = self._deaths[descriptor]
                self._forget(self._deaths, descriptor)
                dead = self._workers[worker].process
                held_bytes = join_and_weigh(dead)
                self._gone[worker] = Made(worker, Outcome.DIED, content=held_bytes, exitcode=dead.exitcode or 0)
        self._made.extend(self._gone.values())
        return bool(events)

    def _read_outbox(self, descriptor: int) -> None:
        messages = os.read(descriptor, MADE_BYTES * 64)
        if not messages:
            self._forget(self._outboxes, descriptor)
        for offset in range(0, len(messages), MADE_BYTES):
            self._made.append(unpack_made(messages[offset : offset + MADE_BYTES]))

    def pids(self) -> list[int]:
        return [worker.process.pid or 0 for worker in self._workers]

    def workers(self) -> Sequence[BaseProcess | threading.Thread]:
        return [worker.process for worker in self._workers]

    def close(self) -> None:
        if self._closed or os.getpid() != self._owner:
            return  # a process forked from ours has a copy of this pool: the workers are not its own
        self._closed = True
        self._closing.set()
        for worker in self._workers:
            worker.dismiss()
        deadline = time.monotonic() + JOIN_S
        for worker in self._workers:
            worker.end(deadline)
        self._closing.close()

    def close_ends(self) -> None:
        """Close this process's ends of the pipes: a worker forked later must not keep those of earlier ones open."""
        for worker in self._workers:
            worker.close_ends()


@dataclass(slots=True)
class _Process:
    """A worker process, and the consumer's ends of the pipes to and from it.

    They are bare descriptors: of a reference cycle the garbage collector may end a Connection before us, and its number
    is somebody else's by the time that we close it.
    """

    process: BaseProcess
    inbox: int
    outbox: int
    end_seen: int
    """Ready when the process has ended."""
    closed: bool = False

    def dismiss(self) -> None:
        # Not the end of the pipe but a word ends a worker: other processes may hold copies of our end. One whose pipe
        # is full has tasks to read, and sees the pool's flag after the next.
        os.set_blocking(self.inbox, False)
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self.inbox, END)
        self.close_ends()

    def end(self, deadline: float) -> None:
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        # Not closed, as in torch: whoever holds it may still ask how it ended. Its descriptor goes with the object.

    def close_ends(self) -> None:
        if not self.closed:
            self.closed = True
            for descriptor in (self.inbox, self.outbox, self.end_seen):
                os.close(descriptor)


def _taken_from(end: connection.Connection) -> int:
    descriptor = os.dup(end.fileno())
    end.close()
    return descriptor


def _end_of(process: BaseProcess) -> int:
    """Becomes ready when `process` has ended. Its own sentinel does not if a process that it has forked lives on."""
    try:
        return os.pidfd_open(process.pid or 0)
    except (AttributeError, OSError):  # another system, or one that forbids it
        return os.dup(process.sentinel)


# --- inside a worker process ------------------------------------------------------------------------------------------


def _work(
    job: Job,
    number: int,
    inbox: connection.Connection,
    outbox: connection.Connection,
    closing: SharedFlag,
    slots: Slots,
    share: RecordingShare | None,
) -> None:
    """The main function of worker process `number`."""
    for pool in list(_pools):
        pool.close_ends()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the consumer's; it closes the pipe
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    job = seed_process(job, number)
    record = _recorder(share, number)
    worker = Worker(
        job, number, slots=slots, recorder=record, same_process=False, where=f"in DataLoader worker process {number}"
    )
    worker.start()
    _give_way_to_the_consumer()
    _keep_freed_memory()
    gc.freeze()  # what came with the fork is never garbage here; looking at it would copy its pages
    with (
        suppress(BrokenPipeError),  # the consumer is gone, or has no more use for us
        open(inbox.fileno(), "rb", closefd=False) as tasks,
    ):
        worker.serve(
            lambda: None if closing.is_set() else read_task(tasks),
            lambda made: os.write(outbox.fileno(), pack_made(made)),
        )
    record.close()


def _give_way_to_the_consumer() -> None:
    """Let a worker that wakes up not take the core from whoever runs there: on Linux, as a batch process.

    A task wakes its worker, often on the very core of the consumer that has just sent it, who then waited for a time
    slice: 1.7 ms where a hundredth of the waits were longest, and 0.4 ms so. It has the same share of the cores.
    """
    with suppress(AttributeError, OSError):  # another system, or one that forbids it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 << 20


def _keep_freed_memory() -> None:
    """Let malloc keep what a batch's samples give back, up to _KEPT_BYTES.

    By default glibc returns freed arrays of some hundred kB to the system, and each image is written into pages that
    the system must clear first: 115 page faults for one of 224x224 float32, a seventh to a third of its CPU time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # as much as it allows
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _leave_with_parent() -> None:
    # The pipe alone does not tell: workers forked later hold a copy of the consumer's end.
    # Nor does its sentinel, where it has other children: they hold a copy of that. Linux tells of the process itself.
    parent = parent_process()
    if parent is None:
        return
    signs: list[int] = [parent.sentinel]
    with suppress(AttributeError, OSError):  # another system, or one that forbids it
        signs.append(os.pidfd_open(parent.pid or 0))
    connection.wait(signs)
    os._exit(1)
