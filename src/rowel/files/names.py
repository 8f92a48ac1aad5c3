"""Names that clients send, made harmless."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

MAX_NAME = 200
#: Controls, line separators, half characters, and marks that turn the direction of text (`exe.fdp` shown as `pdf.exe`).
_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def base_name(sent: str) -> str:
    """The last path component of what a client sent, for people to read. Never empty."""
    last = re.split(r"[/\\]", sent)[-1]
    cleaned = _UNWANTED.sub("", last).strip()[-MAX_NAME:].strip()
    return cleaned if cleaned.strip(".") else "file"


def key_name(sent: str) -> str:
    """The same with characters that are safe in a key only."""
    name = _UNSAFE.sub("_", base_name(sent)).lstrip(".")
    return name or "file"


def extension(sent: str) -> str:
    """The extension with its dot, in lower case; empty where there is none."""
    return PurePosixPath(key_name(sent)).suffix.lower()
