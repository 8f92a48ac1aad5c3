"""JSON and text from files and arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from rowel.cli.exits import Exit, fail


def parse(text: str) -> Any:
    """Raises `ValueError` for what is no JSON (NaN and infinities included) or nested too deeply to be read."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no value of JSON")


def read_text(file: Path, encoding: str = "utf-8") -> str:
    """The text of a file; ends the command where it can't be read."""
    try:
        return file.read_text(encoding)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}", Exit.USAGE)


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file; ends the command where there is none. A byte order mark is passed over."""
    try:
        value = parse(read_text(file, "utf-8-sig"))
    except ValueError as error:
        fail(f"{file} is not JSON: {error}", Exit.USAGE)
    if not isinstance(value, dict):
        fail(f"{file} must hold a JSON object", Exit.USAGE)
    return value
