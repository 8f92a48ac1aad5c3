"""One run for each row of a dataset."""

import asyncio
import json
from collections import Counter

import pytest

import rowel.engine.batch
import rowel.engine.rows
from rowel.core.errors import Conflict, InvalidDataset, InvalidInputs, NodeFailed, NotFound
from rowel.core.status import RunStatus, RunType
from rowel.files.datasets import CHUNK, rows
from rowel.store.runs import Filter
from tests.support.flows import flow, given, human, of_type, output, static, work
from tests.support.house import Fuse, all_of, rested, save, still, text_of, upload

NUMBERED = flow("start>a a>end", start=given(n="int"), end=output(n="start.n", x="a.x"))
NUMBERED["links"].append({"source_id": "start", "target_id": "end"})
PURE = flow("start>end", start=given(n="int"), end=output(n="start.n"))


def numbers(count):
    return "n\n" + "".join(f"{n}\n" for n in range(count))


async def started(engine, definition, content, window=10, filename="rows.csv"):
    dataset = await upload(engine, content, filename)
    return await engine.start_batch(await save(engine, definition), dataset.id, window)


async def ran(engine, definition, content, window=10, filename="rows.csv"):
    """A batch that has come to rest."""
    return await rested(engine, (await started(engine, definition, content, window, filename)).run.id)


async def lines_of(engine, batch):
    return [json.loads(line) for line in (await text_of(engine, batch.run.output_file_id)).splitlines()]


async def rows_of(engine, batch):
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    return sorted(found, key=lambda view: view.run.row_index)


async def test_each_row_is_a_run_under_the_batch(engine, stage):
    batch = await ran(engine, NUMBERED, numbers(3))

    found = await rows_of(engine, batch)
    assert [row.run.row_index for row in found] == [0, 1, 2]
    assert {row.run.run_type for row in found} == {RunType.BATCH} == {batch.run.run_type}
    assert [row.run.initial_inputs for row in found] == [{"start": {"n": n}} for n in range(3)]
    assert {row.run.version_id for row in found} == {batch.run.version_id}


async def test_the_answer_to_the_start_shows_the_parent_at_once(engine, stage):
    stage.hold("a")

    batch = await started(engine, NUMBERED, numbers(3))

    assert batch.run.status in (RunStatus.PENDING, RunStatus.RUNNING)
    assert batch.run.version == 1
    assert batch.run.input_dataset_id is not None
    assert batch.run.output_file_id is not None
    assert (batch.batch.total, batch.percentage_complete) == (3, 0)
    stage.let_go("a")


async def test_a_thousand_rows_of_which_thirty_seven_fail(engine, stage):
    def act(inputs, context):
        n = inputs["start"]["n"]
        return NodeFailed(f"no {n}") if n % 27 == 5 else {"x": n * 2}

    stage.on("a", act)
    batch = await ran(engine, NUMBERED, numbers(1000), window=50)

    lines = await lines_of(engine, batch)
    failed = [(n, line) for n, line in enumerate(lines) if "error" in line]
    assert batch.run.status is RunStatus.COMPLETED
    assert batch.run.message == "963 of 1000 rows completed, 37 failed."
    assert len(lines) == 1000
    assert [n for n, _ in failed] == [n for n in range(1000) if n % 27 == 5]
    assert len(failed) == 37
    for n, line in failed:
        assert line == {"error": f"Node 'a' failed: no {n}", "row_index": n, "run_id": line["run_id"]}
        assert (await engine.get_run(line["run_id"])).run.row_index == n
    assert [line["end"] for n, line in enumerate(lines) if n % 27 != 5] == [
        {"n": n, "x": n * 2} for n in range(1000) if n % 27 != 5
    ]
    assert set(stage.counts.values()) == {1}
    counts = batch.batch
    assert (counts.completed, counts.failed, counts.canceled, counts.paused) == (963, 37, 0, 0)


