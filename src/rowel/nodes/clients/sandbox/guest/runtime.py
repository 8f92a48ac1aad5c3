"""What a node's code finds around it, in both engines.

This file is fed to Monty as text, so it keeps to the part of Python that Monty has: no class inheritance, no
`yield`, no bound methods as values. `body` puts these names into the code in place of what its author wrote.
"""

from __future__ import annotations

import json
from typing import Any

#: What a result may weigh as JSON, in UTF-8 bytes.
RESULT_LIMIT = 4 * 1024 * 1024
#: What a result may nest: containers inside one another, the outermost included.
DEPTH_LIMIT = 64
#: What one call may print, in characters; the rest is dropped.
PRINT_LIMIT = 256 * 1024
#: CPython writes and reads integers of at most 4,300 digits.
INTEGER_LIMIT = 10**4300

_printed = [0]


def _rowel_field(owner: Any, name: str) -> Any:
    """`owner.name`, where the keys of a dict read as its attributes."""
    if type(owner) is dict:
        if name in owner:
            return owner[name]
        if not hasattr(owner, name):
            known = ", ".join([repr(key) for key in list(owner)[:10]]) or "nothing"
            raise AttributeError("there is no field " + repr(name) + " here (there is: " + known + ")")
    return getattr(owner, name)


def _rowel_getattr(owner: Any, name: str, *default: Any) -> Any:
    if type(owner) is dict and name in owner:
        return owner[name]
    return getattr(owner, name, *default)


def _rowel_hasattr(owner: Any, name: str) -> bool:
    if type(owner) is dict and name in owner:
        return True
    return hasattr(owner, name)


def _rowel_dump(owner: Any, *args: Any, **kwargs: Any) -> Any:
    """`owner.model_dump()`: a copy of a dict that shares nothing with it."""
    if type(owner) is dict:
        return _copy(owner)
    return owner.model_dump(*args, **kwargs)


def _rowel_dump_json(owner: Any, *args: Any, **kwargs: Any) -> Any:
    if type(owner) is dict:
        return json.dumps(owner, ensure_ascii=False, separators=(",", ":"))
    return owner.model_dump_json(*args, **kwargs)


def _rowel_print(*values: Any, sep: Any = " ", end: Any = "\n", file: Any = None, flush: Any = False) -> None:
    """`print` that stops at a limit where it runs, so that a flood never reaches the server."""
    room = PRINT_LIMIT - _printed[0]
    if room > 0:
        text = (" " if sep is None else sep).join([str(value) for value in values])
        text += "\n" if end is None else end
        _printed[0] += len(text)
        print(text[:room], end="", file=file, flush=flush)


def _rowel_answer(value: Any) -> dict[str, str]:
    """The result as JSON text, or the first problem that keeps it from being JSON."""
    problems: list[str] = []
    budget = [RESULT_LIMIT]
    plain = plain_value(value, [], problems, budget)
    if not problems and not isinstance(value, dict):
        problems.append("the result is " + _kind(value) + ", but a node's code returns an object (a dict)")
    if problems:
        return {"problem": problems[0]}
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8")) > RESULT_LIMIT:
        return {"problem": _too_large()}
    return {"text": text}


def plain_value(value: Any, path: list[Any], problems: list[str], budget: list[int]) -> Any:
    """`value` as a plain tree of JSON values. What is none goes to `problems`, with its place.

    `budget` is spent on the way, as the JSON would grow, so that a small graph that is a huge tree ends early.
    """
    budget[0] -= 2
    if budget[0] < 0:
        problems.append(_too_large())
    if problems or value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _plain_text(value, path, problems, budget)
    if isinstance(value, (int, float)):
        return _plain_number(value, path, problems)
    if not isinstance(value, (dict, list, tuple)):
        problems.append(_place(path) + " is " + _kind(value) + ", which JSON does not have")
    elif len(path) >= DEPTH_LIMIT:
        problems.append("the result is nested deeper than " + str(DEPTH_LIMIT) + " levels")
    elif isinstance(value, dict):
        return _plain_object(value, path, problems, budget)
    else:
        return _plain_list(value, path, problems, budget)
    return None


def _plain_text(value: str, path: list[Any], problems: list[str], budget: list[int]) -> str:
    budget[0] -= len(value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        problems.append(_place(path) + " is text with a lone surrogate, which is not valid Unicode")
    return "".join([value])


def _plain_number(value: Any, path: list[Any], problems: list[str]) -> Any:
    if isinstance(value, int):
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            problems.append(_place(path) + " is an integer of more than 4,300 digits")
        return int(value)
    if value != value:
        problems.append(_place(path) + " is NaN, which JSON does not have")
    elif value - value != 0:
        problems.append(_place(path) + " is infinite, which JSON does not have")
    return float(value)


def _plain_object(value: Any, path: list[Any], problems: list[str], budget: list[int]) -> dict[str, Any]:
    plain = {}
    for key, item in value.items():
        if not isinstance(key, str):
            problems.append("a key of " + _place(path) + " is " + _kind(key) + ", but JSON keys are text")
            break
        path.append(key)
        budget[0] -= 3
        plain[_plain_text(key, path, problems, budget)] = plain_value(item, path, problems, budget)
        path.pop()
        if problems:
            break
    return plain


def _plain_list(value: Any, path: list[Any], problems: list[str], budget: list[int]) -> list[Any]:
    plain = []
    for index, item in enumerate(value):
        path.append(index)
        plain.append(plain_value(item, path, problems, budget))
        path.pop()
        if problems:
            break
    return plain


def _place(path: list[Any]) -> str:
    """The path as its author would write it: `items[3].price`."""
    text = ""
    for step in path:
        if not isinstance(step, str):
            text += "[" + str(step) + "]"
        elif step.replace("_", "a").isalnum() and len(step) <= 60:
            text += ("." if text else "") + step
        else:
            text += "[" + repr(step[:60]) + "]"
    return text or "the result"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


def _too_large() -> str:
    return "the result is larger than " + str(RESULT_LIMIT // (1024 * 1024)) + " MiB"


def _copy(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item) for item in value]
    return value
