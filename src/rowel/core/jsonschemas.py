"""JSON Schemas, compiled once and safe to run: no schema can fetch anything, and none can run without end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema_rs

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.schemarefs import Refs


class JSONSchema:
    """A compiled JSON Schema. It may be used from several threads."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._refs = Refs(schema)
        self._validator = _validator(schema)
        self.properties: Mapping[str, Any] = self._collect_properties()
        self.required = frozenset(
            name for part in self._refs.merged(schema) for name in part.get("required", ()) if isinstance(name, str)
        )

    def problems(self, value: Any) -> Iterator[str]:
        """What is wrong with `value`, each with the path of the field."""
        self._refs.check_work(value)
        try:
            yield from map(_describe, self._validator.iter_errors(value))
        except UnicodeEncodeError:
            yield from map(_describe, self._validator.iter_errors(_without_surrogates(value)))
        except ValueError as error:
            yield f"the value can't be judged: {error}"

    def types_of(self, field: str) -> frozenset[str]:
        """JSON's type words that the property may have; empty where the schema doesn't say."""
        return self._refs.types(self.properties.get(field, {}))

    def _collect_properties(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in self._refs.merged(self.schema):
            found |= part.get("properties", {})
        return found


def compile_schema(schema: str | Mapping[str, Any]) -> JSONSchema:
    """Compile a JSON Schema given as text or object; equal ones are compiled once.

    Raises `Invalid` for text that is not JSON or nests deeper than 64 levels, for a schema that is not valid by its
    own draft, and for references that leave it or never end.
    """
    if isinstance(schema, str):
        schema = jsontext.parse(schema)
    if not isinstance(schema, Mapping):
        raise Invalid(f"a JSON schema must be an object, not {jsontext.kind(schema)}")
    if jsontext.depth(schema) > jsontext.MAX_DEPTH:
        raise Invalid(f"a JSON schema may nest {jsontext.MAX_DEPTH} levels deep; this one is deeper")
    return _compile(jsontext.dump(schema))


@lru_cache(maxsize=512)
def _compile(text: str) -> JSONSchema:
    return JSONSchema(jsontext.parse(text))


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """The linear regex engine: a pattern can't hang, but one with look-around or back-references is refused."""
    try:
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, UnicodeEncodeError, jsonschema_rs.ReferencingError) as error:
        where = ".".join(map(str, getattr(error, "instance_path", ())))
        said = getattr(error, "message", None) or str(error)
        raise Invalid(f"not a valid JSON schema{f' at {where}' if where else ''}: {said}") from None


def _describe(error: jsonschema_rs.ValidationError) -> str:
    path = _path(error.instance_path)
    return f"field {path!r}: {error.message}" if path else error.message


def _path(parts: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _without_surrogates(value: Any) -> Any:
    """The same value for judging: Rust has no lone surrogates, so each becomes one other character."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    return jsontext.parse(text.decode("utf-16", "replace"))
