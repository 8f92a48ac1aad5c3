"""Rowel runs AI workflows durably.

`Rowel` is the engine in your process; `Client` and `AsyncClient` talk to a Rowel server; `Node` and its companions are
for node types of your own. Each name loads what it needs when it is first used: a client never loads the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rowel.client import AsyncClient, Client, RunFailed, RunPaused
    from rowel.core.outcomes import Done, Pause
    from rowel.embedded import Rowel
    from rowel.nodes.base import Config, Node
    from rowel.nodes.context import Context

__all__ = [
    "AsyncClient",
    "Client",
    "Config",
    "Context",
    "Done",
    "Node",
    "Pause",
    "Rowel",
    "RunFailed",
    "RunPaused",
]

_HOMES = {
    "AsyncClient": "rowel.client",
    "Client": "rowel.client",
    "Config": "rowel.nodes.base",
    "Context": "rowel.nodes.context",
    "Done": "rowel.core.outcomes",
    "Node": "rowel.nodes.base",
    "Pause": "rowel.core.outcomes",
    "Rowel": "rowel.embedded",
    "RunFailed": "rowel.client",
    "RunPaused": "rowel.client",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
