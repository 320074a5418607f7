"""Join several streams of the same columns into one."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from pydatastream.core.batch import HIDDEN, Emission
from pydatastream.core.errors import SchemaError
from pydatastream.core.operator import Flow, Kernel, Operator
from pydatastream.core.state import State
from pydatastream.core.types import type_name


class Union(Operator):
    """Let the rows of several inputs go on as one stream.

    Columns are matched by name and come in the order of the first input; each must have one type
    in all inputs. Rows of one input keep their order; how inputs are mixed is not defined. All
    inputs must agree on event time, and the slowest one says how far it has come.
    """

    remembers: ClassVar[bool] = False
    inputs: ClassVar[int | None] = None
    example: ClassVar[str] = "- union: {fill: true}"

    fill: bool = False
    """Put null where an input lacks a column, instead of refusing."""

    def flow(self, *inputs: Flow) -> Flow:
        schema: dict[str, pl.DataType] = {}
        for flow in inputs:
            for name, dtype in flow.schema.items():
                _check_type(name, schema.setdefault(name, dtype), dtype)
        if not self.fill:
            _check_complete(schema, inputs)
        if any(flow.time != inputs[0].time for flow in inputs):
            raise SchemaError(f"the inputs differ in event time: {_times(inputs)}")
        return Flow(pl.Schema(schema), inputs[0].time)

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return needed

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _Union(self.flow(*inputs).schema)


class _Union(Kernel):
    def __init__(self, schema: pl.Schema) -> None:
        self._schema = schema

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        columns = [
            pl.col(name) if name in rows.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in self._schema.items()
        ]
        yield rows.select(*columns, HIDDEN)


def _check_type(name: str, first: pl.DataType, other: pl.DataType) -> None:
    if first != other:
        both = f"{type_name(first)} in one input and {type_name(other)} in another"
        raise SchemaError(f"column {name!r} is {both}", hint="a `cast` step before the union")


def _check_complete(schema: dict[str, pl.DataType], inputs: tuple[Flow, ...]) -> None:
    for number, flow in enumerate(inputs, 1):
        missing = [name for name in schema if name not in flow.schema]
        if missing:
            raise SchemaError(
                f"input {number} has no column {', '.join(map(repr, missing))}",
                hint="`fill: true` puts null there",
            )


def _times(inputs: tuple[Flow, ...]) -> str:
    return ", ".join(flow.time.column if flow.time else "none" for flow in inputs)
