"""The store fails at the n-th step of a scenario, for each n until the scenario is through without a failure.

Clients hear 503 and come back; nothing that was acknowledged is lost, nothing is done twice, and all ends well.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

import rowel.store.writer
from rowel.api.http import create_api
from rowel.core.faults import Harm, Point, parse_faults
from rowel.engine import compose, patience
from rowel.engine.faults import Faults
from rowel.engine.upkeep import Upkeep
from tests.support.clocks import FakeClock
from tests.support.fake_nodes import Stage
from tests.support.flows import flow, given, human, loop, output
from tests.support.house import House
from tests.support.postgres import Postgres
from tests.support.torture import ROUNDS

CHAIN = flow("start>a a>loop loop>b b>end", loop=loop(flow("start>c c>end"), 2))
ASKED = flow("start>a a>ask ask>b b>end", ask=human())
HELD = flow("start>held held>end")
ROW = flow("start>a start>end a>end", start=given(n="int"), end=output(n="start.n"))
ROWS = 4


class Noted(Faults):
    """Faults that know whether any of them happened."""

    happened = 0

    def reach(self, point: Point) -> Harm | None:
        harm = super().reach(point)
        Noted.happened += harm is not None
        return harm


@dataclass
class Client:
    """Asks until it is answered, as clients do; every refusal must be a 503 that says when to come back."""

    http: httpx.AsyncClient
    refusals: int = 0
    #: Runs that were acknowledged, and how they must end.
    runs: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, **what: Any) -> httpx.Response:
        if body is not None:
            what["json"] = body
        for _ in range(100):
            answer = await self.http.request(method, path, **what)
            if answer.status_code != 503:
                assert answer.status_code < 500, answer.text
                return answer
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] == "unavailable"
            self.refusals += 1
            await asyncio.sleep(0.01)
        raise AssertionError(f"{path} was refused a hundred times: {answer.text}")

    async def create(self, definition: Any) -> str:
        answer = await self.ask("POST", "/wf/", {"name": "x", "definition": definition})
        return str(answer.json()["id"])

    async def wait_for(self, run_id: str, *statuses: str) -> Any:
        async with asyncio.timeout(20):
            while True:
                run = (await self.ask("GET", f"/run/{run_id}/")).json()
                if run["status"] in statuses:
                    return run
                await asyncio.sleep(0.005)


async def scenario(client: Client, stage: Stage) -> str:
    """Something of everything; returns the output file's id."""
    chain, asked, held, row = [await client.create(one) for one in (CHAIN, ASKED, HELD, ROW)]
    started = (await client.ask("POST", f"/wf/{chain}/start_run/", {})).json()
    client.runs[started["id"]] = "COMPLETED"
    done = await client.ask("POST", f"/wf/{chain}/runv2/", {})
    assert done.status_code in (200, 202)
    client.runs[(done.json().get("run") or done.json())["id"]] = "COMPLETED"
    await approve(client, asked)
    stage.hold("held")
    canceled = (await client.ask("POST", f"/wf/{held}/start_run/", {})).json()["id"]
    answer = await client.ask("POST", f"/wf/cancel_workflow/{canceled}/")
    assert answer.status_code in (200, 409)
    client.runs[canceled] = "CANCELED"
    stage.let_go("held")
    rows = b"n\n" + b"".join(b"%d\n" % n for n in range(ROWS))
    dataset = await client.ask("POST", "/ds/", params={"name": "rows"}, files={"file": ("rows.csv", rows)})
    batch = await client.ask(
        "POST", f"/wf/{row}/start_batch_run/", {"dataset_id": dataset.json()["id"], "mini_batch_size": 2}
    )
    client.runs[batch.json()["id"]] = "COMPLETED"
    return str(batch.json()["output_file_id"])


async def approve(client: Client, workflow_id: str) -> None:
    run = (await client.ask("POST", f"/wf/{workflow_id}/start_run/", {})).json()["id"]
    await client.wait_for(run, "PAUSED")
    decision = {"action": "APPROVE", "user_id": "ann", "inputs": {"by": "ann"}}
    answer = await client.ask("POST", f"/wf/process_pause_action/{run}/", decision)
    # Whoever asks again, since nobody knew what became of it, hears that it was themselves.
    assert answer.status_code == 200 or "by ann" in answer.text
    client.runs[run] = "COMPLETED"


