"""Clients of a Rowel server: `Client` blocks, `AsyncClient` is for asyncio. Neither needs the rest of Rowel.

What can go wrong is drawn in `rowel.client.errors`; what comes back is described in `rowel.client.models`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rowel.client.errors import (
    Conflict,
    ConnectionLost,
    InProgress,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Refused,
    RowelClientError,
    RunCanceled,
    RunFailed,
    RunPaused,
    ServerBusy,
    StillRunning,
)
from rowel.client.words import Action, Status

if TYPE_CHECKING:
    from rowel.client.asynchronous import AsyncClient
    from rowel.client.blocking import Client

__all__ = [
    "Action",
    "AsyncClient",
    "Client",
    "Conflict",
    "ConnectionLost",
    "InProgress",
    "InvalidRequest",
    "NotAllowed",
    "NotFound",
    "Refused",
    "RowelClientError",
    "RunCanceled",
    "RunFailed",
    "RunPaused",
    "ServerBusy",
    "Status",
    "StillRunning",
]

_HOMES = {"AsyncClient": "rowel.client.asynchronous", "Client": "rowel.client.blocking"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
