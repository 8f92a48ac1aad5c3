"""Blocking calls whose run does not come to rest in time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from rowel.api.http import create_api
from rowel.engine.compose import Capacity, build_engine
from tests.support.api import Api
from tests.support.workflows import HALVES

BODY = {"initial_inputs": {"input_node": {"n": 1}}}


@pytest.mark.parametrize("timeout", ["1e-9", "0.0001", "0.001"])
async def test_a_wait_that_is_over_at_once_answers_with_the_run_all_the_same(api: Api, timeout: str) -> None:
    workflow = await api.create(HALVES)

    answers = await asyncio.gather(
        *[api.ask("POST", f"/wf/{workflow}/run/?timeout={timeout}", json=BODY) for _ in range(20)]
    )

    # Some may end as fast as that.
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert timeout != "1e-9" or {answer.status_code for answer in answers} == {202}
    for answer in [answer.json() for answer in answers if answer.status_code == 202]:
        assert answer["code"] == "running"
        assert answer["run"]["status"] in answer["detail"]
        assert (await api.wait_for(answer["run"]["id"]))["status"] == "COMPLETED"


async def test_who_waits_for_a_turn_when_the_server_ends_is_told_that_the_run_is_kept(tmp_path: Path) -> None:
    slow = json.loads(json.dumps(HALVES))
    slow["nodes"][1]["config"]["code"] = "import time\ntime.sleep(0.5)\nreturn {}"
    engine = build_engine(tmp_path / "data", capacity=Capacity(slots=1))
    await engine.open()
    transport = httpx.ASGITransport(app=create_api(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        api = Api(http)
        workflow = await api.create(slow)
        calls = [asyncio.ensure_future(api.ask("POST", f"/wf/{workflow}/run/", json=BODY)) for _ in range(3)]
        async with asyncio.timeout(20):
            while await api.count_runs(workflow) < 3:  # noqa: ASYNC110  # a client can only look
                await asyncio.sleep(0.01)

        await engine.drain()

        async with asyncio.timeout(20):
            answers = await asyncio.gather(*calls)
        assert [answer.status_code for answer in answers] == [200, 202, 202]
        assert {run["status"] for run in await api.get(f"/wf/{workflow}/runs/?status=PENDING")} == {"PENDING"}
        refused = await http.post(f"/wf/{workflow}/run/", json=BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    await engine.close()
