"""Systems that these tests do not run on, as far as can be told without them: what they lack is taken away here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WINDOWS = """
import os, signal, sys, sysconfig
import torch, torch.utils.data, psutil, PIL.Image  # these know by themselves where they are

sysconfig.get_config_vars()
sys.modules.update(fcntl=None, resource=None)
for module, names in {
    os: ["fork", "register_at_fork", "posix_fallocate", "sysconf", "memfd_create", "sched_getaffinity", "O_CLOEXEC",
         "sched_setscheduler", "pread", "pwrite", "killpg", "getuid", "statvfs", "WNOHANG"],
    signal: ["SIGKILL", "SIGBUS", "SIGUSR1", "setitimer"],
}.items():
    for name in names:
        delattr(module, name)
sys.platform = "win32"
"""

MACOS = """
import os, sys, sysconfig
import torch, torch.utils.data, psutil, PIL.Image

sysconfig.get_config_vars()
for name in ["posix_fallocate", "memfd_create", "sched_getaffinity", "sched_setscheduler", "SCHED_BATCH"]:
    delattr(os, name)
sys.platform = "darwin"
"""

NUMBERS = """
from loader_core import DataLoader, Recording
from loader_core.errors import RecordingError, SettingsError

def load(**arguments):
    return [batch.tolist() for batch in DataLoader(range(10), batch_size=4, **arguments)]

expected = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
"""


def succeed(*parts: str) -> None:
    program = [sys.executable, "-W", "ignore", "-c", "\n".join(parts)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_on_windows_threads_load_and_what_cannot_work_says_so(tmp_path: Path) -> None:
    succeed(
        WINDOWS,
        NUMBERS,
        f"directory = {str(tmp_path / 'run')!r}",
        """
import loader_core.observe.torch_loader, loader_core.observe.script
import loader_core.diagnose, loader_core.scenarios, loader_core.trace
from pathlib import Path

assert load(num_workers=2, worker_method="thread") == expected
assert load() == expected
try:
    load(num_workers=2)
except SettingsError as error:
    assert str(error) == "process workers need POSIX pipes; on Windows use worker_method='thread'", error
else:
    raise AssertionError("nothing was said")
try:
    Recording.create(Path(directory), run_id="one")
except RecordingError as error:
    assert "on Windows, use WSL" in str(error), error
else:
    raise AssertionError("nothing was said")
""",
    )


def test_on_macos_processes_and_threads_load_and_are_recorded(tmp_path: Path) -> None:
    succeed(
        MACOS,
        NUMBERS,
        f"directory = {str(tmp_path)!r}",
        """
from pathlib import Path

from loader_core.observe import observe
from loader_core.trace import Trace

for method in ("process", "thread"):
    with Recording.create(Path(directory, method), run_id=method) as recording:
        assert load(num_workers=2, worker_method=method, recording=recording) == expected
    trace = Trace.open(Path(directory, method))
    trace.refresh()
    assert sum(lane.role.name == "WORKER" for lane in trace.lanes) == 2
with Recording.create(Path(directory, "observed"), run_id="observed") as recording:
    watched = observe(torch.utils.data.DataLoader(range(10), batch_size=4, num_workers=2), recording)
    assert [batch.tolist() for batch in watched] == expected
trace = Trace.open(Path(directory, "observed"))
trace.refresh()
assert sum(lane.role.name == "WORKER" for lane in trace.lanes) == 2
""",
    )
