"""A batch of rows, three nodes each, beside DBOS's queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import ledgers, peers
from bench.cases.chain import set_to_wal
from bench.definitions import OUTPUT, chain, node, step_chain
from bench.lab import Lab, Side, rate
from bench.processes import Driver
from bench.readings import Row, compare, least

TITLE = "A batch, 3 nodes a row (SQLite)"
ORDER = 30

WINDOW = 100
NODES = 3
DBOS = f"DBOS {peers.version('dbos')} queue + SQLite"
DBOS_WAL = f"DBOS {peers.version('dbos')} queue + SQLite, its file set to WAL"
BOUNDS = {DBOS: least(5), DBOS_WAL: None}
PURE = "Rowel, 3 nodes that may be replayed"
STEPS = "Rowel, input and 3 nodes with effects"
WORKS = {
    PURE: "batch, 3 static nodes a row",
    STEPS: "batch, 3 nodes with effects a row, each committed before the next",
}
ROWS = [(work, DBOS, BOUNDS[DBOS]) for work in WORKS.values()]


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        rows = lab.pick(500, 3000)
        csv = folder / "rows.csv"
        csv.write_text("n\n" + "".join(f"{n}\n" for n in range(rows)))
        sides = [
            _rowel(lab, stack, PURE, Work(_copying(), OUTPUT, 0), csv, rows),
            _rowel(lab, stack, STEPS, Work(step_chain(NODES), f"step_{NODES}", NODES), csv, rows),
            _dbos(lab, stack, folder / "dbos.db", DBOS, lab.pick(50, 200)),
            _dbos(lab, stack, folder / "wal.db", DBOS_WAL, lab.pick(50, 300)),
        ]
        taken = lab.take_turns(sides)
    for ours, work in WORKS.items():
        for peer, bound in BOUNDS.items():
            note = f"A turn is {rows:,} rows for Rowel, in a window of {WINDOW}; for DBOS fewer, since it takes longer."
            yield compare(work, taken[ours], taken[peer], turns=lab.turns, bound=bound, notes=[note])


def _copying() -> dict[str, Any]:
    """Three nodes that hand `n` on."""
    first = node("input_node", "InputNode", output_schema={"n": "int"})
    return chain(
        [
            first,
            node("merge", "MergeNode"),
            node(OUTPUT, "OutputNode", output_map={"n": "merge.input_node.n"}),
        ]
    )


@dataclass(frozen=True)
class Work:
    """What Rowel does with the rows: a definition, and what its `last` node puts out for a row's `n`."""

    definition: dict[str, Any]
    last: str
    adds: int


def _rowel(lab: Lab, stack: ExitStack, name: str, work: Work, csv: Path, rows: int) -> Side:
    data = csv.parent / work.last
    driver = stack.enter_context(lab.driver(None, "rowel_in_process", str(data), folder=csv.parent))
    driver.ask("save", name="work", definition=work.definition)
    asked: dict[str, Any] = {
        "name": "work",
        "dataset": str(csv),
        "window": WINDOW,
        "last": work.last,
        "adds": work.adds,
    }
    told = 0

    def take() -> float:
        nonlocal told
        said = driver.ask("batch", **asked)
        ledgers.check_lines(said, rows)
        # The batch itself is a run as well.
        told += said["done"] + 1
        ledgers.check_settings(driver.ask("settings"))
        return rate(said)

    return Side(name, "rows/s", take, [driver], lambda: ledgers.check(data / "rowel.db", ledgers.ROWEL, told))


def _dbos(lab: Lab, stack: ExitStack, file: Path, name: str, rows: int) -> Side:
    if name == DBOS_WAL:
        set_to_wal(file)
    driver: Driver = stack.enter_context(
        lab.driver("dbos", "dbos_chain", f"sqlite:///{file}", str(WINDOW), folder=file.parent)
    )
    told = 0

    def work() -> float:
        nonlocal told
        said = driver.ask("batch", rows=rows, length=NODES)
        told += said["done"]
        ledgers.check_settings(driver.ask("settings"))
        return rate(said)

    return Side(name, "rows/s", work, [driver], lambda: ledgers.check(file, ledgers.DBOS, told))
