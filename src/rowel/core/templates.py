"""Templates: text with `{{title.field}}` in it, in Jinja2's language over plain data.

A rendering can't reach anything but the values given, and it ends: source, result and work are bounded. What a value
holds is never rendered again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.exceptions import TemplateError, TemplateSyntaxError, UndefinedError

from rowel.core.errors import Invalid
from rowel.core.paths import what_is_there
from rowel.core.templating.environment import MissingValue, Templates
from rowel.core.templating.meter import KEY, Meter, check_length

#: Characters of a template.
MAX_SOURCE = 1024 * 1024

_ENVIRONMENT = Templates()


class Template:
    """A template compiled once. It may be rendered from several threads.

    Text values are put in as they are, null as nothing, lists and objects as JSON, anything else as Python writes it.
    """

    def __init__(self, source: str, names: Collection[str] = ()) -> None:
        """Compile `source`. Raises `Invalid` ("line 3: ...") where it doesn't parse."""
        if len(source) > MAX_SOURCE:
            raise Invalid(f"a template has {len(source):,} characters; the limit is {MAX_SOURCE:,}")
        self.source = source
        #: Top-level names the template asks for.
        self.variables: frozenset[str] = frozenset()
        self._compiled: jinja2.Template | None = None
        if any(mark in source for mark in ("{{", "{%", "{#")):
            self._compiled = _compile(source)
            self.variables = frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(source))) - {
                *_ENVIRONMENT.globals
            }

    def render(self, values: Mapping[str, Any]) -> str:
        """Put `values` in. Raises `Invalid` naming the line and what is missing or went wrong there."""
        if self._compiled is None:
            return self.source
        context = self._compiled.new_context({**values, KEY: Meter()})
        try:
            parts = list(self._compiled.root_render_func(context))
        except Exception as error:
            raise _explain(error, self._compiled, values) from None
        check_length(sum(map(len, parts)))
        return "".join(parts)


def _compile(source: str) -> jinja2.Template:
    try:
        return _ENVIRONMENT.from_string(source)
    except TemplateSyntaxError as error:
        raise Invalid(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, MemoryError, SyntaxError):
        raise Invalid("the template is nested too deep") from None
    except (ValueError, OverflowError, TemplateError) as error:
        raise Invalid(f"the template can't be compiled: {error}") from None


def _explain(error: Exception, compiled: jinja2.Template, values: Mapping[str, Any]) -> Invalid:
    """The sentence for what went wrong while rendering."""
    line = _line(error.__traceback__, compiled)
    where = f"line {line}: " if line else ""
    if isinstance(error, MissingValue) and error.is_name:
        return Invalid(f"{where}{error}; {what_is_there(values)}")
    if isinstance(error, Invalid | UndefinedError):
        return Invalid(f"{where}{error}")
    if isinstance(error, RecursionError):
        return Invalid(f"{where}the template calls itself too deep")
    return Invalid(f"{where}{error or type(error).__name__}")


def _line(trace: TracebackType | None, compiled: jinja2.Template) -> int:
    """The template's line in which the innermost of its own frames was."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = compiled.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
