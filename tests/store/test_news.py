"""What a commit tells other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.records import Run, RunID
from rowel.core.status import RunStatus, TaskStatus
from rowel.engine.cluster.queue import JobQueue
from rowel.store import queue
from rowel.store.journal import BATCH_QUEUE, INTERACTIVE_QUEUE, Changes, Journal
from rowel.store.news import EVERYTHING, LONGEST_PAYLOAD, Job, News, read_news, write_news
from rowel.store.notices import notices
from rowel.store.postgres import Postgres
from rowel.store.transitions import Transitions
from tests.support.ledger import Ledger, decision, facts, make_run, make_task, rest

IDS = st.text(
    st.characters(codec="ascii", exclude_characters=" *", min_codepoint=33), min_size=1, max_size=40
)


@given(st.lists(IDS, max_size=300))
def test_a_payload_names_every_run_once_or_says_everything(ids: list[str]) -> None:
    payload = write_news("me", ids)
    news = read_news(payload)
    assert len(payload) <= LONGEST_PAYLOAD
    assert news.sender == "me"
    assert news.is_everything or list(news.ids) == list(dict.fromkeys(ids))


def test_too_many_ids_become_everything() -> None:
    assert read_news(write_news("me", [f"{n:036}" for n in range(200)])) == News("me", [EVERYTHING])


class Cluster(Ledger):
    """A ledger one of many: what it accepts comes into the queue."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert isinstance(self.database.dialect, Postgres)
        self.queue = JobQueue(self.database.dialect)
        transitions = Transitions(self.database.dialect)
        self.journal = Journal(self.database.writer, transitions, has_workers=True)

    async def jobs(self) -> list[str]:
        query = (
            "SELECT string_agg(queueing_lock || ' ' || queue_name, ',' ORDER BY id) FROM procrastinate_jobs"
        )
        return [name for name in (await self.scalar(query) or "").split(",") if name]

    async def forgotten(self) -> list[Job]:
        return await self.database.read(
            lambda connection: queue.forgotten(connection, INTERACTIVE_QUEUE, BATCH_QUEUE)
        )


@pytest.fixture
async def cluster(postgres_url: str) -> AsyncIterator[Cluster]:
    opened = Cluster(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def heard(cluster: Cluster) -> AsyncIterator[AsyncIterator[News]]:
    """What a listener hears, once it listens."""
    assert isinstance(cluster.database.dialect, Postgres)
    listening = notices(cluster.database.dialect)
    assert (await anext(listening)).is_everything
    yield listening
    await listening.aclose()


async def next_of(heard: AsyncIterator[News]) -> News:
    async with asyncio.timeout(20):
        return await anext(heard)


async def test_a_commit_is_heard_with_the_runs_that_it_changed(
    cluster: Cluster, heard: AsyncIterator[News]
) -> None:
    run = await cluster.begin()
    assert await next_of(heard) == News(cluster.database.writer.id, [run.id])
    await cluster.journal.rest(run, Changes(facts=facts(1)), rest(RunStatus.COMPLETED))
    assert (await next_of(heard)).ids == [run.id]


async def test_a_child_tells_of_its_owner_too(cluster: Cluster, heard: AsyncIterator[News]) -> None:
    owner = await cluster.begin()
    await next_of(heard)
    child = await cluster.begin(owner_id=owner.id, owner_path="sub")
    assert (await next_of(heard)).ids == [child.id, owner.id]


async def test_a_lost_connection_is_told_as_everything(cluster: Cluster, heard: AsyncIterator[News]) -> None:
    await cluster.scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )
    assert (await next_of(heard)).is_everything
    run = await cluster.begin()
    assert (await next_of(heard)).ids == [run.id]


async def test_what_is_accepted_is_in_the_queue_by_the_same_commit(cluster: Cluster) -> None:
    run = await cluster.begin()
    batch = await cluster.batch()
    assert await cluster.jobs() == [f"{run.id} interactive", f"{batch.id} batch"]


async def test_what_does_not_land_is_not_in_the_queue(cluster: Cluster) -> None:
    run = make_run(id="twice")
    assert await cluster.journal.begin(run, Changes())
    with pytest.raises(Exception, match="runs"):
        await cluster.journal.begin(run, Changes())
    assert await cluster.jobs() == ["twice interactive"]


