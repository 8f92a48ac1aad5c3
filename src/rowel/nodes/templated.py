"""Config fields that hold templates: text, or JSON with templates in its strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.core.templates import Template
from rowel.nodes.base import Config


class TemplatedFields:
    """The named fields of a config, their templates compiled once."""

    def __init__(self, config: Config, *fields: str) -> None:
        """Raises `Invalid`, naming the place, where a template does not parse."""
        self._compiled = {field: _compile(getattr(config, field), field) for field in fields}

    def render(self, inputs: Fields) -> dict[str, Any]:
        """Return each field with `inputs` put in: text stays text, other JSON keeps its form.

        Raises `NodeFailed`, naming the place, where a template asks for what is not there.
        """
        return {field: _render(compiled, inputs, field) for field, compiled in self._compiled.items()}


def template_problems(spec: NodeSpec, config: Config, fields: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for every template in these fields that does not parse."""
    for field in fields:
        for place, source in _texts(getattr(config, field), f"config.{field}"):
            try:
                Template(source)
            except Invalid as error:
                yield Problem(error.message, spec.id, place)


def _compile(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return {name: _compile(child, f"{place}.{name}") for name, child in value.items()}
    if isinstance(value, list):
        return [_compile(child, f"{place}.{number}") for number, child in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        return Template(value)
    except Invalid as error:
        raise Invalid(f"{place}: {error.message}") from None


def _render(compiled: Any, inputs: Fields, place: str) -> Any:
    if isinstance(compiled, dict):
        return {name: _render(child, inputs, f"{place}.{name}") for name, child in compiled.items()}
    if isinstance(compiled, list):
        return [_render(child, inputs, f"{place}.{number}") for number, child in enumerate(compiled)]
    if not isinstance(compiled, Template):
        return compiled
    try:
        return compiled.render(inputs)
    except Invalid as error:
        raise NodeFailed(f"{place}: {error.message}") from None


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a value with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _texts(child, f"{place}.{name}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _texts(child, f"{place}.{number}")
