"""Four workers beside one, on rows that wait for a server: `bench/scale_out.py` in turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from bench.lab import Lab, Side
from bench.processes import ROOT, environment, free_port
from bench.readings import NotDone, Row, compare, least
from bench.scale_out import LEAST, PLACES, WAIT_S, Bench, process

TITLE = "Four workers beside one (Postgres)"
ORDER = 55

ONE, FOUR = "Rowel with one worker", "Rowel with four workers"
WORK = f"batch whose rows wait {WAIT_S} s, {PLACES} places a worker"
ROWS = [(WORK, ONE, least(LEAST))]


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        url = stack.enter_context(lab.postgres().database())
        variables = environment(
            PYTHONPATH=str(ROOT / "src"),
            ROWEL_DATABASE_URL=url,
            ROWEL_DATA=str(folder),
            ROWEL_PORT=str(free_port()),
        )
        bench = Bench(variables, rows=lab.pick(160, 400))
        stack.enter_context(process("serve", environment=variables))
        bench.prepare()
        sides = [
            Side(ONE, "rows/s", lambda: _rate(bench, 1)),
            Side(FOUR, "rows/s", lambda: _rate(bench, 4)),
        ]
        taken = lab.take_turns(sides, turns=lab.pick(2, 5))
    note = (
        "Waiting alone allows 4.00 times; the four workers share this machine with the server and Postgres."
    )
    yield compare(WORK, taken[FOUR], taken[ONE], turns=lab.pick(2, 5), bound=least(LEAST), notes=[note])


def _rate(bench: Bench, workers: int) -> float:
    try:
        return bench.rate(workers)
    except SystemExit as error:
        raise NotDone(str(error)) from None
