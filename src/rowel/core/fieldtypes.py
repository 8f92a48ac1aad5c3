"""The type words of field maps: `string`, `int`, `List[str]`, `Optional[Dict[str, float]]`, ..., in any case."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.jsontext import kind

_WORDS: Mapping[str, str] = {
    "string": "string",
    "str": "string",
    "integer": "integer",
    "int": "integer",
    "number": "number",
    "float": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "list": "array",
    "array": "array",
    "dict": "object",
    "object": "object",
    "any": "any",
    "none": "null",
    "null": "null",
}
_TOKEN = re.compile(r"\s*(?:(?:typing\.)?([a-z]+)|([\[\],|]))", re.IGNORECASE)
_MAX_LENGTH = 200


@dataclass(frozen=True)
class FieldType:
    """What one field may hold: any of `kinds` (JSON's type words, or `any`), lists and dicts of `item`."""

    kinds: tuple[str, ...]
    #: What a list's items or a dict's values are.
    item: FieldType | None = None

    @property
    def is_optional(self) -> bool:
        return "null" in self.kinds

    @property
    def json_schema(self) -> dict[str, Any]:
        if "any" in self.kinds:
            return {}
        schema: dict[str, Any] = {"type": self.kinds[0] if len(self.kinds) == 1 else list(self.kinds)}
        if self.item is not None:
            inner = self.item.json_schema
            schema |= {"items": inner} if "array" in self.kinds else {"additionalProperties": inner}
        return schema

    def problems(self, value: Any, path: str) -> Iterator[str]:
        """What is wrong with `value`, each with the path of what it is about."""
        if not any(_fits(kind, value) for kind in self.kinds):
            yield f"field {path!r}: expected {self}, got {kind(value)}"
        elif self.item is not None and isinstance(value, list | tuple):
            for number, item in enumerate(value):
                yield from self.item.problems(item, f"{path}[{number}]")
        elif self.item is not None and isinstance(value, Mapping):
            for key, item in value.items():
                yield from self.item.problems(item, f"{path}.{key}")

    def __str__(self) -> str:
        inner = f" of {self.item}" if self.item is not None else ""
        return " or ".join(self.kinds) + inner


def parse_type(text: Any) -> FieldType:
    """Read a type word. Raises `Invalid` naming the word that is unknown."""
    if not isinstance(text, str):
        raise Invalid(f"a type must be a word such as string or List[int], not {kind(text)}")
    if len(text) > _MAX_LENGTH:
        raise Invalid(f"a type has {len(text)} characters; the limit is {_MAX_LENGTH}")
    return _Reader(text).read()


class _Reader:
    """Recursive descent over one type's text; nesting is bounded by the text's length."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._split()

    def read(self) -> FieldType:
        found = self._union()
        if self.tokens:
            raise self._unknown()
        return found

    def _split(self) -> list[str]:
        tokens, at, end = [], 0, len(self.text.rstrip())
        while at < end:
            token = _TOKEN.match(self.text, at)
            if token is None:
                raise self._unknown()
            tokens.append((token[1] or token[2]).lower())
            at = token.end()
        return tokens

    def _unknown(self) -> Invalid:
        return Invalid(
            f"unknown type {self.text!r}; known are string, int, float, bool, list, dict, any, "
            "List[...], Dict[str, ...] and Optional[...]"
        )

    def _union(self) -> FieldType:
        parts = [self._one()]
        while self._take("|"):
            parts.append(self._one())
        return _join(parts)

    def _one(self) -> FieldType:
        word = self.tokens.pop(0) if self.tokens else ""
        if word in ("optional", "union"):
            parts = self._arguments()
            return _join([*parts, FieldType(("null",))] if word == "optional" else parts)
        if word not in _WORDS:
            raise self._unknown()
        name = _WORDS[word]
        arguments = self._arguments() if self.tokens[:1] == ["["] else []
        if len(arguments) > {"array": 1, "object": 2}.get(name, 0):
            raise self._unknown()
        return FieldType((name,), arguments[-1] if arguments else None)

    def _arguments(self) -> list[FieldType]:
        if not self._take("["):
            raise self._unknown()
        found = [self._union()]
        while self._take(","):
            found.append(self._union())
        if not self._take("]"):
            raise self._unknown()
        return found

    def _take(self, token: str) -> bool:
        taken = self.tokens[:1] == [token]
        if taken:
            del self.tokens[0]
        return taken


def _join(parts: list[FieldType]) -> FieldType:
    kinds = tuple(dict.fromkeys(kind for part in parts for kind in part.kinds))
    return FieldType(kinds, next((part.item for part in parts if part.item is not None), None))


def _fits(name: str, value: Any) -> bool:
    if name == "any":
        return True
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, float):
        return name == "number" and math.isfinite(value)
    return isinstance(value, _PYTHON[name])


_PYTHON: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": int,
    "boolean": bool,
    "array": (list, tuple),
    "object": Mapping,
    "null": type(None),
}
