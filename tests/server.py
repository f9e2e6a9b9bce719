"""A real server in a process of its own, on a free port, with a home of its own. For tests and benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-for-tests-only-0123456789"
READY_S = 30.0
STOP_S = 10.0


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningServer:
    """`python -m app serve` with its address. Whoever starts one stops it; `running` does both."""

    home: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    token: str = TOKEN

    def start(self) -> None:
        """Starts it and waits until it answers. Raises AssertionError with its output if it does not."""
        self.home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADERSCOPE_")}
        ours = {"LOADERSCOPE_HOME": str(self.home), "LOADERSCOPE_TOKEN": self.token, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--no-browser", "--port", str(self.port), *self.arguments],
                cwd=ROOT,
                env={**kept, **ours, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            running = self.process.poll() is None
            if running and time.monotonic() < deadline:
                time.sleep(0.02)  # a poll with a deadline: nothing else says that a port is open
                continue
            self.process.kill()
            self.process.wait()
            what = f"did not answer within {READY_S:g} s" if running else "ended before it answered"
            raise AssertionError(f"the server {what}:\n{self.output()}")

    def _answers(self) -> bool:
        """Whether it answers a request: its port is open earlier, when it is not yet announced to its owner."""
        try:
            httpx2.get(self.url, timeout=1)
        except httpx2.HTTPError:
            return False
        return True

    def stop(self) -> int:
        """Ends it as Ctrl-C does. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {STOP_S:g} s:\n{self.output()}") from None

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.home / "server.log"

    def output(self) -> str:
        """All that it has printed, over all its starts."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What a person opens: the address with the token in its fragment."""
        return f"{self.url}/#token={self.token}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that lets a program in."""
        return {"authorization": f"Bearer {self.token}"}

    def client(self) -> httpx2.Client:
        """For the HTTP routes; close it."""
        return httpx2.Client(base_url=f"{self.url}/api", headers=self.bearer, timeout=30)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of one answer; AssertionError with the answer's text if it is not a success."""
        with self.client() as client:
            answer = client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def watch(self, **options: Any) -> ClientConnection:
        """A websocket; close it."""
        return connect(
            f"ws://127.0.0.1:{self.port}/api/live",
            subprotocols=["loaderscope.v1"],  # type: ignore[list-item]  # a NewType of str
            additional_headers=self.bearer,
            **options,
        )

    def forget(self, run: str) -> None:
        """Ends a run if it is not over, and deletes it."""
        with self.client() as client:
            answer = client.post(f"/runs/{run}/stop")
        assert answer.is_success or answer.json()["code"] == "run_ended", answer.text
        self.request("DELETE", f"/runs/{run}")

    def until(self, run: str, *states: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """The run's summary as soon as it is in one of `states`."""
        deadline = time.monotonic() + timeout_s
        while True:
            summary: dict[str, Any] = self.request("GET", f"/runs/{run}")
            if summary["state"] in states:
                return summary
            assert time.monotonic() < deadline, f"run {run} is {summary}, not one of {states}, after {timeout_s:g} s"
            time.sleep(0.05)  # a poll with a deadline: the list of runs is not a thing to wait on


@contextmanager
def running(home: Path, *arguments: str, **environment: str) -> Iterator[RunningServer]:
    """A server, stopped at the end of the block."""
    server = RunningServer(home, arguments, environment)
    server.start()
    try:
        yield server
    finally:
        server.stop()