async def test_a_child_and_a_run_without_work_have_no_job(cluster: Cluster) -> None:
    owner = await cluster.begin()
    await cluster.begin(owner_id=owner.id, owner_path="sub")
    await cluster.begin(status=RunStatus.COMPLETED, has_work=False)
    assert await cluster.jobs() == [f"{owner.id} interactive"]


async def test_what_has_work_and_no_job_is_found(cluster: Cluster) -> None:
    plain = Ledger(cluster.url)
    run = await plain.begin()
    batch = await plain.batch()
    row = await plain.begin(owner_id=batch.id, row_index=0)
    await plain.begin(owner_id=run.id, owner_path="sub")
    await cluster.begin()
    await plain.close()
    assert set(await cluster.forgotten()) == {
        Job(INTERACTIVE_QUEUE, run.id),
        Job(BATCH_QUEUE, batch.id),
        Job(BATCH_QUEUE, row.id),
    }


async def test_a_job_waits_in_the_queue_once(cluster: Cluster) -> None:
    await cluster.queue.open()
    assert await cluster.queue.defer(Job(BATCH_QUEUE, "x", 3))
    assert not await cluster.queue.defer(Job(BATCH_QUEUE, "x", 3))
    assert await cluster.queue.defer(Job(BATCH_QUEUE, "x", 4))
    assert await cluster.jobs() == ["x:3 batch", "x:4 batch"]
    await cluster.queue.close()


@pytest.mark.parametrize("is_alive", [True, False])
async def test_only_dead_workers_jobs_are_replaced(cluster: Cluster, is_alive: bool) -> None:
    await cluster.queue.open()
    manager = cluster.queue.app.job_manager
    run = await cluster.begin()
    worker_id = await manager.register_worker()
    job = await manager.fetch_job([INTERACTIVE_QUEUE], worker_id)
    assert job is not None
    await cluster.queue.take_over(60 if is_alive else 0)
    statuses = await cluster.scalar("SELECT string_agg(status::text, ',') FROM procrastinate_jobs")
    assert statuses == ("doing" if is_alive else "todo")
    assert await cluster.forgotten() == []
    again = await manager.fetch_job([INTERACTIVE_QUEUE], await manager.register_worker())
    assert (again is not None) is not is_alive
    assert again is None or again.task_kwargs == {"run_id": run.id}
    await cluster.queue.close()


async def test_a_decision_deep_inside_gives_work_to_all_runs_above(cluster: Cluster) -> None:
    top, middle, inner = await nested(cluster)
    pause = (await cluster.pauses(inner.id))[0]
    assert await cluster.journal.decide(inner, decision(pause), facts(1)) is not None
    for run in (top, middle, inner):
        found = await cluster.run(run.id)
        assert (found.has_work, found.signals) == (True, 1)


async def test_a_cancel_deep_inside_gives_work_to_all_runs_above(cluster: Cluster) -> None:
    top, middle, inner = await nested(cluster)
    assert await cluster.journal.cancel(inner, [], message="no", time=inner.start_time, facts=facts(1))
    assert [(await cluster.run(run.id)).has_work for run in (top, middle)] == [True, True]


async def nested(cluster: Cluster) -> tuple[Run, Run, Run]:
    """Three runs, each inside the one before, that rest at a pause of the innermost."""
    runs: list[Run] = []
    for name in ("top", "middle", "inner"):
        owner = {"owner_id": runs[-1].id, "owner_path": "sub"} if runs else {}
        run, _ = await cluster.paused("ask", id=RunID(name), **owner)
        runs.append(run)
    for run in runs[:2]:
        seen = await cluster.run(run.id)
        task = make_task(run, "sub", TaskStatus.PAUSED)
        changes = Changes(tasks=[task])
        assert await cluster.journal.rest(run, changes, rest(RunStatus.PAUSED, seen.signals))
    for run in runs:
        await clear_signals(cluster, run)
    return runs[0], runs[1], runs[2]


async def clear_signals(cluster: Cluster, run: Run) -> None:
    step = ("UPDATE runs SET signals = 0, has_work = 0 WHERE id = %s", (run.id,))
    await cluster.database.writer.write([step])
