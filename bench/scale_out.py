"""How much faster four workers are than one: a batch whose rows wait 0.2 s on a server beside.

    .venv/bin/python bench/scale_out.py [--rows 1200] [--pairs 3] [--database-url postgresql://...]

Runs one worker and four in turn, eight rows at a time each, checks that every row was done once and in order, and
prints rows a second and their ratio. Without a URL it starts a Postgres of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support import postgres  # noqa: E402
from tests.support.server import free_port  # noqa: E402

WAIT_S = 0.2
PLACES = 8
LEAST = 3.2


class Waiter:
    """A server that answers every request after `WAIT_S`, and counts them."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        self._ready.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.calls += 1
                await asyncio.sleep(WAIT_S)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def process(*words: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(
        [sys.executable, "-m", "rowel", *words], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


def definition(port: int) -> dict[str, Any]:
    nodes = [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
        {"id": "call", "node_type": "HTTPRequestNode", "config": {"url": f"http://127.0.0.1:{port}/"}},
        {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "start.n"}}},
    ]
    links = [("start", "call"), ("call", "end"), ("start", "end")]
    return {"nodes": nodes, "links": [{"source_id": source, "target_id": target} for source, target in links]}


class Bench:
    """One server on one database, and as many workers as are asked for."""

    def __init__(self, environment: dict[str, str], rows: int) -> None:
        self._environment = environment
        self._rows = rows
        self._waiter = Waiter()
        environment["ROWEL_HTTP_ALLOW"] = f"127.0.0.1:{self._waiter.port}"
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{environment['ROWEL_PORT']}", timeout=60)

    def prepare(self) -> None:
        self._await(lambda: self._http.get("/health/live").status_code == 200)
        body = {"name": "scale out", "definition": definition(self._waiter.port)}
        self._workflow = self._http.post("/wf/", json=body).json()["id"]
        content = "n\n" + "".join(f"{n}\n" for n in range(self._rows))
        answer = self._http.post("/ds/", params={"name": "rows"}, files={"file": ("rows.csv", content)})
        self._dataset = answer.json()["id"]

    def rate(self, workers: int) -> float:
        """Rows a second with so many workers."""
        with ExitStack() as stack:
            for _ in range(workers):
                words = ("worker", "--batch-concurrency", str(PLACES))
                stack.enter_context(process(*words, environment=self._environment))
            self._batch(PLACES * workers)
            before = self._waiter.calls
            begin = time.monotonic()
            numbers = self._batch(PLACES * 4)
            seconds = time.monotonic() - begin
        if numbers != list(range(self._rows)) or self._waiter.calls - before != self._rows:
            raise SystemExit(
                f"the work was not done: {self._waiter.calls - before} calls, {len(numbers)} rows"
            )
        return self._rows / seconds

    def _batch(self, window: int) -> list[int]:
        path = f"/wf/{self._workflow}/start_batch_run/"
        run = self._http.post(path, json={"dataset_id": self._dataset, "mini_batch_size": window}).json()
        self._await(lambda: self._read(run["id"])["status"] == "COMPLETED")
        file_id = self._read(run["id"])["output_file_id"]
        lines = self._http.get(f"/of/{file_id}/download/").text.splitlines()
        return [json.loads(line)["end"]["n"] for line in lines]

    def _read(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(f"/run/{run_id}/", params={"slim": True}).json()
        return found

    def _await(self, is_done: Any) -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            try:
                if is_done():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise SystemExit("it took too long")


def measure(bench: Bench, pairs: int) -> None:
    bench.prepare()
    one: list[float] = []
    four: list[float] = []
    for pair in range(pairs):
        one.append(bench.rate(1))
        four.append(bench.rate(4))
        print(f"pair {pair + 1}: 1 worker {one[-1]:6.1f} rows/s, 4 workers {four[-1]:6.1f} rows/s")
    ratio = statistics.median(four) / statistics.median(one)
    print(f"median: {statistics.median(one):.1f} and {statistics.median(four):.1f} rows/s, {ratio:.2f} times")
    print(f"least wanted: {LEAST} times; at most possible by waiting alone: 4.00 times")
    if ratio < LEAST:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.database_url
        if url is None:
            binaries = postgres.programs()
            if binaries is None:
                raise SystemExit(postgres.REMEDY)
            url = stack.enter_context(stack.enter_context(postgres.server(binaries)).database())
        data = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "ROWEL_DATABASE_URL": url,
            "ROWEL_DATA": data,
            "ROWEL_PORT": str(free_port()),
        }
        bench = Bench(environment, options.rows)
        stack.enter_context(process("serve", environment=environment))
        measure(bench, options.pairs)


if __name__ == "__main__":
    main()
