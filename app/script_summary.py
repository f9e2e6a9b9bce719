"""What the terminal shows when an observed script is over: a line per loader, how to see more, and the verdict."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.process import reason_of_death
from app.proof import proof_of
from app.reports.terminal import print_in_short
from app.reports.words import TEXTS, proven
from app.scores import Scores
from app.summary import print_summary, system_lang
from loader_core.diagnose.verdict import judge_run
from loader_core.diagnose.verdict_types import Code, Finding, Verdict
from loader_core.errors import TraceError
from loader_core.observe.override import ARGUMENTS
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.recording import seal
from loader_core.trace.run_file import RUN_FILE, RunHeader, read_run_file
from loader_core.trace.trace import Trace

MOST_SHOWN = 20
"""Loaders in the table; of more, those that were waited for longest."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run came to."""

    id: str
    name: str
    state: str
    reason: str
    batches: int
    samples: int
    wait_ns: int
    step_ns: int
    longest_ns: int
    """The longest wait for a batch but the first of an epoch, which includes the start of the workers."""
    longest_batch: int
    truncated: str

    @property
    def wait_share(self) -> float | None:
        """Of the time that the script spent in loops over this loader; None where there was none."""
        total = self.wait_ns + self.step_ns
        return self.wait_ns / total if total else None

    @property
    def samples_per_s(self) -> float | None:
        """In the time spent in loops over this loader; None where it is not known."""
        total = self.wait_ns + self.step_ns
        return self.samples * 1e9 / total if total and self.samples > 0 else None


def seen_of(group: str, runs_home: Path, *, script: int, returncode: int) -> list[Seen]:
    """What the runs of one command came to, the first begun first. Those that could not say themselves how they ended,
    because their process is gone, are told it. `script`: the process that was waited for, and how it ended.
    """
    found = []
    for directory, header in runs_of(group, runs_home):
        with contextlib.suppress(TraceError, OSError):
            _close(directory, header, script=script, returncode=returncode)
            found.append(look(directory))
    return found


def runs_of(group: str, runs_home: Path) -> list[tuple[Path, RunHeader]]:
    """The recordings of one command, the first begun first."""
    found = []
    for path in runs_home.glob(f"*/{RUN_FILE}"):
        try:
            header = read_run_file(path.parent)
        except TraceError:
            continue
        if header.script is not None and header.script.get("group") == group:
            found.append((path.parent, header))
    return sorted(found, key=lambda run: (run[1].started_unix_ns, run[0].name))


def _close(directory: Path, header: RunHeader, *, script: int, returncode: int) -> None:
    if not header.live or psutil.pid_exists(header.pid):
        return
    if header.pid == script and returncode < 0:
        seal(directory, "failed", reason_of_death(returncode, directory))
    else:
        seal(directory, "interrupted", f"its process {header.pid} ended without a word")


def look(directory: Path) -> Seen:
    """Read what a run came to. Raises TraceError."""
    trace = Trace.open(directory)
    trace.refresh()
    rollup = trace.rollup()
    waits = trace.window(0, trace.duration_ns + 1, {Kind.WAIT_BATCH})
    waits = waits[(waits["batch"] != NO_BATCH) & _goes_on(waits["epoch"])]
    lengths = waits["end"] - waits["start"]
    longest = int(lengths.argmax()) if len(lengths) else None
    return Seen(
        id=directory.name,
        name=trace.run.name,
        state=trace.run.state,
        reason=trace.run.reason,
        batches=trace.batches,
        samples=trace.samples,
        wait_ns=int(rollup["wait_ns"].sum()),
        step_ns=int(rollup["step_ns"].sum()),
        longest_ns=0 if longest is None else int(lengths[longest]),
        longest_batch=NO_BATCH if longest is None else int(waits["batch"][longest]),
        truncated=trace.truncated,
    )


def _goes_on(epochs: object) -> object:
    """Which waits are not the first of their epoch."""
    import numpy as np

    column = np.asarray(epochs)
    return np.concatenate([[False], column[1:] == column[:-1]]) if len(column) else column.astype(bool)


