"""A run keeps the version it began with; a new version is made when a changed definition is run."""

import asyncio

import pytest

from rowel.core.errors import InvalidDefinition, NotFound
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.workflows import KEEP
from tests.support.flows import flow, human, of_type, output, work
from tests.support.house import rested, save, task_at

APPROVE = PauseAction.APPROVE
SIMPLE = flow("start>a a>end", a=work(gives={"x": 1}))
CHANGED = flow("start>a a>end", a=work(gives={"x": 2}))


async def versions(engine, workflow_id):
    return [version.version for version in await engine.list_versions(workflow_id)]


async def test_saving_a_workflow_makes_no_version(engine):
    assert await versions(engine, await save(engine, SIMPLE)) == []


async def test_the_first_run_makes_version_one_and_shows_it_at_once(engine):
    workflow_id = await save(engine, SIMPLE)

    view = await engine.start(workflow_id, None)

    assert view.run.version == view.version.version == 1
    assert view.run.version_id == view.version.id
    assert await versions(engine, workflow_id) == [1]


async def test_an_unchanged_definition_keeps_its_version(engine):
    workflow_id = await save(engine, SIMPLE)

    first = await engine.run(workflow_id, None)
    second = await engine.run(workflow_id, None)

    assert first.version.id == second.version.id


async def test_a_changed_definition_gets_the_next_version_when_it_is_run(engine):
    workflow_id = await save(engine, SIMPLE)
    await engine.run(workflow_id, None)

    await engine.update_workflow(workflow_id, "test", CHANGED, KEEP)
    assert await versions(engine, workflow_id) == [1]
    view = await engine.run(workflow_id, None)

    assert view.run.version == 2
    assert view.outputs["a"] == {"x": 2}
    assert await versions(engine, workflow_id) == [2, 1]


async def test_changing_back_makes_a_version_again(engine):
    workflow_id = await save(engine, SIMPLE)
    for definition in (SIMPLE, CHANGED, SIMPLE):
        await engine.update_workflow(workflow_id, "test", definition, KEEP)
        view = await engine.run(workflow_id, None)

    assert view.run.version == 3
    assert view.outputs["a"] == {"x": 1}


async def test_edits_that_are_never_run_make_no_version(engine):
    workflow_id = await save(engine, SIMPLE)
    await engine.run(workflow_id, None)
    await engine.update_workflow(workflow_id, "test", CHANGED, KEEP)
    await engine.update_workflow(workflow_id, "test", SIMPLE, KEEP)

    assert (await engine.run(workflow_id, None)).run.version == 1


async def test_moving_a_node_on_the_canvas_makes_no_version(engine):
    workflow_id = await save(engine, SIMPLE)
    await engine.run(workflow_id, None)
    moved = {
        **SIMPLE,
        "nodes": [{**node, "coordinates": {"x": 5, "y": 7}} for node in SIMPLE["nodes"]],
        "test_inputs": [{"id": 1}],
    }

    await engine.update_workflow(workflow_id, "test", moved, KEEP)

    assert (await engine.run(workflow_id, None)).run.version == 1


async def test_a_new_name_makes_no_version(engine):
    workflow_id = await save(engine, SIMPLE)
    await engine.run(workflow_id, None)

    await engine.update_workflow(workflow_id, "another name", SIMPLE, KEEP)

    assert (await engine.run(workflow_id, None)).run.version == 1


