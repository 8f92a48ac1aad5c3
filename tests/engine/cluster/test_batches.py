"""Several workers share one batch."""

import asyncio
import json

from rowel.core.errors import Unavailable
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.cluster import lanes
from rowel.engine.cluster.source import Source
from tests.support.flows import child, flow, given, human, output, router
from tests.support.house import reaches, save, text_of, upload

APPROVE = PauseAction.APPROVE
ROWS = "n\n" + "".join(f"{n}\n" for n in range(120))
PLAIN = flow("start>a a>end", start=given(n="int"), end=output(n="a.n"))


def echo(inputs, context):
    return {"n": inputs["start"]["n"]}


async def numbers(engine, view):
    lines = (await text_of(engine, view.run.output_file_id)).splitlines()
    return [json.loads(line).get("end", {}).get("n") for line in lines]


async def test_every_row_runs_once_and_the_file_is_in_order(fleet, stage):
    stage.on("a", echo)
    server = await fleet.server()
    for _ in range(3):
        await fleet.worker()
    dataset = await upload(server, ROWS)

    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 10)
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert end.run.message == "120 of 120 rows completed."
    assert await numbers(server, end) == list(range(120))
    assert set(stage.counts.values()) == {1}


async def test_no_more_rows_are_under_way_than_the_window_allows_over_all_workers(fleet, stage):
    stage.on("a", lambda inputs, context: asyncio.sleep(0.01, echo(inputs, context)))
    server = await fleet.server()
    for _ in range(3):
        await fleet.worker(batch=4)
    dataset = await upload(server, ROWS)

    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 5)
    await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert 2 <= stage.most <= 5


async def test_an_interactive_run_does_not_wait_for_rows(fleet, stage):
    stage.hold("a")
    server, _ = await fleet.server(), await fleet.worker(interactive=1, batch=2)
    dataset = await upload(server, ROWS)
    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 50)
    await stage.begun("a", 2)

    view = await server.run(await save(server, flow("start>b")), None, timeout_s=20)

    assert view.run.status is RunStatus.COMPLETED
    await server.cancel(batch.run.id)
    stage.let_go("a")


async def test_a_canceled_batch_begins_no_more_rows_anywhere(fleet, stage):
    stage.hold("a")
    server = await fleet.server()
    for _ in range(2):
        await fleet.worker(batch=3)
    dataset = await upload(server, ROWS)
    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 6)
    await stage.begun("a", 6)

    view = await server.cancel(batch.run.id)

    await stage.stopped(6)
    assert view.run.status is RunStatus.CANCELED
    assert stage.count("a") == 6
    assert (await server.get_run(batch.run.id)).batch.canceled == 120


async def test_rows_that_people_answer_go_on_in_any_worker_and_the_batch_ends(fleet, stage):
    server = await fleet.server()
    for _ in range(2):
        await fleet.worker()
    definition = flow(
        "start>route route.odd>ask ask>a start>a2 a2>end",
        start=given(n="int"),
        route=router(odd=("start.n", 7)),
        ask=human(),
        end=output(n="a2.by"),
    )
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(20)))
    batch = await server.start_batch(await save(server, definition), dataset.id, 4)
    paused = await reaches(server, batch.run.id, RunStatus.PAUSED)
    assert (paused.batch.completed, paused.batch.paused) == (19, 1)

    waiting = await server.paused(limit=10)
    row = next(view.run.id for view, _ in waiting if view.run.row_index == 7)
    await server.decide(row, APPROVE, {"start": {"n": 7}}, "ann")

    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)
    assert end.run.message == "20 of 20 rows completed."


async def test_failing_rows_stop_no_other_and_are_error_records(fleet, stage):
    def odd(inputs, context):
        return ValueError("odd") if inputs["start"]["n"] % 10 == 3 else echo(inputs, context)

    stage.on("a", odd)
    server = await fleet.server()
    for _ in range(2):
        await fleet.worker()
    dataset = await upload(server, ROWS)

    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 8)
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert end.run.message == "108 of 120 rows completed, 12 failed."
    wanted = [None if n % 10 == 3 else n for n in range(120)]
    assert await numbers(server, end) == wanted


async def test_rows_with_child_runs_end(fleet, stage):
    stage.on("a", lambda inputs, context: {"n": 1})
    server = await fleet.server()
    for _ in range(2):
        await fleet.worker(batch=2)
    inner = await save(server, flow("start>a a>end"))
    definition = flow("start>sub sub>end", start=given(n="int"), sub=child(inner))
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(15)))

    batch = await server.start_batch(await save(server, definition), dataset.id, 4)
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert end.run.message == "15 of 15 rows completed."
    assert set(stage.counts.values()) == {1}


async def test_a_batch_whose_dataset_is_gone_fails_with_a_sentence(fleet, stage, tmp_path):
    stage.on("a", echo)
    server = await fleet.server()
    dataset = await upload(server, ROWS)
    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 4)
    (tmp_path / "data" / "files" / dataset.key).unlink()

    await fleet.worker()

    end = await reaches(server, batch.run.id, RunStatus.FAILED)
    assert end.run.message.startswith("The batch could not go on: ")


async def test_progress_is_told_while_workers_move_the_rows(fleet, stage):
    stage.on("a", lambda inputs, context: asyncio.sleep(0.05, echo(inputs, context)))
    server = await fleet.server()
    for _ in range(2):
        await fleet.worker()
    dataset = await upload(server, ROWS)
    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 8)

    counts = []
    async for event in server.events(batch.run.id):
        if event.kind == "batch":
            counts.append(event.body["completed"])

    assert len(counts) >= 2
    assert counts == sorted(counts)
    assert counts[-1] == 120


async def test_a_batch_whose_files_are_out_of_reach_waits_for_them(fleet, stage, monkeypatch):
    stage.on("a", echo)
    read, failures = Source._read, iter(range(3))

    async def out_of_reach(source, start, stop):
        if next(failures, None) is not None:
            raise Unavailable("The bucket is away.")
        return await read(source, start, stop)

    monkeypatch.setattr(Source, "_read", out_of_reach)
    monkeypatch.setattr(lanes, "FILES_EACH_S", 0.01)
    server, _ = await fleet.server(), await fleet.worker()
    dataset = await upload(server, ROWS)

    batch = await server.start_batch(await save(server, PLAIN), dataset.id, 4)
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert await numbers(server, end) == list(range(120))
    assert set(stage.counts.values()) == {1}
