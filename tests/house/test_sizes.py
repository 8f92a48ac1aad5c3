"""Short functions, files of one idea, and no drawers to stuff things into."""

from __future__ import annotations

import ast
import statistics

from tests.support.source import ROOT, SOURCE, python_files, tree

DRAWERS = {
    "common", "helper", "helpers", "manager", "managers", "misc", "service", "services", "util", "utils",
}  # fmt: skip


def _functions() -> list[tuple[int, str]]:
    """Every function's number of lines with its name."""
    return [
        (node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.name}")
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]


def test_there_is_source_to_judge():
    assert len(python_files()) > 20
    assert len(_functions()) > 100


def test_half_of_all_functions_have_twelve_lines_at_most():
    assert statistics.median(lines for lines, _ in _functions()) <= 12


def test_nineteen_of_twenty_functions_have_forty_lines_at_most():
    functions = sorted(_functions())
    long_ones = functions[int(len(functions) * 0.95) :]

    assert long_ones[0][0] <= 40, f"the longest functions: {long_ones}"


def test_no_file_is_longer_than_five_hundred_lines():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}

    assert {path: count for path, count in lines.items() if count > 500} == {}


def test_no_module_is_a_drawer():
    assert [
        path for path in python_files() if {*path.relative_to(SOURCE).parts[:-1], path.stem} & DRAWERS
    ] == []


def test_no_class_is_a_manager():
    classes = [
        node.name
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]

    assert [name for name in classes if name.endswith(("Manager", "Helper", "Utils"))] == []
