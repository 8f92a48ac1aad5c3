"""Something of everything that clients do, over HTTP, while the store is in trouble: they hear 503, and come back.

client = Client(http)
file = await play(client, stage)
await ends_well(client, stage, file)
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.fake_nodes import Stage
from tests.support.flows import flow, given, human, loop, output

CHAIN = flow("start>a a>loop loop>b b>end", loop=loop(flow("start>c c>end"), 2))
ASKED = flow("start>a a>ask ask>b b>end", ask=human())
HELD = flow("start>held held>end")
ROW = flow("start>a start>end a>end", start=given(n="int"), end=output(n="start.n"))
ROWS = 4
#: Seconds for which a client comes back again and again.
PATIENCE_S = 30.0


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
        async with asyncio.timeout(PATIENCE_S):
            while True:
                answer = await self.http.request(method, path, **what)
                if answer.status_code != 503:
                    assert answer.status_code < 500, answer.text
                    return answer
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["code"] == "unavailable"
                self.refusals += 1
                await asyncio.sleep(0.01)

    async def create(self, definition: Any) -> str:
        answer = await self.ask("POST", "/wf/", {"name": "x", "definition": definition})
        return str(answer.json()["id"])

    async def wait_for(self, run_id: str, *statuses: str) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                run = (await self.ask("GET", f"/run/{run_id}/")).json()
                if run["status"] in statuses:
                    return run
                await asyncio.sleep(0.005)


async def play(client: Client, stage: Stage) -> str:
    """Something of everything; returns the output file's id."""
    chain, asked, held, row = [await client.create(one) for one in (CHAIN, ASKED, HELD, ROW)]
    started = (await client.ask("POST", f"/wf/{chain}/start_run/", {})).json()
    client.runs[started["id"]] = "COMPLETED"
    done = await client.ask("POST", f"/wf/{chain}/runv2/", {})
    assert done.status_code in (200, 202)
    client.runs[(done.json().get("run") or done.json())["id"]] = "COMPLETED"
    await _approve(client, asked)
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


async def _approve(client: Client, workflow_id: str) -> None:
    run = (await client.ask("POST", f"/wf/{workflow_id}/start_run/", {})).json()["id"]
    await client.wait_for(run, "PAUSED")
    decision = {"action": "APPROVE", "user_id": "ann", "inputs": {"by": "ann"}}
    answer = await client.ask("POST", f"/wf/process_pause_action/{run}/", decision)
    # Whoever asks again, since nobody knew what became of it, hears that it was themselves.
    assert answer.status_code == 200 or "by ann" in answer.text
    client.runs[run] = "COMPLETED"


async def ends_well(client: Client, stage: Stage, file_id: str) -> None:
    """Every run that was acknowledged ends as it must, the file is whole, nothing was done twice, and all is well."""
    for run_id, status in client.runs.items():
        assert (await client.wait_for(run_id, "COMPLETED", "FAILED", "CANCELED"))["status"] == status
    lines = (await client.ask("GET", f"/of/{file_id}/download/")).text.splitlines()
    assert [json.loads(line)["end"] for line in lines] == [{"n": n} for n in range(ROWS)]
    assert (await client.ask("GET", "/health/ready")).status_code == 200
    assert max(stage.counts.values()) == 1, stage.counts
