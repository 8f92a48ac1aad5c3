"""The world as a node sees it in a test: a fixed clock, and no client that was not given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rowel.nodes.context import Context, Services

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class _Nothing:
    """A client that a test did not expect to be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the node asked a client for {name!r}, and this test gave it none")


def make_services(**clients: Any) -> Services:
    """Services of the clients given (sandbox, llm, http, blobs); any other fails the test when it is used."""
    given: dict[str, Any] = dict.fromkeys(("sandbox", "llm", "http", "blobs"), _Nothing())
    return Services(**{**given, "environment": {}, **clients})


def make_context(services: Services | None = None, **changes: Any) -> Context:
    """A context of one task at noon; `changes` are its fields (body_output_id, timeout_s, ...)."""
    fields: dict[str, Any] = {
        "run_id": "run-1",
        "workflow_id": "workflow-1",
        "task_id": "run-1.node",
        "node_id": "node",
        "attempt": 1,
        "services": services or make_services(),
        "now": lambda: NOW,
        "timeout_s": 300.0,
    }
    return Context(**{**fields, **changes})
