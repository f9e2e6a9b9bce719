"""Facts: what an observer found out about a loader that is no span of time, one JSON object per line.

Each fact has a `kind`, and the fields that the table below gives it; a reader takes what it knows and passes over the
rest, so that recordings of other versions stay readable. The file is bounded: of a run that finds out more, the first
`MAX_FACTS_BYTES` are kept (the first epochs tell what the later ones would).

| kind | when | fields |
|---|---|---|
| dataset | once | length, type, iterable, sampler (a class's name), batch_size, drop_last, num_workers, world_size, |
| | | shuffle, replacement, weighted, has_set_epoch |
| limits | once | files (descriptors of a process), memory_bytes (of the control group, or the host), |
| | | shm_bytes (shared memory) |
| epoch | as an epoch ends | epoch, drawn, distinct, first (8 indices), digest (of all, in order), complete |
| set_epoch | when it is called | epoch |
| worker_seed | by worker and epoch | worker, epoch, when ("start", "first_batch"), digests of the states of random |
| | | streams: python, numpy, torch, own (generators that the dataset holds) |
| stream | by worker and epoch | worker, epoch, first (digests of its first 8 samples), of an iterable dataset |
| tensors | by worker | worker, count, bytes (of a batch) |
| page_faults | now and then, by worker | worker, batches, faults (minor), cpu_ns, system_ns (of that, the kernel's), |
| | | all since its first batch |
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

FILENAME = "facts"

MAX_FACTS_BYTES = 1 << 20
"""The file's size at most."""

Fact = dict[str, Any]
"""One fact: `kind`, and what belongs to it."""


def append_fact(directory: Path, fact: Fact) -> bool:
    """Add a fact to the run in `directory`; False if it was not kept: the file is full, or the disk.

    One write of one line, so any process and thread of the run may add some at any time. Raises nothing for the sake of
    the training; a fact that JSON cannot hold is a TypeError all the same.
    """
    line = json.dumps(fact, separators=(",", ":")).encode() + b"\n"
    with suppress(OSError):
        handle = os.open(directory / FILENAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(handle).st_size + len(line) <= MAX_FACTS_BYTES:
                return os.write(handle, line) == len(line)
        finally:
            os.close(handle)
    return False


def read_facts(directory: Path) -> list[Fact]:
    """All facts of the run in `directory`, in the order in which they were added. A damaged line is passed over."""
    try:
        lines = (directory / FILENAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    facts = []
    for line in lines:
        with suppress(ValueError):
            fact = json.loads(line)
            if isinstance(fact, dict) and isinstance(fact.get("kind"), str):
                facts.append(fact)
    return facts
