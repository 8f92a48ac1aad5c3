"""Whatever Rowel complains of stands in the operator's tables, with what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.test_docs import OPERATIONS, rows
from tests.support.source import SOURCE, docstrings, place, python_files, tree

#: What the log's table calls them.
LEVELS = {"warning": "warning", "error": "error", "exception": "error", "critical": "error"}

#: The commands talk to a person; what they say is no alarm.
SILENT = SOURCE / "cli"


def text_of(node: ast.expr) -> str | None:
    """A piece of text, with `...` for what differs. None where it is something else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[a-z]", "...", node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
        return "".join(map(str, parts))
    return None


def calls(module: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module) if isinstance(node, ast.Call) and node.args)


def logged(module: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Each call that logs a warning or worse, with the level's word."""
    for call in calls(module):
        match call.func:
            case ast.Attribute(value=ast.Name(id="log"), attr=word) if word in LEVELS:
                yield call, LEVELS[word]


def alarms() -> set[tuple[str, str]]:
    """Level and message of all that the source logs."""
    found = set()
    for path in python_files():
        for call, level in logged(tree(path)) if SILENT not in path.parents else ():
            message = text_of(call.args[0])
            assert message is not None, f"{place(path, call)}: a message that can be looked up is a literal"
            found.add((level, message))
    return found


def sentences(module: ast.AST, *functions: str) -> set[str]:
    """The sentences that functions of these names say."""
    spoken = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions:
            silent = docstrings(node)
            texts = (
                text_of(part) for part in ast.walk(node) if isinstance(part, ast.expr) and part not in silent
            )
            spoken |= {text for text in texts if text is not None and re.search(r" .*\.$", text)}
    return spoken


def told(text: str) -> set[str]:
    """What a cell quotes; one backtick or two around each."""
    return {inner.strip() for _, inner in re.findall(r"(`{1,2})(.+?)\1(?!`)", text)}


def test_every_warning_and_error_of_the_log_is_explained_and_none_that_is_not_there() -> None:
    explained = {
        (level, text) for level, cell, *_ in rows(OPERATIONS, "### In the log") for text in told(cell)
    }

    assert len(explained) > 10
    assert explained == alarms()


@pytest.mark.parametrize("heading", ["### In the log", "### In /health/ready", "### At the start"])
def test_every_alarm_says_what_to_do(heading: str) -> None:
    for row in rows(OPERATIONS, heading):
        assert all(row), row
        assert row[-1].endswith("."), row


def test_every_sentence_of_readiness_is_explained() -> None:
    said = sentences(tree(SOURCE / "engine" / "engine.py"), "trouble")
    said |= sentences(tree(SOURCE / "api" / "health.py"), "get_readiness")
    explained = {text for cell, *_ in rows(OPERATIONS, "### In /health/ready") for text in told(cell)}

    assert len(said) >= 2
    assert explained == said


def test_every_refusal_to_start_is_explained() -> None:
    complaints = {
        text_of(call.args[0])
        for call in calls(tree(SOURCE / "app.py"))
        if isinstance(call.func, ast.Name) and call.func.id == "_complain"
    }
    explained = {text for cell, *_ in rows(OPERATIONS, "### At the start") for text in told(cell)}

    assert len(complaints) >= 4
    assert complaints - {None} <= explained


def test_reasons_for_not_starting_are_quoted_as_they_are_said() -> None:
    source = "".join(
        path.read_text() for path in [*(SOURCE / "store").glob("*.py"), *SOURCE.glob("engine/**/*.py")]
    )
    said = " ".join(re.sub(r'"\s*\n\s*f?"', "", source).split())
    for cell, *_ in rows(OPERATIONS, "### At the start")[3:]:
        for text in told(cell):
            for piece in text.split("..."):
                assert piece.strip(" .") in said, piece


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ('log.warning("%s is gone: %s", a, b)', [("... is gone: ...", "warning")]),
        ('log.exception("it failed")', [("it failed", "error")]),
        ('log.info("a word"); log.debug("another")', []),
    ],
)
def test_what_is_logged_is_seen(code: str, seen: list[tuple[str, str]]) -> None:
    assert [(text_of(call.args[0]), level) for call, level in logged(ast.parse(code))] == seen
