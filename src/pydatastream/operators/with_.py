"""Add columns computed from others."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, RowOperator
from pydatastream.parts.sql.expressions import Sql, Typed, columns_of, expression


class With(RowOperator):
    """Add columns, or replace some, each by an SQL expression.

    They are worked out in the order written, and a later one may use an earlier one:
    `{fahrenheit: temperature * 1.8 + 32, hot: fahrenheit > 100}`. A new column goes to the end, a
    replaced one stays where it is. Event time cannot be replaced: the stream is ordered by it.
    """

    primary: ClassVar[str | None] = "columns"
    spread: ClassVar[str | None] = "columns"
    example: ClassVar[str] = '- with: {fahrenheit: "temperature * 1.8 + 32", hot: fahrenheit > 100}'

    columns: dict[str, Sql] = Field(min_length=1)
    """Column: expression."""

    def flow(self, *inputs: Flow) -> Flow:
        flow = inputs[0]
        if flow.time and flow.time.column in self.columns:
            raise SchemaError(
                f"{flow.time.column!r} is the event time and cannot be replaced",
                hint="give the new column another name",
            )
        new = {name: typed.dtype for name, typed in self._typed(flow.schema).items()}
        return Flow(pl.Schema({**flow.schema, **new}), flow.time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        for name, text in reversed(self.columns.items()):
            needed = needed - {name} | columns_of(text)
        return needed

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
        added = [typed.expr.alias(name) for name, typed in self._typed(flow.schema).items()]
        return lambda rows: reduce(pl.LazyFrame.with_columns, added, rows)

    def _typed(self, schema: pl.Schema) -> dict[str, Typed]:
        known, typed = dict(schema), {}
        for name, text in self.columns.items():
            typed[name] = expression(text, pl.Schema(known))
            known[name] = typed[name].dtype
        return typed
