"""`loaderscope run` and LOADERSCOPE=1: programs run unchanged, and each of their loaders is a recording."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from loader_core.trace import Kind, Role
from tests.observe.scripts import PROGRAMS, RUN, STARTUP, done, plain_environment, site, started, traces

PYTHON = (sys.executable,)
PLAIN = str(PROGRAMS / "plain.py")
TRAIN = site("plain.py", "train_loader =")


@pytest.mark.parametrize(
    ("detail", "arguments"),
    [
        ("batch", ("0", "-", "-")),
        ("sample", ("2", "fork", "-")),
        pytest.param("stage", ("2", "spawn", "persistent"), marks=pytest.mark.timeout(180)),
    ],
    ids=str,
)
def test_a_training_is_the_same_to_the_last_bit(detail: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Losses, random states and types."""
    plain = done([*PYTHON, PLAIN, *arguments], tmp_path, PROGRAMS)
    seen = done([*RUN, "--detail", detail, "plain.py", *arguments], tmp_path, PROGRAMS)
    assert plain.code == 0, plain.err
    assert (seen.code, seen.out) == (plain.code, plain.out), seen.err
    assert seen.err.startswith(plain.err)
    found = traces(tmp_path)
    train, val = found[f"{TRAIN} train_loader"], found[f"{site('plain.py', 'val_loader =')} val_loader"]
    workers = int(arguments[0])
    for trace, steps in ((train, 12), (val, 4)):
        assert trace.run.state == "finished"
        assert {lane.worker for lane in trace.lanes if lane.role is Role.WORKER} == (set(range(workers)) or {-1})
        assert trace.batches == steps
    assert train.run.script is not None
    assert val.run.script is not None
    assert train.run.script["group"] == val.run.script["group"]
    assert train.run.script["loader"] == f"Noisy, batch_size=8, num_workers={workers}"
    assert train.run.loader is not None
    assert train.run.loader["sampler"] == "RandomSampler"


def test_the_step_is_split_without_any_mark(tmp_path: Path) -> None:
    assert done([*RUN, "plain.py", "0", "-", "-"], tmp_path, PROGRAMS).code == 0
    trace = traces(tmp_path)[f"{TRAIN} train_loader"]
    rows = trace.window(0, 2**62)
    parts = rows[rows["kind"] == Kind.STAGE]
    names = [trace.stages.get(value) for value in parts["value"].tolist()]
    assert names.count("backward") == names.count("optimizer") == 12
    steps = rows[rows["kind"] == Kind.STEP]
    for part in parts:
        (around,) = steps[(steps["batch"] == part["batch"]) & (steps["epoch"] == part["epoch"])]
        assert around["start"] <= part["start"] <= part["end"] <= around["end"]


REBUILT = {"loader": "    loader =", "kept.append": "kept.append", "both": "both =", "at_once": "at_once ="}


def test_loaders_are_told_apart_by_their_line_and_by_being_alive(tmp_path: Path) -> None:
    assert done([*RUN, "--name", "try", "rebuilt.py"], tmp_path, PROGRAMS).code == 0
    found = traces(tmp_path)
    lines = {name: site("rebuilt.py", text) for name, text in REBUILT.items()}
    rebuilt, kept = lines["loader"], lines["kept.append"]
    two = [f"try {lines[name]} {name}{number}" for name in ("both", "at_once") for number in ("", " (2)")]
    assert sorted(found) == sorted([f"try {rebuilt} loader", f"try {kept}", *two])
    assert found[f"try {kept}"].batches == 2
    again = found[f"try {rebuilt} loader"]
    steps = again.window(0, 2**62, {Kind.STEP})
    assert sorted(set(steps["epoch"].tolist())) == [0, 1, 2]
    assert again.batches == 12


# --- a plain python ---------------------------------------------------------------------------------------------------