async def test_a_paused_run_ends_on_the_version_it_began_with(engine):
    asks = flow("start>ask ask>a a>end", ask=human(), a=work(gives={"x": "old"}))
    edited = flow("start>ask ask>b b>end", ask=human(), b=work(gives={"x": "new"}))
    workflow_id = await save(engine, asks)
    run = await engine.run(workflow_id, None)
    await engine.update_workflow(workflow_id, "test", edited, KEEP)

    answer = await engine.decide(run.run.id, APPROVE, {}, "ann")
    end = await rested(engine, run.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.run.version == run.run.version == answer.run.version == 1
    assert end.outputs["a"] == {"x": "old"}


async def test_a_paused_run_keeps_its_version_over_an_edit_and_a_crash(house):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>ask ask>a a>end", ask=human(), a=work(gives={"x": "old"})))
    run = await engine.run(workflow_id, None)
    await engine.update_workflow(workflow_id, "test", SIMPLE, KEEP)

    engine = await house.restart(engine)
    await engine.decide(run.run.id, APPROVE, {}, "ann")
    end = await rested(engine, run.run.id)

    assert end.run.version == 1
    assert end.outputs["a"] == {"x": "old"}


async def test_a_running_run_is_not_touched_by_an_edit(engine, stage):
    workflow_id = await save(engine, SIMPLE)
    stage.hold("a")
    run = await engine.start(workflow_id, None)
    await stage.begun("a")
    await engine.update_workflow(workflow_id, "test", flow("start>end"), KEEP)

    stage.let_go("a")

    assert (await rested(engine, run.run.id)).outputs["end"] == {"a": {"x": 1}}


async def test_a_run_of_a_deleted_workflow_goes_on_and_can_be_read(engine, stage):
    workflow_id = await save(engine, SIMPLE)
    stage.hold("a")
    run = await engine.start(workflow_id, None)
    await stage.begun("a")

    await engine.delete_workflow(workflow_id)
    stage.let_go("a")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED
    with pytest.raises(NotFound):
        await engine.start(workflow_id, None)
    with pytest.raises(NotFound):
        await engine.get_workflow(workflow_id)


async def test_the_acceptance_is_the_start_time_and_it_never_changes(engine, stage, clock):
    workflow_id = await save(engine, SIMPLE)
    stage.hold("a")
    accepted = clock.now()
    run = await engine.start(workflow_id, None)
    await stage.begun("a")
    await clock.advance(60)
    stage.let_go("a")

    end = await rested(engine, run.run.id)

    assert run.run.start_time == end.run.start_time == accepted
    assert end.duration_s(clock.now()) == 60


async def test_runs_that_start_at_once_on_a_new_definition_share_one_version(engine):
    workflow_id = await save(engine, SIMPLE)

    views = await asyncio.gather(*(engine.run(workflow_id, None) for _ in range(10)))

    assert {view.run.version for view in views} == {1}
    assert await versions(engine, workflow_id) == [1]


async def test_two_workflows_with_one_definition_have_versions_of_their_own(engine):
    first, second = await save(engine, SIMPLE), await save(engine, SIMPLE)

    one, other = await engine.run(first, None), await engine.run(second, None)

    assert one.version.workflow_id == first
    assert other.version.workflow_id == second
    assert (one.run.version, other.run.version) == (1, 1)


async def test_definitions_come_back_with_titles_filled_in_and_all_else_as_it_was(engine):
    definition = flow("start>a a>end", a=work(gives={"x": 1}, unknown={"kept": [1, 2]}))

    workflow = await engine.get_workflow(await save(engine, definition))

    assert [node["title"] for node in workflow.definition["nodes"]] == ["start", "a", "end"]
    assert workflow.definition["nodes"][1]["config"] == {"gives": {"x": 1}, "unknown": {"kept": [1, 2]}}
    assert workflow.definition["links"] == definition["links"]


async def test_an_impossible_definition_is_refused_with_all_its_problems_and_not_kept(engine):
    broken = flow("a>b b>a c>end", c=of_type("NoSuchNode"), end=output(x=" "))

    with pytest.raises(InvalidDefinition) as caught:
        await save(engine, broken)

    text = str(caught.value)
    assert all(part in text for part in ("no input node", "cycle", "NoSuchNode", "needs a path"))
    assert await engine.list_workflows(limit=10) == []


async def test_a_refused_edit_leaves_the_workflow_as_it_was(engine):
    workflow_id = await save(engine, SIMPLE)

    with pytest.raises(InvalidDefinition):
        await engine.update_workflow(workflow_id, "test", {"nodes": [], "links": []}, KEEP)

    assert (await engine.run(workflow_id, None)).outputs["a"] == {"x": 1}


async def test_an_absent_description_stays_and_a_given_one_replaces_it(engine):
    workflow_id = (await engine.create_workflow("test", SIMPLE, "what it does")).id

    kept = await engine.update_workflow(workflow_id, "test", SIMPLE, KEEP)
    gone = await engine.update_workflow(workflow_id, "test", SIMPLE, None)

    assert (kept.description, gone.description) == ("what it does", None)


async def test_a_copy_is_a_workflow_of_its_own(engine):
    workflow_id = await save(engine, SIMPLE)

    copy = await engine.duplicate_workflow(workflow_id)
    await engine.update_workflow(copy.id, "changed", CHANGED, KEEP)

    assert (await engine.run(workflow_id, None)).outputs["a"] == {"x": 1}
    assert (await engine.run(copy.id, None)).outputs["a"] == {"x": 2}


async def test_a_runs_tasks_are_those_of_its_version(engine):
    workflow_id = await save(engine, flow("start>ask ask>a a>end", ask=human()))
    run = await engine.run(workflow_id, None)
    await engine.update_workflow(workflow_id, "test", flow("start>end"), KEEP)

    assert task_at(await engine.get_run(run.run.id), "a").node_id == "a"
