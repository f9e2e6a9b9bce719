"""A client of the live socket, and a run that a test records itself: what it writes is what must arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection

from app import wire
from loader_core.diagnose.rows import Rows
from loader_core.trace import Kind, Recording, Role, Trace
from tests.server import RunningServer

PATIENCE_S = 20.0
MS = 1_000_000


@dataclass
class Watcher:
    """Reads what the server sends, and keeps it as a page would."""

    socket: ClientConnection
    acks: bool = True
    said: list[dict[str, Any]] = field(default_factory=list)
    """All text messages, in order."""
    frames: list[tuple[wire.FrameHeader, Rows]] = field(default_factory=list)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def subscribe(self, run: str, **fields: Any) -> dict[str, Any]:
        """Watches a run; the server's answer."""
        before = len(self.of("opened"))
        self.send("subscribe", run=run, **fields)
        self.until(lambda: len(self.of("opened")) > before)
        return self.of("opened")[-1]

    def take(self, timeout_s: float = PATIENCE_S) -> None:
        """One message."""
        message = self.socket.recv(timeout=timeout_s)
        if isinstance(message, str):
            self.said.append(json.loads(message))
            return
        header, rows = wire.decode_frame(message)
        self.frames.append((header, rows))
        if self.acks:
            self.send("ack", seq=header.seq)

    def until(self, reached: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Reads on until `reached`."""
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, f"not reached in {timeout_s:g} s; the newest: {self.said[-3:]}"
            self.take()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The text messages of one type."""
        return [message for message in self.said if message["type"] == kind]

    @property
    def status(self) -> dict[str, Any]:
        return self.of("status")[-1]

    def settle(self) -> None:
        """Reads on until the server has nothing more to say of a recording: the answer to nonsense comes last."""
        before = len(self.of("failed"))
        self.send("nonsense")
        self.until(lambda: len(self.of("failed")) > before)
        assert self.of("failed")[-1]["code"] == "invalid", self.of("failed")[-1]

    # --- what was received ---

    def of_type(self, frame_type: wire.FrameType, series: int = 0) -> list[tuple[wire.FrameHeader, Rows]]:
        return [(head, rows) for head, rows in self.frames if (head.type, head.series) == (frame_type, series)]

    @property
    def received(self) -> int:
        """Spans that came, and those that the server said it left out."""
        return sum(int(head.count + head.dropped) for head, _ in self.of_type(wire.FrameType.SPANS))

    def spans(self) -> list[tuple[int, ...]]:
        """(end, start, lane, kind, batch, sample, value) of each span that came, with its time as exact as its unit."""
        found = []
        for head, rows in self.of_type(wire.FrameType.SPANS):
            start = rows["start"].astype(np.int64) * int(head.unit_ns) + int(head.base_ns)
            end = start + rows["duration"].astype(np.int64) * int(head.unit_ns)
            names = ("lane", "kind", "batch", "sample", "value")
            found += list(
                zip(
                    end.tolist(), start.tolist(), *(rows[name].astype(np.int64).tolist() for name in names), strict=True
                )
            )
        return found

    def steps(self, series: wire.Series) -> tuple[list[float], list[float]]:
        """Times and values of a series, without the steps that came again."""
        times: list[float] = []
        values: list[float] = []
        for head, rows in self.of_type(wire.FrameType.SERIES, series):
            for time_, value in zip(rows["time"] * head.unit_ns + head.base_ns, rows["value"], strict=True):
                if not times or time_ >= times[-1]:
                    times.append(float(time_))
                    values.append(float(value))
        return times, values

    def rollup(self) -> dict[int, tuple[float, ...]]:
        """The newest row of each bucket."""
        return {row[0]: row[1:] for _, rows in self.of_type(wire.FrameType.ROLLUP) for row in rows.tolist()}


@contextmanager
def watching(server: RunningServer, *, acks: bool = True) -> Iterator[Watcher]:
    """A client that has been greeted and has the list of runs."""
    with server.watch(max_size=None) as socket:
        watcher = Watcher(socket, acks=acks)
        watcher.until(lambda: watcher.of("runs"))
        yield watcher


def spans_of(trace: Trace) -> list[tuple[int, ...]]:
    """What `Watcher.spans` must be."""
    rows, _, dropped = trace.tail(0, 10**9)
    assert dropped == 0
    names = ("end", "start", "lane", "kind", "batch", "sample", "value")
    return list(zip(*(rows[name].astype(np.int64).tolist() for name in names), strict=True))


class Script:
    """A run that this test records, as a user's script would, below the home of a server."""

    def __init__(self, home: Path, name: str) -> None:
        self.id = name
        (home / "runs").mkdir(exist_ok=True)
        self.recording = Recording.create(home / "runs" / name, run_id=name, name=f"script {name}", classes=["cat"])
        self.directory = self.recording.directory
        self._main = self.recording.recorder(Role.MAIN)
        self._consumer = self.recording.recorder(Role.CONSUMER)
        self._worker = self.recording.recorder(Role.WORKER, 0)
        self._made = 0
        self.time_ns = time.perf_counter_ns()  # later than the START marks: a recorder's events never go back in time

    def batches(self, count: int, *, step_ns: int = 2 * MS) -> None:
        """`count` batches of one worker: fetched in 1 ms, waited for, and trained on for `step_ns`. 8 events each."""
        for _ in range(count):
            number, begin = self._made, self.time_ns
            fetched, sent, got = begin + MS, begin + MS + MS // 10, begin + MS + MS // 5
            self._main.add(Kind.DISPATCH, number, begin, begin, value=1)
            self._worker.add(Kind.FETCH, number, begin, fetched)
            self._worker.add(Kind.COLLATE, number, fetched, fetched, value=4_000)
            self._worker.add(Kind.SEND, number, fetched, sent, value=4_000)
            self._main.add(Kind.RECEIVE, number, sent, got, value=4_000)
            self._consumer.add(Kind.WAIT_BATCH, number, begin, got, value=0)
            self._consumer.add(Kind.STEP, number, got, got + step_ns, value=32)
            self._consumer.add(Kind.LOSS, number, got + step_ns, got + step_ns, value=2_500_000)
            self._made += 1
            self.time_ns = got + step_ns

    def items(self, count: int) -> None:
        """`count` samples read by the worker, 1 us each."""
        stamps = self.time_ns + 1_000 * np.arange(count + 1)
        self._worker.add_items(self._made, range(count), stamps.tolist())
        self.time_ns = int(stamps[-1])

    def finish(self) -> None:
        self.recording.finish("finished")

    def trace(self) -> Trace:
        return Trace.open(self.directory)


def known(server: RunningServer, run: str, *states: str) -> None:
    """Waits until the server has found a run and knows it to be in one of `states`."""
    deadline = time.monotonic() + PATIENCE_S
    with server.client() as client:
        while True:
            answer = client.request("GET", f"/runs/{run}")
            if answer.is_success and answer.json()["state"] in states:
                return
            assert time.monotonic() < deadline, f"the server knows of {run}: {answer.text}"
            time.sleep(0.05)  # a poll with a deadline: the server looks through its folder once a second


@contextmanager
def script(server: RunningServer, name: str) -> Iterator[Script]:
    """A run that is live while the block lasts, once the server has found it."""
    run = Script(server.home, name)
    try:
        known(server, name, "running")
        yield run
    finally:
        run.finish()


def recorded(server: RunningServer, name: str, write: Callable[[Script], None]) -> Script:
    """A run that is over, once the server knows that."""
    run = Script(server.home, name)
    write(run)
    run.finish()
    known(server, name, "finished")
    return run


def write_preview(run: Script, number: int, *, at_ns: int) -> None:
    preview = wire.Preview(
        number=number, at_ns=at_ns, batch=1, epoch=0, indices=[3], indices_total=1, labels=[], texts=[], leaves=[],
        sheet=False, tile=96, columns=0, tiles=0,
    )  # fmt: skip
    folder = run.directory / "previews"
    folder.mkdir(exist_ok=True)
    scratch = folder / "scratch"
    scratch.write_text(preview.model_dump_json())
    scratch.rename(folder / f"{number:06}.json")
