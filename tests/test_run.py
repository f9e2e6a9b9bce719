"""The bootstrap: what it says, what it remembers, and what it does again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import run


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, with this interpreter as its finished environment."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "FRONT", tmp_path / "frontend")
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    for name in ("STAMPS", "INCOMPLETE", "LOG"):
        monkeypatch.setattr(run, name, tmp_path / ".venv" / getattr(run, name).name)
    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("numpy==1.0\ntorch==2.13.0\n")
    return tmp_path


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is installed from here on, instead of installing it."""
    steps: list[str] = []

    def pip(what: str, *arguments: str, required: bool = True) -> bool:
        steps.append(" ".join(arguments))
        return True

    monkeypatch.setattr(run, "pip", pip)
    monkeypatch.setattr(run, "usable_torch", lambda python: "2.13.0+cpu")
    return steps


def test_an_old_python_is_told_which_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(run.SetupError, match=r"This is Python 3\.9; Loaderscope needs 3\.11 or newer"):
        run.main([])


def test_nothing_is_installed_twice(checkout: Path, installed: list[str]) -> None:
    for _ in range(2):
        run.set_up_python(run.read_stamps(), with_tests=False)
    assert len(installed) == 1
    assert installed[0].endswith(f"-e {checkout}")


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed(checkout: Path, installed: list[str], changed: str) -> None:
    run.set_up_python(run.read_stamps(), with_tests=False)
    (checkout / changed).write_text((checkout / changed).read_text() + "\n")
    run.set_up_python(run.read_stamps(), with_tests=False)
    assert len(installed) == 2


def test_the_tests_tools_are_added_once_and_never_taken_away(checkout: Path, installed: list[str]) -> None:
    for with_tests in (False, True, False, True):
        run.set_up_python(run.read_stamps(), with_tests=with_tests)
    assert [step.rpartition(" ")[2] for step in installed] == [str(checkout), f"{checkout}[dev]"]


@pytest.mark.parametrize("stamps", ["", "{", "[]", "null", "7"])
def test_stamps_that_cannot_be_read_count_as_none(checkout: Path, stamps: str) -> None:
    run.STAMPS.write_text(stamps)
    assert run.read_stamps() == {}


def test_a_torch_that_imports_is_kept(checkout: Path, installed: list[str]) -> None:
    constraints = Path(run.install_torch())
    assert installed == []
    assert constraints.read_text() == "numpy==1.0\ntorch==2.13.0+cpu\n"


@pytest.mark.parametrize(
    ("gpu", "offered", "expected"),
    [
        (False, True, ["torch==2.13.0+cpu"]),
        (False, False, ["torch==2.13.0+cpu", "torch==2.13.0"]),
        (True, True, ["torch==2.13.0"]),
    ],
)
def test_cuda_comes_only_with_a_gpu_or_with_a_word(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    gpu: bool,
    offered: bool,
    expected: list[str],
) -> None:
    asked: list[str] = []

    def pip(what: str, *arguments: str, required: bool = True) -> bool:
        asked.extend(arguments)
        return offered or required

    monkeypatch.setattr(run, "pip", pip)
    monkeypatch.setattr(run, "usable_torch", lambda python: "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(run.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if gpu else None)
    monkeypatch.setattr(run.Path, "exists", lambda self: False)
    run.install_torch()
    assert asked == expected
    assert ("2.7 GB" in capsys.readouterr().out) == (len(expected) == 2)


def test_a_failed_step_says_which_command_what_it_printed_and_what_to_do(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complains = checkout / "complains"
    complains.write_text("#!/bin/sh\necho no such package\nexit 3\n")
    complains.chmod(0o755)
    monkeypatch.setattr(run, "PYTHON", complains)
    with pytest.raises(run.SetupError) as failure:
        run.pip("the packages", "one")
    said = str(failure.value)
    assert "no such package" in said
    assert "'the packages' ended with exit code 3" in said
    assert f"{complains} -m pip install" in said
    assert "run the same command again" in said
    assert not run.INCOMPLETE.exists()


def test_an_installation_that_was_killed_is_begun_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = checkout / "killed"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(run, "PYTHON", killed)
    with pytest.raises(run.SetupError, match="exit code -9"):
        run.pip("the packages", "one")
    assert run.INCOMPLETE.exists()

    monkeypatch.setattr(run, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(run, "usable_torch", lambda python: "")
    made: list[dict[str, object]] = []
    monkeypatch.setattr("venv.create", lambda place, **options: made.append(options))
    run.make_venv(stamps := {"python": "stale"})
    assert made == [{"clear": True, "with_pip": True, "system_site_packages": False}]
    assert stamps == {}


def test_a_whole_environment_is_kept(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("venv.create", lambda *place, **options: pytest.fail("made anew"))
    run.make_venv(stamps := {"python": "kept"})
    assert stamps == {"python": "kept"}


@pytest.mark.parametrize(
    ("version", "usable"), [("2.13.0+cpu", "2.13.0+cpu"), ("2.6.0", "2.6.0"), ("2.5.1", ""), ("1.13.1", "")]
)
def test_an_old_torch_is_not_kept(monkeypatch: pytest.MonkeyPatch, version: str, usable: str) -> None:
    monkeypatch.setattr(run, "answer", lambda python, code: version)
    assert run.usable_torch("python") == usable


def front_end(checkout: Path, *, builds: bool = True) -> None:
    """A front end whose npm writes down what it is asked, and builds."""
    (checkout / "frontend" / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "index.html", "src/main.ts"):
        (checkout / "frontend" / name).write_text(name)
    npm = checkout / "npm"
    npm.write_text(
        "#!/bin/sh\necho $1 >> ../asked\necho $PATH > ../path\nmkdir -p node_modules dist\n"
        + ("echo page > dist/index.html\n" if builds else "exit 1\n")
    )
    npm.chmod(0o755)


def test_the_front_end_is_built_when_its_sources_change(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front_end(checkout)
    monkeypatch.setattr(run, "find_node", lambda: ("/node's/bin/node", [str(checkout / "npm")]))
    before = os.environ["PATH"]

    def asked() -> list[str]:
        run.set_up_front_end(run.read_stamps())
        said = (checkout / "asked").read_text().split() if (checkout / "asked").exists() else []
        (checkout / "asked").unlink(missing_ok=True)
        return said

    assert asked() == ["ci", "run"]
    assert asked() == []
    (checkout / "frontend" / "src" / "main.ts").write_text("changed")
    assert asked() == ["run"]
    (checkout / "frontend" / "package-lock.json").write_text("changed")
    assert asked() == ["ci", "run"]
    (checkout / "frontend" / "dist" / "index.html").unlink()
    assert asked() == ["run"]
    assert json.loads(run.STAMPS.read_text()).keys() == {"packages", "built"}
    assert (checkout / "path").read_text().startswith("/node's/bin:"), "npm's scripts find node on the PATH"
    assert os.environ["PATH"] == before, "and nothing else does"


def test_a_front_end_that_does_not_build_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    front_end(checkout, builds=False)
    monkeypatch.setattr(run, "find_node", lambda: (sys.executable, [str(checkout / "npm")]))
    for _ in range(2):
        with pytest.raises(run.SetupError, match="front end's packages' ended with exit code 1"):
            run.set_up_front_end(run.read_stamps())


def test_the_program_may_write_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def execv(path: str, program: list[str]) -> None:
        assert path == program[0]
        raise SystemExit("replaced")

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(SystemExit, match="replaced"):
        run.become(["program"])
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
