"""Faults of workers that wait: for storage, for a service, and for one of them that has a slow file."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios.faults.fault import WAIT_SHARES, Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Store, Stored, Waits, step_for
from loader_core.trace.stage import stage

READERS = 8
"""Workers that read at once: as much as this storage gives, so that more of them would get no more."""
DISK_BYTES_PER_S = 200e6
FILE_BYTES_PER_S = 400e6


def _storage(strength: Strength, engine: Engine, folder: Path) -> Load:
    batch, nbytes = 16, 1 << 19
    store = Store(folder, DISK_BYTES_PER_S, shared=True)
    step = step_for(batch * nbytes / DISK_BYTES_PER_S, WAIT_SHARES[strength])
    arguments = {"batch_size": batch, "num_workers": READERS}
    return Load(Stored(store, nbytes), arguments, Waits(step), seconds=4.5)


def _slow_file(strength: Strength, engine: Engine, folder: Path) -> Load:
    store = Store(folder, FILE_BYTES_PER_S)
    slow_s = {"mild": 0.28, "clear": 0.4, "severe": 0.6}[strength]
    dataset = Stored(store, 1 << 17, slow_every=100, slow_bytes=int(slow_s * FILE_BYTES_PER_S))
    return Load(dataset, {"batch_size": 5, "num_workers": 4}, Waits(0.015), seconds=6.0)


# --- a service --------------------------------------------------------------------------------------------------------

LATENCY_S = 0.004
RECORD_BYTES = 4096


def _serve(address: str, latency_s: float) -> None:
    """Answers each request of 8 bytes with a record, `latency_s` later: as a server far away does."""

    def answer(connection: socket.socket) -> None:
        record = os.urandom(RECORD_BYTES)
        with connection:
            while connection.recv(8):
                time.sleep(latency_s)
                connection.sendall(record)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen(64)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


class Served(Dataset[Tensor]):
    """Samples that a service gives, over a real socket: one request each, of some milliseconds."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._pid = 0

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.connect(self.address)
        with stage("request"):
            self._socket.sendall(index.to_bytes(8, "little"))
            found = bytearray()
            while len(found) < RECORD_BYTES:
                found += self._socket.recv(RECORD_BYTES - len(found))
        return torch.from_numpy(np.frombuffer(found, np.uint8))


@contextmanager
def _service(address: str) -> Iterator[None]:
    Path(address).unlink(missing_ok=True)
    server = get_context("fork").Process(target=_serve, args=(address, LATENCY_S), daemon=True)
    server.start()
    while not Path(address).exists():
        time.sleep(0.005)
    try:
        yield
    finally:
        server.kill()
        server.join()


def _latency(strength: Strength, engine: Engine, folder: Path) -> Load:
    address = str(folder / f"service-{os.getpid()}")
    step = step_for(8 * (LATENCY_S + 0.0002), WAIT_SHARES[strength])
    arguments = {"batch_size": 8, "num_workers": 1}
    return Load(Served(address), arguments, Waits(step), around=lambda: _service(address), seconds=3.0)


# --- nobody answers ---------------------------------------------------------------------------------------------------

STUCK_AT = 300
"""The sample that is never there."""


class Piped(Dataset[Tensor]):
    """One sample is read from a named pipe that nobody writes to, as from a share whose server is gone."""

    def __init__(self, pipe: Path) -> None:
        self.pipe = pipe

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        if index == STUCK_AT:
            self.pipe.read_bytes()
        return torch.full((1024,), float(index))


@contextmanager
def _given_up(after_s: float) -> Iterator[None]:
    """Ctrl-C after so long, by somebody who has waited long enough."""
    timer = threading.Timer(after_s, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        timer.cancel()


def _no_answer(strength: Strength, engine: Engine, folder: Path) -> Load:
    patience_s = {"mild": 14.0, "clear": 18.0, "severe": 35.0}[strength]
    pipe = folder / f"pipe-{os.getpid()}"
    os.mkfifo(pipe)
    arguments = {"batch_size": 8, "num_workers": 2}
    return Load(Piped(pipe), arguments, Waits(0.01), around=lambda: _given_up(patience_s), seconds=60.0)


WAITING = (
    Fault(
        "disk",
        "storage_bound",
        Bilingual(
            "Ocho workers leen un fichero real sin caché de páginas, de un almacén que da 200 MB/s entre todos.",
            "Eight workers read a real file past the page cache, from storage that gives them 200 MB/s together.",
        ),
        _storage,
    ),
    Fault(
        "service",
        "too_few_workers",
        Bilingual(
            "Un solo worker pide cada muestra a un servicio que tarda 4 ms en contestar por un socket real.",
            "One worker alone asks a service for each sample, which takes 4 ms to answer over a real socket.",
        ),
        _latency,
    ),
    Fault(
        "slow-file",
        "head_of_line",
        Bilingual(
            "Un fichero de cada cien es enorme; los lotes de detrás están listos y esperan su turno.",
            "One file in a hundred is huge; the batches behind it are ready and wait for their turn.",
        ),
        _slow_file,
    ),
    Fault(
        "no-answer",
        "hang",
        Bilingual(
            "Una muestra se lee de una tubería en la que nadie escribe; el usuario se cansa y pulsa Ctrl-C.",
            "One sample is read from a pipe that nobody writes to; the user has enough and presses Ctrl-C.",
        ),
        _no_answer,
        heavy=True,
    ),
)
