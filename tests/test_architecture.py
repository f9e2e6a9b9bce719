"""The rules of DESIGN.md that a machine can keep: layers, style, types, names, sizes, links."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import run

ROOT = Path(__file__).resolve().parent.parent
FRONT = ROOT / "frontend"
MOST_LINES = 450
MOST_LINES_OF_A_TEST = 500


def succeed(*command: str, cwd: Path = ROOT, path: str | None = None) -> None:
    environment = {**os.environ, "PATH": path or os.environ["PATH"], "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"


def tool(name: str) -> str:
    """A program that a Python package has put beside this interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not installed beside {sys.executable}: start the tests with `python3 run.py test`"
    return found


def tracked(*suffixes: str) -> list[Path]:
    """The files that git knows, or would add, with one of these endings (all files if none is given)."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name.endswith(suffixes or "")]
    return [path for path in paths if path.is_file()]


# --- tools ------------------------------------------------------------------------------------------------------------


def test_layers() -> None:
    succeed(tool("lint-imports"), "--no-cache")


def test_style() -> None:
    succeed(tool("ruff"), "check", ".")


def test_format() -> None:
    succeed(tool("ruff"), "format", "--check", ".")


@pytest.mark.timeout(600)
def test_types() -> None:
    succeed(sys.executable, "-m", "mypy")


@pytest.fixture(scope="session")
def npm() -> tuple[list[str], str]:
    """The command line of npm, and the PATH on which its scripts find node."""
    if not (FRONT / "node_modules").is_dir():
        pytest.skip("frontend/node_modules is missing: `python3 run.py test` installs it")
    node, command = run.find_node()
    return command, f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", ["check", "test"])
def test_front_end(script: str, npm: tuple[list[str], str]) -> None:
    command, path = npm
    succeed(*command, "run", script, cwd=FRONT, path=path)


# --- imports ----------------------------------------------------------------------------------------------------------

SERVER_PACKAGES = {"app", "fastapi", "starlette", "uvicorn", "pydantic", "plotly"}


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("loader_core.trace", SERVER_PACKAGES | {"torch", "PIL", "psutil"}),
        ("loader_core.diagnose", SERVER_PACKAGES | {"torch"}),
        ("loader_core", SERVER_PACKAGES),
        ("loader_core.engine", SERVER_PACKAGES),
        ("loader_core.scenarios", SERVER_PACKAGES),
        ("app.runner", {"fastapi", "starlette", "uvicorn", "plotly"}),
        ("app.cli", {"torch", "plotly", "uvicorn"}),
    ],
)
def test_importing_stays_light(module: str, banned: set[str]) -> None:
    program = f"import {module}, sys; print(*sorted(set(sys.argv[1:]) & sys.modules.keys()))"
    command = [sys.executable, "-c", program, *sorted(banned)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], f"`import {module}` imports {done.stdout}"


def packages() -> Iterator[str]:
    yield "loader_core"
    yield from (
        found.name for found in pkgutil.walk_packages([str(ROOT / "loader_core")], "loader_core.") if found.ispkg
    )


@pytest.mark.parametrize("name", list(packages()))
def test_public_names_are_all_told(name: str) -> None:
    package = importlib.import_module(name)
    exported = list(getattr(package, "__all__", []))  # that they are sorted, ruff sees (RUF022)
    assert len(exported) == len(set(exported))
    modules = [public for public in exported if isinstance(getattr(package, public), ModuleType)]
    assert modules == [], "a name that a submodule has too is sometimes the one and sometimes the other"
    source = ast.parse(Path(str(package.__file__)).read_text())
    imports = [node for node in ast.walk(source) if isinstance(node, ast.ImportFrom)]
    ours = {name.name for node in imports if (node.module or "").startswith("loader_core") for name in node.names}
    assert ours == set(exported), f"{name}: what it imports of ours is not what its __all__ tells"


def test_run_py_parses_on_old_pythons_so_that_it_can_say_so() -> None:
    ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 7))


# --- files ------------------------------------------------------------------------------------------------------------

LONG_FOR_A_REASON = {
    FRONT / "src" / "wire.ts",  # written by a program
    ROOT / "app" / "wire.py",  # every message of the protocol stands in one place
}


def limit(path: Path) -> int:
    return MOST_LINES_OF_A_TEST if path.name.startswith("test_") else MOST_LINES


def test_modules_can_be_read_in_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked(".py", ".ts", ".tsx")
        if path not in LONG_FOR_A_REASON and (lines := path.read_text().count("\n")) > limit(path)
    }
    assert long == {}


HOSTS = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("download", "pytorch", "org"),
        ("debian", "org"),
        ("anaconda", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
    ]
]
DOWNLOAD = '"resolved": ' + '"http'
ONE_MACHINE = re.compile(r"(?<![\w.~-])/(work|root|home|Users)/\w+")


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # a picture
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if any(host in line for host in HOSTS) or DOWNLOAD in line or ONE_MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def headings(page: Path) -> set[str]:
    """The anchors of a Markdown page, made as code hosts make them."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    here = ROOT / page
    text = re.sub(r"```.*?```", "", here.read_text(), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (here.parent / name) if name else here
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


# --- packages ---------------------------------------------------------------------------------------------------------


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_each_dependency_is_pinned_to_a_version_that_pyproject_admits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    pinned = pins()
    for requirement in asked:
        pin = pinned[canonicalize_name(requirement.name)]
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version), f"{requirement} does not admit {pin}"


def test_torch_pin_admits_the_cpu_build() -> None:
    (exact,) = pins()["torch"].specifier
    assert pins()["torch"].specifier.contains(f"{exact.version}+cpu")


def test_what_is_installed_is_pinned() -> None:
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("only the environment that run.py makes is held to constraints.txt")
    if "true" in (ROOT / ".venv" / "pyvenv.cfg").read_text():
        pytest.skip("this environment builds on another one, for its torch")
    pinned = pins()
    loose = {
        name
        for distribution in importlib.metadata.distributions()
        if (name := canonicalize_name(distribution.name)) not in pinned
        and name not in {"loaderscope", "pip", "setuptools"}
    }
    assert loose == set(), "add them to constraints.txt"
