"""docs/protocol.md: its examples run as they stand there, and its numbers are the ones in force."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from app import live, logs, wire
from app.security import CLOSED_UNAUTHORIZED
from app.settings import Settings
from tests.app.watcher import recorded
from tests.server import RunningServer

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text("utf-8")


NO_MESSAGES = (wire.Accelerator,)
"""Models whose `type` is something else."""


def example(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(block)


def run(server: RunningServer, command: list[str], folder: Path) -> str:
    environment = {**os.environ, "LOADERSCOPE_URL": server.url, "LOADERSCOPE_TOKEN": server.token}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_http_example_starts_changes_and_stops_a_run(server: RunningServer, tmp_path: Path) -> None:
    run(server, ["bash", "-euo", "pipefail", "-c", example("bash")], tmp_path)
    answers = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert answers["changed"]["settings"]["dials"]["storage_latency_ms"] == 5
    assert answers["stopped"]["state"] in ("stopped", "finished")
    assert answers["run"]["id"] == answers["stopped"]["id"]
    header, _ = wire.decode_frame((tmp_path / "spans.bin").read_bytes())
    assert header.type is wire.FrameType.SPANS
    assert answers["metrics"]["start_ns"] == 0


def test_the_websocket_example_follows_a_run_to_its_end(server: RunningServer, tmp_path: Path) -> None:
    started = server.request("POST", "/runs", {"dataset": "gapminder", "num_workers": 1, "epochs": 1, "seconds": 0})
    (tmp_path / "watch.py").write_text(example("python"))
    said = run(server, [sys.executable, "watch.py", started["id"]], tmp_path).splitlines()
    with server.client() as http:
        header, _ = wire.decode_frame(http.get(f"/runs/{started['id']}/spans").content)
    assert said[-1] == f"{header.count} spans received, 0 left out"
    assert re.fullmatch(r"\d+\.\d s: 54 batches, waiting \d+ %", said[-2])


def test_the_websocket_example_counts_what_a_long_recording_leaves_out(server: RunningServer, tmp_path: Path) -> None:
    recorded(server, "example", lambda run: [run.items(50_000) for _ in range(3)])
    (tmp_path / "watch.py").write_text(example("python"))
    said = run(server, [sys.executable, "watch.py", "example"], tmp_path).splitlines()
    received, left_out = map(int, re.findall(r"\d+", said[-1]))
    assert received == logs.KEPT_SPANS
    assert received + left_out >= 150_000


def test_the_websocket_example_says_why_it_cannot(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(example("python"))
    environment = {**os.environ, "LOADERSCOPE_URL": server.url, "LOADERSCOPE_TOKEN": server.token}
    command = [sys.executable, "watch.py", "no-such-run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is no run 'no-such-run'" in done.stderr


def test_the_numbers_on_the_page_are_in_force() -> None:
    settings = Settings.model_fields
    said = " ".join(PAGE.split())
    for text in (
        f"sub-protocol `{wire.PROTOCOL}`",
        f"at most {wire.MAX_CLIENT_MESSAGE_BYTES:,} bytes",
        f"may send {settings['messages_per_s'].default:g} a second, with bursts of {settings['message_burst'].default}",
        f"newest {logs.MAX_BACKLOG:,} spans",
        f"newest {logs.KEPT_SPANS:,} spans",
        f"A header of {wire.FRAME_HEADER.size} bytes",
        f"nothing at all for {live.SEND_TIMEOUT_S:g} s",
        f"| {live.CLOSED_TOO_FAST} |",
        f"| {live.CLOSED_FULL} |",
        f"| {CLOSED_UNAUTHORIZED} |",
    ):
        assert text in said, text
    assert live.ACK_COST == 0.1
    assert wire.MAX_FRAMES_IN_FLIGHT == 4


def test_every_message_stands_on_the_page() -> None:
    messages = [
        model for model in wire.Wire.__subclasses__() if "type" in model.model_fields and model not in NO_MESSAGES
    ]
    assert len(messages) == 10
    for model in messages:
        assert f"| `{model.model_fields['type'].default}` |" in PAGE