def show(seen: list[Seen], runs_home: Path, screen: Console, *, returncode: int = 0) -> None:
    """Print the table, what went wrong, and how to open it. `returncode`: how the script ended."""
    if not seen:
        why = "the script iterated over no DataLoader that could be observed"
        if returncode > 0:
            why = f"the script ended with exit code {returncode} before it iterated over a DataLoader"
        screen.print(f"Loaderscope: nothing was recorded: {why}.", style="dim")
        return
    table = Table(box=None, padding=(0, 1), title="Loaderscope", title_justify="left", title_style="bold")
    for column in ("loader, run", "batches", "samples/s", "waiting", "longest wait"):
        table.add_column(column, justify="left" if column.startswith("loader") else "right", overflow="fold")
    shown = sorted(seen, key=lambda run: -run.wait_ns)[:MOST_SHOWN]
    for run in (run for run in seen if run in shown):
        name, *numbers = map(escape, _cells(run))
        table.add_row(f"{name}\n[dim]{run.id}", *numbers)
    screen.print(table)
    if len(seen) > len(shown):
        screen.print(f"... and {len(seen) - len(shown)} more (loaderscope list)", style="dim")
    for run in shown:
        for said in filter(None, (run.reason if run.state != "finished" else "", run.truncated)):
            screen.print(f"{run.name}: {run.state}: {said}", markup=False, style="yellow")
    _tell_of(shown[0], runs_home, screen)
    screen.print(f"\nSee it: loaderscope open {shown[0].id}", markup=False)
    screen.print(f"Recorded in {runs_home}", markup=False, style="dim")
    _prove(shown[0], runs_home, screen)
    _judge(shown[0], runs_home, screen)


def _tell_of(run: Seen, runs_home: Path, screen: Console) -> None:
    """The loader that was waited for longest, in a few lines: where its time went, and what is wrong with it."""
    if run.batches:
        screen.print(f"\n{run.name}", markup=False, style="bold underline")
        with contextlib.suppress(TraceError, OSError):
            print_summary(runs_home / run.id, screen, brief=True)


def _prove(run: Seen, runs_home: Path, screen: Console) -> None:
    """What its other arguments were predicted to give by the run before, and gave."""
    lang = system_lang()
    with contextlib.suppress(TraceError, OSError):
        proof = proof_of(runs_home / run.id, Scores(runs_home.parent)) if run.batches else None
        if proof is not None:
            since = TEXTS["since"].format(run=proof.of)
            said = getattr(since, lang), getattr(proven(proof), lang)
            screen.print("\n{}: {}".format(*said), markup=False, style="bold green")


def _judge(run: Seen, runs_home: Path, screen: Console) -> None:
    """What holds that loader back, and the line to change: the last thing that is said."""
    if run.batches:
        with contextlib.suppress(TraceError, OSError):
            verdict, lang = judge_run(runs_home / run.id), system_lang()
            header = read_run_file(runs_home / run.id)
            for finding in worth_saying(verdict):
                screen.print()
                print_in_short(verdict, finding, screen, lang)
                command = command_to_measure(header, finding)
                if command:
                    screen.print(f"  {getattr(TEXTS['measure'], lang)} {command}", markup=False, soft_wrap=True)


def worth_saying(verdict: Verdict) -> list[Finding]:
    """The top finding; where that is a danger, also the first about waiting: one is no answer to the other."""
    first, *others = verdict.findings
    if first.share is not None or first.code in (Code.LOADER_OK, Code.UNDETERMINED):
        return [first]
    return [first, *[finding for finding in others if finding.share is not None][:1]]


def command_to_measure(header: RunHeader, finding: Finding) -> str:
    """What to type to run the script again with the finding's arguments; "" where it advises no such."""
    names = [change.argument for change in finding.changes]
    if header.script is None or not names or not set(names) <= set(ARGUMENTS):
        return ""
    changes = [part for change in finding.changes for part in ("--with", f"{change.argument}={change.value}")]
    return shlex.join(["loaderscope", "run", *changes, "--at", str(header.script["site"]), *header.script["argv"]])


def _cells(run: Seen) -> list[str]:
    share, rate = run.wait_share, run.samples_per_s
    return [
        run.name,
        f"{run.batches:,}",
        "" if rate is None else f"{rate:,.0f}",
        "" if share is None else f"{share:.1%}",
        f"{run.longest_ns / 1e6:,.1f} ms, batch {run.longest_batch}" if run.longest_ns else "",
    ]
