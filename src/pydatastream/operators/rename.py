"""Give columns other names."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, RowOperator
from pydatastream.core.types import need


class Rename(RowOperator):
    """Give columns other names; their order stays.

    All names change at once, so `{a: b, b: a}` swaps two columns. Event time stays event time
    under its new name.
    """

    primary: ClassVar[str | None] = "columns"
    spread: ClassVar[str | None] = "columns"
    example: ClassVar[str] = "- rename: {device_id: device, temperature: celsius}"

    columns: dict[str, str] = Field(min_length=1)
    """Old name: new name."""

    def flow(self, *inputs: Flow) -> Flow:
        flow = inputs[0]
        need(flow.schema, *self.columns)
        names = [self._new(name) for name in flow.schema]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SchemaError(f"two columns would be called {twice!r}", hint="drop one of them")
        time = flow.time and replace(flow.time, column=self._new(flow.time.column))
        return Flow(pl.Schema(zip(names, flow.schema.dtypes(), strict=True)), time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        if needed is None:
            return None
        old = {new: old for old, new in self.columns.items()}
        return frozenset(self.columns) | {old.get(name, name) for name in needed}

    def transform(self, rows: pl.LazyFrame, flow: Flow) -> pl.LazyFrame:  # noqa: ARG002
        return rows.rename(self.columns)

    def _new(self, name: str) -> str:
        return self.columns.get(name, name)
