"""Batches, datasets and output files over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES


async def test_of_a_thousand_rows_thirty_seven_fail_and_every_row_has_its_line(api: Api) -> None:
    workflow = await api.create(HALVES)
    bad = {n for n in range(1000) if n % 27 == 5}
    assert len(bad) == 37
    content = "n\n" + "\n".join("0" if n in bad else str(n + 1) for n in range(1000)) + "\n"
    dataset = await api.upload("rows.csv", content.encode())
    batch = await api.post(
        f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"], "mini_batch_size": 50}
    )
    assert (batch["run_type"], batch["outputs"], batch["input_dataset_id"]) == ("batch", None, dataset["id"])
    seen = [batch["percentage_complete"]]
    while (run := await api.get(f"/run/{batch['id']}/"))["status"] in {"PENDING", "RUNNING"}:
        seen.append(run["percentage_complete"])
    assert seen == sorted(seen)
    assert (run["status"], run["percentage_complete"]) == ("COMPLETED", 100.0)
    assert run["message"] == "963 of 1000 rows completed, 37 failed."
    answer = await api.ask("GET", f"/of/{run['output_file_id']}/download/")
    assert answer.headers["content-type"] == "application/x-ndjson"
    file = await api.get(f"/of/{run['output_file_id']}/")
    assert f'filename="{file["file_name"]}"' in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 1000
    for number, line in enumerate(lines):
        if number in bad:
            assert line.keys() == {"error", "row_index", "run_id"}
            assert line["row_index"] == number
            assert (await api.get(f"/run/{line['run_id']}/"))["status"] == "FAILED"
        else:
            assert line["work"] == {"half": (number + 1) / 2}
    assert [run["id"] for run in await api.get(f"/ds/{dataset['id']}/list_runs/")] == [batch["id"]]


async def test_rows_that_wait_leave_the_batch_paused_until_they_are_answered(api: Api) -> None:
    workflow = await api.create(ASKS)
    dataset = await api.upload("rows.jsonl", b'{"amount": 1}\n{"amount": 2}\n')
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    paused = await api.wait_for(batch["id"], "PAUSED")
    assert paused["percentage_complete"] == 0.0
    answer = await api.ask("GET", f"/of/{batch['output_file_id']}/download/")
    assert answer.status_code == 409
    assert "PAUSED" in answer.json()["detail"]
    rows = [run for run in await api.get(f"/wf/{workflow}/runs/") if run["parent_run_id"] == batch["id"]]
    for row in rows:
        body = {"action": "OVERRIDE", "user_id": "ann", "inputs": {"ok": True}}
        await api.post(f"/wf/process_pause_action/{row['id']}/", body)
    assert (await api.wait_for(batch["id"]))["status"] == "COMPLETED"
    lines = (await api.ask("GET", f"/of/{batch['output_file_id']}/download/")).text.splitlines()
    assert [json.loads(line)["ask"] for line in lines] == [{"ok": True}, {"ok": True}]


async def test_a_canceled_batch_takes_its_rows_with_it(api: Api) -> None:
    workflow = await api.create(ASKS)
    dataset = await api.upload("rows.csv", b"amount\n1\n2\n3\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    await api.wait_for(batch["id"], "PAUSED")
    assert (await api.post(f"/wf/cancel_workflow/{batch['id']}/"))["status"] == "CANCELED"
    assert {run["status"] for run in await api.get(f"/wf/{workflow}/runs/")} == {"CANCELED"}
    assert await api.get("/wf/paused_workflows/") == []


async def test_a_dataset_without_rows_is_a_batch_that_is_done_at_once(api: Api) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    assert (batch["status"], batch["percentage_complete"]) == ("COMPLETED", 100.0)
    assert (await api.ask("GET", f"/of/{batch['output_file_id']}/download/")).text == ""


async def test_cells_are_read_by_the_declared_types(api: Api) -> None:
    fields = {"zip": "string", "n": "int", "x": "float", "b": "bool", "l": "list"}
    node = {"id": "i", "node_type": "InputNode", "config": {"output_schema": fields}}
    workflow = await api.create({"nodes": [node], "links": []})
    dataset = await api.upload("rows.csv", b'zip,n,x,b,l,surplus\n007,7,1.5,true,"[1, 2]",q\n,,,,,\n')
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    await api.wait_for(batch["id"])
    lines = (await api.ask("GET", f"/of/{batch['output_file_id']}/download/")).text.splitlines()
    assert [json.loads(line)["i"] for line in lines] == [
        {"zip": "007", "n": 7, "x": 1.5, "b": True, "l": [1, 2]},
        dict.fromkeys(fields),
    ]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"dataset_id": "none"}, 404, "no dataset 'none'"),
        ({}, 422, "dataset_id"),
        ({"dataset_id": 1}, 422, "dataset_id"),
        ({"mini_batch_size": 0}, 422, "mini_batch_size"),
        ({"mini_batch_size": 10_001}, 422, "mini_batch_size"),
        ({"mini_batch_size": "10"}, 422, "mini_batch_size"),
        ({"mini_batch_size": 1.5}, 422, "mini_batch_size"),
    ],
)
async def test_a_batch_that_cannot_be_is_refused(api: Api, body: Any, status: int, sentence: str) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n1\n")
    given = body if "dataset_id" in body or not body else {"dataset_id": dataset["id"], **body}
    answer = await api.post(f"/wf/{workflow}/start_batch_run/", given, status=status)
    assert sentence in json.dumps(answer["detail"])
    assert await api.count_runs(workflow) == 0


async def test_missing_columns_are_named_and_no_run_is_left(api: Api) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"m,o\n1,2\n")
    answer = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]}, status=400)
    assert "lacks the columns n" in answer["detail"]
    assert await api.count_runs(workflow) == 0


async def test_a_dataset_tells_what_it_is(api: Api) -> None:
    answer = await api.ask(
        "POST",
        "/ds/",
        params={"name": "tickets", "description": "ours"},
        files={"file": ("../x/t.csv", b"a\n1\n")},
    )
    dataset = answer.json()
    assert dataset.keys() >= {"id", "name", "description", "filename", "created_at", "updated_at"}
    assert (dataset["name"], dataset["description"], dataset["filename"]) == ("tickets", "ours", "t.csv")
    assert await api.get(f"/ds/{dataset['id']}/") == dataset
    assert [one["id"] for one in await api.get("/ds/")] == [dataset["id"]]
    assert (await api.ask("DELETE", f"/ds/{dataset['id']}/")).status_code == 204
    await api.get(f"/ds/{dataset['id']}/", status=404)


@pytest.mark.parametrize(
    ("filename", "content", "sentence"),
    [
        ("a.xlsx", b"PK", "must end in one of"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,b\n1\n", "Line 2 has 1 cell,"),
        ("a.csv", b"a,b\n1,2,3\n", "Line 2 has 3 cells"),
        ("a.csv", b"a,a\n1,2\n", "twice"),
        ("a.csv", b"a\n\xff\n", "not UTF-8"),
        ("a.jsonl", b"[1]\n", "must be a JSON object"),
        ("a.parquet", b"no parquet", "can't be read as Parquet"),
    ],
)
async def test_a_dataset_that_cannot_be_read_is_refused_and_not_kept(
    api: Api, filename: str, content: bytes, sentence: str
) -> None:
    answer = await api.ask("POST", "/ds/", params={"name": "x"}, files={"file": (filename, content)})
    assert 400 <= answer.status_code < 500
    assert sentence in answer.json()["detail"]
    assert await api.get("/ds/") == []


async def test_an_upload_past_the_limit_is_refused(api: Api) -> None:
    answer = await api.ask(
        "POST", "/ds/", params={"name": "x"}, files={"file": ("a.csv", b"a\n" + b"x" * 2**21)}
    )
    assert answer.status_code == 413
    assert await api.get("/ds/") == []


@pytest.mark.parametrize("what", [{"json": {}}, {"content": b"x"}, {"data": {"file": "x"}}])
async def test_a_dataset_comes_as_a_multipart_file(api: Api, what: dict[str, Any]) -> None:
    answer = await api.ask("POST", "/ds/", params={"name": "x"}, **what)
    assert answer.status_code in {415, 422}


async def test_a_dataset_that_a_batch_reads_is_kept(api: Api) -> None:
    workflow = await api.create(ASKS)
    dataset = await api.upload("rows.csv", b"amount\n1\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    await api.wait_for(batch["id"], "PAUSED")
    answer = await api.ask("DELETE", f"/ds/{dataset['id']}/")
    assert answer.status_code == 409
    assert "PAUSED" in answer.json()["detail"]
    assert (await api.ask("DELETE", f"/of/{batch['output_file_id']}/")).status_code == 409


async def test_output_files_are_listed_and_deleted(api: Api) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n1\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    await api.wait_for(batch["id"])
    (file,) = await api.get("/of/")
    assert file.keys() >= {"id", "file_name", "created_at", "updated_at"}
    assert file["file_name"].endswith(".jsonl")
    assert (await api.ask("DELETE", f"/of/{file['id']}/")).status_code == 204
    await api.get(f"/of/{file['id']}/", status=404)
    await api.get(f"/of/{file['id']}/download/", status=404)


async def test_an_output_file_comes_as_a_table_too(api: Api) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n2\n0\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    run = await api.wait_for(batch["id"])
    path = f"/of/{run['output_file_id']}/download/"

    table = await api.ask("GET", f"{path}?format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert '.csv"' in table.headers["content-disposition"]
    header, first, second = table.text.splitlines()
    assert header.startswith('"row_index","error","run_id"')
    assert '"work.half"' in header
    assert (first.split(",")[0], second.split(",")[0]) == ("0", "1")
    whole = await api.ask("GET", f"{path}?format=parquet")
    assert whole.content[:4] == whole.content[-4:] == b"PAR1"
    await api.get(f"{path}?format=xls", status=422)


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [("rows.csv", b"n,x\n1,a\n2,b\n3,c\n", "2"), ("rows.jsonl", b'{"n":1}\n{"n":2}\n{"n":3}\n', 2)],
)
async def test_some_rows_of_a_dataset_can_be_looked_at(
    api: Api, name: str, content: bytes, first: Any
) -> None:
    dataset = await api.upload(name, content)
    path = f"/ds/{dataset['id']}/rows/"

    assert [row["row_index"] for row in await api.get(path)] == [0, 1, 2]
    (row,) = await api.get(f"{path}?start=1&limit=1")
    assert (row["row_index"], row["values"]["n"]) == (1, first)
    assert await api.get(f"{path}?start=3") == []
    await api.get("/ds/missing/rows/", status=404)
    await api.get(f"{path}?limit=1000", status=422)


async def test_of_large_rows_fewer_are_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowel.engine.shelves.PREVIEW_BYTES", 100)
    dataset = await api.upload("rows.jsonl", b'{"text":"' + b"x" * 60 + b'"}\n' + b'{"text":"y"}\n' * 20)

    assert len(await api.get(f"/ds/{dataset['id']}/rows/")) == 4
