"""Rewrites a parsed template so that all it does is paid for.

The names of the inner filters hold a space, so no template can write them.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.runtime import Context
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from rowel.core.templating.meter import BYTES, check_length, meter_of
from rowel.core.templating.values import show

SPEND, READ, WALK, CONCAT = "rowel spend", "rowel read", "rowel walk", "rowel concat"
#: Parts of an expression that are worked through for one unit.
_NODES = 8

_REFUSED = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "from",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.ScopedEvalContextModifier: "autoescape",
}


class Instrument(NodeTransformer):
    """Puts a payment into every body that may run more than once, and around operators that may be slow."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        for kind, tag in _REFUSED.items():
            if isinstance(node, kind):
                raise TemplateSyntaxError(f"the tag {tag!r} is not available here", node.lineno)
        return super().generic_visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.test, nodes.Expr):
            node.test = _call(READ, node.test)
        node.body.insert(0, _payment(node.body, node.lineno))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _payment(node.body, node.lineno))
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _payment(node.body, node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call(CONCAT, nodes.List(node.nodes, lineno=node.lineno))

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _call(WALK, node.expr)
        for operand in node.ops:
            operand.expr = _call(WALK, operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _call(READ, node.node)
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        """`x if y` without an else is nothing where y doesn't hold."""
        self.generic_visit(node)
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return node


def _call(name: str, value: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno)


def _payment(body: list[nodes.Node], lineno: int) -> nodes.Node:
    """One step, the static text it puts out and the expressions it holds."""
    inner = [node for part in body for node in (part, *part.find_all(nodes.Node))]
    text = sum(len(node.data) for node in inner if isinstance(node, nodes.TemplateData))
    units = 1 + text // BYTES + len(inner) // _NODES
    return nodes.ExprStmt(_call(SPEND, nodes.Const(units, lineno=lineno)), lineno=lineno)


@pass_context
def spend(context: Context, units: int) -> int:
    meter_of(context).spend(units)
    return units


@pass_context
def read(context: Context, value: Any) -> Any:
    meter_of(context).read(value)
    return value


@pass_context
def walk(context: Context, value: Any) -> Any:
    meter_of(context).walk(value)
    return value


@pass_context
def concat(context: Context, items: list[Any]) -> str:
    meter = meter_of(context)
    texts = [show(item, meter) for item in items]
    check_length(sum(map(len, texts)))
    return "".join(texts)


#: Only the instrument may write these: paying backwards would be no payment.
INNER = {SPEND: spend, READ: read, WALK: walk, CONCAT: concat}
