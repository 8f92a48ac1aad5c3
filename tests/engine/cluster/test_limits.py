"""Two workers keep to one limit, and both wait where a provider asked one of them to."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from rowel.core.limits import Limit, Limits
from rowel.core.status import RunStatus
from rowel.engine.compose import Capacity, Role, build_engine
from rowel.store.tables import allowances
from tests.support.fleet import QUICK
from tests.support.flows import flow, given, of_type
from tests.support.house import reaches, save, upload
from tests.support.providers import Providers, Reply

ASKS = flow(
    "start>ask",
    start=given(n="int"),
    ask=of_type("SingleLLMCallNode", llm_info={"model": "gpt-4o"}, user_message="{{start.n}}"),
)


class Counter:
    """A model that counts how many ask at once, and when."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, call):
        with self._lock:
            self.times.append(time.monotonic())
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.03)
        with self._lock:
            self._now -= 1
        return "ok"


@pytest.fixture
async def crew(tmp_path: Path, postgres_url: str):
    """Makes a server and two workers that share limits and call a stand-in."""
    open_engines = []
    with Providers() as providers:

        async def make(limits: Limits):
            for role in (Role.ACCEPTS, Role.WORKS, Role.WORKS):
                engine = build_engine(
                    tmp_path / "data",
                    database_url=postgres_url,
                    environment=providers.environment,
                    limits=limits,
                    capacity=Capacity(interactive=8, batch=4),
                    role=role,
                    pace=QUICK,
                )
                await engine.open()
                open_engines.append(engine)
            return open_engines[0], providers

        yield make
        for engine in reversed(open_engines):
            await engine.close()


async def test_two_workers_call_no_more_at_once_than_one_may(crew) -> None:
    server, providers = await crew(Limits({"openai/*": Limit(at_once=2)}))
    model = Counter()
    providers.answer(model)
    workflow = await save(server, ASKS)
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(16)))

    batch = await server.start_batch(workflow, dataset.id, 8)
    runs = [await server.start(workflow, {"start": {"n": n}}) for n in range(4)]
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)
    for run in runs:
        await reaches(server, run.run.id, RunStatus.COMPLETED)

    assert end.batch.completed == 16
    assert len(model.times) == 20
    assert model.most == 2


async def held(server) -> None:
    """Wait until everybody can see that the provider wants to be left alone."""
    async with asyncio.timeout(20):
        while not await server._house.database.read(
            lambda connection: connection.execute(select(allowances.c.key)).first()
        ):
            pass


async def test_both_wait_where_a_provider_asked_one_of_them_to(crew) -> None:
    server, providers = await crew(Limits())
    model = Counter()
    refused: list[float] = []

    def answer(call):
        if not refused:
            refused.append(time.monotonic())
            return Reply(status=429, headers={"Retry-After": "1"})
        return model(call)

    providers.answer(answer)
    workflow = await save(server, ASKS)
    first = await server.start(workflow, {"start": {"n": 0}})
    await asyncio.to_thread(providers.received.wait, 20)
    await held(server)
    runs = [first, *[await server.start(workflow, {"start": {"n": n}}) for n in range(1, 12)]]
    for run in runs:
        await reaches(server, run.run.id, RunStatus.COMPLETED)

    assert len(model.times) == 12
    assert min(model.times) - refused[0] >= 1
