"""The `loaderscope` command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.host import Host, version
from app.problems import RequestError
from app.run_options import add_run_options, run_settings
from app.runs import RunStore
from app.settings import Settings, is_loopback
from app.wire import RunSummary
from loader_core.errors import LoaderscopeError
from loader_core.trace import export
from loader_core.trace.run_file import RUN_FILE
from loader_core.trace.trace import Trace

PROGRESS_INTERVAL_S = 0.5
SHOWN_RUNS = 50

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it: 128 + SIGINT."""

TERMINATED = 143
"""The same after SIGTERM."""

out = Console(soft_wrap=True, highlight=False)
err = Console(soft_wrap=True, highlight=False, stderr=True)


class UsageError(Exception):
    """The command cannot be followed. The text says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code: 0, or 1 for what failed, or 2 for what cannot be done as asked."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ValidationError as error:
        err.print("\n".join(_sentences(error)), style="red", markup=False)
    except (UsageError, RequestError, LoaderscopeError) as error:
        err.print(str(error), style="red", markup=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 2


def _sentences(error: ValidationError) -> list[str]:
    """What is wrong with settings, one sentence each, without what was given: that may be a token."""
    return [
        ": ".join(filter(None, [".".join(str(part) for part in one["loc"]), one["msg"].removeprefix("Value error, ")]))
        for one in error.errors(include_input=False, include_url=False)
    ]


# --- what can be asked ------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("loaderscope", description="An oscilloscope for PyTorch data loaders.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="open the dashboard", description=serve_command.__doc__)
    _add_server_options(serve)
    serve.set_defaults(command=serve_command)

    opened = commands.add_parser("open", help="open the dashboard on a run", description=open_command.__doc__)
    opened.add_argument("run", help="a run's id, or its directory")
    _add_server_options(opened)
    opened.set_defaults(command=open_command)

    run = commands.add_parser("run", help="make a run without a dashboard", description=run_command.__doc__)
    _add_home(run)
    _add_data(run)
    run.add_argument("--json", action="store_true", help="print the run's summary as JSON, and no progress")
    add_run_options(run)
    run.set_defaults(command=run_command)

    listed = commands.add_parser("list", help="list the runs", description=list_command.__doc__)
    _add_home(listed)
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(command=list_command)

    exported = commands.add_parser("export", help="write a run in another form", description=export_command.__doc__)
    exported.add_argument("run", help="a run's id, or its directory")
    _add_home(exported)
    form = exported.add_mutually_exclusive_group(required=True)
    form.add_argument("--perfetto", metavar="FILE", help="a Chrome trace, for ui.perfetto.dev; - for standard output")
    form.add_argument("--summary", nargs="?", const="-", metavar="FILE", help="the run in numbers, as JSON")
    exported.set_defaults(command=export_command)

    versions = commands.add_parser("version", help="print the versions", description=version_command.__doc__)
    versions.set_defaults(command=version_command)
    return parser


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, help="folder of the recordings (LOADERSCOPE_HOME)")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, action="append", metavar="DIR", help="your own samples; may be given several times"
    )


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    _add_home(parser)
    _add_data(parser)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8000, or the next free one); 0: any")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


def _settings(options: argparse.Namespace) -> Settings:
    """The environment's settings with what the command line says. Raises ValidationError."""
    given: dict[str, Any] = {
        name: value for name in ("home", "host", "port") if (value := getattr(options, name, None)) is not None
    }
    if getattr(options, "data", None):
        given["data"] = tuple(options.data)
    return Settings(**given)


# --- commands ---------------------------------------------------------------------------------------------------------


def serve_command(options: argparse.Namespace) -> int:
    """Serve the dashboard on this machine and open it in the browser. Ctrl-C ends it."""
    return _serve(_settings(options), browser=not options.no_browser)


def open_command(options: argparse.Namespace) -> int:
    """Serve the dashboard and open it on one run: by its id, or by the directory of a recording anywhere."""
    settings = _settings(options)
    directory = find_run(options.run, settings)
    imported = () if directory.parent == settings.runs_home.resolve() else (directory,)
    return _serve(settings, browser=not options.no_browser, imported=imported, run_id=directory.name)


def _serve(settings: Settings, *, browser: bool, imported: Sequence[Path] = (), run_id: str = "") -> int:
    # Only here: the other commands start in half the time without the server's packages.
    from app.main import create_app
    from app.server import PortTakenError, Server, listen

    try:
        listener = listen(settings.host, settings.port, only_this="port" in settings.model_fields_set)
    except PortTakenError as error:
        raise UsageError(str(error)) from error
    port: int = listener.getsockname()[1]
    app = create_app(settings, imported=imported)

    def announce() -> None:
        page = f"http://{_name_of(settings)}:{port}/" + (f"?run={quote(run_id)}" if run_id else "")
        out.print(f"Loaderscope {version('loaderscope')}", style="bold")
        out.print(f"  {page}#token={settings.token.get_secret_value()}", markup=False)
        if settings.view_token is not None:
            out.print(f"  {page}#token={settings.view_token.get_secret_value()}  (to look only)", markup=False)
        out.print(f"  Recordings: {settings.runs_home}. Ctrl-C ends.", style="dim", markup=False)
        if browser and _has_display():
            ticket = app.state.tokens.issue_ticket()
            # A browser that is started here may take seconds: not in the server's thread.
            threading.Thread(target=webbrowser.open, args=(f"{page}#token={ticket}",), daemon=True).start()

    Server(app, announce).serve_until_stopped(listener)
    return 0


