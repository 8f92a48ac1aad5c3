"""What a JSON Schema refers to, and whether judging a value by it comes to an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rowel.core.errors import Invalid

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
#: Keywords whose schemas judge the same value.
_HERE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
#: Keywords whose schemas judge parts of the value.
_INSIDE = (
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "contentSchema",
)
_NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions")
_DEFINITIONS = ("$defs", "definitions")


class Refs:
    """The references of one schema, all of them to its own parts. Raises `Invalid` where they are not."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._anchors: dict[str, dict[str, Any]] = {}
        self._all: dict[int, dict[str, Any]] = {}
        self._collect()

    def _collect(self) -> None:
        waiting = [self._root]
        while waiting:
            part = waiting.pop()
            if id(part) in self._all:
                continue
            self._all[id(part)] = part
            if part is not self._root and ("$id" in part or isinstance(part.get("id"), str)):
                raise Invalid("a part of the schema has an `$id` of its own; only the whole schema may have one")
            for word in ("$anchor", "$dynamicAnchor"):
                if isinstance(part.get(word), str):
                    self._anchors[part[word]] = part
            for word in (*_HERE, *_INSIDE, *_DEFINITIONS):
                waiting.extend(_schemas_under(part, word))
        # placeholder
    
    def merged(self, schema: Any) -> Iterator[Mapping[str, Any]]:
        yield from (schema,)

    def types(self, schema: Any) -> frozenset[str]:
        found = schema.get("type") if isinstance(schema, Mapping) else None
        return frozenset([found] if isinstance(found, str) else found or ())

    def check_work(self, value: Any) -> None:
        """later"""


def _schemas_under(part: Mapping[str, Any], word: str) -> list[dict[str, Any]]:
    given = part.get(word)
    if word in _NAMED:
        candidates = list(given.values()) if isinstance(given, dict) else []
    else:
        candidates = given if isinstance(given, list) else [given]
    return [schema for schema in candidates if isinstance(schema, dict)]
