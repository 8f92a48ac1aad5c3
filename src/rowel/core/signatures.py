"""What error messages have in common: the same failure of other data has the same signature."""

from __future__ import annotations

import re

#: Characters of a signature, and of a message that are looked at.
LONGEST = 200
LOOKED_AT = 1000

_PARTS = re.compile(
    r"""
    (?P<node>\b[Nn]ode\ '[A-Za-z0-9_.-]{1,1000}')
    | (?P<status>\bHTTP\ [1-5]\d\d\b)
    | (?P<address>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>]+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    | (?P<id>\b(?:0x[0-9A-Fa-f]+
        | [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}
        | (?=[0-9A-Za-z_-]*[0-9])(?=[0-9A-Za-z_-]*[A-Za-z])[0-9A-Za-z_-]{12,})\b)
    | (?P<quoted>"(?:[^"\\]|\\.)*" | (?<![A-Za-z0-9])'(?:[^'\\]|\\.)*'(?![A-Za-z0-9]) | `[^`]*`)
    | (?P<number>(?<!\w)[+-]?\d+(?:[.,:]\d+)*(?:[eE][+-]?\d+)?%? | \d+)
    """,
    re.VERBOSE,
)
#: A loop's pass in the path of a task inside it.
_ITERATION = re.compile(r"\.\d+(?=\.)")
_BLANKS = {"address": "<address>", "id": "<id>", "quoted": "'…'", "number": "#"}


def signature_of(message: str | None) -> str:
    """The message with numbers, ids, addresses and quoted values blanked; names of nodes and HTTP statuses stay.

    At most 200 printable characters.
    """
    line = " ".join(_printable((message or "")[:LOOKED_AT]).split())
    return _PARTS.sub(_blank, line)[:LONGEST].strip() or "(no message)"


def _blank(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    if kind in _BLANKS:
        return _BLANKS[kind]
    return _ITERATION.sub(".#", found.group())


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
