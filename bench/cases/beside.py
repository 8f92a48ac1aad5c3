"""Blocking runs beside a batch that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import servers
from bench.definitions import INPUT, static_chain
from bench.lab import Lab, Side
from bench.loading import check_answers, load
from bench.readings import NotDone, Row, compare, most
from bench.servers import Server

TITLE = "Blocking runs beside a running batch, over HTTP (SQLite)"
ORDER = 35

CLIENTS = 4
ROWS_OF_BATCH = 100_000
WINDOW = 100
WORK = f"p99 of a blocking run, {CLIENTS} clients, beside a batch with mini_batch_size {WINDOW}"
ALONE = "the same without the batch"
ROWS = [(WORK, ALONE, most(3, "×"))]
OUTPUTS = {
    INPUT: {"n": 1},
    "value_1": {"v": 1},
    "value_2": {"v": 2},
    "value_3": {"v": 3},
    "output_node": {"v": 3},
}


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        server = stack.enter_context(servers.rowel(folder))
        workflow = server.post("/wf/", {"name": "chain", "definition": static_chain()})["id"]
        dataset = _dataset(server, folder)
        sides = [
            Side(WORK, "ms", lambda: _beside(lab, server, workflow, dataset), [server]),
            Side(ALONE, "ms", lambda: _p99(lab, server, workflow), [server]),
        ]
        taken = lab.take_turns(sides)
    yield compare(WORK, taken[WORK], taken[ALONE], turns=lab.turns, bound=most(3, "×"))


def _dataset(server: Server, folder: Path) -> str:
    csv = folder / "rows.csv"
    csv.write_text("n\n" + "".join(f"{n}\n" for n in range(ROWS_OF_BATCH)))
    with csv.open("rb") as file:
        answer = server.http.post("/ds/", params={"name": "rows"}, files={"file": ("rows.csv", file)})
    return str(answer.json()["id"])


def _p99(lab: Lab, server: Server, workflow: str) -> float:
    body = {"initial_inputs": {INPUT: {"n": 1}}}
    path = f"/wf/{workflow}/run/"
    said = load(server.port, path, body, clients=CLIENTS, seconds=2 * lab.seconds)
    check_answers(said, OUTPUTS)
    return float(said["p99_ms"])


def _beside(lab: Lab, server: Server, workflow: str, dataset: str) -> float:
    """The same while a batch moves all the time; then the batch is canceled."""
    asked = {"dataset_id": dataset, "mini_batch_size": WINDOW}
    run = server.post(f"/wf/{workflow}/start_batch_run/", asked)["id"]
    servers.wait_until(lambda: _done(server, run) > WINDOW, 30, "the batch does not begin")
    before = _done(server, run)
    taken = _p99(lab, server, workflow)
    after = _done(server, run)
    if not before < after < ROWS_OF_BATCH:
        raise NotDone(f"the batch did not move all the time: {before} rows before, {after} after")
    server.post(f"/wf/cancel_workflow/{run}/", {})
    return taken


def _done(server: Server, run: str) -> int:
    return int(server.http.get(f"/run/{run}/batch/").json()["completed"])
