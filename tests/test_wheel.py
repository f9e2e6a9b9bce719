"""The wheel: whoever installs it needs neither Node nor a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "frontend" / "dist" / "index.html").is_file():
        pytest.skip("frontend/dist is missing: `python3 run.py test` builds it")
    place = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = place.glob("*.whl")
    return found


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"app", "loader_core", "loaderscope.pth"}
    assert "app/static/index.html" in names
    assert any(name.startswith("app/static/assets/") and name.endswith(".js") for name in names)
    assert "loader_core/scenarios/photographs_source/PROVENANCE.md" in names
    assert sum(name.startswith("loader_core/scenarios/photographs_source/") for name in names) >= 12
    assert "loader_core/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_command_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = "import app, app.settings; print(app.__file__); print(app.settings.Settings().front_end)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        str(tmp_path / "installed" / "app" / "__init__.py"),
        str(tmp_path / "installed" / "app" / "static"),
    ], done.stderr


@pytest.mark.parametrize(("value", "loaded"), [(None, "False"), ("", "False"), ("0", "False"), ("1", "True")])
def test_a_python_of_the_installation_looks_at_loaderscope_only(
    wheel: Path, tmp_path: Path, value: str | None, loaded: str
) -> None:
    """site-packages is a folder whose .pth files are read at the start, as `addsitedir` does.

    Without this environment's own (-S): a Loaderscope that is installed in it would have been loaded before.
    """
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = (
        "import site, sys; before = set(sys.modules); site.addsitedir(sys.argv[1]); new = set(sys.modules) - before; "
        "print('loader_core.start' in new, *([] if 'loader_core' in new else sorted(new)))"
    )
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LOADERSCOPE")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(tmp_path / "installed")],
        cwd=tmp_path,
        env=environment | ({} if value is None else {"LOADERSCOPE": value}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [loaded], done.stdout + done.stderr
