"""Commands about runs that were started: runs, show, approve, decline, override, cancel."""

from __future__ import annotations

import json

import pytest

from rowel import Client
from rowel.client import Status
from rowel.client.blocking import LiveRun
from tests.support.commands import Commands, interrupt
from tests.support.providers import Providers
from tests.support.workflows import ASKS, HALVES, LOOPS, waits


@pytest.fixture
def paused(client: Client) -> LiveRun:
    """A run that waits for a person."""
    live = client.start(client.workflows.create("asks", ASKS).id, {"input_node": {"amount": 1}})
    assert live.wait().status is Status.PAUSED
    return live


@pytest.fixture
def failed(client: Client) -> LiveRun:
    live = client.start(client.workflows.create("halves", HALVES).id, {"input_node": {"n": 0}})
    assert live.wait().status is Status.FAILED
    return live


def test_runs_are_listed_with_status_and_message(rowel: Commands, failed: LiveRun) -> None:
    ended = rowel("runs", "--workflow", failed.run.workflow_id)

    assert ended.code == 0
    (line,) = [line for line in ended.out.splitlines() if failed.id in line]
    assert "✗ FAILED" in line
    assert "'work' failed" in line


def test_runs_of_one_status_are_listed_however_it_is_written(
    rowel: Commands, failed: LiveRun, paused: LiveRun
) -> None:
    listed = rowel("runs", "--status", "paused", "--json").json

    assert {run["status"] for run in listed} == {"PAUSED"}
    assert paused.id in {run["id"] for run in listed}


def test_no_more_runs_are_listed_than_asked_for(rowel: Commands, failed: LiveRun, paused: LiveRun) -> None:
    listed = rowel("runs", "--limit", "1", "--json").json

    assert [run["id"] for run in listed] == [max(failed.id, paused.id)]


def test_runs_of_one_workflow_and_type_are_listed(rowel: Commands, client: Client) -> None:
    workflow = client.workflows.create("only mine", HALVES)
    client.run_partial(workflow.id, "work", partial_outputs={"input_node": {"n": 4}})
    client.run(workflow.id, {"input_node": {"n": 4}})

    listed = rowel("runs", "-w", "only mine", "--run-type", "partial", "--json").json

    assert [(run["run_type"], run["workflow_id"]) for run in listed] == [("partial", workflow.id)]
    assert rowel("runs", "--run-type", "odd").code == 4


@pytest.mark.parametrize("words", [("--status", "ODD"), ("--limit", "0"), ("--limit", "101")])
def test_a_list_that_can_not_be_ends_with_2(rowel: Commands, words: tuple[str, str]) -> None:
    assert rowel("runs", *words).code == 2


def test_a_run_is_shown_as_a_tree_with_iterations_below_their_loop(rowel: Commands, client: Client) -> None:
    live = client.start(client.workflows.create("loops", LOOPS).id, {"input_node": {"text": "x"}})
    live.wait()

    ended = rowel("show", live.id)

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith(f"✓ COMPLETED run {live.id} of version 1")
    loop = next(place for place, line in enumerate(lines) if "COMPLETED loop" in line)
    inside = [line.split("COMPLETED ")[1].split("]")[0] + "]" for line in lines[loop + 1 : loop + 5]]
    assert sorted(inside) == ["begin [1]", "begin [2]", "end [1]", "end [2]"]
    assert all(line.index("✓") > lines[loop].index("✓") for line in lines[loop + 1 : loop + 5])


def test_a_failed_task_shows_its_error_and_trace(rowel: Commands, failed: LiveRun) -> None:
    ended = rowel("show", failed.id)

    assert ended.code == 0
    assert "✗ FAILED work" in ended.out
    assert "ValueError: zero" in ended.out
    assert "line 2" in ended.out


def test_a_run_is_shown_as_json(rowel: Commands, failed: LiveRun) -> None:
    shown = rowel("show", failed.id, "--json").json

    assert (shown["id"], [task["node_id"] for task in shown["tasks"]]) == (failed.id, ["input_node", "work"])


def test_a_run_that_is_not_there_ends_with_4(rowel: Commands) -> None:
    ended = rowel("show", "none")

    assert (ended.code, ended.out) == (4, "")
    assert "no run 'none'" in ended.err


def test_following_tells_each_change_and_ends_with_the_runs_code(
    rowel: Commands, client: Client, slow: str, world: Providers
) -> None:
    live = client.start(client.workflows.create("waits", waits(slow)).id)
    with rowel.start("show", live.id, "--follow") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        world.released.set()
        rest = process.stdout.read()

    assert first == "· PENDING run\n"
    assert "✓ COMPLETED call" in rest
    assert f"✓ COMPLETED run {live.id}" in rest
    assert process.returncode == 0


