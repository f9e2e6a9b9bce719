"""The examples of README.md, run as they stand there, and whether the page of settings is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from loader_core import start
from loader_core.trace.trace import Trace
from tests.server import RunningServer

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def example(language: str, word: str) -> str:
    """The only fenced block of `language` in which `word` stands."""
    (block,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL) if word in text]
    return str(block)


def run(command: list[str], *, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("word", "name"), [("recording=recording", "first"), ("observe(loader", "second")])
def test_a_script_records_itself(word: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(example("python", word))
    run([sys.executable, "train.py"], cwd=tmp_path)
    trace = Trace.open(tmp_path / "runs" / name)
    assert (trace.run.state, trace.batches) == ("finished", 16)


def test_programs_start_list_and_watch_runs(server: RunningServer, tmp_path: Path) -> None:
    here = {"LOADERSCOPE_TOKEN": server.token}
    answers = run(
        ["bash", "-ec", example("bash", "curl").replace("127.0.0.1:8000", server.url[7:])], cwd=tmp_path, **here
    )
    assert answers.count('"dataset":"photographs"') == 2, answers
    (started,) = server.request("GET", "/runs")
    try:
        watch = example("python", "decode_frame").replace("127.0.0.1:8000", server.url[7:])
        (tmp_path / "watch.py").write_text(watch)
        assert run([sys.executable, "watch.py"], cwd=tmp_path, **here).split()[0] in ("SPANS", "SERIES", "ROLLUP")
        server.until(started["id"], "finished")
    finally:
        server.forget(started["id"])


def test_the_api_is_described(server: RunningServer) -> None:
    assert "/api/openapi.json" in README
    assert server.request("GET", "/openapi.json")["paths"]


def test_each_setting_has_its_row() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `LOADERSCOPE_(\w+)` \| ([^|]*?) ?\|", page, flags=re.MULTILINE))
    assert rows.keys() == {name.upper() for name in Settings.model_fields} | {name[12:] for name in start.VARIABLES}
    for name, field in Settings.model_fields.items():
        said = rows[name.upper()]
        if said.isdecimal():
            assert field.default == int(said)
        elif said.endswith("MiB"):
            assert field.default == int(said.split()[0]) * 1024**2
