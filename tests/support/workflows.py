"""Small workflows that many tests run."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def _chain(*nodes: dict[str, Any]) -> dict[str, Any]:
    ids = [node["id"] for node in nodes]
    links = [{"source_id": one, "target_id": next_} for one, next_ in pairwise(ids)]
    return {"nodes": list(nodes), "links": links}


def _input(**fields: str) -> dict[str, Any]:
    return {"id": "input_node", "node_type": "InputNode", "config": {"output_schema": fields}}


def _python(code: str) -> dict[str, Any]:
    return {"id": "work", "node_type": "PythonFuncNode", "config": {"code": code}}


#: Halves `n`; fails for 0.
HALVES = _chain(
    _input(n="int"),
    _python(
        "if input_model.input_node.n == 0:\n    raise ValueError('zero')\nreturn {'half': input_model.input_node.n / 2}"
    ),
)
#: Asks a person, then says that it is paid.
ASKS = _chain(
    _input(amount="int"),
    {
        "id": "ask",
        "node_type": "HumanInterventionNode",
        "config": {
            "message": "Pay?",
            "form": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        },
    },
    {"id": "paid", "node_type": "StaticValueNode", "config": {"values": {"paid": True}}},
)
#: Runs its body twice.
LOOPS = _chain(
    _input(text="string"),
    {
        "id": "loop",
        "node_type": "ForLoopNode",
        "config": {
            "num_iterations": 2,
            "subworkflow": _chain(
                {"id": "begin", "node_type": "InputNode", "config": {}},
                {"id": "end", "node_type": "OutputNode", "config": {}},
            ),
        },
    },
)


def waits(url: str) -> dict[str, Any]:
    """Calls a URL and ends when it answers."""
    return _chain(
        _input(), {"id": "call", "node_type": "HTTPRequestNode", "config": {"method": "GET", "url": url}}
    )
