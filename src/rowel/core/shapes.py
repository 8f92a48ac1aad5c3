"""Reads the JSON of a definition into frozen values and notes whatever has the wrong shape. Never raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowel.core.definition import Definition, Link, NodeID, NodeSpec
from rowel.core.errors import Problem

SPUR_TYPES = ("workflow", "chatbot", "agent")
TITLE_LIMIT = 256

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass
class Reading:
    """A definition as far as it could be read, and what could not."""

    nodes: list[NodeSpec] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Nodes that have a problem already: what their config says can't be judged.
    broken: set[str] = field(default_factory=set)

    @property
    def definition(self) -> Definition:
        return Definition(nodes=tuple(self.nodes), links=tuple(self.links), raw=self.raw)

    def note(self, message: str, node_id: str | None = None, at: str | None = None) -> None:
        self.problems.append(Problem(message, node_id, at))
        if node_id is not None:
            self.broken.add(node_id)


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


def kind(value: Any) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, Mapping) else "a list"


def shorten(text: str, limit: int = 80) -> str:
    """A user's text as it may stand in a message."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")


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


def _read_node(item: Any, index: int, reading: Reading) -> Any:
    """Read one node and return its JSON with the title filled in."""
    if not isinstance(item, Mapping):
        reading.note(f"must be an object, not {kind(item)}", at=f"nodes[{index}]")
        return item
    node_id = item.get("id")
    if not isinstance(node_id, str):
        reading.note(
            "is missing" if node_id is None else f"must be a text, not {kind(node_id)}",
            at=f"nodes[{index}].id",
        )
        return item
    if not _ID.fullmatch(node_id):
        reading.note("an id is 1 to 128 of the characters A-Z a-z 0-9 _ -", shorten(node_id)[1:-1], "id")
    config = _object_at(item, "config", node_id, reading)
    held = _object_at(item, "subworkflow", node_id, reading)
    _check_numbers(item, node_id, reading)
    spec = NodeSpec(
        id=NodeID(node_id),
        title=_title_of(item, node_id, reading),
        node_type=_text_at(item, "node_type", node_id, reading, required=True) or "",
        config=config or {},
        parent_id=_parent_of(item, node_id, reading),
        subworkflow=held_body(config or {}, held),
    )
    reading.nodes.append(spec)
    filled = {**item, "title": spec.title}
    return {**filled, "subworkflow": _fill_titles(held)} if held else filled


def held_body(config: Mapping[str, Any], held: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The body a node holds itself: `config.subworkflow`, else its `subworkflow`. Without nodes it's none."""
    for body in (config.get("subworkflow"), held):
        if isinstance(body, Mapping) and body.get("nodes"):
            return body
    return None


def _fill_titles(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_definition(body).raw if isinstance(body.get("nodes"), list | tuple) else body


def _title_of(item: Mapping[str, Any], node_id: str, reading: Reading) -> str:
    title = _text_at(item, "title", node_id, reading)
    if not title:
        return node_id
    if len(title) > TITLE_LIMIT:
        reading.note(f"has {len(title):,} characters; the limit is {TITLE_LIMIT}", node_id, "title")
    if _UNPRINTABLE.search(title):
        reading.note("must not contain control characters or lone surrogates", node_id, "title")
    return title


def _parent_of(item: Mapping[str, Any], node_id: str, reading: Reading) -> NodeID | None:
    parent_id = _text_at(item, "parent_id", node_id, reading)
    return NodeID(parent_id) if parent_id else None


def _text_at(
    item: Mapping[str, Any], name: str, node_id: str | None, reading: Reading, *, required: bool = False
) -> str | None:
    value = item.get(name)
    if isinstance(value, str):
        return value
    if value is not None:
        reading.note(f"must be a text, not {kind(value)}", node_id, name)
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
            reading.note(f"must be a text, not {kind(value)}", at=f"{at}.{name}")
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
