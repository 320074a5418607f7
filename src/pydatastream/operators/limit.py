"""Let only the first rows through."""

from __future__ import annotations

from typing import ClassVar

import polars as pl
from pydantic import Field

from pydatastream.core.batch import Emission
from pydatastream.core.operator import Flow, Kernel, Operator
from pydatastream.core.state import State


class Limit(Operator):
    """Let the first rows of the whole stream through, and no more.

    The count is kept across batches and restarts. With several sources or partitions, which
    rows are first depends on how they arrived.
    """

    primary: ClassVar[str | None] = "rows"
    example: ClassVar[str] = "- limit: 100"

    rows: int = Field(ge=0)
    """How many rows to let through."""

    def flow(self, *inputs: Flow) -> Flow:
        return inputs[0]

    def reads(self, needed: frozenset[str] | None) -> frozenset[str] | None:
        return needed

    def open(self, state: State, *inputs: Flow) -> Kernel:  # noqa: ARG002
        return _Limit(self.rows, state)


class _Limit(Kernel):
    def __init__(self, limit: int, state: State) -> None:
        self._limit, self._state = limit, state

    def on_batch(self, rows: pl.DataFrame, port: int = 0) -> Emission:  # noqa: ARG002
        passed = self._state.values.get("passed", 0)
        first = rows.head(self._limit - passed)
        self._state.values["passed"] = passed + first.height
        yield first
