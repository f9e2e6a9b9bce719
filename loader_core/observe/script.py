"""Zero code: every torch DataLoader that a script makes is observed, each in a run of its own.

`loader_core.start` calls `loader_made` when the script, or a library on its behalf, has made a loader. At its first
iteration the loader is given a run: the one of the line that made it, so that a loader made anew in each epoch goes on
where the last one ended; two of one line that load different data, or are iterated at once, are two runs. Runs of one
command share a `group`.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from dataclasses import dataclass, field
from multiprocessing import parent_process
from typing import Any

from torch.utils.data import DataLoader, get_worker_info

from loader_core import start
from loader_core.observe import override, step
from loader_core.observe.site import Site, site_of_caller
from loader_core.observe.torch_loader import watch
from loader_core.observe.walk import is_walked
from loader_core.trace import DEFAULT_BUDGET_BYTES, Detail, Recording
from loader_core.trace.home import new_run_directory, runs_home

MAX_RUNS = 64
"""Runs that one process makes. Loaders that would need one more are not observed."""

DEFAULT_DETAIL = Detail.STAGE
_BUDGET_VARIABLE = "LOADERSCOPE_RUN_BUDGET_BYTES"
_PLAIN = (
    "batch_size",
    "num_workers",
    "prefetch_factor",
    "persistent_workers",
    "pin_memory",
    "drop_last",
    "timeout",
    "in_order",
)
"""Arguments of a loader whose values are plain."""
_NAMED = ("dataset", "sampler", "batch_sampler", "collate_fn", "worker_init_fn", "generator", "multiprocessing_context")
"""Arguments that are named by their class or function."""


@dataclass(slots=True)
class _Slot:
    """A run, and the loader that it belongs to just now."""

    recording: Recording
    loader: weakref.ref[Any]


@dataclass
class _Script:
    """The loaders of this process. Loaders may be made and iterated in any thread."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sites: weakref.WeakKeyDictionary[Any, Site] = field(default_factory=weakref.WeakKeyDictionary)
    slots: dict[Site, list[_Slot]] = field(default_factory=dict)
    pid: int = field(default_factory=os.getpid)


_script = _Script()


def _forget() -> None:
    """In a forked child: the runs are the parent's, and its lock may have been held."""
    global _script
    _script = _Script()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)


def loader_made(loader: DataLoader[Any]) -> None:
    """Observe this loader from its first iteration on. Called at the end of its `__init__`, or when it is reset."""
    if loader not in _script.sites and get_worker_info() is None and watch(loader, run_of):
        note(loader)


def note(loader: Any) -> None:
    """Remember where the user has made this loader, or has asked to observe it. The first place counts."""
    if loader not in _script.sites:
        site = site_of_caller()
        with _script.lock:
            known = None if site.direct else _original(loader)
            _script.sites[loader] = known or site
        override.apply(loader, (known or site).place)


def _original(loader: DataLoader[Any]) -> Site | None:
    """Where the user made the loader that a library has now made again with the same dataset."""
    for other, site in _script.sites.items():
        if site.direct and getattr(other, "dataset", other) is getattr(loader, "dataset", loader):
            return site
    return None


def finish() -> None:
    """The script is over: say in each run how it ended. Called last of all at the interpreter's exit."""
    script = _script
    if script.pid != os.getpid():
        return
    error = sys.exc_info()[1] or getattr(sys, "last_value", None)
    with script.lock:
        slots = [slot for slots in script.slots.values() for slot in slots]
        script.slots.clear()
    for slot in slots:
        slot.recording.__exit__(type(error) if error else None, error, None)


# --- the run of a loader ----------------------------------------------------------------------------------------------


def run_of(loader: Any) -> Recording | None:
    """The run that this loader's next iteration belongs to; None where there is none to be had, which is said once."""
    script = _script
    site = script.sites[loader]
    with script.lock:
        slots = script.slots.setdefault(site, [])
        for slot in slots:
            if _goes_on(slot, loader):
                slot.loader = weakref.ref(loader)
                return slot.recording
        if sum(map(len, script.slots.values())) >= MAX_RUNS:
            return None
        recording = _new_recording(loader, site, len(slots) + 1)
        if not any(script.slots.values()) and parent_process() is not None:
            _finish_before_os_exit()
        slots.append(_Slot(recording, weakref.ref(loader)))
        step.watch()
        return recording


def _goes_on(slot: _Slot, loader: Any) -> bool:
    """Whether this loader takes the place of the one that the run belonged to: it is the same one, or that is gone, or
    it was made in the same way for the same dataset and nobody iterates over it just now.
    """
    other = slot.loader()
    if other is None or other is loader:
        return True
    dataset = getattr(loader, "dataset", None)
    same = dataset is not None and getattr(other, "dataset", None) is dataset
    return same and _arguments(other) == _arguments(loader) and not is_walked(slot.recording)


def _new_recording(loader: Any, site: Site, number: int) -> Recording:
    """Raises OSError, RecordingError."""
    rank, ranks = _rank()
    name = " ".join(
        filter(
            None,
            [
                os.environ.get(start.NAME, ""),
                str(site),
                f"({number})" if number > 1 else "",
                f"rank {rank}" if ranks > 1 else "",
            ],
        )
    )
    directory = new_run_directory(runs_home())
    recording = Recording.create(
        directory,
        run_id=directory.name,
        name=name,
        rank=rank,
        budget_bytes=_budget_bytes(),
        script={
            "group": os.environ.get(start.GROUP, ""),
            "argv": sys.argv if parent_process() is not None else sys.orig_argv[1:],
            "cwd": os.getcwd(),  # noqa: PTH109 - a string is wanted
            "site": site.place,
            "file": site.file,
            "line": site.line,
            "what": site.what,
            "loader": _in_words(loader),
            "rank": rank,
            "ranks": ranks,
        },
        loader=_arguments(loader),
    )
    recording.control.detail = _detail()
    return recording


def _finish_before_os_exit() -> None:
    """Children of multiprocessing leave by `os._exit`, but call its finalizers: the last says how they ended."""
    from multiprocessing.util import Finalize

    Finalize(None, finish, exitpriority=-100)


def _rank() -> tuple[int, int]:
    """This process's rank, and how many there are: as torch.distributed knows it, or as its launcher said."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        return 0, 1


def _detail() -> Detail:
    try:
        return Detail[os.environ.get(start.DETAIL, "").upper()]
    except KeyError:
        return DEFAULT_DETAIL


def _budget_bytes() -> int:
    given = os.environ.get(_BUDGET_VARIABLE, "")
    return int(given) if given.isdecimal() else DEFAULT_BUDGET_BYTES


def _arguments(loader: Any) -> dict[str, Any]:
    """How the loader was made, as plain values."""
    plain = {name: value for name in _PLAIN if (value := getattr(loader, name, None)) is not None}
    named = {name: _name(value) for name in _NAMED if (value := getattr(loader, name, None)) is not None}
    return {**plain, **named}


def _name(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return str(name)


def _in_words(loader: Any) -> str:
    parts = [_name(getattr(loader, "dataset", loader))]
    parts += [
        f"{name}={value}"
        for name in ("batch_size", "num_workers")
        if isinstance(value := getattr(loader, name, None), int)
    ]
    return ", ".join(parts)
