"""Rows of an ended batch, run again: only these run, and the output holds all rows."""

import asyncio
import json
from itertools import count

import pytest

from rowel.core.errors import Conflict, Invalid, InvalidInputs, NodeFailed, NotFound
from rowel.core.status import PauseAction, RunStatus, RunType
from rowel.engine.redrives import Kind, Redrive
from rowel.store.runs import Filter
from tests.support.flows import flow, given, human, router
from tests.support.house import Fuse, rested, save, text_of, upload

PLAIN = flow("start>a", start=given(n="int"))
NEVER = "The row was not run."


@pytest.fixture(params=["house", "postgres_house"], ids=["sqlite", "postgres"])
def house(request):
    """A data directory on either database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def engine(house):
    return await house.open()


def numbers(count):
    return "n\n" + "".join(f"{n}\n" for n in range(count))


def fails(why):
    """An act that fails for the rows of `why`, {row: message}."""

    def act(inputs, context):
        n = inputs["start"]["n"]
        return NodeFailed(why[n]) if n in why else {"x": n}

    return act


def says(word):
    return lambda inputs, context: {"x": word}


async def ran(engine, definition=PLAIN, rows=10, window=3, **wish):
    dataset = await upload(engine, numbers(rows))
    batch = await engine.start_batch(await save(engine, definition), dataset.id, window, **wish)
    return await rested(engine, batch.run.id)


async def redriven(engine, batch, **wish):
    again = await engine.redrive_batch(batch.run.id, Redrive(**wish))
    return await rested(engine, again.run.id)


async def rows_of(engine, batch):
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    return sorted(view.run.row_index for view in found)


async def told(engine, batch):
    """What the output says of each row: what its node gave, or its error."""
    lines = [json.loads(line) for line in (await text_of(engine, batch.run.output_file_id)).splitlines()]
    assert [line.get("row_index", n) for n, line in enumerate(lines)] == list(range(len(lines)))
    return [line["a"]["x"] if "a" in line else line.get("error", line) for line in lines]


async def test_only_failed_rows_run_and_the_output_holds_all(engine, stage):
    stage.on("a", fails({2: "no", 3: "no", 7: "no"}))
    old = await ran(engine, column_map={"n": "n"})
    before = await text_of(engine, old.run.output_file_id)
    stage.on("a", says("again"))

    new = await redriven(engine, old)

    assert (new.run.status, new.run.run_type, new.run.origin_id) == (
        RunStatus.COMPLETED,
        RunType.BATCH,
        old.run.id,
    )
    assert new.run.message == "3 of 3 rows completed."
    assert await rows_of(engine, new) == [2, 3, 7]
    assert (new.batch.total, new.batch.window, new.batch.column_map) == (3, 3, {"n": "n"})
    assert new.batch.selection == ((2, 3), (7, 7))
    assert await told(engine, new) == [0, 1, "again", "again", 4, 5, 6, "again", 8, 9]
    assert (await engine.get_run(old.run.id)).run == old.run
    assert await text_of(engine, old.run.output_file_id) == before
    kept = (await text_of(engine, new.run.output_file_id)).splitlines()
    assert [line for n, line in enumerate(kept) if n not in (2, 3, 7)] == [
        line for n, line in enumerate(before.splitlines()) if n not in (2, 3, 7)
    ]


async def test_rows_of_one_cause_run_and_those_of_others_stay_failed(engine, stage):
    stage.on("a", fails({1: "HTTP 500", 4: "no 4", 5: "no 5", 8: "HTTP 500"}))
    old = await ran(engine)
    causes = {cause.count: cause.signature for cause in (await engine.get_batch(old.run.id)).causes}
    assert causes == {2: causes[2]}
    stage.on("a", says("again"))

    new = await redriven(engine, old, cause="Node 'a' failed: no #")

    assert await rows_of(engine, new) == [4, 5]
    failed = "Node 'a' failed: HTTP 500"
    assert await told(engine, new) == [0, failed, 2, 3, "again", "again", 6, 7, failed, 9]


async def test_named_rows_run_whatever_became_of_them(engine, stage):
    stage.on("a", fails({}))
    old = await ran(engine)
    stage.on("a", says("again"))

    new = await redriven(engine, old, rows=[9, 0, 0, 5])

    assert await rows_of(engine, new) == [0, 5, 9]
    assert await told(engine, new) == ["again", 1, 2, 3, 4, "again", 6, 7, 8, "again"]


async def test_a_redrive_may_run_on_another_version(engine, stage):
    stage.on("a", NodeFailed("no"))
    old = await ran(engine, rows=3)
    better = flow("start>b b>a", start=given(n="int"))
    await engine.update_workflow(old.run.workflow_id, "better", better, None)
    stage.on("a", says("again"))

    same = await redriven(engine, old, rows=[0])
    latest = await redriven(engine, old, rows=[0], version="latest")
    first = await redriven(engine, old, rows=[0], version=1)

    assert [view.run.version for view in (same, latest, first)] == [1, 2, 1]
    assert stage.count("b") == 1
    with pytest.raises(NotFound, match="no version 7"):
        await engine.redrive_batch(old.run.id, Redrive(version=7))


async def test_a_version_that_needs_other_columns_is_refused(engine, stage):
    stage.on("a", NodeFailed("no"))
    old = await ran(engine, rows=3)
    needs = flow("start>a", start=given(n="int", more="int"))
    await engine.update_workflow(old.run.workflow_id, "needs", needs, None)

    with pytest.raises(InvalidInputs, match="more"):
        await engine.redrive_batch(old.run.id, Redrive(version="latest"))

    assert len(await engine.list_output_files()) == 1


async def test_a_redrive_of_a_redrive_builds_on_the_merged_output(engine, stage):
    stage.on("a", fails({1: "no", 2: "no", 3: "no"}))
    first = await ran(engine, rows=6)
    stage.on("a", fails({2: "still no"}))
    second = await redriven(engine, first)
    stage.on("a", says("third"))

    third = await redriven(engine, second)

    assert await rows_of(engine, second) == [1, 2, 3]
    assert await rows_of(engine, third) == [2]
    assert third.run.origin_id == second.run.id
    assert await told(engine, third) == [0, 1, "third", 3, 4, 5]
    with pytest.raises(Invalid, match=r"No row of the batch .* failed"):
        await engine.redrive_batch(third.run.id, Redrive())


async def test_rows_that_never_ran_can_be_finished(engine, stage):
    stage.on("a", fails({1: "no", 3: "no"}))
    old = await ran(engine, rows=8, window=1, failure_threshold={"count": 1})
    assert old.run.status is RunStatus.FAILED
    stage.on("a", says("later"))

    failed = await redriven(engine, old)
    new = await redriven(engine, old, rows=Kind.UNFINISHED)

    assert await told(engine, failed) == [0, "later", 2, "later", NEVER, NEVER, NEVER, NEVER]
    assert await rows_of(engine, new) == [1, 3, 4, 5, 6, 7]
    assert await told(engine, new) == [0, "later", 2, "later", "later", "later", "later", "later"]
    with pytest.raises(Invalid, match=r"Every row of the batch .* is COMPLETED"):
        await engine.redrive_batch(new.run.id, Redrive(rows=Kind.UNFINISHED))


async def test_a_canceled_redrive_shows_what_it_did_and_what_was_before(engine, stage):
    stage.on("a", fails({1: "no", 2: "no", 3: "no"}))
    first = await ran(engine, rows=5)
    asks = flow(
        "start>route route.two>ask ask>a start>a2",
        start=given(n="int"),
        route=router(two=("start.n", 2)),
        ask=human(),
    )
    await engine.update_workflow(first.run.workflow_id, "asks", asks, None)
    second = await redriven(engine, first, version="latest")
    assert second.run.status is RunStatus.PAUSED
    await engine.cancel(second.run.id)

    lines = (await text_of(engine, second.run.output_file_id)).splitlines()
    assert len(lines) == 5
    assert json.loads(lines[2])["error"] == "Canceled on request."
    stage.on("a", says("third"))
    third = await redriven(engine, second, rows=Kind.UNFINISHED, version=1)
    assert await rows_of(engine, third) == [2]
    assert len((await text_of(engine, third.run.output_file_id)).splitlines()) == 5


async def test_rows_of_a_redrive_may_wait_for_people(engine, stage):
    asks = flow("start>ask ask>a", start=given(n="int"), ask=human())
    stage.on("a", NodeFailed("no"))
    old = await ran(engine, asks, rows=3)
    for view, _ in await engine.paused(limit=10):
        await engine.decide(view.run.id, PauseAction.APPROVE, {}, "ann")
    await rested(engine, old.run.id)
    stage.on("a", says("again"))

    new = await redriven(engine, old, rows=[1])
    assert (new.run.status, new.batch.paused) == (RunStatus.PAUSED, 1)
    ((view, _),) = await engine.paused(limit=10)
    await engine.decide(view.run.id, PauseAction.APPROVE, {}, "ann")

    end = await rested(engine, new.run.id)
    assert (await told(engine, end))[1] == "again"


async def test_a_batch_that_is_open_is_not_redriven(engine, stage):
    old = await ran(engine, canary=2)

    with pytest.raises(Conflict, match="PAUSED"):
        await engine.redrive_batch(old.run.id, Redrive())


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"rows": [3, 10]}, "no row 10; its rows are 0 to 9"),
        ({"rows": [-1]}, "no row -1"),
        ({"rows": []}, "at least one row"),
        ({"rows": Kind.FAILED}, "No row of the batch"),
        ({"cause": "made up"}, "failed for this cause"),
        ({"rows": [1], "version": "newest"}, "newest"),
    ],
)
async def test_a_redrive_of_nothing_starts_nothing(engine, stage, wish, why):
    old = await ran(engine)

    with pytest.raises(Invalid, match=why):
        await engine.redrive_batch(old.run.id, Redrive(**wish))

    assert len(await engine.list_output_files()) == 1


async def test_what_is_gone_is_named(engine, stage):
    old = await ran(engine)
    run = await engine.run(old.run.workflow_id, {"start": {"n": 1}})

    with pytest.raises(NotFound, match="is no batch"):
        await engine.redrive_batch(run.run.id, Redrive(rows=[1]))
    await engine.delete_dataset(old.run.input_dataset_id)
    with pytest.raises(NotFound, match="no dataset"):
        await engine.redrive_batch(old.run.id, Redrive(rows=[1]))


async def test_an_output_that_is_taken_from_is_kept_until_then(engine, stage):
    stage.on("a", fails({}))
    old = await ran(engine, rows=4)
    stage.hold("a")
    new = await engine.redrive_batch(old.run.id, Redrive(rows=[1]))
    await stage.begun("a", 5)

    with pytest.raises(Conflict, match=f"{new.run.id} is RUNNING and takes rows from this file"):
        await engine.delete_output_file(old.run.output_file_id)
    stage.let_go("a")
    end = await rested(engine, new.run.id)
    await engine.delete_output_file(old.run.output_file_id)

    assert await told(engine, end) == [0, 1, 2, 3]


async def test_an_output_that_was_deleted_is_made_again_from_the_rows(engine, stage):
    stage.on("a", fails({1: "no"}))
    old = await ran(engine, rows=4)
    await engine.delete_output_file(old.run.output_file_id)
    stage.on("a", says("again"))

    assert await told(engine, await redriven(engine, old)) == [0, "again", 2, 3]


async def test_rows_far_apart_in_a_large_dataset_are_found(engine, stage):
    old = await ran(engine, rows=30_000, canary=1)
    await engine.cancel(old.run.id)

    new = await redriven(engine, old, rows=[3, 4, 25_001, 29_999])

    found = await engine.list_runs(Filter(parent_run_id=new.run.id), limit=10)
    assert sorted(view.run.initial_inputs["start"]["n"] for view in found) == [3, 4, 25_001, 29_999]
    assert (await text_of(engine, new.run.output_file_id)).count("\n") == 30_000


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_a_redrive_ends_the_same_wherever_it_is_cut(house, stage, lands):
    engine = await house.open()
    stage.on("a", fails({1: "no", 4: "no", 5: "no"}))
    old = await ran(engine, rows=7)
    stage.on("a", says("again"))
    for groups in count(1, 2):
        fuse = Fuse(engine, groups, lands=lands)
        starting = asyncio.ensure_future(engine.redrive_batch(old.run.id, Redrive()))
        blown = asyncio.ensure_future(fuse.blown())
        await asyncio.wait([starting, blown], return_when=asyncio.FIRST_COMPLETED)
        was_cut = blown.done() or await fuse.burn()
        for task in (starting, blown):
            task.cancel()
        await asyncio.gather(starting, blown, return_exceptions=True)
        if was_cut:
            engine = await house.restart(engine)
        found = await engine.list_runs(Filter(origin_id=old.run.id), limit=1)
        if groups > 1 or lands:
            new = await rested(engine, found[0].run.id)
            assert new.run.status is RunStatus.COMPLETED
            assert await rows_of(engine, new) == [1, 4, 5]
            assert await told(engine, new) == [0, "again", 2, 3, "again", "again", 6]
        if not was_cut:
            break
    assert groups > 5
