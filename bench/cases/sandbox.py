"""What a sandboxed Python node adds to a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from bench.definitions import INPUT, OUTPUT, chain, node
from bench.lab import Lab, Side
from bench.processes import Driver
from bench.readings import Row, figure, most

TITLE = "Sandboxed Python, what it adds to a run, one at a time"
ORDER = 40

MONTY = "Python node in Monty"
SPARE = "Python node in CPython, a spare process ready"
COLD = "Python node in CPython, no process ready"
WHAT = "the same run without the node"
BOUNDS = {MONTY: most(1.5, "ms"), SPARE: most(5, "ms"), COLD: most(100, "ms")}
ROWS = [(work, WHAT, bound) for work, bound in BOUNDS.items()]

#: Seconds after a run in which a spare process has been started.
SPARE_S = 0.15
CODE = {
    "monty": "return {'n': input_model.input_node.n}",
    "cpython": "import statistics\nreturn {'n': input_model.input_node.n}",
}


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        driver = stack.enter_context(
            lab.driver(None, "rowel_in_process", str(folder / "data"), folder=folder)
        )
        driver.ask("save", name="without", definition=_without())
        for name, code in CODE.items():
            driver.ask("save", name=name, definition=_with(code))
        # The interpreters' processes start with the first call.
        driver.ask("latencies", names=["monty", "cpython"], times=3, rest_s=SPARE_S)
        sides = [
            Side(MONTY, "ms", lambda: _added(driver, "monty", lab.pick(50, 200), 0.0), [driver]),
            Side(SPARE, "ms", lambda: _added(driver, "cpython", lab.pick(8, 20), SPARE_S), [driver]),
            Side(COLD, "ms", lambda: _added_cold(driver, lab.pick(3, 8)), [driver]),
        ]
        taken = lab.take_turns(sides)
    for work, bound in BOUNDS.items():
        yield figure(work, WHAT, taken[work], turns=lab.turns, bound=bound)


def _without() -> dict[str, Any]:
    last = node(OUTPUT, "OutputNode", output_map={"n": f"{INPUT}.n"})
    return chain([node(INPUT, "InputNode", output_schema={"n": "int"}), last])


def _with(code: str) -> dict[str, Any]:
    python = node("python", "PythonFuncNode", code=code, output_schema={"n": "int"})
    last = node(OUTPUT, "OutputNode", output_map={"n": "python.n"})
    return chain([node(INPUT, "InputNode", output_schema={"n": "int"}), python, last])


def _added(driver: Driver, name: str, times: int, rest_s: float) -> float:
    """Milliseconds, the difference of the medians of runs with and without, in turn."""
    said = driver.ask("latencies", names=["without", name], times=times, rest_s=rest_s)
    return float(said[name] - said["without"]) * 1000


def _added_cold(driver: Driver, times: int) -> float:
    said = driver.ask("cold", name="cpython", without="without", times=times)
    return float(said["with"] - said["without"]) * 1000
