"""The workflows that are measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

#: The field that goes in, and the one that comes out.
INPUT, OUTPUT = "input_node", "output_node"


def node(node_id: str, node_type: str, **config: Any) -> dict[str, Any]:
    # PySpur wants titles and coordinates.
    place = {"x": 0, "y": 0}
    return {"id": node_id, "title": node_id, "node_type": node_type, "config": config, "coordinates": place}


def chain(nodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A definition of these nodes, each behind the one before."""
    links = [{"source_id": a["id"], "target_id": b["id"]} for a, b in pairwise(nodes)]
    return {"nodes": list(nodes), "links": links, "test_inputs": []}


def static_chain(length: int = 5) -> dict[str, Any]:
    """Input, constants, output: `length` nodes that can be replayed without harm. PySpur reads it as well."""
    constants = [
        node(f"value_{n}", "StaticValueNode", values={"v": n}, **_fields(v="int"))
        for n in range(1, length - 1)
    ]
    last = node(OUTPUT, "OutputNode", output_map={"v": f"value_{length - 2}.v"}, **_fields(v="int"))
    return chain([node(INPUT, "InputNode", **_fields(n="int")), *constants, last])


def step_chain(length: int = 5) -> dict[str, Any]:
    """An input node and behind it `length` nodes with effects, each adding one to `n`."""
    steps = [node(f"step_{n}", "BenchStepNode") for n in range(1, length + 1)]
    return chain([node(INPUT, "InputNode", **_fields(n="int")), *steps])


def _fields(**types: str) -> dict[str, Any]:
    """A schema in both ways of saying it: PySpur reads the text, and Rowel either."""
    names = {"int": "integer"}
    properties = {name: {"type": names[kind]} for name, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": sorted(types)}
    return {"output_schema": types, "output_json_schema": json.dumps(schema)}
