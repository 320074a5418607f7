"""Count rows and throw them away."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from pydatastream.core.sink import Delivery, Sink, Write, Writer


class NullSink(Sink):
    """Count rows and throw them away, to measure everything before the sink.

    Delivery: at most once, in fact never: no row is kept. The count is that of one run.
    """

    delivery: ClassVar[Delivery] = Delivery.AT_MOST_ONCE
    example: ClassVar[str] = '{type: "null"}'

    def open(self, job: Write) -> Writer:  # noqa: ARG002 - nothing is made for the job
        """Start counting."""
        return NullWriter()


class NullWriter:
    """Counts the rows of published epochs in `rows`."""

    def __init__(self) -> None:
        self.rows = 0
        self._pending = 0

    def begin(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        self._pending = 0

    def write(self, rows: pl.DataFrame) -> None:
        self._pending += rows.height

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        self.rows, self._pending = self.rows + self._pending, 0

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is open."""
