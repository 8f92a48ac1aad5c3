"""Batches on their way: how they stand, changing how they go on, and deciding about many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from rowel.client import operations
from rowel.client.messages import Operation
from rowel.client.models import Progress, RowDecisions
from rowel.client.words import Action

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

    def decide(  # noqa: PLR0913  # the words of a decision
        self,
        run_id: str,
        node_id: str,
        action: Action | str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        rows: Sequence[int] | None = None,
        except_rows: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> RowDecisions:
        """One decision for many rows that wait at a node: all of them, or `rows`, without `except_rows`.

        Raises `Conflict` where no row waits there, and `InvalidRequest` where the answer doesn't fit the form.
        """
        wish = operations.decide_rows(
            run_id,
            node_id,
            action,
            user_id=user_id,
            inputs=inputs,
            comments=comments,
            rows=rows,
            except_rows=except_rows,
            idempotency_key=idempotency_key,
        )
        return self._client.call(wish)


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

    async def decide(  # noqa: PLR0913  # the words of a decision
        self,
        run_id: str,
        node_id: str,
        action: Action | str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        rows: Sequence[int] | None = None,
        except_rows: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> RowDecisions:
        """One decision for many rows that wait at a node: all of them, or `rows`, without `except_rows`.

        Raises `Conflict` where no row waits there, and `InvalidRequest` where the answer doesn't fit the form.
        """
        wish = operations.decide_rows(
            run_id,
            node_id,
            action,
            user_id=user_id,
            inputs=inputs,
            comments=comments,
            rows=rows,
            except_rows=except_rows,
            idempotency_key=idempotency_key,
        )
        return await self._client.call(wish)
