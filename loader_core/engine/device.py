"""Batches on their way to the accelerator: asynchronous copies, at most COPIES_UNDER_WAY at a time.

A copy of the next batch goes on while you work on this one. The host's memory of a batch is lent until its copy is
done, not longer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from loader_core.errors import SettingsError
from loader_core.trace import NULL_RECORDER, Delivery, Flag, Kind, Recorder, Recording, Role, now

COPIES_UNDER_WAY = 2
"""Copies started and not yet handed over: the one that is handed over next, and the one behind it."""

_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Simulated:
    """A stand-in for an accelerator on a host that has none.

    It really copies the bytes, on a thread of its own, no faster than `gb_per_s` (10^9 bytes per second); its tensors
    stay in the host's memory. What it records is flagged SIMULATED.
    """

    gb_per_s: float = 12.0

    def __post_init__(self) -> None:
        if not self.gb_per_s > 0:
            raise SettingsError(f"gb_per_s must be more than 0, not {self.gb_per_s}")


class Copier(Protocol):
    """Something that copies batches to a device, in order. Used by the consumer's thread."""

    def start(self, delivery: Delivery) -> None:
        """Begin to copy a batch."""

    def finish(self) -> Delivery:
        """The oldest batch whose copy was begun, on the device."""

    @property
    def pending(self) -> int:
        """Copies begun and not finished."""

    def close(self) -> None:
        """Throw pending copies away. Idempotent."""


def open_copier(device: torch.device | str | Simulated | None, recording: Recording | None) -> Copier | None:
    """The copier for a loader's `device`; None if batches stay where they are. Raises SettingsError."""
    if device is None:
        return None
    if isinstance(device, Simulated) or device == "simulated":
        return SimulatedCopier(device if isinstance(device, Simulated) else Simulated(), recording)
    target = _target(device)
    if target.type == "cpu":
        return None
    recorder = NULL_RECORDER if recording is None else recording.recorder(Role.DEVICE)
    return StreamCopier(target, recorder) if target.type in ("cuda", "xpu") else BlockingCopier(target, recorder)


def _target(device: torch.device | str) -> torch.device:
    if device == "accelerator":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if found is None:
            raise SettingsError("this host has no accelerator that torch can use; try device='simulated'")
        return found
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise SettingsError(f"device {device!r} is unknown to torch: {error}") from None


def carry(take: Callable[[bool], Delivery | None], copier: Copier) -> Generator[Delivery, None, None]:
    """Batches on the device, in order. `take(wait)` gives the next batch on the host, or None if none is ready."""
    end: BaseException | None = None
    while True:
        while end is None and copier.pending < COPIES_UNDER_WAY:
            try:
                delivery = take(copier.pending == 0)
            except Exception as error:  # noqa: BLE001 - raised again, in its turn
                end = error  # what comes before it is handed over first
                break
            if delivery is None:
                break
            copier.start(delivery)
        if copier.pending:
            yield copier.finish()
        elif isinstance(end, StopIteration):
            return
        elif end is not None:
            raise end


# --- a stand-in -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Copy:
    delivery: Delivery
    done: threading.Event = field(default_factory=threading.Event)


