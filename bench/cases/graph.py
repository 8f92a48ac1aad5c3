"""A graph of 10,000 nodes beside one of 100."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from bench import servers
from bench.definitions import INPUT, OUTPUT, chain, node
from bench.lab import Lab, Side
from bench.readings import NotDone, Row, compare, most
from bench.servers import Server

TITLE = "A graph of 10,000 nodes, over HTTP (SQLite)"
ORDER = 75

SMALL, LARGE = 100, 10_000
BOUND = most(130, "×")
WORK = f"run and read back {LARGE:,} nodes in a chain"
WIDE = f"run and read back {LARGE:,} nodes side by side"
SAVED = f"save {LARGE:,} nodes in a chain"
AGAINST = f"the same with {SMALL} nodes"
ROWS = [(work, AGAINST, BOUND) for work in (WORK, WIDE, SAVED)]


def measure(lab: Lab) -> Iterator[Row]:
    with lab.folder() as folder, servers.rowel(folder) as server:
        server.http.timeout = 300
        pairs = {
            WORK: _run_sides(server, WORK, long_graph),
            WIDE: _run_sides(server, WIDE, wide_graph),
            SAVED: [
                Side(SAVED, "s", lambda: _timed_save(server, LARGE, 1), [server]),
                Side(AGAINST, "s", lambda: _timed_save(server, SMALL, 20), [server]),
            ],
        }
        for work, sides in pairs.items():
            taken = lab.take_turns(sides)
            yield compare(work, taken[work], taken[AGAINST], turns=lab.turns, bound=BOUND)


def _run_sides(server: Server, work: str, build: Callable[[int], dict[str, Any]]) -> list[Side]:
    small, large = _save(server, build(SMALL)), _save(server, build(LARGE))
    return [
        Side(work, "s", lambda: _run(server, large, LARGE), [server]),
        Side(AGAINST, "s", lambda: _run_often(server, small), [server]),
    ]


def long_graph(size: int) -> dict[str, Any]:
    constants = [node(f"value_{n}", "StaticValueNode", values={"v": n}) for n in range(size - 2)]
    last = node(OUTPUT, "OutputNode", output_map={"v": f"value_{size - 3}.v"})
    return chain([node(INPUT, "InputNode", output_schema={"n": "int"}), *constants, last])


def wide_graph(size: int) -> dict[str, Any]:
    """All constants behind the input node, and one node that merges two of them."""
    first = node(INPUT, "InputNode", output_schema={"n": "int"})
    constants = [node(f"value_{n}", "StaticValueNode", values={"v": n}) for n in range(size - 2)]
    last = node(OUTPUT, "OutputNode", output_map={"v": f"value_{size - 3}.v"})
    links = [(INPUT, constant["id"]) for constant in constants]
    links += [(f"value_{n}", OUTPUT) for n in (0, size - 3)]
    return {
        "nodes": [first, *constants, last],
        "links": [{"source_id": source, "target_id": target} for source, target in links],
        "test_inputs": [],
    }


def _save(server: Server, definition: dict[str, Any]) -> str:
    return str(server.post("/wf/", {"name": "graph", "definition": definition})["id"])


def _timed_save(server: Server, size: int, times: int) -> float:
    definition = long_graph(size)
    begin = time.perf_counter()
    for _ in range(times):
        _save(server, definition)
    return (time.perf_counter() - begin) / times


def _run(server: Server, workflow: str, size: int) -> float:
    """Seconds from the start to the run read back with all its tasks."""
    begin = time.perf_counter()
    run = server.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {INPUT: {"n": 1}}})
    read = server.http.get(f"/run/{run['id']}/").json()
    seconds = time.perf_counter() - begin
    done = sum(task["status"] == "COMPLETED" for task in read["tasks"])
    if done != size or read["outputs"][OUTPUT] != {"v": size - 3}:
        raise NotDone(f"{done} of {size} tasks are COMPLETED")
    return seconds


def _run_often(server: Server, workflow: str) -> float:
    return sum(_run(server, workflow, SMALL) for _ in range(20)) / 20
