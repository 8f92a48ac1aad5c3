"""Talks to a Rowel server from asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from rowel.client import operations, transport
from rowel.client.asynchronous_shelves import Datasets, OutputFiles, Workflows
from rowel.client.batches import AsyncBatches
from rowel.client.errors import ConnectionLost, RowelClientError, StillRunning
from rowel.client.messages import Answer, Operation, Request
from rowel.client.models import (
    Event,
    Pause,
    PausedWorkflow,
    Progress,
    Pruned,
    RerunPlan,
    Run,
)
from rowel.client.operations import Inputs, Outputs
from rowel.client.progress import may_rest, outputs_of, progress_of
from rowel.client.streams import EventReader
from rowel.client.waiting import PASSING, Deadline, Patience, Persistence
from rowel.client.words import Action, EventKind

T = TypeVar("T")

_options = transport.options


class AsyncClient:
    """A Rowel server.

    ```python
    async with AsyncClient("http://localhost:6080") as client:
        outputs = await client.run(workflow_id, {"input_node": {"ticket": "..."}})
    ```
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:6080",
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout` is how many seconds a call may go without a byte; `transport` is httpx's, for tests."""
        self.base_url = base_url.rstrip("/")
        self._http = httpx.AsyncClient(**_options(self.base_url, api_key, timeout), transport=transport)
        self.batches = AsyncBatches(self)
        self.workflows = Workflows(self)
        self.datasets = Datasets(self)
        self.outputs = OutputFiles(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def run(
        self,
        workflow_id: str,
        inputs: Inputs | None = None,
        *,
        timeout: float | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> Outputs:
        """Run to the end and return {node id: outputs} of the COMPLETED nodes.

        Raises `RunFailed` (`RunCanceled`), `RunPaused` where it waits for a person, `StillRunning` after `timeout`
        seconds; all have `.run`, and the run goes on without you. Without a `timeout` it waits as long as it takes.
        Nodes of a `fresh` run don't ask the step cache.
        """
        deadline = Deadline(timeout, asyncio.get_running_loop().time())
        try:
            operation = operations.run(workflow_id, inputs, timeout, idempotency_key, fresh=fresh)
            return await self.call(operation, deadline)
        except StillRunning as late:
            left = deadline.left(asyncio.get_running_loop().time())
            return outputs_of(await LiveRun(self, late.run).wait(left))

    async def start(
        self,
        workflow_id: str,
        inputs: Inputs | None = None,
        *,
        parent_run_id: str | None = None,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> LiveRun:
        """Accept a run and return at once. What is accepted ends, whatever happens."""
        operation = operations.start(workflow_id, inputs, parent_run_id, idempotency_key, fresh=fresh)
        return LiveRun(self, await self.call(operation))

    async def run_partial(
        self,
        workflow_id: str,
        node_id: str,
        inputs: Inputs | None = None,
        partial_outputs: Inputs | None = None,
        *,
        fresh: bool = False,
        idempotency_key: str | None = None,
    ) -> Outputs:
        """Run one node and those of its ancestors that have no entry in `partial_outputs`. Raises like `run`."""
        try:
            return await self.call(
                operations.run_partial(
                    workflow_id, node_id, inputs, partial_outputs, idempotency_key, fresh=fresh
                )
            )
        except StillRunning as late:
            return await LiveRun(self, late.run).outputs()

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
        operation = operations.rerun(
            run_id,
            from_nodes=from_nodes,
            edits=edits,
            inputs=inputs,
            version=version,
            fresh=fresh,
            idempotency_key=idempotency_key,
        )
        return LiveRun(self, await self.call(operation))

    async def plan_rerun(
        self,
        run_id: str,
        *,
        from_nodes: Sequence[str] | None = None,
        edits: Inputs | None = None,
        inputs: Inputs | None = None,
        version: int | str = "same",
    ) -> RerunPlan:
        """What `rerun` would do with the same words: which nodes run, which are reused, and why. Starts nothing."""
        return await self.call(
            operations.plan_rerun(run_id, from_nodes=from_nodes, edits=edits, inputs=inputs, version=version)
        )

    async def prune(self, older_than: timedelta, *, dry_run: bool = False) -> Pruned:
        """Remove runs that ended so long ago, with all that belongs to them; with `dry_run` only count them.

        Open runs and what they need stay, and so do workflows, datasets and uploads.
        """
        operation = operations.prune(older_than, dry_run=dry_run)
        done = await self.call(operation)
        while not (done.is_complete or dry_run):
            done = done.then(await self.call(operation))
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
        file, dataset_id = Path(dataset), str(dataset)
        if file.suffix:
            operations.check_no_key(idempotency_key)
            dataset_id = (await self.datasets.create(file.stem, file)).id
        operation = operations.start_batch(
            workflow_id,
            dataset_id,
            mini_batch_size,
            column_map=column_map,
            failure_threshold=failure_threshold,
            canary=canary,
            fresh=fresh,
            idempotency_key=idempotency_key,
        )
        return LiveBatch(self, await self.call(operation))

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
        operation = operations.redrive(
            run_id, rows, cause=cause, version=version, fresh=fresh, idempotency_key=idempotency_key
        )
        return LiveBatch(self, await self.call(operation))

    async def decide(
        self,
        run_id: str,
        action: Action | str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        node_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Answer a run's oldest open pause, or that of `node_id`: APPROVE, DECLINE or OVERRIDE.

        Raises `Conflict` where nothing waits or somebody was faster.
        """
        return await self.call(
            operations.decide(
                run_id,
                action,
                user_id=user_id,
                inputs=inputs,
                comments=comments,
                node_id=node_id,
                idempotency_key=idempotency_key,
            )
        )

    async def cancel(self, run_id: str) -> Run:
        """Cancel an open run. Raises `Conflict` where it has ended."""
        return await self.call(operations.cancel(run_id))

    async def get_run(self, run_id: str) -> Run:
        return await self.call(operations.get_run(run_id))

    async def runs(
        self,
        workflow_id: str | None = None,
        *,
        status: str | None = None,
        run_type: str | None = None,
        rerun_of: str | None = None,
        page: int = 1,
        page_size: int = 10,
    ) -> list[Run]:
        """Runs, newest start first; without a workflow the newest `page_size` of all."""
        return await self.call(
            operations.list_runs(
                workflow_id,
                status=status,
                run_type=run_type,
                rerun_of=rerun_of,
                page=page,
                page_size=page_size,
            )
        )

    async def attach(self, run_id: str) -> LiveBatch:
        """Come back to a run or batch that was started earlier."""
        return LiveBatch(self, await self.get_run(run_id))

    async def paused(self, *, page: int = 1, page_size: int = 10) -> list[PausedWorkflow]:
        """Runs that wait for a person, newest first."""
        return await self.call(operations.list_paused(page, page_size))

    async def pause_history(self, run_id: str) -> list[Pause]:
        """All pauses a run ever had, newest first."""
        return await self.call(operations.pause_history(run_id))

    async def node_types(self) -> dict[str, Any]:
        """The node types of the server, by category, each with the JSON Schema of its config."""
        return await self.call(operations.node_types())

    async def is_ready(self) -> bool:
        """Whether a server answers and takes work."""
        try:
            answer = await self.send(operations.is_ready().request)
        except ConnectionLost:
            return False
        return not answer.is_refusal

    async def call(self, operation: Operation[T], deadline: Deadline | None = None) -> T:
        """Send one operation's request and read its answer. Raises what its refusal means.

        One with an idempotency key is sent again where the server went away or was busy, for about a minute, and while
        the first one is worked on: until the `deadline`.
        """
        if not operation.request.is_repeatable:
            return await self._ask(operation)
        persistence = Persistence(deadline or Deadline(None, 0))
        while True:
            try:
                return await self._ask(operation)
            except RowelClientError as trouble:
                await asyncio.sleep(persistence.pause_after(trouble, asyncio.get_running_loop().time()))

    async def _ask(self, operation: Operation[T]) -> T:
        answer = await self.send(operation.request)
        if answer.is_refusal:
            raise answer.refusal()
        return operation.read(answer)

    async def send(self, request: Request) -> Answer:
        """Send a request. Raises `ConnectionLost`."""
        arguments = transport.arguments(request)
        try:
            if request.upload is None:
                return transport.answer(await self._http.request(**arguments))
            with request.upload.open("rb") as file:
                files = {"file": (request.upload.name, file)}
                return transport.answer(await self._http.request(**arguments, files=files))
        except httpx.TransportError as error:
            raise transport.lost(error, self.base_url) from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[httpx.Response]:
        """Send a request and hand over its answer while it arrives. Raises what a refusal means."""
        try:
            async with self._http.stream(**transport.arguments(request)) as response:
                if not response.is_success:
                    await response.aread()
                    raise transport.answer(response).refusal()
                yield response
        except httpx.TransportError as error:
            raise transport.lost(error, self.base_url) from error


class LiveRun:
    """A run that was started. `run` is how it was last seen."""

    def __init__(self, client: AsyncClient, run: Run) -> None:
        self._client = client
        self.run = run

    @property
    def id(self) -> str:
        return self.run.id

    async def refresh(self) -> Run:
        """Look at the run again."""
        self.run = await self._client.get_run(self.id)
        return self.run

    async def wait(self, timeout: float | None = None) -> Run:
        """Return the run once it has ended or waits for a person; the server may restart meanwhile.

        Raises `StillRunning` after `timeout` seconds, and `ConnectionLost` where the server stays away for a minute.
        """
        deadline, patience, seen = Deadline(timeout, asyncio.get_running_loop().time()), Patience(), self.run
        while True:
            try:
                seen = await self._look()
                if seen.status.is_resting and (await self.refresh()).status.is_resting:
                    return self.run
                patience.renew()
                pause_s = deadline.until_next_look(asyncio.get_running_loop().time())
            except PASSING as trouble:
                pause_s = deadline.within(patience.pause_after(trouble), asyncio.get_running_loop().time())
            if deadline.is_over(asyncio.get_running_loop().time()):
                raise StillRunning(seen)
            await asyncio.sleep(pause_s)

    async def _look(self) -> Run:
        """The run without its data, for those who look often."""
        return await self._client.call(operations.get_run(self.id, is_slim=True))

    async def outputs(self) -> Outputs:
        """Wait for the run and return its outputs. Raises like `AsyncClient.run`."""
        return outputs_of(await self.wait())

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """The run's events, each once and in order, until it has ended; also over lost connections and restarts."""
        reader, patience, was_final = EventReader(after), Patience(), False
        while True:
            try:
                reader.begin()
                async with self._client.stream(operations.events(self.id, reader.newest)) as response:
                    async for line in response.aiter_lines():
                        event = reader.read(line)
                        if event is not None:
                            patience.renew()
                            yield event
                # A stream that ends may be a server that ends: only one that began after the run's end is whole.
                if reader.has_ended or was_final:
                    return
                was_final = (await self._look()).status.is_final
            except PASSING as trouble:
                await asyncio.sleep(patience.pause_after(trouble))
            else:
                if not was_final:
                    early = ConnectionLost(f"the events of run {self.id} end before it does")
                    await asyncio.sleep(patience.pause_after(early))

    async def cancel(self) -> Run:
        """Cancel the run. Raises `Conflict` where it has ended."""
        self.run = await self._client.cancel(self.id)
        return self.run

    async def decide(
        self,
        action: Action | str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        node_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Answer the run's oldest open pause, or that of `node_id`."""
        self.run = await self._client.decide(
            self.id,
            action,
            user_id=user_id,
            inputs=inputs,
            comments=comments,
            node_id=node_id,
            idempotency_key=idempotency_key,
        )
        return self.run


class LiveBatch(LiveRun):
    """A batch that was started."""

    async def progress(self) -> AsyncIterator[Progress]:
        """How far the batch has come, from its start on, until it rests."""
        async for event in self.events():
            if event.kind == EventKind.BATCH:
                yield progress_of(event)
            if may_rest(event) and (await self.refresh()).status.is_resting:
                return

    async def rows(self) -> AsyncIterator[dict[str, Any]]:
        """What each row gave, in row order: {node id: outputs}, or `error`, `row_index` and `run_id` where it failed.

        Raises `Conflict` while the batch is open.
        """
        async for row in self._client.outputs.rows(self.run.output_file_id or ""):
            yield row

    async def download(self, target: str | Path, file_format: str = "jsonl") -> Path:
        """Write the output file, one line of JSON for each row, to `target`."""
        return await self._client.outputs.download(self.run.output_file_id or "", target, file_format)
