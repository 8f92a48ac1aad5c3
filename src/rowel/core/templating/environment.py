"""The Jinja2 environment templates run in: plain data, listed methods, metered operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, missing, pass_context

from rowel.core.errors import Invalid
from rowel.core.jsontext import kind
from rowel.core.paths import what_is_there
from rowel.core.templating import filters, instrument
from rowel.core.templating.meter import check_items, meter_of
from rowel.core.templating.methods import Method, method_of
from rowel.core.templating.values import apply, show


class MissingName(UndefinedError):
    """A name that is not there was used; `name` is it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name!r}")
        self.name = name


class Missing(Undefined):
    """What is not there. It may be asked for (`is defined`, `default`, `if`, `==`), and so may its parts; printing
    or walking it raises."""

    @property
    def _undefined_message(self) -> str:
        return (
            self._undefined_hint
            or f"there is no {self._undefined_name!r}; {what_is_there(self._undefined_obj)}"
        )

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> Any:
        if self._undefined_obj is missing and not self._undefined_hint:
            raise MissingName(str(self._undefined_name))
        raise UndefinedError(self._undefined_message)

    __str__ = __iter__ = __len__ = __getitem__ = __call__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __pos__ = __int__ = __float__ = _fail_with_undefined_error


class Templates(ImmutableSandboxedEnvironment):
    """Compiles templates. One serves all threads; what a rendering costs is kept in its context."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=Missing,
            autoescape=False,
            finalize=_finalize,
            keep_trailing_newline=True,
            optimized=False,
            cache_size=0,
        )
        self.filters = {**filters.FILTERS, **instrument.INNER}
        self.tests = dict(filters.TESTS)
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = instrument.Instrument().visit(super()._parse(source, name, filename))
        assert isinstance(parsed, nodes.Template)
        return parsed

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of an object first, so that `x.items` is the field; then the listed methods."""
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Namespace):
            return self._namespace_value(obj, attribute)
        if isinstance(obj, tuple) and attribute in getattr(obj, "_fields", ()):
            return getattr(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP_VALUES:
            return getattr(obj, attribute)
        return method_of(obj, attribute) or self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        meter = meter_of(context)
        if isinstance(obj, Method):
            kwargs = {name: value for name, value in kwargs.items() if name not in _HIDDEN_ARGUMENTS}
            return obj.call(meter, args, kwargs)
        if isinstance(obj, Macro | LoopContext | Joiner | Undefined) or any(obj is one for one in _GLOBALS):
            for value in args:
                meter.read(value)
            return meter.admit(context.call(obj, *args, **kwargs))
        raise Invalid(f"{kind(obj)} can't be called")

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """`map` and its kin call filters by name, and a name may be data."""
        if name in instrument.INNER:
            raise Invalid(f"No filter named {name!r}.")
        return super().call_filter(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return apply(operator, left, right, meter_of(context))

    def _namespace_value(self, obj: Any, attribute: str) -> Any:
        try:
            return self._hidden(attribute) if attribute.startswith("_") else getattr(obj, attribute)
        except AttributeError:
            return self._hidden(attribute)

    def _hidden(self, attribute: str) -> Undefined:
        return self.undefined(f"the namespace has no {attribute!r}", name=attribute)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    return show(value, meter_of(context))


def _range(*limits: int) -> list[int]:
    numbers = range(*limits)
    check_items(len(numbers))
    return list(numbers)


_LOOP_VALUES = frozenset(
    (
        "index",
        "index0",
        "revindex",
        "revindex0",
        "first",
        "last",
        "length",
        "depth",
        "depth0",
        "previtem",
        "nextitem",
    )
)
_GLOBALS = (_range, dict, Namespace, Cycler, Joiner)
#: What compiled templates add to every call within a loop or block.
_HIDDEN_ARGUMENTS = ("_loop_vars", "_block_vars")
