"""Limits that many processes share on Postgres: together they take no more than one process would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from rowel.core.limits import UNLIMITED, Ask, Bucket, Limit, Scope
from rowel.nodes.clients.turns import loop_time
from rowel.store.allowances import SharedAllowances
from rowel.store.postgres import Postgres

CALL, ROW = Ask(tokens=1, is_row=False), Ask(tokens=1, is_row=True)


@pytest.fixture
async def workers(postgres_url: str) -> AsyncIterator[list[SharedAllowances]]:
    """Two processes' allowances."""
    made = [SharedAllowances(Postgres(postgres_url), loop_time) for _ in range(2)]
    yield made
    for one in made:
        await one.close()


def scope(key: str = "openai/gpt-4o", **limit: int) -> Scope:
    return Scope(key, key, Limit(**limit))


async def test_of_requests_both_take_no_more_than_one_would(workers) -> None:
    shared = [scope(requests_per_minute=50)]

    taken = await asyncio.gather(*(worker.take(shared, [CALL] * 4) for worker in workers))

    assert sum(one.going for one in taken) == 5
    (late,) = [one.wait for one in taken if one.wait is not None]
    assert late.why == "openai/gpt-4o: 50 requests a minute"
    assert 0 < late.until - loop_time() <= Bucket(50).interval


async def test_of_many_who_ask_at_once_as_many_go_as_may(workers) -> None:
    shared = [scope(requests_per_minute=300), scope("openai/*", at_once=20)]

    taken = await asyncio.gather(*(worker.take(shared, [CALL]) for worker in workers for _ in range(30)))

    assert sum(one.going for one in taken) == 20


async def test_places_are_counted_over_both_and_free_once_given_back(workers) -> None:
    one, other = workers
    shared = [scope(at_once=3)]

    assert (await one.take(shared, [CALL] * 2)).going == 2
    found = await other.take(shared, [CALL] * 2)
    assert (found.going, found.wait.why) == (1, "openai/gpt-4o: 3 at once")
    one.give_back(shared, CALL, None)
    await settled(one)

    assert (await other.take(shared, [CALL] * 2)).going == 1


async def test_rows_leave_some_places_to_others(workers) -> None:
    one, other = workers
    shared = [scope(at_once=10)]

    assert (await one.take(shared, [ROW] * 20)).going == 9
    assert (await other.take(shared, [ROW])).going == 0
    assert (await other.take(shared, [CALL, CALL])).going == 1


async def test_calls_and_rows_that_ask_together_go_in_their_order(workers) -> None:
    assert (await workers[0].take([scope(at_once=20)], [CALL] * 3 + [ROW] * 30)).going == 20


async def test_who_finds_no_place_in_one_scope_takes_of_none(workers) -> None:
    one, other = workers
    model, provider = scope(at_once=5), scope("openai/*", at_once=1)

    assert (await one.take([model, provider], [CALL] * 3)).going == 1
    assert (await other.take([model], [CALL] * 9)).going == 4


async def test_the_places_of_a_process_that_dies_are_free(workers, postgres_url: str) -> None:
    one, other = workers
    shared = [scope(at_once=2)]
    await one.take(shared, [CALL] * 2)

    kill(postgres_url, one)

    async with asyncio.timeout(10):
        while not (await other.take(shared, [CALL])).going:
            pass


async def test_calls_that_lost_their_place_give_none_back(workers, postgres_url: str) -> None:
    one, other = workers
    shared = [scope(at_once=2)]
    await one.take(shared, [CALL])
    kill(postgres_url, one)
    with pytest.raises(psycopg.OperationalError):
        await one.take(shared, [CALL])

    assert (await one.take(shared, [CALL])).going == 1
    one.give_back(shared, CALL, None)
    await settled(one)

    assert (await other.take(shared, [CALL] * 2)).going == 1


async def test_a_hold_keeps_everybody_from_a_model_without_a_limit(workers) -> None:
    one, other = workers
    model = Scope("ollama/x", "ollama/x", UNLIMITED)

    assert (await one.take([model], [CALL])).going == 1
    one.hold(model, 30.0)
    one.hold(model, 5.0)
    await settled(one)
    held = await other.take([model], [CALL])

    assert (held.going, held.wait.is_hold) == (0, True)
    assert 25 < held.wait.until - loop_time() <= 30


async def test_tokens_that_were_used_besides_are_missed_by_the_other(workers) -> None:
    one, other = workers
    shared = [scope(tokens_per_minute=6000)]

    await one.take(shared, [Ask(10, is_row=False)])
    one.give_back(shared, Ask(10, is_row=False), 5410)
    await settled(one)
    late = (await other.take(shared, [Ask(600, is_row=False)])).wait

    assert 58 < late.until - loop_time() < 62


async def test_what_needs_no_counting_leaves_nothing_behind(workers, postgres_url: str) -> None:
    await workers[0].take([Scope("ollama/x", "ollama/x", UNLIMITED), scope("*", at_once=3)], [CALL])

    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM allowances").fetchone() == (0,)


async def settled(worker: SharedAllowances) -> None:
    """Wait until it has written what it was told."""
    await asyncio.get_running_loop().run_in_executor(worker._thread, int)


def kill(url: str, worker: SharedAllowances) -> None:
    """End its connection from outside."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (worker._connection.info.backend_pid,))


async def test_once_closed_it_opens_no_connection_any_more(postgres_url: str) -> None:
    worker = SharedAllowances(Postgres(postgres_url), loop_time)
    await worker.take([scope(tokens_per_minute=100)], [CALL])
    await worker.close()
    await worker.close()

    worker.give_back([scope(tokens_per_minute=100)], CALL, 50)

    assert worker._connection is None
