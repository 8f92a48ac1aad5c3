"""What comes back from untrusted code, believed only when it was looked at."""

from __future__ import annotations

from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.nodes.clients.sandbox.failures import not_a_result
from rowel.nodes.clients.sandbox.guest import runtime


def accept(text: str) -> dict[str, Any]:
    """The result that `text` holds. Raises `NodeFailed` for what honest helpers would not have sent."""
    if len(text) > runtime.RESULT_LIMIT:
        raise not_a_result("the result is too large")
    try:
        value = jsontext.parse(text, max_depth=runtime.DEPTH_LIMIT)
    except Invalid as error:
        raise not_a_result(f"the result is {error.message}") from None
    problems: list[str] = []
    plain = runtime.plain_value(value, [], problems, [runtime.RESULT_LIMIT])
    if problems:
        raise not_a_result(problems[0])
    if not isinstance(plain, dict):
        raise not_a_result("the result is not an object")
    return plain
