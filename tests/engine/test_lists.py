"""Finding runs again."""

import pytest

from rowel.core.errors import NodeFailed, NotFound
from rowel.core.status import RunStatus, RunType
from rowel.engine import marks
from rowel.store import lists
from rowel.store.runs import Filter
from tests.support.flows import flow, human
from tests.support.house import save, still

ONE = flow("start>a")


async def ids(engine, limit=100, offset=0, **wanted):
    found = await engine.list_runs(Filter(**wanted), limit=limit, offset=offset)
    return [view.run.id for view in found]


@pytest.fixture
async def three(engine, clock):
    """Three runs of one workflow, a minute apart, oldest first."""
    workflow_id = await save(engine, ONE)
    runs = []
    for _ in range(3):
        runs.append((await engine.run(workflow_id, None)).run)
        await clock.advance(60)
    return runs


async def test_runs_are_listed_newest_start_first(engine, three):
    assert await ids(engine, workflow_id=three[0].workflow_id) == [run.id for run in reversed(three)]


async def test_runs_that_began_at_the_same_moment_are_listed_newest_first_too(engine):
    workflow_id = await save(engine, ONE)
    begun = [(await engine.start(workflow_id, None)).run.id for _ in range(20)]
    await still(engine)

    assert await ids(engine, workflow_id=workflow_id) == begun[::-1]


async def test_pages_follow_on_each_other(engine, three):
    pages = [await ids(engine, 2, offset, workflow_id=three[0].workflow_id) for offset in (0, 2, 4)]

    assert pages == [[three[2].id, three[1].id], [three[0].id], []]


async def test_a_walk_through_late_pages_counts_nothing_twice_and_meets_every_run_once(
    engine, three, clock, monkeypatch
):
    monkeypatch.setattr(marks, "COUNTED", 0)
    skipped = []
    newest = lists.newest

    def watched(connection, wanted, *, limit, offset=0):
        skipped.append(offset)
        return newest(connection, wanted, limit=limit, offset=offset)

    monkeypatch.setattr(lists, "newest", watched)

    walked = []
    for offset in range(4):
        # As the API asks: one more than it shows.
        walked += (await ids(engine, 2, offset, workflow_id=three[0].workflow_id))[:1]
        await engine.run(three[0].workflow_id, None)

    assert walked == [run.id for run in reversed(three)]
    assert skipped == [0, 0, 0, 0]

    await clock.advance(61)
    assert await ids(engine, 1, 1, workflow_id=three[0].workflow_id) != [three[1].id]


async def test_early_pages_are_counted_each_time(engine, three):
    await ids(engine, 2, 0)
    newer = await engine.run(three[0].workflow_id, None)

    assert await ids(engine, 2, 1) == [three[2].id, three[1].id]
    assert await ids(engine, 1) == [newer.run.id]


async def test_the_next_page_may_begin_behind_a_run(engine, three):
    before = (three[1].start_time, three[1].id)

    assert await ids(engine, workflow_id=three[0].workflow_id, before=before) == [three[0].id]


async def test_both_ends_of_a_time_are_included(engine, three):
    workflow_id = three[0].workflow_id

    assert await ids(engine, workflow_id=workflow_id, since=three[1].start_time) == [
        three[2].id,
        three[1].id,
    ]
    assert await ids(engine, workflow_id=workflow_id, until=three[1].start_time) == [
        three[1].id,
        three[0].id,
    ]


async def test_runs_can_be_asked_for_by_status(engine, stage, three):
    stage.on("a", NodeFailed("broken"))
    failed = await engine.run(three[0].workflow_id, None)

    assert await ids(engine, statuses=[RunStatus.FAILED]) == [failed.run.id]
    assert len(await ids(engine, statuses=[RunStatus.FAILED, RunStatus.COMPLETED])) == 4
    assert await ids(engine, statuses=[RunStatus.PAUSED]) == []


async def test_runs_can_be_asked_for_by_type(engine, three):
    partial = await engine.run_partial(three[0].workflow_id, "a")

    assert await ids(engine, run_type=RunType.PARTIAL) == [partial.run.id]
    assert len(await ids(engine, run_type=RunType.INTERACTIVE)) == 3


async def test_a_list_shows_only_its_workflows_runs(engine, three):
    other = await engine.run(await save(engine, ONE), None)

    assert await ids(engine, workflow_id=other.run.workflow_id) == [other.run.id]
    assert len(await ids(engine)) == 4


async def test_the_runs_of_an_unknown_workflow_are_not_found(engine):
    with pytest.raises(NotFound, match="made-up"):
        await ids(engine, workflow_id="made-up")


async def test_an_unknown_run_is_not_found(engine):
    with pytest.raises(NotFound, match="made-up"):
        await engine.get_run("made-up")


async def test_listed_runs_are_what_one_run_shows_alone(engine, three):
    listed = await engine.list_runs(Filter(workflow_id=three[0].workflow_id), limit=10)

    for view in listed:
        alone = await engine.get_run(view.run.id)
        assert (view.run, list(view.tasks), view.outputs) == (alone.run, list(alone.tasks), alone.outputs)


async def test_workflows_are_listed_newest_first_in_pages(engine, clock):
    kept = []
    for number in range(3):
        kept.append(await save(engine, ONE, f"number {number}"))
        await clock.advance(1)

    pages = [await engine.list_workflows(limit=2, offset=offset) for offset in (0, 2)]

    assert [[workflow.id for workflow in page] for page in pages] == [[kept[2], kept[1]], [kept[0]]]


async def test_a_workflow_that_is_not_there_is_not_found(engine):
    for ask in (
        engine.get_workflow("made-up"),
        engine.delete_workflow("made-up"),
        engine.duplicate_workflow("made-up"),
        engine.list_versions("made-up"),
        engine.output_variables("made-up"),
        engine.update_workflow("made-up", "x", ONE, None),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_a_deleted_workflow_is_not_listed(engine):
    workflow_id = await save(engine, ONE)

    await engine.delete_workflow(workflow_id)

    assert await engine.list_workflows(limit=10) == []
    with pytest.raises(NotFound):
        await engine.delete_workflow(workflow_id)


async def test_looking_at_runs_writes_nothing(engine, house, three, monkeypatch):
    paused = await engine.run(await save(engine, flow("start>ask", ask=human())), None)
    writes = []
    monkeypatch.setattr(
        engine._house.database.writer, "write", lambda *steps, **options: writes.append(steps)
    )

    await engine.get_run(paused.run.id)
    await engine.list_runs(Filter(), limit=100)
    await engine.paused(limit=10)
    await engine.pause_history(paused.run.id)
    await engine.list_versions(paused.run.workflow_id)
    async for _ in engine.events(three[0].id):
        pass

    assert writes == []
