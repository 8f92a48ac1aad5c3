"""Templates: text with `{{title.field}}` in it, in Jinja2's language over plain data.

A rendering can't reach anything but the values given, and it ends: source, result and work are bounded. What a value
holds is never rendered again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.exceptions import TemplateError, TemplateSyntaxError, UndefinedError

from rowel.core.errors import Invalid
from rowel.core.paths import what_is_there
from rowel.core.templating.environment import MissingName, Templates
from rowel.core.templating.meter import KEY, Meter, check_length
from rowel.core.templating.names import Names

#: Characters of a template.
MAX_SOURCE = 1024 * 1024
#: Compiled forms kept of one template; a workflow asks for one or two.
_MAX_FORMS = 16

_ENVIRONMENT = Templates()


class Template:
    """A template compiled once. It may be rendered from several threads.

    Text is put in as it is, null as nothing, lists and objects as JSON, the rest as Python writes it (`True`, `1.5`).
    Fields win over methods: `{{x.items}}` is the field. Asking for something that is missing is lawful in `if`, `or`,
    `is defined` and `default`; printing it or looping over it is not.
    """

    def __init__(self, source: str) -> None:
        """Compile `source`. Raises `Invalid` ("line 3: ...") where it doesn't parse."""
        if len(source) > MAX_SOURCE:
            raise Invalid(f"a template has {len(source):,} characters; the limit is {MAX_SOURCE:,}")
        self.source = source
        self._names = _read(source) if any(mark in source for mark in ("{{", "{%", "{#")) else None
        #: Compiled forms, by the odd titles that are among the values.
        self._forms: dict[frozenset[str], _Form] = {}
        if self._names is not None:
            self._check(self._names)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The top-level names it uses: titles, for the most part. Where `a-b` may be a title, `a`, `b` and `a-b`."""
        if self._names is None:
            return frozenset()
        form = next(iter(self._forms.values()))
        return form.variables() | self._names.candidates

    def render(self, values: Mapping[str, Any]) -> str:
        """Put `values` in: plain JSON values by title. Raises `Invalid` naming the line and what is missing or went
        wrong there."""
        if self._names is None:
            return self.source
        return self._form(self._names, self._names.candidates.intersection(values)).render(values)

    def _check(self, names: Names) -> None:
        """Compile as if no odd title were meant, and where that is no template, as if all were."""
        try:
            self._form(names, frozenset())
        except Invalid:
            if not names.candidates:
                raise
            self._forms[frozenset()] = self._form(names, names.candidates)

    def _form(self, names: Names, titles: frozenset[str]) -> _Form:
        form = self._forms.get(titles)
        if form is None:
            form = _Form(names, titles)
            if len(self._forms) < _MAX_FORMS:
                self._forms[titles] = form
        return form


class _Form:
    """A template compiled with some titles taken for names."""

    def __init__(self, names: Names, titles: Collection[str]) -> None:
        self._source, self._titles = names.rewrite(titles)
        self._candidates = sorted(names.candidates, key=len, reverse=True)
        self._compiled = _compile(self._source)

    def variables(self) -> frozenset[str]:
        found = meta.find_undeclared_variables(_ENVIRONMENT.parse(self._source))
        return frozenset(found) - set(_ENVIRONMENT.globals) - set(self._titles)

    def render(self, values: Mapping[str, Any]) -> str:
        renamed = {name: values[title] for name, title in self._titles.items() if title in values}
        context = self._compiled.new_context({**values, **renamed, KEY: Meter()})
        try:
            parts = list(self._compiled.root_render_func(context))
        except Exception as error:  # noqa: BLE001 - user's operations may raise anything; all of it is their mistake
            raise self._explain(error, values) from None
        check_length(sum(map(len, parts)))
        return "".join(parts)

    def _explain(self, error: Exception, values: Mapping[str, Any]) -> Invalid:
        """The sentence for what went wrong while rendering."""
        message = str(error) or type(error).__name__
        if isinstance(error, MissingName):
            message = self._explain_name(error.name, values)
        elif isinstance(error, RecursionError):
            message = "the template nests or calls itself too deep"
        elif not isinstance(error, Invalid | UndefinedError):
            message = f"{message} ({type(error).__name__})"
        line = self._line(error.__traceback__)
        return Invalid(f"line {line}: {message}" if line else message)

    def _explain_name(self, name: str, values: Mapping[str, Any]) -> str:
        """A missing `node` may well have been meant as part of the title `node-1`."""
        title = self._titles.get(name) or next(
            (one for one in self._candidates if one.startswith(f"{name}-")), name
        )
        return f"there is no {title!r}; {what_is_there(values) if values else 'nothing was received'}"

    def _line(self, trace: TracebackType | None) -> int:
        """The template's line in which the innermost of its own frames was."""
        line = 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<template>":
                line = self._compiled.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line


def _read(source: str) -> Names:
    try:
        return Names(_ENVIRONMENT.lexer, source)
    except TemplateSyntaxError as error:
        raise Invalid(f"line {error.lineno}: {error.message}") from None


def _compile(source: str) -> jinja2.Template:
    try:
        return _ENVIRONMENT.from_string(source)
    except TemplateSyntaxError as error:
        raise Invalid(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, MemoryError, SyntaxError):
        raise Invalid("the template is nested too deep") from None
    except (ValueError, OverflowError, TemplateError) as error:
        raise Invalid(f"the template can't be compiled: {error}") from None
