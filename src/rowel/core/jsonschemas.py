"""JSON Schemas, compiled once and safe to run: no schema can fetch anything, and none can run without end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema_rs

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.schemacost import Cost
from rowel.core.schemarefs import Refs

#: Characters of one schema.
MAX_TEXT = 1024 * 1024
#: Listing all that is wrong is slow, so beyond this work only one thing is told.
_LISTED = 20_000
_MAX_MESSAGE = 500
#: Steps a pattern with look-around may take back on one text.
_MAX_STEPS_BACK = 1000


class JSONSchema:
    """A compiled JSON Schema. It may be used from several threads."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._refs = Refs(schema)
        self._cost = Cost(self._refs)
        self._validator, self._has_slow_patterns = _validators(schema)
        parts = list(self._refs.merged(schema))
        self.properties: Mapping[str, Any] = {
            name: property_
            for part in reversed(parts)
            for name, property_ in part.get("properties", {}).items()
        }
        self.required = frozenset(name for part in parts for name in part.get("required", ()))

    def problems(self, value: Any) -> Iterator[str]:
        """What is wrong with `value`, each with the path of the field."""
        try:
            self._cost.check(value)
            if self._has_slow_patterns:
                self._cost.check_texts(value)
            yield from self._judge(value)
        except Invalid as error:
            yield error.message
        except (TypeError, ValueError) as error:
            yield f"this is not a JSON value: {error}"

    def types_of(self, field: str) -> frozenset[str]:
        """JSON's type words that the property may have; empty where the schema doesn't say."""
        return self._refs.types(self.properties.get(field, {}))

    def _judge(self, value: Any) -> Iterator[str]:
        try:
            is_valid = self._validator.is_valid(value)
        except ValueError:
            value = _without_surrogates(value)
            is_valid = self._validator.is_valid(value)
        if not is_valid:
            yield from self._explain(value)

    def _explain(self, value: Any) -> Iterator[str]:
        if self._cost.listing(value) <= _LISTED:
            yield from map(_describe, self._validator.iter_errors(value))
        elif self._refs.has_alternatives:
            yield "the value doesn't fit the schema; it is too large to say where"
        else:
            yield from self._first(value)

    def _first(self, value: Any) -> Iterator[str]:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            yield _describe(error)


def compile_schema(schema: str | Mapping[str, Any]) -> JSONSchema:
    """Compile a JSON Schema given as text or object; equal ones are compiled once.

    Raises `Invalid` for text that is not JSON or nests deeper than 64 levels, for a schema that is not valid by its
    own draft (the newest where it names none), and for references that leave it or never end.
    """
    if isinstance(schema, str):
        _check_length(schema)
        schema = jsontext.parse(schema)
    if not isinstance(schema, Mapping):
        raise Invalid(f"a JSON schema must be an object, not {jsontext.kind(schema)}")
    if jsontext.depth(schema) > jsontext.MAX_DEPTH:
        raise Invalid(f"a JSON schema may nest {jsontext.MAX_DEPTH} levels deep; this one is deeper")
    return _compile(jsontext.dump(schema))


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise Invalid(f"a JSON schema has {len(text):,} characters; the limit is {MAX_TEXT:,}")


@lru_cache(maxsize=256)
def _compile(text: str) -> JSONSchema:
    _check_length(text)
    return JSONSchema(jsontext.parse(text))


def _validators(schema: dict[str, Any]) -> tuple[jsonschema_rs.Validator, bool]:
    """The validator, and whether its patterns need one that goes back (look-around, back-references). Such patterns
    take up to the square of a text's length, others can't be slow."""
    try:
        return _validator(schema, jsonschema_rs.RegexOptions()), False
    except Invalid as error:
        try:
            return _validator(schema, jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_STEPS_BACK)), True
        except Invalid:
            raise error from None


def _validator(
    schema: dict[str, Any], patterns: jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions
) -> jsonschema_rs.Validator:
    """Values are masked, since messages are shown and logged."""
    try:
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=patterns, mask="this")
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        where = _path(getattr(error, "instance_path", ()))
        said = getattr(error, "message", None) or str(error)
        raise Invalid(f"not a valid JSON schema{f' at {where}' if where else ''}: {_clip(said)}") from None


def _describe(error: jsonschema_rs.ValidationError) -> str:
    path = _path(error.instance_path)
    said = "this is not allowed" if error.kind.name == "falseSchema" else _clip(error.message)
    return f"field {path!r}: {said}" if path else said


def _path(parts: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return _clip(text.removeprefix("."))


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."


def _without_surrogates(value: Any) -> Any:
    """The same value for judging: Rust has no lone surrogates, so each becomes one other character."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    return json.loads(text.decode("utf-16", "replace"))