class SimulatedCopier:
    """Copies on a thread of its own, at a chosen speed."""

    def __init__(self, device: Simulated, recording: Recording | None) -> None:
        self._bytes_per_s = device.gb_per_s * 1e9
        self._recording = recording
        self._queue: queue.SimpleQueue[_Copy | None] = queue.SimpleQueue()
        self._pending: deque[_Copy] = deque()
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        return len(self._pending)

    def start(self, delivery: Delivery) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="loader-device", daemon=True)
            self._thread.start()
        copy = _Copy(delivery)
        self._pending.append(copy)
        self._queue.put(copy)

    def finish(self) -> Delivery:
        copy = self._pending.popleft()
        copy.done.wait()
        return copy.delivery

    def close(self) -> None:
        self._pending.clear()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        record: Recorder = NULL_RECORDER if self._recording is None else self._recording.recorder(Role.DEVICE)
        while (copy := self._queue.get()) is not None:
            delivery = copy.delivery
            start = now()
            record.epoch = delivery.epoch
            moved = 0

            def paced(tensor: torch.Tensor, start: int = start) -> torch.Tensor:
                nonlocal moved
                arrived, moved = self._copied(tensor, start, moved)
                return arrived

            copy.delivery = replace(delivery, batch=tree_map_only(torch.Tensor, paced, delivery.batch))
            del delivery
            record.add(Kind.COPY, copy.delivery.number, start, value=moved, flags=Flag.SIMULATED)
            copy.done.set()
            del copy  # or the last batch would stay lent while the queue is empty
        record.close()

    def _copied(self, tensor: torch.Tensor, start: int, moved: int) -> tuple[torch.Tensor, int]:
        if tensor.layout is not torch.strided or not tensor.is_contiguous():
            copy = tensor.clone()
            moved += copy.numel() * copy.element_size()
            self._pace(start, moved)
            return copy, moved
        copy = torch.empty_like(tensor)
        source, target = tensor.view(-1), copy.view(-1)
        step = max(1, _CHUNK_BYTES // tensor.element_size())
        for at in range(0, len(source), step):
            target[at : at + step].copy_(source[at : at + step])
            moved += len(source[at : at + step]) * tensor.element_size()
            self._pace(start, moved)
        return copy, moved

    def _pace(self, start: int, moved: int) -> None:
        ahead = moved / self._bytes_per_s - (now() - start) / 1e9
        if ahead > 0:
            time.sleep(ahead)  # the bus is busy for that long


# --- accelerators -----------------------------------------------------------------------------------------------------


class BlockingCopier:
    """Copies when asked, for devices without streams of their own (MPS)."""

    def __init__(self, device: torch.device, recorder: Recorder) -> None:
        self._device = device
        self._record = recorder
        self._pending: deque[Delivery] = deque()

    @property
    def pending(self) -> int:
        return len(self._pending)

    def start(self, delivery: Delivery) -> None:
        begin = now()
        self._record.epoch = delivery.epoch
        batch = tree_map_only(torch.Tensor, lambda tensor: tensor.to(self._device), delivery.batch)
        self._record.add(Kind.COPY, delivery.number, begin, value=delivery.nbytes)
        self._pending.append(replace(delivery, batch=batch))

    def finish(self) -> Delivery:
        return self._pending.popleft()

    def close(self) -> None:
        self._pending.clear()
        self._record.close()


@dataclass(slots=True)
class _StreamCopy:
    source: Delivery
    batch: Any
    before: torch.Event
    after: torch.Event


class StreamCopier:
    """Copies on a side stream. The consumer's stream waits for the copy, the host does not.

    COPY events are on the device's clock, tied to the host's when the copier is opened. They are recorded, and the
    host's memory is given back, when a later call finds the copy done.
    """

    def __init__(self, device: torch.device, recorder: Recorder) -> None:
        self._device = device
        self._record = recorder
        self._stream = torch.Stream(device)
        self._pending: deque[_StreamCopy] = deque()
        self._copying: deque[_StreamCopy] = deque()
        self._anchor = torch.Event(device, enable_timing=True)
        self._anchor.record(self._stream)
        self._anchor.synchronize()
        self._anchor_ns = now()

    @property
    def pending(self) -> int:
        return len(self._pending)

    def start(self, delivery: Delivery) -> None:
        self._reap()
        before, after = (torch.Event(self._device, enable_timing=True) for _ in range(2))
        with self._stream:
            before.record(self._stream)
            batch = tree_map_only(torch.Tensor, self._sent, delivery.batch)
            after.record(self._stream)
        copy = _StreamCopy(delivery, batch, before, after)
        self._pending.append(copy)
        self._copying.append(copy)

    def _sent(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._device, non_blocking=True)

    def finish(self) -> Delivery:
        self._reap()
        copy = self._pending.popleft()
        current = torch.accelerator.current_stream(self._device)
        current.wait_event(copy.after)
        for leaf in tree_leaves(copy.batch):
            if isinstance(leaf, torch.Tensor) and leaf.device == self._device:
                leaf.record_stream(current)  # or its memory could be used again while the consumer still reads it
        delivery, copy.batch = replace(copy.source, batch=copy.batch), None
        return delivery

    def _reap(self) -> None:
        while self._copying and self._copying[0].after.query():
            copy = self._copying.popleft()
            start = self._anchor_ns + round(self._anchor.elapsed_time(copy.before) * 1e6)
            end = self._anchor_ns + round(self._anchor.elapsed_time(copy.after) * 1e6)
            self._record.epoch = copy.source.epoch
            self._record.add(Kind.COPY, copy.source.number, start, end, value=copy.source.nbytes)

    def close(self) -> None:
        self._pending.clear()
        self._stream.synchronize()
        self._reap()
        self._copying.clear()
        self._record.close()


def as_iterator(take: Callable[[bool], Delivery | None]) -> Iterator[Delivery]:
    """The batches of `take`, waiting for each, for a loader whose batches stay on the host."""
    while True:
        try:
            delivery = take(True)
        except StopIteration:
            return
        assert delivery is not None, "take(True) waits"
        yield delivery
