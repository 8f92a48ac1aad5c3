"""`POST /prune/`: what is old goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import HALVES

NOTHING = {
    "runs": 0,
    "tasks": 0,
    "events": 0,
    "output_files": 0,
    "orphans": 0,
    "bytes": 0,
    "is_complete": True,
}


async def ran(api: Api) -> Any:
    workflow_id = await api.create(HALVES)
    return await api.post(f"/wf/{workflow_id}/runv2/", {"initial_inputs": {"input_node": {"n": 4}}})


@pytest.mark.parametrize("path", ["/prune/", "/prune", "/api/prune/", "/api/prune"])
async def test_runs_that_ended_so_long_ago_are_gone(api: Api, path: str) -> None:
    run = await ran(api)
    assert await api.post(path, {"older_than_s": 3600}) == NOTHING
    told = await api.post(path, {"older_than_s": 0})
    assert told == {**NOTHING, "runs": 1, "tasks": 2, "events": told["events"]}
    assert told["events"] > 0
    await api.get(f"/run/{run['id']}/", status=404)


async def test_a_dry_run_says_what_would_go(api: Api) -> None:
    run = await ran(api)
    told = await api.post("/prune/", {"older_than_s": 0, "dry_run": True})
    assert (told["runs"], told["tasks"]) == (1, 2)
    await api.get(f"/run/{run['id']}/")
    assert await api.post("/prune/", {"older_than_s": 0}) == told


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"older_than_s": -1},
        {"older_than_s": "30d"},
        {"older_than_s": None},
        {"older_than_s": 1e300},
        {"older_than_s": 1, "dry_run": "no"},
    ],
)
async def test_what_is_no_age_is_refused_and_nothing_goes(api: Api, body: Any) -> None:
    run = await ran(api)
    await api.post("/prune/", body, status=422)
    await api.get(f"/run/{run['id']}/")
