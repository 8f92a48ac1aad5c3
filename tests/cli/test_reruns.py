"""rowel rerun."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowel import Client
from rowel.client import Status
from rowel.client.blocking import LiveRun
from tests.support.commands import Commands
from tests.support.workflows import ASKS, HALVES, waits


@pytest.fixture
def failed(client: Client) -> LiveRun:
    live = client.start(client.workflows.create("halves", HALVES).id, {"input_node": {"n": 0}})
    assert live.wait().status is Status.FAILED
    return live


def rerun_of(client: Client, run_id: str) -> str:
    """The id of the one rerun that there is."""
    (run,) = client.runs(rerun_of=run_id)
    return run.id


def test_a_rerun_with_other_outputs_shows_what_its_last_nodes_gave(
    rowel: Commands, client: Client, failed: LiveRun
) -> None:
    ended = rowel("rerun", failed.id, "--edit", 'input_node={"n": 8}')

    assert ended.code == 0
    assert f"✓ COMPLETED run {rerun_of(client, failed.id)}" in ended.out
    assert '{"half": 4.0}' in ended.out
    assert "input_node" not in ended.out


def test_a_rerun_that_fails_again_ends_with_1_and_says_so(rowel: Commands, failed: LiveRun) -> None:
    ended = rowel("rerun", failed.id)

    assert ended.code == 1
    assert "Node 'work' failed: ValueError: zero" in ended.out


def test_a_plan_is_a_table_and_nothing_is_started(rowel: Commands, client: Client, failed: LiveRun) -> None:
    ended = rowel("rerun", failed.id, "--plan")

    assert ended.code == 0
    lines = [" ".join(line.replace("│", " ").split()) for line in ended.out.splitlines()]
    assert "input_node ✓ is reused it completed, and nothing before it runs" in lines
    assert "work ▶ runs it failed" in lines
    assert "nothing was started" in ended.out
    assert client.runs(rerun_of=failed.id) == []


def test_a_plan_marks_what_touches_the_outside(rowel: Commands, client: Client, slow: str) -> None:
    live = client.start(client.workflows.create("waits", waits(slow)).id)
    live.cancel()

    ended = rowel("rerun", live.id, "--plan")

    assert [line.split()[-1] for line in ended.out.splitlines() if "▶ runs" in line][-1] == "yes"


def test_a_plan_is_json_for_programs(rowel: Commands, failed: LiveRun) -> None:
    plan = rowel("rerun", failed.id, "--plan", "--from", "work", "--version", "1", "--json").json

    assert (plan["rerun_of"], plan["version"]) == (failed.id, 1)
    assert [node["fate"] for node in plan["nodes"]] == ["reuse", "run"]


def test_a_rerun_takes_inputs_files_and_the_latest_version(
    rowel: Commands, client: Client, failed: LiveRun, tmp_path: Path
) -> None:
    edit = tmp_path / "edit.json"
    edit.write_text('{"n": 4}')

    by_input = rowel("rerun", failed.id, "-i", "n=6", "--version", "latest", "--json").json
    by_file = rowel("rerun", failed.id, "-e", f"input_node=@{edit}", "--all")

    assert by_input["outputs"]["work"] == {"half": 3.0}
    assert '{"n": 4}' in by_file.out


def test_a_rerun_in_the_background_is_named_at_once(rowel: Commands, client: Client, failed: LiveRun) -> None:
    ended = rowel("rerun", failed.id, "--background")

    assert ended.code == 0
    assert rerun_of(client, failed.id) in ended.out


def test_a_rerun_is_shown_with_what_it_reused_and_was_given(
    rowel: Commands, client: Client, failed: LiveRun
) -> None:
    first = client.rerun(failed.id, edits={"input_node": {"n": 2}})
    first.wait()
    second = client.rerun(first.id, from_nodes=["work"])
    second.wait()
    third = client.rerun(client.start(failed.run.workflow_id, {"input_node": {"n": 0}}).wait().id)
    third.wait()

    assert "✓ COMPLETED input_node  given" in rowel("show", second.id).out
    assert "✓ COMPLETED input_node  reused" in rowel("show", third.id).out


@pytest.mark.parametrize(
    "words",
    [
        ("--edit", "work"),
        ("--edit", "=1"),
        ("--edit", "work=no json"),
        ("--edit", "work=[1]"),
        ("--edit", "work=@nowhere.json"),
        ("--version", "oldest"),
        ("--version", "-1"),
    ],
    ids=str,
)
def test_what_is_no_order_ends_with_2(rowel: Commands, words: tuple[str, str]) -> None:
    ended = rowel("rerun", "some-run", *words)

    assert ended.code == 2
    assert words[0] in ended.err or "nowhere.json" in ended.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "nobody"), "'nobody'"),
        (("--version", "9"), "version 9"),
        (("--version", "0"), "version"),
        (("--from", "work", "-e", "work={}"), "both chosen and edited"),
    ],
    ids=str,
)
def test_what_the_server_refuses_ends_with_4(
    rowel: Commands, failed: LiveRun, words: tuple[str, ...], told: str
) -> None:
    for is_plan in ((), ("--plan",)):
        ended = rowel("rerun", failed.id, *words, *is_plan)
        assert ended.code == 4
        assert told in ended.err


def test_an_open_run_is_refused_with_its_status(rowel: Commands, client: Client) -> None:
    live = client.start(client.workflows.create("asks", ASKS).id, {"input_node": {"amount": 1}})
    live.wait()

    ended = rowel("rerun", live.id)

    assert ended.code == 4
    assert "is PAUSED" in ended.err
