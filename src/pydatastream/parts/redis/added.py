"""Writes rows to Redis as they come."""

from __future__ import annotations

import polars as pl

from pydatastream.parts.redis.line import Line
from pydatastream.parts.redis.wire import command
from pydatastream.parts.redis.writes import Writes

TOGETHER = 1 << 12
"""Rows that the server adds, and syncs, at once: on its own it syncs every 16 KiB it has read.
It does nothing else meanwhile, for some milliseconds."""

BEGIN, END = command("MULTI"), command("EXEC")


class Added:
    """Sends rows as they come; an epoch is published when the server has answered for all."""

    def __init__(self, line: Line, writes: Writes) -> None:
        self._line, self._writes = line, writes
        self._open = 0

    def begin(self, epoch: int) -> None:
        """Nothing to prepare: what was sent cannot be taken back."""

    def write(self, rows: pl.DataFrame) -> None:
        for piece in rows.iter_slices(TOGETHER):
            packed, count = self._writes.packed(piece)
            self._line.send(BEGIN + packed + END)
            self._settle()
            self._open = 1 + count

    def publish(self, epoch: int) -> None:  # noqa: ARG002 - all epochs are alike
        self._settle()

    def published(self) -> int | None:
        return None

    def close(self) -> None:
        self._line.close()

    def _settle(self) -> None:
        """Read the replies to what was sent before."""
        count, self._open = self._open, 0
        if count:
            self._line.settle(count)
            self._line.executed(self._line.reply())
