"""The security table, row by row: who is let in, by which name, from which page, with which token, to do what."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import Headers
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from app.main import create_app
from app.security import SECURITY_HEADERS, Guard, Tokens, cookie_name
from app.settings import Settings
from app.wire import PROTOCOL
from tests.app.conftest import HOST, ORIGIN, TOKEN, VIEW_TOKEN

BEARER = {"authorization": f"Bearer {TOKEN}"}
VIEWER = {"authorization": f"Bearer {VIEW_TOKEN}"}

FOREIGN_ORIGINS = [
    "null",
    "",
    "http://evil.example",
    "https://127.0.0.1:8000",
    "http://127.0.0.1",
    "http://127.0.0.1:8001",
    "http://127.0.0.1:8000.evil.example",
    "http://localhost:8000",
    "http://127.0.0.1:8000/",
    "http://[::1]:8000",
    "http://user@127.0.0.1:8000",
    "file://",
]
FOREIGN_HOSTS = [
    [],
    ["evil.example"],
    ["evil.example:8000"],
    ["127.0.0.1.:8000"],
    ["localhost.:8000"],
    ["127.0.0.1:8000", "127.0.0.1:8000"],
    ["127.0.0.1:8000", "evil.example"],
    ["127.0.0.1:8000@evil.example"],
    ["evil.example/127.0.0.1"],
    ["127.0.0.1:port"],
    ["127.0.0.1:8000 "],
    ["::1"],
    ["[::2]:8000"],
    [""],
    ["0.0.0.0:8000"],
]
GOOD_HOSTS = ["127.0.0.1:8000", "127.0.0.1", "localhost:9000", "LOCALHOST:8000", "[::1]:8000"]


def every_route(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and address of everything that the server answers to; WS for a websocket."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if isinstance(route, WebSocketRoute):
                yield "WS", route.path
            elif isinstance(route, (APIRoute, Route)):
                path = route.path.replace("{run_id}", "20261122-141503-ab12").replace("{number}", "1")
                yield from ((method, path) for method in route.methods or ())
            elif isinstance(route, Mount):
                yield from itertools.product(("GET", "POST"), (f"{route.path}/", "/assets/main-abc123.js"))
            else:
                yield from walk(route.original_router.routes)  # any other kind of route fails here: teach it to us

    return walk(app.routes)


def status_of(client: TestClient, method: str, path: str, headers: list[tuple[str, str]]) -> int:
    """The HTTP status of an answer; of a websocket that of its handshake, or its close code."""
    if method != "WS":
        return client.request(method, path, headers=headers, follow_redirects=False).status_code
    asked = Headers([*headers, ("sec-websocket-protocol", PROTOCOL)])
    try:
        with client.websocket_connect(f"ws://{HOST}{path}", headers=asked) as socket:
            socket.receive_text()
            return 101
    except WebSocketDenialResponse as denial:
        return denial.status_code
    except WebSocketDisconnect as closed:
        return closed.code


def test_the_routes_are_found(app: FastAPI) -> None:
    routes = set(every_route(app))
    assert {("POST", "/api/runs"), ("WS", "/api/live"), ("GET", "/"), ("GET", "/api/openapi.json")} <= routes
    documented = {(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item}
    assert len(documented) <= len(routes)
    assert len(routes) > 20


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_page_of_another_site_is_refused_on_every_route(app: FastAPI, anyone: TestClient, origin: str) -> None:
    for (method, path), secret in itertools.product(every_route(app), (BEARER, {})):
        assert status_of(anyone, method, path, [("origin", origin), *secret.items()]) == 403, (method, path)


def test_two_origins_are_refused_even_if_both_are_right(app: FastAPI, anyone: TestClient) -> None:
    for method, path in every_route(app):
        headers = [("origin", ORIGIN), ("origin", ORIGIN), *BEARER.items()]
        assert status_of(anyone, method, path, headers) == 403, (method, path)


def test_our_own_page_is_let_in_on_every_route(app: FastAPI, anyone: TestClient) -> None:
    for method, path in every_route(app):
        assert status_of(anyone, method, path, [("origin", ORIGIN), *BEARER.items()]) not in (401, 403, 421, 4401)


@pytest.mark.parametrize("hosts", FOREIGN_HOSTS, ids=str)
def test_another_name_is_refused_on_every_route(app: FastAPI, hosts: list[str]) -> None:
    for method, path in every_route(app):
        sent = _ask(app, method, path, [("host", host) for host in hosts] + list(BEARER.items()))
        assert sent[0]["status"] == 421, (method, path, sent)


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_the_loopback_names_are_right_with_any_port(client: TestClient, host: str) -> None:
    assert client.get("/api/runs", headers={"host": host}).status_code == 200
    assert client.get("/api/runs", headers={"host": host, "origin": f"http://{host.lower()}"}).status_code == 200


def test_a_name_is_right_once_it_was_allowed(settings: Settings) -> None:
    allowed = settings.model_copy(update={"allowed_hosts": frozenset({"dashboard.lan", "exact.lan:9000"})})
    with TestClient(create_app(allowed), base_url="http://dashboard.lan:1234") as client:
        assert client.get("/api/runs", headers=BEARER).status_code == 200
        assert client.get("/api/runs", headers={**BEARER, "host": "exact.lan:9000"}).status_code == 200
        assert client.get("/api/runs", headers={**BEARER, "host": "exact.lan:9001"}).status_code == 421
        assert client.get("/api/runs", headers={**BEARER, "host": "other.lan"}).status_code == 421


def test_everything_but_the_page_and_the_session_needs_a_token(app: FastAPI, anyone: TestClient) -> None:
    for method, path in every_route(app):
        status = status_of(anyone, method, path, [("origin", ORIGIN)])
        public = path == "/api/session" or (method in ("GET", "HEAD") and not path.startswith("/api"))
        assert (status in (401, 4401)) == (not public), (method, path, status)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN.upper()}",
        "Bearer \xff",
    ],
)
def test_a_wrong_bearer_token_is_refused_and_no_cookie_mends_it(anyone: TestClient, authorization: str) -> None:
    anyone.post("/api/session", json={"token": TOKEN}, headers={"origin": ORIGIN})
    assert anyone.get("/api/runs").status_code == 200
    answer = anyone.get("/api/runs", headers={"authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401


def test_two_bearer_tokens_are_refused(anyone: TestClient) -> None:
    headers = [("authorization", f"Bearer {TOKEN}")] * 2
    assert anyone.get("/api/runs", headers=headers).status_code == 401


def test_a_token_in_the_address_does_not_count(anyone: TestClient) -> None:
    assert anyone.get("/api/runs", params={"token": TOKEN}).status_code == 401


def test_the_session_cookie_lets_a_page_in_and_is_not_the_token(anyone: TestClient) -> None:
    answer = anyone.post("/api/session", json={"token": TOKEN}, headers={"origin": ORIGIN})
    assert answer.json() == {"role": "operator"}
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("loaderscope_8000=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert anyone.get("/api/runs").status_code == 200
    assert anyone.post("/api/runs/x/stop", headers={"origin": ORIGIN}).status_code == 404
    assert status_of(anyone, "WS", "/api/live", [("origin", ORIGIN)]) == 101


def test_with_a_cookie_alone_what_changes_something_needs_an_origin(anyone: TestClient) -> None:
    anyone.post("/api/session", json={"token": TOKEN}, headers={"origin": ORIGIN})
    assert anyone.post("/api/runs/x/stop").status_code == 403
    assert anyone.delete("/api/runs/x").status_code == 403
    assert status_of(anyone, "WS", "/api/live", []) == 403
    assert anyone.post("/api/runs/x/stop", headers=BEARER).status_code == 404


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_another_port_of_this_host_cannot_read_with_the_cookie(anyone: TestClient, site: str, status: int) -> None:
    anyone.post("/api/session", json={"token": TOKEN}, headers={"origin": ORIGIN})
    assert anyone.get("/api/runs", headers={"sec-fetch-site": site}).status_code == status


def test_a_link_from_another_site_opens_the_page(anyone: TestClient) -> None:
    assert anyone.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_a_session_is_not_given_for_a_wrong_token_nor_to_another_site(anyone: TestClient) -> None:
    refused = anyone.post("/api/session", json={"token": "wrong"}, headers={"origin": ORIGIN})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    assert "loaderscope serve" in refused.json()["message"]
    assert anyone.post("/api/session", json={"token": TOKEN}).status_code == 403


def test_cookies_of_servers_on_other_ports_do_not_meet() -> None:
    assert cookie_name("127.0.0.1:8000") != cookie_name("127.0.0.1:8001")
    assert cookie_name("[::1]:8000") == cookie_name("localhost:8000")
    assert cookie_name("[::1]") == cookie_name("localhost")


def test_the_cookie_outlives_a_restart_with_the_same_token_only() -> None:
    cookie = Tokens(TOKEN).cookie("operator")
    assert Tokens(TOKEN).role_of_cookie(cookie) == "operator"
    assert Tokens(TOKEN + "x").role_of_cookie(cookie) is None
    assert Tokens("other", viewer=TOKEN).role_of_cookie(cookie) is None


def test_a_ticket_works_once_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(TOKEN)
    first = tokens.issue_ticket()
    assert tokens.redeem(first) == "operator"
    assert tokens.redeem(first) is None
    late = tokens.issue_ticket()
    now = __import__("time").monotonic()
    monkeypatch.setattr("app.security.time.monotonic", lambda: now + 121)
    assert tokens.redeem(late) is None
    assert tokens.redeem("") is None


def test_who_may_look_may_change_nothing(app: FastAPI, anyone: TestClient) -> None:
    assert anyone.get("/api/runs", headers=VIEWER).status_code == 200
    assert anyone.get("/api/capabilities", headers=VIEWER).json()["role"] == "viewer"
    assert status_of(anyone, "WS", "/api/live", list(VIEWER.items())) == 101
    changing = [route for route in every_route(app) if route[0] in ("POST", "PATCH", "DELETE", "PUT")]
    assert len(changing) > 5
    for method, path in changing:
        expected = 422 if path == "/api/session" else 403
        assert status_of(anyone, method, path, list(VIEWER.items())) == expected, (method, path)


def test_every_answer_has_the_security_headers(app: FastAPI, anyone: TestClient) -> None:
    paths = [path for method, path in every_route(app) if method == "GET"]
    asked = [anyone.get(path, headers=headers) for path in paths for headers in (BEARER, {}, {"origin": "null"})]
    asked.append(anyone.get("/api/runs", headers={"host": "evil.example"}))
    asked.append(anyone.get("/no-such-page"))
    for answer in asked:
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value, (answer.url, answer.status_code, name)
        assert "access-control-allow-origin" not in answer.headers
    assert anyone.get("/api/runs", headers=BEARER).headers["cache-control"] == "no-store"


def test_an_unexpected_error_tells_nothing_and_has_the_headers(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret of the server")

    monkeypatch.setattr(app.state.store, "summaries", fail)
    answer = client.get("/api/runs")
    assert answer.status_code == 500
    assert answer.json() == {
        "code": "internal",
        "message": "the server failed while doing this; its terminal shows why",
    }
    assert answer.headers["content-security-policy"] == SECURITY_HEADERS["content-security-policy"]


def test_a_body_that_is_too_long_is_refused(client: TestClient, settings: Settings) -> None:
    limit = settings.max_body_bytes
    announced = client.post("/api/runs", content=b" " * (limit + 1), headers={"content-type": "application/json"})
    assert announced.status_code == 413
    assert announced.json()["code"] == "body_too_large"
    pieces = (b" " * 65_536 for _ in range(limit // 65_536 + 1))
    unannounced = client.post("/api/runs", content=pieces, headers={"content-type": "application/json"})
    assert unannounced.status_code == 413
    assert unannounced.json()["code"] == "body_too_large"
    fits = client.post("/api/runs", content=b" " * limit, headers={"content-type": "application/json"})
    assert fits.status_code == 422


def test_a_body_without_its_content_type_is_not_read(client: TestClient) -> None:
    """A form of another site could send that much without asking first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = client.post("/api/runs", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 422, kind


HOSTILE = [
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "\\\\server\\share",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "%00",
    "index.html%00.jpg",
    "assets/../index.html",
    "~root",
    "con",
    "20261122-141503-ab12/../..",
    "%ff%fe",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_path_leads_out_of_the_front_end_or_the_catalogue(client: TestClient, path: str) -> None:
    for address in (f"/{path}", f"/assets/{path}", f"/api/runs/{path}", f"/api/runs/{path}/spans", f"/vendor/{path}"):
        answer = client.get(address)
        assert answer.status_code in (200, 400, 404, 405, 422), (address, answer.status_code)
        assert "root:" not in answer.text
        if answer.status_code == 200:
            assert "the page" in answer.text


def test_links_out_of_the_front_end_are_not_followed(client: TestClient, settings: Settings) -> None:
    (settings.front_end / "passwd").symlink_to("/etc/passwd")
    (settings.front_end / "assets" / "etc").symlink_to("/etc")
    assert client.get("/passwd").status_code == 404
    assert client.get("/assets/etc/passwd").status_code == 404


def test_links_in_the_folder_of_runs_are_not_followed(
    client: TestClient, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "run.json").write_text("{}")
    (settings.runs_home / "20261122-141503-ab12").symlink_to(elsewhere)
    assert client.portal is not None
    client.portal.call(client.app.state.store._discover)  # type: ignore[attr-defined]
    assert client.get("/api/runs").json() == []


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"host", b"origin", b"authorization", b"cookie", b"content-length", b"sec-fetch-site"]),
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from([HOST.encode(), ORIGIN.encode(), b"Bearer x", b"loaderscope_8000=x", b"none"]),
            ),
        ),
        max_size=6,
    ),
    path=st.one_of(st.text(max_size=30), st.sampled_from(["/api", "/api/runs", "/API/runs", "//api/runs"])),
    kind=st.sampled_from(["http", "websocket"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]),
)
@effort(max_examples=400)
def test_whatever_is_sent_without_a_token_nothing_but_the_page_is_reached(
    headers: list[tuple[bytes, bytes]], path: str, kind: str, method: str
) -> None:
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)

    scope = _scope("WS" if kind == "websocket" else method, path, headers)
    sent = _run(Guard(app, tokens=Tokens(TOKEN)), scope)
    if reached:
        assert kind == "http"
        assert path == "/api/session" or (method in ("GET", "HEAD") and path != "/api")
        assert path == "/api/session" or not path.startswith("/api/")
        assert [value.lower() for name, value in headers if name == b"host"]
    else:
        assert sent[0].get("status") in (401, 403, 413, 421) or sent[-1].get("code") == 4401


