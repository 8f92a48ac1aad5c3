"""What the source may not say: the time, a status as text, another node type's name, a path of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from rowel.core.status import PauseAction, RunStatus, TaskStatus
from tests.support.source import ROOT, SOURCE, docstrings, our_files, place, python_files, tree

STATUS_WORDS = {str(word) for kind in (RunStatus, TaskStatus, PauseAction) for word in kind}

#: The composition root hands time down; the engine's clock is where it comes from.
MAY_ASK_THE_TIME = {SOURCE / "app.py", SOURCE / "engine" / "clock.py"}

ASKS_THE_TIME = re.compile(r"\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b|\btime\.time(_ns)?\(")

#: Written in two halves, so that this file does not hold what it looks for.
WORKPLACE = re.compile("(?<![a-z0-9.])/" + r"(work|root|home/[a-z]+)/[a-z.]")

BUILTIN = SOURCE / "nodes" / "builtin"


def test_nothing_asks_for_the_time_by_itself():
    asking = [path for path in python_files() if ASKS_THE_TIME.search(path.read_text())]

    assert set(asking) <= MAY_ASK_THE_TIME


@pytest.mark.parametrize(
    "text", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "time.time()", "datetime.date.today()"]
)
def test_asking_for_the_time_is_seen(text):
    assert ASKS_THE_TIME.search(text)


def _words(nodes: Iterable[ast.AST]) -> set[str]:
    return {
        constant.value
        for node in nodes
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


def _statuses_as_text(module: ast.AST) -> Iterator[ast.AST]:
    """Comparisons and `case` patterns that hold a status or an action as a piece of text."""
    for node in ast.walk(module):
        compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        matched = [node.value] if isinstance(node, ast.MatchValue) else []
        if _words([*compared, *matched]) & STATUS_WORDS:
            yield node


def test_no_status_is_compared_with_text():
    assert [place(path, node) for path in python_files() for node in _statuses_as_text(tree(path))] == []


@pytest.mark.parametrize(
    "text",
    [
        'run.status == "COMPLETED"',
        '"PAUSED" != status',
        'status in ("FAILED", "CANCELED")',
        'match action:\n    case "APPROVE": pass',
    ],
)
def test_a_status_compared_with_text_is_seen(text):
    assert list(_statuses_as_text(ast.parse(text)))


def _node_types() -> dict[str, Path]:
    """Each built-in node type's name and the file that may say it."""
    return {
        node.name: path
        for path in python_files(BUILTIN)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Node")
    }


def _named(module: ast.AST, names: set[str]) -> Iterator[tuple[ast.AST, str]]:
    """Where a tree says one of `names`, in code or in text other than docstrings."""
    passed_over = docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed_over:
            yield from ((node, word) for word in re.findall(r"\w+", node.value) if word in names)
        elif isinstance(node, ast.Name | ast.alias | ast.Attribute):
            word = (
                node.id
                if isinstance(node, ast.Name)
                else node.attr
                if isinstance(node, ast.Attribute)
                else node.name
            )
            if word in names:
                yield node, word


def test_no_node_type_is_named_outside_its_own_file():
    homes = _node_types()
    strangers = [
        f"{place(path, node)} says {word}"
        for path in python_files()
        for node, word in _named(tree(path), set(homes))
        if homes[word] != path
    ]

    assert strangers == []


@pytest.mark.parametrize(
    "text",
    [
        "from x import InputNode",
        "nodes.InputNode",
        "isinstance(node, InputNode)",
        'spec.node_type == "InputNode"',
        'raise Invalid("an InputNode is missing")',
    ],
)
def test_a_node_type_named_elsewhere_is_seen(text):
    assert list(_named(ast.parse(text), {"InputNode"}))


def test_a_docstring_may_name_a_node_type():
    assert list(_named(ast.parse('"""As an InputNode does."""'), {"InputNode"})) == []


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.stat().st_size < 4_000_000 else ""


def test_no_file_holds_a_path_of_the_machine_it_was_written_on():
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in our_files()
        if (match := WORKPLACE.search(_text(path)))
    }

    assert found == {}


@pytest.mark.parametrize("text", ["cd /" + "work/main", '"/' + 'root/.cache"', "/" + "home/ann/rowel"])
def test_a_path_of_a_machine_is_seen(text):
    assert WORKPLACE.search(text)
