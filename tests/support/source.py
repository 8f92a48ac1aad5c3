"""Rowel's own source text and syntax trees, for tests that hold the law of the house."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rowel"

#: Directories that tools fill; nothing in them is ours.
_NOT_OURS = {
    ".git", ".venv", ".bench", "node_modules", "dist", "build", "__pycache__",
    ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", ".schemathesis",
}  # fmt: skip


def python_files(directory: Path = SOURCE) -> list[Path]:
    """Every Python file below `directory`, in order."""
    return sorted(directory.rglob("*.py"))


def our_files() -> Iterator[Path]:
    """Every file of the repository that is not made by a tool."""
    for directory, names, files in os.walk(ROOT):
        names[:] = sorted(set(names) - _NOT_OURS)
        # In a work tree beside the repository `.git` is a file.
        yield from (Path(directory, file) for file in sorted(files) if file != ".git")


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


def place(path: Path, node: ast.AST) -> str:
    """Where a node stands, as `src/rowel/core/graph.py:12`."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def docstrings(module: ast.AST) -> set[ast.Constant]:
    """The constants of a tree that are docstrings, or sentences that stand alone like one."""
    statements = (node.value for node in ast.walk(module) if isinstance(node, ast.Expr))
    return {value for value in statements if isinstance(value, ast.Constant)}
