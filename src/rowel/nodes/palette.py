"""How a node type looks to an editor: the shape that the reference's clients read, and what ours add."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict
from typing import Any

from rowel.core.traits import Traits
from rowel.nodes.base import Node

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_COLORS = ("#1c7ed6", "#2f9e44", "#f08c00", "#e03131", "#7048e8", "#0c8599", "#c2255c", "#5f3dc4", "#66a80f")


def describe_type(node_type: type[Node[Any]], traits: Traits) -> dict[str, Any]:
    """Return one node type as JSON: `config` is the JSON Schema of its config, `template_fields` those that hold
    templates; `visual_tag` is an acronym and a color."""
    name = node_type.__name__
    title = title_of(name)
    fields = node_type.config_type.model_fields
    return {
        "name": name,
        "title": title,
        "description": inspect.getdoc(node_type) or "",
        "category": node_type.category,
        "config": {**node_type.config_type.model_json_schema(), "title": title},
        "input": _open_schema(f"{name}Input"),
        "output": _open_schema(f"{name}Output"),
        "has_fixed_output": "has_fixed_output" in fields and fields["has_fixed_output"].default is True,
        "visual_tag": _tag_of(title, node_type.category),
        "traits": asdict(traits),
        "template_fields": list(node_type.template_fields()),
    }


def title_of(name: str) -> str:
    """`SingleLLMCallNode` as people read it: `Single LLM Call`."""
    return " ".join(_WORD_START.split(name.removesuffix("Node") or name))


def _open_schema(title: str) -> dict[str, Any]:
    """What a node takes and gives depends on its neighbours and its config."""
    return {"type": "object", "title": title, "properties": {}}


def _tag_of(title: str, category: str) -> dict[str, str]:
    acronym = "".join(word[0] for word in title.split()).upper()
    return {"acronym": acronym, "color": _COLORS[sum(map(ord, category)) % len(_COLORS)]}
