"""Private names of torch's DataLoader: the one place where they are known.

Each measurement needs some of them. With a torch that lacks one, training goes on as ever: that measurement is absent,
and the run says which and why (`absent` in run.json).
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import FunctionType
from typing import Any

import torch
import torch.utils.data.dataloader as home
from torch.utils.data import DataLoader, _utils


@dataclass(frozen=True, slots=True)
class Names:
    """What torch calls what we need, by what it is to us. As in torch 2.6 to 2.13."""

    single: str = "_SingleProcessDataLoaderIter"
    multi: str = "_MultiProcessingDataLoaderIter"
    make_iterator: str = "_get_iterator"
    next_batch: str = "_next_data"
    next_index: str = "_next_index"
    put_index: str = "_try_put_index"
    get_batch: str = "_try_get_data"
    reset: str = "_reset"
    next_to_send: str = "_send_idx"
    next_to_hand_over: str = "_rcvd_idx"
    tasks: str = "_task_info"
    outstanding: str = "_tasks_outstanding"
    workers: str = "_workers"
    result_queue: str = "_worker_result_queue"
    receive_bytes: str = "_recv_bytes"
    ready_queue: str = "_data_queue"
    fetcher: str = "_dataset_fetcher"
    worker_loop: str = "_worker_loop"
    pin_loop: str = "_pin_memory_loop"
    fetchers: str = "_DatasetKind"
    make_fetcher: str = "create_fetcher"


NAMES = Names()

NEEDS: dict[str, tuple[str, ...]] = {
    "WAIT_BATCH": ("single", "multi", "make_iterator", "next_batch", "reset"),
    "DRAW": ("next_index", "next_to_send"),
    "DISPATCH": ("put_index", "next_to_send", "tasks", "outstanding"),
    "RECEIVE": ("get_batch", "result_queue"),
    "HOLD": ("get_batch", "next_to_hand_over"),
    "FETCH": ("worker_loop", "fetchers", "make_fetcher", "fetcher"),
    "PIN": ("pin_loop", "result_queue"),
    "DIED": ("workers",),
}
"""The names that a measurement cannot do without, by the first of its kinds."""

_NO_BATCHES = ("torch._utils", "torch.utils.data._utils.worker")
"""Modules of what workers send beside batches: ExceptionWrapper, and marks of the end of a stream or an epoch."""

WORKER_ARGUMENTS = ("dataset_kind", "dataset", "index_queue", "data_queue", "worker_id")
"""Parameters of torch's worker loop that are needed."""


def absent() -> dict[str, str]:
    """The measurements that this torch does not allow, each with the reason."""
    missing = {field.name for field in fields(Names) if not _is_there(field.name)}
    return {
        kind: f"torch {torch.__version__} has no {', '.join(getattr(NAMES, name) for name in lacking)} as we know it"
        for kind, needed in NEEDS.items()
        if (lacking := [name for name in needed if name in missing])
    }


def _is_there(field: str) -> bool:
    name = getattr(NAMES, field)
    if field in ("single", "multi", "fetchers"):
        return inspect.isclass(getattr(home, name, None))
    if field == "make_iterator":
        return isinstance(getattr(DataLoader, name, None), FunctionType)
    if field == "make_fetcher":
        return callable(getattr(getattr(home, NAMES.fetchers, None), name, None))
    if field == "worker_loop":
        loop = getattr(_utils.worker, name, None)
        return loop is not None and set(WORKER_ARGUMENTS) <= set(inspect.signature(loop).parameters)
    if field == "pin_loop":
        return callable(getattr(_utils.pin_memory, name, None))
    if field == "receive_bytes":
        return True  # of multiprocessing's queue: looked for where it is used
    classes = [getattr(home, NAMES.single, None), getattr(home, NAMES.multi, None)]
    return any(_uses(cls, name) for cls in classes if inspect.isclass(cls))


def _uses(cls: type, name: str) -> bool:
    """Whether a class has a method of that name, or its methods have to do with such an attribute."""
    functions = [part for kind in cls.__mro__ for part in vars(kind).values() if isinstance(part, FunctionType)]
    return hasattr(cls, name) or any(name in function.__code__.co_names for function in functions)


def attribute(iterator: Any, field: str, default: Any = None) -> Any:
    """An attribute of torch's iterator, by what it is to us (a field of Names); `default` where it has none."""
    return getattr(iterator, getattr(NAMES, field), default)


def makes_torchs_iterators(loader: DataLoader[Any]) -> bool:
    """Whether a loader gets its iterators from torch. Subclasses may make their own, of which we know nothing."""
    return "WAIT_BATCH" not in absent() and getattr(type(loader), NAMES.make_iterator) is getattr(
        DataLoader, NAMES.make_iterator
    )


def iterator_classes() -> tuple[type, type]:
    """torch's iterators: without workers, and with."""
    return getattr(home, NAMES.single), getattr(home, NAMES.multi)


def worker_loop() -> Callable[..., None]:
    """What torch's workers run."""
    loop: Callable[..., None] = getattr(_utils.worker, NAMES.worker_loop)
    return loop


def pin_loop() -> Callable[..., None]:
    """What torch's pin thread runs."""
    loop: Callable[..., None] = getattr(_utils.pin_memory, NAMES.pin_loop)
    return loop


def is_batch(item: Any) -> bool:
    """Whether what came from a worker is a batch, and neither an exception nor the end of its share."""
    return type(item).__module__ not in _NO_BATCHES


def make_fetchers_with(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Let torch make fetchers by what `wrap` makes of its own function. In a worker process, which is ours alone."""
    kinds = getattr(home, NAMES.fetchers)
    setattr(kinds, NAMES.make_fetcher, staticmethod(wrap(getattr(kinds, NAMES.make_fetcher))))


_starting = threading.RLock()


def _new_lock() -> None:
    """In a forked child: another thread may have held it."""
    global _starting
    _starting = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_new_lock)


@contextmanager
def in_place_of_loops(worker: Callable[..., None] | None, pin: Callable[..., None] | None) -> Iterator[None]:
    """What torch's workers and pin thread shall run, while an iterator starts them, in the place of its loops."""
    with _starting:
        homes = [(_utils.worker, NAMES.worker_loop, worker), (_utils.pin_memory, NAMES.pin_loop, pin)]
        before = [(module, name, getattr(module, name)) for module, name, loop in homes if loop is not None]
        try:
            for module, name, loop in homes:
                if loop is not None:
                    setattr(module, name, loop)
            yield
        finally:
            for module, name, loop in before:
                setattr(module, name, loop)
