from __future__ import annotations

import asyncio
import gzip
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.main import create_app
from app.problems import NotFoundError
from app.settings import Settings
from app.site import Site, list_files, plotly_path
from tests.app.conftest import ORIGIN


def test_the_page_is_asked_for_again_and_its_hashed_parts_are_not(anyone: TestClient) -> None:
    page = anyone.get("/")
    assert page.text == "<!doctype html><title>the page</title>"
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    part = anyone.get("/assets/main-abc123.js")
    assert part.headers["content-type"].split(";")[0] in ("text/javascript", "application/javascript")
    assert "immutable" in part.headers["cache-control"]


def test_the_page_keeps_its_state_behind_the_question_mark(anyone: TestClient) -> None:
    assert anyone.get("/?run=20261122-141503-ab12&view=learn").status_code == 200


def test_a_new_build_is_served_without_a_restart(anyone: TestClient, settings: Settings) -> None:
    assert anyone.get("/assets/main-def456.js").status_code == 404
    (settings.front_end / "assets" / "main-def456.js").write_text("export {};")
    assert anyone.get("/assets/main-def456.js").status_code == 200


def test_a_missing_front_end_is_told_in_plain_words(settings: Settings) -> None:
    missing = settings.model_copy(update={"front_end": settings.front_end / "nowhere"})
    with TestClient(create_app(missing), base_url=ORIGIN) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "python3 run.py" in answer.text
    assert "npm run build" in answer.text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "dist"
    (folder / "assets").mkdir(parents=True)
    for name in ("index.html", "favicon.svg", "assets/main-abc123.js"):
        (folder / name).write_text(name)
    (folder.parent / "secret").write_text("secret")
    return folder


SEGMENTS = st.sampled_from(
    ["..", ".", "", "assets", "index.html", "main-abc123.js", "secret", "dist", "\0", "~", "C:", "\\\\host", "%2e%2e"]
)


@given(path=st.one_of(st.text(), st.lists(SEGMENTS, max_size=6).map("/".join)))
def test_only_a_listed_name_is_ever_a_file(folder: Path, path: str) -> None:
    listed = list_files(folder)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable: nobody sets it")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"/{path}", "headers": [], "query_string": b"", "scheme": "http"}
    try:
        asyncio.run(Site(folder)({**scope, "server": ("127.0.0.1", 8000)}, receive, send))
    except NotFoundError:
        return
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent).decode() in listed


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_page_can_only_be_read(client: TestClient, method: str) -> None:
    answer = client.request(method, "/")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


def test_plotly_is_the_installed_one_and_may_be_kept_for_ever(anyone: TestClient) -> None:
    first = anyone.get("/vendor/plotly.min.js", follow_redirects=False)
    assert first.status_code == 307
    assert first.headers["cache-control"] == "no-cache"
    assert version("plotly") in first.headers["location"]
    plain = anyone.get(first.headers["location"], headers={"accept-encoding": "identity"})
    assert plain.content == plotly_path().read_bytes()
    assert "immutable" in plain.headers["cache-control"]
    with anyone.stream("GET", first.headers["location"], headers={"accept-encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert len(raw) < len(plain.content) / 2
    assert gzip.decompress(raw) == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert anyone.get("/vendor/plotly-0.0.0.min.js").status_code == 404
