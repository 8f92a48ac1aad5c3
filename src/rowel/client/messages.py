"""HTTP as plain values: what is asked, and what comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from rowel.client.errors import NotCompleted, Refused, RunCanceled, RunFailed, UnexpectedAnswer, refusal
from rowel.client.models import Run
from rowel.client.words import Status

T = TypeVar("T")

#: A server does what comes with the same key once.
KEY_HEADER = "Idempotency-Key"
_KEY = re.compile("[ -~]{1,255}")

Query = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request, apart from where the server is and who asks."""

    method: str
    path: str
    #: Parameters; None is left out.
    query: Query = field(default_factory=dict)
    #: The JSON object to send.
    body: Mapping[str, Any] | None = None
    #: A file to send as multipart, in pieces.
    upload: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds without a byte after which the connection counts as broken; None: as the client is set.
    silence_s: float | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again although it may have arrived: it changes nothing twice."""
        return KEY_HEADER in self.headers

    def content(self) -> bytes | None:
        """The body as JSON text. Raises `ValueError` or `TypeError` where a value is not JSON (NaN, a set, ...)."""
        return None if self.body is None else json.dumps(self.body, allow_nan=False).encode()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server answered; `body` is empty where it is streamed."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_refusal(self) -> bool:
        return not 200 <= self.status < 300

    @property
    def retry_after_s(self) -> float | None:
        """How many seconds the server asks to wait; None where it doesn't ask."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() else None

    def json(self) -> Any:
        """Raises `UnexpectedAnswer` where the body is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer ({self.status}) is not JSON: {self._beginning()}") from error

    def refusal(self) -> Refused | NotCompleted:
        """The error that a refusing answer stands for."""
        try:
            told = json.loads(self.body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or "detail" not in told:
            return refusal(self.status, f"the server answered {self.status}: {self._beginning()}", None)
        if isinstance(told.get("run"), dict):
            run = Run.from_wire(told["run"])
            kind = RunCanceled if run.status is Status.CANCELED else RunFailed
            return kind(run, str(told["detail"]))
        return refusal(self.status, told["detail"], told.get("code"))

    def _beginning(self) -> str:
        text = self.body.decode(errors="replace").strip()
        return (text[:200] + "…" if len(text) > 200 else text) or "(nothing)"


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[T]):
    """A request, and how its answer is read."""

    request: Request
    read: Callable[[Answer], T]


def keyed(idempotency_key: str | None) -> dict[str, str]:
    """The headers of a request with this key. Raises `ValueError` where it is none."""
    if idempotency_key is None:
        return {}
    if not _KEY.fullmatch(idempotency_key):
        raise ValueError("an idempotency key has 1 to 255 printable ASCII characters")
    return {KEY_HEADER: idempotency_key}


def path(*parts: str) -> str:
    """A path with its ids quoted: `path("run", run_id)` is `/run/{run_id}/`."""
    return "/".join(["", *(quote(part, safe="") for part in parts), ""])
