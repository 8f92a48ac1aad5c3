"""Rowel in your own process: the engine without a server, with the methods of the client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rowel.client import models
from rowel.client.errors import StillRunning
from rowel.client.operations import check_no_key
from rowel.client.progress import outputs_of
from rowel.core.errors import Invalid
from rowel.core.records import Answer
from rowel.core.status import PauseAction, RunStatus, RunType
from rowel.embedded.batches import Batches
from rowel.embedded.rendering import (
    pause_of,
    plan_of,
    redrive_of,
    run_of,
    standing_of,
)
from rowel.embedded.shelves import Datasets, Workflows
from rowel.engine.compose import Role, build_engine
from rowel.engine.engine import Engine
from rowel.engine.once import Once
from rowel.engine.reruns import Order
from rowel.engine.views import RunView
from rowel.files.tables import OutputFormat
from rowel.nodes.clients.ratelimits import read_limits
from rowel.store.runs import Filter

Inputs = Mapping[str, Mapping[str, Any]]


class Rowel:
    """The engine in this process, for as long as the `async with` block lasts.

    ```python
    async with Rowel("./data") as rowel:
        workflow = await rowel.workflows.create("triage", definition)
        outputs = await rowel.run(workflow.id, {"input_node": {"ticket": "..."}})
    ```

    `location` is a data directory, made where it is missing, or a `postgresql://` URL (then `data` is where files
    lie). One directory has one engine: a second one raises `Conflict` naming the first. Runs that were open when
    the last engine on it ended go on at once. On Postgres it is one of many: it accepts runs and moves what the queue
    gives it, beside `rowel serve` and `rowel worker`.

    Nodes of a `fresh` run don't ask the step cache.

    What comes with an `idempotency_key` is done once in 24 hours, however often it is asked for. `InProgress` is raised
    while it is worked on, `KeyReused` where the key came with another request before.
    """

    def __init__(
        self,
        location: str | Path = "./rowel-data",
        *,
        data: str | Path = "./rowel-data",
        files_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        http_allow: Sequence[str] = (),
        rate_limits: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """`files_url` names a bucket for datasets, outputs and uploads (`s3://bucket/prefix`) instead of the directory.
        `environment` holds the providers' keys and addresses (this process's own where None); `http_allow` the
        `host:port` that HTTP nodes may reach although private. `rate_limits` are {`provider/model`, `provider/*` or
        `*`: {requests_per_minute, tokens_per_minute, at_once}}."""
        try:
            limits = read_limits(rate_limits or {})
        except ValueError as error:
            raise Invalid(f"rate_limits must be {error}.") from None
        is_postgres = str(location).startswith(("postgresql://", "postgres://"))
        self._engine = build_engine(
            Path(data if is_postgres else location),
            database_url=str(location) if is_postgres else None,
            files_url=files_url,
            environment=os.environ if environment is None else environment,
            http_allow=http_allow,
            limits=limits,
            role=Role.BOTH if is_postgres else Role.ALONE,
        )
        self.batches = Batches(self._engine)
        self.workflows = Workflows(self._engine)
        self.datasets = Datasets(self._engine)

    async def __aenter__(self) -> Self:
        await self._engine.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let running tasks end (up to 25 s) and let go of the data. Open runs go on with the next engine."""
        await self._engine.close()

    async def run(
        self,
        workflow_id: str,
        inputs: Inputs | None = None,
        *,
        timeout: float | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Run to the end and return {node id: outputs} of the COMPLETED nodes.

        Raises `RunFailed` (`RunCanceled` where it was canceled), `RunPaused` where it waits for a person, and
        `StillRunning` after `timeout` seconds; all have `.run`, and the run goes on without you.
        """
        seen = await self._once(
            lambda once: self._engine.run(
                workflow_id, inputs, timeout_s=_seconds(timeout), fresh=fresh, once=once
            ),
            idempotency_key,
            ("run", workflow_id),
            _asked(inputs, fresh),
        )
        return outputs_of(seen)

    async def start(
        self,
        workflow_id: str,
        inputs: Inputs | None = None,
        *,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> LiveRun:
        """Accept a run and return at once. What is accepted ends, whatever happens to this process."""
        seen = await self._once(
            lambda once: self._engine.start(workflow_id, inputs, fresh=fresh, once=once),
            idempotency_key,
            ("start", workflow_id),
            _asked(inputs, fresh),
        )
        return LiveRun(self._engine, seen)

    async def run_partial(
        self,
        workflow_id: str,
        node_id: str,
        inputs: Inputs | None = None,
        partial_outputs: Inputs | None = None,
        *,
        timeout: float | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Run one node and those of its ancestors that have no entry in `partial_outputs`."""
        seen = await self._once(
            lambda once: self._engine.run_partial(
                workflow_id,
                node_id,
                inputs,
                partial_outputs,
                timeout_s=_seconds(timeout),
                fresh=fresh,
                once=once,
            ),
            idempotency_key,
            ("run_partial", workflow_id),
            _asked([node_id, inputs, partial_outputs], fresh),
        )
        return outputs_of(seen)

    async def rerun(
        self,
        run_id: str,
        *,
        from_nodes: Sequence[str] | None = None,
        edits: Inputs | None = None,
        inputs: Inputs | None = None,
        version: int | str = "same",
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> LiveRun:
        """Repeat an ended run as a new one: what did not complete runs, the rest is reused; if all did, all runs anew.

        `from_nodes` run with all behind them; nodes in `edits` get these outputs and don't run; `inputs` replace the
        run's. `version` is `same`, `latest` or a number. Raises `Conflict` while the run is open.
        """
        order = Order(
            from_nodes=from_nodes or (),
            edits=edits or {},
            initial_inputs=inputs,
            version=version,
            fresh=fresh,
        )
        seen = await self._once(
            lambda once: self._engine.rerun(run_id, order, once=once),
            idempotency_key,
            ("rerun", run_id),
            _asked([list(order.from_nodes), order.edits, inputs, version], fresh),
        )
        return LiveRun(self._engine, seen)

    async def plan_rerun(
        self,
        run_id: str,
        *,
        from_nodes: Sequence[str] | None = None,
        edits: Inputs | None = None,
        inputs: Inputs | None = None,
        version: int | str = "same",
    ) -> models.RerunPlan:
        """What `rerun` would do with the same words: which nodes run, which are reused, and why. Starts nothing."""
        return plan_of(
            await self._engine.plan_rerun(
                run_id,
                Order(from_nodes=from_nodes or (), edits=edits or {}, initial_inputs=inputs, version=version),
            )
        )

    async def prune(self, older_than: timedelta, *, dry_run: bool = False) -> models.Pruned:
        """Remove runs that ended so long ago, with all that belongs to them; with `dry_run` only count them.

        Open runs and what they need stay, and so do workflows, datasets and uploads.
        """
        done = models.Pruned(is_complete=False)
        while not done.is_complete:
            step = asdict(await self._engine.prune(older_than, dry_run=dry_run))
            done = done.then(models.Pruned.from_wire({**step, "is_complete": dry_run or step["is_complete"]}))
        return done

    async def batch(  # noqa: PLR0913  # the words of a batch
        self,
        workflow_id: str,
        dataset: str | Path,
        *,
        mini_batch_size: int = 10,
        column_map: Mapping[str, str] | None = None,
        failure_threshold: Mapping[str, Any] | None = None,
        canary: int | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> LiveBatch:
        """Run the workflow once for each row of a dataset: a file's path (CSV, JSONL, Parquet) or a dataset's id.

        `column_map` is {field: column}. The batch ends FAILED past `failure_threshold` {count, percent, after}; it is
        PAUSED after `canary` rows until somebody approves. With an `idempotency_key` the dataset must be an id: a file
        makes a new one each time.
        """
        path = Path(dataset)
        dataset_id = str(dataset)
        if path.suffix:
            check_no_key(idempotency_key)
            dataset_id = (await self.datasets.create(path.stem, path)).id
        wish = {"column_map": column_map, "failure_threshold": failure_threshold, "canary": canary}
        seen = await self._once(
            lambda once: self._engine.start_batch(
                workflow_id,
                dataset_id,
                mini_batch_size,
                column_map=column_map,
                failure_threshold=failure_threshold,
                canary=canary,
                fresh=fresh,
                once=once,
            ),
            idempotency_key,
            ("batch", workflow_id),
            _asked([dataset_id, mini_batch_size, wish], fresh),
        )
        return LiveBatch(self._engine, seen)

    async def redrive(
        self,
        run_id: str,
        rows: str | Sequence[int] = "failed",
        *,
        cause: str | None = None,
        version: int | str = "same",
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> LiveBatch:
        """Run rows of an ended batch again, as a new batch whose output holds all rows; the old one stays as it ended.

        `rows` are `failed`, `unfinished` (what did not complete) or numbers; `cause` is a signature of its causes.
        `version` is `same`, `latest` or a number. Raises `Conflict` while the batch is open.
        """
        wish = redrive_of(rows, cause, version, fresh=fresh)
        seen = await self._once(
            lambda once: self._engine.redrive_batch(run_id, wish, once=once),
            idempotency_key,
            ("redrive", run_id),
            _asked([rows if isinstance(rows, str) else list(rows), cause, version], fresh),
        )
        return LiveBatch(self._engine, seen)

    def attach(self, run: models.Run) -> LiveBatch:
        """Come back to a run or batch that was started earlier."""
        return LiveBatch(self._engine, run)

    async def decide(
        self,
        run_id: str,
        action: str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        node_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Run:
        """Answer a run's oldest open pause, or that of `node_id`: APPROVE, DECLINE or OVERRIDE.

        Raises `Conflict` where nothing waits or somebody was faster, and `InvalidForm` where `inputs` don't fit.
        """
        return await self._once(
            lambda once: self._engine.decide(
                run_id, PauseAction(action), inputs or {}, user_id, comments, node_id=node_id, once=once
            ),
            idempotency_key,
            ("decide", run_id),
            [action, inputs or {}, user_id, comments, node_id],
        )

    async def cancel(self, run_id: str) -> models.Run:
        """Cancel an open run. Raises `Conflict` where it has ended."""
        return run_of(await self._engine.cancel(run_id), self._engine)

    async def get_run(self, run_id: str) -> models.Run:
        return run_of(await self._engine.get_run(run_id), self._engine)

    async def runs(
        self,
        workflow_id: str | None = None,
        *,
        status: str | None = None,
        run_type: str | None = None,
        rerun_of: str | None = None,
        page: int = 1,
        page_size: int = 10,
    ) -> list[models.Run]:
        """Runs, newest start first. Partial runs show only when `run_type` asks for them."""
        wanted = Filter(
            workflow_id=workflow_id,
            statuses=() if status is None else (RunStatus(status),),
            run_type=None if run_type is None else RunType(run_type),
            origin_id=rerun_of,
        )
        found = await self._engine.list_runs(wanted, limit=page_size, offset=(page - 1) * page_size)
        return [run_of(seen, self._engine) for seen in found]

    async def paused(self, *, page: int = 1, page_size: int = 10) -> list[models.PausedWorkflow]:
        """Runs that wait for a person, newest first."""
        found = await self._engine.paused(limit=page_size, offset=(page - 1) * page_size)
        return [
            models.PausedWorkflow(
                run=run_of(seen, self._engine),
                current_pause=pause_of(pause),
                workflow=dict(seen.version.definition),
            )
            for seen, pause in found
        ]

    async def pause_history(self, run_id: str) -> list[models.Pause]:
        """All pauses a run ever had, newest first."""
        return [pause_of(pause) for pause in await self._engine.pause_history(run_id)]

    async def _once(
        self,
        command: Callable[[Once | None], Awaitable[RunView]],
        idempotency_key: str | None,
        place: Sequence[str],
        asked: Any,
    ) -> models.Run:
        """Run the command; with a key once in 24 hours, and who asks again gets the run as it is by then."""
        if idempotency_key is None:
            return run_of(await command(None), self._engine)
        once = Once.of(("embedded", *place), idempotency_key, asked, lambda _: Answer(200, ""))
        reply = await self._engine.do_once(once, command)
        return await self.get_run(reply.run_id) if reply.seen is None else run_of(reply.seen, self._engine)

    def node_types(self) -> dict[str, list[dict[str, Any]]]:
        """The node types that are installed, by category, each with the JSON Schema of its config."""
        return self._engine.registry.describe()


class LiveRun:
    """A run that was started here. `run` is how it was last seen."""

    def __init__(self, engine: Engine, run: models.Run) -> None:
        self._engine = engine
        self.run = run

    @property
    def id(self) -> str:
        return self.run.id

    async def refresh(self) -> models.Run:
        """Look at the run again."""
        self.run = run_of(await self._engine.get_run(self.id), self._engine)
        return self.run

    async def wait(self, timeout: float | None = None) -> models.Run:
        """Return the run once it has ended or waits for a person. Raises `StillRunning` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                async for event in self._engine.events(self.id):
                    if event.kind == "run" and (await self.refresh()).status.is_resting:
                        break
        except TimeoutError:
            raise StillRunning(await self.refresh()) from None
        return await self.refresh()

    async def events(self, after: int = 0) -> AsyncIterator[models.Event]:
        """The run's events, each once and in order, until it has ended."""
        async for event in self._engine.events(self.id, after):
            yield models.Event(event.number, event.kind, event.body)

    async def cancel(self) -> models.Run:
        """Cancel the run. Raises `Conflict` where it has ended."""
        self.run = run_of(await self._engine.cancel(self.id), self._engine)
        return self.run


class LiveBatch(LiveRun):
    """A batch that was started here."""

    async def progress(self) -> AsyncIterator[models.Progress]:
        """How far the batch has come, now and after each change, until it rests."""
        async for event in self._engine.events(self.id):
            if event.kind not in ("run", "batch"):
                continue
            seen = await self._engine.get_batch(self.id)
            yield standing_of(seen)
            if seen.run.status.is_final or seen.run.status is RunStatus.PAUSED:
                return

    async def download(self, path: str | Path, file_format: str = "jsonl") -> Path:
        """Write the output file, one line of JSON for each row, or as a table in `csv` or `parquet`. Raises `Conflict`
        while the batch is open."""
        kind = OutputFormat(file_format)
        _, parts = await self._engine.open_output(self.run.output_file_id or "", kind)
        path = Path(path)
        with path.open("wb") as file:  # noqa: ASYNC230  # appending to a local file does not block for long
            async for part in parts:
                file.write(part)
        return path


def _asked(rest: Any, fresh: bool) -> Any:
    """What a request asks for, besides what it is about."""
    return [rest, "fresh"] if fresh else rest


def _seconds(timeout: float | None) -> float:
    """Without a limit a wait may last as long as an event loop can count."""
    return 10.0**9 if timeout is None else timeout
