"""A journal on a database, and records to write with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import text

from rowel.core.records import (
    Batch,
    Cause,
    DatasetID,
    OutputFile,
    OutputFileID,
    Pause,
    PauseID,
    Run,
    RunID,
    Task,
    VersionID,
    WorkflowID,
)
from rowel.core.status import EventKind, PauseAction, RunStatus, RunType, TaskStatus
from rowel.store import causes, events, pauses, runs
from rowel.store.database import Database
from rowel.store.journal import Changes, Decision, Fact, Journal, Rest
from rowel.store.transitions import Transitions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_numbers = count(1)


def make_run(**fields: Any) -> Run:
    """A RUNNING run; every one begins a second after the one before."""
    number = next(_numbers)
    return Run(
        **{
            "id": RunID(f"run-{number:06}"),
            "workflow_id": WorkflowID("w"),
            "version_id": VersionID("v"),
            "version": 1,
            "run_type": RunType.INTERACTIVE,
            "status": RunStatus.RUNNING,
            "start_time": NOON + timedelta(seconds=number),
            **fields,
        }
    )


def make_task(run: Run, node_id: str, status: TaskStatus = TaskStatus.COMPLETED, **fields: Any) -> Task:
    return Task(**{"run_id": run.id, "path": node_id, "node_id": node_id, "status": status, **fields})


def make_pause(run: Run, node_id: str, **fields: Any) -> Pause:
    return Pause(
        **{
            "id": PauseID(f"{run.id}-{node_id}"),
            "run_id": run.id,
            "path": node_id,
            "node_id": node_id,
            "message": "?",
            "pause_time": NOON + timedelta(seconds=next(_numbers)),
            "input_data": {},
            **fields,
        }
    )


def facts(number: int, word: str = "x") -> list[Fact]:
    return [(EventKind.LOG, {"message": f"{word}{place}"}) for place in range(number)]


def decision(pause: Pause, **fields: Any) -> Decision:
    task = Task(
        run_id=pause.run_id, path=pause.path, node_id=pause.node_id, status=TaskStatus.COMPLETED, outputs={}
    )
    return Decision(
        **{
            "pause_id": pause.id,
            "run_id": pause.run_id,
            "action": PauseAction.APPROVE,
            "user_id": "ann",
            "inputs": {},
            "comments": None,
            "time": NOON,
            "task": task,
            **fields,
        }
    )


@dataclass
class Ledger:
    """A database with its journal, and short words for what tests look at."""

    url: str
    database: Database = field(init=False)
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.journal = Journal(self.database.writer, Transitions(self.database.dialect))

    async def begin(self, *tasks: str, **fields: Any) -> Run:
        """A run in the store with these tasks COMPLETED."""
        run = make_run(**fields)
        changes = Changes(tasks=[make_task(run, node_id, outputs={}) for node_id in tasks], facts=facts(1))
        assert await self.journal.begin(run, changes)
        return run.evolve(seq=1)

    async def paused(self, *node_ids: str, **fields: Any) -> tuple[Run, list[Pause]]:
        """A run that rests at open pauses."""
        run = await self.begin(**fields)
        waiting = [make_pause(run, node_id) for node_id in node_ids]
        tasks = [make_task(run, node_id, TaskStatus.PAUSED) for node_id in node_ids]
        assert await self.journal.rest(run, Changes(tasks=tasks, pauses=waiting), rest(RunStatus.PAUSED))
        return run, waiting

    async def batch(self, total: int = 3) -> Run:
        """A batch run whose rows have no runs yet."""
        run = make_run(run_type=RunType.BATCH, output_file_id=OutputFileID("f"))
        batch = Batch(run_id=run.id, dataset_id=DatasetID("d"), total=total)
        file = OutputFile(
            id=OutputFileID(f"file-{run.id}"),
            run_id=run.id,
            file_name="x.jsonl",
            key="outputs/x.jsonl",
            is_ready=False,
            created_at=NOON,
            updated_at=NOON,
        )
        assert await self.journal.begin(run, Changes(), batch=batch, output_file=file)
        return run

    async def run(self, run_id: str) -> Run:
        found = await self.database.read(lambda connection: runs.get(connection, run_id))
        assert found is not None
        return found

    async def tasks(self, run_id: str) -> dict[str, Task]:
        found = await self.database.read(lambda connection: runs.get_tasks(connection, run_id))
        return {task.path: task for task in found}

    async def pauses(self, run_id: str) -> list[Pause]:
        return await self.database.read(lambda connection: pauses.of_run(connection, run_id))

    async def counts(self, run_id: str) -> Batch:
        found = await self.database.read(lambda connection: runs.get_batch(connection, run_id))
        assert found is not None
        return found

    async def causes(self, run_id: str) -> list[Cause]:
        return await self.database.read(lambda connection: causes.most_frequent(connection, run_id, 100))

    async def numbers(self, run_id: str, after: int = 0) -> list[int]:
        found = await self.database.read(lambda connection: events.after(connection, run_id, after))
        return [event.number for event in found]

    async def scalar(self, query: str) -> Any:
        return await self.database.read(lambda connection: connection.execute(text(query)).scalar())

    async def close(self) -> None:
        await self.database.close()


def rest(status: RunStatus, signals: int = 0, message: str | None = None) -> Rest:
    end = NOON + timedelta(hours=1) if status.is_final else None
    return Rest(status=status, message=message, end_time=end, signals=signals)
