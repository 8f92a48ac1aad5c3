"""What the operator decides about the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from rowel.api.doors import LOOPBACK
from rowel.api.watching import Watcher


@dataclass(frozen=True)
class Limits:
    """Bytes that requests may have."""

    body: int = 32 * 1024**2
    definition: int = 8 * 1024**2
    upload: int = 8 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an API serves."""

    #: The names that a Host header may say; None: any.
    hosts: Collection[str] | None = LOOPBACK
    limits: Limits = field(default_factory=Limits)
    #: Where the templates lie.
    templates: Path | None = None
    #: Seconds of silence after which an event stream says that it lives.
    heartbeat_s: float = 15.0
    #: Seconds between what `/events/` tells.
    coalesce_s: float = 0.5
    #: Who hears how requests are answered, and what `/metrics` shows; None: nobody, nothing.
    watcher: Watcher | None = None
    metrics: Callable[[], Awaitable[bytes]] | None = None


def options_of(request: Request) -> Options:
    options: Options = request.app.state.options
    return options
