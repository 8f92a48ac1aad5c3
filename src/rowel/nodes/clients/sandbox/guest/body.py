"""A node's code: the body of a function over `input_model`, made into a function.

Inputs are plain dicts and lists. What lets code read them by attribute is a rewriting of the code, not of the data:
`a.b` becomes `_rowel_field(a, "b")`, which looks for a key first where `a` is a dict. So both engines agree, `a.items`
may be a field while `a.items()` is the method, and `json.dumps`, `isinstance` and `==` see plain dicts.
"""

from __future__ import annotations

import ast
import textwrap
import warnings
from typing import Any

FUNCTION = "_rowel_node"

#: Built-in functions that have to know about fields or limits, too.
_NAMES = {"getattr": "_rowel_getattr", "hasattr": "_rowel_hasattr", "print": "_rowel_print"}
_METHODS = {"model_dump": "_rowel_dump", "model_dump_json": "_rowel_dump_json"}
#: Patterns take dotted names only.
_PATTERNS = (ast.MatchValue, ast.MatchClass, ast.MatchMapping)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
#: What would make the function another kind of function, whose call is no result.
_MISPLACED = {
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Await: "await",
    ast.AsyncFor: "async for",
    ast.AsyncWith: "async with",
}


def parse(code: str) -> list[ast.stmt]:
    """The statements of a function body, with the lines its author sees. Raises `SyntaxError`."""
    try:
        statements = _statements(code)
    except IndentationError:
        statements = _statements(textwrap.dedent(code))
    _refuse_misplaced(statements)
    return statements


def function(statements: list[ast.stmt]) -> ast.Module:
    """A module that defines `FUNCTION` with this body, its attribute reads made into field reads.

    The statements are changed in place.
    """
    module = ast.parse(f"def {FUNCTION}(input_model): pass")
    definition = module.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = statements or [ast.Pass()]
    _Rewriting(_imported_names(module), _bound_names(module)).apply(module)
    return ast.fix_missing_locations(module)


def imports(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Every import statement in the code, however deep."""
    return [
        node for node in ast.walk(ast.Module(statements, [])) if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def _statements(code: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code).body
    except (RecursionError, MemoryError):
        raise SyntaxError("the code is nested too deeply") from None
    except ValueError as error:
        raise SyntaxError(str(error)) from None


def _refuse_misplaced(statements: list[ast.stmt]) -> None:
    """Raise `SyntaxError` for what parses, but not as a part of this function."""
    left: list[ast.AST] = list(statements)
    while left:
        node = left.pop()
        word = _MISPLACED.get(type(node))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            word = "import *"
        if word is not None:
            where = (None, getattr(node, "lineno", None), None, None)
            raise SyntaxError(f"{word} is not possible outside a function of your own", where)
        if not isinstance(node, _SCOPES):
            left.extend(ast.iter_child_nodes(node))


def _imported_names(module: ast.Module) -> set[str]:
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _bound_names(module: ast.Module) -> set[str]:
    """What the code itself gives a meaning to."""
    bound = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
    return bound


class _Rewriting:
    def __init__(self, imported: set[str], bound: set[str]) -> None:
        self.imported = imported
        self.bound = bound

    def apply(self, module: ast.Module) -> None:
        """From the leaves up, so that a node's children are done when its parent moves it."""
        for parent in reversed(list(ast.walk(module))):
            if isinstance(parent, _PATTERNS):
                continue
            for field, value in ast.iter_fields(parent):
                if isinstance(value, list):
                    value[:] = [self._rewritten(item, parent) for item in value]
                elif field != "annotation":
                    setattr(parent, field, self._rewritten(value, parent))

    def _rewritten(self, node: Any, parent: ast.AST) -> Any:
        if isinstance(node, ast.Attribute) and self._may_read_a_field(node, parent):
            return _call("_rowel_field", [node.value, ast.Constant(node.attr)], [], node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            helper = _METHODS[node.func.attr]
            return _call(helper, [node.func.value, *node.args], node.keywords, node)
        if isinstance(node, ast.Name) and node.id in _NAMES and node.id not in self.bound:
            return ast.copy_location(ast.Name(_NAMES[node.id], node.ctx), node)
        return node

    def _may_read_a_field(self, node: ast.Attribute, parent: ast.AST) -> bool:
        """Method calls, assignments, private names and what hangs on a module or on `self` stay as they are."""
        if not isinstance(node.ctx, ast.Load) or node.attr.startswith("__"):
            return False
        if isinstance(parent, ast.Call) and parent.func is node:
            return False
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            root = root.value
        return not (isinstance(root, ast.Name) and (root.id in self.imported or root.id == "self"))


def _call(helper: str, args: list[ast.expr], keywords: list[ast.keyword], old: ast.AST) -> ast.Call:
    call = ast.Call(ast.Name(helper, ast.Load()), args, keywords)
    for node in (call, call.func, *args):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, old)
    return call
