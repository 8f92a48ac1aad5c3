"""Retention removes what is old, whole, and nothing that anybody needs; on both databases, wherever it is cut."""

import asyncio
import os
from datetime import timedelta

import pytest

from rowel.core.errors import Conflict, NotFound, Unavailable
from rowel.core.status import PauseAction, RunStatus
from rowel.engine import pruning
from rowel.engine.pruning import Pruned, Stride
from rowel.engine.redrives import Redrive
from rowel.engine.reruns import Order
from rowel.store.runs import Filter
from tests.support.flows import child, flow, given, human, output
from tests.support.house import Fuse, rested, save, still, text_of, upload
from tests.support.streams import stream

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
ECHO = flow("start>a a>end start>end", start=given(n="int"), end=output(n="start.n", x="a.x"))
TABLES = ("runs", "tasks", "events", "pauses", "batches", "causes", "lanes", "output_files", "pruned")


@pytest.fixture(params=["house", "postgres_house"])
def house(request):
    """A data directory on SQLite, and one with its tables on Postgres."""
    return request.getfixturevalue(request.param)


@pytest.fixture
async def engine(house, stage):
    stage.on("a", {"x": 1})
    return await house.open()


async def ran(engine, definition=ECHO, inputs=None, **options):
    return await engine.run(await save(engine, definition), inputs or {"start": {"n": 1}}, **options)


async def ran_batch(engine, count=5, definition=ECHO):
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(count)))
    batch = await engine.start_batch(await save(engine, definition), dataset.id)
    return await rested(engine, batch.run.id)


async def later(clock, time=MONTH + DAY):
    await clock.advance(time.total_seconds())


async def rows_in(engine, *tables):
    """How many rows each table has."""
    found = {}
    for table in tables or TABLES:
        found[table] = await engine._house.database.read(
            lambda connection: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()  # noqa: B023  # read at once
        )
    return found


async def is_there(engine, run_id):
    try:
        await engine.get_run(run_id)
    except NotFound:
        return False
    return True


def files_in(house):
    files = house.data / "files"
    return {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}


def age(path, clock, **ago):
    moment = (clock.now() - timedelta(**ago)).timestamp()
    os.utime(path, (moment, moment))


async def test_an_old_run_is_gone_with_all_that_it_left(engine, clock):
    definition = flow("start>ask ask>a", ask=human())
    run = await ran(engine, definition)
    await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann")
    await rested(engine, run.run.id)
    before = await rows_in(engine)
    events = (await engine.get_run(run.run.id)).run.seq
    await later(clock)
    told = await engine.prune(MONTH)

    assert told == Pruned(runs=1, tasks=before["tasks"], events=events)
    assert set((await rows_in(engine)).values()) == {0}
    with pytest.raises(NotFound):
        await engine.get_run(run.run.id)


async def test_a_young_run_stays_as_it_is(engine, clock):
    run = await ran(engine)
    await later(clock, MONTH - DAY)
    seen = await engine.get_run(run.run.id)
    assert await engine.prune(MONTH) == Pruned()
    assert await engine.get_run(run.run.id) == seen


async def test_what_counts_is_when_a_run_ended(engine, clock):
    run = await ran(engine, flow("start>ask ask>a", ask=human()))
    await later(clock)
    assert (await engine.prune(MONTH)).runs == 0
    await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann")
    await rested(engine, run.run.id)
    assert (await engine.prune(MONTH)).runs == 0
    await later(clock)
    assert (await engine.prune(MONTH)).runs == 1


async def test_a_batch_goes_with_its_rows_and_its_file(engine, house, clock):
    batch = await ran_batch(engine, 250)
    size = len(await text_of(engine, batch.run.output_file_id))
    await later(clock)
    told = await engine.prune(MONTH)

    assert (told.runs, told.tasks, told.output_files, told.bytes) == (251, 750, 1, size)
    assert set((await rows_in(engine)).values()) == {0}
    assert [key.split("/")[0] for key in files_in(house)] == ["datasets"]
    assert len(await engine.list_datasets()) == 1
    with pytest.raises(NotFound):
        await engine.get_output_file(batch.run.output_file_id)


