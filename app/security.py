"""Who may call the server: the guard in front of every route, and the tokens.

One pure ASGI middleware over http and websocket, so that no route can be forgotten. It denies by default: what is
below `/api`, every websocket and every method that changes something need a token; only the files of the front end
are public. In the order of checking:

1. **Host**: exactly one, of the allow-list. Stops DNS rebinding.
2. **Origin**: none or exactly the address that was called. Stops other sites, also those on another port of this
   host, which cookies and `SameSite` do not tell apart. `null` is foreign. It may be missing from what changes nothing
   (browsers leave it out there; `Sec-Fetch-Site` then has the word) or beside a bearer token.
3. **Token**: `Authorization: Bearer` for programs; for browsers a cookie, set by `POST /api/session` for the token
   that the page finds in its URL's fragment, which no browser sends and no server logs.
4. **Role**: who holds the view token may only look.
5. **Size** of the body.
"""

from __future__ import annotations

import hashlib
import hmac
import http.cookies
import re
import secrets
import time
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import RequestError, to_problem
from app.settings import Settings
from app.wire import AccessRole

SESSION_PATH = "/api/session"
"""The one address below /api that needs no token: it takes one."""

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::[0-9]{1,5})?")
SAFE_METHODS = frozenset({"GET", "HEAD"})
TICKET_LIFE_S = 120.0

CLOSED_UNAUTHORIZED = 4401
"""Close code of a websocket without a valid session."""

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",  # stands last, because `security_headers` adds to it
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Tokens:
    """The secrets that let a client in, and what each lets it do. All comparisons take constant time.

    A browser's cookie is derived from the token and is not the token: browsers send cookies to every port of a host,
    so another local server could read it. It outlives a restart of the server as long as the token does.
    """

    def __init__(self, operator: str, viewer: str | None = None) -> None:
        self._tokens: dict[AccessRole, bytes] = {"operator": operator.encode()}
        if viewer is not None:
            self._tokens["viewer"] = viewer.encode()
        self._cookies = {role: _derive(token, role).encode() for role, token in self._tokens.items()}
        self._ticket: tuple[bytes, float] = (b"", 0.0)

    @classmethod
    def of(cls, settings: Settings) -> Tokens:
        """The tokens of these settings."""
        viewer = settings.view_token
        return cls(settings.token.get_secret_value(), viewer.get_secret_value() if viewer else None)

    def role_of_token(self, token: str) -> AccessRole | None:
        """What a bearer of `token` may do; None: nothing."""
        return _match(self._tokens, token)

    def role_of_cookie(self, cookie: str) -> AccessRole | None:
        """What a browser with this cookie may do; None: nothing."""
        return _match(self._cookies, cookie)

    def cookie(self, role: AccessRole) -> str:
        """The value of the cookie for `role`."""
        return self._cookies[role].decode()

    def issue_ticket(self) -> str:
        """A stand-in for the operator's token that works once, for two minutes.

        It is what a browser is started with: a program's arguments can be read by every user of the machine.
        """
        ticket = secrets.token_urlsafe(32)
        self._ticket = (ticket.encode(), time.monotonic() + TICKET_LIFE_S)
        return ticket

    def redeem(self, token: str) -> AccessRole | None:
        """What a client that presents a token or the ticket may do. A ticket is used up by this."""
        ticket, expires = self._ticket
        if ticket and hmac.compare_digest(ticket, token.encode()):
            self._ticket = (b"", 0.0)
            return "operator" if time.monotonic() < expires else None
        return self.role_of_token(token)


def _derive(token: bytes, role: str) -> str:
    return hmac.new(token, b"loaderscope session " + role.encode(), hashlib.sha256).hexdigest()


def _match(secrets_of_roles: dict[AccessRole, bytes], presented: str) -> AccessRole | None:
    found: AccessRole | None = None
    for role, secret in secrets_of_roles.items():  # no early exit: the time taken tells nothing
        if hmac.compare_digest(secret, presented.encode()):
            found = role
    return found


def cookie_name(host: str) -> str:
    """The session cookie's name for a server called as `host`: with its port, because cookies know no ports."""
    port = host.rpartition(":")[2]
    return f"loaderscope_{port if port.isdigit() else 'default'}"


