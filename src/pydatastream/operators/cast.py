"""Change the types of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Invalid, RowOperator
from pydatastream.core.types import Columns, need, type_of
from pydatastream.parts.sql.casts import cast
from pydatastream.parts.sql.values import Unfit, Value


class Cast(RowOperator):
    """Change the types of columns; what does not fit makes the row a dead letter.

    The rules are those of CAST in an expression: a float becomes an integer by cutting off its
    fraction, text a number, a boolean or (ISO 8601) a timestamp. Null stays null. For other
    spellings of time, and for numbers that mean times, there is `parse_time`.
    """

    primary: ClassVar[str | None] = "columns"
    spread: ClassVar[str | None] = "columns"
    example: ClassVar[str] = "- cast: {temperature: string, n: float}"

    columns: Columns = Field(min_length=1)
    """Column: type."""
    invalid: Invalid = "dead_letter"
    """dead_letter, or null: what a value that does not fit becomes."""

    def flow(self, *inputs: Flow) -> Flow:
        schema = inputs[0].schema
        self._casts(schema)
        types = {name: type_of(word) for name, word in self.columns.items()}
        return inputs[0].keeping(pl.Schema({**schema, **types}))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | frozenset(self.columns)

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
        casts = self._casts(flow.schema)
        return lambda rows: rows.with_columns(casts)

    def _casts(self, schema: pl.Schema) -> list[pl.Expr]:
        need(schema, *self.columns)
        return [
            self._cast(name, schema[name], type_of(word)) for name, word in self.columns.items()
        ]

    def _cast(self, name: str, source: pl.DataType, target: pl.DataType) -> pl.Expr:
        try:
            made = cast(Value(pl.col(name), source), target, strict=self.invalid == "dead_letter")
        except Unfit as error:
            raise SchemaError(f"column {name!r}: {error.what}", hint=error.hint) from None
        return made.expr.alias(name)
