"""One large batch on a Postgres with three workers, of which one is killed every ten seconds.

`make endurance`, or `make endurance ENDURANCE="--rows 100000 --each 10 --workers 3"`. All intervals are the real ones.
Each row makes one HTTP call under its task's key to a server on loopback. Says whether every row is there once and in
order, and how often a call was repeated; ends with 1 where that breaks a promise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.support import postgres  # noqa: E402  # the path comes first
from tests.support.cluster import QUICK, Cluster, Worker  # noqa: E402

#: Rows that one worker runs at once.
PLACES = 8
PATIENCE_S = 4 * 3600.0
KEY = b"idempotency-key:"


class Ledger:
    """A server that answers at once and counts the calls of each key."""

    def __init__(self) -> None:
        self.calls: Counter[bytes] = Counter()
        self.port = 0
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                keys = [line for line in head.lower().split(b"\r\n") if line.startswith(KEY)]
                self.calls.update(line.removeprefix(KEY).strip() for line in keys)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@dataclass
class Deaths:
    """Kills one worker after the other, the oldest first, and puts a new one in its place."""

    cluster: Cluster
    workers: list[Worker]
    each_s: float
    count: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        while not self.is_over.wait(self.each_s):
            self.workers.pop(0).kill()
            self.workers.append(add_worker(self.cluster))
            self.count += 1


@contextmanager
def dying(cluster: Cluster, workers: list[Worker], each_s: float) -> Iterator[Deaths]:
    deaths = Deaths(cluster, workers, each_s)
    killer = threading.Thread(target=deaths.go_on)
    killer.start()
    try:
        yield deaths
    finally:
        deaths.is_over.set()
        killer.join()


def add_worker(cluster: Cluster) -> Worker:
    return cluster.add_worker("--batch-concurrency", str(PLACES))


def definition(port: int) -> dict[str, Any]:
    nodes = [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
        {
            "id": "call",
            "node_type": "HTTPRequestNode",
            "config": {"method": "POST", "url": f"http://127.0.0.1:{port}/"},
        },
        {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "start.n"}}},
    ]
    links = [("start", "call"), ("call", "end"), ("start", "end")]
    return {"nodes": nodes, "links": [{"source_id": source, "target_id": target} for source, target in links]}


def numbers(cluster: Cluster, file_id: str) -> list[int]:
    with cluster.server.http.stream("GET", f"/of/{file_id}/download/") as answer:
        return [int(json.loads(line)["end"]["n"]) for line in answer.iter_lines()]


def follow(cluster: Cluster, run_id: str, deaths: Deaths) -> Any:
    """Say once a minute how far it is; return the run once it has ended."""
    said = begun = time.monotonic()
    while time.monotonic() < begun + PATIENCE_S:
        run = cluster.server.get(f"/run/{run_id}/?slim=true")
        if run["status"] not in ("PENDING", "RUNNING"):
            return run
        if time.monotonic() - said > 60:
            said = time.monotonic()
            done = cluster.server.get(f"/run/{run_id}/batch/")["completed"]
            print(f"{said - begun:6.0f} s: {done} rows, {deaths.count} workers killed", flush=True)
        time.sleep(1)
    raise SystemExit("it took too long")


def endure(cluster: Cluster, ledger: Ledger, options: argparse.Namespace) -> bool:
    """Run the batch and print what came of it. Whether the promises were kept."""
    workers = [add_worker(cluster) for _ in range(options.workers)]
    workflow = cluster.server.create(definition(ledger.port))
    content = b"n\n" + b"".join(b"%d\n" % n for n in range(options.rows))
    body = {
        "dataset_id": cluster.server.upload("rows.csv", content),
        "mini_batch_size": PLACES * options.workers,
    }
    begun = time.monotonic()
    batch = cluster.server.post(f"/wf/{workflow}/start_batch_run/", body)
    with dying(cluster, workers, options.each) as deaths:
        ended = follow(cluster, batch["id"], deaths)
    took = time.monotonic() - begun
    is_in_order = numbers(cluster, ended["output_file_id"]) == list(range(options.rows))
    repeated, most = sum(n > 1 for n in ledger.calls.values()), max(ledger.calls.values())
    print(f"{ended['status']}: {ended['message']}")
    print(
        f"{options.rows} rows in {took:.0f} s ({options.rows / took:.0f} rows/s), {deaths.count} workers killed"
    )
    print(f"each row once and in order: {'yes' if is_in_order else 'NO'}")
    print(f"calls under {len(ledger.calls)} keys, {repeated} of them repeated, one at most {most} times")
    return is_in_order and len(ledger.calls) == options.rows and most <= 1 + deaths.count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--each", type=float, default=10.0, help="seconds between two kills")
    options = parser.parse_args()
    binaries = postgres.programs()
    if binaries is None:
        raise SystemExit(postgres.REMEDY)
    ledger = Ledger()
    real = dict.fromkeys(QUICK, "")
    environment = {**real, "ROWEL_HTTP_ALLOW": f"127.0.0.1:{ledger.port}"}
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        url = stack.enter_context(stack.enter_context(postgres.server(binaries)).database())
        cluster = stack.enter_context(Cluster(data, url, environment))
        is_kept = endure(cluster, ledger, options)
    raise SystemExit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
