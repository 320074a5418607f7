"""Choose columns, or compute new ones in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import HIDDEN
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import EventTime, Flow, Names, RowOperator
from pydatastream.parts.sql.expressions import Sql, Typed, columns_of, expression


class Select(RowOperator):
    """Keep only these columns, in this order.

    A list names columns of the input. A mapping gives the new columns and the SQL expression of
    each; all of them see the input's columns. Event time stays event time if it is among the
    columns, also under a new name; without it no step below can use windows.
    """

    primary: ClassVar[str | None] = "columns"
    spread: ClassVar[str | None] = "columns"
    example: ClassVar[str] = "- select: [device_id, ts, temperature]"

    columns: Names | dict[str, Sql] = Field(min_length=1)
    """A list of columns, or a mapping from each new column to its expression."""

    def flow(self, *inputs: Flow) -> Flow:
        flow = inputs[0]
        chosen = self._chosen(flow.schema)
        schema = pl.Schema({name: typed.dtype for name, typed in chosen.items()})
        return Flow(schema, _followed(flow.time, chosen))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002
        return frozenset().union(*(columns_of(text) for text in self._expressions().values()))

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
        chosen = [typed.expr.alias(name) for name, typed in self._chosen(flow.schema).items()]
        return lambda rows: rows.select(*chosen, HIDDEN)

    def _expressions(self) -> Mapping[str, str | pl.Expr]:
        if isinstance(self.columns, dict):
            return self.columns
        if len(set(self.columns)) < len(self.columns):
            raise SchemaError(f"a column is selected twice: {', '.join(self.columns)}")
        return {name: pl.col(name) for name in self.columns}

    def _chosen(self, schema: pl.Schema) -> dict[str, Typed]:
        return {name: expression(text, schema) for name, text in self._expressions().items()}


def _followed(time: EventTime | None, chosen: Mapping[str, Typed]) -> EventTime | None:
    """Event time under the first of its new names, its old one preferred."""
    if time is None:
        return None
    names = [name for name, typed in chosen.items() if _is_column(typed.expr, time.column)]
    return replace(time, column=min(names, key=lambda name: name != time.column)) if names else None


def _is_column(expr: pl.Expr, column: str) -> bool:
    return expr.meta.is_column() and expr.meta.output_name() == column
