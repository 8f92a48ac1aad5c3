"""Reads the JSON of a definition into frozen values and notes whatever has the wrong shape. Never raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowel.core.definition import Definition, Link, NodeID, NodeSpec
from rowel.core.errors import Invalid, Problem
from rowel.core.jsontext import check_text, kind
from rowel.core.limits import Limit

SPUR_TYPES = ("workflow", "chatbot", "agent")
MAX_TITLE = 256

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass
class Reading:
    """A definition as far as it could be read, and what could not."""

    nodes: list[NodeSpec] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Nodes whose type or config could not be read: they can't be judged any further.
    unreadable: set[str] = field(default_factory=set)
    #: Nodes with both `config.subworkflow` and a `subworkflow` of their own.
    held_twice: set[str] = field(default_factory=set)

    @property
    def definition(self) -> Definition:
        return Definition(nodes=tuple(self.nodes), links=tuple(self.links), raw=self.raw)

    def note(self, message: str, node_id: str | None = None, at: str | None = None) -> None:
        self.problems.append(Problem(message, node_id, at))


def read_definition(raw: Any) -> Reading:
    """Read `{nodes, links, test_inputs?, spur_type?}`. Bodies that nodes hold themselves are left unread."""
    reading = Reading()
    if not isinstance(raw, Mapping):
        reading.note(f"must be an object with nodes and links, not {kind(raw)}")
        return reading
    nodes, links = _list_at(raw, "nodes", reading), _list_at(raw, "links", reading)
    _read_rest(raw, reading)
    reading.raw = {**raw, "nodes": [_read_node(item, index, reading) for index, item in enumerate(nodes)]}
    for index, item in enumerate(links):
        _read_link(item, index, reading)
    return reading


def _list_at(raw: Mapping[str, Any], name: str, reading: Reading) -> list[Any]:
    value = raw.get(name)
    if isinstance(value, list | tuple):
        return list(value)
    reading.note("is missing" if name not in raw else f"must be a list, not {kind(value)}", at=name)
    return []


def _read_rest(raw: Mapping[str, Any], reading: Reading) -> None:
    test_inputs = raw.get("test_inputs")
    if test_inputs is not None and not isinstance(test_inputs, list | tuple):
        reading.note(f"must be a list, not {kind(test_inputs)}", at="test_inputs")
    spur_type = raw.get("spur_type")
    if spur_type is not None and spur_type not in SPUR_TYPES:
        reading.note(f"must be one of {', '.join(SPUR_TYPES)}", at="spur_type")
    _read_limits(raw.get("limits"), reading)


def _read_limits(given: Any, reading: Reading) -> None:
    if given is None:
        return
    try:
        Limit.read(given)
    except ValueError as error:
        reading.note(f"must be {error}", at="limits")


def _read_node(item: Any, index: int, reading: Reading) -> Any:
    """Read one node and return its JSON with the title filled in."""
    node_id = _id_of(item, index, reading)
    if node_id is None:
        return item
    title = _title_of(item, node_id, reading)
    found = len(reading.problems)
    node_type = _text_at(item, "node_type", node_id, reading, required=True) or ""
    config = _object_at(item, "config", node_id, reading) or {}
    if len(reading.problems) > found:
        reading.unreadable.add(node_id)
    held = _object_at(item, "subworkflow", node_id, reading)
    parent_id = _text_at(item, "parent_id", node_id, reading)
    _check_numbers(item, node_id, reading)
    bodies = [body for body in (config.get("subworkflow"), held) if _has_nodes(body)]
    if len(bodies) > 1:
        reading.held_twice.add(node_id)
    reading.nodes.append(
        NodeSpec(
            id=node_id,
            title=title,
            node_type=node_type,
            config=config,
            parent_id=NodeID(parent_id) if parent_id else None,
            subworkflow=bodies[0] if bodies else None,
        )
    )
    filled = {**item, "title": title}
    return {**filled, "subworkflow": _fill_titles(held)} if held else filled


def _id_of(item: Any, index: int, reading: Reading) -> NodeID | None:
    """The node's id; None where there is nothing to call the node by."""
    if not isinstance(item, Mapping):
        reading.note(f"must be an object, not {kind(item)}", at=f"nodes[{index}]")
        return None
    node_id = item.get("id")
    if not isinstance(node_id, str):
        wrong = "is missing" if node_id is None else f"must be text, not {kind(node_id)}"
        reading.note(wrong, at=f"nodes[{index}].id")
        return None
    if not _ID.fullmatch(node_id):
        reading.note("an id is 1 to 128 of the characters A-Z a-z 0-9 _ -", node_id, "id")
    return NodeID(node_id)


def _has_nodes(body: Any) -> bool:
    """Whether this is the body of a container; editors leave empty ones behind."""
    return isinstance(body, Mapping) and bool(body.get("nodes"))


def _fill_titles(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_definition(body).raw if isinstance(body.get("nodes"), list | tuple) else body


def _title_of(item: Mapping[str, Any], node_id: str, reading: Reading) -> str:
    title = item.get("title")
    if title is None:
        return node_id
    try:
        check_text(title, "the title", MAX_TITLE)
    except Invalid as error:
        reading.note(error.message, node_id, "title")
        return node_id
    return str(title) if title.strip() else node_id


def _text_at(
    item: Mapping[str, Any], name: str, node_id: str | None, reading: Reading, *, required: bool = False
) -> str | None:
    value = item.get(name)
    if isinstance(value, str):
        return value
    if value is not None:
        reading.note(f"must be text, not {kind(value)}", node_id, name)
    elif required:
        reading.note("is missing", node_id, name)
    return None


def _object_at(
    item: Mapping[str, Any], name: str, node_id: str, reading: Reading
) -> Mapping[str, Any] | None:
    value = item.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    reading.note(f"must be an object, not {kind(value)}", node_id, name)
    return None


def _check_numbers(item: Mapping[str, Any], node_id: str, reading: Reading) -> None:
    for name, parts in (("coordinates", ("x", "y")), ("dimensions", ("width", "height"))):
        place = _object_at(item, name, node_id, reading) or {}
        for part in parts:
            value = place.get(part)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                reading.note(f"must be a number, not {kind(value)}", node_id, f"{name}.{part}")


def _read_link(item: Any, index: int, reading: Reading) -> None:
    at = f"links[{index}]"
    if not isinstance(item, Mapping):
        reading.note(f"must be an object, not {kind(item)}", at=at)
        return
    texts = {name: item.get(name) for name in ("source_id", "target_id", "source_handle", "target_handle")}
    for name, value in texts.items():
        if value is None and name.endswith("_id"):
            reading.note("is missing", at=f"{at}.{name}")
        elif value is not None and not isinstance(value, str):
            reading.note(f"must be text, not {kind(value)}", at=f"{at}.{name}")
    source_id, target_id = texts["source_id"], texts["target_id"]
    if isinstance(source_id, str) and isinstance(target_id, str):
        reading.links.append(
            Link(
                source_id=NodeID(source_id),
                target_id=NodeID(target_id),
                source_handle=_handle(texts["source_handle"]),
                target_handle=_handle(texts["target_handle"]),
            )
        )


def _handle(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