async def test_child_runs_go_with_the_run_that_they_are_inside_of(engine, clock):
    part = await save(engine, flow("start>a"))
    middle = await save(engine, flow("start>sub", sub=child(part)))
    run = await ran(engine, flow("start>sub", sub=child(middle)))
    assert run.run.status is RunStatus.COMPLETED
    await later(clock)
    assert (await engine.prune(MONTH)).runs == 3
    assert set((await rows_in(engine)).values()) == {0}


async def test_a_dry_run_counts_what_would_go_and_takes_nothing(engine, house, clock):
    await ran_batch(engine, 30)
    part = await save(engine, flow("start>a"))
    await ran(engine, flow("start>sub", sub=child(part)))
    (house.data / "files" / "outputs" / "lost.jsonl").write_bytes(b"lost")
    age(house.data / "files" / "outputs" / "lost.jsonl", clock, days=3)
    await later(clock)
    await ran(engine)
    before = await rows_in(engine), files_in(house)
    told = await engine.prune(MONTH, dry_run=True)
    assert (await rows_in(engine), files_in(house)) == before

    assert told.orphans == 1
    assert await engine.prune(MONTH) == told
    assert (await rows_in(engine, "runs"))["runs"] == 1


async def test_open_runs_and_what_they_name_stay(engine, stage, clock):
    origin, parent, free = [await ran(engine) for _ in range(3)]
    stage.hold("a")
    rerun = await engine.rerun(origin.run.id, Order(from_nodes=["a"]))
    listed = await engine.start(await save(engine, ECHO), {"start": {"n": 1}}, parent_run_id=parent.run.id)
    await later(clock)

    assert (await engine.prune(MONTH)).runs == 1
    assert not await is_there(engine, free.run.id)
    for run in (origin, parent, rerun, listed):
        assert await is_there(engine, run.run.id)
    stage.let_go("a")
    await still(engine)
    assert (await engine.prune(MONTH)).runs == 2
    assert await is_there(engine, rerun.run.id)


async def test_an_open_batch_keeps_all_its_rows(engine, clock):
    dataset = await upload(engine, "n\n1\n2\n3\n")
    definition = flow("start>ask ask>a", start=given(n="int"), ask=human())
    batch = await engine.start_batch(await save(engine, definition), dataset.id)
    batch = await rested(engine, batch.run.id)
    (row, *_) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    await engine.cancel(row.run.id)
    await later(clock)

    assert (await engine.prune(MONTH)).runs == 0
    assert len(await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)) == 3


async def test_a_rerun_outlives_the_run_that_it_repeats(engine, clock):
    origin = await ran(engine)
    await later(clock)
    rerun = await engine.rerun(origin.run.id, Order())
    await still(engine)
    assert (await engine.prune(MONTH)).runs == 1

    seen = await engine.get_run(rerun.run.id)
    assert (seen.run.status, seen.run.origin_id) == (RunStatus.COMPLETED, origin.run.id)
    with pytest.raises(NotFound):
        await engine.rerun(origin.run.id, Order())


async def test_a_batch_stays_while_a_younger_one_takes_over_its_rows(engine, clock):
    first = await ran_batch(engine, 3)
    second = await engine.redrive_batch(first.run.id, Redrive(rows=[1]))
    second = await rested(engine, second.run.id)
    await later(clock)
    third = await rested(engine, (await engine.redrive_batch(second.run.id, Redrive(rows=[2]))).run.id)
    assert (await engine.prune(MONTH)).runs == 0
    text = await text_of(engine, third.run.output_file_id)
    assert len(text.splitlines()) == 3
    await later(clock)

    assert (await engine.prune(MONTH, dry_run=True)).runs == 4 + 2 + 2
    assert (await engine.prune(MONTH)).runs == 4 + 2 + 2
    assert set((await rows_in(engine)).values()) == {0}


async def test_uploads_workflows_and_datasets_stay(engine, house, clock):
    kept = await engine.add_file("a.txt", None, stream(b"x"))
    dataset = await upload(engine, "n\n1\n")
    workflow_id = await save(engine, ECHO)
    await later(clock)
    await engine.prune(timedelta(0))

    assert (await engine.get_workflow(workflow_id)).id == workflow_id
    assert files_in(house) == {kept.path, dataset.key}


