"""A server for the tests of app/: in this process for what needs no socket, in a process of its own for what does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.server import RunningServer, running

TOKEN = "an-operator-token-0123456789"
VIEW_TOKEN = "a-view-token-0123456789"
HOST = "127.0.0.1:8000"
ORIGIN = f"http://{HOST}"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a server with a home and a front end of its own, whatever the environment says."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LOADERSCOPE_{name.upper()}", raising=False)
    page = tmp_path / "dist"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>the page</title>")
    (page / "assets" / "main-abc123.js").write_text("export {};")
    return Settings(home=tmp_path / "home", front_end=page, token=SecretStr(TOKEN), view_token=SecretStr(VIEW_TOKEN))


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def anyone(app: FastAPI) -> Iterator[TestClient]:
    """A client without a token, that speaks to the server by its right name."""
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(anyone: TestClient) -> TestClient:
    """A client with the operator's token."""
    anyone.headers["authorization"] = f"Bearer {TOKEN}"
    return anyone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server, one for the tests of a module."""
    with running(tmp_path_factory.mktemp("server"), LOADERSCOPE_VIEW_TOKEN=VIEW_TOKEN) as server:
        yield server
