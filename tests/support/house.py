"""Engines on one data directory, one after another: opened, closed, or dropped as a power cut drops them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rowel.core.faults import Fault
from rowel.core.records import Dataset, Event, Task
from rowel.core.status import RunStatus, TaskStatus
from rowel.engine import compose
from rowel.engine.clock import Clock
from rowel.engine.engine import Engine
from rowel.engine.upkeep import Upkeep
from rowel.engine.views import RunView
from rowel.files.store import FileStore
from rowel.files.uploads import StoredBlobs
from rowel.nodes import builtin
from rowel.nodes.registry import Registry, find_builtin_types
from rowel.store.dialect import Dialect
from rowel.store.transitions import Transitions
from tests.support.contexts import make_services
from tests.support.fake_nodes import Stage
from tests.support.streams import stream

#: Seconds after which a test that waits for an engine fails.
PATIENCE_S = 30.0


_COMPILED: dict[type[Dialect], Transitions] = {}


def compiled_transitions(dialect: Dialect) -> Transitions:
    """A dialect's statements. To compile them takes longer than most tests, so it is done once."""
    if type(dialect) not in _COMPILED:
        _COMPILED[type(dialect)] = Transitions(dialect)
    return _COMPILED[type(dialect)]


class House:
    """A data directory, the stage of its scripted nodes, and the engines that are open on it."""

    def __init__(self, data: Path, stage: Stage, clock: Clock, database_url: str | None = None) -> None:
        self.data = data
        self.stage = stage
        self.clock = clock
        self._database_url = database_url
        #: Where files lie, if not in the data directory.
        self.files_url: str | None = None
        self._upkeep = Upkeep()
        self._open: list[Engine] = []

    @property
    def engine(self) -> Engine | None:
        """The engine that was opened last, while it is open."""
        return self._open[-1] if self._open else None

    def completed(self) -> set[str]:
        """The ids of the tasks that the store shows as COMPLETED, read behind every engine's back."""
        connection = sqlite3.connect(self.data / "rowel.db")
        try:
            rows = connection.execute("SELECT run_id || '.' || path FROM tasks WHERE status = 'COMPLETED'")
            return {str(task_id) for (task_id,) in rows}
        finally:
            connection.close()

    def execute(self, statement: str, *values: str) -> None:
        """Change the store behind every engine's back."""
        with sqlite3.connect(self.data / "rowel.db") as connection:
            connection.execute(statement, values)
        connection.close()

    async def open(
        self, upkeep: Upkeep | None = None, faults: Sequence[Fault] = (), **capacity: int
    ) -> Engine:
        """Open one more engine; the one before it must have ended. The `upkeep` is kept for the next ones."""
        self._upkeep = upkeep or self._upkeep
        with patch.object(compose, "Transitions", compiled_transitions):
            engine = compose.build_engine(
                self.data,
                database_url=self._database_url,
                files_url=self.files_url,
                services=make_services(
                    blobs=StoredBlobs(FileStore(self.files_url or str(self.data / "files")))
                ),
                registry=Registry([*find_builtin_types(builtin), self.stage.node_type]),
                clock=self.clock,
                capacity=compose.Capacity(**capacity),
                upkeep=self._upkeep,
                faults=faults,
            )
        await engine.open()
        self._open.append(engine)
        return engine

    async def shut(self, engine: Engine) -> None:
        """Close an engine as an operator does."""
        self._open.remove(engine)
        await engine.close()

    async def crash(self, engine: Engine) -> None:
        """End an engine as a power cut does: what is not in the store is gone."""
        self._open.remove(engine)
        inside = engine._house
        inside.database.writer.write = _never  # type: ignore[method-assign, assignment]  # the power is off
        await engine._timers.close()
        inside.dispatch._is_draining = True
        inside.dispatch._queue.clear()
        moving = list(inside.dispatch._work)
        for work in moving:
            work.cancel()
        await asyncio.gather(*moving, return_exceptions=True)
        await inside.database.close()
        assert engine._lock is not None
        engine._lock.release()

    def take_locks_from(self, engine: Engine) -> None:
        """Let others open beside this engine, which goes on unawares, as one does that was stopped for a while."""
        assert engine._lock is not None
        engine._lock.release()
        held: Any = engine._house.database._held
        held.close()

    async def restart(self, engine: Engine, **capacity: int) -> Engine:
        """Drop an engine and open the next one."""
        await self.crash(engine)
        return await self.open(**capacity)

    async def close(self) -> None:
        """Drop whatever is still open."""
        for engine in list(self._open):
            await self.crash(engine)