def _name_of(settings: Settings) -> str:
    """By which name a browser calls the server, as it stands in a URL."""
    if not is_loopback(settings.host):
        return min(settings.allowed_hosts).partition(":")[0]
    return f"[{settings.host}]" if ":" in settings.host else settings.host


def _has_display() -> bool:
    """Whether a browser could open a window. Without one Python may start a browser of the terminal instead."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_command(options: argparse.Namespace) -> int:
    """Make a run with these settings, show how it goes, and keep the recording for `open` and `export`. Exit code 1 if
    it failed."""
    try:
        summary = asyncio.run(_run(options))
    except asyncio.CancelledError:
        return TERMINATED
    if options.json:
        out.print_json(summary.model_dump_json())
    else:
        out.print(_outcome(summary), markup=False)
    return 0 if summary.state in ("finished", "stopped") else 1


async def _run(options: argparse.Namespace) -> RunSummary:
    settings = _settings(options)
    wanted = run_settings(options)
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with RunStore(settings, Host(settings.data)) as store:
        run = await store.start(wanted)
        with contextlib.ExitStack() as screen:
            status = None if options.json else screen.enter_context(out.status(f"run {run.id} starts"))
            while True:
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(store.ended(run.id), PROGRESS_INTERVAL_S)
                if status is not None:
                    status.update(escape(_progress(store.summary(run.id))))


def _progress(run: RunSummary) -> str:
    return f"run {run.id}: {run.state}, {run.duration_ns / 1e9:.0f} s, {run.batches:,} batches, {run.samples:,} samples"


def _outcome(run: RunSummary) -> str:
    why = f": {run.reason}" if run.reason else ""
    seconds = run.duration_ns / 1e9
    speed = f", {run.samples / seconds:,.0f} samples/s" if seconds else ""
    return (
        f"run {run.id} {run.state}{why}\n"
        f"  {run.batches:,} batches, {run.samples:,} samples in {seconds:.1f} s{speed}\n"
        f"  loaderscope open {run.id}"
    )


def list_command(options: argparse.Namespace) -> int:
    """List the runs of the home folder, newest first."""

    async def summaries() -> list[RunSummary]:
        settings = _settings(options)
        async with RunStore(settings, Host()) as store:
            return store.summaries()

    runs = asyncio.run(summaries())
    if options.json:
        out.print_json(json.dumps([run.model_dump() for run in runs]))
        return 0
    table = Table("run", "name", "state", "seconds", "batches", "samples", "MB", box=None)
    for run in runs[:SHOWN_RUNS]:
        numbers = (
            f"{run.duration_ns / 1e9:.1f}",
            f"{run.batches:,}",
            f"{run.samples:,}",
            f"{run.bytes_on_disk / 1e6:.1f}",
        )
        table.add_row(run.id, escape(run.name), run.state, *numbers)
    out.print(table)
    if len(runs) > SHOWN_RUNS:
        out.print(f"... and {len(runs) - SHOWN_RUNS} more (--json has all)", markup=False)
    return 0


def export_command(options: argparse.Namespace) -> int:
    """Write a run as a trace for Perfetto, or in numbers."""
    trace = Trace.open(find_run(options.run, _settings(options)))
    target = options.perfetto or options.summary
    with contextlib.ExitStack() as files:
        stream = sys.stdout if target == "-" else files.enter_context(Path(target).open("w", encoding="utf-8"))
        if options.perfetto:
            export.perfetto(trace, stream)
        else:
            json.dump(export.summary(trace), stream, indent=1)
            stream.write("\n")
    if target != "-":
        out.print(f"wrote {target}", markup=False)
    return 0


def version_command(_: argparse.Namespace) -> int:
    """Print the versions of Loaderscope and of what it stands on."""
    out.print(f"loaderscope {version('loaderscope') or 'not installed'}, torch {version('torch') or 'not installed'}")
    return 0


def find_run(text: str, settings: Settings) -> Path:
    """The directory of a run, named by its id or by its path. Raises UsageError."""
    for directory in (settings.runs_home / text, Path(text)):
        if (directory / RUN_FILE).is_file():
            return directory.resolve()
    raise UsageError(f"there is no run {text!r}: neither in {settings.runs_home} nor as a directory with {RUN_FILE}")