TELLS = """
import os, sys
print(sys.argv, __name__, __file__, __spec__ and __spec__.name, __package__, os.getcwd(), sys.flags, sys.path)
print(sorted(name for name in globals()), sys.excepthook is sys.__excepthook__, sys.stdin.read())
def last(): sys.exit(eval(sys.argv[1]))
if sys.argv[1] == "raise": raise ValueError("no")
if sys.argv[1] == "load":
    from torch.utils.data import DataLoader
    class Bad:
        def __len__(self): return 4
        def __getitem__(self, index): raise KeyError(index)
    for batch in DataLoader(Bad(), num_workers=int(sys.argv[2])): pass
if sys.argv[1] == "argument":
    from torch.utils.data import DataLoader
    DataLoader([1], batch_size=2, multiprocessing_context="none", num_workers=1)
last()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a script and a package that tell what they see."""
    folder = tmp_path / "project"
    (folder / "package").mkdir(parents=True)
    (folder / "tells.py").write_text(TELLS)
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "module.py").write_text(TELLS)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "tells.py 0",
        "tells.py 3",
        "tells.py None",
        "tells.py 'an_error'",
        "tells.py raise",
        "tells.py argument",
        "tells.py load 0",
        "tells.py load 1",
        "-m package.module 3",
        "-m package.module raise",
    ],
)
def test_a_script_sees_and_says_what_it_would_without_us(command: str, project: Path, tmp_path: Path) -> None:
    plain = done([*PYTHON, *command.split()], tmp_path, project, given="hello")
    seen = done([*RUN, *command.split()], tmp_path, project, given="hello")
    assert (seen.code, seen.out) == (plain.code, plain.out), seen.err
    assert seen.err.startswith(plain.err), seen.err
    assert "Loaderscope" in seen.err[len(plain.err) :]


def test_a_hidden_sitecustomize_runs_all_the_same(project: Path, tmp_path: Path) -> None:
    (project / "sitecustomize.py").write_text("import builtins; builtins.hidden = True\n")
    (project / "tells.py").write_text("import sitecustomize; print(hidden, sitecustomize.__file__)")
    variables = {"PYTHONPATH": str(project)}
    plain = done([*PYTHON, "tells.py"], tmp_path, project, environment=variables)
    seen = done([*RUN, "tells.py"], tmp_path, project, environment=variables)
    assert seen.out == plain.out == f"True {project / 'sitecustomize.py'}\n"


def test_nothing_is_loaded_before_the_script_asks_for_it(project: Path, tmp_path: Path) -> None:
    """Scripts set OMP_NUM_THREADS and the like before they import numpy or torch."""
    (project / "tells.py").write_text(
        "import sys; print(sorted({'numpy', 'torch', 'loader_core.observe', 'asyncio', 'logging'} & set(sys.modules)))"
    )
    assert done([*RUN, "tells.py"], tmp_path, project).out == "[]\n"


