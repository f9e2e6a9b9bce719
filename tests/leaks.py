"""What a test leaves behind: processes, threads, file descriptors, shared memory and mapped run files.

`Snapshot.take()` before a test, `Snapshot.take().since(before)` after it. Things that the interpreter keeps once per
process (multiprocessing's resource tracker and fork server, and their pipes) are not leaks and are left out.
"""

from __future__ import annotations

import gc
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

SETTLE_S = 5.0
"""How long a test's last thread, process or lease may take to go once the test itself is over."""

KEPT_FILES = ("/dev/null", "/dev/urandom", "/dev/random", "/proc/", "/sys/", "anon_inode:[eventpoll]")
"""Beginnings of what libraries open once and keep."""

SHM = Path("/dev/shm")
BROWSER_DRIVER = "/playwright/driver/"


def _stays_for_ever() -> tuple[set[int], set[str]]:
    """The pids of multiprocessing's own servers, and what this process's pipes to them are called."""
    tracker = multiprocessing.resource_tracker._resource_tracker
    server = multiprocessing.forkserver._forkserver
    pids = {tracker._pid, server._forkserver_pid, getattr(server, "_resource_tracker_pid", None)}
    descriptors = {tracker._fd, server._forkserver_alive_fd}
    return {pid for pid in pids if pid}, {_target(fd) for fd in descriptors if fd is not None}


def _target(fd: int | str) -> str:
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return ""


def _descriptors(kept: set[str]) -> dict[str, str]:
    if not Path("/proc/self/fd").is_dir():
        return {}
    found = {fd.name: _target(fd.name) for fd in Path("/proc/self/fd").iterdir()}
    return {
        f"fd {fd} -> {target}": target
        for fd, target in found.items()
        if target and target not in kept and not target.startswith(KEPT_FILES)
    }


def _mapped_run_files() -> set[str]:
    """Segments and control pages (of run directories) and shared memory that this process still maps."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return set()
    paths = {line.split(maxsplit=5)[5] for line in maps.read_text().splitlines() if line.count("/")}
    return {
        path
        for path in paths
        if path.startswith("/dev/shm/") or Path(path.split()[0]).name.endswith((".events", "control"))
    }


def _shared_memory() -> set[str]:
    """This user's entries, without semaphores: nobody can tell whose they are. Multiprocessing's tracker unlinks those
    of a process that died, and `mapped_files` has those that this process still uses.
    """
    if not SHM.is_dir():
        return set()
    mine = set()
    for entry in SHM.iterdir():
        try:
            if entry.stat().st_uid == os.getuid() and not entry.name.startswith("sem."):
                mine.add(str(entry))
        except OSError:  # gone since it was listed
            continue
    return mine


def _mapped_by_strangers(paths: set[str]) -> set[str]:
    """Those of `paths` that a living process outside this one's family uses: another test run on this machine."""
    family = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    theirs: set[str] = set()
    for process in psutil.process_iter():
        if process.pid in family:
            continue
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text()
        except OSError:
            continue
        theirs |= {path for path in paths if path in maps}
    return theirs


@dataclass(frozen=True)
class Snapshot:
    """What this process holds at one moment. Each field maps or lists human-readable names."""

    processes: frozenset[str]
    threads: frozenset[str]
    descriptors: frozenset[str]
    mapped_files: frozenset[str]
    shared_memory: frozenset[str]

    @classmethod
    def take(cls) -> Snapshot:
        """Look now. About two milliseconds."""
        server_pids, pipes = _stays_for_ever()
        return cls(
            processes=frozenset(_family(server_pids)),
            threads=frozenset(
                f"{thread.name} ({thread.ident})" for thread in threading.enumerate() if thread.is_alive()
            ),
            descriptors=frozenset(_descriptors(pipes)),
            mapped_files=frozenset(_mapped_run_files()),
            shared_memory=frozenset(_shared_memory()),
        )

    def since(self, before: Snapshot) -> list[str]:
        """What is here and was not `before`, one line each; empty if nothing."""
        return [
            f"{field.name.replace('_', ' ')}: {name}"
            for field in fields(self)
            for name in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def _family(left_out: set[int]) -> Iterator[str]:
    """The living descendants of this process. What Playwright's driver starts is the browser's own business."""
    drivers = {child.pid for child in psutil.Process().children() if BROWSER_DRIVER in _command(child)}
    for child in psutil.Process().children(recursive=True):
        if child.pid not in left_out and not drivers & {child.pid, *_parents(child)}:
            yield _name(child)


def _parents(process: psutil.Process) -> set[int]:
    try:
        return {parent.pid for parent in process.parents()}
    except psutil.Error:
        return set()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


def _name(process: psutil.Process) -> str:
    return f"pid {process.pid} ({_command(process)[:120]})"


def left_behind(before: Snapshot) -> list[str]:
    """What the time since `before` has left behind, after giving it `SETTLE_S` to go."""
    if not (found := Snapshot.take().since(before)):
        return []
    gc.collect()  # a lease or a generator kept alive by a reference cycle is not a leak
    deadline = time.monotonic() + SETTLE_S
    pause = threading.Event()
    while (found := _ours(Snapshot.take().since(before))) and time.monotonic() < deadline:
        pause.wait(0.02)
    return found


def _ours(found: list[str]) -> list[str]:
    shared = {line.removeprefix("shared memory: ") for line in found if line.startswith("shared memory: ")}
    if not shared:
        return found
    strangers = _mapped_by_strangers(shared)
    return [line for line in found if line.removeprefix("shared memory: ") not in strangers]
