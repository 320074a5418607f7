"""Aggregates: SQL text such as `sum(bytes) / count(*)`, in stages that can be merged.

Null is skipped, and NaN as if it were null. Integer sums are kept in 128 bits, and one that does
not fit 64 bits in the end is an error, never a wrong number. Sums of floats may differ in their
last bits with the order of adding. `count(distinct x)`, quantiles, median and list keep the
values of the window; the `approx_` forms keep little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlglot import exp

from pydatastream.core.errors import ConfigError, ExpressionError, nearest
from pydatastream.core.operator import EventTime
from pydatastream.parts.sql.aggregate_functions import AGGREGATES, ROWS, Call, Pieces
from pydatastream.parts.sql.compiler import Compiler, Scope, scope_of
from pydatastream.parts.sql.functions import FUNCTIONS
from pydatastream.parts.sql.grammar import Query, parse
from pydatastream.parts.sql.operators import condition_only
from pydatastream.parts.sql.values import Unfit, Value


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Aggregates in three steps, of which the middle one may run any number of times.

    `rows.with_columns(prepare).group_by(keys).agg(partial)` keeps one row per group; `merge` in
    `pl.concat(parts).group_by(keys).agg(merge)` gives the same columns again, parts in order of
    arrival; `final` in `merged.select(keys, *final)` gives the columns of `schema`.
    """

    schema: pl.Schema
    prepare: list[pl.Expr]
    partial: list[pl.Expr]
    merge: list[pl.Expr]
    final: list[pl.Expr]
    count: str = ROWS
    """The partial column that counts the input rows, whatever the aggregates are."""


def aggregation(
    aggregates: Mapping[str, str], schema: pl.Schema, time: EventTime | None = None
) -> Aggregation:
    """The aggregates of a window, checked against the schema of its rows.

    Raises `SchemaError` or `ExpressionError`, naming the aggregate. first and last need `time`.

    >>> one = aggregation({"mean": "avg(n)"}, pl.Schema({"n": pl.Int64}))
    >>> rows = pl.DataFrame({"k": ["a", "a"], "n": [1, 2]})
    >>> rows.with_columns(one.prepare).group_by("k").agg(one.partial).select("k", *one.final).rows()
    [('a', 1.5)]
    """
    pieces = Pieces()
    values = {
        name: _value(name, text, scope_of(schema), pieces, time)
        for name, text in aggregates.items()
    }
    return Aggregation(
        schema=pl.Schema({name: value.dtype for name, value in values.items()}),
        prepare=pieces.prepare,
        partial=pieces.partial,
        merge=pieces.merge,
        final=[value.expr.alias(name) for name, value in values.items()],
    )


def _value(name: str, text: str, rows: Scope, pieces: Pieces, time: EventTime | None) -> Value:
    try:
        if not isinstance(text, str):
            raise ExpressionError("an aggregate is SQL text", hint='"avg(temperature)"')
        query = parse(text)
        compiler = _Aggregates(query, rows, pieces, time)
        value = compiler.value(query.tree)
        if not compiler.used:
            query.refuse(query.tree, "this holds no aggregate", "count(*), avg(x), last(x)")
        return value
    except ConfigError as error:
        error.what = f"aggregate {name!r}: {error.what}"
        raise


class _Aggregates(Compiler):
    """Compiles what stands around aggregates; their arguments are compiled for rows."""

    def __init__(self, query: Query, rows: Scope, pieces: Pieces, time: EventTime | None) -> None:
        super().__init__(query, {})
        self.rows = Compiler(query, rows)
        self.pieces = pieces
        self.time = time
        self.used = False

    def column(self, node: exp.Expr) -> Value:
        """Refuse a bare column: which of the values in the group would it be."""
        self.rows.column(node)
        name = node.sql()
        raise Unfit(f"column {name} must be inside an aggregate", f"last({name}), max({name})")

    def call(self, node: exp.Expr) -> Value:
        """An aggregate, or a function of aggregates."""
        return self._aggregate(node) if node.name.lower() in AGGREGATES else super().call(node)

    def _no_function(self, name: str) -> Any:
        raise Unfit(f"no aggregate {name!r}", nearest(name, [*AGGREGATES, *FUNCTIONS]))

    def filtered(self, node: exp.Expr) -> Value:
        """`sum(x) FILTER (WHERE y > 1)`."""
        test = condition_only(self.rows.value(node.expression.this), "FILTER")
        if isinstance(node.this, exp.WithinGroup):
            return self.within_group(node.this, test)
        if node.this.name.lower() not in AGGREGATES:
            raise Unfit(f"FILTER follows an aggregate, {node.this.name} is none")
        return self._aggregate(node.this, test)

    def within_group(self, node: exp.Expr, where: Value | None = None) -> Value:
        """`percentile_cont(0.5) WITHIN GROUP (ORDER BY x)`."""
        order = node.expression.expressions
        if node.this.name.lower() != "percentile_cont" or len(order) != 1 or order[0].args["desc"]:
            raise Unfit("WITHIN GROUP is for percentile_cont(share) WITHIN GROUP (ORDER BY x)")
        args = [self.rows.value(one) for one in (order[0].this, *node.this.expressions)]
        self.used = True
        return AGGREGATES["quantile"](Call("percentile_cont", args, self.pieces, where))

    def _aggregate(self, node: exp.Expr, where: Value | None = None) -> Value:
        self.used = True
        name, given = node.name.lower(), node.expressions
        if given and isinstance(given[0], exp.Distinct):
            name, given = _distinct(name), given[0].expressions
        if name == "count" and len(given) == 1 and isinstance(given[0], exp.Star):
            given = []
        elif name == "count" and not given:
            raise Unfit("count needs * or a column", "count(*)")
        args = [self.rows.value(arg) for arg in given]
        return AGGREGATES[name](Call(name, args, self.pieces, where, self.time))


def _distinct(name: str) -> str:
    if name != "count":
        raise Unfit(f"{name}(distinct ...) is not supported", "count(distinct x)")
    return "count_distinct"


_Aggregates.nodes = {
    **Compiler.nodes,
    exp.Column: _Aggregates.column,
    exp.Dot: _Aggregates.column,
    exp.Anonymous: _Aggregates.call,
    exp.Filter: _Aggregates.filtered,
    exp.WithinGroup: _Aggregates.within_group,
}
