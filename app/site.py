"""The public files: the built front end, and the plotly.js of the installed plotly package.

A request names a file of a list made from the folder, and never a path: there is nothing to traverse.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.metadata
import importlib.util
import mimetypes
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from app.problems import NotFoundError, RequestError
from app.security import refuse

PLOTLY_PATH = "/vendor/plotly.min.js"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
HASHED_FOLDER = "assets/"
"""Vite writes a file's hash into its name here, so such a file never changes."""

MISSING_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Loaderscope</title>
<body style="font: 1.1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>Loaderscope</h1>
<p>The server runs, but its page has not been built. Stop the server, then run
<code>python3 run.py</code>, which builds it (or, in <code>frontend</code>,
<code>npm ci</code> and <code>npm run build</code>).</p>
<p lang="es">El servidor funciona, pero su página aún no se ha construido. Detén el servidor y ejecuta
<code>python3 run.py</code>, que la construye.</p>
"""


class Site:
    """The ASGI app of everything outside `/api`. Knows GET and HEAD only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called for each request that no route took."""
        if scope["type"] != "http":
            await refuse(scope, send, NotFoundError("there is no websocket at this address"))
            return
        request = Request(scope)
        if request.method not in ("GET", "HEAD"):
            raise RequestError("this address can only be read", status=405, code="method_not_allowed")
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path: str = request.scope["path"]
        if path.startswith("/vendor/"):
            return await _respond_plotly(request)
        name = path.removeprefix("/")
        files = await asyncio.to_thread(list_files, self._folder)
        if "index.html" not in files:
            return HTMLResponse(MISSING_PAGE, status_code=503)
        file = files.get(name or "index.html")
        if file is None:
            raise NotFoundError("there is no such page: the dashboard is at /")
        caching = FOR_EVER if name.startswith(HASHED_FOLDER) else ASK_AGAIN
        return FileResponse(file, headers={"cache-control": caching})


def list_files(folder: Path) -> dict[str, Path]:
    """The files below `folder` by their names in a URL; no links. Made anew each time: a build may replace them."""
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


async def _respond_plotly(request: Request) -> Response:
    """plotly.js under a name that has its version in it, so that a browser may keep it for ever; its plain name leads
    there."""
    versioned = PLOTLY_PATH.replace(".min.js", f"-{importlib.metadata.version('plotly')}.min.js")
    if request.scope["path"] == PLOTLY_PATH:
        return RedirectResponse(versioned, headers={"cache-control": ASK_AGAIN})
    if request.scope["path"] != versioned:
        raise NotFoundError(f"there is only {PLOTLY_PATH} here")
    headers = {"cache-control": FOR_EVER, "vary": "accept-encoding"}
    if "gzip" in Headers(scope=request.scope).get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = await asyncio.to_thread(_plotly_compressed)
    else:
        body = await asyncio.to_thread(plotly_path().read_bytes)
    headers["etag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Response(body, media_type=mimetypes.types_map[".js"], headers=headers)


@cache
def _plotly_compressed() -> bytes:
    """1.5 instead of 4.8 MB; made at the first request and kept."""
    return gzip.compress(plotly_path().read_bytes(), 6, mtime=0)


def plotly_path() -> Path:
    """Where the installed plotly package has its JavaScript; found without importing the package."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"