async def test_a_deleted_workflow_goes_once_its_runs_have_gone(engine, clock):
    run = await ran(engine)
    await engine.delete_workflow(run.run.workflow_id)
    assert (await rows_in(engine, "workflows", "versions")) == {"workflows": 1, "versions": 1}
    await engine.prune(MONTH)
    assert (await rows_in(engine, "workflows", "versions")) == {"workflows": 1, "versions": 1}
    await later(clock)
    await engine.prune(MONTH)
    assert (await rows_in(engine, "workflows", "versions")) == {"workflows": 0, "versions": 0}


async def test_a_version_that_another_workflow_runs_stays(engine, clock):
    part = await save(engine, flow("start>a"))
    await engine.run(part, {"start": {"n": 1}})
    workflow_id = await save(engine, flow("start>sub", sub=child(part, version=1)))
    await engine.delete_workflow(part)
    await later(clock)
    assert (await engine.prune(MONTH)).runs == 1

    view = await engine.run(workflow_id, {"start": {"n": 1}})
    assert view.run.status is RunStatus.COMPLETED


async def test_files_without_a_record_go_when_they_are_older_than_a_day(engine, house, clock):
    batch = await ran_batch(engine, 2)
    files = house.data / "files"
    (files / "probes").mkdir()
    for name in (
        "outputs/lost.jsonl",
        "datasets/lost.csv",
        "probes/lost.txt",
        "outputs/.half.part",
        "notes.txt",
    ):
        (files / name).write_bytes(b"12345")
        age(files / name, clock, hours=25)
    (files / "outputs" / "new.jsonl").write_bytes(b"x")
    age(files / "outputs" / "new.jsonl", clock, hours=23)
    for stored in files.rglob(f"*{batch.run.output_file_id}*"):
        age(stored, clock, days=9)
    told = await engine.prune(MONTH)

    assert told == Pruned(orphans=4, bytes=20)
    assert {name.split("/")[-1] for name in files_in(house)} >= {"new.jsonl", "notes.txt"}
    assert len(files_in(house)) == 4


async def test_many_files_of_somebody_else_are_left_alone(engine, house, clock, monkeypatch, caplog):
    monkeypatch.setattr(pruning, "MANY", 3)
    await ran_batch(engine, 2)
    datasets = house.data / "files" / "datasets"
    for path in datasets.iterdir():
        age(path, clock, days=2)
    for n in range(5):
        (datasets / f"other-{n}.csv").write_bytes(b"x")
        age(datasets / f"other-{n}.csv", clock, days=2)
    assert (await engine.prune(MONTH)).orphans == 0
    assert "5 of 6 old files in datasets have no record and were left alone" in caplog.text
    for n in range(2):
        (datasets / f"other-{n}.csv").unlink()
    assert (await engine.prune(MONTH)).orphans == 3


async def test_files_in_a_bucket_go_too(house, stage, clock, bucket):
    house.files_url = bucket.url
    engine = await house.open()
    stage.on("a", {"x": 1})
    await ran_batch(engine, 3)
    await later(clock)
    told = await engine.prune(MONTH)

    assert (told.output_files, [key.split("/")[0] for key in bucket.files()]) == (1, ["datasets"])
    assert told.bytes > 0