async def test_lines_are_in_row_order_though_rows_end_in_another(engine, stage):
    stage.on("a", lambda inputs, context: _slowly(stage, inputs["start"]["n"]))
    stage.hold("slow")

    batch = await started(engine, NUMBERED, numbers(20), window=5)
    await stage.begun("a", times=20)
    stage.let_go("slow")
    end = await rested(engine, batch.run.id)

    assert [line["end"]["n"] for line in await lines_of(engine, end)] == list(range(20))


async def _slowly(stage, n):
    if n == 0:
        await stage._gates["slow"].wait()
    return {"x": n}


async def test_an_output_line_holds_the_rows_outputs_by_node_id(engine, stage):
    stage.on("a", {"x": 7})

    batch = await ran(engine, NUMBERED, numbers(1))

    assert await lines_of(engine, batch) == [{"start": {"n": 0}, "a": {"x": 7}, "end": {"n": 0, "x": 7}}]


@pytest.mark.parametrize("window", [1, 3, 7])
async def test_no_more_rows_are_in_flight_than_the_window_allows(engine, stage, window):
    await ran(engine, flow("start>a a>end"), numbers(40), window)

    assert stage.most <= window
    assert stage.count("a") == 40


async def test_the_window_is_used_to_the_full(engine, stage):
    stage.hold("a")
    batch = await started(engine, flow("start>a"), numbers(20), window=7)
    await stage.begun("a", times=7)
    assert stage.running == 7
    stage.let_go("a")

    await rested(engine, batch.run.id)
    assert stage.count("a") == 20


async def test_the_window_slides_and_does_not_wait_for_its_slowest_row(engine, stage):
    gate = asyncio.Event()

    async def act(inputs, context):
        if inputs["start"]["n"] == "0":
            await gate.wait()
        return {}

    stage.on("a", act)
    batch = await started(engine, flow("start>a"), numbers(30), window=3)
    await stage.begun("a", times=30)
    gate.set()

    assert (await rested(engine, batch.run.id)).batch.completed == 30


async def test_percentages_never_go_back_and_counts_always_add_up(engine, stage, monkeypatch):
    monkeypatch.setattr(rowel.engine.batch, "PROGRESS_EACH_S", 0.0)
    stage.on("a", lambda inputs, context: NodeFailed("odd") if inputs["start"]["n"] % 2 else {"x": 1})
    batch = await started(engine, NUMBERED, numbers(100), window=8)
    shown, settled = [], []

    async for event in engine.events(batch.run.id):
        view = await engine.get_run(batch.run.id)
        shown.append(view.percentage_complete)
        if event.kind == "batch":
            body = event.body
            settled.append(body["completed"] + body["failed"] + body["canceled"])
            assert settled[-1] <= body["started"] <= body["total"] == 100

    assert shown == sorted(shown)
    assert settled == sorted(settled)
    assert (shown[-1], settled[-1]) == (100, 100)


async def test_a_batch_of_more_rows_than_one_reading_brings(engine):
    batch = await ran(engine, PURE, numbers(CHUNK * 2 + 1), window=100)

    assert [line["end"]["n"] for line in await lines_of(engine, batch)] == list(range(CHUNK * 2 + 1))


async def test_rows_are_read_as_they_are_needed(engine, stage, monkeypatch):
    read = Counter()

    async def counting(*arguments, **options):
        async for chunk in rows(*arguments, **options):
            read["rows"] += len(chunk)
            yield chunk

    monkeypatch.setattr(rowel.engine.rows, "rows", counting)
    stage.hold("a")
    batch = await started(engine, flow("start>a"), numbers(CHUNK * 4), window=5)
    await stage.begun("a", times=5)

    assert read["rows"] == CHUNK
    stage.let_go("a")
    await rested(engine, batch.run.id)
    assert read["rows"] == CHUNK * 4


async def test_a_dataset_without_rows_is_completed_at_once_with_an_empty_file(engine):
    batch = await started(engine, NUMBERED, "n\n")

    assert batch.run.status is RunStatus.COMPLETED
    assert batch.percentage_complete == 100
    assert batch.run.end_time == batch.run.start_time
    assert await text_of(engine, batch.run.output_file_id) == ""
    assert await rows_of(engine, batch) == []


