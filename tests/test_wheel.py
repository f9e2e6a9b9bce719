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
    assert top == {"app", "loader_core"}
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
