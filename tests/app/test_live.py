"""The websocket of a real server: who may connect, how many, how much, how fast, and what ends it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.wire import MAX_CLIENT_MESSAGE_BYTES
from loader_core.trace.event import Role
from loader_core.trace.recorder import now
from loader_core.trace.recording import Recording
from tests.app.conftest import VIEW_TOKEN
from tests.server import RunningServer, running

VISIBLE = json.dumps({"type": "visibility", "visible": True})
UNSUBSCRIBE = json.dumps({"type": "unsubscribe"})
DEADLINE_S = 20.0


def text_messages(client: ClientConnection) -> Iterator[dict[str, Any]]:
    while True:
        message = client.recv(timeout=DEADLINE_S)
        if isinstance(message, str):
            yield json.loads(message)


def until_closed(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """The messages that still come, and the close code."""
    messages = []
    try:
        for message in text_messages(client):
            messages.append(message)  # noqa: PERF402 - what came before the end must be kept
    except ConnectionClosed as closed:
        return messages, closed.rcvd.code if closed.rcvd else 1006
    raise AssertionError("unreachable: text_messages ends with the connection")


def refused(server: RunningServer, **options: Any) -> int:
    """The HTTP status with which a handshake is refused, or the code with which the socket is closed at once."""
    options.setdefault("subprotocols", ["loaderscope.v1"])
    try:
        with connect(f"ws://127.0.0.1:{server.port}/api/live", **options) as client:
            return until_closed(client)[1]
    except InvalidStatus as error:
        return error.response.status_code


def test_a_client_is_greeted(server: RunningServer) -> None:
    with server.watch() as client:
        assert client.subprotocol == "loaderscope.v1"
        assert next(text_messages(client))["type"] == "hello"


def test_who_may_look_may_watch(server: RunningServer) -> None:
    with connect(
        f"ws://127.0.0.1:{server.port}/api/live",
        subprotocols=["loaderscope.v1"],  # type: ignore[list-item]  # a NewType of str
        additional_headers={"authorization": f"Bearer {VIEW_TOKEN}"},
    ) as client:
        assert next(text_messages(client))["type"] == "hello"


def test_handshakes_that_are_refused(server: RunningServer) -> None:
    ours = f"http://127.0.0.1:{server.port}"
    assert refused(server, additional_headers=server.bearer, origin="http://evil.example") == 403
    assert refused(server, additional_headers=server.bearer, origin="null") == 403
    assert refused(server) == 403  # neither an origin nor a token
    assert refused(server, origin=ours) == 4401
    assert refused(server, additional_headers={"authorization": "Bearer wrong"}) == 4401
    assert refused(server, additional_headers=server.bearer, subprotocols=["loaderscope.v0"]) == 400
    assert refused(server, additional_headers=server.bearer, subprotocols=None) == 400


def test_a_burst_is_taken_and_a_flood_is_closed(server: RunningServer) -> None:
    with server.watch() as client:
        for _ in range(40):
            client.send(UNSUBSCRIBE)
        with suppress(ConnectionClosed):
            for _ in range(10_000):
                client.send(UNSUBSCRIBE)
        messages, code = until_closed(client)
    assert code == 1008
    assert messages[-1]["code"] == "too_fast"
    assert messages[-1]["fatal"]
    assert messages[-1]["message"] == "more than 20 messages a second (with bursts of 40)"


def test_forty_messages_at_once_are_within_the_bound(server: RunningServer) -> None:
    with server.watch(max_queue=None) as client:
        for _ in range(40):
            client.send("not JSON")
        kinds = [next(text_messages(client)) for _ in range(3)]
    assert not any(message.get("fatal") for message in kinds)


def test_a_message_that_is_too_long_is_closed(server: RunningServer) -> None:
    with server.watch() as client:
        client.send("x" * MAX_CLIENT_MESSAGE_BYTES)
        failed = next(message for message in text_messages(client) if message["type"] == "failed")
        assert not failed["fatal"]
        client.send("x" * (MAX_CLIENT_MESSAGE_BYTES + 1))
        assert until_closed(client)[1] == 1009


def test_the_thirty_third_browser_is_told_why_it_cannot_watch(server: RunningServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(server.watch()) for _ in range(32)]
        for client in clients:
            assert next(text_messages(client))["type"] == "hello"
        with server.watch() as surplus:
            messages, code = until_closed(surplus)
        assert code == 1013
        assert [message["code"] for message in messages] == ["too_many_browsers"]
        assert "32 browsers watch already" in messages[0]["message"]
        clients[0].close()
        deadline = time.monotonic() + DEADLINE_S
        while True:  # the server takes note of a closed socket in its own time
            with server.watch() as another:
                if next(text_messages(another))["type"] == "hello":
                    break
            assert time.monotonic() < deadline


@pytest.fixture
def long_run(server: RunningServer) -> str:
    """A recording of more spans than fit into the buffers between a server and a client that does not read."""
    directory = Path(server.home) / "runs" / "long-run"
    if not directory.exists():
        with Recording.create(directory, run_id="long-run") as recording:
            worker = recording.recorder(Role.WORKER, 0)
            for batch in range(100):
                begin = now()
                worker.add_items(batch, range(1_000), [begin + 10 * sample for sample in range(1_001)])
    deadline = time.monotonic() + DEADLINE_S
    while directory.name not in {run["id"] for run in server.request("GET", "/runs")}:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a poll with a deadline: the server looks for new folders in its own time
    return directory.name


def test_a_client_that_takes_nothing_is_dropped(server: RunningServer, long_run: str) -> None:
    quiet = socket.socket()
    quiet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    quiet.connect(("127.0.0.1", server.port))
    port = quiet.getsockname()[1]
    with connect(
        f"ws://127.0.0.1:{server.port}/api/live",
        sock=quiet,
        subprotocols=["loaderscope.v1"],  # type: ignore[list-item]  # a NewType of str
        additional_headers=server.bearer,
        max_queue=1,
        close_timeout=0,
    ) as client:
        client.send(json.dumps({"type": "subscribe", "run": long_run}))
        process = psutil.Process(server.process.pid)
        deadline = time.monotonic() + DEADLINE_S
        while any(peer.raddr and peer.raddr.port == port for peer in process.net_connections("tcp")):
            assert time.monotonic() < deadline, "the server still holds the connection"
            assert server.request("GET", "/runs")  # and it serves the others meanwhile
            time.sleep(0.1)  # a poll with a deadline: who is dropped is not told


def test_ctrl_c_ends_a_server_with_open_sockets_and_a_live_run(tmp_path: Path) -> None:
    settings = {"dataset": "gapminder", "consumer": "step", "step_ms": 5, "seconds": 0, "num_workers": 1}
    with running(tmp_path) as server, ExitStack() as stack:
        run = server.request("POST", "/runs", settings)["id"]
        server.until(run, "running")
        clients = [stack.enter_context(server.watch()) for _ in range(3)]
        clients[0].send(json.dumps({"type": "subscribe", "run": run}))
        assert next(message for message in text_messages(clients[0]) if message["type"] == "opened")
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children
        assert server.stop() == 0
        assert [until_closed(client)[1] for client in clients] == [1012] * 3
        output = server.output()
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert "graceful shutdown exceeded" not in output
    assert "Traceback" not in output
    assert json.loads((tmp_path / "runs" / run / "run.json").read_text())["state"] == "stopped"


def test_tokens_are_printed_once_and_never_logged(tmp_path: Path) -> None:
    with running(tmp_path, LOADERSCOPE_VIEW_TOKEN=VIEW_TOKEN) as server:
        server.request("GET", "/runs")
        assert refused(server, additional_headers={"authorization": f"Bearer {VIEW_TOKEN}x"}) == 4401
        with server.client() as client:
            client.get("/runs", params={"token": server.token})
            client.post("/session", json={"token": server.token})
            client.post("/session", json={"token": VIEW_TOKEN, "surplus": server.token})
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(f"BROKEN {server.token}\r\n\r\n".encode())
            raw.recv(100)
        with server.watch() as socket_client:
            socket_client.send(server.token)
            next(message for message in text_messages(socket_client) if message["type"] == "failed")
        server.stop()
        lines = server.output().splitlines()
    shown = [line.strip() for line in lines if server.token in line or VIEW_TOKEN in line]
    assert shown == [f"{server.url}/#token={server.token}", f"{server.url}/#token={VIEW_TOKEN}  (to look only)"]
