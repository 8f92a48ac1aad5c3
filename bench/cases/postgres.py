"""Postgres: one process that does what it starts, and a server with one worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from bench import peers, servers
from bench.definitions import INPUT, OUTPUT, static_chain, step_chain
from bench.lab import Lab, Side, rate
from bench.loading import load
from bench.processes import Driver
from bench.readings import NotDone, Row, compare, least

TITLE = "A chain of 5 nodes on Postgres, 16 in flight"
ORDER = 50

CLIENTS = 16
DBOS = f"DBOS {peers.version('dbos')} + Postgres"
BARE = f"Procrastinate {peers.version('procrastinate')} bare, empty jobs"
PURE, STEPS = "Rowel, static nodes", "Rowel, nodes with effects"
SERVED = "Rowel over HTTP, serve + 1 worker, nodes with effects"
WORKS = {
    PURE: "one process, chain of 5 static nodes",
    STEPS: "one process, chain of 5 nodes with effects, each committed before the next",
    SERVED: "serve + one worker over HTTP, blocking run/, chain of 5 nodes with effects",
}
ROWS = [(work, DBOS, least(5)) for work in WORKS.values()]
COUNTS = {
    "rowel": "SELECT count(*) FROM runs WHERE status = 'COMPLETED'",
    "dbos": "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'",
    "procrastinate": "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'",
}


def measure(lab: Lab) -> Iterator[Row]:
    server = lab.postgres()
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        urls = {
            name: stack.enter_context(server.database())
            for name in ("pure", "steps", "served", "dbos", "bare")
        }
        check_durable(urls["dbos"])
        pure = {"last": OUTPUT, "field": "v", "adds": -3}
        steps = {"last": "step_5", "field": "n", "adds": 5}
        sides = [
            _rowel(lab, stack, folder / "pure", PURE, urls["pure"], static_chain(), pure),
            _rowel(lab, stack, folder / "steps", STEPS, urls["steps"], step_chain(), steps),
            _served(lab, stack, folder, urls["served"]),
            _dbos(lab, stack, folder, urls["dbos"]),
            _bare(lab, stack, folder, urls["bare"]),
        ]
        taken = lab.take_turns(sides)
    for ours, work in WORKS.items():
        yield compare(work, taken[ours], taken[DBOS], turns=lab.turns, bound=least(5))
    note = (
        "Procrastinate bare is the queue alone: it defers and ends jobs that do nothing and keep no result."
    )
    yield compare(WORKS[SERVED], taken[SERVED], taken[BARE], turns=lab.turns, notes=[note])


def check_durable(url: str) -> None:
    """Raise `NotDone` unless the server waits for the disk at each commit."""
    with psycopg.connect(url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            found = connection.execute(f"SHOW {setting}").fetchone()
            if found != ("on",):
                raise NotDone(f"Postgres says {setting}={found}")


def _check(url: str, whose: str, told: int) -> None:
    with psycopg.connect(url) as connection:
        found = connection.execute(COUNTS[whose]).fetchone()
    if found is None or found[0] < told:
        raise NotDone(f"{told} were said to be finished and {found} are in the database")


def _rowel(
    lab: Lab, stack: ExitStack, data: Path, name: str, url: str, definition: Any, how: dict[str, Any]
) -> Side:
    driver = stack.enter_context(lab.driver(None, "rowel_in_process", url, str(data), folder=data.parent))
    driver.ask("save", name="work", definition=definition)
    asked = {"name": "work", "seconds": lab.seconds, "in_flight": CLIENTS, **how}
    return _counted(name, driver, asked, url, "rowel")


def _dbos(lab: Lab, stack: ExitStack, folder: Path, url: str) -> Side:
    address = url.replace("postgresql://", "postgresql+psycopg://")
    driver = stack.enter_context(lab.driver("dbos", "dbos_chain", address, folder=folder))
    return _counted(DBOS, driver, {"seconds": lab.seconds, "in_flight": CLIENTS}, url, "dbos")


def _bare(lab: Lab, stack: ExitStack, folder: Path, url: str) -> Side:
    driver = stack.enter_context(lab.driver("procrastinate", "procrastinate_jobs", url, folder=folder))
    return _counted(
        BARE, driver, {"seconds": lab.seconds, "in_flight": CLIENTS}, url, "procrastinate", "jobs/s"
    )


def _counted(
    name: str, driver: Driver, how: dict[str, Any], url: str, whose: str, unit: str = "runs/s"
) -> Side:
    told = driver.ask("runs", **{**how, "seconds": 0.5})["done"]

    def work() -> float:
        nonlocal told
        said = driver.ask("runs", **how)
        told += said["done"]
        return rate(said)

    return Side(name, unit, work, [driver], lambda: _check(url, whose, told))


def _served(lab: Lab, stack: ExitStack, folder: Path, url: str) -> Side:
    server = stack.enter_context(servers.rowel(folder, name="served", ROWEL_DATABASE_URL=url))
    worker = stack.enter_context(
        servers.worker(folder, ROWEL_DATA=str(folder / "served"), ROWEL_DATABASE_URL=url)
    )
    workflow = server.post("/wf/", {"name": "chain", "definition": step_chain()})["id"]
    body = {"initial_inputs": {INPUT: {"n": 1}}}
    path = f"/wf/{workflow}/run/"
    server.post(path, body)
    told = 0

    def work() -> float:
        nonlocal told
        said = load(server.port, path, body, clients=CLIENTS, seconds=lab.seconds)
        if any(json.loads(answer)["step_5"] != {"n": 6} for answer in said["bodies"]):
            raise NotDone(f"an answer was wrong: {said['bodies']}")
        told += said["done"]
        return float(said["done"] / said["seconds"])

    return Side(SERVED, "runs/s", work, [server, worker], lambda: _check(url, "rowel", told))
