"""The OpenAPI document, and the server's answers to requests made from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.main import create_app
from app.settings import Settings
from loader_core.trace.event import Kind
from loader_core.trace.recording import Recording
from tests.server import RunningServer, running

EXAMPLES = 12
FEWER_EXAMPLES = {"/api/runs/{run_id}/export/perfetto": 3}
"""Where each answer takes a process."""
RUN = "20261122-141503-ab12"


DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that has the recording `RUN`."""
    home = tmp_path_factory.mktemp("described")
    with Recording.create(home / "runs" / RUN, run_id=RUN) as recording:
        for batch in range(3):
            recording.consumer.mark(Kind.STEP, batch, value=4)
    with running(home, LOADERSCOPE_MAX_LIVE_RUNS="1") as server:
        yield server


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_document_announces(path: str, method: str, described: RunningServer) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=described.url)

    @given(case=schema[path][method].as_strategy(), known=st.booleans())
    @effort(max_examples=FEWER_EXAMPLES.get(path, EXAMPLES), deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case, known: bool) -> None:
        if known and "{run_id}" in path and method != "delete":
            case.path_parameters["run_id"] = RUN
        case.validate_response(case.call(headers=described.bearer, timeout=20), checks=CHECKS)

    ask()
    for run in described.request("GET", "/runs"):
        if run["live"]:
            described.request("POST", f"/runs/{run['id']}/stop")


def test_the_document_names_every_operation_once(app: FastAPI) -> None:
    operations = [item["operationId"] for path in app.openapi()["paths"].values() for item in path.values()]
    assert len(operations) == len(set(operations))


def test_errors_are_documented_as_they_are(app: FastAPI) -> None:
    document = app.openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for status in ("401", "403", "404", "409", "413", "421", "422"):
                content = operation["responses"][status]["content"]["application/json"]
                assert content["schema"]["$ref"].endswith("/Problem"), (path, method, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]
