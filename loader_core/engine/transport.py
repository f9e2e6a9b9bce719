"""Worker -> consumer: memory for a batch, reused for ever, lent without a copy.

`Slots` holds the memory. A worker writes a batch into the slot that came with its task; the consumer's tensors are
views of that slot, and the slot is free again when the last of them is gone. Nothing is allocated per batch and no
file descriptor travels.

A batch lies in a slot in one of two ways: by a `collate.Plan`, as bare fields, or *packed*: dense CPU tensors and
numpy buffers as bare bytes and the rest of the object around them as a pickle. Both end in views of the slot.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import pickle
import tempfile
import weakref
from collections import deque
from multiprocessing import reduction
from typing import Any

import numpy as np
import torch

from loader_core.engine.collate import Memory, Place, aligned, is_plain
from loader_core.engine.limits import available_bytes, check_descriptors, warn_of_memory
from loader_core.errors import SharedMemoryError
from loader_core.trace.segment import reserve

GRAIN_BYTES = 64 * 1024
"""Slots grow to multiples of this, and by at least a quarter, so that slowly growing batches seldom grow a slot."""

SPARE_SLOTS = 2
"""Slots that may be lent: the batch that the consumer works on, and the one that it is being handed."""


class Slots:
    """Memory for the batches under way and those in the consumer's hands.

    Shared slots are one anonymous file each, without a name that a crash could leave behind; a worker process gets
    them by inheritance or by pickling while it is started. Private slots serve threads and the inline loader. A slot
    has no size until a batch is written to it, and one that is too small is grown, never an error.

    The consumer's side (`take`, `lend`, `give_back`) belongs to one thread; leases may end in any.
    """

    def __init__(self, window: int, *, shared: bool, workers: int = 0, page_lock: bool = False) -> None:
        """Slots for `window` batches under way, beside those that are lent.

        With `page_lock` the memory is registered with CUDA once, so that copies to the device are asynchronous straight
        from the slot. Where the driver refuses, it stays pageable, and `Tensor.pin_memory` makes pinned copies.

        Raises SharedMemoryError if the process may not open the files that shared slots and `workers` need.
        """
        count = window + SPARE_SLOTS
        if shared:
            check_descriptors(slots=count, workers=workers)
        self.copies = 0
        self._files = [_anonymous_file() for _ in range(count)] if shared else []
        self._maps: list[Memory] = [np.empty(0, np.uint8)] * count
        self._free = deque(range(count))
        self._leases: dict[int, weakref.ref[Memory]] = {}
        self._closed = False
        self._measured = False
        self._page_lock = page_lock

    # --- the worker's side ---

    def memory(self, slot: int, nbytes: int) -> Memory:
        """`(>= nbytes,) uint8`: the memory of `slot`, grown if need be. What was in it may be lost.

        Raises SharedMemoryError if the host has not that much memory left for sharing.
        """
        memory = self._maps[slot]
        if len(memory) < nbytes:
            size = -(-max(nbytes, len(memory) * 5 // 4) // GRAIN_BYTES) * GRAIN_BYTES
            memory = self._maps[slot] = self._grown(slot, size) if self._files else np.empty(size, np.uint8)
            if self._page_lock and not self._files:
                lock_pages(memory)
        return memory

    def _grown(self, slot: int, size: int) -> Memory:
        descriptor = self._files[slot]
        if os.fstat(descriptor).st_size < size:
            _reserve(descriptor, size)
        return _map(descriptor)

    # --- the consumer's side ---

    @property
    def free(self) -> int:
        """Slots that `take` can give."""
        return len(self._free)

    def take(self) -> int:
        """A free slot for the next task. There always is one: see `lend`."""
        return self._free.popleft()

    def give_back(self, slot: int) -> None:
        """Free a slot that was never lent."""
        self._free.append(slot)

    def lend(self, slot: int, used: int) -> Memory:
        """The first `used` bytes of `slot`, for the consumer to view. The slot is free when nothing views them.

        A consumer that keeps more than SPARE_SLOTS batches is given a private copy instead (counted in `copies`), so
        that the loader always has slots to go on with and never overwrites what someone holds.
        """
        if len(self._leases) >= SPARE_SLOTS:
            self.copies += 1
            copy = np.array(self._view(slot, used))
            self._free.append(slot)
            return copy
        # Through a memoryview: numpy lets views of views keep the innermost *array* alive, and that must be this one.
        lease: Memory = np.frombuffer(self._view(slot, used).data, np.uint8)
        self._leases[slot] = weakref.ref(lease, lambda _: self._return(slot))
        return lease

    def close(self) -> None:
        """Let go of the files. Memory that is lent lives until its last view is gone."""
        if not self._closed:
            self._closed = True
            for descriptor in self._files:
                os.close(descriptor)
            self._maps = []
            self._free.clear()

    def _view(self, slot: int, used: int) -> Memory:
        if len(self._maps[slot]) < used:
            self._maps[slot] = _map(self._files[slot])
            if self._page_lock:
                lock_pages(self._maps[slot])
            if not self._measured:
                self._measured = True
                warn_of_memory(slots=len(self._maps), batch_bytes=used)
        return self._maps[slot][:used]

    def _return(self, slot: int) -> None:
        # Runs in whichever thread drops the last view: both calls are atomic.
        self._leases.pop(slot, None)
        self._free.append(slot)

    # --- to a worker process that does not inherit ---

    def __getstate__(self) -> dict[str, Any]:
        return {"files": [reduction.DupFd(file) for file in self._files]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.copies = 0
        self._files = [file.detach() for file in state["files"]]
        self._maps = [np.empty(0, np.uint8)] * len(self._files)
        self._free = deque()
        self._leases = {}
        self._closed = False
        self._page_lock = False


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("loaderscope", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _reserve(descriptor: int, size: int) -> None:
    try:
        reserve(descriptor, size)
    except OSError as error:
        raise SharedMemoryError(
            f"no room for a batch of {size / 2**20:.1f} MiB in shared memory ({error.strerror}{_free()}). "
            "Use a smaller batch_size, fewer workers or a smaller prefetch_factor."
        ) from error


def _free() -> str:
    free = available_bytes()
    return "" if free is None else f"; {free / 2**20:,.0f} MiB of memory are free"


def lock_pages(memory: Memory) -> None:
    """Register `memory` with CUDA for as long as it lives, if the driver lets us."""
    runtime = torch.cuda.cudart()
    address = memory.ctypes.data
    if int(runtime.cudaHostRegister(address, memory.nbytes, 0)) == 0:
        weakref.finalize(memory, runtime.cudaHostUnregister, address).atexit = False


def _map(descriptor: int) -> Memory:
    return np.frombuffer(mmap.mmap(descriptor, os.fstat(descriptor).st_size), np.uint8)


class SharedFlag:
    """One byte that workers see as soon as the consumer sets it. They get it as they get slots."""

    def __init__(self) -> None:
        self._file = _anonymous_file()
        os.ftruncate(self._file, 1)
        self._page = mmap.mmap(self._file, 1)

    def set(self) -> None:
        """Set it, for good."""
        self._page[0] = 1

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._page[0] != 0

    def close(self) -> None:
        """Let go of it. Idempotent."""
        if not self._page.closed:
            self._page.close()
            os.close(self._file)

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._file)

    def __setstate__(self, file: Any) -> None:
        self._file = file.detach()
        self._page = mmap.mmap(self._file, 1)


# --- packed batches ---------------------------------------------------------------------------------------------------


def pack(batch: Any, slots: Slots, slot: int) -> tuple[int, int]:
    """Write any picklable `batch` into `slot`. Returns its bytes in all, and those of the pickle at their end.

    Raises what pickling raises, and SharedMemoryError.
    """
    stream, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    # Not a method of the pickler as its callback: that cycle would keep the batch until the garbage collector came by.
    _Pickler(stream, 5, buffer_callback=buffers.append).dump(batch)
    end, extents = 0, []
    for buffer in buffers:
        start = aligned(end)
        end = start + buffer.raw().nbytes
        extents.append((start, end))
    blob = pickle.dumps((stream.getvalue(), extents), 5)
    memory = slots.memory(slot, end + len(blob))
    for (start, stop), buffer in zip(extents, buffers, strict=True):
        memory[start:stop] = np.frombuffer(buffer.raw(), np.uint8)
    memory[end : end + len(blob)] = np.frombuffer(blob, np.uint8)
    return end + len(blob), len(blob)


def unpack(memory: Memory, blob_bytes: int) -> Any:
    """The batch that `pack` wrote; its tensors and arrays are views of `memory`."""
    pickled, extents = pickle.loads(memory[len(memory) - blob_bytes :].data)
    return pickle.loads(pickled, buffers=[memory[start:end] for start, end in extents])


_DTYPES = [each for each in vars(torch).values() if isinstance(each, torch.dtype)]
"""Pickled as their places in this list: the same torch runs on both sides."""


def _dense(memory: Memory, dtype: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> torch.Tensor:
    """The tensor whose elements fill `memory`, by the strides of the one that was packed."""
    return Place(0, (), _DTYPES[dtype]).tensor(memory, math.prod(shape)).as_strided(shape, strides)


def _without_gaps(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` itself where its elements fill their memory in whatever order (channels_last, say); else a copy."""
    filled = 1
    for stride, side in sorted((stride, side) for stride, side in zip(tensor.stride(), tensor.shape, strict=True)):
        if side != 1 and stride != filled:
            return tensor.contiguous()
        filled *= side
    return tensor


