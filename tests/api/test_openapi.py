"""The OpenAPI page is true: Schemathesis asks a real server what it says, and rubbish beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.server import Server
from tests.support.workflows import ASKS, HALVES

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
#: Streams that end when somebody else ends them.
ENDLESS = "/events/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def known(server: Server) -> dict[str, str]:
    """Ids of what is there, by the name that paths give them."""
    workflow = server.create(HALVES, "halves")
    asks = server.create(ASKS, "asks")
    body = {"initial_inputs": {"input_node": {"amount": 1}}}
    server.post(f"/wf/{asks}/runv2/", body, status=202)
    run = server.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"n": 1}}})
    dataset = server.upload("rows.csv", b"n\n1\n0\n")
    batch = server.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset})
    server.wait_for(batch["id"])
    return {
        "workflow_id": workflow,
        "run_id": run["id"],
        "dataset_id": dataset,
        "file_id": batch["output_file_id"],
    }


@pytest.fixture(scope="module")
def api_schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_documented(api_schema: Any, known: dict[str, str], mode: GenerationMode) -> None:
    tried = 0
    for found in api_schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(ENDLESS):
            continue
        tried += 1
        ask_about(operation, mode, known)
    assert tried > 25


def ask_about(operation: Any, mode: GenerationMode, known: dict[str, str]) -> None:
    """Ask one operation what its schema allows, of what is there too, or what the schema forbids."""
    may_be_known = mode is GenerationMode.POSITIVE and operation.method.upper() != "DELETE"

    @given(case=operation.as_strategy(generation_mode=mode), is_known=booleans())
    @settings(max_examples=6, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    def ask(case: schemathesis.Case, is_known: bool) -> None:
        if is_known and may_be_known:
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        case.call_and_validate(checks=CHECKS, timeout=20)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE


def test_every_operation_has_a_name_and_a_summary(server: Server) -> None:
    operations = [
        operation
        for methods in server.get("/openapi.json")["paths"].values()
        for operation in methods.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations)
