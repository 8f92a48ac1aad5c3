"""Blocking and background starts over HTTP, 16 clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import ledgers, peers, servers
from bench.definitions import INPUT, static_chain
from bench.lab import Lab, Side
from bench.loading import check_answers, load
from bench.readings import Row, compare, least
from bench.servers import Server, wait_until

TITLE = "Over HTTP, 16 clients on loopback (SQLite)"
ORDER = 20

CLIENTS = 16
#: PySpur waits for one of its 15 connections inside its event loop: 16 clients can stop it for half a minute.
PYSPUR_CLIENTS = 8
PYSPUR_NOTE = (
    f"PySpur gets {PYSPUR_CLIENTS} clients: it does the same number of runs a second with 1 to 12, and with 16 it can "
    "stop, since it has 15 connections and waits for one inside its event loop."
)
STARTS = 5000
BODY = {"initial_inputs": {INPUT: {"n": 1}}}
#: What a blocking run of `static_chain` answers, by Rowel and by PySpur.
OUTPUTS = {
    INPUT: {"n": 1},
    "value_1": {"v": 1},
    "value_2": {"v": 2},
    "value_3": {"v": 3},
    "output_node": {"v": 3},
}
PYSPUR = f"PySpur {peers.version('pyspur')} + SQLite"
EMPTY = f"an empty endpoint, FastAPI {peers.version('endpoint', 'fastapi')}"
RUN, START = "blocking run/, static chain of 5", f"start_run/, {STARTS:,} runs"
ROWS = [
    (RUN, PYSPUR, least(30)),
    (RUN, EMPTY, least(10, "%")),
    (START, EMPTY, least(25, "%")),
]


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        rowel = stack.enter_context(servers.rowel(folder))
        empty = stack.enter_context(servers.endpoint(folder))
        pyspur = stack.enter_context(servers.pyspur(folder))
        blocking = Counter[str]()
        sides = [
            _blocking(lab, "Rowel", rowel, blocking, folder / "rowel" / "rowel.db", ledgers.ROWEL),
            _blocking(lab, PYSPUR, pyspur, blocking, folder / "pyspur.db", ledgers.PYSPUR),
            Side(EMPTY, "requests/s", lambda: _empty(lab, empty, clients=CLIENTS), [empty]),
        ]
        taken = lab.take_turns(sides)
        for peer, bound in [(PYSPUR, least(30)), (EMPTY, least(10, "%"))]:
            notes = [PYSPUR_NOTE] if peer == PYSPUR else []
            yield compare(RUN, taken["Rowel"], taken[peer], turns=lab.turns, bound=bound, notes=notes)
    yield from _starts(lab)


def _blocking(lab: Lab, name: str, server: Server, told: Counter[str], file: Path, query: str) -> Side:
    prefix, clients = ("/api", PYSPUR_CLIENTS) if name == PYSPUR else ("", CLIENTS)
    body = {"name": "chain", "description": "", "definition": static_chain()}
    workflow = server.post(f"{prefix}/wf/", body)["id"]
    path = f"{prefix}/wf/{workflow}/run/"

    def work() -> float:
        said = load(server.port, path, BODY, clients=clients, seconds=lab.seconds)
        told[name] += said["done"]
        check_answers(said, OUTPUTS)
        return float(said["done"] / said["seconds"])

    told[name] += load(server.port, path, BODY, clients=clients, seconds=0.5)["done"]
    return Side(name, "runs/s", work, [server], lambda: ledgers.check(file, query, told[name]))


def _empty(lab: Lab, server: Server, *, clients: int, count: int = 0) -> float:
    seconds = 60 if count else lab.seconds
    said = load(server.port, "/wf/x/run/", BODY, clients=clients, seconds=seconds, count=count)
    return float(said["done"] / said["seconds"])


def _starts(lab: Lab) -> Iterator[Row]:
    starts = lab.pick(1000, STARTS)
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        rowel = stack.enter_context(servers.rowel(folder))
        empty = stack.enter_context(servers.endpoint(folder))
        workflow = rowel.post("/wf/", {"name": "chain", "definition": static_chain()})["id"]
        file = folder / "rowel" / "rowel.db"
        accepted: set[str] = set()

        def work() -> float:
            path = f"/wf/{workflow}/start_run/"
            said = load(rowel.port, path, BODY, clients=CLIENTS, seconds=120, count=starts, wants="ids")
            accepted.update(said["ids"])
            _all_end(file, len(accepted))
            return float(said["done"] / said["seconds"])

        sides = [
            Side(
                "Rowel", "starts/s", work, [rowel], lambda: ledgers.check(file, ledgers.ROWEL, len(accepted))
            ),
            Side(EMPTY, "requests/s", lambda: _empty(lab, empty, clients=CLIENTS, count=starts), [empty]),
        ]
        taken = lab.take_turns(sides)
        note = f"start_run/: {starts:,} starts a turn, each acknowledged after its commit; none refused, all ended."
        yield compare(
            START, taken["Rowel"], taken[EMPTY], turns=lab.turns, bound=least(25, "%"), notes=[note]
        )


def _all_end(file: Path, runs: int) -> None:
    """Raise `NotDone` where accepted runs don't end."""
    wait_until(
        lambda: ledgers.count(file, ledgers.ROWEL) >= runs, 120, f"not all of {runs} accepted runs ended"
    )