async def test_an_empty_output_file_is_there_whenever_its_batch_is(house):
    engine = await house.open()
    dataset = await upload(engine, "n\n")
    workflow_id = await save(engine, NUMBERED)
    await engine.run(workflow_id, {"start": {"n": 1}})
    fuse = Fuse(engine, 1, lands=True)
    starting = asyncio.ensure_future(engine.start_batch(workflow_id, dataset.id))
    await fuse.blown()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)

    engine = await house.restart(engine)

    (file,) = await engine.list_output_files()
    assert await text_of(engine, file.id) == ""


async def test_missing_columns_are_named_and_nothing_starts(engine):
    workflow_id = await save(engine, flow("start>end", start=given(name="string", age="int", n="int")))
    dataset = await upload(engine, "n\n1\n")

    with pytest.raises(InvalidInputs, match="age, name"):
        await engine.start_batch(workflow_id, dataset.id)

    assert await engine.list_runs(Filter(workflow_id=workflow_id), limit=10) == []
    assert await engine.list_output_files() == []


async def test_missing_columns_are_refused_without_enforcement_too(engine):
    loose = of_type("InputNode", output_schema={"age": "int"}, enforce_schema=False)
    dataset = await upload(engine, "n\n1\n")

    with pytest.raises(InvalidInputs, match="age"):
        await engine.start_batch(await save(engine, flow("start>end", start=loose)), dataset.id)


async def test_columns_that_the_input_node_does_not_declare_are_left_out(engine):
    batch = await ran(engine, PURE, "extra,n\nx,1\n")

    assert (await rows_of(engine, batch))[0].run.initial_inputs == {"start": {"n": 1}}


async def test_without_a_schema_every_column_comes_in_as_text(engine):
    batch = await ran(engine, flow("start>end"), "a,b\n1,\n")

    assert (await rows_of(engine, batch))[0].run.initial_inputs == {"start": {"a": "1", "b": ""}}


async def test_cells_are_read_by_the_declared_types(engine):
    typed = given(code="string", n="int", price="float", ok="bool", tags="list", more="dict")
    content = 'code,n,price,ok,tags,more\n007,7,1.50,true,"[1, ""b""]","{""x"": null}"\n'

    batch = await ran(engine, flow("start>end", start=typed), content)

    assert (await rows_of(engine, batch))[0].run.initial_inputs == {
        "start": {"code": "007", "n": 7, "price": 1.5, "ok": True, "tags": [1, "b"], "more": {"x": None}}
    }


async def test_an_empty_cell_is_null_and_null_is_lawful_in_a_field_map(engine):
    batch = await ran(engine, flow("start>end", start=given(code="string", n="int")), "code,n\n,\n")

    assert batch.batch.completed == 1
    assert (await lines_of(engine, batch))[0]["start"] == {"code": None, "n": None}


async def test_a_json_schema_decides_for_itself_about_null(engine):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    strict = of_type("InputNode", output_json_schema=json.dumps(schema))

    batch = await ran(engine, flow("start>end", start=strict), "n,m\n,1\n1,1\n")

    assert (batch.batch.failed, batch.batch.completed) == (1, 1)


async def test_a_cell_that_does_not_fit_fails_its_row_and_no_other(engine):
    batch = await ran(engine, PURE, "n\n1\nmany\n3\n")

    lines = await lines_of(engine, batch)
    assert (batch.batch.completed, batch.batch.failed) == (2, 1)
    assert "'start'" in lines[1]["error"]
    assert "n" in lines[1]["error"]
    assert lines[2]["end"] == {"n": 3}


async def test_cells_are_read_by_type_though_the_schema_is_not_enforced(engine):
    loose = of_type("InputNode", output_schema={"n": "int"}, enforce_schema=False)

    batch = await ran(engine, flow("start>end", start=loose), "n\n7\nmany\n")

    assert [line["start"] for line in await lines_of(engine, batch)] == [{"n": 7}, {"n": "many"}]


