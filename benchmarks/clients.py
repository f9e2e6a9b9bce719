"""What viewers cost: the same run with nobody watching and with eight clients of which one never reads, in turn.

    python -m benchmarks.clients [--rounds 5] [--seconds 10]

The consumer asks for batches as fast as it can, over the photographs with two workers. Seven clients read and
acknowledge every frame; the eighth subscribes and then never reads from its socket. Reported are the run's throughput
and its ratio to the run of the same round without clients, the server's largest memory, and what the clients got.
The clients share one process of their own, and its CPU time is taken from the same cores as the run's: on a machine
with few cores the ratio is the price of browsers on the same machine, and not of the server alone.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.wire import Ack, FrameHeader, Subscribe, decode_frame
from benchmarks import table
from benchmarks.table import Spread
from loader_core.trace import Kind, Trace
from tests.server import RunningServer, running

READING = 7
RUN = {
    "name": "benchmark of clients",
    "dataset": "photographs",
    "num_workers": 2,
    "consumer": "none",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the reading clients got."""

    frames: int
    spans: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    samples_per_s: float
    server_peak_bytes: int
    seen: Seen


async def _read(url: str, headers: dict[str, str], run: str, stop: asyncio.Event) -> Seen:
    """A client as it should be. Ends when told to."""
    frames = spans = dropped = 0
    async with connect(url, subprotocols=["loaderscope.v1"], additional_headers=headers, max_size=None) as socket:  # type: ignore[list-item]  # a NewType of str
        closing = asyncio.create_task(_close_when(stop, socket))
        await socket.send(Subscribe(run=run).model_dump_json())
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    header: FrameHeader = decode_frame(message)[0]
                    frames, spans, dropped = frames + 1, spans + header.count, dropped + int(header.dropped)
                    await socket.send(Ack(seq=header.seq).model_dump_json())
        except ConnectionClosed:
            pass
        await closing
    return Seen(frames, spans, dropped)


async def _close_when(stop: asyncio.Event, socket: Any) -> None:
    await stop.wait()
    await socket.close()


async def _never_read(url: str, headers: dict[str, str], run: str, stop: asyncio.Event) -> None:
    """Subscribes, then leaves everything in the kernel: with a queue of one frame the library stops reading."""
    socket = await connect(url, subprotocols=["loaderscope.v1"], additional_headers=headers, max_queue=1)  # type: ignore[list-item]  # a NewType of str
    try:
        await socket.send(Subscribe(run=run).model_dump_json())
        await stop.wait()
    finally:
        socket.transport.abort()


def _watch(url: str, headers: dict[str, str], run: str, stop: Event, answer: Connection) -> None:
    """The process of the clients."""

    async def all_of_them() -> list[Seen]:
        over = asyncio.Event()
        waiting = asyncio.create_task(asyncio.to_thread(stop.wait))
        waiting.add_done_callback(lambda _: over.set())
        silent = asyncio.create_task(_never_read(url, headers, run, over))
        seen = await asyncio.gather(*(_read(url, headers, run, over) for _ in range(READING)))
        await silent
        return seen

    answer.send(asyncio.run(all_of_them()))


@contextmanager
def clients(server: RunningServer, run: str) -> Iterator[list[Seen]]:
    """Eight clients of `run` during the block; the list is filled at its end."""
    seen: list[Seen] = []
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    ours, theirs = context.Pipe(duplex=False)
    url = f"ws{server.url.removeprefix('http')}/api/live"
    process = context.Process(target=_watch, args=(url, server.bearer, run, stop, theirs))
    process.start()
    try:
        yield seen
    finally:
        stop.set()
        if ours.poll(30):
            seen.extend(ours.recv())
        process.join(30)
        process.kill()


class PeakMemory(Thread):
    """Looks at a process's memory ten times a second, in a thread of its own."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="peak memory", daemon=True)
        self._process = psutil.Process(pid)
        self._over = multiprocessing.Event()
        self.bytes = 0

    def run(self) -> None:
        """Until `close`."""
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, self._process.memory_info().rss)

    def close(self) -> int:
        """The largest that was seen."""
        self._over.set()
        self.join()
        return self.bytes


def rate(directory: Path) -> float:
    """Samples per second from the first step to the last: what comes before is the start of Python and torch."""
    trace = Trace.open(directory)
    steps = trace.window(0, trace.duration_ns, {Kind.STEP})
    return float(steps["value"].sum() / (steps["end"].max() - steps["start"].min()) * 1e9)


def measure(*, watched: bool, seconds: float) -> Measured:
    """One run in a fresh server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home, running(Path(home)) as server:
        memory = PeakMemory(server.process.pid)
        memory.start()
        run = server.request("POST", "/runs", {**RUN, "seconds": seconds})["id"]
        seen: list[Seen] = []
        if watched:
            with clients(server, run) as seen:
                summary = server.until(run, "finished", "failed", timeout_s=seconds + 60)
        else:
            summary = server.until(run, "finished", "failed", timeout_s=seconds + 60)
        assert summary["state"] == "finished", summary
        return Measured(
            samples_per_s=rate(server.home / "runs" / run),
            server_peak_bytes=memory.close(),
            seen=Seen(
                sum(one.frames for one in seen), sum(one.spans for one in seen), sum(one.dropped for one in seen)
            ),
        )


def main() -> None:
    """Measure, print, write benchmarks/results/clients.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="length of a run")
    chosen = parser.parse_args()

    where = table.machine()
    measured: dict[bool, list[Measured]] = {False: [], True: []}
    for number in range(chosen.rounds):
        for watched in (False, True) if number % 2 == 0 else (True, False):
            measured[watched].append(measure(watched=watched, seconds=chosen.seconds))
            print(f"round {number + 1} of {chosen.rounds}, watched {watched}: {measured[watched][-1]}", flush=True)
    alone = [one.samples_per_s for one in measured[False]]
    results = {
        name: {
            "samples_per_s": Spread.of([one.samples_per_s for one in ones]),
            "of_unwatched": table.ratios([one.samples_per_s for one in ones], alone),
            "server_peak_mb": Spread.of([one.server_peak_bytes / 1e6 for one in ones]),
            "frames": Spread.of([one.seen.frames for one in ones]),
            "spans": Spread.of([one.seen.spans for one in ones]),
            "dropped": Spread.of([one.seen.dropped for one in ones]),
        }
        for name, ones in (("nobody", measured[False]), ("8 clients, one never reads", measured[True]))
    }
    columns = ["samples_per_s", "of_unwatched", "server_peak_mb", "spans", "dropped"]
    rows = [[name, *(str(entry[column]) for column in columns)] for name, entry in results.items()]
    title = f"Clients on a run of {chosen.seconds:g} s: median (lowest .. highest) of {chosen.rounds} rounds"
    table.show(title, ["watched by", *columns], rows, where)
    print(table.write("clients", {"machine": where, "rounds": chosen.rounds, "results": results}))


if __name__ == "__main__":
    main()
