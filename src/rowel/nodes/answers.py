"""What a model's text is worth as a node's outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid, NodeFailed
from rowel.core.outcomes import Fields
from rowel.core.schemas import Schema

#: What an LLM node gives where its user declared nothing.
DEFAULT_SCHEMA = Schema.from_fields({"output": "string"})

_FENCED = re.compile(r"```[A-Za-z]*\s*\n(.*?)```", re.DOTALL)
#: Words in a JSON Schema that say no more than the field's type.
_BARE = frozenset({"type", "title"})
_LONGEST = 200


class AnswerReader:
    """Turns a model's text into outputs of one schema.

    - A JSON object that fits the schema is taken, for the default schema too.
    - With the default schema, `{output: string}`, any other text is the output as it is.
    - A schema of one text field takes plain text too: text that shows no sign of being JSON.
    - Otherwise a JSON object inside a code fence or inside other text is looked for, and must fit.
    """

    def __init__(self, schema: Schema | None, *, enforced: bool = True) -> None:
        """`enforced` False takes any JSON object, whatever its fields."""
        self._schema = schema or DEFAULT_SCHEMA
        self._enforced = enforced
        self._text_field = _only_text_field(self._schema)
        self._is_default = _is_default(self._schema)

    @property
    def wanted(self) -> Mapping[str, Any] | None:
        """The JSON Schema to ask the model for; None for the default schema, which is asked for as plain text."""
        return None if self._is_default else self._schema.json_schema

    def read(self, text: str) -> Fields:
        """Return the outputs in `text`. Raises `NodeFailed` saying what is wrong and how the text began."""
        wrong = "it is not JSON"
        for found in self._objects(text):
            problems = self._problems(found)
            if not problems:
                return found
            wrong = f"it doesn't fit the output schema ({'; '.join(problems[:3])})"
        if self._takes_plain(text):
            return self._plain(text)
        raise NodeFailed(f"the model's answer can't be used: {wrong}. It began: {_beginning(text)}")

    def show(self, outputs: Fields) -> str:
        """Return outputs as one text, for a model that reads them."""
        field = self._text_field
        return str(outputs[field]) if field and field in outputs else jsontext.dump(dict(outputs))

    def _problems(self, found: Fields) -> list[str]:
        if self._is_default and "output" not in found:
            return ["'output' is missing"]  # which a JSON Schema may leave unsaid
        return self._schema.problems(found) if self._enforced else []

    def _objects(self, text: str) -> Iterator[dict[str, Any]]:
        candidates = [text] if self._is_default else [text, *_FENCED.findall(text), _between_braces(text)]
        for candidate in candidates:
            try:
                found = jsontext.parse(candidate)
            except Invalid:
                continue
            if isinstance(found, dict):
                yield found

    def _takes_plain(self, text: str) -> bool:
        looks_like_json = text.lstrip().startswith(("{", "[", "```"))
        return self._is_default or (self._text_field is not None and not looks_like_json)

    def _plain(self, text: str) -> Fields:
        outputs = {self._text_field or "output": text}
        problems = self._problems(outputs)
        if problems:
            raise NodeFailed(
                f"the model's answer doesn't fit the output schema: {'; '.join(problems[:3])}."
                f" It began: {_beginning(text)}"
            )
        return outputs


def _only_text_field(schema: Schema) -> str | None:
    """Return the schema's field where it has just one and that one is text."""
    if len(schema.fields) != 1:
        return None
    field = next(iter(schema.fields))
    return field if schema.types_of(field) == {"string"} else None


def _is_default(schema: Schema) -> bool:
    """Say whether the schema is `{output: string}` and nothing more, in whatever words."""
    declared = schema.json_schema.get("properties", {}).get("output")
    return _only_text_field(schema) == "output" and isinstance(declared, dict) and declared.keys() <= _BARE


def _between_braces(text: str) -> str:
    return text[text.find("{") : text.rfind("}") + 1]


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")