async def test_a_bucket_that_is_away_keeps_its_files_and_nothing_points_at_them(
    house, stage, clock, bucket, s3, monkeypatch
):
    monkeypatch.setattr("rowel.files.bucket.PATIENCE", {"max_retries": 0})
    house.files_url = bucket.url
    engine = await house.open()
    stage.on("a", {"x": 1})
    await ran_batch(engine, 3)
    await later(clock)
    s3.trouble = lambda *_: 503
    with pytest.raises(Unavailable):
        await engine.prune(MONTH)
    assert await engine.list_output_files() == []
    s3.trouble = None

    told = await engine.prune(MONTH)
    assert [key.split("/")[0] for key in bucket.files()] == ["datasets"]
    assert (told.runs, told.orphans, told.bytes > 0) == (0, 0, True)
    assert set((await rows_in(engine)).values()) == {0}


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("cut", [1, 2, 4, 7, 10])
async def test_wherever_it_is_cut_the_next_one_ends_it(engine, house, clock, monkeypatch, cut, lands):
    monkeypatch.setattr(pruning, "TOGETHER", 3)
    await ran_batch(engine, 4)
    part = await save(engine, flow("start>a"))
    await ran(engine, flow("start>sub", sub=child(part)))
    await later(clock)
    young = await ran(engine)
    seen = await engine.get_run(young.run.id)
    fuse = Fuse(engine, cut, lands=lands)
    work = asyncio.ensure_future(engine.prune(MONTH))
    await fuse.blown()
    await check_records(engine, house)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)

    engine = await reopened(house, engine)
    await check_records(engine, house)
    await engine.prune(MONTH)
    assert set((await rows_in(engine, "pruned", "output_files", "batches")).values()) == {0}
    assert (await rows_in(engine, "runs", "tasks")) == {"runs": 1, "tasks": len(seen.tasks)}
    assert [key.split("/")[0] for key in files_in(house)] == ["datasets"]
    again = await engine.get_run(young.run.id)
    assert (again.run, again.tasks) == (seen.run, seen.tasks)


async def reopened(house, engine):
    """The next engine; Postgres may need a moment to see that the last one is gone."""
    await house.crash(engine)
    async with asyncio.timeout(10):
        while True:
            try:
                return await house.open()
            except Conflict:
                await asyncio.sleep(0.05)


async def check_records(engine, house):
    """No record points at missing bytes, no run is half there."""
    for file in await engine.list_output_files():
        assert (house.data / "files" / file.key).is_file()
    for view in await engine.list_runs(Filter(), limit=100):
        assert view.run.output_file_id is not None or len(view.tasks) > 0


async def test_two_who_prune_at_once_remove_each_run_once(postgres_house, stage, clock):
    engine = await postgres_house.open()
    stage.on("a", {"x": 1})
    await ran_batch(engine, 120)
    for _ in range(20):
        await ran(engine)
    await later(clock)
    postgres_house.take_locks_from(engine)
    other = await postgres_house.open()
    told = await asyncio.gather(engine.prune(MONTH), other.prune(MONTH))

    assert sum(one.runs for one in told) == 141
    assert sum(one.tasks for one in told) == 3 * 140
    assert sum(one.output_files for one in told) == 1
    assert set((await rows_in(engine)).values()) == {0}


async def test_runs_go_on_beside_it(engine, clock):
    await ran_batch(engine, 60)
    await later(clock)
    workflow_id = await save(engine, ECHO)
    work = asyncio.ensure_future(engine.prune(MONTH))
    views = await asyncio.gather(*(engine.run(workflow_id, {"start": {"n": n}}) for n in range(50)))

    assert {view.run.status for view in views} == {RunStatus.COMPLETED}
    assert (await work).runs == 61
    assert (await rows_in(engine, "runs"))["runs"] == 50


async def test_a_call_ends_when_its_time_is_up_and_the_next_one_goes_on(engine, clock, monkeypatch):
    await ran_batch(engine, 60)
    await later(clock)
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "BUDGET_S", 0.0)
        told = await engine.prune(MONTH)
    assert not told.is_complete
    rest = await engine.prune(MONTH)
    assert (told.runs + rest.runs, rest.is_complete) == (61, True)


async def test_the_space_on_the_disk_is_given_back(house, stage, clock):
    engine = await house.open()
    stage.on("a", {"x": "long" * 100_000})
    for _ in range(10):
        await ran(engine)
    await later(clock)
    await engine.prune(MONTH)

    assert (await rows_in(engine, "runs"))["runs"] == 0
    if (house.data / "rowel.db").exists():
        pages = await engine._house.database.read(
            lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar()
        )
        assert pages < 500


async def test_a_step_that_takes_long_is_followed_by_a_smaller_one():
    async def takes(seconds):
        await asyncio.sleep(seconds)
        return "done"

    stride = Stride(100, 150)
    assert await stride.take(takes(0)) == "done"
    assert stride.size == 150
    await stride.take(takes(2 * pruning.STEP_S))
    assert stride.size == 75
    for _ in range(8):
        await stride.take(takes(2 * pruning.STEP_S))
    assert stride.size == 1
