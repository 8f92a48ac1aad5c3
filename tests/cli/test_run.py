"""`rowel run`: inputs in, outputs out, and an exit code that says how it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rowel import Client
from rowel.client import Status
from tests.support.commands import Commands, interrupt
from tests.support.providers import Providers
from tests.support.workflows import ASKS, HALVES, waits


@pytest.fixture
def halves(client: Client) -> str:
    return client.workflows.create("halves", HALVES).id


@pytest.fixture
def asks(client: Client) -> str:
    return client.workflows.create("asks", ASKS).id


def test_the_outputs_of_the_last_nodes_are_shown(rowel: Commands, halves: str) -> None:
    ended = rowel("run", halves, "--input", "n=4")

    assert ended.code == 0
    assert "✓ COMPLETED run" in ended.out
    assert '{"half": 2.0}' in ended.out
    assert "input_node" not in ended.out


def test_the_outputs_of_all_nodes_are_shown_on_request(rowel: Commands, halves: str) -> None:
    ended = rowel("run", halves, "-i", "n=4", "--all")

    assert '{"n": 4}' in ended.out
    assert '{"half": 2.0}' in ended.out


def test_as_json_the_whole_run_is_printed_and_nothing_else(rowel: Commands, halves: str) -> None:
    run = rowel("run", halves, "-i", "n=4", "--json").json

    assert run["status"] == "COMPLETED"
    assert run["outputs"] == {"input_node": {"n": 4}, "work": {"half": 2.0}}


def test_a_failed_run_names_its_node_and_error_and_ends_with_1(rowel: Commands, halves: str) -> None:
    ended = rowel("run", halves, "-i", "n=0")

    assert ended.code == 1
    assert "✗ FAILED run" in ended.out
    assert "'work' failed: ValueError: zero" in ended.out
    assert "line 2" in ended.out
    assert "rowel show" in ended.out


def test_a_failed_run_is_json_too(rowel: Commands, halves: str) -> None:
    ended = rowel("run", halves, "-i", "n=0", "--json")

    assert (ended.code, ended.json["status"]) == (1, "FAILED")


def test_a_paused_run_says_how_to_approve_it_and_ends_with_5(rowel: Commands, asks: str) -> None:
    ended = rowel("run", asks, "-i", "amount=1")

    assert ended.code == 5
    run_id = ended.out.split()[3]
    assert f"rowel approve {run_id} --url {rowel.url}" in ended.out


def test_in_the_background_the_run_is_named_at_once(rowel: Commands, client: Client, asks: str) -> None:
    ended = rowel("run", asks, "-i", "amount=1", "--background", "--json")

    assert ended.code == 0
    assert client.attach(ended.json["id"]).wait().status is Status.PAUSED


def test_a_workflow_is_found_by_its_name(rowel: Commands, client: Client) -> None:
    client.workflows.create("the only one of this name", HALVES)

    assert rowel("run", "the only one of this name", "-i", "n=4").code == 0


def test_a_name_that_two_workflows_have_is_refused_with_their_ids(rowel: Commands, client: Client) -> None:
    ids = [client.workflows.create("twins", HALVES).id for _ in range(2)]

    ended = rowel("run", "twins", "-i", "n=4")

    assert ended.code == 2
    assert "2 workflows are called 'twins'" in ended.err
    assert all(workflow_id in ended.err for workflow_id in ids)


def test_a_workflow_that_is_not_there_is_refused(rowel: Commands) -> None:
    ended = rowel("run", "nobody's")

    assert ended.code == 4
    assert 'there is no workflow "nobody\'s"' in ended.err


ECHO = {"nodes": [{"id": "in", "node_type": "InputNode", "config": {}}], "links": []}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=[1, 2]", [1, 2]),
        ("a=null", None),
        ('a="1"', "1"),
        ("a=some words", "some words"),
        ("a=", ""),
        ("a=x=y", "x=y"),
        ("a={broken", "{broken"),
        ("a=NaN", "NaN"),
        ("a=" + "[" * 5_000, "[" * 5_000),
        ("a=-Infinity", "-Infinity"),
        ("a=123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_value_is_json_where_it_is_json_else_text(
    rowel: Commands, client: Client, text: str, value: object
) -> None:
    workflow = client.workflows.create("echo", ECHO)

    assert rowel("run", workflow.id, "-i", text, "--json").json["outputs"] == {"in": {"a": value}}


def test_a_field_may_come_from_a_file(rowel: Commands, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "ticket.txt"
    file.write_text("Grüße\nfrom a file", encoding="utf-8")
    workflow = client.workflows.create("echo", ECHO)

    run = rowel("run", workflow.id, "-i", f"a=@{file}", "--json").json

    assert run["outputs"] == {"in": {"a": "Grüße\nfrom a file"}}


@pytest.mark.parametrize("whole", [{"a": 1, "b": {"c": 2}}, {"in": {"a": 1, "b": {"c": 2}}}])
def test_a_file_holds_the_fields_or_the_inputs_by_node(
    rowel: Commands, client: Client, tmp_path: Path, whole: dict[str, object]
) -> None:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps(whole))
    workflow = client.workflows.create("echo", ECHO)

    run = rowel("run", workflow.id, "-i", f"@{file}", "-i", "a=9", "--json").json

    assert run["outputs"] == {"in": {"a": 9, "b": {"c": 2}}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't be read"),
        (b"\xff\xfe", "can't be read"),
        (b"{", "is not JSON"),
        (b'{"a": NaN}', "NaN is no value of JSON"),
        (b"[" * 5_000, "nested too deeply"),
        (b"[1]", "must hold a JSON object"),
    ],
)
def test_a_file_of_inputs_that_is_none_ends_with_2(
    rowel: Commands, client: Client, halves: str, tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "inputs.json"
    if content is not None:
        file.write_bytes(content)

    ended = rowel("run", halves, "-i", f"@{file}")

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert client.runs(halves) == []


@pytest.mark.parametrize("text", ["n", "=4", ""])
def test_an_input_that_names_no_field_ends_with_2(rowel: Commands, halves: str, text: str) -> None:
    ended = rowel("run", halves, "-i", text)

    assert ended.code == 2
    assert "--input takes field=value" in ended.err


def test_inputs_that_the_server_refuses_end_with_4(rowel: Commands, client: Client, halves: str) -> None:
    ended = rowel("run", halves)

    assert (ended.code, ended.out) == (4, "")
    assert "lacks the required fields n" in ended.err
    assert client.runs(halves) == []


def test_ctrl_c_leaves_the_run_running_and_says_how_to_come_back(
    rowel: Commands, client: Client, slow: str, world: Providers
) -> None:
    workflow = client.workflows.create("waits", waits(slow))
    process = rowel.start("run", workflow.id)
    assert world.received.wait(30)
    (run,) = client.runs(workflow.id)

    ended = interrupt(process)

    assert ended.code == 5
    assert f"rowel show {run.id} --url {rowel.url} --follow" in ended.out
    assert f"rowel cancel {run.id}" in ended.out
    assert client.get_run(run.id).status is Status.RUNNING
    world.released.set()
    assert client.attach(run.id).wait().status is Status.COMPLETED


def test_a_run_with_a_key_is_started_once(rowel: Commands, halves: str, client: Client) -> None:
    words = ("run", halves, "-i", "n=4", "--idempotency-key", "k", "--json")

    first, again = rowel(*words).json, rowel(*words).json

    assert first["id"] == again["id"]
    assert again["outputs"]["work"] == {"half": 2.0}
    other = rowel("run", halves, "-i", "n=6", "--idempotency-key", "k")
    assert (other.code, "Another request came with this" in other.err) == (4, True)
    rerun = ("rerun", first["id"], "--from", "work", "--idempotency-key", "k", "--json")
    assert rowel(*rerun).json["id"] == rowel(*rerun).json["id"]
    assert len(client.runs(halves)) == 2


def test_a_key_that_is_none_is_a_mistake_in_the_command_line(rowel: Commands, halves: str) -> None:
    ended = rowel("run", halves, "-i", "n=4", "--idempotency-key", "é")

    assert ended.code == 2
    assert "printable ASCII" in ended.err


def test_what_the_step_cache_knows_is_shown_and_fresh_does_it_anew(rowel: Commands, client: Client) -> None:
    first, work = HALVES["nodes"]
    definition = {**HALVES, "nodes": [first, {**work, "config": {**work["config"], "cache_s": 60}}]}
    workflow = client.workflows.create("cached halves", definition).id

    def shown(*options: str) -> str:
        run_id = rowel("run", workflow, "-i", "n=8", "--json", *options).json["id"]
        return rowel("show", run_id).out

    assert "cached" not in shown()
    assert "cached" in shown()
    assert "cached" not in shown("--fresh")
