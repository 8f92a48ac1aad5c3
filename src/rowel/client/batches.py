"""Batches on their way: how they stand, and changing how they go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from rowel.client import operations
from rowel.client.messages import Operation
from rowel.client.models import Progress

T = TypeVar("T")


class Caller(Protocol):
    """Sends an operation's request and reads its answer."""

    def call(self, operation: Operation[T]) -> T: ...


class AsyncCaller(Protocol):
    """The same for asyncio."""

    async def call(self, operation: Operation[T]) -> T: ...


class Batches:
    """Batches, by the ids of their runs."""

    def __init__(self, client: Caller) -> None:
        self._client = client

    def get(self, run_id: str) -> Progress:
        """How a batch stands: counts, rate, cost, and why rows failed. Raises `NotFound` for a run that is none."""
        return self._client.call(operations.get_batch(run_id))

    def change(
        self,
        run_id: str,
        *,
        mini_batch_size: int | None = None,
        failure_threshold: Mapping[str, Any] | None = None,
    ) -> Progress:
        """Change how many rows may be in flight and how many may fail; None stays as it is, `{}` lifts the threshold.

        Raises `Conflict` where the batch has ended.
        """
        return self._client.call(
            operations.change_batch(
                run_id, mini_batch_size=mini_batch_size, failure_threshold=failure_threshold
            )
        )


class AsyncBatches:
    """Batches, by the ids of their runs."""

    def __init__(self, client: AsyncCaller) -> None:
        self._client = client

    async def get(self, run_id: str) -> Progress:
        """How a batch stands: counts, rate, cost, and why rows failed. Raises `NotFound` for a run that is none."""
        return await self._client.call(operations.get_batch(run_id))

    async def change(
        self,
        run_id: str,
        *,
        mini_batch_size: int | None = None,
        failure_threshold: Mapping[str, Any] | None = None,
    ) -> Progress:
        """Change how many rows may be in flight and how many may fail; None stays as it is, `{}` lifts the threshold.

        Raises `Conflict` where the batch has ended.
        """
        return await self._client.call(
            operations.change_batch(
                run_id, mini_batch_size=mini_batch_size, failure_threshold=failure_threshold
            )
        )