async def test_jsonl_values_come_as_they_are(engine):
    content = '{"n": 1, "deep": {"x": [1.5, null]}}\n{"n": 2, "deep": "007"}\n'

    batch = await ran(engine, flow("start>end"), content, filename="rows.jsonl")

    assert [line["start"] for line in await lines_of(engine, batch)] == [
        {"n": 1, "deep": {"x": [1.5, None]}},
        {"n": 2, "deep": "007"},
    ]


async def test_a_row_that_goes_on_after_an_error_is_no_failed_row(engine, stage):
    stage.on("a", NodeFailed("broken"))

    batch = await ran(engine, flow("start>a", a=work(on_error="continue")), numbers(2))

    assert batch.run.message == "2 of 2 rows completed."
    assert (await lines_of(engine, batch))[0]["a"] == {"error": "broken"}


async def test_a_parents_outputs_are_null_and_it_has_no_tasks(engine):
    batch = await ran(engine, PURE, numbers(1))

    assert batch.outputs is None
    assert list(batch.tasks) == []


@pytest.mark.parametrize("window", [0, -1, 10_001])
async def test_a_window_out_of_bounds_is_refused(engine, window):
    dataset = await upload(engine, numbers(1))

    with pytest.raises(InvalidInputs, match="mini_batch_size"):
        await engine.start_batch(await save(engine, PURE), dataset.id, window)


async def test_unknown_workflows_and_datasets_are_not_found(engine):
    dataset = await upload(engine, numbers(1))

    with pytest.raises(NotFound, match="made-up"):
        await engine.start_batch("made-up", dataset.id)
    with pytest.raises(NotFound, match="made-up"):
        await engine.start_batch(await save(engine, PURE), "made-up")


async def test_the_output_file_is_refused_while_the_batch_is_open_and_says_why(engine, stage):
    stage.hold("a")
    batch = await started(engine, NUMBERED, numbers(1))
    await stage.begun("a")

    with pytest.raises(Conflict, match="RUNNING"):
        await engine.open_output(batch.run.output_file_id)
    with pytest.raises(Conflict, match="RUNNING"):
        await engine.delete_output_file(batch.run.output_file_id)
    stage.let_go("a")


async def test_an_output_file_is_named_jsonl_and_can_be_deleted(engine):
    batch = await ran(engine, PURE, numbers(1))
    (file,) = await engine.list_output_files()

    assert file.file_name.endswith(".jsonl")
    assert file.run_id == batch.run.id
    await engine.delete_output_file(file.id)

    with pytest.raises(NotFound):
        await engine.open_output(file.id)


async def test_a_dataset_that_a_batch_reads_cannot_be_deleted(engine, stage):
    stage.hold("a")
    batch = await started(engine, NUMBERED, numbers(1))
    await stage.begun("a")

    with pytest.raises(Conflict, match=batch.run.id):
        await engine.delete_dataset(batch.run.input_dataset_id)
    stage.let_go("a")
    await still(engine)
    await engine.delete_dataset(batch.run.input_dataset_id)

    with pytest.raises(NotFound):
        await engine.get_dataset(batch.run.input_dataset_id)
    assert (await engine.get_run(batch.run.id)).run.status is RunStatus.COMPLETED


async def test_the_batches_of_a_dataset_are_listed_without_their_rows(engine):
    batch = await ran(engine, PURE, numbers(3))

    listed = await engine.list_runs(Filter(dataset_id=batch.run.input_dataset_id), limit=10)

    assert [view.run.id for view in listed] == [batch.run.id]


async def test_a_workflows_runs_include_parents_and_rows(engine):
    batch = await ran(engine, PURE, numbers(3))

    listed = await engine.list_runs(Filter(workflow_id=batch.run.workflow_id), limit=10)

    assert len(listed) == 4
    assert sum(view.batch is not None for view in listed) == 1


