"""`loaderscope run`: a user's script in a python of its own, with every DataLoader in it observed.

The script is the main process of a plain `python script.py`: its arguments, paths, input, output and exit are its own.
All that differs is its environment, in which LOADERSCOPE is set (`loader_core.start`). This process waits for it,
hands on the signals that it alone was sent, and shows at the end what was recorded.
"""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import loader_core
from app.asked import UsageError
from loader_core import start
from loader_core.observe import override
from loader_core.trace.recorder import Detail

HOOK = "loaderscope.pth"
"""In site-packages where Loaderscope is installed: every python of that installation then looks at LOADERSCOPE."""

STARTUP = Path(loader_core.__file__).parent / "startup"
"""What does the same by way of PYTHONPATH where it is not."""

FORWARDED = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT}
)
"""Signals that are the script's and not ours."""

WATCHED = FORWARDED | {signal.SIGCHLD}

DETAILS = tuple(detail.name.lower() for detail in Detail)
DEFAULT_DETAIL = "stage"

TRIAL = "tune"
"""What the names of runs begin with that are trials of `loaderscope tune`."""

PR_SET_PDEATHSIG = 1

_WHOLE = {"num_workers": (0, 1024), "prefetch_factor": (1, 1024)}
"""Arguments of loaders that are numbers, and from what to what; the others are true or false."""


def environment(
    detail: str | None, name: str | None, home: Path | None, group: str, *, headroom: int = 0
) -> dict[str, str]:
    """The script's environment: this one's, and what makes its python observe."""
    given = {start.ON: "1", start.DETAIL: detail, start.NAME: name, "LOADERSCOPE_HOME": home and str(home.absolute())}
    if headroom:
        given[start.HEADROOM] = str(headroom)
    found = {**os.environ, **{key: value for key, value in given.items() if value}, start.GROUP: group}
    if not is_hooked():
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(STARTUP), os.environ.get("PYTHONPATH", "")]))
    return found


def overriding(changes: Sequence[str], place: str) -> dict[str, str]:
    """The part of the environment that changes loaders' arguments: `changes` as `num_workers=4`.

    `place`: those of this place alone, as `train.py:41`; "" for all. Raises UsageError.
    """
    if not changes:
        if place:
            raise UsageError("--at says which loader --with changes: add --with num_workers=4, say")
        return {}
    arguments = dict(_argument(change) for change in changes)
    return {start.OVERRIDE: json.dumps({"site": place, "arguments": arguments})}


def _argument(change: str) -> tuple[str, int | bool]:
    name, _, text = (part.strip() for part in change.partition("="))
    if name not in override.ARGUMENTS:
        raise UsageError(f"--with {change}: say one of {', '.join(override.ARGUMENTS)}, as --with num_workers=4")
    if name in _WHOLE:
        low, high = _WHOLE[name]
        if not text.isdecimal() or not low <= int(text) <= high:
            raise UsageError(f"--with {change}: {name} is a whole number from {low} to {high}")
        return name, int(text)
    if text.lower() not in ("true", "false"):
        raise UsageError(f"--with {change}: {name} is True or False")
    return name, text.lower() == "true"


def is_hooked() -> bool:
    """Whether this python's site-packages have our hook."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return any(Path(folder, HOOK).is_file() for folder in folders)


class ScriptProcess:
    """`python *arguments`, started. Belongs to the main thread."""

    def __init__(self, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        """Raises OSError when no process can be started."""
        command = [sys.executable, *arguments]
        # From here on the signals wait for `wait`, so none is lost between the two.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            # preexec_fn is safe: this process has one thread.
            self._process = subprocess.Popen(command, env=variables, preexec_fn=_child(self._mask, os.getpid()))
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        self.pid = self._process.pid

    def wait(self) -> int:
        """Wait for its end; its exit code, negative for the signal that ended it.

        A signal from the terminal reaches the script by itself, since both are of one process group. One that was sent
        to this process alone is handed on.
        """
        try:
            while self._process.poll() is None:
                self._take_signal()
            return self._process.returncode
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _take_signal(self) -> None:
        if not hasattr(signal, "sigwaitinfo"):  # macOS cannot say who sent it: Ctrl-C is taken to reach both
            number = signal.sigwait(WATCHED)
            sent = number not in (signal.SIGINT, signal.SIGQUIT)
        else:
            got = signal.sigwaitinfo(WATCHED)
            number, sent = got.si_signo, got.si_code <= 0
        if sent and number != signal.SIGCHLD:
            self._process.send_signal(number)


def _child(mask: set[signal.Signals | int], parent: int) -> Callable[[], None]:
    import ctypes  # before the fork

    control = getattr(ctypes.CDLL(None), "prctl", None)

    def prepare() -> None:
        """Between fork and exec: the signals as they were; and whoever kills this command kills the script."""
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if control is not None:
            control(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def leave_like(returncode: int) -> int:
    """End as the script has ended: an exit code is returned, a signal ends this process too."""
    if returncode >= 0:
        return returncode
    import resource

    sys.stdout.flush()
    sys.stderr.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # one dump is enough
    if -returncode not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-returncode, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {-returncode})
    os.kill(os.getpid(), -returncode)
    return 128 - returncode  # where the signal does not end a process
