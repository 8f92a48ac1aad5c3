"""A run's inputs from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rowel.cli.documents import parse, read_object, read_text
from rowel.cli.exits import Exit, fail

if TYPE_CHECKING:
    from rowel.client import Client


def read_inputs(
    client: Client, definition: Mapping[str, Any], given: list[str]
) -> dict[str, dict[str, Any]] | None:
    """Inputs by node id. Each item is `field=value`, `field=@file` or `@file.json`."""
    if not given:
        return None
    node_id = input_node(client, definition)
    fields: dict[str, Any] = {}
    for item in given:
        if item.startswith("@"):
            fields.update(_fields(read_object(Path(item[1:])), node_id))
        else:
            fields.update([_pair(item)])
    return {node_id: fields}


def read_answer(given: list[str]) -> dict[str, Any]:
    """What a person fills in: `field=value` or `@file.json`."""
    fields: dict[str, Any] = {}
    for item in given:
        fields.update(read_object(Path(item[1:])) if item.startswith("@") else dict([_pair(item)]))
    return fields


def input_node(client: Client, definition: Mapping[str, Any]) -> str:
    """The id of the input node of a workflow, by what the server says of node types."""
    offered = [described for group in client.node_types().values() for described in group]
    types = {described["name"] for described in offered if described["traits"]["is_input"]}
    nodes = definition.get("nodes", [])
    found = [node["id"] for node in nodes if node.get("node_type") in types and not node.get("parent_id")]
    if not found:
        fail("the workflow has no input node", Exit.REFUSED)
    return str(found[0])


def _pair(item: str) -> tuple[str, Any]:
    name, sign, text = item.partition("=")
    if not sign or not name:
        fail(f"--input takes field=value, field=@file or @file.json, not {item!r}", Exit.USAGE)
    return name, read_text(Path(text[1:])) if text.startswith("@") else _value(text)


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return parse(text)
    except ValueError:
        return text


def _fields(value: dict[str, Any], node_id: str) -> dict[str, Any]:
    """A file may hold the input node's fields, or all inputs by node id."""
    inner = value.get(node_id)
    return inner if isinstance(inner, dict) and len(value) == 1 else value
