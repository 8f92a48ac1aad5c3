"""What a blocking run waits while a batch runs beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import servers
from bench.definitions import INPUT, static_chain
from bench.lab import Lab, Side
from bench.readings import NotDone, Row, compare, most
from bench.servers import Server

TITLE = "Blocking runs beside a batch, one after another, over HTTP (SQLite)"
ORDER = 95

WORK = "99th percentile of a blocking run beside a running batch"
ALONE = "without the batch"
ROWS = [(WORK, ALONE, most(3, "×"))]
WINDOW = 10
#: More than a batch does while it is measured.
MANY = 200_000
BODY = {"initial_inputs": {INPUT: {"n": 1}}}


def measure(lab: Lab) -> Iterator[Row]:
    runs = lab.pick(100, 200)
    with lab.folder() as folder, servers.rowel(folder) as server:
        workflow = server.post("/wf/", {"name": "chain", "definition": static_chain()})["id"]
        dataset = _upload(server, folder)

        def beside() -> float:
            with _batch(server, workflow, dataset):
                return _percentile(server, workflow, runs)

        sides = [
            Side(WORK, "s", beside, [server]),
            Side(ALONE, "s", lambda: _percentile(server, workflow, runs), [server]),
        ]
        taken = lab.take_turns(sides)
    note = f"{runs} runs a turn, mini_batch_size {WINDOW}"
    yield compare(WORK, taken[WORK], taken[ALONE], turns=lab.turns, bound=most(3, "×"), notes=[note])


def _upload(server: Server, folder: Path) -> str:
    csv = folder / "rows.csv"
    with csv.open("w") as file:
        file.write("n\n")
        file.writelines(f"{n}\n" for n in range(MANY))
    with csv.open("rb") as file:
        answer = server.http.post("/ds/", params={"name": "rows"}, files={"file": (csv.name, file)})
    return str(answer.json()["id"])


def _percentile(server: Server, workflow: str, runs: int) -> float:
    """The 99th percentile of what a run takes, in seconds."""
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        server.post(f"/wf/{workflow}/run/", BODY)
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[int(0.99 * runs) - 1]


@contextmanager
def _batch(server: Server, workflow: str, dataset: str) -> Iterator[None]:
    """A batch that runs meanwhile. Raises `NotDone` where it does not."""
    asked = {"dataset_id": dataset, "mini_batch_size": WINDOW}
    run = server.post(f"/wf/{workflow}/start_batch_run/", asked)["id"]
    before = _completed(server, run)
    yield
    rows = _completed(server, run) - before
    is_open = server.http.get(f"/run/{run}/?slim=true").json()["status"] == "RUNNING"
    server.post(f"/wf/cancel_workflow/{run}/", {})
    if not is_open or rows < WINDOW:
        raise NotDone(f"the batch did {rows} rows meanwhile, and is {'open' if is_open else 'over'}")


def _completed(server: Server, run: str) -> int:
    return int(server.http.get(f"/run/{run}/batch/").json()["completed"])