@asynccontextmanager
async def opened(data: Path, faults: str, url: str | None) -> AsyncIterator[tuple[Client, Stage, Any]]:
    stage = Stage()
    house = House(data, stage, FakeClock(), url)
    engine = await house.open(Upkeep(runs_each=0.05), faults=parse_faults(faults))
    transport = httpx.ASGITransport(app=create_api(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield Client(http), stage, engine
        await house.shut(engine)


def directory(path: Path, template: Path) -> Path:
    """A data directory with its tables."""
    path.mkdir()
    shutil.copy(template, path / "rowel.db")
    return path


async def survive(data: Path, faults: str, url: str | None = None) -> bool:
    """Go through the scenario with these faults; return whether one of them happened."""
    before = Noted.happened
    async with opened(data, faults, url) as (client, stage, engine):
        file = await scenario(client, stage)
        for run_id, status in client.runs.items():
            assert (await client.wait_for(run_id, "COMPLETED", "FAILED", "CANCELED"))["status"] == status
        lines = (await client.ask("GET", f"/of/{file}/download/")).text.splitlines()
        assert [json.loads(line)["end"] for line in lines] == [{"n": n} for n in range(ROWS)]
        assert (await client.ask("GET", "/health/ready")).status_code == 200
        assert engine.store_trouble() is None
        assert max(stage.counts.values()) == 1, stage.counts
    return Noted.happened > before


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "Faults", Noted)
    monkeypatch.setattr(patience, "AGAIN_AFTER_S", (0.01,))
    monkeypatch.setattr(rowel.store.writer.Writer.__init__, "__defaults__", ((0.01,),))


#: The point, the harm, how often in a row, and how far apart the chosen ones lie in the suite.
CASES = [
    (Point.STATEMENT_BEFORE, Harm.IO, 1, 60),
    (Point.STATEMENT_AFTER, Harm.FULL, 3, 60),
    (Point.BEGIN_BEFORE, Harm.LOCKED, 4, 25),
    (Point.COMMIT_BEFORE, Harm.IO, 1, 25),
    (Point.COMMIT_AFTER, Harm.IO, 1, 10),
    (Point.READ, Harm.IO, 2, 60),
    (Point.FILE_WRITE, Harm.FULL, 2, 1),
    (Point.FILE_PUBLISH_AFTER, Harm.IO, 1, 1),
]


@pytest.mark.parametrize(("point", "harm", "length", "stride"), CASES)
async def test_whenever_the_store_fails_nothing_is_lost_and_it_recovers(
    tmp_path: Path, sqlite_template: Path, point: Point, harm: Harm, length: int, stride: int
) -> None:
    for fault in faults(point, harm, length, stride):
        try:
            happened = await survive(directory(tmp_path / fault, sqlite_template), fault)
        except BaseException as error:
            error.add_note(f"ROWEL_FAULTS={fault}")
            raise
        if not happened:
            return


@pytest.mark.parametrize(
    ("point", "harm", "stride"),
    [(Point.COMMIT_AFTER, Harm.IO, 15), (Point.STATEMENT_BEFORE, Harm.FULL, 150), (Point.READ, Harm.IO, 150)],
)
async def test_nor_on_postgres(
    tmp_path: Path, postgres: Postgres, postgres_template: str, point: Point, harm: Harm, stride: int
) -> None:
    for fault in faults(point, harm, 2, stride):
        with postgres.database(postgres_template) as url:
            try:
                happened = await survive(tmp_path / fault, fault, url)
            except BaseException as error:
                error.add_note(f"ROWEL_FAULTS={fault}")
                raise
        if not happened:
            return


def faults(point: Point, harm: Harm, length: int, stride: int) -> Iterator[str]:
    """Each as text: at first, and then ever later."""
    stride = 1 if ROUNDS else stride
    for n in count(1 if stride == 1 else Random().randint(1, stride), step=stride):
        yield f"{point}:{n}-{n + length - 1}:{harm}"
