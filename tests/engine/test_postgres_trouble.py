"""Postgres restarts, throws us out, is out of reach, and loses the connection in the middle of a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

import rowel.store.database
import rowel.store.writer
from rowel.api.http import create_api
from rowel.core.errors import Unavailable
from rowel.engine.upkeep import Upkeep
from rowel.store.database import Database
from rowel.store.runs import orphans
from tests.support import not_run
from tests.support.clocks import FakeClock
from tests.support.fake_nodes import Stage
from tests.support.house import House
from tests.support.postgres import REMEDY, Postgres, programs, server
from tests.support.proxy import Proxy
from tests.support.scenario import Client, ends_well, play
from tests.support.torture import ROUNDS


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Proxy]:
    with Proxy(postgres_url) as proxy:
        yield proxy


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server that nobody else's tests are on."""
    binaries = programs()
    if binaries is None:
        not_run.leave_out(request, "Postgres", REMEDY)
    with server(binaries) as running:
        yield running


@asynccontextmanager
async def working(data: Path, url: str) -> AsyncIterator[tuple[Client, Stage]]:
    """A client of an engine that works alone on this database."""
    stage = Stage()
    house = House(data, stage, FakeClock(), url)
    engine = await house.open(Upkeep(runs_each=0.1))
    transport = httpx.ASGITransport(app=create_api(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        try:
            yield Client(http), stage
            await house.shut(engine)
        finally:
            await house.close()


async def test_restarts_are_survived_without_a_restart_of_ours(
    tmp_path: Path, own: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with own.database() as url:
        async with working(tmp_path, url) as (client, stage):
            for mode in ("immediate", "fast") * max(1, ROUNDS):
                playing = asyncio.ensure_future(play(client, stage))
                await stage.begun("c", times=stage.count("c") + 1)
                await asyncio.to_thread(own.restart, mode)
                await ends_well(client, stage, await playing)
    assert "again" in caplog.text


async def test_connections_that_are_terminated_are_opened_anew(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with (
        working(tmp_path, postgres_url) as (client, stage),
        await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other,
    ):
        playing = asyncio.ensure_future(play(client, stage))
        for _ in range(10 * max(1, ROUNDS)):
            await other.execute(terminate)
            await asyncio.sleep(0.03)
        await ends_well(client, stage, await playing)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_cut_in_the_middle_of_a_commit_loses_and_repeats_nothing(
    tmp_path: Path, wire: Proxy, moment: str
) -> None:
    async with working(tmp_path, wire.url) as (client, stage):
        for each in range(2, 3 + ROUNDS):
            wire.cut_commits(moment, each=each)
            await ends_well(client, stage, await play(client, stage))
        wire.cut_commits(moment, each=0)
    assert wire.cuts > 3


async def test_while_it_is_out_of_reach_all_is_refused_and_said(tmp_path: Path, wire: Proxy) -> None:
    async with working(tmp_path, wire.url) as (client, stage):
        file = await play(client, stage)
        wire.is_cut = True
        wire.cut()
        for method, path in (
            ("GET", "/wf/"),
            ("GET", f"/run/{next(iter(client.runs))}/"),
            ("GET", f"/run/{next(iter(client.runs))}/events/"),
            ("POST", f"/wf/cancel_workflow/{next(iter(client.runs))}/"),
            ("POST", "/wf/"),
            ("GET", "/health/ready"),
        ):
            answer = await client.http.request(method, path, json={"name": "x", "definition": {}})
            assert (answer.status_code, path) in ((503, path), (422, "/wf/")), answer.text
        assert (await client.http.get("/health/live")).status_code == 200
        wire.is_cut = False
        await ends_well(client, stage, file)


async def test_one_that_hangs_keeps_nobody_waiting(
    tmp_path: Path, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowel.store.database, "READ_WITHIN_S", 0.3)
    monkeypatch.setattr(rowel.store.writer, "ANSWER_WITHIN_S", 0.3)
    async with working(tmp_path, wire.url) as (client, stage):
        file = await play(client, stage)
        wire.is_stalled = True
        for method, path in (("GET", "/wf/"), ("GET", "/health/ready"), ("GET", "/ds/")):
            assert (await client.http.request(method, path)).status_code == 503
        wire.is_stalled = False
        await ends_well(client, stage, file)


async def test_a_server_that_is_gone_for_good_is_a_refusal_and_no_hang() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable):
        await database.read(orphans)
    assert await database.look() is not None
    await database.close()
