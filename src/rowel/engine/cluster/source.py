"""Reads a dataset for all lanes of a batch in this process: forwards, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from rowel.core.records import Dataset
from rowel.engine.rows import FAR, rows_from
from rowel.files.rows import Row
from rowel.files.store import FileStore
from rowel.store.lanes import Lane


class Source:
    """One dataset's rows. Lanes claim under its lock, so that they ask for rows in order."""

    def __init__(self, files: FileStore, dataset: Dataset) -> None:
        self._files = files
        self._dataset = dataset
        self._lock = asyncio.Lock()
        self._stream: AsyncGenerator[Row, None] | None = None
        self._next = 0

    async def claim(self, claim: Callable[[], Awaitable[Lane | None]]) -> tuple[Lane, list[Row]] | None:
        """Claim rows and read them. None where `claim` gives none."""
        async with self._lock:
            lane = await claim()
            return None if lane is None else (lane, await self._read(lane.start, lane.stop))

    async def read(self, start: int, stop: int) -> list[Row]:
        """The rows from `start` to before `stop`. Raises `InvalidDataset` and `NotFound`."""
        async with self._lock:
            return await self._read(start, stop)

    async def close(self) -> None:
        async with self._lock:
            await self._close()

    async def _read(self, start: int, stop: int) -> list[Row]:
        if self._stream is None or not self._next <= start <= self._next + FAR:
            await self._close()
            self._stream, self._next = rows_from(self._files, self._dataset, start), start
        found: list[Row] = []
        try:
            while self._next < stop and (row := await anext(self._stream, None)) is not None:
                self._next = row.index + 1
                if row.index >= start:
                    found.append(row)
        except BaseException:
            await self._close()
            raise
        return found

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
