"""What lies on a server's shelves, asked for from asyncio: workflows, datasets, output files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rowel.client import operations
from rowel.client.errors import NotFound
from rowel.client.models import Dataset, OutputFile, Version, Workflow
from rowel.client.targets import written

if TYPE_CHECKING:
    from rowel.client.asynchronous import AsyncClient


class Workflows:
    """Workflows and their versions."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self, name: str, definition: Mapping[str, Any], description: str | None = None
    ) -> Workflow:
        """Keep a workflow. Raises `InvalidRequest` listing every problem of the definition."""
        return await self._client.call(operations.create_workflow(name, definition, description))

    async def get(self, workflow_id: str) -> Workflow:
        return await self._client.call(operations.get_workflow(workflow_id))

    async def find(self, id_or_name: str) -> list[Workflow]:
        """The workflow with this id, or all that have this name."""
        try:
            return [await self.get(id_or_name)]
        except NotFound:
            return [found async for found in self.every() if found.name == id_or_name]

    async def list(self, *, page: int = 1, page_size: int = 10) -> list[Workflow]:
        """Workflows, newest first."""
        return await self._client.call(operations.list_workflows(page, page_size))

    async def every(self) -> AsyncIterator[Workflow]:
        """All workflows, newest first, page by page."""
        page = 1
        while found := await self.list(page=page, page_size=operations.PAGE_SIZE):
            for workflow in found:
                yield workflow
            page += 1

    async def update(
        self,
        workflow_id: str,
        name: str,
        definition: Mapping[str, Any],
        description: str | None = None,
    ) -> Workflow:
        """Replace a workflow; runs that have begun keep their version."""
        return await self._client.call(operations.update_workflow(workflow_id, name, definition, description))

    async def delete(self, workflow_id: str) -> None:
        """Take a workflow off the shelf; its runs stay."""
        return await self._client.call(operations.delete_workflow(workflow_id))

    async def duplicate(self, workflow_id: str) -> Workflow:
        return await self._client.call(operations.duplicate_workflow(workflow_id))

    async def versions(self, workflow_id: str) -> Sequence[Version]:
        """The versions that runs have made, newest first."""
        return await self._client.call(operations.list_versions(workflow_id))


class Datasets:
    """Datasets: rows for batches."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(self, name: str, file: str | Path, description: str | None = None) -> Dataset:
        """Upload a CSV, JSONL or Parquet file. Raises `InvalidRequest` naming what can't be read."""
        return await self._client.call(operations.upload_dataset(name, Path(file), description))

    async def list(self) -> list[Dataset]:
        """All datasets, newest first."""
        return await self._client.call(operations.list_datasets())

    async def get(self, dataset_id: str) -> Dataset:
        return await self._client.call(operations.get_dataset(dataset_id))

    async def rows(self, dataset_id: str, start: int = 0, limit: int = 20) -> Sequence[dict[str, Any]]:
        """Some rows from number `start` on, as batches get them: at most 100, and fewer where they are large."""
        return await self._client.call(operations.preview_dataset(dataset_id, start, limit))

    async def delete(self, dataset_id: str) -> None:
        return await self._client.call(operations.delete_dataset(dataset_id))


class OutputFiles:
    """Output files: what batches wrote."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> list[OutputFile]:
        """All output files, newest first."""
        return await self._client.call(operations.list_outputs())

    async def get(self, file_id: str) -> OutputFile:
        return await self._client.call(operations.get_output(file_id))

    async def download(self, file_id: str, target: str | Path, file_format: str = "jsonl") -> Path:
        """Write the file to `target`, which appears once it is whole, as `jsonl`, or as a table in `csv` or `parquet`.

        Raises `Conflict` while its batch is open.
        """
        target = Path(target)
        async with self._client.stream(operations.download_output(file_id, file_format)) as response:
            with written(target) as file:
                async for part in response.aiter_bytes():
                    file.write(part)
        return target

    async def rows(self, file_id: str) -> AsyncIterator[dict[str, Any]]:
        """The file's lines as they arrive, one for each row of the batch."""
        async with self._client.stream(operations.download_output(file_id)) as response:
            async for line in response.aiter_lines():
                yield json.loads(line)

    async def delete(self, file_id: str) -> None:
        return await self._client.call(operations.delete_output(file_id))
