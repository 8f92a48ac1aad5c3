"""What the parts of one JSON Schema are, and which of them refer to which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from rowel.core.errors import Invalid

Part = Mapping[str, Any]

#: Parts one schema may have.
MAX_PARTS = 10_000
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
#: Keywords whose schemas judge the value itself.
_HERE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
#: Keywords whose schemas judge parts of the value, in groups: of one group, one item gets one schema.
_ONE_BY_NAME = "properties"
_ONE_BY_PLACE = "prefixItems"
_EACH = (
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "contentSchema",
)
_DEFINITIONS = ("$defs", "definitions")
#: Under these lie schemas by name; under the others a schema or a list of them.
_NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies", *_DEFINITIONS)


class Refs:
    """The references of one schema. Raises `Invalid` where one leads out of it or nowhere."""

    def __init__(self, schema: Part) -> None:
        self.root = schema
        self.has_alternatives = False
        self._anchors: dict[str, Part] = {}
        written = list(self._walk([schema], follow=False))
        for part in written:
            self._learn(part)
        #: Every part, those included that only a reference makes one.
        self.parts: tuple[Part, ...] = tuple(self._walk(written, follow=True))

    def here(self, part: Part) -> list[Part]:
        """The parts that judge the same value as this one does."""
        found = [schema for word in _HERE for schema in _under(part, word)]
        return found + [target for word in _REFERENCES if (target := self._target(part, word)) is not None]

    def one_of(self, part: Part) -> list[list[Part]]:
        """Groups of parts that judge something inside the value, each thing by one part of a group at most."""
        return [_under(part, _ONE_BY_NAME), _under(part, _ONE_BY_PLACE)]

    def each(self, part: Part) -> list[Part]:
        """The parts that may judge everything inside the value."""
        return [schema for word in _EACH for schema in _under(part, word)]

    def merged(self, part: Any) -> Iterator[Part]:
        """The part, what it refers to and what it is made of: all that surely holds."""
        seen: set[int] = set()
        waiting = [part]
        while waiting:
            part = waiting.pop(0)
            if isinstance(part, Mapping) and id(part) not in seen:
                seen.add(id(part))
                yield part
                waiting += [
                    target for word in _REFERENCES if (target := self._target(part, word)) is not None
                ]
                waiting += _under(part, "allOf")

    def types(self, part: Any) -> frozenset[str]:
        """JSON's type words a value of this part may have; empty where it doesn't say."""
        seen: set[int] = set()
        found: set[str] = set()
        waiting = [part]
        while waiting:
            for piece in self.merged(waiting.pop()):
                if id(piece) not in seen:
                    seen.add(id(piece))
                    found |= _declared(piece)
                    waiting += [*_under(piece, "anyOf"), *_under(piece, "oneOf")]
        return frozenset(found)

    def _walk(self, parts: list[Part], *, follow: bool) -> Iterator[Part]:
        seen: set[int] = set()
        waiting = list(parts)
        while waiting:
            part = waiting.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if len(seen) > MAX_PARTS:
                raise Invalid(f"a JSON schema may have {MAX_PARTS:,} parts; this one has more")
            yield part
            words = (*_HERE, _ONE_BY_NAME, _ONE_BY_PLACE, *_EACH, *_DEFINITIONS)
            waiting += [schema for word in words for schema in _under(part, word)]
            if follow:
                waiting += self.here(part)

    def _learn(self, part: Part) -> None:
        if part is not self.root and any(isinstance(part.get(word), str) for word in ("$id", "id")):
            raise Invalid("a part of the schema has an '$id' of its own; only the whole schema may have one")
        self.has_alternatives |= any(word in part for word in ("anyOf", "oneOf"))
        for word in _ANCHORS:
            if isinstance(part.get(word), str):
                self._anchors[part[word]] = part

    def _target(self, part: Part, word: str) -> Part | None:
        reference = part.get(word)
        if not isinstance(reference, str):
            return None
        if not reference.startswith("#"):
            raise Invalid(f"{word} {reference!r} leads out of the schema; only '#...' is followed")
        target = self._resolve(unquote(reference[1:]))
        if target is None or not isinstance(target, Mapping | bool):
            raise Invalid(f"{word} {reference!r} names no part of the schema")
        return target if isinstance(target, Mapping) else None

    def _resolve(self, pointer: str) -> Any:
        if not pointer.startswith("/"):
            return self._anchors.get(pointer) if pointer else self.root
        found: Any = self.root
        for step in pointer[1:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and len(key) < 10 and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping):
                found = found.get(key)
            else:
                return None
        return found


def _under(part: Part, word: str) -> list[Part]:
    """The schemas that lie under a keyword; `true` and `false` judge nothing further."""
    given = part.get(word)
    if word in _NAMED:
        given = list(given.values()) if isinstance(given, Mapping) else []
    candidates = given if isinstance(given, list) else [given]
    return [schema for schema in candidates if isinstance(schema, Mapping)]


def _declared(part: Part) -> set[str]:
    given = part.get("type")
    if isinstance(given, str):
        return {given}
    if isinstance(given, list):
        return {word for word in given if isinstance(word, str)}
    values = [part["const"]] if "const" in part else part.get("enum")
    return {_type_of(value) for value in values} if isinstance(values, list) else set()


def _type_of(value: Any) -> str:
    return next(word for types, word in _TYPES if isinstance(value, types))


_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (type(None), "null"),
    (list, "array"),
    (object, "object"),
)
