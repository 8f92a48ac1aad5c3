"""Reads runs as people see them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from rowel.core.errors import NotFound, Unavailable
from rowel.core.records import Batch, Dataset, Event, Pause, Run, Task, Version
from rowel.engine.house import House
from rowel.engine.observer import Waiting
from rowel.engine.views import RunView, view
from rowel.store import counts, datasets, lists, pauses, runs, workflows

if TYPE_CHECKING:
    from sqlalchemy import Connection


async def get_run(house: House, run_id: str) -> RunView:
    """One run with its tasks. Raises `NotFound`."""

    def query(connection: Connection) -> tuple[Run, Version, list[Task], Batch | None] | None:
        run = runs.get(connection, run_id)
        if run is None:
            return None
        version = workflows.get_version(connection, run.version_id)
        assert version is not None
        batch = runs.get_batch(connection, run.id) if run.is_batch else None
        return run, version, runs.get_tasks(connection, run.id), batch

    found = await house.database.read(query)
    if found is None:
        raise missing(run_id)
    run, version, tasks, batch = found
    return view(run, version, tasks, house.workflows.pin(version).program, batch)


async def get_changed_run(house: House, run_id: str) -> RunView:
    """The run after a change of it has landed. Where it can't be read, `Unavailable` says that it was kept."""
    try:
        return await get_run(house, run_id)
    except Unavailable as error:
        raise Unavailable(
            f"This was kept, and run {run_id} can't be read at the moment. Look at it later instead of trying again."
        ) from error


async def find_run(house: House, run_id: str) -> Run:
    """The run alone. Raises `NotFound`."""
    run = await house.database.read(lambda connection: runs.get(connection, run_id))
    if run is None:
        raise missing(run_id)
    return run


async def find_dataset(house: House, dataset_id: str) -> Dataset:
    """One dataset's record. Raises `NotFound`."""
    found = await house.database.read(lambda connection: datasets.get(connection, dataset_id))
    if found is None:
        raise NotFound(f"There is no dataset {dataset_id[:128]!r}.")
    return found


async def list_runs(house: House, wanted: runs.Filter, *, limit: int, offset: int = 0) -> list[RunView]:
    """The runs that fit, newest start first. Raises `NotFound` where the filter's workflow doesn't exist."""
    if wanted.workflow_id is not None:
        await house.workflows.get(wanted.workflow_id)
    now = house.now()
    part, skipped = house.marks.find(wanted, offset, now)
    found = await house.database.read(
        lambda connection: _views(
            house, connection, lists.newest(connection, part, limit=limit, offset=skipped)
        )
    )
    house.marks.note(wanted, offset, [view.run for view in found], now)
    return found


async def list_paused(house: House, *, limit: int, offset: int) -> list[tuple[RunView, Pause]]:
    """Runs that wait for a person, each with its oldest open pause, newest first."""

    def query(connection: Connection) -> list[tuple[RunView, Pause]]:
        pairs = pauses.waiting_runs(connection, limit=limit, offset=offset)
        views = _views(house, connection, [run for run, _ in pairs])
        return list(zip(views, (pause for _, pause in pairs), strict=True))

    return await house.database.read(query)


async def pause_history(house: House, run_id: str) -> list[Pause]:
    """All pauses the run ever had, newest first. Raises `NotFound`."""
    await find_run(house, run_id)
    return await house.database.read(lambda connection: pauses.of_run(connection, run_id))


def _views(house: House, connection: Connection, found: Sequence[Run]) -> list[RunView]:
    ids = [run.id for run in found]
    tasks = runs.get_tasks_of(connection, ids)
    batches = runs.get_batches(connection, [run.id for run in found if run.is_batch])
    versions: dict[str, Version] = {}
    for version_id in {run.version_id for run in found}:
        version = workflows.get_version(connection, version_id)
        assert version is not None
        versions[version_id] = version
    return [
        view(
            run,
            versions[run.version_id],
            tasks[run.id],
            house.workflows.pin(versions[run.version_id]).program,
            batches.get(run.id),
        )
        for run in found
    ]


async def all_events(house: House) -> AsyncIterator[tuple[str, Event]]:
    """Live events of all runs, without replay."""
    subscription = house.wakeups.subscribe(None)
    try:
        while True:
            await subscription.wait()
            for run_id, group in subscription.take():
                for event in group:
                    yield run_id, event
    finally:
        house.wakeups.unsubscribe(None, subscription)


async def waiting(house: House, most: int) -> Waiting:
    """What waits and moves at this moment; runs and pauses are counted up to `most`."""
    runs_open, pauses_open = await house.database.read(
        lambda connection: (counts.open_runs(connection, most), counts.open_pauses(connection, most))
    )
    return Waiting(
        queued=await house.dispatch.waiting(),
        moving=house.dispatch.moving,
        listeners=house.wakeups.listeners,
        open_runs=runs_open,
        open_pauses=pauses_open,
    )


def missing(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id[:128]!r}.")
