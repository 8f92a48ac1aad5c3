"""A server's start, and what it weighs when it has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench import machine, servers
from bench.definitions import INPUT, static_chain
from bench.lab import Lab, Side
from bench.readings import Row, figure, most

TITLE = "Start-up and idle memory (SQLite)"
ORDER = 60

START = "start-up to the first answer of GET /wf/"
FIRST = "the same on an empty data directory"
IDLE = "idle memory"
WHAT = "`rowel serve`, alone"
BOUNDS = {START: most(1.0, "s"), FIRST: None, IDLE: most(120, "MB")}
ROWS = [(work, WHAT, bound) for work, bound in BOUNDS.items() if bound]
#: Seconds after which a server is at rest.
REST_S = 3.0


def measure(lab: Lab) -> Iterator[Row]:
    with lab.folder() as folder:
        used = folder / "used"
        with servers.rowel(folder, data=used) as server:
            workflow = server.post("/wf/", {"name": "chain", "definition": static_chain()})["id"]
            server.post(f"/wf/{workflow}/run/", {"initial_inputs": {INPUT: {"n": 1}}})
        numbers = iter(range(1000))
        sides = [
            Side(START, "s", lambda: _start(folder, used)),
            Side(FIRST, "s", lambda: _start(folder, folder / f"new-{next(numbers)}")),
            Side(IDLE, "MB", lambda: _idle(folder, used)),
        ]
        taken = lab.take_turns(sides)
    for work, bound in BOUNDS.items():
        yield figure(work, WHAT, taken[work], turns=lab.turns, bound=bound)


def _start(folder: Path, data: Path) -> float:
    begin = time.perf_counter()
    with servers.rowel(folder, data=data, sign="/wf/"):
        return time.perf_counter() - begin


def _idle(folder: Path, data: Path) -> float:
    """Resident memory of the server and all its children."""
    with servers.rowel(folder, data=data) as server:
        time.sleep(REST_S)
        return sum(map(machine.resident_mb, machine.family(server.pid)))