@pytest.mark.parametrize("path", ["/API/runs", "//api/runs", "/api//runs", "/./api/runs", "/api/runs/"])
def test_no_spelling_of_an_address_goes_around_the_guard(anyone: TestClient, path: str) -> None:
    for headers in ({}, {"origin": ORIGIN}):
        answer = anyone.get(path, headers=headers, follow_redirects=False)
        assert answer.status_code in (401, 404), (path, answer.status_code, answer.text)


def test_no_token_is_ever_logged(anyone: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    anyone.post("/api/session", json={"token": TOKEN}, headers={"origin": ORIGIN})
    anyone.get("/api/runs", headers=BEARER)
    anyone.get("/api/runs", headers=VIEWER)
    anyone.get("/api/runs", params={"token": TOKEN})
    anyone.post("/api/session", json={"token": TOKEN, "more": 1}, headers={"origin": ORIGIN})
    status_of(anyone, "WS", "/api/live", list(BEARER.items()))
    ours = [record for record in caplog.records if record.name.split(".")[0] not in ("httpx2", "httpcore2")]
    assert not any(TOKEN in record.getMessage() or VIEW_TOKEN in record.getMessage() for record in ours)


# --- asking below the client, which would mend what is wrong ----------------------------------------------------------


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    kind, scheme = ("websocket", "ws") if method == "WS" else ("http", "http")
    scope = {"type": kind, "scheme": scheme, "path": path, "raw_path": path.encode(), "query_string": b""}
    return {**scope, "headers": headers, "method": method, "subprotocols": [PROTOCOL], "state": {}}


def _run(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What an ASGI app sends for a request, of an app that never waits for anything."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("read the body of a request that was to be refused")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        app(scope, receive, send).__await__().send(None)
    except StopIteration:
        return sent
    raise AssertionError("waited for something")


def _ask(app: FastAPI, method: str, path: str, headers: list[tuple[str, str]]) -> list[dict[str, Any]]:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    return _run(app.middleware_stack, {**_scope(method, path, raw), "app": app})
