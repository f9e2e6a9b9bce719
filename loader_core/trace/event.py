"""The event: one fixed-size record of what happened to which batch, on which lane, from when to when.

This module is the only place, in any language, that says what a record looks like and what its kinds mean. The
browser receives the table in its first message, and an export carries it along.

A record is 40 little-endian bytes::

    start ns i64 | end ns i64 | value i64 | sample index i64 | batch u32 | epoch u16 | flags u8 | kind u8

`start` and `end` are `time.perf_counter_ns()` of the host, which all processes of one host share. A mark has
`start == end`. The kind is the publish mark: it is written last, and a record whose kind is 0 is not there yet.
`NOT_MEASURED` (-1) stands where a number could not be measured: 0 always means a measured zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Any

import numpy as np

SCHEMA_VERSION = 2

RECORD = struct.Struct("<qqqqIHBB")
"""The record as `struct` packs it, field by field in the order of the module's docstring."""

EVENT_DTYPE = np.dtype(
    [
        ("start", "<i8"),
        ("end", "<i8"),
        ("value", "<i8"),
        ("sample", "<i8"),
        ("batch", "<u4"),
        ("epoch", "<u2"),
        ("flags", "u1"),
        ("kind", "u1"),
    ]
)
"""The same record as numpy reads it: `(n,) EVENT_DTYPE`."""

NOT_MEASURED = -1
"""Stands in `value` for a number that was not measured, and in `sample` for an event that has no sample."""

NO_BATCH = 0xFFFF_FFFF
"""Stands in `batch` for an event that belongs to no batch."""


class Role(StrEnum):
    """Who did it: the lane that an event is drawn on."""

    MAIN = "main"
    WORKER = "worker"
    PIN = "pin"
    DEVICE = "device"
    CONSUMER = "consumer"
    ANY = "any"
    """The lane of whoever wrote the event (in the kind table only)."""


class Nature(StrEnum):
    """What time spent in an event means."""

    WORK = "work"
    WAIT = "wait"
    PART = "part"
    """A named part of a work span around it: counted there, never twice."""
    MARK = "mark"


class Flag(IntFlag):
    """What must be said beside an event's numbers."""

    NONE = 0
    INFERRED = 1
    """Deduced by an observer, not measured."""
    SIMULATED = 2
    """Done by a stand-in for hardware that this host does not have."""
    TRUNCATED = 4
    """The recording stopped here, the run did not."""


