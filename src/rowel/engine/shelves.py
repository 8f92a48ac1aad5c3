"""Datasets, output files and uploads: their records and their bytes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

from rowel.core.errors import Conflict, NotFound, Unavailable
from rowel.core.records import Dataset, DatasetID, OutputFile, Run
from rowel.engine.house import House
from rowel.engine.ids import new_id
from rowel.engine.output import lines
from rowel.engine.reads import find_dataset, find_run
from rowel.engine.rows import rows_from
from rowel.files.datasets import format_of, inspect
from rowel.files.names import base_name
from rowel.files.outputs import read_lines
from rowel.files.rows import Row
from rowel.files.tables import OutputFormat, table
from rowel.files.uploads import MAX_UPLOAD, Upload, find_upload, save_upload
from rowel.store import datasets, runs
from rowel.store.datasets import DatasetWrites

log = logging.getLogger(__name__)

#: Bytes of rows after which a preview ends.
PREVIEW_BYTES = 4 * 1024 * 1024


class Shelves:
    """The commands about files."""

    def __init__(self, house: House, *, upload_limit: int = MAX_UPLOAD) -> None:
        self._house = house
        self._writes = DatasetWrites(house.database.writer, house.database.dialect)
        self._upload_limit = upload_limit

    async def add_dataset(
        self, name: str, description: str | None, filename: str, stream: AsyncIterator[bytes]
    ) -> Dataset:
        """Keep a dataset that can be read; one that can't leaves nothing behind."""
        kind = format_of(filename)
        dataset_id = DatasetID(new_id())
        key = f"datasets/{dataset_id}.{kind}"
        size = await self._house.files.write(key, stream, limit=self._upload_limit)
        try:
            shape = await inspect(self._house.files, key, kind)
        except BaseException:
            await self._delete_bytes(key)
            raise
        now = self._house.now()
        dataset = Dataset(
            id=dataset_id,
            name=name,
            description=description,
            filename=base_name(filename),
            format=kind,
            key=key,
            columns=shape.columns,
            rows=shape.rows,
            size=size,
            created_at=now,
            updated_at=now,
            offsets=shape.offsets,
        )
        # Where this fails nobody may know whether the record is there: the bytes stay, and retention finds them.
        await self._writes.add(dataset)
        return dataset

    async def get_dataset(self, dataset_id: str) -> Dataset:
        return await find_dataset(self._house, dataset_id)

    async def preview(self, dataset_id: str, start: int, limit: int) -> list[Row]:
        """Up to `limit` rows from number `start` on; fewer where they are large."""
        dataset = await self.get_dataset(dataset_id)
        found: list[Row] = []
        if start < dataset.rows:
            async with aclosing(rows_from(self._house.files, dataset, start)) as stream:
                async for row in stream:
                    found.append(row)
                    if len(found) >= limit or sum(one.size for one in found) >= PREVIEW_BYTES:
                        break
        return found

    async def list_datasets(self, *, limit: int | None, offset: int) -> list[Dataset]:
        return await self._house.database.read(
            lambda connection: datasets.newest(connection, limit=limit, offset=offset)
        )

    async def delete_dataset(self, dataset_id: str) -> None:
        dataset = await self.get_dataset(dataset_id)
        reader = await self._house.database.read(
            lambda connection: runs.open_batch_on(connection, dataset_id)
        )
        if reader is not None:
            raise Conflict(
                f"The batch {reader.id} is {reader.status} and reads this dataset; cancel it first.",
                "dataset_in_use",
            )
        await self._writes.delete(dataset_id)
        await self._delete_bytes(dataset.key)

    async def get_output_file(self, file_id: str) -> OutputFile:
        found = await self._house.database.read(
            lambda connection: datasets.get_output_file(connection, file_id)
        )
        if found is None:
            raise NotFound(f"There is no output file {file_id[:128]!r}.")
        return found

    async def list_output_files(self, *, limit: int | None, offset: int) -> list[OutputFile]:
        return await self._house.database.read(
            lambda connection: datasets.output_files_newest(connection, limit=limit, offset=offset)
        )

    async def delete_output_file(self, file_id: str) -> None:
        file = await self.get_output_file(file_id)
        run = await find_run(self._house, file.run_id)
        if not run.status.is_final:
            raise Conflict(
                f"The batch {run.id} is {run.status} and still writes this file; cancel it first.",
                "batch_open",
            )
        repeat = await self._house.database.read(lambda connection: runs.open_repeat_of(connection, run.id))
        if repeat is not None:
            raise Conflict(
                f"The batch {repeat.id} is {repeat.status} and takes rows from this file; cancel it first.",
                "batch_open",
            )
        await self._writes.delete_output_file(file_id)
        await self._delete_bytes(file.key)

    async def _delete_bytes(self, key: str) -> None:
        """What a forgotten record named. Bytes that can't be deleted now stay until retention finds them."""
        try:
            await self._house.files.delete(key)
        except Unavailable as error:
            log.warning("the bytes of %s stay for now: %s", key, error.message)

    async def open_output(
        self, file_id: str, kind: OutputFormat = OutputFormat.JSONL
    ) -> tuple[OutputFile, AsyncIterator[bytes]]:
        """The whole file, in this format; for a batch that ended early the rows that it had begun."""
        file = await self.get_output_file(file_id)
        if file.is_ready and kind is OutputFormat.JSONL:
            return file, await self._house.files.open(file.key)
        run = await self._ended(file)
        if kind is OutputFormat.JSONL:
            return file, self._rendered(run)
        return file, await table(kind, lambda: self._lines(file, run))

    def _lines(self, file: OutputFile, run: Run) -> AsyncIterator[str]:
        return read_lines(self._house.files, file.key) if file.is_ready else lines(self._house, run)

    async def _ended(self, file: OutputFile) -> Run:
        """The batch that wrote, or would have written, this file. Raises `Conflict` while it is open."""
        run = await find_run(self._house, file.run_id)
        if not run.status.is_final:
            raise Conflict(
                f"The batch {run.id} is {run.status}; its output file is there once it has ended.",
                "batch_open",
            )
        return run

    async def _rendered(self, run: Run) -> AsyncIterator[bytes]:
        async for line in lines(self._house, run):
            yield line.encode() + b"\n"

    async def add_file(self, filename: str, media_type: str | None, stream: AsyncIterator[bytes]) -> Upload:
        return await save_upload(self._house.files, filename, media_type, stream, limit=self._upload_limit)

    async def open_file(self, path: str) -> tuple[Upload, AsyncIterator[bytes]]:
        upload = await find_upload(self._house.files, path)
        return upload, await self._house.files.open(path)

    async def delete_file(self, path: str) -> None:
        await find_upload(self._house.files, path)
        await self._house.files.delete(path)
