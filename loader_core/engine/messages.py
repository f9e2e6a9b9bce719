"""The messages between a loader and its worker processes: a task one way, what was made of it the other."""

from __future__ import annotations

import io
import os
import pickle
import struct

import numpy as np

from loader_core.engine.task import Made, Outcome, Resume, Task

_MADE = struct.Struct("<HBBIIIIQ")
"""worker | outcome | plan | number | slot | samples | blob | used: 28 bytes, written at once (< PIPE_BUF)."""

MADE_BYTES = _MADE.size

_OUTCOMES = {int(outcome): outcome for outcome in Outcome}  # an enum's own call takes longer than all the rest here

_TASK = struct.Struct("<IBIII")
"""Bytes that follow | form | epoch | number | slot, and then the indices."""

_END, _RESUME, _PICKLED, _ARRAY = range(4)
"""Forms: no more tasks | a pickled Resume | a task with pickled indices | one with indices as int64."""


END = _TASK.pack(0, _END, 0, 0, 0)
"""Tells a worker that there are no more tasks."""


def pack_task(task: Task | Resume, *, batches: bool) -> bytes:
    """A task, to be written to a worker's inbox. `batches`: its indices are a batch's, and not one of any kind."""
    if isinstance(task, Resume):
        form, epoch, number, slot, body = _RESUME, 0, 0, 0, pickle.dumps(task, 5)
    elif batches and isinstance(task.indices, np.ndarray):
        form, epoch, number, slot, body = _ARRAY, task.epoch, task.number, task.slot, task.indices.tobytes()
    else:
        form, epoch, number, slot, body = _PICKLED, task.epoch, task.number, task.slot, pickle.dumps(task.indices, 5)
    return _TASK.pack(len(body), form, epoch, number, slot) + body


def write_all(descriptor: int, message: bytes) -> None:
    """Write `message` to a pipe, in parts where it has not room for all of it."""
    written = os.write(descriptor, message)
    while written < len(message):
        written += os.write(descriptor, message[written:])


def read_task(inbox: io.BufferedReader) -> Task | Resume | None:
    """The next task; None when there will be no more."""
    head = inbox.read(_TASK.size)
    if len(head) < _TASK.size:
        return None
    size, form, epoch, number, slot = _TASK.unpack(head)
    body = inbox.read(size)
    if form == _END or len(body) < size:
        return None
    if form == _RESUME:
        resume: Resume = pickle.loads(body)
        return resume
    return Task(epoch, number, slot, np.frombuffer(body, np.int64) if form == _ARRAY else pickle.loads(body))


def pack_made(made: Made) -> bytes:
    """What was made: MADE_BYTES."""
    return _MADE.pack(
        made.worker,
        made.outcome,
        made.plan,
        made.number,
        made.slot,
        made.samples,
        made.blob,
        made.used,
    )


def unpack_made(message: bytes) -> Made:
    """The inverse of `pack_made`."""
    worker, outcome, plan, number, slot, samples, blob, used = _MADE.unpack(message)
    return Made(worker, _OUTCOMES[outcome], number, slot, samples, plan, used, blob)
