"""Workflows and datasets of the engine in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rowel.client import models
from rowel.embedded.rendering import dataset_of, version_of, workflow_of
from rowel.engine.engine import Engine
from rowel.engine.workflows import KEEP

#: Bytes read from a dataset's file at a time.
PART = 1024 * 1024


class Workflows:
    """Workflows and their versions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(
        self, name: str, definition: Mapping[str, Any], description: str | None = None
    ) -> models.Workflow:
        """Check and keep a workflow. Raises `InvalidDefinition` with every problem."""
        return workflow_of(await self._engine.create_workflow(name, definition, description))

    async def get(self, workflow_id: str) -> models.Workflow:
        return workflow_of(await self._engine.get_workflow(workflow_id))

    async def list(self, *, page: int = 1, page_size: int = 10) -> list[models.Workflow]:
        """Workflows, newest first."""
        found = await self._engine.list_workflows(limit=page_size, offset=(page - 1) * page_size)
        return [workflow_of(workflow) for workflow in found]

    async def update(
        self,
        workflow_id: str,
        name: str,
        definition: Mapping[str, Any],
        description: str | None = None,
    ) -> models.Workflow:
        """Replace a workflow; runs that have begun keep their version. Without a description the old one stays."""
        kept = KEEP if description is None else description
        return workflow_of(await self._engine.update_workflow(workflow_id, name, definition, kept))

    async def delete(self, workflow_id: str) -> None:
        """Take a workflow off the shelf; its runs stay."""
        await self._engine.delete_workflow(workflow_id)

    async def duplicate(self, workflow_id: str) -> models.Workflow:
        return workflow_of(await self._engine.duplicate_workflow(workflow_id))

    async def versions(self, workflow_id: str) -> Sequence[models.Version]:
        """The versions that runs have made, newest first."""
        return [version_of(version) for version in await self._engine.list_versions(workflow_id)]


class Datasets:
    """Datasets: rows for batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, name: str, path: str | Path, description: str | None = None) -> models.Dataset:
        """Keep a CSV, JSONL or Parquet file. Raises `InvalidDataset` naming what can't be read."""
        path = Path(path)
        return dataset_of(await self._engine.add_dataset(name, description, path.name, _parts(path)))

    async def list(self) -> list[models.Dataset]:
        """All datasets, newest first."""
        return [dataset_of(dataset) for dataset in await self._engine.list_datasets()]

    async def get(self, dataset_id: str) -> models.Dataset:
        return dataset_of(await self._engine.get_dataset(dataset_id))

    async def rows(self, dataset_id: str, start: int = 0, limit: int = 20) -> Sequence[dict[str, Any]]:
        """Some rows from number `start` on, as batches get them; fewer where they are large."""
        found = await self._engine.preview_dataset(dataset_id, start=start, limit=limit)
        return [dict(row.values) for row in found]

    async def delete(self, dataset_id: str) -> None:
        await self._engine.delete_dataset(dataset_id)


async def _parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := await asyncio.to_thread(file.read, PART):
            yield part