class Guard:
    """The middleware. Puts `state["role"]` into the scope of what it lets through."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens,
        allowed_hosts: Iterable[str] = (),
        embed: Iterable[str] = (),
        max_body_bytes: int = 1024**2,
    ) -> None:
        """`embed`: origins of other pages that may show ours in a frame."""
        self._app = app
        self._tokens = tokens
        self._hosts = LOOPBACK_NAMES | frozenset(allowed_hosts)
        self._headers = security_headers(embed)
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the server for each request, websocket and the lifespan."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        guarded = with_headers(scope, send, self._headers)
        try:
            role = self._admit(scope)
        except RequestError as refusal:
            await refuse(scope, guarded, refusal)
            return
        scope.setdefault("state", {})["role"] = role
        await self._app(scope, self._bounded(receive), guarded)

    def _admit(self, scope: Scope) -> AccessRole | None:
        """The caller's role; None for what is public. Raises RequestError."""
        headers = Headers(scope=scope)
        host = self._check_host(headers)
        role, by_bearer = self._identify(headers, host)
        self._check_origin(scope, headers, host, by_bearer=by_bearer)
        if role is None and not _is_public(scope):
            raise RequestError(
                "this needs the token: open the address that `loaderscope serve` printed",
                status=401,
                code="token_missing",
            )
        if role == "viewer" and not (_is_safe(scope) or scope["type"] == "websocket" or scope["path"] == SESSION_PATH):
            raise RequestError(
                "the view token lets you look, not start, stop or change anything", status=403, code="view_only"
            )
        self._check_length(headers)
        return role

    def _check_host(self, headers: Headers) -> str:
        """The Host header, in lower case. Raises RequestError."""
        values = headers.getlist("host")
        if len(values) == 1:
            host = values[0].lower()
            match = AUTHORITY.fullmatch(host)
            if match and (match[1] in self._hosts or host in self._hosts):
                return host
        raise RequestError(
            "this server is not called by that name: use 127.0.0.1 or localhost, or add the name to "
            "LOADERSCOPE_ALLOWED_HOSTS",
            status=421,
            code="host_refused",
        )

    def _identify(self, headers: Headers, host: str) -> tuple[AccessRole | None, bool]:
        """The caller's role, and whether a bearer token told it."""
        authorizations = headers.getlist("authorization")
        if authorizations:
            scheme, _, token = authorizations[0].partition(" ")
            role = self._tokens.role_of_token(token.strip()) if scheme.lower() == "bearer" else None
            if role is None or len(authorizations) > 1:
                raise RequestError("the bearer token is not this server's", status=401, code="token_refused")
            return role, True
        cookies = http.cookies.SimpleCookie()
        try:
            cookies.load("; ".join(headers.getlist("cookie")))
        except http.cookies.CookieError:
            return None, False
        session = cookies.get(cookie_name(host))
        return (self._tokens.role_of_cookie(session.value) if session else None), False

    def _check_origin(self, scope: Scope, headers: Headers, host: str, *, by_bearer: bool) -> None:
        """Raises RequestError for a caller that is, or may be, the page of another site."""
        origins = headers.getlist("origin")
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        if origins:
            allowed = origins == [f"{scheme}://{host}"]
        elif by_bearer:
            allowed = True
        elif _is_safe(scope):
            # A link from another site may open the front end; its data only goes to its own pages.
            allowed = _is_public(scope) or headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        else:
            allowed = False
        if not allowed:
            raise RequestError("a page of another site asked for this", status=403, code="origin_refused")

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` that counts a body sent without its length, in pieces. FastAPI lets an HTTPException through."""
        received_bytes = 0

        async def bounded() -> Message:
            nonlocal received_bytes
            message = await receive()
            if message["type"] == "http.request":
                received_bytes += len(message.get("body", b""))
                if received_bytes > self._max_body_bytes:
                    raise HTTPException(413)
            return message

        return bounded

    def _check_length(self, headers: Headers) -> None:
        """Refuses by the announced length, before anything is read."""
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._max_body_bytes:
            raise RequestError(
                f"the request has {length} bytes, more than the {self._max_body_bytes} that this server takes",
                status=413,
                code="body_too_large",
            )


def _is_safe(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in SAFE_METHODS


def _is_public(scope: Scope) -> bool:
    path = scope["path"]
    if scope["type"] == "http" and path == SESSION_PATH:
        return True
    return _is_safe(scope) and path != "/api" and not path.startswith("/api/")


def security_headers(embed: Iterable[str]) -> dict[str, str]:
    """The security headers of a server whose page may be shown in a frame by pages of these origins, and its own."""
    name = "content-security-policy"
    return SECURITY_HEADERS | {name: " ".join([SECURITY_HEADERS[name], *sorted(embed)])}


def with_headers(scope: Scope, send: Send, added: Mapping[str, str]) -> Send:
    """`send` that adds the security headers to each response, and `no-store` to what is not public."""

    async def guarded(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in added.items():
                headers[name] = value
            if not _is_public(scope) or scope["path"] == SESSION_PATH:
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return guarded


async def refuse(scope: Scope, send: Send, refusal: RequestError) -> None:
    """Answers a request or a websocket's handshake with the refusal, as JSON.

    A page cannot read the answer to a handshake. Without a valid session, and of our own origin, it is told by a close
    code instead, so that it stops trying.
    """
    status, problem = to_problem(refusal)
    if scope["type"] == "websocket" and status == 401:
        subprotocol = next(iter(scope["subprotocols"]), None)
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        await send({"type": "websocket.close", "code": CLOSED_UNAUTHORIZED, "reason": problem.code})
        return
    body = problem.model_dump_json(exclude_none=True).encode()
    prefix = "http" if scope["type"] == "http" else "websocket.http"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