def _sparse(indices: torch.Tensor, values: torch.Tensor, shape: torch.Size, coalesced: bool) -> torch.Tensor:
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=coalesced, check_invariants=False)


def _compressed(
    compressed: torch.Tensor, plain: torch.Tensor, values: torch.Tensor, shape: torch.Size, layout: torch.layout
) -> torch.Tensor:
    return torch.sparse_compressed_tensor(compressed, plain, values, shape, layout=layout, check_invariants=False)


class _Pickler(pickle.Pickler):
    """Leaves dense CPU tensors, as numpy does its arrays, out of the pickle: as buffers of bare bytes."""

    def reducer_override(self, part: Any) -> Any:
        if type(part) is not torch.Tensor or part.requires_grad:
            return NotImplemented
        if is_plain(part):
            dense = _without_gaps(part)
            flat = dense.as_strided((dense.numel(),), (1,))
            raw: Memory = flat.view(torch.uint8).numpy() if dense.numel() else np.empty(0, np.uint8)
            return _dense, (pickle.PickleBuffer(raw.data), _DTYPES.index(part.dtype), tuple(part.shape), dense.stride())
        # torch's own pickles of these are for torch.load: its global list would keep what is rebuilt from them.
        if part.layout is torch.sparse_coo:
            return _sparse, (part._indices(), part._values(), part.shape, part.is_coalesced())
        if part.layout in (torch.sparse_csr, torch.sparse_bsr):
            return _compressed, (part.crow_indices(), part.col_indices(), part.values(), part.shape, part.layout)
        if part.layout in (torch.sparse_csc, torch.sparse_bsc):
            return _compressed, (part.ccol_indices(), part.row_indices(), part.values(), part.shape, part.layout)
        return NotImplemented