class Fuse:
    """Cuts an engine's power at one of the groups that it writes from now on.

    `lands`: that group is in the store, though nobody hears of it; otherwise it is lost.
    """

    def __init__(self, engine: Engine, groups: int, *, lands: bool) -> None:
        self._has_blown = asyncio.Event()
        self._engine = engine
        self._left = groups
        self._lands = lands
        self._writer = engine._house.database.writer
        self._write = self._writer.write
        self._writer.write = self._count  # type: ignore[method-assign]  # the one place that all writes pass

    async def _count(self, *arguments: Any, **options: Any) -> Any:
        self._left -= 1
        if self._left > 0:
            return await self._write(*arguments, **options)
        if self._left == 0 and self._lands:
            await self._write(*arguments, **options)
        self._has_blown.set()
        return await _never()

    async def blown(self) -> None:
        """Wait until the power is cut."""
        async with asyncio.timeout(PATIENCE_S):
            await self._has_blown.wait()

    async def burn(self) -> bool:
        """Wait until the power is cut or nothing moves any more; return whether it was cut."""
        ways = [asyncio.ensure_future(way) for way in (self._has_blown.wait(), still(self._engine))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        if not self._has_blown.is_set():
            self._writer.write = self._write  # type: ignore[method-assign]  # as it was
        return self._has_blown.is_set()


async def _never(*arguments: Any, **options: Any) -> Any:
    await asyncio.Event().wait()


async def save(engine: Engine, definition: Mapping[str, Any], name: str = "test") -> str:
    """Keep a workflow; return its id."""
    return str((await engine.create_workflow(name, definition)).id)


async def upload(engine: Engine, content: str | bytes, filename: str = "rows.csv") -> Dataset:
    """Keep a dataset."""
    data = content.encode() if isinstance(content, str) else content
    return await engine.add_dataset("rows", None, filename, stream(data))


async def still(engine: Engine) -> None:
    """Wait until nothing moves in this engine."""
    dispatch = engine._house.dispatch
    async with asyncio.timeout(PATIENCE_S):
        while dispatch._work:
            await asyncio.wait(dispatch._work)


async def rested(engine: Engine, run_id: str) -> RunView:
    """The run once nothing moves any more."""
    await still(engine)
    return await engine.get_run(run_id)


async def started_and_rested(engine: Engine, definition: Mapping[str, Any], inputs: Any = None) -> RunView:
    """Keep a workflow, start it, and return its run once nothing moves any more."""
    run = await engine.start(await save(engine, definition), inputs)
    return await rested(engine, run.run.id)


async def reaches(engine: Engine, run_id: str, status: RunStatus) -> RunView:
    """The run as soon as it has this status."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in engine.events(run_id):
            if event.kind == "run" and event.body["status"] == status:
                view = await engine.get_run(run_id)
                if view.run.status is status:
                    return view
    raise AssertionError(f"the run ended as {(await engine.get_run(run_id)).run.status}, not as {status}")


async def all_of(events: AsyncIterator[Event]) -> list[Event]:
    """Every event until the run has ended."""
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in events]


async def text_of(engine: Engine, file_id: str | None) -> str:
    """What an output file holds."""
    _, parts = await engine.open_output(file_id or "")
    return b"".join([part async for part in parts]).decode()


def statuses(view: RunView) -> dict[str, TaskStatus]:
    """{node id: status} of a run's top-level nodes."""
    return {task.node_id: task.status for task in view.tasks if task.parent_path is None}


def task_at(view: RunView, path: str) -> Task:
    return {task.path: task for task in view.tasks}[path]
