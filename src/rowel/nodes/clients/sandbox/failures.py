"""How a call may fail, in words for the person who wrote the code."""

from __future__ import annotations

from collections.abc import Iterable

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox.guest import body

_MESSAGE_LIMIT = 2_000
_LINE_LIMIT = 200
_LINES_SHOWN = 8


class Doubtful(Exception):
    """Monty failed where CPython may not: nothing is said about the code before CPython has run it."""

    def __init__(self, failure: NodeFailed) -> None:
        super().__init__(failure.message)
        self.failure = failure


def took_too_long(limit_s: float) -> NodeFailed:
    return NodeFailed(f"the code took longer than {limit_s:g} s")


def needs_too_much_memory(limit_mib: int) -> NodeFailed:
    return NodeFailed(f"the code needs more than {limit_mib} MiB of memory")


def raised(kind: str, text: str, lines: Iterable[tuple[int, str]], code: str) -> NodeFailed:
    """The exception `kind` with its text, and the `lines` of the code (number, function) that led to it."""
    message = f"{kind}: {text}" if text else kind
    return NodeFailed(printable(message), trace=_trace(lines, code))


def not_a_result(problem: str) -> NodeFailed:
    return NodeFailed(printable(problem))


def syntax_error(error: SyntaxError) -> str:
    where = f"line {error.lineno}: " if error.lineno else ""
    return printable(f"{where}{error.msg}")


def printable(text: str) -> str:
    """`text` as it can be stored anywhere: valid Unicode without NUL, and not longer than a message should be."""
    if len(text) > _MESSAGE_LIMIT:
        text = text[:_MESSAGE_LIMIT] + " ..."
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _trace(lines: Iterable[tuple[int, str]], code: str) -> str | None:
    """Like Python's own, the innermost last; the body itself has no name."""
    source = code.splitlines()
    shown = []
    for number, function in list(lines)[-_LINES_SHOWN:]:
        shown.append(f"line {number}" + (f", in {function}" if function not in ("", body.FUNCTION) else ""))
        if 0 < number <= len(source):
            shown.append(f"    {source[number - 1].strip()[:_LINE_LIMIT]}")
    return printable("\n".join(shown)) or None
