"""Copies to the device within a training step, on the device's own clock.

Who knows where the loop moves a batch (a framework's hook, or `transfer()` in a loop written by hand) says so. Where
there is an accelerator, events are then recorded on its current stream, before and after: COPY goes from the one to the
other, however far the host is ahead. Nothing is waited for; a copy is recorded by a later call that finds it done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from loader_core.start import swallow
from loader_core.trace import Kind, Recorder, Recording, Role, now

MAX_PENDING = 256
"""Copies that are not known to be done yet; of more, the oldest are not recorded."""

ANCHOR_EVERY_NS = 30_000_000_000
"""How often the device's clock is tied to the host's anew, since they drift apart."""


class TimedEvent(Protocol):
    """A moment on a device's clock, as torch.Event has it."""

    def record(self) -> None:
        """It is when the device comes to this point of its current stream."""

    def query(self) -> bool:
        """Whether that has been."""

    def elapsed_time(self, later: Any) -> float:
        """Milliseconds from this one to a later one; both have been."""


class Clock(Protocol):
    """A device's clock."""

    def event(self) -> TimedEvent:
        """A moment that is to come."""

    def anchor(self) -> tuple[TimedEvent, int]:
        """A moment that has been, and the same moment in nanoseconds of the host's `now()`."""


class DeviceClock:
    """The clock of the accelerator in use."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def event(self) -> TimedEvent:
        """On the current stream."""
        return torch.Event(self._device, enable_timing=True)

    def anchor(self) -> tuple[TimedEvent, int]:
        """On a stream that has nothing to do, so that waiting for it waits for no work of the training's."""
        stream = torch.Stream(self._device)
        event = torch.Event(self._device, enable_timing=True)
        event.record(stream)
        event.synchronize()
        return event, now()


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the training loop got last, in this thread."""

    run: Recording
    epoch: int
    number: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Copy:
    delivered: Delivered
    before: TimedEvent
    after: TimedEvent


class Copies:
    """The copies of one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: deque[_Copy] = deque(maxlen=MAX_PENDING)
        self._begun: TimedEvent | None = None
        self._anchor: TimedEvent | None = None
        self._anchor_ns = 0

    def begin(self) -> None:
        """A copy is about to be queued."""
        self.reap()
        if self._anchor is None or (not self._pending and now() - self._anchor_ns > ANCHOR_EVERY_NS):
            self._anchor, self._anchor_ns = self._clock.anchor()
        self._begun = self._clock.event()
        self._begun.record()

    def end(self, delivered: Delivered | None) -> None:
        """It is queued."""
        before, self._begun = self._begun, None
        if before is None or delivered is None:
            return
        after = self._clock.event()
        after.record()
        self._pending.append(_Copy(delivered, before, after))

    def reap(self) -> None:
        """Record the copies that are done."""
        while self._pending and self._anchor is not None and self._pending[0].after.query():
            copy = self._pending.popleft()
            start = self._anchor_ns + round(self._anchor.elapsed_time(copy.before) * 1e6)
            end = start + round(copy.before.elapsed_time(copy.after) * 1e6)
            recorder: Recorder = copy.delivered.run.own_recorder(Role.DEVICE)
            recorder.epoch = copy.delivered.epoch
            recorder.add(Kind.COPY, copy.delivered.number, start, end, value=copy.delivered.nbytes)


class _Here(threading.local):
    delivered: Delivered | None = None
    copies: Copies | None = None
    broken = False


_here = _Here()


def delivered(what: Delivered | None) -> None:
    """The calling thread's training loop has got this batch; None: its epoch is over. Records copies that are done."""
    _here.delivered = what
    if _here.copies is not None:
        _quietly(_here.copies.reap)


def begin() -> None:
    """The batch is about to be copied. Nothing without an accelerator that is in use already."""
    if _here.delivered is None or _here.broken or not _is_in_use():
        return
    if _here.copies is None:
        _here.copies = Copies(DeviceClock(torch.device("cuda", torch.cuda.current_device())))
    _quietly(_here.copies.begin)


def end() -> None:
    """Its copies are queued."""
    copies = _here.copies
    if copies is not None:
        _quietly(lambda: copies.end(_here.delivered))


def _is_in_use() -> bool:
    """Whether there is a device that the script uses already (we shall not be the first), and whose work goes on as it
    is queued: while a CUDA graph is captured, no event may be timed.
    """
    cuda = torch.cuda
    return cuda.is_available() and cuda.is_initialized() and not cuda.is_current_stream_capturing()


def _quietly(do: Callable[[], None]) -> None:
    try:
        do()
    except Exception:  # noqa: BLE001 - the copy itself is the training's, and has gone well
        _here.copies, _here.broken = None, True
        swallow("timing a copy to the device")
