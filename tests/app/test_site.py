from __future__ import annotations

import gzip
from importlib.metadata import version

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.site import plotly_path
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
