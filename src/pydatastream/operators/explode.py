"""Make one row of every element of a list."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, RowOperator
from pydatastream.core.types import need, type_name


class Explode(RowOperator):
    """Make one row of every element of a list; the other columns are repeated.

    A null inside a list is an element like any other. A row whose list is null or empty is
    dropped, or kept once with null if `keep_empty` is set.
    """

    primary: ClassVar[str | None] = "column"
    example: ClassVar[str] = "- explode: tags"

    column: str
    """The column of lists."""
    keep_empty: bool = False
    """Keep a row whose list is null or empty, with null in the column."""

    def flow(self, *inputs: Flow) -> Flow:
        schema = inputs[0].schema
        need(schema, self.column)
        dtype = schema[self.column]
        if not isinstance(dtype, pl.List | pl.Array):
            raise SchemaError(
                f"column {self.column!r} holds {type_name(dtype)}, not a list",
                hint="split(text, ',') in a `with` step makes a list of text",
            )
        inner = pl.Series(dtype=dtype).explode(empty_as_null=True).dtype
        return inputs[0].keeping(pl.Schema({**schema, self.column: inner}))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | {self.column}

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:  # noqa: ARG002
        keep = self.keep_empty
        return rows.explode(self.column, empty_as_null=keep, keep_nulls=keep)