WAITS = """
import signal
from torch.utils.data import DataLoader
for batch in DataLoader(range(8)):
    print("ready", flush=True)
    signal.pause()
"""
COUNTS = """
import signal, sys
count = 0
def on(*_):
    global count
    count += 1
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, on)
signal.signal(signal.SIGALRM, lambda *_: None)
print("ready", flush=True)
while not count:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0.3)  # a second one would come by then
signal.pause()
print(count)
"""


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def gone(pid: int) -> None:
    """Waits for the end of a process that is not ours."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], 30)[0]
        finally:
            os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_to_the_command_ends_both_as_it_would_end_python(
    number: signal.Signals, project: Path, tmp_path: Path
) -> None:
    (project / "waits.py").write_text(WAITS)
    with started([*RUN, "waits.py"], tmp_path, project, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        told(process)
        (script,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == -number
    gone(int(script))
    (trace,) = traces(tmp_path).values()
    if number == signal.SIGKILL:
        return  # nobody was left to say it; the dashboard will
    assert "loaderscope open" in err
    expected = {
        signal.SIGINT: ("stopped", "interrupted from the keyboard"),
        signal.SIGTERM: ("failed", "its process was killed by SIGTERM"),
    }[number]
    assert (trace.run.state, trace.run.reason) == expected
    assert expected[1] in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_script_gets_each_signal_once(number: signal.Signals, project: Path, tmp_path: Path) -> None:
    (project / "waits.py").write_text(COUNTS)
    with started([*RUN, "waits.py"], tmp_path, project, stdout=subprocess.PIPE) as process:
        told(process)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "1\n")


def test_ctrl_c_on_a_terminal_reaches_the_script_once(project: Path, tmp_path: Path) -> None:
    (project / "waits.py").write_text(COUNTS)
    primary, secondary = os.openpty()
    try:
        take = f"import fcntl, termios; fcntl.ioctl({secondary}, termios.TIOCSCTTY, 0)"
        program = f"{take}; import os, sys; os.execv(sys.executable, sys.argv[1:])"
        process = subprocess.Popen(
            [sys.executable, "-c", program, *RUN, "waits.py"],
            cwd=project,
            env=plain_environment(tmp_path),
            stdin=secondary,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[secondary],
            start_new_session=True,
        )
        with process:
            told(process)
            os.write(primary, b"\x03")
            out, _ = process.communicate(timeout=30)
    finally:
        os.close(primary)
        os.close(secondary)
    assert (process.returncode, out) == (0, "1\n")


# --- ranks ------------------------------------------------------------------------------------------------------------


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


RANKS = {f"{site('ranks.py', 'loader =')} loader rank {rank}" for rank in range(2)}


def test_the_ranks_of_torchrun_are_observed(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port"]
    plain = done([*PYTHON, *torchrun, free_port(), "ranks.py"], tmp_path, PROGRAMS)
    variables = {"LOADERSCOPE": "1", "LOADERSCOPE_DETAIL": "sample", "PYTHONPATH": STARTUP}
    seen = done([*PYTHON, *torchrun, free_port(), "ranks.py"], tmp_path, PROGRAMS, environment=variables)
    assert (plain.code, plain.out) == (0, "0 496.0\n1 496.0\n"), plain.err
    assert (seen.code, seen.out) == (plain.code, plain.out), seen.err
    found = traces(tmp_path)
    assert found.keys() == RANKS
    groups = {trace.run.script["group"] for trace in found.values() if trace.run.script}
    assert len(groups) == 1
    for name, trace in found.items():
        assert (trace.run.state, trace.batches) == ("finished", 8)
        assert trace.run.rank == int(name[-1])
        assert {lane.rank for lane in trace.lanes} == {trace.run.rank}


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_ranks_that_the_script_starts_itself_are_observed(method: str, tmp_path: Path) -> None:
    seen = done([*RUN, "ranks.py", "spawn", method, free_port()], tmp_path, PROGRAMS)
    assert (seen.code, seen.out) == (0, "0 496.0\n1 496.0\n"), seen.err
    found = traces(tmp_path)
    assert found.keys() == RANKS
    assert {trace.run.state for trace in found.values()} == {"finished"}


# --- mishaps ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    plain = done([*PYTHON, PLAIN, "2", "fork", "-"], tmp_path, PROGRAMS)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file and no folder")
    seen = done([*RUN, "plain.py", "2", "fork", "-"], blocked, PROGRAMS)
    assert (seen.code, seen.out) == (plain.code, plain.out), seen.err
    assert seen.err.count("the script goes on without it") == 1
    assert "Not a directory" in seen.err
    assert "Traceback" not in seen.err


KILLED = """
import os, signal, time
from torch.utils.data import DataLoader

class Deadly:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return index

for batch in DataLoader(Deadly(), batch_size=2, num_workers=1):
    time.sleep(60)  # torch's signal handler raises here
"""


def test_a_worker_that_is_killed_while_the_loop_works_is_told_with_its_sample(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    seen = done([*RUN, "killed.py"], tmp_path, tmp_path)
    assert seen.code == 1
    [trace] = traces(tmp_path).values()
    assert trace.run.state == "failed"
    assert trace.run.reason.endswith("was killed by SIGKILL while reading sample 3 of batch 1)")
    [died] = trace.window(0, trace.duration_ns + 1, {Kind.DIED})
    assert (int(died["batch"]), int(died["sample"]), int(died["value"])) == (1, 3, -9)
    assert "was killed by SIGKILL while reading sample 3 of batch 1" in seen.err


FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_disk_that_fills_up_changes_nothing(tmp_path: Path) -> None:
    """No file may be longer than 40 kB: each chain of events meets its end on the way."""
    (tmp_path / "full.py").write_text(FULL)
    program = [str(tmp_path / "full.py"), PLAIN, "2", "fork", "persistent", "40"]
    plain = done([*PYTHON, *program], tmp_path, PROGRAMS)
    seen = done([*RUN, *program], tmp_path, PROGRAMS)
    assert plain.code == 0
    assert (seen.code, seen.out) == (plain.code, plain.out), seen.err
    found = traces(tmp_path)
    assert any("stopped recording" in trace.truncated for trace in found.values())
