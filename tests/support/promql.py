"""A walk through a PromQL expression."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql


def nodes(tree: Any) -> Iterator[Any]:
    """The expression and all within it."""
    yield tree
    match tree:
        case promql.Call():
            inner = list(tree.args)
        case promql.BinaryExpr():
            inner = [tree.lhs, tree.rhs]
        case promql.MatrixSelector():
            inner = [tree.vector_selector]
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            inner = [tree.expr]
        case promql.SubqueryExpr():
            inner = [tree.expr]
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            inner = []
    for one in inner:
        yield from nodes(one)
