"""Schemas of inputs, outputs and forms: field maps ({field: type}) and JSON Schemas behind one face."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.fieldtypes import FieldType, parse_type
from rowel.core.jsonschemas import JSONSchema, compile_schema

_MAX_PROBLEMS = 100


class Schema:
    """What a value must look like. Make one with `of`, `from_fields` or `from_json`; it never changes.

    Every field of a field map is required unless its type is Optional, and null is lawful in each of them. A JSON
    Schema decides both for itself.
    """

    #: Field name to type: a `FieldType`, or the JSON Schema of that property.
    fields: Mapping[str, Any]
    required: frozenset[str]
    #: An equal JSON Schema (a field map's types as they are written, null only where Optional).
    json_schema: dict[str, Any]

    @staticmethod
    def of(config: Mapping[str, Any] | BaseModel, *names: str) -> Schema | None:
        """The schema in the first of the config fields `names` that is there and not empty; None where none is.

        Text is a JSON Schema, and so is an object in a field called `form` or `...json_schema`; any other object
        is a field map unless it is plainly a JSON Schema. Raises `Invalid`, naming the config field.
        """
        for name in names:
            given = getattr(config, name, None) if isinstance(config, BaseModel) else config.get(name)
            try:
                schema = _read(name, given)
            except Invalid as error:
                raise Invalid(f"{name}: {error.message}") from None
            if schema is not None:
                return schema
        return None

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> Schema:
        """A schema from {field: type}. Raises `Invalid` for an unknown type word."""
        return _FieldMap(fields)

    @staticmethod
    def from_json(schema: str | Mapping[str, Any]) -> Schema:
        """A schema from a JSON Schema, as text or object. Raises `Invalid` when it is not a valid one, refers to
        anything but parts of itself, or could run without end."""
        return _JSON(compile_schema(schema))

    def problems(self, value: Any) -> list[str]:
        """All that is wrong with `value` (at most 100), each with the path of the field; empty when it fits."""
        return list(islice(self._problems(value), _MAX_PROBLEMS))

    def types_of(self, field: str) -> frozenset[str]:
        """JSON's type words that the field may have (`string`, `integer`, ...); empty where nothing is declared."""
        raise NotImplementedError

    def from_cell(self, field: str, text: str) -> Any:
        """Read a CSV cell by the field's type. An empty cell is null; text stays text in a string field and in one
        without a type. Raises `Invalid` naming the field and the text that doesn't fit."""
        if text == "":
            return None
        types = self.types_of(field)
        if not types or "string" in types:
            return text
        for name, read in _CELLS:
            if name in types and (found := read(text)) is not _NO_FIT:
                return found
        wanted = " or ".join(sorted(types - {"null"}))
        shown = text if len(text) <= 80 else f"{text[:80]}..."
        raise Invalid(f"field {field!r}: {shown!r} is not {wanted}")

    def _problems(self, value: Any) -> Iterator[str]:
        raise NotImplementedError


class _FieldMap(Schema):
    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields: Mapping[str, FieldType] = {name: _type_of(name, text) for name, text in fields.items()}
        self.required = frozenset(name for name, type_ in self.fields.items() if not type_.is_optional)
        self.json_schema = {
            "type": "object",
            "properties": {name: type_.json_schema for name, type_ in self.fields.items()},
            "required": [name for name in self.fields if name in self.required],
        }

    def types_of(self, field: str) -> frozenset[str]:
        kinds = self.fields[field].kinds if field in self.fields else ()
        return frozenset() if "any" in kinds else frozenset(kinds)

    def _problems(self, value: Any) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"expected an object, got {jsontext.kind(value)}"
            return
        for name, type_ in self.fields.items():
            if name not in value:
                if name in self.required:
                    yield f"field {name!r} is missing"
            elif value[name] is not None:
                yield from type_.problems(value[name], name)


class _JSON(Schema):
    def __init__(self, compiled: JSONSchema) -> None:
        self._compiled = compiled
        self.fields = compiled.properties
        self.required = compiled.required
        self.json_schema = compiled.schema

    def types_of(self, field: str) -> frozenset[str]:
        return self._compiled.types_of(field)

    def _problems(self, value: Any) -> Iterator[str]:
        return self._compiled.problems(value)


def _read(name: str, given: Any) -> Schema | None:
    if given is None or given == {} or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, str):
        given = jsontext.parse(given)
        return None if given == {} else Schema.from_json(given)
    if not isinstance(given, Mapping):
        raise Invalid(f"a schema must be an object, not {jsontext.kind(given)}")
    if name == "form" or name.endswith("json_schema") or _is_plainly_json_schema(given):
        return Schema.from_json(given)
    return Schema.from_fields(given)


def _is_plainly_json_schema(given: Mapping[str, Any]) -> bool:
    """A field map holds words only, so one with objects under a schema's own keywords is none."""
    return any(isinstance(given.get(word), dict | list) for word in ("properties", "allOf", "anyOf", "oneOf"))


def _type_of(name: str, text: Any) -> FieldType:
    try:
        return parse_type(text)
    except Invalid as error:
        raise Invalid(f"field {name!r}: {error.message}") from None


_NO_FIT = object()
_INTEGER = re.compile(r"[+-]?[0-9]{1,4300}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _integer(text: str) -> Any:
    return int(text) if _INTEGER.fullmatch(text := text.strip()) else _NO_FIT


def _number(text: str) -> Any:
    """An integer stays exact; anything else is a float that is finite."""
    if (whole := _integer(text)) is not _NO_FIT:
        return whole
    number = float(text) if _DECIMAL.fullmatch(text := text.strip()) else float("inf")
    return number if abs(number) != float("inf") else _NO_FIT


def _flag(text: str) -> Any:
    return _FLAGS.get(text.strip().lower(), _NO_FIT)


def _json(type_: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = jsontext.parse(text)
        except Invalid:
            return _NO_FIT
        return value if isinstance(value, type_) else _NO_FIT

    return read


#: How a cell is read, in the order tried. A number is tried before a flag, so that "1" in an `integer or boolean`
#: field is the number.
_CELLS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("integer", _integer),
    ("number", _number),
    ("boolean", _flag),
    ("array", _json(list)),
    ("object", _json(dict)),
)
