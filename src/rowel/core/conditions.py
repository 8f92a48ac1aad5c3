"""The rules by which a router picks its routes.

Conditions join strictly from left to right: `a OR b AND c` is `(a OR b) AND c`. A variable that is missing or null
is empty and matches nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.paths import NOTHING, find

#: Characters of a number's text.
_MAX_NUMBER = 4301
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")


class Operator(StrEnum):
    """What a condition may ask."""

    CONTAINS = "contains"
    EQUALS = "equals"
    NUMBER_EQUALS = "number_equals"
    GREATER_THAN = "greater_than"
    LESS_THAN = "less_than"
    STARTS_WITH = "starts_with"
    NOT_STARTS_WITH = "not_starts_with"
    IS_EMPTY = "is_empty"
    IS_NOT_EMPTY = "is_not_empty"


class Join(StrEnum):
    """How a condition joins those before it."""

    AND = "AND"
    OR = "OR"


@dataclass(frozen=True)
class Condition:
    """One rule: does what `variable` ("title.path") names stand in relation `operator` to `value`?

    `logical_operator` joins it to the conditions before it and is ignored on the first. The words are checked when
    it is made: `Invalid` lists those that there are.
    """

    variable: str
    operator: Operator
    value: Any = None
    logical_operator: Join = Join.AND

    def __post_init__(self) -> None:
        object.__setattr__(self, "operator", _operator(self.operator))
        object.__setattr__(self, "logical_operator", _join(self.logical_operator))

    def matches(self, values: Mapping[str, Any]) -> bool:
        """Whether this rule alone holds. A variable that is missing never raises."""
        actual = find(values, self.variable) if self.variable else NOTHING
        if self.operator is Operator.IS_EMPTY:
            return actual is NOTHING or _is_empty(actual)
        if actual is NOTHING:
            return False
        if self.operator is Operator.IS_NOT_EMPTY:
            return not _is_empty(actual)
        return _RULES[self.operator](actual, self.value)


def holds(conditions: Sequence[Condition], values: Mapping[str, Any]) -> bool:
    """Whether the conditions hold together, from left to right. No conditions hold always."""
    result = True
    for number, condition in enumerate(conditions):
        if number == 0:
            result = condition.matches(values)
        elif condition.logical_operator is Join.OR:
            result = result or condition.matches(values)
        else:
            result = result and condition.matches(values)
    return result


def _operator(word: Any) -> Operator:
    try:
        return Operator(str(word).strip().lower())
    except ValueError:
        raise Invalid(f"operator {word!r} is not one of {', '.join(Operator)}") from None


def _join(word: Any) -> Join:
    """Nothing said is AND."""
    try:
        return Join(str(word).strip().upper()) if word else Join.AND
    except ValueError:
        raise Invalid(f"logicalOperator {word!r} is neither AND nor OR") from None


def _is_empty(value: Any) -> bool:
    """Null, empty text, an empty list or object. Zero and false are values."""
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)


def _text(value: Any) -> str:
    """Text as it is, anything else as JSON with its keys sorted."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )


def _equals(actual: Any, value: Any) -> bool:
    """The same text. A flag equals its word in any case: `True` is how Python users write true."""
    if isinstance(actual, bool) or isinstance(value, bool):
        return _text(actual).casefold() == _text(value).casefold()
    return _text(actual) == _text(value)


def _contains(actual: Any, value: Any) -> bool:
    """A list contains its items, an object its keys, anything else its text's parts."""
    if isinstance(actual, list | tuple):
        return any(_equals(item, value) for item in actual)
    if isinstance(actual, Mapping):
        return _text(value) in actual
    return actual is not None and _text(value) in _text(actual)


def _number(value: Any) -> Decimal | None:
    """The exact number that a number or its text means. A flag is no number, nor are NaN and infinities."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        text = value.strip() if isinstance(value, str) else repr(value)
        return Decimal(text) if len(text) <= _MAX_NUMBER and _NUMBER.fullmatch(text) else None
    except (InvalidOperation, ValueError):
        return None


def _numeric(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Any, Any], bool]:
    def rule(actual: Any, value: Any) -> bool:
        left, right = _number(actual), _number(value)
        return left is not None and right is not None and compare(left, right)

    return rule


_RULES: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.CONTAINS: _contains,
    Operator.EQUALS: _equals,
    Operator.NUMBER_EQUALS: _numeric(Decimal.__eq__),
    Operator.GREATER_THAN: _numeric(Decimal.__gt__),
    Operator.LESS_THAN: _numeric(Decimal.__lt__),
    Operator.STARTS_WITH: lambda actual, value: actual is not None and _text(actual).startswith(_text(value)),
    Operator.NOT_STARTS_WITH: lambda actual, value: (
        actual is not None and not _text(actual).startswith(_text(value))
    ),
}
