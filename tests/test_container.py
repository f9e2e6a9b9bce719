"""The container's files, as far as they can be checked where no container engine runs."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.server import RunningServer, free_port

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


def beside_python(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which(name, path=str(Path(sys.executable).parent))
    assert program, f"{name} is not installed beside {sys.executable}: start the tests with `python3 run.py test`"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_compose_file_follows_the_compose_schema() -> None:
    done = beside_python("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert done.returncode == 0, done.stdout


def test_dockerfile_has_no_finding() -> None:
    done = beside_python("hadolint", str(DOCKERFILE))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["user"] not in ("root", "0", "0:0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"mem_limit", "pids_limit", "cpus"} <= service.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_what_runs_need(name: str) -> None:
    service = SERVICES[name]
    assert service["shm_size"] == "1gb"
    assert service["init"] is True
    assert "runs:/runs" in service["volumes"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert service["environment"]["LOADERSCOPE_TOKEN_FILE"] == "/run/secrets/token"
    assert "token" in service["secrets"]
    assert service["healthcheck"]["test"][:2] == ["CMD", "python"]


def test_only_the_dashboard_starts_unasked() -> None:
    assert {name: service.get("profiles") for name, service in SERVICES.items()} == {
        "dashboard": None,
        "dashboard-gpu": ["gpu"],
    }


def test_the_last_stage_is_not_root_and_holds_no_token() -> None:
    last = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)$", last, flags=re.MULTILINE)
    made = re.search(r"useradd --uid (\d+)", last)
    assert made
    assert user == [f"{made[1]}:{made[1]}"]
    assert all([service["user"]] == user for service in SERVICES.values())
    assert "TOKEN" not in last


def test_healthcheck_of_image_and_compose_are_one() -> None:
    in_image = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    assert in_image
    assert all(service["healthcheck"]["test"] == ["CMD", *json.loads(in_image[1])] for service in SERVICES.values())


def test_the_healthcheck_tells_a_server_that_answers(server: RunningServer) -> None:
    if not (ROOT / "frontend" / "dist" / "index.html").is_file():
        pytest.skip("frontend/dist is missing: `python3 run.py test` builds it")
    _, program, *arguments = SERVICES["dashboard"]["healthcheck"]["test"]
    assert program == "python"

    def check(port: int) -> int:
        command = [sys.executable, *(argument.replace(":8000", f":{port}") for argument in arguments)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode

    assert check(server.port) == 0
    assert check(free_port()) == 1


def test_what_is_copied_exists_and_is_sent_to_the_engine() -> None:
    rules = (ROOT / ".dockerignore").read_text().split()
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in kept, source
    assert not any(fnmatch.fnmatch(".token", rule) for rule in kept)
