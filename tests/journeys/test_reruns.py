"""Runs repeated for real: services count who calls them, a server is killed, workflows are those that people have."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowel import Rowel
from tests.journeys.test_crash import chain, wait_for_call
from tests.journeys.test_examples import REFERENCE_INPUTS, REFERENCES, example
from tests.support.providers import Providers, Reply
from tests.support.server import Server


@pytest.fixture
def world() -> Iterator[Providers]:
    """The services that workflows call; they remember every call."""
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    with Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


@pytest.fixture
def rowel(tmp_path: Path, world: Providers) -> Rowel:
    return Rowel(tmp_path / "data", environment=world.environment, http_allow=[f"127.0.0.1:{world.port}"])


def counted(world: Providers) -> Counter[str]:
    """How often each path was called."""
    return Counter(call.path.strip("/") for call in world.calls)


def failed_run(server: Server, world: Providers) -> Any:
    """A run of four calls of which the third failed; from now on it is held, and then does well."""
    world.on("/c", Reply(status=400, json={"message": "no"}))
    definition = chain(world, "a", "b", "c", "d")
    definition["nodes"][3]["config"]["fail_on_status"] = True
    workflow = server.create(definition)
    run = server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": {"n": "1"}}})
    failed = server.wait_for(run["id"])
    assert failed["status"] == "FAILED"
    world.forget()
    world.on("/c", world.held(Reply(json={"ok": True})))
    return failed


def test_what_a_rerun_reuses_is_not_called_again_though_the_server_is_killed_in_it(
    server: Server, world: Providers
) -> None:
    failed = failed_run(server, world)
    plan = server.post(f"/run/{failed['id']}/rerun/", {"dry_run": True})
    outside = [node["node_id"] for node in plan["nodes"] if node["touches_outside"]]
    assert outside == ["c", "d"]
    rerun = server.post(f"/run/{failed['id']}/rerun/", {})
    for times in (1, 2):
        wait_for_call(world, "c", times)
        server.kill()
        server.start()
    wait_for_call(world, "c", 3)
    world.released.set()
    ended = server.wait_for(rerun["id"])

    assert ended["status"] == "COMPLETED"
    assert counted(world) == {"c": 3, "d": 1}
    assert {call.headers["idempotency-key"] for call in world.calls} == {
        f"{rerun['id']}.c",
        f"{rerun['id']}.d",
    }
    before = {task["node_id"]: task for task in failed["tasks"]}
    for task in ended["tasks"]:
        assert task["reused"] is (task["node_id"] in {"input_node", "a", "b"})
        if task["reused"]:
            assert (task["inputs"], task["outputs"]) == (
                before[task["node_id"]]["inputs"],
                before[task["node_id"]]["outputs"],
            )
    assert server.get(f"/run/{failed['id']}/") == failed


def test_a_rerun_that_was_accepted_is_there_after_a_kill_in_the_same_moment(
    server: Server, world: Providers
) -> None:
    failed = failed_run(server, world)
    world.released.set()
    for _ in range(3):
        accepted = server.post(f"/run/{failed['id']}/rerun/", {"edits": {"c": {"edited": True}}})
        server.kill()
        server.start()
        assert server.wait_for(accepted["id"])["outputs"]["c"] == {"edited": True}

    assert counted(world).keys() <= {"d"}


@pytest.mark.skipif(
    not REFERENCES.is_dir(), reason="the workflows of PySpur's users are not beside this checkout"
)
@pytest.mark.parametrize("case", sorted(REFERENCE_INPUTS))
async def test_from_each_node_of_workflows_that_pyspur_exported_only_what_is_planned_calls_anybody(
    rowel: Rowel, world: Providers, case: str
) -> None:
    name, fields = REFERENCE_INPUTS[case]
    definition = json.loads((REFERENCES / f"{name}.json").read_text())["definition"]
    await repeat_from_each_node(rowel, world, definition, {definition["nodes"][0]["id"]: fields})


@pytest.mark.parametrize("name", ["text-refiner", "ticket-triage"])
async def test_from_each_node_of_the_examples_only_what_is_planned_calls_anybody(
    rowel: Rowel, world: Providers, name: str
) -> None:
    world.answer(lambda _: json.dumps({"category": "billing", "urgent": True, "summary": "s", "reply": "r"}))
    definition, fields = example(name)
    await repeat_from_each_node(rowel, world, definition, {"input_node": fields})


async def repeat_from_each_node(rowel: Rowel, world: Providers, definition: Any, inputs: Any) -> None:
    """Run a workflow, repeat it from each node that completed, and see who called."""
    async with rowel:
        workflow = await rowel.workflows.create("repeated", definition)
        first = await rowel.start(workflow.id, inputs)
        run = await first.wait()
        assert run.status == "COMPLETED"
        for node_id in run.outputs or {}:
            plan = await rowel.plan_rerun(run.id, from_nodes=[node_id])
            world.forget()
            ended = await (await rowel.rerun(run.id, from_nodes=[node_id])).wait()

            assert ended.status == "COMPLETED"
            assert (ended.outputs or {}).keys() == (run.outputs or {}).keys()
            may_call = {node.node_id for node in plan.nodes if node.touches_outside}
            keys = [call.headers["idempotency-key"].split(".") for call in world.calls]
            assert {key[0] for key in keys} <= {ended.id}
            assert {key[1] for key in keys} == may_call & (ended.outputs or {}).keys()
