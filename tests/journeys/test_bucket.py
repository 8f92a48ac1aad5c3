"""A real server whose files lie in a bucket that speaks S3."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars
import pytest

from tests.support.buckets import S3, Bucket
from tests.support.cluster import Cluster
from tests.support.providers import Providers
from tests.support.server import Server

MIB = 1024 * 1024
BATCH = {
    "nodes": [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int", "text": "str"}}},
        {
            "id": "end",
            "node_type": "OutputNode",
            "config": {"output_map": {"n": "start.n", "t": "start.text"}},
        },
    ],
    "links": [{"source_id": "start", "target_id": "end"}],
}
PICTURE = {
    "nodes": [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"picture": "str"}}},
        {
            "id": "look",
            "node_type": "SingleLLMCallNode",
            "config": {
                "llm_info": {"model": "openai/gpt-4o"},
                "system_message": "Look.",
                "user_message": "What is this?",
                "url_variables": {"image": "start.picture"},
                "output_schema": {"answer": "str"},
            },
        },
    ],
    "links": [{"source_id": "start", "target_id": "look"}],
}


@pytest.fixture
def bucket(running_s3: S3) -> Iterator[Bucket]:
    yield running_s3.make()
    running_s3.trouble = None


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, bucket: Bucket, world: Providers) -> Iterator[Server]:
    variables = {**bucket.server.environment, **world.environment, "ROWEL_FILES_URL": bucket.url}
    with Server(tmp_path / "data", variables) as running:
        yield running


def rows(count: int) -> list[dict[str, Any]]:
    return [{"n": n, "text": f"row {n}"} for n in range(count)]


def as_csv(count: int) -> bytes:
    return b"n,text\n" + b"".join(b"%d,row %d\n" % (n, n) for n in range(count))


def as_jsonl(count: int) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows(count))


def as_parquet(count: int) -> bytes:
    buffer = io.BytesIO()
    polars.DataFrame(rows(count)).write_parquet(buffer)
    return buffer.getvalue()


def start_batch(server: Server, dataset_id: str) -> str:
    workflow_id = server.create(BATCH)
    return str(server.post(f"/wf/{workflow_id}/start_batch_run/", {"dataset_id": dataset_id})["id"])


def lines_of(server: Server, run: Any) -> list[Any]:
    answer = server.http.get(f"/of/{run['output_file_id']}/download/")
    assert answer.status_code == 200
    return [json.loads(line)["end"] for line in answer.text.splitlines()]


@pytest.mark.parametrize(
    ("filename", "content"),
    [("rows.csv", as_csv(500)), ("rows.jsonl", as_jsonl(500)), ("rows.parquet", as_parquet(500))],
)
def test_a_batch_reads_its_rows_from_the_bucket_and_writes_them_there(
    server: Server, bucket: Bucket, filename: str, content: bytes
) -> None:
    run = server.wait_for(start_batch(server, server.upload(filename, content)))
    assert run["status"] == "COMPLETED"
    assert lines_of(server, run) == [{"n": row["n"], "t": row["text"]} for row in rows(500)]
    assert [key.split("/")[0] for key in sorted(bucket.files())] == ["datasets", "outputs"]
    assert bucket.unfinished() == []
    assert not (server.data / "files").exists()


def test_a_batch_goes_on_from_the_bucket_after_a_kill(server: Server, bucket: Bucket) -> None:
    run_id = start_batch(server, server.upload("rows.csv", as_csv(3000)))
    server.kill()
    server.start()
    run = server.wait_for(run_id)
    assert lines_of(server, run) == [{"n": row["n"], "t": row["text"]} for row in rows(3000)]


def test_a_model_sees_a_file_of_the_bucket(server: Server, bucket: Bucket, world: Providers) -> None:
    answer = server.http.post("/files/", files={"file": ("cat.png", b"\x89PNG\r\n\x1a\nmiaow")})
    path = answer.json()["path"]
    outputs = server.post(
        f"/wf/{server.create(PICTURE)}/run/", {"initial_inputs": {"start": {"picture": path}}}
    )
    assert "look" in outputs
    (picture,) = [
        part for part in world.asked[0].json["messages"][-1]["content"] if part["type"] == "image_url"
    ]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgptaWFvdw")
    assert server.http.get(f"/files/{path}").content == b"\x89PNG\r\n\x1a\nmiaow"
    assert server.http.delete(f"/files/{path}").status_code == 204
    assert bucket.files() == []


def test_a_bucket_that_is_away_is_503_and_is_asked_anew_without_a_restart(
    server: Server, bucket: Bucket
) -> None:
    bucket.server.trouble = lambda *_: 503
    answer = server.http.post("/ds/", params={"name": "x"}, files={"file": ("rows.csv", as_csv(2))})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "the bucket does not answer as it should" in answer.json()["detail"]
    assert server.http.get("/health/ready").status_code == 200
    bucket.server.trouble = None
    server.upload("rows.csv", as_csv(2))


def test_a_large_upload_is_never_in_memory(server: Server, bucket: Bucket) -> None:
    line = b"1," + b"x" * 1021 + b"\n"
    upload(server, b"n,text\n" + line * (32 * MIB // len(line)))
    before = most_memory(server)
    upload(server, b"n,text\n" + line * (96 * MIB // len(line)))
    assert most_memory(server) - before < 32 * MIB


def upload(server: Server, content: bytes) -> Any:
    answer = server.http.post("/ds/", params={"name": "x"}, files={"file": ("rows.csv", content)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def most_memory(server: Server) -> int:
    """The most that the server's process ever took, in bytes."""
    assert server._process is not None
    status = Path(f"/proc/{server._process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_workers_and_their_server_share_nothing_but_postgres_and_a_bucket(
    tmp_path: Path, postgres_url: str, bucket: Bucket
) -> None:
    environment = {**bucket.server.environment, "ROWEL_FILES_URL": bucket.url}
    with Cluster(tmp_path / "data", postgres_url, environment) as cluster:
        for number in range(2):
            cluster.add_worker("--data", str(tmp_path / f"worker-{number}"))
        dataset_id = cluster.server.upload("rows.csv", as_csv(300))
        run = cluster.server.post(
            f"/wf/{cluster.server.create(BATCH)}/start_batch_run/",
            {"dataset_id": dataset_id, "mini_batch_size": 8},
        )
        ended = cluster.server.wait_for(run["id"])
        assert lines_of(cluster.server, ended) == [{"n": row["n"], "t": row["text"]} for row in rows(300)]
    assert [key.split("/")[0] for key in sorted(bucket.files())] == ["datasets", "outputs"]
    assert not list(tmp_path.rglob("files"))
