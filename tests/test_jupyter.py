"""`%load_ext loader_core`: the dashboard below a cell, or how to start it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import loader_core
from app.presence import announced
from app.security import security_headers
from app.settings import Settings
from loader_core import jupyter
from loader_core.jupyter import Server, find_server, page
from tests.server import RunningServer

NOTEBOOK = "http://localhost:8888"


def told(html: str) -> dict[str, Any]:
    found = re.search(r"const told = (\{.*\});", html)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


def test_without_a_server_the_hint_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    assert find_server() is None
    html = page(None, "learn")
    assert "loaderscope serve --embed" in html
    assert told(html)["embed"] == []


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"address": 3}', '{"address": "http://127.0.0.1:1", "token": "x"}'])
def test_a_note_that_leads_nowhere_is_no_server(note: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    (tmp_path / "server.json").write_text(note)
    assert find_server() is None


def test_a_running_server_is_found_and_let_in_once(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("LOADERSCOPE_TOKEN", server.token)
    settings = Settings(home=tmp_path, embed=frozenset({NOTEBOOK}))
    with announced(settings, server.url):
        found = find_server()
    assert found is not None
    assert found.embed == (NOTEBOOK,)
    assert str(found.port) in server.url
    assert server.token not in page(found, "explore"), "a notebook is saved with what stands below its cells"
    assert told(page(found, "learn"))["path"] == f"/?view=learn#token={found.ticket}"


def test_nothing_of_a_note_becomes_html() -> None:
    html = page(Server(1, ("http://x</script><script>alert(1)//",), "t"), "learn")
    assert html.count("<script>") == html.count("</script>") == 1


@pytest.mark.parametrize("origin", ["http://localhost:8888", "https://hub.example.org", "http://[::1]:9"])
def test_only_the_named_origins_may_frame_the_page(origin: str) -> None:
    policy = security_headers(Settings(embed=frozenset({origin})).embed)["content-security-policy"]
    assert policy.endswith(f"frame-ancestors 'self' {origin}")
    assert security_headers(())["content-security-policy"].endswith("frame-ancestors 'self'")


@pytest.mark.parametrize(
    "origin", ["*", "localhost:8888", "http://*.org", "http://a; script-src *", "http://a/path", "'unsafe'"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin: write it as in"):
        Settings(embed=frozenset({origin}))


IN_IPYTHON = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
with capture_output() as shown:
    shell.run_line_magic("load_ext", "loader_core")
    shell.run_line_magic("loaderscope", "learn")
    try:
        shell.run_line_magic("loaderscope", "nowhere")
    except ValueError as error:
        refusal = str(error)
print([output.data["text/html"].count("start it with") for output in shown.outputs], refusal)
"""


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")
def test_in_a_notebook_the_extension_shows_and_defines_the_magic(tmp_path: Path) -> None:
    environment = {**os.environ, "LOADERSCOPE_HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", IN_IPYTHON], env=environment, capture_output=True, text=True)
    assert done.stdout == "[1, 1] %loaderscope nowhere: there are explore, learn, diagnose\n", done.stderr


def test_the_extension_is_the_packages() -> None:
    assert callable(loader_core.load_ipython_extension)
    assert jupyter.VIEWS == ("explore", "learn", "diagnose")
