"""The listening socket and uvicorn around the app."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.live import ABORT
from app.wire import MAX_CLIENT_MESSAGE_BYTES

PORTS_TRIED = 20
SEND_BUFFER_BYTES = 128 * 1024
"""Of each connection in the kernel: what a client that stops reading can hold back there (Linux doubles it)."""

SHUTDOWN_S = 1
"""How long open connections may take to end; then they are cut."""


class PortTakenError(Exception):
    """No port to listen on. The text says which were tried, and what to do."""


def listen(host: str, port: int, *, only_this: bool) -> socket.socket:
    """A listening socket on `port`, or, unless `only_this`, on one of the next free ones. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port if only_this or port == 0 else min(port + PORTS_TRIED - 1, 65_535)
    for candidate in range(port, last + 1):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        try:
            listener.bind((host, candidate))
            # SO_REUSEADDR lets two sockets bind while neither listens: only this tells that the port is ours.
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES) and candidate < last:
                continue
            raise PortTakenError(_taken(host, port, last, error)) from error
        return listener
    raise AssertionError("unreachable: the last candidate returns or raises")


def _taken(host: str, first: int, last: int, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {host} port {first}: {error.strerror}"
    ports = f"port {first} of {host} is" if first == last else f"ports {first} to {last} of {host} are all"
    return f"{ports} taken by another program: use --port with another one, or --port 0 for any free one"


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's websocket, whose application can drop the connection without waiting for what is still to be sent."""

    async def run_asgi(self) -> None:
        """Called by uvicorn once per websocket."""
        self.scope["state"][ABORT] = self.transport.abort
        await super().run_asgi()


class Server(uvicorn.Server):
    """uvicorn that says when it is ready."""

    def __init__(self, app: ASGIApp, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws=AbortableWebSocket,
                ws_max_size=MAX_CLIENT_MESSAGE_BYTES,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=SHUTDOWN_S,
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn; returns when requests are answered."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def serve_until_stopped(self, listener: socket.socket) -> None:
        """Serves until SIGINT or SIGTERM; then open websockets are closed and runs stopped, in under two seconds."""
        try:
            self.run(sockets=[listener])
        except KeyboardInterrupt:
            return
        finally:
            listener.close()
