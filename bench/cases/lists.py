"""Lists of runs, where there are 1,000 and where there are 1,000,000."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import servers
from bench.definitions import INPUT, static_chain
from bench.lab import Lab, Side
from bench.readings import NotDone, Row, compare, figure, most
from bench.servers import Server

TITLE = "Lists of runs, at 1,000 and at 1,000,000 runs (SQLite)"
ORDER = 70

FEW, MANY = 1_000, 1_000_000
LISTS = {
    "the global list `GET /run/`": "/run/?limit=50",
    "a workflow's list `GET /wf/{id}/runs/`": "/wf/{workflow}/runs/?page_size=50",
    "the global list, failed runs only": "/run/?limit=50&status=FAILED",
}
#: How much longer a list may take where there are a thousand times as many.
GROWTH = most(2, "×")
P99 = most(20, "ms")
AT_FEW, AT_MANY = f"at {FEW:,} runs", f"at {MANY:,} runs"
ROWS = [(name, AT_FEW, GROWTH) for name in LISTS] + [(f"{name}, p99", AT_MANY, P99) for name in LISTS]

#: One run in so many has failed: 50 of the few.
FAILED_EACH = 20


def measure(lab: Lab) -> Iterator[Row]:
    many = lab.pick(100_000, MANY)
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        small = _filled(stack, folder, "few", FEW)
        large = _filled(stack, folder, "many", many)
        for name, path in LISTS.items():
            yield from _compared(lab, name, path, small, large, many)


def _compared(
    lab: Lab, name: str, path: str, small: tuple[Server, str], large: tuple[Server, str], many: int
) -> Iterator[Row]:
    tails: list[float] = []
    times = lab.pick(100, 300)

    def ask(place: tuple[Server, str], runs: int, *, keeps: bool = False) -> float:
        server, workflow = place
        taken = _asked(server, path.format(workflow=workflow), times, runs)
        if keeps:
            tails.append(taken[int(len(taken) * 0.99)])
        return statistics.median(taken)

    sides = [
        Side(f"at {many:,} runs", "ms", lambda: ask(large, many, keeps=True), [large[0]]),
        Side(AT_FEW, "ms", lambda: ask(small, FEW), [small[0]]),
        Side("p99", "ms", lambda: tails.pop(0)),
    ]
    taken = lab.take_turns(sides)
    note = (
        f"{FEW:,} runs were run, the others are copies of their rows and tasks. A list shows 50 with tasks."
    )
    yield compare(
        name, taken[f"at {many:,} runs"], taken[AT_FEW], turns=lab.turns, bound=GROWTH, notes=[note]
    )
    yield figure(f"{name}, p99", f"at {many:,} runs", taken["p99"], turns=lab.turns, bound=P99)


def _asked(server: Server, path: str, times: int, runs: int) -> list[float]:
    """Milliseconds of each of so many requests, sorted. Raises `NotDone` where an answer is not what it has to be."""
    wanted = min(50, runs // FAILED_EACH if "FAILED" in path else runs)
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        answer = server.http.get(path)
        taken.append((time.perf_counter() - begin) * 1000)
        if answer.status_code != 200 or len(answer.json()) != wanted:
            raise NotDone(f"{path} answered {answer.status_code} with {answer.text[:100]}")
    return sorted(taken)


def _filled(stack: ExitStack, folder: Path, name: str, runs: int) -> tuple[Server, str]:
    """A server on so many runs, and the workflow that most are of."""
    with servers.rowel(folder, name=name) as server:
        workflow = server.post("/wf/", {"name": "chain", "definition": static_chain(3)})["id"]
        for number in range(FEW):
            server.post(f"/wf/{workflow}/run/", {"initial_inputs": {INPUT: {"n": number}}})
    multiply(folder / name / "rowel.db", runs)
    server = stack.enter_context(servers.rowel(folder, name=name))
    server.sleep()
    return server, workflow


def multiply(file: Path, runs: int) -> None:
    """Copy the runs of a database, and their tasks, until there are so many; each twentieth becomes a failed one."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-200000")
    connection.execute("BEGIN")
    (have,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    copies = "WITH RECURSIVE copy(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copy WHERE k < ?)"
    for table, key in [("runs", "id"), ("tasks", "run_id")]:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        # Earlier runs get lower ids, as if they had been run earlier.
        other = {key: f"printf('0%07d', ? - k) || substr({key}, 9)"}
        if table == "runs":
            other |= {"start_time": "start_time - k * 1000000000", "end_time": "end_time - k * 1000000000"}
        values = [other.get(name, name) for name in names]
        if runs > have:
            times = runs // have - 1
            order = "ORDER BY k DESC, " + ("id" if table == "runs" else "run_id, path")
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) {copies} "
                f"SELECT {', '.join(values)} FROM copy CROSS JOIN (SELECT * FROM {table}) {order}",
                (times, times),
            )
    connection.execute(
        f"UPDATE runs SET status = 'FAILED' WHERE id IN (SELECT id FROM runs WHERE rowid % {FAILED_EACH} = 0)"
    )
    connection.execute("COMMIT")
    connection.close()
