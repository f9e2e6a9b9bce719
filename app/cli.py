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
from urllib.parse import quote

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.asked import UsageError, add_data, add_home, add_lang, find_run, settings_of, writing
from app.host import Host, version
from app.presence import announced, running_server, ticket
from app.problems import RequestError
from app.run_options import add_run_options, run_settings
from app.runs import RunStore
from app.script import DEFAULT_DETAIL, DETAILS, ScriptProcess, environment, leave_like, overriding
from app.script_summary import seen_of, show
from app.settings import Settings, is_loopback
from app.tune_command import add_tune_options, run_tune
from app.verdict_commands import add_verdict_commands
from app.wire import RunSummary
from loader_core.errors import LoaderscopeError
from loader_core.lessons.recording import OWN_SECONDS, run_file
from loader_core.start import MOST_HEADROOM_STEPS, new_group
from loader_core.trace import export
from loader_core.trace.home import runs_home
from loader_core.trace.trace import Trace

PROGRESS_INTERVAL_S = 0.5
SHOWN_RUNS = 50

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count it: 128 + SIGINT."""

TERMINATED = 143
"""The same after SIGTERM."""

out = Console(soft_wrap=True, highlight=False)
err = Console(soft_wrap=True, highlight=False, stderr=True)


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

    learn = commands.add_parser("learn", help="open the lessons", description=learn_command.__doc__)
    learn.add_argument("--mine", type=Path, metavar="FILE", help="step through your own Python file instead")
    learn.add_argument("--call", default="", metavar="EXPR", help="with --mine: walk through what EXPR gives in FILE")
    _add_server_options(learn)
    learn.set_defaults(command=learn_command)

    run = commands.add_parser(
        "run",
        help="run your own script and observe its loaders",
        usage="loaderscope run [options] (SCRIPT | -m MODULE) [arguments of the script ...]",
        description=run_command.__doc__,
    )
    add_home(run)
    run.add_argument("--detail", choices=DETAILS, help=f"how much is recorded ({DEFAULT_DETAIL})")
    run.add_argument(
        "--headroom",
        type=int,
        metavar="STEPS",
        default=0,
        help="measure what a perfect loader would give: repeat ten batches for so many steps of the training",
    )
    run.add_argument(
        "--with",
        dest="changes",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change an argument of the script's loaders, as num_workers=4: to measure what a verdict promises",
    )
    run.add_argument("--at", default="", metavar="PLACE", help="with --with: of the loader made there, as train.py:41")
    run.add_argument("--name", help="stands before the names of the runs in the list")
    run.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE", help="run a module, as python -m")
    run.add_argument("script", nargs=argparse.REMAINDER, metavar="SCRIPT", help="the script, then its own arguments")
    run.set_defaults(command=run_command)

    demo = commands.add_parser(
        "demo", help="load a sample dataset without a dashboard", description=demo_command.__doc__
    )
    add_home(demo)
    add_data(demo)
    demo.add_argument("--json", action="store_true", help="print the run's summary as JSON, and no progress")
    add_run_options(demo)
    demo.set_defaults(command=demo_command)

    tuned = commands.add_parser(
        "tune",
        help="look for faster arguments of a loader",
        usage="loaderscope tune [options] [SCRIPT [arguments of the script ...]]",
        description=tune_command.__doc__,
    )
    add_home(tuned)
    add_data(tuned)
    add_tune_options(tuned)
    tuned.set_defaults(command=tune_command)

    listed = commands.add_parser("list", help="list the runs", description=list_command.__doc__)
    add_home(listed)
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(command=list_command)

    told = commands.add_parser("summary", help="what a run tells", description=summary_command.__doc__)
    told.add_argument("run", help="a run's id, or its directory")
    add_home(told)
    add_lang(told)
    told.set_defaults(command=summary_command)

    add_verdict_commands(commands)

    exported = commands.add_parser("export", help="write a run in another form", description=export_command.__doc__)
    exported.add_argument("run", help="a run's id, or its directory")
    add_home(exported)
    form = exported.add_mutually_exclusive_group(required=True)
    form.add_argument("--perfetto", metavar="FILE", help="a Chrome trace, for ui.perfetto.dev; - for standard output")
    form.add_argument("--summary", nargs="?", const="-", metavar="FILE", help="the run in numbers, as JSON")
    exported.set_defaults(command=export_command)

    versions = commands.add_parser("version", help="print the versions", description=version_command.__doc__)
    versions.set_defaults(command=version_command)
    return parser


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    add_home(parser)
    add_data(parser)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8000, or the next free one); 0: any")
    parser.add_argument(
        "--embed",
        action="append",
        metavar="ORIGIN",
        help="let pages of ORIGIN show the dashboard in a frame: a notebook's",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


# --- commands ---------------------------------------------------------------------------------------------------------


def serve_command(options: argparse.Namespace) -> int:
    """Serve the dashboard on this machine and open it in the browser. Ctrl-C ends it."""
    return _serve(settings_of(options), browser=not options.no_browser)


def open_command(options: argparse.Namespace) -> int:
    """Open the dashboard on one run: by its id, or by the directory of a recording anywhere. A dashboard of yours that
    runs already shows it; else one is served until Ctrl-C."""
    settings = settings_of(options)
    directory = find_run(options.run, settings)
    elsewhere = directory.parent != settings.runs_home.resolve()
    own = elsewhere or any(getattr(options, name) is not None for name in ("host", "port", "data", "embed"))
    server = None if own else running_server(settings)
    query = f"?run={quote(directory.name)}"
    if server is None:
        imported = (directory,) if elsewhere else ()
        return _serve(settings, browser=not options.no_browser, imported=imported, query=query)
    return _open_page(server, query, browser=not options.no_browser)


def learn_command(options: argparse.Namespace) -> int:
    """Open the lessons, from an iterator to a training loop. With --mine, step through a Python file of your own: as a
    script, or, with --call "squares(10)", through what that expression gives. Ctrl-C ends it."""
    settings = settings_of(options)
    if options.call and options.mine is None:
        raise UsageError("--call says what to walk through in a file: name the file with --mine FILE")
    if options.mine is not None:
        # What is wrong with the file is better said here than in the page.
        out.print(f"Running {options.mine.name}, for {OWN_SECONDS:g} s at most.", markup=False)
        run_file(options.mine, options.call)
        mine = options.mine.resolve()
        query = "?view=learn&lesson=mine"
        return _serve(settings, browser=not options.no_browser, query=query, mine=mine, call=options.call)
    own = any(getattr(options, name) is not None for name in ("host", "port", "data", "embed"))
    server = None if own else running_server(settings)
    if server is None:
        return _serve(settings, browser=not options.no_browser, query="?view=learn")
    return _open_page(server, "?view=learn", browser=not options.no_browser)


def _open_page(server: tuple[str, str], query: str, *, browser: bool) -> int:
    """Show a page of a server that runs already."""
    address, token = server
    out.print(f"{address}/{query}#token={token}", markup=False)
    if browser and _has_display() and (entry := ticket(address, token)) is not None:
        webbrowser.open(f"{address}/{query}#token={entry}")
    return 0


def _serve(
    settings: Settings,
    *,
    browser: bool,
    imported: Sequence[Path] = (),
    query: str = "",
    mine: Path | None = None,
    call: str = "",
) -> int:
    # Only here: the other commands start in half the time without the server's packages.
    from app.main import create_app
    from app.server import PortTakenError, Server, listen

    try:
        listener = listen(settings.host, settings.port, only_this="port" in settings.model_fields_set)
    except PortTakenError as error:
        raise UsageError(str(error)) from error
    port: int = listener.getsockname()[1]
    app = create_app(settings, imported=imported, mine=mine, call=call)

    address = f"http://{_name_of(settings)}:{port}"

    def announce() -> None:
        page = f"{address}/{query}"
        out.print(f"Loaderscope {version('loaderscope')}", style="bold")
        out.print(f"  {page}#token={settings.token.get_secret_value()}", markup=False)
        if settings.view_token is not None:
            out.print(f"  {page}#token={settings.view_token.get_secret_value()}  (to look only)", markup=False)
        out.print(f"  Recordings: {settings.runs_home}. Ctrl-C ends.", style="dim", markup=False)
        if browser and _has_display():
            entry = app.state.tokens.issue_ticket()
            # A browser that is started here may take seconds: not in the server's thread.
            threading.Thread(target=webbrowser.open, args=(f"{page}#token={entry}",), daemon=True).start()

    with announced(settings, address):
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
    """Run a Python script, or a module with -m, as python would, and observe every torch DataLoader in it. The script
    needs no change; its output, its signals and its exit code are its own. At the end a table on standard error says
    what was seen. LOADERSCOPE=1 in the environment does the same for any python, such as the children of torchrun.
    """
    arguments = ["-m", *options.module] if options.module else options.script
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments or arguments == ["-m"]:
        raise UsageError("name the script: loaderscope run train.py, or loaderscope run -m package.module")
    if not 0 <= options.headroom <= MOST_HEADROOM_STEPS:
        raise UsageError(f"--headroom {options.headroom}: say 1 to {MOST_HEADROOM_STEPS} steps, or leave it out")
    folder, group = runs_home(options.home), new_group()
    variables = environment(options.detail, options.name, options.home, group, headroom=options.headroom)
    variables |= overriding(options.changes, options.at)
    try:
        process = ScriptProcess(arguments, variables)
    except OSError as error:
        raise UsageError(f"{sys.executable} cannot be started: {error.strerror}") from error
    returncode = process.wait()
    with contextlib.suppress(BrokenPipeError):  # nobody reads what we say: the script's exit counts all the same
        seen = seen_of(group, folder, script=process.pid, returncode=returncode)
        show(seen, folder, err, returncode=returncode)
    return leave_like(returncode)


def demo_command(options: argparse.Namespace) -> int:
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
    settings = settings_of(options)
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


def tune_command(options: argparse.Namespace) -> int:
    """Look for faster arguments of a loader: predict them from one short observed run, measure the best few against the
    arguments as they are, in turn, and print the line to change with the gain that was measured. Without a script it
    tunes a sample dataset with the settings given.
    """
    run_tune(options, settings_of(options), out)
    return 0


def list_command(options: argparse.Namespace) -> int:
    """List the runs of the home folder, newest first."""

    async def summaries() -> list[RunSummary]:
        settings = settings_of(options)
        async with RunStore(settings, Host()) as store:
            return await store.looked_at()

    runs = asyncio.run(summaries())
    if options.json:
        out.print_json(json.dumps([run.model_dump() for run in runs]))
        return 0
    if not runs:
        out.print("There are no runs yet. Record one: loaderscope run train.py", markup=False)
        return 0
    table = Table(box=None)
    table.add_column("run", no_wrap=True)  # what other commands ask for
    table.add_column("name", overflow="fold")
    table.add_column("state", no_wrap=True)
    for column in ("seconds", "batches", "samples", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
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


def summary_command(options: argparse.Namespace) -> int:
    """Print where the time of a run went: its budget, stalls and their causes, slowest samples, memory, correctness."""
    from app.summary import print_summary

    print_summary(find_run(options.run, settings_of(options)), out, lang=options.lang)
    return 0


def export_command(options: argparse.Namespace) -> int:
    """Write a run as a trace for Perfetto, or in numbers."""
    trace = Trace.open(find_run(options.run, settings_of(options)))
    target = options.perfetto or options.summary
    with writing(target), contextlib.ExitStack() as files:
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