@pytest.mark.parametrize(("which", "code"), [("failed", 1), ("paused", 5)])
def test_following_a_run_that_rests_shows_it_at_once(
    rowel: Commands, request: pytest.FixtureRequest, which: str, code: int
) -> None:
    live: LiveRun = request.getfixturevalue(which)

    ended = rowel("show", live.id, "--follow")

    assert ended.code == code
    assert live.id in ended.out


def test_following_for_programs_prints_the_run_and_nothing_else(
    rowel: Commands, client: Client, slow: str, world: Providers
) -> None:
    live = client.start(client.workflows.create("waits", waits(slow)).id)
    assert world.received.wait(30)
    with rowel.start("show", live.id, "--follow", "--json") as process:
        world.released.set()
        out, _ = process.communicate(timeout=30)

    assert (json.loads(out)["id"], json.loads(out)["status"]) == (live.id, "COMPLETED")


def test_following_in_a_terminal_ends_with_the_tree(
    rowel: Commands, client: Client, slow: str, world: Providers
) -> None:
    live = client.start(client.workflows.create("waits", waits(slow)).id)
    world.released.set()

    ended = rowel.in_terminal("show", live.id, "--follow")

    assert ended.code == 0
    assert f"✓ COMPLETED run {live.id}" in ended.out
    assert "── ✓ COMPLETED call" in ended.out.splitlines()[-1]


def test_ctrl_c_stops_following_and_leaves_the_run_running(
    rowel: Commands, client: Client, slow: str
) -> None:
    live = client.start(client.workflows.create("waits", waits(slow)).id)
    process = rowel.start("show", live.id, "--follow")
    assert process.stdout is not None
    assert process.stdout.readline()

    ended = interrupt(process)

    assert ended.code == 5
    assert "The run goes on." in ended.out
    assert live.refresh().status is Status.RUNNING


def test_an_approved_run_goes_on_with_what_the_person_gave(
    rowel: Commands, client: Client, paused: LiveRun
) -> None:
    ended = rowel("approve", paused.id, "-i", "ok=true", "--user", "ann", "-m", "fine")

    assert ended.code == 0
    assert "Node 'ask' was approved by ann: fine." in ended.out
    assert paused.outputs()["ask"]["ok"] is True
    (pause,) = client.pause_history(paused.id)
    assert (pause.resume_user_id, pause.comments) == ("ann", "fine")


def test_a_decision_with_a_key_is_made_once_and_told_again(rowel: Commands, paused: LiveRun) -> None:
    words = ("approve", paused.id, "-i", "ok=true", "--user", "ann", "--idempotency-key", "k")

    first, again = rowel(*words), rowel(*words)

    assert (first.code, first.out) == (again.code, again.out)
    assert rowel("approve", paused.id, "-i", "ok=true", "--user", "ann").code == 4


def test_an_overridden_run_goes_on_with_that_alone(rowel: Commands, paused: LiveRun) -> None:
    assert rowel("override", paused.id, "-i", "ok=false", ROWEL_USER="bob").code == 0
    assert paused.outputs()["ask"] == {"ok": False}


def test_a_declined_run_is_canceled(rowel: Commands, paused: LiveRun) -> None:
    told = rowel("decline", paused.id, "--user", "ann", "--json").json

    assert "declined by ann" in told["message"]
    assert paused.wait().status is Status.CANCELED


def test_who_decides_is_the_login_name_where_nothing_else_is_said(
    rowel: Commands, client: Client, paused: LiveRun
) -> None:
    rowel("approve", paused.id, LOGNAME="carol", ROWEL_USER="")

    (pause,) = client.pause_history(paused.id)
    assert pause.resume_user_id == "carol"


def test_who_has_no_name_may_decide(
    rowel: Commands, client: Client, paused: LiveRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", nameless)

    assert rowel("approve", paused.id).code == 0
    (pause,) = client.pause_history(paused.id)
    assert pause.resume_user_id == "rowel"


def test_the_second_to_decide_ends_with_4(rowel: Commands, paused: LiveRun) -> None:
    rowel("approve", paused.id, "--user", "ann")

    ended = rowel("decline", paused.id)

    assert ended.code == 4
    assert "approved by ann" in ended.err


def test_a_pause_is_named_by_its_node(rowel: Commands, paused: LiveRun) -> None:
    assert rowel("approve", paused.id, "--node-id", "elsewhere").code == 4
    assert rowel("approve", paused.id, "--node-id", "ask").code == 0


def test_a_canceled_run_is_canceled_once(rowel: Commands, paused: LiveRun) -> None:
    ended = rowel("cancel", paused.id)

    assert ended.code == 0
    assert "⊘ CANCELED" in ended.out
    again = rowel("cancel", paused.id)
    assert again.code == 4
    assert "CANCELED" in again.err
