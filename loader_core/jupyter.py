"""The dashboard below a cell of a notebook: `%load_ext loader_core`, and `%loaderscope` to have it again.

It is a frame with the page of a server that runs already. Which pages may frame it is the server's to say
(`loaderscope serve --embed ORIGIN`), so the notebook's own page decides: where it may not, or where no server runs, a
hint stands in the frame's place, with the command to start one. What is saved with the notebook is a token that works
once, and for two minutes.

IPython is needed only here, and nothing else of the project imports this module.
"""

from __future__ import annotations

import itertools
import json
import os
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from loader_core.trace.home import NOTE, home

ANSWER_S = 5.0
HEIGHT_PX = 640

VIEWS = ("explore", "learn", "diagnose")

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its port, the origins that may frame it, and a token that lets a page in once."""

    port: int
    embed: tuple[str, ...]
    ticket: str


def load(shell: Any) -> None:
    """Called by IPython for `%load_ext loader_core`: defines `%loaderscope` and shows the view once."""
    shell.register_magic_function(_magic, "line", "loaderscope")
    _show("explore")


def _magic(line: str) -> None:
    """%loaderscope [explore | learn | diagnose]: the dashboard below this cell."""
    view = line.strip() or VIEWS[0]
    if view not in VIEWS:
        raise ValueError(f"%loaderscope {view}: there are {', '.join(VIEWS)}")
    _show(view)


def _show(view: str) -> None:
    from IPython.display import HTML, display  # only where there is IPython

    display(HTML(page(find_server(), view)))  # type: ignore[no-untyped-call, unused-ignore]


def find_server() -> Server | None:
    """The server of this user that runs now; None where there is none, or where it does not let us in."""
    try:
        note = json.loads((home() / NOTE).read_text("utf-8"))
        address, embed = str(note["address"]), tuple(str(origin) for origin in note.get("embed", ()))
        port = urlsplit(address).port
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not address.startswith("http://"):
        return None
    token = note.get("token") or os.environ.get("LOADERSCOPE_TOKEN", "")
    ticket = _ticket(address, token)
    return None if ticket is None or port is None else Server(port, embed, ticket)


def _ticket(address: str, token: str) -> str | None:
    request = urllib.request.Request(  # noqa: S310 - the address is http, of this machine
        f"{address}/api/tickets", method="POST", headers={"authorization": f"Bearer {token}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWER_S) as answer:
            return str(json.load(answer)["ticket"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None


def page(server: Server | None, view: str) -> str:
    """The HTML below the cell. The notebook's own page knows by which name it is called, and so fills it in.

    A cookie is the page's only within one site, and `localhost` is another site than `127.0.0.1`: the frame calls the
    server by the name by which the notebook was called.
    """
    number = f"loaderscope-{os.getpid()}-{next(_numbers)}"
    told = json.dumps(
        {
            "port": server.port if server else 0,
            "embed": list(server.embed) if server else [],
            "path": f"/?view={view}#token={server.ticket}" if server else "",
            "height": HEIGHT_PX,
        }
    ).replace("<", "\\u003c")
    return f"""\
<div id="{number}" style="font: 14px/1.5 system-ui">
Loaderscope: start it with <code>loaderscope serve --embed ORIGIN</code>, where ORIGIN is the address of this notebook,
such as <code>http://localhost:8888</code>; then run this cell again.</div>
<script>
(() => {{
  const told = {told};
  const place = document.getElementById("{number}");
  if (!place) return;
  if (told.embed.includes(location.origin)) {{
    const frame = document.createElement("iframe");
    frame.src = `http://${{location.hostname}}:${{told.port}}${{told.path}}`;
    frame.title = "Loaderscope";
    frame.style.cssText = `width: 100%; height: ${{told.height}}px; border: 0`;
    place.replaceChildren(frame);
  }} else if (location.origin !== "null") {{
    place.querySelector("code").textContent = `loaderscope serve --embed ${{location.origin}}`;
  }}
}})();
</script>"""
