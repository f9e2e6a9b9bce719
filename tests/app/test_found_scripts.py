"""A user's script that is observed, and the dashboard: found and live, not to be stopped, and none the worse for it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.presence import NOTE, running_server, ticket
from app.settings import Settings
from loader_core.trace import Trace
from tests.observe.scripts import RUN, done, started
from tests.server import RunningServer

LOOP = """
import sys
from torch.utils.data import DataLoader
loader = DataLoader(range(6), batch_size=2, num_workers=1)
for batch in loader:
    print(batch.tolist(), flush=True)
    sys.stdin.readline()
"""
OUT = "[0, 1]\n[2, 3]\n[4, 5]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loop.py").write_text(LOOP)
    return tmp_path


@pytest.fixture
def own_server(folder: Path) -> Iterator[RunningServer]:
    """One with a home of its own, which a test may kill."""
    server = RunningServer(folder / "home")
    server.start()
    yield server
    server.process.kill()
    server.process.wait()


def batch(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().startswith("[")


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def listed(server: RunningServer, batches: int) -> dict[str, Any]:
    """The only run, once it has so many batches."""
    deadline = time.monotonic() + 30
    while True:
        runs: list[dict[str, Any]] = server.request("GET", "/runs")
        if runs and runs[0]["batches"] >= batches:
            return runs[0]
        assert time.monotonic() < deadline, runs
        time.sleep(0.05)  # a poll with a deadline: the server looks once a second


def test_a_script_is_found_and_live_and_outlives_the_dashboard(folder: Path, own_server: RunningServer) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started([*RUN, "--name", "mine", "loop.py"], own_server.home, folder, **pipes) as script:
        batch(script)
        go_on(script)
        batch(script)
        run = listed(own_server, 1)
        assert (run["name"], run["state"], run["live"]) == ("mine loop.py:4 loader", "running", True)
        assert run["script"]["argv"] == ["loop.py"]
        assert run["script"]["site"] == "loop.py:4"
        assert run["script"]["loader"] == "range, batch_size=2, num_workers=1"
        assert run["loader"]["sampler"] == "SequentialSampler"
        with own_server.client() as client:
            for what, body in (("stop", None), ("pause", {"paused": True})):
                answer = client.post(f"/runs/{run['id']}/{what}", json=body)
                assert answer.status_code == 409
                assert answer.json()["code"] == "run_foreign"
                assert "a viewer does not stop or pause" in answer.json()["message"]
        own_server.process.kill()
        own_server.process.wait()
        go_on(script)
        out, err = script.communicate("\n", timeout=30)
    assert (script.returncode, out) == (0, OUT.splitlines(keepends=True)[2]), err
    trace = Trace.open(own_server.home / "runs" / run["id"])
    trace.refresh()
    assert (trace.run.state, trace.batches) == ("finished", 3)


def test_what_a_server_of_ours_starts_is_not_observed_beside_its_own_recording(folder: Path) -> None:
    server = RunningServer(folder / "home", environment={"LOADERSCOPE": "1"})
    server.start()
    try:
        wanted = {"dataset": "gapminder", "engine": "torch", "num_workers": 0, "consumer": "none", "epochs": 1}
        run_id = server.request("POST", "/runs", wanted)["id"]
        server.until(run_id, "finished")
        assert [run["id"] for run in server.request("GET", "/runs")] == [run_id]
    finally:
        server.stop()


# --- open -------------------------------------------------------------------------------------------------------------


def test_open_shows_a_run_in_the_dashboard_that_runs(
    folder: Path, own_server: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert done([*RUN, "loop.py"], own_server.home, folder, given="\n\n\n").code == 0
    run = listed(own_server, 3)
    monkeypatch.setenv("LOADERSCOPE_HOME", str(own_server.home))
    monkeypatch.setenv("LOADERSCOPE_TOKEN", own_server.token)
    assert main(["open", run["id"], "--no-browser"]) == 0
    assert capsys.readouterr().out == f"{own_server.url}/?run={run['id']}#token={own_server.token}\n"


def test_the_note_of_a_server_holds_no_token_that_was_chosen(own_server: RunningServer) -> None:
    note = own_server.home / NOTE
    assert note.stat().st_mode & 0o777 == 0o600
    assert json.loads(note.read_text()) == {
        "pid": own_server.process.pid,
        "address": own_server.url,
        "token": "",
        "embed": [],
    }
    assert running_server(Settings(home=own_server.home)) is None
    own_server.stop()
    assert not note.exists()


def test_a_token_that_was_made_for_one_start_is_found_by_its_owner(folder: Path) -> None:
    server = RunningServer(folder / "home", token="")
    server.start()
    try:
        settings = Settings(home=server.home)
        found = running_server(settings)
        assert found is not None
        address, token = found
        assert address == server.url
        entry = ticket(address, token)
        assert entry is not None
        assert entry != token
        assert ticket(address, "another token") is None
    finally:
        server.stop()
    assert running_server(settings) is None


def test_a_server_that_was_killed_is_not_taken_for_a_running_one(
    folder: Path, own_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.process.kill()
    own_server.process.wait()
    monkeypatch.setenv("LOADERSCOPE_TOKEN", own_server.token)
    assert running_server(Settings(home=own_server.home)) is None
