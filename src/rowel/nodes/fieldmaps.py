"""`input_map` and `output_map`: {field: "title.path"}, picked from what a node received."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, NodeFailed, Problem
from rowel.core.paths import look_up


def pick(name: str, field_map: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return {field: what its path names in `values`}. `name` is the config field, for messages.

    Raises `NodeFailed` naming the field whose path leads nowhere.
    """
    picked = {}
    for field, path in field_map.items():
        try:
            picked[field] = look_up(values, path)
        except Invalid as error:
            raise NodeFailed(f"{name}, field {field!r}: {error.message}") from None
    return picked


def find_empty_paths(spec: NodeSpec, name: str, field_map: Mapping[str, str] | None) -> Iterable[Problem]:
    """A problem for each field whose path is blank."""
    for field, path in (field_map or {}).items():
        if not path.strip():
            yield Problem(f"field {field!r} needs a path such as title.field", spec.id, f"config.{name}")
