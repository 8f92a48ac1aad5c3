"""What a node may ask of the world while it runs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from rowel.core.limits import Scope
from rowel.core.outcomes import Usage


class Sandbox(Protocol):
    """Runs untrusted Python. See `nodes/clients/sandbox`."""

    async def inspect(self, code: str) -> str:
        """Return the name of the engine that will run this function body (`monty` or `cpython`).

        Raises `Invalid` where the code doesn't parse or where no engine here can run it.
        """

    async def call(
        self,
        code: str,
        input_model: Mapping[str, Any],
        timeout_s: float,
        *,
        log: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Run the function body over `input_model` and return the object it returns, a finite JSON value.

        `log` gets what the code printed, line by line. Raises `NodeFailed`.
        """


@dataclass(frozen=True)
class Message:
    """One chat message: role `system`, `user` or `assistant`. `files` are URLs, data URIs or Rowel's own paths."""

    role: str
    content: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSettings:
    """What a caller may set on one model call; None leaves the provider's default."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None


@dataclass(frozen=True)
class Answer:
    """A model's answer as text, and what it cost."""

    text: str
    usage: Usage
    model: str


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True)
class Caller:
    """Who calls a model: what decides when it is their turn, and what hears of their waiting."""

    #: A row of a batch lets interactive calls go first.
    is_row: bool = False
    #: The limits of the workflow.
    scopes: tuple[Scope, ...] = ()
    #: The call can't be made yet, and why; and: it can. While it waits the node's time stands still.
    waits: Callable[[str], None] = _nothing
    goes_on: Callable[[], None] = _nothing


ANYBODY = Caller()


class LLM(Protocol):
    """Calls language models by LiteLLM-style names. See `nodes/clients/llm`."""

    async def ask(
        self,
        model: str,
        messages: list[Message],
        settings: ModelSettings,
        *,
        json_schema: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        caller: Caller = ANYBODY,
    ) -> Answer:
        """Return the model's answer. With `json_schema` the answer is asked to be JSON of that schema.

        `caller` is `Context.caller`: its turn may have to come first. Raises `NodeFailed`, retryable for 429, 5xx and
        lost connections.
        """


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HTTP(Protocol):
    """Makes HTTP calls, to public addresses only unless allowed. See `nodes/clients/http`."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        timeout_s: float = 60.0,
        trusted: bool = False,
    ) -> Response:
        """Make one call. `trusted` is for base URLs the operator set in the environment, never for definitions or
        data. Raises `NodeFailed`, retryable where no answer came."""


class Blobs(Protocol):
    """Rowel's own files, by their opaque paths."""

    async def read(self, path: str) -> bytes:
        """Return the file's bytes. Raises `NodeFailed` where there is no such file of Rowel's."""

    async def write(self, data: bytes, *, suffix: str) -> str:
        """Keep `data` as a new file and return its path. `suffix` is its extension with the dot."""


@dataclass(frozen=True)
class Services:
    """The clients that all nodes of a process share. `environment` is the operator's variables (provider keys)."""

    sandbox: Sandbox
    llm: LLM
    http: HTTP
    blobs: Blobs
    environment: Mapping[str, str]


@dataclass
class Context:
    """One task's view of the world. `task_id` is stable over retries and crashes: use it as an idempotency key."""

    run_id: str
    workflow_id: str
    task_id: str
    node_id: str
    attempt: int
    services: Services
    now: Callable[[], datetime]
    #: Seconds this attempt may take.
    timeout_s: float
    caller: Caller = ANYBODY
    #: The input and output nodes of this container's body; None for a node without one.
    body_input_id: str | None = None
    body_output_id: str | None = None
    #: The titles of the body's nodes, by id.
    body_titles: Mapping[str, str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def path(self) -> str:
        """Where the task stands in its run."""
        return self.task_id.removeprefix(f"{self.run_id}.")

    def log(self, message: str) -> None:
        """Keep one line for the person who looks at this task."""
        self.logs.append(message)

    def spend(self, usage: Usage) -> None:
        """Count tokens and money spent by this task."""
        self.usage = self.usage + usage
