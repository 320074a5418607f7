"""How often a value has come so far, in memory that does not grow."""

from __future__ import annotations

import math
from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Kernel, Names, Operator
from pydatastream.core.state import State
from pydatastream.core.types import need

CELLS, CELL, COUNT = "cells", "cell", "count"
VERSION = "polars"


class Frequency(Operator):
    """Add to each row how often its key has come so far, itself included.

    Keys are counted by a sketch of fixed size: the number is never too small, and too large by
    more than `error` of all rows only with probability `risk`. Rows with null in a key count
    together. The result does not depend on how the stream was cut. State: e / error counters for
    each of ln(1 / risk) hash functions, those that are not 0.

    References: Cormode, Muthukrishnan (2005), An Improved Data Stream Summary: The Count-Min
    Sketch and its Applications, Journal of Algorithms 55(1), theorem 1.
    """

    primary: ClassVar[str | None] = "by"
    example: ClassVar[str] = "- frequency: {by: [device_id], column: seen}"

    by: Names = Field(min_length=1)
    """The columns whose values together are counted."""
    column: str = "frequency"
    """The column that is added."""
    error: float = Field(1e-4, gt=0, lt=1)
    """By how much of all rows a number may be too large."""
    risk: float = Field(0.01, gt=0, lt=1)
    """The probability that it is by more."""

    def flow(self, *inputs: Flow) -> Flow:
        need(inputs[0].schema, *self.by)
        if self.column in inputs[0].schema:
            raise SchemaError(
                f"there is a column {self.column!r} already", hint="another `column:`"
            )
        return inputs[0].keeping(pl.Schema({**inputs[0].schema, self.column: pl.Int64()}))

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed.difference([self.column]).union(self.by)

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _Frequency(self, state)


class _Frequency(Kernel):
    def __init__(self, step: Frequency, state: State) -> None:
        self._by, self._column, self._state = step.by, step.column, state
        self._width = math.ceil(math.e / step.error)
        self._depth = math.ceil(math.log(1 / step.risk))
        if state.values.setdefault(VERSION, pl.__version__) != pl.__version__:
            state.drop(CELLS)  # another version may hash otherwise: counting begins again
            state.values[VERSION] = pl.__version__

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        names = [f"{CELL}{number}" for number in range(self._depth)]
        cells = rows.select(self._cell(number).alias(name) for number, name in enumerate(names))
        before = self._before()
        within = cells.with_columns(
            pl.int_range(1, pl.len() + 1).over(name).alias(f"within{name}") for name in names
        )
        for name in names:
            within = within.join(
                before.rename({CELL: name, COUNT: f"before{name}"}),
                on=name, how="left", maintain_order="left",
            )  # fmt: skip
        counted = [pl.col(f"within{name}") + pl.col(f"before{name}").fill_null(0) for name in names]
        added = within.select(pl.min_horizontal(counted).cast(pl.Int64).alias(self._column))
        self._add(before, cells)
        yield rows.with_columns(added.to_series())

    def _cell(self, number: int) -> pl.Expr:
        """The counter of a row's key for one hash function."""
        hashed = pl.struct(self._by).hash(number) % self._width
        return (hashed + number * self._width).cast(pl.UInt64)

    def _before(self) -> pl.DataFrame:
        known = self._state.frame(CELLS)
        return pl.DataFrame(schema={CELL: pl.UInt64, COUNT: pl.Int64}) if known is None else known

    def _add(self, before: pl.DataFrame, cells: pl.DataFrame) -> None:
        came = pl.concat([cells.select(pl.col(name).alias(CELL)) for name in cells.columns])
        more = came.group_by(CELL).agg(pl.len().cast(pl.Int64).alias(COUNT))
        total = pl.concat([before, more]).group_by(CELL).agg(pl.col(COUNT).sum()).sort(CELL)
        self._state.put(CELLS, total)
