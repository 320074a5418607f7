"""Leave columns out."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Names, RowOperator
from pydatastream.core.types import need


class Drop(RowOperator):
    """Leave out these columns and keep the others.

    When event time is left out, no step below can use windows.
    """

    primary: ClassVar[str | None] = "columns"
    example: ClassVar[str] = "- drop: [humidity, tags]"

    columns: Names = Field(min_length=1)
    """The columns to leave out."""

    def flow(self, *inputs: Flow) -> Flow:
        schema = inputs[0].schema
        need(schema, *self.columns)
        kept = {name: dtype for name, dtype in schema.items() if name not in self.columns}
        if not kept:
            raise SchemaError("every column is dropped", hint="leave at least one")
        return inputs[0].keeping(pl.Schema(kept))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | frozenset(self.columns)

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:  # noqa: ARG002
        return rows.drop(self.columns)
