"""Every error Rowel raises on purpose.

RowelError
├── NotFound            an id that names nothing
├── Invalid             the request or a value in it is wrong
│   ├── InvalidDefinition   a definition with problems, all of them listed
│   ├── InvalidInputs       a run's inputs don't fit its input node
│   ├── InvalidDataset      a dataset that can't be read or lacks columns
│   └── InvalidForm         a pause's answer doesn't fit its form
├── TooLarge            more bytes than a limit allows
├── Conflict            the state of a run, pause or batch refuses this
│   ├── InProgress          the first request with this key is still being worked on: try again later
│   └── KeyReused           this key came with another request before
├── Busy                too much is queued or in flight: try again later
├── Unavailable         the store or the place of files is away, or the server is draining
└── NodeFailed          a node could not do its work (the run records it; clients see it on the task)

`code` is the stable word clients may branch on; the message is a sentence for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class RowelError(Exception):
    """Something Rowel refuses or could not do. The docstring is the default message."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])

    @property
    def message(self) -> str:
        return str(self.args[0])


class NotFound(RowelError):
    """There is nothing with this id."""

    code = "not_found"


class Invalid(RowelError):
    """The request is not valid."""

    code = "invalid"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a definition: where (node, field) and what."""

    message: str
    node_id: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        where = f"node {self.node_id!r}" if self.node_id is not None else "definition"
        return f"{where}{f', {self.field}' if self.field else ''}: {self.message}"


class InvalidDefinition(Invalid):
    """The definition has problems."""

    code = "invalid_definition"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class InvalidInputs(Invalid):
    """The run's inputs don't fit the workflow."""

    code = "invalid_inputs"


class InvalidDataset(Invalid):
    """The dataset can't be read."""

    code = "invalid_dataset"


class InvalidForm(Invalid):
    """The answer doesn't fit the form of this pause."""

    code = "invalid_form"


class TooLarge(RowelError):
    """This is larger than a limit allows."""

    code = "too_large"


class Conflict(RowelError):
    """The state of this run does not allow that."""

    code = "conflict"

    def __init__(self, message: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code  # type: ignore[misc]  # one instance may be more exact than its class


class InProgress(Conflict):
    """The first request with this Idempotency-Key is still being worked on; try again later."""

    code = "in_progress"
    retry_after_s: ClassVar[int] = 1


class KeyReused(Conflict):
    """Another request came with this Idempotency-Key before; use a key of its own for each."""

    code = "key_reused"


class Busy(RowelError):
    """Too much is queued at the moment; try again later."""

    code = "busy"
    retry_after_s: ClassVar[int] = 5


class Unavailable(RowelError):
    """The store can't be written at the moment; nothing was changed. Try again later."""

    code = "unavailable"
    retry_after_s: ClassVar[int] = 5


class NodeFailed(RowelError):
    """The node could not do its work.

    `trace` is a short trace of the *user's own* code, never of Rowel's. `retryable` says whether the same call may
    succeed later (429, 5xx, a lost connection); `retry_after_s` is what the other side asked for, in seconds.
    """

    code = "node_failed"

    def __init__(
        self,
        message: str,
        *,
        trace: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.trace = trace
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.details = dict(details or {})