class Kind(IntEnum):
    """What happened. `KINDS` says what each one means.

    A number is never used again for another kind: 8 was WAIT_SLOT of schema 1, which nothing ever wrote.
    """

    DRAW = 1
    DISPATCH = 2
    WAIT_TASK = 3
    FETCH = 4
    COLLATE = 5
    ITEM = 6
    STAGE = 7
    SEND = 9
    RECEIVE = 10
    HOLD = 11
    PIN = 12
    COPY = 13
    WAIT_BATCH = 14
    STEP = 15
    PAUSE = 16
    PREVIEW = 17
    GAUGE = 18
    LOSS = 19
    CHANGE = 20
    START = 21
    STOP = 22
    ERROR = 23
    DIED = 24
    MEMORY = 25
    FILES = 26
    STACK = 27
    TENSORS = 28
    CPU = 29
    CORE_WAIT = 30


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One row of the kind table.

    `value` names what the record's `value` counts, with its unit ("" where it holds nothing); `paint` is the colour
    group in which every view draws the kind.
    """

    role: Role
    nature: Nature
    value: str
    paint: str
    meaning: str


KINDS: dict[Kind, KindSpec] = {
    Kind.DRAW: KindSpec(Role.MAIN, Nature.WORK, "indices", "main", "the sampler draws the indices of a batch"),
    Kind.DISPATCH: KindSpec(Role.MAIN, Nature.MARK, "batches in flight", "mark", "a batch is given to a worker"),
    Kind.WAIT_TASK: KindSpec(
        Role.WORKER, Nature.WAIT, "", "blocked", "a worker has nothing to do: the prefetch window is full"
    ),
    Kind.FETCH: KindSpec(Role.WORKER, Nature.WORK, "thread CPU ns", "read", "the samples of a batch are read"),
    Kind.COLLATE: KindSpec(Role.WORKER, Nature.WORK, "bytes", "collate", "samples become one batch"),
    Kind.ITEM: KindSpec(Role.WORKER, Nature.PART, "bytes", "read", "one sample is read, inside FETCH"),
    Kind.STAGE: KindSpec(
        Role.ANY,
        Nature.PART,
        "stage number",
        "stage",
        "a named part: of a sample (read, decode ...), or of a step (forward, backward ...)",
    ),
    Kind.SEND: KindSpec(Role.WORKER, Nature.WORK, "bytes", "transfer", "a finished batch is sent to the main process"),
    Kind.RECEIVE: KindSpec(
        Role.MAIN, Nature.WORK, "bytes", "transfer", "a batch is taken from the worker that made it"
    ),
    Kind.HOLD: KindSpec(
        Role.MAIN, Nature.PART, "", "blocked", "a batch is ready, but it is not its turn (in_order=True)"
    ),
    Kind.PIN: KindSpec(Role.PIN, Nature.WORK, "bytes", "transfer", "a batch is copied to page-locked memory"),
    Kind.COPY: KindSpec(Role.DEVICE, Nature.WORK, "bytes", "transfer", "a batch is copied to the device"),
    Kind.WAIT_BATCH: KindSpec(
        Role.CONSUMER, Nature.WAIT, "batches ready when asked", "waiting", "the training loop waits for its next batch"
    ),
    Kind.STEP: KindSpec(Role.CONSUMER, Nature.WORK, "samples", "step", "the training loop works, between two batches"),
    Kind.PAUSE: KindSpec(Role.CONSUMER, Nature.WAIT, "", "mark", "a viewer has paused the run"),
    Kind.PREVIEW: KindSpec(
        Role.CONSUMER, Nature.WORK, "bytes", "observer", "the recorder's own work: a picture of the batch for a viewer"
    ),
    Kind.GAUGE: KindSpec(Role.ANY, Nature.MARK, "depth", "mark", "the depth of a queue"),
    Kind.LOSS: KindSpec(Role.CONSUMER, Nature.MARK, "loss x 1e6", "mark", "the training loss after a step"),
    Kind.CHANGE: KindSpec(
        Role.CONSUMER, Nature.MARK, "change number", "mark", "a setting was changed while the run went on"
    ),
    Kind.START: KindSpec(Role.ANY, Nature.MARK, "process id", "mark", "the writer of this lane started"),
    Kind.STOP: KindSpec(Role.ANY, Nature.MARK, "exit code", "mark", "the writer of this lane ended as it should"),
    Kind.ERROR: KindSpec(Role.ANY, Nature.MARK, "", "error", "an exception"),
    Kind.DIED: KindSpec(Role.ANY, Nature.MARK, "exit code, negative for a signal", "error", "a worker died"),
    Kind.MEMORY: KindSpec(Role.ANY, Nature.MARK, "unique bytes (USS)", "mark", "memory that this process alone holds"),
    Kind.FILES: KindSpec(Role.ANY, Nature.MARK, "open file descriptors", "mark", "files and sockets held open"),
    Kind.STACK: KindSpec(
        Role.WORKER, Nature.MARK, "place number", "mark", "the line of code that a worker was seen at, by sampling"
    ),
    Kind.TENSORS: KindSpec(
        Role.WORKER,
        Nature.MARK,
        "tensors in a batch",
        "mark",
        "how many tensors a batch is made of: each is sent alone",
    ),
    Kind.CPU: KindSpec(
        Role.CONSUMER,
        Nature.MARK,
        "CPU ns",
        "mark",
        "CPU time of the training process, all its threads together, in the step before",
    ),
    Kind.CORE_WAIT: KindSpec(
        Role.WORKER,
        Nature.MARK,
        "ns without a core",
        "mark",
        "how long, in the fetch before, the worker could have run and no core was free",
    ),
}
"""The kind table: the one meaning of each kind."""


def kind_table() -> list[dict[str, Any]]:
    """The kind table as plain values, in the order of the kinds' numbers: for run.json, exports and the browser."""
    return [
        {
            "kind": int(kind),
            "name": kind.name,
            "role": spec.role.value,
            "nature": spec.nature.value,
            "value": spec.value,
            "paint": spec.paint,
            "meaning": spec.meaning,
        }
        for kind, spec in sorted(KINDS.items())
    ]
