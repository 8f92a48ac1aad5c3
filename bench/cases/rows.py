"""A batch of many rows: how memory grows with them, and what a row costs on disk."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import machine, servers
from bench.definitions import INPUT, OUTPUT, chain, node
from bench.lab import Lab, Side
from bench.readings import NotDone, Row, figure, most
from bench.servers import Server

TITLE = "A batch of many rows, 3 nodes each, over HTTP (SQLite)"
ORDER = 90

FEW = 10_000
MEMORY = "resident memory beyond that of a batch of 10,000 rows, at its highest"
DISK = "bytes in the database a row, 3 nodes"
PACE = "rows a second, upload and download not counted"
WINDOW = 100


def rows_of(lab: Lab) -> int:
    return 1_000_000 if lab.is_long else lab.pick(20_000, 100_000)


def what(rows: int) -> str:
    return f"a batch of {rows:,} rows, mini_batch_size {WINDOW}"


ROWS = [(MEMORY, what(1_000_000), most(50, "MB"))]


def measure(lab: Lab) -> Iterator[Row]:
    many = rows_of(lab)
    highest: dict[int, float] = {}
    paces: list[float] = []
    with lab.folder() as folder, servers.rowel(folder) as server:
        server.http.timeout = 600
        definition = chain(
            [
                node(INPUT, "InputNode", output_schema={"n": "int"}),
                node("merge", "MergeNode"),
                node(OUTPUT, "OutputNode", output_map={"n": f"merge.{INPUT}.n"}),
            ]
        )
        workflow = server.post("/wf/", {"name": "rows", "definition": definition})["id"]
        file = folder / "rowel" / "rowel.db"

        def grow() -> float:
            # The first batch also brings what any batch needs: it is what the others are measured from.
            highest[FEW], _ = _batch(server, folder, workflow, FEW)
            highest[many], pace = _batch(server, folder, workflow, many)
            paces.append(pace)
            return max(highest[many] - highest[FEW], 0.1)

        sides = [
            Side(MEMORY, "MB", grow, [server]),
            Side(DISK, "bytes", lambda: _bytes(file) / _count(file), []),
            Side(PACE, "rows/s", lambda: paces[-1], []),
        ]
        taken = lab.take_turns(sides, turns=1)
    note = f"One turn. Highest resident memory of the server: {highest[FEW]:.0f} MB, then {highest[many]:.0f} MB."
    bound = most(50, "MB")
    for name in (MEMORY, DISK, PACE):
        yield figure(
            name, what(many), taken[name], turns=1, bound=bound if name == MEMORY else None, notes=[note]
        )


def _batch(server: Server, folder: Path, workflow: str, rows: int) -> tuple[float, float]:
    """Run a batch of so many rows; the highest resident memory in MB, and rows a second. Raises `NotDone`."""
    csv = folder / f"{rows}.csv"
    with csv.open("w") as file:
        file.write("n\n")
        file.writelines(f"{n}\n" for n in range(rows))
    with csv.open("rb") as file:
        dataset = server.http.post("/ds/", params={"name": "rows"}, files={"file": (csv.name, file)}).json()[
            "id"
        ]
    begin = time.monotonic()
    asked = {"dataset_id": dataset, "mini_batch_size": WINDOW}
    run = server.post(f"/wf/{workflow}/start_batch_run/", asked)
    highest = 0.0
    while (seen := server.http.get(f"/run/{run['id']}/?slim=true").json())["status"] in {
        "PENDING",
        "RUNNING",
    }:
        highest = max(highest, sum(map(machine.resident_mb, machine.family(server.pid))))
        if time.monotonic() - begin > 3600:
            raise NotDone("the batch does not end")
        time.sleep(0.25)
    seconds = time.monotonic() - begin
    _check(server, seen, rows)
    return highest, rows / seconds


def _check(server: Server, run: dict[str, str], rows: int) -> None:
    """Every row has its line, in order, with what it has to hold."""
    number = 0
    with server.http.stream("GET", f"/of/{run['output_file_id']}/download/") as answer:
        for number, line in enumerate(answer.iter_lines(), start=1):
            if json.loads(line)[OUTPUT] != {"n": number - 1}:
                raise NotDone(f"line {number} holds {line[:100]}")
    if run["status"] != "COMPLETED" or number != rows:
        raise NotDone(f"the batch is {run['status']} with {number} lines for {rows} rows")


def _bytes(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * size)


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM runs WHERE row_index IS NOT NULL").fetchone()
    return int(rows)