async def test_a_file_that_cannot_be_read_is_refused_at_upload(engine):
    with pytest.raises(InvalidDataset):
        await upload(engine, b"\xff\xfe\x00", "rows.csv")
    with pytest.raises(InvalidDataset):
        await upload(engine, "n\n1\n", "rows.xlsx")

    assert await engine.list_datasets() == []


BROKEN_AT = CHUNK + 10


async def broken_dataset(engine, house, count=CHUNK * 3):
    """A dataset that was fine when it came and can't be read any more from row BROKEN_AT on."""
    lines = [json.dumps({"n": n}) for n in range(count)]
    dataset = await upload(engine, "\n".join(lines), "rows.jsonl")
    lines[BROKEN_AT] = "{broken"
    (house.data / "files" / dataset.key).write_text("\n".join(lines))
    return dataset


async def test_a_dataset_that_cannot_be_read_half_way_fails_the_batch(engine, house):
    dataset = await broken_dataset(engine, house)

    batch = await engine.start_batch(await save(engine, PURE), dataset.id)
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    assert end.run.message == f"The batch could not go on: Line {BROKEN_AT + 1} is not JSON: {{}}".replace(
        "{}", end.run.message.rpartition("not JSON: ")[2]
    )
    lines = await lines_of(engine, end)
    assert [line["end"]["n"] for line in lines] == list(range(len(lines)))


async def test_the_rows_of_a_failed_batch_end_too(engine, house, stage):
    dataset = await broken_dataset(engine, house)
    stage.hold("a")
    definition = flow("start>a", start=given(n="int"))

    batch = await engine.start_batch(await save(engine, definition), dataset.id, CHUNK * 2)
    await stage.begun("a", times=CHUNK)
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    listed = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    assert {row.run.status for row in listed} == {RunStatus.COMPLETED}


async def test_rows_that_a_crash_interrupted_end_before_their_batch_fails(house, stage):
    engine = await house.open()
    dataset = await broken_dataset(engine, house)
    stage.hold("a")
    definition = flow("start>a", start=given(n="int"))
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 5)
    await stage.begun("a", times=5)
    (house.data / "files" / dataset.key).unlink()

    engine = await house.restart(engine)
    await stage.begun("a", times=10)
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    assert {row.run.status for row in await rows_of(engine, end)} == {RunStatus.COMPLETED}


async def test_rows_that_wait_for_people_are_canceled_with_a_batch_that_fails(engine, house):
    """Nobody would move them any more, so nobody may think that an answer still counts."""
    dataset = await broken_dataset(engine, house)
    asks = flow("start>ask ask>end", ask=human())

    batch = await engine.start_batch(await save(engine, asks), dataset.id, 20)
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.FAILED
    listed = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    assert {row.run.status for row in listed} == {RunStatus.CANCELED}
    assert await engine.paused(limit=10) == []


async def test_every_change_of_a_batch_is_an_event(engine):
    batch = await ran(engine, PURE, numbers(5))

    events = await all_of(engine.events(batch.run.id))

    assert [event.body["status"] for event in events if event.kind == "run"] == [
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ]
    assert [event for event in events if event.kind == "batch"][-1].body["completed"] == 5


async def test_two_batches_of_one_workflow_share_nothing(engine, stage):
    workflow_id = await save(engine, flow("start>one one>end", one=static(x=1), end=output(n="one.x")))
    datasets = [await upload(engine, numbers(count)) for count in (30, 50)]

    batches = await asyncio.gather(*(engine.start_batch(workflow_id, dataset.id, 4) for dataset in datasets))
    await still(engine)

    ends = [await engine.get_run(batch.run.id) for batch in batches]
    assert [end.batch.completed for end in ends] == [30, 50]


async def test_each_batch_has_a_window_of_its_own(engine, stage):
    stage.hold("a")
    workflow_id = await save(engine, flow("start>a"))
    for _ in range(2):
        dataset = await upload(engine, numbers(10))
        await engine.start_batch(workflow_id, dataset.id, 3)

    await stage.begun("a", times=6)

    assert stage.running == 6
    stage.let_go("a")
    await still(engine)
