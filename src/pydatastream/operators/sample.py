"""Keep a random part of the rows."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission
from pydatastream.core.operator import Flow, Kernel, Names, Operator
from pydatastream.core.state import State
from pydatastream.core.types import need


class Sample(Operator):
    """Keep about this fraction of the rows, the same ones in every run.

    With `by` all rows of a key are kept, or none: the fraction is one of keys. Without it each
    row is decided by its number in the stream, so with several partitions which rows are kept
    depends on how they arrived. The choice is a hash: it may differ between Polars versions.
    """

    remembers: ClassVar[bool] = False
    primary: ClassVar[str | None] = "fraction"
    example: ClassVar[str] = "- sample: {fraction: 0.1, by: [device_id]}"

    fraction: float = Field(ge=0, le=1)
    """The part to keep, from 0 to 1."""
    by: Names = Field(default_factory=list)
    """Keep or leave rows with equal values in these columns together."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Another seed keeps other rows."""

    def flow(self, *inputs: Flow) -> Flow:
        need(inputs[0].schema, *self.by)
        return inputs[0]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return None if needed is None else needed | frozenset(self.by)

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _Sample(self, state)


class _Sample(Kernel):
    def __init__(self, step: Sample, state: State) -> None:
        self._step, self._state = step, state
        self._below = int(step.fraction * 2**64)

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        seen = self._state.values.get("seen", 0)
        kept = rows if self._below >= 2**64 else rows.filter(self._drawn(seen) < self._below)
        self._state.values["seen"] = seen + rows.height
        yield kept

    def _drawn(self, seen: int) -> pl.Expr:
        """A number below 2**64 that looks random, and is always the same for a row."""
        number = pl.int_range(seen, seen + pl.len(), dtype=pl.Int64)
        return pl.struct(self._step.by or number).hash(self._step.seed)
