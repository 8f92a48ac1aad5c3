"""A chain of 5 nodes in the user's process, 16 runs in flight and one at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import ledgers, peers
from bench.definitions import OUTPUT, static_chain, step_chain
from bench.lab import Lab, Side, rate
from bench.processes import Driver
from bench.readings import Bound, Row, Series, compare, least

TITLE = "A chain of 5 nodes in process (SQLite)"
ORDER = 10

LANGGRAPH = f"LangGraph {peers.version('langgraph')} + SQLite"
DBOS = f"DBOS {peers.version('dbos')} + SQLite"
DBOS_WAL = f"DBOS {peers.version('dbos')} + SQLite, its file set to WAL"
PURE = "Rowel, 5 nodes that may be replayed"
STEPS = "Rowel, input and 5 nodes with effects"

WORKS = {
    PURE: "chain of 5 static nodes, one commit",
    STEPS: "chain of 5 nodes with effects, each committed before the next",
}
#: By how many runs are in flight.
BOUNDS: dict[int, dict[str, Bound | None]] = {
    16: {LANGGRAPH: least(10), DBOS: least(18), DBOS_WAL: None},
    1: {LANGGRAPH: least(4), DBOS: None, DBOS_WAL: None},
}
ROWS = [
    (f"{work}, {in_flight} in flight", peer, bound)
    for in_flight, bounds in BOUNDS.items()
    for work in WORKS.values()
    for peer, bound in bounds.items()
    if bound
]


def measure(lab: Lab) -> Iterator[Row]:
    for in_flight, bounds in BOUNDS.items():
        with ExitStack() as stack:
            taken = lab.take_turns(list(_sides(lab, stack, in_flight)))
        yield from _rows(lab, taken, in_flight, bounds)


def _rows(
    lab: Lab, taken: dict[str, Series], in_flight: int, bounds: dict[str, Bound | None]
) -> Iterator[Row]:
    for ours, work in WORKS.items():
        for peer, bound in bounds.items():
            name = f"{work}, {in_flight} in flight"
            yield compare(name, taken[ours], taken[peer], turns=lab.turns, bound=bound)


def _sides(lab: Lab, stack: ExitStack, in_flight: int) -> Iterator[Side]:
    folder = stack.enter_context(lab.folder())
    how = {"seconds": lab.seconds, "in_flight": in_flight}
    pure = {"name": "work", "last": OUTPUT, "field": "v", "adds": -3, **how}
    steps = {"name": "work", "last": "step_5", "field": "n", "adds": 5, **how}
    yield _rowel(lab, stack, folder / "pure", PURE, static_chain(), pure)
    yield _rowel(lab, stack, folder / "steps", STEPS, step_chain(), steps)
    graph = stack.enter_context(
        lab.driver("langgraph", "langgraph_chain", str(folder / "graph.db"), folder=folder)
    )
    yield _side(LANGGRAPH, graph, how, folder / "graph.db", ledgers.LANGGRAPH)
    for name, file in [(DBOS, folder / "dbos.db"), (DBOS_WAL, folder / "wal.db")]:
        if name == DBOS_WAL:
            set_to_wal(file)
        driver = stack.enter_context(lab.driver("dbos", "dbos_chain", f"sqlite:///{file}", folder=folder))
        yield _side(name, driver, how, file, ledgers.DBOS)


def set_to_wal(file: Path) -> None:
    """Make a SQLite file that keeps a write-ahead log whoever opens it."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _rowel(
    lab: Lab, stack: ExitStack, data: Path, name: str, definition: dict[str, Any], how: dict[str, Any]
) -> Side:
    driver = stack.enter_context(lab.driver(None, "rowel_in_process", str(data), folder=data.parent))
    driver.ask("save", name="work", definition=definition)
    return _side(name, driver, how, data / "rowel.db", ledgers.ROWEL)


def _side(name: str, driver: Driver, how: dict[str, Any], file: Path, query: str) -> Side:
    told = 0

    def work() -> float:
        nonlocal told
        said = driver.ask("runs", **how)
        told += said["done"]
        ledgers.check_settings(driver.ask("settings"))
        return rate(said)

    # What is made and loaded at first is not what is measured.
    warm = driver.ask("runs", **{**how, "seconds": 0.3})
    told += warm["done"]
    return Side(name, "runs/s", work, [driver], lambda: ledgers.check(file, query, told))
