"""Keep the rows that meet a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import polars as pl

from pydatastream.core.operator import Flow, RowOperator
from pydatastream.parts.sql.expressions import Sql, columns_of, condition


class Filter(RowOperator):
    """Keep the rows for which a condition is true.

    As in SQL a row goes when the condition is false and also when it is null, so
    `temperature > 10` drops rows without a temperature.
    """

    primary: ClassVar[str | None] = "where"
    example: ClassVar[str] = "- filter: temperature > 10"

    where: Sql
    """The condition, as SQL text."""

    def flow(self, *inputs: Flow) -> Flow:
        condition(self.where, inputs[0].schema)
        return inputs[0]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | columns_of(self.where)

    def query(self, flow: Flow) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
        keep = condition(self.where, flow.schema)
        return lambda rows: rows.filter(keep)
