"""The command line, as a user types it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from rich.console import Console

from app.cli import main
from app.run_options import add_run_options, run_settings
from app.server import PortTakenError, listen
from app.wire import Dials, RunSettings
from loader_core.trace.event import Kind
from loader_core.trace.recording import Recording

QUICK = ["--dataset", "gapminder", "--consumer", "step", "--step-ms", "1", "--epochs", "1", "--batch-size", "64"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("LOADERSCOPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def recorded(home: Path) -> str:
    with Recording.create(home / "runs" / "one", run_id="one", name="[red]first[/red]") as recording:
        recording.consumer.mark(Kind.STEP, 0, value=4)
    return "one"


def test_a_run_is_made_listed_and_exported(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "app", "demo", "--name", "mine", *QUICK, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    run = json.loads(made.stdout)
    assert (run["state"], run["samples"], run["name"]) == ("finished", 1704, "mine")
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [run]
    target = tmp_path / "trace.json"
    assert main(["export", run["id"], "--perfetto", str(target)]) == 0
    assert capsys.readouterr().out == f"wrote {target}\n"
    assert json.loads(target.read_text())["otherData"]["name"] == "mine"
    assert main(["export", str(home / "runs" / run["id"]), "--summary"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 1704


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_interrupted_is_stopped_and_kept(home: Path, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--dataset", "gapminder", "--consumer", "step", "--seconds", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        deadline = time.monotonic() + 30
        while not list(home.glob("runs/*/run.json")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)  # a poll with a deadline
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in out + err
    (header,) = home.glob("runs/*/run.json")
    assert json.loads(header.read_text())["state"] == "stopped"


def test_a_run_that_fails_says_why_with_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    program = ["demo", "--dataset", "gapminder", "--consumer", "step", "--batch-size", "4096", "--drop-last"]
    assert main(program) == 1
    out = capfd.readouterr().out
    assert " failed: " in out
    assert "drop_last" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--batch-size", "0"], "batch_size: Input should be greater than or equal to 1"),
        (["demo", "--num-workers", "64"], "64 workers are more than"),
        (["demo", "--dataset", "nothing"], "there is no data set 'nothing'"),
        (["demo", "--set", "dials.cpu_ms"], "write it as NAME=VALUE, for example --set dials.cpu_ms=5"),
        (["demo", "--set", "dials.cpu=5"], "dials.cpu: Extra inputs are not permitted"),
        (["demo", "--data", "/nowhere/at-all"], "/nowhere/at-all is not there"),
        (["serve", "--host", "0.0.0.0"], "can be reached from other machines, so a token is needed"),
        (["serve", "--port", "70000"], "port: Input should be less than or equal to 65535"),
        (["run"], "name the script: loaderscope run train.py, or loaderscope run -m package.module"),
        (["run", "--detail", "batch", "-m"], "name the script"),
        (["open", "nothing", "--no-browser"], "there is no run 'nothing': neither in"),
        (["export", "nothing", "--summary"], "there is no run 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.host.cpus", lambda: 2)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_token_that_is_refused_is_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADERSCOPE_TOKEN", "hunter42")
    assert main(["serve", "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert "can be guessed" in said
    assert "hunter42" not in said


def test_names_in_the_list_are_text_and_no_markup(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "[red]first[/red]" in capsys.readouterr().out


def test_the_list_has_whole_ids_and_what_runs_came_to(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "There are no runs yet. Record one: loaderscope run train.py\n"
    name = "20261130-205654-1d92"  # its process ended before it could say what the run came to
    with Recording.create(home / "runs" / name, run_id=name, name="a long name " * 9) as recording:
        for number in range(3):
            recording.consumer.mark(Kind.STEP, number, value=4)
    monkeypatch.setattr("app.cli.out", Console(width=72, highlight=False))
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"{name} .* finished +\d+\.\d +3 +12 +\d", said), said


@pytest.mark.parametrize("command", [("export", "--perfetto"), ("export", "--summary"), ("diagnose", "--html")])
def test_a_file_that_cannot_be_written_is_said(
    command: tuple[str, str], recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "nowhere" / "file"
    assert main([command[0], recorded, command[1], str(target)]) == 2
    assert f"{target} cannot be written: No such file or directory" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert re.fullmatch(r"loaderscope \S.*, torch 2\.\S+\n", capsys.readouterr().out)


def test_help_names_every_setting_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    text = capsys.readouterr().out
    for name in RunSettings.model_fields.keys() - {"dials"}:
        assert f"--{name.replace('_', '-')}" in text
    for name in Dials.model_fields:
        assert f"dials.{name}" in text.replace("\n", " ")


def test_options_become_settings() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_run_options(parser)
    options = parser.parse_args(
        ["--num-workers", "2", "--no-shuffle", "--pin-memory", "--set", "dials.cpu_ms=5", "--set", "prefetch-factor=4"]
    )
    assert run_settings(options) == RunSettings(
        num_workers=2, shuffle=False, pin_memory=True, prefetch_factor=4, dials=Dials(cpu_ms=5)
    )
    assert run_settings(parser.parse_args([])) == RunSettings()


# --- serve ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port: int = other.getsockname()[1]
        yield port


def test_a_port_that_was_asked_for_and_is_taken_is_told(taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--no-browser", "--port", str(taken)]) == 2
    said = capsys.readouterr().err
    assert f"port {taken} of 127.0.0.1 is taken by another program: use --port" in said


def test_a_port_that_nobody_asked_for_gives_way_to_the_next_free_one(taken: int) -> None:
    with listen("127.0.0.1", taken, only_this=False) as listener:
        assert taken < listener.getsockname()[1] <= taken + 19
    with pytest.raises(PortTakenError, match=f"port {taken} of 127.0.0.1 is taken"):
        listen("127.0.0.1", taken, only_this=True)


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 192\.0\.2\.1 port 8000"):
        listen("192.0.2.1", 8000, only_this=False)


def test_open_imports_a_run_from_anywhere_and_names_it(recorded: str, home: Path, tmp_path: Path) -> None:
    elsewhere = (home / "runs" / recorded).rename(tmp_path / "elsewhere")
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "open", str(elsewhere), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        address = next(line.strip() for line in process.stdout if "#token=" in line)
        page, _, token = address.partition("/?run=elsewhere#token=")
        with httpx2.Client(base_url=page, headers={"authorization": f"Bearer {token}"}) as client:
            assert [run["id"] for run in client.get("/api/runs").json()] == ["elsewhere"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_browser_is_given_a_ticket_and_not_the_token(tmp_path: Path) -> None:
    """A program's arguments can be read by every user of a machine."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o700)
    token = "a-token-for-tests-only-0123456789"
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        env={**os.environ, "BROWSER": f"{browser} %s", "DISPLAY": ":99", "LOADERSCOPE_TOKEN": token},
        stdout=subprocess.DEVNULL,
    )
    with process:
        deadline = time.monotonic() + 30
        while not opened.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)  # a poll with a deadline
        page, _, ticket = opened.read_text().partition("/#token=")
        assert ticket
        assert ticket != token
        with httpx2.Client(base_url=page, headers={"origin": page}) as client:
            assert client.post("/api/session", json={"token": ticket}).json() == {"role": "operator"}
            assert client.get("/api/runs").status_code == 200
            assert client.post("/api/session", json={"token": ticket}).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
