"""1,000 listeners to the events of one run, and what publishing to them costs other runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import servers
from bench.definitions import INPUT, chain, node, static_chain
from bench.lab import Lab, Side
from bench.loading import load
from bench.processes import Driver
from bench.readings import NotDone, Row, compare, figure, least, most
from bench.servers import Server

TITLE = "1,000 SSE listeners on one run (SQLite)"
ORDER = 80

LISTENERS = 1000
LATE = f"an event reaches all of {LISTENERS:,} listeners"
SINCE = "since before the request that makes it"
COST = "blocking runs, 16 clients, beside a run that publishes each second"
NOBODY = "nobody listens to it"
HEARD = f"{LISTENERS:,} listen to it"
ROWS = [(LATE, SINCE, most(1, "s")), (COST, NOBODY, least(95, "%"))]
#: Pauses that a run goes through, one after another; each answer makes several events.
PAUSES = 100
BODY = {"initial_inputs": {INPUT: {"n": 1}}}
APPROVAL = {"inputs": {}, "user_id": "bench", "action": "APPROVE"}


def measure(lab: Lab) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(lab.folder())
        server = stack.enter_context(servers.rowel(folder))
        heard, unheard = _pausing(server), _pausing(server)
        workflow = server.post("/wf/", {"name": "chain", "definition": static_chain()})["id"]
        path = f"/run/{heard}/events/"
        listening = stack.enter_context(
            lab.driver(None, "listeners", str(server.port), path, str(LISTENERS), folder=folder)
        )
        listening.ask("settled", beyond=0)

        def runs(published: str) -> float:
            with _publishing(server, published):
                said = load(server.port, f"/wf/{workflow}/run/", BODY, clients=16, seconds=lab.seconds + 1)
            return float(said["done"] / said["seconds"])

        both = [server, listening]
        sides = [
            Side(LATE, "s", lambda: _late(server, listening, heard), both),
            Side(HEARD, "runs/s", lambda: runs(heard), both),
            Side(NOBODY, "runs/s", lambda: runs(unheard), both),
        ]
        taken = lab.take_turns(sides)
    yield figure(LATE, SINCE, taken[LATE], turns=lab.turns, bound=most(1, "s"))
    yield compare(COST, taken[HEARD], taken[NOBODY], turns=lab.turns, bound=least(95, "%"))


def _pausing(server: Server) -> str:
    """A run that waits for one answer after another."""
    pauses = [node(f"pause_{n}", "HumanInterventionNode", message="go on?") for n in range(PAUSES)]
    first = node(INPUT, "InputNode", output_schema={"n": "int"})
    workflow = server.post("/wf/", {"name": "pauses", "definition": chain([first, *pauses])})["id"]
    run = str(server.post(f"/wf/{workflow}/start_run/", BODY)["id"])
    _approve(server, run)
    return run


def _approve(server: Server, run: str) -> None:
    """Answer the run's next pause, once it is there."""
    servers.wait_until(
        lambda: server.http.get(f"/run/{run}/?slim=true").json()["status"] == "PAUSED",
        30,
        "it does not pause",
    )
    server.post(f"/wf/process_pause_action/{run}/", APPROVAL)


def _late(server: Server, listening: Driver, run: str) -> float:
    """Seconds until the last listener has heard the last event of an answer."""
    before = listening.ask("settled", beyond=0)["last"]
    begin = time.monotonic()
    server.post(f"/wf/process_pause_action/{run}/", APPROVAL)
    said = listening.ask("settled", beyond=before, patience_s=30)
    if said["open"] != LISTENERS:
        raise NotDone(f"only {said['open']} of {LISTENERS} streams are open")
    return float(said["heard_at"] - begin)


@contextmanager
def _publishing(server: Server, run: str) -> Iterator[None]:
    """Answer a pause of the run each second."""
    is_over = threading.Event()

    def publish() -> None:
        while not is_over.wait(1.0):
            server.post(f"/wf/process_pause_action/{run}/", APPROVAL)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
